//! Interrupts injected through debugfs, under both kernels, with all invariants checked after every
//! step.

use kstate::Irq;
use kstate::semantics::KernelVersion;
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// A machine with 4 CPUs and an NVMe controller, whose admin interrupt is 24.
fn run(kernel: KernelVersion, script: &str) -> Lab {
    let text = format!(
        "kernel = \"{}\"
platform = \"q35\"
cmdline = \"\"
[cpus]
possible = 4
present = 4
sockets = 1
cores_per_socket = 4
threads_per_core = 1
nodes = [\"0-3\"]
apic = \"xapic\"
interrupt_remapping = false
[[pci]]
address = \"0000:00:03.0\"
model = \"nvme\"
io_queue_pairs_max = 4
msix_vectors = 5
intx_gsi = 23
",
        kernel.name()
    );
    let mut lab = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"));
    let script = Script::parse("script.sh", script).expect("a script");
    lab.run_each(&script, |k| assert_eq!(check_invariants(k), Ok(())), |_, _| {});
    lab
}

fn taken(lab: &mut Lab, irq: u32) -> u64 {
    let text = sim::vfs::read(&lab.k, "/proc/interrupts").expect("a file");
    let row = text.lines().find(|l| l.trim_start().starts_with(&format!("{irq}:"))).expect("a row");
    row.split_whitespace().skip(1).take(4).filter_map(|count| count.parse::<u64>().ok()).sum()
}

#[test]
fn trigger_makes_an_interrupt_arrive_and_a_requested_move_happen() {
    const INJECT: &str = "echo trigger > /sys/kernel/debug/irq/irqs/24\nsleep 1\n";
    for &kernel in KernelVersion::ALL {
        let mut before = run(kernel, "echo 2 > /proc/irq/24/smp_affinity_list\nsleep 1\n");
        let mut after =
            run(kernel, &format!("echo 2 > /proc/irq/24/smp_affinity_list\nsleep 1\n{INJECT}{INJECT}"));
        assert!(after.terminal.is_empty(), "{:?}", after.terminal);
        assert_eq!(taken(&mut after, 24), taken(&mut before, 24) + 2, "{}", kernel.name());
        let effective = sim::vfs::read(&after.k, "/proc/irq/24/effective_affinity_list");
        assert_eq!(effective.as_deref(), Ok("2\n"), "{}", kernel.name());
        let apicd = after.k.apic.apicd_mut(Irq(24));
        assert!(!apicd.move_in_progress && apicd.prev_vector == 0, "{}", kernel.name());
    }
}

#[test]
fn a_word_that_is_no_prefix_of_trigger_does_nothing_and_a_level_line_is_refused() {
    for &kernel in KernelVersion::ALL {
        let mut lab = run(kernel, "echo poke > /sys/kernel/debug/irq/irqs/24\n");
        assert!(lab.terminal.is_empty(), "{:?}", lab.terminal);
        assert_eq!(taken(&mut lab, 24), taken(&mut run(kernel, "sleep 1\n"), 24));
        let refused = run(kernel, "echo trigger > /sys/kernel/debug/irq/irqs/9\n").terminal;
        assert_eq!(refused, ["script.sh: line 1: write error: Invalid argument"], "{}", kernel.name());
    }
}
