//! kernel/cpu.c and kernel/stop_machine.c: CPU hotplug state.

/// kernel/cpu.c and kernel/stop_machine.c: CPU hotplug state.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Hotplug {}
