//! The answer for people: a verdict, tables, and what has to be known about them. Everything fits 80 columns.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use ::whatif::{Answer, Change, Headroom, Kind, Refused, Search};
use kstate::CpuMask;

use super::rows::{Group, cpus, ranges, short, template};

/// Columns of a terminal.
const WIDTH: usize = 80;
/// Where the text of a line of the verdict begins.
const INDENT: usize = 10;
/// No column is cut to less.
const NARROW: usize = 9;
/// Lines of a log that are shown.
const LOGGED: usize = 8;
/// Refusals that are shown.
const REFUSED: usize = 4;

/// `1 interrupt`, `2 interrupts`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Text behind a word, over as many lines as it takes.
fn line(out: &mut String, word: &str, text: &str) {
    let _ = write!(out, "{word:<INDENT$}");
    wrapped(out, text, WIDTH - INDENT, INDENT);
}

/// Text on lines of `width`, all but the first behind `indent`, which the width of the first one leaves out.
fn wrapped(out: &mut String, text: &str, width: usize, indent: usize) {
    let (mut most, mut at) = (width, 0);
    for (n, part) in text.split(' ').enumerate() {
        let wide = part.chars().count();
        if n > 0 && at + 1 + wide > most {
            let _ = write!(out, "\n{:indent$}", "");
            (most, at) = (WIDTH - indent, 0);
        } else if n > 0 {
            out.push(' ');
            at += 1;
        }
        out.push_str(part);
        at += wide;
    }
    out.push('\n');
}

/// Columns as wide as they have to be; where that is too wide, the widest ones are cut.
fn table(out: &mut String, title: &str, heading: Vec<&str>, rows: Vec<Vec<String>>) {
    out.push('\n');
    wrapped(out, title, WIDTH, 2);
    let cells: Vec<Vec<String>> =
        core::iter::once(heading.into_iter().map(str::to_owned).collect()).chain(rows).collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let wide =
        |column: usize| cells.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let mut widths: Vec<usize> = (0..columns).map(|column| wide(column).unwrap_or(0)).collect();
    while widths.iter().sum::<usize>() + 2 * columns > WIDTH {
        // Lists first: names say what a row is about.
        let (name, lists) = widths.split_at_mut(1.min(columns));
        let widest = lists.iter_mut().max().filter(|widest| **widest > NARROW);
        let Some(widest) = widest.or_else(|| name.first_mut().filter(|name| **name > NARROW)) else { break };
        *widest -= 1;
    }
    for row in &cells {
        let mut text = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            let _ = write!(text, "  {:<width$}", short(cell, width));
        }
        let _ = writeln!(out, "{}", text.trim_end());
    }
}

/// How many functions changes are of, in words.
fn functions(changes: &[&Change]) -> String {
    let devices: BTreeSet<_> = changes.iter().filter_map(|c| c.device.as_ref()).collect();
    match devices.len() {
        0 => String::new(),
        n => format!(" of {}", count(n, "function")),
    }
}

fn union(changes: &[&Change], of: impl Fn(&Change) -> &CpuMask) -> CpuMask {
    changes.iter().fold(CpuMask::new(), |all, change| all.or(of(change)))
}

fn refused(out: &mut String, all: &[Refused]) {
    for refusal in all.iter().take(REFUSED) {
        let errno = refusal.errno.map_or_else(String::new, |errno| format!("{errno}: "));
        let what = match refusal.cpu {
            Some(cpu) => format!("CPU {cpu}: {errno}{}", refusal.step),
            None => format!("{errno}{} ({})", refusal.step, refusal.what),
        };
        line(out, "refused", &what);
        for logged in &refusal.log {
            line(out, "", &format!("log: {logged}"));
        }
    }
    if all.len() > REFUSED {
        let rest = &all[REFUSED..];
        let named: CpuMask = rest.iter().filter_map(|r| r.cpu).map(kstate::CpuId).collect();
        let whom = if named.is_empty() { String::new() } else { format!(": CPUs {}", cpus(&named)) };
        line(out, "refused", &format!("{} more{whom}", rest.len()));
    }
}

fn search(out: &mut String, search: &Search) {
    let gone = search.went.len();
    let went: CpuMask = search.went.iter().copied().map(kstate::CpuId).collect();
    let until = search.until_refused as usize;
    let text = match search.refused.first().and_then(|refused| refused.cpu) {
        Some(cpu) if gone > until => format!(
            "{} can go before CPU {cpu} is refused, and {} after it; {} {} left, of which none can go",
            count(until, "CPU"),
            gone - until,
            cpus(&search.left),
            if search.left.weight() == 1 { "is" } else { "are" },
        ),
        Some(cpu) => format!(
            "{} can go, and CPU {cpu} is refused; {} left: {}",
            count(gone, "CPU"),
            if search.left.weight() == 1 { "one is" } else { "these are" },
            cpus(&search.left)
        ),
        None => format!("{} can go, and CPU {} is left", count(gone, "CPU"), cpus(&search.left)),
    };
    line(out, "search", &text);
    if gone > 0 {
        line(out, "", &format!("gone: {}", cpus(&went)));
    }
    line(out, "", search.order);
    if let Some(cpu) = search.first_shutdown {
        line(out, "", &format!("the first managed interrupt was shut down when CPU {cpu} went"));
    }
}

fn headroom(out: &mut String, headroom: &Headroom) {
    let Headroom { capacity, free, reserved, tightest, cpus } = headroom;
    let mut text = format!("{free} more vectors until ENOSPC");
    if *reserved > 0 {
        let _ = write!(text, ", {reserved} of them promised to interrupts that nobody has requested yet");
    }
    if let Some(tightest) = tightest {
        let _ = write!(
            text,
            "; tightest is CPU {}: {} of {capacity} vectors in use or kept, {} more",
            tightest.cpu, tightest.used, tightest.free
        );
    }
    line(out, "headroom", &text);
    let Some(search) = cpus else { return };
    let text = match search.refused.first() {
        Some(refused) => format!(
            "{} can go, and CPU {} is refused: {}, {}",
            if search.went.is_empty() {
                "no more CPU".to_owned()
            } else {
                count(search.went.len(), "more CPU")
            },
            refused.cpu.unwrap_or_default(),
            refused.errno.unwrap_or("failed"),
            refused.log.last().map_or("nothing logged", String::as_str)
        ),
        None => format!(
            "{} can go, all but CPU {}",
            count(search.went.len(), "more CPU"),
            super::rows::cpus(&search.left)
        ),
    };
    line(out, "", &text);
}

fn verdict(out: &mut String, answer: &Answer) {
    refused(out, &answer.refused);
    for failed in &answer.failed {
        let which = if failed.added { "the added " } else { "" };
        line(out, "failed", &format!("{} does not take {which}{}", failed.driver, failed.device));
    }
    let of = |kind| answer.of(kind).collect::<Vec<_>>();
    let lost = of(Kind::Lost);
    if !lost.is_empty() {
        let text = format!("{}{}: no CPU gets them", count(lost.len(), "interrupt"), functions(&lost));
        line(out, "lost", &text);
    }
    let dead = of(Kind::Dead);
    if !dead.is_empty() {
        let submits = |c: &&&Change| c.queue.as_ref().is_some_and(|queue| !queue.after.is_empty());
        let harmful = dead.iter().filter(submits).count();
        let carried =
            union(&dead, |c| if c.carried_before.is_empty() { &c.affinity_after } else { &c.carried_before });
        let tail = match harmful {
            0 => "no CPU that runs submits to them".to_owned(),
            n => format!("to {n} of them CPUs that run still submit, and wait for nothing"),
        };
        let text = format!(
            "{}{}, which carried CPUs {}: shut down; {tail}",
            count(dead.len(), "queue"),
            functions(&dead),
            cpus(&carried)
        );
        line(out, "dead", &text);
    }
    let gone = of(Kind::Gone);
    if !gone.is_empty() {
        line(out, "gone", &format!("{}{}", count(gone.len(), "interrupt"), functions(&gone)));
    }
    let degraded = of(Kind::Degraded);
    if !degraded.is_empty() {
        let (before, after) =
            (union(&degraded, |c| &c.carried_before), union(&degraded, |c| &c.carried_after));
        let verb = if after.weight() == 1 { "is" } else { "are" };
        let text = format!(
            "{}{}: {} of their {} CPUs {verb} left",
            count(degraded.len(), "queue"),
            functions(&degraded),
            after.weight(),
            before.weight()
        );
        line(out, "degraded", &text);
    }
    let (broken, other): (Vec<&Change>, Vec<&Change>) =
        of(Kind::Affinity).into_iter().partition(|c| !c.affinity_before.intersects(&answer.after.online));
    for (changes, why) in [
        (broken, "no CPU of their affinity runs, and they got another one"),
        (other, "they got another affinity"),
    ] {
        if !changes.is_empty() {
            let text = format!("{}{}: {why}", count(changes.len(), "interrupt"), functions(&changes));
            line(out, "moved", &text);
        }
    }
    let moved = of(Kind::Moved);
    if !moved.is_empty() {
        let text = format!("{}{} within the affinity", count(moved.len(), "interrupt"), functions(&moved));
        line(out, "moved", &text);
    }
    for (kind, word, what) in [(Kind::Revived, "revived", "start again"), (Kind::New, "new", "are new")] {
        let found = of(kind);
        if !found.is_empty() {
            let text = format!("{}{} {what}", count(found.len(), "interrupt"), functions(&found));
            line(out, word, &text);
        }
    }
    if answer.removed > 0 {
        line(out, "removed", &count(answer.removed, "interrupt"));
    }
    if let Some(found) = &answer.search {
        search(out, found);
    }
    if let Some(left) = &answer.headroom {
        headroom(out, left);
    }
    line(out, "same", &count(answer.same, "interrupt"));
}

/// In which order the tables stand.
const TABLES: [Kind; 8] = [
    Kind::Lost,
    Kind::Dead,
    Kind::Gone,
    Kind::Degraded,
    Kind::Affinity,
    Kind::Moved,
    Kind::Revived,
    Kind::New,
];

fn tables(out: &mut String, answer: &Answer, all: bool) {
    let online = &answer.after.online;
    let reasons = TABLES.into_iter().flat_map(|kind| {
        let all: BTreeSet<&[&str]> = answer.of(kind).map(|change| change.because.as_slice()).collect();
        all.into_iter().map(move |because| (kind, because))
    });
    for (kind, because) in reasons {
        let groups = Group::of(answer.of(kind).filter(|change| change.because == because), all);
        let before = |g: &Group<'_>| g.on(|c| c.cpu_before);
        let after = |g: &Group<'_>| g.on(|c| c.cpu_after);
        let affinity = |g: &Group<'_>| g.mask(|c| &c.affinity_after);
        // An affinity that was broken names CPUs that went later.
        let left = |g: &Group<'_>| cpus(&g.union(|c| &c.affinity_after).and(online));
        let (title, columns): (&str, Vec<(&str, &dyn Fn(&Group<'_>) -> String)>) = match kind {
            Kind::Dead => (
                "dead: all CPUs of the affinity are offline, the interrupt is shut down",
                vec![
                    ("affinity", &affinity),
                    ("carried CPUs", &|g| g.mask(|c| &c.carried_before)),
                    ("still submit", &|g| {
                        g.mask(|c| c.queue.as_ref().map_or(&c.carried_after, |q| &q.after))
                    }),
                ],
            ),
            Kind::Lost => (
                "lost: requested, and no CPU gets it",
                vec![("affinity", &affinity), ("CPU before", &before), ("after", &after)],
            ),
            Kind::Gone => (
                "gone: the function has this message no more",
                vec![("affinity was", &|g| g.mask(|c| &c.affinity_before)), ("CPU was", &before)],
            ),
            Kind::Degraded => (
                "degraded: it carries fewer CPUs",
                vec![
                    ("carried", &|g| g.mask(|c| &c.carried_before)),
                    ("carries", &|g| g.mask(|c| &c.carried_after)),
                    ("CPU before", &before),
                    ("after", &after),
                ],
            ),
            Kind::Affinity => (
                "moved: another affinity",
                vec![
                    ("affinity was", &|g| g.mask(|c| &c.affinity_before)),
                    ("is", &left),
                    ("CPU before", &before),
                    ("after", &after),
                ],
            ),
            Kind::Moved => (
                "moved: the same affinity",
                vec![("affinity", &affinity), ("CPU before", &before), ("after", &after)],
            ),
            Kind::Revived => {
                ("revived: a CPU of the affinity runs again", vec![("affinity", &affinity), ("CPU", &after)])
            }
            Kind::New => ("new", vec![("affinity", &affinity), ("CPU", &after)]),
        };
        let mut heading = vec!["interrupt", "irq"];
        heading.extend(columns.iter().map(|(name, _)| *name));
        let row = |group: &Group<'_>| {
            let mut row = vec![group.names(), group.irqs()];
            row.extend(columns.iter().map(|(_, cell)| cell(group)));
            row
        };
        let why = if because.is_empty() { String::new() } else { format!(" [{}]", because.join(", ")) };
        table(out, &format!("{title}{why}"), heading, groups.iter().map(row).collect());
    }
}

/// Lines that differ in numbers only, once.
fn log(out: &mut String, lines: &[String]) {
    let mut kinds: BTreeMap<String, (usize, &str, usize)> = BTreeMap::new();
    for (at, text) in lines.iter().enumerate() {
        kinds.entry(template(text)).or_insert((at, text, 0)).2 += 1;
    }
    if kinds.is_empty() {
        return;
    }
    let mut kinds: Vec<(usize, &str, usize)> = kinds.into_values().collect();
    kinds.sort_unstable();
    out.push('\n');
    for (_, text, times) in kinds.iter().take(LOGGED) {
        let more = if *times > 1 { format!(" (and {} more like it)", times - 1) } else { String::new() };
        line(out, "log", &format!("{text}{more}"));
    }
    if kinds.len() > LOGGED {
        line(out, "log", &format!("{} more", kinds.len() - LOGGED));
    }
}

/// The whole text.
pub fn print(name: &str, answer: &Answer, all: bool) -> String {
    let mut out = String::new();
    let [from, to] = answer.kernels;
    let (before, after) = (&answer.before, &answer.after);
    line(
        &mut out,
        "machine",
        &format!(
            "{name}: {from}, {} online, {}",
            count(before.online.weight() as usize, "CPU"),
            count(before.interrupts, "interrupt")
        ),
    );
    let boots = if answer.boots { ", booted anew" } else { "" };
    let kernel = if from == to { String::new() } else { format!("{to}, ") };
    let said = if answer.said.is_empty() { "CPUs go offline".to_owned() } else { answer.said.join("; ") };
    line(&mut out, "what if", &format!("{said}{boots}"));
    line(
        &mut out,
        "then",
        &format!(
            "{kernel}{} online, {}",
            count(after.online.weight() as usize, "CPU"),
            count(after.interrupts, "interrupt")
        ),
    );
    out.push('\n');
    if !answer.has_finding() {
        line(&mut out, "fine", "nothing is refused, dead, degraded or lost, and no affinity changes");
    }
    verdict(&mut out, answer);
    tables(&mut out, answer, all);
    if !answer.causes.is_empty() {
        out.push('\n');
    }
    for cause in &answer.causes {
        let changed = if cause.changed.is_empty() { String::new() } else { format!(", {}", cause.changed) };
        let text = format!(
            "{} {} -> {}: {} ({} in {}{changed}); it changes {} by itself",
            cause.field,
            cause.left,
            cause.right,
            cause.doc.trim_end_matches('.'),
            cause.function,
            cause.file,
            count(cause.interrupts, "interrupt")
        );
        line(&mut out, "because", &text);
    }
    log(&mut out, &answer.log);
    if !answer.notes.is_empty() || !answer.causes.is_empty() {
        out.push('\n');
    }
    for note in &answer.notes {
        line(&mut out, "note", note);
    }
    if !all && answer.causes.iter().any(|cause| cause.interrupts > 1) {
        line(&mut out, "note", "--all has a line for each interrupt");
    }
    out
}

/// Steps as a list.
pub fn steps(numbers: &[u64]) -> String {
    ranges(&numbers.iter().map(|n| u32::try_from(*n).unwrap_or(u32::MAX)).collect::<Vec<_>>())
}
