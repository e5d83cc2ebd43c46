//! `struct irq_chip` and handler pointers (include/linux/irq.h).

use core::fmt;
use core::hash::{Hash, Hasher};

use crate::irqdesc::{DevId, IrqReturn, Irqd};
use crate::msi::MsiMsg;
use crate::named::by_name;
use crate::{CpuMask, Errno, Irq, Kernel};

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {$($(#[$doc])* pub const $name: u32 = $value;)*};
}

bits! {
    /// Mask before calling `irq_set_type`.
    IRQCHIP_SET_TYPE_MASKED = 1 << 0;
    /// EOI only when handled.
    IRQCHIP_EOI_IF_HANDLED = 1 << 1;
    /// Mask on suspend.
    IRQCHIP_MASK_ON_SUSPEND = 1 << 2;
    /// Callbacks only while online.
    IRQCHIP_ONOFFLINE_ENABLED = 1 << 3;
    /// No `irq_set_wake`.
    IRQCHIP_SKIP_SET_WAKE = 1 << 4;
    /// One-shot safe.
    IRQCHIP_ONESHOT_SAFE = 1 << 5;
    /// EOI when the thread ends.
    IRQCHIP_EOI_THREADED = 1 << 6;
    /// Level MSI.
    IRQCHIP_SUPPORTS_LEVEL_MSI = 1 << 7;
    /// NMI.
    IRQCHIP_SUPPORTS_NMI = 1 << 8;
    /// Enables for wake-up on suspend.
    IRQCHIP_ENABLE_WAKEUP_ON_SUSPEND = 1 << 9;
    /// Affinity may be set before startup (5.11 and later).
    IRQCHIP_AFFINITY_PRE_STARTUP = 1 << 10;
    /// The chip is never changed.
    IRQCHIP_IMMUTABLE = 1 << 11;
    /// Its interrupts are moved when they occur, and not by the task that wants it (6.14).
    IRQCHIP_MOVE_DEFERRED = 1 << 12;
}

/// `enum irqchip_irq_state`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IrqchipIrqState {
    /// Pending at the controller.
    Pending,
    /// Being handled.
    Active,
    /// Masked.
    Masked,
    /// Line level.
    LineLevel,
}

/// What `irq_set_affinity` answers when it succeeds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SetMask {
    /// The core copies the mask.
    Ok,
    /// The chip copied it.
    OkNocopy,
    /// The core copies it, stacked chips are done.
    OkDone,
}

type Cb = fn(&mut Kernel, Irqd);
type CbErr = fn(&mut Kernel, Irqd) -> Result<(), Errno>;
type SetAffinityCb = fn(&mut Kernel, Irqd, &CpuMask, bool) -> Result<SetMask, Errno>;
type SetTypeCb = fn(&mut Kernel, Irqd, u32) -> Result<(), Errno>;
type StateCb = fn(&mut Kernel, Irqd, IrqchipIrqState) -> Result<bool, Errno>;

/// `struct irq_chip`: a name, flags and callbacks. The C field names are kept.
#[derive(Clone, Default)]
#[expect(missing_docs, reason = "the fields are the C structure's own, documented in include/linux/irq.h")]
pub struct IrqChip {
    pub name: String,
    pub flags: u32,
    pub irq_startup: Option<fn(&mut Kernel, Irqd) -> u32>,
    pub irq_shutdown: Option<Cb>,
    pub irq_enable: Option<Cb>,
    pub irq_disable: Option<Cb>,
    pub irq_ack: Option<Cb>,
    pub irq_mask: Option<Cb>,
    pub irq_mask_ack: Option<Cb>,
    pub irq_unmask: Option<Cb>,
    pub irq_eoi: Option<Cb>,
    pub irq_set_affinity: Option<SetAffinityCb>,
    pub irq_retrigger: Option<fn(&mut Kernel, Irqd) -> bool>,
    pub irq_force_complete_move: Option<Cb>,
    pub irq_set_type: Option<SetTypeCb>,
    pub irq_request_resources: Option<CbErr>,
    pub irq_release_resources: Option<Cb>,
    pub irq_compose_msi_msg: Option<fn(&mut Kernel, Irqd, &mut MsiMsg)>,
    pub irq_write_msi_msg: Option<fn(&mut Kernel, Irqd, &MsiMsg)>,
    pub irq_get_irqchip_state: Option<StateCb>,
}

impl PartialEq for IrqChip {
    // Callbacks never change after a chip was created, so name and flags identify it.
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.flags) == (&other.name, other.flags)
    }
}
impl Eq for IrqChip {}
impl Hash for IrqChip {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, self.flags).hash(state);
    }
}
impl fmt::Debug for IrqChip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IrqChip({}, {:#x})", self.name, self.flags)
    }
}

/// An `irq_handler_t`, with its name.
#[derive(Clone, Copy)]
pub struct Handler {
    /// The C name.
    pub name: &'static str,
    /// The function.
    pub call: fn(&mut Kernel, Irq, DevId) -> IrqReturn,
}

by_name! { Handler }
