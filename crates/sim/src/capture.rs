//! A capture folder: one machine, one script, and what was recorded.
//!
//! ```text
//! machine.toml  script.sh
//! 01-off3-graph.flow  02-on3.events     recordings, numbered in the order of the script
//! state-boot.txt  msix-boot.txt         states and MSI-X tables, by name alone
//! ```

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use diagnostic::{Diagnostic, Place};

use crate::machine::{Machine, MachineError};
use crate::script::{Action, Command, Program, RecordingKind, Script, ScriptError};

/// What a file of a capture holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Call trees.
    Flow,
    /// Tracepoints with stacks.
    Events,
    /// The event stream of a boot.
    BootEvents,
    /// What /proc and debugfs say.
    State,
    /// MSI-X tables.
    Msix,
}

/// A file that a script makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// What it holds.
    pub kind: Kind,
    /// The name in the script.
    pub name: String,
    /// The name of the file.
    pub file: String,
    /// The statements between the marks; for what has no marks, the statement itself.
    pub statements: Range<usize>,
    /// The script reads or writes a disk between the marks (see [`record::Options::io`]).
    pub io: bool,
}

/// The files that `script` makes, in order.
pub fn plan(script: &Script) -> Vec<Planned> {
    let mut files: Vec<Planned> = Vec::new();
    let mut recordings = 0;
    let mut open = None;
    // A job in the background reads a disk, and nobody has waited for it.
    let mut reads = false;
    for (i, statement) in script.statements.iter().enumerate() {
        let mut add = |kind, name: &str| {
            let file = match kind {
                Kind::Flow | Kind::Events | Kind::BootEvents => {
                    recordings += 1;
                    let extension = if kind == Kind::Flow { "flow" } else { "events" };
                    format!("{recordings:02}-{name}.{extension}")
                }
                Kind::State => format!("state-{name}.txt"),
                Kind::Msix => format!("msix-{name}.txt"),
            };
            files.push(Planned { kind, name: name.into(), file, statements: i..i + 1, io: false });
        };
        match &statement.action {
            Action::Begin { kind, name } => {
                let kind = match kind {
                    RecordingKind::Flow => Kind::Flow,
                    RecordingKind::Events => Kind::Events,
                };
                add(kind, name);
                if let Some(file) = files.last_mut() {
                    file.io = reads;
                }
                open = Some(files.len() - 1);
            }
            Action::End => {
                if let Some(file) = open.take().and_then(|at: usize| files.get_mut(at)) {
                    file.statements = file.statements.end..i;
                }
            }
            Action::Run(Command { program: Program::Wait, .. }) => reads = false,
            Action::Run(_)
            | Action::Expand(_)
            | Action::Assign { .. }
            | Action::For { .. }
            | Action::Job { .. }
            | Action::Assert(_) => {
                reads |= statement.goes_on_reading();
                if statement.reads_disk()
                    && let Some(file) = open.and_then(|at| files.get_mut(at))
                {
                    file.io = true;
                }
            }
            Action::BootEvents { name } => add(Kind::BootEvents, name),
            Action::State { name } => add(Kind::State, name),
            Action::Msix { name } => add(Kind::Msix, name),
        }
    }
    files
}

/// A file of a capture: its name and its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// The file's name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A capture folder in memory.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Where it was read from.
    pub folder: PathBuf,
    /// The text of `machine.toml`.
    pub machine: String,
    /// The script.
    pub script: Script,
    /// What the script makes, in order, and the text where the capture has the file. A capture may
    /// lack a state that its script takes.
    pub files: Vec<(Planned, Option<String>)>,
}

/// A capture folder that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The system refused.
    #[error("{}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The script is wrong.
    #[error(transparent)]
    Script(#[from] ScriptError),
}

impl Diagnostic for CaptureError {
    fn help(&self) -> Option<String> {
        match self {
            Self::Io { .. } => None,
            Self::Script(error) => error.help(),
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::Io { .. } => None,
            Self::Script(error) => error.place(),
        }
    }
}

impl Capture {
    /// The machine it was taken on.
    ///
    /// # Errors
    /// A mistake in `machine.toml`.
    pub fn machine(&self) -> Result<Machine, Box<MachineError>> {
        Machine::parse(&self.folder.join("machine.toml").display().to_string(), &self.machine)
    }

    /// Reads a folder.
    pub fn read(folder: &Path) -> Result<Self, CaptureError> {
        let machine = read(&folder.join("machine.toml"))?;
        let path = folder.join("script.sh");
        let script = Script::parse(&path.display().to_string(), &read(&path)?)?;
        let files = plan(&script)
            .into_iter()
            .map(|planned| {
                let text = match read(&folder.join(&planned.file)) {
                    Ok(text) => Some(text),
                    Err(CaptureError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
                    Err(e) => return Err(e),
                };
                Ok((planned, text))
            })
            .collect::<Result<_, CaptureError>>()?;
        Ok(Self { folder: folder.into(), machine, script, files })
    }

    /// Whether the machine has one NUMA node, as `[cpus] nodes` of `machine.toml` says.
    pub fn has_one_node(&self) -> bool {
        let Ok(machine) = self.machine.parse::<toml::Table>() else { return true };
        let nodes = machine.get("cpus").and_then(|cpus| cpus.get("nodes")).and_then(|nodes| nodes.as_array());
        nodes.is_none_or(|nodes| nodes.len() <= 1)
    }
}

/// Writes a folder: the machine, the script and what was recorded.
pub fn write(folder: &Path, machine: &str, script: &str, outputs: &[Output]) -> Result<(), CaptureError> {
    fs::create_dir_all(folder).map_err(|source| CaptureError::Io { path: folder.into(), source })?;
    let fixed = [("machine.toml", machine), ("script.sh", script)];
    let outputs = outputs.iter().map(|output| (output.name.as_str(), output.text.as_str()));
    for (name, text) in fixed.into_iter().chain(outputs) {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| CaptureError::Io { path, source })?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, CaptureError> {
    fs::read_to_string(path).map_err(|source| CaptureError::Io { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_numbered_and_states_are_not() {
        let text = "#: boot-events boot\n#: state a\n#: flow b\ntaskset -c 1 dd if=/x of=/y count=1\n#: end\n\
                    #: msix c\n#: events d\nsleep 1\n#: state e\nsleep 1\n#: end\n";
        let script = Script::parse("script.sh", text).unwrap();
        let files: Vec<_> = plan(&script).into_iter().map(|p| (p.kind, p.file, p.statements, p.io)).collect();
        assert_eq!(
            files,
            [
                (Kind::BootEvents, "01-boot.events".into(), 0..1, false),
                (Kind::State, "state-a.txt".into(), 1..2, false),
                (Kind::Flow, "02-b.flow".into(), 3..4, true),
                (Kind::Msix, "msix-c.txt".into(), 5..6, false),
                (Kind::Events, "03-d.events".into(), 7..10, false),
                (Kind::State, "state-e.txt".into(), 8..9, false),
            ]
        );
    }
}
