//! drivers/pci/msi.c, as long as all functions share one domain.

use irqcore::affinity::irq_calc_affinity_vectors;
use irqcore::msi::{alloc_msi_entry, free_msi_entry};
use kcore::cpu::cpus_read_lock;
use kfn::{kfn, kframe};
use kstate::irqchip::IRQCHIP_ONESHOT_SAFE;
use kstate::irqdesc::Irqd;
use kstate::msi::{
    DOMAIN_BUS_PCI_MSI, MSI_FLAG_ACTIVATE_EARLY, MSI_FLAG_LEVEL_CAPABLE, MSI_FLAG_MULTI_PCI_MSI,
    MSI_FLAG_MUST_REACTIVATE, MSI_FLAG_PCI_MSIX, MSI_FLAG_USE_DEF_CHIP_OPS, MSI_FLAG_USE_DEF_DOM_OPS,
    MsiDomainInfo, MsiMsg, pci_msi_domain_calc_hwirq,
};
use kstate::{CpuMask, DomainId, Errno, Irq, Kernel, MsiDescId, PciDevId};

use crate::hw::msix::{
    ENTRY_ADDRESS_HI, ENTRY_ADDRESS_LO, ENTRY_DATA, ENTRY_VECTOR_CONTROL, VECTOR_CONTROL_MASK,
};
use crate::hw::{hw_point, msi, msix};
use crate::kernel::access::{
    pci_read_config_dword, pci_read_config_word, pci_write_config_dword, pci_write_config_word, readl, writel,
};
use crate::kernel::msi::{
    PCI_CAP_ID_MSI, PCI_CAP_ID_MSIX, PCI_MSI_ADDRESS_HI, PCI_MSI_ADDRESS_LO, PCI_MSI_DATA_32,
    PCI_MSI_DATA_64, PCI_MSI_FLAGS, PCI_MSI_FLAGS_QMASK, PCI_MSI_FLAGS_QSIZE, PCI_MSI_MASK_32,
    PCI_MSI_MASK_64, PCI_MSIX_FLAGS, create_masks, hierarchical_domain, msix_map_region, pci_intx_for_msi,
    pci_msi_domain_write_msg, pci_msi_set_enable, pci_msi_supported, pci_msi_vec_count,
    pci_msix_clear_and_set_ctrl, pci_msix_vec_count, tell_vectors, waits_for_hotplug,
};
use crate::kernel::{PCI_IRQ_VIRTUAL, msi_multi_mask, msix_table_size};

/// Sets up interrupts for the descriptors of a function. A positive value asks the caller to try
/// again with so many.
#[kframe("drivers/pci/msi.c")]
fn pci_msi_setup_msi_irqs(k: &mut Kernel, dev: PciDevId, nvec: u32, kind: u32) -> Result<u32, Errno> {
    let domain: Option<DomainId> = hierarchical_domain(k, dev);
    if domain.is_some() {
        return call!(irqcore::msi::msi_domain_alloc_irqs(domain.unwrap_or_default(), dev, nvec));
    }
    call!(arch_setup_msi_irqs(dev, nvec, kind))
}

/// Frees the interrupts of a function's descriptors.
#[kframe("drivers/pci/msi.c")]
fn pci_msi_teardown_msi_irqs(k: &mut Kernel, dev: PciDevId) {
    let domain: Option<DomainId> = hierarchical_domain(k, dev);
    if domain.is_some() {
        call!(irqcore::msi::msi_domain_free_irqs(domain.unwrap_or_default(), dev));
    } else {
        call!(arch_teardown_msi_irqs(dev));
    }
}

/// What x86 puts in the place of the weak function: `x86_msi.setup_msi_irqs`.
#[kframe("arch/x86/kernel/x86_init.c")]
pub fn arch_setup_msi_irqs(k: &mut Kernel, dev: PciDevId, nvec: u32, kind: u32) -> Result<u32, Errno> {
    let _ = &k;
    call!(x86apic::kernel::msi::native_setup_msi_irqs(dev, nvec, kind))
}

/// What x86 puts in the place of the weak function: `x86_msi.teardown_msi_irq`.
#[kframe("arch/x86/kernel/x86_init.c")]
pub fn arch_teardown_msi_irq(k: &mut Kernel, irq: Irq) {
    let _ = &k;
    call!(x86apic::kernel::msi::native_teardown_msi_irq(irq));
}

/// The `i`th interrupt of a descriptor, if it has so many.
fn nth_irq(k: &Kernel, entry: MsiDescId, i: u32) -> Option<Irq> {
    let desc = &k.msi.descs[entry];
    desc.irq.filter(|_| i < desc.nvec_used).map(|irq| Irq(irq.0 + i))
}

/// Frees the interrupts of a function one by one.
#[kframe("drivers/pci/msi.c")]
pub fn default_teardown_msi_irqs(k: &mut Kernel, dev: PciDevId) {
    let mut n: usize = 0;
    let mut i: u32 = 0;
    while n < k.pci_dev(dev).msi_list.len() {
        let irq: Option<Irq> = nth_irq(k, k.pci_dev(dev).msi_list[n], i);
        if irq.is_none() {
            n += 1;
            i = 0;
        } else {
            i += 1;
            call!(arch_teardown_msi_irq(irq.unwrap_or_default()));
        }
    }
}

/// What x86 puts in the place of the weak function: `x86_msi.teardown_msi_irqs`.
#[kframe("arch/x86/kernel/x86_init.c")]
pub fn arch_teardown_msi_irqs(k: &mut Kernel, dev: PciDevId) {
    let _ = &k;
    call!(default_teardown_msi_irqs(dev));
}

/// Writes the mask bits of an MSI capability and returns them.
#[kfn("drivers/pci/msi.c")]
pub fn __pci_msi_desc_mask_irq(k: &mut Kernel, desc: MsiDescId, mask: u32, flag: u32) -> u32 {
    let d = &k.msi.descs[desc];
    if k.pci.pci_msi_ignore_mask || !d.can_mask {
        return 0;
    }
    let mask_bits = d.masked & !mask | flag;
    let (dev, pos) = (d.dev, d.mask_pos);
    pci_write_config_dword(k, dev, pos, mask_bits);
    mask_bits
}

/// Changes the mask bits of an MSI capability.
#[kfn("drivers/pci/msi.c")]
fn msi_mask_irq(k: &mut Kernel, desc: MsiDescId, mask: u32, flag: u32) {
    let masked = __pci_msi_desc_mask_irq(k, desc, mask, flag);
    k.msi.descs[desc].masked = masked;
}

/// Writes the vector control of an MSI-X entry and returns it.
#[kfn("drivers/pci/msi.c")]
pub fn __pci_msix_desc_mask_irq(k: &mut Kernel, desc: MsiDescId, flag: u32) -> u32 {
    let d = &k.msi.descs[desc];
    if k.pci.pci_msi_ignore_mask || d.is_virtual {
        return 0;
    }
    let mut mask_bits = d.masked & !VECTOR_CONTROL_MASK;
    if flag != 0 {
        mask_bits |= VECTOR_CONTROL_MASK;
    }
    writel(k, mask_bits, desc, ENTRY_VECTOR_CONTROL);
    mask_bits
}

/// Masks or unmasks an MSI-X entry.
#[kfn("drivers/pci/msi.c")]
fn msix_mask_irq(k: &mut Kernel, desc: MsiDescId, flag: u32) {
    let masked = __pci_msix_desc_mask_irq(k, desc, flag);
    k.msi.descs[desc].masked = masked;
}

/// Masks or unmasks an interrupt, MSI or MSI-X.
#[kfn("drivers/pci/msi.c")]
fn msi_set_mask_bit(k: &mut Kernel, data: Irqd, flag: u32) {
    let Some(desc) = k.irq_get_msi_desc(data.irq) else { return };
    if k.msi.descs[desc].is_msix {
        msix_mask_irq(k, desc, flag);
        // Reading the table waits until the write has arrived.
        readl(k, desc, ENTRY_ADDRESS_LO);
    } else {
        let offset = data.irq.0 - k.msi.descs[desc].irq.unwrap_or(data.irq).0;
        msi_mask_irq(k, desc, 1 << offset, flag << offset);
    }
}

/// `irq_mask` of PCI/MSI chips.
#[kfn("drivers/pci/msi.c")]
pub fn pci_msi_mask_irq(k: &mut Kernel, data: Irqd) {
    msi_set_mask_bit(k, data, 1);
}

/// `irq_unmask` of PCI/MSI chips.
#[kfn("drivers/pci/msi.c")]
pub fn pci_msi_unmask_irq(k: &mut Kernel, data: Irqd) {
    msi_set_mask_bit(k, data, 0);
}

/// Writes a message to the function, register by register.
#[kfn("drivers/pci/msi.c")]
pub fn __pci_write_msi_msg(k: &mut Kernel, entry: MsiDescId, msg: &MsiMsg) {
    let desc = &k.msi.descs[entry];
    let (dev, is_msix, is_virtual) = (desc.dev, desc.is_msix, desc.is_virtual);
    let (is_64, multiple) = (desc.is_64, desc.multiple);
    let &MsiMsg { address_lo, address_hi, data } = msg;
    if k.pci_dev(dev).disconnected {
        // Nothing answers any more.
    } else if is_msix {
        if !is_virtual {
            writel(k, address_lo, entry, ENTRY_ADDRESS_LO);
            hw_point(k, dev);
            writel(k, address_hi, entry, ENTRY_ADDRESS_HI);
            hw_point(k, dev);
            writel(k, data, entry, ENTRY_DATA);
        }
    } else {
        let pos = k.pci_dev(dev).msi_cap;
        let msgctl = pci_read_config_word(k, dev, pos + PCI_MSI_FLAGS) & !PCI_MSI_FLAGS_QSIZE;
        pci_write_config_word(k, dev, pos + PCI_MSI_FLAGS, msgctl | u16::from(multiple) << 4);
        pci_write_config_dword(k, dev, pos + PCI_MSI_ADDRESS_LO, address_lo);
        hw_point(k, dev);
        if is_64 {
            pci_write_config_dword(k, dev, pos + PCI_MSI_ADDRESS_HI, address_hi);
            hw_point(k, dev);
            pci_write_config_word(k, dev, pos + PCI_MSI_DATA_64, data as u16);
        } else {
            pci_write_config_word(k, dev, pos + PCI_MSI_DATA_32, data as u16);
        }
    }
    k.msi.descs[entry].msg = *msg;
}

/// Frees the interrupts and descriptors of a function.
#[kframe("drivers/pci/msi.c")]
pub(super) fn free_msi_irqs(k: &mut Kernel, dev: PciDevId) {
    for &entry in &k.pci_dev(dev).msi_list.clone() {
        let desc = &k.msi.descs[entry];
        let Some(irq) = desc.irq else { continue };
        let used =
            (0..desc.nvec_used).any(|i| k.find_desc(Irq(irq.0 + i)).is_some_and(|d| !d.action.is_empty()));
        if used {
            k.bug("kernel BUG at drivers/pci/msi.c free_msi_irqs");
        }
    }
    call!(pci_msi_teardown_msi_irqs(dev));
    let list = core::mem::take(&mut k.pci_dev_mut(dev).msi_list);
    for entry in list {
        free_msi_entry(k, entry);
    }
}

/// Allocates the descriptor of a function's MSIs. It is not in the device's list yet.
#[kfn("drivers/pci/msi.c")]
fn msi_setup_entry(k: &mut Kernel, dev: PciDevId, nvec: u32, affd: bool) -> MsiDescId {
    let masks = create_masks(k, dev, nvec, affd);
    let entry = alloc_msi_entry(k, dev, nvec, masks.as_deref());
    let pos = k.pci_dev(dev).msi_cap;
    let control = pci_read_config_word(k, dev, pos + PCI_MSI_FLAGS);
    let default_irq = k.pci_dev(dev).irq;
    let is_64 = control & msi::CONTROL_64BIT != 0;
    let mask_pos = pos + if is_64 { PCI_MSI_MASK_64 } else { PCI_MSI_MASK_32 };
    let can_mask = control & msi::CONTROL_MASKABLE != 0;
    let masked = if can_mask { pci_read_config_dword(k, dev, mask_pos) } else { 0 };
    let desc = &mut k.msi.descs[entry];
    desc.is_64 = is_64;
    desc.can_mask = can_mask;
    desc.default_irq = default_irq;
    desc.multi_cap = ((control & PCI_MSI_FLAGS_QMASK) >> 1) as u8;
    desc.multiple = nvec.next_power_of_two().trailing_zeros() as u8;
    desc.mask_pos = mask_pos;
    desc.masked = masked;
    entry
}

/// `msi_verify_entries()`.
fn msi_verify_entries(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let d = k.pci_dev(dev);
    if d.no_64bit_msi && d.msi_list.iter().any(|&entry| k.msi.descs[entry].msg.address_hi != 0) {
        let name = k.dev_name(dev);
        k.log.push(format!("{name}: Device has broken 64-bit MSI but arch tried to assign one above 4G"));
        return Err(Errno::EIO);
    }
    Ok(())
}

/// Sets up and enables MSI. A positive value asks the caller to try again with so many.
#[kframe("drivers/pci/msi.c")]
fn msi_capability_init(k: &mut Kernel, dev: PciDevId, nvec: u32, affd: bool) -> Result<u32, Errno> {
    pci_msi_set_enable(k, dev, false);
    if waits_for_hotplug(k, dev, nvec, affd) {
        call!(cpus_read_lock());
    }
    let entry: MsiDescId = msi_setup_entry(k, dev, nvec, affd);

    let mask: u32 = msi_multi_mask(k.msi.descs[entry].multi_cap);
    msi_mask_irq(k, entry, mask, mask);
    k.pci_dev_mut(dev).msi_list.push(entry);

    let ret: Result<u32, Errno> = call!(pci_msi_setup_msi_irqs(dev, nvec, PCI_CAP_ID_MSI));
    if ret == Ok(0)
        && let Err(e) = msi_verify_entries(k, dev)
    {
        ret = Err(e);
    }
    if ret != Ok(0) {
        msi_mask_irq(k, entry, mask, !mask);
        call!(free_msi_irqs(dev));
        return ret;
    }

    pci_intx_for_msi(k, dev, false);
    pci_msi_set_enable(k, dev, true);
    let irq = k.msi.descs[entry].irq.unwrap_or_default();
    let function = k.pci_dev_mut(dev);
    function.msi_enabled = true;
    function.irq = irq.0;
    Ok(0)
}

/// Allocates the descriptors of a function's MSI-X vectors.
#[kfn("drivers/pci/msi.c")]
fn msix_setup_entries(k: &mut Kernel, dev: PciDevId, entries: bool, nvec: u32, affd: bool) {
    let vec_count = pci_msix_vec_count(k, dev).unwrap_or(0);
    let masks = create_masks(k, dev, nvec, affd);
    for i in 0..nvec as usize {
        let curmsk = masks.as_ref().map(|masks| &masks[i..=i]);
        let entry = alloc_msi_entry(k, dev, 1, curmsk);
        let default_irq = k.pci_dev(dev).irq;
        let chosen = k.pci_dev(dev).msi_setup.as_ref().filter(|_| entries).map(|setup| setup.entries[i]);
        let desc = &mut k.msi.descs[entry];
        desc.is_msix = true;
        desc.is_64 = true;
        desc.entry_nr = chosen.map_or(i as u16, |chosen| chosen.entry);
        desc.is_virtual = u32::from(desc.entry_nr) >= vec_count;
        desc.default_irq = default_irq;
        desc.mask_base = true;
        k.pci_dev_mut(dev).msi_list.push(entry);
    }
}

/// Masks every entry that is in use, and notes how it was.
#[kfn("drivers/pci/msi.c")]
fn msix_program_entries(k: &mut Kernel, dev: PciDevId, entries: bool) {
    let list = k.pci_dev(dev).msi_list.clone();
    if entries {
        tell_vectors(k, dev, &list);
    }
    for entry in list {
        let masked = if k.msi.descs[entry].is_virtual { 0 } else { readl(k, entry, ENTRY_VECTOR_CONTROL) };
        k.msi.descs[entry].masked = masked;
        msix_mask_irq(k, entry, 1);
    }
}

/// Sets up and enables MSI-X. A positive value asks the caller to try again with so many.
#[kframe("drivers/pci/msi.c")]
fn msix_capability_init(
    k: &mut Kernel,
    dev: PciDevId,
    entries: bool,
    nvec: u32,
    affd: bool,
) -> Result<u32, Errno> {
    pci_msix_clear_and_set_ctrl(k, dev, msix::CONTROL_ENABLE, 0);
    let control = pci_read_config_word(k, dev, k.pci_dev(dev).msix_cap + PCI_MSIX_FLAGS);
    if !msix_map_region(k, dev, msix_table_size(control)) {
        return Err(Errno::ENOMEM);
    }
    if waits_for_hotplug(k, dev, nvec, affd) {
        call!(cpus_read_lock());
    }
    msix_setup_entries(k, dev, entries, nvec, affd);

    let ret: Result<u32, Errno> = call!(pci_msi_setup_msi_irqs(dev, nvec, PCI_CAP_ID_MSIX));
    if ret.is_err() {
        // What has been allocated so far tells the caller what to ask for.
        let list = &k.pci_dev(dev).msi_list;
        let avail = list.iter().filter(|&&entry| k.msi.descs[entry].irq.is_some()).count();
        if avail != 0 {
            ret = Ok(avail as u32);
        }
    } else if ret == Ok(0)
        && let Err(e) = msi_verify_entries(k, dev)
    {
        ret = Err(e);
    }
    if ret != Ok(0) {
        call!(free_msi_irqs(dev));
        return ret;
    }

    // Some functions answer in their table only while MSI-X is on.
    pci_msix_clear_and_set_ctrl(k, dev, 0, msix::CONTROL_FUNCTION_MASK | msix::CONTROL_ENABLE);
    msix_program_entries(k, dev, entries);

    pci_intx_for_msi(k, dev, false);
    k.pci_dev_mut(dev).msix_enabled = true;
    pci_msix_clear_and_set_ctrl(k, dev, msix::CONTROL_FUNCTION_MASK, 0);
    Ok(0)
}

/// Turns MSI off at the function.
#[kfn("drivers/pci/msi.c")]
pub(super) fn pci_msi_shutdown(k: &mut Kernel, dev: PciDevId) {
    if !k.pci.pci_msi_enable || !k.pci_dev(dev).msi_enabled {
        return;
    }
    let Some(&desc) = k.pci_dev(dev).msi_list.first() else { return };
    pci_msi_set_enable(k, dev, false);
    pci_intx_for_msi(k, dev, true);
    k.pci_dev_mut(dev).msi_enabled = false;

    let mask = msi_multi_mask(k.msi.descs[desc].multi_cap);
    __pci_msi_desc_mask_irq(k, desc, mask, !mask);
    let default_irq = k.msi.descs[desc].default_irq;
    k.pci_dev_mut(dev).irq = default_irq;
}

/// Enables MSI-X with exactly `nvec` vectors. A positive value says how many could be had.
#[kframe("drivers/pci/msi.c")]
fn __pci_enable_msix(
    k: &mut Kernel,
    dev: PciDevId,
    entries: bool,
    nvec: u32,
    affd: bool,
    flags: u32,
) -> Result<u32, Errno> {
    if !pci_msi_supported(k, dev, nvec) {
        return Err(Errno::EINVAL);
    }
    let nr_entries = pci_msix_vec_count(k, dev)?;
    if nvec > nr_entries && flags & PCI_IRQ_VIRTUAL == 0 {
        return Ok(nr_entries);
    }
    if entries {
        let chosen = &k.pci_dev_mut(dev).msi_setup().entries[..nvec as usize];
        for (i, entry) in chosen.iter().enumerate() {
            let duplicate = chosen[i + 1..].iter().any(|other| other.entry == entry.entry);
            if u32::from(entry.entry) >= nr_entries || duplicate {
                return Err(Errno::EINVAL);
            }
        }
    }
    if k.pci_dev(dev).msi_enabled {
        let name = k.dev_name(dev);
        k.log.push(format!("{name}: can't enable MSI-X (MSI IRQ already assigned)"));
        return Err(Errno::EINVAL);
    }
    call!(msix_capability_init(dev, entries, nvec, affd))
}

/// Turns MSI-X off at the function.
#[kfn("drivers/pci/msi.c")]
pub(super) fn pci_msix_shutdown(k: &mut Kernel, dev: PciDevId) {
    if !k.pci.pci_msi_enable || !k.pci_dev(dev).msix_enabled {
        return;
    }
    if k.pci_dev(dev).disconnected {
        k.pci_dev_mut(dev).msix_enabled = false;
        return;
    }
    // The descriptors keep the state they had, for a restore.
    for entry in k.pci_dev(dev).msi_list.clone() {
        __pci_msix_desc_mask_irq(k, entry, 1);
    }
    pci_msix_clear_and_set_ctrl(k, dev, msix::CONTROL_ENABLE, 0);
    pci_intx_for_msi(k, dev, true);
    k.pci_dev_mut(dev).msix_enabled = false;
}

/// Enables MSI with as many of `minvec` to `maxvec` messages as can be had.
#[kframe("drivers/pci/msi.c")]
pub(super) fn __pci_enable_msi_range(
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
        k.warn_once("WARNING: at drivers/pci/msi.c __pci_enable_msi_range");
        return Err(Errno::EINVAL);
    }
    let nvec: u32 = pci_msi_vec_count(k, dev)?;
    if nvec < minvec {
        return Err(Errno::ENOSPC);
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

/// Enables MSI-X with as many of `minvec` to `maxvec` vectors as can be had.
#[kframe("drivers/pci/msi.c")]
pub(super) fn __pci_enable_msix_range(
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
    if k.pci_dev(dev).msix_enabled {
        k.warn_once("WARNING: at drivers/pci/msi.c __pci_enable_msix_range");
        return Err(Errno::EINVAL);
    }
    loop {
        if affd {
            let asked = k.pci_dev_mut(dev).msi_setup().affd;
            nvec = irq_calc_affinity_vectors(k, minvec, nvec, &asked);
            if nvec < minvec {
                return Err(Errno::ENOSPC);
            }
        }
        let rc: u32 = call!(__pci_enable_msix(dev, entries, nvec, affd, flags))?;
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

/// The interrupt of a vector.
#[kfn("drivers/pci/msi.c")]
pub fn pci_irq_vector(k: &mut Kernel, dev: PciDevId, nr: u32) -> Result<Irq, Errno> {
    let d = k.pci_dev(dev);
    let found = if d.msix_enabled {
        let entry = d.msi_list.get(nr as usize);
        entry.map(|&entry| k.msi.descs[entry].irq.unwrap_or_default().0)
    } else {
        let vectors = match d.msi_list.first() {
            Some(&entry) if d.msi_enabled => k.msi.descs[entry].nvec_used,
            _ => 1,
        };
        (nr < vectors).then(|| d.irq + nr)
    };
    match found {
        Some(irq) => Ok(Irq(irq)),
        None => {
            k.warn_once("WARNING: at drivers/pci/msi.c pci_irq_vector");
            Err(Errno::EINVAL)
        }
    }
}

/// The CPUs a vector was spread to.
#[kfn("drivers/pci/msi.c")]
pub fn pci_irq_get_affinity(k: &mut Kernel, dev: PciDevId, nr: u32) -> Option<CpuMask> {
    let d = k.pci_dev(dev);
    let (entry, index) = if d.msix_enabled {
        (d.msi_list.get(nr as usize), 0)
    } else if d.msi_enabled {
        (d.msi_list.first(), nr as usize)
    } else {
        return Some(k.topo.possible.clone());
    };
    let msix = d.msix_enabled;
    let affinity = entry.map(|&entry| &k.msi.descs[entry].affinity);
    match affinity {
        Some(Some(masks)) if index < masks.len() => Some(masks[index].mask.clone()),
        // An MSI-X vector without a mask is not worth a warning.
        Some(_) if msix => None,
        _ => {
            k.warn_once("WARNING: at drivers/pci/msi.c pci_irq_get_affinity");
            None
        }
    }
}

fn pci_msi_desc_is_multi_msi(k: &Kernel, desc: MsiDescId) -> bool {
    let desc = &k.msi.descs[desc];
    !desc.is_msix && desc.nvec_used > 1
}

/// Whether a domain can do what a function asks for: 1 when it cannot do several MSIs.
#[kfn("drivers/pci/msi.c")]
pub fn pci_msi_domain_check_cap(k: &mut Kernel, domain: DomainId, dev: PciDevId) -> Result<u32, Errno> {
    let flags = k.domain(domain).msi.as_ref().map_or(0, |info| info.flags);
    let Some(&desc) = k.pci_dev(dev).msi_list.first() else { return Ok(0) };
    if pci_msi_desc_is_multi_msi(k, desc) && flags & MSI_FLAG_MULTI_PCI_MSI == 0 {
        return Ok(1);
    }
    if k.msi.descs[desc].is_msix && flags & MSI_FLAG_PCI_MSIX == 0 {
        return Err(Errno::ENOTSUPP);
    }
    Ok(0)
}

/// What a failed allocation means: several MSIs are tried again as one.
#[kfn("drivers/pci/msi.c")]
fn pci_msi_domain_handle_error(
    k: &mut Kernel,
    domain: DomainId,
    desc: MsiDescId,
    error: Errno,
) -> Result<u32, Errno> {
    let _ = domain;
    if pci_msi_desc_is_multi_msi(k, desc) && error == Errno::ENOSPC { Ok(1) } else { Err(error) }
}

fn pci_msi_domain_set_desc(k: &mut Kernel, arg: &mut kstate::irqdomain::IrqAllocInfo, desc: MsiDescId) {
    arg.desc = Some(desc);
    arg.hwirq = pci_msi_domain_calc_hwirq(k, desc);
}

/// Fills in the domain callbacks that the architecture left out.
#[kfn("drivers/pci/msi.c")]
fn pci_msi_domain_update_dom_ops(k: &mut Kernel, info: &mut MsiDomainInfo) {
    let _ = &k;
    info.ops.set_desc.get_or_insert(pci_msi_domain_set_desc);
    info.ops.msi_check.get_or_insert(pci_msi_domain_check_cap);
    info.ops.handle_error.get_or_insert(pci_msi_domain_handle_error);
}

/// Fills in the chip callbacks that the architecture left out.
#[kfn("drivers/pci/msi.c")]
fn pci_msi_domain_update_chip_ops(k: &mut Kernel, info: &mut MsiDomainInfo) {
    let chip = &mut k.irq.chips[info.chip.index()];
    chip.irq_write_msi_msg.get_or_insert(pci_msi_domain_write_msg);
    chip.irq_mask.get_or_insert(pci_msi_mask_irq);
    chip.irq_unmask.get_or_insert(pci_msi_unmask_irq);
}

/// Creates the PCI/MSI domain on top of `parent`.
#[kfn("drivers/pci/msi.c")]
pub fn pci_msi_create_irq_domain(
    k: &mut Kernel,
    fwnode: &str,
    info: MsiDomainInfo,
    parent: DomainId,
) -> Option<DomainId> {
    let mut info = info;
    if info.flags & MSI_FLAG_LEVEL_CAPABLE != 0 {
        k.warn("WARNING: at drivers/pci/msi.c pci_msi_create_irq_domain");
        info.flags &= !MSI_FLAG_LEVEL_CAPABLE;
    }
    if info.flags & MSI_FLAG_USE_DEF_DOM_OPS != 0 {
        pci_msi_domain_update_dom_ops(k, &mut info);
    }
    if info.flags & MSI_FLAG_USE_DEF_CHIP_OPS != 0 {
        pci_msi_domain_update_chip_ops(k, &mut info);
    }
    info.flags |= MSI_FLAG_ACTIVATE_EARLY | MSI_FLAG_MUST_REACTIVATE;
    k.irq.chips[info.chip.index()].flags |= IRQCHIP_ONESHOT_SAFE;
    let domain = irqcore::msi::msi_create_irq_domain(k, fwnode, info, parent)?;
    irqcore::irqdomain::irq_domain_update_bus_token(k, domain, DOMAIN_BUS_PCI_MSI);
    Some(domain)
}
