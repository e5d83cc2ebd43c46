//! A controller that has MSI instead of MSI-X, under both kernels, with all invariants checked after
//! every step: the whole path from the completion to the message runs without a table.

use kstate::semantics::KernelVersion;
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

const SCRIPT: &str = "taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2 iflag=direct
echo 1 > /proc/irq/24/smp_affinity_list
taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=3 iflag=direct
echo 0 > /sys/devices/system/cpu/cpu1/online
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2 iflag=direct
echo 1 > /sys/devices/system/cpu/cpu1/online
echo 0000:00:03.0 > /sys/bus/pci/drivers/nvme/unbind
echo 0000:00:03.0 > /sys/bus/pci/drivers/nvme/bind
sleep 1
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2 iflag=direct
ls /sys/bus/pci/devices/0000:00:03.0/msi_irqs
";

fn machine(kernel: KernelVersion, vectors: u32, maskable: bool) -> Machine {
    let text = format!(
        "kernel = \"{}\"
[cpus]
possible = 4
[[pci]]
address = \"0000:00:03.0\"
model = \"nvme\"
io_queue_pairs_max = 4
msix_vectors = 0
msi_vectors = {vectors}
msi_maskable = {maskable}
intx_gsi = 23
",
        kernel.name()
    );
    Machine::parse("machine.toml", &text).expect("a machine")
}

/// Boots, runs the script, and returns the rows of the controller's interrupts.
fn check(kernel: KernelVersion, vectors: u32, maskable: bool) {
    let mut lab = Lab::boot(&machine(kernel, vectors, maskable));
    let script = Script::parse("script.sh", SCRIPT).expect("a script");
    lab.run_each(&script, |k| assert_eq!(check_invariants(k), Ok(())), |_, _| {});
    // x86 without interrupt remapping gives a function one message, whatever it asks for.
    assert_eq!(lab.terminal, ["24"], "{} {vectors} {maskable}", kernel.name());
    let interrupts = irqcore::proc::show_interrupts(&lab.k);
    let row = interrupts.lines().find(|line| line.contains("nvme0q0")).expect("a row of the controller");
    assert!(row.contains("nvme0q0, nvme0q1"), "all queues share the message: {row}");
    // That it had to leave CPU 1 is all there is to warn about.
    let warnings = u32::from(lab.k.sem.migrate_logs_broken_affinity);
    assert_eq!(lab.k.warnings, warnings, "{:?}", lab.k.log);
    let msi = lab.k.hw.pci[0].msi.as_ref().expect("the capability");
    assert_eq!((msi.enable, msi.maskable), (true, maskable));
    assert!(lab.k.hw.pci[0].msix.is_none());
}

#[test]
fn a_controller_with_plain_msi_boots_reads_and_moves() {
    for &kernel in KernelVersion::ALL {
        for (vectors, maskable) in [(1, false), (1, true), (8, true)] {
            check(kernel, vectors, maskable);
        }
    }
}

#[test]
fn the_machine_of_the_documentation_is_one() {
    let document = include_str!("../../../../docs/machines.md");
    let (_, rest) = document.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let machine = Machine::parse("docs/machines.md", example).expect("a machine");
    assert_eq!((machine.pci.len(), machine.isa.len()), (2, 1));
    assert!(!machine.pci[0].msi_maskable);
}

/// With remapping a function gets as many messages as it asks for, and a completion queue can name each.
fn check_remapped(kernel: KernelVersion, vectors: u32) {
    let text = format!(
        "kernel = \"{}\"
[cpus]
possible = 4
interrupt_remapping = true
[[pci]]
address = \"0000:00:03.0\"
model = \"nvme\"
io_queue_pairs_max = 4
msix_vectors = 0
msi_vectors = {vectors}
intx_gsi = 23
",
        kernel.name()
    );
    let mut lab = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"));
    let script = "for c in 0 1 2 3; do\ntaskset -c $c dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct\ndone\n";
    let script = Script::parse("script.sh", script).expect("a script");
    lab.run_each(&script, |k| assert_eq!(check_invariants(k), Ok(())), |_, _| {});
    assert_eq!(lab.terminal, [""; 0], "{} {vectors}", kernel.name());
    assert_eq!(lab.k.warnings, 0, "{:?}", lab.k.log);
    // One message is the admin queue's as long as there is another.
    let queues = lab.k.nvme.devs[0].online_queues - 1;
    assert_eq!(queues, 4.min(vectors - 1), "{} {vectors}: {:?}", kernel.name(), lab.k.log);
}

#[test]
fn remapped_v5_4_uses_every_message() {
    [2, 4, 8, 16, 32].into_iter().for_each(|n| check_remapped(KernelVersion::V5_4, n));
}

#[test]
fn remapped_v6_12_uses_every_message() {
    [2, 4, 8, 16, 32].into_iter().for_each(|n| check_remapped(KernelVersion::V6_12, n));
}
