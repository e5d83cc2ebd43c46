//! Programs that work on the machine from outside: what they do is typed into the session, and how it ended is told as
//! a system call tells it.
//!
//! Commands of several programs can be under way at once. Each of them is an actor of the shell, as a job is.

use std::sync::Arc;

use kstate::Errno;

use super::{Input, Session};
use sim::script::Script;
use sim::shell::Complaint;
use sim::vfs;

/// A command that a program gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket(usize);

/// Why serving ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Served {
    /// A command is over, or nothing is under way.
    Over,
    /// Something stopped the machine; what to say.
    Stopped(String),
    /// So many steps were done, and there are more.
    Goes,
}

/// How a command has ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// The error of what failed first.
    pub errno: Option<Errno>,
    /// What is to be told besides: assertions that did not hold, a line for each.
    pub failed: String,
}

/// What programs gave, and how it went.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// By input.
    outcomes: Vec<(usize, Outcome)>,
    /// When a line was given last, in ns of virtual time.
    at: u64,
}

impl Client {
    fn of(&mut self, input: usize) -> &mut Outcome {
        let at = self.outcomes.iter().position(|(other, _)| *other == input).unwrap_or_else(|| {
            self.outcomes.push((input, Outcome::default()));
            self.outcomes.len() - 1
        });
        &mut self.outcomes[at].1
    }

    /// A command of an input failed.
    pub(super) fn complained(&mut self, input: Option<usize>, complaint: &Complaint) {
        if let Some(input) = input {
            self.of(input).errno.get_or_insert(complaint.errno.unwrap_or(Errno::EINVAL));
        }
    }

    /// An assertion of an input did not hold.
    pub(super) fn failed(&mut self, input: Option<usize>, line: String) {
        if let Some(input) = input {
            self.of(input).failed.push_str(&line);
        }
    }
}

impl Session {
    /// A line as an input.
    pub(super) fn input(&mut self, script: Arc<Script>, beside: bool) -> Input {
        let before = core::mem::replace(&mut self.client.at, self.k.events.now);
        let after = self.k.events.now.saturating_sub(before);
        if beside { Input::Beside { script, after } } else { Input::Line(script) }
    }

    /// Takes a line of a script of a program, which begins when the session is served. Where others are under way, it is
    /// done beside them.
    ///
    /// # Errors
    /// What is wrong with the line; nothing will be done then.
    pub fn give(&mut self, line: &str) -> Result<Ticket, String> {
        let script = Script::parse_with("sh", line, &self.vars).map_err(|e| e.to_string())?;
        self.has_room()?;
        self.rest();
        let beside = self.shell.is_some();
        if !beside {
            self.client.outcomes.clear();
        }
        let input = self.input(Arc::new(script), beside);
        self.branch(input);
        self.feed();
        Ok(Ticket(self.applied - 1))
    }

    /// Goes on until one of the commands is over, something stops the machine, or so many steps are done.
    pub fn serve(&mut self, commands: &[Ticket], most: u64) -> Served {
        self.cursor = None;
        let mut terminal = Vec::new();
        for _ in 0..most {
            if commands.iter().any(|command| self.is_over(*command)) {
                self.rest();
                return Served::Over;
            }
            let went_on = self.tick(&mut terminal);
            terminal.clear();
            if !went_on {
                return Served::Over;
            }
            if let Some(text) = self.stopped_after(self.base) {
                return Served::Stopped(text);
            }
            if !self.goes_on() {
                return Served::Stopped(format!("interrupted at step {}\n{}", self.step, self.place()));
            }
        }
        Served::Goes
    }

    /// Nothing of a command is left to do.
    pub fn is_over(&self, command: Ticket) -> bool {
        let Some(shell) = &self.shell else { return self.cursor.is_none() };
        let begun = self.begun.iter().find(|(input, _)| *input == command.0);
        command.0 < self.applied && begun.is_none_or(|(_, actor)| shell.is_over(*actor))
    }

    /// How a command has ended that is over. It is told once.
    pub fn outcome(&mut self, command: Ticket) -> Outcome {
        let outcomes = &mut self.client.outcomes;
        let at = outcomes.iter().position(|(input, _)| *input == command.0);
        at.map(|at| outcomes.swap_remove(at).1).unwrap_or_default()
    }

    /// The machine stands in the middle of a command, or at a place in the middle of a step.
    pub fn is_held(&self) -> bool {
        self.shell.as_ref().is_some_and(|shell| !shell.done()) || self.cursor.is_some()
    }

    /// Reads a file of the machine where the session stands, and no time passes.
    ///
    /// # Errors
    /// Those of [`vfs::read`].
    pub fn read(&mut self, path: &str) -> Result<Vec<u8>, Errno> {
        // The tracer's buffer is cut out of the record, which a picture has not.
        if self.cursor.is_some() && path.contains("/tracing/") {
            return self.look(|k| vfs::read_bytes(k, path));
        }
        vfs::read_bytes(self.here(), path)
    }
}
