//! `irqlab semantics`: in which behaviours the kernels differ, from each other or from another
//! release, and what can be set.

use std::process::ExitCode;

use anstyle::Style;
use kstate::semantics::{self, Field, KernelVersion, Semantics};
use serde::Serialize;

use crate::input::{OptionError, Output, print};

/// The behaviours in which the kernels differ.
///
/// Every field is a behaviour of a C function. `--set FIELD=VALUE` gives a kernel the other value.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only this field
    #[arg(value_name = "FIELD")]
    field: Option<String>,
    /// Write JSON for programs
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Value {
    value: &'static str,
    meaning: &'static str,
    kernels: Vec<&'static str>,
    /// The release that has it where no kernel does.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'static str>,
}

#[derive(Serialize)]
struct Description {
    name: &'static str,
    doc: &'static str,
    function: &'static str,
    file: &'static str,
    changed: String,
    values: Vec<Value>,
}

impl From<&Field> for Description {
    fn from(field: &Field) -> Self {
        let Field { name, doc, function, file, .. } = *field;
        let mut values: Vec<Value> = Vec::new();
        for &semantics::Value { word: value, text: meaning, release, .. } in field.values {
            // A kernel may go back to what an older one did.
            if values.iter().all(|known| known.value != value) {
                let kernels = field.kernels(value).map(KernelVersion::name).collect();
                values.push(Value { value, meaning, kernels, release });
            }
        }
        Self { name, doc, function, file, changed: field.changed(), values }
    }
}

const NAME: Style = Style::new().bold();
const NOTE: Style = Style::new().dimmed();

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let one = match &args.field {
        Some(name) => {
            Some(Semantics::named(name).map_err(|e| OptionError::new("FIELD", e.to_string(), e.expected()))?)
        }
        None => None,
    };
    if args.json {
        let text = match one {
            Some(field) => serde_json::to_string_pretty(&Description::from(field)),
            None => {
                let all: Vec<Description> = Semantics::fields().iter().map(Description::from).collect();
                serde_json::to_string_pretty(&all)
            }
        };
        let mut out = Output::new();
        out.line(text.map_err(|e| diagnostic::report!("{e}"))?)?;
        out.finish()?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = match one {
        Some(field) => tell(field),
        None => Semantics::fields().iter().map(tell).collect::<Vec<_>>().join("\n"),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A field for people.
fn tell(field: &Field) -> String {
    let Description { name, doc, function, file, changed, values } = field.into();
    let mut text = format!("{NAME}{name}{NAME:#}  {doc}\n");
    let width = |texts: Vec<usize>| texts.into_iter().max().unwrap_or(0);
    let value_width = width(values.iter().map(|v| v.value.len()).collect());
    let whose = |v: &Value| v.release.map_or_else(|| v.kernels.join(","), str::to_owned);
    let whose_width = width(values.iter().map(|v| whose(v).len()).collect());
    for v in &values {
        let (whose, Value { value, meaning, .. }) = (whose(v), v);
        text += &format!("  {whose:<whose_width$}  {value:<value_width$}  {meaning}\n");
    }
    text += &format!("  {NOTE}{function}, {file}; changed: {changed}{NOTE:#}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_told_with_the_choice_of_each_kernel() {
        let field = Semantics::field("vector_cleanup").unwrap();
        assert_eq!(
            anstream::adapter::strip_str(&tell(field)).to_string(),
            "vector_cleanup  What frees the old vector of an interrupt that has moved.\n\
             \x20 v5.4        ipi    IRQ_MOVE_CLEANUP_VECTOR, sent to the old CPU\n\
             \x20 v6.12,v7.3  timer  a timer on the old CPU, and no vector is set aside for it\n\
             \x20 irq_complete_move(), arch/x86/kernel/apic/vector.c; changed: 6.6 (bdc1dad299bb)\n"
        );
    }

    #[test]
    fn a_value_of_another_release_is_told_with_that_release() {
        let field = Semantics::field("nodes_share_by_cpus").unwrap();
        let told = anstream::adapter::strip_str(&tell(field)).to_string();
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[1].starts_with("  5.3              off  evenly"), "{told}");
        assert!(lines[2].starts_with("  v5.4,v6.12,v7.3  on   by the number"), "{told}");
    }
}
