//! `irqlab run --format`: what a run recorded, for people and for other tools.

use std::path::Path;
use std::process::ExitCode;

use clap::builder::{PossibleValue, TypedValueParser as _};
use diagnostic::file::{self, Existing};
use kstate::Irq;
use kstate::semantics::Semantics;
use kstate::trace::Recorded;
use record::Options;
use record::filter::Filter;
use record::formats::{Export, Format, Unfit, perfetto};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::plan::Kind;
use sim::script::{Script, Statement};

use crate::input::{OptionError, Output, complain};
use crate::run::{given_up, status};
use crate::{filter, hardware};

/// What to write instead of the files of a capture.
#[derive(clap::Args, Debug)]
#[group(id = "formats")]
pub struct Args {
    /// Write what happened in one of these formats instead of a capture's files
    #[arg(long, value_parser = formats())]
    format: Option<Format>,
    /// With --format: only this recording of the script [default: the whole script, or the boot
    /// where there is none]
    #[arg(long, value_name = "NAME", requires = "format")]
    recording: Option<String>,
    /// With --format dot, mermaid or svg: the domains of this interrupt instead of the calls
    #[arg(long, value_name = "IRQ", requires = "format")]
    domains: Option<u32>,
    /// With --format svg: the vectors of all CPUs at the end instead of the calls
    #[arg(long, requires = "format", conflicts_with_all = ["domains", "recording"])]
    vectors: bool,
    /// With --format perfetto: what is taken for time [default: virtual]
    #[arg(long, value_enum, value_name = "CLOCK", requires = "format")]
    clock: Option<Clock>,
}

/// What a trace takes for time.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Clock {
    /// The time of the emulated PC, in which code takes none
    Virtual,
    /// The order of the records: a microsecond each
    Record,
}

/// Reads the name of a format.
pub fn formats() -> impl clap::builder::TypedValueParser<Value = Format> {
    let values = Format::ALL.map(|(_, name, what)| PossibleValue::new(name).help(what));
    clap::builder::PossibleValuesParser::new(values).try_map(|name: String| {
        Format::from_name(&name).ok_or_else(|| format!("expected one of {}", Format::names()))
    })
}

/// What a format has no place for, as an option.
pub fn unfit(Unfit { option, found, expected }: Unfit) -> OptionError {
    let option = match option {
        "args" => "--args",
        "vectors" => "--vectors",
        "clock" => "--clock",
        _ => "--domains",
    };
    OptionError::new(option, found, expected)
}

impl Args {
    /// A format was asked for.
    pub const fn is_some(&self) -> bool {
        self.format.is_some()
    }
}

/// What is recorded of which run.
pub struct Asked<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Its kernel.
    pub semantics: Semantics,
    /// The script.
    pub script: &'a Script,
    /// Whether records of hardware are kept.
    pub hardware: hardware::Args,
    /// What is shown.
    pub filter: &'a Filter,
}

/// Runs the script and writes the format.
pub fn run(
    args: &Args,
    asked: Asked<'_>,
    out: Option<&Path>,
    existing: Existing,
) -> diagnostic::Result<ExitCode> {
    let Asked { machine, semantics, script, hardware, filter } = asked;
    let Some(format) = args.format else { return Err(diagnostic::report!("--format is needed")) };
    let recorded = if format.needs_hardware() { Recorded::Hardware } else { hardware.recorded() };
    let mut lab = Lab::boot_with(machine, semantics, recorded);
    let start = if script.statements.is_empty() { 0 } else { lab.k.trace.records.len() };
    let mut recordings = Vec::new();
    lab.run_each(
        script,
        |_| {},
        |_, marked| {
            if matches!(marked.planned.kind, Kind::Flow | Kind::Events | Kind::BootEvents) {
                recordings.push((marked.planned.name.clone(), marked.records.clone()));
            }
        },
    );
    given_up(&lab)?;
    let records = match &args.recording {
        None => start..lab.k.trace.records.len(),
        Some(name) => match recordings.iter().find(|(n, _)| n == name) {
            Some((_, records)) => records.clone(),
            None => {
                let names: Vec<&str> = recordings.iter().map(|(n, _)| n.as_str()).collect();
                let names = if names.is_empty() { "a script that records".into() } else { names.join(", ") };
                return Err(OptionError::new("--recording", format!("no recording `{name}`"), names).into());
            }
        },
    };
    filter::check(filter, &lab.k)?;
    let io = script.statements.iter().any(Statement::reads_disk);
    let found = format.levels(lab.functions());
    if !filter.shows_all() && !filter.chosen(&lab.k.trace, records.clone(), found).contains(&true) {
        complain("nothing that was recorded fits the filter");
    }
    let title = match &args.recording {
        Some(name) => name.as_str(),
        None if script.statements.is_empty() => "boot",
        None => script.name.as_str(),
    };
    let export = Export {
        k: &lab.k,
        records,
        options: Options { io },
        filter,
        domains: args.domains.map(Irq),
        vectors: args.vectors,
        clock: args.clock.map(|clock| match clock {
            Clock::Virtual => perfetto::Clock::Virtual,
            Clock::Record => perfetto::Clock::Record,
        }),
        title,
    };
    let bytes = export.write(format).map_err(unfit)?;
    match out {
        Some(path) => file::write(path, &bytes, existing)?,
        None => {
            let mut stdout = Output::new();
            stdout.bytes(&bytes)?;
            stdout.finish()?;
        }
    }
    // The output is the format's.
    for failure in &lab.failed {
        complain(format_args!("{}: {failure}", script.name));
    }
    Ok(status(&lab))
}
