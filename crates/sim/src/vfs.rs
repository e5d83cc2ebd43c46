//! The virtual files: `/proc`, `/sys` and debugfs, under the paths and with the texts of Linux.
//!
//! A read answers with the file's text. A write either is done at once or starts a task that the
//! engine runs to its end; either way it ends with the errno that `write(2)` would return.

use drivers::nvme::sysfs;
use kfn::kframe;
use kstate::irqdomain::IrqDomain;
use kstate::pci::PciDev;
use kstate::{CpuId, CpuMask, DiskId, Errno, Irq, Kernel, NvmeId, PciDevId, sched::Call};

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

/// The parts of an absolute path, `..` and empty parts resolved.
fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts
}

/// `prefixN` as N.
fn numbered(text: &str, prefix: &str) -> Option<u32> {
    let digits = text.strip_prefix(prefix)?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
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

/// The disk behind `/dev/NAME`.
///
/// # Errors
/// `ENOENT` when there is none.
pub fn disk(k: &Kernel, path: &str) -> Result<DiskId, Errno> {
    match parts(path)[..] {
        ["dev", name] => k.blk.disk_by_name(name).ok_or(Errno::ENOENT),
        _ => Err(Errno::ENOENT),
    }
}

fn nvme_of(k: &Kernel, name: &str) -> Result<NvmeId, Errno> {
    sysfs::find(k, name).ok_or(Errno::ENOENT)
}

fn line(text: impl core::fmt::Display) -> String {
    format!("{text}\n")
}

/// Reads a file.
///
/// # Errors
/// `ENOENT` for a path that does not exist, `EISDIR` for a directory, `EACCES` for a file that
/// can only be written.
pub fn read(k: &mut Kernel, path: &str) -> Result<String, Errno> {
    let parts = parts(path);
    match parts[..] {
        ["proc", "interrupts"] => Ok(irqcore::proc::show_interrupts(k)),
        ["proc", "cmdline"] => Ok(line(k.cmdline.join(" "))),
        ["proc", "irq", "default_smp_affinity"] => Ok(irqcore::proc::default_affinity_show(k)),
        ["proc", "irq", irq, file] => {
            let irq = irq_of(k, irq)?;
            irqcore::proc::read(k, irq, file)
        }
        ["sys", "devices", "system", "cpu", file @ ("online" | "present" | "possible" | "offline")] => {
            let mask = match file {
                "online" => k.topo.online.clone(),
                "present" => k.topo.present.clone(),
                "possible" => k.topo.possible.clone(),
                _ => k.topo.possible.andnot(&k.topo.online),
            };
            Ok(line(mask))
        }
        ["sys", "devices", "system", "cpu", cpu, "online"] => {
            let cpu = cpu_of(k, cpu)?;
            // CPU 0 has no such file on x86 unless it can be taken down.
            if cpu.0 == 0 || !k.topo.present.contains(cpu) {
                return Err(Errno::ENOENT);
            }
            Ok(line(u8::from(k.topo.online.contains(cpu))))
        }
        ["sys", "devices", "system", "cpu", cpu, "topology", file] => {
            let cpu = cpu_of(k, cpu)?;
            if !k.topo.online.contains(cpu) {
                return Err(Errno::ENOENT);
            }
            let place = &k.topo.cpus[cpu.index()];
            match file {
                "thread_siblings_list" | "core_cpus_list" => Ok(line(&k.topo.siblings[cpu.index()])),
                "thread_siblings" | "core_cpus" => Ok(line(k.topo.siblings[cpu.index()].hex(k.topo.nr_cpu_ids))),
                "physical_package_id" => Ok(line(place.socket)),
                _ => Err(Errno::ENOENT),
            }
        }
        ["sys", "devices", "system", "node", "possible" | "online"] => {
            Ok(line(CpuMask::first_n(k.topo.nr_node_ids)))
        }
        ["sys", "devices", "system", "node", node, "cpulist"] => {
            let node = numbered(node, "node").ok_or(Errno::ENOENT)?;
            let cpus = k.topo.node_cpus.get(node as usize).ok_or(Errno::ENOENT)?;
            Ok(line(cpus.and(&k.topo.online)))
        }
        ["sys", "block", disk, "mq", queue, "cpu_list"] => {
            let queue = numbered(queue, "").ok_or(Errno::ENOENT)?;
            drivers::blk_mq::cpu_list(k, disk, queue).map(line).ok_or(Errno::ENOENT)
        }
        ["sys", "class", "nvme", ctrl, file] => {
            let ctrl = nvme_of(k, ctrl)?;
            sysfs::read(k, ctrl, file)
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
        ["sys", "bus", "pci", "drivers", _, "bind" | "unbind"] => Err(Errno::EACCES),
        _ => match list(k, path) {
            Ok(_) => Err(Errno::EISDIR),
            Err(e) => Err(e),
        },
    }
}

fn domains(k: &Kernel) -> impl Iterator<Item = (kstate::DomainId, &IrqDomain)> {
    let indexed = k.irq.domains.iter().enumerate();
    indexed.filter_map(|(i, d)| Some((kstate::DomainId(i as u32), d.as_ref()?)))
}

/// Lists a directory, in the order of `ls`.
///
/// # Errors
/// `ENOENT` for a path that is no directory.
pub fn list(k: &Kernel, path: &str) -> Result<Vec<String>, Errno> {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let irqs = |all: bool| -> Vec<String> {
        k.for_each_irq().filter(|&irq| all || k.desc(irq).proc_dir).map(|irq| irq.to_string()).collect()
    };
    let mut found = match parts(path)[..] {
        [] => names(&["dev", "proc", "sys"]),
        ["dev"] => drivers::blk_mq::disk_names(k),
        ["proc"] => names(&["cmdline", "interrupts", "irq"]),
        ["proc", "irq"] => {
            let mut all = irqs(false);
            all.push("default_smp_affinity".to_owned());
            all
        }
        ["proc", "irq", irq] => {
            irq_of(k, irq)?;
            names(&irqcore::proc::FILES)
        }
        ["sys"] => names(&["block", "bus", "class", "devices", "kernel"]),
        ["sys", "block"] => drivers::blk_mq::disk_names(k),
        ["sys", "block", disk, "mq"] => {
            (0..).take_while(|&q| drivers::blk_mq::cpu_list(k, disk, q).is_some()).map(|q: u32| q.to_string()).collect()
        }
        ["sys", "bus"] => names(&["pci"]),
        ["sys", "bus", "pci"] => names(&["devices", "drivers"]),
        ["sys", "bus", "pci", "drivers"] => names(&["nvme", "virtio-pci"]),
        ["sys", "bus", "pci", "devices"] => k.pci.devs.iter().map(PciDev::name).collect(),
        ["sys", "bus", "pci", "drivers", driver @ ("nvme" | "virtio-pci")] => {
            let bound = k.pci.devs.iter().filter(|d| d.driver.map(drivers::driver_name) == Some(driver)).map(PciDev::name);
            bound.chain(names(&["bind", "unbind"])).collect()
        }
        ["sys", "class"] => names(&["nvme"]),
        ["sys", "class", "nvme"] => sysfs::names(k),
        ["sys", "class", "nvme", ctrl] => {
            nvme_of(k, ctrl)?;
            names(&sysfs::FILES)
        }
        ["sys", "devices"] => names(&["system"]),
        ["sys", "devices", "system"] => names(&["cpu", "node"]),
        ["sys", "devices", "system", "cpu"] => {
            let cpus = k.topo.possible.iter().map(|cpu| format!("cpu{cpu}"));
            cpus.chain(names(&["offline", "online", "possible", "present"])).collect()
        }
        ["sys", "kernel"] => names(&["debug"]),
        ["sys", "kernel", "debug"] => names(&["irq"]),
        ["sys", "kernel", "debug", "irq"] => names(&["domains", "irqs"]),
        ["sys", "kernel", "debug", "irq", "irqs"] => irqs(true),
        ["sys", "kernel", "debug", "irq", "domains"] => domains(k).map(|(_, d)| d.name.clone()).collect(),
        _ => return Err(Errno::ENOENT),
    };
    found.sort();
    Ok(found)
}

/// Writes to a file, as `echo TEXT > PATH` does.
pub fn write(k: &mut Kernel, path: &str, text: &str) -> Written {
    match try_write(k, path, text) {
        Ok(written) => written,
        Err(e) => e.into(),
    }
}

fn try_write(k: &mut Kernel, path: &str, text: &str) -> Result<Written, Errno> {
    let parts = parts(path);
    let word = text.trim_end_matches('\n');
    match parts[..] {
        ["dev", "null"] => Ok(Written::Now(Ok(()))),
        ["proc", "irq", "default_smp_affinity"] => {
            Ok(Written::Now(irqcore::proc::default_affinity_write(k, word)))
        }
        ["proc", "irq", irq, file] => {
            let irq = irq_of(k, irq)?;
            Ok(Written::Now(irqcore::proc::write(k, irq, file, word)))
        }
        ["sys", "devices", "system", "cpu", cpu, "online"] => {
            let cpu = cpu_of(k, cpu)?;
            if cpu.0 == 0 || !k.topo.present.contains(cpu) {
                return Err(Errno::ENOENT);
            }
            match word.trim() {
                "0" | "n" | "N" | "off" => Ok(Written::Start(online_store(cpu, false))),
                "1" | "y" | "Y" | "on" => Ok(Written::Start(online_store(cpu, true))),
                _ => Err(Errno::EINVAL),
            }
        }
        ["sys", "bus", "pci", "drivers", driver @ ("nvme" | "virtio-pci"), op @ ("bind" | "unbind")] => {
            let dev = k.find_pci_dev(word.trim()).ok_or(Errno::ENODEV)?;
            let pci = k.pci_dev(dev);
            let bound = pci.driver.map(drivers::driver_name);
            match op {
                "unbind" if bound == Some(driver) => Ok(Written::Start(unbind_store(dev))),
                "bind" if bound.is_none() && drivers::driver_of(k, dev) == driver => {
                    Ok(Written::Start(bind_store(dev)))
                }
                _ => Err(Errno::ENODEV),
            }
        }
        ["sys", "class", "nvme", ctrl, file] => {
            let ctrl = nvme_of(k, ctrl)?;
            sysfs::write(k, ctrl, file, word).map(Written::Start)
        }
        _ => match read(k, path) {
            // What can be read but has no arm above is read-only.
            Ok(_) => Err(Errno::EACCES),
            Err(e) => Err(e),
        },
    }
}

/// `online_store()`, drivers/base/core.c. Writing the state the CPU is in already is no error.
#[kframe("drivers/base/core.c")]
fn online_store(k: &mut Kernel, cpu: CpuId, online: bool) -> Result<(), Errno> {
    if k.topo.online.contains(cpu) == online {
        return Ok(());
    }
    if online {
        call!(crate::cpu::cpu_device_up(cpu))?;
    } else {
        call!(crate::cpu::cpu_device_down(cpu))?;
    }
    Ok(())
}

/// `bind_store()`, drivers/base/bus.c.
#[kframe("drivers/base/bus.c")]
fn bind_store(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    call!(drivers::pci_device_probe(dev))
}

/// `unbind_store()`, drivers/base/bus.c.
#[kframe("drivers/base/bus.c")]
fn unbind_store(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    call!(drivers::pci_device_remove(dev));
    Ok(())
}
