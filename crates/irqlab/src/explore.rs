//! `irqlab explore`: all interleavings of a script, or many of them.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diagnostic::Context as _;
use diagnostic::file::{self, Existing};
use explore::coverage::Seen;
use explore::exhaustive::{self, Bounds, How};
use explore::random::{self, Plan, Strategy};
use explore::{Detail, Finding, Schedule, World, narrate, shrink};
use kstate::semantics::KernelVersion;
use sim::script::Statement;

use crate::case::{self, Case};
use crate::exit::DIFFERS;
use crate::input::{OptionError, Output, complain};

mod coverage;
mod progress;
mod report;
mod sweep;

use coverage::Coverage;
use progress::Progress;
use report::{Covered, Found, Report};

/// Options of `irqlab explore`.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("what").args(["script", "exhibit", "merge"]).required(true)))]
pub struct Args {
    #[command(flatten)]
    case: case::Args,
    #[command(flatten)]
    search: Search,
    /// Print what results that were written with --json come to together, and explore nothing
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["script", "exhibit", "machine",
        "kernel", "set", "strategy", "seed", "runs", "changes", "shard", "depth", "states", "findings", "no_reduction", "jobs", "coverage"])]
    merge: Vec<PathBuf>,
    /// Search on every kernel, or the one of --kernel, as it is and with every other value of every field of `irqlab
    /// semantics`, and print one table
    #[arg(long, conflicts_with_all = ["merge", "set", "shard"])]
    sweep: bool,
    /// Write the result to a file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Replace the file of --json if it is there already
    #[arg(long, requires = "json")]
    force: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Draws every step with the same probability
    Random,
    /// Draws priorities, and a few steps at which they change: finds bugs of small depth (PCT)
    Pct,
    /// Tries every step in every state
    Exhaustive,
}

/// How to search.
#[derive(clap::Args)]
struct Search {
    /// How steps are chosen
    #[arg(long, value_enum, value_name = "WAY", default_value = "random")]
    strategy: Way,
    /// Seed of the first run; the next one has the next
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Runs to draw
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// Changes of priorities in a run (pct)
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=MAX_CHANGES))]
    changes: u32,
    /// Make only the Ith of N parts of the runs; --merge puts their results together
    #[arg(long, value_name = "I/N", value_parser = shard, default_value = "1/1")]
    shard: (u64, u64),
    /// Steps from the beginning at which to turn back [default: 10000 if exhaustive, else 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    depth: Option<u32>,
    /// States to visit (exhaustive)
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    states: u32,
    /// Different findings after which drawing ends, and of which an exhaustive search keeps the first
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    findings: u32,
    /// Try every step in every state, also those that show nothing new (exhaustive)
    #[arg(long)]
    no_reduction: bool,
    /// Say which of the modelled kernel functions were entered, what they returned and which kinds of steps were taken, and
    /// list what never was
    #[arg(long)]
    coverage: bool,
    /// Threads that search; the result is the same with any number [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_JOBS))]
    jobs: Option<u16>,
}

impl Search {
    fn jobs(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs.map_or_else(cores, usize::from)
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            states: self.states as usize,
            depth: self.depth() as usize,
            findings: self.findings as usize,
        }
    }

    fn how(&self) -> How {
        How { jobs: self.jobs(), reduction: !self.no_reduction }
    }

    fn plan(&self) -> Plan {
        let strategy = match self.strategy {
            Way::Pct => Strategy::Priorities { changes: self.changes as usize },
            _ => Strategy::Uniform,
        };
        Plan {
            strategy,
            seed: self.seed,
            runs: 0..self.runs,
            shard: self.shard.0 - 1,
            shards: self.shard.1,
            depth: self.depth() as usize,
            findings: self.findings as usize,
        }
    }

    fn depth(&self) -> u32 {
        self.depth.unwrap_or(if self.strategy == Way::Exhaustive { 10_000 } else { 1_000 })
    }
}

/// Parts of the runs at most.
const MAX_SHARDS: u64 = 1_000_000;
/// Threads at most.
const MAX_JOBS: i64 = 1024;
/// Changes of priorities at most: more than a run has moves change nothing.
const MAX_CHANGES: i64 = 100_000;

/// Parses `2/8`.
fn shard(text: &str) -> Result<(u64, u64), String> {
    let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match numbers {
        Some((i, n)) if (1..=n).contains(&i) && n <= MAX_SHARDS => Ok((i, n)),
        _ => Err(format!("expected I/N with I from 1 to N, and N up to {MAX_SHARDS}, as in 2/8")),
    }
}

/// What asks a search to end: the signal, and the exit status that a shell has for it.
const ENDS: [(i32, u8); 2] = [(signal_hook::consts::SIGINT, 130), (signal_hook::consts::SIGTERM, 143)];

/// Whether each of [`ENDS`] has come.
type Ended = [Arc<AtomicBool>; 2];

/// Flags that the first signal sets, by Ctrl-C or from who plans the work of this computer. The second one
/// ends the process.
fn listen() -> diagnostic::Result<Ended> {
    let flags = Ended::default();
    for ((signal, status), flag) in ENDS.into_iter().zip(&flags) {
        signal_hook::flag::register_conditional_shutdown(signal, status.into(), Arc::clone(flag))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(flag)))
            .context(|| "cannot listen for Ctrl-C".to_owned())?;
    }
    Ok(flags)
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let ended = listen()?;
    let existing = Existing::forced(args.force);
    // A result that cannot be written is better known before an hour of searching.
    args.json.as_deref().map(|path| file::check(path, existing)).transpose()?;
    let mut alone = false;
    let report = if args.merge.is_empty() {
        let case = args.case.load()?;
        alone = !case.script.statements.iter().any(Statement::starts_job);
        let search = &args.search;
        if search.no_reduction && search.strategy != Way::Exhaustive {
            let found = "runs that are drawn leave out no steps";
            return Err(OptionError::new("--no-reduction", found, "--strategy exhaustive").into());
        }
        if args.sweep {
            return run_sweep(args, &case, &ended, existing);
        }
        if search.strategy == Way::Exhaustive && search.shard.1 > 1 {
            let found = "an exhaustive search is not made of runs that could be split";
            return Err(OptionError::new("--shard", found, "--strategy random or pct").into());
        }
        explore(&case, search, &ended)?
    } else {
        report::merge(&args.merge)?
    };
    // The file comes last, so that a disk that has become full meanwhile does not take the result with it;
    // and it comes even where nobody reads the text.
    let mut output = Output::new();
    let printed = output.text(&report.text()).and_then(|()| output.finish());
    if let Some(path) = &args.json {
        report.write(path, existing)?;
    }
    printed?;
    if alone && report.findings.is_empty() {
        complain(
            "note: the script has no jobs, so that its commands never meet; `&` behind one lets it run beside those that \
             follow",
        );
    }
    Ok(match (report.findings.is_empty(), report.stopped, status(&ended)) {
        (false, ..) => ExitCode::from(DIFFERS),
        (true, true, Some(status)) => ExitCode::from(status),
        (true, true, None) => ExitCode::from(ENDS[0].1),
        (true, false, _) => ExitCode::SUCCESS,
    })
}

/// Searches with every kernel and every change, and prints the table.
fn run_sweep(args: &Args, case: &Case, ended: &Ended, existing: Existing) -> diagnostic::Result<ExitCode> {
    let chosen = args.case.kernel();
    let kernels = chosen.as_ref().map_or(KernelVersion::ALL, core::slice::from_ref);
    let mut progress = Progress::new();
    let result = sweep::sweep(case, &args.search, kernels, ended, |done, of, what| {
        progress.note(&format!("search {} of {of}: {what}", done + 1));
    });
    progress.end();
    let mut output = Output::new();
    let printed = output.text(&result.text()).and_then(|()| output.finish());
    if let Some(path) = &args.json {
        let text =
            serde_json::to_string_pretty(&result).context(|| "cannot write the result as JSON".to_owned())?;
        file::write(path, (text + "\n").as_bytes(), existing)?;
    }
    printed?;
    Ok(match (result.finds(), result.stopped) {
        (true, _) => ExitCode::from(DIFFERS),
        (false, true) => ExitCode::from(status(ended).unwrap_or(ENDS[0].1)),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// The exit status of the signal that came.
fn status(ended: &Ended) -> Option<u8> {
    ENDS.iter().zip(ended).find(|(_, flag)| flag.load(Ordering::Relaxed)).map(|((_, status), _)| *status)
}

/// Searches, makes what was found short, and says what the quiet run prints.
fn explore(case: &Case, search: &Search, stop: &Ended) -> diagnostic::Result<Report> {
    let root = case.world(false);
    let mut before = Seen::default();
    let covering = search.coverage.then(|| covering(case, &mut before));
    let searched = covering.as_ref().unwrap_or(&root);
    let detail = Detail { longest: search.depth() as usize, ..Detail::default() };
    let quiet = narrate(&root, &Schedule::default(), &detail, |_| {});
    let mut report = Report::of(case, search, quiet.terminal);
    let mut progress = Progress::new();
    let seen;
    let findings: Vec<(Option<u64>, Finding)> = match search.strategy {
        Way::Exhaustive => {
            let bounds = search.bounds();
            let explored = exhaustive::explore_with(searched, bounds, search.how(), |so_far| {
                progress.states(&so_far.covered, so_far.found, bounds.states);
                go_on(stop)
            });
            report.stopped = explored.stopped;
            report.covered = Covered::of_states(&explored);
            seen = explored.seen.unwrap_or_default();
            explored.findings.into_iter().map(|finding| (None, finding)).collect()
        }
        Way::Random | Way::Pct => {
            let plan = search.plan();
            let planned = plan.count();
            let drawn = random::explore_with(searched, &plan, search.jobs(), |so_far| {
                progress.runs(so_far, planned);
                go_on(stop)
            });
            report.stopped = drawn.stopped;
            report.covered = Covered::of_runs(&drawn, planned);
            seen = drawn.seen.unwrap_or_default();
            drawn.findings.into_iter().map(|(run, finding)| (Some(run), finding)).collect()
        }
    };
    report.coverage = search.coverage.then(|| Coverage::of(&[case.semantics.version], &before, &seen));
    for (i, (run, finding)) in findings.iter().enumerate() {
        progress.note(&format!("finding {} of {}: looking for a shorter list", i + 1, findings.len()));
        report.findings.push(found(case, &root, *run, finding));
    }
    progress.end();
    Ok(report)
}

/// The world of a case, recorded for what its search will note; `before` takes what was seen on the way there.
fn covering(case: &Case, before: &mut Seen) -> World {
    let mut world = case.world(true);
    before.add(world.cover());
    world
}

fn go_on(stop: &Ended) -> ControlFlow<()> {
    if stop.iter().any(|flag| flag.load(Ordering::Relaxed)) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

fn found(case: &Case, root: &World, run: Option<u64>, finding: &Finding) -> Found {
    let short = shrink(root, finding);
    Found {
        kind: short.kind.name().to_owned(),
        text: short.text.trim_end().to_owned(),
        run,
        steps: short.depth as u64,
        schedule: short.schedule.to_string(),
        replay: case.replay_line(&short.schedule),
    }
}
