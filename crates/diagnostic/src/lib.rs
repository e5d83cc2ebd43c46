//! What a user got wrong: the thing, the place, and what was expected there.
//!
//! An error that has more to say than one sentence is a [`Diagnostic`]. A command hands it on as a
//! [`Report`], to which it adds what it was doing, and the command line shows that:
//!
//! ```
//! use diagnostic::{Diagnostic, Place, Report};
//!
//! #[derive(Debug)]
//! struct Misspelt(Place);
//!
//! impl core::fmt::Display for Misspelt {
//!     fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
//!         f.write_str("there is no command `rm`")
//!     }
//! }
//!
//! impl core::error::Error for Misspelt {}
//!
//! impl Diagnostic for Misspelt {
//!     fn place(&self) -> Option<&Place> {
//!         Some(&self.0)
//!     }
//! }
//!
//! let place = Place::new("script.sh", "sleep 1\nrm /b\n", 8..10, "expected echo, cat or ls");
//! assert_eq!(
//!     Report::from(Misspelt(place)).plain(),
//!     "error: there is no command `rm`
//!  --> script.sh:2:1
//!   |
//! 2 | rm /b
//!   | ^^ expected echo, cat or ls"
//! );
//! ```
//!
//! # What it doesn't implement
//! Several places in one message, warnings, and links.

use core::error::Error;
use core::fmt::{self, Display};
use core::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

pub mod file;
pub mod reader;

/// Columns of a message; longer lines of a text are cut around the place.
const WIDTH: usize = 110;
/// A text, and where in it something is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    name: Arc<str>,
    text: Arc<str>,
    span: Range<usize>,
    label: String,
}

impl Place {
    /// A place in a text that is called `name`. `span` is in bytes; what of it lies outside the text, or in
    /// the middle of a character, is left out. The label says what was expected there.
    pub fn new(
        name: impl Into<Arc<str>>,
        text: impl Into<Arc<str>>,
        span: Range<usize>,
        label: impl Into<String>,
    ) -> Self {
        let text = text.into();
        let boundary = |at: usize| {
            let mut at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary(span.start);
        let span = start..boundary(span.end).max(start);
        Self { name: name.into(), text, span, label: label.into() }
    }

    /// What was expected there.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Line and column in characters, both from 1.
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = &self.text[..self.span.start];
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line..].chars().count() + 1)
    }

    /// Line and column behind its last letter, likewise.
    pub fn end(&self) -> (usize, usize) {
        let end = Self { span: self.span.end..self.span.end, ..self.clone() };
        end.line_and_column()
    }

    /// The line on which the place begins, and the place in it, for as far as it is on this line.
    fn excerpt(&self) -> (&str, Range<usize>) {
        let from = self.text[..self.span.start].rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &self.text[self.span.start..];
        let to = self.span.start + rest.find('\n').unwrap_or(rest.len());
        (&self.text[from..to], self.span.start - from..self.span.end.min(to) - from)
    }
}

/// An error that knows more than its one sentence.
pub trait Diagnostic: Error + Send + Sync + 'static {
    /// What would be right, or helps to find out.
    fn help(&self) -> Option<String> {
        None
    }

    /// Where it is.
    fn place(&self) -> Option<&Place> {
        None
    }
}

impl<E: Diagnostic> Diagnostic for Box<E> {
    fn help(&self) -> Option<String> {
        (**self).help()
    }

    fn place(&self) -> Option<&Place> {
        (**self).place()
    }
}

/// What a command ends with that could not do what it was asked for.
pub struct Report(Box<Inner>);

struct Inner {
    /// What was being done, the outermost last.
    doing: Vec<String>,
    what: Box<dyn Diagnostic>,
}

/// The result of what a user asked for.
pub type Result<T, E = Report> = core::result::Result<T, E>;

impl<E: Diagnostic> From<E> for Report {
    fn from(what: E) -> Self {
        Self(Box::new(Inner { doing: Vec::new(), what: Box::new(what) }))
    }
}

impl Report {
    /// Something that is no error of its own: a sentence, and what would help.
    pub fn new(message: impl Into<String>, help: Option<String>) -> Self {
        Sentence { message: message.into(), help, cause: None }.into()
    }

    /// Adds what was being done.
    #[must_use]
    pub fn context(mut self, doing: impl Into<String>) -> Self {
        self.0.doing.push(doing.into());
        self
    }

    /// The errors that led to it, each the cause of the one before.
    pub fn chain(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        let first: &(dyn Error + 'static) = &*self.0.what;
        fn cause<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
            (*error).source()
        }
        core::iter::successors(Some(first), cause)
    }

    /// Where it is.
    pub fn place(&self) -> Option<&Place> {
        self.0.what.place()
    }

    /// What would be right, or helps to find out.
    pub fn help(&self) -> Option<String> {
        self.0.what.help()
    }

    /// Title and causes in words.
    fn sentences(&self) -> Vec<String> {
        let doing = self.0.doing.iter().rev().cloned();
        doing.chain(self.chain().map(words)).collect()
    }

    /// As text, without colours.
    pub fn plain(&self) -> String {
        self.render(&Renderer::plain())
    }

    /// As text with the colours of a terminal.
    pub fn styled(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let sentences = self.sentences();
        let (title, causes) = sentences.split_first().map_or(("", &[][..]), |(t, c)| (t.as_str(), c));
        let help = self.0.what.help();
        let mut group = Group::with_title(Level::ERROR.primary_title(title));
        let excerpt = self.0.what.place().map(|place| (place, place.excerpt()));
        if let Some((place, (text, span))) = &excerpt {
            let (line, _) = place.line_and_column();
            let mark = AnnotationKind::Primary.span(span.clone()).label(place.label.as_str());
            let snippet = Snippet::source(*text).path(&*place.name).line_start(line).annotation(mark);
            group = group.element(snippet);
        }
        for cause in causes {
            group = group.element(Level::NOTE.with_name("cause").message(cause.as_str()));
        }
        if let Some(help) = &help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.clone().term_width(WIDTH).render(&[group])
    }
}

/// What an error says, without the number that Rust writes behind the system's words for it, as in
/// `No such file or directory (os error 2)`.
pub fn words(error: &(impl fmt::Display + ?Sized)) -> String {
    let text = error.to_string();
    let number = text.strip_suffix(')').and_then(|text| text.rsplit_once(" (os error "));
    match number {
        Some((words, number)) if number.bytes().all(|b| b.is_ascii_digit()) => words.to_owned(),
        _ => text,
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences().join(": "))
    }
}

/// A sentence, and perhaps the error that it speaks of.
#[derive(Debug)]
struct Sentence {
    message: String,
    help: Option<String>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Sentence {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl Diagnostic for Sentence {
    fn help(&self) -> Option<String> {
        self.help.clone()
    }
}

/// A [`Report`] of one sentence, written as for `format!`, and perhaps of what would help before it:
/// `report!(help = "expected a number", "`{word}` is none")`.
#[macro_export]
macro_rules! report {
    (help = $help:expr, $($sentence:tt)+) => {
        $crate::Report::new(format!($($sentence)+), Some(String::from($help)))
    };
    ($($sentence:tt)+) => {
        $crate::Report::new(format!($($sentence)+), None)
    };
}

/// Says what was being done when a plain error happened.
pub trait Context<T> {
    /// Makes a [`Report`] of an error, with what was being done as its sentence.
    ///
    /// # Errors
    /// The error, in its new form.
    fn context(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Error + Send + Sync + 'static> Context<T> for core::result::Result<T, E> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Sentence { message: doing(), help: None, cause: Some(Box::new(cause)) }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wrong(Place);

    impl Display for Wrong {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrong")
        }
    }

    impl Error for Wrong {}

    impl Diagnostic for Wrong {
        fn help(&self) -> Option<String> {
            Some("write it right".to_owned())
        }

        fn place(&self) -> Option<&Place> {
            Some(&self.0)
        }
    }

    fn check(text: &str, span: Range<usize>, expect: &str) {
        let got = Report::from(Wrong(Place::new("f", text, span, "expected a"))).plain();
        assert_eq!(got, format!("error: wrong\n{expect}\n  = help: write it right"), "{got}");
    }

    #[test]
    fn a_place_is_shown_in_its_line() {
        check("a\nä b\nc", 5..6, " --> f:2:3\n  |\n2 | ä b\n  |   ^ expected a\n  |");
        check("", 0..0, " --> f:1:1\n  |\n1 |\n  | ^ expected a\n  |");
        check("a\n", 2..2, " --> f:2:1\n  |\n2 |\n  | ^ expected a\n  |");
        check("x = [\n1,\n", 4..9, " --> f:1:5\n  |\n1 | x = [\n  |     ^ expected a\n  |");
    }

    #[test]
    fn no_place_is_out_of_reach() {
        for (text, span) in [("ä", 1..1), ("ä", 0..1), ("a", 7..9), ("a\r\n\0\u{1b}[1m\u{202e}\t", 3..4)] {
            let report = Report::from(Wrong(Place::new("f", text, span, "expected a")));
            assert!(report.plain().contains("expected a"), "{}", report.plain());
            assert!(!report.plain().contains('\u{1b}'));
        }
        for width in [4_000, 4_096, 65_529, 65_536, 1_000_000] {
            for at in [0, width / 2, width - 1, width] {
                let place = Place::new("f", "xä".repeat(width / 2), at..width, "expected a");
                let (_, column) = place.line_and_column();
                let text = Report::from(Wrong(place)).plain();
                assert!(text.contains(&format!("f:1:{column}\n")) && text.contains("^ expected a"), "{text}");
                assert!(text.lines().all(|line| line.chars().count() < 2 * WIDTH), "{text}");
            }
        }
    }

    #[test]
    fn what_was_being_done_comes_first_and_causes_follow() {
        let gone = || Err::<(), _>(std::io::Error::other("no such thing"));
        let report = gone().context(|| "cannot read a".to_owned()).unwrap_err().context("cannot begin");
        assert_eq!(
            report.plain(),
            "error: cannot begin\n |\n = cause: cannot read a\n = cause: no such thing"
        );
        assert_eq!(report.to_string(), "cannot begin: cannot read a: no such thing");
        assert!(report.chain().any(|e| e.downcast_ref::<std::io::Error>().is_some()));
    }
}
