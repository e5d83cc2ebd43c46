//! The files of /sys/class/nvme/nvmeN (drivers/nvme/host/sysfs.c of 6.12, the end of core.c of
//! 5.4).

use kfn::kframe;
use kstate::sched::Call;
use kstate::{Errno, Kernel, NvmeId};

use super::core;

/// A file of a controller (`DEVICE_ATTR()`). No read asks the device: what the files show was remembered when
/// it was identified.
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// Its text without the line's end, where it can be read.
    pub show: Option<fn(&Kernel, NvmeId) -> String>,
    /// Writes it, where it can be written. What is written does not matter to any of them.
    pub store: Option<fn(NvmeId) -> Call<Result<(), Errno>>>,
}

impl Attribute {
    const fn ro(name: &'static str, show: fn(&Kernel, NvmeId) -> String) -> Self {
        Self { name, show: Some(show), store: None }
    }

    const fn wo(name: &'static str, store: fn(NvmeId) -> Call<Result<(), Errno>>) -> Self {
        Self { name, show: None, store: Some(store) }
    }
}

/// `nvme_dev_attrs`: the files of every controller, in the order of `ls`.
pub static NVME_DEV_ATTRS: [Attribute; 11] = [
    Attribute::ro("address", |k, ctrl| k.pci_dev(k.nvme.dev(ctrl).dev).name()),
    // A subsystem has one controller here.
    Attribute::ro("cntlid", |_, _| "0".to_owned()),
    Attribute::ro("firmware_rev", |_, _| format!("{:<8}", "1.0")),
    Attribute::ro("model", |_, _| format!("{:<40}", "irqlab NVMe Ctrl")),
    Attribute::ro("queue_count", |k, ctrl| k.nvme.dev(ctrl).queue_count.to_string()),
    Attribute::wo("rescan_controller", nvme_sysfs_rescan),
    Attribute::wo("reset_controller", nvme_sysfs_reset),
    Attribute::ro("serial", |k, ctrl| format!("{:<20}", k.nvme.dev(ctrl).serial)),
    Attribute::ro("sqsize", |k, ctrl| k.nvme.dev(ctrl).q_depth.saturating_sub(1).to_string()),
    Attribute::ro("state", |k, ctrl| k.nvme.dev(ctrl).state.name().to_owned()),
    Attribute::ro("transport", |_, _| "pcie".to_owned()),
];

/// `nvme_sysfs_reset()`: resets the controller and waits for the end of it.
///
/// # Errors
/// `EBUSY` for a controller that is being reset or removed, `ENETRESET` when it is not live
/// afterwards.
#[kframe("drivers/nvme/host/sysfs.c")]
fn nvme_sysfs_reset(k: &mut Kernel, ctrl: NvmeId) -> Result<(), Errno> {
    call!(core::nvme_reset_ctrl_sync(ctrl))
}

/// `nvme_sysfs_rescan()`: starts a scan and does not wait for it.
///
/// # Errors
/// None.
#[kframe("drivers/nvme/host/sysfs.c")]
fn nvme_sysfs_rescan(k: &mut Kernel, ctrl: NvmeId) -> Result<(), Errno> {
    core::nvme_queue_scan(k, ctrl);
    Ok(())
}
