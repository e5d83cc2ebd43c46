//! What the files say, before anything is made of it: CPUs, nodes, interrupts and functions, and where each of
//! it comes from.

use std::collections::{BTreeMap, BTreeSet};

use kstate::{CpuId, CpuMask};

use crate::interrupts::{Interrupts, Row};
use crate::report::Report;
use crate::tree::{FEATURES, Tree, numbered};

/// Vendor and device of the host bridge of QEMU's q35 (82G33/G31/P35/P31).
const Q35_HOST_BRIDGE: (u16, u16) = (0x8086, 0x29c0);
/// The most CPUs that a machine file can have.
const MAX_CPUS: u32 = kstate::cpumask::MAX_CPUS;

/// The CPUs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cpus {
    /// How many there can be, where the files say so.
    pub possible: Option<u32>,
    /// Those that are there.
    pub present: CpuMask,
    /// Those that are online.
    pub online: CpuMask,
    /// Threads of each core.
    pub cores: Vec<CpuMask>,
    /// CPUs of each package.
    pub packages: Vec<CpuMask>,
    /// CPUs of each node, by number.
    pub nodes: Vec<CpuMask>,
    /// CPUs of each L2 cache.
    pub l2: Vec<CpuMask>,
    /// APIC IDs by CPU.
    pub apic_ids: BTreeMap<u32, u32>,
    /// The CPUs can do x2APIC.
    pub x2apic: bool,
    /// The machine is a guest.
    pub hypervisor: bool,
}

/// What is known of an interrupt with a number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Irq {
    /// Its row in /proc/interrupts.
    pub row: Option<Row>,
    /// `smp_affinity_list`.
    pub affinity: Option<CpuMask>,
    /// `effective_affinity_list`.
    pub effective: Option<CpuMask>,
    /// `node`.
    pub node: Option<i32>,
    /// Its affinity file cannot be written, as the mode says.
    pub read_only: bool,
    /// What debugfs says.
    pub debug: Option<Debug>,
}

/// What /sys/kernel/debug/irq/irqs says of an interrupt.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Debug {
    /// `IRQD_AFFINITY_MANAGED`.
    pub managed: bool,
    /// The vector and the CPU that it is on.
    pub vector: Option<(u32, u32)>,
    /// The function whose message it is.
    pub device: Option<String>,
    /// The CPU that it moves away from: it has not come since.
    pub moves_from: Option<u32>,
}

/// A PCI function with interrupts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Function {
    /// The driver, where something says it.
    pub driver: Option<String>,
    /// Where that is from.
    pub driver_from: &'static str,
    /// `numa_node`, -1 for none.
    pub node: Option<i32>,
    /// Entries of its MSI-X table, from its configuration space or lspci.
    pub msix_table: Option<u32>,
    /// Interrupts by message.
    pub messages: BTreeMap<u32, u32>,
    /// They are MSI-X; `None` where nothing says so.
    pub msix: Option<bool>,
    /// Interrupts that are known to be the function's, whose message is not known.
    pub others: BTreeSet<u32>,
    /// Names of its network interfaces.
    pub interfaces: Vec<String>,
    /// Vendor and device.
    pub id: Option<(u16, u16)>,
    /// Messages of its MSI capability, and whether they can be masked.
    pub msi_table: Option<(u32, bool)>,
    /// It has an interrupt line, or nothing says so.
    pub pin: Option<bool>,
    /// `irq`: the number of its line, where the kernel has mapped it.
    pub irq: Option<u32>,
    /// How many queues its driver made, of an NVMe controller with the admin queue.
    pub queues: Option<u32>,
    /// How many pairs of I/O queues an NVMe controller grants (feature 7).
    pub granted: Option<u32>,
}

/// Everything that the files say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// The CPUs.
    pub cpus: Cpus,
    /// Interrupts by number.
    pub irqs: BTreeMap<u32, Irq>,
    /// Functions by address.
    pub functions: BTreeMap<String, Function>,
    /// `/proc/cmdline`.
    pub cmdline: Option<String>,
    /// The kernel's release.
    pub release: Option<String>,
    /// What else than x86-64 the machine is, where a file says so.
    pub architecture: Option<String>,
    /// /proc/interrupts.
    pub interrupts: Interrupts,
    /// Interrupts that are there have debugfs.
    pub debugfs: bool,
    /// The oldest kernel that can have written what debugfs says, by release.
    pub debugfs_since: Option<(u32, u32)>,
    /// How many queues the virtio disks have, vda first, where only /sys/block says it.
    pub disks: Vec<u32>,
    /// It is a state of a capture and nothing else.
    pub state: bool,
    /// The board is a q35 of QEMU, whose first bus is wired in a known way.
    pub q35: bool,
    /// The rows of the vector matrix, by CPU.
    pub matrix: BTreeMap<u32, MatrixRow>,
}

/// A row of /sys/kernel/debug/irq/domains/VECTOR.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MatrixRow {
    /// `avl`, `man`, `mac` and `act`: vectors that are available, managed, managed and allocated, allocated.
    pub counters: [u32; 4],
    /// Vectors that are allocated.
    pub vectors: Vec<u32>,
}

fn list(text: &str) -> Option<CpuMask> {
    CpuMask::parse_list(text.trim(), MAX_CPUS).ok()
}

/// A mask in the hexadecimal form of `smp_affinity`, words of 32 bits with commas between.
fn hex_mask(text: &str) -> Option<CpuMask> {
    let mut mask = CpuMask::new();
    for (word, digits) in text.trim().rsplit(',').enumerate() {
        let bits = u32::from_str_radix(digits, 16).ok()?;
        for bit in (0..32).filter(|bit| bits >> bit & 1 != 0) {
            let cpu = word as u32 * 32 + bit;
            if cpu >= MAX_CPUS {
                return None;
            }
            mask.set(CpuId(cpu));
        }
    }
    Some(mask)
}

impl Facts {
    /// Reads everything that is there.
    pub fn of(tree: &Tree, report: &mut Report) -> Self {
        let mut facts = Self::default();
        if let Some(text) = tree.text("proc/interrupts") {
            match Interrupts::parse(text) {
                Some(interrupts) => facts.interrupts = interrupts,
                None => report
                    .missing("/proc/interrupts does not begin with a line of CPUs: no interrupts are known"),
            }
        } else {
            report
                .missing("/proc/interrupts: no interrupt has a name, and drivers are known from /sys alone");
        }
        facts.cmdline = tree.text("proc/cmdline").map(|text| text.trim().to_owned());
        if facts.cmdline.is_none() {
            report.missing("/proc/cmdline: words such as isolcpus= are not known");
        }
        facts.release = release(tree);
        facts.architecture = architecture(tree, facts.release.as_deref());
        facts.cpus = cpus(tree, &facts.interrupts, report);
        facts.irqs(tree, report);
        facts.functions(tree, report);
        facts.state = tree.kind == "a state";
        facts.q35 = facts.state
            || facts.functions.get("0000:00:00.0").and_then(|f| f.id) == Some(Q35_HOST_BRIDGE)
            || tree.kind == "a capture";
        // nvme_probe() gives a controller of no node the first one with memory.
        let is_nvme = |f: &Function| f.driver.as_deref() == Some("nvme");
        if !facts.functions.values().any(|f| !is_nvme(f) && f.node.is_some_and(|node| node >= 0)) {
            facts
                .functions
                .values_mut()
                .filter(|f| is_nvme(f) && f.node == Some(0))
                .for_each(|f| f.node = None);
        }
        facts.functions.retain(|_, function| function.counts());
        let disks = tree.names("sys/block").into_iter().filter(|name| name.starts_with("vd"));
        facts.disks = disks.map(|name| tree.names(&format!("sys/block/{name}/mq")).len() as u32).collect();
        facts.module_options(tree);
        facts
    }

    /// Functions that a state does not name, since they have no messages: those of a q35 that stand at its pins.
    pub(crate) fn on_lines(&self, report: &mut Report) -> BTreeMap<String, Function> {
        let mut found = BTreeMap::new();
        if !self.state {
            return found;
        }
        // Slots from 3 on have the pins 23, 20, 21 and 22.
        for (slot, irq) in [(3, 23), (4, 20), (5, 21), (6, 22)] {
            let Some(row) = self.irqs.get(&irq).and_then(|irq| irq.row.as_ref()) else { continue };
            let address = format!("0000:00:{slot:02x}.0");
            let first = row.actions.split(", ").next().unwrap_or_default();
            let driver = match () {
                () if first.starts_with("nvme") => "nvme",
                () if numbered(first, "virtio") => "virtio_blk",
                () => continue,
            };
            if self.functions.contains_key(&address) {
                continue;
            }
            report.assumed(format!(
                "{} is {address}, the first function of a q35 that pin {irq} can be of",
                row.actions
            ));
            let function = Function {
                driver: Some(driver.to_owned()),
                driver_from: "the name of its interrupt",
                irq: Some(irq),
                ..Function::default()
            };
            found.insert(address, function);
        }
        found
    }

    /// Options that modprobe gave to the driver stand beside those of the command line.
    fn module_options(&mut self, tree: &Tree) {
        let mut cmdline = self.cmdline.clone().unwrap_or_default();
        for name in ["write_queues", "poll_queues", "use_threaded_interrupts"] {
            let value = tree.word(&format!("sys/module/nvme/parameters/{name}"));
            let word = format!("nvme.{name}=");
            if let Some(value) = value.filter(|value| *value != "0")
                && value.bytes().all(|b| b.is_ascii_digit())
                && !cmdline.contains(&word)
            {
                let gap = if cmdline.is_empty() { "" } else { " " };
                cmdline = format!("{cmdline}{gap}{word}{value}");
                self.cmdline = Some(cmdline.clone());
            }
        }
    }

    fn irqs(&mut self, tree: &Tree, report: &mut Report) {
        for row in &self.interrupts.rows {
            self.irqs.entry(row.irq).or_default().row = Some(row.clone());
        }
        let mut modes: BTreeSet<u32> = BTreeSet::new();
        for name in tree.names("proc/irq") {
            let Ok(irq) = name.parse::<u32>() else { continue };
            let file = |file: &str| format!("proc/irq/{irq}/{file}");
            let mask = |as_list: &str, as_hex: &str| {
                let from_list = tree.text(&file(as_list)).and_then(list);
                from_list.or_else(|| tree.word(&file(as_hex)).and_then(hex_mask))
            };
            let entry = self.irqs.entry(irq).or_default();
            entry.affinity = mask("smp_affinity_list", "smp_affinity");
            entry.effective = mask("effective_affinity_list", "effective_affinity");
            entry.node = tree.word(&file("node")).and_then(|node| node.parse().ok());
            if let Some(mode) = tree.mode(&file("smp_affinity")).or(tree.mode(&file("smp_affinity_list"))) {
                modes.insert(mode);
                entry.read_only = mode == 0o444;
            }
        }
        // An archive without modes gives all files the same one.
        if modes.len() < 2 {
            self.irqs.values_mut().for_each(|irq| irq.read_only = false);
        }
        for name in tree.names("sys/kernel/debug/irq/irqs") {
            let Ok(irq) = name.parse::<u32>() else { continue };
            if let Some(text) = tree.text(&format!("sys/kernel/debug/irq/irqs/{irq}")) {
                self.irqs.entry(irq).or_default().debug = Some(debug(text));
                self.debugfs = true;
                self.debugfs_since = self.debugfs_since.max(since(text));
            }
        }
        if let Some(text) = tree.text("sys/kernel/debug/irq/domains/VECTOR") {
            self.matrix = matrix(text);
        }
        if !self.irqs.values().any(|irq| irq.affinity.is_some()) && !self.irqs.is_empty() {
            report.missing(
                "/proc/irq/*/smp_affinity_list: which interrupts are managed follows from their drivers alone, and \
                 nobody's changes are known",
            );
        }
        if !self.debugfs && !self.irqs.is_empty() {
            report.missing(
                "/sys/kernel/debug/irq (root, debugfs): vectors are not known, and irqlab chooses them",
            );
        }
    }

    fn functions(&mut self, tree: &Tree, report: &mut Report) {
        let mut paths: BTreeMap<&str, String> = BTreeMap::new();
        for path in tree.under("sys/devices/pci") {
            let parts: Vec<&str> = path.split('/').collect();
            let Some(at) = parts.iter().rposition(|part| sim::machine::parse_bdf(part).is_some()) else {
                continue;
            };
            paths.entry(parts[at]).or_insert_with(|| parts[..=at].join("/"));
        }
        for (address, path) in paths {
            let file = |file: &str| format!("{path}/{file}");
            let mut function = Function {
                node: tree.word(&file("numa_node")).and_then(|node| node.parse().ok()),
                ..Function::default()
            };
            if let Some(link) = tree.link(&file("driver")) {
                function.driver = link.rsplit('/').next().map(str::to_owned);
                function.driver_from = "its link in /sys";
            }
            // A link to a driver of the virtio bus says more than that of the PCI bus.
            let virtio = tree.names(&path);
            for name in virtio.iter().filter(|name| numbered(name, "virtio")) {
                if let Some(link) = tree.link(&file(&format!("{name}/driver"))) {
                    function.driver = link.rsplit('/').next().map(str::to_owned);
                    function.driver_from = "its link in /sys";
                }
                let folders = |below: &str, inner: &str| -> Option<u32> {
                    let base = file(&format!("{name}/{below}"));
                    let device =
                        tree.names(&base).first().map(|device| format!("{base}/{device}/{inner}"))?;
                    let count = tree.names(&device).iter().filter(|q| !q.starts_with("tx-")).count();
                    (count > 0).then_some(count as u32)
                };
                function.queues = folders("block", "mq").or_else(|| folders("net", "queues"));
            }
            for ctrl in tree.names(&file("nvme")) {
                let count = tree.word(&file(&format!("nvme/{ctrl}/queue_count")));
                function.queues = count.and_then(|count| count.parse().ok());
                function.granted = tree.word(&format!("{FEATURES}/{ctrl}")).and_then(granted);
            }
            let hex = |name: &str| {
                let text = tree.word(&file(name))?;
                u16::from_str_radix(text.strip_prefix("0x")?, 16).ok()
            };
            function.id = hex("vendor").zip(hex("device"));
            function.irq = tree.word(&file("irq")).and_then(|irq| irq.parse().ok()).filter(|irq| *irq > 0);
            if let Some(config) = tree.bytes(&file("config")) {
                function.msix_table = capability(config, 0x11).map(|control| u32::from(control & 0x7ff) + 1);
                function.msi_table = capability(config, 0x05)
                    .map(|control| (1 << (control >> 1 & 7).min(5), control & 0x100 != 0));
                function.pin = config.get(0x3d).map(|pin| *pin > 0);
            }
            for irq in tree.names(&file("msi_irqs")).iter().filter_map(|irq| irq.parse::<u32>().ok()) {
                let inner = file(&format!("msi_irqs/{irq}"));
                let mode =
                    tree.word(&inner).or_else(|| tree.word(&format!("{inner}/mode"))).unwrap_or_default();
                function.msix = Some(mode != "msi");
                function.others.insert(irq);
            }
            function.interfaces = tree.names(&file("net")).iter().map(|name| (*name).to_owned()).collect();
            self.functions.insert(address.to_owned(), function);
        }
        self.lspci(tree);
        self.udevadm(tree);
        self.rows(report);
        // Messages that only /sys knows: they were allocated in the order of their numbers.
        for function in self.functions.values_mut() {
            let known: BTreeSet<u32> = function.messages.values().copied().collect();
            let unknown: Vec<u32> = function.others.difference(&known).copied().collect();
            let mut next = 0;
            for irq in unknown {
                // Where its neighbours' messages are known, it is the one between them.
                let before = function
                    .messages
                    .iter()
                    .filter(|(_, known)| **known < irq)
                    .map(|(index, _)| *index)
                    .max();
                next = before.map_or(next, |index| next.max(index + 1));
                while function.messages.contains_key(&next) {
                    next += 1;
                }
                function.messages.insert(next, irq);
            }
        }
    }

    /// lspci -vv: MSI-X tables, drivers and nodes.
    fn lspci(&mut self, tree: &Tree) {
        let texts: Vec<&str> =
            tree.under("sos_commands/pci/").chain(["lspci"]).filter_map(|path| tree.text(path)).collect();
        for text in texts {
            let mut address: Option<String> = None;
            for line in text.lines() {
                if !line.starts_with(char::is_whitespace) {
                    let word = line.split_whitespace().next().unwrap_or_default();
                    let long =
                        if word.matches(':').count() == 1 { format!("0000:{word}") } else { word.to_owned() };
                    address = sim::machine::parse_bdf(&long).map(|_| long);
                    continue;
                }
                let Some(address) = &address else { continue };
                let line = line.trim();
                if let Some(rest) = line.split_once("MSI-X: Enable").map(|(_, rest)| rest) {
                    let count = rest
                        .split_once("Count=")
                        .and_then(|(_, n)| n.split_whitespace().next()?.parse().ok());
                    if let Some(count) = count.filter(|n| *n > 0 && *n <= sim::machine::MAX_MSIX) {
                        self.functions.entry(address.clone()).or_default().msix_table = Some(count);
                    }
                } else if let Some(driver) = line.strip_prefix("Kernel driver in use: ") {
                    let function = self.functions.entry(address.clone()).or_default();
                    if function.driver.is_none() {
                        function.driver = Some(driver.trim().to_owned());
                        function.driver_from = "lspci";
                    }
                } else if let Some(node) = line.strip_prefix("NUMA node: ") {
                    let function = self.functions.entry(address.clone()).or_default();
                    function.node = function.node.or(node.trim().parse().ok());
                }
            }
        }
    }

    /// `udevadm info --export-db`: drivers of functions.
    fn udevadm(&mut self, tree: &Tree) {
        for text in tree.under("sos_commands/devices/").filter_map(|path| tree.text(path)) {
            let mut address: Option<String> = None;
            for line in text.lines() {
                if let Some(path) = line.strip_prefix("P: ") {
                    let last = path.rsplit('/').next().unwrap_or_default();
                    address = sim::machine::parse_bdf(last).map(|_| last.to_owned());
                } else if let (Some(address), Some(driver)) = (&address, line.strip_prefix("E: DRIVER=")) {
                    let function = self.functions.entry(address.clone()).or_default();
                    if function.driver.is_none() {
                        function.driver = Some(driver.trim().to_owned());
                        function.driver_from = "udevadm";
                    }
                }
            }
        }
    }

    /// Which function has which row: the chip says so, or the hardware number does.
    fn rows(&mut self, report: &mut Report) {
        let mut lost = Vec::new();
        for row in &self.interrupts.rows {
            let chip = row.chip.strip_prefix("IR-").unwrap_or(&row.chip);
            let Some(rest) = chip.strip_prefix("PCI-MSI") else { continue };
            let (address, index, msix) = match rest.split_once('-') {
                // A domain for each function, since 6.2.
                Some((kind, address)) => {
                    let Some(index) = row.hwirq else { continue };
                    (address.to_owned(), index as u32, Some(kind == "X"))
                }
                // One for all: pci_msi_domain_calc_hwirq().
                None => match row.hwirq {
                    Some(hwirq) => {
                        let (segment, bdf) = (hwirq >> 27, hwirq >> 11 & 0xffff);
                        let address =
                            format!("{segment:04x}:{:02x}:{:02x}.{}", bdf >> 8, bdf >> 3 & 0x1f, bdf & 7);
                        (address, (hwirq & 0x7ff) as u32, None)
                    }
                    // Which of a function's messages it is then follows from the order of the numbers.
                    None => {
                        let known = self.functions.values().any(|f| f.others.contains(&row.irq));
                        let device =
                            self.irqs.get(&row.irq).and_then(|irq| irq.debug.as_ref()?.device.clone());
                        match device {
                            _ if known => {}
                            Some(device) => {
                                self.functions.entry(device).or_default().others.insert(row.irq);
                            }
                            None => lost.push(row.irq),
                        }
                        continue;
                    }
                },
            };
            if sim::machine::parse_bdf(&address).is_none() || index >= sim::machine::MAX_MSIX {
                lost.push(row.irq);
                continue;
            }
            let function = self.functions.entry(address).or_default();
            function.msix = msix.or(function.msix);
            function.messages.insert(index, row.irq);
        }
        if !lost.is_empty() {
            report.missing(format!(
                "the functions of {} messages: this kernel's /proc/interrupts does not say them, and \
                 /sys/bus/pci/devices/*/msi_irqs is not there",
                lost.len()
            ));
        }
    }
}

impl Function {
    /// It has interrupts, or can be a whole device of irqlab's.
    fn counts(&self) -> bool {
        let virtio = ["virtio_blk", "virtio_net", "virtio_scsi", "nvme"];
        !self.messages.is_empty()
            || self.driver.as_deref().is_some_and(|driver| virtio.contains(&driver))
            || self.id == Some(drivers::test::hw::ID)
    }
}

/// `get-feature:0x07 (Number of Queues), Current value:0x00070007` of nvme-cli: pairs of queues, of which the value
/// has one less in each half.
fn granted(text: &str) -> Option<u32> {
    let (_, value) = text.split_once("urrent value:")?;
    let value = value.split_whitespace().next()?.trim_start_matches("0x");
    let value = u32::from_str_radix(value, 16).ok()?;
    Some((value & 0xffff).min(value >> 16) + 1)
}

/// The Message Control register behind a capability's number, in a configuration space that has its capabilities.
fn capability(config: &[u8], wanted: u8) -> Option<u16> {
    let byte = |at: usize| config.get(at).copied();
    if config.len() < 256 || byte(6)? & 0x10 == 0 {
        return None;
    }
    let mut at = usize::from(byte(0x34)? & 0xfc);
    for _ in 0..48 {
        if at < 0x40 {
            return None;
        }
        if byte(at)? == wanted {
            return Some(u16::from(byte(at + 2)?) | u16::from(byte(at + 3)?) << 8);
        }
        at = usize::from(byte(at + 1)? & 0xfc);
    }
    None
}

/// The release since which an interrupt's text in debugfs looks like this.
fn since(text: &str) -> Option<(u32, u32)> {
    let marks = [("IRQCHIP_MOVE_DEFERRED", (7, 0)), ("IRQD_HANDLE_ENFORCE_IRQCTX", (5, 8))];
    marks.into_iter().find(|(mark, _)| text.contains(mark)).map(|(_, release)| release)
}

/// The rows of /sys/kernel/debug/irq/domains/VECTOR.
fn matrix(text: &str) -> BTreeMap<u32, MatrixRow> {
    let rows = text.lines().skip_while(|line| !line.contains("| CPU |")).skip(1);
    rows.filter_map(|line| {
        let mut words = line.split_whitespace();
        let mut next = || words.next().and_then(|word| word.parse::<u32>().ok());
        let cpu = next()?;
        let counters = [next()?, next()?, next()?, next()?];
        // A bitmap of 256 is written as a list of CPUs is.
        let vectors = words.next().and_then(list).unwrap_or_default();
        Some((cpu, MatrixRow { counters, vectors: vectors.iter().map(|bit| bit.0).collect() }))
    })
    .collect()
}

/// The text of an interrupt in debugfs.
fn debug(text: &str) -> Debug {
    let mut debug = Debug { managed: text.contains("IRQD_AFFINITY_MANAGED"), ..Debug::default() };
    let (mut vector, mut target, mut previous) = (None, None, None);
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        match key.trim_end() {
            "Vector" => vector = value.trim().parse().ok(),
            "Target" => target = value.trim().parse().ok(),
            "Previous target" => previous = value.trim().parse().ok(),
            "device" => {
                let device = value.trim();
                debug.device = sim::machine::parse_bdf(device).map(|_| device.to_owned());
            }
            _ => {}
        }
    }
    debug.moves_from = previous.filter(|_| text.contains("move_in_progress: 1"));
    debug.vector = vector.zip(target).filter(|(vector, _)| *vector != 0);
    debug
}

/// The kernel's release, from /proc/version or the name of the image that was booted.
fn release(tree: &Tree) -> Option<String> {
    if let Some(version) = tree.word("proc/version") {
        return version.split_whitespace().nth(2).map(str::to_owned);
    }
    let cmdline = tree.word("proc/cmdline")?;
    let image = cmdline.split_whitespace().find_map(|word| word.strip_prefix("BOOT_IMAGE="))?;
    let name = image.rsplit('/').next()?;
    name.strip_prefix("vmlinuz-").map(str::to_owned)
}

/// Texts of lscpu: the table of `-ae` or the plain form.
fn lscpu_texts(tree: &Tree) -> impl Iterator<Item = &str> {
    tree.under("sos_commands/processor/").chain(["lscpu"]).filter_map(|path| tree.text(path))
}

/// What a machine is that is no x86-64: `lscpu`, /proc/cpuinfo, or the kernel's name says it.
fn architecture(tree: &Tree, release: Option<&str>) -> Option<String> {
    let said = lscpu_texts(tree)
        .flat_map(str::lines)
        .find_map(|line| Some(line.strip_prefix("Architecture:")?.trim()));
    if let Some(other) = said.filter(|name| *name != "x86_64") {
        return Some(other.to_owned());
    }
    let old = ["-686", "i686", "i586", "i386"];
    let other = ["aarch64", "ppc64le", "s390x", "riscv64"];
    let release = release.unwrap_or_default();
    if let Some(name) = old.iter().chain(&other).find(|name| release.contains(**name)) {
        return Some(if old.contains(name) { "a 32-bit PC".to_owned() } else { (*name).to_owned() });
    }
    let cpuinfo = tree.text("proc/cpuinfo")?;
    let key =
        |name: &str| cpuinfo.lines().any(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    match () {
        () if key("CPU implementer") => Some("an ARM machine".to_owned()),
        () if key("isa") && key("hart") => Some("a RISC-V machine".to_owned()),
        () if key("timebase") => Some("a POWER machine".to_owned()),
        () if key("archrev") => Some("an IA-64 machine".to_owned()),
        () if cpuinfo.contains("IBM/S390") => Some("an s390 machine".to_owned()),
        // A kernel of 32 bits lists old bugs, also on a processor that could do more.
        () if key("fdiv_bug") => Some("a 32-bit PC".to_owned()),
        () if flags.is_some_and(|flags| !flags.split_whitespace().any(|flag| flag == "lm")) => {
            Some("a 32-bit PC".to_owned())
        }
        () => None,
    }
}

/// The plain text of lscpu, where neither /sys nor its table is there.
fn lscpu_plain(text: &str, cpus: &mut Cpus, report: &mut Report) {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let pairs: BTreeMap<&str, &str> = lines.map(|(key, value)| (key.trim(), value.trim())).collect();
    let value = |key: &str| pairs.get(key).copied();
    let number = |key: &str| value(key).and_then(|n| n.parse::<u32>().ok());
    let Some(count) = number("CPU(s)").filter(|n| (1..=MAX_CPUS).contains(n)) else { return };
    let online = value("On-line CPU(s) list").and_then(list).unwrap_or_else(|| CpuMask::first_n(count));
    cpus.present.or_assign(&CpuMask::first_n(count));
    cpus.online.or_assign(&online);
    cpus.hypervisor |= value("Hypervisor vendor").is_some();
    cpus.x2apic |= value("Flags").is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "x2apic"));
    if cpus.nodes.is_empty() {
        let nodes = (0..number("NUMA node(s)").unwrap_or(0).min(1024))
            .filter_map(|node| value(&format!("NUMA node{node} CPU(s)")).and_then(list));
        cpus.nodes = nodes.collect();
    }
    if cpus.cores.is_empty() && number("Thread(s) per core") == Some(1) {
        cpus.cores = (0..count).map(|cpu| CpuMask::of(CpuId(cpu))).collect();
    }
    if cpus.cores.is_empty() && number("Thread(s) per core") == Some(2) && count % 2 == 0 {
        let half = count / 2;
        let pair = |cpu: u32| [CpuId(cpu), CpuId(cpu + half)].into_iter().collect();
        cpus.cores = (0..half).map(pair).collect();
        report.assumed(format!(
            "CPUs N and N+{half} are threads of a core: lscpu says that there are two, and `lscpu -ae` would say which"
        ));
    }
}

fn cpus(tree: &Tree, interrupts: &Interrupts, report: &mut Report) -> Cpus {
    let mut cpus = Cpus::default();
    let file = |name: &str| tree.text(&format!("sys/devices/system/cpu/{name}")).and_then(list);
    let folders: CpuMask = tree
        .names("sys/devices/system/cpu")
        .iter()
        .filter_map(|name| name.strip_prefix("cpu")?.parse().ok())
        .filter(|cpu| *cpu < MAX_CPUS)
        .map(CpuId)
        .collect();
    let columns: CpuMask = interrupts.cpus.iter().copied().filter(|cpu| *cpu < MAX_CPUS).map(CpuId).collect();
    cpus.possible = file("possible").and_then(|mask| mask.last()).map(|cpu| cpu.0 + 1);
    cpus.present = match (file("present"), folders.is_empty()) {
        (Some(mask), _) => mask,
        (None, false) => {
            report.inferred("CPUs that are there", "the folders of /sys/devices/system/cpu");
            folders.clone()
        }
        (None, true) => {
            report.assumed(
                "the CPUs that are there are those that are online: /sys/devices/system/cpu is missing",
            );
            columns.clone()
        }
    };
    cpus.online = match file("online") {
        Some(mask) => mask,
        None if !columns.is_empty() => {
            report.inferred("CPUs that are online", "the columns of /proc/interrupts");
            columns
        }
        None => cpus.present.clone(),
    };
    cpus.present.or_assign(&cpus.online);
    let each: Vec<CpuId> = cpus.present.iter().collect();
    let of = |cpu: CpuId, file: &str| tree.text(&format!("sys/devices/system/cpu/cpu{cpu}/{file}"));
    let groups = |files: &[&str]| -> Vec<CpuMask> {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut groups = Vec::new();
        for &cpu in &each {
            let mask = files.iter().find_map(|file| {
                let text = of(cpu, file)?;
                if file.ends_with("_list") { list(text) } else { hex_mask(text) }
            });
            if let Some(mask) = mask.filter(|mask| mask.contains(cpu))
                && seen.insert(mask.list())
            {
                groups.push(mask);
            }
        }
        groups
    };
    cpus.cores =
        groups(&["topology/core_cpus_list", "topology/thread_siblings_list", "topology/thread_siblings"]);
    cpus.packages =
        groups(&["topology/package_cpus_list", "topology/core_siblings_list", "topology/core_siblings"]);
    cpus.l2 = groups(&["cache/index2/shared_cpu_list"]);
    cpuinfo(tree, &mut cpus);
    lscpu(tree, &mut cpus, report);
    let by_id = |cpus: &Cpus| cpus.packages.is_empty();
    if by_id(&cpus) {
        let mut packages: BTreeMap<i64, CpuMask> = BTreeMap::new();
        for &cpu in &each {
            if let Some(id) =
                of(cpu, "topology/physical_package_id").and_then(|text| text.trim().parse().ok())
            {
                packages.entry(id).or_default().set(cpu);
            }
        }
        cpus.packages = packages.into_values().collect();
    }
    let mut nodes: Vec<CpuMask> = Vec::new();
    for name in tree.names("sys/devices/system/node") {
        let Some(number) =
            name.strip_prefix("node").and_then(|n| n.parse::<usize>().ok()).filter(|n| *n < 1024)
        else {
            continue;
        };
        let folder = format!("sys/devices/system/node/{name}");
        let from_list = tree.text(&format!("{folder}/cpulist")).and_then(list);
        let mask = from_list
            .or_else(|| tree.text(&format!("{folder}/cpumap")).and_then(hex_mask))
            .unwrap_or_else(|| {
                let links = tree.names(&folder);
                links.iter().filter_map(|name| name.strip_prefix("cpu")?.parse().ok()).map(CpuId).collect()
            });
        if nodes.len() <= number {
            nodes.resize(number + 1, CpuMask::new());
        }
        nodes[number] = mask;
    }
    if !nodes.is_empty() {
        cpus.nodes = nodes;
    }
    cpus
}

/// APIC IDs and flags.
fn cpuinfo(tree: &Tree, cpus: &mut Cpus) {
    let Some(text) = tree.text("proc/cpuinfo") else { return };
    let mut cpu = None;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        match key.trim() {
            "processor" => cpu = value.trim().parse::<u32>().ok(),
            "apicid" => {
                if let (Some(cpu), Ok(id)) = (cpu, value.trim().parse()) {
                    cpus.apic_ids.insert(cpu, id);
                }
            }
            "flags" => {
                cpus.x2apic |= value.split_whitespace().any(|flag| flag == "x2apic");
                cpus.hypervisor |= value.split_whitespace().any(|flag| flag == "hypervisor");
            }
            _ => {}
        }
    }
}

/// `lscpu -ae`, a table with a column each, where /sys is missing.
fn lscpu(tree: &Tree, cpus: &mut Cpus, report: &mut Report) {
    let (tables, plain): (Vec<&str>, Vec<&str>) =
        lscpu_texts(tree).partition(|text| text.starts_with("CPU "));
    for text in tables {
        let mut lines = text.lines();
        let Some(header) = lines.next() else { continue };
        let names: Vec<&str> = header.split_whitespace().collect();
        let column = |name: &str| names.iter().position(|n| *n == name);
        let mut cores: BTreeMap<u32, CpuMask> = BTreeMap::new();
        let mut sockets: BTreeMap<u32, CpuMask> = BTreeMap::new();
        let mut nodes: BTreeMap<u32, CpuMask> = BTreeMap::new();
        let mut all = CpuMask::new();
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            let value = |name: &str| words.get(column(name)?)?.parse::<u32>().ok();
            let Some(cpu) = value("CPU").filter(|cpu| *cpu < MAX_CPUS).map(CpuId) else { continue };
            all.set(cpu);
            if let Some(core) = value("CORE") {
                cores.entry(core).or_default().set(cpu);
            }
            if let Some(socket) = value("SOCKET") {
                sockets.entry(socket).or_default().set(cpu);
            }
            if let Some(node) = value("NODE").filter(|node| *node < 1024) {
                nodes.entry(node).or_default().set(cpu);
            }
        }
        if cpus.cores.is_empty() && !cores.is_empty() {
            cpus.present.or_assign(&all);
            cpus.cores = cores.into_values().collect();
            cpus.packages = sockets.into_values().collect();
            report.inferred("cores and packages", "lscpu -ae");
        }
        if cpus.nodes.is_empty() {
            for (node, mask) in nodes {
                cpus.nodes.resize((node + 1) as usize, CpuMask::new());
                cpus.nodes[node as usize] = mask;
            }
        }
    }
    if tree.text("sys/devices/system/cpu/present").is_none() {
        plain.into_iter().for_each(|text| lscpu_plain(text, cpus, report));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_tables_are_read_in_every_form() {
        assert_eq!(hex_mask("00000001,80000003").unwrap().list(), "0-1,31-32");
        assert_eq!(hex_mask("fff").unwrap().list(), "0-11");
        assert_eq!(hex_mask("xyz"), None);
        let mut config = vec![0u8; 256];
        (config[6], config[0x34], config[0x40], config[0x41]) = (0x10, 0x40, 0x05, 0x70);
        (config[0x70], config[0x72]) = (0x11, 0x20);
        assert_eq!(capability(&config, 0x11), Some(0x20));
        config[0x71] = 0x40;
        config[0x70] = 9;
        assert_eq!(capability(&config, 0x11), None, "a circle of capabilities");
        let text = "dstate:   0x3540a200\n            IRQD_AFFINITY_MANAGED\n parent: \n    domain:  VECTOR\n     Vector:    35\n     Target:     4\n";
        assert_eq!(debug(text), Debug { managed: true, vector: Some((35, 4)), ..Debug::default() });
    }
}
