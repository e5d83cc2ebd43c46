//! arch/x86/kernel/apic: vectors, local APIC driver state, IO-APIC pins.

use core::fmt;
use core::ops::Deref;
use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::copied::clone_by_field;
use crate::matrix::VectorMap;
use crate::shared::Shared;
use crate::sorted::SortedMap;
use crate::{ChipId, CpuId, DomainId, Irq};

/// Number of vectors of a CPU.
pub const NR_VECTORS: u32 = 256;
/// The lowest vector that is no exception.
pub const FIRST_EXTERNAL_VECTOR: u32 = 0x20;
/// Moves old vectors out of use (5.4).
pub const IRQ_MOVE_CLEANUP_VECTOR: u32 = FIRST_EXTERNAL_VECTOR;
/// Stands for "no vector" in the message of an interrupt that is shut down.
pub const MANAGED_IRQ_SHUTDOWN_VECTOR: u32 = 0xef;
/// The local APIC timer.
pub const LOCAL_TIMER_VECTOR: u32 = 0xec;
/// The local APIC's spurious interrupt.
pub const SPURIOUS_APIC_VECTOR: u32 = 0xff;
/// The local APIC's error interrupt.
pub const ERROR_APIC_VECTOR: u32 = 0xfe;
/// Input of the master 8259 that the slave hangs on.
pub const PIC_CASCADE_IR: u32 = 2;
/// Interrupts of the 8259 pair.
pub const NR_IRQS_LEGACY: u32 = 16;

/// The vector an ISA interrupt has while the 8259 delivers it.
#[doc(alias = "ISA_IRQ_VECTOR")]
pub const fn isa_irq_vector(irq: u32) -> u32 {
    ((FIRST_EXTERNAL_VECTOR + 16) & !15) + irq
}

/// `struct irq_cfg`: what the hardware was told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqCfg {
    /// Destination, as the APIC driver encodes it.
    pub dest_apicid: u32,
    /// Vector.
    pub vector: u32,
}

/// An [`IrqCfg`] as [`ApicChipData`] holds it: everybody reads it, and `apic_update_irq_cfg()` alone writes it.
/// clippy.toml names [`HwIrqCfg::set`], so that a second caller does not pass the checks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct HwIrqCfg(IrqCfg);

impl HwIrqCfg {
    /// Decides what the hardware will be told.
    pub fn set(&mut self, cfg: IrqCfg) {
        self.0 = cfg;
    }
}

impl Deref for HwIrqCfg {
    type Target = IrqCfg;

    fn deref(&self) -> &IrqCfg {
        &self.0
    }
}

impl fmt::Debug for HwIrqCfg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `struct apic_chip_data`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ApicChipData {
    /// What the hardware was told.
    pub hw_irq_cfg: HwIrqCfg,
    /// The vector, 0 for none.
    pub vector: u32,
    /// The vector before the last move, 0 for none.
    pub prev_vector: u32,
    /// CPU of the vector.
    pub cpu: CpuId,
    /// CPU of the vector before.
    pub prev_cpu: CpuId,
    /// The interrupt.
    pub irq: Irq,
    /// Queued on a cleanup list (`!hlist_unhashed(&apicd->clist)`).
    pub clist: bool,
    /// No interrupt has come on the new vector yet.
    pub move_in_progress: bool,
    /// The kernel manages the affinity.
    pub is_managed: bool,
    /// A reservation stands in for a vector while inactive.
    pub can_reserve: bool,
    /// It does right now.
    pub has_reserved: bool,
}

/// A slot of `vector_irq`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum VectorIrq {
    /// `VECTOR_UNUSED`.
    #[default]
    Unused,
    /// `VECTOR_SHUTDOWN`: one interrupt may still be in flight.
    Shutdown,
    /// `VECTOR_RETRIGGERED`: the interrupt was sent on to another CPU.
    Retriggered,
    /// A descriptor.
    Desc(Irq),
}

impl crate::sched::Slot for VectorIrq {
    fn to_slot(self) -> u64 {
        match self {
            Self::Unused => 0,
            Self::Shutdown => 1,
            Self::Retriggered => 2,
            Self::Desc(irq) => 3 + u64::from(irq.0),
        }
    }
    fn from_slot(slot: u64) -> Self {
        match slot {
            0 => Self::Unused,
            1 => Self::Shutdown,
            2 => Self::Retriggered,
            irq => Self::Desc(Irq((irq - 3) as u32)),
        }
    }
}

/// `vector_irq` of one CPU: the slots in use, in order, behind a map that says which they are. A CPU
/// of a large machine uses few of its vectors.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VectorTable {
    used: VectorMap,
    slots: SmallVec<[VectorIrq; 6]>,
}

impl VectorTable {
    /// The slot of a vector.
    pub fn get(&self, vector: u32) -> VectorIrq {
        let slot = self.used.position(vector).and_then(|at| self.slots.get(at));
        slot.copied().unwrap_or_default()
    }

    /// Writes the slot of a vector below [`NR_VECTORS`].
    pub fn set(&mut self, vector: u32, slot: VectorIrq) {
        let at = self.used.rank(vector);
        match (self.used.test(vector), slot) {
            (false, VectorIrq::Unused) => {}
            (true, VectorIrq::Unused) => {
                self.used.clear(vector);
                self.slots.remove(at);
            }
            (true, _) => self.slots[at] = slot,
            (false, _) => {
                self.used.set(vector);
                self.slots.insert(at, slot);
            }
        }
    }

    /// The slots in use, lowest vector first.
    pub fn iter(&self) -> impl Iterator<Item = (u32, VectorIrq)> + '_ {
        self.used.iter().zip(self.slots.iter().copied())
    }

    /// The first slot in use from `vector` on.
    pub fn next_from(&self, vector: u32) -> Option<(u32, VectorIrq)> {
        let next = self.used.next_from(vector)?;
        Some((next, self.get(next)))
    }
}

/// `irq_cpustat_t`: the counters behind the lower half of /proc/interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the C structure's own, documented in asm/hardirq.h")]
pub struct IrqCpustat {
    pub nmi_count: u32,
    pub apic_timer_irqs: u32,
    pub irq_spurious_count: u32,
    pub apic_perf_irqs: u32,
    pub apic_irq_work_irqs: u32,
    pub icr_read_retry_count: u32,
    pub irq_resched_count: u32,
    pub irq_call_count: u32,
    pub irq_tlb_count: u32,
    pub irq_thermal_count: u32,
    pub kvm_posted_intr_ipis: u32,
    pub kvm_posted_intr_nested_ipis: u32,
    pub kvm_posted_intr_wakeup_ipis: u32,
    /// Interrupts that the local APIC reported as erroneous. Before 7.2 all CPUs have one counter, which
    /// shows the sum.
    pub irq_err_count: u32,
    /// Level interrupts that came as edges. Before 7.2 all CPUs have one counter.
    pub irq_mis_count: u32,
}

/// The per-CPU variables of vector.c and irq.c.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ApicCpu {
    /// `vector_irq`: slots that are not [`VectorIrq::Unused`].
    pub vector_irq: VectorTable,
    /// `cleanup_list` (5.4) or `vector_cleanup.head` (6.12), first entry first.
    pub cleanup_list: Vec<Irq>,
    /// `timer_pending(&vector_cleanup.timer)` (6.12).
    pub cleanup_timer_pending: bool,
    /// Vectors that were allocated when this CPU came online: their interrupts stayed behind when it went, and
    /// lapic_online() has emptied their slots. The kernel has no such list.
    pub left_behind: VectorMap,
    /// Vector of the interrupt being handled (`get_irq_regs()->orig_ax`).
    pub irq_regs_vector: Option<u32>,
    /// Counters.
    pub irq_stat: IrqCpustat,
}

/// A pin of the IO-APIC (`struct irq_pin_list`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqPin {
    /// Index of the IO-APIC.
    pub apic: u32,
    /// The pin.
    pub pin: u32,
}

/// `struct IO_APIC_route_entry`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct IoApicRouteEntry {
    /// Bits 0-7.
    pub vector: u8,
    /// Bits 8-10; 0 is fixed, 7 is ExtINT.
    pub delivery_mode: u8,
    /// Bit 11; bit 15 of the index when remapped.
    pub dest_mode_logical: bool,
    /// Bit 13.
    pub active_low: bool,
    /// Bit 14: remote IRR.
    pub irr: bool,
    /// Bit 15.
    pub is_level: bool,
    /// Bit 16.
    pub masked: bool,
    /// Bits 32-63: the destination in 56-63, or the remapping format bit in 48 and the index in
    /// 49-63.
    pub w2: u32,
}

impl IoApicRouteEntry {
    /// The low register.
    pub const fn w1(self) -> u32 {
        self.vector as u32
            | (self.delivery_mode as u32) << 8
            | (self.dest_mode_logical as u32) << 11
            | (self.active_low as u32) << 13
            | (self.irr as u32) << 14
            | (self.is_level as u32) << 15
            | (self.masked as u32) << 16
    }

    /// The entry these two registers hold.
    pub const fn from_words(w1: u32, w2: u32) -> Self {
        Self {
            vector: w1 as u8,
            delivery_mode: (w1 >> 8 & 7) as u8,
            dest_mode_logical: w1 >> 11 & 1 != 0,
            active_low: w1 >> 13 & 1 != 0,
            irr: w1 >> 14 & 1 != 0,
            is_level: w1 >> 15 & 1 != 0,
            masked: w1 >> 16 & 1 != 0,
            w2,
        }
    }

    /// Sets the destination of an entry that is not remapped.
    pub const fn set_dest(&mut self, apicid: u32) {
        self.w2 = apicid << 24;
    }
}

/// `struct mp_chip_data`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MpChipData {
    /// Pins of the interrupt.
    pub irq_2_pin: SmallVec<[IrqPin; 2]>,
    /// What the redirection entry holds.
    pub entry: IoApicRouteEntry,
    /// Level triggered (`trigger` in 5.4).
    pub is_level: bool,
    /// Active low (`polarity` in 5.4).
    pub active_low: bool,
    /// An ISA interrupt: never unmapped.
    pub isa_irq: bool,
    /// Users.
    pub count: u32,
}

/// `struct mpc_intsrc`: which bus interrupt sits on which pin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MpcIntsrc {
    /// ISA interrupt.
    pub srcbusirq: u32,
    /// The pin.
    pub dstirq: u32,
    /// Trigger and polarity: `None` conforms to the bus.
    pub level_low: Option<(bool, bool)>,
}

/// The APIC drivers (`struct apic`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ApicDriver {
    /// `apic_flat`: logical destinations, one bit per CPU, at most 8 CPUs (5.4).
    #[default]
    Flat,
    /// `apic_physflat`: physical destinations.
    Physflat,
    /// `apic_x2apic_phys`: physical destinations of 32 bits.
    X2apicPhys,
}

impl ApicDriver {
    /// `irq_dest_mode` (5.4), `dest_mode_logical` (6.12).
    pub fn dest_mode_logical(self) -> bool {
        match self {
            ApicDriver::Flat => true,
            ApicDriver::Physflat | ApicDriver::X2apicPhys => false,
        }
    }
}

/// The chips this directory owns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the C structures' own names")]
pub struct ApicChips {
    pub lapic_controller: ChipId,
    pub pci_msi_controller: ChipId,
    pub pci_msi_ir_controller: ChipId,
    pub dmar_msi_controller: ChipId,
    pub ioapic_chip: ChipId,
    pub ioapic_ir_chip: ChipId,
    pub i8259a_chip: ChipId,
}

/// arch/x86/kernel/apic: vectors, local APIC driver state, IO-APIC pins.
#[derive(PartialEq, Eq, Hash, Debug, Default)]
pub struct Apic {
    /// The root of all interrupt hierarchies.
    pub x86_vector_domain: DomainId,
    /// The PCI/MSI domain of all devices (5.4).
    pub msi_default_domain: Option<DomainId>,
    /// Parent of the devices' MSI domains (6.12).
    pub x86_pci_msi_default_domain: Option<DomainId>,
    /// The domain of the IOMMU's own interrupts.
    pub dmar_domain: Option<DomainId>,
    /// `ioapics[0].irqdomain`.
    pub ioapic_domain: Option<DomainId>,
    /// Chips.
    pub chips: ApicChips,
    /// `struct apic_chip_data` by interrupt number.
    pub chip_data: Vec<Option<ApicChipData>>,
    /// `struct mp_chip_data` by interrupt number.
    pub mp_chip_data: Shared<SortedMap<Irq, MpChipData>>,
    /// Per-CPU variables.
    pub cpus: Vec<ApicCpu>,
    /// `apic`: the driver in use.
    pub driver: ApicDriver,
    /// `x2apic_mode`: the local APICs of this machine run in x2APIC mode.
    pub x2apic_mode: bool,
    /// `disable_apic` (5.4), `apic_is_disabled` (6.12): `nolapic`.
    pub apic_is_disabled: bool,
    /// `acpi_ioapic`: interrupts of pins come from the IO-APIC.
    pub acpi_ioapic: bool,
    /// `skip_ioapic_setup` (5.4), `ioapic_is_disabled` (6.12): `noapic`.
    pub ioapic_is_disabled: bool,
    /// Bit per interrupt number: routed through the IO-APIC.
    pub io_apic_irqs: u64,
    /// `vector_lock`: the CPU that has taken it with `lock_vector_lock()`.
    // DEVIATION: most functions that take vector_lock let nothing else happen before they drop it, and do
    // not write it down.
    pub vector_lock: Option<CpuId>,
    /// `system_vectors`, 64 vectors a word.
    pub system_vectors: [u64; 4],
    /// What the firmware's MADT says about ISA interrupts beyond what every machine of the chipset has.
    pub madt_overrides: Vec<MpcIntsrc>,
    /// `mp_irqs`.
    pub mp_irqs: Shared<Vec<MpcIntsrc>>,
    /// `ioapics[0].nr_registers`.
    pub nr_ioapic_pins: u32,
    /// Pins of the IO-APICs behind the first one.
    pub more_gsis: u32,
    /// `gsi_top`.
    pub gsi_top: u32,
    /// The lowest number a dynamic interrupt gets.
    pub ioapic_dynirq_base: u32,
    /// `setup_IO_APIC()` is done.
    pub ioapic_initialized: bool,
    /// Mask bits of the 8259 pair, as they will be written.
    pub cached_irq_mask: u16,
    /// While a machine boots: where its file says that an interrupt stands afterwards, CPU and vector by number.
    pub boot_placement: BTreeMap<u32, (CpuId, u32)>,
    /// `boot_placement` still counts.
    pub booting: bool,
}

clone_by_field! {
    Apic { x86_vector_domain, msi_default_domain, x86_pci_msi_default_domain, dmar_domain, ioapic_domain, chips, chip_data, mp_chip_data, cpus, driver, x2apic_mode, apic_is_disabled, acpi_ioapic, ioapic_is_disabled, io_apic_irqs, vector_lock, system_vectors, madt_overrides, mp_irqs, nr_ioapic_pins, more_gsis, gsi_top, ioapic_dynirq_base, ioapic_initialized, cached_irq_mask, boot_placement, booting }
}

impl Apic {
    /// What a counter of all CPUs comes to, of those that are offline as well.
    pub fn irq_stat_sum(&self, count: fn(&IrqCpustat) -> u32) -> u32 {
        self.cpus.iter().fold(0, |sum, cpu| sum.wrapping_add(count(&cpu.irq_stat)))
    }

    /// The chip data of an interrupt (`apic_chip_data`, which walks to the last level).
    #[inline]
    pub fn apicd(&self, irq: Irq) -> Option<&ApicChipData> {
        self.chip_data.get(irq.index())?.as_ref()
    }

    /// The chip data, mutably; it must exist.
    #[inline]
    pub fn apicd_mut(&mut self, irq: Irq) -> &mut ApicChipData {
        self.chip_data[irq.index()].as_mut().expect("an interrupt without a vector's chip data")
    }

    /// The chip data of an interrupt of the IO-APIC; it must exist.
    pub fn mp_chip_data_mut(&mut self, irq: Irq) -> &mut MpChipData {
        self.mp_chip_data.get_mut(&irq).expect("an interrupt of the IO-APIC has chip data")
    }

    /// The per-CPU variables, which appear with the first use of a CPU.
    #[inline]
    pub fn cpu_mut(&mut self, cpu: CpuId) -> &mut ApicCpu {
        if cpu.index() >= self.cpus.len() {
            self.cpus.resize_with(cpu.index() + 1, ApicCpu::default);
        }
        &mut self.cpus[cpu.index()]
    }

    /// `per_cpu(vector_irq, cpu)[vector]`.
    #[inline]
    pub fn vector_irq(&self, cpu: CpuId, vector: u32) -> VectorIrq {
        self.cpus.get(cpu.index()).map_or(VectorIrq::Unused, |c| c.vector_irq.get(vector))
    }

    /// Writes `per_cpu(vector_irq, cpu)[vector]`.
    #[inline]
    pub fn set_vector_irq(&mut self, cpu: CpuId, vector: u32, slot: VectorIrq) {
        self.cpu_mut(cpu).vector_irq.set(vector, slot);
    }

    /// `test_bit(vector, system_vectors)`.
    pub fn is_system_vector(&self, vector: u32) -> bool {
        self.system_vectors[(vector / 64) as usize] >> (vector % 64) & 1 != 0
    }
}
