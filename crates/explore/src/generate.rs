//! Random machines and scripts. One number, the seed, determines both, so a failure can be reproduced.
//!
//! The results are texts in the formats of [`sim::machine`] and [`sim::script`]. They can be stored in two files and run
//! like any other machine and script.

use std::fmt::Write as _;

use kstate::semantics::{KernelVersion, Semantics};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The largest number of steps of a script.
pub const MAX_STEPS: u32 = 40;
/// The largest number of CPUs of a machine.
pub const MAX_CPUS: u32 = 16;
/// The first interrupt behind the IO-APIC's pins.
const FIRST_MSI_IRQ: u32 = 24;

/// A machine and what is done with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Experiment {
    /// The machine file.
    pub machine: String,
    /// The script.
    pub script: String,
    /// What the oracle is seeded with; `None` leaves it quiet.
    pub oracle: Option<u64>,
}

/// What the script can name.
struct Plan {
    possible: u32,
    nvme: Vec<String>,
    virtio: Vec<String>,
    /// About as many interrupts behind the first 24 as there will be.
    msi_irqs: u32,
}

impl Experiment {
    /// The machine and script that `seed` stands for. Seeds run the kernels in turn, oldest first.
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let version = KernelVersion::ALL[(seed % KernelVersion::ALL.len() as u64) as usize];
        let (machine, plan) = machine(&mut rng, version);
        let script = script(&mut rng, &plan);
        let oracle = rng.random_bool(0.25).then_some(seed);
        Self { machine, script, oracle }
    }
}

/// True once in `n` times.
fn one_in(rng: &mut ChaCha8Rng, n: u32) -> bool {
    rng.random_range(0..n) == 0
}

fn machine(rng: &mut ChaCha8Rng, version: KernelVersion) -> (String, Plan) {
    let threads = *[1, 1, 1, 2].choose(rng).unwrap_or(&1);
    let sockets = *[1, 1, 2, 3].choose(rng).unwrap_or(&1);
    let cores = rng.random_range(1..=(MAX_CPUS / (threads * sockets)));
    let possible = sockets * cores * threads;
    let present = if one_in(rng, 3) { rng.random_range(1..=possible) } else { possible };
    let nodes = nodes(rng, possible);
    let remapping = one_in(rng, 4);
    let mut text = format!(
        "kernel = \"{}\"\nplatform = \"q35\"\ncmdline = \"{}\"\n\n[cpus]\npossible = {possible}\npresent = {present}\n\
         sockets = {sockets}\ncores_per_socket = {cores}\nthreads_per_core = {threads}\nnodes = [{nodes}]\n\
         apic = \"xapic\"\ninterrupt_remapping = {remapping}\n",
        version.name(),
        cmdline(rng, version, possible, remapping),
    );
    let mut plan = Plan { possible, nvme: Vec::new(), virtio: Vec::new(), msi_irqs: 1 };
    let (nvme, virtio) =
        *[(1, 0), (1, 0), (0, 1), (1, 1), (1, 1), (2, 0), (2, 1), (1, 2)].choose(rng).unwrap_or(&(1, 1));
    for (slot, is_nvme) in
        (3..).zip(std::iter::repeat_n(true, nvme).chain(std::iter::repeat_n(false, virtio)))
    {
        let address = format!("0000:00:{slot:02x}.0");
        // Writing to a String does not fail.
        let _ = write!(text, "\n[[pci]]\naddress = \"{address}\"\n");
        let queues = rng.random_range(1..=possible + 2);
        // Enough vectors, or few, or none.
        let vectors = match rng.random_range(0..6) {
            0 => 0,
            1 => 1,
            2 => rng.random_range(2..=queues + 1),
            3 => queues + 2,
            _ => queues + 1,
        };
        let _ = if is_nvme {
            plan.nvme.push(address);
            write!(text, "model = \"nvme\"\nio_queue_pairs_max = {queues}\n")
        } else {
            plan.virtio.push(address);
            write!(text, "model = \"virtio-blk\"\nrequest_queues = {queues}\n")
        };
        let _ = writeln!(text, "msix_vectors = {vectors}\nintx_gsi = {}", rng.random_range(16..24));
        plan.msi_irqs += vectors.min(possible + 2);
    }
    (text, plan)
}

/// The CPUs of each node, as a list of strings: ranges, or dealt out.
fn nodes(rng: &mut ChaCha8Rng, possible: u32) -> String {
    let count = rng.random_range(1..=possible.min(4));
    let dealt = one_in(rng, 4);
    let mut lists = vec![Vec::new(); count as usize];
    for cpu in 0..possible {
        let node = if dealt { cpu % count } else { cpu * count / possible };
        lists[node as usize].push(cpu.to_string());
    }
    let quoted: Vec<String> = lists.iter().map(|list| format!("\"{}\"", list.join(","))).collect();
    quoted.join(", ")
}

fn cmdline(rng: &mut ChaCha8Rng, version: KernelVersion, possible: u32, remapping: bool) -> String {
    let mut words = Vec::new();
    let mut maybe = |rng: &mut ChaCha8Rng, n: u32, word: &dyn Fn(&mut ChaCha8Rng) -> String| {
        if one_in(rng, n) {
            words.push(word(rng));
        }
    };
    maybe(rng, 4, &|rng| format!("nvme.write_queues={}", rng.random_range(1..=possible)));
    maybe(rng, 4, &|rng| format!("nvme.poll_queues={}", rng.random_range(1..=possible.min(4))));
    maybe(rng, 10, &|_| "pci=nomsi".to_owned());
    maybe(rng, 12, &|rng| format!("maxcpus={}", rng.random_range(1..=possible)));
    maybe(rng, 12, &|_| "threadirqs".to_owned());
    maybe(rng, 16, &|_| "nosmt".to_owned());
    maybe(rng, 12, &|rng| format!("irqaffinity={}", cpu_list(rng, possible)));
    // Options that a kernel does not know are not given to it.
    let sem = Semantics::of(version);
    if sem.housekeeping_managed_irq {
        maybe(rng, 3, &|rng| {
            let flags = *["", "domain,", "managed_irq,", "managed_irq,domain,"].choose(rng).unwrap_or(&"");
            format!("isolcpus={flags}{}", cpu_list(rng, possible))
        });
    }
    if sem.virtblk_poll_queues {
        maybe(rng, 6, &|rng| format!("virtio_blk.poll_queues={}", rng.random_range(1..=4)));
        maybe(rng, 6, &|rng| format!("virtio_blk.num_request_queues={}", rng.random_range(1..=possible)));
    }
    if remapping {
        maybe(rng, 2, &|_| "intremap=on".to_owned());
        maybe(rng, 4, &|_| "intel_iommu=on".to_owned());
    }
    words.join(" ")
}

/// A list of one to three CPUs, or a range.
fn cpu_list(rng: &mut ChaCha8Rng, possible: u32) -> String {
    let first = rng.random_range(0..possible);
    match rng.random_range(0..3) {
        0 => first.to_string(),
        1 => format!("{first}-{}", rng.random_range(first..possible)),
        _ => {
            let mut cpus = vec![first, rng.random_range(0..possible), rng.random_range(0..possible)];
            cpus.sort_unstable();
            cpus.dedup();
            cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
        }
    }
}

fn script(rng: &mut ChaCha8Rng, plan: &Plan) -> String {
    let steps = rng.random_range(1..=MAX_STEPS);
    let mut text = String::new();
    for _ in 0..steps {
        if one_in(rng, 4) {
            let _ = write!(text, "taskset -c {} ", rng.random_range(0..plan.possible));
        }
        text.push_str(&step(rng, plan));
        text.push('\n');
    }
    text
}

fn step(rng: &mut ChaCha8Rng, plan: &Plan) -> String {
    match rng.random_range(0..100) {
        0..26 => hotplug(rng, plan),
        26..44 => affinity(rng, plan),
        44..56 => bind(rng, plan),
        56..64 => nvme(rng, plan),
        64..84 => dd(rng, plan),
        84..92 => cat(rng, plan),
        _ => format!("sleep {}", ["0.00002", "0.001", "0.3", "2", "40"].choose(rng).unwrap_or(&"1")),
    }
}

fn hotplug(rng: &mut ChaCha8Rng, plan: &Plan) -> String {
    // Rarely a CPU that cannot exist.
    let cpu = if one_in(rng, 50) { plan.possible } else { rng.random_range(0..plan.possible) };
    let online = u32::from(rng.random_bool(0.45));
    format!("echo {online} > /sys/devices/system/cpu/cpu{cpu}/online")
}

fn irq(rng: &mut ChaCha8Rng, plan: &Plan) -> u32 {
    if one_in(rng, 4) {
        rng.random_range(0..FIRST_MSI_IRQ)
    } else {
        rng.random_range(FIRST_MSI_IRQ..FIRST_MSI_IRQ + plan.msi_irqs)
    }
}

fn affinity(rng: &mut ChaCha8Rng, plan: &Plan) -> String {
    let irq = irq(rng, plan);
    let mask: u32 = rng.random_range(0..1 << plan.possible);
    match rng.random_range(0..10) {
        0 => format!("echo {mask:x} > /proc/irq/default_smp_affinity"),
        1..4 => format!("echo {mask:x} > /proc/irq/{irq}/smp_affinity"),
        _ => format!("echo {} > /proc/irq/{irq}/smp_affinity_list", cpu_list(rng, plan.possible)),
    }
}

fn bind(rng: &mut ChaCha8Rng, plan: &Plan) -> String {
    let (driver, devices) = if !plan.nvme.is_empty() && (plan.virtio.is_empty() || rng.random_bool(0.6)) {
        ("nvme", &plan.nvme)
    } else {
        ("virtio-pci", &plan.virtio)
    };
    let device = devices.choose(rng).map_or("", String::as_str);
    let operation = if rng.random_bool(0.55) { "bind" } else { "unbind" };
    format!("echo {device} > /sys/bus/pci/drivers/{driver}/{operation}")
}

fn nvme(rng: &mut ChaCha8Rng, plan: &Plan) -> String {
    let n = rng.random_range(0..plan.nvme.len().max(1));
    let file = if one_in(rng, 4) { "rescan_controller" } else { "reset_controller" };
    format!("echo 1 > /sys/class/nvme/nvme{n}/{file}")
}

/// The name of a disk that may be there.
fn disk(rng: &mut ChaCha8Rng, plan: &Plan) -> String {
    let nvme = (0..plan.nvme.len()).map(|n| format!("nvme{n}n1"));
    let virtio = (0..plan.virtio.len()).map(|n| format!("vd{}", char::from(b'a' + n as u8)));
    let all: Vec<String> = nvme.chain(virtio).collect();
    all.choose(rng).cloned().unwrap_or_default()
}

fn dd(rng: &mut ChaCha8Rng, plan: &Plan) -> String {
    let (count, skip) = (rng.random_range(1..=4), rng.random_range(0..64) * 8);
    format!("dd if=/dev/{} of=/dev/null bs=4k count={count} skip={skip} iflag=direct", disk(rng, plan))
}

fn cat(rng: &mut ChaCha8Rng, plan: &Plan) -> String {
    let irq = irq(rng, plan);
    let path = match rng.random_range(0..10) {
        0 => "/proc/interrupts".to_owned(),
        1 => format!("/proc/irq/{irq}/smp_affinity"),
        2 => format!("/proc/irq/{irq}/effective_affinity_list"),
        3 => format!("/proc/irq/{irq}/spurious"),
        4 | 5 => format!("/sys/kernel/debug/irq/irqs/{irq}"),
        6 => "/sys/kernel/debug/irq/domains/VECTOR".to_owned(),
        7 => format!("/sys/block/{}/mq/{}/cpu_list", disk(rng, plan), rng.random_range(0..plan.possible)),
        8 => "/sys/class/nvme/nvme0/state".to_owned(),
        _ => "/sys/devices/system/cpu/online".to_owned(),
    };
    format!("cat {path} > /dev/null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::machine::Machine;
    use sim::script::Script;

    #[test]
    fn every_seed_is_a_machine_and_a_script() {
        for seed in 0..500 {
            let e = Experiment::new(seed);
            Machine::parse("machine.toml", &e.machine)
                .unwrap_or_else(|error| panic!("{error}\n{}", e.machine));
            let script =
                Script::parse("script.sh", &e.script).unwrap_or_else(|error| panic!("{error}\n{}", e.script));
            assert!((1..=MAX_STEPS as usize).contains(&script.statements.len()));
        }
    }

    #[test]
    fn a_seed_is_always_the_same_experiment() {
        assert_eq!(Experiment::new(7), Experiment::new(7));
        assert_ne!(Experiment::new(7), Experiment::new(8));
    }
}
