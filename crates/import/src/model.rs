//! From what the files say to a machine file.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use kstate::semantics::{KernelVersion, Semantics};
use kstate::{CpuId, CpuMask};
use sim::machine::Machine;
use sim::params;

use crate::drivers::{Prior, driver, prior};
use crate::facts::{Facts, Function};
use crate::managed::{Spread, Spreads, Verdict};
use crate::report::Report;
use crate::{ImportError, Options};

/// Pins of the first IO-APIC.
const PINS: u32 = 24;
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
    verdict: Verdict,
    prior: Prior,
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
    let mut decided: Vec<Decided<'_>> =
        facts.functions.iter().map(|(address, f)| decide(facts, address, f)).collect();
    decided.sort_by_key(|d| d.irqs.first().copied());
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
    lines(facts, &mut text, report);
    let mut managed = BTreeSet::new();
    let nvme = real_nvme(facts, &decided, &cpus);
    for (d, real) in decided.iter().zip(nvme) {
        function(facts, d, real, &mut text);
        if let Some(spread) = d.verdict.spread {
            managed.extend(d.irqs.iter().copied().enumerate().filter_map(|(index, irq)| {
                let index = index as u32;
                (spread.pre..d.vectors - spread.post).contains(&index).then_some(irq)
            }));
        }
        said_function(d, real, report);
    }
    history(facts, &decided, &managed, &cpus, &mut text, report);
    let machine =
        Machine::parse("import", &text).map_err(|e| ImportError::Machine { found: e.to_string() })?;
    let nodes = cpus.nodes.len();
    let summary = format!(
        "{} CPUs in {nodes} node{}, {} PCI functions with {} interrupts",
        cpus.possible,
        if nodes == 1 { "" } else { "s" },
        decided.len(),
        facts.interrupts.rows.len(),
    );
    Ok(Imported { text, machine, managed, summary })
}

/// Interrupts that no local APIC brings.
fn foreign(facts: &Facts) -> Result<(), ImportError> {
    let msi = |row: &crate::interrupts::Row| row.chip.contains("PCI-MSI") || row.chip.contains("IO-APIC");
    let rows = &facts.interrupts.rows;
    let chip = rows.iter().map(|row| row.chip.as_str());
    let known = ["xen", "Hyper-V", "GIC", "ITS", "XICS", "XIVE", "ARM", "IPI"];
    let other = chip.clone().find(|chip| known.iter().any(|k| chip.starts_with(k)));
    match other {
        Some(chip) if !rows.iter().any(msi) || chip.starts_with("xen") => {
            Err(ImportError::Foreign { chip: chip.to_owned() })
        }
        _ => Ok(()),
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
    let nodes = complete(found.nodes.clone(), &all, &cores, &options.node_of, "nodes", report);
    let nodes = if nodes.is_empty() {
        if found.nodes.is_empty() {
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
    Ok(MachineCpus {
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
    let message = |row: &&crate::interrupts::Row| {
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
        _ if per_device => named("v6.12").or(newest),
        Some((6, minor)) if minor >= 2 => named("v6.12"),
        Some(_) => named("v5.4"),
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
    let release = facts.release.as_deref().unwrap_or("an unknown release");
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

/// The names of a function's interrupts.
fn names(facts: &Facts, function: &Function) -> Vec<String> {
    let rows = function.messages.values().filter_map(|irq| facts.irqs.get(irq)?.row.as_ref());
    rows.map(|row| row.actions.clone()).filter(|name| !name.is_empty()).collect()
}

fn decide<'a>(facts: &Facts, address: &'a str, function: &'a Function) -> Decided<'a> {
    let names = names(facts, function);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = driver(function.driver.as_deref(), function.driver_from, &names);
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
    Decided {
        address,
        function,
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
    for d in decided.iter_mut() {
        // A number that was filled in is somebody else's: then which one it was is not known.
        let known: BTreeSet<u32> = d.function.messages.values().copied().collect();
        let clash = d.irqs.iter().any(|irq| !known.contains(irq) && !taken.insert(*irq));
        if clash {
            d.irqs.clear();
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

/// Which functions can be a whole NVMe controller: their names are those that the driver gives, in the order in
/// which the controllers came up.
fn real_nvme(facts: &Facts, decided: &[Decided<'_>], cpus: &MachineCpus) -> Vec<bool> {
    let mut instance = 0;
    let each = decided.iter().map(|d| {
        let nvme =
            d.driver.as_ref().is_some_and(|(driver, _)| driver == "nvme") && d.function.msix != Some(false);
        if !nvme {
            return false;
        }
        let name = |index: u32| format!("nvme{instance}q{index}");
        let whole = d.vectors >= 2
            && d.vectors <= cpus.possible + 1
            && d.irqs.len() == d.vectors as usize
            && d.function.messages.len() == d.vectors as usize
            && d.function.messages.iter().all(|(index, irq)| {
                let row = facts.irqs.get(irq).and_then(|irq| irq.row.as_ref());
                row.is_some_and(|row| row.actions == name(*index))
            })
            && d.verdict
                .spread
                .is_some_and(|spread| (spread.pre, spread.post, spread.first_set) == (1, 0, 0));
        if whole {
            instance += 1;
        }
        whole
    });
    each.collect()
}

/// A function's table.
fn function(facts: &Facts, d: &Decided<'_>, real: bool, text: &mut String) {
    let f = d.function;
    let _ = writeln!(text, "\n[[pci]]\naddress = {}", quoted(d.address));
    let profile = d.driver.as_ref().and_then(|(driver, _)| drivers::profile::find(driver));
    let msix = f.msix != Some(false) && (f.msix == Some(true) || f.msix_table.is_some() || d.vectors > 1);
    let model = if real { "nvme" } else { profile.map_or("generic", |profile| profile.driver.name) };
    let _ = writeln!(text, "model = {}", quoted(model));
    if let (None, Some((driver, _))) = (profile.filter(|_| !real), &d.driver)
        && !real
    {
        let _ = writeln!(text, "# The driver is {}.", driver.replace(|c: char| c.is_control(), " "));
    }
    if let Some(node) = f.node.filter(|node| *node >= 0) {
        let _ = writeln!(text, "node = {node}");
    }
    if msix {
        let table = f.msix_table.unwrap_or(0).max(d.vectors);
        let _ = writeln!(text, "msix_vectors = {table}");
    } else {
        let _ = writeln!(text, "msix_vectors = 0\nmsi_vectors = {}", d.vectors.next_power_of_two().min(32));
    }
    if !d.irqs.is_empty() {
        let _ = writeln!(text, "irqs = {}", quoted(&ranges(&d.irqs)));
    }
    if real {
        let _ = writeln!(text, "io_queue_pairs_max = {}", d.vectors - 1);
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
        None => format!("not managed: {}", d.verdict.why),
    };
    if d.verdict.spread.is_some() && d.verdict.agreed == 0 {
        report.assumed(format!("the messages of {} are managed: {}", d.address, d.verdict.why));
    }
    let model = if real { ", a whole controller" } else { "" };
    report.known(format!("{} {driver}{model}, {} messages, {what}", d.address, d.vectors));
}

/// Pins.
fn lines(facts: &Facts, text: &mut String, report: &mut Report) {
    for row in &facts.interrupts.rows {
        let chip = row.chip.strip_prefix("IR-").unwrap_or(&row.chip);
        let pin = chip.starts_with("IO-APIC") || chip.starts_with("XT-PIC");
        if !pin {
            if !chip.starts_with("PCI-MSI") && !chip.starts_with("DMAR") {
                report.left_out(format!("interrupt {} of {}: no such chip is modelled", row.irq, row.chip));
            }
            continue;
        }
        if row.irq == 0 || row.irq == 2 || row.actions.is_empty() {
            continue;
        }
        if row.irq >= PINS {
            report.left_out(format!(
                "interrupt {}, {}: its pin is one of another IO-APIC",
                row.irq, row.actions
            ));
            continue;
        }
        let level = if row.flow == "edge" { "false" } else { "true" };
        let _ =
            writeln!(text, "\n[[line]]\ngsi = {}\nname = {}\nlevel = {level}", row.irq, quoted(&row.actions));
    }
}

/// What has happened since boot: affinities, and where interrupts stand.
fn history(
    facts: &Facts,
    decided: &[Decided<'_>],
    managed: &BTreeSet<u32>,
    cpus: &MachineCpus,
    text: &mut String,
    report: &mut Report,
) {
    let all = CpuMask::first_n(cpus.possible);
    let there = CpuMask::first_n(cpus.present);
    let listed: BTreeSet<u32> = decided.iter().flat_map(|d| d.irqs.iter().copied()).collect();
    let mine = |irq: u32, row: &crate::interrupts::Row| {
        (listed.contains(&irq) || irq < PINS && row.chip.contains("IO-APIC")) && !row.actions.is_empty()
    };
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
        let cpu = found.effective.as_ref().and_then(CpuMask::single).filter(|cpu| there.contains(*cpu));
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
