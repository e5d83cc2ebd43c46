//! Which messages the kernel manages, where debugfs does not say it.
//!
//! A spread depends on nothing but the CPUs and three numbers: how many messages there are, and how many in
//! front and at the end are left alone. So the affinities of a driver that is known to spread must be those that
//! the kernel would compute, and of a driver that nobody knows they are taken for managed only if there is a sign
//! that they cannot have come about by hand.

use std::collections::BTreeMap;

use irqcore::affinity::irq_create_affinity_masks;
use kstate::msi::{CalcSets, IrqAffinity};
use kstate::{CpuMask, Kernel};

use crate::drivers::Prior;
use crate::facts::{Facts, Function};

/// How many messages in front or at the end are tried.
const MOST_PRE: u32 = 16;
const MOST_POST: u32 = 2;
/// So many spread messages of a driver that nobody knows have to agree.
const ENOUGH: u32 = 4;

/// What is spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// Messages in front that are left alone.
    pub pre: u32,
    /// Messages at the end that are left alone.
    pub post: u32,
    /// The size of the first of two sets; 0 for one set.
    pub first_set: u32,
}

/// A verdict and what it rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What is managed, or nothing.
    pub spread: Option<Spread>,
    /// Why, in words.
    pub why: String,
    /// How many affinities were compared with the spread, and all agreed.
    pub agreed: u32,
}

const KEEP_SETS: CalcSets = CalcSets { name: "keep_sets", call: keep_sets };

/// A `calc_sets` callback for sets that are given beforehand: it leaves them alone.
fn keep_sets(_: &mut Kernel, _: &mut IrqAffinity, _: u32) {}

/// Spreads of one machine.
pub struct Spreads {
    k: Kernel,
    known: BTreeMap<(u32, u32, u32, u32), Vec<CpuMask>>,
}

impl Spreads {
    /// Of a machine that has booted without functions.
    pub fn new(k: Kernel) -> Self {
        Self { k, known: BTreeMap::new() }
    }

    /// The masks of so many messages; none where nothing is spread.
    fn masks(&mut self, vectors: u32, spread: Spread) -> &[CpuMask] {
        let Spread { pre, post, first_set } = spread;
        let k = &mut self.k;
        self.known.entry((vectors, pre, post, first_set)).or_insert_with(|| {
            let mut affd = IrqAffinity { pre_vectors: pre, post_vectors: post, ..IrqAffinity::default() };
            if first_set > 0 {
                affd.nr_sets = 2;
                affd.set_size[0] = first_set;
                affd.set_size[1] = (vectors - pre - post).saturating_sub(first_set);
                affd.calc_sets = Some(KEEP_SETS);
            }
            let masks = irq_create_affinity_masks(k, vectors, &mut affd).unwrap_or_default();
            masks.into_iter().map(|desc| desc.mask).collect()
        })
    }

    /// How many of a function's spread messages agree with a spread; `None` where one does not.
    fn agrees(&mut self, facts: &Facts, function: &Function, vectors: u32, spread: Spread) -> Option<u32> {
        if spread.pre + spread.post >= vectors {
            return None;
        }
        let range = spread.pre..vectors - spread.post;
        let masks = self.masks(vectors, spread);
        let mut agreed = 0;
        for (index, irq) in function.messages.range(range) {
            let Some(found) = facts.irqs.get(irq).filter(|irq| irq.row.is_some()) else { continue };
            let Some(affinity) = &found.affinity else { continue };
            if masks.get(*index as usize) != Some(affinity) {
                return None;
            }
            agreed += 1;
        }
        Some(agreed)
    }

    /// Whether a function's messages are managed, and which.
    pub fn verdict(&mut self, facts: &Facts, function: &Function, vectors: u32, prior: Prior) -> Verdict {
        let no = |why: &str| Verdict { spread: None, why: why.to_owned(), agreed: 0 };
        let messages =
            || function.messages.iter().filter_map(|(index, irq)| Some((*index, facts.irqs.get(irq)?)));
        let debug: Vec<(u32, bool)> =
            messages().filter_map(|(index, irq)| Some((index, irq.debug.as_ref()?.managed))).collect();
        if !debug.is_empty() {
            let Some(first) = debug.iter().find(|(_, managed)| *managed).map(|(index, _)| *index) else {
                return no("debugfs");
            };
            let last = debug.iter().rev().find(|(_, managed)| *managed).map_or(first, |(index, _)| *index);
            let spread = Spread { pre: first, post: vectors.saturating_sub(last + 1), first_set: 0 };
            let fits = |spreads: &mut Self, spread| {
                let agreed = spreads.agrees(facts, function, vectors, spread)?;
                Some(Verdict { spread: Some(spread), why: "debugfs".to_owned(), agreed })
            };
            let sets = 1..(vectors - spread.post).saturating_sub(spread.pre).max(1);
            let found = fits(self, spread)
                .or_else(|| sets.clone().find_map(|first_set| fits(self, Spread { first_set, ..spread })));
            let why = "debugfs, and its affinities are no spread of this kernel".to_owned();
            return found.unwrap_or(Verdict { spread: Some(spread), why, agreed: 0 });
        }
        match prior {
            Prior::Unmanaged => return no("its driver does not spread"),
            Prior::Never => return no("kernels before 4.9 manage no interrupts"),
            Prior::Managed { .. } | Prior::Unknown => {}
        }
        let seen = messages().filter(|(_, irq)| irq.row.is_some() && irq.affinity.is_some()).count();
        let first = match prior {
            Prior::Managed { pre, post } => Some(Spread { pre, post, first_set: 0 }),
            _ => None,
        };
        if seen == 0 {
            return match first.filter(|spread| spread.pre + spread.post < vectors) {
                Some(spread) => Verdict {
                    spread: Some(spread),
                    why: "its driver spreads; no affinity is known".to_owned(),
                    agreed: 0,
                },
                None => no("no affinity is known, and nobody knows its driver"),
            };
        }
        let pres = |post| (0..=MOST_PRE).map(move |pre| Spread { pre, post, first_set: 0 });
        let others = (0..=MOST_POST).flat_map(pres);
        // Queues for writing and for reading are two sets of NVMe's.
        let room = first.map_or(0, |spread| vectors.saturating_sub(spread.pre + spread.post));
        let sets = first
            .into_iter()
            .flat_map(|spread| (1..room).map(move |first_set| Spread { first_set, ..spread }));
        for spread in first.into_iter().chain(sets).chain(others) {
            let Some(agreed) = self.agrees(facts, function, vectors, spread).filter(|n| *n > 0) else {
                continue;
            };
            if first.is_some_and(|first| (first.pre, first.post) == (spread.pre, spread.post)) {
                let why = format!("its driver spreads, and {agreed} of {agreed} affinities are the spread");
                return Verdict { spread: Some(spread), why, agreed };
            }
            // Another number in front than its driver's own is an option of the driver (mpt3sas, megaraid_sas). Of
            // a driver that nobody knows a sign is asked for.
            let Some(sign) = sign(facts, function, spread, vectors) else { continue };
            if agreed >= ENOUGH {
                let why = format!("{agreed} of {agreed} affinities are the spread, and {sign}");
                return Verdict { spread: Some(spread), why, agreed };
            }
        }
        no(match first {
            Some(_) => "its driver can spread, but the affinities are not the spread",
            None => "the affinities are not the spread, or nothing says that nobody wrote them",
        })
    }
}

/// What cannot come from user space: a file that cannot be written, or a memory node that follows the masks
/// (`alloc_descs()`) where others have the function's.
fn sign(facts: &Facts, function: &Function, spread: Spread, vectors: u32) -> Option<&'static str> {
    let spread_irqs = || {
        let range = spread.pre..vectors - spread.post;
        function
            .messages
            .range(range)
            .filter_map(|(_, irq)| facts.irqs.get(irq))
            .filter(|irq| irq.row.is_some())
    };
    if spread_irqs().count() > 0 && spread_irqs().all(|irq| irq.read_only) {
        return Some("their files cannot be written");
    }
    let nodes: Vec<i32> = spread_irqs().filter_map(|irq| irq.node).collect();
    let first = *nodes.first()?;
    if nodes.iter().any(|node| *node != first) {
        return Some("their memory is on several nodes");
    }
    let own = function.node.unwrap_or(-1);
    (own != first && own == -1).then_some("their memory is on a node and the function on none")
}
