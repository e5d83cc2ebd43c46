//! A lesson beside its run.

use kstate::semantics::{KernelVersion, Semantics};
use lessons::{Answer, Walk};
use serde::Serialize;
use sim::lab::Lab;
use sim::machine::Machine;

use crate::cell::Cell;
use crate::run::Run;

/// A lesson, with what the machine answers on one kernel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Lesson {
    number: u32,
    title: String,
    text: String,
    stations: Vec<Station>,
    questions: Vec<Question>,
}

/// A place in the run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Station {
    name: String,
    record: usize,
    /// How to get there in a session.
    place: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Question {
    ask: String,
    at: String,
    choices: Vec<String>,
    /// The number of the right choice, or the text.
    answer: Cell,
    hint: String,
}

impl Lesson {
    /// Walks through a lesson on a kernel that it holds for, and records its run.
    ///
    /// # Errors
    /// What [`Walk::new`] finds.
    pub fn of(lesson: &lessons::Lesson, kernel: KernelVersion) -> Result<(Run, Self), String> {
        let walk = Walk::new(lesson, kernel)?;
        let mut machine = Machine::parse("machine.toml", lesson.machine).map_err(|e| e.to_string())?;
        machine.kernel = kernel;
        let k = Lab::boot_with(&machine, Semantics::of(kernel), false).k;
        let run = Run::of_lines(&format!("lesson {}", lesson.number), k, lesson.commands())?;
        let stations = lesson.stations.iter().zip(&walk.stands).map(|(station, stand)| Station {
            name: station.name.clone(),
            record: stand.number.and_then(|number| run.kernel_record(number)).unwrap_or(0),
            place: walk.name(&station.place()),
        });
        let questions = lesson.questions.iter().zip(&walk.answers).map(|(question, answer)| Question {
            ask: walk.name(&question.ask),
            at: question.at.clone(),
            choices: question.choices.iter().map(|choice| walk.name(&choice.text)).collect(),
            answer: match answer {
                Answer::Choice(choice) => Cell::Number(*choice as i64),
                Answer::Text(text) => text.as_str().into(),
            },
            hint: walk.name(&question.hint),
        });
        let told = Self {
            number: lesson.number,
            title: lesson.title.clone(),
            text: lesson.text.to_owned(),
            stations: stations.collect(),
            questions: questions.collect(),
        };
        Ok((run, told))
    }
}
