//! A run: what happened on a machine, and its state at each record.

use std::collections::BTreeMap;
use std::sync::Arc;

use explore::{Schedule, World};
use kstate::Kernel;
use kstate::semantics::Semantics;
use serde::Serialize;
use sim::boot;
use sim::lab::{Lab, STATE_TIME};
use sim::machine::Machine;
use sim::script::{Action, Script, Statement, Variables};
use sim::shell::{Bench, Progress, Shell};

use crate::records::{About, Told};
use crate::state::States;
use crate::watch::Watch;

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
    /// Assertions that did not hold, and what else was wrong.
    wrong: Vec<Wrong>,
}

/// Something that was wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Wrong {
    /// The last record before it showed.
    pub record: usize,
    /// What.
    pub text: String,
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
        let about = told.explained(k);
        Self {
            kernel: version.name(),
            name: name.to_owned(),
            set: k.sem.changes(),
            cpus: k.topo.nr_cpu_ids,
            cmdline: k.saved_command_line.to_string(),
            commands,
            about,
            told,
            state,
            terminal: Vec::new(),
            wrong: Vec::new(),
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
        let mut doing = Doing::new(&k, booting);
        if let Some(script) = case.script {
            doing.script(&mut k, script, Variables::default())?;
        }
        doing.end(&mut k, case.name)
    }

    /// Types lines at a booted machine, as a session does.
    ///
    /// # Errors
    /// For a line that is none, and for a run of too many records.
    pub fn of_lines<'a>(
        name: &str,
        mut k: Kernel,
        lines: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        Watch::begin(&mut k);
        let mut doing = Doing::new(&k, false);
        let mut variables = Variables::default();
        for line in lines {
            let script = Script::parse_with("line", line, &variables).map_err(|e| e.to_string())?;
            variables = doing.script(&mut k, &script, variables)?;
        }
        doing.end(&mut k, name)
    }

    /// Takes the steps of a schedule, then quiet ones to the end, `longest` at most.
    ///
    /// # Errors
    /// For a run of too many records.
    pub fn of_schedule(
        name: &str,
        root: &World,
        schedule: &Schedule,
        longest: usize,
    ) -> Result<Self, String> {
        let mut world = root.with(schedule.oracle());
        Watch::begin(&mut world.k);
        let mut doing = Doing::new(&world.k, false);
        let mut ended = false;
        for _ in 0..longest {
            let steps = world.steps();
            let Some(next) = world.choose(&steps) else {
                ended = true;
                break;
            };
            let began = world.take(next);
            if let Some(statement) = began {
                let script = world.shell.script().clone();
                doing.began(&world.k, &script, &statement);
            }
            if let Some(wrong) = world.check() {
                doing.wrong(&world.k, wrong.text);
            }
            doing.is_too_much(&world.k, "the schedule")?;
        }
        match world.check_end() {
            Some(wrong) if ended => doing.wrong(&world.k, wrong.text),
            None if ended => {}
            _ => doing.wrong(&world.k, format!("the page ends here, after {longest} steps; the run goes on")),
        }
        doing.terminal = Arc::unwrap_or_clone(world.terminal);
        doing.end(&mut world.k, name)
    }

    /// The record that comes at a place, of those that are none of hardware.
    pub(crate) fn kernel_record(&self, place: usize) -> Option<usize> {
        self.told.kernel_record(place)
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

/// What is being done on a machine.
struct Doing {
    /// Records of the run begin here.
    first: usize,
    commands: Vec<Command>,
    terminal: Vec<String>,
    wrong: Vec<Wrong>,
}

impl Doing {
    fn new(k: &Kernel, booting: bool) -> Self {
        let first = if booting { 0 } else { k.trace.records.len() };
        Self { first, commands: Vec::new(), terminal: Vec::new(), wrong: Vec::new() }
    }

    fn records(&self, k: &Kernel) -> usize {
        k.trace.records.len().saturating_sub(self.first)
    }

    fn began(&mut self, k: &Kernel, script: &Script, statement: &Statement) {
        let line = script.source(statement.span).lines().next().unwrap_or_default().to_owned();
        self.commands.push(Command { record: self.records(k), line, number: statement.span.line });
    }

    fn wrong(&mut self, k: &Kernel, text: String) {
        self.wrong.push(Wrong { record: self.records(k).saturating_sub(1), text });
    }

    /// # Errors
    /// For a run of too many records.
    fn is_too_much(&self, k: &Kernel, name: &str) -> Result<(), String> {
        if self.records(k) <= MOST_RECORDS {
            return Ok(());
        }
        Err(format!("{name}: {MOST_RECORDS} records do not reach the end of the run: too much for a page"))
    }

    /// Runs a script to its end, and returns its variables.
    fn script(&mut self, k: &mut Kernel, script: &Script, variables: Variables) -> Result<Variables, String> {
        let mut shell = Shell::new(Arc::new(script.clone()), variables);
        loop {
            let progress = shell.advance(&mut Bench { k, terminal: &mut self.terminal });
            for failure in core::mem::take(&mut shell.failed) {
                self.wrong(k, failure.to_string());
            }
            match progress {
                Progress::Began(statement) => self.began(k, script, &statement),
                Progress::Directive(i) => {
                    // What reads a state takes its time, on which captures depend.
                    if let Some(Action::State { .. } | Action::Msix { .. }) =
                        script.statements.get(i).map(|statement| &statement.action)
                    {
                        shell.pause(k, STATE_TIME);
                    }
                }
                Progress::Stepped(_) | Progress::Returned | Progress::Ended => {}
                Progress::Idle => return Ok(shell.take_vars()),
            }
            self.is_too_much(k, &script.name)?;
        }
    }

    fn end(self, k: &mut Kernel, name: &str) -> Result<Run, String> {
        let mut run = Watch::end(k, name, self.commands).ok_or("nobody looked at the run")?;
        run.terminal = self.terminal;
        run.wrong = self.wrong;
        Ok(run)
    }
}
