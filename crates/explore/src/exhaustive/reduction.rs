//! Which steps need not be tried: fewer steps lead to the same findings and the same ends.
//!
//! docs/explore.md has the argument. In short: a step of the shell that concerns the shell alone commutes with
//! everything that anyone else can do before it, stays possible until it is taken, and shows nothing. So it is taken
//! at once, and no other step is tried before it.

use sim::script::{Action, Script, Statement};

use crate::{Step, World};

/// What a search may leave out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reduction {
    /// Steps of the shell that concern it alone come first.
    shell: bool,
}

/// A job of this statement starts jobs itself.
fn nests(statement: &Statement) -> bool {
    match &statement.action {
        Action::Job { body } => body.iter().any(Statement::starts_job),
        Action::For { body, .. } => body.iter().any(nests),
        _ => false,
    }
}

impl Reduction {
    /// What can be left out for a script. Where jobs start jobs, who comes first decides about their order, so that a step
    /// that starts one does not commute with another.
    pub(crate) fn of(script: &Script) -> Self {
        Self { shell: !script.statements.iter().any(nests) }
    }

    /// The only step that has to be tried, if there is one: its place among them.
    pub(crate) fn only(self, world: &World, steps: &[Step]) -> Option<usize> {
        let alone = |step: &Step| matches!(step, Step::Actor(actor) if world.shell.keeps_to_itself(*actor));
        self.shell.then(|| steps.iter().position(alone)).flatten()
    }

    /// A job is known by its place among the others.
    pub(crate) const fn hides_numbers(self) -> bool {
        self.shell
    }
}
