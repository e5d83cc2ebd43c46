//! What commands of the lab ask of the machine, through a file that no real machine has.
//!
//! A request is one write. What is read from the same open file afterwards is the answer: a line with an exit status, and
//! then text.

use debugger::WORDS;

use crate::Machine;

/// The file, below the folder of the test module.
pub const PATH: &str = "/sys/kernel/debug/irqlab/lab";

/// What passes before a state is read, as before that of a script: some dozen processes are started for it.
pub(crate) const BEFORE_STATE: &str = "sleep 0.019";

/// Folder and name of the file.
pub(crate) const FOLDER: &str = "/sys/kernel/debug/irqlab";
pub(crate) const NAME: &str = "lab";

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// A word of the session with its arguments, without a colon.
    Word(String),
    /// A line of a script, which takes its time.
    Line(String),
    /// The session as a script.
    Script,
    /// What was said of lines that the machine does not understand.
    Refused,
    /// What a state of a capture says.
    State {
        /// Also topology and queue maps.
        full: bool,
    },
}

impl Request {
    /// The text that is written.
    pub fn text(&self) -> String {
        match self {
            Self::Word(line) => format!("word {line}"),
            Self::Line(line) => format!("line {line}"),
            Self::Script => "script".to_owned(),
            Self::Refused => "refused".to_owned(),
            Self::State { full } => if *full { "state full" } else { "state" }.to_owned(),
        }
    }

    /// What was written.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_end_matches('\n');
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Some(match (word, rest) {
            ("word", line) => Self::Word(line.to_owned()),
            ("line", line) => Self::Line(line.to_owned()),
            ("script", "") => Self::Script,
            ("refused", "") => Self::Refused,
            ("state", "") => Self::State { full: false },
            ("state", "full") => Self::State { full: true },
            _ => return None,
        })
    }
}

/// An answer as it is read.
pub(crate) fn answer(status: u8, text: &str) -> Vec<u8> {
    format!("{status}\n{text}").into_bytes()
}

impl Machine {
    /// A word of the session: its exit status and its text.
    pub(crate) fn say_word(&self, line: &str) -> Vec<u8> {
        let first = line.split_whitespace().next().unwrap_or_default();
        let colon = WORDS.iter().any(|(word, ..)| word.strip_prefix(':') == Some(first));
        let line = if colon { format!(":{line}") } else { line.to_owned() };
        let reply = self.word(&line);
        if reply.quit {
            return answer(0, "leave the shell to end the session\n");
        }
        if reply.incomplete {
            return answer(1, "the line wants to be typed on\n");
        }
        answer(u8::from(reply.failed), &reply.text)
    }
}
