//! Files of PCI functions that programs know them by, and the host bridge: drivers/pci/{pci-sysfs,pci-driver}.c.

use core::fmt::Write as _;

use kstate::{Kernel, PciDevId};
use pcimsi::hw::config::config_read;

/// What programs know a function by.
pub(super) struct Ids {
    pub(super) vendor: u16,
    pub(super) device: u16,
    subsystem: (u16, u16),
    pub(super) class: u32,
}

impl Ids {
    /// Those of a function of the machine.
    pub(super) fn of(k: &Kernel, dev: PciDevId) -> Self {
        let function = &k.hw.pci[dev.index()];
        let subsystem = (config_read(k, dev, 0x2c, 2) as u16, config_read(k, dev, 0x2e, 2) as u16);
        Self { vendor: function.vendor_id, device: function.device_id, subsystem, class: function.class_code }
    }

    /// Text of `modalias` (`modalias_show()`).
    pub(super) fn modalias(&self) -> String {
        let Self { vendor, device, subsystem: (sv, sd), class } = self;
        format!(
            "pci:v{vendor:08X}d{device:08X}sv{sv:08X}sd{sd:08X}bc{:02X}sc{:02X}i{:02X}",
            class >> 16 & 0xff,
            class >> 8 & 0xff,
            class & 0xff
        )
    }

    /// Text of `uevent` (`uevent_show()`, `pci_uevent()`), of the function `name` with its driver.
    pub(super) fn uevent(&self, name: &str, driver: Option<&str>) -> String {
        let Self { vendor, device, subsystem: (sv, sd), class } = self;
        let mut out = String::new();
        if let Some(driver) = driver {
            let _ = writeln!(out, "DRIVER={driver}");
        }
        let _ = write!(
            out,
            "PCI_CLASS={class:04X}\nPCI_ID={vendor:04X}:{device:04X}\nPCI_SUBSYS_ID={sv:04X}:{sd:04X}\n\
             PCI_SLOT_NAME={name}\nMODALIAS={}\n",
            self.modalias()
        );
        out
    }
}

/// Regions of a function that is no bridge, of a kernel without `CONFIG_PCI_IOV` (`PCI_BRIDGE_RESOURCES`): six and the ROM.
const REGIONS: usize = 7;

/// Text of `resource` (`resource_show()`).
// DEVIATION: base address registers have no addresses, so that no region has one.
pub(super) fn resource() -> String {
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n".repeat(REGIONS)
}

/// Text of /proc/bus/pci/devices (`show_device()` of drivers/pci/proc.c), in the order in which buses are scanned.
// DEVIATION: no region has an address or a size, as in `resource`.
pub(super) fn proc_devices(k: &Kernel) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: String, ids: &Ids, irq: u32, driver: Option<&str>| {
        let digits = name.split([':', '.']).skip(1).map(|part| u32::from_str_radix(part, 16).unwrap_or(0));
        let place = match digits.collect::<Vec<_>>()[..] {
            [bus, device, function] => format!("{bus:02x}{:02x}", device << 3 | function),
            _ => String::new(),
        };
        let Ids { vendor, device, .. } = ids;
        let mut text = format!("{place}\t{vendor:04x}{device:04x}\t{irq:x}");
        for _ in 0..2 * REGIONS {
            let _ = write!(text, "\t{:16x}", 0);
        }
        let _ = writeln!(text, "\t{}", driver.unwrap_or_default());
        rows.push((name, text));
    };
    if has_bridge(k) {
        row(BRIDGE.to_owned(), &IDS, 0, None);
    }
    for dev in (0..k.pci.devs.len() as u32).map(PciDevId) {
        let pci = k.pci_dev(dev);
        row(pci.name(), &Ids::of(k, dev), pci.irq, k.pci_driver_of(dev).map(|driver| driver.name));
    }
    rows.sort();
    rows.into_iter().map(|(_, text)| text).collect()
}

/// The host bridge of the board.
pub(super) const BRIDGE: &str = "0000:00:00.0";

/// Its files.
pub(super) const BRIDGE_FILES: [&str; 16] = [
    "class",
    "config",
    "device",
    "enable",
    "irq",
    "local_cpulist",
    "local_cpus",
    "modalias",
    "msi_bus",
    "numa_node",
    "resource",
    "revision",
    "subsystem_device",
    "subsystem_vendor",
    "uevent",
    "vendor",
];

/// A file of it, as text.
// DEVIATION: nothing can be written to the host bridge's files.
pub(super) fn bridge_file(k: &Kernel, file: &str) -> Option<String> {
    let Ids { vendor, device, class, .. } = IDS;
    Some(match file {
        "class" => format!("{class:#08x}\n"),
        "vendor" => format!("{vendor:#06x}\n"),
        "device" => format!("{device:#06x}\n"),
        "subsystem_vendor" | "subsystem_device" => "0x0000\n".to_owned(),
        "revision" => "0x00\n".to_owned(),
        "irq" | "enable" => "0\n".to_owned(),
        "msi_bus" => "1\n".to_owned(),
        "numa_node" => "-1\n".to_owned(),
        "local_cpulist" => format!("{}\n", k.topo.online),
        "local_cpus" => format!("{}\n", k.topo.online.hex(k.topo.nr_cpu_ids)),
        "modalias" => format!("{}\n", IDS.modalias()),
        "uevent" => IDS.uevent(BRIDGE, None),
        "resource" => resource(),
        "config" => String::from_utf8_lossy(&bridge_config()).into_owned(),
        _ => return None,
    })
}

/// Its configuration space: who it is, and nothing else.
pub(super) fn bridge_config() -> Vec<u8> {
    let Ids { vendor, device, class, .. } = IDS;
    let mut bytes = vec![0; usize::from(super::PCI_CFG_SPACE_SIZE)];
    bytes[..2].copy_from_slice(&vendor.to_le_bytes());
    bytes[2..4].copy_from_slice(&device.to_le_bytes());
    bytes[8..12].copy_from_slice(&(class << 8).to_le_bytes());
    bytes
}

/// The board is a q35, whose host bridge is this one (82G33/G31/P35/P31).
const IDS: Ids = Ids { vendor: 0x8086, device: 0x29c0, subsystem: (0, 0), class: 0x06_0000 };

/// The bridge is there: no function of the machine stands in its place.
pub(super) fn has_bridge(k: &Kernel) -> bool {
    k.find_pci_dev(BRIDGE).is_none()
}

/// `name` is the bridge's, and it is there.
pub(super) fn is_bridge(k: &Kernel, name: &str) -> bool {
    name == BRIDGE && has_bridge(k)
}
