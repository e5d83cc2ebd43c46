//! C file: net/core/dev.c of 5.4 and 6.12.

use kstate::{CpuMask, Kernel};

/// `DEFAULT_MAX_NUM_RSS_QUEUES` (5.4).
const DEFAULT_MAX_NUM_RSS_QUEUES: u32 = 8;

/// `netif_get_num_default_rss_queues()`: how many queues a network device has unless somebody says otherwise.
pub fn netif_get_num_default_rss_queues(k: &Kernel) -> u32 {
    if !k.sem.rss_queues_by_cores {
        return k.topo.online.weight().min(DEFAULT_MAX_NUM_RSS_QUEUES);
    }
    let mut cpus: CpuMask = k.topo.online.clone();
    let mut count: u32 = 0;
    while let Some(cpu) = cpus.first() {
        count += 1;
        cpus.clear(cpu);
        cpus = cpus.andnot(&k.topo.siblings[cpu.index()]);
    }
    if count > 2 { count.div_ceil(2) } else { count }
}
