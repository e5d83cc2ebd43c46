//! Bringing up the other CPUs at boot.
//!
//! C file: kernel/smp.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::hotplug::CpuhpState;
use kstate::kstrtox::get_option;
use kstate::{CpuId, Errno, Kernel};
use x86apic::kernel::io_apic;

use crate::cpu::{bringup_nonboot_cpus, cpu_up};
use crate::sched::core::sched_init_smp;

/// `nosmp`: no other CPU, and no IO-APIC.
///
/// # Errors
/// None; `early_param()` has the form that can fail.
pub fn nosmp(k: &mut Kernel, _: Option<&str>) -> Result<(), Errno> {
    k.params.setup_max_cpus = 0;
    arch_disable_smp_support(k);
    Ok(())
}

/// `nr_cpus=`: how many CPUs the kernel can have.
///
/// # Errors
/// None; `early_param()` has the form that can fail.
pub fn nrcpus(k: &mut Kernel, value: Option<&str>) -> Result<(), Errno> {
    let mut nr_cpus = 0;
    get_option(value.unwrap_or_default().as_bytes(), &mut nr_cpus);
    if let Ok(nr_cpus @ 1..) = u32::try_from(nr_cpus) {
        k.params.nr_cpu_ids = k.params.nr_cpu_ids.min(nr_cpus);
    }
    Ok(())
}

/// `maxcpus=`: how many CPUs are brought up at boot; 0 is `nosmp`.
///
/// # Errors
/// None; `early_param()` has the form that can fail.
pub fn maxcpus(k: &mut Kernel, value: Option<&str>) -> Result<(), Errno> {
    let mut max_cpus = k.params.setup_max_cpus as i32;
    get_option(value.unwrap_or_default().as_bytes(), &mut max_cpus);
    // C keeps it in an unsigned int.
    k.params.setup_max_cpus = max_cpus as u32;
    if max_cpus == 0 {
        arch_disable_smp_support(k);
    }
    Ok(())
}

/// Without SMP there is no need for an IO-APIC (arch/x86/kernel/smpboot.c).
fn arch_disable_smp_support(k: &mut Kernel) {
    io_apic::disable_ioapic_support(k);
}

/// Brings up the other CPUs at boot, in the order of their numbers; 6.12 first the first threads
/// of all cores.
#[kframe("kernel/smp.c")]
pub fn smp_init(k: &mut Kernel) {
    if k.sem.cpuhp_split_startup {
        call!(bringup_nonboot_cpus(k.params.setup_max_cpus));
    } else {
        let cpu: Option<CpuId> = k.topo.present.first();
        while cpu.is_some() && k.topo.online.weight() < k.params.setup_max_cpus {
            if !k.topo.online.contains(cpu.unwrap_or_default()) {
                // A CPU that does not come up stays behind.
                let _ret: Result<(), Errno> = call!(cpu_up(cpu.unwrap_or_default(), CpuhpState::Online));
            }
            cpu = k.topo.present.next_after(cpu.unwrap_or_default());
        }
    }
    sched_init_smp(k);
    k.hotplug.system_running = true;
}
