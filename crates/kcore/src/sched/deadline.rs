//! What deadline entities may take of the CPUs.
//!
//! C file: kernel/sched/deadline.c of 6.12 and 7.3.
//!
//! # What it doesn't implement
//! Deadline tasks. What is accounted is the server that gives ordinary tasks their share of a CPU.

use kstate::{CpuId, Errno, Kernel};

use super::isolation::{HkType, housekeeping_cpumask};

/// `to_ratio()`: a part of a CPU in fixed point (`BW_SHIFT`).
const fn to_ratio(period_ms: u64, runtime_ms: u64) -> u64 {
    (runtime_ms << 20) / period_ms
}

/// What deadline entities may take of one CPU: `sched_rt_runtime_us` of `sched_rt_period_us`.
const DL_BW: u64 = to_ratio(1000, 950);
/// What `dl_server_start()` takes of a CPU for its ordinary tasks.
pub const FAIR_SERVER_BW: u64 = to_ratio(1000, 50);

/// `dl_bw_check_overflow()`: does what is accounted in the root domain of a CPU that has left fit on the
/// CPUs that are still active there?
///
/// A domain that was built has as many servers as CPUs. They would not fit only if none of its CPUs
/// stayed, which `cpu_down_maps_locked()` has refused before. CPUs that are isolated from the domains
/// are in the default root domain.
///
/// # Errors
/// `EBUSY` when it does not.
pub fn dl_bw_check_overflow(k: &Kernel, cpu: CpuId) -> Result<(), Errno> {
    let housekeeping = housekeeping_cpumask(k, HkType::Domain);
    if housekeeping.contains(cpu) {
        return Ok(());
    }
    let left = u64::from(k.topo.active.andnot(&housekeeping).weight());
    if DL_BW * left < k.hotplug.def_root_domain_bw { Err(Errno::EBUSY) } else { Ok(()) }
}

/// `dl_bw_deactivate()`: the same where the server of the CPU that goes is discounted, as its ordinary tasks
/// go with it, and every domain has the servers of its own CPUs. Nothing else is accounted here, so the
/// others always fit on their own CPUs.
///
/// # Errors
/// `EBUSY` when what is left does not fit.
pub fn dl_bw_deactivate(k: &Kernel, cpu: CpuId) -> Result<(), Errno> {
    let housekeeping = housekeeping_cpumask(k, HkType::Domain);
    let same_domain = |c: &CpuId| housekeeping.contains(*c) == housekeeping.contains(cpu);
    let left = k.topo.active.iter().filter(|c| *c != cpu && same_domain(c)).count() as u64;
    let total = if k.sem.fair_server { FAIR_SERVER_BW * left } else { 0 };
    if total > 0 && DL_BW * left < total { Err(Errno::EBUSY) } else { Ok(()) }
}
