//! Binding drivers to PCI functions.
//!
//! drivers/pci/pci-driver.c, with what drivers/base/dd.c asks a driver.

use kcore::base::device::{device_lock, device_unlock};
use kcore::sched::isolation::{HkType, housekeeping_cpumask};
use kfn::kframe;
use kstate::pci::{PCI_ANY_ID, PciDeviceId, PciDriver, ProbeType};
use kstate::sched::{TaskKind, TaskState, WaitOn};
use kstate::{CpuId, CpuMask, Errno, Kernel, NodeId, PciDevId, PciDriverId, TaskId};

/// `pci_match_one_device()`.
fn pci_match_one_device(k: &Kernel, id: &PciDeviceId, dev: PciDevId) -> bool {
    let function = &k.hw.pci[dev.index()];
    let is = |wanted: u32, value: u16| wanted == PCI_ANY_ID || wanted == u32::from(value);
    is(id.vendor, function.vendor_id)
        && is(id.device, function.device_id)
        && (id.class ^ function.class_code) & id.class_mask == 0
}

/// The registered driver whose table has a function, as `__device_attach()` finds it.
pub fn pci_match_driver(k: &Kernel, dev: PciDevId) -> Option<PciDriverId> {
    let known =
        |driver: &&'static PciDriver| driver.id_table.iter().any(|id| pci_match_one_device(k, id, dev));
    k.pci.drivers.iter().position(known).map(|i| PciDriverId(i as u32))
}

/// `driver_allows_async_probing()`, drivers/base/dd.c: the driver of a function is probed beside others
/// at boot.
pub fn driver_allows_async_probing(k: &Kernel, dev: PciDevId) -> bool {
    pci_match_driver(k, dev)
        .is_some_and(|drv| (k.pci.drivers[drv.index()].probe_type)(k) == ProbeType::PreferAsynchronous)
}

/// `__pci_register_driver()`: the driver is known from now on. What it could drive is bound by whoever
/// asks for it.
pub fn pci_register_driver(k: &mut Kernel, driver: &'static PciDriver) {
    k.pci.drivers.push(driver);
}

/// `pci_device_probe()`: binds the driver that matches.
///
/// # Errors
/// `ENODEV` without a driver, `EBUSY` for a function that is bound, and the driver's.
#[kframe("drivers/pci/pci-driver.c")]
pub fn pci_device_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    if pci_match_driver(k, dev).is_none() {
        return Err(Errno::ENODEV);
    }
    call!(device_lock(dev));
    if k.pci_dev(dev).driver.is_some() {
        device_unlock(k, dev);
        return Err(Errno::EBUSY);
    }
    super::pci_assign_irq(k, dev);
    let result: Result<(), Errno> = call!(pci_call_probe(dev));
    if result.is_err() {
        super::pci_device_release_driver(k, dev);
    }
    device_unlock(k, dev);
    result
}

/// `pci_call_probe()`: on a CPU of the device's node, where it has one.
#[kframe("drivers/pci/pci-driver.c")]
fn pci_call_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let cpu: Option<CpuId> = probe_cpu(k, dev);
    if cpu.is_none() {
        return call!(local_pci_probe(dev));
    }
    let worker: TaskId = k.spawn(
        TaskKind::Kworker,
        cpu.unwrap_or_default(),
        local_pci_probe(dev).frame,
        &["work_for_cpu_fn", "process_one_work", "worker_thread", "kthread"],
    );
    wait_until!(matches!(k.sched.tasks[worker.index()].state, TaskState::Done(_)), WaitOn::Exit(worker));
    let TaskState::Done(value) = k.sched.tasks[worker.index()].state else { return Err(Errno::EINVAL) };
    kstate::sched::Slot::from_slot(value)
}

/// Where `work_on_cpu()` probes; `None` for here.
fn probe_cpu(k: &Kernel, dev: PciDevId) -> Option<CpuId> {
    let node = u32::try_from(k.pci_dev(dev).node).ok()?;
    let cpus = k.topo.node_cpus.get(NodeId(node).index())?;
    let allowed: CpuMask = if k.sem.probe_on_housekeeping_cpu {
        housekeeping_cpumask(k, HkType::Domain)
    } else {
        k.topo.online.clone()
    };
    cpus.first_and(&allowed)
}

/// `local_pci_probe()`.
#[kframe("drivers/pci/pci-driver.c")]
fn local_pci_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let Some(found) = pci_match_driver(k, dev) else { return Err(Errno::ENODEV) };
    let drv: PciDriverId = found;
    k.pci_dev_mut(dev).driver = Some(drv);
    let result: Result<(), Errno> = call!((k.pci.drivers[drv.index()].probe)(k, dev));
    if result.is_err() {
        k.pci_dev_mut(dev).driver = None;
    }
    result
}

/// `pci_device_remove()`, and the release of the device's resources that follows it in
/// `device_release_driver()`.
#[kframe("drivers/pci/pci-driver.c")]
pub fn pci_device_remove(k: &mut Kernel, dev: PciDevId) {
    call!(device_lock(dev));
    let Some(drv) = k.pci_dev(dev).driver else {
        device_unlock(k, dev);
        return;
    };
    call!((k.pci.drivers[drv.index()].remove)(k, dev));
    if k.pci_dev(dev).driver.is_some() {
        k.pci_dev_mut(dev).driver = None;
        super::pci_device_release_driver(k, dev);
    }
    device_unlock(k, dev);
}
