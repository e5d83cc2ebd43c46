//! An interrupt from allocation to its end, on a machine with four CPUs and a controller that can
//! do everything.

use irqcore::irqdomain::{
    __irq_domain_alloc_irqs, irq_domain_create_hierarchy, irq_domain_create_tree, irq_domain_free_irqs,
    irq_domain_free_irqs_top, irq_domain_set_hwirq_and_chip,
};
use irqcore::manage::{disable_irq, enable_irq, free_irq, request_threaded_irq};
use kstate::irqchip::{Handler, IRQCHIP_MOVE_DEFERRED, IrqChip, SetMask};
use kstate::irqdesc::*;
use kstate::irqdomain::{IrqAllocInfo, IrqDomainOps};
use kstate::isolation::HkType;
use kstate::msi::IrqAffinityDesc;
use kstate::sched::{Flow, Frame, TaskKind, TaskState};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::topology::CpuPlace;
use kstate::{ChipId, CpuId, CpuMask, DomainId, Errno, Irq, Kernel, TaskId};

const ROOT: DomainId = DomainId(0);
const TOP: DomainId = DomainId(1);
const CHIP: ChipId = ChipId(1);

fn chip_set_affinity(k: &mut Kernel, d: Irqd, mask: &CpuMask, _force: bool) -> Result<SetMask, Errno> {
    let cpu = mask.first_and(&k.topo.online).ok_or(Errno::EINVAL)?;
    k.desc_mut(d.irq).irq_common_data.effective_affinity = CpuMask::of(cpu);
    Ok(SetMask::Ok)
}

fn chip_ack(k: &mut Kernel, d: Irqd) {
    irqcore::migration::irq_move_irq(k, d);
}

fn top_alloc(k: &mut Kernel, _: DomainId, virq: Irq, nr: u32, arg: &mut IrqAllocInfo) -> Result<(), Errno> {
    irqcore::irqdomain::irq_domain_alloc_irqs_parent(k, TOP, virq, nr, arg)?;
    for i in 0..nr {
        let irq = Irq(virq.0 + i);
        irq_domain_set_hwirq_and_chip(k, TOP, irq, u64::from(i), CHIP, ChipData::None)?;
        irqcore::chip::__irq_set_handler(k, irq, FlowHandler::HandleEdgeIrq, false, Some("edge"));
    }
    Ok(())
}

fn root_alloc(k: &mut Kernel, _: DomainId, virq: Irq, nr: u32, _: &mut IrqAllocInfo) -> Result<(), Errno> {
    for i in 0..nr {
        let irq = Irq(virq.0 + i);
        irq_domain_set_hwirq_and_chip(k, ROOT, irq, u64::from(irq.0), CHIP, ChipData::None)?;
    }
    Ok(())
}

fn boot(version: KernelVersion) -> Kernel {
    let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
    k.topo.cpus = vec![CpuPlace::default(); 4];
    k.topo.nr_cpu_ids = 4;
    k.topo.node_cpus = vec![CpuMask::first_n(4)];
    let topo = &mut *k.topo;
    for mask in [&mut topo.possible, &mut topo.present, &mut topo.online, &mut topo.active] {
        *mask = CpuMask::first_n(4);
    }
    let arch = ArchOps { name: "test", arch_probe_nr_irqs: Some(|_| 4), ..ArchOps::default() };
    irqcore::irqdesc::early_irq_init(&mut k, arch);
    irqcore::proc::init_irq_proc(&mut k);
    let ops = IrqDomainOps {
        name: "root",
        alloc: Some(root_alloc),
        free: Some(|k, domain, virq, nr| {
            for i in 0..nr {
                let d = irqcore::irqdomain::irq_domain_get_irq_data(k, domain, Irq(virq.0 + i));
                irqcore::irqdomain::irq_domain_reset_irq_data(k, d.expect("irq data"));
            }
        }),
        ..IrqDomainOps::default()
    };
    assert_eq!(irq_domain_create_tree(&mut k, "ROOT", ops), ROOT);
    let ops = IrqDomainOps {
        name: "top",
        alloc: Some(top_alloc),
        free: Some(irq_domain_free_irqs_top),
        ..IrqDomainOps::default()
    };
    assert_eq!(irq_domain_create_hierarchy(&mut k, Some(ROOT), 0, 0, "TOP", ops), TOP);
    let chip = IrqChip {
        name: "TEST".to_owned(),
        // As that of messages which are not remapped.
        flags: IRQCHIP_MOVE_DEFERRED,
        irq_set_affinity: Some(chip_set_affinity),
        irq_mask: Some(|_, _| ()),
        irq_unmask: Some(|_, _| ()),
        irq_ack: Some(chip_ack),
        irq_retrigger: Some(|k, d| {
            k.log.push(format!("retrigger {}", d.irq));
            true
        }),
        ..IrqChip::default()
    };
    assert_eq!(k.irq.add_chip(chip), CHIP);
    k
}

/// A file of /proc/irq/N.
fn proc_file(name: &str) -> &'static irqcore::proc::ProcFile {
    irqcore::proc::FILES.iter().find(|f| f.name == name).expect("a file")
}

fn proc_write(k: &mut Kernel, irq: Irq, file: &str, text: &str) -> Result<(), Errno> {
    (proc_file(file).write.expect("a file to write"))(k, irq, text)
}

fn alloc(k: &mut Kernel, affinity: Option<&[IrqAffinityDesc]>) -> Irq {
    let mut arg = IrqAllocInfo::default();
    __irq_domain_alloc_irqs(k, TOP, None, 1, 0, &mut arg, false, affinity).expect("an interrupt")
}

fn counted(k: &mut Kernel, _: Irq, _: DevId) -> IrqReturn {
    k.log.push("handler".to_owned());
    IrqReturn::Handled
}

fn waker(_: &mut Kernel, _: Irq, _: DevId) -> IrqReturn {
    IrqReturn::WakeThread
}

const COUNTED: Handler = Handler { name: "counted", call: counted };
const WAKER: Handler = Handler { name: "waker", call: waker };

/// Runs tasks until none can.
fn settle(k: &mut Kernel) {
    while let Some(id) = k.sched.runnable.pop_front() {
        let task = &mut k.sched.tasks[id.index()];
        let (ctx, cpu) = (task.ctx, task.cpu);
        let mut frames: Vec<Frame> = core::mem::take(&mut task.frames);
        let before = k.switch_to(ctx, cpu);
        k.cur.task = Some(id);
        let state = loop {
            let mut frame = frames.pop().expect("a frame");
            match (frame.code.resume)(k, &mut frame) {
                Flow::Call(callee) => frames.extend([frame, callee]),
                Flow::Return(value) => match frames.last_mut() {
                    Some(caller) => caller.ret = value,
                    None => break TaskState::Done(value),
                },
                Flow::Wait(on) => {
                    frames.push(frame);
                    break TaskState::Waiting(on);
                }
                // Others may look now, and nobody does.
                Flow::Again => frames.push(frame),
                Flow::Spin => panic!("nothing spins here"),
            }
        };
        k.cur = before;
        let task = &mut k.sched.tasks[id.index()];
        (task.frames, task.state) = (frames, state);
        match state {
            TaskState::Waiting(on) => k.sched.waiters.entry(on).or_default().push(id),
            _ => k.wake(kstate::sched::WaitOn::Exit(id)),
        }
    }
    irqcore::manage::check_invariants(k).expect("invariants");
}

fn run<R>(k: &mut Kernel, call: kstate::sched::Call<R>) -> TaskId {
    let task = k.spawn(TaskKind::Task, CpuId(0), call.frame, &[]);
    settle(k);
    task
}

fn raise(k: &mut Kernel, irq: Irq) {
    irqcore::chip::generic_handle_irq_desc(k, irq);
}

fn done(k: &Kernel, task: TaskId) -> bool {
    matches!(k.sched.tasks[task.index()].state, TaskState::Done(_))
}

const DEV: DevId = DevId::Platform(7);

#[test]
fn what_is_allocated_requested_and_freed_leaves_nothing() {
    for &version in KernelVersion::ALL {
        let mut k = boot(version);
        let empty = (k.irq.clone(), k.warnings);
        let irq = alloc(&mut k, None);
        assert_eq!(irq, Irq(4), "the first number above the legacy ones");
        assert_eq!(k.domain(ROOT).mapcount, 1);
        request_threaded_irq(&mut k, irq, Some(COUNTED), None, 0, "dev", DEV).expect("request");
        raise(&mut k, irq);
        assert_eq!([0, 1, 2, 3].map(|cpu| k.desc(irq).kstat_irqs.get(CpuId(cpu))), [1, 0, 0, 0]);
        let interrupts = irqcore::proc::show_interrupts(&k);
        let row = if k.sem.proc_interrupts_aligned {
            "   4:          1          0          0          0  TEST        0-edge      dev"
        } else {
            "   4:          1          0          0          0      TEST    0-edge      dev"
        };
        assert_eq!(interrupts.lines().nth(1), Some(row), "{}", version.name());
        run(&mut k, free_irq(irq, DEV));
        run(&mut k, irq_domain_free_irqs(irq, 1));
        k.irq.descs.truncate(4);
        assert_eq!((k.irq, k.warnings), empty);
    }
}

#[test]
fn a_line_that_is_disabled_remembers_one_interrupt() {
    for &version in KernelVersion::ALL {
        let mut k = boot(version);
        let irq = alloc(&mut k, None);
        request_threaded_irq(&mut k, irq, Some(COUNTED), None, 0, "dev", DEV).expect("request");
        run(&mut k, disable_irq(irq));
        raise(&mut k, irq);
        raise(&mut k, irq);
        assert!(k.desc(irq).has(IRQD_IRQ_MASKED), "masked late, by the first interrupt");
        assert!(!k.log.iter().any(|line| line == "handler"));
        enable_irq(&mut k, irq);
        assert_eq!(k.log.last().map(String::as_str), Some("retrigger 4"));
        raise(&mut k, irq);
        assert_eq!(k.desc(irq).tot_count, 1);
        assert_eq!(k.desc(irq).istate & IRQS_REPLAY, 0);
    }
}

#[test]
fn a_move_waits_for_the_interrupt() {
    for &version in KernelVersion::ALL {
        let mut k = boot(version);
        let irq = alloc(&mut k, None);
        request_threaded_irq(&mut k, irq, Some(COUNTED), None, 0, "dev", DEV).expect("request");
        proc_write(&mut k, irq, "smp_affinity_list", "2-3\n").expect("write");
        let read = |k: &Kernel, file| (proc_file(file).show)(k, k.desc(irq));
        assert_eq!(read(&k, "smp_affinity_list"), "2-3\n");
        assert_eq!(read(&k, "effective_affinity"), "1\n");
        raise(&mut k, irq);
        assert_eq!(read(&k, "effective_affinity"), "4\n");
    }
}

#[test]
fn a_mask_without_online_cpu_is_refused_since_it_is_no_longer_a_wish_for_another() {
    for (version, expect) in [(KernelVersion::V5_4, Ok(())), (KernelVersion::V6_12, Err(Errno::EINVAL))] {
        let mut k = boot(version);
        let irq = alloc(&mut k, None);
        request_threaded_irq(&mut k, irq, Some(COUNTED), None, 0, "dev", DEV).expect("request");
        assert_eq!(proc_write(&mut k, irq, "smp_affinity", "0\n"), expect);
    }
}

#[test]
fn a_managed_interrupt_cannot_be_moved_and_sleeps_without_its_cpu() {
    for (version, expect) in [(KernelVersion::V5_4, Errno::EIO), (KernelVersion::V6_12, Errno::EPERM)] {
        let mut k = boot(version);
        let desc = [IrqAffinityDesc { mask: CpuMask::of(CpuId(3)), is_managed: true }];
        let irq = alloc(&mut k, Some(&desc));
        request_threaded_irq(&mut k, irq, Some(COUNTED), None, 0, "dev", DEV).expect("request");
        assert!(k.desc(irq).has(IRQD_IRQ_STARTED));
        assert_eq!(proc_write(&mut k, irq, "smp_affinity", "1"), Err(expect));
        k.topo.online.clear(CpuId(3));
        k.cur.cpu = CpuId(3);
        irqcore::cpuhotplug::irq_migrate_all_off_this_cpu(&mut k);
        k.cur.cpu = CpuId(0);
        assert!(k.desc(irq).has(IRQD_MANAGED_SHUTDOWN) && !k.desc(irq).has(IRQD_IRQ_STARTED));
        settle(&mut k);
        k.topo.online.set(CpuId(3));
        irqcore::cpuhotplug::irq_affinity_online_cpu(&mut k, CpuId(3)).expect("online");
        assert!(k.desc(irq).has(IRQD_IRQ_STARTED));
        assert_eq!(k.desc(irq).irq_common_data.effective_affinity, CpuMask::of(CpuId(3)));
    }
}

#[test]
fn another_line_than_its_own_cpu_goes_to_any_cpu_that_is_left() {
    for &version in KernelVersion::ALL {
        let mut k = boot(version);
        let irq = alloc(&mut k, None);
        request_threaded_irq(&mut k, irq, Some(COUNTED), None, 0, "dev", DEV).expect("request");
        proc_write(&mut k, irq, "smp_affinity", "8").expect("write");
        raise(&mut k, irq);
        k.topo.online.clear(CpuId(3));
        k.cur.cpu = CpuId(3);
        irqcore::cpuhotplug::irq_migrate_all_off_this_cpu(&mut k);
        assert_eq!(k.desc(irq).irq_common_data.effective_affinity, CpuMask::of(CpuId(0)));
        assert_eq!(k.desc(irq).irq_common_data.affinity, CpuMask::first_n(3));
    }
}

#[test]
fn free_irq_waits_for_the_thread() {
    for &version in KernelVersion::ALL {
        let mut k = boot(version);
        let irq = alloc(&mut k, None);
        request_threaded_irq(&mut k, irq, Some(WAKER), Some(COUNTED), IRQF_ONESHOT, "dev", DEV)
            .expect("request");
        settle(&mut k);
        raise(&mut k, irq);
        assert_eq!(k.desc(irq).threads_active, 1);
        let task = k.spawn(TaskKind::Task, CpuId(0), free_irq(irq, DEV).frame, &[]);
        // free_irq() goes first and finds the thread active.
        k.sched.runnable.rotate_right(1);
        settle(&mut k);
        assert!(done(&k, task));
        assert_eq!(k.log.iter().filter(|line| *line == "handler").count(), 1, "the thread ran once more");
        assert!(k.desc(irq).action.is_empty() && !k.desc(irq).has(IRQD_ACTIVATED));
    }
}

#[test]
fn only_those_who_agree_share_a_line() {
    let check = |first: u32, second: u32, expect: Result<(), Errno>| {
        for &version in KernelVersion::ALL {
            let mut k = boot(version);
            let irq = alloc(&mut k, None);
            request_threaded_irq(&mut k, irq, Some(COUNTED), None, first, "a", DEV).expect("request");
            let other = DevId::Platform(8);
            let got = request_threaded_irq(&mut k, irq, Some(COUNTED), None, second, "b", other);
            assert_eq!(got, expect, "{first:#x} {second:#x}");
        }
    };
    check(IRQF_SHARED, IRQF_SHARED, Ok(()));
    check(IRQF_SHARED, 0, Err(Errno::EBUSY));
    check(0, IRQF_SHARED, Err(Errno::EBUSY));
    check(IRQF_SHARED, IRQF_SHARED | IRQF_ONESHOT, Err(Errno::EBUSY));
}

#[test]
fn an_isolated_cpu_gets_a_managed_interrupt_only_when_no_other_is_left() {
    let mut k = boot(KernelVersion::V6_12);
    k.housekeeping.set_mask(HkType::ManagedIrq as usize, &CpuMask::first_n(2));
    let check = |k: &mut Kernel, mask: &str, expect: &str| {
        let mask = CpuMask::parse_list(mask, 4).expect("a mask");
        let desc = [IrqAffinityDesc { mask: mask.clone(), is_managed: true }];
        let irq = alloc(k, Some(&desc));
        irqcore::manage::irq_do_set_affinity(k, Irqd::top(irq), &mask, false).expect("set");
        let common = &k.desc(irq).irq_common_data;
        assert_eq!(
            (common.affinity.list(), common.effective_affinity.list()),
            (mask.list(), expect.to_owned())
        );
        assert!(k.desc(irq).has(IRQD_AFFINITY_MANAGED));
        irqcore::irqdomain::nowait::irq_domain_free_irqs(k, irq, 1);
    };
    check(&mut k, "1-2", "1");
    check(&mut k, "2-3", "2");
    check(&mut k, "1,3", "1");
}
