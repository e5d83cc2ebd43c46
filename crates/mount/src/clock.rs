//! How much time has to pass in the machine for what happened outside.

use std::time::{Duration, Instant};

/// What the open, the read and the close of a file take, in ns of virtual time.
const READ: u64 = 20_000;
/// A pause from which on somebody has slept. Programs that are started and computing take less.
const PAUSE: Duration = Duration::from_millis(10);
/// Time from which on a reader could notice that it has not passed yet, in ns.
pub(crate) const NOTICED: u64 = 10_000_000;
/// The most that passes at once, in ns: a day.
const MOST: u64 = 86_400_000_000_000;

/// Time that is to pass.
pub(crate) struct Clock {
    speed: f64,
    /// When the last thing was done.
    last: Instant,
    /// Nanoseconds of virtual time that have not passed yet.
    owed: u64,
}

impl Clock {
    pub(crate) fn new(speed: f64, now: Instant) -> Self {
        Self { speed, last: now, owed: 0 }
    }

    /// Somebody comes to do something.
    pub(crate) fn arrive(&mut self, now: Instant) {
        let pause = now.saturating_duration_since(self.last);
        if pause >= PAUSE && self.speed > 0.0 {
            // What is too much for the type is cut.
            self.owe((pause.as_nanos() as f64 * self.speed) as u64);
        }
        self.last = now;
    }

    /// Something was done. Whatever it took, nobody slept meanwhile.
    pub(crate) fn leave(&mut self, now: Instant) {
        self.last = now;
    }

    /// A file is read.
    pub(crate) fn read(&mut self) {
        self.owe(READ);
    }

    fn owe(&mut self, ns: u64) {
        self.owed = self.owed.saturating_add(ns).min(MOST);
    }

    /// What is to pass, where it is so much.
    pub(crate) fn take(&mut self, least: u64) -> Option<u64> {
        (self.owed >= least).then(|| core::mem::take(&mut self.owed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_passes_and_what_is_done_does_not() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut clock = Clock::new(2.0, start);
        clock.arrive(at(9));
        clock.leave(at(500));
        assert_eq!(clock.take(1), None);
        clock.arrive(at(1500));
        clock.read();
        clock.leave(at(1501));
        assert_eq!(clock.take(1), Some(2_000_000_000 + READ));
        let mut still = Clock::new(0.0, start);
        still.arrive(at(5000));
        assert_eq!(still.take(1), None);
    }
}
