//! Boots the two machines and drives the second one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drivers::profile::Board;
use kstate::semantics::Semantics;
use kstate::{CpuId, CpuMask, Kernel, PciDevId};
use serde::Serialize;
use sim::machine::Machine;
use sim::script::{Script, Variables};
use sim::shell::{Bench, Progress, Shell};
use sim::{boot, engine};

use crate::answer::{Answer, compare};
use crate::picture::Picture;
use crate::question::{Mistake, Question, cmdline, cpus, expect_online};
use crate::{cause, device, headroom};

/// How long a machine gets to come to rest, in ns of its time: as after a boot.
const SETTLE: u64 = 2_000_000_000;

/// Interrupts of the board, whose numbers are those of its pins.
const ISA_IRQS: u32 = 16;

/// Something that the kernel did not do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Refused {
    /// The line of the shell that asked for it.
    pub step: String,
    /// The CPU that it was about.
    pub cpu: Option<u32>,
    /// The error by its name in errno.h.
    pub errno: Option<&'static str>,
    /// What the shell said, without the error.
    pub what: String,
    /// What the kernel logged meanwhile.
    pub log: Vec<String>,
}

/// Lines of the shell that are run together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stage {
    /// The option that asked for them.
    pub option: &'static str,
    /// The lines.
    pub script: Script,
    /// CPUs that have to be in the other state before, and the state that they get.
    pub cpus: Option<(CpuMask, bool)>,
}

impl Stage {
    fn new(option: &'static str, text: &str, cpus: Option<(CpuMask, bool)>) -> Result<Self, Mistake> {
        let script = Script::parse(option, text)
            .map_err(|e| Mistake::new(option, format!("`{text}`: {e}"), e.label().to_owned()))?;
        Ok(Self { option, script, cpus })
    }
}

/// Both machines, booted, and what is still to be done to the second one.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The machine as it is.
    pub before: Picture,
    /// What the log of its boot says.
    pub log: Vec<String>,
    /// The changed machine, booted.
    pub k: Kernel,
    /// Its machine file's content.
    pub machine: Machine,
    /// What is done to it while it runs.
    pub stages: Vec<Stage>,
    /// The second machine is another boot.
    pub boots: bool,
    /// What was changed, in words.
    pub said: Vec<String>,
    /// What has to be known about the answer.
    pub notes: Vec<String>,
}

/// Boots both machines.
///
/// # Errors
/// A [`Mistake`] in the question.
pub fn prepare(machine: &Machine, question: &Question) -> Result<Prepared, Mistake> {
    let removed: Vec<usize> =
        question.remove.iter().map(|text| device::find(machine, text)).collect::<Result<_, _>>()?;
    if removed.iter().collect::<BTreeSet<_>>().len() < removed.len() {
        return Err(Mistake::new("--remove", "a function is there twice", "each function once"));
    }
    let mask = |option, text: &Option<String>| text.as_ref().map(|t| cpus(machine, option, t)).transpose();
    let (offline, online) = (mask("--offline", &question.offline)?, mask("--online", &question.online)?);
    if let (Some(offline), Some(online)) = (&offline, &online)
        && let Some(cpu) = offline.first_and(online)
    {
        let found = format!("CPU {cpu} is in --offline as well");
        return Err(Mistake::new("--online", found, "CPUs that --offline does not name"));
    }
    let mut said = Vec::new();
    let mut notes = Vec::new();
    let first = boot::boot(machine, Semantics::of(machine.kernel), false);
    let before = Picture::of(&first);
    let log = first.log.to_vec();
    let boots = question.boots();
    let (k, changed) = if boots {
        let changed = changed(machine, question, &first, &removed, &mut said, &mut notes)?;
        (boot::boot(&changed, Semantics::of(changed.kernel), false), changed)
    } else {
        (first, machine.clone())
    };
    let mut stages = Vec::new();
    if !boots {
        let mut lines = String::new();
        for &at in &removed {
            let address = &machine.pci[at].address;
            let bound = before.devices.get(address).and_then(|device| device.driver);
            let Some(driver) = bound else {
                let found = format!("no driver has {address}, so that none can let it go");
                return Err(Mistake::new("--remove", found, "a function that is bound to its driver"));
            };
            lines.push_str(&format!("echo {address} > /sys/bus/pci/drivers/{driver}/unbind\n"));
            said.push(format!("{address} is unbound from {driver}"));
        }
        if !lines.is_empty() {
            stages.push(Stage::new("--remove", &lines, None)?);
        }
    }
    if question.smt_off {
        stages.push(Stage::new("--smt", "echo off > /sys/devices/system/cpu/smt/control\n", None)?);
        said.push("SMT off".to_owned());
    }
    for (option, mask, up) in [("--offline", &offline, false), ("--online", &online, true)] {
        let Some(mask) = mask else { continue };
        let line = |cpu: CpuId| format!("echo {} > /sys/devices/system/cpu/cpu{cpu}/online\n", u8::from(up));
        let lines: String = mask.iter().map(line).collect();
        stages.push(Stage::new(option, &lines, Some((mask.clone(), up)))?);
        said.push(format!("{} {}", count_cpus(mask), if up { "online" } else { "offline" }));
    }
    if let Some(script) = &question.script {
        said.push(script.name.clone());
        stages.push(Stage { option: "--script", script: script.clone(), cpus: None });
    }
    Ok(Prepared { before, log, k, machine: changed, stages, boots, said, notes })
}

/// `CPU 3` or `CPUs 1-3`.
fn count_cpus(mask: &CpuMask) -> String {
    format!("CPU{} {}", if mask.weight() == 1 { "" } else { "s" }, mask.list())
}

/// The machine of another boot. What was found on the machine is kept where it still can be: numbers, and
/// affinities that somebody wrote.
fn changed(
    machine: &Machine,
    question: &Question,
    first: &Kernel,
    removed: &[usize],
    said: &mut Vec<String>,
    notes: &mut Vec<String>,
) -> Result<Machine, Mistake> {
    let mut changed = machine.clone();
    if let Some(kernel) = question.kernel {
        if kernel == machine.kernel {
            let found = format!("the machine runs {} already", kernel.name());
            return Err(Mistake::new("--kernel", found, "another kernel"));
        }
        changed.kernel = kernel;
        said.push(format!("kernel {}", kernel.name()));
    }
    if !question.cmdline.is_empty() {
        changed.cmdline = cmdline(machine, &question.cmdline)?;
        said.push(format!("command line {}", question.cmdline.join(" ")));
    }
    keep_numbers(&mut changed, first);
    recount(machine, &mut changed, notes);
    for &at in removed {
        said.push(format!("{} is left out", machine.pci[at].address));
        let gone: BTreeSet<u32> = changed.pci[at].irqs.iter().copied().collect();
        changed.found.affinity.retain(|irq, _| !gone.contains(irq));
        changed.found.effective.retain(|irq, _| !gone.contains(irq));
    }
    let mut at = 0;
    changed.pci.retain(|_| {
        at += 1;
        !removed.contains(&(at - 1))
    });
    for text in &question.add {
        let device = device::parse(&changed, text)?;
        said.push(format!("{text} at {}", device.address));
        changed.pci.push(device);
    }
    changed.pci.sort_by_key(|d| (d.segment, d.bdf));
    Ok(changed)
}

/// Writes down which numbers the functions had, so that a change of one does not shift those of the others, and of
/// the place of a message its CPU, so that an interrupt moves only where it has to.
fn keep_numbers(machine: &mut Machine, k: &Kernel) {
    let mut numbers: BTreeMap<PciDevId, BTreeSet<u32>> = BTreeMap::new();
    for irq in k.for_each_irq() {
        if let Some(msi) = k.irq_get_msi_desc(irq) {
            numbers.entry(k.msi.descs[msi].dev).or_default().insert(irq.0);
        }
    }
    for (dev, irqs) in numbers {
        let pci = k.pci_dev(dev);
        let function = machine.pci.iter_mut().find(|d| (d.segment, d.bdf) == (pci.domain_nr, pci.bdf));
        if let Some(function) = function.filter(|d| d.irqs.is_empty()) {
            function.irqs = irqs.into_iter().collect();
        }
    }
    let messages =
        machine.boot_interrupts.iter().filter(|i| !i.managed && i.vector != 0).map(|i| (i.irq, i.cpu));
    let listed = machine.boot_vectors.iter().filter(|v| v.irq.0 >= ISA_IRQS).map(|v| (v.irq, v.cpu));
    for (irq, cpu) in messages.chain(listed) {
        machine.found.effective.entry(irq.0).or_insert(cpu);
    }
    machine.boot_interrupts.clear();
    machine.boot_vectors.retain(|v| v.irq.0 < ISA_IRQS);
}

/// Drivers that count CPUs count them again at another boot. Where the machine file has the number that the formula
/// gives, the formula counts; where it has another one, nobody knows how it came about, and it stays.
fn recount(machine: &Machine, changed: &mut Machine, notes: &mut Vec<String>) {
    let bare = |machine: &Machine| {
        let mut machine = machine.clone();
        (machine.offline, machine.boot_interrupts) = (CpuMask::new(), Vec::new());
        machine.pci.clear();
        (machine.boot_vectors, machine.found) = (Vec::new(), sim::machine::Found::default());
        boot::boot(&machine, Semantics::of(machine.kernel), false)
    };
    let counts = |d: &sim::machine::PciDevice| d.board.as_ref().is_some_and(|board| board.vectors.is_some());
    if !changed.pci.iter().any(counts) {
        return;
    }
    let (old, new) = (bare(machine), bare(changed));
    let mut stays = 0;
    for function in &mut changed.pci {
        let table = function.msix_vectors.max(function.msi_vectors).max(1);
        let Some(board) = &mut function.board else { continue };
        let Some(vectors) = board.vectors else { continue };
        let formula = Board { vectors: None, ..board.clone() };
        let (before, after) = (formula.vectors(&old), formula.vectors(&new));
        if before == after {
            continue;
        }
        if before.min(table) == vectors {
            board.vectors = None;
        } else {
            stays += 1;
        }
    }
    if stays > 0 {
        notes.push(format!(
            "{stays} functions have as many messages as before: their drivers count CPUs, and not by the formula \
             that irqlab has"
        ));
    }
}

/// What became of a question.
///
/// # Errors
/// A [`Mistake`] in the question; nothing was done then that counts.
pub fn ask(machine: &Machine, question: &Question) -> Result<Answer, Mistake> {
    let prepared = prepare(machine, question)?;
    let semantics = Semantics::of(prepared.machine.kernel);
    let Prepared { before, log, mut k, machine: changed, stages, boots, said, mut notes } = prepared;
    let logged = if boots { 0 } else { k.log.len() };
    let booted = question.kernel.is_some().then(|| k.clone());
    let mut refused = run_stages(&mut k, &stages)?;
    let search = question.search.then(|| headroom::search(&mut k));
    if let Some(search) = &search {
        refused.extend(search.refused.iter().cloned());
    }
    let after = Picture::of(&k);
    let mut answer = compare(&before, &after, question, machine);
    answer.said = said;
    answer.boots = boots;
    answer.kernels = [machine.kernel.name(), changed.kernel.name()];
    answer.log = if boots { rest(&k.log, &log) } else { k.log[logged..].to_vec() };
    answer.refused = refused;
    answer.search = search;
    if let Some(booted) = booted {
        let runs = |semantics: &Semantics| {
            let mut k = if *semantics == booted.sem {
                booted.clone()
            } else {
                boot::boot(&changed, semantics.clone(), false)
            };
            // A mistake would have been one the first time.
            let _ = run_stages(&mut k, &stages);
            Picture::of(&k)
        };
        answer.causes = cause::find(&Semantics::of(machine.kernel), &semantics, &mut answer.changes, runs);
    }
    let restored =
        answer.log.iter().filter(|line| line.starts_with("irqlab: the affinity of interrupt")).count();
    if restored > 0 {
        notes.push(format!(
            "{restored} affinities that somebody had written cannot be written any more: none of their CPUs is online"
        ));
    }
    answer.headroom = Some(headroom::of(&mut k, question.headroom && !question.search));
    notes.append(&mut answer.notes);
    answer.notes = notes;
    Ok(answer)
}

/// Lines of a log that the other one has not, each as often as it has it more.
fn rest(log: &[String], other: &[String]) -> Vec<String> {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for line in other {
        *left.entry(line).or_default() += 1;
    }
    let new = log.iter().filter(|line| match left.get_mut(line.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
    new.cloned().collect()
}

/// Does everything, and lets the machine come to rest.
fn run_stages(k: &mut Kernel, stages: &[Stage]) -> Result<Vec<Refused>, Mistake> {
    let mut refused = Vec::new();
    for stage in stages {
        if stage.option == "--smt" {
            smt_is_on(k)?;
        }
        if let Some((cpus, up)) = &stage.cpus {
            expect_online(stage.option, k, cpus, !up)?;
        }
        refused.extend(run_script(k, &stage.script));
    }
    settle(k);
    Ok(refused)
}

fn smt_is_on(k: &Kernel) -> Result<(), Mistake> {
    let control = kcore::cpu::smt::control_show(k);
    let found = match control.as_str() {
        "on" => return Ok(()),
        "notsupported" => "no core of this machine has a second thread".to_owned(),
        control => format!("SMT is {control} already"),
    };
    Err(Mistake::new("--smt", found, "a machine on which /sys/devices/system/cpu/smt/control says on"))
}

pub(crate) fn settle(k: &mut Kernel) {
    let limit = k.events.now.saturating_add(SETTLE);
    engine::run_until(k, limit, &mut |_| {});
}

/// Runs lines of the shell, and collects what failed.
pub(crate) fn run_script(k: &mut Kernel, script: &Script) -> Vec<Refused> {
    let mut shell = Shell::new(Arc::new(script.clone()), Variables::default());
    let mut terminal = Vec::new();
    let mut refused = Vec::new();
    let mut logged = k.log.len();
    loop {
        let progress = shell.advance(&mut Bench { k, terminal: &mut terminal });
        terminal.clear();
        for complaint in shell.complaints.drain(..) {
            let step = script.text.lines().nth(complaint.line - 1).unwrap_or_default().trim().to_owned();
            refused.push(Refused {
                cpu: cpu_of(&step),
                step,
                errno: complaint.errno.map(kstate::Errno::name),
                what: complaint.what,
                log: k.log[logged..].to_vec(),
            });
            logged = k.log.len();
        }
        for failure in shell.failed.drain(..) {
            let step = script.text.lines().nth(failure.line - 1).unwrap_or_default().trim().to_owned();
            let what = failure.to_string();
            refused.push(Refused { cpu: None, step, errno: None, what, log: Vec::new() });
        }
        match progress {
            Progress::Began(_) if shell.complaints.is_empty() => logged = k.log.len(),
            Progress::Idle => return refused,
            _ => {}
        }
    }
}

/// The CPU that a line is about, where it names one.
fn cpu_of(step: &str) -> Option<u32> {
    let (_, rest) = step.split_once("/sys/devices/system/cpu/cpu")?;
    rest.split('/').next()?.parse().ok()
}
