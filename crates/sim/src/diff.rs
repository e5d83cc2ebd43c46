//! Two runs of one script that differ in kernel or semantics, side by side.
//!
//! [`observe`] keeps what a run recorded as data, [`compare`] aligns two of them. Call trees are
//! aligned by function (`tree`), tracepoints by name and stack, states line by line
//! (`state`). What is found is folded: a change that `migrate_one_irq` shows for thirty interrupts
//! in two recordings is one change with a count.
//!
//! # What it doesn't implement
//! Times are not compared: how long a kernel takes is nobody's result here.

mod align;
mod state;
mod tree;

use std::collections::HashMap;

use kstate::semantics::{KernelVersion, Semantics};
use serde::Serialize;

use crate::capture::Kind;
use crate::functions::Functions;
use crate::lab::Lab;
use crate::machine::Machine;
use crate::record::{self, Recording, StackedEvent};
use crate::script::Script;
use crate::state::Sections;
use align::{Op, align};

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

/// Boots a machine, runs a script on it and keeps what was recorded.
pub fn observe(
    name: &str,
    machine: &Machine,
    semantics: Semantics,
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
            let functions = lab.functions();
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
                Kind::State => Content::State(crate::state::text(&mut lab.k, sections(&planned.file))),
                Kind::Msix => Content::Msix(crate::state::msix_text(&lab.k)),
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
    let end = crate::state::text(&mut lab.k, Sections { topology: false, queues: true });
    parts.push(Part { file: END.into(), script: Vec::new(), content: Content::State(end) });
    Run { name: name.into(), version, parts, terminal: lab.terminal }
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

/// A line of the shell's output that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Printed {
    /// Who printed it.
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
        } = self;
        functions.is_empty() && events.is_empty() && states.is_empty() && terminal.is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run(parts: &[(&str, &str)]) -> Run {
        let part = |(file, text): &(&str, &str)| {
            let content = match *file {
                f if f.ends_with(".flow") => Content::Flow(crate::flow::parse(text).unwrap()),
                f if f.ends_with(".events") => Content::Events(crate::events_text::parse(text).unwrap()),
                _ => Content::State((*text).to_owned()),
            };
            Part { file: (*file).to_owned(), script: Vec::new(), content }
        };
        Run {
            name: "x".into(),
            version: KernelVersion::V5_4,
            parts: parts.iter().map(part).collect(),
            terminal: Vec::new(),
        }
    }

    fn text(items: &[Item]) -> String {
        let all: Vec<String> = items.iter().map(one).collect();
        all.join(" ")
    }

    fn call(call: &Call) -> String {
        let below: Vec<String> = call.below.iter().map(self::call).collect();
        let times = if call.times > 1 { format!("*{}", call.times) } else { String::new() };
        if below.is_empty() {
            format!("{}{times}", call.name)
        } else {
            format!("{}{times}({})", call.name, below.join(" "))
        }
    }

    fn sign(side: Side) -> &'static str {
        if side == Side::Left { "-" } else { "+" }
    }

    fn one(item: &Item) -> String {
        match item {
            Item::Alike { calls, between: 0 } => calls.join(","),
            Item::Alike { calls, between } => calls.join(&format!(",{between},")),
            Item::Only { side, call: c } => format!("{}{}", sign(*side), call(c)),
            Item::Renamed { left, right } => format!("{left}|{right}"),
            Item::Moved { call, left, right } => format!("{call}@{left}|{right}"),
            Item::Numbers { tracepoint, fields } => {
                let all: Vec<String> = fields
                    .iter()
                    .flat_map(|f| {
                        f.changes.iter().map(|c| format!("{}:{}>{}*{}", f.name, c.left, c.right, c.times))
                    })
                    .collect();
                format!("@{tracepoint}[{}]", all.join(" "))
            }
            Item::Within { side, call, items } => format!("{}{call}{{{}}}", sign(*side), text(items)),
            Item::Repeated { times, items } => format!("{times}x({})", text(items)),
        }
    }

    fn check_flow(left: &str, right: &str, expect: &[&str]) {
        let report = compare(&run(&[("01-a.flow", left)]), &run(&[("01-a.flow", right)]));
        let got: Vec<String> = report
            .functions
            .iter()
            .flat_map(|f| {
                f.variants.iter().map(move |v| {
                    let times: u32 = v.seen.iter().map(|s| s.times).sum();
                    format!("{} {times}: {}", f.left, text(&v.items))
                })
            })
            .collect();
        assert_eq!(got, expect, "{left} {right}");
    }

    #[test]
    fn equal_runs_do_not_differ() {
        let flow = "# task\na\n  b\n  @ t: x=1\n";
        let report = compare(&run(&[("01-a.flow", flow)]), &run(&[("01-a.flow", flow)]));
        assert!(report.is_empty());
        assert_eq!((report.recordings[0].left, report.recordings[0].alike), (3, 3));
    }

    #[test]
    fn a_change_is_told_of_the_function_that_calls() {
        check_flow("# task\na\n  b\n    c\n", "# task\na\n  b\n    d\n    c\n", &["b 1: +d c"]);
        check_flow("# task\na\n  b\n    c\n    c\n    c\n", "# task\na\n  b\n", &["b 1: 3x(-c)"]);
    }

    #[test]
    fn the_same_change_in_many_places_is_one() {
        check_flow(
            "# task\na\n  b\n    c\n  b\n    c\n    e\n  b\n    c\n",
            "# task\na\n  b\n    d\n    c\n  b\n    d\n    c\n    e\n  b\n    d\n    c\n",
            &["b 3: +d c"],
        );
    }

    #[test]
    fn one_function_more_around_the_same_calls_is_no_removal() {
        check_flow(
            "# task\na\n  b\n  c\n    d\n",
            "# task\na\n  w\n    b\n    c\n      e\n      d\n",
            &["c 1: +e d", "a 1: +w{b,c}"],
        );
    }

    #[test]
    fn known_new_names_are_the_same_step() {
        check_flow(
            "# task\nirq_do_set_affinity\n  msi_domain_set_affinity\n    x\n",
            "# task\nirq_do_set_affinity\n  msi_set_affinity\n    x\n",
            &["irq_do_set_affinity 1: msi_domain_set_affinity|msi_set_affinity"],
        );
    }

    #[test]
    fn work_of_another_actor_is_moved() {
        check_flow("# task\na\n  b\n", "# kworker\na\n  b\n  c\n", &["a 1: b +c", "task 1: a@task|kworker"]);
    }

    #[test]
    fn numbers_fold_over_interrupts() {
        check_flow(
            "# task\na\n  @ v: irq=1 vector=33\n  @ v: irq=2 vector=33\n",
            "# task\na\n  @ v: irq=1 vector=32\n  @ v: irq=2 vector=32\n",
            &["a 1: 2x(@v[vector:33>32*2])"],
        );
        check_flow(
            "# task\na\n  @ v: irq=1 vector=33\n",
            "# task\na\n  @ v: irq=2 vector=33\n  @ v: irq=1 vector=32\n",
            &["a 1: +@ v: irq=2 vector=33 @v[vector:33>32*1]"],
        );
    }

    #[test]
    fn tracepoints_are_compared_with_their_stacks() {
        let left = "# task\n@ v: irq=1 x=1\n  a < b < c\n# task\n@ w: irq=1\n  a\n";
        let right = "# task\n@ v: irq=1 x=2\n  a < d < c\n";
        let report = compare(&run(&[("01-a.events", left)]), &run(&[("01-a.events", right)]));
        let [both, only] = report.events.as_slice() else { panic!("{:?}", report.events) };
        assert_eq!(both.stack_changes, [(Side::Left, "b".to_owned()), (Side::Right, "d".to_owned())]);
        assert_eq!(both.fields[0].changes, [Change { left: "1".into(), right: "2".into(), times: 1 }]);
        assert_eq!((only.only, only.example.as_str()), (Some(Side::Left), "w: irq=1"));
    }

    #[test]
    fn states_fold_over_interrupts_and_states() {
        let state = |flag: &str, cpu: u32| {
            let irq = |n: u32| {
                format!(
                    "=== /proc/irq/{n}/node\n{cpu}\n=== /sys/kernel/debug/irq/irqs/{n}\ndstate:   0x0\n{flag}"
                )
            };
            irq(8) + &irq(9)
        };
        let (a, b) = (state("", 0), state("            IRQD_X\n", 1));
        let files = |text: &'static str| run(&[("state-a.txt", text), ("state-b.txt", text)]);
        let report = compare(&files(a.leak()), &files(b.leak()));
        let [node, flag] = report.states.as_slice() else { panic!("{:?}", report.states) };
        assert_eq!((node.path.as_str(), node.line.as_str()), ("/proc/irq/N/node", ""));
        assert_eq!((flag.path.as_str(), flag.line.as_str()), ("/sys/kernel/debug/irq/irqs/N", "IRQD_X"));
        for diff in [node, flag] {
            let [change] = diff.changes.as_slice() else { panic!("{diff:?}") };
            assert_eq!((change.times, change.of.join(",")), (4, "8,9".to_owned()));
            assert_eq!(change.states, ["state-a.txt", "state-b.txt"]);
        }
    }
}
