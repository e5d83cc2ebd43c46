//! Local APIC registers (Intel SDM volume 3, chapter 11 "Advanced Programmable Interrupt
//! Controller").

use core::fmt;

use crate::cpumask::Bits;
use crate::names::{self, Hex};
use crate::{ApicId, CpuId, CpuMask};

/// Delivery mode, as in the ICR, redirection entries, MSI data and remapping entries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DeliveryMode {
    /// To all destinations.
    Fixed,
    /// To the one of them that runs at the lowest priority.
    LowestPriority,
    /// System management interrupt.
    Smi,
    /// Non-maskable interrupt.
    Nmi,
    /// INIT.
    Init,
    /// Start-up.
    StartUp,
    /// From an 8259.
    ExtInt,
}

impl DeliveryMode {
    /// From the three bits; `None` for the reserved value.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        Some(match bits & 7 {
            0 => Self::Fixed,
            1 => Self::LowestPriority,
            2 => Self::Smi,
            4 => Self::Nmi,
            5 => Self::Init,
            6 => Self::StartUp,
            7 => Self::ExtInt,
            _ => return None,
        })
    }

    /// With the redirection hint a fixed interrupt goes to one of a logical group (11.11.1).
    pub const fn hinted(self, hint: bool) -> Self {
        if hint && matches!(self, Self::Fixed) { Self::LowestPriority } else { self }
    }

    /// Its name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::LowestPriority => "lowest_priority",
            Self::Smi => "smi",
            Self::Nmi => "nmi",
            Self::Init => "init",
            Self::StartUp => "start_up",
            Self::ExtInt => "extint",
        }
    }
}

/// One of the 256-bit registers IRR, ISR and TMR (11.8.4): word `v / 32`, bit `v % 32`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct VectorReg(pub [u32; 8]);

/// The vectors that are set.
impl fmt::Debug for VectorReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        names::list(f, self.iter().map(u32::from))
    }
}

impl VectorReg {
    /// Sets a vector's bit.
    #[inline]
    pub fn set(&mut self, vector: u8) {
        self.0[usize::from(vector >> 5)] |= 1 << (vector & 31);
    }
    /// Clears a vector's bit.
    #[inline]
    pub fn clear(&mut self, vector: u8) {
        self.0[usize::from(vector >> 5)] &= !(1 << (vector & 31));
    }
    /// A vector's bit.
    #[inline]
    pub fn test(&self, vector: u8) -> bool {
        self.0[usize::from(vector >> 5)] >> (vector & 31) & 1 != 0
    }
    /// The vector of the highest set bit, which has the highest priority.
    #[inline]
    pub fn highest(&self) -> Option<u8> {
        let [a, b, c, d, e, f, g, h] = self.0;
        let pair = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let (upper, lower) = ((pair(e, f), pair(g, h)), (pair(a, b), pair(c, d)));
        // Nothing at all is the most frequent answer.
        if upper.0 | upper.1 | lower.0 | lower.1 == 0 {
            return None;
        }
        let (word, first) = match (upper, lower) {
            ((_, word @ 1..), _) => (word, 192),
            ((word @ 1.., _), _) => (word, 128),
            (_, (_, word @ 1..)) => (word, 64),
            (_, (word, _)) => (word, 0),
        };
        Some(first + (63 - word.leading_zeros() as u8))
    }
    /// All vectors set, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..8u8).flat_map(|i| Bits(u64::from(self.0[usize::from(i)])).map(move |b| i * 32 + b as u8))
    }
}

/// Mode of operation (11.12.1, table 11-5): bits EN and EXTD of IA32_APIC_BASE.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ApicMode {
    /// EN is clear.
    Disabled,
    /// EN is set: registers in memory, 8-bit ids.
    #[default]
    XApic,
    /// EN and EXTD are set: registers are MSRs, 32-bit ids.
    X2Apic,
}

impl fmt::Debug for ApicMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "disabled",
            Self::XApic => "xAPIC",
            Self::X2Apic => "x2APIC",
        })
    }
}

/// The local vector table's entries, in the order of [`LocalApic::lvt`] (11.5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lvt {
    /// Corrected machine checks, offset 2F0H.
    Cmci,
    /// Timer, 320H.
    Timer,
    /// Thermal sensor, 330H.
    Thermal,
    /// Performance counters, 340H.
    Perf,
    /// LINT0, 350H.
    Lint0,
    /// LINT1, 360H.
    Lint1,
    /// Error, 370H.
    Error,
}

impl Lvt {
    /// All entries, in register order.
    pub const ALL: [Self; 7] =
        [Self::Cmci, Self::Timer, Self::Thermal, Self::Perf, Self::Lint0, Self::Lint1, Self::Error];
}

/// Mask bit of an LVT entry.
pub const LVT_MASK: u32 = 1 << 16;
/// Delivery status bit of an LVT entry and of the ICR: read only.
pub const DELIVERY_STATUS: u32 = 1 << 12;
/// APIC software enable, bit 8 of the spurious-interrupt vector register.
pub const SVR_ENABLE: u32 = 1 << 8;
/// Suppresses EOI broadcasts, bit 12 of the spurious-interrupt vector register.
pub const SVR_SUPPRESS_EOI_BROADCAST: u32 = 1 << 12;
/// ESR: the local APIC was told to send a vector below 16.
pub const ESR_SEND_ILLEGAL_VECTOR: u32 = 1 << 5;
/// ESR: a vector below 16 arrived, or stands in an LVT entry that fired.
pub const ESR_RECEIVE_ILLEGAL_VECTOR: u32 = 1 << 6;
/// ESR: a register that is none was accessed.
pub const ESR_ILLEGAL_REGISTER: u32 = 1 << 7;
/// DFR of the flat model (11.6.2.2).
pub const DFR_FLAT: u32 = 0xffff_ffff;
/// DFR of the cluster model.
pub const DFR_CLUSTER: u32 = 0x0fff_ffff;
/// IA32_APIC_BASE after power-on, without EN and BSP.
pub const DEFAULT_BASE: u64 = 0xfee0_0000;

/// A local APIC. The initial state is that of [`LocalApic::new`].
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct LocalApic {
    /// The id it woke up with: the x2APIC id, and its low byte the xAPIC id.
    pub initial_id: ApicId,
    /// Mode of operation.
    pub mode: ApicMode,
    /// Physical address of the register page.
    pub base: u64,
    /// IA32_APIC_BASE: this is the bootstrap processor's.
    pub bsp: bool,
    /// Local APIC ID register in xAPIC mode (bits 31:24), 20H.
    pub xapic_id: u8,
    /// Task-priority register, 80H. CR8 is its upper half.
    pub tpr: u8,
    /// Logical destination register in xAPIC mode, D0H.
    pub ldr: u32,
    /// Destination format register, E0H.
    pub dfr: u32,
    /// Spurious-interrupt vector register, F0H.
    pub svr: u32,
    /// In-service register, 100H-170H.
    pub isr: VectorReg,
    /// Trigger mode register, 180H-1F0H: set for level.
    pub tmr: VectorReg,
    /// Interrupt request register, 200H-270H.
    pub irr: VectorReg,
    /// Error status register as software reads it, 280H.
    pub esr: u32,
    /// Errors since the ESR was last written.
    pub esr_pending: u32,
    /// Interrupt command register, 300H and 310H.
    pub icr: u64,
    /// Local vector table, by [`Lvt`].
    pub lvt: [u32; 7],
    /// Timer initial count, 380H.
    pub timer_initial: u32,
    /// Timer divide configuration, 3E0H.
    pub timer_divide: u32,
    /// NMIs that arrived and were not taken yet.
    pub nmis: u32,
    /// An INIT arrived.
    pub init: bool,
    /// A start-up IPI arrived, with this vector.
    pub startup: Option<u8>,
}

/// Registers in hexadecimal.
impl fmt::Debug for LocalApic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            initial_id,
            mode,
            base,
            bsp,
            xapic_id,
            tpr,
            ldr,
            dfr,
            svr,
            isr,
            tmr,
            irr,
            esr,
            esr_pending,
            icr,
            lvt,
            timer_initial,
            timer_divide,
            nmis,
            init,
            startup,
        } = self;
        let hex = |value: u32| Hex(value.into());
        f.debug_struct("LocalApic")
            .field("initial_id", initial_id)
            .field("mode", mode)
            .field("base", &Hex(*base))
            .field("bsp", bsp)
            .field("xapic_id", xapic_id)
            .field("tpr", &hex((*tpr).into()))
            .field("ldr", &hex(*ldr))
            .field("dfr", &hex(*dfr))
            .field("svr", &hex(*svr))
            .field("isr", isr)
            .field("tmr", tmr)
            .field("irr", irr)
            .field("esr", &hex(*esr))
            .field("esr_pending", &hex(*esr_pending))
            .field("icr", &Hex(*icr))
            .field("lvt", &lvt.map(hex))
            .field("timer_initial", timer_initial)
            .field("timer_divide", &hex(*timer_divide))
            .field("nmis", nmis)
            .field("init", init)
            .field("startup", startup)
            .finish()
    }
}

impl LocalApic {
    /// After power-on or INIT, globally enabled in xAPIC mode (11.4.7.1): software-disabled, all
    /// LVT entries masked.
    pub fn new(initial_id: ApicId) -> Self {
        Self {
            initial_id,
            mode: ApicMode::XApic,
            base: DEFAULT_BASE,
            bsp: false,
            xapic_id: initial_id.0 as u8,
            tpr: 0,
            ldr: 0,
            dfr: DFR_FLAT,
            svr: 0xff,
            isr: VectorReg::default(),
            tmr: VectorReg::default(),
            irr: VectorReg::default(),
            esr: 0,
            esr_pending: 0,
            icr: 0,
            lvt: [LVT_MASK; 7],
            timer_initial: 0,
            timer_divide: 0,
            nmis: 0,
            init: false,
            startup: None,
        }
    }

    /// Globally enabled, and enabled by software (11.4.7.2).
    #[inline]
    pub fn enabled(&self) -> bool {
        self.mode != ApicMode::Disabled && self.svr & SVR_ENABLE != 0
    }
}

/// Who listens to which destination: what the bus would find out by asking every local APIC.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct DestinationMap {
    /// By physical id: one more than the CPU's number, 0 for nobody.
    pub physical: Vec<u32>,
    /// xAPIC CPUs in the flat model, by bit of their LDR.
    pub flat: [CpuMask; 8],
    /// xAPIC CPUs in the cluster model, by cluster.
    pub cluster: [CpuMask; 16],
    /// CPUs whose APIC is not globally disabled: who a broadcast reaches.
    pub enabled: CpuMask,
    /// CPUs in x2APIC mode.
    pub x2apic: CpuMask,
}

impl DestinationMap {
    /// The CPU with this physical id.
    pub fn cpu_of(&self, id: ApicId) -> Option<CpuId> {
        self.physical.get(id.index())?.checked_sub(1).map(CpuId)
    }
}
