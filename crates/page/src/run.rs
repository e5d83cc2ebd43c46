//! A run: what happened on a machine, and its state at each record.

use std::collections::BTreeMap;
use std::sync::Arc;

use kstate::Kernel;
use kstate::semantics::Semantics;
use serde::Serialize;
use sim::boot;
use sim::lab::{Lab, STATE_TIME};
use sim::machine::Machine;
use sim::script::{Action, Script, Variables};
use sim::shell::{Bench, Progress, Shell};

use crate::records::{About, Told};
use crate::state::States;
use crate::watch::{Watch, command};

/// Records beyond which a run is too long for a page.
pub const MOST_RECORDS: usize = 2_000_000;

/// A command of the script.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Command {
    /// The record that came first after it began.
    pub record: usize,
    /// The command.
    pub line: String,
    /// Its line in the script.
    pub number: usize,
}

/// What happened on a machine, and its state at each record.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    kernel: &'static str,
    /// What the machine is called.
    name: String,
    /// Values of `Semantics` that no kernel of this version has.
    set: Vec<String>,
    /// How many CPUs are possible.
    cpus: u32,
    cmdline: String,
    commands: Vec<Command>,
    about: BTreeMap<&'static str, About>,
    #[serde(flatten)]
    told: Told,
    state: States,
    /// What was printed.
    pub(crate) terminal: Vec<String>,
}

/// What is run.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// What the machine is called.
    pub name: &'a str,
    /// The machine.
    pub machine: &'a Machine,
    /// What its kernel does.
    pub semantics: &'a Semantics,
    /// What is done on it; the boot is the run where there is none.
    pub script: Option<&'a Script>,
    /// The run begins with power-on, even where there is a script.
    pub with_boot: bool,
}

impl Run {
    pub(crate) fn new(k: &Kernel, name: &str, commands: Vec<Command>, told: Told, state: States) -> Self {
        let version = k.sem.version;
        let set = k.sem.differences(version).into_iter();
        let about = told.explained(k);
        Self {
            kernel: version.name(),
            name: name.to_owned(),
            set: set
                .map(|field| format!("{}={}", field.name, k.sem.get(field.name).unwrap_or_default()))
                .collect(),
            cpus: k.topo.nr_cpu_ids,
            cmdline: k.saved_command_line.clone(),
            commands,
            about,
            told,
            state,
            terminal: Vec::new(),
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// For a run of too many records; the sentence says which.
    pub fn of(case: &Case<'_>) -> Result<Self, String> {
        let booting = case.with_boot || case.script.is_none();
        let mut k = if booting {
            boot::boot_observed(case.machine, case.semantics.clone(), Box::new(Watch::default()))
        } else {
            Lab::boot_with(case.machine, case.semantics.clone(), false).k
        };
        if !booting {
            Watch::begin(&mut k);
        }
        let mut terminal = Vec::new();
        let commands = match case.script {
            Some(script) => run_script(&mut k, script, &mut terminal, booting)?,
            None => Vec::new(),
        };
        let mut run = Watch::end(&mut k, case.name, commands).ok_or("nobody looked at the run")?;
        run.terminal = terminal;
        Ok(run)
    }

    /// How many records it has.
    pub fn records(&self) -> usize {
        self.told.len()
    }

    /// How many changes of the state it has.
    pub fn changes(&self) -> usize {
        self.state.changes()
    }

    /// The kernel's name.
    pub fn kernel(&self) -> &'static str {
        self.kernel
    }
}

/// Runs a script to its end, and says where its commands began.
fn run_script(
    k: &mut Kernel,
    script: &Script,
    terminal: &mut Vec<String>,
    booting: bool,
) -> Result<Vec<Command>, String> {
    let mut shell = Shell::new(Arc::new(script.clone()), Variables::default());
    let mut commands = Vec::new();
    let first = if booting { 0 } else { k.trace.records.len() };
    loop {
        match shell.advance(&mut Bench { k, terminal }) {
            Progress::Began(statement) => {
                let line = script.source(statement.span).lines().next().unwrap_or_default().to_owned();
                commands.push(command(k, first, &line, &statement));
            }
            Progress::Directive(i) => {
                // What reads a state takes its time, on which captures depend.
                if let Some(Action::State { .. } | Action::Msix { .. }) =
                    script.statements.get(i).map(|statement| &statement.action)
                {
                    shell.pause(k, STATE_TIME);
                }
            }
            Progress::Stepped(_) | Progress::Returned | Progress::Ended => {}
            Progress::Idle => return Ok(commands),
        }
        if k.trace.records.len() - first > MOST_RECORDS {
            return Err(format!(
                "{}: {MOST_RECORDS} records do not reach the end of the script: too much for a page",
                script.name
            ));
        }
    }
}
