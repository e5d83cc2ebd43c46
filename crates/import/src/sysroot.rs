//! The emulated /proc and /sys as files: what `lscpu --sysroot`, `lsirq --input` and import read.

use core::fmt::Write as _;

use irqcore::proc::{FILES, default_affinity_show, show_interrupts};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::{CpuId, CpuMask, Irq, Kernel, PciDevId};
use sim::machine::{Found, Machine};

use crate::tree::{Entry, FEATURES};

/// Bytes of a configuration space that are written.
const CONFIG: u16 = 256;

/// What a machine's hardware, its command line and its drivers' queues look like in /proc and /sys, without anything
/// of its interrupts.
pub(crate) fn hardware(machine: Machine) -> Vec<(String, Entry)> {
    let kernel = machine.kernel;
    let machine =
        Machine { boot_vectors: Vec::new(), boot_interrupts: Vec::new(), found: Found::default(), ..machine };
    let guest = machine.hypervisor;
    let k = sim::boot::boot(&machine, Semantics::of(kernel), false);
    let of_interrupts = |path: &str| {
        let parts = ["proc/interrupts", "proc/irq", "sys/kernel"];
        parts.iter().any(|part| path.starts_with(part)) || path.contains("/msi_irqs/")
    };
    files_of(&k, kernel, guest).into_iter().filter(|(path, _)| !of_interrupts(path)).collect()
}

/// Files and links of a machine that runs `kernel`, by path without a slash in front. Folders have no entry.
pub fn files(k: &Kernel, kernel: KernelVersion) -> Vec<(String, Entry)> {
    files_of(k, kernel, false)
}

/// The same of a machine file, which also says whether the machine is a guest.
pub fn machine_files(k: &Kernel, machine: &Machine) -> Vec<(String, Entry)> {
    files_of(k, machine.kernel, machine.hypervisor)
}

fn files_of(k: &Kernel, kernel: KernelVersion, guest: bool) -> Vec<(String, Entry)> {
    let mut out = Files(Vec::new());
    out.text("proc/interrupts", show_interrupts(k), 0o444);
    let release = format!("{}-irqlab", kernel.name().trim_start_matches('v'));
    out.text("proc/version", format!("Linux version {release} (irqlab)\n"), 0o444);
    out.text("proc/cmdline", format!("{}\n", k.saved_command_line), 0o444);
    out.text("proc/cpuinfo", cpuinfo(k, guest), 0o444);
    out.text("proc/irq/default_smp_affinity", default_affinity_show(k), 0o644);
    for irq in k.for_each_irq() {
        interrupt(k, irq, &mut out);
    }
    cpus(k, &mut out);
    for (number, dev) in k.pci.devs.iter().enumerate() {
        function(k, PciDevId(number as u32), &dev.name(), &mut out);
    }
    // Every board is a q35, whose host bridge says so.
    let bridge = "sys/devices/pci0000:00/0000:00:00.0";
    if k.find_pci_dev("0000:00:00.0").is_none() {
        for (name, text) in [("vendor", "0x8086\n"), ("device", "0x29c0\n"), ("class", "0x060000\n")] {
            out.text(format!("{bridge}/{name}"), text, 0o444);
        }
        out.link(
            "sys/bus/pci/devices/0000:00:00.0",
            format!("../../../{}", bridge.trim_start_matches("sys/")),
        );
    }
    out.0
}

struct Files(Vec<(String, Entry)>);

impl Files {
    fn text(&mut self, path: impl Into<String>, text: impl Into<Vec<u8>>, mode: u32) {
        self.0.push((path.into(), Entry::File(text.into(), Some(mode))));
    }
    fn link(&mut self, path: impl Into<String>, to: impl Into<String>) {
        self.0.push((path.into(), Entry::Link(to.into())));
    }
}

fn interrupt(k: &Kernel, irq: Irq, out: &mut Files) {
    let Some(desc) = k.find_desc(irq) else { return };
    // What nobody has requested has no folder in /proc/irq (register_irq_proc()).
    if !desc.action.is_empty() {
        for file in &FILES {
            out.text(format!("proc/irq/{irq}/{}", file.name), (file.show)(k, desc), 0o644);
        }
    }
    let names: Vec<&str> = desc.action.iter().map(|action| &*action.name).collect();
    out.text(format!("sys/kernel/irq/{irq}/actions"), format!("{}\n", names.join(",")), 0o444);
    out.text(format!("sys/kernel/debug/irq/irqs/{irq}"), irqcore::debugfs::irq_debug_show(k, irq), 0o444);
}

fn cpuinfo(k: &Kernel, guest: bool) -> String {
    let mut out = String::new();
    for cpu in k.topo.online.iter() {
        let place = &k.topo.cpus[cpu.index()];
        let _ = writeln!(
            out,
            "processor\t: {cpu}\nvendor_id\t: GenuineIntel\nmodel name\t: irqlab\nphysical id\t: {}\ncore id\t\t: {}\n\
             apicid\t\t: {}\ninitial apicid\t: {}\nflags\t\t: fpu apic ht lm{}{}\n",
            place.socket,
            place.core,
            place.apic_id.0,
            place.apic_id.0,
            if k.apic.x2apic_mode { " x2apic" } else { "" },
            if guest { " hypervisor" } else { "" },
        );
    }
    out
}

fn cpus(k: &Kernel, out: &mut Files) {
    const CPU: &str = "sys/devices/system/cpu";
    const NODE: &str = "sys/devices/system/node";
    let topo = &k.topo;
    for (name, mask) in [("possible", &topo.possible), ("present", &topo.present), ("online", &topo.online)] {
        out.text(format!("{CPU}/{name}"), format!("{}\n", mask.list()), 0o444);
    }
    let offline = topo.possible.andnot(&topo.online);
    out.text(format!("{CPU}/offline"), format!("{}\n", offline.list()), 0o444);
    out.text(format!("{CPU}/kernel_max"), format!("{}\n", kstate::cpumask::MAX_CPUS - 1), 0o444);
    for cpu in topo.present.iter() {
        let online = u8::from(topo.is_online(cpu));
        if cpu != CpuId(0) {
            out.text(format!("{CPU}/cpu{cpu}/online"), format!("{online}\n"), 0o644);
        }
        // The files of a CPU that is offline are not there.
        if online == 0 {
            continue;
        }
        let place = &topo.cpus[cpu.index()];
        let package: CpuMask =
            topo.online.iter().filter(|other| topo.cpus[other.index()].socket == place.socket).collect();
        let threads = &topo.siblings[cpu.index()];
        let mut file = |name: &str, text: String| {
            out.text(format!("{CPU}/cpu{cpu}/topology/{name}"), text + "\n", 0o444);
        };
        file("physical_package_id", place.socket.to_string());
        file("core_id", place.core.to_string());
        for (name, mask) in [
            ("thread_siblings", threads),
            ("core_cpus", threads),
            ("core_siblings", &package),
            ("package_cpus", &package),
        ] {
            file(name, mask.hex(topo.nr_cpu_ids));
            file(&format!("{name}_list"), mask.list());
        }
    }
    caches(k, out);
    let nodes: Vec<String> = (0..topo.nr_node_ids).map(|node| node.to_string()).collect();
    let last = nodes.len().saturating_sub(1);
    let list = if last == 0 { "0\n".to_owned() } else { format!("0-{last}\n") };
    out.text(format!("{NODE}/possible"), list.clone(), 0o444);
    out.text(format!("{NODE}/online"), list, 0o444);
    for (node, mask) in topo.node_cpus.iter().enumerate() {
        out.text(format!("{NODE}/node{node}/cpulist"), format!("{}\n", mask.list()), 0o444);
        out.text(format!("{NODE}/node{node}/cpumap"), format!("{}\n", mask.hex(topo.nr_cpu_ids)), 0o444);
    }
}

/// The caches that a machine file says something about: those of a core, which its threads share, and the L2. Their
/// sizes it does not say.
fn caches(k: &Kernel, out: &mut Files) {
    let topo = &k.topo;
    for cpu in topo.online.iter() {
        let place = &topo.cpus[cpu.index()];
        let core = &topo.siblings[cpu.index()];
        let shares = |other: &CpuId| {
            let other = &topo.cpus[other.index()];
            other.l2 == place.l2 && other.node == place.node
        };
        let l2 = if place.l2.is_some() { topo.online.iter().filter(shares).collect() } else { core.clone() };
        let folder = format!("sys/devices/system/cpu/cpu{cpu}/cache");
        for (index, level, kind, mask) in
            [(0, 1, "Data", core), (1, 1, "Instruction", core), (2, 2, "Unified", &l2)]
        {
            let mut file = |name: &str, text: String| {
                out.text(format!("{folder}/index{index}/{name}"), text + "\n", 0o444);
            };
            file("level", level.to_string());
            file("type", kind.to_owned());
            file("id", mask.first().unwrap_or_default().to_string());
            file("shared_cpu_list", mask.list());
            file("shared_cpu_map", mask.hex(topo.nr_cpu_ids));
        }
    }
}

fn function(k: &Kernel, dev: PciDevId, name: &str, out: &mut Files) {
    let segment = name.split(':').next().unwrap_or("0000");
    let bus = name.split(':').nth(1).unwrap_or("00");
    let path = format!("sys/devices/pci{segment}:{bus}/{name}");
    let function = &k.hw.pci[dev.index()];
    out.text(format!("{path}/vendor"), format!("0x{:04x}\n", function.vendor_id), 0o444);
    out.text(format!("{path}/device"), format!("0x{:04x}\n", function.device_id), 0o444);
    out.text(format!("{path}/class"), format!("0x{:06x}\n", function.class_code), 0o444);
    out.text(format!("{path}/numa_node"), format!("{}\n", k.pci_dev(dev).node), 0o644);
    out.text(format!("{path}/irq"), format!("{}\n", k.pci_dev(dev).irq), 0o444);
    let config: Vec<u8> =
        (0..CONFIG).map(|at| pcimsi::hw::config::config_read(k, dev, at, 1) as u8).collect();
    out.text(format!("{path}/config"), config, 0o644);
    for irq in k.for_each_irq() {
        let Some(desc) =
            k.irq_get_msi_desc(irq).map(|desc| &k.msi.descs[desc]).filter(|desc| desc.dev == dev)
        else {
            continue;
        };
        let kind = if desc.is_msix { "msix\n" } else { "msi\n" };
        out.text(format!("{path}/msi_irqs/{irq}"), kind, 0o444);
    }
    queues(k, dev, &path, out);
    if let Some(driver) = k.pci_driver_of(dev) {
        out.link(format!("{path}/driver"), format!("../../../bus/pci/drivers/{}", driver.name));
    }
    out.link(format!("sys/bus/pci/devices/{name}"), format!("../../../{}", path.trim_start_matches("sys/")));
}

/// How many pairs of I/O queues a controller grants.
fn granted(k: &Kernel, dev: PciDevId) -> Option<u32> {
    k.hw.nvme.iter().find(|ctrl| ctrl.dev == dev).map(|ctrl| u32::from(ctrl.max_ioqpairs))
}

/// What drivers made of a function: a controller, a disk or an interface, and how many queues it has.
fn queues(k: &Kernel, dev: PciDevId, path: &str, out: &mut Files) {
    for ctrl in k.nvme.devs.iter().filter(|ctrl| ctrl.dev == dev && ctrl.bound) {
        let name = format!("nvme{}", ctrl.instance);
        let class = format!("{path}/nvme/{name}");
        out.text(format!("{class}/queue_count"), format!("{}\n", ctrl.queue_count), 0o444);
        out.text(format!("{class}/address"), format!("{}\n", k.pci_dev(dev).name()), 0o444);
        if let Some(pairs) = granted(k, dev) {
            let value = (pairs - 1) << 16 | (pairs - 1);
            let text = format!("get-feature:0x07 (Number of Queues), Current value:{value:#010x}\n");
            out.text(format!("{FEATURES}/{name}"), text, 0o444);
        }
        out.link(format!("sys/class/nvme/{name}"), format!("../../../{}", class.trim_start_matches("sys/")));
    }
    for device in k.virtio.devs.iter().flatten().filter(|device| device.pci_dev == dev) {
        let Some(driver) = device.driver.and_then(|driver| k.virtio.drivers.get(driver.index())) else {
            continue;
        };
        let name = format!("virtio{}", device.index);
        let class = format!("{path}/{name}");
        out.link(format!("{class}/driver"), format!("../../../../bus/virtio/drivers/{}", driver.name));
        let count = device.vdev_vqs.len();
        let number = device.index;
        match driver.name {
            "virtio_blk" => (0..count).for_each(|queue| {
                out.text(format!("{class}/block/vd{number}/mq/{queue}/cpu_list"), "\n", 0o444);
            }),
            "virtio_net" => (0..count / 2).for_each(|queue| {
                out.text(format!("{class}/net/eth{number}/queues/rx-{queue}/rps_cpus"), "0\n", 0o644);
            }),
            _ => {}
        }
    }
}
