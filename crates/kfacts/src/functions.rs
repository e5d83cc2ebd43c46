//! The table of functions that `record` reads: which are in scope of a recording, where, and whether
//! ftrace lists them.
//!
//! The first and the last are facts of a running kernel, which captures of it bring along
//! (`tests/captures/KERNEL/functions.tsv`). Where a function is, its source says, and a list that has it
//! elsewhere was taken of another kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

/// Where the table of a kernel's facts has its functions: by name and file, the lines. An `#if` may
/// have two definitions.
type Places = BTreeMap<(String, String), BTreeSet<String>>;

fn places(table: &Path) -> Result<Places, String> {
    let packed = std::fs::read(table).map_err(|e| format!("{}: {e}", table.display()))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .map_err(|e| format!("{}: {e}", table.display()))?;
    let mut places = Places::new();
    for line in text.lines() {
        if let ["function", name, file, line, ..] = line.split('\t').collect::<Vec<_>>()[..] {
            places.entry((name.to_owned(), file.to_owned())).or_default().insert(line.to_owned());
        }
    }
    Ok(places)
}

/// Reads what captures say of the tracer and writes the table.
pub fn run(list: &Path, kernel: &str, folder: &Path, written: &Path) -> Result<String, String> {
    let places = places(&folder.join(format!("{kernel}.tsv.gz")))?;
    let text = crate::read(list)?;
    let (table, functions) = table(&text, &places).map_err(|e| format!("{}:{e}", list.display()))?;
    std::fs::write(written, table).map_err(|e| format!("{}: {e}", written.display()))?;
    Ok(format!("{kernel}: {functions} functions in scope"))
}

fn table(list: &str, places: &Places) -> Result<(String, usize), String> {
    let mut text = "function\tfile\tline\ttraceable\n".to_owned();
    let mut functions = 0;
    let mut lines = list.lines().enumerate();
    let head = lines.next().map(|(_, head)| head).unwrap_or_default();
    if !head.starts_with("function\tfile\tline\ttraceable") {
        return Err("1: expected the columns function, file, line and traceable".to_owned());
    }
    for (at, row) in lines {
        let at = at + 1;
        let (name, file, line, traceable) = match row.split('\t').collect::<Vec<_>>()[..] {
            [name, file, line, traceable @ ("yes" | "no"), ..] => (name, file, line, traceable),
            _ => return Err(format!("{at}: expected a function, its file, its line and yes or no: {row}")),
        };
        // A macro that defines a function has no name of its own in the tables.
        if !name.starts_with("DEFINE_") {
            let lines = places.get(&(name.to_owned(), file.to_owned()));
            let lines = lines.ok_or_else(|| format!("{at}: the source has no {name}() in {file}"))?;
            if !lines.contains(line) {
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                return Err(format!(
                    "{at}: {name}() is not at {file}:{line}, expected line {}",
                    lines.join(" or ")
                ));
            }
        }
        let _ = writeln!(text, "{name}\t{file}\t{line}\t{traceable}");
        functions += 1;
    }
    Ok((text, functions))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables in the tree are those that this makes of the captures and the facts beside them.
    #[test]
    fn the_tables_in_the_tree_are_made_by_this() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for kernel in ["v5.4", "v6.12", "v7.3"] {
            let places =
                places(&root.join(format!("tests/facts/{kernel}.tsv.gz"))).expect("a table of facts");
            let list =
                crate::read(&root.join(format!("tests/captures/{kernel}/functions.tsv"))).expect("a list");
            let (made, functions) = table(&list, &places).expect("every function has a place");
            let there = crate::read(&root.join(format!("crates/record/data/functions-{kernel}.tsv")));
            assert_eq!(Ok(made), there, "{kernel}");
            assert!(functions > 600, "{kernel}: {functions}");
        }
    }

    #[test]
    fn a_list_that_is_none_is_refused_by_line() {
        let places = Places::from([(("a".to_owned(), "a.c".to_owned()), ["7".to_owned()].into())]);
        let head = "function\tfile\tline\ttraceable\tin_captures\n";
        let made = table(&format!("{head}a\ta.c\t7\tyes\tno\n"), &places);
        assert_eq!(made, Ok(("function\tfile\tline\ttraceable\na\ta.c\t7\tyes\n".to_owned(), 1)));
        let check = |list: &str, message: &str| {
            assert_eq!(table(list, &places), Err(message.to_owned()));
        };
        check("a\ta.c\n", "1: expected the columns function, file, line and traceable");
        check(&format!("{head}b\ta.c\t3\tyes\tno\n"), "2: the source has no b() in a.c");
        check(&format!("{head}a\ta.c\t3\tyes\tno\n"), "2: a() is not at a.c:3, expected line 7");
        check(
            &format!("{head}a\ta.c\t3\tperhaps\tno\n"),
            "2: expected a function, its file, its line and yes or no: a\ta.c\t3\tperhaps\tno",
        );
    }
}
