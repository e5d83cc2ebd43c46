//! States of captures are archives: what a real kernel's files said comes back out of the machine.

use std::fs;
use std::path::Path;

use import::tree::Tree;
use import::{Options, Source};

/// How much of each kind agrees, in the order of the table.
fn compared(state: &Path) -> Vec<(String, usize, usize)> {
    let source = Source::of(&Tree::read(state).expect("a state"));
    let (imported, _) = source.import(&Options::default()).expect("a machine");
    let check = source.check(&imported);
    check.kinds.iter().map(|kind| (kind.what.to_owned(), kind.lines, kind.same)).collect()
}

#[test]
fn interrupts_and_affinities_of_every_capture_come_back() {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures");
    let mut seen = 0;
    for kernel in ["v5.4", "v6.12", "v7.3"] {
        for capture in fs::read_dir(captures.join(kernel)).expect("captures").flatten() {
            let state = capture.path().join("state-boot.txt");
            if !state.is_file() {
                continue;
            }
            seen += 1;
            for (what, lines, same) in compared(&state) {
                let must = ["CPUs", "/proc", "managed", "smp_"].iter().any(|start| what.starts_with(start));
                assert!(!must || lines == same, "{}: {what}: {same} of {lines}", state.display());
            }
        }
    }
    assert!(seen >= 40, "{seen} captures");
}
