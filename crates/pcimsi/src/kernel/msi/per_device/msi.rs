//! drivers/pci/msi/msi.c, with the inline functions of drivers/pci/msi/msi.h.

use irqcore::affinity::irq_calc_affinity_vectors;
use irqcore::msi::per_device::msi_first_desc;
use irqcore::msi::{msi_domain_insert_msi_desc, msi_setup_device_data};
use kcore::cpu::cpus_read_lock;
use kfn::{kfn, kframe};
use kstate::irqdesc::Irqd;
use kstate::msi::{
    IrqAffinityDesc, MSI_DEFAULT_DOMAIN, MSI_FLAG_MSIX_CONTIGUOUS, MSI_FLAG_MULTI_PCI_MSI, MSI_FLAG_NO_MASK,
    MSI_FLAG_PCI_MSIX, MsiDesc, MsiMsg,
};
use kstate::{Errno, Kernel, MsiDescId, PciDevId};

use super::irqdomain::{
    pci_msi_domain_supports, pci_msi_setup_msi_irqs, pci_msi_teardown_msi_irqs, pci_setup_msi_device_domain,
    pci_setup_msix_device_domain,
};
use crate::hw::msix::{
    ENTRY_ADDRESS_HI, ENTRY_ADDRESS_LO, ENTRY_DATA, ENTRY_SIZE, ENTRY_VECTOR_CONTROL, VECTOR_CONTROL_MASK,
};
use crate::hw::{hw_point, msi, msix};
use crate::kernel::access::{
    pci_read_config_dword, pci_read_config_word, pci_write_config_dword, pci_write_config_word, readl, writel,
};
use crate::kernel::msi::{
    PCI_CAP_ID_MSI, PCI_CAP_ID_MSIX, PCI_MSI_ADDRESS_HI, PCI_MSI_ADDRESS_LO, PCI_MSI_DATA_32,
    PCI_MSI_DATA_64, PCI_MSI_FLAGS, PCI_MSI_FLAGS_QMASK, PCI_MSI_FLAGS_QSIZE, PCI_MSI_MASK_32,
    PCI_MSI_MASK_64, PCI_MSIX_FLAGS, create_masks, msix_map_region, pci_intx_for_msi, pci_msi_set_enable,
    pci_msi_supported, pci_msi_vec_count, pci_msix_clear_and_set_ctrl, pci_msix_vec_count, tell_vectors,
    waits_for_hotplug,
};
use crate::kernel::{PCI_IRQ_VIRTUAL, msi_multi_mask, msix_table_size};

/// All descriptors of a function, in order of their index.
fn all_descs(k: &Kernel, dev: PciDevId) -> Vec<MsiDescId> {
    let data = k.pci_dev(dev).msi_data.as_ref();
    data.map(|data| data.default_domain.store.values().copied().collect()).unwrap_or_default()
}

/// Has MSI released with the device, for drivers that use the managed interface.
#[kfn("drivers/pci/msi/msi.c")]
fn pcim_setup_msi_release(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    // DEVIATION: the release itself is not modelled; neither driver here is managed.
    let dev = k.pci_dev_mut(dev);
    if dev.is_managed {
        dev.is_msi_managed = true;
    }
    Ok(())
}

/// Gives a function what MSI needs.
#[kfn("drivers/pci/msi/msi.c")]
fn pci_setup_msi_context(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    msi_setup_device_data(k, dev)?;
    pcim_setup_msi_release(k, dev)
}

/// Changes the mask bits of an MSI capability.
#[kfn("drivers/pci/msi/msi.c")]
pub fn pci_msi_update_mask(k: &mut Kernel, desc: MsiDescId, clear: u32, set: u32) {
    let d = &mut k.msi.descs[desc];
    if !d.can_mask {
        return;
    }
    d.masked = d.masked & !clear | set;
    let (dev, pos, masked) = (d.dev, d.mask_pos, d.masked);
    pci_write_config_dword(k, dev, pos, masked);
}

/// `pci_msi_mask()`.
pub(super) fn pci_msi_mask(k: &mut Kernel, desc: MsiDescId, mask: u32) {
    pci_msi_update_mask(k, desc, 0, mask);
}

/// `pci_msi_unmask()`.
pub(super) fn pci_msi_unmask(k: &mut Kernel, desc: MsiDescId, mask: u32) {
    pci_msi_update_mask(k, desc, mask, 0);
}

/// `pci_msix_write_vector_ctrl()`.
fn pci_msix_write_vector_ctrl(k: &mut Kernel, desc: MsiDescId, ctrl: u32) {
    if k.msi.descs[desc].can_mask {
        writel(k, ctrl, desc, ENTRY_VECTOR_CONTROL);
    }
}

/// `pci_msix_mask()`.
pub(super) fn pci_msix_mask(k: &mut Kernel, desc: MsiDescId) {
    k.msi.descs[desc].masked |= VECTOR_CONTROL_MASK;
    let ctrl = k.msi.descs[desc].masked;
    pci_msix_write_vector_ctrl(k, desc, ctrl);
    // Reading the table waits until the write has arrived.
    readl(k, desc, ENTRY_ADDRESS_LO);
}

/// `pci_msix_unmask()`.
pub(super) fn pci_msix_unmask(k: &mut Kernel, desc: MsiDescId) {
    k.msi.descs[desc].masked &= !VECTOR_CONTROL_MASK;
    let ctrl = k.msi.descs[desc].masked;
    pci_msix_write_vector_ctrl(k, desc, ctrl);
}

fn offset_bit(k: &Kernel, data: Irqd, desc: MsiDescId) -> u32 {
    1 << (data.irq.0 - k.msi.descs[desc].irq.unwrap_or(data.irq).0)
}

/// Masks an interrupt of a global domain, MSI or MSI-X.
#[kfn("drivers/pci/msi/msi.c")]
pub fn pci_msi_mask_irq(k: &mut Kernel, data: Irqd) {
    let Some(desc) = k.irq_get_msi_desc(data.irq) else { return };
    if k.msi.descs[desc].is_msix {
        pci_msix_mask(k, desc);
    } else {
        let bit = offset_bit(k, data, desc);
        pci_msi_mask(k, desc, bit);
    }
}

/// Unmasks an interrupt of a global domain, MSI or MSI-X.
#[kfn("drivers/pci/msi/msi.c")]
pub fn pci_msi_unmask_irq(k: &mut Kernel, data: Irqd) {
    let Some(desc) = k.irq_get_msi_desc(data.irq) else { return };
    if k.msi.descs[desc].is_msix {
        pci_msix_unmask(k, desc);
    } else {
        let bit = offset_bit(k, data, desc);
        pci_msi_unmask(k, desc, bit);
    }
}

/// `pci_write_msg_msi()`.
fn pci_write_msg_msi(k: &mut Kernel, dev: PciDevId, desc: MsiDescId, msg: &MsiMsg) {
    let pos = k.pci_dev(dev).msi_cap;
    let (is_64, multiple) = (k.msi.descs[desc].is_64, k.msi.descs[desc].multiple);
    let msgctl = pci_read_config_word(k, dev, pos + PCI_MSI_FLAGS) & !PCI_MSI_FLAGS_QSIZE;
    pci_write_config_word(k, dev, pos + PCI_MSI_FLAGS, msgctl | u16::from(multiple) << 4);
    pci_write_config_dword(k, dev, pos + PCI_MSI_ADDRESS_LO, msg.address_lo);
    hw_point(k, dev);
    if is_64 {
        pci_write_config_dword(k, dev, pos + PCI_MSI_ADDRESS_HI, msg.address_hi);
        hw_point(k, dev);
        pci_write_config_word(k, dev, pos + PCI_MSI_DATA_64, msg.data as u16);
    } else {
        pci_write_config_word(k, dev, pos + PCI_MSI_DATA_32, msg.data as u16);
    }
    // Reading waits until the writes have arrived.
    pci_read_config_word(k, dev, pos + PCI_MSI_FLAGS);
}

/// `pci_write_msg_msix()`: the specification wants the entry masked while its message changes.
fn pci_write_msg_msix(k: &mut Kernel, dev: PciDevId, desc: MsiDescId, msg: &MsiMsg) {
    let ctrl = k.msi.descs[desc].masked;
    let unmasked = ctrl & VECTOR_CONTROL_MASK == 0;
    if k.msi.descs[desc].is_virtual {
        return;
    }
    if unmasked {
        pci_msix_write_vector_ctrl(k, desc, ctrl | VECTOR_CONTROL_MASK);
    }
    writel(k, msg.address_lo, desc, ENTRY_ADDRESS_LO);
    hw_point(k, dev);
    writel(k, msg.address_hi, desc, ENTRY_ADDRESS_HI);
    hw_point(k, dev);
    writel(k, msg.data, desc, ENTRY_DATA);
    if unmasked {
        pci_msix_write_vector_ctrl(k, desc, ctrl);
    }
    // Reading waits until the writes have arrived.
    readl(k, desc, ENTRY_DATA);
}

/// Writes a message to the function, register by register.
#[kfn("drivers/pci/msi/msi.c")]
pub fn __pci_write_msi_msg(k: &mut Kernel, entry: MsiDescId, msg: &MsiMsg) {
    let dev = k.msi.descs[entry].dev;
    if k.pci_dev(dev).disconnected {
        // Nothing answers any more.
    } else if k.msi.descs[entry].is_msix {
        pci_write_msg_msix(k, dev, entry, msg);
    } else {
        pci_write_msg_msi(k, dev, entry, msg);
    }
    k.msi.descs[entry].msg = *msg;
}

/// Allocates the descriptor of a function's MSIs.
#[kfn("drivers/pci/msi/msi.c")]
fn msi_setup_msi_desc(
    k: &mut Kernel,
    dev: PciDevId,
    nvec: u32,
    masks: Option<Vec<IrqAffinityDesc>>,
) -> Result<(), Errno> {
    let pos = k.pci_dev(dev).msi_cap;
    let control = pci_read_config_word(k, dev, pos + PCI_MSI_FLAGS);
    let no_mask = pci_msi_domain_supports(k, dev, MSI_FLAG_NO_MASK);
    let is_64 = control & msi::CONTROL_64BIT != 0;
    let can_mask = control & msi::CONTROL_MASKABLE != 0 && !no_mask;
    let mask_pos = pos + if is_64 { PCI_MSI_MASK_64 } else { PCI_MSI_MASK_32 };
    let desc = MsiDesc {
        nvec_used: nvec,
        is_64,
        can_mask,
        default_irq: k.pci_dev(dev).irq,
        multi_cap: ((control & PCI_MSI_FLAGS_QMASK) >> 1) as u8,
        multiple: nvec.next_power_of_two().trailing_zeros() as u8,
        affinity: masks,
        mask_pos,
        masked: if can_mask { pci_read_config_dword(k, dev, mask_pos) } else { 0 },
        ..MsiDesc::default()
    };
    msi_domain_insert_msi_desc(k, dev, MSI_DEFAULT_DOMAIN, &desc)
}

/// `msi_verify_entries()`.
// DEVIATION: 7.3 has a mask for the address in place of 32 or 64 bits and says that. Messages of this machine
// have no upper half, so nobody will read either.
fn msi_verify_entries(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    if !k.pci_dev(dev).no_64bit_msi {
        return Ok(());
    }
    for entry in all_descs(k, dev) {
        let MsiMsg { address_lo, address_hi, .. } = k.msi.descs[entry].msg;
        if address_hi != 0 {
            let name = k.dev_name(dev);
            k.log.push(format!(
                "{name}: arch assigned 64-bit MSI address {address_hi:#x}{address_lo:08x} but device only supports 32 bits"
            ));
            return Err(Errno::EIO);
        }
    }
    Ok(())
}

/// Sets up and enables MSI. A positive value asks the caller to try again with so many.
#[kframe("drivers/pci/msi/msi.c")]
fn msi_capability_init(k: &mut Kernel, dev: PciDevId, nvec: u32, affd: bool) -> Result<u32, Errno> {
    if nvec > 1 && !pci_msi_domain_supports(k, dev, MSI_FLAG_MULTI_PCI_MSI) {
        return Ok(1);
    }
    pci_msi_set_enable(k, dev, false);
    // Off at the function, but on for what the setup asks about. Since 6.15 it counts as on when everything
    // has worked; nobody looks in between.
    k.pci_dev_mut(dev).msi_enabled = true;
    if waits_for_hotplug(k, dev, nvec, affd) {
        call!(cpus_read_lock());
    }
    let masks = create_masks(k, dev, nvec, affd);
    k.pci_dev_mut(dev).msi_setup().masks = masks;
    let ret: Result<u32, Errno> = Ok(0);
    if k.sem.msi_setup_split {
        ret = call!(__msi_capability_init(dev, nvec));
    } else {
        ret = call!(try_msi(dev, nvec));
    }
    if ret != Ok(0) {
        k.pci_dev_mut(dev).msi_enabled = false;
    }
    ret
}

/// The attempt of [`msi_capability_init`], which takes back what it did itself (6.15).
#[kframe("drivers/pci/msi/msi.c")]
fn __msi_capability_init(k: &mut Kernel, dev: PciDevId, nvec: u32) -> Result<u32, Errno> {
    let _ = &k;
    call!(try_msi(dev, nvec))
}

#[kframe("drivers/pci/msi/msi.c", part)]
fn try_msi(k: &mut Kernel, dev: PciDevId, nvec: u32) -> Result<u32, Errno> {
    let masks = k.pci_dev_mut(dev).msi_setup().masks.take();
    msi_setup_msi_desc(k, dev, nvec, masks)?;
    if msi_first_desc(k, dev).is_none() {
        return Err(Errno::ENOMEM);
    }
    let entry: MsiDescId = msi_first_desc(k, dev).unwrap_or_default();
    let mask: u32 = msi_multi_mask(k.msi.descs[entry].multi_cap);
    pci_msi_mask(k, entry, mask);

    let ret: Result<u32, Errno> = call!(pci_msi_setup_msi_irqs(dev, nvec, PCI_CAP_ID_MSI));
    if ret == Ok(0)
        && let Err(e) = msi_verify_entries(k, dev)
    {
        ret = Err(e);
    }
    if ret != Ok(0) {
        unmask_after_failure(k, dev, entry, mask);
        call!(pci_free_msi_irqs(dev));
        return ret;
    }

    pci_intx_for_msi(k, dev, false);
    pci_msi_set_enable(k, dev, true);
    let irq = k.msi.descs[entry].irq.unwrap_or_default();
    k.pci_dev_mut(dev).irq = irq.0;
    Ok(0)
}

/// Unmasks as a copy of the descriptor would, which the core may have freed.
fn unmask_after_failure(k: &mut Kernel, dev: PciDevId, entry: MsiDescId, mask: u32) {
    if k.msi.descs.get(entry).is_some() {
        pci_msi_unmask(k, entry, mask);
    } else if msi_can_mask(k, dev) {
        let pos = mask_position(k, dev);
        let bits = pci_read_config_dword(k, dev, pos) & !mask;
        pci_write_config_dword(k, dev, pos, bits);
    }
}

fn msi_can_mask(k: &Kernel, dev: PciDevId) -> bool {
    let at = k.pci_dev(dev).msi_cap + PCI_MSI_FLAGS;
    pci_read_config_word(k, dev, at) & msi::CONTROL_MASKABLE != 0
}

fn mask_position(k: &Kernel, dev: PciDevId) -> u16 {
    let pos = k.pci_dev(dev).msi_cap;
    let is_64 = pci_read_config_word(k, dev, pos + PCI_MSI_FLAGS) & msi::CONTROL_64BIT != 0;
    pos + if is_64 { PCI_MSI_MASK_64 } else { PCI_MSI_MASK_32 }
}

/// Enables MSI with as many of `minvec` to `maxvec` messages as can be had.
#[kframe("drivers/pci/msi/msi.c")]
pub fn __pci_enable_msi_range(
    k: &mut Kernel,
    dev: PciDevId,
    minvec: u32,
    maxvec: u32,
    affd: bool,
) -> Result<u32, Errno> {
    if !pci_msi_supported(k, dev, minvec) {
        return Err(Errno::EINVAL);
    }
    if k.pci_dev(dev).msix_enabled {
        let name = k.dev_name(dev);
        k.log.push(format!("{name}: can't enable MSI (MSI-X already enabled)"));
        return Err(Errno::EINVAL);
    }
    if maxvec < minvec {
        return Err(Errno::ERANGE);
    }
    if k.pci_dev(dev).msi_enabled {
        k.warn_once("WARNING: at drivers/pci/msi/msi.c __pci_enable_msi_range");
        return Err(Errno::EINVAL);
    }
    if !pci_msi_domain_supports(k, dev, 0) {
        return Err(Errno::ENOTSUPP);
    }
    let nvec: u32 = pci_msi_vec_count(k, dev)?;
    if nvec < minvec {
        return Err(Errno::ENOSPC);
    }
    pci_setup_msi_context(k, dev)?;
    if !pci_setup_msi_device_domain(k, dev, nvec) {
        return Err(Errno::ENODEV);
    }
    nvec = nvec.min(maxvec);
    loop {
        if affd {
            let asked = k.pci_dev_mut(dev).msi_setup().affd;
            nvec = irq_calc_affinity_vectors(k, minvec, nvec, &asked);
            if nvec < minvec {
                return Err(Errno::ENOSPC);
            }
        }
        let rc: u32 = call!(msi_capability_init(dev, nvec, affd))?;
        if rc == 0 {
            break;
        }
        if rc < minvec {
            return Err(Errno::ENOSPC);
        }
        nvec = rc;
    }
    Ok(nvec)
}

/// Turns MSI off at the function.
#[kfn("drivers/pci/msi/msi.c")]
pub fn pci_msi_shutdown(k: &mut Kernel, dev: PciDevId) {
    if !k.pci.pci_msi_enable || !k.pci_dev(dev).msi_enabled {
        return;
    }
    pci_msi_set_enable(k, dev, false);
    pci_intx_for_msi(k, dev, true);
    k.pci_dev_mut(dev).msi_enabled = false;

    let Some(desc) = msi_first_desc(k, dev) else {
        k.warn_once("WARNING: at drivers/pci/msi/msi.c pci_msi_shutdown");
        return;
    };
    let mask = msi_multi_mask(k.msi.descs[desc].multi_cap);
    pci_msi_unmask(k, desc, mask);
    let default_irq = k.msi.descs[desc].default_irq;
    k.pci_dev_mut(dev).irq = default_irq;
}

/// Completes a descriptor that has an index, and notes how its entry is masked.
#[kfn("drivers/pci/msi/msi.c")]
pub fn msix_prepare_msi_desc(k: &mut Kernel, dev: PciDevId, desc: &mut MsiDesc) {
    desc.nvec_used = 1;
    desc.is_msix = true;
    desc.is_64 = true;
    desc.default_irq = k.pci_dev(dev).irq;
    desc.mask_base = k.pci_dev(dev).msix_base;
    desc.entry_nr = desc.msi_index as u16;
    if !pci_msi_domain_supports(k, dev, MSI_FLAG_NO_MASK) && !desc.is_virtual {
        desc.can_mask = true;
        desc.masked = msix::table_read(k, dev, desc.msi_index * ENTRY_SIZE + ENTRY_VECTOR_CONTROL, 4) as u32;
    }
}

/// Allocates the descriptors of a function's MSI-X vectors.
#[kfn("drivers/pci/msi/msi.c")]
fn msix_setup_msi_descs(
    k: &mut Kernel,
    dev: PciDevId,
    entries: bool,
    nvec: u32,
    masks: Option<&[IrqAffinityDesc]>,
) -> Result<(), Errno> {
    let vec_count = pci_msix_vec_count(k, dev).unwrap_or(0);
    for i in 0..nvec as usize {
        let chosen = k.pci_dev(dev).msi_setup.as_ref().filter(|_| entries).map(|setup| setup.entries[i]);
        let msi_index = chosen.map_or(i as u32, |chosen| u32::from(chosen.entry));
        let mut desc = MsiDesc {
            msi_index,
            affinity: masks.map(|masks| vec![masks[i].clone()]),
            is_virtual: msi_index >= vec_count,
            ..MsiDesc::default()
        };
        msix_prepare_msi_desc(k, dev, &mut desc);
        msi_domain_insert_msi_desc(k, dev, MSI_DEFAULT_DOMAIN, &desc)?;
    }
    Ok(())
}

/// Tells a driver that chose entries by number which interrupts they got.
#[kfn("drivers/pci/msi/msi.c")]
fn msix_update_entries(k: &mut Kernel, dev: PciDevId, entries: bool) {
    if entries {
        tell_vectors(k, dev, &all_descs(k, dev));
    }
}

/// Masks every entry of the table, in use or not.
#[kfn("drivers/pci/msi/msi.c")]
fn msix_mask_all(k: &mut Kernel, dev: PciDevId, tsize: u32) {
    for entry in 0..tsize {
        msix::table_write(k, dev, entry * ENTRY_SIZE + ENTRY_VECTOR_CONTROL, 4, VECTOR_CONTROL_MASK.into());
    }
}

/// Allocates descriptors and interrupts for MSI-X.
#[kframe("drivers/pci/msi/msi.c")]
fn msix_setup_interrupts(
    k: &mut Kernel,
    dev: PciDevId,
    entries: bool,
    nvec: u32,
    affd: bool,
) -> Result<u32, Errno> {
    if waits_for_hotplug(k, dev, nvec, affd) {
        call!(cpus_read_lock());
    }
    let masks = create_masks(k, dev, nvec, affd);
    k.pci_dev_mut(dev).msi_setup().masks = masks;
    if k.sem.msi_setup_split {
        return call!(__msix_setup_interrupts(dev, entries, nvec));
    }
    call!(try_msix(dev, entries, nvec))
}

/// The attempt of [`msix_setup_interrupts`] (6.15).
#[kframe("drivers/pci/msi/msi.c")]
fn __msix_setup_interrupts(k: &mut Kernel, dev: PciDevId, entries: bool, nvec: u32) -> Result<u32, Errno> {
    let _ = &k;
    call!(try_msix(dev, entries, nvec))
}

#[kframe("drivers/pci/msi/msi.c", part)]
fn try_msix(k: &mut Kernel, dev: PciDevId, entries: bool, nvec: u32) -> Result<u32, Errno> {
    let masks = k.pci_dev_mut(dev).msi_setup().masks.take();
    let ret: Result<u32, Errno> = msix_setup_msi_descs(k, dev, entries, nvec, masks.as_deref()).map(|()| 0);
    if ret == Ok(0) {
        ret = call!(pci_msi_setup_msi_irqs(dev, nvec, PCI_CAP_ID_MSIX));
    }
    if ret == Ok(0)
        && let Err(e) = msi_verify_entries(k, dev)
    {
        ret = Err(e);
    }
    if ret != Ok(0) {
        call!(pci_free_msi_irqs(dev));
        return ret;
    }
    msix_update_entries(k, dev, entries);
    Ok(0)
}

/// Sets up and enables MSI-X. A positive value asks the caller to try again with so many.
#[kframe("drivers/pci/msi/msi.c")]
fn msix_capability_init(
    k: &mut Kernel,
    dev: PciDevId,
    entries: bool,
    nvec: u32,
    affd: bool,
) -> Result<u32, Errno> {
    // Some functions answer in their table only while MSI-X is on.
    pci_msix_clear_and_set_ctrl(k, dev, 0, msix::CONTROL_FUNCTION_MASK | msix::CONTROL_ENABLE);
    k.pci_dev_mut(dev).msix_enabled = true;

    let at = k.pci_dev(dev).msix_cap + PCI_MSIX_FLAGS;
    let tsize: u32 = msix_table_size(pci_read_config_word(k, dev, at));
    let mapped: bool = msix_map_region(k, dev, tsize);
    k.pci_dev_mut(dev).msix_base = mapped;
    let ret: Result<u32, Errno> = Err(Errno::ENOMEM);
    if mapped {
        ret = call!(msix_setup_interrupts(dev, entries, nvec, affd));
    }
    if ret != Ok(0) {
        k.pci_dev_mut(dev).msix_enabled = false;
        pci_msix_clear_and_set_ctrl(k, dev, msix::CONTROL_FUNCTION_MASK | msix::CONTROL_ENABLE, 0);
        return ret;
    }

    pci_intx_for_msi(k, dev, false);
    // What an earlier kernel left in the table must not fire.
    if !pci_msi_domain_supports(k, dev, MSI_FLAG_NO_MASK) {
        msix_mask_all(k, dev, tsize);
    }
    pci_msix_clear_and_set_ctrl(k, dev, msix::CONTROL_FUNCTION_MASK, 0);
    Ok(0)
}

/// Whether entries chosen by number are different ones, and without gaps where the domain needs
/// that.
#[kfn("drivers/pci/msi/msi.c")]
fn pci_msix_validate_entries(k: &mut Kernel, dev: PciDevId, entries: bool, nvec: u32) -> bool {
    if !entries {
        return true;
    }
    let nogap = pci_msi_domain_supports(k, dev, MSI_FLAG_MSIX_CONTIGUOUS);
    let entries = &k.pci_dev_mut(dev).msi_setup().entries;
    let entries = &entries[..entries.len().min(nvec as usize)];
    entries.iter().enumerate().all(|(i, entry)| {
        let duplicate = entries[i + 1..].iter().any(|other| other.entry == entry.entry);
        !duplicate && (!nogap || usize::from(entry.entry) == i)
    })
}

/// Enables MSI-X with as many of `minvec` to `maxvec` vectors as can be had.
#[kframe("drivers/pci/msi/msi.c")]
pub fn __pci_enable_msix_range(
    k: &mut Kernel,
    dev: PciDevId,
    entries: bool,
    minvec: u32,
    maxvec: u32,
    affd: bool,
    flags: u32,
) -> Result<u32, Errno> {
    let nvec: u32 = maxvec;
    if maxvec < minvec {
        return Err(Errno::ERANGE);
    }
    if k.pci_dev(dev).msi_enabled {
        let name = k.dev_name(dev);
        k.log.push(format!("{name}: can't enable MSI-X (MSI already enabled)"));
        return Err(Errno::EINVAL);
    }
    if k.pci_dev(dev).msix_enabled {
        k.warn_once("WARNING: at drivers/pci/msi/msi.c __pci_enable_msix_range");
        return Err(Errno::EINVAL);
    }
    if !pci_msi_domain_supports(k, dev, MSI_FLAG_PCI_MSIX) {
        return Err(Errno::ENOTSUPP);
    }
    if !pci_msi_supported(k, dev, nvec) {
        return Err(Errno::EINVAL);
    }
    let mut hwsize = pci_msix_vec_count(k, dev)?;
    if !pci_msix_validate_entries(k, dev, entries, nvec) {
        return Err(Errno::EINVAL);
    }
    if hwsize < nvec {
        if flags & PCI_IRQ_VIRTUAL != 0 {
            hwsize = nvec;
        } else {
            nvec = hwsize;
        }
    }
    if nvec < minvec {
        return Err(Errno::ENOSPC);
    }
    pci_setup_msi_context(k, dev)?;
    if !pci_setup_msix_device_domain(k, dev, hwsize) {
        return Err(Errno::ENODEV);
    }
    loop {
        if affd {
            let asked = k.pci_dev_mut(dev).msi_setup().affd;
            nvec = irq_calc_affinity_vectors(k, minvec, nvec, &asked);
            if nvec < minvec {
                return Err(Errno::ENOSPC);
            }
        }
        let rc: u32 = call!(msix_capability_init(dev, entries, nvec, affd))?;
        if rc == 0 {
            break;
        }
        if rc < minvec {
            return Err(Errno::ENOSPC);
        }
        nvec = rc;
    }
    Ok(nvec)
}

/// Turns MSI-X off at the function.
#[kfn("drivers/pci/msi/msi.c")]
pub fn pci_msix_shutdown(k: &mut Kernel, dev: PciDevId) {
    if !k.pci.pci_msi_enable || !k.pci_dev(dev).msix_enabled {
        return;
    }
    if k.pci_dev(dev).disconnected {
        k.pci_dev_mut(dev).msix_enabled = false;
        return;
    }
    for desc in all_descs(k, dev) {
        pci_msix_mask(k, desc);
    }
    pci_msix_clear_and_set_ctrl(k, dev, msix::CONTROL_ENABLE, 0);
    pci_intx_for_msi(k, dev, true);
    k.pci_dev_mut(dev).msix_enabled = false;
}

/// Frees the interrupts and descriptors of a function.
#[kframe("drivers/pci/msi/msi.c")]
pub fn pci_free_msi_irqs(k: &mut Kernel, dev: PciDevId) {
    call!(pci_msi_teardown_msi_irqs(dev));
    k.pci_dev_mut(dev).msix_base = false;
}
