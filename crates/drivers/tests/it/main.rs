//! The drivers and their devices: a file per subject.

mod conformance;
mod nvme_driver;
mod nvme_registers;
mod virtio_conformance;
