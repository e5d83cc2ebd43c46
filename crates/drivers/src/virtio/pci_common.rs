//! What virtio-pci's modern and legacy halves share: interrupts of a virtio device.
//!
//! drivers/virtio/virtio_pci_common.c of 5.4 and 6.12.

use irqcore::manage::{
    __irq_apply_affinity_hint, free_irq, irq_set_affinity_hint, request_irq, synchronize_irq,
};
use kfn::{kfn, kframe};
use kstate::hw::virtio::{ISR_CONFIG, NO_VECTOR};
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IrqReturn};
use kstate::msi::IrqAffinity;
use kstate::pci::{PCI_ANY_ID, PciDeviceId, PciDriver, ProbeType};
use kstate::shared::Shared;
use kstate::virtio::{VP_DEV, VP_MSIX_CONFIG_VECTOR, VP_MSIX_VQ_VECTOR, VirtioPciDevice, VpVqVectorPolicy};
use kstate::{CpuMask, Errno, Irq, Kernel, PciDevId, VirtioId};
use pcimsi::kernel::{
    PCI_IRQ_AFFINITY, PCI_IRQ_MSIX, pci_alloc_irq_vectors_affinity, pci_disable_device, pci_enable_device,
    pci_free_irq_vectors, pci_irq_get_affinity, pci_irq_vector, pci_set_master,
};

use super::{hw, pci_modern, ring, virtio};

/// `IRQF_SHARED`.
const IRQF_SHARED: u32 = 0x80;

const VP_CONFIG_CHANGED: Handler = Handler { name: "vp_config_changed", call: vp_config_changed };
const VP_VRING_INTERRUPT: Handler = Handler { name: "vp_vring_interrupt", call: vp_vring_interrupt };
const VP_INTERRUPT: Handler = Handler { name: "vp_interrupt", call: vp_interrupt };

/// `dev_name(&vdev->dev)`.
fn dev_name(k: &Kernel, id: VirtioId) -> String {
    format!("virtio{}", k.virtio.dev(id).index)
}

/// The device behind such a `dev_id`.
fn vp_dev_of(k: &Kernel, dev_id: DevId) -> Option<VirtioId> {
    match dev_id {
        DevId::Driver(dev, VP_DEV) => Some(hw::id_of(k, dev)),
        _ => None,
    }
}

/// The interrupt of a vector that was allocated; interrupt 0 stands for none.
fn vector_irq(k: &mut Kernel, id: VirtioId, vector: u32) -> Irq {
    let dev = k.virtio.dev(id).pci_dev;
    pci_irq_vector(k, dev, vector).unwrap_or_default()
}

/// Waits for the handlers of all vectors that run.
#[kframe("drivers/virtio/virtio_pci_common.c")]
pub fn vp_synchronize_vectors(k: &mut Kernel, id: VirtioId) {
    if k.virtio.dev(id).intx_enabled {
        let irq: Irq = k.vp_irq(id);
        call!(synchronize_irq(irq));
    }
    let mut i: u32 = 0;
    while i < k.virtio.dev(id).msix_vectors {
        let irq: Irq = vector_irq(k, id, i);
        call!(synchronize_irq(irq));
        i += 1;
    }
}

/// Tells all slow queues of an interrupt.
#[kfn("drivers/virtio/virtio_pci_common.c")]
fn vp_vring_slow_path_interrupt(k: &mut Kernel, irq: Irq, id: VirtioId) {
    for index in k.virtio.dev(id).slow_virtqueues.clone() {
        let vq = k.vq_dev_id(id, index);
        ring::vring_interrupt(k, irq, vq);
    }
}

/// The configuration has changed: the driver may want to know.
#[kfn("drivers/virtio/virtio_pci_common.c")]
fn vp_config_changed(k: &mut Kernel, irq: Irq, dev_id: DevId) -> IrqReturn {
    let Some(id) = vp_dev_of(k, dev_id) else { return IrqReturn::None };
    virtio::virtio_config_changed(k, id);
    if k.sem.virtio_slow_path_queues {
        vp_vring_slow_path_interrupt(k, irq, id);
    }
    IrqReturn::Handled
}

/// An interrupt all queues share.
#[kfn("drivers/virtio/virtio_pci_common.c")]
fn vp_vring_interrupt(k: &mut Kernel, irq: Irq, dev_id: DevId) -> IrqReturn {
    let Some(id) = vp_dev_of(k, dev_id) else { return IrqReturn::None };
    let mut ret = IrqReturn::None;
    let queues = k.virtio.dev(id).virtqueues.len();
    for i in 0..queues {
        let Some(&index) = k.virtio.dev(id).virtqueues.get(i) else { break };
        let vq = k.vq_dev_id(id, index);
        if ring::vring_interrupt(k, irq, vq) == IrqReturn::Handled {
            ret = IrqReturn::Handled;
        }
    }
    ret
}

/// The INTx interrupt. Reading the ISR status acknowledges it, so its value is kept.
#[kfn("drivers/virtio/virtio_pci_common.c")]
fn vp_interrupt(k: &mut Kernel, irq: Irq, dev_id: DevId) -> IrqReturn {
    let Some(id) = vp_dev_of(k, dev_id) else { return IrqReturn::None };
    let isr = hw::isr_read(k, id);
    if isr == 0 {
        // Somebody else's, on a shared line.
        return IrqReturn::None;
    }
    if isr & ISR_CONFIG != 0 {
        vp_config_changed(k, irq, dev_id);
    }
    let ret = vp_vring_interrupt(k, irq, dev_id);
    if k.sem.vp_interrupt_handles_any_isr { IrqReturn::Handled } else { ret }
}

/// Allocates vectors, and requests the one for configuration changes and the one that all queues
/// share.
#[kframe("drivers/virtio/virtio_pci_common.c")]
fn vp_request_msix_vectors(
    k: &mut Kernel,
    id: VirtioId,
    nvectors: u32,
    per_vq_vectors: bool,
) -> Result<(), Errno> {
    let vp_dev = k.virtio.dev_mut(id);
    let dev: PciDevId = vp_dev.pci_dev;
    vp_dev.msix_vectors = nvectors;
    vp_dev.msix_names = vec![String::new(); nvectors as usize];
    vp_dev.msix_affinity_masks = vec![CpuMask::default(); nvectors as usize];

    let flags: u32 = PCI_IRQ_MSIX;
    let desc: bool = false;
    if let Some(pre_vectors) = vp_dev.pre_vectors.as_mut().filter(|_| per_vq_vectors) {
        flags |= PCI_IRQ_AFFINITY;
        // The vector for configuration changes. Each attempt counts up again.
        *pre_vectors += 1;
        let affd = IrqAffinity { pre_vectors: *pre_vectors, ..IrqAffinity::default() };
        k.pci_dev_mut(dev).msi_setup().affd = affd;
        desc = true;
    }
    let err: Result<u32, Errno> = call!(pci_alloc_irq_vectors_affinity(dev, nvectors, nvectors, flags, desc));
    err?;

    let name = dev_name(k, id);
    let config = format!("{name}-config");
    let vp_dev = k.virtio.dev_mut(id);
    vp_dev.msix_enabled = true;
    let v = vp_dev.msix_used_vectors;
    vp_dev.msix_names[v as usize].clone_from(&config);
    let irq = vector_irq(k, id, v);
    let dev_id = k.vp_dev_id(id);
    request_irq(k, irq, VP_CONFIG_CHANGED, 0, &config, dev_id)?;
    k.virtio.dev_mut(id).msix_used_vectors += 1;

    // The device may have had no room for it.
    if pci_modern::vp_config_vector(k, id, v as u16) == NO_VECTOR {
        return Err(Errno::EBUSY);
    }

    if !per_vq_vectors {
        let v = k.virtio.dev(id).msix_used_vectors;
        let shared = format!("{name}-virtqueues");
        k.virtio.dev_mut(id).msix_names[v as usize].clone_from(&shared);
        let irq = vector_irq(k, id, v);
        request_irq(k, irq, VP_VRING_INTERRUPT, 0, &shared, dev_id)?;
        k.virtio.dev_mut(id).msix_used_vectors += 1;
    }
    Ok(())
}

/// `vp_is_slow_path_vector` (6.12).
fn vp_is_slow_path_vector(k: &Kernel, vector: u16) -> bool {
    k.sem.virtio_slow_path_queues && vector == VP_MSIX_CONFIG_VECTOR
}

/// Creates queue `index` with the name and callback that the driver asked for.
fn vp_setup_vq(k: &mut Kernel, id: VirtioId, index: u16, msix_vec: u16) -> Result<(), Errno> {
    let callback = pci_modern::setup_vq(k, id, index, msix_vec)?;
    let slow = vp_is_slow_path_vector(k, msix_vec);
    if callback {
        let vp_dev = k.virtio.dev_mut(id);
        // `list_add`: in front.
        if slow {
            vp_dev.slow_virtqueues.insert(0, index);
        } else {
            vp_dev.virtqueues.insert(0, index);
        }
    }
    Ok(())
}

/// Removes a queue.
#[kfn("drivers/virtio/virtio_pci_common.c")]
fn vp_del_vq(k: &mut Kernel, id: VirtioId, index: u16) {
    let vp_dev = k.virtio.dev_mut(id);
    vp_dev.virtqueues.retain(|&i| i != index);
    vp_dev.slow_virtqueues.retain(|&i| i != index);
    pci_modern::del_vq(k, id, index);
    k.virtio.dev_mut(id).vqs.remove(&index);
}

/// Takes an interrupt's hint back (include/linux/interrupt.h); 5.4 has `irq_set_affinity_hint()` for it.
fn irq_update_affinity_hint(k: &mut Kernel, irq: Irq) {
    // A queue whose request failed has nothing to clear, and the result is ignored as in C.
    let _ = if k.sem.affinity_hint_inline {
        __irq_apply_affinity_hint(k, irq, None, false)
    } else {
        irq_set_affinity_hint(k, irq, None)
    };
}

/// `config->del_vqs`: frees queues and interrupts.
#[kframe("drivers/virtio/virtio_pci_common.c")]
pub fn vp_del_vqs(k: &mut Kernel, id: VirtioId) {
    let mut next: Option<u16> = k.virtio.dev(id).vdev_vqs.keys().next().copied();
    while next.is_some() {
        let index: u16 = next.unwrap_or_default();
        let vector: u16 = k.virtio.dev(id).vqs.get(&index).map_or(NO_VECTOR, |info| info.msix_vector);
        let own_vector =
            k.virtio.dev(id).per_vq_vectors && vector != NO_VECTOR && !vp_is_slow_path_vector(k, vector);
        if own_vector {
            let irq: Irq = vector_irq(k, id, u32::from(vector));
            irq_update_affinity_hint(k, irq);
            call!(free_irq(irq, k.vq_dev_id(id, index)));
        }
        vp_del_vq(k, id, index);
        next = k.virtio.dev(id).vdev_vqs.keys().next().copied();
    }
    k.virtio.dev_mut(id).per_vq_vectors = false;

    if k.virtio.dev(id).intx_enabled {
        let irq: Irq = k.vp_irq(id);
        call!(free_irq(irq, k.vp_dev_id(id)));
        k.virtio.dev_mut(id).intx_enabled = false;
    }

    let mut i: u32 = 0;
    while i < k.virtio.dev(id).msix_used_vectors {
        let irq: Irq = vector_irq(k, id, i);
        call!(free_irq(irq, k.vp_dev_id(id)));
        i += 1;
    }

    if k.virtio.dev(id).msix_enabled {
        pci_modern::vp_config_vector(k, id, NO_VECTOR);
        let dev: PciDevId = k.virtio.dev(id).pci_dev;
        call!(pci_free_irq_vectors(dev));
        k.virtio.dev_mut(id).msix_enabled = false;
    }

    let vp_dev = k.virtio.dev_mut(id);
    vp_dev.msix_vectors = 0;
    vp_dev.msix_used_vectors = 0;
    vp_dev.msix_names.clear();
    vp_dev.msix_affinity_masks.clear();
    vp_dev.vqs.clear();
}

/// Requests the interrupt of a queue that has its own.
fn request_vq_irq(k: &mut Kernel, id: VirtioId, index: u16, msix_vec: u16) -> Result<(), Errno> {
    let queue = k.virtio.vq(id, index).map(|vq| vq.name.clone()).unwrap_or_default();
    let name = format!("{}-{queue}", dev_name(k, id));
    k.virtio.dev_mut(id).msix_names[usize::from(msix_vec)].clone_from(&name);
    let irq = vector_irq(k, id, u32::from(msix_vec));
    let dev_id = k.vq_dev_id(id, index);
    request_irq(k, irq, ring::VRING_INTERRUPT, 0, &name, dev_id)
}

/// Creates one queue and requests its interrupt (6.12). `vector` is the next one that is free.
#[kfn("drivers/virtio/virtio_pci_common.c")]
fn vp_find_one_vq_msix(
    k: &mut Kernel,
    id: VirtioId,
    queue_idx: u16,
    slow_path: bool,
    allocated_vectors: &mut u16,
    vector_policy: VpVqVectorPolicy,
) -> Result<(), Errno> {
    let callback = k.virtio.dev(id).wants_callback(queue_idx);
    let msix_vec = match vector_policy {
        _ if !callback => NO_VECTOR,
        VpVqVectorPolicy::SharedSlow | VpVqVectorPolicy::Shared if slow_path => VP_MSIX_CONFIG_VECTOR,
        VpVqVectorPolicy::Each | VpVqVectorPolicy::SharedSlow => {
            *allocated_vectors += 1;
            *allocated_vectors - 1
        }
        VpVqVectorPolicy::Shared => VP_MSIX_VQ_VECTOR,
    };
    vp_setup_vq(k, id, queue_idx, msix_vec)?;
    if vector_policy == VpVqVectorPolicy::Shared
        || msix_vec == NO_VECTOR
        || vp_is_slow_path_vector(k, msix_vec)
    {
        return Ok(());
    }
    request_vq_irq(k, id, queue_idx, msix_vec).inspect_err(|_| vp_del_vq(k, id, queue_idx))
}

/// Creates all queues with MSI-X interrupts.
#[kframe("drivers/virtio/virtio_pci_common.c")]
fn vp_find_vqs_msix(
    k: &mut Kernel,
    id: VirtioId,
    nvqs: u32,
    vector_policy: VpVqVectorPolicy,
) -> Result<(), Errno> {
    let err: Result<(), Errno> = 'error_find: {
        let per_vq_vectors: bool = vector_policy != VpVqVectorPolicy::Shared;
        let nvectors: u32 = if per_vq_vectors {
            1 + k.virtio.dev(id).vqs_info.iter().filter(|vq| vq.callback.is_some()).count() as u32
        } else {
            2
        };
        let granted: Result<(), Errno> = call!(vp_request_msix_vectors(id, nvectors, per_vq_vectors));
        if granted.is_err() {
            break 'error_find granted;
        }
        let vp_dev = k.virtio.dev_mut(id);
        vp_dev.per_vq_vectors = per_vq_vectors;
        let mut allocated_vectors = vp_dev.msix_used_vectors as u16;
        let found: Result<(), Errno> = Ok(());
        for index in 0..nvqs as u16 {
            if k.sem.virtio_slow_path_queues {
                found = vp_find_one_vq_msix(k, id, index, false, &mut allocated_vectors, vector_policy);
            } else {
                let msix_vec = if !k.virtio.dev(id).wants_callback(index) {
                    NO_VECTOR
                } else if per_vq_vectors {
                    allocated_vectors += 1;
                    allocated_vectors - 1
                } else {
                    VP_MSIX_VQ_VECTOR
                };
                found = vp_setup_vq(k, id, index, msix_vec);
                if found.is_ok() && per_vq_vectors && msix_vec != NO_VECTOR {
                    found = request_vq_irq(k, id, index, msix_vec);
                }
            }
            if found.is_err() {
                break;
            }
        }
        if found.is_err() {
            break 'error_find found;
        }
        return Ok(());
    };
    call!(vp_del_vqs(id));
    err
}

/// Creates all queues with one interrupt line for everything.
#[kframe("drivers/virtio/virtio_pci_common.c")]
fn vp_find_vqs_intx(k: &mut Kernel, id: VirtioId, nvqs: u32) -> Result<(), Errno> {
    let err: Result<(), Errno> = 'out_del_vqs: {
        let (irq, name) = (k.vp_irq(id), dev_name(k, id));
        let dev_id = k.vp_dev_id(id);
        if let Err(e) = request_irq(k, irq, VP_INTERRUPT, IRQF_SHARED, &name, dev_id) {
            break 'out_del_vqs Err(e);
        }
        let vp_dev = k.virtio.dev_mut(id);
        vp_dev.intx_enabled = true;
        vp_dev.per_vq_vectors = false;
        for index in 0..nvqs as u16 {
            if let Err(e) = vp_setup_vq(k, id, index, NO_VECTOR) {
                break 'out_del_vqs Err(e);
            }
        }
        return Ok(());
    };
    call!(vp_del_vqs(id));
    err
}

/// `config->find_vqs`: a vector per queue, or fewer, or the line.
#[kframe("drivers/virtio/virtio_pci_common.c")]
pub fn vp_find_vqs(k: &mut Kernel, id: VirtioId, nvqs: u32) -> Result<(), Errno> {
    let each: Result<(), Errno> = call!(vp_find_vqs_msix(id, nvqs, VpVqVectorPolicy::Each));
    if each.is_ok() {
        return Ok(());
    }
    if k.sem.virtio_slow_path_queues {
        let slow: Result<(), Errno> = call!(vp_find_vqs_msix(id, nvqs, VpVqVectorPolicy::SharedSlow));
        if slow.is_ok() {
            return Ok(());
        }
    }
    let shared: Result<(), Errno> = call!(vp_find_vqs_msix(id, nvqs, VpVqVectorPolicy::Shared));
    if shared.is_ok() {
        return Ok(());
    }
    if k.sem.virtio_needs_line && k.vp_irq(id) == Irq(0) {
        return shared;
    }
    let intx: Result<(), Errno> = call!(vp_find_vqs_intx(id, nvqs));
    intx
}

/// `config->get_vq_affinity`: the CPUs of a queue's own vector.
pub fn vp_get_vq_affinity(k: &mut Kernel, id: VirtioId, index: u32) -> Option<CpuMask> {
    let vp_dev = k.virtio.dev(id);
    let (dev, vector) = (vp_dev.pci_dev, vp_dev.vqs.get(&(index as u16))?.msix_vector);
    if !vp_dev.per_vq_vectors || vector == NO_VECTOR || vp_is_slow_path_vector(k, vector) {
        return None;
    }
    pci_irq_get_affinity(k, dev, u32::from(vector))
}

/// `config->set_vq_affinity`: hints where a queue's interrupt should go. A line has no hint.
///
/// # Errors
/// `EINVAL` for a queue without a callback.
pub fn vp_set_vq_affinity(
    k: &mut Kernel,
    id: VirtioId,
    index: u16,
    cpu_mask: Option<&CpuMask>,
) -> Result<(), Errno> {
    if k.virtio.vq(id, index).is_none_or(|vq| vq.callback.is_none()) {
        return Err(Errno::EINVAL);
    }
    let vp_dev = k.virtio.dev(id);
    let Some(info) = vp_dev.vqs.get(&index).filter(|_| vp_dev.msix_enabled) else { return Ok(()) };
    let vector = info.msix_vector;
    let irq = vector_irq(k, id, u32::from(vector));
    let Some(mask) = cpu_mask else {
        irq_update_affinity_hint(k, irq);
        return Ok(());
    };
    if let Some(kept) = k.virtio.dev_mut(id).msix_affinity_masks.get_mut(usize::from(vector)) {
        kept.clone_from(mask);
    }
    let _ = if k.sem.affinity_hint_inline {
        __irq_apply_affinity_hint(k, irq, Some(mask), true)
    } else {
        irq_set_affinity_hint(k, irq, Some(mask))
    };
    Ok(())
}

/// `virtio_pci_id_table`: everything that the maker of virtio devices makes.
static VIRTIO_PCI_ID_TABLE: [PciDeviceId; 1] = [PciDeviceId::device(hw::VENDOR_ID as u32, PCI_ANY_ID)];

/// `virtio_pci_driver`.
pub static VIRTIO_PCI_DRIVER: PciDriver = PciDriver {
    name: "virtio-pci",
    id_table: &VIRTIO_PCI_ID_TABLE,
    probe: |_, dev| virtio_pci_probe(dev),
    remove: |_, dev| virtio_pci_remove(dev),
    shutdown: None,
    reset_prepare: None,
    probe_type: |_| ProbeType::Default,
    built_in: true,
    overlaps: false,
};

/// Binds virtio-pci to a function.
#[kframe("drivers/virtio/virtio_pci_common.c")]
fn virtio_pci_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let id: VirtioId = hw::id_of(k, dev);
    if k.virtio.devs.len() <= id.index() {
        k.virtio.devs.resize(id.index() + 1, None);
    }
    // The subsystem ID of the function, which says what a transitional device is.
    let kind = k.hw.virtio[id.index()].kind;
    k.virtio.devs[id.index()] = Some(Shared::new(VirtioPciDevice {
        pci_dev: dev,
        device: kind.device_id,
        ..VirtioPciDevice::default()
    }));

    let enabled: Result<(), Errno> = pci_enable_device(k, dev);
    if enabled.is_err() {
        k.virtio.devs[id.index()] = None;
        return enabled;
    }
    // `virtio_pci_modern_probe` maps the capabilities, which always works here.
    pci_set_master(k, dev);

    let registered: Result<(), Errno> = call!(virtio::register_virtio_device(id));
    if registered.is_err() {
        call!(pci_disable_device(dev));
        k.virtio.devs[id.index()] = None;
    }
    registered
}

/// Takes virtio-pci off a function.
#[kframe("drivers/virtio/virtio_pci_common.c")]
fn virtio_pci_remove(k: &mut Kernel, dev: PciDevId) {
    let id: VirtioId = hw::id_of(k, dev);
    if k.virtio.find(id).is_none() {
        return;
    }
    call!(virtio::unregister_virtio_device(id));
    call!(pci_disable_device(dev));
    k.virtio.devs[id.index()] = None;
}
