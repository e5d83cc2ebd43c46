//! Checks of a machine at rest, and of what its kernel logged.
//!
//! `sim::invariants` has the checks of every state.

use kstate::apic::VectorIrq;
use kstate::irqdesc::{IRQD_AFFINITY_MANAGED, IRQS_ONESHOT};
use kstate::sched::{TaskKind, TaskState};
use kstate::semantics::{HousekeepingCheck, NvmeProbe, Semantics, VectorCleanup};
use kstate::{CpuId, Kernel, TaskId};

/// What a kernel is known to say or do, and why it is no defect.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Part of the line.
    pub shows: &'static str,
    /// Which kernels say it.
    pub says: fn(&Semantics) -> bool,
    /// The C function and the reason.
    pub why: &'static str,
}

fn any(_: &Semantics) -> bool {
    true
}

fn by_reset_work(sem: &Semantics) -> bool {
    sem.nvme_probe == NvmeProbe::ByResetWork
}

fn synchronously(sem: &Semantics) -> bool {
    sem.nvme_probe == NvmeProbe::Synchronous
}

/// What nvme_timeout() says where the completion was there and no interrupt had told of it.
pub const COMPLETION_POLLED: &str = "timeout, completion polled";

/// Whether an I/O queue of NVMe serves an online CPU that its interrupt is not for. A reset spreads the
/// interrupts anew, and `__blk_mq_update_nr_hw_queues()` keeps the map where the number of queues stays.
/// Since 7.0 the spread depends on which CPUs are online, so that the two can differ.
pub fn queue_without_its_interrupt(k: &Kernel) -> bool {
    k.nvme.devs.iter().filter(|dev| dev.bound).any(|dev| {
        let Some(set) = dev.tagset.map(|set| k.blk.set(set)) else { return false };
        k.for_each_irq().map(|irq| k.desc(irq)).filter(|desc| desc.has(IRQD_AFFINITY_MANAGED)).any(|desc| {
            let name = format!("nvme{}q", dev.instance);
            let mut queues =
                desc.action.iter().filter_map(|action| action.name.strip_prefix(&name)?.parse::<u32>().ok());
            let affinity = &desc.irq_common_data.affinity;
            queues.any(|qid| {
                k.topo.online.iter().any(|cpu| {
                    let mut maps = set.map.iter().filter_map(|map| map.mq_map.get(cpu.index()));
                    maps.any(|queue| queue + 1 == qid) && !affinity.contains(cpu)
                })
            })
        })
    })
}

/// All of it.
pub const KNOWN: &[Known] = &[
    Known {
        shows: "WARNING: at kernel/sched/topology.c build_sched_domains",
        says: |sem| sem.housekeeping_check == HousekeepingCheck::Any,
        why: "cpu_down(), kernel/cpu.c: lets the last CPU go that isolcpus= leaves to the scheduler, as it asks for any \
              housekeeping CPU and not for another one (exhibit M57)",
    },
    Known {
        shows: "no longer affine to CPU",
        says: |sem| sem.migrate_logs_broken_affinity,
        why: "irq_migrate_all_off_this_cpu(), kernel/irq/cpuhotplug.c: said whenever the last CPU of an \
              affinity goes; the interrupt moves to the others",
    },
    Known {
        shows: "IRQ fixup: irq",
        says: any,
        why: "irq_force_complete_move(), arch/x86/kernel/apic/vector.c: said when a CPU goes before an \
              interrupt has arrived at its new vector; the old one is freed",
    },
    Known {
        shows: "WARNING: at kernel/irq/chip.c __irq_startup_managed",
        says: by_reset_work,
        why: "nvme_poll_irqdisable(), drivers/nvme/host/pci.c: disables and enables the interrupt of every \
              queue, also of one that was requested while no CPU of its affinity was online",
    },
    Known {
        shows: "Affinity broken due to vector space exhaustion",
        says: any,
        why: "assign_irq_vector_any_locked(), arch/x86/kernel/apic/vector.c: 5.4 takes any CPU of the node \
              before it looks at the affinity outside of the node; both take any CPU where the default \
              affinity has none that is online any more",
    },
    Known {
        shows: "Removing after probe failure status: -16",
        says: by_reset_work,
        why: "nvme_remove_dead_ctrl(), drivers/nvme/host/pci.c: how nvme_reset_work() ends when the \
              controller is removed before it was marked as connecting",
    },
    Known {
        shows: "failed to mark controller live state",
        says: any,
        why: "nvme_reset_work(), drivers/nvme/host/pci.c: the same a little later, when all queues are up",
    },
    Known {
        shows: "Removing after probe failure status: -19",
        says: by_reset_work,
        why: "nvme_remove_dead_ctrl(), drivers/nvme/host/pci.c: how that ends",
    },
    Known {
        shows: "Disabling device after reset failure: -19",
        says: synchronously,
        why: "nvme_reset_work(), drivers/nvme/host/pci.c: how that ends in 6.12",
    },
    Known {
        shows: "Disabling device after reset failure: 0",
        says: synchronously,
        why: "nvme_reset_work(), drivers/nvme/host/pci.c: nvme_pci_update_nr_queues() gives up beside \
              nvme_dev_disable(), and the result is that of the step before",
    },
    Known {
        shows: "Disabling device after reset failure: -16",
        says: synchronously,
        why: "nvme_reset_work(), drivers/nvme/host/pci.c: the same in 6.12",
    },
    Known {
        shows: "is not RESETTING",
        says: synchronously,
        why: "nvme_reset_work(), drivers/nvme/host/pci.c: the controller is removed before the work that was \
              queued to reset it begins; 5.4 warns there",
    },
    Known {
        shows: "failed to mark controller CONNECTING",
        says: any,
        why: "nvme_reset_work(), drivers/nvme/host/pci.c: the controller is removed while it comes up",
    },
    Known {
        shows: "Moved interrupt pending in old target APIC",
        says: |sem| sem.vector_cleanup == VectorCleanup::Timer,
        why: "__vector_cleanup(), arch/x86/kernel/apic/vector.c: the timer finds the old vector pending at \
              the local APIC, leaves it for another jiffy and says so once",
    },
];

/// Lines of the log that are no warnings.
const SAID: &[&str] = &[
    "NR_IRQS:",
    "Enabled IRQ remapping",
    "Switched APIC routing",
    "pci function 0000:",
    "default/read/poll queues",
    "is now offline",
    "-byte logical blocks (",
    "detected capacity change from ",
    "Ignoring bogus Namespace Identifiers",
    "Booting SMP configuration",
    "Booting Node",
    // What the command line brings.
    "isolcpus: ",
    "Housekeeping: ",
    "SMT: ",
    "Misrouted IRQ fixup",
    "impact system performance",
    "IRQ lockup detection disabled",
    "Unknown kernel command line parameters",
    "Booting kernel: `",
    "Malformed early option",
    "Unsupported mitigations=",
    "CPU topo: ",
    "Processor",
    "DMAR: IOMMU ",
    "DMAR: Unknown option",
];

/// The kernel does not say this while all is well.
pub fn is_unexpected(kernel: &Semantics, line: &str) -> bool {
    let said = SAID.iter().any(|s| line.contains(s));
    let known = KNOWN.iter().any(|k| (k.says)(kernel) && line.contains(k.shows));
    !said && !known
}

/// Every vector that waits at a local APIC is somebody's: a system vector, an interrupt, or one
/// that has just been shut down or sent on. A race of the kernel's own can break this for a moment.
///
/// # Errors
/// The CPU and the vector.
pub fn requests_have_owners(k: &Kernel) -> Result<(), String> {
    for (cpu, lapic) in k.hw.lapics.iter().enumerate() {
        let cpu = CpuId(cpu as u32);
        if !k.topo.is_online(cpu) || !lapic.enabled() {
            continue;
        }
        for vector in lapic.irr.iter().map(u32::from) {
            if !k.apic.is_system_vector(vector) && k.apic.vector_irq(cpu, vector) == VectorIrq::Unused {
                return Err(format!("CPU {cpu}: vector {vector} was requested and nobody has it"));
            }
        }
    }
    Ok(())
}

/// What must hold when nothing more will happen: every completion was handled.
///
/// # Errors
/// What was lost, in words.
pub fn nothing_is_lost(k: &Kernel) -> Result<(), String> {
    if let Some((time, event)) = k.events.iter().next() {
        let event = k.event_name(event);
        return Err(format!("still to happen at {time} ns: {event}; now is {} ns", k.events.now));
    }
    for (rq, request) in k.blk.requests.iter() {
        if !request.done {
            return Err(format!("{} is lost", k.request_name(rq)));
        }
    }
    for (id, task) in k.sched.tasks.iter().enumerate() {
        let sleeps = matches!(task.kind, TaskKind::IrqThread(_));
        if !sleeps && !matches!(task.state, TaskState::Done(_)) {
            let stack: Vec<String> = task.frames.iter().map(ToString::to_string).collect();
            let name = k.task_name(TaskId(id as u32));
            return Err(format!("{name} hangs, {}: {}", k.state_name(task.state), stack.join(" > ")));
        }
    }
    for (cpu, lapic) in k.hw.lapics.iter().enumerate() {
        if k.topo.online.contains(CpuId(cpu as u32))
            && let Some(vector) = lapic.irr.iter().next()
        {
            return Err(format!("CPU {cpu}: vector {vector} is never taken"));
        }
    }
    Ok(())
}

/// Nothing came that nobody wanted, and the kernel said nothing unusual.
///
/// # Errors
/// What came, or was said.
pub fn nothing_is_odd(k: &Kernel) -> Result<(), String> {
    every_interrupt_was_handled(k)?;
    nothing_odd_was_said(k)
}

fn every_interrupt_was_handled(k: &Kernel) -> Result<(), String> {
    for irq in k.for_each_irq() {
        let desc = k.desc(irq);
        // ioapic_irqd_unmask(), arch/x86/kernel/apic/io_apic.c: 5.4 unmasks a pin that has moved although
        // its thread still has to run, so that the line interrupts until it has.
        let unmasked_early = !k.sem.ioapic_move_keeps_masked && desc.istate & IRQS_ONESHOT != 0;
        if desc.irqs_unhandled != 0 && !unmasked_early {
            return Err(format!("irq {irq}: {} unhandled", desc.irqs_unhandled));
        }
    }
    Ok(())
}

/// No CPU took a vector that nobody has, and the kernel said nothing unusual.
///
/// # Errors
/// What came, or was said.
pub fn nothing_odd_was_said(k: &Kernel) -> Result<(), String> {
    for (cpu, data) in k.apic.cpus.iter().enumerate() {
        if data.irq_stat.irq_spurious_count != 0 {
            return Err(format!("CPU {cpu}: {} spurious interrupts", data.irq_stat.irq_spurious_count));
        }
    }
    // A queue that a reset left behind is polled: see queue_without_its_interrupt(), which is for who has
    // seen the whole run to ask.
    let polled = |line: &String| k.sem.spread_by_cluster && line.contains(COMPLETION_POLLED);
    if let Some(line) = k.log.iter().find(|line| is_unexpected(&k.sem, line) && !polled(line)) {
        return Err(format!("the log says: {line}"));
    }
    if k.apic.irq_stat_sum(|stat| stat.irq_err_count) != 0 {
        return Err("APIC errors".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_nobody_has_is_found() {
        let mut k = Kernel::default();
        k.topo.online.set(CpuId(0));
        k.hw.lapics.push(kstate::hw::lapic::LocalApic::new(kstate::ApicId(0)));
        k.hw.lapics[0].svr |= kstate::hw::lapic::SVR_ENABLE;
        k.hw.lapics[0].irr.set(0x31);
        assert_eq!(
            requests_have_owners(&k),
            Err("CPU 0: vector 49 was requested and nobody has it".to_owned())
        );
        k.apic.set_vector_irq(CpuId(0), 0x31, VectorIrq::Shutdown);
        assert_eq!(requests_have_owners(&k), Ok(()));
    }
}
