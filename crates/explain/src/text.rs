//! Answers as text for people.

use std::fmt::{self, Write as _};

use anstyle::Style;
use kstate::semantics::KernelVersion;

use crate::{At, Decides, Entry, Found, Note, Point};

const HEAD: Style = Style::new().bold();
const NOTE: Style = Style::new().dimmed();
const PLAIN: Style = Style::new();

/// A blank at which no line is broken.
const JOINT: char = '\u{1}';

/// Columns of the text.
const WIDTH: usize = 96;

/// With colours of a terminal or without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Styled {
    /// With escape sequences; what writes it to something that is no terminal takes them out.
    Yes,
    /// Plain text.
    No,
}

struct Printer {
    out: String,
    head: Style,
    note: Style,
}

/// The answers, one below the other.
pub fn print(answers: &[Entry], styled: Styled) -> String {
    let (head, note) = if styled == Styled::Yes { (HEAD, NOTE) } else { (PLAIN, PLAIN) };
    let mut printer = Printer { out: String::new(), head, note };
    for entry in answers {
        if !printer.out.is_empty() {
            printer.out.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = printer.entry(entry);
    }
    printer.out
}

/// What to say where there are no answers.
pub fn unknown(question: &str, found: &Found) -> (String, String) {
    let shown: String = question.trim().chars().take(100).collect();
    let near = if found.near.is_empty() {
        "it knows functions, files, errors, lines of the log, parameters, notions, rows of /proc/interrupts, \
         tracepoints, exhibits and drivers: `irqlab explain` without a name says which"
            .to_owned()
    } else {
        format!("did you mean {}?", found.near.join(", "))
    };
    (format!("nothing here is called `{shown}`"), near)
}

fn kernels(of: &[&'static str]) -> String {
    if of.len() == KernelVersion::ALL.len() { String::new() } else { of.join(", ") }
}

/// `v5.4 FILE:LINE, v6.12 LINE`: a file that stays is named once.
fn places(at: &[At]) -> String {
    let mut text = String::new();
    let mut file = "";
    for place in at {
        let gap = if text.is_empty() { "" } else { ", " };
        let line = place.line.map(|line| format!(":{line}")).unwrap_or_default();
        let _ = if file == place.file {
            write!(text, "{gap}{}{}{line}", place.kernel, if line.is_empty() { "" } else { "\u{1}" })
        } else {
            write!(text, "{gap}{}{JOINT}{}{line}", place.kernel, place.file)
        };
        file = &place.file;
    }
    text
}

impl Printer {
    /// Words in lines that begin `indent` columns from the left; the cursor stands at `column` of the first one.
    fn paragraph(&mut self, text: &str, indent: usize, mut column: usize) -> fmt::Result {
        let mut first = true;
        for word in text.split_whitespace() {
            let length = word.chars().count();
            if !first && column + 1 + length > WIDTH {
                write!(self.out, "\n{:indent$}", "")?;
                column = indent;
                first = true;
            }
            let space = if first { "" } else { " " };
            write!(self.out, "{space}{}", word.replace(JOINT, " "))?;
            column += space.len() + length;
            first = false;
        }
        writeln!(self.out)
    }

    /// A text of several paragraphs, with blank lines between.
    fn paragraphs(&mut self, text: &str) -> fmt::Result {
        for (i, part) in text.split("\n\n").map(str::trim).filter(|part| !part.is_empty()).enumerate() {
            if i > 0 {
                writeln!(self.out)?;
            }
            self.paragraph(part, 0, 0)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> fmt::Result {
        let Entry { kind, name, text, kernels: of, values, decides, notes, look, see } = entry;
        let (head, note) = (self.head, self.note);
        let only = kernels(of);
        let only = if only.is_empty() { only } else { format!(", {only} only") };
        writeln!(self.out, "{head}{name}{head:#}  {note}{}{only}{note:#}", kind.name())?;
        self.paragraphs(text)?;
        if !values.is_empty() {
            writeln!(self.out)?;
        }
        for value in values {
            self.value(value)?;
        }
        if !decides.is_empty() {
            writeln!(self.out)?;
        }
        for (i, Decides { function, places: at }) in decides.iter().enumerate() {
            let label = if i == 0 { "decided by" } else { "" };
            write!(self.out, "  {label:<11}{head}{function}(){head:#}  ")?;
            let column = 17 + function.chars().count();
            self.paragraph(&places(at), 13, column)?;
        }
        for each in notes {
            writeln!(self.out)?;
            self.note(each)?;
        }
        if !look.is_empty() || !see.is_empty() {
            writeln!(self.out)?;
        }
        for (i, line) in look.iter().enumerate() {
            let label = if i == 0 { "to see it" } else { "" };
            let sh = if line.starts_with("irqlab") { "$" } else { "#" };
            writeln!(self.out, "  {note}{label:<11}{note:#}{sh} {line}")?;
        }
        if !see.is_empty() {
            write!(self.out, "  {note}{:<11}{note:#}", "see also")?;
            self.paragraph(&see.join(", "), 13, 13)?;
        }
        Ok(())
    }

    fn value(&mut self, value: &Point) -> fmt::Result {
        const COLUMN: usize = 12;
        let Point { name, kernels: of, text, decides } = value;
        let head = self.head;
        let mut full = text.clone();
        let functions: Vec<String> = decides.iter().map(|d| format!("{}()", d.function)).collect();
        if !functions.is_empty() {
            full = format!("{full} {}", functions.join(", "));
        }
        let only = kernels(of);
        if !only.is_empty() {
            full = format!("{only}: {full}");
        }
        if name.chars().count() > COLUMN - 3 {
            write!(self.out, "  {head}{name}{head:#}\n{:COLUMN$}", "")?;
        } else {
            write!(self.out, "  {head}{name:<9}{head:#} ")?;
        }
        self.paragraph(&full, COLUMN, COLUMN)
    }

    fn note(&mut self, each: &Note) -> fmt::Result {
        let Note { kernel, text, lines } = each;
        let (head, note) = (self.head, self.note);
        write!(self.out, "  {head}{kernel:<6}{head:#} ")?;
        self.paragraph(text, 9, 9)?;
        for (label, line) in lines {
            write!(self.out, "         ")?;
            if label.is_empty() {
                writeln!(self.out, "{note}{line}{note:#}")?;
            } else {
                write!(self.out, "{label:<9} ")?;
                self.paragraph(line, 19, 19)?;
            }
        }
        Ok(())
    }
}
