//! virtio-net: the device in [`hw`], and drivers/net/virtio_net.c of 5.4 and 6.12, as far as
//! interrupts go.
//!
//! # What it doesn't implement
//! The network above the driver, and with it everything that sends. The interface is up from its probe
//! on, as if somebody had asked for that at once.

pub mod hw;

use kcore::cpu::{
    cpuhp_setup_state_multi, cpuhp_state_add_instance_nocalls, cpuhp_state_remove_instance_nocalls,
};
use kfn::{kfn, kframe};
use kstate::data::Data;
use kstate::hotplug::{CpuhpCall, CpuhpCallback, CpuhpNode, CpuhpState};
use kstate::hw::virtio::{DESC_F_WRITE, VirtqDesc};
use kstate::virtio::{VirtioDriver, VirtqueueInfo, VqCallback};
use kstate::{CpuId, CpuMask, Errno, Kernel, VirtioId};

use crate::virtio::hw::config_read;
use crate::virtio::{pci_common, pci_modern, ring, virtio};
use hw::{F_CTRL_VQ, F_MQ, VIRTIO_ID_NET, config};

/// `NAPI_POLL_WEIGHT`: packets of one poll.
const NAPI_POLL_WEIGHT: u16 = 64;
/// A buffer for a packet and its header (`GOOD_PACKET_LEN` and `struct virtio_net_hdr_mrg_rxbuf`).
const BUFFER_LEN: u32 = 1518 + 12;
/// A command of the control queue: class, command and the number of pairs.
const CTRL_LEN: u32 = 4;

/// `struct virtnet_info`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct VirtnetInfo {
    /// `max_queue_pairs`: those that the device has.
    max_queue_pairs: u16,
    /// `curr_queue_pairs`: those that are used.
    curr_queue_pairs: u16,
    /// `has_cvq`.
    has_cvq: bool,
    /// `affinity_hint_set`.
    affinity_hint_set: bool,
}

/// `virtio_net_driver`.
pub static VIRTIO_NET_DRIVER: VirtioDriver = VirtioDriver {
    name: "virtio_net",
    id_table: &[VIRTIO_ID_NET],
    // As far as the device can offer them.
    feature_table: F_CTRL_VQ | F_MQ,
    probe: virtnet_probe,
    remove: virtnet_remove,
    // What virtnet_config_changed() is for, a link that changes, this device does not have.
    config_changed: None,
};

/// `rxq2vq()`.
const fn rxq2vq(rxq: u16) -> u16 {
    rxq * 2
}

/// `txq2vq()`.
const fn txq2vq(txq: u16) -> u16 {
    txq * 2 + 1
}

// Receiving.

const SKB_RECV_DONE: VqCallback = VqCallback { name: "skb_recv_done", call: skb_recv_done };
const SKB_XMIT_DONE: VqCallback = VqCallback { name: "skb_xmit_done", call: skb_xmit_done };

/// A receive queue has packets.
// DEVIATION: virtqueue_napi_schedule() leaves the polling to a softirq. Here the interrupt polls.
#[kfn("drivers/net/virtio_net.c")]
fn skb_recv_done(k: &mut Kernel, id: VirtioId, rvq: u16) {
    loop {
        ring::virtqueue_disable_cb(k, id, rvq);
        virtnet_receive(k, id, rvq);
        if ring::virtqueue_enable_cb(k, id, rvq) {
            break;
        }
    }
}

/// A transmit queue has room. Nobody waits for it, since nobody sends.
#[kfn("drivers/net/virtio_net.c")]
fn skb_xmit_done(k: &mut Kernel, id: VirtioId, vq: u16) {
    ring::virtqueue_disable_cb(k, id, vq);
}

/// Takes what has arrived in a queue, and gives the device new buffers when many are gone.
fn virtnet_receive(k: &mut Kernel, id: VirtioId, rvq: u16) {
    while ring::virtqueue_get_buf(k, id, rvq).is_some() {}
    let (num_free, num) = k.virtio.vq(id, rvq).map_or((0, 0), |vq| (vq.num_free, vq.num));
    if num_free > NAPI_POLL_WEIGHT.min(num) / 2 {
        try_fill_recv(k, id, rvq);
    }
}

/// Gives the device as many buffers as a receive queue has room for.
fn try_fill_recv(k: &mut Kernel, id: VirtioId, rvq: u16) {
    while let Some(head) = k.virtio.vq(id, rvq).filter(|vq| vq.num_free != 0).map(|vq| vq.free_head) {
        let (_, addr) = crate::virtio::hw::buffer_addrs(id, rvq, u32::from(head));
        let buffer = VirtqDesc { addr, len: BUFFER_LEN, flags: DESC_F_WRITE, next: 0 };
        if ring::virtqueue_add_sgs(k, id, rvq, vec![buffer], u64::from(head)).is_err() {
            break;
        }
    }
    ring::virtqueue_kick(k, id, rvq);
}

// Which CPUs get the interrupts.

/// `virtqueue_set_affinity()`.
fn virtqueue_set_affinity(k: &mut Kernel, id: VirtioId, vq: u16, cpu_mask: Option<&CpuMask>) {
    // The result is ignored as in C.
    let _ = pci_common::vp_set_vq_affinity(k, id, vq, cpu_mask);
}

/// Takes the hints back.
#[kfn("drivers/net/virtio_net.c")]
fn virtnet_clean_affinity(k: &mut Kernel, id: VirtioId) {
    if !k.virtio.drvdata::<VirtnetInfo>(id).affinity_hint_set {
        return;
    }
    for i in 0..k.virtio.drvdata::<VirtnetInfo>(id).max_queue_pairs {
        virtqueue_set_affinity(k, id, rxq2vq(i), None);
        virtqueue_set_affinity(k, id, txq2vq(i), None);
    }
    k.virtio.drvdata_mut::<VirtnetInfo>(id).affinity_hint_set = false;
}

/// Deals the CPUs that are online out to the pairs of queues: each gets its share, and the first ones one
/// more.
#[kfn("drivers/net/virtio_net.c")]
fn virtnet_set_affinity(k: &mut Kernel, id: VirtioId) {
    let pairs = u32::from(k.virtio.drvdata::<VirtnetInfo>(id).curr_queue_pairs);
    let online = k.topo.online.clone();
    let num_cpu = online.weight();
    let stride = (num_cpu / pairs).max(1);
    let stragglers = if num_cpu >= pairs { num_cpu % pairs } else { 0 };
    let mut cpu = online.first();
    for i in 0..pairs {
        let group_size = stride + u32::from(i < stragglers);
        let mut mask = CpuMask::new();
        for _ in 0..group_size {
            let Some(next) = cpu else { break };
            mask.set(next);
            cpu = online.next_after(next).or(online.first());
        }
        virtqueue_set_affinity(k, id, rxq2vq(i as u16), Some(&mask));
        virtqueue_set_affinity(k, id, txq2vq(i as u16), Some(&mask));
    }
    k.virtio.drvdata_mut::<VirtnetInfo>(id).affinity_hint_set = true;
}

/// A CPU has come.
#[kfn("drivers/net/virtio_net.c")]
fn virtnet_cpu_online(k: &mut Kernel, _cpu: CpuId, node: CpuhpNode) -> Result<(), Errno> {
    virtnet_set_affinity(k, VirtioId(node.0 as u32));
    Ok(())
}

/// A CPU is gone.
#[kfn("drivers/net/virtio_net.c")]
fn virtnet_cpu_dead(k: &mut Kernel, _cpu: CpuId, node: CpuhpNode) -> Result<(), Errno> {
    virtnet_set_affinity(k, VirtioId(node.0 as u32));
    Ok(())
}

/// A CPU is going.
#[kfn("drivers/net/virtio_net.c")]
fn virtnet_cpu_down_prep(k: &mut Kernel, _cpu: CpuId, node: CpuhpNode) -> Result<(), Errno> {
    virtnet_clean_affinity(k, VirtioId(node.0 as u32));
    Ok(())
}

/// `virtio_net_driver_init()`: registers the driver's states of CPU hotplug, and the driver.
pub fn virtio_net_driver_init(k: &mut Kernel) {
    let call = |name, call| Some(CpuhpCallback { name, call: CpuhpCall::Multi(call) });
    let online = call("virtnet_cpu_online", virtnet_cpu_online);
    let down = call("virtnet_cpu_down_prep", virtnet_cpu_down_prep);
    let dead = call("virtnet_cpu_dead", virtnet_cpu_dead);
    let name = "virtio/net:online";
    let online = cpuhp_setup_state_multi(k, CpuhpState::ApOnlineDyn, name, online, down);
    let dead = cpuhp_setup_state_multi(k, CpuhpState::VirtNetDead, "virtio/net:dead", None, dead);
    if online.is_err() || dead.is_err() {
        k.warn("irqlab: virtio_net: a state of CPU hotplug is taken");
        return;
    }
    virtio::register_virtio_driver(k, &VIRTIO_NET_DRIVER);
}

/// From now on the device hears of CPUs that come and go.
#[kfn("drivers/net/virtio_net.c")]
fn virtnet_cpu_notif_add(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let node = CpuhpNode(u64::from(id.0));
    cpuhp_state_add_instance_nocalls(k, CpuhpState::ApOnlineDyn, node)?;
    cpuhp_state_add_instance_nocalls(k, CpuhpState::VirtNetDead, node)
}

/// And from now on not any more.
#[kfn("drivers/net/virtio_net.c")]
fn virtnet_cpu_notif_remove(k: &mut Kernel, id: VirtioId) {
    let node = CpuhpNode(u64::from(id.0));
    for state in [CpuhpState::ApOnlineDyn, CpuhpState::VirtNetDead] {
        // Only a state without instances refuses, and both have them.
        let _ = cpuhp_state_remove_instance_nocalls(k, state, node);
    }
}

// Queues.

/// Asks for the queues: a receive and a transmit queue for every pair, then the control queue, which has
/// no interrupt.
#[kframe("drivers/net/virtio_net.c")]
fn virtnet_find_vqs(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let &VirtnetInfo { max_queue_pairs, has_cvq, .. } = k.virtio.drvdata(id);
    let mut vqs_info = Vec::new();
    for i in 0..max_queue_pairs {
        vqs_info.push(VirtqueueInfo { name: format!("input.{i}"), callback: Some(SKB_RECV_DONE) });
        vqs_info.push(VirtqueueInfo { name: format!("output.{i}"), callback: Some(SKB_XMIT_DONE) });
    }
    if has_cvq {
        vqs_info.push(VirtqueueInfo { name: "control".to_owned(), callback: None });
    }
    let vp_dev = k.virtio.dev_mut(id);
    // No description of affinity: these interrupts are not managed.
    vp_dev.pre_vectors = None;
    vp_dev.vqs_info = vqs_info;
    let total_vqs: u32 = k.virtio.dev(id).vqs_info.len() as u32;
    call!(pci_modern::vp_modern_find_vqs(id, total_vqs))
}

/// Frees the queues and their interrupts.
#[kframe("drivers/net/virtio_net.c")]
fn virtnet_del_vqs(k: &mut Kernel, id: VirtioId) {
    virtnet_clean_affinity(k, id);
    call!(pci_common::vp_del_vqs(id));
}

/// Creates the queues and says where their interrupts should go.
#[kframe("drivers/net/virtio_net.c")]
fn init_vqs(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let found: Result<(), Errno> = call!(virtnet_find_vqs(id));
    if found.is_ok() {
        virtnet_set_affinity(k, id);
    }
    found
}

/// Sends a command through the control queue and looks until it is answered.
#[kframe("drivers/net/virtio_net.c")]
fn virtnet_send_command(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let cvq: u16 = k.virtio.drvdata::<VirtnetInfo>(id).max_queue_pairs * 2;
    let (command, answer) = crate::virtio::hw::buffer_addrs(id, cvq, 0);
    let sgs = vec![
        VirtqDesc { addr: command, len: CTRL_LEN, ..VirtqDesc::default() },
        VirtqDesc { addr: answer, len: 1, flags: DESC_F_WRITE, next: 0 },
    ];
    ring::virtqueue_add_sgs(k, id, cvq, sgs, 0)?;
    ring::virtqueue_kick(k, id, cvq);
    spin_until!(ring::virtqueue_get_buf(k, id, cvq).is_some());
    Ok(())
}

/// Tells the device how many pairs of queues are used.
#[kframe("drivers/net/virtio_net.c")]
fn virtnet_set_queues(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    if !k.virtio.drvdata::<VirtnetInfo>(id).has_cvq || k.virtio.dev(id).features & F_MQ == 0 {
        return Ok(());
    }
    call!(virtnet_send_command(id))
}

/// The interface goes up: its receive queues get buffers.
#[kfn("drivers/net/virtio_net.c")]
fn virtnet_open(k: &mut Kernel, id: VirtioId) {
    for i in 0..k.virtio.drvdata::<VirtnetInfo>(id).curr_queue_pairs {
        try_fill_recv(k, id, rxq2vq(i));
    }
}

/// How many pairs of queues the device has and how many are used.
fn count_pairs(k: &mut Kernel, id: VirtioId) -> VirtnetInfo {
    let features = k.virtio.dev(id).features;
    let has = |feature: u64| features & feature != 0;
    let has_cvq = has(F_CTRL_VQ);
    let max_queue_pairs =
        if has(F_MQ) && has_cvq { config(config_read(k, id)).max_virtqueue_pairs.max(1) } else { 1 };
    let curr_queue_pairs = u32::from(max_queue_pairs).min(k.topo.online.weight()) as u16;
    VirtnetInfo { max_queue_pairs, curr_queue_pairs, has_cvq, affinity_hint_set: false }
}

/// Makes a network interface of a device.
// DEVIATION: a device meets this driver when virtio-pci finds it. A kernel with the driver built in links
// drivers/net last, so that its interrupts come after those of NVMe.
#[kframe("drivers/net/virtio_net.c")]
fn virtnet_probe(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    k.virtio.dev_mut(id).drvdata = Data::new(count_pairs(k, id));
    call!(init_vqs(id))?;
    virtio::virtio_device_ready(k, id);
    virtnet_cpu_notif_add(k, id)?;
    // A device that does not do it is used all the same.
    let _set: Result<(), Errno> = call!(virtnet_set_queues(id));
    virtnet_open(k, id);
    Ok(())
}

/// Takes the interface away.
#[kframe("drivers/net/virtio_net.c")]
fn virtnet_remove(k: &mut Kernel, id: VirtioId) {
    virtnet_cpu_notif_remove(k, id);
    call!(pci_modern::vp_reset(id));
    call!(virtnet_del_vqs(id));
    k.virtio.dev_mut(id).drvdata = Data::default();
}
