//! The README is honest: its commands work as written, and print what it shows.
//!
//! A line of three dots stands for any lines, a line that ends in them for any line that begins like
//! it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use debugger::Session;
use irqlab::{KernelVersion, Lab, Machine};
use kstate::trace::Recorded;

const README: &str = include_str!("../../../../README.md");

/// A fenced block: its language and text.
pub fn blocks(text: &str) -> Vec<(&str, &str)> {
    text.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

/// Commands after a prompt, each with the lines that are shown below it.
pub fn commands<'a>(blocks: &[(&str, &'a str)], prompt: &str) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for (_, text) in blocks.iter().filter(|(language, _)| *language == "console") {
        let mut ours = false;
        for line in text.lines() {
            if let Some(command) = line.strip_prefix(prompt) {
                found.push((command, Vec::new()));
                ours = true;
            } else if line.starts_with("$ ") {
                ours = false;
            } else if let (true, Some((_, shown))) = (ours, found.last_mut()) {
                shown.push(line);
            }
        }
    }
    found
}

/// Whether what is shown is what was printed.
fn shows(shown: &[&str], printed: &[&str]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        (["...", rest @ ..], _) => (0..=printed.len()).any(|skip| shows(rest, &printed[skip..])),
        ([line, shown @ ..], [text, printed @ ..]) => {
            let same = match line.strip_suffix("...") {
                Some(begin) => text.starts_with(begin),
                None => line.trim_end() == text.trim_end(),
            };
            same && shows(shown, printed)
        }
        _ => false,
    }
}

#[track_caller]
pub fn check(command: &str, shown: &[&str], printed: &str) {
    let lines: Vec<&str> = printed.lines().collect();
    assert!(
        shows(shown, &lines),
        "`{command}` prints\n{printed}\nand the README shows\n{}",
        shown.join("\n")
    );
}

fn irqlab() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
    command.env("NO_COLOR", "1");
    command
}

#[test]
fn the_guided_tour_is_as_it_says() {
    let (_, tour) = README.split_once("## A guided tour").unwrap();
    let (tour, _) = tour.split_once("\n## ").unwrap();
    let commands = commands(&blocks(tour), "# ");
    assert_eq!(commands.len(), 10);
    let mut k = Lab::boot(&Machine::embedded(KernelVersion::default())).into_kernel();
    k.trace.record(Recorded::Hardware);
    let mut session = Session::new(k, "the embedded machine");
    let mut all = String::new();
    for (command, shown) in &commands {
        let printed = session.line(command).text;
        check(command, shown, &printed);
        all.push_str(&printed);
    }
    // The program prints the same.
    let mut child = irqlab().arg("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines: String = commands.iter().map(|(command, _)| format!("{command}\n")).collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), all);
    // What the tour says beside its commands.
    let step = session.step();
    assert!(session.line(":back").text.starts_with(&format!("step {}", step - 1)));
    assert!(session.line(":goto 1").text.starts_with("step 1,"));
}

#[cfg(unix)]
#[test]
fn every_other_command_prints_what_is_shown() {
    let folder = std::env::temp_dir().join(format!("irqlab-readme-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let tests: PathBuf = folder.join("tests");
    std::os::unix::fs::symlink(root.join("tests"), &tests).unwrap();
    std::os::unix::fs::symlink(root.join("examples"), folder.join("examples")).unwrap();
    fs::write(folder.join("machine.toml"), Machine::EMBEDDED).unwrap();
    let blocks = blocks(README);
    let script = blocks.iter().find(|(language, _)| *language == "sh").unwrap().1;
    fs::write(folder.join("script.sh"), script).unwrap();
    let mut ran = 0;
    for (command, shown) in commands(&blocks, "$ ") {
        let arguments = match command.strip_prefix("irqlab ") {
            Some("sh") => continue,
            // A server has to be there for these: the tests of the guide to imports run them.
            Some(arguments) if arguments.starts_with("import ") => continue,
            None if command.starts_with("sh collect.sh") => continue,
            Some(arguments) => arguments,
            None if command == "irqlab" => "",
            None => {
                assert_eq!(command, "cargo install --path crates/irqlab", "a command that nothing checks");
                continue;
            }
        };
        let output = irqlab().args(arguments.split_whitespace()).current_dir(&folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // Runs that differ and what is found are an answer, which the status tells.
        let answers =
            ["irqlab diff", "irqlab explore", "irqlab replay", "irqlab spread --from", "irqlab whatif"];
        let differs =
            answers.iter().any(|begin| command.starts_with(begin)) && output.status.code() == Some(1);
        assert!(output.status.success() || differs, "`{command}`: {said}");
        check(command, &shown, &String::from_utf8(output.stdout).unwrap());
        ran += 1;
    }
    assert!(ran >= 5, "{ran}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn dots_stand_for_what_is_left_out() {
    let printed = ["a", "b c", "d", "e"];
    assert!(shows(&["a", "b ...", "...", "e"], &printed));
    assert!(shows(&["...", "d", "..."], &printed));
    assert!(!shows(&["a", "...", "d"], &printed));
    assert!(!shows(&["a", "b"], &printed[..2]));
    assert!(!shows(&[], &printed));
}
