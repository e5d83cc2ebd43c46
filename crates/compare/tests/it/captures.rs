//! Every capture of a real kernel, run on the machine it was taken on and compared line by line.

use compare::verify;

/// Runs one capture; every line must agree.
fn check(kernel: &str, case: &str) {
    let capture = crate::common::capture(kernel, case);
    let verify::Run { report, .. } = verify::run(&capture).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.lines_compared() > 100, "a capture of this size says nothing\n{}", report.table());
    assert!(report.passed(), "{}\n{}", report.table(), report.diff());
    // Most captures are the quiet run. Those that are not say so.
    let races = ["fuzz/small-threadirqs"].contains(&case)
        || (kernel, case) == ("v7.3", "fuzz/small-isolated-offline");
    assert_eq!(report.chances.is_empty(), !races, "{:?}", report.chance());
}

/// A module per kernel and in it a test per folder; and the folders must be those there are.
macro_rules! captures {
    ($($module:ident $kernel:literal: $($test:ident $case:literal)*;)*) => {$(
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::check($kernel, $case);
                }
            )*

            #[test]
            fn every_folder_has_its_test() {
                assert_eq!(crate::common::cases($kernel), [$($case),*]);
            }
        }
    )*};
}

captures! {
    v5_4 "v5.4":
        affinity_8cpu "affinity-8cpu"
        boot_8cpu "boot-8cpu"
        drawn_10 "fuzz/fuzz-10"
        drawn_101 "fuzz/fuzz-101"
        drawn_14 "fuzz/fuzz-14"
        drawn_16 "fuzz/fuzz-16"
        drawn_20 "fuzz/fuzz-20"
        drawn_3 "fuzz/fuzz-3"
        drawn_4 "fuzz/fuzz-4"
        drawn_6 "fuzz/fuzz-6"
        small_absent_nodes "fuzz/small-absent-nodes"
        small_acpi_thread "fuzz/small-acpi-thread"
        small_ir_read "fuzz/small-ir-read"
        small_ir_write "fuzz/small-ir-write"
        small_isolated_offline "fuzz/small-isolated-offline"
        small_numa_read "fuzz/small-numa-read"
        small_one_queue "fuzz/small-one-queue"
        small_pending_off "fuzz/small-pending-off"
        small_physflat_online "fuzz/small-physflat-online"
        small_threadirqs "fuzz/small-threadirqs"
        small_virtio_shared "fuzz/small-virtio-shared"
        hotplug_8cpu "hotplug-8cpu"
        io_8cpu "io-8cpu"
        ir_8cpu "ir-8cpu"
        maxcpus_4of8 "maxcpus-4of8"
        msix_8cpu "msix-8cpu"
        msix_ir_8cpu "msix-ir-8cpu"
        nomsi "nomsi"
        numa_2x2x2 "numa-2x2x2"
        nvme_8cpu "nvme-8cpu"
        sets_w3p2 "sets-w3p2"
        virtblk_8cpu "virtblk-8cpu";
    v6_12 "v6.12":
        affinity_8cpu "affinity-8cpu"
        boot_8cpu "boot-8cpu"
        drawn_10 "fuzz/fuzz-10"
        drawn_101 "fuzz/fuzz-101"
        drawn_14 "fuzz/fuzz-14"
        drawn_16 "fuzz/fuzz-16"
        drawn_18 "fuzz/fuzz-18"
        drawn_2 "fuzz/fuzz-2"
        drawn_20 "fuzz/fuzz-20"
        drawn_5 "fuzz/fuzz-5"
        drawn_9 "fuzz/fuzz-9"
        small_absent_nodes "fuzz/small-absent-nodes"
        small_acpi_thread "fuzz/small-acpi-thread"
        small_ir_read "fuzz/small-ir-read"
        small_ir_write "fuzz/small-ir-write"
        small_isolated_offline "fuzz/small-isolated-offline"
        small_numa_read "fuzz/small-numa-read"
        small_one_queue "fuzz/small-one-queue"
        small_pending_off "fuzz/small-pending-off"
        small_physflat_online "fuzz/small-physflat-online"
        small_threadirqs "fuzz/small-threadirqs"
        small_virtio_shared "fuzz/small-virtio-shared"
        hotplug_8cpu "hotplug-8cpu"
        io_8cpu "io-8cpu"
        ir_8cpu "ir-8cpu"
        isolated_8cpu "isolated-8cpu"
        maxcpus_4of8 "maxcpus-4of8"
        msix_8cpu "msix-8cpu"
        msix_ir_8cpu "msix-ir-8cpu"
        nomsi "nomsi"
        numa_2x2x2 "numa-2x2x2"
        nvme_8cpu "nvme-8cpu"
        sets_w3p2 "sets-w3p2"
        virtblk_8cpu "virtblk-8cpu";
    v7_3 "v7.3":
        affinity_8cpu "affinity-8cpu"
        boot_8cpu "boot-8cpu"
        drawn_10 "fuzz/fuzz-10"
        drawn_14 "fuzz/fuzz-14"
        drawn_4 "fuzz/fuzz-4"
        drawn_6 "fuzz/fuzz-6"
        drawn_9 "fuzz/fuzz-9"
        small_absent_nodes "fuzz/small-absent-nodes"
        small_acpi_thread "fuzz/small-acpi-thread"
        small_ir_read "fuzz/small-ir-read"
        small_ir_write "fuzz/small-ir-write"
        small_isolated_offline "fuzz/small-isolated-offline"
        small_numa_read "fuzz/small-numa-read"
        small_one_queue "fuzz/small-one-queue"
        small_pending_off "fuzz/small-pending-off"
        small_physflat_online "fuzz/small-physflat-online"
        small_threadirqs "fuzz/small-threadirqs"
        small_virtio_shared "fuzz/small-virtio-shared"
        hotplug_8cpu "hotplug-8cpu"
        io_8cpu "io-8cpu"
        ir_8cpu "ir-8cpu"
        maxcpus_4of8 "maxcpus-4of8"
        msix_8cpu "msix-8cpu"
        msix_ir_8cpu "msix-ir-8cpu"
        nomsi "nomsi"
        numa_2x2x2 "numa-2x2x2"
        nvme_8cpu "nvme-8cpu"
        sets_w3p2 "sets-w3p2"
        virtblk_8cpu "virtblk-8cpu";
}
