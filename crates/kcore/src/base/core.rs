//! The file `online` of a device, which only CPUs have here, and what is said of a probe that failed.
//!
//! C file: drivers/base/core.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::sched::WaitOn;
use kstate::{CpuId, Errno, Kernel};

use crate::cpu::{cpu_device_down, cpu_device_up};

/// How long `lock_device_hotplug_sysfs()` sleeps before the system call starts again.
const HOTPLUG_RETRY: u64 = 5_000_000;

/// What writing to the `online` file of a CPU does. The state it is in already is no error. Which state
/// that is is looked at under the lock.
#[kframe("drivers/base/core.c")]
pub fn online_store(k: &mut Kernel, cpu: CpuId, online: bool) -> Result<(), Errno> {
    call!(lock_device_hotplug_sysfs());
    let ret: Result<(), Errno> = Ok(());
    if k.topo.online.contains(cpu) != online {
        if online {
            ret = call!(cpu_device_up(cpu));
        } else {
            ret = call!(cpu_device_down(cpu));
        }
    }
    unlock_device_hotplug(k);
    ret
}

/// Who does not get the lock sleeps and writes again, so that nobody queues (`mutex_trylock()`).
// DEVIATION: where the one who has the lock waits for a hotplug thread that died, C tries again for ever. Here that
// is one sleep, so that the machine comes to rest.
#[kframe("drivers/base/core.c")]
pub(crate) fn lock_device_hotplug_sysfs(k: &mut Kernel) {
    while k.hotplug.device_hotplug_lock {
        if k.hotplug.thread_died {
            wait!(WaitOn::HotplugLock);
        }
        wait!(WaitOn::Until(k.events.now + HOTPLUG_RETRY));
    }
    k.hotplug.device_hotplug_lock = true;
}

pub(crate) fn unlock_device_hotplug(k: &mut Kernel) {
    k.hotplug.device_hotplug_lock = false;
}

/// Says that a driver's probe failed, and with which error. Who has no memory has said so already.
// DEVIATION: no probe is deferred here.
pub fn dev_err_probe(k: &mut Kernel, driver: &str, device: &str, err: Errno, why: &str) {
    if err != Errno::ENOMEM {
        k.log.push(format!("{driver} {device}: error -{err:?}: {why}"));
    }
}
