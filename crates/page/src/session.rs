//! A run of what was done in a session.

use debugger::Session;
use sim::lab::Lab;
use sim::shell::Progress;

use crate::run::{Case, Command, MOST_RECORDS, Run};
use crate::watch::Watch;

impl Run {
    /// What was done in a session, from its first line to the last step that it ever took: what [`Run::of`] makes of the same
    /// lines as a script. The session was opened on the machine of `case`, whose own script does not count. Where
    /// nothing was typed, the run is the boot.
    ///
    /// # Errors
    /// For a run of too many records; the sentence says which.
    pub fn of_session(case: &Case<'_>, session: &Session) -> Result<Self, String> {
        if session.end() == 0 {
            return Self::of(&Case { script: None, ..case.clone() });
        }
        let mut k = Lab::boot_with(case.machine, case.semantics.clone(), false).k;
        Watch::begin(&mut k);
        let first = k.trace.records.len();
        let mut commands = Vec::new();
        let terminal = session.again_on(&mut k, |k, progress, script, before| {
            if let Progress::Began(statement) = progress {
                let line = script.source(statement.span).lines().next().unwrap_or_default();
                commands.push(Command {
                    record: k.trace.records.len().saturating_sub(first),
                    line: line.to_owned(),
                    number: statement.span.line + before,
                });
            }
        });
        if k.trace.records.len() - first > MOST_RECORDS {
            return Err(format!("the session has more than {MOST_RECORDS} records: too much for a page"));
        }
        let mut run = Watch::end(&mut k, case.name, commands).ok_or("nobody looked at the run")?;
        run.terminal = terminal;
        Ok(run)
    }
}
