//! What the scheduler does for a CPU that comes or goes.
//!
//! C file: kernel/sched/core.c of 5.4, 6.12 and 7.3.

use kfn::kframe;
use kstate::sched::{TaskKind, WaitOn};
use kstate::{CpuId, Errno, Kernel};

use super::deadline::{FAIR_SERVER_BW, dl_bw_check_overflow, dl_bw_deactivate};
use super::topology::{build_perf_domains, build_sched_domains};
use crate::rcu::tree::synchronize_rcu;

/// The run queue of a CPU that comes is made ready. Here it has nothing that could be wrong.
pub(crate) fn sched_cpu_starting(_k: &mut Kernel, _cpu: CpuId) -> Result<(), Errno> {
    Ok(())
}

/// All CPUs that boot brings up are in the default root domain until the scheduler's domains are built,
/// and each has started its server by then. A CPU that moves into a domain is accounted there once more,
/// and nobody takes it back from the default one (`rq_attach_root()`).
pub(crate) fn sched_init_smp(k: &mut Kernel) {
    if k.sem.fair_server {
        k.hotplug.def_root_domain_bw = FAIR_SERVER_BW * u64::from(k.topo.online.weight());
    }
}

/// Tasks can be put on the CPU.
pub(crate) fn sched_cpu_activate(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    k.topo.active.set(cpu);
    if k.hotplug.system_running {
        cpuset_update_active_cpus(k);
    }
    Ok(())
}

/// No more tasks are put on the CPU, unless those that have a claim would not fit on the others: it
/// stays active then. Who has chosen the CPU before is waited for, some ticks long, and timers expire meanwhile.
// DEVIATION: where every order is looked at, the wait is left out: a device that takes longer than a grace period is a device
// that completes after a grace period of no time.
#[kframe("kernel/sched/core.c", part)]
pub(crate) fn sched_cpu_deactivate(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    k.topo.active.clear(cpu);
    if !k.oracle.interleave {
        let user = |kind: TaskKind| kind == TaskKind::Task;
        push_away(k, cpu, user);
        call!(synchronize_rcu());
    }
    if !k.hotplug.system_running {
        return Ok(());
    }
    let fits: Result<(), Errno> =
        if k.sem.dl_bw_discounts_server { dl_bw_deactivate(k, cpu) } else { dl_bw_check_overflow(k, cpu) };
    if fits.is_err() {
        k.topo.active.set(cpu);
        return fits;
    }
    cpuset_update_active_cpus(k);
    let dies: bool = !build_sched_domains(k) && !build_perf_domains(k);
    if dies {
        // The hotplug thread is killed, and the one who waits for it holds cpu_hotplug_lock.
        k.hotplug.thread_died = true;
        wait!(WaitOn::Exit(k.cur.task.unwrap_or_default()));
    }
    fits
}

/// The domains are built anew. The default root domain is emptied then, and only tasks are accounted
/// there again (`dl_rebuild_rd_accounting()`, kernel/cgroup/cpuset.c).
// DEVIATION: CONFIG_CPUSETS is taken to be set, as in every distribution's kernel.
fn cpuset_update_active_cpus(k: &mut Kernel) {
    k.hotplug.def_root_domain_bw = 0;
}

/// Tasks that may run elsewhere leave a CPU that goes down.
pub(crate) fn sched_cpu_dying(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    let bound = |kind| matches!(kind, TaskKind::Cpuhp(_) | TaskKind::Migration(_) | TaskKind::Idle(_));
    push_away(k, cpu, |kind| !bound(kind));
    Ok(())
}

/// Such tasks of a CPU run on an active one from now on, whatever they are pinned to (`is_cpu_allowed()`,
/// `select_fallback_rq()`).
fn push_away(k: &mut Kernel, cpu: CpuId, which: impl Fn(TaskKind) -> bool) {
    let Some(elsewhere) = k.topo.active.first().or_else(|| k.topo.online.first()) else { return };
    for task in k.sched.tasks.iter_mut().filter(|task| task.cpu == cpu && which(task.kind)) {
        task.cpu = elsewhere;
    }
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
