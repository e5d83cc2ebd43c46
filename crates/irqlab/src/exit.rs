//! Exit statuses beside 0.

/// Something differs from what it was compared with.
pub const DIFFERS: u8 = 1;
/// A user's mistake.
pub const MISTAKE: u8 = 2;
