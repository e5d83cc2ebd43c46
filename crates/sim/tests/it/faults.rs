//! Every fault that the trials of ec61cf5 found has a test that fails there: R0 to R15 of the reliability trial, what
//! it noticed about the hardware, and the rows of the list of callees that the model left out.
//!
//! What a machine and a script can ask is in `faults.toml`. `ELSEWHERE` names the tests of the rest.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use diagnostic::Diagnostic;
use serde::Deserialize;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// Faults whose tests need more than a script: fault, crate, file and test.
const ELSEWHERE: [(&str, &str, &str, &str); 24] = [
    ("R0", "irqlab", "licences", "nothing_that_is_linked_is_offered_under_apache_alone"),
    ("R2", "irqlab", "sturdy", "a_mistake_may_be_at_any_column"),
    ("R3", "irqlab", "sturdy", "a_full_output_is_an_answer"),
    ("R3", "irqlab", "sturdy", "who_does_not_read_on_changes_nothing"),
    ("R4", "irqlab", "sturdy", "what_is_there_stays_unless_it_was_said"),
    ("R4", "irqlab", "sturdy", "the_remains_of_a_capture_do_not_pass"),
    ("R5", "irqlab", "sturdy", "time_does_not_run_over"),
    ("R6", "irqlab", "sturdy", "options_beyond_reason_are_refused"),
    ("R7", "irqlab", "sturdy", "what_nobody_asks_for_is_not_kept"),
    ("R7", "irqlab", "sturdy", "an_input_without_an_end_is_refused"),
    ("R8", "irqlab", "sturdy", "a_result_is_printed_although_its_file_cannot_be_written"),
    ("R8", "irqlab", "explore", "a_signal_ends_a_search_with_what_was_covered"),
    ("R11", "irqlab", "sturdy", "who_does_not_read_on_changes_nothing"),
    ("R12", "irqlab", "sturdy", "a_difference_of_boots_takes_no_longer_than_reading_it"),
    ("R13", "irqlab", "sturdy", "a_folder_that_cannot_be_written_says_what_was_tried"),
    ("R14", "irqlab", "explore", "parts_of_a_search_come_to_the_whole"),
    ("R15", "irqlab", "sturdy", "counters_that_no_kernel_has_are_a_difference"),
    (
        "hardware",
        "drivers",
        "virtio_conformance",
        "a_generation_does_not_come_back_with_changes_that_nobody_reads",
    ),
    ("hardware", "x86apic", "hardware", "the_bootstrap_flag_stays_as_written"),
    ("hardware", "x86apic", "hardware", "reserved_bits_fault_in_x2apic_mode"),
    ("hardware", "sim", "cpu_hotplug", "interrupts_that_could_not_leave_a_cpu_lose_their_slots"),
    ("row 21", "sim", "nvme_driver", "no_more_is_aborted_at_a_time_than_the_controller_takes"),
    ("row 22", "sim", "nvme_driver", "without_a_list_every_namespace_is_asked_for"),
    ("row 24", "sim", "kernel_log", "a_message_of_a_bound_function_names_the_driver"),
];

/// The list of callees has no other rows.
const ROWS: [u32; 23] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25];

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    fault: String,
    what: String,
    #[serde(default = "every_kernel")]
    kernels: Vec<String>,
    machine: String,
    #[serde(default)]
    pci: Vec<String>,
    #[serde(default)]
    script: String,
    prints: Option<Vec<String>>,
    refused: Option<String>,
}

fn every_kernel() -> Vec<String> {
    kstate::semantics::KernelVersion::ALL.iter().map(|kernel| kernel.name().to_owned()).collect()
}

fn cases() -> Vec<Case> {
    toml::from_str::<Cases>(include_str!("faults.toml")).expect("cases").case
}

/// The devices that a case names.
fn device(name: &str) -> String {
    let function = |place: &str, model: &str, keys: &str, pin: u32| {
        format!("[[pci]]\naddress = \"0000:00:{place}\"\nmodel = \"{model}\"\n{keys}\nintx_gsi = {pin}\n")
    };
    match name {
        "nvme" => function("03.0", "nvme", "io_queue_pairs_max = 64\nmsix_vectors = 65", 23),
        "nvme-msi" => {
            function("03.0", "nvme", "io_queue_pairs_max = 4\nmsix_vectors = 0\nmsi_vectors = 4", 23)
        }
        "virtio-blk" => function("04.0", "virtio-blk", "request_queues = 4\nmsix_vectors = 5", 20),
        "test" => function("05.0", "test", "msix_vectors = 256", 21),
        "101 disks" => (0..101)
            .map(|n| format!("{:02x}.{}", 3 + n / 8, n % 8))
            .map(|place| function(&place, "virtio-blk", "request_queues = 1\nmsix_vectors = 2", 20))
            .collect(),
        _ => panic!("no case has a device {name}"),
    }
}

/// What is wrong with the answer.
fn mistakes(case: &Case, kernel: &str) -> Vec<String> {
    let devices: String = case.pci.iter().map(|name| device(name)).collect();
    let text = format!("kernel = \"{kernel}\"\n{}{devices}", case.machine);
    let shown = |e: &dyn Diagnostic| {
        format!("{e}: {}: {}", e.place().map_or("", |place| place.label()), e.help().unwrap_or_default())
    };
    let machine = Machine::parse("machine.toml", &text).map_err(|e| shown(&e));
    let script = Script::parse("script.sh", &case.script).map_err(|e| shown(&e));
    let (machine, script) = match (machine, script) {
        (Ok(machine), Ok(script)) => (machine, script),
        (Err(e), _) | (_, Err(e)) => {
            return if case.refused.as_ref().is_some_and(|text| e.contains(text)) {
                Vec::new()
            } else {
                vec![e]
            };
        }
    };
    if case.refused.is_some() {
        return vec!["it is accepted".to_owned()];
    }
    let mut lab = Lab::boot(&machine);
    lab.run_each(&script, |_| {}, |_, _| {});
    let mut mistakes: Vec<String> = lab.failed.iter().map(|failure| format!("{failure:?}")).collect();
    let printed: Vec<&str> = (lab.terminal.iter())
        .filter(|line| !line.contains("assertion failed"))
        .filter_map(|line| line.rsplit(": ").next())
        .collect();
    if case.prints.as_ref().is_some_and(|prints| *prints != printed) {
        mistakes.push(format!("it prints {:#?}", lab.terminal));
    }
    assert!(case.prints.is_some() || case.script.contains("#: assert"), "{}: nothing is asked", case.what);
    mistakes
}

#[test]
fn every_case_is_answered_right() {
    for case in cases() {
        for kernel in &case.kernels {
            let found = mistakes(&case, kernel);
            assert!(found.is_empty(), "{}, {} on {kernel}: {found:#?}", case.fault, case.what);
        }
    }
}

#[test]
fn every_fault_has_a_test() {
    let mut tested: BTreeSet<String> = cases().into_iter().map(|case| case.fault).collect();
    for (fault, package, file, test) in ELSEWHERE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../{package}/tests/it/{file}.rs"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(text.contains(&format!("#[test]\nfn {test}()")), "{fault}: {file}.rs has no test {test}");
        tested.insert(fault.to_owned());
    }
    let rows = ROWS.iter().map(|row| format!("row {row}"));
    let trial = (0..=15).map(|r| format!("R{r}"));
    for fault in rows.chain(trial).chain(["R1b".to_owned(), "hardware".to_owned()]) {
        assert!(tested.contains(&fault), "{fault} has no test");
    }
}
