//! `irqlab test`: folders with a machine, a script and what is expected of them, for any test runner.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use compare::capture::Capture;
use compare::verify::{self, Outcome, Report, Row, Run};
use diagnostic::file::{self, Existing};
use sim::plan::{Kind, Output as Made};
use sim::script::{Action, Statement};

use crate::exit::{DIFFERS, MISTAKE};
use crate::experiment::Experiment;
use crate::input::{Output, complain};
use crate::run::given_up;

mod junit;
mod tap;

/// Options of `irqlab test`.
#[derive(clap::Args)]
pub struct Args {
    /// Folders that are tests, or have tests in them: a test is a folder with a script.sh
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    experiment: Experiment,
    /// Write what was made over what was expected where they differ, and what is not there yet
    #[arg(long, conflicts_with_all = ["kernel", "set", "tap"])]
    accept: bool,
    /// Print the results in the Test Anything Protocol
    #[arg(long)]
    tap: bool,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Tests that run at the same time [default: one for each CPU]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Show what differs
    #[arg(short, long, conflicts_with = "tap")]
    verbose: bool,
}

/// The file that is expected to be what the script prints, where it is there.
const TERMINAL: &str = "terminal.txt";

/// One file of a test, or its assertions.
struct Check {
    /// What it is called.
    name: String,
    /// Lines that were compared.
    lines: usize,
    /// A real machine did not get to it, so there was nothing to compare.
    not_taken: bool,
    /// What is wrong with it.
    wrong: Option<Wrong>,
    /// The file's new content.
    accept: Option<String>,
}

/// What is wrong with a file.
struct Wrong {
    /// In a line.
    what: String,
    /// Line by line.
    detail: String,
}

/// What was checked, and by which run.
struct Checked {
    /// File by file.
    checks: Vec<Check>,
    /// The choices by chance of the run, `none` in the quiet one.
    schedule: String,
    /// What they were, in lines, or that none were found.
    chance: Vec<String>,
}

impl Checked {
    /// The choices of a run that is not the quiet one.
    fn by_chance(&self) -> Option<&str> {
        (self.schedule != "none").then_some(self.schedule.as_str())
    }
}

/// What a test came to.
struct Done {
    folder: PathBuf,
    /// What was checked, or why nothing could be.
    result: Result<Checked, diagnostic::Report>,
    took: Duration,
}

impl Done {
    fn passed(&self) -> bool {
        self.result.as_ref().is_ok_and(|done| done.checks.iter().all(|check| check.wrong.is_none()))
    }
}

/// The tests that a path stands for, sorted by name.
fn tests(path: &Path, found: &mut Vec<PathBuf>) -> diagnostic::Result<()> {
    if path.join("script.sh").is_file() {
        found.push(path.to_owned());
    }
    let read = |e: std::io::Error| {
        let why = diagnostic::words(&e);
        diagnostic::report!(help = "expected a folder with tests", "cannot read {}: {why}", path.display())
    };
    let mut inside = Vec::new();
    for entry in fs::read_dir(path).map_err(read)? {
        let entry = entry.map_err(read)?;
        // A link may lead back to where one comes from, and what is hidden belongs to other tools.
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if entry.file_type().map_err(read)?.is_dir() && !hidden {
            inside.push(entry.path());
        }
    }
    inside.sort();
    inside.iter().try_for_each(|folder| tests(folder, found))
}

/// So many of something.
fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A file that was compared.
fn check(row: Row, made: &[Made]) -> Check {
    let text = || made.iter().find(|output| output.name == row.file).map(|output| output.text.clone());
    let (lines, wrong, accept) = match &row.outcome {
        Outcome::Compared(comparison) if comparison.is_equal() => (comparison.lines_compared, None, None),
        Outcome::Compared(comparison) => {
            let of = comparison.lines_compared;
            let what =
                format!("{} in {}", counted(comparison.differences.len(), "difference"), counted(of, "line"));
            (comparison.lines_compared, Some(Wrong { what, detail: comparison.to_string() }), text())
        }
        Outcome::NotTaken => (0, None, None),
        Outcome::NotMade => {
            let what =
                "expected, and the script does not make it: remove the file, or record it in script.sh";
            (0, Some(Wrong { what: what.to_owned(), detail: String::new() }), None)
        }
        Outcome::Missing => {
            let what = "made, and not there: --accept writes it".to_owned();
            (0, Some(Wrong { what, detail: String::new() }), text())
        }
    };
    let not_taken = row.outcome == Outcome::NotTaken;
    Check { name: row.file, lines, not_taken, wrong, accept }
}

/// What the script printed, where that is expected.
fn terminal(folder: &Path, printed: &[String]) -> diagnostic::Result<Option<Check>> {
    let expected = match file::read(&folder.join(TERMINAL)) {
        Ok(text) => text,
        Err(e) if e.is_missing() => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let printed: String = printed.iter().map(|line| format!("{line}\n")).collect();
    let comparison = verify::compare_text("terminal", &expected, &printed);
    let outcome = Outcome::Compared(comparison);
    let made = Made { name: TERMINAL.to_owned(), text: printed };
    Ok(Some(check(Row { file: TERMINAL.to_owned(), kind: Kind::Msix, outcome }, &[made])))
}

/// A script says what is to be true.
fn asserts(statements: &[Statement]) -> bool {
    statements.iter().any(|statement| match &statement.action {
        Action::Assert(_) => true,
        Action::For { body, .. } | Action::Job { body } => asserts(body),
        _ => false,
    })
}

/// Runs a test.
fn run_one(folder: &Path, experiment: &Experiment) -> diagnostic::Result<Checked> {
    let mut capture = Capture::read(folder)?;
    // What the script prints is compared, and must not depend on where its folder is.
    capture.script.name = "script.sh".to_owned();
    let mut machine = capture.machine()?;
    let semantics = experiment.semantics(machine.kernel)?;
    machine.kernel = semantics.version;
    let Run { report, outputs: made, lab } = verify::run_with(&capture, &machine, semantics);
    given_up(&lab)?;
    let (schedule, chance) = (report.schedule(), report.chance());
    let Report { rows, .. } = report;
    let mut checks: Vec<Check> = rows.into_iter().map(|row| check(row, &made)).collect();
    checks.extend(terminal(folder, &lab.terminal)?);
    if asserts(&capture.script.statements) {
        let failed: Vec<String> = lab.failed.iter().map(ToString::to_string).collect();
        let wrong = failed.first().map(|first| {
            let more =
                if failed.len() > 1 { format!(" and {} more", failed.len() - 1) } else { String::new() };
            Wrong {
                what: format!("{first}{more}"),
                detail: failed.iter().map(|line| format!("{line}\n")).collect(),
            }
        });
        checks.push(Check { name: "assertions".to_owned(), lines: 0, not_taken: false, wrong, accept: None });
    }
    if checks.is_empty() {
        return Err(diagnostic::report!(
            help = "expected a script that records (`#: flow NAME`, `#: state NAME`) or asserts (`#: assert PATH == VALUE`), \
                    or a file terminal.txt",
            "{}: there is nothing to check",
            folder.join("script.sh").display()
        ));
    }
    Ok(Checked { checks, schedule, chance })
}

/// Runs tests on several threads, and hands on what each came to in their order.
fn run_all(
    folders: &[PathBuf],
    experiment: &Experiment,
    jobs: usize,
    mut done: impl FnMut(Done) -> diagnostic::Result<()>,
) -> diagnostic::Result<()> {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs.min(folders.len()) {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                while let Some((i, folder)) = {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    folders.get(i).map(|folder| (i, folder))
                } {
                    let began = Instant::now();
                    let result = run_one(folder, experiment);
                    let done = Done { folder: folder.clone(), result, took: began.elapsed() };
                    // Nobody listens any more where the output could not be written.
                    if send.send((i, done)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut waiting: Vec<Option<Done>> = folders.iter().map(|_| None).collect();
        let mut shown = 0;
        for (i, one) in receive {
            waiting[i] = Some(one);
            while let Some(one) = waiting.get_mut(shown).and_then(Option::take) {
                shown += 1;
                done(one)?;
            }
        }
        Ok(())
    })
}

/// Writes what was made where it is not what was expected, and says of each file that it was.
fn accept(done: &mut Done, out: &mut Output) -> diagnostic::Result<()> {
    let Ok(Checked { checks, .. }) = &mut done.result else { return Ok(()) };
    for check in checks {
        let Some(text) = check.accept.take() else { continue };
        let path = done.folder.join(&check.name);
        file::write(&path, text.as_bytes(), Existing::Replace)?;
        (check.lines, check.wrong) = (text.lines().count(), None);
        out.line(format_args!("wrote {}", path.display()))?;
    }
    Ok(())
}

/// A test's result for people.
fn show(done: &Done, verbose: bool, out: &mut Output) -> diagnostic::Result<()> {
    let folder = done.folder.display();
    match &done.result {
        Err(report) => {
            out.line(format_args!("error {folder}"))?;
            complain(report.styled());
        }
        Ok(Checked { checks, schedule: _, chance }) if done.passed() => {
            let lines: usize = checks.iter().map(|check| check.lines).sum();
            let skipped = checks.iter().filter(|check| check.not_taken).count();
            let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} not taken") };
            let checks = counted(checks.len(), "check");
            out.line(format_args!("ok    {folder}: {checks}, {}{skipped}", counted(lines, "line")))?;
            for line in chance {
                out.line(format_args!("        {line}"))?;
            }
        }
        Ok(Checked { checks, schedule: _, chance }) => {
            out.line(format_args!("FAIL  {folder}"))?;
            for check in checks {
                let Some(Wrong { what, detail }) = &check.wrong else { continue };
                out.line(format_args!("        {}: {what}", check.name))?;
                if verbose {
                    for line in detail.lines() {
                        out.line(format_args!("          {line}"))?;
                    }
                }
            }
            for line in chance.iter().filter(|_| verbose) {
                out.line(format_args!("        {line}"))?;
            }
        }
    }
    Ok(())
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let mut folders = Vec::new();
    for path in &args.folders {
        let mut found = Vec::new();
        tests(path, &mut found)?;
        if found.is_empty() {
            return Err(diagnostic::report!(
                help = "expected folders with machine.toml, script.sh and what is expected (docs/test.md)",
                "{}: there is no test",
                path.display()
            ));
        }
        // One that two paths lead to is one test.
        found.retain(|test| !folders.contains(test));
        folders.append(&mut found);
    }
    // A file that cannot be written is better known before the tests run.
    args.junit.as_deref().map(|path| file::check(path, Existing::Replace)).transpose()?;
    let available = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let jobs = args.jobs.map_or(available, NonZeroUsize::get);
    let mut out = Output::new();
    if args.tap {
        out.line(tap::VERSION)?;
    }
    let mut all = Vec::new();
    let mut numbered = 0;
    run_all(&folders, &args.experiment, jobs, |mut done| {
        if args.accept {
            accept(&mut done, &mut out)?;
        }
        if args.tap {
            out.text(&tap::points(&done, &mut numbered))?;
            if let Err(report) = &done.result {
                complain(report.styled());
            }
        } else {
            show(&done, args.verbose, &mut out)?;
        }
        out.flush()?;
        all.push(done);
        Ok(())
    })?;
    if args.tap {
        out.line(format_args!("1..{numbered}"))?;
    } else {
        let failed = all.iter().filter(|done| !done.passed()).count();
        let lines = all.iter().filter_map(|done| done.result.as_ref().ok()).flat_map(|done| &done.checks);
        let lines: usize = lines.map(|check| check.lines).sum();
        let (tests, lines) = (counted(all.len(), "test"), counted(lines, "line"));
        out.line(format_args!("{tests}, {failed} failed, {lines} compared"))?;
    }
    out.finish()?;
    if let Some(path) = &args.junit {
        file::write(path, junit::text(&all).as_bytes(), Existing::Replace)?;
    }
    let status = if all.iter().any(|done| done.result.is_err()) {
        MISTAKE
    } else if all.iter().any(|done| !done.passed()) {
        DIFFERS
    } else {
        0
    };
    Ok(ExitCode::from(status))
}
