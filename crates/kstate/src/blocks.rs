//! Hashing in blocks.

use core::hash::Hasher;

const SIZE: usize = 512;

/// Hands what is hashed to a hasher in blocks. A machine is thousands of small numbers, and most hashers take one
/// block sooner than many numbers.
pub(crate) struct Blocks<'a, H> {
    to: &'a mut H,
    bytes: [u8; SIZE],
    len: usize,
}

impl<'a, H: Hasher> Blocks<'a, H> {
    pub(crate) fn new(to: &'a mut H) -> Self {
        Self { to, bytes: [0; SIZE], len: 0 }
    }

    /// Hands over what is left.
    pub(crate) fn flush(&mut self) {
        self.to.write(&self.bytes[..self.len]);
        self.len = 0;
    }

    #[inline]
    fn put<const N: usize>(&mut self, number: [u8; N]) {
        if self.len + N > SIZE {
            self.flush();
        }
        if let Some(place) = self.bytes[self.len..].first_chunk_mut() {
            *place = number;
            self.len += N;
        }
    }
}

impl<H: Hasher> Hasher for Blocks<'_, H> {
    fn write(&mut self, bytes: &[u8]) {
        if self.len + bytes.len() > SIZE {
            self.flush();
        }
        match self.bytes[self.len..].get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.to.write(bytes),
        }
    }
    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.put(number.to_ne_bytes());
    }
    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.put(number.to_ne_bytes());
    }
    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.put(number.to_ne_bytes());
    }
    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.put(number.to_ne_bytes());
    }
    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.put(number.to_ne_bytes());
    }
    fn finish(&self) -> u64 {
        self.to.finish()
    }
}

#[cfg(test)]
mod tests {
    use core::hash::Hash;

    use super::*;

    /// Keeps what it gets.
    #[derive(Default)]
    struct Kept(Vec<u8>);

    impl Hasher for Kept {
        fn write(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }

    #[test]
    fn a_hasher_gets_the_same_bytes_in_blocks() {
        let long = "x".repeat(2 * SIZE);
        let text = "y".repeat(SIZE - 3);
        for n in 0..2 * SIZE as u64 {
            let numbers: Vec<(u64, u32, bool)> = (0..n % 67).map(|i| (i, n as u32, i % 2 == 0)).collect();
            let value = (n, &text[n as usize % text.len()..], numbers, &long, -1i32, n as u16);
            let (mut whole, mut blocks) = (Kept::default(), Kept::default());
            value.hash(&mut whole);
            let mut to = Blocks::new(&mut blocks);
            value.hash(&mut to);
            to.flush();
            assert_eq!(whole.0, blocks.0);
        }
    }
}
