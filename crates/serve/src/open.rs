//! What can be opened, and what a mistake in it is answered with.

use diagnostic::Report;
use explore::museum::{EXHIBITS, Exhibit};
use kstate::semantics::{KernelVersion, Semantics};
use serde::{Deserialize, Serialize};
use sim::machine::Machine;

use crate::limits;

/// A machine file that was named on the command line, or the embedded one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// What it is called.
    pub name: String,
    /// The text of the file.
    pub text: String,
}

/// What a client wants to open.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// A machine that is offered, by its name; the first one where nothing is named.
    pub machine: Option<String>,
    /// The text of a machine file.
    pub text: Option<String>,
    /// An exhibit of the museum, by its id.
    pub exhibit: Option<String>,
    /// The kernel, where it is not the machine's.
    pub kernel: Option<String>,
    /// Behaviours to change, as `FIELD=VALUE`.
    pub set: Vec<String>,
}

/// What is opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What the machine is called.
    pub name: String,
    /// The text of its file.
    pub text: String,
    /// The machine.
    pub machine: Machine,
    /// What its kernel does.
    pub semantics: Semantics,
    /// The script of the exhibit.
    pub script: Option<&'static str>,
}

/// A mistake, as the page shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Mistake {
    /// What is wrong, in a sentence.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// Where it is.
    pub place: Option<Where>,
}

/// A place in a text: lines and columns in characters, from 1.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Where {
    /// Where it begins.
    pub line: usize,
    /// The column there.
    pub column: usize,
    /// Where it ends.
    pub end_line: usize,
    /// The column behind its last letter.
    pub end_column: usize,
    /// What was expected there.
    pub label: String,
}

impl From<Report> for Mistake {
    fn from(report: Report) -> Self {
        let place = report.place().map(|place| {
            let ((line, column), (end_line, end_column)) = (place.line_and_column(), place.end());
            Where { line, column, end_line, end_column, label: place.label().to_owned() }
        });
        Self { message: report.to_string(), help: report.help(), place }
    }
}

impl Mistake {
    /// A sentence, and what was expected.
    pub fn new(message: impl Into<String>, expected: impl core::fmt::Display) -> Self {
        Self { message: message.into(), help: Some(format!("expected {expected}")), place: None }
    }
}

/// Reads what a client wants.
///
/// # Errors
/// What is wrong with it, and where.
pub fn open(wanted: &Wanted, offers: &[Offer]) -> Result<Opened, Mistake> {
    let Wanted { machine, text, exhibit, kernel, set } = wanted;
    let (name, text, script) = match (machine, text, exhibit) {
        (None, None, Some(id)) => {
            let found = Exhibit::find(id);
            let exhibit = found.ok_or_else(|| {
                let close = Exhibit::close_ids(id);
                let close = if close.is_empty() { "one, such as M03".to_owned() } else { close.join(" or ") };
                Mistake::new(format!("there is no exhibit `{id}`"), close)
            })?;
            (format!("{}/machine.toml", exhibit.id), exhibit.machine.to_owned(), Some(exhibit.script))
        }
        (None, Some(text), None) => ("machine.toml".to_owned(), text.clone(), None),
        (wanted, None, None) => {
            let offer = match wanted {
                Some(wanted) => offers.iter().find(|offer| offer.name == *wanted),
                None => offers.first(),
            };
            let names = || offers.iter().map(|offer| offer.name.as_str()).collect::<Vec<_>>().join(", ");
            let offer = offer.ok_or_else(|| {
                Mistake::new(format!("no machine is called `{}`", wanted.as_deref().unwrap_or("")), names())
            })?;
            (offer.name.clone(), offer.text.clone(), None)
        }
        _ => return Err(Mistake::new("this names more than one thing to open", "machine, text or exhibit")),
    };
    let mut machine = Machine::parse(&name, &text).map_err(|e| Mistake::from(Report::from(e)))?;
    let heavy = weight(&machine);
    if heavy > limits::WEIGHT {
        let expected = format!(
            "at most {} of CPUs and messages together; `irqlab tui --machine FILE` has no such bound",
            limits::WEIGHT
        );
        let messages = heavy - machine.possible as usize;
        let what = format!(
            "{name}: {} CPUs and {messages} messages of devices are too much for this server",
            machine.possible
        );
        return Err(Mistake::new(what, expected));
    }
    let known = |name: &String| {
        let kernel = KernelVersion::from_name(name);
        kernel.ok_or_else(|| Mistake::new(format!("no kernel is called `{name}`"), KernelVersion::names()))
    };
    let version = kernel.as_ref().map(known).transpose()?.unwrap_or(machine.kernel);
    let mut semantics = Semantics::of(version);
    let mut done: Vec<&str> = Vec::new();
    for text in set {
        let Some((field, value)) = text.split_once('=') else {
            return Err(Mistake::new(format!("`{text}` sets nothing"), "FIELD=VALUE"));
        };
        let field = field.trim();
        semantics.set(field, value.trim()).map_err(|e| Mistake::new(e.to_string(), e.expected()))?;
        if done.contains(&field) {
            return Err(Mistake::new(format!("`{field}` is set twice"), "one value for each field"));
        }
        done.push(field);
    }
    semantics.check().map_err(|why| Mistake::new(why, "values that go together"))?;
    machine.kernel = version;
    Ok(Opened { name, text, machine, semantics, script })
}

/// How much memory a machine takes, compared with others: its CPUs and the messages of its devices.
pub fn weight(machine: &Machine) -> usize {
    let messages = machine.pci.iter().map(|device| device.msix_vectors.max(device.msi_vectors) as usize);
    machine.possible as usize + messages.sum::<usize>()
}

/// What there is to choose from.
#[derive(Clone, Debug, Serialize)]
pub struct Choices {
    kernels: Vec<&'static str>,
    machines: Vec<Choice>,
    exhibits: Vec<Choice>,
    behaviours: Vec<Behaviour>,
}

/// A machine or an exhibit.
#[derive(Clone, Debug, Serialize)]
struct Choice {
    name: String,
    title: String,
}

/// A behaviour in which kernels differ.
#[derive(Clone, Debug, Serialize)]
struct Behaviour {
    name: &'static str,
    text: &'static str,
    values: Vec<&'static str>,
    /// The value of each kernel.
    of: Vec<&'static str>,
}

/// What there is to choose from.
pub fn choices(offers: &[Offer]) -> Choices {
    let machine = |offer: &Offer| {
        let title = match Machine::parse(&offer.name, &offer.text) {
            Ok(machine) => format!("{}, {} CPUs", machine.kernel.name(), machine.possible),
            Err(_) => String::new(),
        };
        Choice { name: offer.name.clone(), title }
    };
    let exhibit = |e: &Exhibit| Choice { name: e.id.to_owned(), title: e.title.clone() };
    let behaviours = Semantics::fields().iter().map(|field| Behaviour {
        name: field.name,
        text: field.doc,
        values: field.values.iter().map(|value| value.word).collect(),
        of: KernelVersion::ALL.iter().map(|version| field.of(*version)).collect(),
    });
    Choices {
        kernels: KernelVersion::ALL.iter().map(|version| version.name()).collect(),
        machines: offers.iter().map(machine).collect(),
        exhibits: EXHIBITS.iter().map(exhibit).collect(),
        behaviours: behaviours.collect(),
    }
}
