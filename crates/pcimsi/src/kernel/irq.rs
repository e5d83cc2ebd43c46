//! drivers/pci/irq.c of 5.4 and 6.12.

use kfn::{kfn, kframe};
use kstate::irqchip::Handler;
use kstate::irqdesc::DevId;
use kstate::{Errno, Irq, Kernel, PciDevId};

use super::pci_irq_vector;

const IRQF_SHARED: u32 = 0x80;
const IRQF_ONESHOT: u32 = 0x2000;

/// Requests the interrupt of a vector. It may be shared.
///
/// # Errors
/// `EINVAL` when there is no such vector, and those of `request_threaded_irq`.
#[kfn("drivers/pci/irq.c")]
pub fn pci_request_irq(
    k: &mut Kernel,
    dev: PciDevId,
    nr: u32,
    handler: Option<Handler>,
    thread_fn: Option<Handler>,
    dev_id: DevId,
    devname: &str,
) -> Result<(), Errno> {
    let mut irqflags = IRQF_SHARED;
    if handler.is_none() {
        irqflags |= IRQF_ONESHOT;
    }
    let irq = pci_irq_vector(k, dev, nr)?;
    irqcore::manage::request_threaded_irq(k, irq, handler, thread_fn, irqflags, devname, dev_id)
}

/// Gives the interrupt of a vector back, once no handler runs any more.
#[kframe("drivers/pci/irq.c")]
pub fn pci_free_irq(k: &mut Kernel, dev: PciDevId, nr: u32, dev_id: DevId) {
    let irq: Option<Irq> = pci_irq_vector(k, dev, nr).ok();
    if irq.is_none() {
        return;
    }
    call!(irqcore::manage::free_irq(irq.unwrap_or_default(), dev_id));
}

/// Finds the interrupt of a pin before a driver is bound (6.12; in drivers/pci/setup-irq.c before).
/// On x86 the host bridge leaves that to ACPI.
#[kfn("drivers/pci/irq.c")]
pub fn pci_assign_irq(k: &mut Kernel, dev: PciDevId) {
    let _ = (k, dev);
}
