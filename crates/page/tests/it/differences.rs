//! The differences lead from each checkpoint to the next one, and each says what was there before.

use kstate::semantics::{KernelVersion, Semantics};
use page::{Case, Page, Run};
use serde_json::Value;
use sim::machine::Machine;
use sim::script::Script;

fn page(machine: &Machine, script: Option<&str>) -> Value {
    let script = script.map(|text| Script::parse("script", text).unwrap());
    let semantics = Semantics::of(machine.kernel);
    let case =
        Case { name: "test", machine, semantics: &semantics, script: script.as_ref(), with_boot: false };
    let run = Run::of(&case).unwrap();
    serde_json::from_slice(&Page::new("test", vec![run]).json()).unwrap()
}

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

fn pairs(values: &mut [Value], pairs: &Value) {
    for pair in pairs.as_array().unwrap() {
        values[pair[0].as_u64().unwrap() as usize] = pair[1].clone();
    }
}

/// Applies all differences; at each checkpoint the state has to be the one that was kept.
fn check(page: &Value) -> usize {
    let run = &page["runs"][0];
    let state = &run["state"];
    let records = run["records"]["of"].as_array().unwrap().len();
    let mut values = vec![Value::Null; state["fields"].as_array().unwrap().len()];
    pairs(&mut values, &state["start"]);
    let changes = &state["changes"];
    let (gaps, fields) = (numbers(&changes["record"]), numbers(&changes["field"]));
    let (mut at, mut record, mut checked) = (0, 0, 0);
    for checkpoint in state["checkpoints"].as_array().unwrap() {
        let until = checkpoint["record"].as_u64().unwrap() as usize;
        while at < fields.len() && record + gaps[at] <= until {
            record += gaps[at];
            assert_eq!(values[fields[at]], changes["old"][at], "place {} at record {record}", fields[at]);
            values[fields[at]] = changes["new"][at].clone();
            at += 1;
        }
        let mut kept = vec![Value::Null; values.len()];
        pairs(&mut kept, &checkpoint["values"]);
        assert_eq!(values, kept, "at record {until}");
        checked += 1;
    }
    assert!(records > 0 && record + gaps[at..].iter().sum::<usize>() < records);
    checked
}

#[test]
fn differences_lead_from_checkpoint_to_checkpoint() {
    let text = "kernel = \"v6.12\"\n[cpus]\npossible = 16\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 16\nmsix_vectors = 17\nintx_gsi = 23\n";
    let machine = Machine::parse("machine.toml", text).unwrap();
    assert!(check(&page(&machine, None)) > 0);
}

#[test]
fn a_script_begins_with_the_state_before_it() {
    for &kernel in KernelVersion::ALL {
        let machine = Machine::embedded(kernel);
        let page = page(&machine, Some("echo 0 > /sys/devices/system/cpu/cpu4/online\n"));
        check(&page);
        let run = &page["runs"][0];
        let start = run["state"]["start"].as_array().unwrap();
        assert!(start.len() > 100, "{}", start.len());
        assert_eq!(run["commands"][0]["record"], 0);
    }
}
