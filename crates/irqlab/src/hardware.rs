//! The switch for what hardware does, the same wherever something is recorded.

use kstate::trace::Recorded;

/// Whether records of hardware are kept.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
#[group(id = "records")]
pub struct Args {
    /// Record what hardware does, too: messages, vectors, EOIs, doorbells (docs/trace-schema.md)
    #[arg(long)]
    hardware: bool,
}

impl Args {
    /// What is recorded where the kernel is.
    pub const fn recorded(self) -> Recorded {
        if self.hardware { Recorded::Hardware } else { Recorded::Kernel }
    }
}
