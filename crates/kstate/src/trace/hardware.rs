//! What hardware did: the second kind of record, kept where somebody asked for it and never part of a capture.
//!
//! The variants are in the order in which an interrupt meets them, from the driver's write to the EOI. Each names
//! the section of the manual that has the rule. A field is named as breakpoints, JSON and the text of a record
//! name it; [`Hardware::fields`] lists them.

use core::fmt::{self, Write as _};

use super::{Trace, What, push};
use crate::hw::ioapic::{RTE_LEVEL, RTE_LOGICAL, RTE_MASK, RTE_REMAPPABLE, RTE_VECTOR};
use crate::hw::lapic::DeliveryMode;
use crate::hw::vtd::FaultReason;
use crate::{CpuId, CtxId, Kernel, PciDevId};

/// A register of a message: an entry of the MSI-X table has the four, and so has the MSI capability.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MsiRegister {
    /// Message Address.
    AddressLo,
    /// Message Upper Address.
    AddressHi,
    /// Message Data.
    Data,
    /// Vector Control of MSI-X, Mask Bits of MSI.
    Mask,
}

/// Who sends a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// A PCI function.
    Function(PciDevId),
    /// A pin of the IO-APIC.
    IoApic(u8),
    /// The remapping unit itself, for a fault.
    Dmar,
    /// The ICR of a CPU's local APIC.
    Icr(CpuId),
}

/// Why a message sets no bit anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The function may not write to memory: Bus Master Enable is clear.
    BusMaster,
    /// The address is not that of the local APICs.
    Address,
    /// The delivery mode is reserved.
    DeliveryMode,
    /// The remapping unit refuses it.
    Remapping,
    /// No local APIC takes it: nobody has this destination, those who have it are off, or the vector is illegal.
    NotTaken,
}

/// Something that hardware did, or that software did to a register of interrupt hardware.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hardware {
    /// `hw::msix_entry`: software writes a dword of an MSI-X table entry (PCI Local Bus 3.0, 6.8.2.6 to 6.8.2.9).
    MsixEntry {
        /// The function.
        dev: PciDevId,
        /// The entry.
        entry: u16,
        /// Which of its dwords.
        register: MsiRegister,
        /// What is in it now.
        value: u32,
    },
    /// `hw::msix_control`: software writes Message Control of the MSI-X capability (PCI Local Bus 3.0, 6.8.2.3).
    MsixControl {
        /// The function.
        dev: PciDevId,
        /// MSI-X Enable.
        enable: bool,
        /// Function Mask.
        function_mask: bool,
    },
    /// `hw::msi`: software writes a register of the MSI capability (PCI Local Bus 3.0, 6.8.1.4 to 6.8.1.7).
    Msi {
        /// The function.
        dev: PciDevId,
        /// Which.
        register: MsiRegister,
        /// What is in it now.
        value: u32,
    },
    /// `hw::msi_control`: software writes Message Control of the MSI capability (PCI Local Bus 3.0, 6.8.1.3).
    MsiControl {
        /// The function.
        dev: PciDevId,
        /// MSI Enable.
        enable: bool,
        /// How many messages the function may send.
        messages: u8,
    },
    /// `hw::mask`: the mask bit of an MSI-X entry or of an MSI changes (PCI Local Bus 3.0, 6.8.2.9 and 6.8.1.7).
    Mask {
        /// The function.
        dev: PciDevId,
        /// The entry or message.
        entry: u16,
        /// What it is now.
        masked: bool,
    },
    /// `hw::pending`: the pending bit of a masked entry or message changes (PCI Local Bus 3.0, 6.8.2.10 and 6.8.1.8).
    Pending {
        /// The function.
        dev: PciDevId,
        /// The entry or message.
        entry: u16,
        /// What it is now.
        pending: bool,
    },
    /// `hw::intx`: a function asserts or deasserts its interrupt pin (PCI Local Bus 3.0, 2.2.6).
    Intx {
        /// The function.
        dev: PciDevId,
        /// What it does.
        asserted: bool,
    },
    /// `hw::ioapic_entry`: software writes a redirection entry (82093AA data sheet, 3.2.4; remappable format: VT-d
    /// 5.1.5.1).
    IoApicEntry {
        /// The pin.
        pin: u8,
        /// The entry now.
        value: u64,
    },
    /// `hw::ioapic_line`: the line of a pin changes (82093AA data sheet, 2.4).
    IoApicLine {
        /// The pin.
        pin: u8,
        /// It is asserted now, whatever its polarity.
        asserted: bool,
    },
    /// `hw::remote_irr`: the Remote IRR bit of a level-triggered pin changes (82093AA data sheet, 3.2.4, bit 14).
    RemoteIrr {
        /// The pin.
        pin: u8,
        /// What it is now.
        set: bool,
    },
    /// `hw::message`: an interrupt message is on the bus (SDM volume 3, 11.11.1 and 11.11.2; remappable format: VT-d
    /// 5.1.5).
    Message {
        /// Who sends it.
        from: Source,
        /// Where it is written.
        address: u64,
        /// What is written.
        data: u32,
    },
    /// `hw::irte`: the remapping unit looks up an entry of its table, and this comes out (VT-d 5.1.4 and 9.10).
    Irte {
        /// Index of the entry.
        index: u16,
        /// Requester of the message, as bus, device and function in 16 bits.
        source: u16,
        /// Vector.
        vector: u8,
        /// Destination.
        dest: u32,
        /// The destination is logical.
        logical: bool,
        /// Delivery mode.
        mode: DeliveryMode,
        /// Level triggered.
        level: bool,
    },
    /// `hw::fault`: the remapping unit refuses a request (VT-d 7.1.3 and 7.2).
    Fault {
        /// Requester of the message.
        source: u16,
        /// The index it asked for.
        index: u16,
        /// Why.
        reason: FaultReason,
    },
    /// `hw::blocked`: a message reaches nobody.
    Blocked {
        /// Who sent it.
        from: Source,
        /// Why.
        reason: Reason,
    },
    /// `hw::ipi`: a CPU writes its ICR, or SELF IPI (SDM volume 3, 11.6.1 and 11.12.11).
    Ipi {
        /// The CPU.
        cpu: CpuId,
        /// The register.
        icr: u64,
        /// The destination has 32 bits: x2APIC mode.
        wide: bool,
    },
    /// `hw::lvt`: a source within a local APIC fires (SDM volume 3, 11.5.1).
    Lvt {
        /// The CPU.
        cpu: CpuId,
        /// The vector of its entry.
        vector: u8,
    },
    /// `hw::irr`: a local APIC accepts a vector and sets its bit in IRR (SDM volume 3, 11.8.4).
    Irr {
        /// The CPU.
        cpu: CpuId,
        /// The vector.
        vector: u8,
        /// Level triggered: the bit in TMR.
        level: bool,
        /// The bit was set already, so that two interrupts become one.
        again: bool,
    },
    /// `hw::accept`: a local APIC takes what has no bit in IRR: an NMI, INIT or start-up (SDM volume 3, 11.8.1).
    Accept {
        /// The CPU.
        cpu: CpuId,
        /// What.
        mode: DeliveryMode,
        /// The vector field: where start-up begins.
        vector: u8,
    },
    /// `hw::isr`: the CPU takes a vector: from IRR to ISR (SDM volume 3, 11.8.4).
    Isr {
        /// The CPU.
        cpu: CpuId,
        /// The vector.
        vector: u8,
    },
    /// `hw::spurious`: the CPU asks for a vector and none is pending any more (SDM volume 3, 11.9).
    Spurious {
        /// The CPU.
        cpu: CpuId,
        /// The spurious vector.
        vector: u8,
    },
    /// `hw::inta`: the CPU takes a vector of the 8259 (8259A data sheet, interrupt sequence).
    Inta {
        /// The CPU.
        cpu: CpuId,
        /// The vector.
        vector: u8,
    },
    /// `hw::eoi`: the CPU ends the highest vector in service (SDM volume 3, 11.8.5).
    Eoi {
        /// The CPU.
        cpu: CpuId,
        /// The vector.
        vector: u8,
        /// The IO-APIC is told, since the vector is level triggered.
        broadcast: bool,
    },
    /// `hw::lapic_reset`: INIT clears a local APIC, or it is switched on again (SDM volume 3, 11.4.7.3 and 11.4.3).
    LapicReset {
        /// The CPU.
        cpu: CpuId,
    },
    /// `hw::doorbell`: the host writes a doorbell (NVM Express 1.4, 3.1.24 and 3.1.25).
    Doorbell {
        /// The function.
        dev: PciDevId,
        /// The queue.
        queue: u16,
        /// It is the head of the completion queue, not the tail of the submission queue.
        completion: bool,
        /// The new head or tail.
        value: u32,
    },
    /// `hw::completion`: the controller writes an entry of a completion queue (NVM Express 1.4, 4.6).
    Completion {
        /// The function.
        dev: PciDevId,
        /// The completion queue.
        queue: u16,
        /// The command's identifier.
        command: u16,
        /// Its status field, without the phase.
        status: u16,
    },
    /// `hw::notify`: the driver writes a virtqueue's number to its notification register (virtio 1.1, 4.1.5.2).
    Notify {
        /// The function.
        dev: PciDevId,
        /// The queue.
        queue: u16,
    },
    /// `hw::used`: the device puts buffers into the used ring (virtio 1.1, 2.6.8).
    Used {
        /// The function.
        dev: PciDevId,
        /// The queue.
        queue: u16,
        /// How many chains of buffers.
        chains: u16,
    },
    /// `hw::softirq`: an interrupt leaves work to the block softirq of a CPU. No hardware does this, but on the way
    /// from the device to the task it is the station after the handler (`raise_softirq_irqoff()`, kernel/softirq.c).
    Softirq {
        /// The CPU.
        cpu: CpuId,
    },
    /// `hw::wakeup`: an interrupt or softirq lets a task that slept run again, which is the last station on the way
    /// of an interrupt (`try_to_wake_up()`, kernel/sched/core.c).
    Wakeup {
        /// The task's context.
        task: CtxId,
        /// Where it will run.
        cpu: CpuId,
    },
}

/// A field of a record, as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// A count, a number or an index.
    Number(u64),
    /// A register, which manuals write in hexadecimal, with so many digits.
    Hex(u64, usize),
    /// A bit.
    Bit(bool),
    /// A word.
    Word(&'static str),
    /// A PCI function, by the name that it has in the kernel.
    Device(PciDevId),
    /// A requester id, as `lspci` writes it.
    Requester(u16),
    /// Who has a context.
    Context(CtxId),
}

/// All records of hardware by name, with the fields that they may have. Some have one in place of another: a message
/// in the remappable format has a handle and no vector.
pub const HARDWARE: [(&str, &[&str]); 29] = [
    ("hw::msix_entry", &["dev", "entry", "register", "value"]),
    ("hw::msix_control", &["dev", "enable", "function_mask"]),
    ("hw::msi", &["dev", "register", "value"]),
    ("hw::msi_control", &["dev", "enable", "messages"]),
    ("hw::mask", &["dev", "entry", "masked"]),
    ("hw::pending", &["dev", "entry", "pending"]),
    ("hw::intx", &["dev", "asserted"]),
    ("hw::ioapic_entry", &["pin", "value", "vector", "dest", "logical", "handle", "level", "masked"]),
    ("hw::ioapic_line", &["pin", "asserted"]),
    ("hw::remote_irr", &["pin", "set"]),
    ("hw::message", &["from", "pin", "address", "data", "vector", "handle"]),
    ("hw::irte", &["index", "source", "vector", "dest", "logical", "mode", "level"]),
    ("hw::fault", &["source", "index", "reason"]),
    ("hw::blocked", &["from", "pin", "cpu", "reason"]),
    ("hw::ipi", &["cpu", "vector", "mode", "to", "dest", "logical", "icr"]),
    ("hw::lvt", &["cpu", "vector"]),
    ("hw::irr", &["cpu", "vector", "level", "again"]),
    ("hw::accept", &["cpu", "vector", "mode"]),
    ("hw::isr", &["cpu", "vector"]),
    ("hw::spurious", &["cpu", "vector"]),
    ("hw::inta", &["cpu", "vector"]),
    ("hw::eoi", &["cpu", "vector", "broadcast"]),
    ("hw::lapic_reset", &["cpu"]),
    ("hw::doorbell", &["dev", "queue", "tail", "head"]),
    ("hw::completion", &["dev", "queue", "command", "status"]),
    ("hw::notify", &["dev", "queue"]),
    ("hw::used", &["dev", "queue", "chains"]),
    ("hw::softirq", &["cpu"]),
    ("hw::wakeup", &["task", "context", "cpu"]),
];

impl MsiRegister {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddressLo => "address_lo",
            Self::AddressHi => "address_hi",
            Self::Data => "data",
            Self::Mask => "mask",
        }
    }
}

impl Reason {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BusMaster => "no_bus_master",
            Self::Address => "address",
            Self::DeliveryMode => "delivery_mode",
            Self::Remapping => "remapping",
            Self::NotTaken => "not_taken",
        }
    }
}

const fn fault_name(reason: FaultReason) -> &'static str {
    match reason {
        FaultReason::ReservedRequest => "reserved_request",
        FaultReason::IndexTooLarge => "index_too_large",
        FaultReason::NotPresent => "not_present",
        FaultReason::ReservedIrte => "reserved_entry",
        FaultReason::CompatibilityBlocked => "compatibility_blocked",
        FaultReason::SourceId => "source_id",
    }
}

const fn shorthand(icr: u64) -> Option<&'static str> {
    match icr >> 18 & 3 {
        0 => None,
        1 => Some("self"),
        2 => Some("all"),
        _ => Some("others"),
    }
}

impl Hardware {
    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MsixEntry { .. } => "hw::msix_entry",
            Self::MsixControl { .. } => "hw::msix_control",
            Self::Msi { .. } => "hw::msi",
            Self::MsiControl { .. } => "hw::msi_control",
            Self::Mask { .. } => "hw::mask",
            Self::Pending { .. } => "hw::pending",
            Self::Intx { .. } => "hw::intx",
            Self::IoApicEntry { .. } => "hw::ioapic_entry",
            Self::IoApicLine { .. } => "hw::ioapic_line",
            Self::RemoteIrr { .. } => "hw::remote_irr",
            Self::Message { .. } => "hw::message",
            Self::Irte { .. } => "hw::irte",
            Self::Fault { .. } => "hw::fault",
            Self::Blocked { .. } => "hw::blocked",
            Self::Ipi { .. } => "hw::ipi",
            Self::Lvt { .. } => "hw::lvt",
            Self::Irr { .. } => "hw::irr",
            Self::Accept { .. } => "hw::accept",
            Self::Isr { .. } => "hw::isr",
            Self::Spurious { .. } => "hw::spurious",
            Self::Inta { .. } => "hw::inta",
            Self::Eoi { .. } => "hw::eoi",
            Self::LapicReset { .. } => "hw::lapic_reset",
            Self::Doorbell { .. } => "hw::doorbell",
            Self::Completion { .. } => "hw::completion",
            Self::Notify { .. } => "hw::notify",
            Self::Used { .. } => "hw::used",
            Self::Softirq { .. } => "hw::softirq",
            Self::Wakeup { .. } => "hw::wakeup",
        }
    }

    /// The CPU whose local APIC it is about, where it is about one alone.
    pub const fn local_apic(&self) -> Option<CpuId> {
        match *self {
            Self::Irr { cpu, .. }
            | Self::Accept { cpu, .. }
            | Self::Isr { cpu, .. }
            | Self::Spurious { cpu, .. }
            | Self::Inta { cpu, .. }
            | Self::Eoi { cpu, .. }
            | Self::Lvt { cpu, .. }
            | Self::LapicReset { cpu } => Some(cpu),
            _ => None,
        }
    }

    /// It is what the remapping unit does.
    pub const fn is_of_dmar(&self) -> bool {
        matches!(
            self,
            Self::Message { from: Source::Dmar, .. }
                | Self::Blocked { from: Source::Dmar, .. }
                | Self::Irte { .. }
                | Self::Fault { .. }
        )
    }

    /// The PCI function that it is about.
    pub const fn dev(&self) -> Option<PciDevId> {
        match *self {
            Self::MsixEntry { dev, .. }
            | Self::MsixControl { dev, .. }
            | Self::Msi { dev, .. }
            | Self::MsiControl { dev, .. }
            | Self::Mask { dev, .. }
            | Self::Pending { dev, .. }
            | Self::Intx { dev, .. }
            | Self::Message { from: Source::Function(dev), .. }
            | Self::Blocked { from: Source::Function(dev), .. }
            | Self::Doorbell { dev, .. }
            | Self::Completion { dev, .. }
            | Self::Notify { dev, .. }
            | Self::Used { dev, .. } => Some(dev),
            _ => None,
        }
    }

    /// Its fields in the order in which they are written.
    pub fn fields(&self) -> Vec<(&'static str, Field)> {
        use Field::{Bit, Device, Hex, Number, Requester, Word};
        let number = |n: u64| Number(n);
        let cpu_vector =
            |cpu: CpuId, vector: u8| vec![("cpu", number(cpu.0.into())), ("vector", number(vector.into()))];
        let from = |source: Source| match source {
            Source::Function(dev) => vec![("from", Device(dev))],
            Source::IoApic(pin) => vec![("from", Word("ioapic")), ("pin", number(pin.into()))],
            Source::Dmar => vec![("from", Word("dmar"))],
            Source::Icr(cpu) => vec![("from", Word("icr")), ("cpu", number(cpu.0.into()))],
        };
        match *self {
            Self::MsixEntry { dev, entry, register, value } => vec![
                ("dev", Device(dev)),
                ("entry", number(entry.into())),
                ("register", Word(register.name())),
                ("value", Hex(value.into(), 8)),
            ],
            Self::MsixControl { dev, enable, function_mask } => {
                vec![("dev", Device(dev)), ("enable", Bit(enable)), ("function_mask", Bit(function_mask))]
            }
            Self::Msi { dev, register, value } => {
                vec![
                    ("dev", Device(dev)),
                    ("register", Word(register.name())),
                    ("value", Hex(value.into(), 8)),
                ]
            }
            Self::MsiControl { dev, enable, messages } => {
                vec![("dev", Device(dev)), ("enable", Bit(enable)), ("messages", number(messages.into()))]
            }
            Self::Mask { dev, entry, masked } => {
                vec![("dev", Device(dev)), ("entry", number(entry.into())), ("masked", Bit(masked))]
            }
            Self::Pending { dev, entry, pending } => {
                vec![("dev", Device(dev)), ("entry", number(entry.into())), ("pending", Bit(pending))]
            }
            Self::Intx { dev, asserted } => vec![("dev", Device(dev)), ("asserted", Bit(asserted))],
            Self::IoApicEntry { pin, value } => {
                let mut fields = vec![("pin", number(pin.into())), ("value", Hex(value, 16))];
                // In the remappable format the vector is only what the EOI is compared with.
                fields.push(("vector", number(value & RTE_VECTOR)));
                if value & RTE_REMAPPABLE != 0 {
                    let handle = value >> 49 | u64::from(value & RTE_LOGICAL != 0) << 15;
                    fields.push(("handle", number(handle)));
                } else {
                    fields
                        .extend([("dest", Hex(value >> 56, 2)), ("logical", Bit(value & RTE_LOGICAL != 0))]);
                }
                fields
                    .extend([("level", Bit(value & RTE_LEVEL != 0)), ("masked", Bit(value & RTE_MASK != 0))]);
                fields
            }
            Self::IoApicLine { pin, asserted } => {
                vec![("pin", number(pin.into())), ("asserted", Bit(asserted))]
            }
            Self::RemoteIrr { pin, set } => vec![("pin", number(pin.into())), ("set", Bit(set))],
            Self::Message { from: source, address, data } => {
                let mut fields = from(source);
                fields.extend([("address", Hex(address, 8)), ("data", Hex(data.into(), 4))]);
                // The remappable format has a handle in place of vector and destination.
                if address >> 4 & 1 != 0 && address >> 20 == 0xfee {
                    let handle = (address >> 5 & 0x7fff) | (address >> 2 & 1) << 15;
                    fields.push(("handle", number(handle)));
                } else {
                    fields.push(("vector", number(u64::from(data) & 0xff)));
                }
                fields
            }
            Self::Irte { index, source, vector, dest, logical, mode, level } => vec![
                ("index", number(index.into())),
                ("source", Requester(source)),
                ("vector", number(vector.into())),
                ("dest", Hex(dest.into(), 2)),
                ("logical", Bit(logical)),
                ("mode", Word(mode.name())),
                ("level", Bit(level)),
            ],
            Self::Fault { source, index, reason } => vec![
                ("source", Requester(source)),
                ("index", number(index.into())),
                ("reason", Word(fault_name(reason))),
            ],
            Self::Blocked { from: source, reason } => {
                let mut fields = from(source);
                fields.push(("reason", Word(reason.name())));
                fields
            }
            Self::Ipi { cpu, icr, wide } => {
                let mut fields = cpu_vector(cpu, icr as u8);
                let mode = DeliveryMode::from_bits(icr as u32 >> 8).map_or("reserved", DeliveryMode::name);
                fields.push(("mode", Word(mode)));
                match shorthand(icr) {
                    Some(to) => fields.push(("to", Word(to))),
                    None => {
                        let dest = if wide { icr >> 32 } else { icr >> 56 };
                        fields.extend([("dest", Hex(dest, 2)), ("logical", Bit(icr >> 11 & 1 != 0))]);
                    }
                }
                fields.push(("icr", Hex(icr, 16)));
                fields
            }
            Self::Lvt { cpu, vector }
            | Self::Isr { cpu, vector }
            | Self::Spurious { cpu, vector }
            | Self::Inta { cpu, vector } => cpu_vector(cpu, vector),
            Self::Irr { cpu, vector, level, again } => {
                let mut fields = cpu_vector(cpu, vector);
                fields.extend([("level", Bit(level)), ("again", Bit(again))]);
                fields
            }
            Self::Accept { cpu, mode, vector } => {
                let mut fields = cpu_vector(cpu, vector);
                fields.push(("mode", Word(mode.name())));
                fields
            }
            Self::Eoi { cpu, vector, broadcast } => {
                let mut fields = cpu_vector(cpu, vector);
                fields.push(("broadcast", Bit(broadcast)));
                fields
            }
            Self::LapicReset { cpu } => vec![("cpu", number(cpu.0.into()))],
            Self::Doorbell { dev, queue, completion, value } => vec![
                ("dev", Device(dev)),
                ("queue", number(queue.into())),
                (if completion { "head" } else { "tail" }, number(value.into())),
            ],
            Self::Completion { dev, queue, command, status } => vec![
                ("dev", Device(dev)),
                ("queue", number(queue.into())),
                ("command", number(command.into())),
                ("status", Hex(status.into(), 4)),
            ],
            Self::Notify { dev, queue } => vec![("dev", Device(dev)), ("queue", number(queue.into()))],
            Self::Used { dev, queue, chains } => {
                vec![("dev", Device(dev)), ("queue", number(queue.into())), ("chains", number(chains.into()))]
            }
            Self::Softirq { cpu } => vec![("cpu", number(cpu.0.into()))],
            Self::Wakeup { task, cpu } => vec![
                ("task", Field::Context(task)),
                ("context", number(task.0.into())),
                ("cpu", number(cpu.0.into())),
            ],
        }
    }
}

/// A field as text.
struct Shown<'a>(&'a Trace, Field);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Field::Number(number) => write!(f, "{number}"),
            Field::Hex(value, digits) => write!(f, "{value:#0width$x}", width = digits + 2),
            Field::Bit(bit) => write!(f, "{}", u8::from(bit)),
            Field::Word(word) => f.write_str(word),
            Field::Device(dev) => match self.0.devices.get(&dev) {
                Some(name) => f.write_str(name),
                None => write!(f, "function {dev}"),
            },
            Field::Context(ctx) => match self.0.ctxs.get(ctx) {
                Some(ctx) => write!(f, "{}", ctx.actor),
                None => write!(f, "context {ctx}"),
            },
            Field::Requester(id) => write!(f, "{:02x}:{:02x}.{}", id >> 8, id >> 3 & 0x1f, id & 7),
        }
    }
}

impl Trace {
    /// A field of a record of hardware, as text.
    pub fn field(&self, field: Field) -> String {
        Shown(self, field).to_string()
    }

    /// A record of hardware as text: `hw::message: from=nvme0 address=0xfee10004 ...`.
    pub fn hardware_text(&self, hardware: &Hardware) -> String {
        let mut text = format!("{}:", hardware.name());
        for (name, field) in hardware.fields() {
            // Writing to a string cannot fail.
            let _ = write!(text, " {name}={}", Shown(self, field));
        }
        text
    }
}

impl Kernel {
    /// Records what hardware does, where somebody asked for it.
    #[inline]
    pub fn hw(&mut self, hardware: impl FnOnce(&Self) -> Hardware) {
        if self.trace.hardware {
            record(self, hardware);
        }
    }

    /// Does what hardware does on its own, which happens on nobody's stack.
    #[inline]
    pub fn on_its_own<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.cur.ctx;
        if self.trace.hardware {
            self.cur.ctx = Trace::NOBODY;
        }
        let result = act(self);
        self.cur.ctx = before;
        result
    }
}

#[cold]
#[inline(never)]
fn record(k: &mut Kernel, hardware: impl FnOnce(&Kernel) -> Hardware) {
    if !k.trace.on {
        return;
    }
    let hardware = hardware(k);
    if let Some(dev) = hardware.dev()
        && (!k.trace.devices.contains_key(&dev) || k.trace.unnamed.contains(&dev) && k.has_driver_name(dev))
    {
        // Until a driver has given it a name it has the one of its address.
        let name = k.device_name(dev);
        k.trace.devices.insert(dev, name);
        if k.has_driver_name(dev) {
            k.trace.unnamed.remove(&dev);
        } else {
            k.trace.unnamed.insert(dev);
        }
    }
    push(k, What::Hardware(hardware));
}
