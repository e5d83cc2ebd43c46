//! The data from which a screen draws a session.

use std::collections::BTreeMap;

use kstate::irqdesc::Irqd;
use kstate::trace::{Actor, What};
use kstate::{CtxId, Irq, Kernel};

use super::Session;
use super::timeline::{Filter, StepNote};
use crate::fields::irq_of;
use record::functions::Functions;
use record::{HARDWARE, event_label};

/// What a line of the tree of calls is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// Whose stack follows, and on which CPU.
    Head,
    /// A call that was open before this step.
    Before,
    /// A call.
    Call,
    /// A tracepoint.
    Tracepoint,
    /// What hardware did.
    Hardware,
    /// A warning of the kernel.
    Warning,
}

/// A line of the tree of calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallLine {
    /// What it is.
    pub kind: LineKind,
    /// How many calls are around it.
    pub depth: usize,
    /// The call with its arguments, the tracepoint with its fields, the context's name.
    pub text: String,
    /// What the call returned, once it has.
    pub returned: Option<i64>,
    /// The call is over.
    pub over: bool,
    /// The record it stands for, to be pointed at with [`Session::point`].
    pub record: Option<usize>,
    /// The session stands here.
    pub here: bool,
}

/// A place in the kernel's sources.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The function that runs.
    pub function: &'static str,
    /// Its C file in this kernel.
    pub file: &'static str,
    /// The line of its definition, where it is in scope.
    pub line: Option<u32>,
}

/// A session as it stands.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The machine where the session stands.
    pub k: &'a Kernel,
    /// What the machine is called.
    pub name: &'a str,
    /// Steps done so far.
    pub step: u64,
    /// The last step there is.
    pub end: u64,
    /// The steps after which something was typed, and what.
    pub typed: Vec<(u64, String)>,
    /// What the step is about.
    pub doing: String,
    /// What the steps were about that are known.
    pub steps: &'a [StepNote],
    /// Which of them are listed.
    pub filter: Option<Filter>,
    /// The calls of the step up to the cursor, and those around them.
    pub calls: Vec<CallLine>,
    /// How many records of the step are shown, and how many it has.
    pub progress: (usize, usize),
    /// Where the cursor is in the sources.
    pub source: Option<Source>,
    /// The interrupt that what is under the cursor is about.
    pub irq: Option<Irq>,
    /// The function, tracepoint or record of hardware under the cursor.
    pub subject: Option<&'static str>,
}

impl Session {
    /// What the session looks like now.
    pub fn view(&self) -> View<'_> {
        let k = self.here();
        let records = &self.k.trace.records;
        let until = self.cursor.map_or(records.len(), |at| at + 1).clamp(self.base, records.len());
        let mut calls: Vec<CallLine> = Vec::new();
        // The lines of the calls that are open, by context.
        let mut open: BTreeMap<CtxId, Vec<usize>> = BTreeMap::new();
        let (mut shown, mut here, mut irq) = (None, None, None);
        for (at, record) in records.iter().enumerate().take(until).skip(self.base) {
            let line = |kind, depth, text| CallLine {
                kind,
                depth,
                text,
                returned: None,
                over: false,
                record: Some(at),
                here: false,
            };
            if shown != Some((record.ctx, record.cpu)) {
                shown = Some((record.ctx, record.cpu));
                let actor = self.k.trace.ctxs.get(record.ctx).map(|ctx| &ctx.actor);
                // Hardware that acts on its own is on no CPU.
                let label = actor.map_or_else(
                    || HARDWARE.to_owned(),
                    |actor| format!("{}, cpu {}", event_label(actor), record.cpu),
                );
                calls.push(CallLine { record: None, ..line(LineKind::Head, 0, label) });
                if let Some(Actor::Irq { irq: Some(taken), .. }) = actor {
                    irq = Some(*taken);
                }
            }
            let open = open.entry(record.ctx).or_insert_with(|| {
                let before = self.stacks.get(&record.ctx).map_or(&[][..], Vec::as_slice);
                let first = calls.len();
                calls.extend(before.iter().enumerate().map(|(depth, call)| CallLine {
                    record: None,
                    ..line(LineKind::Before, depth, format!("{}()", call.meta.name))
                }));
                (first..calls.len()).collect()
            });
            // One that is gone is none to look at.
            irq = irq_of(record, k).filter(|irq| irq.index() < k.irq.descs.len()).or(irq);
            match record.what {
                What::Enter { meta, args } => {
                    let text = format!("{}({})", meta.name, self.k.arguments(meta, &args));
                    calls.push(line(LineKind::Call, open.len(), text));
                    open.push(calls.len() - 1);
                    here = Some(calls.len() - 1);
                }
                What::Exit { ret, .. } => {
                    if let Some(line) = open.pop() {
                        calls[line].over = true;
                        calls[line].returned = ret.map(|word| word as i64);
                        here = Some(line);
                    }
                }
                What::Tracepoint(t) => {
                    calls.push(line(LineKind::Tracepoint, open.len(), t.to_string()));
                    here = Some(calls.len() - 1);
                }
                What::Hardware(hardware) => {
                    let text = self.k.trace.hardware_text(&hardware);
                    calls.push(line(LineKind::Hardware, open.len(), text));
                    here = Some(calls.len() - 1);
                }
                What::Warn(text) => {
                    calls.push(line(LineKind::Warning, open.len(), text.to_owned()));
                    here = Some(calls.len() - 1);
                }
            }
        }
        if let (Some(here), Some(_)) = (here, self.cursor) {
            calls[here].here = true;
        }
        View {
            k,
            name: &self.name,
            step: self.step,
            end: self.end,
            typed: self.typed().collect(),
            doing: self.doing(),
            steps: &self.notes,
            filter: self.filter,
            calls,
            progress: (until - self.base, records.len() - self.base),
            source: self.source(until),
            irq,
            subject: self.subject(until),
        }
    }

    /// What the record before `until` is about.
    fn subject(&self, until: usize) -> Option<&'static str> {
        let at = until.checked_sub(1).filter(|at| *at >= self.base)?;
        match self.k.trace.records[at].what {
            What::Enter { meta, .. } | What::Exit { meta, .. } => Some(meta.name),
            What::Tracepoint(t) => Some(t.name()),
            What::Hardware(hardware) => Some(hardware.name()),
            What::Warn(_) => self.stack_at(at).last().map(|call| call.meta.name),
        }
    }

    /// The place of the record before `until`.
    fn source(&self, until: usize) -> Option<Source> {
        let at = until.checked_sub(1).filter(|at| *at >= self.base)?;
        let meta = match self.k.trace.records[at].what {
            // What returns is still looked at.
            What::Enter { meta, .. } | What::Exit { meta, .. } => meta,
            What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => self.stack_at(at).last()?.meta,
        };
        let functions = Functions::of(self.k.sem.version);
        Some(Source {
            function: meta.name,
            file: functions.file_of(meta),
            line: functions.get(meta.name).map(|f| f.line),
        })
    }

    /// Moves the cursor to a record of this step.
    pub fn point(&mut self, record: usize) {
        if (self.base..self.k.trace.records.len()).contains(&record) {
            self.stand(Some(record));
        }
    }

    /// Moves the cursor to the next record, in the next step where this one has no more. Returns
    /// what was printed, or why there is no next one.
    ///
    /// # Errors
    /// A sentence that says why the session stays where it is.
    pub fn forward(&mut self) -> Result<String, String> {
        if let Some(at) = self.cursor
            && at + 1 < self.k.trace.records.len()
        {
            self.stand(Some(at + 1));
            return Ok(String::new());
        }
        let before = self.step;
        self.remember();
        let mut terminal = Vec::new();
        self.tick_on(&mut terminal);
        if self.step == before {
            return Err("the shell waits for a command".to_owned());
        }
        self.stand(Some(self.base));
        Ok(terminal.iter().map(|line| format!("{line}\n")).collect())
    }

    /// Moves the cursor to the record before, in the step before where this one has none.
    ///
    /// # Errors
    /// A sentence that says why the session stays where it is.
    pub fn backward(&mut self) -> Result<(), String> {
        match self.cursor {
            Some(at) if at > self.base => {
                self.stand(Some(at - 1));
                return Ok(());
            }
            // The step is over: into its last record.
            None if self.base < self.k.trace.records.len() => {
                self.stand(Some(self.k.trace.records.len() - 1));
                return Ok(());
            }
            Some(_) | None => {}
        }
        let Some(to) = self.step.checked_sub(1) else {
            return Err("the session begins here".to_owned());
        };
        self.visit(to);
        self.stand(self.k.trace.records.len().checked_sub(1));
        Ok(())
    }
}

/// The levels of an interrupt, outermost first: domain, hardware number and chip.
pub fn hierarchy(k: &Kernel, irq: Irq) -> Vec<(String, u64, String)> {
    let mut levels = Vec::new();
    let mut next = k.find_desc(irq).map(|_| Irqd::top(irq));
    while let Some(d) = next {
        let data = k.irqd(d);
        let domain = data.domain.and_then(|id| k.irq.domains.get(id.index())?.as_ref());
        let name = domain.map_or_else(|| "no domain".to_owned(), |domain| domain.name.clone());
        levels.push((name, data.hwirq, k.chip(d).name.to_owned()));
        next = k.parent_data(d);
    }
    levels
}
