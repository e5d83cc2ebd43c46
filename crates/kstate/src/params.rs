//! What the command line set: the variables of C that its words are parsed into and that live in no
//! other structure here.

use crate::nvme::NvmeQuirkEntry;

/// The variables, each with its C name. The defaults are those of a command line without words.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Params {
    /// `setup_max_cpus`, kernel/smp.c: how many CPUs are brought up at boot; 0 for a machine without
    /// SMP.
    pub setup_max_cpus: u32,
    /// What `nr_cpus=` makes of `nr_cpu_ids` before CPUs are counted.
    pub nr_cpu_ids: u32,
    /// `setup_possible_cpus` (5.4), `max_possible_cpus` (6.12); `None` where nothing was said.
    pub possible_cpus: Option<u32>,
    /// `disabled_cpu_apicid`, arch/x86/kernel/apic/apic.c of 5.4.
    pub disabled_cpu_apicid: Option<u32>,
    /// `cpu0_hotpluggable`, arch/x86/kernel/topology.c of 5.4.
    pub cpu0_hotpluggable: bool,
    /// `__cpuhp_parallel_bringup`, kernel/cpu.c of 6.12.
    pub cpuhp_parallel_bringup: bool,
    /// `x2apic_state` is `X2APIC_DISABLED`: `nox2apic`.
    pub nox2apic: bool,
    /// The opposite of `dmar_disabled`, drivers/iommu/intel; `None` for what the configuration says.
    pub intel_iommu: Option<bool>,
    /// Of rcupdate: `rcu_expedited`.
    pub rcu_expedited: i32,
    /// Of nvme: `use_threaded_interrupts`.
    pub nvme_use_threaded_interrupts: i32,
    /// Of nvme: `write_queues`.
    pub nvme_write_queues: u32,
    /// Of nvme: `poll_queues`.
    pub nvme_poll_queues: u32,
    /// Of nvme: `io_queue_depth`.
    pub nvme_io_queue_depth: u32,
    /// `nvme_pci_quirk_list` (7.3).
    pub nvme_pci_quirk_list: Vec<NvmeQuirkEntry>,
    /// Of nvme_core: `admin_timeout`, in seconds.
    pub nvme_admin_timeout: u32,
    /// Of nvme_core: `io_timeout`, in seconds.
    pub nvme_io_timeout: u32,
    /// Of virtio_blk: `num_request_queues`; 0 for no limit.
    pub virtblk_num_request_queues: u32,
    /// Of virtio_blk: `poll_queues`.
    pub virtblk_poll_queues: u32,
    /// Of virtio_blk: `queue_depth`; 0 for as many as the ring holds.
    pub virtblk_queue_depth: u32,
}

impl Params {
    /// `NVME_ADMIN_TIMEOUT`, in ns.
    pub fn nvme_admin_timeout_ns(&self) -> u64 {
        u64::from(self.nvme_admin_timeout) * 1_000_000_000
    }

    /// `NVME_IO_TIMEOUT`, in ns.
    pub fn nvme_io_timeout_ns(&self) -> u64 {
        u64::from(self.nvme_io_timeout) * 1_000_000_000
    }
}

impl Default for Params {
    fn default() -> Self {
        Self {
            setup_max_cpus: u32::MAX,
            nr_cpu_ids: u32::MAX,
            possible_cpus: None,
            disabled_cpu_apicid: None,
            cpu0_hotpluggable: false,
            cpuhp_parallel_bringup: true,
            nox2apic: false,
            intel_iommu: None,
            rcu_expedited: 0,
            nvme_use_threaded_interrupts: 0,
            nvme_write_queues: 0,
            nvme_poll_queues: 0,
            nvme_io_queue_depth: 1024,
            nvme_pci_quirk_list: Vec::new(),
            nvme_admin_timeout: 60,
            nvme_io_timeout: 30,
            virtblk_num_request_queues: 0,
            virtblk_poll_queues: 0,
            virtblk_queue_depth: 0,
        }
    }
}
