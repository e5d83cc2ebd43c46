//! What `start_kernel()` does for interrupts until the second CPU comes up, in its order.
//!
//! Follows arch/x86/kernel/irqinit.c, time.c and apic/apic.c of 5.4 and 6.12.

#![expect(non_snake_case, reason = "the names of the C functions")]

use irqcore::chip::irq_set_chip_and_handler_name;
use irqcore::irqdesc::early_irq_init;
use irqcore::manage::request_threaded_irq;
use irqcore::settings::irq_set_status_flags;
use kfn::kfn;
use kstate::apic::{ApicDriver, PIC_CASCADE_IR, VectorIrq, isa_irq_vector};
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, FlowHandler, IRQ_LEVEL, IrqReturn};
use kstate::semantics::MsiDomains;
use kstate::{CpuId, Irq, Kernel};

use super::apic::{default_setup_apic_routing, setup_local_APIC, x2apic_enable};
use super::i8259;
use super::idt::idt_setup_apic_and_irq_gates;
use super::io_apic::{acpi_parse_madt_ioapic_entries, enable_IO_APIC, mask_ioapic_entries, setup_IO_APIC};
use super::irq::ARCH_OPS;
use super::irq_remapping::{irq_remap_enable_fault_handling, irq_remapping_enable, irq_remapping_prepare};
use super::msi::x86_create_pci_msi_domain;
use super::vector::{lapic_assign_system_vectors, lapic_update_legacy_vectors, nr_legacy_irqs};

const IRQF_NOBALANCING: u32 = 0x0000_0800;
const IRQF_IRQPOLL: u32 = 0x0000_1000;
const IRQF_NO_THREAD: u32 = 0x0001_0000;
const IRQF_TIMER: u32 = 0x0000_0200 | 0x0000_4000 | 0x0001_0000;

/// What it does for interrupts on the boot CPU, from early descriptors to a ticking timer (init/main.c).
///
/// The hardware is powered on before, CPU 0 runs and is the only one that is online;
/// `Kernel::apic.boot_placement` is what the machine file says. Boot ends for the placement when
/// [`Kernel::boot_done`] is called.
pub fn start_kernel(k: &mut Kernel) {
    // Without a local APIC acpi_parse_madt_ioapic_entries() does not look for IO-APICs.
    k.apic.ioapic_is_disabled |= k.apic.apic_is_disabled;
    k.apic.booting = true;
    // The driver before default_setup_apic_routing() chooses.
    k.apic.driver = if k.sem.flat_apic { ApicDriver::Flat } else { ApicDriver::Physflat };
    k.apic.cached_irq_mask = 0xffff;
    acpi_parse_madt_ioapic_entries(k);

    // CPU 0 enters its node's map with identify_boot_cpu(), which comes after the timer.
    let nodes = k.topo.node_cpus.iter().map(|_| kstate::CpuMask::new()).collect();
    let node_cpus = core::mem::replace(&mut k.topo.node_cpus, nodes);

    early_irq_init(k, ARCH_OPS);
    init_IRQ(k);
    x86_late_time_init(k);

    k.topo.node_cpus = node_cpus;
    // pci_arch_init() runs later, but before any PCI function exists.
    if k.sem.msi_domains == MsiDomains::PerDevice {
        x86_create_pci_msi_domain(k);
    }
}

/// Gives the legacy interrupts to the 8259.
#[kfn("arch/x86/kernel/irqinit.c")]
pub fn init_ISA_irqs(k: &mut Kernel) {
    i8259::init_8259A(k, false);
    let chip = k.apic.chips.i8259a_chip;
    for irq in (0..nr_legacy_irqs()).map(Irq) {
        irq_set_chip_and_handler_name(k, irq, chip, FlowHandler::HandleLevelIrq, None);
        if k.sem.legacy_irqs_level {
            irq_set_status_flags(k, irq, IRQ_LEVEL);
        }
    }
}

/// Installs the legacy vectors on the boot CPU and sets the system vectors aside.
#[kfn("arch/x86/kernel/irqinit.c")]
pub fn init_IRQ(k: &mut Kernel) {
    for irq in 0..nr_legacy_irqs() {
        k.apic.set_vector_irq(CpuId(0), isa_irq_vector(irq), VectorIrq::Desc(Irq(irq)));
    }
    native_init_IRQ(k);
}

/// The same, for real hardware.
#[kfn("arch/x86/kernel/irqinit.c")]
pub fn native_init_IRQ(k: &mut Kernel) {
    init_ISA_irqs(k);
    idt_setup_apic_and_irq_gates(k);
    lapic_assign_system_vectors(k);
    if !k.apic.acpi_ioapic {
        // The second 8259 interrupts the first through this one.
        let handler = Handler { name: "no_action", call: no_action };
        let irq = Irq(PIC_CASCADE_IR);
        if request_threaded_irq(k, irq, Some(handler), None, IRQF_NO_THREAD, "cascade", DevId::None).is_err()
        {
            k.log.push("cascade: request_irq() failed".to_owned());
        }
    }
}

/// `no_action()`, kernel/irq/handle.c: an interrupt that never comes by itself.
fn no_action(_k: &mut Kernel, _irq: Irq, _dev_id: DevId) -> IrqReturn {
    IrqReturn::None
}

/// The timer's handler.
// DEVIATION: the timer does not tick here; virtual time moves with the events.
fn timer_interrupt(_k: &mut Kernel, _irq: Irq, _dev_id: DevId) -> IrqReturn {
    IrqReturn::Handled
}

/// Requests the timer interrupt, then switches to the final interrupt mode.
fn x86_late_time_init(k: &mut Kernel) {
    let handler = Handler { name: "timer_interrupt", call: timer_interrupt };
    let flags = IRQF_NOBALANCING | IRQF_IRQPOLL | IRQF_TIMER;
    if request_threaded_irq(k, Irq(0), Some(handler), None, flags, "timer", DevId::None).is_err() {
        k.log.push("Failed to register legacy timer interrupt".to_owned());
    }
    apic_intr_mode_init(k);
}

/// Switches from the 8259 to the APICs.
#[kfn("arch/x86/kernel/apic/apic.c")]
pub fn apic_intr_mode_init(k: &mut Kernel) {
    if k.apic.apic_is_disabled {
        k.log.push("APIC: Keep in PIC mode(8259)".to_owned());
        return;
    }
    default_setup_apic_routing(k);
    apic_bsp_setup(k);
}

/// Turns interrupt remapping on where there is any (`enable_IR_x2apic()`).
// DEVIATION: without remapping that can address x2APICs the APICs stay in xAPIC mode; a guest whose
// hypervisor lets x2APICs do without remapping is no machine here.
pub(super) fn enable_IR_x2apic(k: &mut Kernel) {
    if k.apic.ioapic_is_disabled {
        k.log.push("Not enabling interrupt remapping due to skipped IO-APIC setup".to_owned());
        return;
    }
    if irq_remapping_prepare(k).is_err() {
        return;
    }
    i8259::mask_8259A(k);
    mask_ioapic_entries(k);
    match irq_remapping_enable(k) {
        Ok(true) => x2apic_enable(k),
        Ok(false) => {}
        Err(_) => {
            k.pr_warn("DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection attacks.")
        }
    }
    i8259::unmask_8259A(k);
}

/// Sets the boot CPU's local APIC and the IO-APIC up.
#[kfn("arch/x86/kernel/apic/apic.c")]
fn apic_bsp_setup(k: &mut Kernel) {
    setup_local_APIC(k);
    enable_IO_APIC(k);
    // C ignores the result.
    let _ = irq_remap_enable_fault_handling(k);
    setup_IO_APIC(k);
    if k.sem.legacy_vectors_follow_ioapic {
        lapic_update_legacy_vectors(k);
    }
}
