//! A walk through a lesson: the machine at each station, and what is true there.

use std::collections::BTreeMap;

use debugger::{LineKind, Session};
use kstate::Kernel;
use kstate::semantics::{KernelVersion, Semantics};
use sim::lab::Lab;
use sim::machine::Machine;

use crate::truth::{holds, plain, value};
use crate::{Lesson, Question, Station};

/// The machine at a station.
#[derive(Clone, Debug)]
pub struct Stand {
    /// The station.
    pub name: String,
    /// The step of the session.
    pub step: u64,
    /// The record in this step, as `:goto STEP:RECORD` takes it; `None` at the end of the step.
    pub at: Option<usize>,
    /// The last record that was there already, counted from the beginning of the session, of those that are no record of
    /// hardware; `None` before the first one.
    pub number: Option<usize>,
    /// The record itself: a call with its arguments, or a tracepoint with its fields.
    pub record: String,
    pub(crate) k: Kernel,
    pub(crate) stack: Vec<String>,
    pub(crate) calls: Vec<String>,
    pub(crate) actor: String,
    pub(crate) cpu: String,
}

/// What the machine says to a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// This text.
    Text(String),
    /// The choice of this number, from 0.
    Choice(usize),
}

/// A lesson, walked through on one kernel.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The stations.
    pub stands: Vec<Stand>,
    /// What the names of the lesson stand for on this kernel.
    names: BTreeMap<String, String>,
    /// The answers to the questions.
    pub answers: Vec<Answer>,
}

impl Walk {
    /// Walks through a lesson.
    ///
    /// # Errors
    /// What the lesson says and the machine does not have: a station that is never reached, a question of which no
    /// choice or several are right.
    pub fn new(lesson: &Lesson, kernel: KernelVersion) -> Result<Self, String> {
        let mut machine = Machine::parse("machine.toml", lesson.machine).map_err(|e| e.to_string())?;
        machine.kernel = kernel;
        let k = Lab::boot_with(&machine, Semantics::of(kernel), false).k;
        let mut walk = Self { stands: Vec::new(), names: BTreeMap::new(), answers: Vec::new() };
        let mut session = Session::new(k, "lesson");
        for (name, truth) in &lesson.names {
            walk.names.insert(name.clone(), first_interrupt(truth, &session)?);
        }
        walk.go(lesson, &mut session)?;
        for question in &lesson.questions {
            let answer = walk.answer(question)?;
            walk.answers.push(answer);
        }
        Ok(walk)
    }

    /// A text of the lesson with the names of this kernel in it.
    pub fn name(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, is)| text.replace(&format!("{{{name}}}"), is))
    }

    /// A text of the lesson for every kernel: the names are spelled out.
    pub(crate) fn general(&self, text: &str) -> String {
        self.names
            .keys()
            .fold(text.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), &format!("*{name}*")))
    }

    /// Whether what somebody answers to a question is right. Blanks and case do not count.
    pub fn is_right(&self, question: usize, answer: &str) -> bool {
        let right = self.answers.get(question).map(|right| right.to_string().to_lowercase());
        right.is_some_and(|right| plain(answer).to_lowercase() == right)
    }

    /// Runs the script and stands still at the stations.
    fn go(&mut self, lesson: &Lesson, session: &mut Session) -> Result<(), String> {
        let mut stations = lesson.stations.iter().peekable();
        self.pass(&mut stations, session, "boot");
        for command in lesson.commands() {
            self.watch_for(stations.peek().copied(), session)?;
            session.line(command);
            while session.is_busy() {
                let Some(station) = stations.next() else { break };
                self.stands.push(stand(&station.name, session, true));
                session.line(":delete");
                self.watch_for(stations.peek().copied(), session)?;
                session.line(":continue");
            }
            session.line(":delete");
            self.pass(&mut stations, session, command);
        }
        match stations.next() {
            None => Ok(()),
            Some(station) => Err(format!("station {} is never reached", station.name)),
        }
    }

    /// Sets the breakpoint of the next station, if it is one.
    fn watch_for(&self, station: Option<&Station>, session: &mut Session) -> Result<(), String> {
        let Some(at) = station.and_then(|station| station.at.as_deref()) else { return Ok(()) };
        let reply = session.line(&format!(":break {}", self.name(at))).text;
        if reply.starts_with("breakpoint ") { Ok(()) } else { Err(reply) }
    }

    /// Stands at a station that comes after this command.
    fn pass<'a>(
        &mut self,
        stations: &mut core::iter::Peekable<impl Iterator<Item = &'a Station>>,
        session: &Session,
        command: &str,
    ) {
        while let Some(station) = stations.next_if(|s| s.after.as_deref() == Some(command)) {
            self.stands.push(stand(&station.name, session, false));
        }
    }

    fn answer(&self, question: &Question) -> Result<Answer, String> {
        let stand = self.stands.iter().find(|stand| stand.name == question.at);
        let stand = stand.ok_or_else(|| format!("there is no station {}", question.at))?;
        if let Some(file) = &question.read {
            return Ok(Answer::Text(value(&self.name(file), question.field.as_deref(), stand)?));
        }
        let mut right = Vec::new();
        for (i, choice) in question.choices.iter().enumerate() {
            if holds(&self.name(&choice.holds), stand)? {
                right.push(i);
            }
        }
        match right[..] {
            [one] => Ok(Answer::Choice(one)),
            _ => Err(format!("`{}` has {} right choices; expected one", question.ask, right.len())),
        }
    }
}

/// The interrupt that a truth about `/proc/irq/*/..` holds for.
fn first_interrupt(truth: &str, session: &Session) -> Result<String, String> {
    let stand = stand("boot", session, false);
    for irq in 0..session.kernel().irq.descs.len() {
        if holds(&truth.replace('*', &irq.to_string()), &stand)? {
            return Ok(irq.to_string());
        }
    }
    Err(format!("there is no interrupt with {truth}"))
}

/// The machine where a session stands. In the middle of a step there is a record to stand at.
fn stand(name: &str, session: &Session, inside: bool) -> Stand {
    let view = session.view();
    let function = |text: &str| text.split('(').next().unwrap_or_default().to_owned();
    let mut stand = Stand {
        name: name.to_owned(),
        step: view.step,
        at: inside.then(|| view.progress.0.saturating_sub(1)),
        number: view.k.trace.records.len().checked_sub(1),
        record: String::new(),
        k: view.k.clone(),
        stack: Vec::new(),
        calls: Vec::new(),
        actor: String::new(),
        cpu: String::new(),
    };
    if !inside {
        return stand;
    }
    for line in &view.calls {
        match line.kind {
            LineKind::Head => {
                let (actor, cpu) = line.text.rsplit_once(", cpu ").unwrap_or((&line.text, ""));
                (stand.actor, stand.cpu) = (actor.to_owned(), cpu.to_owned());
                stand.stack.clear();
            }
            LineKind::Before | LineKind::Call => {
                stand.stack.truncate(line.depth);
                stand.stack.push(function(&line.text));
                stand.calls.push(function(&line.text));
            }
            LineKind::Tracepoint => stand.stack.truncate(line.depth),
            LineKind::Hardware | LineKind::Warning => {}
        }
        if line.here {
            stand.number = line.record;
            stand.record = plain(&line.text);
        }
    }
    stand
}
