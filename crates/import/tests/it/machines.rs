//! Machines of the emulator, written as archives and read back; and small files made by hand.

use std::io::Cursor;

use import::tree::{Entry, Tree};
use import::{Imported, Options, Source};
use sim::lab::Lab;
use sim::machine::Machine;

/// The files of a machine that runs, as a collector takes them; with `debug` those of debugfs as well.
fn archive(lab: &Lab, debug: bool) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (path, entry) in import::sysroot::files(&lab.k) {
        if !debug && path.starts_with("sys/kernel/debug") {
            continue;
        }
        append(&mut out, &path, entry);
    }
    out.into_inner().expect("memory")
}

fn append(out: &mut tar::Builder<Vec<u8>>, path: &str, entry: Entry) {
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
            let (source, imported) = read(archive(&lab, debug));
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
pub fn tree(interrupts: &str, more: &[(&str, &str)]) -> Tree {
    let mut out = tar::Builder::new(Vec::new());
    for (path, text) in [("proc/interrupts", interrupts)].iter().chain(more) {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        out.append_data(&mut header, path, text.as_bytes()).expect("memory");
    }
    let bytes = out.into_inner().expect("memory");
    Tree::read_from("archive", Cursor::new(bytes)).expect("an archive")
}

/// What is imported of such files.
pub fn files(interrupts: &str, more: &[(&str, &str)]) -> (Source, Imported) {
    let source = Source::of(&tree(interrupts, more));
    let (imported, _) = source.import(&Options::default()).unwrap_or_else(|e| panic!("{e}"));
    (source, imported)
}

/// What /proc and /sys say of a machine: its CPUs' places, and its functions.
fn described(machine: &Machine) -> Vec<String> {
    let k = Lab::boot(machine).k;
    let mut out = Vec::new();
    for cpu in k.topo.online.iter() {
        let place = &k.topo.cpus[cpu.index()];
        let l2 = k.topo.topology_cluster_cpumask(cpu).map(kstate::CpuMask::list);
        out.push(format!(
            "cpu {cpu} node {} core {} id {} l2 {l2:?}",
            place.node,
            k.topo.siblings[cpu.index()].list(),
            place.apic_id
        ));
    }
    let (possible, online) = (k.topo.possible.list(), k.topo.online.list());
    out.push(format!("possible {possible} online {online} x2apic {}", k.apic.x2apic_mode));
    for (dev, function) in machine.pci.iter().zip(&k.pci.devs) {
        let driver =
            k.find_pci_dev(&dev.address).and_then(|dev| k.pci_driver_of(dev)).map(|driver| driver.name);
        // The numbers of queues that a driver of the model makes, and what has room for its messages.
        out.push(format!(
            "{} {} {driver:?} msix {} msi {} pin {}",
            dev.address, dev.model.name, dev.msix_vectors, dev.msi_vectors, function.pin
        ));
    }
    out
}

#[test]
fn drawn_machines_come_back_from_their_files() {
    let mut seen = 0;
    for seed in 0..90 {
        let drawn = explore::generate::Experiment::new(seed);
        let machine = Machine::parse("drawn.toml", &drawn.machine).expect("a machine");
        let lab = Lab::boot(&machine);
        let mut out = tar::Builder::new(Vec::new());
        for (path, entry) in import::sysroot::files(&lab.k) {
            append(&mut out, &path, entry);
        }
        let (source, imported) = read(out.into_inner().expect("memory"));
        let check = source.check(&imported);
        assert!(check.agrees(), "{seed}\n{}\n{}\n{check}", drawn.machine, imported.text);
        for kind in check.kinds.iter().filter(|kind| !kind.what.starts_with("interrupts that")) {
            assert_eq!(kind.lines, kind.same, "{seed}\n{}\n{}\n{check}", drawn.machine, imported.text);
        }
        assert_eq!(imported.machine.kernel, machine.kernel, "{seed}");
        let (is, was) = (described(&imported.machine), described(&machine));
        let differ: Vec<_> = is.iter().zip(&was).filter(|(is, was)| is != was).collect();
        assert!(
            is.len() == was.len() && differ.is_empty(),
            "{seed} {differ:?}\n{}\n{}",
            drawn.machine,
            imported.text
        );
        seen += 1;
    }
    assert_eq!(seen, 90);
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

#[cfg(unix)]
#[test]
fn the_collector_takes_what_import_reads() {
    let folder = std::env::temp_dir().join(format!("irqlab-collector-{}", std::process::id()));
    let (lab, machine) = server("v6.12");
    for (path, entry) in import::sysroot::files(&lab.k) {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let path = folder.join("root").join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        match entry {
            Entry::File(bytes, mode) => {
                std::fs::write(&path, bytes).expect("a file");
                let mode = std::fs::Permissions::from_mode(mode.unwrap_or(0o644));
                std::fs::set_permissions(&path, mode).expect("a mode");
            }
            Entry::Link(to) => symlink(to, path).expect("a link"),
        }
    }
    std::fs::write(folder.join("collect.sh"), import::COLLECT).expect("a file");
    let collect = std::process::Command::new("sh").args(["collect.sh", "root"]).current_dir(&folder).output();
    let collect = collect.expect("a shell");
    assert!(collect.status.success(), "{}", String::from_utf8_lossy(&collect.stderr));
    let (source, imported) = read(collect.stdout);
    std::fs::remove_dir_all(&folder).expect("the folder");
    let check = source.check(&imported);
    assert!(check.agrees() && check.kinds.iter().any(|kind| kind.what.starts_with("vector")), "{check}");
    assert_eq!(described(&imported.machine), described(&machine), "{}", imported.text);
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
