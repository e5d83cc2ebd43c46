//! The files that a script makes: the recordings and states that it asks for, and their names.

use std::ops::Range;

use crate::script::{Action, Command, Program, RecordingKind, Script};

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
