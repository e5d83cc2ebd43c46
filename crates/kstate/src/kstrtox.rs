//! Numbers and booleans as text, the way the kernel reads them: lib/kstrtox.c, and the functions of
//! lib/string.c, lib/string_helpers.c and lib/cmdline.c that go with them.
//!
//! Texts are bytes as they were written, with the newline of `echo`, and end at the first NUL byte.

use crate::Errno;
use crate::bitmap::isspace;
use crate::semantics::Semantics;

fn at(s: &[u8], i: usize) -> u8 {
    s.get(i).copied().unwrap_or(0)
}

/// `kstrtobool()`: the first letter decides, or two of `on` and `off`.
///
/// # Errors
/// `EINVAL` for any other beginning.
pub fn kstrtobool(sem: &Semantics, s: &[u8]) -> Result<bool, Errno> {
    match at(s, 0) {
        b'y' | b'Y' | b'1' => Ok(true),
        b'n' | b'N' | b'0' => Ok(false),
        b't' | b'T' if sem.kstrtobool_true_false => Ok(true),
        b'f' | b'F' if sem.kstrtobool_true_false => Ok(false),
        b'o' | b'O' => match at(s, 1) {
            b'n' | b'N' => Ok(true),
            b'f' | b'F' => Ok(false),
            _ => Err(Errno::EINVAL),
        },
        _ => Err(Errno::EINVAL),
    }
}

/// Which base a number is in, 0 for what its beginning says, and where its digits start
/// (`_parse_integer_fixup_radix()`).
fn fixup_radix(s: &[u8], base: u32) -> (u32, usize) {
    let prefixed = at(s, 0) == b'0' && at(s, 1).eq_ignore_ascii_case(&b'x');
    let base = match base {
        0 if prefixed && at(s, 2).is_ascii_hexdigit() => 16,
        0 if at(s, 0) == b'0' => 8,
        0 => 10,
        base => base,
    };
    (base, if base == 16 && prefixed { 2 } else { 0 })
}

/// Digits from `from` on: their value, `None` for more than 64 bits, and where they end
/// (`_parse_integer()`).
fn parse_integer(s: &[u8], from: usize, base: u32) -> (Option<u64>, usize) {
    let mut value = Some(0u64);
    let mut to = from;
    while let Some(digit) = char::from(at(s, to)).to_digit(base) {
        value = value.and_then(|v| v.checked_mul(u64::from(base))?.checked_add(u64::from(digit)));
        to += 1;
    }
    (value, to)
}

/// `kstrtoull()`.
///
/// # Errors
/// `EINVAL` for what is no number, `ERANGE` for one of more than 64 bits.
pub fn kstrtoull(s: &[u8], base: u32) -> Result<u64, Errno> {
    let s = s.strip_prefix(b"+").unwrap_or(s);
    let (base, from) = fixup_radix(s, base);
    let (value, to) = parse_integer(s, from, base);
    let value = value.ok_or(Errno::ERANGE)?;
    let end = if at(s, to) == b'\n' { to + 1 } else { to };
    if to == from || at(s, end) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(value)
}

/// `kstrtoll()`.
///
/// # Errors
/// As [`kstrtoull`], and `ERANGE` for a number that is no signed one.
pub fn kstrtoll(s: &[u8], base: u32) -> Result<i64, Errno> {
    match s.strip_prefix(b"-") {
        // A second sign is none.
        Some(s) if at(s, 0) == b'+' => Err(Errno::EINVAL),
        Some(s) => 0i64.checked_sub_unsigned(kstrtoull(s, base)?).ok_or(Errno::ERANGE),
        None => i64::try_from(kstrtoull(s, base)?).map_err(|_| Errno::ERANGE),
    }
}

/// `kstrtouint()`.
///
/// # Errors
/// As [`kstrtoull`], with 32 bits.
pub fn kstrtouint(s: &[u8], base: u32) -> Result<u32, Errno> {
    u32::try_from(kstrtoull(s, base)?).map_err(|_| Errno::ERANGE)
}

/// `kstrtoint()`.
///
/// # Errors
/// As [`kstrtoll`], with 32 bits.
pub fn kstrtoint(s: &[u8], base: u32) -> Result<i32, Errno> {
    i32::try_from(kstrtoll(s, base)?).map_err(|_| Errno::ERANGE)
}

/// `simple_strtoull()`: the digits in front, whatever comes behind them. Returns the value modulo
/// 2^64 and where it ends.
pub fn simple_strtoull(s: &[u8], base: u32) -> (u64, usize) {
    let (base, from) = fixup_radix(s, base);
    let mut value = 0u64;
    let mut to = from;
    while let Some(digit) = char::from(at(s, to)).to_digit(base) {
        value = value.wrapping_mul(u64::from(base)).wrapping_add(u64::from(digit));
        to += 1;
    }
    (value, to)
}

/// `simple_strtol()`, cut to an int, as C does where it keeps one. Returns the value and where it
/// ends.
pub fn simple_strtoint(s: &[u8], base: u32) -> (i32, usize) {
    match s.strip_prefix(b"-") {
        Some(s) => {
            let (value, to) = simple_strtoull(s, base);
            ((value as i32).wrapping_neg(), to + 1)
        }
        None => {
            let (value, to) = simple_strtoull(s, base);
            (value as i32, to)
        }
    }
}

/// `get_option()`, lib/cmdline.c, for a single number. C stores a value also where there is none:
/// that is 0, and only nothing at all leaves the old one. Returns whether there is a number.
pub fn get_option(s: &[u8], value: &mut i32) -> bool {
    if at(s, 0) == 0 {
        return false;
    }
    let (found, to) = simple_strtoint(s, 0);
    *value = found;
    to > usize::from(s[0] == b'-')
}

/// `sysfs_streq()`: equal but for a newline at the end.
pub fn sysfs_streq(s1: &[u8], s2: &[u8]) -> bool {
    let end = |s: &[u8]| s.iter().position(|&c| c == 0).unwrap_or(s.len());
    let (s1, s2) = (&s1[..end(s1)], &s2[..end(s2)]);
    s1 == s2 || s1.strip_suffix(b"\n") == Some(s2) || s2.strip_suffix(b"\n") == Some(s1)
}

/// `strstrip()`: without whitespace at both ends.
pub fn strstrip(mut s: &[u8]) -> &[u8] {
    while let Some((_, rest)) = s.split_first().filter(|(c, _)| isspace(**c)) {
        s = rest;
    }
    while let Some((_, rest)) = s.split_last().filter(|(c, _)| isspace(**c)) {
        s = rest;
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::KernelVersion::{V5_4, V6_12};

    #[test]
    fn booleans_are_told_by_their_beginning() {
        let (old, new) = (Semantics::of(V5_4), Semantics::of(V6_12));
        for (text, value) in [("1\n", true), ("yes", true), ("Nothing", false), ("0x1", false), ("01", false)]
        {
            assert_eq!(kstrtobool(&old, text.as_bytes()), Ok(value), "{text}");
        }
        for (text, value) in [("on", true), ("oN", true), ("of", false), ("OFF", false)] {
            assert_eq!(kstrtobool(&new, text.as_bytes()), Ok(value), "{text}");
        }
        for text in ["", "\n", " 1", "o", "2", "-1"] {
            assert_eq!(kstrtobool(&new, text.as_bytes()), Err(Errno::EINVAL), "{text}");
        }
        assert_eq!(kstrtobool(&new, b"true"), Ok(true));
        assert_eq!(kstrtobool(&old, b"true"), Err(Errno::EINVAL));
        assert_eq!(kstrtobool(&new, b"F"), Ok(false));
    }

    #[test]
    fn numbers_end_with_one_newline_at_most() {
        assert_eq!(kstrtouint(b"12\n", 0), Ok(12));
        assert_eq!(kstrtouint(b"+0x1f", 0), Ok(31));
        assert_eq!(kstrtouint(b"010", 0), Ok(8));
        assert_eq!(kstrtouint(b"010", 10), Ok(10));
        for text in [&b"12\n\n"[..], b"", b"\n", b" 1", b"1 ", b"1,", b"0x", b"08", b"-1"] {
            assert_eq!(kstrtouint(text, 0), Err(Errno::EINVAL), "{text:?}");
        }
        assert_eq!(kstrtouint(b"4294967296", 0), Err(Errno::ERANGE));
        assert_eq!(kstrtoull(b"18446744073709551616", 0), Err(Errno::ERANGE));
        assert_eq!(kstrtoint(b"-2147483648", 0), Ok(i32::MIN));
        assert_eq!(kstrtoint(b"2147483648", 0), Err(Errno::ERANGE));
        assert_eq!(kstrtoint(b"-+1", 0), Err(Errno::EINVAL));
    }

    #[test]
    fn simple_numbers_end_anywhere() {
        let option = |text: &str| {
            let mut value = 77;
            (get_option(text.as_bytes(), &mut value), value)
        };
        assert_eq!(option("4"), (true, 4));
        assert_eq!(option("0x10,5"), (true, 16));
        assert_eq!(option("010"), (true, 8));
        assert_eq!(option("-3"), (true, -3));
        assert_eq!(option("four"), (false, 0));
        assert_eq!(option("-"), (false, 0));
        assert_eq!(option(""), (false, 77));
    }

    #[test]
    fn a_newline_at_the_end_makes_no_other_word() {
        assert!(sysfs_streq(b"off\n", b"off"));
        assert!(sysfs_streq(b"off", b"off\n"));
        assert!(!sysfs_streq(b"off\n\n", b"off"));
        assert!(!sysfs_streq(b"off ", b"off"));
        assert_eq!(strstrip(b"\t a b \n"), b"a b");
        assert_eq!(strstrip(b" \n"), b"");
    }
}
