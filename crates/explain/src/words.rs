//! The texts, as the files of `data` have them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use kstate::semantics::KernelVersion;
use serde::Deserialize;

use crate::Kind;

/// Something that has a text.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// What it is called; the first one is its title. Of a file: its paths, in which a part that begins with
    /// a capital stands for anything, and capitals at the end of a part for a number or a name. Of a message: pieces
    /// of C's formats.
    pub names: Vec<String>,
    /// Other ways to ask for it.
    #[serde(default)]
    pub also: Vec<String>,
    /// What it is.
    pub text: String,
    /// The kernels for which this holds; none for all.
    #[serde(default)]
    pub kernels: Vec<String>,
    /// The functions that decide: a name, and its C file where the tables have the name alone, with the kernels that
    /// have it unless all do ([`decider`]).
    #[serde(default)]
    pub decides: Vec<String>,
    /// Where to see it: lines of `irqlab sh`, or commands that begin with `irqlab`.
    #[serde(default)]
    pub look: Vec<String>,
    /// What else to ask for.
    #[serde(default)]
    pub see: Vec<String>,
    /// What it can say or be: errors of a write, values of a parameter.
    #[serde(default)]
    pub values: Vec<Value>,
}

/// Something that a [`Word`] can say or be.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// The error or the value.
    pub name: String,
    /// What it means.
    pub text: String,
    /// The kernels for which this holds; none for all that have the word.
    #[serde(default)]
    pub kernels: Vec<String>,
    /// The functions that decide.
    #[serde(default)]
    pub decides: Vec<String>,
    /// Lines of `irqlab sh` of which the last one says it, on the embedded machine.
    #[serde(default)]
    pub shown: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Words {
    #[serde(default)]
    file: Vec<Word>,
    #[serde(default)]
    error: Vec<Word>,
    #[serde(default)]
    parameter: Vec<Word>,
    #[serde(default)]
    notion: Vec<Word>,
    #[serde(default)]
    row: Vec<Word>,
    #[serde(default)]
    message: Vec<Word>,
    #[serde(default)]
    program: Vec<Word>,
    #[serde(default)]
    field: Vec<Word>,
    #[serde(default)]
    hardware: Vec<Word>,
}

/// Texts of single names.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    /// Of functions.
    #[serde(default)]
    pub functions: BTreeMap<String, String>,
    /// Of `IRQD_*` and `IRQS_*`.
    #[serde(default)]
    pub flags: BTreeMap<String, String>,
    /// Of tracepoints.
    #[serde(default)]
    pub tracepoints: BTreeMap<String, String>,
}

const WORDS: [(&str, &str); 8] = [
    ("files.toml", include_str!("../data/files.toml")),
    ("errors.toml", include_str!("../data/errors.toml")),
    ("parameters.toml", include_str!("../data/parameters.toml")),
    ("notions.toml", include_str!("../data/notions.toml")),
    ("rows.toml", include_str!("../data/rows.toml")),
    ("messages.toml", include_str!("../data/messages.toml")),
    ("fields.toml", include_str!("../data/fields.toml")),
    ("hardware.toml", include_str!("../data/hardware.toml")),
];

const TEXTS: [(&str, &str); 2] = [
    ("functions.toml", include_str!("../data/functions.toml")),
    ("functions-more.toml", include_str!("../data/functions-more.toml")),
];

/// The words of all files, with what they are.
pub fn words() -> &'static [(Kind, Word)] {
    static PARSED: OnceLock<Vec<(Kind, Word)>> = OnceLock::new();
    PARSED.get_or_init(|| {
        let mut all = Vec::new();
        for (file, text) in WORDS {
            let Words { file, error, parameter, notion, row, message, program, field, hardware } =
                toml::from_str(text).unwrap_or_else(|e| panic!("data/{file}: {e}"));
            let groups = [
                (Kind::File, file),
                (Kind::Error, error),
                (Kind::Parameter, parameter),
                (Kind::Notion, notion),
                (Kind::Row, row),
                (Kind::Message, message),
                (Kind::Program, program),
                (Kind::Field, field),
                (Kind::Hardware, hardware),
            ];
            all.extend(
                groups.into_iter().flat_map(|(kind, words)| words.into_iter().map(move |w| (kind, w))),
            );
        }
        all
    })
}

/// The texts of functions, flags and tracepoints.
pub fn texts() -> &'static Texts {
    static PARSED: OnceLock<Texts> = OnceLock::new();
    PARSED.get_or_init(|| {
        let mut all = Texts::default();
        for (file, text) in TEXTS {
            let Texts { functions, flags, tracepoints } =
                toml::from_str(text).unwrap_or_else(|e| panic!("data/{file}: {e}"));
            all.functions.extend(functions);
            all.flags.extend(flags);
            all.tracepoints.extend(tracepoints);
        }
        all
    })
}

/// The kernels of a list of names; an empty list stands for `all`.
pub fn kernels(names: &[String], all: &[KernelVersion]) -> Vec<KernelVersion> {
    if names.is_empty() {
        return all.to_vec();
    }
    names.iter().filter_map(|name| KernelVersion::from_name(name)).collect()
}

/// A function that decides, as the texts name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decider<'a> {
    /// Its name.
    pub function: &'a str,
    /// Its C file, where the tables have none.
    pub file: Option<&'a str>,
    /// With a file: the kernels that have it; none for all.
    pub kernels: Vec<&'a str>,
}

/// Reads `NAME [FILE [KERNEL...]]`.
pub fn decider(text: &str) -> Decider<'_> {
    let mut parts = text.split_whitespace();
    Decider { function: parts.next().unwrap_or_default(), file: parts.next(), kernels: parts.collect() }
}
