//! What things are called where people read: as the kernel or the manual writes them, never as the emulator numbers
//! them.
//!
//! # What it doesn't implement
//! The labels of recordings, which are those of captures: `record` has them.

use core::fmt;

use crate::event::Event;
use crate::hotplug::CpuhpState;
use crate::hw::pci::ASKS;
use crate::irqdesc::{DevId, Irqd};
use crate::sched::{Frame, Slot as _, Task, TaskKind, TaskState, WaitOn};
use crate::trace::{Actor, Args, FnMeta, Param, Shown};
use crate::{Kernel, PciDevId, QueueId, ReqId, TaskId};

/// A register as its manual writes it, for the `Debug` of what holds it.
pub(crate) struct Hex(pub u64);

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A set of bits or vectors as a list, `{33-35,40}`, as masks of CPUs are written.
pub(crate) fn list(f: &mut fmt::Formatter<'_>, numbers: impl Iterator<Item = u32>) -> fmt::Result {
    f.write_str("{")?;
    let mut numbers = numbers.peekable();
    let mut comma = "";
    while let Some(first) = numbers.next() {
        let mut last = first;
        while numbers.next_if_eq(&(last + 1)).is_some() {
            last += 1;
        }
        write!(f, "{comma}{first}")?;
        if last > first {
            write!(f, "-{last}")?;
        }
        comma = ",";
    }
    f.write_str("}")
}

/// As `comm` of the task has it: `migration/4`, `swapper/2`.
impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task => f.write_str("task"),
            Self::Kworker => f.write_str("kworker"),
            Self::Cpuhp(cpu) => write!(f, "cpuhp/{cpu}"),
            Self::Migration(cpu) => write!(f, "migration/{cpu}"),
            Self::Idle(cpu) => write!(f, "swapper/{cpu}"),
            Self::IrqThread(irq) => write!(f, "irq/{irq}"),
        }
    }
}

/// A task by its `comm`, an interrupt by its number and its handler.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task => f.write_str("task"),
            Self::Kworker => f.write_str("kworker"),
            Self::Cpuhp(cpu) => write!(f, "cpuhp/{cpu}"),
            Self::Migration(cpu) => write!(f, "migration/{cpu}"),
            Self::Idle(cpu) => write!(f, "swapper/{cpu}"),
            Self::Softirq(cpu) => write!(f, "softirq on CPU {cpu}"),
            Self::Irq { irq: Some(irq), name, .. } => write!(f, "irq {irq} {name}"),
            Self::Irq { irq: None, cpu, .. } => write!(f, "interrupt on CPU {cpu}"),
            Self::Cleanup(cpu) => write!(f, "vector cleanup on CPU {cpu}"),
            Self::IrqThread(name) => f.write_str(name),
            Self::Boot => f.write_str("boot"),
        }
    }
}

/// A call on a stack: the function with its arguments and locals.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.code.meta.name)?;
        for (i, (name, slot)) in self.code.locals.iter().zip(&self.slots).enumerate() {
            write!(f, "{}{name}={}", if i == 0 { "" } else { ", " }, *slot as i64)?;
        }
        f.write_str(")")
    }
}

impl Kernel {
    /// What the kernel calls the device behind a function: `nvme0`, `virtio1`, or the function's address while no
    /// driver has given it a name.
    pub fn device_name(&self, dev: PciDevId) -> String {
        let nvme = self.nvme.devs.iter().find(|nvme| nvme.bound && nvme.dev == dev);
        if let Some(nvme) = nvme {
            return format!("nvme{}", nvme.instance);
        }
        let virtio = self.virtio.devs.iter().flatten().find(|virtio| virtio.pci_dev == dev);
        if let Some(virtio) = virtio {
            return format!("virtio{}", virtio.index);
        }
        self.pci.devs.get(dev.index()).map_or_else(|| format!("function {dev}"), |function| function.name())
    }

    /// A driver has given the device behind a function a name.
    pub fn has_driver_name(&self, dev: PciDevId) -> bool {
        self.nvme.devs.iter().any(|nvme| nvme.bound && nvme.dev == dev)
            || self.virtio.devs.iter().flatten().any(|virtio| virtio.pci_dev == dev)
    }

    /// A task: `task 21 (kworker)`.
    pub fn task_name(&self, id: TaskId) -> String {
        match self.sched.tasks.get(id.index()).map(|task| &**task) {
            Some(Task { kind: TaskKind::Task, .. }) | None => format!("task {id}"),
            Some(task) => format!("task {id} ({})", task.kind),
        }
    }

    /// The arguments of a call that were recorded, as `name=value`: numbers as C's `long`, what is a pointer in C by what
    /// it points to.
    pub fn arguments(&self, meta: &FnMeta, words: &Args) -> String {
        let shown = self.named_arguments(meta, words).map(|(name, value)| format!("{name}={value}"));
        shown.collect::<Vec<_>>().join(", ")
    }

    /// The same, each with its name.
    pub fn named_arguments(
        &self,
        meta: &FnMeta,
        words: &Args,
    ) -> impl Iterator<Item = (&'static str, String)> {
        let recorded = meta.args.iter().enumerate().filter_map(|(n, param)| Some((param, words.get(n)?)));
        recorded.map(|(param, word)| (param.name, self.argument(param, word)))
    }

    /// A recorded argument as people read it.
    pub fn argument(&self, param: &Param, word: u64) -> String {
        match param.shown {
            Shown::IrqData => {
                let Irqd { irq, level } = Irqd::from_slot(word);
                format!("{irq}.{level}")
            }
            Shown::State => CpuhpState::from_slot(word).name().to_owned(),
            Shown::Function => {
                let function = self.pci.devs.get(PciDevId::from_slot(word).index());
                function.map_or_else(|| word.to_string(), |function| function.name())
            }
            Shown::DevId => match DevId::from_slot(word) {
                DevId::None => "0".to_owned(),
                DevId::Driver(dev, n) => format!("{}/{n}", self.device_name(dev)),
                DevId::Platform(n) => format!("platform/{n}"),
                DevId::Iommu(n) => format!("dmar{n}"),
                DevId::Module(n) => format!("module/{n}"),
            },
            // The lower half is the place, the upper one says how often it was taken.
            Shown::Key => format!("#{}", word as u32),
            Shown::Word => (word as i64).to_string(),
        }
    }

    /// Whether a task runs, and what it waits for.
    pub fn state_name(&self, state: TaskState) -> String {
        match state {
            TaskState::Runnable => "can go on".to_owned(),
            TaskState::Spinning => "spins".to_owned(),
            TaskState::Waiting(on) => format!("waits for {}", self.wait_name(on)),
            TaskState::Done(_) => "ended".to_owned(),
        }
    }

    /// A request of the block layer: by its queue and its tag.
    pub fn request_name(&self, rq: ReqId) -> String {
        match self.blk.requests.get(rq) {
            Some(request) => format!("request {} of {}", request.tag, self.queue_name(request.q)),
            None => "a request that is over".to_owned(),
        }
    }

    /// A request queue, by its disk where it has one.
    pub fn queue_name(&self, q: QueueId) -> String {
        let disk = self.blk.disks.iter().flatten().find(|disk| disk.queue == q);
        disk.map_or_else(|| format!("request queue {q}"), |disk| format!("the queue of {}", disk.disk_name))
    }

    /// What a task waits for.
    pub fn wait_name(&self, on: WaitOn) -> String {
        match on {
            WaitOn::Until(time) => {
                format!("time to reach {}.{:09} s", time / 1_000_000_000, time % 1_000_000_000)
            }
            WaitOn::Request(rq) => match self.blk.requests.get(rq) {
                Some(_) => format!("the end of {}", self.request_name(rq)),
                None => "the end of a request".to_owned(),
            },
            WaitOn::Driver(dev, n) => format!("its driver's wait queue {n} of {}", self.device_name(dev)),
            WaitOn::Threads(irq) => format!("the threads of irq {irq}"),
            WaitOn::IrqThread(_) => "an interrupt".to_owned(),
            WaitOn::Cpuhp(cpu) => format!("the hotplug thread of CPU {cpu}"),
            WaitOn::StopMachine => "the stoppers of all CPUs".to_owned(),
            WaitOn::HotplugLock => "the CPU hotplug lock".to_owned(),
            WaitOn::Exit(task) => format!("the end of {}", self.task_name(task)),
            WaitOn::Tag(_, hctx) => format!("a free tag of hardware queue {hctx}"),
            WaitOn::Unfrozen(q) => format!("the end of the freeze of {}", self.queue_name(q)),
            WaitOn::Drained(q) => format!("the requests of {}", self.queue_name(q)),
            WaitOn::DeviceLock(dev) => format!("the lock of {}", self.device_name(dev)),
        }
    }

    /// What happens when an event is due.
    pub fn event_name(&self, event: &Event) -> String {
        match *event {
            Event::Wake(task) => format!("{} has slept long enough", self.task_name(task)),
            Event::Device(dev, word) => {
                let of_device =
                    || self.hw.pci.get(dev.index()).map(|function| (function.model.describe)(word));
                let what = match word & ASKS {
                    0 => of_device(),
                    _ => Some(format!("asks for message {}", word & !ASKS)),
                };
                format!("{} {}", self.device_name(dev), what.unwrap_or_default())
            }
            Event::VectorCleanup(cpu) => format!("the vector cleanup timer of CPU {cpu} expires"),
            Event::IntxLevel(dev, true) => format!("{} asserts its interrupt pin", self.device_name(dev)),
            Event::IntxLevel(dev, false) => format!("{} deasserts its interrupt pin", self.device_name(dev)),
            Event::IoApicLevel(pin) => format!("the IO-APIC looks at the line of pin {pin} again"),
            Event::BlkTimeout(rq) => format!("{} times out", self.request_name(rq)),
            Event::WakeOn(on) => format!("the wait for {} is over", self.wait_name(on)),
        }
    }
}
