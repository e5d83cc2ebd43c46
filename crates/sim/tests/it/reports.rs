//! What public reports ask, and the faults that asking showed: a machine, a script, and what each kernel
//! answers. A case is right if every assertion of its script holds.

use kstate::semantics::KernelVersion::{self, V5_4, V6_12, V7_3};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// A question to some kernels.
struct Case {
    name: &'static str,
    kernels: &'static [KernelVersion],
    /// The file but for its kernel.
    machine: &'static str,
    script: &'static str,
}

const ALL: &[KernelVersion] = KernelVersion::ALL;
const NEW: &[KernelVersion] = &[V6_12, V7_3];
const OLD: &[KernelVersion] = &[V5_4];

const CASES: &[Case] = &[
    // The tokens of lib/bitmap-str.c: `N` and `all`.
    Case {
        name: "isolcpus= up to the last CPU",
        kernels: NEW,
        machine: r#"
cmdline = "isolcpus=managed_irq,domain,2-N irqaffinity=0,1"
[cpus]
possible = 6
[[pci]]
address = "0000:00:05.0"
model = "nvme"
io_queue_pairs_max = 1
msix_vectors = 2
intx_gsi = 21
"#,
        script: "#: assert /sys/devices/system/cpu/isolated == \"2-5\"
#: assert /proc/irq/default_smp_affinity == \"03\"
#: assert /proc/irq/24/smp_affinity_list == \"0-1\"
#: assert /proc/irq/25/smp_affinity_list == \"0-5\"
#: assert /proc/irq/25/effective_affinity_list != \"2\"
#: assert /proc/irq/25/effective_affinity_list != \"3\"
#: assert /proc/irq/25/effective_affinity_list != \"4\"
#: assert /proc/irq/25/effective_affinity_list != \"5\"
",
    },
    Case {
        name: "N and all in a file",
        kernels: NEW,
        machine: "[cpus]\npossible = 5\n",
        script: "echo 3-N > /proc/irq/9/smp_affinity_list
#: assert /proc/irq/9/smp_affinity_list == \"3-4\"
echo all > /proc/irq/9/smp_affinity_list
#: assert /proc/irq/9/smp_affinity_list == \"0-4\"
echo all:1/2 > /proc/irq/9/smp_affinity_list
#: assert /proc/irq/9/smp_affinity_list == \"0,2,4\"
echo N > /proc/irq/9/smp_affinity_list
#: assert /proc/irq/9/smp_affinity_list == \"4\"
",
    },
    Case {
        name: "N and all are no numbers of 5.4",
        kernels: OLD,
        machine: "[cpus]\npossible = 5\n",
        script: "echo 1 > /proc/irq/9/smp_affinity_list
echo N > /proc/irq/9/smp_affinity_list
echo all > /proc/irq/9/smp_affinity_list
#: assert /proc/irq/9/smp_affinity_list == \"1\"
",
    },
    // irq_affinity_setup() looks at no result: what stands before the mistake stays.
    Case {
        name: "irqaffinity= that names CPUs which are not there",
        kernels: ALL,
        machine: r#"
cmdline = "irqaffinity=0,1,2,3,4,5,6,7,8,9"
[cpus]
possible = 7
[[pci]]
address = "0000:00:05.0"
model = "virtio-blk"
request_queues = 2
msix_vectors = 3
intx_gsi = 21
"#,
        script: "#: assert /proc/irq/default_smp_affinity == \"7f\"
#: assert /proc/irq/24/smp_affinity_list == \"0-6\"
",
    },
    Case {
        name: "irqaffinity= with a mistake in the middle",
        kernels: ALL,
        machine: "cmdline = \"irqaffinity=1-2,99,3\"\n[cpus]\npossible = 4\n",
        script: "#: assert /proc/irq/default_smp_affinity == \"7\"\n",
    },
    // nrcpus(), kernel/smp.c: a kernel that runs after a crash.
    Case {
        name: "nr_cpus=1 leaves one I/O queue",
        kernels: ALL,
        machine: r#"
cmdline = "nr_cpus=1 reset_devices"
[cpus]
possible = 6
[[pci]]
address = "0000:00:05.0"
model = "nvme"
io_queue_pairs_max = 64
msix_vectors = 65
intx_gsi = 21
"#,
        script: "#: assert /sys/devices/system/cpu/possible == \"0\"
#: assert /sys/devices/system/cpu/online == \"0\"
#: assert /sys/class/nvme/nvme0/queue_count == \"2\"
",
    },
    Case {
        name: "possible_cpus= counts CPUs",
        kernels: ALL,
        machine: "cmdline = \"possible_cpus=3\"\n[cpus]\npossible = 6\n",
        script: "#: assert /sys/devices/system/cpu/online == \"0-2\"\n",
    },
    Case {
        name: "nosmp switches the IO-APIC off",
        kernels: &[V5_4, V6_12],
        machine: "cmdline = \"nosmp\"\n[cpus]\npossible = 4\n",
        script: "#: assert /proc/interrupts contains \"XT-PIC\"
#: assert /proc/interrupts lacks \"IO-APIC\"
#: assert /sys/devices/system/cpu/online == \"0\"
",
    },
    // housekeeping_setup() of 5.4 and 6.12, housekeeping_isolcpus_setup().
    Case {
        name: "a flag that 6.12 does not know is skipped",
        kernels: &[V6_12],
        machine: "cmdline = \"isolcpus=fast_lane,2\"\n[cpus]\npossible = 3\n",
        script: "#: assert dmesg contains \"isolcpus: Skipped unknown flag fast_lane\"
#: assert /sys/devices/system/cpu/isolated == \"2\"
",
    },
    Case {
        name: "a flag that 5.4 does not know drops the parameter",
        kernels: OLD,
        machine: "cmdline = \"isolcpus=managed_irq,domain,1\"\n[cpus]\npossible = 3\n",
        script: "#: assert dmesg contains \"isolcpus: Error, unknown flag\"
#: assert /sys/devices/system/cpu/isolated == \"\"
",
    },
    Case {
        name: "two isolcpus= add up by their flags on 6.12",
        kernels: &[V6_12],
        machine: r#"
cmdline = "isolcpus=managed_irq,0 isolcpus=domain,0"
[cpus]
possible = 2
[[pci]]
address = "0000:00:05.0"
model = "nvme"
io_queue_pairs_max = 1
msix_vectors = 2
intx_gsi = 21
"#,
        script: "#: assert /sys/devices/system/cpu/isolated == \"0\"
#: assert /proc/irq/25/effective_affinity_list == \"1\"
",
    },
    Case {
        name: "a list that leaves no CPU is not taken",
        kernels: ALL,
        machine: "cmdline = \"isolcpus=domain,0-3\"\n[cpus]\npossible = 4\n",
        script: "#: assert dmesg contains \"Housekeeping: must include one present CPU\"\n",
    },
    // cpumask_parse_user(): as wide as the machine.
    Case {
        name: "a CPU above 63 can be named",
        kernels: ALL,
        machine: "[cpus]\npossible = 72\n",
        script: "echo 70 > /proc/irq/9/smp_affinity_list
#: assert /proc/irq/9/smp_affinity_list == \"70\"
echo 80,00000000,00000000 > /proc/irq/9/smp_affinity
#: assert /proc/irq/9/smp_affinity_list == \"71\"
echo 68 > /proc/irq/9/smp_affinity_list
echo 40,00000000,00000000 > /proc/irq/default_smp_affinity
#: assert /proc/irq/default_smp_affinity == \"40,00000000,00000000\"
",
    },
    // What may be written to a managed interrupt: proc_write, kernel/irq/proc.c.
    Case {
        name: "a queue's interrupt cannot be moved, the admin queue's can",
        kernels: ALL,
        machine: r#"
[cpus]
possible = 6
threads_per_core = 2
l2 = ["0-5"]
[[pci]]
address = "0000:00:05.0"
model = "nvme"
io_queue_pairs_max = 64
msix_vectors = 65
intx_gsi = 21
"#,
        script: "echo 20 > /proc/irq/24/smp_affinity
#: assert /proc/irq/24/smp_affinity_list == \"5\"
echo 20 > /proc/irq/25/smp_affinity
echo 5 > /proc/irq/26/smp_affinity_list
#: assert /proc/irq/25/smp_affinity_list == \"0\"
#: assert /proc/irq/26/smp_affinity_list == \"1\"
",
    },
    // acpi_is_processor_usable(): hardware or guest is a property of the machine.
    Case {
        name: "a guest counts the CPUs that may be plugged in",
        kernels: ALL,
        machine: "[cpus]\npossible = 40\npresent = 4\nhypervisor = true\n",
        script: "#: assert /sys/devices/system/cpu/possible == \"0-39\"\n",
    },
    Case {
        name: "6.12 on hardware does not",
        kernels: &[V6_12],
        machine: "[cpus]\npossible = 40\npresent = 4\nhypervisor = false\n",
        script: "#: assert /sys/devices/system/cpu/possible == \"0-3\"\n",
    },
];

#[test]
fn every_case_is_right() {
    for case in CASES {
        for &kernel in case.kernels {
            let place = format!("{} on {}", case.name, kernel.name());
            let text = format!("kernel = \"{}\"\n{}", kernel.name(), case.machine);
            let machine = Machine::parse("machine.toml", &text).unwrap_or_else(|e| panic!("{place}: {e}"));
            let script = Script::parse("script.sh", case.script).unwrap_or_else(|e| panic!("{place}: {e}"));
            let asserted = case.script.contains("#: assert");
            let mut lab = Lab::boot(&machine);
            lab.run_each(&script, |_| {}, |_, _| {});
            assert!(asserted && lab.failed.is_empty(), "{place}: {:#?}", lab.terminal);
        }
    }
}
