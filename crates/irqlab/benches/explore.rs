//! Exploring interleavings: states a second when all are visited, and whether there are fewer when
//! there are many; runs and steps a second when they are drawn.
//!
//! A benchmark of states is one search, timed once. What it prints is states, transitions, runs or steps
//! a second, as its name says.

use std::ops::ControlFlow;

use divan::Bencher;
use divan::counter::ItemsCount;
use explore::World;
use explore::exhaustive::{self, Bounds, Covered};
use explore::random::{self, Drawn, Plan, Strategy};
use kstate::semantics::{KernelVersion, Semantics};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

fn main() {
    divan::main();
}

const VERSIONS: [&str; 2] = ["v5.4", "v6.12"];

/// A question: how many CPUs, and the script.
type Model = (u32, &'static str);

/// An interrupt is told to move while one arrives.
const AFFINITY: Model = (
    2,
    "echo 1 > /proc/irq/24/smp_affinity_list &
echo trigger > /sys/kernel/debug/irq/irqs/24 &
wait
",
);

/// The last CPU of a queue goes while a read is at the device.
const OFFLINE: Model = (
    2,
    "taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct &
echo 0 > /sys/devices/system/cpu/cpu1/online &
wait
",
);

/// Three CPUs read while two of them go: some millions of states.
const LARGE: Model = (
    4,
    "for c in 1 2 3; do taskset -c $c dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2 iflag=direct & done
echo 0 > /sys/devices/system/cpu/cpu1/online &
echo 0 > /sys/devices/system/cpu/cpu2/online &
wait
",
);

fn world((cpus, script): Model, kernel: &str) -> World {
    let text = format!(
        "kernel = \"{kernel}\"
[cpus]
possible = {cpus}
[[pci]]
model = \"nvme\"
address = \"0000:00:03.0\"
io_queue_pairs_max = 2
msix_vectors = 3
intx_gsi = 23
"
    );
    let machine = Machine::parse("machine.toml", &text).expect("a machine");
    let version = KernelVersion::from_name(kernel).expect("a known kernel");
    let lab = Lab::boot_with(&machine, Semantics::of(version), false);
    World::new(lab, &Script::parse("script.sh", script).expect("a script"))
}

fn visit(root: &World, states: usize) -> Covered {
    let bounds = Bounds { states, ..Bounds::default() };
    exhaustive::explore(root, bounds, |_| ControlFlow::Continue(())).covered
}

/// All transitions of a small model.
fn transitions(bencher: Bencher, model: Model, kernel: &str) {
    let root = world(model, kernel);
    let covered = visit(&root, usize::MAX);
    assert_eq!(covered.cut, 0, "the model is small");
    let items = ItemsCount::new(covered.transitions);
    bencher.counter(items).bench_local(|| visit(&root, usize::MAX));
}

#[divan::bench(args = VERSIONS, sample_size = 1)]
fn transitions_affinity(bencher: Bencher, kernel: &str) {
    transitions(bencher, AFFINITY, kernel);
}

#[divan::bench(args = VERSIONS, sample_size = 1, sample_count = 20)]
fn transitions_offline_io(bencher: Bencher, kernel: &str) {
    transitions(bencher, OFFLINE, kernel);
}

/// The first so many states of the large model, under 6.12: 10^6 takes a minute.
#[divan::bench(args = [10_000, 1_000_000], sample_size = 1, sample_count = 1)]
fn states_exhaustive(bencher: Bencher, states: usize) {
    let root = world(LARGE, "v6.12");
    bencher.counter(ItemsCount::new(states)).bench_local(|| {
        assert_eq!(visit(&root, states).states, states, "the model is large");
    });
}

const RUNS: u64 = 1000;

/// The first runs of the large model.
fn draw(root: &World, strategy: Strategy) -> Drawn {
    let plan =
        Plan { strategy, seed: 1, runs: 0..RUNS, shard: 0, shards: 1, depth: 10_000, findings: usize::MAX };
    let drawn = random::explore(root, &plan, |_| ControlFlow::Continue(()));
    assert_eq!(drawn.runs, RUNS, "all runs are made");
    drawn
}

const STRATEGIES: [(&str, Strategy); 2] =
    [("uniform", Strategy::Uniform), ("priorities", Strategy::Priorities { changes: 3 })];

fn strategy(name: &str) -> Strategy {
    STRATEGIES.iter().find(|(known, _)| *known == name).expect("a strategy").1
}

#[divan::bench(args = ["uniform", "priorities"], sample_size = 1, sample_count = 5)]
fn runs_random(bencher: Bencher, name: &str) {
    let root = world(LARGE, "v6.12");
    bencher.counter(ItemsCount::new(RUNS)).bench_local(|| draw(&root, strategy(name)));
}

#[divan::bench(args = ["uniform", "priorities"], sample_size = 1, sample_count = 5)]
fn moves_random(bencher: Bencher, name: &str) {
    let root = world(LARGE, "v6.12");
    let steps = draw(&root, strategy(name)).steps;
    bencher.counter(ItemsCount::new(steps)).bench_local(|| draw(&root, strategy(name)));
}
