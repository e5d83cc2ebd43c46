//! The CPUs that `isolcpus=` leaves to everybody.
//!
//! C file: kernel/sched/isolation.c of 5.4 and 6.12. What interrupts ask for
//! (`housekeeping_isolcpus_setup()` with `managed_irq`) is in `irqcore::cpuhotplug`.

use kstate::{CpuId, CpuMask, Kernel};

/// `enum hk_type` (`enum hk_flags` in 5.4): what the CPUs are kept free of.
// DEVIATION: of the kernel's nine kinds these two are modelled: nothing here depends on where timers,
// callbacks of RCU and kernel threads run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HkType {
    /// `HK_TYPE_DOMAIN`: the scheduler's domains and what follows them.
    Domain,
    /// `HK_TYPE_MANAGED_IRQ`: managed interrupts.
    ManagedIrq,
}

/// `housekeeping_cpumask()`: the CPUs that `isolcpus=` leaves to this kind of work; all possible ones
/// where nothing is isolated.
pub fn housekeeping_cpumask(k: &Kernel, kind: HkType) -> CpuMask {
    let cpus = match kind {
        HkType::Domain => housekeeping_isolcpus_setup(k),
        HkType::ManagedIrq => k.irq.hk_managed.clone(),
    };
    cpus.unwrap_or_else(|| k.topo.possible.clone())
}

/// `housekeeping_isolcpus_setup()`: what `isolcpus=` says about the scheduler's domains; `None` when it
/// says nothing or cannot be read.
fn housekeeping_isolcpus_setup(k: &Kernel) -> Option<CpuMask> {
    let mut text = k.cmdline_value("isolcpus")?;
    // Without flags the list means the domains.
    let (mut flags, mut domain) = (false, false);
    while text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let (flag, rest) = text.split_once(',')?;
        flags = true;
        domain |= flag == "domain";
        text = rest;
    }
    if flags && !domain {
        return None;
    }
    let isolated = CpuMask::parse_list(text, k.topo.nr_cpu_ids).ok()?;
    let housekeeping = k.topo.possible.andnot(&isolated);
    // An isolation that leaves no CPU to the rest leaves it the boot CPU.
    Some(if housekeeping.intersects(&k.topo.present) { housekeeping } else { CpuMask::of(CpuId(0)) })
}
