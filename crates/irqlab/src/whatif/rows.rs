//! Many interrupts in few rows: numbers as ranges, names with ranges in them.

use std::collections::BTreeMap;

use ::whatif::Change;
use kstate::CpuMask;

/// Numbers in ascending order as a list: `0-3,8`, and `0-110:1/2` for every second one, as the kernel reads it.
pub fn ranges(numbers: &[u32]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < numbers.len() {
        let step = numbers.get(at + 1).map_or(1, |next| next - numbers[at]).max(1);
        let mut end = at;
        while end + 1 < numbers.len() && numbers[end + 1] == numbers[end] + step {
            end += 1;
        }
        // Two numbers that are not neighbours are no range.
        if step > 1 && end - at < 3 {
            end = at;
        }
        parts.push(match (end - at, step) {
            (0, _) => numbers[at].to_string(),
            (_, 1) => format!("{}-{}", numbers[at], numbers[end]),
            _ => format!("{}-{}:1/{step}", numbers[at], numbers[end]),
        });
        at = end + 1;
    }
    parts.join(",")
}

/// A mask as a list.
pub fn cpus(mask: &CpuMask) -> String {
    if mask.is_empty() {
        return "-".to_owned();
    }
    ranges(&mask.iter().map(|cpu| cpu.0).collect::<Vec<_>>())
}

/// A text that is too long for a column ends in dots.
pub fn short(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(3)).collect();
    // A list is cut behind a number, if that leaves most of it.
    let whole = kept.rfind(',').filter(|at| 2 * at > kept.len()).map_or(kept.as_str(), |at| &kept[..=at]);
    format!("{whole}...")
}

/// A name cut into texts and numbers: a text, a number, a text and so on.
fn cut(name: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    let mut rest = name;
    loop {
        let start = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, tail) = rest.split_at(start);
        texts.push(text);
        if tail.is_empty() {
            return (texts, numbers);
        }
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, tail) = tail.split_at(end);
        numbers.push(number);
        rest = tail;
    }
}

/// What names that differ in numbers only have in common.
pub fn template(name: &str) -> String {
    cut(name).0.join("#")
}

/// Names of one template as one: where one number differs, it is a range.
pub fn names(all: &[&str]) -> String {
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return String::new() };
    if all.iter().all(|name| name == first) {
        return if all.len() == 1 { (*first).to_owned() } else { format!("{first} ({} times)", all.len()) };
    }
    let parts: Vec<(Vec<&str>, Vec<&str>)> = all.iter().map(|name| cut(name)).collect();
    let (texts, numbers) = &parts[0];
    let varies: Vec<usize> = (0..numbers.len())
        .filter(|&n| parts.iter().any(|(_, other)| other.get(n) != numbers.get(n)))
        .collect();
    let [at] = varies[..] else { return format!("{first} ... {last}") };
    let mut values: Vec<u32> = parts.iter().filter_map(|(_, n)| n.get(at)?.parse().ok()).collect();
    values.sort_unstable();
    values.dedup();
    let mut out = String::new();
    for (n, text) in texts.iter().enumerate() {
        out.push_str(text);
        if n == at {
            out.push_str(&ranges(&values));
        } else if let Some(number) = numbers.get(n) {
            out.push_str(number);
        }
    }
    out
}

/// Changes that are shown in one row.
pub struct Group<'a> {
    /// In the order of their numbers.
    pub changes: Vec<&'a Change>,
}

impl<'a> Group<'a> {
    /// Of changes of one kind: those of one function that have the same sort of name and reason. With `all` each one
    /// is alone.
    pub fn of(changes: impl Iterator<Item = &'a Change>, all: bool) -> Vec<Self> {
        let mut groups: BTreeMap<_, Vec<&'a Change>> = BTreeMap::new();
        for change in changes {
            let submits = change.queue.as_ref().is_some_and(|queue| !queue.after.is_empty());
            let key = (change.device.clone(), template(&change.name), submits, change.because.clone());
            let alone = if all { change.irq } else { 0 };
            groups.entry((key, alone)).or_default().push(change);
        }
        let mut groups: Vec<Self> = groups.into_values().map(|changes| Self { changes }).collect();
        groups.sort_by_key(|group| group.changes[0].irq);
        groups
    }

    /// What they are called.
    pub fn names(&self) -> String {
        names(&self.changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>())
    }

    /// Their numbers.
    pub fn irqs(&self) -> String {
        ranges(&self.changes.iter().map(|change| change.irq).collect::<Vec<_>>())
    }

    /// All CPUs that something says of them.
    pub fn mask(&self, of: impl Fn(&Change) -> &CpuMask) -> String {
        cpus(&self.union(of))
    }

    /// The same as a mask.
    pub fn union(&self, of: impl Fn(&Change) -> &CpuMask) -> CpuMask {
        self.changes.iter().fold(CpuMask::new(), |all, change| all.or(of(change)))
    }

    /// All CPUs that they go to.
    pub fn on(&self, of: impl Fn(&Change) -> Option<u32>) -> String {
        cpus(&self.changes.iter().filter_map(|change| of(change)).map(kstate::CpuId).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_ranges() {
        for (numbers, expect) in [
            (&[][..], ""),
            (&[7], "7"),
            (&[1, 2, 3, 9], "1-3,9"),
            (&[0, 2, 4, 6, 7], "0-6:1/2,7"),
            (&[0, 2, 9], "0,2,9"),
            (&[5, 8, 11, 14], "5-14:1/3"),
        ] {
            assert_eq!(ranges(numbers), expect);
        }
        assert_eq!(short("1,5,9,14,22", 9), "1,5,9,...");
        assert_eq!(short("1,5,9", 9), "1,5,9");
        assert_eq!(short("1,nvme0q2-3", 9), "1,nvme...");
    }

    #[test]
    fn names_become_one() {
        for (all, expect) in [
            (&["nvme0q1", "nvme0q2", "nvme0q3"][..], "nvme0q1-3"),
            (&["eno1-TxRx-0", "eno1-TxRx-2"], "eno1-TxRx-0,2"),
            (&["a1b1", "a2b2"], "a1b1 ... a2b2"),
            (&["smartpqi", "smartpqi"], "smartpqi (2 times)"),
            (&["acpi"], "acpi"),
        ] {
            assert_eq!(names(all), expect);
        }
        assert_eq!(template("mlx5_comp9@pci:0000:01:00.0"), "mlx#_comp#@pci:#:#:#.#");
    }
}
