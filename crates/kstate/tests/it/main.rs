//! The state and what `kfn` makes of it: a file per subject.

mod frames;
