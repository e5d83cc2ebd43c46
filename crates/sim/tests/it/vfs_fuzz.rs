//! Random paths and texts, written and read: errors, but no panic, and the invariants hold.

use kstate::Kernel;
use kstate::semantics::KernelVersion;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;
use sim::vfs;

const ROUNDS: u32 = 1500;

const TEXTS: [&str; 34] = [
    "",
    "0",
    "1",
    "2",
    "-1",
    "99",
    "0-3",
    "3-0",
    "1,2",
    "1,,2",
    "0-999",
    "ff",
    "0xff",
    "ffffffff",
    "gg",
    "f,f",
    "64",
    "4294967295",
    "4294967296",
    "99999999999999999999999",
    "nop",
    "function",
    "function_graph",
    "irq_*",
    "!irq_*",
    "*",
    "0000:00:03.0",
    "0000:00:04.0",
    "0000:00:99.9",
    "on",
    "off",
    "\u{1F980}",
    "a\nb",
    "all",
];

/// Every file and directory there is, as `ls` finds them.
fn tree(k: &Kernel, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    // What a link leads to has a path of its own.
    if vfs::is_link(k, path) {
        return;
    }
    for name in vfs::list(k, path).unwrap_or_default() {
        tree(k, &format!("{}/{name}", path.trim_end_matches('/')), found);
    }
}

fn mutated(rng: &mut ChaCha8Rng, path: &str) -> String {
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    let at = rng.random_range(0..parts.len());
    match rng.random_range(0..6) {
        0 => {
            parts[at] =
                ["..", ".", "", "99", "4294967296", "cpu99", "nvme9", "x"].choose(rng).unwrap().to_string()
        }
        1 => parts.push("x".to_owned()),
        2 => {
            parts.remove(at);
        }
        3 => parts[at].push('\u{e9}'),
        _ => {}
    }
    parts.join("/")
}

#[test]
fn every_file_that_is_listed_can_be_asked_for() {
    for &version in KernelVersion::ALL {
        let lab = Lab::boot(&Machine::embedded(version));
        let mut paths = Vec::new();
        tree(&lab.k, "/", &mut paths);
        assert!(paths.len() > 300, "{}", paths.len());
        for path in paths {
            let listed = vfs::list(&lab.k, &path);
            let read = vfs::read(&lab.k, &path);
            match (&listed, &read) {
                (Ok(_), Err(kstate::Errno::EISDIR)) => {}
                (Err(kstate::Errno::ENOTDIR), Ok(_) | Err(kstate::Errno::EACCES | kstate::Errno::EINVAL)) => {
                }
                _ => panic!("{path}: {listed:?} {read:?}"),
            }
        }
    }
}

#[test]
fn nothing_that_is_written_or_read_panics() {
    for (seed, version) in [(1, KernelVersion::V5_4), (2, KernelVersion::V6_12)] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut lab = Lab::boot(&Machine::embedded(version));
        let mut paths = Vec::new();
        tree(&lab.k, "/", &mut paths);
        for round in 0..ROUNDS {
            if round % 100 == 0 {
                paths.clear();
                tree(&lab.k, "/", &mut paths);
            }
            let path = paths.choose(&mut rng).unwrap().clone();
            let path = mutated(&mut rng, &path);
            // What the buffer of the tracer holds grows with everything that is done.
            if rng.random_bool(0.5) && !path.ends_with("/trace") {
                let _ = vfs::read(&lab.k, &path);
                let _ = vfs::list(&lab.k, &path);
                continue;
            }
            let text = TEXTS.choose(&mut rng).unwrap();
            let line = format!("echo '{text}' > '/{}'", path.trim_start_matches('/'));
            let before = lab.k.clone();
            // Words with a line's end are no script, but a write all the same.
            let Ok(script) = Script::parse("fuzz", &line) else {
                let _ = vfs::write(&mut lab.k, &path, text);
                continue;
            };
            lab.run_each(&script, |_| {}, |_, _| {});
            assert_eq!(check_invariants(&lab.k), Ok(()), "{line}");
            if lab.terminal.drain(..).any(|l| l.contains("No such file") || l.contains("Permission denied")) {
                assert!(lab.k.irq == before.irq && lab.k.topo == before.topo, "{line} changed the machine");
            }
        }
    }
}

#[test]
fn bad_input_is_answered_with_the_kernels_words() {
    let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    // tracing_set_tracer() gives the buffer its size before it looks at the name, the first time.
    let first = Script::parse("sh", "echo nop > /sys/kernel/tracing/current_tracer").unwrap();
    lab.run_each(&first, |_| {}, |_, _| {});
    let mut check = |line: &str, expect: &str| {
        let before = lab.k.clone();
        lab.run_each(&Script::parse("sh", line).unwrap(), |_| {}, |_, _| {});
        assert_eq!(
            lab.terminal.drain(..).collect::<Vec<_>>().join("|"),
            format!("sh: line 1: {expect}"),
            "{line}"
        );
        assert!(
            lab.k.irq == before.irq
                && lab.k.topo == before.topo
                && lab.k.hw == before.hw
                && lab.k.tracing == before.tracing
        );
    };
    check(
        "echo 0 > /sys/devices/system/cpu/cpu99/online",
        "can't create /sys/devices/system/cpu/cpu99/online: No such file or directory",
    );
    check("echo x > /sys/devices/system/cpu/cpu3/online", "write error: Invalid argument");
    check(
        "echo 0 > /sys/devices/system/cpu/cpu0/online",
        "can't create /sys/devices/system/cpu/cpu0/online: Permission denied",
    );
    check(
        "echo 1 > /sys/devices/system/cpu/online",
        "can't create /sys/devices/system/cpu/online: Permission denied",
    );
    check("echo 1 > /proc/interrupts", "write error: Input/output error");
    check("echo 1 > /proc/nothing", "can't create /proc/nothing: No such file or directory");
    check("echo 1 > /sys/kernel", "can't create /sys/kernel: Is a directory");
    check("echo 1 > /proc/interrupts/x", "can't create /proc/interrupts/x: Not a directory");
    check("cat /proc/nothing", "cat: /proc/nothing: No such file or directory");
    check("cat /proc/irq", "cat: /proc/irq: Is a directory");
    check("ls /nothing", "ls: cannot access '/nothing': No such file or directory");
    check("taskset -c 99 cat /proc/interrupts", "taskset: failed to set affinity: Invalid argument");
    check("echo what > /sys/kernel/tracing/current_tracer", "write error: Invalid argument");
    check("echo 2 > /sys/kernel/tracing/events/enable", "write error: Invalid argument");
    check("echo no_such > /sys/kernel/tracing/set_ftrace_filter", "write error: Invalid argument");
    check("cat /sys/kernel/tracing/trace_marker", "cat: /sys/kernel/tracing/trace_marker: Invalid argument");
    check("echo 0000:00:99.0 > /sys/bus/pci/drivers/nvme/bind", "write error: No such device");
    check("echo zz > /proc/irq/1/smp_affinity", "write error: Invalid argument");
}
