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

/// How often it came again.
fn more(times: u32) -> String {
    if times > 1 { format!("   (and {} more like it)", times - 1) } else { String::new() }
}

fn print(out: &mut String, told: &Told, depth: usize) {
    let times = more(told.times);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{:1$}{2}{times}", "", depth * 2, told.text);
    for below in &told.below {
        print(out, below, depth + 1);
    }
}

/// The text of a recording for people.
pub fn story(recording: &Recording) -> String {
    let mut out = String::new();
    // A tree is what its actor does.
    let mut trees: Vec<Told> = Vec::new();
    for tree in &recording.trees {
        let told = Told { text: tree.actor.clone(), times: 1, below: tell(&tree.lines, 0) };
        match trees.last_mut() {
            Some(last) if last.is_like(&told) => last.times += 1,
            _ => trees.push(told),
        }
    }
    for tree in &trees {
        let _ = writeln!(out, "{}:{}", tree.text, more(tree.times));
        for told in &tree.below {
            print(&mut out, told, 1);
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

    #[test]
    fn equal_trees_of_an_actor_are_counted() {
        let text = "# boot\na\n# boot\na\n# boot\nb\n# task\nb\n# task\nb\n  c\n";
        let expect = "boot:   (and 1 more like it)\n  a\n\nboot:\n  b\n\ntask:\n  b\n\ntask:\n  b\n    c\n\n";
        assert_eq!(story(&crate::formats::flow::parse(text).unwrap()), expect);
    }
}
