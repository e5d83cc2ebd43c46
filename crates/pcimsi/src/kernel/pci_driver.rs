//! Binding drivers to PCI functions.
//!
//! C file: drivers/pci/pci-driver.c of 5.4 and 6.12.

use kcore::base::bus::bus_register;
use kcore::sched::isolation::{HkType, housekeeping_cpumask};
use kcore::workqueue::{schedule_work_on, work_on_cpu, wq_unbound_cpumask};
use kfn::kframe;
use kstate::pci::{BusType, PCI_ANY_ID, PciDeviceId, PciDriver};
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
pub fn pci_bus_match(k: &Kernel, dev: PciDevId) -> Option<PciDriverId> {
    let known =
        |driver: &&'static PciDriver| driver.id_table.iter().any(|id| pci_match_one_device(k, id, dev));
    k.pci.drivers.iter().position(known).map(|i| PciDriverId(i as u32))
}

/// `__pci_register_driver()`: the driver is known from now on. What it could drive is bound by whoever
/// asks for it.
pub fn pci_register_driver(k: &mut Kernel, driver: &'static PciDriver) {
    k.pci.drivers.push(driver);
}

/// `pci_device_irq_get_affinity()`: the bus's answer to which CPUs a vector of a function is for.
pub fn pci_device_irq_get_affinity(k: &mut Kernel, dev: PciDevId, irq_vec: u32) -> Option<CpuMask> {
    super::pci_irq_get_affinity(k, dev, irq_vec)
}

/// `pci_bus_type`.
pub static PCI_BUS_TYPE: BusType =
    BusType { name: "pci", matching: pci_bus_match, probe: pci_device_probe, remove: pci_device_remove };

/// `pci_driver_init()`: the driver core knows the bus.
pub fn pci_driver_init(k: &mut Kernel) {
    bus_register(k, &PCI_BUS_TYPE);
}

/// `pci_device_probe()`: binds the driver that matches.
///
/// # Errors
/// The driver's.
#[kframe("drivers/pci/pci-driver.c")]
fn pci_device_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    super::pci_assign_irq(k, dev);
    call!(pci_call_probe(dev))
}

/// `pci_call_probe()`: on a CPU of the device's node, where it has one.
#[kframe("drivers/pci/pci-driver.c")]
fn pci_call_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let cpu: Option<CpuId> = probe_cpu(k, dev);
    if cpu.is_none() {
        return call!(local_pci_probe(dev));
    }
    let on = cpu.unwrap_or_default();
    // The work has a result, as that of work_on_cpu() has: its queue, `sync_wq`, changes nothing here.
    let probe = if k.sem.pci_probe_wq { local_pci_probe_callback(dev) } else { local_pci_probe(dev) };
    let worker: TaskId = schedule_work_on(k, on, probe);
    call!(work_on_cpu(worker))
}

/// `local_pci_probe_callback()`: the work that probes (7.0).
#[kframe("drivers/pci/pci-driver.c")]
fn local_pci_probe_callback(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let _ = &k;
    call!(local_pci_probe(dev))
}

/// Where `work_on_cpu()` probes; `None` for here.
fn probe_cpu(k: &Kernel, dev: PciDevId) -> Option<CpuId> {
    let node = u32::try_from(k.pci_dev(dev).node).ok()?;
    let cpus = k.topo.node_cpus.get(NodeId(node).index())?;
    let allowed: CpuMask = match k.sem.probe_on_housekeeping_cpu {
        true if k.sem.pci_probe_wq => housekeeping_cpumask(k, HkType::Domain),
        true => wq_unbound_cpumask(k),
        false => k.topo.online.clone(),
    };
    cpus.first_and(&allowed)
}

/// `local_pci_probe()`.
#[kframe("drivers/pci/pci-driver.c")]
fn local_pci_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let Some(found) = pci_bus_match(k, dev) else { return Err(Errno::ENODEV) };
    let drv: PciDriverId = found;
    k.pci_dev_mut(dev).driver = Some(drv);
    let result: Result<(), Errno> = call!((k.pci.drivers[drv.index()].probe)(k, dev));
    if result.is_err() {
        k.pci_dev_mut(dev).driver = None;
    }
    result
}

/// `pci_device_remove()`: the driver lets the function go.
#[kframe("drivers/pci/pci-driver.c")]
fn pci_device_remove(k: &mut Kernel, dev: PciDevId) {
    let Some(found) = k.pci_dev(dev).driver else { return };
    let drv: PciDriverId = found;
    call!((k.pci.drivers[drv.index()].remove)(k, dev));
}
