//! /proc/interrupts, as kernels of the last twenty years write it.

/// So many rows say how the file is laid out.
const SAMPLE: usize = 256;

/// A row with a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The interrupt.
    pub irq: u32,
    /// How often it came, on all CPUs together.
    pub total: u64,
    /// The chip, `IR-PCI-MSIX-0000:b1:00.0`.
    pub chip: String,
    /// The hardware number; `None` where the kernel is too old to print it.
    pub hwirq: Option<u64>,
    /// `edge`, `fasteoi` and so on.
    pub flow: String,
    /// The handlers' names, with a comma and a space between them.
    pub actions: String,
}

/// The whole file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Interrupts {
    /// The CPUs of the columns: those that are online.
    pub cpus: Vec<u32>,
    /// Rows with a number, in their order.
    pub rows: Vec<Row>,
    /// Chips have a column of their own, as wide as the longest name (`show_interrupts()` since 7.0).
    pub padded: bool,
}

impl Interrupts {
    /// Reads the text. `None` if it does not begin with a line of CPUs.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let header = lines.next()?;
        let cpus: Option<Vec<u32>> =
            header.split_whitespace().map(|word| word.strip_prefix("CPU")?.parse().ok()).collect();
        let cpus = cpus.filter(|cpus| !cpus.is_empty())?;
        let mut ends: Vec<(usize, usize)> = Vec::new();
        let rows = lines.filter_map(|line| {
            let row = row(line, cpus.len())?;
            if ends.len() < SAMPLE {
                ends.extend(end(line, &row));
            }
            Some(row)
        });
        let rows = rows.collect();
        // Where chips whose names differ end their numbers in one column, the names are padded.
        ends.sort_unstable();
        let differ = ends.first().zip(ends.last()).is_some_and(|(a, b)| b.0 > a.0 + 1);
        let padded = differ && ends.iter().all(|(_, end)| *end == ends[0].1);
        Some(Self { cpus, rows, padded })
    }
}

/// How long the chip's name is, and the column in which the hardware number ends.
fn end(line: &str, row: &Row) -> Option<(usize, usize)> {
    let flow = format!("{}-{}", row.hwirq?, row.flow);
    let chip = line.find(row.chip.as_str())?;
    let at = chip + row.chip.len() + line[chip + row.chip.len()..].find(&flow)?;
    Some((row.chip.len(), at + flow.find('-')?))
}

fn row(line: &str, columns: usize) -> Option<Row> {
    let (number, mut rest) = line.trim_start().split_once(':')?;
    let irq = number.parse().ok()?;
    let bytes = rest.as_bytes();
    let (mut total, mut at) = (0_u64, 0);
    for _ in 0..columns {
        at += bytes[at..].iter().take_while(|b| **b == b' ').count();
        let digits = bytes[at..].iter().take_while(|b| b.is_ascii_digit());
        let (count, len) = digits.fold((0_u64, 0), |(n, len), digit| {
            (n.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')), len + 1)
        });
        at += len;
        if len == 0 || bytes.get(at).is_some_and(|b| *b != b' ') {
            return None;
        }
        total = total.wrapping_add(count);
    }
    rest = &rest[at..];
    let rest = rest.trim();
    if rest.is_empty() {
        return None;
    }
    // "PCI-MSI 49152-edge  name" today, "PCI-MSI-edge  name" before 3.18. A chip may have spaces in its name.
    let mut at = 0;
    for word in rest.split_whitespace() {
        let start = at + rest[at..].find(word)?;
        at = start + word.len();
        let Some((hwirq, flow)) = word.split_once('-') else { continue };
        if let Ok(hwirq) = hwirq.parse()
            && !flow.is_empty()
            && start > 0
        {
            return Some(Row {
                irq,
                total,
                chip: rest[..start].trim().to_owned(),
                hwirq: Some(hwirq),
                flow: flow.to_owned(),
                actions: rest[at..].trim().to_owned(),
            });
        }
    }
    let (first, actions) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (chip, flow) = first.rsplit_once('-').unwrap_or((first, ""));
    Some(Row {
        irq,
        total,
        chip: chip.to_owned(),
        hwirq: None,
        flow: flow.to_owned(),
        actions: actions.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_all_ages_are_read() {
        let text = "           CPU0       CPU2\n  0:         66          0  IR-IO-APIC    2-edge      timer\n\
                    144:          1          2  IR-PCI-MSIX-0000:b1:00.0    0-edge      nvme0q0\n \
                    25:   22185092      10956   PCI-MSI 49153-edge      virtio0-input.0\n 16:     328511     322879  \
                    IR-IO-APIC-fasteoi   ehci_hcd:usb1, mmc0\n 30: 5 0  Hyper-V PCIe MSI 1234-edge  nvme0q1\n \
                    31: 0 0  xen-pirq    -ioapic-edge  i8042\n 99: 1\nNMI:  47  5031  Non-maskable interrupts\nERR:  0\n";
        let got = Interrupts::parse(text).unwrap();
        assert_eq!(got.cpus, [0, 2]);
        let row = |i: usize| {
            let Row { irq, chip, hwirq, flow, actions, .. } = &got.rows[i];
            format!("{irq}|{chip}|{hwirq:?}|{flow}|{actions}")
        };
        assert_eq!(row(0), "0|IR-IO-APIC|Some(2)|edge|timer");
        assert_eq!(row(1), "144|IR-PCI-MSIX-0000:b1:00.0|Some(0)|edge|nvme0q0");
        assert_eq!(row(2), "25|PCI-MSI|Some(49153)|edge|virtio0-input.0");
        assert_eq!(row(3), "16|IR-IO-APIC|None|fasteoi|ehci_hcd:usb1, mmc0");
        assert_eq!(row(4), "30|Hyper-V PCIe MSI|Some(1234)|edge|nvme0q1");
        assert_eq!(row(5), "31|xen|None|pirq|-ioapic-edge  i8042");
        assert_eq!(got.rows.len(), 6);
        assert_eq!(Interrupts::parse("nothing\n"), None);
    }
}
