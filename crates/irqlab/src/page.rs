//! `irqlab page`: a run as one file for a browser.

use std::path::PathBuf;
use std::process::ExitCode;

use compare::capture::Capture;
use compare::diff;
use compare::diff::attribution::Cause;
use diagnostic::file::{self, Existing};
use explore::museum::Class;
use explore::{Detail, Schedule, World, narrate};
use kstate::semantics::{KernelVersion, Semantics};
use page::{Case, Exhibit, Lesson, Page, Run};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;
use sim::state::Sections;

use crate::diff::experiment;
use crate::input::{OptionError, Output, kernel};
use crate::opening::{self, Opened, Opening};

/// Write a run as a page for a browser: lanes, calls, and the state of the machine at each record.
///
/// The page is one file that needs nothing else. Without a script the run is the boot.
#[derive(clap::Args)]
pub struct Args {
    /// Machine file (TOML) [default: the embedded machine]
    #[arg(value_name = "MACHINE", conflicts_with_all = ["machine", "exhibit", "capture", "lesson"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    opening: Opening,
    /// Script to run (docs/scripts.md), `-` for standard input [default: none, which leaves the boot]
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Machine and script of a capture folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["machine", "exhibit", "script"])]
    capture: Option<PathBuf>,
    /// A lesson of `irqlab lesson`, beside its run
    #[arg(long, value_name = "N", conflicts_with_all = ["machine", "exhibit", "script", "capture", "set", "boot", "cmdline", "cpus", "nvme"])]
    lesson: Option<u32>,
    /// With --exhibit: the schedule of the run, as `irqlab explore` prints it [default: the one that is found for a race]
    #[arg(
        long,
        alias = "choices",
        value_name = "PLACE:ANSWER,...",
        requires = "exhibit",
        conflicts_with = "diff"
    )]
    schedule: Option<String>,
    /// Show the run on two kernels, beside each other
    #[arg(long, num_args = 2, value_names = [KernelVersion::CHOICE, KernelVersion::CHOICE], value_parser = kernel, conflicts_with_all = ["kernel", "set", "lesson"])]
    diff: Vec<KernelVersion>,
    /// With --diff: change one behaviour of the first kernel
    #[arg(long, value_name = "FIELD=VALUE", requires = "diff")]
    left_set: Vec<String>,
    /// With --diff: change one behaviour of the second kernel
    #[arg(long, value_name = "FIELD=VALUE", requires = "diff")]
    right_set: Vec<String>,
    /// Begin with power-on, also where there is a script
    #[arg(long)]
    boot: bool,
    /// File to write
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Replace FILE
    #[arg(long)]
    force: bool,
    /// Write the data alone, as JSON (docs/page-schema.md)
    #[arg(long)]
    json: bool,
}

/// Steps after which a run by a schedule is left.
const LONGEST: usize = 10_000;

/// What is shown.
struct Asked {
    name: String,
    machine: Machine,
    semantics: Semantics,
    script: Option<Script>,
}

impl Args {
    fn open(&self) -> diagnostic::Result<Asked> {
        if let Some(folder) = &self.capture {
            let capture = Capture::read(folder)?;
            let name = folder.join("machine.toml").display().to_string();
            let Opened { machine, semantics, .. } = self.opening.open_text(name, capture.machine, None)?;
            let name = folder.display().to_string();
            return Ok(Asked { name, machine, semantics, script: Some(capture.script) });
        }
        let mut opening = self.opening.clone();
        opening.machine = self.file.clone().or(opening.machine);
        let Opened { name, machine, semantics, script, .. } = opening.open()?;
        let script = match (&self.script, script) {
            (Some(path), _) => {
                let (name, text) = opening::script_text(path)?;
                Some(Script::parse(&name, &text)?)
            }
            (None, Some(text)) => Some(Script::parse("the exhibit's script", text)?),
            (None, None) => None,
        };
        Ok(Asked { name, machine, semantics, script })
    }
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    file::check(&args.out, Existing::forced(args.force))?;
    let page = match (args.lesson, args.opening.exhibit.as_deref(), &args.diff[..]) {
        (Some(number), ..) => lesson(args, number)?,
        (None, _, [left, right]) => diff(args, &args.open()?, *left, *right)?,
        (None, Some(id), _) => exhibit(args, id)?,
        (None, None, _) => {
            let asked = args.open()?;
            let run = one(args, &asked, &asked.machine, &asked.semantics)?;
            Page::new(&format!("{} on {}", asked.name, run.kernel()), vec![run])
        }
    };
    let bytes = if args.json { page.json() } else { page.html().into_bytes() };
    file::write(&args.out, &bytes, Existing::forced(args.force))?;
    let mut out = Output::new();
    for run in page.runs() {
        let (records, changes) = (run.records(), run.changes());
        out.line(format_args!("{}: {records} records, {changes} changes of the state", run.kernel()))?;
    }
    out.line(format_args!("{}: {} kB", args.out.display(), bytes.len().div_ceil(1000)))?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// What is too long for a page.
fn too_long(wrong: String) -> diagnostic::Report {
    diagnostic::report!(help = "expected a shorter script", "{wrong}")
}

fn one(args: &Args, asked: &Asked, machine: &Machine, semantics: &Semantics) -> diagnostic::Result<Run> {
    let case =
        Case { name: &asked.name, machine, semantics, script: asked.script.as_ref(), with_boot: args.boot };
    Run::of(&case).map_err(too_long)
}

fn lesson(args: &Args, number: u32) -> diagnostic::Result<Page> {
    let (lesson, kernel) = crate::lesson::find(number, args.opening.experiment.kernel)?;
    let (run, told) = Lesson::of(lesson, kernel).map_err(too_long)?;
    let title = format!("Lesson {number}: {} on {}", lesson.title, kernel.name());
    Ok(Page::new(&title, vec![run]).with_lesson(told))
}

/// The run with the bug; one that is searched for where the exhibit is a race.
fn exhibit(args: &Args, id: &str) -> diagnostic::Result<Page> {
    let exhibit = crate::museum::find(id)?;
    let experiment = &args.opening.experiment;
    let mut asked = args.open()?;
    let kernel = crate::museum::kernel_of(exhibit, experiment.kernel)?;
    asked.machine.kernel = kernel;
    asked.semantics = exhibit.with_bug(kernel);
    crate::experiment::apply("--set", &mut asked.semantics, &experiment.set)?;
    asked.name = format!("exhibit {}", exhibit.id);
    let mut about = Exhibit {
        id: exhibit.id.to_owned(),
        title: exhibit.title.clone(),
        story: exhibit.story.to_owned(),
        schedule: None,
    };
    let given = args.schedule.as_deref().map(crate::replay::schedule).transpose()?;
    let run = match (given, exhibit.class) {
        (None, Class::State | Class::Order) => one(args, &asked, &asked.machine, &asked.semantics)?,
        (given, class) => {
            if args.boot {
                let found = "a run by a schedule begins with the script";
                return Err(OptionError::new("--boot", found, "no --boot").into());
            }
            let script = asked.script.clone().unwrap_or_else(|| exhibit.script());
            let lab = Lab::boot_with(&asked.machine, asked.semantics.clone(), false);
            let world = World::new(lab, &script);
            let schedule = match (given, class) {
                (Some(schedule), _) => {
                    let detail = Detail { longest: LONGEST, ..Detail::default() };
                    narrate(&world, &schedule, &detail, |_| {}).fits(&schedule).map_err(|misfit| {
                        let expected = "a schedule of this exhibit, script, machine and kernel";
                        OptionError::new("--schedule", misfit.to_string(), expected)
                    })?;
                    schedule
                }
                (None, Class::Race(search)) => {
                    let found = search.of(&world).found.map(|found| found.finding.schedule);
                    found.ok_or_else(|| {
                        let found = format!("no run with the bug of {} is found", exhibit.id);
                        OptionError::new(
                            "--exhibit",
                            found,
                            "a machine and behaviours that have it, or --schedule",
                        )
                    })?
                }
                (None, _) => Schedule::default(),
            };
            about.schedule = Some(schedule.to_string());
            Run::of_schedule(&asked.name, &world, &schedule, LONGEST).map_err(too_long)?
        }
    };
    Ok(Page::new(&format!("{}: {}", exhibit.id, exhibit.title), vec![run]).with_exhibit(about))
}

/// The run on two kernels, with the behaviours that are behind the differences.
fn diff(args: &Args, asked: &Asked, left: KernelVersion, right: KernelVersion) -> diagnostic::Result<Page> {
    let left = experiment("--left-set", left, &args.left_set)?;
    let right = experiment("--right-set", right, &args.right_set)?;
    let mut runs = Vec::new();
    for (_, semantics) in [&left, &right] {
        let both = [left.1.version, right.1.version];
        let machine = diff::machine_of(&asked.machine, semantics.version, both);
        runs.push(one(args, asked, &machine, semantics)?);
    }
    let title = format!("{}: {} and {}", asked.name, left.0, right.0);
    let mut causes: Vec<Cause> = Vec::new();
    for script in recorded(asked.script.as_ref())? {
        let report =
            diff::between(&asked.machine, &script, left.clone(), right.clone(), |_| Sections::default())?;
        for cause in report.causes {
            match causes.iter_mut().find(|known| known.field == cause.field) {
                Some(known) => known.shows.extend(cause.shows),
                None => causes.push(cause),
            }
        }
    }
    causes.retain(|cause| !cause.shows.is_empty());
    Ok(Page::new(&title, runs).with_causes(causes))
}

/// A script with recordings in it, which are what two runs are compared by: its own, or all of it, as calls and as events.
fn recorded(script: Option<&Script>) -> diagnostic::Result<Vec<Script>> {
    let Some(script) = script else {
        return Ok(vec![Script::parse("the boot", "#: boot-events boot\n")?]);
    };
    if !sim::plan::plan(script).is_empty() {
        return Ok(vec![script.clone()]);
    }
    let text = &script.text;
    let wrapped = |kind: &str| Script::parse(&script.name, &format!("#: {kind} page\n{text}\n#: end\n"));
    Ok(vec![wrapped("flow")?, wrapped("events")?])
}
