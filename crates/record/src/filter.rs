//! What of a recording is shown: the calls below a function, so many levels of them, what is about an interrupt, what an
//! actor did.
//!
//! A [`Filter`] is asked for once, checked against a run, and applied to every format in the same way. What it leaves out
//! is left out of the record before a format sees it ([`Filter::cut`]).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use kstate::apic::VectorIrq;
use kstate::trace::{Actor, Arg, Args, FnMeta, Hardware, Record, Trace, What};
use kstate::{CpuId, CtxId, Irq, Kernel};

use crate::functions::Functions;
use crate::recording::{HARDWARE, event_label, flow_label};

/// What is asked for. Nothing of a kind means all of it; several of a kind add up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// What is about one of these interrupts, what is called for it, and the calls around it.
    pub irqs: Vec<Irq>,
    /// Calls of functions that one of these patterns fits, and everything below them.
    pub functions: Vec<String>,
    /// So many levels of calls at most: from the first that `functions` fits, else from the outermost.
    pub depth: Option<usize>,
    /// What actors did that one of these patterns fits.
    pub actors: Vec<String>,
    /// Calls have their arguments.
    pub args: bool,
}

/// A filter that can show nothing, whatever happens.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{found}")]
pub struct Nothing {
    /// The part of the filter: `irq`, `function` or `actor`.
    pub part: &'static str,
    /// What is not there.
    pub found: String,
    /// What is there, the nearest first.
    pub there: String,
}

/// Which calls count as a level.
#[derive(Clone, Copy, Debug)]
pub enum Levels<'a> {
    /// Those that the tracer of a kernel sees.
    Traced(&'a Functions),
    /// All of them.
    All,
}

impl Levels<'_> {
    fn counts(self, meta: &FnMeta) -> bool {
        match self {
            Self::Traced(functions) => functions.shown(meta.name).is_some(),
            Self::All => true,
        }
    }
}

/// Which records a filter takes out where it leaves something out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// Calls, and what happened in them: for trees of calls.
    Calls,
    /// Only what happened in calls: for stacks, which stay whole.
    Points,
}

/// A call that is open.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// The place of its entry among the records that are looked at; `None` for one that was entered before.
    at: Option<usize>,
    /// It is shown.
    kept: bool,
    /// It, or a call around it, has a function that was asked for.
    inside: bool,
    /// It, or a call around it, is about an interrupt that was asked for.
    about: bool,
    /// How many levels there are from the first that was asked for down to it.
    depth: usize,
}

impl Level {
    /// A call below another.
    fn below(around: Option<&Self>, filter: &Filter, meta: &FnMeta, about: bool, levels: Levels<'_>) -> Self {
        let inside = around.is_some_and(|call| call.inside) || filter.fits_function(meta.name);
        let depth = around.map_or(0, |call| call.depth) + usize::from(inside && levels.counts(meta));
        let about = about || filter.irqs.is_empty() || around.is_some_and(|call| call.about);
        Self { at: None, kept: false, inside, about, depth }
    }
}

/// Goes through a record from its beginning, part by part, and chooses.
#[derive(Clone, Debug, Default)]
pub struct Chooser {
    open: BTreeMap<CtxId, Vec<Level>>,
    /// Which interrupt has a vector of a CPU, as far as the record says.
    vectors: BTreeMap<(CpuId, u64), Irq>,
}

/// A record without what a filter leaves out.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The record. What came before the part that is looked at is whole.
    pub trace: Trace,
    /// The part.
    pub records: Range<usize>,
    /// For each record of the part its place in the record of the run.
    pub numbers: Vec<usize>,
}

/// A name fits a pattern in which `*` stands for any letters and `?` for one.
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // The place behind the last star, and what of the name it has swallowed so far.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((after, swallowed)) => {
                    (p, n) = (after, swallowed + 1);
                    star = Some((after, swallowed + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The interrupts that the arguments of a call name.
fn named_irqs(meta: &FnMeta, args: &Args) -> impl Iterator<Item = Irq> {
    meta.arguments(args).filter_map(|(name, arg)| match (name, arg) {
        (_, Arg::IrqData(data)) => Some(data.irq),
        // An argument that names none is all ones.
        ("irq" | "virq" | "irq_base", Arg::Word(word)) => u32::try_from(word).ok().map(Irq),
        _ => None,
    })
}

/// The word of an argument.
fn word(meta: &FnMeta, args: &Args, wanted: &str) -> Option<u64> {
    meta.arguments(args).find_map(|(name, arg)| match arg {
        Arg::Word(word) if name == wanted => Some(word),
        _ => None,
    })
}

impl Chooser {
    /// One that begins with a machine as it is: it knows which interrupt has which vector.
    pub fn of(k: &Kernel) -> Self {
        let tables = k.apic.cpus.iter().enumerate();
        let slots = tables.flat_map(|(cpu, table)| {
            table.vector_irq.iter().map(move |(vector, slot)| (CpuId(cpu as u32), vector, slot))
        });
        let vectors = slots.filter_map(|(cpu, vector, slot)| match slot {
            VectorIrq::Desc(irq) => Some(((cpu, vector.into()), irq)),
            _ => None,
        });
        Self { open: BTreeMap::new(), vectors: vectors.collect() }
    }

    /// The interrupt that has a vector of a CPU.
    fn by_vector(&self, cpu: CpuId, vector: u8) -> Option<Irq> {
        self.vectors.get(&(cpu, vector.into())).copied()
    }

    /// The interrupts that a record is about.
    fn irqs_of(&self, record: &Record) -> Vec<Irq> {
        match record.what {
            What::Enter { meta, args } => named_irqs(meta, &args).collect(),
            What::Tracepoint(t) => t.irq().into_iter().collect(),
            What::Hardware(
                Hardware::Irr { cpu, vector, .. }
                | Hardware::Isr { cpu, vector }
                | Hardware::Eoi { cpu, vector, .. },
            ) => self.by_vector(cpu, vector).into_iter().collect(),
            What::Exit { .. } | What::Warn(_) | What::Hardware(_) => Vec::new(),
        }
    }

    /// Learns which interrupt gets a vector: `apic_update_irq_cfg()` is the only one who gives them out.
    fn learn(&mut self, meta: &FnMeta, args: &Args) {
        if meta.name != "apic_update_irq_cfg" {
            return;
        }
        let cpu = word(meta, args, "cpu").and_then(|cpu| u32::try_from(cpu).ok()).map(CpuId);
        let irq = named_irqs(meta, args).next();
        if let (Some(irq), Some(vector), Some(cpu)) = (irq, word(meta, args, "vector"), cpu) {
            self.vectors.insert((cpu, vector), irq);
        }
    }

    /// Learns of a call that was open before the first record, and is shown around it.
    pub fn entered(&mut self, filter: &Filter, ctx: CtxId, meta: &FnMeta, args: &Args, levels: Levels<'_>) {
        self.learn(meta, args);
        let named = named_irqs(meta, args).any(|irq| filter.irqs.contains(&irq));
        let open = self.open.entry(ctx).or_default();
        let call = Level::below(open.last(), filter, meta, named, levels);
        open.push(Level { at: None, kept: true, ..call });
    }

    /// For each of the next records whether it is shown. They follow those that were handed in before.
    pub fn choose(
        &mut self,
        filter: &Filter,
        trace: &Trace,
        records: Range<usize>,
        levels: Levels<'_>,
    ) -> Vec<bool> {
        let end = records.end.min(trace.records.len());
        let start = records.start.min(end);
        let mut keep = vec![false; end - start];
        // By context: who did it fits, and it is the context of an interrupt that was asked for.
        let mut contexts: BTreeMap<CtxId, (bool, bool)> = BTreeMap::new();
        // A message on the bus comes before the vector that it sets, both on nobody's stack.
        let mut message: Option<usize> = None;
        for at in start..end {
            let record = &trace.records[at];
            let (acts, own) = *contexts.entry(record.ctx).or_insert_with(|| {
                let actor = trace.ctxs.get(record.ctx).map(|ctx| &ctx.actor);
                let own =
                    matches!(actor, Some(Actor::Irq { irq: Some(irq), .. }) if filter.irqs.contains(irq));
                (filter.fits_actor(actor), own)
            });
            if let What::Enter { meta, ref args } = record.what {
                self.learn(meta, args);
            }
            let named =
                !filter.irqs.is_empty() && self.irqs_of(record).iter().any(|irq| filter.irqs.contains(irq));
            if let What::Hardware(Hardware::Message { .. } | Hardware::Irte { .. }) = record.what {
                message.get_or_insert(at);
            } else if let What::Hardware(Hardware::Irr { .. }) = record.what
                && let Some(first) = message.take().filter(|_| named && acts && filter.functions.is_empty())
            {
                for before in first..at {
                    keep[before - start] |= matches!(
                        trace.records[before].what,
                        What::Hardware(Hardware::Message { .. } | Hardware::Irte { .. })
                    );
                }
            }
            let open = self.open.entry(record.ctx).or_default();
            let around = open.last().copied();
            let about = filter.irqs.is_empty() || own || named || around.is_some_and(|call| call.about);
            match record.what {
                What::Enter { meta, .. } => {
                    let call = Level::below(around.as_ref(), filter, meta, about, levels);
                    let shallow = filter.depth.is_none_or(|most| call.depth <= most);
                    let kept = acts && call.inside && call.about && shallow;
                    open.push(Level { at: Some(at), kept, ..call });
                    keep[at - start] = kept;
                }
                What::Exit { .. } => {
                    keep[at - start] = open.pop().is_none_or(|call| call.kept);
                }
                What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => {
                    let inside = filter.functions.is_empty() || around.is_some_and(|call| call.inside);
                    let shallow =
                        filter.depth.is_none_or(|most| around.is_none_or(|call| call.depth <= most));
                    keep[at - start] |= acts && inside && about && shallow;
                }
            }
            // The calls around what is about an interrupt tell why it happens.
            if named && keep[at - start] {
                for call in self.open.get_mut(&record.ctx).into_iter().flatten().filter(|call| call.inside) {
                    let Some(entered) = call.at else { continue };
                    call.kept |= filter.depth.is_none_or(|most| call.depth <= most);
                    keep[entered - start] = call.kept;
                }
            }
        }
        // What goes on in the next part was entered before it.
        for call in self.open.values_mut().flatten() {
            call.at = None;
        }
        self.open.retain(|_, calls| !calls.is_empty());
        keep
    }
}

impl Filter {
    /// Everything is shown.
    pub fn shows_all(&self) -> bool {
        let Self { irqs, functions, depth, actors, args: _ } = self;
        irqs.is_empty() && functions.is_empty() && depth.is_none() && actors.is_empty()
    }

    fn fits_function(&self, name: &str) -> bool {
        self.functions.is_empty() || self.functions.iter().any(|pattern| fits(pattern, name))
    }

    fn fits_actor(&self, actor: Option<&Actor>) -> bool {
        self.actors.is_empty()
            || labels(actor).iter().any(|label| self.actors.iter().any(|pattern| fits(pattern, label)))
    }

    /// For each record between two marks whether it is shown.
    pub fn chosen(&self, trace: &Trace, marks: Range<usize>, levels: Levels<'_>) -> Vec<bool> {
        let end = marks.end.min(trace.records.len());
        let start = marks.start.min(end);
        let mut chooser = Chooser::default();
        chooser.choose(self, trace, 0..start, levels);
        // What came before is whole, so that what returns later was entered.
        chooser.open.values_mut().flatten().for_each(|call| call.kept = true);
        chooser.choose(self, trace, start..end, levels)
    }

    /// The record without what is left out between two marks.
    pub fn cut(&self, trace: &Trace, marks: Range<usize>, levels: Levels<'_>, leave: Leave) -> Cut {
        let end = marks.end.min(trace.records.len());
        let start = marks.start.min(end);
        let keep = self.chosen(trace, start..end, levels);
        let stays = |at: &usize| {
            let call = matches!(trace.records[*at].what, What::Enter { .. } | What::Exit { .. });
            keep[*at - start] || (call && leave == Leave::Points)
        };
        let numbers: Vec<usize> = (start..end).filter(stays).collect();
        let mut records = trace.records[..start].to_vec();
        records.extend(numbers.iter().map(|at| trace.records[*at]));
        let mut cut = Trace { records: Vec::new(), marks: Vec::new(), ..Trace::default() };
        (cut.on, cut.hardware) = (trace.on, trace.hardware);
        cut.ctxs.clone_from(&trace.ctxs);
        cut.devices.clone_from(&trace.devices);
        cut.records = records;
        Cut { records: start..cut.records.len(), trace: cut, numbers }
    }

    /// Whether the filter can show anything of this run.
    ///
    /// # Errors
    /// For an interrupt that the machine neither has nor recorded, a function that the kernel does not have, and an actor
    /// that did nothing.
    pub fn check(&self, k: &Kernel, functions: &Functions) -> Result<(), Nothing> {
        let trace = &k.trace;
        if !self.irqs.is_empty() {
            let mut there: BTreeSet<Irq> = k.for_each_irq().collect();
            let chooser = Chooser::default();
            there.extend(trace.records.iter().flat_map(|record| chooser.irqs_of(record)));
            if let Some(irq) = self.irqs.iter().find(|irq| !there.contains(irq)) {
                let there: Vec<String> = k.for_each_irq().map(|irq| irq.to_string()).collect();
                let found = format!("no interrupt {irq} was ever there");
                return Err(Nothing { part: "irq", found, there: format!("one of {}", there.join(", ")) });
            }
        }
        for pattern in &self.functions {
            let known = |name: &str| fits(pattern, name);
            let called = || {
                trace.records.iter().any(|record| match record.what {
                    What::Enter { meta, .. } => known(meta.name),
                    _ => false,
                })
            };
            if !functions.iter().any(|f| known(f.name)) && !called() {
                return Err(self.no_function(pattern, k, functions));
            }
        }
        for pattern in &self.actors {
            let all: BTreeSet<String> = trace
                .ctxs
                .iter()
                .flat_map(|(_, ctx)| labels(Some(&ctx.actor)))
                .chain(trace.hardware.then(|| HARDWARE.to_owned()))
                .collect();
            if !all.iter().any(|label| fits(pattern, label)) {
                let found = format!("`{pattern}` is nobody who did anything here");
                let there: Vec<&str> = all.iter().map(String::as_str).take(MOST_ACTORS).collect();
                let more = if all.len() > MOST_ACTORS { ", ..." } else { "" };
                return Err(Nothing {
                    part: "actor",
                    found,
                    there: format!("a pattern of one of {}{more}", there.join(", ")),
                });
            }
        }
        Ok(())
    }

    fn no_function(&self, pattern: &str, k: &Kernel, functions: &Functions) -> Nothing {
        let found = format!("no function of {} is called `{pattern}`", k.sem.version.name());
        let is_tracepoint = k
            .trace
            .records
            .iter()
            .any(|record| matches!(record.what, What::Tracepoint(t) if fits(pattern, t.name())));
        let there = if is_tracepoint {
            "the function in which that tracepoint fires".to_owned()
        } else {
            let near = nearest(functions.iter().map(|f| f.name), pattern);
            if near.is_empty() {
                "a function, or a pattern such as nvme_*".to_owned()
            } else {
                format!("a function, perhaps {}", near.join(" or "))
            }
        };
        Nothing { part: "function", found, there }
    }
}

/// Actors that are listed at most.
const MOST_ACTORS: usize = 24;

/// What an actor is called, in call trees and above stacks.
fn labels(actor: Option<&Actor>) -> Vec<String> {
    let Some(actor) = actor else { return vec![HARDWARE.to_owned()] };
    let (flow, event) = (flow_label(actor), event_label(actor));
    if flow == event { vec![flow] } else { vec![flow, event] }
}

/// The names that are most like one that is none.
fn nearest<'a>(names: impl Iterator<Item = &'a str>, wanted: &str) -> Vec<&'a str> {
    let wanted = wanted.replace(['*', '?'], "");
    let far = |name: &str| if name.contains(&wanted) { 0 } else { strsim::levenshtein(name, &wanted) };
    let mut close: Vec<(usize, &str)> = names.map(|name| (far(name), name)).collect();
    close.retain(|(far, _)| *far <= wanted.len() / 3 && !wanted.is_empty());
    close.sort_unstable();
    close.dedup();
    close.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn patterns_are_those_of_a_shell() {
        for (pattern, name, fits) in [
            ("irq_matrix_*", "irq_matrix_alloc", true),
            ("irq_matrix_*", "irq_startup", false),
            ("*_vector", "free_vector", true),
            ("*a*b", "aab", true),
            ("*a*b", "aabc", false),
            ("v?ctor", "vector", true),
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(super::fits(pattern, name), fits, "{pattern} {name}");
        }
    }
}
