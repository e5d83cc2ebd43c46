//! A shell that runs a script on a machine, one small step at a time.
//!
//! The shell and the jobs it started in the background are actors over one machine. What an actor
//! can do now, what it does, and until when the machine may go on by itself are separate questions:
//! [`Shell::advance`] answers them quietly, others may choose differently.
//!
//! Where it stands is plain data, so that a machine can be kept and brought back in the middle of
//! a command.

use core::hash::{Hash, Hasher};
use std::sync::Arc;

use drivers::block::fops::{bdev_nr_sectors, blkdev_get, blkdev_put, blkdev_read_iter};
use kcore::sched::isolation::{HkType, housekeeping_cpumask};
use kfn::kframe;
use kstate::sched::{Call, Slot, TaskKind, TaskState};
use kstate::trace::Actor;
use kstate::{CpuId, CpuMask, DiskId, Errno, Kernel, TaskId};

use crate::engine;
use crate::script::{self, Action, Command, Failure, Program, Script, Statement, Variables};
use crate::vfs;

/// What the shell needs between two commands: fork, exec, a few system calls.
pub const COMMAND_TIME: u64 = 1_000_000;
const SECTOR: u64 = 512;
/// The longest value of a variable, in bytes: `MAX_ARG_STRLEN`, more than which no program can be given.
const MAX_VALUE: usize = 128 << 10;
/// So many statements that only calculate are done in one turn. Who watches the shell gets to look then.
const TURN: usize = 4096;

/// The shell itself, or one of its jobs by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ActorId(pub u32);

impl ActorId {
    /// The shell itself.
    pub const MAIN: Self = Self(0);
}

/// What a step of the shell did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It began the command of this statement, or the job: what can be done at once was done.
    Began(Statement),
    /// The machine did something, and the command goes on.
    Stepped(engine::Step),
    /// What a command did is done, and the shell gets ready for the next one. [`Shell::advance`] goes
    /// on and never returns it.
    Returned,
    /// The command is over.
    Ended,
    /// It came to a line for the recorder: the index of the statement.
    Directive(usize),
    /// The script is at its end, or the job.
    Idle,
}

/// The statements of a loop or a job. Which they are is told by where they stand in the script.
#[derive(Clone, Debug)]
struct Body(Arc<[Statement]>);

impl Body {
    fn place(&self) -> Option<usize> {
        self.0.first().map(|statement| statement.span.offset)
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Body {}

impl Hash for Body {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

/// A loop's variable and its values still to come, the next one last.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Values {
    name: String,
    rest: Vec<String>,
}

/// Statements that are being run.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Level {
    /// `None` for the script itself.
    body: Option<Body>,
    next: usize,
    values: Option<Values>,
}

impl Level {
    fn statements<'a>(&'a self, script: &'a Script) -> &'a [Statement] {
        self.body.as_ref().map_or(&script.statements, |body| &body.0)
    }
}

/// Time of the machine after which nobody sleeps any more, in ns: 146 years after power-on. What is added to
/// a time by a device or a driver fits in what is left of 64 bits.
const LAST_SLEEP: u64 = 1 << 62;

/// What the current command does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Busy {
    /// A task runs; what to say when it fails, unless nobody wants to see it.
    Task { task: TaskId, what: String, line: usize, quiet: bool },
    /// Time passes: what the command itself sleeps, then what the shell needs.
    Sleep { until: u64 },
    /// It waits for its jobs.
    Wait,
    /// The shell gets ready for the next command.
    Ready { until: u64 },
}

/// What an actor needs to do its next thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Need {
    /// Nothing.
    Nothing,
    /// A point in time, in ns of virtual time; `pause` is that of the shell between two commands.
    Time { until: u64, pause: bool },
    /// The end of a task.
    Task,
    /// The end of its jobs, or it is at its end.
    Others,
}

/// The shell itself or a job: a position in the script, and variables.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Process {
    id: ActorId,
    /// Who started it; for the shell itself, the shell.
    parent: ActorId,
    levels: Vec<Level>,
    busy: Option<Busy>,
    vars: Variables,
}

/// A command that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    /// Who ran it.
    pub actor: ActorId,
    /// Its line in the script.
    pub line: usize,
    /// What failed, as a shell says it.
    pub what: String,
    /// With which error; none where it is no command once its variables have their values.
    pub errno: Option<Errno>,
}

/// A shell. Two are equal when they stand at the same place of the script with the same variables and
/// jobs; that it is the same script is not looked at.
#[derive(Clone, Debug)]
pub struct Shell {
    script: Arc<Script>,
    main: Process,
    /// In the order of their numbers.
    jobs: Vec<Process>,
    /// Assertions that did not hold.
    pub failed: Vec<Failure>,
    /// Who came to each of them.
    pub failed_by: Vec<ActorId>,
    /// Commands that failed.
    pub complaints: Vec<Complaint>,
}

impl PartialEq for Shell {
    fn eq(&self, other: &Self) -> bool {
        (&self.main, &self.jobs) == (&other.main, &other.jobs)
    }
}

impl Eq for Shell {}

impl Hash for Shell {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.main, &self.jobs).hash(state);
    }
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
        let level = Level { body: None, next: 0, values: None };
        let main =
            Process { id: ActorId::MAIN, parent: ActorId::MAIN, levels: vec![level], busy: None, vars };
        Self {
            script,
            main,
            jobs: Vec::new(),
            failed: Vec::new(),
            failed_by: Vec::new(),
            complaints: Vec::new(),
        }
    }

    /// Runs another script as a job that nobody of this shell has started, from here on. It has no variables, and its lines
    /// stand behind those of the shell's script.
    // Statements inside of loops and jobs keep the places that they have in their own script.
    pub fn join(&mut self, other: &Script) -> ActorId {
        let script = Arc::make_mut(&mut self.script);
        if !script.text.is_empty() && !script.text.ends_with('\n') {
            script.text.push('\n');
        }
        let (offset, lines) = (script.text.len(), script.text.lines().count());
        script.text.push_str(&other.text);
        let moved = other.statements.iter().cloned().map(|mut statement| {
            statement.span.offset += offset;
            statement.span.line += lines;
            statement
        });
        let body = Body(moved.collect());
        let id = ActorId(self.last().0 + 1);
        let level = Level { body: Some(body), next: 0, values: None };
        let vars = Variables::default();
        self.jobs.push(Process { id, parent: id, levels: vec![level], busy: None, vars });
        id
    }

    /// The actor that was started last, of those that are left.
    fn last(&self) -> ActorId {
        self.jobs.last().map_or(ActorId::MAIN, |job| job.id)
    }

    /// Nothing that this actor was told to do is left: it has ended, or it is the shell itself, at the end of its script.
    pub fn is_over(&self, actor: ActorId) -> bool {
        let over = |process: &Process| process.busy.is_none() && process.is_over(&self.script);
        self.processes().find(|process| process.id == actor).is_none_or(over)
    }

    /// The script it runs.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// It is in the middle of a command, or one of its jobs runs.
    pub fn is_busy(&self) -> bool {
        self.main.busy.is_some() || !self.jobs.is_empty()
    }

    /// The script is at its end, and no job runs.
    pub fn done(&self) -> bool {
        !self.is_busy() && self.main.is_over(&self.script)
    }

    /// Takes its variables away.
    pub fn take_vars(&mut self) -> Variables {
        core::mem::take(&mut self.main.vars)
    }

    /// Lets the shell itself do nothing for `time` ns, which ends like a command.
    pub fn pause(&mut self, k: &Kernel, time: u64) {
        self.main.busy = Some(Busy::Ready { until: k.events.now.saturating_add(time) });
    }

    /// The shell itself is in the middle of a command or a pause.
    pub fn is_main_busy(&self) -> bool {
        self.main.busy.is_some()
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        core::iter::once(&self.main).chain(&self.jobs)
    }

    fn process(&mut self, actor: ActorId) -> Option<&mut Process> {
        core::iter::once(&mut self.main).chain(&mut self.jobs).find(|p| p.id == actor)
    }

    fn need(&self, k: &Kernel, process: &Process) -> Need {
        match process.busy {
            None if process.is_over(&self.script) => Need::Others,
            None => Need::Nothing,
            Some(Busy::Task { task, .. }) => match k.sched.tasks[task.index()].state {
                TaskState::Done(_) => Need::Nothing,
                _ => Need::Task,
            },
            Some(Busy::Sleep { until }) => Need::Time { until, pause: false },
            Some(Busy::Ready { until }) => Need::Time { until, pause: true },
            Some(Busy::Wait) if self.jobs.iter().any(|job| job.parent == process.id) => Need::Others,
            Some(Busy::Wait) => Need::Nothing,
        }
    }

    /// Nothing will ever happen again unless an actor gives up: each waits for a task, or for others.
    pub fn hangs(&self, k: &Kernel) -> bool {
        self.waits_for_others(k) && engine::is_idle(k)
    }

    /// Each actor waits for a task, or for others: it is the machine's turn.
    pub fn waits_for_others(&self, k: &Kernel) -> bool {
        self.processes().all(|p| matches!(self.need(k, p), Need::Task | Need::Others))
    }

    /// The actors that can do something now, the shell itself first and its jobs in the order in which
    /// they were started. With `impatient` the pause between two commands is no time to wait for; a
    /// `sleep` still is.
    pub fn ready(&self, k: &Kernel, impatient: bool) -> impl Iterator<Item = ActorId> {
        self.ready_if(k, impatient, self.hangs(k))
    }

    /// The same where it is known whether the shell [hangs](Self::hangs).
    pub fn ready_if(&self, k: &Kernel, impatient: bool, hangs: bool) -> impl Iterator<Item = ActorId> {
        let now = k.events.now;
        let ready = self.processes().filter(move |process| match self.need(k, process) {
            Need::Nothing => true,
            Need::Time { until, pause } => until <= now || (pause && impatient),
            // What a person sees as a hung task.
            Need::Task => hangs,
            Need::Others => false,
        });
        ready.map(|process| process.id)
    }

    /// The earliest time, in ns, that an actor waits for: the machine goes no further by itself.
    /// `impatient` as for [`Shell::ready`].
    pub fn limit(&self, impatient: bool) -> Option<u64> {
        let times = self.processes().filter_map(|process| match process.busy {
            Some(Busy::Sleep { until }) => Some(until),
            Some(Busy::Ready { until }) if !impatient => Some(until),
            _ => None,
        });
        times.min()
    }

    /// The next statement of the shell itself starts a job, or something in it does.
    pub fn starts_job_next(&self) -> bool {
        self.main.busy.is_none() && self.main.peek(&self.script).is_some_and(Statement::starts_job)
    }

    /// Whether what an actor that is [ready](Self::ready) does next is the shell's affair alone: it ends, waits for its jobs,
    /// prints, or starts one. The machine is neither read nor changed then.
    pub fn keeps_to_itself(&self, actor: ActorId) -> bool {
        let Some(mut process) = self.processes().find(|p| p.id == actor).cloned() else { return false };
        for _ in 0..TURN {
            let Some((statement, _)) = process.next(&self.script) else { return true };
            match &statement.action {
                Action::Assign { .. } | Action::For { .. } => {
                    process.pass(&statement.action);
                }
                Action::Job { .. } => return true,
                Action::Run(command) => {
                    return command.cpu.is_none()
                        && matches!(command.program, Program::Wait | Program::Print { .. });
                }
                _ => return false,
            }
        }
        // What comes later is another turn's.
        false
    }

    /// Whether there is a CPU for what an actor does next. One that is in the middle of an interrupt runs no task, nor does one
    /// that a stopper holds.
    pub fn has_cpu(&self, k: &Kernel, actor: ActorId) -> bool {
        if k.sched.hardirqs.is_empty() && k.hotplug.irqs_disabled.is_empty() || self.keeps_to_itself(actor) {
            return true;
        }
        let Some(mut process) = self.processes().find(|p| p.id == actor).cloned() else { return false };
        match process.next_pinned(&self.script).map(CpuId) {
            // To ask for a CPU that is not online fails, wherever that is done.
            Some(cpu) => !k.topo.is_online(cpu) || runs_tasks(k, cpu),
            None => allowed(k).iter().any(|cpu| runs_tasks(k, cpu)),
        }
    }

    /// Feeds a hasher with where the shell and its jobs stand, times as what is left of them from `now`
    /// on; pauses between commands do not count. Without `numbers` a job is known by its place among the others alone.
    pub fn hash_relative<H: Hasher>(&self, now: u64, numbers: bool, state: &mut H) {
        for process in self.processes() {
            let Process { id, parent, levels, busy, vars } = process;
            let busy = match busy {
                Some(Busy::Sleep { until }) => Some(Busy::Sleep { until: until.saturating_sub(now) }),
                Some(Busy::Ready { .. }) => Some(Busy::Ready { until: 0 }),
                busy => busy.clone(),
            };
            if numbers {
                (id, parent).hash(state);
            }
            (levels, busy, vars).hash(state);
        }
    }

    /// The task whose end an actor waits for.
    pub fn waits_for_task(&self, actor: ActorId) -> Option<TaskId> {
        match self.processes().find(|p| p.id == actor)?.busy {
            Some(Busy::Task { task, .. }) => Some(task),
            _ => None,
        }
    }

    /// The actor that waits for the end of a task.
    pub fn actor_of(&self, task: TaskId) -> Option<ActorId> {
        let waits = |p: &&Process| matches!(p.busy, Some(Busy::Task { task: t, .. }) if t == task);
        self.processes().find(waits).map(|p| p.id)
    }

    /// Does the next thing, quietly: an actor that waits for nothing comes first, then the machine,
    /// and when nothing is left for it to do before somebody's time has come, the clock moves there.
    pub fn advance(&mut self, bench: &mut Bench<'_>) -> Progress {
        loop {
            let k = &mut *bench.k;
            let waits_not = |p: &&Process| self.need(k, p) == Need::Nothing;
            let mut next = self.processes().find(waits_not).map(|p| p.id);
            if next.is_none() {
                let limit = self.limit(false);
                if self.done() {
                    return Progress::Idle;
                }
                if let Some(step) = engine::step(k, limit.unwrap_or(u64::MAX)) {
                    return Progress::Stepped(step);
                }
                k.events.now = k.events.now.max(limit.unwrap_or(0));
                next = self.ready(k, false).next();
            }
            // Those who are left wait for each other's end, and none is left to come to it.
            let Some(actor) = next else { return Progress::Idle };
            match self.act(bench, actor) {
                Progress::Returned => {}
                // Somebody else may go on.
                Progress::Idle => {}
                progress => return progress,
            }
        }
    }

    /// Lets an actor that is [ready](Self::ready) do its next thing; the machine takes no step and no
    /// time passes.
    pub fn act(&mut self, bench: &mut Bench<'_>, actor: ActorId) -> Progress {
        let script = Arc::clone(&self.script);
        let last = self.last();
        let Some(process) = self.process(actor) else { return Progress::Idle };
        let mut turn =
            Turn { script: &script, actor, bench, started: None, failed: Vec::new(), complaints: Vec::new() };
        let progress = process.act(&mut turn);
        let over = process.busy.is_none() && process.is_over(&script);
        let Turn { started, failed, complaints, .. } = turn;
        self.failed_by.extend(failed.iter().map(|_| actor));
        self.failed.extend(failed);
        self.complaints.extend(complaints);
        if let Some((body, vars)) = started {
            let level = Level { body: Some(body), next: 0, values: None };
            let id = ActorId(last.0 + 1);
            self.jobs.push(Process { id, parent: actor, levels: vec![level], busy: None, vars });
        }
        if over {
            self.jobs.retain(|job| job.id != actor);
        }
        progress
    }
}

/// What a process acts on, and what comes of it for the others.
struct Turn<'a, 'b> {
    script: &'a Script,
    /// Whose turn it is.
    actor: ActorId,
    bench: &'a mut Bench<'b>,
    /// The job that it starts.
    started: Option<(Body, Variables)>,
    failed: Vec<Failure>,
    complaints: Vec<Complaint>,
}

impl Process {
    /// No statement is left to begin.
    fn is_over(&self, script: &Script) -> bool {
        self.levels.iter().all(|level| {
            level.next >= level.statements(script).len()
                && level.values.as_ref().is_none_or(|values| values.rest.is_empty())
        })
    }

    /// The next statement that ends a turn, without beginning it. What comes before it is done in the
    /// same turn.
    fn peek<'a>(&'a self, script: &'a Script) -> Option<&'a Statement> {
        let ends_turn = |s: &&Statement| !matches!(s.action, Action::Assign { .. } | Action::Assert(_));
        self.levels.iter().rev().find_map(|level| {
            let statements = level.statements(script);
            let again = level.values.as_ref().is_some_and(|values| !values.rest.is_empty());
            let mut rest = statements.iter().skip(level.next);
            rest.find(ends_turn).or_else(|| statements.iter().find(ends_turn).filter(|_| again))
        })
    }

    fn act(&mut self, turn: &mut Turn<'_, '_>) -> Progress {
        match self.busy.take() {
            None => self.begin(turn),
            Some(Busy::Task { task, what, line, quiet }) => {
                let k = &mut *turn.bench.k;
                let result: Result<(), Errno> = match k.sched.tasks[task.index()].state {
                    TaskState::Done(value) => Result::from_slot(value),
                    // Nothing will ever wake it.
                    _ => Err(Errno::ETIMEDOUT),
                };
                self.ready(k);
                if let Err(e) = result {
                    turn.complain(line, &what, e, quiet);
                }
                Progress::Returned
            }
            Some(Busy::Sleep { .. } | Busy::Wait) => {
                self.ready(turn.bench.k);
                Progress::Returned
            }
            Some(Busy::Ready { .. }) => Progress::Ended,
        }
    }

    fn ready(&mut self, k: &Kernel) {
        self.busy = Some(Busy::Ready { until: k.events.now.saturating_add(COMMAND_TIME) });
    }

    /// The next statement, with its index where it is one of the script itself.
    fn next(&mut self, script: &Script) -> Option<(Statement, Option<usize>)> {
        loop {
            let level = self.levels.last_mut()?;
            if let Some(statement) = level.statements(script).get(level.next) {
                let statement = statement.clone();
                let index = level.body.is_none().then_some(level.next);
                level.next += 1;
                return Some((statement, index));
            }
            match level.values.as_mut().and_then(|values| Some((values.name.clone(), values.rest.pop()?))) {
                Some((name, value)) => {
                    self.vars.set(&name, value);
                    level.next = 0;
                }
                // The outermost level stays, at its end.
                None if self.levels.len() == 1 => return None,
                None => {
                    self.levels.pop();
                }
            }
        }
    }

    /// Does an assignment, or goes into a loop. Says whether that was possible.
    fn pass(&mut self, action: &Action) -> bool {
        match action {
            Action::Assign { name, value } => match value.value(&self.vars) {
                value if value.len() <= MAX_VALUE => self.vars.set(name, value),
                _ => return false,
            },
            Action::For { name, words, body } => {
                let mut rest: Vec<String> = words.iter().flat_map(|w| w.fields(&self.vars)).collect();
                rest.reverse();
                // At its end, so that the first value is taken next.
                let (next, values) = (body.len(), Some(Values { name: name.clone(), rest }));
                self.levels.push(Level { body: Some(Body(Arc::clone(body))), next, values });
            }
            _ => {}
        }
        true
    }

    /// The CPU that the next command asks for.
    fn next_pinned(&mut self, script: &Script) -> Option<u32> {
        for _ in 0..TURN {
            let (statement, _) = self.next(script)?;
            match &statement.action {
                Action::Assign { .. } | Action::For { .. } => {
                    self.pass(&statement.action);
                }
                Action::Assert(_) => {}
                Action::Run(command) => return command.cpu,
                Action::Expand(line) => return script.expand(line, &self.vars).ok()?.cpu,
                _ => return None,
            }
        }
        None
    }

    fn begin(&mut self, turn: &mut Turn<'_, '_>) -> Progress {
        let script = turn.script;
        for _ in 0..TURN {
            let Some((statement, index)) = self.next(script) else { return Progress::Idle };
            match &statement.action {
                Action::Assign { name, .. } => {
                    if !self.pass(&statement.action) {
                        turn.complain(statement.span.line, name, Errno::E2BIG, false);
                    }
                }
                Action::For { .. } => {
                    self.pass(&statement.action);
                }
                Action::Job { body } => {
                    // Both go on at once, so that what comes next may come before or behind it.
                    turn.started = Some((Body(Arc::clone(body)), self.vars.clone()));
                    return Progress::Began(statement);
                }
                Action::Assert(assertion) => {
                    if let Some(failure) = assertion.check(turn.bench.k, &self.vars, statement.span.line) {
                        turn.bench.terminal.push(format!("{}: {failure}", script.name));
                        turn.failed.push(failure);
                    }
                }
                Action::Run(command) => {
                    self.command(turn, &statement, command);
                    return Progress::Began(statement);
                }
                Action::Expand(line) => {
                    match script.expand(line, &self.vars) {
                        Ok(command) => self.command(turn, &statement, &command),
                        Err(e) => {
                            turn.bench.terminal.push(format!("{}: line {}: {e}", script.name, e.line));
                            turn.complaints.push(Complaint {
                                actor: turn.actor,
                                line: e.line,
                                what: e.to_string(),
                                errno: None,
                            });
                            self.ready(turn.bench.k);
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
        Progress::Ended
    }

    fn command(&mut self, turn: &mut Turn<'_, '_>, statement: &Statement, command: &Command) {
        let line = statement.span.line;
        let result = match shell_cpu(turn.bench.k, command.cpu) {
            Ok(cpu) => self.program(turn.bench, cpu, &command.program, line),
            Err(e) => Err(("taskset: failed to set affinity".to_owned(), e)),
        };
        if let Err((what, errno)) = result {
            turn.complain(line, &what, errno, command.quiet);
        }
        if let Some(Busy::Task { quiet, .. }) = &mut self.busy {
            *quiet = command.quiet;
        }
        if self.busy.is_none() {
            self.ready(turn.bench.k);
        }
    }

    /// One write to a file.
    fn write(
        &mut self,
        k: &mut Kernel,
        cpu: CpuId,
        text: &str,
        path: &script::Path,
        append: bool,
        line: usize,
    ) -> Result<(), (String, Errno)> {
        let ctx = k.trace.open(Actor::Task, &[]);
        // Where the first CPU is not free the scheduler has another one; a task that is started waits for its CPU.
        let free = || allowed(k).iter().find(|cpu| runs_tasks(k, *cpu));
        let here = if runs_tasks(k, cpu) { cpu } else { free().unwrap_or(cpu) };
        let before = k.switch_to(ctx, here);
        let written = vfs::write_file(k, &path.text, text, append);
        k.cur = before;
        let written = match written {
            vfs::Written::Now(result) => result,
            vfs::Written::Start(call) => {
                self.busy = Some(start(k, cpu, call, "write error".to_owned(), line));
                return Ok(());
            }
        };
        written.map_err(|e| match e {
            // The file is there: its own answer to what was written.
            Errno::ENOENT if vfs::list(k, &path.text) == Err(Errno::ENOTDIR) => ("write error".to_owned(), e),
            Errno::ENOENT | Errno::EACCES | Errno::EISDIR | Errno::ENOTDIR => {
                (format!("can't create {}", path.text), e)
            }
            _ => ("write error".to_owned(), e),
        })
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
                self.write(k, cpu, &format!("{value}\n"), path, *append, line)
            }
            // Nothing to print is no write, and of an open file of the tracer's alone something comes.
            Program::Printf { text, path, .. } if text.is_empty() && opens_without_effect(k, &path.text) => {
                Ok(())
            }
            Program::Printf { text, path, append } => self.write(k, cpu, text, path, *append, line),
            Program::Print { value } => {
                terminal.push(value.clone());
                Ok(())
            }
            Program::Cat { path, quiet } => {
                let text = vfs::consume(k, &path.text).map_err(|e| (format!("cat: {}", path.text), e))?;
                if !quiet {
                    terminal.extend(text.lines().map(str::to_owned));
                }
                Ok(())
            }
            Program::Ls { path, long: true } => {
                let found = vfs::attributes::list_long(k, &path.text);
                let lines = found.map_err(|e| (format!("ls: cannot access '{}'", path.text), e))?;
                terminal.extend(lines);
                Ok(())
            }
            Program::Stat { format, paths } => {
                let mut last = Ok(());
                for path in paths {
                    match vfs::attributes::attributes(k, &path.text) {
                        Ok(found) => terminal.push(found.fill_in(format, &path.text)),
                        Err(e) => {
                            let mistake = (format!("stat: can't stat '{}'", path.text), e);
                            if let Err((what, e)) = core::mem::replace(&mut last, Err(mistake)) {
                                terminal.push(format!("{what}: {e}"));
                            }
                        }
                    }
                }
                last
            }
            Program::Ls { path, long: false } => {
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
                blkdev_get(k, disk).map_err(|e| (format!("dd: can't open '{}'", input.text), e))?;
                if first > bdev_nr_sectors(k, disk) {
                    // blkdev_llseek(): no further than to the end.
                    blkdev_put(k, disk);
                    return Err((format!("dd: '{}': cannot skip", input.text), Errno::EINVAL));
                }
                self.busy = Some(start(k, cpu, dd(disk, first, sectors, count), reading(), line));
                Ok(())
            }
            Program::Sleep { nanoseconds } => {
                // Many sleeps come to more than one may be.
                if k.events.now > LAST_SLEEP {
                    return Err(("sleep".to_owned(), Errno::EOVERFLOW));
                }
                self.busy = Some(Busy::Sleep { until: k.events.now.saturating_add(*nanoseconds) });
                Ok(())
            }
            Program::Wait => {
                self.busy = Some(Busy::Wait);
                Ok(())
            }
        }
    }
}

impl Turn<'_, '_> {
    fn complain(&mut self, line: usize, what: &str, errno: Errno, quiet: bool) {
        if !quiet {
            self.bench.terminal.push(format!("{}: line {line}: {what}: {errno}", self.script.name));
        }
        let (actor, what) = (self.actor, what.to_owned());
        self.complaints.push(Complaint { actor, line, what, errno: Some(errno) });
    }
}

/// Opening a file for writing does nothing but that. It fails for a file of sysfs that nobody may write
/// (`kernfs_fop_open()`), and empties a file of the tracer.
fn opens_without_effect(k: &Kernel, path: &str) -> bool {
    let tracer = path.starts_with("/sys/kernel/tracing") || path.starts_with("/sys/kernel/debug/tracing");
    let found = vfs::attributes::attributes(k, path);
    !tracer && found.is_ok_and(|file| file.kind == vfs::attributes::Kind::File && file.mode & 0o222 != 0)
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
            let allowed = allowed(k);
            let isolates = allowed != k.topo.online;
            let cpu = if isolates { allowed.last() } else { allowed.first() };
            Ok(cpu.or_else(|| k.topo.online.first()).unwrap_or_default())
        }
    }
}

/// The CPUs that the scheduler can run the shell on.
fn allowed(k: &Kernel) -> CpuMask {
    housekeeping_cpumask(k, HkType::Domain).and(&k.topo.online)
}

/// A CPU is in no interrupt, and no stopper holds it.
fn runs_tasks(k: &Kernel, cpu: CpuId) -> bool {
    !k.sched.hardirqs.contains_key(&cpu) && !k.hotplug.irqs_disabled.contains(cpu)
}

/// Starts a frame as a task of the shell.
fn start(k: &mut Kernel, cpu: CpuId, call: Call<Result<(), Errno>>, what: String, line: usize) -> Busy {
    Busy::Task { task: k.spawn(TaskKind::Task, cpu, call.frame, &[]), what, line, quiet: false }
}

/// `dd` with direct I/O: one read after the other, up to `count`, the end of the disk or an error. A read that
/// is cut short counts, and the next goes on where it ended.
#[kframe("dd", part)]
fn dd(k: &mut Kernel, disk: DiskId, first: u64, sectors: u32, count: u32) -> Result<(), Errno> {
    let at: u64 = first;
    let done: u32 = 0;
    let read: Result<u32, Errno> = Ok(0);
    while done < count {
        read = call!(blkdev_read_iter(disk, at, sectors));
        if read.unwrap_or_default() == 0 {
            break;
        }
        at += u64::from(read.unwrap_or_default());
        done += 1;
    }
    blkdev_put(k, disk);
    read.map(drop)
}
