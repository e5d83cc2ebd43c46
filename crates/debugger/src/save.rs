//! A session as a file, and back.
//!
//! The file is a script, which a shell or `irqlab run` takes line by line. What a script has no words for stands in comments
//! that begin with `# irqlab`: the machine, its kernel, what was set, and the step after which each line was typed.

use core::fmt::Write as _;
use std::sync::Arc;

use super::export::forced;
use super::time::Place;
use super::{Input, Save, Session};
use sim::script::Script;
use sim::shell::COMMAND_TIME;

/// What comments of a saved session begin with.
const SIGN: &str = "# irqlab ";
/// A line of the machine file.
const MACHINE: &str = "# irqlab| ";

/// What a session was started with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The text of the machine file.
    pub machine: String,
    /// The kernel's name.
    pub kernel: String,
    /// What was set before boot, as `FIELD=VALUE`.
    pub set: Vec<String>,
    /// What hardware does is not recorded.
    pub no_hardware: bool,
}

/// What was typed, as a file has it.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Typed {
    Line(String),
    /// A line that began while another one was under way, or beside which one began.
    Beside(String),
    Set {
        field: String,
        value: String,
    },
}

/// What a shell is told besides, and the session is not.
const FOR_A_SHELL: &str = "shell";

/// A saved session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Saved {
    /// What it was started with.
    pub origin: Origin,
    typed: Vec<(u64, Typed)>,
    end: u64,
    /// The record at which it stood.
    record: Option<usize>,
    /// What stops it: the number, how often it is to be passed, and the word that set it.
    stops: Vec<(u32, u64, String)>,
    /// Words of the lab that change what is shown.
    words: Vec<String>,
}

impl Saved {
    /// Reads a file that `:save` wrote; `None` for one that is only a script.
    ///
    /// # Errors
    /// The line that is wrong, and what was expected there.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if !text.lines().any(|line| line.starts_with(SIGN)) {
            return Ok(None);
        }
        let mut saved = Self::default();
        let mut at = None;
        for (number, line) in text.lines().enumerate() {
            if let Some(line) = line.strip_prefix(MACHINE.trim_end()) {
                saved.origin.machine.push_str(line.strip_prefix(' ').unwrap_or(line));
                saved.origin.machine.push('\n');
                continue;
            }
            let Some(note) = line.strip_prefix(SIGN) else {
                match (at, saved.typed.last_mut()) {
                    (Some(step), Some((last, Typed::Line(text)))) if *last == step => {
                        text.push_str(line);
                        text.push('\n');
                    }
                    (Some(step), Some((last, Typed::Beside(text)))) if *last == step => {
                        text.push_str(line.strip_suffix(" &").unwrap_or(line));
                        text.push('\n');
                    }
                    _ => {}
                }
                continue;
            };
            let wrong = |what: &str| {
                let number = number + 1;
                format!("line {number}: `{note}` is no note of a saved session; expected {what}")
            };
            let (word, rest) = note.split_once(' ').unwrap_or((note, ""));
            let step = |text: &str| text.parse::<u64>().map_err(|_| wrong("the number of a step"));
            match word {
                "session" => {}
                "kernel" => saved.origin.kernel = rest.to_owned(),
                "boot" => saved.origin.set.push(rest.to_owned()),
                "hardware" if rest == "off" => saved.origin.no_hardware = true,
                "stop" => {
                    let wrong = || wrong("NUMBER PASSES :break or :watch");
                    let mut parts = rest.splitn(3, ' ');
                    let number = parts.next().and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
                    let passes = parts.next().and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
                    let word = parts.next().filter(|w| w.starts_with(":break ") || w.starts_with(":watch "));
                    saved.stops.push((number, passes, word.ok_or_else(wrong)?.to_owned()));
                }
                "word" => saved.words.push(rest.to_owned()),
                "step" | "beside" => {
                    let step = step(rest)?;
                    let line = String::new();
                    saved
                        .typed
                        .push((step, if word == "step" { Typed::Line(line) } else { Typed::Beside(line) }));
                    at = Some(step);
                }
                FOR_A_SHELL => at = None,
                "set" => {
                    let (step_text, change) =
                        rest.split_once(' ').ok_or_else(|| wrong("STEP FIELD=VALUE"))?;
                    let (field, value) = change.split_once('=').ok_or_else(|| wrong("STEP FIELD=VALUE"))?;
                    let (field, value) = (field.to_owned(), value.to_owned());
                    saved.typed.push((step(step_text)?, Typed::Set { field, value }));
                    at = None;
                }
                "end" => {
                    let (end, record) = rest.split_once(':').map_or((rest, None), |(a, b)| (a, Some(b)));
                    saved.end = step(end)?;
                    let record =
                        record.map(|record| record.parse::<usize>().map_err(|_| wrong("STEP:RECORD")));
                    saved.record = record.transpose()?;
                    at = None;
                }
                _ => {
                    let known =
                        "session, kernel, boot, hardware, step, beside, shell, set, stop, word or end";
                    return Err(wrong(known));
                }
            }
        }
        Ok(Some(saved))
    }

    /// Something in it is no script's: `:set` was typed.
    pub fn sets(&self) -> bool {
        self.typed.iter().any(|(_, typed)| matches!(typed, Typed::Set { .. }))
    }
}

impl Session {
    /// Says what the session was started with, so that `:save` can write it.
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Does a saved session again; this one has to stand at its beginning, on the saved machine.
    ///
    /// # Errors
    /// A line that cannot be done where it was typed.
    pub fn again_as(&mut self, saved: &Saved) -> Result<(), String> {
        let reach = |session: &mut Self, step: u64| {
            session.visit(step);
            let there = session.step();
            if there == step {
                Ok(())
            } else {
                Err(format!("the session ends at step {there}, before step {step}"))
            }
        };
        for (at, typed) in &saved.typed {
            reach(self, *at)?;
            let input = match typed {
                Typed::Line(text) | Typed::Beside(text) => {
                    // The line before is over where the next one was typed. It may take no step, and sets variables.
                    let alone = matches!(typed, Typed::Line(_));
                    if alone && self.shell.is_some() && self.tick(&mut Vec::new()) {
                        return Err(format!("what was typed before step {at} is not over there"));
                    }
                    let script = Script::parse_with("sh", text, &self.vars)
                        .map_err(|e| format!("the line typed at step {at}: {e}; {}", e.label()))?;
                    let beside = self.shell.is_some() && matches!(typed, Typed::Beside(_));
                    self.input(Arc::new(script), beside)
                }
                Typed::Set { field, value } => {
                    let mut sem = self.k.sem.clone();
                    sem.set(field, value).map_err(|e| format!("{e}; expected {}", e.expected()))?;
                    Input::Set { field: field.clone(), value: value.clone() }
                }
            };
            self.branch(input);
            self.feed();
        }
        reach(self, saved.end)?;
        let tell = |word: &str, e: String| format!("`{word}`: {e}");
        for word in &saved.words {
            let reply = self.line(word);
            if reply.failed {
                return Err(tell(word, reply.text.trim_end().to_owned()));
            }
        }
        for (number, passes, word) in &saved.stops {
            self.set_stop(*number, *passes, word).map_err(|e| tell(word, e))?;
        }
        if let Some(record) = saved.record {
            self.go_to(Place { step: saved.end, record: record.checked_sub(1) })?;
        }
        Ok(())
    }

    pub(super) fn save(&self, rest: &str) -> Result<Save, String> {
        let (replace, file) = forced(rest);
        if file.is_empty() {
            return Err("`:save` needs a file; expected a name".to_owned());
        }
        let said = format!("{file} does this session again");
        Ok(Save { file: file.to_owned(), bytes: self.script().into_bytes(), replace, said })
    }

    /// A script that does the session again, up to where it stands.
    pub fn script(&self) -> String {
        let kernel = self.k.sem.version.name();
        let mut text = format!("{SIGN}session on {}: `irqlab sh --script FILE` does it again\n", self.name);
        let _ = writeln!(text, "{SIGN}kernel {kernel}");
        if let Some(origin) = &self.origin {
            for change in &origin.set {
                let _ = writeln!(text, "{SIGN}boot {change}");
            }
            for line in origin.machine.lines() {
                let _ = writeln!(text, "{}", format!("{MACHINE}{line}").trim_end());
            }
        }
        if !self.k.trace.hardware {
            let _ = writeln!(text, "{SIGN}hardware off");
        }
        let inputs = &self.inputs[..self.applied];
        // Lines in a row that were under way together, and are jobs for a shell.
        let mut together = false;
        for (n, (at, input)) in inputs.iter().enumerate() {
            let beside = |input: Option<&(u64, Input)>| matches!(input, Some((_, Input::Beside { .. })));
            let _ = match input {
                Input::Line(script) if beside(inputs.get(n + 1)) => {
                    together = true;
                    writeln!(text, "{SIGN}beside {at}\n{}", as_job(script))
                }
                Input::Line(script) => writeln!(text, "{SIGN}step {at}\n{}", script.text.trim_end()),
                Input::Beside { script, after } => {
                    // What a command of a shell takes at least.
                    if let Some(rest) = after.checked_sub(COMMAND_TIME).filter(|_| together) {
                        let _ = writeln!(text, "{SIGN}{FOR_A_SHELL}\nsleep {}", seconds(rest));
                    }
                    writeln!(text, "{SIGN}beside {at}\n{}", as_job(script))
                }
                Input::Set { field, value } => writeln!(text, "{SIGN}set {at} {field}={value}"),
            };
            if together && !beside(inputs.get(n + 1)) {
                together = false;
                let _ = writeln!(text, "{SIGN}{FOR_A_SHELL}\nwait");
            }
        }
        if self.folder != "/" {
            let _ = writeln!(text, "{SIGN}word cd {}", self.folder);
        }
        let filter = self.filter_words();
        if !filter.is_empty() {
            let _ = writeln!(text, "{SIGN}word :filter {filter}");
        }
        for (number, passes, word) in self.stops_as_words() {
            let _ = writeln!(text, "{SIGN}stop {number} {passes} {word}");
        }
        let record = self.cursor.map_or_else(String::new, |at| format!(":{}", at - self.base + 1));
        let _ = writeln!(text, "{SIGN}end {}{record}", self.step);
        text
    }
}

/// A line as a job of a shell. What is for the recorder is none.
fn as_job(script: &Script) -> String {
    let line = script.text.trim_end();
    if line.starts_with('#') { line.to_owned() } else { format!("{line} &") }
}

/// Nanoseconds as `sleep` takes them.
pub fn seconds(ns: u64) -> String {
    let text = format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_as_sleep_takes_them() {
        for (ns, text) in [(0, "0"), (1, "0.000000001"), (1_500_000_000, "1.5"), (10_000_000_000, "10")] {
            assert_eq!(seconds(ns), text);
        }
    }
}
