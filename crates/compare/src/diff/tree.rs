//! Alignment of call trees.
//!
//! Trees are kept as a forest in which equal trees are one node, so that the cost of taking one for
//! another is worked out once per pair of different trees. Callees are aligned by the cost of their
//! own callees. Where both runs have something at a place that the other lacks, two shapes are told
//! from plain removal and addition: one function more around the same calls, and the same calls
//! under another name.

use std::collections::HashMap;

use super::align::{Op, align};
use super::{
    Call, FunctionDiff, Item, Side, Summary, Variant, fields, note_field, note_fields, note_seen, role,
};
use record::functions::Functions;
use record::{Entry, Line, Recording};

/// Steps that changed their name between the two kernels. What they do is the same or was
/// rewritten; their callees tell.
pub const RENAMED: [(&str, &str); 19] = [
    ("__pci_enable_msix", "__pci_enable_msix_range"),
    ("alloc_msi_entry", "msi_insert_desc"),
    ("cpu_down", "cpu_device_down"),
    ("cpu_up", "cpu_device_up"),
    ("free_msi_irqs", "pci_free_msi_irqs"),
    ("irq_msi_compose_msg", "x86_vector_msi_compose_msg"),
    ("irq_set_affinity_hint", "__irq_apply_affinity_hint"),
    ("msi_domain_alloc_irqs", "msi_domain_alloc_irqs_all_locked"),
    ("msi_domain_set_affinity", "msi_set_affinity"),
    ("msix_setup_entries", "msix_setup_msi_descs"),
    ("nvme_disable_io_queues", "nvme_delete_io_queues"),
    ("__nvme_disable_io_queues", "__nvme_delete_io_queues"),
    ("pci_msi_mask_irq", "pci_irq_mask_msix"),
    ("pci_msi_prepare", "x86_msi_prepare"),
    ("pci_msi_unmask_irq", "pci_irq_unmask_msix"),
    ("send_cleanup_vector", "vector_schedule_cleanup"),
    ("smp_irq_move_cleanup_interrupt", "vector_cleanup_callback"),
    ("synchronize_irq", "__synchronize_irq"),
    ("virtio_queue_rq", "virtio_queue_rqs"),
];

/// What one line costs that only one run has.
const LINE: u32 = 4;
/// What a new name or one function more around costs.
const CHANGED: u32 = 2;
/// Fewer saved lines than this are chance.
const WORTH: u32 = 2 * LINE;
/// What it costs to take one interrupt's tracepoint for another's.
const OTHER_IRQ: u32 = 4;
/// The longest pattern that is looked for in a row of repetitions.
const PERIOD: usize = 6;

type Id = u32;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Label {
    Call(String),
    Point(String),
}

struct Node {
    label: Label,
    below: Vec<Id>,
    lines: u32,
}

/// All trees of both runs, and what was found.
pub struct Forest {
    nodes: Vec<Node>,
    ids: HashMap<(Label, Vec<Id>), Id>,
    costs: HashMap<(Id, Id), Option<u32>>,
    lists: HashMap<(Vec<Id>, Vec<Id>), u32>,
    functions: Vec<FunctionDiff>,
    at: HashMap<(String, String), usize>,
    left: &'static Functions,
    right: &'static Functions,
    path: Vec<String>,
}

impl Forest {
    /// Nothing yet. The tables say where functions stand in each kernel's source.
    pub fn new(left: &'static Functions, right: &'static Functions) -> Self {
        Self {
            nodes: Vec::new(),
            ids: HashMap::new(),
            costs: HashMap::new(),
            lists: HashMap::new(),
            functions: Vec::new(),
            at: HashMap::new(),
            left,
            right,
            path: Vec::new(),
        }
    }

    /// What was found.
    pub fn into_functions(self) -> Vec<FunctionDiff> {
        self.functions
    }

    /// Compares two recordings.
    pub fn compare(&mut self, left: &Recording, right: &Recording, summary: &mut Summary) {
        let mut roles: Vec<String> = Vec::new();
        let mut roots: Vec<(Vec<Id>, Vec<Id>)> = Vec::new();
        for (recording, side) in [(left, Side::Left), (right, Side::Right)] {
            for tree in &recording.trees {
                let who = role(&tree.actor);
                let at = roles.iter().position(|r| r == who).unwrap_or_else(|| {
                    roles.push(who.to_owned());
                    roots.push((Vec::new(), Vec::new()));
                    roles.len() - 1
                });
                let ids = self.plant(&tree.lines);
                let lines = tree.lines.len() as u32;
                match side {
                    Side::Left => {
                        roots[at].0.extend(ids);
                        summary.left += lines;
                    }
                    Side::Right => {
                        roots[at].1.extend(ids);
                        summary.right += lines;
                    }
                }
            }
        }
        // What no tree of the same actor matches, by actor.
        let mut rest: [Vec<(usize, Id)>; 2] = [Vec::new(), Vec::new()];
        for (at, (a, b)) in roots.iter().enumerate() {
            for op in self.ops(a, b) {
                match op {
                    Op::Both(i, j) => self.pair(a[i], b[j], summary),
                    Op::Left(i) => rest[0].push((at, a[i])),
                    Op::Right(j) => rest[1].push((at, b[j])),
                }
            }
        }
        let mut items: Vec<Vec<Item>> = vec![Vec::new(); roles.len()];
        let [lefts, mut rights] = rest;
        for (at, a) in lefts {
            let other = rights.iter().position(|(_, b)| self.cost(a, *b).is_some());
            match other.map(|i| rights.remove(i)) {
                Some((to, b)) => {
                    self.pair(a, b, summary);
                    items[at].push(Item::Moved {
                        call: self.name(a).to_owned(),
                        left: roles[at].clone(),
                        right: roles[to].clone(),
                    });
                }
                None => {
                    summary.only_left += self.nodes[a as usize].lines;
                    items[at].push(Item::Only { side: Side::Left, call: self.call(a) });
                }
            }
        }
        for (at, b) in rights {
            summary.only_right += self.nodes[b as usize].lines;
            items[at].push(Item::Only { side: Side::Right, call: self.call(b) });
        }
        for (who, items) in roles.iter().zip(items) {
            if !items.is_empty() {
                self.note(who, who, true, repeat(items), &summary.file.clone());
            }
        }
    }

    fn intern(&mut self, label: Label, below: Vec<Id>) -> Id {
        if let Some(id) = self.ids.get(&(label.clone(), below.clone())) {
            return *id;
        }
        let id = self.nodes.len() as Id;
        let lines = 1 + below.iter().map(|b| self.nodes[*b as usize].lines).sum::<u32>();
        self.ids.insert((label.clone(), below.clone()), id);
        self.nodes.push(Node { label, below, lines });
        id
    }

    /// The trees that the lines of a recording are.
    fn plant(&mut self, lines: &[Line]) -> Vec<Id> {
        // Open calls with what was found below them so far.
        let mut open: Vec<(Label, Vec<Id>)> = Vec::new();
        let mut roots = Vec::new();
        let close = |forest: &mut Self, open: &mut Vec<(Label, Vec<Id>)>, roots: &mut Vec<Id>| {
            if let Some((label, below)) = open.pop() {
                let id = forest.intern(label, below);
                open.last_mut().map_or(roots, |(_, below)| below).push(id);
            }
        };
        for line in lines {
            while open.len() > line.depth {
                close(self, &mut open, &mut roots);
            }
            match &line.entry {
                Entry::Call(name) => open.push((Label::Call(name.to_string()), Vec::new())),
                Entry::Tracepoint(text) => {
                    let id = self.intern(Label::Point(text.clone()), Vec::new());
                    open.last_mut().map_or(&mut roots, |(_, below)| below).push(id);
                }
            }
        }
        while !open.is_empty() {
            close(self, &mut open, &mut roots);
        }
        roots
    }

    fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    fn name(&self, id: Id) -> &str {
        match &self.node(id).label {
            Label::Call(name) => name,
            Label::Point(text) => fields(text).0,
        }
    }

    fn lines(&self, ids: &[Id]) -> u32 {
        ids.iter().map(|id| self.node(*id).lines).sum()
    }

    /// What it costs to take one tree for the other.
    fn cost(&mut self, a: Id, b: Id) -> Option<u32> {
        if a == b {
            return Some(0);
        }
        if let Some(cost) = self.costs.get(&(a, b)) {
            return *cost;
        }
        let cost = match (&self.node(a).label, &self.node(b).label) {
            (Label::Point(x), Label::Point(y)) => {
                let ((name, mine), (other, theirs)) = (fields(x), fields(y));
                (name == other).then(|| {
                    let differ = mine.iter().zip(&theirs).filter(|(x, y)| x != y);
                    1 + differ.map(|((field, _), _)| if *field == "irq" { OTHER_IRQ } else { 0 }).sum::<u32>()
                })
            }
            (Label::Call(x), Label::Call(y)) if x == y => Some(0),
            (Label::Call(x), Label::Call(y)) if is_renamed(x, y) => Some(CHANGED),
            _ => None,
        };
        let cost = cost.map(|own| {
            let (x, y) = (self.node(a).below.clone(), self.node(b).below.clone());
            own + self.list_cost(&x, &y)
        });
        self.costs.insert((a, b), cost);
        cost
    }

    fn list_cost(&mut self, a: &[Id], b: &[Id]) -> u32 {
        if a.is_empty() || b.is_empty() {
            return LINE * (self.lines(a) + self.lines(b));
        }
        let key = (a.to_vec(), b.to_vec());
        if let Some(cost) = self.lists.get(&key) {
            return *cost;
        }
        let (lefts, rights) = (self.outs(a), self.outs(b));
        let (cost, _) = align(&lefts, &rights, |i, j| self.cost(a[i], b[j]));
        self.lists.insert(key, cost);
        cost
    }

    fn outs(&self, ids: &[Id]) -> Vec<u32> {
        ids.iter().map(|id| LINE * self.node(*id).lines).collect()
    }

    fn ops(&mut self, a: &[Id], b: &[Id]) -> Vec<Op> {
        let (lefts, rights) = (self.outs(a), self.outs(b));
        align(&lefts, &rights, |i, j| self.cost(a[i], b[j])).1
    }

    /// Compares two trees that stand for the same call.
    fn pair(&mut self, a: Id, b: Id, summary: &mut Summary) {
        if a == b {
            summary.alike += self.node(a).lines;
            return;
        }
        let (left, right) = (self.name(a).to_owned(), self.name(b).to_owned());
        if left == right {
            summary.alike += 1;
        } else {
            summary.renamed += 1;
        }
        let (x, y) = (self.node(a).below.clone(), self.node(b).below.clone());
        self.path.push(if left == right { left.clone() } else { format!("{left} | {right}") });
        let items = self.items(&x, &y, summary);
        self.path.pop();
        if items.iter().any(is_change) {
            let file = summary.file.clone();
            self.note(&left, &right, false, repeat(trim(items)), &file);
        }
    }

    /// What two lists of callees have in common and what not.
    fn items(&mut self, a: &[Id], b: &[Id], summary: &mut Summary) -> Vec<Item> {
        let mut items = Vec::new();
        let (mut lefts, mut rights) = (Vec::new(), Vec::new());
        for op in self.ops(a, b) {
            match op {
                Op::Left(i) => lefts.push(a[i]),
                Op::Right(j) => rights.push(b[j]),
                Op::Both(i, j) => {
                    self.gap(&lefts, &rights, &mut items, summary);
                    lefts.clear();
                    rights.clear();
                    self.both(a[i], b[j], &mut items, summary);
                }
            }
        }
        self.gap(&lefts, &rights, &mut items, summary);
        items
    }

    fn both(&mut self, a: Id, b: Id, items: &mut Vec<Item>, summary: &mut Summary) {
        if let (Label::Point(x), Label::Point(y)) = (&self.node(a).label, &self.node(b).label) {
            if x == y {
                summary.alike += 1;
                items.push(Item::Alike { calls: vec![format!("@ {}", self.name(a))], between: 0 });
                return;
            }
            summary.numbers += 1;
            let ((name, mine), (_, theirs)) = (fields(x), fields(y));
            let mut differ = Vec::new();
            note_fields(&mut differ, &mine, &theirs);
            items.push(Item::Numbers { tracepoint: name.to_owned(), fields: differ });
            return;
        }
        let (left, right) = (self.name(a).to_owned(), self.name(b).to_owned());
        if left == right {
            items.push(Item::Alike { calls: vec![left], between: 0 });
        } else {
            items.push(Item::Renamed { left, right });
        }
        self.pair(a, b, summary);
    }

    /// What stands between two common callees.
    fn gap(&mut self, lefts: &[Id], rights: &[Id], items: &mut Vec<Item>, summary: &mut Summary) {
        let plain = LINE * (self.lines(lefts) + self.lines(rights));
        let mut best: Option<(u32, Shape)> = None;
        let mut offer = |saved: u32, shape: Shape| {
            if saved >= WORTH && best.as_ref().is_none_or(|(s, _)| saved > *s) {
                best = Some((saved, shape));
            }
        };
        if !lefts.is_empty() && !rights.is_empty() {
            for (i, a) in lefts.iter().enumerate() {
                for (j, b) in rights.iter().enumerate() {
                    let (x, y) = (self.node(*a).below.clone(), self.node(*b).below.clone());
                    if x.is_empty() || y.is_empty() {
                        continue;
                    }
                    let cost = self.list_cost(&x, &y) + CHANGED;
                    let apart = LINE * (self.node(*a).lines + self.node(*b).lines);
                    // At least half of what is below has to agree.
                    if 2 * cost <= apart {
                        offer(apart - cost, Shape::Renamed(i, j));
                    }
                }
            }
            for (side, around, inside) in [(Side::Right, rights, lefts), (Side::Left, lefts, rights)] {
                for (at, id) in around.iter().enumerate() {
                    let below = self.node(*id).below.clone();
                    if below.is_empty() {
                        continue;
                    }
                    let cost = match side {
                        Side::Right => self.list_cost(inside, &below),
                        Side::Left => self.list_cost(&below, inside),
                    };
                    let others = LINE * (self.lines(around) - self.node(*id).lines);
                    offer(plain.saturating_sub(cost + CHANGED + others), Shape::Within(side, at));
                }
            }
        }
        match best {
            None => {
                self.only(Side::Left, lefts, items, summary);
                self.only(Side::Right, rights, items, summary);
            }
            Some((_, Shape::Renamed(i, j))) => {
                self.gap(&lefts[..i], &rights[..j], items, summary);
                let (left, right) = (self.name(lefts[i]).to_owned(), self.name(rights[j]).to_owned());
                items.push(Item::Renamed { left, right });
                self.pair(lefts[i], rights[j], summary);
                self.gap(&lefts[i + 1..], &rights[j + 1..], items, summary);
            }
            Some((_, Shape::Within(side, at))) => {
                let (around, inside) = match side {
                    Side::Right => (rights, lefts),
                    Side::Left => (lefts, rights),
                };
                self.only(side, &around[..at], items, summary);
                match side {
                    Side::Left => summary.only_left += 1,
                    Side::Right => summary.only_right += 1,
                }
                let call = self.name(around[at]).to_owned();
                let below = self.node(around[at]).below.clone();
                let within = match side {
                    Side::Right => self.items(inside, &below, summary),
                    Side::Left => self.items(&below, inside, summary),
                };
                items.push(Item::Within { side, call, items: repeat(trim_ends(within)) });
                self.only(side, &around[at + 1..], items, summary);
            }
        }
    }

    fn only(&self, side: Side, ids: &[Id], items: &mut Vec<Item>, summary: &mut Summary) {
        match side {
            Side::Left => summary.only_left += self.lines(ids),
            Side::Right => summary.only_right += self.lines(ids),
        }
        items.extend(ids.iter().map(|id| Item::Only { side, call: self.call(*id) }));
    }

    /// A call with everything below it, repetitions counted.
    fn call(&self, id: Id) -> Call {
        let node = self.node(id);
        let name = match &node.label {
            Label::Call(name) => name.clone(),
            Label::Point(text) => format!("@ {text}"),
        };
        let mut below: Vec<Call> = Vec::new();
        for callee in &node.below {
            let call = self.call(*callee);
            match below.last_mut() {
                Some(last) if same_call(last, &call) => last.times += 1,
                _ => below.push(call),
            }
        }
        Call { name, times: 1, below }
    }

    fn note(&mut self, left: &str, right: &str, outermost: bool, items: Vec<Item>, file: &str) {
        let key = (left.to_owned(), right.to_owned());
        let at = *self.at.entry(key).or_insert_with(|| {
            let place =
                |functions: &Functions, name| functions.get(name).map(|f| format!("{}:{}", f.file, f.line));
            self.functions.push(FunctionDiff {
                left: left.to_owned(),
                right: right.to_owned(),
                left_place: place(self.left, left),
                right_place: place(self.right, right),
                outermost,
                variants: Vec::new(),
            });
            self.functions.len() - 1
        });
        let variants = &mut self.functions[at].variants;
        let at = variants.iter().position(|v| same_items(&v.items, &items));
        let at = match at {
            Some(at) => {
                absorb(&mut variants[at].items, &items);
                at
            }
            None => {
                variants.push(Variant { path: self.path.clone(), items, seen: Vec::new() });
                variants.len() - 1
            }
        };
        note_seen(&mut variants[at].seen, file);
    }
}

enum Shape {
    Renamed(usize, usize),
    Within(Side, usize),
}

fn is_renamed(a: &str, b: &str) -> bool {
    RENAMED.iter().any(|(old, new)| (a, b) == (*old, *new) || (a, b) == (*new, *old))
}

fn is_change(item: &Item) -> bool {
    match item {
        Item::Alike { .. } => false,
        Item::Repeated { items, .. } => items.iter().any(is_change),
        Item::Only { .. }
        | Item::Renamed { .. }
        | Item::Moved { .. }
        | Item::Numbers { .. }
        | Item::Within { .. } => true,
    }
}

/// Joins neighbouring callees that both have, and names only those next to a change.
fn trim(items: Vec<Item>) -> Vec<Item> {
    let mut out = join(items);
    if let Some(Item::Alike { calls, between }) = out.first_mut() {
        calls.drain(..calls.len() - 1);
        *between = 0;
    }
    if let Some(Item::Alike { calls, between }) = out.last_mut() {
        calls.truncate(1);
        *between = 0;
    }
    out
}

/// As [`trim`] where the ends matter: inside a function that is new around them.
fn trim_ends(items: Vec<Item>) -> Vec<Item> {
    join(items)
}

fn join(items: Vec<Item>) -> Vec<Item> {
    let mut out: Vec<Item> = Vec::new();
    for item in items {
        if let Item::Alike { calls: more, between: _ } = &item
            && let Some(Item::Alike { calls, between }) = out.last_mut()
        {
            if calls.len() == 2 {
                *between += 1;
                calls.pop();
            }
            calls.extend(more.iter().cloned());
            continue;
        }
        out.push(item);
    }
    out
}

/// Folds what repeats directly.
fn repeat(items: Vec<Item>) -> Vec<Item> {
    let mut out: Vec<Item> = Vec::new();
    let mut at = 0;
    while at < items.len() {
        let found = (1..=PERIOD).find_map(|period| {
            let pattern = items.get(at..at + period)?;
            if !pattern.iter().any(is_change) {
                return None;
            }
            let again = items[at + period..].chunks(period).take_while(|c| same_items(pattern, c)).count();
            (again > 0).then_some((period, again))
        });
        match found {
            Some((period, again)) => {
                let mut pattern = items[at..at + period].to_vec();
                for chunk in items[at + period..].chunks(period).take(again) {
                    absorb(&mut pattern, chunk);
                }
                out.push(Item::Repeated { times: again as u32 + 1, items: pattern });
                at += period * (again + 1);
            }
            None => {
                out.push(items[at].clone());
                at += 1;
            }
        }
    }
    out
}

/// The same call, whatever the numbers of its tracepoints.
fn same_call(a: &Call, b: &Call) -> bool {
    let name = |call: &Call| call.name.split(": ").next().map(str::to_owned);
    name(a) == name(b)
        && a.below.len() == b.below.len()
        && a.below.iter().zip(&b.below).all(|(a, b)| a.times == b.times && same_call(a, b))
}

/// The same change, whatever the numbers.
fn same_items(a: &[Item], b: &[Item]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_item(a, b))
}

fn same_item(a: &Item, b: &Item) -> bool {
    match (a, b) {
        (Item::Alike { calls: a, .. }, Item::Alike { calls: b, .. }) => a == b,
        (Item::Only { side: a, call: x }, Item::Only { side: b, call: y }) => a == b && same_call(x, y),
        (Item::Numbers { tracepoint: a, .. }, Item::Numbers { tracepoint: b, .. }) => a == b,
        (Item::Within { side: a, call: x, items: i }, Item::Within { side: b, call: y, items: j }) => {
            a == b && x == y && same_items(i, j)
        }
        (Item::Repeated { times: a, items: i }, Item::Repeated { times: b, items: j }) => {
            a == b && same_items(i, j)
        }
        (a, b) => a == b,
    }
}

/// Adds the numbers of the same change seen elsewhere.
fn absorb(into: &mut [Item], other: &[Item]) {
    for (into, other) in into.iter_mut().zip(other) {
        match (into, other) {
            (Item::Numbers { fields, .. }, Item::Numbers { fields: more, .. }) => {
                for field in more {
                    for change in &field.changes {
                        note_field(fields, &field.name, &change.left, &change.right, change.times);
                    }
                }
            }
            (Item::Within { items, .. }, Item::Within { items: more, .. })
            | (Item::Repeated { items, .. }, Item::Repeated { items: more, .. }) => absorb(items, more),
            _ => {}
        }
    }
}
