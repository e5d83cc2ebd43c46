//! Stops all CPUs while one of them runs a function.
//!
//! C file: kernel/stop_machine.c of 5.4 and 6.12. Only taking a CPU down uses it.

use kfn::kframe;
use kstate::hotplug::{MultiStopData, MultiStopState};
use kstate::sched::{TaskKind, WaitOn};
use kstate::{CpuId, Errno, Kernel};

use crate::cpu::{cpuhp_report_idle_dead, take_cpu_down};
use crate::x86::smpboot::IDLE;

// What stands above the outermost frame of a stopper.
const STOPPER_THREAD: &[&str] = &["cpu_stopper_thread", "smpboot_thread_fn", "kthread"];

/// Runs `take_cpu_down()` on `cpu` while the stoppers of all online CPUs hold their CPU with
/// interrupts off (kernel/stop_machine.c).
#[kframe("kernel/stop_machine.c")]
pub(crate) fn stop_machine_cpuslocked(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    let stoppers = k.topo.online.weight();
    k.hotplug.msdata = MultiStopData {
        num_threads: stoppers,
        active_cpu: cpu,
        state: MultiStopState::Prepare,
        thread_ack: stoppers,
        nr_todo: stoppers,
        ret: None,
    };
    for stopped in k.topo.online.clone().iter() {
        let frame = multi_cpu_stop(stopped).frame;
        let stopper = k.cpuhp_state(stopped).stopper;
        let stopper = k.spawn_or_reuse(stopper, TaskKind::Migration(stopped), stopped, frame, STOPPER_THREAD);
        k.cpuhp_state_mut(stopped).stopper = Some(stopper);
    }
    wait_until!(k.hotplug.msdata.nr_todo == 0, WaitOn::StopMachine);
    k.hotplug.msdata.ret.map_or(Ok(()), Err)
}

/// One CPU's part in stopping the machine. C spins from state to state; a stopper that has nothing
/// to do before the next state sleeps here, which nobody can tell.
#[kframe("kernel/stop_machine.c")]
fn multi_cpu_stop(k: &mut Kernel, cpu: CpuId) {
    let curstate: MultiStopState = MultiStopState::None;
    loop {
        wait_until!(k.hotplug.msdata.state != curstate, WaitOn::StopMachine);
        curstate = k.hotplug.msdata.state;
        if curstate == MultiStopState::DisableIrq {
            k.hotplug.irqs_disabled.set(cpu);
        }
        if curstate == MultiStopState::Run && k.hotplug.msdata.active_cpu == cpu {
            let ret: Result<(), Errno> = call!(take_cpu_down(cpu));
            k.hotplug.msdata.ret = ret.err();
        }
        ack_state(k);
        if curstate == MultiStopState::Exit {
            break;
        }
    }
    k.hotplug.irqs_disabled.clear(cpu);
    if !k.topo.online.contains(cpu) {
        // The stopper was the last thread of this CPU. Its idle task sees that the CPU is offline.
        let idle = k.cpuhp_state(cpu).idle;
        let frame = cpuhp_report_idle_dead(cpu).frame;
        let idle = k.spawn_or_reuse(idle, TaskKind::Idle(cpu), cpu, frame, IDLE);
        k.cpuhp_state_mut(cpu).idle = Some(idle);
    }
    k.hotplug.msdata.nr_todo -= 1;
    if k.hotplug.msdata.nr_todo == 0 {
        k.wake(WaitOn::StopMachine);
    }
}

/// The last stopper to reach a state opens the next one.
fn ack_state(k: &mut Kernel) {
    let msdata = &mut k.hotplug.msdata;
    msdata.thread_ack = msdata.thread_ack.saturating_sub(1);
    if msdata.thread_ack == 0 && msdata.state != MultiStopState::Exit {
        msdata.thread_ack = msdata.num_threads;
        msdata.state = msdata.state.next();
        k.wake(WaitOn::StopMachine);
    }
}
