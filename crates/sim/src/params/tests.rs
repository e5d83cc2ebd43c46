//! What the command line makes of the machine.

use kstate::isolation::HkType;
use kstate::nvme::NvmeQuirkEntry;
use kstate::semantics::KernelVersion::{self, V5_4, V6_12, V7_3};
use kstate::shared::Shared;

use super::*;
use crate::machine::Machine;

/// A kernel that has parsed a command line, on a machine of 8 CPUs, and what it logged.
fn parsed(version: KernelVersion, cmdline: &str) -> Kernel {
    parsed_by(Semantics::of(version), cmdline)
}

fn parsed_by(semantics: Semantics, cmdline: &str) -> Kernel {
    let text = "kernel = \"v5.4\"\n[cpus]\npossible = 8\n";
    let machine = Machine::parse("machine.toml", text).expect("a machine");
    let mut k =
        Kernel { sem: semantics, saved_command_line: Shared::new(cmdline.into()), ..Kernel::default() };
    parse_early_param(&mut k);
    k.topo = kstate::shared::Shared::new(crate::topology::init_possible_cpus(&mut k, &machine));
    cpu::boot_cpu_init(&mut k);
    parse_args(&mut k);
    k
}

fn isolated(k: &Kernel, kind: HkType) -> String {
    k.topo.possible.andnot(&isolation::housekeeping_cpumask(k, kind)).list()
}

fn words(text: &str) -> Vec<(String, Option<String>, String)> {
    args(text).into_iter().map(|a| (a.param, a.value, text[a.start..a.end].to_owned())).collect()
}

#[test]
fn words_are_cut_as_the_kernel_cuts_them() {
    let word = |param: &str, value: Option<&str>, text: &str| {
        (param.to_owned(), value.map(str::to_owned), text.to_owned())
    };
    assert_eq!(words("  quiet  a=b=c\t"), [word("quiet", None, "quiet"), word("a", Some("b=c"), "a=b=c")]);
    assert_eq!(words("a=\"b c\" d"), [word("a", Some("b c"), "a=\"b c\""), word("d", None, "d")]);
    assert_eq!(words("\"a=b c\""), [word("a", Some("b c"), "\"a=b c\"")]);
    assert_eq!(words("a= =b"), [word("a", Some(""), "a="), word("=b", None, "=b")]);
    assert_eq!(words("a -- b"), [word("a", None, "a")]);
    assert_eq!(words("\"a"), [word("a", None, "\"a")]);
    assert_eq!(words(""), []);
}

#[test]
fn isolcpus_counts_as_each_kernel_reads_it() {
    // What is isolated from the domains and from managed interrupts, and the log.
    for (version, cmdline, domain, managed, log) in [
        (V5_4, "isolcpus=2-3", "2-3", "", ""),
        (V6_12, "isolcpus=2-3", "2-3", "", ""),
        (V5_4, "isolcpus=managed_irq,domain,2", "", "", "isolcpus: Error, unknown flag"),
        (V6_12, "isolcpus=managed_irq,domain,2", "2", "2", ""),
        (V6_12, "isolcpus=foo,2", "2", "", "isolcpus: Skipped unknown flag foo"),
        (V6_12, "isolcpus=managed_irq,foo,2", "", "2", "isolcpus: Skipped unknown flag foo"),
        (V5_4, "isolcpus=foo,2", "", "", "isolcpus: Error, unknown flag"),
        (V6_12, "isolcpus=fo1o,2", "", "", "isolcpus: Invalid flag fo1o"),
        (V6_12, "isolcpus=managed_irq,1 isolcpus=domain,1", "1", "1", ""),
        // Of two for the same kind the first counts; 5.4 has one mask for all kinds.
        (V6_12, "isolcpus=1 isolcpus=2", "1", "", "Housekeeping: nohz_full= must match isolcpus="),
        (V5_4, "isolcpus=1 isolcpus=2", "1", "", "Housekeeping: nohz_full= must match isolcpus="),
        (V6_12, "isolcpus=managed_irq,1 isolcpus=2", "2", "1", ""),
        (V5_4, "isolcpus=1 isolcpus=1", "1", "", ""),
        (V6_12, "isolcpus=4-N", "4-7", "", ""),
        (V6_12, "isolcpus=managed_irq,7-N", "", "7", ""),
        // A letter is read as a flag.
        (V6_12, "isolcpus=N", "", "", "isolcpus: Skipped unknown flag N"),
        (V5_4, "isolcpus=4-N", "", "", "Housekeeping: nohz_full= or isolcpus= incorrect CPU range"),
        (V5_4, "isolcpus=2,9", "", "", "Housekeeping: nohz_full= or isolcpus= incorrect CPU range"),
        (V6_12, "isolcpus=2,9", "", "", "Housekeeping: nohz_full= or isolcpus= incorrect CPU range"),
        (V5_4, "isolcpus=0-7", "1-7", "", "Housekeeping: must include one present CPU, using boot CPU:0"),
        (V6_12, "isolcpus=0-7", "1-7", "", "Housekeeping: must include one present CPU, using boot CPU:0"),
        // The first CPU that is left is not brought up at boot.
        (
            V6_12,
            "maxcpus=2 isolcpus=0-3",
            "1-3",
            "",
            "Housekeeping: must include one present CPU, using boot CPU:0",
        ),
        (V5_4, "maxcpus=2 isolcpus=0-3", "0-3", "", ""),
        (V7_3, "isolcpus=managed_irq,domain,2", "2", "2", ""),
        (V7_3, "isolcpus=1 isolcpus=2", "1", "", "Housekeeping: nohz_full= must match isolcpus="),
        (V6_12, "isolcpus=nohz,2", "", "", "Housekeeping: nohz unsupported. Build with CONFIG_NO_HZ_FULL"),
        (
            V5_4,
            "isolcpus=nohz,domain,2",
            "",
            "",
            "Housekeeping: nohz unsupported. Build with CONFIG_NO_HZ_FULL",
        ),
    ] {
        let k = parsed(version, cmdline);
        let found = (isolated(&k, HkType::Domain), isolated(&k, HkType::ManagedIrq));
        assert_eq!(found, (domain.to_owned(), managed.to_owned()), "{cmdline} on {}", version.name());
        let logged: Vec<&str> =
            k.log.iter().map(String::as_str).filter(|l| !l.starts_with("Unknown")).collect();
        assert_eq!(logged.concat(), log, "{cmdline} on {}", version.name());
    }
}

#[test]
fn nohz_full_isolates_from_work_where_it_is_built() {
    let mut sem = Semantics::of(V6_12);
    assert_eq!(sem.set("no_hz_full", "on"), Ok(()));
    let k = parsed_by(sem, "nohz_full=2-3 isolcpus=managed_irq,7");
    assert_eq!(isolated(&k, HkType::Wq), "2-3");
    assert_eq!(isolated(&k, HkType::ManagedIrq), "7");
    assert_eq!(isolated(&k, HkType::Domain), "");
    assert_eq!(kcore::workqueue::wq_unbound_cpumask(&k).list(), "0-1,4-7");
}

#[test]
fn nohz_is_one_kind_of_work_in_7_3_and_leaves_a_cpu_to_the_house() {
    let parsed = |cmdline: &str| {
        let mut sem = Semantics::of(V7_3);
        assert_eq!(sem.set("no_hz_full", "on"), Ok(()));
        parsed_by(sem, cmdline)
    };
    let k = parsed("isolcpus=nohz,2");
    assert_eq!((isolated(&k, HkType::Wq), isolated(&k, HkType::Kthread)), ("2".into(), "2".into()));
    assert_eq!(isolated(&k, HkType::Domain), "");
    // Each of the two leaves half of the machine, and both together nothing.
    let k = parsed("nohz_full=0-3 isolcpus=domain,4-7");
    assert_eq!((isolated(&k, HkType::Tick), isolated(&k, HkType::Domain)), ("0-3".into(), String::new()));
    assert!(k.log.iter().any(|line| line.ends_with("ignoring setting 4-7")), "{:?}", k.log);
    // CPUs that boot leaves alone do not keep the house.
    let k = parsed("maxcpus=4 nohz_full=0-1 isolcpus=domain,2-3");
    assert_eq!(isolated(&k, HkType::Domain), "");
    // Managed interrupts are another matter.
    let k = parsed("nohz_full=0-3 isolcpus=managed_irq,4-7");
    assert_eq!(isolated(&k, HkType::ManagedIrq), "4-7");
}

#[test]
fn mitigations_of_7_3_may_leave_out_kinds_of_attack() {
    let k = |cmdline: &str| parsed(V7_3, cmdline);
    for (cmdline, nosmt, log) in [
        ("mitigations=auto,nosmt,no_user_user,no_cross_thread", true, ""),
        ("mitigations=auto,no_guest_host", false, ""),
        ("mitigations=auto,nosmt,nothing", true, "Unsupported mitigations options nothing"),
        (
            "mitigations=no_user_user",
            false,
            "Unsupported mitigations=no_user_user, system may still be vulnerable",
        ),
        ("mitigations=autos", false, "Unsupported mitigations=autos, system may still be vulnerable"),
    ] {
        let k = k(cmdline);
        assert_eq!(k.hotplug.mitigations_auto_nosmt, nosmt, "{cmdline}");
        assert_eq!(k.log.concat(), log, "{cmdline}");
    }
}

#[test]
fn quirks_of_7_3_are_given_by_vendor_and_device() {
    let list = |value: &str| {
        let k = parsed(V7_3, &format!("nvme.quirks={value}"));
        let list = k.params.nvme_pci_quirk_list.iter().map(|entry| {
            let NvmeQuirkEntry { vendor_id, dev_id, enabled_quirks, disabled_quirks } = entry;
            format!("{vendor_id:x} {dev_id:x} +{enabled_quirks:x} -{disabled_quirks:x}")
        });
        (list.collect::<Vec<_>>().join(", "), k.log.join(", "))
    };
    let fine = |value: &str, entries: &str| assert_eq!(list(value), (entries.into(), String::new()));
    fine("1b36:0010:single_vector", "1b36 10 +800 -0");
    fine("0x1b36:10:single_vector,^broken_msi", "1b36 10 +800 -200000");
    fine("1b36:10:qdepth_one-144d:a821:no_apst", "1b36 10 +40 -0, 144d a821 +10 -0");
    fine("1b36:10:", "1b36 10 +0 -0");
    // Nothing behind an empty name is looked at, and neither is a fourth field.
    fine("1b36:10:no_apst,,nothing:more", "1b36 10 +10 -0");
    fine("", "");
    let invalid = |value: &str, more: &str| {
        let log = format!(
            "{more}nvme: failed to parse quirk string {value}, Booting kernel: `{value}' invalid for parameter `nvme.quirks'"
        );
        assert_eq!(list(value), (String::new(), log));
    };
    invalid("1b36:10", "");
    invalid("1b36", "");
    invalid("11b36:10:no_apst", "");
    invalid("1b36:10:no_apst-", "");
    invalid("1b36:10:^nothing", "nvme: unrecognized quirk nothing, ");
    let long = format!("1b36:10:{}", "no_apst,".repeat(15));
    assert_eq!(long.len(), 128);
    assert!(list(&long).1.starts_with("nvme.quirks: string doesn't fit in 127 chars., "));
}

#[test]
fn words_that_nobody_takes_are_handed_to_init() {
    let line = |version, cmdline: &str| {
        let k = parsed(version, cmdline);
        let unknown = k.log.iter().find(|line| line.starts_with("Unknown kernel command line"));
        unknown.map(|line| line.split('"').nth(1).unwrap_or_default().to_owned())
    };
    assert_eq!(line(V6_12, "splash quiet foo.bar=1 BOOT_IMAGE=/vmlinuz TERM=vt"), None);
    assert_eq!(
        line(V6_12, "isolcpu=3 single_user nr_cpu=4 isolcpu=2").as_deref(),
        Some("single_user isolcpu=2 nr_cpu=4")
    );
    assert_eq!(line(V5_4, "isolcpu=3"), None);
    // A function that does not take its word leaves it to init, too.
    assert_eq!(line(V6_12, "isolcpus=9").as_deref(), Some("isolcpus=9"));
    assert_eq!(line(V6_12, "nohz_full=2").as_deref(), Some("nohz_full=2"));
    // A dash is an underscore, and a __setup() is a beginning.
    assert_eq!(line(V6_12, "nr-cpus=4 noirqdebugging"), None);
    assert_eq!(line(V6_12, "-- foo"), None);
    // Words of the other kernel.
    assert_eq!(
        line(V6_12, "disable_cpu_apicid=3 cpu0_hotplug").as_deref(),
        Some("cpu0_hotplug disable_cpu_apicid=3")
    );
}

#[test]
fn limits_of_cpus_are_those_of_each_kernel() {
    // possible and present.
    for (cmdline, old, new) in [
        ("", (8, 8), (8, 8)),
        ("nr_cpus=4", (4, 4), (4, 4)),
        ("nr_cpus=0x3", (3, 3), (3, 3)),
        ("nr_cpus=010", (8, 8), (8, 8)),
        ("nr_cpus=0", (8, 8), (8, 8)),
        ("nr_cpus=-1", (8, 8), (8, 8)),
        ("nr_cpus=99", (8, 8), (8, 8)),
        ("possible_cpus=4", (4, 4), (4, 4)),
        ("possible_cpus=10", (10, 8), (8, 8)),
        ("possible_cpus=10 nr_cpus=9", (9, 8), (8, 8)),
        ("maxcpus=4", (8, 8), (8, 8)),
        ("maxcpus=0", (1, 1), (1, 1)),
        ("maxcpus=four", (1, 1), (1, 1)),
        ("maxcpus", (8, 8), (8, 8)),
        ("nosmp", (1, 1), (1, 1)),
        ("nolapic", (1, 1), (1, 1)),
        ("disableapic", (1, 1), (1, 1)),
        ("disable_cpu_apicid=3", (8, 7), (8, 8)),
        // The boot CPU cannot be left out.
        ("disable_cpu_apicid=0", (8, 8), (8, 8)),
    ] {
        for (version, expected) in [(V5_4, old), (V6_12, new)] {
            let k = parsed(version, cmdline);
            let found = (k.topo.possible.weight(), k.topo.present.weight());
            assert_eq!(found, expected, "{cmdline} on {}", version.name());
            assert_eq!(k.topo.cpus.len() as u32, k.topo.nr_cpu_ids);
        }
    }
    let k = parsed(V5_4, "disable_cpu_apicid=3");
    let ids: Vec<u32> = k.topo.cpus.iter().map(|cpu| cpu.apic_id.0).collect();
    assert_eq!(ids[..7], [0, 1, 2, 4, 5, 6, 7], "numbers go to the CPUs that are left");
    assert_eq!(*k.log, ["APIC: Disabling requested cpu. Processor 3/0x3 ignored."]);
    let k = parsed(V6_12, "nr_cpus=4 nosmp");
    assert_eq!(
        *k.log,
        ["CPU topo: Limiting to 1 possible CPUs", "CPU topo: CPU limit of 1 reached. Ignoring further CPUs"]
    );
}

#[test]
fn the_default_affinity_is_what_could_be_read() {
    for (version, cmdline, expected) in [
        (V5_4, "irqaffinity=1-2,99", "0-2"),
        (V6_12, "irqaffinity=1-2,99", "0-2"),
        (V6_12, "irqaffinity=0,1,2,3,4,5,6,7,8,9", "0-7"),
        (V5_4, "irqaffinity=0,1,2,3,4,5,6,7,8,9", "0-7"),
        (V6_12, "irqaffinity=N", "0,7"),
        (V5_4, "irqaffinity=N", "0"),
        (V6_12, "irqaffinity=2 irqaffinity=3", "0,3"),
    ] {
        let k = parsed(version, cmdline);
        assert_eq!(k.irq.default_affinity.list(), expected, "{cmdline} on {}", version.name());
    }
}

#[test]
fn parameters_of_modules_are_checked_by_their_modules() {
    let k = parsed(V6_12, "nvme.write_queues=9 nvme.poll_queues=2 nvme_core.io_timeout=5");
    assert_eq!((k.params.nvme_write_queues, k.params.nvme_poll_queues, k.params.nvme_io_timeout), (0, 2, 5));
    assert_eq!(*k.log, ["Booting kernel: `9' invalid for parameter `nvme.write_queues'"]);
    assert_eq!(parsed(V5_4, "nvme.write_queues=9").params.nvme_write_queues, 9);
    // Checked as a decimal number, read as an octal one.
    assert_eq!(parsed(V6_12, "nvme.io-queue-depth=010").params.nvme_io_queue_depth, 8);
    let k = parsed(V6_12, "nvme.io_queue_depth");
    assert_eq!(*k.log, ["Booting kernel: `' invalid for parameter `nvme.io_queue_depth'"]);
    assert_eq!(parsed(V5_4, "virtio_blk.poll_queues=2").params.virtblk_poll_queues, 0);
}

#[test]
fn early_words_are_read_once_and_in_order() {
    let k = parsed(V6_12, "noapic apic cpuhp.parallel=maybe apic=loud");
    assert!(!k.apic.ioapic_is_disabled);
    assert_eq!(
        *k.log,
        [
            "Malformed early option 'cpuhp.parallel'",
            "APIC Verbosity level loud not recognised use apic=verbose or apic=debug",
            "Malformed early option 'apic'"
        ]
    );
    let k = parsed(V5_4, "intremap=off,nosid intremap=on nox2apic threadirqs pci=noaer,nomsi");
    assert!(!k.remap.disable_irq_remap && k.remap.disable_sourceid_checking && k.params.nox2apic);
    assert!(k.irq.force_irqthreads && !k.pci.pci_msi_enable);
}

#[test]
fn a_word_is_known_or_refused() {
    let problem = |word: &str| check(&args(word)[0]).err();
    for word in [
        "isolcpus=1",
        "nr-cpus=2",
        "root=/dev/vda1",
        "console=ttyS0,115200n8",
        "i915.modeset=0",
        "mds=full",
        "nvme_core.default_ps_max_latency_us=0",
        "iommu=pt",
        "pci=noaer,nomsi",
        "acpi=force",
        "BOOT_IMAGE=x",
        "mitigations=auto,nosmt",
        "panic=1",
        "disable_cpu_apicid=1",
        "nvme.quirks=1b36:0010:single_vector,^no_apst",
    ] {
        assert_eq!(problem(word), None, "{word}");
    }
    for word in [
        "acpi=off",
        "acpi=noirq",
        "pci=noacpi",
        "pci=routeirq",
        "numa=off",
        "mds=full,nosmt",
        "iommu=off",
        "i8042.noaux",
        "trace_event=irq:*",
        "intremap=on,posted_msi",
        "possible_cpus=0",
        "nvme.quirks=1b36:0010:broken_msi-144d:a821:^shared_tags",
        "isolcpus=io_queue,1-3",
        "isolcpus=managed_irq,io_queue,1-3",
    ] {
        assert!(matches!(problem(word), Some(Problem::NotModelled { .. })), "{word}");
    }
    for (word, expected) in [
        ("isolcpu=3", Some("isolcpus")),
        ("nr_cpu=4", Some("nr_cpus")),
        ("nvme.poll_queue=1", Some("nvme.poll_queues")),
        ("isolcpus", Some("isolcpus")),
        ("xyzzy=1", None),
    ] {
        let Some(Problem::Unknown { near }) = problem(word) else { panic!("{word} is known") };
        assert_eq!(near.first().copied(), expected, "{word}");
    }
}
