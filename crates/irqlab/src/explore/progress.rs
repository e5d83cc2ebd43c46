//! How far a search is, on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use explore::exhaustive::Covered;
use explore::random::Drawn;

/// One line that is written again and again on a terminal; elsewhere a line now and then.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    next: Duration,
    terminal: bool,
    /// Characters of the line that stands there.
    width: usize,
}

/// Between two lines.
const TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// A time for people: `3 s`, `12 min`, `5 h`.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}

/// So many of so many after so long: how many a second, and what is left.
fn rate(done: u64, of: u64, elapsed: Duration) -> (f64, String) {
    let rate = done as f64 / elapsed.as_secs_f64().max(1e-3);
    let left = of.saturating_sub(done) as f64 / rate.max(1e-3);
    (rate, time(left))
}

fn states(covered: &Covered, findings: usize, bound: usize, elapsed: Duration) -> String {
    let (rate, left) = rate(covered.states as u64, bound as u64, elapsed);
    format!(
        "{} states, {} transitions, depth {}, {findings} found, {rate:.0} states/s, {left} to the bound",
        covered.states, covered.transitions, covered.depth
    )
}

fn runs(drawn: &Drawn, planned: u64, elapsed: Duration) -> String {
    let (rate, left) = rate(drawn.runs, planned, elapsed);
    format!(
        "{} of {planned} runs, {} steps, depth {}, {} found, {rate:.0} runs/s, {left} left",
        drawn.runs,
        drawn.steps,
        drawn.depth,
        drawn.findings.len()
    )
}

impl Progress {
    /// Nothing is shown before some time has passed.
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { began: Instant::now(), next: if terminal { TERMINAL } else { ELSEWHERE }, terminal, width: 0 }
    }

    fn due(&mut self) -> Option<Duration> {
        let elapsed = self.began.elapsed();
        if elapsed < self.next {
            return None;
        }
        self.next = elapsed + if self.terminal { TERMINAL } else { ELSEWHERE };
        Some(elapsed)
    }

    /// An exhaustive search.
    pub fn states(&mut self, covered: &Covered, findings: usize, bound: usize) {
        if let Some(elapsed) = self.due() {
            self.show(&states(covered, findings, bound, elapsed));
        }
    }

    /// Runs that are drawn.
    pub fn runs(&mut self, drawn: &Drawn, planned: u64) {
        if let Some(elapsed) = self.due() {
            self.show(&runs(drawn, planned, elapsed));
        }
    }

    /// Something else, on terminals alone.
    pub fn note(&mut self, text: &str) {
        if self.terminal {
            self.show(text);
        }
    }

    fn show(&mut self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        // Who has closed standard error does not want to know.
        let _ = if self.terminal {
            write!(stderr, "\r{text:<width$}", width = self.width).and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{text}")
        };
        self.width = text.chars().count();
    }

    /// Takes the line away.
    pub fn end(self) {
        if self.terminal && self.width > 0 {
            let _ = write!(std::io::stderr().lock(), "\r{:width$}\r", "", width = self.width);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_rate_states_depth_and_what_is_left() {
        let covered = Covered { states: 20_000, transitions: 61_000, finals: 3, depth: 41, cut: 0 };
        assert_eq!(
            states(&covered, 1, 1_000_000, Duration::from_secs(2)),
            "20000 states, 61000 transitions, depth 41, 1 found, 10000 states/s, 98 s to the bound"
        );
        let drawn = Drawn { runs: 500, steps: 21_000, depth: 80, ..Drawn::default() };
        assert_eq!(
            runs(&drawn, 1_000_000, Duration::from_millis(500)),
            "500 of 1000000 runs, 21000 steps, depth 80, 0 found, 1000 runs/s, 17 min left"
        );
        assert_eq!(time(90_000.0), "25 h");
    }
}
