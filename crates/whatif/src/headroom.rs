//! How much is left: the vector matrix is asked, and CPUs are taken down until one stays.

use irqcore::matrix::{irq_matrix_available, irq_matrix_reserved};
use kstate::irqdesc::IRQD_MANAGED_SHUTDOWN;
use kstate::{CpuId, CpuMask, Kernel};
use serde::Serialize;
use sim::script::Script;

use crate::run::{Refused, run_script, settle};

/// The CPU with the fewest free vectors.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Tightest {
    /// Which.
    pub cpu: u32,
    /// Vectors of devices that it has in use or keeps for managed interrupts.
    pub used: u32,
    /// Vectors that a device can still get (`irq_matrix`'s `available`).
    pub free: u32,
}

/// What is left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Headroom {
    /// Vectors of a CPU that devices can have.
    pub capacity: u32,
    /// Vectors that are free on CPUs that run (`irq_matrix_available()`): so many more until `ENOSPC`.
    pub free: u32,
    /// Interrupts that have no vector yet and will want one (`irq_matrix_reserved()`).
    pub reserved: u32,
    /// The CPU where the fewest are free: so many more managed interrupts can have it in their mask.
    pub tightest: Option<Tightest>,
    /// How many more CPUs can go, if that was tried.
    pub cpus: Option<Search>,
}

/// CPUs taken down one after the other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Search {
    /// How the next one is chosen.
    pub order: &'static str,
    /// Those that went, in this order.
    pub went: Vec<u32>,
    /// How many went before the first was refused.
    pub until_refused: u32,
    /// Each one that was refused, once.
    pub refused: Vec<Refused>,
    /// With which CPU the first managed interrupt was shut down.
    pub first_shutdown: Option<u32>,
    /// CPUs that are left.
    #[serde(serialize_with = "crate::list")]
    pub left: CpuMask,
}

/// How the next CPU of a search is chosen.
pub const ORDER: &str = "greedy: the CPU with the highest number goes next, and one that is refused stays";

/// Asks the matrix. With `tries` CPUs go on a copy as well, until the first is refused.
pub fn of(k: &mut Kernel, tries: bool) -> Headroom {
    let free = irq_matrix_available(k, false);
    let reserved = irq_matrix_reserved(k);
    let matrix = &k.vector_matrix;
    let capacity = matrix.alloc_size.saturating_sub(matrix.systembits_inalloc);
    let of_cpu = |cpu: CpuId| {
        let free = matrix.maps.get(cpu.index())?.available;
        Some(Tightest { cpu: cpu.0, used: capacity.saturating_sub(free), free })
    };
    let tightest = k.topo.online.iter().filter_map(of_cpu).min_by_key(|tightest| tightest.free);
    let cpus = tries.then(|| down(&mut k.clone(), true));
    Headroom { capacity, free, reserved, tightest, cpus }
}

/// Takes CPUs down until none can go any more.
pub fn search(k: &mut Kernel) -> Search {
    let search = down(k, false);
    settle(k);
    search
}

fn shut_down(k: &Kernel) -> usize {
    k.for_each_irq().filter_map(|irq| k.find_desc(irq)).filter(|desc| desc.has(IRQD_MANAGED_SHUTDOWN)).count()
}

fn down(k: &mut Kernel, until_refused: bool) -> Search {
    let mut search = Search {
        order: ORDER,
        went: Vec::new(),
        until_refused: 0,
        refused: Vec::new(),
        first_shutdown: None,
        left: CpuMask::new(),
    };
    let can_go = |k: &Kernel, cpu: CpuId| kcore::x86::topology::arch_register_cpu(k, cpu);
    let mut before = shut_down(k);
    let mut next = k.topo.online.last();
    while let Some(cpu) = next {
        next = (0..cpu.0).rev().map(CpuId).find(|&cpu| k.topo.is_online(cpu));
        if !can_go(k, cpu) || k.topo.online.weight() == 1 {
            continue;
        }
        let line = format!("echo 0 > /sys/devices/system/cpu/cpu{cpu}/online\n");
        let Ok(script) = Script::parse("search", &line) else { continue };
        let refused = run_script(k, &script);
        if refused.is_empty() {
            search.went.push(cpu.0);
        } else {
            search.refused.extend(refused);
            if until_refused {
                break;
            }
        }
        if search.refused.is_empty() {
            search.until_refused += 1;
        }
        if search.first_shutdown.is_none() {
            let now = shut_down(k);
            search.first_shutdown = (now > before).then_some(cpu.0);
            before = now;
        }
    }
    search.left = k.topo.online.clone();
    search
}
