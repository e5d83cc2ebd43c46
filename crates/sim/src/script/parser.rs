//! What the words of a script mean: statements, loops, directives and commands.

use std::collections::VecDeque;

use super::command::PROGRAMS;
use super::lexer::{Place, Source, Token, is_name};
use super::*;

const DIRECTIVES: &str = "`flow`, `events`, `boot-events`, `end`, `state`, `msix` or `assert`";
/// Loops inside loops; more is no scenario.
const DEEPEST: usize = 16;

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

/// From the first token to the last.
fn whole(tokens: &[(Token, Span)]) -> Option<Span> {
    let ((_, first), (_, last)) = (tokens.first()?, tokens.last()?);
    Some(Span { len: last.offset + last.len - first.offset, ..*first })
}

/// The script that a text is.
pub(super) fn parse(name: &str, text: &str, vars: &Variables) -> Result<Script, ScriptError> {
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
        None => Ok(Script { name: name.into(), text: text.into(), statements }),
        Some(span) => Err(parser.place.error(
            span,
            "a recording is never closed",
            "opened here",
            Some("close it with `#: end`".into()),
        )),
    }
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
                if let Some(words) = at.directive() {
                    if words.first().is_some_and(|&(from, to)| &at.text[from..to] == "assert") {
                        statements.push(self.place.assertion(at, &words, &self.vars, self.live)?);
                        continue;
                    }
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
                    statements.push(self.directive(at, words)?);
                    continue;
                }
                let tokens = self.place.tokens(at)?;
                self.queue.extend(tokens);
                self.queue.push_back((Token::Newline, at.end()));
            }
            // A job has its own copy of the variables.
            let (first, vars) = (statements.len(), self.vars.clone());
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
                    self.separator(&mut statements, first, vars)?;
                }
                _ => {
                    self.simple(&mut statements)?;
                    self.separator(&mut statements, first, vars)?;
                }
            }
        }
    }

    /// What stands between two commands of a line; the end of the line stays. Behind `&` the statements
    /// from `first` on become a job, and `vars` are the variables again.
    fn separator(
        &mut self,
        statements: &mut Vec<Statement>,
        first: usize,
        vars: Variables,
    ) -> Result<(), ScriptError> {
        match self.queue.front() {
            Some((Token::Ampersand, span)) => {
                let body: Arc<[Statement]> = statements.drain(first..).collect();
                let start = body.first().map_or(*span, |statement| statement.span);
                let span = Span { len: span.offset + span.len - start.offset, ..start };
                statements.push(Statement { span, action: Action::Job { body } });
                self.vars = vars;
                self.queue.pop_front();
                Ok(())
            }
            None | Some((Token::Newline, _)) => Ok(()),
            Some((Token::Semicolon, _)) => {
                self.queue.pop_front();
                Ok(())
            }
            Some((_, span)) => Err(self.place.expected(
                *span,
                "the command ends before this",
                "`;`, `&` or the end of the line",
            )),
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
        if at.directive().is_some() {
            return Err(self.place.expected(at.span(0, at.text.len()), message, words));
        }
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
                (Token::Into { .. } | Token::Quiet | Token::Ampersand, span) => {
                    return Err(place.expected(span, message, "`; do`"));
                }
            }
        }
        loop {
            match self.token("a loop needs a body", "`do`")? {
                (Token::Newline, _) => {}
                (Token::Word(word), _) if word.plain() == Some("do") => break,
                (_, span) => return Err(place.expected(span, "a loop needs a body", "`do`")),
            }
        }
        if let Some((Token::Semicolon | Token::Ampersand, span)) = self.queue.front() {
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
            if matches!(token.0, Token::Semicolon | Token::Ampersand | Token::Newline) {
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

    fn directive(
        &mut self,
        at: Source<'_>,
        mut words: Vec<(usize, usize)>,
    ) -> Result<Statement, ScriptError> {
        let to = words.last().map_or(at.text.len(), |&(_, to)| to);
        let whole = at.whole(to);
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
