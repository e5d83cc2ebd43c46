//! The driver core: drivers/base and include/linux/device.h.

pub mod core;
pub mod device;
