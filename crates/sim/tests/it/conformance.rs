//! What kernel tests, commit messages and mailing lists state about interrupts on whole machines:
//! CPU hotplug, vectors that run out or leak, descriptors. The facts are in
//! tests/golden/conformance.jsonl; cases that need no machine are in crates/irqcore/tests.

use std::fmt::Write as _;

use irqcore::chip::{irq_activate, irq_shutdown_and_deactivate, irq_startup};
use irqcore::manage::{disable_irq, enable_irq, free_irq, irq_set_affinity, request_threaded_irq};
use irqcore::matrix::{irq_matrix_alloc, irq_matrix_free, irq_matrix_reserve, irq_matrix_reserve_managed};
use kstate::hw::pci::{Bar, PciFunction};
use kstate::irqchip::Handler;
use kstate::irqdesc::*;
use kstate::matrix::CpuMap;
use kstate::sched::{Call, TaskKind};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::trace::What;
use kstate::{CpuId, CpuMask, Errno, Irq, Kernel, PciDevId};
use pcimsi::hw::{COMMAND, COMMAND_BUS_MASTER, config::add_msix, config_write, msix_raise};
use pcimsi::kernel::{
    PCI_IRQ_AFFINITY, PCI_IRQ_MSIX, pci_alloc_irq_vectors_affinity, pci_device_add, pci_irq_vector,
};
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;
use sim::{engine, vfs};

const V5_4: KernelVersion = KernelVersion::V5_4;
const V6_12: KernelVersion = KernelVersion::V6_12;
const BOTH: [KernelVersion; 2] = [V5_4, V6_12];

/// One row per case.
const CASES: &[(&str, fn())] = &[
    // Descriptors.
    ("KU-01", || both(enabling_undoes_disabling)),
    ("KU-02", || both(a_new_owner_finds_the_line_enabled)),
    ("RUL-03", || {
        affinity_of_an_inactive_interrupt(V6_12, ("2-3", "2-3"));
        // 5.4 leaves it to an interrupt that cannot come.
        affinity_of_an_inactive_interrupt(V5_4, ("0-3", "0"));
    }),
    // Managed interrupts.
    ("KU-03b", || both(starting_up_forgets_the_disable)),
    ("RUL-08", || {
        suspended_while_its_cpu_comes_back(V6_12, false);
        suspended_while_its_cpu_comes_back(V5_4, true);
    }),
    ("BMQ-14", || both(the_last_cpu_of_a_queue_goes)),
    ("BMQ-03", || both(default_queues_beside_read_and_poll_queues)),
    // All CPUs in turn.
    ("SELF-18", || both(all_cpus_but_the_highest_go_and_come_back)),
    ("SELF-20", || both(interrupts_of_one_cpu_survive_every_cpu)),
    // Vectors.
    ("MTX-16", || {
        for version in BOTH {
            let lab = boot(version, 2, &["0-1"], "");
            assert_eq!(cm(&lab.k, 1).available, 256 - 32 - 22, "{}", version.name());
        }
    }),
    ("MTX-18", || {
        for (version, end) in [(V5_4, 236), (V6_12, 235)] {
            let mut lab = boot(version, 2, &["0-1"], "");
            assert_eq!((lab.k.vector_matrix.alloc_end, lab.k.vector_matrix.alloc_size), (end, end - 32));
            fill(&mut lab.k, 1, 0);
            assert_eq!(cm(&lab.k, 1).alloc_map.iter().last(), Some(end - 1));
        }
    }),
    ("MTX-19", || {
        for (version, system) in [(V5_4, true), (V6_12, false)] {
            let mut lab = boot(version, 2, &["0-1"], "");
            assert_eq!(lab.k.vector_matrix.system_map.test(32), system);
            card(&mut lab.k, 1, "1");
            assert_eq!(cm(&lab.k, 1).alloc_map.iter().next(), Some(32 + u32::from(system)));
        }
    }),
    ("PRO-NVME-07", || both(a_vector_is_busy_until_its_last_user_is_gone)),
    ("RUL-14", || both(affinity_is_broken_when_its_vectors_are_used_up)),
    ("MTX-04", || {
        vectors_go_to_the_other_thread(V5_4, "33-49");
        vectors_go_to_the_other_thread(V6_12, "32-48");
    }),
    ("MTX-05", || both(the_last_but_one_cpu_has_too_many_vectors)),
    ("MTX-06", || both(reservations_do_not_keep_a_cpu)),
    ("MTX-11", || {
        one_cpu_is_left_for_the_vectors_of_two(V5_4, 149);
        one_cpu_is_left_for_the_vectors_of_two(V6_12, 0);
    }),
    ("MTX-14", || {
        assert_eq!(vectors_left_behind(V5_4, 10), 10);
        assert_eq!(vectors_left_behind(V6_12, 10), 0);
    }),
    ("MTX-15", || {
        let (lab, irq) = moved_away_when_the_cpu_goes(V6_12);
        let apicd = lab.k.apic.apicd(irq).expect("chip data");
        assert_eq!((apicd.cpu, apicd.prev_vector, apicd.move_in_progress), (CpuId(10), 0, false));
        assert_eq!(cm(&lab.k, 11).allocated, 0);
        // 5.4 looks at the affinity first.
        let (lab, irq) = moved_away_when_the_cpu_goes(V5_4);
        assert_ne!(lab.k.apic.apicd(irq).expect("chip data").prev_vector, 0);
        assert_eq!(cm(&lab.k, 11).allocated, 1);
    }),
    // One interrupt's life in tracepoints.
    ("TRC-01", || both(|version| drop(traced_move(version)))),
    ("TRC-03", || both(|version| drop(traced_free(version)))),
    ("TRC-04", || {
        // 5.4 does what the case says about the time before the fix.
        traced_activation(V5_4, -28, false);
        traced_activation(V6_12, -22, true);
    }),
];

fn both(case: fn(KernelVersion)) {
    BOTH.iter().for_each(|&version| case(version));
}

#[test]
fn every_case_holds() {
    for (id, case) in CASES {
        println!("{id}");
        case();
    }
}

// ---- machines ----

/// A machine that has nothing but a serial port at CPU 0, and these functions.
fn machine(version: KernelVersion, cpus: u32, nodes: &[&str], pci: &str) -> Machine {
    machine_with(version, cpus, nodes, pci, (0, 34))
}

fn machine_with(version: KernelVersion, cpus: u32, nodes: &[&str], pci: &str, serial: (u32, u32)) -> Machine {
    let (cpu, vector) = serial;
    let text = format!(
        "kernel = \"{}\"\n[cpus]\npossible = {cpus}\npresent = {cpus}\nnodes = {nodes:?}\n{pci}\
         [[boot.vector]]\nirq = 4\nname = \"ttyS0\"\ncpu = {cpu}\nvector = {vector}\n",
        version.name()
    );
    Machine::parse("test", &text).unwrap_or_else(|e| panic!("{e}"))
}

/// Boots without recording.
fn boot_machine(machine: &Machine) -> Lab {
    let lab = Lab::boot_with(machine, Semantics::of(machine.kernel), false);
    assert_eq!(check_invariants(&lab.k), Ok(()));
    lab
}

fn boot(version: KernelVersion, cpus: u32, nodes: &[&str], pci: &str) -> Lab {
    boot_machine(&machine(version, cpus, nodes, pci))
}

fn nvme(queues: u32) -> String {
    let vectors = queues + 1;
    format!(
        "[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = {queues}\n\
         msix_vectors = {vectors}\nintx_gsi = 23\n"
    )
}

fn virtio(queues: u32) -> String {
    let vectors = queues + 1;
    format!(
        "[[pci]]\naddress = \"0000:00:04.0\"\nmodel = \"virtio-blk\"\nrequest_queues = {queues}\n\
         msix_vectors = {vectors}\nintx_gsi = 20\n"
    )
}

/// Runs shell commands with all invariants checked after every step, and returns what was printed.
fn sh(lab: &mut Lab, text: &str) -> Vec<String> {
    let script = Script::parse("script.sh", text).expect("a script");
    lab.run_each(&script, |k| assert_eq!(check_invariants(k), Ok(())), |_, _| {});
    std::mem::take(&mut lab.terminal)
}

/// Takes CPUs down or brings them up, one after the other.
fn hotplug(lab: &mut Lab, cpus: impl IntoIterator<Item = u32>, online: bool) -> Vec<String> {
    let mut text = String::new();
    for cpu in cpus {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "echo {} > /sys/devices/system/cpu/cpu{cpu}/online", u8::from(online));
    }
    sh(lab, &text)
}

/// Runs a kernel function that may sleep.
fn run<R>(k: &mut Kernel, call: Call<R>) {
    let task = k.spawn(TaskKind::Task, CpuId(0), call.frame, &[]);
    assert!(engine::run_task(k, task, &mut |_| {}).is_some(), "it does not end");
}

fn mask(list: &str) -> CpuMask {
    CpuMask::parse_list(list, 128).expect("a list of CPUs")
}

fn cm(k: &Kernel, cpu: usize) -> &CpuMap {
    &k.vector_matrix.maps[cpu]
}

fn log_has(k: &Kernel, line: &str) -> bool {
    k.log.iter().any(|l| l == line)
}

// ---- a device whose driver is the test ----

fn quiet(_k: &mut Kernel, _irq: Irq, _dev_id: DevId) -> IrqReturn {
    IrqReturn::Handled
}

const QUIET: Handler = Handler { name: "quiet", call: quiet };

/// Plugs a function in and allocates MSI-X vectors for it, which `managed` ones are spread.
fn plug(k: &mut Kernel, vectors: u32, managed: bool) -> (PciDevId, Vec<Irq>) {
    let device = 8 + k.pci.devs.len() as u16;
    let mut function =
        PciFunction { bdf: device << 3, interrupt_pin: 1, intx_input: 16, ..PciFunction::default() };
    function.bars[0] = Bar::Msix;
    add_msix(&mut function, 0x40, 0, 0x8000, vectors).expect("a table that the size field can hold");
    let dev = pci_device_add(k, function);
    k.pci_dev_mut(dev).node = -1;
    config_write(k, dev, COMMAND, 2, COMMAND_BUS_MASTER.into());
    let flags = if managed { PCI_IRQ_MSIX | PCI_IRQ_AFFINITY } else { PCI_IRQ_MSIX };
    let got = k.run_now(pci_alloc_irq_vectors_affinity(dev, vectors, vectors, flags, false));
    assert_eq!(got, Ok(vectors));
    (dev, (0..vectors).map(|n| pci_irq_vector(k, dev, n).expect("an interrupt")).collect())
}

fn request(k: &mut Kernel, irq: Irq, user: u32) -> Result<(), Errno> {
    request_threaded_irq(k, irq, Some(QUIET), None, IRQF_SHARED, "card", DevId::Platform(user))
}

/// Plugs a function in whose interrupts are all requested and may go to `cpus`.
fn card(k: &mut Kernel, vectors: u32, cpus: &str) -> (PciDevId, Vec<Irq>) {
    let before = std::mem::replace(&mut k.irq.default_affinity, mask(cpus));
    let (dev, irqs) = plug(k, vectors, false);
    for &irq in &irqs {
        assert_eq!(request(k, irq, 100), Ok(()));
        assert_eq!(k.desc(irq).irq_common_data.affinity, mask(cpus));
    }
    k.irq.default_affinity = before;
    (dev, irqs)
}

/// Takes vectors of a CPU until so many are left.
fn fill(k: &mut Kernel, cpu: u32, left: u32) {
    let available = cm(k, cpu as usize).available;
    if available > left {
        card(k, available - left, &cpu.to_string());
    }
    assert_eq!(cm(k, cpu as usize).available, left);
}

/// An interrupt of a device and what follows from it.
fn raise(lab: &mut Lab, dev: PciDevId) {
    msix_raise(&mut lab.k, dev, 0);
    lab.pass(100_000_000, &mut |k| assert_eq!(check_invariants(k), Ok(())));
}

// ---- descriptors ----

fn enabling_undoes_disabling(version: KernelVersion) {
    let mut lab = boot(version, 2, &["0-1"], "");
    let (_, irqs) = card(&mut lab.k, 1, "0-1");
    let mut depths = vec![lab.k.desc(irqs[0]).depth];
    run(&mut lab.k, disable_irq(irqs[0]));
    depths.push(lab.k.desc(irqs[0]).depth);
    enable_irq(&mut lab.k, irqs[0]);
    depths.push(lab.k.desc(irqs[0]).depth);
    assert_eq!(depths, [0, 1, 0], "{}", version.name());
}

fn a_new_owner_finds_the_line_enabled(version: KernelVersion) {
    let mut lab = boot(version, 2, &["0-1"], "");
    let (_, irqs) = card(&mut lab.k, 1, "0-1");
    run(&mut lab.k, disable_irq(irqs[0]));
    assert_eq!(lab.k.desc(irqs[0]).depth, 1);
    run(&mut lab.k, free_irq(irqs[0], DevId::Platform(100)));
    assert!(lab.k.desc(irqs[0]).depth >= 1);
    assert_eq!(request(&mut lab.k, irqs[0], 101), Ok(()));
    assert_eq!(lab.k.desc(irqs[0]).depth, 0, "{}", version.name());
}

/// Sets the affinity of an interrupt that nobody requested; it and the effective one afterwards.
fn affinity_of_an_inactive_interrupt(version: KernelVersion, expect: (&str, &str)) {
    let mut lab = boot(version, 4, &["0-3"], "");
    let (_, irqs) = plug(&mut lab.k, 1, false);
    lab.k.trace.on = true;
    let from = lab.k.trace.records.len();
    assert_eq!(irq_set_affinity(&mut lab.k, irqs[0], &mask("2-3")), Ok(()));
    let common = &lab.k.desc(irqs[0]).irq_common_data;
    assert_eq!((&*common.affinity.list(), &*common.effective_affinity.list()), expect, "{}", version.name());
    let chip = ["msi_domain_set_affinity", "msi_set_affinity", "apic_set_affinity"];
    let mut calls = lab.k.trace.records[from..].iter();
    assert!(!calls.any(|r| matches!(r.what, What::Enter { meta, .. } if chip.contains(&meta.name))));
}

// ---- managed interrupts ----

/// Activated, started, managed, and how deep it is disabled.
fn managed_state(k: &Kernel, irq: Irq) -> (bool, bool, bool, u32) {
    let desc = k.desc(irq);
    (desc.has(IRQD_ACTIVATED), desc.has(IRQD_IRQ_STARTED), desc.has(IRQD_AFFINITY_MANAGED), desc.depth)
}

fn starting_up_forgets_the_disable(version: KernelVersion) {
    let mut lab = boot(version, 2, &["0-1"], "");
    let (_, irqs) = plug(&mut lab.k, 1, true);
    let irq = irqs[0];
    assert_eq!(request(&mut lab.k, irq, 100), Ok(()));
    assert_eq!(managed_state(&lab.k, irq), (true, true, true, 0));
    run(&mut lab.k, disable_irq(irq));
    let k = &mut lab.k;
    irq_shutdown_and_deactivate(k, irq);
    assert_eq!(managed_state(k, irq), (false, false, true, 1));
    assert_eq!(irq_activate(k, irq), Ok(()));
    irq_startup(k, irq, false, true);
    assert_eq!(managed_state(k, irq), (true, true, true, 0), "{}", version.name());
    enable_irq(k, irq);
    assert!(log_has(k, &format!("Unbalanced enable for IRQ {irq}")), "{:?}", k.log);
}

/// Suspending and resuming themselves (kernel/irq/pm.c) are not modelled; the flag is.
fn suspended_while_its_cpu_comes_back(version: KernelVersion, starts: bool) {
    let mut lab = boot(version, 2, &["0-1"], "");
    let (_, irqs) = plug(&mut lab.k, 2, true);
    for &irq in &irqs {
        assert_eq!(request(&mut lab.k, irq, 100), Ok(()));
    }
    let irq = irqs[1];
    assert_eq!(lab.k.desc(irq).irq_common_data.affinity, mask("1"));
    assert_eq!(hotplug(&mut lab, [1], false), [""; 0]);
    assert!(lab.k.desc(irq).has(IRQD_MANAGED_SHUTDOWN));
    lab.k.desc_mut(irq).istate |= IRQS_SUSPENDED;
    assert_eq!(hotplug(&mut lab, [1], true), [""; 0]);
    assert_eq!(lab.k.desc(irq).has(IRQD_IRQ_STARTED), starts, "{}", version.name());
}

fn the_last_cpu_of_a_queue_goes(version: KernelVersion) {
    let mut lab = boot(version, 12, &["0-11"], &nvme(2));
    let irq = lab.k.for_each_irq().find(|&irq| lab.k.desc(irq).action.iter().any(|a| &*a.name == "nvme0q2"));
    let irq = irq.expect("the second queue's interrupt");
    assert_eq!(lab.k.desc(irq).irq_common_data.affinity, mask("6-11"));
    assert_eq!(hotplug(&mut lab, 6..11, false), [""; 0]);
    assert!(lab.k.desc(irq).has(IRQD_IRQ_STARTED));

    // One read is on its way when the last CPU goes.
    let disk = lab.k.blk.disk_by_name("nvme0n1").expect("a disk");
    let queue = lab.k.blk.disk(disk).expect("a disk").queue;
    let set = lab.k.blk.q(queue).tag_set;
    let read = drivers::block::fops::read_part_sector(disk, 0, 8);
    lab.k.spawn(TaskKind::Task, CpuId(11), read.frame, &[]);
    while drivers::block::blk_mq_tag::blk_mq_tagset_busy_iter(&lab.k, set).is_empty() {
        assert!(engine::step(&mut lab.k, u64::MAX).is_some(), "the read is not sent");
    }
    let drains = version != V5_4;
    let script = "echo 0 > /sys/devices/system/cpu/cpu11/online\n";
    let script = Script::parse("script.sh", script).expect("a script");
    let step = |k: &Kernel| {
        let busy = !drivers::block::blk_mq_tag::blk_mq_tagset_busy_iter(k, set).is_empty();
        assert!(!drains || k.topo.is_online(CpuId(11)) || !busy, "a request of a CPU that is gone");
    };
    lab.run_each(&script, step, |_, _| {});
    assert!(lab.terminal.is_empty(), "{:?}", lab.terminal);
    assert_eq!(managed_state(&lab.k, irq), (false, false, true, 1));
    assert!(lab.k.desc(irq).has(IRQD_MANAGED_SHUTDOWN));
    // Draining is 5.8's; 5.4 shuts the interrupt down and no more.
    assert_eq!(lab.k.blk.q(queue).queue_hw_ctx[1].inactive, drains);

    let read = "taskset -c 0 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct\n";
    assert_eq!(sh(&mut lab, read), [""; 0]);
}

fn default_queues_beside_read_and_poll_queues(version: KernelVersion) {
    let mut machine = machine(version, 8, &["0-3", "4-7"], &nvme(16));
    machine.cmdline = "nvme.write_queues=4 nvme.poll_queues=4".to_owned();
    let lab = boot_machine(&machine);
    let disk = lab.k.blk.disk_by_name("nvme0n1").and_then(|disk| lab.k.blk.disk(disk)).expect("a disk");
    let queues = lab.k.blk.q(disk.queue).queue_hw_ctx.iter().take(4);
    let cpus: Vec<String> = queues.map(|hctx| hctx.cpumask.list()).collect();
    assert_eq!(cpus, ["4-5", "6-7", "0-1", "2-3"], "{}", version.name());
}

// ---- all CPUs in turn ----

fn all_cpus_but_the_highest_go_and_come_back(version: KernelVersion) {
    let mut lab = boot(version, 8, &["0-3", "4-7"], &(nvme(8) + &virtio(8)));
    let before = lab.k.topo.online.clone();
    // CPU 0 cannot be taken down on x86.
    assert_eq!(hotplug(&mut lab, 1..7, false), [""; 0]);
    assert_eq!(lab.k.topo.online, mask("0,7"));
    assert_eq!(hotplug(&mut lab, 1..7, true), [""; 0]);
    assert_eq!(lab.k.topo.online, before);
}

/// How often the interrupt of an action arrived, on CPUs that are online.
fn arrived(k: &Kernel, action: &str) -> u32 {
    let irqs = k.for_each_irq().filter(|&irq| k.desc(irq).action.iter().any(|a| *a.name == *action));
    irqs.flat_map(|irq| k.topo.online.iter().map(move |cpu| k.desc(irq).kstat_irqs.get(cpu))).sum()
}

fn interrupts_of_one_cpu_survive_every_cpu(version: KernelVersion) {
    let mut lab = boot(version, 4, &["0-3"], &nvme(4));
    for irq in vfs::list(&lab.k, "/proc/irq").expect("a directory") {
        // Managed interrupts and the timer's refuse.
        sh(&mut lab, &format!("echo 3 > /proc/irq/{irq}/smp_affinity_list\n"));
    }
    for cpu in [1, 2, 3] {
        assert_eq!(hotplug(&mut lab, [cpu], false), [""; 0]);
        let before = ["nvme0q0", "nvme0q1"].map(|action| arrived(&lab.k, action));
        let work = "echo 1 > /sys/class/nvme/nvme0/rescan_controller\n\
                    taskset -c 0 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct\nsleep 1\n";
        assert_eq!(sh(&mut lab, work), [""; 0]);
        let after = ["nvme0q0", "nvme0q1"].map(|action| arrived(&lab.k, action));
        assert!(after[0] > before[0] && after[1] > before[1], "{} without CPU {cpu}", version.name());
        assert_eq!(hotplug(&mut lab, [cpu], true), [""; 0]);
    }
}

// ---- vectors ----

fn a_vector_is_busy_until_its_last_user_is_gone(version: KernelVersion) {
    let mut lab = boot(version, 1, &["0"], "");
    fill(&mut lab.k, 0, 1);
    let (_, irqs) = plug(&mut lab.k, 2, false);
    let k = &mut lab.k;
    assert_eq!(request(k, irqs[0], 100), Ok(()));
    assert_eq!(request(k, irqs[0], 101), Ok(()));
    assert_eq!(request(k, irqs[1], 102), Err(Errno::ENOSPC));
    run(k, free_irq(irqs[0], DevId::Platform(101)));
    assert_eq!(request(k, irqs[1], 102), Err(Errno::ENOSPC));
    run(k, free_irq(irqs[0], DevId::Platform(100)));
    assert_eq!(request(k, irqs[1], 102), Ok(()), "{}", version.name());
    assert_eq!(check_invariants(k), Ok(()));
}

fn affinity_is_broken_when_its_vectors_are_used_up(version: KernelVersion) {
    let mut lab = boot(version, 4, &["0-3"], "");
    fill(&mut lab.k, 2, 0);
    lab.k.irq.default_affinity = mask("2");
    let (_, irqs) = plug(&mut lab.k, 1, false);
    assert_eq!(request(&mut lab.k, irqs[0], 100), Ok(()));
    let line = format!("irq {}: Affinity broken due to vector space exhaustion.", irqs[0]);
    assert!(log_has(&lab.k, &line), "{}: {:?}", version.name(), lab.k.log);
    let common = &lab.k.desc(irqs[0]).irq_common_data;
    assert!(!common.effective_affinity.intersects(&mask("2")), "{}", common.effective_affinity);
    assert!(lab.k.desc(irqs[0]).has(IRQD_ACTIVATED | IRQD_IRQ_STARTED));
}

/// 32 CPUs with a managed vector each; CPUs 2 and 18 have eight more, which may go to both.
fn vectors_go_to_the_other_thread(version: KernelVersion, vectors: &str) {
    let mut lab = boot(version, 32, &["0-31"], "");
    let (_, irqs) = plug(&mut lab.k, 32, true);
    for irq in irqs {
        assert_eq!(request(&mut lab.k, irq, 100), Ok(()));
    }
    card(&mut lab.k, 16, "2,18");
    assert_eq!(hotplug(&mut lab, [1], false), [""; 0]);
    let counters = |k: &Kernel| {
        let m = &k.vector_matrix;
        (m.online_maps, m.global_available, m.total_allocated, cm(k, 2).allocated, cm(k, 18).allocated)
    };
    let (maps, available, total, from, to) = counters(&lab.k);
    assert_eq!((maps, from, to), (31, 9, 9));
    let one = cm(&lab.k, 2).available + 8;
    assert_eq!(hotplug(&mut lab, [2], false), [""; 0]);
    // What goes is what an idle CPU has: 201 here. The case's kernel also sets vector 128 aside for
    // 32-bit system calls, which makes 200.
    assert_eq!(one, 201);
    assert_eq!(counters(&lab.k), (30, available - one, total - 1, 0, 17), "{}", version.name());
    let m = &lab.k.vector_matrix;
    assert_eq!(cm(&lab.k, 18).alloc_map.list(m.matrix_bits), vectors);
}

fn the_last_but_one_cpu_has_too_many_vectors(version: KernelVersion) {
    let mut lab = boot(version, 32, &["0-31"], "");
    assert_eq!(hotplug(&mut lab, 1..31, false), [""; 0]);
    let left = cm(&lab.k, 31).available - 116;
    fill(&mut lab.k, 31, left);
    fill(&mut lab.k, 0, 85);
    let said = hotplug(&mut lab, [31], false);
    assert!(said.iter().any(|line| line.contains("No space left on device")), "{said:?}");
    let line = "CPU 31 has 116 vectors, 85 available. Cannot disable CPU";
    assert!(log_has(&lab.k, line), "{}: {:?}", version.name(), lab.k.log);
    assert_eq!(lab.k.topo.online, mask("0,31"));
    assert_eq!(cm(&lab.k, 31).allocated, 116);
}

fn reservations_do_not_keep_a_cpu(version: KernelVersion) {
    let mut lab = boot(version, 2, &["0-1"], "");
    plug(&mut lab.k, 220, false);
    let reserved = lab.k.vector_matrix.global_reserved;
    let available = cm(&lab.k, 0).available;
    assert!(reserved >= 220 && available < reserved);
    assert_eq!(hotplug(&mut lab, [1], false), [""; 0]);
    let line = format!("Reserved vectors {reserved} > available {available}. IRQ request may fail");
    assert!(log_has(&lab.k, &line), "{}: {:?}", version.name(), lab.k.log);
    assert_eq!(lab.k.topo.online, mask("0"));
}

/// CPU 2 has 176 vectors and CPU 3 has 175, all of which may go to both and to no other.
fn one_cpu_is_left_for_the_vectors_of_two(version: KernelVersion, failed: usize) {
    let mut lab = boot(version, 8, &["0-7"], "");
    card(&mut lab.k, 351, "2-3");
    assert_eq!((cm(&lab.k, 2).allocated, cm(&lab.k, 3).allocated), (176, 175));
    assert_eq!((cm(&lab.k, 2).available, cm(&lab.k, 3).available), (26, 27));
    assert_eq!(hotplug(&mut lab, [3], false), [""; 0]);
    assert_eq!((cm(&lab.k, 2).available, cm(&lab.k, 2).allocated), (0, 202));
    let lines = lab.k.log.iter().filter(|line| line.ends_with(": set affinity failed(-28)."));
    // The line is rate-limited: ten of them in five seconds.
    assert_eq!(lines.count(), failed.min(10), "{}", version.name());
    // What found no place stays where no interrupt arrives; later kernels find one elsewhere.
    assert_eq!(cm(&lab.k, 3).allocated as usize, failed);
    let elsewhere: u32 = [0, 1, 4, 5, 6, 7].iter().map(|&cpu| cm(&lab.k, cpu).allocated).sum();
    assert!(failed != 0 || elsewhere >= 149, "{elsewhere}");
}

/// An interrupt that moved from CPU 11 to CPU 10, where it has not arrived yet, when CPU 11 goes.
fn moved_away_when_the_cpu_goes(version: KernelVersion) -> (Lab, Irq) {
    let mut lab = boot(version, 12, &["0-11"], "");
    let (dev, irqs) = card(&mut lab.k, 1, "0-11");
    move_and_offline(&mut lab, dev, irqs[0]);
    (lab, irqs[0])
}

fn move_and_offline(lab: &mut Lab, dev: PciDevId, irq: Irq) {
    // The first interrupt moves it, the next ends the move.
    assert_eq!(sh(lab, &format!("echo 11 > /proc/irq/{irq}/smp_affinity_list\n")), [""; 0]);
    raise(lab, dev);
    raise(lab, dev);
    assert_eq!(lab.k.desc(irq).irq_common_data.effective_affinity, mask("11"));
    assert_eq!(sh(lab, &format!("echo 10 > /proc/irq/{irq}/smp_affinity_list\n")), [""; 0]);
    raise(lab, dev);
    let apicd = lab.k.apic.apicd(irq).expect("chip data");
    assert_eq!((apicd.cpu, apicd.prev_cpu, apicd.move_in_progress), (CpuId(10), CpuId(11), true));
    assert_eq!(hotplug(lab, [11], false), [""; 0]);
}

/// Vectors that stay allocated on CPU 11 after so many rounds.
fn vectors_left_behind(version: KernelVersion, rounds: u32) -> u32 {
    let mut lab = boot(version, 12, &["0-11"], "");
    let (dev, irqs) = card(&mut lab.k, 1, "0-11");
    for _ in 0..rounds {
        move_and_offline(&mut lab, dev, irqs[0]);
        raise(&mut lab, dev);
        assert_eq!(hotplug(&mut lab, [11], true), [""; 0]);
    }
    cm(&lab.k, 11).allocated
}

// ---- one interrupt's life in tracepoints ----

const NODES: [&str; 2] = ["0-25,52-77", "26-51,78-103"];
const SERIAL: Irq = Irq(4);

/// The tracepoints of vectors and of the matrix since `from`.
fn tracepoints(lab: &Lab, from: usize) -> Vec<String> {
    let events = lab.k.trace.records[from..].iter().filter_map(|record| match record.what {
        What::Tracepoint(tracepoint) => Some(tracepoint.to_string()),
        _ => None,
    });
    events.filter(|text| text.starts_with("vector_") || text.starts_with("irq_matrix_")).collect()
}

fn serial_interrupt(lab: &mut Lab) {
    for level in [true, false] {
        x86apic::hw::ioapic::set_line(&mut lab.k, SERIAL.0, level);
        lab.pass(100_000_000, &mut |_| {});
    }
}

/// `expect` are the beginnings of tracepoints in order; others may stand between them.
fn check_order(events: &[String], expect: &[String]) {
    let mut rest = events.iter();
    for text in expect {
        assert!(rest.any(|event| event.starts_with(text)), "{text} is not where it belongs in\n{events:#?}");
    }
}

/// The serial port's interrupt moves from CPU 7 to CPU 26, which has two vectors allocated and one
/// kept back, as every CPU has.
fn traced_move(version: KernelVersion) -> Lab {
    // The lowest vector there is.
    let first = if version == V5_4 { 33 } else { 32 };
    let mut lab = boot_machine(&machine_with(version, 104, &NODES, "", (7, first)));
    let k = &mut lab.k;
    let at26 = CpuId(26);
    for bit in first..first + 3 {
        let vector = irq_matrix_alloc(k, &CpuMask::of(at26), false, &mut CpuId::default());
        assert_eq!(vector, Ok(bit));
    }
    irq_matrix_reserve_managed(k, &k.topo.online.clone()).expect("a vector on each");
    irq_matrix_free(k, at26, first, false);
    assert_eq!((cm(k, 26).available, cm(k, 26).allocated, cm(k, 26).managed), (199, 2, 1));

    k.trace.on = true;
    let from = k.trace.records.len();
    assert_eq!(sh_unchecked(&mut lab, "echo 26 > /proc/irq/4/smp_affinity_list\n"), [""; 0]);
    serial_interrupt(&mut lab);
    let apic_id = lab.k.topo.cpus[26].apic_id.0;
    check_order(
        &tracepoints(&lab, from),
        &[
            format!("irq_matrix_alloc: bit={first} cpu=26 online=1 avl=198 alloc=3 managed=1 "),
            format!("vector_alloc: irq=4 vector={first} reserved=0 ret=0"),
            format!("vector_update: irq=4 vector={first} cpu=26 prev_vector={first} prev_cpu=7"),
            // 0x40 in the case: its sockets have room for 64 APIC IDs.
            format!("vector_config: irq=4 vector={first} cpu=26 apicdest=0x{apic_id:08x}"),
        ],
    );
    serial_interrupt(&mut lab);
    assert_eq!(lab.k.apic.apicd(SERIAL).expect("chip data").prev_vector, 0);
    lab
}

/// As [`sh`], for a matrix in which vectors are allocated that no interrupt has.
fn sh_unchecked(lab: &mut Lab, text: &str) -> Vec<String> {
    let script = Script::parse("script.sh", text).expect("a script");
    lab.run_each(&script, |_| {}, |_, _| {});
    std::mem::take(&mut lab.terminal)
}

/// It is freed, with as much allocated and reserved elsewhere as the case says.
fn traced_free(version: KernelVersion) -> Lab {
    let mut lab = traced_move(version);
    let first = lab.k.apic.apicd(SERIAL).expect("chip data").vector;
    let mut cpu = CpuId(0);
    while lab.k.vector_matrix.total_allocated < 216 {
        irq_matrix_alloc(&mut lab.k, &mask("27-51"), false, &mut cpu).expect("a vector");
    }
    while lab.k.vector_matrix.global_reserved < 341 {
        irq_matrix_reserve(&mut lab.k);
    }
    let from = lab.k.trace.records.len();
    run(&mut lab.k, free_irq(SERIAL, DevId::Platform(SERIAL.0)));
    let global =
        |reserved| format!("online_maps=104 global_avl=20689, global_rsvd={reserved}, total_alloc=215");
    check_order(
        &tracepoints(&lab, from),
        &[
            format!("vector_clear: irq=4 vector={first} cpu=26 prev_vector=0 "),
            format!("irq_matrix_free: bit={first} cpu=26 online=1 avl=199 alloc=2 managed=1 {}", global(341)),
            format!("irq_matrix_reserve: {}", global(342)),
            "vector_config: irq=4 vector=239 cpu=0 apicdest=0x00000000".to_owned(),
        ],
    );
    lab
}

/// It is requested again: its affinity is CPU 26, its node the other one.
fn traced_activation(version: KernelVersion, first_try: i32, keeps_affinity: bool) {
    let mut lab = traced_free(version);
    assert_eq!(lab.k.desc(SERIAL).irq_common_data.affinity, mask("26"));
    assert_eq!(lab.k.desc(SERIAL).irq_common_data.node, 0);
    let from = lab.k.trace.records.len();
    assert_eq!(request(&mut lab.k, SERIAL, SERIAL.0), Ok(()));
    let events = tracepoints(&lab, from);
    check_order(&events, &[format!("vector_alloc: irq=4 vector=0 reserved=1 ret={first_try}")]);
    let placed = events.iter().find(|event| event.starts_with("vector_update: ")).expect("a vector");
    let broken = log_has(&lab.k, "irq 4: Affinity broken due to vector space exhaustion.");
    assert_eq!((placed.contains(" cpu=26 "), broken), (keeps_affinity, !keeps_affinity), "{placed}");
    if !keeps_affinity {
        let node: u32 = placed
            .split(" cpu=")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .expect("a CPU")
            .parse()
            .expect("a CPU");
        assert!(mask(NODES[0]).contains(CpuId(node)), "{placed}");
    }
}
