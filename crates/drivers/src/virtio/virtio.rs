//! The virtio bus: devices, their status, and how a driver meets one.
//!
//! drivers/virtio/virtio.c of 5.4 and 6.12.

use kcore::base::dd;
use kfn::{kfn, kframe};
use kstate::data::Data;
use kstate::hw::virtio::{
    STATUS_ACKNOWLEDGE, STATUS_DRIVER, STATUS_DRIVER_OK, STATUS_FAILED, STATUS_FEATURES_OK,
};
use kstate::virtio::VirtioDriver;
use kstate::{CpuMask, Errno, Kernel, VirtioDriverId, VirtioId};

use super::{pci_common, pci_modern};

/// `VIRTIO_TRANSPORT_F_START` and above: these features belong to ring and transport, not to the
/// driver.
const TRANSPORT_FEATURES: u64 = !0 << 28;

/// `register_virtio_driver()`: the driver is known from now on.
pub fn register_virtio_driver(k: &mut Kernel, driver: &'static VirtioDriver) {
    k.virtio.drivers.push(driver);
}

/// `virtio_dev_match()`: the registered driver whose table has the device.
fn virtio_dev_match(k: &Kernel, id: VirtioId) -> Option<VirtioDriverId> {
    let device = k.virtio.dev(id).device;
    let known = |driver: &&'static VirtioDriver| driver.id_table.contains(&device);
    k.virtio.drivers.iter().position(known).map(|i| VirtioDriverId(i as u32))
}

/// `virtio_add_status`.
pub fn virtio_add_status(k: &mut Kernel, id: VirtioId, status: u8) {
    let status = status | pci_modern::vp_get_status(k, id);
    pci_modern::vp_set_status(k, id, status);
}

/// `virtio_device_ready`.
pub fn virtio_device_ready(k: &mut Kernel, id: VirtioId) {
    virtio_add_status(k, id, STATUS_DRIVER_OK);
}

/// `virtio_irq_get_affinity()`: the bus's answer to which CPUs the interrupt of a queue is for.
pub fn virtio_irq_get_affinity(k: &mut Kernel, id: VirtioId, irq_vec: u32) -> Option<CpuMask> {
    pci_common::vp_get_vq_affinity(k, id, irq_vec)
}

/// The configuration has changed: tells the driver now, or when it is ready.
#[kfn("drivers/virtio/virtio.c")]
pub fn virtio_config_changed(k: &mut Kernel, id: VirtioId) {
    let dev = k.virtio.dev_mut(id);
    if !dev.config_enabled {
        dev.config_change_pending = true;
    } else if let Some(changed) = k.virtio.driver(id).and_then(|driver| driver.config_changed) {
        changed(k, id);
    }
}

/// `virtio_config_enable`, later `virtio_config_core_enable`.
fn virtio_config_enable(k: &mut Kernel, id: VirtioId) {
    let dev = k.virtio.dev_mut(id);
    dev.config_enabled = true;
    if core::mem::take(&mut dev.config_change_pending) {
        virtio_config_changed(k, id);
    }
}

/// `virtio_features_ok`: the device has the last word on the features.
fn virtio_features_ok(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    virtio_add_status(k, id, STATUS_FEATURES_OK);
    let status = pci_modern::vp_get_status(k, id);
    if status & STATUS_FEATURES_OK == 0 {
        let name = k.vdev_name(id);
        k.pr_warn(format!("{name}: virtio: device refuses features: {status:x}"));
        return Err(Errno::ENODEV);
    }
    Ok(())
}

/// Up to the driver's own probe: agrees on features.
fn negotiate(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    virtio_add_status(k, id, STATUS_DRIVER);
    let offered = pci_modern::vp_get_features(k, id);
    // The ring takes what it knows of the transport's features, all the device offers.
    let understood = k.virtio.driver(id).map_or(0, |driver| driver.feature_table);
    k.virtio.dev_mut(id).features = offered & (understood | TRANSPORT_FEATURES);
    pci_modern::vp_finalize_features(k, id)?;
    virtio_features_ok(k, id)
}

/// The bus's probe: agrees on features and calls the driver's probe.
#[kframe("drivers/virtio/virtio.c")]
fn virtio_dev_probe(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let Some(found) = k.virtio.dev(id).driver else { return Err(Errno::ENODEV) };
    let drv: VirtioDriverId = found;
    let mut probed: Result<(), Errno> = negotiate(k, id);
    if probed.is_ok() {
        probed = call!((k.virtio.drivers[drv.index()].probe)(id));
    }
    if probed.is_err() {
        virtio_add_status(k, id, STATUS_FAILED);
        return probed;
    }
    if pci_modern::vp_get_status(k, id) & STATUS_DRIVER_OK == 0 {
        virtio_device_ready(k, id);
    }
    virtio_config_enable(k, id);
    probed
}

/// The bus's remove: calls the driver's.
#[kframe("drivers/virtio/virtio.c")]
pub fn virtio_dev_remove(k: &mut Kernel, id: VirtioId) {
    k.virtio.dev_mut(id).config_enabled = false;
    let Some(drv) = k.virtio.dev(id).driver else { return };
    call!((k.virtio.drivers[drv.index()].remove)(id));
    if pci_modern::vp_get_status(k, id) != 0 {
        k.warn_once("WARNING: at drivers/virtio/virtio.c virtio_dev_remove");
    }
    virtio_add_status(k, id, STATUS_ACKNOWLEDGE);
}

/// Registers the device; `device_add` finds its driver. That the driver's probe fails is no error
/// of the registration.
#[kframe("drivers/virtio/virtio.c")]
pub fn register_virtio_device(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let index = (0..).find(|i| !k.virtio.virtio_index_ida.contains(i)).unwrap_or_default();
    k.virtio.virtio_index_ida.insert(index);
    k.virtio.dev_mut(id).index = index;
    call!(pci_modern::vp_reset(id));
    virtio_add_status(k, id, STATUS_ACKNOWLEDGE);
    k.virtio.dev_mut(id).driver = virtio_dev_match(k, id);
    if k.virtio.dev(id).driver.is_none() {
        return Ok(());
    }
    let probed: Result<(), Errno> = call!(virtio_dev_probe(id));
    if let Err(e) = probed {
        let driver = k.virtio.driver(id).map_or("", |driver| driver.name);
        dd::call_driver_probe(k, driver, &format!("virtio{}", k.virtio.dev(id).index), e);
        let dev = k.virtio.dev_mut(id);
        dev.driver = None;
        dev.drvdata = Data::default();
    }
    Ok(())
}

/// Unregisters the device.
#[kframe("drivers/virtio/virtio.c")]
pub fn unregister_virtio_device(k: &mut Kernel, id: VirtioId) {
    if k.virtio.dev(id).driver.is_some() {
        call!(virtio_dev_remove(id));
    }
    let index = k.virtio.dev(id).index;
    k.virtio.virtio_index_ida.remove(&index);
}
