//! Two kernels asked the same: which vectors move, and by which change of behaviour.

use std::collections::BTreeMap;
use std::process::ExitCode;

use kstate::semantics::{Field, KernelVersion, Semantics};

use super::{Answer, Places, Request, answer, question, why_null};
use crate::exit::DIFFERS;
use crate::input::Output;

/// A vector's CPUs and whether it is managed, as text.
fn text((mask, managed): &(String, bool)) -> String {
    let cpus = if mask.is_empty() { "none" } else { mask };
    if *managed { cpus.to_owned() } else { format!("{cpus} (not spread)") }
}

/// What a field by itself makes of the answer, on either side: each with the answer that it is to be
/// compared with, the one of that side.
struct Alone {
    field: &'static Field,
    at_from: Answer,
    at_to: Answer,
}

impl Alone {
    /// Whether the field moves a vector by itself: the first kernel with the new value no longer has its
    /// old CPUs there, or the second with the old value no longer has its new ones.
    fn moves(&self, from: &Answer, to: &Answer, vector: usize) -> bool {
        let at = |answer: &Answer| answer.masks.as_ref().and_then(|masks| masks.get(vector).cloned());
        at(&self.at_from) != at(from) || at(&self.at_to) != at(to)
    }
}

/// A semantics with one field set to the value that another has.
fn with(base: &Semantics, other: &Semantics, field: &Field) -> Semantics {
    let mut semantics = base.clone();
    if let Some(value) = other.get(field.name) {
        // A value that was read from a field is one that the field has.
        let _ = semantics.set(field.name, &value);
    }
    semantics
}

/// The fields that change an answer when they alone are changed.
fn causes(from: &Semantics, to: &Semantics, ask: &impl Fn(Semantics) -> Answer) -> Vec<Alone> {
    let (left, right) = (ask(from.clone()), ask(to.clone()));
    let differs = |field: &&Field| from.get(field.name) != to.get(field.name);
    let alone = Semantics::fields().iter().filter(differs).map(|field| Alone {
        field,
        at_from: ask(with(from, to, field)),
        at_to: ask(with(to, from, field)),
    });
    alone.filter(|alone| alone.at_from != left || alone.at_to != right).collect()
}

/// Prints both answers beside each other.
///
/// # Errors
/// For output that cannot be written.
pub(super) fn compare(
    from: KernelVersion,
    to: KernelVersion,
    places: &Places,
    request: &Request,
) -> diagnostic::Result<ExitCode> {
    let ask = |semantics| answer(semantics, places, request, None).0;
    let (old, new) = (Semantics::of(from), Semantics::of(to));
    let (left, right) = (ask(old.clone()), ask(new.clone()));
    let mut out = Output::new();
    out.line(question(places, request))?;
    let (Some(before), Some(after)) = (&left.masks, &right.masks) else {
        out.line(format_args!("NULL: {}", why_null(request)))?;
        out.finish()?;
        return Ok(ExitCode::SUCCESS);
    };
    let causes = if left == right { Vec::new() } else { causes(&old, &new, &ask) };
    let rows: Vec<(String, String)> = before.iter().map(text).zip(after.iter().map(text)).collect();
    let width = |cells: &mut dyn Iterator<Item = usize>, name: &str| cells.max().unwrap_or(0).max(name.len());
    let (w, v) = (
        width(&mut rows.iter().map(|(a, _)| a.len()), from.name()),
        width(&mut rows.iter().map(|(_, b)| b.len()), to.name()),
    );
    out.line(format_args!("vector  {:w$}  {}", from.name(), to.name()))?;
    // How many vectors move for the same reasons, in the order in which they first appear.
    let mut moved: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
    for (vector, (a, b)) in rows.iter().enumerate() {
        if a == b {
            out.line(format_args!("{vector:<6}  {a:w$}  {b}"))?;
            continue;
        }
        let why: Vec<&str> = causes
            .iter()
            .filter(|cause| cause.moves(&left, &right, vector))
            .map(|cause| cause.field.name)
            .collect();
        let named = if why.is_empty() { "several fields together".to_owned() } else { why.join(", ") };
        out.line(format_args!("{vector:<6}  {a:w$}  {b:v$}  [{named}]"))?;
        *moved.entry(why).or_default() += 1;
    }
    let all: usize = moved.values().sum();
    out.line(format_args!("{all} of {} vectors move", rows.len()))?;
    if left.warned != right.warned {
        let who = if left.warned { from } else { to };
        out.line(format_args!("{} warns", who.name()))?;
    }
    for Alone { field, .. } in &causes {
        let value = |semantics: &Semantics| semantics.get(field.name).unwrap_or_default();
        let says = |word: &str| field.values.iter().find(|v| v.word == word).map_or("", |v| v.text);
        let (a, b) = (value(&old), value(&new));
        out.line(format_args!("{}: {} in {}, {}", field.name, field.function, field.file, field.changed()))?;
        out.line(format_args!("  {} {a}: {}", from.name(), says(&a)))?;
        out.line(format_args!("  {} {b}: {}", to.name(), says(&b)))?;
    }
    out.finish()?;
    Ok(if all == 0 { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}
