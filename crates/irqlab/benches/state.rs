//! Copying, comparing and hashing a whole machine: the embedded one, after boot and bind.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use divan::{Bencher, black_box};
use kstate::Kernel;
use kstate::semantics::{KernelVersion, Semantics};
use sim::machine::Machine;

fn main() {
    divan::main();
}

const VERSIONS: [&str; 3] = ["v5.4", "v6.12", "v7.3"];

fn machine(name: &str) -> Kernel {
    let version = KernelVersion::from_name(name).expect("a known kernel");
    sim::boot::boot(&Machine::embedded(version), Semantics::of(version), false)
}

/// One copy of a machine, and dropping it.
#[divan::bench(args = VERSIONS)]
fn copy(bencher: Bencher, name: &str) {
    let k = machine(name);
    bencher.bench_local(|| drop(black_box(k.clone())));
}

/// The same of a machine that was told to share.
#[divan::bench(args = VERSIONS)]
fn copy_shared(bencher: Bencher, name: &str) {
    let mut k = machine(name);
    k.share();
    bencher.bench_local(|| drop(black_box(k.clone())));
}

/// A copy over a machine of the same shape.
#[divan::bench(args = VERSIONS)]
fn restore(bencher: Bencher, name: &str) {
    let k = machine(name);
    let mut other = k.clone();
    bencher.bench_local(|| black_box(&mut other).clone_from(&k));
}

/// One comparison of two equal machines.
#[divan::bench(args = VERSIONS)]
fn compare(bencher: Bencher, name: &str) {
    let k = machine(name);
    let other = k.clone();
    bencher.bench_local(|| black_box(&k) == black_box(&other));
}

/// One hash of a machine.
#[divan::bench(args = VERSIONS)]
fn hash(bencher: Bencher, name: &str) {
    let k = machine(name);
    bencher.bench_local(|| {
        let mut hasher = DefaultHasher::new();
        black_box(&k).hash(&mut hasher);
        hasher.finish()
    });
}
