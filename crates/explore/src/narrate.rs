//! A run, narrated step by step.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use kstate::CtxId;
use kstate::oracle::Choice;

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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Detail {
    /// Steps after which a run that goes on is left.
    pub longest: usize,
    /// Every call and tracepoint, not only the outermost.
    pub calls: bool,
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

/// Takes the steps of a schedule, then quiet ones to the end, and hands what there is to say about
/// each to `say`. A run that was found to go in a circle is left.
pub fn narrate(root: &World, schedule: &Schedule, detail: Detail, mut say: impl FnMut(&str)) -> Narration {
    let mut world = root.with(schedule.oracle());
    let mut circles = Circles::new(root);
    let mut open: BTreeMap<CtxId, usize> = BTreeMap::new();
    // Calls that were open before the first step.
    steps::flow(&world.k, 0..world.k.trace.records.len(), &mut open, None);
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
        let others = steps.iter().filter(|other| **other != next).map(|other| who(&world, *other));
        let rest = others.collect::<Vec<_>>().join("; ");
        let statement = world.take(next);
        told.steps += 1;
        if let Some(statement) = statement {
            let source = world.shell.script().source(statement.span);
            let _ = write!(text, ": {}", source.lines().next().unwrap_or_default());
        } else if let Step::Actor(_) = next {
            text.push_str(": the command is over");
        }
        let mut out = String::new();
        // Time only passes where nothing else is left.
        if time != Some(world.k.events.now) {
            let _ = writeln!(out, "at {:.6} s", world.k.events.now as f64 / 1e9);
            time = Some(world.k.events.now);
        }
        let _ = writeln!(out, "{:4}  {text}", told.steps);
        for (i, choice) in world.k.oracle.log.iter().enumerate().skip(made).filter(|(_, c)| c.answer != 0) {
            let _ = write!(out, "      choice {i}:{} of {}", choice.answer, choice.of);
            let scheduled = i == made && steps.len() > 1;
            let _ =
                if scheduled { writeln!(out, ", before {rest}") } else { writeln!(out, " by the device") };
        }
        let calls = steps::flow(&world.k, records..world.k.trace.records.len(), &mut open, None);
        if detail.calls {
            calls.lines().for_each(|line| out.push_str(&format!("      {line}\n")));
        } else if let Some(summary) = steps::summary(&world.k.trace, records) {
            let _ = writeln!(out, "      {summary}");
        }
        let found = told.found.len();
        while let Some(wrong) = world.check() {
            let broken = wrong.kind == Kind::Invariant;
            told.found.push((told.steps, wrong));
            if broken {
                break;
            }
        }
        let found = &told.found[found..];
        for line in &world.terminal[printed.min(world.terminal.len())..] {
            // An assertion that does not hold is on the terminal as well.
            if !found.iter().any(|(_, wrong)| line.ends_with(&wrong.text)) {
                let _ = writeln!(out, "      prints: {}", line.trim_end());
            }
        }
        for (_, wrong) in found {
            let _ = writeln!(out, "      {}: {}", wrong.kind.name(), wrong.text.trim_end());
        }
        say(&out);
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
    told.terminal = world.terminal;
    told
}
