//! Bringing up the other CPUs at boot.
//!
//! C file: kernel/smp.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::hotplug::CpuhpState;
use kstate::{CpuId, Errno, Kernel};

use crate::cpu::{bringup_nonboot_cpus, cpu_up};
use crate::sched::core::sched_init_smp;

/// `setup_max_cpus`: how many CPUs the command line wants at boot.
fn setup_max_cpus(k: &Kernel) -> u32 {
    if k.cmdline.iter().any(|w| w == "nosmp") {
        return 0;
    }
    k.cmdline_value("maxcpus").and_then(|n| n.parse().ok()).unwrap_or(u32::MAX)
}

/// Brings up the other CPUs at boot, in the order of their numbers; 6.12 first the first threads
/// of all cores.
#[kframe("kernel/smp.c")]
pub fn smp_init(k: &mut Kernel) {
    if k.sem.cpuhp_split_startup {
        call!(bringup_nonboot_cpus(setup_max_cpus(k)));
    } else {
        let cpu: Option<CpuId> = k.topo.present.first();
        while cpu.is_some() && k.topo.online.weight() < setup_max_cpus(k) {
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
