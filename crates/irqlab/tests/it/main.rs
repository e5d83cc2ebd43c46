//! The command line as its users see it: a file per subject.

mod explore;
mod formats;
mod ftrace;
mod museum;
mod perfetto;
mod readme;
mod sh;
mod tui;
