//! Lists the kernel functions of the other crates with their parameters, so that a breakpoint's condition can be
//! checked before the function was ever called.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The crates that have kernel functions.
const CRATES: [&str; 6] = ["irqcore", "x86apic", "kcore", "pcimsi", "drivers", "sim"];

/// Parameters by function: name and type as they are written.
type Functions = BTreeMap<String, Vec<(String, String)>>;

fn main() -> Result<(), Box<dyn Error>> {
    let crates = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let mut functions = Functions::new();
    for name in CRATES {
        let folder = sources(&crates, name)?;
        println!("cargo::rerun-if-changed={}", folder.display());
        read_folder(&folder, &mut functions)?;
    }
    let mut text = String::from("const PARAMETERS: &[(&str, &[(&str, &str)])] = &[\n");
    for (name, parameters) in functions {
        writeln!(text, "({name:?}, &{parameters:?}),")?;
    }
    text.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("parameters.rs"), text)?;
    Ok(())
}

/// Where the sources of a crate are: beside this one's, in a folder with the crate's name in the workspace, with the
/// package's name where packages were vendored, and with its version, too, where cargo unpacked them.
fn sources(crates: &Path, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let version = env::var("CARGO_PKG_VERSION")?;
    let names = [name.to_owned(), format!("irqlab-{name}-{version}"), format!("irqlab-{name}")];
    let folders = names.map(|name| crates.join(name).join("src"));
    let there = folders.iter().find(|folder| folder.is_dir()).cloned();
    Ok(there.ok_or_else(|| format!("the sources of irqlab-{name} are in none of {folders:?}"))?)
}

fn read_folder(folder: &Path, functions: &mut Functions) -> Result<(), Box<dyn Error>> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            read_folder(&path, functions)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            read_file(&fs::read_to_string(&path)?, functions);
        }
    }
    Ok(())
}

/// Every function below an attribute that records it.
fn read_file(text: &str, functions: &mut Functions) {
    read_callbacks(text, functions);
    for mark in ["#[kfn(", "#[kframe(", "#[kirq("] {
        for (at, _) in text.match_indices(mark) {
            let rest = &text[at..];
            let Some((_, rest)) = rest.split_once("fn ") else { continue };
            let Some((head, rest)) = rest.split_once('(') else { continue };
            // Type parameters stand behind the name.
            let name = head.split('<').next().unwrap_or("").trim();
            if name.is_empty() || name.starts_with('$') {
                continue;
            }
            let known = functions.entry(name.to_owned()).or_default();
            // The generations of a function share a name, and a breakpoint stops in both.
            for parameter in parameters(rest).into_iter().skip(1).take(4) {
                if !known.iter().any(|(name, _)| *name == parameter.0) {
                    known.push(parameter);
                }
            }
        }
    }
}

/// Functions that a macro writes, all of which take one level of an interrupt's data.
fn read_callbacks(text: &str, functions: &mut Functions) {
    let Some((_, block)) = text.split_once("\nparent_callbacks! {") else { return };
    let block = block.split_once("\n}").map_or(block, |(block, _)| block);
    for line in block.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        if let Some((name, _)) = line.split_once(':') {
            functions.insert(name.to_owned(), vec![("d".to_owned(), "Irqd".to_owned())]);
        }
    }
}

/// Splits what stands between the parentheses of a function.
fn parameters(text: &str) -> Vec<(String, String)> {
    let (mut depth, mut parts) = (0usize, vec![String::new()]);
    for c in text.chars() {
        match c {
            '(' | '<' | '[' => depth += 1,
            ')' if depth == 0 => break,
            ')' | '>' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    let named = parts.iter().filter_map(|part| part.split_once(':'));
    named
        .map(|(name, ty)| {
            let name = name.trim().trim_start_matches("mut ").trim_start_matches("r#");
            let ty = ty.trim().trim_start_matches("kstate::").trim_start_matches("::");
            (name.to_owned(), ty.to_owned())
        })
        .collect()
}
