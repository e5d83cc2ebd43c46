//! Grace periods.
//!
//! C file: kernel/rcu/tree.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::sched::WaitOn;

/// Nanoseconds of an RCU grace period on an idle machine: three ticks of 4 ms.
const RCU_GRACE_PERIOD: u64 = 12_000_000;

/// `synchronize_rcu()`.
///
/// DEVIATION: nobody reads under RCU here, so that a grace period is a time to wait and no more.
#[kframe("kernel/rcu/tree.c")]
pub fn synchronize_rcu(k: &mut Kernel) {
    wait!(WaitOn::Until(k.events.now + RCU_GRACE_PERIOD));
}
