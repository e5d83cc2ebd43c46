//! Which CPUs are kept free of which work (kernel/sched/isolation.c).

use crate::CpuMask;

/// `enum hk_type` (`enum hk_flags` in 5.4): what the CPUs are kept free of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HkType {
    /// Timers.
    Timer,
    /// Callbacks of RCU.
    Rcu,
    /// The rest.
    Misc,
    /// The scheduler's own work.
    Sched,
    /// The tick.
    Tick,
    /// `HK_TYPE_DOMAIN`: the scheduler's domains and what follows them.
    Domain,
    /// Unbound work.
    Wq,
    /// `HK_TYPE_MANAGED_IRQ`: managed interrupts.
    ManagedIrq,
    /// Kernel threads.
    Kthread,
}

/// `HK_TYPE_MAX`.
pub const HK_TYPE_MAX: usize = 9;

impl HkType {
    /// Its bit in [`Housekeeping::flags`].
    pub const fn flag(self) -> u32 {
        1 << self as u32
    }
}

/// `struct housekeeping`. 5.4 has one mask for all kinds: the masks are then equal.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Housekeeping {
    /// The kinds of work that have a mask.
    pub flags: u32,
    /// The CPUs that are left to each kind of work; empty as long as no kind has a mask.
    pub cpumasks: Vec<CpuMask>,
}

impl Housekeeping {
    /// The CPUs that are left to a kind of work; `None` where all are.
    pub fn mask(&self, kind: HkType) -> Option<&CpuMask> {
        self.cpumasks.get(kind as usize).filter(|_| self.flags & kind.flag() != 0)
    }

    /// Leaves CPUs to a kind of work.
    pub fn set_mask(&mut self, kind: usize, mask: &CpuMask) {
        self.cpumasks.resize_with(HK_TYPE_MAX, CpuMask::new);
        self.cpumasks[kind].clone_from(mask);
        self.flags |= 1 << kind;
    }
}
