//! What a session shows at each record of a step is the machine as it was right there.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use debugger::Session;
use kstate::Kernel;
use kstate::semantics::KernelVersion;
use kstate::trace::{Observer, What};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;
use sim::vfs;

const RESET: &str = "echo 1 > /sys/class/nvme/nvme0/reset_controller";
const OFFLINE: &str = "echo 0 > /sys/devices/system/cpu/cpu4/online";

/// Files that show what a reset and an offline change. The last one has all that was traced, and takes long to read.
const FILES: [&str; 8] = [
    "/proc/interrupts",
    "/proc/irq/29/smp_affinity_list",
    "/proc/irq/29/effective_affinity_list",
    "/sys/kernel/debug/irq/irqs/29",
    "/sys/kernel/debug/irq/domains/VECTOR",
    "/sys/devices/system/cpu/online",
    "/sys/class/nvme/nvme0/state",
    "/sys/kernel/tracing/trace",
];

/// What `cat` says of them, one after the other.
fn files(k: &Kernel, many: usize) -> String {
    FILES[..many]
        .iter()
        .map(|path| vfs::read(k, path).unwrap_or_else(|e| format!("cat: {path}: {e}\n")))
        .collect()
}

/// A machine in a word: all that a step reads or writes, so that two that differ anywhere have two words.
fn word(k: &Kernel) -> u64 {
    let mut hasher = DefaultHasher::new();
    k.hash(&mut hasher);
    hasher.finish()
}

/// What stands in the files at each record, and the machine's word. A machine that runs once from power-on, of which no
/// session knows, is read right there: nothing is copied and nothing is done again.
#[derive(Debug)]
struct Second {
    files: usize,
    seen: Vec<(&'static str, String, u64)>,
}

impl Observer for Second {
    fn recorded(&mut self, k: &mut Kernel) {
        let name = match k.trace.records.last().map(|record| record.what) {
            Some(What::Enter { meta, .. } | What::Exit { meta, .. }) => meta.name,
            Some(What::Tracepoint(t)) => t.name(),
            Some(What::Hardware(hardware)) => hardware.name(),
            Some(What::Warn(_)) | None => "",
        };
        self.seen.push((name, files(k, self.files), word(k)));
    }
}

fn second_run(version: KernelVersion, machine: &Machine, lines: &[&str], files: usize) -> Second {
    let mut lab = Lab::boot(&Machine { kernel: version, ..machine.clone() });
    lab.k.trace.records.clear();
    lab.k.trace.observer.begin(Box::new(Second { files, seen: Vec::new() }));
    for line in lines {
        lab.run_each(&Script::parse("second", line).unwrap(), |_| {}, |_, _| {});
    }
    *lab.k.trace.observer.end::<Second>().unwrap()
}

fn at_every_record(version: KernelVersion, machine: &Machine, line: &str, many: usize) {
    let trace = ["echo 1 > /sys/kernel/tracing/events/irq_vectors/enable", line];
    let expect = second_run(version, machine, &trace, many);
    let mut session = Session::new(Lab::boot(&Machine { kernel: version, ..machine.clone() }).k, "a machine");
    session.line(trace[0]);
    session.line(trace[1]);
    session.line(":goto start");
    let cats = FILES[..many].iter().map(|path| format!("cat {path}")).collect::<Vec<_>>().join("; ");
    let mut seen = 0;
    while session.forward().is_ok() {
        let view = session.view();
        if view.progress.1 == 0 {
            continue;
        }
        let (name, files_there, word_there) = &expect.seen[seen];
        let reply = session.line(&cats).text;
        assert_eq!(reply, *files_there, "{version:?}: at record {seen}, {name}");
        assert_eq!(word(session.view().k), *word_there, "{version:?}: the machine at record {seen}, {name}");
        seen += 1;
    }
    assert_eq!(seen, expect.seen.len(), "{version:?}: records of {line}");
    // Back again it is the same.
    let mut back = seen;
    while session.backward().is_ok() {
        let view = session.view();
        if view.progress.1 == 0 {
            continue;
        }
        back -= 1;
        let (name, files_there, word_there) = &expect.seen[back];
        let reply = session.line(&cats).text;
        assert_eq!(reply, *files_there, "{version:?}: at record {back}, {name}, going back");
        assert_eq!(word(session.view().k), *word_there, "{version:?}: the machine at record {back}, {name}");
    }
    assert_eq!(back, 0);
    // The check can fail: the machine changes all the time.
    let changes = expect.seen.windows(2).filter(|pair| pair[0].2 != pair[1].2).count();
    assert!(changes > seen / 8, "{version:?}: {changes} of {seen} records change the machine");
}

#[test]
fn every_record_of_a_reset_shows_the_machine_as_it_was() {
    for &version in KernelVersion::ALL {
        at_every_record(version, &Machine::embedded(version), RESET, 7);
    }
}

#[test]
fn every_record_of_an_offline_shows_the_machine_as_it_was() {
    for &version in KernelVersion::ALL {
        at_every_record(version, &Machine::embedded(version), OFFLINE, 8);
    }
}

/// A machine with 64 CPUs and a controller with a queue for each.
fn large(version: KernelVersion) -> Machine {
    let text = "kernel = \"v5.4\"\n[cpus]\npossible = 64\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\n\
                io_queue_pairs_max = 64\nmsix_vectors = 65\nintx_gsi = 23\n";
    Machine { kernel: version, ..Machine::parse("large", text).unwrap() }
}

/// How long this thread was on a CPU so far. What others do on the computer is no part of it, where the system counts that.
fn worked() -> Duration {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = counted.and_then(|text| text.split(' ').next()?.parse().ok());
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    nanoseconds.map_or_else(|| BEGIN.elapsed(), Duration::from_nanos)
}

/// Prints how long a person waits for the next record and the one before; the bounds are those of somebody whose
/// machine does nothing else, times five.
#[test]
fn going_from_record_to_record_is_quick() {
    let version = KernelVersion::V5_4;
    for (machine, bound) in [(Machine::embedded(version), 20), (large(version), 200)] {
        let mut session = Session::new(Lab::boot(&machine).k, "a machine");
        session.line(":break pci_free_irq");
        let stopped = session.line(RESET).text;
        assert!(stopped.starts_with("breakpoint 1"), "{stopped}");
        session.line(":delete");
        let (mut worst, mut moves, mut most) = (Duration::ZERO, 0, 0);
        for forward in [true, false] {
            for _ in 0..400 {
                let start = worked();
                let moved = if forward { session.forward().is_ok() } else { session.backward().is_ok() };
                worst = worst.max(worked() - start);
                moves += usize::from(moved);
                most = most.max(session.view().progress.1);
            }
        }
        println!("{moves} moves, steps of up to {most} records: {worst:?} at worst");
        assert!(worst < Duration::from_millis(5 * bound), "{worst:?}");
    }
}
