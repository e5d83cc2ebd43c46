//! The scheduler's domains, as far as a CPU that goes can find none left.
//!
//! C file: kernel/sched/topology.c of 5.4, 6.12 and 7.3.

use kstate::Kernel;

use super::isolation::{HkType, housekeeping_cpumask};

/// The domain of all CPUs that are not isolated is built anew; false when there are none.
// DEVIATION: domains of cpusets are not modelled, so that this is the only one.
pub(super) fn build_sched_domains(k: &mut Kernel) -> bool {
    let cpu_map = k.topo.active.and(&housekeeping_cpumask(k, HkType::Domain));
    if cpu_map.is_empty() {
        k.warn("WARNING: at kernel/sched/topology.c build_sched_domains");
    }
    !cpu_map.is_empty()
}

/// Looks at the performance domains of no CPUs: `cpu_rq()` of `nr_cpu_ids`. False when that was the end.
pub(super) fn build_perf_domains(k: &mut Kernel) -> bool {
    if k.sem.energy_model {
        k.bug("Oops: general protection fault at kernel/sched/topology.c build_perf_domains");
    }
    !k.sem.energy_model
}
