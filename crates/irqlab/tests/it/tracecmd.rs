//! A trace.dat, read by the program that reads those of real kernels: Debian's trace-cmd. It is the only reader of
//! function_graph that others wrote (docs/formats.md); without it the test says that it skips.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use irqlab::{KernelVersion, Machine};
use kstate::CtxId;
use kstate::trace::What;
use record::formats::{Slice, tracecmd};
use record::functions::Functions;
use sim::lab::Lab;
use sim::script::Script;
use sim::tracefs::EVENTS;

/// The embedded case after what moves, shuts down and starts its interrupts.
fn embedded(version: KernelVersion) -> Lab {
    let mut lab = Lab::boot(&Machine::embedded(version));
    let script = "echo 0 > /sys/devices/system/cpu/cpu3/online\n\
                  echo 1 > /sys/class/nvme/nvme0/reset_controller\n\
                  taskset -c 4 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2 iflag=direct\n\
                  sleep 2\n\
                  echo 1 > /sys/devices/system/cpu/cpu3/online\n";
    lab.run_each(&Script::parse("script", script).unwrap(), |_| {}, |_, _| {});
    lab
}

/// What trace-cmd is to print of each CPU, in its order: a call as how deep it stands and its name, the end of one that was
/// entered before as `}`, a tracepoint as its text.
fn expected(lab: &Lab, functions: &Functions) -> BTreeMap<u32, Vec<String>> {
    let mut open: BTreeMap<CtxId, Vec<bool>> = BTreeMap::new();
    let mut lines: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for record in &lab.k.trace.records {
        let calls = open.entry(record.ctx).or_default();
        let depth = |calls: &[bool]| calls.iter().filter(|shown| **shown).count();
        let line = match record.what {
            What::Enter { meta, .. } => {
                let shown = functions.shown(meta.name).is_some();
                let line = shown.then(|| format!("{} {}", depth(calls), meta.name));
                calls.push(shown);
                line
            }
            What::Exit { meta, .. } => {
                let shown = calls.pop() == Some(true);
                shown.then(|| format!("{} }} {}", depth(calls), meta.name))
            }
            What::Tracepoint(tracepoint) => Some(tracepoint.to_string()),
            What::Warn(_) | What::Hardware(_) => None,
        };
        lines.entry(record.cpu.0).or_default().extend(line);
    }
    lines
}

/// The same from a report. A call without anything in it is one line there, which stands for both ends.
fn read(report: &str) -> BTreeMap<u32, Vec<String>> {
    let mut lines: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for line in report.lines().filter(|line| line.contains(" [0")) {
        let (_, rest) = line.split_once('[').unwrap();
        let (cpu, rest) = rest.split_once(']').unwrap();
        let (_, rest) = rest.split_once(": ").unwrap();
        let lines = lines.entry(cpu.parse().unwrap()).or_default();
        let (event, rest) = rest.split_once(':').unwrap();
        if !event.trim().starts_with("funcgraph_") {
            lines.push(format!("{}: {}", event.trim(), rest.trim()));
            continue;
        }
        let (_, call) = rest.split_once("|  ").unwrap();
        let name = call.trim_start_matches(' ');
        let depth = (call.len() - name.len()) / 2;
        if let Some(name) = name.strip_suffix("();") {
            lines.push(format!("{depth} {name}"));
            lines.push(format!("{depth} }} {name}"));
        } else if let Some(name) = name.strip_suffix("() {") {
            lines.push(format!("{depth} {name}"));
        } else {
            let name = name.strip_prefix("} /* ").and_then(|name| name.strip_suffix(" */")).unwrap();
            lines.push(format!("{depth} }} {name}"));
        }
    }
    lines
}

#[test]
fn trace_cmd_reports_every_call_and_every_tracepoint_nested_alike() {
    if !Command::new("trace-cmd").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return println!("skipped: trace-cmd is not here");
    }
    for &version in KernelVersion::ALL {
        let lab = embedded(version);
        let functions = Functions::of(version);
        let slice = Slice { trace: &lab.k.trace, records: 0..lab.k.trace.records.len(), functions };
        let file = std::env::temp_dir().join(format!("irqlab-{}-{}.dat", version.name(), std::process::id()));
        fs::write(&file, tracecmd::encode(&lab.k, &slice)).unwrap();
        let output = Command::new("trace-cmd")
            .args(["report", "-t", "-O", "fgraph:tailprint", "-i"])
            .arg(&file)
            .output();
        fs::remove_file(&file).unwrap();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
        let report = String::from_utf8(output.stdout).unwrap();
        let (expected, read) = (expected(&lab, functions), read(&report));
        assert_eq!(expected.keys().collect::<Vec<_>>(), read.keys().collect::<Vec<_>>());
        for (cpu, expected) in &expected {
            for (i, (expected, read)) in expected.iter().zip(&read[cpu]).enumerate() {
                assert_eq!(read, expected, "{}, CPU {cpu}, line {i}", version.name());
            }
            assert_eq!(read[cpu].len(), expected.len(), "{}, CPU {cpu}", version.name());
        }
        let seen: Vec<&String> = expected.values().flatten().collect();
        assert!(
            seen.len() > 1000 && seen.iter().any(|line| line.starts_with("irq_handler_entry: ")),
            "{}",
            seen.len()
        );
    }
}

#[test]
fn the_file_describes_every_event_that_the_tracer_has() {
    let lab = Lab::boot(&Machine::embedded(KernelVersion::default()));
    let slice = Slice { trace: &lab.k.trace, records: 0..0, functions: lab.functions() };
    let file = tracecmd::encode(&lab.k, &slice);
    let text = String::from_utf8_lossy(&file).into_owned();
    let described: usize = EVENTS.iter().map(|(_, names)| names.len()).sum();
    assert_eq!(text.matches("name: ").count(), described + 2);
    for (system, names) in EVENTS {
        assert!(text.contains(&format!("{system}\0")), "{system}");
        for name in names {
            assert!(text.contains(&format!("name: {name}\n")), "{name}");
        }
    }
}
