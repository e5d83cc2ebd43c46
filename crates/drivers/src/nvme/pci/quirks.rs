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

/// The names of all quirks, the one of bit 0 first, and whether the quirk is modelled or changes nothing
/// that is.
const NAMES: [(&str, bool); 24] = [
    ("stripe_size", true),
    ("identify_cns", false),
    ("deallocate_zeroes", true),
    ("delay_before_chk_rdy", false),
    ("no_apst", true),
    ("no_deepest_ps", true),
    ("qdepth_one", true),
    ("medium_prio_sq", false),
    ("ignore_dev_subnqn", true),
    ("disable_write_zeroes", true),
    ("simple_suspend", true),
    ("single_vector", true),
    ("128_bytes_sqes", false),
    ("shared_tags", false),
    ("no_temp_thresh_change", true),
    ("no_ns_desc_list", false),
    ("dma_address_bits_48", true),
    ("skip_cid_gen", true),
    ("bogus_nid", false),
    ("no_secondary_temp_thresh", true),
    ("force_no_simple_suspend", true),
    ("broken_msi", true),
    ("dmapool_align_512", true),
    ("admin_page_align", true),
];

/// Room for the text, with the zero behind it.
const MAXLEN: usize = 128;

/// `nvme_parse_quirk_names()`: names with commas between them, each with a `^` in front where the quirk is
/// to be switched off. An empty one ends the list.
fn nvme_parse_quirk_names(k: &mut Kernel, text: &str, entry: &mut NvmeQuirkEntry) -> Result<(), Errno> {
    for field in text.split(',').take_while(|field| !field.is_empty()) {
        let (name, disabled) = field.strip_prefix('^').map_or((field, false), |name| (name, true));
        let Some(bit) = NAMES.iter().position(|(known, _)| *known == name) else {
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

/// Why a value of `nvme.quirks=` cannot be had here.
pub fn quirks_refused(value: Option<&str>) -> Option<String> {
    let fields = value?.split('-').filter_map(|entry| entry.split(':').nth(2));
    let mut names = fields.flat_map(|names| names.split(',')).map(|name| name.trim_start_matches('^'));
    let refused = |name: &&str| NAMES.iter().any(|(known, modelled)| known == name && !modelled);
    names.find(refused).map(|name| format!("the quirk {name} changes commands that are not modelled"))
}

/// The quirks of a controller, `dev->ctrl.quirks`. Only the parameter gives a controller any, by
/// `detect_dynamic_quirks()`.
pub(super) fn quirks(k: &Kernel, id: NvmeId) -> u32 {
    if k.params.nvme_pci_quirk_list.is_empty() {
        return 0;
    }
    let function = &k.hw.pci[d(k, id).dev.index()];
    let mut list = k.params.nvme_pci_quirk_list.iter();
    let entry =
        list.find(|entry| (entry.vendor_id, entry.dev_id) == (function.vendor_id, function.device_id));
    entry.map_or(0, |entry| entry.enabled_quirks & !entry.disabled_quirks)
}
