//! The machine.

use std::sync::Arc;

use crate::apic::Apic;
use crate::blk::Blk;
use crate::blocks::Blocks;
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
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// Which kernel's behaviour.
    pub sem: Semantics,
    /// `saved_command_line`: the text that was parsed at boot, for /proc/cmdline.
    pub saved_command_line: Arc<str>,
    /// What its words set.
    pub params: Params,
    /// kernel/sched/isolation.c.
    pub housekeeping: Housekeeping,
    /// CPUs and their masks.
    pub topo: Shared<Topology>,
    /// kernel/irq: descriptors, domains, chips.
    pub irq: IrqState,
    /// kernel/irq/matrix.c: the vector matrix.
    pub vector_matrix: IrqMatrix,
    /// arch/x86/kernel/apic.
    pub apic: Apic,
    /// drivers/iommu/intel: interrupt remapping.
    pub remap: RemapState,
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
    pub log: Vec<String>,
    /// How many WARNs held and warnings were said.
    pub warnings: u32,
    /// What is said once, or not too often.
    pub printk: Printk,
    /// What /sys/kernel/tracing is set to.
    pub tracing: Tracing,
    /// The record of the run.
    pub trace: Trace,
    /// The source of choices.
    pub oracle: Oracle,
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
        share(&mut self.topo);
        share(&mut self.msi);
        share(&mut self.pci);
        share(&mut self.irq.domains);
        share(&mut self.irq.chips);
        share(&mut self.apic.mp_chip_data);
        share(&mut self.apic.mp_irqs);
        share(&mut self.hw.destinations);
        share(&mut self.hotplug.cpuhp_hp_states);
        self.hw.pci.iter_mut().for_each(share);
        share_slots(&mut self.irq.descs);
        share_slots(&mut self.blk.tag_sets);
        share_slots(&mut self.blk.queues);
        share_slots(&mut self.blk.disks);
    }
}

fn share<T: Default>(value: &mut Shared<T>) {
    if value.is_own() {
        *value = core::mem::take(value).share();
    }
}

fn share_slots<T>(slots: &mut [Option<Shared<T>>]) {
    for slot in slots {
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
