//! Sets of bits as text, the way each kernel reads them: lib/bitmap.c of 5.4, lib/bitmap-str.c of
//! 6.12.
//!
//! Both functions take the bytes of the file or the parameter as they are, with the newline of
//! `echo`, and end at the first NUL byte.

use crate::semantics::Semantics;
use crate::{CpuId, CpuMask, Errno, Kernel};

/// `NR_CPUS` of the kernels that are modelled.
const NR_CPUS: u32 = 64;

/// `nr_cpumask_bits`, include/linux/cpumask.h: how many bits a set of CPUs has for those that read
/// one from text.
// DEVIATION: with more CPUs than NR_CPUS the kernel is one that was built for more of them, which
// is one with CPUMASK_OFFSTACK.
pub fn nr_cpumask_bits(k: &Kernel) -> u32 {
    let nr_cpu_ids = k.topo.nr_cpu_ids;
    if k.sem.cpumask_parse_nr_cpus && nr_cpu_ids <= NR_CPUS { NR_CPUS } else { nr_cpu_ids }
}

/// Whitespace as lib/ctype.c has it: the blank that does not break, 0xa0, is among it.
pub(crate) const fn isspace(c: u8) -> bool {
    matches!(c, 9..=13 | 32 | 0xa0)
}

fn end_of_str(c: u8) -> bool {
    c == 0 || c == b'\n'
}

fn is_separator(c: u8) -> bool {
    isspace(c) || c == b','
}

fn end_of_region(c: u8) -> bool {
    is_separator(c) || end_of_str(c)
}

/// What stands before a position ends where the text does.
fn at(buf: &[u8], i: usize) -> u8 {
    buf.get(i).copied().unwrap_or(0)
}

/// One entry of a list. `9-38:4/10` is start 9, end 38, and of every 10 bits the first 4.
#[derive(Clone, Copy, Default)]
struct Region {
    start: u32,
    off: u32,
    group_len: u32,
    end: u32,
}

/// A number, or 6.12's `N`: the last bit. Returns it and where it ends.
fn bitmap_getnum(sem: &Semantics, buf: &[u8], from: usize, lastbit: u32) -> Result<(u32, usize), Errno> {
    if sem.cpulist_names_last && at(buf, from) == b'N' {
        return Ok((lastbit, from + 1));
    }
    let digits = buf[from.min(buf.len())..].iter().take_while(|c| c.is_ascii_digit()).count();
    if digits == 0 {
        return Err(Errno::EINVAL);
    }
    let value = buf[from..from + digits]
        .iter()
        .try_fold(0u32, |n, c| n.checked_mul(10)?.checked_add(u32::from(c - b'0')));
    Ok((value.ok_or(Errno::EOVERFLOW)?, from + digits))
}

/// Reads one region. Returns it and where the next one is looked for; `None` at the end of the text.
fn bitmap_parse_region(
    sem: &Semantics,
    buf: &[u8],
    from: usize,
    nmaskbits: u32,
) -> Result<(Region, Option<usize>), Errno> {
    // A mask of no bits has its last bit at the end of an int.
    let lastbit = nmaskbits.wrapping_sub(1);
    let number = |from| bitmap_getnum(sem, buf, from, lastbit);
    let whole = |start, end: u32, next: usize| {
        let all = end.wrapping_add(1);
        let next = (!end_of_str(at(buf, next))).then_some(next);
        Ok((Region { start, off: all, group_len: all, end }, next))
    };
    let all = sem.cpulist_names_last
        && buf.get(from..from + 3).is_some_and(|word| word.eq_ignore_ascii_case(b"all"));
    let (start, end, next) = if all {
        (0, lastbit, from + 3)
    } else {
        let (start, next) = number(from)?;
        if end_of_region(at(buf, next)) {
            return whole(start, start, next);
        }
        if at(buf, next) != b'-' {
            return Err(Errno::EINVAL);
        }
        let (end, next) = number(next + 1)?;
        (start, end, next)
    };
    if end_of_region(at(buf, next)) {
        return whole(start, end, next);
    }
    if at(buf, next) != b':' {
        return Err(Errno::EINVAL);
    }
    let (off, next) = number(next + 1)?;
    if at(buf, next) != b'/' {
        return Err(Errno::EINVAL);
    }
    // What follows a pattern is the next region, with or without something between.
    let (group_len, next) = number(next + 1)?;
    Ok((Region { start, off, group_len, end }, Some(next)))
}

/// Reads a list such as `0-3,8` or `0-31:1/4` into `mask`, a set of `nmaskbits` bits.
///
/// What stands before a mistake is in the set when the function fails.
///
/// # Errors
/// `EINVAL` for what is no list, `ERANGE` for a bit that the set has not, `EOVERFLOW` for a number
/// that is no unsigned int.
pub fn bitmap_parselist(
    sem: &Semantics,
    buf: &[u8],
    mask: &mut CpuMask,
    nmaskbits: u32,
) -> Result<(), Errno> {
    *mask = CpuMask::new();
    let mut next = Some(0);
    while let Some(mut from) = next {
        while is_separator(at(buf, from)) {
            from += 1;
        }
        if end_of_str(at(buf, from)) {
            return Ok(());
        }
        let (r, rest) = bitmap_parse_region(sem, buf, from, nmaskbits)?;
        next = rest;
        if r.start > r.end || r.group_len == 0 || r.off > r.group_len {
            return Err(Errno::EINVAL);
        }
        if r.end >= nmaskbits {
            return Err(Errno::ERANGE);
        }
        let mut start = r.start;
        while start <= r.end {
            for bit in start..start + r.off.min(r.end - start + 1) {
                mask.set(CpuId(bit));
            }
            // C adds unsigned ints: a group that is nearly all numbers goes downwards.
            start = start.wrapping_add(r.group_len);
        }
    }
    Ok(())
}

/// Reads hexadecimal words of 32 bits with commas between, such as `ff` or `1,00000000`, into
/// `mask`, a set of `nmaskbits` bits.
///
/// # Errors
/// `EINVAL` for what is no hexadecimal mask, `EOVERFLOW` for more bits than the set has and for a
/// word of more than 32. Which of the two a text gets differs between the kernels.
pub fn bitmap_parse(sem: &Semantics, buf: &[u8], mask: &mut CpuMask, nmaskbits: u32) -> Result<(), Errno> {
    *mask = CpuMask::new();
    let chunks =
        if sem.bitmap_parse_reverse { chunks_reverse(buf, nmaskbits) } else { chunks(buf, nmaskbits) }?;
    for (i, chunk) in chunks.into_iter().enumerate() {
        mask.or_word(i as u32 / 2, u64::from(chunk) << (i % 2 * 32));
    }
    Ok(())
}

/// 5.4: from the first digit to the last. Returns the words, the lowest first.
fn chunks(buf: &[u8], nmaskbits: u32) -> Result<Vec<u32>, Errno> {
    let mut chunks: Vec<u32> = Vec::new();
    let mut nbits = 0u64;
    let mut totaldigits = 0u64;
    let mut c = 0;
    let mut rest = buf.iter();
    loop {
        let mut chunk = 0u32;
        let ndigits = totaldigits;
        for &next in rest.by_ref() {
            let old_c = core::mem::replace(&mut c, next);
            if isspace(c) {
                continue;
            }
            // Whitespace within the mask.
            if totaldigits > 0 && c != 0 && isspace(old_c) {
                return Err(Errno::EINVAL);
            }
            if c == 0 || c == b',' {
                break;
            }
            let digit = char::from(c).to_digit(16).ok_or(Errno::EINVAL)?;
            if chunk >> 28 != 0 {
                return Err(Errno::EOVERFLOW);
            }
            chunk = chunk << 4 | digit;
            totaldigits += 1;
        }
        if ndigits == totaldigits {
            return Err(Errno::EINVAL);
        }
        // Words of zeros in front do not count.
        if !chunks.is_empty() || chunk != 0 {
            nbits += if chunks.is_empty() { u64::from(32 - chunk.leading_zeros()) } else { 32 };
            chunks.push(chunk);
            if nbits > u64::from(nmaskbits) {
                return Err(Errno::EOVERFLOW);
            }
        }
        if rest.len() == 0 || c != b',' {
            chunks.reverse();
            return Ok(chunks);
        }
    }
}

/// 6.12: from the last digit to the first. Returns the words, the lowest first.
fn chunks_reverse(buf: &[u8], nmaskbits: u32) -> Result<Vec<u32>, Errno> {
    let len = buf.iter().position(|&c| end_of_str(c)).unwrap_or(buf.len());
    let mut rest = &buf[..len];
    let most = nmaskbits.div_ceil(32) as usize;
    let mut chunks = Vec::new();
    loop {
        while let Some((_, before)) = rest.split_last().filter(|(c, _)| is_separator(**c)) {
            rest = before;
        }
        if rest.is_empty() {
            break;
        }
        if chunks.len() == most {
            return Err(Errno::EOVERFLOW);
        }
        let mut chunk = 0u32;
        let mut i = 0;
        while let Some((&c, before)) = rest.split_last() {
            if i > 0 && is_separator(c) {
                break;
            }
            rest = before;
            let digit = char::from(c).to_digit(16);
            // The ninth character of a word is looked at for being a digit, and for nothing else.
            if i == 32 {
                if digit.is_some() {
                    return Err(Errno::EOVERFLOW);
                }
                break;
            }
            chunk |= digit.ok_or(Errno::EINVAL)? << i;
            i += 4;
        }
        chunks.push(chunk);
    }
    // Bits of the last word that the set has not.
    let beyond = chunks.get(most.wrapping_sub(1)).copied().unwrap_or(0);
    let bits = nmaskbits % 32;
    if bits != 0 && chunks.len() == most && beyond >> bits != 0 {
        return Err(Errno::EOVERFLOW);
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::KernelVersion::{V5_4, V6_12};

    fn list(version: crate::semantics::KernelVersion, text: &str, bits: u32) -> String {
        let mut mask = CpuMask::new();
        match bitmap_parselist(&Semantics::of(version), text.as_bytes(), &mut mask, bits) {
            Ok(()) => mask.list(),
            Err(e) => format!("{} {}", e.name(), mask.list()).trim_end().to_owned(),
        }
    }

    fn hex(version: crate::semantics::KernelVersion, text: &str, bits: u32) -> String {
        let mut mask = CpuMask::new();
        match bitmap_parse(&Semantics::of(version), text.as_bytes(), &mut mask, bits) {
            Ok(()) => mask.list(),
            Err(e) => e.name().to_owned(),
        }
    }

    /// A text, and what 5.4 and 6.12 make of it.
    fn both(read: fn(crate::semantics::KernelVersion, &str, u32) -> String, table: &[(&str, &str, &str)]) {
        for &(text, old, new) in table {
            assert_eq!(read(V5_4, text, 8), old, "5.4, {text:?}");
            assert_eq!(read(V6_12, text, 8), new, "6.12, {text:?}");
        }
    }

    #[test]
    fn what_stands_before_a_mistake_is_kept() {
        both(
            list,
            &[
                ("1-2,99\n", "ERANGE 1-2", "ERANGE 1-2"),
                ("1,x", "EINVAL 1", "EINVAL 1"),
                ("1,3-2,5", "EINVAL 1", "EINVAL 1"),
                ("4294967296", "EOVERFLOW", "EOVERFLOW"),
                // The end plus one is no group.
                ("4294967295", "EINVAL", "EINVAL"),
                ("0-4294967294", "ERANGE", "ERANGE"),
            ],
        );
    }

    #[test]
    fn separators_and_patterns() {
        both(
            list,
            &[
                (" , 1 2,,3\t\n7", "1-3,7", "1-3,7"),
                ("3\n7", "3", "3"),
                ("", "", ""),
                ("0-7:1/2", "0,2,4,6", "0,2,4,6"),
                ("0-7:1/24", "0", "0"),
                ("0-3:1/2x", "EINVAL 0,2", "EINVAL 0,2"),
                ("3:1/2", "EINVAL", "EINVAL"),
                ("0-3:2/1", "EINVAL", "EINVAL"),
                ("0-3:0/1", "", ""),
                ("2-4:1/4294967295", "0-2", "0-2"),
                ("-1", "EINVAL", "EINVAL"),
                ("+1", "EINVAL", "EINVAL"),
                ("0x1", "EINVAL", "EINVAL"),
            ],
        );
    }

    #[test]
    fn newer_lists_have_names() {
        both(
            list,
            &[
                ("N", "EINVAL", "7"),
                ("0-N", "EINVAL", "0-7"),
                ("N-N", "EINVAL", "7"),
                ("all", "EINVAL", "0-7"),
                ("ALL:1/2", "EINVAL", "0,2,4,6"),
                ("1,all", "EINVAL 1", "0-7"),
                ("all-3", "EINVAL", "EINVAL"),
                ("n", "EINVAL", "EINVAL"),
                ("0-N:N/N", "EINVAL", "0-7"),
            ],
        );
    }

    #[test]
    fn masks_are_read_forwards_or_backwards() {
        both(
            hex,
            &[
                ("ff\n", "0-7", "0-7"),
                ("100", "EOVERFLOW", "EOVERFLOW"),
                ("0,1", "0", "EOVERFLOW"),
                ("00000000,00000001", "0", "EOVERFLOW"),
                ("000000001", "0", "EOVERFLOW"),
                ("1,\n", "EINVAL", "0"),
                ("1,", "0", "0"),
                (",1", "EINVAL", "0"),
                ("1 2", "EINVAL", "EOVERFLOW"),
                ("1,,1", "EINVAL", "EOVERFLOW"),
                (" 3 ", "0-1", "0-1"),
                ("0x3", "EINVAL", "EINVAL"),
                // 6.12 does not see what is before eight digits.
                ("x00000003", "EINVAL", "0-1"),
                ("g", "EINVAL", "EINVAL"),
                ("\n", "EINVAL", ""),
                ("", "EINVAL", ""),
                ("1\n1", "EINVAL", "0"),
            ],
        );
        assert_eq!(hex(V5_4, "1,00000000", 65), "32");
        assert_eq!(hex(V6_12, "1,00000000", 65), "32");
        assert_eq!(hex(V5_4, "3,00000000,00000000", 65), "EOVERFLOW");
        assert_eq!(hex(V6_12, "2,00000000,00000000", 65), "EOVERFLOW");
        assert_eq!(hex(V6_12, "1,0,0", 65), "64");
    }
}
