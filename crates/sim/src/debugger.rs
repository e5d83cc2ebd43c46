//! A session at the machine's shell that can stop, look, and go back in time.
//!
//! # Architecture
//! A [`Session`] takes lines and returns text; it knows no terminal. A line is one for the machine's
//! shell ([`crate::script`]), or a word of the lab, which starts with a colon. Time is counted in
//! steps: what the shell or the engine does at once. Every so many steps the whole state is kept;
//! going back takes the nearest one before and runs from there. Since everything is determined,
//! what was recorded up to there is a part of what was recorded since, and is only cut off.
//!
//! What a step did is known from the records it left: functions and tracepoints are found there,
//! so a breakpoint stops at the end of the step and shows the place inside it.
//!
//! # What it doesn't implement
//! Stopping the machine in the middle of a step: a function between two waits cannot be divided.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::sync::Arc;

use kstate::sched::TaskState;
use kstate::semantics::Semantics;
use kstate::trace::{Ctx, FnMeta, MAX_ARGS, Record, Watch, What};
use kstate::tracing::Mark;
use kstate::{CpuId, CtxId, Errno, Irq, Kernel};

use crate::engine::Step;
use crate::fields::{self, Path};
use crate::functions::Functions;
use crate::record::event_label;
use crate::script::{Action, Command, Program, Script, Variables};
use crate::shell::{Bench, Progress, Shell};
use crate::{tracefs, vfs};

/// Steps between two states that are kept for a short while.
const NEAR: u64 = 64;
/// For how many steps those are kept.
const RECENT: u64 = 512;
/// States that are kept for longer; with more of them their distance doubles.
const KEPT: usize = 256;
/// Records beyond which what is not looked at any more is forgotten.
const MOST_RECORDS: usize = 2_000_000;
/// Lines of an answer beyond which the rest is counted.
const MOST_LINES: usize = 60;

/// The words of the lab, with what they take and what they do.
pub const WORDS: [(&str, &str, &str); 18] = [
    (":step", "[N]", "do the next thing: an interrupt, a softirq, a task up to its next wait, an event"),
    (":next", "", "go over the next function call of this stack"),
    (":finish", "", "go on until the function returns"),
    (":continue", "", "go on until something stops it or the command ends"),
    (
        ":break",
        "FUNCTION|TRACEPOINT [if FIELD OP VALUE]",
        "stop where it is reached; without arguments, list",
    ),
    (":watch", "FIELD", "stop where it changes, as in: apicd.hw_irq_cfg.vector of irq 31"),
    (":delete", "[N]", "remove breakpoint or watch N, or all"),
    (":back", "[N]", "go N steps back in time"),
    (":goto", "N", "go to step N"),
    (":where", "", "stacks of all CPUs and tasks"),
    (":print", "irq N | cpu N | task N | FIELD", "look at something"),
    (":set", "FIELD=VALUE", "change how this kernel behaves from here on; without arguments, list"),
    (":diff", "N [M]", "what changed in the state from step N to step M, or to now"),
    (":flow", "", "the calls and tracepoints of the last step"),
    (":log", "", "the lines typed so far, with their steps"),
    (":save", "FILE", "write a script that does this session again"),
    (":help", "", "this"),
    (":quit", "", "leave"),
];

/// What became of a line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reply {
    /// What to print.
    pub text: String,
    /// The line is the beginning of something: it wants to be typed on.
    pub incomplete: bool,
    /// Write this text to this file.
    pub save: Option<(String, String)>,
    /// The session is over.
    pub quit: bool,
}

/// Something a user did that changes the machine.
#[derive(Clone, Debug)]
enum Input {
    Line(Arc<Script>),
    Set { field: String, value: String },
}

/// A comparison in a breakpoint's condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Op {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "==" | "=" => Self::Eq,
            "!=" => Self::Ne,
            "<" => Self::Lt,
            "<=" => Self::Le,
            ">" => Self::Gt,
            ">=" => Self::Ge,
            _ => return None,
        })
    }

    fn holds(self, left: &str, right: &str) -> bool {
        let number = |text: &str| -> Option<i128> {
            match text.strip_prefix("0x") {
                Some(hex) => i128::from_str_radix(hex, 16).ok(),
                None => text.parse().ok(),
            }
        };
        let order = match (number(left), number(right)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => left.cmp(right),
        };
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
        }
    }
}

/// `FIELD OP VALUE`.
#[derive(Clone, Debug)]
struct Condition {
    field: String,
    /// The field as one of the machine, where it is no argument.
    path: Option<Path>,
    op: Op,
    value: String,
}

/// Something that stops the machine.
#[derive(Clone, Debug)]
enum Stop {
    Break { name: String, condition: Option<Condition> },
    Watch { path: Path, last: String },
}

/// The state after some step, without what was recorded.
#[derive(Clone, Debug)]
struct Checkpoint {
    k: Kernel,
    shell: Option<Shell>,
    vars: Variables,
    applied: usize,
    /// Length of the record, counted from power-on.
    records: usize,
    contexts: usize,
    marks: Vec<Mark>,
    /// Records forgotten when this was kept.
    dropped: usize,
    stacks: BTreeMap<CtxId, Vec<&'static FnMeta>>,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    k: Kernel,
    name: String,
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
    checkpoints: BTreeMap<u64, Checkpoint>,
    spacing: u64,
    stops: BTreeMap<u32, Stop>,
    next_stop: u32,
    /// Records of the last step begin here.
    base: usize,
    /// Records that were forgotten.
    dropped: usize,
    /// Calls that were open before the last step.
    stacks: BTreeMap<CtxId, Vec<&'static FnMeta>>,
    /// The record of the last step at which the session stands.
    cursor: Option<usize>,
    last: Option<Progress>,
    ahead: Ahead,
}

/// What was recorded after the step at which the session stands. It is what going on would record
/// again, so that a jump forward appends it instead.
#[derive(Debug, Default)]
struct Ahead {
    /// How many contexts were opened before these.
    contexts: usize,
    ctxs: Vec<Ctx>,
    /// How many records come before these, counted from power-on.
    at: usize,
    records: Vec<Record>,
}

/// Why going on ended.
enum Halt {
    /// At a breakpoint or watch; what to say.
    Stopped(String),
    /// The shell waits for a line.
    Over,
}

impl Session {
    /// A session on a booted machine; `name` says which in a script that is saved.
    pub fn new(mut k: Kernel, name: &str) -> Self {
        k.trace.on = true;
        let base = k.trace.records.len();
        let mut session = Self {
            k,
            name: name.to_owned(),
            shell: None,
            vars: Variables::default(),
            step: 0,
            end: 0,
            inputs: Vec::new(),
            applied: 0,
            checkpoints: BTreeMap::new(),
            spacing: NEAR,
            stops: BTreeMap::new(),
            next_stop: 1,
            base: 0,
            dropped: 0,
            stacks: BTreeMap::new(),
            cursor: None,
            last: None,
            ahead: Ahead::default(),
        };
        session.fold(base);
        session.keep();
        session
    }

    /// The machine.
    pub fn kernel(&self) -> &Kernel {
        &self.k
    }

    /// Steps done so far.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// A command is in the middle of something.
    pub fn is_busy(&self) -> bool {
        self.shell.as_ref().is_some_and(Shell::is_busy)
    }

    /// Does what a line says.
    pub fn line(&mut self, text: &str) -> Reply {
        let trimmed = text.trim();
        let answer = match trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, "")) {
            ("", _) => Ok(String::new()),
            (word, rest) if word.starts_with(':') => match word {
                ":save" => match self.save(rest.trim()) {
                    Ok(save) => return Reply { save: Some(save), ..Reply::default() },
                    Err(e) => Err(e),
                },
                ":quit" | ":q" | ":exit" => return Reply { quit: true, ..Reply::default() },
                _ => self.word(word, rest.trim()),
            },
            _ => match Script::parse_with("sh", text, &self.vars) {
                Ok(script) => self.shell_line(script),
                Err(e) if e.incomplete => return Reply { incomplete: true, ..Reply::default() },
                Err(e) => Err(explain(text, &e)),
            },
        };
        let text = answer.unwrap_or_else(|e| format!("{e}\n"));
        Reply { text, ..Reply::default() }
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
                        "the session is at step {}: there are no {n} steps to go back",
                        self.step
                    ));
                }
                self.visit(self.step - n);
                Ok(self.place())
            }
            ":goto" => {
                let to = number(rest)?;
                if to > self.end {
                    return Err(format!("the session went as far as step {}", self.end));
                }
                self.visit(to);
                Ok(self.place())
            }
            ":where" => Ok(self.where_all()),
            ":print" | ":p" => self.print(rest),
            ":set" => self.set(rest),
            ":diff" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let (from, to) = match words[..] {
                    [from] => (number(from)?, self.step),
                    [from, to] => (number(from)?, number(to)?),
                    _ => return Err("`:diff` compares two steps; expected one or two numbers".to_owned()),
                };
                self.diff(from, to)
            }
            ":flow" => Ok(self.flow()),
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

    // Running.

    /// Moves what the last step opened and closed into `stacks`.
    fn fold(&mut self, to: usize) {
        for record in &self.k.trace.records[self.base..to] {
            follow(&mut self.stacks, record);
        }
        self.base = to;
    }

    /// Does what was typed after this step.
    fn feed(&mut self) {
        while let Some((at, input)) = self.inputs.get(self.applied) {
            // Lines follow each other, even where one of them takes no step.
            if *at != self.step || (self.shell.is_some() && matches!(input, Input::Line(_))) {
                return;
            }
            match input.clone() {
                Input::Line(script) => {
                    self.shell = Some(Shell::new(script, core::mem::take(&mut self.vars)));
                }
                Input::Set { field, value } => {
                    // It was checked when it was typed.
                    let _ = self.k.sem.set(&field, &value);
                }
            }
            self.applied += 1;
        }
    }

    /// One step; false when the shell has nothing to do. What was printed is added to `terminal`.
    fn tick(&mut self, terminal: &mut Vec<String>) -> bool {
        self.feed();
        let Some(shell) = &mut self.shell else { return false };
        let start = self.k.trace.records.len();
        let progress = loop {
            let progress = shell.advance(&mut Bench { k: &mut self.k, terminal });
            // A line for the recorder is a comment here.
            if !matches!(progress, Progress::Directive(_)) {
                break progress;
            }
        };
        if progress == Progress::Idle {
            self.vars = core::mem::take(&mut shell.vars);
            self.shell = None;
            return false;
        }
        self.fold(start);
        self.cursor = None;
        self.last = Some(progress);
        self.step += 1;
        self.end = self.end.max(self.step);
        self.forget();
        if self.step.is_multiple_of(NEAR) {
            self.keep();
        }
        true
    }

    /// Forgets old records when there are too many and nobody can look at them.
    fn forget(&mut self) {
        if self.k.trace.records.len() < MOST_RECORDS || self.k.tracing.is_active() {
            return;
        }
        let gone = self.base;
        self.k.trace.records.drain(..gone);
        for mark in &mut self.k.trace.marks {
            mark.at = mark.at.saturating_sub(gone);
        }
        self.base = 0;
        self.dropped += gone;
    }

    /// Keeps the state.
    fn keep(&mut self) {
        if self.checkpoints.contains_key(&self.step) {
            return;
        }
        let records = core::mem::take(&mut self.k.trace.records);
        let contexts = core::mem::take(&mut self.k.trace.ctxs);
        let mut stacks = self.stacks.clone();
        for record in &records[self.base..] {
            follow(&mut stacks, record);
        }
        let checkpoint = Checkpoint {
            k: self.k.clone(),
            shell: self.shell.clone(),
            vars: self.vars.clone(),
            applied: self.applied,
            records: self.dropped + records.len(),
            contexts: contexts.len(),
            marks: self.k.trace.marks.clone(),
            dropped: self.dropped,
            stacks,
        };
        self.k.trace.records = records;
        self.k.trace.ctxs = contexts;
        self.checkpoints.insert(self.step, checkpoint);
        let recent = self.step.saturating_sub(RECENT);
        while self.checkpoints.keys().filter(|at| at.is_multiple_of(self.spacing)).count() > KEPT {
            self.spacing *= 2;
        }
        let spacing = self.spacing;
        self.checkpoints.retain(|at, _| *at >= recent || at.is_multiple_of(spacing));
    }

    /// Goes to a step that was there before, or forward along what was typed.
    fn visit(&mut self, to: u64) {
        let found =
            self.checkpoints.range(..=to).next_back().map(|(at, checkpoint)| (*at, checkpoint.clone()));
        if let Some((at, checkpoint)) = found
            // The buffer of the tracer is made of records, so that none may be jumped over.
            && (to < self.step || (at > self.step && checkpoint.marks.is_empty()))
        {
            self.restore(at, checkpoint);
        }
        let mut unread = Vec::new();
        while self.step < to {
            let before = self.step;
            if !self.tick(&mut unread)
                && self.step == before
                && self.inputs.get(self.applied).is_none_or(|(at, _)| *at != self.step)
            {
                break;
            }
            unread.clear();
        }
        for stop in self.stops.values_mut() {
            if let Stop::Watch { path, last } = stop {
                *last = path.text(&self.k);
            }
        }
    }

    fn restore(&mut self, at: u64, checkpoint: Checkpoint) {
        let Checkpoint { k, shell, vars, applied, records, contexts, marks, dropped, stacks } = checkpoint;
        let mut kept = core::mem::take(&mut self.k.trace.records);
        let mut ctxs = core::mem::take(&mut self.k.trace.ctxs);
        let mut ahead = core::mem::take(&mut self.ahead);
        ctxs.extend(ahead.ctxs.drain(..).skip(ctxs.len().saturating_sub(ahead.contexts)));
        if let Some(known) = (self.dropped + kept.len()).checked_sub(ahead.at) {
            kept.extend(ahead.records.drain(..).skip(known));
        }
        let forgotten = self.dropped.saturating_sub(dropped);
        if records < self.dropped || records > self.dropped + kept.len() {
            // Before what is remembered, or beyond it.
            kept.clear();
            self.dropped = records;
        }
        self.ahead = Ahead {
            contexts,
            ctxs: ctxs.split_off(contexts.min(ctxs.len())),
            at: records,
            records: kept.split_off(records - self.dropped),
        };
        self.k = k;
        self.k.trace.records = kept;
        self.k.trace.ctxs = ctxs;
        self.k.trace.marks = marks;
        for mark in &mut self.k.trace.marks {
            mark.at = mark.at.saturating_sub(forgotten);
        }
        self.base = self.k.trace.records.len();
        self.stacks = stacks;
        (self.shell, self.vars, self.applied, self.step) = (shell, vars, applied, at);
        self.cursor = None;
        self.last = None;
    }

    /// What was to come is gone when something else is done instead.
    fn branch(&mut self, input: Input) {
        self.inputs.truncate(self.applied);
        self.checkpoints.split_off(&(self.step + 1));
        self.end = self.step;
        self.ahead = Ahead::default();
        self.inputs.push((self.step, input));
    }

    fn shell_line(&mut self, script: Script) -> Result<String, String> {
        if script.statements.is_empty() {
            return Ok(String::new());
        }
        if self.shell.is_some() {
            return self.peek(&script);
        }
        self.branch(Input::Line(Arc::new(script)));
        self.go_on()
    }

    /// Looks at files while a command is in the middle of something: no time passes.
    fn peek(&mut self, script: &Script) -> Result<String, String> {
        let mut out = String::new();
        for statement in &script.statements {
            let text = match &statement.action {
                Action::Run(Command { program: Program::Cat { path, .. }, .. }) => {
                    vfs::read(&mut self.k, &path.text).map_err(|e| format!("cat: {}: {e}", path.text))?
                }
                Action::Run(Command { program: Program::Ls { path }, .. }) => {
                    let names = vfs::list(&self.k, &path.text)
                        .map_err(|e: Errno| format!("ls: {}: {e}", path.text))?;
                    names.iter().map(|name| format!("{name}\n")).collect()
                }
                Action::Run(Command { program: Program::Dmesg, .. }) => {
                    self.k.log.iter().map(|line| format!("{line}\n")).collect()
                }
                _ => {
                    return Err(
                        "the shell is still busy: `cat`, `ls` and `dmesg` look at the machine as it \
                                stands, `:continue` lets the command end first"
                            .to_owned(),
                    );
                }
            };
            out.push_str(&text);
        }
        Ok(out)
    }

    /// Goes on until something stops it or the shell waits for a line.
    fn run(&mut self, out: &mut String) -> Halt {
        if let Some(from) = self.cursor
            && let Some(text) = self.stopped_after(from + 1)
        {
            return Halt::Stopped(text);
        }
        let mut terminal = Vec::new();
        loop {
            let went_on = self.tick(&mut terminal);
            for line in terminal.drain(..) {
                out.push_str(&line);
                out.push('\n');
            }
            if !went_on {
                return Halt::Over;
            }
            if let Some(text) = self.stopped_after(self.base) {
                return Halt::Stopped(text);
            }
        }
    }

    fn go_on(&mut self) -> Result<String, String> {
        if self.shell.is_none() && self.inputs.get(self.applied).is_none() {
            return Err("nothing is running: type a command".to_owned());
        }
        let mut out = String::new();
        if let Halt::Stopped(text) = self.run(&mut out) {
            out.push_str(&text);
        }
        Ok(out)
    }

    /// What was typed after this step has not happened yet.
    fn is_next(&self) -> bool {
        self.inputs.get(self.applied).is_some_and(|(at, _)| *at == self.step)
    }

    fn steps(&mut self, n: u64) -> Result<String, String> {
        let mut terminal = Vec::new();
        let mut out = String::new();
        for _ in 0..n {
            let mut went_on = self.tick(&mut terminal);
            // After one command comes the next, where it was typed already.
            while !went_on && self.is_next() {
                went_on = self.tick(&mut terminal);
            }
            for line in terminal.drain(..) {
                out.push_str(&line);
                out.push('\n');
            }
            if !went_on {
                out.push_str("the shell waits for a command\n");
                return Ok(out);
            }
            if n > 1
                && let Some(text) = self.stopped_after(self.base)
            {
                return Ok(out + &text);
            }
        }
        Ok(out + &self.place())
    }

    // Stopping.

    /// The first thing at or after a record of the last step that stops, and what it says.
    fn stopped_after(&mut self, from: usize) -> Option<String> {
        if self.stops.is_empty() {
            return None;
        }
        let mut text = None;
        'records: for at in from..self.k.trace.records.len() {
            let record = self.k.trace.records[at];
            for (n, stop) in &self.stops {
                let Stop::Break { name, condition } = stop else { continue };
                let reached = match record.what {
                    What::Enter { meta, .. } => meta.name == *name,
                    What::Tracepoint(t) => t.name() == *name,
                    What::Exit { .. } | What::Warn(_) => false,
                };
                if reached && condition.as_ref().is_none_or(|c| holds(c, &record, &self.k)) {
                    text = Some(format!("breakpoint {n}: "));
                    self.cursor = Some(at);
                    break 'records;
                }
            }
        }
        if let Some(text) = text {
            return Some(text + &self.place());
        }
        let mut changed = None;
        for (n, stop) in &mut self.stops {
            let Stop::Watch { path, last } = stop else { continue };
            let now = path.text(&self.k);
            if now != *last {
                let before = core::mem::replace(last, now.clone());
                changed = Some((*n, path.clone(), before, now));
                break;
            }
        }
        let (n, path, before, now) = changed?;
        self.cursor = self.who_changed(&path);
        let by = self.cursor.and_then(|at| self.function_at(at));
        let by = by.map_or_else(|| "no function".to_owned(), |name| format!("{name}()"));
        let mut text = format!("watch {n}: {path} was {before}, is {now}, changed by {by}\n");
        text.push_str(&self.place());
        Some(text)
    }

    /// The record of the last step before which a value changed, found by doing the step again.
    fn who_changed(&mut self, path: &Path) -> Option<usize> {
        let here = self.step;
        let last = self.last.clone();
        self.visit_quietly(here - 1);
        let text = path.to_string();
        let value: fn(&Kernel, &str) -> u64 = fingerprint;
        let watch = Watch { value, last: fingerprint(&self.k, &text), path: text, hit: None };
        self.k.trace.probe = Some(watch);
        self.tick(&mut Vec::new());
        let hit = self.k.trace.probe.take().and_then(|watch| watch.hit);
        self.last = last;
        // What ran between the record before and this one.
        hit.map(|at| at.saturating_sub(1).max(self.base))
    }

    fn visit_quietly(&mut self, to: u64) {
        let stops = core::mem::take(&mut self.stops);
        self.visit(to);
        self.stops = stops;
    }

    fn set_break(&mut self, rest: &str) -> Result<String, String> {
        if rest.is_empty() {
            return Ok(self.list_stops());
        }
        let (name, condition) = match rest.split_once(char::is_whitespace) {
            None => (rest, None),
            Some((name, rest)) => {
                let Some(text) = rest.trim().strip_prefix("if ") else {
                    return Err(format!(
                        "`{}` stands behind the name; expected `if FIELD OP VALUE`",
                        rest.trim()
                    ));
                };
                (name, Some(condition(text.trim())?))
            }
        };
        let functions = Functions::of(self.k.sem.version);
        let tracepoints = || tracefs::EVENTS.iter().flat_map(|(_, names)| names.iter().copied());
        if functions.get(name).is_none() && !tracepoints().any(|t| t == name) {
            let known = functions.iter().map(|f| f.name).chain(tracepoints());
            let close: Vec<&str> = known.filter(|k| k.contains(name)).take(3).collect();
            let hint = if close.is_empty() {
                String::new()
            } else {
                format!("; did you mean {}?", close.join(", "))
            };
            return Err(format!("`{name}` is no function in scope and no tracepoint of this kernel{hint}"));
        }
        let n = self.add(Stop::Break { name: name.to_owned(), condition });
        Ok(format!("breakpoint {n} at {name}\n"))
    }

    fn set_watch(&mut self, rest: &str) -> Result<String, String> {
        if rest.is_empty() {
            return Ok(self.list_stops());
        }
        let path = Path::parse(rest)?;
        path.values(&self.k)?;
        let last = path.text(&self.k);
        let text = format!("{path}, now {last}\n");
        let n = self.add(Stop::Watch { path, last });
        Ok(format!("watch {n} on {text}"))
    }

    fn add(&mut self, stop: Stop) -> u32 {
        let n = self.next_stop;
        self.next_stop += 1;
        self.stops.insert(n, stop);
        n
    }

    fn list_stops(&self) -> String {
        let mut out = String::new();
        for (n, stop) in &self.stops {
            let _ = match stop {
                Stop::Break { name, condition: None } => writeln!(out, "{n} break {name}"),
                Stop::Break { name, condition: Some(c) } => {
                    writeln!(out, "{n} break {name} if {} {:?} {}", c.field, c.op, c.value)
                }
                Stop::Watch { path, last } => writeln!(out, "{n} watch {path}, now {last}"),
            };
        }
        if out.is_empty() { "nothing stops the machine\n".to_owned() } else { out }
    }

    fn delete(&mut self, rest: &str) -> Result<String, String> {
        if rest.is_empty() {
            self.stops.clear();
            return Ok(String::new());
        }
        let n = rest.parse().map_err(|_| format!("`{rest}` is no number of a breakpoint or watch"))?;
        self.stops
            .remove(&n)
            .map(|_| String::new())
            .ok_or_else(|| format!("there is no breakpoint or watch {n}"))
    }

    // Functions.

    /// The stack of a context right after a record, outermost first.
    fn stack_at(&self, at: usize) -> Vec<&'static FnMeta> {
        let Some(record) = self.k.trace.records.get(at) else { return Vec::new() };
        let mut stack = self.stacks.get(&record.ctx).cloned().unwrap_or_default();
        for earlier in self.k.trace.records[self.base.min(at)..=at].iter().filter(|r| r.ctx == record.ctx) {
            match earlier.what {
                What::Enter { meta, .. } => stack.push(meta),
                What::Exit { .. } => {
                    stack.pop();
                }
                What::Tracepoint(_) | What::Warn(_) => {}
            }
        }
        stack
    }

    /// The function that runs right after a record.
    fn function_at(&self, at: usize) -> Option<&'static str> {
        self.stack_at(at).last().map(|meta| meta.name)
    }

    /// Goes from the cursor to the next record of its context that `wanted` picks; it gets the depth
    /// of the stack after the record, relative to now.
    fn seek(&mut self, mut wanted: impl FnMut(&Record, i64) -> bool) -> Result<String, String> {
        let Some(at) =
            self.cursor.or_else(|| self.k.trace.records.len().checked_sub(1).filter(|at| *at >= self.base))
        else {
            return Err("the session stands in no function: `:break` at one, or `:step`".to_owned());
        };
        let ctx = self.k.trace.records[at].ctx;
        let (mut from, mut depth, mut out) = (at + 1, 0i64, String::new());
        let mut terminal = Vec::new();
        loop {
            for i in from..self.k.trace.records.len() {
                let record = self.k.trace.records[i];
                if record.ctx != ctx {
                    continue;
                }
                match record.what {
                    What::Enter { .. } => depth += 1,
                    What::Exit { .. } => depth -= 1,
                    What::Tracepoint(_) | What::Warn(_) => {}
                }
                if wanted(&record, depth) {
                    self.cursor = Some(i);
                    return Ok(out + &self.place());
                }
            }
            let went_on = self.tick(&mut terminal);
            for line in terminal.drain(..) {
                out.push_str(&line);
                out.push('\n');
            }
            if !went_on {
                return Ok(out + "the command ended before that\n");
            }
            from = self.base;
        }
    }

    /// To the end of the next call, or of the function where it makes none.
    fn next_call(&mut self) -> Result<String, String> {
        self.seek(|record, depth| matches!(record.what, What::Exit { .. }) && depth <= 0)
    }

    /// To the return of the function at which the session stands.
    fn finish(&mut self) -> Result<String, String> {
        self.seek(|record, depth| matches!(record.what, What::Exit { .. }) && depth < 0)
    }

    // Looking.

    /// Where the session stands.
    fn place(&self) -> String {
        let mut out = format!("step {}, {:.6} s", self.step, self.k.events.now as f64 / 1e9);
        match (&self.last, self.shell.is_some()) {
            (Some(Progress::Began(statement)), _) => {
                let text = self.shell.as_ref().map_or("", |shell| shell.script().source(statement.span));
                let _ = write!(out, ": {}", text.lines().next().unwrap_or(""));
            }
            (Some(Progress::Stepped(step)), _) => {
                let _ = write!(out, ": {}", self.describe(step));
            }
            (Some(Progress::Ended), _) => out.push_str(": the command is over"),
            (_, true) => out.push_str(": in the middle of a command"),
            _ => out.push_str(": the shell waits for a command"),
        }
        out.push('\n');
        match self.cursor {
            Some(at) => self.show_cursor(&mut out, at),
            None => self.summary(&mut out),
        }
        out
    }

    fn describe(&self, step: &Step) -> String {
        match step {
            Step::Interrupt(cpu, vector) => format!("cpu {cpu} takes vector {vector}"),
            Step::Softirq(cpu) => format!("cpu {cpu} runs its softirqs"),
            Step::Task(task) => {
                let known = self.k.sched.tasks.get(task.index());
                let kind = known.map_or_else(String::new, |t| format!("{:?} on cpu {}", t.kind, t.cpu));
                let state = known.map_or("", |t| match t.state {
                    TaskState::Runnable => ", can go on",
                    TaskState::Spinning => ", spins",
                    TaskState::Waiting(_) => ", waits",
                    TaskState::Done(_) => ", ended",
                });
                format!("task {task}, {kind}{state}")
            }
            Step::Event(event) => format!("event {event:?}"),
        }
    }

    fn show_cursor(&self, out: &mut String, at: usize) {
        let Some(record) = self.k.trace.records.get(at) else { return };
        let what = match record.what {
            What::Enter { meta, args } => format!("{}({})", meta.name, arguments(meta, &args)),
            What::Exit { meta, ret: Some(ret) } => format!("{}() returns {}", meta.name, ret as i64),
            What::Exit { meta, ret: None } => format!("{}() returns", meta.name),
            What::Tracepoint(t) => t.to_string(),
            What::Warn(text) => format!("warning: {text}"),
        };
        let file = match record.what {
            What::Enter { meta, .. } => self.source_of(meta),
            _ => String::new(),
        };
        let actor =
            self.k.trace.ctxs.get(record.ctx.index()).map(|c| event_label(&c.actor)).unwrap_or_default();
        let _ = writeln!(out, "  {what}  [{actor}, cpu {}]{file}", record.cpu);
        let mut stack: Vec<&str> = self.stack_at(at).iter().rev().map(|meta| meta.name).collect();
        if matches!(record.what, What::Enter { .. }) && !stack.is_empty() {
            stack.remove(0);
        }
        if !stack.is_empty() {
            let _ = writeln!(out, "  < {}", stack.join(" < "));
        }
    }

    fn source_of(&self, meta: &FnMeta) -> String {
        let functions = Functions::of(self.k.sem.version);
        match functions.get(meta.name) {
            Some(f) => format!(" {}:{}", f.file, f.line),
            None => format!(" {}", meta.file),
        }
    }

    /// The outermost functions of the last step.
    fn summary(&self, out: &mut String) {
        let mut depth: BTreeMap<CtxId, usize> = BTreeMap::new();
        let (mut names, mut calls, mut fired): (Vec<&str>, usize, usize) = (Vec::new(), 0, 0);
        for record in &self.k.trace.records[self.base..] {
            let depth = depth.entry(record.ctx).or_default();
            match record.what {
                What::Enter { meta, .. } => {
                    if *depth == 0 && names.last() != Some(&meta.name) {
                        names.push(meta.name);
                    }
                    *depth += 1;
                    calls += 1;
                }
                What::Exit { .. } => *depth = depth.saturating_sub(1),
                What::Tracepoint(_) => fired += 1,
                What::Warn(_) => {}
            }
        }
        if calls > 0 {
            const SHOWN: usize = 6;
            let more = if names.len() > SHOWN { ", ..." } else { "" };
            names.truncate(SHOWN);
            let _ = writeln!(out, "  {}{more} ({calls} calls, {fired} tracepoints)", names.join(", "));
        }
    }

    /// The calls of the last step, indented.
    fn flow(&self) -> String {
        let mut out = String::new();
        let mut ctx = None;
        let mut depth: BTreeMap<CtxId, usize> = BTreeMap::new();
        for (i, record) in self.k.trace.records.iter().enumerate().skip(self.base) {
            if ctx != Some(record.ctx) {
                ctx = Some(record.ctx);
                let actor = self.k.trace.ctxs.get(record.ctx.index()).map(|c| event_label(&c.actor));
                let _ = writeln!(out, "# {}, cpu {}", actor.unwrap_or_default(), record.cpu);
            }
            let before = self.stacks.get(&record.ctx).map_or(0, Vec::len);
            let depth = depth.entry(record.ctx).or_insert(before);
            let here = if self.cursor == Some(i) { ">" } else { " " };
            match record.what {
                What::Enter { meta, args } => {
                    let indent = *depth * 2;
                    let _ = writeln!(out, "{here}{:indent$}{}({})", "", meta.name, arguments(meta, &args));
                    *depth += 1;
                }
                What::Exit { .. } => *depth = depth.saturating_sub(1),
                What::Tracepoint(t) => {
                    let indent = *depth * 2;
                    let _ = writeln!(out, "{here}{:indent$}@ {t}", "");
                }
                What::Warn(text) => {
                    let _ = writeln!(out, "{here}warning: {text}");
                }
            }
        }
        if out.is_empty() { "the last step called nothing\n".to_owned() } else { out }
    }

    fn where_all(&self) -> String {
        let mut out = self.place();
        let alive = || {
            let tasks = self.k.sched.tasks.iter().enumerate();
            tasks.filter(|(_, t)| !matches!(t.state, TaskState::Done(_)) && !t.frames.is_empty())
        };
        for cpu in self.k.topo.possible.iter() {
            if !self.k.topo.online.contains(cpu) {
                let _ = writeln!(out, "cpu {cpu}: offline");
                continue;
            }
            let pending = x86apic::hw::lapic::pending(&self.k, cpu);
            let pending = pending.map_or_else(String::new, |vector| format!(", vector {vector} is pending"));
            let tasks: Vec<String> =
                alive().filter(|(_, t)| t.cpu == cpu).map(|(i, _)| format!("task {i}")).collect();
            let what = if tasks.is_empty() { "idle".to_owned() } else { tasks.join(", ") };
            let _ = writeln!(out, "cpu {cpu}: {what}{pending}");
        }
        for (i, task) in alive() {
            let _ = writeln!(out, "task {i}, {:?} on cpu {}, {:?}", task.kind, task.cpu, task.state);
            for frame in task.frames.iter().rev() {
                let _ = writeln!(out, "  {frame:?}");
            }
        }
        out
    }

    fn print(&mut self, rest: &str) -> Result<String, String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let number = |n: &str| n.parse::<u32>().map_err(|_| format!("`{n}` is no number"));
        let (mut out, leaves) = match words[..] {
            [] => return Err("`:print` what? expected irq N, cpu N, task N or a field".to_owned()),
            ["irq", n] => {
                let irq = Irq(number(n)?);
                let text = vfs::read(&mut self.k, &format!("/sys/kernel/debug/irq/irqs/{irq}"));
                let text = text.map_err(|_| format!("there is no irq {irq}"))?;
                let mut leaves = Path::irq(irq).values(&self.k)?;
                // The descriptor is what debugfs prints.
                leaves.retain(|(path, _)| !path.starts_with("desc."));
                (text, leaves)
            }
            ["cpu", n] => {
                let cpu = CpuId(number(n)?);
                if !self.k.topo.possible.contains(cpu) {
                    return Err(format!("there is no cpu {cpu}"));
                }
                let online = if self.k.topo.online.contains(cpu) { "online" } else { "offline" };
                let mut leaves = Path::cpu(cpu).values(&self.k)?;
                leaves.retain(|(path, value)| {
                    !value.is_empty()
                        && (path.starts_with("matrix.")
                            || path.starts_with("lapic.")
                            || path.starts_with("place."))
                });
                (format!("cpu {cpu}: {online}\n"), leaves)
            }
            ["task", n] => {
                let n = number(n)?;
                let task =
                    self.k.sched.tasks.get(n as usize).ok_or_else(|| format!("there is no task {n}"))?;
                (
                    format!("{:?} on cpu {}, {:?}\n", task.kind, task.cpu, task.state),
                    task.frames.iter().rev().map(|f| (String::new(), format!("{f:?}"))).collect(),
                )
            }
            _ => (String::new(), Path::parse(rest)?.values(&self.k)?),
        };
        for (path, value) in leaves.iter().take(MOST_LINES) {
            let _ = match path.as_str() {
                "" => writeln!(out, "  {value}"),
                path => writeln!(out, "{path} = {value}"),
            };
        }
        if leaves.len() > MOST_LINES {
            let _ = writeln!(out, "and {} more", leaves.len() - MOST_LINES);
        }
        Ok(out)
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

    fn diff(&mut self, from: u64, to: u64) -> Result<String, String> {
        for n in [from, to] {
            if n > self.end {
                return Err(format!("the session went as far as step {}", self.end));
            }
        }
        let here = (self.step, self.cursor, self.last.clone());
        let left = self.state_at(from);
        let right = self.state_at(to);
        self.visit(here.0);
        (self.cursor, self.last) = (here.1, here.2);
        let changes = fields::changes(&left, &right);
        let mut out = String::new();
        for (path, old, new) in changes.iter().take(MOST_LINES) {
            let _ = match (old, new) {
                (Some(old), Some(new)) => writeln!(out, "  {path}: {old} -> {new}"),
                (None, Some(new)) => writeln!(out, "+ {path}: {new}"),
                (Some(old), None) => writeln!(out, "- {path}: {old}"),
                (None, None) => Ok(()),
            };
        }
        if changes.len() > MOST_LINES {
            let _ = writeln!(out, "and {} more", changes.len() - MOST_LINES);
        }
        if changes.is_empty() {
            out.push_str("nothing changed\n");
        }
        Ok(out)
    }

    /// The machine as it was after a step, without what was recorded.
    fn state_at(&mut self, step: u64) -> Kernel {
        self.visit(step);
        let trace = core::mem::take(&mut self.k.trace);
        let k = self.k.clone();
        self.k.trace = trace;
        k
    }

    fn typed(&self) -> impl Iterator<Item = (u64, String)> {
        self.inputs[..self.applied].iter().map(|(at, input)| {
            let text = match input {
                Input::Line(script) => script.text.trim_end().to_owned(),
                Input::Set { field, value } => format!("# :set {field}={value}"),
            };
            (*at, text)
        })
    }

    fn log(&self) -> String {
        self.typed().map(|(at, text)| format!("{at:>8}  {}\n", text.replace('\n', "\n          "))).collect()
    }

    fn save(&self, file: &str) -> Result<(String, String), String> {
        if file.is_empty() {
            return Err("`:save` needs a file; expected a name".to_owned());
        }
        let mut text = format!("# A session on {}, kernel {}\n", self.name, self.k.sem.version.name());
        for (_, line) in self.typed() {
            text.push_str(&line);
            text.push('\n');
        }
        Ok((file.to_owned(), text))
    }

    // Completion.

    /// What could stand at the end of a line: where its last word begins, and the words.
    pub fn complete(&self, line: &str) -> (usize, Vec<String>) {
        let start =
            line.rfind(|c: char| c.is_whitespace() || matches!(c, '>' | ';' | '=')).map_or(0, |i| i + 1);
        let word = &line[start..];
        let first = line[..start].split([';', '>']).next_back().unwrap_or("").trim();
        let mut found: Vec<String> = if word.starts_with('/') {
            self.paths(word)
        } else if first.starts_with(":break") || first.starts_with(":b") {
            let functions = Functions::of(self.k.sem.version).iter().map(|f| f.name);
            let events = tracefs::EVENTS.iter().flat_map(|(_, names)| names.iter().copied());
            functions.chain(events).map(str::to_owned).collect()
        } else if first.starts_with(":set") {
            Semantics::fields().iter().map(|field| format!("{}=", field.name)).collect()
        } else if first.starts_with(":print") || first.starts_with(":watch") {
            let roots = fields::roots(&self.k);
            let roots = roots.iter().map(|(name, _)| (*name).to_owned());
            roots.chain(["irq", "cpu", "task", "apicd.hw_irq_cfg.vector"].map(str::to_owned)).collect()
        } else if first.is_empty() {
            let words = WORDS.iter().map(|(word, ..)| (*word).to_owned());
            words.chain(crate::script::COMMANDS.map(str::to_owned)).collect()
        } else {
            Vec::new()
        };
        found.retain(|candidate| candidate.starts_with(word));
        found.sort();
        found.dedup();
        (start, found)
    }

    fn paths(&self, word: &str) -> Vec<String> {
        let (folder, _) = word.rsplit_once('/').unwrap_or(("", word));
        let names = vfs::list(&self.k, folder).unwrap_or_default();
        let full = names.into_iter().map(|name| {
            let path = format!("{folder}/{name}");
            if vfs::list(&self.k, &path).is_ok() { path + "/" } else { path }
        });
        full.collect()
    }
}

fn follow(stacks: &mut BTreeMap<CtxId, Vec<&'static FnMeta>>, record: &Record) {
    match record.what {
        What::Enter { meta, .. } => stacks.entry(record.ctx).or_default().push(meta),
        What::Exit { .. } => {
            if let Some(stack) = stacks.get_mut(&record.ctx) {
                stack.pop();
                if stack.is_empty() {
                    stacks.remove(&record.ctx);
                }
            }
        }
        What::Tracepoint(_) | What::Warn(_) => {}
    }
}

/// A number that differs when the value of a field does.
fn fingerprint(k: &Kernel, path: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    Path::parse(path).map(|path| path.text(k)).hash(&mut hasher);
    hasher.finish()
}

fn arguments(meta: &FnMeta, args: &[Option<u64>; MAX_ARGS]) -> String {
    let shown =
        meta.args.iter().zip(args).filter_map(|(name, value)| Some(format!("{name}={}", (*value)? as i64)));
    shown.collect::<Vec<_>>().join(", ")
}

fn condition(text: &str) -> Result<Condition, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words.iter().position(|w| Op::parse(w).is_some());
    let (Some(at), Some(op)) = (at, at.and_then(|at| Op::parse(words[at]))) else {
        return Err(format!("`{text}` compares nothing; expected FIELD == VALUE, or != < <= > >="));
    };
    let [value] = words[at + 1..] else {
        return Err("a condition ends with one value; expected FIELD OP VALUE".to_owned());
    };
    let field = words[..at].join(" ");
    if field.is_empty() {
        return Err("a condition begins with a field; expected FIELD OP VALUE".to_owned());
    }
    let path = Path::parse(&field).ok();
    Ok(Condition { field, path, op, value: value.to_owned() })
}

/// Whether a condition holds at a record: its field is an argument, a field of the tracepoint, `cpu`,
/// or one of the machine's as it is at the end of the step.
fn holds(condition: &Condition, record: &Record, k: &Kernel) -> bool {
    let field = condition.field.as_str();
    let here = match record.what {
        What::Enter { meta, args } => {
            let named = meta.args.iter().position(|name| *name == field);
            named.and_then(|i| args.get(i).copied().flatten()).map(|word| (word as i64).to_string())
        }
        What::Tracepoint(t) => {
            let text = t.to_string();
            let value = text.split([' ', ',']).find_map(|part| part.strip_prefix(field)?.strip_prefix('='));
            value.map(str::to_owned)
        }
        What::Exit { .. } | What::Warn(_) => None,
    };
    let value = here.or_else(|| (field == "cpu").then(|| record.cpu.to_string()));
    let value =
        value.unwrap_or_else(|| condition.path.as_ref().map_or_else(String::new, |path| path.text(k)));
    condition.op.holds(&value, &condition.value)
}

fn help() -> String {
    let mut out =
        String::from("Commands of the machine: echo, cat, ls, dmesg, dd, taskset, sleep, for, NAME=value.\n");
    for (word, args, what) in WORDS {
        let _ = writeln!(out, "{:<24} {what}", format!("{word} {args}"));
    }
    out
}

/// A mistake in a line, with a sign under its place.
fn explain(text: &str, error: &crate::script::ScriptError) -> String {
    let line = text.lines().nth(error.line - 1).unwrap_or("");
    let column = error.column - 1;
    format!(
        "{line}\n{:column$}^ line {}, column {}: {error}; {}",
        "",
        error.line,
        error.column,
        error.label()
    )
}
