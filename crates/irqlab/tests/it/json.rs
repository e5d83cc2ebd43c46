//! What commands print for programs.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The status of a line that prints JSON, and what it printed.
fn json(line: &str) -> (Option<i32>, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
    command.args(shlex::split(line).unwrap()).env("NO_COLOR", "1");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = command.current_dir(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    (
        output.status.code(),
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{line}: {e}: {text}{said}")),
    )
}

fn check_head(value: &Value, schema: &str) {
    assert_eq!((value["schema"].as_str(), value["version"].as_u64()), (Some(schema), Some(1)), "{value}");
}

#[test]
fn verify_says_what_differs() {
    let (status, value) = json("verify tests/captures/v5.4/nvme-8cpu --json");
    assert_eq!(status, Some(0));
    check_head(&value, "irqlab-verify");
    assert_eq!(value["passed"], true);
    let capture = &value["captures"][0];
    assert_eq!(capture["kernel"], "v5.4");
    let files = capture["files"].as_array().unwrap();
    let outcomes = ["compared", "not-taken"];
    assert!(
        files.len() > 4 && files.iter().all(|file| outcomes.contains(&file["outcome"].as_str().unwrap()))
    );
    assert!(files.iter().all(|file| file["differences"].as_array().unwrap().is_empty()));
    assert_eq!(files[0]["lines"], 1126);
    // On a kernel that is another there is something to say, each line with its place on both sides.
    let (status, value) = json("verify tests/captures/v5.4/nvme-8cpu --kernel v6.12 --json");
    assert_eq!(status, Some(1));
    assert_eq!(value["passed"], false);
    let files = value["captures"][0]["files"].as_array().unwrap();
    let all = files.iter().flat_map(|file| file["differences"].as_array().unwrap());
    let expected =
        all.clone().filter(|d| d["expected"]["line"].is_u64() && d["expected"]["text"].is_string());
    assert!(expected.count() > 0);
    assert!(all.clone().any(|d| d["got"]["text"].is_string()) && all.clone().all(|d| d["place"].is_string()));
}

#[test]
fn verify_says_what_came_by_chance() {
    let (status, value) = json("verify tests/captures/v5.4/nvme-8cpu --json");
    let capture = &value["captures"][0];
    assert_eq!((status, &capture["schedule"]), (Some(0), &Value::from("none")));
    assert!(capture["choices"].as_array().unwrap().is_empty() && capture["searched"].is_null(), "{capture}");
    let (status, value) = json("verify tests/captures/v7.3/fuzz/small-isolated-offline --json");
    assert_eq!((status, &value["passed"]), (Some(0), &Value::from(true)));
    let capture = &value["captures"][0];
    let [choice] = &capture["choices"].as_array().unwrap()[..] else { panic!("{capture}") };
    assert_eq!(capture["schedule"], format!("{}:{}", choice["place"], choice["answer"]));
    assert_eq!((&choice["of"], &choice["file"]), (&Value::from(2), &Value::from("state-boot.txt")));
    assert!(choice["text"].as_str().unwrap().contains("select_task_rq_fair()"), "{choice}");
    let searched = &capture["searched"];
    assert!(searched["runs"].as_u64().unwrap() > 1 && searched["whole"] == true, "{searched}");
    assert!(searched["records"].as_u64().unwrap() > 1000, "{searched}");
    // No choice makes one kernel of another.
    let (status, value) =
        json("verify tests/captures/v7.3/fuzz/small-isolated-offline --kernel v6.12 --json");
    let capture = &value["captures"][0];
    assert_eq!((status, &capture["passed"]), (Some(1), &Value::from(false)));
    assert!(capture["schedule"] == "none" && capture["choices"].as_array().unwrap().is_empty(), "{capture}");
    assert!(capture["searched"]["runs"].as_u64().unwrap() > 0, "{capture}");
}

#[test]
fn stacks_are_told_apart() {
    let (status, value) = json("stacks --at vector_config --irq 29 --json");
    assert_eq!(status, Some(0));
    check_head(&value, "irqlab-stacks");
    let stacks = value["stacks"].as_array().unwrap();
    assert!(!stacks.is_empty());
    for stack in stacks {
        assert_eq!(stack["frames"][0], "apic_update_irq_cfg", "{stack}");
        assert!(stack["irqs"].as_array().unwrap().iter().all(|irq| irq == 29), "{stack}");
        assert_eq!(stack["times"].as_u64().unwrap() as usize, stack["fired"].as_array().unwrap().len());
    }
}

#[test]
fn the_museum_is_a_list_and_an_exhibit_has_both_sides() {
    let (_, value) = json("museum --json");
    check_head(&value, "irqlab-museum");
    let exhibits = value["exhibits"].as_array().unwrap();
    assert!(exhibits.len() > 15 && exhibits.iter().any(|exhibit| exhibit["id"] == "M03"));
    let (status, value) = json("museum M03 --json");
    assert_eq!((status, &value["as_promised"]), (Some(0), &Value::Bool(true)));
    assert_eq!((&value["id"], &value["kernel"]), (&"M03".into(), &"v5.4".into()));
    let sides = value["sides"].as_array().unwrap();
    for side in sides {
        let found = side["found"].as_array().unwrap();
        assert_eq!(found.is_empty(), side["bug"] == false, "{side}");
    }
    assert!(value["again"][0].as_str().unwrap().starts_with("irqlab museum M03 --export"));
}

#[test]
fn a_replay_is_told_step_by_step() {
    let line = "replay --exhibit M12 --kernel v5.4 --schedule 2:1,3:2,5:3,11:1 --calls --json";
    let (status, value) = json(line);
    assert_eq!(status, Some(1));
    check_head(&value, "irqlab-replay");
    assert_eq!(value["found"][0]["kind"], "log");
    assert!(value["found"][0]["text"].as_str().unwrap().contains("No irq handler for vector"));
    let steps = value["steps"].as_array().unwrap();
    assert_eq!(steps.len() as u64, value["taken"].as_u64().unwrap());
    let choices = |by: bool| {
        let all = steps.iter().flat_map(|step| step["choices"].as_array().unwrap());
        all.filter(|choice| choice["before"].is_array() == by).count()
    };
    assert_eq!((choices(true), choices(false)), (3, 1), "three of the schedule, one of the device");
    assert!(steps.iter().any(|step| step["calls"].as_array().unwrap().len() > 5));
}

#[test]
fn explain_answers_as_it_did() {
    let (_, value) = json("explain EIO --json");
    assert!(!value["answers"].as_array().unwrap().is_empty(), "{value}");
}
