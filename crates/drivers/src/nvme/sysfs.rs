//! The files of /sys/class/nvme/nvmeN (drivers/nvme/host/sysfs.c of 6.12, the end of core.c of
//! 5.4).

use kfn::kframe;
use kstate::sched::Call;
use kstate::{Errno, Kernel, NvmeId};

use super::core;

/// The files of a controller.
pub const FILES: [&str; 9] = [
    "address",
    "firmware_rev",
    "model",
    "queue_count",
    "rescan_controller",
    "reset_controller",
    "serial",
    "sqsize",
    "state",
];

/// The controller with this name, such as `nvme0`.
pub fn find(k: &Kernel, name: &str) -> Option<NvmeId> {
    k.nvme.by_instance(name.strip_prefix("nvme")?.parse().ok()?)
}

/// All controllers, in the order of `ls`.
pub fn names(k: &Kernel) -> Vec<String> {
    let mut names: Vec<String> =
        k.nvme.devs.iter().filter(|d| d.bound).map(|d| format!("nvme{}", d.instance)).collect();
    names.sort();
    names
}

/// Reads a file. None of them asks the device: what they show was remembered when it was
/// identified.
///
/// # Errors
/// `ENOENT` for a file that does not exist, `EACCES` for one that can only be written.
pub fn read(k: &Kernel, ctrl: NvmeId, file: &str) -> Result<String, Errno> {
    let d = k.nvme.dev(ctrl);
    let text = match file {
        "address" => k.pci_dev(d.dev).name(),
        "firmware_rev" => format!("{:<8}", "1.0"),
        "model" => format!("{:<40}", "irqlab NVMe Ctrl"),
        "queue_count" => d.queue_count.to_string(),
        "serial" => format!("{:<20}", d.serial),
        "sqsize" => d.q_depth.saturating_sub(1).to_string(),
        "state" => d.state.name().to_owned(),
        "rescan_controller" | "reset_controller" => return Err(Errno::EACCES),
        _ => return Err(Errno::ENOENT),
    };
    Ok(text + "\n")
}

/// Writes a file; the frame does the work.
///
/// # Errors
/// `ENOENT` for a file that does not exist, `EACCES` for one that can only be read.
pub fn write(k: &Kernel, ctrl: NvmeId, file: &str, text: &str) -> Result<Call<Result<(), Errno>>, Errno> {
    // What is written does not matter.
    let _ = text;
    match file {
        "reset_controller" => Ok(nvme_sysfs_reset(ctrl)),
        "rescan_controller" => Ok(nvme_sysfs_rescan(ctrl)),
        _ => match read(k, ctrl, file) {
            Ok(_) => Err(Errno::EACCES),
            Err(e) => Err(e),
        },
    }
}

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
