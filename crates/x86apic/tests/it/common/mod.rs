//! A bare machine for hardware tests: local APICs, an IO-APIC, no kernel above them.

use kstate::topology::CpuPlace;
use kstate::{ApicId, CpuId, Kernel};
use x86apic::hw::lapic::{self, BASE_EN, BASE_EXTD, IA32_APIC_BASE};
use x86apic::hw::{ioapic, pic};
use x86apic::kernel::idt::{Gate, idt_table};

/// The first CPU.
pub const CPU0: CpuId = CpuId(0);
/// The second CPU.
pub const CPU1: CpuId = CpuId(1);

/// CPUs with these APIC ids, xAPIC mode, enabled by software.
pub fn with_ids(ids: &[u32]) -> Kernel {
    let mut k = Kernel::default();
    k.topo.cpus = ids.iter().map(|id| CpuPlace { apic_id: ApicId(*id), ..CpuPlace::default() }).collect();
    lapic::power_on(&mut k);
    ioapic::power_on(&mut k, 0, 0x20, ioapic::PINS, 0xff00);
    pic::power_on(&mut k);
    for cpu in 0..ids.len() as u32 {
        lapic::soft_enable(&mut k, CpuId(cpu), 0xff);
    }
    k
}

/// So many CPUs in xAPIC mode.
pub fn xapic(cpus: u32) -> Kernel {
    with_ids(&(0..cpus).collect::<Vec<_>>())
}

/// So many CPUs in x2APIC mode.
pub fn x2apic(cpus: u32) -> Kernel {
    let mut k = xapic(cpus);
    for cpu in 0..cpus {
        enter_x2apic(&mut k, CpuId(cpu));
    }
    k
}

/// Switches one CPU from xAPIC to x2APIC mode.
pub fn enter_x2apic(k: &mut Kernel, cpu: CpuId) {
    lapic::wrmsr(k, cpu, IA32_APIC_BASE, kstate::hw::lapic::DEFAULT_BASE | BASE_EN | BASE_EXTD).unwrap();
}

/// A CPU with interrupts enabled takes all that it is offered, and ends each with an EOI.
pub fn take(k: &mut Kernel, cpu: CpuId) -> Vec<u8> {
    let mut vectors = Vec::new();
    while lapic::pending(k, cpu).is_some() {
        vectors.push(lapic::ack(k, cpu));
        lapic::eoi(k, cpu);
    }
    vectors
}

/// What every CPU takes.
pub fn take_all(k: &mut Kernel) -> Vec<Vec<u8>> {
    (0..k.hw.lapics.len() as u32).map(|cpu| take(k, CpuId(cpu))).collect()
}

/// This CPU takes the interrupt that its local APIC has pending, which is `vector`.
pub fn take_vector(k: &mut Kernel, vector: u8) {
    let cpu = k.cpu();
    assert_eq!(lapic::ack(k, cpu), vector);
    let old = k.apic.cpu_mut(cpu).irq_regs_vector.replace(u32::from(vector));
    match idt_table(k, u32::from(vector)) {
        Gate::System(f) => f(k),
        Gate::Device(f, _) => f(k, u32::from(vector)),
    }
    k.apic.cpu_mut(cpu).irq_regs_vector = old;
}
