//! Continues a session: shell lines, steps, and the ways over and out of a function.

use std::sync::Arc;

use kstate::Errno;
use kstate::trace::{Record, What};

use super::{Input, Session};
use sim::script::{Action, Command, Program, Script};
use sim::vfs;

/// Why going on ended.
enum Halt {
    /// At a breakpoint or watch; what to say.
    Stopped(String),
    /// The shell waits for a line.
    Over,
}

impl Session {
    pub(super) fn shell_line(&mut self, script: Script) -> Result<String, String> {
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

    pub(super) fn go_on(&mut self) -> Result<String, String> {
        if self.shell.is_none() && self.inputs.get(self.applied).is_none() {
            return Err("nothing is running: type a command".to_owned());
        }
        let mut out = String::new();
        if let Halt::Stopped(text) = self.run(&mut out) {
            out.push_str(&text);
        }
        Ok(out)
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
        }
        Ok(out + &self.place())
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
    pub(super) fn next_call(&mut self) -> Result<String, String> {
        self.seek(|record, depth| matches!(record.what, What::Exit { .. }) && depth <= 0)
    }

    /// To the return of the function at which the session stands.
    pub(super) fn finish(&mut self) -> Result<String, String> {
        self.seek(|record, depth| matches!(record.what, What::Exit { .. }) && depth < 0)
    }
}
