//! Future work, ordered by virtual time and then by who asked first.

use std::collections::BTreeMap;

use crate::{CpuId, NvmeId, PciDevId, ReqId, TaskId, VirtioId};

/// What can happen later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// A sleeping task's time has come.
    Wake(TaskId),
    /// An NVMe controller fetches and completes what is in its queues, or changes its status.
    Nvme(NvmeId, NvmeEvent),
    /// A virtio-blk device has finished what is in one queue.
    Virtio(VirtioId, u16),
    /// The vector cleanup timer of a CPU (6.6 and later).
    VectorCleanup(CpuId),
    /// A level-triggered INTx line changed.
    IntxLevel(PciDevId, bool),
    /// A block-layer request was not completed in time.
    BlkTimeout(ReqId),
}

/// What an NVMe controller does on its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NvmeEvent {
    /// CSTS.RDY follows CC.EN.
    Ready(bool),
    /// CSTS.SHST says that the shutdown is complete.
    ShutdownComplete,
    /// The oldest fetched command of this submission queue is done.
    Complete(u16),
}

/// Names a pending event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventKey {
    time: u64,
    seq: u64,
}

/// The event queue and the clock it drives.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct EventQueue {
    /// Virtual time in nanoseconds.
    pub now: u64,
    seq: u64,
    pending: BTreeMap<EventKey, Event>,
}

impl EventQueue {
    /// Schedules `event` `delay` nanoseconds from now.
    pub fn push(&mut self, delay: u64, event: Event) -> EventKey {
        let key = EventKey { time: self.now.saturating_add(delay), seq: self.seq };
        self.seq += 1;
        self.pending.insert(key, event);
        key
    }

    /// Takes a pending event back; false when it has happened or was cancelled before.
    pub fn cancel(&mut self, key: EventKey) -> bool {
        self.pending.remove(&key).is_some()
    }

    /// Takes back every pending event that `unwanted` picks.
    pub fn cancel_all(&mut self, mut unwanted: impl FnMut(&Event) -> bool) {
        self.pending.retain(|_, event| !unwanted(event));
    }

    /// The next event, after moving the clock to it.
    pub fn pop(&mut self) -> Option<Event> {
        let (key, event) = self.pending.pop_first()?;
        self.now = self.now.max(key.time);
        Some(event)
    }

    /// When the next event is due.
    pub fn next_time(&self) -> Option<u64> {
        self.pending.first_key_value().map(|(key, _)| key.time)
    }

    /// Pending events in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Event)> {
        self.pending.iter().map(|(key, event)| (key.time, event))
    }
}
