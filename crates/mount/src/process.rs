//! What the real system's /proc says of a process that asks something of the machine.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The variable of a process's environment that says on which CPU of the machine it runs.
pub const CPU: &str = "IRQLAB_CPU";

/// A signal is pending that the process does not block, or it is gone.
pub(crate) fn has_signal(pid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return true };
    let mask = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":"));
        value.and_then(|value| u64::from_str_radix(value.trim(), 16).ok()).unwrap_or(0)
    };
    let ignored = mask("SigBlk") | mask("SigIgn");
    // SIGCHLD and SIGWINCH interrupt nothing that people wait for.
    let harmless = 1 << (17 - 1) | 1 << (28 - 1);
    (mask("SigPnd") | mask("ShdPnd")) & !ignored & !harmless != 0
}

/// The CPU of the machine on which `taskset` has put the process.
pub(crate) fn cpu(pid: u32) -> Option<u32> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = environment
        .split(|&b| b == 0)
        .find_map(|entry| entry.strip_prefix(CPU.as_bytes())?.strip_prefix(b"="))?;
    core::str::from_utf8(value).ok()?.parse().ok()
}

/// Programs that work on the machine: the processes below one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Programs {
    root: u32,
}

/// What they were seen to do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Seen {
    /// Each thread, and the ns for which it has had a CPU.
    threads: Vec<(u32, u64)>,
    /// One of them computes, or waits for a disk of the real system.
    works: bool,
}

impl Seen {
    fn spent(&self) -> u64 {
        self.threads.iter().map(|(_, ns)| ns).sum()
    }
}

/// How long programs may compute until the machine goes on nevertheless, in ns of their CPUs, and by a clock.
const COMPUTES: u64 = 100_000_000;
const LONGEST: Duration = Duration::from_secs(2);
/// Between two looks at them.
const BETWEEN: Duration = Duration::from_micros(200);

impl Programs {
    /// Those of a process and of all that it has started.
    pub(crate) fn below(root: u32) -> Self {
        Self { root }
    }

    /// Waits until each of them waits for something. Who computes for long is not waited for.
    pub(crate) fn wait_until_they_rest(self) {
        let start = Instant::now();
        let first = self.see();
        let mut last = first.clone();
        // One who was asleep when it was looked at can have been woken by another one that was looked at later. So they rest
        // when they are asleep twice, and nobody had a CPU in between.
        loop {
            let now = self.see();
            if !last.works && last == now {
                return;
            }
            let spent = now.spent().saturating_sub(first.spent());
            if spent > COMPUTES || start.elapsed() > LONGEST {
                return;
            }
            if now.works {
                std::thread::sleep(BETWEEN);
            }
            last = now;
        }
    }

    fn see(self) -> Seen {
        let mut seen = Seen::default();
        // What a program asks for is on its way as long as a thread of this program works, other than this one.
        if let Ok(own) = fs::read_link("/proc/thread-self") {
            threads(Path::new("/proc/self"), |thread| {
                if thread.file_name() != own.file_name() {
                    seen.works |= works(thread);
                }
            });
        }
        let mut left = vec![self.root];
        while let Some(pid) = left.pop() {
            threads(Path::new(&format!("/proc/{pid}")), |thread| {
                seen.works |= works(thread);
                let id = thread.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(0);
                let times = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
                let ns = times.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
                seen.threads.push((id, ns));
                let children = fs::read_to_string(thread.join("children")).unwrap_or_default();
                left.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
            });
        }
        seen
    }
}

/// The threads of a process, as folders of /proc.
fn threads(process: &Path, mut each: impl FnMut(&Path)) {
    for thread in fs::read_dir(process.join("task")).into_iter().flatten().flatten() {
        each(&thread.path());
    }
}

/// The thread runs, is about to, or waits for a disk.
fn works(thread: &Path) -> bool {
    let stat = fs::read_to_string(thread.join("stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    matches!(state, Some('R' | 'D'))
}
