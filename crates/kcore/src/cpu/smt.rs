//! Second threads of cores, and /sys/devices/system/cpu/smt.
//!
//! C file: kernel/cpu.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::hotplug::{CpuhpSmtControl, CpuhpState};
use kstate::kstrtox::{kstrtoint, sysfs_streq};
use kstate::{CpuId, Errno, Kernel};

use super::{_cpu_up, cpu_down_maps_locked, cpu_maps_update_begin, cpu_maps_update_done};
use crate::base::core::{lock_device_hotplug_sysfs, unlock_device_hotplug};
use crate::x86::smpboot::{topology_is_core_online, topology_is_primary_thread};

/// Second threads can be switched on and off.
pub(super) fn cpu_smt_possible(k: &Kernel) -> bool {
    !matches!(k.hotplug.cpu_smt_control, CpuhpSmtControl::ForceDisabled | CpuhpSmtControl::NotSupported)
}

/// The CPU is known: how many threads its cores have. In 5.4 it is `cpu_smt_check_topology()`.
pub fn cpu_smt_set_num_threads(k: &mut Kernel, max_threads: u32) {
    let hotplug = &mut k.hotplug;
    if max_threads == 1 {
        hotplug.cpu_smt_control = CpuhpSmtControl::NotSupported;
    }
    let enabled = hotplug.cpu_smt_control == CpuhpSmtControl::Enabled;
    hotplug.cpu_smt_max_threads = max_threads;
    hotplug.cpu_smt_num_threads = if enabled { max_threads } else { 1 };
}

/// What smt/control says: a state, or on 6.12 a number of threads where not all of them may run.
pub fn control_show(k: &Kernel) -> String {
    let hotplug = &k.hotplug;
    let all = hotplug.cpu_smt_num_threads == hotplug.cpu_smt_max_threads;
    match hotplug.cpu_smt_control {
        CpuhpSmtControl::Enabled if k.sem.smt_control_takes_numbers && !all => {
            hotplug.cpu_smt_num_threads.to_string()
        }
        CpuhpSmtControl::Enabled => "on".to_owned(),
        CpuhpSmtControl::Disabled => "off".to_owned(),
        CpuhpSmtControl::ForceDisabled => "forceoff".to_owned(),
        CpuhpSmtControl::NotSupported => "notsupported".to_owned(),
    }
}

/// What smt/active says: whether two threads of a core run (`sched_smt_active()`).
pub fn active_show(k: &Kernel) -> bool {
    k.topo.online.iter().any(|cpu| k.topo.siblings[cpu.index()].weight() > 1)
}

/// What a text for smt/control asks for: a state and a number of threads.
///
/// # Errors
/// `EINVAL` for what is neither a state nor, on 6.12, a number of threads that can be had; `EPERM` after
/// `forceoff` and `ENODEV` without second threads, of which 6.12 thinks first.
fn asked(k: &Kernel, buf: &[u8]) -> Result<(CpuhpSmtControl, u32), Errno> {
    let max_threads = k.hotplug.cpu_smt_max_threads;
    let possible = match k.hotplug.cpu_smt_control {
        CpuhpSmtControl::ForceDisabled => Err(Errno::EPERM),
        CpuhpSmtControl::NotSupported => Err(Errno::ENODEV),
        CpuhpSmtControl::Enabled | CpuhpSmtControl::Disabled => Ok(()),
    };
    if k.sem.smt_control_takes_numbers {
        possible?;
    }
    let is = |word: &[u8]| sysfs_streq(buf, word);
    let asked = if is(b"on") {
        (CpuhpSmtControl::Enabled, max_threads)
    } else if is(b"off") {
        (CpuhpSmtControl::Disabled, 1)
    } else if is(b"forceoff") {
        (CpuhpSmtControl::ForceDisabled, 1)
    } else if k.sem.smt_control_takes_numbers {
        match kstrtoint(buf, 10).map(u32::try_from) {
            Ok(Ok(1)) => (CpuhpSmtControl::Disabled, 1),
            // cpu_smt_num_threads_valid(): one or all, on x86.
            Ok(Ok(n)) if n == max_threads => (CpuhpSmtControl::Enabled, n),
            _ => return Err(Errno::EINVAL),
        }
    } else {
        return Err(Errno::EINVAL);
    };
    possible.map(|()| asked)
}

/// What writing to smt/control does: takes second threads down, or brings all CPUs up that are down.
///
/// # Errors
/// `EINVAL`, `EPERM` and `ENODEV` for what cannot be had, and those of a CPU that does not go or come.
#[kframe("kernel/cpu.c")]
pub fn __store_smt_control(k: &mut Kernel, ctrlval: CpuhpSmtControl, num_threads: u32) -> Result<(), Errno> {
    call!(lock_device_hotplug_sysfs());
    let ret: Result<(), Errno> = Ok(());
    let force_off = ctrlval != k.hotplug.cpu_smt_control && ctrlval == CpuhpSmtControl::ForceDisabled;
    let orig_threads = core::mem::replace(&mut k.hotplug.cpu_smt_num_threads, num_threads);
    let enable: bool = num_threads > orig_threads;
    let disable: bool = num_threads < orig_threads || force_off;
    if !k.sem.smt_control_takes_numbers {
        enable = ctrlval != k.hotplug.cpu_smt_control && ctrlval == CpuhpSmtControl::Enabled;
        disable = ctrlval != k.hotplug.cpu_smt_control && !enable;
    }
    if enable {
        ret = call!(cpuhp_smt_enable());
    } else if disable {
        ret = call!(cpuhp_smt_disable(ctrlval));
    }
    unlock_device_hotplug(k);
    ret
}

/// The same for a text, which is looked at before anything else.
///
/// # Errors
/// As above, of the text.
pub fn control_store(k: &Kernel, buf: &[u8]) -> Result<kstate::sched::Call<Result<(), Errno>>, Errno> {
    asked(k, buf).map(|(ctrlval, num_threads)| __store_smt_control(ctrlval, num_threads))
}

#[kframe("kernel/cpu.c")]
fn cpuhp_smt_disable(k: &mut Kernel, ctrlval: CpuhpSmtControl) -> Result<(), Errno> {
    call!(cpu_maps_update_begin());
    let ret: Result<(), Errno> = Ok(());
    let next: Option<CpuId> = k.topo.online.first();
    while next.is_some() && ret.is_ok() {
        let cpu: CpuId = next.unwrap_or_default();
        if !topology_is_primary_thread(k, cpu) {
            ret = call!(cpu_down_maps_locked(cpu, CpuhpState::Offline));
        }
        next = k.topo.online.next_after(cpu);
    }
    if ret.is_ok() {
        k.hotplug.cpu_smt_control = ctrlval;
    }
    cpu_maps_update_done(k);
    ret
}

#[kframe("kernel/cpu.c")]
fn cpuhp_smt_enable(k: &mut Kernel) -> Result<(), Errno> {
    call!(cpu_maps_update_begin());
    k.hotplug.cpu_smt_control = CpuhpSmtControl::Enabled;
    let ret: Result<(), Errno> = Ok(());
    let next: Option<CpuId> = k.topo.present.first();
    while next.is_some() && ret.is_ok() {
        let cpu: CpuId = next.unwrap_or_default();
        let core = !k.sem.smt_enable_needs_core || topology_is_core_online(k, cpu);
        if !k.topo.online.contains(cpu) && core {
            ret = call!(_cpu_up(cpu, CpuhpState::Online));
        }
        next = k.topo.present.next_after(cpu);
    }
    cpu_maps_update_done(k);
    ret
}
