//! Two runs of one script that differ in kernel or semantics, side by side.
//!
//! [`observe`] keeps what a run recorded as data, [`compare`] aligns two of them. Call trees are
//! aligned by function (`tree`), tracepoints by name and stack, states line by line
//! (`state`). What is found is folded: a change that `migrate_one_irq` shows for thirty interrupts
//! in two recordings is one change with a count. `because` finds the behaviours that explain it.
//!
//! # What it doesn't implement
//! Times are not compared: how long a kernel takes is nobody's result here.

mod align;
pub mod attribution;
mod state;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashMap;

use kstate::semantics::{KernelVersion, Semantics};
use serde::Serialize;

use align::{Op, align};
use attribution::Cause;
use record::functions::Functions;
use record::{Recording, StackedEvent};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::plan::Kind;
use sim::script::Script;
use sim::state::Sections;

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

/// The name of the state that is taken after the last line of every script.
pub const END: &str = "the end";

/// Boots a machine, runs a script on it and keeps what was recorded, as far as a tracer sees it that
/// knows `functions`.
pub fn observe(
    name: &str,
    machine: &Machine,
    semantics: Semantics,
    functions: &'static Functions,
    script: &Script,
    sections: impl Fn(&str) -> Sections,
) -> Run {
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
    let end = sim::state::text(&mut lab.k, Sections { topology: false, queues: true });
    parts.push(Part { file: END.into(), script: Vec::new(), content: Content::State(end) });
    Run { name: name.into(), version, parts, terminal: lab.terminal, log: lab.k.log.to_vec() }
}

/// Which of the two runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The first.
    Left,
    /// The second.
    Right,
}

/// How two runs differ.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// The first run.
    pub left: String,
    /// The second run.
    pub right: String,
    /// One line per recording.
    pub recordings: Vec<Summary>,
    /// Functions that call differently, in order of appearance.
    pub functions: Vec<FunctionDiff>,
    /// What differs in the recordings of tracepoints.
    pub events: Vec<EventDiff>,
    /// What differs in the states.
    pub states: Vec<StateDiff>,
    /// How many states were compared.
    pub states_compared: usize,
    /// What the shell printed, where it differs.
    pub terminal: Vec<Printed>,
    /// What the kernel logged, where it differs.
    pub log: Vec<Printed>,
    /// The behaviours in which the two differ, once [`Report::explain`] has tried them.
    pub causes: Vec<Cause>,
}

/// What came of one recording.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Summary {
    /// The file it would be in a capture.
    pub file: String,
    /// What the script did.
    pub script: Vec<String>,
    /// Lines of the first run: calls and tracepoints.
    pub left: u32,
    /// Lines of the second run.
    pub right: u32,
    /// Lines that both have, at the same place in the tree.
    pub alike: u32,
    /// Calls that both have under another name.
    pub renamed: u32,
    /// Tracepoints that both have with other numbers.
    pub numbers: u32,
    /// Lines that only the first has.
    pub only_left: u32,
    /// Lines that only the second has.
    pub only_right: u32,
}

/// A function that calls others differently.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FunctionDiff {
    /// Its name in the first run; an actor, where outermost calls differ.
    pub left: String,
    /// Its name in the second run.
    pub right: String,
    /// File and line in the first run's kernel.
    pub left_place: Option<String>,
    /// File and line in the second run's kernel.
    pub right_place: Option<String>,
    /// These are the outermost calls of an actor.
    pub outermost: bool,
    /// The different ways in which it differs.
    pub variants: Vec<Variant>,
}

/// One way in which a function calls differently.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Variant {
    /// Calls above it, outermost first, where it was seen first.
    pub path: Vec<String>,
    /// Its callees.
    pub items: Vec<Item>,
    /// How often, by recording.
    pub seen: Vec<Seen>,
}

/// How often something was seen in a recording.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Seen {
    /// The recording.
    pub file: String,
    /// How often.
    pub times: u32,
}

/// Something among a function's callees.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Item {
    /// Callees that both have. Only those next to a difference are named.
    Alike {
        /// The first and the last, or the only one.
        calls: Vec<String>,
        /// How many stand between them.
        between: u32,
    },
    /// Only one run has it.
    Only {
        /// Which.
        side: Side,
        /// The call with everything below it.
        call: Call,
    },
    /// Both have it under different names.
    Renamed {
        /// In the first run.
        left: String,
        /// In the second run.
        right: String,
    },
    /// Another actor runs it.
    Moved {
        /// The call.
        call: String,
        /// Who in the first run.
        left: String,
        /// Who in the second run.
        right: String,
    },
    /// A tracepoint fired with other numbers.
    Numbers {
        /// Its name.
        tracepoint: String,
        /// The fields that differ.
        fields: Vec<Field>,
    },
    /// One run has another function around what both do.
    Within {
        /// Which.
        side: Side,
        /// The function around it.
        call: String,
        /// What is in it.
        items: Vec<Item>,
    },
    /// The same several times over.
    Repeated {
        /// How often.
        times: u32,
        /// What.
        items: Vec<Item>,
    },
}

/// A call with everything below it; equal neighbours are counted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Call {
    /// The function, or `@ name: fields` of a tracepoint.
    pub name: String,
    /// How often in a row.
    pub times: u32,
    /// What it calls.
    pub below: Vec<Call>,
}

/// A field with different values.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its values.
    pub changes: Vec<Change>,
}

/// A pair of values.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Change {
    /// In the first run.
    pub left: String,
    /// In the second run.
    pub right: String,
    /// How often.
    pub times: u32,
}

/// A kind of difference between recordings of tracepoints.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EventDiff {
    /// The tracepoint.
    pub tracepoint: String,
    /// The run that alone has it; none where both do.
    pub only: Option<Side>,
    /// The actors, where they differ.
    pub actors: Option<(String, String)>,
    /// Where only one has it: its stack, innermost first.
    pub stack: Vec<String>,
    /// Where both have it: functions that one stack has and the other has not.
    pub stack_changes: Vec<(Side, String)>,
    /// Fields that differ; where only one has it, none.
    pub fields: Vec<Field>,
    /// The first one's text.
    pub example: String,
    /// How often, by recording.
    pub seen: Vec<Seen>,
}

/// A line of the states that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StateDiff {
    /// The file; `N` stands for the number of an interrupt or queue.
    pub path: String,
    /// The line, by what stands in front of its colon; empty where the file is one value.
    pub line: String,
    /// Its values.
    pub changes: Vec<StateChange>,
}

/// A pair of values of a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StateChange {
    /// In the first run, if it has the line.
    pub left: Option<String>,
    /// In the second run, if it has the line.
    pub right: Option<String>,
    /// What `N` was.
    pub of: Vec<String>,
    /// The states that show it.
    pub states: Vec<String>,
    /// How often in all.
    pub times: u32,
}

/// A line of the shell's output or of the kernel's log that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Printed {
    /// Whose it is.
    pub side: Side,
    /// The line.
    pub line: String,
}

impl Report {
    /// The two runs did the same.
    pub fn is_empty(&self) -> bool {
        let Self {
            left: _,
            right: _,
            recordings: _,
            functions,
            events,
            states,
            states_compared: _,
            terminal,
            log,
            causes: _,
        } = self;
        functions.is_empty()
            && events.is_empty()
            && states.is_empty()
            && terminal.is_empty()
            && log.is_empty()
    }
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
                compare_events(a, b, &mut summary, &mut report.events);
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

/// A tracepoint left out counts as much as so many fields that differ.
const EVENT: u32 = 8;
/// What it costs to take one interrupt's tracepoint for another's.
const OTHER_IRQ: u32 = 10;

fn event_cost(a: &StackedEvent, b: &StackedEvent) -> Option<u32> {
    let ((name, mine), (other, theirs)) = (fields(&a.tracepoint), fields(&b.tracepoint));
    if name != other {
        return None;
    }
    let differ = mine.iter().zip(&theirs).filter(|(x, y)| x != y);
    let mut cost = 0;
    for ((field, _), _) in differ {
        cost += if *field == "irq" { OTHER_IRQ } else { 1 };
    }
    let stacks = u32::from(a.stack != b.stack) + u32::from(a.stack.last() != b.stack.last());
    Some((cost + stacks).min(2 * EVENT - 1))
}

fn compare_events(
    left: &[StackedEvent],
    right: &[StackedEvent],
    summary: &mut Summary,
    diffs: &mut Vec<EventDiff>,
) {
    summary.left = left.len() as u32;
    summary.right = right.len() as u32;
    let mut roles: Vec<&str> = Vec::new();
    for event in left.iter().chain(right) {
        if !roles.contains(&role(&event.actor)) {
            roles.push(role(&event.actor));
        }
    }
    let mut rest: (Vec<&StackedEvent>, Vec<&StackedEvent>) = (Vec::new(), Vec::new());
    let mut pairs = Vec::new();
    for who in roles {
        let of = |events: &'_ [StackedEvent]| -> Vec<usize> {
            (0..events.len()).filter(|i| role(&events[*i].actor) == who).collect()
        };
        let (a, b) = (of(left), of(right));
        let costs = |n: usize| vec![EVENT; n];
        let (_, ops) = align(&costs(a.len()), &costs(b.len()), |i, j| event_cost(&left[a[i]], &right[b[j]]));
        for op in ops {
            match op {
                Op::Both(i, j) => pairs.push((&left[a[i]], &right[b[j]])),
                Op::Left(i) => rest.0.push(&left[a[i]]),
                Op::Right(j) => rest.1.push(&right[b[j]]),
            }
        }
    }
    // What one actor does in the first run and another in the second.
    let (_, ops) = align(&vec![EVENT; rest.0.len()], &vec![EVENT; rest.1.len()], |i, j| {
        event_cost(rest.0[i], rest.1[j])
    });
    for op in &ops {
        if let Op::Both(i, j) = op {
            pairs.push((rest.0[*i], rest.1[*j]));
        }
    }
    for (a, b) in pairs {
        note_event_pair(a, b, summary, diffs);
    }
    for op in ops {
        let (side, event) = match op {
            Op::Both(..) => continue,
            Op::Left(i) => (Side::Left, rest.0[i]),
            Op::Right(j) => (Side::Right, rest.1[j]),
        };
        match side {
            Side::Left => summary.only_left += 1,
            Side::Right => summary.only_right += 1,
        }
        let (name, _) = fields(&event.tracepoint);
        let stack: Vec<String> = event.stack.iter().map(|f| f.to_string()).collect();
        let same = |d: &EventDiff| d.only == Some(side) && d.tracepoint == name && d.stack == stack;
        let at = diffs.iter().position(same).unwrap_or_else(|| {
            diffs.push(EventDiff {
                tracepoint: name.into(),
                only: Some(side),
                actors: None,
                stack,
                stack_changes: Vec::new(),
                fields: Vec::new(),
                example: event.tracepoint.clone(),
                seen: Vec::new(),
            });
            diffs.len() - 1
        });
        note_seen(&mut diffs[at].seen, &summary.file);
    }
}

fn note_event_pair(a: &StackedEvent, b: &StackedEvent, summary: &mut Summary, diffs: &mut Vec<EventDiff>) {
    let ((name, mine), (_, theirs)) = (fields(&a.tracepoint), fields(&b.tracepoint));
    let actors = (role(&a.actor) != role(&b.actor)).then(|| (role(&a.actor).into(), role(&b.actor).into()));
    let (_, ops) = align(&vec![1; a.stack.len()], &vec![1; b.stack.len()], |i, j| {
        (a.stack[i] == b.stack[j]).then_some(0)
    });
    let stack_changes: Vec<(Side, String)> = ops
        .into_iter()
        .filter_map(|op| match op {
            Op::Both(..) => None,
            Op::Left(i) => Some((Side::Left, a.stack[i].to_string())),
            Op::Right(j) => Some((Side::Right, b.stack[j].to_string())),
        })
        .collect();
    if mine == theirs && stack_changes.is_empty() && actors.is_none() {
        summary.alike += 1;
        return;
    }
    summary.numbers += u32::from(mine != theirs);
    summary.alike += u32::from(mine == theirs);
    let same = |d: &EventDiff| {
        d.only.is_none() && d.tracepoint == name && d.stack_changes == stack_changes && d.actors == actors
    };
    let at = diffs.iter().position(same).unwrap_or_else(|| {
        diffs.push(EventDiff {
            tracepoint: name.into(),
            only: None,
            actors: actors.clone(),
            stack: Vec::new(),
            stack_changes: stack_changes.clone(),
            fields: Vec::new(),
            example: a.tracepoint.clone(),
            seen: Vec::new(),
        });
        diffs.len() - 1
    });
    note_fields(&mut diffs[at].fields, &mine, &theirs);
    note_seen(&mut diffs[at].seen, &summary.file);
}
