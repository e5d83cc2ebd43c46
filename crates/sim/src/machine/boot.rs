//! What a machine file says about the end of boot: where interrupts stood (`[[boot.vector]]`,
//! `[[boot.interrupt]]`).
//!
//! Both are checked against the machine. An entry that it cannot have, or two that it cannot have
//! together, are mistakes: nothing would follow from them, and nobody would notice.

use std::collections::BTreeMap;
use std::ops::Range;

use kstate::apic::{FIRST_EXTERNAL_VECTOR, PIC_CASCADE_IR, isa_irq_vector};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::{CpuId, CpuMask, Irq};
use serde::Deserialize;
use toml::Spanned;
use x86apic::kernel::idt::system_vectors;

use super::cpus::numbers;
use super::file::{ISA_IRQS, Reporter};
use super::{BoardLine, MachineError, PciDevice};

/// Models whose drivers' names for their interrupts are known.
const NVME: &str = "nvme";
const VIRTIO_BLK: &str = "virtio-blk";

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

/// Where a message-signalled interrupt stood after boot.
///
/// Of this only the order follows in which drivers took numbers and vectors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootInterrupt {
    /// The interrupt.
    pub irq: Irq,
    /// Its action.
    pub name: String,
    /// The function's place in [`super::Machine::pci`].
    pub device: usize,
    /// Which of the function's messages it is.
    pub index: u32,
    /// The CPU; without a vector 0.
    pub cpu: CpuId,
    /// The vector, 0 for a managed interrupt that no CPU serves.
    pub vector: u32,
    /// The kernel manages its affinity.
    pub managed: bool,
}

/// What somebody has done to the interrupts of a machine as found, and where they stood then.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// What is written to the `smp_affinity_list` of an interrupt once the machine is up, by number.
    pub affinity: BTreeMap<u32, CpuMask>,
    /// The CPU that an interrupt stands on if its affinity allows that, by number.
    pub effective: BTreeMap<u32, CpuId>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Boot {
    /// Interrupts, as a number or a range, and the CPUs that were written to them.
    #[serde(default)]
    affinity: BTreeMap<Spanned<String>, Spanned<String>>,
    /// Interrupts, and the CPU that each stands on.
    #[serde(default)]
    effective: BTreeMap<Spanned<String>, Spanned<u32>>,
    #[serde(default)]
    vector: Vec<Vector>,
    #[serde(default)]
    interrupt: Vec<Interrupt>,
}

/// A file that has nothing but messages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BootFile {
    pub boot: Boot,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    irq: Spanned<u32>,
    name: Spanned<String>,
    cpu: Spanned<u32>,
    vector: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Interrupt {
    irq: Spanned<u32>,
    name: Spanned<String>,
    device: Spanned<String>,
    index: Spanned<u32>,
    cpu: Spanned<u32>,
    vector: Spanned<u32>,
    managed: bool,
}

/// What of a machine the entries are checked against.
pub(super) struct Known<'a> {
    pub kernel: KernelVersion,
    pub possible: u32,
    pub present: u32,
    pub interrupt_remapping: bool,
    /// The first interrupt number that is no pin's.
    pub first_msi: u32,
    pub pci: &'a [PciDevice],
    /// The board's own devices, where the file has some.
    pub lines: &'a [BoardLine],
}

type Checked<T> = Result<T, Box<MachineError>>;

impl Boot {
    /// The entries, if the machine can have them.
    pub(super) fn check(
        &self,
        report: &Reporter<'_>,
        known: &Known<'_>,
    ) -> Checked<(Vec<BootVector>, Vec<BootInterrupt>)> {
        let vectors = self.vectors(report, known)?;
        let interrupts = self.interrupts(report, known, &vectors, Vec::new())?;
        Ok((vectors, interrupts))
    }

    fn vectors(&self, report: &Reporter<'_>, known: &Known<'_>) -> Checked<Vec<BootVector>> {
        let semantics = Semantics::of(known.kernel);
        let mut vectors: Vec<BootVector> = Vec::new();
        for v in &self.vector {
            let irq = known.irq(report, &v.irq)?;
            if vectors.iter().any(|other| other.irq == irq) {
                return Err(twice(report, &v.irq, "[[boot.vector]]"));
            }
            known.name(report, irq, &v.name)?;
            let (cpu, vector) = known.place(report, &semantics, &v.cpu, &v.vector)?;
            if let Some(other) = vectors.iter().find(|other| (other.cpu, other.vector) == (cpu, vector)) {
                return Err(shared(report, v.vector.span(), cpu, vector, other.irq));
            }
            vectors.push(BootVector { irq, name: v.name.get_ref().clone(), cpu, vector });
        }
        Ok(vectors)
    }

    /// The messages behind those that are known already.
    pub(super) fn interrupts(
        &self,
        report: &Reporter<'_>,
        known: &Known<'_>,
        vectors: &[BootVector],
        mut interrupts: Vec<BootInterrupt>,
    ) -> Checked<Vec<BootInterrupt>> {
        let semantics = Semantics::of(known.kernel);
        let listed = interrupts.len();
        for i in &self.interrupt {
            let interrupt = self.interrupt(report, known, &semantics, i, vectors)?;
            // A second file may say the same again.
            if interrupts[..listed].contains(&interrupt) {
                continue;
            }
            if interrupts.iter().any(|other| other.irq == interrupt.irq) {
                return Err(twice(report, &i.irq, "[[boot.interrupt]]"));
            }
            if interrupts.iter().any(|o| (o.device, o.index) == (interrupt.device, interrupt.index)) {
                return Err(report.error(
                    i.index.span(),
                    format!("message {} of {} is there twice", interrupt.index, i.device.get_ref()),
                    "expected a message that no other interrupt has",
                ));
            }
            let place = |o: &BootInterrupt| (o.cpu, o.vector) == (interrupt.cpu, interrupt.vector);
            if interrupt.vector != 0
                && let Some(other) = interrupts.iter().find(|other| place(other))
            {
                return Err(shared(report, i.vector.span(), interrupt.cpu, interrupt.vector, other.irq));
            }
            interrupts.push(interrupt);
        }
        Ok(interrupts)
    }

    /// What somebody has done since.
    pub(super) fn found(&self, report: &Reporter<'_>, known: &Known<'_>) -> Checked<Found> {
        let semantics = Semantics::of(known.kernel);
        let mut found = Found::default();
        for (key, list) in &self.affinity {
            let mask = CpuMask::parse_list_of(&semantics, list.get_ref(), known.possible);
            let mask = mask.ok().filter(|mask| !mask.is_empty());
            let Some(mask) = mask else {
                return Err(report.error(
                    list.span(),
                    format!("`{}` is no list of this machine's CPUs", list.get_ref()),
                    format!("expected ranges below {}, as in \"0-3,8\"", known.possible),
                ));
            };
            for irq in known.numbers(report, key)? {
                if found.affinity.insert(irq, mask.clone()).is_some() {
                    return Err(again(report, key, irq));
                }
            }
        }
        for (key, cpu) in &self.effective {
            let cpu = CpuId(report.within("the CPU of an interrupt", cpu, 0, known.present - 1)?);
            for irq in known.numbers(report, key)? {
                if found.effective.insert(irq, cpu).is_some() {
                    return Err(again(report, key, irq));
                }
            }
        }
        Ok(found)
    }

    /// Where a table of vectors begins, in a file that has none.
    pub(super) fn first_vector(&self) -> Option<Range<usize>> {
        self.vector.first().map(|v| v.irq.span())
    }

    fn interrupt(
        &self,
        report: &Reporter<'_>,
        known: &Known<'_>,
        semantics: &Semantics,
        i: &Interrupt,
        vectors: &[BootVector],
    ) -> Checked<BootInterrupt> {
        let irq = known.irq(report, &i.irq)?;
        if irq.0 < known.first_msi {
            return Err(report.error(
                i.irq.span(),
                format!("interrupt {irq} is a pin's"),
                format!("expected the number of a message, {} or above", known.first_msi),
            ));
        }
        known.name(report, irq, &i.name)?;
        let Some(device) = known.pci.iter().position(|d| d.address == *i.device.get_ref()) else {
            return Err(report.error(
                i.device.span(),
                format!("there is no function {}", i.device.get_ref()),
                "expected the address of one of [[pci]]",
            ));
        };
        let messages = messages(&known.pci[device]);
        let index = *i.index.get_ref();
        if index >= messages {
            return Err(report.error(
                i.index.span(),
                format!("message {index} of a function that has {messages}"),
                "expected a smaller number",
            ));
        }
        let nowhere = i.managed && *i.vector.get_ref() == 0;
        let (cpu, vector) = if nowhere {
            (CpuId(report.within("the CPU of a boot interrupt", &i.cpu, 0, known.present - 1)?), 0)
        } else {
            known.place(report, semantics, &i.cpu, &i.vector)?
        };
        // Who is there in both lists stands in one place. Where several actions share an interrupt the
        // name of one will do.
        if let Some(other) = vectors.iter().find(|other| other.irq == irq)
            && ((other.cpu, other.vector) != (cpu, vector)
                || other.name != *i.name.get_ref()
                    && !other.name.split(", ").any(|action| action == i.name.get_ref()))
        {
            return Err(report.error(
                i.irq.span(),
                format!("interrupt {irq} is elsewhere in [[boot.vector]]"),
                format!("expected {} at CPU {}, vector {}", other.name, other.cpu, other.vector),
            ));
        }
        let stands = |other: &&BootVector| (other.cpu, other.vector) == (cpu, vector) && other.irq != irq;
        if let Some(other) = vectors.iter().find(stands) {
            return Err(shared(report, i.vector.span(), cpu, vector, other.irq));
        }
        Ok(BootInterrupt {
            irq,
            name: i.name.get_ref().clone(),
            device,
            index,
            cpu,
            vector,
            managed: i.managed,
        })
    }
}

fn again(report: &Reporter<'_>, key: &Spanned<String>, irq: u32) -> Box<MachineError> {
    report.error(
        key.span(),
        format!("interrupt {irq} is there twice"),
        "expected numbers that no other line of the table has",
    )
}

fn twice(report: &Reporter<'_>, irq: &Spanned<u32>, table: &str) -> Box<MachineError> {
    report.error(
        irq.span(),
        format!("interrupt {} is there twice", irq.get_ref()),
        format!("expected an interrupt that no other {table} has"),
    )
}

fn shared(
    report: &Reporter<'_>,
    span: Range<usize>,
    cpu: CpuId,
    vector: u32,
    other: Irq,
) -> Box<MachineError> {
    report.error(
        span,
        format!("vector {vector} of CPU {cpu} is that of interrupt {other}"),
        "expected a vector of the CPU that no other interrupt has",
    )
}

/// How many messages a function can have.
fn messages(device: &PciDevice) -> u32 {
    device.msix_vectors.max(device.msi_vectors)
}

impl<'a> Known<'a> {
    /// The numbers below this one can belong to a message: the IOMMU takes one for its faults, and the machine
    /// file may say which numbers a function has.
    fn end_of_irqs(&self) -> u32 {
        let taken: u32 = self.pci.iter().map(messages).sum();
        let listed = self.pci.iter().flat_map(|d| &d.irqs).max().map_or(0, |last| last + 1);
        (self.first_msi + u32::from(self.interrupt_remapping) + taken).max(listed)
    }

    /// The interrupts that a key of `[boot.affinity]` or `[boot.effective]` names.
    fn numbers(&self, report: &Reporter<'_>, key: &Spanned<String>) -> Checked<Vec<u32>> {
        let end = self.end_of_irqs();
        let numbers = numbers(key.get_ref(), end as usize).filter(|irqs| irqs.iter().all(|irq| *irq < end));
        numbers.ok_or_else(|| {
            report.error(
                key.span(),
                format!("`{}` names no interrupts of this machine", key.get_ref()),
                format!("expected a number below {end}, or a range of them"),
            )
        })
    }

    /// A number that an interrupt of this machine has.
    fn irq(&self, report: &Reporter<'_>, irq: &Spanned<u32>) -> Checked<Irq> {
        let (n, end, first_msi) = (*irq.get_ref(), self.end_of_irqs(), self.first_msi);
        let wired = || self.pci.iter().any(|d| d.intx_gsi == Some(n));
        let exists = match n {
            0..ISA_IRQS => self.board_action(n).is_some(),
            _ if n < first_msi => self.board_action(n).is_some() || wired(),
            _ => n < end,
        };
        if exists {
            return Ok(Irq(n));
        }
        let messages = if end > first_msi { format!(", {first_msi} to {}", end - 1) } else { String::new() };
        Err(report.error(
            irq.span(),
            format!("interrupt {n} does not exist"),
            format!("expected 0, 1, 3, 4, 9, 12, the pin of a function{messages}"),
        ))
    }

    /// What the board's own devices call their interrupts.
    fn board_action(&self, irq: u32) -> Option<&'a str> {
        match irq {
            0 => Some("timer"),
            irq if self.lines.is_empty() => {
                crate::boot::PLATFORM.iter().find(|d| d.irq == irq).map(|d| d.name)
            }
            irq => self.lines.iter().find(|line| line.gsi == irq).map(|line| line.name.as_str()),
        }
    }

    /// The action of an interrupt, or several with a comma and a space between them.
    fn name(&self, report: &Reporter<'_>, irq: Irq, name: &Spanned<String>) -> Checked<()> {
        let action = self.board_action(irq.0);
        let fits = match action {
            Some(action) => name.get_ref() == action,
            None => name.get_ref().split(", ").all(|action| self.has_action(irq, action)),
        };
        if fits {
            return Ok(());
        }
        let expected = match action {
            Some(action) => format!("expected {action}"),
            None => {
                "expected what a driver of this machine calls it, as in nvme0q1 or virtio0-req.0".to_owned()
            }
        };
        Err(report.error(
            name.span(),
            format!("`{}` is no action of interrupt {irq}", name.get_ref()),
            expected,
        ))
    }

    /// Whether a driver of this machine has an action of that name for the interrupt.
    fn has_action(&self, irq: Irq, action: &str) -> bool {
        let pin = irq.0 < self.first_msi;
        let here = |d: &&PciDevice| !pin || d.intx_gsi == Some(irq.0);
        let of = |model: &'static str| self.pci.iter().filter(move |d| d.model.name == model);
        // What other drivers call their interrupts is not known here.
        let known = [NVME, VIRTIO_BLK];
        if self.pci.iter().filter(here).any(|d| !known.contains(&d.model.name)) {
            return true;
        }
        if action == "dmar0" {
            return self.interrupt_remapping && !pin;
        }
        // Which function is the driver's first is the order of their probes. A function's own key is the
        // number of its queues.
        let instance = |text: &str, count: usize| number(text).is_some_and(|n| (n as usize) < count);
        let most = |model| of(model).filter(here).filter_map(|d| d.parameters.first().copied()).max();
        if let Some((controller, queue)) = action.strip_prefix("nvme").and_then(|rest| rest.split_once('q')) {
            return instance(controller, of(NVME).count())
                && number(queue).zip(most(NVME)).is_some_and(|(queue, most)| queue <= most);
        }
        let Some(rest) = action.strip_prefix("virtio") else { return false };
        let (disk, queue) = rest.split_once('-').unwrap_or((rest, ""));
        let Some(queues) = most(VIRTIO_BLK) else { return false };
        let fits = match queue {
            "" => pin && !rest.contains('-'),
            "config" | "virtqueues" => !pin,
            _ => !pin && queue.strip_prefix("req.").and_then(number).is_some_and(|index| index < queues),
        };
        // The bus numbers its devices, whatever they are (`register_virtio_device()`).
        fits && instance(disk, self.pci.iter().filter(|d| d.model.name.starts_with("virtio")).count())
    }

    /// A CPU that boot brings up, and a vector that a device can have.
    fn place(
        &self,
        report: &Reporter<'_>,
        semantics: &Semantics,
        cpu: &Spanned<u32>,
        vector: &Spanned<u32>,
    ) -> Checked<(CpuId, u32)> {
        let n = *cpu.get_ref();
        if n >= self.present {
            return Err(report.error(
                cpu.span(),
                format!("CPU {n} is not there when the machine boots"),
                format!("expected a present CPU, 0 to {}", self.present - 1),
            ));
        }
        let v = *vector.get_ref();
        if !is_device_vector(semantics, v) {
            let (first, end) = (kstate::apic::FIRST_EXTERNAL_VECTOR, semantics.first_system_vector);
            let what = if v < 256 {
                format!("vector {v} is the system's")
            } else {
                format!("there is no vector {v}")
            };
            return Err(report.error(
                vector.span(),
                what,
                format!(
                    "expected a device's vector of {}, within {first} to {}",
                    self.kernel.name(),
                    end - 1
                ),
            ));
        }
        Ok((CpuId(n), v))
    }
}

/// A number as the kernel prints it.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// Whether a device's interrupt can have a vector: it is neither the system's nor that of the cascade of the two
/// 8259.
pub fn is_device_vector(sem: &Semantics, vector: u32) -> bool {
    let range = FIRST_EXTERNAL_VECTOR..sem.first_system_vector;
    range.contains(&vector)
        && system_vectors(sem)[(vector / 64) as usize] >> (vector % 64) & 1 == 0
        && vector != isa_irq_vector(PIC_CASCADE_IR)
}

#[cfg(test)]
mod tests {
    use super::super::Machine;

    /// A machine of four CPUs, three of them present, with these entries; what is said about them, and
    /// the rest of the line from there on.
    fn check(entries: &str) -> String {
        let text = format!(
            "kernel = \"v5.4\"\n[cpus]\npossible = 4\npresent = 3\n[[pci]]\naddress = \"0000:00:03.0\"\n\
             model = \"nvme\"\nio_queue_pairs_max = 2\nmsix_vectors = 3\nintx_gsi = 23\n[[pci]]\n\
             address = \"0000:00:04.0\"\nmodel = \"virtio-blk\"\nrequest_queues = 1\nmsix_vectors = 2\n\
             intx_gsi = 20\n{entries}"
        );
        match Machine::parse("m.toml", &text) {
            Ok(_) => "fine".to_owned(),
            Err(e) => {
                let (line, column) = e.place.line_and_column();
                let rest = &text.lines().nth(line - 1).unwrap_or_default()[column - 1..];
                format!("{rest}: {e}: {}", e.place.label())
            }
        }
    }

    fn vector(irq: u32, name: &str, cpu: u32, vector: u32) -> String {
        format!("[[boot.vector]]\nirq = {irq}\nname = \"{name}\"\ncpu = {cpu}\nvector = {vector}\n")
    }

    fn interrupt(irq: u32, name: &str, device: &str, index: u32, cpu: u32, vector: u32) -> String {
        format!(
            "[[boot.interrupt]]\nirq = {irq}\nname = \"{name}\"\ndevice = \"{device}\"\nindex = {index}\n\
             cpu = {cpu}\nvector = {vector}\nmanaged = true\n"
        )
    }

    #[test]
    fn vectors_at_the_end_of_boot_are_possible_ones() {
        for (irq, name) in [
            (0, "timer"),
            (9, "acpi"),
            (20, "virtio0"),
            (23, "nvme0q0, nvme0q1"),
            (24, "virtio0-config"),
            (25, "virtio0-req.0"),
            (28, "nvme0q2"),
        ] {
            assert_eq!(check(&vector(irq, name, 2, 34)), "fine", "{irq} {name}");
        }
        assert_eq!(
            check(&vector(99999, "nvme0q0", 0, 34)),
            "99999: interrupt 99999 does not exist: expected 0, 1, 3, 4, 9, 12, the pin of a function, 24 to 28"
        );
        assert!(check(&vector(22, "nvme0q0", 0, 34)).starts_with("22: interrupt 22 does not exist"));
        assert!(check(&vector(8, "rtc0", 0, 34)).starts_with("8: interrupt 8 does not exist"));
        assert_eq!(
            check(&(vector(24, "nvme0q0", 0, 34) + &vector(24, "nvme0q0", 1, 34))),
            "24: interrupt 24 is there twice: expected an interrupt that no other [[boot.vector]] has"
        );
        assert_eq!(
            check(&(vector(24, "nvme0q0", 1, 34) + &vector(4, "ttyS0", 1, 34))),
            "34: vector 34 of CPU 1 is that of interrupt 24: expected a vector of the CPU that no other interrupt has"
        );
        assert_eq!(
            check(&vector(4, "ttyS0", 3, 34)),
            "3: CPU 3 is not there when the machine boots: expected a present CPU, 0 to 2"
        );
        for system in [31, 32, 50, 236, 240, 255] {
            assert_eq!(
                check(&vector(4, "ttyS0", 0, system)),
                format!(
                    "{system}: vector {system} is the system's: expected a device's vector of v5.4, within 32 to 235"
                )
            );
        }
        assert!(check(&vector(4, "ttyS0", 0, 256)).starts_with("256: there is no vector 256"));
        assert_eq!(
            check(&vector(4, "ttyS1", 0, 34)),
            "\"ttyS1\": `ttyS1` is no action of interrupt 4: expected ttyS0"
        );
        for name in
            ["nvme1q0", "nvme0q3", "nvme0q01", "virtio1-config", "virtio0-req.1", "virtio0", "dmar0", ""]
        {
            assert!(check(&vector(25, name, 0, 34)).contains("is no action of interrupt 25"), "{name}");
        }
    }

    #[test]
    fn virtio_devices_of_every_kind_are_numbered_together() {
        let disk = |name: &str| {
            let text = format!(
                "kernel = \"v6.12\"\n[cpus]\npossible = 2\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"virtio-scsi\"\n\
                 request_queues = 2\nmsix_vectors = 0\nintx_gsi = 23\n[[pci]]\naddress = \"0000:00:04.0\"\nmodel = \"virtio-blk\"\n\
                 request_queues = 1\nmsix_vectors = 0\nintx_gsi = 20\n{}",
                vector(20, name, 0, 34)
            );
            Machine::parse("m.toml", &text).map_err(|e| e.to_string())
        };
        assert!(disk("virtio1").is_ok());
        assert_eq!(disk("virtio2").unwrap_err(), "`virtio2` is no action of interrupt 20");
    }

    #[test]
    fn a_file_of_messages_goes_with_a_machine() {
        let machine = Machine::parse(
            "m.toml",
            "kernel = \"v6.12\"\n[cpus]\npossible = 2\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\n\
             io_queue_pairs_max = 2\nmsix_vectors = 3\nintx_gsi = 23\n",
        );
        let with = |text: &str| machine.as_ref().unwrap().clone().with_boot("boot.toml", text);
        let listed = with(&interrupt(24, "nvme0q0", "0000:00:03.0", 0, 0, 34)).unwrap();
        assert_eq!(listed.boot_interrupts.len(), 1);
        let wrong = with(&vector(24, "nvme0q0", 0, 34)).unwrap_err();
        assert_eq!(wrong.to_string(), "[[boot.vector]] in a file of messages");
        let wrong = with(&interrupt(99, "nvme0q0", "0000:00:03.0", 0, 0, 34)).unwrap_err();
        assert_eq!(wrong.to_string(), "interrupt 99 does not exist");
        assert!(with("[cpus]\npossible = 1\n").is_err());
    }

    #[test]
    fn interrupts_at_the_end_of_boot_are_possible_ones() {
        let (nvme, disk) = ("0000:00:03.0", "0000:00:04.0");
        assert_eq!(check(&interrupt(26, "nvme0q0", nvme, 0, 0, 34)), "fine");
        assert_eq!(check(&interrupt(27, "nvme0q1", nvme, 1, 0, 0)), "fine");
        let same = vector(26, "nvme0q0", 0, 34) + &interrupt(26, "nvme0q0", nvme, 0, 0, 34);
        assert_eq!(check(&same), "fine");
        assert_eq!(
            check(&(vector(26, "nvme0q0", 0, 34) + &interrupt(26, "nvme0q0", nvme, 0, 0, 35))),
            "26: interrupt 26 is elsewhere in [[boot.vector]]: expected nvme0q0 at CPU 0, vector 34"
        );
        assert!(check(&interrupt(20, "virtio0", disk, 0, 0, 34)).starts_with("20: interrupt 20 is a pin's"));
        assert!(check(&interrupt(26, "nvme0q0", "0000:00:09.0", 0, 0, 34)).contains("there is no function"));
        assert_eq!(
            check(&interrupt(26, "nvme0q0", nvme, 3, 0, 34)),
            "3: message 3 of a function that has 3: expected a smaller number"
        );
        let twice = interrupt(26, "nvme0q0", nvme, 0, 0, 34) + &interrupt(27, "nvme0q1", nvme, 0, 0, 35);
        assert!(check(&twice).starts_with("0: message 0 of 0000:00:03.0 is there twice"));
        let one_place = interrupt(26, "nvme0q0", nvme, 0, 0, 34) + &interrupt(27, "nvme0q1", nvme, 1, 0, 34);
        assert!(check(&one_place).contains("vector 34 of CPU 0 is that of interrupt 26"));
    }
}
