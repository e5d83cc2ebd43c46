//! What is asked of one kind of controller by `nvme.quirks=` (7.3).
//!
//! C file: drivers/nvme/host/pci.c of 7.3; the names are `nvme_quirk_name()` in nvme.h. No controller of these
//! machines has a quirk in the driver's own table.

use kstate::kstrtox::kstrtouint;
use kstate::nvme::NvmeQuirkEntry;
use kstate::{Errno, Kernel, NvmeId};

use super::d;

/// `NVME_QUIRK_QDEPTH_ONE`: a queue holds one command.
pub(super) const NVME_QUIRK_QDEPTH_ONE: u32 = 1 << 6;
/// `NVME_QUIRK_SINGLE_VECTOR`: all queues use the first vector.
pub(super) const NVME_QUIRK_SINGLE_VECTOR: u32 = 1 << 11;
/// `NVME_QUIRK_BROKEN_MSI`: MSI is not used.
pub(super) const NVME_QUIRK_BROKEN_MSI: u32 = 1 << 21;

/// The names of all quirks, the one of bit 0 first.
const NAMES: [&str; 24] = [
    "stripe_size",
    "identify_cns",
    "deallocate_zeroes",
    "delay_before_chk_rdy",
    "no_apst",
    "no_deepest_ps",
    "qdepth_one",
    "medium_prio_sq",
    "ignore_dev_subnqn",
    "disable_write_zeroes",
    "simple_suspend",
    "single_vector",
    "128_bytes_sqes",
    "shared_tags",
    "no_temp_thresh_change",
    "no_ns_desc_list",
    "dma_address_bits_48",
    "skip_cid_gen",
    "bogus_nid",
    "no_secondary_temp_thresh",
    "force_no_simple_suspend",
    "broken_msi",
    "dmapool_align_512",
    "admin_page_align",
];

/// Room for the text, with the zero behind it.
const MAXLEN: usize = 128;

/// `nvme_parse_quirk_names()`: names with commas between them, each with a `^` in front where the quirk is
/// to be switched off. An empty one ends the list.
fn nvme_parse_quirk_names(k: &mut Kernel, text: &str, entry: &mut NvmeQuirkEntry) -> Result<(), Errno> {
    for field in text.split(',').take_while(|field| !field.is_empty()) {
        let (name, disabled) = field.strip_prefix('^').map_or((field, false), |name| (name, true));
        let Some(bit) = NAMES.iter().position(|known| *known == name) else {
            k.log.push(format!("nvme: unrecognized quirk {name}"));
            return Err(Errno::EINVAL);
        };
        let quirks = if disabled { &mut entry.disabled_quirks } else { &mut entry.enabled_quirks };
        *quirks |= 1 << bit;
    }
    Ok(())
}

/// `nvme_parse_quirk_entry()`: vendor and device in hexadecimal digits and the names.
fn nvme_parse_quirk_entry(k: &mut Kernel, text: &str) -> Result<NvmeQuirkEntry, Errno> {
    let mut fields = text.split(':');
    let mut number = || {
        let n = kstrtouint(fields.next().ok_or(Errno::EINVAL)?.as_bytes(), 16)?;
        u16::try_from(n).map_err(|_| Errno::EINVAL)
    };
    let (vendor_id, dev_id) = (number()?, number()?);
    let mut entry = NvmeQuirkEntry { vendor_id, dev_id, ..NvmeQuirkEntry::default() };
    nvme_parse_quirk_names(k, fields.next().ok_or(Errno::EINVAL)?, &mut entry)?;
    Ok(entry)
}

/// `nvme.quirks=` (`quirks_param_set()`): entries such as `1b36:0010:single_vector`, with a dash between
/// them.
///
/// # Errors
/// `ENOSPC` for a text that is too long, `EINVAL` for one that cannot be read: what was there stays.
pub fn quirks_param_set(k: &mut Kernel, value: Option<&str>) -> Result<(), Errno> {
    let value = value.ok_or(Errno::EINVAL)?;
    if value.len() + 1 > MAXLEN {
        k.log.push(format!("nvme.quirks: string doesn't fit in {} chars.", MAXLEN - 1));
        return Err(Errno::ENOSPC);
    }
    if value.is_empty() {
        return Ok(());
    }
    let mut list = Vec::new();
    for field in value.split('-') {
        let Ok(entry) = nvme_parse_quirk_entry(k, field) else {
            k.log.push(format!("nvme: failed to parse quirk string {value}"));
            return Err(Errno::EINVAL);
        };
        list.push(entry);
    }
    k.params.nvme_pci_quirk_list = list;
    Ok(())
}

/// The quirks of a controller, `dev->ctrl.quirks`: only the parameter gives a controller any.
pub(super) fn detect_dynamic_quirks(k: &Kernel, id: NvmeId) -> u32 {
    if k.params.nvme_pci_quirk_list.is_empty() {
        return 0;
    }
    let function = &k.hw.pci[d(k, id).dev.index()];
    let mut list = k.params.nvme_pci_quirk_list.iter();
    let entry =
        list.find(|entry| (entry.vendor_id, entry.dev_id) == (function.vendor_id, function.device_id));
    entry.map_or(0, |entry| entry.enabled_quirks & !entry.disabled_quirks)
}
