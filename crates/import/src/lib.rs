//! Files of a real machine, as a machine file: `irqlab import`.
//!
//! # Architecture
//! [`tree`] has the files, from wherever they come. [`facts`] is what they say. [`managed`] finds out which
//! messages the kernel manages, by computing the spread that it would. `model` writes a machine file,
//! [`check`](mod@check) boots it and compares. [`report`] says of everything where it is from.
//!
//! # What it doesn't implement
//! Which CPU of several an unmanaged interrupt lands on, and what user space wrote since boot, are a history: both
//! are taken over as found and not explained.

pub mod check;
pub mod drivers;
pub mod facts;
pub mod interrupts;
pub mod managed;
mod model;
pub mod report;
pub mod sysroot;
pub mod tree;

pub use model::Imported;

use std::path::Path;

use kstate::CpuMask;
use kstate::semantics::KernelVersion;

use check::Check;
use facts::Facts;
use report::Report;
use tree::{SourceError, Tree};

/// A POSIX shell script that gathers on a running system what is read here.
pub const COLLECT: &str = include_str!("collect.sh");

/// What a user may know better.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// The kernel, whatever the files say.
    pub kernel: Option<KernelVersion>,
    /// How many CPUs there can be.
    pub possible: Option<u32>,
    /// CPUs, and the node that they belong to.
    pub node_of: Vec<(CpuMask, u32)>,
}

/// Why there is no machine file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Interrupts are brought by something else.
    #[error("this machine's interrupts are {chip}'s: no local APIC brings them, and irqlab has no other")]
    Foreign {
        /// The chip.
        chip: String,
    },
    /// The CPUs are others.
    #[error("this machine is {found}: irqlab has x86-64 alone")]
    Architecture {
        /// What it is.
        found: String,
    },
    /// There are no CPUs.
    #[error("no file says which CPUs the machine has")]
    NoCpus,
    /// More than a machine file can have.
    #[error("{found} possible CPUs: expected at most {}", kstate::cpumask::MAX_CPUS)]
    TooManyCpus {
        /// How many.
        found: u32,
    },
    /// irqlab has no such machine.
    #[error("the files describe a machine that irqlab cannot have: {found}")]
    Machine {
        /// Why not.
        found: String,
    },
}

impl diagnostic::Diagnostic for ImportError {
    fn help(&self) -> Option<String> {
        match self {
            Self::Source(source) => diagnostic::Diagnostic::help(source),
            Self::NoCpus => Some("expected /proc/interrupts or /sys/devices/system/cpu".to_owned()),
            _ => None,
        }
    }
}

/// A source, read and understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// What kind of source it was.
    pub kind: String,
    /// What the files say.
    pub facts: Facts,
    /// What was missing while they were read.
    pub report: Report,
}

impl Source {
    /// Reads a running system (`/`), a folder, an archive or a text.
    ///
    /// # Errors
    /// A [`SourceError`].
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        Ok(Self::of(&Tree::read(path)?))
    }

    /// Of files that are there already.
    pub fn of(tree: &Tree) -> Self {
        let mut report = Report::default();
        let facts = Facts::of(tree, &mut report);
        Self { kind: tree.kind.clone(), facts, report }
    }

    /// The machine file, and an account of where everything in it is from.
    ///
    /// # Errors
    /// An [`ImportError`].
    pub fn import(&self, options: &Options) -> Result<(Imported, Report), ImportError> {
        let mut report = self.report.clone();
        let imported = model::build(&self.facts, options, &mut report)?;
        Ok((imported, report))
    }

    /// Boots the machine and compares it with the source.
    pub fn check(&self, imported: &Imported) -> Check {
        check::check(&self.facts, imported)
    }
}
