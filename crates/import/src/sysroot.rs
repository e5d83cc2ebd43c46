//! The emulated /proc and /sys as files: what `lscpu --sysroot`, `lsirq --input` and import read.
//!
//! They are those that `sim::vfs` has, so that a program reads the same text here and in `irqlab mount`.

use kstate::semantics::Semantics;
use kstate::{Kernel, PciDevId};
use sim::machine::{Found, Machine};
use sim::vfs::{self, attributes};

use crate::tree::{Entry, FEATURES};

/// Folders that are left out: the tracer's and the test module's files are there to be written, and say nothing of the machine.
const LEFT_OUT: [&str; 3] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing", "/sys/kernel/debug/irqlab"];

/// What a machine's hardware, its command line and its drivers' queues look like in /proc and /sys, without anything
/// of its interrupts.
pub(crate) fn hardware(machine: Machine) -> Vec<(String, Entry)> {
    let kernel = machine.kernel;
    let machine =
        Machine { boot_vectors: Vec::new(), boot_interrupts: Vec::new(), found: Found::default(), ..machine };
    let k = sim::boot::boot(&machine, Semantics::of(kernel), false);
    let of_interrupts = |path: &str| {
        let parts = ["proc/interrupts", "proc/irq", "proc/stat", "sys/kernel"];
        parts.iter().any(|part| path.starts_with(part)) || path.contains("/msi_irqs/")
    };
    files(&k).into_iter().filter(|(path, _)| !of_interrupts(path)).collect()
}

/// Files and links of a machine that runs, by path without a slash in front. Folders have no entry, and a file that can
/// only be written is not there. What a controller grants is beside them, as `nvme get-feature` says it.
pub fn files(k: &Kernel) -> Vec<(String, Entry)> {
    let mut out = Vec::new();
    for folder in ["/proc", "/sys"] {
        walk(k, folder, &mut out);
    }
    for ctrl in k.nvme.devs.iter().filter(|ctrl| ctrl.bound) {
        if let Some(pairs) = granted(k, ctrl.dev) {
            let value = (pairs - 1) << 16 | (pairs - 1);
            let text = format!("get-feature:0x07 (Number of Queues), Current value:{value:#010x}\n");
            out.push((
                format!("{FEATURES}/nvme{}", ctrl.instance),
                Entry::File(text.into_bytes(), Some(0o444)),
            ));
        }
    }
    out
}

/// Everything below a folder.
fn walk(k: &Kernel, folder: &str, out: &mut Vec<(String, Entry)>) {
    for name in vfs::list(k, folder).unwrap_or_default() {
        let path = format!("{folder}/{name}");
        if LEFT_OUT.contains(&&*path) {
            continue;
        }
        if let Ok(to) = vfs::read_link(k, &path) {
            out.push((path[1..].to_owned(), Entry::Link(to)));
            continue;
        }
        match vfs::read_bytes(k, &path) {
            Ok(bytes) => {
                let mode = attributes::attributes(k, &path).ok().map(|found| u32::from(found.mode));
                out.push((path[1..].to_owned(), Entry::File(bytes, mode)));
            }
            Err(kstate::Errno::EISDIR) => walk(k, &path, out),
            // It can only be written.
            Err(_) => {}
        }
    }
}

/// How many pairs of I/O queues a controller grants.
fn granted(k: &Kernel, dev: PciDevId) -> Option<u32> {
    k.hw.nvme.iter().find(|ctrl| ctrl.dev == dev).map(|ctrl| u32::from(ctrl.max_ioqpairs))
}
