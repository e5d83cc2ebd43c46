//! A crate whose tests keep snapshots of what a kernel does with interrupts. All of it is in `tests`.
