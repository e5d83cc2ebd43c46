//! The pair of 8259A interrupt controllers.

/// The pair of 8259A interrupt controllers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct I8259 {}
