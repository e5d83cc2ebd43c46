//! From what the files say to a machine file.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use kstate::semantics::{KernelVersion, Semantics};
use kstate::{CpuId, CpuMask};
use sim::machine::Machine;
use sim::params;

use crate::drivers::{Prior, driver, prior};
use crate::facts::{Facts, Function};
use crate::interrupts::Row;
use crate::managed::{Spread, Spreads, Verdict};
use crate::report::Report;
use crate::tree::numbered;
use crate::{ImportError, Options};

/// Pins of the first IO-APIC, and the first one that is no ISA interrupt's.
const PINS: u32 = 24;
const FIRST_PCI_PIN: u32 = 16;
/// What a PC has without a word in its machine file: pins, names and trigger modes.
const PC_LINES: [(u32, &str, bool); 5] =
    [(1, "i8042", false), (3, "ttyS1", false), (4, "ttyS0", false), (9, "acpi", true), (12, "i8042", false)];
/// Interrupts have smaller numbers: `IRQ_BITMAP_BITS` and `MAX_SPARSE_IRQS` are far below.
const MOST_IRQS: u32 = 1 << 24;
/// The most pins of an IO-APIC.
const MOST_PINS: u32 = 240;

/// What import made of a source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// The machine file.
    pub text: String,
    /// The machine in it.
    pub machine: Machine,
    /// Interrupts that are managed, by number.
    pub managed: BTreeSet<u32>,
    /// How many CPUs and nodes there are, how many functions and interrupts, in words.
    pub summary: String,
}

/// A function, and what was decided about it.
struct Decided<'a> {
    address: &'a str,
    function: &'a Function,
    driver: Option<(String, &'static str)>,
    vectors: u32,
    irqs: Vec<u32>,
    /// The number of its line, where it uses that and no messages.
    line: Option<u32>,
    verdict: Verdict,
    prior: Prior,
}

/// A whole device of irqlab's in place of a profile.
struct Whole {
    model: &'static str,
    /// The key that says how many queues it has.
    queues: Option<(&'static str, u32)>,
    /// Where it stands in the order of probing, if not by its first number.
    probe: Option<u32>,
}

/// A string in TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn quoted_lists(masks: &[CpuMask]) -> String {
    let lists: Vec<String> = masks.iter().map(|mask| quoted(&mask.list())).collect();
    format!("[{}]", lists.join(", "))
}

/// Numbers in their order, with ranges where they go up by one.
fn ranges(numbers: &[u32]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < numbers.len() {
        let mut end = at;
        while end + 1 < numbers.len() && numbers[end + 1] == numbers[end] + 1 {
            end += 1;
        }
        if !out.is_empty() {
            out.push(',');
        }
        let _ = write!(out, "{}", numbers[at]);
        if end > at {
            let _ = write!(out, "-{}", numbers[end]);
        }
        at = end + 1;
    }
    out
}

/// Makes a machine file of what is known.
pub(crate) fn build(facts: &Facts, options: &Options, report: &mut Report) -> Result<Imported, ImportError> {
    foreign(facts)?;
    let numbers = facts.functions.values().flat_map(|f| f.messages.values().chain(&f.others));
    if let Some(irq) = facts.irqs.keys().chain(numbers).find(|irq| **irq >= MOST_IRQS) {
        return Err(ImportError::Machine { found: format!("an interrupt has the number {irq}") });
    }
    let cpus = cpus(facts, options, report)?;
    let first_msi = first_msi(facts, report);
    let bare = facts.on_lines(report);
    let functions = facts.functions.iter().chain(&bare);
    let mut decided: Vec<Decided<'_>> = functions.map(|(address, f)| decide(facts, address, f)).collect();
    behind_vmd(&mut decided, report);
    decided.retain(|d| d.vectors > 0 || d.line.is_some() || d.function.id == Some(drivers::test::hw::ID));
    // The order in which drivers probe.
    decided.sort_by_key(|d| {
        let virtio = d.driver.as_ref().is_some_and(|(driver, _)| driver.starts_with("virtio_"));
        (d.irqs.first().copied().unwrap_or(u32::MAX), !virtio, sim::machine::parse_bdf(d.address))
    });
    infer_tails(facts, &mut decided, report);

    // The kernel whose spread the most functions have that are known to spread; of several the nearest one.
    let mut best: Option<(usize, KernelVersion, Vec<Verdict>)> = None;
    for kernel in kernels(facts, options) {
        let base = base(kernel, &cpus, first_msi);
        let machine =
            Machine::parse("import", &base).map_err(|e| ImportError::Machine { found: e.to_string() })?;
        let mut spreads = Spreads::new(sim::boot::boot(&machine, Semantics::of(kernel), false));
        let verdicts: Vec<Verdict> =
            decided.iter().map(|d| spreads.verdict(facts, d.function, d.vectors, d.prior)).collect();
        let managed = verdicts.iter().filter(|v| v.spread.is_some() && v.agreed > 0).count();
        let is = verdicts.iter().filter(|v| v.spread.is_some()).count();
        let could = decided.iter().filter(|d| matches!(d.prior, Prior::Managed { .. })).count().max(is);
        if best.as_ref().is_none_or(|(most, ..)| managed > *most) {
            best = Some((managed, kernel, verdicts));
        }
        if managed >= could {
            break;
        }
    }
    let Some((_, kernel, verdicts)) = best else {
        return Err(ImportError::Machine { found: "there is no kernel to try".to_owned() });
    };
    for (d, verdict) in decided.iter_mut().zip(verdicts) {
        d.verdict = verdict;
    }
    said_kernel(facts, options, kernel, report);

    let mut text = header(facts);
    text.push_str(&base(kernel, &cpus, first_msi));
    let pins = lines(facts, &decided, &mut text, report);
    let mut managed = BTreeSet::new();
    let wholes = whole_devices(facts, &decided, &cpus, report);
    for (d, whole) in decided.iter().zip(wholes) {
        function(facts, d, whole.as_ref(), &mut text);
        if let Some(spread) = d.verdict.spread {
            managed.extend(d.irqs.iter().copied().enumerate().filter_map(|(index, irq)| {
                let index = index as u32;
                (spread.pre..d.vectors - spread.post).contains(&index).then_some(irq)
            }));
        }
        said_function(d, whole.is_some(), report);
    }
    let listed: BTreeSet<u32> =
        decided.iter().flat_map(|d| d.irqs.iter().copied().chain(d.line)).chain(pins).collect();
    history(facts, &listed, &managed, &cpus, &mut text, report);
    vectors(facts, &listed, &managed, kernel, cpus.present, &mut text, report);
    let machine =
        Machine::parse("import", &text).map_err(|e| ImportError::Machine { found: e.to_string() })?;
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let summary = format!(
        "{} in {}, {} with {}",
        count(cpus.possible as usize, "CPU"),
        count(cpus.nodes.len(), "node"),
        count(decided.len(), "PCI function"),
        count(facts.interrupts.rows.len(), "interrupt"),
    );
    Ok(Imported { text, machine, managed, summary })
}

/// Functions behind a volume management device: their messages come through its own, and stand nowhere themselves.
fn behind_vmd(decided: &mut Vec<Decided<'_>>, report: &mut Report) {
    let vmd = |d: &Decided<'_>| d.driver.as_ref().is_some_and(|(driver, _)| driver == "vmd");
    if !decided.iter().any(vmd) {
        return;
    }
    decided.retain(|d| {
        let behind = sim::machine::parse_bdf(d.address).is_some_and(|(segment, _)| segment > 0xffff);
        if behind {
            report.left_out(format!(
                "the {} messages of {}: they come through those of a volume management device and have no vectors",
                d.vectors, d.address
            ));
        }
        !behind
    });
}

/// Why a chip's interrupts are left out.
fn not_modelled(chip: &str) -> &'static str {
    match chip {
        _ if chip.starts_with("VMD") => {
            "they come through the messages of a volume management device and have no vectors of their own"
        }
        _ if chip.starts_with("Hyper-V") => "which functions they are of is not in their rows",
        _ => "no such chip is modelled",
    }
}

/// Interrupts that no local APIC brings.
fn foreign(facts: &Facts) -> Result<(), ImportError> {
    let msi = |row: &Row| row.chip.contains("PCI-MSI") || row.chip.contains("IO-APIC");
    let rows = &facts.interrupts.rows;
    let chip = rows.iter().map(|row| row.chip.as_str());
    let others = ["xen", "GIC", "ITS", "XICS", "XIVE", "ARM", "IPI", "PLIC", "RISC-V", "airq", "Hyper-V"];
    let other = chip.clone().find(|chip| others.iter().any(|k| chip.starts_with(k)));
    if let Some(found) = &facts.architecture {
        return Err(ImportError::Architecture { found: found.clone() });
    }
    match other {
        // A guest of Hyper-V has an IO-APIC as well.
        Some(chip) if chip.starts_with("Hyper-V") && rows.iter().any(msi) => Ok(()),
        Some(chip) => Err(ImportError::Foreign { chip: chip.to_owned() }),
        None => Ok(()),
    }
}

/// The CPUs of the machine file.
struct MachineCpus {
    possible: u32,
    present: u32,
    offline: CpuMask,
    nodes: Vec<CpuMask>,
    cores: Vec<CpuMask>,
    packages: Vec<CpuMask>,
    l2: Vec<CpuMask>,
    apic_ids: Vec<u32>,
    remapping: bool,
    x2apic: bool,
    hypervisor: bool,
    cmdline: String,
    nosmt_asked: bool,
}

fn cpus(facts: &Facts, options: &Options, report: &mut Report) -> Result<MachineCpus, ImportError> {
    let found = &facts.cpus;
    let Some(last) = found.present.last() else { return Err(ImportError::NoCpus) };
    let present = last.0 + 1;
    if present != found.present.weight() {
        report.assumed(format!(
            "CPUs 0-{last} are there: the files name {} of them, and numbers have no holes on x86",
            found.present.weight()
        ));
    }
    // One queue for each possible CPU, unless the controller grants fewer.
    let queues = |f: &Function| {
        let names = names(facts, f);
        let nvme = driver(f.driver.as_deref(), "", &names.iter().map(String::as_str).collect::<Vec<_>>())
            .is_some_and(|(driver, _)| driver == "nvme");
        f.messages.keys().max().copied().filter(|_| nvme)
    };
    let nvme = facts.functions.values().filter_map(queues).max();
    let possible = match (options.possible.or(found.possible), nvme) {
        (Some(n), _) => n.max(present),
        (None, Some(n)) if n > present => {
            report.inferred(
                &format!("{n} possible CPUs, {present} of them there"),
                &format!("{} interrupts of an NVMe controller", n + 1),
            );
            n
        }
        (None, nvme) => {
            let agrees = if nvme == Some(present) {
                format!("; {} interrupts of an NVMe controller agree", present + 1)
            } else {
                String::new()
            };
            report.assumed(format!(
                "{present} possible CPUs, those that are there: /sys/devices/system/cpu/possible is missing{agrees}"
            ));
            present
        }
    };
    if possible > kstate::cpumask::MAX_CPUS {
        return Err(ImportError::TooManyCpus { found: possible });
    }
    let all = CpuMask::first_n(possible);
    let mut cores: Vec<CpuMask> = found.cores.clone();
    let known: CpuMask = cores.iter().fold(CpuMask::new(), |all, core| all.or(core));
    let threads = pattern(&cores, present);
    let unknown = CpuMask::first_n(present).andnot(&known);
    if !unknown.is_empty() {
        match threads {
            Some(other) => {
                for cpu in unknown.iter() {
                    let sibling = other(cpu.0);
                    match cores.iter_mut().find(|core| core.contains(CpuId(sibling))) {
                        Some(core) => core.set(cpu),
                        None => {
                            cores.push([cpu, CpuId(sibling)].into_iter().filter(|c| c.0 < present).collect())
                        }
                    }
                }
                report.inferred(
                    &format!("the cores of CPUs {}", unknown.list()),
                    "the pattern of the others: the files of offline CPUs are missing",
                );
            }
            None => report.assumed(format!("no other CPU shares a core with CPUs {}", unknown.list())),
        }
    }
    let cores: Vec<CpuMask> = cores.into_iter().filter(|core| core.weight() > 1).collect();
    let packages = if found.packages.len() > 1 { found.packages.clone() } else { Vec::new() };
    let packages = complete(packages, &all, &cores, &[], "packages", report);
    let known = if found.nodes.is_empty() { nodes_of_masks(facts, report) } else { found.nodes.clone() };
    let nodes = complete(known.clone(), &all, &cores, &options.node_of, "nodes", report);
    let nodes = if nodes.is_empty() {
        if known.is_empty() {
            report.assumed("one node: /sys/devices/system/node is missing");
        }
        vec![all.clone()]
    } else {
        nodes
    };
    let remapping = facts.interrupts.rows.iter().any(|row| row.chip.starts_with("IR-"));
    let largest = found.apic_ids.values().copied().max().unwrap_or(0).max(possible - 1);
    if largest > 254 && !remapping {
        report.assumed("interrupts are remapped: the APIC IDs do not fit into messages otherwise");
    }
    let remapping = remapping || largest > 254;
    if remapping && facts.interrupts.rows.iter().any(|row| row.actions.starts_with("AMD-Vi")) {
        report.assumed("VT-d remaps interrupts: this machine has AMD-Vi, and irqlab one unit of VT-d, with its own dmar0");
    }
    let x2apic = remapping && (found.x2apic || largest > 254);
    let offline = CpuMask::first_n(present).andnot(&found.online);
    let offline = if offline.contains(CpuId(0)) {
        report.left_out("CPU 0 is offline on this machine; irqlab's boot CPU stays online");
        let mut rest = offline;
        rest.clear(CpuId(0));
        rest
    } else {
        offline
    };
    let hypervisor = found.hypervisor || possible > present;
    if hypervisor && !found.hypervisor {
        report.assumed(
            "a hypervisor: more CPUs are possible than are there, which a 6.12 on bare metal does not count",
        );
    }
    let (cmdline, nosmt_asked) = cmdline(facts, report);
    let l2 = caches(found, &all, &cores, &packages, &nodes, report);
    Ok(MachineCpus {
        l2,
        possible,
        present,
        offline,
        nodes,
        cores,
        packages,
        apic_ids: apic_ids(&found.apic_ids, possible, report),
        remapping,
        x2apic,
        hypervisor,
        cmdline,
        nosmt_asked,
    })
}

/// Nodes that the memory of managed interrupts is on: that of the first CPU of the mask, of which the spread takes no
/// others than those of one node (`alloc_descs()`).
fn nodes_of_masks(facts: &Facts, report: &mut Report) -> Vec<CpuMask> {
    let mut nodes: Vec<CpuMask> = Vec::new();
    let managed = facts.irqs.values().filter(|irq| irq.debug.as_ref().is_some_and(|debug| debug.managed));
    for (node, mask) in managed.filter_map(|irq| Some((irq.node?, irq.affinity.as_ref()?))) {
        let Some(node) = usize::try_from(node).ok().filter(|node| *node < 1024) else { continue };
        if nodes.len() <= node {
            nodes.resize(node + 1, CpuMask::new());
        }
        let known = nodes.iter().fold(CpuMask::new(), |known, node| known.or(node));
        nodes[node].or_assign(&mask.andnot(&known));
    }
    if nodes.len() < 2 {
        return Vec::new();
    }
    report.inferred("nodes", "the memory of managed interrupts");
    nodes
}

/// CPUs of each L2 cache; none where nothing says it, or where the threads of a core share one and nobody else.
fn caches(
    found: &crate::facts::Cpus,
    all: &CpuMask,
    cores: &[CpuMask],
    packages: &[CpuMask],
    nodes: &[CpuMask],
    report: &mut Report,
) -> Vec<CpuMask> {
    let mut l2: Vec<CpuMask> = found.l2.iter().map(|mask| mask.and(all)).filter(|m| !m.is_empty()).collect();
    if l2.is_empty() {
        return l2;
    }
    // An offline CPU has no files, and the cache of its core.
    for core in cores {
        let parts = l2.iter().position(|mask| mask.intersects(core));
        if let Some(at) = parts {
            l2[at].or_assign(core);
        }
    }
    let known = l2.iter().fold(CpuMask::new(), |known, mask| known.or(mask));
    let alone = |cpu: CpuId| {
        let core = cores.iter().find(|core| core.contains(cpu)).cloned();
        core.unwrap_or_else(|| CpuMask::of(cpu))
    };
    for cpu in all.andnot(&known).iter() {
        let mask = alone(cpu);
        if mask.first() == Some(cpu) {
            l2.push(mask);
        }
    }
    let whole = |masks: &[CpuMask], l2: &CpuMask| {
        masks.iter().all(|mask| !mask.intersects(l2) || l2.andnot(mask).is_empty())
    };
    let mut seen = CpuMask::new();
    let fits = l2.iter().all(|mask| {
        let once = !mask.intersects(&seen);
        seen.or_assign(mask);
        once && whole(packages, mask) && whole(nodes, mask)
    });
    if !fits {
        report
            .left_out("which CPUs share an L2 cache: the files do not agree with cores, packages and nodes");
        return Vec::new();
    }
    if l2.iter().all(|mask| mask.first().is_some_and(|cpu| alone(cpu) == *mask)) {
        return Vec::new();
    }
    l2.sort_by_key(CpuMask::first);
    l2
}

/// Which CPU shares a core with another one, if all cores follow one of the usual patterns.
fn pattern(cores: &[CpuMask], present: u32) -> Option<Box<dyn Fn(u32) -> u32>> {
    let pairs: Vec<(u32, u32)> = cores
        .iter()
        .filter(|core| core.weight() == 2)
        .filter_map(|core| Some((core.first()?.0, core.last()?.0)))
        .collect();
    let (a, b) = *pairs.first()?;
    let distance = b - a;
    if pairs.iter().any(|(a, b)| b - a != distance) {
        return None;
    }
    if distance == 1 {
        return Some(Box::new(|cpu| cpu ^ 1));
    }
    (distance * 2 == present).then(|| -> Box<dyn Fn(u32) -> u32> {
        Box::new(move |cpu| if cpu < distance { cpu + distance } else { cpu - distance })
    })
}

/// Lists in which each CPU is once: CPUs that no file names go where their sibling is, or on with the pattern.
fn complete(
    mut masks: Vec<CpuMask>,
    all: &CpuMask,
    cores: &[CpuMask],
    given: &[(CpuMask, u32)],
    what: &str,
    report: &mut Report,
) -> Vec<CpuMask> {
    for mask in &mut masks {
        mask.and_assign(all);
    }
    for (cpus, node) in given {
        masks.iter_mut().for_each(|mask| *mask = mask.andnot(cpus));
        if masks.len() <= *node as usize {
            masks.resize(*node as usize + 1, CpuMask::new());
        }
        masks[*node as usize].or_assign(&cpus.and(all));
    }
    if masks.iter().all(CpuMask::is_empty) {
        return Vec::new();
    }
    let known = masks.iter().fold(CpuMask::new(), |known, mask| known.or(mask));
    let unknown = all.andnot(&known);
    if unknown.is_empty() {
        return masks;
    }
    // Two packages whose CPUs alternate go on like that.
    let count = masks.iter().filter(|mask| !mask.is_empty()).count() as u32;
    let alternate = count > 1
        && (0u32..)
            .zip(&masks)
            .all(|(number, mask)| mask.iter().all(|cpu| cpu.0 % masks.len() as u32 == number));
    for cpu in unknown.iter() {
        let sibling = cores.iter().find(|core| core.contains(cpu)).and_then(|core| {
            core.iter().find_map(|other| masks.iter().position(|mask| mask.contains(other)))
        });
        let at = sibling.unwrap_or_else(|| {
            if alternate {
                (cpu.0 % masks.len() as u32) as usize
            } else {
                // With the CPU before it, as firmware lists them.
                let before =
                    (0..cpu.0).rev().find_map(|n| masks.iter().position(|mask| mask.contains(CpuId(n))));
                before.unwrap_or(0)
            }
        });
        masks[at].set(cpu);
    }
    report
        .assumed(format!("the {what} of CPUs {}, which no file names: as the others go on", unknown.list()));
    masks
}

/// APIC IDs for every CPU; none where the firmware's own would be the same or none is known.
fn apic_ids(known: &BTreeMap<u32, u32>, possible: u32, report: &mut Report) -> Vec<u32> {
    if known.is_empty() {
        return Vec::new();
    }
    let taken: BTreeSet<u32> = known.values().copied().collect();
    if taken.len() != known.len() {
        return Vec::new();
    }
    let mut free = (0..).filter(|id| !taken.contains(id));
    let mut invented = 0;
    let ids: Vec<u32> = (0..possible)
        .map(|cpu| {
            known.get(&cpu).copied().unwrap_or_else(|| {
                invented += 1;
                free.next().unwrap_or(u32::MAX)
            })
        })
        .collect();
    if invented > 0 {
        report.assumed(format!("the APIC IDs of {invented} CPUs that are not online: free ones"));
    }
    ids
}

/// Words of the command line that irqlab knows the meaning of. Others name disks and consoles, and are nobody's
/// business.
fn cmdline(facts: &Facts, report: &mut Report) -> (String, bool) {
    let Some(text) = &facts.cmdline else { return (String::new(), false) };
    let mut words = Vec::new();
    let mut nosmt = false;
    for arg in params::args(text) {
        let word = &text[arg.start..arg.end];
        match params::check(&arg) {
            Ok(()) if params::counts(&arg) => {
                nosmt |= params::wants_nosmt_if_vulnerable(&arg);
                words.push(word);
            }
            Err(params::Problem::NotModelled { why }) => {
                report.left_out(format!("`{word}` of the command line: {why}"))
            }
            Ok(()) | Err(params::Problem::Unknown { .. }) => {}
        }
    }
    (words.join(" "), nosmt)
}

/// The lowest number of a message: pins of IO-APICs are below.
fn first_msi(facts: &Facts, report: &mut Report) -> u32 {
    let message = |row: &&Row| {
        ["MSI", "DMAR", "AMD-Vi", "HPET"].iter().any(|kind| row.chip.contains(kind))
            && !row.chip.contains("IO-APIC")
    };
    let rows = facts.interrupts.rows.iter().filter(message).map(|row| row.irq);
    let listed = facts.functions.values().flat_map(|f| f.messages.values().copied());
    let first = rows.chain(listed).min().unwrap_or(PINS);
    if first > PINS {
        report.inferred(&format!("{first} pins of IO-APICs"), "the lowest number of a message");
    }
    first
}

/// The kernels to try, the nearest first.
fn kernels(facts: &Facts, options: &Options) -> Vec<KernelVersion> {
    if let Some(kernel) = options.kernel {
        return vec![kernel];
    }
    let per_device = facts
        .interrupts
        .rows
        .iter()
        .any(|row| row.chip.split_once("PCI-MSI").is_some_and(|(_, rest)| rest.contains(':')));
    let release = facts.release.as_deref().and_then(major_minor);
    let newest = KernelVersion::ALL.last().copied();
    let nearest = match release {
        Some((major, _)) if major >= 7 => newest,
        None if facts.interrupts.padded || facts.debugfs_since >= Some((7, 0)) => newest,
        _ if per_device => named("v6.12").or(newest),
        Some((6, minor)) if minor >= 2 => named("v6.12"),
        Some(_) => named("v5.4"),
        None if facts.debugfs_since.is_some() => named("v6.12"),
        None if facts.interrupts.rows.is_empty() => named("v6.12"),
        None => named("v5.4"),
    };
    let mut all: Vec<KernelVersion> = nearest.into_iter().collect();
    // Of the others only those that name chips as the source does can be it.
    let like = |kernel: &KernelVersion| {
        let domains = Semantics::of(*kernel).msi_domains;
        (domains == kstate::semantics::MsiDomains::PerDevice) == per_device
    };
    let others: Vec<KernelVersion> = KernelVersion::ALL
        .iter()
        .copied()
        .filter(|kernel| Some(*kernel) != nearest && like(kernel))
        .collect();
    all.extend(others);
    all
}

fn named(name: &str) -> Option<KernelVersion> {
    KernelVersion::from_name(name)
}

/// `5.14.0-427.el9_4` as 5 and 14.
fn major_minor(release: &str) -> Option<(u32, u32)> {
    let (major, rest) = release.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn said_kernel(facts: &Facts, options: &Options, kernel: KernelVersion, report: &mut Report) {
    let name = kernel.name();
    let release = facts.release.as_deref();
    if options.kernel.is_some() {
        return report.known(format!("kernel {name}, as asked for"));
    }
    match release {
        Some(release) if release.starts_with(name.trim_start_matches('v')) => {
            report.known(format!("kernel {name} ({release})"));
        }
        Some(release) => report.assumed(format!(
            "kernel {name} for {release}: what it names chips and how it spreads are {name}'s (--as names another)"
        )),
        None => report.assumed(format!("kernel {name}: no file says the release (--as names another)")),
    }
}

fn header(facts: &Facts) -> String {
    let release = facts.release.as_deref().unwrap_or("of an unknown release");
    format!("# Imported from a machine with Linux {}.\n", release.replace(|c: char| c.is_control(), " "))
}

/// Everything but functions.
fn base(kernel: KernelVersion, cpus: &MachineCpus, first_msi: u32) -> String {
    let mut text = format!("kernel = {}\n", quoted(kernel.name()));
    if !cpus.cmdline.is_empty() {
        let _ = writeln!(text, "cmdline = {}\nunknown_parameters = \"ignore\"", quoted(&cpus.cmdline));
    }
    if first_msi > PINS {
        let mut pins = vec![PINS];
        let mut left = first_msi - PINS;
        while left > 0 {
            pins.push(left.min(MOST_PINS));
            left -= left.min(MOST_PINS);
        }
        let _ = writeln!(text, "ioapics = {pins:?}");
    }
    let _ = writeln!(text, "\n[cpus]\npossible = {}\npresent = {}", cpus.possible, cpus.present);
    if !cpus.offline.is_empty() {
        let _ = writeln!(text, "offline = {}", quoted(&cpus.offline.list()));
    }
    if cpus.nodes.len() > 1 {
        let _ = writeln!(text, "nodes = {}", quoted_lists(&cpus.nodes));
    }
    if !cpus.packages.is_empty() {
        let _ = writeln!(text, "packages = {}", quoted_lists(&cpus.packages));
    }
    if !cpus.cores.is_empty() {
        let _ = writeln!(text, "siblings = {}", quoted_lists(&cpus.cores));
    }
    if !cpus.l2.is_empty() {
        let _ = writeln!(text, "l2 = {}", quoted_lists(&cpus.l2));
    }
    if !cpus.apic_ids.is_empty() {
        let _ = writeln!(text, "apic_ids = {:?}", cpus.apic_ids);
    }
    if cpus.x2apic {
        text.push_str("apic = \"x2apic\"\n");
    }
    if cpus.remapping {
        text.push_str("interrupt_remapping = true\n");
    }
    if cpus.hypervisor {
        text.push_str("hypervisor = true\n");
    }
    if cpus.nosmt_asked && !cpus.cores.is_empty() {
        let off = cpus.offline.intersects(&cpus.cores.iter().fold(CpuMask::new(), |all, core| all.or(core)));
        let _ = writeln!(text, "smt_vulnerable = {off}");
    }
    text
}

/// The pin of a function's line: the one that it uses, or the one that a q35 has wired to its place. There the slots
/// of the first bus have the pins 20 to 23 in turn. A pin that somebody else has is left to him.
fn wired(facts: &Facts, d: &Decided<'_>, whole: bool) -> Option<u32> {
    let pin = |irq: &u32| (FIRST_PCI_PIN..PINS).contains(irq);
    if let Some(line) = d.line.filter(pin) {
        return Some(line);
    }
    let (segment, bdf) = sim::machine::parse_bdf(d.address)?;
    let first_bus = segment == 0 && bdf >> 8 == 0;
    let gsi = 20 + u32::from(bdf >> 3 & 3);
    let on_it = |f: &Function| f.irq == Some(gsi) && f.messages.is_empty();
    let taken = facts.irqs.get(&gsi).is_some_and(|irq| irq.row.is_some());
    let others = taken && !facts.state && !facts.functions.values().any(on_it);
    let is = facts.q35 && first_bus && whole && !others && d.function.pin != Some(false);
    is.then_some(gsi)
}

/// The names of a function's interrupts.
fn names(facts: &Facts, function: &Function) -> Vec<String> {
    let rows = function.messages.values().filter_map(|irq| facts.irqs.get(irq)?.row.as_ref());
    rows.map(|row| row.actions.clone()).filter(|name| !name.is_empty()).collect()
}

fn decide<'a>(facts: &Facts, address: &'a str, function: &'a Function) -> Decided<'a> {
    let names = names(facts, function);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = driver(function.driver.as_deref(), function.driver_from, &names);
    // A state has disks and no other virtio device.
    let shared =
        facts.state && !facts.disks.is_empty() && names.iter().any(|name| name.ends_with("-virtqueues"));
    let found = found.or(shared.then_some(("virtio_blk", "the name of its interrupt")));
    // pci_alloc_irq_vectors_affinity() is of 4.10, and NVMe's first managed interrupts of 4.9.
    let old = facts.release.as_deref().and_then(major_minor).is_some_and(|release| release < (4, 9));
    let prior = if old { Prior::Never } else { prior(found.map(|(driver, _)| driver), &names) };
    let vectors = function.messages.keys().max().map_or(0, |last| last + 1);
    // Messages without a handler stand between those that have one.
    let mut irqs: Vec<Option<u32>> =
        (0..vectors).map(|index| function.messages.get(&index).copied()).collect();
    for index in 1..irqs.len() {
        if irqs[index].is_none() {
            irqs[index] = irqs[index - 1].map(|irq| irq + 1);
        }
    }
    let first = irqs.iter().position(Option::is_some).unwrap_or(0);
    for index in (0..first).rev() {
        irqs[index] = irqs[index + 1].and_then(|irq| irq.checked_sub(1));
    }
    let line = function.irq.filter(|irq| {
        let row = facts.irqs.get(irq).and_then(|irq| irq.row.as_ref());
        let ours = |row: &Row| names_line(&row.actions, found.map_or("", |(driver, _)| driver));
        vectors == 0 && row.is_some_and(|row| row.chip.contains("IO-APIC") && ours(row))
    });
    Decided {
        address,
        function,
        line,
        driver: found.map(|(driver, from)| (driver.to_owned(), from)),
        vectors,
        irqs: irqs.into_iter().map(|irq| irq.unwrap_or(0)).collect(),
        verdict: Verdict { spread: None, why: String::new(), agreed: 0 },
        prior,
    }
}

/// Numbers between the last handler of a function and the next function: messages that were allocated and have
/// none. And numbers that two functions cannot both have are given up.
fn infer_tails(facts: &Facts, decided: &mut [Decided<'_>], report: &mut Report) {
    let with_row: BTreeSet<u32> =
        facts.irqs.keys().copied().filter(|irq| facts.irqs[irq].row.is_some()).collect();
    let mut taken: BTreeSet<u32> =
        decided.iter().flat_map(|d| d.function.messages.values().copied()).collect();
    taken.extend(&with_row);
    let mut guessed = 0;
    let mut fresh = taken.last().map_or(0, |last| last + 1);
    for d in decided.iter_mut() {
        // A number that was filled in is somebody else's: which one it was is not known, and a new one is as good.
        let known: BTreeSet<u32> = d.function.messages.values().copied().collect();
        for irq in d.irqs.iter_mut().filter(|irq| !known.contains(irq)) {
            if !taken.insert(*irq) {
                *irq = fresh;
                taken.insert(fresh);
                fresh += 1;
            }
        }
    }
    let ends: Vec<u32> = decided.iter().flat_map(|d| d.irqs.first().copied()).collect();
    for d in decided.iter_mut() {
        let Some(last) = d.irqs.last().copied() else { continue };
        let Some(next) = taken.range(last + 1..).next().copied() else { continue };
        let room = d.function.msix_table.map_or(u32::MAX, |table| table.saturating_sub(d.vectors));
        let gap = next - last - 1;
        // More than a few are numbers that were given back.
        if gap == 0 || gap > room || gap > 16.max(d.vectors) || !ends.contains(&next) || d.vectors < 2 {
            continue;
        }
        if matches!(d.prior, Prior::Managed { .. }) {
            continue;
        }
        d.irqs.extend(last + 1..next);
        d.vectors += gap;
        taken.extend(last + 1..next);
        guessed += gap;
    }
    if guessed > 0 {
        report.inferred(
            &format!("{guessed} messages without a handler"),
            "the numbers between the last one of their function and the next function",
        );
    }
}

/// The driver calls one of the actions of a line so.
fn names_line(actions: &str, driver: &str) -> bool {
    actions.split(", ").any(|action| match driver {
        "nvme" => numbered(action.split('q').next().unwrap_or_default(), "nvme"),
        _ => driver.starts_with("virtio_") && numbered(action, "virtio"),
    })
}

/// A number that the command line gives to an option.
fn option(cpus: &MachineCpus, name: &str) -> u32 {
    let mut words = cpus.cmdline.split_whitespace();
    words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok()).unwrap_or(0)
}

/// Which functions can be whole devices: the names of their interrupts are those that the driver gives, in the order
/// in which the devices came up.
fn whole_devices(
    facts: &Facts,
    decided: &[Decided<'_>],
    cpus: &MachineCpus,
    report: &mut Report,
) -> Vec<Option<Whole>> {
    let nvme = by_place(decided, |driver| driver == "nvme", |d, n| whole_nvme(facts, d, cpus, n).is_some());
    let on_virtio = |driver: &str| driver.starts_with("virtio_");
    let by_virtio = by_place(decided, on_virtio, |d, n| {
        let driver = d.driver.as_ref().map_or("", |(driver, _)| driver);
        whole_virtio(facts, d, driver, (&format!("virtio{n}"), None), cpus, &mut Report::default()).is_some()
    });
    let (mut controllers, mut virtio, mut disks) = (0, 0, 0);
    let each = decided.iter().map(|d| {
        if d.vectors == 0 && d.function.id == Some(drivers::test::hw::ID) {
            return Some(Whole { model: "test", queues: None, probe: None });
        }
        let driver = d.driver.as_ref().map_or("", |(driver, _)| driver);
        let count = if driver == "nvme" { &mut controllers } else { &mut virtio };
        let whole = match driver {
            "nvme" if nvme.contains_key(d.address) => {
                let (instance, probe) = nvme[d.address];
                whole_nvme(facts, d, cpus, instance).map(|whole| Whole { probe, ..whole })
            }
            "nvme" => whole_nvme(facts, d, cpus, *count),
            "virtio_blk" | "virtio_net" | "virtio_scsi" => {
                let disk = (driver == "virtio_blk").then(|| facts.disks.get(disks).copied()).flatten();
                disks += usize::from(driver == "virtio_blk");
                let (number, probe) = by_virtio.get(d.address).copied().unwrap_or((*count, None));
                let name = format!("virtio{number}");
                whole_virtio(facts, d, driver, (&name, disk), cpus, report)
                    .map(|whole| Whole { probe, ..whole })
            }
            _ => None,
        };
        *count += u32::from(whole.is_some());
        whole
    });
    each.collect()
}

/// Devices of a driver that came up together: they have their names by their places on the bus, and took their
/// interrupts as it happened. By address the number in the name, and where the driver's probe stands so that it comes
/// out. Nothing where the order of their interrupts is that of their names.
fn by_place<'a>(
    decided: &[Decided<'a>],
    ours: impl Fn(&str) -> bool,
    fits: impl Fn(&Decided<'_>, u32) -> bool,
) -> BTreeMap<&'a str, (u32, Option<u32>)> {
    let is = |d: &&Decided<'_>| d.driver.as_ref().is_some_and(|(driver, _)| ours(driver));
    let mut all: Vec<&Decided<'_>> = decided.iter().filter(is).collect();
    let fit = |all: &[&Decided<'_>]| (0..).zip(all).all(|(n, d)| fits(d, n));
    let firsts: Vec<u32> = all.iter().filter_map(|d| d.irqs.first().copied()).collect();
    if fit(&all) {
        return BTreeMap::new();
    }
    all.sort_by_key(|d| sim::machine::parse_bdf(d.address));
    if !fit(&all) {
        return BTreeMap::new();
    }
    let mut seen = 0;
    let place = |(n, d): (u32, &&Decided<'a>)| {
        // One without messages stands beside the next one that has some.
        let probe = firsts.get(seen).or(firsts.last()).copied();
        seen += usize::from(!d.irqs.is_empty());
        (d.address, (n, probe))
    };
    (0..).zip(&all).map(place).collect()
}

/// The names of a function's messages in their order; `None` if one has none.
fn called<'a>(facts: &'a Facts, d: &Decided<'_>) -> Option<Vec<&'a str>> {
    let whole = d.function.messages.len() == d.vectors as usize && d.irqs.len() == d.vectors as usize;
    let name = |irq: &u32| Some(facts.irqs.get(irq)?.row.as_ref()?.actions.as_str());
    whole.then(|| d.function.messages.values().map(name).collect())?
}

fn whole_nvme(facts: &Facts, d: &Decided<'_>, cpus: &MachineCpus, instance: u32) -> Option<Whole> {
    let f = d.function;
    let name = |index: usize| format!("nvme{instance}q{index}");
    let (writing, polled) = (option(cpus, "nvme.write_queues"), option(cpus, "nvme.poll_queues"));
    let made = f.queues.map(|queues| queues.saturating_sub(1)).filter(|queues| *queues > 0);
    let pairs = if d.vectors <= 1 {
        // One interrupt for both queues: two names, or with MSI-X of one entry as many as there are queues.
        let row = facts.irqs.get(&d.line.or(d.irqs.first().copied())?)?.row.as_ref()?;
        row.actions.split(", ").any(|action| action == name(0)).then_some(made.unwrap_or(1))?
    } else {
        let names = called(facts, d)?;
        let spread = d.verdict.spread?;
        let fits = (spread.pre, spread.post) == (1, 0)
            && (spread.first_set == 0 || writing > 0)
            && d.vectors <= cpus.possible + writing + 1
            && names.iter().enumerate().all(|(index, is)| **is == name(index))
            && (f.msix != Some(false) || d.vectors.is_power_of_two());
        fits.then(|| made.unwrap_or(d.vectors - 1 + polled))?
    };
    let pairs = f.granted.unwrap_or(pairs).clamp(1, 65535);
    Some(Whole { model: "nvme", queues: Some(("io_queue_pairs_max", pairs)), probe: None })
}

fn whole_virtio(
    facts: &Facts,
    d: &Decided<'_>,
    driver: &str,
    (device, disk): (&str, Option<u32>),
    cpus: &MachineCpus,
    report: &mut Report,
) -> Option<Whole> {
    let (model, key, most) = match driver {
        "virtio_blk" => ("virtio-blk", "request_queues", 1024),
        "virtio_net" => ("virtio-net", "queue_pairs", 511),
        _ => ("virtio-scsi", "request_queues", 1024),
    };
    let mut shared = |least: u32| {
        d.function.queues.or(disk).unwrap_or_else(|| {
            let count = cpus.possible.max(least);
            report.assumed(format!("{} has {count} queues: its interrupts do not say how many", d.address));
            count
        })
    };
    let count = if d.vectors == 0 {
        let row = facts.irqs.get(&d.line?)?.row.as_ref()?;
        row.actions.split(", ").any(|action| action == device).then(|| shared(1))?
    } else {
        let names = called(facts, d)?;
        let queue = |at: usize, name: &str| names.get(at).is_some_and(|is| *is == format!("{device}-{name}"));
        let rest = names.len() as u32;
        let all =
            |from: usize, name: &dyn Fn(usize) -> String| (from..names.len()).all(|at| queue(at, &name(at)));
        let managed = d.verdict.spread.is_some();
        match driver {
            _ if !queue(0, "config") => return None,
            _ if names.len() == 2 && queue(1, "virtqueues") => shared(2),
            "virtio_blk" if rest > 1 && managed && all(1, &|at| format!("req.{}", at - 1)) => rest - 1,
            "virtio_net" if rest > 2 && rest % 2 == 1 => {
                let way = |at: usize| if at % 2 == 1 { "input" } else { "output" };
                all(1, &|at| format!("{}.{}", way(at), (at - 1) / 2)).then_some(rest / 2)?
            }
            "virtio_scsi" if rest > 3 && queue(1, "control") && queue(2, "event") && managed => {
                all(3, &|_| "request".to_owned()).then_some(rest - 3)?
            }
            _ => return None,
        }
    };
    (1..=most).contains(&count).then_some(Whole { model, queues: Some((key, count)), probe: None })
}

/// A function's table.
fn function(facts: &Facts, d: &Decided<'_>, whole: Option<&Whole>, text: &mut String) {
    let f = d.function;
    let _ = writeln!(text, "\n[[pci]]\naddress = {}", quoted(d.address));
    let profile = d.driver.as_ref().and_then(|(driver, _)| drivers::profile::find(driver));
    let msix = f.msix != Some(false) && (f.msix == Some(true) || f.msix_table.is_some() || d.vectors > 1);
    let own = profile.map_or("generic", |profile| profile.driver.name);
    let _ = writeln!(text, "model = {}", quoted(whole.map_or(own, |whole| whole.model)));
    if let (None, None, Some((driver, _))) = (profile, whole, &d.driver) {
        let _ = writeln!(text, "# The driver is {}.", driver.replace(|c: char| c.is_control(), " "));
    }
    if let Some(node) = f.node.filter(|node| *node >= 0) {
        let _ = writeln!(text, "node = {node}");
    }
    let table = f.msix_table.unwrap_or(0).max(if msix { d.vectors } else { 0 });
    let _ = writeln!(text, "msix_vectors = {table}");
    let virtio = whole.is_some_and(|whole| whole.model.starts_with("virtio"));
    let needed = if msix { 0 } else { d.vectors.next_power_of_two().min(32) };
    let needed = if d.vectors == 0 { 0 } else { needed };
    let (messages, maskable) = f.msi_table.filter(|_| !virtio).unwrap_or((0, true));
    if messages.max(needed) > 0 {
        let _ = writeln!(text, "msi_vectors = {}", messages.max(needed));
        if !maskable {
            text.push_str("msi_maskable = false\n");
        }
    }
    if let Some(gsi) = wired(facts, d, whole.is_some()) {
        let _ = writeln!(text, "intx_gsi = {gsi}");
    }
    if !d.irqs.is_empty() {
        let _ = writeln!(text, "irqs = {}", quoted(&ranges(&d.irqs)));
    }
    if let Some(probe) = whole.and_then(|whole| whole.probe) {
        let _ = writeln!(text, "probe = {probe}");
    }
    if let Some(whole) = whole {
        if let Some((key, count)) = whole.queues {
            let _ = writeln!(text, "{key} = {count}");
        }
        return;
    }
    let _ = writeln!(text, "vectors = {}", d.vectors);
    let own = profile.and_then(|profile| profile.spread);
    match d.verdict.spread {
        Some(spread)
            if own.is_none_or(|own| (own.pre, own.post) != (spread.pre, spread.post))
                || spread.first_set > 0 =>
        {
            let _ = writeln!(text, "managed = true\npre = {}\npost = {}", spread.pre, spread.post);
            if spread.first_set > 0 {
                let second = d.vectors - spread.pre - spread.post - spread.first_set;
                let _ = writeln!(text, "sets = [{}, {second}]", spread.first_set);
            }
        }
        None if own.is_some() => text.push_str("managed = false\n"),
        _ => {}
    }
    let _ = writeln!(text, "actions = [{}]", actions(facts, f).join(", "));
}

/// Which messages are requested and what they are called.
fn actions(facts: &Facts, function: &Function) -> Vec<String> {
    let named: Vec<(u32, &str)> = function
        .messages
        .iter()
        .filter_map(|(index, irq)| Some((*index, facts.irqs.get(irq)?.row.as_ref()?.actions.as_str())))
        .filter(|(_, name)| !name.is_empty())
        .collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < named.len() {
        let (first, name) = named[at];
        let mut end = at;
        let mut template: Option<(String, u32)> = None;
        while end + 1 < named.len() && named[end + 1].0 == named[end].0 + 1 {
            let next = named[end + 1].1;
            let fits = match &template {
                None => match counted(name, next) {
                    Some(found) => {
                        template = Some(found);
                        true
                    }
                    None => false,
                },
                Some((template, start)) => {
                    let count = start + (named[end + 1].0 - first);
                    template.replace("{}", &count.to_string()) == next
                }
            };
            if !fits {
                break;
            }
            end += 1;
        }
        out.push(match template {
            Some((template, start)) => {
                let counter = if start == 0 { "{}".to_owned() } else { format!("{{{start}}}") };
                quoted(&format!("{first}-{}: {}", named[end].0, template.replace("{}", &counter)))
            }
            None => quoted(&format!("{first}: {name}")),
        });
        at = end + 1;
    }
    out
}

/// Two names that differ in a number that goes up by one, or not at all: the text with `{}` in the number's place,
/// and the first number.
fn counted(a: &str, b: &str) -> Option<(String, u32)> {
    if a.contains(['{', '}']) {
        return None;
    }
    if a == b {
        return Some((a.to_owned(), 0));
    }
    let (x, y) = (a.as_bytes(), b.as_bytes());
    let mut start = x.iter().zip(y).take_while(|(p, q)| p == q).count();
    while start > 0 && x[start - 1].is_ascii_digit() {
        start -= 1;
    }
    let digits = |text: &[u8]| text[start..].iter().take_while(|c| c.is_ascii_digit()).count();
    let (end_a, end_b) = (start + digits(x), start + digits(y));
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| n.to_string() == text);
    let (from, to) = (number(a.get(start..end_a)?)?, number(b.get(start..end_b)?)?);
    let same_end = a.get(end_a..)? == b.get(end_b..)?;
    (same_end && to == from + 1).then(|| (format!("{}{{}}{}", &a[..start], &a[end_a..]), from))
}

fn said_function(d: &Decided<'_>, real: bool, report: &mut Report) {
    let driver = d
        .driver
        .as_ref()
        .map_or("nobody knows its driver".to_owned(), |(driver, from)| format!("{driver} ({from})"));
    let what = match d.verdict.spread {
        Some(spread) if spread.first_set > 0 => {
            let Spread { pre, post, first_set } = spread;
            format!("managed, pre {pre} post {post}, {first_set} in a first set: {}", d.verdict.why)
        }
        Some(spread) => format!("managed, pre {} post {}: {}", spread.pre, spread.post, d.verdict.why),
        None if d.vectors == 0 => {
            d.line.map_or("not bound".to_owned(), |line| format!("its line is pin {line}"))
        }
        None => format!("not managed: {}", d.verdict.why),
    };
    if d.verdict.spread.is_some() && d.verdict.agreed == 0 {
        report.assumed(format!("the messages of {} are managed: {}", d.address, d.verdict.why));
    }
    let model = if real { ", a whole device" } else { "" };
    report.known(format!("{} {driver}{model}, {} messages, {what}", d.address, d.vectors));
}

/// Devices of the board. The numbers of their interrupts.
fn lines(facts: &Facts, decided: &[Decided<'_>], text: &mut String, report: &mut Report) -> Vec<u32> {
    let of_functions: BTreeSet<u32> = decided.iter().filter_map(|d| d.line).collect();
    let mut found: Vec<(u32, &str, bool)> = Vec::new();
    let mut units = 0;
    let mut left_out: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in &facts.interrupts.rows {
        let chip = row.chip.strip_prefix("IR-").unwrap_or(&row.chip);
        if chip.starts_with("DMAR") {
            units += 1;
            if units > 1 {
                report.left_out(format!(
                    "interrupt {}, {}: irqlab has one remapping unit",
                    row.irq, row.actions
                ));
            }
        }
        let pin = chip.starts_with("IO-APIC") || chip.starts_with("XT-PIC");
        if !pin {
            if !chip.starts_with("PCI-MSI") && !chip.starts_with("DMAR") {
                left_out.entry((&row.chip, not_modelled(&row.chip))).or_default().push(row);
            }
            continue;
        }
        if row.irq == 0 || row.irq == 2 || row.actions.is_empty() || of_functions.contains(&row.irq) {
            continue;
        }
        if row.irq >= PINS {
            left_out
                .entry((&row.chip, "their pins are of other IO-APICs than the first one"))
                .or_default()
                .push(row);
            continue;
        }
        found.push((row.irq, &row.actions, row.flow != "edge"));
    }
    for ((chip, why), rows) in left_out {
        let named: Vec<String> =
            rows.iter().take(4).map(|row| format!("{} {}", row.irq, row.actions)).collect();
        let more = if rows.len() > 4 { ", ..." } else { "" };
        let s = if rows.len() == 1 { "" } else { "s" };
        report.left_out(format!("{} interrupt{s} of {chip} ({}{more}): {why}", rows.len(), named.join(", ")));
    }
    let pins: Vec<u32> = found.iter().map(|(irq, ..)| *irq).collect();
    let mut all = pins.clone();
    all.extend(of_functions);
    all.push(0);
    // Where vectors are known, they say which of a PC's own devices have their interrupts; otherwise all but the
    // second port have.
    let usual = found.iter().all(|line| PC_LINES.contains(line));
    let vectors = facts.debugfs && facts.irqs.get(&0).is_some_and(|irq| irq.debug.is_some());
    if usual && (vectors || pins == [1, 4, 9, 12]) {
        return all;
    }
    for (irq, name, level) in found {
        let _ = writeln!(text, "\n[[line]]\ngsi = {irq}\nname = {}\nlevel = {level}", quoted(name));
    }
    all
}

/// Where debugfs says on which vector an interrupt stands that is not managed. Managed ones take what is left.
fn vectors(
    facts: &Facts,
    listed: &BTreeSet<u32>,
    managed: &BTreeSet<u32>,
    kernel: KernelVersion,
    present: u32,
    text: &mut String,
    report: &mut Report,
) {
    if !facts.debugfs {
        return;
    }
    let sem = Semantics::of(kernel);
    let mut taken: BTreeSet<(u32, u32)> =
        facts.irqs.values().filter_map(|irq| irq.debug.as_ref()?.vector).map(|(v, cpu)| (cpu, v)).collect();
    let mut all: Vec<(u32, &str, u32, u32)> = Vec::new();
    let mut seen: BTreeSet<(u32, u32)> = BTreeSet::new();
    let mut foreign = 0;
    // A state does not say it of the serial ports, through which it came out: theirs are the vectors that the matrix
    // has and nobody else, and the second port was opened last.
    for (&irq, found) in facts.irqs.iter().rev() {
        let Some(row) = &found.row else { continue };
        let known = listed.contains(&irq) || row.chip.starts_with("DMAR") && row.actions == "dmar0";
        if row.actions.is_empty() || managed.contains(&irq) || !known {
            continue;
        }
        let left = || {
            let cpu = found.effective.as_ref()?.single()?.0;
            let free = facts.matrix.get(&cpu)?.vectors.iter().find(|v| !taken.contains(&(cpu, **v)))?;
            Some((*free, cpu))
        };
        let Some((vector, cpu)) =
            found.debug.as_ref().map_or_else(left, |debug| debug.vector).filter(|(_, cpu)| *cpu < present)
        else {
            continue;
        };
        taken.insert((cpu, vector));
        if !sim::machine::is_device_vector(&sem, vector) || !seen.insert((cpu, vector)) {
            foreign += 1;
            continue;
        }
        all.push((irq, &row.actions, cpu, vector));
    }
    if foreign > 0 {
        report.left_out(format!("the vectors of {foreign} interrupts: {} has no such ones", kernel.name()));
    }
    if !all.is_empty() {
        report.known(format!("the vectors of {} interrupts that are not managed: debugfs", all.len()));
    }
    for (irq, name, cpu, vector) in all.iter().rev() {
        let name = quoted(name);
        let _ =
            writeln!(text, "\n[[boot.vector]]\nirq = {irq}\nname = {name}\ncpu = {cpu}\nvector = {vector}");
    }
}

/// What has happened since boot: affinities, and where interrupts stand.
fn history(
    facts: &Facts,
    listed: &BTreeSet<u32>,
    managed: &BTreeSet<u32>,
    cpus: &MachineCpus,
    text: &mut String,
    report: &mut Report,
) {
    let all = CpuMask::first_n(cpus.possible);
    let there = CpuMask::first_n(cpus.present);
    let mine = |irq: u32, row: &Row| listed.contains(&irq) && !row.actions.is_empty();
    let mut affinity: Vec<(u32, String)> = Vec::new();
    let mut effective: Vec<(u32, String)> = Vec::new();
    for (&irq, found) in &facts.irqs {
        let Some(row) = &found.row else { continue };
        if !mine(irq, row) {
            continue;
        }
        let mask = found.affinity.as_ref().map(|mask| mask.and(&all)).filter(|mask| !mask.is_empty());
        if let Some(mask) = &mask
            && !managed.contains(&irq)
        {
            affinity.push((irq, quoted(&mask.list())));
        }
        // Where it comes from, if it has not come since it was sent elsewhere: it goes there on its own.
        let from = found.debug.as_ref().and_then(|debug| debug.moves_from).map(CpuId);
        let stands = from.filter(|_| managed.contains(&irq)).or_else(|| found.effective.as_ref()?.single());
        let cpu = stands.filter(|cpu| there.contains(*cpu));
        // A managed interrupt stands in its mask. Another one may stand where it was before somebody wrote, until
        // it comes the next time.
        let choice = |mask: &CpuMask| {
            if managed.contains(&irq) {
                mask.weight() > 1 && mask.contains(cpu.unwrap_or_default())
            } else {
                mask.single() != cpu
            }
        };
        if let Some(cpu) = cpu
            && mask.as_ref().is_none_or(choice)
        {
            effective.push((irq, cpu.0.to_string()));
        }
    }
    let count = affinity.len();
    for (name, list) in [("affinity", affinity), ("effective", effective)] {
        if list.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n[boot.{name}]");
        let mut at = 0;
        while at < list.len() {
            let mut end = at;
            while end + 1 < list.len() && list[end + 1].0 == list[end].0 + 1 && list[end + 1].1 == list[at].1
            {
                end += 1;
            }
            let key =
                if end > at { format!("\"{}-{}\"", list[at].0, list[end].0) } else { list[at].0.to_string() };
            let _ = writeln!(text, "{key} = {}", list[at].1);
            at = end + 1;
        }
    }
    if count > 0 {
        report.known(format!(
            "the affinities of {count} interrupts that are not managed are taken over as written: what user space and \
             drivers did to them is a history"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_only_the_user_knows_are_taken() {
        let (all, second) = (CpuMask::first_n(8), CpuMask::parse_list("4-7", 8).unwrap());
        let nodes = complete(Vec::new(), &all, &[], &[(second, 1)], "nodes", &mut Report::default());
        assert_eq!(nodes.iter().map(CpuMask::list).collect::<Vec<_>>(), ["0-3", "4-7"]);
        assert!(complete(Vec::new(), &all, &[], &[], "nodes", &mut Report::default()).is_empty());
    }

    #[test]
    fn names_that_count_are_found() {
        for (a, b, expect) in [
            ("eno1-TxRx-9", "eno1-TxRx-10", Some(("eno1-TxRx-{}", 9))),
            ("x19", "x20", Some(("x{}", 19))),
            (
                "mlx5_comp9@pci:0000:01:00.0",
                "mlx5_comp10@pci:0000:01:00.0",
                Some(("mlx5_comp{}@pci:0000:01:00.0", 9)),
            ),
            ("smartpqi", "smartpqi", Some(("smartpqi", 0))),
            ("q1", "q3", None),
            ("q01", "q02", None),
            ("a", "b", None),
            ("eno1", "eno1-TxRx-0", None),
        ] {
            assert_eq!(counted(a, b), expect.map(|(text, n)| (text.to_owned(), n)), "{a} {b}");
        }
        assert_eq!(ranges(&[144, 151, 152, 153, 7]), "144,151-153,7");
        assert_eq!(quoted("a\"\\\n"), "\"a\\\"\\\\\\u000A\"");
        assert_eq!(major_minor("5.14.0-427.el9"), Some((5, 14)));
    }
}
