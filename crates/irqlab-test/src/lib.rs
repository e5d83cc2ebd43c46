//! A PC under Linux for tests: boot it, do something to it, and look at what its kernel did.
//!
//! ```
//! use irqlab_test::{KernelVersion, Lab, Machine};
//!
//! let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
//! lab.run_script("echo 0 > /sys/devices/system/cpu/cpu3/online").unwrap();
//! assert!(lab.flow().contains("irq_migrate_all_off_this_cpu"));
//! assert_eq!(lab.read("/sys/devices/system/cpu/online").unwrap(), "0-2,4-7\n");
//! ```
//!
//! What [`Lab::flow`], [`Lab::events`] and [`Lab::state`] return is text that is the same every time,
//! made for comparison: `insta::assert_snapshot!(lab.flow())`. [`snapshot!`] also writes kernel, machine and script
//! into the head of the snapshot. The format is that of the project's captures of real kernels
//! (tests/captures/README.md), the language of scripts is in docs/scripts.md.
//!
//! [`diff()`] runs one script on two kernels and says what differs and which behaviour explains it.
//! A [`Filter`] picks what of a recording is shown: one interrupt, the calls below a function, what an actor did.
//! [`Lab::explore`] tries many interleavings of a script. Whatever a test gets wrong is a [`Mistake`], which says where.
//!
//! The crate needs neither the command line nor a terminal. It is not linked with insta, whose macros it only calls
//! where a test does.
//!
//! # What it doesn't implement
//! Everything below the surface: the crates `sim` and `kstate` have the machine itself, which [`Lab::kernel`] shows.

mod diff;
mod explore;
mod filter;
mod lab;
mod mistake;

pub use diff::{Diff, Variant, diff};
pub use explore::{Bound, Explored, Finding};
pub use filter::Filter;
pub use kstate::semantics::{KernelVersion, Semantics};
pub use kstate::{Errno, Kernel};
pub use lab::Lab;
pub use mistake::Mistake;
pub use sim::machine::Machine;
pub use sim::script::Failure;

/// A machine from the text of a machine file (docs/machines.md).
///
/// ```
/// let machine = irqlab_test::machine("kernel = \"v6.12\"\n[cpus]\npossible = 2").unwrap();
/// assert_eq!(machine.kernel.name(), "v6.12");
///
/// let mistake = irqlab_test::machine("[cpus]\npossible = 0").unwrap_err();
/// assert!(mistake.to_string().contains("machine.toml:"), "{mistake}");
/// ```
///
/// # Errors
/// What is wrong with the text, and where.
pub fn machine(text: &str) -> Result<Machine, Mistake> {
    Ok(Machine::parse("machine.toml", text)?)
}

/// A kernel of which some behaviours are changed, each as `FIELD=VALUE`. `irqlab semantics` lists the fields.
///
/// ```
/// use irqlab_test::{KernelVersion, kernel_with};
///
/// let kernel = kernel_with(KernelVersion::V5_4, &["vector_cleanup=timer"]).unwrap();
/// assert!(!kernel.is_shipped());
///
/// let mistake = kernel_with(KernelVersion::V5_4, &["vector_clenup=timer"]).unwrap_err();
/// assert!(mistake.to_string().contains("perhaps vector_cleanup"), "{mistake}");
/// ```
///
/// # Errors
/// For a change that is none, and for changes that contradict each other.
pub fn kernel_with(version: KernelVersion, changes: &[&str]) -> Result<Semantics, Mistake> {
    let mut semantics = Semantics::of(version);
    let mut done: Vec<&str> = Vec::new();
    for change in changes {
        let Some((field, value)) = change.split_once('=') else {
            let help = "expected FIELD=VALUE, as in vector_cleanup=timer";
            return Err(Mistake::new(format!("`{change}` changes nothing"), help));
        };
        let field = field.trim();
        semantics
            .set(field, value.trim())
            .map_err(|e| Mistake::new(e.to_string(), format!("expected {}", e.expected())))?;
        if done.contains(&field) {
            return Err(Mistake::new(format!("`{field}` is set twice"), "expected one value for each field"));
        }
        done.push(field);
    }
    match semantics.check() {
        Ok(()) => Ok(semantics),
        Err(reason) => Err(Mistake::new(reason.to_string(), "expected values that go together")),
    }
}

/// Asserts a snapshot of something about a lab, with the lab's kernel, machine and script as the description in the
/// snapshot's head. The crate that calls it has `insta` among its dependencies.
///
/// ```
/// use irqlab_test::{KernelVersion, Lab, Machine, snapshot};
///
/// let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
/// lab.run_script("cat /proc/irq/29/smp_affinity_list > /dev/null").unwrap();
/// snapshot!(lab, lab.read("/proc/irq/29/smp_affinity_list").unwrap(), @"4");
/// ```
#[macro_export]
macro_rules! snapshot {
    ($lab:expr, $text:expr $(, $rest:tt $text2:tt)* $(,)?) => {{
        let text = $text;
        let mut settings = ::insta::Settings::clone_current();
        settings.set_description($lab.description());
        settings.set_omit_expression(true);
        settings.bind(|| ::insta::assert_snapshot!(text $(, $rest $text2)*));
    }};
}
