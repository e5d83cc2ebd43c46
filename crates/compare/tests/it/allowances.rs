//! tests/captures/ALLOWANCES.md names every rule by which the comparison with captures lets
//! something pass, and nothing that the code does not have.

use std::fs;
use std::path::PathBuf;

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The rows of the tables: symbol, file, and the whole line.
fn rows(text: &str) -> Vec<(&str, &str, &str)> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let mut quoted = line.split('`').skip(1).step_by(2);
        (quoted.next().unwrap_or_default(), quoted.next().unwrap_or_default(), line)
    })
    .collect()
}

/// The texts between quotation marks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// The value of a constant in a source.
fn constant<'a>(source: &'a str, name: &str) -> &'a str {
    let (_, value) =
        source.split_once(&format!("const {name}")).unwrap_or_else(|| panic!("no constant {name}"));
    value.split_once(';').unwrap_or_else(|| panic!("{name} has no end")).0
}

#[test]
fn every_row_names_what_is_there() {
    let text = read("tests/captures/ALLOWANCES.md");
    let rows = rows(&text);
    assert!(rows.len() > 30, "{} rows", rows.len());
    for (symbol, file, line) in rows {
        assert!(file.ends_with(".rs"), "no file in {line}");
        assert!(read(file).contains(symbol), "{symbol} is not in {file}");
        assert_eq!(line.matches(" | ").count(), 3, "a row has four columns: {line}");
    }
}

#[test]
fn every_rule_of_the_code_has_a_row() {
    let text = read("tests/captures/ALLOWANCES.md");
    let rows = rows(&text);
    let row = |symbol: &str| {
        rows.iter().find(|(s, ..)| *s == symbol).unwrap_or_else(|| panic!("no row for {symbol}")).2
    };

    // Each function that is left out by name is named.
    let functions = read("crates/record/src/functions.rs");
    let never: Vec<&str> = quoted(constant(&functions, "NEVER_SHOWN")).collect();
    assert!(!never.is_empty());
    for function in never {
        assert!(
            row("NEVER_SHOWN").contains(&format!("`{function}`")),
            "{function} is left out and not listed"
        );
    }

    // Predicates and constants of the sources that decide what is compared.
    let by_name = |source: &str, word: &str| -> Vec<String> {
        let names = source.split(word).skip(1);
        let names =
            names.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
        names.collect()
    };
    // Helpers of others that have a row.
    let helpers = ["is_number", "is_plumbing", "is_equal"];
    for file in [
        "record/src/recording",
        "compare/src/verify/rules",
        "compare/src/verify/boot",
        "record/src/functions",
        "sim/src/state",
    ] {
        let source = read(&format!("crates/{file}.rs"));
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        for rest in by_name(source, "fn is_") {
            let name = format!("is_{rest}");
            if !helpers.contains(&name.as_str()) {
                row(&name);
            }
        }
        for rest in by_name(source, "fn without_") {
            row(&format!("without_{rest}"));
        }
    }
    for file in ["boot", "lab", "shell"] {
        let source = read(&format!("crates/sim/src/{file}.rs"));
        for name in
            by_name(&source, "const ").into_iter().filter(|name| name.ends_with("_TIME") || name == "SETTLE")
        {
            row(&name);
        }
    }
    for name in by_name(&functions, "const ").into_iter().filter(|name| name.starts_with("ROOTS")) {
        row(&name);
    }
}
