//! Comparing recordings of tracepoints: events of one actor are aligned by name, fields and stack.

use record::StackedEvent;

use super::align::{Op, align};
use super::{EventDiff, Side, Summary, fields, note_fields, note_seen, role};

/// A tracepoint left out counts as much as so many fields that differ.
const EVENT: u32 = 8;
/// What it costs to take one interrupt's tracepoint for another's.
const OTHER_IRQ: u32 = 10;

fn event_cost(a: &StackedEvent, b: &StackedEvent) -> Option<u32> {
    let ((name, mine), (other, theirs)) = (fields(&a.tracepoint), fields(&b.tracepoint));
    if name != other {
        return None;
    }
    let differ = mine.iter().zip(&theirs).filter(|(x, y)| x != y);
    let mut cost = 0;
    for ((field, _), _) in differ {
        cost += if *field == "irq" { OTHER_IRQ } else { 1 };
    }
    let stacks = u32::from(a.stack != b.stack) + u32::from(a.stack.last() != b.stack.last());
    Some((cost + stacks).min(2 * EVENT - 1))
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
    let mut rest: (Vec<&StackedEvent>, Vec<&StackedEvent>) = (Vec::new(), Vec::new());
    let mut pairs = Vec::new();
    for who in roles {
        let of = |events: &'_ [StackedEvent]| -> Vec<usize> {
            (0..events.len()).filter(|i| role(&events[*i].actor) == who).collect()
        };
        let (a, b) = (of(left), of(right));
        let costs = |n: usize| vec![EVENT; n];
        let (_, ops) = align(&costs(a.len()), &costs(b.len()), |i, j| event_cost(&left[a[i]], &right[b[j]]));
        for op in ops {
            match op {
                Op::Both(i, j) => pairs.push((&left[a[i]], &right[b[j]])),
                Op::Left(i) => rest.0.push(&left[a[i]]),
                Op::Right(j) => rest.1.push(&right[b[j]]),
            }
        }
    }
    // What one actor does in the first run and another in the second.
    let (_, ops) = align(&vec![EVENT; rest.0.len()], &vec![EVENT; rest.1.len()], |i, j| {
        event_cost(rest.0[i], rest.1[j])
    });
    for op in &ops {
        if let Op::Both(i, j) = op {
            pairs.push((rest.0[*i], rest.1[*j]));
        }
    }
    for (a, b) in pairs {
        note_event_pair(a, b, summary, diffs);
    }
    for op in ops {
        let (side, event) = match op {
            Op::Both(..) => continue,
            Op::Left(i) => (Side::Left, rest.0[i]),
            Op::Right(j) => (Side::Right, rest.1[j]),
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
