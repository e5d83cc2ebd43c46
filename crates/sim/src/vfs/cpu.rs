//! Files of /sys/devices/system/{cpu,node}: drivers/base/{cpu,topology,cacheinfo,node}.c and
//! arch/x86/kernel/cpu/cacheinfo.c.

use std::collections::BTreeMap;

use kcore::sched::isolation::{HkType, housekeeping_cpumask};
use kcore::x86::topology::topology_cluster_id;
use kstate::topology::CpuPlace;
use kstate::{CpuId, CpuMask, Kernel};

/// Files of /sys/devices/system/cpu beside the folders.
const FILES: [&str; 7] = ["isolated", "kernel_max", "nohz_full", "offline", "online", "possible", "present"];

/// Those that this kernel has.
pub(super) fn files(k: &Kernel) -> impl Iterator<Item = &'static str> {
    FILES.into_iter().filter(|file| *file != "nohz_full" || k.sem.no_hz_full)
}

/// Files of a CPU's topology, and those of its cluster, which younger kernels have.
const TOPOLOGY: [&str; 13] = [
    "core_cpus",
    "core_cpus_list",
    "core_id",
    "core_siblings",
    "core_siblings_list",
    "die_cpus",
    "die_cpus_list",
    "die_id",
    "package_cpus",
    "package_cpus_list",
    "physical_package_id",
    "thread_siblings",
    "thread_siblings_list",
];
const CLUSTER: [&str; 3] = ["cluster_cpus", "cluster_cpus_list", "cluster_id"];

/// Files of a cache.
pub(super) const CACHE: [&str; 5] = ["id", "level", "shared_cpu_list", "shared_cpu_map", "type"];

/// The caches of a CPU: level and type.
const CACHES: [(u32, &str); 3] = [(1, "Data"), (1, "Instruction"), (2, "Unified")];

/// Files of a node.
pub(super) const NODE: [&str; 3] = ["cpulist", "cpumap", "distance"];
/// Files of /sys/devices/system/node beside the folders.
pub(super) const NODES: [&str; 3] = ["has_cpu", "online", "possible"];

/// `LOCAL_DISTANCE` and `REMOTE_DISTANCE`.
const LOCAL: u32 = 10;
const REMOTE: u32 = 20;

/// A mask, or its list where the file's name says so.
fn mask(k: &Kernel, file: &str, cpus: &CpuMask) -> String {
    if file.ends_with("_list") { cpus.list() } else { cpus.hex(k.topo.nr_cpu_ids) }
}

/// A file of /sys/devices/system/cpu.
// DEVIATION: `enabled` and, since 7.0, `housekeeping` are not there. `kernel_max` is the largest NR_CPUS that this
// kernel can be built with, and `offline` leaves out the CPUs beyond `nr_cpu_ids`.
pub(super) fn cpu_file(k: &Kernel, file: &str) -> Option<String> {
    let topo = &k.topo;
    Some(match file {
        "online" => topo.online.list(),
        "present" => topo.present.list(),
        "possible" => topo.possible.list(),
        "offline" => topo.possible.andnot(&topo.online).list(),
        // print_cpus_isolated().
        "isolated" => topo.possible.andnot(&housekeeping_cpumask(k, HkType::Domain)).list(),
        // print_cpus_nohz_full().
        "nohz_full" if k.sem.no_hz_full => match k.housekeeping.mask(HkType::Tick) {
            Some(housekeeping) => topo.possible.andnot(housekeeping).list(),
            None if k.sem.nohz_full_null => "(null)".to_owned(),
            None => String::new(),
        },
        "kernel_max" => (kstate::cpumask::MAX_CPUS - 1).to_string(),
        _ => return None,
    })
}

/// The online CPUs of the package of a CPU.
fn topology_core_cpumask(k: &Kernel, cpu: CpuId) -> CpuMask {
    let socket = k.topo.cpus[cpu.index()].socket;
    k.topo.online.iter().filter(|other| k.topo.cpus[other.index()].socket == socket).collect()
}

/// How far an APIC ID is shifted for the number of its core and for that of its package (`x86_topo_system.dom_shifts`, which
/// CPUID leaf 0xb fills).
// DEVIATION: a machine file has APIC IDs and no CPUID. The widths are the smallest that fit: CPUs of a core agree above the
// first, those of a package above the second. Bits that no ID has belong to threads that were switched off.
fn apic_id_shifts(k: &Kernel) -> (u32, u32) {
    let places = || k.topo.present.iter().map(|cpu| &k.topo.cpus[cpu.index()]);
    let width = |key: fn(&CpuPlace) -> u32| {
        let mut first = BTreeMap::new();
        let differing = places().fold(0, |bits, place| {
            bits | (*first.entry(key(place)).or_insert(place.apic_id.0) ^ place.apic_id.0)
        });
        u32::BITS - differing.leading_zeros()
    };
    let used = places().fold(0, |bits, place| bits | place.apic_id.0);
    let unused = if used == 0 { 0 } else { used.trailing_zeros() };
    let core = width(|place| place.core).max(unused);
    (core, width(|place| place.socket).max(core))
}

/// The number of a CPU's core in its package: what lies between the two shifts of its APIC ID (`topo_set_ids()`,
/// `detect_extended_topology()`).
pub(super) fn core_id(k: &Kernel, cpu: CpuId) -> u32 {
    let (core, package) = apic_id_shifts(k);
    let low = k.topo.cpus[cpu.index()].apic_id.0 & !u32::MAX.checked_shl(package).unwrap_or(0);
    low.checked_shr(core).unwrap_or(0)
}

/// The names of the files in a CPU's topology.
pub(super) fn topology_files(k: &Kernel) -> Vec<String> {
    let clusters = if k.sem.cluster_sysfs { &CLUSTER[..] } else { &[] };
    let all = clusters.iter().chain(&TOPOLOGY);
    all.map(|name| (*name).to_owned()).collect()
}

/// A file of the topology of an online CPU.
pub(super) fn topology_file(k: &Kernel, cpu: CpuId, file: &str) -> Option<String> {
    Some(match file {
        "physical_package_id" => k.topo.cpus[cpu.index()].socket.to_string(),
        "core_id" => core_id(k, cpu).to_string(),
        // A package has one die.
        "die_id" if k.sem.die_id_counts_all => k.topo.cpus[cpu.index()].socket.to_string(),
        "die_id" => "0".to_owned(),
        "thread_siblings" | "thread_siblings_list" | "core_cpus" | "core_cpus_list" => {
            mask(k, file, &k.topo.siblings[cpu.index()])
        }
        "core_siblings" | "core_siblings_list" | "package_cpus" | "package_cpus_list" | "die_cpus"
        | "die_cpus_list" => mask(k, file, &topology_core_cpumask(k, cpu)),
        _ if !k.sem.cluster_sysfs => return None,
        "cluster_cpus" | "cluster_cpus_list" => mask(k, file, k.topo.topology_cluster_cpumask(cpu)?),
        "cluster_id" => topology_cluster_id(k, cpu).to_string(),
        _ => return None,
    })
}

/// The folders of the caches.
pub(super) fn caches() -> Vec<String> {
    (0..CACHES.len()).map(|index| format!("index{index}")).collect()
}

/// A file of a cache of an online CPU, by its folder's name.
// DEVIATION: a machine file says which CPUs share an L2, and nothing else of caches: each core has its L1 here, there is no L3,
// and files of sizes and ways are not there.
pub(super) fn cache_file(k: &Kernel, cpu: CpuId, index: &str, file: &str) -> Option<String> {
    let index: usize = index.strip_prefix("index")?.parse().ok()?;
    let (level, kind) = *CACHES.get(index)?;
    // cache_shared_cpu_map_setup() asks CPUID alone: a CPU that does not tell shares with nobody.
    let told = k.topo.cpus[cpu.index()].l2.is_some();
    let shared = match level {
        _ if !told => CpuMask::of(cpu),
        1 => k.topo.siblings[cpu.index()].clone(),
        _ => k.topo.topology_cluster_cpumask(cpu)?.clone(),
    };
    Some(match file {
        "level" => level.to_string(),
        "type" => kind.to_owned(),
        "shared_cpu_list" => shared.list(),
        "shared_cpu_map" => shared.hex(k.topo.nr_cpu_ids),
        // get_cache_id(): the bits of the APIC ID above those of the CPUs that share it, offline ones too.
        "id" => {
            let here = &k.topo.cpus[cpu.index()];
            let shares = |other: &&CpuPlace| {
                (other.node, other.socket) == (here.node, here.socket)
                    && if level == 1 { other.core == here.core } else { other.l2 == here.l2 }
            };
            let threads = if told { k.topo.cpus.iter().filter(shares).count() } else { 1 };
            (here.apic_id.0 >> threads.next_power_of_two().trailing_zeros()).to_string()
        }
        _ => return None,
    })
}

/// A file of /sys/devices/system/node.
pub(super) fn nodes_file(k: &Kernel, file: &str) -> Option<String> {
    match file {
        "online" | "possible" => Some(CpuMask::first_n(k.topo.nr_node_ids).list()),
        "has_cpu" => {
            let nodes = (0..k.topo.nr_node_ids)
                .filter(|&node| !k.topo.node_cpus[node as usize].and(&k.topo.online).is_empty());
            Some(nodes.map(CpuId).collect::<CpuMask>().list())
        }
        _ => None,
    }
}

/// A file of a node, whose CPUs are given.
// DEVIATION: no machine has a table of distances (SLIT), so that every other node is as far.
pub(super) fn node_file(k: &Kernel, node: u32, cpus: &CpuMask, file: &str) -> Option<String> {
    let cpus = cpus.and(&k.topo.online);
    Some(match file {
        "cpulist" => cpus.list(),
        "cpumap" => cpus.hex(k.topo.nr_cpu_ids),
        "distance" => {
            let distance = |other| if other == node { LOCAL } else { REMOTE }.to_string();
            (0..k.topo.nr_node_ids).map(distance).collect::<Vec<_>>().join(" ")
        }
        _ => return None,
    })
}
