//! The drivers: how many messages each asks for, which of them the kernel spreads, and what it calls them.
//!
//! Read in the drivers' C of 6.12, in the function that a comment names.

use kstate::pci::PciDeviceId;

use super::{Actions, Cpu, Hint, Instance, Len, Number, Place, Profile, Sets, Spread, Vectors, driver};

const ETHERNET: u32 = 0x02_0000;
const SCSI: u32 = 0x01_0000;
const RAID: u32 = 0x01_0400;
const SAS: u32 = 0x01_0700;
const FIBRE_CHANNEL: u32 = 0x0c_0400;

/// Messages in front of and behind those that are spread; the rest is one set.
const fn spread(pre: u32, post: u32) -> Option<Spread> {
    Some(Spread { pre, post, sets: Sets::One })
}

/// `min(times * count, most) + plus`.
const fn ask(count: Number, times: u32, most: u32, plus: u32) -> Vectors {
    Vectors { count, times, most, plus }
}

/// No limit but that of the table.
const ALL: u32 = u32::MAX;

const fn one(first: Place, name: &'static str) -> Actions {
    Actions { first, len: Len::Count(1), name }
}

const fn rest(first: u32, leave: u32, name: &'static str) -> Actions {
    Actions { first: Place::Front(first), len: Len::Rest { leave }, name }
}

/// The hint that a driver leaves for each message from `first` on but the last `leave` ones.
const fn hint(cpu: Cpu, sets: bool, first: u32, leave: u32) -> Option<Hint> {
    Some(Hint { cpu, sets, first, leave })
}

macro_rules! profile {
    ($name:ident, $driver:literal, $vendor:literal, $device:literal, $class:expr, $instance:ident, $spread:expr,
     $vectors:expr, $min:literal, $hint:expr, $actions:expr) => {
        static $name: Profile = Profile {
            driver: driver($driver, &[PciDeviceId::device($vendor, $device)]),
            id: ($vendor, $device),
            class: $class,
            instance: Instance::$instance,
            spread: $spread,
            vectors: $vectors,
            min: $min,
            hint: $hint,
            actions: $actions,
        };
    };
}

// Network devices.

// ixgbe_acquire_msix_vectors(), ixgbe_request_msix_irqs(): 63 queues of Flow Director.
profile!(
    IXGBE,
    "ixgbe",
    0x8086,
    0x10fb,
    ETHERNET,
    Net,
    None,
    ask(Number::Online, 1, 63, 1),
    2,
    hint(Cpu::Local, false, 0, 1),
    &[rest(0, 1, "{name}-TxRx-{}"), one(Place::Back(1), "{name}")]
);
// i40e_init_msix(), i40e_setup_misc_vector(), i40e_vsi_request_irq_msix().
profile!(
    I40E,
    "i40e",
    0x8086,
    0x1572,
    ETHERNET,
    Net,
    None,
    ask(Number::Online, 1, ALL, 2),
    2,
    hint(Cpu::Nth, false, 1, 1),
    &[
        one(Place::Front(0), "i40e-{pci}:misc"),
        one(Place::Back(1), "i40e-{pci}:fdir-TxRx-0"),
        rest(1, 1, "i40e-{name}-TxRx-{}")
    ]
);
// ice_ena_msix_range(), ice_req_irq_msix_misc(), ice_vsi_req_irq_msix(): one for the rest, two for Flow
// Director, one for switchdev.
profile!(
    ICE,
    "ice",
    0x8086,
    0x159b,
    ETHERNET,
    Net,
    None,
    ask(Number::Online, 1, ALL, 4),
    2,
    hint(Cpu::Index, false, 1, 3),
    &[
        one(Place::Front(0), "ice-{pci}:misc"),
        one(Place::Back(3), "ice-{pci}:ctrl-TxRx-0"),
        rest(1, 3, "ice-{name}-TxRx-{}")
    ]
);
// iavf_set_interrupt_capability(), iavf_request_misc_irq(), iavf_request_traffic_irqs(): 16 queue pairs.
profile!(
    IAVF,
    "iavf",
    0x8086,
    0x1889,
    ETHERNET,
    Net,
    None,
    ask(Number::Online, 1, 16, 1),
    2,
    hint(Cpu::Nth, false, 1, 0),
    &[one(Place::Front(0), "iavf-{pci}:mbx"), rest(1, 0, "iavf-{name}-TxRx-{}")]
);
// igb_init_queue_configuration(), igb_request_msix(): 8 queues, each with its transmit queue.
profile!(
    IGB,
    "igb",
    0x8086,
    0x1521,
    ETHERNET,
    Net,
    None,
    ask(Number::Online, 1, 8, 1),
    2,
    None,
    &[one(Place::Front(0), "{name}"), rest(1, 0, "{name}-TxRx-{}")]
);
// igc_init_queue_configuration(), igc_request_msix(): 4 queues.
profile!(
    IGC,
    "igc",
    0x8086,
    0x15f2,
    ETHERNET,
    Net,
    None,
    ask(Number::Online, 1, 4, 1),
    2,
    None,
    &[one(Place::Front(0), "{name}"), rest(1, 0, "{name}-TxRx-{}")]
);
// mlx5_irq_table_create(), irq_set_name(), comp_irq_request_pci().
profile!(
    MLX5,
    "mlx5_core",
    0x15b3,
    0x101d,
    ETHERNET,
    Net,
    None,
    ask(Number::Online, 1, ALL, 1),
    1,
    hint(Cpu::Local, true, 1, 0),
    &[one(Place::Front(0), "mlx5_async0@pci:{pci}"), rest(1, 0, "mlx5_comp{}@pci:{pci}")]
);
// bnxt_set_dflt_rings(), bnxt_setup_msix(), bnxt_request_irq().
profile!(
    BNXT,
    "bnxt_en",
    0x14e4,
    0x16d7,
    ETHERNET,
    Net,
    None,
    ask(Number::DefaultRss, 1, ALL, 0),
    1,
    hint(Cpu::Local, true, 0, 0),
    &[rest(0, 0, "{name}-TxRx-{}")]
);
// tg3_irq_count(), tg3_enable_msix(), tg3_request_irq(): 4 receive queues and one transmit queue, which has
// the vector of the link.
profile!(
    TG3,
    "tg3",
    0x14e4,
    0x165f,
    ETHERNET,
    Net,
    None,
    ask(Number::DefaultRss, 1, 4, 1),
    1,
    None,
    &[one(Place::Front(0), "{name}-tx-0"), rest(1, 0, "{name}-rx-{1}")]
);
// ena_enable_msix(), ena_setup_mgmnt_intr(), ena_setup_io_intr(): 128 queues.
profile!(
    ENA,
    "ena",
    0x1d0f,
    0xec20,
    ETHERNET,
    Net,
    None,
    ask(Number::Online, 1, 128, 1),
    2,
    hint(Cpu::Management, true, 0, 0),
    &[one(Place::Front(0), "ena-mgmnt@pci:{pci}"), rest(1, 0, "{name}-Tx-Rx-{}")]
);
// gve_alloc_notify_blocks(): a block for each queue in either direction, and the last one for the rest.
profile!(
    GVE,
    "gve",
    0x1ae0,
    0x0042,
    ETHERNET,
    Net,
    None,
    ask(Number::Online, 2, ALL, 1),
    3,
    hint(Cpu::IndexOfHalf, true, 0, 1),
    &[one(Place::Back(1), "gve-mgmnt@pci:{pci}"), rest(0, 1, "gve-ntfy-blk{}@pci:{pci}")]
);
// wx_acquire_msix_vectors(), txgbe_request_queue_irqs(): the network driver whose queues the kernel manages.
profile!(
    TXGBE,
    "txgbe",
    0x8088,
    0x1001,
    ETHERNET,
    Net,
    spread(0, 1),
    ask(Number::Online, 1, 63, 1),
    2,
    None,
    &[rest(0, 1, "{name}-TxRx-{}"), one(Place::Back(1), "{name}")]
);

// Storage.

// mpi3mr_setup_isr(), mpi3mr_request_irq(): as many as CPUs and one for the administration.
profile!(
    MPI3MR,
    "mpi3mr",
    0x1000,
    0x00a5,
    SAS,
    Own,
    spread(1, 0),
    ask(Number::Online, 1, ALL, 1),
    1,
    None,
    &[rest(0, 0, "mpi3mr{name}-msix{}")]
);
// _base_enable_msix(), _base_alloc_irq_vectors(), _base_request_irq().
profile!(
    MPT3SAS,
    "mpt3sas",
    0x1000,
    0x0097,
    SAS,
    Own,
    spread(0, 0),
    ask(Number::Online, 1, ALL, 0),
    1,
    None,
    &[rest(0, 0, "mpt3sas{name}-msix{}")]
);
// megasas_alloc_irq_vectors(), megasas_setup_irqs_msix(): low_latency_index_start is 1.
profile!(
    MEGARAID_SAS,
    "megaraid_sas",
    0x1000,
    0x005d,
    RAID,
    ScsiHost,
    spread(1, 0),
    ask(Number::Online, 1, 127, 1),
    1,
    None,
    &[rest(0, 0, "megasas{name}-msix{}")]
);
// pqi_calculate_queue_resources(), pqi_enable_msix_interrupts(), pqi_request_irqs(): 64 queue groups.
profile!(
    SMARTPQI,
    "smartpqi",
    0x9005,
    0x028f,
    RAID,
    ScsiHost,
    spread(0, 0),
    ask(Number::Online, 1, 64, 0),
    1,
    None,
    &[rest(0, 0, "smartpqi")]
);
// hpsa_interrupt_mode(), hpsa_request_irqs(): MAX_REPLY_QUEUES.
profile!(
    HPSA,
    "hpsa",
    0x103c,
    0x3239,
    RAID,
    Own,
    spread(0, 0),
    ask(Number::Possible, 1, 64, 0),
    1,
    None,
    &[rest(0, 0, "hpsa{name}-msix{}")]
);
// qla24xx_enable_msix(), qla25xx_request_irq().
profile!(
    QLA2XXX,
    "qla2xxx",
    0x1077,
    0x2261,
    FIBRE_CHANNEL,
    ScsiHost,
    spread(2, 0),
    ask(Number::Online, 1, ALL, 2),
    2,
    None,
    &[
        one(Place::Front(0), "qla2xxx{name}_default"),
        one(Place::Front(1), "qla2xxx{name}_rsp_q"),
        rest(2, 0, "qla2xxx{name}_qpair{1}")
    ]
);
// lpfc_sli4_enable_msix() with irq_chann_mode NORMAL_MODE: cfg_irq_chann is num_present_cpu.
profile!(
    LPFC,
    "lpfc",
    0x10df,
    0xe300,
    FIBRE_CHANNEL,
    ScsiHost,
    spread(0, 0),
    ask(Number::Present, 1, 256, 0),
    1,
    None,
    &[rest(0, 0, "lpfc:{}")]
);
// pm8001_setup_msix(), pm8001_request_msix(): PM8001_MAX_MSIX_VEC.
profile!(
    PM80XX,
    "pm80xx",
    0x11f8,
    0x8070,
    SAS,
    Own,
    spread(1, 0),
    ask(Number::Fixed(64), 1, ALL, 0),
    2,
    None,
    &[rest(0, 0, "pm80xx{name}-{}")]
);
// csio_enable_msix(), csio_request_irqs(): one set per port, and two messages before them.
profile!(
    CSIOSTOR,
    "csiostor",
    0x1425,
    0x5600,
    FIBRE_CHANNEL,
    ScsiHost,
    Some(Spread { pre: 2, post: 0, sets: Sets::Equal(4) }),
    ask(Number::Online, 4, ALL, 2),
    3,
    None,
    &[
        one(Place::Front(0), "csio-{bus}-nondata"),
        one(Place::Front(1), "csio-{bus}-fwevt"),
        rest(2, 0, "csio-{bus}-scsi{}")
    ]
);
// aac_define_int_mode(), aac_acquire_irq(): not spread, AAC_MAX_MSIX.
profile!(
    AACRAID,
    "aacraid",
    0x9005,
    0x028d,
    RAID,
    Own,
    None,
    ask(Number::Online, 1, 32, 0),
    2,
    None,
    &[rest(0, 0, "aacraid")]
);
// ahci_init_irq(), ata_host_activate(): one message unless each port has one.
profile!(
    AHCI,
    "ahci",
    0x8086,
    0xa182,
    0x01_0601,
    ScsiHost,
    None,
    ask(Number::Fixed(1), 1, ALL, 0),
    1,
    None,
    &[one(Place::Front(0), "ahci[{pci}]")]
);

// Others.

// xhci_try_enable_msi(): more messages than it requests.
profile!(
    XHCI,
    "xhci_hcd",
    0x8086,
    0xa1af,
    0x0c_0330,
    Own,
    None,
    ask(Number::Online, 1, ALL, 1),
    1,
    None,
    &[one(Place::Front(0), "xhci_hcd")]
);
// pcie_port_enable_irq_vec(): as many as the highest message number that its services use.
profile!(
    PCIEPORT,
    "pcieport",
    0x8086,
    0x2030,
    0x06_0400,
    Own,
    None,
    ask(Number::Fixed(1), 1, ALL, 0),
    1,
    None,
    &[one(Place::Front(0), "PCIe PME, aerdrv")]
);
// ioat_dma_setup_interrupts(): one message per channel, of which a device of today has one.
profile!(
    IOATDMA,
    "ioatdma",
    0x8086,
    0x0b00,
    0x08_8000,
    Own,
    None,
    ask(Number::Fixed(1), 1, ALL, 0),
    1,
    None,
    &[one(Place::Front(0), "ioat-msix")]
);

// What a machine file describes with its own numbers.
profile!(
    GENERIC,
    "generic",
    0x1b36,
    0x0000,
    SCSI,
    Own,
    None,
    ask(Number::Fixed(1), 1, ALL, 0),
    1,
    None,
    &[rest(0, 0, "generic{name}-{}")]
);

/// All of them. `generic` is the last one.
pub static PROFILES: [&Profile; 27] = [
    &AACRAID,
    &AHCI,
    &BNXT,
    &CSIOSTOR,
    &ENA,
    &GVE,
    &HPSA,
    &I40E,
    &IAVF,
    &ICE,
    &IGB,
    &IGC,
    &IOATDMA,
    &IXGBE,
    &LPFC,
    &MEGARAID_SAS,
    &MLX5,
    &MPI3MR,
    &MPT3SAS,
    &PCIEPORT,
    &PM80XX,
    &QLA2XXX,
    &SMARTPQI,
    &TG3,
    &TXGBE,
    &XHCI,
    &GENERIC,
];
