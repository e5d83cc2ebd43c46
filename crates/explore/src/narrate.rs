//! A run, narrated step by step.

use core::fmt::{self, Write as _};
use std::collections::BTreeMap;
use std::sync::Arc;

use kstate::CtxId;
use kstate::oracle::Choice;
use record::filter::{Chooser, Filter, Levels, Nothing};
use record::functions::Functions;
use serde::Serialize;

use super::shrink::Circles;
use super::{Kind, Schedule, Step, World, Wrong};
use sim::engine;
use sim::shell::ActorId;
use sim::steps;

/// What a replay came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Narration {
    /// What was wrong, with the step behind which it showed.
    pub found: Vec<(usize, Wrong)>,
    /// Steps that were made.
    pub steps: usize,
    /// It was stopped there: more may follow.
    pub cut: bool,
    /// All choices.
    pub made: Vec<Choice>,
    /// What the script's commands printed.
    pub terminal: Vec<String>,
    /// The filter could show nothing of this run.
    pub unfit: Option<Nothing>,
}

/// Why a schedule is not one for this run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Misfit {
    /// The answer is none of those there are.
    #[error("choice {place}:{answer}: at place {place} there is 0 to {} to choose from", of - 1)]
    Answer {
        /// Its place.
        place: usize,
        /// The answer.
        answer: u32,
        /// How many there are.
        of: u32,
    },
    /// The run ends before that place.
    #[error("choice {place}:{answer}: the run has only {places} places for a choice")]
    Place {
        /// Its place.
        place: usize,
        /// The answer.
        answer: u32,
        /// How many choices the run had.
        places: usize,
    },
}

impl Narration {
    /// Whether the run made all of these choices.
    ///
    /// # Errors
    /// The first one that it could not make.
    pub fn fits(&self, schedule: &Schedule) -> Result<(), Misfit> {
        for (place, &answer) in schedule.0.iter().enumerate().filter(|(_, answer)| **answer != 0) {
            match self.made.get(place) {
                None => return Err(Misfit::Place { place, answer, places: self.made.len() }),
                Some(made) if made.answer != answer => {
                    return Err(Misfit::Answer { place, answer, of: made.of });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// How much of a run is told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Detail {
    /// Steps after which a run that goes on is left.
    pub longest: usize,
    /// Every call and tracepoint, not only the outermost.
    pub calls: bool,
    /// What of them is told. Steps of which nothing is left are not told, unless something else is to be said.
    pub filter: Filter,
}

fn actor(id: ActorId) -> String {
    if id == ActorId::MAIN { "the shell".to_owned() } else { format!("job {}", id.0) }
}

/// Who takes a step, in a few words.
fn who(world: &World, next: Step) -> String {
    let task = match next {
        Step::Actor(id) => return actor(id),
        Step::Machine(engine::Step::Task(task)) => task,
        Step::Machine(step) => return steps::describe(&world.k, &step),
    };
    let of = world.shell.actor_of(task).map(|id| format!(" of {}", actor(id))).unwrap_or_default();
    format!("{}{of}", world.k.task_name(task))
}

/// A choice that was made in a step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Chosen {
    /// Its place in the schedule.
    pub place: usize,
    /// The answer.
    pub answer: u32,
    /// How many answers there were.
    pub of: u32,
    /// Who could have taken the step instead; nothing for a choice that the device made.
    pub before: Option<Vec<String>>,
}

/// A step as it is told.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Told {
    /// Its number, from 1.
    pub step: usize,
    /// The machine's time after it, in nanoseconds.
    pub time: u64,
    /// Who takes it, and what begins.
    pub who: String,
    /// The choices that were not the usual ones.
    pub choices: Vec<Chosen>,
    /// The outermost functions, in a line.
    pub summary: Option<String>,
    /// The calls and tracepoints, where they are asked for.
    pub calls: Vec<String>,
    /// What the script's commands printed.
    pub prints: Vec<String>,
    /// What is wrong after it, by its kind.
    pub wrong: Vec<(&'static str, String)>,
    /// Time has passed since the step before.
    #[serde(skip)]
    later: bool,
}

/// As lines for people.
impl fmt::Display for Told {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.later {
            writeln!(out, "at {:.6} s", self.time as f64 / 1e9)?;
        }
        writeln!(out, "{:4}  {}", self.step, self.who)?;
        for Chosen { place, answer, of, before } in &self.choices {
            write!(out, "      choice {place}:{answer} of {of}")?;
            match before {
                Some(others) => writeln!(out, ", before {}", others.join("; "))?,
                None => writeln!(out, " by the device")?,
            }
        }
        if self.calls.is_empty()
            && let Some(summary) = &self.summary
        {
            writeln!(out, "      {summary}")?;
        }
        for line in &self.calls {
            writeln!(out, "      {line}")?;
        }
        for line in &self.prints {
            writeln!(out, "      prints: {line}")?;
        }
        for (kind, text) in &self.wrong {
            writeln!(out, "      {kind}: {text}")?;
        }
        Ok(())
    }
}

/// Takes the steps of a schedule, then quiet ones to the end, and hands what there is to say about
/// each to `say`. A run that was found to go in a circle is left.
pub fn narrate(root: &World, schedule: &Schedule, detail: &Detail, mut say: impl FnMut(Told)) -> Narration {
    let mut world = root.with(schedule.oracle());
    let mut circles = Circles::new(root);
    let mut open: BTreeMap<CtxId, usize> = BTreeMap::new();
    let mut chooser = Chooser::default();
    // Calls that were open before the first step.
    let before = 0..world.k.trace.records.len();
    let kept = chooser.choose(&detail.filter, &world.k.trace, before.clone(), Levels::All);
    steps::flow_of(&world.k, before, &mut open, None, |at| kept[at]);
    let mut told = Narration::default();
    let mut time = None;
    while told.steps < detail.longest {
        if let Some(wrong) = circles.look(&world) {
            told.found.push((told.steps, wrong));
            break;
        }
        let (records, printed, made) =
            (world.k.trace.records.len(), world.terminal.len(), world.k.oracle.log.len());
        let steps = world.steps();
        let Some(next) = world.choose(&steps) else { break };
        let mut text = match next {
            Step::Machine(engine::Step::Task(task)) => {
                let cpu = world.k.sched.tasks.get(task.index()).map(|task| task.cpu);
                format!("{} on cpu {}", who(&world, next), cpu.unwrap_or_default())
            }
            _ => who(&world, next),
        };
        let others: Vec<String> =
            steps.iter().filter(|other| **other != next).map(|other| who(&world, *other)).collect();
        let statement = world.take(next);
        told.steps += 1;
        if let Some(statement) = statement {
            let source = world.shell.script().source(statement.span);
            let _ = write!(text, ": {}", source.lines().next().unwrap_or_default());
        } else if let Step::Actor(_) = next {
            text.push_str(": the command is over");
        }
        let now = world.k.events.now;
        // Time only passes where nothing else is left.
        let later = time.replace(now) != Some(now);
        let mut out = Told { step: told.steps, time: now, who: text, later, ..Told::default() };
        for (place, choice) in world.k.oracle.log.iter().enumerate().skip(made).filter(|(_, c)| c.answer != 0)
        {
            let scheduled = place == made && steps.len() > 1;
            let before = scheduled.then(|| others.clone());
            out.choices.push(Chosen { place, answer: choice.answer, of: choice.of, before });
        }
        let range = records..world.k.trace.records.len();
        let kept = chooser.choose(&detail.filter, &world.k.trace, range.clone(), Levels::All);
        let shows = |at: usize| kept[at - records];
        let calls = steps::flow_of(&world.k, range, &mut open, None, shows);
        if detail.calls {
            out.calls = calls.lines().map(str::to_owned).collect();
        }
        out.summary = steps::summary_of(&world.k.trace, records, shows);
        let found = told.found.len();
        while let Some(wrong) = world.check() {
            let broken = wrong.kind == Kind::Invariant;
            told.found.push((told.steps, wrong));
            if broken {
                break;
            }
        }
        let found = &told.found[found..];
        // An assertion that does not hold is on the terminal as well.
        let lines = world.terminal[printed.min(world.terminal.len())..].iter();
        let lines = lines.filter(|line| !found.iter().any(|(_, wrong)| line.ends_with(&wrong.text)));
        out.prints = lines.map(|line| line.trim_end().to_owned()).collect();
        out.wrong =
            found.iter().map(|(_, wrong)| (wrong.kind.name(), wrong.text.trim_end().to_owned())).collect();
        let empty = !kept.contains(&true) && out.prints.is_empty() && out.wrong.is_empty();
        if detail.filter.shows_all() || !empty {
            say(out);
        } else if later {
            // The next step that is told says when it is.
            time = None;
        }
        circles.stepped(next, steps);
        if told.found.last().is_some_and(|(_, wrong)| wrong.kind == Kind::Invariant) {
            break;
        }
    }
    let ended = world.steps().is_empty();
    told.cut = told.steps == detail.longest && !ended;
    if let Some(wrong) = world.check_end().filter(|_| ended) {
        told.found.push((told.steps, wrong));
    }
    told.made = world.take_log();
    told.unfit = detail.filter.check(&world.k, Functions::of(world.k.sem.version)).err();
    told.terminal = Arc::unwrap_or_clone(world.terminal);
    told
}
