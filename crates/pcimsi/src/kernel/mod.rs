//! drivers/pci: what drivers and the machine call. The two generations of drivers/pci/msi.c meet
//! here.

use kfn::kframe;
use kstate::hw::pci::PciFunction;
use kstate::msi::MsiDomainInfo;
use kstate::sched::Call;
use kstate::semantics::MsiDomains;
use kstate::{CpuMask, DomainId, Errno, Irq, Kernel, PciDevId};

pub mod access;
pub mod acpi;
pub mod irq;
pub mod msi;
pub mod pci;
pub mod pci_driver;
pub mod pci_sysfs;
pub mod probe;

pub use irq::{pci_assign_irq, pci_free_irq, pci_request_irq};
pub use msi::{pci_alloc_irq_vectors_affinity, pci_msix_vec_count, pci_no_msi};
pub use pci::{pci_disable_device, pci_enable_device, pci_enable_device_mem, pci_intx, pci_set_master};
pub use probe::pci_device_add;

/// `PCI_IRQ_LEGACY` (5.4), `PCI_IRQ_INTX` (6.12): the pin will do.
pub const PCI_IRQ_INTX: u32 = 1 << 0;
/// MSI will do.
pub const PCI_IRQ_MSI: u32 = 1 << 1;
/// MSI-X will do.
pub const PCI_IRQ_MSIX: u32 = 1 << 2;
/// The kernel spreads the vectors and manages them.
pub const PCI_IRQ_AFFINITY: u32 = 1 << 3;
/// More vectors than the table has.
pub const PCI_IRQ_VIRTUAL: u32 = 1 << 4;
/// `PCI_IRQ_ALL_TYPES`: anything will do.
pub const PCI_IRQ_ALL_TYPES: u32 = PCI_IRQ_INTX | PCI_IRQ_MSI | PCI_IRQ_MSIX;

/// How large a MSI-X table is, `msix_table_size()`.
pub(crate) const fn msix_table_size(flags: u16) -> u32 {
    (flags as u32 & 0x7ff) + 1
}

/// A mask with a bit for each of 2^`x` messages.
pub(crate) const fn msi_multi_mask(x: u8) -> u32 {
    if x >= 5 { u32::MAX } else { (1 << (1 << x)) - 1 }
}

/// `pci_alloc_irq_vectors()`: inline in 5.4.
pub fn pci_alloc_irq_vectors(
    k: &Kernel,
    dev: PciDevId,
    min_vecs: u32,
    max_vecs: u32,
    flags: u32,
) -> Call<Result<u32, Errno>> {
    match k.sem.msi_domains {
        MsiDomains::Global => msi::pci_alloc_irq_vectors_affinity(dev, min_vecs, max_vecs, flags, false),
        MsiDomains::PerDevice => msi::per_device::api::pci_alloc_irq_vectors(dev, min_vecs, max_vecs, flags),
    }
}

/// The interrupt of a vector.
///
/// # Errors
/// `EINVAL` when there is no such vector.
pub fn pci_irq_vector(k: &mut Kernel, dev: PciDevId, nr: u32) -> Result<Irq, Errno> {
    match k.sem.msi_domains {
        MsiDomains::Global => msi::global::pci_irq_vector(k, dev, nr),
        MsiDomains::PerDevice => msi::per_device::api::pci_irq_vector(k, dev, nr),
    }
}

/// The CPUs a vector was spread to; all possible ones for a pin.
pub fn pci_irq_get_affinity(k: &mut Kernel, dev: PciDevId, nr: u32) -> Option<CpuMask> {
    match k.sem.msi_domains {
        MsiDomains::Global => msi::global::pci_irq_get_affinity(k, dev, nr),
        MsiDomains::PerDevice => msi::per_device::api::pci_irq_get_affinity(k, dev, nr),
    }
}

/// Gives back what `pci_alloc_irq_vectors_affinity` allocated.
#[kframe("drivers/pci/msi.c", "drivers/pci/msi/api.c")]
pub fn pci_free_irq_vectors(k: &mut Kernel, dev: PciDevId) {
    call!(msi::pci_disable_msix(dev));
    call!(msi::pci_disable_msi(dev));
}

/// Creates the global PCI/MSI domain; arch/x86 calls it through `k.msi.hooks`.
pub fn pci_msi_create_irq_domain(
    k: &mut Kernel,
    fwnode: &str,
    info: MsiDomainInfo,
    parent: DomainId,
) -> Option<DomainId> {
    match k.sem.msi_domains {
        MsiDomains::Global => msi::global::pci_msi_create_irq_domain(k, fwnode, info, parent),
        MsiDomains::PerDevice => {
            msi::per_device::irqdomain::pci_msi_create_irq_domain(k, fwnode, info, parent)
        }
    }
}

/// `pci_setup()`, drivers/pci/pci.c: `pci=`, options with commas between.
///
/// # Errors
/// None; `early_param()` has the form that can fail.
pub fn pci_setup(k: &mut Kernel, value: Option<&str>) -> Result<(), Errno> {
    if value.is_some_and(|options| options.split(',').any(|option| option == "nomsi")) {
        msi::pci_no_msi(k);
    }
    Ok(())
}

/// What must hold between the descriptors and the registers of every function.
///
/// # Errors
/// The first rule that is broken, in words.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    irqcore::msi::check_invariants(k)?;
    crate::hw::check_invariants(k)?;
    for (dev, function) in k.pci.devs.iter().zip(&k.hw.pci) {
        let PciFunction { msi, msix, .. } = &**function;
        if dev.msix_enabled != msix.as_ref().is_some_and(|msix| msix.enable) {
            return Err(format!("{}: MSI-X Enable and msix_enabled differ", dev.name()));
        }
        if dev.msi_enabled != msi.as_ref().is_some_and(|msi| msi.enable) {
            return Err(format!("{}: MSI Enable and msi_enabled differ", dev.name()));
        }
        let Some(msix) = msix.as_ref().filter(|msix| msix.enable) else { continue };
        let of_store = dev.msi_data.iter().flat_map(|data| data.default_domain.store.values());
        for &id in dev.msi_list.iter().chain(of_store) {
            let desc = &k.msi.descs[id];
            // In the middle of an allocation: no message has been written yet.
            if desc.irq.is_none() {
                continue;
            }
            let Some(entry) = msix.table.get(usize::from(desc.entry_nr)) else { continue };
            let written = (desc.msg.address_lo, desc.msg.address_hi, desc.msg.data);
            if written != (entry.address_lo, entry.address_hi, entry.data) {
                return Err(format!(
                    "{}: entry {} does not hold the last message",
                    dev.name(),
                    desc.entry_nr
                ));
            }
            if desc.masked & 1 != entry.vector_control & 1 {
                return Err(format!(
                    "{}: entry {} is not masked as its descriptor says",
                    dev.name(),
                    desc.entry_nr
                ));
            }
        }
    }
    Ok(())
}
