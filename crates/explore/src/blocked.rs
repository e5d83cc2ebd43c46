//! Says which task waits for which: when nothing more can happen, and where tasks wait in a circle although others go on.
//!
//! A task waits for what only certain others can bring about: a lock for its owner, a request that is not with the
//! device for the reset that holds it back. Where that is not known, or a device or the clock can end a wait, nothing
//! is claimed. So the tasks of a circle can never go on, whatever else happens.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use kstate::blk::RqState;
use kstate::hotplug::CpuhpNode;
use kstate::sched::{Slot as _, Task, TaskKind, TaskState, WaitOn};
use kstate::{Kernel, QueueId, ReqId, TaskId};

use super::World;

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

/// The function that a task sleeps in.
fn innermost(task: &Task) -> &'static str {
    task.frames.last().map_or("", |frame| frame.code.meta.name)
}

/// Of these tasks one has to go on.
type OneOf = Vec<TaskId>;

/// The tasks of a kind that have something to do, but one.
fn alive(k: &Kernel, but: TaskId, wanted: impl Fn(TaskKind) -> bool) -> OneOf {
    let tasks = (0..).map(TaskId).zip(&k.sched.tasks);
    let alive = tasks.filter(|(id, task)| *id != but && !matches!(task.state, TaskState::Done(_)));
    alive.filter(|(_, task)| wanted(task.kind)).map(|(id, _)| id).collect()
}

/// The work that brings the queues of a controller back after it has stopped them, if a request queue is one of them.
fn resets(k: &Kernel, q: QueueId) -> Option<TaskId> {
    let set = k.blk.find_q(q)?.tag_set;
    let dev = k.nvme.devs.iter().find(|dev| dev.tagset == Some(set))?;
    k.work(dev.reset_work).worker
}

/// Who has to go on before a request ends; `None` if the device can end it, or somebody unknown.
fn ends_request(k: &Kernel, rq: ReqId) -> Option<TaskId> {
    let request = k.blk.requests.get(rq)?;
    let held = request.state == RqState::Idle && k.blk.find_q(request.q)?.quiesced;
    resets(k, request.q).filter(|_| held)
}

/// The requests that a CPU waits for before it goes.
fn drained(k: &Kernel, task: &Task) -> Vec<ReqId> {
    let node = task.frames.last().and_then(|frame| frame.args().get(1).copied());
    let Some((q, hctx)) = node.map(|word| CpuhpNode::from_slot(word).hctx()) else { return Vec::new() };
    let Some(queue) = k.blk.find_q(q) else { return Vec::new() };
    let tags = k.blk.set(queue.tag_set).tags.get(hctx as usize);
    let all = tags.into_iter().flat_map(|tags| tags.rqs.values().copied());
    all.filter(|rq| k.blk.requests.get(*rq).is_some_and(|request| request.q == q)).collect()
}

/// What has to happen before a task goes on: of each of these lists, somebody has to. A task for which nothing is known
/// has none.
fn needs(k: &Kernel, id: TaskId) -> Vec<OneOf> {
    let task = &k.sched.tasks[id.index()];
    let Some(on) = is_waiting(task) else { return Vec::new() };
    let owner = |owner: Option<TaskId>| owner.map(|owner| vec![owner]).into_iter().collect();
    match on {
        WaitOn::Exit(task) => vec![vec![task]],
        WaitOn::HotplugLock => match innermost(task) {
            "cpu_maps_update_begin" => owner(k.hotplug.cpu_add_remove_lock.owner()),
            "cpus_write_lock" | "cpus_read_lock" => owner(k.hotplug.cpu_hotplug_lock.owner()),
            _ => Vec::new(),
        },
        WaitOn::DeviceLock(dev) => owner(k.pci_dev(dev).device_lock.owner()),
        WaitOn::Driver(dev, _) if innermost(task) == "lock_shutdown" => {
            let dev = k.nvme.devs.iter().find(|nvme| nvme.dev == dev);
            owner(dev.and_then(|dev| dev.shutdown_lock.owner()))
        }
        // The thread of the CPU, or the one that waits for it.
        WaitOn::Cpuhp(cpu) if !matches!(task.kind, TaskKind::Cpuhp(_) | TaskKind::Idle(_)) => {
            let its = |kind| kind == TaskKind::Cpuhp(cpu) || kind == TaskKind::Idle(cpu);
            vec![alive(k, id, its)]
        }
        WaitOn::Cpuhp(_) => owner(k.hotplug.cpu_hotplug_lock.owner()),
        WaitOn::Threads(irq) => vec![alive(k, id, |kind| kind == TaskKind::IrqThread(irq))],
        WaitOn::Request(rq) => owner(ends_request(k, rq)),
        // It looks again and again.
        WaitOn::Until(_) if innermost(task) == "blk_mq_hctx_notify_offline" => {
            let requests = drained(k, task);
            requests.into_iter().filter_map(|rq| ends_request(k, rq)).map(|task| vec![task]).collect()
        }
        WaitOn::Until(_)
        | WaitOn::Driver(..)
        | WaitOn::IrqThread(_)
        | WaitOn::StopMachine
        | WaitOn::Tag(..)
        | WaitOn::Unfrozen(_)
        | WaitOn::Drained(_) => Vec::new(),
    }
}

/// Of all that wait, those that can never go on, and for each of them one that it waits for and that cannot either.
fn stuck(waits: &BTreeMap<TaskId, Vec<OneOf>>) -> BTreeMap<TaskId, TaskId> {
    let mut left: BTreeSet<TaskId> = waits.keys().copied().collect();
    loop {
        let next = |task: &TaskId| {
            let none = |some: &&OneOf| !some.is_empty() && some.iter().all(|task| left.contains(task));
            waits.get(task)?.iter().find(none)?.first().copied()
        };
        let stuck: BTreeMap<TaskId, TaskId> =
            left.iter().filter_map(|task| Some((*task, next(task)?))).collect();
        if stuck.len() == left.len() {
            return stuck;
        }
        left = stuck.into_keys().collect();
    }
}

/// The circle that a task comes to, its first task repeated at the end.
fn circle(stuck: &BTreeMap<TaskId, TaskId>) -> Option<Vec<TaskId>> {
    let mut path = vec![*stuck.keys().next()?];
    loop {
        let next = stuck.get(path.last()?)?;
        let begin = path.iter().position(|task| task == next);
        path.push(*next);
        if let Some(begin) = begin {
            return Some(path.split_off(begin));
        }
    }
}

/// The circle in which tasks wait, if there is one.
fn waits_in_circle(k: &Kernel) -> Option<Vec<TaskId>> {
    let waiting = (0..).map(TaskId).zip(&k.sched.tasks).filter(|(_, task)| is_waiting(task).is_some());
    circle(&stuck(&waiting.map(|(id, _)| (id, needs(k, id))).collect()))
}

/// What a task waits for, in words.
fn waits(k: &Kernel, id: TaskId) -> String {
    let task = &k.sched.tasks[id.index()];
    let on = is_waiting(task).map(|on| k.wait_name(on)).unwrap_or_default();
    match (needs(k, id).is_empty(), task.state) {
        (false, TaskState::Waiting(WaitOn::Until(_))) => "requests that are held back".to_owned(),
        _ => on,
    }
}

/// Who waits in a circle, and for what; `None` if nobody does. It costs next to nothing where nobody waits for a lock.
pub fn waits_for_itself(k: &Kernel) -> Option<String> {
    let is_lock =
        |on: &WaitOn| matches!(on, WaitOn::HotplugLock | WaitOn::DeviceLock(_) | WaitOn::Driver(..));
    if !k.sched.waiters.keys().any(is_lock) {
        return None;
    }
    let tasks = waits_in_circle(k)?;
    let mut text = String::new();
    for task in tasks.iter().skip(1) {
        let stack = stack(&k.sched.tasks[task.index()]);
        let _ = write!(text, "task {} ({stack}) waits for {}; ", task.0, waits(k, *task));
    }
    text.push_str(&words(&tasks));
    Some(text)
}

fn words(circle: &[TaskId]) -> String {
    let names: Vec<String> = circle.iter().map(|task| task.0.to_string()).collect();
    format!("the circle: task {}", names.join(" waits for task "))
}

/// The tasks that hang, what each waits for, and the circle they wait in if they do.
pub fn wait_for(world: &World) -> String {
    let k = &world.k;
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
        let _ = write!(text, "task {id} ({}) waits for {}; ", stack(task), k.wait_name(on));
    }
    for (cpu, hardirq) in k.sched.hardirqs.iter() {
        let names: Vec<&str> = hardirq.frames.iter().map(|frame| frame.code.meta.name).collect();
        let _ = write!(text, "CPU {cpu} is in {}; ", names.join(" > "));
    }
    match waits_in_circle(k) {
        Some(tasks) => text.push_str(&words(&tasks)),
        None => text.push_str("nothing is left that could end this"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tasks, and of which lists they need one each.
    fn waits(list: &[(u32, &[&[u32]])]) -> BTreeMap<TaskId, Vec<OneOf>> {
        let tasks = |some: &&[u32]| some.iter().copied().map(TaskId).collect();
        list.iter().map(|(id, needs)| (TaskId(*id), needs.iter().map(tasks).collect())).collect()
    }

    #[test]
    fn a_circle_is_named_and_a_line_is_not() {
        assert_eq!(circle(&stuck(&waits(&[(1, &[&[2]]), (2, &[&[3]])]))), None);
        let found = circle(&stuck(&waits(&[(1, &[&[2]]), (2, &[&[3]]), (3, &[&[2]])]))).unwrap();
        assert_eq!(found, [TaskId(2), TaskId(3), TaskId(2)]);
    }

    #[test]
    fn who_can_be_helped_by_another_is_in_no_circle() {
        // 2 needs 1 or 5, and 5 runs.
        assert!(stuck(&waits(&[(1, &[&[2]]), (2, &[&[1, 5]])])).is_empty());
        // 2 needs both: 1 is enough to hold it up.
        assert_eq!(stuck(&waits(&[(1, &[&[2]]), (2, &[&[5], &[1]])])).len(), 2);
        // Nobody knows what 2 needs.
        assert!(stuck(&waits(&[(1, &[&[2]]), (2, &[])])).is_empty());
        // Nobody is left who could do it, but perhaps somebody comes.
        assert!(stuck(&waits(&[(1, &[&[]])])).is_empty());
    }
}
