//! `irqlab sh`: a shell on the machine.

use std::cell::RefCell;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use debugger::{Attendant, Origin, Reply, Save, Saved, Session};
use diagnostic::Context as _;
use diagnostic::file::{self, Existing};
use irqlab::{KernelVersion, Lab, Semantics};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use crate::exit::{DIFFERS, MISTAKE};
use crate::filter;
use crate::hardware;
use crate::input::{Output, complain, read_line};
use crate::opening::{self, Opening};
use crate::signals;

/// Options of `irqlab sh`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub start: Start,
    /// File that remembers what was typed
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
}

/// Where a session begins.
#[derive(clap::Args)]
pub struct Start {
    /// Saved session that is done again, or script of which every line is typed, before you type; `-` for standard
    /// input
    #[arg(value_name = "SCRIPT")]
    script: Option<PathBuf>,
    /// The same
    #[arg(long = "script", value_name = "FILE", conflicts_with = "script")]
    named: Option<PathBuf>,
    /// Line that is typed before you type; may be repeated
    #[arg(long, short, value_name = "LINE")]
    command: Vec<String>,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    hardware: hardware::Args,
    #[command(flatten)]
    filter: filter::Args,
}

impl Start {
    /// A session on a machine into which nothing is typed but the script of an exhibit.
    pub fn on(opening: Opening, hardware: hardware::Args) -> Self {
        Self {
            script: None,
            named: None,
            command: Vec::new(),
            opening,
            hardware,
            filter: filter::Args::default(),
        }
    }
}

/// The session, shared with what completes a line.
type Shared = Rc<RefCell<Session>>;

struct Terminal(Shared);

impl Completer for Terminal {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, words) = self.0.borrow().complete(line.get(..pos).unwrap_or(line));
        Ok((start, words.into_iter().map(|word| Pair { display: word.clone(), replacement: word }).collect()))
    }
}

impl Hinter for Terminal {
    type Hint = String;
}
impl Highlighter for Terminal {}
impl Validator for Terminal {}
impl Helper for Terminal {}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let opened = session(&args.start)?;
    if io::stdin().is_terminal() {
        interactive(opened, args.history.clone().or_else(history_file))
    } else {
        lines(opened, &mut io::stdin().lock())
    }
}

/// A session, and what is typed into it first.
pub struct Begun {
    /// The session.
    pub session: Session,
    /// Lines to type.
    pub lines: Vec<String>,
    /// What is said about a kernel that never shipped.
    pub note: Option<String>,
}

impl Begun {
    /// A session into which nothing is typed first.
    pub const fn of(session: Session) -> Self {
        Self { session, lines: Vec::new(), note: None }
    }
}

/// A session as the options say.
///
/// # Errors
/// For files that cannot be read or are not what they should be, and for options that contradict each other.
pub fn session(start: &Start) -> diagnostic::Result<Begun> {
    let mut lines = Vec::new();
    let mut saved = None;
    if let Some(path) = start.script.as_ref().or(start.named.as_ref()) {
        let (name, text) = opening::script_text(path)?;
        saved = Saved::parse(&text).map_err(|e| diagnostic::report!("{name}: {e}"))?;
        if saved.is_none() {
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    let opened = match &saved {
        Some(saved) if !saved.origin.machine.is_empty() => {
            let mut opening = start.opening.clone();
            if opening.experiment.kernel.is_none() {
                opening.experiment.kernel = KernelVersion::from_name(&saved.origin.kernel);
            }
            opening.experiment.set.splice(0..0, saved.origin.set.iter().cloned());
            opening.open_text("the saved session's machine".to_owned(), saved.origin.machine.clone(), None)?
        }
        _ => start.opening.open()?,
    };
    if let Some(script) = opened.script {
        lines.extend(script.lines().map(str::to_owned));
    }
    lines.extend(start.command.iter().cloned());
    let shipped = Semantics::of(opened.semantics.version);
    let origin = Origin {
        machine: opened.text,
        kernel: shipped.version.name().to_owned(),
        set: opened.semantics.changes(),
        no_hardware: false,
    };
    let mut k = Lab::boot_with(&opened.machine, opened.semantics).into_kernel();
    let no_hardware = saved.as_ref().is_some_and(|saved| saved.origin.no_hardware);
    k.trace.record(start.hardware.in_session(no_hardware));
    let filter = start.filter.filter();
    let session = Session::new(k, &opened.name).with_origin(origin);
    let mut session =
        session.with_filter(filter).map_err(|nothing| match filter::fitted(Some(&nothing)) {
            Err(e) => e.into(),
            Ok(()) => diagnostic::report!("{nothing}"),
        })?;
    if let Some(saved) = &saved {
        session
            .again_as(saved)
            .map_err(|e| diagnostic::report!("the saved session cannot be done again: {e}"))?;
    }
    Ok(Begun { session, lines, note: opened.note })
}

/// Writes what `:save` or `:export` asked for, and says what became of it.
///
/// # Errors
/// What to say where it cannot be written.
pub fn write_saved(save: &Save) -> Result<String, String> {
    let Save { file, bytes, replace, said } = save;
    match file::write(Path::new(file), bytes, Existing::forced(*replace)) {
        Ok(()) => Ok(said.clone()),
        Err(e) => Err(diagnostic::Report::from(e).to_string()),
    }
}

fn history_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("irqlab").join("history"))
}

/// What is typed, and what of it waits to be typed on.
struct Typed {
    session: Shared,
    pending: String,
    out: Output,
    /// Something that a user would have to know could not be done.
    failed: bool,
    /// Some line was no line, or did not do what it says.
    troubled: bool,
}

impl Typed {
    fn new(session: Shared) -> Self {
        Self { session, pending: String::new(), out: Output::styled(), failed: false, troubled: false }
    }

    fn status(&self) -> ExitCode {
        if self.failed { ExitCode::from(MISTAKE) } else { ExitCode::SUCCESS }
    }

    /// For lines that nobody reads the answers of.
    fn strict_status(&self) -> ExitCode {
        if self.troubled && !self.failed { ExitCode::from(DIFFERS) } else { self.status() }
    }

    fn prompt(&self) -> String {
        if !self.pending.is_empty() {
            return "> ".to_owned();
        }
        let session = self.session.borrow();
        if session.is_busy() { format!("(step {}) # ", session.step()) } else { "# ".to_owned() }
    }

    /// Does a line; false when the session is over.
    fn line(&mut self, line: &str) -> diagnostic::Result<bool> {
        self.pending.push_str(line);
        self.pending.push('\n');
        let text = if self.pending.trim_start().starts_with(':') { line } else { &self.pending };
        let Reply { text, incomplete, save, quit, failed } = self.session.borrow_mut().line(text);
        self.troubled |= failed;
        if incomplete {
            return Ok(true);
        }
        self.pending.clear();
        self.out.text(&text)?;
        match save.as_ref().map(write_saved) {
            Some(Ok(said)) => self.out.line(said)?,
            Some(Err(said)) => {
                self.failed = true;
                self.out.line(said)?;
            }
            None => {}
        }
        self.out.flush()?;
        Ok(!quit)
    }
}

/// Types what comes first; false when the session is over then.
fn first(typed: &mut Typed, lines: &[String], note: Option<&str>) -> diagnostic::Result<bool> {
    if let Some(note) = note {
        typed.out.line(format_args!("# {note}"))?;
    }
    for line in lines {
        if !typed.line(line)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn lines(begun: Begun, input: &mut impl BufRead) -> diagnostic::Result<ExitCode> {
    let Begun { session, lines, note } = begun;
    let mut typed = Typed::new(Rc::new(RefCell::new(session)));
    if !first(&mut typed, &lines, note.as_deref())? {
        return Ok(typed.strict_status());
    }
    for number in 1.. {
        let bytes = read_line(input).context(|| format!("cannot read line {number} of the session"))?;
        if bytes.is_empty() {
            break;
        }
        match String::from_utf8(bytes) {
            Ok(line) => {
                if !typed.line(line.trim_end_matches('\n').trim_end_matches('\r'))? {
                    return Ok(typed.strict_status());
                }
            }
            Err(e) => {
                typed.failed = true;
                let column =
                    String::from_utf8_lossy(&e.as_bytes()[..e.utf8_error().valid_up_to()]).chars().count();
                typed.out.line(format_args!(
                    "line {number}, column {}: this is no text; expected UTF-8",
                    column + 1
                ))?;
                typed.out.flush()?;
            }
        }
    }
    if typed.pending.is_empty() {
        return Ok(typed.strict_status());
    }
    Err(diagnostic::report!(help = "close the loop with `done`", "the input ends in the middle of a loop"))
}

/// Says how far a long command is, and stops the machine on Ctrl-C.
struct Watchman {
    interrupted: Arc<AtomicBool>,
    /// When the session began to work on a line, and when it was asked last.
    since: Option<Instant>,
    asked: Option<Instant>,
    said: Option<Instant>,
}

/// How long somebody waits before they are told that something goes on.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often they are told.
const NEWS: Duration = Duration::from_millis(250);

impl Attendant for Watchman {
    fn goes_on(&mut self, session: &Session) -> bool {
        let now = Instant::now();
        // Between two lines nobody asks.
        if self.asked.is_none_or(|asked| now - asked > PATIENCE) {
            (self.since, self.said) = (Some(now), None);
        }
        self.asked = Some(now);
        let waited = self.since.is_some_and(|since| now - since > PATIENCE);
        if waited && self.said.is_none_or(|said| now - said > NEWS) {
            self.said = Some(now);
            let time = session.kernel().events.now as f64 / 1e9;
            let _ = write!(
                io::stderr(),
                "\r\x1b[Kstep {}, {time:.3} s; Ctrl-C stops the machine",
                session.step()
            );
        }
        let goes_on = !self.interrupted.swap(false, Ordering::Relaxed);
        if !goes_on && self.said.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.said = None;
        }
        goes_on
    }
}

/// A session on a terminal.
///
/// # Errors
/// For a terminal that cannot be read or written.
pub fn interactive(begun: Begun, history: Option<PathBuf>) -> diagnostic::Result<ExitCode> {
    let Begun { mut session, lines, note } = begun;
    let interrupted = signals::interrupts()?;
    signals::end_at_once(signals::terminal_restorer())?;
    session.attend(Box::new(Watchman {
        interrupted: Arc::clone(&interrupted),
        since: None,
        asked: None,
        said: None,
    }));
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
    let mut editor: Editor<Terminal, DefaultHistory> =
        Editor::with_config(config).context(|| "cannot edit lines on this terminal".to_owned())?;
    let session = Rc::new(RefCell::new(session));
    editor.set_helper(Some(Terminal(Rc::clone(&session))));
    if let Some(file) = &history
        && file.is_file()
    {
        editor.load_history(file).context(|| format!("cannot read {}", file.display()))?;
    }
    let mut typed = Typed::new(Rc::clone(&session));
    let kernel = session.borrow().kernel().sem.version.name();
    typed.out.line(format_args!("Linux {kernel}; :help lists the words of the lab, Ctrl-D leaves"))?;
    let goes_on = first(&mut typed, &lines, note.as_deref())?;
    typed.out.flush()?;
    if !goes_on {
        return Ok(typed.status());
    }
    loop {
        // What came while nothing ran stops nothing.
        interrupted.store(false, Ordering::Relaxed);
        match editor.readline(&typed.prompt()) {
            Ok(line) => {
                if !typed.line(&line)? {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => typed.pending.clear(),
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(e).context(|| "cannot read from the terminal".to_owned()),
        }
    }
    if let Some(file) = &history {
        // A session that was done is not undone because its lines cannot be remembered.
        if let Err(e) = remember(&mut editor, file) {
            complain(format_args!("cannot write {}: {}", file.display(), diagnostic::words(&e)));
        }
    }
    Ok(typed.status())
}

fn remember(editor: &mut Editor<Terminal, DefaultHistory>, file: &Path) -> rustyline::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    editor.save_history(file)
}

#[cfg(test)]
mod mutated {
    use super::*;
    use crate::mutants::{Numbers, count, mutant};

    #[test]
    fn lines_that_are_nearly_right_are_answered() {
        let lines = [
            ":step",
            ":break vector_alloc if irq == 29",
            "echo 0 > /sys/devices/system/cpu/cpu3/online",
            ":continue",
            ":watch apicd.hw_irq_cfg.vector of irq 29",
            ":goto 3",
            ":print irq 29",
            ":diff 1 2",
            "for i in 1 2; do cat /proc/irq/$i/node; done",
            "taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct",
        ];
        let mut numbers = Numbers(11);
        let start = || Start {
            script: None,
            named: None,
            command: Vec::new(),
            opening: Opening::default(),
            hardware: hardware::Args::default(),
            filter: filter::Args::default(),
        };
        let embedded = || self::session(&start()).expect("the embedded machine").session;
        let mut session = embedded();
        let mut quits = 0_usize;
        for n in 0..count() {
            let text = mutant(lines[numbers.below(lines.len())], &mut numbers);
            quits += usize::from(session.line(&format!("{text}\n")).quit);
            // A session grows with what was done in it.
            if n % 50 == 49 {
                session = embedded();
            }
        }
        assert!(quits < count() / 100, "{quits} of these lines ended the session");
    }
}
