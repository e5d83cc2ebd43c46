//! Every kernel function that the captures show is one that the emulator runs and shows too.
//!
//! `tests/captures/*/functions.tsv` says for every function in scope whether some capture shows it.
//! Which functions the emulator runs beyond those is printed by C file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use kstate::semantics::KernelVersion;
use kstate::trace::What;
use record::Entry;
use record::formats::{events, flow};
use record::functions::Functions;
use sim::plan::{Kind, Output};

/// What the table of a kernel says of a function.
struct Row {
    name: String,
    file: String,
    traceable: bool,
    in_captures: bool,
}

fn table(kernel: &str) -> Vec<Row> {
    let path = crate::common::root().join(kernel).join("functions.tsv");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("function\tfile\tline\ttraceable\tin_captures"));
    let rows = lines.map(|line| {
        let [name, file, _, traceable, in_captures] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{}: {line}", path.display());
        };
        Row {
            name: name.into(),
            file: file.into(),
            traceable: traceable == "yes",
            in_captures: in_captures == "yes",
        }
    });
    rows.collect()
}

/// The functions that a recording shows.
fn shown(kind: Kind, output: &Output, names: &mut BTreeSet<String>) {
    match kind {
        Kind::Flow => {
            let recording = flow::parse(&output.text).expect("a recording reads back");
            let lines = recording.trees.into_iter().flat_map(|tree| tree.lines);
            names.extend(lines.filter_map(|line| match line.entry {
                Entry::Call(name) => Some(name.into_owned()),
                Entry::Tracepoint(_) => None,
            }));
        }
        Kind::Events => {
            let events = events::parse(&output.text).expect("events read back");
            names.extend(events.into_iter().flat_map(|event| event.stack).map(|name| name.into_owned()));
        }
        Kind::BootEvents | Kind::State | Kind::Msix => {}
    }
}

/// The table lists the weak functions of drivers/pci/msi.c, in whose place x86 puts its own.
const OVERRIDE_WEAK: [&str; 3] = ["arch_setup_msi_irqs", "arch_teardown_msi_irq", "arch_teardown_msi_irqs"];

/// What the emulator did in all captures of a kernel.
#[derive(Default)]
struct Seen {
    /// Functions that recordings show.
    shown: BTreeSet<String>,
    /// Functions that ran at any time since power-on.
    ran: BTreeSet<String>,
    /// Those of them whose C file in this kernel is not among the files that they name.
    misplaced: BTreeSet<String>,
}

fn seen(kernel: &str) -> Seen {
    let mut seen = Seen::default();
    // The table does not count what drawn machines show.
    for case in crate::common::cases(kernel).iter().filter(|case| !case.starts_with("fuzz/")) {
        let capture = crate::common::capture(kernel, case);
        let (lab, outputs) = capture.run().unwrap_or_else(|e| panic!("{e}"));
        for output in &outputs {
            let planned = capture.files.iter().find(|(planned, _)| planned.file == output.name);
            shown(planned.expect("an output of the script").0.kind, output, &mut seen.shown);
        }
        let mut last = "";
        for record in &lab.k.trace.records {
            if let What::Enter { meta, .. } = record.what
                && meta.name != last
            {
                last = meta.name;
                if !seen.ran.contains(last) {
                    seen.ran.insert(last.to_owned());
                    let file = lab.functions().get(last).map(|function| function.file);
                    if file.is_some_and(|file| !meta.files.contains(&file)) && !OVERRIDE_WEAK.contains(&last)
                    {
                        seen.misplaced.insert(format!(
                            "{last}: {} {:?}",
                            file.unwrap_or_default(),
                            meta.files
                        ));
                    }
                }
            }
        }
    }
    seen
}

fn check(version: KernelVersion) {
    let table = table(version.name());
    let seen = seen(version.name());

    let wanted: Vec<&Row> = table.iter().filter(|row| row.in_captures).collect();
    assert!(wanted.len() > 200, "{} functions", wanted.len());
    let missing: Vec<_> =
        wanted.iter().filter(|row| !seen.shown.contains(&row.name)).map(|row| &row.name).collect();
    assert!(
        missing.is_empty(),
        "{}: the captures show them, no recording of the emulator does: {missing:?}",
        version.name()
    );

    assert!(
        seen.misplaced.is_empty(),
        "{}: their attributes name other files: {:#?}",
        version.name(),
        seen.misplaced
    );

    // And no recording shows what the captures do not: they would differ.
    let functions = Functions::of(version);
    let known: BTreeSet<&str> = wanted.iter().map(|row| row.name.as_str()).collect();
    let extra: Vec<_> = seen
        .shown
        .iter()
        .filter(|name| functions.get(name).is_some() && !known.contains(name.as_str()))
        .collect();
    assert!(extra.is_empty(), "{}: only the emulator shows them: {extra:?}", version.name());

    println!("{}: traceable functions in scope that ran, by file", version.name());
    let mut files: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in table.iter().filter(|row| row.traceable) {
        let (ran, all) = files.entry(&row.file).or_default();
        *ran += usize::from(seen.ran.contains(&row.name));
        *all += 1;
    }
    for (file, (ran, all)) in &files {
        println!("{ran:>5} of {all:>4}  {file}");
    }
    let (ran, all) = files.values().fold((0, 0), |sum, file| (sum.0 + file.0, sum.1 + file.1));
    println!("{ran:>5} of {all:>4}  in all, {} of them shown", wanted.len());
}

#[test]
fn v5_4_runs_every_function_that_its_captures_show() {
    check(KernelVersion::V5_4);
}

#[test]
fn v6_12_runs_every_function_that_its_captures_show() {
    check(KernelVersion::V6_12);
}

#[test]
fn v7_3_runs_every_function_that_its_captures_show() {
    check(KernelVersion::V7_3);
}
