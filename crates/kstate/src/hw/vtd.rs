//! A VT-d unit's interrupt remapping hardware.

/// A VT-d unit's interrupt remapping hardware.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Vtd {}
