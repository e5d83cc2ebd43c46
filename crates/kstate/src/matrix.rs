//! kernel/irq/matrix.c: the vector matrix.

/// kernel/irq/matrix.c: the vector matrix.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqMatrix {}
