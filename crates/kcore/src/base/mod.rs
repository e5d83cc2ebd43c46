//! The driver core: drivers/base and include/linux/device.h.

pub mod bus;
pub mod core;
pub mod dd;
pub mod device;
