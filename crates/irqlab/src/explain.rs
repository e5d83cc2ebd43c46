//! `irqlab explain`: what people ask about, and what is known of it.

use std::io::{self, Read as _};
use std::process::ExitCode;

use diagnostic::Context as _;
use explain::text::{self, Styled};
use explain::{Kind, asked, look_up, words};

use crate::exit::MISTAKE;
use crate::input::{Output, complain, print};

/// Explain what people ask about: functions, files, errors, lines of the kernel log, parameters, notions
///
/// A name may be a kernel function, a file of /proc or /sys (smp_affinity, smt/control), an error (EIO, or what the shell
/// printed), a line of the kernel log or a piece of one, with its time stamp or without, a word of the kernel's command line
/// (isolcpus, pci=nomsi), a notion (managed, retrigger, MSI-X), a row or a word of /proc/interrupts (LOC, fasteoi), a
/// tracepoint or a field of one, an exhibit of the museum, a field of `irqlab semantics`, a flag of an interrupt, or a driver.
/// What nobody knows is answered with the nearest names and exit status 2.
#[derive(clap::Args)]
pub struct Args {
    /// What to explain, in quotation marks or not; `-` reads lines from standard input [default: list what there is]
    #[arg(value_name = "NAME", allow_hyphen_values = true)]
    name: Vec<String>,
    /// Print the answers as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    // What begins with a dash may be pasted text, so that the option can stand behind it.
    let json = args.json || args.name.last().is_some_and(|word| word == "--json");
    let name: Vec<&str> = args.name.iter().map(String::as_str).filter(|word| *word != "--json").collect();
    let question = match name[..] {
        [] => {
            print(&index())?;
            return Ok(ExitCode::SUCCESS);
        }
        ["-"] => {
            let mut bytes = Vec::new();
            io::stdin()
                .lock()
                .take(diagnostic::file::LIMIT)
                .read_to_end(&mut bytes)
                .context(|| "cannot read standard input".to_owned())?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => name.join(" "),
    };
    let found = look_up(&question);
    let status = if found.answers.is_empty() { ExitCode::from(MISTAKE) } else { ExitCode::SUCCESS };
    if json {
        let json = serde_json::to_string_pretty(&found).context(|| "cannot write JSON".to_owned())?;
        let mut out = Output::new();
        out.line(json)?;
        out.finish()?;
        return Ok(status);
    }
    if found.answers.is_empty() {
        let (what, help) = text::unknown(&question, &found);
        complain(diagnostic::report!(help = help, "{what}").styled());
        return Ok(status);
    }
    print(&text::print(&found.answers, Styled::Yes))?;
    Ok(status)
}

/// What can be asked for, by kind.
fn index() -> String {
    let functions = words::texts().functions.len();
    let mut text = format!(
        "irqlab explain NAME knows:\n\n  functions    {functions} have a text, such as irq_startup; every other one of \
         the sources its place\n"
    );
    let mut list = |label: &str, names: Vec<&str>| {
        let mut line = format!("  {label:<12}");
        for (i, name) in names.iter().enumerate() {
            let gap = if i == 0 { " " } else { ", " };
            if line.len() - line.rfind('\n').map_or(0, |at| at + 1) + gap.len() + name.len() > 96 {
                line.push_str(",\n               ");
                line.push_str(name);
            } else {
                line.push_str(gap);
                line.push_str(name);
            }
        }
        text.push_str(&line);
        text.push('\n');
    };
    for (label, kind) in [
        ("files", Kind::File),
        ("errors", Kind::Error),
        ("parameters", Kind::Parameter),
        ("notions", Kind::Notion),
        ("interrupts", Kind::Row),
        ("the log", Kind::Message),
    ] {
        let of = words::words().iter().filter(|(k, _)| *k == kind);
        let first = of.map(|(_, word)| word.names[0].as_str());
        list(label, first.collect());
    }
    list("tracepoints", asked::tracepoints().collect());
    list("flags", words::texts().flags.keys().map(String::as_str).collect());
    text.push_str(
        "\nand every other line of the kernel log, the exhibits of `irqlab museum`, the fields of \
         `irqlab semantics`,\nthe fields of tracepoints, and drivers.\n",
    );
    text
}
