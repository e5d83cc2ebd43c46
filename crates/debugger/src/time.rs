//! Time in a session: what a step is, which states are kept, and how to come back to one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kstate::trace::{Args, FnMeta, Observer, Record, What};
use kstate::tracing::{Kept, Mark, OpenCall};
use kstate::{CtxId, Kernel};

use super::client::Client;
use super::stops::{Guard, Hits};
use super::{Input, Session};
use sim::script::{Script, Variables};
use sim::shell::{ActorId, Bench, Progress, Shell};
use sim::tracefs;

/// Steps between two states that are kept for a short while.
pub(super) const NEAR: u64 = 64;
/// For how many steps those are kept.
const RECENT: u64 = 512;
/// States that are kept for longer; with more of them their distance doubles.
pub(super) const KEPT: usize = 256;
/// Records beyond which the older half is forgotten.
pub(super) const MOST_RECORDS: usize = 2_000_000;
/// Entries of the tracer's buffer that states of the past may hold together, and states that have such a buffer.
const MOST_ENTRIES: usize = 2_000_000;
const MOST_KEPT: usize = 8;
/// Records for which there is always room.
const FEW_RECORDS: usize = 1 << 16;

/// Pictures that are taken at once when a step is done again; going to the next record mostly finds one.
const PICTURES: usize = 16;
/// CPUs up to which a machine is small enough for that many.
const SMALL: usize = 128;

/// A call that is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Call {
    pub(super) meta: &'static FnMeta,
    pub(super) args: Args,
}

/// Calls that are open, by context, outermost first.
pub(super) type Stacks = BTreeMap<CtxId, Vec<Call>>;

/// The state after some step, without what was recorded.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub(super) k: Kernel,
    shell: Option<Shell>,
    vars: Variables,
    applied: usize,
    begun: Vec<(usize, ActorId)>,
    /// Length of the record, counted from power-on.
    records: usize,
    contexts: usize,
    /// What was done to the tracer since `dropped`, as indices into the records from there on.
    marks: Vec<Mark>,
    /// Records before the first that the tracer needs in addition to `kept`, counted from power-on.
    dropped: usize,
    /// The tracer as it was there; `None` where it is not known any more, and where nobody has used it.
    kept: Option<Arc<Kept>>,
    /// It is not known any more.
    gone: bool,
    stacks: Stacks,
}

impl Checkpoint {
    /// Nobody had used the tracer, so that no record is needed for it.
    fn is_untraced(&self) -> bool {
        !self.gone && self.marks.is_empty() && self.kept.as_ref().is_none_or(|kept| kept.is_unused())
    }

    /// It has all that the tracer needs without any record.
    fn has_buffer(&self) -> bool {
        !self.gone && self.kept.is_some() && self.records == self.dropped && self.marks.is_empty()
    }

    /// The first records are forgotten, of which the tracer needs those from `frame` on up to `dropped` and `marks` of
    /// the marks, and `kept` is what it made of them.
    fn forget(&mut self, frame: usize, dropped: usize, marks: usize, kept: &Arc<Kept>) {
        if self.gone || self.dropped >= dropped {
            return;
        }
        if self.records >= dropped && self.dropped == frame && marks <= self.marks.len() {
            self.marks.drain(..marks);
            for mark in &mut self.marks {
                mark.at = mark.at.saturating_sub(dropped - frame);
            }
            (self.dropped, self.kept) = (dropped, Some(kept.clone()));
        } else if !self.is_untraced() && !self.has_buffer() {
            (self.gone, self.kept) = (true, None);
        }
    }
}

/// The calls that are open, for a tracer that nobody has used yet.
fn unused(stacks: &Stacks) -> Kept {
    let open = |calls: &Vec<Call>| {
        calls.iter().map(|call| OpenCall { name: call.meta.name, entered: None }).collect()
    };
    Kept::unused(stacks.iter().map(|(ctx, calls)| (*ctx, open(calls))).collect())
}

/// What was recorded after the step at which the session stands. It is what going on would record
/// again, so that a jump forward appends it instead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// How many records come before these, counted from power-on.
    at: usize,
    /// Those of one jump each, the soonest last: a jump moves only what it jumps over.
    pieces: Vec<Piece>,
    /// How many they are.
    left: usize,
}

impl Ahead {
    /// All records up to one are known, which is counted from power-on, with `now` of them over.
    fn reaches(&self, now: usize, to: usize) -> bool {
        let again = now.checked_sub(self.at).unwrap_or(self.left);
        to <= now + self.left.saturating_sub(again)
    }
}

/// Records, of which the first so many are over again.
#[derive(Debug)]
struct Piece {
    over: usize,
    records: Vec<Record>,
}

impl Ahead {
    /// Moves records between `over`, what is over, and what is to come, so that `to` of them are over. Where it is in
    /// neither, both are forgotten. `dropped` were forgotten before those in `over`; returns how many are then.
    fn turn(&mut self, over: &mut Vec<Record>, dropped: usize, to: usize) -> usize {
        let now = dropped + over.len();
        // What was done again since the last jump is over, and known twice.
        let again = now.checked_sub(self.at).unwrap_or(self.left);
        self.take(again, |_| ());
        self.at = to;
        if to < dropped || to > now + self.left {
            *self = Self { at: to, ..Self::default() };
            over.clear();
            over.shrink_to(FEW_RECORDS);
            return to;
        }
        match now.checked_sub(to) {
            Some(back @ 1..) => {
                self.pieces.push(Piece { over: 0, records: over.split_off(to - dropped) });
                self.left += back;
            }
            Some(0) => {}
            None => self.take(to - now, |records| over.extend_from_slice(records)),
        }
        dropped
    }

    /// Takes the first so many away; `with` is shown them.
    fn take(&mut self, many: usize, mut with: impl FnMut(&[Record])) {
        let mut wanted = many.min(self.left);
        self.left -= wanted;
        while let Some(piece) = self.pieces.last_mut() {
            let until = (piece.over + wanted).min(piece.records.len());
            with(&piece.records[piece.over..until]);
            wanted -= until - piece.over;
            piece.over = until;
            if until < piece.records.len() {
                break;
            }
            self.pieces.pop();
        }
    }
}

/// Pictures of the machine at records of one step.
#[derive(Clone, Debug, Default)]
pub(super) struct Pictures {
    step: u64,
    /// By the record's place in the step. They have nothing that was recorded.
    taken: BTreeMap<usize, Kernel>,
}

/// Takes pictures while a step is done again.
#[derive(Debug)]
struct Camera {
    /// The first record of the step.
    base: usize,
    wanted: core::ops::Range<usize>,
    taken: BTreeMap<usize, Kernel>,
}

impl Observer for Camera {
    fn recorded(&mut self, k: &mut Kernel) {
        let at = k.trace.records.len() - 1 - self.base;
        if self.wanted.contains(&at) {
            self.taken.insert(at, picture(k));
        }
    }
}

/// A copy of the machine without its records.
fn picture(k: &mut Kernel) -> Kernel {
    k.share();
    let trace = core::mem::take(&mut k.trace);
    let copy = k.clone();
    k.trace = trace;
    copy
}

/// What runs: the machine and the shell on it, and how far it has come.
struct Run<'a> {
    k: &'a mut Kernel,
    shell: &'a mut Option<Shell>,
    vars: &'a mut Variables,
    applied: &'a mut usize,
    /// The inputs that the shell is at, with the actors that do them.
    begun: &'a mut Vec<(usize, ActorId)>,
    step: u64,
    troubles: &'a mut usize,
    client: &'a mut Client,
}

impl Run<'_> {
    /// Does what was typed after this step.
    fn feed(&mut self, inputs: &[(u64, Input)]) {
        while let Some((at, input)) = inputs.get(*self.applied) {
            // Lines follow each other, even where one of them takes no step.
            if *at != self.step || (self.shell.is_some() && matches!(input, Input::Line(_))) {
                return;
            }
            match input.clone() {
                Input::Line(script) => self.begin(script),
                Input::Beside { script, .. } => match &mut *self.shell {
                    Some(shell) => {
                        let actor = shell.join(&script);
                        // Numbers of actors that have ended are given again.
                        self.begun.retain(|(_, other)| *other != actor);
                        self.begun.push((*self.applied, actor));
                    }
                    // On another machine those that it was given beside may be done.
                    None => self.begin(script),
                },
                Input::Set { field, value } => {
                    // It was checked when it was typed.
                    let _ = self.k.sem.set(&field, &value);
                }
            }
            *self.applied += 1;
        }
    }

    fn begin(&mut self, script: std::sync::Arc<Script>) {
        *self.shell = Some(Shell::new(script, core::mem::take(self.vars)));
        *self.begun = vec![(*self.applied, ActorId::MAIN)];
    }

    /// One step; `None` when the shell has nothing to do any more.
    fn advance(&mut self, inputs: &[(u64, Input)], terminal: &mut Vec<String>) -> Option<Progress> {
        self.feed(inputs);
        let shell = self.shell.as_mut()?;
        let troubles = |shell: &Shell| shell.failed.len() + shell.complaints.len();
        let (before, complained, failed) = (troubles(shell), shell.complaints.len(), shell.failed.len());
        let progress = loop {
            let progress = shell.advance(&mut Bench { k: self.k, terminal });
            // A line for the recorder is a comment here.
            if !matches!(progress, Progress::Directive(_)) {
                break progress;
            }
        };
        *self.troubles += troubles(shell) - before;
        let input =
            |actor: &ActorId| self.begun.iter().find(|(_, other)| other == actor).map(|(input, _)| *input);
        for complaint in &shell.complaints[complained..] {
            self.client.complained(input(&complaint.actor), complaint);
        }
        for (failure, actor) in shell.failed.iter().zip(&shell.failed_by).skip(failed) {
            self.client.failed(input(actor), format!("{}: {failure}\n", shell.script().name));
        }
        if progress != Progress::Idle {
            return Some(progress);
        }
        *self.vars = shell.take_vars();
        *self.shell = None;
        None
    }
}

impl Session {
    /// Moves what the last step opened and closed into `stacks`.
    pub(super) fn fold(&mut self, to: usize) {
        for record in &self.k.trace.records[self.base..to] {
            follow(&mut self.stacks, record);
        }
        self.base = to;
    }

    fn run_of(&mut self) -> (Run<'_>, &[(u64, Input)]) {
        let Self { k, shell, vars, applied, begun, step, inputs, troubles, client, .. } = self;
        (Run { k, shell, vars, applied, begun, step: *step, troubles, client }, inputs)
    }

    /// Does what was typed after this step.
    pub(super) fn feed(&mut self) {
        let (mut run, inputs) = self.run_of();
        run.feed(inputs);
    }

    /// One step; false when the shell has nothing to do. What was printed is added to `terminal`.
    pub(super) fn tick(&mut self, terminal: &mut Vec<String>) -> bool {
        let start = self.k.trace.records.len();
        let guard = self.guard();
        let guarded = guard.is_some();
        if let Some(guard) = guard {
            self.k.trace.observer.begin(guard);
        }
        self.base_marks = self.k.trace.marks.len();
        let said = terminal.len();
        let (mut run, inputs) = self.run_of();
        let progress = run.advance(inputs, terminal);
        self.printed += terminal[said..].iter().map(|line| line.len() + 1).sum::<usize>();
        let Some(progress) = progress else {
            self.k.trace.observer.end::<Guard>();
            return false;
        };
        self.fold(start);
        self.cursor = None;
        self.last = Some(progress);
        self.step += 1;
        self.end = self.end.max(self.step);
        self.note_step();
        if guarded {
            self.guarded();
        }
        self.forget();
        // On the way to a step far ahead nobody comes back to what is near.
        if self.step.is_multiple_of(NEAR)
            && (self.step + RECENT >= self.aim || self.step.is_multiple_of(self.spacing))
        {
            self.keep();
        }
        true
    }

    /// Forgets the older half of the records where there are too many, and the contexts that nothing names then. What the
    /// tracer has made of them is kept, from a state on that is kept as well, if there is one.
    fn forget(&mut self) {
        if self.k.trace.records.len() < self.most_records {
            return;
        }
        let frame = self.dropped;
        let half = frame + self.k.trace.records.len() / 2;
        let found = self.checkpoints.values().find(|at| {
            at.records >= half && at.records <= frame + self.base && at.dropped == frame && !at.gone
        });
        let (dropped, marks) = match found {
            Some(at) => (at.records, at.marks.len()),
            None => (frame + self.base, self.base_marks),
        };
        let gone = dropped - frame;
        if gone == 0 {
            return;
        }
        if self.is_untraced() {
            let stacks = found.map_or(&self.stacks, |at| &at.stacks);
            self.k.trace.kept = Some(Arc::new(unused(stacks)));
        } else {
            tracefs::keep(&mut self.k, gone, marks);
        }
        self.k.trace.kept_until = 0;
        self.k.trace.records.drain(..gone);
        for mark in &mut self.k.trace.marks {
            mark.at = mark.at.saturating_sub(gone);
        }
        self.base -= gone;
        self.base_marks = self.base_marks.saturating_sub(marks);
        self.dropped = dropped;
        if let Some(kept) = &self.k.trace.kept {
            let before = self.before.as_mut().map(|(_, before)| before);
            for at in self.checkpoints.values_mut().chain(before) {
                at.forget(frame, dropped, marks, kept);
            }
        }
        self.thin_buffers();
        self.forget_contexts();
    }

    /// Where the tracer was used before the session, its first state has what is in the buffer.
    pub(super) fn begin_with_a_buffer(&mut self) {
        if self.is_untraced() {
            return;
        }
        let (records, marks) = (self.k.trace.records.len(), self.k.trace.marks.len());
        tracefs::keep(&mut self.k, records, marks);
        self.k.trace.kept_until = 0;
        self.k.trace.records.clear();
        (self.base, self.dropped) = (0, records);
    }

    /// Nobody has used the tracer yet.
    fn is_untraced(&self) -> bool {
        self.k.trace.marks.is_empty() && self.k.trace.kept.as_ref().is_none_or(|kept| kept.is_unused())
    }

    /// Forgets every second buffer of the tracer where states of the past have too many, but not the newest.
    fn thin_buffers(&mut self) {
        loop {
            let with: Vec<u64> = self
                .checkpoints
                .iter()
                .filter(|(_, at)| at.has_buffer() && !at.is_untraced())
                .map(|(step, _)| *step)
                .collect();
            let held: usize = with
                .iter()
                .filter_map(|step| self.checkpoints[step].kept.as_ref())
                .map(|kept| kept.ring.held())
                .sum();
            if with.len() < 2 || with.len() <= MOST_KEPT && held <= MOST_ENTRIES {
                return;
            }
            for step in with[..with.len() - 1].iter().rev().step_by(2) {
                if let Some(at) = self.checkpoints.get_mut(step) {
                    (at.gone, at.kept) = (true, None);
                }
            }
        }
    }

    /// Forgets the contexts in which nothing can be recorded any more, neither here nor from a state of the past on, and
    /// of which no record is held.
    fn forget_contexts(&mut self) {
        let mut named: BTreeSet<CtxId> = self.k.live_contexts().collect();
        self.k.trace.named_contexts(&mut named);
        named.extend(self.stacks.keys());
        let before = self.before.iter().map(|(_, before)| before);
        for at in self.checkpoints.values().chain(before) {
            named.extend(at.k.live_contexts());
            named.extend(at.kept.iter().flat_map(|kept| kept.stacks.keys()));
        }
        self.k.trace.ctxs.forget_all_but(&named);
    }

    /// The state as it is. It has in common with the machine what neither changes.
    pub(super) fn checkpoint(&mut self) -> Checkpoint {
        let records = core::mem::take(&mut self.k.trace.records);
        let contexts = core::mem::take(&mut self.k.trace.ctxs);
        let marks = core::mem::take(&mut self.k.trace.marks);
        let kept = self.k.trace.kept.take();
        // Of what is shared the next writer makes a copy, which of all contexts would take long.
        self.k.share();
        let mut stacks = self.stacks.clone();
        for record in &records[self.base..] {
            follow(&mut stacks, record);
        }
        let checkpoint = Checkpoint {
            k: self.k.clone(),
            shell: self.shell.clone(),
            vars: self.vars.clone(),
            applied: self.applied,
            begun: self.begun.clone(),
            records: self.dropped + records.len(),
            contexts: contexts.opened(),
            marks: marks.clone(),
            dropped: self.dropped,
            kept: kept.clone(),
            gone: false,
            stacks,
        };
        self.k.trace.records = records;
        self.k.trace.ctxs = contexts;
        self.k.trace.marks = marks;
        self.k.trace.kept = kept;
        checkpoint
    }

    /// Keeps the state.
    pub(super) fn keep(&mut self) {
        if self.checkpoints.contains_key(&self.step) {
            return;
        }
        let checkpoint = self.checkpoint();
        self.checkpoints.insert(self.step, checkpoint);
        let recent = self.step.saturating_sub(RECENT);
        while self.step.is_multiple_of(self.spacing)
            && self.checkpoints.keys().filter(|at| at.is_multiple_of(self.spacing)).count() > self.kept
        {
            self.spacing *= 2;
        }
        let spacing = self.spacing;
        self.checkpoints.retain(|at, _| *at >= recent || at.is_multiple_of(spacing));
    }

    /// Goes to a step that was there before, or forward along what was typed; false where it was interrupted.
    pub(super) fn visit(&mut self, to: u64) -> bool {
        // The step itself is done again, so that what it did is known.
        // The buffer of the tracer is made of records, so that none may be jumped over that are not known.
        let now = self.dropped + self.k.trace.records.len();
        let known = |at: &Checkpoint| {
            at.is_untraced()
                || at.has_buffer()
                || !at.gone && at.dropped >= self.dropped && self.ahead.reaches(now, at.records)
        };
        let found = self.checkpoints.range(..to.max(1)).rev().find(|(_, at)| known(at));
        let found = found.map(|(at, checkpoint)| (*at, checkpoint.clone()));
        if let Some((at, checkpoint)) = found
            && (to < self.step || at > self.step)
        {
            self.restore(at, checkpoint);
        }
        let stops = core::mem::take(&mut self.stops);
        let troubles = self.troubles;
        let mut unread = Vec::new();
        let mut finished = true;
        self.aim = to;
        while self.step < to {
            let before = self.step;
            if !self.tick(&mut unread)
                && self.step == before
                && self.inputs.get(self.applied).is_none_or(|(at, _)| *at != self.step)
            {
                break;
            }
            unread.clear();
            if self.step < to && !self.goes_on() {
                finished = false;
                break;
            }
        }
        self.aim = 0;
        self.stops = stops;
        self.troubles = troubles;
        self.rest();
        self.refresh_watches();
        finished
    }

    /// What ended with the last step waits for the next line.
    pub(super) fn rest(&mut self) {
        if let Some(shell) = self.shell.as_mut().filter(|shell| shell.done()) {
            self.vars = shell.take_vars();
            self.shell = None;
        }
    }

    /// The state before the last step.
    pub(super) fn before(&mut self) -> Option<Checkpoint> {
        let wanted = self.step.checked_sub(1)?;
        if let Some((at, before)) = &self.before
            && *at == wanted
        {
            return Some(before.clone());
        }
        let (at, kept) = self.checkpoints.range(..=wanted).next_back()?;
        let (at, kept) = (*at, kept.clone());
        let before = if at == wanted { kept } else { self.rerun(kept, at, wanted, None) };
        self.before = Some((wanted, before.clone()));
        Some(before)
    }

    /// Keeps the state as the one before the step that comes next.
    pub(super) fn remember(&mut self) {
        if self.before.as_ref().is_none_or(|(at, _)| *at != self.step) {
            self.before = Some((self.step, self.checkpoint()));
        }
    }

    /// Runs from a state of the past to a later one on a copy, with an observer in the last step, which the recorder
    /// gives back. With one the later state is where the session stands.
    fn rerun(
        &mut self,
        from: Checkpoint,
        at: u64,
        to: u64,
        mut observer: Option<Box<dyn Observer>>,
    ) -> Checkpoint {
        let Checkpoint { mut k, mut shell, mut vars, mut applied, mut begun, records, contexts, .. } = from;
        let mut stacks = from.stacks;
        // The copy has the session's contexts, which it opens again, and at the end its records: in the step that is
        // looked at they have to be where the session has them.
        let mut trace = core::mem::take(&mut self.k.trace);
        let mut own = core::mem::take(&mut trace.records);
        let mut later = own.split_off(self.base.min(own.len()));
        let (own_marks, own_contexts) = (core::mem::take(&mut trace.marks), trace.ctxs.opened());
        trace.ctxs.reopen(contexts);
        k.trace = trace;
        let (mut step, mut unread, mut troubles, mut client) = (at, Vec::new(), 0, Client::default());
        let mut made = 0;
        while step < to {
            let looked_at = if step + 1 == to { observer.take() } else { None };
            let in_place = looked_at.is_some();
            if let Some(observer) = looked_at {
                core::mem::swap(&mut k.trace.records, &mut own);
                k.trace.observer.begin(observer);
            }
            let before = k.trace.records.len();
            let mut run = Run {
                k: &mut k,
                shell: &mut shell,
                vars: &mut vars,
                applied: &mut applied,
                begun: &mut begun,
                step,
                troubles: &mut troubles,
                client: &mut client,
            };
            let went_on = run.advance(&self.inputs, &mut unread).is_some();
            unread.clear();
            let new = k.trace.records.split_off(before);
            new.iter().for_each(|record| follow(&mut stacks, record));
            made += new.len();
            if in_place {
                core::mem::swap(&mut k.trace.records, &mut own);
            }
            if went_on {
                step += 1;
            } else if self.inputs.get(applied).is_none_or(|(at, _)| *at != step) {
                break;
            }
        }
        let mut trace = core::mem::take(&mut k.trace);
        let contexts = trace.ctxs.opened();
        own.append(&mut later);
        (trace.records, trace.marks) = (own, own_marks);
        trace.ctxs.reopen(own_contexts);
        self.k.trace = trace;
        k.trace.on = true;
        let (records, dropped) = (records + made, self.dropped);
        let (marks, kept, gone) = (Vec::new(), None, true);
        Checkpoint { k, shell, vars, applied, begun, records, contexts, marks, dropped, kept, gone, stacks }
    }

    /// Does the last step again on a copy, with an observer.
    pub(super) fn again<T: Observer>(&mut self, observer: T) -> Option<Box<T>> {
        let before = self.before()?;
        self.rerun(before, self.step - 1, self.step, Some(Box::new(observer)));
        self.k.trace.observer.end::<T>()
    }

    /// Does on another machine, which has just booted, all that was done in this session. `seen` is told after each step
    /// what it was, and what was typed at that time with the lines that were typed before it; what was printed is
    /// returned.
    pub fn again_on(
        &self,
        k: &mut Kernel,
        mut seen: impl FnMut(&Kernel, &Progress, &Script, usize),
    ) -> Vec<String> {
        let (mut shell, mut vars, mut applied, mut begun) = (None, Variables::default(), 0, Vec::new());
        let (mut step, mut troubles, mut terminal, mut client) = (0, 0, Vec::new(), Client::default());
        while step < self.end || self.inputs.get(applied).is_some_and(|(at, _)| *at == step) {
            let mut run = Run {
                k: &mut *k,
                shell: &mut shell,
                vars: &mut vars,
                applied: &mut applied,
                begun: &mut begun,
                step,
                troubles: &mut troubles,
                client: &mut client,
            };
            match run.advance(&self.inputs, &mut terminal) {
                Some(progress) => {
                    step += 1;
                    let Some(shell) = &shell else { continue };
                    seen(k, &progress, shell.script(), self.lines_before(applied));
                }
                None if self.inputs.get(applied).is_none_or(|(at, _)| *at != step) => break,
                None => {}
            }
        }
        terminal
    }

    /// The lines that were typed before the last line of the first `applied` inputs.
    fn lines_before(&self, applied: usize) -> usize {
        let applied = &self.inputs[..applied];
        let last = applied.iter().rposition(|(_, input)| matches!(input, Input::Line(_))).unwrap_or(0);
        let lines = applied[..last].iter().map(|(_, input)| match input {
            Input::Line(script) | Input::Beside { script, .. } => script.text.trim_end().lines().count(),
            Input::Set { .. } => 0,
        });
        lines.sum()
    }

    /// Stands at a record of the last step, or at its end.
    pub(super) fn stand(&mut self, cursor: Option<usize>) {
        self.cursor = cursor.filter(|at| (self.base..self.k.trace.records.len()).contains(at));
        let Some(place) = self.cursor.map(|at| at - self.base) else { return };
        if self.pictures.step == self.step && self.pictures.taken.contains_key(&place) {
            return;
        }
        let cpus = self.k.topo.nr_cpu_ids as usize;
        let many = (PICTURES * SMALL / cpus.max(1)).clamp(1, PICTURES);
        let first = place - place % many;
        let camera = Camera { base: self.base, wanted: first..first + many, taken: BTreeMap::new() };
        let Some(camera) = self.again(camera) else { return };
        if self.pictures.step != self.step {
            self.pictures = Pictures { step: self.step, taken: BTreeMap::new() };
        }
        // Those beside the new ones are kept, for who goes to and fro.
        let near = first.saturating_sub(many)..first + 2 * many;
        self.pictures.taken.retain(|at, _| near.contains(at));
        self.pictures.taken.extend(camera.taken);
    }

    /// The machine where the session stands.
    pub(super) fn here(&self) -> &Kernel {
        let place = self.cursor.and_then(|at| at.checked_sub(self.base));
        let taken = place.filter(|_| self.pictures.step == self.step);
        taken.and_then(|place| self.pictures.taken.get(&place)).unwrap_or(&self.k)
    }

    /// Looks at the machine where the session stands with something that wants to write: at a copy, which has of the
    /// records those that are over.
    pub fn look<T>(&mut self, with: impl FnOnce(&mut Kernel) -> T) -> T {
        let mut trace = core::mem::take(&mut self.k.trace);
        let mut copy = self.here().clone();
        let own_marks = trace.marks.clone();
        if let Some(at) = self.cursor {
            trace.marks.retain(|mark| mark.at <= at);
        }
        let later = self.cursor.map(|at| trace.records.split_off((at + 1).min(trace.records.len())));
        let on = core::mem::replace(&mut trace.on, false);
        copy.trace = trace;
        let result = with(&mut copy);
        let mut trace = core::mem::take(&mut copy.trace);
        trace.on = on;
        trace.marks = own_marks;
        trace.records.extend(later.unwrap_or_default());
        self.k.trace = trace;
        result
    }

    fn restore(&mut self, at: u64, checkpoint: Checkpoint) {
        let untraced = checkpoint.is_untraced();
        let Checkpoint {
            k,
            shell,
            vars,
            applied,
            begun,
            records,
            contexts,
            marks,
            dropped,
            kept,
            stacks,
            ..
        } = checkpoint;
        self.begun = begun;
        let mut trace = core::mem::take(&mut self.k.trace);
        let mut over = core::mem::take(&mut trace.records);
        let turned = self.ahead.turn(&mut over, self.dropped, records);
        self.k = k;
        self.k.trace.ctxs = trace.ctxs;
        self.k.trace.ctxs.reopen(contexts);
        self.k.trace.marks = marks;
        self.k.trace.kept = if !untraced {
            // The tracer begins with what the state knows, and needs no record before that.
            over.drain(..dropped.saturating_sub(turned).min(over.len()));
            kept
        } else if over.is_empty() && turned > 0 {
            Some(Arc::new(unused(&stacks)))
        } else {
            trace.kept.take().filter(|_| turned == self.dropped)
        };
        self.dropped = if untraced { turned } else { turned.max(dropped) };
        self.k.trace.records = over;
        self.base = self.k.trace.records.len();
        self.base_marks = self.k.trace.marks.len();
        self.stacks = stacks;
        (self.shell, self.vars, self.applied, self.step) = (shell, vars, applied, at);
        self.cursor = None;
        self.last = None;
        self.forget_pictures();
    }

    /// What was seen of the last step and the one before it is another's now.
    fn forget_pictures(&mut self) {
        self.pictures = Pictures::default();
        self.hits = Hits::default();
    }

    /// What was to come is gone when something else is done instead.
    pub(super) fn branch(&mut self, input: Input) {
        self.inputs.truncate(self.applied);
        self.checkpoints.split_off(&(self.step + 1));
        let kept = self.notes.partition_point(|note| note.step <= self.step);
        self.notes.truncate(kept);
        self.end = self.step;
        self.ahead = Ahead::default();
        self.before = self.before.take().filter(|(at, _)| *at <= self.step);
        self.inputs.push((self.step, input));
    }

    /// What was typed after this step has not happened yet.
    pub(super) fn is_next(&self) -> bool {
        self.inputs.get(self.applied).is_some_and(|(at, _)| *at == self.step)
    }

    /// The machine as it was at a place, without what was recorded.
    pub(super) fn state_at(&mut self, place: Place) -> Kernel {
        self.visit(place.step);
        self.stand(place.record.map(|record| self.base + record));
        let trace = core::mem::take(&mut self.k.trace);
        let k = self.here().clone();
        self.k.trace = trace;
        k
    }
}

/// A place in time: the end of a step, or a record of it, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub(super) step: u64,
    pub(super) record: Option<usize>,
}

pub(super) fn follow(stacks: &mut Stacks, record: &Record) {
    match record.what {
        What::Enter { meta, args } => stacks.entry(record.ctx).or_default().push(Call { meta, args }),
        What::Exit { .. } => {
            if let Some(stack) = stacks.get_mut(&record.ctx) {
                stack.pop();
                if stack.is_empty() {
                    stacks.remove(&record.ctx);
                }
            }
        }
        What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kstate::CpuId;

    /// Records that can be told apart by their time.
    fn records(times: core::ops::Range<usize>) -> Vec<Record> {
        let record = |time| Record {
            ctx: CtxId(0),
            cpu: CpuId(0),
            time: time as u64,
            what: What::Warn("it was counted"),
        };
        times.map(record).collect()
    }

    #[test]
    fn a_jump_within_what_is_known_loses_no_record() {
        let (mut ahead, mut over, dropped) = (Ahead::default(), records(10..100), 10);
        let (mut seed, mut end) = (1u64, 100);
        for _ in 0..500 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let to = dropped + (seed >> 33) as usize % (end - dropped + 1);
            assert_eq!(ahead.turn(&mut over, dropped, to), dropped);
            assert_eq!(over, records(dropped..to));
            // Some of them are done again, and now and then some for the first time.
            let again = to + (seed >> 20) as usize % 30;
            over.extend(records(to..again));
            end = end.max(again);
        }
        assert_eq!(ahead.turn(&mut over, dropped, end), dropped);
        assert_eq!(over, records(dropped..end));
    }

    #[test]
    fn a_jump_beyond_what_is_known_forgets_it() {
        for to in [5, 101] {
            let (mut ahead, mut over) = (Ahead::default(), records(10..100));
            ahead.turn(&mut over, 10, 50);
            assert_eq!(ahead.turn(&mut over, 10, to), to);
            assert!(over.is_empty());
            // What is recorded from there on comes after it.
            over.extend(records(to..to + 5));
            assert_eq!(ahead.turn(&mut over, to, to + 3), to);
            assert_eq!(over, records(to..to + 3));
        }
    }
}
