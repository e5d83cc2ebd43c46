//! Nothing of Rust is in what people read: a set of commands, whose output is searched for the marks of `Debug`.

use std::io::Write as _;
use std::process::{Command, Stdio};

const SCRIPT: &str = "\
#: flow read
taskset -c 4 dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=1 iflag=direct
#: end
#: events off
echo 0 > /sys/devices/system/cpu/cpu4/online
sleep 1
#: end
#: state end
";

/// What a session is asked, in the middle of a reset and of an offline.
const SESSION: &str = "\
:break nvme_suspend_queue
echo 1 > /sys/class/nvme/nvme0/reset_controller
:where
:flow
:step 3
:print cpu 0
:print irq 29
:print task 1
:print lapic.irr of cpu 4
:print msi.msg of irq 29
:print matrix of cpu 4
:delete
:continue
:break takedown_cpu
echo 0 > /sys/devices/system/cpu/cpu4/online
:where
bt
:print sem
:print params
:print housekeeping
:print topo
:print irq
:print vector_matrix
:print apic
:print remap
:print msi
:print pci
:print blk
:print nvme
:print hotplug
:print sched
:print workqueue
:print tracing
:step 40
:flow
:where
:delete
:continue
:print hotplug.cpus.4.state
:break hw::message if foo == 1
:break hw::mesage
:break vector_alloc if foo == 1
";

/// Runs the program and returns all that it printed.
fn said(args: &[&str], input: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
    command.args(args).env("NO_COLOR", "1").stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(!text.contains("panicked"), "{args:?}: {text}");
    text
}

/// The marks of `Debug` in a line: a variant with values, a structure, a missing value, an id, a path.
fn mark(line: &str) -> Option<String> {
    let words = line.split(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | '[' | ']' | '"'));
    for word in words.clone() {
        let name: String = word.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        let rest = &word[name.len()..];
        let camel =
            name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().any(char::is_lowercase);
        if camel && (rest.starts_with('(') || rest.starts_with("::"))
            || word == "None"
            || word.contains("Some(")
        {
            return Some(word.to_owned());
        }
    }
    let kinds = ["Kworker", "Cpuhp", "Runnable", "Spinning", "XApic", "VectorReg"];
    words.clone().find(|word| kinds.contains(word)).map(str::to_owned)
}

fn check(args: &[&str], input: &str, least: usize) {
    let text = said(args, input);
    assert!(text.lines().count() >= least, "{args:?} says too little: {text}");
    for (n, line) in text.lines().enumerate() {
        if let Some(mark) = mark(line) {
            panic!("{args:?}, line {}: `{mark}` in: {line}", n + 1);
        }
    }
}

#[test]
fn marks_are_found() {
    for (line, found) in [
        ("task 25, Migration(CpuId(4)) on cpu 4, waits", true),
        ("nvme 0000:00:03.0: Complete(6)", true),
        ("lapic.startup = None", true),
        ("event Wake(TaskId(21))", true),
        ("task 14, Kworker on cpu 0", true),
        ("lapic.mode = XApic", true),
        ("nvme0 completes on queue 6", false),
        ("hw::message: from=nvme0 address=0xfee10004 data=0x4021 vector=33", false),
        ("task 25 (migration/4) on cpu 4, waits", false),
        ("None of these CPUs is online", true),
    ] {
        assert_eq!(mark(line).is_some(), found, "{line}");
    }
}

#[test]
fn nothing_of_rust_is_in_what_people_read() {
    let folder = std::env::temp_dir().join(format!("irqlab-plain-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("script.sh");
    std::fs::write(&file, SCRIPT).expect("a script");
    let script = file.to_str().expect("a path");
    let m12 = ["--exhibit", "M12", "--kernel", "v5.4"];
    let schedule = ["--schedule", "2:1,3:2,5:3,11:1"];
    check(&[], "", 50);
    check(&["run", "--script", script], "", 100);
    check(&["run", "--script", script, "--format", "story"], "", 50);
    check(&["run", "--script", script, "--format", "json", "--hardware"], "", 100);
    check(&["run", "--script", script, "--format", "hardware"], "", 10);
    check(&[&["replay"], &m12[..], &schedule[..]].concat(), "", 10);
    check(&[&["replay"], &m12[..], &schedule[..], &["--calls", "--hardware"]].concat(), "", 20);
    check(&[&["explore"], &m12[..]].concat(), "", 3);
    check(&["stacks", "--at", "irq_msi_compose_msg"], "", 5);
    check(&["explain", "hw::message"], "", 4);
    check(&["museum", "M03"], "", 10);
    check(&["sh"], SESSION, 100);
    check(&["sh", "--kernel", "v7.3"], SESSION, 100);
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}
