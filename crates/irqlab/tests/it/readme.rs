//! The README's tour is honest: its commands work as written, and print what it shows. The other commands of the README
//! are run by `documents.rs`.
//!
//! A line of three dots stands for any lines, a line that ends in them for any line that begins like
//! it.

use std::io::Write as _;
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
pub fn shows(shown: &[&str], printed: &[&str]) -> bool {
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
        "`{command}` prints\n{printed}\nand the document shows\n{}",
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

#[test]
fn the_first_breakpoint_is_as_it_says() {
    let (_, steps) = README.split_once("## First steps").unwrap();
    let commands = commands(&blocks(steps.split_once("\n## ").unwrap().0), "# ");
    assert_eq!(commands.len(), 3);
    let mut session = Session::new(
        Lab::boot(&Machine::embedded(KernelVersion::default())).into_kernel(),
        "the embedded machine",
    );
    for (command, shown) in &commands {
        check(command, shown, &session.line(command).text);
    }
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
