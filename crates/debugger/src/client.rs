//! Programs that work on the machine from outside: what they do is typed into the session, and how it ended is told as
//! a system call tells it.

use std::sync::Arc;

use kstate::Errno;

use super::{Input, Session};
use sim::script::Script;
use sim::shell::Complaint;
use sim::vfs;

/// How far a command of a program has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Given {
    /// It is over, with the error of what failed first.
    Done(Result<(), Errno>),
    /// Something stopped the machine in the middle of it; what to say.
    Stopped(String),
    /// The machine stands in the middle of another one.
    Busy,
}

impl Session {
    /// Does a line of a script for a program.
    ///
    /// # Errors
    /// What is wrong with the line; nothing was done then.
    pub fn give(&mut self, line: &str) -> Result<Given, String> {
        let script = Script::parse_with("sh", line, &self.vars).map_err(|e| e.to_string())?;
        if self.is_held() {
            return Ok(Given::Busy);
        }
        self.complaints.clear();
        self.branch(Input::Line(Arc::new(script)));
        let said = self.go_on()?;
        if self.is_held() {
            return Ok(Given::Stopped(said));
        }
        Ok(Given::Done(self.given()))
    }

    /// The machine stands in the middle of a command.
    pub fn is_held(&self) -> bool {
        self.shell.is_some() || self.cursor.is_some()
    }

    /// How the last command that was given has ended.
    ///
    /// # Errors
    /// The error of what failed first.
    pub fn given(&self) -> Result<(), Errno> {
        match self.complaints.first() {
            None => Ok(()),
            Some(complaint) => Err(complaint.errno.unwrap_or(Errno::EINVAL)),
        }
    }

    /// What went wrong in the last command that was given.
    pub fn complaints(&self) -> &[Complaint] {
        &self.complaints
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
