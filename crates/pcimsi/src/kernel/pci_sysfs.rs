//! Files of PCI functions below /sys/bus/pci/devices.
//!
//! C file: drivers/pci/pci-sysfs.c of 5.4, 6.12 and 7.3.

use kcore::base::device::{device_lock, device_unlock};
use kfn::kframe;
use kstate::kstrtox::{kstrtoint, kstrtoull};
use kstate::{Errno, Kernel, PciDevId};

use super::pci::{pci_disable_device, pci_enable_device};

/// `numa_node_store()`: says which node a function is close to, in place of the firmware. Interrupts that are allocated from
/// then on prefer CPUs of that node, unless their driver has them spread.
///
/// # Errors
/// `EINVAL` for what is no number, and for a node that is not there; 5.4 has `ERANGE` for a number that is too large.
pub fn numa_node_store(k: &mut Kernel, dev: PciDevId, text: &str) -> Result<(), Errno> {
    let parsed = kstrtoint(text.as_bytes(), 0);
    let node = if k.sem.pci_store_einval { parsed.map_err(|_| Errno::EINVAL)? } else { parsed? };
    let there = u32::try_from(node).is_ok_and(|node| node < k.topo.nr_node_ids);
    if node != -1 && !there {
        return Err(Errno::EINVAL);
    }
    if k.sem.numa_node_store_skips_same && node == k.pci_dev(dev).node {
        return Ok(());
    }
    let name = k.dev_name(dev);
    k.log.push(format!(
        "{name}: [Firmware Bug]: Overriding NUMA node to {node}.  Contact your vendor for updates."
    ));
    k.pci_dev_mut(dev).node = node;
    Ok(())
}

/// `msi_bus_store()`: says whether drivers that are bound from now on get MSI or MSI-X from a function. Who has them keeps
/// them.
///
/// # Errors
/// `EINVAL` for what is no number.
pub fn msi_bus_store(k: &mut Kernel, dev: PciDevId, text: &str) -> Result<(), Errno> {
    let val = kstrtoull(text.as_bytes(), 0).map_err(|_| Errno::EINVAL)? != 0;
    k.pci_dev_mut(dev).no_msi = !val;
    let name = k.dev_name(dev);
    let allowed = if val { "allowed" } else { "disallowed" };
    k.log.push(format!("{name}: MSI/MSI-X {allowed} for future drivers"));
    Ok(())
}

/// Enables a function that has no driver, or takes it out of use: what is written to its file `enable`, read as a number.
///
/// # Errors
/// `EBUSY` for a function with a driver, `EIO` for one that is not enabled, and those of mapping its interrupt.
#[kframe("drivers/pci/pci-sysfs.c")]
pub fn enable_store(k: &mut Kernel, dev: PciDevId, val: bool) -> Result<(), Errno> {
    call!(device_lock(dev));
    let result: Result<(), Errno> = Ok(());
    if k.pci_dev(dev).driver.is_some() {
        result = Err(Errno::EBUSY);
    } else if val {
        result = pci_enable_device(k, dev);
    } else if k.pci_dev(dev).enable_cnt > 0 {
        call!(pci_disable_device(dev));
    } else {
        result = Err(Errno::EIO);
    }
    device_unlock(k, dev);
    result
}
