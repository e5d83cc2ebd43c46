//! What a test gets wrong, with the place and what was expected there.

use core::fmt;

use diagnostic::{Diagnostic, Report};

/// A mistake in a machine, a script or a change of a kernel. As text it says what is wrong, where, and what would be
/// right; `unwrap` shows the same.
///
/// ```
/// use irqlab_test::{KernelVersion, Lab, Machine};
///
/// let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
/// let mistake = lab.run_script("sleep 1\nrm /b").unwrap_err();
/// assert!(mistake.to_string().starts_with("error: no command `rm`"), "{mistake}");
/// assert!(mistake.to_string().contains("script:2:1"), "{mistake}");
/// ```
pub struct Mistake(Report);

impl Mistake {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self(Report::new(message, Some(help.into())))
    }
}

impl<E: Diagnostic> From<E> for Mistake {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.plain())
    }
}

/// The same, for `unwrap`.
impl fmt::Debug for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl core::error::Error for Mistake {}
