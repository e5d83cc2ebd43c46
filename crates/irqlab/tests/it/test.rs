//! `irqlab test` as a program: what passes, what fails and how it says so, and that it says of the captures what
//! `irqlab verify` says.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use irqlab::KernelVersion;

use crate::guide::Folder;

const MACHINE: &str = "kernel = \"v6.12\"\n[cpus]\npossible = 4\n\
    [[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 4\nmsix_vectors = 5\n";

const SCRIPT: &str = "\
#: flow down
echo 0 > /sys/devices/system/cpu/cpu3/online
#: end
#: state down
cat /sys/devices/system/cpu/online
#: assert /sys/devices/system/cpu/online == 0-2
";

fn test(folder: &Path, name: &str, machine: &str, script: &str) {
    let folder = folder.join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("machine.toml"), machine).unwrap();
    fs::write(folder.join("script.sh"), script).unwrap();
}

fn irqlab(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
    let Output { status, stdout, stderr } =
        command.args(arguments).env("NO_COLOR", "1").current_dir(folder).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn what_is_accepted_passes_and_what_changes_fails() {
    let folder = Folder::new("test-accept");
    test(&folder.0, "tests/down", MACHINE, SCRIPT);
    fs::write(folder.0.join("tests/down/terminal.txt"), "0-2\n").unwrap();
    // Nothing is there yet.
    let (status, said, _) = irqlab(&folder.0, &["test", "tests"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("FAIL  tests/down\n        01-down.flow: made, and not there: --accept writes it\n"),
        "{said}"
    );
    let (status, said, _) = irqlab(&folder.0, &["test", "tests", "--accept"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.starts_with("wrote tests/down/01-down.flow\nwrote tests/down/state-down.txt\nok "),
        "{said}"
    );
    let (status, said, _) = irqlab(&folder.0, &["test", "tests"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("\n1 test, 0 failed, "), "{said}");
    // A behaviour that is changed shows in the calls.
    let changed = ["test", "tests", "--set", "migrate_completes_move_first=off", "--verbose"];
    let (status, said, _) = irqlab(&folder.0, &changed);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("01-down.flow: ") && said.contains("irq_force_complete_move"), "{said}");
    // So does a line of the terminal, and an assertion.
    fs::write(folder.0.join("tests/down/terminal.txt"), "0-3\n").unwrap();
    let script = SCRIPT.replace("== 0-2", "== 0-3");
    fs::write(folder.0.join("tests/down/script.sh"), script).unwrap();
    let (status, said, _) = irqlab(&folder.0, &["test", "tests"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("terminal.txt: 2 differences in 1 line\n"), "{said}");
    assert!(
        said.contains("assertions: line 6: assertion failed: /sys/devices/system/cpu/online is \"0-2\""),
        "{said}"
    );
    // What no file can mend still fails.
    let (status, said, _) = irqlab(&folder.0, &["test", "tests", "--accept"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(fs::read_to_string(folder.0.join("tests/down/terminal.txt")).unwrap().starts_with("0-2\n"));
}

#[test]
fn other_test_runners_read_the_results() {
    let folder = Folder::new("test-formats");
    test(&folder.0, "a & b", MACHINE, "#: assert /sys/devices/system/cpu/online == 0-3\n");
    test(&folder.0, "c#1", MACHINE, "#: assert /sys/devices/system/cpu/online == <none>\n");
    test(&folder.0, "broken", "kernel = 5\n", "sleep 1\n");
    let (status, said, errors) = irqlab(&folder.0, &["test", ".", "--tap", "--junit", "out.xml"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(errors.contains("machine.toml:1:"), "{errors}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["TAP version 14", "ok 1 - ./a & b/assertions"]);
    assert!(lines[2].starts_with("not ok 2 - ./broken"), "{said}");
    assert!(said.contains("\nnot ok 3 - ./c\\#1/assertions\n  ---\n  message: \""), "{said}");
    assert_eq!(lines.last(), Some(&"1..3"));
    let xml = fs::read_to_string(folder.0.join("out.xml")).unwrap();
    assert!(
        xml.contains(
            "<testsuites name=\"irqlab\" tests=\"3\" failures=\"1\" errors=\"1\" skipped=\"0\" time="
        ),
        "{xml}"
    );
    assert!(xml.contains("classname=\"./a &amp; b\" name=\"assertions\"/>"), "{xml}");
    assert!(xml.contains("&lt;none&gt;") && !xml.contains("<none>"), "{xml}");
    assert_eq!(xml.matches("<testsuite ").count(), xml.matches("</testsuite>").count());
}

/// A capture that is not the quiet run passes, and every form of the results says which choices that took; one that no choices
/// lead to fails as it did.
#[test]
fn choices_by_chance_are_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = Folder::new("test-chance");
    fs::create_dir_all(folder.0.join("threads")).unwrap();
    for entry in fs::read_dir(root.join("tests/captures/v6.12/fuzz/small-threadirqs")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.0.join("threads").join(entry.file_name())).unwrap();
    }
    let why = "before the end of 04-unbind.flow: nvme0 completes on queue 0 at its usual time, and before CPU 0 takes irq 27 nvme0q0 \
               in handle_edge_irq()";
    let (status, said, _) = irqlab(&folder.0, &["verify", "threads"]);
    assert_eq!(status, Some(0), "{said}");
    let (head, choice) = said.split_once("equal with one choice by chance, schedule ").unwrap();
    assert!(head.contains("04-unbind.flow") && head.ends_with('\n'), "{said}");
    let schedule = choice.lines().next().unwrap().to_owned();
    assert!(schedule.ends_with(":1") && choice.contains(&format!("\n  {schedule} {why}\n")), "{said}");

    let (status, said, _) = irqlab(&folder.0, &["test", ".", "--junit", "out.xml"]);
    assert_eq!(status, Some(0), "{said}");
    let told = format!("equal with one choice by chance, schedule {schedule}\n");
    assert!(said.starts_with("ok    ./threads: ") && said.contains(&format!("\n        {told}")), "{said}");
    assert!(said.contains(&format!("\n          {schedule} {why}\n")), "{said}");
    let xml = fs::read_to_string(folder.0.join("out.xml")).unwrap();
    assert!(xml.contains(&format!("<property name=\"schedule\" value=\"{schedule}\"/>")), "{xml}");
    assert!(xml.contains(&format!("<system-out>{told}  {schedule} {why}</system-out>")), "{xml}");
    let (status, said, _) = irqlab(&folder.0, &["test", ".", "--tap"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains(&format!("\n# ./threads: {told}# ./threads:   {schedule} {why}\n1..9\n")),
        "{said}"
    );
    // The same choices again, and nothing is written.
    let (status, said, _) = irqlab(&folder.0, &["test", ".", "--accept"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(!said.contains("wrote ") && said.contains(&told), "{said}");

    let flow = folder.0.join("threads/04-unbind.flow");
    let text = fs::read_to_string(&flow).unwrap();
    fs::write(&flow, text.replacen("  nvme_irq\n", "  nvme_irq\n  nvme_irq\n", 1)).unwrap();
    let none = "no choice by chance leads to this record: runs tried: ";
    let (status, said, _) = irqlab(&folder.0, &["verify", "threads"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains(none) && !said.contains("schedule"), "{said}");
    let (status, said, _) = irqlab(&folder.0, &["test", ".", "--junit", "out.xml"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.starts_with("FAIL  ./threads\n        04-unbind.flow: ") && !said.contains(none), "{said}");
    assert!(fs::read_to_string(folder.0.join("out.xml")).unwrap().contains(&format!("<system-out>{none}")));
    let (_, said, _) = irqlab(&folder.0, &["test", ".", "--verbose"]);
    assert!(said.contains(&format!("\n        {none}")), "{said}");
}

#[test]
fn mistakes_are_answered() {
    let folder = Folder::new("test-mistakes");
    fs::create_dir_all(folder.0.join("empty")).unwrap();
    test(&folder.0, "nothing", MACHINE, "sleep 1\n");
    for (path, expect) in [
        ("empty", "empty: there is no test"),
        ("missing", "cannot read missing"),
        ("nothing", "there is nothing to check"),
    ] {
        let (status, _, said) = irqlab(&folder.0, &["test", path]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(expect), "{said}");
    }
}

/// A line of results for each file: the folder, the file, whether it passed, and whether it was not taken.
fn verified(said: &str) -> Vec<(String, String, bool, bool)> {
    let mut folder = String::new();
    let mut found = Vec::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [only] if only.starts_with("tests/") => folder = only.to_owned(),
            [file, _, differences] if file.contains('.') => {
                found.push((folder.clone(), file.to_owned(), differences == "0", false));
            }
            [file, "-", "not", "taken"] => found.push((folder.clone(), file.to_owned(), true, true)),
            _ => {}
        }
    }
    found
}

/// All captures of all kernels, and those of a kernel with a behaviour changed, so that there is something to report.
#[test]
fn captures_are_reported_as_verify_reports_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let captures = |kernel: &str| -> Vec<String> {
        let folder = format!("tests/captures/{kernel}");
        let below = |folder: &str| -> Vec<String> {
            let entries = fs::read_dir(root.join(folder)).unwrap();
            let name =
                |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
            let mut found: Vec<String> = entries.map(|entry| format!("{folder}/{}", name(entry))).collect();
            found.sort();
            found
        };
        let all = below(&folder).into_iter().chain(below(&format!("{folder}/fuzz")));
        all.filter(|folder| root.join(folder).join("machine.toml").exists()).collect()
    };
    let all: Vec<String> = KernelVersion::ALL.iter().flat_map(|version| captures(version.name())).collect();
    assert!(all.len() > 80, "{all:?}");
    let changed = ["--set", "migrate_completes_move_first=on"];
    for (folders, set, fails) in [(all, &[][..], false), (captures("v5.4"), &changed[..], true)] {
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        let (status, said, _) = irqlab(&root, &[&["verify"], &folders[..], set].concat());
        let (tested, tap, _) = irqlab(&root, &[&["test", "--tap"], &folders[..], set].concat());
        assert_eq!((status, tested), (Some(i32::from(fails)), Some(i32::from(fails))), "{said}{tap}");
        let verified = verified(&said);
        assert!(
            verified.len() > folders.len() && verified.iter().any(|(.., not_taken)| *not_taken),
            "{said}"
        );
        let expect: Vec<String> = verified
            .iter()
            .enumerate()
            .map(|(i, (folder, file, passed, not_taken))| {
                let not = if *passed { "" } else { "not " };
                let skip = if *not_taken { " # SKIP not taken" } else { "" };
                format!("{not}ok {} - {folder}/{file}{skip}", i + 1)
            })
            .collect();
        let points: Vec<&str> =
            tap.lines().filter(|line| line.starts_with("ok ") || line.starts_with("not ok ")).collect();
        assert_eq!(points, expect);
        assert_eq!(points.iter().any(|point| point.starts_with("not ")), fails);
    }
}
