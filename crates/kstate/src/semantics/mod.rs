//! What differs between kernels, as named behaviours.
//!
//! [`Semantics`] has a field for every behaviour in which the modelled kernels differ, and for some
//! in which both are like each other and unlike another release. They are declared in one place, `fields.rs`: type, text, what each value means and which kernel has which.
//! [`Semantics::of`] is the only place that looks at a version. Behaviour reads the fields; setting
//! one is the user's experiment ([`Semantics::set`]), which [`Semantics::check`] refuses when the
//! values contradict each other and [`Semantics::is_shipped`] tells from what a kernel really does.
//!
//! # What it doesn't implement
//! Releases between the modelled ones: where a field's change is dated, the date is a note.

use core::fmt;

mod check;
mod fields;

pub use fields::{BlkMap, MsiAffinity, MsiDomains, NvmeProbe, Semantics, Spread, VectorCleanup};

/// The kernels that are modelled whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum KernelVersion {
    /// 5.4.0.
    #[default]
    V5_4,
    /// 6.12.117.
    V6_12,
}

impl KernelVersion {
    /// Both, oldest first.
    pub const ALL: [Self; 2] = [Self::V5_4, Self::V6_12];

    /// The name used in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V5_4 => "v5.4",
            Self::V6_12 => "v6.12",
        }
    }

    /// The version with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.name() == name)
    }
}

/// A field of [`Semantics`], as something to look at.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it decides.
    pub doc: &'static str,
    /// The C function that differs.
    pub function: &'static str,
    /// The C file it is in.
    pub file: &'static str,
    /// The release or commit that changed it, as far as it is known.
    pub changed: &'static str,
    /// Its values, each with what the kernel then does: 5.4.0's first.
    pub values: &'static [(&'static str, &'static str)],
    /// The values that neither kernel has, each with the release that has it.
    pub elsewhere: &'static [(&'static str, &'static str)],
    /// The value in 5.4.0.
    pub v5_4: &'static str,
    /// The value in 6.12.117.
    pub v6_12: &'static str,
    // The name of the value that is set.
    get: fn(&Semantics) -> String,
    // False for an unknown value.
    set: fn(&mut Semantics, &str) -> bool,
}

impl Field {
    /// The value in a kernel.
    pub const fn of(&self, version: KernelVersion) -> &'static str {
        match version {
            KernelVersion::V5_4 => self.v5_4,
            KernelVersion::V6_12 => self.v6_12,
        }
    }

    /// The release that has a value which neither kernel has.
    pub fn release_of(&self, value: &str) -> Option<&'static str> {
        self.elsewhere.iter().find(|(other, _)| *other == value).map(|(_, release)| *release)
    }
}

/// Why a field could not be set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetError {
    /// There is no field of this name.
    UnknownField {
        /// The name.
        name: String,
        /// Fields with a similar name, the closest first.
        close: Vec<&'static str>,
    },
    /// The field has no such value.
    UnknownValue {
        /// The field.
        field: &'static str,
        /// What it was to be set to.
        value: String,
        /// The names of its values.
        expected: Vec<&'static str>,
    },
}

impl SetError {
    /// What would have been right.
    pub fn expected(&self) -> String {
        match self {
            Self::UnknownField { close, .. } if close.is_empty() => "a field of Semantics".to_owned(),
            Self::UnknownField { close, .. } => format!("a field, perhaps {}", close.join(" or ")),
            Self::UnknownValue { expected, .. } => expected.join(" or "),
        }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField { name, .. } => write!(f, "there is no field `{name}`"),
            Self::UnknownValue { field, value, .. } => write!(f, "`{field}` has no value `{value}`"),
        }
    }
}

impl core::error::Error for SetError {}

impl Semantics {
    /// The field with this name.
    pub fn field(name: &str) -> Option<&'static Field> {
        Self::fields().iter().find(|field| field.name == name)
    }

    /// The field with a name that somebody typed.
    ///
    /// # Errors
    /// When there is none, with close names.
    pub fn named(name: &str) -> Result<&'static Field, SetError> {
        let unknown = || SetError::UnknownField { name: name.to_owned(), close: close_names(name) };
        Self::field(name).ok_or_else(unknown)
    }

    /// The value of a field by name; `None` when there is no such field.
    pub fn get(&self, name: &str) -> Option<String> {
        Self::field(name).map(|field| (field.get)(self))
    }

    /// Sets a field by name.
    ///
    /// # Errors
    /// For an unknown field, with close names, and for an unknown value, with those it has.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SetError> {
        let field = Self::named(name)?;
        if (field.set)(self, value) {
            return Ok(());
        }
        let expected = field.values.iter().map(|(value, _)| *value).collect();
        Err(SetError::UnknownValue { field: field.name, value: value.to_owned(), expected })
    }

    /// The fields that differ from a kernel's.
    pub fn differences(&self, version: KernelVersion) -> Vec<&'static Field> {
        let kernel = Self::of(version);
        Self::fields().iter().filter(|field| (field.get)(self) != (field.get)(&kernel)).collect()
    }

    /// Whether one of the kernels behaves like this.
    pub fn is_shipped(&self) -> bool {
        KernelVersion::ALL.into_iter().any(|version| self.differences(version).is_empty())
    }
}

/// How many changes make a name another one at most, for it to be suggested.
fn tolerance(name: &str) -> usize {
    name.len().div_ceil(3)
}

/// Fields whose names are similar or contain what was asked for.
fn close_names(name: &str) -> Vec<&'static str> {
    const MOST: usize = 3;
    let name = name.replace('-', "_");
    let mut close: Vec<(usize, &'static str)> = Semantics::fields()
        .iter()
        .filter_map(|field| {
            let contains = name.len() > 2 && field.name.contains(&name);
            let distance = if contains { 0 } else { strsim::levenshtein(field.name, &name) };
            (distance <= tolerance(&name)).then_some((distance, field.name))
        })
        .collect();
    close.sort_unstable();
    close.into_iter().take(MOST).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_reads_back_what_each_kernel_has_and_what_was_set() {
        for field in Semantics::fields() {
            for version in KernelVersion::ALL {
                let mut sem = Semantics::of(version);
                assert_eq!(sem.get(field.name).as_deref(), Some(field.of(version)), "{}", field.name);
                for (value, meaning) in field.values {
                    assert_eq!(sem.set(field.name, value), Ok(()), "{}", field.name);
                    assert_eq!(sem.get(field.name).as_deref(), Some(*value));
                    assert!(!meaning.is_empty() && !meaning.ends_with('.'), "{}: {meaning}", field.name);
                    let shipped = sem == Semantics::of(version);
                    assert_eq!(sem.is_shipped(), shipped, "{}={value}", field.name);
                    assert_eq!(sem.differences(version).len(), usize::from(!shipped));
                    assert_eq!(shipped, *value == field.of(version), "{}={value}", field.name);
                }
            }
            // What both kernels do alike is no difference, unless some release does otherwise.
            let alike = field.v5_4 == field.v6_12;
            assert!(!alike || !field.elsewhere.is_empty(), "{} is the same in all kernels", field.name);
            let kernels = 2 - usize::from(alike);
            assert_eq!(field.values.len(), kernels + field.elsewhere.len(), "{}", field.name);
            for (value, release) in field.elsewhere {
                let known = field.values.iter().any(|(v, _)| v == value);
                assert!(known && ![field.v5_4, field.v6_12].contains(value), "{}={value}", field.name);
                assert_eq!(field.release_of(value), Some(*release));
                assert!(!release.is_empty() && release.trim() == *release, "{}={value}", field.name);
            }
            for text in [field.doc, field.function, field.file, field.changed] {
                assert!(!text.is_empty() && text.trim() == text, "{}: `{text}`", field.name);
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = Semantics::fields().iter().map(|field| field.name).collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
    }

    #[test]
    fn true_and_false_are_words_for_on_and_off() {
        let mut sem = Semantics::of(KernelVersion::V5_4);
        assert_eq!(sem.set("hctx_drain", "true"), Ok(()));
        assert_eq!(sem.get("hctx_drain").as_deref(), Some("on"));
        assert_eq!(sem.set("hctx_drain", "false"), Ok(()));
        assert_eq!(sem, Semantics::of(KernelVersion::V5_4));
    }

    #[test]
    fn mistakes_are_answered_with_what_was_expected() {
        let mut sem = Semantics::of(KernelVersion::V5_4);
        let mut check = |name, value, message: &str, expected: &str| {
            let error = sem.set(name, value).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.expected().as_str()), (message, expected));
        };
        check("vector_cleanup", "later", "`vector_cleanup` has no value `later`", "ipi or timer");
        check("hctx_drain", "2", "`hctx_drain` has no value `2`", "off or on");
        check("vector_clean", "ipi", "there is no field `vector_clean`", "a field, perhaps vector_cleanup");
        check("hctx-drian", "on", "there is no field `hctx-drian`", "a field, perhaps hctx_drain");
        check("cheese", "on", "there is no field `cheese`", "a field of Semantics");
    }
}
