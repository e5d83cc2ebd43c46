//! The network device of virtio (Virtual I/O Device specification 1.1, section 5.1).
//!
//! # What it doesn't implement
//! What is in a packet, offloads, filters, a link that goes down. A packet that is sent goes nowhere; one
//! arrives when somebody asks the device for the interrupt of a receive queue.

use kstate::data::Data;
use kstate::hw::pci::{DeviceModel, Parameter, PciFunction};
use kstate::hw::virtio::{Served, VirtioDevice, VirtioKind, VirtqDesc};
use kstate::{Kernel, PciDevId};

use crate::virtio::hw;

/// PCI Device ID of a transitional network device.
pub const DEVICE_ID: u16 = 0x1000;
/// PCI class code: network, Ethernet.
pub const CLASS: u32 = 0x02_0000;
/// VIRTIO_ID_NET.
pub const VIRTIO_ID_NET: u32 = 1;

/// VIRTIO_NET_F_CTRL_VQ: there is a control queue.
pub const F_CTRL_VQ: u64 = 1 << 17;
/// VIRTIO_NET_F_MQ: there can be more than one pair of queues.
pub const F_MQ: u64 = 1 << 22;

/// The kind of PCI device.
pub static MODEL: DeviceModel = DeviceModel {
    name: "virtio-net",
    parameters: &[Parameter { key: "queue_pairs", min: 1, max: 511, default: None }],
    power_on,
    raise: Some(raise),
    ..hw::MODEL
};

/// The kind of virtio device.
pub static KIND: VirtioKind = VirtioKind { name: "net", device_id: VIRTIO_ID_NET, ready, serve };

/// What a network device keeps.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Net {
    /// `max_virtqueue_pairs` of its configuration (section 5.1.4).
    pub max_virtqueue_pairs: u16,
    /// A packet that waits for a buffer, by receive queue.
    waiting: Option<u16>,
}

/// The configuration of a network device.
pub fn config(device: &VirtioDevice) -> Net {
    device.data.get().cloned().unwrap_or_default()
}

/// Puts a network device behind a function: a receive and a transmit queue for every pair, and a control
/// queue (section 5.1.2).
fn power_on(k: &mut Kernel, dev: PciDevId, function: &mut PciFunction, parameters: &[u32]) {
    let max_virtqueue_pairs = parameters.first().copied().unwrap_or(1) as u16;
    let msix_vectors = function.msix.as_ref().map_or(0, |msix| msix.table.len());
    let features = F_CTRL_VQ | if max_virtqueue_pairs > 1 { F_MQ } else { 0 };
    let net = Data::new(Net { max_virtqueue_pairs, waiting: None });
    let queues = 2 * max_virtqueue_pairs + 1;
    (function.device_id, function.class_code) = (DEVICE_ID, CLASS);
    hw::attach(k, function, hw::new(dev, &KIND, features, queues, msix_vectors as u16, net));
}

/// Queue 2n receives for pair n. The last one is for control.
fn receives(net: &Net, queue: u16) -> bool {
    queue.is_multiple_of(2) && queue < 2 * net.max_virtqueue_pairs
}

fn ready(device: &VirtioDevice, queue: u16) -> bool {
    device.data.get::<Net>().is_some_and(|net| !receives(net, queue) || net.waiting == Some(queue))
}

/// Sends a packet, does what a control queue asks for, or puts the packet that waits into a buffer.
fn serve(device: &mut VirtioDevice, queue: u16, buffers: &[VirtqDesc]) -> Served {
    let Some(net) = device.data.get_mut::<Net>() else { return Served::Malformed };
    if receives(net, queue) {
        net.waiting = None;
        // An Ethernet frame of the smallest size behind its header.
        return Served::Used(12 + 60);
    }
    // The last buffer of a command is its answer.
    let answer = queue == 2 * net.max_virtqueue_pairs && buffers.len() > 1;
    Served::Used(u32::from(answer))
}

/// Somebody wants message `nr`: a packet arrives for the receive queue that has it. The packet is lost
/// where the driver has given no buffer.
fn raise(k: &mut Kernel, dev: PciDevId, nr: u16) -> Option<bool> {
    let id = hw::id_of(k, dev);
    let device = &mut *k.hw.virtio[id.index()];
    let net = device.data.get_mut::<Net>()?;
    let mine = |(queue, regs): &(usize, &kstate::hw::virtio::VirtqueueRegs)| {
        receives(net, *queue as u16) && regs.queue_enable && regs.queue_msix_vector == nr
    };
    let (queue, regs) = device.queues.iter().enumerate().find(mine)?;
    if regs.in_flight.is_empty() {
        return Some(false);
    }
    net.waiting = Some(queue as u16);
    hw::complete(k, id, queue as u16);
    Some(true)
}
