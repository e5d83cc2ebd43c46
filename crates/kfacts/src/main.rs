//! Reads a Linux source tree and writes tables of facts about the files in scope.
//!
//! ```console
//! $ kfacts TREE KERNEL tests/facts
//! ```
//! reads `scope.txt` (C files, one a line) and `config.txt` (options) of the folder, and writes
//! `KERNEL.tsv.gz` and `names-KERNEL.txt.gz` next to them. `README.md` there says what the tables hold.
//! ```console
//! $ kfacts functions LIST KERNEL tests/facts crates/record/data/functions-KERNEL.tsv
//! ```
//! writes the table of functions that the recorder reads: LIST says what the tracer of the running
//! kernel sees, and `KERNEL.tsv.gz` where it is in the source.
//!
//! # What it doesn't implement
//! Macros are not expanded and headers are not included: a call that a macro makes belongs to the
//! macro's name. Whether the tracer of a running kernel can see a function is the compiler's business
//! and not in the source.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod functions;
mod parse;
mod preprocess;

use parse::File;
use preprocess::Config;

/// Headers whose names are C's: below these folders.
const HEADERS: [&str; 4] = ["include/linux", "include/asm-generic", "include/acpi", "arch/x86/include/asm"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["functions", list, kernel, folder, written] => {
            functions::run(Path::new(list), kernel, Path::new(folder), Path::new(written))
        }
        [tree, kernel, folder] => run(Path::new(tree), kernel, Path::new(folder)),
        _ => {
            eprintln!(
                "usage: kfacts TREE KERNEL FOLDER\n       kfacts functions LIST KERNEL FOLDER TABLE\n\
                 expected a kernel's source tree or the functions.tsv of its captures, a name like v5.4, \
                 tests/facts, and the table to write"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("kfacts: {problem}");
            ExitCode::from(2)
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn run(tree: &Path, kernel: &str, folder: &Path) -> Result<String, String> {
    let scope = read(&folder.join("scope.txt"))?;
    let config_file = folder.join("config.txt");
    let mut config =
        Config::parse(&read(&config_file)?, kernel).map_err(|e| format!("{}: {e}", config_file.display()))?;
    let mut parser = parse::parser();
    let mut files: BTreeMap<String, File> = BTreeMap::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    // Conditions decide which of two has a name, and a name is all that is wanted of some files.
    let mut anything = Config::default();
    let scope: Vec<&str> = scope
        .lines()
        .map(|l| l.split('#').next().unwrap_or_default().trim())
        .filter(|l| !l.is_empty())
        .collect();
    for line in scope {
        let (path, only_names) = match line.split_once(' ') {
            None => (line, false),
            Some((path, "names")) => (path, true),
            Some(_) => return Err(format!("scope.txt: expected a file, or a file and `names`: {line}")),
        };
        let there = tree.join(path);
        // A file of another release.
        if !there.exists() {
            continue;
        }
        if only_names {
            if let Ok(source) = preprocess::preprocess(&read(&there)?, &mut anything) {
                add_names(&parse::read(&source, "", &mut parser), &mut names);
            }
            continue;
        }
        let source =
            preprocess::preprocess(&read(&there)?, &mut config).map_err(|e| format!("{path}:{e}"))?;
        let module = Path::new(path).file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
        files.insert(path.to_owned(), parse::read(&source, &module, &mut parser));
    }
    if files.is_empty() {
        return Err(format!(
            "{}: none of the files of {} is there",
            tree.display(),
            folder.join("scope.txt").display()
        ));
    }
    if !config.unknown.is_empty() {
        let list: Vec<&str> = config.unknown.iter().map(String::as_str).collect();
        return Err(format!("{}: lacks {}", config_file.display(), list.join(", ")));
    }
    let table = table(kernel, &files);
    pack(&folder.join(format!("{kernel}.tsv.gz")), &table)?;

    for file in files.values() {
        add_names(file, &mut names);
    }
    for header in headers(tree, &files) {
        let Ok(source) = preprocess::preprocess(&read(&header)?, &mut anything) else { continue };
        add_names(&parse::read(&source, "", &mut parser), &mut names);
    }
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    pack(&folder.join(format!("names-{kernel}.txt.gz")), &text)?;

    let functions: usize = files.values().map(|f| f.functions.len()).sum();
    Ok(format!("{kernel}: {} files, {functions} functions, {} names", files.len(), names.len()))
}

/// Writes a compressed text that is the same whenever it is written.
fn pack(path: &Path, text: &str) -> Result<(), String> {
    let mut gz = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::best());
    let packed = gz.write_all(text.as_bytes()).and_then(|()| gz.finish());
    packed.and_then(|bytes| fs::write(path, bytes)).map_err(|e| format!("{}: {e}", path.display()))
}

fn add_names(file: &File, names: &mut BTreeSet<String>) {
    names.extend(file.functions.iter().map(|f| f.name.clone()));
    names.extend(file.macros.iter().map(|m| m.0.clone()));
    names.extend(file.declared.iter().cloned());
}

/// The headers whose names count: the general ones, and those beside the files in scope.
fn headers(tree: &Path, files: &BTreeMap<String, File>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut add = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        found.extend(entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "h")));
    };
    for folder in HEADERS {
        let folder = tree.join(folder);
        add(&folder);
        for below in fs::read_dir(&folder).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
            add(&below.path());
        }
    }
    for path in files.keys() {
        if let Some(parent) = tree.join(path).parent() {
            add(parent);
        }
    }
    found
}

/// The table: a line for each function, what it logs and where it warns below it.
fn table(kernel: &str, files: &BTreeMap<String, File>) -> String {
    let known: BTreeSet<&str> = files.values().flat_map(|f| &f.functions).map(|f| f.name.as_str()).collect();
    let mut text = format!("# {kernel}: facts of its source tree, written by kfacts. See README.md.\n");
    for (path, file) in files {
        for f in &file.functions {
            let linkage = match (f.is_static, f.is_inline) {
                (true, true) => "static-inline",
                (true, false) => "static",
                (false, _) => "global",
            };
            let calls: Vec<&str> =
                f.calls.iter().map(String::as_str).filter(|c| known.contains(c) && *c != f.name).collect();
            let built = match &f.left_out {
                None => "built".to_owned(),
                Some(condition) => format!("not: {}", condition.replace(['\t', '\n'], " ")),
            };
            let _ = writeln!(
                text,
                "function\t{}\t{path}\t{}\t{linkage}\t{built}\t{}",
                f.name,
                f.line,
                calls.join(" ")
            );
            for log in &f.logs {
                let _ = writeln!(text, "log\t{}\t{path}\t{}\t{}\t{}", f.name, log.line, log.how, log.format);
            }
            for warn in &f.warns {
                let _ = writeln!(text, "warn\t{}\t{path}\t{}\t{}", f.name, warn.line, warn.how);
            }
        }
    }
    text
}
