//! Looks at a machine at each record, and makes a run of what it saw.

use kstate::Kernel;
use kstate::trace::{Observer, Recorded};

use crate::records::Collector;
use crate::run::{Command, Run};
use crate::state::Looker;

/// Looks at a machine at each record.
#[derive(Debug, Default)]
pub struct Watch {
    collector: Collector,
    looker: Looker,
    /// The state before the first record was taken.
    started: bool,
}

impl Observer for Watch {
    fn recorded(&mut self, k: &mut Kernel) {
        let Some(&record) = k.trace.records.last() else { return };
        let n = self.collector.len();
        self.collector.take(k, &record);
        if self.started {
            self.looker.look(k, n);
        } else {
            // From power-on: there was nothing to look at before.
            self.started = true;
            self.looker.start(k);
        }
    }
}

impl Watch {
    /// Begins to look at a machine. What it does is recorded from here on, and what its hardware does.
    pub fn begin(k: &mut Kernel) {
        let mut watch = Self::default();
        watch.looker.start(k);
        watch.started = true;
        k.trace.record(Recorded::Hardware);
        k.trace.observer.begin(Box::new(watch));
    }

    /// Ends the looking; nothing where nobody looked. `name` is what the machine is called, `commands` where commands began.
    pub fn end(k: &mut Kernel, name: &str, commands: Vec<Command>) -> Option<Run> {
        let watch = k.trace.observer.end::<Self>()?;
        let told = watch.collector.finish(k);
        let states = watch.looker.finish(k);
        Some(Run::new(k, name, commands, told, states))
    }
}
