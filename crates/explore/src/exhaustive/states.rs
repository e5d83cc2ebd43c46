//! The states that were seen, each by its fingerprint.

/// The number of every state, by its fingerprint: 8 bytes for each fingerprint, and a table of numbers of which
/// at most three in four are taken.
#[derive(Default)]
pub(super) struct States {
    prints: Vec<u64>,
    /// A number and 1, where one has its place; 0 elsewhere. The length is a power of two.
    places: Vec<u32>,
}

impl States {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.prints.len()
    }

    /// The fingerprint of a state.
    pub(super) fn print(&self, state: u32) -> u64 {
        self.prints[state as usize]
    }

    /// The place of a fingerprint, or the free one where it belongs.
    fn place(&self, print: u64) -> usize {
        let mask = self.places.len() - 1;
        let mut at = print as usize & mask;
        loop {
            match self.places[at] {
                0 => return at,
                state if self.print(state - 1) == print => return at,
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// The number of a state that was seen.
    pub(super) fn find(&self, print: u64) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        self.places[self.place(print)].checked_sub(1)
    }

    /// The number of a state, and whether it is new.
    pub(super) fn add(&mut self, print: u64) -> (u32, bool) {
        if (self.len() + 1) * 4 > self.places.len() * 3 {
            self.grow();
        }
        let at = self.place(print);
        match self.places[at] {
            0 => {
                self.prints.push(print);
                self.places[at] = self.prints.len() as u32;
                (self.prints.len() as u32 - 1, true)
            }
            state => (state - 1, false),
        }
    }

    fn grow(&mut self) {
        self.places = vec![0; (self.places.len() * 2).max(1024)];
        for state in 0..self.prints.len() {
            let at = self.place(self.prints[state]);
            self.places[at] = state as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fingerprint_keeps_its_number() {
        let mut states = States::default();
        let print = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & !0xff;
        assert_eq!(states.find(print(0)), None);
        for i in 0..5000 {
            assert_eq!(states.add(print(i)), (i as u32, true));
        }
        for i in 0..5000 {
            assert_eq!(states.add(print(i)), (i as u32, false));
            assert_eq!(states.find(print(i)), Some(i as u32));
            assert_eq!(states.print(i as u32), print(i));
        }
        assert_eq!((states.len(), states.find(print(5000))), (5000, None));
    }
}
