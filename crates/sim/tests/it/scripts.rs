//! The examples of docs/scripts.md: a real shell accepts them, and the lab runs them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use kstate::semantics::KernelVersion;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

const DOCS: &str = include_str!("../../../../docs/scripts.md");

/// The text between ```` ```sh ```` and ```` ``` ````.
fn examples() -> Vec<String> {
    DOCS.split("```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

#[test]
fn a_real_shell_accepts_every_example() {
    assert!(examples().len() >= 5);
    for example in examples() {
        let shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut shell = match shell {
            Ok(shell) => shell,
            Err(e) => return println!("skipped: there is no sh: {e}"),
        };
        shell.stdin.take().unwrap().write_all(example.as_bytes()).unwrap();
        let output = shell.wait_with_output().unwrap();
        assert!(output.status.success(), "{example}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_lab_runs_every_example() {
    for &version in KernelVersion::ALL {
        let mut printed = String::new();
        for example in examples() {
            let script =
                Script::parse("docs/scripts.md", &example).unwrap_or_else(|e| panic!("{e}\n{example}"));
            let mut lab = Lab::boot(&Machine::embedded(version));
            let files = lab.run(&script, |_| Default::default());
            let records = example.lines().any(|l| l.starts_with("#:") && !l.starts_with("#: assert"));
            assert_eq!(files.is_empty(), !records);
            assert_eq!(lab.failed, [], "{example}");
            let head = lab.terminal.iter().take(12).map(|line| line.trim_end().to_owned() + "\n");
            printed.extend(head);
            printed.push_str("----\n");
        }
        insta::assert_snapshot!(format!("examples_{}", version.name()), printed);
    }
}

#[test]
fn a_loop_does_what_its_lines_do() {
    let looped = "for cpu in 1 2; do\n  for v in 0 1; do echo $v > /sys/devices/system/cpu/cpu$cpu/online; done\ndone\n";
    let plain = "echo 0 > /sys/devices/system/cpu/cpu1/online\necho 1 > /sys/devices/system/cpu/cpu1/online\n\
                 echo 0 > /sys/devices/system/cpu/cpu2/online\necho 1 > /sys/devices/system/cpu/cpu2/online\n";
    let run = |text: &str| {
        let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
        lab.run_each(&Script::parse("script.sh", text).unwrap(), |_| {}, |_, _| {});
        lab
    };
    let (looped, plain) = (run(looped), run(plain));
    assert!(looped.k == plain.k);
    assert_eq!(looped.terminal, Vec::<String>::new());
}
