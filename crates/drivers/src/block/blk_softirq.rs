//! Completions on the CPU that submitted.
//!
//! C file: block/blk-softirq.c of 5.4, which became a part of block/blk-mq.c.

use kstate::trace::Hardware;
use kstate::{CpuId, Errno, Kernel, ReqId};

/// Appends to a CPU's `blk_cpu_done` and raises `BLOCK_SOFTIRQ` there.
///
/// DEVIATION: the function call interrupt to another CPU takes no time, and 5.4's completion of a
/// multi-queue request, which runs in that interrupt, runs in the softirq.
pub(super) fn raise_blk_irq(k: &mut Kernel, cpu: CpuId, rq: ReqId) {
    if k.blk.blk_cpu_done.len() <= cpu.index() {
        k.blk.blk_cpu_done.resize(cpu.index() + 1, Vec::new());
    }
    k.blk.blk_cpu_done[cpu.index()].push(rq);
    k.blk.softirq_pending.set(cpu);
    k.hw(|_| Hardware::Softirq { cpu });
}

/// `blk_done_softirq()`: completes what was queued for this CPU.
pub fn blk_done_softirq(k: &mut Kernel, cpu: CpuId) {
    k.blk.softirq_pending.clear(cpu);
    let Some(list) = k.blk.blk_cpu_done.get_mut(cpu.index()) else { return };
    for rq in core::mem::take(list) {
        if let Some(request) = k.blk.requests.get(rq) {
            let q = request.q;
            (k.blk.ops(q).complete)(k, rq);
        }
    }
}

/// `blk_softirq_cpu_dead()`: what a dead CPU had queued is done by this one.
pub(super) fn blk_softirq_cpu_dead(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    k.blk.softirq_pending.clear(cpu);
    let Some(list) = k.blk.blk_cpu_done.get_mut(cpu.index()) else { return Ok(()) };
    let here = k.cur.cpu;
    for rq in core::mem::take(list) {
        raise_blk_irq(k, here, rq);
    }
    Ok(())
}
