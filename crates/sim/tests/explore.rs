//! Small models, explored whole: every order of what the machine leaves open.
//!
//! The numbers are exact. A change of the model that changes them is looked at: which states are new?

use std::ops::ControlFlow;

use kstate::semantics::{KernelVersion, Semantics};
use sim::explore::exhaustive::{Bounds, explore};
use sim::explore::{Choices, World, replay};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// A machine with that many CPUs and an NVMe controller with two I/O queues, whose admin interrupt is 24.
fn world(semantics: Semantics, cpus: u32, script: &str) -> World {
    let text = format!(
        "kernel = \"{}\"
[cpus]
possible = {cpus}
present = {cpus}
cores_per_socket = {cpus}
[[pci]]
model = \"nvme\"
address = \"0000:00:03.0\"
io_queue_pairs_max = 2
msix_vectors = 3
intx_gsi = 23
",
        semantics.version.name()
    );
    let machine = Machine::parse("machine.toml", &text).expect("a machine");
    let lab = Lab::boot_with(&machine, semantics, false);
    World::new(lab, &Script::parse("script.sh", script).expect("a script"))
}

/// Explores all of a model and says what was covered and found.
fn check(kernel: KernelVersion, cpus: u32, script: &str, expect: &str) {
    let root = world(Semantics::of(kernel), cpus, script);
    let explored = explore(&root, Bounds::default(), |_| ControlFlow::Continue(()));
    assert!(explored.is_complete());
    let covered = explored.covered;
    let mut text = format!(
        "{} states, {} transitions, {} final, depth {}",
        covered.states, covered.transitions, covered.finals, covered.depth
    );
    for finding in &explored.findings {
        text.push_str(&format!("\n{}: {}: {}", finding.kind.name(), finding.text, finding.choices));
        // What was found is found again, by the list alone.
        let choices: Choices = finding.choices.to_string().parse().expect("a list of choices");
        let (wrong, ..) = replay(&root, &choices, finding.depth + 1000, |_, _| {});
        assert_eq!(wrong.map(|wrong| wrong.text).as_ref(), Some(&finding.text));
    }
    assert_eq!(text, expect, "{}", kernel.name());
}

use KernelVersion::{V5_4, V6_12};

/// An interrupt is told to move while one arrives.
#[test]
fn affinity_change_against_arrival() {
    const SCRIPT: &str = "echo 1 > /proc/irq/24/smp_affinity_list &
echo trigger > /sys/kernel/debug/irq/irqs/24 &
wait
";
    check(V5_4, 2, SCRIPT, "114 states, 259 transitions, 2 final, depth 12");
    check(V6_12, 2, SCRIPT, "114 states, 259 transitions, 2 final, depth 12");
}

/// The last CPU of a queue goes while a read is at the device.
#[test]
fn last_cpu_of_a_queue_offline_against_io_in_flight() {
    const SCRIPT: &str = "taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct &
echo 0 > /sys/devices/system/cpu/cpu1/online &
wait
";
    check(
        V5_4,
        2,
        SCRIPT,
        "1630 states, 3601 transitions, 11 final, depth 27\nlog: nvme nvme0: I/O 0 QID 2 timeout, completion polled: 4:1",
    );
    check(V6_12, 2, SCRIPT, "2599 states, 6350 transitions, 6 final, depth 32");
}

/// Two CPUs are taken down at the same time.
#[test]
fn two_cpus_down_at_once() {
    const SCRIPT: &str = "echo 0 > /sys/devices/system/cpu/cpu1/online &
echo 0 > /sys/devices/system/cpu/cpu2/online &
wait
";
    check(V5_4, 3, SCRIPT, "1824 states, 4502 transitions, 4 final, depth 37");
    check(V6_12, 3, SCRIPT, "3279 states, 8614 transitions, 6 final, depth 44");
}
