//! `irqlab page`: the file that is written, its data, and the mistakes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, process};

/// A folder of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("irqlab-page-{name}-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn page(words: &[&str]) -> Output {
    let irqlab = env!("CARGO_BIN_EXE_irqlab");
    Command::new(irqlab).arg("page").args(words).env("NO_COLOR", "1").output().unwrap()
}

#[test]
fn the_embedded_case_is_small_and_needs_nothing_else() {
    let folder = Folder::new("embedded");
    let out = folder.path("boot.html");
    let output = page(&["-o", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let html = fs::read_to_string(&out).unwrap();
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    assert!(html.contains("<title>the embedded machine on v5.4 · irqlab</title>"));
    for loads in ["<link rel=\"stylesheet\"", "<script src", "@import", "@DATA@", "@TITLE@"] {
        assert!(!html.contains(loads), "{loads}");
    }
    let again = page(&["-o", &out]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("boot.html"));
    assert_eq!(page(&["-o", &out, "--force"]).status.code(), Some(0));
    assert_eq!(html, fs::read_to_string(&out).unwrap(), "the same case is the same page");
}

#[test]
fn a_script_is_told_with_its_commands_and_what_failed() {
    let folder = Folder::new("script");
    let script = folder.file(
        "offline.sh",
        "echo 0 > /sys/devices/system/cpu/cpu4/online\n#: assert /sys/devices/system/cpu/online == 0-7\n",
    );
    let out = folder.path("run.json");
    let output = page(&["--script", &script, "--json", "-o", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!((&json["schema"], &json["version"]), (&"irqlab-page".into(), &1.into()));
    let run = &json["runs"][0];
    assert_eq!(run["commands"][0]["line"], "echo 0 > /sys/devices/system/cpu/cpu4/online");
    let wrong = run["wrong"][0]["text"].as_str().unwrap();
    assert!(wrong.starts_with("line 2: assertion failed"), "{wrong}");
}

#[test]
fn mistakes_name_what_was_expected() {
    let folder = Folder::new("mistakes");
    let out = folder.path("out.html");
    for (words, expected) in [
        (&["--lesson", "9"][..], &["there is no lesson 9", "1 to 8"][..]),
        (&["--exhibit", "M99"], &["M99"]),
        (&["--diff", "v5.4", "v9.9"], &["v9.9"]),
        (&["--exhibit", "M03", "--schedule", "x"], &["--schedule"]),
        (&["--schedule", "1:1"], &["--exhibit"]),
        (&["/nowhere.toml"], &["/nowhere.toml"]),
        (&["--capture", "/nowhere"], &["/nowhere"]),
        (&["--script", "/nowhere.sh"], &["/nowhere.sh"]),
        (&["--left-set", "a=b"], &["--diff"]),
        (&["--diff", "v5.4", "v6.12", "--left-set", "no_such_field=1"], &["--left-set", "no_such_field"]),
    ] {
        let output = page(&[words, &["-o", &out]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        for word in expected {
            assert!(said.contains(word), "{words:?}: {said}");
        }
        assert!(!Path::new(&out).exists(), "{words:?} has written something");
    }
}
