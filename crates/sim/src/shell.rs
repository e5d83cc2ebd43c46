//! A shell that runs a script on a machine, one small step at a time.
//!
//! Where it stands is plain data, so that a machine can be kept and brought back in the middle of
//! a command.

use std::sync::Arc;

use kfn::kframe;
use kstate::sched::{Call, Slot, TaskKind, TaskState};
use kstate::trace::Actor;
use kstate::{CpuId, DiskId, Errno, Kernel, TaskId};

use crate::engine;
use crate::script::{Action, Command, Program, Script, Statement, Variables};
use crate::vfs;

/// What the shell needs between two commands: fork, exec, a few system calls.
pub const COMMAND_TIME: u64 = 1_000_000;
const SECTOR: u64 = 512;

/// What a step of the shell did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It began the command of this statement; what can be done at once was done.
    Began(Statement),
    /// The machine did something, and the command goes on.
    Stepped(engine::Step),
    /// The command is over.
    Ended,
    /// It came to a line for the recorder: the index of the statement.
    Directive(usize),
    /// The script is at its end.
    Idle,
}

/// Statements that are being run.
#[derive(Clone, Debug)]
struct Level {
    /// `None` for the script itself.
    body: Option<Arc<[Statement]>>,
    next: usize,
    /// The variable of the loop and its values still to come.
    values: Option<(String, std::vec::IntoIter<String>)>,
}

/// What the current command does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Busy {
    /// A task runs; what to say when it fails.
    Task { task: TaskId, what: String, line: usize },
    /// Time passes: what the command itself sleeps, then what the shell needs.
    Sleep { until: u64 },
    /// The shell gets ready for the next command.
    Ready { until: u64 },
}

/// A shell.
#[derive(Clone, Debug)]
pub struct Shell {
    script: Arc<Script>,
    levels: Vec<Level>,
    busy: Option<Busy>,
    /// Its variables.
    pub vars: Variables,
}

/// The machine and the terminal that a shell works on.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The machine.
    pub k: &'a mut Kernel,
    /// What was printed.
    pub terminal: &'a mut Vec<String>,
}

impl Shell {
    /// A shell at the beginning of a script.
    pub fn new(script: Arc<Script>, vars: Variables) -> Self {
        Self { script, levels: vec![Level { body: None, next: 0, values: None }], busy: None, vars }
    }

    /// The script it runs.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// It is in the middle of a command.
    pub fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// Does the next thing.
    pub fn advance(&mut self, bench: &mut Bench<'_>) -> Progress {
        match self.busy.take() {
            Some(busy) => self.go_on(bench, busy),
            None => self.begin(bench),
        }
    }

    fn go_on(&mut self, bench: &mut Bench<'_>, busy: Busy) -> Progress {
        let k = &mut *bench.k;
        match busy {
            Busy::Task { task, what, line } => {
                let result: Result<(), Errno> = match k.sched.tasks[task.index()].state {
                    TaskState::Done(value) => Result::from_slot(value),
                    _ => match engine::step(k, u64::MAX) {
                        Some(step) => {
                            self.busy = Some(Busy::Task { task, what, line });
                            return Progress::Stepped(step);
                        }
                        // Nothing will ever wake it: what a person sees as a hung task.
                        None => Err(Errno::ETIMEDOUT),
                    },
                };
                if let Err(e) = result {
                    self.complain(bench, line, &what, e);
                }
                self.ready(bench.k);
                self.advance(bench)
            }
            Busy::Sleep { until } => match engine::step(k, until) {
                Some(step) => {
                    self.busy = Some(Busy::Sleep { until });
                    Progress::Stepped(step)
                }
                None => {
                    k.events.now = k.events.now.max(until);
                    self.ready(k);
                    self.advance(bench)
                }
            },
            Busy::Ready { until } => match engine::step(k, until) {
                Some(step) => {
                    self.busy = Some(Busy::Ready { until });
                    Progress::Stepped(step)
                }
                None => {
                    k.events.now = k.events.now.max(until);
                    Progress::Ended
                }
            },
        }
    }

    fn ready(&mut self, k: &Kernel) {
        self.busy = Some(Busy::Ready { until: k.events.now.saturating_add(COMMAND_TIME) });
    }

    fn complain(&self, bench: &mut Bench<'_>, line: usize, what: &str, problem: impl core::fmt::Display) {
        bench.terminal.push(format!("{}: line {line}: {what}: {problem}", self.script.name));
    }

    /// The next statement, with its index where it is one of the script itself.
    fn next(&mut self) -> Option<(Statement, Option<usize>)> {
        loop {
            let level = self.levels.last_mut()?;
            let statements = level.body.as_deref().unwrap_or(&self.script.statements);
            if let Some(statement) = statements.get(level.next) {
                let index = level.body.is_none().then_some(level.next);
                level.next += 1;
                return Some((statement.clone(), index));
            }
            match level.values.as_mut().and_then(|(name, values)| Some((name.clone(), values.next()?))) {
                Some((name, value)) => {
                    self.vars.set(&name, value);
                    level.next = 0;
                }
                // The script's own level stays, at its end.
                None if level.body.is_none() => return None,
                None => {
                    self.levels.pop();
                }
            }
        }
    }

    fn begin(&mut self, bench: &mut Bench<'_>) -> Progress {
        loop {
            let Some((statement, index)) = self.next() else { return Progress::Idle };
            match &statement.action {
                Action::Assign { name, value } => {
                    let value = value.value(&self.vars);
                    self.vars.set(name, value);
                }
                Action::For { name, words, body } => {
                    let values: Vec<String> = words.iter().flat_map(|w| w.fields(&self.vars)).collect();
                    // At its end, so that the first value is taken next.
                    let values = Some((name.clone(), values.into_iter()));
                    self.levels.push(Level { body: Some(Arc::clone(body)), next: body.len(), values });
                }
                Action::Run(command) => {
                    self.command(bench, &statement, command);
                    return Progress::Began(statement);
                }
                Action::Expand(line) => {
                    match self.script.expand(line, &self.vars) {
                        Ok(command) => self.command(bench, &statement, &command),
                        Err(e) => {
                            bench.terminal.push(format!("{}: line {}: {e}", self.script.name, e.line));
                            self.ready(bench.k);
                        }
                    }
                    return Progress::Began(statement);
                }
                Action::Begin { .. }
                | Action::End
                | Action::BootEvents { .. }
                | Action::State { .. }
                | Action::Msix { .. } => {
                    if let Some(index) = index {
                        return Progress::Directive(index);
                    }
                }
            }
        }
    }

    fn command(&mut self, bench: &mut Bench<'_>, statement: &Statement, command: &Command) {
        let line = statement.span.line;
        let result = match shell_cpu(bench.k, command.cpu) {
            Ok(cpu) => self.program(bench, cpu, &command.program, line),
            Err(e) => Err(("taskset: failed to set affinity".to_owned(), e)),
        };
        if let Err((what, errno)) = result {
            self.complain(bench, line, &what, errno);
        }
        if self.busy.is_none() {
            self.ready(bench.k);
        }
    }

    fn program(
        &mut self,
        bench: &mut Bench<'_>,
        cpu: CpuId,
        program: &Program,
        line: usize,
    ) -> Result<(), (String, Errno)> {
        let Bench { k, terminal } = bench;
        match program {
            Program::Echo { value, path, append } => {
                let ctx = k.trace.open(Actor::Task, &[]);
                let before = k.switch_to(ctx, cpu);
                let written = vfs::write_file(k, &path.text, value, *append);
                k.cur = before;
                let written = match written {
                    vfs::Written::Now(result) => result,
                    vfs::Written::Start(call) => {
                        self.busy = Some(start(k, cpu, call, "write error".to_owned(), line));
                        return Ok(());
                    }
                };
                written.map_err(|e| match e {
                    Errno::ENOENT | Errno::EACCES | Errno::EISDIR | Errno::ENOTDIR => {
                        (format!("can't create {}", path.text), e)
                    }
                    _ => ("write error".to_owned(), e),
                })
            }
            Program::Print { value } => {
                terminal.push(value.clone());
                Ok(())
            }
            Program::Cat { path, quiet } => {
                let text = vfs::read(k, &path.text).map_err(|e| (format!("cat: {}", path.text), e))?;
                if !quiet {
                    terminal.extend(text.lines().map(str::to_owned));
                }
                Ok(())
            }
            Program::Ls { path } => {
                match vfs::list(k, &path.text) {
                    Ok(names) => terminal.extend(names),
                    // `ls FILE` prints the name of the file.
                    Err(Errno::ENOTDIR) => terminal.push(path.text.clone()),
                    Err(e) => return Err((format!("ls: cannot access '{}'", path.text), e)),
                }
                Ok(())
            }
            Program::Dmesg => {
                terminal.extend(k.log.iter().flat_map(|text| text.lines()).map(str::to_owned));
                Ok(())
            }
            Program::Dd { input, block_size, count, skip, .. } => {
                let disk =
                    vfs::disk(k, &input.text).map_err(|e| (format!("dd: can't open '{}'", input.text), e))?;
                let reading = || format!("dd: error reading '{}'", input.text);
                if *block_size == 0 || !block_size.is_multiple_of(SECTOR) {
                    return Err((reading(), Errno::EINVAL));
                }
                let sectors = block_size / SECTOR;
                let first = skip.checked_mul(sectors);
                let size = (u32::try_from(sectors), u32::try_from(*count));
                let (Some(first), (Ok(sectors), Ok(count))) = (first, size) else {
                    return Err((reading(), Errno::EINVAL));
                };
                self.busy = Some(start(k, cpu, dd(disk, first, sectors, count), reading(), line));
                Ok(())
            }
            Program::Sleep { nanoseconds } => {
                self.busy = Some(Busy::Sleep { until: k.events.now.saturating_add(*nanoseconds) });
                Ok(())
            }
        }
    }
}

/// The CPU a command runs on: the one it is pinned to, else the first that is online. Where CPUs are
/// isolated from the scheduler's domains, the last that is not.
// DEVIATION: the scheduler puts a shell on any idle CPU; it is nobody's result, and this choice is
// listed among those of the comparison.
fn shell_cpu(k: &Kernel, pinned: Option<u32>) -> Result<CpuId, Errno> {
    match pinned.map(CpuId) {
        Some(cpu) if k.topo.online.contains(cpu) => Ok(cpu),
        Some(_) => Err(Errno::EINVAL),
        None => {
            let allowed = drivers::housekeeping_domain(k).and(&k.topo.online);
            let isolates = allowed != k.topo.online;
            let cpu = if isolates { allowed.last() } else { allowed.first() };
            Ok(cpu.or_else(|| k.topo.online.first()).unwrap_or_default())
        }
    }
}

/// Starts a frame as a task of the shell.
fn start(k: &mut Kernel, cpu: CpuId, call: Call<Result<(), Errno>>, what: String, line: usize) -> Busy {
    Busy::Task { task: k.spawn(TaskKind::Task, cpu, call.frame, &[]), what, line }
}

/// `dd` with direct I/O: one read after the other.
#[kframe("dd")]
fn dd(k: &mut Kernel, disk: DiskId, first: u64, sectors: u32, count: u32) -> Result<(), Errno> {
    let mut done: u32 = 0;
    while done < count {
        call!(drivers::blk_mq::blk_read(
            disk,
            first.saturating_add(u64::from(done) * u64::from(sectors)),
            sectors
        ))?;
        done += 1;
    }
    Ok(())
}
