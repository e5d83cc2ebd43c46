//! The emulator against captures of real kernels: a file per subject.

mod allowances;
mod capture_files;
mod captures;
mod common;
mod functions_seen;
mod races;
