//! Binding a driver to a device, and letting it go.
//!
//! C file: drivers/base/dd.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::pci::ProbeType;
use kstate::sched::Call;
use kstate::{Errno, Kernel, PciDevId};

use super::device::{device_lock, device_unlock};

/// `driver_allows_async_probing()`: the driver of a device is probed beside others at boot.
pub fn driver_allows_async_probing(k: &Kernel, dev: PciDevId) -> bool {
    let drv = k.pci.bus.and_then(|bus| (bus.matching)(k, dev));
    drv.is_some_and(|drv| (k.pci.drivers[drv.index()].probe_type)(k) == ProbeType::PreferAsynchronous)
}

/// Binds a device to the driver that its bus finds for it.
///
/// # Errors
/// `ENODEV` without a bus or a driver, `EBUSY` for a device that is bound, and the driver's.
#[kframe("drivers/base/dd.c")]
pub fn device_driver_attach(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    if k.pci.bus.is_none_or(|bus| (bus.matching)(k, dev).is_none()) {
        return Err(Errno::ENODEV);
    }
    call!(device_lock(dev));
    let ret: Result<(), Errno> = Err(Errno::EBUSY);
    if k.pci_dev(dev).driver.is_none() {
        ret = call!(really_probe(dev));
    }
    device_unlock(k, dev);
    ret
}

#[kframe("drivers/base/dd.c")]
fn really_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let ret: Result<(), Errno> = call!(bus_probe(k, dev));
    if let Err(e) = ret {
        let name = k.pci_dev(dev).name();
        if let Some(drv) = k.pci.bus.and_then(|bus| (bus.matching)(k, dev)) {
            call_driver_probe(k, k.pci.drivers[drv.index()].name, &name, e);
        }
        device_unbind_cleanup(k, dev);
    }
    ret
}

/// What this function, of 5.4 the end of `really_probe()`, says of a driver that matched and whose probe failed.
/// One that turns the device down or asks for another try says nothing.
pub fn call_driver_probe(k: &mut Kernel, driver: &str, device: &str, e: Errno) {
    let code = e.code();
    match e {
        Errno::ENODEV | Errno::ENXIO | Errno::EPROBE_DEFER => {}
        _ if k.sem.probe_failure_by_dev_err => {
            k.pr_warn(format!("{driver} {device}: probe with driver {driver} failed with error {code}"));
        }
        _ => k.pr_warn(format!("{driver}: probe of {device} failed with error {code}")),
    }
}

/// `dev->bus->probe()`.
fn bus_probe(k: &Kernel, dev: PciDevId) -> Call<Result<(), Errno>> {
    k.pci.bus.map_or_else(no_bus, |bus| (bus.probe)(dev))
}

#[kframe("drivers/base/dd.c", part)]
fn no_bus(k: &mut Kernel) -> Result<(), Errno> {
    Err(Errno::ENODEV)
}

/// `device_unbind_cleanup()`, of 5.4 a piece of its callers: releases what the driver has taken through the
/// device, as `devres_release_all()` does.
pub fn device_unbind_cleanup(k: &mut Kernel, dev: PciDevId) {
    if k.pci_dev(dev).msi_data.is_some() {
        irqcore::msi::msi_device_data_release(k, dev);
    }
}

/// Lets a device go. Nothing happens to one that is not bound.
#[kframe("drivers/base/dd.c")]
pub fn device_release_driver(k: &mut Kernel, dev: PciDevId) {
    call!(device_lock(dev));
    if k.pci_dev(dev).driver.is_some() {
        call!(device_remove(k, dev));
        if k.pci_dev(dev).driver.is_some() {
            k.pci_dev_mut(dev).driver = None;
            device_unbind_cleanup(k, dev);
        }
    }
    device_unlock(k, dev);
}

/// `device_remove()`: through the bus.
fn device_remove(k: &Kernel, dev: PciDevId) -> Call<()> {
    k.pci.bus.map_or_else(not_bound, |bus| (bus.remove)(dev))
}

#[kframe("drivers/base/dd.c", part)]
fn not_bound(k: &mut Kernel) {}
