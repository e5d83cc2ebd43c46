//! The files of a driver by which devices are bound and let go.
//!
//! C file: drivers/base/bus.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::kstrtox::sysfs_streq;
use kstate::pci::BusType;
use kstate::{Errno, Kernel, PciDevId};

use super::dd::{device_driver_attach, device_release_driver};

/// The bus is known from now on.
pub fn bus_register(k: &mut Kernel, bus: &'static BusType) {
    k.pci.bus = Some(bus);
}

/// `bus_find_device_by_name()`: the name is compared by `sysfs_streq()`.
pub fn bus_find_device_by_name(k: &Kernel, text: &str) -> Option<PciDevId> {
    let name = text.strip_suffix('\n').unwrap_or(text);
    k.find_pci_dev(name).filter(|&dev| sysfs_streq(k.pci_dev(dev).name().as_bytes(), text.as_bytes()))
}

/// What writing to the `bind` file of a driver does. 5.4 asks before it takes the device's lock whether it is
/// bound, and no error of a probe comes back from `really_probe()`.
#[kframe("drivers/base/bus.c")]
pub fn bind_store(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let result: Result<(), Errno> = call!(device_driver_attach(dev));
    if k.sem.bind_reports_errors {
        // device_driver_attach() hands no deferred probe out.
        return result.map_err(|e| if e == Errno::EPROBE_DEFER { Errno::EAGAIN } else { e });
    }
    result.map_err(|_| Errno::ENODEV)
}

/// What writing to the `unbind` file of a driver does.
#[kframe("drivers/base/bus.c")]
pub fn unbind_store(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    call!(device_release_driver(dev));
    Ok(())
}
