//! Texts that are nearly right.

/// A sequence of numbers that is the same every time (xorshift64*).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }
}

/// What is put in: what readers look for, numbers at their bounds, and characters of several bytes.
const PIECES: [&str; 28] = [
    "0",
    "-1",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "9223372036854775808",
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "=",
    "\n",
    ",",
    ":",
    "-",
    "/",
    "$",
    "&",
    ">",
    "#:",
    "\0",
    "ä",
    "\u{1f980}",
    "\u{202e}",
    " ",
];

/// A text with a few changes: pieces put in, taken out, doubled, or moved.
pub fn mutant(text: &str, numbers: &mut Numbers) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(chars.len() + 1);
        let to = (at + numbers.below(12)).min(chars.len());
        match numbers.below(4) {
            0 => drop(chars.splice(at..at, PIECES[numbers.below(PIECES.len())].chars())),
            1 => drop(chars.splice(at..to, PIECES[numbers.below(PIECES.len())].chars())),
            2 => drop(chars.drain(at..to)),
            _ => {
                let piece = chars[at..to].to_vec();
                let place = numbers.below(chars.len() + 1);
                chars.splice(place..place, piece);
            }
        }
    }
    chars.into_iter().collect()
}

pub fn count() -> usize {
    std::env::var("IRQLAB_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000)
}

/// Hands mutants of a text to a reader, and sees that some are refused and some are not.
pub fn each(text: &str, mut read: impl FnMut(&str) -> bool) {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let fine = (0..count()).filter(|_| read(&mutant(text, &mut numbers))).count();
    assert!(0 < fine && fine < count(), "{fine} of {} were right", count());
}
