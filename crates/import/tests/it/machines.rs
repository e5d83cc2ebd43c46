//! Machines of the emulator, written as archives and read back; and small files made by hand.

use std::io::Cursor;

use import::tree::{Entry, Tree};
use import::{Imported, Options, Source};
use sim::lab::Lab;
use sim::machine::Machine;

/// The files of a machine that runs, as a collector takes them; with `debug` those of debugfs as well.
fn archive(lab: &Lab, machine: &Machine, debug: bool) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (path, entry) in import::sysroot::files(&lab.k, machine.kernel) {
        if !debug && path.starts_with("sys/kernel/debug") {
            continue;
        }
        let mut header = tar::Header::new_ustar();
        match entry {
            Entry::File(bytes, mode) => {
                header.set_size(bytes.len() as u64);
                header.set_mode(mode.unwrap_or(0o644));
                out.append_data(&mut header, path, &bytes[..]).expect("memory");
            }
            Entry::Link(to) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                out.append_link(&mut header, path, to).expect("memory");
            }
        }
    }
    out.into_inner().expect("memory")
}

fn read(bytes: Vec<u8>) -> (Source, Imported) {
    let source = Source::of(&Tree::read_from("archive", Cursor::new(bytes)).expect("an archive"));
    let (imported, _) = source.import(&Options::default()).unwrap_or_else(|e| panic!("{e}"));
    (source, imported)
}

const SERVER: &str = "cmdline = \"isolcpus=managed_irq,domain,3 root=/dev/vda\"\nioapics = [24, 8]\n[cpus]\npossible = 12\npresent = 8\nhypervisor = true\n\
    nodes = [\"0,2,4,6,8,10\", \"1,3,5,7,9,11\"]\npackages = [\"0,2,4,6\", \"1,3,5,7\"]\nsiblings = [\"0,4\", \"1,5\", \"2,6\", \"3,7\"]\n\
    offline = \"7\"\n[[line]]\ngsi = 8\nname = \"rtc0\"\n[[line]]\ngsi = 9\nname = \"acpi\"\n\
    [[pci]]\naddress = \"0000:02:00.0\"\nmodel = \"nvme\"\nnode = 1\nio_queue_pairs_max = 12\nmsix_vectors = 13\n\
    [[pci]]\naddress = \"0000:03:00.0\"\nmodel = \"megaraid_sas\"\nnode = 0\nname = \"14\"\nmsix_vectors = 16\n\
    [[pci]]\naddress = \"0000:04:00.1\"\nmodel = \"ixgbe\"\nname = \"eno2\"\nnode = 0\nmsix_vectors = 64\n\
    [[pci]]\naddress = \"0000:05:00.0\"\nmodel = \"mpt3sas\"\nnode = 1\nmsix_vectors = 3\n";

fn server(kernel: &str) -> (Lab, Machine) {
    let machine =
        Machine::parse("server.toml", &format!("kernel = \"{kernel}\"\n{SERVER}")).expect("a machine");
    let mut lab = Lab::boot(&machine);
    // irqbalance was here.
    let script = "for i in 44 45 46; do echo 2 > /proc/irq/$i/smp_affinity_list; done\nsleep 1\n";
    let script = sim::script::Script::parse("s.sh", script).expect("a script");
    lab.run(&script, |_| sim::state::Sections::default());
    (lab, machine)
}

#[test]
fn what_the_emulator_writes_it_reads_back() {
    for kernel in ["v5.4", "v6.12"] {
        for debug in [false, true] {
            let (lab, machine) = server(kernel);
            let (source, imported) = read(archive(&lab, &machine, debug));
            let check = source.check(&imported);
            assert!(check.agrees(), "{kernel}\n{check}");
            for kind in &check.kinds {
                let free = kind.what.starts_with("vector") || kind.what.starts_with("interrupts that");
                assert!(free || kind.lines == kind.same, "{kernel}\n{check}");
            }
            // Twelve queues and eight, and three messages of the HBA.
            assert_eq!(imported.managed.len(), 12 + 8 + 3, "{kernel}");
            assert_eq!(imported.machine.kernel.name(), kernel);
            assert_eq!(imported.machine.cmdline, "isolcpus=managed_irq,domain,3");
            assert_eq!((imported.machine.possible, imported.machine.present), (12, 8));
            assert_eq!(imported.machine.offline.list(), "7");
            assert!(!imported.text.contains("root="), "nobody's business");
            // What /sys says of a function comes back.
            let tables = |m: &Machine| {
                m.pci.iter().map(|d| (d.address.clone(), d.msix_vectors, d.node)).collect::<Vec<_>>()
            };
            assert_eq!(tables(&imported.machine), tables(&machine));
            // The machine that was imported writes the same files.
            let again = Lab::boot(&imported.machine);
            let rows = |lab: &Lab| {
                let text = irqcore::proc::show_interrupts(&lab.k);
                import::interrupts::Interrupts::parse(&text).map(|all| {
                    all.rows.into_iter().map(|row| (row.irq, row.chip, row.actions)).collect::<Vec<_>>()
                })
            };
            assert_eq!(rows(&again), rows(&lab), "{kernel}");
        }
    }
}

/// A text of /proc/interrupts and files beside it.
fn files(interrupts: &str, more: &[(&str, &str)]) -> (Source, Imported) {
    let mut out = tar::Builder::new(Vec::new());
    for (path, text) in [("proc/interrupts", interrupts)].iter().chain(more) {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        out.append_data(&mut header, path, text.as_bytes()).expect("memory");
    }
    read(out.into_inner().expect("memory"))
}

#[test]
fn one_queue_per_cpu_alone_does_not_make_a_message_managed() {
    let rows = |name: &str| -> String {
        let head = "  CPU0 CPU1 CPU2 CPU3 CPU4 CPU5\n".to_owned();
        (0..6).fold(head, |all, i| {
            all + &format!(" {}: 0 0 0 0 0 0 PCI-MSIX-0000:01:00.0 {i}-edge {name}{i}\n", 24 + i)
        })
    };
    let lists: Vec<(String, String)> =
        (0..6).map(|i| (format!("proc/irq/{}/smp_affinity_list", 24 + i), format!("{i}\n"))).collect();
    let lists: Vec<(&str, &str)> = lists.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    // A network card whose driver nobody knows, a card that is known not to spread, and one that is known to.
    for (name, managed) in [("accel-", 0), ("eth0-TxRx-", 0), ("mlx5_comp", 0), ("mpt3sas0-msix", 6)] {
        let (source, imported) = files(&rows(name), &lists);
        assert_eq!(imported.managed.len(), managed, "{name}");
        assert!(source.check(&imported).agrees(), "{name}");
    }
    // One sign is enough: memory on a node, of a function that is on none.
    let nodes: Vec<(String, String)> =
        (0..6).map(|i| (format!("proc/irq/{}/node", 24 + i), "0\n".to_owned())).collect();
    let more: Vec<(&str, &str)> = nodes.iter().map(|(a, b)| (a.as_str(), b.as_str())).chain(lists).collect();
    assert_eq!(files(&rows("accel-"), &more).1.managed.len(), 6);
}

#[test]
fn old_numbers_of_messages_have_the_function_in_them() {
    // 2b:00.0 and its first two messages, as a kernel before 6.2 numbers them.
    let text = "  CPU0 CPU1\n 44: 0 0 IR-PCI-MSI 22544384-edge nvme0q0\n 45: 0 0 IR-PCI-MSI 22544385-edge nvme0q1\n \
                46: 0 0 IR-PCI-MSI 22544386-edge nvme0q2\n";
    let (source, imported) = files(text, &[]);
    let check = source.check(&imported);
    assert_eq!(imported.machine.pci[0].address, "0000:2b:00.0");
    assert_eq!(imported.machine.pci[0].model.name, "nvme");
    assert!(imported.machine.interrupt_remapping && check.agrees(), "{check}\n{}", imported.text);
    assert_eq!(imported.managed.iter().copied().collect::<Vec<_>>(), [45, 46], "{check}");
}

#[test]
fn lspci_knows_the_table_and_the_driver() {
    let lspci = "01:00.0 RAID bus controller: x\n\tNUMA node: 0\n\tCapabilities: [c0] MSI-X: Enable+ Count=97 Masked-\n\
                 \tKernel driver in use: megaraid_sas\n";
    let text = "  CPU0 CPU1\n 30: 0 0 PCI-MSIX-0000:01:00.0 0-edge megasas0-msix0\n 31: 0 0 PCI-MSIX-0000:01:00.0 1-edge \
                megasas0-msix1\n 32: 0 0 PCI-MSIX-0000:01:00.0 2-edge megasas0-msix2\n";
    let (_, imported) = files(text, &[("sos_commands/pci/lspci_-nnvv", lspci)]);
    let device = &imported.machine.pci[0];
    assert_eq!((device.msix_vectors, device.irqs.clone()), (97, vec![30, 31, 32]));
    assert_eq!(device.board.as_ref().map(|board| board.profile.driver.name), Some("megaraid_sas"));
}

#[test]
fn the_collector_is_a_shell_script() {
    let script = import::COLLECT;
    let path = std::env::temp_dir().join(format!("irqlab-collect-{}.sh", std::process::id()));
    std::fs::write(&path, script).expect("a file");
    let parsed = std::process::Command::new("sh").arg("-n").arg(&path).output();
    std::fs::remove_file(&path).expect("the file");
    let parsed = parsed.expect("a shell");
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
}
