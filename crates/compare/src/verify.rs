//! Comparison with a real kernel, by the rules of `tests/captures/README.md` and no others.
//!
//! Lines are compared exactly. What may differ is taken out of both texts beforehand:
//!
//! 1. `/proc/interrupts`: the counts, and the rows that are not device interrupts.
//! 2. The event stream of a boot: exact up to the last `irq_matrix_online`, and after it, where
//!    drivers probe in parallel, in order within one interrupt number ([`compare_boot_events`]).
//! 3. `node:` in debugfs and `/proc/irq/N/node` on a machine with one node.
//! 4. Debugfs of IRQ 3 and 4.
//!
//! In recordings the order within one actor counts, the order between two actors does not.
//!
//! # What it doesn't implement
//! The placement of non-managed interrupts at boot needs no allowance: it is an input of the
//! machine (`[[boot.vector]]`).

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};

use diffy::{DiffOptions, Line};
use kstate::semantics::Semantics;

use sim::lab::Lab;
use sim::machine::{Machine, MachineError};
use sim::plan::{Kind, Output};

use crate::capture::Capture;

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

/// Lines that are compared with each other in order.
#[derive(Default)]
struct Group {
    place: String,
    lines: Vec<LineAt>,
}

/// The lines of a file, sorted into groups between which order does not count.
#[derive(Default)]
struct Groups {
    list: Vec<Group>,
    by_place: HashMap<String, usize>,
}

impl Groups {
    fn push(&mut self, place: &str, number: usize, text: impl Into<String>) {
        let at = match self.by_place.get(place) {
            Some(&at) => at,
            None => {
                self.list.push(Group { place: place.to_owned(), lines: Vec::new() });
                self.by_place.insert(place.to_owned(), self.list.len() - 1);
                self.list.len() - 1
            }
        };
        self.list[at].lines.push(LineAt { number, text: text.into() });
    }

    fn lines(&self, place: &str) -> &[LineAt] {
        self.by_place.get(place).map_or(&[], |&at| &self.list[at].lines)
    }

    fn compare(&self, got: &Self) -> Comparison {
        let mut comparison = Comparison::default();
        for group in &self.list {
            comparison.add(&group.place, &group.lines, got.lines(&group.place));
        }
        for group in got.list.iter().filter(|group| !self.by_place.contains_key(&group.place)) {
            comparison.add(&group.place, &[], &group.lines);
        }
        comparison
    }
}

impl Comparison {
    fn add(&mut self, place: &str, expected: &[LineAt], got: &[LineAt]) {
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

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line))
}

/// Lines by the `# actor` above them, heading included.
fn by_actor(text: &str) -> Groups {
    let mut groups = Groups::default();
    let mut actor = "";
    for (number, line) in numbered(text) {
        actor = line.strip_prefix("# ").unwrap_or(actor);
        groups.push(actor, number, line);
    }
    groups
}

fn whole(place: &str, text: &str) -> Groups {
    let mut groups = Groups::default();
    for (number, line) in numbered(text) {
        groups.push(place, number, line);
    }
    groups
}

/// Compares two `.flow` files: tree by tree within one actor.
pub fn compare_flow(expected: &str, got: &str) -> Comparison {
    by_actor(expected).compare(&by_actor(got))
}

/// Compares two `.events` files with stacks: event by event within one actor.
pub fn compare_events(expected: &str, got: &str) -> Comparison {
    by_actor(expected).compare(&by_actor(got))
}

/// Compares two files of MSI-X tables.
pub fn compare_msix(expected: &str, got: &str) -> Comparison {
    whole("msix", expected).compare(&whole("msix", got))
}

/// Compares two states. `one_node` says that the machine has one NUMA node.
pub fn compare_state(expected: &str, got: &str, one_node: bool) -> Comparison {
    let (expected, got) = (by_path(expected, one_node), by_path(got, one_node));
    let mut comparison = expected.compare(&got);
    // Which files there are is compared file by file; what is left is their order.
    let order = |one: &Groups, other: &Groups| -> Vec<LineAt> {
        let both = one.list.iter().filter(|group| other.by_place.contains_key(&group.place));
        both.filter_map(|group| group.lines.first().cloned()).collect()
    };
    let (left, right) = (order(&expected, &got), order(&got, &expected));
    if left.iter().map(|line| &line.text).ne(right.iter().map(|line| &line.text)) {
        let compared = comparison.lines_compared;
        comparison.add("order of the files", &left, &right);
        comparison.lines_compared = compared;
    }
    comparison
}

/// Lines of a state by the `=== path` above them, without what may differ.
fn by_path(text: &str, one_node: bool) -> Groups {
    let mut groups = Groups::default();
    let mut path = "";
    let mut cpus = None;
    for (number, line) in numbered(text) {
        if let Some(heading) = line.strip_prefix("=== ") {
            path = heading;
            cpus = None;
        }
        if is_serial_debugfs(path) || one_node && is_node_of_irq(path) {
            continue;
        }
        if path == "/proc/interrupts" && !line.starts_with("=== ") {
            match cpus {
                // The heading names the CPUs; from its number of columns on a row's text begins.
                None => {
                    cpus = Some(line.split_whitespace().count());
                    groups.push(path, number, line);
                }
                Some(cpus) => {
                    if let Some(row) = without_counts(line, cpus) {
                        groups.push(path, number, row);
                    }
                }
            }
        } else if !(one_node && path.starts_with("/sys/kernel/debug/irq/irqs/") && line.starts_with("node:"))
        {
            groups.push(path, number, line);
        }
    }
    groups
}

/// The serial ports carried the captures out.
fn is_serial_debugfs(path: &str) -> bool {
    matches!(path.strip_prefix("/sys/kernel/debug/irq/irqs/"), Some("3" | "4"))
}

fn is_node_of_irq(path: &str) -> bool {
    path.strip_prefix("/proc/irq/")
        .and_then(|rest| rest.strip_suffix("/node"))
        .is_some_and(|irq| irq.bytes().all(|b| b.is_ascii_digit()))
}

/// A device's row of `/proc/interrupts` with `*` for its counts; `None` for the other rows.
fn without_counts(row: &str, cpus: usize) -> Option<String> {
    let (label, rest) = row.split_once(':')?;
    if !label.trim_start().bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut text = format!("{label}:");
    let mut rest = rest;
    for _ in 0..cpus {
        let count = rest.trim_start_matches(' ');
        let end = count.find(' ').unwrap_or(count.len());
        // Not a count: the row has fewer columns than the heading, and that must show.
        if end == 0 || !count[..end].bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        text.push_str(" *");
        rest = &count[end..];
    }
    text.push_str(rest);
    Some(text)
}

/// Compares two event streams of a boot.
///
/// Up to and including the last `irq_matrix_online` every line counts. After it drivers probe in
/// parallel, and the stream is sorted by interrupt number first:
///
/// * A line with `irq=` belongs to that interrupt and counts whole.
/// * A matrix line names no interrupt, but it fires under the vector lock together with a line
///   that does: before it for allocations and reservations (`irq_matrix_alloc` and the next
///   `vector_alloc`), after it for what is given back (`vector_clear` and `irq_matrix_free`).
///   It belongs to that line's interrupt.
/// * Of a matrix line the operation, `bit`, `cpu` and `online` count as they are. Its counters are
///   running totals over all interrupts, so their values depend on who came first. What one
///   operation adds to them does not, and that is compared: against the line before for the
///   global counters, against the CPU's line before for the CPU's. Since every change of a counter
///   has its line, two orders of probing differ in nothing else, and equal changes from the equal
///   beginning also make equal totals at the end.
pub fn compare_boot_events(expected: &str, got: &str) -> Comparison {
    boot_groups(expected).compare(&boot_groups(got))
}

const SEQUENTIAL: &str = "up to the last irq_matrix_online";
const NO_IRQ: &str = "no interrupt";

fn boot_groups(text: &str) -> Groups {
    let lines: Vec<&str> = text.lines().collect();
    let sequential =
        lines.iter().rposition(|line| line.starts_with("@ irq_matrix_online:")).map_or(0, |last| last + 1);
    let events: Vec<BootEvent<'_>> = lines.iter().map(|line| BootEvent::parse(line)).collect();
    let mut counters = Counters::default();
    let mut groups = Groups::default();
    for (i, (line, event)) in lines.iter().zip(&events).enumerate() {
        let changes = counters.changes(event);
        if i < sequential {
            groups.push(SEQUENTIAL, i + 1, *line);
            continue;
        }
        let place = match owner(&events[sequential..], i - sequential) {
            Some(irq) => format!("irq {irq}"),
            None => NO_IRQ.to_owned(),
        };
        groups.push(&place, i + 1, changes.unwrap_or_else(|| (*line).to_owned()));
    }
    groups
}

/// A line of the stream: `@ name: key=value ..`.
struct BootEvent<'a> {
    name: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> BootEvent<'a> {
    fn parse(line: &'a str) -> Self {
        let (name, rest) =
            line.strip_prefix("@ ").and_then(|line| line.split_once(": ")).unwrap_or((line, ""));
        let fields =
            rest.split_whitespace().filter_map(|field| field.trim_end_matches(',').split_once('=')).collect();
        Self { name, fields }
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.fields.iter().find(|(k, _)| *k == key).map(|(_, value)| *value)
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }
}

/// The interrupt that an event belongs to.
fn owner<'a>(events: &[BootEvent<'a>], at: usize) -> Option<&'a str> {
    let event = &events[at];
    if let Some(irq) = event.get("irq") {
        return Some(irq);
    }
    let after = |name| events[at..].iter().find(|e| e.name == name);
    let before = |names: &[&str]| events[..at].iter().rev().find(|e| names.contains(&e.name));
    let partner = match event.name {
        "irq_matrix_alloc" | "irq_matrix_alloc_reserved" => after("vector_alloc"),
        "irq_matrix_alloc_managed" => after("vector_alloc_managed"),
        "irq_matrix_reserve" => after("vector_reserve"),
        "irq_matrix_reserve_managed" => after("vector_reserve_managed"),
        "irq_matrix_free" => before(&["vector_clear", "vector_update", "vector_free_moved"]),
        // A reservation that fails half-way gives back before it reports.
        "irq_matrix_remove_managed"
            if events[..at]
                .iter()
                .rev()
                .find(|e| {
                    matches!(
                        e.name,
                        "irq_matrix_reserve_managed" | "vector_reserve_managed" | "vector_teardown"
                    )
                })
                .is_some_and(|e| e.name == "irq_matrix_reserve_managed") =>
        {
            after("vector_reserve_managed")
        }
        "irq_matrix_remove_managed" | "irq_matrix_remove_reserved" => before(&["vector_teardown"]),
        _ => None,
    };
    partner?.get("irq")
}

const GLOBAL: [&str; 4] = ["online_maps", "global_avl", "global_rsvd", "total_alloc"];
const PER_CPU: [&str; 3] = ["avl", "alloc", "managed"];

/// The matrix's counters after the last line that showed them.
#[derive(Default)]
struct Counters {
    global: [i64; 4],
    by_cpu: HashMap<i64, [i64; 3]>,
    /// What the last CPU to come online brought: the counters of one that no line has named yet.
    fresh: [i64; 3],
}

impl Counters {
    /// A matrix line with what it adds to the counters in place of their values.
    fn changes(&mut self, event: &BootEvent<'_>) -> Option<String> {
        let mut global = [0; 4];
        for (value, key) in global.iter_mut().zip(GLOBAL) {
            *value = event.number(key)?;
        }
        if event.name == "irq_matrix_online" {
            self.fresh = [global[1].saturating_sub(self.global[1]), 0, 0];
        }
        let mut text = format!("@ {}:", event.name);
        for (key, value) in event.fields.iter().filter(|(key, _)| matches!(*key, "bit" | "cpu" | "online")) {
            // Writing to a String cannot fail.
            let _ = write!(text, " {key}={value}");
        }
        let mut add = |keys: &[&str], old: &[i64], new: &[i64]| {
            for ((key, old), new) in keys.iter().zip(old).zip(new) {
                // The kernel's counters are 32 bits wide, and what stands in a file may be anything.
                let _ = write!(text, " {key}{:+}", i128::from(*new) - i128::from(*old));
            }
        };
        if let Some(cpu) = event.number("cpu") {
            let mut now = [0; 3];
            for (value, key) in now.iter_mut().zip(PER_CPU) {
                *value = event.number(key)?;
            }
            let old = self.by_cpu.insert(cpu, now).unwrap_or(self.fresh);
            add(&PER_CPU, &old, &now);
        }
        add(&GLOBAL, &self.global, &global);
        self.global = global;
        Some(text)
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
}

/// Runs a capture's script on its machine and compares every recording. Answers what came of it
/// and the machine afterwards.
///
/// # Errors
/// A mistake in `machine.toml`.
pub fn run(capture: &Capture) -> Result<(Report, Lab), Box<MachineError>> {
    let (lab, outputs) = capture.run()?;
    Ok((verify(capture, &outputs), lab))
}

/// The same for a machine that was read before, under `semantics`.
pub fn run_with(capture: &Capture, machine: &Machine, semantics: Semantics) -> (Report, Lab) {
    let (lab, outputs) = capture.run_with(machine, semantics);
    (verify(capture, &outputs), lab)
}

/// Compares what the emulator made with what a real kernel made. A capture that lacks a recording, or
/// ends before its script does, does not pass.
pub fn verify(capture: &Capture, outputs: &[Output]) -> Report {
    let one_node = capture.has_one_node();
    let end = capture.files.iter().rposition(|(_, text)| text.is_some()).map_or(0, |last| last + 1);
    let rows = capture.files.iter().enumerate().map(|(i, (planned, text))| {
        let made = outputs.iter().find(|output| output.name == planned.file);
        let outcome = match (text, made) {
            (None, _) if planned.kind == Kind::State && i < end => Outcome::NotTaken,
            (None, _) => Outcome::Missing,
            (_, None) => Outcome::NotMade,
            (Some(expected), Some(Output { name: _, text: got })) => {
                Outcome::Compared(compare(planned.kind, expected, got, one_node))
            }
        };
        Row { file: planned.file.clone(), kind: planned.kind, outcome }
    });
    Report { rows: rows.collect() }
}

/// Compares two files of a kind.
pub fn compare(kind: Kind, expected: &str, got: &str, one_node: bool) -> Comparison {
    match kind {
        Kind::Flow => compare_flow(expected, got),
        Kind::Events => compare_events(expected, got),
        Kind::BootEvents => compare_boot_events(expected, got),
        Kind::State => compare_state(expected, got, one_node),
        Kind::Msix => compare_msix(expected, got),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected differences: place, the real kernel's line, the emulator's.
    type Lines<'a> = &'a [(&'a str, Option<&'a str>, Option<&'a str>)];

    fn check(comparison: &Comparison, expect: Lines<'_>) {
        let text = |line: &Option<LineAt>| line.as_ref().map(|line| line.text.clone());
        let got: Vec<_> = comparison
            .differences
            .iter()
            .map(|d| (d.place.clone(), text(&d.expected_line), text(&d.got_line)))
            .collect();
        let got: Vec<_> = got.iter().map(|(p, e, g)| (p.as_str(), e.as_deref(), g.as_deref())).collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn order_counts_within_an_actor_only() {
        let expected = "# task\na\n# softirq\nb\n# task\nc\n";
        check(&compare_flow(expected, "# task\na\n# task\nc\n# softirq\nb\n"), &[]);
        let swapped = compare_flow(expected, "# task\nc\n# softirq\nb\n# task\na\n");
        assert!(swapped.differences.iter().all(|d| d.place == "task") && !swapped.is_equal());
        check(
            &compare_flow(expected, "# task\na\n# kworker\nb\n# task\nc\n"),
            &[
                ("softirq", Some("# softirq"), None),
                ("softirq", Some("b"), None),
                ("kworker", None, Some("# kworker")),
                ("kworker", None, Some("b")),
            ],
        );
    }

    #[test]
    fn differences_name_lines_of_both_files_and_print_with_context() {
        let comparison = compare_flow("# task\na\nb\nc\nd\ne\n", "# task\na\nb\nc\nx\ne\n");
        assert_eq!(comparison.lines_compared, 6);
        let [Difference { expected_line: Some(expected), got_line: Some(got), .. }] =
            comparison.differences.as_slice()
        else {
            panic!("{comparison:?}")
        };
        assert_eq!((expected.number, got.number), (5, 5));
        assert_eq!(
            comparison.to_string(),
            "@@ task @@\n      2  a\n      3  b\n      4  c\n-     5  d\n+     5  x\n      6  e\n"
        );
    }

    const INTERRUPTS: &str = "=== /proc/interrupts\n           CPU0       CPU1       \n  \
        0:         33          0   IO-APIC   2-edge      timer\n 29:          1          2   PCI-MSI 49152-edge      nvme0q0\n\
        NMI:          0          0   Non-maskable interrupts\nERR:          0\n";

    #[test]
    fn counts_and_other_rows_of_proc_interrupts_are_free() {
        let same = |got: &str| check(&compare_state(INTERRUPTS, got, true), &[]);
        same(INTERRUPTS);
        same(&INTERRUPTS.replace("         33", " 1234567890").replace("NMI:          0", "NMI:          7"));
        same(&INTERRUPTS.replace("ERR:          0\n", ""));
        let place = "/proc/interrupts";
        check(
            &compare_state(INTERRUPTS, &INTERRUPTS.replace("PCI-MSI", "IR-PCI-MSI"), true),
            &[(
                place,
                Some(" 29: * *   PCI-MSI 49152-edge      nvme0q0"),
                Some(" 29: * *   IR-PCI-MSI 49152-edge      nvme0q0"),
            )],
        );
        check(
            &compare_state(INTERRUPTS, &INTERRUPTS.replace("          2   PCI", "   PCI"), true),
            &[(
                place,
                Some(" 29: * *   PCI-MSI 49152-edge      nvme0q0"),
                Some(" 29: *   PCI-MSI 49152-edge      nvme0q0"),
            )],
        );
        let one_cpu = compare_state(INTERRUPTS, &INTERRUPTS.replace("       CPU1", ""), true);
        let heading = one_cpu.differences[0].got_line.as_ref().unwrap();
        assert_eq!(heading.text, "           CPU0       ");
    }

    #[test]
    fn nodes_are_free_on_a_machine_with_one() {
        let expected =
            "=== /proc/irq/9/node\n0\n=== /sys/kernel/debug/irq/irqs/9\nnode:     0\nddepth:   0\n";
        let got = "=== /proc/irq/9/node\n-1\n=== /sys/kernel/debug/irq/irqs/9\nnode:     -1\nddepth:   0\n";
        check(&compare_state(expected, got, true), &[]);
        assert_eq!(compare_state(expected, got, true).lines_compared, 2);
        check(
            &compare_state(expected, got, false),
            &[
                ("/proc/irq/9/node", Some("0"), Some("-1")),
                ("/sys/kernel/debug/irq/irqs/9", Some("node:     0"), Some("node:     -1")),
            ],
        );
    }

    #[test]
    fn debugfs_of_the_serial_ports_is_left_out() {
        let both = "=== /sys/kernel/debug/irq/irqs/3\na\n=== /sys/kernel/debug/irq/irqs/30\nb\n";
        let without = "=== /sys/kernel/debug/irq/irqs/30\nb\n";
        check(&compare_state(without, both, false), &[]);
        assert_eq!(compare_state(both, without, false).lines_compared, 2);
    }

    #[test]
    fn missing_files_and_their_order_show() {
        check(
            &compare_state("=== /a\n1\n=== /b\n2\n", "=== /b\n2\n", true),
            &[("/a", Some("=== /a"), None), ("/a", Some("1"), None)],
        );
        let swapped = compare_state("=== /a\n1\n=== /b\n2\n", "=== /b\n2\n=== /a\n1\n", true);
        assert!(!swapped.is_equal() && swapped.lines_compared == 4);
        assert!(swapped.differences.iter().all(|d| d.place == "order of the files"));
    }

    /// Two interrupts that probe one after the other, in both orders. Counters are what the matrix
    /// would say.
    const ONLINE: &str = "@ irq_matrix_online: online_maps=1 global_avl=200, global_rsvd=2, total_alloc=0\n\
        @ irq_matrix_online: online_maps=2 global_avl=400, global_rsvd=2, total_alloc=0\n";

    fn probe(irq: u32, cpu: u32, avl: u32, alloc: u32, rsvd: u32) -> String {
        format!(
            "@ vector_activate: irq={irq} is_managed=0 can_reserve=1 reserve=0\n\
             @ irq_matrix_alloc: bit={irq} cpu={cpu} online=1 avl=199 alloc=1 managed=0 online_maps=2 \
             global_avl={avl}, global_rsvd={rsvd}, total_alloc={alloc}\n\
             @ vector_alloc: irq={irq} vector={irq} reserved=1 ret=0\n"
        )
    }

    #[test]
    fn a_boot_may_probe_in_another_order() {
        let expected = format!("{ONLINE}{}{}", probe(33, 0, 399, 1, 1), probe(34, 1, 398, 2, 0));
        let swapped = format!("{ONLINE}{}{}", probe(34, 1, 399, 1, 1), probe(33, 0, 398, 2, 0));
        check(&compare_boot_events(&expected, &expected), &[]);
        check(&compare_boot_events(&expected, &swapped), &[]);
    }

    #[test]
    fn a_boot_must_count_right_in_every_order() {
        let expected = format!("{ONLINE}{}{}", probe(33, 0, 399, 1, 1), probe(34, 1, 398, 2, 0));
        let wrong = format!("{ONLINE}{}{}", probe(34, 1, 399, 1, 1), probe(33, 0, 399, 2, 0));
        check(
            &compare_boot_events(&expected, &wrong),
            &[(
                "irq 33",
                Some(
                    "@ irq_matrix_alloc: bit=33 cpu=0 online=1 avl-1 alloc+1 managed+0 online_maps+0 \
                     global_avl-1 global_rsvd-1 total_alloc+1",
                ),
                Some(
                    "@ irq_matrix_alloc: bit=33 cpu=0 online=1 avl-1 alloc+1 managed+0 online_maps+0 \
                     global_avl+0 global_rsvd-1 total_alloc+1",
                ),
            )],
        );
        // Before the last CPU is up nothing is free.
        let early = expected.replace("global_avl=200,", "global_avl=201,");
        assert!(compare_boot_events(&expected, &early).differences.iter().any(|d| d.place == SEQUENTIAL));
        // Neither is the order within one interrupt.
        let text = "@ vector_activate: irq=1 reserve=0\n@ vector_config: irq=1 vector=2\n";
        let reversed: String = text.lines().rev().flat_map(|line| [line, "\n"]).collect();
        assert!(!compare_boot_events(&format!("{ONLINE}{text}"), &format!("{ONLINE}{reversed}")).is_equal());
    }

    #[test]
    fn matrix_lines_belong_to_the_interrupt_whose_operation_they_are() {
        let check = |stream: &str, at: usize, irq: Option<&str>| {
            let events: Vec<_> = stream.split(';').map(BootEvent::parse).collect();
            assert_eq!(owner(&events, at), irq, "{stream}");
        };
        // Without the vector lock another CPU's line may come between.
        let stream = "@ irq_matrix_alloc: bit=1;@ vector_activate: irq=9;@ vector_alloc: irq=24";
        check(stream, 0, Some("24"));
        let stream = "@ vector_clear: irq=4 cpu=0;@ irq_matrix_free: bit=1;@ vector_activate: irq=9";
        check(stream, 1, Some("4"));
        let stream = "@ vector_teardown: irq=4 x=0;@ irq_matrix_remove_managed: bit=1";
        check(stream, 1, Some("4"));
        let stream = "@ vector_teardown: irq=4 x=0;@ irq_matrix_reserve_managed: bit=1;\
                      @ irq_matrix_remove_managed: bit=1;@ vector_reserve_managed: irq=5 ret=-28";
        check(stream, 2, Some("5"));
        check("@ irq_matrix_assign: bit=1;@ vector_alloc: irq=24", 0, None);
    }
}
