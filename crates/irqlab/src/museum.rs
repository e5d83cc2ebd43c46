//! `irqlab museum`: bugs of real kernels, with the bug and without.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::Style;
use diagnostic::file::{self, Existing};
use explore::museum::{
    Class, EXHIBITS, Exhibit, Outcome, Search, Searched, describe, explore_line, replay_line, schedule_line,
};
use kstate::semantics::{KernelVersion, Semantics};
use serde::Serialize;

use crate::exit::DIFFERS;
use crate::input::kernel;
use crate::input::{OptionError, Output, json, print};
use crate::opening::Elsewhere;

/// Bugs of real kernels, to be looked at.
///
/// Without an id: lists them. With one: tells the story, runs the exhibit with the bug and without it,
/// and shows what came out; one of class race is searched for an interleaving that shows the bug. The exit status is 1 if that is not what the exhibit promises.
#[derive(clap::Args)]
pub struct Args {
    /// The exhibit, such as M03
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Kernel to show it on [default: the first that has the bug as it is]
    #[arg(long, value_name = KernelVersion::CHOICE, value_parser = kernel, requires = "id")]
    kernel: Option<KernelVersion>,
    /// Write machine, script and story to a folder, and run nothing
    #[arg(long, value_name = "DIR", requires = "id")]
    export: Option<PathBuf>,
    /// Replace an exhibit that was written to DIR before
    #[arg(long, requires = "export")]
    force: bool,
    /// Print JSON (docs/formats.md)
    #[arg(long, conflicts_with = "export")]
    json: bool,
    #[arg(long = "set", hide = true)]
    set: Vec<String>,
    #[command(flatten)]
    elsewhere: Elsewhere,
}

/// What `--json` prints without an id.
#[derive(Serialize)]
struct JsonList {
    schema: &'static str,
    version: u32,
    exhibits: Vec<JsonExhibit>,
}

#[derive(Serialize)]
struct JsonExhibit {
    id: &'static str,
    title: String,
    class: &'static str,
    live: Vec<&'static str>,
    fixed_in: String,
}

impl JsonExhibit {
    fn of(exhibit: &Exhibit) -> Self {
        Self {
            id: exhibit.id,
            title: exhibit.title.clone(),
            class: exhibit.class.name(),
            live: exhibit.live().map(KernelVersion::name).collect(),
            fixed_in: exhibit.fixed_in.clone(),
        }
    }
}

/// What `--json` prints with an id.
#[derive(Serialize)]
struct JsonShown {
    schema: &'static str,
    version: u32,
    #[serde(flatten)]
    exhibit: JsonExhibit,
    story: &'static str,
    kernel: &'static str,
    as_promised: bool,
    sides: Vec<JsonSide>,
    again: Vec<String>,
}

/// A run or a search of an exhibit.
#[derive(Serialize)]
struct JsonSide {
    /// It is the side with the bug.
    bug: bool,
    runs: String,
    /// Assertions that did not hold, or what the search found.
    found: Vec<String>,
    terminal: Vec<String>,
    log: Vec<String>,
}

const HEAD: Style = Style::new().bold();
const NOTE: Style = Style::new().dimmed();

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let why = "an exhibit has its machine, its script, and the kernels with the bug and without";
    let instead = "`irqlab run --exhibit ID` or `irqlab sh --exhibit ID`, which take this option";
    args.elsewhere.refused(why, instead)?;
    if !args.set.is_empty() {
        return Err(OptionError::new("--set", why, instead).into());
    }
    let Some(id) = &args.id else {
        if args.json {
            let exhibits = EXHIBITS.iter().map(JsonExhibit::of).collect();
            json(&JsonList { schema: "irqlab-museum", version: 1, exhibits })?;
            return Ok(ExitCode::SUCCESS);
        }
        print(&list())?;
        return Ok(ExitCode::SUCCESS);
    };
    let exhibit = find(id)?;
    let kernel = kernel_of(exhibit, args.kernel)?;
    if let Some(folder) = &args.export {
        export(exhibit, folder, Existing::forced(args.force))?;
        return Ok(ExitCode::SUCCESS);
    }
    let sides = sides(exhibit, kernel);
    let as_promised = sides.as_promised;
    if args.json {
        json(&JsonShown {
            schema: "irqlab-museum",
            version: 1,
            exhibit: JsonExhibit::of(exhibit),
            story: exhibit.story,
            kernel: kernel.name(),
            as_promised,
            sides: sides.json,
            again: sides.lines,
        })?;
    } else {
        print(&show(exhibit, &sides))?;
    }
    Ok(if as_promised { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

/// The kernel to show an exhibit on: the one that is wanted, or its own.
///
/// # Errors
/// For a kernel that cannot have the bug.
pub fn kernel_of(exhibit: &Exhibit, wanted: Option<KernelVersion>) -> Result<KernelVersion, OptionError> {
    let kernel = wanted.unwrap_or_else(|| exhibit.kernel());
    if exhibit.kernels().any(|known| known == kernel) {
        return Ok(kernel);
    }
    let known: Vec<&str> = exhibit.kernels().map(KernelVersion::name).collect();
    let found = format!("{} cannot be shown on {}", exhibit.id, kernel.name());
    Err(OptionError::new("--kernel", found, known.join(" or ")))
}

/// The exhibit with this id.
///
/// # Errors
/// If there is none; what may have been meant is said.
pub fn find(id: &str) -> Result<&'static Exhibit, OptionError> {
    Exhibit::find(id).ok_or_else(|| {
        let close = Exhibit::close_ids(id);
        let expected = if close.is_empty() {
            format!("one of {}", EXHIBITS.iter().map(|e| e.id).collect::<Vec<_>>().join(", "))
        } else {
            format!("an exhibit, perhaps {}", close.join(" or "))
        };
        OptionError::new("ID", format!("there is no exhibit `{id}`"), expected)
    })
}

/// The kernels that have the bug as they are.
fn live(exhibit: &Exhibit) -> String {
    let names: Vec<&str> = exhibit.live().map(KernelVersion::name).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(",") }
}

/// All exhibits, a line each.
fn list() -> String {
    let width = |of: fn(&Exhibit) -> usize| EXHIBITS.iter().map(of).max().unwrap_or(0);
    let title = width(|e| e.title.len());
    let mut text = format!("{HEAD}id   {:<title$}  class  live on     fixed in{HEAD:#}\n", "title");
    for exhibit in EXHIBITS.iter() {
        let (class, live) = (exhibit.class.name(), live(exhibit));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<3}  {:<title$}  {class:<5}  {live:<10}  {}",
            exhibit.id, exhibit.title, exhibit.fixed_in
        );
    }
    text
}

/// What Markdown puts between double stars is a heading.
fn story(text: &str) -> String {
    let mut shown = String::new();
    for (i, part) in text.split("**").enumerate() {
        let _ = if i % 2 == 1 { write!(shown, "{HEAD}{part}{HEAD:#}") } else { write!(shown, "{part}") };
    }
    shown
}

/// Both sides of an exhibit.
fn sides(exhibit: &Exhibit, kernel: KernelVersion) -> Sides {
    match exhibit.class {
        Class::Race(search) => searched(exhibit, kernel, search),
        Class::State | Class::Order => run_twice(exhibit, kernel),
    }
}

/// The story, both sides, and how to see it again.
fn show(exhibit: &Exhibit, sides: &Sides) -> String {
    let mut text = format!("{HEAD}{}  {}{HEAD:#}\n\n{}\n", exhibit.id, exhibit.title, story(exhibit.story));
    text.push_str(&sides.text);
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "`irqlab sh --exhibit {0}` and `irqlab tui --exhibit {0}` stop, look and go back in it.",
        exhibit.id
    );
    let _ = writeln!(text, "{NOTE}Again, step by step:{NOTE:#}");
    for line in &sides.lines {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// An exhibit with the bug and without.
struct Sides {
    /// For people.
    text: String,
    /// For programs.
    json: Vec<JsonSide>,
    /// The command lines that show them again.
    lines: Vec<String>,
    /// There is a bug on the one side and none on the other.
    as_promised: bool,
}

impl Sides {
    fn with_bug(&mut self, semantics: &Semantics, text: &str) {
        let _ = writeln!(self.text, "{HEAD}With the bug: {}{HEAD:#}\n{text}", describe(semantics));
    }

    fn without(&mut self, semantics: &Semantics, text: &str) {
        let _ = writeln!(self.text, "{HEAD}Without: {}{HEAD:#}\n{text}", describe(semantics));
    }
}

/// The outcomes of an exhibit that only has to be run.
fn run_twice(exhibit: &Exhibit, kernel: KernelVersion) -> Sides {
    let side = |semantics: &Semantics| exhibit.run(kernel, semantics.clone(), |_| {});
    let bug = exhibit.with_bug(kernel);
    let with = side(&bug);
    let folder = exhibit.id.to_lowercase();
    let mut sides = Sides {
        text: String::new(),
        json: vec![ran(true, &bug, &with)],
        lines: vec![
            format!("irqlab museum {} --export {folder}", exhibit.id),
            replay_line(&bug, &folder, "bug"),
        ],
        as_promised: !with.failed.is_empty(),
    };
    let without: Vec<_> =
        exhibit.without_bug(kernel).into_iter().map(|semantics| (side(&semantics), semantics)).collect();
    if let Some((other, _)) = without.first() {
        sides.with_bug(&bug, &with.text_beside(other));
    }
    for (i, (other, semantics)) in without.iter().enumerate() {
        sides.without(semantics, &other.text_beside(&with));
        sides.json.push(ran(false, semantics, other));
        sides.as_promised &= other.failed.is_empty();
        sides.lines.push(replay_line(semantics, &folder, &format!("fixed{}", i + 1)));
    }
    sides
}

/// A run, for programs.
fn ran(bug: bool, semantics: &Semantics, outcome: &Outcome) -> JsonSide {
    JsonSide {
        bug,
        runs: describe(semantics),
        found: outcome.failed.iter().map(ToString::to_string).collect(),
        terminal: outcome.terminal.clone(),
        log: outcome.log.clone(),
    }
}

/// A search, for programs.
fn looked(bug: bool, semantics: &Semantics, searched: &Searched) -> JsonSide {
    let found = searched.found.as_ref();
    JsonSide {
        bug,
        runs: describe(semantics),
        found: found.map(|found| found.finding.text.trim_end().to_owned()).into_iter().collect(),
        terminal: found.map_or_else(Vec::new, |found| found.terminal.clone()),
        log: found.map_or_else(Vec::new, |found| found.log.clone()),
    }
}

/// What the interleavings of an exhibit come to.
fn searched(exhibit: &Exhibit, kernel: KernelVersion, search: Search) -> Sides {
    let side = |semantics: &Semantics| search.of(&exhibit.world(kernel, semantics.clone()));
    let bug = exhibit.with_bug(kernel);
    let with = side(&bug);
    let mut sides = Sides {
        text: String::new(),
        json: vec![looked(true, &bug, &with)],
        lines: vec![explore_line(exhibit, &bug, search)],
        as_promised: with.found.is_some(),
    };
    sides.with_bug(&bug, &with.text());
    if let Some(found) = &with.found {
        sides.lines.push(schedule_line(exhibit, &bug, &found.finding.schedule));
    }
    for semantics in exhibit.without_bug(kernel) {
        let other = side(&semantics);
        sides.without(&semantics, &other.text());
        sides.json.push(looked(false, &semantics, &other));
        sides.as_promised &= other.complete;
        sides.lines.push(explore_line(exhibit, &semantics, search));
    }
    sides
}

/// Writes the exhibit's files.
fn export(exhibit: &Exhibit, folder: &Path, existing: Existing) -> diagnostic::Result<()> {
    let files =
        [("machine.toml", exhibit.machine), ("script.sh", exhibit.script), ("story.md", exhibit.story)];
    file::write_folder(folder, &files, existing, |name| files.iter().any(|(known, _)| *known == name))?;
    let mut out = Output::new();
    for (name, _) in files {
        out.line(folder.join(name).display())?;
    }
    Ok(out.finish()?)
}
