//! What people paste: strings of public reports, whole lines of logs and halves, and what a shell printed.

use explain::{Entry, Kind, look_up};

/// The answers contain one of this kind whose name or text has the piece.
#[track_caller]
fn answered(question: &str, kind: Kind, piece: &str) -> Vec<Entry> {
    let found = look_up(question);
    let names: Vec<(Kind, &str)> = found.answers.iter().map(|e| (e.kind, e.name.as_str())).collect();
    let has = |entry: &Entry| {
        entry.kind == kind
            && (entry.name.contains(piece)
                || entry.text.contains(piece)
                || entry.values.iter().any(|value| value.text.contains(piece)))
    };
    assert!(found.answers.iter().any(has), "`{question}`: no {kind:?} with `{piece}` in {names:?}");
    found.answers
}

/// The first answer is it.
#[track_caller]
fn first(question: &str, kind: Kind, piece: &str) {
    let answers = answered(question, kind, piece);
    assert!(
        answers[0].kind == kind && (answers[0].name.contains(piece) || answers[0].text.contains(piece)),
        "`{question}` begins with {:?} {}",
        answers[0].kind,
        answers[0].name
    );
}

#[test]
fn the_strings_that_reports_begin_with() {
    first("smp_affinity", Kind::File, "/proc/irq/N/smp_affinity");
    first("effective_affinity", Kind::File, "/proc/irq/N/effective_affinity");
    first("EIO", Kind::Error, "Input/output error");
    first("EPERM", Kind::Error, "Operation not permitted");
    first("ENOSPC", Kind::Error, "free vector");
    first("No irq handler for vector", Kind::Message, "No irq handler for");
    first("Cannot disable CPU", Kind::Message, "Cannot disable CPU");
    first("isolcpus", Kind::Parameter, "isolcpus=");
    first("managed_irq", Kind::Parameter, "isolcpus=");
    first("irqaffinity", Kind::Parameter, "irqaffinity=");
}

#[test]
fn why_queues_cannot_be_moved() {
    // Case 01 and 22: which errors, which interrupts, and which function says so.
    let answers = answered("write error: Input/output error smp_affinity", Kind::File, "managed");
    let value = answers[0].values.iter().find(|value| value.name == "EIO").expect("the error of this file");
    assert_eq!(value.kernels, ["v5.4"]);
    assert_eq!(value.decides[0].function, "irq_can_set_affinity_usr");
    let answers = answered(
        "tee: /proc/irq/120/smp_affinity_list: Operation not permitted",
        Kind::File,
        "/proc/irq/N/smp_affinity",
    );
    assert_eq!(answers[0].values.len(), 1, "only the error that was asked for");
    assert_eq!(answers[0].values[0].kernels, ["v6.12", "v7.3"]);
    answered("bash: /proc/irq/45/smp_affinity: Permission denied", Kind::File, "0444");
    answered("nvme managed interrupts", Kind::Notion, "admin queue");
    answered("Cannot change IRQ 57 affinity: Input/output error", Kind::Program, "irqbalance");
    answered(
        "irqbalance[812]: Cannot change IRQ 57 affinity: Operation not permitted",
        Kind::Program,
        "manages",
    );
    answered("IRQ 57 affinity is now unmanaged", Kind::Program, "irqbalance");
}

#[test]
fn why_a_wide_mask_uses_one_cpu() {
    // Case 30.
    for question in [
        "effective_affinity",
        "why only one cpu",
        "interrupts only on one cpu",
        "/proc/irq/30/effective_affinity_list",
    ] {
        let found = look_up(question);
        let one = |e: &Entry| {
            e.text.contains("one CPU") && e.decides.iter().any(|d| d.function == "apic_update_irq_cfg")
        };
        assert!(found.answers.iter().any(one), "{question}");
    }
}

#[test]
fn lines_of_logs_whole_and_half() {
    use Kind::{Message, Program};
    for (question, kind, piece) in [
        ("do_IRQ: 3.38 No irq handler", Message, "No irq handler for"),
        ("do_IRQ: 3.38 No irq handler for vector (irq -1)", Message, "No irq handler for"),
        ("[  123.456789] do_IRQ: 1.55 No irq handler for vector", Message, "No irq handler for"),
        (
            "Nov 28 01:24:15 host kernel: __common_interrupt: 5.33 No irq handler for vector",
            Message,
            "No irq handler",
        ),
        ("<2>[   12.000000] common_interrupt: No irq handler for 3.38", Message, "No irq handler for"),
        ("no IRQ Handler for VECTOR", Message, "No irq handler for"),
        ("CPU 3 has 201 vectors, 180 available. Cannot disable CPU", Message, "Cannot disable CPU"),
        (
            "[Sat Nov 28 01:24:15 2026] CPU 3 has 201 vectors, 180 available. Cannot disable CPU",
            Message,
            "M15",
        ),
        ("201 vectors, 180 available", Message, "Cannot disable CPU"),
        ("Reserved vectors 12 > available 4. IRQ request may fail", Message, "reservation"),
        ("Interrupt reservation exceeds available resources", Message, "reservation"),
        ("irq 16: nobody cared", Message, "nobody cared"),
        ("irq 16: nobody cared (try booting with the \"irqpoll\" option)", Message, "99900"),
        ("Disabling IRQ #16", Message, "nobody cared"),
        ("kernel: Disabling IRQ #255", Message, "99900"),
        ("nvme nvme0: I/O 12 QID 4 timeout", Message, "QID is the queue"),
        ("nvme nvme0: I/O 12 QID 4 timeout, completion polled", Message, "interrupt was lost"),
        ("nvme nvme1: I/O tag 832 (1340) QID 6 timeout, completion polled", Message, "interrupt was lost"),
        ("nvme nvme0: I/O 128 QID 3 timeout, aborting", Message, "tag"),
        ("nvme 0000:01:00.0: I/O 8 QID 0 timeout, disable controller", Message, "admin queue"),
        ("IRQ 45: no longer affine to CPU7", Message, "no longer affine to CPU"),
        ("IRQ45: set affinity failed(-28).", Message, "M16"),
        ("irq 45: Affinity broken due to vector space exhaustion.", Message, "vector"),
        ("Moved interrupt pending in old target APIC 45", Message, "timer"),
        ("IRQ fixup: irq 45 move in progress, old vector 61", Message, "old vector"),
        ("smpboot: CPU 4 is now offline", Message, "went down"),
        ("smpboot: Booting Node 0 Processor 4 APIC 0x4", Message, "comes up"),
        ("genirq: Flags mismatch irq 16. 00000080 (ehci_hcd) vs. 00000000 (foo)", Message, "EBUSY"),
        ("Unbalanced enable for IRQ 24", Message, "enable_irq"),
        ("Trying to free already-free IRQ 24", Message, "free_irq"),
        ("unexpected IRQ trap at vector 1f", Message, "acknowledges"),
        ("Spurious interrupt (vector 0x25) on CPU#2. Acked", Message, "EOI"),
        ("DMAR-IR: Enabled IRQ remapping in x2apic mode", Message, "remapping is on"),
        ("DMAR: DRHD: handling fault status reg 2", Message, "fault status reg"),
        ("DMAR: Failed to map dmar0", Message, "Failed to map"),
        ("x2apic: IRQ remapping doesn't support X2APIC mode", Message, "xAPIC"),
        ("isolcpus: Skipped unknown flag foo", Message, "flag"),
        ("isolcpus: Error, unknown flag", Message, "managed_irq"),
        (
            "Unknown kernel command line parameters \"isolcpu=3\", will be passed to user space.",
            Message,
            "misspelt",
        ),
        ("Broke affinity for irq 45", Program, "no longer affine"),
        ("Failed to allocate vectors", Program, "ENOSPC"),
        ("mydriver 0000:03:00.0: failed to allocate IRQ vectors: -28", Program, "ENOSPC"),
        ("Failed to set affinity: Input/output error", Program, "smp_affinity"),
    ] {
        answered(question, kind, piece);
    }
}

#[test]
fn what_a_shell_printed() {
    for (question, error) in [
        ("-bash: echo: write error: Input/output error", "EIO"),
        ("bash: echo: write error: No space left on device", "ENOSPC"),
        ("sh: write error: Invalid argument", "EINVAL"),
        ("echo: write error: Value too large for defined data type", "EOVERFLOW"),
        ("write error: Numerical result out of range", "ERANGE"),
        ("tee: online: Device or resource busy", "EBUSY"),
        ("ret=-28", "ENOSPC"),
        ("error -22", "EINVAL"),
        ("errno 5", "EIO"),
    ] {
        let found = look_up(question);
        let first = found.answers.iter().find(|e| e.kind == Kind::Error);
        assert_eq!(first.map(|e| e.name.as_str()), Some(error), "{question}");
    }
}

#[test]
fn a_whole_log_is_answered_line_by_line() {
    let found = look_up(
        "[    1.0] DMAR-IR: Enabled IRQ remapping in xapic mode\n\
         [    2.0] something that no kernel says zzzz\n\
         [   99.0] irq 16: nobody cared\n[   99.0] Disabling IRQ #16\n",
    );
    let names: Vec<&str> = found.answers.iter().map(|e| e.name.as_str()).collect();
    assert!(names.iter().any(|name| name.contains("Enabled IRQ remapping")), "{names:?}");
    assert!(names.iter().any(|name| name.contains("nobody cared")), "{names:?}");
}

#[test]
fn a_warning_names_its_function() {
    let answers = answered(
        "[ 12.3] WARNING: CPU: 3 PID: 123 at kernel/irq/matrix.c:429 irq_matrix_free+0x12/0x34",
        Kind::Warning,
        "irq_matrix_free",
    );
    assert_eq!(answers[0].notes.len(), 3, "all kernels warn there");
    answered("WARNING: at kernel/irq/matrix.c irq_matrix_free", Kind::Warning, "irq_matrix_free");
}

#[test]
fn what_nobody_knows_is_answered_with_what_is_near() {
    for (question, near) in
        [("smp_afinity", "smp_affinity"), ("irq_startpu", "irq_startup"), ("isolcpu", "isolcpus")]
    {
        let found = look_up(question);
        assert!(found.answers.is_empty(), "{question}");
        assert!(found.near.iter().any(|name| name.contains(near)), "{question}: {:?}", found.near);
    }
    for question in ["", " ", "hello world", "\u{0}", "%s %d", "::", "////", "-", "=", "()", "'"] {
        let found = look_up(question);
        assert!(found.answers.is_empty(), "{question}: {:?}", found.answers);
    }
}
