//! A value of a record or of the state.

use kstate::CpuMask;
use serde::{Serialize, Serializer};

/// The largest number that every reader of JSON takes as it is.
const MOST: u64 = 1 << 53;

/// A value of a record or of the state, as JSON has it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Cell {
    /// There is none.
    #[default]
    None,
    /// A number.
    Number(i64),
    /// A bit.
    Bit(bool),
    /// Text.
    Text(Box<str>),
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_unit(),
            Self::Number(number) if number.unsigned_abs() <= MOST => serializer.serialize_i64(*number),
            // A reader would round it.
            Self::Number(number) => serializer.collect_str(number),
            Self::Bit(bit) => serializer.serialize_bool(*bit),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Cell {
    fn from(bit: bool) -> Self {
        Self::Bit(bit)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

/// CPUs, as the kernel lists them; nothing where there is none.
impl From<&CpuMask> for Cell {
    fn from(cpus: &CpuMask) -> Self {
        if cpus.is_empty() { Self::None } else { cpus.list().into() }
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

/// Numbers as a list with blanks; nothing where there is none.
pub fn list(numbers: impl Iterator<Item = u32>) -> Cell {
    let numbers: Vec<String> = numbers.map(|n| n.to_string()).collect();
    if numbers.is_empty() { Cell::None } else { numbers.join(" ").into() }
}
