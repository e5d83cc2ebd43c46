//! What the kernel logs: kernel/printk/printk.c, lib/ratelimit.c and kernel/panic.c, as far as a line's
//! being there is concerned.
//!
//! # What it doesn't implement
//! Levels, time stamps, and a log that is full.

use core::panic::Location;
use std::collections::{BTreeMap, BTreeSet};

use crate::trace::{What, push};
use crate::{Kernel, PciDevId, VirtioId};

/// `DEFAULT_RATELIMIT_INTERVAL`, 5 * HZ.
const RATELIMIT_INTERVAL_NS: u64 = 5_000_000_000;
/// `DEFAULT_RATELIMIT_BURST`.
pub const RATELIMIT_BURST: u32 = 10;

/// What was said before, where that decides whether it is said again.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Printk {
    /// The places of a `WARN_ON_ONCE()` or `pr_warn_once()` that have spoken.
    once: BTreeSet<&'static Location<'static>>,
    /// `struct ratelimit_state` of each function that has one.
    limits: BTreeMap<&'static str, Ratelimit>,
}

/// `struct ratelimit_state`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Ratelimit {
    begin: u64,
    printed: u32,
    missed: u32,
}

impl Kernel {
    /// `pr_warn()`, `pr_err()` and what else says that something is wrong: a line of the log, counted.
    pub fn pr_warn(&mut self, line: impl Into<String>) {
        self.warnings += 1;
        self.log.push(line.into());
    }

    /// `pr_warn_once()`: the line of the first time.
    #[track_caller]
    pub fn pr_warn_once(&mut self, line: impl Into<String>) {
        if self.printk.once.insert(Location::caller()) {
            self.pr_warn(line);
        }
    }

    /// `pr_warn_ratelimited()` in `func`.
    pub fn pr_warn_ratelimited(&mut self, func: &'static str, line: impl Into<String>) {
        if self.ratelimit(func, RATELIMIT_BURST) {
            self.pr_warn(line);
        }
    }

    /// `___ratelimit()`, lib/ratelimit.c: whether one more line of `func` may be said now.
    pub fn ratelimit(&mut self, func: &'static str, burst: u32) -> bool {
        let now = self.events.now;
        let limit =
            self.printk.limits.entry(func).or_insert(Ratelimit { begin: now, ..Ratelimit::default() });
        if now > limit.begin + RATELIMIT_INTERVAL_NS {
            let missed = core::mem::take(&mut limit.missed);
            *limit = Ratelimit { begin: now, ..Ratelimit::default() };
            if missed != 0 {
                self.log.push(format!("{func}: {missed} callbacks suppressed"));
            }
        }
        let limit = self.printk.limits.entry(func).or_default();
        let speaks = limit.printed < burst;
        if speaks {
            limit.printed += 1;
        } else {
            limit.missed += 1;
        }
        speaks
    }

    /// What `dev_info()` and its like put in front: the driver's name, or the bus's where there is no driver
    /// (`dev_driver_string()`, drivers/base/core.c), and the function's.
    pub fn dev_name(&self, dev: PciDevId) -> String {
        let driver = self.pci_driver_of(dev).map_or("pci", |driver| driver.name);
        let dev = self.pci_dev(dev);
        format!("{driver} {}", dev.name())
    }

    /// The same for a device of the virtio bus.
    pub fn vdev_name(&self, id: VirtioId) -> String {
        let driver = self.virtio.driver(id).map_or("virtio", |driver| driver.name);
        format!("{driver} virtio{}", self.virtio.dev(id).index)
    }

    /// `WARN_ON()`. `at` is `WARNING: at FILE FUNCTION`, of C.
    // DEVIATION: a real kernel says `WARNING: CPU: 0 PID: 1 at FILE:LINE FUNCTION+0x..` with registers and a
    // stack around it. One line stands for all of it, and says neither line nor offset.
    pub fn warn(&mut self, at: &'static str) {
        self.warnings += 1;
        self.log.push(at.to_owned());
        if self.trace.on {
            push(self, What::Warn(at));
        }
    }

    /// `WARN_ON_ONCE()`: counted every time, said the first time.
    #[track_caller]
    pub fn warn_once(&mut self, at: &'static str) {
        if self.printk.once.insert(Location::caller()) {
            self.warn(at);
        } else {
            self.warnings += 1;
        }
    }

    /// `WARN()`: a line of its own above the warning.
    pub fn warn_text(&mut self, line: impl Into<String>, at: &'static str) {
        self.log.push(line.into());
        self.warn(at);
    }

    /// `WARN_ONCE()`.
    #[track_caller]
    pub fn warn_once_text(&mut self, line: impl Into<String>, at: &'static str) {
        if self.printk.once.insert(Location::caller()) {
            self.warn_text(line, at);
        } else {
            self.warnings += 1;
        }
    }

    /// `BUG_ON()`. `at` is `kernel BUG at FILE FUNCTION`.
    // DEVIATION: a BUG_ON ends the task, in an interrupt the machine. Here it is a line, and what the function
    // was about to do has no effect, so that a recording up to that point can be looked at.
    pub fn bug(&mut self, at: &'static str) {
        self.warn(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_is_once_for_each_place() {
        let mut k = Kernel::default();
        for _ in 0..3 {
            k.warn_once("WARNING: at kernel/irq/matrix.c irq_matrix_free");
            k.warn_once_text("text", "WARNING: at kernel/irq/matrix.c irq_matrix_free");
            k.pr_warn_once("once");
        }
        let warning = "WARNING: at kernel/irq/matrix.c irq_matrix_free";
        assert_eq!(*k.log, [warning, "text", warning, "once"]);
        assert_eq!(k.warnings, 7, "every time that a condition held, and every line");
    }

    #[test]
    fn a_burst_is_cut_and_told_later() {
        let mut k = Kernel::default();
        for n in 0..13 {
            k.pr_warn_ratelimited("do_IRQ", format!("{n}"));
            k.pr_warn_ratelimited("another", "x");
        }
        assert_eq!(k.log.len(), 20);
        k.events.now = RATELIMIT_INTERVAL_NS;
        k.pr_warn_ratelimited("do_IRQ", "still too early");
        k.events.now = RATELIMIT_INTERVAL_NS + 1;
        k.pr_warn_ratelimited("do_IRQ", "13");
        assert_eq!(k.log[20..], ["do_IRQ: 4 callbacks suppressed", "13"]);
    }
}
