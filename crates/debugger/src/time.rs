//! Time in a session: what a step is, which states are kept, and how to come back to one.

use std::collections::BTreeMap;

use kstate::trace::{Ctx, FnMeta, Record, What};
use kstate::tracing::Mark;
use kstate::{CtxId, Kernel};

use super::stops::Stop;
use super::{Input, Session};
use sim::script::Variables;
use sim::shell::{Bench, Progress, Shell};

/// Steps between two states that are kept for a short while.
pub(super) const NEAR: u64 = 64;
/// For how many steps those are kept.
const RECENT: u64 = 512;
/// States that are kept for longer; with more of them their distance doubles.
const KEPT: usize = 256;
/// Records beyond which what is not looked at any more is forgotten.
const MOST_RECORDS: usize = 2_000_000;

/// The state after some step, without what was recorded.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    k: Kernel,
    shell: Option<Shell>,
    vars: Variables,
    applied: usize,
    /// Length of the record, counted from power-on.
    records: usize,
    contexts: usize,
    marks: Vec<Mark>,
    /// Records forgotten when this was kept.
    dropped: usize,
    stacks: BTreeMap<CtxId, Vec<&'static FnMeta>>,
}

/// What was recorded after the step at which the session stands. It is what going on would record
/// again, so that a jump forward appends it instead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// How many contexts were opened before these.
    contexts: usize,
    ctxs: Vec<Ctx>,
    /// How many records come before these, counted from power-on.
    at: usize,
    records: Vec<Record>,
}

impl Session {
    /// Moves what the last step opened and closed into `stacks`.
    pub(super) fn fold(&mut self, to: usize) {
        for record in &self.k.trace.records[self.base..to] {
            follow(&mut self.stacks, record);
        }
        self.base = to;
    }

    /// Does what was typed after this step.
    pub(super) fn feed(&mut self) {
        while let Some((at, input)) = self.inputs.get(self.applied) {
            // Lines follow each other, even where one of them takes no step.
            if *at != self.step || (self.shell.is_some() && matches!(input, Input::Line(_))) {
                return;
            }
            match input.clone() {
                Input::Line(script) => {
                    self.shell = Some(Shell::new(script, core::mem::take(&mut self.vars)));
                }
                Input::Set { field, value } => {
                    // It was checked when it was typed.
                    let _ = self.k.sem.set(&field, &value);
                }
            }
            self.applied += 1;
        }
    }

    /// One step; false when the shell has nothing to do. What was printed is added to `terminal`.
    pub(super) fn tick(&mut self, terminal: &mut Vec<String>) -> bool {
        self.feed();
        let Some(shell) = &mut self.shell else { return false };
        let start = self.k.trace.records.len();
        let progress = loop {
            let progress = shell.advance(&mut Bench { k: &mut self.k, terminal });
            // A line for the recorder is a comment here.
            if !matches!(progress, Progress::Directive(_)) {
                break progress;
            }
        };
        if progress == Progress::Idle {
            self.vars = shell.take_vars();
            self.shell = None;
            return false;
        }
        self.fold(start);
        self.cursor = None;
        self.last = Some(progress);
        self.step += 1;
        self.end = self.end.max(self.step);
        self.forget();
        if self.step.is_multiple_of(NEAR) {
            self.keep();
        }
        true
    }

    /// Forgets old records when there are too many and nobody can look at them.
    fn forget(&mut self) {
        if self.k.trace.records.len() < MOST_RECORDS || self.k.tracing.is_active() {
            return;
        }
        let gone = self.base;
        self.k.trace.records.drain(..gone);
        for mark in &mut self.k.trace.marks {
            mark.at = mark.at.saturating_sub(gone);
        }
        self.base = 0;
        self.dropped += gone;
    }

    /// Keeps the state.
    pub(super) fn keep(&mut self) {
        if self.checkpoints.contains_key(&self.step) {
            return;
        }
        let records = core::mem::take(&mut self.k.trace.records);
        let contexts = core::mem::take(&mut self.k.trace.ctxs);
        let mut stacks = self.stacks.clone();
        for record in &records[self.base..] {
            follow(&mut stacks, record);
        }
        let checkpoint = Checkpoint {
            k: self.k.clone(),
            shell: self.shell.clone(),
            vars: self.vars.clone(),
            applied: self.applied,
            records: self.dropped + records.len(),
            contexts: contexts.len(),
            marks: self.k.trace.marks.clone(),
            dropped: self.dropped,
            stacks,
        };
        self.k.trace.records = records;
        self.k.trace.ctxs = contexts;
        self.checkpoints.insert(self.step, checkpoint);
        let recent = self.step.saturating_sub(RECENT);
        while self.checkpoints.keys().filter(|at| at.is_multiple_of(self.spacing)).count() > KEPT {
            self.spacing *= 2;
        }
        let spacing = self.spacing;
        self.checkpoints.retain(|at, _| *at >= recent || at.is_multiple_of(spacing));
    }

    /// Goes to a step that was there before, or forward along what was typed.
    pub(super) fn visit(&mut self, to: u64) {
        // The step itself is done again, so that what it did is known.
        let found =
            self.checkpoints.range(..to.max(1)).next_back().map(|(at, checkpoint)| (*at, checkpoint.clone()));
        if let Some((at, checkpoint)) = found
            // The buffer of the tracer is made of records, so that none may be jumped over.
            && (to < self.step || (at > self.step && checkpoint.marks.is_empty()))
        {
            self.restore(at, checkpoint);
        }
        let mut unread = Vec::new();
        while self.step < to {
            let before = self.step;
            if !self.tick(&mut unread)
                && self.step == before
                && self.inputs.get(self.applied).is_none_or(|(at, _)| *at != self.step)
            {
                break;
            }
            unread.clear();
        }
        for stop in self.stops.values_mut() {
            if let Stop::Watch { path, last } = stop {
                *last = path.text(&self.k);
            }
        }
    }

    fn restore(&mut self, at: u64, checkpoint: Checkpoint) {
        let Checkpoint { k, shell, vars, applied, records, contexts, marks, dropped, stacks } = checkpoint;
        let mut kept = core::mem::take(&mut self.k.trace.records);
        let mut ctxs = core::mem::take(&mut self.k.trace.ctxs);
        let mut ahead = core::mem::take(&mut self.ahead);
        ctxs.extend(ahead.ctxs.drain(..).skip(ctxs.len().saturating_sub(ahead.contexts)));
        if let Some(known) = (self.dropped + kept.len()).checked_sub(ahead.at) {
            kept.extend(ahead.records.drain(..).skip(known));
        }
        let forgotten = self.dropped.saturating_sub(dropped);
        if records < self.dropped || records > self.dropped + kept.len() {
            // Before what is remembered, or beyond it.
            kept.clear();
            self.dropped = records;
        }
        self.ahead = Ahead {
            contexts,
            ctxs: ctxs.split_off(contexts.min(ctxs.len())),
            at: records,
            records: kept.split_off(records - self.dropped),
        };
        self.k = k;
        self.k.trace.records = kept;
        self.k.trace.ctxs = ctxs;
        self.k.trace.marks = marks;
        for mark in &mut self.k.trace.marks {
            mark.at = mark.at.saturating_sub(forgotten);
        }
        self.base = self.k.trace.records.len();
        self.stacks = stacks;
        (self.shell, self.vars, self.applied, self.step) = (shell, vars, applied, at);
        self.cursor = None;
        self.last = None;
    }

    /// What was to come is gone when something else is done instead.
    pub(super) fn branch(&mut self, input: Input) {
        self.inputs.truncate(self.applied);
        self.checkpoints.split_off(&(self.step + 1));
        self.end = self.step;
        self.ahead = Ahead::default();
        self.inputs.push((self.step, input));
    }

    /// What was typed after this step has not happened yet.
    pub(super) fn is_next(&self) -> bool {
        self.inputs.get(self.applied).is_some_and(|(at, _)| *at == self.step)
    }

    /// The machine as it was after a step, without what was recorded.
    pub(super) fn state_at(&mut self, step: u64) -> Kernel {
        self.visit(step);
        let trace = core::mem::take(&mut self.k.trace);
        let k = self.k.clone();
        self.k.trace = trace;
        k
    }
}

fn follow(stacks: &mut BTreeMap<CtxId, Vec<&'static FnMeta>>, record: &Record) {
    match record.what {
        What::Enter { meta, .. } => stacks.entry(record.ctx).or_default().push(meta),
        What::Exit { .. } => {
            if let Some(stack) = stacks.get_mut(&record.ctx) {
                stack.pop();
                if stack.is_empty() {
                    stacks.remove(&record.ctx);
                }
            }
        }
        What::Tracepoint(_) | What::Warn(_) => {}
    }
}
