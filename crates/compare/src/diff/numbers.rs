//! Numbers in a comparison: how one becomes the other, and lists of them as ranges.

use std::collections::BTreeSet;

/// The number a value begins with, whether it is a word of bits, and what follows.
fn number(text: &str) -> Option<(i64, bool, &str)> {
    let (digits, hex) = match text.strip_prefix("0x") {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let is_digit = |c: char| if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
    let end = digits.find(|c| !is_digit(c)).unwrap_or(digits.len());
    let value = i64::from_str_radix(&digits[..end], if hex { 16 } else { 10 }).ok()?;
    Some((value, hex && end >= 8, &digits[end..]))
}

/// How one number becomes the other: by some distance, or by bits where it is a word of bits.
pub fn shift((left, right): (&str, &str)) -> Option<String> {
    let ((a, a_bits, rest), (b, b_bits, other)) = (number(left)?, number(right)?);
    // A list of numbers is none.
    let is_list = rest.starts_with(',')
        || rest.strip_prefix('-').is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
    if is_list || rest != other || left.starts_with("0x") != right.starts_with("0x") {
        return None;
    }
    if !(a_bits && b_bits) {
        let (sign, distance) = if b < a { ('-', a - b) } else { ('+', b - a) };
        let hex = left.starts_with("0x");
        return Some(if hex {
            format!("each {sign}{distance:#x}")
        } else {
            format!("each {sign}{distance}")
        });
    }
    let bits = |word: &str, bits: i64| (bits != 0).then(|| format!("{word} {bits:#x}"));
    let words: Vec<String> = [bits("sets", b & !a), bits("clears", a & !b)].into_iter().flatten().collect();
    Some(words.join(", "))
}

/// `  N = 0-9,24-37`.
pub fn numbers<'a>(of: impl Iterator<Item = &'a String>) -> String {
    let all: BTreeSet<(u64, &str)> =
        of.map(|o| (o.trim_start_matches("CPU ").parse().unwrap_or(u64::MAX), o.as_str())).collect();
    if all.is_empty() {
        return String::new();
    }
    const NAMED: usize = 6;
    let mut words: Vec<String> = Vec::new();
    let mut range: Option<(u64, u64)> = None;
    let flush = |range: &mut Option<(u64, u64)>, words: &mut Vec<String>| match range.take() {
        Some((from, to)) if from == to => words.push(from.to_string()),
        Some((from, to)) => words.push(format!("{from}-{to}")),
        None => {}
    };
    for (n, text) in &all {
        match &mut range {
            _ if *n == u64::MAX => words.push((*text).to_owned()),
            Some((_, to)) if *to + 1 == *n => *to = *n,
            _ => {
                flush(&mut range, &mut words);
                range = Some((*n, *n));
            }
        }
    }
    flush(&mut range, &mut words);
    if words.len() > NAMED && range.is_none() && all.iter().all(|(n, _)| *n == u64::MAX) {
        let more = words.len() - NAMED;
        words.truncate(NAMED);
        words.push(format!("... {more} more"));
    }
    let equals = match all.first() {
        Some((_, text)) if text.starts_with("CPU ") => "CPU ",
        Some((n, _)) if *n != u64::MAX => "N = ",
        _ => "",
    };
    format!("  {equals}{}", words.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_numbers_are_told_by_what_they_have_in_common() {
        let check = |left: &str, right: &str, expect: Option<&str>| {
            assert_eq!(shift((left, right)).as_deref(), expect, "{left} {right}");
        };
        check("33", "32", Some("each -1"));
        check("65536-edge", "0-edge", Some("each -65536"));
        check("65536-edge", "0-fasteoi", None);
        check("0x10000", "0x2", Some("each -0xfffe"));
        check("0x00000001", "0x00000011", Some("sets 0x10"));
        check("0x00000005", "0x00000011", Some("sets 0x10, clears 0x4"));
        check("33,48", "32,48", None);
        check("33-35", "32-35", None);
        check("a", "b", None);
        check("", "1", None);
    }

    #[test]
    fn numbers_are_ranges() {
        let check = |of: &[&str], expect: &str| {
            let of: Vec<String> = of.iter().map(|o| (*o).to_owned()).collect();
            assert_eq!(numbers(of.iter()), expect);
        };
        check(&[], "");
        check(&["3", "1", "2", "9"], "  N = 1-3,9");
        check(&["CPU 1", "CPU 2"], "  CPU 1-2");
        check(&["LOC", "TLB"], "  LOC,TLB");
    }
}
