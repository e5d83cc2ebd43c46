//! A virtio-blk disk on machines that cannot give every queue a vector, under both kernels, with
//! all invariants checked after every step.

use kstate::semantics::KernelVersion;
use kstate::trace::What;
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

const REBIND: &str = "echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/unbind
sleep 1
echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/bind
sleep 1
taskset -c 1 dd if=/dev/vda of=/dev/null bs=4k count=4 iflag=direct
taskset -c 2 dd if=/dev/vda of=/dev/null bs=4k count=4 skip=8 iflag=direct
sleep 1
";

/// A machine with 4 CPUs.
fn machine(kernel: KernelVersion, queues: u32, vectors: u32, cmdline: &str) -> Machine {
    machine_of(kernel, 4, queues, vectors, cmdline)
}

fn machine_of(kernel: KernelVersion, cpus: u32, queues: u32, vectors: u32, cmdline: &str) -> Machine {
    let (kernel, last) = (kernel.name(), cpus - 1);
    let text = format!(
        "kernel = \"{kernel}\"
platform = \"q35\"
cmdline = \"{cmdline}\"
[cpus]
possible = {cpus}
present = {cpus}
sockets = 1
cores_per_socket = {cpus}
threads_per_core = 1
nodes = [\"0-{last}\"]
apic = \"xapic\"
interrupt_remapping = false
[[pci]]
address = \"0000:00:04.0\"
model = \"virtio-blk\"
request_queues = {queues}
msix_vectors = {vectors}
intx_gsi = 20
"
    );
    Machine::parse("machine.toml", &text).expect("a machine")
}

/// Runs `script` after boot and returns the machine.
fn run(machine: &Machine, script: &str) -> Lab {
    let mut lab = Lab::boot(machine);
    assert_eq!(check_invariants(&lab.k), Ok(()), "after boot");
    let script = Script::parse("script.sh", script).expect("a script");
    lab.run_each(&script, |k| assert_eq!(check_invariants(k), Ok(())), |_, _| {});
    assert!(lab.terminal.iter().all(|line| !line.contains("error")), "{:?}", lab.terminal);
    lab
}

/// The disk's action names in order of interrupt, each with how often it was taken.
fn actions(lab: &Lab) -> Vec<(String, u32)> {
    let all = lab.k.for_each_irq().flat_map(|irq| {
        let desc = lab.k.desc(irq);
        let taken = desc.kstat_irqs.sum();
        desc.action.iter().map(move |action| (action.name.to_string(), taken))
    });
    all.filter(|(name, _)| name.starts_with("virtio")).collect()
}

fn check(queues: u32, vectors: u32, cmdline: &str, expect: &[&str]) {
    for &kernel in KernelVersion::ALL {
        let lab = run(&machine(kernel, queues, vectors, cmdline), REBIND);
        let found = actions(&lab);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, expect, "{} with {queues} queues and {vectors} vectors", kernel.name());
        // One read of the partition scan after the rebind, and eight of dd.
        assert!(found.iter().map(|(_, taken)| taken).sum::<u32>() >= 9, "{found:?}");
        assert_eq!(lab.k.warnings, 0, "{:?}", lab.k.log);
    }
}

#[test]
fn irqfixup_asks_the_other_lines() {
    // note_interrupt(), misrouted_irq(): where nobody takes the line of the disk, the handlers of all lines that
    // may be shared are called. 5.4 says of a change of size by the line that it was not handled.
    let text = "kernel = \"v5.4\"\ncmdline = \"WORD\"\n[cpus]\npossible = 2\n
[[pci]]\naddress = \"0000:00:04.0\"\nmodel = \"virtio-blk\"\nrequest_queues = 2\nmsix_vectors = 0\nintx_gsi = 20
[[pci]]\naddress = \"0000:00:05.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 2\nmsix_vectors = 3\nintx_gsi = 22
";
    for (word, asked) in [("", false), ("irqfixup", true), ("irqpoll", true), ("irqfixup noirqdebug", false)]
    {
        let machine = Machine::parse("machine.toml", &text.replace("WORD", word)).expect("a machine");
        let mut lab = run(&machine, "sleep 1\n");
        drivers::virtio_blk::hw::set_capacity(&mut lab.k, kstate::VirtioId(0), 4096);
        let from = lab.k.trace.records.len();
        lab.pass(1_000_000_000, &mut |_| {});
        let calls = |name: &str| {
            let entered = |what: &What| matches!(what, What::Enter { meta, .. } if meta.name == name);
            lab.k.trace.records[from..].iter().filter(|record| entered(&record.what)).count()
        };
        assert_eq!(calls("vp_interrupt"), 1, "{word}");
        // The admin queue's interrupt and two I/O queues', which have IRQF_SHARED from pci_request_irq().
        assert_eq!(calls("nvme_irq"), if asked { 3 } else { 0 }, "{word}");
    }
}

#[test]
fn every_queue_has_a_vector_when_there_are_enough() {
    check(2, 3, "", &["virtio0-config", "virtio0-req.0", "virtio0-req.1"]);
    // No more queues than CPUs are used.
    check(8, 9, "", &["virtio0-config", "virtio0-req.0", "virtio0-req.1", "virtio0-req.2", "virtio0-req.3"]);
}

#[test]
fn queues_share_a_vector_when_there_are_two() {
    check(4, 4, "", &["virtio0-config", "virtio0-virtqueues"]);
    check(2, 2, "", &["virtio0-config", "virtio0-virtqueues"]);
    check(1, 2, "", &["virtio0-config", "virtio0-req.0"]);
}

#[test]
fn everything_shares_the_line_without_message_interrupts() {
    check(4, 1, "", &["virtio0"]);
    check(4, 5, "pci=nomsi", &["virtio0"]);
    check(4, 0, "", &["virtio0"]);
}

#[test]
fn a_new_size_reaches_the_disk_through_the_configuration_interrupt() {
    for &kernel in KernelVersion::ALL {
        for (vectors, through) in [(3, "virtio0-config"), (2, "virtio0-config"), (0, "virtio0")] {
            let mut lab = run(&machine(kernel, 2, vectors, ""), "sleep 1\n");
            let taken = |lab: &Lab| actions(lab).into_iter().find(|(name, _)| name == through);
            let before = taken(&lab).map_or(0, |(_, n)| n);
            drivers::virtio_blk::hw::set_capacity(&mut lab.k, kstate::VirtioId(0), 4096);
            let script = Script::parse("script.sh", "sleep 1\n").expect("a script");
            lab.run_each(&script, |k| assert_eq!(check_invariants(k), Ok(())), |_, _| {});
            assert_eq!(taken(&lab).map(|(_, n)| n), Some(before + 1));
            let disk = lab.k.blk.disk_by_name("vda").and_then(|d| lab.k.blk.disk(d));
            assert_eq!(disk.map(|d| d.capacity), Some(4096));
        }
    }
}

#[test]
fn polled_queues_have_no_vector() {
    let machine = machine(KernelVersion::V6_12, 4, 5, "virtio_blk.poll_queues=1");
    let lab = run(&machine, REBIND);
    let names: Vec<_> = actions(&lab).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["virtio0-config", "virtio0-req.0", "virtio0-req.1", "virtio0-req.2"]);
}

#[test]
fn reads_end_whatever_the_device_does_in_between() {
    for &kernel in KernelVersion::ALL {
        for (seed, vectors) in (0..10).flat_map(|seed| [(seed, 3), (seed, 2), (seed, 0)]) {
            let mut lab = Lab::boot(&machine(kernel, 2, vectors, ""));
            lab.k.oracle = kstate::oracle::Oracle::seeded(seed);
            let script = Script::parse("script.sh", REBIND).expect("a script");
            let mut steps = 0;
            let step = |k: &kstate::Kernel| {
                steps += 1;
                assert_eq!(check_invariants(k), Ok(()), "seed {seed}, {vectors} vectors");
            };
            lab.run_each(&script, step, |_, _| {});
            assert!(steps > 20, "{steps} steps");
            let taken: u32 = actions(&lab).iter().map(|(_, taken)| taken).sum();
            assert!(taken >= 9, "seed {seed}: {:?}", actions(&lab));
            assert_eq!(lab.k.warnings, 0, "{:?}", lab.k.log);
        }
    }
}

// Conformance cases CH-07 and BMQ-09.
#[test]
fn with_a_queue_per_cpu_every_queue_has_its_cpu() {
    for &kernel in KernelVersion::ALL {
        // Clusters of one CPU each, in the order in which 7.3's sort leaves them.
        let single = match kernel {
            KernelVersion::V7_3 => vec!["1", "3", "4", "5", "6", "7", "2", "0"],
            _ => vec!["0", "1", "2", "3", "4", "5", "6", "7"],
        };
        for (cpus, queues, expect) in [(8, 4, vec!["0-1", "2-3", "4-5", "6-7"]), (8, 8, single)] {
            let lab = Lab::boot(&machine_of(kernel, cpus, queues, queues + 1, ""));
            let disk = lab.k.blk.disk_by_name("vda").and_then(|d| lab.k.blk.disk(d)).expect("a disk");
            let hctxs = &lab.k.blk.q(disk.queue).queue_hw_ctx;
            let found: Vec<_> = hctxs.iter().map(|hctx| hctx.cpumask.list()).collect();
            assert_eq!(found, expect, "{}", kernel.name());
        }
    }
}
