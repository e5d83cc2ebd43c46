//! `irqlab explain` as a program.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn irqlab(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
    command
        .arg("explain")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("irqlab");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("room");
    child.wait_with_output().expect("an end")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn words_need_no_quotation_marks() {
    let output = irqlab(&["No", "irq", "handler", "for", "vector"], "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("do_IRQ()"), "{}", text(&output.stdout));
}

#[test]
fn a_pasted_line_may_begin_with_a_dash() {
    let output = irqlab(&["-bash:", "echo:", "write", "error:", "Input/output", "error"], "");
    assert!(output.status.success() && text(&output.stdout).starts_with("EIO"), "{}", text(&output.stdout));
}

#[test]
fn a_log_comes_from_a_pipe() {
    let output = irqlab(
        &["-"],
        "[ 1.0] irq 16: nobody cared\n[ 1.1] CPU 3 has 201 vectors, 180 available. Cannot disable CPU\n",
    );
    let printed = text(&output.stdout);
    assert!(printed.contains("99900") && printed.contains("lapic_can_unplug_cpu"), "{printed}");
}

#[test]
fn programs_get_json() {
    let output = irqlab(&["--json", "smp_affinity"], "");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let file = &json["answers"][0];
    assert_eq!(file["name"], "/proc/irq/N/smp_affinity");
    assert_eq!(file["kernels"].as_array().map(Vec::len), Some(3));
    assert_eq!(file["decides"][0]["places"][0]["file"], "kernel/irq/proc.c");
    let output = irqlab(&["smp_afinity", "--json"], "");
    assert_eq!(output.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["answers"].as_array().map(Vec::len), Some(0));
    assert!(json["near"].as_array().is_some_and(|near| near.iter().any(|name| name == "smp_affinity")));
}

#[test]
fn what_nobody_knows_is_a_mistake() {
    let output = irqlab(&["irq_startpu"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean irq_startup"), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
}

#[test]
fn without_a_name_it_lists_what_there_is() {
    let printed = text(&irqlab(&[], "").stdout);
    for part in ["smp_affinity", "ENOSPC", "isolcpus=", "managed interrupt", "LOC", "vector_config"] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    assert!(printed.lines().all(|line| line.chars().count() <= 110), "{printed}");
}
