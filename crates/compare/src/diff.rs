//! Two runs of one script that differ in kernel or semantics, side by side.
//!
//! [`observe`] keeps what a run recorded as data, [`compare`] aligns two of them. Call trees are
//! aligned by function (`tree`), tracepoints by name and stack, states line by line
//! (`state`). What is found is folded: a change that `migrate_one_irq` shows for thirty interrupts
//! in two recordings is one change with a count. [`attribution`] finds the behaviours that explain it.
//!
//! # What it doesn't implement
//! Times are not compared: how long a kernel takes is nobody's result here.

mod align;
pub mod attribution;
mod events;
mod numbers;
mod report;
mod state;
#[cfg(test)]
mod tests;
pub mod text;
mod tree;

use std::collections::HashMap;

use diagnostic::Diagnostic;

use kstate::semantics::{KernelVersion, Semantics};

use align::{Op, align};
use record::functions::Functions;
use record::{Recording, StackedEvent};
pub use report::{
    Call, Change, EventDiff, Field, FunctionDiff, Item, Printed, Report, Seen, Side, StateChange, StateDiff,
    Summary, Variant,
};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::plan::Kind;
use sim::script::Script;
use sim::state::Sections;
pub use tree::RENAMED;

/// One run, as data.
#[derive(Clone, Debug)]
pub struct Run {
    /// What people call it: the kernel, and what was set on top.
    pub name: String,
    /// The kernel whose table of functions applies.
    pub version: KernelVersion,
    /// What was recorded, in the order of the script, and the state after it.
    pub parts: Vec<Part>,
    /// What the shell printed.
    pub terminal: Vec<String>,
    /// What the kernel logged.
    pub log: Vec<String>,
}

/// One recording or state.
#[derive(Clone, Debug)]
pub struct Part {
    /// The file it would be in a capture.
    pub file: String,
    /// What the script did between the marks.
    pub script: Vec<String>,
    /// What was seen.
    pub content: Content,
}

/// What was seen.
#[derive(Clone, Debug)]
pub enum Content {
    /// Call trees.
    Flow(Recording),
    /// Tracepoints with stacks; a boot's have none.
    Events(Vec<StackedEvent>),
    /// What /proc and debugfs said.
    State(String),
    /// MSI-X tables.
    Msix(String),
}

/// A script that was not run to its end: there is no result to compare.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct GivenUp(String);

impl Diagnostic for GivenUp {
    fn help(&self) -> Option<String> {
        Some("expected a script in which less happens, or of which less is recorded".to_owned())
    }
}

/// The name of the state that is taken after the last line of every script.
pub const END: &str = "the end";

/// Boots a machine, runs a script on it and keeps what was recorded, as far as a tracer sees it that
/// knows `functions`.
///
/// # Errors
/// For a script that is not run to its end.
pub fn observe(
    name: &str,
    machine: &Machine,
    semantics: Semantics,
    functions: &'static Functions,
    script: &Script,
    sections: impl Fn(&str) -> Sections,
) -> Result<Run, GivenUp> {
    let version = semantics.version;
    let mut lab = Lab::boot_with(machine, semantics, true);
    let mut parts = Vec::new();
    lab.run_each(
        script,
        |_| {},
        |lab, marked| {
            let planned = &marked.planned;
            let trace = &lab.k.trace;
            let content = match planned.kind {
                Kind::Flow => {
                    let options = record::Options { io: planned.io };
                    Content::Flow(Recording::between(trace, marked.records.clone(), functions, options))
                }
                Kind::Events => Content::Events(record::events(trace, marked.records.clone(), functions)),
                Kind::BootEvents => {
                    let stream = record::boot_events(trace, marked.records.clone());
                    let bare =
                        |tracepoint| StackedEvent { actor: "boot".into(), tracepoint, stack: Vec::new() };
                    Content::Events(stream.into_iter().map(bare).collect())
                }
                Kind::State => Content::State(sim::state::text(&mut lab.k, sections(&planned.file))),
                Kind::Msix => Content::Msix(sim::state::msix_text(&lab.k)),
            };
            let statements = script.statements.get(planned.statements.clone()).unwrap_or_default();
            let lines = match planned.kind {
                Kind::Flow | Kind::Events => {
                    statements.iter().map(|s| script.source(s.span).to_owned()).collect()
                }
                Kind::BootEvents | Kind::State | Kind::Msix => Vec::new(),
            };
            parts.push(Part { file: planned.file.clone(), script: lines, content });
        },
    );
    if let Some(why) = lab.given_up {
        return Err(GivenUp(why));
    }
    let end = sim::state::text(&mut lab.k, Sections { topology: false, queues: true });
    parts.push(Part { file: END.into(), script: Vec::new(), content: Content::State(end) });
    Ok(Run { name: name.into(), version, parts, terminal: lab.terminal, log: lab.k.log.to_vec() })
}

/// The machine for one of two runs that are compared. Where interrupts stood at boot was noted on one kernel and says nothing
/// about another: if not `both` runs are of that kernel, neither is told.
pub fn machine_of(machine: &Machine, kernel: KernelVersion, both: [KernelVersion; 2]) -> Machine {
    let mut machine = machine.clone();
    if both != [machine.kernel; 2] {
        machine.boot_vectors.clear();
        machine.boot_interrupts.clear();
    }
    machine.kernel = kernel;
    machine
}

/// Runs a script on a machine under two kernels, each with what to call it, compares the runs and finds the behaviours that
/// explain what differs. `sections` says what a state shows, by the name of its file.
///
/// # Errors
/// For a script that one of the kernels does not run to its end.
pub fn between(
    machine: &Machine,
    script: &Script,
    left: (String, Semantics),
    right: (String, Semantics),
    sections: impl Fn(&str) -> Sections,
) -> Result<Report, GivenUp> {
    let observe = |name: &str, semantics: &Semantics, functions| {
        let machine = machine_of(machine, semantics.version, [left.1.version, right.1.version]);
        self::observe(name, &machine, semantics.clone(), functions, script, &sections)
    };
    let kernel =
        |(name, semantics): &(String, Semantics)| observe(name, semantics, Functions::of(semantics.version));
    let mut report = compare(&kernel(&left)?, &kernel(&right)?);
    // A behaviour with which the script does not come to its end explains nothing.
    report.explain(&left.1, &right.1, |semantics| observe("", semantics, Functions::of_any()).ok());
    Ok(report)
}

/// Compares two runs of the same script.
pub fn compare(left: &Run, right: &Run) -> Report {
    let mut forest = tree::Forest::new(Functions::of(left.version), Functions::of(right.version));
    let mut report = Report {
        left: left.name.clone(),
        right: right.name.clone(),
        recordings: Vec::new(),
        functions: Vec::new(),
        events: Vec::new(),
        states: Vec::new(),
        states_compared: 0,
        terminal: Vec::new(),
        log: Vec::new(),
        causes: Vec::new(),
    };
    let mut states = state::Lines::default();
    let by_file: HashMap<&str, &Part> = right.parts.iter().map(|p| (p.file.as_str(), p)).collect();
    for a in &left.parts {
        let Some(b) = by_file.get(a.file.as_str()) else { continue };
        let mut summary = Summary { file: a.file.clone(), script: a.script.clone(), ..Summary::default() };
        match (&a.content, &b.content) {
            (Content::Flow(a), Content::Flow(b)) => {
                forest.compare(a, b, &mut summary);
                report.recordings.push(summary);
            }
            (Content::Events(a), Content::Events(b)) => {
                events::compare(a, b, &mut summary, &mut report.events);
                report.recordings.push(summary);
            }
            (Content::State(x), Content::State(y)) => {
                report.states_compared += 1;
                states.compare_state(&a.file, x, y);
            }
            (Content::Msix(x), Content::Msix(y)) => states.compare_msix(&a.file, x, y),
            _ => {}
        }
    }
    report.functions = forest.into_functions();
    report.states = states.into_diffs();
    report.terminal = printed(&left.terminal, &right.terminal);
    report.log = printed(&left.log, &right.log);
    report
}

fn printed(left: &[String], right: &[String]) -> Vec<Printed> {
    let (_, ops) =
        align(&vec![1; left.len()], &vec![1; right.len()], |i, j| (left[i] == right[j]).then_some(0));
    let line = |op| match op {
        Op::Both(..) => None,
        Op::Left(i) => Some(Printed { side: Side::Left, line: left[i].clone() }),
        Op::Right(j) => Some(Printed { side: Side::Right, line: right[j].clone() }),
    };
    ops.into_iter().filter_map(line).collect()
}

/// The fields of a tracepoint's text, `name: a=1 b=2, c=3`.
fn fields(text: &str) -> (&str, Vec<(&str, &str)>) {
    let (name, rest) = text.split_once(": ").unwrap_or((text, ""));
    let pair = |word: &'_ str| -> Option<(usize, usize)> { word.find('=').map(|at| (at, word.len())) };
    let fields = rest
        .split_whitespace()
        .map(|word| word.trim_end_matches(','))
        .filter_map(|word| pair(word).map(|(at, len)| (&word[..at], &word[at + 1..len])))
        .collect();
    (name, fields)
}

/// Notes the fields that differ between two firings of a tracepoint.
fn note_fields(into: &mut Vec<Field>, left: &[(&str, &str)], right: &[(&str, &str)]) {
    for (name, value) in left {
        let other = right.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v);
        if other != *value {
            note_field(into, name, value, other, 1);
        }
    }
}

fn note_field(into: &mut Vec<Field>, name: &str, left: &str, right: &str, times: u32) {
    let at = into.iter().position(|f| f.name == name).unwrap_or_else(|| {
        into.push(Field { name: name.into(), changes: Vec::new() });
        into.len() - 1
    });
    let changes = &mut into[at].changes;
    match changes.iter_mut().find(|c| c.left == left && c.right == right) {
        Some(change) => change.times += times,
        None => changes.push(Change { left: left.into(), right: right.into(), times }),
    }
}

fn note_seen(into: &mut Vec<Seen>, file: &str) {
    match into.last_mut() {
        Some(seen) if seen.file == file => seen.times += 1,
        _ => into.push(Seen { file: file.into(), times: 1 }),
    }
}

/// The actor without the CPU it happened to run on.
fn role(actor: &str) -> &str {
    actor.split(" cpu=").next().unwrap_or(actor)
}
