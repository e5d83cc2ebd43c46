//! The switch for what hardware does, the same wherever something is recorded.

use kstate::trace::Recorded;

/// Whether records of hardware are kept.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
#[group(id = "records")]
pub struct Args {
    /// Record what hardware does, too: messages, vectors, EOIs, doorbells (docs/trace-schema.md) [default: on in
    /// a session, off elsewhere]
    #[arg(long, value_enum, value_name = "on|off", num_args = 0..=1, require_equals = true, default_missing_value = "on", hide_possible_values = true)]
    hardware: Option<Switch>,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Switch {
    On,
    Off,
}

impl Args {
    /// What is recorded where the kernel is, of itself without records of hardware.
    pub fn recorded(self) -> Recorded {
        if self.hardware == Some(Switch::On) { Recorded::Hardware } else { Recorded::Kernel }
    }

    /// The same in a session, which has them of itself unless `off` is what was saved.
    pub fn in_session(self, off: bool) -> Recorded {
        let on = self.hardware.map_or(!off, |switch| switch == Switch::On);
        if on { Recorded::Hardware } else { Recorded::Kernel }
    }
}
