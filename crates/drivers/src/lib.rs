//! Drivers and the devices that they drive: NVMe, virtio-blk, virtio-net, virtio-scsi, drivers of which only
//! the interrupts count, a module for experiments, and the block layer between a disk's driver and a reader.
//!
//! # Architecture
//! `*/hw.rs` is hardware: registers, queues and what the device does on its own, under the names of
//! its specification. It is reached by register accesses and by events, and never calls the
//! kernel. The other modules are kernel code, one module per C file, above
//! [`pcimsi`]. A driver has a folder to itself. Nobody knows it but the tables here: a device is found
//! by the word for it in a machine file ([`DEVICES`]), a driver by the table of devices that it registers
//! when the kernel starts, and [`block`] calls it through its operations.
//!
//! # What it doesn't implement
//! Data, file systems, the page cache, power management, hot removal without notice.

// DEVIATION: of block/ this is left out: software queues and what a scheduler does with requests (one goes to
// the driver, or in order to `hctx->dispatch`, from where a worker takes it), plugs with more than one
// request, merging, flushes, budgets, tags that queues share and their fair shares (hctx_may_queue()),
// batched completions, I/O accounting, the choice of a CPU for a queue's work (blk_mq_hctx_next_cpu()), and
// that q_usage_counter is counted per CPU.
pub mod block;
pub mod net_core;
pub mod nvme;
pub mod profile;
pub mod test;
pub mod virtio;
pub mod virtio_blk;
pub mod virtio_net;
pub mod virtio_scsi;

use kstate::Kernel;
use kstate::hw::pci::DeviceModel;
use pcimsi::kernel::pci_driver::pci_register_driver;

/// Every kind of device that a machine file can name, but for those with a driver of [`profile::table`].
pub const DEVICES: [&DeviceModel; 5] = [
    &nvme::hw::MODEL,
    &virtio_blk::hw::MODEL,
    &virtio_net::hw::MODEL,
    &virtio_scsi::hw::MODEL,
    &test::hw::MODEL,
];

/// What block/ and the drivers do once when the kernel starts, in its link order: drivers/virtio,
/// drivers/block, drivers/nvme, drivers/scsi, drivers/net. Every driver registers itself, and one with a
/// [`profile`] when it is loaded.
const INITCALLS: [fn(&mut Kernel); 7] = [
    block::blk_mq::blk_mq_init,
    |k| pci_register_driver(k, &virtio::pci_common::VIRTIO_PCI_DRIVER),
    virtio_blk::init,
    nvme::pci::nvme_init,
    virtio_scsi::virtio_scsi_init,
    virtio_net::virtio_net_driver_init,
    test::init,
];

/// `do_initcalls()`; belongs behind `boot_cpu_init()`.
pub fn init(k: &mut Kernel) {
    for initcall in INITCALLS {
        initcall(k);
    }
}

/// What must hold between the devices, their drivers and the block layer.
///
/// # Errors
/// The first claim that does not hold.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    block::check_invariants(k)?;
    nvme::check_invariants(k)
}
