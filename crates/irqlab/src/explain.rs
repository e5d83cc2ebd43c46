//! `irqlab explain`: what a function, a behaviour, a flag or a tracepoint is for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::process::ExitCode;

use anstyle::Style;
use kstate::semantics::{Field, KernelVersion, Semantics, Value};
use petgraph::Direction;
use record::formats::{Slice, graph};
use record::functions::Functions;
use record::stacks;
use serde::Deserialize;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

use crate::flags;
use crate::input::print;
use crate::names::{near, tracepoints};

/// Options of `irqlab explain`.
#[derive(clap::Args)]
pub struct Args {
    /// A kernel function, a field of `irqlab semantics`, an IRQD_* or IRQS_* flag, or a tracepoint
    #[arg(value_name = "NAME")]
    name: String,
}

/// Our texts, by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    functions: BTreeMap<String, String>,
    flags: BTreeMap<String, String>,
    tracepoints: BTreeMap<String, String>,
}

/// What the embedded machine does so that there is something to see: a read, a CPU that goes and
/// comes back, a reset, and the driver's farewell.
const SCRIPT: &str = "\
taskset -c 3 dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=1 iflag=direct
echo 0 > /sys/devices/system/cpu/cpu3/online
sleep 1
echo 1 > /sys/devices/system/cpu/cpu3/online
sleep 1
echo 1 > /sys/class/nvme/nvme0/reset_controller
sleep 1
echo 0000:00:03.0 > /sys/bus/pci/drivers/nvme/unbind
sleep 1
";

const HEAD: Style = Style::new().bold();
const NOTE: Style = Style::new().dimmed();

/// Texts of functions that no capture shows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct More {
    functions: BTreeMap<String, String>,
}

fn texts() -> diagnostic::Result<Texts> {
    let mut texts: Texts = toml::from_str(include_str!("../data/explain.toml"))
        .map_err(|e| diagnostic::report!("explain.toml: {e}"))?;
    let more: More = toml::from_str(include_str!("../data/explain-more.toml"))
        .map_err(|e| diagnostic::report!("explain-more.toml: {e}"))?;
    texts.functions.extend(more.functions);
    Ok(texts)
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let name = args.name.trim_end_matches("()");
    let texts = texts()?;
    let mut out = String::new();
    // Some names are two things, such as `irq_matrix_alloc`: a function and the tracepoint in it.
    let functions = KernelVersion::ALL.iter().map(|v| Functions::of(*v).get(name));
    let is_function = functions.flatten().next().is_some() || texts.functions.contains_key(name);
    let is_tracepoint = tracepoints().any(|t| t == name);
    let kernels = if is_function || is_tracepoint { KernelVersion::ALL } else { &[] };
    let labs: Vec<Ran> = kernels.iter().map(|version| ran(*version)).collect();
    // Writing to a string cannot fail.
    if is_function {
        let _ = function(&mut out, name, texts.functions.get(name), &labs);
    }
    if is_tracepoint {
        let _ = tracepoint(&mut out, name, texts.tracepoints.get(name), &labs);
    }
    if let Some(text) = texts.flags.get(name) {
        let _ = flag(&mut out, name, text);
    }
    if let Some(field) = Semantics::field(name) {
        let _ = behaviour(&mut out, field);
    }
    if out.is_empty() {
        let known = KernelVersion::ALL.iter().flat_map(|v| Functions::of(*v).iter().map(|f| f.name));
        let fields = Semantics::fields().iter().map(|f| f.name);
        let flags = texts.flags.keys().map(String::as_str);
        let help = near(known.chain(fields).chain(flags).chain(tracepoints()), name);
        let help = help.unwrap_or_else(|| "functions in scope are listed in crates/record/data".to_owned());
        return Err(diagnostic::report!(help = help, "nothing here is called `{name}`"));
    }
    print(out.trim_start())?;
    Ok(ExitCode::SUCCESS)
}

/// A machine that ran.
struct Ran {
    lab: Lab,
    /// Which functions changed which flags.
    changes: flags::Changes,
}

/// The embedded machine under a kernel, after the script.
fn ran(version: KernelVersion) -> Ran {
    let mut lab = Lab::boot(&Machine::embedded(version));
    flags::watch(&mut lab.k);
    if let Ok(script) = Script::parse("explain", SCRIPT) {
        lab.run_each(&script, |_| {}, |_, _| {});
    }
    let changes = flags::seen(&mut lab.k);
    Ran { lab, changes }
}

fn title(out: &mut String, name: &str, kind: &str) -> fmt::Result {
    writeln!(out, "\n{HEAD}{name}{HEAD:#}  {NOTE}{kind}{NOTE:#}")
}

/// Text in lines of a terminal's width.
fn paragraph(out: &mut String, text: &str) -> fmt::Result {
    const WIDTH: usize = 96;
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.len() > WIDTH {
            writeln!(out)?;
            column = 0;
        }
        let space = if column > 0 { " " } else { "" };
        write!(out, "{space}{word}")?;
        column += space.len() + word.len();
    }
    writeln!(out)
}

fn function(out: &mut String, name: &str, text: Option<&String>, labs: &[Ran]) -> fmt::Result {
    title(out, name, "function")?;
    if let Some(text) = text {
        paragraph(out, text)?;
    }
    for Ran { lab, changes } in labs {
        let version = lab.k.sem.version;
        let Some(f) = Functions::of(version).get(name) else {
            writeln!(out, "\n  {HEAD}{:<6}{HEAD:#} there is none in this kernel", version.name())?;
            continue;
        };
        let seen = if f.traceable { "" } else { ", which its tracer does not show" };
        writeln!(out, "\n  {HEAD}{:<6}{HEAD:#} {}:{}{NOTE}{seen}{NOTE:#}", version.name(), f.file, f.line)?;
        let records = 0..lab.k.trace.records.len();
        let slice = Slice { trace: &lab.k.trace, records, functions: lab.functions() };
        let calls = graph::calls(&slice);
        let Some(node) = calls.node_indices().find(|n| calls[*n].0[0] == name) else {
            if f.traceable {
                writeln!(out, "         {NOTE}not called when the embedded machine runs{NOTE:#}")?;
            }
            continue;
        };
        for (label, direction) in [("called by", Direction::Incoming), ("calls", Direction::Outgoing)] {
            let names: BTreeSet<&str> =
                calls.neighbors_directed(node, direction).map(|n| calls[n].0[0].as_str()).collect();
            if !names.is_empty() {
                let names: Vec<&str> = names.into_iter().collect();
                writeln!(out, "         {label:<9} {}", names.join(", "))?;
            }
        }
        let changed = changes.get(name).cloned().unwrap_or_default();
        for (label, flags) in [("sets", changed.set), ("clears", changed.cleared)] {
            if !flags.is_empty() {
                let flags: Vec<&str> = flags.into_iter().collect();
                writeln!(out, "         {label:<9} {}", flags.join(", "))?;
            }
        }
    }
    Ok(())
}

fn tracepoint(out: &mut String, name: &str, text: Option<&String>, labs: &[Ran]) -> fmt::Result {
    title(out, name, "tracepoint")?;
    if let Some(text) = text {
        paragraph(out, text)?;
    }
    for Ran { lab, .. } in labs {
        let fired = stacks::reaching(&lab.k.trace, name, lab.functions());
        let version = lab.k.sem.version.name();
        let mut from: Vec<&str> = Vec::new();
        for stack in &fired {
            if let Some(function) = stack.frames.first()
                && !from.contains(&&**function)
            {
                from.push(function);
            }
        }
        match fired.first().and_then(|s| s.fired.first()) {
            None => writeln!(
                out,
                "\n  {HEAD}{version:<6}{HEAD:#} {NOTE}does not fire when the embedded machine runs{NOTE:#}"
            )?,
            Some(example) => {
                writeln!(out, "\n  {HEAD}{version:<6}{HEAD:#} in {}", from.join(", "))?;
                writeln!(out, "         {NOTE}{example}{NOTE:#}")?;
            }
        }
    }
    Ok(())
}

fn flag(out: &mut String, name: &str, text: &str) -> fmt::Result {
    let place = if name.starts_with("IRQD_") { "flag of dstate" } else { "flag of istate" };
    title(out, name, place)?;
    paragraph(out, text)
}

fn behaviour(out: &mut String, field: &Field) -> fmt::Result {
    title(out, field.name, "behaviour")?;
    paragraph(out, field.doc)?;
    writeln!(out, "\n  {} in {}{NOTE}  {}{NOTE:#}", field.function, field.file, field.changed())?;
    for Value { word, text, .. } in field.values {
        writeln!(out, "  {word:<12} {text}")?;
    }
    for &version in KernelVersion::ALL {
        writeln!(out, "  {HEAD}{:<6}{HEAD:#} {}", version.name(), field.of(version))?;
    }
    for Value { word, release, .. } in field.values {
        if let Some(release) = release {
            writeln!(out, "  {HEAD}{release}{HEAD:#} {word}")?;
        }
    }
    writeln!(out, "  {NOTE}irqlab run --set {}=VALUE ... changes it{NOTE:#}", field.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_in_scope_has_its_own_text() {
        let texts = texts().unwrap();
        let known: BTreeSet<&str> = texts.functions.keys().map(String::as_str).collect();
        let mut scope = BTreeSet::new();
        for &version in KernelVersion::ALL {
            let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
            for function in Functions::of(version).iter() {
                scope.insert(function.name);
                let text = texts.functions.get(function.name).map_or("", String::as_str);
                let other = owners.insert(text, function.name);
                assert_eq!(other, None, "{} has the same text", function.name);
            }
        }
        let missing: Vec<&&str> = scope.difference(&known).collect();
        assert!(missing.is_empty(), "without text: {missing:?}");
        let strange: Vec<&&str> = known.difference(&scope).collect();
        assert!(strange.is_empty(), "no such function: {strange:?}");
    }

    #[test]
    fn no_text_is_there_twice() {
        let keys = |file: &str| {
            let lines =
                file.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
            lines.collect::<BTreeSet<String>>()
        };
        let (head, _) = include_str!("../data/explain.toml").split_once("[flags]").unwrap();
        let both: Vec<String> =
            keys(head).intersection(&keys(include_str!("../data/explain-more.toml"))).cloned().collect();
        assert!(both.is_empty(), "{both:?}");
    }

    #[test]
    fn every_flag_and_tracepoint_has_its_text() {
        let texts = texts().unwrap();
        let points: Vec<&str> = texts.tracepoints.keys().map(String::as_str).collect();
        assert_eq!(points, tracepoints().collect::<Vec<_>>());
        let source = include_str!("../../kstate/src/irqdesc.rs");
        let declared: BTreeSet<&str> = source
            .lines()
            .filter_map(|line| line.trim().split_once(" = "))
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("IRQD_") || name.starts_with("IRQS_"))
            .collect();
        let known: BTreeSet<&str> = texts.flags.keys().map(String::as_str).collect();
        assert_eq!(known, declared);
    }

    #[test]
    fn texts_are_two_to_five_sentences() {
        let Texts { functions, flags, tracepoints } = texts().unwrap();
        for (name, text) in functions.iter().chain(&flags).chain(&tracepoints) {
            assert!(text.ends_with('.') && text.len() < 600, "{name}: {text}");
            let sentences = format!("{text} ").matches(". ").count();
            assert!((2..=5).contains(&sentences), "{name}: {text}");
        }
    }

    #[test]
    fn callers_and_callees_come_from_what_ran() {
        let labs: Vec<Ran> = KernelVersion::ALL.iter().map(|version| ran(*version)).collect();
        let mut out = String::new();
        function(&mut out, "migrate_one_irq", None, &labs).unwrap();
        for part in
            ["called by irq_migrate_all_off_this_cpu", "kernel/irq/cpuhotplug.c:52", "irq_fixup_move_pending"]
        {
            assert!(anstream::adapter::strip_str(&out).to_string().contains(part), "{out}");
        }
        for (name, parts) in [
            ("irq_shutdown", &["clears    IRQD_IRQ_STARTED"][..]),
            ("irq_state_set_disabled", &[]),
            ("mask_irq", &["sets      IRQD_IRQ_MASKED"]),
            ("handle_irq_event", &["sets      IRQD_IRQ_INPROGRESS", "clears    IRQD_IRQ_INPROGRESS"]),
            ("migrate_one_irq", &["IRQD_MANAGED_SHUTDOWN"]),
        ] {
            let mut out = String::new();
            function(&mut out, name, None, &labs).unwrap();
            for part in parts {
                assert!(out.contains(part), "{part} in {out}");
            }
        }
        let mut out = String::new();
        function(&mut out, "do_IRQ", None, &labs).unwrap();
        assert!(out.contains("there is none in this kernel"), "{out}");
        let mut out = String::new();
        tracepoint(&mut out, "vector_config", None, &labs).unwrap();
        assert!(out.contains("in apic_update_irq_cfg"), "{out}");
    }
}
