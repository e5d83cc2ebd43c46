//! `struct irq_desc`, `struct irq_data` and their bits (include/linux/irq.h, irqdesc.h,
//! kernel/irq/internals.h, settings.h).

use smallvec::SmallVec;

use crate::irqchip::{Handler, IrqChip};
use crate::irqdomain::IrqDomain;
use crate::{ChipId, CpuId, CpuMask, DomainId, Irq, MsiDescId, NodeId, NvmeId, TaskId, VirtioId};

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {$($(#[$doc])* pub const $name: u32 = $value;)*};
}

bits! {
    /// Trigger type of no interest.
    IRQ_TYPE_NONE = 0;
    /// Rising edge.
    IRQ_TYPE_EDGE_RISING = 1;
    /// Falling edge.
    IRQ_TYPE_EDGE_FALLING = 2;
    /// Active high level.
    IRQ_TYPE_LEVEL_HIGH = 4;
    /// Active low level.
    IRQ_TYPE_LEVEL_LOW = 8;
    /// Either level.
    IRQ_TYPE_LEVEL_MASK = 12;
    /// `_IRQ_*`: line settings in `status_use_accessors`.
    IRQ_LEVEL = 1 << 8;
    /// Not available for requests by drivers that probe.
    IRQ_NOPROBE = 1 << 10;
    /// Not available to `request_irq`.
    IRQ_NOREQUEST = 1 << 11;
    /// Not enabled by `request_irq`.
    IRQ_NOAUTOEN = 1 << 12;
    /// Excluded from balancing.
    IRQ_NO_BALANCING = 1 << 13;
    /// Migrated only on the interrupt itself.
    IRQ_MOVE_PCNTXT = 1 << 14;
    /// Runs in its parent's thread.
    IRQ_NESTED_THREAD = 1 << 15;
    /// Cannot be threaded by force.
    IRQ_NOTHREAD = 1 << 16;
    /// Per-CPU device.
    IRQ_PER_CPU_DEVID = 1 << 17;
    /// Always polled by another line's handler.
    IRQ_IS_POLLED = 1 << 18;
    /// Masked at once when disabled.
    IRQ_DISABLE_UNLAZY = 1 << 19;
    /// Per CPU.
    IRQ_PER_CPU = 1 << 9;

    /// `IRQS_*`: core state in `istate`.
    IRQS_AUTODETECT = 0x1;
    /// Disabled by spurious detection.
    IRQS_SPURIOUS_DISABLED = 0x2;
    /// Polled right now.
    IRQS_POLL_INPROGRESS = 0x8;
    /// Stays masked until the thread has run.
    IRQS_ONESHOT = 0x20;
    /// Resent by software.
    IRQS_REPLAY = 0x40;
    /// Autodetection waits.
    IRQS_WAITING = 0x80;
    /// To be run again.
    IRQS_PENDING = 0x200;
    /// Off during suspend.
    IRQS_SUSPENDED = 0x800;
    /// Timings are kept.
    IRQS_TIMINGS = 0x1000;
    /// Delivered as NMI.
    IRQS_NMI = 0x2000;

    /// `IRQD_*`: state of `irq_common_data`; the values of 5.4, which 6.12 kept.
    IRQD_TRIGGER_MASK = 0xf;
    /// A new affinity waits for the next interrupt.
    IRQD_SETAFFINITY_PENDING = 1 << 8;
    /// Activated in its domains.
    IRQD_ACTIVATED = 1 << 9;
    /// Excluded from balancing.
    IRQD_NO_BALANCING = 1 << 10;
    /// Per CPU.
    IRQD_PER_CPU = 1 << 11;
    /// Affinity was set by somebody.
    IRQD_AFFINITY_SET = 1 << 12;
    /// Level triggered.
    IRQD_LEVEL = 1 << 13;
    /// Wakes the system.
    IRQD_WAKEUP_STATE = 1 << 14;
    /// Can be moved outside its own interrupt.
    IRQD_MOVE_PCNTXT = 1 << 15;
    /// Disabled.
    IRQD_IRQ_DISABLED = 1 << 16;
    /// Masked at the chip.
    IRQD_IRQ_MASKED = 1 << 17;
    /// A handler runs.
    IRQD_IRQ_INPROGRESS = 1 << 18;
    /// Armed for wake-up.
    IRQD_WAKEUP_ARMED = 1 << 19;
    /// Belongs to a guest.
    IRQD_FORWARDED_TO_VCPU = 1 << 20;
    /// The kernel decides the affinity.
    IRQD_AFFINITY_MANAGED = 1 << 21;
    /// Started up.
    IRQD_IRQ_STARTED = 1 << 22;
    /// Shut down because all CPUs of its affinity are offline.
    IRQD_MANAGED_SHUTDOWN = 1 << 23;
    /// Only one CPU can be the target.
    IRQD_SINGLE_TARGET = 1 << 24;
    /// The expected trigger was set.
    IRQD_DEFAULT_TRIGGER_SET = 1 << 25;
    /// A vector may be reserved instead of assigned.
    IRQD_CAN_RESERVE = 1 << 26;
    /// The message can be changed without masking (5.5 and later).
    IRQD_MSI_NOMASK_QUIRK = 1 << 27;
    /// `irq_get_irqchip_state` may be called in atomic context.
    IRQD_HANDLE_ENFORCE_IRQCTX = 1 << 28;
    /// The affinity is applied on activation (5.10 and later).
    IRQD_AFFINITY_ON_ACTIVATE = 1 << 29;
    /// Wake-up may disable.
    IRQD_IRQ_ENABLED_ON_SUSPEND = 1 << 30;
    /// Resent when it arrives while running.
    IRQD_RESEND_WHEN_IN_PROGRESS = 1 << 31;
}

/// One `struct irq_data` of an interrupt: level 0 is the outermost (`desc->irq_data`), each higher
/// level is the `parent_data` of the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Irqd {
    /// The interrupt.
    pub irq: Irq,
    /// Position in the chain.
    pub level: u8,
}

impl Irqd {
    /// The outermost data of `irq` (`irq_get_irq_data`).
    pub const fn top(irq: Irq) -> Self {
        Self { irq, level: 0 }
    }
    /// `data->parent_data`, whether it exists or not.
    pub const fn parent(self) -> Self {
        Self { irq: self.irq, level: self.level + 1 }
    }
}

impl crate::sched::Slot for Irqd {
    fn to_slot(self) -> u64 {
        u64::from(self.irq.0) << 8 | u64::from(self.level)
    }
    fn from_slot(slot: u64) -> Self {
        Self { irq: Irq((slot >> 8) as u32), level: slot as u8 }
    }
}

/// What `irq_data->chip_data` points to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ChipData {
    /// Nothing.
    #[default]
    None,
    /// `struct apic_chip_data`, kept by interrupt number in `Kernel::apic.chip_data`.
    Apic,
    /// `struct mp_chip_data`, kept by interrupt number in `Kernel::apic.mp_chip_data`.
    IoApic,
    /// `struct intel_ir_data`, kept by interrupt number in `Kernel::remap.ir_data`.
    IntelIr,
}

/// `struct irq_data`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqData {
    /// Number within its domain.
    pub hwirq: u64,
    /// Its chip.
    pub chip: ChipId,
    /// Its domain.
    pub domain: Option<DomainId>,
    /// The chip's own data.
    pub chip_data: ChipData,
}

/// `struct irq_common_data`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqCommonData {
    /// `IRQD_*`.
    pub state_use_accessors: u32,
    /// NUMA node; -1 is `NUMA_NO_NODE`.
    pub node: i32,
    /// Data of the flow handler.
    pub handler_data: u64,
    /// The MSI descriptor.
    pub msi_desc: Option<MsiDescId>,
    /// Requested affinity.
    pub affinity: CpuMask,
    /// Effective affinity.
    pub effective_affinity: CpuMask,
}

/// The flow handlers (`desc->handle_irq`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum FlowHandler {
    /// No handler yet: complains and acks.
    #[default]
    HandleBadIrq,
    /// Edge.
    HandleEdgeIrq,
    /// Transparent controllers that want an EOI.
    HandleFasteoiIrq,
    /// Level.
    HandleLevelIrq,
    /// Simple.
    HandleSimpleIrq,
    /// Per CPU.
    HandlePercpuIrq,
}

impl FlowHandler {
    /// The C name, as debugfs prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HandleBadIrq => "handle_bad_irq",
            Self::HandleEdgeIrq => "handle_edge_irq",
            Self::HandleFasteoiIrq => "handle_fasteoi_irq",
            Self::HandleLevelIrq => "handle_level_irq",
            Self::HandleSimpleIrq => "handle_simple_irq",
            Self::HandlePercpuIrq => "handle_percpu_irq",
        }
    }
}

/// What a handler gets as `dev_id`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum DevId {
    /// A null pointer.
    #[default]
    None,
    /// A queue of an NVMe controller.
    NvmeQueue(NvmeId, u16),
    /// A virtio device as a whole: configuration changes and shared vectors.
    VirtioDev(VirtioId),
    /// A virtqueue.
    Virtqueue(VirtioId, u16),
    /// A platform device, by a number of its own.
    Platform(u32),
}

/// `irqreturn_t`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IrqReturn {
    /// Not ours.
    None,
    /// Done.
    Handled,
    /// Wake the thread.
    WakeThread,
}

/// `struct irqaction`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IrqAction {
    /// The hard handler.
    pub handler: Handler,
    /// The threaded handler.
    pub thread_fn: Option<Handler>,
    /// The handler's cookie.
    pub dev_id: DevId,
    /// `IRQF_*`.
    pub flags: u32,
    /// Name in /proc/interrupts.
    pub name: String,
    /// The thread.
    pub thread: Option<TaskId>,
    /// `IRQTF_*`.
    pub thread_flags: u32,
    /// This action's bit in `threads_oneshot`.
    pub thread_mask: u64,
}

/// `struct irq_desc`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqDesc {
    /// State shared by all levels.
    pub irq_common_data: IrqCommonData,
    /// The hierarchy, outermost first.
    pub irq_data: SmallVec<[IrqData; 3]>,
    /// The flow handler.
    pub handle_irq: FlowHandler,
    /// Name of the flow handler, as `irq_set_handler_name` gave it ("edge", "fasteoi").
    pub name: Option<&'static str>,
    /// The actions, in order of request.
    pub action: Vec<IrqAction>,
    /// `_IRQ_*` settings.
    pub status_use_accessors: u32,
    /// `IRQS_*`.
    pub istate: u32,
    /// Disable depth.
    pub depth: u32,
    /// Wake depth.
    pub wake_depth: u32,
    /// Interrupts handled, for spurious detection.
    pub irq_count: u32,
    /// Interrupts nobody handled.
    pub irqs_unhandled: u32,
    /// When the last unhandled one came, in ns.
    pub last_unhandled: u64,
    /// Handlers in threads that run.
    pub threads_active: u32,
    /// Threads that must end before unmasking.
    pub threads_oneshot: u64,
    /// Threaded handlers handled since.
    pub threads_handled: u32,
    /// `threads_handled` as note_interrupt last saw it.
    pub threads_handled_last: u32,
    /// `IRQD_SETAFFINITY_PENDING`: the affinity to move to.
    pub pending_mask: CpuMask,
    /// What the driver hinted.
    pub affinity_hint: Option<CpuMask>,
    /// Counts per CPU, by CPU number.
    pub kstat_irqs: Vec<u32>,
    /// What debugfs shows as `device:`.
    pub dev_name: Option<String>,
    /// The interrupt was requested since it was allocated and has its /proc directory.
    pub proc_dir: bool,
}

impl IrqDesc {
    /// `irqd_get`: the `IRQD_*` bits.
    pub fn state(&self) -> u32 {
        self.irq_common_data.state_use_accessors
    }
    /// Any of these `IRQD_*` bits is set.
    pub fn has(&self, bits: u32) -> bool {
        self.state() & bits != 0
    }
    /// `irqd_set`.
    pub fn set(&mut self, bits: u32) {
        self.irq_common_data.state_use_accessors |= bits;
    }
    /// `irqd_clear`.
    pub fn clear(&mut self, bits: u32) {
        self.irq_common_data.state_use_accessors &= !bits;
    }
}

/// Everything kernel/irq owns.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqState {
    /// `irq_desc_tree`: by number.
    pub descs: Vec<Option<Box<IrqDesc>>>,
    /// `nr_irqs`.
    pub nr_irqs: u32,
    /// All domains ever created; a removed one stays as `None`.
    pub domains: Vec<Option<IrqDomain>>,
    /// All chips; number 0 is `no_irq_chip`.
    pub chips: Vec<IrqChip>,
    /// `irq_default_affinity`.
    pub default_affinity: CpuMask,
}

impl crate::Kernel {
    /// The descriptor, which must exist (`irq_to_desc`).
    pub fn desc(&self, irq: Irq) -> &IrqDesc {
        self.irq.descs[irq.index()].as_deref().expect("an irq number without a descriptor")
    }
    /// The descriptor, mutably.
    pub fn desc_mut(&mut self, irq: Irq) -> &mut IrqDesc {
        self.irq.descs[irq.index()].as_deref_mut().expect("an irq number without a descriptor")
    }
    /// The descriptor, if there is one.
    pub fn find_desc(&self, irq: Irq) -> Option<&IrqDesc> {
        self.irq.descs.get(irq.index())?.as_deref()
    }
    /// One level of an interrupt's data.
    pub fn irqd(&self, d: Irqd) -> &IrqData {
        &self.desc(d.irq).irq_data[usize::from(d.level)]
    }
    /// One level of an interrupt's data, mutably.
    pub fn irqd_mut(&mut self, d: Irqd) -> &mut IrqData {
        &mut self.desc_mut(d.irq).irq_data[usize::from(d.level)]
    }
    /// `data->parent_data`.
    pub fn parent_data(&self, d: Irqd) -> Option<Irqd> {
        (usize::from(d.level) + 1 < self.desc(d.irq).irq_data.len()).then(|| d.parent())
    }
    /// The chip of one level.
    pub fn chip(&self, d: Irqd) -> &IrqChip {
        &self.irq.chips[self.irqd(d).chip.index()]
    }
    /// All interrupt numbers with a descriptor, ascending (`for_each_irq_desc`).
    pub fn for_each_irq(&self) -> impl Iterator<Item = Irq> + '_ {
        self.irq.descs.iter().enumerate().filter(|(_, d)| d.is_some()).map(|(i, _)| Irq(i as u32))
    }
    /// `cpu_to_node`.
    pub fn cpu_to_node(&self, cpu: CpuId) -> NodeId {
        self.topo.node_of(cpu)
    }
}
