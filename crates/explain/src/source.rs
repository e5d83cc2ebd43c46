//! What the kernels' sources say: where a function is, what it logs and where it warns.
//!
//! The tables are those of `tests/facts`, packed into the program. `README.md` there says how they are made.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use kstate::semantics::KernelVersion;
use record::functions::Functions;

/// A table for each kernel that is modelled.
const TABLES: [(&str, &[u8]); KernelVersion::ALL.len()] = [
    ("v5.4", include_bytes!("../data/v5.4.tsv.gz")),
    ("v6.12", include_bytes!("../data/v6.12.tsv.gz")),
    ("v7.3", include_bytes!("../data/v7.3.tsv.gz")),
];

/// A place in a C file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The file, relative to the kernel's tree.
    pub file: String,
    /// The line.
    pub line: u32,
}

/// A line that a kernel can log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The function that logs it.
    pub function: String,
    /// Where.
    pub place: Place,
    /// The C function or macro: `pr_warn` and so on.
    pub how: String,
    /// C's format.
    pub format: String,
}

/// A place at which a kernel warns that something cannot be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// The function.
    pub function: String,
    /// Where.
    pub place: Place,
    /// The macro: `WARN_ON_ONCE` and so on.
    pub how: String,
}

/// What one kernel's source says.
#[derive(Debug, Default)]
pub struct Source {
    functions: BTreeMap<String, Vec<Place>>,
    /// Lines that it can log.
    pub messages: Vec<Message>,
    /// Places at which it warns.
    pub warnings: Vec<Warning>,
}

impl Source {
    /// The table of a kernel, unpacked at first use.
    pub fn of(version: KernelVersion) -> &'static Self {
        static SOURCES: [OnceLock<Source>; KernelVersion::ALL.len()] =
            [const { OnceLock::new() }; KernelVersion::ALL.len()];
        SOURCES[version as usize].get_or_init(|| {
            let packed = TABLES.iter().find(|(name, _)| *name == version.name()).map_or(&[][..], |t| t.1);
            let mut text = String::new();
            // The tests read every table, so that none is broken.
            let _ = GzDecoder::new(packed).read_to_string(&mut text);
            Self::parse(&text)
        })
    }

    fn parse(text: &str) -> Self {
        let mut source = Self::default();
        let mut left_out: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [kind, name, file, number, how, ref rest @ ..] = fields[..] else { continue };
            let Ok(number) = number.parse() else { continue };
            let (function, place) = (name.to_owned(), Place { file: file.to_owned(), line: number });
            match (kind, rest) {
                ("function", ["built", ..]) => source.functions.entry(function).or_default().push(place),
                ("function", _) => left_out.entry(function).or_default().push(place),
                ("log", [format, ..]) => {
                    let (how, format) = (how.to_owned(), (*format).to_owned());
                    source.messages.push(Message { function, place, how, format });
                }
                ("warn", _) => source.warnings.push(Warning { function, place, how: how.to_owned() }),
                _ => {}
            }
        }
        // What the configuration left out is known where nothing else has the name.
        for (name, places) in left_out {
            source.functions.entry(name).or_insert(places);
        }
        source
    }

    /// The names of all functions.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str)
    }
}

/// Where a kernel defines a function. Two C files can each have one of their own.
pub fn places(version: KernelVersion, function: &str) -> Vec<Place> {
    let places = Source::of(version).functions.get(function).cloned().unwrap_or_default();
    // What captures show is the one that was built, where the tables leave the choice.
    let listed = Functions::of(version).get(function);
    match listed {
        Some(f) if !places.iter().any(|place| place.file == f.file && place.line == f.line) => {
            vec![Place { file: f.file.to_owned(), line: f.line }]
        }
        _ => places,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_has_its_table() {
        for &version in KernelVersion::ALL {
            let source = Source::of(version);
            assert!(source.functions().count() > 3500, "{}", version.name());
            assert!(source.messages.len() > 800 && source.warnings.len() > 400, "{}", version.name());
        }
    }
}
