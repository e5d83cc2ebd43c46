//! What `record` makes of a machine's trace, in the formats of other tools.

use std::collections::BTreeMap;

use kstate::semantics::KernelVersion;
use kstate::{Irq, Kernel};
use record::formats::{Slice, ftrace, graph, json, perfetto};
use record::functions::Functions;
use serde_json::Value;
use sim::lab::Lab;
use sim::machine::Machine;

/// The embedded machine after its boot.
fn embedded(version: KernelVersion) -> Kernel {
    Lab::boot(&Machine::embedded(version)).k
}

fn whole(k: &Kernel) -> Slice<'_> {
    let functions = Functions::of(k.sem.version);
    Slice { trace: &k.trace, records: 0..k.trace.records.len(), functions }
}

/// Numbers of fields in Perfetto's schema.
mod field {
    pub const PACKET: u32 = 1;
    pub const TIMESTAMP: u32 = 8;
    pub const SEQUENCE: u32 = 10;
    pub const TRACK_EVENT: u32 = 11;
    pub const TRACK_DESCRIPTOR: u32 = 60;
    pub const EVENT_TYPE: u32 = 9;
    pub const EVENT_TRACK: u32 = 11;
}

const SLICE_BEGIN: u64 = 1;
const SLICE_END: u64 = 2;

#[test]
fn every_call_that_is_opened_is_closed() {
    for &version in KernelVersion::ALL {
        let k = embedded(version);
        let text = ftrace::graph(&k, &whole(&k));
        let (mut opened, mut closed) = (0, 0);
        for line in text.lines().filter(|l| l.contains('|') && !l.starts_with('#')) {
            opened += usize::from(line.ends_with("() {"));
            closed += usize::from(line.trim_end_matches(" */").contains("|  ") && line.contains('}'));
        }
        // What is still on a stack has been entered and not left: threads that wait for work.
        let alive =
            k.sched.tasks.iter().flat_map(|t| t.frames.iter().filter(|f| f.entered && !f.code.meta.part));
        let shown = alive.filter(|f| Functions::of(k.sem.version).shown(f.code.meta.name).is_some()).count();
        assert!(opened > 100);
        assert_eq!(opened, closed + shown);
        assert!(text.contains("/* vector_config: irq="));
    }
}

#[test]
fn events_name_task_cpu_and_time() {
    for &version in KernelVersion::ALL {
        let k = embedded(version);
        let text = ftrace::events(&k, &whole(&k));
        let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert!(text.contains(&format!("written: {0}/{0}   #P:8", lines.len())));
        let flags = |line: &str| line.split_once("] ").unwrap().1.split(' ').next().unwrap().to_owned();
        for line in lines {
            let (head, rest) = line.split_at(16);
            assert!(head.trim_start().len() > 1 && rest.starts_with('-'), "{line}");
            assert!(line.contains(" [00") && line.contains(": "), "{line}");
            let (off, wide) = (flags(line).starts_with('d'), k.sem.trace_shows_migrate_disable);
            assert_eq!(flags(line).len(), 4 + usize::from(wide), "{line}");
            // All of the matrix is under a lock, and a vector's preparation behind it.
            assert!(off || !line.contains(": irq_matrix_"), "{line}");
            assert!(!off || !line.contains(": vector_reserve_managed"), "{line}");
        }
    }
}

#[test]
fn every_line_is_an_object_of_the_schema() {
    let k = embedded(KernelVersion::V6_12);
    let text = json::print(&whole(&k), KernelVersion::V6_12, 8);
    let mut lines = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    let head = lines.next().unwrap();
    assert_eq!(head["schema"], "irqlab-trace");
    assert_eq!(head["kernel"], "v6.12");
    let mut depth = 0i64;
    let mut vectors = 0;
    for (n, line) in lines.enumerate() {
        assert_eq!(line["n"], n);
        assert!(line["actor"].is_string() && line["time"].is_u64() && line["cpu"].is_u64());
        match line["is"].as_str().unwrap() {
            "enter" => depth += 1,
            "exit" => depth -= 1,
            "tracepoint" => vectors += u32::from(line["fields"]["vector"].is_i64()),
            "warning" => {}
            other => panic!("{other}"),
        }
    }
    // What is still on a stack has been entered and not left: threads that wait for work.
    let stacks =
        k.sched.tasks.iter().map(|t| t.frames.iter().filter(|f| f.entered && !f.code.meta.part).count());
    assert_eq!(depth, stacks.sum::<usize>() as i64);
    assert!(vectors > 9);
}

/// The fields of a message: number, and a varint or bytes.
fn parse(mut bytes: &[u8]) -> Vec<(u32, Result<u64, &[u8]>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first().expect("a byte");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return value;
            }
        }
        panic!("a number that is too long")
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Ok(varint(&mut bytes)),
            2 => {
                let len = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(len);
                bytes = rest;
                Err(value)
            }
            other => panic!("wire type {other}"),
        };
        fields.push(((key >> 3) as u32, value));
    }
    fields
}

#[test]
fn slices_nest_and_every_event_has_its_track() {
    let k = embedded(KernelVersion::V5_4);
    let bytes = perfetto::encode(&whole(&k), perfetto::Clock::Virtual);
    let mut names = BTreeMap::new();
    let mut depth: BTreeMap<u64, i64> = BTreeMap::new();
    let mut time = 0;
    for (number, packet) in parse(&bytes) {
        assert_eq!(number, field::PACKET);
        let packet = parse(packet.unwrap_err());
        let find = |n| packet.iter().find(|(f, _)| *f == n).map(|(_, v)| *v);
        assert_eq!(find(field::SEQUENCE), Some(Ok(1)));
        if let Some(Err(track)) = find(field::TRACK_DESCRIPTOR) {
            let track = parse(track);
            names.insert(track[0].1.unwrap(), String::from_utf8(track[1].1.unwrap_err().to_vec()).unwrap());
        }
        if let Some(Err(event)) = find(field::TRACK_EVENT) {
            let now = find(field::TIMESTAMP).unwrap().unwrap();
            assert!(now >= time);
            time = now;
            let event = parse(event);
            let get = |n| event.iter().find(|(f, _)| *f == n).and_then(|(_, v)| v.ok());
            let track = get(field::EVENT_TRACK).unwrap();
            assert!(names.contains_key(&track));
            let depth = depth.entry(track).or_default();
            *depth += match get(field::EVENT_TYPE).unwrap() {
                SLICE_BEGIN => 1,
                SLICE_END => -1,
                _ => 0,
            };
            assert!(*depth >= 0);
        }
    }
    assert!(depth.values().all(|d| *d == 0));
    let names: Vec<&str> = names.values().map(String::as_str).collect();
    for name in ["CPUs", "Tasks", "CPU 0", "kworker"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn the_call_graph_knows_callers_and_counts() {
    let k = embedded(KernelVersion::V5_4);
    let graph = graph::calls(&whole(&k));
    let find = |name: &str| graph.node_indices().find(|n| graph[*n].0[0] == name).unwrap();
    let edge = graph.find_edge(find("queue_request_irq"), find("pci_request_irq")).unwrap();
    assert!(graph[edge] >= 9, "{}", graph[edge]);
    let dot = graph::dot(&graph);
    assert!(dot.starts_with("digraph irqlab {") && dot.trim_end().ends_with('}'));
    assert_eq!(dot.matches(" -> ").count(), graph.edge_count());
    let mermaid = graph::mermaid(&graph);
    assert_eq!(mermaid.lines().count(), 1 + graph.node_count() + graph.edge_count());
}

#[test]
fn the_domains_of_a_message_interrupt_end_in_the_vector_domain() {
    for (version, first) in
        [(KernelVersion::V5_4, "PCI-MSI"), (KernelVersion::V6_12, "PCI-MSIX-0000:00:03.0")]
    {
        let k = embedded(version);
        let irq = k.for_each_irq().find(|i| k.desc(*i).action.first().is_some_and(|a| &*a.name == "nvme0q1"));
        let graph = graph::domains(&k, irq.unwrap()).unwrap();
        let names: Vec<&str> = graph.node_weights().map(|n| n.0[0].as_str()).collect();
        assert_eq!(names.len(), 3);
        assert!(names[1].starts_with(first) && names[2] == "VECTOR", "{names:?}");
    }
    assert!(graph::domains(&embedded(KernelVersion::V5_4), Irq(4000)).is_none());
}
