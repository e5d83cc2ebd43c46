//! What must hold in every state of the machine: each crate's own rules, and those between crates.
//!
//! A broken rule is a defect of the emulator, never of the emulated kernel: where a release is
//! known to lose count of something, the rule says what that release keeps.

use kstate::blk::Blk;
use kstate::hw::pci::PciFunction;
use kstate::irqdesc::{IRQD_IRQ_STARTED, IrqDesc};
use kstate::msi::MsiDesc;
use kstate::sched::TaskState;
use kstate::shared::{Shared, is_same_slot};
use kstate::{Irq, Kernel};

/// Checks everything.
///
/// # Errors
/// The first rule that is broken, in words.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    irqcore::irqdomain::check_invariants(k)?;
    x86apic::kernel::check_invariants(k)?;
    pcimsi::kernel::check_invariants(k)?;
    drivers::virtio::check_invariants(k)?;
    drivers::check_invariants(k)?;
    matrix_counters_agree(k)?;
    messages_point_at_vectors(k)?;
    tasks_agree(k)
}

/// As [`check_invariants`] for a machine that was a copy of `before`, which keeps all rules: those that look at nothing
/// that has changed since are left out.
///
/// # Errors
/// The first rule that is broken, in words.
pub fn check_invariants_since(k: &Kernel, before: &Kernel) -> Result<(), String> {
    let found = check_changed(k, before);
    debug_assert_eq!(found, check_invariants(k), "a rule looks at more than it says below");
    found
}

fn check_changed(k: &Kernel, before: &Kernel) -> Result<(), String> {
    let descs = descs_are_alike(k, before);
    let domains = k.irq.domains.is_same(&before.irq.domains);
    let chip_data = k.apic.chip_data == before.apic.chip_data;
    let matrix = k.vector_matrix.is_same(&before.vector_matrix);
    let functions = same_list(&k.hw.pci, &before.hw.pci);
    let msi = functions && k.msi.is_same(&before.msi);
    if !(descs && domains) {
        irqcore::irqdomain::check_invariants(k)?;
    }
    let vectors = k.apic.cpus == before.apic.cpus && k.apic.io_apic_irqs == before.apic.io_apic_irqs;
    if !(descs && chip_data && matrix && vectors && k.topo.is_same(&before.topo)) {
        x86apic::kernel::check_invariants(k)?;
    }
    if !(descs && domains && msi && k.pci.is_same(&before.pci)) {
        pcimsi::kernel::check_invariants(k)?;
    }
    let (virtio, old) = (&k.virtio, &before.virtio);
    let virtio = same_slots(&virtio.devs, &old.devs) && virtio.virtio_index_ida == old.virtio_index_ida;
    if !(virtio && same_list(&k.hw.virtio, &before.hw.virtio)) {
        drivers::virtio::check_invariants(k)?;
    }
    let nvme = same_list(&k.nvme.devs, &before.nvme.devs) && same_list(&k.hw.nvme, &before.hw.nvme);
    if !(nvme && same_requests(&k.blk, &before.blk)) {
        drivers::check_invariants(k)?;
    }
    if !matrix {
        matrix_counters_agree(k)?;
    }
    if !(descs && chip_data && msi && k.hw.vtd.table.is_same(&before.hw.vtd.table)) {
        messages_point_at_vectors(k)?;
    }
    tasks_agree(k)
}

fn same_list<T>(list: &[Shared<T>], before: &[Shared<T>]) -> bool {
    list.len() == before.len() && list.iter().zip(before).all(|(value, before)| value.is_same(before))
}

fn same_slots<T>(slots: &[Option<Shared<T>>], before: &[Option<Shared<T>>]) -> bool {
    slots.len() == before.len() && slots.iter().zip(before).all(|(slot, before)| is_same_slot(slot, before))
}

/// What the rules of others look at is the same in all descriptors: the hierarchy, the MSI descriptor, and whether the
/// interrupt was started.
fn descs_are_alike(k: &Kernel, before: &Kernel) -> bool {
    let (descs, before) = (&k.irq.descs, &before.irq.descs);
    let looks = |desc: &Shared<IrqDesc>| (desc.irq_common_data.msi_desc, desc.has(IRQD_IRQ_STARTED));
    let alike = |descs: (&Option<Shared<IrqDesc>>, &Option<Shared<IrqDesc>>)| match descs {
        (Some(desc), Some(before)) => {
            desc.is_same(before) || looks(desc) == looks(before) && desc.irq_data == before.irq_data
        }
        (desc, before) => desc.is_none() && before.is_none(),
    };
    descs.len() == before.len() && descs.iter().zip(before).all(alike)
}

fn same_requests(blk: &Blk, before: &Blk) -> bool {
    let Blk { tag_sets, queues, disks: _, requests, blk_cpu_done, softirq_pending } = blk;
    requests.is_same(&before.requests)
        && same_slots(tag_sets, &before.tag_sets)
        && same_slots(queues, &before.queues)
        && (blk_cpu_done, softirq_pending) == (&before.blk_cpu_done, &before.softirq_pending)
}

/// Every vector of a CPU is available, kept back, allocated or the system's, but for those that
/// both releases lose count of when managed interrupts come and go while the CPU is offline.
fn matrix_counters_agree(k: &Kernel) -> Result<(), String> {
    let m = &k.vector_matrix;
    for (cpu, cm) in m.maps.iter().enumerate().filter(|(_, cm)| cm.initialized) {
        if cm.managed_allocated > cm.managed {
            let (taken, kept) = (cm.managed_allocated, cm.managed);
            return Err(format!("CPU {cpu}: {taken} of {kept} managed vectors are allocated"));
        }
        let plain = cm.allocated.wrapping_sub(cm.managed_allocated);
        let known = cm.available.wrapping_add(cm.managed).wrapping_add(plain);
        let known = known.wrapping_sub(cm.managed_while_offline);
        if known.wrapping_add(m.systembits_inalloc) != m.alloc_size {
            return Err(format!(
                "CPU {cpu}: {} available, {} managed, {plain} allocated and {} system vectors are not {}",
                cm.available, cm.managed, m.systembits_inalloc, m.alloc_size
            ));
        }
    }
    Ok(())
}

/// An MSI-X entry that may send, of an interrupt that was started, sends the vector that the
/// interrupt's chip data names.
fn messages_point_at_vectors(k: &Kernel) -> Result<(), String> {
    for (_, desc) in k.msi.descs.iter() {
        if let (Some(irq), Some(function)) = (desc.irq, k.hw.pci.get(desc.dev.index())) {
            check_message(k, irq, desc, function).map_err(|e| format!("irq {irq}: {e}"))?;
        }
    }
    Ok(())
}

fn check_message(k: &Kernel, irq: Irq, desc: &MsiDesc, function: &PciFunction) -> Result<(), String> {
    let Some(msix) = function.msix.as_ref().filter(|msix| desc.is_msix && msix.enable && !msix.function_mask)
    else {
        return Ok(());
    };
    let started = k.find_desc(irq).is_some_and(|d| d.has(IRQD_IRQ_STARTED));
    let entry = msix.table.get(usize::from(desc.entry_nr)).filter(|entry| entry.vector_control & 1 == 0);
    let (Some(entry), Some(apicd), true) = (entry, k.apic.apicd(irq), started) else { return Ok(()) };
    // Remappable format (VT-d 5.1.2.2): the address holds an index, and the entry there the vector.
    let vector = if entry.address_lo >> 4 & 1 != 0 {
        let handle = entry.address_lo >> 5 & 0x7fff | (entry.address_lo >> 2 & 1) << 15;
        let sub = if entry.address_lo >> 3 & 1 != 0 { entry.data & 0xffff } else { 0 };
        match k.hw.vtd.table.get((handle + sub) as usize) {
            Some(irte) if irte.present() != 0 => irte.vector(),
            _ => return Err(format!("its message names remapping entry {}, which is empty", handle + sub)),
        }
    } else {
        entry.data & 0xff
    };
    if vector == apicd.hw_irq_cfg.vector && vector == apicd.vector {
        return Ok(());
    }
    Err(format!(
        "its message has vector {vector}, the chip data {} and {}",
        apicd.hw_irq_cfg.vector, apicd.vector
    ))
}

/// A task has frames exactly while it is not done.
fn tasks_agree(k: &Kernel) -> Result<(), String> {
    for (id, task) in k.sched.tasks.iter().enumerate() {
        let done = matches!(task.state, TaskState::Done(_));
        // The task that runs right now has lent its frames to the engine.
        let runs = k.cur.task.is_some_and(|t| t.index() == id);
        if done != task.frames.is_empty() && !runs {
            return Err(format!(
                "task {id} ({:?}) is {:?} with {} frames",
                task.kind,
                task.state,
                task.frames.len()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_machine_breaks_no_rule() {
        assert_eq!(check_invariants(&Kernel::default()), Ok(()));
    }

    #[test]
    fn a_counter_that_disagrees_with_its_map_is_found() {
        let vector_matrix = Shared::new(kstate::matrix::IrqMatrix::new(256, 32, 236, 1));
        let mut k = Kernel { vector_matrix, ..Kernel::default() };
        assert_eq!(matrix_counters_agree(&k), Ok(()));
        k.vector_matrix.maps[0].initialized = true;
        k.vector_matrix.maps[0].available = 203;
        let found = "CPU 0: 203 available, 0 managed, 0 allocated and 0 system vectors are not 204";
        assert_eq!(matrix_counters_agree(&k), Err(found.to_owned()));
    }
}
