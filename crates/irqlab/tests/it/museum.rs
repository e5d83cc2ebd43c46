//! `irqlab museum`: the list, the mistakes, and every exhibit's own lines for seeing it again.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use explore::museum::{Class, EXHIBITS};

/// An empty folder, which goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("irqlab-museum-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Runs a line in the folder.
    fn run(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some("irqlab"), "{line}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
        command.args(words).env("NO_COLOR", "1").current_dir(&self.0).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The lines that an exhibit ends with.
fn replay(shown: &str) -> Vec<&str> {
    shown.lines().skip_while(|line| *line != "Again, step by step:").skip(1).map(str::trim).collect()
}

#[test]
fn every_exhibit_can_be_seen_again_by_its_own_lines() {
    for exhibit in EXHIBITS.iter() {
        for kernel in exhibit.kernels() {
            let name = kernel.name();
            let folder = Folder::new(&format!("{}-{name}", exhibit.id));
            let shown = folder.run(&format!("irqlab museum {} --kernel {name}", exhibit.id));
            assert_eq!(shown.status.code(), Some(0), "{} on {name}", exhibit.id);
            let shown = stdout(&shown);
            let lines = replay(&shown);
            assert_eq!(lines.len(), 2 + exhibit.fixes.len(), "{shown}");
            let bug = if let Class::Race(_) = exhibit.class {
                let found = shown.lines().find_map(|line| line.strip_prefix("found: ")).expect("a finding");
                let explored = folder.run(lines[0]);
                assert_eq!(explored.status.code(), Some(1), "{}: {}", lines[0], stdout(&explored));
                assert!(stdout(&explored).contains(found), "{}", lines[0]);
                found
            } else {
                assert_eq!(folder.run(lines[0]).status.code(), Some(0), "{}", lines[0]);
                "assertion failed"
            };
            let again = folder.run(lines[1]);
            assert_eq!(again.status.code(), Some(1), "{}: {}", lines[1], stdout(&again));
            assert!(stdout(&again).contains(bug), "{}: {}", lines[1], stdout(&again));
            for line in &lines[2..] {
                let fixed = folder.run(line);
                // A kernel that refuses a write, as M57's does where it is right, is no finding.
                let expected = i32::from(stdout(&fixed).contains("write error"));
                assert_eq!(fixed.status.code(), Some(expected), "{line}: {}", stdout(&fixed));
                assert!(!stdout(&fixed).contains("assertion failed"), "{line}: {}", stdout(&fixed));
            }
        }
    }
}

#[test]
fn every_line_of_the_stories_works() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/museum.md");
    let document = std::fs::read_to_string(path).unwrap();
    let folder = Folder::new("stories");
    let lines: Vec<&str> = document.lines().filter(|line| line.starts_with("irqlab ")).collect();
    assert_eq!(lines.len(), 2 * EXHIBITS.len());
    for line in lines {
        let output = folder.run(line);
        // The files of an exhibit are written. Everything else shows its bug.
        let expected = if line.starts_with("irqlab museum ") { 0 } else { 1 };
        assert_eq!(output.status.code(), Some(expected), "{line}: {}", stdout(&output));
    }
}

#[test]
fn the_list_and_an_exhibit_look_as_they_were_reviewed() {
    let folder = Folder::new("list");
    insta::assert_snapshot!("list", stdout(&folder.run("irqlab museum")));
    insta::assert_snapshot!("M03", stdout(&folder.run("irqlab museum m03")));
    insta::assert_snapshot!("M12", stdout(&folder.run("irqlab museum M12 --kernel v6.12")));
}

#[test]
fn mistakes_name_what_there_is() {
    let folder = Folder::new("mistakes");
    let check = |line: &str, expected: &[&str]| {
        let output = folder.run(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        for text in expected {
            assert!(said.contains(text), "{line}: {said}");
        }
        assert_eq!(stdout(&output), "", "{line}");
    };
    check("irqlab museum M13a", &["there is no exhibit `M13a`", "M"]);
    check("irqlab museum cheese", &["there is no exhibit `cheese`", "one of L1, L2, L3, M01"]);
    check("irqlab museum M06", &["there is no exhibit `M06`", "perhaps", "M05"]);
    check("irqlab museum M02 --kernel v6.12", &["M02 cannot be shown on v6.12", "expected v5.4"]);
    check("irqlab museum --export folder", &["<ID>"]);
    std::fs::write(folder.0.join("file"), "").unwrap();
    check(
        "irqlab museum M03 --export file",
        &["cannot write file: it is there already", "expected a folder"],
    );
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1, "nothing was written");
}
