//! Kind, mode and size of the virtual files, as `stat` and `ls -l` show them. All of them are root's.
//!
//! # What it doesn't implement
//! Times: this machine has no clock of the day, and every file is as old as the epoch. What a
//! directory of a real machine has beside what is modelled, which its number of links counts.

use kstate::{Errno, Kernel};

use super::{irq_of, is_link, link, list_parts, nvme_attribute, parts, strs};

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A character device.
    Character,
    /// A block device.
    Block,
}

/// What `lstat(2)` says of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// What it is.
    pub kind: Kind,
    /// The permission bits.
    pub mode: u16,
    /// Its size in bytes.
    pub size: u32,
    /// The links to it.
    pub links: u32,
}

impl Attributes {
    /// Kind and mode in ten letters.
    fn letters(&self) -> String {
        let kind = match self.kind {
            Kind::File => '-',
            Kind::Directory => 'd',
            Kind::Link => 'l',
            Kind::Character => 'c',
            Kind::Block => 'b',
        };
        let bit = |n: u16| if self.mode >> n & 1 == 0 { '-' } else { ['x', 'w', 'r'][usize::from(n % 3)] };
        core::iter::once(kind).chain((0..9).rev().map(bit)).collect()
    }

    /// A format of `stat -c` with the values in place of its `%` and letter.
    pub fn fill_in(&self, format: &str, path: &str) -> String {
        let mut text = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some('a') => text.push_str(&format!("{:o}", self.mode)),
                Some('A') => text.push_str(&self.letters()),
                Some('n') => text.push_str(path),
                Some('U' | 'G') => text.push_str("root"),
                Some('u' | 'g') => text.push('0'),
                Some(other) => text.push(other),
                None => {}
            }
        }
        text
    }
}

/// What `lstat(2)` says of a path.
///
/// # Errors
/// `ENOENT` and `ENOTDIR` for a path that does not exist.
pub fn attributes(k: &Kernel, path: &str) -> Result<Attributes, Errno> {
    let parts = parts(k, path);
    let parts = strs(&parts);
    let names = list_parts(k, &parts);
    if is_link(k, path) {
        return Ok(Attributes { kind: Kind::Link, mode: 0o777, size: 0, links: 1 });
    }
    match names {
        Ok(names) => {
            let below = |name: &String| {
                link::target(k, &parts, name).is_none()
                    && list_parts(k, &[&parts[..], &[name.as_str()]].concat()).is_ok()
            };
            let links = 2 + names.iter().filter(|name| below(name)).count() as u32;
            Ok(Attributes { kind: Kind::Directory, mode: directory_mode(k, &parts), size: 0, links })
        }
        Err(Errno::ENOTDIR) => {
            let above = parts.split_last().map_or(&[][..], |(_, above)| above);
            list_parts(k, above)?;
            let (kind, mode) = file_mode(k, &parts)?;
            // sysfs gives every file a page; the others do not say how long they are.
            let paged = parts[0] == "sys" && parts.get(2) != Some(&"debug");
            let size = match parts.last() {
                Some(&"config") => u32::from(super::PCI_CFG_SPACE_SIZE),
                _ if paged => 4096,
                _ => 0,
            };
            Ok(Attributes { kind, mode, size, links: 1 })
        }
        Err(e) => Err(e),
    }
}

fn directory_mode(k: &Kernel, parts: &[&str]) -> u16 {
    match parts {
        ["proc", ..] => 0o555,
        // Where debugfs and tracefs are mounted.
        ["sys", "kernel", "debug" | "tracing"] | ["sys", "kernel", "debug", "tracing"] => 0o700,
        // tracefs_create_dir(); what is in `events` is eventfs by then, which lets everybody in.
        ["sys", "kernel", "tracing", "options"] | ["sys", "kernel", "debug", "tracing", "options"]
            if k.sem.tracefs_keeps_others_out =>
        {
            0o750
        }
        _ => 0o755,
    }
}

/// The mode with which `trace_create_file()` is called for a file.
fn tracefs_mode(k: &Kernel, file: &[&str]) -> u16 {
    let mode = match file {
        ["trace_marker"] => return 0o220,
        ["available_events" | "available_filter_functions" | "available_tracers"] => 0o444,
        _ => 0o644,
    };
    if k.sem.tracefs_keeps_others_out { mode & 0o770 } else { mode }
}

fn file_mode(k: &Kernel, parts: &[&str]) -> Result<(Kind, u16), Errno> {
    let mode = match *parts {
        ["dev", "null"] => return Ok((Kind::Character, 0o666)),
        ["dev", "kmsg"] => return Ok((Kind::Character, 0o644)),
        ["dev", _] => return Ok((Kind::Block, 0o600)),
        ["proc", "irq", "default_smp_affinity"] => 0o644,
        ["proc", "irq", irq, "smp_affinity" | "smp_affinity_list"] => {
            let writable = k.desc(irq_of(k, irq)?).proc_affinity_writable;
            0o444 | if writable { 0o200 } else { 0 }
        }
        // DEVICE_ATTR_RW(), drivers/base/core.c, kernel/cpu.c and drivers/pci/pci-sysfs.c.
        ["sys", "devices", "system", "cpu", _, "online"]
        | ["sys", "devices", "system", "cpu", "smt", "control"]
        | ["sys", "bus", "pci", "devices", _, "numa_node" | "config" | "enable" | "msi_bus"] => 0o644,
        ["sys", "module", module, "parameters", name] => {
            let mut params = crate::params::module_params(k, module);
            params.find(|param| param.name == name).map(|param| param.mode).ok_or(Errno::ENOENT)?
        }
        ["sys", "bus", "pci", "drivers", _, "bind" | "unbind"] => 0o200,
        ["sys", "class", "nvme", _, file] => {
            let file = nvme_attribute(file)?;
            if file.show.is_some() { 0o444 } else { 0o200 }
        }
        ["sys", "kernel", "debug", "irq", "irqs", _] => 0o644,
        ["sys", "kernel", "debug", "block", _, _, _] => 0o400,
        ["sys", "kernel", "debug", "irqlab", _] => 0o200,
        ["sys", "kernel", "debug", "irq", "domains", _] => 0o444,
        ["sys", "kernel", "tracing", ref file @ ..]
        | ["sys", "kernel", "debug", "tracing", ref file @ ..] => tracefs_mode(k, file),
        _ => 0o444,
    };
    Ok((Kind::File, mode))
}

/// The lines of `ls -l`, of the directory's names or of the one file.
///
/// # Errors
/// Those of [`attributes`].
pub fn list_long(k: &Kernel, path: &str) -> Result<Vec<String>, Errno> {
    let line = |name: &str, path: &str| {
        let found = attributes(k, path)?;
        Ok(format!(
            "{} {:4} {:8} {:8} {:9} Jan  1 00:00 {name}",
            found.letters(),
            found.links,
            "root",
            "root",
            found.size
        ))
    };
    let found = attributes(k, path)?;
    // `ls` follows a link that it is told to list only behind a slash.
    if found.kind != Kind::Directory && !(found.kind == Kind::Link && path.ends_with('/')) {
        return Ok(vec![line(path, path)?]);
    }
    let names = super::list(k, path)?;
    names.iter().map(|name| line(name, &format!("{}/{name}", path.trim_end_matches('/')))).collect()
}
