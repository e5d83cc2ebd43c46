//! The lock of a device.
//!
//! C file: include/linux/device.h of 5.4 and 6.12.

use kfn::kframe;
use kstate::sched::WaitOn;
use kstate::{Kernel, PciDevId};

/// `device_lock()`: drivers are bound and unbound one at a time.
#[kframe("include/linux/device.h")]
pub fn device_lock(k: &mut Kernel, dev: PciDevId) {
    wait_until!(!k.pci_dev(dev).device_lock.is_locked(), WaitOn::DeviceLock(dev));
    let owner = k.cur.task;
    k.pci_dev_mut(dev).device_lock.lock(owner);
}

/// `device_unlock()`.
pub fn device_unlock(k: &mut Kernel, dev: PciDevId) {
    k.pci_dev_mut(dev).device_lock.unlock();
    k.wake(WaitOn::DeviceLock(dev));
}
