//! A device that is added: `NAME[:KEY=VALUE,...]`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use diagnostic::Diagnostic as _;
use kstate::hw::pci::DeviceModel;
use sim::machine::{MAX_MSIX, Machine, PciDevice, parse_bdf};

use crate::question::Mistake;

const OPTION: &str = "--add";
const EXPECTED: &str = "NAME or NAME:KEY=VALUE,..., as in nvme:vectors=9,node=1";

/// A text in TOML.
fn quoted(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
    format!("\"{plain}\"")
}

/// A value in TOML: a number, true, false or a text; of the keys that take lists a list, with `+` between numbers
/// and `;` between texts.
fn value(key: &str, text: &str) -> String {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match key {
        "sets" if text.split('+').all(number) => format!("[{}]", text.replace('+', ", ")),
        "actions" => {
            let all: Vec<String> = text.split(';').map(|action| quoted(action.trim())).collect();
            format!("[{}]", all.join(", "))
        }
        _ if number(text) || matches!(text, "true" | "false") => text.to_owned(),
        _ => quoted(text),
    }
}

/// The keys of a function, from what is written behind its name.
fn keys(rest: &str) -> Result<BTreeMap<String, String>, Mistake> {
    let mut keys = BTreeMap::new();
    for word in rest.split(',').map(str::trim) {
        let (key, text) = match word.split_once('=') {
            Some((key, text)) => (key.trim(), value(key.trim(), text.trim())),
            None if word == "managed" => (word, "true".to_owned()),
            None => {
                return Err(Mistake::new(OPTION, format!("`{word}` sets nothing"), EXPECTED));
            }
        };
        let key = if key == "at" { "address" } else { key };
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !plain {
            return Err(Mistake::new(OPTION, format!("`{key}` is no key"), EXPECTED));
        }
        if keys.insert(key.to_owned(), text).is_some() {
            return Err(Mistake::new(OPTION, format!("`{key}` is there twice"), "each key once"));
        }
    }
    Ok(keys)
}

/// How many messages a device of a model has beside those of its queues, and how many each queue takes.
fn messages(model: &DeviceModel) -> Option<(&'static str, u32, u32)> {
    Some(match model.name {
        "nvme" => ("io_queue_pairs_max", 1, 1),
        "virtio-blk" => ("request_queues", 1, 1),
        "virtio-scsi" => ("request_queues", 3, 1),
        "virtio-net" => ("queue_pairs", 1, 2),
        _ => return None,
    })
}

/// Fills in what follows from `vectors`, or what is usual where nothing is said: one queue for each possible CPU,
/// or a table that is as large as a table can be.
fn complete(name: &str, keys: &mut BTreeMap<String, String>, possible: u32) {
    let model = drivers::DEVICES.into_iter().find(|model| model.name == name);
    let Some(model) = model else {
        let vectors = keys.get("vectors").cloned();
        keys.entry("msix_vectors".to_owned())
            .or_insert_with(|| vectors.unwrap_or_else(|| MAX_MSIX.to_string()));
        return;
    };
    let Some((key, beside, each)) = messages(model) else { return };
    let most = model.parameters.iter().find(|p| p.key == key).map_or(u32::MAX, |p| p.max);
    let asked = keys.remove("vectors").and_then(|n| n.parse::<u32>().ok());
    let queues = match asked {
        Some(vectors) => vectors.saturating_sub(beside) / each,
        None => possible,
    };
    let queues: u32 =
        keys.entry(key.to_owned()).or_insert_with(|| queues.min(most).to_string()).parse().unwrap_or(0);
    let all = asked.unwrap_or_else(|| queues.saturating_mul(each).saturating_add(beside));
    keys.entry("msix_vectors".to_owned()).or_insert_with(|| all.min(MAX_MSIX).to_string());
}

/// A bus that no function of the machine is on.
fn free_address(machine: &Machine) -> String {
    let taken = |bus: u16| machine.pci.iter().any(|d| d.segment == 0 && d.bdf >> 8 == bus);
    let bus = (1..=0xf0u16).rev().find(|&bus| !taken(bus)).unwrap_or(0xf1);
    format!("0000:{bus:02x}:00.0")
}

/// Reads a device that is added to a machine. The machine file's reader checks it.
pub(crate) fn parse(machine: &Machine, text: &str) -> Result<PciDevice, Mistake> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let mut keys = if rest.is_empty() { BTreeMap::new() } else { keys(rest)? };
    complete(name, &mut keys, machine.possible);
    keys.entry("address".to_owned()).or_insert_with(|| quoted(&free_address(machine)));
    let nodes: Vec<String> = machine.nodes.iter().map(|node| quoted(&node.list())).collect();
    let mut file = format!(
        "kernel = \"{}\"\n[cpus]\npossible = {}\nnodes = [{}]\napic = \"x2apic\"\ninterrupt_remapping = true\n\
         [[pci]]\nmodel = {}\n",
        machine.kernel.name(),
        machine.possible,
        nodes.join(", "),
        quoted(name)
    );
    for (key, value) in &keys {
        // Writing to a String cannot fail.
        let _ = writeln!(file, "{key} = {value}");
    }
    let found = Machine::parse(OPTION, &file).map_err(|e| {
        let label = e.place().map(|place| place.label().to_owned()).unwrap_or_default();
        let label = label.strip_prefix("expected ").unwrap_or(&label).to_owned();
        let (found, expected) = match e.to_string() {
            plain if plain == "this is no machine file" => (label, "a key of docs/machines.md".to_owned()),
            found => (found, label),
        };
        Mistake::new(OPTION, format!("`{text}`: {found}"), expected)
    })?;
    let Some(device) = found.pci.into_iter().next() else {
        return Err(Mistake::new(OPTION, format!("`{text}` is no device"), EXPECTED));
    };
    if machine.pci.iter().any(|d| (d.segment, d.bdf) == (device.segment, device.bdf)) {
        return Err(Mistake::new(
            OPTION,
            format!("{} is a function of the machine already", device.address),
            "an address that is free, or none for one that irqlab chooses",
        ));
    }
    if let Some(pin) = device.intx_gsi
        && machine.isa.iter().any(|isa| isa.gsi == pin)
    {
        return Err(Mistake::new(OPTION, format!("pin {pin} is an ISA interrupt's"), "another pin"));
    }
    Ok(device)
}

/// The place of a function that is removed.
pub(crate) fn find(machine: &Machine, text: &str) -> Result<usize, Mistake> {
    let whole = if text.matches(':').count() == 1 { format!("0000:{text}") } else { text.to_owned() };
    let Some(at) = parse_bdf(&whole) else {
        return Err(Mistake::new(
            "--remove",
            format!("`{text}` is no PCI address"),
            "segment:bus:device.function, as in 0000:00:03.0",
        ));
    };
    machine.pci.iter().position(|d| (d.segment, d.bdf) == at).ok_or_else(|| {
        let all: Vec<&str> = machine.pci.iter().map(|d| d.address.as_str()).collect();
        let known = match all[..] {
            [] => "the machine has no PCI functions".to_owned(),
            [.., _] if all.len() > 8 => {
                format!("one of {} functions: {}, ...", all.len(), all[..8].join(", "))
            }
            _ => all.join(", "),
        };
        Mistake::new("--remove", format!("there is no function {whole}"), known)
    })
}
