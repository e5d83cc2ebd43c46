//! What machines say while they run: boot, binding, failures, hotplug. Every line of the log is one of the
//! formats of that kernel, not of another one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use explore::generate::Experiment;
use kstate::semantics::{KernelVersion, Semantics};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

use crate::rules::allowed;
use crate::tables::{Facts, KERNELS, facts, fits, pieces};

/// How many machines are drawn for each kernel.
const MACHINES: u64 = 150;

/// Machines on which something fails, and what is done with them.
fn failures() -> Vec<(String, &'static str)> {
    // One CPU does not have as many vectors, so that probes fail.
    let mut crowd = "[cpus]\npossible = 1\n".to_owned();
    for n in 0..110 {
        let (slot, function) = (3 + n / 8, n % 8);
        let model = ["virtio-blk\"\nrequest_queues = 1", "nvme\"\nio_queue_pairs_max = 1"][n % 2];
        // Writing to a String does not fail.
        let _ = write!(
            crowd,
            "[[pci]]\naddress = \"0000:00:{slot:02x}.{function}\"\nmodel = \"{model}\nmsix_vectors = 2\nintx_gsi = 20\n"
        );
    }
    let words = |words: &str| {
        format!(
            "cmdline = \"{words}\"\n[cpus]\npossible = 4\ncores_per_socket = 2\nthreads_per_core = 2\n{DEVICES}"
        )
    };
    let plain = format!("[cpus]\npossible = 2\n{DEVICES}");
    let far = format!("[cpus]\npossible = 12\ncores_per_socket = 12\ninterrupt_remapping = true\n{DEVICES}");
    vec![
        (crowd, "echo 0000:00:03.0 > /sys/bus/pci/drivers/virtio-pci/unbind\n"),
        (plain.clone(), FILES),
        (
            plain,
            "echo 0 > /sys/devices/system/cpu/cpu1/online\necho 1 > /sys/devices/system/cpu/cpu1/online\n",
        ),
        (far, FILES),
        (words("nosmt"), "echo on > /sys/devices/system/cpu/smt/control\n"),
        (words("nosmt=force isolcpus=domain,9-"), ""),
        (words("isolcpus=nonsense,1 isolcpus=domain,1 isolcpus=domain,2"), FILES),
        (words("isolcpus=domain,0-3 nohz_full=1"), ""),
        (words("noapic"), FILES),
        (words("nolapic"), ""),
        (words("nosmp"), ""),
        (words("maxcpus=2 nr_cpus=3"), "echo 1 > /sys/devices/system/cpu/cpu3/online\n"),
        (words("mitigations=sometimes irqfixup"), ""),
        (words("threadirqs pci=nomsi"), FILES),
    ]
}

const DEVICES: &str = r#"
[[pci]]
address = "0000:00:03.0"
model = "nvme"
io_queue_pairs_max = 2
msix_vectors = 3
intx_gsi = 20

[[pci]]
address = "0000:00:04.0"
model = "virtio-blk"
request_queues = 2
msix_vectors = 3
intx_gsi = 20
"#;

/// Misuse of interrupts by a driver, resets that meet, and disks that go.
const FILES: &str = "echo 4 > /sys/kernel/debug/irqlab/request_irq
echo 4 > /sys/kernel/debug/irqlab/free_irq
echo 24 > /sys/kernel/debug/irqlab/enable_irq
echo 24 > /sys/kernel/debug/irqlab/free_irq
echo 1 > /sys/class/nvme/nvme0/reset_controller &
echo 0000:00:03.0 > /sys/bus/pci/drivers/nvme/unbind
wait
echo 0000:00:03.0 > /sys/bus/pci/drivers/nvme/bind
dd if=/dev/vda of=/dev/null bs=4M count=4 iflag=direct &
echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/unbind
wait
echo 0 > /sys/devices/system/cpu/cpu1/online
sleep 40
echo 1 > /sys/class/nvme/nvme0/rescan_controller
";

/// The log of a machine after a script.
fn said(machine: &str, script: &str) -> Vec<String> {
    let machine = Machine::parse("machine.toml", machine).unwrap_or_else(|e| panic!("{e}\n{machine}"));
    let script = Script::parse("script.sh", script).unwrap_or_else(|e| panic!("{e}\n{script}"));
    let mut lab = Lab::boot_with(&machine, Semantics::of(machine.kernel), false);
    lab.run_each(&script, |_| {}, |_, _| {});
    lab.k.log.to_vec()
}

/// A kernel says this: one of its lines, or one that stands for a warning where it warns.
fn is_said(facts: &Facts, line: &str) -> bool {
    let at = line.strip_prefix("WARNING: at ").or_else(|| line.strip_prefix("kernel BUG at "));
    match at.and_then(|at| at.split_once(' ')) {
        Some((file, name)) => {
            let function = facts.functions.get(&(name.to_owned(), file.to_owned()));
            function.is_some_and(|f| f.built && !f.warns.is_empty())
        }
        None => line.starts_with("irqlab: ") || facts.formats.iter().any(|format| fits(line, &format.pieces)),
    }
}

#[test]
fn a_machine_says_what_its_kernel_says() {
    let tables: BTreeMap<&str, Facts> = KERNELS.iter().map(|&kernel| (kernel, facts(kernel))).collect();
    let mut runs: Vec<(KernelVersion, String, String)> = Vec::new();
    for seed in 0..MACHINES * KernelVersion::ALL.len() as u64 {
        let Experiment { machine, script, .. } = Experiment::new(seed);
        let kernel = Machine::parse("machine.toml", &machine).expect("a machine").kernel;
        runs.push((kernel, machine, script));
    }
    for &kernel in KernelVersion::ALL {
        let of = |machine: String| format!("kernel = \"{}\"\n{machine}", kernel.name());
        runs.extend(failures().into_iter().map(|(machine, script)| (kernel, of(machine), script.to_owned())));
    }
    let listed: Vec<(String, Vec<String>)> =
        allowed("said.txt").into_keys().map(|format| (format.clone(), pieces(&format))).collect();
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    let mut strange: BTreeSet<String> = BTreeSet::new();
    let mut lines = 0;
    for (kernel, machine, script) in runs {
        let Some(facts) = tables.get(kernel.name()) else { continue };
        for line in said(&machine, &script) {
            lines += 1;
            if is_said(facts, &line) {
                continue;
            }
            match listed.iter().find(|(_, pieces)| fits(&line, pieces)) {
                Some((format, _)) => drop(needed.insert(format)),
                None => drop(strange.insert(format!("  {}: {line}\n", kernel.name()))),
            }
        }
    }
    assert!(lines > 1000, "{lines} lines are hardly a sample");
    let text: String = strange.into_iter().collect();
    assert!(text.is_empty(), "no kernel says this, or not this one:\n{text}");
    for (format, _) in &listed {
        assert!(
            needed.contains(format.as_str()),
            "take it off tests/facts/said.txt, nothing says it: {format}"
        );
    }
}
