//! Files of /proc that say something of CPUs: fs/proc/{stat,softirqs,version}.c and arch/x86/kernel/cpu/proc.c.

use core::fmt::Write as _;

use irqcore::irqdesc::kstat_irqs_cpu;
use kstate::{CpuId, Kernel};
use x86apic::kernel::irq::{arch_irq_stat, arch_irq_stat_cpu};

/// Nanoseconds of a tick of `USER_HZ`.
const CLOCK_T: u64 = 10_000_000;

/// `softirq_to_name[]`.
const SOFTIRQS: [&str; 10] =
    ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];

/// Text of /proc/stat (`show_stat()`).
// DEVIATION: CPUs are idle all the time that passes: what they do takes none. Interrupts of descriptors that are gone are
// not in the sum, switches of contexts and softirqs are not counted, and the machine was started at the epoch. The processes
// are the modelled tasks that ever were, one of which, who reads, is running, and none waits for a disk.
pub(super) fn show_stat(k: &Kernel) -> String {
    let mut out = String::new();
    let idle = k.events.now / CLOCK_T;
    let cpus = u64::from(k.topo.present.weight());
    let _ = writeln!(out, "cpu  0 0 0 {} 0 0 0 0 0 0", idle * cpus);
    for cpu in k.topo.online.iter() {
        let _ = writeln!(out, "cpu{cpu} 0 0 0 {idle} 0 0 0 0 0 0");
    }
    let counts: Vec<(u32, u64)> = k
        .for_each_irq()
        .map(|irq| {
            let desc = k.desc(irq);
            let count = k.topo.possible.iter().map(|cpu| u64::from(kstat_irqs_cpu(desc, cpu))).sum();
            (irq.0, count)
        })
        .collect();
    let devices: u64 = counts.iter().map(|(_, count)| count).sum();
    let others: u64 = k.topo.possible.iter().map(|cpu| arch_irq_stat_cpu(k, cpu)).sum();
    let _ = write!(out, "intr {}", devices + others + arch_irq_stat(k));
    let mut next = 0;
    for (irq, count) in counts {
        out.extend(core::iter::repeat_n(" 0", (irq - next) as usize));
        let _ = write!(out, " {count}");
        next = irq + 1;
    }
    out.extend(core::iter::repeat_n(" 0", k.irq.nr_irqs.saturating_sub(next) as usize));
    let zeros = " 0".repeat(SOFTIRQS.len());
    let processes = k.sched.tasks.len();
    let _ = writeln!(
        out,
        "\nctxt 0\nbtime 0\nprocesses {processes}\nprocs_running 1\nprocs_blocked 0\nsoftirq 0{zeros}"
    );
    out
}

/// Text of /proc/softirqs (`show_softirqs()`).
// DEVIATION: softirqs are not counted, because nothing that is modelled depends on how many there were.
pub(super) fn show_softirqs(k: &Kernel) -> String {
    let mut out = format!("{:20}", "");
    for cpu in k.topo.possible.iter() {
        let _ = write!(out, "CPU{:<8}", cpu.0);
    }
    out.push('\n');
    for name in SOFTIRQS {
        let _ = write!(out, "{name:>12}:");
        out.extend(k.topo.possible.iter().map(|_| format!(" {:>10}", 0)));
        out.push('\n');
    }
    out
}

/// Text of /proc/cpuinfo (`show_cpuinfo()`).
// DEVIATION: a machine file says where a CPU is, and not of which model it is: its family, model and stepping are 0, as are
// the loops of a jiffy, and of its features those are listed that interrupts and this list depend on. Vendor, level of CPUID,
// flush size and widths of addresses are those of many; there are no lines of frequency, cache size and microcode.
pub(super) fn show_cpuinfo(k: &Kernel) -> String {
    let mut out = String::new();
    for cpu in k.topo.online.iter() {
        let place = &k.topo.cpus[cpu.index()];
        let package: Vec<CpuId> =
            k.topo.online.iter().filter(|other| k.topo.cpus[other.index()].socket == place.socket).collect();
        let firsts = package.iter().filter(|other| k.topo.siblings[other.index()].first() == Some(**other));
        let (siblings, cores, core, apic) =
            (package.len(), firsts.count(), super::cpu::core_id(k, cpu), place.apic_id.0);
        let x2apic = if k.apic.x2apic_mode { " x2apic" } else { "" };
        let guest = if k.topo.hypervisor { " hypervisor" } else { "" };
        let _ = write!(
            out,
            "processor\t: {cpu}\nvendor_id\t: GenuineIntel\ncpu family\t: 0\nmodel\t\t: 0\nmodel name\t: irqlab\nstepping\t: 0\n\
             physical id\t: {}\nsiblings\t: {siblings}\ncore id\t\t: {core}\ncpu cores\t: {cores}\napicid\t\t: {apic}\n\
             initial apicid\t: {apic}\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: 11\nwp\t\t: yes\n\
             flags\t\t: fpu apic ht lm{x2apic}{guest}\nbugs\t\t:\nbogomips\t: 0.00\nclflush size\t: 64\n\
             cache_alignment\t: 64\naddress sizes\t: 46 bits physical, 48 bits virtual\npower management:\n\n",
            place.socket,
        );
    }
    out
}

/// Text of /proc/version.
// DEVIATION: nobody compiled this kernel: builder, compiler and date are left out.
pub(super) fn version(k: &Kernel) -> String {
    format!("Linux version {}-irqlab (irqlab)\n", k.sem.version.name().trim_start_matches('v'))
}
