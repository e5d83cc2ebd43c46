//! A Perfetto trace of the embedded machine, read back with Perfetto's own schema.

use std::collections::BTreeMap;
use std::process::Command;

use irqlab::KernelVersion;
use kstate::semantics::Semantics;
use kstate::trace::{Recorded, What};
use perfetto_protos::trace::Trace;
use perfetto_protos::track_event::track_event::Type;
use protobuf::Message as _;
use record::formats::{Slice, perfetto};
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
    /// Names of slices, in the order in which they begin.
    slices: Vec<String>,
    /// Instants in order: name, and names and values of what they carry.
    instants: Vec<(String, BTreeMap<String, String>)>,
    /// The deepest nesting by track.
    deepest: BTreeMap<u64, usize>,
}

fn read(bytes: &[u8]) -> Read {
    let trace = Trace::parse_from_bytes(bytes).expect("a trace");
    let mut read = Read::default();
    let mut open: BTreeMap<u64, Vec<(String, u64)>> = BTreeMap::new();
    let mut last = 0;
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
        assert!(packet.timestamp() > last, "time goes on");
        last = packet.timestamp();
        let track = event.track_uuid();
        assert!(read.tracks.contains_key(&track), "track {track} is described before it is used");
        let open = open.entry(track).or_default();
        match event.type_() {
            Type::TYPE_SLICE_BEGIN => {
                read.slices.push(event.name().to_owned());
                open.push((event.name().to_owned(), last));
                let deepest = read.deepest.entry(track).or_default();
                *deepest = open.len().max(*deepest);
            }
            Type::TYPE_SLICE_END => {
                let (name, began) = open.pop().expect("what ends has begun");
                assert!(began < last, "{name} takes time");
            }
            Type::TYPE_INSTANT => {
                let fields = event.debug_annotations.iter().map(|field| {
                    let text = if field.has_int_value() {
                        field.int_value().to_string()
                    } else {
                        field.string_value().to_owned()
                    };
                    (field.name().to_owned(), text)
                });
                read.instants.push((event.name().to_owned(), fields.collect()));
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

#[test]
fn the_trace_holds_what_was_recorded() {
    for &version in KernelVersion::ALL {
        let mut lab = Lab::boot(&Machine::embedded(version));
        lab.run_each(&Script::parse("script", SCRIPT).unwrap(), |_| {}, |_, _| {});
        let functions = Functions::of(version);
        let records = 0..lab.k.trace.records.len();
        let read = read(&perfetto::encode(&Slice { trace: &lab.k.trace, records, functions }));

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
        let mut instants = Vec::new();
        for record in &lab.k.trace.records {
            match record.what {
                What::Enter { meta, .. } if functions.shown(meta.name).is_some() => {
                    slices.push(meta.name.to_owned());
                }
                What::Tracepoint(tracepoint) => instants.push(tracepoint),
                What::Warn(_) => panic!("nothing warns here"),
                What::Hardware(_) => panic!("hardware was not to be recorded"),
                What::Enter { .. } | What::Exit { .. } => {}
            }
        }
        assert!(slices.len() > 3000 && instants.len() > 300, "{} {}", slices.len(), instants.len());
        assert_eq!(read.slices, slices);
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
    assert!(written.slices.iter().any(|name| name == "nvme_reset_work" || name == "pci_request_irq"));
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
            assert!(packet.timestamp() > last, "time goes on");
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
        let ways = ways(&perfetto::encode(&slice));
        let [way] = &ways[..] else { panic!("{}: {ways:?}", version.name()) };
        let names: Vec<&str> = way.iter().map(|(name, _)| name.as_str()).collect();
        let tracks: Vec<&str> = way.iter().map(|(_, track)| track.as_str()).collect();
        assert_eq!(names[..3], ["hw::message", "hw::irr", "hw::isr"], "{way:?}");
        assert_eq!(tracks[..4], ["nvme0", "CPU 3", "CPU 3", "CPU 3"], "{way:?}");
        assert!(names.contains(&"hw::wakeup"), "{way:?}");
        assert_eq!(tracks.last(), Some(&"task"), "{way:?}");
    }
}
