//! A session on a thread of its own. Whoever holds a [`Room`] asks it, and waits for the answer without holding up others.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use debugger::{Attendant, Origin, Reply, Save, Session};
use kstate::trace::Recorded;
use page::{Case, Page, Run};
use serde::Serialize;
use sim::lab::Lab;
use tokio::sync::oneshot;

use crate::limits;
use crate::open::{Mistake, Opened};

/// Memory that is used for a moment only: one at a time boots a machine or makes a page.
pub type Workbench = Arc<Mutex<()>>;

/// Where a session stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Place {
    /// Steps done so far.
    pub step: u64,
    /// The last step that was ever done.
    pub end: u64,
    /// Records of the page up to here. Where nothing was typed, the page is the boot, and the place is its end.
    pub records: usize,
    /// A command is in the middle of something.
    pub busy: bool,
}

/// The answer to a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Answer {
    /// What is printed.
    pub text: String,
    /// The line is the beginning of something.
    pub incomplete: bool,
    /// It was no line, or did not do what it says.
    pub failed: bool,
    /// What interrupted it.
    pub stopped: Option<Stopped>,
    /// The session is to be left.
    pub quit: bool,
    /// What is to be saved, and under which name.
    pub save: Option<Saved>,
    /// Where the session stands now.
    #[serde(flatten)]
    pub place: Place,
}

/// What a browser is to save.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Saved {
    /// The name.
    pub file: String,
    /// What.
    #[serde(flatten)]
    pub content: Content,
}

/// What a file has in it: JSON has no bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Text.
    Text(String),
    /// Something else, as Base64.
    Base64(String),
}

impl Saved {
    fn of(Save { file, bytes, .. }: Save) -> Self {
        let content = match String::from_utf8(bytes) {
            Ok(text) => Content::Text(text),
            Err(e) => Content::Base64(STANDARD.encode(e.as_bytes())),
        };
        Self { file, content }
    }
}

/// A page that is ready to be sent.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its JSON, packed with gzip.
    pub packed: Arc<Vec<u8>>,
    /// Where the session stands in it.
    pub place: Place,
}

enum Ask {
    Line(String, oneshot::Sender<Answer>),
    Page(oneshot::Sender<Result<Made, Mistake>>),
    Share(oneshot::Sender<Result<String, Mistake>>),
}

/// A session, as others see it. It ends when nobody holds it any more.
#[derive(Clone, Debug)]
pub struct Room {
    asks: Sender<Ask>,
    interrupted: Arc<AtomicBool>,
}

impl Room {
    /// Boots a machine on a new thread.
    ///
    /// # Errors
    /// Where the system has no thread to spare.
    pub async fn open(opened: Opened, bench: Workbench) -> Result<(Self, Place), Mistake> {
        let (asks, asked) = channel();
        let (ready, booted) = oneshot::channel();
        let interrupted = Arc::new(AtomicBool::new(false));
        let room = Self { asks, interrupted: Arc::clone(&interrupted) };
        let work = move || {
            let mut keeper = Keeper::new(opened, bench, interrupted);
            if ready.send(keeper.place()).is_ok() {
                keeper.serve(&asked);
            }
        };
        thread::Builder::new().name("session".to_owned()).spawn(work).map_err(|e| {
            let why = diagnostic::words(&e);
            Mistake::new(format!("cannot begin a session: {why}"), "a computer with a thread to spare")
        })?;
        let place = patiently(booted, "the machine boots").await?;
        Ok((room, place))
    }

    /// Does a line, within [`limits::LINE_TIME`].
    ///
    /// # Errors
    /// Where the session is over.
    pub async fn line(&self, line: String) -> Result<Answer, Mistake> {
        self.interrupted.store(false, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Line(line, answer))?;
        patiently(answered, "the line runs").await
    }

    /// The page of what was done.
    ///
    /// # Errors
    /// Where there is too much of it, or the session is over.
    pub async fn page(&self) -> Result<Made, Mistake> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Page(answer))?;
        patiently(answered, "the page is made").await?
    }

    /// The page as one file.
    ///
    /// # Errors
    /// As for [`Self::page`].
    pub async fn share(&self) -> Result<String, Mistake> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Share(answer))?;
        patiently(answered, "the page is made").await?
    }

    /// Stops what runs, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }

    fn ask(&self, ask: Ask) -> Result<(), Mistake> {
        self.asks.send(ask).map_err(|_| over())
    }
}

fn over() -> Mistake {
    Mistake::new("this session is over, since irqlab failed in it", "another one: open a machine")
}

/// Waits for an answer, and not forever.
async fn patiently<T>(answer: oneshot::Receiver<T>, what: &str) -> Result<T, Mistake> {
    match tokio::time::timeout(limits::WORK_TIME, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(over()),
        Err(_) => {
            let seconds = limits::WORK_TIME.as_secs();
            Err(Mistake::new(
                format!("{what} for more than {seconds} s"),
                "a smaller machine, or less to do on it",
            ))
        }
    }
}

/// Why a line was stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stopped {
    /// Who typed it asked for it.
    Interrupt,
    /// It printed too much.
    Printed,
    /// The session has as many records as one may have.
    Records,
    /// The session has as many steps as one may have.
    Steps,
    /// It took too long.
    Time,
}

impl Stopped {
    /// What is said below what the line printed; nothing to who stopped it.
    fn told(self) -> String {
        let bound = match self {
            Self::Interrupt => return String::new(),
            Self::Time => {
                let seconds = limits::LINE_TIME.as_secs();
                format!("a line runs for {seconds} s at most here; `:continue` goes on")
            }
            Self::Printed => {
                format!("a line prints {} KiB at most here; `:continue` goes on", limits::PRINTED >> 10)
            }
            Self::Records => {
                format!("a session has {} records at most here: open another one", limits::RECORDS)
            }
            Self::Steps => format!("a session has {} steps at most here: open another one", limits::STEPS),
        };
        format!("{bound}\n")
    }
}

/// The line that runs.
#[derive(Debug)]
struct Running {
    /// Until when it may.
    until: Instant,
    /// Why it was stopped.
    stopped: Option<Stopped>,
}

/// Looks after a session while it runs.
struct Bounds {
    interrupted: Arc<AtomicBool>,
    running: Arc<Mutex<Running>>,
}

impl Attendant for Bounds {
    fn goes_on(&mut self, session: &Session) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.stopped = match () {
            () if self.interrupted.swap(false, Ordering::Relaxed) => Some(Stopped::Interrupt),
            () if session.printed() > limits::PRINTED => Some(Stopped::Printed),
            () if session.records() >= limits::RECORDS => Some(Stopped::Records),
            () if session.step() >= limits::STEPS => Some(Stopped::Steps),
            () if Instant::now() >= running.until => Some(Stopped::Time),
            () => None,
        };
        running.stopped.is_none()
    }
}

/// A reply without a file that is too large.
fn bounded(reply: Reply) -> Reply {
    match reply.save {
        Some(save) if save.bytes.len() > limits::SAVED => {
            let text = format!(
                "{} would have {} MiB, and {} are the most here; expected a `:filter`, or another format\n",
                save.file,
                save.bytes.len().div_ceil(1 << 20),
                limits::SAVED >> 20
            );
            Reply { text: reply.text + &text, failed: true, save: None, ..reply }
        }
        save => Reply { save, ..reply },
    }
}

/// The thread's part of a room.
struct Keeper {
    opened: Opened,
    session: Session,
    bench: Workbench,
    running: Arc<Mutex<Running>>,
    /// The last page, and how many lines had been typed and steps done.
    made: Option<(u64, Arc<Vec<u8>>)>,
    /// How often something changed that a page shows.
    changed: u64,
    /// How many records the boot has.
    booted: usize,
}

impl Keeper {
    fn new(opened: Opened, bench: Workbench, interrupted: Arc<AtomicBool>) -> Self {
        let mut k = {
            let _alone = bench.lock().unwrap_or_else(PoisonError::into_inner);
            Lab::boot_with(&opened.machine, opened.semantics.clone(), Recorded::Hardware).k
        };
        k.trace.record(Recorded::Hardware);
        let booted = k.trace.records.len();
        let origin = Origin {
            machine: opened.text.clone(),
            kernel: opened.semantics.version.name().to_owned(),
            set: opened.semantics.changes(),
            no_hardware: false,
        };
        let mut session = Session::new(k, &opened.name).with_origin(origin);
        session.keep_at_most(limits::STATES);
        let running = Arc::new(Mutex::new(Running { until: Instant::now(), stopped: None }));
        session.attend(Box::new(Bounds { interrupted, running: Arc::clone(&running) }));
        Self { opened, session, bench, running, made: None, changed: 0, booted }
    }

    fn serve(&mut self, asked: &Receiver<Ask>) {
        while let Ok(ask) = asked.recv() {
            // Who asked may have gone meanwhile, and then nobody hears the answer.
            match ask {
                Ask::Line(line, answer) => drop(answer.send(self.line(&line))),
                Ask::Page(answer) => drop(answer.send(self.packed())),
                Ask::Share(answer) => drop(answer.send(self.page().map(|page| page.html()))),
            }
        }
    }

    fn place(&self) -> Place {
        let session = &self.session;
        let records = if session.end() == 0 { self.booted } else { session.records() };
        Place { step: session.step(), end: session.end(), records, busy: session.is_busy() }
    }

    fn line(&mut self, line: &str) -> Answer {
        let running = || self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *running() = Running { until: Instant::now() + limits::LINE_TIME, stopped: None };
        let reply = {
            let _alone = line
                .trim_start()
                .starts_with(":export")
                .then(|| self.bench.lock().unwrap_or_else(PoisonError::into_inner));
            bounded(self.session.line(line))
        };
        let stopped = running().stopped;
        self.changed += 1;
        let text = reply.text + &stopped.map(Stopped::told).unwrap_or_default();
        let save = reply.save.map(Saved::of);
        Answer {
            text,
            incomplete: reply.incomplete,
            failed: reply.failed,
            stopped,
            quit: reply.quit,
            save,
            place: self.place(),
        }
    }

    fn page(&self) -> Result<Page, Mistake> {
        let _alone = self.bench.lock().unwrap_or_else(PoisonError::into_inner);
        let Opened { name, machine, semantics, .. } = &self.opened;
        let case = Case { name, machine, semantics, script: None, with_boot: false };
        let run = Run::of_session(&case, &self.session)
            .map_err(|why| Mistake::new(why, "a session with less in it"))?;
        Ok(Page::new(&format!("{name} on {}", run.kernel()), vec![run]))
    }

    fn packed(&mut self) -> Result<Made, Mistake> {
        let place = self.place();
        if let Some((of, packed)) = &self.made
            && *of == self.changed
        {
            return Ok(Made { packed: Arc::clone(packed), place });
        }
        let packed = Arc::new(self.page()?.packed());
        self.made = Some((self.changed, Arc::clone(&packed)));
        Ok(Made { packed, place })
    }
}
