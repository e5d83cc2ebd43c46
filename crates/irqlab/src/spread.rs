//! `irqlab spread`: which CPUs each vector of a device gets, as `irq_create_affinity_masks()` says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use irqcore::affinity::{irq_calc_affinity_vectors, irq_create_affinity_masks};
use kstate::msi::{CalcSets, IRQ_AFFINITY_MAX_SETS, IrqAffinity};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::topology::{CpuPlace, Topology};
use kstate::{CpuId, CpuMask, Kernel, NodeId};
use serde::{Deserialize, Serialize};

use crate::exit::DIFFERS;
use crate::input::{
    FileError, Line, Lines, OptionError, Output, check_cpus, complain, expected, kernels, parse_kernel,
};

mod compare;

/// More vectors than any device has; MSI-X ends at 2048.
const MAX_VECTORS: u32 = 65_536;
/// As many nodes as an x86 kernel can be built for.
const MAX_NODES: u32 = 1024;

/// A number of CPUs, for which a list is sometimes taken.
fn count(text: &str) -> Result<u64, String> {
    let list = text.contains(['-', ',']);
    let hint = if list { "; --present takes a list" } else { "" };
    text.parse().map_err(|_| format!("expected a number of CPUs, such as 64{hint}"))
}

/// A machine and a request, or a file of them.
///
/// CPUs that are possible but not present are spread too, after the present ones.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Number of possible CPUs
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = count)]
    cpus: u64,
    /// CPUs that are there [default: all]
    #[arg(long, value_name = "LIST")]
    present: Option<String>,
    /// CPUs of each NUMA node, `;` between them; a node may have none
    #[arg(long, value_name = "LIST;LIST")]
    nodes: Option<String>,
    /// Threads per core; the threads of a core have neighbouring numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: u32,
    /// Core of each CPU, instead of --threads
    #[arg(long, value_name = "N,N,..", value_delimiter = ',', conflicts_with = "threads")]
    cores: Vec<u32>,
    /// CPUs of each L2 cache, `;` between them [default: the threads of a core share one]
    #[arg(long, value_name = "LIST;LIST")]
    l2: Option<String>,
    /// CPUs that are there and not online when the driver asks [default: none]
    #[arg(long, value_name = "LIST")]
    offline: Option<String>,
    /// Number of vectors [default: one per CPU, and --pre and --post]
    #[arg(long, value_name = "N")]
    vectors: Option<u32>,
    /// Vectors at the front that are not spread
    #[arg(long, value_name = "N", default_value_t = 0)]
    pre: u32,
    /// Vectors at the end that are not spread
    #[arg(long, value_name = "N", default_value_t = 0)]
    post: u32,
    /// Sizes of the sets that are spread one by one
    #[arg(long, value_name = "A,B,..", value_delimiter = ',')]
    sets: Vec<u32>,
    /// Which kernel [default: v5.4; all for --batch]
    #[arg(long, value_name = KernelVersion::CHOICE, value_parser = parse_kernel)]
    kernel: Option<KernelVersion>,
    /// Compare with --to: which vectors move, and by which change of behaviour
    #[arg(long, value_name = KernelVersion::CHOICE, value_parser = parse_kernel, requires = "to", conflicts_with_all = ["kernel", "json", "batch"])]
    from: Option<KernelVersion>,
    /// The kernel to compare --from with
    #[arg(long, value_name = KernelVersion::CHOICE, value_parser = parse_kernel, requires = "from")]
    to: Option<KernelVersion>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    /// Answer each line of a file (JSON lines, also gzip; `-` for standard input) with a line of JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["present", "nodes", "cores", "l2", "offline", "vectors", "sets"])]
    batch: Option<PathBuf>,
    /// Compare with the answers in the file instead of printing them
    #[arg(long, requires = "batch")]
    check: bool,
}

#[derive(Clone, Debug)]
struct Places {
    nr_node_ids: u32,
    cpus: Vec<CpuPlace>,
    present: CpuMask,
    /// Those of them that are not online.
    offline: CpuMask,
}

/// The machine of a line. Each kernel reads its lists of CPUs by its own rules.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RawTopology")]
struct Described {
    /// Without the lists.
    places: Places,
    present: String,
    offline: Option<String>,
}

impl Described {
    /// The machine as this kernel understands it, or the text that is wrong and why.
    fn read(&mut self, kernel: KernelVersion) -> Result<&Places, (&str, String)> {
        let (semantics, cpus) = (Semantics::of(kernel), self.places.cpus.len() as u32);
        for (text, mask) in [
            (Some(&self.present), &mut self.places.present),
            (self.offline.as_ref(), &mut self.places.offline),
        ] {
            let Some(text) = text else { continue };
            *mask = CpuMask::parse_list_of(&semantics, text, cpus).map_err(|e| {
                let found = format!("`{text}` is no list of {cpus} CPUs to {} ({e})", kernel.name());
                (text.as_str(), found)
            })?;
        }
        if let Some(cpu) = self.places.offline.andnot(&self.places.present).first() {
            let found = format!("CPU {cpu} is offline, but it is not present");
            return Err((self.offline.as_deref().unwrap_or_default(), found));
        }
        Ok(&self.places)
    }
}

#[derive(Deserialize)]
struct RawTopology {
    nr_node_ids: u32,
    nodes: Vec<u32>,
    cores: Vec<u32>,
    clusters: Option<Vec<u32>>,
    present: String,
    offline: Option<String>,
}

impl TryFrom<RawTopology> for Described {
    type Error = String;

    fn try_from(raw: RawTopology) -> Result<Self, String> {
        let RawTopology { nr_node_ids, nodes, cores, clusters, present, offline } = raw;
        check_cpus(nodes.len() as u64)?;
        for (what, numbers) in [("cores", Some(&cores)), ("clusters", clusters.as_ref())] {
            if let Some(numbers) = numbers.filter(|numbers| numbers.len() != nodes.len()) {
                let found = format!("{} nodes for {} {what}", nodes.len(), numbers.len());
                return Err(format!("{found}: each has one number per CPU"));
            }
        }
        if nr_node_ids > MAX_NODES {
            return Err(format!("{nr_node_ids} nodes, more than a kernel can have ({MAX_NODES})"));
        }
        if let Some(cpu) = nodes.iter().position(|n| *n >= nr_node_ids) {
            return Err(format!("CPU {cpu} is in node {}, but there are only {nr_node_ids}", nodes[cpu]));
        }
        let place = |cpu: usize| CpuPlace {
            node: NodeId(nodes[cpu]),
            core: cores[cpu],
            l2: clusters.as_ref().map(|clusters| clusters[cpu]),
            ..CpuPlace::default()
        };
        let cpus = (0..nodes.len()).map(place).collect();
        let places = Places { nr_node_ids, cpus, present: CpuMask::new(), offline: CpuMask::new() };
        Ok(Self { places, present, offline })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawRequest")]
struct Request {
    nvecs: u32,
    pre_vectors: u32,
    post_vectors: u32,
    sets: Vec<u32>,
}

#[derive(Deserialize)]
struct RawRequest {
    nvecs: u32,
    pre_vectors: u32,
    post_vectors: u32,
    #[serde(default)]
    sets: Vec<u32>,
}

impl TryFrom<RawRequest> for Request {
    type Error = String;

    fn try_from(raw: RawRequest) -> Result<Self, String> {
        let RawRequest { nvecs, pre_vectors, post_vectors, sets } = raw;
        let numbers = [nvecs, pre_vectors, post_vectors];
        match numbers.iter().chain(&sets).find(|n| **n > MAX_VECTORS) {
            Some(n) => Err(format!("{n} vectors, more than any device has ({MAX_VECTORS})")),
            None => Ok(Self { nvecs, pre_vectors, post_vectors, sets }),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Calc {
    minvec: u32,
    maxvec: u32,
    pre_vectors: u32,
    post_vectors: u32,
    calc_sets: bool,
}

#[derive(Debug, Deserialize)]
struct Case {
    topology: Described,
    request: Request,
    calc: Option<Calc>,
    expect: Option<BTreeMap<String, Answer>>,
}

/// What a kernel answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Answer {
    /// CPU list and `is_managed` of each vector; nothing where the kernel returns NULL.
    masks: Option<Vec<(String, bool)>>,
    /// A WARN fired.
    warned: bool,
    /// The answer of `irq_calc_affinity_vectors()`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calc_vectors: Option<u32>,
}

fn machine(semantics: Semantics, places: &Places) -> Kernel {
    let cpus = places.cpus.len() as u32;
    let online = places.present.andnot(&places.offline);
    let mut topo = Topology {
        cpus: places.cpus.clone(),
        nr_cpu_ids: cpus,
        nr_node_ids: places.nr_node_ids,
        possible: CpuMask::first_n(cpus),
        present: places.present.clone(),
        active: online.clone(),
        siblings: vec![CpuMask::new(); places.cpus.len()],
        ..Topology::default()
    };
    // A CPU that is offline has neither siblings nor a cluster, and is none of others.
    for cpu in online.iter() {
        topo.set_cpu_sibling_map(cpu);
    }
    topo.online = online;
    let mut k = Kernel { sem: semantics, topo: kstate::shared::Shared::new(topo), ..Kernel::default() };
    k.irq.default_affinity = k.topo.possible.clone();
    k
}

/// Asks one kernel. The second value are the warnings it printed.
fn answer(
    semantics: Semantics,
    places: &Places,
    request: &Request,
    calc: Option<&Calc>,
) -> (Answer, Vec<String>) {
    let mut k = machine(semantics, places);
    let mut affd = IrqAffinity {
        pre_vectors: request.pre_vectors,
        post_vectors: request.post_vectors,
        ..IrqAffinity::default()
    };
    if !request.sets.is_empty() {
        // As many sets as were asked for, but there is room only for the first sizes.
        affd.nr_sets = request.sets.len() as u32;
        for (size, set) in affd.set_size.iter_mut().zip(&request.sets) {
            *size = *set;
        }
        affd.calc_sets = Some(KEEP_SETS);
    }
    let masks = irq_create_affinity_masks(&mut k, request.nvecs, &mut affd)
        .map(|masks| masks.iter().map(|d| (d.mask.list(), d.is_managed)).collect());
    let warned = k.warnings > 0;
    let calc_vectors = calc.map(|calc| {
        let Calc { minvec, maxvec, pre_vectors, post_vectors, calc_sets } = *calc;
        let calc_sets = calc_sets.then_some(KEEP_SETS);
        let affd = IrqAffinity { pre_vectors, post_vectors, calc_sets, ..IrqAffinity::default() };
        irq_calc_affinity_vectors(&mut k, minvec, maxvec, &affd)
    });
    (Answer { masks, warned, calc_vectors }, k.log.to_vec())
}

/// The machine that the options describe.
fn places(args: &Args) -> Result<Places, OptionError> {
    let count = format!("a number from 1 to {}", kstate::cpumask::MAX_CPUS);
    let cpus = check_cpus(args.cpus).map_err(|e| OptionError::new("--cpus", e, count))?;
    // Two kernels that are compared get the same machine, which the first one describes.
    let kernel = args.kernel.or(args.from).unwrap_or_else(|| KernelVersion::ALL[0]);
    let semantics = Semantics::of(kernel);
    let list = |option, text: &str| {
        CpuMask::parse_list_of(&semantics, text, cpus).map_err(|e| {
            let expected = format!("CPUs from 0 to {}, such as `0-3,8`", cpus - 1);
            OptionError::new(option, format!("`{text}` is no list of this machine's CPUs ({e})"), expected)
        })
    };
    let present =
        args.present.as_deref().map_or_else(|| Ok(CpuMask::first_n(cpus)), |t| list("--present", t))?;
    let offline = args.offline.as_deref().map_or_else(|| Ok(CpuMask::new()), |t| list("--offline", t))?;
    if let Some(cpu) = offline.andnot(&present).first() {
        let found = format!("CPU {cpu} is offline and not present");
        return Err(OptionError::new("--offline", found, "CPUs of --present"));
    }
    let lists = |option, text: &str| text.split(';').map(|t| list(option, t)).collect::<Result<_, _>>();
    let nodes: Vec<CpuMask> = match &args.nodes {
        None => vec![CpuMask::first_n(cpus)],
        Some(text) => lists("--nodes", text)?,
    };
    if let ([_], Some(text)) = (&nodes[..], args.nodes.as_deref().filter(|text| text.contains(','))) {
        complain(format_args!(
            "--nodes {text} is one node; `;` stands between nodes: --nodes '{}'",
            text.replace(',', ";")
        ));
    }
    let l2: Option<Vec<CpuMask>> = args.l2.as_deref().map(|text| lists("--l2", text)).transpose()?;
    if nodes.len() > MAX_NODES as usize {
        let found = format!("{} nodes", nodes.len());
        return Err(OptionError::new("--nodes", found, format!("at most {MAX_NODES}")));
    }
    if args.threads == 0 {
        return Err(OptionError::new("--threads", "cores without threads", "1 or more"));
    }
    if !args.cores.is_empty() && args.cores.len() != cpus as usize {
        let found = format!("{} numbers for {cpus} CPUs", args.cores.len());
        return Err(OptionError::new("--cores", found, "the core of each CPU"));
    }
    let mut places: Vec<CpuPlace> = Vec::new();
    for cpu in (0..cpus).map(CpuId) {
        let node = NodeId(the_one("--nodes", "node", &nodes, cpu)?);
        let core = args.cores.get(cpu.index()).copied().unwrap_or(cpu.0 / args.threads);
        let l2 = l2.as_ref().map(|l2| the_one("--l2", "L2", l2, cpu)).transpose()?;
        places.push(CpuPlace { node, core, l2, ..CpuPlace::default() });
    }
    caches_are_whole(&places)?;
    Ok(Places { nr_node_ids: nodes.len() as u32, cpus: places, present, offline })
}

/// No L2 has CPUs of two nodes, and none has a part of a core's threads.
fn caches_are_whole(places: &[CpuPlace]) -> Result<(), OptionError> {
    let (mut of_core, mut of_l2) = (BTreeMap::new(), BTreeMap::new());
    for (cpu, place) in places.iter().enumerate() {
        let Some(l2) = place.l2 else { continue };
        let (mate, its) = *of_core.entry((place.node, place.core)).or_insert((cpu, l2));
        if its != l2 {
            let found = format!("CPUs {mate} and {cpu} are threads of a core and have two L2s");
            return Err(OptionError::new("--l2", found, "all threads of a core in one list"));
        }
        let (first, node) = *of_l2.entry(l2).or_insert((cpu, place.node));
        if node != place.node {
            let found = format!("CPUs {first} and {cpu} share an L2 and are in two nodes");
            return Err(OptionError::new("--l2", found, "CPUs of one node in each list"));
        }
    }
    Ok(())
}

/// Which of an option's lists has a CPU: exactly one does.
fn the_one(option: &'static str, what: &str, lists: &[CpuMask], cpu: CpuId) -> Result<u32, OptionError> {
    let mut inside = lists.iter().enumerate().filter(|(_, list)| list.contains(cpu)).map(|(i, _)| i as u32);
    match (inside.next(), inside.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(OptionError::new(option, format!("CPU {cpu} is in no {what}"), "every CPU once")),
        (Some(a), Some(b)) => {
            let found = format!("CPU {cpu} is in {what}s {a} and {b}");
            Err(OptionError::new(option, found, "every CPU once"))
        }
    }
}

fn request(args: &Args) -> Result<Request, OptionError> {
    let limit = |option, n: u32| match n {
        0..=MAX_VECTORS => Ok(n),
        _ => Err(OptionError::new(option, format!("{n} vectors"), format!("at most {MAX_VECTORS}"))),
    };
    let pre_vectors = limit("--pre", args.pre)?;
    let post_vectors = limit("--post", args.post)?;
    let nvecs = args.vectors.unwrap_or((args.cpus as u32).saturating_add(pre_vectors + post_vectors));
    let nvecs = limit("--vectors", nvecs)?;
    let sets = args.sets.iter().map(|n| limit("--sets", *n)).collect::<Result<_, _>>()?;
    Ok(Request { nvecs, pre_vectors, post_vectors, sets })
}

/// Runs the subcommand.
///
/// # Errors
/// For options and files that make no sense, and for output that cannot be written.
pub fn run(args: Args) -> diagnostic::Result<ExitCode> {
    match &args.batch {
        Some(path) => batch(&args, &path.clone()),
        None => single(&args),
    }
}

fn single(args: &Args) -> diagnostic::Result<ExitCode> {
    let (places, request) = (places(args)?, request(args)?);
    if let (Some(from), Some(to)) = (args.from, args.to) {
        return compare::compare(from, to, &places, &request);
    }
    let version = args.kernel.unwrap_or_default();
    let (answer, log) = answer(Semantics::of(version), &places, &request, None);
    let mut out = Output::new();
    if args.json {
        out.line(to_json(&BTreeMap::from([(version.name(), answer)])))?;
        out.finish()?;
        return Ok(ExitCode::SUCCESS);
    }
    out.line(format_args!("{}: {}", version.name(), question(&places, &request)))?;
    for line in log {
        out.line(format_args!("kernel log: {line}"))?;
    }
    match answer.masks {
        Some(masks) => {
            for (i, (mask, managed)) in masks.iter().enumerate() {
                out.line(format_args!("masks[{i}].mask={mask}, is_managed={}", u8::from(*managed)))?;
            }
        }
        None => out.line(format_args!("NULL: {}", why_null(&request)))?,
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// What a kernel is asked.
fn question(places: &Places, request: &Request) -> String {
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let offline = match places.offline.weight() {
        0 => String::new(),
        n => format!(" and {n} of these offline"),
    };
    format!(
        "{} on {}, {} of them present{offline}, in {}",
        plural(request.nvecs as usize, "vector"),
        plural(places.cpus.len(), "CPU"),
        places.present.weight(),
        plural(places.nr_node_ids as usize, "node"),
    )
}

/// Why a kernel spreads nothing.
fn why_null(request: &Request) -> String {
    let Request { nvecs, pre_vectors, post_vectors, sets } = request;
    if sets.len() > IRQ_AFFINITY_MAX_SETS {
        format!("{} sets, and a kernel has room for {IRQ_AFFINITY_MAX_SETS}", sets.len())
    } else if *nvecs <= pre_vectors + post_vectors {
        "there is no vector besides those that are not spread".to_owned()
    } else {
        "a set without vectors".to_owned()
    }
}

fn to_json<T: Serialize>(value: &T) -> String {
    // Strings, numbers and lists of them always have a form in JSON.
    serde_json::to_string(value).unwrap_or_default()
}

fn batch(args: &Args, path: &std::path::Path) -> diagnostic::Result<ExitCode> {
    let mut lines = Lines::open(path)?;
    let mut out = Output::new();
    let versions = kernels(args.kernel);
    let (mut asked, mut answers, mut differ) = (0u64, 0u64, 0u64);
    while let Some(line) = lines.next_line()? {
        let mut case: Case =
            line.json("an object with `topology`, `request` and optionally `calc` and `expect`")?;
        asked += 1;
        let mut found = BTreeMap::new();
        for &version in &versions {
            let places = case.topology.read(version).map_err(|(text, found)| {
                let at = line.text.find(&format!("\"{text}\"")).unwrap_or_default();
                line.error(at + 1, found, "numbers and ranges, such as `0-3,8`")
            })?;
            let (got, _) = answer(Semantics::of(version), places, &case.request, case.calc.as_ref());
            if args.check {
                let expect = expectation(&line, &case, version)?;
                answers += 1;
                if let Some(text) = difference(&got, expect) {
                    differ += 1;
                    out.line(format_args!("{}:{}: {}: {text}", path.display(), line.number, version.name()))?;
                }
            } else {
                found.insert(version.name(), got);
            }
        }
        if !args.check {
            out.line(to_json(&found))?;
            // The text is all there is.
            if out.is_gone() {
                break;
            }
        }
    }
    if args.check {
        out.line(format_args!("{asked} lines, {answers} answers, {differ} differ"))?;
    }
    out.finish()?;
    Ok(if differ == 0 { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

fn expectation<'a>(line: &Line, case: &'a Case, version: KernelVersion) -> Result<&'a Answer, FileError> {
    case.expect.as_ref().and_then(|e| expected(e, version)).ok_or_else(|| {
        let name = version.name();
        line.error(
            1,
            format!("this line has no answer of {name}"),
            format!("an `expect` with `{name}` in it"),
        )
    })
}

/// The first thing in which two answers differ.
fn difference(got: &Answer, expect: &Answer) -> Option<String> {
    if got.warned != expect.warned {
        return Some(format!("warned: expected {}, got {}", expect.warned, got.warned));
    }
    if expect.calc_vectors.is_some() && got.calc_vectors != expect.calc_vectors {
        return Some(format!("calc_vectors: expected {:?}, got {:?}", expect.calc_vectors, got.calc_vectors));
    }
    match (&got.masks, &expect.masks) {
        (None, None) => None,
        (Some(got), Some(expect)) if got.len() == expect.len() => {
            let i = got.iter().zip(expect).position(|(g, e)| g != e)?;
            let text =
                |(mask, managed): &(String, bool)| format!("{mask}, is_managed={}", u8::from(*managed));
            Some(format!("masks[{i}]: expected {}, got {}", text(&expect[i]), text(&got[i])))
        }
        (got, expect) => {
            let text =
                |m: &Option<Vec<_>>| m.as_ref().map_or("NULL".to_owned(), |m| format!("{} masks", m.len()));
            Some(format!("expected {}, got {}", text(expect), text(got)))
        }
    }
}

const KEEP_SETS: CalcSets = CalcSets { name: "keep_sets", call: keep_sets };

/// A `calc_sets` callback for requests whose sets are given beforehand: it leaves them alone.
fn keep_sets(_: &mut Kernel, _: &mut IrqAffinity, _: u32) {}

#[cfg(test)]
mod mutated {
    use super::*;
    use crate::mutants::each;

    #[test]
    fn lines_that_are_nearly_right_are_answered() {
        let batch = "{\"topology\":{\"nr_node_ids\":2,\"nodes\":[0,0,1,1],\"cores\":[0,1,2,3],\"present\":\"0-3\"},\
                     \"request\":{\"nvecs\":4,\"pre_vectors\":1,\"post_vectors\":0,\"sets\":[3]}}";
        each(batch, |text| {
            let line = Line { path: PathBuf::from("-"), number: 1, text: text.to_owned() };
            let Ok(mut case) = line.json::<Case>("a case") else { return false };
            for version in kernels(None) {
                let Ok(places) = case.topology.read(version) else { return false };
                answer(Semantics::of(version), places, &case.request, case.calc.as_ref());
            }
            true
        });
    }
}
