//! Which behaviours explain the differences between two runs.
//!
//! The answer is found by trying: every field in which the two semantics differ is given the other
//! run's value, alone, on either side. What such a change makes of a run by itself is what it
//! explains of the whole difference.
//!
//! # What it doesn't implement
//! Differences that only several fields together make are explained by none of them.

use std::collections::{BTreeMap, BTreeSet};

use kstate::semantics::Semantics;
use serde::Serialize;

use super::{EventDiff, Field, FunctionDiff, Item, Report, Run, Side, compare};

/// A place where two runs differ.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Mark {
    /// A function, `@ tracepoint`, a file with `N` for a number, `terminal` or `log`.
    pub at: String,
    /// What differs there: a callee that one run has (`-`, `+`) or has under another name (`~`), a
    /// field of a tracepoint, the name of a line.
    pub what: String,
}

/// A behaviour in which the two runs' semantics differ.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Cause {
    /// The field of [`Semantics`].
    pub field: &'static str,
    /// What it decides.
    pub doc: &'static str,
    /// Its value in the first run.
    pub left: String,
    /// Its value in the second run.
    pub right: String,
    /// The C function that differs.
    pub function: &'static str,
    /// The C file it is in.
    pub file: &'static str,
    /// The release or commit that changed it, as far as it is known.
    pub changed: String,
    /// The differences it makes by itself; none where the script does not show it.
    pub shows: BTreeSet<Mark>,
}

impl Report {
    /// The behaviours that explain a difference.
    pub fn because(&self, marks: &BTreeSet<Mark>) -> Vec<&'static str> {
        let explains = |cause: &&Cause| !cause.shows.is_disjoint(marks);
        self.causes.iter().filter(explains).map(|cause| cause.field).collect()
    }

    /// All places where the runs differ.
    pub fn marks(&self) -> BTreeSet<Mark> {
        let Self { functions, events, states, terminal, log, .. } = self;
        let mut marks = BTreeSet::new();
        for function in functions {
            for variant in &function.variants {
                marks.extend(of_items(function, &variant.items));
            }
        }
        marks.extend(events.iter().flat_map(of_event));
        marks.extend(states.iter().map(|s| Mark { at: s.path.clone(), what: s.line.clone() }));
        marks.extend(terminal.iter().map(|p| Mark { at: "terminal".into(), what: signed(p.side, &p.line) }));
        marks.extend(log.iter().map(|p| Mark { at: "log".into(), what: signed(p.side, &p.line) }));
        marks
    }

    /// Finds out what explains the differences. `run` observes the same script under any semantics,
    /// with the functions of all kernels; a run that does not come to its end explains nothing.
    pub fn explain(&mut self, left: &Semantics, right: &Semantics, run: impl Fn(&Semantics) -> Option<Run>) {
        if left == right {
            return;
        }
        let (Some(left_run), Some(right_run)) = (&run(left), &run(right)) else { return };
        let mine = self.marks();
        // A function that is called differently in the two runs is known under both names.
        let mut known: BTreeMap<Mark, Vec<&Mark>> = BTreeMap::new();
        for mark in &mine {
            for at in mark.at.split(" | ") {
                known.entry(Mark { at: at.to_owned(), what: mark.what.clone() }).or_default().push(mark);
            }
        }
        let mut causes = Vec::new();
        for field in Semantics::fields() {
            let (a, b) =
                (left.get(field.name).unwrap_or_default(), right.get(field.name).unwrap_or_default());
            if a == b {
                continue;
            }
            let reports = [
                swapped(field.name, left, right).and_then(|(without, with)| match without {
                    Some(without) => Some(compare(&run(&without)?, &run(&with)?)),
                    None => Some(compare(left_run, &run(&with)?)),
                }),
                swapped(field.name, right, left).and_then(|(without, with)| match without {
                    Some(without) => Some(compare(&run(&with)?, &run(&without)?)),
                    None => Some(compare(&run(&with)?, right_run)),
                }),
            ];
            let alone = reports.iter().flatten().flat_map(Report::marks);
            let shows = alone.flat_map(|mark| {
                let names: Vec<Mark> =
                    mark.at.split(" | ").map(|at| Mark { at: at.into(), what: mark.what.clone() }).collect();
                names
                    .iter()
                    .filter_map(|name| known.get(name))
                    .flatten()
                    .map(|m| (*m).clone())
                    .collect::<Vec<_>>()
            });
            causes.push(Cause {
                field: field.name,
                doc: field.doc,
                left: a,
                right: b,
                function: field.function,
                file: field.file,
                changed: field.changed(),
                shows: shows.collect(),
            });
        }
        self.causes = causes;
    }
}

/// `semantics` with the value that `other` has for a field. Where that contradicts another field,
/// this one has the other's value too, and the first of the two is `semantics` with that alone.
pub fn swapped(
    field: &str,
    semantics: &Semantics,
    other: &Semantics,
) -> Option<(Option<Semantics>, Semantics)> {
    let with = |semantics: &Semantics, field: &str| -> Option<Semantics> {
        let mut semantics = semantics.clone();
        semantics.set(field, &other.get(field)?).ok()?;
        Some(semantics)
    };
    let alone = with(semantics, field)?;
    if alone.check().is_ok() {
        return Some((None, alone));
    }
    Semantics::fields().iter().find_map(|needed| {
        let without = with(semantics, needed.name).filter(|s| s != semantics && s.check().is_ok())?;
        let both = with(&without, field).filter(|s| s.check().is_ok())?;
        Some((Some(without), both))
    })
}

fn signed(side: Side, what: &str) -> String {
    let sign = match side {
        Side::Left => '-',
        Side::Right => '+',
    };
    format!("{sign}{what}")
}

/// The places of what a function does differently.
pub fn of_items(function: &FunctionDiff, items: &[Item]) -> BTreeSet<Mark> {
    let FunctionDiff { left, right, .. } = function;
    let at = if left == right { left.clone() } else { format!("{left} | {right}") };
    let mut marks = BTreeSet::new();
    collect(&at, items, &mut marks);
    marks
}

fn collect(at: &str, items: &[Item], marks: &mut BTreeSet<Mark>) {
    let mark = |what: String| Mark { at: at.to_owned(), what };
    for item in items {
        match item {
            Item::Alike { .. } => {}
            Item::Only { side, call } => {
                let name = call.name.split(": ").next().unwrap_or(&call.name);
                marks.insert(mark(signed(*side, name)));
            }
            Item::Renamed { left, right } => {
                marks.insert(mark(format!("~{left} | {right}")));
            }
            Item::Moved { call, .. } => {
                marks.insert(mark(format!("~{call}")));
            }
            Item::Numbers { tracepoint, fields } => marks.extend(of_fields(tracepoint, fields)),
            Item::Within { side, call, items } => {
                marks.insert(mark(signed(*side, call)));
                collect(at, items, marks);
            }
            Item::Repeated { items, .. } => collect(at, items, marks),
        }
    }
}

/// The places of a tracepoint's fields.
pub fn of_fields(tracepoint: &str, fields: &[Field]) -> BTreeSet<Mark> {
    fields.iter().map(|f| Mark { at: format!("@ {tracepoint}"), what: f.name.clone() }).collect()
}

/// The places of what a recording of tracepoints shows, but for the fields.
pub fn of_stacks(event: &EventDiff) -> BTreeSet<Mark> {
    let EventDiff { tracepoint, only, actors, stack_changes, .. } = event;
    let at = format!("@ {tracepoint}");
    let alone = only.iter().map(|side| signed(*side, "@"));
    let actor = actors.iter().map(|_| "actor".to_owned());
    let stack = stack_changes.iter().map(|(side, frame)| signed(*side, frame));
    alone.chain(actor).chain(stack).map(|what| Mark { at: at.clone(), what }).collect()
}

fn of_event(event: &EventDiff) -> BTreeSet<Mark> {
    let mut marks = of_stacks(event);
    marks.extend(of_fields(&event.tracepoint, &event.fields));
    marks
}
