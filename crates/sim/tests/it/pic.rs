//! Machines whose interrupts come from the 8259: what `noapic`, `nolapic` and `nosmp` leave.

use kstate::semantics::{KernelVersion, Semantics};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// Boots, reads each disk once, and returns every row of /proc/interrupts that a driver has, with its chip
/// and without its counts.
fn rows(version: KernelVersion, cmdline: &str) -> (Vec<String>, String) {
    let text = format!(
        "kernel = \"{}\"\ncmdline = \"{cmdline}\"\n[cpus]\npossible = 4\n\
         [[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 4\nmsix_vectors = 5\nintx_gsi = 23\n\
         [[pci]]\naddress = \"0000:00:04.0\"\nmodel = \"virtio-blk\"\nrequest_queues = 1\nmsix_vectors = 2\nintx_gsi = 20\n",
        version.name()
    );
    let mut lab = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"));
    let script = "taskset -c 0 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct\n\
                  taskset -c 0 dd if=/dev/vda of=/dev/null bs=4k count=1 iflag=direct\n";
    lab.run_each(&Script::parse("script.sh", script).expect("a script"), |_| {}, |_, _| {});
    assert_eq!(lab.terminal, Vec::<String>::new(), "{cmdline} on {}", version.name());
    let cpus = lab.k.topo.online.weight() as usize;
    let rows = irqcore::proc::show_interrupts(&lab.k)
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words[0].trim_end_matches(':').parse::<u32>().is_ok())
        .map(|words| [&words[..1], &words[1 + cpus..]].concat().join(" "))
        .collect();
    (rows, lab.k.topo.possible.list())
}

const BOARD: [&str; 6] = [
    "0: XT-PIC timer",
    "1: XT-PIC i8042",
    "2: XT-PIC cascade",
    "4: XT-PIC ttyS0",
    "9: XT-PIC acpi",
    "12: XT-PIC i8042",
];

#[test]
fn messages_need_no_io_apic() {
    for &version in KernelVersion::ALL {
        let (found, possible) = rows(version, "noapic");
        assert_eq!(found[..6], BOARD, "{}", version.name());
        assert_eq!(possible, "0-3");
        let numbers: Vec<&str> = found[6..].iter().filter_map(|row| row.split(':').next()).collect();
        assert_eq!(numbers, ["24", "25", "26", "27", "28", "29", "30"]);
        for cmdline in ["nosmp", "maxcpus=0"] {
            let (found, possible) = rows(version, cmdline);
            assert_eq!(found[..6], BOARD, "{cmdline} on {}", version.name());
            assert_eq!(found.len(), 10, "two messages of each function");
            assert_eq!(possible, "0");
        }
    }
}

#[test]
fn lines_are_isa_interrupts_without_an_io_apic() {
    for &version in KernelVersion::ALL {
        for (cmdline, cpus) in [("nolapic", "0"), ("disableapic", "0"), ("pci=nomsi noapic", "0-3")] {
            if cmdline == "disableapic" && !Semantics::of(version).disableapic {
                continue;
            }
            let (found, possible) = rows(version, cmdline);
            assert!(found.contains(&"10: XT-PIC virtio0".to_owned()), "{found:?}");
            assert!(found.contains(&"11: XT-PIC nvme0q0, nvme0q1".to_owned()), "{found:?}");
            assert!(found.contains(&"2: XT-PIC cascade".to_owned()), "{found:?}");
            assert_eq!(possible, cpus, "{cmdline} on {}", version.name());
        }
    }
}
