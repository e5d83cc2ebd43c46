//! A capture folder: one machine, one script, and what was recorded.
//!
//! ```text
//! machine.toml  script.sh  boot.toml
//! 01-off3-graph.flow  02-on3.events     recordings, numbered in the order of the script
//! state-boot.txt  msix-boot.txt         states and MSI-X tables, by name alone
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use diagnostic::file::{self, Existing};
use diagnostic::{Diagnostic, Place};

use kstate::semantics::Semantics;
use sim::lab::Lab;
use sim::machine::{Machine, MachineError};
use sim::plan::{Kind, Output, Planned, plan};
use sim::script::{Script, ScriptError};
use sim::state::Sections;

/// A capture folder in memory.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Where it was read from.
    pub folder: PathBuf,
    /// The text of `machine.toml`.
    pub machine: String,
    /// The text of `boot.toml`, where there is one: where messages stood after boot.
    pub boot: Option<String>,
    /// The script.
    pub script: Script,
    /// What the script makes, in order, and the text where the capture has the file. A capture may
    /// lack a state that its script takes.
    pub files: Vec<(Planned, Option<String>)>,
}

/// A capture folder that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] file::Error),
    /// The script is wrong.
    #[error(transparent)]
    Script(#[from] ScriptError),
}

impl Diagnostic for CaptureError {
    fn help(&self) -> Option<String> {
        match self {
            Self::File(error) => error.help(),
            Self::Script(error) => error.help(),
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::File(error) => error.place(),
            Self::Script(error) => error.place(),
        }
    }
}

impl Capture {
    /// The machine it was taken on.
    ///
    /// # Errors
    /// A mistake in `machine.toml` or `boot.toml`.
    pub fn machine(&self) -> Result<Machine, Box<MachineError>> {
        let name = |file: &str| self.folder.join(file).display().to_string();
        let machine = Machine::parse(&name("machine.toml"), &self.machine)?;
        match &self.boot {
            Some(boot) => machine.with_boot(&name("boot.toml"), boot),
            None => Ok(machine),
        }
    }

    /// Reads a folder.
    pub fn read(folder: &Path) -> Result<Self, CaptureError> {
        let machine = file::read(&folder.join("machine.toml"))?;
        let boot = optional(&folder.join("boot.toml"))?;
        let path = folder.join("script.sh");
        let script = Script::parse(&path.display().to_string(), &file::read(&path)?)?;
        let files = plan(&script)
            .into_iter()
            .map(|planned| {
                let text = optional(&folder.join(&planned.file))?;
                Ok((planned, text))
            })
            .collect::<Result<_, CaptureError>>()?;
        Ok(Self { folder: folder.into(), machine, boot, script, files })
    }

    /// Boots the machine of the capture and runs its script, with the states showing what the
    /// capture's show.
    ///
    /// # Errors
    /// A mistake in `machine.toml`.
    pub fn run(&self) -> Result<(Lab, Vec<Output>), Box<MachineError>> {
        let machine = self.machine()?;
        let semantics = Semantics::of(machine.kernel);
        Ok(self.run_with(&machine, semantics))
    }

    /// The same for a machine that was read before, under `semantics`.
    pub fn run_with(&self, machine: &Machine, semantics: Semantics) -> (Lab, Vec<Output>) {
        let mut lab = Lab::boot_with(machine, semantics, true);
        let outputs = lab.run(&self.script, |file| self.sections(file));
        (lab, outputs)
    }

    /// What the state in this file shows. One that is not there shows what the one before it does, so that the two can be compared.
    pub fn sections(&self, file: &str) -> Sections {
        let upto = self.files.iter().position(|(planned, _)| planned.file == file);
        let states = self.files[..upto.map_or(0, |at| at + 1)].iter().rev();
        let text =
            states.filter(|(planned, _)| planned.kind == Kind::State).find_map(|(_, text)| text.as_deref());
        text.map(Sections::of).unwrap_or_default()
    }

    /// Whether the machine has one NUMA node, as `[cpus] nodes` of `machine.toml` says.
    pub fn has_one_node(&self) -> bool {
        let Ok(machine) = self.machine.parse::<toml::Table>() else { return true };
        let nodes = machine.get("cpus").and_then(|cpus| cpus.get("nodes")).and_then(|nodes| nodes.as_array());
        nodes.is_none_or(|nodes| nodes.len() <= 1)
    }
}

/// A file that a capture need not have.
fn optional(path: &Path) -> Result<Option<String>, CaptureError> {
    match file::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.is_missing() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Whether a folder is a capture.
pub fn is_capture(folder: &Path) -> bool {
    folder.join("machine.toml").exists()
}

/// The capture folders that a path stands for: itself, or, where it is no capture, those in it, in order of their names.
/// A folder of captures may be in a folder, as one for each kernel is.
pub fn folders(path: &Path) -> Vec<PathBuf> {
    let found = captures(path, DEEPEST);
    if found.is_empty() { vec![path.to_owned()] } else { found }
}

/// How many folders a capture is in at most.
const DEEPEST: u32 = 3;

fn captures(path: &Path, deepest: u32) -> Vec<PathBuf> {
    if is_capture(path) {
        return vec![path.to_owned()];
    }
    let Some(deepest) = deepest.checked_sub(1) else { return Vec::new() };
    let entries = fs::read_dir(path).into_iter().flatten();
    let mut inside: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    inside.sort();
    inside.iter().flat_map(|folder| captures(folder, deepest)).collect()
}

/// Writes a folder: the machine, the script and what was recorded; all of it or nothing.
///
/// # Errors
/// When it cannot be written, or holds what is to stay.
pub fn write(
    folder: &Path,
    machine: &str,
    script: &str,
    outputs: &[Output],
    existing: Existing,
) -> Result<(), file::Error> {
    let outputs = outputs.iter().map(|output| (output.name.as_str(), output.text.as_str()));
    let files: Vec<_> =
        [("machine.toml", machine), ("script.sh", script)].into_iter().chain(outputs).collect();
    file::write_folder(folder, &files, existing, is_of_a_capture)
}

/// The name of a file that [`write()`] writes.
fn is_of_a_capture(name: &str) -> bool {
    let numbered = || {
        let rest = name.trim_start_matches(|c: char| c.is_ascii_digit());
        rest.len() < name.len()
            && rest.starts_with('-')
            && (rest.ends_with(".flow") || rest.ends_with(".events"))
    };
    let named = |prefix| name.starts_with(prefix) && name.ends_with(".txt");
    matches!(name, "machine.toml" | "script.sh") || named("state-") || named("msix-") || numbered()
}
