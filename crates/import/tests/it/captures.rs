//! The captures are archives of real machines: what is imported of one behaves as the real kernel did there.

use std::path::{Path, PathBuf};

use compare::capture::{self, Capture};
use compare::verify;
use import::{Options, Source};
use kstate::semantics::KernelVersion;

/// All captures, those of drawn machines included.
fn captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures");
    let kernels = KernelVersion::ALL.iter().map(|kernel| root.join(kernel.name()));
    kernels
        .flat_map(|kernel| {
            capture::folders(&kernel).into_iter().chain(capture::folders(&kernel.join("fuzz")))
        })
        .collect()
}

fn named(folder: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures");
    folder.strip_prefix(root).map_or_else(|_| folder.display().to_string(), |path| path.display().to_string())
}

/// Captures that one choice by chance at the boot leads to, with how many lines of their quiet run differ. The move that it
/// leaves half done is over on a machine that was imported, where every interrupt has come since.
const BY_CHANCE: [(&str, usize); 1] = [("v7.3/fuzz/small-isolated-offline", 5)];

/// How many lines of a capture differ if the machine that was imported of `source` takes the place of its own.
fn differences(folder: &Path, source: &Path) -> (usize, String) {
    let source = Source::open(source).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let (imported, _) =
        source.import(&Options::default()).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut capture = Capture::read(folder).expect("a capture");
    capture.machine = imported.text;
    let verify::Run { report, .. } =
        verify::run(&capture).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    (report.differences().max(usize::from(!report.passed())), report.table() + &report.diff())
}

#[test]
fn what_is_imported_of_a_capture_passes_its_comparison() {
    let all = captures();
    assert!(all.len() > 85, "{} captures", all.len());
    for folder in &all {
        let (count, report) = differences(folder, folder);
        let by_chance = BY_CHANCE.iter().find(|(name, _)| *name == named(folder));
        assert_eq!(count, by_chance.map_or(0, |(_, lines)| *lines), "{}\n{report}", named(folder));
        if by_chance.is_some() {
            let own = verify::run(&Capture::read(folder).expect("a capture")).expect("a run").report;
            assert!(own.passed() && !own.schedule().is_empty(), "{} is the quiet run", named(folder));
        }
    }
}

/// What a state does not say of a machine, and its folder does.
fn unsaid(folder: &Path) -> Vec<&'static str> {
    let machine = Capture::read(folder).expect("a capture").machine().expect("a machine");
    let mut unsaid = Vec::new();
    if machine.cmdline.split_whitespace().any(|word| word != "intremap=on") {
        unsaid.push("the command line");
    }
    if machine.nodes.len() > 1 || machine.threads_per_core > 1 {
        unsaid.push("nodes and cores");
    }
    // How many queues the controller would have granted, and how large its table is.
    let more = |d: &sim::machine::PciDevice| {
        let pairs = d.parameters.first().copied().unwrap_or(0);
        d.msix_vectors != pairs + 1 || pairs > machine.possible
    };
    if machine.pci.iter().any(more) {
        unsaid.push("the device's limits");
    }
    unsaid
}

#[test]
fn a_state_alone_passes_where_it_says_everything() {
    let (mut whole, mut others) = (0, Vec::new());
    for folder in &captures() {
        let state = folder.join("state-boot.txt");
        if !state.is_file() {
            continue;
        }
        let (count, report) = differences(folder, &state);
        let unsaid = unsaid(folder);
        assert!(count == 0 || !unsaid.is_empty(), "{}\n{report}", named(folder));
        whole += usize::from(count == 0);
        if count > 0 {
            others.push(format!("{}: {}", named(folder), unsaid.join(", ")));
        }
    }
    assert!(whole >= 68, "{whole} pass\n{}", others.join("\n"));
}
