//! What each step was about, for lists and lanes.

use core::fmt::Write as _;

use kstate::trace::{Actor, Arg, What};
use kstate::{CpuId, Irq};

use super::Session;
use record::event_label;
use record::functions::Functions;
use sim::engine::Step;
use sim::shell::Progress;

/// Steps that are remembered at most; beyond them the oldest half is forgotten.
const MOST: usize = 200_000;
/// Steps that `:steps` lists without a number.
const LISTED: usize = 20;

/// What moved in a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepKind {
    /// The shell began a command, or ended it.
    Shell,
    /// A CPU took an interrupt, or went on with one.
    Interrupt,
    /// A CPU ran its softirqs.
    Softirq,
    /// A task ran.
    Task,
    /// An event's time had come.
    Event,
}

/// What a step was about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepNote {
    /// Which.
    pub step: u64,
    /// Its kind.
    pub kind: StepKind,
    /// Who moved, or what.
    pub who: Box<str>,
    /// On which CPU, where one did.
    pub cpu: Option<CpuId>,
    /// How many functions were called.
    pub calls: u32,
    /// The outermost function; empty where none was called.
    pub function: &'static str,
    /// The interrupts that were named, in their order.
    pub irqs: Box<[Irq]>,
    /// Something stopped the session in it.
    pub stopped: bool,
}

/// Which steps are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filter {
    /// Those that name an interrupt.
    Irq(Irq),
    /// Those on a CPU.
    Cpu(CpuId),
}

impl Filter {
    /// A step is listed.
    pub fn shows(self, note: &StepNote) -> bool {
        match self {
            Self::Irq(irq) => note.irqs.contains(&irq),
            Self::Cpu(cpu) => note.cpu == Some(cpu),
        }
    }
}

impl core::fmt::Display for Filter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Irq(irq) => write!(f, "irq {irq}"),
            Self::Cpu(cpu) => write!(f, "cpu {cpu}"),
        }
    }
}

impl core::fmt::Display for StepNote {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { step, who, cpu, calls, function, irqs, stopped, .. } = self;
        write!(f, "{step:>7}{} {who}", if *stopped { "*" } else { " " })?;
        if let Some(cpu) = cpu {
            write!(f, ", cpu {cpu}")?;
        }
        if *calls > 0 {
            write!(f, ": {function}, {calls} call{}", if *calls == 1 { "" } else { "s" })?;
        }
        match irqs.as_ref() {
            [] => Ok(()),
            [one] => write!(f, ", irq {one}"),
            [first, .., last] => write!(f, ", irqs {first} to {last}"),
        }
    }
}

impl Session {
    /// Remembers what the last step was about.
    pub(super) fn note_step(&mut self) {
        let first = self.notes.first().map_or(self.step, |note| note.step);
        let Some(at) = self.step.checked_sub(first) else { return };
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        // It was done before, and what is deterministic was the same.
        if at < self.notes.len() {
            return;
        }
        if at > self.notes.len() {
            self.notes.clear();
        }
        let note = self.about_step();
        self.notes.push(note);
        if self.notes.len() > MOST {
            self.notes.drain(..MOST / 2);
        }
    }

    fn about_step(&self) -> StepNote {
        let records = &self.k.trace.records[self.base..];
        let kind = match &self.last {
            Some(Progress::Stepped(step)) => match step {
                Step::Interrupt(..) | Step::Hardirq(_) => StepKind::Interrupt,
                Step::Softirq(_) => StepKind::Softirq,
                Step::Task(_) => StepKind::Task,
                Step::Event(_) => StepKind::Event,
            },
            _ => StepKind::Shell,
        };
        let (mut irqs, mut calls, mut function) = (Vec::new(), 0, "");
        for record in records {
            let irq = match record.what {
                What::Enter { meta, args } => {
                    calls += 1;
                    if function.is_empty() {
                        function = meta.name;
                    }
                    meta.arguments(&args).find_map(|(name, arg)| match (name, arg) {
                        (_, Arg::IrqData(data)) => Some(data.irq),
                        ("irq" | "virq", Arg::Word(word)) => u32::try_from(word).ok().map(Irq),
                        _ => None,
                    })
                }
                What::Tracepoint(t) => t.irq(),
                _ => None,
            };
            irqs.extend(irq.filter(|irq| irq.index() < self.k.irq.descs.len()));
        }
        let ctx = records.first().and_then(|record| self.k.trace.ctxs.get(record.ctx));
        if let Some(Actor::Irq { irq: Some(irq), .. }) = ctx.map(|ctx| &ctx.actor) {
            irqs.push(*irq);
        }
        irqs.sort_unstable();
        irqs.dedup();
        let (who, cpu) = match (kind, ctx) {
            (StepKind::Shell, _) | (_, None) => (self.doing(), None),
            (_, Some(ctx)) => (event_label(&ctx.actor), records.first().map(|record| record.cpu)),
        };
        StepNote {
            step: self.step,
            kind,
            who: who.into(),
            cpu,
            calls,
            function,
            irqs: irqs.into(),
            stopped: false,
        }
    }

    /// Something stopped the session in this step.
    pub(super) fn note_stop(&mut self) {
        let step = self.step;
        if let Ok(at) = self.notes.binary_search_by_key(&step, |note| note.step) {
            self.notes[at].stopped = true;
        }
    }

    /// The steps around here, or so many of them.
    pub(super) fn list_steps(&self, rest: &str) -> Result<String, String> {
        let many = match rest {
            "" => LISTED,
            rest => rest.parse().map_err(|_| format!("`{rest}` is no number of steps; expected a number"))?,
        };
        let shown: Vec<&StepNote> =
            self.notes.iter().filter(|note| self.filter.is_none_or(|filter| filter.shows(note))).collect();
        let here = shown.partition_point(|note| note.step <= self.step);
        let last = (here + many / 2).max(many).min(shown.len());
        let mut out = String::new();
        for note in &shown[last.saturating_sub(many)..last] {
            let here = if note.step == self.step { ">" } else { " " };
            let _ = writeln!(out, "{here}{note}");
        }
        if out.is_empty() {
            out.push_str("no step is known\n");
        }
        Ok(out)
    }

    pub(super) fn set_filter(&mut self, rest: &str) -> Result<String, String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let expected = || {
            format!(
                "`{rest}` picks nothing; expected irq N, cpu N, function PATTERN, depth N, actor PATTERN or args on, or \
                 nothing for all of it"
            )
        };
        let (mut steps, mut shown) = (None, record::filter::Filter::default());
        for pair in words.chunks(2) {
            let [kind, value] = *pair else { return Err(expected()) };
            let number = || value.parse::<u32>().map_err(|_| expected());
            match kind {
                "irq" => {
                    // Steps are listed by the first interrupt, or by a CPU where one is given.
                    steps.get_or_insert(Filter::Irq(Irq(number()?)));
                    shown.irqs.push(Irq(number()?));
                }
                "cpu" => steps = Some(Filter::Cpu(CpuId(number()?))),
                "function" => shown.functions.push(value.to_owned()),
                "depth" => shown.depth = Some(number()?.max(1) as usize),
                "actor" => shown.actors.push(value.to_owned()),
                "args" if matches!(value, "on" | "off") => shown.args = value == "on",
                _ => return Err(expected()),
            }
        }
        let functions = Functions::of(self.k.sem.version);
        shown.check(&self.k, functions).map_err(|e| format!("{e}; expected {}", e.there))?;
        (self.filter, self.shown) = (steps, shown);
        Ok(self.filter_text())
    }

    fn filter_text(&self) -> String {
        let steps = match self.filter {
            Some(filter) => format!("steps of {filter} are listed"),
            None => "all steps are listed".to_owned(),
        };
        let words = self.filter_words();
        match self.shown.shows_all() {
            true => format!("{steps}\n"),
            false => format!("{steps}; of records is shown: {words}\n"),
        }
    }

    /// What `:filter` takes to have this filter.
    pub(super) fn filter_words(&self) -> String {
        let record::filter::Filter { irqs, functions, depth, actors, args } = &self.shown;
        let mut words: Vec<String> = irqs.iter().map(|irq| format!("irq {irq}")).collect();
        if let Some(Filter::Cpu(cpu)) = self.filter {
            words.push(format!("cpu {cpu}"));
        }
        words.extend(functions.iter().map(|pattern| format!("function {pattern}")));
        words.extend(depth.iter().map(|depth| format!("depth {depth}")));
        words.extend(actors.iter().map(|pattern| format!("actor {pattern}")));
        words.extend(args.then(|| "args on".to_owned()));
        words.join(" ")
    }

    /// A session of which only this is shown.
    ///
    /// # Errors
    /// What can show nothing of the machine as it is.
    pub fn with_filter(mut self, filter: record::filter::Filter) -> Result<Self, record::filter::Nothing> {
        filter.check(&self.k, Functions::of(self.k.sem.version))?;
        self.filter = filter.irqs.first().copied().map(Filter::Irq);
        self.shown = filter;
        Ok(self)
    }

    /// Goes on to the next call, tracepoint or return in which a text is found.
    pub(super) fn find(&mut self, text: &str) -> Result<String, String> {
        if text.is_empty() {
            return Err("what is to be found? expected a part of a call or tracepoint".to_owned());
        }
        let mut from = self.cursor.map_or(self.k.trace.records.len(), |at| at + 1);
        let (start, cursor) = (self.step, self.cursor.map(|at| at - self.base));
        let mut unread = Vec::new();
        loop {
            let found =
                self.k.trace.records.iter().enumerate().skip(from).find(|(_, record)| match record.what {
                    What::Enter { meta, args } => {
                        meta.name.contains(text)
                            || format!("{}({})", meta.name, self.k.arguments(meta, &args)).contains(text)
                    }
                    What::Tracepoint(t) => t.to_string().contains(text),
                    What::Warn(warning) => warning.contains(text),
                    _ => false,
                });
            if let Some((at, _)) = found {
                self.stand(Some(at));
                return Ok(self.place());
            }
            // Only what is over is looked through.
            if self.step >= self.end || !self.tick_on(&mut unread) || !self.goes_on() {
                break;
            }
            unread.clear();
            from = self.base;
        }
        self.visit(start);
        self.stand(cursor.map(|record| self.base + record));
        Err(format!("`{text}` is in no call and no tracepoint from here to step {}", self.end))
    }
}
