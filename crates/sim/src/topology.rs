//! Which CPUs of a machine the kernel counts.
//!
//! C files: arch/x86/kernel/cpu/topology.c of 6.12; `prefill_possible_map()` in
//! arch/x86/kernel/smpboot.c and `generic_processor_info()` in arch/x86/kernel/apic/apic.c of 5.4.

use kstate::sorted::SortedMap;
use kstate::topology::{CpuPlace, Topology};
use kstate::{CpuMask, Kernel, NodeId};

use crate::machine::Machine;

/// How many CPUs there are for the kernel: present ones, and those that may come. CPU numbers are in
/// the order of the firmware's list, which begins with the CPUs that are there.
struct Counted {
    /// The machine's numbers of the CPUs that are there.
    present: Vec<u32>,
    /// `nr_cpu_ids`.
    possible: u32,
}

/// Reads the firmware's list of CPUs with the limits of the command line, and gives every CPU that
/// may exist its place. None is online.
pub fn init_possible_cpus(k: &mut Kernel, machine: &Machine) -> Topology {
    let Counted { present, possible } =
        if k.sem.topology_counts_apics { count_apics(k, machine) } else { prefill_possible_map(k, machine) };
    let nodes = machine.nodes.len() as u32;
    // Numbers behind those of the present CPUs go to the machine's other CPUs, in their order.
    let absent = (0..machine.possible).filter(|cpu| !present.contains(cpu) || *cpu >= machine.present);
    let mut numbers = present.iter().copied().chain(absent.filter(|cpu| *cpu >= machine.present));
    let cpus = (0..possible)
        .map(|number| {
            // possible_cpus= makes CPUs that no firmware knows: numa_init_array() deals them out as well.
            let unknown = CpuPlace { node: NodeId(number % nodes), ..CpuPlace::default() };
            numbers.next().map_or(unknown, |cpu| machine.place(cpu))
        })
        .collect();
    Topology {
        cpus,
        nr_cpu_ids: possible,
        nr_node_ids: nodes,
        possible: CpuMask::first_n(possible),
        present: CpuMask::first_n((present.len() as u32).min(possible)),
        online: CpuMask::new(),
        active: CpuMask::new(),
        node_cpus: vec![CpuMask::new(); machine.nodes.len()],
        siblings: vec![CpuMask::new(); possible as usize],
        core_cpus: SortedMap::default(),
        clusters: Vec::new(),
        l2_cpus: SortedMap::default(),
        hypervisor: machine.hypervisor,
    }
}

/// 6.12: `topology_apply_cmdline_limits_early()`, `topology_register_apic()` for every entry of the
/// firmware's list, `topology_init_possible_cpus()`.
fn count_apics(k: &mut Kernel, machine: &Machine) -> Counted {
    let mut nr_cpu_ids = k.params.nr_cpu_ids;
    let mut possible = nr_cpu_ids;
    if k.params.setup_max_cpus == 0 || k.apic.apic_is_disabled {
        possible = 1;
    }
    possible = possible.min(k.params.possible_cpus.unwrap_or(u32::MAX));
    if possible < nr_cpu_ids {
        k.log.push(format!("CPU topo: Limiting to {possible} possible CPUs"));
        nr_cpu_ids = possible;
    }
    // On bare hardware only CPUs that are there are listed; see acpi_is_processor_usable().
    let listed = if absent_cpus_possible(k, machine) { machine.possible } else { machine.present };
    let (mut assigned, mut disabled) = (1, 0);
    let mut limit_said = false;
    for cpu in 1..listed {
        if assigned >= nr_cpu_ids {
            if !limit_said {
                k.log.push(format!("CPU topo: CPU limit of {nr_cpu_ids} reached. Ignoring further CPUs"));
            }
            limit_said = true;
        } else if cpu < machine.present {
            assigned += 1;
        } else {
            disabled += 1;
        }
    }
    let allowed = nr_cpu_ids.min(assigned + disabled);
    Counted { present: (0..assigned.min(allowed)).collect(), possible: allowed }
}

/// Whether CPUs that the firmware lists as not there may come: `acpi_is_processor_usable()`.
fn absent_cpus_possible(k: &Kernel, machine: &Machine) -> bool {
    k.sem.madt_absent_cpus_possible || machine.hypervisor
}

/// 5.4: `generic_processor_info()` for every CPU that is there, then `prefill_possible_map()`.
fn prefill_possible_map(k: &mut Kernel, machine: &Machine) -> Counted {
    let nr_cpu_ids = k.params.nr_cpu_ids;
    let (mut present, mut disabled) = (Vec::new(), 0);
    let listed = if absent_cpus_possible(k, machine) { machine.possible } else { machine.present };
    for cpu in 0..listed {
        let apicid = machine.place(cpu).apic_id.0;
        if cpu >= machine.present {
            disabled += 1;
        } else if cpu > 0 && k.params.disabled_cpu_apicid == Some(apicid) {
            let number = present.len() as u32 + disabled;
            k.log.push(format!("APIC: Disabling requested cpu. Processor {number}/0x{apicid:x} ignored."));
            disabled += 1;
        } else if present.len() as u32 >= nr_cpu_ids {
            k.log.push(format!(
                "APIC: NR_CPUS/possible_cpus limit of {nr_cpu_ids} reached. Processor {}/0x{apicid:x} ignored.",
                nr_cpu_ids + disabled
            ));
            disabled += 1;
        } else {
            present.push(cpu);
        }
    }
    let processors = present.len() as u32;
    let mut possible = match k.params.possible_cpus {
        Some(n) => n,
        None if k.params.setup_max_cpus != 0 => processors + disabled,
        None => processors,
    };
    if possible > nr_cpu_ids {
        k.log.push(format!("smpboot: {possible} Processors exceeds NR_CPUS limit of {nr_cpu_ids}"));
        possible = nr_cpu_ids;
    }
    if k.params.setup_max_cpus == 0 && possible > 1 {
        k.log.push(format!("smpboot: {possible} Processors exceeds max_cpus limit of 0"));
        possible = 1;
    }
    // With neither local APIC nor SMP, disable_smp() takes the others away later.
    if k.apic.apic_is_disabled {
        possible = 1;
    }
    present.truncate(possible as usize);
    Counted { present, possible }
}
