//! What the real system's /proc says of a process that asks something of the machine.

use std::fs;

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
