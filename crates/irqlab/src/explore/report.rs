//! What a search came to: as text, as a file, and put together from several files.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use diagnostic::Context as _;
use diagnostic::file::{self, Existing};
use explore::exhaustive;
use explore::random::Drawn;
use serde::{Deserialize, Serialize};

#[cfg(test)]
use super::MAX_SHARDS;
use super::coverage::Coverage;
use super::{Search, Way};
use crate::case::Case;
use crate::input::FileError;

/// The result of a search, or of several.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// What was searched.
    pub question: Question,
    /// Which parts of the runs this is, each from 1.
    pub shards: BTreeSet<u64>,
    /// What was covered.
    pub covered: Covered,
    /// Somebody stopped it.
    pub stopped: bool,
    /// What the script prints when nothing unusual happens.
    pub prints: Vec<String>,
    /// What was found.
    pub findings: Vec<Found>,
    /// What was seen of the modelled functions, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

/// What two results must have in common to be put together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The text of the machine file.
    pub machine: String,
    /// The text of the script.
    pub script: String,
    /// Kernel and changes, as options.
    pub kernel: String,
    /// `random`, `pct` or `exhaustive`.
    pub strategy: String,
    /// Seed of run 0.
    pub seed: u64,
    /// Runs in all shards.
    pub runs: u64,
    /// Changes of priorities in a run.
    pub changes: u32,
    /// In how many parts the runs are split.
    pub shards: u64,
    /// Steps at which to turn back.
    pub depth: u32,
    /// States to visit at most.
    pub states: u32,
    /// Steps that show nothing new were left out.
    #[serde(default)]
    pub reduced: bool,
}

/// What was covered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Covered {
    /// Nothing yet.
    #[default]
    Nothing,
    /// States of an exhaustive search; `cut` are those of which not all steps were tried.
    States {
        /// Different states.
        states: u64,
        /// Steps between them.
        transitions: u64,
        /// States in which nothing more can happen.
        finals: u64,
        /// Steps from the beginning to the farthest.
        depth: u64,
        /// States where a bound was reached.
        cut: u64,
        /// How many states there are, if not all were seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        estimate: Option<Estimate>,
    },
    /// Runs that were drawn.
    Runs {
        /// Runs that were to be made.
        planned: u64,
        /// Runs that were made.
        runs: u64,
        /// Their steps.
        #[serde(alias = "moves")]
        steps: u64,
        /// Of the longest.
        depth: u64,
        /// Runs that were left before their end.
        endless: u64,
    },
}

/// How many states there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// An estimate of all states.
    pub states: u64,
    /// There may be many more, where the search has not been.
    pub at_least: bool,
}

impl Estimate {
    /// What share of all states so many are, for people.
    fn share(self, seen: u64) -> String {
        let Self { states, at_least } = self;
        let percent = seen as f64 * 100.0 / states.max(1) as f64;
        let percent = if percent < 1.0 { format!("{percent:.2}") } else { format!("{percent:.0}") };
        if at_least {
            format!("{percent} % or less of all states, which are {states} or more by an estimate")
        } else {
            format!("about {percent} % of all states, which are {states} by an estimate")
        }
    }
}

/// Something wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// What kind of thing.
    pub kind: String,
    /// In words.
    pub text: String,
    /// The run that found it.
    pub run: Option<u64>,
    /// Steps until it showed.
    #[serde(alias = "moves")]
    pub steps: u64,
    /// The shortest schedule known.
    #[serde(alias = "choices")]
    pub schedule: String,
    /// The command line that shows it.
    pub replay: String,
}

impl Covered {
    /// Of an exhaustive search.
    pub fn of_states(explored: &exhaustive::Explored) -> Self {
        let covered = &explored.covered;
        let estimate = explored.estimate.map(|estimate| {
            let exhaustive::Estimate { states, at_least } = estimate;
            Estimate { states, at_least }
        });
        Self::States {
            states: covered.states as u64,
            transitions: covered.transitions as u64,
            finals: covered.finals as u64,
            depth: covered.depth as u64,
            cut: covered.cut as u64,
            estimate,
        }
    }

    /// Of runs.
    pub fn of_runs(drawn: &Drawn, planned: u64) -> Self {
        Self::Runs {
            planned,
            runs: drawn.runs,
            steps: drawn.steps,
            depth: drawn.depth as u64,
            endless: drawn.endless,
        }
    }

    /// Both together; only runs can be.
    fn and(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (
                &Self::Runs { planned, runs, steps, depth, endless },
                &Self::Runs { planned: p, runs: r, steps: m, depth: d, endless: e },
            ) => Some(Self::Runs {
                planned: planned + p,
                runs: runs + r,
                steps: steps + m,
                depth: depth.max(d),
                endless: endless + e,
            }),
            _ => None,
        }
    }
}

impl Found {
    /// The same thing in another run.
    fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind && explore::is_like(&self.text, &other.text)
    }
}

impl Report {
    /// A search that has not begun.
    pub fn of(case: &Case, search: &Search, prints: Vec<String>) -> Self {
        let strategy = match search.strategy {
            Way::Random => "random",
            Way::Pct => "pct",
            Way::Exhaustive => "exhaustive",
        };
        let question = Question {
            machine: case.machine_text.clone(),
            script: case.script_text.clone(),
            kernel: explore::museum::options(&case.semantics),
            strategy: strategy.to_owned(),
            seed: search.seed,
            runs: search.runs,
            changes: search.changes,
            shards: search.shard.1,
            depth: search.depth(),
            states: search.states,
            reduced: search.strategy == Way::Exhaustive && !search.no_reduction,
        };
        let shards = BTreeSet::from([search.shard.0]);
        let (covered, findings) = (Covered::default(), Vec::new());
        Self { question, shards, covered, stopped: false, prints, findings, coverage: None }
    }

    /// Writes it to a file, all of it or nothing.
    pub fn write(&self, path: &Path, existing: Existing) -> diagnostic::Result<()> {
        let text =
            serde_json::to_string_pretty(self).context(|| "cannot write the result as JSON".to_owned())?;
        Ok(file::write(path, (text + "\n").as_bytes(), existing)?)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}: {}", self.question.strategy, self.question.kernel);
        if !self.prints.is_empty() {
            text.push_str("the quiet run prints:\n");
            self.prints.iter().for_each(|line| text.push_str(&format!("    {}\n", line.trim_end())));
        }
        for found in &self.findings {
            let run = found.run.map(|run| format!("run {run}, ")).unwrap_or_default();
            let _ = writeln!(text, "found: {}: {}", found.kind, found.text);
            let _ = writeln!(text, "    {run}shown after {} steps:\n    {}", found.steps, found.replay);
        }
        if self.findings.is_empty() {
            text.push_str("nothing was found\n");
        }
        self.covered_text(&mut text);
        if let Some(coverage) = &self.coverage {
            text.push_str(&coverage.text());
        }
        text
    }

    fn covered_text(&self, text: &mut String) {
        let Question { seed, shards, states: bound, depth: deepest, reduced, .. } = self.question;
        let stopped = if self.stopped { "stopped: " } else { "" };
        let _ = match &self.covered {
            Covered::Nothing => writeln!(text, "{stopped}nothing was covered"),
            Covered::States { states, transitions, finals, depth, cut, estimate } => {
                let reduced = if reduced { ", reduced" } else { "" };
                let what =
                    format!("{states} states, {transitions} transitions, {finals} final, depth {depth}");
                let share =
                    estimate.map(|estimate| format!("{}\n", estimate.share(*states))).unwrap_or_default();
                match cut {
                    0 if self.stopped => write!(text, "stopped: {what}{reduced}\n{share}"),
                    0 => writeln!(text, "complete: {what}{reduced}"),
                    _ => write!(
                        text,
                        "{stopped}bounded: {what}; in {cut} states not all steps were tried, since {bound} \
                         states and depth {deepest} are the bound{reduced}\n{share}"
                    ),
                }
            }
            Covered::Runs { planned, runs, steps, depth, endless } => {
                let of = if runs == planned { String::new() } else { format!(" of {planned}") };
                let _ = write!(text, "{stopped}{runs}{of} runs from seed {seed}, ");
                let _ = write!(text, "{steps} steps, the longest run {depth}");
                let left = if *endless == 0 { String::new() } else { format!("; {endless} left unfinished") };
                let missing = gaps(&self.shards, shards);
                let missing = if missing.is_empty() {
                    String::new()
                } else {
                    format!("; without parts {missing} of {shards}")
                };
                writeln!(text, "{left}{missing}")
            }
        };
    }

    /// Adds what another part came to.
    fn add(&mut self, other: Self) -> Result<(), String> {
        if self.question != other.question {
            return Err(format!("is about something else: {}", self.question.difference(&other.question)));
        }
        if let Some(shard) = self.shards.intersection(&other.shards).next() {
            return Err(format!("has part {shard} of {}, which is there already", self.question.shards));
        }
        match (&mut self.coverage, other.coverage) {
            (None, None) => {}
            (Some(coverage), Some(more)) => coverage.add(more),
            (Some(_), None) => {
                return Err("was searched without --coverage, and those before it with it".to_owned());
            }
            (None, Some(_)) => {
                return Err("was searched with --coverage, and those before it without it".to_owned());
            }
        }
        self.covered = self.covered.and(&other.covered).ok_or("is not a result of runs")?;
        self.stopped |= other.stopped;
        self.shards.extend(other.shards);
        for found in other.findings {
            match self.findings.iter_mut().find(|known| known.is_like(&found)) {
                None => self.findings.push(found),
                // As a search that makes all runs keeps the first.
                Some(known) if found.run < known.run => *known = found,
                Some(_) => {}
            }
        }
        // The same whichever part came first.
        self.findings.sort_by(|a, b| (a.run, &a.text).cmp(&(b.run, &b.text)));
        Ok(())
    }
}

impl Question {
    /// What is another in `other`.
    fn difference(&self, other: &Self) -> &'static str {
        match other {
            _ if self.machine != other.machine => "another machine",
            _ if self.script != other.script => "another script",
            _ if self.kernel != other.kernel => "another kernel",
            _ if self.strategy != other.strategy => "another strategy",
            _ if self.seed != other.seed => "another seed",
            _ if (self.runs, self.shards) != (other.runs, other.shards) => "other parts",
            _ => "other bounds",
        }
    }
}

/// The numbers from 1 to `last` that are not in a set, as ranges: `1, 4-9`.
fn gaps(set: &BTreeSet<u64>, last: u64) -> String {
    let mut gaps = Vec::new();
    let mut next = 1;
    for &number in set.range(1..=last).chain([&(last + 1)]) {
        match number - next {
            0 => {}
            1 => gaps.push(next.to_string()),
            2 => gaps.extend([next.to_string(), (next + 1).to_string()]),
            _ => gaps.push(format!("{next}-{}", number - 1)),
        }
        next = number + 1;
    }
    gaps.join(", ")
}

/// Puts results together.
///
/// # Errors
/// For a file that is no result, and for results that do not belong together.
pub fn merge(paths: &[PathBuf]) -> diagnostic::Result<Report> {
    let mut merged: Option<Report> = None;
    for path in paths {
        let text = crate::input::read(path)?;
        let report: Report = serde_json::from_str(&text)
            .map_err(|e| FileError::json(path, e.line(), &e, "what `irqlab explore --json` wrote"))?;
        match &mut merged {
            None => merged = Some(report),
            Some(merged) => merged.add(report).map_err(|why| {
                diagnostic::report!(
                    help = "expected parts of one search: the same but for --shard",
                    "{} {why}",
                    path.display()
                )
            })?,
        }
    }
    let mut merged = merged.ok_or_else(|| diagnostic::report!("nothing to put together"))?;
    // All parts are what one search without parts is.
    if gaps(&merged.shards, merged.question.shards).is_empty() {
        (merged.question.shards, merged.shards) = (1, BTreeSet::from([1]));
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_about_or_no_more_than_a_percentage() {
        let share = |states, at_least, seen| Estimate { states, at_least }.share(seen);
        assert_eq!(
            share(200_000, false, 24_000),
            "about 12 % of all states, which are 200000 by an estimate"
        );
        assert_eq!(
            share(300_000, true, 1000),
            "0.33 % or less of all states, which are 300000 or more by an estimate"
        );
    }

    #[test]
    fn parts_that_are_missing_are_told_as_ranges() {
        let check = |set: &[u64], last: u64, expect: &str| {
            assert_eq!(gaps(&set.iter().copied().collect(), last), expect, "{set:?} of {last}");
        };
        check(&[1, 2, 3], 3, "");
        check(&[2], 3, "1, 3");
        check(&[1], MAX_SHARDS, "2-1000000");
        check(&[3, 4], 9, "1, 2, 5-9");
        check(&[], 4, "1-4");
    }
}
