//! virtio-scsi: the device in [`hw`], and drivers/scsi/virtio_scsi.c of 5.4 and 6.12, as far as interrupts go.
//!
//! # What it doesn't implement
//! The SCSI layer: a host has no targets, and its queues carry nothing. Nobody drains them when their CPUs go.

pub mod hw;

use kfn::{kfn, kframe};
use kstate::virtio::{VirtioDriver, VirtqueueInfo, VqCallback};
use kstate::{Errno, Kernel, VirtioId};

use crate::block::blk_mq_cpumap::blk_mq_num_possible_queues;
use crate::virtio::{pci_modern, ring, virtio};
use hw::{VIRTIO_ID_SCSI, VQ_BASE};

/// `virtio_scsi_driver`.
pub static VIRTIO_SCSI_DRIVER: VirtioDriver = VirtioDriver {
    name: "virtio_scsi",
    id_table: &[VIRTIO_ID_SCSI],
    feature_table: 0,
    probe: virtscsi_probe,
    remove: virtscsi_remove,
    config_changed: None,
};

const VIRTSCSI_CTRL_DONE: VqCallback = VqCallback { name: "virtscsi_ctrl_done", call: virtscsi_ctrl_done };
const VIRTSCSI_EVENT_DONE: VqCallback = VqCallback { name: "virtscsi_event_done", call: virtscsi_event_done };
const VIRTSCSI_REQ_DONE: VqCallback = VqCallback { name: "virtscsi_req_done", call: virtscsi_req_done };

/// Takes what a queue has done.
fn virtscsi_vq_done(k: &mut Kernel, id: VirtioId, vq: u16) {
    loop {
        ring::virtqueue_disable_cb(k, id, vq);
        while ring::virtqueue_get_buf(k, id, vq).is_some() {}
        if ring::virtqueue_enable_cb(k, id, vq) {
            break;
        }
    }
}

/// A task management function is done.
#[kfn("drivers/scsi/virtio_scsi.c")]
fn virtscsi_ctrl_done(k: &mut Kernel, id: VirtioId, vq: u16) {
    virtscsi_vq_done(k, id, vq);
}

/// Something has happened to a target.
#[kfn("drivers/scsi/virtio_scsi.c")]
fn virtscsi_event_done(k: &mut Kernel, id: VirtioId, vq: u16) {
    virtscsi_vq_done(k, id, vq);
}

/// A request is done.
#[kfn("drivers/scsi/virtio_scsi.c")]
fn virtscsi_req_done(k: &mut Kernel, id: VirtioId, vq: u16) {
    virtscsi_vq_done(k, id, vq);
}

/// `virtio_scsi_init()`: registers the driver.
pub fn virtio_scsi_init(k: &mut Kernel) {
    virtio::register_virtio_driver(k, &VIRTIO_SCSI_DRIVER);
}

/// Asks for the queues: the first two have vectors that are not spread.
#[kframe("drivers/scsi/virtio_scsi.c")]
fn virtscsi_init(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    name_vqs(k, id);
    let num_vqs: u32 = k.virtio.dev(id).vqs_info.len() as u32;
    call!(pci_modern::vp_modern_find_vqs(id, num_vqs))
}

/// The arguments of `find_vqs`: no more request queues than there can be CPUs.
fn name_vqs(k: &mut Kernel, id: VirtioId) {
    let num_queues = hw::num_queues(&k.hw.virtio[id.index()]).clamp(1, k.topo.nr_cpu_ids);
    let num_queues =
        if k.sem.queues_counted_by_mask { blk_mq_num_possible_queues(k, num_queues) } else { num_queues };
    let named = |name: &str, callback| VirtqueueInfo { name: name.to_owned(), callback: Some(callback) };
    let mut vqs_info = vec![named("control", VIRTSCSI_CTRL_DONE), named("event", VIRTSCSI_EVENT_DONE)];
    vqs_info.extend((0..num_queues).map(|_| named("request", VIRTSCSI_REQ_DONE)));
    let vp_dev = k.virtio.dev_mut(id);
    vp_dev.pre_vectors = Some(u32::from(VQ_BASE));
    vp_dev.vqs_info = vqs_info;
}

/// Makes a SCSI host of a device.
#[kframe("drivers/scsi/virtio_scsi.c")]
fn virtscsi_probe(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    call!(virtscsi_init(id))?;
    virtio::virtio_device_ready(k, id);
    Ok(())
}

/// Takes the host away.
#[kframe("drivers/scsi/virtio_scsi.c")]
fn virtscsi_remove(k: &mut Kernel, id: VirtioId) {
    let _ = &k;
    call!(pci_modern::vp_reset(id));
    call!(crate::virtio::pci_common::vp_del_vqs(id));
}
