//! The text of the events, read by a program that others wrote for the text of real kernels: TRAPpy,
//! from the Python package index. No crate reads that text (docs/formats.md says what was looked
//! for), so that this test needs a Python with TRAPpy and is skipped without one; `PYTHON` names it.

use std::fs;
use std::process::Command;

use irqlab::KernelVersion;
use kstate::CpuId;
use kstate::trace::What;
use record::formats::{Slice, ftrace};
use record::functions::Functions;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// Reads a trace and prints every event it found: its line, name, CPU and fields.
const READER: &str = r#"
import sys, warnings
warnings.filterwarnings("ignore")
import trappy
names = sys.argv[2].split(",")
trace = trappy.FTrace(sys.argv[1], normalize_time=False, events=names)
rows = []
for name in names:
    frame = getattr(trace, name).data_frame
    for _, row in frame.iterrows():
        fields = ["%s=%s" % (k, str(v).rstrip(",")) for k, v in row.items() if not k.startswith("__")]
        rows.append((row["__line"], name, row["__cpu"], " ".join(fields)))
for _, name, cpu, fields in sorted(rows):
    print(name, cpu, fields)
"#;

/// A field's value: a number in whatever base, or a word.
fn value(text: &str) -> Result<i64, &str> {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).map_err(|_| text),
        None => text.parse().map_err(|_| text),
    }
}

/// TRAPpy is older than the fifth flag of a line, whether migration is disabled.
fn four_flags(line: &str) -> String {
    match line.split_once("] ").filter(|_| !line.starts_with('#')) {
        Some((task, rest)) if rest.find(' ') == Some(5) => format!("{task}] {}{}\n", &rest[..4], &rest[5..]),
        _ => format!("{line}\n"),
    }
}

#[test]
fn trappy_reads_every_event_with_its_fields() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let there = Command::new(&python).args(["-c", "import trappy"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        return println!("skipped: {python} has no TRAPpy");
    }
    for &version in KernelVersion::ALL {
        let mut lab = Lab::boot(&Machine::embedded(version));
        let script =
            "echo 0 > /sys/devices/system/cpu/cpu3/online\necho 1 > /sys/class/nvme/nvme0/reset_controller\n";
        lab.run_each(&Script::parse("script", script).unwrap(), |_| {}, |_, _| {});
        let records = 0..lab.k.trace.records.len();
        let slice = Slice { trace: &lab.k.trace, records, functions: Functions::of(version) };
        let mut expected = Vec::new();
        for record in &lab.k.trace.records {
            let What::Tracepoint(tracepoint) = record.what else { continue };
            let text = tracepoint.to_string();
            let (_, fields) = text.split_once(": ").unwrap();
            let fields = fields.replace(',', "");
            expected.push((tracepoint.name().to_owned(), record.cpu, fields));
        }
        let mut names: Vec<&str> = expected.iter().map(|(name, ..)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let file = std::env::temp_dir().join(format!("irqlab-{}-{}.txt", version.name(), std::process::id()));
        let text: String = ftrace::events(&lab.k, &slice).lines().map(four_flags).collect();
        fs::write(&file, text).unwrap();
        let output =
            Command::new(&python).args(["-c", READER]).arg(&file).arg(names.join(",")).output().unwrap();
        fs::remove_file(&file).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read = String::from_utf8(output.stdout).unwrap();
        let read: Vec<&str> = read.lines().collect();
        assert_eq!(read.len(), expected.len());
        for (line, (name, cpu, fields)) in read.iter().zip(&expected) {
            let mut words = line.split(' ');
            assert_eq!(words.next(), Some(name.as_str()), "{line}");
            assert_eq!(words.next().and_then(|n| n.parse().ok()).map(CpuId), Some(*cpu), "{line}");
            let told: Vec<(&str, &str)> = words.filter_map(|word| word.split_once('=')).collect();
            for (field, expect) in fields.split(' ').filter_map(|word| word.split_once('=')) {
                let found = told.iter().find(|(name, _)| *name == field).map(|(_, text)| value(text));
                assert_eq!(found, Some(value(expect)), "{field} in {line}");
            }
        }
    }
}
