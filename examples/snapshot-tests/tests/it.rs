//! Three kinds of snapshots: the order in which a driver takes its interrupts down, a rule about CPU hotplug, and an upgrade
//! of the kernel that is reviewed as a difference.

use irqlab_test::{KernelVersion, Lab, Machine, Semantics, diff, kernel_with, machine, snapshot};

/// What the tests run on: a server with a disk that has a queue for each of its CPUs.
fn server() -> Machine {
    machine(include_str!("server.toml")).unwrap()
}

/// A kernel, with the changes of the environment variable `IRQLAB_SET`: what would the snapshots say if it did something else?
fn kernel(version: KernelVersion) -> Semantics {
    let changes = std::env::var("IRQLAB_SET").unwrap_or_default();
    kernel_with(version, &changes.split_whitespace().collect::<Vec<_>>()).unwrap()
}

/// The names of functions in the order of their calls, as far as they are asked for.
fn order(flow: &str, functions: &[&str]) -> String {
    let calls = flow.lines().map(str::trim).filter(|line| functions.contains(line));
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for call in calls {
        match counted.last_mut() {
            Some((name, times)) if *name == call => *times += 1,
            _ => counted.push((call, 1)),
        }
    }
    let times = |times: usize| if times == 1 { String::new() } else { format!(" x{times}") };
    counted.iter().map(|(name, n)| format!("{name}{}\n", times(*n))).collect()
}

/// Queues are quiet before their interrupts are freed, and the vectors go last.
#[test]
fn a_driver_takes_its_interrupts_down_in_this_order() {
    let mut lab = Lab::boot_with(&server(), kernel(KernelVersion::V6_12));
    lab.run_script("echo 0000:01:00.0 > /sys/bus/pci/drivers/nvme/unbind").unwrap();
    let functions = [
        "nvme_remove",
        "nvme_disable_io_queues",
        "nvme_suspend_queue",
        "pci_free_irq",
        "free_irq",
        "irq_shutdown",
        "pci_free_irq_vectors",
        "irq_domain_free_irqs",
        "x86_vector_free_irqs",
    ];
    snapshot!(lab, order(&lab.flow(), &functions));
}

/// A managed interrupt never leaves its affinity: it is shut down with its last CPU, and starts again with it.
#[test]
fn a_managed_interrupt_is_shut_down_with_its_cpu() {
    for &version in KernelVersion::ALL {
        let mut lab = Lab::boot_with(&server(), kernel(version));
        // Which queue serves the CPU is up to the kernel.
        let serves =
            |irq: &u32| lab.read(&format!("/proc/irq/{irq}/smp_affinity_list")).as_deref() == Ok("2\n");
        let irq = (25..=28).find(serves).unwrap();
        let printed = lab
            .run_script(&format!(
                "echo 0 > /sys/devices/system/cpu/cpu2/online\n\
                 #: assert /sys/kernel/debug/irq/irqs/{irq} contains IRQD_MANAGED_SHUTDOWN\n\
                 echo 1 > /sys/devices/system/cpu/cpu2/online\n\
                 #: assert /sys/kernel/debug/irq/irqs/{irq} lacks IRQD_MANAGED_SHUTDOWN"
            ))
            .unwrap();
        assert!(printed.is_empty() && lab.failed().is_empty(), "{printed:?} {:?}", lab.failed());
    }
    let mut lab = Lab::boot_with(&server(), kernel(KernelVersion::V6_12));
    lab.run_script("echo 0 > /sys/devices/system/cpu/cpu2/online").unwrap();
    snapshot!(lab, lab.stacks("irq_shutdown"));
}

/// What a reviewer of an upgrade from 6.12 to 7.3 gets to see: which queue goes where, and which change moves it.
#[test]
fn an_upgrade_is_reviewed_as_a_difference() {
    let script = "for irq in 25 26 27 28; do cat /proc/irq/$irq/smp_affinity_list; done\n\
                  #: flow down\n\
                  echo 0 > /sys/devices/system/cpu/cpu2/online\n\
                  #: end\n";
    let difference = diff(&server(), script, KernelVersion::V6_12, kernel(KernelVersion::V7_3)).unwrap();
    insta::assert_snapshot!(difference.to_string());
}
