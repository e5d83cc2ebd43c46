//! The sessions there are. One more than may be, and the one that was used least recently is closed.

use std::collections::BTreeMap;

use crate::limits;
use crate::room::Room;

/// A session in the table.
#[derive(Debug)]
struct Held {
    room: Room,
    weight: usize,
    /// When it was used last.
    used: u64,
}

/// The sessions, by number.
#[derive(Debug, Default)]
pub struct Rooms {
    open: BTreeMap<u64, Held>,
    /// How many were opened so far.
    opened: u64,
    /// How often a session was used.
    used: u64,
}

/// Why there is no session of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// It was closed to make room.
    Closed,
    /// There never was one.
    Unknown,
}

impl Rooms {
    /// Makes room for a session of a weight; returns those that were closed for it.
    pub fn make_room(&mut self, weight: usize) -> Vec<u64> {
        let mut closed = Vec::new();
        let weights = |open: &BTreeMap<u64, Held>| open.values().map(|held| held.weight).sum::<usize>();
        while (self.open.len() >= limits::SESSIONS || weights(&self.open) + weight > limits::WEIGHTS)
            && let Some(oldest) =
                self.open.iter().min_by_key(|(_, held)| held.used).map(|(number, _)| *number)
        {
            self.close(oldest);
            closed.push(oldest);
        }
        closed
    }

    /// Takes a session in, for which there is room; returns its number.
    pub fn add(&mut self, room: Room, weight: usize) -> u64 {
        self.opened += 1;
        self.used += 1;
        self.open.insert(self.opened, Held { room, weight, used: self.used });
        self.opened
    }

    /// A session that is about to be used.
    ///
    /// # Errors
    /// Why there is none.
    pub fn get(&mut self, number: u64) -> Result<Room, Missing> {
        self.used += 1;
        match self.open.get_mut(&number) {
            Some(held) => {
                held.used = self.used;
                Ok(held.room.clone())
            }
            None if (1..=self.opened).contains(&number) => Err(Missing::Closed),
            None => Err(Missing::Unknown),
        }
    }

    /// Closes a session; what runs in it is stopped.
    pub fn close(&mut self, number: u64) {
        if let Some(Held { room, .. }) = self.open.remove(&number) {
            room.interrupt();
        }
    }

    /// Stops what runs in all of them.
    pub fn interrupt(&self) {
        self.open.values().for_each(|held| held.room.interrupt());
    }
}
