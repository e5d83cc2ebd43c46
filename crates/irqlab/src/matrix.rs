//! `irqlab matrix`: replays operations on the vector matrix.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use irqcore::matrix::*;
use kstate::matrix::IRQ_MATRIX_BITS;
use kstate::semantics::{KernelVersion, Semantics};
use kstate::{CpuId, CpuMask, Errno, Kernel};
use record::formats::svg;
use serde::{Deserialize, Serialize};

use crate::exit::DIFFERS;
use crate::input::{
    FileError, Line, Lines, OptionError, Output, check_cpus, expected, kernels, parse_kernel,
};

/// A file of operations.
///
/// Either JSON lines with `cpus`, `matrix_bits`, `alloc_start`, `alloc_end` and `ops`, or plain text
/// with one operation per line (`#` begins a comment): `system CPU BIT REPLACE`, `online CPU`,
/// `offline CPU`, `reserve_managed CPUS`, `remove_managed CPUS`, `alloc_managed CPUS`,
/// `alloc CPUS RESERVED`, `free CPU BIT MANAGED`, `reserve`, `remove_reserved`,
/// `available CPU CPUDOWN`, `allocated CPU`, `assign CPU BIT`, `reserved`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The file, also gzip; `-` for standard input
    #[arg(long, value_name = "FILE", required = true)]
    replay: PathBuf,
    /// Compare with the answers in the file instead of printing them
    #[arg(long)]
    check: bool,
    /// Answer in JSON, one line per sequence
    #[arg(long)]
    json: bool,
    /// Draw the matrix as it is in the end, instead of a table
    #[arg(long, value_enum, conflicts_with_all = ["json", "check"])]
    format: Option<Picture>,
    /// Which kernel [default: v5.4 for a table; all for --check and --json]
    #[arg(long, value_name = KernelVersion::CHOICE, value_parser = parse_kernel)]
    kernel: Option<KernelVersion>,
    /// Number of CPUs, for operations in plain text
    #[arg(long, value_name = "N", default_value_t = 8)]
    cpus: u64,
    /// Bits per CPU, for operations in plain text
    #[arg(long, value_name = "N", default_value_t = 256)]
    matrix_bits: u32,
    /// First bit to allocate, for operations in plain text
    #[arg(long, value_name = "BIT", default_value_t = 32)]
    alloc_start: u32,
    /// First bit not to allocate, for operations in plain text
    #[arg(long, value_name = "BIT", default_value_t = 236)]
    alloc_end: u32,
}

/// What a matrix is drawn as.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Picture {
    /// An SVG picture
    Svg,
}

/// The shape of a matrix.
#[derive(Clone, Copy, Debug)]
struct Shape {
    cpus: u32,
    matrix_bits: u32,
    alloc_start: u32,
    alloc_end: u32,
    /// Whose lists of CPUs the operations have.
    kernel: KernelVersion,
}

impl Shape {
    fn new(cpus: u64, matrix_bits: u32, alloc_start: u32, alloc_end: u32) -> Result<Self, String> {
        let cpus = check_cpus(cpus)?;
        if matrix_bits > IRQ_MATRIX_BITS {
            return Err(format!("{matrix_bits} bits, more than a CPU has vectors ({IRQ_MATRIX_BITS})"));
        }
        if alloc_start > alloc_end || alloc_end > matrix_bits {
            return Err(format!("allocation from {alloc_start} to {alloc_end} of {matrix_bits} bits"));
        }
        let kernel = KernelVersion::ALL[0];
        Ok(Self { cpus, matrix_bits, alloc_start, alloc_end, kernel })
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "RawSequence")]
struct Sequence {
    shape: Shape,
    ops: Vec<String>,
    expect: Option<BTreeMap<String, Vec<Answer>>>,
}

#[derive(Deserialize)]
struct RawSequence {
    cpus: u64,
    matrix_bits: u32,
    alloc_start: u32,
    alloc_end: u32,
    ops: Vec<String>,
    expect: Option<BTreeMap<String, Vec<Answer>>>,
}

impl TryFrom<RawSequence> for Sequence {
    type Error = String;

    fn try_from(raw: RawSequence) -> Result<Self, String> {
        let RawSequence { cpus, matrix_bits, alloc_start, alloc_end, ops, expect } = raw;
        let shape = Shape::new(cpus, matrix_bits, alloc_start, alloc_end)?;
        for (key, answers) in expect.iter().flatten() {
            if answers.len() != ops.len() {
                return Err(format!("{} operations, but {} answers of {key}", ops.len(), answers.len()));
            }
        }
        Ok(Self { shape, ops, expect })
    }
}

/// What the matrix says after an operation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Answer {
    ret: i32,
    cpu: i64,
    warned: u32,
    global_available: u32,
    global_reserved: u32,
    total_allocated: u32,
    online_maps: u32,
    map: Map,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Map {
    cpu: u32,
    available: u32,
    allocated: u32,
    managed: u32,
    managed_allocated: u32,
    online: bool,
}

/// One operation.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Op {
    System(CpuId, u32, bool),
    Online(CpuId),
    Offline(CpuId),
    ReserveManaged(CpuMask),
    RemoveManaged(CpuMask),
    AllocManaged(CpuMask),
    Alloc(CpuMask, bool),
    Free(CpuId, u32, bool),
    Assign(CpuId, u32),
    Reserve,
    RemoveReserved,
    Reserved,
    Available(CpuId, bool),
    Allocated(CpuId),
}

/// What is wrong with an operation: the column from 1, what was found, what was expected.
type OpError = (usize, String, String);

/// The words of an operation that are left, with the columns they begin at.
struct Words<'a> {
    text: &'a str,
    at: usize,
    shape: Shape,
}

impl<'a> Words<'a> {
    fn next(&mut self, expected: &str) -> Result<(usize, &'a str), OpError> {
        let text: &'a str = self.text;
        let rest = &text[self.at..];
        let start = self.at + (rest.len() - rest.trim_start().len());
        let word = text[start..].split_whitespace().next();
        let word = word.ok_or_else(|| (start + 1, "the line ends here".to_owned(), expected.to_owned()))?;
        self.at = start + word.len();
        Ok((start + 1, word))
    }

    fn below(&mut self, what: &str, limit: u32) -> Result<u32, OpError> {
        let expected = format!("a {what} below {limit}");
        let (column, word) = self.next(&expected)?;
        let number = word.parse().ok().filter(|n| *n < limit);
        number.ok_or_else(|| (column, format!("`{word}` is no {what} here"), expected))
    }

    fn cpu(&mut self) -> Result<CpuId, OpError> {
        self.below("CPU", self.shape.cpus).map(CpuId)
    }

    fn bit(&mut self) -> Result<u32, OpError> {
        self.below("bit", self.shape.matrix_bits)
    }

    fn flag(&mut self) -> Result<bool, OpError> {
        let (column, word) = self.next("0 or 1")?;
        match word {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => Err((column, format!("`{word}` is no flag"), "0 or 1".to_owned())),
        }
    }

    fn cpus(&mut self) -> Result<CpuMask, OpError> {
        let expected = format!("CPUs from 0 to {}, such as `0-3,8`", self.shape.cpus - 1);
        let (column, word) = self.next(&expected)?;
        let semantics = Semantics::of(self.shape.kernel);
        let mask = CpuMask::parse_list_of(&semantics, word, self.shape.cpus);
        mask.map_err(|e| (column, format!("`{word}` is no list of CPUs ({e})"), expected))
    }
}

fn parse(text: &str, shape: Shape) -> Result<Op, OpError> {
    const NAMES: &str = "an operation: system, online, offline, reserve_managed, remove_managed, \
        alloc_managed, alloc, free, assign, reserve, remove_reserved, reserved, available or allocated";
    let mut words = Words { text, at: 0, shape };
    let (column, name) = words.next(NAMES)?;
    let op = match name {
        "system" => Op::System(words.cpu()?, words.bit()?, words.flag()?),
        "online" => Op::Online(words.cpu()?),
        "offline" => Op::Offline(words.cpu()?),
        "reserve_managed" => Op::ReserveManaged(words.cpus()?),
        "remove_managed" => Op::RemoveManaged(words.cpus()?),
        "alloc_managed" => Op::AllocManaged(words.cpus()?),
        "alloc" => Op::Alloc(words.cpus()?, words.flag()?),
        "free" => Op::Free(words.cpu()?, words.bit()?, words.flag()?),
        "assign" => Op::Assign(words.cpu()?, words.bit()?),
        "reserve" => Op::Reserve,
        "remove_reserved" => Op::RemoveReserved,
        "reserved" => Op::Reserved,
        "available" => Op::Available(words.cpu()?, words.flag()?),
        "allocated" => Op::Allocated(words.cpu()?),
        _ => return Err((column, format!("`{name}` is no operation"), NAMES.to_owned())),
    };
    match words.next("") {
        Ok((column, extra)) => {
            Err((column, format!("`{extra}` is one word too many"), "the end of the operation".to_owned()))
        }
        Err(_) => Ok(op),
    }
}

fn machine(version: KernelVersion, shape: Shape) -> Kernel {
    let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
    k.topo.nr_cpu_ids = shape.cpus;
    // The shape was checked, so this cannot fail.
    let _ = irq_alloc_matrix(&mut k, shape.matrix_bits, shape.alloc_start, shape.alloc_end);
    k
}

fn operate(k: &mut Kernel, op: &Op) -> Answer {
    let warnings = k.warnings;
    let mut mapped = CpuId(0);
    let code = |ret: Result<u32, Errno>| ret.map_or_else(Errno::code, |n| n as i32);
    let first = |mask: &CpuMask| mask.first().unwrap_or_default();
    // What it returned, the CPU it chose, and the CPU whose counters are shown.
    let (ret, cpu, shown) = match op {
        Op::System(cpu, bit, replace) => {
            k.cur.cpu = *cpu;
            irq_matrix_assign_system(k, *bit, *replace);
            (0, None, *cpu)
        }
        Op::Online(cpu) => {
            k.cur.cpu = *cpu;
            irq_matrix_online(k);
            k.topo.online.set(*cpu);
            (0, None, *cpu)
        }
        Op::Offline(cpu) => {
            k.cur.cpu = *cpu;
            irq_matrix_offline(k);
            k.topo.online.clear(*cpu);
            (0, None, *cpu)
        }
        Op::ReserveManaged(mask) => {
            (code(irq_matrix_reserve_managed(k, mask).map(|()| 0)), None, first(mask))
        }
        Op::RemoveManaged(mask) => {
            irq_matrix_remove_managed(k, mask);
            (0, None, first(mask))
        }
        Op::AllocManaged(mask) => {
            let ret = irq_matrix_alloc_managed(k, mask, &mut mapped);
            (code(ret), ret.is_ok().then_some(mapped), mapped)
        }
        Op::Alloc(mask, reserved) => {
            let ret = irq_matrix_alloc(k, mask, *reserved, &mut mapped);
            (code(ret), ret.is_ok().then_some(mapped), mapped)
        }
        Op::Free(cpu, bit, managed) => {
            irq_matrix_free(k, *cpu, *bit, *managed);
            (0, None, *cpu)
        }
        Op::Assign(cpu, bit) => {
            k.cur.cpu = *cpu;
            irq_matrix_assign(k, *bit);
            (0, None, *cpu)
        }
        Op::Reserve => {
            irq_matrix_reserve(k);
            (0, None, CpuId(0))
        }
        Op::RemoveReserved => {
            irq_matrix_remove_reserved(k);
            (0, None, CpuId(0))
        }
        Op::Reserved => (irq_matrix_reserved(k) as i32, None, CpuId(0)),
        Op::Available(cpu, cpudown) => {
            k.cur.cpu = *cpu;
            (irq_matrix_available(k, *cpudown) as i32, None, *cpu)
        }
        Op::Allocated(cpu) => {
            k.cur.cpu = *cpu;
            (irq_matrix_allocated(k) as i32, None, *cpu)
        }
    };
    let m = &k.vector_matrix;
    let cm = &m.maps[shown.index()];
    Answer {
        ret,
        cpu: cpu.map_or(-1, |c| i64::from(c.0)),
        warned: k.warnings - warnings,
        global_available: m.global_available,
        global_reserved: m.global_reserved,
        total_allocated: m.total_allocated,
        online_maps: m.online_maps,
        map: Map {
            cpu: shown.0,
            available: cm.available,
            allocated: cm.allocated,
            managed: cm.managed,
            managed_allocated: cm.managed_allocated,
            online: cm.online,
        },
    }
}

/// Runs the subcommand.
///
/// # Errors
/// For options and files that make no sense, and for output that cannot be written.
pub fn run(args: Args) -> diagnostic::Result<ExitCode> {
    let path = args.replay.as_path();
    let mut lines = Lines::open(path)?;
    let mut out = Output::new();
    let totals = replay(&args, &mut lines, &mut out)?;
    out.finish()?;
    Ok(if totals.differ == 0 { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

/// Replays all lines of a file.
fn replay(args: &Args, lines: &mut Lines, out: &mut Output) -> diagnostic::Result<Totals> {
    let mut totals = Totals::default();
    if let Some(line) = lines.next_line()? {
        if line.text.trim_start().starts_with('{') {
            let mut next = Some(line);
            while let Some(line) = next {
                sequence(args, &line, out, &mut totals)?;
                // Where nothing is checked, the text is all there is.
                next = if out.is_gone() && !args.check { None } else { lines.next_line()? };
            }
        } else {
            plain(args, line, lines, out, &mut totals)?;
        }
    }
    if let Some(picture) = &totals.picture {
        out.text(picture)?;
    }
    if args.check {
        let Totals { sequences, operations, differ, picture: _ } = totals;
        out.line(format_args!("{sequences} sequences, {operations} operations, {differ} differ"))?;
    }
    Ok(totals)
}

#[derive(Clone, Default)]
struct Totals {
    sequences: u64,
    operations: u64,
    differ: u64,
    picture: Option<String>,
}

/// One JSON line.
fn sequence(args: &Args, line: &Line, out: &mut Output, totals: &mut Totals) -> diagnostic::Result<()> {
    let mut seq: Sequence =
        line.json("an object with `cpus`, `matrix_bits`, `alloc_start`, `alloc_end` and `ops`")?;
    seq.shape.kernel = args.kernel.unwrap_or(seq.shape.kernel);
    let parsed = seq.ops.iter().enumerate().map(|(i, text)| {
        parse(text, seq.shape).map_err(|(column, found, expected)| {
            // Counted from the operation's own beginning within the line, where it can be found.
            let start = line.text.find(&format!("\"{text}\"")).map_or(0, |at| at + 1);
            line.error(start + column, format!("operation {i}: {found}"), expected)
        })
    });
    let ops: Vec<Op> = parsed.collect::<Result<_, FileError>>()?;
    totals.sequences += 1;
    let versions =
        if args.check || args.json { kernels(args.kernel) } else { vec![args.kernel.unwrap_or_default()] };
    let mut found = BTreeMap::new();
    for version in versions {
        let mut k = machine(version, seq.shape);
        if args.check {
            let name = version.name();
            let expect = seq.expect.as_ref().and_then(|e| expected(e, version)).ok_or_else(|| {
                let expected = format!("an `expect` with `{name}` in it");
                line.error(1, format!("this line has no answers of {name}"), expected)
            })?;
            for (i, (op, expect)) in ops.iter().zip(expect).enumerate() {
                let got = operate(&mut k, op);
                totals.operations += 1;
                if got != *expect {
                    totals.differ += 1;
                    let at = format!("{}:{}: {name}: operation {i}", line.path.display(), line.number);
                    let (got, expect) = (json(&got), json(expect));
                    out.line(format_args!("{at} `{}`: expected {expect}, got {got}", seq.ops[i]))?;
                }
            }
        } else if args.json {
            let answers: Vec<Answer> = ops.iter().map(|op| operate(&mut k, op)).collect();
            found.insert(version.name(), answers);
        } else if args.format.is_some() {
            if totals.picture.is_some() {
                let expected = "one sequence, of which the matrix in the end is drawn";
                return Err(line.error(1, "this is a second sequence", expected).into());
            }
            totals.picture = Some(drawn(&mut k, &ops));
        } else {
            let title = format!("{}:{}: {}", line.path.display(), line.number, version.name());
            table(out, &title, &mut k, seq.ops.iter().map(String::as_str).zip(&ops))?;
        }
    }
    if !args.check && args.json {
        out.line(json(&found))?;
    }
    Ok(())
}

/// Operations in plain text.
fn plain(
    args: &Args,
    first: Line,
    lines: &mut Lines,
    out: &mut Output,
    totals: &mut Totals,
) -> diagnostic::Result<()> {
    if args.check {
        return Err(first.error(1, "a file of plain operations has no answers", "JSON lines").into());
    }
    let mut shape =
        Shape::new(args.cpus, args.matrix_bits, args.alloc_start, args.alloc_end).map_err(|e| {
            let expected = "1 to 8192 CPUs, at most 256 bits, and a range of these to allocate from";
            OptionError::new("--cpus, --matrix-bits, --alloc-start, --alloc-end", e, expected)
        })?;
    shape.kernel = args.kernel.unwrap_or(shape.kernel);
    let path: &Path = &args.replay;
    let mut texts = Vec::new();
    let mut ops = Vec::new();
    let mut next = Some(first);
    while let Some(line) = next {
        let text = line.text.split('#').next().unwrap_or_default().trim_end();
        if !text.trim().is_empty() {
            ops.push(
                parse(text, shape)
                    .map_err(|(column, found, expected)| line.error(column, found, expected))?,
            );
            texts.push(text.trim().to_owned());
        }
        next = lines.next_line()?;
    }
    if args.json {
        let mut found = BTreeMap::new();
        for version in kernels(args.kernel) {
            let mut k = machine(version, shape);
            found.insert(version.name(), ops.iter().map(|op| operate(&mut k, op)).collect::<Vec<_>>());
        }
        out.line(json(&found))?;
        return Ok(());
    }
    let version = args.kernel.unwrap_or_default();
    let mut k = machine(version, shape);
    if args.format.is_some() {
        totals.picture = Some(drawn(&mut k, &ops));
        return Ok(());
    }
    let title = format!("{}: {}", path.display(), version.name());
    table(out, &title, &mut k, texts.iter().map(String::as_str).zip(&ops))?;
    Ok(())
}

/// The matrix after all operations, as a picture.
fn drawn(k: &mut Kernel, ops: &[Op]) -> String {
    for op in ops {
        operate(k, op);
    }
    svg::vectors(k)
}

fn json<T: Serialize>(value: &T) -> String {
    // Strings, numbers and lists of them always have a form in JSON.
    serde_json::to_string(value).unwrap_or_default()
}

/// One line per operation, and the matrix as debugfs shows it in the end.
fn table<'a>(
    out: &mut Output,
    title: &str,
    k: &mut Kernel,
    ops: impl Iterator<Item = (&'a str, &'a Op)>,
) -> diagnostic::Result<()> {
    out.line(title)?;
    out.line("     ret  cpu | online  avail  rsvd alloc | map  avl  man  mac  act | operation")?;
    for (text, op) in ops {
        let logged = k.log.len();
        let a = operate(k, op);
        let cpu = if a.cpu < 0 { "-".to_owned() } else { a.cpu.to_string() };
        out.line(format_args!(
            "{:8} {cpu:>4} | {:6} {:6} {:5} {:5} | {:3} {:4} {:4} {:4} {:4} | {text}",
            a.ret,
            a.online_maps,
            a.global_available,
            a.global_reserved,
            a.total_allocated,
            a.map.cpu,
            a.map.available,
            a.map.managed,
            a.map.managed_allocated,
            a.map.allocated,
        ))?;
        for line in &k.log[logged..] {
            out.line(format_args!("         kernel log: {line}"))?;
        }
    }
    let mut text = String::new();
    irq_matrix_debug_show(k, &mut text, 0);
    out.text(&text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<Op, usize>) {
        let shape = Shape::new(8, 256, 32, 236).unwrap();
        assert_eq!(parse(text, shape).map_err(|(column, ..)| column), expect, "{text}");
    }

    #[test]
    fn an_operation_says_at_which_column_it_is_wrong() {
        check("online 3", Ok(Op::Online(CpuId(3))));
        check("free 1 40 1", Ok(Op::Free(CpuId(1), 40, true)));
        check("online 8", Err(8));
        check("online", Err(7));
        check("online 1 2", Err(10));
        check("alloc 0-9 1", Err(7));
        check("alloc 0-3 2", Err(11));
        check("system 0 256 0", Err(10));
        check("  onlin 1", Err(3));
        check("reserve", Ok(Op::Reserve));
    }
}

#[cfg(test)]
mod mutated {
    use clap::Parser;

    use super::*;
    use crate::mutants::each;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        args: Args,
    }

    fn read(text: &str) -> bool {
        let Options { args } = Options::parse_from(["matrix", "--replay", "-"]);
        replay(&args, &mut Lines::of(text), &mut Output::nowhere()).is_ok()
    }

    #[test]
    fn operations_that_are_nearly_right_are_answered() {
        each("online 0\nonline 1\nreserve\nalloc 0-1\nmanaged 0-1\nfree 0 33\noffline 1\n", read);
    }

    #[test]
    fn sequences_that_are_nearly_right_are_answered() {
        each(
            "{\"cpus\":2,\"matrix_bits\":256,\"alloc_start\":32,\"alloc_end\":236,\
             \"ops\":[\"online 0\",\"reserve\",\"alloc 0\",\"free 0 33\"]}\n",
            read,
        );
    }
}
