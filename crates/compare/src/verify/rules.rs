//! What is compared with what, and what may differ: rules 1, 3 and 4 of `verify`, and the order within one actor.

use std::collections::HashMap;

use super::report::{Comparison, LineAt};

/// Lines that are compared with each other in order.
#[derive(Default)]
struct Group {
    place: String,
    lines: Vec<LineAt>,
}

/// The lines of a file, sorted into groups between which order does not count.
#[derive(Default)]
pub(super) struct Groups {
    list: Vec<Group>,
    by_place: HashMap<String, usize>,
}

impl Groups {
    /// Adds a line to the group of its place.
    pub(super) fn push(&mut self, place: &str, number: usize, text: impl Into<String>) {
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

    /// Compares group by group.
    pub(super) fn compare(&self, got: &Self) -> Comparison {
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
    compare_text("msix", expected, got)
}

/// Compares two texts line by line. Differences name `place`.
pub fn compare_text(place: &str, expected: &str, got: &str) -> Comparison {
    whole(place, expected).compare(&whole(place, got))
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
