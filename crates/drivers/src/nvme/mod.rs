//! NVMe: the controller in [`hw`], and above it drivers/nvme/host.
//!
//! | module | C file |
//! |---|---|
//! | [`core`] | drivers/nvme/host/core.c |
//! | [`pci`] | drivers/nvme/host/pci.c |
//! | [`sysfs`] | drivers/nvme/host/sysfs.c, and its part of 5.4's core.c |

pub mod core;
pub mod hw;
pub mod pci;
pub mod sysfs;

use kstate::Kernel;

/// The claims that always hold: for a queue that is in use, controller and driver agree about the
/// doorbells, and no doorbell ever named a queue or a slot that does not exist.
///
/// # Errors
/// The first claim that does not hold.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    for (dev, hw) in k.nvme.devs.iter().zip(&k.hw.nvme) {
        if !dev.bound {
            continue;
        }
        let name = || format!("nvme{}", dev.instance);
        for queue in dev.queues.iter().filter(|q| q.enabled) {
            let qid = queue.qid;
            if let Some(sq) = hw.sqs.get(&qid)
                && sq.tail != queue.last_sq_tail
            {
                let (tail, last) = (sq.tail, queue.last_sq_tail);
                return Err(format!("{}q{qid}: the device's tail is {tail}, the driver's {last}", name()));
            }
            if let Some(cq) = hw.cqs.get(&qid)
                && cq.head != queue.cq_head
            {
                let (head, last) = (cq.head, queue.cq_head);
                return Err(format!("{}q{qid}: the device's head is {head}, the driver's {last}", name()));
            }
        }
        if dev.online_queues as usize > dev.queues.len() {
            return Err(format!("{}: {} queues online of {}", name(), dev.online_queues, dev.queues.len()));
        }
    }
    Ok(())
}
