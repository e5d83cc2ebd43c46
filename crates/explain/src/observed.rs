//! What the embedded machine does with a function or a tracepoint, on each kernel.

use std::collections::BTreeSet;

use kstate::semantics::KernelVersion;
use petgraph::Direction;
use record::formats::{Slice, graph};
use record::functions::Functions;
use record::stacks;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

use crate::source::places;
use crate::{Note, flags};

/// What the embedded machine does so that there is something to see: a read, a CPU that goes and
/// comes back, a reset, and the driver's farewell.
const SCRIPT: &str = "\
taskset -c 3 dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=1 iflag=direct
echo 0 > /sys/devices/system/cpu/cpu3/online
sleep 1
echo 1 > /sys/devices/system/cpu/cpu3/online
sleep 1
echo 1 > /sys/class/nvme/nvme0/reset_controller
sleep 1
echo 0000:00:03.0 > /sys/bus/pci/drivers/nvme/unbind
sleep 1
";

/// A machine that ran.
pub struct Ran {
    lab: Lab,
    /// Which functions changed which flags.
    changes: flags::Changes,
}

/// The embedded machine under each kernel, after the script.
pub fn all() -> Vec<Ran> {
    KernelVersion::ALL.iter().map(|version| ran(*version)).collect()
}

fn ran(version: KernelVersion) -> Ran {
    let mut lab = Lab::boot(&Machine::embedded(version));
    flags::watch(&mut lab.k);
    if let Ok(script) = Script::parse("explain", SCRIPT) {
        lab.run_each(&script, |_| {}, |_, _| {});
    }
    let changes = flags::seen(&mut lab.k);
    Ran { lab, changes }
}

fn join<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Where a function is in each kernel, who called it and what it called and changed.
pub fn function(name: &str, labs: &[Ran]) -> Vec<Note> {
    let mut notes = Vec::new();
    for Ran { lab, changes } in labs {
        let version = lab.k.sem.version;
        let found = places(version, name);
        if found.is_empty() {
            notes.push(Note::new(version, "there is none in this kernel"));
            continue;
        }
        let at: Vec<String> = found.iter().map(|place| format!("{}:{}", place.file, place.line)).collect();
        let in_scope = Functions::of(version).get(name);
        let unseen =
            if in_scope.is_some_and(|f| !f.traceable) { ", which its tracer does not show" } else { "" };
        let mut note = Note::new(version, format!("{}{unseen}", at.join(", ")));
        let records = 0..lab.k.trace.records.len();
        let slice = Slice { trace: &lab.k.trace, records, functions: lab.functions() };
        let calls = graph::calls(&slice);
        let Some(node) = calls.node_indices().find(|n| calls[*n].0[0] == name) else {
            if in_scope.is_some_and(|f| f.traceable) {
                note.line("", "not called when the embedded machine runs");
            }
            notes.push(note);
            continue;
        };
        for (label, direction) in [("called by", Direction::Incoming), ("calls", Direction::Outgoing)] {
            let names: BTreeSet<&str> =
                calls.neighbors_directed(node, direction).map(|n| calls[n].0[0].as_str()).collect();
            if !names.is_empty() {
                note.line(label, join(names));
            }
        }
        let changed = changes.get(name).cloned().unwrap_or_default();
        for (label, flags) in [("sets", changed.set), ("clears", changed.cleared)] {
            if !flags.is_empty() {
                note.line(label, join(flags));
            }
        }
        notes.push(note);
    }
    notes
}

/// In which functions a tracepoint fires in each kernel, and what it says there.
pub fn tracepoint(name: &str, labs: &[Ran]) -> Vec<Note> {
    let mut notes = Vec::new();
    for Ran { lab, .. } in labs {
        let fired = stacks::reaching(&lab.k.trace, name, lab.functions());
        let mut from: Vec<&str> = Vec::new();
        for stack in &fired {
            if let Some(function) = stack.frames.first()
                && !from.contains(&&**function)
            {
                from.push(function);
            }
        }
        let version = lab.k.sem.version;
        match fired.first().and_then(|s| s.fired.first()) {
            None => notes.push(Note::new(version, "does not fire when the embedded machine runs")),
            Some(example) => {
                let mut note = Note::new(version, format!("in {}", join(from)));
                note.line("", example.to_string());
                notes.push(note);
            }
        }
    }
    notes
}
