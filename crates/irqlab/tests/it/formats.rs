//! `irqlab run --format` as a program: what people and their drawing programs get, and what mistakes
//! are answered with.

use std::path::PathBuf;
use std::process::{Command, Output};

use irqlab::{KernelVersion, Machine};

const SCRIPT: &str = "\
#: flow down
echo 0 > /sys/devices/system/cpu/cpu7/online
#: end
";

/// A folder with a machine and a script, which goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, version: KernelVersion) -> Self {
        let folder = std::env::temp_dir().join(format!("irqlab-formats-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let default = KernelVersion::default().name();
        let machine = Machine::EMBEDDED.replace(default, version.name());
        std::fs::write(folder.join("machine.toml"), machine).unwrap();
        std::fs::write(folder.join("script.sh"), SCRIPT).unwrap();
        Self(folder)
    }

    fn run(&self, options: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
        command.args(["run", "--machine", "machine.toml", "--script", "script.sh"]);
        command.args(options.split_whitespace()).env("NO_COLOR", "1").current_dir(&self.0);
        command.output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn formats_for_people_look_as_they_were_reviewed() {
    for &version in KernelVersion::ALL {
        let folder = Folder::new(version.name(), version);
        let formats = [
            ("story", "--format story --recording down"),
            ("dot_domains", "--format dot --domains 29"),
            ("mermaid_domains", "--format mermaid --domains 29"),
            ("mermaid_calls", "--format mermaid --recording down"),
        ];
        for (name, options) in formats {
            let output = folder.run(options);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).unwrap();
            insta::assert_snapshot!(format!("{name}_{}", version.name()), text);
        }
    }
}

#[test]
fn a_script_alone_runs_on_the_embedded_machine_and_is_printed() {
    let folder = Folder::new("alone", KernelVersion::default());
    let script = format!("echo begin\n{SCRIPT}echo end\n");
    std::fs::write(folder.0.join("script.sh"), script).unwrap();
    let irqlab = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
        command.arg("run").args(options).env("NO_COLOR", "1").current_dir(&folder.0).output().unwrap()
    };
    let output = irqlab(&["--script", "script.sh"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(irqlab(&["--script", "script.sh", "--out", "out"]).status.success());
    let flow = std::fs::read_to_string(folder.0.join("out/01-down.flow")).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, format!("begin\nend\n==> 01-down.flow <==\n{flow}"));
    for (options, expect) in [
        (&[][..], "there is no script to run"),
        (&["--machine", "machine.toml"][..], "there is no script to run"),
        (&["--script", "nothing.sh"][..], "cannot read nothing.sh"),
        (&["--script", "script.sh", "--out", "script.sh"][..], "script.sh"),
    ] {
        let output = irqlab(options);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {said}");
        assert!(said.contains(expect) && output.stdout.is_empty(), "{options:?}: {said}");
    }
}

#[test]
fn an_assertion_that_fails_is_the_exit_status() {
    let folder = Folder::new("assert", KernelVersion::default());
    let online = "/sys/devices/system/cpu/online";
    for (value, status) in [("0-6", 0), ("0-7", 1)] {
        let script = format!("{SCRIPT}#: assert {online} == {value}\n#: state end\n");
        std::fs::write(folder.0.join("script.sh"), script).unwrap();
        let line = "script.sh: line 4: assertion failed: \
                    /sys/devices/system/cpu/online is \"0-6\", expected == \"0-7\"\n";
        let expect = if status == 0 { "" } else { line };
        let output = folder.run("--out out --force");
        assert_eq!(output.status.code(), Some(status));
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.strip_prefix(expect).unwrap(), "out/01-down.flow\nout/state-end.txt\n");
        let output = folder.run("--format flow");
        assert_eq!(output.status.code(), Some(status));
        assert!(output.stdout.starts_with(b"# "));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), expect);
    }
}

#[test]
fn graphs_name_only_nodes_that_they_have() {
    let folder = Folder::new("graphs", KernelVersion::default());
    let text = String::from_utf8(folder.run("--format dot").stdout).unwrap();
    let declared = text.lines().filter(|line| line.contains("label") && !line.contains("->")).count();
    let edges: Vec<(usize, usize)> = text
        .lines()
        .filter_map(|line| line.split_once("->"))
        .map(|(from, to)| {
            let to = to.split('[').next().unwrap_or("");
            (from.trim().parse().unwrap(), to.trim().parse().unwrap())
        })
        .collect();
    assert!(declared > 30 && edges.len() > 30, "{declared} {}", edges.len());
    assert!(edges.iter().all(|(from, to)| *from < declared && *to < declared));
}

#[test]
fn mistakes_name_the_option_and_leave_no_file() {
    let folder = Folder::new("mistakes", KernelVersion::default());
    for (options, expect) in [
        ("--format dot --domains 999 --out x", "no interrupt 999"),
        ("--format story --domains 29 --out x", "--domains"),
        ("--format flow --recording up --out x", "no recording `up`"),
        ("--format nothing --out x", "nothing"),
        ("--recording down", "--format"),
    ] {
        let output = folder.run(options);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{options}: {said}");
        assert!(said.contains(expect), "{options}: {said}");
        assert!(output.stdout.is_empty() && !folder.0.join("x").exists(), "{options}");
    }
}
