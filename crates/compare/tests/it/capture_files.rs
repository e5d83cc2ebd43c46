//! Every capture file parses, prints back to itself and agrees with itself; and the rules find
//! what is changed in one.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use compare::capture::Capture;
use compare::{capture, verify};
use diagnostic::file::Existing;
use kstate::semantics::KernelVersion;
use record::Entry;
use record::formats::{events, flow};
use record::functions::Functions;
use sim::plan::{Kind, Output};

fn captures() -> Vec<(KernelVersion, Capture)> {
    let mut captures = Vec::new();
    for &version in KernelVersion::ALL {
        let cases = crate::common::cases(version.name());
        captures.extend(cases.iter().map(|case| (version, crate::common::capture(version.name(), case))));
    }
    assert!(captures.len() > 20);
    captures
}

/// Every file with a text: `(kernel, where, kind, text)`.
fn files() -> Vec<(KernelVersion, String, Kind, String)> {
    let mut files = Vec::new();
    for (version, capture) in captures() {
        for (planned, text) in capture.files {
            let name = format!("{}/{}", capture.folder.display(), planned.file);
            files.extend(text.map(|text| (version, name, planned.kind, text)));
        }
    }
    files
}

#[test]
fn every_recording_of_a_folder_is_in_its_script() {
    for (_, capture) in captures() {
        for entry in fs::read_dir(&capture.folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let known = ["machine.toml", "script.sh", "boot.toml"].contains(&name.as_str())
                // Commands are for building the controller and not compared.
                || name.ends_with(".commands")
                || capture.files.iter().any(|(planned, _)| planned.file == name);
            assert!(known, "{}: {name}", capture.folder.display());
        }
        for (planned, text) in &capture.files {
            // A state may be lacking; a recording may not.
            assert!(text.is_some() || planned.kind == Kind::State, "{}", planned.file);
        }
    }
}

#[test]
fn parsing_and_printing_is_the_identity() {
    for (_, name, kind, text) in files() {
        let printed = match kind {
            Kind::Flow => flow::print(&flow::parse(&text).unwrap()),
            Kind::Events => events::print(&events::parse(&text).unwrap()),
            Kind::BootEvents => events::print_boot(&events::parse_boot(&text).unwrap()),
            Kind::State | Kind::Msix => continue,
        };
        assert_eq!(printed, text, "{name}");
    }
}

#[test]
fn captures_show_only_functions_of_the_tables() {
    for (version, name, kind, text) in files() {
        let functions = Functions::of(version);
        match kind {
            Kind::Flow => {
                for tree in flow::parse(&text).unwrap().trees {
                    for line in tree.lines {
                        if let Entry::Call(function) = line.entry {
                            assert!(functions.shown(&function).is_some(), "{name}: {function}");
                        }
                    }
                }
            }
            Kind::Events => {
                for event in events::parse(&text).unwrap() {
                    for function in event.stack {
                        assert!(functions.in_stacks(&function), "{name}: {function}");
                    }
                }
            }
            Kind::BootEvents | Kind::State | Kind::Msix => {}
        }
    }
}

#[test]
fn a_capture_agrees_with_itself() {
    for (_, capture) in captures() {
        // A state that a capture has not is the one before it.
        let mut state = None;
        let mut outputs = Vec::new();
        for (planned, text) in &capture.files {
            let text = if planned.kind == Kind::State {
                state = text.clone().or(state);
                state.clone()
            } else {
                text.clone()
            };
            outputs.extend(text.map(|text| Output { name: planned.file.clone(), text }));
        }
        let report = verify::verify(&capture, &outputs);
        assert!(report.passed(), "{}", report.diff());
        assert_eq!(report.rows.len(), capture.files.len());
        // An emulator that makes nothing does not pass.
        assert!(!verify::verify(&capture, &[]).passed());
    }
}

#[test]
fn a_changed_line_is_found_unless_it_is_free() {
    for (_, name, kind, text) in files() {
        let lines: Vec<&str> = text.lines().collect();
        // A sample of lines is enough: the rules look at lines one by one.
        for at in (0..lines.len()).step_by(1 + lines.len() / 8) {
            let mut changed = lines.clone();
            let line = format!("{}X", changed[at]);
            changed[at] = &line;
            let comparison = verify::compare(kind, &text, &(changed.join("\n") + "\n"), true);
            let free = kind == Kind::State && is_free(&lines[..=at]);
            assert!(free || !comparison.is_equal(), "{name}:{}: {line}", at + 1);
        }
    }
}

/// Whether the last of these lines of a state may differ on a machine with one node.
fn is_free(lines: &[&str]) -> bool {
    let path = lines.iter().rev().find_map(|line| line.strip_prefix("=== ")).unwrap_or("");
    let line = lines.last().copied().unwrap_or("").trim_start();
    let other_row = line.starts_with(|c: char| c.is_ascii_uppercase()) && !line.starts_with("CPU");
    path == "/proc/interrupts" && other_row
        || path.starts_with("/proc/irq/") && path.ends_with("/node")
        || path.starts_with("/sys/kernel/debug/irq/irqs/") && line.starts_with("node:")
}

#[test]
fn every_matrix_operation_of_a_boot_has_one_effect() {
    // The rule for boots rests on it: what an operation adds to the counters depends on nothing
    // but the operation.
    for (_, name, kind, text) in files() {
        if kind != Kind::BootEvents {
            continue;
        }
        let mut effects = BTreeMap::new();
        // Against nothing every line is a difference, and those after the last CPU came up show
        // changes in place of counters.
        for difference in verify::compare_boot_events(&text, "").differences {
            let line = difference.expected_line.unwrap().text;
            if !line.starts_with("@ irq_matrix_") || line.contains("global_avl=") {
                continue;
            }
            assert_ne!(difference.place, "no interrupt", "{name}: {line}");
            let is_change = |word: &&str| word.contains(['+', '-']);
            let effect: Vec<String> = line.split(' ').filter(is_change).map(str::to_owned).collect();
            let operation = line.split(':').next().unwrap().to_owned();
            assert_eq!(*effects.entry(operation).or_insert_with(|| effect.clone()), effect, "{name}: {line}");
        }
        assert!(effects.len() >= 5, "{name}: {effects:?}");
    }
}

#[test]
fn a_folder_that_is_written_reads_back() {
    let (_, first) = captures().swap_remove(0);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("capture");
    let outputs: Vec<Output> = first
        .files
        .iter()
        .filter_map(|(planned, text)| Some(Output { name: planned.file.clone(), text: text.clone()? }))
        .collect();
    let write = |existing| capture::write(&folder, &first.machine, &first.script.text, &outputs, existing);
    write(Existing::Replace).unwrap();
    assert!(write(Existing::Keep).is_err());
    write(Existing::Replace).unwrap();
    let second = Capture::read(&folder).unwrap();
    assert_eq!((second.machine, second.files), (first.machine, first.files));
}
