//! Writes what a session recorded, in the formats of `irqlab run --format`.

use record::Options;
use record::formats::{Export, Format};
use record::functions::Functions;

use super::{Input, Save, Session};
use sim::script::Statement;

/// Endings of names that stand for a format.
const ENDINGS: [(&str, Format); 11] = [
    ("json", Format::Json),
    ("jsonl", Format::Json),
    ("pftrace", Format::Perfetto),
    ("perfetto", Format::Perfetto),
    ("dot", Format::Dot),
    ("mmd", Format::MermaidSequence),
    ("svg", Format::Svg),
    ("dat", Format::TraceCmd),
    ("flow", Format::Flow),
    ("events", Format::Events),
    ("hardware", Format::Hardware),
];

/// An option that stands before a file, and what follows it.
pub(super) fn forced(rest: &str) -> (bool, &str) {
    match rest.strip_prefix("--force").filter(|r| r.is_empty() || r.starts_with(char::is_whitespace)) {
        Some(rest) => (true, rest.trim()),
        None => (false, rest.trim()),
    }
}

impl Session {
    /// What was recorded since the session began, up to where it stands.
    pub(super) fn export(&self, rest: &str) -> Result<Save, String> {
        let (replace, rest) = forced(rest);
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (file, format) = match words[..] {
            [file] => {
                let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
                let known = ENDINGS.iter().find(|(known, _)| *known == ending);
                (file, known.map_or(Format::Story, |(_, format)| *format))
            }
            // Both orders are in use: `perf` has the format first, `cp` the file last.
            [first, second] => match (Format::from_name(second), Format::from_name(first)) {
                (Some(format), _) => (first, format),
                (None, Some(format)) => (second, format),
                (None, None) => {
                    let names = Format::names();
                    return Err(format!("`{second}` is no format; expected one of {names}"));
                }
            },
            [] => return Err("`:export` needs a file; expected FILE [FORMAT]".to_owned()),
            [_, _, more, ..] => {
                return Err(format!(
                    "`:export` takes a file and a format, not `{more}`; expected FILE [FORMAT], and \
                     `:filter` before it to choose what is written"
                ));
            }
        };
        if format.needs_hardware() && !self.k.trace.hardware {
            return Err(
                "this session keeps no records of hardware; `irqlab sh --hardware=on` does".to_owned()
            );
        }
        let end = self.cursor.map_or(self.k.trace.records.len(), |at| at + 1);
        let start = self.began.saturating_sub(self.dropped).min(end);
        let reads = |input: &Input| match input {
            Input::Line(script) | Input::Beside { script, .. } => {
                script.statements.iter().any(Statement::reads_disk)
            }
            Input::Set { .. } => false,
        };
        let io = self.inputs[..self.applied].iter().any(|(_, input)| reads(input));
        let export = Export {
            k: &self.k,
            records: start..end,
            options: Options { io },
            filter: &self.shown,
            domains: None,
            vectors: false,
            clock: None,
            title: &self.name,
        };
        let bytes = export.write(format).map_err(|e| format!("{e}; expected {}", e.expected))?;
        let lost =
            if self.dropped > self.began { "; what came first was forgotten, as there is much" } else { "" };
        let levels = format.levels(Functions::of(self.k.sem.version));
        let many = match self.shown.shows_all() {
            true => end - start,
            false => {
                let chosen = self.shown.chosen(&self.k.trace, start..end, levels);
                chosen.into_iter().filter(|shown| *shown).count()
            }
        };
        let said = format!("{file} has {many} records as {}{lost}", format.name());
        Ok(Save { file: file.to_owned(), bytes, replace, said })
    }
}
