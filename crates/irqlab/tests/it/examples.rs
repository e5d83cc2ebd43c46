//! The examples: every command of their pages runs in their folder and prints what is shown, and their scripts record and
//! print what stands beside them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::readme::{blocks, check, commands};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// The folders that answer a question with the program.
fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(examples()).expect("the examples");
    let folders = entries.map(|entry| entry.expect("a folder").path());
    let mut folders: Vec<PathBuf> = folders.filter(|folder| folder.join("script.sh").exists()).collect();
    folders.sort();
    folders
}

#[test]
fn every_command_of_a_page_prints_what_is_shown() {
    let folders = folders();
    assert!(folders.len() >= 6, "{folders:?}");
    for folder in folders {
        let page = fs::read_to_string(folder.join("README.md")).expect("a page");
        let commands = commands(&blocks(&page), "$ ");
        assert!(!commands.is_empty(), "{}", folder.display());
        for (command, shown) in commands {
            let arguments = command.strip_prefix("irqlab ").expect("a command of irqlab");
            let mut program = Command::new(env!("CARGO_BIN_EXE_irqlab"));
            program.args(arguments.split_whitespace()).env("NO_COLOR", "1").current_dir(&folder);
            let output = program.output().expect("the program");
            // 1 is an answer: something differs, is lost or found, or a command of the script failed.
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(output.status.code(), Some(0 | 1)), "`{command}`: {said}");
            check(command, &shown, &String::from_utf8(output.stdout).expect("a text"));
        }
    }
}

#[test]
fn every_script_makes_what_is_expected() {
    let output = Command::new(env!("CARGO_BIN_EXE_irqlab"))
        .args(["test", "--verbose"])
        .arg(examples())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("\n{} tests, 0 failed", folders().len())), "{said}");
}

#[test]
fn the_index_names_every_folder() {
    let page = fs::read_to_string(examples().join("README.md")).expect("an index");
    let linked: BTreeSet<&str> = page
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once("/README.md)").map(|(name, _)| name))
        .collect();
    let entries =
        fs::read_dir(examples()).expect("the examples").map(|entry| entry.expect("a folder").path());
    let there: BTreeSet<String> = entries
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(linked, there.iter().map(String::as_str).collect());
}
