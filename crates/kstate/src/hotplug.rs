//! CPU hotplug state (kernel/cpu.c and kernel/stop_machine.c of 5.4 and 6.12,
//! include/linux/cpuhotplug.h).

use crate::copied::clone_by_field;
use crate::named::by_name;
use crate::sched::{Call, Mutex, Slot};
use crate::shared::Shared;
use crate::{CpuId, CpuMask, Errno, Kernel, QueueId, TaskId};

/// `enum cpuhp_state`: how far up a CPU is, lowest first.
// DEVIATION: of about 200 states those are left that have a callback with an effect on this model,
// and those the C code compares with. Their order is the kernel's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum CpuhpState {
    /// The CPU is off.
    #[default]
    #[doc(alias = "CPUHP_OFFLINE")]
    Offline,
    /// Its threads exist.
    #[doc(alias = "CPUHP_CREATE_THREADS")]
    CreateThreads,
    /// Network devices have heard that it is gone.
    #[doc(alias = "CPUHP_VIRT_NET_DEAD")]
    VirtNetDead,
    /// Completions of block requests have left it.
    #[doc(alias = "CPUHP_BLOCK_SOFTIRQ_DEAD")]
    BlockSoftirqDead,
    /// Requests have left its software queues.
    #[doc(alias = "CPUHP_BLK_MQ_DEAD")]
    BlkMqDead,
    /// 6.12: it was sent INIT and SIPI.
    #[doc(alias = "CPUHP_BP_KICK_AP")]
    BpKickAp,
    /// It came up to its idle loop.
    #[doc(alias = "CPUHP_BRINGUP_CPU")]
    BringupCpu,
    /// It is dead.
    #[doc(alias = "CPUHP_AP_IDLE_DEAD")]
    ApIdleDead,
    /// It is on its way to or from death.
    #[doc(alias = "CPUHP_AP_OFFLINE")]
    ApOffline,
    /// The scheduler knows it.
    #[doc(alias = "CPUHP_AP_SCHED_STARTING")]
    ApSchedStarting,
    /// It takes interrupts.
    #[doc(alias = "CPUHP_AP_ONLINE")]
    ApOnline,
    /// It can be taken down.
    #[doc(alias = "CPUHP_TEARDOWN_CPU")]
    TeardownCpu,
    /// It is in its idle loop.
    #[doc(alias = "CPUHP_AP_ONLINE_IDLE")]
    ApOnlineIdle,
    /// 6.12: no task but its own is left.
    #[doc(alias = "CPUHP_AP_SCHED_WAIT_EMPTY")]
    ApSchedWaitEmpty,
    /// Its threads run.
    #[doc(alias = "CPUHP_AP_SMPBOOT_THREADS")]
    ApSmpbootThreads,
    /// Managed interrupts have come back to it.
    #[doc(alias = "CPUHP_AP_IRQ_AFFINITY_ONLINE")]
    ApIrqAffinityOnline,
    /// Since 5.8: its hardware queues take requests.
    #[doc(alias = "CPUHP_AP_BLK_MQ_ONLINE")]
    ApBlkMqOnline,
    /// A driver has heard of it that asked for a state without naming one. There is room for one.
    #[doc(alias = "CPUHP_AP_ONLINE_DYN")]
    ApOnlineDyn,
    /// Tasks can be put on it.
    #[doc(alias = "CPUHP_AP_ACTIVE")]
    ApActive,
    /// All of it.
    #[doc(alias = "CPUHP_ONLINE")]
    Online,
}

impl CpuhpState {
    /// All, lowest first.
    pub const ALL: [Self; 20] = [
        Self::Offline,
        Self::CreateThreads,
        Self::VirtNetDead,
        Self::BlockSoftirqDead,
        Self::BlkMqDead,
        Self::BpKickAp,
        Self::BringupCpu,
        Self::ApIdleDead,
        Self::ApOffline,
        Self::ApSchedStarting,
        Self::ApOnline,
        Self::TeardownCpu,
        Self::ApOnlineIdle,
        Self::ApSchedWaitEmpty,
        Self::ApSmpbootThreads,
        Self::ApIrqAffinityOnline,
        Self::ApBlkMqOnline,
        Self::ApOnlineDyn,
        Self::ApActive,
        Self::Online,
    ];

    /// Its name in the kernel.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offline => "CPUHP_OFFLINE",
            Self::CreateThreads => "CPUHP_CREATE_THREADS",
            Self::VirtNetDead => "CPUHP_VIRT_NET_DEAD",
            Self::BlockSoftirqDead => "CPUHP_BLOCK_SOFTIRQ_DEAD",
            Self::BlkMqDead => "CPUHP_BLK_MQ_DEAD",
            Self::BpKickAp => "CPUHP_BP_KICK_AP",
            Self::BringupCpu => "CPUHP_BRINGUP_CPU",
            Self::ApIdleDead => "CPUHP_AP_IDLE_DEAD",
            Self::ApOffline => "CPUHP_AP_OFFLINE",
            Self::ApSchedStarting => "CPUHP_AP_SCHED_STARTING",
            Self::ApOnline => "CPUHP_AP_ONLINE",
            Self::TeardownCpu => "CPUHP_TEARDOWN_CPU",
            Self::ApOnlineIdle => "CPUHP_AP_ONLINE_IDLE",
            Self::ApSchedWaitEmpty => "CPUHP_AP_SCHED_WAIT_EMPTY",
            Self::ApSmpbootThreads => "CPUHP_AP_SMPBOOT_THREADS",
            Self::ApIrqAffinityOnline => "CPUHP_AP_IRQ_AFFINITY_ONLINE",
            Self::ApBlkMqOnline => "CPUHP_AP_BLK_MQ_ONLINE",
            Self::ApOnlineDyn => "CPUHP_AP_ONLINE_DYN",
            Self::ApActive => "CPUHP_AP_ACTIVE",
            Self::Online => "CPUHP_ONLINE",
        }
    }

    /// The next higher state; the highest stays.
    pub fn up(self) -> Self {
        Self::ALL[(self as usize + 1).min(Self::ALL.len() - 1)]
    }

    /// The next lower state; the lowest stays.
    pub fn down(self) -> Self {
        Self::ALL[(self as usize).saturating_sub(1)]
    }
}

impl core::fmt::Debug for CpuhpState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl Slot for CpuhpState {
    fn to_slot(self) -> u64 {
        self as u64
    }
    fn from_slot(slot: u64) -> Self {
        Self::ALL.get(slot as usize).copied().unwrap_or_default()
    }
}

/// An instance of a multi-instance step: its place in the owner's numbering. In C a `struct hlist_node`
/// in what the instance is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CpuhpNode(pub u64);

impl CpuhpNode {
    /// The request queue and the hardware queue of [`CpuhpNode::of_hctx`].
    pub const fn hctx(self) -> (QueueId, u32) {
        (QueueId((self.0 >> 32) as u32), self.0 as u32)
    }

    /// A hardware queue as an instance of the steps of block/ (`hctx->cpuhp_online`).
    pub fn of_hctx(q: QueueId, hctx: u32) -> Self {
        Self(u64::from(q.0) << 32 | u64::from(hctx))
    }
}

impl Slot for CpuhpNode {
    fn to_slot(self) -> u64 {
        self.0
    }
    fn from_slot(slot: u64) -> Self {
        Self(slot)
    }
}

/// The function of a step in one direction.
#[derive(Clone, Copy)]
pub enum CpuhpCall {
    /// For the CPU; it does not sleep.
    Single(fn(&mut Kernel, CpuId) -> Result<(), Errno>),
    /// For the CPU.
    SingleSleeps(fn(CpuId) -> Call<Result<(), Errno>>),
    /// For the CPU and an instance; it does not sleep.
    Multi(fn(&mut Kernel, CpuId, CpuhpNode) -> Result<(), Errno>),
    /// For the CPU and an instance.
    MultiSleeps(fn(CpuId, CpuhpNode) -> Call<Result<(), Errno>>),
}

/// What a step does in one direction.
#[derive(Clone, Copy)]
pub struct CpuhpCallback {
    /// The C name, which identifies it.
    pub name: &'static str,
    /// The function.
    pub call: CpuhpCall,
}

by_name! { CpuhpCallback }

/// `struct cpuhp_step`. `cant_stop` is left out: nobody writes to /sys/devices/system/cpu/cpuN/hotplug.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct CpuhpStep {
    /// What it is called in /sys/devices/system/cpu/hotplug/states; `None` while it is free.
    pub name: Option<&'static str>,
    /// On the way up.
    pub startup: Option<CpuhpCallback>,
    /// On the way down.
    pub teardown: Option<CpuhpCallback>,
    /// Its callbacks are called once for every instance.
    pub multi_instance: bool,
    /// The instances, the one that came last first.
    pub list: Vec<CpuhpNode>,
}

impl CpuhpStep {
    /// The callback in one direction.
    #[inline]
    pub fn callback(&self, bringup: bool) -> Option<CpuhpCallback> {
        if bringup { self.startup } else { self.teardown }
    }
}

/// `enum cpuhp_sync_state` (6.12): the handshake while a CPU has no interrupts yet or no more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum CpuhpSyncState {
    /// Off.
    #[default]
    Dead,
    /// It was sent SIPI.
    Kicked,
    /// It is asked to die.
    ShouldDie,
    /// It runs, and waits to be let on.
    Alive,
    /// It is let on.
    ShouldOnline,
    /// It is in its idle loop.
    Online,
}

/// `struct cpuhp_cpu_state`, with the tasks that act for this CPU.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct CpuhpCpuState {
    /// Where the CPU is.
    pub state: CpuhpState,
    /// Where it is to go.
    pub target: CpuhpState,
    /// The state whose callback fails once, as the user asked for.
    pub fail: Option<CpuhpState>,
    /// The hotplug thread has something to do.
    pub should_run: bool,
    /// It undoes what failed.
    pub rollback: bool,
    /// It goes up.
    pub bringup: bool,
    /// The instance whose callback failed: those behind it in the list have nothing to undo.
    pub last: Option<CpuhpNode>,
    /// What the last callback in the thread failed with.
    pub result: Option<Errno>,
    /// The handshake of 6.12.
    pub ap_sync_state: CpuhpSyncState,
    /// `done_up.done`.
    pub done_up: u32,
    /// `done_down.done`.
    pub done_down: u32,
    /// `cpuhp/N`, once it exists.
    pub thread: Option<TaskId>,
    /// `migration/N`, once it was used.
    pub stopper: Option<TaskId>,
    /// The idle task, once it was used.
    pub idle: Option<TaskId>,
}

impl CpuhpCpuState {
    /// `st->state++`.
    #[inline]
    pub fn step_up(&mut self) {
        self.state = self.state.up();
    }
    /// `st->state--`.
    #[inline]
    pub fn step_down(&mut self) {
        self.state = self.state.down();
    }
}

/// `enum multi_stop_state`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum MultiStopState {
    /// Nobody has begun.
    #[default]
    None,
    /// All stoppers come together.
    Prepare,
    /// All switch their interrupts off.
    DisableIrq,
    /// The one that is meant runs the function.
    Run,
    /// All leave.
    Exit,
}

impl MultiStopState {
    /// The next one; the last stays.
    pub fn next(self) -> Self {
        match self {
            Self::None => Self::Prepare,
            Self::Prepare => Self::DisableIrq,
            Self::DisableIrq => Self::Run,
            Self::Run | Self::Exit => Self::Exit,
        }
    }
}

impl Slot for MultiStopState {
    fn to_slot(self) -> u64 {
        self as u64
    }
    fn from_slot(slot: u64) -> Self {
        [Self::None, Self::Prepare, Self::DisableIrq, Self::Run, Self::Exit]
            .get(slot as usize)
            .copied()
            .unwrap_or_default()
    }
}

/// `struct multi_stop_data`, with the completion of all stoppers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MultiStopData {
    /// Stoppers that take part.
    pub num_threads: u32,
    /// The CPU that runs the function.
    pub active_cpu: CpuId,
    /// How far they are.
    pub state: MultiStopState,
    /// How many have not reached `state` yet.
    pub thread_ack: u32,
    /// How many have not left yet.
    pub nr_todo: u32,
    /// What the function failed with.
    pub ret: Option<Errno>,
}

/// `enum cpuhp_smt_control`, include/linux/cpu_smt.h: whether second threads of cores run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum CpuhpSmtControl {
    /// They do.
    #[default]
    Enabled,
    /// They do not, until somebody writes to smt/control.
    Disabled,
    /// They never do.
    ForceDisabled,
    /// There are none.
    NotSupported,
}

impl crate::sched::Slot for CpuhpSmtControl {
    fn to_slot(self) -> u64 {
        self as u64
    }
    fn from_slot(slot: u64) -> Self {
        let all = [Self::Enabled, Self::Disabled, Self::ForceDisabled, Self::NotSupported];
        all.get(slot as usize).copied().unwrap_or_default()
    }
}

/// Everything of kernel/cpu.c, kernel/stop_machine.c and arch/x86/kernel/smpboot.c that is not a
/// mask in [`crate::topology::Topology`].
#[derive(PartialEq, Eq, Hash, Debug, Default)]
pub struct Hotplug {
    /// `cpuhp_hp_states`, by `CpuhpState`.
    pub cpuhp_hp_states: Shared<Vec<CpuhpStep>>,
    /// By CPU number.
    pub cpus: Vec<CpuhpCpuState>,
    /// `cpu_smt_control`.
    pub cpu_smt_control: CpuhpSmtControl,
    /// `cpu_smt_num_threads`: how many threads of a core may run (6.12); until the CPU is known, any number.
    pub cpu_smt_num_threads: u32,
    /// `cpu_smt_max_threads`: how many a core has.
    pub cpu_smt_max_threads: u32,
    /// `cpu_mitigations` is `CPU_MITIGATIONS_AUTO_NOSMT`.
    pub mitigations_auto_nosmt: bool,
    /// Somebody holds `device_hotplug_lock`, drivers/base/core.c.
    pub device_hotplug_lock: bool,
    /// Somebody holds `cpu_add_remove_lock`.
    pub cpu_add_remove_lock: Mutex,
    /// Somebody holds `cpu_hotplug_lock` for writing.
    pub cpu_hotplug_lock: Mutex,
    /// `cpu_hotplug_disabled`.
    pub cpu_hotplug_disabled: u32,
    /// `cpus_booted_once_mask`.
    pub cpus_booted_once_mask: CpuMask,
    /// An oops has ended the hotplug thread of a CPU. Whoever waits for it waits for ever.
    pub thread_died: bool,
    /// `def_root_domain.dl_bw.total_bw`: what deadline entities take of the CPUs that are in none of the
    /// scheduler's domains, in parts of 2^20 of one CPU.
    pub def_root_domain_bw: u64,
    /// 5.4: `cpu_initialized_mask`.
    pub cpu_initialized_mask: CpuMask,
    /// 5.4: `cpu_callout_mask`.
    pub cpu_callout_mask: CpuMask,
    /// 5.4: `cpu_callin_mask`.
    pub cpu_callin_mask: CpuMask,
    /// CPUs whose stopper has switched interrupts off.
    pub irqs_disabled: CpuMask,
    /// The machine stops, or has stopped last.
    pub msdata: MultiStopData,
    /// `system_state` is `SYSTEM_RUNNING`: the CPUs of the boot are up.
    pub system_running: bool,
}

clone_by_field! {
    Hotplug { cpuhp_hp_states, cpus, cpu_smt_control, cpu_smt_num_threads, cpu_smt_max_threads, mitigations_auto_nosmt, device_hotplug_lock, cpu_add_remove_lock, cpu_hotplug_lock, cpu_hotplug_disabled, cpus_booted_once_mask, thread_died, def_root_domain_bw, cpu_initialized_mask, cpu_callout_mask, cpu_callin_mask, irqs_disabled, msdata, system_running }
}

impl Kernel {
    /// `per_cpu_ptr(&cpuhp_state, cpu)`.
    #[inline]
    pub fn cpuhp_state(&self, cpu: CpuId) -> &CpuhpCpuState {
        &self.hotplug.cpus[cpu.index()]
    }
    /// The same, mutably.
    #[inline]
    pub fn cpuhp_state_mut(&mut self, cpu: CpuId) -> &mut CpuhpCpuState {
        &mut self.hotplug.cpus[cpu.index()]
    }
}
