//! The local APIC drivers and what the kernel does with a local APIC.
//!
//! Follows arch/x86/kernel/apic/apic.c, apic_flat_64.c, apic_common.c and ipi.c of 5.4 and 6.12.

#![expect(non_snake_case, reason = "the names of the C functions")]

use kfn::kfn;
use kstate::apic::{ApicDriver, IrqCfg, SPURIOUS_APIC_VECTOR};
use kstate::hw::lapic::{DFR_FLAT, LVT_MASK, Lvt};
use kstate::kstrtox::get_option;
use kstate::msi::MsiMsg;
use kstate::{CpuId, CpuMask, Errno, Kernel};

use super::irq::{inc_irq_stat, irq_stat};
use crate::hw::lapic;

/// Delivery mode ExtINT of an LVT entry.
const APIC_DM_EXTINT: u32 = 0x700;
/// Delivery mode NMI of an LVT entry.
const APIC_DM_NMI: u32 = 0x400;
/// Logical destination mode of the ICR.
const APIC_DEST_LOGICAL: u64 = 0x800;
/// Task priority that keeps the vectors of exceptions out.
const TASKPRI: u8 = 0x10;

/// How the flat driver names a CPU in a message (`calc_dest_apicid()`).
pub fn apic_flat_calc_apicid(cpu: CpuId) -> u32 {
    1 << cpu.0
}

/// How the physical drivers name a CPU in a message (`calc_dest_apicid()`).
pub fn apic_default_calc_apicid(k: &Kernel, cpu: CpuId) -> u32 {
    k.topo.cpus[cpu.index()].apic_id.0
}

/// `physflat_probe()`: the flat model has eight bits, for CPUs that may ever exist.
#[kfn("arch/x86/kernel/apic/apic_flat_64.c")]
fn physflat_probe(k: &mut Kernel) -> bool {
    !k.sem.flat_apic || k.topo.possible.weight() > 8
}

/// `x2apic_phys_probe()`.
// DEVIATION: the firmware of these machines asks for physical destinations (ACPI_FADT_APIC_PHYSICAL),
// so that the driver for clusters of logical ones is never chosen.
#[kfn("arch/x86/kernel/apic/x2apic_phys.c")]
fn x2apic_phys_probe(k: &mut Kernel) -> bool {
    k.apic.x2apic_mode
}

/// Switches this CPU's local APIC to x2APIC mode, where the machine runs in it
/// (`__x2apic_enable()`).
#[kfn("arch/x86/kernel/apic/apic.c")]
pub fn x2apic_setup(k: &mut Kernel) {
    let cpu = k.cpu();
    if !k.apic.x2apic_mode {
        return;
    }
    // Reading the register that says so works in every mode.
    let base = lapic::rdmsr(k, cpu, lapic::IA32_APIC_BASE).unwrap_or_default();
    let enabled = base | lapic::BASE_EN | lapic::BASE_EXTD;
    if base != enabled {
        // An APIC without x2APIC mode refuses, and stays as it is.
        let _ = lapic::wrmsr(k, cpu, lapic::IA32_APIC_BASE, enabled);
    }
}

/// Switches the boot CPU to x2APIC mode, and with it the machine.
#[kfn("arch/x86/kernel/apic/apic.c")]
pub(crate) fn x2apic_enable(k: &mut Kernel) {
    k.apic.x2apic_mode = true;
    k.log.push("x2apic enabled".to_owned());
    x2apic_setup(k);
}

/// Chooses the APIC driver; interrupt remapping has to be known first.
#[kfn("arch/x86/kernel/apic/probe_64.c")]
pub fn default_setup_apic_routing(k: &mut Kernel) {
    super::boot::enable_IR_x2apic(k);
    let driver = if x2apic_phys_probe(k) {
        ApicDriver::X2apicPhys
    } else if physflat_probe(k) {
        ApicDriver::Physflat
    } else {
        ApicDriver::Flat
    };
    if core::mem::replace(&mut k.apic.driver, driver) != driver {
        let name = if driver == ApicDriver::X2apicPhys { "physical x2apic" } else { "physical flat" };
        k.log.push(if k.sem.apic_install_driver {
            format!("APIC: Switched APIC routing to: {name}")
        } else {
            format!("Switched APIC routing to {name}.")
        });
    }
}

/// Gives this CPU its bit of the flat model.
#[kfn("arch/x86/kernel/apic/apic_flat_64.c")]
pub fn flat_init_apic_ldr(k: &mut Kernel) {
    let cpu = k.cpu();
    lapic::set_dfr(k, cpu, DFR_FLAT);
    lapic::set_ldr(k, cpu, 1 << (24 + cpu.0 % 8));
}

/// Physical destinations need no logical ones. 6.12 has no function for it.
#[kfn("arch/x86/kernel/apic/apic_flat_64.c")]
fn physflat_init_apic_ldr(k: &mut Kernel) {}

/// An x2APIC derives its logical id itself. 6.12 has no function for it.
#[kfn("arch/x86/kernel/apic/x2apic_phys.c")]
fn init_x2apic_ldr(k: &mut Kernel) {}

/// `apic->init_apic_ldr()`.
fn init_apic_ldr(k: &mut Kernel) {
    match k.apic.driver {
        ApicDriver::Flat => flat_init_apic_ldr(k),
        ApicDriver::Physflat if k.sem.flat_apic => physflat_init_apic_ldr(k),
        ApicDriver::X2apicPhys if k.sem.flat_apic => init_x2apic_ldr(k),
        ApicDriver::Physflat | ApicDriver::X2apicPhys => {}
    }
}

/// Sends a vector to the CPUs whose bits are set.
#[kfn("arch/x86/kernel/apic/apic_flat_64.c")]
fn _flat_send_IPI_mask(k: &mut Kernel, mask: u64, vector: u32) {
    let cpu = k.cpu();
    lapic::icr_write(k, cpu, mask << 56 | APIC_DEST_LOGICAL | u64::from(vector));
}

/// Sends a vector to a set of CPUs.
#[kfn("arch/x86/kernel/apic/apic_flat_64.c")]
fn flat_send_IPI_mask(k: &mut Kernel, cpumask: &CpuMask, vector: u32) {
    let mask = cpumask.low_word();
    _flat_send_IPI_mask(k, mask, vector);
}

/// `apic->send_IPI()`: sends a vector to one CPU.
pub fn __apic_send_IPI(k: &mut Kernel, cpu: CpuId, vector: u32) {
    match k.apic.driver {
        ApicDriver::Flat => flat_send_IPI_mask(k, &CpuMask::of(cpu), vector),
        ApicDriver::Physflat | ApicDriver::X2apicPhys => {
            let dest = k.topo.cpus[cpu.index()].apic_id;
            let from = k.cpu();
            lapic::send_ipi(k, from, dest, vector as u8);
        }
    }
}

/// `apic->send_IPI_self()`.
pub fn __apic_send_IPI_self(k: &mut Kernel, vector: u32) {
    let cpu = k.cpu();
    lapic::send_self_ipi(k, cpu, vector as u8);
}

/// Ends the interrupt with the highest priority (5.4's name; `apic_eoi()` in 6.12).
pub fn ack_APIC_irq(k: &mut Kernel) {
    let cpu = k.cpu();
    lapic::eoi(k, cpu);
}

/// `lapic_vector_set_in_irr()`: this CPU's APIC holds the vector but has not delivered it.
pub fn lapic_vector_set_in_irr(k: &Kernel, vector: u32) -> bool {
    lapic::irr_set(k, k.cpu(), vector as u8)
}

/// `is_vector_pending()`; posted interrupts are not modelled.
pub fn is_vector_pending(k: &Kernel, vector: u32) -> bool {
    lapic_vector_set_in_irr(k, vector)
}

/// An interrupt that nobody wants. The hardware sets no ISR bit for the spurious vector itself, so that there
/// is nothing to end.
pub(super) fn smp_spurious_interrupt(k: &mut Kernel, vector: u32) {
    inc_irq_stat(k, |stat| &mut stat.irq_spurious_count);
    if vector != SPURIOUS_APIC_VECTOR {
        ack_APIC_irq(k);
    }
}

pub(super) fn smp_error_interrupt(k: &mut Kernel) {
    inc_irq_stat(k, |stat| &mut stat.irq_err_count);
    ack_APIC_irq(k);
}

pub(super) fn smp_apic_timer_interrupt(k: &mut Kernel) {
    irq_stat(k).apic_timer_irqs += 1;
    ack_APIC_irq(k);
}

/// The message that reaches a vector (6.12). `dmar`: the IOMMU's own message, which may hold a
/// wider destination.
pub fn __irq_msi_compose_msg(k: &mut Kernel, cfg: IrqCfg, msg: &mut MsiMsg, dmar: bool) {
    *msg = MsiMsg {
        address_lo: 0xfee0_0000
            | u32::from(k.apic.driver.dest_mode_logical()) << 2
            | (cfg.dest_apicid & 0xff) << 12,
        address_hi: 0,
        data: cfg.vector,
    };
    if dmar {
        msg.address_hi = cfg.dest_apicid & 0xffff_ff00;
    } else if cfg.dest_apicid > 0xff {
        k.warn_once("WARNING: at arch/x86/kernel/apic/apic.c __irq_msi_compose_msg");
    }
}

/// Switches this CPU's local APIC on. Called for every CPU that comes up.
#[kfn("arch/x86/kernel/apic/apic.c")]
pub fn setup_local_APIC(k: &mut Kernel) {
    let cpu = k.cpu();
    if k.apic.apic_is_disabled {
        k.apic.ioapic_is_disabled = true;
        return;
    }
    lapic::soft_disable(k, cpu);
    init_apic_ldr(k);
    lapic::set_tpr(k, cpu, TASKPRI);
    lapic::soft_enable(k, cpu, SPURIOUS_APIC_VECTOR as u8);

    // The boot CPU keeps the 8259 on LINT0 until the IO-APIC works, and takes the NMIs.
    let boot_cpu = cpu == CpuId(0);
    let masked = |unless: bool| if unless { 0 } else { LVT_MASK };
    lapic::set_lvt(k, cpu, Lvt::Lint0, APIC_DM_EXTINT | masked(boot_cpu && k.apic.ioapic_is_disabled));
    lapic::set_lvt(k, cpu, Lvt::Lint1, APIC_DM_NMI | masked(boot_cpu));
    lapic::set_lvt(k, cpu, Lvt::Error, kstate::apic::ERROR_APIC_VECTOR);
}

/// Masks all local sources.
#[kfn("arch/x86/kernel/apic/apic.c")]
pub fn clear_local_APIC(k: &mut Kernel) {
    let cpu = k.cpu();
    for entry in Lvt::ALL {
        lapic::set_lvt(k, cpu, entry, LVT_MASK);
    }
}

/// Switches the local APIC of a CPU that goes down off: it takes no new interrupts but still shows
/// the pending ones to `fixup_irqs()`.
#[kfn("arch/x86/kernel/apic/apic.c")]
pub fn apic_soft_disable(k: &mut Kernel) {
    clear_local_APIC(k);
    let cpu = k.cpu();
    lapic::soft_disable(k, cpu);
}

/// `nolapic` and `disableapic`.
///
/// # Errors
/// None; `early_param()` has the form that can fail.
pub fn setup_disableapic(k: &mut Kernel, _: Option<&str>) -> Result<(), Errno> {
    k.apic.apic_is_disabled = true;
    Ok(())
}

/// `apic=`: how much is said about APICs, and without a value that there is an IO-APIC after all.
///
/// # Errors
/// `EINVAL` for a level that there is not.
pub fn apic_set_verbosity(k: &mut Kernel, value: Option<&str>) -> Result<(), Errno> {
    match value {
        None => k.apic.ioapic_is_disabled = false,
        Some("debug" | "verbose") => {}
        Some(level) => {
            k.log.push(format!("APIC Verbosity level {level} not recognised use apic=verbose or apic=debug"));
            return Err(Errno::EINVAL);
        }
    }
    Ok(())
}

/// `nox2apic`. The firmware of these machines leaves the APICs in xAPIC mode.
///
/// # Errors
/// None; `early_param()` has the form that can fail.
pub fn setup_nox2apic(k: &mut Kernel, _: Option<&str>) -> Result<(), Errno> {
    k.params.nox2apic = true;
    Ok(())
}

/// `disable_cpu_apicid=` (5.4): a CPU that is not counted.
///
/// # Errors
/// `EINVAL` for no number.
pub fn apic_set_disabled_cpu_apicid(k: &mut Kernel, value: Option<&str>) -> Result<(), Errno> {
    let mut apicid = 0;
    let number = get_option(value.ok_or(Errno::EINVAL)?.as_bytes(), &mut apicid);
    // C stores the value before it looks whether it is one.
    k.params.disabled_cpu_apicid = u32::try_from(apicid).ok();
    number.then_some(()).ok_or(Errno::EINVAL)
}
