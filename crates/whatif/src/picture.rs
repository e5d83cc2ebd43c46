//! What a machine shows at one moment: its interrupts, and the queues behind them.

use std::collections::BTreeMap;

use kstate::blk::HctxType;
use kstate::irqdesc::{
    IRQD_AFFINITY_MANAGED, IRQD_IRQ_STARTED, IRQD_MANAGED_SHUTDOWN, IRQD_SETAFFINITY_PENDING,
};
use kstate::{CpuId, CpuMask, Irq, Kernel, PciDevId, QueueId, VirtioId};
use pcimsi::kernel::pci_driver::pci_bus_match;
use serde::Serialize;

/// Whether an interrupt can come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is started (`IRQD_IRQ_STARTED`).
    Started,
    /// All CPUs of its affinity are offline, and the kernel has shut it down (`IRQD_MANAGED_SHUTDOWN`).
    ShutDown,
    /// It is allocated, and nobody has requested it.
    Idle,
    /// It is requested and not started.
    Off,
}

/// A hardware queue of the block layer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Queue {
    /// Disks that have it.
    pub disks: Vec<String>,
    /// Its number.
    pub hctx: u32,
    /// CPUs that submit to it.
    pub cpus: CpuMask,
    /// `BLK_MQ_S_INACTIVE`: it takes no new requests.
    pub inactive: bool,
}

/// An interrupt.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Interrupt {
    /// Its number.
    pub irq: u32,
    /// What its drivers call it, with a comma and a space between several names.
    pub name: String,
    /// The address of its function; `None` for a pin's.
    pub device: Option<String>,
    /// Which message of the function it is.
    pub message: Option<u32>,
    /// The kernel manages its affinity.
    pub managed: bool,
    /// The CPUs that it may go to.
    pub affinity: CpuMask,
    /// The CPU that it goes to.
    pub cpu: Option<CpuId>,
    /// Whether it can come.
    pub state: State,
    /// The queue that it is for.
    pub queue: Option<Queue>,
}

/// What stays the same of an interrupt when its number changes: the function and the message, or the number of a
/// pin.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// A pin's, or the IOMMU's.
    Number(u32),
    /// A function's, and which one.
    Message(String, u32),
}

impl Interrupt {
    /// See [`Key`].
    pub fn key(&self) -> Key {
        match (&self.device, self.message) {
            (Some(device), Some(message)) => Key::Message(device.clone(), message),
            _ => Key::Number(self.irq),
        }
    }

    /// The CPUs whose work it carries: those that submit to its queue, or those of its affinity.
    pub fn carries(&self) -> &CpuMask {
        self.queue.as_ref().map_or(&self.affinity, |queue| &queue.cpus)
    }
}

/// A PCI function.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Device {
    /// Its driver.
    pub driver: Option<&'static str>,
    /// The driver that takes it when the machine boots.
    pub wanted: Option<&'static str>,
}

/// Everything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// CPUs that run.
    pub online: CpuMask,
    /// Interrupts that are allocated.
    pub interrupts: BTreeMap<Key, Interrupt>,
    /// Functions by address.
    pub devices: BTreeMap<String, Device>,
}

impl Picture {
    /// Looks at a machine.
    pub fn of(k: &Kernel) -> Self {
        let queues = queues(k);
        let interrupts = k
            .for_each_irq()
            .filter_map(|irq| interrupt(k, irq, &queues))
            // Pins that nobody uses.
            .filter(|i| i.device.is_some() || !i.name.is_empty())
            .map(|i| (i.key(), i))
            .collect();
        let devices = (0..k.pci.devs.len() as u32).map(PciDevId).map(|dev| {
            let name = |drv: kstate::PciDriverId| k.pci.drivers[drv.index()].name;
            let device = Device {
                driver: k.pci_driver_of(dev).map(|driver| driver.name),
                wanted: pci_bus_match(k, dev).filter(|drv| k.pci.drivers[drv.index()].built_in).map(name),
            };
            (k.pci_dev(dev).name(), device)
        });
        Self { online: k.topo.online.clone(), interrupts, devices: devices.collect() }
    }

    /// How many interrupts somebody has requested.
    pub fn requested(&self) -> usize {
        self.interrupts.values().filter(|i| i.state != State::Idle).count()
    }
}

type Queues = BTreeMap<(PciDevId, u32), Queue>;

/// Hardware queues by the function and the message that tell of their completions. Polled queues have none.
fn queues(k: &Kernel) -> Queues {
    let mut found = Queues::new();
    for disk in k.blk.disks.iter().flatten().filter(|disk| !disk.gone) {
        let Some(q) = k.blk.find_q(disk.queue) else { continue };
        for hctx in q.queue_hw_ctx.iter().filter(|hctx| hctx.ty != HctxType::Poll) {
            let Some(at) = message_of(k, disk.queue, hctx.queue_num) else { continue };
            let queue = found.entry(at).or_insert_with(|| Queue {
                disks: Vec::new(),
                hctx: hctx.queue_num,
                cpus: CpuMask::new(),
                inactive: hctx.inactive,
            });
            queue.disks.push(disk.disk_name.clone());
            queue.cpus.or_assign(&hctx.mapped_cpus);
        }
    }
    found
}

/// The message of a hardware queue, which its driver knows.
fn message_of(k: &Kernel, queue: QueueId, hctx: u32) -> Option<(PciDevId, u32)> {
    let set = k.blk.q(queue).tag_set;
    if let Some(nvme) = k.nvme.devs.iter().find(|nvme| nvme.bound && nvme.tagset == Some(set)) {
        let (_, qid) = k.nvmeq_of_hctx(queue, hctx);
        return Some((nvme.dev, u32::from(nvme.queues.get(usize::from(qid))?.cq_vector)));
    }
    // The other driver of disks is virtio_blk, whose hardware queues are the first of its virtqueues.
    let vdev = k.virtio.find(VirtioId(k.blk.set(set).driver_data as u32))?;
    let vq = vdev.vqs.get(&(hctx as u16))?;
    vdev.msix_enabled.then_some((vdev.pci_dev, u32::from(vq.msix_vector)))
}

fn interrupt(k: &Kernel, irq: Irq, queues: &Queues) -> Option<Interrupt> {
    let desc = k.find_desc(irq)?;
    let msi = k.irq_get_msi_desc(irq).map(|msi| &k.msi.descs[msi]);
    let message = msi.map(|msi| match msi.irq {
        Some(first) if !msi.is_msix => irq.0.saturating_sub(first.0),
        _ => u32::from(msi.entry_nr),
    });
    let dev = msi.map(|msi| msi.dev);
    let state = if desc.action.is_empty() {
        State::Idle
    } else if desc.has(IRQD_MANAGED_SHUTDOWN) {
        State::ShutDown
    } else if desc.has(IRQD_IRQ_STARTED) {
        State::Started
    } else {
        State::Off
    };
    // As /proc shows it: the move waits for the next interrupt.
    let moves = desc.has(IRQD_SETAFFINITY_PENDING);
    let stands = k.apic.apicd(irq).filter(|apicd| state == State::Started && apicd.vector != 0);
    let names: Vec<&str> = desc.action.iter().map(|action| action.name.as_ref()).collect();
    Some(Interrupt {
        irq: irq.0,
        name: names.join(", "),
        device: dev.map(|dev| k.pci_dev(dev).name()),
        message,
        managed: desc.has(IRQD_AFFINITY_MANAGED),
        affinity: if moves { desc.pending_mask.clone() } else { desc.irq_common_data.affinity.clone() },
        cpu: stands.map(|apicd| apicd.cpu),
        state,
        queue: dev.zip(message).and_then(|at| queues.get(&at)).cloned(),
    })
}
