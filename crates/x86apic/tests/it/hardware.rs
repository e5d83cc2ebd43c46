//! IO-APIC, remapping unit, 8259 pair and destinations, through their registers.

use crate::common::{CPU0, CPU1, enter_x2apic, take, take_all, with_ids, x2apic, xapic};
use kstate::event::Event;
use kstate::hw::ioapic::{
    RTE_ACTIVE_LOW, RTE_DELIVERY_STATUS, RTE_LEVEL, RTE_MASK, RTE_REMAPPABLE, RTE_REMOTE_IRR,
};
use kstate::hw::lapic::{DEFAULT_BASE, Lvt};
use kstate::hw::vtd::{CFI, FaultReason, FaultRecord, IRE, IRTP, Irte};
use kstate::{ApicId, CpuId, Kernel};
use x86apic::hw::lapic::{BASE_BSP, BASE_EN, IA32_APIC_BASE};
use x86apic::hw::{bus, ioapic, lapic, pic, vtd};

/// An entry for CPU 1.
const TO_CPU1: u64 = 1 << 56;

#[test]
fn an_edge_is_sent_once_and_lost_while_masked() {
    let mut k = xapic(2);
    ioapic::write_rte(&mut k, 4, TO_CPU1 | 0x31);
    let mut pulse = |mask: u64| {
        ioapic::write_rte(&mut k, 4, TO_CPU1 | mask | 0x31);
        for level in [true, true, false] {
            ioapic::set_line(&mut k, 4, level);
        }
        ioapic::write_rte(&mut k, 4, TO_CPU1 | 0x31);
        take_all(&mut k)
    };
    assert_eq!(pulse(0), [vec![], vec![0x31]]);
    assert_eq!(pulse(RTE_MASK), [vec![0u8; 0], vec![]]);
}

#[test]
fn the_bootstrap_flag_stays_as_written() {
    let mut k = xapic(2);
    let base = |k: &Kernel, cpu| lapic::rdmsr(k, cpu, IA32_APIC_BASE).expect("a register") & BASE_BSP != 0;
    assert!(base(&k, CPU0) && !base(&k, CPU1));
    lapic::wrmsr(&mut k, CPU0, IA32_APIC_BASE, DEFAULT_BASE | BASE_EN).unwrap();
    lapic::wrmsr(&mut k, CPU1, IA32_APIC_BASE, DEFAULT_BASE | BASE_EN | BASE_BSP).unwrap();
    lapic::reset(&mut k, CPU1);
    assert!(!base(&k, CPU0) && base(&k, CPU1));
    for bits in [BASE_BSP, BASE_BSP | BASE_EN] {
        lapic::wrmsr(&mut k, CPU1, IA32_APIC_BASE, DEFAULT_BASE | bits).unwrap();
        assert!(base(&k, CPU1));
    }
}

#[test]
fn reserved_bits_fault_in_x2apic_mode() {
    let mut k = x2apic(1);
    for (msr, value) in [
        // ICR.
        (0x830, 1 << 13 | 0x31),
        // Remote IRR, which only the pins have.
        (0x832, 1 << 14 | 0x31),
        (0x837, 1 << 14 | 0x31),
        (0x834, 1 << 14 | 0x31),
    ] {
        assert!(lapic::wrmsr(&mut k, CPU0, msr, value).is_err(), "{msr:#x}");
        assert!(lapic::wrmsr(&mut k, CPU0, msr, 0x31).is_ok(), "{msr:#x}");
    }
    for pin in [0x835, 0x836] {
        assert!(lapic::wrmsr(&mut k, CPU0, pin, 1 << 14 | 1 << 12 | 0x31).is_ok(), "{pin:#x}");
    }
}

#[test]
fn a_level_waits_for_its_eoi() {
    let mut k = xapic(2);
    ioapic::write_rte(&mut k, 9, TO_CPU1 | RTE_LEVEL | 0x41);
    ioapic::set_line(&mut k, 9, true);
    assert_eq!(lapic::ack(&mut k, CPU1), 0x41);
    assert_eq!(ioapic::read_rte(&k, 9) & RTE_REMOTE_IRR, RTE_REMOTE_IRR);
    assert_eq!(lapic::pending(&k, CPU1), None);
    // Still asserted after the EOI: it comes again, but not at once.
    lapic::eoi(&mut k, CPU1);
    assert_eq!(lapic::pending(&k, CPU1), None);
    assert_eq!(k.events.pop(), Some(Event::IoApicLevel(9)));
    ioapic::service_level(&mut k, 9);
    assert_eq!(lapic::ack(&mut k, CPU1), 0x41);
    ioapic::set_line(&mut k, 9, false);
    lapic::eoi(&mut k, CPU1);
    assert_eq!((lapic::pending(&k, CPU1), ioapic::read_rte(&k, 9)), (None, TO_CPU1 | RTE_LEVEL | 0x41));
}

#[test]
fn the_eoi_register_stands_in_for_a_suppressed_broadcast() {
    let mut k = xapic(1);
    lapic::set_svr(&mut k, CPU0, 1 << 12 | 1 << 8 | 0xff);
    ioapic::write_rte(&mut k, 9, RTE_LEVEL | 0x41);
    ioapic::set_line(&mut k, 9, true);
    lapic::ack(&mut k, CPU0);
    lapic::eoi(&mut k, CPU0);
    let remote_irr = |k: &Kernel| ioapic::read_rte(k, 9) & RTE_REMOTE_IRR != 0;
    ioapic::set_line(&mut k, 9, false);
    assert!(remote_irr(&k));
    ioapic::mmio_write(&mut k, 0x40, 0x41);
    assert!(!remote_irr(&k));
}

#[test]
fn a_masked_level_is_sent_when_unmasked() {
    let mut k = xapic(1);
    ioapic::write_rte(&mut k, 9, RTE_MASK | RTE_LEVEL | 0x41);
    ioapic::set_line(&mut k, 9, true);
    assert_eq!(take(&mut k, CPU0), [0u8; 0]);
    ioapic::write_rte(&mut k, 9, RTE_LEVEL | 0x41);
    assert_eq!(lapic::pending(&k, CPU0), Some(0x41));
    // The switch to edge and back forgets remote IRR.
    ioapic::write_rte(&mut k, 9, RTE_MASK | 0x41);
    ioapic::write_rte(&mut k, 9, RTE_MASK | RTE_LEVEL | 0x41);
    assert_eq!(ioapic::read_rte(&k, 9) & RTE_REMOTE_IRR, 0);
}

#[test]
fn a_level_nobody_takes_is_pending_in_the_io_apic() {
    let mut k = xapic(1);
    lapic::soft_disable(&mut k, CPU0);
    ioapic::write_rte(&mut k, 9, RTE_LEVEL | 0x41);
    ioapic::set_line(&mut k, 9, true);
    assert_eq!(ioapic::read_rte(&k, 9) & (RTE_DELIVERY_STATUS | RTE_REMOTE_IRR), RTE_DELIVERY_STATUS);
}

#[test]
fn the_register_window_shows_id_version_and_entries() {
    let mut k = xapic(1);
    let mut select = |n: u32, value: Option<u32>| {
        ioapic::mmio_write(&mut k, 0, n);
        if let Some(value) = value {
            ioapic::mmio_write(&mut k, 0x10, value);
        }
        ioapic::mmio_read(&k, 0x10)
    };
    assert_eq!([select(0, Some(5 << 24)), select(1, None)], [5 << 24, 23 << 16 | 0x20]);
    assert_eq!([select(0x10, None), select(0x11, None)], [1 << 16, 0]);
    assert_eq!([select(0x15, Some(TO_CPU1 as u32)), select(0x14, Some(0xffff_ffff))], [0, 0x1_afff]);
    assert_eq!(ioapic::read_rte(&k, 24), u64::MAX);
    // Polarity is the line's business, not the request's.
    ioapic::write_rte(&mut k, 3, RTE_ACTIVE_LOW | 0x55);
    ioapic::set_line(&mut k, 3, true);
    assert_eq!(take(&mut k, CPU0), [0x55]);
}

/// A machine whose remapping unit is on, with these entries.
fn remapped(entries: &[(u16, Irte)]) -> Kernel {
    let mut k = xapic(2);
    vtd::power_on(&mut k, false);
    vtd::write_irta(&mut k, 1024, false);
    for (index, irte) in entries {
        vtd::write_irte(&mut k, *index, *irte);
    }
    vtd::write_gcmd(&mut k, IRTP | IRE);
    k
}

/// An entry for CPU 1 and one requester.
fn irte(vector: u32, sid: u32) -> Irte {
    let mut irte = Irte::default();
    irte.set_present(1);
    irte.set_vector(vector);
    irte.set_dest_id(1 << 8);
    irte.set_sid(sid);
    irte.set_svt(1);
    irte
}

/// A message of the remappable format.
fn message(index: u64, subhandle_valid: bool) -> u64 {
    0xfee0_0010 | u64::from(subhandle_valid) << 3 | (index & 0x7fff) << 5 | (index >> 15) << 2
}

#[test]
fn a_message_goes_where_its_entry_says() {
    let entries = [(0x16, irte(0x61, 0x18)), (0x18, irte(0x62, 0x18))];
    let check = |address, data, source, expect: Result<u8, FaultReason>| {
        let mut k = remapped(&entries);
        assert_eq!(bus::msi_write(&mut k, address, data, source).is_ok(), expect.is_ok());
        let fault = k.hw.vtd.frcd.map(|f| f.reason);
        assert_eq!((take(&mut k, CPU1), fault), (expect.into_iter().collect(), expect.err()));
    };
    check(message(0x16, true), 0, 0x18, Ok(0x61));
    check(message(0x16, true), 2, 0x18, Ok(0x62));
    check(message(0x16, false), 2, 0x18, Ok(0x61));
    check(message(0x17, true), 0, 0x18, Err(FaultReason::NotPresent));
    check(message(0x16, true), 0, 0x20, Err(FaultReason::SourceId));
    check(message(1024, true), 0, 0x18, Err(FaultReason::IndexTooLarge));
    check(message(0x16, true), 1 << 16, 0x18, Err(FaultReason::ReservedRequest));
    check(0xfee0_1000, 0x61, 0x18, Err(FaultReason::CompatibilityBlocked));
}

#[test]
fn requesters_are_checked_as_the_entry_says() {
    let check = |svt, sq, sid, source, ok| {
        let mut entry = irte(0x61, sid);
        entry.set_svt(svt);
        entry.set_sq(sq);
        assert_eq!(bus::msi_write(&mut remapped(&[(0, entry)]), message(0, false), 0, source).is_ok(), ok);
    };
    check(0, 0, 0x18, 0x4242, true);
    check(1, 0, 0x18, 0x1c, false);
    check(1, 1, 0x18, 0x1c, true);
    check(1, 2, 0x18, 0x19, false);
    check(1, 3, 0x18, 0x1f, true);
    check(2, 0, 0x0203, 0x0342, true);
    check(2, 0, 0x0203, 0x0442, false);
}

#[test]
fn a_cached_entry_is_used_until_it_is_invalidated() {
    let mut k = remapped(&[(5, irte(0x61, 0x18))]);
    let send = |k: &mut Kernel| {
        let _ = bus::msi_write(k, message(5, false), 0, 0x18);
        take(k, CPU1)
    };
    assert_eq!(send(&mut k), [0x61]);
    vtd::write_irte(&mut k, 5, irte(0x71, 0x18));
    assert_eq!(send(&mut k), [0x61]);
    vtd::invalidate_iec(&mut k, Some((4, 1)));
    assert_eq!(send(&mut k), [0x71]);
    vtd::write_irte(&mut k, 5, Irte::default());
    vtd::invalidate_iec(&mut k, None);
    assert_eq!(send(&mut k), [0u8; 0]);
}

#[test]
fn a_fault_is_recorded_and_its_interrupt_waits_behind_the_mask() {
    let mut k = remapped(&[]);
    (k.hw.vtd.feaddr, k.hw.vtd.fedata) = (0xfee0_0000, 0x33);
    let _ = bus::msi_write(&mut k, message(7, false), 0, 0x18);
    assert_eq!(take(&mut k, CPU0), [0u8; 0]);
    vtd::write_fectl(&mut k, 0);
    assert_eq!(take(&mut k, CPU0), [0x33]);
    let record = FaultRecord { reason: FaultReason::NotPresent, source: 0x18, index: 7 };
    assert_eq!(vtd::take_fault(&mut k), Some(record));
    assert_eq!(vtd::take_fault(&mut k), None);
    let _ = bus::msi_write(&mut k, message(7, false), 0, 0x18);
    assert_eq!(take(&mut k, CPU0), [0x33]);
}

#[test]
fn compatibility_messages_pass_where_they_are_let() {
    let mut k = remapped(&[]);
    vtd::write_gcmd(&mut k, IRE | CFI);
    assert!(bus::msi_write(&mut k, 0xfee0_1000, 0x61, 0x18).is_ok());
    vtd::write_irta(&mut k, 1024, true);
    assert!(bus::msi_write(&mut k, 0xfee0_1000, 0x61, 0x18).is_err());
}

#[test]
fn an_io_apic_entry_is_remapped_by_its_index() {
    let mut k = remapped(&[(0x12, irte(0x61, 0xff00))]);
    ioapic::write_rte(&mut k, 9, 0x12 << 49 | RTE_REMAPPABLE | RTE_LEVEL | 9);
    ioapic::set_line(&mut k, 9, true);
    // The local APIC saw an edge: its EOI reaches nobody, and the handler names the pin instead.
    assert_eq!(take(&mut k, CPU1), [0x61]);
    assert_eq!(ioapic::read_rte(&k, 9) & RTE_REMOTE_IRR, RTE_REMOTE_IRR);
    ioapic::set_line(&mut k, 9, false);
    ioapic::mmio_write(&mut k, 0x40, 9);
    assert_eq!(ioapic::read_rte(&k, 9) & RTE_REMOTE_IRR, 0);
}

#[test]
fn messages_decode() {
    let check = |address: u64, data: u32, expect: &[u32]| {
        let mut k = xapic(4);
        for cpu in 0..4 {
            lapic::set_ldr(&mut k, CpuId(cpu), 1 << (24 + cpu));
        }
        let _ = bus::msi_write(&mut k, address, data, 0);
        let cpus: Vec<u32> = k.hw.pending_cpus.iter().map(|cpu| cpu.0).collect();
        assert_eq!(cpus, expect, "{address:#x} {data:#x}");
    };
    check(0xfee0_3000, 0x41, &[3]);
    check(0xfee0_6004, 0x41, &[1, 2]);
    // Lowest priority, and the redirection hint with a logical group: one of them.
    check(0xfee0_6004, 0x141, &[1]);
    check(0xfee0_600c, 0x41, &[1]);
    check(0xfeef_f000, 0x41, &[0, 1, 2, 3]);
    // Reserved delivery mode, no such destination.
    check(0xfee0_3000, 0x341, &[]);
    check(0xfee0_9000, 0x41, &[]);
    check(0x1_fee0_3000, 0x41, &[]);
}

#[test]
fn the_lowest_priority_is_the_idle_cpu() {
    let mut k = xapic(3);
    lapic::set_tpr(&mut k, CPU0, 0x30);
    lapic::set_tpr(&mut k, CpuId(2), 0x10);
    lapic::send_self_ipi(&mut k, CPU1, 0x81);
    lapic::ack(&mut k, CPU1);
    lapic::icr_write(&mut k, CPU0, 0xff << 56 | 1 << 8 | 0x91);
    assert_eq!(k.hw.pending_cpus.list(), "2");
}

#[test]
fn x2apic_clusters_follow_from_the_id() {
    let mut k = with_ids(&[0, 0x123, 0x12f, 0x130]);
    (0..4).for_each(|cpu| enter_x2apic(&mut k, CpuId(cpu)));
    assert_eq!(lapic::rdmsr(&k, CPU1, 0x80d), Ok(0x12_0008));
    lapic::wrmsr(&mut k, CPU0, 0x830, 0x0012_8008 << 32 | 1 << 11 | 0x41).unwrap();
    assert_eq!(k.hw.pending_cpus.list(), "1-2");
    lapic::wrmsr(&mut k, CPU0, 0x830, 0x130 << 32 | 0x41).unwrap();
    assert_eq!(k.hw.pending_cpus.list(), "1-3");
    let mut k = x2apic(2);
    lapic::send_ipi(&mut k, CPU0, ApicId(1), 0x41);
    assert_eq!(k.hw.pending_cpus.list(), "1");
}

#[test]
fn local_sources_obey_their_mask() {
    let mut k = xapic(1);
    let mut fire = |entry: u32| {
        lapic::set_lvt(&mut k, CPU0, Lvt::Timer, entry);
        lapic::local_event(&mut k, CPU0, Lvt::Timer);
        take(&mut k, CPU0)
    };
    assert_eq!([fire(0xec), fire(0x1_00ec)], [vec![0xec], vec![]]);
}

#[test]
fn an_error_fires_once_until_esr_is_written() {
    let mut k = xapic(1);
    lapic::set_lvt(&mut k, CPU0, Lvt::Error, 0xfe);
    let bad = |k: &mut Kernel| {
        let _ = bus::msi_write(k, 0xfee0_0000, 3, 0);
        take(k, CPU0)
    };
    assert_eq!([bad(&mut k), bad(&mut k)], [vec![0xfe], vec![]]);
    lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + 0x280, 0);
    assert_eq!(lapic::mmio_read(&mut k, CPU0, DEFAULT_BASE + 0x280), Some(1 << 6));
    assert_eq!(bad(&mut k), [0xfe]);
}

#[test]
fn nothing_pending_is_the_spurious_vector() {
    let mut k = xapic(1);
    assert_eq!(lapic::ack(&mut k, CPU0), 0xff);
    assert_eq!(k.hw.lapics[0].isr.highest(), None);
}

#[test]
fn the_8259_pair_cascades() {
    let mut k = Kernel::default();
    pic::power_on(&mut k);
    // ICW1 to ICW4 with vectors 30H and 38H, then all lines open.
    for (chip, base, cascade) in [(0, 0x30, 4), (1, 0x38, 2)] {
        pic::write(&mut k, chip, false, 0x11);
        for word in [base, cascade, 1, 0] {
            pic::write(&mut k, chip, true, word);
        }
    }
    pic::set_line(&mut k, 12, true);
    pic::set_line(&mut k, 4, true);
    // The slave hangs on line 2, above line 4.
    assert_eq!((pic::pending(&k), pic::ack(&mut k), pic::pending(&k)), (Some(12), 0x3c, None));
    pic::write(&mut k, 1, false, 0x20);
    pic::write(&mut k, 0, false, 0x20);
    assert_eq!((pic::ack(&mut k), pic::ack(&mut k)), (0x34, 0x37));
    pic::write(&mut k, 0, true, 0xff);
    assert_eq!((pic::read_mask(&k, 0), pic::pending(&k)), (0xff, None));
}
