//! The emulated /proc and /sys as files: what `lscpu --sysroot`, `lsirq --input` and import read.

use core::fmt::Write as _;

use irqcore::proc::{FILES, default_affinity_show, show_interrupts};
use kstate::semantics::KernelVersion;
use kstate::{CpuId, CpuMask, Irq, Kernel, PciDevId};

use crate::tree::Entry;

/// Bytes of a configuration space that are written.
const CONFIG: u16 = 256;

/// Files and links of a machine that runs `kernel`, by path without a slash in front. Folders have no entry.
pub fn files(k: &Kernel, kernel: KernelVersion) -> Vec<(String, Entry)> {
    let mut out = Files(Vec::new());
    out.text("proc/interrupts", show_interrupts(k), 0o444);
    let release = format!("{}-irqlab", kernel.name().trim_start_matches('v'));
    out.text("proc/version", format!("Linux version {release} (irqlab)\n"), 0o444);
    out.text("proc/cmdline", format!("{}\n", k.saved_command_line), 0o444);
    out.text("proc/cpuinfo", cpuinfo(k), 0o444);
    out.text("proc/irq/default_smp_affinity", default_affinity_show(k), 0o644);
    for irq in k.for_each_irq() {
        interrupt(k, irq, &mut out);
    }
    cpus(k, &mut out);
    for (number, dev) in k.pci.devs.iter().enumerate() {
        function(k, PciDevId(number as u32), &dev.name(), &mut out);
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
    let names: Vec<&str> = desc.action.iter().map(|action| action.name.as_str()).collect();
    out.text(format!("sys/kernel/irq/{irq}/actions"), format!("{}\n", names.join(",")), 0o444);
    out.text(format!("sys/kernel/debug/irq/irqs/{irq}"), irqcore::debugfs::irq_debug_show(k, irq), 0o444);
}

fn cpuinfo(k: &Kernel) -> String {
    let mut out = String::new();
    for cpu in k.topo.online.iter() {
        let place = &k.topo.cpus[cpu.index()];
        let _ = writeln!(
            out,
            "processor\t: {cpu}\nvendor_id\t: GenuineIntel\nmodel name\t: irqlab\nphysical id\t: {}\ncore id\t\t: {}\n\
             apicid\t\t: {}\ninitial apicid\t: {}\nflags\t\t: fpu apic ht{}\n",
            place.socket,
            place.core,
            place.apic_id.0,
            place.apic_id.0,
            if k.apic.x2apic_mode { " x2apic" } else { "" },
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
    if let Some(driver) = k.pci_driver_of(dev) {
        out.link(format!("{path}/driver"), format!("../../../bus/pci/drivers/{}", driver.name));
    }
    out.link(format!("sys/bus/pci/devices/{name}"), format!("../../../{}", path.trim_start_matches("sys/")));
}
