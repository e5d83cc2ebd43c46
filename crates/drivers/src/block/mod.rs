//! The block layer between a disk's driver and a reader, one module per C file of block/.
//!
//! # What it doesn't implement
//! Schedulers, merging, accounting, the page cache, the data of requests.

pub mod blk_core;
pub mod blk_exec;
pub mod blk_mq;
pub mod blk_mq_cpumap;
pub mod blk_mq_debugfs;
pub mod blk_mq_pci;
pub mod blk_mq_sysfs;
pub mod blk_mq_tag;
pub mod blk_mq_virtio;
pub mod blk_settings;
pub mod blk_softirq;
pub mod blk_timeout;
mod elevator;
pub mod fops;
pub mod genhd;

use kstate::blk::RqState;
use kstate::{CpuId, Kernel};

pub(super) const MSEC: u64 = 1_000_000;

/// The claims that always hold: a tag belongs to a living request that says so, a finished request
/// has somebody who waits for it, and the usage counters agree with the tags.
///
/// # Errors
/// The first claim that does not hold.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    let claim = |holds: bool, text: &dyn Fn() -> String| if holds { Ok(()) } else { Err(text()) };
    let mut used = vec![0u32; k.blk.queues.len()];
    for (s, set) in k.blk.tag_sets.iter().enumerate() {
        let Some(set) = set else { continue };
        for (h, tags) in set.tags.iter().enumerate() {
            for (&tag, &rq) in tags.rqs.iter() {
                let at = || format!("tag {tag} of set {s}, queue {h}");
                let Some(request) = k.blk.requests.get(rq) else {
                    return Err(format!("{}: its request is gone", at()));
                };
                claim((request.hctx, request.tag) == (h as u32, tag), &|| format!("{}: another's", at()))?;
                claim(tag < tags.nr_tags, &|| format!("{}: out of range", at()))?;
                used[request.q.index()] += 1;
            }
        }
    }
    for (rq, request) in k.blk.requests.iter() {
        let owned =
            request.end_io.is_some() || request.waiter.is_some() || request.state != RqState::Complete;
        claim(owned, &|| format!("{rq:?} is complete and nobody waits for it"))?;
    }
    for (q, queue) in k.blk.queues.iter().enumerate() {
        let Some(queue) = queue else { continue };
        // Those who wait for a tag have entered, too.
        let (counted, used) = (queue.q_usage_counter, used[q]);
        claim(counted >= used, &|| format!("queue {q} counts {counted} requests and has {used}"))?;
    }
    for (cpu, list) in k.blk.blk_cpu_done.iter().enumerate() {
        let pending = k.blk.softirq_pending.contains(CpuId(cpu as u32));
        claim(list.is_empty() || pending, &|| {
            format!("CPU {cpu} has completed requests and no softirq raised")
        })?;
    }
    Ok(())
}
