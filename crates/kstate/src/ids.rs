//! Handles. A pointer of the C code is one of these.

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident($repr:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $repr);

        impl $name {
            /// The number as an index.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&self.0, f)
            }
        }

        impl crate::sched::Slot for $name {
            fn to_slot(self) -> u64 {
                self.0 as u64
            }
            fn from_slot(slot: u64) -> Self {
                Self(slot as $repr)
            }
        }
    )*};
}

id! {
    /// A logical CPU number.
    CpuId(u32);
    /// A Linux interrupt number (virq).
    Irq(u32);
    /// An `struct irq_domain`, index into `Kernel::irq.domains`.
    DomainId(u32);
    /// An `struct irq_chip`, index into `Kernel::irq.chips`.
    ChipId(u32);
    /// A PCI function: index into `Kernel::pci.devs` (the kernel's `struct pci_dev`) and into
    /// `Kernel::hw.pci` (the hardware).
    PciDevId(u32);
    /// A registered `struct pci_driver`: index into `Kernel::pci.drivers`.
    PciDriverId(u32);
    /// An NVMe controller: index into `Kernel::nvme.devs` and `Kernel::hw.nvme`.
    NvmeId(u32);
    /// A virtio device: index into `Kernel::virtio.devs` and `Kernel::hw.virtio`.
    VirtioId(u32);
    /// A registered `struct virtio_driver`: index into `Kernel::virtio.drivers`.
    VirtioDriverId(u32);
    /// A task or kernel thread: index into `Kernel::sched.tasks`.
    TaskId(u32);
    /// A `struct work_struct`: index into `Kernel::sched.works`.
    WorkId(u32);
    /// A recording context: one stack of nested kernel functions.
    CtxId(u32);
    /// An APIC ID: 8 bits in xAPIC mode, 32 in x2APIC mode.
    ApicId(u32);
    /// A NUMA node.
    NodeId(u32);
    /// A `struct blk_mq_tag_set`: index into `Kernel::blk.tag_sets`.
    TagSetId(u32);
    /// A `struct request_queue`: index into `Kernel::blk.queues`.
    QueueId(u32);
    /// A `struct gendisk`: index into `Kernel::blk.disks`.
    DiskId(u32);
}

slotmap::new_key_type! {
    /// A `struct msi_desc`.
    pub struct MsiDescId;
    /// A block-layer request in flight.
    pub struct ReqId;
}

macro_rules! key_slot {
    ($($name:ident)*) => {$(
        impl crate::sched::Slot for $name {
            fn to_slot(self) -> u64 {
                slotmap::Key::data(&self).as_ffi()
            }
            fn from_slot(slot: u64) -> Self {
                slotmap::KeyData::from_ffi(slot).into()
            }
        }
    )*};
}
key_slot! { MsiDescId ReqId }
