//! The lanes of a recording: who did what, from left to right in the order of the records.
//!
//! A lane is a task, a CPU with its interrupts and softirqs, or a piece of hardware. Calls stand in one another, what
//! is no call stands below them, and arrows lead from a message to the task that it wakes in the end.

use std::collections::BTreeMap;

use kstate::CtxId;
use kstate::trace::{Hardware, What};

use super::super::Slice;
use super::super::ftrace::is_hard;
use super::super::tracks::{CPUS, Flows, HARDWARE, TASKS, place, tracks};
use super::{Picture, Px, fitting, px, width_of};

const LEFT: u32 = 132;
const TOP: u32 = 62;
const RIGHT: u32 = 16;
/// Width of the lanes: of few records, and of as many as a picture can show.
const NARROWEST: u32 = 1050;
const WIDEST: u32 = 3000;
/// As wide a record is, where that is possible.
const RECORD: u32 = 5;
const CALL: u32 = 16;
/// Height of what is no call.
const POINTS: u32 = 15;
const GAP: u32 = 10;
/// Calls that stand deeper are counted.
const DEEPEST: usize = 18;
/// What is narrower is drawn as one piece with its neighbours.
const VISIBLE: Px = Px(25);
/// With more ways of interrupts than these, nobody can follow an arrow.
const FLOWS: usize = 24;

/// A call that is not over.
struct Open {
    ctx: CtxId,
    name: &'static str,
    file: &'static str,
    from: usize,
}

/// Calls that are too narrow to be seen alone.
struct Many {
    from: Px,
    to: Px,
    calls: usize,
}

/// Something that is no call.
struct Point {
    at: usize,
    class: &'static str,
    name: String,
    text: String,
}

/// What is drawn of one track.
#[derive(Default)]
struct Lane {
    name: String,
    /// An interrupt may run on it.
    cpu: bool,
    open: Vec<Option<Open>>,
    /// Calls by depth: from, to, name and title.
    calls: Vec<Vec<(usize, usize, &'static str, String, bool)>>,
    /// Calls that stand too deep.
    deeper: usize,
    points: Vec<Point>,
}

impl Lane {
    fn enter(&mut self, open: Open) {
        while self.open.last().is_some_and(Option::is_none) {
            self.open.pop();
        }
        self.open.push(Some(open));
    }

    /// The innermost call of a context is over at a slot, or the recording is.
    fn leave(&mut self, ctx: CtxId, to: usize, irq: bool, over: bool) {
        let Some(depth) = self.open.iter().rposition(|open| open.as_ref().is_some_and(|o| o.ctx == ctx))
        else {
            return;
        };
        let Some(Open { name, file, from, .. }) = self.open[depth].take() else { return };
        if depth >= DEEPEST {
            self.deeper += 1;
            return;
        }
        if self.calls.len() <= depth {
            self.calls.resize_with(depth + 1, Vec::new);
        }
        let end = if over { "" } else { ", not over at the end" };
        self.calls[depth].push((from, to, name, format!("{name}()  {file}{end}"), irq));
    }

    const fn height(&self) -> u32 {
        let rows = if self.calls.is_empty() { 0 } else { self.calls.len() as u32 * CALL + 2 };
        let points = if self.points.is_empty() { 0 } else { POINTS };
        if rows + points == 0 { POINTS } else { rows + points }
    }
}

/// Where a slot begins.
struct Scale {
    slots: usize,
    width: u32,
}

impl Scale {
    fn x(&self, slot: usize) -> Px {
        px(LEFT) + Px((u64::from(self.width) * 10 * slot as u64 / self.slots.max(1) as u64) as u32)
    }
}

/// The lanes, and the stations of the ways over them: the slot and the track.
type Drawn = (BTreeMap<(u64, u64), Lane>, Vec<Vec<(usize, u64)>>);

/// Sorts the records of a slice into lanes. Tasks come first, then CPUs, then other hardware.
fn sort(slice: &Slice<'_>) -> (Drawn, Vec<usize>) {
    let (of, named) = tracks(slice);
    let rank = |group: u64| match group {
        TASKS => 0,
        CPUS => 1,
        _ => 2,
    };
    let groups: BTreeMap<u64, u64> = named.iter().map(|(id, (group, _))| (*id, rank(*group))).collect();
    let mut lanes: BTreeMap<(u64, u64), Lane> = named
        .iter()
        .map(|(id, (group, name))| {
            let lane = Lane { name: name.clone(), cpu: *group == CPUS, ..Lane::default() };
            ((rank(*group), *id), lane)
        })
        .collect();
    debug_assert!(named.values().all(|(group, _)| [CPUS, TASKS, HARDWARE].contains(group)));
    let key = |track: u64| groups.get(&track).map(|group| (*group, track));
    let mut flows = Flows::default();
    let mut ways: BTreeMap<u64, Vec<(usize, u64)>> = BTreeMap::new();
    let mut numbers = Vec::new();
    let shown = (slice.records.start..).zip(slice.clocked()).filter(|(_, (.., shown))| *shown);
    for (slot, (number, (_, record, _))) in shown.enumerate() {
        numbers.push(number);
        let ctx = record.ctx;
        let own = of.get(ctx).copied().flatten();
        let mut at = |flow: Option<u64>, track: u64| {
            if let Some(flow) = flow {
                ways.entry(flow).or_default().push((slot, track));
            }
        };
        match record.what {
            What::Hardware(hardware) => {
                let elsewhere = place(slice.trace, record, &hardware).map(|(track, ..)| track);
                let Some(track) = elsewhere.or(own) else { continue };
                let flow = flows.of(record, &hardware);
                at(flow, track);
                if let Hardware::Wakeup { task, .. } = hardware
                    && let (Some(flow), Some(track)) = (flow, of.get(task).copied().flatten())
                {
                    // The task may go on in the middle of a call, of which nothing begins there.
                    ways.entry(flow).or_default().push((slot + 1, track));
                }
                if let Some(lane) = key(track).and_then(|key| lanes.get_mut(&key)) {
                    let name = hardware.name().trim_start_matches("hw::").to_owned();
                    let text = slice.trace.hardware_text(&hardware);
                    lane.points.push(Point { at: slot, class: "device", name, text });
                }
            }
            What::Enter { meta, .. } => {
                let Some(track) = own else { continue };
                at(flows.arrives(slice.actor(record.ctx), record), track);
                if let Some(lane) = key(track).and_then(|key| lanes.get_mut(&key)) {
                    let file = slice.functions.file_of(meta);
                    lane.enter(Open { ctx, name: meta.name, file, from: slot });
                }
            }
            What::Exit { .. } => {
                let irq = is_hard(slice.actor(record.ctx));
                if let Some(lane) = own.and_then(key).and_then(|key| lanes.get_mut(&key)) {
                    lane.leave(ctx, slot + 1, irq, true);
                }
            }
            What::Tracepoint(tracepoint) => {
                if let Some(lane) = own.and_then(key).and_then(|key| lanes.get_mut(&key)) {
                    let (name, text) = (tracepoint.name().to_owned(), tracepoint.to_string());
                    lane.points.push(Point { at: slot, class: "point", name, text });
                }
            }
            What::Warn(text) => {
                if let Some(lane) = own.and_then(key).and_then(|key| lanes.get_mut(&key)) {
                    let (name, text) = (text.to_owned(), format!("warning: {text}"));
                    lane.points.push(Point { at: slot, class: "warn", name, text });
                }
            }
        }
    }
    for lane in lanes.values_mut() {
        let open: Vec<CtxId> = lane.open.iter().flatten().map(|open| open.ctx).collect();
        for ctx in open.into_iter().rev() {
            let irq = slice.trace.ctxs.get(ctx).is_some_and(|c| is_hard(&c.actor));
            lane.leave(ctx, numbers.len(), irq, false);
        }
    }
    ((lanes, ways.into_values().filter(|way| way.len() > 1).collect()), numbers)
}

/// The calls of one depth.
fn calls(
    picture: &mut Picture,
    scale: &Scale,
    y: Px,
    row: &mut [(usize, usize, &'static str, String, bool)],
) {
    // They end in another order than they begin where two stacks share a lane.
    row.sort_by_key(|(from, to, ..)| (*from, *to));
    let mut many: Option<Many> = None;
    let height = px(CALL - 1);
    let flush = |picture: &mut Picture, many: &mut Option<Many>| {
        if let Some(Many { from, to, calls }) = many.take() {
            let title = if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") };
            picture.rect((from, y), ((to - from).max(Px(8)), height), "many", &title);
        }
    };
    for (from, to, name, title, irq) in row.iter() {
        let (from, to) = (scale.x(*from), scale.x(*to));
        if to - from < VISIBLE {
            match &mut many {
                Some(many) if from <= many.to + VISIBLE => {
                    many.to = many.to.max(to);
                    many.calls += 1;
                }
                _ => {
                    flush(picture, &mut many);
                    many = Some(Many { from, to, calls: 1 });
                }
            }
            continue;
        }
        flush(picture, &mut many);
        picture.rect((from, y), (to - from - Px(5), height), if *irq { "irq" } else { "call" }, title);
        if let Some(label) = fitting(name, to - from - px(6)) {
            picture.text(from + px(3), y + Px(105), "start", "", &label);
        }
    }
    flush(picture, &mut many);
}

/// What is no call: a dot for a tracepoint, a diamond for hardware, a cross for a warning. The name stands there where
/// there is room until the next.
fn points(picture: &mut Picture, scale: &Scale, y: Px, points: &[Point]) {
    let mut at = 0;
    let mut free = px(0);
    while let Some(point) = points.get(at) {
        let x = scale.x(point.at);
        let near = points[at..].iter().take_while(|p| scale.x(p.at) - x < px(5)).count().max(1);
        let title = match near {
            1..=12 => points[at..at + near].iter().map(|p| &*p.text).collect::<Vec<_>>().join("\n"),
            _ => format!("{near} records, the first: {}", point.text),
        };
        let middle = y + px(7);
        let d = match point.class {
            "device" => format!("M{x} {}l4 -4l4 4l-4 4z", middle),
            "warn" => format!("M{x} {}l8 0l0 -3l-8 0z", middle + Px(15)),
            _ => format!("M{x} {}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z", middle),
        };
        picture.path(&d, point.class, &title);
        let label = if near == 1 { point.name.clone() } else { format!("{} +{}", point.name, near - 1) };
        let next = points.get(at + near).map_or(px(LEFT + scale.width), |next| scale.x(next.at));
        let start = x + px(10);
        if start >= free && start + width_of(&label) <= next {
            picture.text(start, y + px(11), "start", "dim", &label);
            free = start + width_of(&label);
        }
        at += near;
    }
}

/// The picture, under a title.
pub fn lanes(slice: &Slice<'_>, title: &str) -> String {
    let ((mut lanes, ways), numbers) = sort(slice);
    let slots = numbers.len();
    let scale = Scale { slots, width: (slots as u32).saturating_mul(RECORD).clamp(NARROWEST, WIDEST) };
    let mut picture = Picture::default();
    picture.text(px(16), px(24), "start", "head big", title);
    let mut y = TOP;
    // Where the records of a track that are no calls stand.
    let mut strips: BTreeMap<u64, u32> = BTreeMap::new();
    let mut said = Vec::new();
    let mut deeper = 0;
    for ((_, track), lane) in &mut lanes {
        let height = lane.height();
        picture.path(&format!("M16 {}H{}", y - GAP / 2, LEFT + scale.width), "line", "");
        let name = fitting(&lane.name, px(LEFT - 24)).unwrap_or_default();
        picture.text(px(16), px(y + 11), "start", "head", &name);
        let mut top = y;
        for row in &mut lane.calls {
            calls(&mut picture, &scale, px(top), row);
            top += CALL;
        }
        if !lane.calls.is_empty() {
            top += 2;
        }
        points(&mut picture, &scale, px(top), &lane.points);
        strips.insert(*track, if lane.points.is_empty() { y } else { top } + 7);
        let number: usize = lane.calls.iter().map(Vec::len).sum::<usize>() + lane.deeper;
        deeper += lane.deeper;
        said.push(format!("{}: {number} calls, {} other records", lane.name, lane.points.len()));
        y += height + GAP;
    }
    let arrows = ways.len() <= FLOWS;
    if arrows {
        for way in &ways {
            for pair in way.windows(2) {
                let [(from, a), (to, b)] = pair else { continue };
                let (Some(above), Some(below)) = (strips.get(a), strips.get(b)) else { continue };
                let (from, to) = (scale.x(*from) + px(4), scale.x(*to) + px(2));
                if a == b || to <= from {
                    continue;
                }
                let middle = Px((from.0 + to.0) / 2);
                let d = format!("M{from} {above}C{middle} {above} {middle} {below} {to} {below}");
                picture.arrow(&d, "flow");
            }
        }
    }
    picture.path(&format!("M16 {}H{}", y - GAP / 2, LEFT + scale.width), "line", "");
    let step = tick(slots, scale.width);
    for slot in (0..slots).step_by(step) {
        let x = scale.x(slot);
        picture.path(&format!("M{x} {}v4", y - GAP / 2), "stroke", "");
        picture.text(x, px(y + 10), "start", "dim", &numbers[slot].to_string());
    }
    picture.text(px(16), px(y + 10), "start", "dim", "record");
    y += 34;
    legend(&mut picture, &mut y, lanes.values().any(|lane| lane.cpu && !lane.calls.is_empty()));
    let mut left_out = Vec::new();
    if !arrows {
        left_out.push(format!("arrows of {} interrupts", ways.len()));
    }
    if deeper > 0 {
        left_out.push(format!("{deeper} calls below level {DEEPEST}"));
    }
    let left_out =
        if left_out.is_empty() { String::new() } else { format!("; left out: {}", left_out.join(", ")) };
    let summary = format!("{slots} records on {} lanes{left_out}", lanes.len());
    picture.text(px(16), px(42), "start", "dim", &summary);
    let size = (px(LEFT + scale.width + RIGHT), px(y));
    picture.finish("irqlab-lanes", size, title, &format!("{summary}. {}.", said.join("; ")))
}

/// So many slots from one number of the scale to the next.
fn tick(slots: usize, width: u32) -> usize {
    let wanted = slots / (width as usize / 90).max(1);
    let steps = (0..9).flat_map(|power| [1, 2, 5].map(|factor| factor * 10usize.pow(power)));
    steps.into_iter().find(|step| *step >= wanted).unwrap_or(usize::MAX)
}

fn legend(picture: &mut Picture, y: &mut u32, interrupts: bool) {
    let mut x = 16;
    let top = px(*y - 11);
    let mut boxes = vec![("call", "a call")];
    if interrupts {
        boxes.push(("irq", "a call in an interrupt"));
    }
    boxes.push(("many", "several, too narrow to be seen"));
    for (class, words) in boxes {
        picture.rect((px(x), top), (px(24), px(CALL - 2)), class, "");
        picture.text(px(x + 30), px(*y), "start", "dim", words);
        x += 30 + 7 * words.len() as u32 + 16;
    }
    for (class, shape, words) in [
        ("point", "a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z", "tracepoint"),
        ("device", "l4 -4l4 4l-4 4z", "hardware"),
        ("warn", "l8 0l0 -3l-8 0z", "warning"),
    ] {
        picture.path(&format!("M{x} {}{shape}", *y - 4), class, "");
        picture.text(px(x + 12), px(*y), "start", "dim", words);
        x += 12 + 7 * words.len() as u32 + 16;
    }
    *y += 16;
}
