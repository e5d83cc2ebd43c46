//! The machine.

use crate::apic::Apic;
use crate::blk::Blk;
use crate::blocks::Blocks;
use crate::copied::clone_by_field;
use crate::event::EventQueue;
use crate::hotplug::Hotplug;
use crate::hw::Hw;
use crate::irqdesc::IrqState;
use crate::isolation::Housekeeping;
use crate::matrix::IrqMatrix;
use crate::msi::Msi;
use crate::nvme::NvmeState;
use crate::oracle::Oracle;
use crate::params::Params;
use crate::pci::PciState;
use crate::printk::Printk;
use crate::remap::RemapState;
use crate::sched::Sched;
use crate::semantics::Semantics;
use crate::shared::Shared;
use crate::topology::Topology;
use crate::trace::Trace;
use crate::tracing::Tracing;
use crate::virtio::VirtioState;
use crate::{CpuId, CtxId, TaskId};

/// Who runs right now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Current {
    /// Where records go.
    pub ctx: CtxId,
    /// The CPU (`smp_processor_id()`).
    pub cpu: CpuId,
    /// The task, `None` in interrupt context and at boot.
    pub task: Option<TaskId>,
}

/// Everything the machine is. Recording ([`Trace`]) and choosing ([`Oracle`]) ride along but are
/// not compared or hashed.
#[derive(Debug, Default)]
pub struct Kernel {
    /// Which kernel's behaviour.
    pub sem: Semantics,
    /// `saved_command_line`: the text that was parsed at boot, for /proc/cmdline.
    pub saved_command_line: Shared<String>,
    /// What its words set.
    pub params: Shared<Params>,
    /// kernel/sched/isolation.c.
    pub housekeeping: Shared<Housekeeping>,
    /// CPUs and their masks.
    pub topo: Shared<Topology>,
    /// kernel/irq: descriptors, domains, chips.
    pub irq: IrqState,
    /// kernel/irq/matrix.c: the vector matrix.
    pub vector_matrix: Shared<IrqMatrix>,
    /// arch/x86/kernel/apic.
    pub apic: Apic,
    /// drivers/iommu/intel: interrupt remapping.
    pub remap: Shared<RemapState>,
    /// MSI descriptors.
    pub msi: Shared<Msi>,
    /// drivers/pci.
    pub pci: Shared<PciState>,
    /// block/.
    pub blk: Blk,
    /// drivers/nvme/host.
    pub nvme: NvmeState,
    /// drivers/virtio, drivers/block/virtio_blk.c.
    pub virtio: VirtioState,
    /// kernel/cpu.c.
    pub hotplug: Hotplug,
    /// All registers of all devices.
    pub hw: Hw,
    /// Tasks.
    pub sched: Sched,
    /// Virtual time and what happens later.
    pub events: EventQueue,
    /// Who runs.
    pub cur: Current,
    /// The kernel log (`dmesg`), without time stamps.
    pub log: Shared<Vec<String>>,
    /// How many WARNs held and warnings were said.
    pub warnings: u32,
    /// What is said once, or not too often.
    pub printk: Shared<Printk>,
    /// What /sys/kernel/tracing is set to.
    pub tracing: Shared<Tracing>,
    /// The record of the run.
    pub trace: Trace,
    /// The source of choices.
    pub oracle: Oracle,
}

clone_by_field! {
    Kernel { sem, saved_command_line, params, housekeeping, topo, irq, vector_matrix, apic, remap, msi, pci, blk, nvme, virtio, hotplug, hw, sched, events, cur, log, warnings, printk, tracing, trace, oracle }
}

impl Kernel {
    /// Ends what counts as boot: from here on the allocator alone decides where vectors go.
    pub fn boot_done(&mut self) {
        self.apic.booting = false;
        self.apic.boot_placement.clear();
        self.vector_matrix.set_aside.clear();
    }

    /// `smp_processor_id()`.
    pub fn cpu(&self) -> CpuId {
        self.cur.cpu
    }

    /// Makes copies cheap: they have in common what seldom changes, until it does.
    pub fn share(&mut self) {
        let Self { irq, apic, blk, nvme, virtio, hotplug, hw, sched, trace, .. } = self;
        self.saved_command_line.share_in_place();
        self.params.share_in_place();
        self.housekeeping.share_in_place();
        self.topo.share_in_place();
        self.vector_matrix.share_in_place();
        self.remap.share_in_place();
        self.msi.share_in_place();
        self.pci.share_in_place();
        self.log.share_in_place();
        self.printk.share_in_place();
        self.tracing.share_in_place();
        irq.domains.share_in_place();
        irq.chips.share_in_place();
        apic.mp_chip_data.share_in_place();
        apic.mp_irqs.share_in_place();
        hw.destinations.share_in_place();
        hw.ioapic.share_in_place();
        hw.vtd.table.share_in_place();
        hotplug.cpuhp_hp_states.share_in_place();
        blk.requests.share_in_place();
        sched.waiters.share_in_place();
        share_list(&mut hw.pci);
        share_list(&mut hw.nvme);
        share_list(&mut hw.virtio);
        share_list(&mut nvme.devs);
        share_list(&mut sched.tasks);
        share_slots(&mut irq.descs);
        share_slots(&mut blk.tag_sets);
        share_slots(&mut blk.queues);
        share_slots(&mut blk.disks);
        share_slots(&mut virtio.devs);
        // Where it is written to all the time, and grows, a copy would cost more.
        if !trace.on {
            trace.ctxs.share_in_place();
        }
    }
}

fn share_list<T>(list: &mut Vec<Shared<T>>) {
    if list.iter().any(Shared::is_own) {
        *list = core::mem::take(list).into_iter().map(Shared::share).collect();
    }
}

fn share_slots<T>(slots: &mut [Option<Shared<T>>]) {
    for slot in slots.iter_mut().filter(|slot| slot.as_ref().is_some_and(Shared::is_own)) {
        *slot = slot.take().map(Shared::share);
    }
}

// `cur.ctx` names a recording and is left out with it.
macro_rules! compared {
    ($self:ident) => {{
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
        } = $self;
        (
            (sem, saved_command_line, params, housekeeping),
            (topo, irq, vector_matrix, apic, remap, msi, pci, blk),
            (nvme, virtio, hotplug, hw, sched, events, cur.cpu, cur.task, log, (warnings, printk), tracing),
        )
    }};
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        compared!(self) == compared!(other)
    }
}

impl Eq for Kernel {}

impl core::hash::Hash for Kernel {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        let mut blocks = Blocks::new(state);
        compared!(self).hash(&mut blocks);
        blocks.flush();
    }
}
