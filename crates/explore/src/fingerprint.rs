//! The fingerprint of a world. Two worlds with the same fingerprint are in the same state: the same things can
//! still happen.
//!
//! A fingerprint ignores how a world got to its state: the clock (a pending event counts by its distance in time), the
//! order in which tasks became runnable (any of them may go first), the kernel log, and counters that only people read.

use core::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::FixedState;
use kstate::Kernel;
use kstate::apic::{Apic, ApicCpu};
use kstate::blk::{Blk, Request};
use kstate::event::EventQueue;
use kstate::irqdesc::{IrqDesc, IrqState};
use kstate::sched::{Frame, Hardirq, Sched, Task, TaskState, WaitOn};
use smallvec::SmallVec;

use super::World;
use super::exhaustive::Reduction;

/// What a script can tell apart beyond what the machine does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reads {
    /// Its assertions look at the kernel log.
    pub log: bool,
    /// They look at counters.
    pub counters: bool,
}

impl Reads {
    /// What the assertions of a script look at.
    pub fn of(script: &sim::script::Script) -> Self {
        let counters =
            |path: &str| path.contains("interrupts") || path.contains("irqlab") || path.contains("spurious");
        let mut reads = Self::default();
        for path in script.asserted_paths() {
            reads.log |= path == "dmesg";
            reads.counters |= counters(&path);
        }
        reads
    }
}

/// A number that two worlds share when they are the same state, and else only by an accident of one in
/// 2^64.
pub fn fingerprint(world: &World, reads: Reads) -> u64 {
    reduced(world, reads, Reduction::default())
}

/// The same for states that are told apart as far as a reduction needs it.
pub(crate) fn reduced(world: &World, reads: Reads, reduction: Reduction) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    let state = &mut hasher;
    // Every structure in which something is left out or put differently is taken apart by the names of
    // all its fields, so that a field that is new is part of the fingerprint or is left out on purpose.
    let Kernel {
        sem,
        saved_command_line,
        params,
        housekeeping,
        topo,
        irq,
        vector_matrix,
        apic,
        remap,
        msi,
        pci,
        blk,
        nvme,
        virtio,
        hotplug,
        hw,
        sched,
        events,
        cur,
        log,
        warnings,
        printk,
        tracing,
        trace: _,
        oracle: _,
    } = &world.k;
    hash_events(events, state);
    (saved_command_line, params, housekeeping).hash(state);
    (sem, topo, vector_matrix, remap, msi, pci, nvme, virtio, hotplug, hw).hash(state);
    (cur.cpu, cur.task, tracing).hash(state);
    hash_irqs(irq, reads, state);
    hash_apic(apic, reads, state);
    hash_blk(blk, state);
    hash_sched(sched, events.now, state);
    if reads.log {
        (log, warnings, printk).hash(state);
    }
    world.shell.hash_relative(events.now, !reduction.hides_numbers(), state);
    hasher.finish()
}

/// Pending events in their order, timers by how far away they are. Between two timers the order of what
/// devices will do does not matter.
fn hash_events(events: &EventQueue, state: &mut impl Hasher) {
    let now = events.now;
    let mut elastic = Vec::new();
    for (time, event) in events.iter() {
        if event.is_elastic() {
            elastic.push(*event);
            continue;
        }
        elastic.sort_unstable();
        core::mem::take(&mut elastic).hash(state);
        (time.saturating_sub(now), event).hash(state);
    }
    elastic.sort_unstable();
    elastic.hash(state);
}

/// A list whose order only tells who came first.
fn hash_set<T: Copy + Ord + Hash>(list: impl Iterator<Item = T>, state: &mut impl Hasher) {
    let mut set: SmallVec<[T; 16]> = list.collect();
    set.sort_unstable();
    set.hash(state);
}

fn hash_sched(sched: &Sched, now: u64, state: &mut impl Hasher) {
    let Sched { tasks, runnable, spinning, waiters, works, hardirqs } = sched;
    works.hash(state);
    tasks.len().hash(state);
    for Task { kind, cpu, frames, state: waits, ctx: _ } in tasks {
        (kind, cpu).hash(state);
        match waits {
            TaskState::Waiting(WaitOn::Until(time)) => {
                TaskState::Waiting(WaitOn::Until(time.saturating_sub(now))).hash(state);
            }
            waits => waits.hash(state),
        }
        hash_frames(frames, now, state);
    }
    hash_set(runnable.iter().copied(), state);
    hash_set(spinning.iter().copied(), state);
    waiters.len().hash(state);
    for (on, sleepers) in waiters {
        on.hash(state);
        hash_set(sleepers.iter().copied(), state);
    }
    hardirqs.len().hash(state);
    for (cpu, Hardirq { frames, spinning, ctx: _ }) in hardirqs {
        (cpu, spinning).hash(state);
        hash_frames(frames, 0, state);
    }
}

/// A stack. What a frame waits for longest is a local called `deadline`, as in C.
fn hash_frames(frames: &[Frame], now: u64, state: &mut impl Hasher) {
    frames.len().hash(state);
    for frame in frames {
        match frame.code.locals.iter().position(|name| *name == "deadline") {
            Some(deadline) if deadline < frame.slots.len() => {
                let mut frame = frame.clone();
                frame.slots[deadline] = frame.slots[deadline].saturating_sub(now);
                frame.hash(state);
            }
            _ => frame.hash(state),
        }
    }
}

fn hash_blk(blk: &Blk, state: &mut impl Hasher) {
    let Blk { tag_sets, queues, disks, requests, blk_cpu_done, softirq_pending } = blk;
    (tag_sets, queues, disks, blk_cpu_done, softirq_pending).hash(state);
    requests.len().hash(state);
    for (rq, request) in requests.iter() {
        // Its event is in the queue.
        (rq, Request { timer: None, ..request.clone() }).hash(state);
    }
}

fn hash_irqs(irq: &IrqState, reads: Reads, state: &mut impl Hasher) {
    let IrqState {
        descs,
        allocated_irqs,
        nr_irqs,
        domains,
        chips,
        default_affinity,
        default_domain,
        arch,
        noirqdebug,
        force_irqthreads,
        root_irq_dir,
        resend_list,
        unknown_domains,
        boot_numbers,
        irqfixup,
        irq_poll_active,
        proc_chip_width,
    } = irq;
    (allocated_irqs, nr_irqs, domains, chips, default_affinity, default_domain, arch).hash(state);
    (noirqdebug, force_irqthreads, root_irq_dir, resend_list, unknown_domains, boot_numbers).hash(state);
    (irqfixup, irq_poll_active, proc_chip_width).hash(state);
    if reads.counters {
        descs.hash(state);
        return;
    }
    descs.len().hash(state);
    for desc in descs {
        desc.is_some().hash(state);
        if let Some(desc) = desc {
            hash_desc(desc, state);
        }
    }
}

/// A descriptor without what is counted for people.
fn hash_desc(desc: &IrqDesc, state: &mut impl Hasher) {
    let IrqDesc {
        irq_common_data,
        irq_data,
        handle_irq,
        name,
        action,
        status_use_accessors,
        istate,
        depth,
        wake_depth,
        // They matter from 99,900 on.
        irq_count: _,
        irqs_unhandled,
        last_unhandled: _,
        threads_active,
        threads_oneshot,
        threads_handled,
        threads_handled_last,
        pending_mask,
        affinity_hint,
        kstat_irqs: _,
        tot_count: _,
        removed,
        dev_name,
        proc_dir,
        proc_affinity_writable,
    } = desc;
    (irq_common_data, irq_data, handle_irq, name, action, status_use_accessors, istate, depth).hash(state);
    (wake_depth, irqs_unhandled, threads_active, threads_oneshot).hash(state);
    // Only that it has changed is looked at.
    (threads_handled != threads_handled_last).hash(state);
    (pending_mask, affinity_hint, removed, dev_name, proc_dir, proc_affinity_writable).hash(state);
}

fn hash_apic(apic: &Apic, reads: Reads, state: &mut impl Hasher) {
    let Apic {
        x86_vector_domain,
        msi_default_domain,
        x86_pci_msi_default_domain,
        dmar_domain,
        ioapic_domain,
        chips,
        chip_data,
        mp_chip_data,
        cpus,
        driver,
        x2apic_mode,
        apic_is_disabled,
        acpi_ioapic,
        ioapic_is_disabled,
        io_apic_irqs,
        vector_lock,
        system_vectors,
        madt_overrides,
        mp_irqs,
        nr_ioapic_pins,
        more_gsis,
        gsi_top,
        ioapic_dynirq_base,
        ioapic_initialized,
        cached_irq_mask,
        boot_placement,
        booting,
    } = apic;
    (x86_vector_domain, msi_default_domain, x86_pci_msi_default_domain, dmar_domain, ioapic_domain)
        .hash(state);
    (
        chips,
        chip_data,
        mp_chip_data,
        driver,
        x2apic_mode,
        apic_is_disabled,
        (acpi_ioapic, ioapic_is_disabled),
    )
        .hash(state);
    (io_apic_irqs, vector_lock, system_vectors, madt_overrides, mp_irqs, nr_ioapic_pins, more_gsis, gsi_top)
        .hash(state);
    (ioapic_dynirq_base, ioapic_initialized, cached_irq_mask, boot_placement, booting).hash(state);
    let sums = (apic.irq_stat_sum(|stat| stat.irq_err_count), apic.irq_stat_sum(|stat| stat.irq_mis_count));
    sums.hash(state);
    cpus.len().hash(state);
    for cpu in cpus {
        let ApicCpu {
            vector_irq,
            cleanup_list,
            cleanup_timer_pending,
            left_behind,
            irq_regs_vector,
            irq_stat,
        } = cpu;
        (vector_irq, cleanup_list, cleanup_timer_pending, left_behind, irq_regs_vector).hash(state);
        if reads.counters {
            irq_stat.hash(state);
        }
    }
}
