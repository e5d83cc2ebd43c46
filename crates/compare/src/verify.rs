//! Comparison with a real kernel, by the rules of `tests/captures/README.md` and no others.
//!
//! Lines are compared exactly. What may differ is taken out of both texts beforehand:
//!
//! 1. `/proc/interrupts`: the counts, and the rows that are not device interrupts.
//! 2. The event stream of a boot: exact up to the last `irq_matrix_online`, and after it, where
//!    drivers probe in parallel, in order within one interrupt number (`boot`).
//! 3. `node:` in debugfs and `/proc/irq/N/node` on a machine with one node.
//! 4. Debugfs of IRQ 3 and 4.
//!
//! In recordings the order within one actor counts, the order between two actors does not.
//!
//! A capture is one of the runs that a real machine can do. Where it is not the quiet one, [`races`] looks for
//! the choices that a real machine makes by chance and that lead to it. All files are compared with one and
//! the same run, by the same rules.
//!
//! # What it doesn't implement
//! The placement of non-managed interrupts at boot needs no allowance: it is an input of the
//! machine (`[[boot.vector]]`).

use kstate::semantics::Semantics;
use sim::lab::Lab;
use sim::machine::{Machine, MachineError};
use sim::plan::{Kind, Output, Planned};

use crate::capture::Capture;

mod boot;
pub mod races;
mod report;
mod rules;
#[cfg(test)]
mod tests;

pub use boot::compare_boot_events;
pub use report::{Comparison, Difference, Hunk, LineAt, Outcome, Report, Row, Side};
pub use rules::{compare_events, compare_flow, compare_msix, compare_state, compare_text};

/// A run of a capture's script, and what came of comparing it.
#[derive(Clone, Debug)]
pub struct Run {
    /// What came of it.
    pub report: Report,
    /// What was made.
    pub outputs: Vec<Output>,
    /// The machine afterwards.
    pub lab: Lab,
}

/// Runs a capture's script on its machine and compares every recording.
///
/// # Errors
/// A mistake in `machine.toml`.
pub fn run(capture: &Capture) -> Result<Run, Box<MachineError>> {
    let machine = capture.machine()?;
    let semantics = Semantics::of(machine.kernel);
    Ok(run_with(capture, &machine, semantics))
}

/// The same for a machine that was read before, under `semantics`.
///
/// The quiet run is compared first. If it differs, another run of the machine is looked for that does not
/// ([`races`]), and is the answer if there is one. Otherwise the quiet run is.
pub fn run_with(capture: &Capture, machine: &Machine, semantics: Semantics) -> Run {
    let (lab, outputs) = capture.run_with(machine, semantics.clone());
    let mut quiet = Run { report: verify(capture, &outputs), outputs, lab };
    if quiet.report.passed() || quiet.lab.given_up.is_some() {
        return quiet;
    }
    let (found, searched) = races::search(capture, machine, &semantics, &quiet.report, races::BOUNDS);
    found.unwrap_or_else(|| {
        quiet.report.searched = searched;
        quiet
    })
}

/// Compares what the emulator made with what a real kernel made. A capture that lacks a recording, or
/// ends before its script does, does not pass. A state between two that are there may be missing if the
/// emulator's is the one before it, line for line: then it says nothing that the capture has not.
pub fn verify(capture: &Capture, outputs: &[Output]) -> Report {
    let one_node = capture.has_one_node();
    let end = capture.files.iter().rposition(|(_, text)| text.is_some()).map_or(0, |last| last + 1);
    let rows = capture.files.iter().enumerate().map(|(i, (planned, text))| {
        let made = outputs.iter().find(|output| output.name == planned.file);
        let outcome = match (text, made) {
            (None, Some(made))
                if planned.kind == Kind::State
                    && i < end
                    && last_state(&capture.files[..i])
                        .is_some_and(|state| compare_state(state, &made.text, one_node).is_equal()) =>
            {
                Outcome::NotTaken
            }
            (None, _) => Outcome::Missing,
            (_, None) => Outcome::NotMade,
            (Some(expected), Some(Output { name: _, text: got })) => {
                Outcome::Compared(compare(planned.kind, expected, got, one_node))
            }
        };
        Row { file: planned.file.clone(), kind: planned.kind, outcome }
    });
    Report { rows: rows.collect(), ..Report::default() }
}

/// The last state that a capture has.
fn last_state(files: &[(Planned, Option<String>)]) -> Option<&str> {
    files
        .iter()
        .rev()
        .filter(|(planned, _)| planned.kind == Kind::State)
        .find_map(|(_, text)| text.as_deref())
}

/// Compares two files of a kind.
pub fn compare(kind: Kind, expected: &str, got: &str, one_node: bool) -> Comparison {
    match kind {
        Kind::Flow => compare_flow(expected, got),
        Kind::Events => compare_events(expected, got),
        Kind::BootEvents => compare_boot_events(expected, got),
        Kind::State => compare_state(expected, got, one_node),
        Kind::Msix => compare_msix(expected, got),
    }
}
