//! What differs between kernels, as named behaviours.
//!
//! [`Semantics`] has a field for every behaviour in which the modelled kernels differ, and for some in
//! which they are alike and another release is not. All are declared in `fields.rs`: type, text, and the
//! values from the oldest kernel to the newest. A kernel that is added says only what it changed; for
//! the rest it has the values of the kernel before it.
//! [`Semantics::of`] is the only place that looks at a version. Behaviour reads the fields; setting
//! one is the user's experiment ([`Semantics::set`]), which [`Semantics::check`] refuses when the
//! values contradict each other and [`Semantics::is_shipped`] tells from what a kernel really does.
//!
//! # What it doesn't implement
//! Releases between the modelled ones: where a field's change is dated, the date is a note.

use core::fmt;

mod check;
#[macro_use]
mod declare;
#[macro_use]
mod fields;

pub use fields::{
    BlkMap, HousekeepingCheck, KernelVersion, MsiAffinity, MsiDomains, NvmeProbe, Semantics, Spread,
    VectorCleanup,
};

impl KernelVersion {
    /// The version with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|v| v.name() == name)
    }

    /// The next younger one that is modelled.
    pub fn next(self) -> Option<Self> {
        Self::ALL.iter().copied().find(|v| *v > self)
    }

    /// The names of all, as in "expected v5.4, v6.12 or v7.3".
    pub fn names() -> String {
        let names: Vec<&str> = Self::ALL.iter().map(|v| v.name()).collect();
        match &names[..] {
            [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            _ => names.concat(),
        }
    }
}

/// A value of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Value<V = KernelVersion> {
    /// Its name on the command line.
    pub word: &'static str,
    /// What the kernel then does.
    pub text: &'static str,
    /// The first modelled kernel that has it.
    pub since: Option<V>,
    /// The release that has it where no modelled kernel does.
    pub release: Option<&'static str>,
}

/// A field of [`Semantics`], as something to look at.
#[derive(Debug)]
pub struct Field<S = Semantics, V: 'static = KernelVersion> {
    /// Its name.
    pub name: &'static str,
    /// What it decides.
    pub doc: &'static str,
    /// The C function that differs.
    pub function: &'static str,
    /// The C file it is in.
    pub file: &'static str,
    /// The values, oldest first: a kernel has the last one that is not younger than itself.
    pub values: &'static [Value<V>],
    // The release or commit that changed it, where that is certain.
    changed: Option<&'static str>,
    // The word of the value that is set.
    get: fn(&S) -> String,
    // False for an unknown word.
    set: fn(&mut S, &str) -> bool,
}

impl<S, V: Copy + Ord> Field<S, V> {
    /// The word of the value in a kernel.
    pub fn of(&self, version: V) -> &'static str {
        let has = |value: &&Value<V>| value.since.is_some_and(|since| since <= version);
        self.values.iter().rev().find(has).unwrap_or(&self.values[0]).word
    }
}

impl Field {
    /// The kernels that have a value.
    pub fn kernels(&self, word: &str) -> impl Iterator<Item = KernelVersion> {
        KernelVersion::ALL.iter().copied().filter(move |version| self.of(*version) == word)
    }

    /// The release that has a value which no modelled kernel has.
    pub fn release_of(&self, word: &str) -> Option<&'static str> {
        self.values.iter().find(|value| value.word == word).and_then(|value| value.release)
    }

    /// The release or commit that changed it. Where that is not certain: between which modelled
    /// kernels it changed.
    pub fn changed(&self) -> String {
        let changed = self.changed.map(str::to_owned);
        changed.unwrap_or_else(|| {
            let pairs = KernelVersion::ALL.windows(2).filter(|pair| self.of(pair[0]) != self.of(pair[1]));
            let number = |version: KernelVersion| version.name().trim_start_matches('v');
            let between = pairs.map(|pair| format!("between {} and {}", number(pair[0]), number(pair[1])));
            between.collect::<Vec<_>>().join(", ")
        })
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
            Self::UnknownField { close, .. } if close.is_empty() => {
                "a field that `irqlab semantics` lists".to_owned()
            }
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
        let mut expected: Vec<&str> = Vec::new();
        for value in field.values {
            if !expected.contains(&value.word) {
                expected.push(value.word);
            }
        }
        Err(SetError::UnknownValue { field: field.name, value: value.to_owned(), expected })
    }

    /// The fields that differ from a kernel's.
    pub fn differences(&self, version: KernelVersion) -> Vec<&'static Field> {
        let kernel = Self::of(version);
        Self::fields().iter().filter(|field| (field.get)(self) != (field.get)(&kernel)).collect()
    }

    /// What is changed in the kernel of this version, each as `FIELD=VALUE`, which `--set` takes.
    pub fn changes(&self) -> Vec<String> {
        let changed = self.differences(self.version).into_iter();
        changed.map(|field| format!("{}={}", field.name, self.get(field.name).unwrap_or_default())).collect()
    }

    /// Whether one of the kernels behaves like this.
    pub fn is_shipped(&self) -> bool {
        KernelVersion::ALL.iter().any(|version| self.differences(*version).is_empty())
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
            for &version in KernelVersion::ALL {
                let mut sem = Semantics::of(version);
                assert_eq!(sem.get(field.name).as_deref(), Some(field.of(version)), "{}", field.name);
                for value in field.values {
                    assert_eq!(sem.set(field.name, value.word), Ok(()), "{}", field.name);
                    assert_eq!(sem.get(field.name).as_deref(), Some(value.word));
                    let shipped = sem == Semantics::of(version);
                    assert_eq!(sem.is_shipped(), shipped, "{}={}", field.name, value.word);
                    assert_eq!(sem.differences(version).len(), usize::from(!shipped));
                    assert_eq!(shipped, value.word == field.of(version), "{}={}", field.name, value.word);
                }
            }
            // What all kernels do alike is no difference, unless some release does otherwise.
            assert!(field.values.len() > 1, "{} is the same in all kernels", field.name);
            for text in [field.doc, field.function, field.file, &field.changed()] {
                assert!(!text.is_empty() && text.trim() == text, "{}: `{text}`", field.name);
            }
        }
    }

    #[test]
    fn values_are_rows_from_the_oldest_kernel_to_the_newest() {
        for field in Semantics::fields() {
            let kernels: Vec<KernelVersion> = field.values.iter().filter_map(|value| value.since).collect();
            assert_eq!(kernels.first(), Some(&KernelVersion::ALL[0]), "{}: the oldest kernel", field.name);
            assert!(kernels.is_sorted_by(|a, b| a < b), "{}: {kernels:?}", field.name);
            let shipped: Vec<&str> = kernels.iter().map(|kernel| field.of(*kernel)).collect();
            for pair in shipped.windows(2) {
                assert_ne!(pair[0], pair[1], "{}: a row that changes nothing", field.name);
            }
            for Value { word, text, since, release } in field.values {
                assert!(!text.is_empty() && !text.ends_with('.'), "{}: {text}", field.name);
                assert_ne!(since.is_some(), release.is_some(), "{}={word}: whose is it?", field.name);
                if let Some(release) = release {
                    assert!(!shipped.contains(word), "{}={word} is not {release}'s alone", field.name);
                    assert!(!release.is_empty() && release.trim() == *release, "{}={word}", field.name);
                    assert_eq!(field.release_of(word), Some(*release));
                }
            }
        }
    }

    /// The modelled kernels and one that nobody has written, which differs in one field.
    mod invented {
        use super::super::{
            BlkMap, HousekeepingCheck, MsiAffinity, MsiDomains, NvmeProbe, Spread, VectorCleanup,
        };

        kernels! {
            /// As modelled.
            V5_4 "v5.4",
            /// As modelled.
            V6_12 "v6.12",
            /// As modelled.
            V7_3 "v7.3",
            /// Not modelled by anybody.
            Invented "v99.0",
        }

        fields!(semantics! {
            /// What the invented kernel does otherwise.
            invented: bool = "schedule()", "kernel/sched/core.c", "99.0" {
                V5_4 off "what all do",
                "98.7" off "what nobody looks at: no modelled kernel has it",
                Invented on "what none did before",
            }
        });
    }

    #[test]
    fn a_kernel_that_is_added_says_only_what_it_changes() {
        use invented::KernelVersion::{Invented, V5_4, V6_12, V7_3};
        assert_eq!(invented::KernelVersion::ALL, [V5_4, V6_12, V7_3, Invented]);
        assert_eq!(invented::KernelVersion::CHOICE, "v5.4|v6.12|v7.3|v99.0");
        assert_eq!(Invented.name(), "v99.0");
        let [oldest, old, new, added] = [V5_4, V6_12, V7_3, Invented].map(invented::Semantics::of);
        let mut changed = Vec::new();
        for (field, shipped) in
            invented::Semantics::fields().iter().zip(Semantics::fields().iter().map(Some).chain([None]))
        {
            if (field.get)(&new) != (field.get)(&added) {
                changed.push(field.name);
            }
            for (version, sem) in [(V5_4, &oldest), (V6_12, &old), (V7_3, &new), (Invented, &added)] {
                assert_eq!((field.get)(sem), field.of(version), "{}", field.name);
            }
            // The kernels before it are what they were.
            if let Some(shipped) = shipped {
                let before = KernelVersion::ALL.iter().map(|v| shipped.of(*v));
                let kept = [V5_4, V6_12, V7_3].iter().map(|v| field.of(*v));
                assert!(kept.eq(before), "{}", field.name);
                assert_eq!(field.of(Invented), field.of(V7_3), "{} is inherited", field.name);
            }
        }
        assert_eq!(changed, ["invented"]);
        assert_eq!((oldest.invented, new.invented, added.invented), (false, false, true));
    }

    #[test]
    fn what_changed_is_dated_or_bracketed() {
        let changed = |name| Semantics::field(name).map(Field::changed);
        assert_eq!(changed("vector_cleanup").as_deref(), Some("6.6 (bdc1dad299bb)"));
        assert_eq!(changed("sort_extracts_two").as_deref(), Some("between 5.4 and 6.12"));
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
        check("cheese", "on", "there is no field `cheese`", "a field that `irqlab semantics` lists");
    }
}
