//! The virtual files: `/proc`, `/sys` and debugfs, under the paths and with the texts of Linux.
//! Binding and CPU hotplug by file follow drivers/base/bus.c and drivers/base/core.c.
//!
//! A read answers with the file's text. A write either is done at once or starts a task that the
//! engine runs to its end; either way it ends with the errno that `write(2)` would return.

use std::borrow::Cow;
use std::collections::BTreeSet;

use drivers::block::blk_mq_sysfs::{DEFAULT_HW_CTX_ATTRS, blk_mq_hw_sysfs_show};
use drivers::nvme::sysfs;
use irqcore::proc::ProcFile;
use kcore::base::bus;
use kcore::cpu::smt;
use kcore::x86::topology::arch_register_cpu;
use kstate::irqdomain::IrqDomain;
use kstate::kstrtox::{kstrtobool, kstrtoull};
use kstate::pci::PciDev;
use kstate::sched::Call;
use kstate::{CpuId, CpuMask, DiskId, Errno, Irq, Kernel, NvmeId, PciDevId};
use pcimsi::kernel::pci_driver::pci_bus_match;
use pcimsi::kernel::pci_sysfs::{enable_store, msi_bus_store, numa_node_store};

use crate::{params, testmod, tracefs};

pub mod attributes;
mod block;
mod cpu;
mod link;
mod pci;
mod proc;

pub use link::{is_link, read_link};

/// What became of a write.
#[derive(Debug)]
pub enum Written {
    /// It was done at once.
    Now(Result<(), Errno>),
    /// It has to be run as a task.
    Start(Call<Result<(), Errno>>),
}

impl From<Errno> for Written {
    fn from(e: Errno) -> Self {
        Self::Now(Err(e))
    }
}

/// The parts of an absolute path, with `..`, empty parts and symbolic links resolved.
fn parts<'a>(k: &Kernel, path: &'a str) -> Vec<Cow<'a, str>> {
    let mut parts: Vec<Cow<'a, str>> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => {
                parts.push(Cow::Borrowed(part));
                if let Some(other) = link::one_name(k, &strs(&parts)) {
                    parts = other.into_iter().map(Cow::Owned).collect();
                }
            }
        }
    }
    parts
}

/// The parts of a path, to be matched.
fn strs<'a>(parts: &'a [Cow<'_, str>]) -> Vec<&'a str> {
    parts.iter().map(|part| &**part).collect()
}

/// `prefixN` as N.
fn numbered(text: &str, prefix: &str) -> Option<u32> {
    let digits = text.strip_prefix(prefix)?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// A file of /sys/class/nvme/nvmeN by its name.
fn nvme_attribute(name: &str) -> Result<&'static sysfs::Attribute, Errno> {
    sysfs::NVME_DEV_ATTRS.iter().find(|a| a.name == name).ok_or(Errno::ENOENT)
}

/// A file of /proc/irq/N by its name.
fn irq_file(name: &str) -> Result<&'static ProcFile, Errno> {
    irqcore::proc::FILES.iter().find(|f| f.name == name).ok_or(Errno::ENOENT)
}

fn irq_of(k: &Kernel, text: &str) -> Result<Irq, Errno> {
    let irq = numbered(text, "").map(Irq).ok_or(Errno::ENOENT)?;
    match k.find_desc(irq) {
        Some(desc) if desc.proc_dir => Ok(irq),
        _ => Err(Errno::ENOENT),
    }
}

fn cpu_of(k: &Kernel, text: &str) -> Result<CpuId, Errno> {
    let cpu = numbered(text, "cpu").map(CpuId).ok_or(Errno::ENOENT)?;
    if k.topo.possible.contains(cpu) { Ok(cpu) } else { Err(Errno::ENOENT) }
}

/// The CPUs of a node that were identified and have not gone offline since.
fn node_of<'a>(k: &'a Kernel, text: &str) -> Option<&'a CpuMask> {
    k.topo.node_cpus.get(numbered(text, "node")? as usize)
}

/// The disk behind `/dev/NAME`.
///
/// # Errors
/// `ENOENT` when there is none.
pub fn disk(k: &Kernel, path: &str) -> Result<DiskId, Errno> {
    match strs(&parts(k, path))[..] {
        ["dev", name] => k.blk.disk_by_name(name).ok_or(Errno::ENOENT),
        _ => Err(Errno::ENOENT),
    }
}

fn nvme_of(k: &Kernel, name: &str) -> Result<NvmeId, Errno> {
    let instance = name.strip_prefix("nvme").and_then(|n| n.parse().ok());
    instance.and_then(|n| k.nvme.by_instance(n)).ok_or(Errno::ENOENT)
}

fn line(text: impl core::fmt::Display) -> String {
    format!("{text}\n")
}

/// Reads a file.
///
/// # Errors
/// `ENOENT` for a path that does not exist, `EISDIR` for a directory, `EACCES` for a file that
/// can only be written.
pub fn read(k: &Kernel, path: &str) -> Result<String, Errno> {
    let parts = parts(k, path);
    let parts = strs(&parts);
    match parts[..] {
        ["proc", "interrupts"] => Ok(irqcore::proc::show_interrupts(k)),
        ["proc", "cpuinfo"] => Ok(proc::show_cpuinfo(k)),
        ["proc", "softirqs"] => Ok(proc::show_softirqs(k)),
        ["proc", "stat"] => Ok(proc::show_stat(k)),
        ["proc", "version"] => Ok(proc::version(k)),
        ["proc", "bus", "pci", "devices"] => Ok(pci::proc_devices(k)),
        ["proc", "partitions"] => Ok(block::show_partitions(k)),
        ["proc", "cmdline"] => Ok(line(&*k.saved_command_line)),
        ["proc", "irq", "default_smp_affinity"] => Ok(irqcore::proc::default_affinity_show(k)),
        ["proc", "irq", irq, name] if handler_dir(k, irq, name) => Err(Errno::EISDIR),
        ["proc", "irq", irq, file] => {
            let irq = irq_of(k, irq)?;
            let desc = k.find_desc(irq).filter(|desc| desc.proc_dir).ok_or(Errno::ENOENT)?;
            Ok((irq_file(file)?.show)(k, desc))
        }
        ["sys", "devices", "system", "cpu", file] if cpu::files(k).any(|known| known == file) => {
            cpu::cpu_file(k, file).map(line).ok_or(Errno::ENOENT)
        }
        ["sys", "devices", "system", "cpu", "smt", "control"] => Ok(line(smt::control_show(k))),
        ["sys", "devices", "system", "cpu", "smt", "active"] => Ok(line(u8::from(smt::active_show(k)))),
        ["sys", "devices", "system", "cpu", cpu, "online"] => {
            let cpu = cpu_of(k, cpu)?;
            if !arch_register_cpu(k, cpu) {
                return Err(Errno::ENOENT);
            }
            Ok(line(u8::from(k.topo.online.contains(cpu))))
        }
        ["sys", "devices", "system", "cpu", cpu, "topology", file] => {
            let cpu = cpu_of(k, cpu)?;
            if !k.topo.online.contains(cpu) {
                return Err(Errno::ENOENT);
            }
            cpu::topology_file(k, cpu, file).map(line).ok_or(Errno::ENOENT)
        }
        ["sys", "devices", "system", "cpu", cpu, "cache", index, file] => {
            let cpu = cpu_of(k, cpu)?;
            if !k.topo.online.contains(cpu) {
                return Err(Errno::ENOENT);
            }
            cpu::cache_file(k, cpu, index, file).map(line).ok_or(Errno::ENOENT)
        }
        ["sys", "module", module, "parameters", name] => {
            let mut params = params::module_params(k, module);
            params.find(|param| param.name == name).map(|param| line(param.show(k))).ok_or(Errno::ENOENT)
        }
        ["sys", "devices", "system", "node", file] if cpu::NODES.contains(&file) => {
            cpu::nodes_file(k, file).map(line).ok_or(Errno::ENOENT)
        }
        ["sys", "devices", "system", "node", node, file] if cpu::NODE.contains(&file) => {
            let cpus = node_of(k, node).ok_or(Errno::ENOENT)?;
            let node = numbered(node, "node").ok_or(Errno::ENOENT)?;
            cpu::node_file(k, node, cpus, file).map(line).ok_or(Errno::ENOENT)
        }
        ["sys", "block", disk, file] if block::DISK.contains(&file) => {
            block::disk_file(k, disk, file).map(line).ok_or(Errno::ENOENT)
        }
        ["sys", "block", disk, "queue", file] if block::QUEUE.contains(&file) => {
            block::queue_file(k, disk, file).map(line).ok_or(Errno::ENOENT)
        }
        ["sys", "class", "net", net, "queues", queue, file] => {
            link::net_queue_file(k, net, queue, file).map(line).ok_or(Errno::ENOENT)
        }
        ["sys", "bus", "pci", "devices", dev, file]
            if pci::is_bridge(k, dev) && pci::BRIDGE_FILES.contains(&file) =>
        {
            pci::bridge_file(k, file).ok_or(Errno::ENOENT)
        }
        ["sys", "block", disk, "mq", queue, file] if DEFAULT_HW_CTX_ATTRS.contains(&file) => {
            let queue = numbered(queue, "").ok_or(Errno::ENOENT)?;
            blk_mq_hw_sysfs_show(k, disk, queue, file).map(line).ok_or(Errno::ENOENT)
        }
        ["sys", "kernel", "debug", "block", disk, hctx, "state"] => {
            let hctx = numbered(hctx, "hctx").ok_or(Errno::ENOENT)?;
            drivers::block::blk_mq_debugfs::hctx_state_show(k, disk, hctx).map(line).ok_or(Errno::ENOENT)
        }
        ["sys", "class", "nvme", ctrl, file] => {
            let ctrl = nvme_of(k, ctrl)?;
            let show = nvme_attribute(file)?.show.ok_or(Errno::EACCES)?;
            Ok(line(show(k, ctrl)))
        }
        ["sys", "kernel", "debug", "irq", "irqs", irq] => {
            let irq = numbered(irq, "").map(Irq).ok_or(Errno::ENOENT)?;
            k.find_desc(irq).ok_or(Errno::ENOENT)?;
            Ok(irqcore::debugfs::irq_debug_show(k, irq))
        }
        ["sys", "kernel", "debug", "irq", "domains", name] => {
            let domain = domains(k).find(|(_, d)| d.name == name).ok_or(Errno::ENOENT)?.0;
            Ok(irqcore::debugfs::irq_domain_debug_show(k, domain))
        }
        ["sys", "bus", "pci", "drivers", driver, "bind" | "unbind"] if is_pci_driver(k, driver) => {
            Err(Errno::EACCES)
        }
        ["sys", "kernel", "irq", irq, file] => {
            let irq = numbered(irq, "").map(Irq).filter(|&irq| k.find_desc(irq).is_some());
            let irq = irq.ok_or(Errno::ENOENT)?;
            let attr = irqcore::irqdesc::IRQ_ATTRS.iter().find(|attr| attr.name == file);
            Ok((attr.ok_or(Errno::ENOENT)?.show)(k, irq))
        }
        ["sys", "kernel", "debug", "irqlab", file] if testmod::FILES.contains(&file) => Err(Errno::EACCES),
        ["sys", "bus", "pci", "devices", dev, ref rest @ ..] if !pci::is_bridge(k, dev) => {
            let dev = k.find_pci_dev(dev).ok_or(Errno::ENOENT)?;
            pci_attribute(k, dev, rest)
        }
        ["sys", "kernel", "tracing", ref rest @ ..]
        | ["sys", "kernel", "debug", "tracing", ref rest @ ..] => tracefs::read(k, rest),
        ["dev", "null"] => Ok(String::new()),
        ["dev", "kmsg"] => {
            let lines = k.log.iter().enumerate();
            Ok(lines.map(|(i, text)| format!("6,{i},0,-;{}\n", text.replace('\n', "\\x0a"))).collect())
        }
        // DEVIATION: disks have no contents, so that only `dd` reads them, with nothing to show for it.
        ["dev", name] if k.blk.disk_by_name(name).is_some() => Err(Errno::EINVAL),
        _ => match list(k, path) {
            Ok(_) => Err(Errno::EISDIR),
            Err(e) => Err(e),
        },
    }
}

/// Reads a file that a read may change: what was read from `trace_pipe` is gone.
///
/// # Errors
/// Those of [`read`].
pub fn consume(k: &mut Kernel, path: &str) -> Result<String, Errno> {
    let text = read(k, path)?;
    let parts = parts(k, path);
    if let ["sys", "kernel", "tracing", "trace_pipe"] | ["sys", "kernel", "debug", "tracing", "trace_pipe"] =
        strs(&parts)[..]
    {
        tracefs::was_read(k);
    }
    Ok(text)
}

/// The same for files that are no text.
///
/// # Errors
/// Those of [`read`].
pub fn read_bytes(k: &Kernel, path: &str) -> Result<Vec<u8>, Errno> {
    if path.ends_with("/config")
        && let ["sys", "bus", "pci", "devices", dev, "config"] = strs(&parts(k, path))[..]
    {
        if pci::is_bridge(k, dev) {
            return Ok(pci::bridge_config());
        }
        return Ok(config(k, k.find_pci_dev(dev).ok_or(Errno::ENOENT)?));
    }
    read(k, path).map(String::into_bytes)
}

/// There is a driver of PCI functions with this name.
fn is_pci_driver(k: &Kernel, name: &str) -> bool {
    k.pci.drivers.iter().any(|driver| driver.name == name)
}

/// The name of the driver that a function is bound to.
fn bound_to(k: &Kernel, dev: PciDevId) -> Option<&'static str> {
    k.pci_driver_of(dev).map(|driver| driver.name)
}

/// What every PCI function has in /sys/bus/pci/devices/FUNCTION, apart from its vectors.
const PCI_FILES: [&str; 17] = [
    "class",
    "config",
    "device",
    "enable",
    "irq",
    "local_cpulist",
    "local_cpus",
    "modalias",
    "msi_bus",
    "numa_node",
    "resource",
    "revision",
    "subsystem",
    "subsystem_device",
    "subsystem_vendor",
    "uevent",
    "vendor",
];

/// Bytes of a configuration space that a function of conventional PCI has (`PCI_CFG_SPACE_SIZE`).
const PCI_CFG_SPACE_SIZE: u16 = 256;

/// The beginning of a function's configuration space (`pci_read_config()`).
// DEVIATION: what PCI Express has behind the first 256 bytes is not shown, because no function has anything there.
fn config(k: &Kernel, dev: PciDevId) -> Vec<u8> {
    (0..PCI_CFG_SPACE_SIZE).map(|at| pcimsi::hw::config::config_read(k, dev, at, 1) as u8).collect()
}

/// The interrupts of a function that has MSI or MSI-X enabled, in the order of its vectors.
fn msi_irqs(k: &Kernel, dev: PciDevId) -> Vec<Irq> {
    let pci = k.pci_dev(dev);
    if !pci.msi_enabled && !pci.msix_enabled {
        return Vec::new();
    }
    k.for_each_irq()
        .filter(|&irq| k.irq_get_msi_desc(irq).is_some_and(|desc| k.msi.descs[desc].dev == dev))
        .collect()
}

/// A file of a PCI function (drivers/pci/pci-sysfs.c, drivers/pci/msi.c).
fn pci_attribute(k: &Kernel, dev: PciDevId, path: &[&str]) -> Result<String, Errno> {
    let pci = k.pci_dev(dev);
    match *path {
        ["irq"] => Ok(line(pci.irq)),
        ["modalias"] => Ok(line(pci::Ids::of(k, dev).modalias())),
        ["resource"] => Ok(pci::resource()),
        ["uevent"] => Ok(pci::Ids::of(k, dev).uevent(&pci.name(), bound_to(k, dev))),
        ["class"] => Ok(line(format_args!("{:#08x}", k.hw.pci[dev.index()].class_code))),
        ["vendor"] => Ok(line(format_args!("{:#06x}", k.hw.pci[dev.index()].vendor_id))),
        ["device"] => Ok(line(format_args!("{:#06x}", k.hw.pci[dev.index()].device_id))),
        ["subsystem_vendor"] => {
            Ok(line(format_args!("{:#06x}", pcimsi::hw::config::config_read(k, dev, 0x2c, 2))))
        }
        ["subsystem_device"] => {
            Ok(line(format_args!("{:#06x}", pcimsi::hw::config::config_read(k, dev, 0x2e, 2))))
        }
        ["revision"] => Ok(line(format_args!("{:#04x}", pcimsi::hw::config::config_read(k, dev, 0x08, 1)))),
        ["config"] => Ok(String::from_utf8_lossy(&config(k, dev)).into_owned()),
        ["numa_node"] => Ok(line(pci.node)),
        ["enable"] => Ok(line(pci.enable_cnt)),
        ["msi_bus"] => Ok(line(u8::from(!pci.no_msi))),
        [file @ ("local_cpulist" | "local_cpus")] => {
            let near = usize::try_from(pci.node).ok().and_then(|node| k.topo.node_cpus.get(node));
            let near = near.map_or_else(|| k.topo.online.clone(), |cpus| cpus.and(&k.topo.online));
            Ok(if file == "local_cpus" { line(near.hex(k.topo.nr_cpu_ids)) } else { line(near) })
        }
        ["msi_irqs", irq] => {
            let irq = numbered(irq, "").map(Irq).ok_or(Errno::ENOENT)?;
            let mode = if pci.msix_enabled { "msix" } else { "msi" };
            msi_irqs(k, dev).contains(&irq).then(|| line(mode)).ok_or(Errno::ENOENT)
        }
        _ => {
            let name = pci.name();
            if let [virtio, file] = path
                && let Some(text) = link::virtio_attribute(k, &name, virtio, file)
            {
                return Ok(line(text));
            }
            let path = [&["sys", "bus", "pci", "devices", name.as_str()], path].concat();
            Err(list_parts(k, &path).err().unwrap_or(Errno::EISDIR))
        }
    }
}

fn domains(k: &Kernel) -> impl Iterator<Item = (kstate::DomainId, &IrqDomain)> {
    let indexed = k.irq.domains.iter().enumerate();
    indexed.filter_map(|(i, d)| Some((kstate::DomainId(i as u32), d.as_ref()?)))
}

/// Lists a directory, in the order of `ls`.
///
/// # Errors
/// `ENOENT` for a path that does not exist, `ENOTDIR` for one that is no directory or leads through
/// a file.
pub fn list(k: &Kernel, path: &str) -> Result<Vec<String>, Errno> {
    list_parts(k, &strs(&parts(k, path)))
}

fn list_parts(k: &Kernel, path: &[&str]) -> Result<Vec<String>, Errno> {
    match (directory(k, path), path) {
        (Err(Errno::ENOENT), [above @ .., name]) => {
            let found = list_parts(k, above)?;
            Err(if found.iter().any(|n| n == name) { Errno::ENOTDIR } else { Errno::ENOENT })
        }
        (result, _) => result,
    }
}

/// Lists a directory; `ENOENT` for everything that is none.
fn directory(k: &Kernel, path: &[&str]) -> Result<Vec<String>, Errno> {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let irqs = |all: bool| -> Vec<String> {
        k.for_each_irq().filter(|&irq| all || k.desc(irq).proc_dir).map(|irq| irq.to_string()).collect()
    };
    let mut found = match *path {
        [] => names(&["dev", "proc", "sys"]),
        ["dev"] => disk_names(k).into_iter().chain(names(&["kmsg", "null"])).collect(),
        ["proc"] => names(&[
            "bus",
            "cmdline",
            "cpuinfo",
            "interrupts",
            "irq",
            "partitions",
            "softirqs",
            "stat",
            "version",
        ]),
        ["proc", "bus"] => names(&["pci"]),
        ["proc", "bus", "pci"] => names(&["devices"]),
        ["proc", "irq"] => {
            let mut all = irqs(false);
            all.push("default_smp_affinity".to_owned());
            all
        }
        ["proc", "irq", irq] => {
            let desc = k.desc(irq_of(k, irq)?);
            let handlers = desc.action.iter().filter(|a| a.dir).map(|a| a.name.to_string());
            handlers.chain(irqcore::proc::FILES.iter().map(|f| f.name.to_owned())).collect()
        }
        ["proc", "irq", irq, handler] if handler_dir(k, irq, handler) => Vec::new(),
        ["sys"] => names(&["block", "bus", "class", "dev", "devices", "kernel", "module"]),
        ["sys", "dev"] => names(&["block"]),
        ["sys", "dev", "block"] => {
            k.blk.disks.iter().flatten().filter(|disk| !disk.gone).map(|disk| block::dev(disk)).collect()
        }
        ["sys", "block"] => disk_names(k),
        ["sys", "block", disk] if k.blk.disk_by_name(disk).is_some() => {
            let owned = !link::is_virtual(k, disk);
            let folders = names(&["mq", "queue"]).into_iter().chain(names(&block::DISK));
            owned.then(|| "device".to_owned()).into_iter().chain(folders).collect()
        }
        ["sys", "block", disk, "queue"] if k.blk.disk_by_name(disk).is_some() => names(&block::QUEUE),
        ["sys", "block", disk, "mq", queue] => {
            let queue = numbered(queue, "").ok_or(Errno::ENOENT)?;
            let made = block::software_queues(k, disk, queue).ok_or(Errno::ENOENT)?;
            names(&DEFAULT_HW_CTX_ATTRS).into_iter().chain(made).collect()
        }
        ["sys", "block", disk, "mq", queue, cpu] => {
            let queue = numbered(queue, "").ok_or(Errno::ENOENT)?;
            let made = block::software_queues(k, disk, queue).ok_or(Errno::ENOENT)?;
            // The folder of a software queue has no file.
            if made.iter().any(|name| name == cpu) { Vec::new() } else { return Err(Errno::ENOENT) }
        }
        ["sys", "block", disk, "mq"] if k.blk.disk_by_name(disk).is_some() => {
            block::hw_queues(k, disk).iter().map(u32::to_string).collect()
        }
        ["sys", "bus"] => names(&["pci", "virtio"]),
        ["sys", "bus", "virtio"] => names(&["devices", "drivers"]),
        ["sys", "bus", "virtio", "devices"] => {
            k.virtio.devs.iter().flatten().map(|device| format!("virtio{}", device.index)).collect()
        }
        ["sys", "bus", "virtio", "drivers"] => {
            k.virtio.drivers.iter().map(|driver| driver.name.to_owned()).collect()
        }
        ["sys", "bus", "virtio", "drivers", driver]
            if k.virtio.drivers.iter().any(|other| other.name == driver) =>
        {
            let devices = k.virtio.devs.iter().flatten().map(|device| format!("virtio{}", device.index));
            devices.filter(|name| link::target(k, path, name).is_some()).collect()
        }
        ["sys", "bus", "pci"] => names(&["devices", "drivers"]),
        ["sys", "bus", "pci", "drivers"] => {
            k.pci.drivers.iter().map(|driver| driver.name.to_owned()).collect()
        }
        ["sys", "bus", "pci", "devices"] => {
            let bridge = pci::has_bridge(k).then(|| pci::BRIDGE.to_owned());
            k.pci.devs.iter().map(PciDev::name).chain(bridge).collect()
        }
        ["sys", "bus", "pci", "devices", dev] if pci::is_bridge(k, dev) => {
            names(&pci::BRIDGE_FILES).into_iter().chain(names(&["subsystem"])).collect()
        }
        ["sys", "bus", "pci", "devices", dev] => {
            let dev = k.find_pci_dev(dev).ok_or(Errno::ENOENT)?;
            let vectors = !msi_irqs(k, dev).is_empty();
            let vectors = vectors.then(|| "msi_irqs".to_owned());
            let driver = k.pci_dev(dev).driver.map(|_| "driver".to_owned());
            let made = link::children(k, dev).into_iter();
            names(&PCI_FILES).into_iter().chain(driver).chain(vectors).chain(made).collect()
        }
        ["sys", "bus", "pci", "devices", dev, "msi_irqs"] => {
            let dev = k.find_pci_dev(dev).ok_or(Errno::ENOENT)?;
            let irqs = msi_irqs(k, dev);
            if irqs.is_empty() {
                return Err(Errno::ENOENT);
            }
            irqs.iter().map(Irq::to_string).collect()
        }
        ["sys", "bus", "pci", "devices", dev, ref rest @ ..] => {
            link::child_folder(k, dev, rest).ok_or(Errno::ENOENT)?
        }
        ["sys", "bus", "pci", "drivers", driver] if is_pci_driver(k, driver) => {
            let devs = (0..k.pci.devs.len() as u32).map(PciDevId);
            let bound = devs.filter(|&dev| bound_to(k, dev) == Some(driver));
            bound.map(|dev| k.pci_dev(dev).name()).chain(names(&["bind", "unbind"])).collect()
        }
        ["sys", "class"] => names(&["block", "net", "nvme"]),
        ["sys", "class", "block"] => disk_names(k),
        ["sys", "class", "net"] => link::interfaces(k).into_iter().map(|found| found.name).collect(),
        ["sys", "class", "net", net] if link::interface(k, net).is_some() => {
            let queues = (!link::net_queues(k, net).is_empty()).then(|| "queues".to_owned());
            names(&["device"]).into_iter().chain(queues).collect()
        }
        ["sys", "class", "net", net, "queues"] => {
            let queues = link::net_queues(k, net);
            if queues.is_empty() {
                return Err(Errno::ENOENT);
            }
            queues
        }
        ["sys", "class", "net", net, "queues", queue]
            if link::net_queues(k, net).iter().any(|name| name == queue) =>
        {
            link::net_queue_files(queue)
        }
        ["sys", "class", "nvme"] => {
            let bound = k.nvme.devs.iter().filter(|d| d.bound);
            bound.map(|d| format!("nvme{}", d.instance)).collect::<BTreeSet<_>>().into_iter().collect()
        }
        ["sys", "class", "nvme", ctrl] => {
            let instance = k.nvme.dev(nvme_of(k, ctrl)?).instance;
            let files = sysfs::NVME_DEV_ATTRS.iter().map(|a| a.name.to_owned());
            files.chain(names(&["device", "subsystem"])).chain(link::disks_of_nvme(k, instance)).collect()
        }
        ["sys", "devices"] => {
            let bridge = pci::has_bridge(k).then(|| link::root_of(pci::BRIDGE));
            let functions = k.pci.devs.iter().map(|dev| link::root_of(&dev.name()));
            let roots: BTreeSet<String> = functions.chain(bridge).collect();
            let loose = disk_names(k).iter().any(|name| link::is_virtual(k, name));
            let loose = loose.then(|| "virtual".to_owned());
            roots.into_iter().chain(names(&["system"])).chain(loose).collect()
        }
        ["sys", "devices", "virtual"] if disk_names(k).iter().any(|name| link::is_virtual(k, name)) => {
            names(&["block"])
        }
        ["sys", "devices", "virtual", "block"]
            if disk_names(k).iter().any(|name| link::is_virtual(k, name)) =>
        {
            disk_names(k).into_iter().filter(|name| link::is_virtual(k, name)).collect()
        }
        ["sys", "devices", root] if root.starts_with("pci") => {
            let bridge = pci::has_bridge(k).then(|| pci::BRIDGE.to_owned());
            let functions = k.pci.devs.iter().map(PciDev::name).chain(bridge);
            let functions: Vec<String> = functions.filter(|name| link::root_of(name) == root).collect();
            if functions.is_empty() {
                return Err(Errno::ENOENT);
            }
            functions
        }
        ["sys", "devices", "system"] => names(&["cpu", "node"]),
        ["sys", "devices", "system", "cpu"] => {
            let cpus = k.topo.possible.iter().map(|cpu| format!("cpu{cpu}"));
            cpus.chain(cpu::files(k).map(str::to_owned)).chain(names(&["smt"])).collect()
        }
        ["sys", "devices", "system", "cpu", "smt"] => names(&["active", "control"]),
        ["sys", "devices", "system", "cpu", cpu]
            if cpu_of(k, cpu).is_ok_and(|c| k.topo.present.contains(c)) =>
        {
            let online = cpu_of(k, cpu).is_ok_and(|cpu| arch_register_cpu(k, cpu));
            let online = if online { &["online"][..] } else { &[] };
            let topology = cpu_of(k, cpu).is_ok_and(|c| k.topo.online.contains(c));
            let identified: &[&str] = if topology { &["cache", "topology"] } else { &[] };
            let node = cpu_of(k, cpu).ok().filter(|_| topology);
            let node = node.map(|cpu| format!("node{}", k.topo.node_of(cpu).0));
            names(online).into_iter().chain(names(identified)).chain(node).collect()
        }
        ["sys", "devices", "system", "cpu", cpu, "topology"]
            if cpu_of(k, cpu).is_ok_and(|c| k.topo.online.contains(c)) =>
        {
            cpu::topology_files(k)
        }
        ["sys", "devices", "system", "cpu", cpu, "cache"]
            if cpu_of(k, cpu).is_ok_and(|c| k.topo.online.contains(c)) =>
        {
            cpu::caches()
        }
        ["sys", "devices", "system", "cpu", cpu, "cache", index]
            if cpu_of(k, cpu).is_ok_and(|c| k.topo.online.contains(c))
                && cpu::caches().iter().any(|name| name == index) =>
        {
            names(&cpu::CACHE)
        }
        ["sys", "module"] => params::modules().map(str::to_owned).collect(),
        ["sys", "module", module] if params::module_params(k, module).next().is_some() => {
            names(&["parameters"])
        }
        ["sys", "module", module, "parameters"] if params::module_params(k, module).next().is_some() => {
            params::module_params(k, module).map(|param| param.name.to_owned()).collect()
        }
        ["sys", "devices", "system", "node"] => {
            let nodes = (0..k.topo.nr_node_ids).map(|node| format!("node{node}"));
            nodes.chain(names(&cpu::NODES)).collect()
        }
        ["sys", "devices", "system", "node", node] if node_of(k, node).is_some() => {
            let cpus = node_of(k, node).unwrap_or(&k.topo.online).iter().map(|cpu| format!("cpu{cpu}"));
            cpus.chain(names(&cpu::NODE)).collect()
        }
        ["sys", "kernel"] => names(&["debug", "irq", "tracing"]),
        ["sys", "kernel", "irq"] => irqs(true),
        ["sys", "kernel", "irq", irq]
            if numbered(irq, "").is_some_and(|irq| k.find_desc(Irq(irq)).is_some()) =>
        {
            irqcore::irqdesc::IRQ_ATTRS.iter().map(|attr| attr.name.to_owned()).collect()
        }
        ["sys", "kernel", "debug"] => names(&["block", "irq", "irqlab", "tracing"]),
        ["sys", "kernel", "debug", "block"] => disk_names(k),
        ["sys", "kernel", "debug", "block", disk]
            if drivers::block::blk_mq_debugfs::hctx_state_show(k, disk, 0).is_some() =>
        {
            (0..)
                .take_while(|&q| drivers::block::blk_mq_debugfs::hctx_state_show(k, disk, q).is_some())
                .map(|q: u32| format!("hctx{q}"))
                .collect()
        }
        ["sys", "kernel", "debug", "block", disk, hctx]
            if numbered(hctx, "hctx")
                .is_some_and(|q| drivers::block::blk_mq_debugfs::hctx_state_show(k, disk, q).is_some()) =>
        {
            names(&["state"])
        }
        ["sys", "kernel", "debug", "irqlab"] => names(&testmod::FILES),
        ["sys", "kernel", "tracing", ref rest @ ..]
        | ["sys", "kernel", "debug", "tracing", ref rest @ ..] => tracefs::list(rest)?,
        ["sys", "kernel", "debug", "irq"] => names(&["domains", "irqs"]),
        ["sys", "kernel", "debug", "irq", "irqs"] => irqs(true),
        ["sys", "kernel", "debug", "irq", "domains"] => domains(k).map(|(_, d)| d.name.clone()).collect(),
        _ => return Err(Errno::ENOENT),
    };
    found.sort();
    Ok(found)
}

/// /proc/irq/N/NAME of an action: a directory with nothing in it.
fn handler_dir(k: &Kernel, irq: &str, name: &str) -> bool {
    irq_of(k, irq).is_ok_and(|irq| k.desc(irq).action.iter().any(|a| a.dir && *a.name == *name))
}

/// Writes `text` to a file: all that a program writes, with the newline where it writes one.
pub fn write(k: &mut Kernel, path: &str, text: &str) -> Written {
    write_file(k, path, text, false)
}

/// Writes `text` to a file that was opened with `>`, or with `append` with `>>`.
pub fn write_file(k: &mut Kernel, path: &str, text: &str, append: bool) -> Written {
    let written = match try_write(k, path, text, append) {
        Ok(written) => written,
        Err(e) => e.into(),
    };
    if matches!(written, Written::Now(Err(Errno::ENOENT))) {
        let parts = parts(k, path);
        let parts = strs(&parts);
        // A file that is there may answer so itself.
        if list_parts(k, &parts) == Err(Errno::ENOTDIR) {
            return written;
        }
        return refused(k, &parts).into();
    }
    written
}

fn try_write(k: &mut Kernel, path: &str, text: &str, append: bool) -> Result<Written, Errno> {
    let parts = parts(k, path);
    let parts = strs(&parts);
    let word = text.trim_end_matches('\n');
    match parts[..] {
        ["dev", "null"] => Ok(Written::Now(Ok(()))),
        ["dev", "kmsg"] => {
            k.log.push(word.to_owned());
            Ok(Written::Now(Ok(())))
        }
        ["sys", "kernel", "tracing", ref rest @ ..]
        | ["sys", "kernel", "debug", "tracing", ref rest @ ..] => {
            Ok(Written::Now(tracefs::write(k, rest, text, append)))
        }
        ["proc", "irq", "default_smp_affinity"] => {
            Ok(Written::Now(irqcore::proc::default_affinity_write(k, text)))
        }
        ["proc", "irq", irq, name] if handler_dir(k, irq, name) => Err(Errno::EISDIR),
        ["proc", "irq", irq, file] => {
            let irq = irq_of(k, irq)?;
            k.find_desc(irq).filter(|desc| desc.proc_dir).ok_or(Errno::ENOENT)?;
            let write = irq_file(file)?.write;
            Ok(Written::Now(write.map_or(Err(Errno::EIO), |write| write(k, irq, text))))
        }
        ["sys", "devices", "system", "cpu", "smt", "control"] => {
            smt::control_store(k, text.as_bytes()).map(Written::Start)
        }
        ["sys", "devices", "system", "cpu", cpu, "online"] => {
            let cpu = cpu_of(k, cpu)?;
            if !k.topo.present.contains(cpu) {
                return Err(Errno::ENOENT);
            }
            if !arch_register_cpu(k, cpu) {
                return Err(Errno::EACCES);
            }
            let online = kstrtobool(&k.sem, text.as_bytes())?;
            Ok(Written::Start(kcore::base::core::online_store(cpu, online)))
        }
        ["sys", "bus", "pci", "drivers", driver, op @ ("bind" | "unbind")] if is_pci_driver(k, driver) => {
            let dev = bus::bus_find_device_by_name(k, text).ok_or(Errno::ENODEV)?;
            let bound = bound_to(k, dev);
            let matching = pci_bus_match(k, dev).map(|drv| k.pci.drivers[drv.index()].name);
            let matches = matching == Some(driver);
            match op {
                "unbind" if bound == Some(driver) => Ok(Written::Start(bus::unbind_store(dev))),
                "bind" if matches && (bound.is_none() || k.sem.bind_reports_errors) => {
                    Ok(Written::Start(bus::bind_store(dev)))
                }
                _ => Err(Errno::ENODEV),
            }
        }
        ["sys", "bus", "pci", "devices", dev, "numa_node"] => {
            let dev = k.find_pci_dev(dev).ok_or(Errno::ENOENT)?;
            Ok(Written::Now(numa_node_store(k, dev, text)))
        }
        ["sys", "bus", "pci", "devices", dev, "msi_bus"] if !pci::is_bridge(k, dev) => {
            let dev = k.find_pci_dev(dev).ok_or(Errno::ENOENT)?;
            Ok(Written::Now(msi_bus_store(k, dev, text)))
        }
        ["sys", "bus", "pci", "devices", dev, "enable"] if !pci::is_bridge(k, dev) => {
            let dev = k.find_pci_dev(dev).ok_or(Errno::ENOENT)?;
            let val = kstrtoull(text.as_bytes(), 0);
            let val = val.map_err(|err| if k.sem.pci_store_einval { Errno::EINVAL } else { err })?;
            Ok(Written::Start(enable_store(dev, val != 0)))
        }
        ["sys", "class", "nvme", ctrl, file] => {
            let ctrl = nvme_of(k, ctrl)?;
            let store = nvme_attribute(file)?.store.ok_or(Errno::EACCES)?;
            Ok(Written::Start(store(ctrl)))
        }
        ["sys", "kernel", "debug", "irq", "irqs", irq] => {
            let irq = numbered(irq, "").map(Irq).ok_or(Errno::ENOENT)?;
            k.find_desc(irq).ok_or(Errno::ENOENT)?;
            Ok(Written::Now(irqcore::debugfs::irq_debug_write(k, irq, text)))
        }
        ["sys", "module", module, "parameters", name]
            if params::module_params(k, module).any(|param| param.name == name) =>
        {
            let param = params::module_params(k, module).find(|param| param.name == name);
            let param = param.ok_or(Errno::ENOENT)?;
            if param.mode & 0o200 == 0 {
                return Err(Errno::EACCES);
            }
            Ok(Written::Now(param.store(k, text)))
        }
        ["sys", "kernel", "debug", "irqlab", file] if testmod::FILES.contains(&file) => {
            testmod::write(k, file, word)
        }
        _ => Err(refused(k, &parts)),
    }
}

/// Why a path that no write is for cannot be written by root. A file system that has not the file
/// is asked to make one: /proc says that there is none, sysfs and debugfs that they make none.
fn refused(k: &Kernel, parts: &[&str]) -> Errno {
    match list_parts(k, parts) {
        Ok(_) => Errno::EISDIR,
        Err(Errno::ENOTDIR) => {
            let above = parts.split_last().map_or(&[][..], |(_, above)| above);
            match (list_parts(k, above), parts.first(), parts.get(..3)) {
                (Err(e), ..) => e,
                (Ok(_), Some(&"proc"), _) => Errno::EIO,
                (Ok(_), _, Some(["sys", "kernel", "debug"])) => Errno::EINVAL,
                (Ok(_), Some(&"dev"), _) => Errno::EINVAL,
                (Ok(_), ..) => Errno::EACCES,
            }
        }
        Err(_) => {
            let above = parts.split_last().map_or(&[][..], |(_, above)| above);
            match (parts.first(), list_parts(k, above)) {
                (Some(&"sys"), Ok(_)) => Errno::EACCES,
                (_, Err(e)) => e,
                (_, Ok(_)) => Errno::ENOENT,
            }
        }
    }
}

/// The names of all disks, in the order of `ls`.
fn disk_names(k: &Kernel) -> Vec<String> {
    let mut names: Vec<String> = k.blk.disks.iter().flatten().map(|d| d.disk_name.clone()).collect();
    names.sort();
    names
}
