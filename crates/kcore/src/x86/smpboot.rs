//! Starting and stopping one CPU of a PC.
//!
//! C file: arch/x86/kernel/smpboot.c of 5.4 and 6.12.

use kfn::{kfn, kframe};
use kstate::hotplug::CpuhpSyncState;
use kstate::sched::{TaskKind, WaitOn};
use kstate::{CpuId, Errno, Kernel};

use crate::cpu::{cpuhp_online_idle, notify_cpu_starting};

/// What stands above the outermost frame of a CPU's idle task.
pub(crate) const IDLE: &[&str] = &["secondary_startup_64"];

/// arch/x86/kernel/smpboot.c. 5.4 disables the local APIC first, so that interrupts that arrive
/// during the migration are lost; 6.12 disables it last.
#[kfn("arch/x86/kernel/smpboot.c")]
pub(crate) fn native_cpu_disable(k: &mut Kernel) -> Result<(), Errno> {
    x86apic::kernel::vector::lapic_can_unplug_cpu(k)?;
    if k.sem.apic_disabled_before_fixup {
        x86apic::kernel::apic::apic_soft_disable(k);
    }
    cpu_disable_common(k);
    if !k.sem.apic_disabled_before_fixup {
        x86apic::kernel::apic::apic_soft_disable(k);
    }
    Ok(())
}

/// arch/x86/kernel/smpboot.c.
#[kfn("arch/x86/kernel/smpboot.c")]
fn cpu_disable_common(k: &mut Kernel) {
    let cpu = k.cpu();
    k.topo.remove_siblinginfo(cpu);
    x86apic::kernel::vector::lock_vector_lock(k);
    remove_cpu_from_maps(k, cpu);
    x86apic::kernel::vector::unlock_vector_lock(k);
    // Devices still send to this CPU.
    x86apic::hw::bus::hw_points(k);
    x86apic::kernel::irq::fixup_irqs(k);
    x86apic::kernel::vector::lapic_offline(k);
}

/// arch/x86/kernel/smpboot.c.
fn remove_cpu_from_maps(k: &mut Kernel, cpu: CpuId) {
    k.topo.online.clear(cpu);
    k.hotplug.cpu_callout_mask.clear(cpu);
    k.hotplug.cpu_callin_mask.clear(cpu);
    k.hotplug.cpu_initialized_mask.clear(cpu);
    k.topo.numa_remove_cpu(cpu);
}

/// The first C code of a CPU that was sent SIPI, on its idle task (arch/x86/kernel/smpboot.c).
#[kframe("arch/x86/kernel/smpboot.c")]
fn start_secondary(k: &mut Kernel, cpu: CpuId) {
    if k.sem.cpuhp_split_startup {
        // cpuhp_ap_sync_alive(): says that it is there and waits to be let on.
        k.cpuhp_state_mut(cpu).ap_sync_state = CpuhpSyncState::Alive;
        k.wake(WaitOn::Cpuhp(cpu));
        wait_until!(k.cpuhp_state(cpu).ap_sync_state == CpuhpSyncState::ShouldOnline, WaitOn::Cpuhp(cpu));
    } else {
        // wait_for_master_cpu(), from cpu_init().
        k.hotplug.cpu_initialized_mask.set(cpu);
        k.wake(WaitOn::Cpuhp(cpu));
        wait_until!(k.hotplug.cpu_callout_mask.contains(cpu), WaitOn::Cpuhp(cpu));
    }
    // ap_starting() in 6.12, smp_callin() in 5.4.
    x86apic::kernel::apic::x2apic_setup(k);
    x86apic::kernel::apic::setup_local_APIC(k);
    k.topo.numa_add_cpu(cpu);
    k.topo.set_cpu_sibling_map(cpu);
    call!(notify_cpu_starting(cpu));
    if !k.sem.cpuhp_split_startup {
        k.hotplug.cpu_callin_mask.set(cpu);
        k.wake(WaitOn::Cpuhp(cpu));
        step!();
    }
    x86apic::kernel::vector::lock_vector_lock(k);
    k.topo.online.set(cpu);
    x86apic::kernel::vector::lapic_online(k);
    x86apic::kernel::vector::unlock_vector_lock(k);
    k.wake(WaitOn::Cpuhp(cpu));
    step!();
    cpuhp_online_idle(k, cpu);
}

/// INIT and SIPI: the CPU's local APIC is reset and its idle task runs `start_secondary()`.
#[kfn("arch/x86/kernel/smpboot.c")]
pub(crate) fn do_boot_cpu(k: &mut Kernel, cpu: CpuId) {
    if k.hotplug.system_running {
        let place = &k.topo.cpus[cpu.index()];
        let (node, apic_id) = (place.node, place.apic_id.0);
        if cpu == CpuId(1) && k.sem.announces_cpu_1 {
            k.log.push("x86: Booting SMP configuration:".to_owned());
        }
        k.log.push(format!("smpboot: Booting Node {node} Processor {cpu} APIC 0x{apic_id:x}"));
    }
    x86apic::hw::lapic::reset(k, cpu);
    let idle = k.cpuhp_state(cpu).idle;
    let idle = k.spawn_or_reuse(idle, TaskKind::Idle(cpu), cpu, start_secondary(cpu).frame, IDLE);
    k.cpuhp_state_mut(cpu).idle = Some(idle);
}

/// 5.4: starts the CPU and waits until it is online (arch/x86/kernel/smpboot.c).
#[kframe("arch/x86/kernel/smpboot.c")]
pub(crate) fn native_cpu_up(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    if k.hotplug.cpu_callin_mask.contains(cpu) {
        return Err(Errno::ENOSYS);
    }
    k.hotplug.cpu_initialized_mask.clear(cpu);
    do_boot_cpu(k, cpu);
    wait_until!(k.hotplug.cpu_initialized_mask.contains(cpu), WaitOn::Cpuhp(cpu));
    k.hotplug.cpu_callout_mask.set(cpu);
    k.wake(WaitOn::Cpuhp(cpu));
    wait_until!(k.hotplug.cpu_callin_mask.contains(cpu), WaitOn::Cpuhp(cpu));
    wait_until!(k.topo.online.contains(cpu), WaitOn::Cpuhp(cpu));
    Ok(())
}

/// The first thread of the CPU's core is online (7.3).
pub(crate) fn topology_is_core_online(k: &Kernel, cpu: CpuId) -> bool {
    let core = |cpu: CpuId| {
        let place = &k.topo.cpus[cpu.index()];
        (place.node, place.socket, place.core)
    };
    let primary = k.topo.possible.iter().find(|&other| core(other) == core(cpu));
    primary.is_some_and(|primary| k.topo.online.contains(primary))
}

/// The CPU is the first thread of its core.
pub(crate) fn topology_is_primary_thread(k: &Kernel, cpu: CpuId) -> bool {
    let here = &k.topo.cpus[cpu.index()];
    let before = &k.topo.cpus[..cpu.index()];
    !before.iter().any(|c| (c.node, c.socket, c.core) == (here.node, here.socket, here.core))
}
