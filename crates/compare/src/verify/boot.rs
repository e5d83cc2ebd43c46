//! Rule 2 of `verify`: the event stream of a boot, in which drivers probe in parallel.

use std::collections::HashMap;
use std::fmt::Write;

use super::report::Comparison;
use super::rules::Groups;

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

pub(super) const SEQUENTIAL: &str = "up to the last irq_matrix_online";
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
pub(super) struct BootEvent<'a> {
    name: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> BootEvent<'a> {
    /// Reads a line.
    pub(super) fn parse(line: &'a str) -> Self {
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
pub(super) fn owner<'a>(events: &[BootEvent<'a>], at: usize) -> Option<&'a str> {
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
