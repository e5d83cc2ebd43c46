//! Where what stands on the screen.

use ratatui::layout::Rect;

/// The smallest screen that shows everything.
pub const SMALLEST: (u16, u16) = (72, 20);
/// With so many rows above the map, what was printed has its own place.
const TALL: u16 = 18;
/// Rows of that place.
const OUTPUT: u16 = 10;
/// With so many rows time has lanes.
const LANED: u16 = 30;
/// Rows of the lanes: tasks and interrupts.
const LANES: u16 = 2;
/// Columns in front of the map: the CPU, and its APIC's IRR and ISR.
pub const MARGIN: u16 = 19;

/// The parts of the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Areas {
    /// Which machine, which step.
    pub header: Rect,
    /// The tree of calls.
    pub calls: Rect,
    /// The interrupt.
    pub irq: Rect,
    /// What was printed.
    pub output: Rect,
    /// CPUs and vectors; the first two rows are its title and scale.
    pub map: Rect,
    /// Who moved when: a row for tasks, one for interrupts.
    pub lanes: Rect,
    /// Time.
    pub bar: Rect,
    /// What is typed.
    pub input: Rect,
    /// What the keys do.
    pub keys: Rect,
}

impl Areas {
    /// The parts of a screen for a machine with so many CPUs; none where it is too small. What was
    /// printed lies over the tree, the interrupt and the map where there is no place beside them.
    pub fn of(screen: Rect, cpus: usize, output: bool) -> Option<Self> {
        let Rect { x, y, width, height } = screen;
        if width < SMALLEST.0 || height < SMALLEST.1 {
            return None;
        }
        let row = |at: u16| Rect { x, y: y + at, width, height: 1 };
        let lanes = if height >= LANED { LANES } else { 0 };
        let body = height - 4 - lanes;
        let most = (body / 2).saturating_sub(2).max(4);
        let cpus = u16::try_from(cpus).unwrap_or(u16::MAX).clamp(1, most);
        let map = cpus + 2;
        let top = body - map;
        // A column between the two stays free.
        let left = width * 3 / 5;
        let tall = top >= TALL;
        let calls = Rect { x, y: y + 1, width: left - 1, height: if tall { top - OUTPUT } else { top } };
        let irq = Rect { x: x + left, width: width - left, height: top, ..calls };
        let map = Rect { x, y: y + 1 + top, width, height: map };
        let areas = Self {
            header: row(0),
            calls,
            irq,
            output: Rect::default(),
            map,
            lanes: Rect { height: lanes, ..row(height - 3 - lanes) },
            bar: row(height - 3),
            input: row(height - 2),
            keys: row(height - 1),
        };
        Some(if tall {
            Self { output: Rect { y: calls.y + calls.height, height: OUTPUT, ..calls }, ..areas }
        } else if output {
            let output = Rect { x, y: y + 1, width, height: body };
            let none = Rect::default();
            Self { output, calls: none, irq: none, map: none, ..areas }
        } else {
            areas
        })
    }

    /// The step at a column of the time bar.
    pub fn step_at(&self, column: u16, end: u64) -> u64 {
        let (first, last) = bar_ends(self.bar);
        let length = u64::from(last - first).max(1);
        let at = u64::from(column.clamp(first, last) - first);
        (u128::from(at) * u128::from(end) + u128::from(length / 2)).div_euclid(u128::from(length)) as u64
    }

    /// The column of a step in the time bar.
    pub fn column_of(&self, step: u64, end: u64) -> u16 {
        let (first, last) = bar_ends(self.bar);
        let at = u128::from(step) * u128::from(last - first) / u128::from(end.max(1));
        first + (at as u16).min(last - first)
    }
}

/// The first and the last column of the time bar.
pub const fn bar_ends(bar: Rect) -> (u16, u16) {
    (bar.x + 1, bar.x + bar.width - 2)
}

/// A part of a list that is as long as there is place and shows one of its lines: where it begins.
pub fn window(len: usize, place: usize, shown: usize) -> usize {
    if shown < place { 0 } else { (shown + 1 - place / 2).min(len.saturating_sub(place)) }
}
