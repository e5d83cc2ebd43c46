//! The NVMe driver and the block layer on whole machines: what must hold whatever order things
//! happen in.

use drivers::nvme::hw::NvmeEvent;
use kfn::kframe;
use kstate::blk::DiskId;
use kstate::event::Event;
use kstate::hw::nvme::NvmeCommand;
use kstate::nvme::NvmeCtrlState;
use kstate::oracle::Oracle;
use kstate::sched::{Call, Slot, TaskKind, TaskState, WaitOn};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::trace::What;
use kstate::{CpuId, Errno, Kernel, NvmeId, PciDevId, TaskId};
use sim::engine;
use sim::lab::Lab;
use sim::machine::Machine;

const DEV: PciDevId = PciDevId(0);
const NVME: NvmeId = NvmeId(0);

fn boot(kernel: KernelVersion, cpus: u32, change: impl FnOnce(&mut Semantics)) -> Kernel {
    let text = format!(
        "kernel = \"{}\"\n[cpus]\npossible = {cpus}\npresent = {cpus}\nsockets = 1\n\
         cores_per_socket = {cpus}\nnodes = [\"0-{}\"]\n[[pci]]\naddress = \"0000:00:03.0\"\n\
         model = \"nvme\"\nio_queue_pairs_max = {cpus}\nmsix_vectors = {}\nintx_gsi = 23\n",
        kernel.name(),
        cpus - 1,
        cpus + 1,
    );
    let machine = Machine::parse("test", &text).expect("a valid machine");
    let mut semantics = Semantics::of(kernel);
    change(&mut semantics);
    Lab::boot_with(&machine, semantics, false).k
}

fn start(k: &mut Kernel, cpu: u32, call: Call<Result<(), Errno>>) -> TaskId {
    k.spawn(TaskKind::Task, CpuId(cpu), call.frame, &[])
}

/// Writes to a file of the controller, as a task on a CPU.
fn write(k: &mut Kernel, cpu: u32, file: &str) -> TaskId {
    let attribute = drivers::nvme::sysfs::NVME_DEV_ATTRS.iter().find(|a| a.name == file).expect("a file");
    let call = (attribute.store.expect("a file that can be written"))(NVME);
    start(k, cpu, call)
}

/// A started task's result, `None` while it runs.
fn result(k: &Kernel, task: TaskId) -> Option<Result<(), Errno>> {
    match k.sched.tasks[task.index()].state {
        TaskState::Done(value) => Some(Result::from_slot(value)),
        _ => None,
    }
}

/// Runs for so many nanoseconds and checks after every step.
fn run(k: &mut Kernel, time: u64) {
    let limit = k.events.now + time;
    while engine::step(k, limit).is_some() {
        assert_eq!(drivers::block::check_invariants(k), Ok(()));
    }
    k.events.now = limit;
}

const SECOND: u64 = 1_000_000_000;

#[kframe("test")]
fn unbind(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    call!(kcore::base::dd::device_release_driver(dev));
    Ok(())
}

fn disk(k: &Kernel) -> DiskId {
    k.blk.disk_by_name("nvme0n1").expect("the namespace's disk")
}

#[test]
fn binding_and_unbinding_leaves_nothing_behind() {
    for &kernel in KernelVersion::ALL {
        let mut k = boot(kernel, 4, |_| {});
        let mut seen = Vec::new();
        for _ in 0..3 {
            let task = start(&mut k, 0, unbind(DEV));
            run(&mut k, SECOND);
            assert_eq!(result(&k, task), Some(Ok(())));
            assert!(k.blk.requests.is_empty() && k.blk.disks.iter().all(Option::is_none));
            assert!(k.blk.queues.iter().all(Option::is_none) && k.blk.tag_sets.iter().all(Option::is_none));
            assert!(k.hw.nvme[0].cq_mem.is_empty() && k.hw.nvme[0].sq_mem.is_empty());
            seen.push((k.blk.clone(), k.hw.nvme.clone(), k.vector_matrix.global_available));
            let task = start(&mut k, 0, kcore::base::dd::device_driver_attach(DEV));
            run(&mut k, SECOND);
            assert_eq!(result(&k, task), Some(Ok(())));
            assert_eq!(k.nvme.dev(NVME).state, NvmeCtrlState::Live);
        }
        assert_eq!(seen[1], seen[2], "{kernel:?}");
    }
}

#[test]
fn a_second_reset_is_busy_and_a_reset_keeps_the_disk() {
    for &kernel in KernelVersion::ALL {
        let mut k = boot(kernel, 4, |_| {});
        let first = write(&mut k, 0, "reset_controller");
        let second = write(&mut k, 1, "reset_controller");
        run(&mut k, SECOND);
        assert_eq!((result(&k, first), result(&k, second)), (Some(Ok(())), Some(Err(Errno::EBUSY))));
        let d = disk(&k);
        let read = start(&mut k, 3, drivers::block::fops::read_part_sector(d, 0, 8));
        run(&mut k, SECOND);
        assert_eq!(result(&k, read), Some(Ok(())), "{kernel:?}");
    }
}

#[test]
fn reads_survive_a_reset_in_any_order() {
    for &kernel in KernelVersion::ALL {
        for seed in 0..20 {
            let mut k = boot(kernel, 4, |_| {});
            k.oracle = Oracle::seeded(seed);
            let d = disk(&k);
            let reset = write(&mut k, 0, "reset_controller");
            let reads: Vec<TaskId> = (0..24)
                .map(|i| start(&mut k, i % 4, drivers::block::fops::read_part_sector(d, u64::from(i) * 8, 8)))
                .collect();
            run(&mut k, 100 * SECOND);
            assert_eq!(result(&k, reset), Some(Ok(())), "{kernel:?}, seed {seed}");
            for read in reads {
                assert_eq!(result(&k, read), Some(Ok(())), "{kernel:?}, seed {seed}");
            }
            assert_eq!(drivers::check_invariants(&k), Ok(()), "{kernel:?}, seed {seed}");
            assert!(k.blk.requests.is_empty());
        }
    }
}

#[test]
fn reads_end_one_way_or_the_other_when_the_driver_goes() {
    for &kernel in KernelVersion::ALL {
        for seed in 0..20 {
            let mut k = boot(kernel, 4, |_| {});
            k.oracle = Oracle::seeded(seed);
            let d = disk(&k);
            let mut tasks: Vec<TaskId> = (0..16)
                .map(|i| start(&mut k, i % 4, drivers::block::fops::read_part_sector(d, u64::from(i) * 8, 8)))
                .collect();
            tasks.push(start(&mut k, 0, unbind(DEV)));
            tasks.push(write(&mut k, 1, "reset_controller"));
            tasks.push(write(&mut k, 2, "rescan_controller"));
            run(&mut k, 100 * SECOND);
            for (i, &task) in tasks.iter().enumerate() {
                assert!(
                    result(&k, task).is_some(),
                    "{kernel:?}, seed {seed}, task {i}: {:?}",
                    k.sched.tasks[task.index()]
                );
            }
            assert!(k.blk.requests.is_empty() && !k.nvme.dev(NVME).bound, "{kernel:?}, seed {seed}");
        }
    }
}

/// Takes the last CPU of a queue down while a read of that CPU is with a slow device. Returns
/// what the read came to after so many seconds, and the log.
fn read_while_its_cpu_goes(
    kernel: KernelVersion,
    drain: bool,
    seconds: u64,
) -> (Option<Result<(), Errno>>, String) {
    let mut k = boot(kernel, 4, |s| s.hctx_drain = drain);
    let d = disk(&k);
    let read = start(&mut k, 3, drivers::block::fops::read_part_sector(d, 0, 8));
    // The command has reached the device and takes longer than the CPU needs to go.
    run(&mut k, 1000);
    let late = k.events.iter().count();
    k.events.cancel_all(|e| matches!(e, Event::Device(..)));
    assert!(k.events.iter().count() < late, "the command was with the device");
    // Which queue serves CPU 3 is for the spread to say.
    let set = k.blk.set(k.blk.q(k.blk.disk(d).expect("the disk").queue).tag_set);
    let qid = set.map[0].mq_map[3] as u16 + 1;
    k.events.push(SECOND, Event::Device(DEV, NvmeEvent::Complete(qid).to_slot()));
    let down = k.spawn(TaskKind::Task, CpuId(0), kcore::cpu::cpu_device_down(CpuId(3)).frame, &[]);
    run(&mut k, seconds * SECOND);
    assert!(matches!(k.sched.tasks[down.index()].state, TaskState::Done(0)), "the CPU went");
    let log = k.log.iter().rev().find(|l| l.contains("timeout")).cloned().unwrap_or_default();
    (result(&k, read), log)
}

#[test]
fn without_the_drain_a_read_waits_for_its_timeout() {
    // 5.4 shuts the queue's interrupt down while the read is under way: the completion is found by
    // polling when the request times out after 30 seconds.
    let lost = (Some(Ok(())), "nvme nvme0: I/O 0 QID 4 timeout, completion polled".to_owned());
    assert_eq!(read_while_its_cpu_goes(KernelVersion::V5_4, false, 10), (None, String::new()));
    assert_eq!(read_while_its_cpu_goes(KernelVersion::V5_4, false, 40), lost);
}

#[test]
fn with_the_drain_the_cpu_waits_for_the_read() {
    for &kernel in KernelVersion::ALL {
        assert_eq!(read_while_its_cpu_goes(kernel, true, 10), (Some(Ok(())), String::new()), "{kernel:?}");
    }
}

#[test]
fn a_command_nobody_completes_is_aborted_and_then_the_controller_is_reset() {
    for &kernel in KernelVersion::ALL {
        let mut k = boot(kernel, 4, |_| {});
        let d = disk(&k);
        let read = start(&mut k, 2, drivers::block::fops::read_part_sector(d, 0, 8));
        run(&mut k, 1000);
        k.events.cancel_all(|e| matches!(e, Event::Device(..)));
        run(&mut k, 200 * SECOND);
        assert_eq!(result(&k, read), Some(Ok(())), "{kernel:?} {:#?}", k.log);
        let timeouts: Vec<&String> = k.log.iter().filter(|l| l.contains("timeout")).collect();
        assert_eq!(timeouts.len(), 2, "{timeouts:?}");
        // nvme_timeout(): 6.12 also names what was asked for.
        let (abort, reset) = match kernel {
            KernelVersion::V5_4 => ("I/O 0 QID 3 timeout, aborting", "I/O 0 QID 3 timeout, reset controller"),
            KernelVersion::V6_12 | KernelVersion::V7_3 => (
                "I/O tag 0 (0000) opcode 0x2 (I/O Cmd) QID 3 timeout, aborting req_op:READ(0) size:4096",
                "I/O tag 0 (0000) opcode 0x2 (I/O Cmd) QID 3 timeout, reset controller",
            ),
        };
        assert_eq!(*timeouts[0], format!("nvme nvme0: {abort}"));
        assert_eq!(*timeouts[1], format!("nvme nvme0: {reset}"));
        assert!(k.log.contains(&"nvme nvme0: Abort status: 0x0".to_owned()), "{:#?}", k.log);
        assert_eq!(k.nvme.dev(NVME).state, NvmeCtrlState::Live);
    }
}

#[test]
fn no_more_is_aborted_at_a_time_than_the_controller_takes() {
    // nvme_timeout(): `abort_limit` is the ACL of Identify Controller + 1, which is 4.
    for &kernel in KernelVersion::ALL {
        let mut k = boot(kernel, 4, |_| {});
        let d = disk(&k);
        for _ in 0..6 {
            start(&mut k, 2, drivers::block::fops::read_part_sector(d, 0, 8));
        }
        run(&mut k, 1000);
        k.events.cancel_all(|e| matches!(e, Event::Device(..)));
        run(&mut k, 31 * SECOND);
        let aborts = k.log.iter().filter(|l| l.contains("timeout, aborting")).count();
        assert_eq!(aborts, 4, "{kernel:?} {:#?}", k.log);
        assert_eq!(k.blk.requests.iter().filter(|(_, rq)| rq.aborted).count(), 4, "the others get more time");
        assert_eq!(k.nvme.dev(NVME).abort_limit, 4, "the aborts have come back");
    }
}

/// How often something was entered.
fn entered(k: &Kernel, name: &str) -> usize {
    let of = |what: &What| matches!(what, What::Enter { meta, .. } if meta.name == name);
    k.trace.records.iter().filter(|record| of(&record.what)).count()
}

/// nvme_scan_work() of 5.4 makes do without the list, whatever the reason; 6.12 does if the controller says for
/// good that it has none.
#[test]
fn without_a_list_every_namespace_is_asked_for() {
    for &kernel in KernelVersion::ALL {
        let mut k = boot(kernel, 2, |_| {});
        k.trace.on = true;
        write(&mut k, 0, "rescan_controller");
        // The first command asks for the controller, the second one for the list.
        let asked = |k: &Kernel| k.hw.nvme[0].sqs[&0].tail;
        let before = asked(&k);
        while asked(&k) < before + 2 {
            engine::step(&mut k, u64::MAX).expect("the scan goes on");
        }
        // A controller that has failed answers nothing, and the reset cancels what it was asked.
        k.events.cancel_all(|e| matches!(e, Event::Device(..)));
        k.hw.nvme[0].csts |= drivers::nvme::hw::CSTS_CFS;
        let reset = write(&mut k, 1, "reset_controller");
        run(&mut k, 2 * SECOND);
        assert_eq!(result(&k, reset), Some(Ok(())), "{kernel:?}");
        assert_eq!(k.nvme.dev(NVME).state, NvmeCtrlState::Live);
        assert!(k.blk.disk_by_name("nvme0n1").is_some(), "{kernel:?}: {:#?}", k.log);
        // And the scan that follows the reset has its list.
        let expected = if kernel == KernelVersion::V5_4 { 256 + 1 } else { 0 };
        assert_eq!(entered(&k, "nvme_validate_ns"), expected, "{kernel:?}");
    }
}

#[test]
fn a_failed_controller_says_what_its_registers_held() {
    // nvme_warn_reset()
    for &kernel in KernelVersion::ALL {
        let mut k = boot(kernel, 2, |_| {});
        let d = disk(&k);
        start(&mut k, 1, drivers::block::fops::read_part_sector(d, 0, 8));
        run(&mut k, 1000);
        k.events.cancel_all(|e| matches!(e, Event::Device(..)));
        k.hw.nvme[0].csts |= drivers::nvme::hw::CSTS_CFS;
        run(&mut k, 31 * SECOND);
        let line = "nvme nvme0: controller is down; will reset: CSTS=0x3, PCI_STATUS=0x10".to_owned();
        assert!(k.log.contains(&line), "{kernel:?} {:#?}", k.log);
    }
}

#[test]
fn a_reset_that_meets_a_shutdown_ends_with_the_result_of_what_went_well() {
    // nvme_reset_work() of 6.12: nvme_pci_update_nr_queues() does not get shutdown_lock, and `out` logs the
    // result of the step before.
    let mut k = boot(KernelVersion::V6_12, 2, |_| {});
    drivers::nvme::core::nvme_reset_ctrl(&mut k, NVME).expect("a reset");
    let limit = k.events.now + 5 * SECOND;
    let came_up = |k: &Kernel| {
        let dev = k.nvme.dev(NVME);
        dev.state == NvmeCtrlState::Connecting && dev.online_queues == 3
    };
    while !came_up(&k) {
        assert!(engine::step(&mut k, limit).is_some(), "the controller comes up");
    }
    k.nvme.dev_mut(NVME).shutdown_lock.lock(None);
    let line = "nvme nvme0: Disabling device after reset failure: 0".to_owned();
    while !k.log.contains(&line) {
        assert!(engine::step(&mut k, limit).is_some(), "{:#?}", k.log);
    }
    k.nvme.dev_mut(NVME).shutdown_lock.unlock();
    k.wake(WaitOn::Driver(DEV, 0));
    run(&mut k, 5 * SECOND);
    assert_eq!(k.nvme.dev(NVME).state, NvmeCtrlState::Dead);
}

#[test]
fn a_device_that_never_gets_ready_is_given_up() {
    for &kernel in KernelVersion::ALL {
        let mut k = boot(kernel, 4, |_| {});
        let task = start(&mut k, 0, unbind(DEV));
        run(&mut k, SECOND);
        assert_eq!(result(&k, task), Some(Ok(())));
        // Every change of CC takes its time; the one that enables is lost.
        k.oracle = Oracle::scripted(vec![2; 8]);
        let task = start(&mut k, 0, kcore::base::dd::device_driver_attach(DEV));
        for _ in 0..20_000 {
            run(&mut k, 1_000_000);
            k.events.cancel_all(|e| *e == Event::Device(DEV, NvmeEvent::Ready(true).to_slot()));
        }
        let expect = match kernel {
            KernelVersion::V5_4 => Ok(()),
            KernelVersion::V6_12 | KernelVersion::V7_3 => Err(Errno::ENODEV),
        };
        assert_eq!(result(&k, task), Some(expect), "{kernel:?}");
        assert!(!k.nvme.dev(NVME).bound && k.pci_dev(DEV).driver.is_none(), "{kernel:?} {:#?}", k.log);
        assert_eq!(drivers::check_invariants(&k), Ok(()));
    }
}

#[test]
fn a_queue_of_two_entries_still_works() {
    // Room for one command at a time.
    for &kernel in KernelVersion::ALL {
        let mut k = boot(kernel, 2, |_| {});
        let task = start(&mut k, 0, unbind(DEV));
        run(&mut k, SECOND);
        assert_eq!(result(&k, task), Some(Ok(())));
        k.params.nvme_io_queue_depth = 2;
        start(&mut k, 0, kcore::base::dd::device_driver_attach(DEV));
        run(&mut k, SECOND);
        let d = disk(&k);
        let reads: Vec<TaskId> = (0..10u32)
            .map(|i| start(&mut k, 1, drivers::block::fops::read_part_sector(d, u64::from(i) * 8, 8)))
            .collect();
        run(&mut k, SECOND);
        assert!(reads.iter().all(|&r| result(&k, r) == Some(Ok(()))), "{kernel:?}");
    }
}

#[test]
fn the_same_run_twice_is_the_same_state() {
    for &kernel in KernelVersion::ALL {
        let go = || {
            let mut k = boot(kernel, 4, |_| {});
            k.oracle = Oracle::seeded(7);
            let d = disk(&k);
            for cpu in 0..4 {
                start(&mut k, cpu, drivers::block::fops::read_part_sector(d, 0, 8));
            }
            write(&mut k, 0, "reset_controller");
            run(&mut k, SECOND);
            k
        };
        assert!(go() == go(), "{kernel:?}");
    }
}

#[test]
fn a_command_is_no_larger_than_it_has_to_be() {
    assert!(core::mem::size_of::<NvmeCommand>() <= 24);
}
