//! Commands: their words, once variables are replaced, and what they run.

use super::lexer::{IN_BASH, Place, Token};
use super::*;

pub(super) const PROGRAMS: &str =
    "`echo`, `printf`, `cat`, `ls`, `stat`, `dmesg`, `dd`, `sleep`, `wait`, `taskset`, `for` or `NAME=value`";
const STAT_FORMATS: &str = "`%a`, `%A`, `%n`, `%U`, `%u`, `%G`, `%g` or `%%`, as in `-c '%a %n'`";
const DD_OPERANDS: &str = "`if=`, `of=`, `bs=`, `count=`, `skip=`, `iflag=direct` or `status=none`";

/// A word or a redirection, its variables replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Ready {
    Word(String),
    Into { append: bool },
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<(Ready, Span)>>;

/// Words of bash that scripts do not have.
const OF_BASH: [&str; 15] = [
    "if", "then", "else", "fi", "while", "until", "case", "function", "select", "test", "local", "export",
    "read", "eval", "source",
];

impl Place<'_> {
    pub(super) fn expand(&self, line: &Line, vars: &Variables) -> Result<Command, ScriptError> {
        let mut ready = Vec::new();
        let (mut target, mut quiet) = (false, false);
        for (token, span) in &line.tokens {
            match token {
                Token::Quiet => quiet = true,
                // The name of a file is one word, whatever is in it.
                Token::Word(word) if target => ready.push((Ready::Word(word.value(vars)), *span)),
                Token::Word(word) => {
                    ready.extend(word.fields(vars).into_iter().map(|w| (Ready::Word(w), *span)))
                }
                Token::Into { append } => ready.push((Ready::Into { append: *append }, *span)),
                Token::Semicolon | Token::Ampersand | Token::Newline => {}
            }
            target = matches!(token, Token::Into { .. });
        }
        let mut rest = ready.into_iter().peekable();
        let command = self.command(&mut rest, line.end)?;
        match rest.next() {
            None => Ok(Command { quiet, ..command }),
            Some((_, span)) => {
                Err(self.expected(span, "the command ends before this", "the end of the line"))
            }
        }
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
        } else if text.len() > 1 && text.starts_with('-') {
            let message = format!("`{text}` is an option, which this command does not have here");
            Err(self.expected(span, message, "a path from `/` on"))
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
            "printf" => self.printf(tokens, end)?,
            "cat" => self.cat(tokens, end)?,
            "ls" => {
                let option = |token: &(Ready, Span)| matches!(&token.0, Ready::Word(word) if word == "-l");
                let long = tokens.next_if(option).is_some();
                Program::Ls { path: self.path(tokens, end, "`ls` needs a directory")?, long }
            }
            "stat" => self.stat(tokens, end)?,
            "dmesg" => Program::Dmesg,
            // A process of its own would have nothing to wait for.
            "wait" if cpu.is_some() => {
                return Err(self.expected(
                    span,
                    "`wait` is the shell's own and runs nowhere else",
                    "a command",
                ));
            }
            "wait" => match tokens.next() {
                None => Program::Wait,
                Some((_, span)) => {
                    return Err(self.expected(span, "`wait` waits for all jobs", "the end of the command"));
                }
            },
            "dd" => self.dd(tokens, span)?,
            "sleep" => {
                let (text, span) = self.next_word(tokens, end, "`sleep` needs a time", "seconds")?;
                match seconds(&text) {
                    Some(nanoseconds) => Program::Sleep { nanoseconds },
                    None => {
                        let message = format!("`{text}` is not a time");
                        let expected = format!("seconds up to {LONGEST}, as in `2` or `0.5`");
                        return Err(self.expected(span, message, &expected));
                    }
                }
            }
            word => {
                let help = OF_BASH.contains(&word).then(|| IN_BASH.to_owned());
                let label = format!("expected {PROGRAMS}");
                return Err(self.error(span, format!("no command `{word}`"), label, help));
            }
        };
        Ok(Command { cpu, program, quiet: false })
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

    fn printf(&self, tokens: &mut Tokens, end: Span) -> Result<Program, ScriptError> {
        let (format, at) = self.next_word(tokens, end, "`printf` needs a format", "what is to be written")?;
        if format.starts_with('-') {
            let message = format!("`{format}` is an option for some shells");
            return Err(self.expected(
                at,
                message,
                "a format that begins with another character, as in `\\055`",
            ));
        }
        let text = formatted(&format).map_err(|what| {
            self.expected(
                at,
                format!("`printf` does not know `{what}`"),
                "`\\n`, `\\t`, `\\\\`, `\\NNN` (octal) or `%%`",
            )
        })?;
        let target = tokens.next();
        let Some((Ready::Into { append }, _)) = target else {
            let span = target.map_or(end, |(_, span)| span);
            return Err(self.expected(span, "`printf` writes to a file here", "`>` and a path"));
        };
        let path = self.path(tokens, end, "`>` needs a file")?;
        Ok(Program::Printf { text, path, append })
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

    fn stat(&self, tokens: &mut Tokens, end: Span) -> Result<Program, ScriptError> {
        let (flag, at) = self.next_word(tokens, end, "`stat` needs a format", "`-c`")?;
        if flag != "-c" {
            return Err(self.expected(at, "`stat` prints what a format asks for", "`-c`"));
        }
        let (format, at) = self.next_word(tokens, end, "`stat -c` needs a format", STAT_FORMATS)?;
        let mut rest = format.split('%').skip(1);
        while let Some(part) = rest.next() {
            match part.chars().next() {
                Some('a' | 'A' | 'n' | 'U' | 'u' | 'G' | 'g') => {}
                // Two in a row have nothing between them.
                None if rest.next().is_some() => {}
                other => {
                    let unknown: String = other.into_iter().collect();
                    return Err(self.expected(
                        at,
                        format!("`stat` does not know `%{unknown}`"),
                        STAT_FORMATS,
                    ));
                }
            }
        }
        let mut paths = vec![self.path(tokens, end, "`stat` needs a file")?];
        while let Some((Ready::Word(text), span)) =
            tokens.next_if(|(token, _)| matches!(token, Ready::Word(_)))
        {
            paths.push(self.absolute(text, span)?);
        }
        Ok(Program::Stat { format, paths })
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

/// What a format of `printf` stands for that takes no arguments.
fn formatted(format: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let next = rest.chars().next();
        match (c, next) {
            ('\\', Some('n')) => text.push('\n'),
            ('\\', Some('t')) => text.push('\t'),
            ('\\', Some('\\')) => text.push('\\'),
            ('%', Some('%')) => text.push('%'),
            ('\\', Some('0'..='7')) => {
                let digits = rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let value = u32::from_str_radix(&rest[..digits], 8).unwrap_or_default();
                // Bytes above these are parts of characters.
                let ascii = char::from_u32(value).filter(char::is_ascii);
                text.push(ascii.ok_or_else(|| format!("\\{}", &rest[..digits]))?);
                rest = &rest[digits..];
                continue;
            }
            ('\\' | '%', next) => return Err([Some(c), next].into_iter().flatten().collect()),
            (c, _) => {
                text.push(c);
                continue;
            }
        }
        rest = &rest[1..];
    }
    Ok(text)
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

/// Seconds that one `sleep` takes at most: three years. Virtual time has 64 bits of nanoseconds, and all
/// that is added to a time has to fit.
const LONGEST: u64 = 100_000_000;

/// Seconds with up to nine decimals, as nanoseconds.
fn seconds(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.len() > 9 {
        return None;
    }
    let whole = number(whole)?;
    if whole > LONGEST {
        return None;
    }
    let whole = whole.checked_mul(1_000_000_000)?;
    let scale = 10u64.pow(9 - decimals.len() as u32);
    whole.checked_add(number(decimals)? * scale)
}
