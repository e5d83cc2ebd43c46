//! A machine as it is, and the same machine with something changed: what happens to each interrupt.
//!
//! # Architecture
//! A [`Question`] says what is changed. [`ask`] boots the machine, and where the change is one of the boot (the
//! command line, a device, another kernel) the changed machine beside it; what happens while a machine runs is a
//! script of the shell. A [`picture`] is what a machine shows then, and an [`Answer`] is two pictures compared.
//! [`headroom`] asks the vector matrix, and takes CPUs down on a copy until one stays. `cause` finds the behaviours
//! of a kernel that are behind a difference.
//!
//! Nothing here knows what a kernel would do: it did it.
//!
//! # What it doesn't implement
//! Which CPU of several an interrupt that is not managed lands on depends on everything since boot. The answer is
//! one of the possible ones, and [`Answer::notes`] says so. Rates and performance are not predicted. Drivers that
//! set up their queues anew when CPUs come or go do not do so here.

mod answer;
mod cause;
mod device;
pub mod headroom;
pub mod picture;
mod question;
mod run;

pub use answer::{Answer, Change, Kind, QueueChange, Summary};
pub use cause::Cause;
pub use headroom::{Headroom, Search};
pub use question::{Mistake, Question, cmdline, cpus};
pub use run::{Prepared, Refused, Stage, ask, prepare};

use kstate::CpuMask;

/// A list of CPUs in a serialized answer is a text.
fn list<S: serde::Serializer>(mask: &CpuMask, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&mask.list())
}
