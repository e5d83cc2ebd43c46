//! The per-CPU threads.
//!
//! C file: kernel/smpboot.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::{CpuId, Errno, Kernel};

use crate::cpu::cpuhp_thread_fun;

/// What stands above the outermost frame of such a thread.
pub(crate) const SMPBOOT_THREAD: &[&str] = &["kthread"];

/// The loop of `cpuhp/N`. It ends where the real one sleeps, so that every round is complete in a
/// recording.
#[kframe("kernel/smpboot.c")]
pub(crate) fn smpboot_thread_fn(k: &mut Kernel, cpu: CpuId) {
    while k.cpuhp_state(cpu).should_run {
        call!(cpuhp_thread_fun(cpu));
    }
}

/// A CPU's threads run again.
// DEVIATION: such a thread is woken for something to do and ends with it, so that there is none to park.
pub(crate) fn smpboot_unpark_threads(_k: &mut Kernel, _cpu: CpuId) -> Result<(), Errno> {
    Ok(())
}

/// A CPU's threads stand still, see [`smpboot_unpark_threads`].
pub(crate) fn smpboot_park_threads(_k: &mut Kernel, _cpu: CpuId) -> Result<(), Errno> {
    Ok(())
}
