//! Every command that README.md and docs/*.md show runs as it stands there, in a folder with the files that they name,
//! ends with the status that they lead to expect, and prints what they show.
//!
//! The program is the one that cargo built, or what `IRQLAB_PROGRAM` names; the documents are those of this tree, or of
//! `IRQLAB_CLONE`. So `.ci/run` tries an installed program with the documents of a fresh clone.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use irqlab::Machine;

use crate::guide::{Folder, prepare};
use crate::readme::{blocks, shows};

/// Commands that are not run here: the document, how they begin, and why.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("README.md", "cargo run --release", "it builds everything anew: .ci/run does it"),
    ("README.md", "cargo test --workspace", "it is what runs here"),
    ("README.md", "irqlab sh", "readme.rs types what stands below it"),
    ("docs/explore.md", "deploy/slurm/submit ", "it needs Slurm: deploy/slurm/check starts one"),
    ("docs/formats.md", "pip install trappy", "it needs the Python package index: .ci/run does it"),
    ("docs/formats.md", "PYTHON=python3 cargo test ", "it is a test of its own"),
    (
        "docs/formats.md",
        "trace-cmd report ",
        "it needs trace-cmd: the tests of tracecmd.rs run it where it is",
    ),
    ("docs/serve.md", "irqlab serve", "it ends by Ctrl-C alone: the tests of serve.rs start it"),
    ("docs/shell.md", "cat server.toml", "it shows a file"),
    (
        "docs/shell.md",
        "irqlab enter ",
        "it needs root and FUSE: the tests of enter.rs type what stands there",
    ),
    ("docs/shell.md", "irqlab sh --script again.sh", "`irqlab enter` has written that file"),
];

/// Statuses other than 0: the document, how the commands begin, and which are right. 1 is an answer (docs/README.md).
const STATUSES: &[(&str, &str, &[i32])] = &[
    ("README.md", "irqlab diff ", &[1]),
    ("README.md", "irqlab explore --exhibit M12", &[1]),
    ("README.md", "irqlab replay --exhibit M12", &[1]),
    ("README.md", "irqlab spread --from ", &[1]),
    ("README.md", "irqlab whatif --offline 4-7\n", &[1]),
    ("README.md", "irqlab whatif tests/machines/server.toml --offline 8-15\n", &[1]),
    ("README.md", "irqlab whatif tests/machines/crowded.toml ", &[1]),
    ("docs/explore.md", "irqlab explore race.sh --machine pc.toml ", &[1]),
    ("docs/explore.md", "irqlab explore race.sh --runs ", &[1]),
    ("docs/explore.md", "irqlab explore --merge ", &[1]),
    ("docs/explore.md", "irqlab explore --exhibit M12 --kernel v5.4\n", &[1]),
    // It is the computer that tests, whatever that is.
    ("docs/import.md", "irqlab import /\n", &[0, 2]),
    // With the bug an assertion does not hold.
    ("docs/museum.md", "irqlab run ", &[1]),
    ("docs/museum.md", "irqlab explore ", &[1]),
    ("docs/museum.md", "irqlab replay ", &[1]),
    ("docs/test.md", "irqlab test tests --set ", &[1]),
    ("docs/whatif.md", "irqlab whatif tests/machines/server.toml --offline 8-15\n", &[1]),
    ("docs/whatif.md", "irqlab whatif tests/machines/server.toml --kernel v7.3", &[1]),
    ("docs/whatif.md", "irqlab whatif tests/machines/crowded.toml ", &[1]),
];

fn root() -> PathBuf {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = std::env::var_os("IRQLAB_CLONE").map_or_else(here, PathBuf::from);
    root.canonicalize().expect("the tree with the documents")
}

/// The documents, by their paths in the tree.
fn documents() -> Vec<(String, String)> {
    let root = root();
    let entries = fs::read_dir(root.join("docs")).expect("docs");
    let names = entries.map(|entry| entry.expect("a file").file_name().into_string().expect("a name"));
    let mut paths: Vec<String> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    paths.push("README.md".to_owned());
    paths.sort();
    let read = |path: String| (fs::read_to_string(root.join(&path)).expect("a document"), path);
    paths.into_iter().map(read).map(|(text, path)| (path, text)).collect()
}

/// A block whose lines are commands for the reader's own shell. Other blocks of `sh` are scripts for the emulated PC.
fn is_of_commands(language: &str, text: &str) -> bool {
    language == "sh" && text.lines().any(|line| line.starts_with("irqlab ") || line.starts_with("deploy/"))
}

/// Commands in their order, each with the lines that are shown below it.
fn shown_commands(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for (language, text) in blocks(text) {
        if is_of_commands(language, text) {
            found.extend(text.lines().filter(|line| !line.is_empty()).map(|line| (line, Vec::new())));
        }
        if language != "console" {
            continue;
        }
        let mut ours = false;
        for line in text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                found.push((command, Vec::new()));
                ours = true;
            } else if let (true, Some((_, shown))) = (ours, found.last_mut()) {
                shown.push(line);
            }
        }
    }
    found
}

/// The first block of a language that is a file.
fn file<'a>(text: &'a str, language: &str) -> &'a str {
    let is_file = |(of, text): &(&str, &str)| *of == language && !is_of_commands(of, text);
    blocks(text).into_iter().find(is_file).unwrap_or_else(|| panic!("no {language}")).1
}

/// The folder in which the commands of a document run.
fn folder_for(path: &str, text: &str, readme: &str) -> Folder {
    let folder = Folder::new(&format!("document-{}", path.replace('/', "-")));
    let write = |name: &str, text: &str| {
        let path = folder.0.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    let root = root();
    let link = |name: &str| std::os::unix::fs::symlink(root.join(name), folder.0.join(name)).expect("a link");
    link("examples");
    // The machine that has no file, and the README's script.
    write("machine.toml", Machine::EMBEDDED);
    write("script.sh", file(readme, "sh"));
    match path {
        "docs/explore.md" => {
            write("race.sh", file(text, "sh"));
            write("pc.toml", file(text, "toml"));
        }
        "docs/test.md" => {
            write("tests/queue-down/machine.toml", file(text, "toml"));
            write("tests/queue-down/script.sh", file(text, "sh"));
        }
        "docs/import.md" | "README.md" => prepare(&folder),
        _ => {}
    }
    if path != "docs/test.md" {
        link("tests");
    }
    folder
}

/// A shell runs the line, and finds the program by its name.
fn run(folder: &Path, program: &Path, line: &str) -> Output {
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(folder).env("PATH", path).env("NO_COLOR", "1");
    shell.stdin(Stdio::null()).output().expect("a shell")
}

/// What came of a document: how many commands ran, and what of the tables was of use.
#[derive(Default)]
struct Ran {
    commands: usize,
    left_out: BTreeSet<usize>,
    statuses: BTreeSet<usize>,
    wrong: Vec<String>,
}

fn try_document(path: &str, text: &str, readme: &str, program: &Path) -> Ran {
    let mut ran = Ran::default();
    let commands = shown_commands(text);
    if commands.is_empty() {
        return ran;
    }
    let folder = folder_for(path, text, readme);
    for (command, shown) in commands {
        // A whole command ends with its line.
        let line = format!("{command}\n");
        let named = |of: &str, begin: &str| of == path && line.starts_with(begin);
        if let Some(n) = LEFT_OUT.iter().position(|(of, begin, _)| named(of, begin)) {
            ran.left_out.insert(n);
            continue;
        }
        // The collector reads an emulated machine in place of the computer that tests.
        let output = run(&folder.0, program, &line.replace("sh collect.sh", "sh collect.sh emulated"));
        let said = String::from_utf8_lossy(&output.stderr);
        let answer = STATUSES.iter().position(|(of, begin, _)| named(of, begin));
        let expect = answer.map_or(&[0][..], |n| STATUSES[n].2);
        ran.statuses.extend(answer);
        ran.commands += 1;
        match output.status.code() {
            Some(status) if expect.contains(&status) => {}
            status => {
                ran.wrong.push(format!("{path}: `{command}` ends with {status:?}, not {expect:?}: {said}"));
                continue;
            }
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        if !shown.is_empty() && expect.len() == 1 && !shows(&shown, &printed.lines().collect::<Vec<_>>()) {
            let shown = shown.join("\n");
            ran.wrong.push(format!("{path}: `{command}` prints\n{printed}\nand the document shows\n{shown}"));
        }
    }
    if path == "README.md" {
        ran.wrong.extend(picture_is_stale(&folder.0));
    }
    ran
}

/// What is wrong with the README's picture, which `UPDATE_DOCS=1` writes anew.
fn picture_is_stale(folder: &Path) -> Option<String> {
    let made = fs::read_to_string(folder.join("read.svg")).expect("the README's command makes read.svg");
    let path = root().join("docs/images/read.svg");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &made).expect("the picture is written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let how = "UPDATE_DOCS=1 cargo test -p irqlab --test it documents";
    (kept != made).then(|| format!("docs/images/read.svg is not what the README's command makes: {how}"))
}

#[test]
fn every_command_runs_as_it_is_shown() {
    // A name by which a shell finds the program.
    let bin = Folder::new("documents-bin");
    let program = std::env::var_os("IRQLAB_PROGRAM")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_irqlab")), PathBuf::from);
    let program = program.canonicalize().expect("the program");
    std::os::unix::fs::symlink(&program, bin.0.join("irqlab")).expect("a link");

    let documents = documents();
    let readme = &documents.iter().find(|(path, _)| path == "README.md").expect("a README").1;
    let ran: Vec<Ran> = std::thread::scope(|scope| {
        let tries = documents
            .iter()
            .map(|(path, text)| scope.spawn(|| try_document(path, text, readme, &bin.0)))
            .collect::<Vec<_>>();
        tries.into_iter().map(|tried| tried.join().expect("what is shown is printed")).collect()
    });
    let wrong: Vec<&String> = ran.iter().flat_map(|ran| &ran.wrong).collect();
    wrong.iter().for_each(|wrong| println!("{wrong}\n"));
    assert!(wrong.is_empty(), "{} commands are wrong", wrong.len());
    let commands: usize = ran.iter().map(|ran| ran.commands).sum();
    assert!(commands > 80, "{commands}");
    for (n, (path, begin, why)) in LEFT_OUT.iter().enumerate() {
        assert!(ran.iter().any(|ran| ran.left_out.contains(&n)), "{path} has no `{begin}` ({why})");
    }
    for (n, (path, begin, _)) in STATUSES.iter().enumerate() {
        assert!(ran.iter().any(|ran| ran.statuses.contains(&n)), "{path} has no `{begin}`");
    }
}

#[test]
fn the_index_has_every_document() {
    let documents = documents();
    let index = &documents.iter().find(|(path, _)| path == "docs/README.md").expect("an index").1;
    for (path, _) in &documents {
        let name = path.strip_prefix("docs/").unwrap_or("README.md");
        assert!(
            name == "README.md" || index.contains(&format!("({name})")),
            "docs/README.md does not have {name}"
        );
    }
}

#[test]
fn commands_are_found_in_both_kinds_of_blocks() {
    let text = "a\n```sh\nirqlab museum M01 --export m01\n```\n```console\n$ irqlab\n# cat x\nprinted\n$ sh y > z\n```\n\
                ```sh\necho 1 > /sys/x\n```\n";
    let found = shown_commands(text);
    let names: Vec<&str> = found.iter().map(|(command, _)| *command).collect();
    assert_eq!(names, ["irqlab museum M01 --export m01", "irqlab", "sh y > z"]);
    assert_eq!(found[1].1, ["# cat x", "printed"]);
    assert_eq!(file(text, "sh"), "echo 1 > /sys/x");
}
