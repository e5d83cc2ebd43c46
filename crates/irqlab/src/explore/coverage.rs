//! What a search has seen of the functions that are modelled, and what it has not: `--coverage`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use explore::coverage::{Ended, Seen, StepKind};
use kstate::errno::Errno;
use kstate::semantics::KernelVersion;
use serde::{Deserialize, Serialize};
use sim::modelled::{self, Modelled};

/// What was seen. Parts are put together by taking the more that either has seen.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// The modelled functions of the kernel, by C file and name.
    functions: BTreeMap<String, BTreeMap<String, Function>>,
    /// Each kind of step.
    steps: BTreeMap<String, Step>,
}

/// Whether a function was entered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entered {
    /// Nowhere.
    Never,
    /// While the machine came up and prepared what is explored, and not later.
    Before,
    /// While that was explored.
    Explored,
}

/// What was seen of a function.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Function {
    entered: Entered,
    /// What it can return, and whether it did while that was explored. Empty where it never returned, or what it returns
    /// is not recorded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    outcomes: BTreeMap<String, bool>,
}

/// Whether a kind of step was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Where it was the quiet choice.
    quiet: bool,
    /// Although the quiet choice was another.
    unusual: bool,
}

/// What a type has for a value, in words.
fn outcome(returns: &str, ended: Ended) -> Option<String> {
    let fallible = returns.strip_prefix("Result<");
    match (ended, returns) {
        (Ended::Error(error), _) if fallible.is_some() => {
            let name = Errno::from_number(i32::from(error)).map(Errno::name);
            Some(name.map_or_else(|| format!("-{error}"), |name| format!("-{name}")))
        }
        (_, "bool") => Some((ended != Ended::Zero).to_string()),
        _ if fallible.is_some_and(|value| value.starts_with("bool,")) => {
            Some((ended != Ended::Zero).to_string())
        }
        _ if fallible.is_some() => Some("ok".to_owned()),
        (Ended::Error(1), _) if returns.starts_with("Option<") => Some("none".to_owned()),
        _ if returns.starts_with("Option<") => Some("some".to_owned()),
        _ => None,
    }
}

/// What a function can return. Of the errors these are those that its own body makes.
fn outcomes(function: &Modelled) -> BTreeSet<String> {
    let words: &[&str] = match function.returns {
        "bool" => &["false", "true"],
        returns if returns.starts_with("Result<bool,") => &["false", "true"],
        returns if returns.starts_with("Result<") => &["ok"],
        returns if returns.starts_with("Option<") => &["none", "some"],
        _ => &[],
    };
    let errors: &[&str] = if function.returns.starts_with("Result<") { function.errors } else { &[] };
    let words = words.iter().map(|word| (*word).to_owned());
    words.chain(errors.iter().map(|error| format!("-{error}"))).collect()
}

/// The C file of a function in one of these kernels; `None` where they do not have it. What is in no kernel's tables, such
/// as a function of a header, counts as every kernel's.
fn file_in(function: &Modelled, kernels: &[KernelVersion]) -> Option<String> {
    let at = |kernel: &KernelVersion| {
        let places = explain::source::places(*kernel, function.name);
        places.into_iter().map(|place| place.file).find(|file| function.files.contains(&file.as_str()))
    };
    let known = || KernelVersion::ALL.iter().any(|kernel| at(kernel).is_some());
    let listed = kernels.iter().find_map(at);
    listed.or_else(|| (!known()).then(|| function.files[0].to_owned()))
}

impl Coverage {
    /// What was seen of these kernels: before that was explored which is, and while it was.
    pub fn of(kernels: &[KernelVersion], before: &Seen, seen: &Seen) -> Self {
        let (before, explored) = (before.functions(), seen.functions());
        let mut functions: BTreeMap<String, BTreeMap<String, Function>> = BTreeMap::new();
        for function in modelled::all().iter().filter(|function| !function.part && function.is_kernel()) {
            // A function and its frame, and what is left of an older generation, name the same first file.
            let ended = |all: &BTreeMap<explore::coverage::Function, BTreeSet<Ended>>| {
                let same = all.iter().filter(|((name, files), _)| {
                    *name == function.name && files.first() == function.files.first()
                });
                same.map(|(_, ended)| ended.clone()).reduce(|all, more| &all | &more)
            };
            let ended_explored = ended(&explored);
            let entered = match (&ended_explored, ended(&before)) {
                (Some(_), _) => Entered::Explored,
                (None, Some(_)) => Entered::Before,
                (None, None) => Entered::Never,
            };
            // A behaviour of another kernel brings its functions along.
            let elsewhere = || (entered != Entered::Never).then(|| function.files[0].to_owned());
            let Some(file) = file_in(function, kernels).or_else(elsewhere) else { continue };
            let words = ended_explored.unwrap_or_default();
            let shown: BTreeSet<String> =
                words.into_iter().filter_map(|ended| outcome(function.returns, ended)).collect();
            let all = if shown.is_empty() { BTreeSet::new() } else { &outcomes(function) | &shown };
            let outcomes =
                all.into_iter().map(|outcome| (outcome.clone(), shown.contains(&outcome))).collect();
            functions
                .entry(file)
                .or_default()
                .insert(function.name.to_owned(), Function { entered, outcomes });
        }
        let step =
            |kind: StepKind| Step { quiet: seen.has_step(kind, false), unusual: seen.has_step(kind, true) };
        let steps = StepKind::ALL.into_iter().map(|kind| (kind.name().to_owned(), step(kind))).collect();
        Self { functions, steps }
    }

    /// Adds what another part has seen.
    pub fn add(&mut self, other: Self) {
        for (file, functions) in other.functions {
            let here = self.functions.entry(file).or_default();
            for (name, Function { entered, outcomes }) in functions {
                let known = here.entry(name).or_insert(Function { entered, outcomes: BTreeMap::new() });
                known.entered = known.entered.max(entered);
                for (outcome, seen) in outcomes {
                    *known.outcomes.entry(outcome).or_default() |= seen;
                }
            }
        }
        for (kind, Step { quiet, unusual }) in other.steps {
            let known = self.steps.entry(kind).or_insert(Step { quiet: false, unusual: false });
            known.quiet |= quiet;
            known.unusual |= unusual;
        }
    }

    /// All functions.
    fn all(&self) -> impl Iterator<Item = &Function> {
        self.functions.values().flat_map(BTreeMap::values)
    }

    /// For people: how much was seen, and what never was, by C file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let count = |entered| self.all().filter(|function| function.entered == entered).count();
        let outcomes = || self.all().flat_map(|function| function.outcomes.values());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "coverage: {} of {} modelled functions were entered, {} more only before; {} of their {} outcomes were seen",
            count(Entered::Explored),
            self.all().count(),
            count(Entered::Before),
            outcomes().filter(|seen| **seen).count(),
            outcomes().count()
        );
        for (file, functions) in &self.functions {
            let never = functions.iter().filter(|(_, function)| function.entered == Entered::Never);
            let names: Vec<String> = never.map(|(name, _)| name.clone()).collect();
            if !names.is_empty() {
                let head = format!("{file}: {} of {} never entered", names.len(), functions.len());
                listed(&mut text, &head, &names);
            }
            let missing = |function: &Function| -> Vec<String> {
                let missing = function.outcomes.iter().filter(|(_, seen)| !**seen);
                missing.map(|(outcome, _)| outcome.clone()).collect()
            };
            let missing = functions.iter().map(|(name, function)| (name, missing(function)));
            let never: Vec<String> = missing
                .filter(|(_, missing)| !missing.is_empty())
                .map(|(name, missing)| format!("{name} {}", missing.join(" ")))
                .collect();
            if !never.is_empty() {
                listed(&mut text, &format!("{file}: never returned"), &never);
            }
        }
        let never = |has: fn(&Step) -> bool| -> Vec<String> {
            self.steps.iter().filter(|(_, step)| !has(step)).map(|(kind, _)| kind.clone()).collect()
        };
        for (head, kinds) in [
            ("steps that were never taken", never(|step| step.quiet || step.unusual)),
            ("steps that were never taken out of turn", never(|step| step.unusual || !step.quiet)),
        ] {
            if !kinds.is_empty() {
                listed(&mut text, head, &kinds);
            }
        }
        text
    }
}

/// Adds a line for people and below it a list, in lines that are not too long.
fn listed(text: &mut String, head: &str, items: &[String]) {
    const WIDTH: usize = 100;
    text.push_str(head);
    text.push(':');
    // A list begins on a line of its own.
    let mut width = WIDTH;
    for (i, item) in items.iter().enumerate() {
        let comma = if i + 1 < items.len() { "," } else { "" };
        if width + item.len() + 2 > WIDTH {
            text.push_str("\n   ");
            width = 3;
        }
        // Writing to a string cannot fail.
        let _ = write!(text, " {item}{comma}");
        width += item.len() + 1 + comma.len();
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_follow_from_the_type() {
        let check = |returns, ended, expect: Option<&str>| {
            assert_eq!(outcome(returns, ended).as_deref(), expect, "{returns} {ended:?}");
        };
        check("Result<(), Errno>", Ended::Zero, Some("ok"));
        check("Result<u32, Errno>", Ended::More, Some("ok"));
        check("Result<(), Errno>", Ended::Error(16), Some("-EBUSY"));
        check("Result<(), Errno>", Ended::Error(4000), Some("-4000"));
        check("Result<bool, Errno>", Ended::One, Some("true"));
        check("bool", Ended::Zero, Some("false"));
        check("Option<DomainId>", Ended::Error(1), Some("none"));
        check("Option<DomainId>", Ended::Zero, Some("some"));
        check("u32", Ended::Zero, None);
        check("", Ended::Zero, None);
    }

    #[test]
    fn every_kernel_has_its_own_functions() {
        let functions = |kernel| {
            let coverage = Coverage::of(&[kernel], &Seen::default(), &Seen::default());
            assert!(coverage.all().all(|function| function.entered == Entered::Never));
            coverage
        };
        let [old, new] = [KernelVersion::V5_4, KernelVersion::V6_12].map(functions);
        let has = |coverage: &Coverage, file: &str, name: &str| {
            coverage.functions.get(file).is_some_and(|functions| functions.contains_key(name))
        };
        assert!(has(&old, "kernel/irq/affinity.c", "irq_build_affinity_masks"));
        assert!(has(&new, "lib/group_cpus.c", "group_cpus_evenly"));
        assert!(!has(&old, "lib/group_cpus.c", "group_cpus_evenly"));
        // It moved to another file.
        assert!(has(&old, "drivers/pci/msi.c", "pci_msi_mask_irq"));
        assert!(has(&new, "drivers/pci/msi/msi.c", "pci_msi_mask_irq"));
        assert!(!has(&new, "drivers/pci/msi.c", "pci_msi_mask_irq"));
    }

    #[test]
    fn parts_come_to_what_either_has_seen() {
        let part = |entered, outcomes: &[(&str, bool)], quiet, unusual| {
            let outcomes = outcomes.iter().map(|(outcome, seen)| ((*outcome).to_owned(), *seen)).collect();
            let function = Function { entered, outcomes };
            let functions = BTreeMap::from([("f".to_owned(), function)]);
            Coverage {
                functions: BTreeMap::from([("a.c".to_owned(), functions)]),
                steps: BTreeMap::from([("task".to_owned(), Step { quiet, unusual })]),
            }
        };
        let one = part(Entered::Explored, &[("ok", true), ("-EBUSY", false)], true, false);
        let other = part(Entered::Before, &[], false, true);
        let both = part(Entered::Explored, &[("ok", true), ("-EBUSY", false)], true, true);
        for (mut first, second) in [(one.clone(), other.clone()), (other, one)] {
            first.add(second);
            assert_eq!(first, both);
        }
    }

    #[test]
    fn long_lists_are_several_lines() {
        let mut text = String::new();
        let items: Vec<String> = (0..20).map(|i| format!("function_{i:02}")).collect();
        listed(&mut text, "a.c", &items);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(
            text.lines().skip(1).all(|line| line.starts_with("    function_") && line.len() <= 100),
            "{text}"
        );
        assert!(text.ends_with("function_19\n"));
    }
}
