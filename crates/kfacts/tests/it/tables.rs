//! The tables of `tests/facts`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

/// The kernels that are modelled and have tables.
pub const KERNELS: [&str; 3] = ["v5.4", "v6.12", "v7.3"];

/// A function of C.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Where it is defined; an `#if` may have two of them.
    pub lines: BTreeSet<u32>,
    /// Only its file sees it.
    pub is_static: bool,
    pub built: bool,
    pub callees: Vec<String>,
    /// Which macros warn in it.
    pub warns: BTreeSet<String>,
}

/// A kernel's facts.
#[derive(Debug, Default)]
pub struct Facts {
    /// By name and file.
    pub functions: BTreeMap<(String, String), Function>,
    /// All formats.
    pub formats: Vec<Format>,
}

/// What a function logs.
#[derive(Clone, Debug)]
pub struct Format {
    /// The function, and its file.
    pub of: (String, String),
    /// As C has it.
    pub text: String,
    /// The pieces between what is filled in.
    pub pieces: Vec<String>,
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads the table of a kernel.
pub fn facts(kernel: &str) -> Facts {
    let path = root().join(format!("tests/facts/{kernel}.tsv.gz"));
    let packed = fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("a table");
    let mut facts = Facts::default();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let key = (fields[1].to_owned(), fields[2].to_owned());
        match fields[0] {
            "function" => {
                let function = facts.functions.entry(key).or_default();
                let built = fields[5] == "built";
                function.lines.insert(fields[3].parse().expect("a line number"));
                // One of two definitions is built.
                if built || !function.built {
                    function.is_static = fields[4] != "global";
                    function.built = built;
                    function.callees = fields[6].split_whitespace().map(str::to_owned).collect();
                }
            }
            "log" => {
                let text = fields[5].to_owned();
                facts.formats.push(Format { of: key, pieces: pieces(&text), text });
            }
            "warn" => {
                facts.functions.entry(key).or_default().warns.insert(fields[4].to_owned());
            }
            other => panic!("{kernel}: {other}"),
        }
    }
    facts
}

/// The pieces of a format between its directives.
pub fn pieces(format: &str) -> Vec<String> {
    let format = format.replace("\\\"", "\"").replace("\\n", "\n").replace("\\t", "\t");
    let mut pieces = vec![String::new()];
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            pieces.last_mut().expect("one piece").push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            pieces.last_mut().expect("one piece").push('%');
            chars.next();
            continue;
        }
        if chars.peek() == Some(&'{') {
            // A macro that is a string.
            while chars.next().is_some_and(|c| c != '}') {}
        } else {
            while chars.peek().is_some_and(|c| "-+#0123456789.* lhzjtqL".contains(*c)) {
                chars.next();
            }
            let pointer = chars.next() == Some('p');
            while pointer && chars.peek().is_some_and(|c| c.is_ascii_alphanumeric()) {
                chars.next();
            }
        }
        pieces.push(String::new());
    }
    pieces
}

/// Whether a format has too few letters of its own: `%s %s: %s` would fit anything.
pub fn says_little(pieces: &[String]) -> bool {
    let letters: usize = pieces.iter().map(|p| p.chars().filter(|c| c.is_alphabetic()).count()).sum();
    letters < 4
}

/// Whether a line can come of a format.
pub fn fits(line: &str, pieces: &[String]) -> bool {
    if says_little(pieces) {
        return false;
    }
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return false };
    let Some(mut rest) = line.strip_prefix(first.as_str()) else { return false };
    if pieces.len() == 1 {
        return rest.is_empty();
    }
    for piece in &pieces[1..pieces.len() - 1] {
        match rest.find(piece.as_str()) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

#[test]
fn formats_fit_what_comes_of_them() {
    let fits = |line: &str, format: &str| fits(line, &pieces(format));
    assert!(fits("nvme nvme0: pci function 0000:00:03.0", "%s %s: pci function %s"));
    assert!(fits("irq 4, 10% done", "irq %-5u, %d%% done"));
    assert!(fits("handler (____ptrval____) x", "handler %pS x"));
    assert!(!fits("anything", "%s") && !fits("irq 4 and more", "irq %d and"));
    assert!(fits("said \"x\"", "said \\\"%s\\\""));
}
