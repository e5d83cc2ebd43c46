//! Continues a session: shell lines, steps, and the ways over and out of a function.

use std::sync::Arc;

use kstate::Kernel;
use kstate::trace::{Record, What};

use super::time::Place;
use super::{Input, Session};
use sim::script::{Action, Command, Program, Script, Statement};
use sim::vfs;
use sim::vfs::attributes::{attributes, list_long};

/// Why going on ended.
enum Halt {
    /// At a breakpoint or watch, or where it was interrupted; what to say.
    Stopped(String),
    /// The shell waits for a line.
    Over,
}

/// A statement that only looks.
fn looks(statement: &Statement) -> bool {
    let program = match &statement.action {
        Action::Run(Command { program, .. }) => program,
        _ => return false,
    };
    matches!(program, Program::Cat { .. } | Program::Ls { .. } | Program::Stat { .. } | Program::Dmesg)
}

/// What a statement that only looks prints.
fn looked(k: &mut Kernel, statement: &Statement) -> String {
    let lines = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect();
    match &statement.action {
        Action::Run(Command { program: Program::Cat { path, .. }, .. }) => match vfs::read(k, &path.text) {
            Ok(text) => text,
            Err(e) => format!("cat: {}: {e}\n", path.text),
        },
        Action::Run(Command { program: Program::Ls { path, long }, .. }) => {
            let found = if *long { list_long(k, &path.text) } else { vfs::list(k, &path.text) };
            found.map_or_else(|e| format!("ls: {}: {e}\n", path.text), |names| lines(&names))
        }
        Action::Run(Command { program: Program::Stat { format, paths }, .. }) => {
            let line = |path: &str| match attributes(k, path) {
                Ok(found) => found.fill_in(format, path),
                Err(e) => format!("stat: {path}: {e}"),
            };
            lines(&paths.iter().map(|path| line(&path.text)).collect::<Vec<_>>())
        }
        _ => lines(&k.log),
    }
}

impl Session {
    pub(super) fn shell_line(&mut self, script: Script) -> Result<String, String> {
        if script.statements.is_empty() {
            return Ok(String::new());
        }
        // In the past, and in the middle of a step, a look changes nothing of what is to come.
        let past = self.cursor.is_some() || self.step < self.end;
        let room = self.has_room();
        if self.shell.is_some() || ((past || room.is_err()) && script.statements.iter().all(looks)) {
            return self.peek(&script);
        }
        room?;
        self.branch(Input::Line(Arc::new(script)));
        self.go_on()
    }

    /// There is room for another line: all of them are held, since going back in time does them again.
    pub(super) fn has_room(&self) -> Result<(), String> {
        if self.applied < self.most_lines {
            return Ok(());
        }
        Err(format!(
            "a session holds {} lines, and these were as many; `:save FILE` writes them, and a new session has room",
            self.most_lines
        ))
    }

    /// Looks at files where the session stands: no time passes.
    fn peek(&mut self, script: &Script) -> Result<String, String> {
        if !script.statements.iter().all(looks) {
            return Err("the shell is still busy: `cat`, `ls` and `dmesg` look at the machine as it stands, `:continue` \
                        lets the command end first"
                .to_owned());
        }
        Ok(self.look(|k| script.statements.iter().map(|statement| looked(k, statement)).collect()))
    }

    /// Nobody wants to interrupt what runs.
    pub(super) fn goes_on(&mut self) -> bool {
        let Some(mut attendant) = self.attendant.0.take() else { return true };
        let goes_on = attendant.goes_on(self);
        self.attendant.0 = Some(attendant);
        goes_on
    }

    fn interrupted(&mut self) -> String {
        format!("interrupted at step {}\n{}", self.step, self.place())
    }

    /// Goes on until something stops it or the shell waits for a line.
    fn run(&mut self, out: &mut String) -> Halt {
        if let Some(from) = self.cursor
            && let Some(text) = self.stopped_after(from + 1)
        {
            return Halt::Stopped(text);
        }
        self.cursor = None;
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
            if !self.goes_on() {
                return Halt::Stopped(self.interrupted());
            }
        }
    }

    pub(super) fn go_on(&mut self) -> Result<String, String> {
        if self.shell.is_none() && self.inputs.get(self.applied).is_none() && self.cursor.is_none() {
            return Err("nothing is running: type a command".to_owned());
        }
        let mut out = String::new();
        if let Halt::Stopped(text) = self.run(&mut out) {
            out.push_str(&text);
        }
        Ok(out)
    }

    /// Goes back to the last thing before here that stops.
    pub(super) fn go_back(&mut self) -> Result<String, String> {
        if self.stops.is_empty() {
            return Err(
                "nothing would stop the machine on its way back: `:break` or `:watch` first".to_owned()
            );
        }
        let from = Place { step: self.step, record: self.cursor.map(|at| at - self.base) };
        // A watch that sees a change at the end of the step where the session stands is there already.
        let until = self.cursor.unwrap_or(self.k.trace.records.len());
        if let Some(text) = self.stopped_before(until) {
            return Ok(text);
        }
        let mut block = from.step.saturating_sub(1);
        while block > 0 {
            let first = self.checkpoints.range(..block).next_back().map_or(0, |(at, _)| *at);
            // Forward through the block, to find the last step in which something stops.
            if !self.visit(first) {
                return Ok(self.interrupted());
            }
            let (mut found, mut unread) = (None, Vec::new());
            while self.step < block {
                if !self.tick_on(&mut unread) {
                    break;
                }
                unread.clear();
                if self.stops_in_step() {
                    found = Some(self.step);
                }
                if !self.goes_on() {
                    return Ok(self.interrupted());
                }
            }
            if let Some(step) = found {
                self.visit(step);
                if let Some(text) = self.stopped_before(usize::MAX) {
                    return Ok(text);
                }
            }
            block = first;
        }
        self.visit(0);
        Ok(format!("nothing stopped it: the session begins here\n{}", self.place()))
    }

    /// One step; after one command comes the next, where it was typed already.
    pub(super) fn tick_on(&mut self, terminal: &mut Vec<String>) -> bool {
        let mut went_on = self.tick(terminal);
        while !went_on && self.is_next() {
            went_on = self.tick(terminal);
        }
        went_on
    }

    pub(super) fn steps(&mut self, n: u64) -> Result<String, String> {
        let mut terminal = Vec::new();
        let mut out = String::new();
        for _ in 0..n {
            let went_on = self.tick_on(&mut terminal);
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
            if !self.goes_on() {
                return Ok(out + &self.interrupted());
            }
        }
        Ok(out + &self.place())
    }

    /// Goes from the cursor to the next record of its context that `wanted` picks; it gets the depth
    /// of the stack after the record, relative to now. A breakpoint on the way stops it.
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
            let mut found = None;
            for (i, record) in self.k.trace.records.iter().enumerate().skip(from) {
                if record.ctx != ctx {
                    continue;
                }
                match record.what {
                    What::Enter { .. } => depth += 1,
                    What::Exit { .. } => depth -= 1,
                    What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => {}
                }
                if wanted(record, depth) {
                    found = Some(i);
                    break;
                }
            }
            if self.has_hit(from, found.unwrap_or(usize::MAX))
                && let Some(text) = self.stopped_after(from)
            {
                return Ok(out + &text);
            }
            if let Some(at) = found {
                self.stand(Some(at));
                return Ok(out + &self.place());
            }
            let went_on = self.tick(&mut terminal);
            for line in terminal.drain(..) {
                out.push_str(&line);
                out.push('\n');
            }
            if !went_on {
                return Ok(out + "the command ended before that\n");
            }
            if !self.goes_on() {
                return Ok(out + &self.interrupted());
            }
            from = self.base;
        }
    }

    /// To the end of the next call, or of the function where it makes none.
    pub(super) fn next_call(&mut self) -> Result<String, String> {
        self.seek(|record, depth| matches!(record.what, What::Exit { .. }) && depth <= 0)
    }

    /// To the return of the function at which the session stands.
    pub(super) fn finish(&mut self) -> Result<String, String> {
        self.seek(|record, depth| matches!(record.what, What::Exit { .. }) && depth < 0)
    }

    /// To the next record, into a call.
    pub(super) fn into(&mut self) -> Result<String, String> {
        let printed = self.forward()?;
        Ok(printed + &self.place())
    }

    /// To the record before.
    pub(super) fn back_into(&mut self) -> Result<String, String> {
        self.backward()?;
        Ok(self.place())
    }

    /// Where `:goto` and `:diff` go: `N`, `N:R`, `start`, `end`, or a time such as `6.012s`.
    pub(super) fn place_of(&mut self, text: &str) -> Result<Place, String> {
        let step_of = |step: u64| Place { step, record: None };
        let beyond = |end| format!("the session went as far as step {end}");
        let place = match text {
            "start" => step_of(0),
            "end" => step_of(self.end),
            _ => {
                if let Some(time) = time_of(text) {
                    return self.step_at_time(time).map(step_of);
                }
                let expected = || {
                    format!(
                        "`{text}` is no place in time; expected a step, STEP:RECORD, a time such as 6.012s, `start` or `end`"
                    )
                };
                let (step, record) = match text.split_once(':') {
                    Some((step, record)) => (step, Some(record)),
                    None => (text, None),
                };
                let step = step.parse().map_err(|_| expected())?;
                let record = match record {
                    Some(record) => {
                        let record: usize = record.parse().map_err(|_| expected())?;
                        Some(record.checked_sub(1).ok_or("the records of a step are counted from 1")?)
                    }
                    None => None,
                };
                Place { step, record }
            }
        };
        if place.step > self.end { Err(beyond(self.end)) } else { Ok(place) }
    }

    /// Goes to a place.
    pub(super) fn go_to(&mut self, place: Place) -> Result<String, String> {
        if !self.visit(place.step) {
            return Ok(self.interrupted());
        }
        let records = self.k.trace.records.len() - self.base;
        match place.record {
            Some(record) if record >= records => {
                return Err(format!("step {} has {records} records", place.step));
            }
            record => self.stand(record.map(|record| self.base + record)),
        }
        Ok(self.place())
    }

    /// The first step at whose end the clock shows a time, in ns, or a later one.
    fn step_at_time(&mut self, time: u64) -> Result<u64, String> {
        let here = (self.step, self.cursor.map(|at| at - self.base), self.last.clone());
        let before = self.checkpoints.iter().rev().find(|(_, kept)| kept.k.events.now < time);
        let first = before.map_or(0, |(at, _)| *at);
        self.visit(first);
        let mut unread = Vec::new();
        while self.k.events.now < time && self.step < self.end && self.tick_on(&mut unread) {
            unread.clear();
            if !self.goes_on() {
                break;
            }
        }
        let (step, now) = (self.step, self.k.events.now);
        self.visit(here.0);
        self.stand(here.1.map(|record| self.base + record));
        self.last = here.2;
        if now < time {
            return Err(format!("the session went as far as {:.6} s", now as f64 / 1e9));
        }
        Ok(step)
    }
}

/// A time of the machine, in ns: a number with a unit, or one of seconds with a point.
fn time_of(text: &str) -> Option<u64> {
    let units = [("ms", 1e6), ("us", 1e3), ("ns", 1.0), ("s", 1e9)];
    let (number, unit) = match units.iter().find_map(|(name, ns)| Some((text.strip_suffix(name)?, ns))) {
        Some((number, ns)) => (number.trim_end(), *ns),
        None if text.contains('.') => (text, 1e9),
        None => return None,
    };
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = plain.then(|| number.parse().ok())??;
    // A number beyond what fits is later than all.
    Some((number * unit).round() as u64)
}
