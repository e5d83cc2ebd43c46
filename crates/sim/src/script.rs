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
//! Lines are ordinary shell: `echo`, `cat`, `ls`, `dmesg`, `dd`, `taskset -c CPU COMMAND`, `sleep`,
//! output to a file, variables, `for` loops over words, comments, single and double quotes;
//! docs/scripts.md has all of it with examples. A line that starts with `#:` is for the recorder,
//! and a comment for a real shell.
//!
//! Commands with variables in them are parsed twice: here, with the values that the variables have
//! the first time round, so that a mistake shows before anything runs; and when they run.
//!
//! # What it doesn't implement
//! Substitution of commands, arithmetic, patterns, pipes, conditions, functions. A line that uses
//! them is an error rather than a surprise.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};

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
    /// `echo VALUE`: prints it.
    Print {
        /// The words, with one space between them.
        value: String,
    },
    /// `ls PATH`: prints the names in a directory, one per line.
    Ls {
        /// What.
        path: Path,
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
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct ScriptError {
    /// In one sentence.
    pub message: String,
    #[source_code]
    source_code: Arc<NamedSource<String>>,
    #[label("{label}")]
    span: SourceSpan,
    label: String,
    /// What could stand there, where that is known.
    #[help]
    pub help: Option<String>,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The text ends in the middle of a loop: more of it may make it right.
    pub incomplete: bool,
}

const PROGRAMS: &str = "`echo`, `cat`, `ls`, `dmesg`, `dd`, `sleep`, `taskset`, `for` or `NAME=value`";
const DIRECTIVES: &str = "`flow`, `events`, `boot-events`, `end`, `state` or `msix`";
const DD_OPERANDS: &str = "`if=`, `of=`, `bs=`, `count=`, `skip=`, `iflag=direct` or `status=none`";
/// Loops inside loops; more is no scenario.
const DEEPEST: usize = 16;

/// The commands there are, for completion.
pub const COMMANDS: [&str; 11] =
    ["cat", "dd", "dmesg", "do", "done", "echo", "for", "in", "ls", "sleep", "taskset"];

impl ScriptError {
    /// What was expected there.
    pub fn label(&self) -> &str {
        &self.label
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
        let mut parser = Parser {
            place: Place { name, text },
            lines: Vec::new(),
            queue: VecDeque::new(),
            open: None,
            names: Vec::new(),
            vars: vars.clone(),
            live: true,
            depth: 0,
        };
        let mut offset = 0;
        for (i, raw) in text.split_inclusive('\n').enumerate() {
            let line = raw.trim_end_matches(['\n', '\r']);
            parser.lines.push(Source { line: i + 1, start: offset, text: line });
            offset += raw.len();
        }
        parser.lines.reverse();
        let statements = parser.statements(None)?;
        match parser.open {
            None => Ok(Self { name: name.into(), text: text.into(), statements }),
            Some(span) => Err(parser.place.error(
                span,
                "a recording is never closed",
                "opened here",
                Some("close it with `#: end`".into()),
            )),
        }
    }

    /// The text of a piece of the script.
    pub fn source(&self, span: Span) -> &str {
        self.text.get(span.offset..span.offset + span.len).unwrap_or("")
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
    /// The statement reads a disk, or may: it is a `dd`, or a loop with one.
    pub fn reads_disk(&self) -> bool {
        match &self.action {
            Action::Run(Command { program, .. }) => matches!(program, Program::Dd { .. }),
            Action::Expand(line) => line.mentions_dd(),
            Action::For { body, .. } => body.iter().any(Self::reads_disk),
            _ => false,
        }
    }
}

/// One line of the text.
#[derive(Clone, Copy)]
struct Source<'a> {
    line: usize,
    start: usize,
    text: &'a str,
}

impl Source<'_> {
    fn span(&self, from: usize, to: usize) -> Span {
        let column = self.text.get(..from).map_or(0, |before| before.chars().count()) + 1;
        Span { line: self.line, column, offset: self.start + from, len: to - from }
    }

    fn end(&self) -> Span {
        self.span(self.text.len(), self.text.len())
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Word(Word),
    /// `>`, or `>>`.
    Into {
        append: bool,
    },
    /// `;`
    Semicolon,
    /// The end of a line.
    Newline,
}

/// What a piece of a script is looked up in for messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    text: &'a str,
}

struct Parser<'a> {
    place: Place<'a>,
    /// Lines that were not looked at, the next one last.
    lines: Vec<Source<'a>>,
    /// The rest of the current line.
    queue: VecDeque<(Token, Span)>,
    /// The recording that waits for its end.
    open: Option<Span>,
    /// Names already used, by the kind of file they make.
    names: Vec<(&'static str, String)>,
    /// Variables as they are the first time this is reached.
    vars: Variables,
    /// This is reached at all.
    live: bool,
    depth: usize,
}

/// A word or a redirection, its variables replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Ready {
    Word(String),
    Into { append: bool },
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<(Ready, Span)>>;

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// From the first token to the last.
fn whole(tokens: &[(Token, Span)]) -> Option<Span> {
    let ((_, first), (_, last)) = (tokens.first()?, tokens.last()?);
    Some(Span { len: last.offset + last.len - first.offset, ..*first })
}

impl<'a> Parser<'a> {
    /// Statements up to the end, or to the `done` of the loop that begins at `inside`.
    fn statements(&mut self, inside: Option<Span>) -> Result<Vec<Statement>, ScriptError> {
        let mut statements = Vec::new();
        loop {
            if self.queue.is_empty() {
                let Some(at) = self.lines.pop() else {
                    return match inside {
                        None => Ok(statements),
                        Some(span) => Err(ScriptError {
                            incomplete: true,
                            ..self.place.error(
                                span,
                                "a loop is never closed",
                                "opened here",
                                Some("close it with `done`".into()),
                            )
                        }),
                    };
                };
                if at.text.starts_with("#:") {
                    if let Some(open) = inside {
                        return Err(self.place.error(
                            at.span(0, at.text.len()),
                            "a line for the recorder inside a loop",
                            format!(
                                "the loop of line {} would make the same file again and again",
                                open.line
                            ),
                            Some("put it before `for` or behind `done`".into()),
                        ));
                    }
                    statements.push(self.directive(at)?);
                    continue;
                }
                let tokens = self.place.tokens(at)?;
                self.queue.extend(tokens);
                self.queue.push_back((Token::Newline, at.end()));
            }
            match self.queue.front() {
                Some((Token::Newline, _)) => {
                    self.queue.pop_front();
                }
                Some((Token::Word(word), span)) if word.plain() == Some("done") => {
                    let span = *span;
                    if inside.is_none() {
                        return Err(self.place.expected(span, "`done` without a loop", "a command"));
                    }
                    if statements.is_empty() {
                        return Err(self.place.expected(span, "a loop that does nothing", "a command"));
                    }
                    return Ok(statements);
                }
                Some((Token::Word(word), _)) if word.plain() == Some("for") => {
                    statements.push(self.for_loop()?);
                    self.separator()?;
                }
                _ => {
                    self.simple(&mut statements)?;
                    self.separator()?;
                }
            }
        }
    }

    /// What stands between two commands of a line; the end of the line stays.
    fn separator(&mut self) -> Result<(), ScriptError> {
        match self.queue.front() {
            None | Some((Token::Newline, _)) => Ok(()),
            Some((Token::Semicolon, _)) => {
                self.queue.pop_front();
                Ok(())
            }
            Some((_, span)) => {
                Err(self.place.expected(*span, "the command ends before this", "`;` or the end of the line"))
            }
        }
    }

    /// The next token; where the text ends inside a loop, an error that more text may heal.
    fn token(&mut self, message: &str, words: &str) -> Result<(Token, Span), ScriptError> {
        if let Some(token) = self.queue.pop_front() {
            return Ok(token);
        }
        let end = self.place.end();
        let Some(at) = self.lines.pop() else {
            return Err(ScriptError { incomplete: true, ..self.place.expected(end, message, words) });
        };
        let tokens = self.place.tokens(at)?;
        self.queue.extend(tokens);
        self.queue.push_back((Token::Newline, at.end()));
        self.token(message, words)
    }

    fn for_loop(&mut self) -> Result<Statement, ScriptError> {
        let (_, start) = self.token("", "")?;
        let place = self.place;
        if self.depth >= DEEPEST {
            return Err(place.expected(start, "loops inside loops inside loops", "fewer of them"));
        }
        let (token, span) = self.token("`for` needs a variable", "a variable's name")?;
        let name = match &token {
            Token::Word(word) => word.plain().filter(|w| is_name(w)),
            _ => None,
        };
        let Some(name) = name.map(str::to_owned) else {
            return Err(place.expected(span, "`for` needs a variable", "a variable's name"));
        };
        let (token, span) = self.token("`for` needs words", "`in`")?;
        if !matches!(&token, Token::Word(word) if word.plain() == Some("in")) {
            return Err(place.expected(span, "`for` needs words", "`in`"));
        }
        let mut words = Vec::new();
        loop {
            let message = "the words of a loop end with `;` or the line";
            match self.token(message, "`; do`")? {
                (Token::Word(word), _) => {
                    place.check_variables(&word, &self.vars)?;
                    words.push(word);
                }
                (Token::Semicolon | Token::Newline, _) => break,
                (Token::Into { .. }, span) => return Err(place.expected(span, message, "`; do`")),
            }
        }
        loop {
            match self.token("a loop needs a body", "`do`")? {
                (Token::Newline, _) => {}
                (Token::Word(word), _) if word.plain() == Some("do") => break,
                (_, span) => return Err(place.expected(span, "a loop needs a body", "`do`")),
            }
        }
        if let Some((Token::Semicolon, span)) = self.queue.front() {
            return Err(place.expected(*span, "`do` is followed by a command", "a command"));
        }
        let (live, vars) = (self.live, self.vars.clone());
        let first = words.iter().flat_map(|w| w.fields(&vars)).next();
        self.live &= first.is_some();
        self.vars.set(&name, first.unwrap_or_default());
        self.depth += 1;
        let body = self.statements(Some(start))?;
        self.depth -= 1;
        self.live = live;
        let (_, end) = self.token("", "")?;
        let span = Span { len: end.offset + end.len - start.offset, ..start };
        Ok(Statement { span, action: Action::For { name, words, body: body.into() } })
    }

    /// A command or assignments, up to the end of it.
    fn simple(&mut self, statements: &mut Vec<Statement>) -> Result<(), ScriptError> {
        let mut tokens = Vec::new();
        while let Some(token) = self.queue.pop_front() {
            if matches!(token.0, Token::Semicolon | Token::Newline) {
                self.queue.push_front(token);
                break;
            }
            tokens.push(token);
        }
        let end = self.queue.front().map_or_else(|| self.place.end(), |(_, span)| *span);
        let Some(span) = whole(&tokens) else {
            return Err(self.place.expected(end, "there is no command here", PROGRAMS));
        };
        let assigned = tokens.iter().take_while(|(token, _)| assignment(token).is_some()).count();
        if assigned > 0 {
            if let Some((_, span)) = tokens.get(assigned) {
                return Err(self.place.expected(
                    *span,
                    "a variable for one command only",
                    "`;` or the end of the line",
                ));
            }
            for (token, span) in tokens {
                let Some((name, value)) = assignment(&token) else { continue };
                self.place.check_variables(&value, &self.vars)?;
                let now = value.value(&self.vars);
                self.vars.set(&name, now);
                statements.push(Statement { span, action: Action::Assign { name, value } });
            }
            return Ok(());
        }
        let mut variables = false;
        for (token, _) in &tokens {
            if let Token::Word(word) = token {
                self.place.check_variables(word, &self.vars)?;
                variables |= word.pieces.iter().any(|p| matches!(p, Piece::Variable { .. }));
            }
        }
        let line = Line { tokens, end };
        let action = if variables {
            if self.live {
                self.place.expand(&line, &self.vars)?;
            }
            Action::Expand(line)
        } else {
            Action::Run(self.place.expand(&line, &self.vars)?)
        };
        statements.push(Statement { span, action });
        Ok(())
    }

    fn directive(&mut self, at: Source<'_>) -> Result<Statement, ScriptError> {
        let mut words = split_words(at.text, 2);
        let to = words.last().map_or(at.text.len(), |&(_, to)| to);
        let whole = at.span(0, to);
        let mut next = words.drain(..);
        let Some((from, to)) = next.next() else {
            return Err(self.place.expected(
                at.end(),
                "a line for the recorder that says nothing",
                DIRECTIVES,
            ));
        };
        let word = &at.text[from..to];
        let keyword = at.span(from, to);
        let kind = match word {
            "flow" | "events" | "boot-events" | "state" | "msix" => Some(word),
            "end" => None,
            _ => {
                let message = format!("the recorder does not know `{word}`");
                return Err(self.place.expected(keyword, message, DIRECTIVES));
            }
        };
        let name = match kind {
            None => String::new(),
            Some(kind) => {
                let Some((from, to)) = next.next() else {
                    return Err(self.place.expected(at.end(), format!("`#: {kind}` needs a name"), "a name"));
                };
                let name = &at.text[from..to];
                let span = at.span(from, to);
                if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
                    let message = format!("`{name}` cannot be part of a file's name");
                    return Err(self.place.expected(span, message, "letters, digits, `-`, `_` and `.`"));
                }
                // Recordings are told apart by their number, states and tables by nothing else.
                if let "state" | "msix" = kind {
                    let kind = if kind == "state" { "state" } else { "msix" };
                    let key = (kind, name.to_owned());
                    if self.names.contains(&key) {
                        let message = format!("there is a `#: {kind} {name}` already");
                        return Err(self.place.expected(span, message, "another name"));
                    }
                    self.names.push(key);
                }
                name.to_owned()
            }
        };
        if let Some((from, to)) = next.next() {
            return Err(self.place.expected(
                at.span(from, to),
                "nothing follows here",
                "the end of the line",
            ));
        }
        let action = match word {
            "flow" | "events" => {
                if let Some(open) = self.open {
                    return Err(self.place.error(
                        keyword,
                        "a recording inside a recording",
                        format!("the recording of line {} is still open", open.line),
                        Some("close it with `#: end` first".into()),
                    ));
                }
                self.open = Some(keyword);
                let kind = if word == "flow" { RecordingKind::Flow } else { RecordingKind::Events };
                Action::Begin { kind, name }
            }
            "end" => {
                if self.open.take().is_none() {
                    return Err(self.place.error(keyword, "no recording is open", "nothing to end", None));
                }
                Action::End
            }
            "boot-events" => Action::BootEvents { name },
            "state" => Action::State { name },
            _ => Action::Msix { name },
        };
        Ok(Statement { span: whole, action })
    }
}

/// `NAME=VALUE` as name and value.
fn assignment(token: &Token) -> Option<(String, Word)> {
    let Token::Word(word) = token else { return None };
    let [Piece::Text { text, quoted: false }, rest @ ..] = &word.pieces[..] else { return None };
    let (name, value) = text.split_once('=')?;
    let first = Piece::Text { text: value.to_owned(), quoted: false };
    let pieces = std::iter::once(first).chain(rest.iter().cloned()).collect();
    is_name(name).then(|| (name.to_owned(), Word { pieces, span: word.span }))
}

impl Place<'_> {
    fn error(
        &self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) -> ScriptError {
        ScriptError {
            message: message.into(),
            source_code: Arc::new(NamedSource::new(self.name, self.text.to_owned())),
            span: (span.offset, span.len).into(),
            label: label.into(),
            help,
            line: span.line,
            column: span.column,
            incomplete: false,
        }
    }

    fn expected(&self, span: Span, message: impl Into<String>, words: &str) -> ScriptError {
        self.error(span, message, format!("expected {words}"), None)
    }

    /// Where the text ends.
    fn end(&self) -> Span {
        let line = self.text.lines().count().max(1);
        let last = self.text.lines().last().unwrap_or("");
        Span { line, column: last.chars().count() + 1, offset: self.text.len(), len: 0 }
    }

    /// A variable that was never set is more likely a slip than an empty word.
    fn check_variables(&self, word: &Word, vars: &Variables) -> Result<(), ScriptError> {
        for piece in &word.pieces {
            let Piece::Variable { name, span, .. } = piece else { continue };
            if !vars.names().any(|known| known == name) {
                let message = format!("`{name}` was never set");
                return Err(self.expected(
                    *span,
                    message,
                    &format!("`{name}=...` or a loop over `{name}` before this"),
                ));
            }
        }
        Ok(())
    }

    fn expand(&self, line: &Line, vars: &Variables) -> Result<Command, ScriptError> {
        let mut ready = Vec::new();
        let mut target = false;
        for (token, span) in &line.tokens {
            match token {
                // The name of a file is one word, whatever is in it.
                Token::Word(word) if target => ready.push((Ready::Word(word.value(vars)), *span)),
                Token::Word(word) => {
                    ready.extend(word.fields(vars).into_iter().map(|w| (Ready::Word(w), *span)))
                }
                Token::Into { append } => ready.push((Ready::Into { append: *append }, *span)),
                Token::Semicolon | Token::Newline => {}
            }
            target = matches!(token, Token::Into { .. });
        }
        let mut rest = ready.into_iter().peekable();
        let command = self.command(&mut rest, line.end)?;
        match rest.next() {
            None => Ok(command),
            Some((_, span)) => {
                Err(self.expected(span, "the command ends before this", "the end of the line"))
            }
        }
    }

    fn tokens(&self, at: Source<'_>) -> Result<Vec<(Token, Span)>, ScriptError> {
        let mut tokens = Vec::new();
        let mut chars = at.text.char_indices().peekable();
        while let Some(&(from, c)) = chars.peek() {
            match c {
                ' ' | '\t' => {
                    chars.next();
                }
                '#' => break,
                ';' => {
                    chars.next();
                    tokens.push((Token::Semicolon, at.span(from, from + 1)));
                }
                '>' => {
                    chars.next();
                    let append = chars.next_if(|&(_, c)| c == '>').is_some();
                    let to = from + 1 + usize::from(append);
                    tokens.push((Token::Into { append }, at.span(from, to)));
                }
                _ => {
                    let (word, to) = self.word(at, from, &mut chars)?;
                    let span = at.span(from, to);
                    tokens.push((Token::Word(Word { pieces: word, span }), span));
                }
            }
        }
        Ok(tokens)
    }

    fn word(
        &self,
        at: Source<'_>,
        from: usize,
        chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    ) -> Result<(Vec<Piece>, usize), ScriptError> {
        let mut pieces = Vec::new();
        let mut to = from;
        let mut quote: Option<(char, usize)> = None;
        let push = |pieces: &mut Vec<Piece>, c: Option<char>, quoted: bool| {
            if let Some(Piece::Text { text, quoted: q }) = pieces.last_mut()
                && *q == quoted
            {
                text.extend(c);
            } else {
                pieces.push(Piece::Text { text: c.into_iter().collect(), quoted });
            }
        };
        while let Some(&(i, c)) = chars.peek() {
            match (quote, c) {
                (None, ' ' | '\t' | '>' | ';') => break,
                (None, '\'' | '"') => {
                    quote = Some((c, i));
                    // Quotes with nothing between them are a word all the same.
                    push(&mut pieces, None, true);
                }
                (Some((q, _)), c) if c == q => quote = None,
                (Some(('\'', _)), c) => push(&mut pieces, Some(c), true),
                (_, '$') => {
                    let (name, len) = self.variable(at, i)?;
                    let span = at.span(i, i + len);
                    pieces.push(Piece::Variable { name, quoted: quote.is_some(), span });
                    while chars.next_if(|&(j, _)| j < i + len).is_some() {}
                    to = i + len;
                    continue;
                }
                (_, '`' | '\\') | (None, '|' | '&' | '<' | '(' | ')' | '*' | '?' | '[' | '{' | '~') => {
                    return Err(self.error(
                        at.span(i, i + c.len_utf8()),
                        format!("`{c}` has a meaning for the shell that scripts do not use"),
                        "not in a script",
                        Some("quote the character to have it as it is".into()),
                    ));
                }
                (_, c) => push(&mut pieces, Some(c), quote.is_some()),
            }
            to = i + c.len_utf8();
            chars.next();
        }
        match quote {
            None => Ok((pieces, to)),
            Some((q, i)) => {
                let span = at.span(i, at.text.len());
                Err(self.error(span, "a quote is never closed", "opened here", Some(format!("add a `{q}`"))))
            }
        }
    }

    /// The variable whose `$` is at `i`, and the length of what names it.
    fn variable(&self, at: Source<'_>, i: usize) -> Result<(String, usize), ScriptError> {
        let rest = at.text.get(i + 1..).unwrap_or("");
        let (braces, inner) = match rest.strip_prefix('{') {
            Some(inner) => (true, inner),
            None => (false, rest),
        };
        let len = inner.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let name = &inner[..len];
        let closed = !braces || inner[len..].starts_with('}');
        if is_name(name) && closed {
            return Ok((name.to_owned(), 1 + len + 2 * usize::from(braces)));
        }
        let span = at.span(i, i + 1);
        Err(self.expected(span, "`$` stands before the name of a variable", "`$NAME` or `${NAME}`"))
    }

    fn next_word(
        &self,
        tokens: &mut Tokens,
        end: Span,
        message: &str,
        words: &str,
    ) -> Result<(String, Span), ScriptError> {
        match tokens.next() {
            Some((Ready::Word(word), span)) => Ok((word, span)),
            Some((Ready::Into { .. }, span)) => Err(self.expected(span, message, words)),
            None => Err(self.expected(end, message, words)),
        }
    }

    fn path(&self, tokens: &mut Tokens, end: Span, message: &str) -> Result<Path, ScriptError> {
        let (text, span) = self.next_word(tokens, end, message, "a path")?;
        self.absolute(text, span)
    }

    fn absolute(&self, text: String, span: Span) -> Result<Path, ScriptError> {
        if text.starts_with('/') {
            Ok(Path { text, span })
        } else {
            let message = format!("`{text}` depends on where the shell stands");
            Err(self.expected(span, message, "a path from `/` on"))
        }
    }

    fn command(&self, tokens: &mut Tokens, end: Span) -> Result<Command, ScriptError> {
        let mut cpu = None;
        let (mut word, mut span) = self.next_word(tokens, end, "there is no command here", PROGRAMS)?;
        while word == "taskset" {
            let (flag, at) = self.next_word(tokens, end, "`taskset` needs a CPU", "`-c`")?;
            if flag != "-c" {
                return Err(self.expected(at, "`taskset` is used with a CPU number", "`-c`"));
            }
            let (text, at) = self.next_word(tokens, end, "`taskset -c` needs a CPU", "a CPU number")?;
            let Ok(number) = text.parse() else {
                let message = format!("`{text}` is not one CPU");
                return Err(self.expected(at, message, "a CPU number"));
            };
            // As on a real machine the inner of two wins.
            cpu = Some(number);
            (word, span) = self.next_word(tokens, end, "there is no command here", PROGRAMS)?;
        }
        let program = match word.as_str() {
            "echo" => self.echo(tokens, end)?,
            "cat" => self.cat(tokens, end)?,
            "ls" => Program::Ls { path: self.path(tokens, end, "`ls` needs a directory")? },
            "dmesg" => Program::Dmesg,
            "dd" => self.dd(tokens, span)?,
            "sleep" => {
                let (text, span) = self.next_word(tokens, end, "`sleep` needs a time", "seconds")?;
                match seconds(&text) {
                    Some(nanoseconds) => Program::Sleep { nanoseconds },
                    None => {
                        let message = format!("`{text}` is not a time");
                        return Err(self.expected(span, message, "seconds, as in `2` or `0.5`"));
                    }
                }
            }
            _ => return Err(self.expected(span, format!("no command `{word}`"), PROGRAMS)),
        };
        Ok(Command { cpu, program })
    }

    fn echo(&self, tokens: &mut Tokens, end: Span) -> Result<Program, ScriptError> {
        let mut words = Vec::new();
        while let Some((Ready::Word(word), span)) =
            tokens.next_if(|(token, _)| matches!(token, Ready::Word(_)))
        {
            if words.is_empty()
                && word.len() > 1
                && word.starts_with('-')
                && word.bytes().skip(1).all(|b| b"neE".contains(&b))
            {
                let message = format!("`echo {word}` is not the same in every shell");
                return Err(self.expected(span, message, "what is to be written"));
            }
            words.push(word);
        }
        let value = words.join(" ");
        let Some((Ready::Into { append }, _)) = tokens.next() else { return Ok(Program::Print { value }) };
        let path = self.path(tokens, end, "`>` needs a file")?;
        Ok(Program::Echo { value, path, append })
    }

    fn cat(&self, tokens: &mut Tokens, end: Span) -> Result<Program, ScriptError> {
        let path = self.path(tokens, end, "`cat` needs a file")?;
        let quiet = tokens.next_if(|(token, _)| matches!(token, Ready::Into { .. })).is_some();
        if quiet {
            let to = self.path(tokens, end, "`>` needs a file")?;
            if to.text != "/dev/null" {
                return Err(self.expected(to.span, "what was read goes nowhere else", "`/dev/null`"));
            }
        }
        Ok(Program::Cat { path, quiet })
    }

    fn dd(&self, tokens: &mut Tokens, dd: Span) -> Result<Program, ScriptError> {
        let (mut input, mut output) = (None, None);
        let (mut block_size, mut count, mut skip, mut direct) = (512, None, 0, false);
        while let Some((Ready::Word(word), span)) =
            tokens.next_if(|(token, _)| matches!(token, Ready::Word(_)))
        {
            let Some((key, value)) = word.split_once('=') else {
                let message = format!("`dd` does not know `{word}`");
                return Err(self.expected(span, message, DD_OPERANDS));
            };
            let number = || {
                size(value).ok_or_else(|| {
                    self.expected(span, format!("`{value}` is not a number"), "a number, as in `8` or `4k`")
                })
            };
            match key {
                "if" => input = Some(self.absolute(value.to_owned(), span)?),
                "of" => output = Some(self.absolute(value.to_owned(), span)?),
                "bs" => {
                    block_size = number()?;
                    if block_size == 0 {
                        return Err(self.expected(span, "blocks of no bytes", "a size above 0"));
                    }
                }
                "count" => count = Some(number()?),
                "skip" => skip = number()?,
                "iflag" if value == "direct" => direct = true,
                "status" if value == "none" => {}
                _ => {
                    let message = format!("`dd` does not know `{word}`");
                    return Err(self.expected(span, message, DD_OPERANDS));
                }
            }
        }
        let missing = |what: &str| self.expected(dd, format!("`dd` without `{what}`"), &format!("`{what}`"));
        Ok(Program::Dd {
            input: input.ok_or_else(|| missing("if="))?,
            output: output.ok_or_else(|| missing("of="))?,
            block_size,
            count: count.ok_or_else(|| missing("count="))?,
            skip,
            direct,
        })
    }
}

/// Byte ranges of the words of `text` from `start` on.
fn split_words(text: &str, start: usize) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut from = None;
    for (i, c) in text.char_indices().skip_while(|&(i, _)| i < start) {
        match (from, c.is_whitespace()) {
            (None, false) => from = Some(i),
            (Some(word), true) => {
                words.push((word, i));
                from = None;
            }
            _ => {}
        }
    }
    words.extend(from.map(|word| (word, text.len())));
    words
}

/// dd's numbers: `k` is 1024, `b` is 512.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match &text[digits.len()..] {
        "" | "c" => 1,
        "b" => 512,
        "k" | "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    number(digits)?.checked_mul(unit)
}

fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// Seconds with up to nine decimals, as nanoseconds.
fn seconds(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.len() > 9 {
        return None;
    }
    let whole = number(whole)?.checked_mul(1_000_000_000)?;
    let scale = 10u64.pow(9 - decimals.len() as u32);
    whole.checked_add(number(decimals)? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Command {
        let script = Script::parse("script.sh", text).unwrap();
        match script.statements.as_slice() {
            [Statement { action: Action::Run(command), .. }] => command.clone(),
            other => panic!("{text:?} is not one command: {other:?}"),
        }
    }

    #[test]
    fn commands_mean_what_the_shell_means() {
        let check = |text: &str, expect: &str| {
            let Command { cpu, program } = only(text);
            let got = match program {
                Program::Echo { value, path, append } => {
                    format!("{cpu:?} echo{} [{value}] {}", if append { "+" } else { "" }, path.text)
                }
                Program::Print { value } => format!("{cpu:?} print [{value}]"),
                Program::Ls { path } => format!("{cpu:?} ls {}", path.text),
                Program::Dmesg => format!("{cpu:?} dmesg"),
                Program::Cat { path, quiet } => format!("{cpu:?} cat {} {quiet}", path.text),
                Program::Dd { input, output, block_size, count, skip, direct } => {
                    format!("{cpu:?} dd {} {} {block_size} {count} {skip} {direct}", input.text, output.text)
                }
                Program::Sleep { nanoseconds } => format!("{cpu:?} sleep {nanoseconds}"),
            };
            assert_eq!(got, expect, "{text}");
        };
        check("echo 0 > /a   # why", "None echo [0] /a");
        check("echo 0>/a", "None echo [0] /a");
        check("echo  'a  b' \"c\"d > '/e f'\r\n", "None echo [a  b cd] /e f");
        check("echo > /a", "None echo [] /a");
        check("echo '' > /a", "None echo [] /a");
        check("echo 1 >> /a", "None echo+ [1] /a");
        check("echo 1   2", "None print [1 2]");
        check("echo", "None print []");
        check("ls /proc; ", "None ls /proc");
        check("dmesg", "None dmesg");
        check("cat /a", "None cat /a false");
        check("cat /a > /dev/null", "None cat /a true");
        check("sleep 2", "None sleep 2000000000");
        check("sleep 0.5", "None sleep 500000000");
        check(
            "taskset -c 5 dd if=/dev/vda of=/dev/null bs=4k count=2 skip=8 iflag=direct",
            "Some(5) dd /dev/vda /dev/null 4096 2 8 true",
        );
        check("dd if=/a of=/b count=1", "None dd /a /b 512 1 0 false");
    }

    #[test]
    fn spans_name_line_and_column() {
        let text = "# comment\n\n  echo é > /proc/x # y\n#: state  s\n";
        let script = Script::parse("script.sh", text).unwrap();
        let [write, state] = script.statements.as_slice() else { panic!("{script:?}") };
        assert_eq!(script.source(write.span), "echo é > /proc/x");
        assert_eq!((write.span.line, write.span.column), (3, 3));
        let Action::Run(Command { program: Program::Echo { path, .. }, .. }) = &write.action else {
            panic!("{write:?}")
        };
        assert_eq!((path.span.line, path.span.column), (3, 12));
        assert_eq!(script.source(path.span), "/proc/x");
        assert_eq!(script.source(state.span), "#: state  s");
    }

    #[test]
    fn errors_say_where_and_what_was_expected() {
        let check = |text: &str, line: usize, column: usize, message: &str, label: &str| {
            let e = Script::parse("script.sh", text).unwrap_err();
            assert_eq!((e.line, e.column, e.message.as_str()), (line, column, message), "{text:?}");
            assert!(e.label.contains(label), "{text:?}: {}", e.label);
        };
        check("sleep 1\nrm /a\n", 2, 1, "no command `rm`", "`echo`");
        check("echo -n 1\n", 1, 6, "`echo -n` is not the same in every shell", "what is to be written");
        check("echo 1 >\n", 1, 9, "`>` needs a file", "a path");
        check("echo 1 > a\n", 1, 10, "`a` depends on where the shell stands", "`/`");
        check("echo 1 > /a /b\n", 1, 13, "the command ends before this", "end of the line");
        check("echo $X > /a", 1, 6, "`X` was never set", "`X=...`");
        check("echo $(date) > /a", 1, 6, "`$` stands before the name of a variable", "`$NAME` or `${NAME}`");
        check("X=1\necho ${X:-2}", 2, 6, "`$` stands before the name of a variable", "`${NAME}`");
        check(
            "echo a | b",
            1,
            8,
            "`|` has a meaning for the shell that scripts do not use",
            "not in a script",
        );
        check("X=1 echo a", 1, 5, "a variable for one command only", "`;`");
        check("X=a\nsleep $X", 2, 7, "`a` is not a time", "seconds");
        check("sleep 1; ; sleep 1", 1, 10, "there is no command here", "`echo`");
        check("for 1 in 2; do echo; done", 1, 5, "`for` needs a variable", "a variable's name");
        check("for i of 2; do echo; done", 1, 7, "`for` needs words", "`in`");
        check("for i in 2 do echo; done", 1, 21, "a loop needs a body", "`do`");
        check("for i in 2; do\ndone", 2, 1, "a loop that does nothing", "a command");
        check("for i in 2; do; echo; done", 1, 15, "`do` is followed by a command", "a command");
        check("for i in 2\ndo\necho", 1, 1, "a loop is never closed", "opened here");
        check("for i in 2", 1, 11, "a loop needs a body", "`do`");
        check("done", 1, 1, "`done` without a loop", "a command");
        check("for i in 2; do echo; done done", 1, 27, "the command ends before this", "`;`");
        check("for i in a b; do\n  sleep $i; done", 2, 9, "`a` is not a time", "seconds");
        check("for i in a; do\n#: state x\ndone", 2, 1, "a line for the recorder inside a loop", "line 1");
        check("echo 'a > /a", 1, 6, "a quote is never closed", "opened here");
        check("cat /a > /b", 1, 10, "what was read goes nowhere else", "/dev/null");
        check("sleep x", 1, 7, "`x` is not a time", "seconds");
        check("taskset -c 0-1 sleep 1", 1, 12, "`0-1` is not one CPU", "a CPU number");
        check("dd if=/a count=1", 1, 1, "`dd` without `of=`", "`of=`");
        check("dd if=/a of=/b bs=4q count=1", 1, 16, "`4q` is not a number", "4k");
        check("#: flwo x", 1, 4, "the recorder does not know `flwo`", "`flow`");
        check("#: flow", 1, 8, "`#: flow` needs a name", "a name");
        check("#: flow a/b", 1, 9, "`a/b` cannot be part of a file's name", "letters");
        check("#: flow a\nsleep 1", 1, 4, "a recording is never closed", "opened here");
        check("#: flow a\n#: events b", 2, 4, "a recording inside a recording", "line 1");
        check("#: end", 1, 4, "no recording is open", "nothing to end");
        check("#: state a\n#: state a", 2, 10, "there is a `#: state a` already", "another name");
    }

    #[test]
    fn variables_become_words_as_in_a_shell() {
        let check = |value: &str, word: &str, expect: &[&str]| {
            let script =
                Script::parse("script.sh", &format!("E=\nV={value}\nfor i in {word}; do echo $i; done"))
                    .unwrap();
            let mut vars = Variables::default();
            for statement in &script.statements {
                match &statement.action {
                    Action::Assign { name, value } => vars.set(name, value.value(&vars)),
                    Action::For { words, .. } => {
                        let fields: Vec<String> = words.iter().flat_map(|w| w.fields(&vars)).collect();
                        assert_eq!(fields, expect, "{word}");
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        check("1", "$V", &["1"]);
        check("'1  2'", "$V", &["1", "2"]);
        check("'1  2'", "\"$V\"", &["1  2"]);
        check("'1 2'", "a${V}b", &["a1", "2b"]);
        check("1", "'$V'", &["$V"]);
        check("1", "$E", &[]);
        check("1", "$E$V \"$E\"", &["1", ""]);
        check("\"a b\"c", "x\"$V\"y", &["xa bcy"]);
    }

    #[test]
    fn a_loop_may_span_lines() {
        let one = "for i in 1 2; do echo $i > /a; done";
        let many = "for i in 1 2 # why\n\ndo\n  # because\n  echo $i > /a\ndone\n";
        for text in [one, many] {
            let script = Script::parse("script.sh", text).unwrap();
            let [Statement { action: Action::For { name, words, body }, .. }] = &script.statements[..] else {
                panic!("{script:?}")
            };
            assert_eq!((name.as_str(), words.len(), body.len()), ("i", 2, 1));
        }
        let unfinished = ["for", "for i", "for i in", "for i in 1;", "for i in 1; do", "for i in 1; do echo"];
        for text in unfinished {
            let error = Script::parse("script.sh", text).unwrap_err();
            assert_eq!(error.incomplete, text.contains("in"), "{text}");
        }
    }

    #[test]
    fn an_error_prints_with_its_source() {
        let error = Script::parse("script.sh", "echo 1 > /a\nrm /b\n").unwrap_err();
        let handler = miette::NarratableReportHandler::new();
        let mut text = String::new();
        handler.render_report(&mut text, &error).unwrap();
        assert!(text.contains("script.sh") && text.contains("rm /b"), "{text}");
    }
}
