//! Going to and fro in a session, by records and by steps. By records: in the longest step of a controller reset, on the
//! embedded machine and with 64 CPUs, where 20 ms and 200 ms are meant to be enough for the slowest. By steps: on the embedded machine after a command, and after a million steps. The
//! slowest sample is what a person waits for; 50 ms are meant to be enough.

use debugger::Session;
use divan::Bencher;
use kstate::semantics::{KernelVersion, Semantics};
use kstate::trace::Recorded;
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

/// A session in the middle of the longest step of a reset, and how many records that has.
fn in_long_step(cpus: u32) -> (Session, u64, usize) {
    let version = KernelVersion::default();
    let machine = match cpus {
        8 => Machine::embedded(version),
        cpus => {
            let text = format!(
                "kernel = \"{}\"\n[cpus]\npossible = {cpus}\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\n\
                 io_queue_pairs_max = {cpus}\nmsix_vectors = {}\nintx_gsi = 23\n",
                version.name(),
                cpus + 1
            );
            Machine::parse("machine.toml", &text).expect("a machine")
        }
    };
    let k = sim::boot::boot(&machine, Semantics::of(version), Recorded::Hardware);
    let mut session = Session::new(k, "a machine");
    session.line("echo 1 > /sys/class/nvme/nvme0/reset_controller");
    let view = session.view();
    let longest = view.steps.iter().max_by_key(|note| note.calls).map_or(0, |note| note.step);
    session.line(&format!(":goto {longest}"));
    let (_, records) = session.view().progress;
    (session, longest, records)
}

const CPUS: [u32; 2] = [8, 64];

/// One record on, again and again, and what a screen asks of the machine there.
#[divan::bench(args = CPUS, sample_count = 300, sample_size = 1)]
fn record_on(bencher: Bencher, cpus: u32) {
    let (mut session, step, records) = in_long_step(cpus);
    session.line(&format!(":goto {step}:1"));
    assert!(records > if cpus == 8 { 400 } else { 3000 }, "a long step has {records} records");
    bencher.bench_local(|| {
        session.forward().map(drop).unwrap_or_default();
        session.view().irq
    });
}

/// One record back, again and again.
#[divan::bench(args = CPUS, sample_count = 300, sample_size = 1)]
fn record_back(bencher: Bencher, cpus: u32) {
    let (mut session, step, records) = in_long_step(cpus);
    session.line(&format!(":goto {step}:{records}"));
    bencher.bench_local(|| {
        session.backward().unwrap_or_default();
        session.view().irq
    });
}

/// From any record of the step to any other.
#[divan::bench(args = CPUS, sample_count = 100, sample_size = 1)]
fn record_anywhere(bencher: Bencher, cpus: u32) {
    let (mut session, step, records) = in_long_step(cpus);
    let mut seed = 1u64;
    bencher
        .with_inputs(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!(":goto {step}:{}", 1 + (seed >> 33) % records as u64)
        })
        .bench_local_refs(|line| session.line(line));
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
