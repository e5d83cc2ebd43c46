//! What came of a comparison, as data and as text.

use std::collections::HashSet;
use std::fmt::{self, Write};

use diffy::{DiffOptions, Line};
use sim::plan::Kind;

use super::races::{Chance, Searched};

/// Equal lines shown around a difference.
const CONTEXT: usize = 3;

/// A line of a file, as it was compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineAt {
    /// Its number in the file, from 1.
    pub number: usize,
    /// Its text, without what may differ.
    pub text: String,
}

/// One line that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The actor, file or interrupt that the line belongs to.
    pub place: String,
    /// The real kernel's line, if it has one there.
    pub expected_line: Option<LineAt>,
    /// The emulator's line, if it has one there.
    pub got_line: Option<LineAt>,
}

/// Who has a line of a hunk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// Both.
    Both,
    /// The real kernel.
    Expected,
    /// The emulator.
    Got,
}

/// Neighbouring differences and the equal lines around them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hunk {
    /// The actor, file or interrupt that the lines belong to.
    pub place: String,
    /// The lines; the numbers are the real kernel's where it has the line.
    pub lines: Vec<(Side, LineAt)>,
}

/// What came of comparing two files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Comparison {
    /// Lines of the real kernel's file that took part.
    pub lines_compared: usize,
    /// Line by line.
    pub differences: Vec<Difference>,
    /// The same with context.
    pub hunks: Vec<Hunk>,
}

impl Comparison {
    /// Nothing differs.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

/// The differences as a diff: `-` is the real kernel, `+` the emulator.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Hunk { place, lines } in &self.hunks {
            writeln!(f, "@@ {place} @@")?;
            for (side, LineAt { number, text }) in lines {
                let sign = match side {
                    Side::Both => ' ',
                    Side::Expected => '-',
                    Side::Got => '+',
                };
                writeln!(f, "{sign}{number:>6}  {text}")?;
            }
        }
        Ok(())
    }
}

impl Comparison {
    /// Compares lines that belong to one place.
    pub(super) fn add(&mut self, place: &str, expected: &[LineAt], got: &[LineAt]) {
        self.lines_compared += expected.len();
        let text = |lines: &[LineAt]| lines.iter().flat_map(|line| [&line.text, "\n"]).collect::<String>();
        let (left, right) = (text(expected), text(got));
        let patch = DiffOptions::new().set_context_len(CONTEXT).create_patch(&left, &right);
        for hunk in patch.hunks() {
            // The next line of either side. Ranges count from 1, and an empty one names the line before.
            let first = |range: diffy::HunkRange| range.start() - usize::from(!range.is_empty());
            let (mut l, mut r) = (first(hunk.old_range()), first(hunk.new_range()));
            let mut lines = Vec::new();
            // Where the lines of the open difference begin: it ends with the next line that both have.
            let (mut from_l, mut from_r) = (l, r);
            for line in hunk.lines() {
                match line {
                    Line::Context(_) => {
                        self.differ(place, &expected[from_l..l], &got[from_r..r]);
                        lines.push((Side::Both, expected[l].clone()));
                        (l, r) = (l + 1, r + 1);
                        (from_l, from_r) = (l, r);
                    }
                    Line::Delete(_) => {
                        lines.push((Side::Expected, expected[l].clone()));
                        l += 1;
                    }
                    Line::Insert(_) => {
                        lines.push((Side::Got, got[r].clone()));
                        r += 1;
                    }
                }
            }
            self.differ(place, &expected[from_l..l], &got[from_r..r]);
            self.hunks.push(Hunk { place: place.to_owned(), lines });
        }
    }

    /// Adds lines that stand in each other's place.
    fn differ(&mut self, place: &str, expected: &[LineAt], got: &[LineAt]) {
        for i in 0..expected.len().max(got.len()) {
            self.differences.push(Difference {
                place: place.to_owned(),
                expected_line: expected.get(i).cloned(),
                got_line: got.get(i).cloned(),
            });
        }
    }
}

/// What came of one file of a capture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Both sides have it.
    Compared(Comparison),
    /// The emulator did not make it.
    NotMade,
    /// The capture does not have it, although its script records it.
    Missing,
    /// A state that was not taken: what the script records after it is there.
    NotTaken,
}

/// One file of a capture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The file's name.
    pub file: String,
    /// What it holds.
    pub kind: Kind,
    /// What came of it.
    pub outcome: Outcome,
}

impl Row {
    /// Both have the file, and nothing differs.
    pub fn passed(&self) -> bool {
        match &self.outcome {
            Outcome::Compared(comparison) => comparison.is_equal(),
            Outcome::NotTaken => true,
            Outcome::NotMade | Outcome::Missing => false,
        }
    }
}

/// What came of a whole capture.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// By file, in the order of the script.
    pub rows: Vec<Row>,
    /// The choices of the run that was compared; none in the quiet run.
    pub chances: Vec<Chance>,
    /// Where the quiet run was not equal, the search for another one.
    pub searched: Option<Searched>,
}

impl Report {
    /// Every file passed.
    pub fn passed(&self) -> bool {
        self.rows.iter().all(Row::passed)
    }

    /// Lines compared in all files.
    pub fn lines_compared(&self) -> usize {
        self.comparisons().map(|(_, comparison)| comparison.lines_compared).sum()
    }

    /// Differences in all files.
    pub fn differences(&self) -> usize {
        self.comparisons().map(|(_, comparison)| comparison.differences.len()).sum()
    }

    fn comparisons(&self) -> impl Iterator<Item = (&Row, &Comparison)> {
        self.rows.iter().filter_map(|row| match &row.outcome {
            Outcome::Compared(comparison) => Some((row, comparison)),
            Outcome::NotMade | Outcome::Missing | Outcome::NotTaken => None,
        })
    }

    /// A row per file: lines compared, differences.
    pub fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.file.len()).max().unwrap_or(0).max(4);
        let mut text = format!("{:width$}  {:>6}  {:>11}\n", "file", "lines", "differences");
        for row in &self.rows {
            // Writing to a String cannot fail.
            let _ = match &row.outcome {
                Outcome::Compared(Comparison { lines_compared, differences, hunks: _ }) => {
                    writeln!(text, "{:width$}  {lines_compared:>6}  {:>11}", row.file, differences.len())
                }
                Outcome::NotMade => writeln!(text, "{:width$}  {:>6}  {:>11}", row.file, "-", "not made"),
                Outcome::Missing => writeln!(text, "{:width$}  {:>6}  {:>11}", row.file, "-", "missing"),
                Outcome::NotTaken => writeln!(text, "{:width$}  {:>6}  {:>11}", row.file, "-", "not taken"),
            };
        }
        text
    }

    /// The choices by chance of the run that was compared, as a schedule: `57:1,60:1` is answer 1 at places 57 and 60,
    /// `none` the quiet run.
    pub fn schedule(&self) -> String {
        if self.chances.is_empty() {
            return "none".to_owned();
        }
        let choices: Vec<String> =
            self.chances.iter().map(|chance| format!("{}:{}", chance.place, chance.answer)).collect();
        choices.join(",")
    }

    /// In lines: which choices by chance the run that was compared has made, or that no run was found that is
    /// equal. Nothing where the quiet run is.
    pub fn chance(&self) -> Vec<String> {
        let Some(Searched { runs, whole, .. }) = self.searched else { return Vec::new() };
        if self.chances.is_empty() {
            let end = if whole { "" } else { ", which is the bound" };
            return vec![format!("no choice by chance leads to this record: runs tried: {runs}{end}")];
        }
        let so_many = match self.chances.len() {
            1 => "one choice".to_owned(),
            n => format!("{n} choices"),
        };
        let mut lines = vec![format!("equal with {so_many} by chance, schedule {}", self.schedule())];
        lines.extend(self.chances.iter().map(|chance| {
            let Chance { place, answer, of: _, file, text } = chance;
            format!("  {place}:{answer} before the end of {file}: {text}")
        }));
        lines
    }

    /// All differences with context.
    pub fn diff(&self) -> String {
        let mut text = String::new();
        for (row, comparison) in self.comparisons().filter(|(_, comparison)| !comparison.is_equal()) {
            let _ = write!(text, "--- {} (real kernel)\n+++ {} (irqlab)\n{comparison}", row.file, row.file);
        }
        text
    }

    /// The places that differ, each once: `file: actor`.
    pub fn places(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        self.comparisons()
            .flat_map(|(row, comparison)| {
                comparison.differences.iter().map(move |d| format!("{}: {}", row.file, d.place))
            })
            .filter(|place| seen.insert(place.clone()))
            .collect()
    }
}
