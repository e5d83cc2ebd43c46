//! What other projects' tests say about a virtio-blk device, in our own words: one test per case,
//! named by its id in the comment above it.
//!
//! Not modelled, and therefore without a test:
//! * VQ-04: packed virtqueues. The device does not offer VIRTIO_F_RING_PACKED.

use drivers::virtio::hw::{self, Notification, Reg};
use drivers::virtio_blk::hw::{self as disk, BlkOutHdr, T_IN};
use kstate::hw::pci::PciFunction;
use kstate::hw::virtio::{
    DESC_F_NEXT, DESC_F_WRITE, F_EVENT_IDX, F_VERSION_1, NO_VECTOR, SplitRing, VirtioDevice, VirtqDesc,
};
use kstate::{Kernel, PciDevId};
use pcimsi::hw::config::{CAPABILITY_MSIX, config_read, find_capability};

const ACKNOWLEDGE: u32 = 1;
const DRIVER: u32 = 3;
const FEATURES_OK: u32 = 0xb;
const DRIVER_OK: u32 = 0xf;
const NONE: u32 = NO_VECTOR as u32;

/// A device with `queues` request queues and a vector more than that.
fn device(queues: u16) -> VirtioDevice {
    disk::new(PciDevId(0), queues, queues + 1, 2048)
}

/// Writes and reads back.
fn put(device: &mut VirtioDevice, reg: Reg, value: u32) -> u32 {
    hw::write(device, reg, value);
    hw::read(device, reg)
}

/// Agrees on `features`, up to FEATURES_OK.
fn negotiate(device: &mut VirtioDevice, features: u64) {
    put(device, Reg::DeviceStatus, ACKNOWLEDGE);
    put(device, Reg::DeviceStatus, DRIVER);
    for (select, half) in [(0, features as u32), (1, (features >> 32) as u32)] {
        put(device, Reg::DriverFeatureSelect, select);
        put(device, Reg::DriverFeature, half);
    }
    assert_eq!(put(device, Reg::DeviceStatus, FEATURES_OK), FEATURES_OK);
}

/// Where the test puts the ring of a queue.
fn ring_of(queue: u16) -> u64 {
    0x10_0000 * (u64::from(queue) + 1)
}

/// Sets up all queues, queue n with vector n + 1, and starts the device.
fn start(device: &mut VirtioDevice, features: u64) {
    negotiate(device, features | F_VERSION_1);
    for queue in 0..device.queues.len() as u16 {
        put(device, Reg::QueueSelect, u32::from(queue));
        put(device, Reg::QueueSize, 16);
        put(device, Reg::QueueDescLo, ring_of(queue) as u32);
        assert_eq!(put(device, Reg::QueueMsixVector, u32::from(queue) + 1), u32::from(queue) + 1);
        put(device, Reg::QueueEnable, 1);
        device.memory.rings.insert(ring_of(queue), SplitRing { num: 16, ..SplitRing::default() });
    }
    assert_eq!(put(device, Reg::DeviceStatus, DRIVER_OK), DRIVER_OK);
}

/// Makes a read of `len` bytes available in a queue; `n` numbers the requests of a test.
fn submit(device: &mut VirtioDevice, queue: u16, n: u16, len: u32) {
    let base = ring_of(queue) + 0x8000 + u64::from(n) * 0x100;
    let head = n * 3;
    let memory = &mut device.memory;
    memory.buffers.insert(base, BlkOutHdr { ty: T_IN, ..BlkOutHdr::default() }.to_bytes());
    let ring = memory.rings.get_mut(&ring_of(queue)).expect("a ring");
    let chain = [
        VirtqDesc { addr: base, len: 16, flags: DESC_F_NEXT, next: head + 1 },
        VirtqDesc { addr: base + 0x20, len, flags: DESC_F_NEXT | DESC_F_WRITE, next: head + 2 },
        VirtqDesc { addr: base + 0x10, len: 1, flags: DESC_F_WRITE, next: 0 },
    ];
    for (i, desc) in (head..).zip(chain) {
        ring.desc.insert(i, desc);
    }
    ring.avail_ring.insert(ring.avail_idx % 16, head);
    ring.avail_idx += 1;
}

/// Submits a request and lets the device finish it.
fn complete_one(device: &mut VirtioDevice, queue: u16, n: u16) -> Option<Notification> {
    submit(device, queue, n, 512);
    assert!(hw::fetch(device, queue));
    hw::process(device, queue)
}

// FC-VIO-01
#[test]
fn the_function_is_a_transitional_block_device_with_capabilities() {
    let mut k = Kernel::default();
    let mut function =
        PciFunction { bdf: 0x20, interrupt_pin: 1, model: &disk::MODEL, ..PciFunction::default() };
    assert_eq!(pcimsi::hw::config::add_msix(&mut function, 0x98, 1, 0, 5), Some(()));
    (disk::MODEL.power_on)(&mut k, PciDevId(0), &mut function, &[4]);
    k.hw.pci.push(kstate::shared::Shared::new(function));
    let read = |offset| config_read(&k, PciDevId(0), offset, 2);
    assert_eq!(read(0x00), 0x1af4);
    assert!((0x1000..=0x107f).contains(&read(0x02)));
    // Status: Capabilities List.
    assert_eq!(read(0x06) & 0x10, 0x10);
    assert_ne!(find_capability(&k, PciDevId(0), CAPABILITY_MSIX), 0);
}

// FC-VIO-04, FC-VIO-05
#[test]
fn the_configuration_vector_is_one_of_the_table_or_none() {
    let mut device = device(2);
    assert_eq!(hw::read(&device, Reg::MsixConfig), NONE);
    for vector in 0..3 {
        assert_eq!(put(&mut device, Reg::MsixConfig, vector), vector);
    }
    assert_eq!(put(&mut device, Reg::MsixConfig, 3), NONE);
    assert_eq!(put(&mut device, Reg::MsixConfig, 0x1_0000), NONE);
}

// FC-VIO-06
#[test]
fn a_queue_vector_is_one_of_the_table_or_none() {
    let mut device = device(2);
    for queue in 0..2 {
        put(&mut device, Reg::QueueSelect, queue);
        assert_eq!(put(&mut device, Reg::QueueMsixVector, 3), NONE);
        for vector in 0..3 {
            assert_eq!(put(&mut device, Reg::QueueMsixVector, vector), vector);
        }
    }
}

// FC-VIO-07, CH-01
#[test]
fn an_absent_queue_has_no_vector_and_takes_none() {
    let mut device = device(2);
    for queue in [2, 0xffff] {
        put(&mut device, Reg::QueueSelect, queue);
        assert_eq!(hw::read(&device, Reg::QueueMsixVector), NONE);
        assert_eq!(put(&mut device, Reg::QueueMsixVector, 1), NONE);
    }
}

// FC-VIO-08
#[test]
fn a_queue_size_is_set_between_features_ok_and_driver_ok_only() {
    let mut device = device(1);
    assert_eq!(put(&mut device, Reg::QueueSize, 16), u32::from(hw::QUEUE_SIZE));
    negotiate(&mut device, F_VERSION_1);
    assert_eq!(put(&mut device, Reg::QueueSize, 16), 16);
    put(&mut device, Reg::DeviceStatus, DRIVER_OK);
    assert_eq!(put(&mut device, Reg::QueueSize, 32), 16);
}

// FC-VIO-09
#[test]
fn an_enabled_queue_stays_enabled() {
    let mut device = device(1);
    assert_eq!(put(&mut device, Reg::QueueEnable, 1), 1);
    assert_eq!(put(&mut device, Reg::QueueEnable, 0), 1);
}

// FC-VIO-11
#[test]
fn a_status_that_skips_a_step_is_refused() {
    let mut device = device(1);
    for status in [DRIVER, 0x42, FEATURES_OK, DRIVER_OK] {
        assert_eq!(put(&mut device, Reg::DeviceStatus, status), 0);
    }
    // Giving up is possible at any time.
    assert_eq!(put(&mut device, Reg::DeviceStatus, 0x80), 0x80);
}

// CH-02
#[test]
fn a_reset_forgets_vectors_and_status_but_not_the_generation() {
    let mut device = device(2);
    device.config_generation = 0xab;
    put(&mut device, Reg::MsixConfig, 0);
    for queue in 0..2 {
        put(&mut device, Reg::QueueSelect, queue);
        put(&mut device, Reg::QueueMsixVector, 1);
    }
    put(&mut device, Reg::DeviceStatus, ACKNOWLEDGE);
    assert_eq!(put(&mut device, Reg::DeviceStatus, 0), 0);
    assert_eq!(hw::read(&device, Reg::MsixConfig), NONE);
    for queue in 0..2 {
        put(&mut device, Reg::QueueSelect, queue);
        assert_eq!(hw::read(&device, Reg::QueueMsixVector), NONE);
    }
    assert_eq!(hw::read(&device, Reg::ConfigGeneration), 0xab);
}

// QT-02
#[test]
fn a_new_size_interrupts_through_the_configuration_vector() {
    let mut device = device(1);
    put(&mut device, Reg::MsixConfig, 0);
    start(&mut device, 0);
    let before = hw::read(&device, Reg::ConfigGeneration);
    assert_eq!(disk::resize(&mut device, 4096), Some(Notification::Config(0)));
    assert_eq!(disk::config(&device).capacity, 4096);
    assert_ne!(hw::read(&device, Reg::ConfigGeneration), before);
}

// Section 4.1.4.3.1.
#[test]
fn a_generation_does_not_come_back_with_changes_that_nobody_reads() {
    let mut device = device(1);
    start(&mut device, 0);
    let before = hw::read(&device, Reg::ConfigGeneration);
    for capacity in 1..=256 {
        disk::resize(&mut device, capacity);
    }
    assert_ne!(hw::read(&device, Reg::ConfigGeneration), before);
}

// QT-04
#[test]
fn the_event_index_delays_an_interrupt_until_it_covers_both_requests() {
    let mut device = device(1);
    start(&mut device, F_EVENT_IDX);
    assert!(complete_one(&mut device, 0, 0).is_some());
    device.memory.rings.get_mut(&ring_of(0)).expect("a ring").used_event = 2;
    assert_eq!(complete_one(&mut device, 0, 1), None);
    assert_eq!(complete_one(&mut device, 0, 2), Some(Notification::Queue(1)));
    assert_eq!(device.memory.rings[&ring_of(0)].used_idx, 3);
}

// VQ-01. The very first completion always interrupts, as no index was looked at before.
#[test]
fn an_event_index_of_one_asks_for_the_second_interrupt() {
    let mut device = device(1);
    start(&mut device, F_EVENT_IDX);
    device.queues[0].signalled_used = Some(0);
    device.memory.rings.get_mut(&ring_of(0)).expect("a ring").used_event = 1;
    assert_eq!(complete_one(&mut device, 0, 0), None);
    assert_eq!(complete_one(&mut device, 0, 1), Some(Notification::Queue(1)));
}

// VQ-05. The lengths are those of block requests: the data and the status byte.
#[test]
fn every_queue_interrupts_through_its_own_vector() {
    let mut device = device(5);
    start(&mut device, 0);
    for queue in 0..5 {
        let len = 512 * (u32::from(queue) + 1);
        submit(&mut device, queue, 0, len);
        assert!(hw::fetch(&mut device, queue));
        assert_eq!(hw::process(&mut device, queue), Some(Notification::Queue(queue + 1)));
        assert_eq!(device.memory.rings[&ring_of(queue)].used_ring[&0].len, len + 1);
    }
}

// VQ-06
#[test]
fn an_absent_queue_is_inert() {
    let mut device = device(1);
    negotiate(&mut device, F_VERSION_1);
    put(&mut device, Reg::QueueSelect, 1);
    for reg in [
        Reg::QueueSize,
        Reg::QueueEnable,
        Reg::QueueDescLo,
        Reg::QueueDescHi,
        Reg::QueueDriverLo,
        Reg::QueueDriverHi,
        Reg::QueueDeviceLo,
        Reg::QueueDeviceHi,
    ] {
        assert_eq!(put(&mut device, reg, 1), 0);
    }
}

// VQ-07
#[test]
fn a_device_that_cannot_start_does_not_become_ready() {
    let mut device = device(1);
    device.start_fails = true;
    negotiate(&mut device, F_VERSION_1);
    assert_eq!(put(&mut device, Reg::DeviceStatus, DRIVER_OK), FEATURES_OK);
}

#[test]
fn a_chain_that_bites_its_tail_stops_the_device() {
    let mut device = device(1);
    start(&mut device, 0);
    submit(&mut device, 0, 0, 512);
    let ring = device.memory.rings.get_mut(&ring_of(0)).expect("a ring");
    ring.desc.insert(2, VirtqDesc { flags: DESC_F_NEXT, next: 0, ..VirtqDesc::default() });
    assert!(hw::fetch(&mut device, 0));
    assert_eq!(hw::process(&mut device, 0), None);
    assert_eq!(hw::read(&device, Reg::DeviceStatus) & 0x40, 0x40);
}
