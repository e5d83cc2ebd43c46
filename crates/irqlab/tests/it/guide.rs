//! What the commands of docs/import.md read, which `documents.rs` runs, and the collector on the computer that tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The machine that stands in for a server.
pub const SERVER: &str = "kernel = \"v6.12\"\n[cpus]\npossible = 12\npresent = 12\n\
    nodes = [\"0,2,4,6,8,10\", \"1,3,5,7,9,11\"]\npackages = [\"0,2,4,6,8,10\", \"1,3,5,7,9,11\"]\n\
    siblings = [\"0,6\", \"1,7\", \"2,8\", \"3,9\", \"4,10\", \"5,11\"]\n\
    [[pci]]\naddress = \"0000:02:00.0\"\nmodel = \"nvme\"\nnode = 1\nio_queue_pairs_max = 12\nmsix_vectors = 13\n\
    [[pci]]\naddress = \"0000:03:00.0\"\nmodel = \"megaraid_sas\"\nnode = 0\nname = \"0\"\nmsix_vectors = 8\n\
    [[pci]]\naddress = \"0000:04:00.0\"\nmodel = \"ixgbe\"\nname = \"eno1\"\nnode = 0\nmsix_vectors = 6\n";

/// A folder that goes when this does.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("irqlab-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Runs a line of a shell in it.
    fn run(&self, line: &str) -> std::process::Output {
        let program = Path::new(env!("CARGO_BIN_EXE_irqlab")).parent().expect("a folder");
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(&self.0).env("PATH", path).env("NO_COLOR", "1");
        shell.output().expect("a shell")
    }

    fn done(&self, line: &str) {
        let output = self.run(line);
        assert!(output.status.success(), "`{line}`: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the commands read, under the names that they use.
pub fn prepare(folder: &Folder) {
    folder.write("emulated.toml", SERVER);
    folder.done("irqlab state emulated.toml --sysroot emulated");
    let sos = "sosreport-db1-2026";
    folder.done(&format!(
        "mkdir -p {sos}/sys/devices/system && cp -r emulated/proc {sos}/ && \
         cp -r emulated/sys/devices/system/. {sos}/sys/devices/system/ && mkdir -p {sos}/sos_commands/pci"
    ));
    folder.write(
        &format!("{sos}/sos_commands/pci/lspci_-nnvv"),
        "03:00.0 RAID\n\tNUMA node: 0\n\tCapabilities: [c0] MSI-X: Enable+ Count=8 Masked-\n\tKernel driver in use: megaraid_sas\n",
    );
    folder.done(&format!("tar czf sosreport-db1.tar.gz {sos}"));
    folder.done("mkdir -p must-gather/worker-1 && tar czf must-gather/worker-1/sysinfo.tgz -C emulated proc sys/devices/system");
    // Nothing of interrupts, as hwloc gathers it.
    folder.done("mkdir host && cp -r emulated/sys host/ && rm -r host/sys/kernel && mkdir host/proc");
    folder.done("cp emulated/proc/cpuinfo host/proc/ && tar czf host.tar.gz host");
    let rows = "           CPU0       CPU1       CPU2       CPU3\n   9:  0  0  0  0  IR-IO-APIC    9-fasteoi   acpi\n";
    let queue =
        |n: u32| format!("  {}:  0  0  0  0  IR-PCI-MSIX-0000:01:00.0    {n}-edge      nvme0q{n}\n", 30 + n);
    let interrupts = rows.to_owned() + &(0..5).map(queue).collect::<String>();
    folder.write("interrupts", &interrupts);
    folder.write("pasted/interrupts", &interrupts);
    folder.write("pasted/cmdline", "BOOT_IMAGE=/vmlinuz-6.8.0-31-generic root=/dev/sda quiet\n");
    folder.write(
        "pasted/lscpu",
        "Architecture:            x86_64\nCPU(s):                  4\nOn-line CPU(s) list:     0-3\nThread(s) per core:      1\n\
         NUMA node(s):            2\nNUMA node0 CPU(s):       0,2\nNUMA node1 CPU(s):       1,3\n",
    );
    folder.write(
        "pasted/lspci",
        "01:00.0 Non-Volatile memory controller\n\tCapabilities: [b0] MSI-X: Enable+ Count=65 Masked-\n",
    );
}

#[cfg(unix)]
#[test]
fn the_collector_runs_on_the_machine_that_tests() {
    let folder = Folder::new("collect");
    folder.done("irqlab import --collect > collect.sh && sh collect.sh > here.tar && tar tf here.tar");
    let code = folder.run("irqlab import here.tar --out here.toml").status.code();
    assert!(matches!(code, Some(0 | 2)), "{code:?}");
}
