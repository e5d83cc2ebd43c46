//! Stops a session: breakpoints at functions and tracepoints, and watched fields.
//!
//! While a step is done, a [`Guard`] looks at the machine at each record and notes what stops there. So a condition and a
//! watch see the machine as it is right there. When breakpoints change in the middle of a step, the step is done again on
//! a copy, with another guard.

use core::fmt::Write as _;
use std::collections::BTreeSet;

use kstate::Kernel;
use kstate::trace::{HARDWARE, Observer, Record, Tracepoint, What};

use super::Session;
use crate::condition::Condition;
use crate::fields;
use crate::watch::Path;
use record::filter::fits;
use record::functions::Functions;
use sim::tracefs;

/// Something that stops the machine.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    kind: Kind,
    /// How often it was reached while the session went on.
    hits: u64,
    /// How often it is to be passed without a stop.
    ignore: u64,
    /// It was said that its tracepoint stayed silent.
    told: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Break {
        /// As it was typed.
        name: String,
        /// The functions and tracepoints that it stands for.
        names: BTreeSet<&'static str>,
        condition: Option<Condition>,
    },
    Watch {
        path: Path,
        /// The value when it was looked at last.
        last: String,
        fingerprint: u64,
    },
}

/// A place at which something stops.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    /// The record; for what was noticed at the end of a step, the number of records.
    at: usize,
    stop: u32,
    /// What a watch saw before and after.
    change: Option<(String, String)>,
}

/// What stops in a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Hits {
    /// The step, and how often breakpoints had been changed then; `None` where nobody looked.
    of: Option<(u64, u64)>,
    list: Vec<Hit>,
    /// Tracepoints that a breakpoint is at and that stayed silent: the record that came next, the breakpoint, and what the
    /// tracepoint would have said.
    silent: Vec<(usize, u32, String)>,
}

/// Notes what stops while a step is done.
#[derive(Debug)]
pub(super) struct Guard {
    stops: Vec<(u32, Kind)>,
    hits: Hits,
}

impl Guard {
    fn watch(&mut self, k: &Kernel, at: usize) {
        for (n, kind) in &mut self.stops {
            let Kind::Watch { path, last, fingerprint } = kind else { continue };
            let seen = path.fingerprint(k);
            if seen == *fingerprint {
                continue;
            }
            *fingerprint = seen;
            let now = path.text(k);
            if now != *last {
                let before = core::mem::replace(last, now.clone());
                self.hits.list.push(Hit { at, stop: *n, change: Some((before, now)) });
            }
        }
    }
}

impl Observer for Guard {
    fn recorded(&mut self, k: &mut Kernel) {
        let at = k.trace.records.len() - 1;
        let record = k.trace.records[at];
        let name = match record.what {
            What::Enter { meta, .. } => Some(meta.name),
            What::Tracepoint(t) => Some(t.name()),
            What::Hardware(hardware) => Some(hardware.name()),
            What::Exit { .. } | What::Warn(_) => None,
        };
        self.watch(k, at);
        let Some(name) = name else { return };
        for (n, kind) in &self.stops {
            let Kind::Break { names, condition, .. } = kind else { continue };
            if names.contains(name) && condition.as_ref().is_none_or(|c| c.holds(&record, k)) {
                self.hits.list.push(Hit { at, stop: *n, change: None });
            }
        }
    }

    fn silent(&mut self, k: &mut Kernel, tracepoint: Tracepoint) {
        let record =
            Record { ctx: k.cur.ctx, cpu: k.cur.cpu, time: k.events.now, what: What::Tracepoint(tracepoint) };
        for (n, kind) in &self.stops {
            let Kind::Break { names, condition, .. } = kind else { continue };
            if names.contains(tracepoint.name()) && condition.as_ref().is_none_or(|c| c.holds(&record, k)) {
                let text = format!("{tracepoint}  [cpu {}]", record.cpu);
                self.hits.silent.push((k.trace.records.len(), *n, text));
            }
        }
    }
}

impl Session {
    /// Who looks at the next step, where something may stop in it.
    pub(super) fn guard(&self) -> Option<Box<Guard>> {
        (!self.stops.is_empty()).then(|| {
            let stops = self.stops.iter().map(|(n, stop)| (*n, stop.kind.clone())).collect();
            Box::new(Guard { stops, hits: Hits::default() })
        })
    }

    /// The step is done: what was noted in it.
    pub(super) fn guarded(&mut self) {
        let Some(mut guard) = self.k.trace.observer.end::<Guard>() else { return };
        // What changed after the last record.
        guard.watch(&self.k, self.k.trace.records.len());
        self.note(*guard);
    }

    fn note(&mut self, guard: Guard) {
        for (n, kind) in guard.stops {
            if let Some(stop) = self.stops.get_mut(&n) {
                stop.kind = kind;
            }
        }
        self.hits = Hits { of: Some((self.step, self.stops_changed)), ..guard.hits };
        // The order of the records; where a breakpoint and a watch meet, of their numbers.
        self.hits.list.sort_by_key(|hit| (hit.at, hit.stop));
    }

    /// Watches are compared with what is there now from here on.
    pub(super) fn refresh_watches(&mut self) {
        let mut stops = core::mem::take(&mut self.stops);
        for stop in stops.values_mut() {
            if let Kind::Watch { path, last, fingerprint } = &mut stop.kind {
                *last = path.text(&self.k);
                *fingerprint = path.fingerprint(&self.k);
            }
        }
        self.stops = stops;
        self.hits = Hits::default();
    }

    /// Something stops in the last step.
    pub(super) fn stops_in_step(&mut self) -> bool {
        self.find_hits();
        !self.hits.list.is_empty()
    }

    /// Something stops at one of these records of the last step.
    pub(super) fn has_hit(&mut self, from: usize, until: usize) -> bool {
        self.find_hits();
        self.hits.list.iter().any(|hit| (from..until).contains(&hit.at))
    }

    /// Finds out what stops in the last step, where that is not known.
    fn find_hits(&mut self) {
        if self.hits.of == Some((self.step, self.stops_changed)) || self.stops.is_empty() {
            return;
        }
        let Some(before) = self.before().map(|before| before.k) else { return };
        let mut guard = Guard { stops: Vec::new(), hits: Hits::default() };
        guard.stops.extend(self.stops.iter().map(|(n, stop)| (*n, stop.kind.clone())));
        for (_, kind) in &mut guard.stops {
            if let Kind::Watch { path, last, fingerprint } = kind {
                (*last, *fingerprint) = (path.text(&before), path.fingerprint(&before));
            }
        }
        if let Some(mut guard) = self.again(guard) {
            guard.watch(&self.k, self.k.trace.records.len());
            self.note(*guard);
        }
    }

    /// The first thing at or after a record of the last step that stops, and what it says.
    pub(super) fn stopped_after(&mut self, from: usize) -> Option<String> {
        if self.stops.is_empty() {
            return None;
        }
        self.find_hits();
        let list = core::mem::take(&mut self.hits.list);
        let mut found = None;
        for hit in list.iter().filter(|hit| hit.at >= from) {
            let Some(stop) = self.stops.get_mut(&hit.stop) else { continue };
            stop.hits += 1;
            if stop.ignore > 0 {
                stop.ignore -= 1;
                continue;
            }
            found = Some(hit.clone());
            break;
        }
        self.hits.list = list;
        // What comes after the stop is not told yet.
        let until = found.as_ref().map_or(usize::MAX, |hit| hit.at);
        let (passed, later) =
            core::mem::take(&mut self.hits.silent).into_iter().partition(|(at, ..)| *at <= until);
        self.hits.silent = later;
        let passed: Vec<(usize, u32, String)> = passed;
        for (_, n, text) in passed {
            self.tell_silent(n, &text);
        }
        let hit = found?;
        Some(self.stop_at(&hit))
    }

    /// The last thing before a record of the last step that stops.
    pub(super) fn stopped_before(&mut self, until: usize) -> Option<String> {
        if self.stops.is_empty() {
            return None;
        }
        self.find_hits();
        let hit = self.hits.list.iter().rev().find(|hit| hit.at < until).cloned()?;
        Some(self.stop_at(&hit))
    }

    fn stop_at(&mut self, hit: &Hit) -> String {
        let hits = core::mem::take(&mut self.hits);
        self.note_stop();
        self.stand((hit.at < self.k.trace.records.len()).then_some(hit.at));
        self.hits = hits;
        let n = hit.stop;
        let text = match (&hit.change, self.stops.get(&n).map(|stop| &stop.kind)) {
            (Some((before, now)), Some(Kind::Watch { path, .. })) => {
                // What ran between the record before and this one.
                let by = hit.at.checked_sub(1).filter(|at| *at >= self.base);
                let by = match by {
                    Some(at) => self.function_at(at),
                    None => self.function_before(hit.at),
                };
                let by = by.map_or_else(|| "no function".to_owned(), |name| format!("{name}()"));
                format!("watch {n}: {path} was {before}, is {now}, changed by {by}\n")
            }
            _ => format!("breakpoint {n}: "),
        };
        text + &self.place()
    }

    fn tell_silent(&mut self, n: u32, text: &str) {
        let Some(stop) = self.stops.get_mut(&n) else { return };
        if core::mem::replace(&mut stop.told, true) {
            return;
        }
        let _ = writeln!(
            self.said,
            "breakpoint {n} was passed: {text}: a tracepoint does not fire on a CPU that is not online; a breakpoint \
             at the function around it stops there"
        );
    }

    /// Functions and tracepoints that a name stands for.
    fn names_of(&self, name: &str) -> Result<BTreeSet<&'static str>, String> {
        let functions = Functions::of(self.k.sem.version);
        let tracepoints = || tracefs::EVENTS.iter().flat_map(|(_, names)| names.iter().copied());
        let hardware = || HARDWARE.iter().map(|(name, _)| *name);
        let modelled = || functions.iter().map(|f| f.name).filter(|name| fields::is_modelled(name));
        let known = || modelled().chain(tracepoints()).chain(hardware());
        let mut names = BTreeSet::new();
        for part in name.split(',') {
            // `irq_vectors:vector_config`, as perf and trace-cmd write it.
            let part = match part.split_once(':') {
                Some((system, event)) if tracefs::EVENTS.iter().any(|(known, _)| *known == system) => event,
                _ => part,
            };
            if part.starts_with("hw::") && !self.k.trace.hardware {
                return Err(format!(
                    "`{part}` is a record of hardware, and this session keeps none; --hardware=on does"
                ));
            }
            let before = names.len();
            names.extend(known().filter(|known| fits(part, known)));
            if names.len() > before || names.contains(part) {
                continue;
            }
            if functions.get(part).is_some() {
                return Err(format!(
                    "`{part}` is a function of this kernel that is not modelled: nothing here calls it"
                ));
            }
            let mut close: Vec<&str> = known().filter(|k| !part.is_empty() && k.contains(part)).collect();
            close.truncate(3);
            let hint = match close[..] {
                [] => String::new(),
                _ => format!("; did you mean {}?", close.join(", ")),
            };
            return Err(format!(
                "`{part}` is no function in scope, no tracepoint of this kernel and no record of hardware{hint}"
            ));
        }
        Ok(names)
    }

    pub(super) fn set_break(&mut self, rest: &str) -> Result<String, String> {
        if rest.is_empty() {
            return Ok(self.list_stops());
        }
        let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let names = self.names_of(name)?;
        let condition = match rest.trim() {
            "" => None,
            rest => {
                let Some(text) = rest.strip_prefix("if ") else {
                    return Err(format!("`{rest}` stands behind the name; expected `if FIELD OP VALUE`"));
                };
                let of: Vec<&str> = names.iter().copied().collect();
                Some(Condition::parse(text.trim(), &of, self.here())?)
            }
        };
        let many = if names.len() > 1 { format!(" ({} names)", names.len()) } else { String::new() };
        let shown = condition.as_ref().map_or_else(String::new, |c| format!(" if {c}"));
        let n = self.add(Kind::Break { name: name.to_owned(), names, condition });
        Ok(format!("breakpoint {n} at {name}{many}{shown}\n"))
    }

    pub(super) fn set_watch(&mut self, rest: &str) -> Result<String, String> {
        if rest.is_empty() {
            return Ok(self.list_stops());
        }
        let path = Path::parse(rest)?;
        path.values(self.here())?;
        let text = format!("{path}, now {}\n", path.text(self.here()));
        let (last, fingerprint) = (path.text(&self.k), path.fingerprint(&self.k));
        let n = self.add(Kind::Watch { path, last, fingerprint });
        Ok(format!("watch {n} on {text}"))
    }

    fn add(&mut self, kind: Kind) -> u32 {
        let n = self.next_stop;
        self.next_stop += 1;
        self.stops_changed += 1;
        self.stops.insert(n, Stop { kind, hits: 0, ignore: 0, told: false });
        n
    }

    /// What stops the session: the number, how often it is to be passed, and the word that sets it.
    pub(super) fn stops_as_words(&self) -> Vec<(u32, u64, String)> {
        let word = |stop: &Stop| match &stop.kind {
            Kind::Break { name, condition: None, .. } => format!(":break {name}"),
            Kind::Break { name, condition: Some(c), .. } => format!(":break {name} if {c}"),
            Kind::Watch { path, .. } => format!(":watch {path}"),
        };
        self.stops.iter().map(|(n, stop)| (*n, stop.ignore, word(stop))).collect()
    }

    /// Sets a breakpoint or watch under the number that it had.
    pub(super) fn set_stop(&mut self, number: u32, passes: u64, word: &str) -> Result<(), String> {
        self.next_stop = number;
        match word.split_once(' ') {
            Some((":watch", rest)) => self.set_watch(rest)?,
            Some((_, rest)) => self.set_break(rest)?,
            None => return Err("there is nothing to stop at".to_owned()),
        };
        if let Some(stop) = self.stops.get_mut(&number) {
            stop.ignore = passes;
        }
        Ok(())
    }

    fn list_stops(&self) -> String {
        let mut out = String::new();
        for (n, stop) in &self.stops {
            let _ = match &stop.kind {
                Kind::Break { name, condition: None, .. } => write!(out, "{n} break {name}"),
                Kind::Break { name, condition: Some(c), .. } => write!(out, "{n} break {name} if {c}"),
                Kind::Watch { path, .. } => write!(out, "{n} watch {path}, now {}", path.text(self.here())),
            };
            let hits = match stop.hits {
                0 => String::new(),
                1 => ", hit once".to_owned(),
                n => format!(", hit {n} times"),
            };
            let ignore = match stop.ignore {
                0 => String::new(),
                n => format!(", passes {n} more"),
            };
            let _ = writeln!(out, "{hits}{ignore}");
        }
        if out.is_empty() { "nothing stops the machine\n".to_owned() } else { out }
    }

    pub(super) fn ignore(&mut self, rest: &str) -> Result<String, String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [n, times] = words[..] else {
            return Err("`:ignore` lets a breakpoint pass; expected its number and how often".to_owned());
        };
        let (Ok(number), Ok(times)) = (n.parse::<u32>(), times.parse::<u64>()) else {
            return Err(format!("`{rest}` is no number of a breakpoint and no count; expected two numbers"));
        };
        let stop = self.stops.get_mut(&number);
        let stop = stop.ok_or_else(|| format!("there is no breakpoint or watch {number}"))?;
        stop.ignore = times;
        Ok(format!("{number} is passed {times} times\n"))
    }

    pub(super) fn delete(&mut self, rest: &str) -> Result<String, String> {
        self.stops_changed += 1;
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
