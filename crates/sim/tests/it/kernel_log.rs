//! What the kernel logs, word for word: lines that real kernels say, and none that they do not.

use kstate::semantics::KernelVersion;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// The log of a machine after boot, and what a script adds to it.
fn log(kernel: KernelVersion, machine: &str, script: &str) -> (Vec<String>, Vec<String>) {
    let text = format!("kernel = \"{}\"\n{machine}", kernel.name());
    let mut lab = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"));
    let boot = lab.k.log.to_vec();
    lab.run_each(&Script::parse("script.sh", script).expect("a script"), |_| {}, |_, _| {});
    (boot.clone(), lab.k.log[boot.len()..].to_vec())
}

/// One CPU has no room for this many interrupts.
fn many_disks() -> String {
    let mut text = "[cpus]\npossible = 1\n".to_owned();
    for n in 0..101 {
        let (slot, function) = (3 + n / 8, n % 8);
        text += &format!(
            "[[pci]]\naddress = \"0000:00:{slot:02x}.{function}\"\nmodel = \"virtio-blk\"\nrequest_queues = 1\nintx_gsi = 20\nmsix_vectors = 2\n"
        );
    }
    text
}

#[test]
fn an_interrupt_that_was_not_got_is_not_freed() {
    // i8042_check_aux(), drivers/input/serio/i8042.c: `irq_registered`.
    for kernel in [KernelVersion::V5_4, KernelVersion::V6_12] {
        let (boot, _) = log(kernel, &many_disks(), "");
        for line in ["Trying to free already-free", "WARNING", "got no interrupt"] {
            assert!(!boot.iter().any(|l| l.contains(line)), "{}: {boot:#?}", kernel.name());
        }
    }
}

#[test]
fn genirq_says_who_speaks() {
    let machine = "[cpus]\npossible = 2\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 2\nmsix_vectors = 3\nintx_gsi = 23\n";
    for kernel in [KernelVersion::V5_4, KernelVersion::V6_12] {
        let (_, said) = log(kernel, machine, "echo 4 > /sys/kernel/debug/irqlab/request_irq\n");
        let [line] = &said[..] else { panic!("{}: {said:#?}", kernel.name()) };
        assert!(line.starts_with("genirq: Flags mismatch irq 4. 00000000 (irqlab) vs. "), "{line}");
    }
}

#[test]
fn warn_on_begins_with_warning_and_warn_on_once_comes_once() {
    let machine = "[cpus]\npossible = 2\n";
    let twice = "echo 4 > /sys/kernel/debug/irqlab/enable_irq\n".repeat(2);
    for kernel in [KernelVersion::V5_4, KernelVersion::V6_12] {
        let (_, said) = log(kernel, machine, &twice);
        let warning = ["Unbalanced enable for IRQ 4", "WARNING: at kernel/irq/manage.c __enable_irq"];
        assert_eq!(said, [warning, warning].concat(), "WARN() comes every time");
    }
}

#[test]
fn a_probe_that_fails_says_so() {
    // really_probe() of 5.4, call_driver_probe() of 6.12. The last of 101 disks finds no vector.
    for (kernel, line) in [
        (KernelVersion::V5_4, "virtio_blk: probe of virtio100 failed with error -"),
        (KernelVersion::V6_12, "virtio_blk virtio100: probe with driver virtio_blk failed with error -"),
    ] {
        let (boot, _) = log(kernel, &many_disks(), "");
        let said: Vec<_> = boot.iter().filter(|l| l.contains("failed with error")).collect();
        assert_eq!(said.len(), 1, "{}: {boot:#?}", kernel.name());
        assert!(said[0].starts_with(line), "{}: {said:?}", kernel.name());
    }
}

#[test]
fn disks_are_announced() {
    let machine = "[cpus]\npossible = 4\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 4\nmsix_vectors = 5\nintx_gsi = 23\n[[pci]]\naddress = \"0000:00:04.0\"\nmodel = \"virtio-blk\"\nrequest_queues = 4\nmsix_vectors = 5\nintx_gsi = 20\n";
    let again = "echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/unbind
        echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/bind
        echo 1 > /sys/class/nvme/nvme0/rescan_controller\nsleep 1\n";
    let size = "virtio_blk virtio0: [vda] 131072 512-byte logical blocks (67.1 MB/64.0 MiB)";
    let (_, said) = log(KernelVersion::V5_4, machine, again);
    assert_eq!(said, [size, "nvme0n1: detected capacity change from 0 to 67108864"]);
    let (_, said) = log(KernelVersion::V6_12, machine, again);
    let queues = "virtio_blk virtio0: 4/0/0 default/read/poll queues";
    assert_eq!(said, [queues, size, "nvme nvme0: Ignoring bogus Namespace Identifiers"]);
    // A disk that somebody reads has its size already.
    let busy = "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=100 iflag=direct &
        echo 1 > /sys/class/nvme/nvme0/rescan_controller\nwait\n";
    let (_, said) = log(KernelVersion::V5_4, machine, busy);
    assert_eq!(said, [""; 0]);
}

#[test]
fn cpus_that_boot_and_go_again_say_nothing() {
    // arch_cpuhp_cleanup_dead_cpu(), common_cpu_die(): only once the system runs.
    let machine = "cmdline = \"nosmt\"\n[cpus]\npossible = 4\nthreads_per_core = 2\n";
    for kernel in [KernelVersion::V5_4, KernelVersion::V6_12] {
        let (boot, said) = log(kernel, machine, "echo 0 > /sys/devices/system/cpu/cpu2/online\n");
        assert!(!boot.iter().any(|l| l.contains("is now offline")), "{}: {boot:#?}", kernel.name());
        assert_eq!(said, ["smpboot: CPU 2 is now offline"], "{}", kernel.name());
    }
}

/// dev_driver_string(): a message about a function begins with its driver once it has one.
#[test]
fn a_message_of_a_bound_function_names_the_driver() {
    let machine = "[cpus]\npossible = 2\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 2\nmsix_vectors = 3\nmsi_vectors = 1\nintx_gsi = 23\n";
    for kernel in KernelVersion::ALL {
        let text = format!("kernel = \"{}\"\n{machine}", kernel.name());
        let mut k = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine")).k;
        let dev = kstate::PciDevId(0);
        for driver in ["nvme", "pci"] {
            if driver == "pci" {
                k.pci_dev_mut(dev).driver = None;
            }
            assert!(k.run_now(pcimsi::kernel::msi::pci_enable_msi(dev)).is_err());
            let line = format!("{driver} 0000:00:03.0: can't enable MSI (MSI-X already enabled)");
            assert_eq!(k.log.last(), Some(&line), "{}", kernel.name());
        }
    }
}
