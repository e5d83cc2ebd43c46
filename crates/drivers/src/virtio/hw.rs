//! What all virtio devices have: common configuration and split virtqueues (Virtual I/O Device
//! specification 1.1, sections 2.1, 2.6 and 4.1.4). What a kind of device does with the buffers it is
//! given is in the module of that kind, which this one calls through [`VirtioKind`].
//!
//! # What it doesn't implement
//! The legacy interface of a transitional function, the capabilities that say where the structures
//! lie, packed virtqueues, queue reset. Statuses must be set in the order of section 3.1.1, which the
//! specification leaves to the driver.

use kstate::data::Data;
use kstate::event::Event;
use kstate::hw::pci::{ASKS, Bar, DeviceModel, PciFunction};
use kstate::hw::virtio::{
    AVAIL_F_NO_INTERRUPT, DESC_F_INDIRECT, DESC_F_NEXT, F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1,
    ISR_CONFIG, ISR_QUEUE, NO_VECTOR, STATUS_ACKNOWLEDGE, STATUS_DRIVER, STATUS_DRIVER_OK, STATUS_FAILED,
    STATUS_FEATURES_OK, STATUS_NEEDS_RESET, Served, SplitRing, VirtioDevice, VirtioKind, VirtqDesc,
    VirtqUsedElem, VirtqueueRegs,
};
use kstate::oracle::Point;
use kstate::shared::Shared;
use kstate::trace::Hardware;
use kstate::{Kernel, PciDevId, VirtioId};

/// PCI Vendor ID of all virtio devices (section 4.1.2).
pub const VENDOR_ID: u16 = 0x1af4;
/// Descriptors of each queue.
pub const QUEUE_SIZE: u16 = 256;

/// How long the device takes for what is in a queue, in ns.
const LATENCY: u64 = 80_000;
/// Fields of the common configuration structure (section 4.1.4.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reg {
    /// device_feature_select, offset 0x00.
    DeviceFeatureSelect,
    /// device_feature, offset 0x04, read-only.
    DeviceFeature,
    /// driver_feature_select, offset 0x08.
    DriverFeatureSelect,
    /// driver_feature, offset 0x0c.
    DriverFeature,
    /// msix_config, offset 0x10.
    MsixConfig,
    /// num_queues, offset 0x12, read-only.
    NumQueues,
    /// device_status, offset 0x14.
    DeviceStatus,
    /// config_generation, offset 0x15, read-only.
    ConfigGeneration,
    /// queue_select, offset 0x16.
    QueueSelect,
    /// queue_size, offset 0x18.
    QueueSize,
    /// queue_msix_vector, offset 0x1a.
    QueueMsixVector,
    /// queue_enable, offset 0x1c.
    QueueEnable,
    /// queue_notify_off, offset 0x1e, read-only.
    QueueNotifyOff,
    /// queue_desc, low half, offset 0x20.
    QueueDescLo,
    /// queue_desc, high half, offset 0x24.
    QueueDescHi,
    /// queue_driver, low half, offset 0x28.
    QueueDriverLo,
    /// queue_driver, high half, offset 0x2c.
    QueueDriverHi,
    /// queue_device, low half, offset 0x30.
    QueueDeviceLo,
    /// queue_device, high half, offset 0x34.
    QueueDeviceHi,
}

/// What a register access makes the device do besides storing the value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    /// Nothing.
    None,
    /// It was reset: whatever it worked on is forgotten and its interrupt line is low.
    Reset,
}

/// An interrupt the device wants to send.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Notification {
    /// Used buffers in a queue with this vector.
    Queue(u16),
    /// The configuration has changed; this is its vector.
    Config(u16),
}

/// What every virtio device behind a PCI function does. Between two register accesses of a driver it may
/// finish early. A kind of device adds its name, its parameters and how it is made.
pub const MODEL: DeviceModel = DeviceModel {
    msix_table: (1, 0),
    can_msi: false,
    event: |k, dev, word| complete(k, id_of(k, dev), word as u16),
    describe: |word| format!("completes on queue {word}"),
    pending: Some(pending),
    act: Some(act),
    ..DeviceModel::INERT
};

/// The device behind a function.
pub fn id_of(k: &Kernel, dev: PciDevId) -> VirtioId {
    VirtioId(k.hw.pci[dev.index()].unit)
}

/// Puts a device behind a function: the MSI-X table is behind base address register 1, the virtio
/// structures behind 4.
pub fn attach(k: &mut Kernel, function: &mut PciFunction, device: VirtioDevice) {
    let id = VirtioId(k.hw.virtio.len() as u32);
    k.hw.virtio.push(Shared::new(device));
    function.vendor_id = VENDOR_ID;
    function.bars[1] = Bar::Msix;
    function.bars[4] = Bar::Registers;
    function.unit = id.0;
}

/// The queue of a function's device that has been given work.
fn busy_queue(k: &Kernel, dev: PciDevId) -> Option<(VirtioId, u16)> {
    let id = id_of(k, dev);
    let device = &k.hw.virtio[id.index()];
    (0..device.queues.len() as u16).find(|&queue| is_busy(device, queue)).map(|queue| (id, queue))
}

/// A queue has buffers that the device has a use for.
fn is_busy(device: &VirtioDevice, queue: u16) -> bool {
    let given = device.queues.get(usize::from(queue)).is_some_and(|regs| !regs.in_flight.is_empty());
    given && (device.kind.ready)(device, queue)
}

fn pending(k: &Kernel, dev: PciDevId) -> bool {
    busy_queue(k, dev).is_some()
}

fn act(k: &mut Kernel, dev: PciDevId) {
    if let Some((id, queue)) = busy_queue(k, dev) {
        k.events.cancel_all(|event| *event == Event::Device(dev, u64::from(queue)));
        complete(k, id, queue);
    }
}

/// A device of a kind, with so many queues, after power-on. `features` are those of the kind.
pub fn new(
    dev: PciDevId,
    kind: &'static VirtioKind,
    features: u64,
    queues: u16,
    msix_vectors: u16,
    data: Data,
) -> VirtioDevice {
    let mut device = VirtioDevice {
        kind,
        dev,
        device_feature: features | F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1,
        msix_vectors,
        queues: vec![VirtqueueRegs::default(); usize::from(queues)],
        data,
        config_looked_at: true,
        ..VirtioDevice::default()
    };
    for queue in &mut device.queues {
        queue.queue_size_max = QUEUE_SIZE;
    }
    reset(&mut device);
    device
}

/// Device reset (section 2.4). Every field is named, so that a new one cannot be forgotten.
fn reset(device: &mut VirtioDevice) {
    let VirtioDevice {
        kind: _,
        dev: _,
        device_feature: _,
        device_feature_select,
        driver_feature,
        driver_feature_select,
        msix_config,
        device_status,
        // The generation counts changes of the device, not of the driver, and survives.
        config_generation: _,
        config_looked_at: _,
        queue_select,
        queues,
        isr_status,
        msix_vectors: _,
        data: _,
        start_fails: _,
        memory: _,
    } = device;
    *device_feature_select = 0;
    *driver_feature = 0;
    *driver_feature_select = 0;
    *msix_config = NO_VECTOR;
    *device_status = 0;
    *queue_select = 0;
    *isr_status = 0;
    for queue in queues {
        *queue = VirtqueueRegs {
            queue_size_max: queue.queue_size_max,
            queue_size: queue.queue_size_max,
            queue_msix_vector: NO_VECTOR,
            ..VirtqueueRegs::default()
        };
    }
}

fn half(value: u64, select: u32) -> u32 {
    match select {
        0 => value as u32,
        1 => (value >> 32) as u32,
        _ => 0,
    }
}

fn set_half(value: &mut u64, select: u32, half: u32) {
    match select {
        0 => *value = *value & !0xffff_ffff | u64::from(half),
        1 => *value = *value & 0xffff_ffff | u64::from(half) << 32,
        _ => {}
    }
}

/// Reads a field of the common configuration. An absent queue reads as zero, its vector as none.
pub fn read(device: &VirtioDevice, reg: Reg) -> u32 {
    let queue = device.queues.get(usize::from(device.queue_select));
    let of_queue = |f: fn(&VirtqueueRegs) -> u32| queue.map_or(0, f);
    match reg {
        Reg::DeviceFeatureSelect => device.device_feature_select,
        Reg::DeviceFeature => half(device.device_feature, device.device_feature_select),
        Reg::DriverFeatureSelect => device.driver_feature_select,
        Reg::DriverFeature => half(device.driver_feature, device.driver_feature_select),
        Reg::MsixConfig => u32::from(device.msix_config),
        Reg::NumQueues => device.queues.len() as u32,
        Reg::DeviceStatus => u32::from(device.device_status),
        Reg::ConfigGeneration => u32::from(device.config_generation),
        Reg::QueueSelect => u32::from(device.queue_select),
        Reg::QueueSize => of_queue(|q| u32::from(q.queue_size)),
        Reg::QueueMsixVector => u32::from(queue.map_or(NO_VECTOR, |q| q.queue_msix_vector)),
        Reg::QueueEnable => of_queue(|q| u32::from(q.queue_enable)),
        Reg::QueueNotifyOff => queue.map_or(0, |_| u32::from(device.queue_select)),
        Reg::QueueDescLo => of_queue(|q| half(q.queue_desc, 0)),
        Reg::QueueDescHi => of_queue(|q| half(q.queue_desc, 1)),
        Reg::QueueDriverLo => of_queue(|q| half(q.queue_driver, 0)),
        Reg::QueueDriverHi => of_queue(|q| half(q.queue_driver, 1)),
        Reg::QueueDeviceLo => of_queue(|q| half(q.queue_device, 0)),
        Reg::QueueDeviceHi => of_queue(|q| half(q.queue_device, 1)),
    }
}

/// The vector a write of `value` maps: none when the table has no such entry (section 4.1.5.1.2).
fn mapped(device: &VirtioDevice, value: u32) -> u16 {
    if value < u32::from(device.msix_vectors) { value as u16 } else { NO_VECTOR }
}

/// Whether the driver may go from one status to another: it adds the next bit of the order in
/// section 3.1.1, or gives up.
fn status_allowed(old: u8, new: u8) -> bool {
    const ORDER: [u8; 4] = [STATUS_ACKNOWLEDGE, STATUS_DRIVER, STATUS_FEATURES_OK, STATUS_DRIVER_OK];
    let added = new & !old;
    let next = ORDER.into_iter().find(|bit| old & bit == 0).unwrap_or(0);
    old & !new & !STATUS_NEEDS_RESET == 0 && (added == 0 || added == STATUS_FAILED || added == next)
}

fn write_status(device: &mut VirtioDevice, value: u8) -> Effect {
    if value == 0 {
        reset(device);
        return Effect::Reset;
    }
    if !status_allowed(device.device_status, value) {
        return Effect::None;
    }
    let mut value = value | device.device_status & STATUS_NEEDS_RESET;
    let accepted =
        device.driver_feature & F_VERSION_1 != 0 && device.driver_feature & !device.device_feature == 0;
    if value & !device.device_status & STATUS_FEATURES_OK != 0 && !accepted {
        value &= !STATUS_FEATURES_OK;
    }
    if device.start_fails {
        value &= !STATUS_DRIVER_OK;
    }
    device.device_status = value;
    Effect::None
}

/// Writes a field of the common configuration. An absent queue takes nothing.
pub fn write(device: &mut VirtioDevice, reg: Reg, value: u32) -> Effect {
    let vector = mapped(device, value);
    let configuring = device.device_status & (STATUS_FEATURES_OK | STATUS_DRIVER_OK) == STATUS_FEATURES_OK;
    let select = usize::from(device.queue_select);
    match reg {
        Reg::DeviceFeatureSelect => device.device_feature_select = value,
        Reg::DriverFeatureSelect => device.driver_feature_select = value,
        // After FEATURES_OK the driver must not change its mind (section 3.1.1).
        Reg::DriverFeature if device.device_status & STATUS_FEATURES_OK == 0 => {
            set_half(&mut device.driver_feature, device.driver_feature_select, value);
        }
        Reg::MsixConfig => device.msix_config = vector,
        Reg::DeviceStatus => return write_status(device, value as u8),
        Reg::QueueSelect => device.queue_select = value as u16,
        Reg::DeviceFeature
        | Reg::DriverFeature
        | Reg::NumQueues
        | Reg::ConfigGeneration
        | Reg::QueueNotifyOff => {}
        _ => {
            let Some(queue) = device.queues.get_mut(select) else { return Effect::None };
            match reg {
                Reg::QueueMsixVector => queue.queue_msix_vector = vector,
                Reg::QueueSize if configuring && value <= u32::from(queue.queue_size_max) => {
                    queue.queue_size = value as u16;
                }
                // A queue is disabled by a reset only (section 4.1.4.3.2).
                Reg::QueueEnable if value == 1 => queue.queue_enable = true,
                Reg::QueueDescLo => set_half(&mut queue.queue_desc, 0, value),
                Reg::QueueDescHi => set_half(&mut queue.queue_desc, 1, value),
                Reg::QueueDriverLo => set_half(&mut queue.queue_driver, 0, value),
                Reg::QueueDriverHi => set_half(&mut queue.queue_driver, 1, value),
                Reg::QueueDeviceLo => set_half(&mut queue.queue_device, 0, value),
                Reg::QueueDeviceHi => set_half(&mut queue.queue_device, 1, value),
                _ => {}
            }
        }
    }
    Effect::None
}

/// `vring_need_event` (section 2.6.7): the event index lies in what was added since `old`.
pub const fn need_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// Fetches what the driver made available in a queue. True when there is something to do now.
pub fn fetch(device: &mut VirtioDevice, queue: u16) -> bool {
    if device.device_status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET) != STATUS_DRIVER_OK {
        return false;
    }
    let Some(regs) = device.queues.get_mut(usize::from(queue)) else { return false };
    if !regs.queue_enable {
        return false;
    }
    let Some(ring) = device.memory.rings.get_mut(&regs.queue_desc) else { return false };
    let waiting = ring.avail_idx.wrapping_sub(regs.last_avail_idx);
    if ring.num == 0 || waiting > ring.num {
        device.device_status |= STATUS_NEEDS_RESET;
        return false;
    }
    for _ in 0..waiting {
        let head = ring.avail_ring.get(&(regs.last_avail_idx % ring.num)).copied().unwrap_or(0);
        regs.in_flight.push(head);
        regs.last_avail_idx = regs.last_avail_idx.wrapping_add(1);
    }
    if device.driver_feature & F_EVENT_IDX != 0 {
        ring.avail_event = regs.last_avail_idx;
    }
    waiting > 0
}

/// The buffers of a chain in order; `None` when it is malformed.
fn chain(
    ring: &SplitRing,
    tables: &std::collections::BTreeMap<u64, Vec<VirtqDesc>>,
    head: u16,
) -> Option<Vec<VirtqDesc>> {
    let first = ring.desc.get(&head)?;
    let mut buffers = Vec::new();
    if first.flags & DESC_F_INDIRECT != 0 {
        let table = tables.get(&first.addr)?;
        let mut i = 0;
        loop {
            let desc = table.get(usize::from(i))?;
            buffers.push(*desc);
            if desc.flags & DESC_F_NEXT == 0 {
                return Some(buffers);
            }
            if buffers.len() > table.len() {
                return None;
            }
            i = desc.next;
        }
    }
    let mut i = head;
    loop {
        let desc = ring.desc.get(&i).filter(|_| i < ring.num)?;
        buffers.push(*desc);
        if desc.flags & DESC_F_NEXT == 0 {
            return Some(buffers);
        }
        if buffers.len() > usize::from(ring.num) {
            return None;
        }
        i = desc.next;
    }
}

/// Finishes the chains fetched from a queue that the device has a use for, and says whether the driver is
/// to be interrupted.
pub fn process(device: &mut VirtioDevice, queue: u16) -> Option<Notification> {
    let mut used = 0;
    while is_busy(device, queue) {
        let regs = device.queues.get(usize::from(queue))?;
        let address = regs.queue_desc;
        let &head = regs.in_flight.get(used)?;
        let memory = &device.memory;
        let buffers = memory.rings.get(&address).and_then(|ring| chain(ring, &memory.tables, head));
        let served = buffers.map_or(Served::Malformed, |b| (device.kind.serve)(device, queue, &b));
        let Served::Used(len) = served else {
            device.device_status |= STATUS_NEEDS_RESET;
            device.queues[usize::from(queue)].in_flight.clear();
            return None;
        };
        used += 1;
        if let Some(ring) = device.memory.rings.get_mut(&address) {
            let slot = ring.used_idx % ring.num.max(1);
            ring.used_ring.insert(slot, VirtqUsedElem { id: u32::from(head), len });
            ring.used_idx = ring.used_idx.wrapping_add(1);
        }
        if used == device.queues[usize::from(queue)].in_flight.len() {
            break;
        }
    }
    if used == 0 {
        return None;
    }
    let regs = &mut device.queues[usize::from(queue)];
    regs.in_flight.drain(..used);
    let vector = regs.queue_msix_vector;
    should_notify(device, queue).then_some(Notification::Queue(vector))
}

/// How far the device is in the used ring of a queue.
fn used_idx(device: &VirtioDevice, queue: u16) -> u16 {
    let regs = device.queues.get(usize::from(queue));
    regs.and_then(|regs| device.memory.rings.get(&regs.queue_desc)).map_or(0, |ring| ring.used_idx)
}

/// Used buffer notification suppression (sections 2.6.7 and 2.6.8).
fn should_notify(device: &mut VirtioDevice, queue: u16) -> bool {
    let regs = &mut device.queues[usize::from(queue)];
    let Some(ring) = device.memory.rings.get(&regs.queue_desc) else { return false };
    let old = regs.signalled_used.replace(ring.used_idx);
    if device.driver_feature & F_EVENT_IDX != 0 {
        old.is_none_or(|old| need_event(ring.used_event, ring.used_idx, old))
    } else {
        ring.avail_flags & AVAIL_F_NO_INTERRUPT == 0
    }
}

/// Sends an interrupt the way the PCI function is set up: a message, or the line with the ISR
/// status that explains it (section 4.1.4.5).
pub fn interrupt(k: &mut Kernel, id: VirtioId, notification: Notification) {
    let device = &mut k.hw.virtio[id.index()];
    let dev = device.dev;
    let (bit, vector) = match notification {
        Notification::Queue(vector) => (ISR_QUEUE, vector),
        Notification::Config(vector) => (ISR_CONFIG, vector),
    };
    if bit == ISR_CONFIG {
        device.isr_status |= bit;
    }
    if pcimsi::hw::msix::enabled(k, dev) {
        if vector != NO_VECTOR {
            pcimsi::hw::msix_raise(k, dev, vector);
        }
    } else {
        k.hw.virtio[id.index()].isr_status |= bit;
        pcimsi::hw::intx_set(k, dev, true);
    }
}

/// A write to the common configuration by the CPU.
pub fn iowrite(k: &mut Kernel, id: VirtioId, reg: Reg, value: u32) {
    let device = &mut k.hw.virtio[id.index()];
    let dev = device.dev;
    if write(device, reg, value) == Effect::Reset {
        k.events
            .cancel_all(|event| matches!(event, Event::Device(of, word) if *of == dev && word & ASKS == 0));
        pcimsi::hw::intx_set(k, dev, false);
    }
}

/// A read of the common configuration by the CPU.
pub fn ioread(k: &Kernel, id: VirtioId, reg: Reg) -> u32 {
    read(&k.hw.virtio[id.index()], reg)
}

/// A read of the ISR status: it clears the byte and lowers the line.
pub fn isr_read(k: &mut Kernel, id: VirtioId) -> u8 {
    let device = &mut k.hw.virtio[id.index()];
    let dev = device.dev;
    let isr = core::mem::take(&mut device.isr_status);
    pcimsi::hw::intx_set(k, dev, false);
    isr
}

/// An available buffer notification (section 4.1.5.2): the device fetches and begins to work.
pub fn notify(k: &mut Kernel, id: VirtioId, queue: u16) {
    if k.hw.virtio.len() <= id.index() {
        return;
    }
    k.hw(|k| Hardware::Notify { dev: k.hw.virtio[id.index()].dev, queue });
    look(k, id, queue);
}

/// The device looks for buffers, and begins to work on what it finds.
fn look(k: &mut Kernel, id: VirtioId, queue: u16) {
    let device = &mut k.hw.virtio[id.index()];
    if fetch(device, queue) && is_busy(device, queue) {
        begin(k, id, queue);
    }
}

/// The device has a use for buffers of a queue and takes its time for them.
pub fn begin(k: &mut Kernel, id: VirtioId, queue: u16) {
    let dev = k.hw.virtio[id.index()].dev;
    let slower = u64::from(k.oracle.choose(Point::Latency, 2));
    k.events.push(LATENCY << slower, Event::Device(dev, u64::from(queue)));
}

/// The device has finished what it fetched from a queue.
pub fn complete(k: &mut Kernel, id: VirtioId, queue: u16) {
    let Some(device) = k.hw.virtio.get_mut(id.index()) else { return };
    let before = used_idx(device, queue);
    let notification = process(device, queue);
    let chains = used_idx(device, queue).wrapping_sub(before);
    let dev = device.dev;
    if chains != 0 {
        k.hw(|_| Hardware::Used { dev, queue, chains });
    }
    if let Some(notification) = notification {
        interrupt(k, id, notification);
    }
    // What arrived while the driver had no reason to notify is found by looking.
    look(k, id, queue);
}

/// The driver reads the device configuration, which has fields of its kind.
pub fn config_read(k: &mut Kernel, id: VirtioId) -> &VirtioDevice {
    let device = &mut k.hw.virtio[id.index()];
    device.config_looked_at = true;
    device
}

/// The device configuration has changed: a driver that is ready hears of it.
///
/// The generation becomes another one if the driver may have read something that is now out of date, and stays
/// where it is for further changes that it has not looked at (section 4.1.4.3.1): counted up by each, eight bits
/// would come back to where they were.
pub fn config_changed(device: &mut VirtioDevice) -> Option<Notification> {
    if core::mem::take(&mut device.config_looked_at) {
        device.config_generation = device.config_generation.wrapping_add(1);
    }
    (device.device_status & STATUS_DRIVER_OK != 0).then_some(Notification::Config(device.msix_config))
}

/// Where the memory of a queue begins. Every queue gets its own 16 MiB: ring, indirect tables,
/// then its driver's buffers.
pub fn queue_memory(id: VirtioId, index: u16) -> u64 {
    0x1_0000_0000 | u64::from(id.0) << 40 | u64::from(index) << 24
}

/// The memory that the driver of a queue has for the buffers in slot `slot`: 256 bytes that both sides
/// read and write, and a page of data.
pub fn buffer_addrs(id: VirtioId, index: u16, slot: u32) -> (u64, u64) {
    let slot = u64::from(slot);
    (queue_memory(id, index) + 0x4_0000 + slot * 0x100, queue_memory(id, index) + 0x10_0000 + slot * 0x1000)
}
