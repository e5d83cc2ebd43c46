//! The machine's files for programs of the real system, over FUSE.
//!
//! # Architecture
//! A [`Machine`] is a session ([`debugger::Session`]) behind one lock. Programs reach it through [`fuse::Files`], which
//! knows inodes and open files, and answers with what `sim::vfs` says. What a program does to the machine is typed into
//! the session as the line of a script, so that the session can be saved as a script that does everything again. A thread of
//! its own ([`Machine::watch`]) lets the machine do the lines, and who gave one waits meanwhile. Lines of several programs
//! are under way together, as jobs of a shell are.
//!
//! If a breakpoint stops the machine in the middle of a line, who wrote waits until somebody lets the machine go on, or
//! until a signal ends the wait. Others can read meanwhile, and see the machine as it stands.
//!
//! # Time
//! Virtual time goes on with what is done. A line takes what a script's line takes. A file that is read takes 20 µs,
//! and a pause of 10 ms or more in which nobody does anything passes in the machine as well, `speed` times as fast: that is
//! what a program has slept. Both are typed as `sleep` before the next thing that is done, a day at most. With a speed of 0
//! nothing depends on the clock of the real system.
//!
//! Computing takes no time in the machine. Where the programs are known ([`Machine::programs_of`]), no time passes in it before
//! all of them wait for something, so that what they give at one time begins at one time. In that case the
//! order is that of the numbers of processes: the shell's own line first, then those of its jobs.
//!
//! # What it doesn't implement
//! Waiting for an event of a file (`poll(2)`, `inotify(7)`): a file can always be read. Real time and mappings of files.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use debugger::{Outcome, Served, Session, Ticket, seconds};
use kstate::Errno;
use sim::shell::COMMAND_TIME;

use clock::Clock;

mod clock;
pub mod control;
pub mod fuse;
mod process;

pub use process::CPU;
use process::Programs;

/// What a program is told when its command is over.
type Done = Box<dyn FnOnce(Outcome) + Send>;

/// A command that somebody waits for.
struct Waiting {
    /// The process, and 0 for none.
    pid: u32,
    line: String,
    done: Done,
}

struct State {
    session: Session,
    clock: Clock,
    /// Commands that are under way.
    current: Vec<(Ticket, Waiting)>,
    /// Those that have not begun.
    queue: Vec<Waiting>,
    /// Something stopped the machine, and somebody has to let it go on.
    stopped: bool,
    /// What is to be told to who watches.
    said: Vec<String>,
    /// What was said of lines that are none, the newest last.
    refused: VecDeque<String>,
    /// The first of the processes whose programs work on the machine.
    programs: Option<Programs>,
    /// Nobody serves programs any more.
    over: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Somebody waits, or all is over.
    changed: Condvar,
    /// Says something to whoever watches.
    say: Box<dyn Fn(&str) + Send + Sync>,
}

/// A machine that programs of the real system work on. Copies are the same machine.
#[derive(Clone)]
pub struct Machine(Arc<Shared>);

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a machine with programs on it")
    }
}

/// How often a process that waits is looked at.
const WATCH: Duration = Duration::from_millis(50);
/// Steps of the machine after which others get to look at it, and signals are looked for.
const TURN: u64 = 2000;
/// How many messages about lines that are none are kept.
const REFUSED: usize = 100;

impl Machine {
    /// A machine on which nobody works yet. `speed` says how fast time passes in it while nobody does anything, and `say`
    /// gets what is to be told to who watches: where the machine stopped, and what it does not understand.
    pub fn new(session: Session, speed: f64, say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let state = State {
            session,
            clock: Clock::new(speed, Instant::now()),
            current: Vec::new(),
            queue: Vec::new(),
            stopped: false,
            said: Vec::new(),
            refused: VecDeque::new(),
            programs: None,
            over: false,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), say: Box::new(say) }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whose programs work on the machine: those of this process and of all below it. Time does not pass in the
    /// machine while they compute.
    pub fn programs_of(&self, pid: u32) {
        self.lock().programs = Some(Programs::below(pid));
    }

    /// Does what programs give, and answers those that get a signal. Returns when [`Machine::close`] was called.
    pub fn watch(&self) {
        let mut state = self.lock();
        while !state.over {
            if !state.has_work() {
                state = if state.current.is_empty() && state.queue.is_empty() {
                    self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
                } else {
                    state.release_signalled();
                    self.0.changed.wait_timeout(state, WATCH).unwrap_or_else(PoisonError::into_inner).0
                };
                continue;
            }
            let programs = state.programs;
            drop(state);
            if let Some(programs) = programs {
                programs.wait_until_they_rest();
            }
            self.serve();
            state = self.lock();
        }
    }

    /// Lets the machine go on until a command is over or something stops it.
    fn serve(&self) {
        loop {
            let mut state = self.lock();
            let goes = !state.over && state.serve();
            self.leave(state);
            if !goes {
                return;
            }
            // Who waits for the lock comes first.
            std::thread::yield_now();
        }
    }

    /// Whoever still waits is told that it was interrupted, and [`Machine::watch`] returns.
    pub fn close(&self) {
        let mut state = self.lock();
        state.over = true;
        let State { current, queue, .. } = &mut *state;
        for waiting in current.drain(..).map(|(_, waiting)| waiting).chain(queue.drain(..)) {
            (waiting.done)(error(Errno::EINTR));
        }
        self.0.changed.notify_all();
    }

    /// Does a line of a script for a process, when the machine is free. `done` gets its error.
    fn perform(&self, pid: u32, line: String, done: Done) {
        let mut state = self.lock();
        if state.over {
            return done(error(Errno::EINTR));
        }
        state.clock.arrive(Instant::now());
        state.queue.push(Waiting { pid, line, done });
        self.0.changed.notify_all();
        self.leave(state);
    }

    /// Leaves the machine to others, and says what there is to say.
    fn leave(&self, mut state: MutexGuard<'_, State>) {
        state.clock.leave(Instant::now());
        let said = core::mem::take(&mut state.said);
        drop(state);
        for text in said {
            (self.0.say)(&text);
        }
    }

    /// Lets something look at the session while no time passes in the machine.
    pub fn look<T>(&self, with: impl FnOnce(&mut Session) -> T) -> T {
        with(&mut self.lock().session)
    }

    /// What was said of lines of programs that are none, the newest last.
    pub(crate) fn refused(&self) -> String {
        self.lock().refused.iter().map(|text| format!("{text}\n")).collect()
    }

    /// Reads something: time goes on by what reading takes, and by what nobody did before.
    fn read<T>(&self, with: impl FnOnce(&mut Session) -> T) -> T {
        let mut state = self.lock();
        state.clock.arrive(Instant::now());
        state.clock.read();
        state.pass(clock::NOTICED);
        let result = with(&mut state.session);
        self.leave(state);
        result
    }

    /// Does a line as the session takes it, with its words. What is under way ends first, or is stopped.
    pub fn word(&self, line: &str) -> debugger::Reply {
        let mut state = self.lock();
        state.clock.arrive(Instant::now());
        while state.has_work() {
            state.serve();
        }
        state.pass(COMMAND_TIME);
        let reply = state.session.line(line);
        state.stopped = state.session.is_held();
        state.answer();
        self.0.changed.notify_all();
        self.leave(state);
        reply
    }
}

/// What a program is told that gets an error.
fn error(errno: Errno) -> Outcome {
    Outcome { errno: Some(errno), ..Outcome::default() }
}

impl State {
    /// The machine can go on, and somebody waits for it, or a command of somebody who does not wait any more is left.
    fn has_work(&self) -> bool {
        !self.stopped && (!self.queue.is_empty() || !self.current.is_empty() || self.session.is_held())
    }

    /// Begins what waits, and goes on until a command is over or something stops the machine; true where neither has
    /// happened.
    fn serve(&mut self) -> bool {
        self.begin();
        if self.stopped {
            return false;
        }
        let commands: Vec<Ticket> = self.current.iter().map(|(ticket, _)| *ticket).collect();
        let goes = match self.session.serve(&commands, TURN) {
            Served::Over => false,
            Served::Goes => {
                self.release_signalled();
                true
            }
            Served::Stopped(text) => {
                self.stop(text);
                false
            }
        };
        self.answer();
        goes
    }

    /// Something has stopped the machine.
    fn stop(&mut self, text: String) {
        self.stopped = true;
        let lines = self.current.iter().map(|(_, waiting)| format!("{}\n", waiting.line));
        let waits = "who did this waits for `continue`, or for Ctrl-C";
        self.said.push(format!("{}{}\n{waits}", lines.collect::<String>(), text.trim_end()));
    }

    /// Gives the session what waits.
    fn begin(&mut self) {
        if self.stopped || self.queue.is_empty() {
            return;
        }
        if !self.session.is_held() {
            self.pass(COMMAND_TIME);
            if self.stopped {
                return;
            }
        }
        let mut queue = core::mem::take(&mut self.queue);
        if self.programs.is_some() {
            // The shell was there before its jobs.
            queue.sort_by_key(|waiting| waiting.pid);
        }
        for waiting in queue {
            match self.session.give(&waiting.line) {
                Ok(ticket) => self.current.push((ticket, waiting)),
                Err(e) => {
                    // What is no line of a script is no text for a file either.
                    let text = format!("{}: {e}", waiting.line);
                    if self.refused.len() == REFUSED {
                        self.refused.pop_front();
                    }
                    self.refused.push_back(text.clone());
                    self.said.push(text.clone());
                    (waiting.done)(Outcome { errno: Some(Errno::EINVAL), failed: format!("{text}\n") });
                }
            }
        }
    }

    /// Answers those whose commands are over.
    fn answer(&mut self) {
        let current = core::mem::take(&mut self.current);
        for (ticket, waiting) in current {
            if self.session.is_over(ticket) {
                (waiting.done)(self.session.outcome(ticket));
            } else {
                self.current.push((ticket, waiting));
            }
        }
    }

    /// Lets the time pass in the machine that has passed outside, if it is so much.
    fn pass(&mut self, least: u64) {
        if self.stopped || self.session.is_held() {
            return;
        }
        // The line itself takes the time of a command.
        let Some(time) = self.clock.take(least.max(COMMAND_TIME)) else { return };
        let Ok(sleep) = self.session.give(&format!("sleep {}", seconds(time - COMMAND_TIME))) else { return };
        loop {
            match self.session.serve(&[sleep], TURN) {
                Served::Over => return,
                Served::Goes => {}
                Served::Stopped(text) => return self.stop(text),
            }
        }
    }

    /// Whoever waits and has got a signal is told so. Its command is done nevertheless.
    fn release_signalled(&mut self) {
        let signalled = |waiting: &Waiting| waiting.pid != 0 && process::has_signal(waiting.pid);
        let current = core::mem::take(&mut self.current).into_iter();
        let (gone, kept): (Vec<_>, _) = current.partition(|(_, waiting)| signalled(waiting));
        self.current = kept;
        let (unheard, kept): (Vec<_>, _) = core::mem::take(&mut self.queue).into_iter().partition(signalled);
        self.queue = kept;
        for waiting in gone.into_iter().map(|(_, waiting)| waiting).chain(unheard) {
            (waiting.done)(error(Errno::EINTR));
        }
    }
}
