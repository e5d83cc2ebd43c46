//! The interrupt path: calls, interrupts, and the machine of the story.

use std::process::{Command, Stdio};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kfn::{kfn, kframe};
use kstate::sched::TaskKind;
use kstate::semantics::{KernelVersion, Semantics};
use kstate::trace::Recorded;
use kstate::{CpuId, DiskId, Errno, Kernel};
use sim::engine;
use sim::machine::Machine;

#[expect(dead_code, reason = "each benchmark uses a part of it")]
mod common;

fn main() {
    divan::main();
}

const VERSIONS: [&str; 3] = ["v5.4", "v6.12", "v7.3"];
/// Calls or interrupts per measured unit: a trace is emptied in between.
const BATCH: u64 = 1000;

fn version(name: &str) -> KernelVersion {
    KernelVersion::from_name(name).expect("a known kernel")
}

#[kfn("bench")]
fn function(k: &mut Kernel, irq: u32, flags: u64) -> u32 {
    black_box(irq).wrapping_add(black_box(flags) as u32)
}

#[kframe("bench")]
fn frame(k: &mut Kernel, irq: u32, flags: u64) -> u32 {
    black_box(irq).wrapping_add(black_box(flags) as u32)
}

/// One call of a `#[kfn]` function.
#[divan::bench(args = [false, true])]
fn kfn_call(bencher: Bencher, trace: bool) {
    let mut k = Kernel::default();
    k.trace.on = trace;
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        k.trace.records.clear();
        for i in 0..BATCH {
            black_box(function(&mut k, i as u32, i));
        }
    });
}

/// One call of a `#[kframe]` function that does not wait.
#[divan::bench(args = [false, true])]
fn kframe_call(bencher: Bencher, trace: bool) {
    let mut k = Kernel::default();
    k.trace.on = trace;
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        k.trace.records.clear();
        for i in 0..BATCH {
            black_box(k.run_now(frame(i as u32, i)));
        }
    });
}

fn interrupts(bencher: Bencher, name: &str, recorded: impl Into<Recorded>) {
    let (mut k, dev) = common::one_interrupt(version(name), recorded);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        k.trace.records.clear();
        k.trace.ctxs.truncate(1);
        for _ in 0..BATCH {
            common::interrupt(&mut k, dev);
        }
    });
}

/// One interrupt, from the device's message to the handler's return and the EOI.
#[divan::bench(args = VERSIONS)]
fn interrupt_untraced(bencher: Bencher, name: &str) {
    interrupts(bencher, name, false);
}

/// The same with every function and tracepoint recorded.
#[divan::bench(args = VERSIONS)]
fn interrupt_traced(bencher: Bencher, name: &str) {
    interrupts(bencher, name, true);
}

/// The same with what hardware does as well.
#[divan::bench(args = VERSIONS)]
fn interrupt_traced_hardware(bencher: Bencher, name: &str) {
    interrupts(bencher, name, Recorded::Hardware);
}

/// The embedded machine: boot, bind the controller, everything recorded.
#[divan::bench(args = VERSIONS)]
fn boot_and_bind_traced(bencher: Bencher, name: &str) {
    let machine = Machine::embedded(version(name));
    bencher.bench_local(|| sim::boot::boot(&machine, Semantics::of(machine.kernel), true));
}

/// `irqlab` from the start of the process to its end: the embedded case, with everything recorded and told.
#[divan::bench(args = VERSIONS)]
fn process(bencher: Bencher, name: &str) {
    bencher.bench_local(|| {
        let mut irqlab = Command::new(env!("CARGO_BIN_EXE_irqlab"));
        let status = irqlab.args(["--kernel", name]).stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "irqlab runs");
    });
}

/// The same without a record.
#[divan::bench(args = VERSIONS)]
fn boot_and_bind_untraced(bencher: Bencher, name: &str) {
    let machine = Machine::embedded(version(name));
    bencher.bench_local(|| sim::boot::boot(&machine, Semantics::of(machine.kernel), false));
}

#[kframe("bench")]
fn reads(k: &mut Kernel, count: u32) -> Result<(), Errno> {
    let done: u32 = 0;
    while done < count {
        call!(drivers::block::fops::read_part_sector(DiskId(0), u64::from(done) * 8, 8))?;
        done += 1;
    }
    Ok(())
}

/// One step of the engine, while a task reads 100 blocks from the NVMe disk one by one.
#[divan::bench(args = VERSIONS)]
fn engine_step(bencher: Bencher, name: &str) {
    let machine = Machine::embedded(version(name));
    let k = sim::boot::boot(&machine, Semantics::of(machine.kernel), false);
    let run = |k: &mut Kernel| {
        let task = k.spawn(TaskKind::Task, CpuId(0), reads(100).frame, &[]);
        let mut steps = 0u64;
        let result = engine::run_task(k, task, &mut |_| steps += 1);
        assert_eq!(result, Some(0), "the disk can be read");
        steps
    };
    let steps = run(&mut k.clone());
    bencher.counter(ItemsCount::new(steps)).with_inputs(|| k.clone()).bench_local_refs(run);
}
