//! The drivers and their devices: a file per subject.

mod nvme_registers;
mod virtio_conformance;
