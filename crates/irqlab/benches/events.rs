//! The event queue under the hold model: with so many events pending, the next one happens and
//! schedules another. The unit is one event.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kstate::TaskId;
use kstate::event::{Event, EventQueue};
use nexosim::model::{Context, Model, schedulable};
use nexosim::simulation::{Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

fn main() {
    divan::main();
}

const PENDING: [u64; 3] = [100, 10_000, 100_000];
const BATCH: u64 = 1000;

/// Delays of 1 to 2^20 ns, the same for every queue.
#[derive(Serialize, Deserialize)]
struct Delays(u64);

impl Delays {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 44) + 1
    }
}

/// This project's queue.
#[divan::bench(args = PENDING)]
fn irqlab(bencher: Bencher, pending: u64) {
    let mut delays = Delays(88_172_645_463_325_252);
    let mut queue = EventQueue::default();
    for i in 0..pending {
        queue.push(delays.next(), Event::Wake(TaskId(i as u32)));
    }
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            if let Some(event) = queue.pop() {
                queue.push(delays.next(), black_box(event));
            }
        }
    });
}

/// This project's queue, when every second event is cancelled and scheduled again before it happens.
#[divan::bench(args = PENDING)]
fn irqlab_cancel(bencher: Bencher, pending: u64) {
    let mut delays = Delays(88_172_645_463_325_252);
    let mut queue = EventQueue::default();
    for i in 0..pending {
        queue.push(delays.next(), Event::Wake(TaskId(i as u32)));
    }
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            if let Some(event) = queue.pop() {
                let key = queue.push(delays.next() + (1 << 19), event);
                black_box(queue.cancel(key));
                queue.push(delays.next(), event);
            }
        }
    });
}

/// A bare heap of time and sequence number: no event, no cancelling.
#[divan::bench(args = PENDING)]
fn binary_heap(bencher: Bencher, pending: u64) {
    let mut delays = Delays(88_172_645_463_325_252);
    let mut heap = BinaryHeap::new();
    for seq in 0..pending {
        heap.push(Reverse((delays.next(), seq)));
    }
    let mut seq = pending;
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            if let Some(Reverse((now, _))) = heap.pop() {
                heap.push(Reverse((black_box(now) + delays.next(), seq)));
                seq += 1;
            }
        }
    });
}

/// A model whose events schedule their successors.
#[derive(Serialize, Deserialize)]
struct Holder {
    delays: Delays,
    pending: u64,
}

#[Model]
impl Holder {
    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        for _ in 0..self.pending {
            let delay = Duration::from_nanos(self.delays.next());
            cx.schedule_event(delay, schedulable!(Self::tick), ()).expect("a time to come");
        }
    }

    #[nexosim(schedulable)]
    fn tick(&mut self, _: (), cx: &Context<Self>) {
        let delay = Duration::from_nanos(self.delays.next());
        cx.schedule_event(delay, schedulable!(Self::tick), ()).expect("a time to come");
    }
}

/// nexosim on one thread: its step also runs the model's method that schedules the next event.
#[divan::bench(args = PENDING)]
fn nexosim(bencher: Bencher, pending: u64) {
    let model = Holder { delays: Delays(88_172_645_463_325_252), pending };
    let mut simulation = SimInit::with_num_threads(1)
        .add_model(model, Mailbox::new(), "holder")
        .init(MonotonicTime::EPOCH)
        .expect("a simulation");
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            simulation.step().expect("an event");
        }
    });
}
