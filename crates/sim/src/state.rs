//! What a state shows: the virtual files that a capture reads, one after the other.

use core::fmt::Write as _;

use kstate::{Kernel, PciDevId};

use crate::vfs;

/// Which files a state shows beside the interrupts.
///
/// A capture reads the interrupts at every state, and where it asks what kind of machine this is
/// also the topology and the queue maps of the disks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Sections {
    /// `topology/thread_siblings_list` of every CPU, and the nodes.
    pub topology: bool,
    /// `mq/N/cpu_list` of every disk.
    pub queues: bool,
}

impl Sections {
    /// The sections that `text`, a state taken before, has.
    pub fn of(text: &str) -> Self {
        let has = |part: &str| text.lines().any(|l| l.starts_with("=== ") && l.contains(part));
        Self { topology: has("/topology/"), queues: has("/mq/") }
    }
}

/// The paths a state reads, in order.
fn paths(k: &mut Kernel, sections: Sections) -> Vec<String> {
    let mut paths = Vec::new();
    if sections.topology {
        for cpu in k.topo.online.iter() {
            paths.push(format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"));
        }
        for node in 0..k.topo.nr_node_ids {
            paths.push(format!("/sys/devices/system/node/node{node}/cpulist"));
        }
        paths.push("/sys/devices/system/node/possible".to_owned());
    }
    paths.push("/proc/interrupts".to_owned());
    for file in ["online", "present", "possible"] {
        paths.push(format!("/sys/devices/system/cpu/{file}"));
    }
    paths.push("/sys/kernel/debug/irq/domains/VECTOR".to_owned());
    for irq in vfs::list(k, "/proc/irq").unwrap_or_default() {
        if irq.parse::<u32>().is_err() {
            continue;
        }
        for file in ["smp_affinity_list", "effective_affinity_list", "affinity_hint", "node"] {
            paths.push(format!("/proc/irq/{irq}/{file}"));
        }
        // The serial ports carry the capture out: their debugfs text would show the reader.
        if !matches!(irq.as_str(), "3" | "4") {
            paths.push(format!("/sys/kernel/debug/irq/irqs/{irq}"));
        }
    }
    if sections.queues {
        for disk in vfs::list(k, "/sys/block").unwrap_or_default() {
            for queue in vfs::list(k, &format!("/sys/block/{disk}/mq")).unwrap_or_default() {
                paths.push(format!("/sys/block/{disk}/mq/{queue}/cpu_list"));
            }
        }
    }
    paths
}

/// The text of a state: every file under a line with its path.
pub fn text(k: &mut Kernel, sections: Sections) -> String {
    let mut out = String::new();
    for path in paths(k, sections) {
        if let Ok(text) = vfs::read(k, &path) {
            let _ = write!(out, "=== {path}\n{text}");
        }
    }
    out
}

/// The MSI-X tables of all functions, as the devices hold them.
pub fn msix_text(k: &Kernel) -> String {
    let mut out = String::new();
    for (dev, pci) in k.pci.devs.iter().enumerate() {
        for line in pcimsi::hw::msix::msix_table_text(k, PciDevId(dev as u32)) {
            let _ = writeln!(out, "{} {line}", pci.name());
        }
    }
    out
}
