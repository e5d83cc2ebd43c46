//! Numbers as text for people: lib/string_helpers.c.

/// `enum string_size_units`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StringUnits {
    /// Powers of 1000: kB, MB.
    Units10,
    /// Powers of 1024: KiB, MiB.
    Units2,
}

/// `string_get_size()`: the size of `size` blocks of `blk_size` bytes, with three digits and a unit.
pub fn string_get_size(size: u64, blk_size: u64, units: StringUnits) -> String {
    let (divisor, prefixes) = match units {
        StringUnits::Units10 => (1000, ["", "k", "M", "G", "T", "P", "E", "Z", "Y"]),
        StringUnits::Units2 => (1024, ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]),
    };
    let (mut size, mut blk_size) = (if blk_size == 0 { 0 } else { size }, blk_size);
    let (mut power, mut remainder, mut digits) = (0, 0, String::new());
    if size != 0 {
        // What is thrown away here is below the digits that are printed.
        for factor in [&mut blk_size, &mut size] {
            while *factor >> 32 != 0 {
                *factor /= divisor;
                power += 1;
            }
        }
        size *= blk_size;
        while size >= divisor {
            remainder = size % divisor;
            size /= divisor;
            power += 1;
        }
        // How many digits behind the point make three.
        let places = [100, 10, 1].iter().position(|&least| size >= least).unwrap_or(3);
        if units == StringUnits::Units2 {
            remainder = remainder * 1000 / 1024;
        }
        remainder += [500, 50, 5].get(places).copied().unwrap_or(0);
        if remainder >= 1000 {
            remainder -= 1000;
            size += 1;
        }
        if places != 0 {
            digits = format!(".{remainder:03}");
            digits.truncate(places + 1);
        }
    }
    let prefix = prefixes.get(power).map_or_else(|| "UNK".to_owned(), |prefix| format!("{prefix}B"));
    format!("{size}{digits} {prefix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (blocks, block, ten, two) in [
            (131_072, 512, "67.1 MB", "64.0 MiB"),
            (0, 512, "0 B", "0 B"),
            (1, 512, "512 B", "512 B"),
            (4096, 512, "2.10 MB", "2.00 MiB"),
            (1, 1023, "1.02 kB", "1023 B"),
            (1999, 1, "2.00 kB", "1.95 KiB"),
            (u64::MAX, 1, "18.4 EB", "16.0 EiB"),
        ] {
            assert_eq!(string_get_size(blocks, block, StringUnits::Units10), ten);
            assert_eq!(string_get_size(blocks, block, StringUnits::Units2), two);
        }
    }
}
