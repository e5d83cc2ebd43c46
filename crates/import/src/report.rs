//! What import found, what it inferred and from what, what it assumed, and what is missing.

use core::fmt::{self, Display};

/// The account of an import, in the order in which things were found out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// What is there.
    pub known: Vec<String>,
    /// What follows from something else.
    pub inferred: Vec<String>,
    /// What nothing says.
    pub assumed: Vec<String>,
    /// What would be worth having, and what is known less without it.
    pub missing: Vec<String>,
    /// What the machine file leaves out.
    pub left_out: Vec<String>,
}

impl Report {
    pub(crate) fn known(&mut self, what: impl Into<String>) {
        self.known.push(what.into());
    }
    pub(crate) fn inferred(&mut self, what: &str, from: &str) {
        self.inferred.push(format!("{what}: from {from}"));
    }
    pub(crate) fn assumed(&mut self, what: impl Into<String>) {
        self.assumed.push(what.into());
    }
    pub(crate) fn missing(&mut self, what: impl Into<String>) {
        self.missing.push(what.into());
    }
    pub(crate) fn left_out(&mut self, what: impl Into<String>) {
        self.left_out.push(what.into());
    }

    /// All lines: the word for what kind of knowledge it is, and what it is.
    pub fn lines(&self) -> Vec<(&'static str, &str)> {
        let parts = [
            ("known", &self.known),
            ("inferred", &self.inferred),
            ("assumed", &self.assumed),
            ("missing", &self.missing),
            ("left out", &self.left_out),
        ];
        parts
            .into_iter()
            .flat_map(|(word, list)| list.iter().map(move |what| (word, what.as_str())))
            .collect()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().into_iter().try_for_each(|(word, what)| writeln!(f, "  {word:<9} {what}"))
    }
}
