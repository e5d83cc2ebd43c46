//! Files of PCI functions below /sys/bus/pci/devices.
//!
//! C file: drivers/pci/pci-sysfs.c of 5.4, 6.12 and 7.3.

use kstate::kstrtox::kstrtoint;
use kstate::{Errno, Kernel, PciDevId};

/// `numa_node_store()`: says which node a function is close to, in place of the firmware. Interrupts that are allocated from
/// then on prefer CPUs of that node, unless their driver has them spread.
///
/// # Errors
/// `EINVAL` for what is no number, and for a node that is not there; 5.4 has `ERANGE` for a number that is too large.
pub fn numa_node_store(k: &mut Kernel, dev: PciDevId, text: &str) -> Result<(), Errno> {
    let parsed = kstrtoint(text.as_bytes(), 0);
    let node = if k.sem.numa_node_store_einval { parsed.map_err(|_| Errno::EINVAL)? } else { parsed? };
    let there = u32::try_from(node).is_ok_and(|node| node < k.topo.nr_node_ids);
    if node != -1 && !there {
        return Err(Errno::EINVAL);
    }
    if k.sem.numa_node_store_skips_same && node == k.pci_dev(dev).node {
        return Ok(());
    }
    let name = k.dev_name(dev);
    k.log.push(format!(
        "{name}: [Firmware Bug]: Overriding NUMA node to {node}.  Contact your vendor for updates."
    ));
    k.pci_dev_mut(dev).node = node;
    Ok(())
}
