//! `irqlab import`: files of a real machine, as a machine file.

use std::path::PathBuf;
use std::process::ExitCode;

use ::import::{COLLECT, Options, Source};
use diagnostic::file::{self, Existing};
use kstate::CpuMask;
use kstate::cpumask::MAX_CPUS;
use kstate::semantics::KernelVersion;

use crate::exit::DIFFERS;
use crate::input::{Output, kernel};

/// Options of `irqlab import`.
#[derive(clap::Args)]
pub struct Args {
    /// A running system (/), a folder or tar archive with its /proc and /sys (own collector, sos report, sysinfo.tgz
    /// of a must-gather, hwloc-gather-topology), a state of a capture, a text of /proc/interrupts, or - for standard
    /// input
    #[arg(value_name = "SOURCE", required_unless_present = "collect")]
    source: Option<PathBuf>,
    /// Machine file to write [default: it is printed, and the account goes to standard error]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace FILE
    #[arg(long, requires = "out")]
    force: bool,
    /// Boot the machine and compare it with the source, interrupt by interrupt; nothing is printed but that
    #[arg(long)]
    check: bool,
    /// The kernel that runs on it [default: the nearest one]
    #[arg(long = "as", value_name = "KERNEL", value_parser = kernel)]
    kernel: Option<KernelVersion>,
    /// How many CPUs there can be, where no file says it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CPUS)))]
    possible: Option<u32>,
    /// CPUs and their node, where no file says it: `56-63=1`
    #[arg(long, value_name = "LIST=NODE", value_parser = node_of)]
    node_of: Vec<(CpuMask, u32)>,
    /// Print a shell script that gathers on a running system what is needed, and reads only
    #[arg(long, conflicts_with_all = ["source", "out", "check"])]
    collect: bool,
}

fn node_of(text: &str) -> Result<(CpuMask, u32), String> {
    let mistake = || "expected a list of CPUs and a node, as in 56-63=1".to_owned();
    let (list, node) = text.split_once('=').ok_or_else(mistake)?;
    let cpus = CpuMask::parse_list(list, MAX_CPUS).map_err(|_| mistake())?;
    let node: u32 = node.parse().map_err(|_| mistake())?;
    if node < 1024 { Ok((cpus, node)) } else { Err(mistake()) }
}

/// Runs the command. Exit status 1 with `--check` says that something does not agree that has to.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let mut out = Output::new();
    let Some(path) = &args.source else {
        out.text(COLLECT)?;
        out.finish()?;
        return Ok(ExitCode::SUCCESS);
    };
    let source = if path.as_os_str() == "-" {
        Source::of(&::import::tree::Tree::read_from("standard input", std::io::stdin())?)
    } else {
        Source::open(path)?
    };
    let options = Options { kernel: args.kernel, possible: args.possible, node_of: args.node_of.clone() };
    let (imported, account) = source.import(&options)?;
    let said = format!("{}: {}\n{account}", source.kind, imported.summary);
    if let Some(path) = &args.out {
        file::write(path, imported.text.as_bytes(), Existing::forced(args.force))?;
    }
    if args.check {
        let check = source.check(&imported);
        out.text(&check.to_string())?;
        out.finish()?;
        return Ok(if check.agrees() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) });
    }
    match &args.out {
        Some(file) => out.text(&format!("{}: {said}", file.display()))?,
        None => {
            out.text(&imported.text)?;
            crate::input::complain(said.trim_end().to_owned());
        }
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}
