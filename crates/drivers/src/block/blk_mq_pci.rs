//! Queues that follow the interrupts of a PCI function.
//!
//! C file: block/blk-mq-pci.c of 5.4 and 6.12.

use kfn::kfn;
use kstate::{Kernel, PciDevId, TagSetId};

use super::blk_mq_cpumap::blk_mq_clear_mq_map;

/// `blk_mq_pci_map_queues()`: a queue gets the CPUs of its interrupt's affinity.
#[kfn("block/blk-mq-pci.c")]
pub fn blk_mq_pci_map_queues(k: &mut Kernel, set: TagSetId, map: usize, pdev: PciDevId, offset: u32) {
    let qmap = &k.blk.set(set).map[map];
    let (nr_queues, queue_offset) = (qmap.nr_queues, qmap.queue_offset);
    for queue in 0..nr_queues {
        let Some(mask) = pcimsi::kernel::pci_irq_get_affinity(k, pdev, queue + offset) else {
            if nr_queues > 1 {
                k.warn_once("WARNING: at block/blk-mq-pci.c blk_mq_pci_map_queues");
            }
            blk_mq_clear_mq_map(&mut k.blk.set_mut(set).map[map]);
            return;
        };
        for cpu in mask.iter().filter(|cpu| cpu.0 < k.topo.nr_cpu_ids) {
            k.blk.set_mut(set).map[map].mq_map[cpu.index()] = queue_offset + queue;
        }
    }
}
