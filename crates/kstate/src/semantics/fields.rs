//! The kernels, and all fields of [`Semantics`].
//!
//! An entry reads: what the field decides, `name: type`, the C function, its file and what changed
//! it, then its values as rows, oldest first: who has it, the value, what the kernel then does. A row
//! belongs to a modelled kernel or, in quotes, to a release that is not modelled. A kernel that says
//! nothing does what the modelled kernel before it does. A change is dated only where that is certain.

kernels! {
    /// 5.4.0.
    V5_4 "v5.4",
    /// 6.12.117.
    V6_12 "v6.12",
    /// 7.3.4.
    V7_3 "v7.3",
}

choice! {
    /// How CPUs are spread over vectors.
    Spread {
        /// `irq_build_affinity_masks()` inside kernel/irq/affinity.c.
        #[default]
        IrqBuildAffinityMasks,
        /// `group_cpus_evenly()` in lib/group_cpus.c.
        GroupCpusEvenly,
    }
    /// How the old vector of a moved interrupt is freed.
    VectorCleanup {
        /// By `IRQ_MOVE_CLEANUP_VECTOR`, sent to the old CPU.
        #[default]
        Ipi,
        /// By a timer on the old CPU.
        Timer,
    }
    /// Where MSI interrupts are allocated.
    MsiDomains {
        /// One PCI/MSI domain for all devices.
        #[default]
        Global,
        /// One domain per device.
        PerDevice,
    }
    /// How a message that is not remapped moves to another CPU.
    MsiAffinity {
        /// Address and data are written over the old ones.
        #[default]
        OneWrite,
        /// By way of the new vector on the old CPU, if the interrupt may be reserved.
        StagedIfReservable,
        /// By way of the new vector on the old CPU, if the message cannot be masked.
        StagedIfNotMaskable,
    }
    /// Which CPU that is not isolated has to be online for another one to go.
    HousekeepingCheck {
        /// None.
        #[default]
        None,
        /// One beside the CPU that goes, in `cpu_down_maps_locked()`.
        Other,
        /// Any, the CPU that goes included, in `_cpu_down()`.
        Any,
    }
    /// How the NVMe driver brings a controller up.
    NvmeProbe {
        /// `nvme_probe()` starts `nvme_reset_work()`, which does everything.
        #[default]
        ByResetWork,
        /// `nvme_probe()` does it itself and waits for the namespaces.
        Synchronous,
    }
    /// How CPUs without an interrupt affinity are mapped to hardware queues.
    BlkMap {
        /// `blk_mq_map_queues()` deals queues to CPUs in order and keeps SMT siblings together.
        #[default]
        Sequential,
        /// `blk_mq_map_queues()` asks `group_cpus_evenly()`.
        GroupCpusEvenly,
    }
}

// The fields, handed to `$declare` with `$more` behind them: a test adds one and a kernel of its own.
macro_rules! fields {
    ($declare:ident! { $($more:tt)* }) => { $declare! {
    // ---- what the firmware and the configuration give ----

    /// Whether CPUs that the MADT lists as not enabled become possible CPUs.
    madt_absent_cpus_possible: bool = "acpi_is_processor_usable()", "arch/x86/kernel/acpi/boot.c" {
        V5_4 on "every CPU that is listed may be plugged in later",
        V6_12 off "on bare hardware only CPUs that are there are possible",
    }
    /// How the CPUs of the firmware's list are counted, and what possible_cpus= does.
    topology_counts_apics: bool =
        "topology_init_possible_cpus()", "arch/x86/kernel/cpu/topology.c", "6.9" {
        V5_4 off "prefill_possible_map() counts CPUs; possible_cpus= says how many there can be",
        V6_12 on "every APIC is registered; possible_cpus= is a limit",
    }
    /// What cpu0_hotplug on the command line does.
    cpu0_hotplug: bool = "arch_register_cpu()", "arch/x86/kernel/topology.c", "6.5" {
        V5_4 on "the boot CPU can be taken down, unless a line of the 8259 is in use",
        V6_12 off "nothing",
    }
    /// Whether a CPU can be left out by its APIC ID.
    disable_cpu_apicid: bool = "apic_set_disabled_cpu_apicid()", "arch/x86/kernel/apic/apic.c", "6.9" {
        V5_4 on "by disable_cpu_apicid=, for kernels that run after a crash",
        V6_12 off "there is no such parameter",
    }
    /// Whether disableapic is a word of the command line.
    disableapic: bool = "setup_disableapic()", "arch/x86/kernel/apic/apic.c" {
        V5_4 on "it switches the local APICs off, as nolapic does",
        V7_3 off "nolapic alone does",
    }
    /// Whether mitigations= can leave out a kind of attack.
    mitigations_attack_vectors: bool = "mitigations_parse_cmdline()", "kernel/cpu.c" {
        V5_4 off "off, auto and auto,nosmt are all there is",
        V7_3 on "behind them may stand words such as no_user_user",
    }
    /// Whether the kernel says which words of the command line nobody took.
    prints_unknown_bootoptions: bool = "print_unknown_bootoptions()", "init/main.c", "5.14 (86d1919a4fb0)" {
        V5_4 off "it does not",
        V6_12 on "it logs them",
    }
    /// Whether the ACPI interrupt is handled in a thread.
    acpi_irq_threaded: bool = "acpi_os_install_interrupt_handler()", "drivers/acpi/osl.c" {
        V5_4 off "in hard interrupt context",
        V6_12 on "in a thread, with the line masked until it is done (IRQF_ONESHOT)",
    }
    /// The lowest vector of the system: device vectors lie below it.
    first_system_vector: u32 =
        "FIRST_SYSTEM_VECTOR", "arch/x86/include/asm/irq_vectors.h", "between 6.1 and 6.12" {
        V5_4 ("0xec" 0xec) "the local timer's",
        V6_12 ("0xeb" 0xeb) "that of posted MSIs, one less for devices",
    }
    /// Whether /sys tells which CPUs share an L2 cache, by the kernel's own masks.
    cluster_sysfs: bool = "topology_cluster_id()", "arch/x86/include/asm/topology.h", "5.16 (66558b730f25)" {
        V5_4 off "only below cache/",
        V6_12 on "topology/cluster_id, cluster_cpus and cluster_cpus_list of a CPU",
    }
    /// Whether there is a thermal vector: a gate and a row of /proc/interrupts.
    thermal_vector: bool =
        "CONFIG_X86_THERMAL_VECTOR", "arch/x86/kernel/irq.c", "the configuration differs, not the code" {
        V5_4 off "no gate and no row",
        V6_12 on "vector 0xfa and the row TRM",
    }
    /// Whether there are posted-interrupt gates and their rows of /proc/interrupts.
    kvm_vectors: bool =
        "idt_setup_apic_and_irq_gates()", "arch/x86/kernel/idt.c" {
        V5_4 on "CONFIG_HAVE_KVM: vectors 0xf0 to 0xf2 and the rows PIN, NPI and PIW",
        V6_12 off "CONFIG_KVM: not without KVM itself",
    }
    /// Which gates count as system vectors, as debugfs shows them.
    idt_fills_system_vectors: bool =
        "idt_setup_apic_and_irq_gates()", "arch/x86/kernel/idt.c" {
        V5_4 on "every vector from the first system vector up to 255",
        V6_12 off "only vectors that have a handler",
    }
    /// Whether exception 21, control protection, has a handler.
    idt_has_control_protection: bool = "def_idts", "arch/x86/kernel/idt.c" {
        V5_4 off "it has none",
        V6_12 on "it has one and counts as a system vector",
    }
    /// Whether DMA remapping is on without a word on the command line.
    intel_iommu_default_on: bool =
        "CONFIG_INTEL_IOMMU_DEFAULT_ON", "drivers/iommu/intel/iommu.c",
        "the configuration differs, not the code" {
        V5_4 off "off, and the remapping unit gets no interrupt from it",
        V6_12 on "on, as Debian builds it",
    }

    /// Whether `intel_iommu=` counts as taken.
    intel_iommu_setup_handles: bool =
        "intel_iommu_setup()", "drivers/iommu/intel/iommu.c", "5.18 (5240aed2cd25)" {
        V5_4 off "it is obeyed, and handed to init all the same",
        V6_12 on "it is, and options that are unknown are logged",
    }

    // ---- spreading ----

    /// How CPUs are spread over the vectors of a device.
    spread: Spread = "irq_create_affinity_masks()", "kernel/irq/affinity.c", "6.3 (f7b3ea8cf72f)" {
        V5_4 ("irq-build-affinity-masks" Spread::IrqBuildAffinityMasks) "vectors are dealt to CPUs, within each node",
        V6_12 ("group-cpus-evenly" Spread::GroupCpusEvenly) "CPUs are put into groups, which the block layer uses too",
    }
    /// Whether vectors are spread only while no CPU comes or goes.
    spread_takes_hotplug_lock: bool = "group_cpus_evenly()", "lib/group_cpus.c", "6.7 (0263f92fadbb)" {
        V5_4 on "cpus_read_lock(): who spreads waits for a CPU that comes or goes, even where that CPU waits for it",
        V6_12 off "the present CPUs are copied, and nobody waits",
    }
    /// How the vectors of a device are divided among nodes.
    nodes_share_by_cpus: bool = "alloc_nodes_vectors()", "kernel/irq/affinity.c", "5.4 (b1a5a73e64e9)" {
        "5.3" off "evenly, in the order of their numbers, and a small node keeps what it has CPUs for",
        V5_4 on "by the number of their CPUs, the smallest node first",
    }
    /// Whether CPUs that share an L2 cache are kept together.
    spread_by_cluster: bool = "__group_cpus_evenly()", "lib/group_cpus.c", "7.0 (89802ca36c96)" {
        V5_4 off "the CPUs of a node are dealt in the order of their numbers",
        V7_3 on "groups go to the clusters of a node first, unless the clusters are more; sorting permutes clusters of one size",
    }
    /// What is said of groups that got no CPU.
    spread_reports_masks: bool = "group_cpus_evenly()", "lib/group_cpus.c" {
        V5_4 off "a warning, and their masks are empty",
        V7_3 on "there are fewer masks: a vector without one has the default affinity, a queue shares one",
    }
    /// Which of equal elements comes first after sorting, for instance of nodes with as many CPUs.
    sort_extracts_two: bool = "sort()", "lib/sort.c" {
        V5_4 off "the heap gives up its largest element and sifts equal ones to the left",
        V6_12 on "the heap gives up its two largest elements and sifts equal ones to the right",
    }

    // ---- the vector matrix ----

    /// Whether managed vectors count as vectors to move when a CPU goes.
    matrix_allocated_counts_managed: bool =
        "irq_matrix_allocated()", "kernel/irq/matrix.c", "6.7 (a0b0bad10587)" {
        V5_4 on "they count, and a CPU may be refused to go for want of vectors that nobody needs",
        V6_12 off "they do not count: they are shut down or have a reservation elsewhere",
    }
    /// When the reservation of a vector warns that there are more reservations than vectors.
    matrix_reserve_compares_equal: bool =
        "irq_matrix_reserve()", "kernel/irq/matrix.c", "5.13 (2c6b02185cc6)" {
        V5_4 off "when the reservations become more than the available vectors",
        V6_12 on "when the counter equals what is available",
    }
    /// What an allocation from no CPU answers.
    matrix_alloc_refuses_empty_mask: bool =
        "irq_matrix_alloc()", "kernel/irq/matrix.c", "5.9 (784a0830377d)" {
        V5_4 off "ENOSPC: no CPU was found",
        V6_12 on "EINVAL",
    }
    /// What freeing a vector does that is not allocated.
    matrix_free_checks_bit: bool =
        "irq_matrix_free()", "kernel/irq/matrix.c", "5.13 (c93a5e20c3c2)" {
        V5_4 off "counts it as freed, so that the counters may wrap",
        V6_12 on "warns and leaves the counters alone",
    }
    /// Whether a CPU's available vectors are counted while it is offline.
    matrix_counts_offline: bool =
        "irq_matrix_reserve_managed()", "kernel/irq/matrix.c", "nothing did so far" {
        V5_4 off "not when managed vectors come and go then, and irq_matrix_online() does not make up for it",
        "no release" on "they are",
    }

    // ---- vectors ----

    /// Whether there is a flat logical APIC driver for up to 8 CPUs.
    flat_apic: bool = "apic_drivers()", "arch/x86/kernel/apic/apic_flat_64.c" {
        V5_4 on "up to 8 CPUs are addressed by a bit each, in logical mode",
        V6_12 off "CPUs are always addressed by APIC ID, in physical mode",
    }
    /// How a change of the APIC driver is logged.
    apic_install_driver: bool = "apic_install_driver()", "arch/x86/kernel/apic/init.c" {
        V5_4 off "Switched APIC routing to NAME., by default_setup_apic_routing()",
        V6_12 on "APIC: Switched APIC routing to: NAME",
    }
    /// What frees the old vector of an interrupt that has moved.
    vector_cleanup: VectorCleanup =
        "irq_complete_move()", "arch/x86/kernel/apic/vector.c", "6.6 (bdc1dad299bb)" {
        V5_4 ("ipi" VectorCleanup::Ipi) "IRQ_MOVE_CLEANUP_VECTOR, sent to the old CPU",
        V6_12 ("timer" VectorCleanup::Timer) "a timer on the old CPU, and no vector is set aside for it",
    }
    /// What irq_complete_move() finds where the entry code leaves the vector that arrived.
    irq_regs_lose_vector: bool =
        "irq_complete_move()", "arch/x86/kernel/apic/vector.c", "5.9 (e027fffff799)" {
        V5_4 off "the vector, or it does not look: the first interrupt on the new vector ends a move",
        "5.8 (633260fa143)" on "-1, which matches no vector: a move never ends",
    }
    /// What activating an interrupt does that was given its vector when it was allocated.
    activate_assigns_fixed: bool = "x86_vector_activate()", "arch/x86/kernel/apic/vector.c" {
        V5_4 off "nothing",
        V6_12 on "asks the allocator, which finds that the vector can stay",
    }
    /// Where a vector is looked for when the affinity has no CPU of the device's node.
    any_vector_node_last: bool =
        "assign_irq_vector_any_locked()", "arch/x86/kernel/apic/vector.c", "5.10 (190113b4c653)" {
        V5_4 off "on the node first, which breaks the affinity for nothing",
        V6_12 on "within the affinity first, on the node last",
    }
    /// What the vector domain says to a new affinity of an interrupt that is not active.
    apic_affinity_needs_active: bool =
        "apic_set_affinity()", "arch/x86/kernel/apic/vector.c", "5.8 (baedb87d1b53)" {
        V5_4 off "accepts it and does nothing: activation will find a vector",
        V6_12 on "warns and fails: the core is to keep such affinities to itself",
    }
    /// Whether vector interrupts ask the core to keep an affinity until they are activated.
    affinity_on_activate: bool =
        "x86_vector_alloc_irqs()", "arch/x86/kernel/apic/vector.c", "5.8 (f0c7baca1800)" {
        V5_4 off "they do not",
        V6_12 on "IRQD_AFFINITY_ON_ACTIVATE is set, and IRQD_HANDLE_ENFORCE_IRQCTX",
    }
    /// Whether moving a managed interrupt off a CPU that stays warns.
    warns_moved_managed: bool =
        "free_moved_vector()", "arch/x86/kernel/apic/vector.c", "5.6 (469ff207b4c4)" {
        V5_4 on "it warns: that was never to happen",
        V6_12 off "it does not: CPU isolation made it legal",
    }
    /// Who gets the legacy vectors when there is no IO-APIC.
    legacy_vectors_follow_ioapic: bool =
        "lapic_update_legacy_vectors()", "arch/x86/kernel/apic/vector.c" {
        V5_4 off "they stay allocated on the boot CPU",
        V6_12 on "they are set aside for the system",
    }
    /// How a device's vector is handled.
    common_interrupt: bool = "common_interrupt()", "arch/x86/kernel/irq.c" {
        V5_4 off "by do_IRQ()",
        V6_12 on "by common_interrupt()",
    }
    /// What an interrupt does whose vector had no descriptor when it looked.
    reevaluates_vector: bool = "call_irq_handler()", "arch/x86/kernel/irq.c", "6.17 (ce0b5eedcb75), in 6.12.42" {
        V5_4 off "forgets the vector, also one that is being set up meanwhile",
        V6_12 on "looks a second time, under the vector lock, before it gives up",
    }

    /// How the vector of an interrupt is changed and given back.
    chip_data_update: bool = "chip_data_update()", "arch/x86/kernel/apic/vector.c", "6.18" {
        V5_4 off "by apic_update_vector() and then apic_update_irq_cfg(); it goes back to the matrix",
        V7_3 on "by chip_data_update(), which does both; apic_free_vector() gives it back",
    }

    // ---- 8259 and IO-APIC ----

    /// Whether the 8259's interrupts are marked as level-triggered.
    legacy_irqs_level: bool = "init_ISA_irqs()", "arch/x86/kernel/irqinit.c" {
        V5_4 off "they are not",
        V6_12 on "IRQ_LEVEL is set",
    }
    /// What asking for the interrupt of a pin does that the firmware wired to IRQ 2.
    isa_irq2_refused: bool = "mp_map_pin_to_irq()", "arch/x86/kernel/apic/io_apic.c", "5.12 (a501b048a95b)" {
        V5_4 off "maps it, although its vector belongs to the cascade",
        V6_12 on "EINVAL, there and in x86_vector_alloc_irqs()",
    }
    /// Where the IO-APIC finds destination and vector of an entry, and what its domain is called.
    ioapic_entry_from_msi: bool = "ioapic_configure_entry()", "arch/x86/kernel/apic/io_apic.c" {
        V5_4 off "in struct irq_cfg; the remapping driver writes the entry itself",
        V6_12 on "in the message that the parent domain composes, by fill_msi_msg() with remapping",
    }
    /// What moving a level-triggered interrupt does when the core has masked it.
    ioapic_move_keeps_masked: bool = "ioapic_finish_move()", "arch/x86/kernel/apic/io_apic.c" {
        V5_4 off "unmasks it",
        V6_12 on "leaves it masked",
    }
    /// Whether the chips want the affinity set before the interrupt starts.
    chips_set_affinity_pre_startup: bool =
        "x86_init_dev_msi_info()", "arch/x86/kernel/apic/msi.c", "5.14 (826da771291f, ff363f480e59)" {
        V5_4 off "it is set after the interrupt was unmasked",
        V6_12 on "IRQCHIP_AFFINITY_PRE_STARTUP: before",
    }

    // ---- descriptors and domains ----

    /// Whether an affinity that comes with the allocation counts as set.
    alloc_descs_sets_affinity_set: bool =
        "alloc_descs()", "kernel/irq/irqdesc.c", "6.11 (edbbaae42a56)" {
        V5_4 off "it does not, and startup falls back to the default affinity",
        V6_12 on "IRQD_AFFINITY_SET",
    }
    /// Whether a descriptor notes that it is in sysfs.
    irqs_sysfs: bool = "irq_sysfs_add()", "kernel/irq/irqdesc.c" {
        V5_4 off "it does not",
        V6_12 on "IRQS_SYSFS, which debugfs shows in istate",
    }
    /// How many interrupts there can be.
    max_sparse_irqs: u32 = "irq_expand_nr_irqs()", "kernel/irq/irqdesc.c" {
        V5_4 ("12548" 12_548) "IRQ_BITMAP_BITS: a bitmap of NR_IRQS and 8196 more",
        V6_12 ("2147483647" i32::MAX as u32) "MAX_SPARSE_IRQS: as many as an int counts",
    }
    /// How the limit of interrupt numbers is read.
    nr_irqs_private: bool = "irq_get_nr_irqs()", "kernel/irq/irqdesc.c" {
        V5_4 off "it is the variable nr_irqs",
        V7_3 on "by irq_get_nr_irqs(): the variable is private, and irq_set_nr_irqs() adjusts columns of /proc",
    }
    /// How a domain is created.
    irq_domain_instantiate: bool = "irq_domain_create_hierarchy()", "kernel/irq/irqdomain.c" {
        V5_4 off "by __irq_domain_add(), and completed by the caller",
        V6_12 on "by irq_domain_instantiate(), from a description",
    }
    /// What allocating from a domain locks.
    irq_domain_root_lock: bool = "__irq_domain_alloc_irqs()", "kernel/irq/irqdomain.c" {
        V5_4 off "all domains",
        V6_12 on "the root domain; the work is in irq_domain_alloc_irqs_locked()",
    }
    /// How a domain is told to free several interrupts.
    irq_domain_frees_singly: bool = "irq_domain_free_irqs_hierarchy()", "kernel/irq/irqdomain.c" {
        V5_4 off "at once",
        V6_12 on "one at a time",
    }
    /// The flag of a domain whose name was allocated, as debugfs shows it.
    irq_domain_name_allocated: u32 = "IRQ_DOMAIN_NAME_ALLOCATED", "include/linux/irqdomain.h" {
        V5_4 ("0x40" 1 << 6) "bit 6",
        V6_12 ("0x02" 1 << 1) "bit 1",
    }
    /// Whether debugfs writes out the flags of domains and the newer flags of interrupts.
    debugfs_names_flags: bool = "irq_domain_debug_show_one()", "kernel/irq/irqdomain.c" {
        V5_4 off "the number alone",
        V6_12 on "the number and the names of its bits",
    }
    /// Whether there is a bus token for messages of the Freescale management complex.
    domain_bus_fsl_mc_msi: bool = "enum irq_domain_bus_token", "include/linux/irqdomain_defs.h" {
        V5_4 on "there is, and a function's own domain is called after the token 11 (MSI) or 12 (MSI-X)",
        V7_3 off "there is none, and the tokens behind it are one less",
    }
    /// Whether debugfs shows the message that a device was given.
    debugfs_shows_message: bool = "msi_domain_debug_show()", "kernel/irq/msi.c", "6.15" {
        V5_4 off "it does not",
        V7_3 on "address and data, below the MSI domain",
    }

    // ---- MSI ----

    /// Which domain the message interrupts of a PCI function come from.
    msi_domains: MsiDomains = "pci_msi_setup_msi_irqs()", "drivers/pci/msi.c", "6.2 (15c72f824b32)" {
        V5_4 ("global" MsiDomains::Global) "one for all functions",
        V6_12 ("per-device" MsiDomains::PerDevice) "the function's own, created when it is first needed",
    }
    /// How a message that is not remapped moves to another CPU and another vector.
    msi_affinity: MsiAffinity =
        "msi_set_affinity()", "arch/x86/kernel/apic/msi.c", "5.6 (6f1a4891a592), 6.7 (b56ebe7c896d)" {
        V5_4 ("one-write" MsiAffinity::OneWrite) "msi_domain_set_affinity() writes address and data over the old ones",
        "5.6 (6f1a4891a592)" ("staged-if-not-maskable" MsiAffinity::StagedIfNotMaskable) "by way of the old CPU if the message cannot be masked",
        V6_12 ("staged-if-reservable" MsiAffinity::StagedIfReservable) "by way of the old CPU if IRQD_CAN_RESERVE is set; a message that cannot be masked never has it",
    }
    /// When the message domain of a device is prepared.
    msi_prepared_with_domain: bool = "msi_create_device_irq_domain()", "kernel/irq/msi.c", "6.16" {
        V5_4 off "with each allocation, by msi_domain_prepare_irqs()",
        V7_3 on "when it is created; populate_alloc_info() copies that, and msi_teardown ends it",
    }
    /// Whether setting up messages is an attempt of its own, whose failure its caller cleans up.
    msi_setup_split: bool = "msix_setup_interrupts()", "drivers/pci/msi/msi.c", "6.15" {
        V5_4 off "it is part of msix_setup_interrupts() and msi_capability_init()",
        V7_3 on "it is __msix_setup_interrupts() and __msi_capability_init()",
    }
    /// What starts and stops a PCI message interrupt.
    pci_msi_startup_callbacks: bool =
        "pci_irq_startup_msix()", "drivers/pci/msi/irqdomain.c", "6.18 (54f45a30c0d0)" {
        V5_4 off "irq_enable() unmasks it and __irq_disable() masks it",
        V7_3 on "callbacks of the chip: pci_irq_startup_msix(), pci_irq_shutdown_msix() and those of MSI",
    }
    /// Which of several chips that can composes the message.
    compose_msi_msg_outermost: bool = "irq_chip_compose_msi_msg()", "kernel/irq/chip.c" {
        V5_4 off "the innermost one",
        V6_12 on "the outermost one",
    }

    // ---- interrupt remapping ----

    /// How it is decided whether the host writes a remapping entry.
    ir_posted_flags: bool = "intel_ir_reconfigure_irte()", "drivers/iommu/intel/irq_remapping.c" {
        V5_4 off "by the entry's mode, on the spot",
        V6_12 on "by posted_msi and posted_vcpu, in __intel_ir_reconfigure_irte()",
    }
    /// How a blocked interrupt is reported.
    dmar_fault_hex: bool = "dmar_fault_do_one()", "drivers/iommu/intel/dmar.c" {
        V5_4 off "the index without 0x, the reason as a decimal number",
        V6_12 on "both with 0x",
    }
    /// Whether the report of a blocked interrupt names the PCI segment.
    dmar_fault_segment: bool = "dmar_fault_do_one()", "drivers/iommu/intel/dmar.c" {
        V5_4 off "bus, device and function",
        V7_3 on "the segment before them",
    }
    /// Which remapping units get their fault interrupt before the other CPUs are up.
    drhd_fault_per_node: bool =
        "enable_drhd_fault_handling()", "drivers/iommu/intel/dmar.c", "6.10 (d74169ceb0d2)" {
        V5_4 off "all",
        V6_12 on "those of the boot CPU's node; one without a node waits for init_dmars()",
    }

    // ---- requesting, freeing, resending ----

    /// Whether requesting an interrupt waits until its thread runs.
    irq_thread_ready: bool = "__setup_irq()", "kernel/irq/manage.c" {
        V5_4 off "it wakes the thread and goes on",
        V6_12 on "it waits until the thread has said irq_thread_set_ready()",
    }
    /// Whether a limit can be set for how long a handler may take.
    irqhandler_duration_check: bool =
        "irqhandler_duration_check_setup()", "kernel/irq/handle.c", "6.18 (673f1244b3d4)" {
        V5_4 off "there is no such parameter",
        V7_3 on "irqhandler.duration_warn_us=, in microseconds",
    }
    /// How the thread of a handler that did not ask for one runs it.
    forced_thread_calls_thread_fn: bool = "irq_forced_thread_fn()", "kernel/irq/manage.c" {
        V5_4 off "irq_forced_thread_fn() does it",
        V7_3 on "by irq_thread_fn(), with softirqs and interrupts off around it",
    }
    /// What IRQF_ONESHOT without a thread does.
    oneshot_without_thread_warns: bool = "__setup_irq()", "kernel/irq/manage.c", "7.0" {
        V5_4 off "nothing",
        V7_3 on "it warns, once: there is no thread for which the line could stay masked",
    }
    /// What the refusal of a threaded handler without IRQF_ONESHOT names.
    oneshot_error_names_device: bool = "__setup_irq()", "kernel/irq/manage.c" {
        V5_4 off "the interrupt",
        V6_12 on "the device and the interrupt",
    }
    /// What a command line with noirqdebug does to a line that is requested.
    noirqdebug_marks_lines: bool = "__setup_irq()", "kernel/irq/manage.c" {
        V5_4 off "nothing: handle_irq_event_percpu() looks at the option",
        V6_12 on "IRQ_NO_DEBUG is set, and shows in debugfs",
    }
    /// What freeing an interrupt waits for.
    free_irq_waits_for_threads: bool = "__free_irq()", "kernel/irq/manage.c" {
        V5_4 off "hard handlers and its own thread",
        V6_12 on "all handlers of the line, hard and threaded, in __synchronize_irq()",
    }
    /// Which interrupts are counted towards a line that nobody handles.
    note_interrupt_skips_clean: bool = "note_interrupt()", "kernel/irq/spurious.c" {
        V5_4 off "all",
        V6_12 on "those that come once one was not handled",
    }
    /// Who resends an interrupt that came while it could not be handled, and which are marked.
    resend_through_hierarchy: bool = "check_irq_resend()", "kernel/irq/resend.c" {
        V5_4 off "the outermost chip or the software; IRQS_REPLAY is set in any case",
        V6_12 on "also the chips below; IRQS_REPLAY is set when it worked",
    }

    /// In which order an edge or a line asks whether it may be handled.
    irq_can_handle: bool = "irq_can_handle_pm()", "kernel/irq/chip.c", "6.16, 6.17" {
        V5_4 off "an edge that finds its handler running has lost IRQS_REPLAY before irq_may_run() looks",
        V7_3 on "irq_can_handle_pm() looks first, and only what may be handled loses IRQS_REPLAY",
    }
    /// What an edge does that arrives on the new CPU of an interrupt which the old one still handles.
    edge_waits_for_old_cpu: bool = "handle_edge_irq()", "kernel/irq/chip.c", "6.17 (8d39d6ec4db5)" {
        V5_4 off "the new CPU only marks the edge as pending; the old CPU handles it, and can be kept busy for ever",
        V7_3 on "waits until the handler there is over, and handles it here",
    }

    // ---- affinity ----

    /// What an interrupt's thread does when the interrupt moves.
    set_affinity_wakes_thread: bool = "irq_set_thread_affinity()", "kernel/irq/manage.c" {
        V5_4 off "moves with the next interrupt",
        V6_12 on "is woken and moves at once",
    }
    /// Which CPUs the chip is given to choose from.
    set_affinity_online_only: bool =
        "irq_do_set_affinity()", "kernel/irq/manage.c", "5.19 (33de0aa4bae9)" {
        V5_4 off "all that were asked for; the chip sorts them out",
        V6_12 on "those that are online, and EINVAL when there is none",
    }
    /// Who says that an interrupt has to wait for its next occurrence to move.
    move_deferred_by_chip: bool = "irq_can_move_pcntxt()", "kernel/irq/internals.h", "6.14 (7d04319a05ab)" {
        V5_4 off "the interrupt: it has, unless IRQD_MOVE_PCNTXT is set, as remapping does",
        V7_3 on "its chip, by IRQCHIP_MOVE_DEFERRED: that of the IO-APIC and of messages that are not remapped",
    }
    /// What a new affinity of an interrupt does that is not activated.
    set_affinity_deactivated: bool =
        "irq_set_affinity_locked()", "kernel/irq/manage.c", "5.8 (baedb87d1b53)" {
        V5_4 off "waits for the next interrupt, or goes to the chip",
        V6_12 on "is kept where the chip asks for that, see affinity_on_activate",
    }
    /// How virtio leaves and takes back an affinity hint.
    affinity_hint_inline: bool =
        "irq_set_affinity_hint()", "include/linux/interrupt.h", "5.17 (65c7cdedeb30)" {
        V5_4 off "by irq_set_affinity_hint()",
        V6_12 on "by inline functions around __irq_apply_affinity_hint()",
    }
    /// Whether isolcpus=managed_irq, keeps managed interrupts away from isolated CPUs.
    housekeeping_managed_irq: bool =
        "housekeeping_isolcpus_setup()", "kernel/sched/isolation.c", "5.6 (11ea68f553e2)" {
        V5_4 off "the flag is unknown",
        V6_12 on "as long as a CPU of the affinity that is not isolated is online",
    }
    /// How many masks of housekeeping CPUs there are.
    housekeeping_mask_per_type: bool = "housekeeping_setup()", "kernel/sched/isolation.c", "5.18" {
        V5_4 off "one: a second isolcpus= or nohz_full= has to name the same CPUs",
        V6_12 on "one for each kind of work: only what is isolated already has to have the same",
    }
    /// What a flag of isolcpus= does that is unknown.
    isolcpus_skips_unknown_flags: bool =
        "housekeeping_isolcpus_setup()", "kernel/sched/isolation.c", "5.8 (3662daf02350)" {
        V5_4 off "the whole parameter is dropped",
        V6_12 on "it is skipped",
    }
    /// Whether the kernel can run CPUs without a tick.
    no_hz_full: bool =
        "housekeeping_setup()", "kernel/sched/isolation.c", "the configuration differs, not the code" {
        V5_4 off "not: nohz_full= and the flag nohz of isolcpus= are refused",
        "CONFIG_NO_HZ_FULL" on "it can, and unbound work leaves the CPUs of nohz_full=",
    }
    /// What nohz_full in /sys/devices/system/cpu says where no CPU is without a tick.
    nohz_full_null: bool = "print_cpus_nohz_full()", "drivers/base/cpu.c" {
        V5_4 on "(null), since there is no mask",
        V7_3 off "an empty line",
    }
    /// Which dies the number of a CPU's die counts.
    die_id_counts_all: bool = "topo_set_ids()", "arch/x86/kernel/cpu/topology_common.c" {
        V5_4 off "those of its package",
        V6_12 on "those of the machine",
    }
    /// What the flag nohz of isolcpus= keeps away from the CPUs.
    housekeeping_kernel_noise: bool = "housekeeping_isolcpus_setup()", "kernel/sched/isolation.c" {
        V5_4 off "the tick; nohz_full= also keeps away unbound work, timers, RCU and kernel threads",
        V7_3 on "all that nohz_full= does: there is one kind, HK_TYPE_KERNEL_NOISE",
    }
    /// Whether some CPU has to be left that neither nohz_full= nor isolcpus=domain, names.
    housekeeping_leaves_one_cpu: bool = "housekeeping_setup()", "kernel/sched/isolation.c" {
        V5_4 off "each has to leave one",
        V7_3 on "both together have to leave one that is present, or the second is ignored",
    }
    /// What writing a mask without online CPU to smp_affinity does.
    empty_affinity_reselects: bool = "irq_select_affinity_usr()", "kernel/irq/proc.c" {
        V5_4 on "the kernel chooses",
        V6_12 off "EINVAL",
    }
    /// What writing to smp_affinity of a managed interrupt answers.
    managed_affinity_eperm: bool =
        "write_irq_affinity()", "kernel/irq/proc.c", "between 6.1 and 6.12" {
        V5_4 off "EIO",
        V6_12 on "EPERM",
    }
    /// How far the CPUs in a written mask may go.
    cpumask_parse_nr_cpus: bool = "nr_cpumask_bits", "include/linux/cpumask.h" {
        V5_4 on "to NR_CPUS; those that cannot exist are dropped",
        V6_12 off "to nr_cpu_ids; others are EOVERFLOW or ERANGE",
    }

    /// Which CPUs of a list have a name instead of a number.
    cpulist_names_last: bool = "bitmap_parse_region()", "lib/bitmap-str.c" {
        V5_4 off "none",
        V6_12 on "N is the last one, and all is all of them",
    }
    /// From which end a mask of hexadecimal words is read, and with that what is taken for one.
    bitmap_parse_reverse: bool = "bitmap_parse()", "lib/bitmap-str.c", "5.7 (2d6261583be0)" {
        V5_4 off "from the first digit: zeros in front do not count, and every comma stands between two words",
        V6_12 on "from the last: each word counts, and commas and blanks may stand anywhere",
    }
    /// Which words a boolean may begin with.
    kstrtobool_true_false: bool = "kstrtobool()", "lib/kstrtox.c" {
        V5_4 off "y, n, 1, 0, on and of",
        V6_12 on "also t and f",
    }

    // ---- /proc ----

    /// What the mode of smp_affinity depends on.
    proc_mode_follows_affinity: bool = "register_irq_proc()", "kernel/irq/proc.c" {
        V5_4 off "nothing: root may always write",
        V6_12 on "on irq_can_set_affinity_usr()",
    }
    /// Which interrupts without a handler /proc/interrupts shows.
    proc_interrupts_needs_action: bool = "show_interrupts()", "kernel/irq/proc.c" {
        V5_4 off "those that were counted on an online CPU",
        V6_12 on "none",
    }
    /// How /proc/interrupts prints the hardware number.
    proc_hwirq_is_int: bool = "show_interrupts()", "kernel/irq/proc.c" {
        V5_4 on "as an int, which cuts off what does not fit",
        V6_12 off "as an unsigned long",
    }
    /// How the columns of /proc/interrupts are laid out.
    proc_interrupts_aligned: bool = "irq_seq_show()", "kernel/irq/proc.c", "7.2 (171cc0d9eed1)" {
        V5_4 off "three columns at least for the number, and names of chips end in the same column",
        V7_3 on "four columns at least for the number; names of chips begin in the same column, which is as wide as the longest so far",
    }
    /// Whether a descriptor notes that /proc/interrupts shows it.
    irq_proc_valid: bool = "irq_proc_update_valid()", "kernel/irq/proc.c", "7.2" {
        V5_4 off "it does not: a reader looks at the actions",
        V7_3 on "_IRQ_PROC_VALID, which shows in debugfs as bit 22 of status",
    }
    /// Which rows of the lower half of /proc/interrupts are there.
    arch_rows_when_counted: bool = "arch_show_interrupts()", "arch/x86/kernel/irq.c", "7.2" {
        V5_4 off "all, and ERR and MIS have one number for all CPUs",
        V7_3 on "SPU, RTR, ERR and MIS from their first event on, and each CPU has a number",
    }
    /// Whether files of the tracer are for root and its group alone.
    tracefs_keeps_others_out: bool = "TRACE_MODE_WRITE", "kernel/trace/trace.h", "5.16" {
        V5_4 off "everybody can read them",
        V6_12 on "nobody else can open them",
    }
    /// How wide the columns of a trace are, and whether one tells if migration is disabled.
    trace_shows_migrate_disable: bool = "trace_print_lat_fmt()", "kernel/trace/trace_output.c" {
        V5_4 off "four flags, and five columns for a PID",
        V6_12 on "five flags, and seven columns for a PID",
    }

    /// Bytes of a call in the buffer of the function_graph tracer.
    graph_entry_bytes: u32 = "struct ftrace_graph_ent", "include/linux/ftrace.h" {
        V5_4 ("12" 12) "a function and a depth, which is an int",
        V7_3 ("16" 16) "the depth is a long",
    }
    /// Bytes of a return there.
    graph_return_bytes: u32 = "struct ftrace_graph_ret", "include/linux/ftrace.h" {
        V5_4 ("36" 36) "what overran the depth limit is counted in a long",
        V6_12 ("32" 32) "it is counted in an int",
    }
    /// How `format` of an event has a text's type.
    char_is_unsigned: bool = "f_show()", "kernel/trace/trace_events.c", "6.2" {
        V5_4 off "signed, as gcc has it on x86",
        V6_12 on "unsigned, with -funsigned-char",
    }

    // ---- CPU hotplug ----

    /// Whether hotplug states without a callback are called.
    cpuhp_skips_empty_states: bool = "cpuhp_invoke_callback()", "kernel/cpu.c" {
        V5_4 off "they are",
        V6_12 on "cpuhp_next_state() skips them",
    }
    /// What /sys/devices/system/cpu/smt/control takes.
    smt_control_takes_numbers: bool = "__store_smt_control()", "kernel/cpu.c" {
        V5_4 off "on, off and forceoff",
        V6_12 on "a number of threads as well; that nothing can be switched is looked at first",
    }
    /// Which CPUs come up when second threads are switched on.
    smt_enable_needs_core: bool = "cpuhp_smt_enable()", "kernel/cpu.c" {
        V5_4 off "all that are there",
        V7_3 on "topology_is_core_online(): those whose core's first thread is online",
    }
    /// How CPUs are started and stopped.
    cpuhp_split_startup: bool = "cpu_device_down()", "kernel/cpu.c" {
        V5_4 off "one after the other in bringup_cpu()",
        V6_12 on "in two steps, first alive and then online",
    }
    /// When it is logged that processors are started.
    announces_cpu_1: bool = "announce_cpu()", "arch/x86/kernel/smpboot.c" {
        V5_4 on "whenever CPU 1 is started",
        V6_12 off "once, at boot",
    }
    /// Who takes a CPU down.
    cpu_down_by_kworker: bool = "cpu_down_maps_locked()", "kernel/cpu.c", "6.18 (de715325cc47)" {
        V5_4 off "the task that writes to its online file",
        V6_12 on "a kworker on another CPU",
        V7_3 off "the task that writes to its online file",
    }
    /// Which CPU that is not isolated has to be online for another one to go.
    housekeeping_check: HousekeepingCheck = "_cpu_down()", "kernel/cpu.c", "6.18 (de715325cc47)" {
        V5_4 ("none" HousekeepingCheck::None) "none",
        V6_12 ("other" HousekeepingCheck::Other) "one that stays: the last one cannot go",
        V7_3 ("any" HousekeepingCheck::Any) "any, also the one that goes: the last one can go, and no other after it",
    }
    /// What building a scheduling domain without CPUs does: the last CPU that is not isolated has gone.
    energy_model: bool = "build_perf_domains()", "kernel/sched/topology.c",
        "the configuration differs, not the code" {
        V5_4 off "it warns",
        "CONFIG_ENERGY_MODEL" on "it warns, and dies looking for the root domain of the first of no CPUs: hotplug stands still from then on",
    }
    /// Whether the servers that give ordinary tasks their share keep a CPU from going.
    dl_bw_discounts_server: bool = "dl_bw_deactivate()", "kernel/sched/deadline.c" {
        V5_4 off "they count as deadline tasks do, also those that a rebuilt domain has forgotten",
        V7_3 on "they do not: the ordinary tasks leave with the CPU, and each domain has its own servers",
    }
    /// When the local APIC of a CPU that goes is switched off.
    apic_disabled_before_fixup: bool =
        "native_cpu_disable()", "arch/x86/kernel/smpboot.c", "5.9 (52d6b926aabc)" {
        V5_4 on "before its interrupts leave, so that one that comes meanwhile is lost",
        V6_12 off "after",
    }
    /// What a CPU that goes does about a move that is not cleaned up.
    migrate_completes_move_first: bool =
        "migrate_one_irq()", "kernel/irq/cpuhotplug.c", "6.10 (a6c11c0a5235)" {
        V5_4 off "nothing if the interrupt has left already: the old vector is lost",
        V6_12 on "frees the old vector if either place is on this CPU",
    }
    /// Who ends the move of an interrupt that has to leave with its CPU.
    force_complete_move_by_chip: bool = "irq_force_complete_move()", "kernel/irq/migration.c", "6.15" {
        V5_4 off "a function of the architecture, which looks for the vector domain",
        V7_3 on "the first chip from the outside that has a callback for it",
    }
    /// What happens when the CPUs of an affinity have no vector for an interrupt that has to leave.
    migrate_breaks_affinity_on_enospc: bool =
        "migrate_one_irq()", "kernel/irq/cpuhotplug.c", "6.10 (88d724e2301a)" {
        V5_4 off "it stays on the dead CPU",
        V6_12 on "it goes to any online CPU",
    }
    /// Whether it is logged that an interrupt had to leave its affinity.
    migrate_logs_broken_affinity: bool =
        "irq_migrate_all_off_this_cpu()", "kernel/irq/cpuhotplug.c" {
        V5_4 on "as a warning",
        V6_12 off "at debug level, which is off",
    }
    /// What becomes of disable_irq() when a managed interrupt is shut down with its CPU.
    managed_shutdown_keeps_depth: bool =
        "irq_startup_managed()", "kernel/irq/chip.c", "6.16 (788019eb559f, 2b32fc8ff08d)" {
        V5_4 off "irq_shutdown() sets the depth to 1 and irq_startup() to 0: it is forgotten",
        V7_3 on "the shutdown counts as one more disable; the interrupt starts when all disables are undone",
    }
    /// What happens after a managed interrupt was started again on a CPU that came back.
    restore_affinity_after_startup: bool =
        "irq_restore_affinity_of_irq()", "kernel/irq/cpuhotplug.c", "6.10 (a60dd06af674)" {
        V5_4 off "nothing more",
        V6_12 on "its affinity is looked at",
    }
    /// What happens to a managed interrupt that is suspended when its CPU comes back.
    restore_affinity_skips_suspended: bool =
        "irq_restore_affinity_of_irq()", "kernel/irq/cpuhotplug.c", "6.10 (a60dd06af674), 6.16" {
        V5_4 off "it is started as others are",
        V6_12 on "it is left alone: resuming starts it",
        V7_3 off "it is one level of disabling less, so resuming starts it",
    }

    // ---- blk-mq ----

    /// How CPUs are mapped to hardware queues without interrupts to go by.
    blk_map: BlkMap = "blk_mq_map_queues()", "block/blk-mq-cpumap.c" {
        V5_4 ("sequential" BlkMap::Sequential) "queues are dealt to CPUs in order, siblings share",
        V6_12 ("group-cpus-evenly" BlkMap::GroupCpusEvenly) "by group_cpus_evenly()",
    }
    /// By what drivers of disks limit the number of their queues.
    queues_counted_by_mask: bool = "blk_mq_num_possible_queues()", "block/blk-mq-cpumap.c" {
        V5_4 off "each by itself: nr_cpu_ids, which counts holes, or the possible CPUs",
        V7_3 on "by blk_mq_num_possible_queues(): the possible CPUs",
    }
    /// Whether a bio that comes alone is gathered with others all the same.
    submit_bio_plugs: bool = "__submit_bio()", "block/blk-core.c" {
        V5_4 off "it goes to queue_rq() at once",
        V6_12 on "it has a plug, and goes to queue_rqs() at its end where the driver takes lists",
        V7_3 off "it goes to queue_rq() at once",
    }
    /// Who knows which CPUs the interrupt of a hardware queue is for, and what happens where it has none.
    map_hw_queues: bool = "blk_mq_map_hw_queues()", "block/blk-mq-cpumap.c", "6.14 (1452e9b470c9)" {
        V5_4 off "a function for each kind of device; that of PCI warns and gives all CPUs to one queue",
        V7_3 on "the device's bus (irq_get_affinity); CPUs are spread as if there were no interrupts",
    }
    /// What happens to the requests of a hardware queue whose last CPU goes.
    hctx_drain: bool = "blk_mq_hctx_notify_offline()", "block/blk-mq.c", "5.8 (bf0beec0607d)" {
        V5_4 off "nothing: their interrupt is shut down under them",
        V6_12 on "the CPU waits for them and no new ones are admitted",
    }
    /// Whether a hardware queue's mask holds isolated CPUs.
    hctx_skips_isolated_cpus: bool = "blk_mq_map_swqueue()", "block/blk-mq.c", "6.10 (a46c27026da1)" {
        V5_4 off "it does",
        V6_12 on "it does not, so that no kworker runs there",
    }
    /// Whether a CPU without a tick counts as isolated.
    isolated_without_tick: bool = "cpu_is_isolated()", "include/linux/sched/isolation.h" {
        V5_4 on "it does, where isolation is asked for at all: its queues' own work stays away from it",
        V7_3 off "it does not: only who is left out of the scheduler's domains is",
    }
    /// Which CPUs count as a hardware queue's own when one comes online.
    hctx_online_tests_cpumask: bool = "blk_mq_hctx_notify_online()", "block/blk-mq.c", "6.10 (7b815817aa58)" {
        V5_4 off "those that are mapped to it",
        "6.10 before 7b815817aa58" on "those in its mask, which has no isolated CPUs",
    }
    /// Where a request of a queue that belongs to one CPU, or of the only queue, completes.
    complete_remote_first: bool = "blk_mq_complete_request_remote()", "block/blk-mq.c" {
        V5_4 off "of the only queue in a softirq, in __blk_mq_complete_request()",
        V6_12 on "on the spot if the queue has one CPU and that one runs, before the number of queues is looked at",
    }
    /// For how many disks the depth counts that virtio-blk takes from the size of a queue.
    virtblk_depth_stays: bool = "virtblk_probe()", "drivers/block/virtio_blk.c" {
        V5_4 on "for all disks after the first one: the depth stays in virtblk_queue_depth, the variable of the module parameter",
        V6_12 off "for this disk alone",
    }
    /// Whether the file of a disk has a size of its own.
    bdev_keeps_size: bool = "bdev_nr_bytes()", "include/linux/blkdev.h" {
        V5_4 on "that of bd_inode: it survives the disk, so that reads of one that goes fail with EIO; revalidate_disk() sets it and says so",
        V6_12 off "it is the disk's, which is 0 when it goes: reads find the end",
    }
    /// What a driver's call for as many queues as there are does when there are several maps.
    same_nr_hw_queues_remaps: bool = "__blk_mq_update_nr_hw_queues()", "block/blk-mq.c" {
        V5_4 off "nothing",
        V6_12 on "maps all queues again: their kinds may have changed",
    }

    // ---- PCI and NVMe ----

    /// What writing a function to a driver's `bind` file answers when it cannot be bound.
    bind_reports_errors: bool = "bind_store()", "drivers/base/bus.c" {
        V5_4 off "ENODEV, whatever the reason was",
        V6_12 on "the probe's error, and EBUSY for one that is bound",
    }
    /// What writing a number that is too large to a function's `numa_node` or `enable` answers.
    pci_store_einval: bool = "numa_node_store()", "drivers/pci/pci-sysfs.c" {
        V5_4 off "ERANGE, as kstrtoint() and kstrtoul() say",
        V6_12 on "EINVAL, as for whatever is no number",
    }
    /// What writing the node that a function has already does.
    numa_node_store_skips_same: bool = "numa_node_store()", "drivers/pci/pci-sysfs.c" {
        V5_4 off "the kernel complains of the firmware, as about any node",
        V7_3 on "nothing",
    }
    /// How a probe that failed is logged.
    probe_failure_by_dev_err: bool = "call_driver_probe()", "drivers/base/dd.c" {
        V5_4 off "driver: probe of device failed with error",
        V6_12 on "by dev_err(): probe with driver failed with error",
    }
    /// Where a driver's probe runs for a device that has a node.
    probe_on_housekeeping_cpu: bool = "pci_call_probe()", "drivers/pci/pci-driver.c" {
        V5_4 off "on any online CPU of the node",
        V6_12 on "on a CPU of the node that is not isolated",
    }
    /// Who runs the probe of a device that has a node.
    pci_probe_wq: bool = "pci_call_probe()", "drivers/pci/pci-driver.c", "7.0" {
        V5_4 off "work_on_cpu()",
        V7_3 on "a work queue of its own, sync_wq, on a CPU that is in a scheduling domain",
    }
    /// How a controller is brought up, and with it the generation of the driver.
    nvme_probe: NvmeProbe = "nvme_probe()", "drivers/nvme/host/pci.c" {
        V5_4 ("by-reset-work" NvmeProbe::ByResetWork) "by nvme_reset_work(), while nvme_probe() returns",
        V6_12 ("synchronous" NvmeProbe::Synchronous) "by nvme_probe() itself",
    }
    /// Whether the driver says itself that a probe failed.
    nvme_probe_failed_logs: bool = "nvme_probe()", "drivers/nvme/host/pci.c" {
        V5_4 off "it leaves that to the driver core, which is silent where no device answers",
        V7_3 on "by dev_err_probe()",
    }
    /// What nvme.write_queues and nvme.poll_queues do that are written after the probe.
    nvme_special_queues_need_maps: bool = "nvme_setup_io_queues()", "drivers/nvme/host/pci.c" {
        V5_4 off "the next reset makes such queues, also where the block layer has no map for them: queues and interrupts are then for different CPUs",
        V7_3 on "nothing where the block layer has no map for them",
    }
    /// Whether the identifiers that QEMU gives a namespace are believed.
    nvme_quirk_bogus_nid: bool = "nvme_id_table", "drivers/nvme/host/pci.c" {
        V5_4 off "they are",
        V6_12 on "NVME_QUIRK_BOGUS_NID: they are not, which every scan says",
    }
    /// From which states a controller becomes live.
    nvme_live_from_connecting: bool = "nvme_change_ctrl_state()", "drivers/nvme/host/core.c" {
        V5_4 off "new, resetting and connecting",
        V6_12 on "connecting",
    }
    /// How long the driver sleeps between two looks at CSTS.
    nvme_ready_poll_ns: u64 = "nvme_wait_ready()", "drivers/nvme/host/core.c" {
        V5_4 ("100ms" 100_000_000) "msleep(100)",
        V6_12 ("1ms" 1_000_000) "usleep_range(1000, 2000)",
    }
    /// Which values of nvme.write_queues, nvme.poll_queues and nvme.io_queue_depth are accepted.
    nvme_queue_params_checked: bool = "io_queue_count_set()", "drivers/nvme/host/pci.c" {
        V5_4 off "any number of queues, and any depth from 2 on",
        V6_12 on "no more queues than CPUs, and a depth up to 4095",
    }
    /// Whether quirks of controllers can be given on the command line.
    nvme_quirks_param: bool = "quirks_param_set()", "drivers/nvme/host/pci.c" {
        V5_4 off "they are those of the driver's table",
        V7_3 on "nvme.quirks= adds and removes some by vendor and device",
    }

    // ---- virtio ----

    /// Whether the driver keeps track of the device's event.
    vring_event_triggered: bool = "virtqueue_disable_cb_split()", "drivers/virtio/virtio_ring.c" {
        V5_4 off "it does not",
        V6_12 on "a device that has used up its event is not told again; else the event is moved away",
    }
    /// How many features a device is asked for, 32 at a time.
    virtio_features_128: bool =
        "vp_modern_get_extended_features()", "drivers/virtio/virtio_pci_modern_dev.c", "6.17" {
        V5_4 off "64",
        V7_3 on "128, of which this device has none in the upper half",
    }
    /// Which ways to give queues vectors there are.
    virtio_slow_path_queues: bool = "vp_find_vqs()", "drivers/virtio/virtio_pci_common.c" {
        V5_4 off "one each, or one for all",
        V6_12 on "one each, one for slow queues and configuration changes, or one for all",
    }
    /// What happens to a device without vectors and without an interrupt line.
    virtio_needs_line: bool = "vp_find_vqs()", "drivers/virtio/virtio_pci_common.c" {
        V5_4 off "IRQ 0 is requested",
        V6_12 on "the driver gives up with the error of the last attempt",
    }
    /// What the handler of the line answers when no queue had anything.
    vp_interrupt_handles_any_isr: bool = "vp_interrupt()", "drivers/virtio/virtio_pci_common.c" {
        V5_4 off "not handled",
        V6_12 on "handled: the ISR status said that it was ours",
    }
    /// Whether the disk takes lists of requests.
    virtio_queue_rqs: bool = "virtio_mq_ops", "drivers/block/virtio_blk.c" {
        V5_4 off "one at a time, in virtio_queue_rq()",
        V6_12 on "in virtio_queue_rqs(), with one notification per queue",
    }
    /// Whether a disk with a single hardware queue gets an I/O scheduler.
    single_queue_elevator: bool = "elevator_get_default()", "block/elevator.c" {
        V5_4 on "mq-deadline: a worker gives its requests to the driver",
        V6_12 off "none: the kernel is built without mq-deadline",
    }
    /// Whether the ordinary tasks of a CPU take deadline bandwidth.
    fair_server: bool = "dl_server_start()", "kernel/sched/deadline.c", "6.12 (5f6bd380c7bd)" {
        V5_4 off "they take none",
        V6_12 on "a twentieth of every CPU that boot brought up, of the default root domain as well: an isolated CPU cannot go offline where that does not fit on the other ones",
    }
    /// How many queues a network device has by default.
    rss_queues_by_cores: bool = "netif_get_num_default_rss_queues()", "net/core/dev.c", "5.18 (046e1537a3cf)" {
        V5_4 off "one for each CPU that is online, up to 8",
        V6_12 on "half as many as there are cores, unless there are only one or two",
    }
    /// Whether virtio_blk.poll_queues and virtio_blk.num_request_queues exist.
    virtblk_poll_queues: bool = "init_vq()", "drivers/block/virtio_blk.c" {
        V5_4 off "they do not: every queue has an interrupt",
        V6_12 on "they do",
    }

    $($more)*
    } };
}

fields!(semantics! {});
