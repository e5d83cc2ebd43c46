//! Boot, moves and hotplug of vectors, on machines with nothing but legacy interrupts.

use irqcore::manage::{__irq_set_affinity, request_threaded_irq};
use kstate::apic::{ApicDriver, PIC_CASCADE_IR, VectorIrq, isa_irq_vector};
use kstate::event::Event;
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IrqReturn, Irqd};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::topology::CpuPlace;
use kstate::trace::What;
use kstate::{ApicId, CpuId, CpuMask, Irq, Kernel};
use x86apic::hw::{ioapic, lapic, pic};
use x86apic::kernel::apic::{apic_soft_disable, setup_local_APIC};
use x86apic::kernel::irq::fixup_irqs;
use x86apic::kernel::vector::{lapic_can_unplug_cpu, lapic_offline, lapic_online, vector_cleanup_callback};
use x86apic::kernel::{check_invariants, start_kernel};

use crate::common::take_vector;

/// A PC with `cpus` CPUs, powered on, of which the first runs.
fn machine(version: KernelVersion, cpus: u32) -> Kernel {
    let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
    k.topo.nr_cpu_ids = cpus;
    k.topo.nr_node_ids = 1;
    for cpu in 0..cpus {
        k.topo.cpus.push(CpuPlace { core: cpu, apic_id: ApicId(cpu), ..CpuPlace::default() });
        k.topo.siblings.push(CpuMask::of(CpuId(cpu)));
    }
    k.topo.possible = CpuMask::first_n(cpus);
    k.topo.present = CpuMask::first_n(cpus);
    k.topo.node_cpus = vec![CpuMask::first_n(cpus)];
    k.topo.online = CpuMask::of(CpuId(0));
    k.topo.active = CpuMask::of(CpuId(0));
    lapic::power_on(&mut k);
    ioapic::power_on(&mut k, 0, 0x20, ioapic::PINS, 0);
    pic::power_on(&mut k);
    // What drivers/pci/msi.c would do, without its masking.
    k.msi.hooks.pci_msi_create_irq_domain = Some(|k, name, info, parent| {
        let chip = &mut k.irq.chips[info.chip.index()];
        chip.irq_mask = Some(|_, _| {});
        chip.irq_unmask = Some(|_, _| {});
        irqcore::msi::global::msi_create_irq_domain(k, name, info, parent)
    });
    k.trace.on = true;
    k
}

/// The same with all CPUs up.
fn booted(version: KernelVersion, cpus: u32) -> Kernel {
    let mut k = machine(version, cpus);
    start_kernel(&mut k);
    for cpu in (1..cpus).map(CpuId) {
        k.cur.cpu = cpu;
        k.topo.online.set(cpu);
        k.topo.active.set(cpu);
        setup_local_APIC(&mut k);
        lapic_online(&mut k);
    }
    k.cur.cpu = CpuId(0);
    holds(&k);
    k
}

#[track_caller]
fn holds(k: &Kernel) {
    if let Err(what) = check_invariants(k) {
        panic!("{what}");
    }
    assert_eq!(k.warnings, 0, "{:?}", k.log);
}

/// The tracepoints since the last call, as text.
fn events(k: &mut Kernel) -> Vec<String> {
    let tracepoint = |r: kstate::trace::Record| match r.what {
        What::Tracepoint(t) => Some(t.to_string()),
        _ => None,
    };
    k.trace.records.drain(..).filter_map(tracepoint).collect()
}

fn handler(_k: &mut Kernel, _irq: Irq, _dev_id: DevId) -> IrqReturn {
    IrqReturn::Handled
}

fn request(k: &mut Kernel, irq: u32) {
    let handler = Handler { name: "handler", call: handler };
    request_threaded_irq(k, Irq(irq), Some(handler), None, 0, "test", DevId::None).unwrap();
    holds(k);
}

/// An edge on a pin; all CPUs then take what they have.
fn pulse(k: &mut Kernel, pin: u32) {
    ioapic::set_line(k, pin, true);
    ioapic::set_line(k, pin, false);
    settle(k);
}

fn settle(k: &mut Kernel) {
    let back = k.cur.cpu;
    while let Some(cpu) = k.hw.pending_cpus.first() {
        k.cur.cpu = cpu;
        let vector = lapic::pending(k, cpu).expect("a CPU on the pending list has an interrupt");
        take_vector(k, vector);
        holds(k);
    }
    while let Some(Event::VectorCleanup(cpu)) = k.events.pop() {
        k.cur.cpu = cpu;
        vector_cleanup_callback(k);
        holds(k);
    }
    k.cur.cpu = back;
}

#[test]
fn the_timer_is_the_only_legacy_interrupt_that_keeps_its_vector() {
    let check = |version, cpus, driver, pin2: u64| {
        let mut k = machine(version, cpus);
        start_kernel(&mut k);
        holds(&k);
        assert_eq!((k.apic.driver, ioapic::read_rte(&k, 2)), (driver, pin2));
        let m = &k.vector_matrix;
        assert_eq!((m.global_reserved, m.total_allocated, m.global_available), (14, 1, 201));
    };
    check(KernelVersion::V5_4, 8, ApicDriver::Flat, 1 << 56 | 1 << 11 | 48);
    check(KernelVersion::V5_4, 9, ApicDriver::Physflat, 48);
    check(KernelVersion::V6_12, 8, ApicDriver::Physflat, 48);
}

#[test]
fn the_cascade_stays_with_the_8259() {
    let k = booted(KernelVersion::V5_4, 2);
    let irq = Irq(PIC_CASCADE_IR);
    assert_eq!(k.chip(Irqd::top(irq)).name, "XT-PIC");
    for cpu in 0..2 {
        assert_eq!(k.apic.vector_irq(CpuId(cpu), isa_irq_vector(irq.0)), VectorIrq::Desc(irq));
    }
}

#[test]
fn before_identify_boot_cpu_the_node_of_the_timer_has_no_cpu() {
    let mut k = machine(KernelVersion::V6_12, 2);
    start_kernel(&mut k);
    let last = events(&mut k).pop();
    assert_eq!(last.as_deref(), Some("vector_alloc: irq=0 vector=0 reserved=0 ret=-22"));
}

#[test]
fn a_machine_file_decides_until_boot_is_done() {
    let mut k = booted(KernelVersion::V5_4, 4);
    k.apic.boot_placement.insert(14, (CpuId(3), 34));
    k.apic.boot_placement.insert(15, (CpuId(3), 35));
    // What is listed is set aside, and so are vectors of interrupts that are still to come.
    k.vector_matrix.set_aside = vec![(CpuId(3), 33), (CpuId(3), 34), (CpuId(3), 35)];
    request(&mut k, 14);
    k.boot_done();
    request(&mut k, 15);
    let at = |irq| k.apic.apicd(Irq(irq)).map(|a| (a.cpu.0, a.vector));
    assert_eq!((at(14), at(15)), (Some((3, 34)), Some((1, 33))));
}

#[test]
fn a_moved_interrupt_gives_its_old_vector_back_with_the_first_one_on_the_new_cpu() {
    for &version in KernelVersion::ALL {
        let mut k = booted(version, 4);
        request(&mut k, 14);
        let vector = k.apic.apicd(Irq(14)).unwrap().vector;
        __irq_set_affinity(&mut k, Irq(14), &CpuMask::of(CpuId(3)), false).unwrap();
        // Moves while the interrupt is handled on the old CPU.
        pulse(&mut k, 14);
        assert!(k.apic.apicd(Irq(14)).unwrap().move_in_progress);
        events(&mut k);
        pulse(&mut k, 14);
        let moved = format!("vector_free_moved: irq=14 cpu=1 vector={vector} is_managed=0");
        assert!(events(&mut k).contains(&moved), "{version:?}");
        assert_eq!(k.desc(Irq(14)).kstat_irqs.get(CpuId(3)), 1);
    }
}

#[test]
fn a_pending_interrupt_leaves_with_its_vector() {
    for &version in KernelVersion::ALL {
        let mut k = booted(version, 2);
        request(&mut k, 14);
        let vector = k.apic.apicd(Irq(14)).unwrap().vector;
        ioapic::set_line(&mut k, 14, true);

        let dying = CpuId(1);
        k.cur.cpu = dying;
        lapic_can_unplug_cpu(&mut k).unwrap();
        apic_soft_disable(&mut k);
        k.topo.online.clear(dying);
        k.topo.active.clear(dying);
        fixup_irqs(&mut k);
        lapic_offline(&mut k);
        k.cur.cpu = CpuId(0);
        assert_eq!(k.apic.vector_irq(dying, vector), VectorIrq::Retriggered);
        settle(&mut k);
        assert_eq!(k.desc(Irq(14)).kstat_irqs.get(CpuId(0)), 1);
    }
}
