//! The project is GPL-2.0-only, so everything that is linked into the program has to be offered under
//! terms that go with it. Apache-2.0 alone does not: its clauses on patents are further restrictions.
//!
//! `deny.toml` says the same to cargo-deny. This test needs nothing but cargo.

use std::process::Command;

/// What goes with GPL-2.0-only.
const COMPATIBLE: [&str; 10] = [
    "0BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "GPL-2.0-only",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Reads an expression of SPDX, in which `/` is an old way to write OR, and says whether one of the choices
/// that it leaves is compatible. An exception (`WITH`) is part of the name of the licence.
fn goes_with_gpl2(expression: &str) -> Result<bool, String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    let result = any(&mut rest)?;
    if rest.is_empty() { Ok(result) } else { Err(format!("`{expression}`: what is {rest:?}?")) }
}

fn any(words: &mut &[&str]) -> Result<bool, String> {
    let mut result = all(words)?;
    while let ["OR", rest @ ..] = words {
        *words = rest;
        result |= all(words)?;
    }
    Ok(result)
}

fn all(words: &mut &[&str]) -> Result<bool, String> {
    let mut result = one(words)?;
    while let ["AND", rest @ ..] = words {
        *words = rest;
        result &= one(words)?;
    }
    Ok(result)
}

fn one(words: &mut &[&str]) -> Result<bool, String> {
    match words {
        ["(", rest @ ..] => {
            *words = rest;
            let result = any(words)?;
            let [")", rest @ ..] = words else { return Err("a parenthesis is never closed".to_owned()) };
            *words = rest;
            Ok(result)
        }
        [_, "WITH", _, rest @ ..] => {
            *words = rest;
            Ok(false)
        }
        [name, rest @ ..] => {
            *words = rest;
            Ok(COMPATIBLE.contains(name))
        }
        [] => Err("a licence is missing".to_owned()),
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let check =
        |expression: &str, expect: bool| assert_eq!(goes_with_gpl2(expression), Ok(expect), "{expression}");
    check("MIT", true);
    check("Apache-2.0", false);
    check("MIT/Apache-2.0", true);
    check("Apache-2.0 OR BSL-1.0", true);
    check("Apache-2.0 AND MIT", false);
    check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
    check("Apache-2.0 WITH LLVM-exception", false);
    check("Apache-2.0 WITH LLVM-exception OR MIT", true);
    check("MIT AND (Apache-2.0 OR CC0-1.0)", false);
    assert!(
        goes_with_gpl2("").is_err() && goes_with_gpl2("(MIT").is_err() && goes_with_gpl2("MIT MIT").is_err()
    );
}

#[test]
fn nothing_that_is_linked_is_offered_under_apache_alone() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "irqlab",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--locked",
            "--offline",
        ])
        .args(["--format", "{p}|{l}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo prints text");
    let mut packages: Vec<(&str, &str)> = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .filter_map(|line| line.split_once('|'))
        .collect();
    packages.sort_unstable();
    packages.dedup();
    // What the project is built on is there, so that an empty answer does not pass.
    for name in ["clap v", "serde v", "irqlab-kstate v", "annotate-snippets v", "diffy v"] {
        assert!(
            packages.iter().any(|(package, _)| package.starts_with(name)),
            "{name} is not in {packages:?}"
        );
    }
    let wrong: Vec<_> = packages.iter().filter(|(_, licence)| goes_with_gpl2(licence) != Ok(true)).collect();
    assert!(wrong.is_empty(), "these cannot be linked into a program under GPL-2.0-only: {wrong:#?}");
}
