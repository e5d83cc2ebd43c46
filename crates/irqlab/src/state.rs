//! `irqlab state`: the /proc and /sys of a machine that has booted, as text or as files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::import::sysroot;
use ::import::tree::Entry;
use diagnostic::file::{self, Existing};
use diagnostic::report;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::state::Sections;

use crate::experiment::Experiment;
use crate::input::{Output, machine_file};
use crate::opening::Changes;

/// Options of `irqlab state`.
#[derive(clap::Args)]
pub struct Args {
    /// Machine file (TOML) [default: the embedded machine]
    #[arg(value_name = "MACHINE")]
    machine: Option<PathBuf>,
    /// Folder to write /proc and /sys to, as `lscpu --sysroot` and `irqlab import` read them; it must not exist
    /// [default: the state is printed as a capture has it]
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    experiment: Experiment,
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let (name, text) = machine_file(args.machine.as_deref())?;
    let text = args.changes.apply(&name, text)?;
    let mut machine = Machine::parse(&name, &text)?;
    let semantics = args.experiment.semantics(machine.kernel)?;
    machine.kernel = semantics.version;
    let mut lab = Lab::boot_with(&machine, semantics, false);
    let mut out = Output::new();
    match &args.sysroot {
        None => out.text(&sim::state::text(&mut lab.k, Sections { topology: true, queues: true }))?,
        Some(dir) => {
            if dir.exists() {
                return Err(report!(
                    help = "expected a folder that does not exist",
                    "{} is there already",
                    dir.display()
                ));
            }
            let files = sysroot::files(&lab.k);
            let fill =
                |part: &Path| files.iter().try_for_each(|(path, entry)| write(&part.join(path), entry));
            file::write_tree(dir, Existing::Keep, |_| false, fill)?;
            out.line(format!("{}: {} files", dir.display(), files.len()))?;
        }
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, entry: &Entry) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match entry {
        Entry::File(bytes, _) => fs::write(path, bytes),
        #[cfg(unix)]
        Entry::Link(to) => std::os::unix::fs::symlink(to, path),
        #[cfg(not(unix))]
        Entry::Link(_) => Ok(()),
    }
}
