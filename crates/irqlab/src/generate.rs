//! `irqlab completions` and `irqlab man`: what a shell completes and what man(1) shows, made of the definition of the
//! command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap_complete::Shell;
use diagnostic::Context as _;
use diagnostic::file::{self, Existing};
use explore::museum;
use kstate::semantics::{KernelVersion, Semantics};

use crate::input::Output;

/// Options of `irqlab completions`.
#[derive(clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Options of `irqlab man`.
#[derive(clap::Args)]
pub struct Man {
    /// Folder to write: a page for irqlab and one for each command
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// What an option takes, by what its value is called where no type of its lists it.
fn values(called: &str) -> Option<Vec<PossibleValue>> {
    let fields = || Semantics::fields().iter();
    Some(match called {
        KernelVersion::CHOICE | "KERNEL" | "VERSION" => {
            KernelVersion::ALL.iter().map(|version| PossibleValue::new(version.name())).collect()
        }
        "FIELD=VALUE" => fields()
            .flat_map(|field| field.values.iter().map(move |value| format!("{}={}", field.name, value.word)))
            .map(PossibleValue::new)
            .collect(),
        "FIELD" => fields().map(|field| PossibleValue::new(field.name).help(field.doc)).collect(),
        "ID" => {
            let exhibits = museum::EXHIBITS.iter();
            exhibits.map(|exhibit| PossibleValue::new(exhibit.id).help(&*exhibit.title)).collect()
        }
        _ => return None,
    })
}

/// A command whose options list the names that they take.
fn listed(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let called = arg.get_value_names().and_then(<[_]>::first).and_then(|name| values(name));
        match called {
            Some(values) => arg.value_parser(PossibleValuesParser::new(values)),
            None => arg,
        }
    });
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    names.iter().fold(command, |command, name| command.mut_subcommand(name, listed))
}

/// What fish is told of arguments that are no options, which clap_complete leaves out for it.
fn positional(command: &Command) -> String {
    // Within the quotes of fish two characters are special.
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let mut out = String::new();
    for command in command.get_subcommands() {
        let values = command.get_positionals().flat_map(clap::Arg::get_possible_values);
        for value in values.filter(|value| !value.is_hide_set()) {
            let (of, name) = (command.get_name(), quoted(value.get_name()));
            let help = value.get_help().map(|help| format!(" -d {}", quoted(&help.to_string())));
            let help = help.unwrap_or_default();
            out.push_str(&format!(
                "complete -c irqlab -n \"__fish_irqlab_using_subcommand {of}\" -f -a {name}{help}\n"
            ));
        }
    }
    out
}

/// Prints what a shell completes.
pub fn completions(args: &Completions, command: Command) -> diagnostic::Result<ExitCode> {
    let mut script = Vec::new();
    let mut command = listed(command);
    clap_complete::generate(args.shell, &mut command, "irqlab", &mut script);
    if args.shell == Shell::Fish {
        script.extend(positional(&command).bytes());
    }
    let mut out = Output::new();
    out.bytes(&script)?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages.
pub fn man(args: &Man, mut command: Command) -> diagnostic::Result<ExitCode> {
    command.build();
    let mut out = Output::new();
    let commands: Vec<&Command> =
        command.get_subcommands().filter(|c| c.get_name() != "help" && !c.is_hide_set()).collect();
    std::fs::create_dir_all(&args.folder)
        .context(|| format!("cannot make the folder {}", args.folder.display()))?;
    for command in std::iter::once(&command).chain(commands) {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        let page = clap_mangen::Man::new(command.clone().name(name.clone())).section("1");
        let mut text = Vec::new();
        page.render(&mut text).context(|| format!("cannot write the page {name}"))?;
        let path = args.folder.join(format!("{name}.1"));
        file::write(&path, &text, Existing::Replace)?;
        out.line(path.display())?;
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}
