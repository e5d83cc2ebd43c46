//! Scripts: the small part of the root shell that a scenario is written in.
//!
//! ```text
//! #: flow off3              opens a recording of call trees
//! echo 0 > /sys/devices/system/cpu/cpu3/online
//! sleep 2
//! #: end                    closes it
//! #: state off3             takes a state
//! ```
//!
//! Lines are ordinary shell: `echo VALUE > PATH`, `cat PATH [> /dev/null]`, `dd if=PATH of=PATH ..`,
//! `taskset -c CPU COMMAND`, `sleep SECONDS`, comments, single and double quotes. A line that
//! starts with `#:` is for the recorder, and a comment for a real shell.
//!
//! # What it doesn't implement
//! Variables, substitution, loops, pipes, several commands in a line. A line that uses them is an
//! error rather than a surprise.

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
    },
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
}

const PROGRAMS: &str = "`echo`, `cat`, `dd`, `sleep` or `taskset`";
const DIRECTIVES: &str = "`flow`, `events`, `boot-events`, `end`, `state` or `msix`";
const DD_OPERANDS: &str = "`if=`, `of=`, `bs=`, `count=`, `skip=`, `iflag=direct` or `status=none`";

impl Script {
    /// Parses a script; `name` is the file's name in messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScriptError> {
        let mut parser = Parser { name, text, open: None, names: Vec::new() };
        let mut statements = Vec::new();
        let mut offset = 0;
        for (i, raw) in text.split_inclusive('\n').enumerate() {
            let line = raw.trim_end_matches(['\n', '\r']);
            let at = Source { line: i + 1, start: offset, text: line };
            if let Some(statement) = parser.line(at)? {
                statements.push(statement);
            }
            offset += raw.len();
        }
        match parser.open {
            None => Ok(Self { name: name.into(), text: text.into(), statements }),
            Some(span) => Err(parser.error(
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

#[derive(Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `>`
    Into,
}

struct Parser<'a> {
    name: &'a str,
    text: &'a str,
    /// The recording that waits for its end.
    open: Option<Span>,
    /// Names already used, by the kind of file they make.
    names: Vec<(&'static str, String)>,
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<(Token, Span)>>;

impl Parser<'_> {
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
        }
    }

    fn expected(&self, span: Span, message: impl Into<String>, words: &str) -> ScriptError {
        self.error(span, message, format!("expected {words}"), None)
    }

    fn line(&mut self, at: Source<'_>) -> Result<Option<Statement>, ScriptError> {
        if at.text.starts_with("#:") {
            return self.directive(at).map(Some);
        }
        let tokens = self.tokens(at)?;
        let (Some((_, first)), Some((_, last))) = (tokens.first(), tokens.last()) else { return Ok(None) };
        let (from, to) = (first.offset - at.start, last.offset + last.len - at.start);
        let mut rest = tokens.into_iter().peekable();
        let command = self.command(&mut rest, at)?;
        if let Some((_, span)) = rest.next() {
            return Err(self.expected(span, "the command ends before this", "the end of the line"));
        }
        Ok(Some(Statement { span: at.span(from, to), action: Action::Run(command) }))
    }

    fn directive(&mut self, at: Source<'_>) -> Result<Statement, ScriptError> {
        let mut words = split_words(at.text, 2);
        let to = words.last().map_or(at.text.len(), |&(_, to)| to);
        let whole = at.span(0, to);
        let mut next = words.drain(..);
        let Some((from, to)) = next.next() else {
            return Err(self.expected(at.end(), "a line for the recorder that says nothing", DIRECTIVES));
        };
        let word = &at.text[from..to];
        let keyword = at.span(from, to);
        let kind = match word {
            "flow" | "events" | "boot-events" | "state" | "msix" => Some(word),
            "end" => None,
            _ => {
                let message = format!("the recorder does not know `{word}`");
                return Err(self.expected(keyword, message, DIRECTIVES));
            }
        };
        let name = match kind {
            None => String::new(),
            Some(kind) => {
                let Some((from, to)) = next.next() else {
                    return Err(self.expected(at.end(), format!("`#: {kind}` needs a name"), "a name"));
                };
                let name = &at.text[from..to];
                let span = at.span(from, to);
                if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
                    let message = format!("`{name}` cannot be part of a file's name");
                    return Err(self.expected(span, message, "letters, digits, `-`, `_` and `.`"));
                }
                // Recordings are told apart by their number, states and tables by nothing else.
                if let "state" | "msix" = kind {
                    let kind = if kind == "state" { "state" } else { "msix" };
                    let key = (kind, name.to_owned());
                    if self.names.contains(&key) {
                        let message = format!("there is a `#: {kind} {name}` already");
                        return Err(self.expected(span, message, "another name"));
                    }
                    self.names.push(key);
                }
                name.to_owned()
            }
        };
        if let Some((from, to)) = next.next() {
            return Err(self.expected(at.span(from, to), "nothing follows here", "the end of the line"));
        }
        let action = match word {
            "flow" | "events" => {
                if let Some(open) = self.open {
                    return Err(self.error(
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
                    return Err(self.error(keyword, "no recording is open", "nothing to end", None));
                }
                Action::End
            }
            "boot-events" => Action::BootEvents { name },
            "state" => Action::State { name },
            _ => Action::Msix { name },
        };
        Ok(Statement { span: whole, action })
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
                '>' => {
                    chars.next();
                    if let Some((to, '>')) = chars.peek() {
                        let span = at.span(from, to + 1);
                        return Err(self.expected(span, "nothing is appended to a file here", "`>`"));
                    }
                    tokens.push((Token::Into, at.span(from, from + 1)));
                }
                _ => {
                    let (word, to) = self.word(at, from, &mut chars)?;
                    tokens.push((Token::Word(word), at.span(from, to)));
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
    ) -> Result<(String, usize), ScriptError> {
        let mut word = String::new();
        let mut to = from;
        let mut quote: Option<(char, usize)> = None;
        while let Some(&(i, c)) = chars.peek() {
            match (quote, c) {
                (None, ' ' | '\t' | '>') => break,
                (None, '\'' | '"') => quote = Some((c, i)),
                (Some((q, _)), c) if c == q => quote = None,
                (Some(('\'', _)), c) => word.push(c),
                (_, '$' | '`' | '\\')
                | (None, ';' | '|' | '&' | '<' | '(' | ')' | '*' | '?' | '[' | '{' | '~') => {
                    return Err(self.error(
                        at.span(i, i + c.len_utf8()),
                        format!("`{c}` has a meaning for the shell that scripts do not use"),
                        "not in a script",
                        Some("a script is one simple command per line; quote the character to have it as it is".into()),
                    ));
                }
                (_, c) => word.push(c),
            }
            to = i + c.len_utf8();
            chars.next();
        }
        match quote {
            None => Ok((word, to)),
            Some((q, i)) => {
                let span = at.span(i, at.text.len());
                Err(self.error(span, "a quote is never closed", "opened here", Some(format!("add a `{q}`"))))
            }
        }
    }

    fn next_word(
        &self,
        tokens: &mut Tokens,
        at: Source<'_>,
        message: &str,
        words: &str,
    ) -> Result<(String, Span), ScriptError> {
        match tokens.next() {
            Some((Token::Word(word), span)) => Ok((word, span)),
            Some((Token::Into, span)) => Err(self.expected(span, message, words)),
            None => Err(self.expected(at.end(), message, words)),
        }
    }

    fn path(&self, tokens: &mut Tokens, at: Source<'_>, message: &str) -> Result<Path, ScriptError> {
        let (text, span) = self.next_word(tokens, at, message, "a path")?;
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

    fn command(&self, tokens: &mut Tokens, at: Source<'_>) -> Result<Command, ScriptError> {
        let (word, span) = self.next_word(tokens, at, "there is no command here", PROGRAMS)?;
        let program = match word.as_str() {
            "taskset" => {
                let (flag, span) = self.next_word(tokens, at, "`taskset` needs a CPU", "`-c`")?;
                if flag != "-c" {
                    return Err(self.expected(span, "`taskset` is used with a CPU number", "`-c`"));
                }
                let (cpu, span) = self.next_word(tokens, at, "`taskset -c` needs a CPU", "a CPU number")?;
                let Ok(cpu) = cpu.parse() else {
                    let message = format!("`{cpu}` is not one CPU");
                    return Err(self.expected(span, message, "a CPU number"));
                };
                let inner = self.command(tokens, at)?;
                // As on a real machine the inner of two wins.
                return Ok(Command { cpu: inner.cpu.or(Some(cpu)), ..inner });
            }
            "echo" => self.echo(tokens, at)?,
            "cat" => self.cat(tokens, at)?,
            "dd" => self.dd(tokens, span)?,
            "sleep" => {
                let (text, span) = self.next_word(tokens, at, "`sleep` needs a time", "seconds")?;
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
        Ok(Command { cpu: None, program })
    }

    fn echo(&self, tokens: &mut Tokens, at: Source<'_>) -> Result<Program, ScriptError> {
        let mut words = Vec::new();
        while let Some((Token::Word(word), _)) = tokens.next_if(|(token, _)| *token != Token::Into) {
            words.push(word);
        }
        if tokens.next().is_none() {
            return Err(self.expected(at.end(), "`echo` writes to a file here", "`>` and a path"));
        }
        let path = self.path(tokens, at, "`>` needs a file")?;
        Ok(Program::Echo { value: words.join(" "), path })
    }

    fn cat(&self, tokens: &mut Tokens, at: Source<'_>) -> Result<Program, ScriptError> {
        let path = self.path(tokens, at, "`cat` needs a file")?;
        let quiet = tokens.next_if(|(token, _)| *token == Token::Into).is_some();
        if quiet {
            let to = self.path(tokens, at, "`>` needs a file")?;
            if to.text != "/dev/null" {
                return Err(self.expected(to.span, "what was read goes nowhere else", "`/dev/null`"));
            }
        }
        Ok(Program::Cat { path, quiet })
    }

    fn dd(&self, tokens: &mut Tokens, dd: Span) -> Result<Program, ScriptError> {
        let (mut input, mut output) = (None, None);
        let (mut block_size, mut count, mut skip, mut direct) = (512, None, 0, false);
        while let Some((Token::Word(word), span)) = tokens.next_if(|(token, _)| *token != Token::Into) {
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
                Program::Echo { value, path } => format!("{cpu:?} echo [{value}] {}", path.text),
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
        check("echo 1\n", 1, 7, "`echo` writes to a file here", "`>`");
        check("echo 1 >\n", 1, 9, "`>` needs a file", "a path");
        check("echo 1 > a\n", 1, 10, "`a` depends on where the shell stands", "`/`");
        check("echo 1 >> /a\n", 1, 8, "nothing is appended to a file here", "`>`");
        check("echo 1 > /a /b\n", 1, 13, "the command ends before this", "end of the line");
        check(
            "echo $X > /a",
            1,
            6,
            "`$` has a meaning for the shell that scripts do not use",
            "not in a script",
        );
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
    fn an_error_prints_with_its_source() {
        let error = Script::parse("script.sh", "echo 1 > /a\nrm /b\n").unwrap_err();
        let handler = miette::NarratableReportHandler::new();
        let mut text = String::new();
        handler.render_report(&mut text, &error).unwrap();
        assert!(text.contains("script.sh") && text.contains("rm /b"), "{text}");
    }
}
