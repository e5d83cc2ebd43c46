//! CPUs go and come, at boot and later.

use kcore::cpu::{
    boot_cpu_init, cpu_device_down, cpu_device_up, cpuhp_setup_state_multi, cpuhp_state_add_instance_nocalls,
    cpuhp_state_remove_instance_nocalls, parallel_bringup_parse_param, smt_cmdline_disable,
};
use kcore::smp::{maxcpus, smp_init};
use kstate::hotplug::{CpuhpCall, CpuhpCallback, CpuhpNode, CpuhpState};
use kstate::sched::{Frame, Slot as _, TaskKind};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::topology::CpuPlace;
use kstate::trace::What;
use kstate::{CpuId, CpuMask, Errno, Kernel, NodeId};
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// A machine whose CPUs have `threads` threads per core, after boot.
fn booted(version: KernelVersion, cpus: u32, threads: u32, cmdline: &str) -> Kernel {
    let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
    for word in cmdline.split_whitespace() {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let read = match name {
            "nosmt" => smt_cmdline_disable,
            "cpuhp.parallel" => parallel_bringup_parse_param,
            "maxcpus" => maxcpus,
            _ => panic!("no parameter of this test: {word}"),
        };
        read(&mut k, value).expect("a value");
    }
    k.topo.nr_cpu_ids = cpus;
    k.topo.nr_node_ids = 1;
    k.topo.possible = CpuMask::first_n(cpus);
    k.topo.present = CpuMask::first_n(cpus);
    for cpu in 0..cpus {
        let place = CpuPlace { node: NodeId(0), core: cpu / threads, ..CpuPlace::default() };
        k.topo.cpus.push(CpuPlace { apic_id: kstate::ApicId(cpu), ..place });
    }
    let end = k.sem.first_system_vector;
    irqcore::matrix::irq_alloc_matrix(&mut k, 256, 32, end).unwrap();
    x86apic::hw::lapic::power_on(&mut k);
    boot_cpu_init(&mut k);
    irqcore::matrix::irq_matrix_online(&mut k);
    finish(&mut k, smp_init().frame);
    k
}

/// Runs a frame as the shell would, to its end, and returns its value.
fn finish(k: &mut Kernel, frame: Frame) -> u64 {
    let task = k.spawn(TaskKind::Task, CpuId(0), frame, &[]);
    sim::engine::run_task(k, task, &mut |_| {}).expect("a task that ends")
}

fn down(k: &mut Kernel, cpu: u32) -> Result<(), Errno> {
    Result::from_slot(finish(k, cpu_device_down(CpuId(cpu)).frame))
}

fn up(k: &mut Kernel, cpu: u32) -> Result<(), Errno> {
    Result::from_slot(finish(k, cpu_device_up(CpuId(cpu)).frame))
}

#[test]
fn a_cpu_goes_down_and_comes_back() {
    for &version in KernelVersion::ALL {
        let mut k = booted(version, 4, 2, "");
        assert_eq!(k.topo.online.list(), "0-3");
        assert_eq!(k.topo.active.list(), "0-3");
        assert_eq!(down(&mut k, 2), Ok(()));
        assert_eq!(k.topo.online.list(), "0-1,3");
        assert_eq!(k.topo.active.list(), "0-1,3");
        assert_eq!(k.topo.node_cpus[0].list(), "0-1,3");
        assert_eq!(k.topo.siblings[3].list(), "3");
        assert_eq!(k.topo.siblings[2].list(), "");
        assert!(k.hotplug.irqs_disabled.is_empty());
        assert_eq!(k.cpuhp_state(CpuId(2)).state, CpuhpState::Offline);
        assert_eq!(up(&mut k, 2), Ok(()));
        assert_eq!(k.topo.online.list(), "0-3");
        assert_eq!(k.topo.siblings[3].list(), "2-3");
        assert_eq!(k.cpuhp_state(CpuId(2)).state, CpuhpState::Online);
        assert_eq!(k.warnings, 0, "{:?}", k.log);
    }
}

#[test]
fn the_last_cpu_stays() {
    for &version in KernelVersion::ALL {
        let mut k = booted(version, 2, 1, "");
        assert_eq!(down(&mut k, 1), Ok(()));
        assert_eq!(down(&mut k, 0), Err(Errno::EBUSY));
    }
}

#[test]
fn a_cpu_whose_interrupts_do_not_fit_elsewhere_stays() {
    for &version in KernelVersion::ALL {
        let mut k = booted(version, 2, 1, "");
        k.vector_matrix.maps[1].allocated = k.vector_matrix.maps[0].available + 1;
        assert_eq!(down(&mut k, 1), Err(Errno::ENOSPC));
        assert_eq!(k.topo.online.list(), "0-1");
        assert_eq!(k.topo.active.list(), "0-1");
        assert_eq!(k.cpuhp_state(CpuId(1)).state, CpuhpState::Online);
        k.vector_matrix.maps[1].allocated = 0;
        assert_eq!(down(&mut k, 1), Ok(()));
    }
}

/// lapic_online() starts from nothing, so that an interrupt which migrate_one_irq() could not move has a vector on the
/// CPU and no slot there any more.
#[test]
fn interrupts_that_could_not_leave_a_cpu_lose_their_slots() {
    let machine = "kernel = \"v5.4\"\n[cpus]\npossible = 3\n[[pci]]\naddress = \"0000:00:05.0\"\nmodel = \"test\"\n\
                   msix_vectors = 256\nintx_gsi = 21\n";
    let mut lab = Lab::boot(&Machine::parse("machine.toml", machine).expect("a machine"));
    // CPU 2 has no room, and what is allowed there and on CPU 1 cannot leave CPU 1.
    let script = "echo 4 > /proc/irq/default_smp_affinity
        echo 0000:00:05.0 > /sys/bus/pci/drivers/irqlab/bind
        echo 24-279 > /sys/kernel/debug/irqlab/request_irq
        echo 0 > /sys/devices/system/cpu/cpu1/online
        #: assert dmesg contains \"set affinity failed(-28)\"
        echo 1 > /sys/devices/system/cpu/cpu1/online\n";
    let mut broken = Vec::new();
    lab.run_each(
        &Script::parse("script.sh", script).expect("a script"),
        |k| broken.extend(check_invariants(k).err()),
        |_, _| {},
    );
    assert_eq!((broken, lab.failed), (Vec::new(), Vec::new()));
}

#[test]
fn maxcpus_leaves_cpus_down_that_can_be_brought_up_later() {
    for &version in KernelVersion::ALL {
        let mut k = booted(version, 8, 1, "maxcpus=4");
        assert_eq!(k.topo.online.list(), "0-3");
        assert_eq!(up(&mut k, 6), Ok(()));
        assert_eq!(k.topo.online.list(), "0-3,6");
    }
}

#[test]
fn nosmt_starts_every_thread_once() {
    for &version in KernelVersion::ALL {
        let mut k = booted(version, 4, 2, "nosmt");
        assert_eq!(k.topo.online.list(), "0,2");
        assert_eq!(k.hotplug.cpus_booted_once_mask.list(), "0-3");
        assert_eq!(up(&mut k, 1), Err(Errno::EPERM));
        assert_eq!(down(&mut k, 2), Ok(()));
        assert_eq!(up(&mut k, 2), Ok(()));
        assert_eq!(k.warnings, 0, "{:?}", k.log);
    }
}

#[test]
fn a_callback_that_fails_is_undone() {
    for &version in KernelVersion::ALL {
        let mut k = booted(version, 2, 1, "");
        for state in [CpuhpState::ApActive, CpuhpState::TeardownCpu] {
            k.cpuhp_state_mut(CpuId(1)).fail = Some(state);
            assert_eq!(down(&mut k, 1), Err(Errno::EAGAIN));
            assert_eq!(k.cpuhp_state(CpuId(1)).state, CpuhpState::Online);
            assert_eq!(k.topo.active.list(), "0-1");
        }
        assert_eq!(down(&mut k, 1), Ok(()));
        k.cpuhp_state_mut(CpuId(1)).fail = Some(CpuhpState::ApIrqAffinityOnline);
        assert_eq!(up(&mut k, 1), Err(Errno::EAGAIN));
        // What ran on the hotplug thread is undone by it; 5.4 and 6.12 agree that the
        // controlling CPU then takes it down the rest of the way.
        assert_eq!(k.topo.online.list(), "0");
        assert_eq!(k.cpuhp_state(CpuId(1)).state, CpuhpState::Offline);
        assert_eq!(up(&mut k, 1), Ok(()));
    }
}

#[test]
fn the_new_cpu_calls_lapic_online_outside_of_any_other_function_in_scope() {
    let mut k = booted(KernelVersion::V5_4, 2, 1, "");
    assert_eq!(down(&mut k, 1), Ok(()));
    k.trace.on = true;
    assert_eq!(up(&mut k, 1), Ok(()));
    let mut depth = 0;
    let mut seen = Vec::new();
    for record in &k.trace.records {
        match record.what {
            _ if k.trace.ctxs[record.ctx].actor != kstate::trace::Actor::Idle(CpuId(1)) => {}
            What::Enter { meta, .. } => {
                if depth == 1 && meta.files[0].ends_with("vector.c") {
                    seen.push(meta.name);
                }
                depth += 1;
            }
            What::Exit { .. } => depth -= 1,
            _ => {}
        }
    }
    assert_eq!(seen, ["lock_vector_lock", "lapic_online", "unlock_vector_lock"]);
}

/// The callbacks of a step with instances: they say what they were called for, and one refuses to go.
fn instance_comes(k: &mut Kernel, _cpu: CpuId, node: CpuhpNode) -> Result<(), Errno> {
    k.log.push(format!("on {}", node.0));
    Ok(())
}

fn instance_goes(k: &mut Kernel, _cpu: CpuId, node: CpuhpNode) -> Result<(), Errno> {
    k.log.push(format!("off {}", node.0));
    if node.0 == 2 { Err(Errno::EIO) } else { Ok(()) }
}

#[test]
fn instances_whose_callback_ran_before_another_failed_are_undone() {
    for &version in KernelVersion::ALL {
        // One is called by the CPU's own thread, the other by the task that takes the CPU down.
        for state in [CpuhpState::ApBlkMqOnline, CpuhpState::BlkMqDead] {
            let mut k = booted(version, 2, 1, "");
            let multi = |name, call| Some(CpuhpCallback { name, call: CpuhpCall::Multi(call) });
            let (up, off) = (multi("instance_comes", instance_comes), multi("instance_goes", instance_goes));
            let add = |k: &mut Kernel, n| cpuhp_state_add_instance_nocalls(k, state, CpuhpNode(n));
            assert_eq!(add(&mut k, 1), Err(Errno::EINVAL));
            assert_eq!(cpuhp_setup_state_multi(&mut k, state, "test", up, off), Ok(()));
            assert_eq!(cpuhp_setup_state_multi(&mut k, state, "test", up, off), Err(Errno::EBUSY));
            for n in 1..=3 {
                assert_eq!(add(&mut k, n), Ok(()));
            }
            k.log.clear();
            assert_eq!(down(&mut k, 1), Err(Errno::EIO));
            k.log.retain(|line| line.starts_with('o'));
            assert_eq!(*k.log, ["off 3", "off 2", "on 3"], "{version:?} {state:?}");
            if state < CpuhpState::TeardownCpu {
                // C warns of a callback that fails on a dead CPU, and brings it up only halfway.
                continue;
            }
            assert_eq!(k.cpuhp_state(CpuId(1)).state, CpuhpState::Online);
            assert_eq!(k.cpuhp_state(CpuId(1)).last, None);
            assert_eq!(cpuhp_state_remove_instance_nocalls(&mut k, state, CpuhpNode(2)), Ok(()));
            k.log.clear();
            assert_eq!(down(&mut k, 1), Ok(()));
            k.log.retain(|line| line.starts_with('o'));
            assert_eq!(*k.log, ["off 3", "off 1"]);
        }
    }
}

#[test]
fn a_vector_that_was_left_is_given_back_before_the_cpu_goes() {
    // sched_cpu_deactivate() waits for a grace period, and the timer of the old vector takes one tick.
    for version in [KernelVersion::V6_12, KernelVersion::V7_3] {
        let text = format!(
            "kernel = \"{}\"\n[cpus]\npossible = 4\ninterrupt_remapping = true\n[[pci]]\naddress = \"0000:00:03.0\"\n\
             model = \"nvme\"\nio_queue_pairs_max = 2\nmsix_vectors = 3\nintx_gsi = 23\n",
            version.name()
        );
        let mut lab = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"));
        let script = "echo 1 > /proc/irq/25/smp_affinity_list\nsleep 1\n#: events down\n\
                      echo 2 > /proc/irq/25/smp_affinity_list\necho 0 > /sys/devices/system/cpu/cpu2/online\n#: end\n";
        let script = Script::parse("script.sh", script).expect("a script");
        let files = lab.run(&script, |_| Default::default());
        assert!(files[0].text.contains("vector_free_moved: irq=25 cpu=1"), "{version:?}: {}", files[0].text);
    }
}
