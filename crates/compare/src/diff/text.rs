//! What differs between two runs, as text for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use super::attribution::{self, Cause};
use super::numbers::{numbers, shift};
use super::{
    Call, Change, EventDiff, Field, FunctionDiff, Item, Printed, Report, Seen, Side, StateChange, StateDiff,
    Summary,
};

const HEAD: Style = Style::new().bold();
const NOTE: Style = Style::new().dimmed();
const LEFT: Style = AnsiColor::Red.on_default();
const RIGHT: Style = AnsiColor::Green.on_default();
const NUMBERS: Style = AnsiColor::Yellow.on_default();

/// How much of what repeats is told.
#[derive(Clone, Copy, Debug)]
pub struct Detail {
    /// Lines of a call that only one run has.
    lines: usize,
    /// Pairs of values.
    pairs: usize,
    /// Functions that only call others under a new name or with other numbers.
    all_functions: bool,
}

impl Detail {
    /// What is new, once.
    pub const SHORT: Self = Self { lines: 14, pairs: 3, all_functions: false };
    /// Everything.
    pub const FULL: Self = Self { lines: usize::MAX, pairs: usize::MAX, all_functions: true };
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
pub fn text(report: &Report, detail: Detail) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut out, report, detail);
    out
}

/// The report for people, without styles.
pub fn plain(report: &Report, detail: Detail) -> String {
    let styled = text(report, detail);
    let mut parts = styled.split('\u{1b}');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // A style begins with an escape and ends with an `m`.
        out.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
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
    let Report { left, right, recordings, functions, events, states, states_compared, terminal, log, causes } =
        report;
    writeln!(out, "{LEFT}- {left}{LEFT:#}")?;
    writeln!(out, "{RIGHT}+ {right}{RIGHT:#}")?;
    if report.is_empty() {
        writeln!(out, "\nThe two runs do the same.")?;
    }
    write_causes(out, causes)?;
    if !recordings.is_empty() {
        heading(out, "Recordings", "Calls and tracepoints, by recording.")?;
        summaries(out, recordings)?;
    }
    if !functions.is_empty() {
        write_functions(out, report, detail)?;
    }
    let numbers = numbers_of(functions, events);
    if !events.is_empty() || !numbers.is_empty() {
        heading(
            out,
            "Tracepoints",
            "`*` with other numbers or another stack, `-` and `+` in one run only; stacks innermost first.",
        )?;
        for (tracepoint, fields) in &numbers {
            let because = because(report, &attribution::of_fields(tracepoint, fields));
            let text = changes_of(fields, detail);
            writeln!(out, "  {NUMBERS}* @ {tracepoint}: {text}{NUMBERS:#}{because}")?;
        }
        for event in events {
            write_event(out, event, report)?;
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
        write_states(out, report, detail)?;
    }
    for (title, at, lines) in [("Terminal", "terminal", terminal), ("Log", "log", log)] {
        if lines.is_empty() {
            continue;
        }
        heading(out, title, "")?;
        for Printed { side, line } in lines {
            let (style, sign) = (style(*side), sign(*side));
            let mark = attribution::Mark { at: at.to_owned(), what: format!("{sign}{line}") };
            let because = because(report, &BTreeSet::from([mark]));
            writeln!(out, "  {style}{sign} {line}{style:#}{because}")?;
        }
    }
    Ok(())
}

/// The behaviours that explain the differences, and those that make none here.
fn write_causes(out: &mut String, causes: &[Cause]) -> fmt::Result {
    if causes.is_empty() {
        return Ok(());
    }
    let (shown, hidden): (Vec<&Cause>, Vec<&Cause>) = causes.iter().partition(|c| !c.shows.is_empty());
    heading(
        out,
        "Behaviours",
        "Each was given the other run's value by itself; in brackets below is what it explains.\n\
         `irqlab semantics FIELD` tells more.",
    )?;
    for cause in shown {
        let Cause { field, doc, left, right, function, file, changed, shows: _ } = cause;
        writeln!(out, "  {HEAD}{field}{HEAD:#}  {LEFT}{left}{LEFT:#} → {RIGHT}{right}{RIGHT:#}  {doc}")?;
        writeln!(out, "      {NOTE}{function}, {file}; changed: {changed}{NOTE:#}")?;
    }
    if !hidden.is_empty() {
        let names: Vec<&str> = hidden.iter().map(|c| c.field).collect();
        writeln!(out, "  {NOTE}Of {} more this script shows nothing:{NOTE:#}", names.len())?;
        let mut line = String::new();
        for (i, name) in names.iter().enumerate() {
            const WIDTH: usize = 96;
            if line.len() + name.len() > WIDTH {
                writeln!(out, "    {NOTE}{}{NOTE:#}", line.trim_end())?;
                line.clear();
            }
            line.push_str(name);
            line.push_str(if i + 1 < names.len() { ", " } else { "" });
        }
        writeln!(out, "    {NOTE}{line}{NOTE:#}")?;
    }
    Ok(())
}

/// The fields that explain something, in brackets.
fn because(report: &Report, marks: &BTreeSet<attribution::Mark>) -> String {
    const NAMED: usize = 4;
    let mut fields = report.because(marks);
    if fields.is_empty() {
        return String::new();
    }
    let more = fields.len().saturating_sub(NAMED);
    fields.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("  {NOTE}[{}{more}]{NOTE:#}", fields.join(", "))
}

/// A change of what is called, rather than of a name or a number.
fn is_structural(item: &Item) -> bool {
    match item {
        Item::Alike { .. } | Item::Renamed { .. } | Item::Numbers { .. } => false,
        Item::Only { .. } | Item::Moved { .. } | Item::Within { .. } => true,
        Item::Repeated { items, .. } => items.iter().any(is_structural),
    }
}

/// Everything that is called under another name, with how often.
fn renamed<'a>(items: &'a [Item], times: u32, into: &mut BTreeMap<(&'a str, &'a str), u32>) {
    for item in items {
        match item {
            Item::Renamed { left, right } => *into.entry((left, right)).or_default() += times,
            Item::Within { items, .. } => renamed(items, times, into),
            Item::Repeated { items, times: again } => renamed(items, times * again, into),
            Item::Alike { .. } | Item::Only { .. } | Item::Moved { .. } | Item::Numbers { .. } => {}
        }
    }
}

fn total(seen: &[Seen]) -> u32 {
    seen.iter().map(|s| s.times).sum()
}

fn write_functions(out: &mut String, report: &Report, detail: Detail) -> fmt::Result {
    let functions = &report.functions;
    let mut names = BTreeMap::new();
    for variant in functions.iter().flat_map(|f| &f.variants) {
        renamed(&variant.items, total(&variant.seen), &mut names);
    }
    if !names.is_empty() {
        heading(out, "Renamed", "The same step under another name; what it calls may differ, see below.")?;
        let width = names.keys().map(|(left, _)| left.len()).max().unwrap_or(0);
        for ((left, right), times) in names {
            writeln!(out, "  {LEFT}{left:width$}{LEFT:#}  {RIGHT}{right}{RIGHT:#}  {NOTE}×{times}{NOTE:#}")?;
        }
    }
    let shown = |f: &&FunctionDiff| {
        detail.all_functions || f.variants.iter().any(|v| v.items.iter().any(is_structural))
    };
    let shown: Vec<&FunctionDiff> = functions.iter().filter(shown).collect();
    if shown.is_empty() {
        return Ok(());
    }
    heading(
        out,
        "Call trees",
        "Every function that calls others differently, once for each way in which it does.\n\
         `-` and `+` only one run calls it, `~` under another name, `*` with other numbers.",
    )?;
    for function in shown {
        write_function(out, function, report, detail)?;
    }
    Ok(())
}

/// The fields of tracepoints that differ, wherever they were recorded.
fn numbers_of(functions: &[FunctionDiff], events: &[EventDiff]) -> Vec<(String, Vec<Field>)> {
    fn add(into: &mut Vec<(String, Vec<Field>)>, tracepoint: &str, fields: &[Field]) {
        if fields.is_empty() {
            return;
        }
        let at = into.iter().position(|(t, _)| t == tracepoint).unwrap_or_else(|| {
            into.push((tracepoint.to_owned(), Vec::new()));
            into.len() - 1
        });
        let known = &mut into[at].1;
        for field in fields {
            let Some(same) = known.iter_mut().find(|f| f.name == field.name) else {
                known.push(field.clone());
                continue;
            };
            for change in &field.changes {
                match same.changes.iter_mut().find(|c| c.left == change.left && c.right == change.right) {
                    Some(seen) => seen.times += change.times,
                    None => same.changes.push(change.clone()),
                }
            }
        }
    }
    fn walk(into: &mut Vec<(String, Vec<Field>)>, items: &[Item]) {
        for item in items {
            match item {
                Item::Numbers { tracepoint, fields } => add(into, tracepoint, fields),
                Item::Within { items, .. } | Item::Repeated { items, .. } => walk(into, items),
                Item::Alike { .. } | Item::Only { .. } | Item::Renamed { .. } | Item::Moved { .. } => {}
            }
        }
    }
    let mut all = Vec::new();
    for variant in functions.iter().flat_map(|f| &f.variants) {
        walk(&mut all, &variant.items);
    }
    for event in events {
        add(&mut all, &event.tracepoint, &event.fields);
    }
    all
}

fn summaries(out: &mut String, summaries: &[Summary]) -> fmt::Result {
    let differs = |s: &&Summary| s.alike != s.left || s.alike != s.right || s.numbers > 0;
    let (shown, alike): (Vec<&Summary>, Vec<&Summary>) = summaries.iter().partition(differs);
    let width = shown.iter().map(|s| s.file.len()).max().unwrap_or(0);
    if !alike.is_empty() {
        let number = |s: &&Summary| s.file.split('-').next().unwrap_or(&s.file).to_owned();
        let names: Vec<String> = alike.iter().map(number).collect();
        let lines: u32 = alike.iter().map(|s| s.alike).sum();
        writeln!(out, "  {NOTE}alike: {} ({lines} lines){NOTE:#}", names.join(", "))?;
    }
    if shown.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "  {NOTE}{:width$}  {:>6} {:>6} {:>6} {:>6} {:>6} {:>8} {:>8}{NOTE:#}",
        "", "-", "+", "alike", "only -", "only +", "renamed", "numbers"
    )?;
    for summary in shown {
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

fn write_function(out: &mut String, function: &FunctionDiff, report: &Report, detail: Detail) -> fmt::Result {
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
    let shown = |v: &&super::Variant| detail.all_functions || v.items.iter().any(is_structural);
    for (i, variant) in variants.iter().filter(shown).enumerate() {
        if !*outermost && i == 0 && !variant.path.is_empty() {
            writeln!(out, "  {NOTE}below {}{NOTE:#}", short_path(&variant.path))?;
        }
        let because = because(report, &attribution::of_items(function, &variant.items));
        writeln!(out, "  {NOTE}{}:{NOTE:#}{because}", seen(&variant.seen))?;
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

/// Pairs of values, and what they have in common.
fn changes(changes: &[Change], detail: Detail) -> String {
    let pair = |c: &Change| format!("{}→{}", c.left, c.right);
    let pairs: Vec<(&str, &str)> = changes.iter().map(|c| (c.left.as_str(), c.right.as_str())).collect();
    let common = match pairs.as_slice() {
        [_, (first, _), ..] => shift(pairs[0])
            .filter(|a| pairs.iter().all(|p| shift(*p).as_ref() == Some(a)))
            .filter(|_| !first.is_empty()),
        _ => None,
    };
    let mut words: Vec<String> = changes.iter().take(detail.pairs).map(pair).collect();
    if changes.len() > detail.pairs {
        words.push(format!("and {} more", changes.len() - detail.pairs));
    }
    if let Some(common) = common {
        words.push(format!("({common})"));
    }
    words.join(" ")
}

/// A tracepoint that one run alone has, or that has another stack; its numbers are told elsewhere.
fn write_event(out: &mut String, event: &EventDiff, report: &Report) -> fmt::Result {
    let EventDiff { tracepoint, only, actors, stack, stack_changes, fields: _, example, seen: where_ } =
        event;
    if only.is_none() && actors.is_none() && stack_changes.is_empty() {
        return Ok(());
    }
    let seen = format!("{}{}", seen(where_), because(report, &attribution::of_stacks(event)));
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

fn write_states(out: &mut String, report: &Report, detail: Detail) -> fmt::Result {
    let (states, compared) = (&report.states, report.states_compared);
    let mut paths: Vec<&str> = Vec::new();
    for diff in states {
        if !paths.contains(&diff.path.as_str()) {
            paths.push(&diff.path);
        }
    }
    for path in paths {
        writeln!(out, "\n{HEAD}{path}{HEAD:#}")?;
        for diff in states.iter().filter(|d| d.path == path) {
            let mark = attribution::Mark { at: diff.path.clone(), what: diff.line.clone() };
            let because = because(report, &BTreeSet::from([mark]));
            write_state(out, diff, compared, detail, &because)?;
        }
    }
    Ok(())
}

fn write_state(
    out: &mut String,
    diff: &StateDiff,
    compared: usize,
    detail: Detail,
    because: &str,
) -> fmt::Result {
    let StateDiff { path: _, line, changes } = diff;
    // Lines that only one run has.
    for side in [Side::Left, Side::Right] {
        let mine = |c: &&StateChange| match side {
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
            // A row of the architecture brings its name along.
            values if line.is_empty() || line == "row" => values.join("; "),
            values => format!("{line}: {}", values.join(" ")),
        };
        let of = if line == "row" { String::new() } else { of };
        let more = if more > 0 { format!(" ... {more} more") } else { String::new() };
        writeln!(out, "  {style}{} {value}{more}{style:#}{NOTE}{of}{states}{NOTE:#}{because}", sign(side))?;
    }
    let both: Vec<_> = changes.iter().filter(|c| c.left.is_some() && c.right.is_some()).collect();
    if both.is_empty() {
        return Ok(());
    }
    let label = if line.is_empty() { String::new() } else { format!("{line}: ") };
    // Pairs that are shifted alike are one change.
    let mut groups: Vec<(Option<String>, Vec<&StateChange>)> = Vec::new();
    for change in both {
        let shift = change.left.as_deref().zip(change.right.as_deref()).and_then(shift);
        match groups.iter_mut().find(|(s, _)| s.is_some() && *s == shift) {
            Some((_, changes)) => changes.push(change),
            None => groups.push((shift, vec![change])),
        }
    }
    for (shift, changes) in groups.iter().take(detail.pairs) {
        let of = numbers(changes.iter().flat_map(|c| &c.of));
        let states = in_states(changes.iter().flat_map(|c| &c.states), compared);
        let value = |v: &Option<String>| match v.as_deref() {
            None | Some("") => "(empty)".to_owned(),
            Some(v) => v.to_owned(),
        };
        let pair = |c: &StateChange| format!("{} → {}", value(&c.left), value(&c.right));
        let text = match (shift, changes.as_slice()) {
            (Some(bits), _) if bits.starts_with(['s', 'c']) => bits.clone(),
            (_, [one]) => pair(one),
            (Some(each), [first, .., last]) => format!("{} ... {} ({each})", pair(first), pair(last)),
            (_, changes) => changes.iter().map(|c| pair(c)).collect::<Vec<_>>().join(", "),
        };
        writeln!(out, "  {NUMBERS}* {label}{text}{NUMBERS:#}{NOTE}{of}{states}{NOTE:#}{because}")?;
    }
    if let Some(more @ 1..) = groups.len().checked_sub(detail.pairs) {
        let of = numbers(groups.iter().skip(detail.pairs).flat_map(|(_, c)| c).flat_map(|c| &c.of));
        let pairs = if more == 1 { "pair" } else { "pairs" };
        writeln!(out, "    {NOTE}... {more} more {pairs} of {label}values{of}{NOTE:#}")?;
    }
    Ok(())
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
