//! Stops a session: breakpoints at functions and tracepoints, and watched fields.

use core::fmt::Write as _;

use kstate::Kernel;
use kstate::trace::{Arg, Record, Watch, What};

use super::Session;
use crate::watch::Path;
use record::functions::Functions;
use sim::tracefs;

/// A comparison in a breakpoint's condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Op {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "==" | "=" => Self::Eq,
            "!=" => Self::Ne,
            "<" => Self::Lt,
            "<=" => Self::Le,
            ">" => Self::Gt,
            ">=" => Self::Ge,
            _ => return None,
        })
    }

    fn holds(self, left: &str, right: &str) -> bool {
        let number = |text: &str| -> Option<i128> {
            match text.strip_prefix("0x") {
                Some(hex) => i128::from_str_radix(hex, 16).ok(),
                None => text.parse().ok(),
            }
        };
        let order = match (number(left), number(right)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => left.cmp(right),
        };
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
        }
    }
}

impl core::fmt::Display for Op {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        })
    }
}

/// `FIELD OP VALUE`.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    field: String,
    /// The field as one of the machine, where it is no argument.
    path: Option<Path>,
    op: Op,
    value: String,
}

/// Something that stops the machine.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    Break { name: String, condition: Option<Condition> },
    Watch { path: Path, last: String },
}

impl Session {
    /// The first thing at or after a record of the last step that stops, and what it says.
    pub(super) fn stopped_after(&mut self, from: usize) -> Option<String> {
        if self.stops.is_empty() {
            return None;
        }
        let mut text = None;
        'records: for at in from..self.k.trace.records.len() {
            let record = self.k.trace.records[at];
            for (n, stop) in &self.stops {
                let Stop::Break { name, condition } = stop else { continue };
                let reached = match record.what {
                    What::Enter { meta, .. } => meta.name == *name,
                    What::Tracepoint(t) => t.name() == *name,
                    What::Exit { .. } | What::Warn(_) => false,
                };
                if reached && condition.as_ref().is_none_or(|c| holds(c, &record, &self.k)) {
                    text = Some(format!("breakpoint {n}: "));
                    self.cursor = Some(at);
                    break 'records;
                }
            }
        }
        if let Some(text) = text {
            return Some(text + &self.place());
        }
        let mut changed = None;
        for (n, stop) in &mut self.stops {
            let Stop::Watch { path, last } = stop else { continue };
            let now = path.text(&self.k);
            if now != *last {
                let before = core::mem::replace(last, now.clone());
                changed = Some((*n, path.clone(), before, now));
                break;
            }
        }
        let (n, path, before, now) = changed?;
        self.cursor = self.who_changed(&path);
        let by = self.cursor.and_then(|at| self.function_at(at));
        let by = by.map_or_else(|| "no function".to_owned(), |name| format!("{name}()"));
        let mut text = format!("watch {n}: {path} was {before}, is {now}, changed by {by}\n");
        text.push_str(&self.place());
        Some(text)
    }

    /// The record of the last step before which a value changed, found by doing the step again.
    fn who_changed(&mut self, path: &Path) -> Option<usize> {
        let here = self.step;
        let last = self.last.clone();
        self.visit_quietly(here - 1);
        let text = path.to_string();
        let value: fn(&Kernel, &str) -> u64 = fingerprint;
        let watch = Watch { value, last: fingerprint(&self.k, &text), path: text, hit: None };
        self.k.trace.probe = Some(watch);
        self.tick(&mut Vec::new());
        let hit = self.k.trace.probe.take().and_then(|watch| watch.hit);
        self.last = last;
        // What ran between the record before and this one.
        hit.map(|at| at.saturating_sub(1).max(self.base))
    }

    fn visit_quietly(&mut self, to: u64) {
        let stops = core::mem::take(&mut self.stops);
        self.visit(to);
        self.stops = stops;
    }

    pub(super) fn set_break(&mut self, rest: &str) -> Result<String, String> {
        if rest.is_empty() {
            return Ok(self.list_stops());
        }
        let (name, condition) = match rest.split_once(char::is_whitespace) {
            None => (rest, None),
            Some((name, rest)) => {
                let Some(text) = rest.trim().strip_prefix("if ") else {
                    return Err(format!(
                        "`{}` stands behind the name; expected `if FIELD OP VALUE`",
                        rest.trim()
                    ));
                };
                (name, Some(condition(text.trim())?))
            }
        };
        let functions = Functions::of(self.k.sem.version);
        let tracepoints = || tracefs::EVENTS.iter().flat_map(|(_, names)| names.iter().copied());
        if functions.get(name).is_none() && !tracepoints().any(|t| t == name) {
            let known = functions.iter().map(|f| f.name).chain(tracepoints());
            let close: Vec<&str> = known.filter(|k| k.contains(name)).take(3).collect();
            let hint = if close.is_empty() {
                String::new()
            } else {
                format!("; did you mean {}?", close.join(", "))
            };
            return Err(format!("`{name}` is no function in scope and no tracepoint of this kernel{hint}"));
        }
        let n = self.add(Stop::Break { name: name.to_owned(), condition });
        Ok(format!("breakpoint {n} at {name}\n"))
    }

    pub(super) fn set_watch(&mut self, rest: &str) -> Result<String, String> {
        if rest.is_empty() {
            return Ok(self.list_stops());
        }
        let path = Path::parse(rest)?;
        path.values(&self.k)?;
        let last = path.text(&self.k);
        let text = format!("{path}, now {last}\n");
        let n = self.add(Stop::Watch { path, last });
        Ok(format!("watch {n} on {text}"))
    }

    fn add(&mut self, stop: Stop) -> u32 {
        let n = self.next_stop;
        self.next_stop += 1;
        self.stops.insert(n, stop);
        n
    }

    fn list_stops(&self) -> String {
        let mut out = String::new();
        for (n, stop) in &self.stops {
            let _ = match stop {
                Stop::Break { name, condition: None } => writeln!(out, "{n} break {name}"),
                Stop::Break { name, condition: Some(c) } => {
                    writeln!(out, "{n} break {name} if {} {} {}", c.field, c.op, c.value)
                }
                Stop::Watch { path, last } => writeln!(out, "{n} watch {path}, now {last}"),
            };
        }
        if out.is_empty() { "nothing stops the machine\n".to_owned() } else { out }
    }

    pub(super) fn delete(&mut self, rest: &str) -> Result<String, String> {
        if rest.is_empty() {
            self.stops.clear();
            return Ok(String::new());
        }
        let n = rest.parse().map_err(|_| format!("`{rest}` is no number of a breakpoint or watch"))?;
        self.stops
            .remove(&n)
            .map(|_| String::new())
            .ok_or_else(|| format!("there is no breakpoint or watch {n}"))
    }
}

/// A number that differs when the value of a field does.
fn fingerprint(k: &Kernel, path: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    Path::parse(path).map(|path| path.text(k)).hash(&mut hasher);
    hasher.finish()
}

fn condition(text: &str) -> Result<Condition, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words.iter().position(|w| Op::parse(w).is_some());
    let (Some(at), Some(op)) = (at, at.and_then(|at| Op::parse(words[at]))) else {
        return Err(format!("`{text}` compares nothing; expected FIELD == VALUE, or != < <= > >="));
    };
    let [value] = words[at + 1..] else {
        return Err("a condition ends with one value; expected FIELD OP VALUE".to_owned());
    };
    let field = words[..at].join(" ");
    if field.is_empty() {
        return Err("a condition begins with a field; expected FIELD OP VALUE".to_owned());
    }
    let path = Path::parse(&field).ok();
    Ok(Condition { field, path, op, value: value.to_owned() })
}

/// Whether a condition holds at a record: its field is an argument, a field of the tracepoint, `cpu`,
/// or one of the machine's as it is at the end of the step.
fn holds(condition: &Condition, record: &Record, k: &Kernel) -> bool {
    let field = condition.field.as_str();
    let here = match record.what {
        What::Enter { meta, args } => {
            let named = meta.arguments(&args).find(|(name, _)| *name == field);
            named.map(|(_, arg)| match arg {
                Arg::Word(_) => arg.to_string(),
                Arg::IrqData(data) => data.irq.to_string(),
            })
        }
        What::Tracepoint(t) => {
            let text = t.to_string();
            let value = text.split([' ', ',']).find_map(|part| part.strip_prefix(field)?.strip_prefix('='));
            value.map(str::to_owned)
        }
        What::Exit { .. } | What::Warn(_) => None,
    };
    let value = here.or_else(|| (field == "cpu").then(|| record.cpu.to_string()));
    let value =
        value.unwrap_or_else(|| condition.path.as_ref().map_or_else(String::new, |path| path.text(k)));
    condition.op.holds(&value, &condition.value)
}
