//! The hot paths do not allocate: counted, because time is no test's business.

use allocation_counter::{AllocationInfo, measure};
use kstate::event::{Event, EventQueue};
use kstate::hw::pci::{Bar, PciFunction};
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IrqReturn};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::{CpuId, CpuMask, Irq, Kernel, PciDevId, TaskId};
use sim::engine::{self, Step};
use sim::machine::Machine;

/// A booted machine with a function that has one MSI-X interrupt.
fn one_interrupt(version: KernelVersion, remapping: bool) -> (Kernel, PciDevId) {
    fn handler(_: &mut Kernel, _: Irq, _: DevId) -> IrqReturn {
        IrqReturn::Handled
    }
    let mut machine = Machine::embedded(version);
    machine.pci.clear();
    machine.interrupt_remapping = remapping;
    let mut k = sim::boot::boot(&machine, Semantics::of(version), false);
    let mut function = PciFunction { bdf: 3 << 3, interrupt_pin: 1, ..PciFunction::default() };
    function.bars[0] = Bar::Msix;
    pcimsi::hw::config::add_msix(&mut function, 0x40, 0, 0x2000, 1).expect("a table of one entry");
    let dev = pcimsi::kernel::pci_device_add(&mut k, function);
    pcimsi::kernel::pci_set_master(&mut k, dev);
    let flags = pcimsi::kernel::PCI_IRQ_MSIX;
    let vectors = pcimsi::kernel::pci_alloc_irq_vectors(&k, dev, 1, 1, flags);
    k.run_now(vectors).expect("one vector");
    let handler = Handler { name: "handler", call: handler };
    let id = DevId::Platform(99);
    pcimsi::kernel::pci_request_irq(&mut k, dev, 0, Some(handler), None, id, "test").expect("an interrupt");
    (k, dev)
}

fn check(what: &str, mut run: impl FnMut()) {
    // What has to grow once has grown after the first time.
    run();
    let AllocationInfo { count_total, .. } = measure(run);
    assert_eq!(count_total, 0, "allocations of {what}");
}

#[test]
fn an_interrupt_from_message_to_eoi_allocates_nothing() {
    for &version in KernelVersion::ALL {
        for remapping in [false, true] {
            let (mut k, dev) = one_interrupt(version, remapping);
            check(&format!("100 interrupts, {}, remapping {remapping}", version.name()), || {
                for _ in 0..100 {
                    pcimsi::hw::msix_raise(&mut k, dev, 0);
                    let step = engine::step(&mut k, 0);
                    assert!(matches!(step, Some(Step::Interrupt(..))), "{step:?}");
                }
            });
        }
    }
}

#[test]
fn finding_and_freeing_a_vector_allocates_nothing() {
    let (mut k, _) = one_interrupt(KernelVersion::V5_4, false);
    let all = CpuMask::first_n(8);
    let mut cpu = CpuId(0);
    check("100 vectors", || {
        for _ in 0..100 {
            let bit =
                irqcore::matrix::irq_matrix_alloc(&mut k, &all, false, &mut cpu).expect("a free vector");
            irqcore::matrix::irq_matrix_free(&mut k, cpu, bit, false);
        }
    });
}

#[test]
fn events_come_and_go_without_allocations() {
    let mut queue = EventQueue::default();
    check("1000 events", || {
        for n in 0..100 {
            queue.push(n % 7, Event::Wake(TaskId(n as u32)));
        }
        for n in 0..1000 {
            let event = queue.pop().expect("an event");
            let late = queue.push(9, event);
            queue.push(n % 11, event);
            assert!(queue.cancel(late));
        }
        while queue.pop().is_some() {}
    });
}

#[test]
fn masks_of_neighbours_allocate_nothing() {
    let near: CpuMask = (8000..8192).map(CpuId).collect();
    let far = CpuMask::first_n(8192);
    check("operations on masks", || {
        let mut mask = near.and(&far);
        mask.clear(CpuId(8000));
        mask.set(CpuId(7999));
        assert!(mask.intersects(&near) && mask.is_subset(&far));
        assert_eq!(mask.clone().take_first(), Some(CpuId(7999)));
    });
}
