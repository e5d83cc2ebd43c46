//! `irqlab diff`: two runs of one script that differ in kernel or semantics.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use kstate::semantics::{KernelVersion, Semantics};
use sim::capture::Capture;
use sim::diff::{
    self, Call, Change, EventDiff, Field, FunctionDiff, Item, Report, Seen, Side, StateDiff, Summary,
};
use sim::machine::Machine;
use sim::script::Script;
use sim::state::Sections;

use crate::cli::DIFFERS;
use crate::experiment::apply;
use crate::input::Output;
use crate::run::{kernel, read};

/// Options of `irqlab diff`.
#[derive(clap::Args)]
pub struct Args {
    /// Capture folder whose machine and script to run
    #[arg(value_name = "DIR", conflicts_with_all = ["machine", "script"])]
    folder: Option<PathBuf>,
    /// Machine file (TOML)
    #[arg(long, value_name = "FILE", requires = "script")]
    machine: Option<PathBuf>,
    /// Script to run on both
    #[arg(long, value_name = "FILE", requires = "machine", required_unless_present = "folder")]
    script: Option<PathBuf>,
    /// Kernel of the first run
    #[arg(long, value_name = "VERSION", value_parser = kernel, default_value = "v5.4")]
    left: KernelVersion,
    /// Kernel of the second run
    #[arg(long, value_name = "VERSION", value_parser = kernel, default_value = "v6.12")]
    right: KernelVersion,
    /// Change one behaviour of the first run's kernel
    #[arg(long, value_name = "FIELD=VALUE")]
    left_set: Vec<String>,
    /// Change one behaviour of the second run's kernel
    #[arg(long, value_name = "FIELD=VALUE")]
    right_set: Vec<String>,
    /// Show everything: calls below what only one run has, and every pair of values
    #[arg(long)]
    full: bool,
    /// Write JSON for programs
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> miette::Result<ExitCode> {
    let (name, machine_text, script, states) = match (&args.folder, &args.machine, &args.script) {
        (Some(folder), _, _) => {
            let capture = Capture::read(folder)?;
            let states: Vec<(String, Sections)> = capture
                .files
                .iter()
                .filter_map(|(planned, text)| Some((planned.file.clone(), Sections::of(text.as_deref()?))))
                .collect();
            (folder.join("machine.toml").display().to_string(), capture.machine, capture.script, states)
        }
        (None, Some(machine), Some(path)) => {
            let script = Script::parse(&path.display().to_string(), &read(path)?)?;
            (machine.display().to_string(), read(machine)?, script, Vec::new())
        }
        // clap refuses this.
        _ => return Err(miette::miette!("a machine and a script are needed")),
    };
    let machine = Machine::parse(&name, &machine_text).map_err(|e| miette::Report::new(*e))?;
    let left = experiment("--left-set", args.left, &args.left_set)?;
    let right = experiment("--right-set", args.right, &args.right_set)?;
    let report = compare(&machine, &script, left, right, |file| {
        states.iter().find(|(f, _)| f == file).map(|(_, s)| *s).unwrap_or_default()
    });
    if args.json {
        let mut out = Output::new();
        let text = serde_json::to_string_pretty(&report).map_err(|e| miette::miette!("{e}"))?;
        out.line(text)?;
        out.finish()?;
    } else {
        let detail = if args.full { Detail { lines: usize::MAX, pairs: usize::MAX } } else { Detail::SHORT };
        anstream::print!("{}", text(&report, detail));
    }
    Ok(ExitCode::from(if report.is_empty() { 0 } else { DIFFERS }))
}

/// A kernel with some behaviours changed, and what to call it.
fn experiment(
    option: &'static str,
    version: KernelVersion,
    set: &[String],
) -> miette::Result<(String, Semantics)> {
    let mut semantics = Semantics::of(version);
    apply(option, &mut semantics, set)?;
    let name: Vec<&str> = [version.name()].into_iter().chain(set.iter().map(String::as_str)).collect();
    Ok((name.join(" "), semantics))
}

/// Runs the script twice and compares.
fn compare(
    machine: &Machine,
    script: &Script,
    left: (String, Semantics),
    right: (String, Semantics),
    sections: impl Fn(&str) -> Sections,
) -> Report {
    let observe = |(name, semantics): &(String, Semantics)| {
        let mut machine = machine.clone();
        // Where interrupts stood at boot was noted on one kernel and says nothing about another: if
        // not both runs are of that kernel, neither is told.
        if [left.1.version, right.1.version] != [machine.kernel; 2] {
            machine.boot_vectors.clear();
        }
        machine.kernel = semantics.version;
        diff::observe(name, &machine, semantics.clone(), script, &sections)
    };
    diff::compare(&observe(&left), &observe(&right))
}

const HEAD: Style = Style::new().bold();
const NOTE: Style = Style::new().dimmed();
const LEFT: Style = AnsiColor::Red.on_default();
const RIGHT: Style = AnsiColor::Green.on_default();
const NUMBERS: Style = AnsiColor::Yellow.on_default();

/// How much of what repeats is told.
#[derive(Clone, Copy)]
struct Detail {
    /// Lines of a call that only one run has.
    lines: usize,
    /// Pairs of values.
    pairs: usize,
}

impl Detail {
    const SHORT: Self = Self { lines: 14, pairs: 3 };
}

const fn style(side: Side) -> Style {
    match side {
        Side::Left => LEFT,
        Side::Right => RIGHT,
    }
}

const fn sign(side: Side) -> char {
    match side {
        Side::Left => '-',
        Side::Right => '+',
    }
}

/// The report for people, with styles.
fn text(report: &Report, detail: Detail) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut out, report, detail);
    out
}

fn heading(out: &mut String, text: &str, note: &str) -> fmt::Result {
    writeln!(out, "\n{HEAD}{text}{HEAD:#}")?;
    if !note.is_empty() {
        writeln!(out, "{NOTE}{note}{NOTE:#}")?;
    }
    Ok(())
}

fn write_report(out: &mut String, report: &Report, detail: Detail) -> fmt::Result {
    let Report { left, right, recordings, functions, events, states, states_compared, terminal } = report;
    writeln!(out, "{LEFT}- {left}{LEFT:#}")?;
    writeln!(out, "{RIGHT}+ {right}{RIGHT:#}")?;
    if report.is_empty() {
        writeln!(out, "\nThe two runs do the same.")?;
    }
    if !recordings.is_empty() {
        heading(out, "Recordings", "Calls and tracepoints, by recording.")?;
        summaries(out, recordings)?;
    }
    if !functions.is_empty() {
        heading(
            out,
            "Call trees",
            "Every function that calls others differently, once for each way in which it does.\n\
             `-` and `+` only one run calls it, `~` under another name, `*` with other numbers.",
        )?;
        for function in functions {
            write_function(out, function, detail)?;
        }
    }
    if !events.is_empty() {
        heading(
            out,
            "Tracepoints",
            "What the recordings of tracepoints show, with their stacks innermost first.",
        )?;
        for event in events {
            write_event(out, event, detail)?;
        }
    }
    if !states.is_empty() {
        heading(
            out,
            "State",
            &format!(
                "Lines of /proc and debugfs, in {states_compared} states. N is an interrupt or a queue."
            ),
        )?;
        write_states(out, states, *states_compared, detail)?;
    }
    if !terminal.is_empty() {
        heading(out, "Terminal", "")?;
        for printed in terminal {
            let style = style(printed.side);
            writeln!(out, "  {style}{} {}{style:#}", sign(printed.side), printed.line)?;
        }
    }
    Ok(())
}

fn summaries(out: &mut String, summaries: &[Summary]) -> fmt::Result {
    let width = summaries.iter().map(|s| s.file.len()).max().unwrap_or(0);
    writeln!(
        out,
        "  {NOTE}{:width$}  {:>6} {:>6} {:>6} {:>6} {:>6} {:>8} {:>8}{NOTE:#}",
        "", "-", "+", "alike", "only -", "only +", "renamed", "numbers"
    )?;
    for summary in summaries {
        let Summary { file, script, left, right, alike, renamed, numbers, only_left, only_right } = summary;
        let dash = |n: &u32| if *n == 0 { "·".to_owned() } else { n.to_string() };
        writeln!(
            out,
            "  {file:width$}  {left:>6} {right:>6} {alike:>6} {LEFT}{:>6}{LEFT:#} {RIGHT}{:>6}{RIGHT:#} \
             {NUMBERS}{:>8} {:>8}{NUMBERS:#}  {NOTE}{}{NOTE:#}",
            dash(only_left),
            dash(only_right),
            dash(renamed),
            dash(numbers),
            script.first().map_or("", String::as_str),
        )?;
    }
    Ok(())
}

/// `01 off3-graph ×12, 02 ×3`: which recordings, by number.
fn seen(seen: &[Seen]) -> String {
    const NAMED: usize = 5;
    let total: u32 = seen.iter().map(|s| s.times).sum();
    let name = |s: &Seen| s.file.split('-').next().unwrap_or(&s.file).to_owned();
    let mut names: Vec<String> = seen.iter().take(NAMED).map(name).collect();
    if seen.len() > NAMED {
        names.push(format!("and {} more", seen.len() - NAMED));
    }
    let times = if total == 1 { String::new() } else { format!("×{total} ") };
    format!("{times}in {}", names.join(", "))
}

fn write_function(out: &mut String, function: &FunctionDiff, detail: Detail) -> fmt::Result {
    let FunctionDiff { left, right, left_place, right_place, outermost, variants } = function;
    let name = match (outermost, left == right) {
        (true, _) => format!("outermost calls of {left}"),
        (false, true) => left.clone(),
        (false, false) => format!("{left} | {right}"),
    };
    let place = match (left_place, right_place) {
        (Some(a), Some(b)) => match (a.rsplit_once(':'), b.rsplit_once(':')) {
            (Some((file, _)), Some((other, line))) if file == other => format!("{a} | {line}"),
            _ => format!("{a} | {b}"),
        },
        (a, b) => a.iter().chain(b).cloned().collect(),
    };
    writeln!(out, "\n{HEAD}{name}{HEAD:#}  {NOTE}{place}{NOTE:#}")?;
    for (i, variant) in variants.iter().enumerate() {
        if !*outermost && i == 0 && !variant.path.is_empty() {
            writeln!(out, "  {NOTE}below {}{NOTE:#}", short_path(&variant.path))?;
        }
        writeln!(out, "  {NOTE}{}:{NOTE:#}", seen(&variant.seen))?;
        write_items(out, &variant.items, 2, detail)?;
    }
    Ok(())
}

fn short_path(path: &[String]) -> String {
    const LAST: usize = 3;
    match path.len().checked_sub(LAST) {
        None | Some(0 | 1) => path.join(" > "),
        Some(more) => format!("{} > ... > {}", path[0], path[more..].join(" > ")),
    }
}

fn write_items(out: &mut String, items: &[Item], indent: usize, detail: Detail) -> fmt::Result {
    let pad = indent * 2;
    for item in items {
        match item {
            Item::Alike { calls, between } => {
                let mut words = calls.clone();
                if *between > 0 {
                    words.insert(1, format!("... {between} more"));
                }
                writeln!(out, "{:pad$}  {NOTE}{}{NOTE:#}", "", words.join(", "))?;
            }
            Item::Only { side, call } => {
                let mut lines = Vec::new();
                lay_out(call, 0, &mut lines);
                let style = style(*side);
                let keep =
                    if lines.len() > detail.lines.saturating_add(2) { detail.lines } else { lines.len() };
                for line in &lines[..keep] {
                    writeln!(out, "{:pad$}{style}{} {line}{style:#}", "", sign(*side))?;
                }
                if keep < lines.len() {
                    let more = lines.len() - keep;
                    writeln!(out, "{:pad$}{style}{}   ... {more} more lines{style:#}", "", sign(*side))?;
                }
            }
            Item::Renamed { left, right } => {
                writeln!(out, "{:pad$}{NUMBERS}~ {left} | {right}{NUMBERS:#}", "")?;
            }
            Item::Moved { call, left, right } => {
                writeln!(out, "{:pad$}{NUMBERS}~ {call}: {left} | {right}{NUMBERS:#}", "")?;
            }
            Item::Numbers { tracepoint, fields } => {
                writeln!(
                    out,
                    "{:pad$}{NUMBERS}* @ {tracepoint}: {}{NUMBERS:#}",
                    "",
                    changes_of(fields, detail)
                )?;
            }
            Item::Within { side, call, items } => {
                let style = style(*side);
                writeln!(out, "{:pad$}{style}{} {call}{style:#}, around", "", sign(*side))?;
                write_items(out, items, indent + 1, detail)?;
            }
            Item::Repeated { times, items } => {
                writeln!(out, "{:pad$}  {NOTE}{times} times:{NOTE:#}", "")?;
                write_items(out, items, indent + 1, detail)?;
            }
        }
    }
    Ok(())
}

fn lay_out(call: &Call, depth: usize, lines: &mut Vec<String>) {
    let times = if call.times > 1 { format!("  ×{}", call.times) } else { String::new() };
    lines.push(format!("{:1$}{2}{times}", "", depth * 2, call.name));
    for below in &call.below {
        lay_out(below, depth + 1, lines);
    }
}

fn changes_of(fields: &[Field], detail: Detail) -> String {
    let all: Vec<String> =
        fields.iter().map(|f| format!("{} {}", f.name, changes(&f.changes, detail))).collect();
    all.join(", ")
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `+2` where all pairs differ by that, else the pairs.
fn changes(changes: &[Change], detail: Detail) -> String {
    let pair = |c: &Change| format!("{}→{}", c.left, c.right);
    let pairs: Vec<(&str, &str)> = changes.iter().map(|c| (c.left.as_str(), c.right.as_str())).collect();
    if let Some(common) = common(&pairs) {
        return common;
    }
    let mut words: Vec<String> = changes.iter().take(detail.pairs).map(pair).collect();
    if changes.len() > detail.pairs {
        words.push(format!("... {} more", changes.len() - detail.pairs));
    }
    words.join(" ")
}

/// What several pairs of numbers have in common: the same distance, or the same bits.
fn common(pairs: &[(&str, &str)]) -> Option<String> {
    if pairs.len() < 2 {
        return None;
    }
    let numbers: Vec<(i64, i64)> =
        pairs.iter().map(|(a, b)| Some((number(a)?, number(b)?))).collect::<Option<_>>()?;
    let (a, b) = numbers[0];
    let hex = pairs[0].0.starts_with("0x");
    if hex && numbers.iter().all(|(x, y)| (y & !x, x & !y) == (b & !a, a & !b)) {
        let mut words = Vec::new();
        if b & !a != 0 {
            words.push(format!("sets {:#x}", b & !a));
        }
        if a & !b != 0 {
            words.push(format!("clears {:#x}", a & !b));
        }
        return Some(words.join(", "));
    }
    (!hex && numbers.iter().all(|(x, y)| y - x == b - a)).then(|| format!("{:+}", b - a))
}

fn write_event(out: &mut String, event: &EventDiff, detail: Detail) -> fmt::Result {
    let EventDiff { tracepoint, only, actors, stack, stack_changes, fields, example, seen: where_ } = event;
    let seen = seen(where_);
    match only {
        Some(side) => {
            let style = style(*side);
            writeln!(out, "  {style}{} @ {tracepoint}{style:#}  {NOTE}{seen}{NOTE:#}", sign(*side))?;
            writeln!(out, "      {style}{example}{style:#}")?;
            if !stack.is_empty() {
                const FRAMES: usize = 6;
                let more = if stack.len() > FRAMES { " < ..." } else { "" };
                let shown: Vec<&str> = stack.iter().take(FRAMES).map(String::as_str).collect();
                writeln!(out, "      {NOTE}{}{more}{NOTE:#}", shown.join(" < "))?;
            }
        }
        None => {
            writeln!(out, "  {NUMBERS}* @ {tracepoint}{NUMBERS:#}  {NOTE}{seen}{NOTE:#}")?;
            if !fields.is_empty() {
                writeln!(out, "      {NUMBERS}{}{NUMBERS:#}", changes_of(fields, detail))?;
            }
            if let Some((left, right)) = actors {
                writeln!(out, "      actor {LEFT}- {left}{LEFT:#} {RIGHT}+ {right}{RIGHT:#}")?;
            }
            if !stack_changes.is_empty() {
                write!(out, "      stack")?;
                for (side, frame) in stack_changes {
                    let style = style(*side);
                    write!(out, " {style}{}{frame}{style:#}", sign(*side))?;
                }
                writeln!(out)?;
            }
        }
    }
    Ok(())
}

fn write_states(out: &mut String, states: &[StateDiff], compared: usize, detail: Detail) -> fmt::Result {
    let mut paths: Vec<&str> = Vec::new();
    for diff in states {
        if !paths.contains(&diff.path.as_str()) {
            paths.push(&diff.path);
        }
    }
    for path in paths {
        writeln!(out, "\n{HEAD}{path}{HEAD:#}")?;
        for diff in states.iter().filter(|d| d.path == path) {
            write_state(out, diff, compared, detail)?;
        }
    }
    Ok(())
}

fn write_state(out: &mut String, diff: &StateDiff, compared: usize, detail: Detail) -> fmt::Result {
    let StateDiff { path: _, line, changes } = diff;
    // Lines that only one run has.
    for side in [Side::Left, Side::Right] {
        let mine = |c: &&sim::diff::StateChange| match side {
            Side::Left => c.right.is_none(),
            Side::Right => c.left.is_none(),
        };
        let alone: Vec<_> = changes.iter().filter(mine).collect();
        if alone.is_empty() {
            continue;
        }
        let style = style(side);
        let mut values: Vec<&str> =
            alone.iter().filter_map(|c| c.left.as_deref().or(c.right.as_deref())).collect();
        let of = numbers(alone.iter().flat_map(|c| &c.of));
        let states = in_states(alone.iter().flat_map(|c| &c.states), compared);
        let more = values.len().saturating_sub(detail.pairs);
        values.truncate(detail.pairs);
        let value = match values.as_slice() {
            ["set" | "exists"] => line.clone(),
            values if line.is_empty() => values.join(" "),
            values => format!("{line}: {}", values.join(" ")),
        };
        let more = if more > 0 { format!(" ... {more} more") } else { String::new() };
        writeln!(out, "  {style}{} {value}{more}{style:#}{NOTE}{of}{states}{NOTE:#}", sign(side))?;
    }
    let both: Vec<_> = changes.iter().filter(|c| c.left.is_some() && c.right.is_some()).collect();
    if both.is_empty() {
        return Ok(());
    }
    let label = if line.is_empty() { String::new() } else { format!("{line}: ") };
    let pairs: Vec<(&str, &str)> =
        both.iter().filter_map(|c| Some((c.left.as_deref()?, c.right.as_deref()?))).collect();
    if let Some(common) = common(&pairs) {
        let of = numbers(both.iter().flat_map(|c| &c.of));
        let states = in_states(both.iter().flat_map(|c| &c.states), compared);
        return writeln!(out, "  {NUMBERS}* {label}{common}{NUMBERS:#}{NOTE}{of}{states}{NOTE:#}");
    }
    for change in both.iter().take(detail.pairs) {
        let of = numbers(change.of.iter());
        let states = in_states(change.states.iter(), compared);
        let value = |v: &Option<String>| match v.as_deref() {
            None | Some("") => "(empty)".to_owned(),
            Some(v) => v.to_owned(),
        };
        writeln!(
            out,
            "  {NUMBERS}* {label}{} → {}{NUMBERS:#}{NOTE}{of}{states}{NOTE:#}",
            value(&change.left),
            value(&change.right),
        )?;
    }
    if let Some(more @ 1..) = both.len().checked_sub(detail.pairs) {
        let rest = || both.iter().skip(detail.pairs);
        let of = numbers(rest().flat_map(|c| &c.of));
        let pairs = if more == 1 { "pair" } else { "pairs" };
        writeln!(out, "    {NOTE}... {more} more {pairs} of {label}values{of}{NOTE:#}")?;
    }
    Ok(())
}

/// `  N = 0-9,24-37`.
fn numbers<'a>(of: impl Iterator<Item = &'a String>) -> String {
    let all: BTreeSet<(u64, &str)> =
        of.map(|o| (o.trim_start_matches("CPU ").parse().unwrap_or(u64::MAX), o.as_str())).collect();
    if all.is_empty() {
        return String::new();
    }
    const NAMED: usize = 6;
    let mut words: Vec<String> = Vec::new();
    let mut range: Option<(u64, u64)> = None;
    let flush = |range: &mut Option<(u64, u64)>, words: &mut Vec<String>| match range.take() {
        Some((from, to)) if from == to => words.push(from.to_string()),
        Some((from, to)) => words.push(format!("{from}-{to}")),
        None => {}
    };
    for (n, text) in &all {
        match &mut range {
            _ if *n == u64::MAX => words.push((*text).to_owned()),
            Some((_, to)) if *to + 1 == *n => *to = *n,
            _ => {
                flush(&mut range, &mut words);
                range = Some((*n, *n));
            }
        }
    }
    flush(&mut range, &mut words);
    if words.len() > NAMED && range.is_none() && all.iter().all(|(n, _)| *n == u64::MAX) {
        let more = words.len() - NAMED;
        words.truncate(NAMED);
        words.push(format!("... {more} more"));
    }
    let equals = match all.first() {
        Some((_, text)) if text.starts_with("CPU ") => "CPU ",
        Some((n, _)) if *n != u64::MAX => "N = ",
        _ => "",
    };
    format!("  {equals}{}", words.join(","))
}

/// In which states: nothing where in all.
fn in_states<'a>(states: impl Iterator<Item = &'a String>, compared: usize) -> String {
    let all: BTreeSet<&str> = states.map(String::as_str).collect();
    if all.len() >= compared {
        return String::new();
    }
    const NAMED: usize = 3;
    let name = |s: &&str| s.trim_start_matches("state-").trim_end_matches(".txt").to_owned();
    let mut names: Vec<String> = all.iter().take(NAMED).map(name).collect();
    if all.len() > NAMED {
        names.push(format!("{} more", all.len() - NAMED));
    }
    format!("  ({})", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn capture(case: &str) -> (Machine, Capture) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures").join(case);
        let capture = Capture::read(&folder).unwrap();
        (Machine::parse("machine.toml", &capture.machine).unwrap(), capture)
    }

    fn report(case: &str, left: &str, right: &str) -> Report {
        let (machine, capture) = capture(case);
        let run = |text: &str| {
            let mut words = text.split_whitespace().map(str::to_owned);
            let version = kernel(&words.next().unwrap()).unwrap();
            experiment("--set", version, &words.collect::<Vec<_>>()).unwrap()
        };
        compare(&machine, &capture.script, run(left), run(right), |_| Sections::default())
    }

    #[test]
    fn hotplug_between_the_kernels() {
        let report = report("v5.4/hotplug-8cpu", "v5.4", "v6.12");
        let text = anstream::adapter::strip_str(&text(&report, Detail::SHORT)).to_string();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../../tests/snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_description("irqlab diff tests/captures/v5.4/hotplug-8cpu");
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("diff-hotplug-8cpu", text));
    }

    #[test]
    fn a_kernel_does_not_differ_from_itself() {
        let report = report("v5.4/hotplug-8cpu", "v5.4", "v5.4");
        assert!(report.is_empty());
        assert!(text(&report, Detail::SHORT).contains("The two runs do the same."));
        assert_eq!(report.states_compared, 22);
    }

    #[test]
    fn one_behaviour_makes_the_difference_it_is_named_for() {
        let report = report("v5.4/hotplug-8cpu", "v5.4", "v5.4 cpuhp_skips_empty_states=true");
        assert!(report.states.is_empty());
    }

    #[test]
    fn pairs_of_numbers_are_told_by_what_they_have_in_common() {
        let check =
            |pairs: &[(&str, &str)], expect: Option<&str>| assert_eq!(common(pairs).as_deref(), expect);
        check(&[("1", "3")], None);
        check(&[("1", "3"), ("5", "7")], Some("+2"));
        check(&[("1", "3"), ("5", "8")], None);
        check(&[("0x01", "0x11"), ("0x03", "0x13")], Some("sets 0x10"));
        check(&[("0x05", "0x11"), ("0x07", "0x13")], Some("sets 0x10, clears 0x4"));
        check(&[("a", "b"), ("c", "d")], None);
    }

    #[test]
    fn numbers_are_ranges() {
        let check = |of: &[&str], expect: &str| {
            let of: Vec<String> = of.iter().map(|o| (*o).to_owned()).collect();
            assert_eq!(numbers(of.iter()), expect);
        };
        check(&[], "");
        check(&["3", "1", "2", "9"], "  N = 1-3,9");
        check(&["CPU 1", "CPU 2"], "  CPU 1-2");
        check(&["LOC", "TLB"], "  LOC,TLB");
    }
}
