//! Grace periods.
//!
//! C file: kernel/rcu/tree.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::Kernel;
use kstate::sched::WaitOn;

/// Nanoseconds of an RCU grace period on an idle machine: three ticks of 4 ms.
const RCU_GRACE_PERIOD: u64 = 12_000_000;
/// Nanoseconds of one that is expedited: every CPU is sent an interrupt.
const RCU_EXPEDITED: u64 = 10_000;

/// `rcu_gp_is_expedited()`, kernel/rcu/update.c.
fn rcu_gp_is_expedited(k: &Kernel) -> bool {
    k.params.rcu_expedited != 0
}

/// `synchronize_rcu()`.
///
/// DEVIATION: nobody reads under RCU here, so that a grace period is a time to wait and no more.
#[kframe("kernel/rcu/tree.c")]
pub fn synchronize_rcu(k: &mut Kernel) {
    let period: u64 = if rcu_gp_is_expedited(k) { RCU_EXPEDITED } else { RCU_GRACE_PERIOD };
    wait!(WaitOn::Until(k.events.now + period));
}
