//! What other projects' test suites state about the interrupt hardware, case by case. The facts are
//! in tests/golden/conformance.jsonl; every case of the areas below is a row here, or says why not.

use crate::common::{CPU0, CPU1, enter_x2apic, take, take_all, with_ids, x2apic, xapic};
use kstate::hw::ioapic::RTE_MASK;
use kstate::hw::lapic::{
    DEFAULT_BASE, DFR_CLUSTER, DFR_FLAT, ESR_SEND_ILLEGAL_VECTOR, LVT_MASK, Lvt, VectorReg,
};
use kstate::{ApicId, CpuId, Kernel};
use x86apic::hw::bus::{self, DeliveryMode, Message, Targets};
use x86apic::hw::ioapic;
use x86apic::hw::lapic::{
    self, BASE_EN, BASE_EXTD, GeneralProtection, IA32_APIC_BASE, Icr, MAXPHYADDR, NonFixed, Shorthand,
};

/// Areas of the file that are about this crate's hardware.
const AREAS: [&str; 2] = ["local_apic", "msi_delivery"];

/// Cases that the model leaves out, with the reason.
const OUTSIDE: &[(&str, &str)] = &[];

/// One row per case.
const CASES: &[(&str, fn())] = &[
    // Modes of operation.
    ("KVT-BASE-02", || base(Mode::X2Apic, BASE_EXTD, false)),
    ("KVT-BASE-07", || base(Mode::Disabled, BASE_EN, true)),
    ("KVT-BASE-08", || base(Mode::XApic, BASE_EXTD, false)),
    ("KVT-BASE-15", || base(Mode::XApic, BASE_EN | 1 << MAXPHYADDR, false)),
    ("KVT-BASE-16", || base(Mode::XApic, BASE_EN | 1, false)),
    ("KVT-BASE-10", || window_closed(Mode::Disabled)),
    ("KVT-BASE-13", || window_closed(Mode::X2Apic)),
    ("KVT-BASE-11", cr8_works_while_disabled),
    ("KVT-BASE-18", xapic_id_may_be_written),
    ("KVT-BASE-19", || msr(0x802, Access::ReadOnly)),
    ("KVT-BASE-21", id_after_reset_is_the_initial_one),
    ("SELF-14", id_follows_the_mode),
    // Interprocessor interrupts.
    ("KVT-IPI-02", || assert_eq!(icr_x2apic(1, SELF | 0xf1), [[0xf1]])),
    ("KVT-IPI-03", || assert_eq!(icr_xapic(4, 0xff << 56 | 0xcf), vec![[0xcf]; 4])),
    ("KVT-IPI-04", || assert_eq!(icr_x2apic(4, 0xffff_ffff << 32 | 0xcf), vec![[0xcf]; 4])),
    ("KVT-IPI-05", || assert_eq!(icr_xapic(4, ALL | 0xcf), vec![[0xcf]; 4])),
    ("KVT-IPI-07", cluster_member_gets_one),
    ("KVT-IPI-08", flat_members_get_one_each),
    ("KVT-IPI-10", cluster_members_get_one_each),
    ("KVT-IPI-12", every_cpu_gets_its_own),
    ("KVT-EVT-01", || assert_eq!(icr_xapic(1, SELF | 33), [[33]])),
    ("KVT-PRI-03", every_self_ipi_arrives_once),
    ("SELF-09", each_ipi_wakes_its_target),
    ("SELF-11", icr_reads_back_without_busy),
    ("CRO-26", || decodes(42 << 56 | 0x000c_c97b, cro_26())),
    ("CRO-27", || decodes(161 << 56 | 0x16ff, cro_27())),
    ("OVM-APIC-05", || self_ipi_in_flight(Mode::X2Apic, DEFAULT_BASE)),
    ("OVM-APIC-06", || self_ipi_in_flight(Mode::XApic, DEFAULT_BASE)),
    ("OVM-APIC-07", || self_ipi_in_flight(Mode::XApic, DEFAULT_BASE + 0x1000)),
    ("ACR-04", || illegal_vector(0)),
    ("ACR-05", || illegal_vector(15)),
    ("ACR-10", || assert_eq!(icr_xapic(2, 1 << 56 | 0xe1), [vec![], vec![0xe1]])),
    ("ACR-12", || {
        let mut k = x2apic(1);
        lapic::wrmsr(&mut k, CPU0, 0x83f, 0xe1).unwrap();
        assert_eq!(take(&mut k, CPU0), [0xe1]);
    }),
    // Destinations.
    ("CRO-03", || assert_eq!(bus::targets(&with_ids(&[0, 254]), 254, false, false), Targets::One(CPU1))),
    ("CRO-04", || assert_eq!(icr_xapic(2, SELF | 0x40), [vec![0x40], vec![]])),
    ("CRO-05", || assert!(matches!(bus::targets(&xapic(2), 0xff, false, false), Targets::Many(_)))),
    ("CRO-07", || assert!(matches_254(254))),
    ("CRO-09", || assert!(!matches_254(77))),
    ("CRO-13", || assert_eq!(shorthand_at_254(CPU1, SELF), [0x40])),
    ("CRO-15", || assert_eq!(shorthand_at_254(CPU0, OTHERS), [0x40])),
    // Registers of x2APIC mode.
    ("KVT-X2R-02", || msr(0x803, Access::ReadOnly)),
    ("KVT-X2R-03", || msr(0x808, Access::ReadWrite)),
    ("KVT-X2R-05", || msr(0x80b, Access::WriteOnly)),
    ("KVT-X2R-06", || msr(0x80d, Access::ReadOnly)),
    ("KVT-X2R-09", || (0x818..=0x81f).for_each(|n| msr(n, Access::ReadOnly))),
    ("KVT-X2R-10", || (0x820..=0x827).for_each(|n| msr(n, Access::ReadOnly))),
    ("KVT-X2R-11", || msr(0x828, Access::ReadWrite)),
    ("KVT-X2R-13", || msr(0x830, Access::ReadWriteAny)),
    ("KVT-X2R-14", || msr(0x832, Access::ReadWrite)),
    ("KVT-X2R-15", || msr(0x833, Access::ReadWrite)),
    ("KVT-X2R-17", || msr(0x835, Access::ReadWrite)),
    ("KVT-X2R-18", || msr(0x836, Access::ReadWrite)),
    ("KVT-X2R-20", || msr(0x838, Access::ReadWrite)),
    ("KVT-X2R-21", || msr(0x839, Access::ReadOnly)),
    ("KVT-X2R-22", || msr(0x83e, Access::ReadWrite)),
    ("KVT-X2R-24", || (0x800..=0x8ff).for_each(|n| assert_eq!(accesses(&mut xapic(1), n), (false, false)))),
    ("KVT-X2R-25", registers_that_do_not_exist_fault),
    ("ACR-28", || unchanged_by_wrmsr(0x820)),
    ("ACR-31", || unchanged_by_wrmsr(0x80d)),
    // Priorities.
    ("KVT-PRI-01", delivered_above_the_task_priority),
    ("KVT-PRI-04", eoi_lets_the_lower_one_in),
    ("KVT-PRI-06", a_pending_vector_marks_its_cpu),
    ("KVT-PRI-07", irr_bit_of_a_vector),
    ("SELF-01", || {
        let mut k = xapic(1);
        assert_eq!((reg(&mut k, 0x80), reg(&mut k, 0xa0), lapic::cr8(&k, CPU0)), (0, 0, 0));
    }),
    ("SELF-02", || {
        let mut k = xapic(1);
        lapic::send_self_ipi(&mut k, CPU0, 0x20);
        assert_eq!(vectors(&k.hw.lapics[0].irr), [0x20]);
        assert_eq!(take(&mut k, CPU0), [0x20]);
    }),
    ("SELF-03", || task_priority_defers(Mode::XApic, false)),
    ("SELF-04", || task_priority_defers(Mode::XApic, true)),
    ("SELF-07", || task_priority_defers(Mode::X2Apic, false)),
    ("SELF-08", || task_priority_defers(Mode::X2Apic, true)),
    ("CRO-01", vector_register),
    ("CRO-17", || assert_eq!(ppr(0, &[]), 0)),
    ("CRO-19", || assert_eq!(ppr(0x10, &[]), 0x10)),
    ("CRO-21", || assert_eq!(ppr(0, &[0x0f, 0x11]), 0x10)),
    ("CRO-22", || assert_eq!(ppr(0x31, &[0x11, 0x25]), 0x31)),
    ("CRO-24", || assert_eq!(ppr(0x19, &[0x11]), 0x19)),
    ("CRO-29", eoi_clears_the_highest),
    ("CRO-30", what_is_not_fixed_goes_first),
    ("CRO-31", || {
        let mut k = xapic(1);
        lapic::send_self_ipi(&mut k, CPU0, 0x10);
        assert_eq!((vectors(&k.hw.lapics[0].irr), waits(&k)), (vec![0x10], true));
        lapic::ack(&mut k, CPU0);
        assert_eq!(irr_isr(&k), (vec![], vec![0x10]));
    }),
    ("CRO-32", || assert_eq!(nested(0x20), (true, vec![], vec![0x10, 0x20]))),
    ("CRO-33", || assert_eq!(nested(0x15), (false, vec![0x15], vec![0x10]))),
    ("CRO-34", || {
        let mut k = xapic(1);
        lapic::set_tpr(&mut k, CPU0, 0x20);
        lapic::send_self_ipi(&mut k, CPU0, 0x25);
        assert!(!waits(&k));
        lapic::set_tpr(&mut k, CPU0, 0x19);
        assert!(waits(&k));
    }),
    ("ACR-08", || {
        let mut k = xapic(1);
        lapic::set_tpr(&mut k, CPU0, 0xff);
        lapic::send_self_ipi(&mut k, CPU0, 0xe1);
        assert_eq!(take(&mut k, CPU0), NOTHING);
        lapic::set_tpr(&mut k, CPU0, 0);
        assert_eq!(take(&mut k, CPU0), [0xe1]);
    }),
    ("ACR-16", two_views_of_the_task_priority),
    ("ACR-18", || {
        let mut k = xapic(1);
        lapic::send_self_ipi(&mut k, CPU0, 0xe1);
        lapic::ack(&mut k, CPU0);
        assert_eq!(reg(&mut k, 0x170) >> 1 & 1, 1);
    }),
    // EOI, enabling, local vectors.
    ("SELF-10", || {
        let mut k = xapic(1);
        lapic::send_self_ipi(&mut k, CPU0, 0xa5);
        lapic::ack(&mut k, CPU0);
        lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + 0xb0, 77);
        assert_eq!(irr_isr(&k), (vec![], vec![]));
    }),
    ("OVM-APIC-02", || {
        let mut k = xapic(1);
        lapic::send_self_ipi(&mut k, CPU0, 0xd1);
        lapic::reset(&mut k, CPU0);
        lapic::soft_enable(&mut k, CPU0, 0xff);
        assert_eq!((waits(&k), irr_isr(&k)), (false, (vec![], vec![])));
    }),
    ("OVM-APIC-03", || {
        let mut k = xapic(1);
        lapic::send_self_ipi(&mut k, CPU0, 0xd1);
        lapic::soft_disable(&mut k, CPU0);
        assert_eq!((waits(&k), vectors(&k.hw.lapics[0].irr)), (false, vec![0xd1]));
        lapic::soft_enable(&mut k, CPU0, 0xff);
        assert_eq!(take(&mut k, CPU0), [0xd1]);
    }),
    ("CRO-36", || {
        let mut k = xapic(1);
        lapic::soft_disable(&mut k, CPU0);
        lapic::set_lvt(&mut k, CPU0, Lvt::Timer, 0x40);
        assert_eq!(reg(&mut k, 0x320), LVT_MASK | 0x40);
    }),
    ("ACR-02", || {
        let mut k = xapic(1);
        lapic::set_lvt(&mut k, CPU0, Lvt::Timer, 0x40);
        lapic::soft_disable(&mut k, CPU0);
        let masked = reg(&mut k, 0x320);
        lapic::soft_enable(&mut k, CPU0, 0xff);
        assert_eq!(reg(&mut k, 0x320), masked);
    }),
    ("ACR-07", || {
        let mut k = xapic(1);
        lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + 0xf0, 0x1ee);
        assert_eq!(reg(&mut k, 0xf0), 0x1ee);
    }),
    ("ACR-13", delivery_status_is_read_only),
    ("CRO-37", only_aligned_words_are_registers),
    // Messages.
    ("CRO-39", || {
        let mut k = xapic(2);
        assert!(bus::msi_write(&mut k, 0xfee0_1000, 0xf1, 0).is_ok());
        assert_eq!(k.hw.pending_cpus.list(), "1");
        assert_eq!(take_all(&mut k), [vec![], vec![0xf1]]);
    }),
    ("CRO-40", || {
        let mut k = xapic(2);
        assert!(bus::msi_write(&mut k, 0xfed0_1000, 0xf1, 0).is_err());
        assert_eq!(take_all(&mut k), [NOTHING, NOTHING]);
    }),
    ("CRO-43", || {
        let mut k = xapic(2);
        for (dest, vector) in [(0u64, 0x41), (1, 0x42)] {
            ioapic::write_rte(&mut k, 5, dest << 56 | vector);
        }
        ioapic::set_line(&mut k, 5, true);
        assert_eq!(take_all(&mut k), [vec![], vec![0x42]]);
        assert_eq!(ioapic::read_rte(&k, 5) & RTE_MASK, 0);
    }),
    ("ACR-22", || {
        let mut k = xapic(1);
        lapic::soft_disable(&mut k, CPU0);
        assert!(bus::msi_write(&mut k, 0xfee0_0000, 0x41, 0).is_err());
        assert_eq!(irr_isr(&k), (vec![], vec![]));
    }),
    ("ACR-MSI-00", || illegal_msi(0x00)),
    ("ACR-MSI-01", || illegal_msi(0x01)),
    ("ACR-MSI-04", || illegal_msi(0x04)),
    ("ACR-MSI-05", || illegal_msi(0x05)),
    ("ACR-MSI-06", || illegal_msi(0x06)),
    ("ACR-MSI-07", || illegal_msi(0x07)),
    ("ACR-MSI-09", || illegal_msi(0x09)),
    ("ACR-MSI-12", || illegal_msi(0x0c)),
    ("ACR-MSI-13", || illegal_msi(0x0d)),
    ("ACR-MSI-14", || illegal_msi(0x0e)),
    ("ACR-MSI-15", || illegal_msi(0x0f)),
];

#[test]
fn every_case_holds() {
    for (id, case) in CASES {
        println!("{id}");
        case();
    }
}

#[test]
fn every_case_of_these_areas_is_here_once() {
    let text = include_str!("../../../../tests/golden/conformance.jsonl");
    let mut stated: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line is an object"))
        .filter(|case| AREAS.contains(&case["area"].as_str().unwrap_or_default()))
        .map(|case| case["id"].as_str().expect("a case has an id").to_owned())
        .collect();
    let mut ours: Vec<&str> = CASES.iter().map(|(id, _)| *id).collect();
    ours.extend(OUTSIDE.iter().map(|(id, _)| *id));
    stated.sort();
    ours.sort();
    assert_eq!(ours, stated);
}

/// No vector.
const NOTHING: [u8; 0] = [];
/// ICR: shorthand self.
const SELF: u64 = 1 << 18;
/// ICR: shorthand all including self.
const ALL: u64 = 2 << 18;
/// ICR: shorthand all excluding self.
const OTHERS: u64 = 3 << 18;

#[derive(Clone, Copy)]
enum Mode {
    Disabled,
    XApic,
    X2Apic,
}

fn machine(mode: Mode) -> Kernel {
    let mut k = xapic(1);
    match mode {
        Mode::Disabled => lapic::wrmsr(&mut k, CPU0, IA32_APIC_BASE, DEFAULT_BASE).unwrap(),
        Mode::XApic => {}
        Mode::X2Apic => enter_x2apic(&mut k, CPU0),
    }
    k
}

/// A register of the page of CPU 0; all ones where nothing answers.
fn reg(k: &mut Kernel, offset: u64) -> u32 {
    lapic::mmio_read(k, CPU0, DEFAULT_BASE + offset).unwrap_or(u32::MAX)
}

/// The vectors in a register.
fn vectors(reg: &VectorReg) -> Vec<u8> {
    reg.iter().collect()
}

fn irr_isr(k: &Kernel) -> (Vec<u8>, Vec<u8>) {
    (vectors(&k.hw.lapics[0].irr), vectors(&k.hw.lapics[0].isr))
}

/// CPU 0 has something to take.
fn waits(k: &Kernel) -> bool {
    assert_eq!(k.hw.pending_cpus.contains(CPU0), lapic::pending(k, CPU0).is_some());
    k.hw.pending_cpus.contains(CPU0)
}

fn base(from: Mode, bits: u64, accepted: bool) {
    let mut k = machine(from);
    let result = lapic::wrmsr(&mut k, CPU0, IA32_APIC_BASE, DEFAULT_BASE | bits);
    assert_eq!(result, if accepted { Ok(()) } else { Err(GeneralProtection) });
}

fn window_closed(mode: Mode) {
    let mut k = machine(mode);
    lapic::set_cr8(&mut k, CPU0, 5);
    for offset in [0x30, 0x80] {
        assert_eq!(reg(&mut k, offset), u32::MAX);
        assert!(!lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + offset, 0xffff_ffff));
        assert_eq!(reg(&mut k, offset), u32::MAX);
    }
    assert_eq!(lapic::cr8(&k, CPU0), 5);
    assert_eq!(lapic::cpuid_apic(&k, CPU0), !matches!(mode, Mode::Disabled));
}

fn cr8_works_while_disabled() {
    let mut k = machine(Mode::Disabled);
    let new = lapic::cr8(&k, CPU0) ^ 0xf;
    lapic::set_cr8(&mut k, CPU0, new);
    assert_eq!(lapic::cr8(&k, CPU0), new);
}

fn xapic_id_may_be_written() {
    let mut k = with_ids(&[3]);
    assert!(lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + 0x20, 4 << 24));
    assert_eq!(reg(&mut k, 0x20), 4 << 24);
    // The bus finds it under its new id.
    assert_eq!(bus::targets(&k, 4, false, false), Targets::One(CPU0));
    assert_eq!(bus::targets(&k, 3, false, false), Targets::None);
}

fn id_after_reset_is_the_initial_one() {
    let mut k = with_ids(&[3]);
    lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + 0x20, 4 << 24);
    for bits in [0, BASE_EN] {
        lapic::wrmsr(&mut k, CPU0, IA32_APIC_BASE, DEFAULT_BASE | bits).unwrap();
    }
    assert_eq!(reg(&mut k, 0x20), 3 << 24);
}

fn id_follows_the_mode() {
    let mut k = with_ids(&[3]);
    assert_eq!(reg(&mut k, 0x20), 3 << 24);
    enter_x2apic(&mut k, CPU0);
    assert_eq!(lapic::rdmsr(&k, CPU0, 0x802), Ok(3));
    for bits in [0, BASE_EN] {
        lapic::wrmsr(&mut k, CPU0, IA32_APIC_BASE, DEFAULT_BASE | bits).unwrap();
    }
    assert_eq!(reg(&mut k, 0x20), 3 << 24);
}

fn icr_xapic(cpus: u32, icr: u64) -> Vec<Vec<u8>> {
    let mut k = xapic(cpus);
    lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + 0x310, (icr >> 32) as u32);
    lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + 0x300, icr as u32);
    take_all(&mut k)
}

fn icr_x2apic(cpus: u32, icr: u64) -> Vec<Vec<u8>> {
    let mut k = x2apic(cpus);
    lapic::wrmsr(&mut k, CPU0, 0x830, icr).unwrap();
    take_all(&mut k)
}

/// Sends to a logical destination in a machine whose CPUs have these models and LDRs.
fn logical(dfr_ldr: [(u32, u32); 2], dest: u32) -> [usize; 2] {
    let mut k = xapic(2);
    for (cpu, (dfr, ldr)) in [CPU0, CPU1].into_iter().zip(dfr_ldr) {
        lapic::set_dfr(&mut k, cpu, dfr);
        lapic::set_ldr(&mut k, cpu, ldr << 24);
    }
    lapic::icr_write(&mut k, CPU0, u64::from(dest) << 56 | 1 << 11 | 0xf1);
    let map = [CPU0, CPU1].map(|cpu| bus::matches(&k.hw.lapics[cpu.index()], dest, false, true));
    let taken = [CPU0, CPU1].map(|cpu| take(&mut k, cpu).len());
    // The map answers as the APICs would.
    assert_eq!(map.map(usize::from), taken);
    taken
}

fn cluster_member_gets_one() {
    for (cluster, i) in (0..0xf).flat_map(|c| (0..4).map(move |i| (c, i))) {
        for k in (0..16).filter(|k| k & 1 << i == 0) {
            let ldr = cluster << 4 | 1 << i;
            assert_eq!(logical([(DFR_FLAT, 0), (DFR_CLUSTER, ldr)], ldr | k), [0, 1]);
        }
    }
}

fn flat_members_get_one_each() {
    for (i, j) in (0..8).flat_map(|i| (0..8).map(move |j| (i, j))).filter(|(i, j)| i != j) {
        for k in [0, 0x81, 0xff] {
            let (a, b) = (1 << i, 1 << j);
            assert_eq!(logical([(DFR_FLAT, a), (DFR_FLAT, b)], a | b | k), [1, 1]);
        }
    }
}

fn cluster_members_get_one_each() {
    for cluster in 0..0xf {
        let (a, b) = (cluster << 4 | 1, cluster << 4 | 4);
        assert_eq!(logical([(DFR_CLUSTER, a), (DFR_CLUSTER, b)], a | b), [1, 1]);
    }
}

fn every_cpu_gets_its_own() {
    let mut k = xapic(6);
    for cpu in 0..6 {
        lapic::send_ipi(&mut k, CPU0, ApicId(cpu), 0x40 + cpu as u8);
    }
    let expect: Vec<Vec<u8>> = (0..6).map(|cpu| vec![0x40 + cpu]).collect();
    assert_eq!(take_all(&mut k), expect);
}

fn every_self_ipi_arrives_once() {
    let mut k = xapic(1);
    for vector in 0x21..=0xff {
        lapic::icr_write(&mut k, CPU0, SELF | u64::from(vector));
        assert_eq!(take(&mut k, CPU0), [vector]);
    }
}

fn each_ipi_wakes_its_target() {
    let mut k = xapic(2);
    for _ in 0..3 {
        assert!(k.hw.pending_cpus.is_empty());
        lapic::send_ipi(&mut k, CPU0, ApicId(1), 0xa5);
        assert_eq!(k.hw.pending_cpus.list(), "1");
        assert_eq!(take(&mut k, CPU1), [0xa5]);
    }
}

fn icr_reads_back_without_busy() {
    let icr = 1 << 12 | 1 << 14 | 0xf1;
    let mut k = xapic(1);
    lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + 0x300, icr as u32);
    assert_eq!(reg(&mut k, 0x300), icr as u32 & !(1 << 12));
    let mut k = x2apic(1);
    lapic::wrmsr(&mut k, CPU0, 0x830, 7 << 32 | icr).unwrap();
    assert_eq!(lapic::rdmsr(&k, CPU0, 0x830), Ok(7 << 32 | icr & !(1 << 12)));
}

fn decodes(icr: u64, expect: Icr) {
    assert_eq!(Icr::decode(icr, false), Some(expect));
}

fn cro_26() -> Icr {
    let mode = DeliveryMode::LowestPriority;
    let message = Message { dest: 42, wide: false, logical: true, mode, vector: 123, level: true };
    Icr { message, assert: true, shorthand: Shorthand::Others }
}

fn cro_27() -> Icr {
    let mode = DeliveryMode::StartUp;
    let message = Message { dest: 161, wide: false, logical: false, mode, vector: 255, level: false };
    Icr { message, assert: false, shorthand: Shorthand::None }
}

fn self_ipi_in_flight(mode: Mode, page: u64) {
    let mut k = machine(mode);
    if page != DEFAULT_BASE {
        lapic::wrmsr(&mut k, CPU0, IA32_APIC_BASE, page | BASE_EN).unwrap();
    }
    let x2apic = matches!(mode, Mode::X2Apic);
    if x2apic {
        lapic::wrmsr(&mut k, CPU0, 0x83f, 0x80).unwrap();
    } else {
        lapic::mmio_write(&mut k, CPU0, page + 0x300, SELF as u32 | 0x80);
    }
    let irr4_isr4 = |k: &mut Kernel| {
        if x2apic {
            [0x824, 0x814].map(|n| lapic::rdmsr(k, CPU0, n).unwrap() as u32)
        } else {
            [0x240, 0x140].map(|offset| lapic::mmio_read(k, CPU0, page + offset).unwrap())
        }
    };
    assert_eq!(irr4_isr4(&mut k), [1, 0]);
    assert_eq!(lapic::ack(&mut k, CPU0), 0x80);
    assert_eq!(irr4_isr4(&mut k), [0, 1]);
    lapic::eoi(&mut k, CPU0);
    assert_eq!(irr4_isr4(&mut k), [0, 0]);
}

fn illegal_vector(vector: u64) {
    let mut k = xapic(1);
    lapic::icr_write(&mut k, CPU0, SELF | vector);
    assert_eq!(irr_isr(&k), (vec![], vec![]));
    lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + 0x280, 0);
    assert_eq!(reg(&mut k, 0x280), ESR_SEND_ILLEGAL_VECTOR);
}

fn illegal_msi(vector: u32) {
    let mut k = xapic(1);
    assert!(bus::msi_write(&mut k, 0xfee0_0000, vector, 0).is_err());
    assert_eq!((take(&mut k, CPU0), irr_isr(&k)), (vec![], (vec![], vec![])));
}

fn apic_254() -> Kernel {
    let mut k = with_ids(&[0, 254]);
    lapic::set_ldr(&mut k, CPU1, 0b1100_1001 << 24);
    k
}

fn matches_254(dest: u32) -> bool {
    let k = apic_254();
    let found = bus::targets(&k, dest, false, false) == Targets::One(CPU1);
    assert_eq!(bus::matches(&k.hw.lapics[1], dest, false, false), found);
    found
}

fn shorthand_at_254(from: CpuId, shorthand: u64) -> Vec<u8> {
    let mut k = apic_254();
    lapic::icr_write(&mut k, from, shorthand | 0x40);
    take(&mut k, CPU1)
}

enum Access {
    ReadOnly,
    WriteOnly,
    /// Reserved bits fault.
    ReadWrite,
    /// No claim about reserved bits.
    ReadWriteAny,
}

/// Whether a register can be read, and whether zero can be written to it.
fn accesses(k: &mut Kernel, n: u32) -> (bool, bool) {
    (lapic::rdmsr(k, CPU0, n).is_ok(), lapic::wrmsr(k, CPU0, n, 0).is_ok())
}

fn msr(n: u32, access: Access) {
    let mut k = x2apic(1);
    let old = lapic::rdmsr(&k, CPU0, n);
    let mut write = |value| lapic::wrmsr(&mut k, CPU0, n, value);
    match access {
        Access::ReadOnly => {
            assert_eq!(old.unwrap() >> 32, 0);
            assert_eq!(write(old.unwrap()), Err(GeneralProtection));
        }
        Access::WriteOnly => {
            assert_eq!(old, Err(GeneralProtection));
            assert_eq!([write(0), write(u64::MAX)], [Ok(()), Err(GeneralProtection)]);
        }
        Access::ReadWrite => {
            assert_eq!([write(old.unwrap()), write(u64::MAX)], [Ok(()), Err(GeneralProtection)]);
        }
        Access::ReadWriteAny => assert_eq!(write(old.unwrap()), Ok(())),
    }
}

fn registers_that_do_not_exist_fault() {
    let exists = |n: u32| {
        matches!(n, 0x802 | 0x803 | 0x808 | 0x80a | 0x80b | 0x80d | 0x80f..=0x828 | 0x82f | 0x830 | 0x832..=0x839)
            || matches!(n, 0x83e | 0x83f)
    };
    let mut k = x2apic(1);
    for n in (0x800..=0x8ff).filter(|n| !exists(*n)) {
        assert_eq!(accesses(&mut k, n), (false, false), "{n:#x}");
    }
}

fn unchanged_by_wrmsr(n: u32) {
    let mut k = x2apic(2);
    let old = lapic::rdmsr(&k, CPU1, n);
    assert_eq!(lapic::wrmsr(&mut k, CPU1, n, 0x55), Err(GeneralProtection));
    assert_eq!(lapic::rdmsr(&k, CPU1, n), old);
}

fn delivered_above_the_task_priority() {
    for vector in 0x21..=0xff {
        let mut k = xapic(1);
        lapic::send_self_ipi(&mut k, CPU0, vector);
        for tpr in 0..=0xff {
            lapic::set_tpr(&mut k, CPU0, tpr);
            let expect = (vector >> 4 > tpr >> 4).then_some(vector);
            assert_eq!((lapic::pending(&k, CPU0), waits(&k)), (expect, expect.is_some()));
            assert!(lapic::irr_test(&k, CPU0, vector));
        }
    }
}

fn eoi_lets_the_lower_one_in() {
    let mut k = xapic(1);
    for high in 0x22..=0xff {
        for low in 0x21..high {
            lapic::send_self_ipi(&mut k, CPU0, low);
            lapic::send_self_ipi(&mut k, CPU0, high);
            assert_eq!(take(&mut k, CPU0), [high, low]);
            assert_eq!(irr_isr(&k), (vec![], vec![]));
        }
    }
}

fn a_pending_vector_marks_its_cpu() {
    let mut k = xapic(2);
    lapic::set_tpr(&mut k, CPU1, 0x50);
    for (vector, wakes) in [(0x5f, false), (0x61, true)] {
        let _ = bus::msi_write(&mut k, 0xfee0_1000, vector, 0);
        assert_eq!(k.hw.pending_cpus.contains(CPU1), wakes);
    }
    assert_eq!(take(&mut k, CPU1), [0x61]);
}

fn irr_bit_of_a_vector() {
    for vector in 0x10..=0xffu8 {
        let mut k = xapic(1);
        lapic::send_self_ipi(&mut k, CPU0, vector);
        let offset = 0x200 | u64::from(vector & 0xe0) >> 1;
        assert_eq!(reg(&mut k, offset), 1 << (vector & 0x1f));
    }
}

/// Vector 20H against task priority class 2; then class 1 lets it in.
fn task_priority_defers(mode: Mode, then_lower: bool) {
    let mut k = machine(mode);
    let mut taken = 0;
    lapic::send_self_ipi(&mut k, CPU0, 0x20);
    taken += take(&mut k, CPU0).len();
    lapic::set_tpr(&mut k, CPU0, 0x20);
    lapic::send_self_ipi(&mut k, CPU0, 0x20);
    taken += take(&mut k, CPU0).len();
    assert_eq!(taken, 1);
    let class = |k: &Kernel| (lapic::ppr(&k.hw.lapics[0]) >> 4, k.hw.lapics[0].tpr >> 4, lapic::cr8(k, CPU0));
    assert_eq!(class(&k), (2, 2, 2));
    if then_lower {
        lapic::set_tpr(&mut k, CPU0, 0x10);
        taken += take(&mut k, CPU0).len();
        assert_eq!(taken, 2);
    }
}

fn vector_register() {
    let mut reg = VectorReg::default();
    let highest = [0, 7, 8, 31, 32, 74, 66, 255].map(|vector| {
        reg.set(vector);
        reg.highest().unwrap()
    });
    assert_eq!(highest, [0, 7, 8, 31, 32, 74, 74, 255]);
    assert_eq!(reg.0, [0x8000_0181, 1, 0x404, 0, 0, 0, 0, 0x8000_0000]);
}

fn ppr(tpr: u8, in_service: &[u8]) -> u32 {
    let mut k = xapic(1);
    lapic::set_tpr(&mut k, CPU0, tpr);
    in_service.iter().for_each(|vector| k.hw.lapics[0].isr.set(*vector));
    reg(&mut k, 0xa0)
}

fn eoi_clears_the_highest() {
    let mut k = xapic(1);
    [39, 255].iter().for_each(|vector| k.hw.lapics[0].isr.set(*vector));
    let eoi = |k: &mut Kernel| {
        lapic::eoi(k, CPU0);
        vectors(&k.hw.lapics[0].isr)
    };
    assert_eq!(eoi(&mut k), [39]);
    k.hw.lapics[0].isr.set(40);
    assert_eq!([eoi(&mut k), eoi(&mut k), eoi(&mut k)], [vec![39], vec![], vec![]]);
}

fn what_is_not_fixed_goes_first() {
    let mut k = xapic(2);
    lapic::set_tpr(&mut k, CPU1, 0xff);
    // NMI, NMI, INIT, start-up with vector 7.
    for icr in [0x4400, 0x4400, 0x4500, 0x4607] {
        lapic::icr_write(&mut k, CPU0, 1 << 56 | icr);
    }
    let expect = NonFixed { nmis: 2, init: true, startup: Some(7) };
    assert_eq!(lapic::take_non_fixed(&mut k, CPU1), expect);
    assert_eq!(lapic::take_non_fixed(&mut k, CPU1), NonFixed::default());
}

/// A vector arrives while 10H is in service: was it offered, and what stands in IRR and ISR after
/// the CPU took what it was offered.
fn nested(vector: u8) -> (bool, Vec<u8>, Vec<u8>) {
    let mut k = xapic(1);
    lapic::send_self_ipi(&mut k, CPU0, 0x10);
    lapic::ack(&mut k, CPU0);
    lapic::send_self_ipi(&mut k, CPU0, vector);
    let offered = waits(&k);
    if offered {
        lapic::ack(&mut k, CPU0);
    }
    let (irr, isr) = irr_isr(&k);
    lapic::eoi(&mut k, CPU0);
    // The deferred one comes after the EOI.
    assert!(offered || waits(&k));
    (offered, irr, isr)
}

fn two_views_of_the_task_priority() {
    let mut k = xapic(1);
    for (tpr, cr8) in [(0xff, 0xf), (0x20, 2)] {
        lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + 0x80, tpr);
        assert_eq!(lapic::cr8(&k, CPU0), cr8);
    }
    lapic::set_cr8(&mut k, CPU0, 5);
    assert_eq!(reg(&mut k, 0x80), 0x50);
}

fn delivery_status_is_read_only() {
    let mut k = xapic(1);
    for offset in [0x2f0, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370] {
        lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + offset, LVT_MASK | 1 << 12 | 0x40);
        assert_eq!(reg(&mut k, offset), LVT_MASK | 0x40);
    }
}

fn only_aligned_words_are_registers() {
    let mut k = with_ids(&[42]);
    assert_eq!(reg(&mut k, 0x20).to_le_bytes(), [0, 0, 0, 42]);
    for offset in [0x21, 0x24, 0x2c] {
        lapic::mmio_write(&mut k, CPU0, DEFAULT_BASE + offset, 0x0700_0000);
        assert_eq!(reg(&mut k, offset), 0);
    }
    assert_eq!(reg(&mut k, 0x20), 42 << 24);
}
