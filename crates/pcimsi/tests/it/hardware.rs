//! What the registers of a PCI function do.

use crate::common::{Spec, add, pc, take};
use kstate::hw::pci::{DeviceModel, MsiCapability};
use kstate::{Kernel, PciDevId};
use pcimsi::hw::config::{COMMAND, STATUS, find_capability};
use pcimsi::hw::msix::{bar_read, msix_clear_pending, pba_read, table_write};
use pcimsi::hw::{
    COMMAND_BUS_MASTER, COMMAND_INTERRUPT_DISABLE, check_invariants, config_read, config_write, hw_point,
    intx_set, msi_raise, msix_raise, msix_table_text,
};

const MSIX_CONTROL: u16 = 0x42;
const MSI: u16 = 0x50;

/// A function whose MSI-X entries 0 and 1 send vectors 0x50 and 0x51 to CPU 0.
fn msix() -> (Kernel, PciDevId) {
    let mut k = pc(1, None);
    let dev = add(&mut k, Spec { device: 3, msix: 2, ..Spec::default() });
    for entry in 0..2 {
        table_write(&mut k, dev, 16 * entry, 8, 0xfee0_0000);
        table_write(&mut k, dev, 16 * entry + 8, 8, 0x50 + u64::from(entry));
    }
    config_write(&mut k, dev, MSIX_CONTROL, 2, 0x8000);
    (k, dev)
}

/// A function with 8 maskable MSIs: vectors 0x58 to 0x5f on CPU 0, of which `enabled` (as log2).
fn msi(enabled: u32) -> (Kernel, PciDevId) {
    let mut k = pc(1, None);
    let capability =
        MsiCapability { multiple_message_capable: 3, maskable: true, ..MsiCapability::default() };
    let dev = add(&mut k, Spec { device: 3, msi: Some(capability), ..Spec::default() });
    config_write(&mut k, dev, MSI + 4, 4, 0xfee0_0000);
    config_write(&mut k, dev, MSI + 8, 2, 0x58);
    config_write(&mut k, dev, MSI + 2, 2, enabled << 4 | 1);
    (k, dev)
}

#[test]
fn a_masked_entry_is_pending_until_it_is_unmasked() {
    let (mut k, dev) = msix();
    table_write(&mut k, dev, 12, 4, 1);
    for _ in 0..3 {
        assert!(msix_raise(&mut k, dev, 0));
    }
    msix_raise(&mut k, dev, 1);
    assert_eq!((take(&mut k, 0), pba_read(&k, dev, 0, 8)), (vec![0x51], 1));
    table_write(&mut k, dev, 12, 4, 0);
    assert_eq!((take(&mut k, 0), pba_read(&k, dev, 0, 8)), (vec![0x50], 0));
    assert_eq!(check_invariants(&k), Ok(()));
}

#[test]
fn the_function_mask_holds_back_every_entry() {
    let (mut k, dev) = msix();
    config_write(&mut k, dev, MSIX_CONTROL, 2, 0xc000);
    msix_raise(&mut k, dev, 0);
    msix_raise(&mut k, dev, 1);
    assert_eq!((take(&mut k, 0), bar_read(&k, dev, 0, 0x3000, 8)), (vec![], Some(3)));
    msix_clear_pending(&mut k, dev, 1);
    config_write(&mut k, dev, MSIX_CONTROL, 2, 0x8000);
    assert_eq!(take(&mut k, 0), [0x50]);
}

#[test]
fn a_function_without_msix_sends_and_remembers_nothing() {
    let (mut k, dev) = msix();
    config_write(&mut k, dev, MSIX_CONTROL, 2, 0);
    assert!(!msix_raise(&mut k, dev, 0));
    assert!(!msix_raise(&mut k, dev, 2));
    config_write(&mut k, dev, MSIX_CONTROL, 2, 0x8000);
    assert_eq!((take(&mut k, 0), pba_read(&k, dev, 0, 8)), (vec![], 0));
}

#[test]
fn a_message_needs_bus_master_enable() {
    let (mut k, dev) = msix();
    config_write(&mut k, dev, COMMAND, 2, 0);
    msix_raise(&mut k, dev, 0);
    assert_eq!(take(&mut k, 0), [0u8; 0]);
    config_write(&mut k, dev, COMMAND, 2, COMMAND_BUS_MASTER.into());
    msix_raise(&mut k, dev, 0);
    assert_eq!(take(&mut k, 0), [0x50]);
}

#[test]
fn the_function_fills_in_the_low_bits_of_an_msi() {
    let check = |enabled, raised: u32, expect: u8| {
        let (mut k, dev) = msi(enabled);
        msi_raise(&mut k, dev, raised);
        assert_eq!(take(&mut k, 0), [expect], "{raised} of 2^{enabled}");
    };
    check(3, 0, 0x58);
    check(3, 7, 0x5f);
    // With fewer messages, several vectors share one.
    check(1, 5, 0x59);
    check(0, 6, 0x58);
}

#[test]
fn a_masked_msi_is_pending_until_it_is_unmasked() {
    let (mut k, dev) = msi(3);
    config_write(&mut k, dev, MSI + 12, 4, 0b101);
    for n in 0..3 {
        msi_raise(&mut k, dev, n);
    }
    assert_eq!((take(&mut k, 0), config_read(&k, dev, MSI + 16, 4)), (vec![0x59], 0b101));
    config_write(&mut k, dev, MSI + 12, 4, 0b001);
    assert_eq!((take(&mut k, 0), config_read(&k, dev, MSI + 16, 4)), (vec![0x5a], 0b001));
    assert_eq!(check_invariants(&k), Ok(()));
}

#[test]
fn pins_on_one_input_are_wired_or() {
    let mut k = pc(1, None);
    let [a, b] = [3, 4].map(|device| add(&mut k, Spec { device, input: 20, ..Spec::default() }));
    let line = |k: &Kernel| k.hw.ioapic.asserted >> 20 & 1 == 1;
    let mut steps = Vec::new();
    for (dev, level) in [(a, true), (b, true), (a, false), (b, false)] {
        intx_set(&mut k, dev, level);
        steps.push(line(&k));
    }
    assert_eq!(steps, [true, true, true, false]);
}

#[test]
fn interrupt_disable_releases_the_pin_but_not_the_status() {
    let mut k = pc(1, None);
    let dev = add(&mut k, Spec { device: 3, input: 20, ..Spec::default() });
    intx_set(&mut k, dev, true);
    config_write(&mut k, dev, COMMAND, 2, COMMAND_INTERRUPT_DISABLE.into());
    assert_eq!((k.hw.ioapic.asserted >> 20 & 1, config_read(&k, dev, STATUS, 2) & 8), (0, 8));
    config_write(&mut k, dev, COMMAND, 2, 0);
    assert_eq!(k.hw.ioapic.asserted >> 20 & 1, 1);
}

#[test]
fn the_capability_list_leads_to_each_capability() {
    let mut k = pc(1, None);
    let dev =
        add(&mut k, Spec { device: 3, msix: 9, msi: Some(MsiCapability::default()), ..Spec::default() });
    assert_eq!([0x05, 0x11, 0x10].map(|id| find_capability(&k, dev, id)), [0x50, 0x40, 0]);
    assert_eq!(config_read(&k, dev, 0x44, 4), 0x2000);
    assert_eq!(config_read(&k, dev, 0x48, 4), 0x3000);
}

#[test]
fn a_device_acts_between_two_writes_only_when_the_oracle_says_so() {
    static EAGER: DeviceModel = DeviceModel {
        name: "eager",
        pending: Some(|k, dev| pba_read(k, dev, 0, 8) == 0),
        act: Some(|k, dev| {
            msix_raise(k, dev, 0);
        }),
        ..DeviceModel::INERT
    };
    let check = |script: &[u32], expect: &[u8]| {
        let (mut k, dev) = msix();
        k.hw.pci[dev.index()].model = &EAGER;
        k.oracle = kstate::oracle::Oracle::scripted(script.to_vec());
        hw_point(&mut k, dev);
        hw_point(&mut k, dev);
        assert_eq!(take(&mut k, 0), expect);
    };
    check(&[], &[]);
    check(&[0, 1], &[0x50]);
}

#[test]
fn the_table_prints_as_the_device_holds_it() {
    let (k, dev) = msix();
    assert_eq!(
        msix_table_text(&k, dev)[1],
        "entry 1: addr_lo=0xfee00000 addr_hi=0x00000000 data=0x00000051 ctrl=0x0"
    );
}
