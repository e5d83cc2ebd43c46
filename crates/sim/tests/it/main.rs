//! The machine that runs, and rules about the sources: a file per subject.
//!
//! `allocations.rs` beside this folder is a binary of its own: it counts with its own global allocator.

mod conformance;
mod conformance_index;
mod controllers;
mod cpu_hotplug;
mod disks;
mod embedded;
mod faults;
mod files;
mod formats;
mod found;
mod hardware_records;
mod inject;
mod jobs;
mod kernel_log;
mod names;
mod nvme_conformance;
mod nvme_driver;
mod pic;
mod plain_msi;
mod profile;
mod reports;
mod scripts;
mod testmod;
mod tidy;
mod tracefs;
mod vfs_fuzz;
mod virtio;
mod virtio_net;
