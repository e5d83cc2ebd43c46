//! `irqlab whatif`: a machine as it is, and as it would be.

mod explain;
mod rows;
mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::import::{Options, Source};
use ::whatif::{Answer, Question, ask};
use diagnostic::report;
use kstate::semantics::KernelVersion;
use serde::Serialize;
use sim::machine::Machine;
use sim::script::Script;

use crate::exit::DIFFERS;
use crate::input::{Output, kernel, machine_file, read};

/// Options of `irqlab whatif`.
#[derive(clap::Args)]
pub struct Args {
    /// Machine file, or a source of `irqlab import`: a running system (/), a folder, an archive [default: the
    /// embedded machine]
    #[arg(value_name = "MACHINE")]
    machine: Option<PathBuf>,
    /// Take CPUs down, the lowest first: 56-111, or node1 for the CPUs of a node
    #[arg(long, value_name = "LIST")]
    offline: Option<String>,
    /// Bring CPUs up
    #[arg(long, value_name = "LIST")]
    online: Option<String>,
    /// Switch second threads off while the machine runs; `--cmdline +nosmt` does so at boot
    #[arg(long, value_name = "off", value_parser = ["off"])]
    smt: Option<String>,
    /// Boot with more words on the command line, or without some: '+isolcpus=managed_irq,domain,2-3', -quiet; may be
    /// repeated
    #[arg(long, value_name = "+WORDS", allow_hyphen_values = true)]
    cmdline: Vec<String>,
    /// Boot with one more device, NAME[:KEY=VALUE,...], as in nvme:vectors=129,node=1 or
    /// generic:managed,pre=1,vectors=65; may be repeated
    #[arg(long, value_name = "DEVICE")]
    add: Vec<String>,
    /// Unbind a PCI function, or leave it out if the machine boots anew; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    remove: Vec<String>,
    /// Boot another kernel, and say which change of behaviour is behind each difference
    #[arg(long, value_name = KernelVersion::CHOICE, value_parser = kernel)]
    kernel: Option<KernelVersion>,
    /// Do what a script says (docs/scripts.md), after everything else
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Take CPUs down, the highest first, until no more can go
    #[arg(long, value_name = "offline", value_parser = ["offline"])]
    search: Option<String>,
    /// Open the session of `irqlab sh` at the step that decided about an interrupt, or print that step where standard
    /// input is no terminal
    #[arg(long, value_name = "IRQ", conflicts_with_all = ["json", "search"])]
    explain: Option<u32>,
    /// A line for each interrupt in the tables
    #[arg(long, conflicts_with = "json")]
    all: bool,
    /// Print everything as JSON (docs/whatif.md)
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    version: u32,
    machine: &'a str,
    finding: bool,
    #[serde(flatten)]
    answer: &'a Answer,
}

/// A file that has the form of a machine file. Everything else is a source of import.
fn is_machine_file(path: &Path) -> bool {
    if path.extension().is_some_and(|extension| extension == "toml") {
        return true;
    }
    // What cannot be read is said by who reads it.
    path.is_file()
        && diagnostic::file::read(path).is_ok_and(|text| text.lines().any(|line| line.trim() == "[cpus]"))
}

/// The machine, and what it is called.
fn machine(path: Option<&Path>) -> diagnostic::Result<(Machine, String)> {
    match path {
        Some(path) if !is_machine_file(path) => {
            let source = if path.as_os_str() == "-" {
                Source::of(&::import::tree::Tree::read_from("standard input", std::io::stdin())?)
            } else {
                Source::open(path)?
            };
            let (imported, _) = source.import(&Options::default())?;
            Ok((imported.machine, path.display().to_string()))
        }
        path => {
            let (name, text) = machine_file(path)?;
            Ok((Machine::parse(&name, &text)?, name))
        }
    }
}

fn question(args: &Args) -> diagnostic::Result<Question> {
    let script = match &args.script {
        Some(path) => Some(Script::parse(&path.display().to_string(), &read(path)?)?),
        None => None,
    };
    let question = Question {
        kernel: args.kernel,
        cmdline: args.cmdline.clone(),
        add: args.add.clone(),
        remove: args.remove.clone(),
        smt_off: args.smt.is_some(),
        offline: args.offline.clone(),
        online: args.online.clone(),
        script,
        search: args.search.is_some(),
        headroom: true,
    };
    if question.is_empty() {
        return Err(report!(
            help = "expected --offline, --online, --smt off, --cmdline, --add, --remove, --kernel, --script or \
                    --search offline",
            "nothing is changed"
        ));
    }
    Ok(question)
}

/// Runs the command. Exit status 1 says that there is a finding.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let question = question(args)?;
    let (machine, name) = machine(args.machine.as_deref())?;
    if let Some(irq) = args.explain {
        return explain::run(&machine, &name, &question, irq);
    }
    let answer = ask(&machine, &question)?;
    let mut out = Output::new();
    if args.json {
        let json = Json {
            schema: "irqlab-whatif",
            version: 1,
            machine: &name,
            finding: answer.has_finding(),
            answer: &answer,
        };
        // Maps with keys that are no text, the one thing that JSON has not, are not in it.
        out.line(serde_json::to_string_pretty(&json).unwrap_or_default())?;
    } else {
        out.text(&text::print(&name, &answer, args.all))?;
    }
    out.finish()?;
    Ok(if answer.has_finding() { ExitCode::from(DIFFERS) } else { ExitCode::SUCCESS })
}
