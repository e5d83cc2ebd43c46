//! Queues: those of disks with their CPUs, and those of NVMe controllers.

use kstate::blk::{HctxType, RequestQueue};
use kstate::nvme::NvmeQueue;
use kstate::shared::Shared;
use kstate::{Kernel, NvmeId, QueueId};

use super::{Object, Slots, is_same, keep};

#[derive(Debug, Default)]
pub(super) struct Seen {
    queues: Vec<Option<Shared<RequestQueue>>>,
    /// Disks that have a name.
    disks: usize,
    nvme: Vec<Vec<NvmeQueue>>,
}

impl Seen {
    pub(super) fn look(&mut self, k: &mut Kernel, slots: &mut Slots) {
        let count = k.blk.queues.len().max(self.queues.len());
        self.queues.resize_with(count, || None);
        // A queue has the name of its disk, which comes later.
        let disks = k.blk.disks.iter().flatten().count();
        let named = core::mem::replace(&mut self.disks, disks) != disks;
        for at in 0..count {
            let id = QueueId(at as u32);
            let seen = &mut self.queues[at];
            let Some(Some(now)) = k.blk.queues.get_mut(at) else {
                if let Some(old) = seen.take() {
                    for n in 0..old.queue_hw_ctx.len() {
                        slots.clear(Object::Queue(id, n as u32));
                    }
                }
                continue;
            };
            if is_same(seen.as_ref(), now) && !named {
                continue;
            }
            let old =
                if is_same(seen.as_ref(), now) { None } else { keep(seen, now, RequestQueue::default()) };
            hardware_queues(k, slots, id, old.as_deref().filter(|_| !named));
        }
        self.nvme(k, slots);
    }

    fn nvme(&mut self, k: &Kernel, slots: &mut Slots) {
        self.nvme.resize_with(k.nvme.devs.len().max(self.nvme.len()), Vec::new);
        for (at, (dev, seen)) in k.nvme.devs.iter().zip(&mut self.nvme).enumerate() {
            if *seen == dev.queues {
                continue;
            }
            for n in 0..dev.queues.len().max(seen.len()) {
                let (queue, before) = (dev.queues.get(n), seen.get(n));
                if queue == before {
                    continue;
                }
                let object = Object::NvmeQueue(NvmeId(at as u32), n as u16);
                let Some(queue) = queue else {
                    slots.clear(object);
                    continue;
                };
                slots.set(object, "name", None, format!("nvme{}q{}", dev.instance, queue.qid));
                slots.set(object, "entry", None, (!queue.polled).then(|| u32::from(queue.cq_vector)));
                slots.set(object, "enabled", None, queue.enabled);
                slots.set(object, "sq_tail", None, u32::from(queue.sq_tail));
                slots.set(object, "cq_head", None, u32::from(queue.cq_head));
            }
            seen.clone_from(&dev.queues);
        }
    }
}

fn hardware_queues(k: &Kernel, slots: &mut Slots, id: QueueId, old: Option<&RequestQueue>) {
    let Some(Some(queue)) = k.blk.queues.get(id.index()) else { return };
    let before = old.map_or(0, |old| old.queue_hw_ctx.len());
    let name = k.blk.disks.iter().flatten().find(|disk| disk.queue == id).map(|disk| disk.disk_name.clone());
    for n in 0..queue.queue_hw_ctx.len().max(before) {
        let object = Object::Queue(id, n as u32);
        let Some(hctx) = queue.queue_hw_ctx.get(n) else {
            slots.clear(object);
            continue;
        };
        let seen = old.and_then(|old| old.queue_hw_ctx.get(n));
        if seen.is_some_and(|seen| {
            (&seen.cpumask, seen.ty, seen.inactive) == (&hctx.cpumask, hctx.ty, hctx.inactive)
        }) {
            continue;
        }
        let kind = match hctx.ty {
            HctxType::Default => "default",
            HctxType::Read => "read",
            HctxType::Poll => "poll",
        };
        slots.set(object, "disk", None, name.as_deref());
        slots.set(object, "kind", None, kind);
        slots.set(object, "cpus", None, &hctx.cpumask);
        slots.set(object, "inactive", None, hctx.inactive);
    }
}
