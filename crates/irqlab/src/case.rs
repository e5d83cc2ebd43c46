//! What is explored and replayed: a script on a machine under a kernel, from files or from the museum.

use std::path::PathBuf;

use explore::museum;
use explore::{Schedule, World};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::trace::Recorded;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

use crate::experiment::Experiment;
use crate::input::machine_file;
use crate::opening::{Changes, script_text as script_text_of};

/// Options that say which script runs on which machine.
#[derive(clap::Args, Debug)]
#[group(id = "case")]
pub struct Args {
    /// Script (docs/scripts.md), `-` for standard input: what runs at the same time in it is started with `&`
    #[arg(value_name = "SCRIPT")]
    script: Option<PathBuf>,
    /// Machine file (TOML) [default: the embedded machine]
    #[arg(long, value_name = "FILE", conflicts_with = "exhibit")]
    machine: Option<PathBuf>,
    /// Machine and script of an exhibit of the museum, such as M12, instead of files
    #[arg(long, value_name = "ID", conflicts_with = "script")]
    exhibit: Option<String>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    experiment: Experiment,
}

/// A script on a machine under a kernel.
#[derive(Debug)]
pub struct Case {
    machine: Machine,
    /// The text of the machine file.
    pub machine_text: String,
    /// What the kernel does.
    pub semantics: Semantics,
    /// The script.
    pub script: Script,
    /// The text of the script.
    pub script_text: String,
    /// The words that name script and machine in a command line.
    words: Vec<String>,
    /// What is said about a kernel that never shipped.
    pub note: Option<String>,
}

impl Args {
    /// Reads the files.
    ///
    /// # Errors
    /// For a file that cannot be read or is not what it should be, and for options that contradict each
    /// other.
    pub fn load(&self) -> diagnostic::Result<Case> {
        let mut words = Vec::new();
        let (machine_name, machine_text, script_name, script_text);
        if let Some(id) = &self.exhibit {
            let exhibit = crate::museum::find(id)?;
            words.extend(["--exhibit".to_owned(), exhibit.id.to_owned()]);
            machine_name = format!("{}/machine.toml", exhibit.id);
            script_name = format!("{}/script.sh", exhibit.id);
            (machine_text, script_text) = (exhibit.machine.to_owned(), exhibit.script.to_owned());
        } else {
            let script = self.script.clone().unwrap_or_default();
            (script_name, script_text) = script_text_of(&script)?;
            words.push(script.display().to_string());
            (machine_name, machine_text) = machine_file(self.machine.as_deref())?;
            if self.machine.is_some() {
                words.extend(["--machine".to_owned(), machine_name.clone()]);
            }
        }
        words.extend(self.changes.words());
        let machine_text = self.changes.apply(&machine_name, machine_text)?;
        let machine = Machine::parse(&machine_name, &machine_text)?;
        let script = Script::parse(&script_name, &script_text)?;
        let semantics = self.experiment.semantics(machine.kernel)?;
        let note = self.experiment.note(&semantics);
        Ok(Case { machine, machine_text, semantics, script, script_text, words, note })
    }
}

impl Args {
    /// The kernel that was chosen, and not left to the machine file.
    pub fn kernel(&self) -> Option<KernelVersion> {
        self.experiment.kernel
    }
}

impl Case {
    /// The same under another kernel.
    pub fn under(&self, semantics: Semantics) -> Self {
        let mut machine = self.machine.clone();
        machine.kernel = semantics.version;
        let Self { machine_text, script, script_text, words, note, .. } = self;
        Self {
            machine,
            machine_text: machine_text.clone(),
            semantics,
            script: script.clone(),
            script_text: script_text.clone(),
            words: words.clone(),
            note: note.clone(),
        }
    }

    /// The booted machine, at the beginning of what is open in the script.
    pub fn world(&self, recorded: impl Into<Recorded>) -> World {
        World::new(Lab::boot_with(&self.machine, self.semantics.clone(), recorded), &self.script)
    }

    /// The command line that shows a run again.
    pub fn replay_line(&self, schedule: &Schedule) -> String {
        let words = shlex::try_join(self.words.iter().map(String::as_str));
        // A path with a NUL in it could not have been read.
        let words = words.unwrap_or_else(|_| self.words.join(" "));
        museum::replay_command(&words, &self.semantics, schedule)
    }
}
