//! The CPUs that `isolcpus=` leaves to everybody.
//!
//! C file: kernel/sched/isolation.c of 5.4 and 6.12. What interrupts ask for
//! (`housekeeping_isolcpus_setup()` with `managed_irq`) is in `irqcore::cpuhotplug`.

use kstate::{CpuId, CpuMask, Kernel};

/// `housekeeping_cpumask(HK_TYPE_DOMAIN)`: the CPUs that
/// `isolcpus=` leaves in the scheduler's domains.
pub fn housekeeping_domain(k: &Kernel) -> CpuMask {
    let all = k.topo.possible.clone();
    let Some(mut text) = k.cmdline_value("isolcpus") else { return all };
    // Without flags the list means the domains.
    let (mut flags, mut domain) = (false, false);
    while text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let Some((flag, rest)) = text.split_once(',') else { return all };
        flags = true;
        domain |= flag == "domain";
        text = rest;
    }
    match CpuMask::parse_list(text, k.topo.nr_cpu_ids) {
        Ok(isolated) if domain || !flags => {
            let housekeeping = all.andnot(&isolated);
            // An isolation that leaves no CPU to the rest leaves it the boot CPU.
            if housekeeping.intersects(&k.topo.present) { housekeeping } else { CpuMask::of(CpuId(0)) }
        }
        _ => all,
    }
}
