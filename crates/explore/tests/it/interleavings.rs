//! Small models, explored whole: every order of what the machine leaves open.
//!
//! The numbers are exact. A change of the model that changes them is looked at: which states are new?

use std::ops::ControlFlow;

use std::collections::BTreeSet;

use explore::coverage::{Ended, Seen, StepKind};
use explore::exhaustive::{Bounds, Explored, How, explore, explore_with};
use explore::random::{self, Drawn, Plan, Strategy};
use explore::{Finding, Kind, Schedule, Step, World, shrink};
use kfn::kframe;
use kstate::event::Event;
use kstate::oracle::Point;
use kstate::sched::{Hardirq, TaskKind, TaskState, WaitOn};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::{CpuId, Kernel, TaskId};
use sim::engine;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

use KernelVersion::{V5_4, V6_12, V7_3};

/// A machine, the kernel's command line, and a script.
#[derive(Clone, Copy)]
struct Model {
    cpus: u32,
    cmdline: &'static str,
    device: &'static str,
    script: &'static str,
}

/// An NVMe controller with two I/O queues, whose admin interrupt is 24.
const NVME: &str = "model = \"nvme\"\nio_queue_pairs_max = 2\nmsix_vectors = 3\n";
/// An NVMe controller with a queue for each of three CPUs.
const NVME_3: &str = "model = \"nvme\"\nio_queue_pairs_max = 3\nmsix_vectors = 4\n";
/// An NVMe controller whose queues share one message, interrupt 24, that cannot be masked.
const NVME_MSI: &str =
    "model = \"nvme\"\nio_queue_pairs_max = 1\nmsix_vectors = 0\nmsi_vectors = 1\nmsi_maskable = false\n";
/// A function of the test module with interrupt 24.
const TEST: &str = "model = \"test\"\nmsix_vectors = 1\n";

impl Model {
    const fn new(cpus: u32, device: &'static str, script: &'static str) -> Self {
        Self { cpus, cmdline: "", device, script }
    }

    fn world(&self, semantics: Semantics) -> World {
        self.booted(semantics, false)
    }

    /// One that has recorded since it was switched on.
    fn recorded(&self, semantics: Semantics) -> World {
        self.booted(semantics, true)
    }

    fn booted(&self, semantics: Semantics, recorded: bool) -> World {
        let Self { cpus, cmdline, device, script } = self;
        let text = format!(
            "kernel = \"{}\"
cmdline = \"{cmdline}\"
[cpus]
possible = {cpus}
present = {cpus}
cores_per_socket = {cpus}
[[pci]]
address = \"0000:00:03.0\"
intx_gsi = 23
{device}",
            semantics.version.name()
        );
        let machine = Machine::parse("machine.toml", &text).expect("a machine");
        let lab = Lab::boot_with(&machine, semantics, recorded);
        World::new(lab, &Script::parse("script.sh", script).expect("a script"))
    }
}

/// Explores all of a world and says what was covered and found.
fn whole(root: &World) -> String {
    let explored = explore(root, Bounds::default(), |_| ControlFlow::Continue(()));
    assert!(explored.is_complete());
    let covered = explored.covered;
    let mut text = format!(
        "{} states, {} transitions, {} final, depth {}",
        covered.states, covered.transitions, covered.finals, covered.depth
    );
    for finding in &explored.findings {
        text.push_str(&format!("\n{}: {}: {}", finding.kind.name(), finding.text, finding.schedule));
        // What was found is found again, by the list alone.
        let schedule: Schedule = finding.schedule.to_string().parse().expect("a schedule");
        let again = Finding { schedule, ..finding.clone() }.again(root);
        assert_eq!(again.map(|wrong| wrong.text).as_ref(), Some(&finding.text));
    }
    text
}

/// The models with exact counts.
const SMALL: [(&str, Model); 6] = [
    ("affinity", AFFINITY),
    ("offline", OFFLINE),
    ("two", TWO),
    ("message", MSI),
    ("free", FREE),
    ("late", LATE),
];

/// A reduced search finds what the whole search finds, and comes to the same ends, in fewer steps.
#[test]
fn a_reduced_search_finds_the_same() {
    let kinds = |explored: &Explored| -> BTreeSet<(Kind, String)> {
        let text = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        explored.findings.iter().map(|finding| (finding.kind, text(&finding.text))).collect()
    };
    for kernel in [V5_4, V6_12, V7_3] {
        let mut fewer = 0.0;
        for (name, model) in SMALL {
            let root = model.world(Semantics::of(kernel));
            let [all, few] = [false, true].map(|reduction| {
                explore_with(&root, Bounds::default(), How { jobs: 2, reduction }, |_| {
                    ControlFlow::Continue(())
                })
            });
            fewer += all.covered.transitions as f64 / few.covered.transitions as f64;
            assert!(all.is_complete() && few.is_complete());
            assert_eq!(all.ends, few.ends, "{} {name}", kernel.name());
            assert_eq!(kinds(&all), kinds(&few), "{} {name}", kernel.name());
            for finding in &few.findings {
                assert!(finding.again(&root).is_some(), "{finding:?}");
            }
        }
        // On average over the models.
        assert!(fewer / SMALL.len() as f64 >= 5.0, "{}: {fewer}", kernel.name());
    }
}

/// What a search sees of the functions: those of the model, the more the more it tries, and the same with any number of
/// threads and with fewer steps. What it finds and covers does not change.
#[test]
fn a_search_knows_which_functions_it_has_seen() {
    fn names(seen: Option<&Seen>) -> BTreeSet<&'static str> {
        seen.expect("a world that records").functions().into_keys().map(|(name, _)| name).collect()
    }
    let search = |root: &World, jobs: usize, reduction: bool| {
        explore_with(root, Bounds::default(), How { jobs, reduction }, |_| ControlFlow::Continue(()))
    };
    for kernel in [V5_4, V6_12, V7_3] {
        let plain = AFFINITY.world(Semantics::of(kernel));
        let mut root = AFFINITY.recorded(Semantics::of(kernel));
        let before = root.cover();
        let explored = search(&root, 1, false);
        assert_eq!(search(&root, 3, false), explored, "{} with threads", kernel.name());
        let reduced = search(&root, 2, true);
        assert_eq!(names(reduced.seen.as_ref()), names(explored.seen.as_ref()), "{} reduced", kernel.name());
        assert_eq!(
            search(&plain, 1, false),
            Explored { seen: None, ..explored.clone() },
            "{}",
            kernel.name()
        );
        let (before, seen) = (names(Some(&before)), names(explored.seen.as_ref()));
        assert!(before.contains("request_threaded_irq") && !seen.contains("request_threaded_irq"));
        for known in ["irq_do_set_affinity", "check_irq_resend", "apic_ack_edge"] {
            assert!(seen.contains(known), "{}: {known} of {seen:?}", kernel.name());
        }
        // Nobody reads from the disk, and the old vector stays until an interrupt comes with the new one.
        assert!(!seen.contains("nvme_queue_rq") && !seen.contains("free_moved_vector"));
        let explored = explored.seen.expect("a world that records");
        let ended = explored.functions().into_iter().find(|((name, _), _)| *name == "irq_do_set_affinity");
        assert!(ended.is_some_and(|(_, ended)| ended.contains(&Ended::Zero)));
        for kind in [StepKind::Interrupt, StepKind::InInterrupt, StepKind::Shell] {
            assert!(explored.has_step(kind, false), "{kind:?}");
        }
        assert!(
            explored.has_step(StepKind::Shell, true) && !explored.has_step(StepKind::RequestTimeout, false)
        );
        // One run is a part of it, and which run that is follows from its number alone.
        let plan = |runs| Plan {
            strategy: Strategy::Uniform,
            seed: 1,
            runs,
            shard: 0,
            shards: 1,
            depth: 1000,
            findings: 1,
        };
        let draw = |root: &World, runs, jobs| {
            random::explore_with(root, &plan(runs), jobs, |_| ControlFlow::Continue(()))
        };
        let one = draw(&root, 0..1, 1);
        assert!(names(one.seen.as_ref()).is_subset(&seen));
        let all = draw(&root, 0..40, 1);
        assert_eq!(draw(&root, 0..40, 3), all);
        assert_eq!(draw(&plain, 0..40, 1), Drawn { seen: None, ..all.clone() });
        let mut parts = draw(&root, 0..15, 1).seen.expect("a part");
        parts.add(draw(&root, 15..40, 1).seen.expect("a part"));
        assert_eq!(Some(parts), all.seen);
    }
}

/// The number of states that a bounded search estimates is right within a factor of two if it has seen a tenth of them
/// or more, and of two and a half if a fiftieth. Models with up to 256 states at each distance from the beginning are
/// counted; that of the message is wider.
#[test]
fn a_bounded_search_knows_how_much_there_is() {
    let check = |kernel: KernelVersion, model: &Model, reduction: bool| {
        let root = model.world(Semantics::of(kernel));
        let search =
            |bounds| explore_with(&root, bounds, How { jobs: 2, reduction }, |_| ControlFlow::Continue(()));
        let whole = search(Bounds::default());
        assert_eq!(whole.estimate, None, "all was seen");
        let exact = whole.covered.states;
        for (part, most) in [(50, 2.5), (10, 2.0), (2, 2.0)] {
            let states = exact / part;
            let bounded = search(Bounds { states, ..Bounds::default() });
            let estimate = bounded.estimate.expect("not all was seen");
            let factor = estimate.states as f64 / exact as f64;
            let what = format!("{} {reduction}: {states} of {exact}, {factor:.2}", kernel.name());
            assert!((1.0 / most..=most).contains(&factor), "{what}");
        }
        // Where the search has not been, nobody knows how wide it is.
        let depth = whole.covered.depth / 3;
        let estimate = search(Bounds { depth, ..Bounds::default() }).estimate.expect("a bound");
        let within = |factor: u64| estimate.states <= factor * exact as u64;
        assert!(within(2) && (estimate.at_least || estimate.states * 2 >= exact as u64), "{estimate:?}");
    };
    for kernel in [V5_4, V6_12, V7_3] {
        check(kernel, &MSI, false);
        check(kernel, &MSI, true);
        check(kernel, &OFFLINE, false);
    }
    check(V6_12, &TWO, false);
}

fn check(kernel: KernelVersion, model: &Model, expect: &str) {
    assert_eq!(whole(&model.world(Semantics::of(kernel))), expect, "{}", kernel.name());
}

/// The same with a field that has another value.
fn check_with(kernel: KernelVersion, model: &Model, (field, value): (&str, &str), expect: &str) {
    let mut semantics = Semantics::of(kernel);
    semantics.set(field, value).expect("a field and its value");
    assert_eq!(whole(&model.world(semantics)), expect, "{} with {field}={value}", kernel.name());
}

const AFFINITY: Model = Model::new(
    2,
    NVME,
    "echo 1 > /proc/irq/24/smp_affinity_list &
echo trigger > /sys/kernel/debug/irq/irqs/24 &
wait
",
);

/// An interrupt is told to move while one arrives.
#[test]
fn affinity_change_against_arrival() {
    check(V5_4, &AFFINITY, "114 states, 259 transitions, 2 final, depth 12");
    check(V6_12, &AFFINITY, "114 states, 259 transitions, 2 final, depth 12");
    check(V7_3, &AFFINITY, "114 states, 259 transitions, 2 final, depth 12");
}

const OFFLINE: Model = Model::new(
    2,
    NVME,
    "taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct &
echo 0 > /sys/devices/system/cpu/cpu1/online &
wait
",
);

/// The last CPU of a queue goes while a read is at the device.
///
/// What is found is so on 5.4: blk_mq_hctx_notify_dead() moves what was not sent yet, and nobody waits for
/// what was. The managed interrupt goes down with the CPU, and nvme_timeout() finds the completion. Since
/// 5.8 (bf0beec0607d) blk_mq_hctx_notify_offline() waits before the CPU goes.
#[test]
fn last_cpu_of_a_queue_offline_against_io_in_flight() {
    check(
        V5_4,
        &OFFLINE,
        "1630 states, 3595 transitions, 11 final, depth 27\nlog: nvme nvme0: I/O 0 QID 2 timeout, completion polled: 4:1",
    );
    check(V6_12, &OFFLINE, "3553 states, 9110 transitions, 6 final, depth 33");
    check(V7_3, &OFFLINE, "2395 states, 6190 transitions, 4 final, depth 31");
}

const TWO: Model = Model::new(
    3,
    NVME,
    "echo 0 > /sys/devices/system/cpu/cpu1/online &
echo 0 > /sys/devices/system/cpu/cpu2/online &
wait
",
);

/// Two CPUs are taken down at the same time.
#[test]
fn two_cpus_down_at_once() {
    check(V5_4, &TWO, "1848 states, 4518 transitions, 4 final, depth 38");
    check(V6_12, &TWO, "4163 states, 11189 transitions, 6 final, depth 46");
    check(V7_3, &TWO, "3002 states, 8126 transitions, 4 final, depth 42");
}

/// A message without mask bits is sent to another CPU by the first of two interrupts, and the device asks
/// for the second.
const MSI: Model = Model::new(
    2,
    NVME_MSI,
    "echo 1 > /proc/irq/24/smp_affinity_list
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=3 iflag=direct
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct &
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct &
echo 0 > /proc/irq/24/smp_affinity_list &
wait
",
);

/// Between __pci_write_msi_msg()'s write of the address and that of the data the device sends the old
/// vector to the new CPU, where nobody has it. 5.4's msi_domain_set_affinity() thinks of no such thing; 5.6
/// (6f1a4891a592) writes the new vector for the old CPU first. 6.7 (b56ebe7c896d) asks
/// irqd_can_reserve() whether that is necessary, which is clear for just these messages
/// (msi_init_virq(), kernel/irq/msi.c), so that 6.12 has the gap again,
/// and 7.3.
#[test]
fn msi_message_write_against_a_raising_device() {
    check(
        V5_4,
        &MSI,
        "17961 states, 47957 transitions, 24 final, depth 30\nlog: do_IRQ: 0.36 No irq handler for vector: 8:1,9:1,10:1,11:2,14:1",
    );
    check(
        V6_12,
        &MSI,
        "10742 states, 32372 transitions, 6 final, depth 29\nlog: No irq handler for 0.35: 8:1,9:1,10:2,13:1",
    );
    check(
        V7_3,
        &MSI,
        "10726 states, 32372 transitions, 6 final, depth 29\nlog: No irq handler for 0.35: 8:1,9:1,10:2,13:1",
    );
    let fix = ("msi_affinity", "staged-if-not-maskable");
    check_with(V5_4, &MSI, fix, "17529 states, 46901 transitions, 24 final, depth 30");
    check_with(V6_12, &MSI, fix, "10582 states, 31988 transitions, 6 final, depth 29");
}

const FREE: Model = Model::new(
    2,
    TEST,
    "d=/sys/kernel/debug/irqlab
echo 0000:00:03.0 > /sys/bus/pci/drivers/irqlab/bind
echo 24 > $d/request_irq
echo 1 > /proc/irq/24/smp_affinity_list
echo 24 > $d/raise
echo 24 > $d/raise
sleep 1
for i in 1 2; do echo 24 > $d/arm; done &
echo 24 > $d/free_irq &
wait
#: assert /sys/kernel/debug/irq/irqs/24 contains \"ddepth: 1\"
#: assert /sys/kernel/debug/irq/irqs/24 contains IRQD_IRQ_DISABLED
#: assert /sys/kernel/debug/irq/irqs/24 lacks IRQD_IRQ_INPROGRESS
",
);

/// A handler is taken away while its interrupt comes, twice.
#[test]
fn free_irq_against_a_hard_interrupt() {
    check(V5_4, &FREE, "789 states, 2021 transitions, 11 final, depth 21");
    check(V6_12, &FREE, "789 states, 2021 transitions, 11 final, depth 21");
    check(V7_3, &FREE, "789 states, 2021 transitions, 11 final, depth 21");
}

/// The same where the handler runs in a thread, which has to end.
#[test]
fn free_irq_against_a_hard_interrupt_and_its_thread() {
    let script = "d=/sys/kernel/debug/irqlab
echo 0000:00:03.0 > /sys/bus/pci/drivers/irqlab/bind
echo 24 > $d/request_irq
for i in 1 2; do echo 24 > $d/arm; done &
echo 24 > $d/free_irq &
wait
#: assert /sys/kernel/debug/irq/irqs/24 contains \"ddepth: 1\"
#: assert /sys/kernel/debug/irq/irqs/24 lacks IRQD_IRQ_INPROGRESS
";
    let model = Model { cmdline: "threadirqs", ..Model::new(2, TEST, script) };
    let root = model.world(Semantics::of(V6_12));
    let threads =
        root.k.sched.tasks.iter().filter(|task| matches!(task.kind, TaskKind::IrqThread(irq) if irq.0 == 24));
    assert_eq!(threads.count(), 1);
    check(V5_4, &model, "1222 states, 3016 transitions, 10 final, depth 24");
    check(V6_12, &model, "1254 states, 3082 transitions, 10 final, depth 24");
    check(V7_3, &model, "1254 states, 3082 transitions, 10 final, depth 24");
}

/// A handler is taken away and put back while the interrupt's old vector is still to be looked at.
const LATE: Model = Model::new(
    2,
    TEST,
    "d=/sys/kernel/debug/irqlab
echo 0000:00:03.0 > /sys/bus/pci/drivers/irqlab/bind
echo 24 > $d/request_irq
echo 1 > /proc/irq/24/smp_affinity_list
echo 24 > $d/raise
echo 24 > $d/raise
sleep 1
echo 24 > $d/arm &
for f in free_irq request_irq; do echo 24 > $d/$f; done &
wait
echo 24 > $d/raise
",
);

/// 5.4's do_IRQ() reads VECTOR_SHUTDOWN, request_irq() gives the same vector to the interrupt again, and
/// do_IRQ() marks it as unused: the next interrupt is nobody's. call_irq_handler() of 6.17 (ce0b5eedcb75),
/// which 6.12.42 has, looks again under the vector lock.
#[test]
fn request_irq_against_a_late_vector() {
    check(
        V5_4,
        &LATE,
        "370 states, 868 transitions, 3 final, depth 22\nlog: do_IRQ: 1.35 No irq handler for vector: 4:1,5:1,6:1,8:1",
    );
    check(V6_12, &LATE, "378 states, 903 transitions, 2 final, depth 22");
    check(V7_3, &LATE, "378 states, 903 transitions, 2 final, depth 22");
    check_with(V5_4, &LATE, ("reevaluates_vector", "on"), "378 states, 903 transitions, 2 final, depth 22");
    let bug = ("reevaluates_vector", "off");
    check_with(
        V6_12,
        &LATE,
        bug,
        "370 states, 868 transitions, 3 final, depth 22\nlog: __common_interrupt: 1.34 No irq handler for vector: 4:1,5:1,6:1,8:1",
    );
}

/// Random runs find the two races that need a certain order, without hints and from any seed.
#[test]
fn random_runs_find_what_needs_an_order() {
    const SEEDS: [u64; 5] = [0, 1, 2, 1_000_003, u64::MAX / 3];
    let strategies = [Strategy::Uniform, Strategy::Priorities { changes: 3 }];
    for (kernel, model) in [(V5_4, &MSI), (V6_12, &MSI), (V5_4, &LATE)] {
        let root = model.world(Semantics::of(kernel));
        for (strategy, seed) in strategies.into_iter().flat_map(|s| SEEDS.map(|seed| (s, seed))) {
            let plan =
                Plan { strategy, seed, runs: 0..10_000, shard: 0, shards: 1, depth: 1000, findings: 1 };
            let drawn = random::explore(&root, &plan, |_| ControlFlow::Continue(()));
            let Some((_, finding)) = drawn.findings.first() else {
                panic!("{}: nothing in {} runs of {strategy:?} from {seed}", kernel.name(), drawn.runs)
            };
            assert!(finding.text.contains("No irq handler"), "{}", finding.text);
            let short = shrink(&root, finding);
            assert!(short.schedule.unusual() <= finding.schedule.unusual());
            assert_eq!(short.again(&root).map(|wrong| wrong.kind), Some(Kind::Log));
        }
    }
}

/// Findings, counts and what a bounded search sees are the same with any number of threads.
#[test]
fn threads_make_no_difference() {
    let with = |root: &World, bounds: Bounds, jobs: usize| {
        explore_with(root, bounds, How { jobs, reduction: false }, |_| ControlFlow::Continue(()))
    };
    let bounds = Bounds::default();
    let bounded = [Bounds { states: 3000, ..bounds }, Bounds { depth: 20, ..bounds }];
    for (kernel, bounds) in [(V5_4, bounds), (V6_12, bounded[0]), (V7_3, bounded[1])] {
        let root = MSI.world(Semantics::of(kernel));
        let one = with(&root, bounds, 1);
        assert!(one.covered.states >= 3000, "{:?}", one.covered);
        assert_eq!(one.is_complete(), bounds == Bounds::default());
        for jobs in [2, 5] {
            assert_eq!(with(&root, bounds, jobs), one, "{} with {jobs}", kernel.name());
        }
        let strategies = [Strategy::Uniform, Strategy::Priorities { changes: 3 }];
        for (strategy, findings) in strategies.into_iter().flat_map(|strategy| [(strategy, 1), (strategy, 8)])
        {
            let plan = Plan { strategy, seed: 1, runs: 3..500, shard: 1, shards: 2, depth: 28, findings };
            let one = random::explore(&root, &plan, |_| ControlFlow::Continue(()));
            for jobs in [2, 5] {
                let more = random::explore_with(&root, &plan, jobs, |_| ControlFlow::Continue(()));
                assert_eq!(more, one, "{} with {jobs}", kernel.name());
            }
        }
    }
}

/// Two reads, each of them a job, up to where both have their task.
fn two_readers() -> World {
    let model = Model::new(
        2,
        NVME,
        "for cpu in 0 1; do taskset -c $cpu dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct & done
wait
",
    );
    let mut root = model.world(Semantics::of(V6_12));
    let before = root.k.sched.tasks.len();
    while root.k.sched.tasks.len() < before + 2 {
        let steps = root.steps();
        let of_the_shell = steps.iter().copied().find(|next| matches!(next, Step::Actor(_)));
        root.take(of_the_shell.expect("a job begins"));
    }
    root
}

/// Tasks that wait for the end of each other: no script makes them (exhibit M29 is another circle), so two of them are made to.
#[test]
fn a_circle_of_tasks_is_a_deadlock() {
    let mut root = two_readers();
    let last = root.k.sched.tasks.len() as u32 - 1;
    let [one, other] = [TaskId(last - 1), TaskId(last)];
    for task in [one, other] {
        root.take(Step::Machine(engine::Step::Task(task)));
    }
    root.k.sched.waiters.clear();
    for (task, on) in [(one, WaitOn::Exit(other)), (other, WaitOn::Exit(one))] {
        root.k.sched.tasks[task.index()].state = TaskState::Waiting(on);
        root.k.sched.waiters.entry(on).or_default().push(task);
    }
    root.k.sched.runnable.retain(|task| *task != one && *task != other);
    let found = whole(&root);
    let circle = format!("the circle: task {0} waits for task {1} waits for task {0}", one.0, other.0);
    assert!(found.contains("\ndeadlock: "), "{found}");
    assert!(found.contains(&format!("task {} (dd > blkdev_read_iter)", one.0)), "{found}");
    assert!(found.contains(&circle), "{found}");
}

/// Somebody tries for ever: the hardware queue of an isolated CPU that came back stays inactive, so that
/// blk_mq_get_tag() gives every tag back, and __blk_mq_alloc_requests() sleeps for 3 ms and tries again.
/// 6.10 (7b815817aa58) asks for the queue's own CPUs in blk_mq_hctx_notify_online().
#[test]
fn a_read_that_never_gets_a_tag_is_a_livelock() {
    let model = Model {
        cmdline: "isolcpus=1,2",
        ..Model::new(
            3,
            NVME_3,
            "echo 0 > /sys/devices/system/cpu/cpu1/online
echo 1 > /sys/devices/system/cpu/cpu1/online
taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct &
wait
",
        )
    };
    check_with(
        V6_12,
        &model,
        ("hctx_online_tests_cpumask", "on"),
        "9 states, 13 transitions, 0 final, depth 5\nlivelock: task 16 never ends: a state comes back after 2 steps: none",
    );
    check(V6_12, &model, "22 states, 30 transitions, 1 final, depth 12");
    check(V7_3, &model, "22 states, 30 transitions, 1 final, depth 12");
}

#[kframe("test")]
fn sleeps(k: &mut Kernel, lock: bool) {
    if lock {
        x86apic::kernel::vector::lock_vector_lock(k);
    }
    wait!(WaitOn::Until(k.events.now + 1000));
    if lock {
        x86apic::kernel::vector::unlock_vector_lock(k);
    }
}

/// What is found when a frame that sleeps runs somewhere.
fn check_sleep(put: impl Fn(&mut Kernel), expect: Option<&str>) {
    let mut root = two_readers();
    put(&mut root.k);
    let explored = explore(&root, Bounds { findings: 1, ..Bounds::default() }, |_| ControlFlow::Continue(()));
    let found = explored.findings.first().map(|finding| (finding.kind, finding.text.as_str()));
    match expect {
        None => assert_eq!(found, None),
        Some(part) => assert!(
            found.is_some_and(|(kind, text)| kind == Kind::Log && text.contains(part)),
            "{found:?} has no `{part}`"
        ),
    }
}

#[test]
fn nothing_sleeps_in_atomic_context() {
    let task = |lock| {
        move |k: &mut Kernel| {
            k.spawn(TaskKind::Kworker, CpuId(1), sleeps(lock).frame, &[]);
        }
    };
    check_sleep(task(false), None);
    check_sleep(task(true), Some("with vector_lock held"));
    check_sleep(
        |k| {
            let frames = vec![sleeps(false).frame];
            k.sched.hardirqs.insert(CpuId(1), Hardirq { frames, spinning: false, ctx: k.cur.ctx });
        },
        Some("irqlab: BUG: scheduling while atomic: sleeps wants to sleep in an interrupt on CPU 1"),
    );
    check_sleep(
        |k| {
            k.spawn(TaskKind::Migration(CpuId(1)), CpuId(1), sleeps(false).frame, &[]);
            k.hotplug.irqs_disabled.set(CpuId(1));
        },
        Some("with interrupts off"),
    );
}

/// From each place the next ones, and whether the kernel says so on the way.
const PLACES: [&[(u32, bool)]; 6] =
    [&[(1, false), (2, true)], &[(2, false), (4, false)], &[(3, true)], &[(4, false)], &[(5, true)], &[]];

/// Goes from place to place as it is chosen. What it says it says once.
#[kframe("test")]
fn wanders(k: &mut Kernel, at: u32) {
    loop {
        let Some((to, says)) = next_place(k, at) else { return };
        if says {
            k.pr_warn_once("irqlab: BUG: went there");
        }
        at = to;
        step!();
    }
}

fn next_place(k: &mut Kernel, at: u32) -> Option<(u32, bool)> {
    let next = PLACES[at as usize];
    let chosen = k.oracle.choose(Point::Hardware, next.len() as u32);
    next.get(chosen as usize).copied()
}

/// What is said once is said on one of two ways into a state. The search has come to place 2 by the way on which it was
/// said, so that the step to place 3 says nothing, and from place 1 to place 4 by one on which it was not. The first way to
/// place 4 of a search that takes the first step first is 1, 2, 3: on it the step to place 5 says nothing.
#[test]
fn what_is_said_once_is_found_on_whatever_way() {
    let mut root = Model::new(1, TEST, "").world(Semantics::of(V6_12));
    root.k.spawn(TaskKind::Kworker, CpuId(0), wanders(0).frame, &[]);
    for reduction in [false, true] {
        let explored =
            explore_with(&root, Bounds::default(), How { jobs: 1, reduction }, |_| ControlFlow::Continue(()));
        let [finding] = &explored.findings[..] else { panic!("{:?}", explored.findings) };
        assert_eq!((finding.kind, finding.text.as_str()), (Kind::Log, "irqlab: BUG: went there"));
        assert!(finding.again(&root).is_some_and(|wrong| wrong.kind == Kind::Log), "{finding:?}");
    }
}

/// A CPU's timers run between its interrupts, and not while a stopper has turned them off.
#[test]
fn a_timer_waits_for_the_interrupt_of_its_cpu() {
    let cleanup = Event::VectorCleanup(CpuId(1));
    let can_clean_up = |root: &mut World| root.steps().contains(&Step::Machine(engine::Step::Event(cleanup)));
    let mut root = two_readers();
    root.k.events.push(10, cleanup);
    assert!(can_clean_up(&mut root));
    let mut in_interrupt = root.clone();
    let hardirq = Hardirq { frames: vec![sleeps(false).frame], spinning: false, ctx: root.k.cur.ctx };
    in_interrupt.k.sched.hardirqs.insert(CpuId(1), hardirq.clone());
    assert!(!can_clean_up(&mut in_interrupt));
    let mut another = root.clone();
    another.k.sched.hardirqs.insert(CpuId(0), hardirq);
    assert!(can_clean_up(&mut another));
    root.k.hotplug.irqs_disabled.set(CpuId(1));
    assert!(!can_clean_up(&mut root));
}

/// A command needs a CPU that is in no interrupt and held by no stopper, that which it is pinned to if it is. What concerns
/// the shell alone needs none.
#[test]
fn a_command_waits_for_a_cpu() {
    let script = "taskset -c 1 cat /proc/interrupts &
cat /proc/interrupts &
echo job &
wait
";
    let mut root = Model::new(2, NVME, script).world(Semantics::of(V7_3));
    while root.shell.starts_job_next() {
        let next = root.steps().into_iter().find(|next| matches!(next, Step::Actor(_)));
        root.take(next.expect("the shell starts a job"));
    }
    let actors = |root: &World, cpus: &[u32], stopped: bool| -> usize {
        let mut root = root.clone();
        for cpu in cpus.iter().copied().map(CpuId) {
            if stopped {
                root.k.hotplug.irqs_disabled.set(cpu);
            } else {
                let frames = vec![sleeps(false).frame];
                let hardirq = Hardirq { frames, spinning: false, ctx: root.k.cur.ctx };
                root.k.sched.hardirqs.insert(cpu, hardirq);
            }
        }
        root.steps().into_iter().filter(|next| matches!(next, Step::Actor(_))).count()
    };
    // The two that read, the one that prints, and the shell that waits.
    assert_eq!(actors(&root, &[], false), 4);
    for stopped in [false, true] {
        assert_eq!(actors(&root, &[0], stopped), 4, "CPU 1 has both");
        assert_eq!(actors(&root, &[1], stopped), 3, "the one that is pinned waits");
        assert_eq!(actors(&root, &[0, 1], stopped), 2, "both wait");
    }
}

#[test]
fn exploring_begins_before_the_first_job_whatever_stands_before_it() {
    let before = ["", "x=1\n", "#: assert /proc/irq/1/node == 0\n", "x=1\n#: assert dmesg lacks x\ny=2\n"];
    for between in before {
        for job in ["echo job &", "for i in 1; do echo job & done"] {
            let text = format!("echo before\n{between}{job}\nwait\necho after\n");
            let world = World::new(
                Lab::boot(&Machine::embedded(KernelVersion::V5_4)),
                &Script::parse("script.sh", &text).expect("a script"),
            );
            assert_eq!(*world.terminal, ["before"], "{text}");
            assert!(world.shell.starts_job_next(), "{text}");
        }
    }
}
