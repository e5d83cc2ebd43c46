//! The macros that declare kernels, the values of fields and the fields of a `Semantics`.
//!
//! They know neither how many kernels there are nor what those are called, so that a test can declare
//! its own. What they declare is in `fields.rs`.

use core::fmt::Debug;

/// Declares the enum of kernels, oldest first: variant and name.
macro_rules! kernels {
    ($(#[$doc:meta])* $oldest:ident $oldest_name:literal, $($(#[$later_doc:meta])* $later:ident $name:literal,)*) => {
        /// The kernels that are modelled whole.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub enum KernelVersion {
            $(#[$doc])*
            #[default]
            $oldest,
            $($(#[$later_doc])* $later,)*
        }

        impl KernelVersion {
            /// All of them, oldest first.
            pub const ALL: &'static [Self] = &[Self::$oldest, $(Self::$later),*];

            /// Their names, as a command line shows what can be chosen.
            pub const CHOICE: &'static str = concat!($oldest_name, $("|", $name),*);

            /// The name used in files and on the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    Self::$oldest => $oldest_name,
                    $(Self::$later => $name,)*
                }
            }
        }
    };
}

/// Declares enums of values.
macro_rules! choice {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
    )*};
}

// The word of a value.
macro_rules! word {
    (off) => {
        "off"
    };
    (on) => {
        "on"
    };
    (($word:literal $value:expr)) => {
        $word
    };
}

// The value itself.
macro_rules! value {
    (off) => {
        false
    };
    (on) => {
        true
    };
    (($word:literal $value:expr)) => {
        $value
    };
}

// Who has a row: a modelled kernel or another release.
macro_rules! since {
    ($release:literal) => {
        None
    };
    ($kernel:ident) => {
        Some(KernelVersion::$kernel)
    };
}

macro_rules! release {
    ($release:literal) => {
        Some($release)
    };
    ($kernel:ident) => {
        None
    };
}

// The same for the documentation of a field.
macro_rules! who {
    ($release:literal) => {
        $release
    };
    ($kernel:ident) => {
        concat!("[`", stringify!($kernel), "`](KernelVersion::", stringify!($kernel), ")")
    };
}

macro_rules! changed {
    () => {
        None
    };
    ($changed:literal) => {
        Some($changed)
    };
}

/// Declares `Semantics` and its fields, for the `KernelVersion` that is in scope.
macro_rules! semantics {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $ty:ty = $function:literal, $file:literal $(, $changed:literal)? {
            $($who:tt $value:tt $text:literal,)+
        }
    )+) => {
        /// The behaviours that differ. Each field names its C function and the change.
        #[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
        pub struct Semantics {
            /// The kernel the other fields were taken from.
            pub version: KernelVersion,
            $(
                $(#[doc = $doc])+
                ///
                #[doc = concat!("`", $function, "`, ", $file, "." $(, " ", who!($who), ": ", $text, ".")+)]
                pub $name: $ty,
            )+
        }

        impl Semantics {
            /// What `version` does: of each field the last row that is not younger.
            pub fn of(version: KernelVersion) -> Self {
                Self {
                    version,
                    $($name: $crate::semantics::declare::row_of(
                        &[$((since!($who), value!($value)),)+],
                        version,
                    ),)+
                }
            }

            /// All fields, in the order of their declaration.
            pub const fn fields() -> &'static [$crate::semantics::Field<Self, KernelVersion>] {
                const FIELDS: &[$crate::semantics::Field<Semantics, KernelVersion>] = &[$({
                    $crate::semantics::Field {
                        name: stringify!($name),
                        doc: concat!($($doc),+).trim_ascii(),
                        function: $function,
                        file: $file,
                        changed: changed!($($changed)?),
                        values: &[$($crate::semantics::Value {
                            word: word!($value),
                            text: $text,
                            since: since!($who),
                            release: release!($who),
                        },)+],
                        get: |sem| {
                            $crate::semantics::declare::word_of(&[$((word!($value), value!($value)),)+], sem.$name)
                        },
                        set: |sem, word| {
                            let known = &[$((word!($value), value!($value)),)+];
                            let value = $crate::semantics::declare::value_of(known, word);
                            value.map(|value| sem.$name = value).is_some()
                        },
                    }
                },)+];
                FIELDS
            }
        }
    };
}

/// The value of the last row that is not younger than a kernel. A row without a kernel is no modelled
/// kernel's; a kernel older than all rows would have the first.
pub(super) fn row_of<T: Copy, V: Ord>(rows: &[(Option<V>, T)], kernel: V) -> T {
    let has = |(since, _): &&(Option<V>, T)| since.as_ref().is_some_and(|since| *since <= kernel);
    rows.iter().rev().find(has).unwrap_or(&rows[0]).1
}

/// The word of a value.
pub(super) fn word_of<T: Copy + PartialEq + Debug>(known: &[(&'static str, T)], value: T) -> String {
    let found = known.iter().find(|(_, v)| *v == value);
    found.map_or_else(|| format!("{value:?}"), |(word, _)| (*word).to_owned())
}

/// The value with a word.
pub(super) fn value_of<T: Copy>(known: &[(&'static str, T)], word: &str) -> Option<T> {
    let word = match word {
        "true" => "on",
        "false" => "off",
        word => word,
    };
    known.iter().find(|(w, _)| *w == word).map(|(_, value)| *value)
}
