//! The lab's test module: what on a real machine would be a small module for experiments.
//!
//! It owns functions of its own ([`hw`]) that do nothing by themselves: binding one allocates all
//! the vectors it has, unbinding gives them back. And it calls the kernel's functions for any
//! interrupt from the files of /sys/kernel/debug/irqlab.
//!
//! No file of Linux has a counterpart.

pub mod hw;

use kfn::kframe;
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IrqReturn};
use kstate::pci::{PciDeviceId, PciDriver, ProbeType};
use kstate::{Errno, Irq, Kernel, PciDevId};
use pcimsi::kernel::{
    PCI_IRQ_ALL_TYPES, pci_alloc_irq_vectors, pci_disable_device, pci_enable_device, pci_free_irq_vectors,
    pci_set_master,
};

use pcimsi::kernel::pci_driver::pci_register_driver;

/// The `dev_id` of its interrupts.
const COOKIE: DevId = DevId::Module(0);
/// The name of the driver, and of its handlers.
const NAME: &str = "irqlab";
/// More vectors than a function can have.
const ALL: u32 = 4096;

/// The functions that the module drives.
static ID_TABLE: [PciDeviceId; 1] = [PciDeviceId::device(hw::ID.0 as u32, hw::ID.1 as u32)];

/// The module's driver. It is bound by whoever needs it.
static IRQLAB_DRIVER: PciDriver = PciDriver {
    name: NAME,
    id_table: &ID_TABLE,
    probe: |_, dev| test_probe(dev),
    remove: |_, dev| test_remove(dev),
    shutdown: None,
    reset_prepare: None,
    probe_type: |_| ProbeType::Default,
    built_in: false,
    overlaps: false,
};

/// The module is loaded.
pub fn init(k: &mut Kernel) {
    pci_register_driver(k, &IRQLAB_DRIVER);
}

/// Takes all vectors of a function, none of them managed, and requests none.
#[kframe("irqlab")]
fn test_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    pci_enable_device(k, dev)?;
    pci_set_master(k, dev);
    let got: Result<u32, Errno> = call!(pci_alloc_irq_vectors(k, dev, 1, ALL, PCI_IRQ_ALL_TYPES));
    if got.is_err() {
        call!(pci_disable_device(dev));
    }
    got.map(|_| ())
}

/// Gives the vectors of a function back, and the handlers on them before.
#[kframe("irqlab")]
fn test_remove(k: &mut Kernel, dev: PciDevId) {
    loop {
        let handled: Option<Irq> = requested(k, dev);
        if handled.is_none() {
            break;
        }
        call!(irqcore::manage::free_irq(handled.unwrap_or_default(), COOKIE));
    }
    call!(pci_free_irq_vectors(dev));
    call!(pci_disable_device(dev));
}

/// An interrupt of a function that the module handles.
fn requested(k: &Kernel, dev: PciDevId) -> Option<Irq> {
    let own = |irq: &Irq| {
        let desc = k.irq_get_msi_desc(*irq).map(|desc| k.msi.descs[desc].dev);
        let pin = desc.is_none() && k.pci_dev(dev).irq == irq.0;
        (desc == Some(dev) || pin) && is_requested(k, *irq)
    };
    k.for_each_irq().find(own)
}

/// The module has a handler on the interrupt.
pub fn is_requested(k: &Kernel, irq: Irq) -> bool {
    k.find_desc(irq).is_some_and(|desc| desc.action.iter().any(|action| action.dev_id == COOKIE))
}

/// The handler does nothing: /proc/interrupts counts.
fn irqlab_handler(_k: &mut Kernel, _irq: Irq, _dev_id: DevId) -> IrqReturn {
    IrqReturn::Handled
}

/// Puts a handler on an interrupt that has none.
///
/// # Errors
/// `EINVAL` for an interrupt that does not exist or cannot be requested, `EBUSY` for one that has a
/// handler, and those of its activation.
pub fn test_request_irq(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    let handler = Handler { name: "irqlab_handler", call: irqlab_handler };
    irqcore::manage::request_threaded_irq(k, irq, Some(handler), None, 0, NAME, COOKIE)
}

/// Takes the handler away again.
///
/// # Errors
/// `EINVAL` for an interrupt that the module has no handler on.
#[kframe("irqlab")]
pub fn test_free_irq(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    if !is_requested(k, irq) {
        return Err(Errno::EINVAL);
    }
    call!(irqcore::manage::free_irq(irq, COOKIE));
    Ok(())
}

/// `disable_irq()`: waits for the handlers of the interrupt.
///
/// # Errors
/// `EINVAL` for an interrupt that does not exist.
#[kframe("irqlab")]
pub fn test_disable_irq(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    if k.find_desc(irq).is_none() {
        return Err(Errno::EINVAL);
    }
    call!(irqcore::manage::disable_irq(irq));
    Ok(())
}

/// `enable_irq()`.
///
/// # Errors
/// `EINVAL` for an interrupt that does not exist.
pub fn test_enable_irq(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    k.find_desc(irq).ok_or(Errno::EINVAL)?;
    irqcore::manage::enable_irq(k, irq);
    Ok(())
}

/// The function and the number of the message behind an interrupt.
fn message(k: &Kernel, irq: Irq) -> Option<(PciDevId, u16)> {
    let desc = &k.msi.descs[k.irq_get_msi_desc(irq)?];
    k.hw.pci.get(desc.dev.index())?;
    let nr =
        if desc.is_msix { desc.entry_nr } else { (irq.0 - desc.irq.map_or(irq.0, |first| first.0)) as u16 };
    Some((desc.dev, nr))
}

/// The device will ask for the interrupt when it gets round to it; with `again`, from then on without
/// end.
///
/// # Errors
/// `EINVAL` for an interrupt that does not exist, `ENODEV` for one that is no message.
pub fn test_ask(k: &mut Kernel, irq: Irq, again: bool) -> Result<(), Errno> {
    k.find_desc(irq).ok_or(Errno::EINVAL)?;
    let (dev, nr) = message(k, irq).ok_or(Errno::ENODEV)?;
    pcimsi::hw::begin_asking(k, dev, nr, again);
    Ok(())
}

/// The device will not ask for the interrupt any more.
///
/// # Errors
/// As [`test_ask`].
pub fn test_calm(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    k.find_desc(irq).ok_or(Errno::EINVAL)?;
    let (dev, nr) = message(k, irq).ok_or(Errno::ENODEV)?;
    pcimsi::hw::cease_asking(k, dev, nr);
    Ok(())
}

/// The device asks for the interrupt: a message, which masks and pending bits hold back as they do
/// any other, or a pulse on its line.
///
/// # Errors
/// `EINVAL` for an interrupt that does not exist, `ENODEV` when no device of this machine can raise
/// it as it is set up now.
pub fn test_raise(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    k.find_desc(irq).ok_or(Errno::EINVAL)?;
    if k.irq_get_msi_desc(irq).is_some() {
        let (dev, nr) = message(k, irq).ok_or(Errno::ENODEV)?;
        return if pcimsi::hw::raise(k, dev, nr) { Ok(()) } else { Err(Errno::ENODEV) };
    }
    let pin = k.apic.mp_chip_data.get(&irq).and_then(|data| data.irq_2_pin.first()).map(|pin| pin.pin);
    pcimsi::hw::pulse(k, pin.ok_or(Errno::ENODEV)?);
    Ok(())
}
