//! Behaviour of the local APICs (Intel SDM volume 3, chapter 11).
//!
//! # What it doesn't implement
//! The timer does not count, because the machine has no clock ticks: its current count reads zero.
//! Bus arbitration (APR, arbitration id, RRR) of the APIC bus of old is left out. There is no CPU without x2APIC,
//! and of CPUID only the bit that says whether there is an APIC: leaf 1 does not offer x2APIC, and leaf 0BH does
//! not give the topology. The machine tells the kernel both.

use kstate::hw::lapic::{
    ApicMode, DELIVERY_STATUS, DFR_CLUSTER, ESR_ILLEGAL_REGISTER, ESR_RECEIVE_ILLEGAL_VECTOR,
    ESR_SEND_ILLEGAL_VECTOR, LVT_MASK, LocalApic, Lvt, SVR_ENABLE, SVR_SUPPRESS_EOI_BROADCAST, VectorReg,
};
use kstate::trace::{Hardware, Reason, Source};
use kstate::{ApicId, CpuId, Kernel};

use super::bus::{self, DeliveryMode, Message};
use super::{ioapic, pic};

/// Physical address bits of the machine's CPUs (CPUID.80000008H:EAX).
pub const MAXPHYADDR: u32 = 40;
/// IA32_APIC_BASE: this CPU is the bootstrap processor.
pub const BASE_BSP: u64 = 1 << 8;
/// IA32_APIC_BASE: x2APIC mode.
pub const BASE_EXTD: u64 = 1 << 10;
/// IA32_APIC_BASE: globally enabled.
pub const BASE_EN: u64 = 1 << 11;
/// Number of the IA32_APIC_BASE register.
pub const IA32_APIC_BASE: u32 = 0x1b;
/// Version register (11.4.8): EOI broadcast suppression, 7 LVT entries, version 14H.
pub const VERSION: u32 = 1 << 24 | 6 << 16 | 0x14;

/// A general-protection exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GeneralProtection;

/// Creates one local APIC per possible CPU, as after power-on with firmware done.
pub fn power_on(k: &mut Kernel) {
    k.hw.lapics = k.topo.cpus.iter().map(|cpu| LocalApic::new(cpu.apic_id)).collect();
    k.hw.destinations = Default::default();
    k.hw.pending_cpus = Default::default();
    if let Some(boot) = k.hw.lapics.first_mut() {
        boot.bsp = true;
    }
    for cpu in 0..k.hw.lapics.len() as u32 {
        listen(k, CpuId(cpu));
    }
}

/// INIT (11.4.7.3): everything but the mode and the id goes back to its initial state.
pub fn reset(k: &mut Kernel, cpu: CpuId) {
    deafen(k, cpu);
    let apic = &mut k.hw.lapics[cpu.index()];
    let LocalApic { initial_id, mode, base, bsp, xapic_id, .. } = *apic;
    *apic = LocalApic { mode, base, bsp, xapic_id, ..LocalApic::new(initial_id) };
    listen(k, cpu);
    update(k, cpu);
    k.hw(|_| Hardware::LapicReset { cpu });
}

/// Takes a CPU out of the destination map, before its id, mode or logical destination changes.
fn deafen(k: &mut Kernel, cpu: CpuId) {
    let map = &mut *k.hw.destinations;
    let id = physical_id(&k.hw.lapics[cpu.index()]);
    if map.cpu_of(id) == Some(cpu) {
        map.physical[id.index()] = 0;
    }
    map.flat.iter_mut().chain(&mut map.cluster).for_each(|m| m.clear(cpu));
    map.enabled.clear(cpu);
    map.x2apic.clear(cpu);
}

/// Puts a CPU into the destination map.
fn listen(k: &mut Kernel, cpu: CpuId) {
    let map = &mut *k.hw.destinations;
    let apic = &k.hw.lapics[cpu.index()];
    if apic.mode == ApicMode::Disabled {
        return;
    }
    let id = physical_id(apic);
    if map.physical.len() <= id.index() {
        map.physical.resize(id.index() + 1, 0);
    }
    // Two APICs with one id exist only until software has given each its own.
    if map.physical[id.index()] == 0 {
        map.physical[id.index()] = cpu.0 + 1;
    }
    map.enabled.set(cpu);
    if apic.mode == ApicMode::X2Apic {
        map.x2apic.set(cpu);
        return;
    }
    let logical = apic.ldr >> 24;
    if apic.dfr >> 28 == 0xf {
        for bit in kstate::cpumask::Bits(u64::from(logical)) {
            map.flat[bit as usize].set(cpu);
        }
    } else if logical & 0xf != 0 {
        map.cluster[(logical >> 4) as usize].set(cpu);
    }
}

/// The id in effect: 8 bits in xAPIC mode, 32 in x2APIC mode.
fn physical_id(apic: &LocalApic) -> ApicId {
    match apic.mode {
        ApicMode::X2Apic => apic.initial_id,
        _ => ApicId(u32::from(apic.xapic_id)),
    }
}

/// The logical x2APIC id (11.12.10.2): cluster in the upper half, one bit of 16 in the lower.
pub fn x2apic_ldr(id: ApicId) -> u32 {
    id.0 >> 4 << 16 | 1 << (id.0 & 0xf)
}

/// Processor-priority register (11.8.3.1): the higher class of TPR and highest vector in service.
#[inline]
pub fn ppr(apic: &LocalApic) -> u8 {
    let isrv = apic.isr.highest().unwrap_or(0);
    if apic.tpr >> 4 >= isrv >> 4 { apic.tpr } else { isrv & 0xf0 }
}

/// The vector the APIC would hand to its CPU now: the highest one requested, if its class lies
/// above the processor priority's (11.8.3.1) and the APIC is enabled.
///
/// What the 8259 requests through LINT0 has no priority here and comes first.
pub fn pending(k: &Kernel, cpu: CpuId) -> Option<u8> {
    let apic = k.hw.lapics.get(cpu.index())?;
    if k.hw.pic.intr && extint(apic, cpu) {
        let line = pic::pending(k)?;
        return Some(k.hw.pic.base[(line >> 3) as usize] + (line & 7) as u8);
    }
    requested(apic)
}

/// The same without the 8259.
#[inline]
fn requested(apic: &LocalApic) -> Option<u8> {
    let vector = apic.irr.highest()?;
    (apic.enabled() && vector >> 4 > ppr(apic) >> 4).then_some(vector)
}

/// The 8259 interrupts this CPU: LINT0 of the boot CPU is an unmasked ExtINT, or its APIC is switched off
/// and lets it through (11.4.3).
#[inline]
fn extint(apic: &LocalApic, cpu: CpuId) -> bool {
    const EXTINT: u32 = 0x700;
    let lint0 = apic.lvt[Lvt::Lint0 as usize];
    cpu == CpuId(0) && (apic.mode == ApicMode::Disabled || lint0 & (LVT_MASK | EXTINT) == EXTINT)
}

/// The 8259's output has changed.
pub(super) fn intr_changed(k: &mut Kernel, cpu: CpuId) {
    if cpu.index() < k.hw.lapics.len() {
        update(k, cpu);
    }
}

/// Keeps `pending_cpus` in step after anything that [`pending`] looks at has changed.
fn update(k: &mut Kernel, cpu: CpuId) {
    if pending(k, cpu).is_some() {
        k.hw.pending_cpus.set(cpu);
    } else {
        k.hw.pending_cpus.clear(cpu);
    }
}

/// INTA: the pending vector moves from IRR to ISR. With nothing pending it is the spurious vector
/// (11.9), which does not set a bit in ISR.
pub fn ack(k: &mut Kernel, cpu: CpuId) -> u8 {
    // The 8259 answers for itself.
    if k.hw.pic.intr && extint(&k.hw.lapics[cpu.index()], cpu) {
        let vector = pic::ack(k);
        k.hw(|_| Hardware::Inta { cpu, vector });
        return vector;
    }
    let apic = &mut k.hw.lapics[cpu.index()];
    let Some(vector) = requested(apic) else {
        let vector = apic.svr as u8;
        k.hw(|_| Hardware::Spurious { cpu, vector });
        return vector;
    };
    apic.irr.clear(vector);
    apic.isr.set(vector);
    // It was the highest one, so that no other has a higher class.
    k.hw.pending_cpus.clear(cpu);
    debug_assert!(pending(k, cpu).is_none(), "no request is above the one in service");
    k.hw(|_| Hardware::Isr { cpu, vector });
    vector
}

/// EOI (11.8.5): the highest vector in service is done; a level-triggered one is broadcast to the
/// IO-APICs unless that is suppressed. Without any in service nothing happens.
pub fn eoi(k: &mut Kernel, cpu: CpuId) {
    let apic = &mut k.hw.lapics[cpu.index()];
    let Some(vector) = apic.isr.highest() else {
        return;
    };
    apic.isr.clear(vector);
    let level = apic.tmr.test(vector) && apic.svr & SVR_SUPPRESS_EOI_BROADCAST == 0;
    update(k, cpu);
    k.hw(|_| Hardware::Eoi { cpu, vector, broadcast: level });
    if level {
        ioapic::eoi(k, vector);
    }
}

/// A bit of IRR.
pub fn irr_test(k: &Kernel, cpu: CpuId, vector: u8) -> bool {
    k.hw.lapics[cpu.index()].irr.test(vector)
}

/// A bit of IRR, under the name that the interrupt code asks for it.
pub fn irr_set(k: &Kernel, cpu: CpuId, vector: u8) -> bool {
    irr_test(k, cpu, vector)
}

/// A bit of ISR.
pub fn isr_test(k: &Kernel, cpu: CpuId, vector: u8) -> bool {
    k.hw.lapics[cpu.index()].isr.test(vector)
}

/// Accepts an interrupt (11.8.4); false when this APIC does not take it.
pub(super) fn accept(k: &mut Kernel, cpu: CpuId, mode: DeliveryMode, vector: u8, level: bool) -> bool {
    let apic = &mut k.hw.lapics[cpu.index()];
    if apic.mode == ApicMode::Disabled {
        return false;
    }
    match mode {
        DeliveryMode::Fixed | DeliveryMode::LowestPriority => {
            // 11.4.7.2: while software-disabled only INIT, NMI, SMI and start-up are taken; what
            // was requested before stays.
            if !apic.enabled() {
                return false;
            }
            if vector < 16 {
                error(k, cpu, ESR_RECEIVE_ILLEGAL_VECTOR);
                return false;
            }
            let again = apic.irr.test(vector);
            apic.irr.set(vector);
            if level {
                apic.tmr.set(vector)
            } else {
                apic.tmr.clear(vector)
            }
            // One more request takes no other away.
            if vector >> 4 > ppr(apic) >> 4 {
                k.hw.pending_cpus.set(cpu);
            }
            debug_assert_eq!(pending(k, cpu).is_some(), k.hw.pending_cpus.contains(cpu));
            k.hw(|_| Hardware::Irr { cpu, vector, level, again });
            return true;
        }
        DeliveryMode::Nmi => apic.nmis += 1,
        DeliveryMode::Init => apic.init = true,
        DeliveryMode::StartUp => apic.startup = Some(vector),
        // DEVIATION: system management interrupts and ExtINT messages end here, because nothing above the
        // hardware uses them; the 8259 is wired to LINT0.
        DeliveryMode::Smi | DeliveryMode::ExtInt => {}
    }
    k.hw(|_| Hardware::Accept { cpu, mode, vector });
    true
}

/// What arrived besides fixed interrupts, as the CPU takes it whatever its priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NonFixed {
    /// NMIs.
    pub nmis: u32,
    /// INIT.
    pub init: bool,
    /// Start-up IPI.
    pub startup: Option<u8>,
}

/// Hands over what arrived besides fixed interrupts.
pub fn take_non_fixed(k: &mut Kernel, cpu: CpuId) -> NonFixed {
    let apic = &mut k.hw.lapics[cpu.index()];
    NonFixed {
        nmis: core::mem::take(&mut apic.nmis),
        init: core::mem::take(&mut apic.init),
        startup: apic.startup.take(),
    }
}

/// Notes an error (11.5.3) and fires the error LVT entry.
fn error(k: &mut Kernel, cpu: CpuId, bits: u32) {
    let apic = &mut k.hw.lapics[cpu.index()];
    let news = bits & !apic.esr_pending;
    apic.esr_pending |= bits;
    // An error entry with an illegal vector is itself an error, but not one that fires again.
    if news != 0 && apic.lvt[Lvt::Error as usize] as u8 >= 16 {
        local_event(k, cpu, Lvt::Error);
    }
}

/// A local interrupt source fires: delivers what its LVT entry says, unless masked (11.5.1).
pub fn local_event(k: &mut Kernel, cpu: CpuId, source: Lvt) {
    let entry = k.hw.lapics[cpu.index()].lvt[source as usize];
    if entry & LVT_MASK != 0 {
        return;
    }
    // Timer and error entries have no delivery mode field: always fixed.
    let mode = match source {
        Lvt::Timer | Lvt::Error => DeliveryMode::Fixed,
        _ => DeliveryMode::from_bits(entry >> 8).unwrap_or(DeliveryMode::Fixed),
    };
    let level = matches!(source, Lvt::Lint0) && entry >> 15 & 1 != 0;
    k.hw(|_| Hardware::Lvt { cpu, vector: entry as u8 });
    accept(k, cpu, mode, entry as u8, level);
}

/// Sends a fixed interrupt to one local APIC by its physical id.
pub fn send_ipi(k: &mut Kernel, from: CpuId, dest: ApicId, vector: u8) {
    let x2apic = k.hw.lapics[from.index()].mode == ApicMode::X2Apic;
    let dest = if x2apic { u64::from(dest.0) << 32 } else { u64::from(dest.0 & 0xff) << 56 };
    icr_write(k, from, dest | 1 << 14 | u64::from(vector));
}

/// SELF IPI register (11.12.11), and the self shorthand with a fixed vector.
pub fn send_self_ipi(k: &mut Kernel, cpu: CpuId, vector: u8) {
    k.hw(|k| {
        let icr = 1 << 18 | 1 << 14 | u64::from(vector);
        Hardware::Ipi { cpu, icr, wide: k.hw.lapics[cpu.index()].mode == ApicMode::X2Apic }
    });
    if vector < 16 {
        error(k, cpu, ESR_SEND_ILLEGAL_VECTOR);
        return;
    }
    accept(k, cpu, DeliveryMode::Fixed, vector, false);
}

/// Destination shorthand of the ICR (11.6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shorthand {
    /// The destination field counts.
    None,
    /// Self.
    Own,
    /// All including self.
    All,
    /// All excluding self.
    Others,
}

/// The interrupt command register, decoded (11.6.1, 11.12.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Icr {
    /// The interrupt.
    pub message: Message,
    /// Level is assert.
    pub assert: bool,
    /// Shorthand.
    pub shorthand: Shorthand,
}

impl Icr {
    /// Decodes the register; `None` for a reserved delivery mode.
    pub fn decode(icr: u64, x2apic: bool) -> Option<Self> {
        let shorthand = match icr >> 18 & 3 {
            0 => Shorthand::None,
            1 => Shorthand::Own,
            2 => Shorthand::All,
            _ => Shorthand::Others,
        };
        Some(Self {
            message: Message {
                dest: if x2apic { (icr >> 32) as u32 } else { (icr >> 56) as u32 },
                wide: x2apic,
                logical: icr >> 11 & 1 != 0,
                mode: DeliveryMode::from_bits(icr as u32 >> 8)?,
                vector: icr as u8,
                level: icr >> 15 & 1 != 0,
            },
            assert: icr >> 14 & 1 != 0,
            shorthand,
        })
    }
}

/// A write to the low half of the ICR sends an IPI.
pub fn icr_write(k: &mut Kernel, cpu: CpuId, icr: u64) {
    let apic = &mut k.hw.lapics[cpu.index()];
    // IPIs arrive at once, so that the delivery status always reads idle.
    apic.icr = icr & !u64::from(DELIVERY_STATUS);
    let wide = apic.mode == ApicMode::X2Apic;
    k.hw(|_| Hardware::Ipi { cpu, icr, wide });
    let Some(Icr { message, assert, shorthand }) = Icr::decode(icr, wide) else {
        return;
    };
    let Message { mode, vector, .. } = message;
    if matches!(mode, DeliveryMode::Fixed | DeliveryMode::LowestPriority) && vector < 16 {
        error(k, cpu, ESR_SEND_ILLEGAL_VECTOR);
        return;
    }
    // INIT level de-assert only synchronizes arbitration ids (11.6.1).
    if mode == DeliveryMode::Init && !assert && message.level {
        return;
    }
    // The trigger mode of an IPI is edge but for INIT.
    match shorthand {
        Shorthand::None => {
            let message = Message { level: false, ..message };
            let taken = bus::deliver_or_say(k, Some(message), Reason::NotTaken);
            bus::say_blocked(k, Source::Icr(cpu), taken);
        }
        Shorthand::Own => {
            if mode == DeliveryMode::Fixed {
                accept(k, cpu, mode, vector, false);
            }
        }
        Shorthand::All | Shorthand::Others => {
            let mut next = k.hw.destinations.enabled.first();
            while let Some(to) = next {
                if shorthand == Shorthand::All || to != cpu {
                    accept(k, to, mode, vector, false);
                }
                next = k.hw.destinations.enabled.next_after(to);
            }
        }
    }
}

/// Sets the task priority, as a write to TPR or to CR8 does.
pub fn set_tpr(k: &mut Kernel, cpu: CpuId, tpr: u8) {
    k.hw.lapics[cpu.index()].tpr = tpr;
    update(k, cpu);
}

/// CR8: the class of the task priority. It works while the APIC is disabled, too.
pub fn cr8(k: &Kernel, cpu: CpuId) -> u8 {
    k.hw.lapics[cpu.index()].tpr >> 4
}

/// A write to CR8 (11.8.6).
pub fn set_cr8(k: &mut Kernel, cpu: CpuId, class: u8) {
    set_tpr(k, cpu, class << 4);
}

/// Spurious-interrupt vector register (11.9). Clearing bit 8 masks all LVT entries.
pub fn set_svr(k: &mut Kernel, cpu: CpuId, svr: u32) {
    let apic = &mut k.hw.lapics[cpu.index()];
    apic.svr = svr & 0x13ff;
    if svr & SVR_ENABLE == 0 {
        apic.lvt.iter_mut().for_each(|entry| *entry |= LVT_MASK);
    }
    update(k, cpu);
}

/// Software-enables the APIC with this spurious vector.
pub fn soft_enable(k: &mut Kernel, cpu: CpuId, spurious: u8) {
    set_svr(k, cpu, SVR_ENABLE | u32::from(spurious));
}

/// Software-disables the APIC: IRR and ISR stay, new fixed interrupts are dropped.
pub fn soft_disable(k: &mut Kernel, cpu: CpuId) {
    let svr = k.hw.lapics[cpu.index()].svr;
    set_svr(k, cpu, svr & !SVR_ENABLE);
}

/// Logical destination register, xAPIC mode.
pub fn set_ldr(k: &mut Kernel, cpu: CpuId, ldr: u32) {
    deafen(k, cpu);
    k.hw.lapics[cpu.index()].ldr = ldr & 0xff00_0000;
    listen(k, cpu);
}

/// Destination format register: the model in bits 31:28, all other bits are one.
pub fn set_dfr(k: &mut Kernel, cpu: CpuId, dfr: u32) {
    deafen(k, cpu);
    k.hw.lapics[cpu.index()].dfr = dfr & 0xf000_0000 | DFR_CLUSTER;
    listen(k, cpu);
}

/// Writes an LVT entry: delivery status is read only, and the mask bit stays set while the APIC is
/// software-disabled.
pub fn set_lvt(k: &mut Kernel, cpu: CpuId, entry: Lvt, value: u32) {
    let apic = &mut k.hw.lapics[cpu.index()];
    let forced = if apic.svr & SVR_ENABLE == 0 { LVT_MASK } else { 0 };
    apic.lvt[entry as usize] = value & lvt_writable(entry) | forced;
}

/// Writable bits of an LVT entry (figure 11-8).
fn lvt_writable(entry: Lvt) -> u32 {
    match entry {
        Lvt::Timer => 0x7_00ff,
        Lvt::Error => 0x1_00ff,
        Lvt::Cmci | Lvt::Thermal | Lvt::Perf => 0x1_07ff,
        Lvt::Lint0 | Lvt::Lint1 => 0x1_a7ff,
    }
}

fn lvt_at(offset: u32) -> Option<Lvt> {
    Some(match offset {
        0x2f0 => Lvt::Cmci,
        0x320 => Lvt::Timer,
        0x330 => Lvt::Thermal,
        0x340 => Lvt::Perf,
        0x350 => Lvt::Lint0,
        0x360 => Lvt::Lint1,
        0x370 => Lvt::Error,
        _ => return None,
    })
}

/// LVT of a pin: a level interrupt was accepted and has had no EOI.
const LVT_REMOTE_IRR: u32 = 1 << 14;

/// A register by its offset in the page; `None` for one that does not exist (table 11-1).
fn read(apic: &LocalApic, offset: u32) -> Option<u32> {
    let word = |reg: &VectorReg| reg.0[(offset >> 4 & 7) as usize];
    Some(match offset {
        0x20 if apic.mode == ApicMode::X2Apic => apic.initial_id.0,
        0x20 => u32::from(apic.xapic_id) << 24,
        0x30 => VERSION,
        0x80 => u32::from(apic.tpr),
        0xa0 => u32::from(ppr(apic)),
        0xd0 if apic.mode == ApicMode::X2Apic => x2apic_ldr(apic.initial_id),
        0xd0 => apic.ldr,
        0xe0 => apic.dfr,
        0xf0 => apic.svr,
        0x100..=0x170 => word(&apic.isr),
        0x180..=0x1f0 => word(&apic.tmr),
        0x200..=0x270 => word(&apic.irr),
        0x280 => apic.esr,
        0x300 => apic.icr as u32,
        0x310 => (apic.icr >> 32) as u32,
        0x380 => apic.timer_initial,
        0x390 => 0,
        0x3e0 => apic.timer_divide,
        _ => apic.lvt[lvt_at(offset)? as usize],
    })
}

/// Writes a register that both modes have; false for one that is read only or does not exist.
fn write(k: &mut Kernel, cpu: CpuId, offset: u32, value: u32) -> bool {
    match offset {
        0x80 => set_tpr(k, cpu, value as u8),
        0xb0 => eoi(k, cpu),
        0xf0 => set_svr(k, cpu, value),
        // 11.5.3: a write latches what happened since the one before.
        0x280 => {
            let apic = &mut k.hw.lapics[cpu.index()];
            apic.esr = core::mem::take(&mut apic.esr_pending);
        }
        0x380 => k.hw.lapics[cpu.index()].timer_initial = value,
        0x3e0 => k.hw.lapics[cpu.index()].timer_divide = value & 0xb,
        _ => match lvt_at(offset) {
            Some(entry) => set_lvt(k, cpu, entry, value),
            None => return false,
        },
    }
    true
}

/// The register page of xAPIC mode: the offset a physical address has in it. `None` when the
/// address is no register of this APIC, and the access goes to the bus (which reads all ones).
fn offset(apic: &LocalApic, address: u64) -> Option<u32> {
    (apic.mode == ApicMode::XApic && address & !0xfff == apic.base).then_some(address as u32 & 0xfff)
}

/// Reads 32 bits of the register page. An address that is not 16-byte aligned reads zero.
pub fn mmio_read(k: &mut Kernel, cpu: CpuId, address: u64) -> Option<u32> {
    let apic = &k.hw.lapics[cpu.index()];
    let offset = offset(apic, address)?;
    let value = if offset & 0xf == 0 { read(apic, offset) } else { Some(0) };
    if value.is_none() {
        error(k, cpu, ESR_ILLEGAL_REGISTER);
    }
    Some(value.unwrap_or(0))
}

/// Writes 32 bits of the register page; false when the address is no register of this APIC.
pub fn mmio_write(k: &mut Kernel, cpu: CpuId, address: u64, value: u32) -> bool {
    let Some(offset) = offset(&k.hw.lapics[cpu.index()], address) else {
        return false;
    };
    match offset {
        _ if offset & 0xf != 0 => {}
        0x20 => {
            deafen(k, cpu);
            k.hw.lapics[cpu.index()].xapic_id = (value >> 24) as u8;
            listen(k, cpu);
        }
        0xd0 => set_ldr(k, cpu, value),
        0xe0 => set_dfr(k, cpu, value),
        0x300 => {
            let icr = k.hw.lapics[cpu.index()].icr & !0xffff_ffff | u64::from(value);
            icr_write(k, cpu, icr);
        }
        0x310 => {
            let apic = &mut k.hw.lapics[cpu.index()];
            apic.icr = apic.icr & 0xffff_ffff | u64::from(value & 0xff00_0000) << 32;
        }
        _ => {
            // Writing what can only be read is ignored; what is no register is an error.
            let exists = write(k, cpu, offset, value) || read(&k.hw.lapics[cpu.index()], offset).is_some();
            if !exists {
                error(k, cpu, ESR_ILLEGAL_REGISTER);
            }
        }
    }
    true
}

/// Bits of a register that may be written in x2APIC mode; others fault. `None`: read only.
fn x2apic_writable(offset: u32) -> Option<u64> {
    Some(match offset {
        0x80 => 0xff,
        0xb0 | 0x280 => 0,
        0xf0 => 0x13ff,
        // Delivery status, which this mode does not have, may be written and is not kept.
        0x300 => 0xffff_ffff_000c_dfff,
        0x380 => 0xffff_ffff,
        0x3e0 => 0xb,
        0x3f0 => 0xff,
        // Delivery status may be written back as it was read, and so may remote IRR, which only the pins have.
        _ => {
            let entry = lvt_at(offset)?;
            let remote_irr = if matches!(entry, Lvt::Lint0 | Lvt::Lint1) { LVT_REMOTE_IRR } else { 0 };
            u64::from(lvt_writable(entry) | DELIVERY_STATUS | remote_irr)
        }
    })
}

/// Registers that the MSR interface lacks: DFR and the upper half of the ICR (table 11-6).
fn x2apic_offset(msr: u32) -> Option<u32> {
    let offset = msr.checked_sub(0x800)? << 4;
    (offset <= 0x3f0 && offset != 0xe0 && offset != 0x310).then_some(offset)
}

/// Reads an MSR of the local APIC.
///
/// # Errors
/// `GeneralProtection` outside x2APIC mode, for a register that does not exist, and for EOI and
/// SELF IPI, which can only be written.
pub fn rdmsr(k: &Kernel, cpu: CpuId, msr: u32) -> Result<u64, GeneralProtection> {
    let apic = &k.hw.lapics[cpu.index()];
    if msr == IA32_APIC_BASE {
        let mode = match apic.mode {
            ApicMode::Disabled => 0,
            ApicMode::XApic => BASE_EN,
            ApicMode::X2Apic => BASE_EN | BASE_EXTD,
        };
        return Ok(apic.base | mode | if apic.bsp { BASE_BSP } else { 0 });
    }
    if apic.mode != ApicMode::X2Apic {
        return Err(GeneralProtection);
    }
    let offset = x2apic_offset(msr).ok_or(GeneralProtection)?;
    if offset == 0x300 {
        return Ok(apic.icr);
    }
    read(apic, offset).map(u64::from).ok_or(GeneralProtection)
}

/// Writes an MSR of the local APIC.
///
/// # Errors
/// `GeneralProtection` outside x2APIC mode, for a register that does not exist or can only be read,
/// for reserved bits, and for transitions of the mode that 11.12.5 forbids.
pub fn wrmsr(k: &mut Kernel, cpu: CpuId, msr: u32, value: u64) -> Result<(), GeneralProtection> {
    if msr == IA32_APIC_BASE {
        return set_base(k, cpu, value);
    }
    if k.hw.lapics[cpu.index()].mode != ApicMode::X2Apic {
        return Err(GeneralProtection);
    }
    let offset = x2apic_offset(msr).ok_or(GeneralProtection)?;
    let writable = x2apic_writable(offset).ok_or(GeneralProtection)?;
    if value & !writable != 0 {
        return Err(GeneralProtection);
    }
    match offset {
        0x300 => icr_write(k, cpu, value),
        0x3f0 => send_self_ipi(k, cpu, value as u8),
        _ => {
            write(k, cpu, offset, value as u32);
        }
    }
    Ok(())
}

/// IA32_APIC_BASE (11.4.4, 11.12.1, 11.12.5).
fn set_base(k: &mut Kernel, cpu: CpuId, value: u64) -> Result<(), GeneralProtection> {
    let reserved = 0x2ff | !((1u64 << MAXPHYADDR) - 1);
    let mode = match (value & BASE_EN != 0, value & BASE_EXTD != 0) {
        (false, false) => ApicMode::Disabled,
        (true, false) => ApicMode::XApic,
        (true, true) => ApicMode::X2Apic,
        (false, true) => return Err(GeneralProtection),
    };
    let old = k.hw.lapics[cpu.index()].mode;
    let forbidden =
        matches!((old, mode), (ApicMode::X2Apic, ApicMode::XApic) | (ApicMode::Disabled, ApicMode::X2Apic));
    if value & reserved != 0 || forbidden {
        return Err(GeneralProtection);
    }
    deafen(k, cpu);
    let apic = &mut k.hw.lapics[cpu.index()];
    apic.base = value & !0xfff;
    // Software may write it like the rest of the register, and it stays as written.
    apic.bsp = value & BASE_BSP != 0;
    apic.mode = mode;
    if old == ApicMode::Disabled && mode == ApicMode::XApic {
        // Coming back from disabled is like power-on (11.4.3), but the task priority is CR8's.
        let LocalApic { base, bsp, tpr, initial_id, .. } = *apic;
        *apic = LocalApic { base, bsp, tpr, ..LocalApic::new(initial_id) };
        k.hw(|_| Hardware::LapicReset { cpu });
    }
    listen(k, cpu);
    update(k, cpu);
    Ok(())
}

/// `CPUID.1:EDX[9]`: there is an APIC, unless it is globally disabled (11.4.3).
pub fn cpuid_apic(k: &Kernel, cpu: CpuId) -> bool {
    k.hw.lapics[cpu.index()].mode != ApicMode::Disabled
}
