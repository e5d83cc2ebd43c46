//! Lines, words and what stands between them; and errors that name a place.

use super::{Piece, ScriptError, Span, Variables, Word};

/// One line of the text.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) line: usize,
    pub(super) start: usize,
    pub(super) text: &'a str,
}

impl Source<'_> {
    pub(super) fn span(&self, from: usize, to: usize) -> Span {
        let column = self.text.get(..from).map_or(0, |before| before.chars().count()) + 1;
        Span { line: self.line, column, offset: self.start + from, len: to - from }
    }

    pub(super) fn end(&self) -> Span {
        self.span(self.text.len(), self.text.len())
    }

    /// From the first character that is no blank to `to`.
    pub(super) fn whole(&self, to: usize) -> Span {
        self.span(self.text.len() - self.text.trim_start().len(), to)
    }

    /// Where the words of a line stand that begins with `#:`.
    pub(super) fn directive(&self) -> Option<Vec<(usize, usize)>> {
        let line = self.text.trim_start();
        line.starts_with("#:").then(|| split_words(self.text, self.text.len() - line.len() + 2))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    Word(Word),
    /// `>`, or `>>`.
    Into {
        append: bool,
    },
    /// `2>/dev/null`: nobody wants to see what goes wrong.
    Quiet,
    /// `;`
    Semicolon,
    /// `&`
    Ampersand,
    /// The end of a line.
    Newline,
}

/// What a piece of a script is looked up in for messages.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Place<'_> {
    pub(super) fn error(
        &self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) -> ScriptError {
        ScriptError {
            message: message.into(),
            place: Box::new(diagnostic::Place::new(
                self.name,
                self.text,
                span.offset..span.offset + span.len,
                label,
            )),
            help,
            line: span.line,
            column: span.column,
            incomplete: false,
        }
    }

    pub(super) fn expected(&self, span: Span, message: impl Into<String>, words: &str) -> ScriptError {
        self.error(span, message, format!("expected {words}"), None)
    }

    /// Where the text ends.
    pub(super) fn end(&self) -> Span {
        let line = self.text.lines().count().max(1);
        let last = self.text.lines().last().unwrap_or("");
        Span { line, column: last.chars().count() + 1, offset: self.text.len(), len: 0 }
    }

    /// A variable that was never set is more likely a slip than an empty word.
    pub(super) fn check_variables(&self, word: &Word, vars: &Variables) -> Result<(), ScriptError> {
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

    pub(super) fn tokens(&self, at: Source<'_>) -> Result<Vec<(Token, Span)>, ScriptError> {
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
                '&' => {
                    chars.next();
                    let next = chars.peek().map(|&(_, c)| c);
                    self.check_ampersand(at, from, next)?;
                    tokens.push((Token::Ampersand, at.span(from, from + 1)));
                }
                '>' => {
                    chars.next();
                    let append = chars.next_if(|&(_, c)| c == '>').is_some();
                    let to = from + 1 + usize::from(append);
                    if let Some(end) = self.errors_go_nowhere(&mut tokens, at, from, to) {
                        while chars.next_if(|&(at, _)| at < end).is_some() {}
                        continue;
                    }
                    if chars.peek().is_some_and(|&(_, c)| c == '&') {
                        let message = "`>&` joins outputs, and commands have one here";
                        return Err(self.expected(at.span(from, to + 1), message, "a path behind `>`"));
                    }
                    self.descriptor(&mut tokens, at, from)?;
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

    /// `2>/dev/null`: what goes wrong with the command is not printed. Where it ends is returned.
    fn errors_go_nowhere(
        &self,
        tokens: &mut Vec<(Token, Span)>,
        at: Source<'_>,
        from: usize,
        to: usize,
    ) -> Option<usize> {
        const NOWHERE: &str = "/dev/null";
        let (Token::Word(word), span) = tokens.last()? else { return None };
        if word.plain() != Some("2") || span.offset + span.len != at.start + from {
            return None;
        }
        let rest = at.text.get(to..)?;
        let path = rest.trim_start_matches([' ', '\t']);
        let behind = path.strip_prefix(NOWHERE)?;
        if !behind.is_empty() && !behind.starts_with([' ', '\t', ';', '&', '\n', '#', '>']) {
            return None;
        }
        tokens.pop();
        let end = to + (rest.len() - path.len()) + NOWHERE.len();
        tokens.push((Token::Quiet, at.span(from - 1, end)));
        Some(end)
    }

    /// A number right before `>` is no word but the descriptor that is redirected (POSIX 2.7). 1 is
    /// what `>` alone redirects.
    fn descriptor(
        &self,
        tokens: &mut Vec<(Token, Span)>,
        at: Source<'_>,
        from: usize,
    ) -> Result<(), ScriptError> {
        let Some((Token::Word(word), span)) = tokens.last() else { return Ok(()) };
        let Some(digits) = word.plain().filter(|w| w.bytes().all(|b| b.is_ascii_digit())) else {
            return Ok(());
        };
        if span.offset + span.len != at.start + from {
            return Ok(());
        }
        if digits != "1" {
            let message =
                format!("`{digits}>` redirects descriptor {digits}, and commands have one output here");
            let help = match digits {
                "2" => "`2>/dev/null` hides what goes wrong; `2 >` with a blank is the word 2".to_owned(),
                _ => format!("write `{digits} >` with a blank for the word {digits}"),
            };
            return Err(self.error(*span, message, "expected `>`, or `1>`", Some(help)));
        }
        tokens.pop();
        Ok(())
    }

    /// What other shells, or all of them, read as more than the end of a job.
    fn check_ampersand(&self, at: Source<'_>, from: usize, next: Option<char>) -> Result<(), ScriptError> {
        let span = at.span(from, (from + 2).min(at.text.len()));
        match next {
            Some('&') => {
                let message = "`&&` is a condition, and scripts have none";
                Err(self.expected(span, message, "`;`, or `&` behind a job"))
            }
            Some('>') => {
                let message = "`&>` is not the same in every shell";
                Err(self.expected(span, message, "`>` and a path, or a blank behind the `&` of a job"))
            }
            _ => Ok(()),
        }
    }

    /// Text in which nothing but variables means anything, from byte `from` of the line to `to`.
    pub(super) fn template(&self, at: Source<'_>, from: usize, to: usize) -> Result<Word, ScriptError> {
        let mut pieces = Vec::new();
        let mut rest = from;
        while let Some(i) = at.text[rest..to].find('$').map(|i| rest + i) {
            let (name, len) = self.variable(at, i)?;
            pieces.push(Piece::Text { text: at.text[rest..i].to_owned(), quoted: true });
            pieces.push(Piece::Variable { name, quoted: true, span: at.span(i, i + len) });
            rest = i + len;
        }
        pieces.push(Piece::Text { text: at.text[rest..to].to_owned(), quoted: true });
        Ok(Word { pieces, span: at.span(from, to) })
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
                (None, ' ' | '\t' | '>' | ';' | '&') => break,
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
                (_, '`' | '\\') | (None, '|' | '<' | '(' | ')' | '*' | '?' | '[' | '{' | '~') => {
                    return Err(self.error(
                        at.span(i, i + c.len_utf8()),
                        format!("`{c}` has a meaning for the shell that scripts do not use"),
                        "not in a script",
                        Some(instead(c, at.text.get(i..).unwrap_or_default()).to_owned()),
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
        if inner.starts_with('(') {
            let message = "`$(` runs a command in the middle of another one, which scripts do not use";
            let help = format!(
                "write its words out: `for i in 4 5 6 7` instead of `for i in $(seq 4 7)`; or {IN_BASH}"
            );
            return Err(self.error(at.span(i, i + 2), message, "not in a script", Some(help)));
        }
        Err(self.expected(span, "`$` stands before the name of a variable", "`$NAME` or `${NAME}`"))
    }
}

/// Where a script runs that needs more of a shell.
pub(super) const IN_BASH: &str = "run it in bash on this machine: `irqlab enter` opens one where FUSE is, and `lab run FILE` in it does a script";

/// What to write instead of something that begins with the character `c` of the shell.
fn instead(c: char, text: &str) -> &'static str {
    match c {
        '{' if text.contains("..") => {
            "write the numbers out: `for i in 4 5 6 7` instead of `{4..7}`; quoted, the character is itself"
        }
        '[' | '*' | '?' => {
            "write the names out, or use a loop: `for i in 4 5; do cat /sys/.../cpu$i/online; done`"
        }
        '|' => "`#: assert FILE contains TEXT` looks for a text; quoted, the character is itself",
        _ => "quote the character to have it as it is",
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
