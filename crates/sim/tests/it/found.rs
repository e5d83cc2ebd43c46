//! Machines as found: CPUs that no product describes, interrupt numbers and CPUs that a history gave out, lines
//! of the board, buses and segments.

use kstate::semantics::KernelVersion;
use kstate::{Irq, Kernel};
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;

fn boot(kernel: KernelVersion, text: &str) -> Lab {
    let text = format!("kernel = \"{}\"\n{text}", kernel.name());
    let lab = Lab::boot(&Machine::parse("machine.toml", &text).unwrap_or_else(|e| panic!("{e}: {text}")));
    assert_eq!(check_invariants(&lab.k), Ok(()));
    lab
}

fn read(k: &Kernel, irq: u32, file: &str) -> String {
    show(k, Irq(irq), file).trim().to_owned()
}

/// A file of an interrupt.
fn show(k: &Kernel, irq: Irq, file: &str) -> String {
    let file = irqcore::proc::FILES.iter().find(|f| f.name == file).expect("a file");
    k.find_desc(irq).map(|desc| (file.show)(k, desc)).unwrap_or_default()
}

/// The mistake in a file, and what was expected.
fn mistake(text: &str) -> String {
    use diagnostic::Diagnostic as _;
    let text = format!("kernel = \"v6.12\"\n{text}");
    match Machine::parse("m.toml", &text) {
        Ok(_) => "fine".to_owned(),
        Err(e) => {
            let place = e.place().expect("a place");
            format!("{}: {e}: {}", place.line_and_column().0, place.label())
        }
    }
}

const EVEN_ODD: &str = "[cpus]\npossible = 8\nnodes = [\"0,2,4,6\", \"1,3,5,7\"]\npackages = [\"0,2,4,6\", \
                        \"1,3,5,7\"]\nsiblings = [\"0,4\", \"1,5\", \"2,6\", \"3,7\"]\n";

#[test]
fn cores_and_packages_are_lists() {
    for kernel in KernelVersion::ALL {
        let lab = boot(*kernel, EVEN_ODD);
        let siblings: Vec<String> = lab.k.topo.siblings.iter().map(|mask| mask.list()).collect();
        assert_eq!(siblings, ["0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"]);
        // Packages have one bit, cores one, threads one.
        let ids: Vec<u32> = lab.k.topo.cpus.iter().map(|cpu| cpu.apic_id.0).collect();
        assert_eq!(ids, [0, 4, 2, 6, 1, 5, 3, 7]);
        assert_eq!(lab.k.topo.node_cpus[1].list(), "1,3,5,7");
    }
}

#[test]
fn apic_ids_may_have_holes_and_nodes_no_cpus() {
    let lab = boot(
        KernelVersion::V6_12,
        "[cpus]\npossible = 3\napic_ids = [0, 6, 16]\nnodes = [\"0-2\", \"\"]\n[[pci]]\naddress = \
         \"0000:00:03.0\"\nmodel = \"generic\"\nmsix_vectors = 3\nvectors = 3\nactions = [\"0-2: a{}\"]\nnode = 1\n",
    );
    let ids: Vec<u32> = lab.k.topo.cpus.iter().map(|cpu| cpu.apic_id.0).collect();
    assert_eq!((ids, lab.k.topo.nr_node_ids), (vec![0, 6, 16], 2));
    assert_eq!(read(&lab.k, 24, "node"), "1");
}

#[test]
fn cpus_may_be_offline_once_the_machine_is_up() {
    let lab = boot(
        KernelVersion::V6_12,
        "[cpus]\npossible = 4\noffline = \"1,3\"\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"mpt3sas\"\n\
         msix_vectors = 4\n",
    );
    assert_eq!(lab.k.topo.online.list(), "0,2");
    // The driver counted the CPUs that were there when it was bound.
    assert_eq!(read(&lab.k, 27, "smp_affinity_list"), "3");
}

#[test]
fn lists_of_cpus_are_those_of_the_kernel() {
    let text =
        "[cpus]\npossible = 4\nnodes = [\"0-1\", \"2-N\"]\nsiblings = [\"all:2/4\"]\noffline = \"N\"\n";
    for kernel in [KernelVersion::V6_12, KernelVersion::V7_3] {
        let lab = boot(kernel, text);
        // CPU 3 is taken down again, and a node has its online CPUs.
        assert_eq!(lab.k.topo.node_cpus[1].list(), "2");
        assert_eq!(lab.k.topo.siblings[0].list(), "0-1");
        assert_eq!(lab.k.topo.online.list(), "0-2");
    }
    let e = Machine::parse("m.toml", &format!("kernel = \"v5.4\"\n{text}")).expect_err("no list of 5.4's");
    assert!(e.to_string().contains("`2-N` is no list of this machine's CPUs"), "{e}");
}

#[test]
fn a_history_is_an_input() {
    let text = "ioapics = [24, 8]\n[cpus]\npossible = 4\n[[pci]]\naddress = \"0001:03:00.1\"\nmodel = \"generic\"\n\
                msix_vectors = 4\nvectors = 4\nirqs = \"40,45-47\"\nactions = [\"0-3: late{}\"]\n[[pci]]\naddress = \
                \"10000:e1:00.0\"\nmodel = \"generic\"\nmsix_vectors = 2\nvectors = 2\nirqs = \"33,32\"\nactions = \
                [\"0-1: early{}\"]\n[boot.affinity]\n45 = \"2\"\n\"46-47\" = \"1,3\"\n[boot.effective]\n40 = 3\n46 = 3\n\
                47 = 1\n";
    for kernel in KernelVersion::ALL {
        let lab = boot(*kernel, text);
        let k = &lab.k;
        assert_eq!(k.apic.gsi_top, 32);
        let named = |irq: u32| {
            let desc = k.find_desc(Irq(irq)).expect("an interrupt");
            let dev = desc.dev_name.as_deref().unwrap_or_default().to_owned();
            (dev, desc.action.first().map(|a| a.name.to_string()).unwrap_or_default())
        };
        assert_eq!(named(33), ("10000:e1:00.0".to_owned(), "early0".to_owned()));
        assert_eq!(named(32).1, "early1");
        assert_eq!(named(40), ("0001:03:00.1".to_owned(), "late0".to_owned()));
        let stands: Vec<(String, String)> = [40, 45, 46, 47]
            .map(|irq| (read(k, irq, "smp_affinity_list"), read(k, irq, "effective_affinity_list")))
            .to_vec();
        let expect = [("0-3", "3"), ("2", "2"), ("1,3", "3"), ("1,3", "1")];
        assert_eq!(stands, expect.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec(), "{kernel:?}");
        // What comes later takes the lowest free number again.
        assert_eq!(*k.irq.boot_numbers, [] as [u32; 0]);
    }
}

#[test]
fn lines_of_the_board_take_the_place_of_a_pcs() {
    let text = "[cpus]\npossible = 2\n[[line]]\ngsi = 8\nname = \"rtc0\"\n[[line]]\ngsi = 9\nname = \"acpi\"\n[[line]]\n\
                gsi = 11\nname = \"ipmi_si\"\nlevel = false\n[[line]]\ngsi = 16\nname = \"ehci_hcd:usb1, mmc0\"\n";
    for kernel in KernelVersion::ALL {
        let lab = boot(*kernel, text);
        let table = irqcore::proc::show_interrupts(&lab.k);
        let rows: Vec<String> = table
            .lines()
            .filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()))
            .map(|line| {
                line.split_whitespace().enumerate().filter(|(i, _)| ![1, 2].contains(i)).map(|(_, w)| w)
            })
            .map(|words| words.collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            rows,
            [
                "0: IO-APIC 2-edge timer",
                "8: IO-APIC 8-edge rtc0",
                "9: IO-APIC 9-fasteoi acpi",
                "11: IO-APIC 11-edge ipmi_si",
                "16: IO-APIC 16-fasteoi ehci_hcd:usb1, mmc0",
            ],
            "{kernel:?}"
        );
    }
}

#[test]
fn what_no_machine_can_be_is_answered() {
    let cpus = |lines: &str| mistake(&format!("[cpus]\npossible = 4\n{lines}\n"));
    for (lines, expect) in [
        ("siblings = [\"0,1\", \"1,2\"]", "4: CPU 1 is in two cores: expected CPUs that no earlier core has"),
        (
            "siblings = [\"0,4\"]",
            "4: `0,4` is no list of this machine's CPUs: expected ranges below 4, as in \"0-3,8\"",
        ),
        (
            "threads_per_core = 2\nsiblings = [\"0,1\"]",
            "4: `siblings` says that already: expected lists or numbers: no such line beside `siblings`",
        ),
        (
            "packages = [\"0-1\", \"2-3\"]\nsiblings = [\"1-2\"]",
            "5: CPUs 1 and 2 are threads of a core and in two packages: expected threads of one package",
        ),
        ("apic_ids = [0, 1, 1, 2]", "4: two CPUs have APIC ID 1: expected different ones"),
        ("apic_ids = [0]", "4: 1 APIC IDs for 4 CPUs: expected one for each possible CPU, in their order"),
        (
            "apic_ids = [0, 1, 2, 300]",
            "4: CPU 3 has APIC ID 300, which no interrupt message can name: expected IDs up to 254 with the room for \
             cores and threads, or apic = \"x2apic\" with interrupt_remapping = true",
        ),
        (
            "offline = \"0\"",
            "4: `0` is no list of CPUs that can be offline: expected CPUs that are there and not the boot CPU, \
             within 1 to 3",
        ),
    ] {
        assert_eq!(cpus(lines), expect);
    }
    let function = |lines: &str| {
        mistake(&format!(
            "[cpus]\npossible = 2\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"generic\"\nmsix_vectors = 4\n{lines}\n"
        ))
    };
    assert_eq!(
        function("irqs = \"24,24\""),
        "8: interrupt 24 is there twice, or a pin's: expected numbers from 24 on that no other message has"
    );
    assert!(function("irqs = \"7\"").starts_with("8: interrupt 7 is there twice, or a pin's"));
    assert!(function("irqs = \"9-\"").starts_with("8: `9-` is no list of interrupts"));
    assert!(function("irqs = \"1-4000000000\"").starts_with("8: `1-4000000000` is no list"));
    assert!(function("[boot.affinity]\n99 = \"0\"").contains("`99` names no interrupts"));
    assert!(function("[boot.affinity]\n24 = \"7\"").contains("`7` is no list of this machine's CPUs"));
    assert!(function("[boot.effective]\n24 = 7").contains("the CPU of an interrupt is 7"));
    assert!(mistake("ioapics = [8]\n[cpus]\npossible = 1\n").contains("IO-APICs with [8] pins"));
    assert!(mistake("[cpus]\npossible = 1\n[[line]]\ngsi = 2\nname = \"x\"\n").contains("the cascade's"));
    let address = |text: &str| {
        mistake(&format!(
            "[cpus]\npossible = 1\n[[pci]]\naddress = \"{text}\"\nmodel = \"generic\"\nmsix_vectors = 1\n"
        ))
    };
    assert_eq!(address("10000:00:03.0"), "fine");
    assert!(address("00000:00:03.0").contains("is no PCI address"));
}
