//! Ten thousand random scripts on random machines: every invariant holds after every step, no
//! interrupt is lost, and the same seed ends in the same state.
//!
//! A failure names its seed and prints the machine and the script. `IRQLAB_SEED=17` replays one
//! seed, `IRQLAB_SEED=0..50000` a range.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use explore::checks::{
    COMPLETION_POLLED, nothing_is_lost, nothing_is_odd, nothing_odd_was_said, queue_without_its_interrupt,
    requests_have_owners,
};
use explore::generate::Experiment;
use kstate::Kernel;
use kstate::oracle::Oracle;
use kstate::semantics::{KernelVersion, Semantics};
use sim::engine;
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// Nanoseconds after which everything that a command started is over: longer than any timeout.
const SETTLE: u64 = 400_000_000_000;
/// Steps within that time, or within a command. A machine that needs more runs in circles.
const MAX_STEPS: usize = 200_000;

fn hash(k: &Kernel) -> u64 {
    let mut hasher = DefaultHasher::new();
    k.hash(&mut hasher);
    hasher.finish()
}

/// One statement of a script as a script of its own.
fn statements(script: &Script) -> impl Iterator<Item = Script> + '_ {
    script.statements.iter().map(|s| Script { statements: vec![s.clone()], ..script.clone() })
}

/// Runs until nothing more will happen.
fn settle(k: &mut Kernel) -> Result<(), String> {
    let limit = k.events.now + SETTLE;
    for _ in 0..MAX_STEPS {
        if engine::step(k, limit).is_none() {
            return Ok(());
        }
    }
    Err("the machine does not come to rest".to_owned())
}

/// Boots the machine and runs the script.
fn run(e: &Experiment, check: bool, each: &mut dyn FnMut(&Kernel)) -> Result<Lab, String> {
    let machine = Machine::parse("machine.toml", &e.machine).map_err(|e| e.to_string())?;
    let script = Script::parse("script.sh", &e.script).map_err(|e| e.to_string())?;
    let mut lab = Lab::boot_with(&machine, Semantics::of(machine.kernel), false);
    if let Some(seed) = e.oracle {
        let oracle = Oracle::seeded(seed);
        // Half of them also cut interrupts where other CPUs see them half done.
        lab.k.oracle = if seed & 2 == 0 { oracle } else { oracle.interleaving() };
    }
    if check {
        check_invariants(&lab.k).map_err(|e| format!("after boot: {e}"))?;
        settled(&lab.k, false).map_err(|e| format!("after boot: {e}"))?;
    }
    let mut left_behind = false;
    for statement in statements(&script) {
        let mut broken = None;
        let mut steps = 0;
        lab.run_each(
            &statement,
            |k| {
                each(k);
                steps += 1;
                assert!(steps < MAX_STEPS, "the machine runs in circles");
                if check && broken.is_none() {
                    broken = check_invariants(k).and_then(|()| requests_have_owners(k)).err();
                }
            },
            |_, _| {},
        );
        let at = || {
            let span = statement.statements[0].span;
            format!("line {}: {}", span.line, statement.source(span))
        };
        if let Some(broken) = broken {
            return Err(format!("{}: {broken}", at()));
        }
        // Queues that were left behind by a reset find their completions by polling, and no others.
        left_behind = left_behind || queue_without_its_interrupt(&lab.k);
        if check && !left_behind && lab.k.log.iter().any(|line| line.contains(COMPLETION_POLLED)) {
            return Err(format!("{}: a completion was polled that an interrupt should have told", at()));
        }
        if check {
            settled(&lab.k, left_behind).map_err(|e| format!("{}: {e}", at()))?;
        }
    }
    settle(&mut lab.k)?;
    Ok(lab)
}

/// Checks what the machine would come to if nothing more were done to it.
fn settled(k: &Kernel, left_behind: bool) -> Result<(), String> {
    if k.events.next_time().is_none() && k.sched.runnable.is_empty() {
        return at_rest(k, left_behind);
    }
    let mut later = k.clone();
    settle(&mut later)?;
    check_invariants(&later)?;
    at_rest(&later, left_behind)
}

/// The message of a queue that was left behind waits in the device until the CPU of its interrupt comes
/// back. By then its completion has been polled, and the handler finds nothing.
fn at_rest(k: &Kernel, left_behind: bool) -> Result<(), String> {
    nothing_is_lost(k)?;
    if left_behind { nothing_odd_was_said(k) } else { nothing_is_odd(k) }
}

fn experiment(seed: u64) -> Result<(), String> {
    let e = Experiment::new(seed);
    let lab = run(&e, true, &mut |_| {})?;
    let first = hash(&lab.k);
    let again = hash(&run(&e, false, &mut |_| {})?.k);
    if first != again {
        return Err("the same script ended in another state".to_owned());
    }
    Ok(())
}

/// The failure of a seed, with everything that is needed to have it again.
fn report(seed: u64, what: &str) -> String {
    let Experiment { machine, script, oracle } = Experiment::new(seed);
    let mut text = format!("IRQLAB_SEED={seed}: {what}\n");
    let _ = writeln!(text, "oracle: {oracle:?}\n--- machine.toml\n{machine}--- script.sh\n{script}---");
    text
}

fn failure(seed: u64) -> Option<String> {
    let result = catch_unwind(AssertUnwindSafe(|| experiment(seed)));
    let what = match result {
        Ok(Ok(())) => return None,
        Ok(Err(what)) => what,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            format!("panic: {}", text.unwrap_or_default())
        }
    };
    Some(report(seed, &what))
}

/// The seeds to run instead, from `IRQLAB_SEED`.
fn wanted() -> Option<Range<u64>> {
    let text = std::env::var("IRQLAB_SEED").ok()?;
    let number =
        |t: &str| t.trim().parse().unwrap_or_else(|_| panic!("IRQLAB_SEED={text}: expected N or N..M"));
    Some(match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&text)..number(&text) + 1,
    })
}

fn check(part: u64, parts: u64) {
    let seeds = wanted().unwrap_or(0..10_000);
    let keep_going = std::env::var_os("IRQLAB_KEEP_GOING").is_some();
    let mut failures = Vec::new();
    for seed in seeds.filter(|seed| seed % parts == part) {
        if let Some(failure) = failure(seed) {
            eprintln!("{failure}");
            failures.push(seed);
            if !keep_going {
                break;
            }
        }
    }
    assert!(failures.is_empty(), "seeds {failures:?}");
}

#[test]
fn random_scripts_lose_no_interrupt_part_1() {
    check(0, 2);
}

#[test]
fn random_scripts_lose_no_interrupt_part_2() {
    check(1, 2);
}

/// A script that meets a historical defect of 5.4, and does not once its fix is set.
#[test]
fn a_moved_pin_interrupts_until_its_thread_has_run() {
    let e = Experiment::new(3750);
    let unhandled = |semantics: Semantics| -> u32 {
        let mut lab = Lab::boot_with(&Machine::parse("machine.toml", &e.machine).unwrap(), semantics, false);
        lab.run_each(&Script::parse("script.sh", &e.script).unwrap(), |_| {}, |_, _| {});
        lab.k.for_each_irq().map(|irq| lab.k.desc(irq).irqs_unhandled).sum()
    };
    let mut fixed = Semantics::of(KernelVersion::V5_4);
    fixed.ioapic_move_keeps_masked = true;
    assert!(unhandled(Semantics::of(KernelVersion::V5_4)) > 0);
    assert_eq!(unhandled(fixed), 0);
}

/// The lines of random scripts, most of them as jobs: nothing breaks, and 6.12, which drains a queue
/// before its last CPU goes, brings whatever was begun to its end.
#[test]
fn random_jobs_come_to_their_end() {
    let mut hung = 0;
    for seed in 0..2000 {
        let e = Experiment::new(seed);
        let mut text = String::new();
        for (i, line) in e.script.lines().enumerate() {
            text.push_str(line);
            text.push_str(["\n", "\nwait\n", " &\n", " &\n", " &\n"][(seed as usize + i * i) % 5]);
        }
        let machine = Machine::parse("machine.toml", &e.machine).unwrap();
        let mut lab = Lab::boot_with(&machine, Semantics::of(machine.kernel), false);
        // Where a grace period is long, what a CPU that goes has asked for is over before.
        lab.k.params.rcu_expedited = (seed % 2) as i32;
        if let Some(seed) = e.oracle {
            lab.k.oracle = Oracle::seeded(seed);
        }
        let step = |k: &kstate::Kernel| assert_eq!(check_invariants(k), Ok(()), "seed {seed}:\n{text}");
        lab.run_each(
            &Script::parse("script.sh", &text).unwrap_or_else(|e| panic!("{e} in {text}")),
            step,
            |_, _| {},
        );
        if lab.terminal.iter().any(|line| line.ends_with("Connection timed out")) {
            // 5.4 shuts a managed interrupt down under a request, and virtio-blk has no timeout that
            // would see it.
            assert_eq!(machine.kernel, KernelVersion::V5_4, "seed {seed}:\n{text}");
            hung += 1;
        }
    }
    assert!(hung > 0);
}
