//! Lists the kernel functions of the other crates as they are declared: their C files, parameters, what they return. So a
//! breakpoint's condition can be checked before the function was ever called, and what was never called has a name.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The crates that have kernel functions.
const CRATES: [&str; 6] = ["irqcore", "x86apic", "kcore", "pcimsi", "drivers", "sim"];

/// A function as it is declared.
#[derive(Default)]
struct Function {
    files: Vec<String>,
    part: bool,
    /// Name and type as they are written.
    parameters: Vec<(String, String)>,
    returns: String,
    /// Names of the error numbers that its body makes.
    errors: Vec<String>,
}

/// By name and first C file: generations of a function share them, and so do a function and its frame.
type Functions = BTreeMap<(String, String), Function>;

fn main() -> Result<(), Box<dyn Error>> {
    let crates = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let mut functions = Functions::new();
    for name in CRATES {
        let folder = sources(&crates, name)?;
        println!("cargo::rerun-if-changed={}", folder.display());
        read_folder(&folder, &mut functions)?;
    }
    let mut text = String::from("const MODELLED: &[Modelled] = &[\n");
    for ((name, _), Function { files, part, parameters, returns, errors }) in functions {
        writeln!(
            text,
            "Modelled {{ name: {name:?}, files: &{files:?}, part: {part}, parameters: &{parameters:?}, \
             returns: {returns:?}, errors: &{errors:?} }},"
        )?;
    }
    text.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("modelled.rs"), text)?;
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
    for mark in ["#[kfn(", "#[kframe(", "#[kirq("] {
        for (at, _) in text.match_indices(mark) {
            // A comment that shows the attribute has something else in front of it.
            let indent = text[..at].rsplit('\n').next().unwrap_or("");
            if !indent.trim().is_empty() {
                continue;
            }
            let Some((place, rest)) = text[at + mark.len()..].split_once(")]") else { continue };
            let Some((_, rest)) = rest.split_once("fn ") else { continue };
            let Some((head, rest)) = rest.split_once('(') else { continue };
            // Type parameters stand behind the name.
            let name = head.split('<').next().unwrap_or("").trim();
            let files: Vec<String> = place.split('"').skip(1).step_by(2).map(str::to_owned).collect();
            let Some(first) = files.first().cloned() else { continue };
            if name.starts_with('$') {
                for (name, parameters) in callbacks(text) {
                    let function = Function { files: files.clone(), parameters, ..Function::default() };
                    functions.insert((name, first.clone()), function);
                }
                continue;
            }
            let end = format!("\n{indent}}}");
            let (signature, body) = rest.split_once('{').unwrap_or((rest, ""));
            let body = if body.starts_with('}') { "" } else { body.split(&end).next().unwrap_or(body) };
            let known = functions.entry((name.to_owned(), first)).or_default();
            known.part |= place.rsplit('"').next().is_some_and(|more| more.contains("part"));
            known.returns = returns(signature);
            add(&mut known.files, files, PartialEq::eq);
            add(&mut known.errors, errors(body), PartialEq::eq);
            // The generations of a function share a name, and a breakpoint stops in both.
            let parameters = parameters(rest).into_iter().skip(1).take(4).collect();
            add(&mut known.parameters, parameters, |(name, _), (other, _)| name == other);
        }
    }
}

/// Adds what is not known yet.
fn add<T>(known: &mut Vec<T>, more: Vec<T>, same: impl Fn(&T, &T) -> bool) {
    for one in more {
        if !known.iter().any(|known| same(known, &one)) {
            known.push(one);
        }
    }
}

/// What stands behind the arrow, if there is one behind the parameters.
fn returns(signature: &str) -> String {
    let mut depth = 0usize;
    let end = signature.char_indices().find(|(_, c)| match c {
        '(' => {
            depth += 1;
            false
        }
        ')' if depth == 0 => true,
        ')' => {
            depth -= 1;
            false
        }
        _ => false,
    });
    let behind = end.map_or("", |(at, _)| &signature[at + 1..]);
    behind.trim().strip_prefix("-> ").unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The error numbers that a body makes, and does not only compare with.
fn errors(body: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, mark) in body.match_indices("Errno::E") {
        let rest = &body[at + mark.len() - 1..];
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        let before = body[..at].trim_end().trim_end_matches("Err(").trim_end();
        let after = rest[name.len()..].trim_start_matches(')').trim_start();
        let compared = before.ends_with("==") || before.ends_with("!=") || before.ends_with('|');
        let pattern = ["=>", "| Errno", "| Err(", "if "].iter().any(|mark| after.starts_with(mark));
        if !compared && !pattern && !found.contains(&name) {
            found.push(name);
        }
    }
    found.sort_unstable();
    found
}

/// Functions that a macro writes, all of which take one level of an interrupt's data.
fn callbacks(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let Some((_, block)) = text.split_once("\nparent_callbacks! {") else { return Vec::new() };
    let block = block.split_once("\n}").map_or(block, |(block, _)| block);
    let lines = block.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let names = lines.filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| (name.to_owned(), vec![("d".to_owned(), "Irqd".to_owned())])).collect()
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
