//! Comparison of states, line by line.

use std::collections::{HashMap, HashSet};

use super::{StateChange, StateDiff};

/// A line: what stands in front of its colon, which interrupt it is about where the file is about
/// several, and its value.
struct Entry {
    key: String,
    of: Option<String>,
    value: String,
}

/// A line that differs, by file, key and values.
type Key = (String, String, Option<String>, Option<String>);

/// What was found.
#[derive(Default)]
pub struct Lines {
    diffs: Vec<StateDiff>,
    at: HashMap<(String, String), usize>,
    changes: HashMap<Key, usize>,
}

impl Lines {
    /// What was found.
    pub fn into_diffs(mut self) -> Vec<StateDiff> {
        for change in self.diffs.iter_mut().flat_map(|d| &mut d.changes) {
            change.of.sort_by_key(|of| (of.parse::<u64>().unwrap_or(u64::MAX), of.clone()));
        }
        self.diffs
    }

    /// Compares two states, of which every file stands under a line with its path.
    pub fn compare_state(&mut self, state: &str, left: &str, right: &str) {
        let (left, right) = (sections(left), sections(right));
        let paths = merged(left.iter().map(|(p, _)| *p), right.iter().map(|(p, _)| *p));
        let find = |of: &HashMap<&str, String>, path: &str| of.get(path).cloned();
        let (lefts, rights): (HashMap<_, _>, HashMap<_, _>) =
            (left.into_iter().collect(), right.into_iter().collect());
        for path in paths {
            let (pattern, number) = pattern(path);
            match (find(&lefts, path), find(&rights, path)) {
                (Some(a), Some(b)) if a == b => {}
                (Some(a), Some(b)) => {
                    self.compare(state, &pattern, &number, &entries(path, &a), &entries(path, &b));
                }
                (a, b) => {
                    let exists = |text: Option<String>| text.map(|_| "exists".to_owned());
                    self.note(state, &pattern, "", number.as_deref(), exists(a), exists(b));
                }
            }
        }
    }

    /// Compares two texts of MSI-X tables.
    pub fn compare_msix(&mut self, state: &str, left: &str, right: &str) {
        let table = |text: &str| -> Vec<Entry> {
            text.lines()
                .filter_map(|line| line.split_once(": "))
                .flat_map(|(entry, values)| {
                    values.split_whitespace().filter_map(move |word| {
                        let (field, value) = word.split_once('=')?;
                        Some(Entry {
                            key: field.to_owned(),
                            of: Some(entry.to_owned()),
                            value: value.to_owned(),
                        })
                    })
                })
                .collect()
        };
        self.compare(state, "MSI-X table", &None, &table(left), &table(right));
    }

    fn compare(&mut self, state: &str, path: &str, number: &Option<String>, left: &[Entry], right: &[Entry]) {
        let index = |entries: &'_ [Entry]| -> HashMap<(String, Option<String>), String> {
            entries.iter().map(|e| ((e.key.clone(), e.of.clone()), e.value.clone())).collect()
        };
        let (lefts, rights) = (index(left), index(right));
        let mut seen = HashSet::new();
        for entry in left.iter().chain(right) {
            let key = (entry.key.clone(), entry.of.clone());
            if !seen.insert(key.clone()) {
                continue;
            }
            let (a, b) = (lefts.get(&key).cloned(), rights.get(&key).cloned());
            if a != b {
                let of = entry.of.as_deref().or(number.as_deref());
                self.note(state, path, &entry.key, of, a, b);
            }
        }
    }

    fn note(
        &mut self,
        state: &str,
        path: &str,
        line: &str,
        of: Option<&str>,
        left: Option<String>,
        right: Option<String>,
    ) {
        let at = *self.at.entry((path.to_owned(), line.to_owned())).or_insert_with(|| {
            self.diffs.push(StateDiff { path: path.to_owned(), line: line.to_owned(), changes: Vec::new() });
            self.diffs.len() - 1
        });
        let changes = &mut self.diffs[at].changes;
        let key = (path.to_owned(), line.to_owned(), left.clone(), right.clone());
        let at = *self.changes.entry(key).or_insert_with(|| {
            changes.push(StateChange { left, right, of: Vec::new(), states: Vec::new(), times: 0 });
            changes.len() - 1
        });
        let change = &mut changes[at];
        change.times += 1;
        if let Some(of) = of
            && !change.of.iter().any(|o| o == of)
        {
            change.of.push(of.to_owned());
        }
        if change.states.last().is_none_or(|s| s != state) {
            change.states.push(state.to_owned());
        }
    }
}

/// The files of a state in order.
fn sections(text: &str) -> Vec<(&str, String)> {
    let mut sections: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("=== "), sections.last_mut()) {
            (Some(path), _) => sections.push((path, String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    sections
}

/// Two orders as one: what only the second has stands behind what it follows there.
fn merged<'a>(left: impl Iterator<Item = &'a str>, right: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all: Vec<&str> = left.collect();
    let known: HashSet<&str> = all.iter().copied().collect();
    let mut after = 0;
    for path in right {
        if known.contains(path) {
            after = all.iter().position(|p| *p == path).map_or(after, |at| at + 1);
        } else {
            all.insert(after, path);
            after += 1;
        }
    }
    all
}

/// The path with `N` for a number, and the number.
fn pattern(path: &str) -> (String, Option<String>) {
    let mut number = None;
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| {
            let is_number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            if is_number && number.is_none() {
                number = Some(part.to_owned());
                return "N";
            }
            part
        })
        .collect();
    (parts.join("/"), number)
}

fn entries(path: &str, text: &str) -> Vec<Entry> {
    if path == "/proc/interrupts" {
        return interrupts(text);
    }
    let mut lines = text.lines();
    if let (Some(only), None) = (lines.next(), lines.next())
        && !only.contains(": ")
    {
        return vec![Entry { key: String::new(), of: None, value: only.trim().to_owned() }];
    }
    keyed(text)
}

/// Rows of `/proc/interrupts`: chip, hardware number with flow, names, and where they were counted.
fn interrupts(text: &str) -> Vec<Entry> {
    let mut lines = text.lines();
    let cpus: Vec<&str> = lines.next().unwrap_or("").split_whitespace().collect();
    let mut entries = Vec::new();
    for line in lines {
        let Some((label, rest)) = line.split_once(':') else { continue };
        let label = label.trim();
        let words: Vec<&str> = rest.split_whitespace().collect();
        let counted = words.iter().take(cpus.len()).take_while(|w| w.parse::<u64>().is_ok()).count();
        let mut add = |key: &str, value: String| {
            entries.push(Entry { key: key.to_owned(), of: Some(label.to_owned()), value });
        };
        let counts: Vec<String> = cpus
            .iter()
            .zip(&words[..counted])
            .filter(|(_, n)| **n != "0")
            .map(|(cpu, n)| format!("{cpu}: {n}"))
            .collect();
        let is_irq = label.parse::<u32>().is_ok();
        if is_irq {
            add("counts", if counts.is_empty() { "none".into() } else { counts.join(", ") });
            let mut rest = words[counted..].iter();
            add("chip", rest.next().copied().unwrap_or("").to_owned());
            add("hardware number", rest.next().copied().unwrap_or("").to_owned());
            let names: Vec<&str> = rest.copied().collect();
            add("names", names.join(" "));
        } else {
            // Rows of the architecture: whether there is one, and its text.
            add("row", format!("{label}: {}", words[counted..].join(" ")));
        }
    }
    entries
}

/// Lines of debugfs: `key: value`, names of flags, levels of a hierarchy, rows of the vector matrix.
fn keyed(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut level = String::new();
    let mut columns: Vec<&str> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.trim() == "parent:" {
            level.push_str("parent ");
        } else if line.contains('|') {
            columns = line.split('|').map(str::trim).filter(|c| !c.is_empty()).collect();
        } else if !columns.is_empty() && words.first().is_some_and(|w| w.parse::<u32>().is_ok()) {
            for (column, word) in columns.iter().zip(&words).skip(1) {
                let of = Some(format!("CPU {}", words[0]));
                entries.push(Entry { key: (*column).to_owned(), of, value: (*word).to_owned() });
            }
        } else if let Some((key, value)) = line.split_once(':').filter(|_| !line.trim().starts_with("IRQ")) {
            entries.push(Entry {
                key: format!("{level}{}", key.trim()),
                of: None,
                value: value.trim().to_owned(),
            });
        } else if !words.is_empty() {
            entries.push(Entry { key: format!("{level}{}", line.trim()), of: None, value: "set".into() });
        }
    }
    entries
}
