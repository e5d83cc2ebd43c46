//! Interleavings, exhibits and random scripts: a file per subject.

mod hardware;
mod interleavings;
mod museum;
mod random_scripts;
mod semantics;
