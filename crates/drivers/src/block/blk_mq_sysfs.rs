//! What /sys/block says about hardware queues.
//!
//! C file: block/blk-mq-sysfs.c of 5.4, 6.12 and 7.3.

use kstate::Kernel;
use kstate::blk::HwCtx;

/// The files of a hardware queue (`default_hw_ctx_attrs[]`).
pub const DEFAULT_HW_CTX_ATTRS: [&str; 3] = ["cpu_list", "nr_reserved_tags", "nr_tags"];

/// A hardware queue of a disk, if it has a folder: to one without a software queue nobody submits, and none is made for it.
pub fn blk_mq_register_hctx<'a>(k: &'a Kernel, disk: &str, queue: u32) -> Option<&'a HwCtx> {
    let disk = k.blk.disk(k.blk.disk_by_name(disk)?)?;
    k.blk.find_q(disk.queue)?.queue_hw_ctx.get(queue as usize).filter(|hctx| hctx.nr_ctx > 0)
}

/// A file of a disk's hardware queue, without the line's end.
pub fn blk_mq_hw_sysfs_show(k: &Kernel, disk: &str, queue: u32, file: &str) -> Option<String> {
    let hctx = blk_mq_register_hctx(k, disk, queue)?;
    let set = k.blk.disk(k.blk.disk_by_name(disk)?).and_then(|disk| k.blk.find_q(disk.queue))?.tag_set;
    let tags = k.blk.set(set).tags.get(queue as usize)?;
    Some(match file {
        "cpu_list" => blk_mq_hw_sysfs_cpus_show(hctx),
        "nr_tags" => tags.nr_tags.to_string(),
        "nr_reserved_tags" => tags.nr_reserved_tags.to_string(),
        _ => return None,
    })
}

/// The CPUs of a hardware queue.
fn blk_mq_hw_sysfs_cpus_show(hctx: &HwCtx) -> String {
    let cpus: Vec<String> = hctx.cpumask.iter().map(|cpu| cpu.to_string()).collect();
    cpus.join(", ")
}
