//! Drivers of which only the interrupts count: how many messages each gets, which are managed, what they are
//! called and where they stand, under every kernel.

use drivers::profile::table::PROFILES;
use kstate::irqdesc::IRQD_AFFINITY_MANAGED;
use kstate::semantics::KernelVersion;
use kstate::{Irq, Kernel};
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// A machine of eight CPUs, SMT siblings beside each other, and one function.
fn boot(kernel: KernelVersion, cmdline: &str, function: &str) -> Lab {
    let text = format!(
        "kernel = \"{}\"\ncmdline = \"{cmdline}\"\n[cpus]\npossible = 8\nthreads_per_core = 2\nnodes = [\"0-3\", \
         \"4-7\"]\n[[pci]]\naddress = \"0000:00:03.0\"\nintx_gsi = 20\n{function}\n",
        kernel.name()
    );
    Lab::boot(&Machine::parse("machine.toml", &text).unwrap_or_else(|e| panic!("{e}: {function}")))
}

fn run(lab: &mut Lab, command: &str) {
    let script = Script::parse("script.sh", &format!("{command}\nsleep 1\n")).expect("a script");
    let said = lab.terminal.len();
    lab.run_each(&script, |k| assert_eq!(check_invariants(k), Ok(())), |_, _| {});
    assert_eq!(lab.terminal[said..], [] as [String; 0], "{command}");
}

/// A file of an interrupt that is in use; nothing of one that is not.
fn show(k: &Kernel, irq: Irq, file: &str) -> String {
    let file = irqcore::proc::FILES.iter().find(|f| f.name == file).expect("a file");
    let desc = k.find_desc(irq).filter(|desc| !desc.action.is_empty());
    desc.map(|desc| (file.show)(k, desc)).unwrap_or_default()
}

/// The interrupts of the function: number, names, affinity, and `m` for a managed one.
fn interrupts(k: &Kernel) -> Vec<String> {
    let of = k.find_pci_dev("0000:00:03.0");
    let own = |irq: &Irq| {
        let msi = k.irq_get_msi_desc(*irq).map(|desc| k.msi.descs[desc].dev);
        msi.is_some() && msi == of
    };
    let line = |irq: Irq| {
        let names: Vec<&str> = k.desc(irq).action.iter().map(|a| &*a.name).collect();
        let list = show(k, irq, "smp_affinity_list");
        let managed = if k.desc(irq).has(IRQD_AFFINITY_MANAGED) { " m" } else { "" };
        format!("{irq} {} {}{managed}", names.join("+"), list.trim())
    };
    k.for_each_irq().filter(own).map(line).collect()
}

#[test]
fn every_driver_takes_its_messages_and_gives_them_back() {
    for kernel in KernelVersion::ALL {
        for profile in PROFILES {
            let name = profile.driver.name;
            let mut lab = boot(*kernel, "", &format!("model = \"{name}\"\nmsix_vectors = 64"));
            assert_eq!(check_invariants(&lab.k), Ok(()), "{name}");
            let before = interrupts(&lab.k);
            assert!(before.iter().any(|line| line.split(' ').nth(1) != Some("")), "{name}: {before:?}");
            run(&mut lab, &format!("echo 0000:00:03.0 > /sys/bus/pci/drivers/{name}/unbind"));
            assert_eq!(interrupts(&lab.k), [] as [String; 0], "{name}");
            run(&mut lab, &format!("echo 0000:00:03.0 > /sys/bus/pci/drivers/{name}/bind"));
            assert_eq!(interrupts(&lab.k), before, "{name}");
            assert_eq!(lab.k.warnings, 0, "{name}");
        }
    }
}

#[test]
fn managed_messages_have_the_spread_and_the_names_of_their_driver() {
    let lab = boot(KernelVersion::V6_12, "", "model = \"megaraid_sas\"\nname = \"14\"\nmsix_vectors = 128");
    let got = interrupts(&lab.k);
    assert_eq!(got.len(), 9);
    assert_eq!(got[0], "24 megasas14-msix0 0-3");
    assert!(got[1..].iter().all(|line| line.ends_with(" m")), "{got:?}");
    let lab = boot(KernelVersion::V6_12, "", "model = \"mpt3sas\"\nmsix_vectors = 4");
    assert_eq!(
        interrupts(&lab.k),
        [
            "24 mpt3sas0-msix0 4-5 m",
            "25 mpt3sas0-msix1 6-7 m",
            "26 mpt3sas0-msix2 0-1 m",
            "27 mpt3sas0-msix3 2-3 m"
        ]
    );
}

#[test]
fn a_hint_sets_the_affinity_where_the_kernel_has_no_other_hint() {
    let ixgbe = "model = \"ixgbe\"\nname = \"eno1\"\nnode = 1\nvectors = 3\nmsix_vectors = 64";
    let lab = boot(KernelVersion::V6_12, "", ixgbe);
    assert_eq!(interrupts(&lab.k), ["24 eno1-TxRx-0 4-7", "25 eno1-TxRx-1 4-7", "26 eno1 4-7"]);
    let hint = |irq| show(&lab.k, Irq(irq), "affinity_hint");
    assert_eq!([hint(24), hint(25), hint(26)].map(|h| h.trim().to_owned()), ["10", "20", "00"]);
    let lab = boot(KernelVersion::V5_4, "", ixgbe);
    assert_eq!(interrupts(&lab.k), ["24 eno1-TxRx-0 4", "25 eno1-TxRx-1 5", "26 eno1 4-7"]);
    let mlx5 = "model = \"mlx5_core\"\nvectors = 3\nmsix_vectors = 64";
    let lab = boot(KernelVersion::V6_12, "", mlx5);
    assert_eq!(
        interrupts(&lab.k),
        [
            "24 mlx5_async0@pci:0000:00:03.0 0-7",
            "25 mlx5_comp0@pci:0000:00:03.0 0",
            "26 mlx5_comp1@pci:0000:00:03.0 1"
        ]
    );
}

#[test]
fn a_generic_function_has_the_numbers_of_the_machine_file() {
    let lab = boot(
        KernelVersion::V6_12,
        "",
        "model = \"generic\"\nmsix_vectors = 16\nvectors = 8\nmanaged = true\npre = 1\npost = 1\nsets = [2, 4]\n\
         actions = [\"0: fw\", \"1-6: q{3}@{bus}\", \"7: one, two\"]",
    );
    // What is not managed is narrowed to the node where its mask begins when it is requested, and 6.12 deals
    // two nodes of the same size out from the second one.
    assert_eq!(
        interrupts(&lab.k),
        [
            "24 fw 0-3",
            "25 q3@00:03:0 0-3 m",
            "26 q4@00:03:0 4-7 m",
            "27 q5@00:03:0 4-5 m",
            "28 q6@00:03:0 6-7 m",
            "29 q7@00:03:0 0-1 m",
            "30 q8@00:03:0 2-3 m",
            "31 one+two 0-3",
        ]
    );
    // Messages without a name are allocated and nobody's.
    let lab =
        boot(KernelVersion::V6_12, "", "model = \"xhci_hcd\"\nmsix_vectors = 3\nactions = [\"1: xhci\"]");
    assert_eq!(interrupts(&lab.k), ["24  ", "25 xhci 0-7", "26  "]);
}

#[test]
fn a_function_without_messages_uses_its_line() {
    let lab = boot(
        KernelVersion::V6_12,
        "",
        "model = \"generic\"\nmsix_vectors = 0\nactions = [\"0: i801_smbus\"]",
    );
    let desc = lab.k.desc(Irq(20));
    assert_eq!(desc.action.iter().map(|a| &*a.name).collect::<Vec<_>>(), ["i801_smbus"]);
}

#[test]
fn an_interrupt_can_be_raised_by_hand() {
    let mut lab = boot(KernelVersion::V6_12, "", "model = \"igb\"\nmsix_vectors = 9");
    run(&mut lab, "echo 25 > /sys/kernel/debug/irqlab/raise");
    assert_eq!(lab.k.desc(Irq(25)).kstat_irqs.sum(), 1);
}

/// What /proc/irq says of the interrupt with this number.
fn affinities(lab: &Lab, irq: u32) -> (String, String) {
    let read = |file| show(&lab.k, Irq(irq), file).trim().to_owned();
    (read("effective_affinity_list"), read("smp_affinity_list"))
}

fn virtio_scsi(queues: u32) -> String {
    format!("model = \"virtio-scsi\"\nrequest_queues = {queues}\nmsix_vectors = {}", queues + 3)
}

/// Documentation/core-api/irq/managed_irq.rst of 7.3 works through four tables, on eight CPUs. Its numbers of
/// interrupts are another machine's.
#[test]
fn the_documents_tables_come_out() {
    for kernel in KernelVersion::ALL {
        // One request queue for each CPU: the last one is CPU 7's, and goes down with it.
        let mut lab = boot(*kernel, "", &virtio_scsi(8));
        let names: Vec<String> = lab
            .k
            .for_each_irq()
            .filter_map(|irq| Some(lab.k.desc(irq).action.first()?.name.to_string()))
            .collect();
        assert_eq!(names.iter().filter(|name| *name == "virtio0-request").count(), 8);
        let list = |cpu: &str| (cpu.to_owned(), cpu.to_owned());
        let managed = |lab: &Lab, irq| lab.k.desc(Irq(irq)).has(IRQD_AFFINITY_MANAGED);
        assert!(!(24..27).any(|irq| managed(&lab, irq)) && (27..35).all(|irq| managed(&lab, irq)));
        let last = (27..35).find(|irq| affinities(&lab, *irq) == list("7"));
        let last = last.expect("an interrupt for CPU 7 alone");
        run(&mut lab, "echo 0 > /sys/devices/system/cpu/cpu7/online");
        let desc = lab.k.desc(Irq(last));
        for bit in [
            kstate::irqdesc::IRQD_IRQ_DISABLED,
            kstate::irqdesc::IRQD_IRQ_MASKED,
            kstate::irqdesc::IRQD_MANAGED_SHUTDOWN,
        ] {
            assert!(desc.has(bit), "{kernel:?}");
        }
        assert_eq!(affinities(&lab, last).1, "7");
        if *kernel == KernelVersion::V6_12 {
            assert_eq!(affinities(&lab, last).0, "0");
        }
        if lab.k.sem.housekeeping_managed_irq {
            let half = |isolated: &str| {
                let cmdline = format!("irqaffinity=0,1 isolcpus=domain,2-7 isolcpus=managed_irq,{isolated}");
                boot(*kernel, &cmdline, &virtio_scsi(2))
            };
            let pair = |effective: &str, list: &str| (effective.to_owned(), list.to_owned());
            let lab = half("1-3,5-7");
            assert_eq!(affinities(&lab, 24).1, "0-1");
            assert_eq!(affinities(&lab, 27), pair("0", "0-3"));
            assert_eq!(affinities(&lab, 28), pair("4", "4-7"));
            let mut lab = half("1-3,4-5,7");
            assert_eq!(affinities(&lab, 28), pair("6", "4-7"));
            run(&mut lab, "echo 0 > /sys/devices/system/cpu/cpu6/online");
            let (effective, list) = affinities(&lab, 28);
            // "One of the isolated CPUs": the document shows CPU 7.
            assert!(["4", "5", "7"].contains(&effective.as_str()) && list == "4-7", "{effective}");
        }
    }
}
