//! net/core: what drivers of network devices ask before they count their queues.

pub mod dev;
