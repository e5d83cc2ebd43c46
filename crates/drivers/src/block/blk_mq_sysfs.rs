//! What /sys/block says about hardware queues.
//!
//! C file: block/blk-mq-sysfs.c of 5.4 and 6.12.

use kstate::Kernel;

/// The CPUs of a disk's hardware queue, without the line's end.
pub fn blk_mq_hw_sysfs_cpus_show(k: &Kernel, disk: &str, queue: u32) -> Option<String> {
    let disk = k.blk.disk(k.blk.disk_by_name(disk)?)?;
    let hctx = k.blk.find_q(disk.queue)?.queue_hw_ctx.get(queue as usize)?;
    let cpus: Vec<String> = hctx.cpumask.iter().map(|cpu| cpu.to_string()).collect();
    Some(cpus.join(", "))
}
