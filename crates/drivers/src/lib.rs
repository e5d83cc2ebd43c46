//! NVMe and virtio-blk: the devices and their Linux drivers, the block layer between them and a
//! reader, and a module for experiments. How a driver is bound follows drivers/pci/pci-driver.c.
//!
//! # Architecture
//! `*/hw.rs` is hardware: registers, queues and what the device does on its own, under the names of
//! its specification. It is reached by register accesses and by events, and never calls the
//! kernel. The other modules are kernel code, one module per C file, above
//! [`pcimsi`]. [`block`] calls the drivers through the operations table in
//! `kstate::blk`.
//!
//! # What it doesn't implement
//! Data, file systems, the page cache, power management, hot removal without notice.

pub mod block;
pub mod nvme;
pub mod test;
pub mod virtio;

use kcore::base::device::{device_lock, device_unlock};
use kcore::sched::isolation::{HkType, housekeeping_cpumask};
use kfn::kframe;
use kstate::pci::PciDriver;
use kstate::sched::{Call, TaskKind, TaskState, WaitOn};
use kstate::semantics::NvmeProbe;
use kstate::{CpuId, CpuMask, Errno, Kernel, NodeId, NvmeId, PciDevId, TaskId, VirtioId};

/// Which driver matches a function, by what answers behind it.
fn match_driver(k: &Kernel, dev: PciDevId) -> Option<PciDriver> {
    if let Some(i) = k.hw.nvme.iter().position(|c| c.dev == dev) {
        return Some(PciDriver::Nvme(NvmeId(i as u32)));
    }
    if test::matches(k, dev) {
        return Some(PciDriver::Test);
    }
    let i = k.hw.virtio.iter().position(|v| v.dev == dev)?;
    Some(PciDriver::VirtioPci(VirtioId(i as u32)))
}

/// The directory of a driver under /sys/bus/pci/drivers.
pub const fn driver_name(driver: PciDriver) -> &'static str {
    match driver {
        PciDriver::Nvme(_) => "nvme",
        PciDriver::VirtioPci(_) => "virtio-pci",
        PciDriver::Test => test::NAME,
    }
}

/// The name of the driver that matches a function; empty when there is none.
pub fn driver_of(k: &Kernel, dev: PciDevId) -> &'static str {
    match_driver(k, dev).map_or("", driver_name)
}

/// `driver_allows_async_probing()`, drivers/base/dd.c: whether the driver of a function is probed
/// beside others at boot. Since 6.2 nvme's is, which does everything in its probe.
pub fn probes_asynchronously(k: &Kernel, dev: PciDevId) -> bool {
    k.sem.nvme_probe == NvmeProbe::Synchronous && matches!(match_driver(k, dev), Some(PciDriver::Nvme(_)))
}

/// `pci_device_probe()`: binds the driver that matches.
///
/// # Errors
/// `ENODEV` without a driver, `EBUSY` for a function that is bound, and the driver's.
#[kframe("drivers/pci/pci-driver.c")]
pub fn pci_device_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    if match_driver(k, dev).is_none() {
        return Err(Errno::ENODEV);
    }
    call!(device_lock(dev));
    if k.pci_dev(dev).driver.is_some() {
        device_unlock(k, dev);
        return Err(Errno::EBUSY);
    }
    pcimsi::kernel::pci_assign_irq(k, dev);
    let result: Result<(), Errno> = call!(pci_call_probe(dev));
    if result.is_err() {
        pcimsi::kernel::pci_device_release_driver(k, dev);
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
    k.pci_dev_mut(dev).driver = match_driver(k, dev);
    let result: Result<(), Errno> = call!(probe_of(k, dev));
    if result.is_err() {
        k.pci_dev_mut(dev).driver = None;
    }
    result
}

/// `pci_drv->probe`.
fn probe_of(k: &Kernel, dev: PciDevId) -> Call<Result<(), Errno>> {
    match k.pci_dev(dev).driver {
        Some(PciDriver::Nvme(_)) => nvme::nvme_probe(k, dev),
        Some(PciDriver::Test) => test::test_probe(dev),
        _ => virtio::virtio_pci_probe(dev),
    }
}

/// `pci_device_remove()`, and the release of the device's resources that follows it in
/// `device_release_driver()`.
#[kframe("drivers/pci/pci-driver.c")]
pub fn pci_device_remove(k: &mut Kernel, dev: PciDevId) {
    call!(device_lock(dev));
    let driver = k.pci_dev(dev).driver;
    match driver {
        Some(PciDriver::Nvme(_)) => call!(nvme::nvme_remove(k, dev)),
        Some(PciDriver::VirtioPci(_)) => call!(virtio::virtio_pci_remove(dev)),
        Some(PciDriver::Test) => call!(test::test_remove(dev)),
        None => {}
    }
    if k.pci_dev(dev).driver.is_some() {
        k.pci_dev_mut(dev).driver = None;
        pcimsi::kernel::pci_device_release_driver(k, dev);
    }
    device_unlock(k, dev);
}

/// What block/ does once when the kernel starts (`subsys_initcall()`); belongs behind `boot_cpu_init()`.
pub fn init(k: &mut Kernel) {
    block::blk_mq::blk_mq_init(k);
}

/// What must hold between the devices, their drivers and the block layer.
///
/// # Errors
/// The first claim that does not hold.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    block::check_invariants(k)?;
    nvme::check_invariants(k)
}
