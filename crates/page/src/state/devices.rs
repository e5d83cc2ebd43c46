//! Hardware beside the CPUs: messages of PCI functions, pins of the IO-APIC, entries of the remapping table.

use kstate::hw::ioapic::{RTE_LEVEL, RTE_LOGICAL, RTE_MASK, RTE_REMAPPABLE, RTE_REMOTE_IRR, RTE_VECTOR};
use kstate::hw::pci::{MsiCapability, MsixCapability, MsixEntry, PciFunction};
use kstate::hw::vtd::Irte;
use kstate::pci::PciState;
use kstate::shared::Shared;
use kstate::{Kernel, PciDevId};

use super::{Object, Slots, is_same, keep};
use crate::cell::Cell;

#[derive(Debug, Default)]
pub(super) struct Seen {
    functions: Vec<Option<Shared<PciFunction>>>,
    pci: Option<Shared<PciState>>,
    /// Controllers that have a name.
    bound: Vec<bool>,
    pins: Vec<u64>,
    irtes: Vec<Irte>,
}

impl Seen {
    pub(super) fn look(&mut self, k: &mut Kernel, slots: &mut Slots) {
        self.functions.resize_with(k.hw.pci.len().max(self.functions.len()), || None);
        for (at, (seen, now)) in self.functions.iter_mut().zip(&mut k.hw.pci).enumerate() {
            if !is_same(seen.as_ref(), now) {
                let old = keep(seen, now, PciFunction::default());
                function(slots, Object::Device(PciDevId(at as u32)), old.as_deref(), now);
            }
        }
        let bound = k.nvme.devs.iter().map(|nvme| nvme.bound);
        let named = !self.bound.iter().copied().eq(bound.clone());
        if named {
            self.bound = bound.collect();
        }
        if !is_same(self.pci.as_ref(), &k.pci) || named {
            keep(&mut self.pci, &mut k.pci, PciState::default());
            for (at, dev) in k.pci.devs.iter().enumerate() {
                let id = PciDevId(at as u32);
                let driver = dev.driver.and_then(|driver| k.pci.drivers.get(driver.index()));
                slots.set(Object::Device(id), "driver", None, driver.map(|driver| driver.name));
                slots.set(Object::Device(id), "name", None, k.has_driver_name(id).then(|| k.device_name(id)));
            }
        }
        let pins = &k.hw.ioapic.redirection;
        self.pins.resize(pins.len(), !0);
        for (at, (pin, seen)) in pins.iter().zip(&mut self.pins).enumerate() {
            if pin != seen {
                *seen = *pin;
                slots.set(Object::IoApic, "pin", Some(at as u32), redirection(*pin));
            }
        }
        let irtes = &k.hw.vtd.table;
        self.irtes.resize(irtes.len(), Irte::default());
        for (at, (irte, seen)) in irtes.iter().zip(&mut self.irtes).enumerate() {
            if irte != seen {
                *seen = *irte;
                slots.set(Object::Dmar, "irte", Some(at as u32), remapping(irte));
            }
        }
    }
}

fn function(slots: &mut Slots, object: Object, old: Option<&PciFunction>, now: &PciFunction) {
    if old.is_none_or(|old| old.msix != now.msix) {
        msix(slots, object, old.and_then(|old| old.msix.as_ref()), now.msix.as_ref());
    }
    if old.is_none_or(|old| old.msi != now.msi) {
        msi(slots, object, now.msi.as_ref());
    }
}

fn msix(slots: &mut Slots, object: Object, old: Option<&MsixCapability>, now: Option<&MsixCapability>) {
    slots.set(object, "msix", None, now.map(|msix| msix.enable));
    slots.set(object, "msix_function_mask", None, now.map(|msix| msix.function_mask));
    let Some(now) = now else { return };
    for (n, entry) in now.table.iter().enumerate() {
        if old.is_some_and(|old| old.table.get(n) == Some(entry)) {
            continue;
        }
        let MsixEntry { address_lo, address_hi, data, vector_control } = entry;
        let n = Some(n as u32);
        let address = u64::from(*address_hi) << 32 | u64::from(*address_lo);
        slots.set(object, "msix_address", n, format!("{address:#010x}"));
        slots.set(object, "msix_data", n, format!("{data:#010x}"));
        slots.set(object, "msix_masked", n, vector_control & 1 != 0);
    }
    for n in 0..now.table.len() {
        let pending =
            |msix: &MsixCapability| msix.pba.get(n / 64).is_some_and(|word| word >> (n % 64) & 1 != 0);
        if pending(now) || old.is_some_and(pending) {
            slots.set(object, "msix_pending", Some(n as u32), pending(now));
        }
    }
}

fn msi(slots: &mut Slots, object: Object, now: Option<&MsiCapability>) {
    slots.set(object, "msi", None, now.map(|msi| msi.enable));
    let address = |msi: &MsiCapability| u64::from(msi.address_hi) << 32 | u64::from(msi.address_lo);
    slots.set(object, "msi_address", None, now.map(|msi| format!("{:#010x}", address(msi))));
    slots.set(object, "msi_data", None, now.map(|msi| format!("{:#06x}", msi.data)));
    slots.set(object, "msi_messages", None, now.map(|msi| 1u32 << msi.multiple_message_enable.min(5)));
    slots.set(object, "msi_mask", None, now.map(|msi| format!("{:#x}", msi.mask_bits)));
    slots.set(object, "msi_pending", None, now.map(|msi| format!("{:#x}", msi.pending_bits)));
}

/// A redirection entry in words.
fn redirection(pin: u64) -> Cell {
    let mut text = if pin & RTE_REMAPPABLE != 0 {
        let index = pin >> 49 | (pin >> 11 & 1) << 15;
        format!("handle {index}")
    } else {
        let mode = if pin & RTE_LOGICAL != 0 { "logical" } else { "physical" };
        format!("vector {} to {mode} {:#x}", pin & RTE_VECTOR, pin >> 56)
    };
    for (bit, word) in [(RTE_LEVEL, " level"), (RTE_REMOTE_IRR, " remote-irr"), (RTE_MASK, " masked")] {
        if pin & bit != 0 {
            text.push_str(word);
        }
    }
    text.into()
}

/// An entry of the remapping table in words; nothing where it is not present.
fn remapping(irte: &Irte) -> Cell {
    if irte.present() == 0 {
        return Cell::None;
    }
    let mode = if irte.dst_mode() == 1 { "logical" } else { "physical" };
    let sid = irte.sid();
    format!(
        "vector {} to {mode} {:#x} from {:02x}:{:02x}.{}",
        irte.vector(),
        irte.dest_id(),
        sid >> 8,
        sid >> 3 & 0x1f,
        sid & 7
    )
    .into()
}
