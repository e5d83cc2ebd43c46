//! One script on two kernels.

use core::fmt;

use compare::diff::{self, Report, text};
use kstate::semantics::{KernelVersion, Semantics};
use sim::machine::Machine;
use sim::script::Script;
use sim::state::Sections;

use crate::mistake::Mistake;

/// A kernel with a name, to be compared with another.
///
/// ```
/// use irqlab_test::{KernelVersion, Variant, kernel_with};
///
/// assert_eq!(Variant::from(KernelVersion::V6_12).name, "v6.12");
/// let kernel = kernel_with(KernelVersion::V5_4, &["hctx_drain=on"]).unwrap();
/// assert_eq!(Variant::from(kernel).name, "v5.4 hctx_drain=on");
/// ```
#[derive(Clone, Debug)]
pub struct Variant {
    /// What the difference calls it.
    pub name: String,
    /// What it does.
    pub semantics: Semantics,
}

impl From<KernelVersion> for Variant {
    fn from(version: KernelVersion) -> Self {
        Semantics::of(version).into()
    }
}

impl From<Semantics> for Variant {
    fn from(semantics: Semantics) -> Self {
        Self { name: name(&semantics), semantics }
    }
}

/// A kernel and what was changed in it, as options of the command line have it.
pub(crate) fn name(semantics: &Semantics) -> String {
    let changes = semantics.changes();
    let changes: String = changes.iter().map(|change| format!(" {change}")).collect();
    semantics.version.name().to_owned() + &changes
}

/// What differs between two runs of a script. As text it is what `irqlab diff` prints, without colours.
#[derive(Clone, Debug)]
pub struct Diff(Report);

impl Diff {
    /// Both runs did the same.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The behaviours that explain something of it: fields of [`Semantics`].
    pub fn behaviours(&self) -> Vec<&'static str> {
        self.0.causes.iter().filter(|cause| !cause.shows.is_empty()).map(|cause| cause.field).collect()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::plain(&self.0, text::Detail::SHORT))
    }
}

/// Runs a script on one machine under two kernels, and compares what it recorded (`#: flow`, `#: events`, `#: state`), what
/// it printed, and the state at its end. Each behaviour in which the kernels differ is tried by itself, to find out
/// which explains what.
///
/// ```
/// use irqlab_test::{KernelVersion, Machine, diff};
///
/// let machine = Machine::embedded(KernelVersion::V6_12);
/// let script = "#: flow down\necho 0 > /sys/devices/system/cpu/cpu4/online\n#: end\n";
/// let diff = diff(&machine, script, KernelVersion::V5_4, KernelVersion::V6_12).unwrap();
/// assert!(diff.behaviours().contains(&"migrate_completes_move_first"));
/// assert!(diff.to_string().contains("+ irq_force_complete_move"));
/// ```
///
/// # Errors
/// A script that does not parse, or is not run to its end.
pub fn diff(
    machine: &Machine,
    script: &str,
    left: impl Into<Variant>,
    right: impl Into<Variant>,
) -> Result<Diff, Mistake> {
    let script = Script::parse("script", script)?;
    let side = |variant: Variant| (variant.name, variant.semantics);
    let (left, right) = (side(left.into()), side(right.into()));
    Ok(Diff(diff::between(machine, &script, left, right, |_| Sections::default())?))
}
