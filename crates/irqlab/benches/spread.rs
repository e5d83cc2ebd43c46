//! Spreading vectors over CPUs, and finding a free one.

use divan::{Bencher, black_box};
use irqcore::affinity::irq_create_affinity_masks;
use irqcore::matrix::{irq_alloc_matrix, irq_matrix_alloc, irq_matrix_free, irq_matrix_online};
use kstate::msi::IrqAffinity;
use kstate::semantics::KernelVersion;
use kstate::{CpuId, CpuMask, Kernel};

#[expect(dead_code, reason = "each benchmark uses a part of it")]
mod common;

fn main() {
    divan::main();
}

/// CPUs and nodes.
const MACHINES: [(u32, u32); 5] = [(8, 1), (64, 2), (256, 4), (1024, 16), (4096, 32)];

/// One call of `irq_create_affinity_masks()` for one vector per CPU and one that is not spread.
fn spread(bencher: Bencher, version: KernelVersion, (cpus, nodes): (u32, u32)) {
    let mut k = common::topology(version, cpus, nodes);
    bencher.bench_local(|| {
        let mut affd = IrqAffinity { pre_vectors: 1, ..IrqAffinity::default() };
        irq_create_affinity_masks(black_box(&mut k), cpus + 1, &mut affd)
    });
}

#[divan::bench(args = MACHINES)]
fn spread_v5_4(bencher: Bencher, machine: (u32, u32)) {
    spread(bencher, KernelVersion::V5_4, machine);
}

#[divan::bench(args = MACHINES)]
fn spread_v6_12(bencher: Bencher, machine: (u32, u32)) {
    spread(bencher, KernelVersion::V6_12, machine);
}

#[divan::bench(args = MACHINES)]
fn spread_v7_3(bencher: Bencher, machine: (u32, u32)) {
    spread(bencher, KernelVersion::V7_3, machine);
}

/// The same where each four CPUs share an L2 cache.
#[divan::bench(args = MACHINES)]
fn spread_v7_3_clusters(bencher: Bencher, (cpus, nodes): (u32, u32)) {
    let mut k = common::topology(KernelVersion::V7_3, cpus, nodes);
    for cpu in 0..cpus {
        k.topo.cpus[cpu as usize].l2 = Some(cpu / 4);
    }
    for cpu in (0..cpus).map(CpuId) {
        k.topo.set_cpu_sibling_map(cpu);
    }
    bencher.bench_local(|| {
        let mut affd = IrqAffinity { pre_vectors: 1, ..IrqAffinity::default() };
        irq_create_affinity_masks(black_box(&mut k), cpus + 1, &mut affd)
    });
}

/// A matrix with all CPUs online, and as uneven as a machine in use.
fn matrix(cpus: u32) -> Kernel {
    let mut k = common::topology(KernelVersion::V5_4, cpus, 1);
    irq_alloc_matrix(&mut k, 256, 32, 236).expect("a matrix");
    for cpu in (0..cpus).map(CpuId) {
        k.cur.cpu = cpu;
        irq_matrix_online(&mut k);
    }
    let mut seed = 1u32;
    for cpu in (0..cpus).map(CpuId) {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        for _ in 0..seed >> 27 {
            irq_matrix_alloc(&mut k, &CpuMask::of(cpu), false, &mut CpuId(0)).expect("a free vector");
        }
    }
    k
}

/// One `irq_matrix_alloc()` over all CPUs and the `irq_matrix_free()` that takes it back.
#[divan::bench(args = [8, 64, 512, 4096])]
fn matrix_alloc_free(bencher: Bencher, cpus: u32) {
    let mut k = matrix(cpus);
    let all = CpuMask::first_n(cpus);
    let mut cpu = CpuId(0);
    bencher.bench_local(|| {
        let bit = irq_matrix_alloc(black_box(&mut k), &all, false, &mut cpu).unwrap_or_default();
        irq_matrix_free(&mut k, cpu, bit, false);
        bit
    });
}

/// 1000 times `irq_matrix_alloc()` over all CPUs, from a matrix in use.
#[divan::bench(args = [8, 64, 512, 4096])]
fn matrix_alloc_1000(bencher: Bencher, cpus: u32) {
    let k = matrix(cpus);
    let all = CpuMask::first_n(cpus);
    bencher.with_inputs(|| k.clone()).bench_local_values(|mut k| {
        let mut cpu = CpuId(0);
        for _ in 0..1000 {
            let _ = black_box(irq_matrix_alloc(&mut k, &all, false, &mut cpu));
        }
        k
    });
}
