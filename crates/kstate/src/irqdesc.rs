//! `struct irq_desc`, `struct irq_data` and their bits (include/linux/irq.h, irqdesc.h,
//! kernel/irq/internals.h, settings.h).

use std::sync::Arc;

use smallvec::SmallVec;

use crate::copied::clone_by_field;
use crate::irqchip::{Handler, IrqChip};
use crate::irqdomain::IrqDomain;
use crate::list::List;
use crate::named::by_name;
use crate::shared::Shared;
use crate::{ChipId, CpuId, CpuMask, DomainId, Irq, MsiDescId, NodeId, PciDevId, TaskId};

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
    /// `irq_get_irqchip_state` and flow handlers only run in interrupt context (6.12).
    IRQD_HANDLE_ENFORCE_IRQCTX = 1 << 27;
    /// The affinity is applied on activation (6.12).
    IRQD_AFFINITY_ON_ACTIVATE = 1 << 28;
    /// Wake-up may disable (6.12).
    IRQD_IRQ_ENABLED_ON_SUSPEND = 1 << 29;
    /// Resent when it arrives while running (6.12).
    IRQD_RESEND_WHEN_IN_PROGRESS = 1 << 30;
    /// In sysfs: one of the `IRQS_*` (6.12).
    IRQS_SYSFS = 0x4000;
    /// Hidden from /proc/interrupts: one of the `_IRQ_*` (6.12).
    IRQ_HIDDEN = 1 << 20;
    /// Excluded from spurious detection: one of the `_IRQ_*` (6.12).
    IRQ_NO_DEBUG = 1 << 21;
    /// Shown in /proc/interrupts: one of the `_IRQ_*` (7.2).
    IRQ_PROC_VALID = 1 << 22;
    /// The `_IRQ_*` bits that `irq_modify_status()` may change.
    IRQF_MODIFY_MASK = 0xf | IRQ_NOPROBE | IRQ_NOREQUEST | IRQ_NOAUTOEN | IRQ_MOVE_PCNTXT | IRQ_LEVEL
        | IRQ_NO_BALANCING | IRQ_PER_CPU | IRQ_NESTED_THREAD | IRQ_NOTHREAD | IRQ_PER_CPU_DEVID
        | IRQ_IS_POLLED | IRQ_DISABLE_UNLAZY;

    /// `IRQF_*` of a request: the trigger bits.
    IRQF_TRIGGER_MASK = 0xf;
    /// Shared between devices.
    IRQF_SHARED = 0x80;
    /// A mismatch is expected and not complained about.
    IRQF_PROBE_SHARED = 0x100;
    /// A timer.
    IRQF_TIMER = 0x200;
    /// Per CPU.
    IRQF_PERCPU = 0x400;
    /// Not balanced.
    IRQF_NOBALANCING = 0x800;
    /// Used for polling.
    IRQF_IRQPOLL = 0x1000;
    /// Masked until the thread is done.
    IRQF_ONESHOT = 0x2000;
    /// Stays on during suspend.
    IRQF_NO_SUSPEND = 0x4000;
    /// Cannot be threaded.
    IRQF_NO_THREAD = 0x1_0000;
    /// Stays on during suspend if the other one does.
    IRQF_COND_SUSPEND = 0x4_0000;
    /// Not enabled by the request (5.13 and later).
    IRQF_NO_AUTOEN = 0x8_0000;
    /// Excluded from spurious detection (5.12 and later).
    IRQF_NO_DEBUG = 0x10_0000;
    /// One-shot if the other one is (6.8 and later).
    IRQF_COND_ONESHOT = 0x20_0000;

    /// `IRQTF_*` of an action's thread: the hard handler wants it to run.
    IRQTF_RUNTHREAD = 1 << 0;
    /// A handler asked for a thread that does not exist, and was complained about.
    IRQTF_WARNED = 1 << 1;
    /// The affinity has changed.
    IRQTF_AFFINITY = 1 << 2;
    /// Threaded by force.
    IRQTF_FORCED_THREAD = 1 << 3;
    /// It runs (6.12).
    IRQTF_READY = 1 << 4;
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

impl crate::sched::Slot for DevId {
    fn to_slot(self) -> u64 {
        let pack = |kind: u64, id: u32, n: u16| kind << 56 | u64::from(n) << 32 | u64::from(id);
        match self {
            Self::None => 0,
            Self::Driver(dev, n) => pack(1, dev.0, n),
            Self::Platform(id) => pack(4, id, 0),
            Self::Iommu(id) => pack(5, id, 0),
            Self::Module(id) => pack(6, id, 0),
        }
    }
    fn from_slot(slot: u64) -> Self {
        let (id, n) = (slot as u32, (slot >> 32) as u16);
        match slot >> 56 {
            1 => Self::Driver(PciDevId(id), n),
            4 => Self::Platform(id),
            5 => Self::Iommu(id),
            6 => Self::Module(id),
            _ => Self::None,
        }
    }
}

impl crate::sched::Slot for IrqReturn {
    fn to_slot(self) -> u64 {
        self as u64
    }
    fn from_slot(slot: u64) -> Self {
        match slot {
            1 => Self::Handled,
            2 => Self::WakeThread,
            _ => Self::None,
        }
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
    /// Something that the driver of a PCI function has, by a number that the driver gives it.
    Driver(PciDevId, u16),
    /// A platform device, by a number of its own.
    Platform(u32),
    /// A VT-d unit, by its sequence number.
    Iommu(u32),
    /// Something that a module has, by a number that the module gives it.
    Module(u32),
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
    pub name: Arc<str>,
    /// The thread.
    pub thread: Option<TaskId>,
    /// `IRQTF_*`.
    pub thread_flags: u32,
    /// This action's bit in `threads_oneshot`.
    pub thread_mask: u64,
    /// The second half of an action that was threaded by force and has a thread of its own too.
    pub secondary: Option<Box<IrqAction>>,
    /// `kthread_stop()` was called for the thread.
    pub should_stop: bool,
    /// It has its directory in /proc/irq/N.
    pub dir: bool,
}

/// How often something happened on each CPU. The kernel has a counter for every CPU; here is one for
/// every CPU on which it happened at all, in order, because most interrupts come on few.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct PerCpuCounts {
    counts: SmallVec<[(CpuId, u32); 2]>,
}

impl PerCpuCounts {
    /// A CPU's count.
    pub fn get(&self, cpu: CpuId) -> u32 {
        let at = self.counts.binary_search_by_key(&cpu, |(cpu, _)| *cpu);
        at.map_or(0, |at| self.counts[at].1)
    }

    /// Counts once more, as a counter of 32 bits does.
    #[inline]
    pub fn increment(&mut self, cpu: CpuId) {
        // Most interrupts come on one CPU.
        if let Some((first, count)) = self.counts.first_mut()
            && *first == cpu
        {
            *count = count.wrapping_add(1);
            return;
        }
        match self.counts.binary_search_by_key(&cpu, |(cpu, _)| *cpu) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.wrapping_add(1),
            Err(at) => self.counts.insert(at, (cpu, 1)),
        }
    }

    /// The CPUs on which it happened, in order, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (CpuId, u32)> + '_ {
        self.counts.iter().copied()
    }

    /// The sum over all CPUs.
    pub fn sum(&self) -> u32 {
        self.counts.iter().fold(0, |sum, (_, n)| sum.wrapping_add(*n))
    }

    /// All counts back to zero.
    pub fn clear(&mut self) {
        self.counts.clear();
    }
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
    /// Counts per CPU.
    pub kstat_irqs: PerCpuCounts,
    /// Sum of the counts of all CPUs.
    pub tot_count: u32,
    /// The action that `__free_irq()` has unlinked and not freed yet.
    pub removed: Option<Box<IrqAction>>,
    /// What debugfs shows as `device:`.
    pub dev_name: Option<Arc<str>>,
    /// The interrupt was requested since it was allocated and has its /proc directory.
    pub proc_dir: bool,
    /// `smp_affinity` and `smp_affinity_list` there have a write bit.
    pub proc_affinity_writable: bool,
}

impl IrqAction {
    /// An action as `request_threaded_irq()` fills it in.
    pub fn new(
        handler: Handler,
        thread_fn: Option<Handler>,
        flags: u32,
        name: &str,
        dev_id: DevId,
    ) -> IrqAction {
        IrqAction {
            handler,
            thread_fn,
            dev_id,
            flags,
            name: name.into(),
            thread: None,
            thread_flags: 0,
            thread_mask: 0,
            secondary: None,
            should_stop: false,
            dir: false,
        }
    }
}

impl IrqDesc {
    /// The action whose thread a task is (`kthread_data()`): requested, second half, or being freed.
    pub fn action_of(&self, task: TaskId) -> Option<&IrqAction> {
        self.action
            .iter()
            .chain(self.removed.as_deref())
            .flat_map(|action| [Some(action), action.secondary.as_deref()])
            .flatten()
            .find(|action| action.thread == Some(task))
    }

    /// The same, to be changed.
    pub fn action_of_mut(&mut self, task: TaskId) -> Option<&mut IrqAction> {
        for action in self.action.iter_mut().chain(self.removed.as_deref_mut()) {
            if action.thread == Some(task) {
                return Some(action);
            }
            if let Some(second) = action.secondary.as_deref_mut()
                && second.thread == Some(task)
            {
                return Some(second);
            }
        }
        None
    }

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

/// What kernel/irq calls in architecture code by name.
#[derive(Clone, Copy, Default)]
pub struct ArchOps {
    /// Identifies the table.
    pub name: &'static str,
    /// `arch_probe_nr_irqs()`: may lower `nr_irqs`, and says how many interrupts exist from the start.
    pub arch_probe_nr_irqs: Option<fn(&mut crate::Kernel) -> u32>,
    /// `arch_early_irq_init()`.
    pub arch_early_irq_init: Option<fn(&mut crate::Kernel)>,
    /// `arch_dynirq_lower_bound()`: the lowest number to give to an interrupt without a fixed one.
    pub arch_dynirq_lower_bound: Option<fn(&crate::Kernel, u32) -> u32>,
    /// `irq_force_complete_move()`.
    pub irq_force_complete_move: Option<fn(&mut crate::Kernel, Irq)>,
    /// `ack_bad_irq()`.
    pub ack_bad_irq: Option<fn(&mut crate::Kernel, Irq)>,
    /// `arch_show_interrupts()`: rows below the devices, first column so many characters wide.
    pub arch_show_interrupts: Option<fn(&crate::Kernel, &mut String, usize)>,
}

by_name! { ArchOps }

/// Everything kernel/irq owns.
#[derive(PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqState {
    /// `irq_desc_tree`: by number.
    pub descs: Vec<Option<Shared<IrqDesc>>>,
    /// `allocated_irqs`: the numbers that have a descriptor, as bits, without zero words at the end.
    pub allocated_irqs: Vec<u64>,
    /// `nr_irqs`.
    pub nr_irqs: u32,
    /// All domains ever created; a removed one stays as `None`.
    pub domains: Shared<Vec<Option<IrqDomain>>>,
    /// All chips; number 0 is `no_irq_chip`.
    pub chips: Shared<Vec<IrqChip>>,
    /// `irq_default_affinity`.
    pub default_affinity: CpuMask,
    /// `irq_default_domain`.
    pub default_domain: Option<DomainId>,
    /// The architecture's functions.
    pub arch: ArchOps,
    /// `noirqdebug`: no spurious detection.
    pub noirqdebug: bool,
    /// `irqfixup`: 0, 1, or 2 for `irqpoll`.
    pub irqfixup: u32,
    /// `irq_poll_active`: somebody asks the other lines.
    pub irq_poll_active: bool,
    /// `force_irqthreads`.
    pub force_irqthreads: bool,
    /// `root_irq_dir`: /proc/irq exists.
    pub root_irq_dir: bool,
    /// Interrupts that software resends, in order (`irq_resend_list`).
    pub resend_list: Vec<Irq>,
    /// How many domains without a name there were.
    pub unknown_domains: u32,
    /// While a machine as found boots: the numbers for the function that is probed, in the order in which it
    /// takes them. Empty where the lowest free number will do.
    pub boot_numbers: List<u32>,
    /// `irq_proc_constraints.chip_width`, where it has grown: the longest name of a chip that an interrupt
    /// ever had (7.2).
    pub proc_chip_width: u32,
}

clone_by_field! {
    IrqState { descs, allocated_irqs, nr_irqs, domains, chips, default_affinity, default_domain, arch, noirqdebug, irqfixup, irq_poll_active, force_irqthreads, root_irq_dir, resend_list, unknown_domains, boot_numbers, proc_chip_width }
}

impl IrqState {
    /// Enters a chip into the table of chips and returns its number.
    pub fn add_chip(&mut self, chip: IrqChip) -> ChipId {
        self.chips.push(chip);
        ChipId(self.chips.len() as u32 - 1)
    }

    /// The same for a chip whose domain may have been there before: a chip of its name, left over from a domain
    /// that was removed, gives its place to it.
    pub fn replace_chip(&mut self, chip: IrqChip) -> ChipId {
        match self.chips.iter().position(|c| c.name == chip.name) {
            Some(place) => {
                self.chips[place] = chip;
                ChipId(place as u32)
            }
            None => self.add_chip(chip),
        }
    }

    /// Puts a descriptor at a number.
    pub fn insert_desc(&mut self, irq: Irq, desc: IrqDesc) {
        let (word, bit) = (irq.index() / 64, irq.index() % 64);
        if self.descs.len() <= irq.index() {
            self.descs.resize(irq.index() + 1, None);
        }
        if self.allocated_irqs.len() <= word {
            self.allocated_irqs.resize(word + 1, 0);
        }
        self.descs[irq.index()] = Some(Shared::new(desc));
        self.allocated_irqs[word] |= 1 << bit;
    }

    /// Takes the descriptor of a number away.
    pub fn remove_desc(&mut self, irq: Irq) {
        if let Some(desc) = self.descs.get_mut(irq.index()) {
            *desc = None;
            self.allocated_irqs[irq.index() / 64] &= !(1 << (irq.index() % 64));
        }
        while self.allocated_irqs.last() == Some(&0) {
            self.allocated_irqs.pop();
        }
    }

    /// The first run of `cnt` free numbers from `from` on (`bitmap_find_next_zero_area`).
    pub fn find_free_area(&self, from: u32, cnt: u32) -> u32 {
        let mut start = from;
        loop {
            start = self.next_irq(start, false).unwrap_or(start);
            match self.next_irq(start, true) {
                Some(taken) if taken - start < cnt => start = taken + 1,
                _ => return start,
            }
        }
    }

    /// The first number from `from` on that is taken, or is not. Behind the last one that was ever
    /// allocated there is none that is taken, and every number is free.
    pub fn next_irq(&self, from: u32, taken: bool) -> Option<u32> {
        let first = from as usize / 64;
        for (i, &word) in self.allocated_irqs.iter().enumerate().skip(first) {
            let word = if taken { word } else { !word };
            let word = if i == first { word & (u64::MAX << (from % 64)) } else { word };
            if word != 0 {
                return Some(i as u32 * 64 + word.trailing_zeros());
            }
        }
        let end = self.allocated_irqs.len() as u32 * 64;
        (!taken).then_some(from.max(end))
    }
}

impl crate::Kernel {
    /// The descriptor, which must exist (`irq_to_desc`).
    #[inline]
    pub fn desc(&self, irq: Irq) -> &IrqDesc {
        self.irq.descs[irq.index()].as_deref().expect("an irq number without a descriptor")
    }
    /// The descriptor, mutably.
    #[inline]
    pub fn desc_mut(&mut self, irq: Irq) -> &mut IrqDesc {
        self.irq.descs[irq.index()].as_deref_mut().expect("an irq number without a descriptor")
    }
    /// The descriptor, if there is one.
    #[inline]
    pub fn find_desc(&self, irq: Irq) -> Option<&IrqDesc> {
        self.irq.descs.get(irq.index())?.as_deref()
    }
    /// One level of an interrupt's data.
    #[inline]
    pub fn irqd(&self, d: Irqd) -> &IrqData {
        &self.desc(d.irq).irq_data[usize::from(d.level)]
    }
    /// One level of an interrupt's data, mutably.
    #[inline]
    pub fn irqd_mut(&mut self, d: Irqd) -> &mut IrqData {
        &mut self.desc_mut(d.irq).irq_data[usize::from(d.level)]
    }
    /// `data->parent_data`.
    #[inline]
    pub fn parent_data(&self, d: Irqd) -> Option<Irqd> {
        (usize::from(d.level) + 1 < self.desc(d.irq).irq_data.len()).then(|| d.parent())
    }
    /// The chip of one level.
    #[inline]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_runs() {
        let mut irq = IrqState::default();
        for taken in (0..70).chain(72..130).chain([200]) {
            irq.insert_desc(Irq(taken), IrqDesc::default());
        }
        let check =
            |from, cnt, expect| assert_eq!(irq.find_free_area(from, cnt), expect, "{cnt} from {from}");
        check(0, 1, 70);
        check(0, 2, 70);
        check(0, 3, 130);
        check(71, 1, 71);
        check(71, 2, 130);
        check(0, 70, 130);
        check(0, 71, 201);
        check(1000, 5, 1000);
        assert_eq!((irq.next_irq(130, true), irq.next_irq(201, true)), (Some(200), None));
        irq.remove_desc(Irq(200));
        irq.remove_desc(Irq(999));
        assert_eq!((irq.find_free_area(0, 71), irq.allocated_irqs.len()), (130, 3));
    }
}
