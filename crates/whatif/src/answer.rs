//! Two pictures compared.

use kstate::{CpuId, CpuMask};
use serde::Serialize;
use sim::machine::Machine;

use crate::cause::Cause;
use crate::headroom::{Headroom, Search};
use crate::picture::{Interrupt, Key, Picture, Queue, State};
use crate::question::Question;
use crate::run::Refused;

/// What became of an interrupt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It was started and is shut down: no CPU of its affinity runs.
    Dead,
    /// It was started and cannot come any more, although nothing shut it down for good: its CPU does not run, or
    /// it is requested and not started.
    Lost,
    /// It is not there any more, although its function is.
    Gone,
    /// Fewer of the CPUs run whose work it carries.
    Degraded,
    /// It may go to other CPUs than before.
    Affinity,
    /// It goes to another CPU of the same affinity.
    Moved,
    /// It was shut down and is started.
    Revived,
    /// It is new. It has no CPU where those of its affinity are not there.
    New,
}

impl Kind {
    /// Something is lost.
    pub const fn is_finding(self) -> bool {
        matches!(self, Self::Dead | Self::Lost | Self::Gone | Self::Degraded | Self::Affinity)
    }
}

/// The queue behind an interrupt, before and after.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct QueueChange {
    /// Disks that have it.
    pub disks: Vec<String>,
    /// Its number.
    pub hctx: u32,
    /// CPUs that submitted to it and ran.
    #[serde(serialize_with = "crate::list")]
    pub before: CpuMask,
    /// CPUs that submit to it and run.
    #[serde(serialize_with = "crate::list")]
    pub after: CpuMask,
    /// It takes no new requests (`BLK_MQ_S_INACTIVE`).
    pub inactive: bool,
}

/// An interrupt that is not as it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Change {
    /// What became of it.
    pub kind: Kind,
    /// This counts for the exit status.
    pub finding: bool,
    /// Its number, after where it is still there.
    pub irq: u32,
    /// What its drivers call it.
    pub name: String,
    /// The address of its function.
    pub device: Option<String>,
    /// Which message of the function it is.
    pub message: Option<u32>,
    /// The kernel manages its affinity.
    pub managed: bool,
    /// CPUs that it might go to.
    #[serde(serialize_with = "crate::list")]
    pub affinity_before: CpuMask,
    /// CPUs that it may go to.
    #[serde(serialize_with = "crate::list")]
    pub affinity_after: CpuMask,
    /// The CPU that it went to.
    pub cpu_before: Option<u32>,
    /// The CPU that it goes to.
    pub cpu_after: Option<u32>,
    /// CPUs whose work it carried and that ran.
    #[serde(serialize_with = "crate::list")]
    pub carried_before: CpuMask,
    /// CPUs whose work it carries and that run.
    #[serde(serialize_with = "crate::list")]
    pub carried_after: CpuMask,
    /// Its queue, where it has one.
    pub queue: Option<QueueChange>,
    /// Fields of a kernel's behaviour that explain it.
    pub because: Vec<&'static str>,
}

impl Change {
    /// See [`Key`].
    pub fn key(&self) -> Key {
        match (&self.device, self.message) {
            (Some(device), Some(message)) => Key::Message(device.clone(), message),
            _ => Key::Number(self.irq),
        }
    }
}

/// A function whose driver has let it go, or did not take it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Failed {
    /// Its address.
    pub device: String,
    /// The driver that does not have it.
    pub driver: &'static str,
    /// It is a device that was added.
    pub added: bool,
}

/// The machine in numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Summary {
    /// CPUs that run.
    #[serde(serialize_with = "crate::list")]
    pub online: CpuMask,
    /// Interrupts that are requested.
    pub interrupts: usize,
}

/// What happens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Answer {
    /// The kernels: of the machine as it is, and of the changed one.
    pub kernels: [&'static str; 2],
    /// What was changed, in words.
    pub said: Vec<String>,
    /// It took another boot.
    pub boots: bool,
    /// The machine as it is.
    pub before: Summary,
    /// The changed machine.
    pub after: Summary,
    /// What the kernel did not do.
    pub refused: Vec<Refused>,
    /// Functions without their driver.
    pub failed: Vec<Failed>,
    /// Interrupts that are not as they were.
    pub changes: Vec<Change>,
    /// Interrupts of functions that were removed.
    pub removed: usize,
    /// Interrupts that are as they were.
    pub same: usize,
    /// What is left.
    pub headroom: Option<Headroom>,
    /// How far one can go, if that was asked.
    pub search: Option<Search>,
    /// Behaviours of the kernels that explain changes.
    pub causes: Vec<Cause>,
    /// What the changed machine's kernel said beyond what it said before.
    pub log: Vec<String>,
    /// What has to be known about the answer.
    pub notes: Vec<String>,
}

impl Answer {
    /// Something is lost.
    pub fn has_finding(&self) -> bool {
        !self.refused.is_empty()
            || !self.failed.is_empty()
            || self.changes.iter().any(|change| change.finding)
    }

    /// The changes of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.kind == kind)
    }
}

fn queue(before: &Interrupt, after: &Interrupt, online: [&CpuMask; 2]) -> Option<QueueChange> {
    let (Some(old), Some(new)) = (before.queue.as_ref(), after.queue.as_ref()) else { return None };
    let Queue { disks, hctx, cpus, inactive } = new;
    Some(QueueChange {
        disks: disks.clone(),
        hctx: *hctx,
        before: old.cpus.and(online[0]),
        after: cpus.and(online[1]),
        inactive: *inactive,
    })
}

/// What became of an interrupt that is there in both; `None` where nothing did.
fn kind(before: &Interrupt, after: &Interrupt, online: [&CpuMask; 2]) -> Option<Kind> {
    let runs = |cpu: Option<CpuId>| cpu.is_some_and(|cpu| online[1].contains(cpu));
    match (before.state, after.state) {
        (State::Started, State::ShutDown) => return Some(Kind::Dead),
        (State::Started, State::Off | State::Idle) => return Some(Kind::Lost),
        (State::Started | State::ShutDown | State::Off, State::Started) if !runs(after.cpu) => {
            return Some(Kind::Lost);
        }
        (State::ShutDown | State::Off, State::Started) => return Some(Kind::Revived),
        (_, State::Idle | State::ShutDown | State::Off) => return None,
        (State::Idle | State::Started, State::Started) => {}
    }
    // A boot with fewer CPUs leaves the others out of an affinity that nobody manages.
    let differs = if after.managed {
        before.affinity != after.affinity
    } else {
        before.affinity.and(online[1]) != after.affinity.and(online[1])
    };
    if differs || before.managed != after.managed {
        return Some(Kind::Affinity);
    }
    let carries = |i: &Interrupt, online: &CpuMask| i.carries().and(online).weight();
    if after.managed && carries(after, online[1]) < carries(before, online[0]) {
        return Some(Kind::Degraded);
    }
    (before.cpu != after.cpu).then_some(Kind::Moved)
}

fn change(kind: Kind, before: &Interrupt, after: &Interrupt, online: [&CpuMask; 2]) -> Change {
    Change {
        kind,
        finding: kind.is_finding(),
        irq: after.irq,
        name: if after.name.is_empty() { before.name.clone() } else { after.name.clone() },
        device: after.device.clone(),
        message: after.message,
        managed: after.managed,
        affinity_before: before.affinity.clone(),
        affinity_after: after.affinity.clone(),
        cpu_before: before.cpu.map(|cpu| cpu.0),
        cpu_after: after.cpu.map(|cpu| cpu.0),
        carried_before: before.carries().and(online[0]),
        carried_after: after.carries().and(online[1]),
        queue: queue(before, after, online),
        because: Vec::new(),
    }
}

/// Compares two pictures.
pub(crate) fn compare(before: &Picture, after: &Picture, question: &Question, machine: &Machine) -> Answer {
    let online = [&before.online, &after.online];
    let removed: Vec<&str> = question
        .remove
        .iter()
        .filter_map(|text| crate::device::find(machine, text).ok())
        .map(|at| machine.pci[at].address.as_str())
        .collect();
    let is_removed = |i: &Interrupt| i.device.as_deref().is_some_and(|device| removed.contains(&device));
    let nothing = |i: &Interrupt| Interrupt { affinity: CpuMask::new(), cpu: None, queue: None, ..i.clone() };
    let mut changes = Vec::new();
    let (mut same, mut gone) = (0, 0);
    for (key, old) in &before.interrupts {
        let found = match after.interrupts.get(key) {
            Some(new) => kind(old, new, online).map(|kind| change(kind, old, new, online)),
            None if is_removed(old) => {
                gone += usize::from(old.state != State::Idle);
                continue;
            }
            None if old.state == State::Idle => continue,
            None => Some(change(Kind::Gone, old, &nothing(old), online)),
        };
        match found {
            Some(found) => changes.push(found),
            None => same += usize::from(old.state != State::Idle),
        }
    }
    for (key, new) in &after.interrupts {
        if !before.interrupts.contains_key(key) && new.state != State::Idle {
            changes.push(change(Kind::New, &nothing(new), new, online));
        }
    }
    changes.sort_by_key(|change| (change.kind, change.irq));
    let failed = after.devices.iter().filter_map(|(address, device)| {
        let had = before.devices.get(address).map(|before| before.driver.is_some());
        let lost = device.driver.is_none() && had != Some(false) && !removed.contains(&address.as_str());
        let driver = device.wanted.or_else(|| before.devices.get(address)?.driver)?;
        lost.then(|| Failed { device: address.clone(), driver, added: had.is_none() })
    });
    let mut notes = Vec::new();
    let several = |c: &Change| {
        !c.managed
            && matches!(c.kind, Kind::Moved | Kind::Affinity)
            && c.affinity_after.and(online[1]).weight() > 1
    };
    let free = changes.iter().filter(|c| several(c)).count();
    if free > 0 {
        notes.push(format!(
            "{free} interrupts that are not managed have several CPUs to go to: which one it is depends on \
             everything since boot, and the answer is one of them"
        ));
    }
    Answer {
        kernels: ["", ""],
        said: Vec::new(),
        boots: false,
        before: Summary { online: before.online.clone(), interrupts: before.requested() },
        after: Summary { online: after.online.clone(), interrupts: after.requested() },
        refused: Vec::new(),
        failed: failed.collect(),
        changes,
        removed: gone,
        same,
        headroom: None,
        search: None,
        causes: Vec::new(),
        log: Vec::new(),
        notes,
    }
}
