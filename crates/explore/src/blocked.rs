//! Says which task waits for which, when nothing more can happen.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use kstate::sched::{Task, TaskKind, TaskState, WaitOn};
use kstate::{Kernel, TaskId};

use super::World;

/// Functions below which a task holds the CPU hotplug lock.
const LOCKED: [&str; 2] = ["_cpu_down", "_cpu_up"];
/// Functions that a task is in while it still waits for the lock.
const LOCKING: [&str; 2] = ["cpus_write_lock", "cpu_maps_update_begin"];
/// Functions below which a task holds the lock of a device.
const BINDING: [&str; 2] = ["device_driver_attach", "device_release_driver"];

fn is_waiting(task: &Task) -> Option<WaitOn> {
    match task.state {
        TaskState::Waiting(on) => Some(on),
        _ => None,
    }
}

/// Its stack, outermost function first.
fn stack(task: &Task) -> String {
    let all = || task.frames.iter().map(|frame| &frame.code.meta);
    let names: Vec<&str> = all().filter(|meta| !meta.part).map(|meta| meta.name).collect();
    // A command that has called nothing yet is named itself.
    if names.is_empty() {
        all().map(|meta| meta.name).collect::<Vec<_>>().join(" > ")
    } else {
        names.join(" > ")
    }
}

fn within(task: &Task, functions: &[&str]) -> bool {
    task.frames.iter().any(|frame| functions.contains(&frame.code.meta.name))
}

/// The tasks that could end what a task waits for.
fn holders(k: &Kernel, on: WaitOn) -> Vec<TaskId> {
    let tasks = k.sched.tasks.iter().enumerate();
    let those = |wanted: &dyn Fn(&Task) -> bool| -> Vec<TaskId> {
        let alive = tasks.clone().filter(|(_, task)| !matches!(task.state, TaskState::Done(_)));
        alive.filter(|(_, task)| wanted(task)).map(|(id, _)| TaskId(id as u32)).collect()
    };
    match on {
        WaitOn::Exit(task) => vec![task],
        WaitOn::HotplugLock => those(&|task| within(task, &LOCKED) && !within(task, &LOCKING)),
        WaitOn::Cpuhp(cpu) => {
            those(&|task| matches!(task.kind, TaskKind::Cpuhp(c) | TaskKind::Idle(c) if c == cpu))
        }
        WaitOn::StopMachine => those(&|task| matches!(task.kind, TaskKind::Migration(_))),
        WaitOn::DeviceLock(_) => those(&|task| within(task, &BINDING) && !within(task, &["device_lock"])),
        WaitOn::Threads(irq) => {
            those(&|task| task.kind == TaskKind::IrqThread(irq) || within(task, &["__free_irq"]))
        }
        WaitOn::Until(_)
        | WaitOn::Request(_)
        | WaitOn::Driver(..)
        | WaitOn::IrqThread(_)
        | WaitOn::Tag(..)
        | WaitOn::Unfrozen(_)
        | WaitOn::Drained(_) => Vec::new(),
    }
}

/// The tasks that hang, what each waits for, and the circle they wait in if they do.
pub fn wait_for(world: &World) -> String {
    let k = &world.k;
    let mut edges: BTreeMap<TaskId, Vec<TaskId>> = BTreeMap::new();
    let mut text = String::new();
    for (id, task) in k.sched.tasks.iter().enumerate() {
        let idle = matches!(task.kind, TaskKind::IrqThread(_));
        let spins = task.state == TaskState::Spinning;
        let Some(on) = is_waiting(task) else {
            if spins {
                let _ = write!(text, "task {id} ({}) spins; ", stack(task));
            }
            continue;
        };
        if idle && matches!(on, WaitOn::IrqThread(_)) {
            continue;
        }
        edges.insert(TaskId(id as u32), holders(k, on));
        let _ = write!(text, "task {id} ({}) waits for {}; ", stack(task), k.wait_name(on));
    }
    for (cpu, hardirq) in &k.sched.hardirqs {
        let names: Vec<&str> = hardirq.frames.iter().map(|frame| frame.code.meta.name).collect();
        let _ = write!(text, "CPU {cpu} is in {}; ", names.join(" > "));
    }
    match circle(&edges) {
        Some(tasks) => {
            let names: Vec<String> = tasks.iter().map(|task| task.0.to_string()).collect();
            let _ = write!(text, "the circle: task {}", names.join(" waits for task "));
        }
        None => text.push_str("nothing is left that could end this"),
    }
    text
}

/// A circle among the edges, its first task repeated at the end.
fn circle(edges: &BTreeMap<TaskId, Vec<TaskId>>) -> Option<Vec<TaskId>> {
    for &from in edges.keys() {
        let mut path = vec![from];
        let mut at = from;
        while let Some(next) = edges.get(&at).and_then(|to| to.iter().find(|t| edges.contains_key(t))) {
            if let Some(begin) = path.iter().position(|t| t == next) {
                path.push(*next);
                return Some(path.split_off(begin));
            }
            path.push(*next);
            at = *next;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_named_and_a_line_is_not() {
        let edges = |list: &[(u32, u32)]| -> BTreeMap<TaskId, Vec<TaskId>> {
            list.iter().map(|&(from, to)| (TaskId(from), vec![TaskId(to)])).collect()
        };
        assert_eq!(circle(&edges(&[(1, 2), (2, 3)])), None);
        let found = circle(&edges(&[(1, 2), (2, 3), (3, 2)])).unwrap();
        assert_eq!(found, [TaskId(2), TaskId(3), TaskId(2)]);
    }
}
