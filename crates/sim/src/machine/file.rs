//! The TOML form of a machine, and the checks of every value in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use diagnostic::Place;
use kstate::cpumask::MAX_CPUS;
use kstate::hw::pci::{DeviceModel, Parameter};
use kstate::semantics::KernelVersion;
use kstate::topology::CpuPlace;
use kstate::{CpuId, CpuMask, NodeId};
use serde::Deserialize;
use toml::Spanned;

use crate::params::{self, Problem};

use super::boot::{Boot, BootFile, Known};
use super::{ApicMode, BoardLine, IsaOverride, MAX_MSIX, Machine, MachineError, PciDevice, apic_id};
use super::{board, cpus};

/// CPUs that 8-bit APIC IDs can name: 255 is the broadcast.
const XAPIC_CPUS: u32 = 255;
/// The largest APIC ID that a message holds which nobody remaps.
const LAST_APIC_ID: u32 = XAPIC_CPUS - 1;
/// What lets messages name any CPU.
const WIDE: &str = "apic = \"x2apic\" with interrupt_remapping = true";
/// Interrupts of an IO-APIC with 24 pins.
pub(super) const IOAPIC_PINS: u32 = 24;
/// ISA interrupts.
pub(super) const ISA_IRQS: u32 = 16;
/// The pins above those of ISA interrupts.
const PCI_PIN: u32 = 16;
/// What an MSI capability can ask for (PCI Local Bus 3.0, 6.8.1.3): the field holds a power of two.
const MSI_MESSAGES: [u32; 7] = [0, 1, 2, 4, 8, 16, 32];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kernel: Spanned<String>,
    #[serde(default)]
    platform: Option<Spanned<String>>,
    cmdline: Option<Spanned<String>>,
    unknown_parameters: Option<Spanned<String>>,
    cpus: Spanned<Cpus>,
    #[serde(default)]
    isa: Vec<Isa>,
    ioapics: Option<Spanned<Vec<u32>>>,
    #[serde(default)]
    line: Vec<Line>,
    #[serde(default)]
    pci: Vec<Spanned<Pci>>,
    #[serde(default)]
    boot: Boot,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cpus {
    possible: Spanned<u32>,
    present: Option<Spanned<u32>>,
    sockets: Option<Spanned<u32>>,
    cores_per_socket: Option<Spanned<u32>>,
    threads_per_core: Option<Spanned<u32>>,
    nodes: Option<Vec<Spanned<String>>>,
    siblings: Option<Spanned<Vec<Spanned<String>>>>,
    packages: Option<Spanned<Vec<Spanned<String>>>>,
    apic_ids: Option<Spanned<Vec<u32>>>,
    offline: Option<Spanned<String>>,
    l2: Option<Vec<Spanned<String>>>,
    apic: Option<Spanned<String>>,
    #[serde(default)]
    interrupt_remapping: bool,
    #[serde(default)]
    hypervisor: bool,
    smt_vulnerable: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Isa {
    irq: Spanned<u32>,
    gsi: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    gsi: Spanned<u32>,
    name: Spanned<String>,
    level: Option<bool>,
}

/// A function: which keys there are depends on its model.
type Pci = BTreeMap<Spanned<String>, Spanned<toml::Value>>;

/// Reports mistakes of one file.
pub(super) struct Reporter<'a> {
    name: &'a str,
    text: &'a str,
}

impl Reporter<'_> {
    pub(super) fn error(
        &self,
        span: Range<usize>,
        message: String,
        expected: impl Into<String>,
    ) -> Box<MachineError> {
        Box::new(MachineError {
            message,
            place: Place::new(self.name, self.text, span, expected),
            help: None,
        })
    }

    /// A number within bounds.
    pub(super) fn within(
        &self,
        what: &str,
        value: &Spanned<u32>,
        min: u32,
        max: u32,
    ) -> Result<u32, Box<MachineError>> {
        let n = *value.get_ref();
        if (min..=max).contains(&n) {
            return Ok(n);
        }
        Err(self.error(
            value.span(),
            format!("{what} is {n}"),
            format!("expected a number from {min} to {max}"),
        ))
    }
}

/// `0000:00:03.0` as its segment, and bus, device and function in one number. A segment that no firmware but a
/// driver made, as that of a volume management device, has more than four digits.
pub fn parse_bdf(text: &str) -> Option<(u32, u16)> {
    let hex = |t: &str, digits: core::ops::RangeInclusive<usize>| -> Option<u32> {
        (digits.contains(&t.len()) && t.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u32::from_str_radix(t, 16).ok())?
    };
    let [domain, bus, rest] = text.split(':').collect::<Vec<_>>()[..] else { return None };
    let (device, function) = rest.split_once('.')?;
    let (segment, bus) = (hex(domain, 4..=8)?, hex(bus, 2..=2)?);
    let (device, function) = (hex(device, 2..=2)?, hex(function, 1..=1)?);
    // The way back gives four digits, or as many as it needs.
    let plain = domain.len() == 4 || !domain.starts_with('0');
    (plain && device < 32 && function < 8).then_some((segment, (bus << 8 | device << 3 | function) as u16))
}

/// Lists stand in place of numbers, not beside them.
fn either<T>(
    report: &Reporter<'_>,
    key: &str,
    lists: &Option<Spanned<T>>,
    numbers: &[&Option<Spanned<u32>>],
) -> Result<(), Box<MachineError>> {
    match (lists, numbers.iter().find_map(|n| n.as_ref())) {
        (Some(_), Some(number)) => Err(report.error(
            number.span(),
            format!("`{key}` says that already"),
            format!("expected lists or numbers: no such line beside `{key}`"),
        )),
        _ => Ok(()),
    }
}

/// The kernel of the same release: v6.12 for 6.12.11.
fn nearest_kernel(text: &str) -> Option<&'static str> {
    let release = |text: &str| -> Option<(u32, u32)> {
        let mut numbers = text.trim_start_matches('v').split(['.', '-']);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    let wanted = release(text)?;
    KernelVersion::ALL.iter().map(|kernel| kernel.name()).find(|name| release(name) == Some(wanted))
}

/// Reads a machine file; `name` is what error messages call it.
pub(super) fn read(name: &str, text: &str) -> Result<Machine, Box<MachineError>> {
    let report = Reporter { name, text };
    check(&report, parse(&report)?)
}

/// Reads a file of messages that goes with `machine`.
pub(super) fn read_boot(
    machine: &Machine,
    name: &str,
    text: &str,
) -> Result<Vec<super::BootInterrupt>, Box<MachineError>> {
    let report = Reporter { name, text };
    let BootFile { boot } = parse(&report)?;
    if let Some(span) = boot.first_vector() {
        return Err(report.error(
            span,
            "[[boot.vector]] in a file of messages".to_owned(),
            "expected [[boot.interrupt]] only; vectors belong into the machine file",
        ));
    }
    let &Machine { kernel, possible, present, interrupt_remapping, ref pci, ref lines, .. } = machine;
    let first_msi = machine.first_msi();
    let known = Known { kernel, possible, present, interrupt_remapping, first_msi, pci, lines };
    boot.interrupts(&report, &known, &machine.boot_vectors, machine.boot_interrupts.clone())
}

fn parse<'de, T: Deserialize<'de>>(report: &Reporter<'de>) -> Result<T, Box<MachineError>> {
    toml::from_str(report.text).map_err(|e| {
        let span = e.span().unwrap_or(0..report.text.len().min(1));
        report.error(span, "this is no machine file".to_owned(), diagnostic::reader::in_words(e.message()))
    })
}

fn check(report: &Reporter<'_>, file: File) -> Result<Machine, Box<MachineError>> {
    let kernel = KernelVersion::from_name(file.kernel.get_ref()).ok_or_else(|| {
        let known = KernelVersion::names();
        report.error(
            file.kernel.span(),
            format!("unknown kernel `{}`", file.kernel.get_ref()),
            match nearest_kernel(file.kernel.get_ref()) {
                Some(near) => format!("expected {known}; {near} is the nearest"),
                None => format!("expected {known}"),
            },
        )
    })?;
    if let Some(platform) = &file.platform
        && platform.get_ref() != "q35"
    {
        return Err(report.error(
            platform.span(),
            format!("unknown platform `{}`", platform.get_ref()),
            "expected q35, the only chipset that is modelled",
        ));
    }
    let cpus_span = file.cpus.span();
    let cpus = file.cpus.into_inner();
    let possible = report.within("the number of possible CPUs", &cpus.possible, 1, MAX_CPUS)?;
    let present = match &cpus.present {
        Some(n) => report.within("the number of present CPUs", n, 1, possible)?,
        None => possible,
    };
    let count = |what: &str, value: &Option<Spanned<u32>>| match value {
        Some(n) => report.within(what, n, 1, possible),
        None => Ok(1),
    };
    let sockets = count("sockets", &cpus.sockets)?;
    let threads_per_core = count("threads_per_core", &cpus.threads_per_core)?;
    let cores_per_socket = match &cpus.cores_per_socket {
        Some(_) => count("cores_per_socket", &cpus.cores_per_socket)?,
        None => (possible / (sockets * threads_per_core)).max(1),
    };
    if u64::from(sockets) * u64::from(cores_per_socket) * u64::from(threads_per_core) != u64::from(possible) {
        return Err(report.error(
            cpus.possible.span(),
            format!("{sockets} sockets of {cores_per_socket} cores of {threads_per_core} threads are not {possible} CPUs"),
            "expected sockets x cores_per_socket x threads_per_core",
        ));
    }
    let nodes = match &cpus.nodes {
        None => vec![CpuMask::first_n(possible)],
        Some(lists) => split(report, ("nodes", "node"), lists, possible, kernel, &cpus_span)?,
    };
    either(report, "siblings", &cpus.siblings, &[&cpus.cores_per_socket, &cpus.threads_per_core])?;
    either(report, "packages", &cpus.packages, &[&cpus.sockets, &cpus.cores_per_socket])?;
    let places = cpus::Lists {
        possible,
        siblings: cpus.siblings.as_ref().map(|lists| lists.get_ref().as_slice()),
        packages: cpus.packages.as_ref().map(|lists| lists.get_ref().as_slice()),
        apic_ids: cpus.apic_ids.as_ref(),
        cores_per_socket,
        threads_per_core,
        nodes: &nodes,
        kernel,
    }
    .places(report)?;
    let l2 = match &cpus.l2 {
        None => Vec::new(),
        Some(lists) => {
            let l2 = split(report, ("l2", "L2"), lists, possible, kernel, &cpus_span)?;
            let of = |cpu: CpuId| {
                let core = cpu.0 / threads_per_core;
                places
                    .get(cpu.index())
                    .map_or((core / cores_per_socket, core), |place| (place.socket, place.core))
            };
            caches_are_whole(report, &l2, lists, &nodes, possible, of)?;
            l2
        }
    };
    let offline = cpus::offline(report, cpus.offline.as_ref(), present, kernel)?;
    let apic = match &cpus.apic {
        None => ApicMode::Xapic,
        Some(mode) => match mode.get_ref().as_str() {
            "xapic" => ApicMode::Xapic,
            "x2apic" => ApicMode::X2apic,
            other => {
                return Err(report.error(
                    mode.span(),
                    format!("unknown APIC mode `{other}`"),
                    "expected xapic or x2apic",
                ));
            }
        },
    };
    let wide = apic == ApicMode::X2apic && cpus.interrupt_remapping;
    if !wide && possible > XAPIC_CPUS {
        return Err(report.error(
            cpus.possible.span(),
            format!("{possible} CPUs with 8-bit APIC IDs"),
            format!("expected at most {XAPIC_CPUS}, or {WIDE}"),
        ));
    }
    // Without remapping the kernels leave x2APIC mode alone (`try_to_enable_x2apic()`), and a message has
    // eight bits for its destination.
    let place = |cpu: u32| match places.get(cpu as usize) {
        Some(place) => place.apic_id,
        None => apic_id(cpu, cores_per_socket, threads_per_core),
    };
    if let Some((cpu, id)) = (0..present).map(|cpu| (cpu, place(cpu))).find(|(_, id)| id.0 > LAST_APIC_ID)
        && !wide
    {
        return Err(report.error(
            cpus.apic_ids
                .as_ref()
                .map_or(cpus.sockets.as_ref().unwrap_or(&cpus.possible).span(), Spanned::span),
            format!("CPU {cpu} has APIC ID {}, which no interrupt message can name", id.0),
            format!("expected IDs up to {LAST_APIC_ID} with the room for cores and threads, or {WIDE}"),
        ));
    }
    let ignore = match &file.unknown_parameters {
        None => false,
        Some(what) if what.get_ref() == "ignore" => true,
        Some(what) => {
            return Err(report.error(
                what.span(),
                format!("`{}` is nothing to do with unknown parameters", what.get_ref()),
                "expected \"ignore\", or no such line for an error",
            ));
        }
    };
    let one_thread = |places: &[CpuPlace]| {
        let mut cores: Vec<u32> = places.iter().map(|place| place.core).collect();
        cores.sort_unstable();
        cores.windows(2).all(|pair| pair[0] != pair[1])
    };
    let smt = if places.is_empty() { threads_per_core > 1 } else { !one_thread(&places) };
    let smt_known = !smt || cpus.smt_vulnerable.is_some();
    let cmdline = match &file.cmdline {
        None => String::new(),
        Some(text) => command_line(report, text, ignore, smt_known)?,
    };
    let mut isa: Vec<IsaOverride> = Vec::new();
    for entry in &file.isa {
        // IRQ 0 is the timer's, which every PC of this chipset has on pin 2.
        let irq = report.within("an ISA interrupt", &entry.irq, 1, ISA_IRQS - 1)?;
        let gsi = report.within("the pin of an ISA interrupt", &entry.gsi, PCI_PIN, IOAPIC_PINS - 1)?;
        if isa.iter().any(|e| e.irq == irq) {
            return Err(report.error(
                entry.irq.span(),
                format!("ISA interrupt {irq} is there twice"),
                "expected an interrupt that has no other pin",
            ));
        }
        if isa.iter().any(|e| e.gsi == gsi) {
            return Err(report.error(
                entry.gsi.span(),
                format!("pin {gsi} is there twice"),
                "expected a pin that has no other ISA interrupt",
            ));
        }
        isa.push(IsaOverride { irq, gsi });
    }
    let more_gsis = cpus::more_pins(report, file.ioapics.as_ref(), IOAPIC_PINS)?;
    let mut lines: Vec<BoardLine> = Vec::new();
    for entry in &file.line {
        let gsi = report.within("the pin of a line", &entry.gsi, 0, IOAPIC_PINS - 1)?;
        let name = entry.name.get_ref().clone();
        // /proc/interrupts has a line for each interrupt, and the cascade has none.
        if lines.iter().any(|line| line.gsi == gsi) || gsi == 2 || gsi == 0 {
            return Err(report.error(
                entry.gsi.span(),
                format!("pin {gsi} is there twice, the timer's or the cascade's"),
                "expected a pin that no other [[line]] has, and not 0 or 2",
            ));
        }
        if name.is_empty() || name.contains(char::is_control) {
            return Err(report.error(
                entry.name.span(),
                "a line without a name".to_owned(),
                "expected what its driver calls it, with a comma and a space between several names",
            ));
        }
        lines.push(BoardLine { gsi, name, level: entry.level });
    }
    let mut numbers: BTreeSet<u32> = BTreeSet::new();
    let mut pci: Vec<PciDevice> = Vec::new();
    for function in &file.pci {
        let device = pci_device(report, function, nodes.len() as u32)?;
        let first = IOAPIC_PINS + more_gsis;
        if let Some(irq) = device.irqs.iter().find(|&&irq| irq < first || !numbers.insert(irq)) {
            return Err(report.error(
                span_of(function, "irqs"),
                format!("interrupt {irq} is there twice, or a pin's"),
                format!("expected numbers from {first} on that no other message has"),
            ));
        }
        if pci.iter().any(|d| (d.segment, d.bdf) == (device.segment, device.bdf)) {
            return Err(report.error(
                span_of(function, "address"),
                format!("{} is there twice", device.address),
                "expected an address that no other function has",
            ));
        }
        if let Some(pin) = device.intx_gsi
            && isa.iter().any(|e| e.gsi == pin)
        {
            return Err(report.error(
                span_of(function, "intx_gsi"),
                format!("pin {pin} is an ISA interrupt's"),
                "expected a pin that is not listed under [[isa]]",
            ));
        }
        pci.push(device);
    }
    pci.sort_by_key(|d| (d.segment, d.bdf));
    let first_msi = IOAPIC_PINS + more_gsis;
    let known = Known {
        kernel,
        possible,
        present,
        interrupt_remapping: cpus.interrupt_remapping,
        first_msi,
        pci: &pci,
        lines: &lines,
    };
    let (boot_vectors, boot_interrupts) = file.boot.check(report, &known)?;
    let found = file.boot.found(report, &known)?;
    Ok(Machine {
        kernel,
        cmdline,
        possible,
        present,
        sockets,
        cores_per_socket,
        threads_per_core,
        nodes,
        l2,
        apic,
        interrupt_remapping: cpus.interrupt_remapping,
        hypervisor: cpus.hypervisor,
        smt_vulnerable: cpus.smt_vulnerable,
        isa,
        pci,
        boot_vectors,
        boot_interrupts,
        places,
        offline,
        more_gsis,
        lines,
        found,
    })
}

/// The kernel command line: every word is known.
fn command_line(
    report: &Reporter<'_>,
    text: &Spanned<String>,
    ignore: bool,
    smt_known: bool,
) -> Result<String, Box<MachineError>> {
    // Where the file has the text as it is, without escapes, a word has its own place.
    let raw = report.text.get(text.span()).unwrap_or_default();
    let inner = raw.find(text.get_ref().as_str()).map(|at| text.span().start + at);
    for arg in params::args(text.get_ref()) {
        let span = inner.map_or(text.span(), |at| at + arg.start..at + arg.end);
        let error = |message, expected: &str, help| {
            let mut error = report.error(span.clone(), message, expected);
            error.help = help;
            error
        };
        let word = &text.get_ref()[arg.start..arg.end];
        match params::check(&arg) {
            Ok(()) if !smt_known && params::wants_nosmt_if_vulnerable(&arg) => {
                return Err(error(
                    format!("whether `{word}` switches SMT off depends on the CPUs"),
                    "expected smt_vulnerable = true or false under [cpus]",
                    None,
                ));
            }
            Ok(()) => {}
            Err(Problem::NotModelled { why }) => {
                return Err(error(
                    format!("the kernel parameter `{word}` is not modelled"),
                    &format!("{why}: expected a command line without it"),
                    None,
                ));
            }
            Err(Problem::Unknown { .. }) if ignore => {}
            Err(Problem::Unknown { near }) => {
                let near = (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")));
                let ignore = "unknown_parameters = \"ignore\" lets them pass as a kernel does";
                let help = near.map_or(ignore.to_owned(), |near| format!("{near} {ignore}"));
                return Err(error(
                    format!("unknown kernel parameter `{}`", arg.param),
                    "expected a parameter of the kernel",
                    Some(help),
                ));
            }
        }
    }
    Ok(text.get_ref().clone())
}

/// The lists of a key that gives each possible CPU to one of them: to one `what`.
fn split(
    report: &Reporter<'_>,
    (key, what): (&str, &str),
    lists: &[Spanned<String>],
    possible: u32,
    kernel: KernelVersion,
    cpus_span: &Range<usize>,
) -> Result<Vec<CpuMask>, Box<MachineError>> {
    let (masks, seen) = cpus::disjoint(report, what, lists, possible, kernel)?;
    if let Some(missing) = CpuMask::first_n(possible).andnot(&seen).first() {
        return Err(report.error(
            cpus_span.clone(),
            format!("CPU {missing} is in no {what}"),
            format!("expected every possible CPU in one of `{key}`"),
        ));
    }
    Ok(masks)
}

/// No L2 cache has CPUs of two sockets or nodes, and none has a part of a core's threads. `of` says of a CPU
/// which socket and which core it is in.
fn caches_are_whole(
    report: &Reporter<'_>,
    l2: &[CpuMask],
    lists: &[Spanned<String>],
    nodes: &[CpuMask],
    possible: u32,
    of: impl Fn(CpuId) -> (u32, u32),
) -> Result<(), Box<MachineError>> {
    let node = |cpu| nodes.iter().position(|node| node.contains(cpu));
    // A CPU of each core, and the cache it is in.
    let mut cores: BTreeMap<(u32, u32), (CpuId, usize)> = BTreeMap::new();
    for cpu in (0..possible).map(CpuId) {
        let Some(number) = l2.iter().position(|mask| mask.contains(cpu)) else { continue };
        let Some(first) = l2[number].first() else { continue };
        let mistake = |found: String, expected: &str| {
            Err(report.error(lists[number].span(), found, format!("expected {expected}")))
        };
        if of(cpu).0 != of(first).0 {
            let found = format!("CPUs {first} and {cpu} share an L2 and are in two sockets");
            return mistake(found, "CPUs of one socket");
        }
        if node(cpu) != node(first) {
            let found = format!("CPUs {first} and {cpu} share an L2 and are in two nodes");
            return mistake(found, "CPUs of one node");
        }
        let (mate, its) = *cores.entry(of(cpu)).or_insert((cpu, number));
        if its != number {
            let found = format!("CPUs {mate} and {cpu} are threads of a core and have two L2s");
            return mistake(found, "all threads of a core in one of `l2`");
        }
    }
    Ok(())
}

/// Where the value of a key stands.
fn span_of(table: &Spanned<Pci>, key: &str) -> Range<usize> {
    let value = table.get_ref().iter().find(|(k, _)| k.get_ref() == key);
    value.map_or(table.span(), |(_, value)| value.span())
}

/// The keys of every function.
const PCI_KEYS: [&str; 9] =
    ["address", "model", "node", "msix_vectors", "msi_vectors", "msi_maskable", "intx_gsi", "irqs", "probe"];

/// A function's table, read key by key.
pub(super) struct Function<'a> {
    pub(super) report: &'a Reporter<'a>,
    table: &'a Spanned<Pci>,
}

impl<'a> Function<'a> {
    fn find(&self, key: &str) -> Option<&'a Spanned<toml::Value>> {
        self.table.get_ref().iter().find(|(k, _)| k.get_ref() == key).map(|(_, value)| value)
    }

    fn mistake(&self, span: Range<usize>, expected: String) -> Box<MachineError> {
        self.report.error(span, "this is no machine file".to_owned(), expected)
    }

    fn needed<T>(&self, key: &str, value: Option<T>) -> Result<T, Box<MachineError>> {
        value.ok_or_else(|| self.mistake(self.table.span(), format!("missing field `{key}`")))
    }

    pub(super) fn read<T>(
        &self,
        key: &str,
        what: &str,
        as_is: impl Fn(&'a toml::Value) -> Option<T>,
    ) -> Result<Option<Spanned<T>>, Box<MachineError>> {
        let Some(value) = self.find(key) else { return Ok(None) };
        match as_is(value.get_ref()) {
            Some(read) => Ok(Some(Spanned::new(value.span(), read))),
            None => Err(self.mistake(value.span(), format!("invalid value of `{key}`, expected {what}"))),
        }
    }

    fn text(&self, key: &str) -> Result<Spanned<&'a str>, Box<MachineError>> {
        let text = self.read(key, "a text in quotes", toml::Value::as_str)?;
        self.needed(key, text)
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<Spanned<u32>>, Box<MachineError>> {
        self.read(key, "a number from 0 on", |v| v.as_integer().and_then(|n| u32::try_from(n).ok()))
    }

    /// A number within bounds that has to be there.
    fn within(&self, key: &str, what: &str, min: u32, max: u32) -> Result<u32, Box<MachineError>> {
        let number = self.number(key)?;
        self.report.within(what, &self.needed(key, number)?, min, max)
    }

    /// The values of a model's own keys. Keys that it does not know are refused; `more` are read elsewhere.
    fn parameters(&self, model: &DeviceModel, more: &[&'static str]) -> Result<Vec<u32>, Box<MachineError>> {
        let own = model.parameters;
        for key in self.table.get_ref().keys() {
            let name = key.get_ref().as_str();
            if !PCI_KEYS.contains(&name) && !more.contains(&name) && !own.iter().any(|p| p.key == name) {
                let known = PCI_KEYS.iter().chain(more).copied().chain(own.iter().map(|p| p.key));
                let known: Vec<String> = known.map(|key| format!("`{key}`")).collect();
                let known = format!("unknown field `{name}`, expected one of {}", known.join(", "));
                return Err(self.mistake(key.span(), known));
            }
        }
        let value = |p: &Parameter| {
            let number = self.number(p.key)?;
            if let (None, Some(default)) = (&number, p.default) {
                return Ok(default);
            }
            let number = number.ok_or_else(|| {
                self.report.error(
                    self.find("model").map_or(self.table.span(), Spanned::span),
                    format!("a {} needs `{}`", model.name, p.key),
                    format!("expected {} = N below", p.key),
                )
            })?;
            self.report.within(p.key, &number, p.min, p.max)
        };
        own.iter().map(value).collect()
    }

    /// The MSI capability: its messages, and whether they can be masked.
    fn msi(&self, model: &DeviceModel) -> Result<(u32, bool), Box<MachineError>> {
        let report = self.report;
        let vectors = match self.number("msi_vectors")? {
            None => 0,
            Some(n) if !MSI_MESSAGES.contains(n.get_ref()) => {
                return Err(report.error(
                    n.span(),
                    format!("an MSI capability that asks for {} messages", n.get_ref()),
                    "expected 0, or a power of two up to 32",
                ));
            }
            Some(n) if *n.get_ref() > 0 && !model.can_msi => {
                return Err(report.error(
                    n.span(),
                    format!("a {} with an MSI capability", model.name),
                    "expected 0: its driver uses MSI-X or the line",
                ));
            }
            Some(n) => *n.get_ref(),
        };
        match self.read("msi_maskable", "true or false", toml::Value::as_bool)? {
            Some(maskable) if vectors == 0 => Err(report.error(
                maskable.span(),
                "mask bits without an MSI capability".to_owned(),
                "expected msi_vectors = N as well",
            )),
            maskable => Ok((vectors, maskable.is_none_or(Spanned::into_inner))),
        }
    }
}

fn pci_device(
    report: &Reporter<'_>,
    table: &Spanned<Pci>,
    nodes: u32,
) -> Result<PciDevice, Box<MachineError>> {
    let f = Function { report, table };
    let address = f.text("address")?;
    let (segment, bdf) = parse_bdf(address.get_ref()).ok_or_else(|| {
        report.error(
            address.span(),
            format!("`{}` is no PCI address", address.get_ref()),
            "expected domain:bus:device.function, as in 0000:00:03.0",
        )
    })?;
    let word = f.text("model")?;
    let model = drivers::DEVICES.into_iter().find(|model| model.name == *word.get_ref());
    let profile = drivers::profile::find(word.get_ref());
    let (model, profile) = match (model, profile) {
        (Some(model), _) => (model, None),
        (None, Some(profile)) => (&drivers::profile::hw::MODEL, Some(profile)),
        (None, None) => {
            let profiles = drivers::profile::table::PROFILES.iter().map(|profile| profile.driver.name);
            let known: Vec<&str> = drivers::DEVICES.iter().map(|model| model.name).chain(profiles).collect();
            let (last, others) = known.split_last().unwrap_or((&"", &[]));
            return Err(report.error(
                word.span(),
                format!("unknown device `{}`", word.get_ref()),
                format!("expected {} or {last}", others.join(", ")),
            ));
        }
    };
    let parameters = f.parameters(model, if profile.is_some() { &board::KEYS } else { &[] })?;
    let board = match profile {
        Some(profile) => Some(board::read(&f, profile)?),
        None => None,
    };
    let node = match f.number("node")? {
        Some(node) => Some(NodeId(report.within("the node of a function", &node, 0, nodes - 1)?)),
        None => None,
    };
    let (msi_vectors, msi_maskable) = f.msi(model)?;
    Ok(PciDevice {
        address: (*address.get_ref()).to_owned(),
        segment,
        bdf,
        model,
        parameters,
        node,
        msix_vectors: f.within("msix_vectors", "the size of an MSI-X table", 0, MAX_MSIX)?,
        msi_vectors,
        msi_maskable,
        intx_gsi: match f.number("intx_gsi")? {
            Some(pin) => Some(report.within("an IO-APIC pin", &pin, PCI_PIN, IOAPIC_PINS - 1)?),
            None => None,
        },
        board,
        probe: f.number("probe")?.map(Spanned::into_inner),
        irqs: match f.read("irqs", "a string", toml::Value::as_str)? {
            None => Vec::new(),
            Some(list) => cpus::numbers(list.get_ref(), MAX_MSIX as usize).ok_or_else(|| {
                report.error(
                    list.span(),
                    format!("`{}` is no list of interrupts", list.get_ref()),
                    "expected numbers in the order of the messages, as in \"144,151-262\"",
                )
            })?,
        },
    })
}
