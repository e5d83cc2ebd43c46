//! Machine files: what a PC is made of, in TOML.
//!
//! The format is that of `machine.toml` beside every capture. Every mistake in a file is answered
//! with its place and with what was expected there.

use std::collections::BTreeMap;
use std::ops::Range;

use diagnostic::{Diagnostic, Place};
use kstate::cpumask::MAX_CPUS;
use kstate::hw::pci::{DeviceModel, Parameter};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::{ApicId, CpuId, CpuMask, Irq, NodeId, topology};
use serde::Deserialize;
use toml::Spanned;

/// The largest MSI-X table (PCI Express 7.7.2: the size field has 11 bits).
pub const MAX_MSIX: u32 = 2048;
/// CPUs that 8-bit APIC IDs can name: 255 is the broadcast.
const XAPIC_CPUS: u32 = 255;
/// Interrupts of an IO-APIC with 24 pins.
const IOAPIC_PINS: u32 = 24;
/// ISA interrupts.
const ISA_IRQS: u32 = 16;
/// The pins above those of ISA interrupts.
const PCI_PIN: u32 = 16;
/// What an MSI capability can ask for (PCI Local Bus 3.0, 6.8.1.3): the field holds a power of two.
const MSI_MESSAGES: [u32; 7] = [0, 1, 2, 4, 8, 16, 32];

/// What is wrong with a machine file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct MachineError {
    message: String,
    place: Place,
    help: Option<String>,
}

impl Diagnostic for MachineError {
    fn help(&self) -> Option<String> {
        self.help.clone()
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }
}

/// How the local APICs work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApicMode {
    /// 8-bit ids, memory-mapped registers.
    Xapic,
    /// 32-bit ids, MSRs.
    X2apic,
}

/// A PCI function of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PciDevice {
    /// `0000:00:03.0`.
    pub address: String,
    /// Bus, device and function as one number.
    pub bdf: u16,
    /// What it is.
    pub model: &'static DeviceModel,
    /// The values of the model's own keys, in their order.
    pub parameters: Vec<u32>,
    /// The NUMA node that the firmware says it is near to.
    pub node: Option<NodeId>,
    /// Entries of its MSI-X table; 0 for no MSI-X.
    pub msix_vectors: u32,
    /// Messages that its MSI capability asks for, a power of two; 0 for no MSI.
    pub msi_vectors: u32,
    /// The MSI capability has mask bits.
    pub msi_maskable: bool,
    /// The IO-APIC pin its INTx line is wired to.
    pub intx_gsi: u32,
}

/// Where a non-managed interrupt stood after boot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootVector {
    /// The interrupt.
    pub irq: Irq,
    /// Its action.
    pub name: String,
    /// The CPU.
    pub cpu: CpuId,
    /// The vector.
    pub vector: u32,
}

/// What the firmware says about an ISA interrupt (ACPI 6.3, 5.2.12.5): it is on another pin than
/// that of its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IsaOverride {
    /// The interrupt.
    pub irq: u32,
    /// The pin of the IO-APIC, one of those above the ISA interrupts' own.
    pub gsi: u32,
}

/// A machine, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// The kernel that runs on it.
    pub kernel: KernelVersion,
    /// Its command line.
    pub cmdline: String,
    /// Number of possible CPUs.
    pub possible: u32,
    /// Number of CPUs that are plugged in: the lowest ones.
    pub present: u32,
    /// Packages.
    pub sockets: u32,
    /// Cores in each.
    pub cores_per_socket: u32,
    /// Threads in each core.
    pub threads_per_core: u32,
    /// CPUs of each NUMA node.
    pub nodes: Vec<CpuMask>,
    /// How the local APICs work.
    pub apic: ApicMode,
    /// VT-d remaps interrupts.
    pub interrupt_remapping: bool,
    /// ISA interrupts that the firmware puts on other pins.
    pub isa: Vec<IsaOverride>,
    /// The PCI functions.
    pub pci: Vec<PciDevice>,
    /// Where non-managed interrupts stand after boot.
    pub boot_vectors: Vec<BootVector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kernel: Spanned<String>,
    #[serde(default)]
    platform: Option<Spanned<String>>,
    #[serde(default)]
    cmdline: String,
    cpus: Spanned<Cpus>,
    #[serde(default)]
    isa: Vec<Isa>,
    #[serde(default)]
    pci: Vec<Spanned<Pci>>,
    #[serde(default)]
    boot: Boot,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cpus {
    possible: Spanned<u32>,
    present: Option<Spanned<u32>>,
    sockets: Option<Spanned<u32>>,
    cores_per_socket: Option<Spanned<u32>>,
    threads_per_core: Option<Spanned<u32>>,
    nodes: Option<Vec<Spanned<String>>>,
    apic: Option<Spanned<String>>,
    #[serde(default)]
    interrupt_remapping: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Isa {
    irq: Spanned<u32>,
    gsi: Spanned<u32>,
}

/// A function: which keys there are depends on its model.
type Pci = BTreeMap<Spanned<String>, Spanned<toml::Value>>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Boot {
    #[serde(default)]
    vector: Vec<Spanned<Vector>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    irq: u32,
    name: String,
    cpu: Spanned<u32>,
    vector: Spanned<u32>,
}

/// Reports mistakes of one file.
struct Reporter<'a> {
    name: &'a str,
    text: &'a str,
}

impl Reporter<'_> {
    fn error(&self, span: Range<usize>, message: String, expected: impl Into<String>) -> Box<MachineError> {
        Box::new(MachineError {
            message,
            place: Place::new(self.name, self.text, span, expected),
            help: None,
        })
    }

    /// A number within bounds.
    fn within(&self, what: &str, value: &Spanned<u32>, min: u32, max: u32) -> Result<u32, Box<MachineError>> {
        let n = *value.get_ref();
        if (min..=max).contains(&n) {
            return Ok(n);
        }
        Err(self.error(
            value.span(),
            format!("{what} is {n}"),
            format!("expected a number from {min} to {max}"),
        ))
    }
}

/// `0000:00:03.0` as bus, device and function in one number.
fn parse_bdf(text: &str) -> Option<u16> {
    let hex = |t: &str, digits: usize| -> Option<u32> {
        (t.len() == digits && t.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u32::from_str_radix(t, 16).ok())?
    };
    let [domain, bus, rest] = text.split(':').collect::<Vec<_>>()[..] else { return None };
    let (device, function) = rest.split_once('.')?;
    let (domain, bus) = (hex(domain, 4)?, hex(bus, 2)?);
    let (device, function) = (hex(device, 2)?, hex(function, 1)?);
    (domain == 0 && device < 32 && function < 8).then_some((bus << 8 | device << 3 | function) as u16)
}

impl Machine {
    /// Reads a machine file. `name` is what error messages call it.
    ///
    /// # Errors
    /// A [`MachineError`] with the place of the first mistake and what was expected there.
    pub fn parse(name: &str, text: &str) -> Result<Self, Box<MachineError>> {
        let report = Reporter { name, text };
        let file: File = toml::from_str(text).map_err(|e| {
            let span = e.span().unwrap_or(0..text.len().min(1));
            report.error(span, "this is no machine file".to_owned(), e.message().to_owned())
        })?;
        check(&report, file)
    }

    /// The file of [`Machine::embedded`].
    pub const EMBEDDED: &'static str = include_str!("../data/embedded.toml");

    /// The machine of the embedded story: 8 CPUs and an NVMe controller with 9 vectors.
    pub fn embedded(kernel: KernelVersion) -> Self {
        let mut machine =
            Self::parse("embedded.toml", Self::EMBEDDED).expect("the embedded machine is checked by a test");
        machine.kernel = kernel;
        machine
    }

    /// The CPUs with their places, none of them online.
    pub fn topology(&self, semantics: &Semantics) -> topology::Topology {
        let possible = if semantics.madt_absent_cpus_possible { self.possible } else { self.present };
        let bits = |n: u32| n.next_power_of_two().trailing_zeros();
        let (thread_bits, core_bits) = (bits(self.threads_per_core), bits(self.cores_per_socket));
        let cpus = (0..possible)
            .map(|cpu| {
                let thread = cpu % self.threads_per_core;
                let core = cpu / self.threads_per_core % self.cores_per_socket;
                let socket = cpu / (self.threads_per_core * self.cores_per_socket);
                let node = self.nodes.iter().position(|n| n.contains(CpuId(cpu))).unwrap_or(0);
                topology::CpuPlace {
                    node: NodeId(node as u32),
                    socket,
                    core: socket * self.cores_per_socket + core,
                    apic_id: ApicId((socket << core_bits | core) << thread_bits | thread),
                }
            })
            .collect();
        topology::Topology {
            cpus,
            nr_cpu_ids: possible,
            nr_node_ids: self.nodes.len() as u32,
            possible: CpuMask::first_n(possible),
            present: CpuMask::first_n(self.present),
            online: CpuMask::new(),
            active: CpuMask::new(),
            node_cpus: vec![CpuMask::new(); self.nodes.len()],
            siblings: vec![CpuMask::new(); possible as usize],
            core_cpus: BTreeMap::new(),
        }
    }
}

fn check(report: &Reporter<'_>, file: File) -> Result<Machine, Box<MachineError>> {
    let kernel = KernelVersion::from_name(file.kernel.get_ref()).ok_or_else(|| {
        let known = KernelVersion::names();
        report.error(
            file.kernel.span(),
            format!("unknown kernel `{}`", file.kernel.get_ref()),
            format!("expected {known}"),
        )
    })?;
    if let Some(platform) = &file.platform
        && platform.get_ref() != "q35"
    {
        return Err(report.error(
            platform.span(),
            format!("unknown platform `{}`", platform.get_ref()),
            "expected q35, the only chipset that is modelled",
        ));
    }
    let cpus_span = file.cpus.span();
    let cpus = file.cpus.into_inner();
    let possible = report.within("the number of possible CPUs", &cpus.possible, 1, MAX_CPUS)?;
    let present = match &cpus.present {
        Some(n) => report.within("the number of present CPUs", n, 1, possible)?,
        None => possible,
    };
    let count = |what: &str, value: &Option<Spanned<u32>>| match value {
        Some(n) => report.within(what, n, 1, possible),
        None => Ok(1),
    };
    let sockets = count("sockets", &cpus.sockets)?;
    let threads_per_core = count("threads_per_core", &cpus.threads_per_core)?;
    let cores_per_socket = match &cpus.cores_per_socket {
        Some(_) => count("cores_per_socket", &cpus.cores_per_socket)?,
        None => (possible / (sockets * threads_per_core)).max(1),
    };
    if u64::from(sockets) * u64::from(cores_per_socket) * u64::from(threads_per_core) != u64::from(possible) {
        return Err(report.error(
            cpus.possible.span(),
            format!("{sockets} sockets of {cores_per_socket} cores of {threads_per_core} threads are not {possible} CPUs"),
            "expected sockets x cores_per_socket x threads_per_core",
        ));
    }
    let nodes = match &cpus.nodes {
        None => vec![CpuMask::first_n(possible)],
        Some(lists) => nodes(report, lists, possible, &cpus_span)?,
    };
    let apic = match &cpus.apic {
        None => ApicMode::Xapic,
        Some(mode) => match mode.get_ref().as_str() {
            "xapic" => ApicMode::Xapic,
            "x2apic" => ApicMode::X2apic,
            other => {
                return Err(report.error(
                    mode.span(),
                    format!("unknown APIC mode `{other}`"),
                    "expected xapic or x2apic",
                ));
            }
        },
    };
    if apic == ApicMode::Xapic && possible > XAPIC_CPUS {
        return Err(report.error(
            cpus.possible.span(),
            format!("{possible} CPUs with 8-bit APIC IDs"),
            format!("expected at most {XAPIC_CPUS}, or apic = \"x2apic\""),
        ));
    }
    let mut isa: Vec<IsaOverride> = Vec::new();
    for entry in &file.isa {
        // IRQ 0 is the timer's, which every PC of this chipset has on pin 2.
        let irq = report.within("an ISA interrupt", &entry.irq, 1, ISA_IRQS - 1)?;
        let gsi = report.within("the pin of an ISA interrupt", &entry.gsi, PCI_PIN, IOAPIC_PINS - 1)?;
        if isa.iter().any(|e| e.irq == irq) {
            return Err(report.error(
                entry.irq.span(),
                format!("ISA interrupt {irq} is there twice"),
                "expected an interrupt that has no other pin",
            ));
        }
        if isa.iter().any(|e| e.gsi == gsi) {
            return Err(report.error(
                entry.gsi.span(),
                format!("pin {gsi} is there twice"),
                "expected a pin that has no other ISA interrupt",
            ));
        }
        isa.push(IsaOverride { irq, gsi });
    }
    let mut pci: Vec<PciDevice> = Vec::new();
    for function in &file.pci {
        let device = pci_device(report, function, nodes.len() as u32)?;
        if pci.iter().any(|d| d.bdf == device.bdf) {
            return Err(report.error(
                span_of(function, "address"),
                format!("{} is there twice", device.address),
                "expected an address that no other function has",
            ));
        }
        if isa.iter().any(|e| e.gsi == device.intx_gsi) {
            return Err(report.error(
                span_of(function, "intx_gsi"),
                format!("pin {} is an ISA interrupt's", device.intx_gsi),
                "expected a pin that is not listed under [[isa]]",
            ));
        }
        pci.push(device);
    }
    pci.sort_by_key(|d| d.bdf);
    let mut boot_vectors = Vec::new();
    for vector in &file.boot.vector {
        let v = vector.get_ref();
        boot_vectors.push(BootVector {
            irq: Irq(v.irq),
            name: v.name.clone(),
            cpu: CpuId(report.within("the CPU of a boot vector", &v.cpu, 0, possible - 1)?),
            vector: report.within("a device vector", &v.vector, 32, 255)?,
        });
    }
    Ok(Machine {
        kernel,
        cmdline: file.cmdline,
        possible,
        present,
        sockets,
        cores_per_socket,
        threads_per_core,
        nodes,
        apic,
        interrupt_remapping: cpus.interrupt_remapping,
        isa,
        pci,
        boot_vectors,
    })
}

fn nodes(
    report: &Reporter<'_>,
    lists: &[Spanned<String>],
    possible: u32,
    cpus_span: &Range<usize>,
) -> Result<Vec<CpuMask>, Box<MachineError>> {
    let mut nodes = Vec::new();
    let mut seen = CpuMask::new();
    for list in lists {
        let mask = CpuMask::parse_list(list.get_ref(), possible).map_err(|_| {
            report.error(
                list.span(),
                format!("`{}` is no list of this machine's CPUs", list.get_ref()),
                format!("expected ranges below {possible}, as in \"0-3,8\""),
            )
        })?;
        if let Some(twice) = mask.first_and(&seen) {
            return Err(report.error(
                list.span(),
                format!("CPU {twice} is in two nodes"),
                "expected CPUs that no earlier node has",
            ));
        }
        seen.or_assign(&mask);
        nodes.push(mask);
    }
    if let Some(missing) = CpuMask::first_n(possible).andnot(&seen).first() {
        return Err(report.error(
            cpus_span.clone(),
            format!("CPU {missing} is in no node"),
            "expected every possible CPU in one of `nodes`",
        ));
    }
    Ok(nodes)
}

/// Where the value of a key stands.
fn span_of(table: &Spanned<Pci>, key: &str) -> Range<usize> {
    let value = table.get_ref().iter().find(|(k, _)| k.get_ref() == key);
    value.map_or(table.span(), |(_, value)| value.span())
}

/// The keys of every function.
const PCI_KEYS: [&str; 7] =
    ["address", "model", "node", "msix_vectors", "msi_vectors", "msi_maskable", "intx_gsi"];

/// A function's table, read key by key.
struct Function<'a> {
    report: &'a Reporter<'a>,
    table: &'a Spanned<Pci>,
}

impl<'a> Function<'a> {
    fn find(&self, key: &str) -> Option<&'a Spanned<toml::Value>> {
        self.table.get_ref().iter().find(|(k, _)| k.get_ref() == key).map(|(_, value)| value)
    }

    fn mistake(&self, span: Range<usize>, expected: String) -> Box<MachineError> {
        self.report.error(span, "this is no machine file".to_owned(), expected)
    }

    fn needed<T>(&self, key: &str, value: Option<T>) -> Result<T, Box<MachineError>> {
        value.ok_or_else(|| self.mistake(self.table.span(), format!("missing field `{key}`")))
    }

    fn read<T>(
        &self,
        key: &str,
        what: &str,
        as_is: impl Fn(&'a toml::Value) -> Option<T>,
    ) -> Result<Option<Spanned<T>>, Box<MachineError>> {
        let Some(value) = self.find(key) else { return Ok(None) };
        match as_is(value.get_ref()) {
            Some(read) => Ok(Some(Spanned::new(value.span(), read))),
            None => Err(self.mistake(value.span(), format!("invalid value of `{key}`, expected {what}"))),
        }
    }

    fn text(&self, key: &str) -> Result<Spanned<&'a str>, Box<MachineError>> {
        let text = self.read(key, "a string", toml::Value::as_str)?;
        self.needed(key, text)
    }

    fn number(&self, key: &str) -> Result<Option<Spanned<u32>>, Box<MachineError>> {
        self.read(key, "a number from 0 on", |v| v.as_integer().and_then(|n| u32::try_from(n).ok()))
    }

    /// A number within bounds that has to be there.
    fn within(&self, key: &str, what: &str, min: u32, max: u32) -> Result<u32, Box<MachineError>> {
        let number = self.number(key)?;
        self.report.within(what, &self.needed(key, number)?, min, max)
    }

    /// The values of a model's own keys. Keys that it does not know are refused.
    fn parameters(&self, model: &DeviceModel) -> Result<Vec<u32>, Box<MachineError>> {
        let own = model.parameters;
        for key in self.table.get_ref().keys() {
            let name = key.get_ref();
            if !PCI_KEYS.contains(&name.as_str()) && !own.iter().any(|p| p.key == name) {
                let known = PCI_KEYS.iter().copied().chain(own.iter().map(|p| p.key));
                let known: Vec<String> = known.map(|key| format!("`{key}`")).collect();
                let known = format!("unknown field `{name}`, expected one of {}", known.join(", "));
                return Err(self.mistake(key.span(), known));
            }
        }
        let value = |p: &Parameter| {
            let number = self.number(p.key)?.ok_or_else(|| {
                self.report.error(
                    self.find("model").map_or(self.table.span(), Spanned::span),
                    format!("a {} needs `{}`", model.name, p.key),
                    format!("expected {} = N below", p.key),
                )
            })?;
            self.report.within(p.key, &number, p.min, p.max)
        };
        own.iter().map(value).collect()
    }

    /// The MSI capability: its messages, and whether they can be masked.
    fn msi(&self, model: &DeviceModel) -> Result<(u32, bool), Box<MachineError>> {
        let report = self.report;
        let vectors = match self.number("msi_vectors")? {
            None => 0,
            Some(n) if !MSI_MESSAGES.contains(n.get_ref()) => {
                return Err(report.error(
                    n.span(),
                    format!("an MSI capability that asks for {} messages", n.get_ref()),
                    "expected 0, or a power of two up to 32",
                ));
            }
            Some(n) if *n.get_ref() > 0 && !model.can_msi => {
                return Err(report.error(
                    n.span(),
                    format!("a {} with an MSI capability", model.name),
                    "expected 0: its driver uses MSI-X or the line",
                ));
            }
            Some(n) => *n.get_ref(),
        };
        match self.read("msi_maskable", "true or false", toml::Value::as_bool)? {
            Some(maskable) if vectors == 0 => Err(report.error(
                maskable.span(),
                "mask bits without an MSI capability".to_owned(),
                "expected msi_vectors = N as well",
            )),
            maskable => Ok((vectors, maskable.is_none_or(Spanned::into_inner))),
        }
    }
}

fn pci_device(
    report: &Reporter<'_>,
    table: &Spanned<Pci>,
    nodes: u32,
) -> Result<PciDevice, Box<MachineError>> {
    let f = Function { report, table };
    let address = f.text("address")?;
    let bdf = parse_bdf(address.get_ref()).ok_or_else(|| {
        report.error(
            address.span(),
            format!("`{}` is no PCI address", address.get_ref()),
            "expected domain:bus:device.function, as in 0000:00:03.0",
        )
    })?;
    let word = f.text("model")?;
    let model =
        drivers::DEVICES.into_iter().find(|model| model.name == *word.get_ref()).ok_or_else(|| {
            let known: Vec<&str> = drivers::DEVICES.iter().map(|model| model.name).collect();
            let (last, others) = known.split_last().unwrap_or((&"", &[]));
            report.error(
                word.span(),
                format!("unknown device `{}`", word.get_ref()),
                format!("expected {} or {last}", others.join(", ")),
            )
        })?;
    let parameters = f.parameters(model)?;
    let node = match f.number("node")? {
        Some(node) => Some(NodeId(report.within("the node of a function", &node, 0, nodes - 1)?)),
        None => None,
    };
    let (msi_vectors, msi_maskable) = f.msi(model)?;
    Ok(PciDevice {
        address: (*address.get_ref()).to_owned(),
        bdf,
        model,
        parameters,
        node,
        msix_vectors: f.within("msix_vectors", "the size of an MSI-X table", 0, MAX_MSIX)?,
        msi_vectors,
        msi_maskable,
        intx_gsi: f.within("intx_gsi", "an IO-APIC pin", PCI_PIN, IOAPIC_PINS - 1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        match Machine::parse("m.toml", text) {
            Ok(_) => "fine".to_owned(),
            Err(e) => {
                let (line, _) = e.place.line_and_column();
                format!("{line}: {e}: {}", e.place.label())
            }
        }
    }

    #[test]
    fn the_embedded_machine_is_a_machine() {
        let machine = Machine::embedded(KernelVersion::V5_4);
        assert_eq!((machine.possible, machine.pci.len()), (8, 1));
    }

    #[test]
    fn impossible_machines_are_refused_by_name() {
        let cpus = |n: &str| format!("kernel = \"v5.4\"\n[cpus]\npossible = {n}\n");
        assert_eq!(check(&cpus("8")), "fine");
        assert_eq!(
            check(&cpus("0")),
            "3: the number of possible CPUs is 0: expected a number from 1 to 8192"
        );
        assert_eq!(
            check(&cpus("9000")),
            "3: the number of possible CPUs is 9000: expected a number from 1 to 8192"
        );
        assert_eq!(
            check(&cpus("300")),
            "3: 300 CPUs with 8-bit APIC IDs: expected at most 255, or apic = \"x2apic\""
        );
        assert_eq!(
            check("kernel = \"v2.4\"\n[cpus]\npossible = 1\n"),
            "1: unknown kernel `v2.4`: expected v5.4 or v6.12"
        );
        let pci = |msix: u32, address: &str| {
            format!(
                "{}[[pci]]\naddress = \"{address}\"\nmodel = \"nvme\"\nio_queue_pairs_max = 1\nmsix_vectors = {msix}\nintx_gsi = 20\n",
                cpus("8")
            )
        };
        assert_eq!(check(&pci(2048, "0000:00:03.0")), "fine");
        assert_eq!(
            check(&pci(2049, "0000:00:03.0")),
            "8: the size of an MSI-X table is 2049: expected a number from 0 to 2048"
        );
        assert_eq!(
            check(&pci(9, "3.0")),
            "5: `3.0` is no PCI address: expected domain:bus:device.function, as in 0000:00:03.0"
        );
    }

    #[test]
    fn an_msi_capability_is_one_that_a_function_can_have() {
        let pci = |lines: &str| {
            check(&format!(
                "kernel = \"v5.4\"\n[cpus]\npossible = 2\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 1\nmsix_vectors = 0\nintx_gsi = 20\n{lines}\n"
            ))
        };
        assert_eq!(pci("msi_vectors = 1\nmsi_maskable = false"), "fine");
        assert_eq!(pci("msi_vectors = 32"), "fine");
        assert_eq!(
            pci("msi_vectors = 3"),
            "10: an MSI capability that asks for 3 messages: expected 0, or a power of two up to 32"
        );
        assert_eq!(
            pci("msi_maskable = true"),
            "10: mask bits without an MSI capability: expected msi_vectors = N as well"
        );
        let disk = "kernel = \"v5.4\"\n[cpus]\npossible = 2\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"virtio-blk\"\nrequest_queues = 1\nmsix_vectors = 0\nintx_gsi = 20\nmsi_vectors = 1\n";
        assert_eq!(
            check(disk),
            "10: a virtio-blk with an MSI capability: expected 0: its driver uses MSI-X or the line"
        );
    }

    #[test]
    fn a_function_is_near_a_node_that_there_is() {
        let text = |node: u32| {
            format!(
                "kernel = \"v5.4\"\n[cpus]\npossible = 2\nnodes = [\"0\", \"1\"]\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"test\"\nmsix_vectors = 4\nintx_gsi = 20\nnode = {node}\n"
            )
        };
        assert_eq!(check(&text(1)), "fine");
        assert_eq!(check(&text(2)), "10: the node of a function is 2: expected a number from 0 to 1");
        let foreign = text(0).replace("node = 0", "request_queues = 4");
        assert_eq!(
            check(&foreign),
            "10: this is no machine file: unknown field `request_queues`, expected one of `address`, `model`, `node`, `msix_vectors`, `msi_vectors`, `msi_maskable`, `intx_gsi`"
        );
        let unknown = text(0).replace("\"test\"", "\"floppy\"");
        assert_eq!(check(&unknown), "7: unknown device `floppy`: expected nvme, virtio-blk or test");
    }

    #[test]
    fn an_isa_interrupt_has_one_pin_for_itself() {
        let isa = |lines: &str| {
            check(&format!(
                "kernel = \"v5.4\"\n[cpus]\npossible = 2\n{lines}\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 1\nmsix_vectors = 0\nintx_gsi = 20\n"
            ))
        };
        assert_eq!(isa("[[isa]]\nirq = 2\ngsi = 16"), "fine");
        assert_eq!(
            isa("[[isa]]\nirq = 0\ngsi = 16"),
            "5: an ISA interrupt is 0: expected a number from 1 to 15"
        );
        assert_eq!(
            isa("[[isa]]\nirq = 2\ngsi = 4"),
            "6: the pin of an ISA interrupt is 4: expected a number from 16 to 23"
        );
        assert_eq!(
            isa("[[isa]]\nirq = 2\ngsi = 16\n[[isa]]\nirq = 2\ngsi = 17"),
            "8: ISA interrupt 2 is there twice: expected an interrupt that has no other pin"
        );
        assert_eq!(
            isa("[[isa]]\nirq = 2\ngsi = 20"),
            "12: pin 20 is an ISA interrupt's: expected a pin that is not listed under [[isa]]"
        );
    }

    #[test]
    fn apic_ids_leave_room_for_threads_and_cores() {
        let text = "kernel = \"v5.4\"\n[cpus]\npossible = 12\npresent = 12\nsockets = 2\ncores_per_socket = 3\nthreads_per_core = 2\n";
        let topo = Machine::parse("m.toml", text).unwrap().topology(&Semantics::of(KernelVersion::V5_4));
        let ids: Vec<u32> = topo.cpus.iter().map(|c| c.apic_id.0).collect();
        assert_eq!(ids, [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]);
    }
}
