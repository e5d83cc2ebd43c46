//! Several NVMe controllers come up at the same time, in the order that the machine file tells.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use kstate::Irq;
use kstate::oracle::Oracle;
use kstate::semantics::KernelVersion;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// Two controllers with 3 vectors each, and where their admin queues' interrupts shall be.
fn machine(kernel: KernelVersion, placed: &[(u32, &str, u32)]) -> Machine {
    let mut text =
        format!("kernel = \"{}\"\n[cpus]\npossible = 4\npresent = 4\ncores_per_socket = 4\n", kernel.name());
    for slot in [3, 5] {
        let _ = write!(
            text,
            "[[pci]]\nmodel = \"nvme\"\naddress = \"0000:00:0{slot}.0\"\nio_queue_pairs_max = 2\n\
             msix_vectors = 3\nintx_gsi = {}\n",
            20 + slot - 3
        );
    }
    for (irq, name, vector) in placed {
        let _ = write!(text, "[[boot.vector]]\nirq = {irq}\nname = \"{name}\"\ncpu = 3\nvector = {vector}\n");
    }
    Machine::parse("machine.toml", &text).unwrap()
}

fn check(kernel: KernelVersion, placed: &[(u32, &str, u32)], irqs: &[&str]) {
    let lab = Lab::boot(&machine(kernel, placed));
    let name = |irq| lab.k.find_desc(Irq(irq)).map_or("", |desc| &desc.action[0].name);
    let names: Vec<&str> = (24..30).map(name).collect();
    assert_eq!(names[..irqs.len()], *irqs, "{} {placed:?}", kernel.name());
    assert_eq!(sim::invariants::check_invariants(&lab.k), Ok(()));
    // All of them came up, whoever was first.
    let mut all = names.clone();
    all.sort_unstable();
    assert_eq!(all, ["nvme0q0", "nvme0q1", "nvme0q2", "nvme1q0", "nvme1q1", "nvme1q2"]);
    assert!(lab.k.oracle.is_quiet());
}

#[test]
fn one_after_the_other_unless_the_machine_says_otherwise() {
    for &kernel in KernelVersion::ALL {
        check(kernel, &[], &["nvme0q0", "nvme0q1", "nvme0q2", "nvme1q0", "nvme1q1", "nvme1q2"]);
    }
}

#[test]
fn controllers_overtake_each_other() {
    // Both have their first interrupt before either has those of its queues. Which of them is then
    // first the list does not say.
    let together = [(24, "nvme0q0", 40), (25, "nvme1q0", 41)];
    check(KernelVersion::V5_4, &together, &["nvme0q0", "nvme1q0"]);
    // In 5.4 the numbers follow the addresses, and which reset comes first is open.
    let overtaken = [(24, "nvme1q0", 40), (25, "nvme0q0", 41)];
    check(KernelVersion::V5_4, &overtaken, &["nvme1q0", "nvme0q0"]);
    check(KernelVersion::V6_12, &overtaken, &["nvme1q0", "nvme0q0"]);
}

/// `__irq_domain_alloc_irqs()` has its lock for one descriptor: in the loop of `__msi_domain_alloc_irqs()` (5.4:
/// `msi_domain_alloc_irqs()`) another controller can take numbers in between.
#[test]
fn one_allocation_goes_into_the_middle_of_another() {
    let slots = ["0000:00:03.0", "0000:00:05.0"];
    let unbinds = slots.map(|slot| format!("echo {slot} > /sys/bus/pci/drivers/nvme/unbind\n"));
    let binds = slots.map(|slot| format!("echo {slot} > /sys/bus/pci/drivers/nvme/bind &\n"));
    let [unbinds, binds] = [unbinds.concat(), binds.concat() + "wait\nsleep 2\n"]
        .map(|script| Script::parse("script.sh", &script).expect("a script"));
    for &kernel in KernelVersion::ALL {
        let mut unbound = Lab::boot(&machine(kernel, &[]));
        unbound.run_each(&unbinds, |_| {}, |_, _| {});
        let orders: BTreeSet<Vec<String>> = (0..100)
            .map(|seed| {
                let mut lab = unbound.clone();
                lab.k.oracle = Oracle::seeded(seed);
                lab.k.oracle.interleave = true;
                lab.run_each(&binds, |_| {}, |_, _| {});
                assert_eq!(sim::invariants::check_invariants(&lab.k), Ok(()));
                let name = |irq| lab.k.find_desc(Irq(irq)).map_or("", |desc| &desc.action[0].name);
                (26..30).map(|irq| name(irq).to_owned()).collect()
            })
            .collect();
        let between = ["nvme0q1", "nvme1q1", "nvme1q2", "nvme0q2"].map(str::to_owned);
        assert!(orders.contains(&between[..]), "{}: {orders:#?}", kernel.name());
    }
}

/// More controllers than a CPU has vectors for: those that find none are not there, and the board's own
/// devices that find none do without. Nobody frees what it never got.
#[test]
fn who_finds_no_vector_does_without() {
    for &kernel in KernelVersion::ALL {
        let mut text = format!("kernel = \"{}\"\n[cpus]\npossible = 1\n", kernel.name());
        for n in 0..130 {
            let _ = write!(
                text,
                "[[pci]]\nmodel = \"nvme\"\naddress = \"0000:{:02x}:{:02x}.0\"\nio_queue_pairs_max = 1\n\
                 msix_vectors = 2\nintx_gsi = {}\n",
                n / 32,
                n % 32,
                16 + n % 8
            );
        }
        let lab = Lab::boot(&Machine::parse("machine.toml", &text).unwrap());
        let disks = (0..130).filter(|n| lab.k.blk.disk_by_name(&format!("nvme{n}n1")).is_some()).count();
        assert_eq!(disks, 100, "{}", kernel.name());
        let said = |what: &str| lab.k.log.iter().any(|line| line.contains(what));
        assert!(!said("already free") && !said("already-free"), "{:?}", lab.k.log);
        assert!(!said("a platform device got no interrupt"));
        assert_eq!(sim::invariants::check_invariants(&lab.k), Ok(()));
    }
}

#[test]
fn a_driver_that_is_a_module_comes_after_all_others() {
    // Its device is the first on the bus, and its driver would be registered before NVMe's.
    let mut text = "kernel = \"v7.3\"\n[cpus]\npossible = 2\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"virtio-net\"\n\
                    queue_pairs = 1\nmsix_vectors = 2\nintx_gsi = 23\n[[pci]]\naddress = \"0000:00:04.0\"\nmodel = \"nvme\"\n\
                    io_queue_pairs_max = 1\nmsix_vectors = 2\nintx_gsi = 20\n"
        .to_owned();
    for (irq, name, cpu, vector) in
        [(4, "ttyS0", 1, 35), (9, "acpi", 1, 32), (12, "i8042", 1, 33), (1, "i8042", 0, 33)]
    {
        let _ =
            write!(text, "[[boot.vector]]\nirq = {irq}\nname = \"{name}\"\ncpu = {cpu}\nvector = {vector}\n");
    }
    let listed = [
        (24, "nvme0q0", 4, 0, 0, 34),
        (25, "nvme0q1", 4, 1, 1, 34),
        (26, "virtio0-config", 3, 0, 0, 35),
        (27, "virtio0-virtqueues", 3, 1, 1, 36),
    ];
    for (irq, name, slot, index, cpu, vector) in listed {
        let _ = write!(
            text,
            "[[boot.interrupt]]\nirq = {irq}\nname = \"{name}\"\ndevice = \"0000:00:0{slot}.0\"\nindex = {index}\n\
             cpu = {cpu}\nvector = {vector}\nmanaged = {}\n",
            name == "nvme0q1"
        );
    }
    let lab = Lab::boot(&Machine::parse("machine.toml", &text).unwrap());
    for (irq, name, ..) in listed {
        assert_eq!(&*lab.k.find_desc(Irq(irq)).unwrap().action[0].name, name);
    }
}
