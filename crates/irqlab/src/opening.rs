//! Which machine is opened, under which kernel: the same options wherever one is.

use std::path::{Path, PathBuf};

use kstate::semantics::Semantics;
use sim::machine::Machine;

use crate::experiment::Experiment;
use crate::input::{OptionError, machine_file, read};

/// Options that say which machine is opened.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Opening {
    /// Machine file (TOML) [default: the embedded machine]
    #[arg(long, value_name = "FILE", conflicts_with = "exhibit")]
    pub machine: Option<PathBuf>,
    /// Machine and script of an exhibit of the museum, such as M03
    #[arg(long, value_name = "ID")]
    pub exhibit: Option<String>,
    #[command(flatten)]
    pub changes: Changes,
    #[command(flatten)]
    pub experiment: Experiment,
}

/// Options that change a machine file, for a question of one line.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Changes {
    /// The kernel's command line in place of the machine file's
    #[arg(long, value_name = "WORDS")]
    cmdline: Option<String>,
    /// So many CPUs, all of them in one node, in place of the machine file's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    cpus: Option<u32>,
    /// So many I/O queues of every NVMe controller, with a message for each and one for the admin queue
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2047))]
    nvme: Option<u32>,
}

/// Options that say which machine is opened, for a command that opens none that could be chosen. They are known so that
/// the answer can say why.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Elsewhere {
    #[arg(long = "machine", hide = true)]
    other_machine: Option<PathBuf>,
    #[arg(long = "exhibit", hide = true)]
    other_exhibit: Option<String>,
    #[arg(long = "script", hide = true)]
    other_script: Option<PathBuf>,
    #[arg(long = "cmdline", hide = true)]
    other_cmdline: Option<String>,
    #[arg(long = "cpus", hide = true)]
    other_cpus: Option<String>,
    #[arg(long = "nvme", hide = true)]
    other_nvme: Option<String>,
}

impl Elsewhere {
    /// Whether none of them was given.
    ///
    /// # Errors
    /// For the first that was: `why` it has no place here, and what does that instead.
    pub fn refused(&self, why: &str, instead: &str) -> Result<(), OptionError> {
        let given = [
            ("--machine", self.other_machine.is_some()),
            ("--exhibit", self.other_exhibit.is_some()),
            ("--script", self.other_script.is_some()),
            ("--cmdline", self.other_cmdline.is_some()),
            ("--cpus", self.other_cpus.is_some()),
            ("--nvme", self.other_nvme.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(OptionError::new(option, why, instead)),
            None => Ok(()),
        }
    }
}

/// A machine that can be booted.
#[derive(Debug)]
pub struct Opened {
    /// What it is called.
    pub name: String,
    /// The text of its file, with the changes.
    pub text: String,
    /// The machine.
    pub machine: Machine,
    /// What its kernel does.
    pub semantics: Semantics,
    /// What is said about a kernel that never shipped.
    pub note: Option<String>,
    /// The script of the exhibit.
    pub script: Option<&'static str>,
}

impl Changes {
    /// Nothing is changed.
    const fn is_none(&self) -> bool {
        self.cmdline.is_none() && self.cpus.is_none() && self.nvme.is_none()
    }

    /// The options again, as words of a command line.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut add = |option: &str, value: Option<String>| {
            words.extend(value.map(|value| [option.to_owned(), value]).into_iter().flatten());
        };
        add("--cmdline", self.cmdline.clone());
        add("--cpus", self.cpus.map(|n| n.to_string()));
        add("--nvme", self.nvme.map(|n| n.to_string()));
        words
    }

    /// The text of a machine file with the changes.
    ///
    /// # Errors
    /// For a text that is no TOML, and for a machine without the device that is changed.
    pub fn apply(&self, name: &str, text: String) -> diagnostic::Result<String> {
        if self.is_none() {
            return Ok(text);
        }
        // A mistake in the file is told as one of the file, before anything is changed.
        Machine::parse(name, &text)?;
        let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            diagnostic::report!("{name}: {}", diagnostic::reader::in_words(e.message()))
        })?;
        if let Some(cmdline) = &self.cmdline {
            table.insert("cmdline".to_owned(), cmdline.clone().into());
        }
        if let Some(cpus) = self.cpus {
            let kept = ["apic", "interrupt_remapping", "hypervisor", "smt_vulnerable"];
            let mut all = toml::Table::new();
            if let Some(before) = table.get("cpus").and_then(toml::Value::as_table) {
                all.extend(
                    kept.iter().filter_map(|key| Some(((*key).to_owned(), before.get(*key)?.clone()))),
                );
            }
            all.insert("possible".to_owned(), i64::from(cpus).into());
            if cpus > 255 {
                all.insert("apic".to_owned(), "x2apic".into());
            }
            table.insert("cpus".to_owned(), all.into());
        }
        if let Some(queues) = self.nvme {
            let devices = table.get_mut("pci").and_then(toml::Value::as_array_mut);
            let controllers = devices.into_iter().flatten().filter_map(toml::Value::as_table_mut);
            let mut changed = 0;
            for device in controllers.filter(|d| d.get("model").and_then(toml::Value::as_str) == Some("nvme"))
            {
                device.insert("io_queue_pairs_max".to_owned(), i64::from(queues).into());
                device.insert("msix_vectors".to_owned(), i64::from(queues + 1).into());
                // What the file lists are messages of as many queues as it had.
                device.remove("vectors");
                changed += 1;
            }
            if changed == 0 {
                let error = OptionError::new(
                    "--nvme",
                    format!("{name} has no NVMe controller"),
                    "a machine with one",
                );
                return Err(error.into());
            }
        }
        Ok(table.to_string())
    }
}

impl Opening {
    /// Reads the machine.
    ///
    /// # Errors
    /// For a file that cannot be read or is not what it should be, and for options that contradict each other.
    pub fn open(&self) -> diagnostic::Result<Opened> {
        let (name, text, script) = match &self.exhibit {
            Some(id) => {
                let exhibit = crate::museum::find(id)?;
                (format!("{}/machine.toml", exhibit.id), exhibit.machine.to_owned(), Some(exhibit.script))
            }
            None => {
                let (name, text) = machine_file(self.machine.as_deref())?;
                (name, text, None)
            }
        };
        self.open_text(name, text, script)
    }

    /// The same for a machine that is known already.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_text(
        &self,
        name: String,
        text: String,
        script: Option<&'static str>,
    ) -> diagnostic::Result<Opened> {
        let text = self.changes.apply(&name, text)?;
        let mut machine = Machine::parse(&name, &text)?;
        let semantics = self.experiment.semantics(machine.kernel)?;
        machine.kernel = semantics.version;
        let note = self.experiment.note(&semantics);
        let name = if name == "embedded.toml" { "the embedded machine".to_owned() } else { name };
        Ok(Opened { name, text, machine, semantics, note, script })
    }
}

/// The name and the text of a script; `-` is standard input.
///
/// # Errors
/// For a file that cannot be read.
pub fn script_text(path: &Path) -> diagnostic::Result<(String, String)> {
    if path != Path::new("-") {
        return Ok((path.display().to_string(), read(path)?));
    }
    let name = "standard input";
    let text = diagnostic::file::read_from(Path::new(name), std::io::stdin().lock())?;
    Ok((name.to_owned(), text))
}
