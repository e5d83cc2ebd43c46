//! `irqlab sh`: a shell on the machine.

use std::cell::RefCell;
use std::fs;
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use debugger::{Reply, Save, Session};
use diagnostic::Context as _;
use diagnostic::file::{self, Existing};
use irqlab::{KernelVersion, Lab, Machine};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use crate::exit::MISTAKE;
use crate::input::{Output, complain, read_line};
use crate::input::{kernel, read};

/// Options of `irqlab sh`.
#[derive(clap::Args)]
pub struct Args {
    /// Kernel of the embedded machine, or instead of the machine file's
    #[arg(long, value_name = "VERSION", value_parser = kernel)]
    kernel: Option<KernelVersion>,
    /// Machine file instead of the embedded machine
    #[arg(long, value_name = "FILE")]
    machine: Option<PathBuf>,
    /// File that remembers what was typed
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
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
    let session = session(args.machine.as_deref(), args.kernel)?;
    if io::stdin().is_terminal() {
        interactive(session, args.history.clone().or_else(history_file))
    } else {
        lines(session, &mut io::stdin().lock())
    }
}

/// A session on a machine file's machine, or on the embedded one.
pub fn session(machine: Option<&Path>, kernel: Option<KernelVersion>) -> diagnostic::Result<Session> {
    let (mut machine, name) = match machine {
        None => (Machine::embedded(kernel.unwrap_or_default()), "the embedded machine".to_owned()),
        Some(path) => {
            let name = path.display().to_string();
            (Machine::parse(&name, &read(path)?)?, name)
        }
    };
    if let Some(kernel) = kernel {
        machine.kernel = kernel;
    }
    Ok(Session::new(Lab::boot(&machine).into_kernel(), &name))
}

/// Writes what `:save` asked for, and says what became of it.
///
/// # Errors
/// What to say where it cannot be written.
pub fn write_saved(save: &Save) -> Result<String, String> {
    let Save { file, text, replace } = save;
    match file::write(Path::new(file), text.as_bytes(), Existing::forced(*replace)) {
        Ok(()) => Ok(format!("{file} does this session again")),
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
}

impl Typed {
    fn new(session: Shared) -> Self {
        Self { session, pending: String::new(), out: Output::styled(), failed: false }
    }

    fn status(&self) -> ExitCode {
        if self.failed { ExitCode::from(MISTAKE) } else { ExitCode::SUCCESS }
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
        let Reply { text, incomplete, save, quit } = self.session.borrow_mut().line(text);
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

fn lines(session: Session, input: &mut impl BufRead) -> diagnostic::Result<ExitCode> {
    let mut typed = Typed::new(Rc::new(RefCell::new(session)));
    for number in 1.. {
        let bytes = read_line(input).context(|| format!("cannot read line {number} of the session"))?;
        if bytes.is_empty() {
            break;
        }
        match String::from_utf8(bytes) {
            Ok(line) => {
                if !typed.line(line.trim_end_matches('\n').trim_end_matches('\r'))? {
                    return Ok(typed.status());
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
        return Ok(typed.status());
    }
    Err(diagnostic::report!(help = "close the loop with `done`", "the input ends in the middle of a loop"))
}

/// A session on a terminal.
///
/// # Errors
/// For a terminal that cannot be read or written.
pub fn interactive(session: Session, history: Option<PathBuf>) -> diagnostic::Result<ExitCode> {
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
    typed.out.line(format_args!("Linux {kernel}; :help lists the words of the lab"))?;
    typed.out.flush()?;
    loop {
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
            complain(format_args!("cannot write {}: {e}", file.display()));
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
        let mut session = session(None, None).expect("the embedded machine");
        let mut quits = 0_usize;
        for n in 0..count() {
            let text = mutant(lines[numbers.below(lines.len())], &mut numbers);
            quits += usize::from(session.line(&format!("{text}\n")).quit);
            // A session grows with what was done in it.
            if n % 50 == 49 {
                session = self::session(None, None).expect("the embedded machine");
            }
        }
        assert!(quits < count() / 100, "{quits} of these lines ended the session");
    }
}
