//! The fingerprint of a world. Two worlds with the same fingerprint are in the same state: the same things can
//! still happen.
//!
//! A fingerprint ignores how a world got to its state: the clock (a pending event counts by its distance in time), the
//! order in which tasks became runnable (any of them may go first), the kernel log, and counters that only people read.

use core::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::quality::{FixedState, FoldHasher};
use kstate::Kernel;
use kstate::apic::{Apic, ApicCpu, IrqCpustat};
use kstate::blk::{Blk, Request};
use kstate::event::EventQueue;
use kstate::hotplug::Hotplug;
use kstate::hw::Hw;
use kstate::irqdesc::{IrqDesc, IrqState};
use kstate::nvme::NvmeState;
use kstate::sched::{Frame, Hardirq, Sched, Task, TaskState, WaitOn};
use kstate::shared::{Shared, is_same_slot};
use kstate::virtio::VirtioState;
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
    Prints::default().take(world, Eye { reads, reduction: Reduction::default() }, None)
}

/// How states are told apart.
#[derive(Clone, Copy)]
pub(crate) struct Eye {
    /// What the script reads.
    pub reads: Reads,
    /// As far as this needs it.
    pub reduction: Reduction,
}

/// The fingerprints of the parts of a world, from which its own is made.
///
/// Most steps change few parts. Those that are still the same as in the world before the step are not hashed again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prints(Vec<u64>);

impl Eye {
    /// The fingerprint of a world, in which equal states are seen.
    pub(crate) fn print(self, world: &World) -> u64 {
        Prints::default().take(world, self, None)
    }
}

impl Prints {
    /// The world was changed: they are those of no world any more.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// Takes those of a world, and says what its fingerprint is. `before` is a world that has much in common with it, and
    /// whose prints were taken with the same eye.
    pub(crate) fn take(&mut self, world: &World, eye: Eye, before: Option<(&World, &Self)>) -> u64 {
        self.0.clear();
        let before = before.filter(|(_, prints)| !prints.0.is_empty());
        let before = before.map(|(world, prints)| (world, &prints.0[..]));
        self.0.reserve(before.map_or(0, |(_, prints)| prints.len()));
        hash_world(world, eye, &mut Parts { before, at: 0, prints: &mut self.0 });
        let mut state = hasher();
        self.0.hash(&mut state);
        state.finish()
    }
}

fn hasher() -> FoldHasher<'static> {
    FixedState::default().build_hasher()
}

/// The parts of a world, one after the other.
struct Parts<'a> {
    /// The world before, and the fingerprints of its parts.
    before: Option<(&'a World, &'a [u64])>,
    /// The next of them.
    at: usize,
    prints: &'a mut Vec<u64>,
}

impl<'a> Parts<'a> {
    /// The next part. It has the fingerprint that it had before if it is the `same`.
    #[inline]
    fn part(&mut self, same: impl FnOnce(&'a World) -> bool, hash: impl FnOnce(&mut FoldHasher<'static>)) {
        let known = self.before.and_then(|(world, prints)| prints.get(self.at).filter(|_| same(world)));
        self.at += 1;
        self.prints.push(known.copied().unwrap_or_else(|| {
            let mut state = hasher();
            hash(&mut state);
            state.finish()
        }));
    }

    /// A part that copies of a machine have in common.
    fn shared<T: Hash + 'a>(&mut self, part: &Shared<T>, of: impl FnOnce(&'a Kernel) -> &'a Shared<T>) {
        self.part(|before| part.is_same(of(&before.k)), |state| part.hash(state));
    }

    /// A part that is small.
    fn small<T: Eq + Hash + 'a>(&mut self, part: &T, of: impl FnOnce(&'a Kernel) -> &'a T) {
        self.part(|before| part == of(&before.k), |state| part.hash(state));
    }

    /// A list of parts.
    fn list<T: 'a>(
        &mut self,
        list: &[T],
        of: impl FnOnce(&'a Kernel) -> &'a [T],
        same: impl Fn(&T, &T) -> bool,
        hash: impl Fn(&T, &mut FoldHasher<'static>),
    ) {
        self.part(|_| false, |state| list.len().hash(state));
        let before = self.before.map_or(&[][..], |(world, _)| of(&world.k));
        let first = self.at;
        for (i, part) in list.iter().enumerate() {
            let is_same = before.get(i).is_some_and(|before| same(part, before));
            self.part(|_| is_same, |state| hash(part, state));
        }
        self.at = first + before.len();
    }

    /// A list of places for what copies of a machine have in common.
    fn slots<T: 'a>(
        &mut self,
        slots: &[Option<Shared<T>>],
        of: impl FnOnce(&'a Kernel) -> &'a [Option<Shared<T>>],
        hash: impl Fn(&T, &mut FoldHasher<'static>),
    ) {
        self.list(slots, of, is_same_slot, |slot, state| {
            slot.is_some().hash(state);
            if let Some(value) = slot {
                hash(value, state);
            }
        });
    }

    fn shared_list<T: Hash + 'a>(
        &mut self,
        list: &[Shared<T>],
        of: impl FnOnce(&'a Kernel) -> &'a [Shared<T>],
    ) {
        self.list(list, of, Shared::is_same, |part, state| part.hash(state));
    }
}

fn hash_world(world: &World, eye: Eye, parts: &mut Parts<'_>) {
    let Eye { reads, reduction } = eye;
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
    let now = events.now;
    parts.part(|_| false, |state| hash_events(events, state));
    parts.small(sem, |k| &k.sem);
    parts.shared(saved_command_line, |k| &k.saved_command_line);
    parts.shared(params, |k| &k.params);
    parts.shared(housekeeping, |k| &k.housekeeping);
    parts.shared(topo, |k| &k.topo);
    parts.shared(vector_matrix, |k| &k.vector_matrix);
    parts.shared(remap, |k| &k.remap);
    parts.shared(msi, |k| &k.msi);
    parts.shared(pci, |k| &k.pci);
    parts.shared(tracing, |k| &k.tracing);
    parts.part(|_| false, |state| (cur.cpu, cur.task).hash(state));
    hash_drivers(nvme, virtio, parts);
    hash_hotplug(hotplug, parts);
    hash_hw(hw, parts);
    hash_irqs(irq, reads, parts);
    hash_apic(apic, reads, parts);
    hash_blk(blk, parts);
    hash_sched(sched, now, parts);
    if reads.log {
        parts.shared(log, |k| &k.log);
        parts.shared(printk, |k| &k.printk);
        parts.small(warnings, |k| &k.warnings);
    }
    parts.part(
        |before| Arc::ptr_eq(&world.shell, &before.shell) && before.k.events.now == now,
        |state| world.shell.hash_relative(now, !reduction.hides_numbers(), state),
    );
}

fn hash_drivers(nvme: &NvmeState, virtio: &VirtioState, parts: &mut Parts<'_>) {
    let NvmeState { devs } = nvme;
    parts.shared_list(devs, |k| &k.nvme.devs);
    let VirtioState { devs, drivers, virtio_index_ida } = virtio;
    parts.slots(devs, |k| &k.virtio.devs, |dev, state| dev.hash(state));
    parts.small(drivers, |k| &k.virtio.drivers);
    parts.small(virtio_index_ida, |k| &k.virtio.virtio_index_ida);
}

fn hash_hotplug(hotplug: &Hotplug, parts: &mut Parts<'_>) {
    let Hotplug {
        cpuhp_hp_states,
        cpus,
        cpu_smt_control,
        cpu_smt_num_threads,
        cpu_smt_max_threads,
        mitigations_auto_nosmt,
        device_hotplug_lock,
        cpu_add_remove_lock,
        cpu_hotplug_lock,
        cpu_hotplug_disabled,
        cpus_booted_once_mask,
        thread_died,
        def_root_domain_bw,
        cpu_initialized_mask,
        cpu_callout_mask,
        cpu_callin_mask,
        irqs_disabled,
        msdata,
        system_running,
    } = hotplug;
    parts.shared(cpuhp_hp_states, |k| &k.hotplug.cpuhp_hp_states);
    parts.list(cpus, |k| &k.hotplug.cpus, PartialEq::eq, Hash::hash);
    parts.part(
        |_| false,
        |state| {
            (cpu_smt_control, cpu_smt_num_threads, cpu_smt_max_threads, mitigations_auto_nosmt).hash(state);
            (device_hotplug_lock, cpu_add_remove_lock, cpu_hotplug_lock, cpu_hotplug_disabled).hash(state);
            (cpus_booted_once_mask, thread_died, def_root_domain_bw, cpu_initialized_mask).hash(state);
            (cpu_callout_mask, cpu_callin_mask, irqs_disabled, msdata, system_running).hash(state);
        },
    );
}

fn hash_hw(hw: &Hw, parts: &mut Parts<'_>) {
    let Hw { lapics, destinations, pending_cpus, ioapic, pic, vtd, pci, nvme, virtio } = hw;
    parts.list(lapics, |k| &k.hw.lapics, PartialEq::eq, Hash::hash);
    parts.shared(destinations, |k| &k.hw.destinations);
    parts.shared(ioapic, |k| &k.hw.ioapic);
    parts.small(vtd, |k| &k.hw.vtd);
    parts.small(pic, |k| &k.hw.pic);
    parts.small(pending_cpus, |k| &k.hw.pending_cpus);
    parts.shared_list(pci, |k| &k.hw.pci);
    parts.shared_list(nvme, |k| &k.hw.nvme);
    parts.shared_list(virtio, |k| &k.hw.virtio);
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

fn hash_sched(sched: &Sched, now: u64, parts: &mut Parts<'_>) {
    let Sched { tasks, runnable, spinning, waiters, works, hardirqs } = sched;
    let clock_stands = parts.before.is_some_and(|(before, _)| before.k.events.now == now);
    parts.list(
        tasks,
        |k| &k.sched.tasks,
        |task, before| task.is_same(before) && (clock_stands || !knows_time(task)),
        |task, state| hash_task(task, now, state),
    );
    parts.part(
        |before| waiters.is_same(&before.k.sched.waiters),
        |state| {
            waiters.len().hash(state);
            for (on, sleepers) in waiters.iter() {
                on.hash(state);
                hash_set(sleepers.iter().copied(), state);
            }
        },
    );
    parts.small(works, |k| &k.sched.works);
    parts.part(
        |_| false,
        |state| {
            hash_set(runnable.iter().copied(), state);
            hash_set(spinning.iter().copied(), state);
            hardirqs.len().hash(state);
            for (cpu, Hardirq { frames, spinning, ctx: _ }) in hardirqs.iter() {
                (cpu, spinning).hash(state);
                hash_frames(frames, 0, state);
            }
        },
    );
}

/// Where a frame keeps a point in time.
fn deadline(frame: &Frame) -> Option<usize> {
    let at = frame.code.locals.iter().position(|name| *name == "deadline");
    at.filter(|at| *at < frame.slots.len())
}

/// What a task does next depends on the clock.
fn knows_time(task: &Task) -> bool {
    let sleeps = matches!(task.state, TaskState::Waiting(WaitOn::Until(_)));
    sleeps || task.frames.iter().any(|frame| deadline(frame).is_some())
}

fn hash_task(task: &Task, now: u64, state: &mut impl Hasher) {
    let Task { kind, cpu, frames, state: waits, ctx: _ } = task;
    (kind, cpu).hash(state);
    match waits {
        TaskState::Waiting(WaitOn::Until(time)) => {
            TaskState::Waiting(WaitOn::Until(time.saturating_sub(now))).hash(state);
        }
        waits => waits.hash(state),
    }
    hash_frames(frames, now, state);
}

/// A stack. What a frame waits for longest is a local called `deadline`, as in C.
fn hash_frames(frames: &[Frame], now: u64, state: &mut impl Hasher) {
    frames.len().hash(state);
    for frame in frames {
        match deadline(frame) {
            Some(deadline) => {
                let mut frame = frame.clone();
                frame.slots[deadline] = frame.slots[deadline].saturating_sub(now);
                frame.hash(state);
            }
            None => frame.hash(state),
        }
    }
}

fn hash_blk(blk: &Blk, parts: &mut Parts<'_>) {
    let Blk { tag_sets, queues, disks, requests, blk_cpu_done, softirq_pending } = blk;
    parts.slots(tag_sets, |k| &k.blk.tag_sets, |set, state| set.hash(state));
    parts.slots(queues, |k| &k.blk.queues, |queue, state| queue.hash(state));
    parts.slots(disks, |k| &k.blk.disks, |disk, state| disk.hash(state));
    parts.part(
        |before| requests.is_same(&before.k.blk.requests),
        |state| {
            requests.len().hash(state);
            for (rq, request) in requests.iter() {
                // Its event is in the queue.
                (rq, Request { timer: None, ..request.clone() }).hash(state);
            }
        },
    );
    parts.part(|_| false, |state| (blk_cpu_done, softirq_pending).hash(state));
}

fn hash_irqs(irq: &IrqState, reads: Reads, parts: &mut Parts<'_>) {
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
    parts.shared(domains, |k| &k.irq.domains);
    parts.shared(chips, |k| &k.irq.chips);
    parts.part(
        |_| false,
        |state| {
            (allocated_irqs, nr_irqs, default_affinity, default_domain, arch).hash(state);
            (noirqdebug, force_irqthreads, root_irq_dir, resend_list, unknown_domains).hash(state);
            (boot_numbers, irqfixup, irq_poll_active, proc_chip_width).hash(state);
        },
    );
    parts.slots(
        descs,
        |k| &k.irq.descs,
        |desc, state| {
            if reads.counters {
                desc.hash(state);
            } else {
                hash_desc(desc, state);
            }
        },
    );
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

fn hash_apic(apic: &Apic, reads: Reads, parts: &mut Parts<'_>) {
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
    parts.small(chip_data, |k| &k.apic.chip_data);
    parts.shared(mp_chip_data, |k| &k.apic.mp_chip_data);
    parts.shared(mp_irqs, |k| &k.apic.mp_irqs);
    parts.part(
        |_| false,
        |state| {
            (x86_vector_domain, msi_default_domain, x86_pci_msi_default_domain, dmar_domain).hash(state);
            (ioapic_domain, chips, driver, x2apic_mode, apic_is_disabled, acpi_ioapic).hash(state);
            (ioapic_is_disabled, io_apic_irqs, vector_lock, system_vectors, madt_overrides).hash(state);
            (nr_ioapic_pins, more_gsis, gsi_top, ioapic_dynirq_base, ioapic_initialized).hash(state);
            (cached_irq_mask, boot_placement, booting).hash(state);
            let sum = |count: fn(&IrqCpustat) -> u32| apic.irq_stat_sum(count);
            (sum(|stat| stat.irq_err_count), sum(|stat| stat.irq_mis_count)).hash(state);
        },
    );
    parts.list(
        cpus,
        |k| &k.apic.cpus,
        PartialEq::eq,
        |cpu, state| {
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
        },
    );
}
