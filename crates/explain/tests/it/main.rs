//! What `explain` answers.

mod answers;
mod pasted;
mod tables;
