//! Rules about the sources that no compiler checks.
//!
//! Every rule says in its message what to do about a line that breaks it. Texts that a rule looks
//! for are put together here from pieces, so that this file does not break its own rules.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A source file.
struct Source {
    /// Its path in the repository.
    path: String,
    text: String,
}

/// One broken rule.
struct Finding {
    path: String,
    line: usize,
    text: String,
}

impl Source {
    /// The lines outside of unit tests, which stand at the end of a file, with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut lines = self.text.lines().enumerate().peekable();
        std::iter::from_fn(move || {
            let (i, line) = lines.next()?;
            let tests = line == "#[cfg(test)]"
                && lines.peek().is_some_and(|(_, next)| {
                    next.ends_with('{') && (next.starts_with("mod ") || next.starts_with("pub(crate) mod "))
                });
            (!tests).then_some((i + 1, line))
        })
        .fuse()
    }

    /// The same without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The comment at the top.
    fn header(&self) -> String {
        let lines = self.text.lines().take_while(|line| line.starts_with("//!"));
        lines.map(|line| line.trim_start_matches("//!").trim()).collect::<Vec<_>>().join(" ")
    }

    fn find(&self, mut wanted: impl FnMut(&str) -> bool) -> Vec<Finding> {
        let found = self.code().filter(|(_, line)| wanted(line));
        found
            .map(|(line, text)| Finding { path: self.path.clone(), line, text: text.trim().to_owned() })
            .collect()
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(&format!("{folder}/")))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files with an extension below a folder, by path.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The sources below `folder` of every crate.
fn sources(folders: &[&str]) -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    for krate in fs::read_dir(root.join("crates")).expect("the crates") {
        for folder in folders {
            files(&krate.as_ref().expect("a crate").path().join(folder), &mut paths);
        }
    }
    // Unit tests that have a file to themselves.
    paths.retain(|path| !path.ends_with("tests.rs") || !path.iter().any(|part| part == "src"));
    paths.sort();
    let relative = |path: &Path| path.strip_prefix(&root).expect("below the root").display().to_string();
    paths
        .iter()
        .map(|path| Source { path: relative(path), text: fs::read_to_string(path).expect("a text") })
        .collect()
}

#[track_caller]
fn none(findings: Vec<Finding>, what_to_do: &str) {
    let list: String = findings.iter().map(|f| format!("  {}:{}: {}\n", f.path, f.line, f.text)).collect();
    assert!(list.is_empty(), "{what_to_do}\n{list}");
}

/// A word that stands alone.
fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word)
}

/// Where a version may be looked at beside [`kstate::semantics::Semantics::of`]: to choose a table or
/// a name, never a behaviour.
const VERSION_TABLES: [(&str, &str); 1] =
    [("crates/record/src/functions.rs", "each kernel has its table of functions in scope")];

#[test]
fn only_semantics_looks_at_a_version() {
    let looks = |line: &str| {
        let variant = line.contains("KernelVersion::V");
        let compares = line.contains("version ==") || line.contains("version !=");
        let selects = line.contains("match ") && line.contains("version");
        variant || compares || selects
    };
    let sources = sources(&["src"]);
    let mut findings = Vec::new();
    for source in &sources {
        let listed = VERSION_TABLES.iter().any(|(path, _)| *path == source.path);
        if !listed && !source.is_in(&["crates/kstate/src/semantics"]) {
            findings.extend(source.find(looks));
        }
    }
    none(
        findings,
        "read a field of Semantics instead, or add one; a table or a name may be listed in VERSION_TABLES",
    );
    for (path, _) in VERSION_TABLES {
        let source = sources.iter().find(|s| s.path == path);
        let needed = source.is_some_and(|s| !s.find(looks).is_empty());
        assert!(needed, "{path} looks at no version any more: take it off VERSION_TABLES");
    }
}

#[test]
fn every_field_of_semantics_is_read() {
    let sources = sources(&["src"]);
    for field in kstate::semantics::Semantics::fields() {
        let read = sources
            .iter()
            .filter(|s| !s.is_in(&["crates/kstate/src/semantics"]))
            .any(|s| s.code().any(|(_, line)| line.contains("sem") && has_word(line, field.name)));
        assert!(read, "no behaviour reads Semantics::{}: remove it or use it", field.name);
    }
}

#[test]
fn nothing_is_left_undone_or_silenced() {
    let todo = ["to", "do!"].concat();
    let unimplemented = ["unimple", "mented!"].concat();
    let allow = ["#[al", "low"].concat();
    let allow_all = ["#![al", "low"].concat();
    let ignore = ["#[ig", "nore"].concat();
    let keyword = ["un", "safe"].concat();
    let all = sources(&["src", "tests", "benches"]);
    let findings = all.iter().flat_map(|source| {
        source.find(|line| {
            let texts = [&todo, &unimplemented, &allow, &allow_all, &ignore];
            texts.iter().any(|text| line.contains(text.as_str())) || has_word(line, &keyword)
        })
    });
    none(
        findings.collect(),
        "finish it, or expect the lint with its reason: #[expect(lint, reason = \"...\")]",
    );
}

/// The crates that are pure functions of the machine's state.
const BELOW_SIM: [&str; 6] =
    ["crates/kstate", "crates/irqcore", "crates/x86apic", "crates/kcore", "crates/pcimsi", "crates/drivers"];

#[test]
fn the_model_sees_nothing_of_the_world() {
    let modules = ["time", "thread", "env", "fs", "io", "net", "process", "sync"];
    let findings = sources(&["src"]).into_iter().filter(|s| s.is_in(&BELOW_SIM)).flat_map(|source| {
        source.find(|line| {
            let module = modules.iter().any(|m| line.contains(&format!("std::{m}")));
            // Counting who has a value is no synchronization that a run could depend on.
            let counts = line == "use std::sync::Arc;";
            module && !counts || line.contains("println!") || line.contains("dbg!")
        })
    });
    none(
        findings.collect(),
        "time, chance and input come through Kernel::events, Kernel::oracle and the script",
    );
}

#[test]
fn nothing_below_sim_depends_on_the_order_of_hashes() {
    let findings = sources(&["src"])
        .into_iter()
        .filter(|s| s.is_in(&BELOW_SIM))
        .flat_map(|source| source.find(|line| has_word(line, "HashMap") || has_word(line, "HashSet")));
    none(findings.collect(), "use BTreeMap, BTreeSet or a Vec with indices: runs have to repeat exactly");
}

/// Whether a file is hardware.
fn is_hardware(path: &str) -> bool {
    path.contains("/src/hw/") || path.ends_with("/hw.rs")
}

#[test]
fn hardware_knows_no_kernel() {
    // What hardware may use of its own crate stands beside it.
    let kernel_paths =
        ["::kernel", "irqcore", "super::core", "super::pci", "super::ring", "super::blk", "blk_mq", "sem."];
    let findings = sources(&["src"]).into_iter().filter(|s| is_hardware(&s.path)).flat_map(|source| {
        source.find(|line| {
            kernel_paths.iter().any(|path| line.contains(path))
                || line.contains("#[kfn")
                || line.contains("#[kframe")
        })
    });
    none(
        findings.collect(),
        "hardware follows its manual; what the kernel does with it belongs into a kernel module",
    );
}

/// The C files that the functions of a module name.
fn c_files(source: &Source) -> Vec<String> {
    let mut files: Vec<String> = source
        .code()
        .filter_map(|(_, line)| {
            let rest = line
                .trim_start()
                .strip_prefix("#[kfn(\"")
                .or(line.trim_start().strip_prefix("#[kframe(\""))?;
            Some(rest.split('"').next()?.to_owned())
        })
        .filter(|file| file.ends_with(".c") || file.ends_with(".h"))
        .collect();
    files.sort();
    files.dedup();
    files
}

#[test]
fn a_kernel_module_names_its_c_file() {
    let mut problems = String::new();
    for source in sources(&["src"]).iter().filter(|s| !s.is_in(&["crates/kfn"])) {
        let (header, files) = (source.header(), c_files(source));
        assert!(!header.is_empty(), "{} says nothing about itself: begin it with //!", source.path);
        let name = |file: &String| file.rsplit('/').next().unwrap_or_default().to_owned();
        if !files.is_empty() && !files.iter().any(|file| header.contains(&name(file))) {
            let _ = writeln!(problems, "  {}: {}", source.path, files.join(", "));
        }
    }
    assert!(problems.is_empty(), "name the C file in the module's header:\n{problems}");
}

/// A simplification on purpose.
struct Deviation {
    /// What it is about: the function or constant.
    about: String,
    reason: String,
}

/// The comment text of a line.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line.strip_prefix("//!").or(line.strip_prefix("///")).or(line.strip_prefix("//"))?;
    Some(text.trim())
}

/// The name that a line declares.
fn declares(line: &str) -> Option<String> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub(super) ").or(line.strip_prefix("pub(crate) ")).unwrap_or(line);
    let line = line.strip_prefix("pub(in ").and_then(|rest| Some(rest.split_once(") ")?.1)).unwrap_or(line);
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("const fn ").map_or(line.to_owned(), |rest| format!("fn {rest}"));
    let (kind, rest) = line.split_once(' ')?;
    let kinds = ["fn", "const", "static", "struct", "enum", "mod"];
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let call = if kind == "fn" { "()" } else { "" };
    (kinds.contains(&kind) && !name.is_empty()).then(|| format!("{name}{call}"))
}

/// A type's name begins with a capital, and is no constant's.
fn is_type(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)
}

fn deviations(source: &Source) -> Result<Vec<Deviation>, String> {
    let mark = ["DEVI", "ATION"].concat();
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let Some((_, first)) = line.split_once(&mark) else { continue };
        let at = format!("{}:{}", source.path, i + 1);
        if !comment(line).is_some_and(|text| text.starts_with(&mark)) {
            return Err(format!("{at}: {mark} belongs at the beginning of a comment"));
        }
        let first =
            first.strip_prefix(": ").ok_or_else(|| format!("{at}: expected `{mark}: ` and the reason"))?;
        let mut words = vec![first.trim().to_owned()];
        let more = lines[i + 1..].iter().map_while(|line| comment(line).filter(|text| !text.is_empty()));
        words.extend(more.map(str::to_owned));
        let reason = words.join(" ");
        if reason.split_whitespace().count() < 5 || !reason.ends_with('.') {
            return Err(format!("{at}: give the reason in a sentence"));
        }
        // A comment in front of a function or type is about that, one within a function about that function,
        // and one at the top about the module.
        let depth = line.len() - line.trim_start().len();
        let follows = lines[i + 1..].iter().find(|l| {
            let code = l.trim_start();
            !code.starts_with("//") && !code.starts_with("#[") && !code.is_empty()
        });
        let follows = follows.filter(|l| l.len() - l.trim_start().len() == depth);
        let module = follows.is_some_and(|l| has_word(l, "mod"));
        let in_front = follows.and_then(|l| declares(l));
        let about = if line.starts_with("//!") {
            Some(String::new())
        } else if in_front.is_some() {
            in_front
        } else {
            let outer = |l: &&&str| !l.starts_with("        ");
            lines[..i].iter().rev().filter(outer).find_map(|line| declares(line))
        };
        let about = about.unwrap_or_default();
        if !line.starts_with("//!") && !module && !about.ends_with("()") && !is_type(&about) {
            return Err(format!("{at}: put it at the function, the type or the module that it is about"));
        }
        found.push(Deviation { about, reason });
    }
    Ok(found)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    // A name stays as it is written.
    let name = text.split(' ').next().is_some_and(|word| word.contains(['_', '(']));
    match chars.next() {
        Some(first) if !name => first.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

#[test]
fn deviations_have_reasons_and_are_listed() {
    const DOCUMENT: &str = "docs/deviations.md";
    const HOW: &str = "UPDATE_DOCS=1 cargo test -p irqlab-sim --test it tidy";
    let mut text = format!(
        "# Deviations\n\nWhere the model is simpler than the kernel or the hardware on purpose, and why. Collected from the\n\
         sources by `{HOW}`.\n"
    );
    for source in sources(&["src"]) {
        let found = deviations(&source).unwrap_or_else(|problem| panic!("{problem}"));
        if found.is_empty() {
            continue;
        }
        let _ = write!(text, "\n## {}\n\n", source.path);
        for Deviation { about, reason } in found {
            let about = if about.is_empty() { String::new() } else { format!("`{about}`: ") };
            let _ = writeln!(text, "- {about}{}", capital(&reason));
        }
    }
    let path = root().join(DOCUMENT);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(root().join("docs")).expect("a folder");
        fs::write(&path, &text).expect("a writable file");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "{DOCUMENT} is not up to date: run {HOW}");
}

/// The rows of ARCHITECTURE.md's map, from the bottom up: a crate, and the crates of the workspace that it uses.
fn map_of_crates(text: &str) -> Vec<(String, Vec<String>)> {
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = text.lines().skip_while(|line| !line.starts_with("| crate | uses |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        (names(cells[1]).concat(), names(cells[2]))
    })
    .collect()
}

/// The names in a section of a manifest.
fn manifest(krate: &str, section: &str) -> Vec<String> {
    let path = root().join("crates").join(krate).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().skip_while(|line| *line != format!("[{section}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_map_of_crates_is_true() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let map = map_of_crates(&text);
    let entries = fs::read_dir(root().join("crates")).expect("the crates");
    let mut crates: Vec<String> =
        entries.map(|e| e.expect("a crate").file_name().into_string().expect("a name in UTF-8")).collect();
    crates.sort();
    let mut rows: Vec<String> = map.iter().map(|(krate, _)| krate.clone()).collect();
    rows.sort();
    assert_eq!(rows, crates, "every crate has its row in the map of ARCHITECTURE.md");
    for (i, (krate, uses)) in map.iter().enumerate() {
        let is_above = |name: &String| map[..i].iter().any(|(above, _)| above == name);
        for name in uses {
            assert!(is_above(name), "{krate} uses {name}, which does not stand above it in ARCHITECTURE.md");
        }
        let mut listed = uses.clone();
        listed.sort();
        let mut used = manifest(krate, "dependencies");
        used.retain(|name| crates.contains(name));
        used.sort();
        assert_eq!(used, listed, "{krate}: Cargo.toml, and the map of ARCHITECTURE.md");
        for name in manifest(krate, "dev-dependencies") {
            let ours = crates.contains(&name);
            assert!(
                !ours || is_above(&name),
                "a test of {krate} uses {name}: it belongs to that crate's tests"
            );
        }
    }
}

#[test]
fn the_folders_of_drivers_use_each_other_in_one_direction() {
    const FOLDER: &str = "crates/drivers/src/";
    let sources: Vec<Source> = sources(&["src"]).into_iter().filter(|s| s.path.starts_with(FOLDER)).collect();
    let folder =
        |path: &str| path.strip_prefix(FOLDER).and_then(|p| p.split_once('/')).map(|(f, _)| f.to_owned());
    let mut left: Vec<String> = sources.iter().filter_map(|s| folder(&s.path)).collect();
    left.dedup();
    assert!(left.len() > 4, "{left:?}");
    // The other folders that the sources of one name.
    let used = |by: &str, left: &[String]| -> Vec<String> {
        let own = sources.iter().filter(|s| folder(&s.path).as_deref() == Some(by));
        let mut names = own.flat_map(|s| {
            let code = s.code().flat_map(|(_, line)| line.split("crate::").skip(1));
            code.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
        });
        left.iter()
            .filter(|other| *other != by && names.any(|name| name == other.as_str()))
            .cloned()
            .collect()
    };
    while let Some(i) = left.iter().position(|name| used(name, &left).is_empty()) {
        left.remove(i);
    }
    assert!(left.is_empty(), "these folders of drivers use each other in a circle: {left:?}");
}

/// What ARCHITECTURE.md calls by a path that begins with a crate: `sim::engine::step`.
fn paths_in(text: &str, crates: &[String]) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let path = |word: &&str| {
        word.split_once("::").is_some_and(|(first, _)| crates.iter().any(|krate| krate == first))
            && word.chars().all(|c| c.is_alphanumeric() || "_:".contains(c))
    };
    quoted.filter(path).map(str::to_owned).collect()
}

#[test]
fn the_paths_in_architecture_lead_somewhere() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    // Blocks of code are no running text.
    let text: String = text.split("```").step_by(2).collect();
    let crates: Vec<String> = map_of_crates(&text).into_iter().map(|(krate, _)| krate).collect();
    let sources = sources(&["src"]);
    let paths = paths_in(&text, &crates);
    assert!(paths.len() > 5, "{paths:?}");
    for path in paths {
        let (krate, rest) = path.split_once("::").expect("a path");
        // Folders and files as far as they go; the rest is declared there.
        let mut at = format!("crates/{krate}/src");
        let mut names: Vec<&str> = rest.split("::").collect();
        while let Some(name) = names.first()
            && sources
                .iter()
                .any(|s| s.path == format!("{at}/{name}.rs") || s.path.starts_with(&format!("{at}/{name}/")))
        {
            at = format!("{at}/{name}");
            names.remove(0);
        }
        let inside = |s: &&Source| s.path == format!("{at}.rs") || s.path.starts_with(&format!("{at}/"));
        let declared = names.iter().all(|name| {
            sources.iter().filter(inside).any(|s| {
                s.code().any(|(_, line)| {
                    declares(line).is_some_and(|declared| declared.trim_end_matches("()") == *name)
                })
            })
        });
        assert!(declared, "ARCHITECTURE.md names `{path}`, and there is no such thing");
    }
}

/// What follows `crate::` in a source, as names: one, or those in the braces.
fn uses_of_own_crate(code: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let list = match rest.strip_prefix('{') {
            Some(rest) => rest.split(';').next().unwrap_or_default(),
            None => rest.split(|c| !is_name(c)).next().unwrap_or_default(),
        };
        names.extend(list.split(|c| !is_name(c)).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    names
}

#[test]
fn the_folders_of_drivers_form_no_circle() {
    let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources(&["src"]) {
        let inside = source.path.strip_prefix("crates/drivers/src/").and_then(|path| path.split_once('/'));
        let Some((folder, _)) = inside else { continue };
        let code: String = source.code().flat_map(|(_, line)| [line, " "]).collect();
        let mut used = uses_of_own_crate(&code);
        used.retain(|name| name != folder);
        uses.entry(folder.to_owned()).or_default().append(&mut used);
    }
    assert!(uses.len() > 3, "{uses:?}");
    // A folder that uses none of those that are left is on no circle.
    loop {
        let used = |name: &String| uses.contains_key(name);
        let free = uses.iter().find(|(_, names)| !names.iter().any(used)).map(|(folder, _)| folder.clone());
        let Some(folder) = free else { break };
        uses.remove(&folder);
    }
    assert!(uses.is_empty(), "these folders of drivers use each other in a circle: {uses:?}");
}

#[test]
fn rules_find_what_they_look_for() {
    let source = |text: &str| Source { path: "crates/x/src/x.rs".to_owned(), text: text.to_owned() };
    let code = source(
        "//! H.\nlet a = 1; // b\n// c\n#[cfg(test)]\nuse x;\n#[cfg(test)]\nmod tests {\nlet d = 1;\n",
    );
    assert_eq!(code.code().map(|(n, _)| n).collect::<Vec<_>>(), [2, 4, 5]);
    assert!(has_word("if a.b_c(", "b_c") && !has_word("if a.b_c(", "b"));
    let mark = ["DEVI", "ATION"].concat();
    let list = |text: &str| match deviations(&source(text)) {
        Ok(found) => found.iter().map(|d| format!("{} {}", d.about, d.reason)).collect::<Vec<_>>().join("|"),
        Err(problem) => problem,
    };
    assert_eq!(
        list(&format!(
            "/// {mark}: it is simpler for\n/// a reason.\npub fn f() {{\n    // {mark}: so is what is in here.\n}}\n"
        )),
        "f() it is simpler for a reason.|f() so is what is in here."
    );
    assert_eq!(
        list(&format!(
            "mod m {{\n    // {mark}: it is simpler for a reason.\n    #[kfn]\n    fn g() {{\n    }}\n}}\n"
        )),
        "g() it is simpler for a reason."
    );
    assert_eq!(
        list(&format!("// {mark}: it is simpler for a reason.\nconst N: u32 = 1;\n")),
        "crates/x/src/x.rs:1: put it at the function, the type or the module that it is about"
    );
    assert_eq!(list(&format!("//! {mark}: it is simpler for a reason.\n")), " it is simpler for a reason.");
    assert_eq!(
        list(&format!("// {mark}\n")),
        format!("crates/x/src/x.rs:1: expected `{mark}: ` and the reason")
    );
    assert_eq!(list(&format!("// {mark}: no.\n")), "crates/x/src/x.rs:1: give the reason in a sentence");
    let map =
        "x\n| crate | uses | holds |\n|---|---|---|\n| `a` | | `b` |\n| `c` | `a`, `b` | |\n\n| `d` | | |\n";
    let row = |krate: &str, uses: &[&str]| (krate.to_owned(), uses.iter().map(|u| (*u).to_owned()).collect());
    assert_eq!(map_of_crates(map), [row("a", &[]), row("c", &["a", "b"])]);
    assert_eq!(
        uses_of_own_crate("use crate::a::b; use crate::{c::d, e}; crate::f(x)"),
        ["a", "c", "d", "e", "f"]
    );
    assert_eq!(paths_in("`a::b` and `a::{b, c}` or `x::y`", &["a".to_owned()]), ["a::b"]);
}
