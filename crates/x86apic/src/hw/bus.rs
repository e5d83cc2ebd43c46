//! The way of an interrupt message from its source to the local APICs (Intel SDM volume 3, 11.6.2
//! "Determining IPI destination", 11.11 "Message signalled interrupts"; VT-d specification 5.1).

pub use kstate::hw::lapic::DeliveryMode;
use kstate::hw::lapic::{ApicMode, DestinationMap, LocalApic};
use kstate::oracle::Point;
use kstate::trace::{Hardware, Reason, Source};
use kstate::{ApicId, CpuId, CpuMask, Kernel, PciDevId};

use super::{lapic, vtd};

/// An interrupt on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Destination field.
    pub dest: u32,
    /// The destination field has 32 bits, so that its broadcast is all ones of those.
    pub wide: bool,
    /// The destination is logical.
    pub logical: bool,
    /// Delivery mode.
    pub mode: DeliveryMode,
    /// Vector.
    pub vector: u8,
    /// Level triggered.
    pub level: bool,
}

/// Who a destination means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Targets {
    /// Nobody.
    None,
    /// One CPU, found without asking the others.
    One(CpuId),
    /// Several.
    Many(CpuMask),
}

/// The destination that means every CPU.
const fn broadcast(wide: bool) -> u32 {
    if wide { u32::MAX } else { 0xff }
}

/// The CPU that a destination means, where that is one CPU's id, or its bit on a machine in flat mode: what most
/// messages are for. `None` where somebody has to look.
#[inline]
fn single_target(map: &DestinationMap, dest: u32, wide: bool, logical: bool) -> Option<CpuId> {
    if dest == broadcast(wide) {
        return None;
    }
    if !logical {
        return map.cpu_of(ApicId(dest));
    }
    if wide || !dest.is_power_of_two() || !map.x2apic.is_empty() {
        return None;
    }
    let cpu = map.flat.get(dest.trailing_zeros() as usize)?.single()?;
    map.cluster[(dest >> 4 & 0xf) as usize].is_empty().then_some(cpu)
}

/// Resolves a destination (11.6.2).
pub fn targets(k: &Kernel, dest: u32, wide: bool, logical: bool) -> Targets {
    let map = &k.hw.destinations;
    if dest == broadcast(wide) {
        return Targets::Many(map.enabled.clone());
    }
    if !logical {
        return map.cpu_of(ApicId(dest)).map_or(Targets::None, Targets::One);
    }
    if let Some(cpu) = single_target(map, dest, wide, logical) {
        return Targets::One(cpu);
    }
    let mut found = CpuMask::new();
    if wide {
        // 11.12.10.1: the cluster's number times 16, plus the number of the bit, is the id.
        for bit in kstate::cpumask::Bits(u64::from(dest & 0xffff)) {
            if let Some(cpu) = map.cpu_of(ApicId(dest >> 16 << 4 | bit))
                && map.x2apic.contains(cpu)
            {
                found.set(cpu);
            }
        }
    }
    if !wide {
        for bit in kstate::cpumask::Bits(u64::from(dest & 0xff)) {
            found.or_assign(&map.flat[bit as usize]);
        }
        for cpu in map.cluster[(dest >> 4 & 0xf) as usize].iter() {
            if k.hw.lapics[cpu.index()].ldr >> 24 & dest & 0xf != 0 {
                found.set(cpu);
            }
        }
        // A message of 8 bits reaches x2APICs too, in cluster 0.
        for bit in kstate::cpumask::Bits(u64::from(dest & 0xff)) {
            if !map.x2apic.is_empty()
                && let Some(cpu) = map.cpu_of(ApicId(bit))
                && map.x2apic.contains(cpu)
            {
                found.set(cpu);
            }
        }
    }
    match found.first() {
        None => Targets::None,
        Some(cpu) if found.next_after(cpu).is_none() => Targets::One(cpu),
        Some(_) => Targets::Many(found),
    }
}

/// A destination names this APIC; the same answer as [`targets`], asked of one APIC alone.
pub fn matches(apic: &LocalApic, dest: u32, wide: bool, logical: bool) -> bool {
    let id = match apic.mode {
        ApicMode::Disabled => return false,
        ApicMode::XApic => u32::from(apic.xapic_id),
        ApicMode::X2Apic => apic.initial_id.0,
    };
    let ldr = apic.ldr >> 24;
    match (logical, apic.mode) {
        _ if dest == broadcast(wide) => true,
        (false, _) => dest == id,
        (true, ApicMode::X2Apic) => {
            let own = lapic::x2apic_ldr(apic.initial_id);
            own >> 16 == dest >> 16 && own & dest & 0xffff != 0
        }
        (true, _) if wide => false,
        (true, _) if apic.dfr >> 28 == 0xf => ldr & dest != 0,
        (true, _) => ldr >> 4 == dest >> 4 && ldr & dest & 0xf != 0,
    }
}

/// Delivers to all local APICs the destination names; false when none took it.
pub fn deliver(k: &mut Kernel, message: Message) -> bool {
    let Message { dest, wide, logical, mode, vector, level } = message;
    if let Some(cpu) = single_target(&k.hw.destinations, dest, wide, logical) {
        return lapic::accept(k, cpu, mode, vector, level);
    }
    let many = match targets(k, dest, wide, logical) {
        Targets::None => return false,
        Targets::One(cpu) => return lapic::accept(k, cpu, mode, vector, level),
        Targets::Many(many) => many,
    };
    if mode == DeliveryMode::LowestPriority {
        // 11.6.2.4: the lowest processor priority wins; among equals the arbitration of the bus
        // decides, which is the lowest CPU here.
        let best = many.iter().filter(|cpu| k.hw.lapics[cpu.index()].enabled());
        let best = best.min_by_key(|cpu| lapic::ppr(&k.hw.lapics[cpu.index()]));
        return best.is_some_and(|cpu| lapic::accept(k, cpu, mode, vector, level));
    }
    let mut taken = false;
    for cpu in many.iter() {
        taken |= lapic::accept(k, cpu, mode, vector, level);
    }
    taken
}

/// Decodes a message of the compatibility format (11.11.1, 11.11.2). `None` when the address is
/// not that of the local APICs or the delivery mode is reserved.
pub fn decode_msi(address: u64, data: u32) -> Option<Message> {
    if address >> 20 != 0xfee {
        return None;
    }
    let level = data >> 15 & 1 != 0;
    let logical = address >> 2 & 1 != 0;
    Some(Message {
        dest: (address >> 12) as u32 & 0xff,
        wide: false,
        logical,
        mode: DeliveryMode::from_bits(data >> 8)?.hinted(logical && address >> 3 & 1 != 0),
        vector: data as u8,
        level,
    })
}

/// As [`deliver`], with what to call a message that nobody takes.
pub(super) fn deliver_or_say(k: &mut Kernel, message: Option<Message>, none: Reason) -> Result<(), Reason> {
    match message {
        None => Err(none),
        Some(message) if deliver(k, message) => Ok(()),
        Some(_) => Err(Reason::NotTaken),
    }
}

/// Writes a message of the compatibility format, which nothing remaps.
fn write_compatible(k: &mut Kernel, address: u64, data: u32) -> Result<(), Reason> {
    let none = if address >> 20 == 0xfee { Reason::DeliveryMode } else { Reason::Address };
    deliver_or_say(k, decode_msi(address, data), none)
}

/// A device writes a message: `source` is its requester id.
///
/// # Errors
/// Why nobody took the interrupt: a bad address, a fault of the remapping unit, or no local APIC that listens.
pub fn msi_write(k: &mut Kernel, address: u64, data: u32, source: u16) -> Result<(), Reason> {
    if !vtd::enabled(&k.hw.vtd) {
        return write_compatible(k, address, data);
    }
    if address >> 20 != 0xfee {
        return Err(Reason::Address);
    }
    if address >> 4 & 1 == 0 {
        if vtd::blocks_compatibility(k, source) {
            return Err(Reason::Remapping);
        }
        return write_compatible(k, address, data);
    }
    // VT-d 5.1.5.2: bits 19:5 and 2 of the address are the handle; with SHV the subhandle adds.
    let handle = (address >> 5 & 0x7fff | (address >> 2 & 1) << 15) as u16;
    let subhandle = if address >> 3 & 1 != 0 { data as u16 } else { 0 };
    let reserved = address >> 3 & 1 != 0 && data >> 16 != 0;
    let message = vtd::remap(k, handle, subhandle, reserved, source);
    deliver_or_say(k, message, Reason::Remapping)
}

/// A message that is not subject to remapping: the remapping unit's own. False when nobody took it.
pub fn msi_write_unmapped(k: &mut Kernel, address: u64, data: u32) -> bool {
    k.hw(|_| Hardware::Message { from: Source::Dmar, address, data });
    // The unit keeps bits 31:8 of the destination in the upper half of the address.
    let high = (address >> 32) as u32 & !0xff;
    let low = address & 0xffff_ffff;
    let none = if low >> 20 == 0xfee { Reason::DeliveryMode } else { Reason::Address };
    let message = decode_msi(low, data).map(|message| Message {
        dest: message.dest | high,
        wide: high != 0,
        ..message
    });
    let taken = deliver_or_say(k, message, none);
    say_blocked(k, Source::Dmar, taken);
    taken.is_ok()
}

/// Records that a message reached nobody, if it did not.
pub fn say_blocked(k: &mut Kernel, from: Source, taken: Result<(), Reason>) {
    if let Err(reason) = taken {
        k.hw(|_| Hardware::Blocked { from, reason });
    }
}

/// A point between two register writes of a driver at which the device may act: it does when it has
/// something to do and the oracle picks this moment.
pub fn hw_point(k: &mut Kernel, dev: PciDevId) {
    let model = k.hw.pci[dev.index()].model;
    let (Some(pending), Some(act)) = (model.pending, model.act) else { return };
    if pending(k, dev) && k.oracle.choose(Point::Hardware, 2) == 1 {
        if k.oracle.is_racing() {
            let name = k.pci_dev(dev).name();
            k.oracle.race(format!("{name} is done between two register accesses of CPU {}", k.cpu()));
        }
        k.on_its_own(|k| act(k, dev));
    }
}

/// The same for every function, where nothing is between the kernel and any of them.
pub fn hw_points(k: &mut Kernel) {
    if k.oracle.is_quiet() {
        return;
    }
    for dev in 0..k.hw.pci.len() {
        hw_point(k, PciDevId(dev as u32));
    }
}
