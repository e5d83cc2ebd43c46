//! Lines of the kernel log: which format a line, or a piece of one, was made by.
//!
//! Formats and lines are cut into words. What a format fills in, and what has a digit in it, is not compared. A line
//! fits a format as far as it has the format's words in the same order. A word counts the more, the fewer formats
//! have it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use kstate::semantics::KernelVersion;

use crate::source::{Place, Source};

/// A format, with everything that logs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Format {
    /// C's format.
    pub text: String,
    /// The function that logs it.
    pub function: String,
    /// In which kernels, where, and by which C function or macro.
    pub places: Vec<(KernelVersion, Place, String)>,
    words: Vec<String>,
}

/// The formats of all kernels.
#[derive(Debug)]
pub struct Formats {
    all: Vec<Format>,
    weights: BTreeMap<String, f64>,
    /// What a word counts that no format has.
    unknown: f64,
}

/// How well a line fits a format.
#[derive(Clone, Copy, Debug)]
pub struct Fit<'a> {
    /// The format.
    pub format: &'a Format,
    /// How much of the format the line has, from 0 to 1.
    pub of_format: f64,
    /// How much of the line the format has, from 0 to 1.
    pub of_line: f64,
}

impl Fit<'_> {
    /// Both as one number, from 0 to 1.
    pub fn score(&self) -> f64 {
        let sum = self.of_format + self.of_line;
        if sum > 0.0 { 2.0 * self.of_format * self.of_line / sum } else { 0.0 }
    }
}

/// A format without what it fills in: a blank stands for it.
fn literal(format: &str) -> String {
    let mut out = String::new();
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                rest.next();
                out.push(' ');
            }
            '%' => {
                out.push(' ');
                if rest.peek() == Some(&'{') {
                    rest.by_ref().take_while(|c| *c != '}').for_each(drop);
                    continue;
                }
                while rest.next_if(|c| "-+ #.*0123456789hlLqjzt".contains(*c)).is_some() {}
                // %pbl, %pS and their like.
                if rest.next() == Some('p') {
                    while rest.next_if(char::is_ascii_alphanumeric).is_some() {}
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// The words of a text: letters without digits beside them, in small letters.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let parts = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '\''));
    for part in parts {
        // `cpu3` is a word and a number; `fee01000` is a number.
        let hex = part.len() > 1
            && part.chars().all(|c| c.is_ascii_hexdigit())
            && part.contains(|c: char| c.is_ascii_digit());
        if hex || part.starts_with("0x") {
            continue;
        }
        let letters = part.split(|c: char| c.is_ascii_digit()).filter(|w| w.chars().any(char::is_alphabetic));
        words.extend(letters.map(|word| word.trim_matches(['_', '\'']).to_lowercase()));
    }
    words
}

impl Formats {
    /// The formats of all kernels, put together at first use.
    pub fn get() -> &'static Self {
        static FORMATS: OnceLock<Formats> = OnceLock::new();
        FORMATS.get_or_init(Self::collect)
    }

    fn collect() -> Self {
        let mut by_text: BTreeMap<(String, String), Format> = BTreeMap::new();
        for &version in KernelVersion::ALL {
            for message in &Source::of(version).messages {
                let key = (message.format.clone(), message.function.clone());
                let format = by_text.entry(key).or_insert_with(|| Format {
                    text: message.format.clone(),
                    function: message.function.clone(),
                    places: Vec::new(),
                    words: words(&literal(&message.format)),
                });
                format.places.push((version, message.place.clone(), message.how.clone()));
            }
        }
        let all: Vec<Format> = by_text.into_values().filter(|format| !format.words.is_empty()).collect();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for format in &all {
            for word in format.words.iter().collect::<BTreeSet<_>>() {
                *counts.entry(word.clone()).or_default() += 1;
            }
        }
        let most = all.len() as f64;
        let weights = counts.into_iter().map(|(word, n)| (word, (most / n as f64).ln() + 0.1)).collect();
        // A name or a number of the reporter's: it says little.
        Self { all, weights, unknown: 1.5 }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Format> {
        self.all.iter()
    }

    fn weight(&self, word: &str) -> f64 {
        self.weights.get(word).copied().unwrap_or(self.unknown)
    }

    /// A word that some format has: the word itself, or one that it was meant to be.
    fn known(&self, word: String) -> String {
        if word.len() < 5 || self.weights.contains_key(&word) {
            return word;
        }
        let most = if word.len() < 9 { 1 } else { 2 };
        let close = self
            .weights
            .keys()
            .filter(|known| known.len().abs_diff(word.len()) <= most)
            .map(|known| (strsim::levenshtein(known, &word), known))
            .filter(|(distance, _)| *distance <= most)
            .min();
        close.map_or(word, |(_, known)| known.clone())
    }

    /// The formats that fit a line, the best first, and only those that fit about as well as the best.
    pub fn fitting(&self, line: &str) -> Vec<Fit<'_>> {
        let known =
            |text: &str| words(text).into_iter().map(|word| self.known(word)).collect::<Vec<String>>();
        let asked = known(line);
        // A driver and a device in front of a colon are filled in.
        let behind = match line.split_once(": ") {
            Some((before, behind)) if before.split_whitespace().count() <= 3 => known(behind),
            _ => asked.clone(),
        };
        let sum = |words: &[String]| words.iter().map(|word| self.weight(word)).sum::<f64>();
        let mut fits: Vec<Fit<'_>> = Vec::new();
        for format in &self.all {
            let asked = if format.text.starts_with("%s") { &behind } else { &asked };
            let (common, count) = self.common(&format.words, asked);
            let (of_format, of_line) = (common / sum(&format.words), common / sum(asked).max(f64::EPSILON));
            let fit = Fit { format, of_format, of_line };
            // One word is enough only where it is all of the format and a rare one.
            let enough =
                count >= 2 || count == 1 && fit.of_format > 0.99 && fit.of_line > 0.9 && common > 4.0;
            let whole = fit.of_format > 0.8 && common > 6.0;
            let half = fit.of_line > 0.75 && common > 5.0;
            if enough && (whole || half) {
                fits.push(fit);
            }
        }
        fits.sort_by(|a, b| b.score().total_cmp(&a.score()));
        let (best, line) = fits.first().map_or((0.0, 0.0), |fit| (fit.score(), fit.of_line));
        // Half a line may be half of many.
        fits.retain(|fit| fit.score() > 0.9 * best || line > 0.9 && fit.of_line >= line);
        fits
    }

    /// The longest row of words that both have in the same order: its weight and its length.
    fn common(&self, a: &[String], b: &[String]) -> (f64, usize) {
        let mut row = vec![(0.0_f64, 0_usize); b.len() + 1];
        for word in a {
            let mut diagonal = row[0];
            for (i, other) in b.iter().enumerate() {
                let above = row[i + 1];
                let mut best = if above.0 >= row[i].0 { above } else { row[i] };
                if word == other {
                    let with = (diagonal.0 + self.weight(word), diagonal.1 + 1);
                    if with.0 > best.0 {
                        best = with;
                    }
                }
                diagonal = above;
                row[i + 1] = best;
            }
        }
        row[b.len()]
    }
}

/// A line without what a logger puts in front: time, host, facility, program.
pub fn without_prefix(line: &str) -> &str {
    let mut line = line.trim();
    // journalctl and syslog: the kernel's own text is behind this.
    if let Some(rest) =
        line.split_once(" kernel: ").map(|(_, rest)| rest).or_else(|| line.strip_prefix("kernel: "))
    {
        line = rest.trim_start();
    }
    loop {
        let time = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let level = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let digit = |text: &str| text.contains(|c: char| c.is_ascii_digit());
        match (time, level) {
            (Some((inside, rest)), _) if digit(inside) => line = rest.trim_start(),
            (_, Some((inside, rest))) if digit(inside) => line = rest.trim_start(),
            _ => return line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_no_word() {
        assert_eq!(literal("CPU %u has %*pbl, 100%% of %#x by %pS here"), "CPU   has  , 100  of   by   here");
        assert_eq!(literal("%{PREFIX}x %s\\n"), " x   ");
        assert_eq!(words("CPU3 has 0xfee01000 I/O, didn't"), ["cpu", "has", "i", "o", "didn't"]);
    }

    #[test]
    fn a_logger_s_prefix_goes() {
        for line in [
            "[   12.345678] irq 16: nobody cared",
            "[Sat Nov 28 01:24:15 2026] irq 16: nobody cared",
            "<4>[   12.345678] irq 16: nobody cared",
            "Nov 28 01:24:15 host kernel: [   12.3] irq 16: nobody cared",
            "2026-11-28T01:24:15+00:00 host kernel: irq 16: nobody cared",
            "irq 16: nobody cared",
        ] {
            assert_eq!(without_prefix(line), "irq 16: nobody cared", "{line}");
        }
    }
}
