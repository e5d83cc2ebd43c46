//! Tools of Linux distributions read the /proc and /sys that `irqlab state --sysroot` writes, and say what the machine
//! file says. A tool that is not installed is named and skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use irqlab::{Lab, Machine};

const MACHINE: &str = "kernel = \"v7.3\"\n[cpus]\npossible = 12\npresent = 8\nhypervisor = true\n\
    nodes = [\"0,2,4,6,8,10\", \"1,3,5,7,9,11\"]\npackages = [\"0,2,4,6\", \"1,3,5,7\"]\n\
    siblings = [\"0,4\", \"1,5\", \"2,6\", \"3,7\"]\nl2 = [\"0,2,4,6\", \"1,5\", \"3,7\", \"8\", \"9\", \"10\", \"11\"]\noffline = \"7\"\n\
    [[pci]]\naddress = \"0000:02:00.0\"\nmodel = \"nvme\"\nnode = 1\nio_queue_pairs_max = 12\nmsix_vectors = 13\n\
    [[pci]]\naddress = \"0000:03:00.0\"\nmodel = \"megaraid_sas\"\nnode = 0\nname = \"0\"\nmsix_vectors = 16\n";

/// The machine's files, in a folder that goes when this does.
struct Root(PathBuf);

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn root(name: &str) -> Root {
    let folder = std::env::temp_dir().join(format!("irqlab-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("machine.toml"), MACHINE).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
    let status = command.args(["state", "machine.toml", "--sysroot", "root"]).current_dir(&folder).output();
    assert!(status.expect("irqlab").status.success());
    Root(folder)
}

/// What a tool prints; nothing where it is not installed or cannot do this.
fn tool(name: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(name).args(arguments).current_dir(folder).env("LC_ALL", "C").output();
    match output {
        Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            eprintln!("skipped: {name} {}: {why}", arguments.join(" "));
            None
        }
        Err(e) => {
            eprintln!("skipped: {name}: {e}");
            None
        }
    }
}

#[test]
fn lscpu_says_what_the_machine_file_says() {
    let root = root("lscpu");
    let Some(text) = tool("lscpu", &["--sysroot", "root"], &root.0) else { return };
    let said: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    for (key, value) in [
        ("CPU(s)", "8"),
        ("On-line CPU(s) list", "0-6"),
        ("Off-line CPU(s) list", "7"),
        ("Thread(s) per core", "2"),
        ("Socket(s)", "2"),
        ("NUMA node(s)", "2"),
        ("NUMA node0 CPU(s)", "0,2,4,6"),
        ("NUMA node1 CPU(s)", "1,3,5"),
    ] {
        assert_eq!(said.get(key), Some(&value), "{key}\n{text}");
    }
    let columns = ["--sysroot", "root", "-p=CPU,CORE,SOCKET,NODE,CACHE"];
    let Some(text) = tool("lscpu", &columns, &root.0) else { return };
    let rows: Vec<Vec<&str>> =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(',').collect()).collect();
    let machine = Machine::parse("machine.toml", MACHINE).expect("a machine");
    let k = Lab::boot(&machine).into_kernel();
    assert_eq!(rows.len(), 7, "{text}");
    for a in &rows {
        for b in &rows {
            let cpu = |row: &[&str]| row[0].parse().expect("a number");
            let places = (machine.place(cpu(a)), machine.place(cpu(b)));
            let same = |column: usize| a[column] == b[column];
            let (is, other) = (&places.0, &places.1);
            assert_eq!(
                (same(1), same(2), same(3)),
                (is.core == other.core, is.socket == other.socket, is.node == other.node)
            );
            // The L2, behind L1d and L1i, is what the file lists.
            let l2 = |row: &[&str]| row.last().map(|id| (*id).to_owned());
            let shared = k.topo.topology_cluster_cpumask(kstate::CpuId(cpu(a))).expect("a mask");
            assert_eq!(l2(a) == l2(b), shared.contains(kstate::CpuId(cpu(b))), "{text}");
        }
    }
}

#[test]
fn lsirq_counts_what_the_machine_counts() {
    let root = root("lsirq");
    let machine = Machine::parse("machine.toml", MACHINE).expect("a machine");
    let k = Lab::boot(&machine).into_kernel();
    // Older ones read nothing but /proc/interrupts, which a namespace of mounts replaces.
    let bound = "mount --bind root/proc/interrupts /proc/interrupts && lsirq -r -n -o IRQ,TOTAL";
    let text = tool("lsirq", &["--input", "root/proc/interrupts", "-r", "-n", "-o", "IRQ,TOTAL"], &root.0)
        .or_else(|| tool("unshare", &["-rm", "sh", "-c", bound], &root.0));
    let Some(text) = text else { return };
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let (irq, total) = line.split_once(' ').expect("two columns");
        let Ok(irq) = irq.parse() else { continue };
        let counted = k.find_desc(kstate::Irq(irq)).expect("an interrupt");
        let sum: u32 = k.topo.online.iter().map(|cpu| irqcore::irqdesc::kstat_irqs_cpu(counted, cpu)).sum();
        assert_eq!(total.trim(), sum.to_string(), "{irq}\n{text}");
        seen.insert(irq);
    }
    let here: BTreeSet<u32> =
        k.for_each_irq().filter(|irq| !k.desc(*irq).action.is_empty()).map(|irq| irq.0).collect();
    assert_eq!(seen, here, "{text}");
}

#[test]
fn lstopo_draws_what_the_machine_file_says() {
    let root = root("lstopo");
    let arguments = ["--input", "root", "--no-io", "--of", "console", "--no-caches"];
    let lstopo = |arguments: &[&str]| {
        tool("lstopo-no-graphics", arguments, &root.0).or_else(|| tool("lstopo", arguments, &root.0))
    };
    let Some(text) = lstopo(&arguments) else { return };
    let count = |what: &str| text.matches(what).count();
    let (packages, nodes, cores, cpus) =
        (count("Package L#"), count("NUMANode L#"), count("Core L#"), count("PU L#"));
    assert_eq!((packages, nodes, cores, cpus), (2, 2, 4, 7), "{text}");
    let Some(text) = lstopo(&["--input", "root", "--no-io", "--of", "console"]) else { return };
    // One of four CPUs, and one of each of the other two cores.
    assert_eq!(text.matches("L2 L#").count(), 3, "{text}");
    assert_eq!(text.matches("L1d L#").count(), 4, "{text}");
}
