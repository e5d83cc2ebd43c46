//! The step that decided about an interrupt.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use ::whatif::{Question, ask};
use debugger::Session;
use diagnostic::report;
use kstate::semantics::Semantics;
use kstate::{Irq, Kernel};
use sim::machine::Machine;

use super::text::steps;
use crate::input::Output;
use crate::sh;

/// What decides: the vector and the CPU that the hardware is told.
const WATCHED: &str = "apicd.hw_irq_cfg";

/// Goes on until the line is over. The steps at which the vector changed, and what was said about each.
fn go(session: &mut Session, line: &str, said: &mut Vec<(u64, String)>) {
    let mut text = session.line(line).text;
    loop {
        if let Some(at) = text.find("watch 1: ") {
            said.push((session.step(), text[at..].to_owned()));
        }
        if !session.is_busy() {
            return;
        }
        text = session.line(":continue").text;
    }
}

/// The tracepoints about an interrupt's vector while the machine booted, with their stacks; the last ones.
fn at_boot(machine: &Machine, irq: u32) -> String {
    let lab = sim::lab::Lab::boot_with(machine, Semantics::of(machine.kernel), true);
    let functions = lab.functions();
    let all = record::events(&lab.k.trace, 0..lab.k.trace.records.len(), functions);
    let about =
        |text: &str| text.starts_with("vector_") && text.split([' ', ',']).any(|w| w == format!("irq={irq}"));
    let chosen: Vec<_> = all.into_iter().filter(|event| about(&event.tracepoint.to_string())).collect();
    let from = chosen.len().saturating_sub(4);
    record::formats::events::print(&chosen[from..])
}

/// There is such an interrupt.
fn exists(k: &Kernel, irq: u32) -> diagnostic::Result<()> {
    if k.find_desc(Irq(irq)).is_some_and(|desc| !desc.irq_data.is_empty()) && k.apic.apicd(Irq(irq)).is_some()
    {
        return Ok(());
    }
    let all: Vec<u32> =
        k.for_each_irq().filter(|irq| k.apic.apicd(*irq).is_some()).map(|irq| irq.0).collect();
    Err(report!(
        help = format!("expected one of {}", super::rows::ranges(&all)),
        "--explain: there is no interrupt {irq} that has a vector"
    ))
}

/// Runs the command.
pub fn run(machine: &Machine, name: &str, question: &Question, irq: u32) -> diagnostic::Result<ExitCode> {
    // What is wrong with the question is said before anything else.
    ask(machine, &Question { headroom: false, ..question.clone() })?;
    let prepared = ::whatif::prepare(machine, question)?;
    exists(&prepared.k, irq)?;
    let mut out = Output::new();
    let mut session = Session::new(prepared.k.clone(), name);
    session.line(&format!(":watch {WATCHED} of irq {irq}"));
    let mut said: Vec<(u64, String)> = Vec::new();
    for stage in &prepared.stages {
        go(&mut session, &stage.script.text, &mut said);
    }
    session.line(":delete");
    match said.last() {
        Some((step, text)) => {
            let all: Vec<u64> = said.iter().map(|(step, _)| *step).collect();
            out.line(format_args!("{} decided about interrupt {irq}: {}", plural(all.len()), steps(&all)))?;
            session.line(&format!(":goto {step}"));
            out.text(text.trim_start_matches("watch 1: "))?;
        }
        None if prepared.boots => {
            out.line(format_args!("nothing but the boot decided about interrupt {irq}:"))?;
            out.text(&at_boot(&prepared.machine, irq))?;
        }
        None => out.line(format_args!("nothing of this changes the vector or the CPU of interrupt {irq}"))?,
    }
    if io::stdin().is_terminal() {
        out.finish()?;
        return sh::interactive(sh::Begun::of(session), None);
    }
    out.text(&session.line(&format!(":print irq {irq}")).text)?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn plural(n: usize) -> String {
    if n == 1 { "1 step".to_owned() } else { format!("{n} steps") }
}
