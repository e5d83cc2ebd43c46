//! Work that somebody else does.
//!
//! C file: kernel/workqueue.c of 5.4 and 6.12.

use kstate::{CpuId, Kernel};

use crate::sched::isolation::{HkType, housekeeping_cpumask};

/// The functions above the outermost one of a worker, innermost first.
pub const KWORKER_ROOTS: &[&str] = &["process_one_work", "worker_thread", "kthread"];

/// `wq_select_unbound_cpu()`: where unbound work goes that was queued on `cpu`.
/// CPUs that are isolated from the scheduler's domains get none.
// DEVIATION: the worker stays there, and another CPU is the next one above instead of a turn's; on a
// real machine both are the scheduler's business.
pub fn wq_select_unbound_cpu(k: &Kernel, cpu: CpuId) -> CpuId {
    let allowed = housekeeping_cpumask(k, HkType::Domain).and(&k.topo.online);
    if allowed.contains(cpu) { cpu } else { allowed.next_after(cpu).or(allowed.first()).unwrap_or(cpu) }
}
