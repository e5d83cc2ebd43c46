//! Work that somebody else does.
//!
//! C file: kernel/workqueue.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::sched::{Call, Slot as _, TaskKind, TaskState, WaitOn};
use kstate::{CpuId, Errno, Kernel, TaskId};

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

/// The first half of `work_on_cpu()`: gives a function to a worker of `cpu`.
pub fn work_for_cpu(k: &mut Kernel, cpu: CpuId, call: Call<Result<(), Errno>>) -> TaskId {
    const ROOTS: &[&str] = &["work_for_cpu_fn", "process_one_work", "worker_thread", "kthread"];
    k.spawn(TaskKind::Kworker, cpu, call.frame, ROOTS)
}

/// The second half of `work_on_cpu()`: sleeps until the worker has done what [`work_for_cpu`] gave it.
///
/// # Errors
/// Those of the function.
#[kframe("kernel/workqueue.c")]
pub fn work_on_cpu(k: &mut Kernel, worker: TaskId) -> Result<(), Errno> {
    wait_until!(ended(k, worker).is_some(), WaitOn::Exit(worker));
    Result::from_slot(ended(k, worker).unwrap_or_default())
}

/// The value a task ended with.
fn ended(k: &Kernel, task: TaskId) -> Option<u64> {
    match k.sched.tasks[task.index()].state {
        TaskState::Done(value) => Some(value),
        _ => None,
    }
}
