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
use sim::script::Script;
use sim::state::Sections;

use crate::input::Output;
use crate::opening::{Opened, Opening, script_text};

/// Options of `irqlab state`.
#[derive(clap::Args)]
pub struct Args {
    /// Machine file (TOML); the same as --machine
    #[arg(value_name = "MACHINE", conflicts_with_all = ["machine", "exhibit"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    opening: Opening,
    /// Script that runs before, `-` for standard input [default: none, or the exhibit's]
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Folder to write /proc and /sys to, as `lscpu --sysroot` and `irqlab import` read them; it must not exist
    /// [default: the state is printed as a capture has it]
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let mut opening = args.opening.clone();
    opening.machine = opening.machine.or_else(|| args.file.clone());
    let Opened { machine, semantics, script: exhibit, .. } = opening.open()?;
    let mut lab = Lab::boot_with(&machine, semantics, false);
    let script = match (&args.script, exhibit) {
        (Some(path), _) => Some(script_text(path)?),
        (None, Some(text)) => Some(("the exhibit's script".to_owned(), text.to_owned())),
        (None, None) => None,
    };
    if let Some((name, text)) = script {
        lab.run_each(&Script::parse(&name, &text)?, |_| {}, |_, _| {});
        crate::run::given_up(&lab)?;
    }
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
