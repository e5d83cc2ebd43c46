//! Vectors: the root of the interrupt hierarchy.
//!
//! Follows arch/x86/kernel/apic/vector.c of 5.4 and 6.12. The vector lock is not modelled: every
//! section under it runs in one go.

use std::fmt::Write as _;

use irqcore::irqdesc::{irq_get_nr_irqs, irq_set_nr_irqs};
use irqcore::irqdomain::{
    irq_domain_alloc_named_fwnode, irq_domain_create_tree, irq_domain_get_irq_data,
    irq_domain_reset_irq_data, irq_set_default_host,
};
use irqcore::matrix::{
    irq_alloc_matrix, irq_matrix_alloc, irq_matrix_alloc_managed, irq_matrix_allocated, irq_matrix_assign,
    irq_matrix_assign_system, irq_matrix_available, irq_matrix_debug_show, irq_matrix_free,
    irq_matrix_offline, irq_matrix_online, irq_matrix_remove_managed, irq_matrix_remove_reserved,
    irq_matrix_reserve, irq_matrix_reserve_managed, irq_matrix_reserved,
};
use irqcore::migration::irq_move_irq;
use kfn::kfn;
use kstate::apic::{
    ApicChipData, ApicDriver, FIRST_EXTERNAL_VECTOR, IRQ_MOVE_CLEANUP_VECTOR, IrqCfg,
    MANAGED_IRQ_SHUTDOWN_VECTOR, NR_IRQS_LEGACY, NR_VECTORS, PIC_CASCADE_IR, VectorIrq, isa_irq_vector,
};
use kstate::event::Event;
use kstate::irqchip::{IrqChip, SetMask};
use kstate::irqdesc::{
    ChipData, IRQD_ACTIVATED, IRQD_AFFINITY_MANAGED, IRQD_AFFINITY_ON_ACTIVATE, IRQD_CAN_RESERVE,
    IRQD_HANDLE_ENFORCE_IRQCTX, IRQD_MANAGED_SHUTDOWN, IRQD_SINGLE_TARGET, Irqd,
};
use kstate::irqdomain::{IrqAllocInfo, IrqDomainOps};
use kstate::msi::MsiMsg;
use kstate::semantics::{MsiDomains, VectorCleanup};
use kstate::trace::Tracepoint;
use kstate::{CpuId, CpuMask, DomainId, Errno, Irq, Kernel};

use super::apic::{
    __apic_send_IPI, __apic_send_IPI_self, __irq_msi_compose_msg, ack_APIC_irq, apic_default_calc_apicid,
    apic_flat_calc_apicid, is_vector_pending,
};

mod cleanup;

pub use cleanup::*;

/// `nr_legacy_irqs()`: this PC always has its 8259 pair.
pub const fn nr_legacy_irqs() -> u32 {
    NR_IRQS_LEGACY
}

/// Takes the vector lock, which keeps the set of online CPUs still.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn lock_vector_lock(k: &mut Kernel) {
    let cpu = k.cpu();
    if k.apic.vector_lock.replace(cpu) == Some(cpu) {
        // A real CPU spins for ever.
        k.pr_warn(format!("irqlab: BUG: CPU {cpu} takes vector_lock twice"));
    }
}

/// Drops the vector lock.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn unlock_vector_lock(k: &mut Kernel) {
    k.apic.vector_lock = None;
}

/// An empty request, for vectors on any of the CPUs in `mask`.
pub fn init_irq_alloc_info(mask: Option<&CpuMask>) -> IrqAllocInfo {
    IrqAllocInfo { mask: mask.cloned(), node: -1, ..IrqAllocInfo::default() }
}

/// `irqd_cfg()`: what the hardware was told about an interrupt.
pub fn irqd_cfg(k: &Kernel, irq: Irq) -> Option<IrqCfg> {
    k.apic.apicd(irq).map(|a| *a.hw_irq_cfg)
}

/// A copy of the chip data of an interrupt that has some.
fn apic_chip_data(k: &Kernel, irq: Irq) -> ApicChipData {
    k.apic.apicd(irq).cloned().expect("an interrupt of the vector domain has chip data")
}

/// Makes room for the chip data of an interrupt.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn alloc_apic_chip_data(k: &mut Kernel, node: i32) -> ApicChipData {
    let _ = (k, node);
    ApicChipData::default()
}

/// Gives it back.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn free_apic_chip_data(k: &mut Kernel, irq: Irq) {
    k.apic.chip_data[irq.index()] = None;
}

/// Decides what the hardware will be told.
#[kfn("arch/x86/kernel/apic/vector.c")]
#[expect(clippy::disallowed_methods, reason = "the only writer of hw_irq_cfg")]
fn apic_update_irq_cfg(k: &mut Kernel, irqd: Irqd, vector: u32, cpu: CpuId) {
    let dest_apicid = match k.apic.driver {
        ApicDriver::Flat => apic_flat_calc_apicid(cpu),
        ApicDriver::Physflat | ApicDriver::X2apicPhys => apic_default_calc_apicid(k, cpu),
    };
    k.apic.apicd_mut(irqd.irq).hw_irq_cfg.set(IrqCfg { dest_apicid, vector });
    k.desc_mut(irqd.irq).irq_common_data.effective_affinity = CpuMask::of(cpu);
    k.tp(Tracepoint::VectorConfig { irq: irqd.irq, vector, cpu, apicdest: dest_apicid });
}

/// Takes a vector away from a CPU. An APIC driver that has an `update_vector` callback would learn of it.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn apic_free_vector(k: &mut Kernel, cpu: CpuId, vector: u32, managed: bool) {
    irq_matrix_free(k, cpu, vector, managed);
}

/// [`apic_free_vector`] where this kernel has it, which only frees.
fn free_vector(k: &mut Kernel, cpu: CpuId, vector: u32, managed: bool) {
    if k.sem.chip_data_update {
        apic_free_vector(k, cpu, vector, managed);
    } else {
        irq_matrix_free(k, cpu, vector, managed);
    }
}

/// Moves an interrupt to a new vector, keeps the old one for cleanup, and tells the chip (6.18).
#[kfn("arch/x86/kernel/apic/vector.c")]
fn chip_data_update(k: &mut Kernel, irqd: Irqd, newvec: u32, newcpu: CpuId) {
    let warning = "WARNING: at arch/x86/kernel/apic/vector.c chip_data_update";
    let bug = "kernel BUG at arch/x86/kernel/apic/vector.c chip_data_update";
    take_vector(k, irqd, newvec, newcpu, [warning, bug]);
    apic_update_irq_cfg(k, irqd, newvec, newcpu);
}

/// Moves an interrupt to a new vector, and keeps the old one for cleanup (until 6.17).
#[kfn("arch/x86/kernel/apic/vector.c")]
fn apic_update_vector(k: &mut Kernel, irqd: Irqd, newvec: u32, newcpu: CpuId) {
    let warning = "WARNING: at arch/x86/kernel/apic/vector.c apic_update_vector";
    let bug = "kernel BUG at arch/x86/kernel/apic/vector.c apic_update_vector";
    take_vector(k, irqd, newvec, newcpu, [warning, bug]);
}

/// Gives an interrupt the vector that the matrix chose, and the chip the configuration that belongs to it.
fn update(k: &mut Kernel, irqd: Irqd, newvec: u32, newcpu: CpuId) {
    if k.sem.chip_data_update {
        chip_data_update(k, irqd, newvec, newcpu);
    } else {
        apic_update_vector(k, irqd, newvec, newcpu);
        apic_update_irq_cfg(k, irqd, newvec, newcpu);
    }
}

/// What [`chip_data_update`] and [`apic_update_vector`] have in common; the last two are how they warn.
fn take_vector(k: &mut Kernel, irqd: Irqd, newvec: u32, newcpu: CpuId, [warning, bug]: [&'static str; 2]) {
    let irq = irqd.irq;
    let managed = k.desc(irq).has(IRQD_AFFINITY_MANAGED);
    let ApicChipData { vector, cpu, .. } = apic_chip_data(k, irq);
    k.tp(Tracepoint::VectorUpdate { irq, vector: newvec, cpu: newcpu, prev_vector: vector, prev_cpu: cpu });

    // Nothing was assigned, or only the stand-in of an interrupt that is shut down.
    k.apic.apicd_mut(irq).prev_vector = 0;
    if vector != 0 && vector != MANAGED_IRQ_SHUTDOWN_VECTOR {
        if k.topo.is_online(cpu) {
            // The old CPU can still get one: wait for the first interrupt on the new vector.
            let apicd = k.apic.apicd_mut(irq);
            apicd.move_in_progress = true;
            (apicd.prev_vector, apicd.prev_cpu) = (vector, cpu);
            if k.sem.vector_cleanup == VectorCleanup::Timer && cpu == newcpu {
                k.warn_once(warning);
            }
        } else {
            free_vector(k, cpu, vector, managed);
        }
    }

    (k.apic.apicd_mut(irq).vector, k.apic.apicd_mut(irq).cpu) = (newvec, newcpu);
    if matches!(k.apic.vector_irq(newcpu, newvec), VectorIrq::Desc(_)) {
        k.bug(bug);
    }
    k.apic.set_vector_irq(newcpu, newvec, VectorIrq::Desc(irq));
}

/// Tells the hardware a vector that nobody handles.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn vector_assign_managed_shutdown(k: &mut Kernel, irqd: Irqd) {
    let cpu = k.topo.online.first().unwrap_or_default();
    apic_update_irq_cfg(k, irqd, MANAGED_IRQ_SHUTDOWN_VECTOR, cpu);
}

/// Reserves a vector on every CPU of a managed interrupt's affinity.
///
/// # Errors
/// `ENOSPC` when a CPU has none left.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn reserve_managed_vector(k: &mut Kernel, irqd: Irqd) -> Result<(), Errno> {
    let affmsk = k.desc(irqd.irq).irq_common_data.affinity.clone();
    k.apic.apicd_mut(irqd.irq).is_managed = true;
    let ret = irq_matrix_reserve_managed(k, &affmsk);
    k.tp(Tracepoint::VectorReserveManaged { irq: irqd.irq, ret: code(&ret) });
    ret
}

/// Reserves a vector without saying where.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn reserve_irq_vector_locked(k: &mut Kernel, irqd: Irqd) {
    irq_matrix_reserve(k);
    let apicd = k.apic.apicd_mut(irqd.irq);
    apicd.can_reserve = true;
    apicd.has_reserved = true;
    k.desc_mut(irqd.irq).set(IRQD_CAN_RESERVE);
    k.tp(Tracepoint::VectorReserve { irq: irqd.irq, ret: 0 });
    vector_assign_managed_shutdown(k, irqd);
}

/// Reserves a vector without saying where, under the lock.
///
/// # Errors
/// None; C returns 0.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn reserve_irq_vector(k: &mut Kernel, irqd: Irqd) -> Result<(), Errno> {
    reserve_irq_vector_locked(k, irqd);
    Ok(())
}

/// Gives an unmanaged interrupt a vector on one of the CPUs in `dest`, unless it has one there.
///
/// # Errors
/// `EBUSY` while the last move is not finished; what `irq_matrix_alloc` says.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn assign_vector_locked(k: &mut Kernel, irqd: Irqd, dest: &CpuMask) -> Result<(), Errno> {
    let apicd = k.apic.apicd_mut(irqd.irq);
    let resvd = apicd.has_reserved;
    let mut cpu = apicd.cpu;
    let vector = apicd.vector;
    let moving = apicd.move_in_progress || apicd.clist;

    // It already is where it should be.
    if vector != 0 && k.topo.is_online(cpu) && dest.contains(cpu) {
        return Ok(());
    }

    // A second move would leave a stale vector behind, or corrupt the cleanup list.
    if moving {
        return Err(Errno::EBUSY);
    }

    let ret = match boot_placement(k, irqd.irq, dest) {
        Some((at, own)) => {
            let set_aside = own.map(|place| (place, k.vector_matrix.set_aside.remove(place)));
            let ret = irq_matrix_alloc(k, &CpuMask::of(at), resvd, &mut cpu);
            if let Some((place, bit)) = set_aside {
                k.vector_matrix.set_aside.insert(place, bit);
            }
            ret
        }
        None => irq_matrix_alloc(k, dest, resvd, &mut cpu),
    };
    k.tp(Tracepoint::VectorAlloc {
        irq: irqd.irq,
        vector: ret.unwrap_or(0),
        reserved: resvd,
        ret: code(&ret),
    });
    let vector = ret?;
    update(k, irqd, vector, cpu);
    Ok(())
}

/// Where boot puts an interrupt that the machine file lists: on the CPU that is listed, and there in
/// the lowest vector that is not set aside for another interrupt. With everything that is listed set
/// aside, that is the listed vector in the end; an interrupt that is requested only to be tried out
/// may have stood lower. Vector 0 is listed for an interrupt of which only the CPU is known. Answers the CPU,
/// and where the list of what is set aside has the interrupt's own.
// DEVIATION: drivers probe in parallel at boot, so the order of their requests is a race whose
// outcome is an input.
fn boot_placement(k: &Kernel, irq: Irq, dest: &CpuMask) -> Option<(CpuId, Option<usize>)> {
    if !k.apic.booting {
        return None;
    }
    let &(cpu, listed) = k.apic.boot_placement.get(&irq.0)?;
    let m = &k.vector_matrix;
    let cm = m.maps.get(cpu.index())?;
    let mut taken = cm.managed_map.or(&m.system_map).or(&cm.alloc_map);
    m.set_aside.iter().filter(|&&at| at.0 == cpu && at != (cpu, listed)).for_each(|(_, bit)| taken.set(*bit));
    let bit = taken.find_next_zero_area(m.alloc_end, m.alloc_start, 1);
    let own = m.set_aside.iter().position(|&at| at == (cpu, listed));
    (cm.online && bit < m.alloc_end && dest.contains(cpu)).then_some((cpu, own))
}

/// Gives an interrupt a vector on one of the online CPUs in `dest`.
///
/// # Errors
/// Those of [`assign_vector_locked`].
#[kfn("arch/x86/kernel/apic/vector.c")]
fn assign_irq_vector(k: &mut Kernel, irqd: Irqd, dest: &CpuMask) -> Result<(), Errno> {
    let searchmask = dest.and(&k.topo.online);
    assign_vector_locked(k, irqd, &searchmask)
}

/// Gives an interrupt a vector, near its node if possible, within its affinity if possible.
///
/// # Errors
/// Those of the last attempt.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn assign_irq_vector_any_locked(k: &mut Kernel, irqd: Irqd) -> Result<(), Errno> {
    let common = &k.desc(irqd.irq).irq_common_data;
    let affmsk = common.affinity.clone();
    // A node without a map has no CPUs.
    let node =
        usize::try_from(common.node).ok().map(|node| k.topo.node_cpus.get(node).cloned().unwrap_or_default());

    if let Some(node) = &node {
        if assign_vector_locked(k, irqd, &node.and(&affmsk)).is_ok() {
            return Ok(());
        }
        if !k.sem.any_vector_node_last && assign_vector_locked(k, irqd, node).is_ok() {
            return Ok(());
        }
    }

    let searchmask = affmsk.and(&k.topo.online);
    if assign_vector_locked(k, irqd, &searchmask).is_ok() {
        return Ok(());
    }

    if let Some(node) = &node
        && k.sem.any_vector_node_last
        && assign_vector_locked(k, irqd, node).is_ok()
    {
        return Ok(());
    }

    let online = k.topo.online.clone();
    assign_vector_locked(k, irqd, &online)
}

/// What a new interrupt gets: managed reservations, a vector right now, or one reservation.
///
/// # Errors
/// Those of the way it goes.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn assign_irq_vector_policy(k: &mut Kernel, irqd: Irqd, info: &IrqAllocInfo) -> Result<(), Errno> {
    if k.desc(irqd.irq).has(IRQD_AFFINITY_MANAGED) {
        return reserve_managed_vector(k, irqd);
    }
    if let Some(mask) = &info.mask {
        return assign_irq_vector(k, irqd, mask);
    }
    reserve_irq_vector(k, irqd)
}

/// Takes one of a managed interrupt's reserved vectors, on a CPU in `dest`.
///
/// # Errors
/// Those of `irq_matrix_alloc_managed`.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn assign_managed_vector(k: &mut Kernel, irqd: Irqd, dest: &CpuMask) -> Result<(), Errno> {
    let mut searchmask = dest.and(&k.desc(irqd.irq).irq_common_data.affinity);
    if k.apic.booting
        && let Some(&(cpu, _)) = k.apic.boot_placement.get(&irqd.irq.0)
        && searchmask.contains(cpu)
        && k.topo.is_online(cpu)
    {
        searchmask = CpuMask::of(cpu);
    }
    let apicd = k.apic.apicd_mut(irqd.irq);

    // set_affinity may have nothing to do.
    if apicd.vector != 0 && searchmask.contains(apicd.cpu) {
        return Ok(());
    }
    let mut cpu = CpuId::default();
    let ret = irq_matrix_alloc_managed(k, &searchmask, &mut cpu);
    k.tp(Tracepoint::VectorAllocManaged { irq: irqd.irq, vector: ret.unwrap_or(0), ret: code(&ret) });
    let vector = ret?;
    update(k, irqd, vector, cpu);
    Ok(())
}

/// Frees an interrupt's vector, and the one before it.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn clear_irq_vector(k: &mut Kernel, irqd: Irqd) {
    let irq = irqd.irq;
    let managed = k.desc(irq).has(IRQD_AFFINITY_MANAGED);
    let ApicChipData { vector, cpu, prev_vector, prev_cpu, .. } = *k.apic.apicd_mut(irq);
    if vector == 0 {
        return;
    }
    k.tp(Tracepoint::VectorClear { irq, vector, cpu, prev_vector, prev_cpu });

    k.apic.set_vector_irq(cpu, vector, VectorIrq::Shutdown);
    free_vector(k, cpu, vector, managed);
    k.apic.apicd_mut(irq).vector = 0;

    // A move in progress has a second one.
    if prev_vector == 0 {
        return;
    }
    k.apic.set_vector_irq(prev_cpu, prev_vector, VectorIrq::Shutdown);
    free_vector(k, prev_cpu, prev_vector, managed);
    let apicd = k.apic.apicd_mut(irq);
    apicd.prev_vector = 0;
    apicd.move_in_progress = false;
    hlist_del_init(k, irq);
}

/// Takes an interrupt off its cleanup list.
fn hlist_del_init(k: &mut Kernel, irq: Irq) {
    let apicd = k.apic.apicd_mut(irq);
    if core::mem::take(&mut apicd.clist) {
        let cpu = apicd.prev_cpu;
        k.apic.cpu_mut(cpu).cleanup_list.retain(|i| *i != irq);
    }
}

/// Gives an interrupt's vector back and returns to the reservation.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn x86_vector_deactivate(k: &mut Kernel, dom: DomainId, irqd: Irqd) {
    let _ = dom;
    let ApicChipData { is_managed, can_reserve, has_reserved, .. } = *k.apic.apicd_mut(irqd.irq);
    k.tp(Tracepoint::VectorDeactivate { irq: irqd.irq, is_managed, can_reserve, reserve: false });

    // A fixed vector stays, and a reservation is all there is.
    if !is_managed && !can_reserve || has_reserved {
        return;
    }

    clear_irq_vector(k, irqd);
    if k.apic.apicd_mut(irqd.irq).can_reserve {
        reserve_irq_vector_locked(k, irqd);
    } else {
        vector_assign_managed_shutdown(k, irqd);
    }
}

/// Turns a reservation into a vector.
///
/// # Errors
/// Those of [`assign_irq_vector_any_locked`].
#[kfn("arch/x86/kernel/apic/vector.c")]
fn activate_reserved(k: &mut Kernel, irqd: Irqd) -> Result<(), Errno> {
    let ret = assign_irq_vector_any_locked(k, irqd);
    if ret.is_ok() {
        // The core may have switched reservation off after the allocation.
        let can_reserve = k.desc(irqd.irq).has(IRQD_CAN_RESERVE);
        let apicd = k.apic.apicd_mut(irqd.irq);
        apicd.has_reserved = false;
        apicd.can_reserve &= can_reserve;
    }

    let common = &k.desc(irqd.irq).irq_common_data;
    if !common.effective_affinity.is_subset(&common.affinity) {
        k.pr_warn(format!("irq {}: Affinity broken due to vector space exhaustion.", irqd.irq));
    }
    ret
}

/// Takes one of a managed interrupt's vectors for the CPUs that are online.
///
/// # Errors
/// `EINVAL` when none of its CPUs is; `ENOSPC` when the reservation is broken.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn activate_managed(k: &mut Kernel, irqd: Irqd) -> Result<(), Errno> {
    let searchmask = k.desc(irqd.irq).irq_common_data.affinity.and(&k.topo.online);
    if searchmask.is_empty() {
        // C says in front of the second line that it should not happen.
        k.warn_once("WARNING: at arch/x86/kernel/apic/vector.c activate_managed");
        k.pr_warn(format!("Managed startup for irq {}, but no CPU", irqd.irq));
        return Err(Errno::EINVAL);
    }
    let ret = assign_managed_vector(k, irqd, &searchmask);
    if ret.is_err() {
        k.warn_once("WARNING: at arch/x86/kernel/apic/vector.c activate_managed");
        k.pr_warn(format!("Managed startup irq {}, no vector available", irqd.irq));
    }
    ret
}

/// Gives an interrupt the vector it was promised.
///
/// # Errors
/// Those of [`activate_managed`] and [`activate_reserved`].
#[kfn("arch/x86/kernel/apic/vector.c")]
fn x86_vector_activate(k: &mut Kernel, dom: DomainId, irqd: Irqd, reserve: bool) -> Result<(), Errno> {
    let _ = dom;
    let ApicChipData { is_managed, can_reserve, has_reserved, .. } = *k.apic.apicd_mut(irqd.irq);
    k.tp(Tracepoint::VectorActivate { irq: irqd.irq, is_managed, can_reserve, reserve });

    if !can_reserve && !is_managed {
        if k.sem.activate_assigns_fixed {
            // C ignores the result: a fixed vector is good enough.
            let _ = assign_irq_vector_any_locked(k, irqd);
        }
        return Ok(());
    }
    if reserve || k.desc(irqd.irq).has(IRQD_MANAGED_SHUTDOWN) {
        vector_assign_managed_shutdown(k, irqd);
        Ok(())
    } else if is_managed {
        activate_managed(k, irqd)
    } else if has_reserved {
        activate_reserved(k, irqd)
    } else {
        Ok(())
    }
}

/// Gives reservations back.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn vector_free_reserved_and_managed(k: &mut Kernel, irqd: Irqd) {
    let dest = k.desc(irqd.irq).irq_common_data.affinity.clone();
    let ApicChipData { is_managed, has_reserved, .. } = *k.apic.apicd_mut(irqd.irq);
    k.tp(Tracepoint::VectorTeardown { irq: irqd.irq, is_managed, has_reserved });

    if has_reserved {
        irq_matrix_remove_reserved(k);
    }
    if is_managed {
        irq_matrix_remove_managed(k, &dest);
    }
}

/// Frees all that interrupts have of the vector domain.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn x86_vector_free_irqs(k: &mut Kernel, domain: DomainId, virq: Irq, nr_irqs: u32) {
    for i in 0..nr_irqs {
        let irq = Irq(virq.0 + i);
        let Some(irqd) = irq_domain_get_irq_data(k, domain, irq) else { continue };
        if k.irqd(irqd).chip_data == ChipData::None {
            continue;
        }
        clear_irq_vector(k, irqd);
        vector_free_reserved_and_managed(k, irqd);
        irq_domain_reset_irq_data(k, irqd);
        free_apic_chip_data(k, irq);
    }
}

/// Takes a legacy interrupt over from the 8259. True if it needs a new vector.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn vector_configure_legacy(k: &mut Kernel, virq: Irq, irqd: Irqd) -> bool {
    let vector = isa_irq_vector(virq.0);
    let apicd = k.apic.apicd_mut(virq);
    apicd.vector = vector;
    apicd.cpu = CpuId(0);

    // One that is in use, which is the timer, has to stay where it is.
    if k.desc(virq).has(IRQD_ACTIVATED) {
        k.tp(Tracepoint::VectorSetup { irq: virq, is_legacy: true, ret: 0 });
        apic_update_irq_cfg(k, irqd, vector, CpuId(0));
        return false;
    }
    k.apic.apicd_mut(virq).can_reserve = true;
    k.desc_mut(virq).set(IRQD_CAN_RESERVE);
    clear_irq_vector(k, irqd);
    true
}

/// Sets interrupts up at the bottom of their hierarchy.
///
/// # Errors
/// `ENXIO` without APICs, `ENOSYS` for a block of vectors (5.4), those of
/// [`assign_irq_vector_policy`].
#[kfn("arch/x86/kernel/apic/vector.c")]
fn x86_vector_alloc_irqs(
    k: &mut Kernel,
    domain: DomainId,
    virq: Irq,
    nr_irqs: u32,
    info: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    if k.apic.apic_is_disabled {
        return Err(Errno::ENXIO);
    }
    // Only 5.4's pci_msi_prepare() asks for a block.
    if info.contiguous && nr_irqs > 1 {
        return Err(Errno::ENOSYS);
    }
    if k.sem.isa_irq2_refused && info.legacy && virq.0 == PIC_CASCADE_IR {
        k.warn_once("WARNING: at arch/x86/kernel/apic/vector.c x86_vector_alloc_irqs");
        return Err(Errno::EINVAL);
    }

    for i in 0..nr_irqs {
        let irq = Irq(virq.0 + i);
        let Some(irqd) = irq_domain_get_irq_data(k, domain, irq) else {
            return Err(Errno::EINVAL);
        };
        let node = k.desc(irq).irq_common_data.node;
        if k.irqd(irqd).chip_data != ChipData::None {
            k.warn_once("WARNING: at arch/x86/kernel/apic/vector.c x86_vector_alloc_irqs");
        }
        let mut apicd = alloc_apic_chip_data(k, node);
        apicd.irq = irq;
        if irq.index() >= k.apic.chip_data.len() {
            k.apic.chip_data.resize(irq.index() + 1, None);
        }
        k.apic.chip_data[irq.index()] = Some(apicd);
        let chip = k.apic.chips.lapic_controller;
        let data = k.irqd_mut(irqd);
        data.chip = chip;
        data.chip_data = ChipData::Apic;
        data.hwirq = u64::from(irq.0);
        k.desc_mut(irq).set(IRQD_SINGLE_TARGET);
        if k.sem.affinity_on_activate {
            k.desc_mut(irq).set(IRQD_HANDLE_ENFORCE_IRQCTX | IRQD_AFFINITY_ON_ACTIVATE);
        }

        // The 8259's interrupts have vectors already, and check_timer() may want theirs back.
        if info.legacy && !vector_configure_legacy(k, irq, irqd) {
            continue;
        }

        let ret = assign_irq_vector_policy(k, irqd, info);
        k.tp(Tracepoint::VectorSetup { irq, is_legacy: false, ret: code(&ret) });
        if let Err(err) = ret {
            k.irqd_mut(irqd).chip_data = ChipData::None;
            free_apic_chip_data(k, irq);
            x86_vector_free_irqs(k, domain, virq, i);
            return Err(err);
        }
    }
    Ok(())
}

/// The vector domain's part of debugfs.
pub fn x86_vector_debug_show(
    k: &Kernel,
    m: &mut String,
    d: Option<DomainId>,
    irqd: Option<Irqd>,
    ind: usize,
) {
    let _ = d;
    let Some(irqd) = irqd else {
        irq_matrix_debug_show(k, m, ind);
        return;
    };
    let irq = irqd.irq;
    // Writing to a String does not fail.
    if irq.0 < nr_legacy_irqs() && k.apic.io_apic_irqs >> irq.0 & 1 == 0 {
        let _ = writeln!(m, "{:ind$}Vector: {:5}", "", isa_irq_vector(irq.0));
        let _ = writeln!(m, "{:ind$}Target: Legacy PIC all CPUs", "");
        return;
    }
    let Some(apicd) = k.apic.apicd(irq) else {
        let _ = writeln!(m, "{:ind$}Vector: Not assigned", "");
        return;
    };
    let ApicChipData {
        hw_irq_cfg: _,
        vector,
        prev_vector,
        cpu,
        prev_cpu,
        irq: _,
        clist,
        move_in_progress,
        is_managed,
        can_reserve,
        has_reserved,
    } = apicd;
    let _ = writeln!(m, "{:ind$}Vector: {vector:5}", "");
    let _ = writeln!(m, "{:ind$}Target: {:5}", "", cpu.0);
    if *prev_vector != 0 {
        let _ = writeln!(m, "{:ind$}Previous vector: {prev_vector:5}", "");
        let _ = writeln!(m, "{:ind$}Previous target: {:5}", "", prev_cpu.0);
    }
    let _ = writeln!(m, "{:ind$}move_in_progress: {}", "", u8::from(*move_in_progress));
    let _ = writeln!(m, "{:ind$}is_managed:       {}", "", u8::from(*is_managed));
    let _ = writeln!(m, "{:ind$}can_reserve:      {}", "", u8::from(*can_reserve));
    let _ = writeln!(m, "{:ind$}has_reserved:     {}", "", u8::from(*has_reserved));
    let _ = writeln!(m, "{:ind$}cleanup_pending:  {}", "", u8::from(*clist));
}

/// `x86_vector_domain_ops`.
pub const X86_VECTOR_DOMAIN_OPS: IrqDomainOps = IrqDomainOps {
    name: "x86_vector_domain_ops",
    alloc: Some(x86_vector_alloc_irqs),
    free: Some(x86_vector_free_irqs),
    activate: Some(x86_vector_activate),
    deactivate: Some(x86_vector_deactivate),
    debug_show: Some(x86_vector_debug_show),
};

/// Bounds `nr_irqs` by what the machine can use and says how many interrupts to allocate early.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn arch_probe_nr_irqs(k: &mut Kernel) -> u32 {
    let nr_cpu_ids = k.topo.nr_cpu_ids;
    let nr_irqs = if k.sem.nr_irqs_private { irq_get_nr_irqs(k) } else { k.irq.nr_irqs };
    if nr_irqs > NR_VECTORS * nr_cpu_ids {
        if k.sem.nr_irqs_private {
            irq_set_nr_irqs(k, NR_VECTORS * nr_cpu_ids);
        }
        k.irq.nr_irqs = NR_VECTORS * nr_cpu_ids;
    }
    let gsi_top = k.apic.gsi_top;
    let mut nr = gsi_top + nr_legacy_irqs() + 8 * nr_cpu_ids;
    // MSI needs numbers too.
    nr += if gsi_top <= NR_IRQS_LEGACY { 8 * nr_cpu_ids } else { gsi_top * 16 };
    let nr_irqs = if k.sem.nr_irqs_private { irq_get_nr_irqs(k) } else { k.irq.nr_irqs };
    if nr < nr_irqs {
        if k.sem.nr_irqs_private {
            irq_set_nr_irqs(k, nr);
        }
        k.irq.nr_irqs = nr;
    }
    nr_legacy_irqs()
}

/// Sets a vector of the 8259 aside.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn lapic_assign_legacy_vector(k: &mut Kernel, irq: u32, replace: bool) {
    // As a system vector it counts as neither allocated nor movable.
    irq_matrix_assign_system(k, isa_irq_vector(irq), replace);
}

/// Sets the vectors of all legacy interrupts aside if no IO-APIC took them over (6.12).
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn lapic_update_legacy_vectors(k: &mut Kernel) {
    if !k.apic.ioapic_is_disabled && k.apic.nr_ioapic_pins > 0 {
        return;
    }
    for irq in 0..nr_legacy_irqs() {
        if irq != PIC_CASCADE_IR {
            lapic_assign_legacy_vector(k, irq, true);
        }
    }
}

/// Sets the system vectors aside and opens the matrix on the boot CPU.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn lapic_assign_system_vectors(k: &mut Kernel) {
    for vector in 0..NR_VECTORS {
        if k.apic.is_system_vector(vector) {
            irq_matrix_assign_system(k, vector, false);
        }
    }
    if nr_legacy_irqs() > 1 {
        lapic_assign_legacy_vector(k, PIC_CASCADE_IR, false);
    }

    irq_matrix_online(k);

    // The other legacy interrupts have their vectors from init_IRQ().
    for irq in 0..nr_legacy_irqs() {
        if irq != PIC_CASCADE_IR {
            irq_matrix_assign(k, isa_irq_vector(irq));
        }
    }
}

/// Creates the vector domain, the MSI domain (5.4) and the matrix.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn arch_early_irq_init(k: &mut Kernel) {
    let chip = lapic_controller(k);
    k.apic.chips.lapic_controller = k.irq.add_chip(chip);

    let fwnode = irq_domain_alloc_named_fwnode(k, "VECTOR");
    let domain = irq_domain_create_tree(k, &fwnode, X86_VECTOR_DOMAIN_OPS);
    k.apic.x86_vector_domain = domain;
    irq_set_default_host(k, Some(domain));

    if k.sem.msi_domains == MsiDomains::Global {
        super::msi::arch_init_msi_domain(k, domain);
    }

    let alloc_end = k.sem.first_system_vector;
    if irq_alloc_matrix(k, NR_VECTORS, FIRST_EXTERNAL_VECTOR, alloc_end).is_err() {
        k.bug("kernel BUG at arch/x86/kernel/apic/vector.c arch_early_irq_init");
    }
    super::io_apic::arch_early_ioapic_init(k);
}

/// Which descriptor a CPU that comes up finds at `vector`.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn __setup_vector_irq(k: &mut Kernel, vector: u32) -> VectorIrq {
    let Some(isairq) = vector.checked_sub(isa_irq_vector(0)) else {
        return VectorIrq::Unused;
    };
    if isairq >= nr_legacy_irqs() {
        return VectorIrq::Unused;
    }
    // The IO-APIC has it.
    if k.apic.io_apic_irqs >> isairq & 1 != 0 {
        return VectorIrq::Unused;
    }
    if k.find_desc(Irq(isairq)).is_some() { VectorIrq::Desc(Irq(isairq)) } else { VectorIrq::Unused }
}

/// Opens the matrix on the CPU that comes up and clears its vectors, except the 8259's, which the
/// platform may send to any CPU.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn lapic_online(k: &mut Kernel) {
    irq_matrix_online(k);
    let cpu = k.cpu();
    for vector in 0..NR_VECTORS {
        let slot = __setup_vector_irq(k, vector);
        k.apic.set_vector_irq(cpu, vector, slot);
    }
    k.apic.cpu_mut(cpu).left_behind = k.vector_matrix.maps[cpu.index()].alloc_map;
}

/// Closes the matrix on the CPU that goes down.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn lapic_offline(k: &mut Kernel) {
    let cpu = k.cpu();
    let timer = k.sem.vector_cleanup == VectorCleanup::Timer;
    lock_vector_lock(k);
    if timer {
        // The timer may not have run yet.
        __vector_cleanup(k, cpu, false);
    }
    irq_matrix_offline(k);
    if timer {
        k.events.cancel_all(|e| *e == Event::VectorCleanup(cpu));
        k.apic.cpu_mut(cpu).cleanup_timer_pending = false;
        if !k.apic.cpu_mut(cpu).cleanup_list.is_empty() {
            k.warn_once("WARNING: at arch/x86/kernel/apic/vector.c lapic_offline");
        }
    }
    unlock_vector_lock(k);
}

/// Moves an interrupt to one of the CPUs in `dest`.
///
/// # Errors
/// `EIO` for an inactive interrupt (6.12), else those of the allocation.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn apic_set_affinity(k: &mut Kernel, irqd: Irqd, dest: &CpuMask, force: bool) -> Result<SetMask, Errno> {
    let _ = force;
    let activated = k.desc(irqd.irq).has(IRQD_ACTIVATED);
    if k.sem.apic_affinity_needs_active {
        if !activated {
            k.warn_once("WARNING: at arch/x86/kernel/apic/vector.c apic_set_affinity");
            return Err(Errno::EIO);
        }
    } else {
        // Activation will find a vector that fits.
        let ApicChipData { is_managed, can_reserve, .. } = *k.apic.apicd_mut(irqd.irq);
        if !activated && (is_managed || can_reserve) {
            return Ok(SetMask::Ok);
        }
    }

    let searchmask = dest.and(&k.topo.online);
    if k.desc(irqd.irq).has(IRQD_AFFINITY_MANAGED) {
        assign_managed_vector(k, irqd, &searchmask)?;
    } else {
        assign_vector_locked(k, irqd, &searchmask)?;
    }
    Ok(SetMask::Ok)
}

/// Raises an interrupt's vector on its CPU.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn apic_retrigger_irq(k: &mut Kernel, irqd: Irqd) -> bool {
    let ApicChipData { cpu, vector, .. } = *k.apic.apicd_mut(irqd.irq);
    __apic_send_IPI(k, cpu, vector);
    true
}

/// Moves the interrupt if somebody asked for it, then ends it at the local APIC.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn apic_ack_irq(k: &mut Kernel, irqd: Irqd) {
    irq_move_irq(k, irqd);
    ack_APIC_irq(k);
}

/// The same, after finishing the last move.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn apic_ack_edge(k: &mut Kernel, irqd: Irqd) {
    irq_complete_move(k, irqd.irq);
    apic_ack_irq(k, irqd);
}

/// The message that reaches an interrupt's vector directly (6.12).
#[kfn("arch/x86/kernel/apic/vector.c")]
fn x86_vector_msi_compose_msg(k: &mut Kernel, data: Irqd, msg: &mut MsiMsg) {
    let cfg = irqd_cfg(k, data.irq).unwrap_or_default();
    __irq_msi_compose_msg(k, cfg, msg, false);
}

/// `lapic_controller`.
fn lapic_controller(k: &Kernel) -> IrqChip {
    IrqChip {
        name: "APIC".to_owned(),
        irq_ack: Some(apic_ack_edge),
        irq_set_affinity: Some(apic_set_affinity),
        irq_force_complete_move: Some(apic_force_complete_move),
        irq_compose_msi_msg: (k.sem.msi_domains == MsiDomains::PerDevice)
            .then_some(x86_vector_msi_compose_msg as fn(&mut Kernel, Irqd, &mut MsiMsg)),
        irq_retrigger: Some(apic_retrigger_irq),
        ..IrqChip::default()
    }
}

/// Whether the vectors of this CPU fit on the others.
///
/// # Errors
/// `ENOSPC` if not.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn lapic_can_unplug_cpu(k: &mut Kernel) -> Result<(), Errno> {
    let cpu = k.cpu();
    let tomove = irq_matrix_allocated(k);
    let avl = irq_matrix_available(k, true);
    if avl < tomove {
        k.pr_warn(format!("CPU {cpu} has {tomove} vectors, {avl} available. Cannot disable CPU"));
        return Err(Errno::ENOSPC);
    }
    let rsvd = irq_matrix_reserved(k);
    if avl < rsvd {
        k.pr_warn(format!("Reserved vectors {rsvd} > available {avl}. IRQ request may fail"));
    }
    Ok(())
}

/// What a tracepoint prints for a result: 0 or the negative error number.
fn code<T>(ret: &Result<T, Errno>) -> i32 {
    ret.as_ref().err().map_or(0, |e| e.code())
}
