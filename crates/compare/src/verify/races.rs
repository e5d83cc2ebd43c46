//! The run that a capture is, where it is not the quiet one.
//!
//! Two captures of one machine and one script differ where the real machine races. All chance of the model comes from
//! the oracle, so the question is for a schedule of its choices under which every line is equal. Two kinds of
//! choices are made here and no others (`Oracle::racing`):
//!
//! * **When a device is done.** It may complete a command at any time after its submission: before any step of the
//!   kernel, or between two register accesses.
//! * **Where an unbound worker runs.** `select_task_rq_fair()` takes any CPU of its pool (`kick_pool()`).
//!
//! # How it is searched
//! Row by row. The files before the first one that differs are equal and have to stay so. Of the choices made up to
//! the end of that file, one is answered in another way: first those made during the recording of the file, then
//! the earlier ones from the last to the first. An answer that makes the file equal is kept, and the search goes on with
//! the next file that differs. If no answer does, the one that leaves the fewest lines is kept if these are fewer than
//! before, and a further choice behind it is tried. The search is deterministic. It is not complete: choices
//! that only together bring the record closer are not found.
//!
//! It is bounded by [`BOUNDS`]. A run is left at the end of the first file that shows that it comes no
//! closer.

use std::cell::Cell;

use kstate::Kernel;
use kstate::oracle::{Choice, Oracle};
use kstate::semantics::Semantics;
use sim::boot::{self, Probing};
use sim::lab::Lab;
use sim::machine::Machine;

use super::{Outcome, Report, Row, Run, compare, verify};
use crate::capture::Capture;

/// Where a search ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Choices of a schedule at most.
    pub choices: usize,
    /// Runs at most.
    pub runs: usize,
    /// Calls and tracepoints of all runs, as they are recorded, after which no other one begins: what a run costs.
    pub records: usize,
}

/// The bounds of `irqlab verify`.
pub const BOUNDS: Bounds = Bounds { choices: 8, runs: 400, records: 40_000_000 };

/// A choice that was not the quiet one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chance {
    /// Its place among the choices of the run, from 0.
    pub place: usize,
    /// The answer; 0 is the quiet one.
    pub answer: u32,
    /// How many answers there were.
    pub of: u32,
    /// The first file of the capture that was finished afterwards.
    pub file: String,
    /// What came of it.
    pub text: String,
}

/// What a search has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Searched {
    /// Runs, the quiet one excepted.
    pub runs: usize,
    /// What was recorded in them: entries and exits of functions, and tracepoints.
    pub records: usize,
    /// No bound has ended it.
    pub whole: bool,
}

/// How close a run comes to the capture: the files that are equal before the first that is not, then the lines that differ in
/// that one (negative).
type Likeness = (usize, isize);

/// Any run is closer.
const NOTHING: Likeness = (0, isize::MIN);

/// A run with its choices.
struct Attempt {
    run: Run,
    likeness: Likeness,
    choices: Vec<Choice>,
    /// How many choices had been made at the end of each file.
    made: Vec<usize>,
}

/// What does not change from run to run.
struct Searcher<'a> {
    capture: &'a Capture,
    machine: &'a Machine,
    semantics: &'a Semantics,
    probing: Probing,
    bounds: Bounds,
    runs: usize,
    records: usize,
}

/// Looks for a run that is equal to the capture. `quiet` is what came of the quiet one.
///
/// There is no search where the capture lacks a file or has one too many: no run gives that.
pub fn search(
    capture: &Capture,
    machine: &Machine,
    semantics: &Semantics,
    quiet: &Report,
    bounds: Bounds,
) -> (Option<Run>, Option<Searched>) {
    let hopeless = |row: &Row| matches!(row.outcome, Outcome::Missing | Outcome::NotMade);
    if quiet.rows.iter().any(hopeless) {
        return (None, None);
    }
    let probing = boot::find_probing(machine, semantics.clone());
    let mut searcher = Searcher { capture, machine, semantics, probing, bounds, runs: 0, records: 0 };
    let (found, whole) = searcher.search();
    let searched = Some(Searched { runs: searcher.runs, records: searcher.records, whole });
    let found = found.map(|mut run| {
        run.report.searched = searched;
        run
    });
    (found, searched)
}

impl Searcher<'_> {
    /// A run that is equal, if one was found, and whether no bound has ended the search.
    fn search(&mut self) -> (Option<Run>, bool) {
        let mut answers = Vec::new();
        let Some(mut base) = self.attempt(&answers, NOTHING) else { return (None, true) };
        for _ in 0..self.bounds.choices {
            let mut best: Option<(Vec<u32>, Attempt)> = None;
            for (place, answer) in candidates(&base, answers.len()) {
                if self.runs >= self.bounds.runs || self.records >= self.bounds.records {
                    return (None, false);
                }
                let mut tried = answers.clone();
                tried.resize(place, 0);
                tried.push(answer);
                let least = best.as_ref().map_or(base.likeness, |(_, best)| best.likeness);
                let Some(attempt) = self.attempt(&tried, least) else { continue };
                if attempt.run.report.passed() {
                    return (Some(attempt.run), true);
                }
                let equal = attempt.likeness.0 > base.likeness.0;
                if attempt.likeness > least {
                    best = Some((tried, attempt));
                }
                if equal {
                    break;
                }
            }
            let Some(closer) = best else { return (None, true) };
            (answers, base) = closer;
        }
        (None, false)
    }

    /// Runs the script with these answers. `None` if it is left since it comes no closer than `least`.
    fn attempt(&mut self, answers: &[u32], least: Likeness) -> Option<Attempt> {
        let Self { capture, machine, .. } = *self;
        let recorded = Recorded::default();
        let oracle = Oracle::racing(answers.to_vec());
        let semantics = self.semantics.clone();
        let k = boot::boot_racing(machine, semantics, &self.probing, oracle, &mut |k| recorded.count(k));
        let mut lab = Lab::on(k);
        let mut made = vec![0; capture.files.len()];
        let one_node = capture.has_one_node();
        let mut left = false;
        let outputs = lab.run_watched(
            &capture.script,
            |file| capture.sections(file),
            |k| recorded.count(k),
            |k, file, got| {
                let Some(at) = capture.files.iter().position(|(planned, _)| planned.file == file) else {
                    return true;
                };
                made[at] = k.oracle.log.len();
                if let (planned, Some(expected)) = &capture.files[at]
                    && at <= least.0
                    && expected != got
                {
                    let differ = compare(planned.kind, expected, got, one_node).differences.len();
                    left = differ > 0 && (at < least.0 || -(differ as isize) <= least.1);
                }
                !left
            },
        );
        self.runs += 1;
        self.records += recorded.all.get();
        if left {
            return None;
        }
        let mut report = verify(capture, &outputs);
        let choices = std::mem::take(&mut lab.k.oracle.log);
        let next = |place: usize| report.rows.iter().zip(&made).find(|(_, made)| place < **made);
        let unusual = choices.iter().enumerate().filter(|(_, choice)| choice.answer != 0);
        let chances = unusual.map(|(place, &Choice { answer, of, point: _ })| {
            let race = lab.k.oracle.raced.iter().find(|race| race.place == place);
            Chance {
                place,
                answer,
                of,
                file: next(place).map(|(row, _)| row.file.clone()).unwrap_or_default(),
                // A device that acts has more than one thing to do.
                text: race
                    .map_or_else(|| format!("it does number {answer} of {of}"), |race| race.text.clone()),
            }
        });
        report.chances = chances.collect();
        Some(Attempt { likeness: likeness(&report), run: Run { report, outputs, lab }, choices, made })
    }
}

/// Counts what a run records, of which the recorder forgets what is over.
#[derive(Default)]
struct Recorded {
    all: Cell<usize>,
    last: Cell<usize>,
}

impl Recorded {
    fn count(&self, k: &Kernel) {
        let now = k.trace.records.len();
        self.all.set(self.all.get() + now.saturating_sub(self.last.replace(now)));
    }
}

/// How close a report is to one that passes.
fn likeness(report: &Report) -> Likeness {
    let equal = report.rows.iter().take_while(|row| row.passed()).count();
    let lines = match report.rows.get(equal).map(|row| &row.outcome) {
        Some(Outcome::Compared(comparison)) => comparison.differences.len() as isize,
        Some(_) => isize::MAX,
        None => 0,
    };
    (equal, -lines)
}

/// Other answers than those of a run, to choices from `first` on that can bear on its first file that differs: those made
/// while that was recorded, then the earlier ones, the last first.
fn candidates(base: &Attempt, first: usize) -> Vec<(usize, u32)> {
    let row = base.likeness.0;
    let end = base.made.get(row).copied().unwrap_or(base.choices.len());
    let begin = base.made[..row.min(base.made.len())].iter().copied().max().unwrap_or(0);
    let places = (begin.max(first)..end).chain((first..begin.min(end)).rev());
    places.flat_map(|place| (1..base.choices[place].of).map(move |answer| (place, answer))).collect()
}
