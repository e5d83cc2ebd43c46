//! Scripts: the small part of the root shell that a scenario is written in.
//!
//! ```text
//! #: flow off3              opens a recording of call trees
//! echo 0 > /sys/devices/system/cpu/cpu3/online
//! sleep 2
//! #: end                    closes it
//! #: state off3             takes a state
//! for cpu in 1 2 3; do
//!     echo 0 > /sys/devices/system/cpu/cpu$cpu/online
//! done
//! ```
//!
//! Lines are ordinary shell: `echo`, `printf`, `cat`, `ls`, `stat`, `dmesg`, `dd`, `taskset -c CPU COMMAND`, `sleep`,
//! output to a file, variables, `for` loops over words, jobs in the background, comments, single and
//! double quotes; docs/scripts.md has all of it with examples. A line that starts with `#:` is for the
//! recorder, or says what is to be true there, and a comment for a real shell.
//!
//! Commands with variables in them are parsed twice: here, with the values that the variables have
//! the first time round, so that a mistake shows before anything runs; and when they run.
//!
//! # What it doesn't implement
//! Substitution of commands, arithmetic, patterns, pipes, conditions, functions. A line that uses
//! them is an error rather than a surprise.

use std::collections::BTreeMap;
use std::sync::Arc;

use diagnostic::Diagnostic;

use lexer::{Place, Token};

pub use assertion::{Assertion, Failure, Relation};

mod assertion;
mod command;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;

/// Where a piece of a script stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// Offset into the text, in bytes.
    pub offset: usize,
    /// Length in bytes.
    pub len: usize,
}

/// A whole script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// The name of the file, for messages.
    pub name: String,
    /// The text it was read from.
    pub text: String,
    /// Its statements in order.
    pub statements: Vec<Statement>,
}

/// One line that does something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// The whole line, without a comment behind it.
    pub span: Span,
    /// What it does.
    pub action: Action,
}

/// What a statement does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Runs a command.
    Run(Command),
    /// Runs a command that has variables in it.
    Expand(Line),
    /// `NAME=VALUE`.
    Assign {
        /// The variable.
        name: String,
        /// Its new value.
        value: Word,
    },
    /// `for NAME in WORDS; do ...; done`.
    For {
        /// The variable.
        name: String,
        /// What it is set to, one after the other.
        words: Vec<Word>,
        /// What is done each time.
        body: Arc<[Statement]>,
    },
    /// `... &`: a job that runs in the background.
    Job {
        /// One command or loop, or the assignments of one command.
        body: Arc<[Statement]>,
    },
    /// `#: assert PATH OP VALUE`: says what is to be true here.
    Assert(Assertion),
    /// `#: flow NAME`, `#: events NAME`: opens a recording.
    Begin {
        /// Of what.
        kind: RecordingKind,
        /// Its name.
        name: String,
    },
    /// `#: end`: closes the open recording.
    End,
    /// `#: boot-events NAME`: everything that happened since power-on.
    BootEvents {
        /// Its name.
        name: String,
    },
    /// `#: state NAME`: what /proc and debugfs say now.
    State {
        /// Its name.
        name: String,
    },
    /// `#: msix NAME`: the devices' MSI-X tables as they are now.
    Msix {
        /// Its name.
        name: String,
    },
}

/// Recordings with a beginning and an end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecordingKind {
    /// Call trees.
    Flow,
    /// Tracepoints with stacks.
    Events,
}

/// A command of the shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// The CPU that `taskset -c` pins it to.
    pub cpu: Option<u32>,
    /// What runs.
    pub program: Program,
    /// What goes wrong is not printed: `2>/dev/null`.
    pub quiet: bool,
}

/// The programs there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Program {
    /// `echo VALUE > PATH`: one write of the value and a newline.
    Echo {
        /// The words, with one space between them.
        value: String,
        /// Where to.
        path: Path,
        /// `>>`: what is in the file stays.
        append: bool,
    },
    /// `printf FORMAT > PATH`: one write of the format's characters, without a newline that it has not.
    Printf {
        /// What is written.
        text: String,
        /// Where to.
        path: Path,
        /// `>>`: what is in the file stays.
        append: bool,
    },
    /// `echo VALUE`: prints it.
    Print {
        /// The words, with one space between them.
        value: String,
    },
    /// `ls PATH`: prints the names in a directory, one per line.
    Ls {
        /// What.
        path: Path,
        /// `-l`: with modes, owners, sizes and times.
        long: bool,
    },
    /// `stat -c FORMAT PATH`: prints what the format asks for, a line for each file.
    Stat {
        /// `%a`, `%A`, `%n`, `%U`, `%u`, `%G`, `%g`, `%%` and text.
        format: String,
        /// What.
        paths: Vec<Path>,
    },
    /// `dmesg`: prints the kernel log.
    Dmesg,
    /// `cat PATH`.
    Cat {
        /// What.
        path: Path,
        /// The output goes to /dev/null.
        quiet: bool,
    },
    /// `dd`: reads `count` blocks, one after the other.
    Dd {
        /// `if=`.
        input: Path,
        /// `of=`.
        output: Path,
        /// `bs=` in bytes.
        block_size: u64,
        /// `count=`.
        count: u64,
        /// `skip=`, in blocks.
        skip: u64,
        /// `iflag=direct`: around the page cache.
        direct: bool,
    },
    /// `sleep SECONDS`.
    Sleep {
        /// How long.
        nanoseconds: u64,
    },
    /// `wait`: for the jobs that this shell started.
    Wait,
}

impl Program {
    /// The line of a script that writes `text` to a file in one write.
    ///
    /// ```
    /// # use sim::script::Program;
    /// assert_eq!(Program::write_line("0\n", "/proc/x", false), "echo 0 > /proc/x");
    /// assert_eq!(Program::write_line("0-3", "/proc/x", true), "printf 0-3 >> /proc/x");
    /// assert_eq!(Program::write_line("a\nb c", "/proc/x", false), "printf 'a\\nb c' > /proc/x");
    /// ```
    pub fn write_line(text: &str, path: &str, append: bool) -> String {
        let into = if append { ">>" } else { ">" };
        let path = quoted(path);
        let plain = |c: char| !c.is_control() && c != '\\';
        match text.strip_suffix('\n') {
            Some("") => format!("echo {into} {path}"),
            Some(value) if value.chars().all(plain) && !value.starts_with('-') => {
                format!("echo {} {into} {path}", quoted(value))
            }
            _ => format!("printf {} {into} {path}", quoted(&escaped(text))),
        }
    }
}

/// A word as a shell reads it back.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:,+@=".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.contains('=') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

/// A format of `printf` that writes this text.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            '%' => out.push_str("%%"),
            // A format is no option.
            '-' if at == 0 => out.push_str("\\055"),
            c if c.is_ascii_control() => out.push_str(&format!("\\{:03o}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A path, and where it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// The path.
    pub text: String,
    /// Where it is written.
    pub span: Span,
}

/// Part of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// Itself.
    Text { text: String, quoted: bool },
    /// `$NAME` or `${NAME}`.
    Variable {
        name: String,
        /// Inside double quotes, where its value is not split into words.
        quoted: bool,
        span: Span,
    },
}

/// A word before its variables are replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    pieces: Vec<Piece>,
    /// Where it is written.
    pub span: Span,
}

/// A command before its variables are replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    tokens: Vec<(Token, Span)>,
    end: Span,
}

impl Line {
    /// One of its words is `dd`: the command may read a disk.
    pub fn mentions_dd(&self) -> bool {
        self.tokens.iter().any(|(token, _)| matches!(token, Token::Word(word) if word.plain() == Some("dd")))
    }
}

/// The variables of a shell, by name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// A variable's value; empty when it was never set, as in a shell.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Word {
    /// Its text, where it has no variables and no quotes.
    fn plain(&self) -> Option<&str> {
        match &self.pieces[..] {
            [Piece::Text { text, quoted: false }] => Some(text),
            _ => None,
        }
    }

    /// Its value as one word.
    pub fn value(&self, vars: &Variables) -> String {
        let pieces = self.pieces.iter();
        pieces
            .map(|piece| match piece {
                Piece::Text { text, .. } => text.as_str(),
                Piece::Variable { name, .. } => vars.get(name),
            })
            .collect()
    }

    /// The words it becomes: a value outside quotes is split where it has spaces.
    pub fn fields(&self, vars: &Variables) -> Vec<String> {
        let mut fields = Vec::new();
        let mut open: Option<String> = None;
        for piece in &self.pieces {
            match piece {
                Piece::Text { text, .. } => open.get_or_insert_default().push_str(text),
                Piece::Variable { name, quoted: true, .. } => {
                    open.get_or_insert_default().push_str(vars.get(name));
                }
                Piece::Variable { name, quoted: false, .. } => {
                    for c in vars.get(name).chars() {
                        if c.is_ascii_whitespace() {
                            fields.extend(open.take());
                        } else {
                            open.get_or_insert_default().push(c);
                        }
                    }
                }
            }
        }
        fields.extend(open);
        fields
    }
}

/// What is wrong with a script.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ScriptError {
    /// In one sentence.
    pub message: String,
    place: Box<diagnostic::Place>,
    /// What could stand there, where that is known.
    pub help: Option<String>,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The text ends in the middle of a loop: more of it may make it right.
    pub incomplete: bool,
}

/// The commands there are, for completion.
pub const COMMANDS: [&str; 13] =
    ["cat", "dd", "dmesg", "do", "done", "echo", "for", "in", "ls", "sleep", "stat", "taskset", "wait"];

impl Diagnostic for ScriptError {
    fn help(&self) -> Option<String> {
        self.help.clone()
    }

    fn place(&self) -> Option<&diagnostic::Place> {
        Some(&self.place)
    }
}

impl ScriptError {
    /// What was expected there.
    pub fn label(&self) -> &str {
        self.place.label()
    }
}

impl Script {
    /// Parses a script; `name` is the file's name in messages.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScriptError> {
        Self::parse_with(name, text, &Variables::default())
    }

    /// Parses a script that is run where some variables are set already.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse_with(name: &str, text: &str, vars: &Variables) -> Result<Self, ScriptError> {
        parser::parse(name, text, vars)
    }

    /// The text of a piece of the script.
    pub fn source(&self, span: Span) -> &str {
        self.text.get(span.offset..span.offset + span.len).unwrap_or("")
    }

    /// It starts jobs in the background.
    pub fn starts_jobs(&self) -> bool {
        self.statements.iter().any(Statement::starts_job)
    }

    /// The paths that its assertions read, with variables as they are written.
    pub fn asserted_paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut each = |assertion: &Assertion| paths.push(assertion.path());
        self.statements.iter().for_each(|statement| statement.assertions(&mut each));
        paths
    }

    /// The command that a line with variables becomes.
    ///
    /// # Errors
    /// Values that make no command of it.
    pub fn expand(&self, line: &Line, vars: &Variables) -> Result<Command, ScriptError> {
        Place { name: &self.name, text: &self.text }.expand(line, vars)
    }
}

impl Statement {
    /// The statement reads a disk, or may: it is a `dd`, or a loop or job with one.
    pub fn reads_disk(&self) -> bool {
        match &self.action {
            Action::Run(Command { program, .. }) => matches!(program, Program::Dd { .. }),
            Action::Expand(line) => line.mentions_dd(),
            Action::For { body, .. } | Action::Job { body } => body.iter().any(Self::reads_disk),
            _ => false,
        }
    }

    /// It starts a job, or something in it does.
    pub fn starts_job(&self) -> bool {
        match &self.action {
            Action::Job { .. } => true,
            Action::For { body, .. } => body.iter().any(Self::starts_job),
            _ => false,
        }
    }

    /// Calls `each` with every assertion in it.
    fn assertions<'a>(&'a self, each: &mut impl FnMut(&'a Assertion)) {
        match &self.action {
            Action::Assert(assertion) => each(assertion),
            Action::For { body, .. } | Action::Job { body } => body.iter().for_each(|s| s.assertions(each)),
            _ => {}
        }
    }

    /// A job that it starts reads a disk, or may, and goes on when the statement is over.
    pub fn goes_on_reading(&self) -> bool {
        match &self.action {
            Action::Job { .. } => self.reads_disk(),
            Action::For { body, .. } => body.iter().any(Self::goes_on_reading),
            _ => false,
        }
    }
}
