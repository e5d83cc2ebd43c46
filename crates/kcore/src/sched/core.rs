//! What the scheduler does for a CPU that comes or goes.
//!
//! C file: kernel/sched/core.c of 5.4 and 6.12.

use kstate::sched::TaskKind;
use kstate::{CpuId, Errno, Kernel};

/// The run queue of a CPU that comes is made ready. Here it has nothing that could be wrong.
pub(crate) fn sched_cpu_starting(_k: &mut Kernel, _cpu: CpuId) -> Result<(), Errno> {
    Ok(())
}

/// Tasks can be put on the CPU.
pub(crate) fn sched_cpu_activate(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    k.topo.active.set(cpu);
    Ok(())
}

/// No more tasks are put on the CPU.
pub(crate) fn sched_cpu_deactivate(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    k.topo.active.clear(cpu);
    Ok(())
}

/// Tasks that may run elsewhere leave a CPU that goes down.
pub(crate) fn sched_cpu_dying(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    let Some(elsewhere) = k.topo.active.first().or_else(|| k.topo.online.first()) else { return Ok(()) };
    for task in &mut k.sched.tasks {
        let bound = matches!(task.kind, TaskKind::Cpuhp(_) | TaskKind::Migration(_) | TaskKind::Idle(_));
        if task.cpu == cpu && !bound {
            task.cpu = elsewhere;
        }
    }
    Ok(())
}

/// `cpus_share_cache()`.
///
/// DEVIATION: the last-level cache is the package's. A CPU outside of every scheduling domain
/// shares it with nobody on real machines; here it does, which changes where a completion runs and
/// nothing else.
pub fn cpus_share_cache(k: &Kernel, a: CpuId, b: CpuId) -> bool {
    let place = |cpu: CpuId| k.topo.cpus.get(cpu.index()).map(|p| (p.node, p.socket));
    a == b || place(a) == place(b)
}
