//! Symbolic links of /sys, and the ways to a device: by its bus, by its class, and by its place below /sys/devices.
//!
//! What is in a folder is asked under one name: that below /sys/bus/pci/devices, /sys/class or /sys/block. On a real
//! machine these are links into /sys/devices. All ways lead to the same files.

use kstate::{DiskId, Errno, Kernel, PciDevId};

use super::{block, bound_to, cpu_of, list_parts, node_of, numbered, nvme_of, parts, pci, strs};

/// A path's last part is a symbolic link.
pub fn is_link(k: &Kernel, path: &str) -> bool {
    read_link(k, path).is_ok()
}

/// Where a symbolic link leads, as `readlink(2)` says it: relative to the folder of the link.
///
/// # Errors
/// `EINVAL` for what is no link, and those of a path that does not exist.
pub fn read_link(k: &Kernel, path: &str) -> Result<String, Errno> {
    let path = path.trim_end_matches('/');
    let (folder, name) = path.rsplit_once('/').ok_or(Errno::EINVAL)?;
    if let Some(to) = target(k, &strs(&parts(k, folder)), name) {
        return Ok(to);
    }
    match list_parts(k, &strs(&parts(k, path))) {
        Err(Errno::ENOENT) => Err(Errno::ENOENT),
        _ => Err(Errno::EINVAL),
    }
}

/// The folder of a function's bus below /sys/devices, as in `pci0000:00`.
// DEVIATION: a function behind a bridge is in the folder of its bus, as if that had a host bridge of its own.
pub(super) fn root_of(function: &str) -> String {
    let mut fields = function.split(':');
    format!("pci{}:{}", fields.next().unwrap_or_default(), fields.next().unwrap_or_default())
}

/// The folder of a function below /sys, as in `devices/pci0000:00/0000:00:03.0`.
fn place_of_function(k: &Kernel, dev: PciDevId) -> String {
    let name = k.pci_dev(dev).name();
    format!("devices/{}/{name}", root_of(&name))
}

/// What a disk belongs to.
enum Owner {
    /// `nvmeN` of a function.
    Nvme(PciDevId, u32),
    /// `virtioN` of a function.
    Virtio(PciDevId, u32),
}

fn owner(k: &Kernel, disk: DiskId) -> Option<Owner> {
    let mut ctrls = k.nvme.devs.iter().filter(|ctrl| ctrl.bound);
    if let Some(ctrl) = ctrls.find(|ctrl| ctrl.namespaces.iter().any(|ns| ns.disk == disk)) {
        return Some(Owner::Nvme(ctrl.dev, ctrl.instance));
    }
    let queue = k.blk.queues.get(k.blk.disks.get(disk.index())?.as_ref()?.queue.index())?.as_ref()?;
    let set = k.blk.tag_sets.get(queue.tag_set.index())?.as_ref()?;
    if set.ops.name != "virtio_mq_ops" {
        return None;
    }
    let device = k.virtio.devs.get(usize::try_from(set.driver_data).ok()?)?.as_deref()?;
    Some(Owner::Virtio(device.pci_dev, device.index))
}

/// The folder of a disk below /sys.
fn place_of_disk(k: &Kernel, name: &str) -> Option<String> {
    Some(match owner(k, k.blk.disk_by_name(name)?) {
        Some(Owner::Nvme(dev, ctrl)) => format!("{}/nvme/nvme{ctrl}/{name}", place_of_function(k, dev)),
        Some(Owner::Virtio(dev, n)) => format!("{}/virtio{n}/block/{name}", place_of_function(k, dev)),
        None => format!("devices/virtual/block/{name}"),
    })
}

/// A disk that belongs to nothing that is still there.
pub(super) fn is_virtual(k: &Kernel, name: &str) -> bool {
    k.blk.disk_by_name(name).is_some_and(|disk| owner(k, disk).is_none())
}

/// The disks of a controller.
pub(super) fn disks_of_nvme(k: &Kernel, instance: u32) -> Vec<String> {
    disks_where(k, |owner| matches!(owner, Some(Owner::Nvme(_, n)) if n == instance))
}

/// The disks of `virtioN`.
fn disks_of_virtio(k: &Kernel, index: u32) -> Vec<String> {
    disks_where(k, |owner| matches!(owner, Some(Owner::Virtio(_, n)) if n == index))
}

fn disks_where(k: &Kernel, wanted: impl Fn(Option<Owner>) -> bool) -> Vec<String> {
    super::disk_names(k)
        .into_iter()
        .filter(|name| k.blk.disk_by_name(name).is_some_and(|disk| wanted(owner(k, disk))))
        .collect()
}

/// A network interface: its name, its function, and the virtio device between them.
pub(super) struct Interface {
    pub(super) name: String,
    dev: PciDevId,
    virtio: Option<u32>,
}

/// All network interfaces.
// DEVIATION: virtio interfaces are numbered behind the others. On a real machine they are numbered as they come up.
pub(super) fn interfaces(k: &Kernel) -> Vec<Interface> {
    let functions = (0..k.pci.devs.len() as u32).map(PciDevId);
    let mut found: Vec<Interface> = functions
        .filter_map(|dev| {
            let name = drivers::profile::interface_name(k, dev)?;
            Some(Interface { name, dev, virtio: None })
        })
        .collect();
    for device in k.virtio.devs.iter().flatten() {
        let driver = device.driver.and_then(|driver| k.virtio.drivers.get(driver.index()));
        if driver.is_none_or(|driver| driver.name != drivers::virtio_net::VIRTIO_NET_DRIVER.name) {
            continue;
        }
        let free = |n: &u32| found.iter().all(|other| other.name != format!("eth{n}"));
        let name = format!("eth{}", (0..).find(free).unwrap_or_default());
        found.push(Interface { name, dev: device.pci_dev, virtio: Some(device.index) });
    }
    found
}

pub(super) fn interface(k: &Kernel, name: &str) -> Option<Interface> {
    interfaces(k).into_iter().find(|interface| interface.name == name)
}

/// The queues of an interface, as in `rx-0`.
// DEVIATION: only those of virtio_net are shown. What other drivers make of their vectors is not modelled.
pub(super) fn net_queues(k: &Kernel, net: &str) -> Vec<String> {
    let Some(index) = interface(k, net).and_then(|found| found.virtio) else { return Vec::new() };
    let mut devices = k.virtio.devs.iter().flatten();
    let Some(device) = devices.find(|device| device.index == index) else { return Vec::new() };
    let pairs = device.vdev_vqs.len() / 2;
    ["rx", "tx"].iter().flat_map(|way| (0..pairs).map(move |queue| format!("{way}-{queue}"))).collect()
}

/// The files of such a queue.
// DEVIATION: nobody spreads packets by software here: the mask of those CPUs is empty and cannot be written. `xps_cpus` is not
// there, because what the driver sets there is not modelled.
pub(super) fn net_queue_files(queue: &str) -> Vec<String> {
    if queue.starts_with("rx-") { vec!["rps_cpus".to_owned()] } else { Vec::new() }
}

/// A file of a queue.
pub(super) fn net_queue_file(k: &Kernel, net: &str, queue: &str, file: &str) -> Option<String> {
    let there = net_queues(k, net).iter().any(|name| name == queue);
    (there && net_queue_files(queue).iter().any(|name| name == file))
        .then(|| kstate::CpuMask::new().hex(k.topo.nr_cpu_ids))
}

/// The virtio device of a function by its name, as in `virtio0`.
fn virtio_of<'a>(k: &'a Kernel, dev: &str, name: &str) -> Option<&'a kstate::virtio::VirtioPciDevice> {
    let (dev, index) = (k.find_pci_dev(dev)?, numbered(name, "virtio")?);
    let mut devices = k.virtio.devs.iter().flatten();
    devices.find(|device| device.pci_dev == dev && device.index == index).map(|device| &**device)
}

/// What drivers made of a function: folders below it.
pub(super) fn children(k: &Kernel, dev: PciDevId) -> Vec<String> {
    let mut found = Vec::new();
    if k.nvme.devs.iter().any(|ctrl| ctrl.bound && ctrl.dev == dev) {
        found.push("nvme".to_owned());
    }
    let virtio = k.virtio.devs.iter().flatten().filter(|device| device.pci_dev == dev);
    found.extend(virtio.map(|device| format!("virtio{}", device.index)));
    if interfaces(k).iter().any(|interface| interface.dev == dev && interface.virtio.is_none()) {
        found.push("net".to_owned());
    }
    found
}

/// A folder below a function of what drivers made of it.
pub(super) fn child_folder(k: &Kernel, dev: &str, path: &[&str]) -> Option<Vec<String>> {
    let id = k.find_pci_dev(dev)?;
    match *path {
        ["nvme"] => {
            let ctrls = k.nvme.devs.iter().filter(|ctrl| ctrl.bound && ctrl.dev == id);
            let names: Vec<String> = ctrls.map(|ctrl| format!("nvme{}", ctrl.instance)).collect();
            (!names.is_empty()).then_some(names)
        }
        ["net"] => {
            let names = interfaces(k).into_iter().filter(|found| found.dev == id && found.virtio.is_none());
            let names: Vec<String> = names.map(|found| found.name).collect();
            (!names.is_empty()).then_some(names)
        }
        [virtio] => {
            let device = virtio_of(k, dev, virtio)?;
            let driver = device.driver.map(|_| "driver".to_owned());
            let block = (!disks_of_virtio(k, device.index).is_empty()).then(|| "block".to_owned());
            let net = interfaces(k).iter().any(|found| found.virtio == Some(device.index));
            let net = net.then(|| "net".to_owned());
            let files = ["device", "subsystem", "vendor"].map(str::to_owned);
            Some(driver.into_iter().chain(block).chain(net).chain(files).collect())
        }
        [virtio, "block"] => {
            let names = disks_of_virtio(k, virtio_of(k, dev, virtio)?.index);
            (!names.is_empty()).then_some(names)
        }
        [virtio, "net"] => {
            let index = virtio_of(k, dev, virtio)?.index;
            let names = interfaces(k).into_iter().filter(|found| found.virtio == Some(index));
            let names: Vec<String> = names.map(|found| found.name).collect();
            (!names.is_empty()).then_some(names)
        }
        _ => None,
    }
}

/// A file of a virtio device (drivers/virtio/virtio.c).
pub(super) fn virtio_attribute(k: &Kernel, dev: &str, virtio: &str, file: &str) -> Option<String> {
    // VIRTIO_DEV_ANY_ID is in no device; the vendor is the subsystem's of the function, which is Red Hat's.
    let device = virtio_of(k, dev, virtio)?;
    match file {
        "device" => Some(format!("{:#06x}", device.device)),
        "vendor" => Some("0x1af4".to_owned()),
        _ => None,
    }
}

/// Where the link `name` of a folder leads; `None` for what is no link. The folder is under its one name.
pub(super) fn target(k: &Kernel, folder: &[&str], name: &str) -> Option<String> {
    match *folder {
        ["sys", "bus", "pci", "drivers", driver] => {
            let dev = k.find_pci_dev(name).filter(|&dev| bound_to(k, dev) == Some(driver))?;
            Some(format!("../../../../{}", place_of_function(k, dev)))
        }
        ["sys", "bus", "pci", "devices"] if pci::is_bridge(k, name) => {
            Some(format!("../../../devices/{}/{name}", root_of(name)))
        }
        ["sys", "bus", "pci", "devices", dev] if pci::is_bridge(k, dev) => {
            (name == "subsystem").then(|| "../../../bus/pci".to_owned())
        }
        ["sys", "dev", "block"] => Some(format!("../../{}", place_of_disk(k, block::by_dev(k, name)?)?)),
        ["sys", "bus", "pci", "devices"] => {
            Some(format!("../../../{}", place_of_function(k, k.find_pci_dev(name)?)))
        }
        ["sys", "bus", "pci", "devices", dev] => {
            let dev = k.find_pci_dev(dev)?;
            match name {
                "driver" => Some(format!("../../../bus/pci/drivers/{}", bound_to(k, dev)?)),
                "subsystem" => Some("../../../bus/pci".to_owned()),
                _ => None,
            }
        }
        ["sys", "bus", "pci", "devices", dev, virtio] => {
            let device = virtio_of(k, dev, virtio)?;
            match name {
                "driver" => {
                    let driver = k.virtio.drivers.get(device.driver?.index())?;
                    Some(format!("../../../../bus/virtio/drivers/{}", driver.name))
                }
                "subsystem" => Some("../../../../bus/virtio".to_owned()),
                _ => None,
            }
        }
        ["sys", "bus", "virtio", "devices"] => {
            let device = virtio_named(k, name)?;
            Some(format!("../../../{}/{name}", place_of_function(k, device.pci_dev)))
        }
        ["sys", "bus", "virtio", "drivers", driver] => {
            let device = virtio_named(k, name)?;
            let bound = k.virtio.drivers.get(device.driver?.index())?.name == driver;
            bound.then(|| format!("../../../../{}/{name}", place_of_function(k, device.pci_dev)))
        }
        ["sys", "class", "nvme"] => {
            let ctrl = nvme_of(k, name).ok()?;
            Some(format!("../../{}/nvme/{name}", place_of_function(k, k.nvme.dev(ctrl).dev)))
        }
        ["sys", "class", "nvme", ctrl] => {
            let ctrl = nvme_of(k, ctrl).ok()?;
            match name {
                "device" => Some(format!("../../../{}", k.pci_dev(k.nvme.dev(ctrl).dev).name())),
                "subsystem" => Some("../../../../../class/nvme".to_owned()),
                _ => None,
            }
        }
        ["sys", "class", "net"] => {
            let found = interface(k, name)?;
            let function = place_of_function(k, found.dev);
            Some(match found.virtio {
                Some(n) => format!("../../{function}/virtio{n}/net/{name}"),
                None => format!("../../{function}/net/{name}"),
            })
        }
        ["sys", "class", "net", net] if name == "device" => {
            let found = interface(k, net)?;
            Some(match found.virtio {
                Some(n) => format!("../../../virtio{n}"),
                None => format!("../../../{}", k.pci_dev(found.dev).name()),
            })
        }
        ["sys", "class", "block"] => Some(format!("../../{}", place_of_disk(k, name)?)),
        ["sys", "block"] => Some(format!("../{}", place_of_disk(k, name)?)),
        ["sys", "block", disk] if name == "device" => match owner(k, k.blk.disk_by_name(disk)?)? {
            Owner::Nvme(_, ctrl) => Some(format!("../../nvme{ctrl}")),
            Owner::Virtio(_, n) => Some(format!("../../../virtio{n}")),
        },
        ["sys", "devices", "system", "cpu", cpu] => {
            let (cpu, node) = (cpu_of(k, cpu).ok()?, numbered(name, "node")?);
            let here = k.topo.is_online(cpu) && k.topo.node_of(cpu).0 == node;
            here.then(|| format!("../../node/{name}"))
        }
        ["sys", "devices", "system", "node", node] => {
            let (cpus, cpu) = (node_of(k, node)?, cpu_of(k, name).ok()?);
            cpus.contains(cpu).then(|| format!("../../cpu/{name}"))
        }
        _ => None,
    }
}

fn virtio_named<'a>(k: &'a Kernel, name: &str) -> Option<&'a kstate::virtio::VirtioPciDevice> {
    let index = numbered(name, "virtio")?;
    k.virtio.devs.iter().flatten().find(|device| device.index == index).map(|device| &**device)
}

/// The one name of what a path leads to, where it has another one.
pub(super) fn one_name(k: &Kernel, parts: &[&str]) -> Option<Vec<String>> {
    let function = |dev: PciDevId| path(&["sys", "bus", "pci", "devices", &k.pci_dev(dev).name()]);
    match *parts {
        ["sys", "bus", "pci", "drivers", driver, dev] => {
            let dev = k.find_pci_dev(dev).filter(|&dev| bound_to(k, dev) == Some(driver))?;
            Some(function(dev))
        }
        ["sys", "dev", "block", numbers] => {
            block::by_dev(k, numbers).map(|disk| path(&["sys", "block", disk]))
        }
        ["sys", "devices", root, dev] if pci::is_bridge(k, dev) => {
            (root_of(dev) == root).then(|| path(&["sys", "bus", "pci", "devices", dev]))
        }
        ["sys", "bus", "pci", "devices", dev, "subsystem"] if pci::is_bridge(k, dev) => {
            Some(path(&["sys", "bus", "pci"]))
        }
        ["sys", "bus", "pci", "devices", dev, "driver"] => {
            let driver = bound_to(k, k.find_pci_dev(dev)?)?;
            Some(path(&["sys", "bus", "pci", "drivers", driver]))
        }
        ["sys", "bus", "pci", "devices", dev, "subsystem"] => {
            k.find_pci_dev(dev).map(|_| path(&["sys", "bus", "pci"]))
        }
        ["sys", "devices", "virtual", "block", disk] => {
            let own = owner(k, k.blk.disk_by_name(disk)?).is_none();
            own.then(|| path(&["sys", "block", disk]))
        }
        ["sys", "devices", root, dev] => {
            let id = k.find_pci_dev(dev)?;
            (root_of(dev) == root).then(|| function(id))
        }
        ["sys", "bus", "pci", "devices", dev, "nvme", ctrl] => {
            let (dev, id) = (k.find_pci_dev(dev)?, nvme_of(k, ctrl).ok()?);
            (k.nvme.dev(id).dev == dev).then(|| path(&["sys", "class", "nvme", ctrl]))
        }
        ["sys", "bus", "pci", "devices", dev, "net", net] => {
            let found = interface(k, net)?;
            let here = found.dev == k.find_pci_dev(dev)? && found.virtio.is_none();
            here.then(|| path(&["sys", "class", "net", net]))
        }
        ["sys", "bus", "pci", "devices", dev, virtio, "net", net] => {
            let device = virtio_of(k, dev, virtio)?;
            let here = interface(k, net)?.virtio == Some(device.index);
            here.then(|| path(&["sys", "class", "net", net]))
        }
        ["sys", "bus", "pci", "devices", dev, virtio, "block", disk] => {
            let device = virtio_of(k, dev, virtio)?;
            let here = disks_of_virtio(k, device.index).iter().any(|name| name == disk);
            here.then(|| path(&["sys", "block", disk]))
        }
        ["sys", "bus", "pci", "devices", dev, virtio, "subsystem"] => {
            virtio_of(k, dev, virtio).map(|_| path(&["sys", "bus", "virtio"]))
        }
        ["sys", "bus", "pci", "devices", dev, virtio, "driver"] => {
            let driver = k.virtio.drivers.get(virtio_of(k, dev, virtio)?.driver?.index())?;
            Some(path(&["sys", "bus", "virtio", "drivers", driver.name]))
        }
        ["sys", "bus", "virtio", "devices", virtio] | ["sys", "bus", "virtio", "drivers", _, virtio] => {
            target(k, &parts[..parts.len() - 1], virtio)?;
            let device = virtio_named(k, virtio)?;
            Some([function(device.pci_dev), path(&[virtio])].concat())
        }
        ["sys", "class", "nvme", ctrl, "device"] => Some(function(k.nvme.dev(nvme_of(k, ctrl).ok()?).dev)),
        ["sys", "class", "nvme", ctrl, "subsystem"] => {
            nvme_of(k, ctrl).ok().map(|_| path(&["sys", "class", "nvme"]))
        }
        ["sys", "class", "nvme", ctrl, disk] => {
            let ctrl = k.nvme.dev(nvme_of(k, ctrl).ok()?).instance;
            let here = disks_of_nvme(k, ctrl).iter().any(|name| name == disk);
            here.then(|| path(&["sys", "block", disk]))
        }
        ["sys", "class", "net", net, "device"] => {
            let found = interface(k, net)?;
            let virtio = found.virtio.map(|n| format!("virtio{n}"));
            Some(function(found.dev).into_iter().chain(virtio).collect())
        }
        ["sys", "class", "block", disk] => k.blk.disk_by_name(disk).map(|_| path(&["sys", "block", disk])),
        ["sys", "block", disk, "device"] => match owner(k, k.blk.disk_by_name(disk)?)? {
            Owner::Nvme(_, ctrl) => Some(path(&["sys", "class", "nvme", &format!("nvme{ctrl}")])),
            Owner::Virtio(dev, n) => Some([function(dev), path(&[&format!("virtio{n}")])].concat()),
        },
        ["sys", "devices", "system", "cpu", _, node] => {
            target(k, &parts[..5], node).map(|_| path(&["sys", "devices", "system", "node", node]))
        }
        ["sys", "devices", "system", "node", _, cpu] => {
            target(k, &parts[..5], cpu).map(|_| path(&["sys", "devices", "system", "cpu", cpu]))
        }
        _ => None,
    }
}

fn path(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}
