//! `irqlab stacks`: on which kernel stacks something was reached.

use std::path::PathBuf;
use std::process::ExitCode;

use anstream::println;
use kstate::semantics::KernelVersion;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;
use sim::state::Sections;

use crate::run::{kernel, read};

/// Options of `irqlab stacks`.
#[derive(clap::Args)]
pub struct Args {
    /// A kernel function or a tracepoint
    #[arg(long, value_name = "FUNCTION|TRACEPOINT")]
    at: String,
    /// Kernel of the embedded machine
    #[arg(long, value_name = "VERSION", value_parser = kernel, conflicts_with = "machine")]
    kernel: Option<KernelVersion>,
    /// Machine file instead of the embedded machine
    #[arg(long, value_name = "FILE", requires = "script")]
    machine: Option<PathBuf>,
    /// Script instead of booting and binding alone
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// Tracepoints by name, for the question whether a name means anything.
const TRACEPOINTS: [&str; 26] = [
    "irq_handler_entry",
    "irq_handler_exit",
    "irq_matrix_alloc",
    "irq_matrix_alloc_managed",
    "irq_matrix_alloc_reserved",
    "irq_matrix_assign",
    "irq_matrix_assign_system",
    "irq_matrix_free",
    "irq_matrix_offline",
    "irq_matrix_online",
    "irq_matrix_remove_managed",
    "irq_matrix_remove_reserved",
    "irq_matrix_reserve",
    "irq_matrix_reserve_managed",
    "vector_activate",
    "vector_alloc",
    "vector_alloc_managed",
    "vector_clear",
    "vector_config",
    "vector_deactivate",
    "vector_free_moved",
    "vector_reserve",
    "vector_reserve_managed",
    "vector_setup",
    "vector_teardown",
    "vector_update",
];

/// Runs the command.
pub fn run(args: &Args) -> miette::Result<ExitCode> {
    let machine = match &args.machine {
        None => Machine::embedded(args.kernel.unwrap_or_default()),
        Some(path) => {
            Machine::parse(&path.display().to_string(), &read(path)?).map_err(|e| miette::Report::new(*e))?
        }
    };
    let mut lab = Lab::boot(&machine);
    if let Some(path) = &args.script {
        let script = Script::parse(&path.display().to_string(), &read(path)?)?;
        lab.run(&script, |_| Sections::default());
    }
    let functions = lab.functions();
    if functions.get(&args.at).is_none() && !TRACEPOINTS.contains(&args.at.as_str()) {
        let names = functions.iter().map(|f| &*f.name).chain(TRACEPOINTS);
        return Err(miette::miette!(
            help = near(names, &args.at),
            "`{}` is no function in scope of {} and no tracepoint",
            args.at,
            lab.k.sem.version.name()
        ));
    }
    let stacks = sim::stacks::reaching(&lab.k.trace, &args.at, functions);
    if stacks.is_empty() {
        println!("{} was not reached", args.at);
    }
    for (i, stack) in stacks.iter().enumerate() {
        if i > 0 {
            println!();
        }
        println!("# {}, {} {}", stack.actor, stack.count, if stack.count == 1 { "time" } else { "times" });
        anstream::print!("{}", sim::stacks::print(stack));
    }
    Ok(ExitCode::SUCCESS)
}

/// What a misspelt name may have meant.
fn near<'a>(names: impl Iterator<Item = &'a str>, wanted: &str) -> String {
    let mut close: Vec<(usize, &str)> = names.map(|name| (distance(name, wanted), name)).collect();
    close.sort_unstable();
    close.dedup();
    let close: Vec<&str> =
        close.iter().take(3).filter(|(d, _)| *d <= wanted.len() / 2).map(|(_, name)| *name).collect();
    if close.is_empty() {
        "functions in scope are listed in crates/sim/data".to_owned()
    } else {
        format!("did you mean {}?", close.join(", "))
    }
}

/// The edit distance of two names.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let cost = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        let names = ["irq_startup", "irq_shutdown", "vector_config"];
        assert_eq!(near(names.into_iter(), "irq_startpu"), "did you mean irq_startup?");
    }
}
