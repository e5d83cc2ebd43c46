//! `irqlab verify`: the emulator against captures of real kernels.

use std::path::PathBuf;
use std::process::ExitCode;

use compare::capture::{self, Capture};
use compare::verify::races::{Chance, Searched};
use compare::verify::{self, Difference, LineAt, Outcome, Report, Row, Run};
use serde::Serialize;

use crate::exit::DIFFERS;
use crate::experiment::Experiment;
use crate::input::{Output, json};
use crate::opening::Elsewhere;

/// Options of `irqlab verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Capture folders (machine.toml, script.sh and recordings), or folders of such folders
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    experiment: Experiment,
    #[command(flatten)]
    elsewhere: Elsewhere,
    /// Show what differs, in context
    #[arg(short, long)]
    verbose: bool,
    /// Print JSON (docs/formats.md), with everything that differs
    #[arg(long, conflicts_with = "verbose")]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json {
    schema: &'static str,
    version: u32,
    passed: bool,
    captures: Vec<JsonCapture>,
}

#[derive(Serialize)]
struct JsonCapture {
    folder: String,
    kernel: &'static str,
    experiment: Option<String>,
    passed: bool,
    /// The run that was compared; `none` is the quiet one.
    schedule: String,
    choices: Vec<JsonChoice>,
    searched: Option<JsonSearched>,
    files: Vec<JsonFile>,
}

/// A choice by chance of the run that was compared.
#[derive(Serialize)]
struct JsonChoice {
    place: usize,
    answer: u32,
    of: u32,
    file: String,
    text: String,
}

impl JsonChoice {
    fn of(chance: &Chance) -> Self {
        let Chance { place, answer, of, file, text } = chance.clone();
        Self { place, answer, of, file, text }
    }
}

/// The search for such a run, where the quiet one differs.
#[derive(Serialize)]
struct JsonSearched {
    runs: usize,
    records: usize,
    whole: bool,
}

impl JsonSearched {
    fn of(searched: Searched) -> Self {
        let Searched { runs, records, whole } = searched;
        Self { runs, records, whole }
    }
}

#[derive(Serialize)]
struct JsonFile {
    file: String,
    /// `compared`, `not-made`, `missing` or `not-taken`.
    outcome: &'static str,
    lines: usize,
    differences: Vec<JsonDifference>,
}

#[derive(Serialize)]
struct JsonDifference {
    place: String,
    expected: Option<JsonLine>,
    got: Option<JsonLine>,
}

#[derive(Serialize)]
struct JsonLine {
    line: usize,
    text: String,
}

impl JsonLine {
    fn of(line: Option<LineAt>) -> Option<Self> {
        line.map(|LineAt { number, text }| Self { line: number, text })
    }
}

/// A report, for programs.
fn files(report: Report) -> Vec<JsonFile> {
    let rows = report.rows.into_iter();
    rows.map(|Row { file, kind: _, outcome }| {
        let (outcome, comparison) = match outcome {
            Outcome::Compared(comparison) => ("compared", comparison),
            Outcome::NotMade => ("not-made", Default::default()),
            Outcome::Missing => ("missing", Default::default()),
            Outcome::NotTaken => ("not-taken", Default::default()),
        };
        let differences = comparison.differences.into_iter();
        let differences = differences.map(|Difference { place, expected_line, got_line }| JsonDifference {
            place,
            expected: JsonLine::of(expected_line),
            got: JsonLine::of(got_line),
        });
        JsonFile { file, outcome, lines: comparison.lines_compared, differences: differences.collect() }
    })
    .collect()
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    args.elsewhere.refused(
        "a capture was taken on one machine, with one script: on another there is nothing to compare with",
        "`irqlab run` with the machine.toml and script.sh of the folder, which takes this option",
    )?;
    let mut passed = true;
    let mut captures = Vec::new();
    let mut out = Output::new();
    for folder in args.folders.iter().flat_map(|path| capture::folders(path)) {
        if folder.exists() && !capture::is_capture(&folder) {
            return Err(diagnostic::report!(
                help = "expected a folder with machine.toml and script.sh, or one in which there are such folders",
                "{} is no capture",
                folder.display()
            ));
        }
        let capture = Capture::read(&folder)?;
        let machine = capture.machine()?;
        let semantics = args.experiment.semantics(machine.kernel)?;
        let kernel = semantics.version.name();
        let note = args.experiment.note(&semantics);
        let Run { report, lab, outputs: _ } = verify::run_with(&capture, &machine, semantics);
        crate::run::given_up(&lab)?;
        passed &= report.passed();
        if args.json {
            captures.push(JsonCapture {
                folder: folder.display().to_string(),
                kernel,
                experiment: note,
                passed: report.passed(),
                schedule: report.schedule(),
                choices: report.chances.iter().map(JsonChoice::of).collect(),
                searched: report.searched.map(JsonSearched::of),
                files: files(report),
            });
            continue;
        }
        out.line(folder.display())?;
        if let Some(note) = note {
            out.line(format_args!("# {note}"))?;
        }
        out.text(&report.table())?;
        for line in report.chance() {
            out.line(line)?;
        }
        if args.verbose {
            for line in lab.terminal {
                out.line(format_args!("  {line}"))?;
            }
            out.text(&report.diff())?;
        }
        out.flush()?;
    }
    if args.json {
        json(&Json { schema: "irqlab-verify", version: 1, passed, captures })?;
    }
    Ok(ExitCode::from(if passed { 0 } else { DIFFERS }))
}
