//! What must hold of the model beside the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use crate::model::{self, Function};
use crate::tables::{Facts, KERNELS, facts, fits, root, says_little};

/// The lists of single words.
const WORDS: [&str; 2] = ["left_out.txt", "public.txt"];

/// A list of names with reasons: `# reason` above the names that it is for, one a line. Where a name is a word, a
/// line may have several (`WORDS`).
pub fn allowed(file: &str) -> BTreeMap<String, String> {
    let path = root().join("tests/facts").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut list = BTreeMap::new();
    let mut reason = String::new();
    let mut in_reason = false;
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if let Some(more) = line.strip_prefix('#') {
            reason = if in_reason { format!("{reason} {}", more.trim()) } else { more.trim().to_owned() };
            in_reason = true;
            continue;
        }
        in_reason = false;
        assert!(reason.split_whitespace().count() >= 4, "{file}: {line} has no reason");
        let items: Vec<&str> =
            if WORDS.contains(&file) { line.split_whitespace().collect() } else { vec![line] };
        for item in items {
            let twice = list.insert(item.to_owned(), reason.clone());
            assert!(twice.is_none(), "{file}: {item} stands twice");
        }
    }
    list
}

/// What was found and is not listed, and what is listed and was not found.
fn compare(found: &BTreeSet<String>, file: &str, what: &str) {
    let listed = allowed(file);
    let mut problems = String::new();
    for item in found.iter().filter(|item| !listed.contains_key(*item)) {
        let _ = writeln!(problems, "  {item}");
    }
    for item in listed.keys().filter(|item| !found.contains(*item)) {
        let _ = writeln!(problems, "  {item}: take it off tests/facts/{file}, it is no longer so");
    }
    assert!(problems.is_empty(), "{what}, or list it with its reason in tests/facts/{file}:\n{problems}");
}

fn all() -> Vec<(&'static str, Facts)> {
    KERNELS.iter().map(|&kernel| (kernel, facts(kernel))).collect()
}

fn is_c(file: &str) -> bool {
    file.ends_with(".c") || file.ends_with(".h")
}

#[test]
fn a_function_is_in_the_file_that_it_names() {
    let kernels = all();
    let mut found = BTreeSet::new();
    for function in model::functions().iter().filter(|f| !f.part) {
        for file in function.files.iter().filter(|f| is_c(f)) {
            let key = (function.name.clone(), file.clone());
            if !kernels.iter().any(|(_, facts)| facts.functions.contains_key(&key)) {
                found.insert(format!("{} {file}", function.name));
            }
        }
    }
    compare(&found, "elsewhere.txt", "name the file in which C has the function");
}

#[test]
fn warnings_are_where_c_has_them() {
    let kernels = all();
    let mut problems = String::new();
    for function in model::functions() {
        for (how, text) in &function.says {
            let bug = text.strip_prefix("kernel BUG at ");
            let Some(at) = text.strip_prefix("WARNING: at ").or(bug) else {
                continue;
            };
            let Some((file, name)) = at.split_once(' ') else {
                let _ = writeln!(problems, "  {}: `{text}`: expected a file and a function", function.at);
                continue;
            };
            let key = (name.to_owned(), file.to_owned());
            let macros: BTreeSet<&str> = kernels
                .iter()
                .filter_map(|(_, facts)| facts.functions.get(&key))
                .flat_map(|f| f.warns.iter().map(String::as_str))
                .collect();
            let once = how.contains("once");
            let right = |m: &&str| match *m {
                "BUG_ON" | "BUG" => bug.is_some(),
                m => bug.is_none() && (how.is_empty() || m.contains("ONCE") == once),
            };
            // A text that is chosen before it is said has no method beside it.
            if !macros.iter().any(right) {
                let _ = writeln!(problems, "  {}: {how}(`{text}`): C has {macros:?}", function.at);
            }
        }
    }
    assert!(problems.is_empty(), "warn where C warns, and as often:\n{problems}");
}

#[test]
fn c_warns_nowhere_else_in_a_function_that_is_modelled() {
    let functions = model::functions();
    let said: BTreeSet<&str> =
        functions.iter().flat_map(|f| &f.says).filter_map(|(_, text)| text.rsplit(' ').next()).collect();
    let mut found = BTreeSet::new();
    for (_, facts) in all() {
        for ((name, file), f) in facts.functions.iter().filter(|(_, f)| f.built && !f.warns.is_empty()) {
            let modelled = functions.iter().any(|m| m.name == *name && m.files.contains(file));
            if modelled && !said.contains(name.as_str()) && f.warns.iter().any(|w| w != "WARN") {
                found.insert(name.clone());
            }
        }
    }
    compare(&found, "warnings.txt", "warn as C does in these functions");
}

/// A text of Rust with something in place of what is filled in.
fn filled(text: &str) -> String {
    let mut line = String::new();
    let mut rest = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    while let Some(at) = rest.find('{') {
        let Some(end) = rest[at..].find('}') else { break };
        line.push_str(&rest[..at]);
        line.push('7');
        rest = rest[at + end + 1..].to_owned();
    }
    line.push_str(&rest);
    line.replace('\u{1}', "{").replace('\u{2}', "}")
}

#[test]
fn what_is_logged_is_what_a_kernel_logs() {
    let kernels = all();
    let fits_some = |line: &str| {
        kernels.iter().any(|(_, facts)| facts.formats.iter().any(|format| fits(line, &format.pieces)))
    };
    let mut found = BTreeSet::new();
    for Function { at, says, .. } in model::functions() {
        for (how, text) in says {
            let ours = text.starts_with("irqlab: ");
            let place = text.starts_with("WARNING: at ") || text.starts_with("kernel BUG at ");
            let line = filled(&text);
            let letters = line.chars().filter(|c| c.is_alphabetic()).count();
            if ours || place || letters < 4 {
                continue;
            }
            // A device's name is put in front, or is itself what is filled in.
            let lines =
                [line.clone(), format!("nvme nvme0: {line}"), line.replacen("7: ", "nvme nvme0: ", 1)];
            // A line of which only a function's name is left.
            let word = !line.contains(' ') && how == "pr_warn_ratelimited";
            if !word && !lines.iter().any(|line| fits_some(line)) {
                found.insert(format!("{} {text}", at.rsplit("src/").next().unwrap_or_default()));
            }
        }
    }
    compare(&found, "strings.txt", "log what a kernel logs, word for word");
}

#[test]
fn the_recorders_functions_have_their_lines() {
    for (kernel, facts) in all() {
        let path = root().join(format!("crates/record/data/functions-{kernel}.tsv"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut wrong = Vec::new();
        for row in text.lines().skip(1) {
            let fields: Vec<&str> = row.split('\t').collect();
            let key = (fields[0].to_owned(), fields[1].to_owned());
            // A macro that defines a function has no name of its own in the tables.
            if fields[0].starts_with("DEFINE_") {
                continue;
            }
            if facts
                .functions
                .get(&key)
                .is_none_or(|f| !f.lines.iter().any(|line| line.to_string() == fields[2]))
            {
                wrong.push(row.to_owned());
            }
        }
        assert!(wrong.is_empty(), "{kernel}: other places than the source's:\n{}", wrong.join("\n"));
    }
}

/// A function of the model under the name and in the file of C's.
fn modelled<'a>(functions: &'a [Function], name: &str, file: &str) -> Vec<&'a Function> {
    functions.iter().filter(|m| m.name == name && !m.part && m.files.iter().any(|f| f == file)).collect()
}

/// Functions, and below them their own pieces and helpers.
fn with_helpers<'a>(here: &[&'a Function], by_name: &BTreeMap<&str, Vec<&'a Function>>) -> Vec<&'a Function> {
    let mut all: Vec<&Function> = here.to_vec();
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut next = 0;
    while let Some(function) = all.get(next).copied() {
        next += 1;
        for word in &function.words {
            let helpers = by_name.get(word.as_str()).into_iter().flatten();
            for helper in helpers.filter(|h| h.files.is_empty() || h.part) {
                if seen.insert((helper.name.as_str(), helper.at.as_str())) {
                    all.push(helper);
                }
            }
        }
    }
    all
}

#[test]
fn a_modelled_function_calls_what_c_calls() {
    let functions = model::functions();
    let mut by_name: BTreeMap<&str, Vec<&Function>> = BTreeMap::new();
    for function in &functions {
        by_name.entry(function.name.as_str()).or_default().push(function);
    }
    // Callees that the model has as functions of their own, and those that it has nowhere.
    let (mut pairs, mut nowhere) = (BTreeSet::new(), BTreeSet::new());
    for (_, facts) in all() {
        for ((name, file), f) in facts.functions.iter().filter(|(_, f)| f.built) {
            let here = modelled(&functions, name, file);
            if here.is_empty() {
                continue;
            }
            let reached = with_helpers(&here, &by_name);
            for callee in &f.callees {
                let called = reached.iter().any(|function| function.words.contains(callee));
                let deviation = format!("{callee}()");
                if called || reached.iter().any(|function| function.deviates.contains(&deviation)) {
                    continue;
                }
                if by_name.contains_key(callee.as_str()) {
                    pairs.insert(format!("{name} {callee}"));
                } else {
                    nowhere.insert(callee.clone());
                }
            }
        }
    }
    compare(&pairs, "callees.txt", "call what C calls");
    compare(&nowhere, "left_out.txt", "call what C calls");
}

#[test]
fn what_a_modelled_function_of_c_logs_is_logged() {
    let functions = model::functions();
    let texts: BTreeSet<String> = functions.iter().flat_map(|f| &f.texts).map(|text| filled(text)).collect();
    let fitted = |pieces: &[String]| {
        texts.iter().any(|line| {
            fits(line, pieces)
                || fits(&format!("nvme nvme0: {line}"), pieces)
                || fits(&line.replacen("7: ", "nvme nvme0: ", 1), pieces)
        })
    };
    let known: BTreeSet<&str> = functions.iter().map(|f| f.name.as_str()).collect();
    let mut found = BTreeSet::new();
    for (_, facts) in all() {
        // The functions that are modelled, and those of the same file that C has beside them and the model has not.
        let built = facts.functions.iter().filter(|(_, f)| f.built);
        let here =
            built.map(|(key, _)| key).filter(|(name, file)| !modelled(&functions, name, file).is_empty());
        let mut open: Vec<(String, String)> = here.cloned().collect();
        let mut parts: BTreeSet<(String, String)> = BTreeSet::new();
        while let Some(key) = open.pop() {
            for callee in
                facts.functions[&key].callees.iter().filter(|callee| !known.contains(callee.as_str()))
            {
                let callee = (callee.clone(), key.1.clone());
                if facts.functions.get(&callee).is_some_and(|f| f.built && f.is_static)
                    && !parts.contains(&callee)
                {
                    open.push(callee);
                }
            }
            parts.insert(key);
        }
        for format in facts.formats.iter().filter(|f| parts.contains(&f.of) && !says_little(&f.pieces)) {
            if !fitted(&format.pieces) {
                found.insert(format!("{}: {}", format.of.0, format.text.trim_end()));
            }
        }
    }
    compare(&found, "unlogged.txt", "log what C logs");
}

#[test]
fn what_is_static_in_c_is_private() {
    let kernels = all();
    let mut found = BTreeSet::new();
    for function in model::functions().iter().filter(|function| function.public && !function.part) {
        let mut same: Vec<(&str, bool)> = Vec::new();
        for (_, facts) in &kernels {
            for ((_, file), f) in
                facts.functions.iter().filter(|((name, _), f)| *name == function.name && f.built)
            {
                if function.files.is_empty() || function.files.contains(file) {
                    same.push((file.as_str(), f.is_static));
                }
            }
        }
        // A header's function is everybody's.
        let in_c = same.iter().all(|(file, _)| file.ends_with(".c"));
        if in_c && !same.is_empty() && same.iter().all(|(_, is_static)| *is_static) {
            found.insert(function.name.clone());
        }
    }
    compare(
        &found,
        "public.txt",
        "make private, or `pub(super)` in a C file of several modules, what is static in C",
    );
}
