//! `irqlab explore --sweep`: the same search on every kernel and with every other value of every field, and one table.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::ControlFlow;

use explore::coverage::Seen;
use explore::museum;
use explore::random::{self, Plan};
use explore::{Finding, exhaustive};
use kstate::semantics::{KernelVersion, Semantics};
use serde::Serialize;

use super::coverage::Coverage;
use super::{Ended, Search, Way, covering, go_on};
use crate::case::Case;

/// One search of a sweep.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Row {
    /// The kernel.
    pub kernel: &'static str,
    /// What is changed in it, as `--set` takes it; nothing where it is as it is.
    pub set: Option<String>,
    /// What was found, numbers in it written as `N`.
    pub found: BTreeSet<String>,
    /// All that was to be looked at was.
    pub complete: bool,
    /// Runs that were made, or states that were visited.
    pub looked: u64,
}

/// What all searches came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Sweep {
    /// One for each kernel as it is, and behind it one for each change.
    pub rows: Vec<Row>,
    /// Somebody stopped it.
    pub stopped: bool,
    /// What all of them have seen of the modelled functions, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

/// A text in which numbers do not count.
fn plain(kind: &str, text: &str) -> String {
    let mut plain = format!("{kind}: ");
    for c in text.trim_end().chars() {
        let number = c.is_ascii_digit();
        if !number {
            plain.push(c);
        } else if !plain.ends_with('N') {
            plain.push('N');
        }
    }
    plain
}

/// The kernels as they are, and each with one field changed. Changes that contradict another field are left out.
fn variants(kernels: &[KernelVersion]) -> Vec<(Semantics, Option<String>)> {
    let mut all = Vec::new();
    for &kernel in kernels {
        let base = Semantics::of(kernel);
        all.push((base.clone(), None));
        for field in Semantics::fields() {
            let words: BTreeSet<&str> = field.values.iter().map(|value| value.word).collect();
            for word in words.into_iter().filter(|word| *word != field.of(kernel)) {
                let mut changed = base.clone();
                if changed.set(field.name, word).is_ok() && changed.check().is_ok() {
                    all.push((changed, Some(format!("{}={word}", field.name))));
                }
            }
        }
    }
    all
}

/// What was seen: before that was explored which is, and while it was.
type Covering = (Seen, Seen);

/// Searches once.
fn search(case: &Case, search: &Search, stop: &Ended, coverage: &mut Covering) -> (Row, bool) {
    let root = if search.coverage { covering(case, &mut coverage.0) } else { case.world(false) };
    let (findings, complete, looked, stopped): (Vec<Finding>, bool, u64, bool) = match search.strategy {
        Way::Exhaustive => {
            let explored = exhaustive::explore_with(&root, search.bounds(), search.how(), |_| go_on(stop));
            let complete = explored.is_complete();
            coverage.1.add(explored.seen.unwrap_or_default());
            (explored.findings, complete, explored.covered.states as u64, explored.stopped)
        }
        Way::Random | Way::Pct => {
            let plan: Plan = search.plan();
            let drawn = random::explore_with(&root, &plan, search.jobs(), |_| go_on(stop));
            coverage.1.add(drawn.seen.unwrap_or_default());
            let findings = drawn.findings.into_iter().map(|(_, finding)| finding).collect();
            (findings, drawn.runs == plan.count(), drawn.runs, drawn.stopped)
        }
    };
    let found = findings.iter().map(|finding| plain(finding.kind.name(), &finding.text)).collect();
    (Row { kernel: case.semantics.version.name(), set: None, found, complete, looked }, stopped)
}

/// Searches on these kernels, as they are and with every field changed. `each` hears before every search how many there
/// were, how many there will be, and what comes next.
pub fn sweep(
    case: &Case,
    how: &Search,
    kernels: &[KernelVersion],
    stop: &Ended,
    mut each: impl FnMut(usize, usize, &str),
) -> Sweep {
    let all = variants(kernels);
    let mut sweep = Sweep { rows: Vec::new(), stopped: false, coverage: None };
    let mut seen = Covering::default();
    for (i, (semantics, set)) in all.iter().enumerate() {
        each(i, all.len(), &museum::options(semantics));
        let (row, stopped) = search(&case.under(semantics.clone()), how, stop, &mut seen);
        sweep.stopped = stopped || matches!(go_on(stop), ControlFlow::Break(()));
        // What was stopped in the middle is no result.
        if sweep.stopped {
            break;
        }
        sweep.rows.push(Row { set: set.clone(), ..row });
    }
    sweep.coverage = how.coverage.then(|| Coverage::of(kernels, &seen.0, &seen.1));
    sweep
}

impl Sweep {
    /// Something was found somewhere.
    pub fn finds(&self) -> bool {
        self.rows.iter().any(|row| !row.found.is_empty())
    }

    /// For people: each kernel as it is, and the changes that make a difference to what is found.
    pub fn text(&self) -> String {
        let mut lines: Vec<(String, String, String)> = Vec::new();
        // By kernel: how many changes, and how many of their searches did not look at all.
        let mut same: Vec<(&str, usize, usize)> = Vec::new();
        let mut base: Option<&Row> = None;
        for row in &self.rows {
            if row.set.is_none() {
                base = Some(row);
                same.push((row.kernel, 0, 0));
            } else if base.is_some_and(|base| base.found == row.found) {
                if let Some((_, count, partly)) = same.last_mut() {
                    *count += 1;
                    *partly += usize::from(!row.complete);
                }
                continue;
            }
            let looked =
                if row.complete { row.looked.to_string() } else { format!("{}, not all", row.looked) };
            let what = row.set.clone().unwrap_or_else(|| "as it is".to_owned());
            let first = format!("{:<7} {what}", row.kernel);
            let mut found = row.found.iter().cloned();
            lines.push((first, looked, found.next().unwrap_or_else(|| "nothing".to_owned())));
            lines.extend(found.map(|found| (String::new(), String::new(), found)));
        }
        let heading = ("kernel  change".to_owned(), "looked at".to_owned(), "found".to_owned());
        let all = || core::iter::once(&heading).chain(&lines);
        let wide = |column: fn(&(String, String, String)) -> &String| {
            all().map(|line| column(line).chars().count()).max().unwrap_or(0)
        };
        let (first, second) = (wide(|line| &line.0), wide(|line| &line.1));
        let mut text = String::new();
        // Writing to a string cannot fail.
        for (what, looked, found) in all() {
            let line = format!("{what:<first$}  {looked:<second$}  {found}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        for (kernel, count, partly) in same {
            let not_all =
                if partly == 0 { String::new() } else { format!(", {partly} without looking at all") };
            let (changes, find) = if count == 1 { ("change", "finds") } else { ("changes", "find") };
            let _ = writeln!(text, "{kernel}: {count} other {changes} of one field {find} the same{not_all}");
        }
        if self.stopped {
            text.push_str("stopped: not all changes were tried\n");
        }
        if let Some(coverage) = &self.coverage {
            text.push_str(&coverage.text());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_and_every_value_is_tried_once() {
        let all = variants(KernelVersion::ALL);
        let as_they_are: Vec<&Semantics> =
            all.iter().filter(|(_, set)| set.is_none()).map(|(s, _)| s).collect();
        assert_eq!(as_they_are.len(), KernelVersion::ALL.len());
        let mut seen = BTreeSet::new();
        for (semantics, set) in &all {
            assert!(seen.insert((semantics.version.name(), set.clone())), "{set:?}");
            assert_eq!(semantics.check(), Ok(()), "{set:?}");
            assert_eq!(semantics.differences(semantics.version).len(), usize::from(set.is_some()), "{set:?}");
        }
        assert!(all.len() > 100, "{}", all.len());
    }

    #[test]
    fn a_table_shows_what_makes_a_difference() {
        let row = |kernel, set: Option<&str>, found: &[&str]| Row {
            kernel,
            set: set.map(str::to_owned),
            found: found.iter().map(|found| (*found).to_owned()).collect(),
            complete: true,
            looked: 10,
        };
        let rows = vec![
            row("v5.4", None, &["log: a N", "lost: b"]),
            row("v5.4", Some("x=on"), &["log: a N", "lost: b"]),
            row("v5.4", Some("y=on"), &[]),
        ];
        assert_eq!(
            Sweep { rows, stopped: false, coverage: None }.text(),
            "kernel  change    looked at  found
v5.4    as it is  10         log: a N
                             lost: b
v5.4    y=on      10         nothing
v5.4: 1 other change of one field finds the same
"
        );
        assert_eq!(plain("log", "do_IRQ: 0.36 No irq handler\n"), "log: do_IRQ: N.N No irq handler");
    }
}
