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
    /// `acpi_is_processor_usable()`, arch/x86/kernel/acpi/boot.c: CPUs that the MADT lists as not
    /// enabled become possible CPUs. 5.4 counts them; 6.12 does so only under a hypervisor it knows.
    pub madt_absent_cpus_possible: bool,
    /// `acpi_os_install_interrupt_handler()`, drivers/acpi/osl.c: the handler runs in a thread, with
    /// the line masked until it is done (`IRQF_ONESHOT`). 5.4 handles it in hard interrupt context.
    pub acpi_irq_threaded: bool,
    /// `FIRST_SYSTEM_VECTOR`, arch/x86/include/asm/irq_vectors.h: 0xec, and 0xeb in
    /// 6.12, where `POSTED_MSI_NOTIFICATION_VECTOR` lies below the others.
    pub first_system_vector: u32,
    /// `irq_matrix_allocated()`, kernel/irq/matrix.c: 5.4 returns `cm->allocated`, 6.12
    /// subtracts `cm->managed_allocated`.
    pub matrix_allocated_counts_managed: bool,
    /// `irq_matrix_reserve()`, kernel/irq/matrix.c: 6.12 warns when the reservations equal what is
    /// available; 5.4 compares twice, which differs when the counter wraps.
    pub matrix_reserve_compares_equal: bool,
    /// `irq_matrix_alloc()`, kernel/irq/matrix.c: 6.12 answers EINVAL to an empty mask, 5.4 finds
    /// no CPU and answers ENOSPC.
    pub matrix_alloc_refuses_empty_mask: bool,
    /// `irq_matrix_free()`, kernel/irq/matrix.c: 6.12 warns and returns when the bit is not
    /// allocated, 5.4 counts it as freed.
    pub matrix_free_checks_bit: bool,
    /// `sort()`, lib/sort.c: 6.12 takes the two largest elements from the heap at once and sifts
    /// equal ones to the right, so that equal elements end up in another order than in 5.4.
    pub sort_extracts_two: bool,
    /// `cpuhp_invoke_callback()` and its callers, kernel/cpu.c: 6.12 skips hotplug states without a
    /// callback before calling it, 5.4 calls it for every state.
    pub cpuhp_skips_empty_states: bool,
    /// `cpu_device_down()`, `cpu_device_up()`, kernel/cpu.c: 6.12 calls these from the CPU device,
    /// takes a CPU down from a kworker on another one, and starts CPUs in two steps
    /// (`cpuhp_kick_ap_alive`, `cpuhp_bringup_ap`); 5.4 calls `cpu_down()` and `cpu_up()`.
    pub cpuhp_split_startup: bool,
    /// `native_cpu_disable()`, arch/x86/kernel/smpboot.c: 5.4 soft-disables the local APIC before
    /// `cpu_disable_common()`, 6.12 (since 5.9) after it.
    pub apic_disabled_before_fixup: bool,
    /// `apic_drivers()`, arch/x86/kernel/apic/apic_flat_64.c: 5.4 has a flat logical driver for up to 8
    /// CPUs; 6.12 only the physical one.
    pub flat_apic: bool,
    /// `x86_vector_activate()`, arch/x86/kernel/apic/vector.c: 5.4 leaves a fixed vector alone, 6.12
    /// runs it through the allocator, which finds that it can stay.
    pub activate_assigns_fixed: bool,
    /// `assign_irq_vector_any_locked()`, arch/x86/kernel/apic/vector.c: 5.4 tries the node mask before
    /// the affinity mask, 6.12 after it.
    pub any_vector_node_last: bool,
    /// `apic_set_affinity()`, arch/x86/kernel/apic/vector.c: 5.4 accepts an inactive interrupt and does
    /// nothing, 6.12 warns and fails.
    pub apic_affinity_needs_active: bool,
    /// `x86_vector_alloc_irqs()`, arch/x86/kernel/apic/vector.c: 6.12 sets `IRQD_AFFINITY_ON_ACTIVATE`
    /// and `IRQD_HANDLE_ENFORCE_IRQCTX`.
    pub affinity_on_activate: bool,
    /// `irq_force_complete_move()`, arch/x86/kernel/apic/vector.c: 6.12 only frees the old vector of an
    /// interrupt that is or was on the dying CPU.
    pub force_complete_checks_cpu: bool,
    /// `free_moved_vector()`, arch/x86/kernel/apic/vector.c: 5.4 warns about a managed interrupt; CPU
    /// isolation made that legal.
    pub warns_moved_managed: bool,
    /// `idt_setup_apic_and_irq_gates()`, arch/x86/kernel/idt.c: 5.4 marks every gate above
    /// `FIRST_SYSTEM_VECTOR` as a system vector, 6.12 only those in use.
    pub idt_fills_system_vectors: bool,
    /// `def_idts`, arch/x86/kernel/idt.c: vector 21 has a handler.
    pub idt_has_control_protection: bool,
    /// `CONFIG_X86_THERMAL_VECTOR`, arch/x86/kernel/irq.c: a gate and a row of /proc/interrupts.
    pub thermal_vector: bool,
    /// `CONFIG_HAVE_KVM` (5.4), `CONFIG_KVM` (6.12), arch/x86/kernel/irq.c: posted-interrupt gates and
    /// rows of /proc/interrupts.
    pub kvm_vectors: bool,
    /// `init_ISA_irqs()`, arch/x86/kernel/irqinit.c: 6.12 sets `IRQ_LEVEL` on the 8259's interrupts.
    pub legacy_irqs_level: bool,
    /// `mp_map_pin_to_irq()`, arch/x86/kernel/apic/io_apic.c, and `x86_vector_alloc_irqs()`, vector.c:
    /// 6.12 refuses IRQ 2 outright.
    pub isa_irq2_refused: bool,
    /// `ioapic_configure_entry()`, arch/x86/kernel/apic/io_apic.c: 5.4 takes destination and vector
    /// from `struct irq_cfg`, 6.12 from the message the parent domain composes.
    pub ioapic_entry_from_msi: bool,
    /// `ioapic_finish_move()`, arch/x86/kernel/apic/io_apic.c: 6.12 leaves an interrupt masked that the
    /// core had masked.
    pub ioapic_move_keeps_masked: bool,
    /// `do_IRQ()` (5.4) and `common_interrupt()` (6.12), arch/x86/kernel/irq.c: 6.12 looks a second time,
    /// under the vector lock, before it calls a vector unhandled.
    pub common_interrupt: bool,
    /// x86's chips set `IRQCHIP_AFFINITY_PRE_STARTUP` in 6.12 (`ioapic_chip`,
    /// `x86_init_dev_msi_info()`).
    pub chips_set_affinity_pre_startup: bool,
    /// `alloc_descs()`, kernel/irq/irqdesc.c: 6.12 marks an affinity that came with the allocation as set.
    pub alloc_descs_sets_affinity_set: bool,
    /// `irq_sysfs_add()`, kernel/irq/irqdesc.c: 6.12 notes in `istate` that the descriptor is in sysfs.
    pub irqs_sysfs: bool,
    /// `IRQ_BITMAP_BITS` (5.4), `MAX_SPARSE_IRQS` (6.12), kernel/irq/internals.h: how far `nr_irqs` can
    /// grow.
    pub max_sparse_irqs: u32,
    /// `irq_domain_create_hierarchy()`, kernel/irq/irqdomain.c: 5.4 goes through `__irq_domain_add()`, 6.12
    /// through `irq_domain_instantiate()`.
    pub irq_domain_instantiate: bool,
    /// `__irq_domain_alloc_irqs()`, kernel/irq/irqdomain.c: 6.12 locks the root domain and does the work in
    /// `irq_domain_alloc_irqs_locked()`.
    pub irq_domain_root_lock: bool,
    /// `irq_domain_free_irqs_hierarchy()`, kernel/irq/irqdomain.c: 6.12 calls the domain once per
    /// interrupt.
    pub irq_domain_frees_singly: bool,
    /// `IRQ_DOMAIN_NAME_ALLOCATED`, include/linux/irqdomain.h.
    pub irq_domain_name_allocated: u32,
    /// `irq_domain_debug_show_one()`, kernel/irq/irqdomain.c: 6.12 names the flags.
    pub irq_domain_shows_flags: bool,
    /// `irq_chip_compose_msi_msg()`, kernel/irq/chip.c: 5.4 takes the innermost chip that can compose a
    /// message, 6.12 the outermost.
    pub compose_msi_msg_outermost: bool,
    /// `check_irq_resend()`, kernel/irq/resend.c: 6.12 also tries the parents' chips and marks a replay
    /// only when it worked.
    pub resend_through_hierarchy: bool,
    /// `__setup_irq()`, kernel/irq/manage.c: 6.12 waits until the interrupt's thread runs.
    pub irq_thread_ready: bool,
    /// `__free_irq()`, kernel/irq/manage.c: 6.12 waits for all threaded handlers of the line, not only for
    /// its own thread.
    pub free_irq_waits_for_threads: bool,
    /// `irq_set_thread_affinity()`, kernel/irq/manage.c: 6.12 wakes the thread so that it moves at once.
    pub set_affinity_wakes_thread: bool,
    /// `irq_do_set_affinity()`, kernel/irq/manage.c: 6.12 gives the chip only CPUs that are online.
    pub set_affinity_online_only: bool,
    /// `irq_set_affinity_locked()`, kernel/irq/manage.c: 6.12 only stores the affinity of an interrupt that
    /// is not activated.
    pub set_affinity_deactivated: bool,
    /// `irq_set_affinity_hint()`, include/linux/interrupt.h: an inline function around
    /// `__irq_apply_affinity_hint()` in 6.12.
    pub affinity_hint_inline: bool,
    /// `housekeeping_isolcpus_setup()`, kernel/sched/isolation.c: `isolcpus=managed_irq,` exists.
    pub housekeeping_managed_irq: bool,
    /// `irq_select_affinity_usr()`, kernel/irq/proc.c: in 5.4 a mask without online CPU makes the kernel
    /// choose, in 6.12 it is refused.
    pub empty_affinity_reselects: bool,
    /// `write_irq_affinity()`, kernel/irq/proc.c: a managed interrupt is refused with EIO in 5.4, with
    /// EPERM in 6.12.
    pub managed_affinity_eperm: bool,
    /// `register_irq_proc()`, kernel/irq/proc.c: 6.12 makes smp_affinity writable only where it can be set.
    pub proc_mode_follows_affinity: bool,
    /// `show_interrupts()`, kernel/irq/proc.c: 5.4 also shows an interrupt without handler that was
    /// counted.
    pub proc_interrupts_needs_action: bool,
    /// `show_interrupts()`, kernel/irq/proc.c: 5.4 prints the hardware number as an int.
    pub proc_hwirq_is_int: bool,
    /// `nr_cpumask_bits`, include/linux/cpumask.h: a written mask may name CPUs up to `NR_CPUS` in 5.4, up
    /// to `nr_cpu_ids` in 6.12.
    pub cpumask_parse_nr_cpus: bool,
    /// `migrate_one_irq()`, kernel/irq/cpuhotplug.c: 6.12 completes a pending move also of interrupts that
    /// stay.
    pub migrate_completes_move_first: bool,
    /// `migrate_one_irq()`, kernel/irq/cpuhotplug.c: 6.12 tries any online CPU when the affinity's CPUs
    /// have no vector left.
    pub migrate_breaks_affinity_on_enospc: bool,
    /// `irq_migrate_all_off_this_cpu()`, kernel/irq/cpuhotplug.c: 6.12 says it at debug level only.
    pub migrate_logs_broken_affinity: bool,
    /// `irq_restore_affinity_of_irq()`, kernel/irq/cpuhotplug.c: 6.12 goes on after the startup and moves
    /// to a housekeeping CPU.
    pub restore_affinity_isolates: bool,
    /// `note_interrupt()`, kernel/irq/spurious.c: 6.12 counts only lines with unhandled interrupts.
    pub note_interrupt_skips_clean: bool,
    /// `intel_ir_reconfigure_irte()`, drivers/iommu/intel/irq_remapping.c: 5.4 writes the entry
    /// unless its mode is posted, 6.12 leaves that to `__intel_ir_reconfigure_irte()`, which looks
    /// at `posted_msi` and `posted_vcpu`.
    pub ir_posted_flags: bool,
    /// `intel_irq_remapping_prepare_irte()`: 6.12 composes the message of every kind of interrupt
    /// in `fill_msi_msg()`, 5.4 composes MSI messages in place and writes the redirection entry of
    /// an IO-APIC pin itself.
    pub ir_fill_msi_msg: bool,
    /// `dmar_fault_do_one()`, drivers/iommu/dmar.c: 6.12 prints index and reason with `0x`, 5.4 the
    /// index without and the reason as a decimal number.
    pub dmar_fault_hex: bool,
    /// `enable_drhd_fault_handling()`, drivers/iommu/dmar.c: 6.12 takes the units of one CPU's node
    /// only, and a unit without a node waits for `init_dmars()`.
    pub drhd_fault_per_node: bool,
    /// `CONFIG_INTEL_IOMMU_DEFAULT_ON`: DMA remapping is on without a word on the command line, as
    /// distributions ship 6.12.
    pub intel_iommu_default_on: bool,
    /// `nvme_probe()`, drivers/nvme/host/pci.c.
    pub nvme_probe: NvmeProbe,
    /// `blk_mq_map_queues()`, block/blk-mq-cpumap.c.
    pub blk_map: BlkMap,
    /// `blk_mq_hctx_notify_offline()`, block/blk-mq.c: before the last CPU of a hardware queue goes, 6.12
    /// waits for its requests; 5.4 has no such step.
    pub hctx_drain: bool,
    /// `blk_mq_map_swqueue()`, block/blk-mq.c: 6.12 takes isolated CPUs out of a hardware queue's mask.
    pub hctx_skips_isolated_cpus: bool,
    /// `blk_mq_complete_request_remote()`, block/blk-mq.c: 6.12 completes on the spot where the queue
    /// belongs to one CPU and looks for the submitting CPU before it looks at the number of hardware
    /// queues; `__blk_mq_complete_request()` of 5.4 does it the other way round.
    pub complete_remote_first: bool,
    /// `nvme_change_ctrl_state()`, drivers/nvme/host/core.c: in 6.12 only a connecting controller becomes
    /// live.
    pub nvme_live_from_connecting: bool,
    /// `nvme_wait_ready()`, drivers/nvme/host/core.c: nanoseconds between two looks at CSTS,
    /// `msleep(100)` in 5.4 and `usleep_range(1000, 2000)` in 6.12.
    pub nvme_ready_poll_ns: u64,
    /// `io_queue_count_set()`, drivers/nvme/host/pci.c: 6.12 refuses more write or poll queues than CPUs.
    pub nvme_queue_params_checked: bool,
    /// `pci_call_probe()`, drivers/pci/pci-driver.c: 6.12 probes on a CPU that is not isolated, 5.4 on any
    /// that is online.
    pub probe_on_housekeeping_cpu: bool,
    /// `vring_interrupt()` and `virtqueue_disable_cb_split()`, drivers/virtio/virtio_ring.c: 6.12 knows when
    /// the device has used up its event, and moves the event away when callbacks are disabled.
    pub vring_event_triggered: bool,
    /// `vp_find_vqs()`, drivers/virtio/virtio_pci_common.c: between a vector per queue and one for all, 6.12
    /// tries one that slow queues share with configuration changes, and `vp_find_one_vq_msix()` sets up a
    /// queue; without an interrupt line it gives up.
    pub virtio_slow_path_queues: bool,
    /// `vp_del_vqs()`, drivers/virtio/virtio_pci_common.c: 6.12 takes a hint back with
    /// `irq_update_affinity_hint()`, 5.4 with `irq_set_affinity_hint()`.
    pub virtio_update_affinity_hint: bool,
    /// `vp_interrupt()`, drivers/virtio/virtio_pci_common.c: once the ISR status was read, 6.12 calls the
    /// interrupt handled, 5.4 only when a queue had something.
    pub vp_interrupt_handles_any_isr: bool,
    /// `virtio_mq_ops`, drivers/block/virtio_blk.c: 6.12 takes a list of requests in `virtio_queue_rqs()`.
    pub virtio_queue_rqs: bool,
    /// `init_vq()`, drivers/block/virtio_blk.c: 6.12 has the parameters `num_request_queues` and
    /// `poll_queues`.
    pub virtblk_poll_queues: bool,
    /// `lapic_update_legacy_vectors()`, arch/x86/kernel/apic/vector.c: 6.12 sets the legacy vectors
    /// aside when there is no IO-APIC; 5.4 leaves them allocated.
    pub legacy_vectors_follow_ioapic: bool,
}

impl Semantics {
    /// What `version` does.
    pub fn of(version: KernelVersion) -> Self {
        match version {
            KernelVersion::V5_4 => Self {
                version,
                madt_absent_cpus_possible: true,
                acpi_irq_threaded: false,
                spread: Spread::IrqBuildAffinityMasks,
                vector_cleanup: VectorCleanup::Ipi,
                msi_domains: MsiDomains::Global,
                first_system_vector: 0xec,
                matrix_allocated_counts_managed: true,
                matrix_reserve_compares_equal: false,
                matrix_alloc_refuses_empty_mask: false,
                matrix_free_checks_bit: false,
                sort_extracts_two: false,
                cpuhp_skips_empty_states: false,
                cpuhp_split_startup: false,
                apic_disabled_before_fixup: true,
                flat_apic: true,
                activate_assigns_fixed: false,
                any_vector_node_last: false,
                apic_affinity_needs_active: false,
                affinity_on_activate: false,
                force_complete_checks_cpu: false,
                warns_moved_managed: true,
                idt_fills_system_vectors: true,
                idt_has_control_protection: false,
                thermal_vector: false,
                kvm_vectors: true,
                legacy_irqs_level: false,
                isa_irq2_refused: false,
                ioapic_entry_from_msi: false,
                ioapic_move_keeps_masked: false,
                common_interrupt: false,
                chips_set_affinity_pre_startup: false,
                alloc_descs_sets_affinity_set: false,
                irqs_sysfs: false,
                max_sparse_irqs: 12_548,
                irq_domain_instantiate: false,
                irq_domain_root_lock: false,
                irq_domain_frees_singly: false,
                irq_domain_name_allocated: 1 << 6,
                irq_domain_shows_flags: false,
                compose_msi_msg_outermost: false,
                resend_through_hierarchy: false,
                irq_thread_ready: false,
                free_irq_waits_for_threads: false,
                set_affinity_wakes_thread: false,
                set_affinity_online_only: false,
                set_affinity_deactivated: false,
                affinity_hint_inline: false,
                housekeeping_managed_irq: false,
                empty_affinity_reselects: true,
                managed_affinity_eperm: false,
                proc_mode_follows_affinity: false,
                proc_interrupts_needs_action: false,
                proc_hwirq_is_int: true,
                cpumask_parse_nr_cpus: true,
                migrate_completes_move_first: false,
                migrate_breaks_affinity_on_enospc: false,
                migrate_logs_broken_affinity: true,
                restore_affinity_isolates: false,
                note_interrupt_skips_clean: false,
                ir_posted_flags: false,
                ir_fill_msi_msg: false,
                dmar_fault_hex: false,
                drhd_fault_per_node: false,
                intel_iommu_default_on: false,
                nvme_probe: NvmeProbe::ByResetWork,
                blk_map: BlkMap::Sequential,
                hctx_drain: false,
                hctx_skips_isolated_cpus: false,
                complete_remote_first: false,
                nvme_live_from_connecting: false,
                nvme_ready_poll_ns: 100_000_000,
                nvme_queue_params_checked: false,
                probe_on_housekeeping_cpu: false,
                vring_event_triggered: false,
                virtio_slow_path_queues: false,
                virtio_update_affinity_hint: false,
                vp_interrupt_handles_any_isr: false,
                virtio_queue_rqs: false,
                virtblk_poll_queues: false,
                legacy_vectors_follow_ioapic: false,
            },
            KernelVersion::V6_12 => Self {
                version,
                madt_absent_cpus_possible: false,
                acpi_irq_threaded: true,
                spread: Spread::GroupCpusEvenly,
                vector_cleanup: VectorCleanup::Timer,
                msi_domains: MsiDomains::PerDevice,
                first_system_vector: 0xeb,
                matrix_allocated_counts_managed: false,
                matrix_reserve_compares_equal: true,
                matrix_alloc_refuses_empty_mask: true,
                matrix_free_checks_bit: true,
                sort_extracts_two: true,
                cpuhp_skips_empty_states: true,
                cpuhp_split_startup: true,
                apic_disabled_before_fixup: false,
                flat_apic: false,
                activate_assigns_fixed: true,
                any_vector_node_last: true,
                apic_affinity_needs_active: true,
                affinity_on_activate: true,
                force_complete_checks_cpu: true,
                warns_moved_managed: false,
                idt_fills_system_vectors: false,
                idt_has_control_protection: true,
                thermal_vector: true,
                kvm_vectors: false,
                legacy_irqs_level: true,
                isa_irq2_refused: true,
                ioapic_entry_from_msi: true,
                ioapic_move_keeps_masked: true,
                common_interrupt: true,
                chips_set_affinity_pre_startup: true,
                alloc_descs_sets_affinity_set: true,
                irqs_sysfs: true,
                max_sparse_irqs: i32::MAX as u32,
                irq_domain_instantiate: true,
                irq_domain_root_lock: true,
                irq_domain_frees_singly: true,
                irq_domain_name_allocated: 1 << 1,
                irq_domain_shows_flags: true,
                compose_msi_msg_outermost: true,
                resend_through_hierarchy: true,
                irq_thread_ready: true,
                free_irq_waits_for_threads: true,
                set_affinity_wakes_thread: true,
                set_affinity_online_only: true,
                set_affinity_deactivated: true,
                affinity_hint_inline: true,
                housekeeping_managed_irq: true,
                empty_affinity_reselects: false,
                managed_affinity_eperm: true,
                proc_mode_follows_affinity: true,
                proc_interrupts_needs_action: true,
                proc_hwirq_is_int: false,
                cpumask_parse_nr_cpus: false,
                migrate_completes_move_first: true,
                migrate_breaks_affinity_on_enospc: true,
                migrate_logs_broken_affinity: false,
                restore_affinity_isolates: true,
                note_interrupt_skips_clean: true,
                ir_posted_flags: true,
                ir_fill_msi_msg: true,
                dmar_fault_hex: true,
                drhd_fault_per_node: true,
                intel_iommu_default_on: true,
                nvme_probe: NvmeProbe::Synchronous,
                blk_map: BlkMap::GroupCpusEvenly,
                hctx_drain: true,
                hctx_skips_isolated_cpus: true,
                complete_remote_first: true,
                nvme_live_from_connecting: true,
                nvme_ready_poll_ns: 1_000_000,
                nvme_queue_params_checked: true,
                probe_on_housekeeping_cpu: true,
                vring_event_triggered: true,
                virtio_slow_path_queues: true,
                virtio_update_affinity_hint: true,
                vp_interrupt_handles_any_isr: true,
                virtio_queue_rqs: true,
                virtblk_poll_queues: true,
                legacy_vectors_follow_ioapic: true,
            },
        }
    }
}
