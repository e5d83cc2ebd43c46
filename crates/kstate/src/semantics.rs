//! What differs between kernels, as named behaviours.
//!
//! [`Semantics::of`] is the only place that looks at a version. Behaviour reads the fields; setting
//! one is the user's experiment.

/// The kernels that are modelled whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum KernelVersion {
    /// 5.4.0.
    #[default]
    V5_4,
    /// 6.12.117.
    V6_12,
}

impl KernelVersion {
    /// Both, oldest first.
    pub const ALL: [Self; 2] = [Self::V5_4, Self::V6_12];

    /// The name used in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V5_4 => "v5.4",
            Self::V6_12 => "v6.12",
        }
    }

    /// The version with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.name() == name)
    }
}

macro_rules! choice {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
    )*};
}

choice! {
    /// How CPUs are spread over vectors.
    Spread {
        /// `irq_build_affinity_masks()` inside kernel/irq/affinity.c: vectors are dealt to CPUs.
        #[default]
        IrqBuildAffinityMasks,
        /// `group_cpus_evenly()` in lib/group_cpus.c, split out in 6.3 (f7b3ea8cf72f).
        GroupCpusEvenly,
    }
    /// How the old vector of a moved interrupt is freed.
    VectorCleanup {
        /// By `IRQ_MOVE_CLEANUP_VECTOR`, sent to the old CPU.
        #[default]
        Ipi,
        /// By a timer on the old CPU, since 6.6 (bdc1dad299bb).
        Timer,
    }
    /// Where MSI interrupts are allocated.
    MsiDomains {
        /// One PCI/MSI domain for all devices.
        #[default]
        Global,
        /// One domain per device, since 6.2 (15c72f824b32).
        PerDevice,
    }
}

/// The behaviours that differ. Each field names its C function and the change.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Semantics {
    /// The kernel the other fields were taken from.
    pub version: KernelVersion,
    /// `irq_create_affinity_masks()`, kernel/irq/affinity.c.
    pub spread: Spread,
    /// `send_cleanup_vector()` and `vector_schedule_cleanup()`, arch/x86/kernel/apic/vector.c.
    pub vector_cleanup: VectorCleanup,
    /// `pci_msi_setup_msi_irqs()`, drivers/pci/msi.
    pub msi_domains: MsiDomains,
    /// `FIRST_SYSTEM_VECTOR`, arch/x86/include/asm/irq_vectors.h: 0xec, and 0xeb in
    /// 6.12, where `POSTED_MSI_NOTIFICATION_VECTOR` lies below the others.
    pub first_system_vector: u32,
    /// `irq_matrix_allocated()`, kernel/irq/matrix.c: 5.4 returns `cm->allocated`, 6.12
    /// subtracts `cm->managed_allocated`.
    pub matrix_allocated_counts_managed: bool,
}

impl Semantics {
    /// What `version` does.
    pub fn of(version: KernelVersion) -> Self {
        match version {
            KernelVersion::V5_4 => Self {
                version,
                spread: Spread::IrqBuildAffinityMasks,
                vector_cleanup: VectorCleanup::Ipi,
                msi_domains: MsiDomains::Global,
                first_system_vector: 0xec,
                matrix_allocated_counts_managed: true,
            },
            KernelVersion::V6_12 => Self {
                version,
                spread: Spread::GroupCpusEvenly,
                vector_cleanup: VectorCleanup::Timer,
                msi_domains: MsiDomains::PerDevice,
                first_system_vector: 0xeb,
                matrix_allocated_counts_managed: false,
            },
        }
    }
}
