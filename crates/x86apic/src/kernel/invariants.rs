//! What must hold between two steps.

use kstate::apic::{ApicChipData, VectorIrq, isa_irq_vector};
use kstate::{CpuId, Irq, Kernel};

/// Every slot of `vector_irq` agrees with its chip data, every chip data with its slot and its bit
/// in the matrix, every cleanup list with its members, and the counters with what they count.
///
/// # Errors
/// Says which one does not, in words.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    slots_have_owners(k)?;
    owners_have_slots(k)?;
    cleanup_lists(k)?;
    counters(k)
}

/// Whether an interrupt is still the 8259's.
fn is_legacy(k: &Kernel, irq: Irq) -> bool {
    irq.0 < super::vector::nr_legacy_irqs() && k.apic.io_apic_irqs >> irq.0 & 1 == 0
}

fn slots_have_owners(k: &Kernel) -> Result<(), String> {
    for (cpu, data) in k.apic.cpus.iter().enumerate() {
        let cpu = CpuId(cpu as u32);
        for (vector, slot) in data.vector_irq.iter() {
            let VectorIrq::Desc(irq) = slot else { continue };
            let legacy = isa_irq_vector(irq.0) == vector;
            if is_legacy(k, irq) && legacy {
                continue;
            }
            let Some(a) = k.apic.apicd(irq) else {
                return Err(format!("vector_irq[{vector}] of CPU {cpu}: IRQ {irq} has no chip data"));
            };
            let owned = (a.vector, a.cpu) == (vector, cpu) || (a.prev_vector, a.prev_cpu) == (vector, cpu);
            if !owned && k.topo.is_online(cpu) {
                return Err(format!("vector_irq[{vector}] of CPU {cpu}: IRQ {irq} is elsewhere: {a:?}"));
            }
        }
    }
    Ok(())
}

fn owners_have_slots(k: &Kernel) -> Result<(), String> {
    for a in k.apic.chip_data.iter().flatten() {
        let ApicChipData {
            hw_irq_cfg: _,
            vector,
            prev_vector,
            cpu,
            prev_cpu,
            irq,
            clist,
            move_in_progress,
            is_managed: _,
            can_reserve: _,
            has_reserved: _,
        } = a;
        for (vector, cpu, old) in [(vector, cpu, false), (prev_vector, prev_cpu, true)] {
            if *vector == 0 || !k.topo.is_online(*cpu) {
                continue;
            }
            let slot = k.apic.vector_irq(*cpu, *vector);
            // Where a CPU that goes down completes only the moves of interrupts that stand there,
            // lapic_online() leaves the slot of an interrupt that was on its way elsewhere empty.
            let emptied = !k.sem.migrate_completes_move_first && slot == VectorIrq::Unused;
            // One that could not leave the CPU before that went, and that found its slot emptied.
            let stayed = || slot == VectorIrq::Unused && k.apic.cpus[cpu.index()].left_behind.test(*vector);
            // Where an interrupt in flight does not look twice it can empty a slot that was just filled:
            // only where interrupts are cut is there time for that.
            let raced = k.oracle.interleave && !k.sem.reevaluates_vector && slot == VectorIrq::Unused;
            let right = slot == VectorIrq::Desc(*irq) || old && emptied || raced || stayed();
            if !right {
                return Err(format!("IRQ {irq}: vector_irq[{vector}] of CPU {cpu} is not its own"));
            }
            if !k.vector_matrix.maps[cpu.index()].alloc_map.test(*vector) {
                return Err(format!("IRQ {irq}: bit {vector} of CPU {cpu} is free in the matrix"));
            }
        }
        if *clist && *move_in_progress {
            return Err(format!("IRQ {irq}: queued for cleanup before the move is finished"));
        }
        if (*clist || *move_in_progress) && *prev_vector == 0 {
            return Err(format!("IRQ {irq}: moves without a previous vector"));
        }
        if k.find_desc(*irq).is_none() {
            return Err(format!("IRQ {irq}: chip data without a descriptor"));
        }
    }
    Ok(())
}

fn cleanup_lists(k: &Kernel) -> Result<(), String> {
    let mut queued = 0;
    for (cpu, data) in k.apic.cpus.iter().enumerate() {
        for irq in &data.cleanup_list {
            queued += 1;
            if !k.apic.apicd(*irq).is_some_and(|a| a.clist && a.prev_cpu.index() == cpu) {
                return Err(format!("cleanup list of CPU {cpu}: IRQ {irq} does not know of it"));
            }
        }
    }
    let members = k.apic.chip_data.iter().flatten().filter(|a| a.clist).count();
    if members != queued {
        return Err(format!("{members} interrupts wait for cleanup, {queued} are on a list"));
    }
    Ok(())
}

fn counters(k: &Kernel) -> Result<(), String> {
    let m = &k.vector_matrix;
    let check_of = |what: &str, cpu: Option<usize>, counter: u32, counted: u32| {
        if counter == counted {
            return Ok(());
        }
        let of = cpu.map(|cpu| format!(" of CPU {cpu}")).unwrap_or_default();
        Err(format!("matrix: {what}{of} is {counter}, counted {counted}"))
    };
    let check = |what: &str, counter: u32, counted: u32| check_of(what, None, counter, counted);
    for (cpu, cm) in m.maps.iter().enumerate() {
        // Where irq_matrix_free() does not look at the bit, the counter may even have wrapped.
        let allocated = cm.allocated.wrapping_add(cm.freed_unallocated);
        check_of("allocated", Some(cpu), allocated, cm.alloc_map.weight())?;
        check_of("managed", Some(cpu), cm.managed, cm.managed_map.weight())?;
    }
    let online = || m.maps.iter().filter(|cm| cm.online);
    let available = online().fold(0, |sum: u32, cm| sum.wrapping_add(cm.available));
    let allocated = m.maps.iter().fold(0, |sum: u32, cm| sum.wrapping_add(cm.allocated));
    check("online_maps", m.online_maps, online().count() as u32)?;
    check("global_available", m.global_available, available)?;
    // Both releases lose count of what is freed on a CPU that has gone (irq_matrix_free()).
    check("total_allocated", m.total_allocated.wrapping_sub(m.freed_while_offline), allocated)?;
    let reserved = k.apic.chip_data.iter().flatten().filter(|a| a.has_reserved).count();
    check("global_reserved", m.global_reserved, reserved as u32)
}
