//! virtio behind a PCI function: what all devices have in [`hw`], and above it drivers/virtio, each
//! module under the name of its C file. Drivers of the virtio bus register themselves.

pub mod hw;
pub mod pci_common;
pub mod pci_modern;
pub mod ring;
#[expect(clippy::module_inception, reason = "the C file is drivers/virtio/virtio.c")]
pub mod virtio;

mod invariants;

pub use invariants::check_invariants;
