//! Which CPU a driver picks for its i-th queue: lib/cpumask.c of 5.4 and 6.12.

use kstate::{CpuId, Kernel};

/// `cpumask_local_spread()`: the CPU number `i` when those of `node` come first and the others behind them,
/// all in the order of their numbers. It begins again behind the last one. `node` is -1 for none.
// DEVIATION: 6.12 sorts the other nodes by their distance, which a machine file does not have. All of them
// are equally far away here, as they are for 5.4.
pub fn cpumask_local_spread(k: &Kernel, i: u32, node: i32) -> CpuId {
    let online = &k.topo.online;
    let count = online.weight();
    if count == 0 {
        return CpuId(0);
    }
    let i = (i % count) as usize;
    let local = usize::try_from(node).ok().and_then(|node| k.topo.node_cpus.get(node));
    let near = local.map(|local| online.and(local)).unwrap_or_default();
    near.iter().chain(online.andnot(&near).iter()).nth(i).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kstate::CpuMask;

    #[test]
    fn a_nodes_own_cpus_come_first() {
        let mut k = Kernel::default();
        k.topo.online = CpuMask::first_n(6);
        k.topo.online.clear(CpuId(3));
        k.topo.node_cpus =
            vec![CpuMask::parse_list("0,2,4", 6).unwrap(), CpuMask::parse_list("1,3,5", 6).unwrap()];
        let spread = |node| (0..6).map(|i| cpumask_local_spread(&k, i, node).0).collect::<Vec<_>>();
        assert_eq!(spread(1), [1, 5, 0, 2, 4, 1]);
        assert_eq!(spread(-1), [0, 1, 2, 4, 5, 0]);
        assert_eq!(spread(7), spread(-1));
    }
}
