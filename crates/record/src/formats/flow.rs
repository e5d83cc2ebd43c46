//! The text of a `.flow` file: call trees, two spaces per level, `@` before a tracepoint.

use std::borrow::Cow;
use std::fmt::Write;

use crate::recording::{Entry, Line, Recording, Tree};

/// A line that is not of the format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct FormatError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// The text of a recording.
pub fn print(recording: &Recording) -> String {
    let mut text = String::new();
    for tree in &recording.trees {
        text.push_str("# ");
        text.push_str(&tree.actor);
        text.push('\n');
        for line in &tree.lines {
            let indent = 2 * line.depth;
            // Writing to a String cannot fail.
            let _ = match &line.entry {
                Entry::Call(name) => writeln!(text, "{:indent$}{name}", ""),
                Entry::Tracepoint(tracepoint) => writeln!(text, "{:indent$}@ {tracepoint}", ""),
            };
        }
    }
    text
}

/// The recording that `text` shows.
pub fn parse(text: &str) -> Result<Recording, FormatError> {
    let mut trees: Vec<Tree> = Vec::new();
    for (i, full) in text.lines().enumerate() {
        let fail = |problem| Err(FormatError { line: i + 1, problem });
        if let Some(actor) = full.strip_prefix("# ") {
            trees.push(Tree { actor: actor.to_owned(), lines: Vec::new() });
            continue;
        }
        let Some(tree) = trees.last_mut() else { return fail("a call before the first actor") };
        let rest = full.trim_start_matches(' ');
        let indent = full.len() - rest.len();
        let deepest = match tree.lines.last() {
            None => 0,
            Some(Line { depth, entry: Entry::Call(_) }) => depth + 1,
            Some(Line { depth, entry: Entry::Tracepoint(_) }) => *depth,
        };
        if indent % 2 != 0 || indent / 2 > deepest {
            return fail("indented to no call above");
        }
        let entry = match rest.strip_prefix("@ ") {
            Some(tracepoint) => Entry::Tracepoint(tracepoint.to_owned()),
            None if rest.is_empty() || rest.contains(char::is_whitespace) => {
                return fail("neither a function nor a tracepoint");
            }
            None => Entry::Call(Cow::Owned(rest.to_owned())),
        };
        tree.lines.push(Line { depth: indent / 2, entry });
    }
    Ok(Recording { trees })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_parses_back() {
        let text = "# task\na\n  b\n    @ t: x=1\n    c\n  @ u: y\n# irq 29 nvme0q0, nvme0q1 cpu=3\nd\n";
        assert_eq!(print(&parse(text).unwrap()), text);
        assert_eq!(parse("").unwrap(), Recording::default());
    }

    #[test]
    fn lines_out_of_place_are_refused() {
        let check = |text, line| assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        check("a\n", 1);
        check("# task\n  a\n", 2);
        check("# task\na\n    b\n", 3);
        check("# task\na\n @ t\n", 3);
        check("# task\na b\n", 2);
        check("# task\n\n", 2);
    }
}
