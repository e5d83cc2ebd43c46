//! A Perfetto trace of the embedded machine, read back with Perfetto's own schema.

use std::collections::BTreeMap;
use std::process::Command;

use irqlab::KernelVersion;
use kstate::CpuId;
use kstate::semantics::Semantics;
use kstate::trace::{Actor, Arg, Recorded, Trace as Records, What};
use perfetto_protos::debug_annotation::DebugAnnotation;
use perfetto_protos::trace::Trace;
use perfetto_protos::track_event::track_event::Type;
use protobuf::Message as _;
use record::formats::perfetto::{Clock, encode};
use record::formats::{RECORD_TIME, Slice};
use record::functions::Functions;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

const SCRIPT: &str = "\
taskset -c 3 dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=2 iflag=direct
echo 0 > /sys/devices/system/cpu/cpu3/online
echo 1 > /sys/class/nvme/nvme0/reset_controller
";

/// What is on the tracks of a trace.
#[derive(Default)]
struct Read {
    /// Name and parent by id.
    tracks: BTreeMap<u64, (String, u64)>,
    /// Calls in the order in which they begin: when, name, and names and values of what they carry.
    slices: Vec<(u64, String, BTreeMap<String, String>)>,
    /// What calls return, in the order in which they end.
    returned: Vec<Option<String>>,
    /// Who runs by CPU: from, to and name.
    runs: BTreeMap<u32, Vec<(u64, u64, String)>>,
    /// Values of counters by name: when and what.
    counters: BTreeMap<String, Vec<(u64, i64)>>,
    /// Instants in order: name, and names and values of what they carry.
    instants: Vec<(String, BTreeMap<String, String>)>,
    /// The deepest nesting by track.
    deepest: BTreeMap<u64, usize>,
}

/// Names and values, of what has fields by the names of both.
fn annotations(carried: &[DebugAnnotation]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for field in carried {
        assert_eq!(field.special_fields.unknown_fields().iter().count(), 0, "{field:?}");
        let name = field.name().to_owned();
        if !field.dict_entries.is_empty() {
            let below = annotations(&field.dict_entries).into_iter();
            found.extend(below.map(|(below, value)| (format!("{name}.{below}"), value)));
        } else if field.has_int_value() {
            found.insert(name, field.int_value().to_string());
        } else {
            found.insert(name, field.string_value().to_owned());
        }
    }
    found
}

fn read(bytes: &[u8]) -> Read {
    let trace = Trace::parse_from_bytes(bytes).expect("a trace");
    let mut read = Read::default();
    let mut open: BTreeMap<u64, Vec<(String, u64)>> = BTreeMap::new();
    let mut last = 0;
    // No two things happen on a track at the same time.
    let mut lasts: BTreeMap<u64, u64> = BTreeMap::new();
    for packet in &trace.packet {
        assert_eq!(packet.special_fields.unknown_fields().iter().count(), 0, "{packet:?}");
        assert_ne!(packet.trusted_packet_sequence_id(), 0);
        if packet.has_track_descriptor() {
            let track = packet.track_descriptor();
            assert_eq!(track.special_fields.unknown_fields().iter().count(), 0, "{track:?}");
            let told = read.tracks.insert(track.uuid(), (track.name().to_owned(), track.parent_uuid()));
            assert_eq!(told, None, "a track is described once");
        }
        if !packet.has_track_event() {
            continue;
        }
        let event = packet.track_event();
        assert_eq!(event.special_fields.unknown_fields().iter().count(), 0, "{event:?}");
        assert!(packet.timestamp() >= last, "time goes on");
        last = packet.timestamp();
        let track = event.track_uuid();
        if event.type_() != Type::TYPE_COUNTER
            && let Some(before) = lasts.insert(track, last)
        {
            assert!(before < last, "{event:?} is when what is before it is");
        }
        assert!(read.tracks.contains_key(&track), "track {track} is described before it is used");
        let open = open.entry(track).or_default();
        match event.type_() {
            Type::TYPE_SLICE_BEGIN => {
                open.push((event.name().to_owned(), last));
                if event.categories == ["runs"] {
                    assert_eq!(open.len(), 1, "one runs at a time");
                    continue;
                }
                read.slices.push((last, event.name().to_owned(), annotations(&event.debug_annotations)));
                let deepest = read.deepest.entry(track).or_default();
                *deepest = open.len().max(*deepest);
            }
            Type::TYPE_SLICE_END => {
                let (name, began) = open.pop().expect("what ends has begun");
                assert!(began < last, "{name} takes time");
                match running(&read.tracks[&track].0) {
                    Some(cpu) => read.runs.entry(cpu).or_default().push((began, last, name)),
                    None => read.returned.push(annotations(&event.debug_annotations).remove("ret")),
                }
            }
            Type::TYPE_INSTANT => {
                read.instants.push((event.name().to_owned(), annotations(&event.debug_annotations)));
            }
            Type::TYPE_COUNTER => {
                let counter = read.counters.entry(read.tracks[&track].0.clone()).or_default();
                counter.push((last, event.counter_value()));
            }
            other => panic!("{other:?}"),
        }
    }
    // Tasks of the driver that wait when the script is over are still inside their calls.
    for (track, open) in &open {
        let (name, _) = &read.tracks[track];
        assert!(open.is_empty() || !name.starts_with("CPU"), "{name}: {open:?}");
    }
    read
}

/// The CPU of a track that shows who runs there.
fn running(track: &str) -> Option<u32> {
    track.strip_prefix("CPU ")?.strip_suffix(": who runs")?.parse().ok()
}

/// The embedded machine after the script, of which everything is recorded.
fn after_script(version: KernelVersion) -> Lab {
    let mut lab = Lab::boot(&Machine::embedded(version));
    lab.run_each(&Script::parse("script", SCRIPT).unwrap(), |_| {}, |_, _| {});
    lab
}

fn whole(lab: &Lab) -> Slice<'_> {
    let functions = Functions::of(lab.k.sem.version);
    Slice { trace: &lab.k.trace, records: 0..lab.k.trace.records.len(), functions }
}

#[test]
fn the_trace_holds_what_was_recorded() {
    for &version in KernelVersion::ALL {
        let lab = after_script(version);
        let functions = Functions::of(version);
        let read = read(&encode(&whole(&lab), Clock::Virtual));

        let group = |id: u64| read.tracks[&id].0.as_str();
        let named = |name: &str| {
            let found = read.tracks.values().find(|(n, _)| n == name);
            let (_, parent) = found.unwrap_or_else(|| panic!("no track {name} in {:?}", read.tracks));
            group(*parent).to_owned()
        };
        assert_eq!(named("CPU 3"), "CPUs");
        for task in ["kworker", "migration/3", "task"] {
            assert_eq!(named(task), "Tasks", "{task}");
        }

        let mut slices = Vec::new();
        let mut returned = Vec::new();
        let mut instants = Vec::new();
        for record in &lab.k.trace.records {
            match record.what {
                What::Enter { meta, args } if functions.shown(meta.name).is_some() => {
                    let mut carried = BTreeMap::new();
                    for (name, arg) in meta.arguments(&args) {
                        match arg {
                            Arg::Word(word) => {
                                carried.insert(name.to_owned(), (word as i64).to_string());
                            }
                            Arg::IrqData(data) => {
                                carried.insert(format!("{name}.irq"), data.irq.to_string());
                                carried.insert(format!("{name}.level"), data.level.to_string());
                            }
                        }
                    }
                    carried.insert("file".to_owned(), functions.file_of(meta).to_owned());
                    slices.push((meta.name, carried));
                }
                What::Exit { meta, ret } if functions.shown(meta.name).is_some() => {
                    returned.push(ret.map(|ret| (ret as i64).to_string()));
                }
                What::Tracepoint(tracepoint) => instants.push(tracepoint),
                What::Warn(_) => panic!("nothing warns here"),
                What::Hardware(_) => panic!("hardware was not to be recorded"),
                What::Enter { .. } | What::Exit { .. } => {}
            }
        }
        assert!(slices.len() > 3000 && instants.len() > 300, "{} {}", slices.len(), instants.len());
        let read_slices: Vec<(&str, BTreeMap<String, String>)> =
            read.slices.iter().map(|(_, name, carried)| (name.as_str(), carried.clone())).collect();
        assert_eq!(read_slices, slices);
        assert!(slices.iter().any(|(_, carried)| carried.contains_key("d.level")));
        assert_eq!(read.returned, returned);
        assert!(returned.iter().any(|ret| ret.as_deref().is_some_and(|ret| ret.starts_with('-'))));
        assert_eq!(read.instants.len(), instants.len());
        for ((name, fields), tracepoint) in read.instants.iter().zip(&instants) {
            assert_eq!(name, tracepoint.name());
            if let Some(irq) = tracepoint.irq() {
                assert_eq!(fields.get("irq"), Some(&irq.to_string()), "{tracepoint}");
            }
            let (_, text) =
                tracepoint.to_string().split_once(": ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
            for word in text.split_whitespace() {
                let Some((field, value)) = word.trim_end_matches(',').split_once('=') else { continue };
                assert_eq!(fields.get(field).map(String::as_str), Some(value), "{tracepoint}");
            }
        }
        assert!(read.deepest.values().any(|depth| *depth > 10), "{:?}", read.deepest);
    }
}

#[test]
fn the_program_writes_the_same() {
    let file = std::env::temp_dir().join(format!("irqlab-{}.pftrace", std::process::id()));
    let status = Command::new(env!("CARGO_BIN_EXE_irqlab"))
        .args(["run", "--format", "perfetto", "--out"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(status.success());
    let written = read(&std::fs::read(&file).unwrap());
    std::fs::remove_file(&file).unwrap();
    assert!(written.slices.iter().any(|(_, name, _)| name == "nvme_reset_work" || name == "pci_request_irq"));
}

/// The way of an interrupt: names of the stations and of the tracks that they are on.
fn ways(bytes: &[u8]) -> Vec<Vec<(String, String)>> {
    let trace = Trace::parse_from_bytes(bytes).expect("a trace");
    let mut tracks: BTreeMap<u64, String> = BTreeMap::new();
    let mut ways: BTreeMap<u64, Vec<(String, String)>> = BTreeMap::new();
    let mut last = 0;
    for packet in &trace.packet {
        assert_eq!(packet.special_fields.unknown_fields().iter().count(), 0, "{packet:?}");
        if packet.has_track_descriptor() {
            let track = packet.track_descriptor();
            tracks.insert(track.uuid(), track.name().to_owned());
        }
        if packet.has_track_event() {
            let event = packet.track_event();
            assert_eq!(event.special_fields.unknown_fields().iter().count(), 0, "{event:?}");
            assert!(packet.timestamp() >= last, "time goes on");
            last = packet.timestamp();
            for flow in &event.flow_ids {
                let station = (event.name().to_owned(), tracks[&event.track_uuid()].clone());
                ways.entry(*flow).or_default().push(station);
            }
        }
    }
    ways.into_values().collect()
}

#[test]
fn arrows_lead_from_the_message_to_the_task_that_is_woken() {
    for &version in KernelVersion::ALL {
        let machine = Machine::embedded(version);
        let mut lab = Lab::boot_with(&machine, Semantics::of(version), Recorded::Hardware);
        let start = lab.k.trace.records.len();
        let script = "taskset -c 3 dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=1 iflag=direct\n";
        lab.run_each(&Script::parse("script", script).unwrap(), |_| {}, |_, _| {});
        let records = start..lab.k.trace.records.len();
        let slice = Slice { trace: &lab.k.trace, records, functions: Functions::of(version) };
        let ways = ways(&encode(&slice, Clock::Virtual));
        let [way] = &ways[..] else { panic!("{}: {ways:?}", version.name()) };
        let names: Vec<&str> = way.iter().map(|(name, _)| name.as_str()).collect();
        let tracks: Vec<&str> = way.iter().map(|(_, track)| track.as_str()).collect();
        assert_eq!(names[..3], ["hw::message", "hw::irr", "hw::isr"], "{way:?}");
        assert_eq!(tracks[..4], ["nvme0", "CPU 3", "CPU 3", "CPU 3"], "{way:?}");
        assert!(names.contains(&"hw::wakeup"), "{way:?}");
        assert_eq!(tracks.last(), Some(&"task"), "{way:?}");
    }
}

/// When a record that can be seen happens.
fn times(lab: &Lab, clock: Clock) -> Vec<(u64, usize)> {
    let functions = lab.functions();
    let mut now = 0;
    let mut found = Vec::new();
    for (n, record) in lab.k.trace.records.iter().enumerate() {
        let shown = match record.what {
            What::Enter { meta, .. } | What::Exit { meta, .. } => functions.shown(meta.name).is_some(),
            What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => true,
        };
        if shown {
            now = record.time.max(now + RECORD_TIME);
            found.push((if clock == Clock::Record { n as u64 * 1000 } else { now }, n));
        }
    }
    found
}

/// The last value of a counter at a time.
fn value(counter: &[(u64, i64)], time: u64) -> Option<i64> {
    counter.iter().take_while(|(at, _)| *at <= time).last().map(|(_, value)| *value)
}

#[test]
fn the_order_of_records_can_be_the_time() {
    let lab = after_script(KernelVersion::default());
    let read = read(&encode(&whole(&lab), Clock::Record));
    let times = times(&lab, Clock::Record);
    let begins: Vec<(u64, &str)> = times
        .iter()
        .filter_map(|(time, n)| match lab.k.trace.records[*n].what {
            What::Enter { meta, .. } => Some((*time, meta.name)),
            _ => None,
        })
        .collect();
    let found: Vec<(u64, &str)> = read.slices.iter().map(|(time, name, _)| (*time, name.as_str())).collect();
    assert_eq!(found, begins);
    let virtual_time = &read.counters["virtual time"];
    for (time, n) in times.iter().step_by(7) {
        assert_eq!(value(virtual_time, *time), Some(lab.k.trace.records[*n].time as i64), "record {n}");
    }
    // In virtual time there is no such counter.
    let other = self::read(&encode(&whole(&lab), Clock::Virtual));
    assert!(!other.counters.contains_key("virtual time"));
}

#[test]
fn a_lane_shows_who_runs_on_each_cpu() {
    for &version in KernelVersion::ALL {
        for clock in [Clock::Virtual, Clock::Record] {
            let lab = after_script(version);
            let read = read(&encode(&whole(&lab), clock));
            let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
            let mut names: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
            for (time, n) in times(&lab, clock) {
                let record = &lab.k.trace.records[n];
                assert_ne!(record.ctx, Records::NOBODY, "no hardware is recorded");
                let CpuId(cpu) = record.cpu;
                let runs = &read.runs[&cpu];
                let at = seen.entry(cpu).or_default();
                while runs[*at].1 < time {
                    *at += 1;
                }
                let (from, _, name) = &runs[*at];
                assert!(*from <= time, "nobody runs on CPU {cpu} at record {n}");
                let expect = match &lab.k.trace.ctxs[record.ctx].actor {
                    Actor::Irq { irq: Some(irq), .. } => format!("irq {irq}"),
                    Actor::Irq { irq: None, .. } => "irq".to_owned(),
                    Actor::Migration(cpu) => format!("migration/{cpu}"),
                    Actor::Cpuhp(cpu) => format!("cpuhp/{cpu}"),
                    Actor::Softirq(_) => "softirq".to_owned(),
                    Actor::Idle(_) => "idle".to_owned(),
                    Actor::Kworker => "kworker".to_owned(),
                    Actor::Task => "task".to_owned(),
                    Actor::Cleanup(_) => "vector cleanup".to_owned(),
                    Actor::Boot => "boot".to_owned(),
                    Actor::IrqThread(name) => name.clone(),
                };
                assert!(name.starts_with(&expect), "record {n} on CPU {cpu}: {name}, and it is {expect}");
                names.entry(cpu).or_default().push(name);
            }
            // CPU 3 takes the interrupt of its queue, and is then taken down by the task that writes to its file.
            let there = |cpu: u32, who: &str| names[&cpu].iter().any(|name| name.starts_with(who));
            let queue = if version == KernelVersion::V7_3 { "irq 26 nvme0q2" } else { "irq 28 nvme0q4" };
            for who in [queue, "migration/3", "cpuhp/3"] {
                assert!(there(3, who), "{who} in {}", version.name());
            }
            assert!(names.keys().any(|cpu| there(*cpu, "task")), "{}", version.name());
        }
    }
}

#[test]
fn counters_are_those_of_the_machine() {
    for &version in KernelVersion::ALL {
        let mut lab = Lab::boot(&Machine::embedded(version));
        let booted = lab.k.vector_matrix.clone();
        let start = lab.k.trace.records.len();
        lab.run_each(&Script::parse("script", SCRIPT).unwrap(), |_| {}, |_, _| {});
        let part = Slice { records: start..lab.k.trace.records.len(), ..whole(&lab) };
        for (slice, what) in [(whole(&lab), "all"), (part, "the script")] {
            let read = read(&encode(&slice, Clock::Virtual));
            let counter = |name: &str| read.counters.get(name).unwrap_or_else(|| panic!("{what}: no {name}"));
            let compare = |matrix: &kstate::matrix::IrqMatrix,
                           of: fn(&[(u64, i64)]) -> Option<&(u64, i64)>| {
                let value = |name: &str| of(counter(name)).map(|(_, value)| *value);
                assert_eq!(value("CPUs online"), Some(matrix.online_maps.into()), "{what}");
                assert_eq!(value("free vectors"), Some(matrix.global_available.into()), "{what}");
                assert_eq!(value("reserved vectors"), Some(matrix.global_reserved.into()), "{what}");
                for (cpu, map) in matrix.maps.iter().enumerate() {
                    let free = if map.online { map.available } else { 0 };
                    let name = format!("free vectors of CPU {cpu}");
                    assert_eq!(value(&name), Some(free.into()), "{what}, {}: {name}", version.name());
                }
            };
            // A part begins with what was counted before it.
            if what != "all" {
                compare(&booted, <[_]>::first);
            }
            compare(&lab.k.vector_matrix, <[_]>::last);
            assert_eq!(counter("free vectors of CPU 3").last().unwrap().1, 0);
            assert_eq!(counter("CPUs online").last().unwrap().1, 7);
        }
    }
}

#[test]
fn only_this_format_has_two_clocks() {
    let run = |format: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_irqlab"));
        program.args(["run", "--clock", "record", "--format", format]).output().unwrap()
    };
    let output = run("perfetto");
    assert!(output.status.success());
    assert!(read(&output.stdout).counters.contains_key("virtual time"));
    let output = run("json");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--clock: this format has one time") && output.stdout.is_empty(), "{said}");
}

/// Perfetto's own importer, where it is: it finds nothing wrong, and as many calls as there are.
#[test]
fn the_trace_processor_reads_it() {
    let names = ["trace_processor_shell", "trace_processor"];
    let Some(name) = names.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok())
    else {
        return println!("skipped: no trace_processor_shell is here");
    };
    let lab = after_script(KernelVersion::default());
    let bytes = encode(&whole(&lab), Clock::Record);
    let folder = crate::guide::Folder::new("trace-processor");
    let (trace, query) = (folder.0.join("trace"), folder.0.join("query.sql"));
    std::fs::write(&trace, &bytes).unwrap();
    std::fs::write(
        &query,
        "select 'slices', count(*) from slice where category = 'function';\n\
         select 'errors', count(*) from stats where severity in ('error', 'data_loss') and value > 0;\n",
    )
    .unwrap();
    let output = Command::new(name).arg("-q").arg(&query).arg(&trace).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("\"slices\",{}", read(&bytes).slices.len())), "{said}");
    assert!(said.contains("\"errors\",0"), "{said}");
}
