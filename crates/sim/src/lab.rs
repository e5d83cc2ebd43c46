//! A machine on the bench: boot it, run a script on it, look at what was recorded.

use kfn::kframe;
use kstate::sched::TaskKind;
use kstate::semantics::Semantics;
use kstate::trace::Actor;
use kstate::{CpuId, Errno, Kernel, DiskId};

use crate::capture::{self, Kind, Output, Planned};
use crate::functions::Functions;
use crate::machine::Machine;
use crate::script::{Action, Command, Program, Script, Statement};
use crate::state::{self, Sections};
use crate::{boot, engine, events_text, flow, record, vfs};

/// What the shell needs between two commands: fork, exec, a few system calls.
const COMMAND_TIME: u64 = 1_000_000;
/// What it takes to begin reading a state: some dozen processes are started for it.
const STATE_TIME: u64 = 20_000_000;
const SECTOR: u64 = 512;

/// A booted machine.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The machine's state.
    pub k: Kernel,
    /// What the shell printed: the output of `cat`, and what went wrong.
    pub terminal: Vec<String>,
}

/// Where a recording begins and ends, as indices into the trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Marked {
    /// What is recorded.
    pub planned: Planned,
    /// The records between the marks.
    pub records: core::ops::Range<usize>,
}

impl Lab {
    /// Builds and boots a machine under its own kernel's semantics, with tracing on.
    pub fn boot(machine: &Machine) -> Self {
        Self::boot_with(machine, Semantics::of(machine.kernel), true)
    }

    /// Builds and boots a machine.
    pub fn boot_with(machine: &Machine, semantics: Semantics, trace: bool) -> Self {
        Self { k: boot::boot(machine, semantics, trace), terminal: Vec::new() }
    }

    /// The functions in scope of the kernel that runs.
    pub fn functions(&self) -> &'static Functions {
        Functions::of(self.k.sem.version)
    }

    /// Runs a script and returns its recordings as the files of a capture. `sections` says what a
    /// state shows, by the name of its file.
    pub fn run(&mut self, script: &Script, sections: impl Fn(&str) -> Sections) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.run_each(script, |_| {}, |lab, marked| {
            let planned = &marked.planned;
            let text = lab.text_of(marked, sections(&planned.file));
            outputs.push((planned.file.clone(), text));
        });
        // A recording is written when it ends; files are listed in the order of the script.
        let order = capture::plan(script);
        outputs.sort_by_key(|(file, _)| order.iter().position(|p| p.file == *file));
        outputs.into_iter().map(|(name, text)| Output { name, text }).collect()
    }

    /// Runs a script. `step` is called after every step of the machine, `done` at the end of
    /// every recording.
    pub fn run_each(
        &mut self,
        script: &Script,
        mut step: impl FnMut(&Kernel),
        mut done: impl FnMut(&mut Self, &Marked),
    ) {
        let plan = capture::plan(script);
        let mut open: Option<(usize, Planned)> = None;
        for (i, statement) in script.statements.iter().enumerate() {
            let start = self.k.trace.records.len();
            let own = |kind: Kind| plan.iter().find(|p| p.kind == kind && p.statements == (i..i + 1)).cloned();
            match &statement.action {
                Action::Run(command) => self.command(script, statement, command, &mut step),
                Action::Begin { name, .. } => {
                    let planned = plan.iter().find(|p| p.name == *name && p.statements.start == i + 1);
                    open = planned.map(|p| (start, p.clone()));
                }
                Action::End => {
                    if let Some((from, planned)) = open.take() {
                        done(self, &Marked { planned, records: from..start });
                    }
                }
                Action::BootEvents { .. } => {
                    if let Some(planned) = own(Kind::BootEvents) {
                        done(self, &Marked { planned, records: 0..start });
                    }
                }
                Action::State { .. } | Action::Msix { .. } => {
                    self.pass(STATE_TIME, &mut step);
                    if let Some(planned) = own(Kind::State).or_else(|| own(Kind::Msix)) {
                        done(self, &Marked { planned, records: start..start });
                    }
                }
            }
        }
    }

    /// The text of a finished recording.
    pub fn text_of(&mut self, marked: &Marked, sections: Sections) -> String {
        let Marked { planned, records } = marked;
        let functions = self.functions();
        let trace = &self.k.trace;
        match planned.kind {
            Kind::Flow => {
                let options = record::Options { io: planned.io };
                flow::print(&record::Recording::between(trace, records.clone(), functions, options))
            }
            Kind::Events => events_text::print(&record::events(trace, records.clone(), functions)),
            Kind::BootEvents => events_text::print_boot(&record::boot_events(trace, records.clone())),
            Kind::State => state::text(&mut self.k, sections),
            Kind::Msix => state::msix_text(&self.k),
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: u64, step: &mut impl FnMut(&Kernel)) {
        let limit = self.k.events.now.saturating_add(time);
        while engine::step(&mut self.k, limit).is_some() {
            step(&self.k);
        }
        self.k.events.now = limit;
    }

    fn command(
        &mut self,
        script: &Script,
        statement: &Statement,
        command: &Command,
        step: &mut impl FnMut(&Kernel),
    ) {
        let result = match self.shell_cpu(command.cpu) {
            Ok(cpu) => self.program(cpu, &command.program, step),
            Err(e) => Err(("taskset: failed to set affinity".to_owned(), e)),
        };
        if let Err((what, errno)) = result {
            self.terminal.push(format!("{}: line {}: {what}: {errno}", script.name, statement.span.line));
        }
        self.pass(COMMAND_TIME, step);
    }

    /// The CPU a command runs on: the one it is pinned to, else the first that is online.
    fn shell_cpu(&self, pinned: Option<u32>) -> Result<CpuId, Errno> {
        match pinned.map(CpuId) {
            Some(cpu) if self.k.topo.online.contains(cpu) => Ok(cpu),
            Some(_) => Err(Errno::EINVAL),
            None => Ok(self.k.topo.online.first().unwrap_or_default()),
        }
    }

    fn program(
        &mut self,
        cpu: CpuId,
        program: &Program,
        step: &mut impl FnMut(&Kernel),
    ) -> Result<(), (String, Errno)> {
        match program {
            Program::Echo { value, path } => {
                let ctx = self.k.trace.open(Actor::Task, &[]);
                let before = self.k.switch_to(ctx, cpu);
                let written = vfs::write(&mut self.k, &path.text, value);
                self.k.cur = before;
                let result = match written {
                    vfs::Written::Now(result) => result,
                    vfs::Written::Start(call) => self.task(cpu, call, step),
                };
                result.map_err(|e| match e {
                    Errno::ENOENT | Errno::EACCES | Errno::EISDIR => (format!("can't create {}", path.text), e),
                    _ => ("write error".to_owned(), e),
                })
            }
            Program::Cat { path, quiet } => {
                let text = vfs::read(&mut self.k, &path.text).map_err(|e| (format!("cat: {}", path.text), e))?;
                if !quiet {
                    self.terminal.extend(text.lines().map(str::to_owned));
                }
                Ok(())
            }
            Program::Dd { input, block_size, count, skip, .. } => {
                let problem = |e| (format!("dd: can't open '{}'", input.text), e);
                let disk = vfs::disk(&self.k, &input.text).map_err(problem)?;
                if *block_size == 0 || !block_size.is_multiple_of(SECTOR) {
                    return Err((format!("dd: error reading '{}'", input.text), Errno::EINVAL));
                }
                let sectors = block_size / SECTOR;
                let call = dd(disk, skip * sectors, sectors as u32, *count as u32);
                self.task(cpu, call, step).map_err(|e| (format!("dd: error reading '{}'", input.text), e))
            }
            Program::Sleep { nanoseconds } => {
                self.pass(*nanoseconds, step);
                Ok(())
            }
        }
    }

    /// Runs a frame as a task of the shell, to its end.
    fn task(
        &mut self,
        cpu: CpuId,
        call: kstate::sched::Call<Result<(), Errno>>,
        step: &mut impl FnMut(&Kernel),
    ) -> Result<(), Errno> {
        use kstate::sched::{Slot, TaskState};
        let task = self.k.spawn(TaskKind::Task, cpu, call.frame, &[]);
        loop {
            if let TaskState::Done(value) = self.k.sched.tasks[task.index()].state {
                return Result::from_slot(value);
            }
            if engine::step(&mut self.k, u64::MAX).is_none() {
                // Nothing will ever wake it: what a person sees as a hung task.
                return Err(Errno::ETIMEDOUT);
            }
            step(&self.k);
        }
    }
}

/// `dd` with direct I/O: one read after the other.
#[kframe("dd")]
fn dd(k: &mut Kernel, disk: DiskId, first: u64, sectors: u32, count: u32) -> Result<(), Errno> {
    let mut done: u32 = 0;
    while done < count {
        call!(drivers::blk_mq::blk_read(disk, first + u64::from(done) * u64::from(sectors), sectors))?;
        done += 1;
    }
    Ok(())
}
