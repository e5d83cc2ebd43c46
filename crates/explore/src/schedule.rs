//! A schedule: the text form of a run. It lists the answers that were not quiet, each with its place.

use core::fmt;
use core::str::FromStr;

use kstate::oracle::{Choice, Oracle};

/// The answers of a run. Those that are 0 are not written: `17:2,40:1` is a run whose 17th choice
/// (counted from 0) was 2, whose 40th was 1, and which is quiet otherwise.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Schedule(pub(super) Vec<u32>);

/// Answers further on than this are a slip of the finger.
const LONGEST: usize = 10_000_000;

/// Why a text is no schedule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is no choice: expected PLACE:ANSWER, places in ascending order below {LONGEST}")]
pub struct ScheduleError {
    /// The part that is none.
    pub text: String,
}

impl Schedule {
    /// The answers of a log.
    pub fn of(log: &[Choice]) -> Self {
        Self::from_answers(log.iter().map(|choice| choice.answer))
    }

    pub(super) fn from_answers(answers: impl Iterator<Item = u32>) -> Self {
        let mut answers: Vec<u32> = answers.collect();
        while answers.last() == Some(&0) {
            answers.pop();
        }
        Self(answers)
    }

    /// An oracle that gives these answers.
    pub fn oracle(&self) -> Oracle {
        Oracle::scripted(self.0.clone()).interleaving()
    }

    /// How many answers are not the quiet one.
    pub fn unusual(&self) -> usize {
        self.0.iter().filter(|&&answer| answer != 0).count()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unusual() == 0 {
            return f.write_str("none");
        }
        let unusual = self.0.iter().enumerate().filter(|(_, answer)| **answer != 0);
        for (i, (place, answer)) in unusual.enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{place}:{answer}")?;
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut answers = Vec::new();
        if text.trim() == "none" {
            return Ok(Self(answers));
        }
        for part in text.split(',') {
            let wrong = || ScheduleError { text: part.to_owned() };
            let (place, answer) = part.trim().split_once(':').ok_or_else(wrong)?;
            let (place, answer): (usize, u32) =
                (place.parse().map_err(|_| wrong())?, answer.parse().map_err(|_| wrong())?);
            if place < answers.len() || place >= LONGEST {
                return Err(wrong());
            }
            answers.resize(place, 0);
            answers.push(answer);
        }
        Ok(Self(answers))
    }
}
