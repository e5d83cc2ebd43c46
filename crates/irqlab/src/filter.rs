//! What of a recording is shown: the same options wherever something recorded is printed.

use kstate::{Irq, Kernel};
use record::filter::{Filter, Nothing};
use record::functions::Functions;

use crate::input::OptionError;

/// Options that pick what is shown.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(id = "filter")]
pub struct Args {
    /// Show only what is about this interrupt, and the calls around it; may be repeated
    #[arg(long, value_name = "N")]
    irq: Vec<u32>,
    /// Show only calls of these functions and what is below them, as in nvme_reset_work or 'irq_matrix_*'; may be repeated
    #[arg(long, value_name = "PATTERN")]
    function: Vec<String>,
    /// Show so many levels of calls at most, from the first of --function or the outermost
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    depth: Option<u32>,
    /// Show only what these actors do, as in kworker, 'cpuhp/*' or 'irq 29*'; may be repeated
    #[arg(long, value_name = "PATTERN")]
    actor: Vec<String>,
    /// Show calls with their arguments
    #[arg(long)]
    args: bool,
}

impl Args {
    /// The filter that they stand for.
    pub fn filter(&self) -> Filter {
        Filter {
            irqs: self.irq.iter().map(|irq| Irq(*irq)).collect(),
            functions: self.function.clone(),
            depth: self.depth.map(|depth| depth as usize),
            actors: self.actor.clone(),
            args: self.args,
        }
    }
}

/// Whether a filter can show anything of a run.
///
/// # Errors
/// For one that cannot.
pub fn check(filter: &Filter, k: &Kernel) -> Result<(), OptionError> {
    fitted(filter.check(k, Functions::of(k.sem.version)).err().as_ref())
}

/// The same, where that was found out.
///
/// # Errors
/// For one that cannot.
pub fn fitted(nothing: Option<&Nothing>) -> Result<(), OptionError> {
    let Some(Nothing { part, found, there }) = nothing else { return Ok(()) };
    let option = match *part {
        "irq" => "--irq",
        "function" => "--function",
        _ => "--actor",
    };
    Err(OptionError::new(option, found, there))
}
