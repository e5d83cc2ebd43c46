//! A session at the machine's shell that can stop, look, and go back in time.
//!
//! # Architecture
//! A [`Session`] takes lines and returns text; it knows no terminal. A line is for the machine's shell ([`sim::script`]), or
//! it is a command of the session, which starts with a colon. Time is counted in steps: a step is what the shell or the
//! engine does at once. The session keeps the whole state every so many steps. To go back it takes the last state before
//! the target and runs from there. The machine is deterministic, so the record at the target is a prefix of the record
//! that the session already has, and going back only cuts it off.
//!
//! The records of a step tell what it did, and the session can stand at each of them. A function between two waits
//! cannot be divided, so the machine itself goes to the end of its step. The session does the step again from a copy of the
//! state before it, and an observer of the recorder takes pictures of the copy at the records (`time`). What is shown is
//! the picture.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::sync::Arc;

use kstate::Kernel;
use kstate::semantics::Semantics;

use sim::script::{Script, Variables};
use sim::shell::{ActorId, Progress, Shell};

mod client;
mod complete;
mod condition;
mod export;
mod fields;
mod reading;
mod run;
mod save;
mod show;
mod stops;
mod time;
mod timeline;
mod view;
mod watch;

use client::Client;
pub use client::{Outcome, Served, Ticket};
pub use fields::irq_of;
pub use save::{Origin, Saved, seconds};
use stops::{Hits, Stop};
use time::{Ahead, Checkpoint, KEPT, MOST_RECORDS, NEAR, Pictures, Place, Stacks};
pub use timeline::{Filter, StepKind, StepNote};
pub use view::{CallLine, LineKind, Source, View, hierarchy};

/// The words of the lab, with what they take and what they do.
pub const WORDS: [(&str, &str, &str); 31] = [
    (":step", "[N]", "do the next thing: an interrupt, a softirq, a task up to its next wait, an event"),
    (":into", "", "go to the next call, return or tracepoint (s)"),
    (":next", "", "go over the next function call of this stack (n)"),
    (":finish", "", "go on until the function returns"),
    (":continue", "", "go on until something stops it or the command ends (c)"),
    (
        ":break",
        "NAME|PATTERN [if CONDITION]",
        "stop at functions and tracepoints, as in: irq_matrix_* if irq == 29 && cpu != 0; without arguments, list",
    ),
    (":watch", "FIELD", "stop where it changes, as in: apicd.hw_irq_cfg.vector of irq 31"),
    (":ignore", "N TIMES", "let a breakpoint or watch pass so often"),
    (":delete", "[N]", "remove breakpoint or watch N, or all"),
    (":reverse-continue", "", "go back to what stopped it before (rc)"),
    (":reverse-step", "", "go back to the call, return or tracepoint before (rs)"),
    (":back", "[N]", "go N steps back in time"),
    (":goto", "N|N:R|TIME|start|end", "go to step N, to its record R, or to a time such as 6.012s"),
    (":bt", "", "the stack here, with arguments"),
    (":where", "", "stacks of all CPUs and tasks"),
    (":print", "irq N | cpu N | task N | FIELD", "look at something (p)"),
    (":info", "irq N | cpu N | breakpoints | tasks", "the same, as gdb has it"),
    (":set", "FIELD=VALUE", "change how this kernel behaves from here on; without arguments, list"),
    (":diff", "N [M]", "what changed in the state from step N to step M, or to here"),
    (
        ":explain",
        "NAME",
        "what a function, file, error, line of the log, parameter or notion is; `explain` does as well",
    ),
    (":flow", "", "the calls and tracepoints of the last step, up to here"),
    (
        ":steps",
        "[N]",
        "the steps around here: who moved, which function, which interrupts; * is where something stopped",
    ),
    (
        ":filter",
        "irq N | cpu N | function PATTERN | depth N | actor PATTERN | args on",
        "what `:steps`, `:flow` and `:export` show, several of them together; without arguments, all",
    ),
    (":find", "TEXT", "go on to the call or tracepoint that has it, in what was done already"),
    (":log", "", "the lines typed so far, with their steps"),
    (
        ":export",
        "[--force] FILE [FORMAT]",
        "write what this session recorded: json, perfetto, flow, ftrace, ...",
    ),
    (":save", "[--force] FILE", "write a file that does this session again"),
    (":pwd", "", "the folder in which `cat` and `ls` look"),
    (":version", "", "the machine and its kernel"),
    (":help", "", "this"),
    (":quit", "", "leave"),
];

/// Words that need no colon: no program of the machine has the name.
const BARE: [(&str, &str); 37] = [
    ("n", ":next"),
    ("next", ":next"),
    ("s", ":into"),
    ("step", ":into"),
    ("si", ":into"),
    ("c", ":continue"),
    ("continue", ":continue"),
    ("finish", ":finish"),
    ("fin", ":finish"),
    ("rc", ":reverse-continue"),
    ("reverse-continue", ":reverse-continue"),
    ("rs", ":reverse-step"),
    ("reverse-step", ":reverse-step"),
    ("bt", ":bt"),
    ("backtrace", ":bt"),
    ("where", ":where"),
    ("info", ":info"),
    ("i", ":info"),
    ("p", ":print"),
    ("print", ":print"),
    ("b", ":break"),
    ("break", ":break"),
    ("watch", ":watch"),
    ("d", ":delete"),
    ("delete", ":delete"),
    ("ignore", ":ignore"),
    ("goto", ":goto"),
    ("history", ":log"),
    ("pwd", ":pwd"),
    ("explain", ":explain"),
    ("help", ":help"),
    ("h", ":help"),
    ("?", ":help"),
    ("man", ":help"),
    ("quit", ":quit"),
    ("q", ":quit"),
    ("exit", ":quit"),
];

/// Lines that a session takes.
const MOST_LINES: usize = 1_000_000;

/// What became of a line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reply {
    /// What to print.
    pub text: String,
    /// The line is the beginning of something: it wants to be typed on.
    pub incomplete: bool,
    /// Write something to a file.
    pub save: Option<Save>,
    /// The session is over.
    pub quit: bool,
    /// The line was no line, a command did not do what it was told, or an assertion did not hold.
    pub failed: bool,
}

/// What `:save` or `:export` wants to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Save {
    /// Where to.
    pub file: String,
    /// What.
    pub bytes: Vec<u8>,
    /// The file may be there already.
    pub replace: bool,
    /// What to say once it is written.
    pub said: String,
}

/// Something a user did that changes the machine.
#[derive(Clone, Debug)]
enum Input {
    Line(Arc<Script>),
    /// A line that a program gave while the shell was at others, so many ns after the one before it.
    Beside {
        script: Arc<Script>,
        after: u64,
    },
    Set {
        field: String,
        value: String,
    },
}

/// A session.
#[derive(Debug)]
pub struct Session {
    k: Kernel,
    name: String,
    /// The machine file and what was set before boot, where they are known.
    origin: Option<Origin>,
    shell: Option<Shell>,
    vars: Variables,
    /// Steps done so far.
    step: u64,
    /// The last step that was ever done with these inputs.
    end: u64,
    /// What was typed, and after which step.
    inputs: Vec<(u64, Input)>,
    /// How many of them have happened.
    applied: usize,
    /// Those of them that the shell is at, with the actors that do them.
    begun: Vec<(usize, ActorId)>,
    checkpoints: BTreeMap<u64, Checkpoint>,
    spacing: u64,
    /// Where a jump goes while it is under way, and 0 otherwise.
    aim: u64,
    stops: BTreeMap<u32, Stop>,
    next_stop: u32,
    /// How often breakpoints and watches were changed.
    stops_changed: u64,
    /// What stops in the last step.
    hits: Hits,
    /// Records of the last step begin here.
    base: usize,
    /// How many of the tracer's marks were made before it.
    base_marks: usize,
    /// Records that were forgotten.
    dropped: usize,
    /// Calls that were open before the last step.
    stacks: Stacks,
    /// The record of the last step at which the session stands.
    cursor: Option<usize>,
    last: Option<Progress>,
    ahead: Ahead,
    /// The state after a step, kept since what comes next is looked at closely.
    before: Option<(u64, Checkpoint)>,
    /// The machine at records of the last step.
    pictures: Pictures,
    attendant: Attended,
    /// Commands of a line that did not do what they were told, and assertions that did not hold.
    troubles: usize,
    /// What programs gave, and how it went.
    client: Client,
    /// What the steps were about, in their order.
    notes: Vec<StepNote>,
    filter: Option<Filter>,
    /// What of the record is shown.
    shown: record::filter::Filter,
    /// How many records there were when the session began, counted from power-on.
    began: usize,
    /// Where relative paths begin.
    folder: String,
    /// What is to be said with the answer to a line.
    said: String,
    /// Bytes that the machine printed since a line was typed.
    printed: usize,
    /// How many states are kept for longer.
    kept: usize,
    /// Records beyond which the older half is forgotten.
    most_records: usize,
    /// Lines that are taken at most.
    most_lines: usize,
    /// How many records there were when the session began.
    first: usize,
}

/// Looks after a session while it is at work.
pub trait Attendant {
    /// Asked after every step; false interrupts what the session does, as a breakpoint would.
    fn goes_on(&mut self, session: &Session) -> bool;
}

#[derive(Default)]
struct Attended(Option<Box<dyn Attendant + Send>>);

impl core::fmt::Debug for Attended {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if self.0.is_some() { "attended" } else { "alone" })
    }
}

impl Session {
    /// A session on a booted machine; `name` says which in a script that is saved.
    pub fn new(mut k: Kernel, name: &str) -> Self {
        k.trace.on = true;
        let base = k.trace.records.len();
        let mut session = Self {
            k,
            name: name.to_owned(),
            origin: None,
            shell: None,
            vars: Variables::default(),
            step: 0,
            end: 0,
            inputs: Vec::new(),
            applied: 0,
            begun: Vec::new(),
            checkpoints: BTreeMap::new(),
            spacing: NEAR,
            aim: 0,
            stops: BTreeMap::new(),
            next_stop: 1,
            stops_changed: 0,
            hits: Hits::default(),
            base: 0,
            base_marks: 0,
            dropped: 0,
            stacks: Stacks::new(),
            cursor: None,
            last: None,
            ahead: Ahead::default(),
            before: None,
            pictures: Pictures::default(),
            attendant: Attended::default(),
            troubles: 0,
            client: Client::default(),
            notes: Vec::new(),
            filter: None,
            shown: record::filter::Filter::default(),
            began: base,
            folder: "/".to_owned(),
            said: String::new(),
            printed: 0,
            kept: KEPT,
            most_records: MOST_RECORDS,
            most_lines: MOST_LINES,
            first: base,
        };
        session.fold(base);
        session.begin_with_a_buffer();
        session.keep();
        session
    }

    /// The machine where the session stands.
    pub fn kernel(&self) -> &Kernel {
        self.here()
    }

    /// Lets somebody look after the session while it is at work.
    pub fn attend(&mut self, attendant: Box<dyn Attendant + Send>) {
        self.attendant = Attended(Some(attendant));
    }

    /// Keeps fewer states of the past, 256 of itself: what goes back takes longer, and the session less memory.
    pub fn keep_at_most(&mut self, states: usize) {
        self.kept = states.max(1);
    }

    /// Holds fewer records, 2,000,000 of itself: with more of them the older half is forgotten.
    pub fn hold_at_most(&mut self, records: usize) {
        self.most_records = records.max(1);
    }

    /// Takes fewer lines, 1,000,000 of itself, about a KiB for each.
    pub fn take_at_most(&mut self, lines: usize) {
        self.most_lines = lines;
    }

    /// Steps done so far.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The last step that was ever done with what was typed.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How many records were made from the beginning of the session to where it stands.
    pub fn records(&self) -> usize {
        let here = self.cursor.map_or(self.k.trace.records.len(), |at| at + 1);
        (self.dropped + here).saturating_sub(self.first)
    }

    /// How many bytes the machine printed since the last line was typed.
    pub fn printed(&self) -> usize {
        self.printed
    }

    /// A command is in the middle of something.
    pub fn is_busy(&self) -> bool {
        self.shell.as_ref().is_some_and(Shell::is_busy)
    }

    /// Does what a line says.
    pub fn line(&mut self, text: &str) -> Reply {
        self.troubles = 0;
        self.printed = 0;
        let trimmed = text.trim();
        let (first, rest) = trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, ""));
        let bare = BARE.iter().find(|(word, _)| *word == first).map(|(_, word)| *word);
        // `watch -n1 cat FILE` is a program's line.
        let bare = bare.filter(|_| !(first == "watch" && rest.starts_with('-')));
        let answer = match bare.unwrap_or(first) {
            "" => Ok(String::new()),
            word @ (":save" | ":export") => {
                let save = if word == ":save" { self.save(rest.trim()) } else { self.export(rest.trim()) };
                match save {
                    Ok(save) => return Reply { save: Some(save), ..Reply::default() },
                    Err(e) => Err(e),
                }
            }
            ":quit" | ":q" | ":exit" | "logout" => return Reply { quit: true, ..Reply::default() },
            word if word.starts_with(':') => self.word(word, rest.trim()),
            _ => match self.typed_for_the_shell(text) {
                Some(answer) => answer,
                None => return Reply { incomplete: true, ..Reply::default() },
            },
        };
        let failed = answer.is_err() || self.troubles > 0;
        let text = core::mem::take(&mut self.said) + &answer.unwrap_or_else(|e| format!("{e}\n"));
        Reply { text, failed, ..Reply::default() }
    }

    /// A line for the machine's shell, or one that reads; `None` where it wants to be typed on.
    fn typed_for_the_shell(&mut self, text: &str) -> Option<Result<String, String>> {
        let line = self.as_the_shell_has_it(text);
        let error = match Script::parse_with("sh", &line, &self.vars) {
            Ok(script) => return Some(self.shell_line(script)),
            Err(e) if e.incomplete => return None,
            Err(e) => e,
        };
        let trimmed = line.trim();
        if let Some(folder) = trimmed.strip_prefix("cd").filter(|r| r.is_empty() || r.starts_with(' ')) {
            return Some(self.change_folder(folder.trim()));
        }
        if let Some((before, after)) = trimmed
            .split_once("&&")
            .filter(|(before, after)| !before.contains(['"', '\'']) && !after.trim().is_empty())
        {
            let (before, after) = (before.trim().to_owned(), after.trim().to_owned());
            let first = self.line(&before);
            if first.failed || first.incomplete {
                return Some(if first.failed {
                    Err(first.text.trim_end().to_owned())
                } else {
                    Ok(first.text)
                });
            }
            let second = self.line(&after);
            let text = first.text + &second.text;
            return Some(if second.failed { Err(text.trim_end().to_owned()) } else { Ok(text) });
        }
        let folder = self.folder.clone();
        if let Some(read) = self.look(|k| reading::read(k, trimmed, &folder)) {
            self.troubles += usize::from(!read.ok);
            return Some(Ok(read.text));
        }
        let instead = reading::instead_of(reading::first_word(trimmed));
        Some(Err(instead.unwrap_or_else(|| marked(&line, &error))))
    }

    /// What is typed from habit, as a script has it: `sudo` is needless, `echo X | tee FILE` writes the file, and a file
    /// behind `>` may be named from the folder where the shell stands.
    fn as_the_shell_has_it(&self, text: &str) -> String {
        let trimmed = text.trim_start();
        let line = trimmed.strip_prefix("sudo ").map_or(text, str::trim_start);
        let mut line = line.to_owned();
        if let Some((echo, tee)) = line.split_once('|') {
            let mut words = tee.split_whitespace().filter(|word| *word != "sudo");
            if echo.trim_start().starts_with("echo ") && !echo.contains('>') && words.next() == Some("tee") {
                let rest: Vec<&str> = words.collect();
                line = match rest[..] {
                    [file] if !file.starts_with('-') => format!("{} > {file}", echo.trim_end()),
                    ["-a", file] => format!("{} >> {file}", echo.trim_end()),
                    _ => line,
                };
            }
        }
        let Some((before, file)) = line.rsplit_once('>') else { return line };
        let (file, end) = (file.trim(), if line.ends_with('\n') { "\n" } else { "" });
        let relative = file.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '.');
        if !relative || file.contains([' ', ';', '\'', '"', '$', '&', '|']) {
            return line;
        }
        format!("{before}> {}{end}", reading::absolute(file, &self.folder))
    }

    fn change_folder(&mut self, to: &str) -> Result<String, String> {
        let to = if matches!(to, "" | "~" | "-") { "/" } else { to };
        let found = reading::expand(self.here(), to, &self.folder);
        let [to] = found.as_slice() else { return Err("cd: too many arguments".to_owned()) };
        let path = reading::absolute(to, &self.folder);
        match sim::vfs::list(self.here(), &path) {
            Ok(_) => {
                self.folder = path;
                Ok(String::new())
            }
            Err(e) => Err(format!("cd: {to}: {e}")),
        }
    }

    fn info(&mut self, rest: &str) -> Result<String, String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        match words[..] {
            ["irq" | "cpu" | "task", _] => self.print(rest),
            ["b" | "break" | "breakpoints" | "watchpoints"] => self.set_break(""),
            ["threads" | "tasks"] => Ok(self.where_all()),
            ["stack" | "s"] => self.backtrace(),
            ["registers" | "r"] => {
                let cpu = self.here().cur.cpu;
                self.print(&format!("cpu {cpu}"))
            }
            ["interrupts" | "irq"] => self
                .look(|k| sim::vfs::read(k, "/proc/interrupts"))
                .map_err(|e| format!("/proc/interrupts: {e}")),
            _ => Err(format!(
                "`{rest}` is nothing to be told about; expected irq N, cpu N, task N, breakpoints, tasks, stack, \
                 registers or interrupts"
            )),
        }
    }

    fn word(&mut self, word: &str, rest: &str) -> Result<String, String> {
        let number = |what: &str| -> Result<u64, String> {
            what.parse().map_err(|_| format!("`{what}` is no number of steps; expected a number"))
        };
        match word {
            ":step" | ":s" => {
                let n = if rest.is_empty() { 1 } else { number(rest)? };
                self.steps(n)
            }
            ":next" | ":n" => self.next_call(),
            ":finish" | ":f" => self.finish(),
            ":continue" | ":c" => self.go_on(),
            ":break" | ":b" => self.set_break(rest),
            ":watch" | ":w" => self.set_watch(rest),
            ":delete" | ":d" => self.delete(rest),
            ":back" => {
                let n = if rest.is_empty() { 1 } else { number(rest)? };
                if n > self.step {
                    return Err(format!(
                        "the session is at step {}, which is less than {n} to go back",
                        self.step
                    ));
                }
                self.visit(self.step - n);
                Ok(self.place())
            }
            ":goto" => {
                let to = self.place_of(rest)?;
                self.go_to(to)
            }
            ":into" | ":i" => self.into(),
            ":reverse-step" | ":rs" => self.back_into(),
            ":reverse-continue" | ":rc" => self.go_back(),
            ":ignore" => self.ignore(rest),
            ":info" => self.info(rest),
            ":pwd" => Ok(format!("{}\n", self.folder)),
            ":version" => Ok(format!("Linux {} on {}\n", self.k.sem.version.name(), self.name)),
            ":bt" | ":backtrace" => self.backtrace(),
            ":where" => Ok(self.where_all()),
            ":print" | ":p" => self.print(rest),
            ":set" => self.set(rest),
            ":diff" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let here = Place { step: self.step, record: self.cursor.map(|at| at - self.base) };
                let (from, to) = match words[..] {
                    [from] => (self.place_of(from)?, here),
                    [from, to] => (self.place_of(from)?, self.place_of(to)?),
                    _ => return Err("`:diff` compares two steps; expected one or two numbers".to_owned()),
                };
                self.diff(from, to)
            }
            ":explain" => explained(rest),
            ":flow" => Ok(self.flow()),
            ":steps" => self.list_steps(rest),
            ":filter" => self.set_filter(rest),
            ":find" => self.find(rest),
            ":log" => Ok(self.log()),
            ":help" | ":h" | ":?" => Ok(help()),
            _ => {
                let close = WORDS.iter().map(|(w, ..)| *w).find(|w| w.get(..3) == word.get(..3));
                let hint = close
                    .map_or_else(|| ":help lists the words".to_owned(), |w| format!("did you mean {w}?"));
                Err(format!("there is no word `{word}`; {hint}"))
            }
        }
    }

    fn set(&mut self, rest: &str) -> Result<String, String> {
        if rest.is_empty() {
            let mut out = String::new();
            for field in Semantics::fields() {
                let _ = writeln!(out, "{}={}", field.name, self.k.sem.get(field.name).unwrap_or_default());
            }
            return Ok(out);
        }
        let Some((field, value)) = rest.split_once('=') else {
            return Err(format!("`{rest}` sets nothing; expected FIELD=VALUE"));
        };
        let (field, value) = (field.trim(), value.trim());
        let mut sem = self.k.sem.clone();
        sem.set(field, value).map_err(|e| format!("{e}; expected {}", e.expected()))?;
        sem.check()?;
        let was = self.k.sem.get(field).unwrap_or_default();
        self.branch(Input::Set { field: field.to_owned(), value: value.to_owned() });
        self.feed();
        let is = self.k.sem.get(field).unwrap_or_default();
        Ok(format!("{field} was {was}, is {is}\n"))
    }

    fn typed(&self) -> impl Iterator<Item = (u64, String)> {
        self.inputs[..self.applied].iter().map(|(at, input)| {
            let text = match input {
                Input::Line(script) | Input::Beside { script, .. } => script.text.trim_end().to_owned(),
                Input::Set { field, value } => format!(":set {field}={value}"),
            };
            (*at, text)
        })
    }

    fn log(&self) -> String {
        self.typed().map(|(at, text)| format!("{at:>8}  {}\n", text.replace('\n', "\n          "))).collect()
    }
}

/// What `irqlab explain` says of a name.
fn explained(name: &str) -> Result<String, String> {
    if name.trim().is_empty() {
        return Err("`explain` needs a name, such as smp_affinity, EIO or a line of the log".to_owned());
    }
    let found = explain::look_up(name);
    if found.answers.is_empty() {
        let (what, help) = explain::text::unknown(name, &found);
        return Err(format!("{what}; {help}"));
    }
    Ok(explain::text::print(&found.answers, explain::text::Styled::No))
}

fn help() -> String {
    let mut out = String::from(
        "Commands of the machine: echo, cat, ls, stat, dmesg, dd, taskset, sleep, wait, for, NAME=value, &. What is read\n\
         takes `| grep`, `head`, `tail`, `wc`, `sort`, `uniq` and `cut`, patterns and relative paths (`cd`, `pwd`).\n\
         Ctrl-C stops the machine as a breakpoint does, Ctrl-D or `exit` leaves. Words of the lab:\n",
    );
    for (word, args, what) in WORDS {
        let _ = writeln!(out, "{:<24} {what}", format!("{word} {args}"));
    }
    out.push_str("n, s, c, p, b, d, bt, rc, rs, finish, info and help need no colon.\n");
    let _ = writeln!(
        out,
        "A session without end has bounded memory: it holds {MOST_RECORDS} calls and tracepoints at most, and forgets the\n\
         older half of them with more; /sys/kernel/tracing/trace has what fits into buffer_size_kb, as on a real machine;\n\
         {KEPT} states of the past are kept, from which going back runs again; and {MOST_LINES} lines are taken."
    );
    out
}

/// Characters of a line before the place of a mistake that are shown; beyond twice as many the line is cut.
const BEFORE: usize = 80;

/// A mistake in a line, with a sign under its place.
fn marked(text: &str, error: &sim::script::ScriptError) -> String {
    let line = text.lines().nth(error.line - 1).unwrap_or("");
    let column = error.column - 1;
    let (line, before) = if column <= 2 * BEFORE && line.len() <= 4 * BEFORE {
        (line.to_owned(), column)
    } else {
        let skipped = column.saturating_sub(BEFORE);
        let dots = |cut: bool| if cut { "..." } else { "" };
        let shown: String = line.chars().skip(skipped).take(2 * BEFORE).collect();
        let cut = line.chars().nth(skipped + 2 * BEFORE).is_some();
        let (left, right) = (dots(skipped > 0), dots(cut));
        (format!("{left}{shown}{right}"), column - skipped + left.len())
    };
    let sign = " ".repeat(before) + "^";
    format!("{line}\n{sign} line {}, column {}: {error}; {}", error.line, error.column, error.label())
}
