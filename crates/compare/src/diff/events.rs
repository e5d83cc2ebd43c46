//! Comparing recordings of tracepoints: events of one actor are aligned by name, fields and stack.

use std::borrow::Cow;
use std::collections::HashMap;

use record::StackedEvent;

use super::align::{Op, align};
use super::{EventDiff, Side, Summary, fields, note_fields, note_seen, role};

/// A tracepoint left out counts as much as so many fields that differ.
const EVENT: u32 = 8;
/// What it costs to take one interrupt's tracepoint for another's.
const OTHER_IRQ: u32 = 10;

/// An event as numbers that are equal where what they stand for is: a boot's events are compared each with
/// each.
struct Key {
    name: u32,
    /// The fields with their values, and whether one is the number of an interrupt.
    fields: Vec<(u32, bool)>,
    stack: u32,
    outermost: u32,
}

/// What the numbers of [`Key`] stand for.
#[derive(Default)]
struct Keys<'a> {
    names: HashMap<&'a str, u32>,
    fields: HashMap<(&'a str, &'a str), u32>,
    stacks: HashMap<&'a [Cow<'static, str>], u32>,
    frames: HashMap<Option<&'a str>, u32>,
}

fn number<K: core::hash::Hash + Eq>(of: &mut HashMap<K, u32>, key: K) -> u32 {
    let next = of.len() as u32;
    *of.entry(key).or_insert(next)
}

impl<'a> Keys<'a> {
    fn key(&mut self, event: &'a StackedEvent) -> Key {
        let (name, pairs) = fields(&event.tracepoint);
        Key {
            name: number(&mut self.names, name),
            fields: pairs.into_iter().map(|f| (number(&mut self.fields, f), f.0 == "irq")).collect(),
            outermost: number(&mut self.frames, event.stack.last().map(|frame| &**frame)),
            stack: number(&mut self.stacks, &*event.stack),
        }
    }
}

fn event_cost(a: &Key, b: &Key) -> Option<u32> {
    if a.name != b.name {
        return None;
    }
    let differ = a.fields.iter().zip(&b.fields).filter(|((x, _), (y, _))| x != y);
    let cost: u32 = differ.map(|((_, is_irq), _)| if *is_irq { OTHER_IRQ } else { 1 }).sum();
    let stacks = u32::from(a.stack != b.stack) + u32::from(a.outermost != b.outermost);
    Some((cost + stacks).min(2 * EVENT - 1))
}

fn chosen<'a>(keys: &'a [Key], which: &[usize]) -> Vec<&'a Key> {
    which.iter().map(|i| &keys[*i]).collect()
}

/// Aligns events, which are all equally dear to leave out. What both begin with is the same in the best
/// alignment, too, and needs no table.
fn align_events(left: &[&Key], right: &[&Key]) -> Vec<Op> {
    let cost = |i: usize, j: usize| event_cost(left[i], right[j]);
    let same = (0..left.len().min(right.len())).take_while(|&i| cost(i, i) == Some(0)).count();
    let costs = |n: usize| vec![EVENT; n - same];
    let (_, ops) = align(&costs(left.len()), &costs(right.len()), |i, j| cost(i + same, j + same));
    let rest = ops.into_iter().map(|op| match op {
        Op::Both(i, j) => Op::Both(i + same, j + same),
        Op::Left(i) => Op::Left(i + same),
        Op::Right(j) => Op::Right(j + same),
    });
    (0..same).map(|i| Op::Both(i, i)).chain(rest).collect()
}

/// Compares the tracepoints of one recording.
pub(super) fn compare(
    left: &[StackedEvent],
    right: &[StackedEvent],
    summary: &mut Summary,
    diffs: &mut Vec<EventDiff>,
) {
    summary.left = left.len() as u32;
    summary.right = right.len() as u32;
    let mut roles: Vec<&str> = Vec::new();
    for event in left.iter().chain(right) {
        if !roles.contains(&role(&event.actor)) {
            roles.push(role(&event.actor));
        }
    }
    let mut keys = Keys::default();
    let left_keys: Vec<Key> = left.iter().map(|event| keys.key(event)).collect();
    let right_keys: Vec<Key> = right.iter().map(|event| keys.key(event)).collect();
    let mut rest: (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut pairs = Vec::new();
    for who in roles {
        let of = |events: &'_ [StackedEvent]| -> Vec<usize> {
            (0..events.len()).filter(|i| role(&events[*i].actor) == who).collect()
        };
        let (a, b) = (of(left), of(right));
        for op in align_events(&chosen(&left_keys, &a), &chosen(&right_keys, &b)) {
            match op {
                Op::Both(i, j) => pairs.push((&left[a[i]], &right[b[j]])),
                Op::Left(i) => rest.0.push(a[i]),
                Op::Right(j) => rest.1.push(b[j]),
            }
        }
    }
    // What one actor does in the first run and another in the second.
    let ops = align_events(&chosen(&left_keys, &rest.0), &chosen(&right_keys, &rest.1));
    for op in &ops {
        if let Op::Both(i, j) = op {
            pairs.push((&left[rest.0[*i]], &right[rest.1[*j]]));
        }
    }
    for (a, b) in pairs {
        note_event_pair(a, b, summary, diffs);
    }
    for op in ops {
        let (side, event) = match op {
            Op::Both(..) => continue,
            Op::Left(i) => (Side::Left, &left[rest.0[i]]),
            Op::Right(j) => (Side::Right, &right[rest.1[j]]),
        };
        match side {
            Side::Left => summary.only_left += 1,
            Side::Right => summary.only_right += 1,
        }
        let (name, _) = fields(&event.tracepoint);
        let stack: Vec<String> = event.stack.iter().map(|f| f.to_string()).collect();
        let same = |d: &EventDiff| d.only == Some(side) && d.tracepoint == name && d.stack == stack;
        let at = diffs.iter().position(same).unwrap_or_else(|| {
            diffs.push(EventDiff {
                tracepoint: name.into(),
                only: Some(side),
                actors: None,
                stack,
                stack_changes: Vec::new(),
                fields: Vec::new(),
                example: event.tracepoint.clone(),
                seen: Vec::new(),
            });
            diffs.len() - 1
        });
        note_seen(&mut diffs[at].seen, &summary.file);
    }
}

fn note_event_pair(a: &StackedEvent, b: &StackedEvent, summary: &mut Summary, diffs: &mut Vec<EventDiff>) {
    let ((name, mine), (_, theirs)) = (fields(&a.tracepoint), fields(&b.tracepoint));
    let actors = (role(&a.actor) != role(&b.actor)).then(|| (role(&a.actor).into(), role(&b.actor).into()));
    let (_, ops) = align(&vec![1; a.stack.len()], &vec![1; b.stack.len()], |i, j| {
        (a.stack[i] == b.stack[j]).then_some(0)
    });
    let stack_changes: Vec<(Side, String)> = ops
        .into_iter()
        .filter_map(|op| match op {
            Op::Both(..) => None,
            Op::Left(i) => Some((Side::Left, a.stack[i].to_string())),
            Op::Right(j) => Some((Side::Right, b.stack[j].to_string())),
        })
        .collect();
    if mine == theirs && stack_changes.is_empty() && actors.is_none() {
        summary.alike += 1;
        return;
    }
    summary.numbers += u32::from(mine != theirs);
    summary.alike += u32::from(mine == theirs);
    let same = |d: &EventDiff| {
        d.only.is_none() && d.tracepoint == name && d.stack_changes == stack_changes && d.actors == actors
    };
    let at = diffs.iter().position(same).unwrap_or_else(|| {
        diffs.push(EventDiff {
            tracepoint: name.into(),
            only: None,
            actors: actors.clone(),
            stack: Vec::new(),
            stack_changes: stack_changes.clone(),
            fields: Vec::new(),
            example: a.tracepoint.clone(),
            seen: Vec::new(),
        });
        diffs.len() - 1
    });
    note_fields(&mut diffs[at].fields, &mine, &theirs);
    note_seen(&mut diffs[at].seen, &summary.file);
}
