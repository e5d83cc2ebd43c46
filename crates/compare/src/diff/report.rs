//! How two runs differ, as data.

use serde::Serialize;

use super::attribution::Cause;

/// Which of the two runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The first.
    Left,
    /// The second.
    Right,
}

/// How two runs differ.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// The first run.
    pub left: String,
    /// The second run.
    pub right: String,
    /// One line per recording.
    pub recordings: Vec<Summary>,
    /// Functions that call differently, in order of appearance.
    pub functions: Vec<FunctionDiff>,
    /// What differs in the recordings of tracepoints.
    pub events: Vec<EventDiff>,
    /// What differs in the states.
    pub states: Vec<StateDiff>,
    /// How many states were compared.
    pub states_compared: usize,
    /// What the shell printed, where it differs.
    pub terminal: Vec<Printed>,
    /// What the kernel logged, where it differs.
    pub log: Vec<Printed>,
    /// The behaviours in which the two differ, once [`Report::explain`] has tried them.
    pub causes: Vec<Cause>,
}

/// What came of one recording.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Summary {
    /// The file it would be in a capture.
    pub file: String,
    /// What the script did.
    pub script: Vec<String>,
    /// Lines of the first run: calls and tracepoints.
    pub left: u32,
    /// Lines of the second run.
    pub right: u32,
    /// Lines that both have, at the same place in the tree.
    pub alike: u32,
    /// Calls that both have under another name.
    pub renamed: u32,
    /// Tracepoints that both have with other numbers.
    pub numbers: u32,
    /// Lines that only the first has.
    pub only_left: u32,
    /// Lines that only the second has.
    pub only_right: u32,
}

/// A function that calls others differently.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FunctionDiff {
    /// Its name in the first run; an actor, where outermost calls differ.
    pub left: String,
    /// Its name in the second run.
    pub right: String,
    /// File and line in the first run's kernel.
    pub left_place: Option<String>,
    /// File and line in the second run's kernel.
    pub right_place: Option<String>,
    /// These are the outermost calls of an actor.
    pub outermost: bool,
    /// The different ways in which it differs.
    pub variants: Vec<Variant>,
}

/// One way in which a function calls differently.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Variant {
    /// Calls above it, outermost first, where it was seen first.
    pub path: Vec<String>,
    /// Its callees.
    pub items: Vec<Item>,
    /// How often, by recording.
    pub seen: Vec<Seen>,
}

/// How often something was seen in a recording.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Seen {
    /// The recording.
    pub file: String,
    /// How often.
    pub times: u32,
}

/// Something among a function's callees.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Item {
    /// Callees that both have. Only those next to a difference are named.
    Alike {
        /// The first and the last, or the only one.
        calls: Vec<String>,
        /// How many stand between them.
        between: u32,
    },
    /// Only one run has it.
    Only {
        /// Which.
        side: Side,
        /// The call with everything below it.
        call: Call,
    },
    /// Both have it under different names.
    Renamed {
        /// In the first run.
        left: String,
        /// In the second run.
        right: String,
    },
    /// Another actor runs it.
    Moved {
        /// The call.
        call: String,
        /// Who in the first run.
        left: String,
        /// Who in the second run.
        right: String,
    },
    /// A tracepoint fired with other numbers.
    Numbers {
        /// Its name.
        tracepoint: String,
        /// The fields that differ.
        fields: Vec<Field>,
    },
    /// One run has another function around what both do.
    Within {
        /// Which.
        side: Side,
        /// The function around it.
        call: String,
        /// What is in it.
        items: Vec<Item>,
    },
    /// The same several times over.
    Repeated {
        /// How often.
        times: u32,
        /// What.
        items: Vec<Item>,
    },
}

/// A call with everything below it; equal neighbours are counted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Call {
    /// The function, or `@ name: fields` of a tracepoint.
    pub name: String,
    /// How often in a row.
    pub times: u32,
    /// What it calls.
    pub below: Vec<Call>,
}

/// A field with different values.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its values.
    pub changes: Vec<Change>,
}

/// A pair of values.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Change {
    /// In the first run.
    pub left: String,
    /// In the second run.
    pub right: String,
    /// How often.
    pub times: u32,
}

/// A kind of difference between recordings of tracepoints.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EventDiff {
    /// The tracepoint.
    pub tracepoint: String,
    /// The run that alone has it; none where both do.
    pub only: Option<Side>,
    /// The actors, where they differ.
    pub actors: Option<(String, String)>,
    /// Where only one has it: its stack, innermost first.
    pub stack: Vec<String>,
    /// Where both have it: functions that one stack has and the other has not.
    pub stack_changes: Vec<(Side, String)>,
    /// Fields that differ; where only one has it, none.
    pub fields: Vec<Field>,
    /// The first one's text.
    pub example: String,
    /// How often, by recording.
    pub seen: Vec<Seen>,
}

/// A line of the states that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StateDiff {
    /// The file; `N` stands for the number of an interrupt or queue.
    pub path: String,
    /// The line, by what stands in front of its colon; empty where the file is one value.
    pub line: String,
    /// Its values.
    pub changes: Vec<StateChange>,
}

/// A pair of values of a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StateChange {
    /// In the first run, if it has the line.
    pub left: Option<String>,
    /// In the second run, if it has the line.
    pub right: Option<String>,
    /// What `N` was.
    pub of: Vec<String>,
    /// The states that show it.
    pub states: Vec<String>,
    /// How often in all.
    pub times: u32,
}

/// A line of the shell's output or of the kernel's log that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Printed {
    /// Whose it is.
    pub side: Side,
    /// The line.
    pub line: String,
}

impl Report {
    /// The two runs did the same.
    pub fn is_empty(&self) -> bool {
        let Self {
            left: _,
            right: _,
            recordings: _,
            functions,
            events,
            states,
            states_compared: _,
            terminal,
            log,
            causes: _,
        } = self;
        functions.is_empty()
            && events.is_empty()
            && states.is_empty()
            && terminal.is_empty()
            && log.is_empty()
    }
}
