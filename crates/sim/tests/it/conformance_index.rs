//! Every case that other projects, kernel tests and published reports state (conformance.jsonl) is
//! tested somewhere, or stands in the one table of exceptions with the reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Cases without a test.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "KU-03",
        "about irq_startup_managed(), which came after the kernels that are modelled; what they do is KU-03b",
    ),
    (
        "KU-04",
        "about a disable that outlives CPU hotplug, which came after the kernels that are modelled; see KU-03b",
    ),
    (
        "OVM-NVME-13",
        "about another driver: Linux takes a controller whose queues have one entry and uses its admin queue only",
    ),
    ("VQ-04", "about packed virtqueues: the device does not offer VIRTIO_F_RING_PACKED"),
];

/// Cases that are tested but for a part.
const PARTS: &[(&str, &str)] = &[
    (
        "BMQ-01",
        "the count of read queues on 5.4, which the case also names: nvme_setup_irqs() of 5.4.0 asks for one vector per CPU at most",
    ),
    (
        "DBG-01",
        "the state bits, which are those of a release between the modelled ones; 6.12's are in DBG-05",
    ),
    (
        "MTX-04",
        "200 vectors on the whole machine: its kernel also sets vector 128 aside; the published table itself is exact",
    ),
    (
        "RUL-08",
        "the resume: suspending and resuming devices (kernel/irq/pm.c) is not modelled, the flag it leaves is",
    ),
    (
        "TRC-01",
        "the APIC ID 0x40 of CPU 26: CPUs of a machine file are numbered thread by thread, those of the case are not",
    ),
];

/// This file lists ids and tests nothing.
const INDEX: &str = "conformance_index.rs";

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sorted_entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in sorted_entries(folder) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with(INDEX) {
            found.push(path);
        }
    }
}

/// The words of all tests. What stands above a file as its description tests nothing.
fn words() -> Vec<String> {
    let mut files = Vec::new();
    for krate in sorted_entries(&workspace().join("crates")) {
        let tests = krate.join("tests");
        if tests.is_dir() {
            sources(&tests, &mut files);
        }
    }
    assert!(files.len() > 10, "{files:?}");
    let mut words = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        for line in text.lines().filter(|line| !line.starts_with("//!")) {
            let parts = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            words.extend(parts.filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    words.sort();
    words.dedup();
    words
}

/// The text of a field of one line of the file.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let from = line.split_once(&format!("\"{name}\": \"")).unwrap_or_else(|| panic!("no {name} in {line}")).1;
    from.split('"').next().unwrap_or_default()
}

#[test]
fn every_case_is_tested_or_listed() {
    let text =
        fs::read_to_string(workspace().join("tests/golden/conformance.jsonl")).expect("the file of cases");
    let cases: Vec<_> = text.lines().map(|line| (field(line, "id"), field(line, "area"))).collect();
    assert!(cases.len() >= 226, "{} cases", cases.len());
    let words = words();
    // By area: tested, exceptions.
    let mut areas: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut missing = Vec::new();
    let mut both = Vec::new();
    for &(id, area) in &cases {
        let tested = words.binary_search_by(|word| word.as_str().cmp(id)).is_ok();
        let listed = EXCEPTIONS.iter().any(|(exception, _)| *exception == id);
        let counts = areas.entry(area).or_default();
        counts.0 += usize::from(tested);
        counts.1 += usize::from(listed);
        match (tested, listed) {
            (false, false) => missing.push(id),
            (true, true) => both.push(id),
            _ => {}
        }
    }
    println!("{:16} {:>6} {:>10}", "area", "tested", "exceptions");
    for (area, (tested, listed)) in &areas {
        println!("{area:16} {tested:>6} {listed:>10}");
    }
    assert!(missing.is_empty(), "without a test: {missing:?}");
    assert!(both.is_empty(), "tested, and listed as if not: {both:?}");
    for (id, reason) in PARTS {
        println!("{id}, without {reason}");
        assert!(words.iter().any(|word| word == id), "{id} is not tested at all");
    }
    for (id, reason) in EXCEPTIONS.iter().chain(PARTS) {
        assert!(cases.iter().any(|(case, _)| case == id), "{id} is no case");
        assert!(!reason.is_empty());
    }
}
