//! The driver's side of a split virtqueue.
//!
//! drivers/virtio/virtio_ring.c of 5.4 and 6.12. Packed rings are not modelled: the device does
//! not offer them.

use kfn::kfn;
use kstate::hw::virtio::{
    AVAIL_F_NO_INTERRUPT, DESC_F_INDIRECT, DESC_F_NEXT, F_EVENT_IDX, F_INDIRECT_DESC, SplitRing,
    USED_F_NO_NOTIFY, VirtqDesc,
};
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IrqReturn};
use kstate::virtio::{Virtqueue, VqCallback};
use kstate::{Errno, Irq, Kernel, VirtioId};

use super::hw;

/// Handler of a queue's own vector.
pub const VRING_INTERRUPT: Handler = Handler { name: "vring_interrupt", call: vring_interrupt };

/// `vring_create_virtqueue` for a split ring: memory, and the driver's view of it.
pub fn vring_create_virtqueue(
    k: &mut Kernel,
    id: VirtioId,
    index: u16,
    num: u16,
    name: String,
    callback: Option<VqCallback>,
) {
    let features = k.virtio.dev(id).features;
    let desc_addr = hw::queue_memory(id, index);
    let mut ring = SplitRing { num, ..SplitRing::default() };
    if callback.is_none() {
        ring.avail_flags |= AVAIL_F_NO_INTERRUPT;
    }
    let event = features & F_EVENT_IDX != 0;
    if event {
        ring.avail_flags = 0;
    }
    k.hw.virtio[id.index()].memory.rings.insert(desc_addr, ring);
    let vq = Virtqueue {
        name,
        callback,
        num,
        num_free: num,
        avail_flags_shadow: if callback.is_some() { 0 } else { AVAIL_F_NO_INTERRUPT },
        indirect: features & F_INDIRECT_DESC != 0,
        event,
        desc_addr,
        ..Virtqueue::default()
    };
    k.virtio.dev_mut(id).vdev_vqs.insert(index, vq);
}

/// The address of a queue's descriptor table.
pub fn virtqueue_get_desc_addr(k: &Kernel, id: VirtioId, index: u16) -> u64 {
    k.virtio.vq(id, index).map_or(0, |vq| vq.desc_addr)
}

/// The address of its available ring, behind the descriptors (`vring_init()`).
pub fn virtqueue_get_avail_addr(k: &Kernel, id: VirtioId, index: u16) -> u64 {
    k.virtio.vq(id, index).map_or(0, |vq| vq.desc_addr + 16 * u64::from(vq.num))
}

/// The address of its used ring: the available one has flags, index and event index around the entries, and
/// the used one begins with the next cache line.
pub fn virtqueue_get_used_addr(k: &Kernel, id: VirtioId, index: u16) -> u64 {
    let num = k.virtio.vq(id, index).map_or(0, |vq| u64::from(vq.num));
    (virtqueue_get_avail_addr(k, id, index) + 6 + 2 * num).next_multiple_of(64)
}

/// `vring_del_virtqueue`.
pub fn vring_del_virtqueue(k: &mut Kernel, id: VirtioId, index: u16) {
    let Some(vq) = k.virtio.dev_mut(id).vdev_vqs.remove(&index) else { return };
    let memory = &mut k.hw.virtio[id.index()].memory;
    memory.rings.remove(&vq.desc_addr);
    let end = vq.desc_addr + (1 << 24);
    memory.tables.retain(|addr, _| !(vq.desc_addr..end).contains(addr));
    memory.buffers.retain(|addr, _| !(vq.desc_addr..end).contains(addr));
}

/// `virtqueue_add_sgs`: gives the device a chain of buffers, those that it only reads first. `data` is
/// what the driver knows the chain by.
///
/// # Errors
/// `ENOSPC` when the ring is full, `EIO` when the queue is broken.
pub fn virtqueue_add_sgs(
    k: &mut Kernel,
    id: VirtioId,
    index: u16,
    mut sgs: Vec<VirtqDesc>,
    data: u64,
) -> Result<(), Errno> {
    let (vq, ring) = k.vq_and_ring(id, index).ok_or(Errno::EIO)?;
    if vq.broken {
        return Err(Errno::EIO);
    }
    let head = vq.free_head;
    let indirect = vq.indirect && sgs.len() > 1 && vq.num_free != 0;
    let descs_used = if indirect { 1 } else { sgs.len() as u16 };
    if vq.num_free < descs_used {
        // The device is told in any case, so that it makes room.
        hw::notify(k, id, index);
        return Err(Errno::ENOSPC);
    }
    let mut table = None;
    let last = sgs.len() - 1;
    if indirect {
        for (i, desc) in sgs.iter_mut().enumerate() {
            desc.next = i as u16 + 1;
            if i != last {
                desc.flags |= DESC_F_NEXT;
            }
        }
        let addr = vq.desc_addr + 0x1_0000 + u64::from(head) * 0x100;
        let next = ring.next_free(head);
        let len = sgs.len() as u32 * 16;
        ring.desc.insert(head, VirtqDesc { addr, len, flags: DESC_F_INDIRECT, next });
        vq.free_head = next;
        table = Some((addr, sgs));
    } else {
        let mut i = head;
        for (n, mut desc) in sgs.into_iter().enumerate() {
            desc.next = ring.next_free(i);
            if n != last {
                desc.flags |= DESC_F_NEXT;
            }
            ring.desc.insert(i, desc);
            i = desc.next;
        }
        vq.free_head = i;
    }
    vq.num_free -= descs_used;
    vq.desc_state.insert(head, data);
    ring.avail_ring.insert(vq.avail_idx_shadow % vq.num, head);
    vq.avail_idx_shadow = vq.avail_idx_shadow.wrapping_add(1);
    ring.avail_idx = vq.avail_idx_shadow;
    vq.num_added = vq.num_added.wrapping_add(1);
    k.hw.virtio[id.index()].memory.tables.extend(table);
    Ok(())
}

/// `virtqueue_kick_prepare`: whether the device wants to be notified.
pub fn virtqueue_kick_prepare(k: &mut Kernel, id: VirtioId, index: u16) -> bool {
    let Some((vq, ring)) = k.vq_and_ring(id, index) else { return false };
    let new = vq.avail_idx_shadow;
    let old = new.wrapping_sub(vq.num_added);
    vq.num_added = 0;
    if vq.event {
        hw::need_event(ring.avail_event, new, old)
    } else {
        ring.used_flags & USED_F_NO_NOTIFY == 0
    }
}

/// `virtqueue_notify`, whose `notify` callback is `vp_notify`: a write of the queue's number.
pub fn virtqueue_notify(k: &mut Kernel, id: VirtioId, index: u16) -> bool {
    if k.virtio.vq(id, index).is_none_or(|vq| vq.broken) {
        return false;
    }
    hw::notify(k, id, index);
    true
}

/// `virtqueue_kick`.
pub fn virtqueue_kick(k: &mut Kernel, id: VirtioId, index: u16) -> bool {
    if virtqueue_kick_prepare(k, id, index) { virtqueue_notify(k, id, index) } else { true }
}

/// `more_used`.
fn more_used(k: &mut Kernel, id: VirtioId, index: u16) -> bool {
    k.vq_and_ring(id, index).is_some_and(|(vq, ring)| vq.last_used_idx != ring.used_idx)
}

/// `virtqueue_get_buf`: the oldest chain the device is done with, and how many bytes it wrote.
pub fn virtqueue_get_buf(k: &mut Kernel, id: VirtioId, index: u16) -> Option<(u64, u32)> {
    let (vq, ring) = k.vq_and_ring(id, index)?;
    if vq.broken || vq.last_used_idx == ring.used_idx {
        return None;
    }
    let used = ring.used_ring.get(&(vq.last_used_idx % vq.num)).copied().unwrap_or_default();
    let head = used.id as u16;
    let Some(data) = vq.desc_state.remove(&head).filter(|_| used.id < u32::from(vq.num)) else {
        // `BAD_RING`: the device named a buffer it was never given.
        vq.broken = true;
        let wrong = if used.id < u32::from(vq.num) { "is not a head!" } else { "out of range" };
        let queue = vq.name.clone();
        k.pr_warn(format!("{}: {queue}:id {} {wrong}", k.vdev_name(id), used.id));
        return None;
    };
    // `detach_buf_split`: the chain goes to the front of the free list.
    let mut i = head;
    let mut table = None;
    while let Some(desc) = ring.desc.get_mut(&i) {
        vq.num_free += 1;
        if desc.flags & DESC_F_INDIRECT != 0 {
            table = Some(desc.addr);
        }
        if desc.flags & DESC_F_NEXT == 0 {
            desc.next = vq.free_head;
            break;
        }
        i = desc.next;
    }
    vq.free_head = head;
    vq.last_used_idx = vq.last_used_idx.wrapping_add(1);
    if vq.avail_flags_shadow & AVAIL_F_NO_INTERRUPT == 0 {
        ring.used_event = vq.last_used_idx;
    }
    if let Some(table) = table {
        k.hw.virtio[id.index()].memory.tables.remove(&table);
    }
    Some((data, used.len))
}

/// `virtqueue_disable_cb`.
pub fn virtqueue_disable_cb(k: &mut Kernel, id: VirtioId, index: u16) {
    let tracks_events = k.sem.vring_event_triggered;
    let Some((vq, ring)) = k.vq_and_ring(id, index) else { return };
    if vq.avail_flags_shadow & AVAIL_F_NO_INTERRUPT != 0 {
        return;
    }
    vq.avail_flags_shadow |= AVAIL_F_NO_INTERRUPT;
    if tracks_events && vq.event_triggered {
        // The device has used up its event and stays silent without being told.
        return;
    }
    if !vq.event {
        ring.avail_flags = vq.avail_flags_shadow;
    } else if tracks_events {
        ring.used_event = 0;
    }
}

/// `virtqueue_enable_cb`: false when the device has used more meanwhile.
pub fn virtqueue_enable_cb(k: &mut Kernel, id: VirtioId, index: u16) -> bool {
    let Some((vq, ring)) = k.vq_and_ring(id, index) else { return true };
    vq.event_triggered = false;
    if vq.avail_flags_shadow & AVAIL_F_NO_INTERRUPT != 0 {
        vq.avail_flags_shadow &= !AVAIL_F_NO_INTERRUPT;
        if !vq.event {
            ring.avail_flags = vq.avail_flags_shadow;
        }
    }
    ring.used_event = vq.last_used_idx;
    // A broken queue has nothing more to give, whatever the device says.
    vq.broken || vq.last_used_idx == ring.used_idx
}

/// Interrupt of a queue: calls the driver when the device has used something.
#[kfn("drivers/virtio/virtio_ring.c")]
pub fn vring_interrupt(k: &mut Kernel, irq: Irq, dev_id: DevId) -> IrqReturn {
    let _ = irq;
    let DevId::Driver(dev, index) = dev_id else { return IrqReturn::None };
    let id = hw::id_of(k, dev);
    if !more_used(k, id, index) {
        return IrqReturn::None;
    }
    let tracks_events = k.sem.vring_event_triggered;
    let Some((vq, _)) = k.vq_and_ring(id, index) else { return IrqReturn::None };
    if vq.broken {
        return IrqReturn::Handled;
    }
    if tracks_events && vq.event {
        vq.event_triggered = true;
    }
    if let Some(callback) = vq.callback {
        (callback.call)(k, id, index);
    }
    IrqReturn::Handled
}
