//! The CPUs that are kept free of some work, as `isolcpus=` and `nohz_full=` say.
//!
//! C file: kernel/sched/isolation.c of 5.4, 6.12 and 7.3.
//!
//! # What it doesn't implement
//! Partitions of cpusets, which move `HK_TYPE_DOMAIN` of 7.3 away from `HK_TYPE_DOMAIN_BOOT`: the two are
//! one kind here.

use kstate::bitmap::{bitmap_parselist, nr_cpumask_bits};
pub use kstate::isolation::HkType;
use kstate::isolation::{HK_TYPE_MAX, Housekeeping};
use kstate::{CpuId, CpuMask, Kernel};

/// `housekeeping_cpumask()`: the CPUs that are left to this kind of work; all possible ones where
/// nothing is isolated.
pub fn housekeeping_cpumask(k: &Kernel, kind: HkType) -> CpuMask {
    k.housekeeping.mask(kind).unwrap_or(&k.topo.possible).clone()
}

/// `cpu_is_isolated()`, include/linux/sched/isolation.h: the CPU is left out of the scheduler's domains or,
/// for a kernel that asks for it, runs without a tick.
pub fn cpu_is_isolated(k: &Kernel, cpu: CpuId) -> bool {
    let taken = |kind| k.housekeeping.mask(kind).is_some_and(|left| !left.contains(cpu));
    taken(HkType::Domain) || k.sem.isolated_without_tick && taken(HkType::Tick)
}

/// `"Build with CONFIG_NO_HZ_FULL"`.
fn nohz_unsupported(k: &mut Kernel, flags: u32) -> bool {
    let tick = HkType::Tick.flag();
    let unsupported = flags & tick != 0 && k.housekeeping.flags & tick == 0 && !k.sem.no_hz_full;
    if unsupported {
        k.log.push("Housekeeping: nohz unsupported. Build with CONFIG_NO_HZ_FULL".to_owned());
    }
    unsupported
}

/// `housekeeping_setup()`: isolates the CPUs of a list from the work of `flags`. Says whether it took
/// the text.
fn housekeeping_setup(k: &mut Kernel, text: &str, flags: u32) -> bool {
    if k.sem.housekeeping_mask_per_type && nohz_unsupported(k, flags) {
        return false;
    }
    let (cpu, nr_cpu_ids, bits) = (k.cpu(), k.topo.nr_cpu_ids, nr_cpumask_bits(k));
    let mut isolated = CpuMask::new();
    let parsed = bitmap_parselist(&k.sem, text.as_bytes(), &mut isolated, bits);
    // 5.4's sets are wider than the machine, and the last bit of an empty one is beyond it too.
    let beyond = !k.sem.housekeeping_mask_per_type && isolated.last().is_none_or(|last| last.0 >= nr_cpu_ids);
    if parsed.is_err() || beyond {
        k.log.push("Housekeeping: nohz_full= or isolcpus= incorrect CPU range".to_owned());
        return false;
    }
    let mut housekeeping = k.topo.possible.andnot(&isolated);
    // Somebody has to keep the house: the boot CPU, unless another one is there (and, in 6.12, is
    // brought up at boot).
    let first = k.topo.present.first_and(&housekeeping);
    let up_to = if k.sem.housekeeping_mask_per_type { k.params.setup_max_cpus } else { u32::MAX };
    if first.is_none_or(|first| first.0 >= up_to) {
        housekeeping.set(cpu);
        isolated.clear(cpu);
        if k.housekeeping.flags == 0 {
            k.log.push(format!("Housekeeping: must include one present CPU, using boot CPU:{cpu}"));
        }
    }
    if k.sem.housekeeping_mask_per_type && isolated.is_empty() {
        return false;
    }
    let Housekeeping { flags: set, cpumasks } = &*k.housekeeping;
    // Kinds that are isolated already are so from these CPUs; 5.4 has one mask for all kinds.
    let again = if k.sem.housekeeping_mask_per_type { flags & set } else { *set };
    if kinds(again).any(|kind| cpumasks[kind] != housekeeping) {
        k.log.push("Housekeeping: nohz_full= must match isolcpus=".to_owned());
        return false;
    }
    if !k.sem.housekeeping_mask_per_type && nohz_unsupported(k, flags) {
        return false;
    }
    if k.sem.housekeeping_leaves_one_cpu && !leaves_one_cpu(k, &housekeeping, flags) {
        k.log.push(format!(
            "Housekeeping: must include one present CPU neither in nohz_full= nor in isolcpus=domain, \
             ignoring setting {text}"
        ));
        return false;
    }
    for kind in kinds(flags & !k.housekeeping.flags) {
        k.housekeeping.set_mask(kind, &housekeeping);
    }
    true
}

/// Whether a CPU that boot brings up is left to the house by `nohz_full=` and by `isolcpus=domain,`
/// together. Timers need one: managed interrupts do not count.
fn leaves_one_cpu(k: &Kernel, housekeeping: &CpuMask, flags: u32) -> bool {
    let both = HkType::Tick.flag() | HkType::Domain.flag();
    let (before, now) = (k.housekeeping.flags & both, flags & both);
    let Some(kind) = kinds(before).next().filter(|_| now != 0) else { return true };
    let left = housekeeping.and(&k.housekeeping.cpumasks[kind]);
    let first = k.topo.present.first_and(&left);
    first.is_some_and(|first| first.0 < k.topo.nr_cpu_ids.min(k.params.setup_max_cpus))
}

fn kinds(flags: u32) -> impl Iterator<Item = usize> {
    (0..HK_TYPE_MAX).filter(move |kind| flags >> kind & 1 != 0)
}

/// `housekeeping_nohz_full_setup()`: `nohz_full=`.
pub fn housekeeping_nohz_full_setup(k: &mut Kernel, text: &str) -> bool {
    housekeeping_setup(k, text, nohz_full_flags(k))
}

/// What `nohz_full=` keeps away from CPUs, `HK_FLAG_KERNEL_NOISE` of 7.3.
fn nohz_full_flags(k: &Kernel) -> u32 {
    let flags = HkType::Tick.flag()
        | HkType::Wq.flag()
        | HkType::Timer.flag()
        | HkType::Rcu.flag()
        | HkType::Misc.flag();
    if k.sem.housekeeping_mask_per_type { flags | HkType::Kthread.flag() } else { flags }
}

/// `housekeeping_isolcpus_setup()`: `isolcpus=`, flags in front of a list. Says whether it took the
/// text.
// DEVIATION: behind an unknown flag without a comma 6.12 reads on in the next word of the command line;
// here the text ends.
pub fn housekeeping_isolcpus_setup(k: &mut Kernel, text: &str) -> bool {
    let mut flags = 0;
    let mut rest = text;
    while rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let nohz = if k.sem.housekeeping_kernel_noise { nohz_full_flags(k) } else { HkType::Tick.flag() };
        let known = [
            ("nohz,", nohz, true),
            ("domain,", HkType::Domain.flag(), true),
            ("managed_irq,", HkType::ManagedIrq.flag(), k.sem.housekeeping_managed_irq),
        ];
        let flag = known
            .iter()
            .find_map(|&(name, kinds, there)| Some((kinds, rest.strip_prefix(name).filter(|_| there)?)));
        if let Some((kinds, behind)) = flag {
            flags |= kinds;
            rest = behind;
            continue;
        }
        if !k.sem.isolcpus_skips_unknown_flags {
            k.log.push("isolcpus: Error, unknown flag".to_owned());
            return false;
        }
        let (name, behind) = rest.split_once(',').unwrap_or((rest, ""));
        if !name.bytes().all(|c| c.is_ascii_alphabetic() || c == b'_') {
            k.log.push(format!("isolcpus: Invalid flag {name}"));
            return false;
        }
        k.log.push(format!("isolcpus: Skipped unknown flag {name}"));
        rest = behind;
    }
    // Without flags the list means the domains.
    let flags = if flags == 0 { HkType::Domain.flag() } else { flags };
    housekeeping_setup(k, rest, flags)
}
