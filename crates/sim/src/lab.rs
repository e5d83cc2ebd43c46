//! A booted machine: run a script on it, and look at what it recorded.

use std::collections::BTreeSet;
use std::sync::Arc;

use kstate::semantics::Semantics;
use kstate::trace::Recorded;
use kstate::{CtxId, Kernel};

use crate::machine::Machine;
use crate::plan::{Kind, Output, Planned, plan};
use crate::script::{Action, Failure, Script, Variables};
use crate::shell::{Bench, Progress, Shell};
use crate::state::{self, Sections};
use crate::{boot, engine, tracefs};
use record::filter::{Filter, Leave, Levels};
use record::formats::{events, flow, hardware};
use record::functions::Functions;

/// What it takes to begin reading a state: some dozen processes are started for it.
pub const STATE_TIME: u64 = 20_000_000;

/// Records beyond which what is over is forgotten, where nobody asks for it.
const FORGET: usize = 1 << 20;

/// What a run may fill the memory with at most, about two GiB: records that are asked for, contexts (one for
/// each interrupt), and lines of the terminal and of the log.
const RECORDS: usize = 1 << 24;
const CONTEXTS: usize = 1 << 23;
const LINES: usize = 1 << 22;

/// Extension of the files that have what hardware did during a recording.
const HARDWARE: &str = "hardware";

/// Two files are of one recording.
fn same_recording(planned: &str, file: &str) -> bool {
    let stem = |name: &str| name.rsplit_once('.').map(|(stem, _)| stem.to_owned());
    planned == file || file.ends_with(HARDWARE) && stem(planned) == stem(file)
}

/// A booted machine.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The machine's state.
    pub k: Kernel,
    /// What the shell printed: the output of `cat`, and what went wrong.
    pub terminal: Vec<String>,
    /// Assertions of scripts that did not hold.
    pub failed: Vec<Failure>,
    /// Commands of scripts that did not do what they were told.
    pub complaints: usize,
    /// A script was not run to its end, since it would have filled the memory: where it was, and with what.
    pub given_up: Option<String>,
    /// What of recordings is shown.
    pub filter: Filter,
    /// What no recording asks for need not be kept.
    forgets: bool,
    /// Nobody wants to see the rest of the script.
    left: bool,
    /// Records beyond which it is forgotten.
    forget_at: usize,
}

/// Where a recording begins and ends, as indices into the trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Marked {
    /// What is recorded.
    pub planned: Planned,
    /// The records between the marks.
    pub records: core::ops::Range<usize>,
}

impl Lab {
    /// Builds and boots a machine under its own kernel's semantics, with tracing on.
    pub fn boot(machine: &Machine) -> Self {
        Self::boot_with(machine, Semantics::of(machine.kernel), true)
    }

    /// Builds and boots a machine.
    pub fn boot_with(machine: &Machine, semantics: Semantics, recorded: impl Into<Recorded>) -> Self {
        Self::on(boot::boot(machine, semantics, recorded))
    }

    /// Puts a machine that runs already on the bench.
    pub fn on(k: Kernel) -> Self {
        Self {
            k,
            terminal: Vec::new(),
            failed: Vec::new(),
            complaints: 0,
            given_up: None,
            filter: Filter::default(),
            forgets: false,
            left: false,
            forget_at: FORGET,
        }
    }

    /// Forgets what nobody asks for with so many records, 1048576 of itself.
    pub fn hold_at_most(&mut self, records: usize) {
        self.forget_at = records.max(1);
    }

    /// The functions in scope of the kernel that runs.
    pub fn functions(&self) -> &'static Functions {
        Functions::of(self.k.sem.version)
    }

    /// Runs a script and returns its recordings as the files of a capture. `sections` says what a
    /// state shows, by the name of its file.
    pub fn run(&mut self, script: &Script, sections: impl Fn(&str) -> Sections) -> Vec<Output> {
        self.run_watched(script, sections, |_| {}, |_, _, _| true)
    }

    /// The same, for somebody who looks at the files as they are made: `step` is called after every step of the machine,
    /// `done` with every file, and the script is left where it answers false.
    pub fn run_watched(
        &mut self,
        script: &Script,
        sections: impl Fn(&str) -> Sections,
        step: impl FnMut(&Kernel),
        mut done: impl FnMut(&Kernel, &str, &str) -> bool,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.forgets = true;
        self.run_each(script, step, |lab, marked| {
            let planned = &marked.planned;
            let text = lab.text_of(marked, sections(&planned.file));
            lab.left = !done(&lab.k, &planned.file, &text);
            outputs.push((planned.file.clone(), text));
            outputs.extend(lab.hardware_of(marked));
        });
        // A recording is written when it ends; files are listed in the order of the script.
        let order = plan(script);
        outputs.sort_by_key(|(file, _)| order.iter().position(|p| same_recording(&p.file, file)));
        outputs.into_iter().map(|(name, text)| Output { name, text }).collect()
    }

    /// Runs a script to its end and to the end of its jobs. `step` is called after every step of the
    /// machine, `done` at the end of every recording.
    pub fn run_each(
        &mut self,
        script: &Script,
        mut step: impl FnMut(&Kernel),
        mut done: impl FnMut(&mut Self, &Marked),
    ) {
        let plan = plan(script);
        let mut open: Option<(usize, Planned)> = None;
        // A state that is about to be read, and the length of the record when it was asked for.
        let mut reading: Option<(usize, Planned)> = None;
        let mut shell = Shell::new(Arc::new(script.clone()), Variables::default());
        // The stream of the boot begins with power-on.
        let mut boots = plan.iter().filter(|planned| planned.kind == Kind::BootEvents).count();
        let mut line = 0;
        loop {
            if !shell.is_main_busy()
                && let Some((start, planned)) = reading.take()
            {
                done(self, &Marked { planned, records: start..start });
            }
            if core::mem::take(&mut self.left) {
                self.take_failures(&mut shell);
                return;
            }
            let start = self.k.trace.records.len();
            let i = match shell.advance(&mut Bench { k: &mut self.k, terminal: &mut self.terminal }) {
                Progress::Stepped(_) => {
                    step(&self.k);
                    if self.forgets && boots == 0 && open.is_none() && reading.is_none() {
                        self.forget();
                    }
                    if self.is_given_up(script, line) {
                        self.take_failures(&mut shell);
                        return;
                    }
                    continue;
                }
                Progress::Began(statement) => {
                    line = statement.span.line;
                    if self.is_given_up(script, line) {
                        self.take_failures(&mut shell);
                        return;
                    }
                    continue;
                }
                Progress::Returned | Progress::Ended => continue,
                Progress::Directive(i) => i,
                Progress::Idle => {
                    self.take_failures(&mut shell);
                    return;
                }
            };
            let own =
                |kind: Kind| plan.iter().find(|p| p.kind == kind && p.statements == (i..i + 1)).cloned();
            match &script.statements[i].action {
                Action::Begin { name, .. } => {
                    let planned = plan.iter().find(|p| p.name == *name && p.statements.start == i + 1);
                    open = planned.map(|p| (start, p.clone()));
                }
                Action::End => {
                    if let Some((from, planned)) = open.take() {
                        done(self, &Marked { planned, records: from..start });
                    }
                }
                Action::BootEvents { .. } => {
                    boots = boots.saturating_sub(1);
                    if let Some(planned) = own(Kind::BootEvents) {
                        done(self, &Marked { planned, records: 0..start });
                    }
                }
                Action::State { .. } | Action::Msix { .. } => {
                    shell.pause(&self.k, STATE_TIME);
                    reading = own(Kind::State).or_else(|| own(Kind::Msix)).map(|planned| (start, planned));
                }
                Action::Run(_)
                | Action::Expand(_)
                | Action::Assign { .. }
                | Action::For { .. }
                | Action::Job { .. }
                | Action::Assert(_) => {}
            }
        }
    }

    fn take_failures(&mut self, shell: &mut Shell) {
        self.failed.append(&mut shell.failed);
        self.complaints += core::mem::take(&mut shell.complaints).len();
    }

    /// Forgets what nobody asks for, once it is much: records that are over, but for what the tracer made of them, and the
    /// contexts that nothing names any more.
    fn forget(&mut self) {
        let trace = &self.k.trace;
        if trace.records.len() < self.forget_at || trace.observer.is_some() {
            return;
        }
        let (records, marks) = (trace.records.len(), trace.marks.len());
        if marks > 0 || trace.kept.is_some() {
            tracefs::keep(&mut self.k, records, marks);
        }
        self.k.trace.forget();
        let mut named: BTreeSet<CtxId> = self.k.live_contexts().collect();
        self.k.trace.named_contexts(&mut named);
        self.k.trace.ctxs.forget_all_but(&named);
    }

    /// Gives the script up where it has filled too much memory.
    fn is_given_up(&mut self, script: &Script, line: usize) -> bool {
        let much = [
            (self.k.trace.records.len(), RECORDS, "calls and tracepoints"),
            (self.k.trace.ctxs.held(), CONTEXTS, "interrupts and tasks"),
            (self.terminal.len(), LINES, "lines on the terminal"),
            (self.k.log.len(), LINES, "lines in the log"),
        ];
        let Some((_, most, what)) = much.into_iter().find(|(n, most, _)| n >= most) else { return false };
        let why = format!("{}: line {line}: given up after {most} {what}", script.name);
        self.terminal.push(why.clone());
        self.given_up = Some(why);
        true
    }

    /// The text of a finished recording.
    pub fn text_of(&mut self, marked: &Marked, sections: Sections) -> String {
        let Marked { planned, records } = marked;
        let functions = self.functions();
        let leave = match planned.kind {
            Kind::Flow => Leave::Calls,
            Kind::Events | Kind::BootEvents => Leave::Points,
            Kind::State => return state::text(&mut self.k, sections),
            Kind::Msix => return state::msix_text(&self.k),
        };
        let (filter, levels) = (&self.filter, Levels::Traced(functions));
        let cut = (!filter.shows_all()).then(|| filter.cut(&self.k.trace, records.clone(), levels, leave));
        let (trace, records) = match &cut {
            None => (&self.k.trace, records.clone()),
            Some(cut) => (&cut.trace, cut.records.clone()),
        };
        let with_args = record::with_arguments(&self.k);
        let call: &record::CallText<'_> = if filter.args { &with_args } else { &record::name_of };
        match planned.kind {
            Kind::Flow => {
                let options = record::Options { io: planned.io };
                flow::print(&record::Recording::between_with(trace, records, functions, options, call))
            }
            Kind::BootEvents => events::print_boot(&record::boot_events(trace, records)),
            _ => events::print(&record::events_with(trace, records, functions, call)),
        }
    }

    /// The file beside a finished recording that has what hardware did meanwhile, where that was recorded: its
    /// name and its text.
    fn hardware_of(&self, marked: &Marked) -> Option<(String, String)> {
        let Marked { planned, records } = marked;
        let is_recording = matches!(planned.kind, Kind::Flow | Kind::Events | Kind::BootEvents);
        let trace = &self.k.trace;
        (trace.hardware && is_recording).then(|| {
            let (stem, _) = planned.file.rsplit_once('.').unwrap_or((&planned.file, ""));
            let levels = Levels::Traced(self.functions());
            let text = if self.filter.shows_all() {
                hardware::print(trace, records.clone(), self.functions())
            } else {
                let cut = self.filter.cut(trace, records.clone(), levels, Leave::Points);
                hardware::print(&cut.trace, cut.records, self.functions())
            };
            (format!("{stem}.{HARDWARE}"), text)
        })
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: u64, step: &mut impl FnMut(&Kernel)) {
        let limit = self.k.events.now.saturating_add(time);
        engine::run_until(&mut self.k, limit, step);
    }
}
