//! The rules, each with what it lets pass and what it does not.

use super::boot::{BootEvent, SEQUENTIAL, owner};
use super::*;

/// The expected differences: place, the real kernel's line, the emulator's.
type Lines<'a> = &'a [(&'a str, Option<&'a str>, Option<&'a str>)];

fn check(comparison: &Comparison, expect: Lines<'_>) {
    let text = |line: &Option<LineAt>| line.as_ref().map(|line| line.text.clone());
    let got: Vec<_> = comparison
        .differences
        .iter()
        .map(|d| (d.place.clone(), text(&d.expected_line), text(&d.got_line)))
        .collect();
    let got: Vec<_> = got.iter().map(|(p, e, g)| (p.as_str(), e.as_deref(), g.as_deref())).collect();
    assert_eq!(got, expect);
}

#[test]
fn order_counts_within_an_actor_only() {
    let expected = "# task\na\n# softirq\nb\n# task\nc\n";
    check(&compare_flow(expected, "# task\na\n# task\nc\n# softirq\nb\n"), &[]);
    let swapped = compare_flow(expected, "# task\nc\n# softirq\nb\n# task\na\n");
    assert!(swapped.differences.iter().all(|d| d.place == "task") && !swapped.is_equal());
    check(
        &compare_flow(expected, "# task\na\n# kworker\nb\n# task\nc\n"),
        &[
            ("softirq", Some("# softirq"), None),
            ("softirq", Some("b"), None),
            ("kworker", None, Some("# kworker")),
            ("kworker", None, Some("b")),
        ],
    );
}

#[test]
fn differences_name_lines_of_both_files_and_print_with_context() {
    let comparison = compare_flow("# task\na\nb\nc\nd\ne\n", "# task\na\nb\nc\nx\ne\n");
    assert_eq!(comparison.lines_compared, 6);
    let [Difference { expected_line: Some(expected), got_line: Some(got), .. }] =
        comparison.differences.as_slice()
    else {
        panic!("{comparison:?}")
    };
    assert_eq!((expected.number, got.number), (5, 5));
    assert_eq!(
        comparison.to_string(),
        "@@ task @@\n      2  a\n      3  b\n      4  c\n-     5  d\n+     5  x\n      6  e\n"
    );
}

const INTERRUPTS: &str = "=== /proc/interrupts\n           CPU0       CPU1       \n  \
    0:         33          0   IO-APIC   2-edge      timer\n 29:          1          2   PCI-MSI 49152-edge      nvme0q0\n\
    NMI:          0          0   Non-maskable interrupts\nERR:          0\n";

#[test]
fn counts_and_other_rows_of_proc_interrupts_are_free() {
    let same = |got: &str| check(&compare_state(INTERRUPTS, got, true), &[]);
    same(INTERRUPTS);
    same(&INTERRUPTS.replace("         33", " 1234567890").replace("NMI:          0", "NMI:          7"));
    same(&INTERRUPTS.replace("ERR:          0\n", ""));
    let place = "/proc/interrupts";
    check(
        &compare_state(INTERRUPTS, &INTERRUPTS.replace("PCI-MSI", "IR-PCI-MSI"), true),
        &[(
            place,
            Some(" 29: * *   PCI-MSI 49152-edge      nvme0q0"),
            Some(" 29: * *   IR-PCI-MSI 49152-edge      nvme0q0"),
        )],
    );
    check(
        &compare_state(INTERRUPTS, &INTERRUPTS.replace("          2   PCI", "   PCI"), true),
        &[(
            place,
            Some(" 29: * *   PCI-MSI 49152-edge      nvme0q0"),
            Some(" 29: *   PCI-MSI 49152-edge      nvme0q0"),
        )],
    );
    let one_cpu = compare_state(INTERRUPTS, &INTERRUPTS.replace("       CPU1", ""), true);
    let heading = one_cpu.differences[0].got_line.as_ref().unwrap();
    assert_eq!(heading.text, "           CPU0       ");
}

#[test]
fn nodes_are_free_on_a_machine_with_one() {
    let expected = "=== /proc/irq/9/node\n0\n=== /sys/kernel/debug/irq/irqs/9\nnode:     0\nddepth:   0\n";
    let got = "=== /proc/irq/9/node\n-1\n=== /sys/kernel/debug/irq/irqs/9\nnode:     -1\nddepth:   0\n";
    check(&compare_state(expected, got, true), &[]);
    assert_eq!(compare_state(expected, got, true).lines_compared, 2);
    check(
        &compare_state(expected, got, false),
        &[
            ("/proc/irq/9/node", Some("0"), Some("-1")),
            ("/sys/kernel/debug/irq/irqs/9", Some("node:     0"), Some("node:     -1")),
        ],
    );
}

#[test]
fn debugfs_of_the_serial_ports_is_left_out() {
    let both = "=== /sys/kernel/debug/irq/irqs/3\na\n=== /sys/kernel/debug/irq/irqs/30\nb\n";
    let without = "=== /sys/kernel/debug/irq/irqs/30\nb\n";
    check(&compare_state(without, both, false), &[]);
    assert_eq!(compare_state(both, without, false).lines_compared, 2);
}

#[test]
fn missing_files_and_their_order_show() {
    check(
        &compare_state("=== /a\n1\n=== /b\n2\n", "=== /b\n2\n", true),
        &[("/a", Some("=== /a"), None), ("/a", Some("1"), None)],
    );
    let swapped = compare_state("=== /a\n1\n=== /b\n2\n", "=== /b\n2\n=== /a\n1\n", true);
    assert!(!swapped.is_equal() && swapped.lines_compared == 4);
    assert!(swapped.differences.iter().all(|d| d.place == "order of the files"));
}

/// Two interrupts that probe one after the other, in both orders. Counters are what the matrix
/// would say.
const ONLINE: &str = "@ irq_matrix_online: online_maps=1 global_avl=200, global_rsvd=2, total_alloc=0\n\
    @ irq_matrix_online: online_maps=2 global_avl=400, global_rsvd=2, total_alloc=0\n";

fn probe(irq: u32, cpu: u32, avl: u32, alloc: u32, rsvd: u32) -> String {
    format!(
        "@ vector_activate: irq={irq} is_managed=0 can_reserve=1 reserve=0\n\
         @ irq_matrix_alloc: bit={irq} cpu={cpu} online=1 avl=199 alloc=1 managed=0 online_maps=2 \
         global_avl={avl}, global_rsvd={rsvd}, total_alloc={alloc}\n\
         @ vector_alloc: irq={irq} vector={irq} reserved=1 ret=0\n"
    )
}

#[test]
fn a_boot_may_probe_in_another_order() {
    let expected = format!("{ONLINE}{}{}", probe(33, 0, 399, 1, 1), probe(34, 1, 398, 2, 0));
    let swapped = format!("{ONLINE}{}{}", probe(34, 1, 399, 1, 1), probe(33, 0, 398, 2, 0));
    check(&compare_boot_events(&expected, &expected), &[]);
    check(&compare_boot_events(&expected, &swapped), &[]);
}

#[test]
fn a_boot_must_count_right_in_every_order() {
    let expected = format!("{ONLINE}{}{}", probe(33, 0, 399, 1, 1), probe(34, 1, 398, 2, 0));
    let wrong = format!("{ONLINE}{}{}", probe(34, 1, 399, 1, 1), probe(33, 0, 399, 2, 0));
    check(
        &compare_boot_events(&expected, &wrong),
        &[(
            "irq 33",
            Some(
                "@ irq_matrix_alloc: bit=33 cpu=0 online=1 avl-1 alloc+1 managed+0 online_maps+0 \
                 global_avl-1 global_rsvd-1 total_alloc+1",
            ),
            Some(
                "@ irq_matrix_alloc: bit=33 cpu=0 online=1 avl-1 alloc+1 managed+0 online_maps+0 \
                 global_avl+0 global_rsvd-1 total_alloc+1",
            ),
        )],
    );
    // Before the last CPU is up nothing is free.
    let early = expected.replace("global_avl=200,", "global_avl=201,");
    assert!(compare_boot_events(&expected, &early).differences.iter().any(|d| d.place == SEQUENTIAL));
    // Neither is the order within one interrupt.
    let text = "@ vector_activate: irq=1 reserve=0\n@ vector_config: irq=1 vector=2\n";
    let reversed: String = text.lines().rev().flat_map(|line| [line, "\n"]).collect();
    assert!(!compare_boot_events(&format!("{ONLINE}{text}"), &format!("{ONLINE}{reversed}")).is_equal());
}

#[test]
fn matrix_lines_belong_to_the_interrupt_whose_operation_they_are() {
    let check = |stream: &str, at: usize, irq: Option<&str>| {
        let events: Vec<_> = stream.split(';').map(BootEvent::parse).collect();
        assert_eq!(owner(&events, at), irq, "{stream}");
    };
    // Without the vector lock another CPU's line may come between.
    let stream = "@ irq_matrix_alloc: bit=1;@ vector_activate: irq=9;@ vector_alloc: irq=24";
    check(stream, 0, Some("24"));
    let stream = "@ vector_clear: irq=4 cpu=0;@ irq_matrix_free: bit=1;@ vector_activate: irq=9";
    check(stream, 1, Some("4"));
    let stream = "@ vector_teardown: irq=4 x=0;@ irq_matrix_remove_managed: bit=1";
    check(stream, 1, Some("4"));
    let stream = "@ vector_teardown: irq=4 x=0;@ irq_matrix_reserve_managed: bit=1;\
                  @ irq_matrix_remove_managed: bit=1;@ vector_reserve_managed: irq=5 ret=-28";
    check(stream, 2, Some("5"));
    check("@ irq_matrix_assign: bit=1;@ vector_alloc: irq=24", 0, None);
}
