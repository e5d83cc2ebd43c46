//! Call trees for people: equal neighbours are counted, and so are equal trees of one actor.

use std::fmt::Write as _;

use crate::recording::{Entry, Line, Recording};

/// A call or tracepoint with everything below it.
#[derive(Clone, PartialEq, Eq)]
struct Told {
    text: String,
    times: u32,
    below: Vec<Told>,
}

impl Told {
    /// The same calls, whatever the numbers of their tracepoints.
    fn is_like(&self, other: &Self) -> bool {
        let name = |told: &Self| told.text.split(": ").next().map(str::to_owned);
        name(self) == name(other)
            && self.below.len() == other.below.len()
            && self.below.iter().zip(&other.below).all(|(a, b)| a.times == b.times && a.is_like(b))
    }
}

fn tell(lines: &[Line], depth: usize) -> Vec<Told> {
    let mut out: Vec<Told> = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let len = 1 + lines[at + 1..].iter().take_while(|l| l.depth > depth).count();
        let (text, below) = match &line.entry {
            Entry::Call(name) => (name.to_string(), tell(&lines[at + 1..at + len], depth + 1)),
            Entry::Tracepoint(text) => (format!("@ {text}"), Vec::new()),
        };
        let told = Told { text, times: 1, below };
        match out.last_mut() {
            Some(last) if last.is_like(&told) => last.times += 1,
            _ => out.push(told),
        }
        at += len;
    }
    out
}

fn print(out: &mut String, told: &Told, depth: usize) {
    let times =
        if told.times > 1 { format!("   (and {} more like it)", told.times - 1) } else { String::new() };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{:1$}{2}{times}", "", depth * 2, told.text);
    for below in &told.below {
        print(out, below, depth + 1);
    }
}

/// The text of a recording for people.
pub fn story(recording: &Recording) -> String {
    let mut out = String::new();
    for tree in &recording.trees {
        let _ = writeln!(out, "{}:", tree.actor);
        for told in tell(&tree.lines, 0) {
            print(&mut out, &told, 1);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_that_differ_in_numbers_only_are_counted() {
        let text = "# task\na\n  b\n    @ t: x=1\n  b\n    @ t: x=2\n  b\n  c\n";
        let expect = "task:\n  a\n    b   (and 1 more like it)\n      @ t: x=1\n    b\n    c\n\n";
        assert_eq!(story(&crate::formats::flow::parse(text).unwrap()), expect);
    }
}
