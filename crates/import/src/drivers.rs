//! Which driver has a function, where nothing but the names of its interrupts says it.

/// What is known of a driver before anybody looks at affinities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prior {
    /// The kernel manages its messages but for so many in front.
    Managed {
        /// Messages in front.
        pre: u32,
        /// Messages at the end.
        post: u32,
    },
    /// It manages none.
    Unmanaged,
    /// The kernel is so old that it manages none, whatever the driver.
    Never,
    /// Nobody knows.
    Unknown,
}

/// A number at the end of a text.
fn numbered(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The driver that gives its interrupts names like this one.
fn of_name(name: &str) -> Option<&'static str> {
    let virtio = || name.strip_prefix("virtio")?.split_once('-').map(|(_, queue)| queue);
    if numbered(name, "nvme") && name.contains('q') {
        return Some("nvme");
    }
    if let Some(queue) = virtio() {
        return match queue {
            "request" => Some("virtio_scsi"),
            _ if queue.starts_with("req.") || queue.starts_with("req_poll.") => Some("virtio_blk"),
            _ if queue.starts_with("input.") || queue.starts_with("output.") => Some("virtio_net"),
            _ => None,
        };
    }
    let starts: [(&str, &str); 22] = [
        ("megasas", "megaraid_sas"),
        ("mpt3sas", "mpt3sas"),
        ("mpt2sas", "mpt3sas"),
        ("mpi3mr", "mpi3mr"),
        ("hpsa", "hpsa"),
        ("qla2xxx", "qla2xxx"),
        ("lpfc:", "lpfc"),
        ("smartpqi", "smartpqi"),
        ("aacraid", "aacraid"),
        ("pm80xx", "pm80xx"),
        ("csio-", "csiostor"),
        ("i40e-", "i40e"),
        ("ice-", "ice"),
        ("iavf-", "iavf"),
        ("mlx5_", "mlx5_core"),
        ("ena-mgmnt", "ena"),
        ("gve-", "gve"),
        ("xhci_hcd", "xhci_hcd"),
        ("ahci", "ahci"),
        ("PCIe PME", "pcieport"),
        ("aerdrv", "pcieport"),
        ("ioat-msix", "ioatdma"),
    ];
    starts.into_iter().find(|(start, _)| name.starts_with(start)).map(|(_, driver)| driver)
}

/// The driver of a function: what a file says, or what the names of its interrupts say. The second value is where
/// it is from.
pub fn driver<'a>(
    said: Option<&'a str>,
    from: &'static str,
    names: &[&str],
) -> Option<(&'a str, &'static str)> {
    // A virtio function's driver on the PCI bus is always the same.
    let said = said.filter(|driver| *driver != "virtio-pci");
    if let Some(driver) = said {
        return Some((driver, from));
    }
    names.iter().find_map(|name| of_name(name)).map(|driver| (driver, "the names of its interrupts"))
}

/// What is known of a driver.
pub fn prior(driver: Option<&str>, names: &[&str]) -> Prior {
    let Some(driver) = driver else {
        return if names.iter().any(|name| network(name)) { Prior::Unmanaged } else { Prior::Unknown };
    };
    match driver {
        "nvme" | "virtio_blk" => return Prior::Managed { pre: 1, post: 0 },
        "virtio_scsi" => return Prior::Managed { pre: 3, post: 0 },
        "virtio_net" => return Prior::Unmanaged,
        // hisi_sas, fnic, be2iscsi: from their own C, see the table of the drivers that spread.
        "hisi_sas_v3_hw" => return Prior::Managed { pre: 16, post: 0 },
        "fnic" => return Prior::Managed { pre: 3, post: 1 },
        "be2iscsi" => return Prior::Managed { pre: 0, post: 1 },
        "ngbe" => return Prior::Managed { pre: 0, post: 1 },
        _ => {}
    }
    match drivers::profile::find(driver) {
        Some(profile) => match profile.spread {
            Some(spread) => Prior::Managed { pre: spread.pre, post: spread.post },
            None => Prior::Unmanaged,
        },
        None if names.iter().any(|name| network(name)) => Prior::Unmanaged,
        None => Prior::Unknown,
    }
}

/// Names that network drivers give.
fn network(name: &str) -> bool {
    ["-TxRx-", "-Tx-Rx-", "-rx-", "-tx-", "-fp-"].iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_driver() {
        assert_eq!(driver(None, "", &["nvme0q0", "nvme0q1"]).unwrap().0, "nvme");
        assert_eq!(
            driver(Some("virtio-pci"), "", &["virtio3-config", "virtio3-req.0"]).unwrap().0,
            "virtio_blk"
        );
        assert_eq!(
            driver(Some("virtio-pci"), "", &["virtio0-config", "virtio0-control", "virtio0-cursor"]),
            None
        );
        let scsi = ["virtio0-config", "virtio0-control", "virtio0-event", "virtio0-request"];
        assert_eq!(driver(None, "", &scsi).unwrap().0, "virtio_scsi");
        assert_eq!(driver(Some("tg3"), "/sys", &["eno1-rx-1"]), Some(("tg3", "/sys")));
        assert_eq!(prior(None, &["eno49-TxRx-5"]), Prior::Unmanaged);
        assert_eq!(prior(Some("mlx4_core"), &["mlx4-1@0000:01:00.0"]), Prior::Unknown);
        assert_eq!(prior(Some("megaraid_sas"), &[]), Prior::Managed { pre: 1, post: 0 });
        assert_eq!(prior(Some("mlx5_core"), &[]), Prior::Unmanaged);
    }
}
