//! `irqlab whatif` as its users see it: the text on 80 columns, the JSON by its schema, the statuses, and the page
//! about it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::readme::blocks;

const SERVER: &str = "tests/machines/server.toml";
const CROWDED: &str = "tests/machines/crowded.toml";

fn page() -> String {
    std::fs::read_to_string(root().join("docs/whatif.md")).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn whatif(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
    command.arg("whatif").args(words).env("NO_COLOR", "1").current_dir(root()).stdin(Stdio::null());
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Questions, and whether there is a finding.
const QUESTIONS: [(&str, bool, &[&str]); 13] = [
    ("half", true, &[SERVER, "--offline", "8-15"]),
    ("node", true, &[SERVER, "--offline", "node1", "--all"]),
    ("smt", true, &[SERVER, "--smt", "off"]),
    ("nosmt", true, &[SERVER, "--cmdline", "+nosmt"]),
    ("isolated", false, &[SERVER, "--cmdline", "+isolcpus=managed_irq,domain,4-7,12-15"]),
    ("add", false, &[SERVER, "--add", "nvme:vectors=9,node=1", "--add", "generic:managed,pre=1,vectors=5"]),
    ("remove", false, &[SERVER, "--remove", "0000:18:00.0"]),
    ("replace", false, &[SERVER, "--remove", "18:00.0", "--add", "mpt3sas:node=0"]),
    ("newer", true, &[SERVER, "--kernel", "v7.3"]),
    ("older", true, &[SERVER, "--kernel", "v5.4"]),
    ("refused", true, &[CROWDED, "--offline", "1-3"]),
    ("search", true, &[CROWDED, "--search", "offline"]),
    ("fails", true, &[CROWDED, "--add", "generic:vectors=400,actions=0-399: more-{}"]),
];

#[test]
fn answers_look_as_they_were_reviewed() {
    for (name, finding, words) in QUESTIONS {
        let output = whatif(words);
        assert_eq!(output.status.code(), Some(i32::from(finding)), "{name}");
        let text = text(&output);
        let wide = text.lines().find(|line| line.chars().count() > 80);
        assert!(wide.is_none(), "{name}: {wide:?}");
        insta::assert_snapshot!(format!("whatif_{name}"), text);
    }
}

/// What is wrong with a value, by the words of JSON Schema that the page's schema uses.
fn wrong(all: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let known = [
        "$schema",
        "$defs",
        "$ref",
        "description",
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "additionalProperties",
    ];
    let object = schema.as_object().expect("a schema");
    if let Some(word) = object.keys().find(|word| !known.contains(&word.as_str())) {
        return Some(format!("{at}: nobody checks `{word}`"));
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.strip_prefix("#/$defs/").expect("a definition of the page");
        return wrong(all, &all["$defs"][name], value, at);
    }
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    if !types.is_empty() && !types.contains(&is) {
        return Some(format!("{at} is {value}: expected {types:?}"));
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        return Some(format!("{at} is {value}: expected one of {words:?}"));
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        return values.iter().find_map(|item| wrong(all, items, item, &format!("{at}[]")));
    }
    let fields = value.as_object()?;
    let properties = schema["properties"].as_object().expect("properties");
    if let Some(key) = fields.keys().find(|key| !properties.contains_key(*key)) {
        return Some(format!("{at}: `{key}` is not in the schema"));
    }
    let required: Vec<&str> =
        schema["required"].as_array().expect("required").iter().filter_map(Value::as_str).collect();
    if let Some(key) = required.iter().find(|key| !fields.contains_key(**key)) {
        return Some(format!("{at}: `{key}` is missing"));
    }
    fields.iter().find_map(|(key, value)| wrong(all, &properties[key], value, &format!("{at}.{key}")))
}

fn schema() -> Value {
    let page = page();
    let block = blocks(&page).into_iter().find(|(language, _)| *language == "json").expect("a schema");
    serde_json::from_str(block.1).expect("JSON")
}

#[test]
fn json_is_as_its_schema_says() {
    let schema = schema();
    for (name, finding, words) in QUESTIONS {
        let words: Vec<&str> =
            words.iter().copied().filter(|word| *word != "--all").chain(["--json"]).collect();
        let output = whatif(&words);
        let value: Value = serde_json::from_str(&text(&output)).unwrap();
        let found = wrong(&schema, &schema, &value, "answer");
        assert_eq!(found, None, "{name}");
        assert_eq!(value["finding"], Value::Bool(finding), "{name}");
        // The text and the JSON are of one answer.
        assert_eq!(value["changes"].as_array().unwrap().iter().any(|c| c["kind"] == "dead"), {
            let text = text(&whatif(&words[..words.len() - 1]));
            text.lines().any(|line| line.starts_with("dead "))
        });
    }
    // The check can fail.
    let mut value = serde_json::json!({ "schema": 3 });
    assert!(wrong(&schema, &schema, &value, "answer").is_some());
    value = serde_json::json!({});
    assert!(wrong(&schema, &schema, &value, "answer").is_some_and(|said| said.ends_with("is missing")));
}

#[test]
fn mistakes_are_answered() {
    for (words, expect) in [
        (&[SERVER][..], "nothing is changed"),
        (&[SERVER, "--offline", "16"], "there is no CPU 16"),
        (&[SERVER, "--offline", "0"], "CPU 0 is the boot CPU"),
        (&[SERVER, "--online", "3"], "CPU 3 is online already"),
        (&[SERVER, "--smt", "on"], "invalid value 'on'"),
        (&[SERVER, "--cmdline", "nosmt"], "neither adds nor takes away"),
        (&[SERVER, "--add", "floppy"], "unknown device `floppy`"),
        (&[SERVER, "--remove", "00:00.0"], "there is no function 0000:00:00.0"),
        (&[SERVER, "--kernel", "v6.12"], "runs v6.12 already"),
        (&[SERVER, "--script", "nowhere.sh"], "nowhere.sh"),
        (&[SERVER, "--search", "online"], "invalid value 'online'"),
        (&[SERVER, "--offline", "8", "--explain", "9999"], "there is no interrupt 9999"),
        (&[SERVER, "--offline", "8", "--explain", "30", "--json"], "cannot be used with"),
        (&["nowhere.toml", "--offline", "8"], "nowhere.toml"),
        (&["README.md", "--offline", "8"], "README.md"),
    ] {
        let output = whatif(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(expect), "{words:?}: {said}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn the_step_that_decided_is_shown() {
    let said = |words: &[&str]| text(&whatif(words));
    let dead = said(&[SERVER, "--offline", "8-15", "--explain", "30"]);
    assert!(dead.starts_with("1 step decided about interrupt 30: "), "{dead}");
    assert!(
        dead.contains("is apicd.hw_irq_cfg.dest_apicid=0") && dead.contains("vector_assign_managed_shutdown")
    );
    assert!(dead.contains("IRQD_MANAGED_SHUTDOWN"), "{dead}");
    let boot = said(&[SERVER, "--kernel", "v7.3", "--explain", "30"]);
    assert!(boot.starts_with("nothing but the boot decided about interrupt 30:"), "{boot}");
    assert!(boot.contains("@ vector_config: irq=30 "), "{boot}");
    let none = said(&[SERVER, "--offline", "8", "--explain", "0"]);
    assert!(none.starts_with("nothing of this changes the vector or the CPU of interrupt 0\n"), "{none}");
}

#[test]
fn a_source_of_import_is_a_machine_too() {
    let folder = std::env::temp_dir().join(format!("irqlab-whatif-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
    command.args(["state", SERVER, "--sysroot"]).arg(&folder).current_dir(root());
    assert!(command.status().unwrap().success());
    let imported = text(&whatif(&[folder.to_str().unwrap(), "--offline", "8-15"]));
    std::fs::remove_dir_all(&folder).unwrap();
    let file = text(&whatif(&[SERVER, "--offline", "8-15"]));
    let dead = |text: &str| text.split("\n\n").find(|part| part.starts_with("dead: ")).map(str::to_owned);
    assert_eq!(dead(&imported), dead(&file));
    assert!(dead(&file).is_some());
}
