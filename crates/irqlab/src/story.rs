//! What `irqlab` tells without a command: how an NVMe controller's interrupts come to their CPUs.

use std::fmt::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use kstate::msi::MsiDesc;
use kstate::semantics::{KernelVersion, Semantics};
use kstate::{Irq, Kernel, PciDevId};
use record::{Entry, Line, Options, Recording, Tree};
use sim::lab::Lab;
use sim::machine::Machine;

use crate::experiment::Experiment;
use crate::input::Output;

/// Options of `irqlab` without a command.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    experiment: Experiment,
}

const HEAD: Style = Style::new().bold();
const CALL: Style = Style::new();
const POINT: Style = AnsiColor::Cyan.on_default();
const NOTE: Style = Style::new().dimmed();

/// What the two phases are told with. A recording has more; `irqlab run` writes all of it.
const PHASE_1: [&str; 18] = [
    "nvme_setup_irqs",
    "pci_alloc_irq_vectors_affinity",
    "msix_capability_init",
    "msix_setup_entries",
    "msix_setup_interrupts",
    "irq_create_affinity_masks",
    "alloc_msi_entry",
    "msi_domain_alloc_irqs",
    "__msi_domain_alloc_irqs",
    "__irq_domain_alloc_irqs",
    "irq_domain_alloc_irqs_locked",
    "alloc_descs",
    "x86_vector_alloc_irqs",
    "reserve_managed_vector",
    "irq_matrix_reserve_managed",
    "irq_domain_activate_irq",
    "x86_vector_activate",
    "__pci_write_msi_msg",
];
const PHASE_2: [&str; 13] = [
    "queue_request_irq",
    "request_threaded_irq",
    "irq_startup",
    "__irq_startup_managed",
    "x86_vector_activate",
    "activate_managed",
    "irq_matrix_alloc_managed",
    "apic_update_vector",
    "apic_update_irq_cfg",
    "irq_do_set_affinity",
    "msi_domain_set_affinity",
    "irq_msi_compose_msg",
    "__pci_write_msi_msg",
];

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let semantics = args.experiment.semantics(KernelVersion::default())?;
    let mut out = Output::styled();
    if let Some(note) = args.experiment.note(&semantics) {
        out.line(format_args!("{NOTE}# {note}{NOTE:#}"))?;
    }
    out.text(&tell(semantics))?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// The whole story, with styles.
pub fn tell(semantics: Semantics) -> String {
    let machine = Machine::embedded(semantics.version);
    let lab = Lab::boot_with(&machine, semantics, true);
    let k = &lab.k;
    let trees = Recording::between(&k.trace, 0..k.trace.records.len(), lab.functions(), Options { io: true });
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = story(&mut out, &lab, &machine, &trees);
    out
}

fn head(out: &mut String, text: &str) -> std::fmt::Result {
    writeln!(out, "\n{HEAD}{text}{HEAD:#}")
}

fn note(out: &mut String, text: &str) -> std::fmt::Result {
    for line in text.lines() {
        writeln!(out, "{NOTE}{line}{NOTE:#}")?;
    }
    Ok(())
}

fn story(out: &mut String, lab: &Lab, machine: &Machine, trees: &Recording) -> std::fmt::Result {
    let k = &lab.k;
    let dev = PciDevId(0);
    let device = &machine.pci[0];
    writeln!(
        out,
        "{HEAD}Linux {} on {} CPUs binds the NVMe controller {} with {} MSI-X vectors{HEAD:#}",
        k.sem.version.name(),
        machine.possible,
        device.address,
        device.msix_vectors,
    )?;

    head(out, "1. The spread: irq_create_affinity_masks() decides which CPUs each vector is for")?;
    let descs = descs(k, dev);
    for (i, (_, desc)) in descs.iter().enumerate() {
        let what = if i == 0 { "(admin)" } else { "(io)" };
        let affinity = desc.affinity.as_ref().and_then(|a| a.first());
        let mask = affinity.map_or_else(|| k.irq.default_affinity.list(), |a| a.mask.list());
        let managed = u8::from(affinity.is_some_and(|a| a.is_managed));
        writeln!(out, "{i} {what:<7} : masks[{i}].mask={mask}, is_managed={managed}")?;
    }
    note(
        out,
        "A managed vector belongs to the kernel: user space cannot move it, and when the last CPU of its\n\
         mask goes offline it is shut down instead of migrated.",
    )?;

    head(out, "2. Phase one: pci_alloc_irq_vectors_affinity() makes descriptors and reserves")?;
    phase(out, trees, "nvme_setup_irqs", &PHASE_1)?;
    note(
        out,
        "Every managed interrupt now has a vector reserved on each CPU of its mask, and none assigned: it\n\
         points at MANAGED_IRQ_SHUTDOWN_VECTOR, 0xef = 239.",
    )?;

    head(out, "3. Phase two: request_irq() assigns the vector and the effective affinity")?;
    phase(out, trees, "queue_request_irq", &PHASE_2)?;
    note(out, "apic_update_irq_cfg() is the only writer of what the message will say: vector and APIC ID.")?;

    head(out, "4. The queues, and what the device was told")?;
    queues(out, k, &descs)?;

    head(out, "5. The vector matrix (/sys/kernel/debug/irq/domains/VECTOR)")?;
    let mut matrix = String::new();
    irqcore::matrix::irq_matrix_debug_show(k, &mut matrix, 0);
    out.push_str(&matrix);

    head(out, "What to try next")?;
    for (command, why) in [
        ("irqlab --kernel v6.12", "the same, five years later"),
        ("irqlab stacks --at irq_msi_compose_msg", "who composes a message, and for whom"),
        ("irqlab stacks --at vector_config", "every writer of vector and destination"),
        ("irqlab spread --cpus 8 --vectors 5 --pre 1", "virtio-blk's spread: 5 vectors on 8 CPUs"),
        ("irqlab run --machine FILE --script FILE --out DIR", "your own machine and script"),
        ("irqlab verify tests/captures/v5.4/nvme-8cpu", "compare with what a real kernel did"),
    ] {
        writeln!(out, "  {command:<52}{NOTE}{why}{NOTE:#}")?;
    }
    Ok(())
}

/// The function's MSI descriptors with their interrupts, by entry.
fn descs(k: &Kernel, dev: PciDevId) -> Vec<(Irq, &MsiDesc)> {
    let of_dev = k.msi.descs.iter().map(|(_, d)| d).filter(|d| d.dev == dev);
    let mut descs: Vec<(Irq, &MsiDesc)> = of_dev.filter_map(|d| Some((d.irq?, d))).collect();
    descs.sort_by_key(|(irq, _)| *irq);
    descs
}

/// The tree in which `function` was called last, cut down to the functions of `keep`.
fn phase(out: &mut String, trees: &Recording, function: &str, keep: &[&str]) -> std::fmt::Result {
    let Some(lines) = trees.trees.iter().rev().find_map(|tree| subtree(tree, function)) else {
        return writeln!(out, "  ({function} did not run)");
    };
    // Depths of the kept lines above the current one.
    let mut above: Vec<usize> = Vec::new();
    let mut shown: Vec<(usize, String, bool)> = Vec::new();
    let mut kept_parent = true;
    for line in lines {
        while above.last().is_some_and(|d| *d >= line.depth) {
            above.pop();
        }
        match &line.entry {
            Entry::Call(name) => {
                kept_parent = keep.contains(&&**name);
                if kept_parent {
                    shown.push((above.len(), name.to_string(), false));
                    above.push(line.depth);
                }
            }
            Entry::Tracepoint(text) => {
                if kept_parent || text.starts_with("vector_") {
                    shown.push((above.len(), format!("@ {text}"), true));
                }
            }
        }
    }
    for (depth, text, point) in collapse(shown) {
        let style = if point { POINT } else { CALL };
        writeln!(out, "  {:width$}{style}{text}{style:#}", "", width = depth * 2)?;
    }
    Ok(())
}

/// The last call of `function` with everything below it.
fn subtree<'a>(tree: &'a Tree, function: &str) -> Option<&'a [Line]> {
    let is = |line: &Line| matches!(&line.entry, Entry::Call(name) if name == function);
    let start = tree.lines.iter().rposition(is)?;
    let depth = tree.lines[start].depth;
    let len = tree.lines[start + 1..].iter().take_while(|l| l.depth > depth).count();
    Some(&tree.lines[start..=start + len])
}

/// Leaves out what repeats: of brothers with the same name two are told and the rest counted.
fn collapse(lines: Vec<(usize, String, bool)>) -> Vec<(usize, String, bool)> {
    const TOLD: usize = 2;
    let mut out: Vec<(usize, String, bool)> = Vec::new();
    let mut i = 0;
    // For each depth: the brother's name, and how many have come.
    let mut brothers: Vec<(String, usize)> = Vec::new();
    while i < lines.len() {
        let (depth, text, point) = &lines[i];
        if *point {
            out.push(lines[i].clone());
            i += 1;
            continue;
        }
        brothers.truncate(depth + 1);
        let again = brothers.get(*depth).is_some_and(|(name, _)| name == text);
        if again {
            brothers[*depth].1 += 1;
        } else {
            brothers.truncate(*depth);
            brothers.resize(*depth, (String::new(), 0));
            brothers.push((text.clone(), 1));
        }
        if brothers[*depth].1 <= TOLD {
            out.push(lines[i].clone());
            i += 1;
            continue;
        }
        // Skip this brother and all that follow directly.
        let mut more = 0;
        while i < lines.len() && lines[i].0 == *depth && lines[i].1 == *text {
            more += 1;
            i += 1;
            while i < lines.len() && lines[i].0 > *depth {
                i += 1;
            }
        }
        out.push((*depth, format!("... and {more} more"), false));
        brothers.truncate(*depth);
    }
    out
}

/// A table of the queues' interrupts.
fn queues(out: &mut String, k: &Kernel, descs: &[(Irq, &MsiDesc)]) -> std::fmt::Result {
    writeln!(out, "queue     irq  requested  effective  vector  APIC dest   address             data")?;
    for (irq, desc) in descs {
        let d = k.desc(*irq);
        let name = d.action.first().map_or("-", |a| &a.name);
        let cfg = x86apic::kernel::vector::irqd_cfg(k, *irq);
        let (vector, dest) = cfg.map_or((0, 0), |cfg| (cfg.vector, cfg.dest_apicid));
        writeln!(
            out,
            "{name:<8} {irq:>4}  {:<9}  {:<9}  {vector:>6}  0x{dest:08x}  {:08x}:{:08x}  0x{:08x}",
            d.irq_common_data.affinity.list(),
            d.irq_common_data.effective_affinity.list(),
            desc.msg.address_hi,
            desc.msg.address_lo,
            desc.msg.data,
        )?;
    }
    Ok(())
}
