//! The vectors of all CPUs: a row for each CPU, a column for each vector that somebody has.

use kstate::apic::VectorIrq;
use kstate::matrix::IrqMatrix;
use kstate::{CpuId, Kernel};

use super::{Picture, px};

const LEFT: u32 = 96;
const TOP: u32 = 136;
const CELL: u32 = 15;
const ROW: u32 = 17;
/// Width of each counter behind the cells.
const COUNTER: u32 = 92;
/// So many neighbours that are alike on every CPU are one column.
const FOLDED: usize = 3;
/// More CPUs than this, and neighbours that are alike are one row.
const ROWS: usize = 64;

const COUNTERS: [&str; 4] = ["available", "allocated", "managed", "managed used"];

/// What a vector of a CPU is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cell {
    Free,
    System,
    /// Kept for a managed interrupt, and it has it.
    Managed,
    /// Kept for a managed interrupt that does not have it now.
    Kept,
    /// Of an interrupt that is not managed.
    Taken,
}

impl Cell {
    fn of(matrix: &IrqMatrix, cpu: CpuId, vector: u32) -> Self {
        let Some(map) = matrix.maps.get(cpu.index()) else { return Self::Free };
        match (map.alloc_map.test(vector), map.managed_map.test(vector)) {
            _ if matrix.system_map.test(vector) => Self::System,
            (true, true) => Self::Managed,
            (false, true) => Self::Kept,
            (true, false) => Self::Taken,
            (false, false) => Self::Free,
        }
    }

    const fn letter(self) -> &'static str {
        match self {
            Self::Free => "\u{b7}",
            Self::System => "S",
            Self::Managed => "M",
            Self::Kept => "m",
            Self::Taken => "A",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::System => "system",
            Self::Managed => "managed",
            Self::Kept => "kept",
            Self::Taken => "taken",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::System => "the system's",
            Self::Managed => "managed, in use",
            Self::Kept => "kept for a managed interrupt",
            Self::Taken => "in use",
        }
    }
}

/// Columns: a vector, or several that are alike on every CPU.
fn columns(matrix: &IrqMatrix, cpus: &[CpuId]) -> Vec<core::ops::Range<u32>> {
    let same = |vector: u32| -> Option<Cell> {
        let first = Cell::of(matrix, *cpus.first()?, vector);
        let foldable = matches!(first, Cell::Free | Cell::System);
        (foldable && cpus.iter().all(|cpu| Cell::of(matrix, *cpu, vector) == first)).then_some(first)
    };
    let mut out: Vec<core::ops::Range<u32>> = Vec::new();
    let mut run: Option<(Cell, core::ops::Range<u32>)> = None;
    let flush = |out: &mut Vec<core::ops::Range<u32>>, run: &mut Option<(Cell, core::ops::Range<u32>)>| {
        if let Some((_, vectors)) = run.take() {
            if vectors.len() >= FOLDED { out.push(vectors) } else { out.extend(vectors.map(|v| v..v + 1)) }
        }
    };
    for vector in matrix.alloc_start.min(matrix.matrix_bits)..matrix.matrix_bits {
        match (same(vector), &mut run) {
            (Some(cell), Some((of, vectors))) if cell == *of => vectors.end = vector + 1,
            (Some(cell), _) => {
                flush(&mut out, &mut run);
                run = Some((cell, vector..vector + 1));
            }
            (None, _) => {
                flush(&mut out, &mut run);
                out.push(vector..vector + 1);
            }
        }
    }
    flush(&mut out, &mut run);
    out
}

/// What is said of a cell where somebody points at it.
fn told(k: &Kernel, cell: Cell, cpu: CpuId, vector: u32) -> String {
    let mut text = format!("CPU {cpu}, vector {vector}: {}", cell.words());
    match k.apic.vector_irq(cpu, vector) {
        VectorIrq::Desc(irq) => {
            let name = k.find_desc(irq).and_then(|desc| Some(desc.action.first()?.name.clone()));
            text += &name.map_or_else(|| format!(", irq {irq}"), |name| format!(", irq {irq} {name}"));
        }
        VectorIrq::Shutdown => text += ", shut down: one interrupt may still be on its way",
        VectorIrq::Retriggered => text += ", sent on to another CPU",
        VectorIrq::Unused => {}
    }
    text
}

/// CPUs with one row: their first, and their names. Beyond [`ROWS`] CPUs, neighbours that are alike have one.
fn rows(k: &Kernel, cpus: &[CpuId]) -> Vec<(CpuId, String)> {
    let matrix = &k.vector_matrix;
    let mut out: Vec<(CpuId, CpuId)> = Vec::new();
    for cpu in cpus {
        match out.last_mut() {
            Some((first, last))
                if cpus.len() > ROWS
                    && last.0 + 1 == cpu.0
                    && matrix.maps.get(first.index()) == matrix.maps.get(cpu.index()) =>
            {
                *last = *cpu;
            }
            _ => out.push((*cpu, *cpu)),
        }
    }
    let name = |(first, last): (CpuId, CpuId)| {
        (first, if first == last { format!("CPU {first}") } else { format!("CPUs {first}-{last}") })
    };
    out.into_iter().map(name).collect()
}

/// The map of vectors as it is now.
pub fn vectors(k: &Kernel) -> String {
    let matrix = &k.vector_matrix;
    let possible: Vec<CpuId> = k.topo.possible.iter().filter(|cpu| cpu.index() < matrix.maps.len()).collect();
    // A matrix alone has no machine around it.
    let cpus =
        if possible.is_empty() { (0..matrix.maps.len() as u32).map(CpuId).collect() } else { possible };
    let columns = columns(matrix, &cpus);
    let rows = rows(k, &cpus);
    let mut picture = Picture::default();
    let title = format!("Vectors of {} CPUs", cpus.len());
    let counted = format!(
        "online {}, available {}, reserved {}, allocated {}, of the system {}",
        matrix.online_maps,
        matrix.global_available,
        matrix.global_reserved,
        matrix.total_allocated,
        matrix.systembits_inalloc,
    );
    picture.text(px(16), px(24), "start", "head big", &title);
    picture.text(px(16), px(42), "start", "dim", &counted);
    for (n, vectors) in columns.iter().enumerate() {
        let x = px(LEFT + CELL * n as u32 + CELL / 2 + 4);
        let label = match vectors.len() {
            1 => vectors.start.to_string(),
            len => format!("{len}: {}-{}", vectors.start, vectors.end - 1),
        };
        picture.upwards(x, px(TOP - 5), if vectors.len() == 1 { "" } else { "dim" }, &label);
    }
    let right = LEFT + CELL * columns.len() as u32;
    for (n, counter) in COUNTERS.iter().enumerate() {
        picture.text(px(right + COUNTER * (n as u32 + 1)), px(TOP - 5), "end", "dim", counter);
    }
    for (row, (cpu, name)) in rows.iter().enumerate() {
        let y = TOP + ROW * row as u32;
        let map = matrix.maps.get(cpu.index());
        let offline = map.is_some_and(|map| !map.online);
        let name = if offline { format!("{name} off") } else { name.clone() };
        let class = if offline { "dim" } else { "" };
        picture.text(px(LEFT - 8), px(y + 12), "end", class, &name);
        for (n, vectors) in columns.iter().enumerate() {
            let x = LEFT + CELL * n as u32;
            let cell = Cell::of(matrix, *cpu, vectors.start);
            let single = vectors.len() == 1;
            let title = if single { told(k, cell, *cpu, vectors.start) } else { String::new() };
            picture.rect((px(x), px(y)), (px(CELL - 1), px(ROW - 2)), cell.class(), &title);
            let letter = if single { cell.letter() } else { "\u{2026}" };
            let class = if single && cell != Cell::Free { "" } else { "dim" };
            picture.text(px(x + CELL / 2), px(y + 12), "middle", class, letter);
        }
        if let Some(map) = map {
            let numbers = [map.available, map.allocated, map.managed, map.managed_allocated];
            for (n, number) in numbers.iter().enumerate() {
                let x = px(right + COUNTER * (n as u32 + 1));
                picture.text(x, px(y + 12), "end", "", &number.to_string());
            }
        }
    }
    let mut y = TOP + ROW * rows.len() as u32 + 24;
    let legend = [Cell::Managed, Cell::Kept, Cell::Taken, Cell::System, Cell::Free];
    for (n, half) in legend.chunks(3).enumerate() {
        let mut x = 16;
        for cell in half {
            picture.rect((px(x), px(y - 12)), (px(CELL - 1), px(ROW - 2)), cell.class(), "");
            picture.text(px(x + CELL / 2), px(y), "middle", "", cell.letter());
            picture.text(px(x + 22), px(y), "start", "dim", cell.words());
            x += 22 + 8 * cell.words().len() as u32 + 14;
        }
        if n == 1 {
            picture.text(px(x), px(y), "start", "dim", "\u{2026} several that are alike");
        }
        y += 20;
    }
    let width = (right + COUNTER * COUNTERS.len() as u32 + 16).max(600);
    let of = |cpu: &CpuId| {
        let list = matrix.maps.get(cpu.index())?.alloc_map.list(matrix.matrix_bits);
        (!list.is_empty()).then(|| format!("CPU {cpu} vectors {list}"))
    };
    let all: Vec<String> = cpus.iter().filter_map(of).collect();
    let used = match all.len().checked_sub(ROWS) {
        _ if all.is_empty() => "no vector in use".to_owned(),
        None | Some(0) => format!("in use: {}", all.join("; ")),
        Some(more) => format!("in use: {}; {more} more CPUs are not described", all[..ROWS].join("; ")),
    };
    picture.finish("irqlab-vectors", (px(width), px(y)), &title, &format!("{counted}; {used}."))
}
