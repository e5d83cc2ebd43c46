//! The machine's files for programs of the real system, over FUSE.
//!
//! # Architecture
//! A [`Machine`] is a session ([`debugger::Session`]) behind one lock. Programs reach it through [`fuse::Files`], which
//! knows inodes and open files, and answers with what `sim::vfs` says. What a program does to the machine is typed into
//! the session as the line of a script, so that the session can be saved as a script that does everything again. Lines
//! are done one after the other, each to its end: a second writer waits as it would for the kernel's mutex.
//!
//! If a breakpoint stops the machine in the middle of a line, who wrote waits until somebody lets the machine go on, or
//! until a signal ends the wait. Others can read meanwhile, and see the machine as it stands.
//!
//! # Time
//! Virtual time goes on with what is done. A line takes what a script's line takes. A file that is read takes 20 µs,
//! and a pause of 10 ms or more in which nobody does anything passes in the machine as well, `speed` times as fast: that is
//! what a program has slept. Both are typed as `sleep` before the next thing that is done. With a speed of 0 nothing depends
//! on the clock of the real system.
//!
//! # What it doesn't implement
//! Waiting for an event of a file (`poll(2)`, `inotify(7)`): a file can always be read. Real time and mappings of files.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use debugger::{Given, Session};
use kstate::Errno;
use sim::shell::COMMAND_TIME;

use clock::Clock;

mod clock;
pub mod control;
pub mod fuse;
mod process;

pub use process::CPU;

/// What a program is told when its command is over.
type Done = Box<dyn FnOnce(Result<(), Errno>) + Send>;

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
    /// Whose command the machine stands in.
    current: Option<Waiting>,
    /// Those behind it.
    queue: VecDeque<Waiting>,
    /// What is to be told to who watches.
    said: Vec<String>,
    /// Nobody looks for killed processes any more.
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

impl Machine {
    /// A machine on which nobody works yet. `speed` says how fast time passes in it while nobody does anything, and `say`
    /// gets what is to be told to who watches: where the machine stopped.
    pub fn new(session: Session, speed: f64, say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let state = State {
            session,
            clock: Clock::new(speed, Instant::now()),
            current: None,
            queue: VecDeque::new(),
            said: Vec::new(),
            over: false,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), say: Box::new(say) }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers processes that wait for the machine and get a signal. Returns when [`Machine::close`] was called.
    pub fn watch(&self) {
        let mut state = self.lock();
        while !state.over {
            if state.current.is_none() && state.queue.is_empty() {
                state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.release_signalled();
            state = self.0.changed.wait_timeout(state, WATCH).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whoever still waits is told that it was interrupted, and [`Machine::watch`] returns.
    pub fn close(&self) {
        let mut state = self.lock();
        state.over = true;
        let State { current, queue, .. } = &mut *state;
        for waiting in current.take().into_iter().chain(queue.drain(..)) {
            (waiting.done)(Err(Errno::EINTR));
        }
        self.0.changed.notify_all();
    }

    /// Does a line of a script for a process, now or when the machine is free. `done` gets its error.
    fn perform(&self, pid: u32, line: String, done: Done) {
        let mut state = self.lock();
        state.clock.arrive(Instant::now());
        state.queue.push_back(Waiting { pid, line, done });
        self.go_on(state);
    }

    /// Does what waits as far as the machine is free.
    fn go_on(&self, mut state: MutexGuard<'_, State>) {
        state.settle();
        if state.current.is_some() || !state.queue.is_empty() {
            self.0.changed.notify_all();
        }
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

    /// Does a line as the session takes it, with its words.
    pub fn word(&self, line: &str) -> debugger::Reply {
        let mut state = self.lock();
        state.clock.arrive(Instant::now());
        if !state.session.is_held() {
            state.pass(COMMAND_TIME);
        }
        let reply = state.session.line(line);
        self.go_on(state);
        reply
    }
}

impl State {
    /// Does what waits, until something stops the machine.
    fn settle(&mut self) {
        while !self.session.is_held() {
            if let Some(current) = self.current.take() {
                (current.done)(self.session.given());
            }
            if self.queue.is_empty() {
                break;
            }
            self.pass(COMMAND_TIME);
            let Some(next) = self.queue.pop_front() else { break };
            match self.session.give(&next.line) {
                Ok(Given::Done(result)) => (next.done)(result),
                Ok(Given::Stopped(text)) => {
                    self.said.push(format!("{}\n{text}", next.line));
                    self.current = Some(next);
                }
                Ok(Given::Busy) => {
                    self.queue.push_front(next);
                    break;
                }
                // What is no line of a script is no text for a file either.
                Err(_) => (next.done)(Err(Errno::EINVAL)),
            }
        }
    }

    /// Lets the time pass in the machine that has passed outside, if it is so much.
    fn pass(&mut self, least: u64) {
        if self.session.is_held() {
            return;
        }
        // The line itself takes the time of a command.
        if let Some(time) = self.clock.take(least.max(COMMAND_TIME))
            && let Ok(Given::Stopped(text)) =
                self.session.give(&format!("sleep {}", seconds(time - COMMAND_TIME)))
        {
            self.said.push(text);
        }
    }

    /// Whoever waits and has got a signal is told so. Its command is done nevertheless.
    fn release_signalled(&mut self) {
        let signalled = |waiting: &Waiting| waiting.pid != 0 && process::has_signal(waiting.pid);
        if self.current.as_ref().is_some_and(signalled)
            && let Some(current) = self.current.take()
        {
            (current.done)(Err(Errno::EINTR));
        }
        let (gone, kept): (VecDeque<Waiting>, _) = self.queue.drain(..).partition(signalled);
        self.queue = kept;
        for waiting in gone {
            (waiting.done)(Err(Errno::EINTR));
        }
    }
}

/// Nanoseconds as `sleep` takes them.
fn seconds(ns: u64) -> String {
    let text = format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_as_sleep_takes_them() {
        for (ns, text) in [(0, "0"), (1, "0.000000001"), (1_500_000_000, "1.5"), (10_000_000_000, "10")] {
            assert_eq!(seconds(ns), text);
        }
    }
}
