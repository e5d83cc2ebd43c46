//! The command line as its users see it: a file per subject.

mod enter;
mod explain;
mod explore;
mod formats;
mod ftrace;
mod guide;
mod lesson;
mod library;
mod licences;
mod mount;
mod museum;
mod mutants;
mod mutated;
mod page;
mod perfetto;
mod pictures;
mod plain;
mod readme;
mod serve;
mod sh;
mod sturdy;
mod sysroot;
mod tracecmd;
mod tui;
mod whatif;
