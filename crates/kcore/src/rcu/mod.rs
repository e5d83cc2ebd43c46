//! Read-copy-update: kernel/rcu.

pub mod tree;
