//! Going back in a session: on the embedded machine after a command, and after a million steps. The
//! slowest sample is what a person waits for; 50 ms are meant to be enough.

use debugger::Session;
use divan::Bencher;
use kstate::semantics::{KernelVersion, Semantics};
use sim::machine::Machine;

fn main() {
    divan::main();
}

const STEPS: [u64; 2] = [1_000, 1_000_000];

/// A session that is so many steps old, most of them taken by reads of a disk.
fn session(steps: u64) -> Session {
    let version = KernelVersion::default();
    let k = sim::boot::boot(&Machine::embedded(version), Semantics::of(version), true);
    let mut session = Session::new(k, "the embedded machine");
    session.line("echo 1 > /sys/class/nvme/nvme0/reset_controller");
    while session.step() < steps {
        // A read takes three steps or more.
        let reads = (steps - session.step()).div_ceil(4).max(100);
        session.line(&format!("dd if=/dev/nvme0n1 of=/dev/null bs=512 count={reads} iflag=direct"));
    }
    session
}

/// One step back, again and again.
#[divan::bench(args = STEPS, sample_count = 100, sample_size = 1)]
fn back(bencher: Bencher, steps: u64) {
    let mut session = session(steps);
    bencher.bench_local(|| session.line(":back"));
}

/// From the end to a step somewhere before.
#[divan::bench(args = STEPS, sample_count = 100, sample_size = 1)]
fn back_from_end(bencher: Bencher, steps: u64) {
    let mut session = session(steps);
    let end = session.step();
    let mut seed = 1u64;
    let session = std::cell::RefCell::new(&mut session);
    bencher
        .with_inputs(|| {
            session.borrow_mut().line(&format!(":goto {end}"));
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!(":goto {}", (seed >> 33) % end)
        })
        .bench_local_refs(|line| session.borrow_mut().line(line));
}

/// From anywhere to anywhere.
#[divan::bench(args = STEPS, sample_count = 100, sample_size = 1)]
fn anywhere(bencher: Bencher, steps: u64) {
    let mut session = session(steps);
    let end = session.step();
    let mut seed = 1u64;
    bencher
        .with_inputs(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!(":goto {}", (seed >> 33) % end)
        })
        .bench_local_refs(|line| session.line(line));
}
