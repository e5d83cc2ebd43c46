//! A capture folder: one machine, one script, and what was recorded.
//!
//! ```text
//! machine.toml  script.sh
//! 01-off3-graph.flow  02-on3.events     recordings, numbered in the order of the script
//! state-boot.txt  msix-boot.txt         states and MSI-X tables, by name alone
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use diagnostic::{Diagnostic, Place};

use kstate::semantics::Semantics;
use sim::lab::Lab;
use sim::machine::{Machine, MachineError};
use sim::plan::{Output, Planned, plan};
use sim::script::{Script, ScriptError};
use sim::state::Sections;

/// A capture folder in memory.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Where it was read from.
    pub folder: PathBuf,
    /// The text of `machine.toml`.
    pub machine: String,
    /// The script.
    pub script: Script,
    /// What the script makes, in order, and the text where the capture has the file. A capture may
    /// lack a state that its script takes.
    pub files: Vec<(Planned, Option<String>)>,
}

/// A capture folder that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The system refused.
    #[error("{}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The script is wrong.
    #[error(transparent)]
    Script(#[from] ScriptError),
}

impl Diagnostic for CaptureError {
    fn help(&self) -> Option<String> {
        match self {
            Self::Io { .. } => None,
            Self::Script(error) => error.help(),
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::Io { .. } => None,
            Self::Script(error) => error.place(),
        }
    }
}

impl Capture {
    /// The machine it was taken on.
    ///
    /// # Errors
    /// A mistake in `machine.toml`.
    pub fn machine(&self) -> Result<Machine, Box<MachineError>> {
        Machine::parse(&self.folder.join("machine.toml").display().to_string(), &self.machine)
    }

    /// Reads a folder.
    pub fn read(folder: &Path) -> Result<Self, CaptureError> {
        let machine = read(&folder.join("machine.toml"))?;
        let path = folder.join("script.sh");
        let script = Script::parse(&path.display().to_string(), &read(&path)?)?;
        let files = plan(&script)
            .into_iter()
            .map(|planned| {
                let text = match read(&folder.join(&planned.file)) {
                    Ok(text) => Some(text),
                    Err(CaptureError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
                    Err(e) => return Err(e),
                };
                Ok((planned, text))
            })
            .collect::<Result<_, CaptureError>>()?;
        Ok(Self { folder: folder.into(), machine, script, files })
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
        let outputs = lab.run(&self.script, |file| {
            let expected = self.files.iter().find(|(planned, _)| planned.file == file);
            expected.and_then(|(_, text)| text.as_deref()).map(Sections::of).unwrap_or_default()
        });
        (lab, outputs)
    }

    /// Whether the machine has one NUMA node, as `[cpus] nodes` of `machine.toml` says.
    pub fn has_one_node(&self) -> bool {
        let Ok(machine) = self.machine.parse::<toml::Table>() else { return true };
        let nodes = machine.get("cpus").and_then(|cpus| cpus.get("nodes")).and_then(|nodes| nodes.as_array());
        nodes.is_none_or(|nodes| nodes.len() <= 1)
    }
}

/// Writes a folder: the machine, the script and what was recorded.
pub fn write(folder: &Path, machine: &str, script: &str, outputs: &[Output]) -> Result<(), CaptureError> {
    fs::create_dir_all(folder).map_err(|source| CaptureError::Io { path: folder.into(), source })?;
    let fixed = [("machine.toml", machine), ("script.sh", script)];
    let outputs = outputs.iter().map(|output| (output.name.as_str(), output.text.as_str()));
    for (name, text) in fixed.into_iter().chain(outputs) {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| CaptureError::Io { path, source })?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, CaptureError> {
    fs::read_to_string(path).map_err(|source| CaptureError::Io { path: path.into(), source })
}
