//! `#: assert PATH OP VALUE`: what is to be true at one place of a script.

use core::fmt;

use kstate::{Errno, Kernel};

use super::lexer::{Place, Source};
use super::*;
use crate::vfs;

/// The path that stands for the kernel log.
const DMESG: &str = "dmesg";
/// Characters of a text beyond which a message shows a part of it.
const SHOWN: usize = 120;

/// How a text has to be related to a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Relation {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `contains`
    Contains,
    /// `lacks`
    Lacks,
}

impl Relation {
    const ALL: [Self; 4] = [Self::Equal, Self::Unequal, Self::Contains, Self::Lacks];

    /// As a script writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Contains => "contains",
            Self::Lacks => "lacks",
        }
    }

    /// `text` is related to `value` like this.
    fn holds(self, text: &str, value: &str) -> bool {
        match self {
            Self::Equal => text == value,
            Self::Unequal => text != value,
            Self::Contains => text.contains(value),
            Self::Lacks => !text.contains(value),
        }
    }
}

/// What is to be true.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assertion {
    path: Word,
    relation: Relation,
    value: Word,
}

/// An assertion that did not hold.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Failure {
    /// The line of the script, counted from 1.
    pub line: usize,
    /// The path, or `dmesg`.
    pub path: String,
    /// How it was to be related to `value`.
    pub relation: Relation,
    /// What was expected, with single spaces.
    pub value: String,
    /// What was read, with single spaces, or why it could not be read.
    pub found: Result<String, Errno>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, path, relation, value, found } = self;
        write!(f, "line {line}: assertion failed: {path} ")?;
        match found {
            Ok(text) => write!(f, "is \"{}\"", part(text, value))?,
            Err(e @ Errno::ENOENT) => write!(f, "is not there: {e}")?,
            Err(e) => write!(f, "cannot be read: {e}")?,
        }
        write!(f, ", expected {} \"{value}\"", relation.name())
    }
}

/// As much of a long text as fits into a line, with what was looked for where it is in it.
fn part(text: &str, value: &str) -> String {
    let length = text.chars().count();
    if length <= SHOWN {
        return text.to_owned();
    }
    let hit = text.find(value).filter(|_| !value.is_empty());
    let hit = hit.map_or(0, |at| text[..at].chars().count());
    let from = hit.saturating_sub(SHOWN / 4).min(length - SHOWN);
    let before = if from > 0 { "..." } else { "" };
    let behind = if from + SHOWN < length { "..." } else { "" };
    let shown: String = text.chars().skip(from).take(SHOWN).collect();
    format!("{before}{shown}{behind}")
}

/// Blanks and ends of lines are one space each, and none at the ends.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Assertion {
    /// The path it reads, without the values of variables.
    pub(super) fn path(&self) -> String {
        self.path.value(&Variables::default())
    }

    /// Looks; `None` when it holds. `line` is where it is written.
    pub fn check(&self, k: &mut Kernel, vars: &Variables, line: usize) -> Option<Failure> {
        let path = self.path.value(vars);
        let value = joined(&self.value.value(vars));
        let found = if path == DMESG { Ok(k.log.join("\n")) } else { vfs::read(k, &path) };
        let found = found.map(|text| joined(&text));
        match &found {
            Ok(text) if self.relation.holds(text, &value) => None,
            _ => Some(Failure { line, path, relation: self.relation, value, found }),
        }
    }
}

impl Place<'_> {
    /// The line of an assertion, whose words are `words`; `vars` are the variables as they are the
    /// first time this is reached, if it is `live`.
    pub(super) fn assertion(
        &self,
        at: Source<'_>,
        words: &[(usize, usize)],
        vars: &Variables,
        live: bool,
    ) -> Result<Statement, ScriptError> {
        let Some(&(from, to)) = words.get(1) else {
            return Err(self.expected(at.end(), "`#: assert` needs a file", "a path or `dmesg`"));
        };
        let path = self.template(at, from, to)?;
        self.check_variables(&path, vars)?;
        if live {
            let text = path.value(vars);
            if text != DMESG && !text.starts_with('/') {
                let message = format!("`{text}` depends on where the shell stands");
                return Err(self.expected(path.span, message, "a path from `/` on, or `dmesg`"));
            }
        }
        let relations = "`==`, `!=`, `contains` or `lacks`";
        let Some(&(from, to)) = words.get(2) else {
            return Err(self.expected(at.end(), "`#: assert` needs a relation", relations));
        };
        let word = &at.text[from..to];
        let Some(relation) = Relation::ALL.into_iter().find(|relation| relation.name() == word) else {
            let message = format!("`{word}` relates nothing");
            return Err(self.expected(at.span(from, to), message, relations));
        };
        let (Some(&(from, _)), Some(&(_, to))) = (words.get(3), words.last()) else {
            let words = "the rest of the line, or `\"\"` for an empty file";
            return Err(self.expected(at.end(), "`#: assert` needs a value", words));
        };
        let mut inner = (from, to);
        if at.text[from..].starts_with('"') {
            let Some(end) = at.text[from + 1..to].find('"').map(|end| from + 1 + end) else {
                let help = Some("add a `\"`".into());
                return Err(self.error(at.span(from, to), "a quote is never closed", "opened here", help));
            };
            if end + 1 < to {
                let span = at.span(end + 1, to);
                return Err(self.expected(span, "the value ends before this", "the end of the line"));
            }
            inner = (from + 1, end);
        }
        let value = self.template(at, inner.0, inner.1)?;
        self.check_variables(&value, vars)?;
        if matches!(relation, Relation::Contains | Relation::Lacks)
            && at.text[inner.0..inner.1].trim().is_empty()
        {
            return Err(self.expected(at.span(from, to), "every file contains nothing", "some text"));
        }
        let action = Action::Assert(Assertion { path, relation, value });
        Ok(Statement { span: at.whole(to), action })
    }
}
