//! Future work, ordered by virtual time and then by who asked first.

use core::hash::{Hash, Hasher};

use crate::copied::clone_by_field;
use crate::sched::WaitOn;
use crate::{CpuId, PciDevId, ReqId, TaskId};

/// What can happen later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// A sleeping task's time has come.
    Wake(TaskId),
    /// The device behind a function gets round to something; the word is its model's own.
    Device(PciDevId, u64),
    /// The vector cleanup timer of a CPU (6.6 and later).
    VectorCleanup(CpuId),
    /// A level-triggered INTx line changed.
    IntxLevel(PciDevId, bool),
    /// The IO-APIC looks at the line of a pin again after its EOI.
    IoApicLevel(u8),
    /// A block-layer request was not completed in time.
    BlkTimeout(ReqId),
    /// Those who sleep on this have waited for as long as they wanted to.
    WakeOn(WaitOn),
}

impl Event {
    /// It happens when a device gets round to it or, for the cleanup of vectors, when a CPU does: the
    /// delay it was scheduled with is only the usual one.
    pub const fn is_elastic(&self) -> bool {
        match self {
            Self::Device(..) | Self::VectorCleanup(_) | Self::IoApicLevel(_) => true,
            Self::Wake(_) | Self::IntxLevel(..) | Self::BlkTimeout(_) | Self::WakeOn(_) => false,
        }
    }
}

/// Names a pending event.
#[derive(Clone, Copy, Debug)]
pub struct EventKey {
    time: u64,
    seq: u64,
    slot: u32,
}

// Where an event lies follows from what was cancelled before, which is no part of the state.
impl PartialEq for EventKey {
    fn eq(&self, other: &Self) -> bool {
        (self.time, self.seq) == (other.time, other.seq)
    }
}
impl Eq for EventKey {}
impl Hash for EventKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.time, self.seq).hash(state);
    }
}

/// What the heap orders: the time, and below it the sequence number and the event's slot. No two
/// entries have the same sequence number, so that the slot never decides.
#[derive(Clone, Copy, Debug)]
struct Entry {
    time: u64,
    /// The sequence number above `SLOT_BITS` bits of slot.
    low: u64,
}

/// Bits of an entry that hold the slot: so many events can be pending. What is left for the
/// sequence number lasts for 2^40 events.
const SLOT_BITS: u32 = 24;
/// Children of a heap node: their entries fill a cache line.
const WIDTH: usize = 4;
/// Up to this many cancelled events stay in the heap, however few there are of the others.
const STALE: usize = 32;

impl Entry {
    fn order(self) -> u128 {
        u128::from(self.time) << 64 | u128::from(self.low)
    }
    fn slot(self) -> usize {
        (self.low & ((1 << SLOT_BITS) - 1)) as usize
    }
    fn seq(self) -> u64 {
        self.low >> SLOT_BITS
    }
}

/// A place for an event.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// Free, and the next free one.
    Free(u32),
    /// Taken by the event with this sequence number.
    Pending(u64, Event),
}

/// The event queue and the clock it drives.
///
/// A heap of small entries beside the events themselves. Two things keep it fast:
/// * A cancelled event leaves its entry behind, which is dropped when it comes to the top. It is
///   known by its slot, which is free or serves another event.
/// * Taking the first event leaves a gap at the top. What is scheduled next, most often on behalf
///   of that very event, is sifted down from there, which is half the work of filling the gap from
///   the end and adding at the end.
///
/// The entry at the top is never a cancelled one, and below a gap there are none.
///
/// Two queues are equal when the same events are pending, however they lie in the heap.
#[derive(Debug)]
pub struct EventQueue {
    /// Virtual time in nanoseconds.
    pub now: u64,
    seq: u64,
    heap: Vec<Entry>,
    /// The top of the heap was taken.
    gap: bool,
    slots: Vec<Slot>,
    /// The first free slot; a number past the end where there is none.
    free: u32,
    /// Entries whose event was cancelled.
    stale: usize,
}

clone_by_field! {
    EventQueue { now, seq, heap, gap, slots, free, stale }
}

impl Default for EventQueue {
    fn default() -> Self {
        Self { now: 0, seq: 0, heap: Vec::new(), gap: false, slots: Vec::new(), free: u32::MAX, stale: 0 }
    }
}

impl EventQueue {
    /// Schedules `event` `delay` nanoseconds from now.
    ///
    /// # Panics
    /// With more than 2^24 events pending.
    pub fn push(&mut self, delay: u64, event: Event) -> EventKey {
        let time = self.now.saturating_add(delay);
        let seq = self.seq;
        self.seq += 1;
        let slot = self.store(seq, event);
        let entry = Entry { time, low: seq << SLOT_BITS | u64::from(slot) };
        if core::mem::take(&mut self.gap) {
            self.sift_down(entry);
        } else {
            self.sift_up(entry);
        }
        EventKey { time, seq, slot }
    }

    fn store(&mut self, seq: u64, event: Event) -> u32 {
        let at = self.free;
        if let Some(slot) = self.slots.get_mut(at as usize) {
            if let Slot::Free(next) = *slot {
                self.free = next;
            }
            *slot = Slot::Pending(seq, event);
            return at;
        }
        let at = self.slots.len();
        assert!(at < 1 << SLOT_BITS, "more events pending than the queue has room for");
        self.slots.push(Slot::Pending(seq, event));
        at as u32
    }

    /// Frees a slot.
    fn release(&mut self, slot: usize) {
        self.slots[slot] = Slot::Free(self.free);
        self.free = slot as u32;
    }

    /// The event of an entry, `None` when it was cancelled.
    fn event(&self, entry: Entry) -> Option<&Event> {
        match &self.slots[entry.slot()] {
            Slot::Pending(seq, event) if *seq == entry.seq() => Some(event),
            _ => None,
        }
    }

    /// Puts an entry at the top and lets smaller ones pass.
    fn sift_down(&mut self, entry: Entry) {
        let heap = self.heap.as_mut_slice();
        let order = entry.order();
        let mut hole = 0;
        loop {
            let first = hole * WIDTH + 1;
            let smallest = if let Some(&[a, b, c, d]) = heap.get(first..first + WIDTH) {
                let left = if b.order() < a.order() { (1, b) } else { (0, a) };
                let right = if d.order() < c.order() { (3, d) } else { (2, c) };
                Some(if right.1.order() < left.1.order() { right } else { left })
            } else {
                let rest = heap.get(first..).unwrap_or_default().iter().copied();
                rest.enumerate().min_by_key(|(_, child)| child.order())
            };
            let Some((child, smaller)) = smallest.filter(|(_, child)| child.order() < order) else { break };
            heap[hole] = smaller;
            hole = first + child;
        }
        heap[hole] = entry;
    }

    /// Puts an entry at the end and lets it pass larger ones.
    fn sift_up(&mut self, entry: Entry) {
        let mut hole = self.heap.len();
        self.heap.push(entry);
        let heap = self.heap.as_mut_slice();
        while hole > 0 {
            let parent = (hole - 1) / WIDTH;
            if heap[parent].order() < entry.order() {
                break;
            }
            heap[hole] = heap[parent];
            hole = parent;
        }
        heap[hole] = entry;
    }

    /// Fills a gap at the top with the last entry.
    fn close_gap(&mut self) {
        if core::mem::take(&mut self.gap)
            && let Some(last) = self.heap.pop()
            && !self.heap.is_empty()
        {
            self.sift_down(last);
        }
    }

    /// Drops cancelled events from the top.
    fn settle(&mut self) {
        while self.stale > 0 {
            self.close_gap();
            let Some(&top) = self.heap.first() else { return };
            if self.event(top).is_some() {
                return;
            }
            self.stale -= 1;
            self.gap = true;
        }
    }

    /// Drops all cancelled events.
    fn rebuild(&mut self) {
        self.close_gap();
        let mut heap = core::mem::take(&mut self.heap);
        heap.retain(|entry| self.event(*entry).is_some());
        // What is in order is a heap.
        heap.sort_unstable_by_key(|entry| entry.order());
        self.heap = heap;
        self.stale = 0;
    }

    /// Takes a pending event back; false when it has happened or was cancelled before.
    pub fn cancel(&mut self, key: EventKey) -> bool {
        let slot = key.slot as usize;
        if !matches!(self.slots.get(slot), Some(Slot::Pending(seq, _)) if *seq == key.seq) {
            return false;
        }
        self.close_gap();
        self.release(slot);
        self.stale += 1;
        if self.stale > STALE && self.stale > self.heap.len() / 2 {
            self.rebuild();
        } else {
            self.settle();
        }
        true
    }

    /// Takes back every pending event that `unwanted` picks.
    pub fn cancel_all(&mut self, mut unwanted: impl FnMut(&Event) -> bool) {
        let mut found = false;
        for slot in 0..self.slots.len() {
            if let Slot::Pending(_, event) = &self.slots[slot]
                && unwanted(event)
            {
                self.release(slot);
                found = true;
            }
        }
        if found {
            self.rebuild();
        }
    }

    /// Takes the first pending event that equals `event`, without moving the clock; false when there
    /// is none.
    pub fn take(&mut self, event: &Event) -> bool {
        let found = self.sorted().into_iter().find(|(_, _, e)| *e == event).map(|(_, seq, _)| seq);
        let Some(seq) = found else { return false };
        let slot = self.slots.iter().position(|slot| matches!(slot, Slot::Pending(s, _) if *s == seq));
        self.release(slot.unwrap_or_default());
        self.rebuild();
        true
    }

    /// The next event, after moving the clock to it.
    pub fn pop(&mut self) -> Option<Event> {
        self.close_gap();
        let top = *self.heap.first()?;
        let event = *self.event(top)?;
        self.release(top.slot());
        self.now = self.now.max(top.time);
        self.gap = true;
        self.settle();
        Some(event)
    }

    /// When the next event is due.
    pub fn next_time(&self) -> Option<u64> {
        if !self.gap {
            return self.heap.first().map(|top| top.time);
        }
        self.heap.iter().skip(1).take(WIDTH).map(|child| child.time).min()
    }

    /// What is pending, in order.
    fn sorted(&self) -> Vec<(u64, u64, &Event)> {
        let heap = self.heap.iter().skip(usize::from(self.gap));
        let pending = heap.filter_map(|entry| Some((entry.time, entry.seq(), self.event(*entry)?)));
        let mut all: Vec<_> = pending.collect();
        all.sort_unstable_by_key(|(time, seq, _)| (*time, *seq));
        all
    }

    /// Pending events in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Event)> {
        self.sorted().into_iter().map(|(time, _, event)| (time, event))
    }
}

impl PartialEq for EventQueue {
    fn eq(&self, other: &Self) -> bool {
        (self.now, self.seq) == (other.now, other.seq) && self.sorted() == other.sorted()
    }
}

impl Eq for EventQueue {}

impl Hash for EventQueue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.now, self.seq, self.sorted()).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::collections::hash_map::DefaultHasher;

    fn hash(queue: &EventQueue) -> u64 {
        let mut hasher = DefaultHasher::new();
        queue.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn events_come_in_order_whatever_was_cancelled() {
        let mut queue = EventQueue::default();
        let mut expect: BTreeMap<(u64, u64), (Event, EventKey)> = BTreeMap::new();
        let mut gone: Vec<EventKey> = Vec::new();
        let mut random = 1u64;
        for round in 0..20_000u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (what, delay) = (random >> 60, random >> 32 & 0x3f);
            let event = Event::Wake(TaskId(round as u32));
            match what {
                0..=6 => {
                    let key = queue.push(delay, event);
                    expect.insert((key.time, key.seq), (event, key));
                }
                7..=12 => {
                    let first = expect.pop_first();
                    assert_eq!(queue.pop(), first.map(|(_, (event, _))| event));
                    gone.extend(first.map(|(_, (_, key))| key));
                }
                13 | 14 => {
                    let nth = expect.keys().nth(delay as usize).copied();
                    if let Some((_, key)) = nth.and_then(|at| expect.remove(&at)) {
                        assert!(queue.cancel(key));
                        assert!(!queue.cancel(key));
                        gone.push(key);
                    }
                }
                _ => {
                    let odd = |event: &Event| matches!(event, Event::Wake(task) if task.0 % 5 == 0);
                    queue.cancel_all(odd);
                    expect.retain(|_, (event, _)| !odd(event));
                    assert!(gone.drain(..).all(|key| !queue.cancel(key)));
                }
            }
            assert_eq!(queue.next_time(), expect.keys().next().map(|(time, _)| *time));
        }
        let order: Vec<Event> = queue.iter().map(|(_, event)| *event).collect();
        assert_eq!(order, expect.values().map(|(event, _)| *event).collect::<Vec<_>>());
    }

    #[test]
    fn equal_queues_need_not_look_alike_inside() {
        let event = |n| Event::Wake(TaskId(n));
        let (mut a, mut b) = (EventQueue::default(), EventQueue::default());
        for queue in [&mut a, &mut b] {
            for n in 0..10 {
                queue.push(u64::from(n % 3), event(n));
            }
        }
        a.cancel_all(|e| *e == event(4));
        let keys: Vec<EventKey> =
            (0..10).map(|n| EventKey { time: u64::from(n % 3), seq: u64::from(n), slot: n }).collect();
        assert!(b.cancel(keys[4]));
        assert_eq!(a, b);
        assert_eq!(hash(&a), hash(&b));
        assert_eq!(a.pop(), b.pop());
        assert_eq!((&a, hash(&a)), (&b, hash(&b)));
        a.push(1, event(1));
        assert_ne!(a, b);
    }
}
