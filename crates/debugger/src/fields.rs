//! What a record is asked for: arguments of a function, fields of a tracepoint, the interrupt that they lead to.

use kstate::apic::VectorIrq;
use kstate::irqdesc::DevId;
use kstate::trace::{Arg, FieldValue, FnMeta, HARDWARE, Hardware, Record, Trace, Tracepoint, What};
use kstate::{Irq, Kernel, MsiDescId, PciDevId};
use sim::modelled;

/// Types of parameters of which nothing is recorded beside those that are borrowed.
const UNRECORDED: [&str; 18] = [
    "PciFunction",
    "MsiDomainInfo",
    "IrqchipIrqState",
    "Irq2Iommu",
    "DmarMsiOps",
    "IrqDomainOps",
    "FlowHandler",
    "Handler",
    "Option<Handler>",
    "Irte",
    "IrqCfg",
    "NvmeCommand",
    "NodeMasks",
    "IrqAction",
    "ChipData",
    "D",
    "Which",
    "IrqGetAffinity<D>",
];

/// The printed names of fields that `format` calls otherwise (include/trace/events/irq_matrix.h).
const PRINTED: [(&str, &str); 5] = [
    ("avl", "available"),
    ("alloc", "allocated"),
    ("global_avl", "global_available"),
    ("global_rsvd", "global_reserved"),
    ("total_alloc", "total_allocated"),
];

fn is_recorded(ty: &str) -> bool {
    let borrowed = ["&", "Option<&", "Option<Vec", "Option<fn", "Vec<"].iter().any(|b| ty.starts_with(b));
    !borrowed && !UNRECORDED.contains(&ty)
}

/// The parameters of a function that are recorded, with their types; `None` where it is not known. Functions of one name are
/// one to a breakpoint, which stops in all of them.
pub(crate) fn parameters(name: &str) -> Option<impl Iterator<Item = (&'static str, &'static str)>> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for parameter in modelled::named(name).iter().flat_map(|function| function.parameters) {
        if !all.iter().any(|(known, _)| *known == parameter.0) {
            all.push(*parameter);
        }
    }
    is_modelled(name).then(|| all.into_iter().filter(|(_, ty)| is_recorded(ty)))
}

/// The machine has this function.
pub(crate) fn is_modelled(name: &str) -> bool {
    !modelled::named(name).is_empty()
}

/// A parameter of this name and type leads to one interrupt.
fn leads_to_irq(name: &str, ty: &str) -> bool {
    matches!(ty, "Irq" | "Option<Irq>" | "Irqd" | "MsiDescId" | "DevId") || matches!(name, "irq" | "virq")
}

/// What a condition on a function or tracepoint may name, in the order in which it has it; `None` where a function's
/// parameters are not known.
pub(crate) fn names(of: &str) -> Option<Vec<&'static str>> {
    let hardware = HARDWARE.iter().find(|(name, _)| *name == of);
    let mut names: Vec<&'static str> = match (Tracepoint::fields_of(of), hardware) {
        (Some(fields), _) => fields.to_vec(),
        (None, Some((_, fields))) => fields.iter().copied().chain(["irq"]).collect(),
        (None, None) => {
            let known: Vec<_> = parameters(of)?.collect();
            let mut names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let by_number = known.iter().any(|(name, ty)| (*name, *ty) == ("nr", "u32"))
                && known.iter().any(|(_, ty)| *ty == "PciDevId");
            if by_number || known.iter().any(|(name, ty)| leads_to_irq(name, ty)) {
                names.push("irq");
            }
            names
        }
    };
    names.push("cpu");
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(*name);
            true
        }
    });
    Some(names)
}

/// What a record of hardware has under a name is a word, or may be one.
pub(crate) fn is_word(of: &[&str], name: &str) -> bool {
    const WORDS: [&str; 7] = ["dev", "from", "mode", "reason", "register", "source", "to"];
    WORDS.contains(&name) && of.iter().any(|of| HARDWARE.iter().any(|(known, _)| known == of))
}

/// The name by which `format` knows a field.
pub(crate) fn formal(name: &str) -> &str {
    PRINTED.iter().find(|(printed, _)| *printed == name).map_or(name, |(_, formal)| formal)
}

/// What a record says under a name: an argument, a field, the CPU, or the interrupt that it leads to.
pub(crate) fn value(record: &Record, k: &Kernel, name: &str) -> Option<String> {
    let own = match record.what {
        What::Enter { meta, args } => {
            let named = meta.arguments(&args).find(|(known, _)| *known == name);
            named.map(|(_, arg)| match arg {
                Arg::Word(_) => arg.to_string(),
                Arg::IrqData(data) => data.irq.to_string(),
            })
        }
        What::Tracepoint(t) => t.field(formal(name)).map(|value| match value {
            FieldValue::Number(n) => n.to_string(),
            FieldValue::Text(text) => text.as_str().to_owned(),
        }),
        What::Hardware(hardware) => {
            let own = hardware.fields().into_iter().find(|(known, _)| *known == name);
            own.map(|(_, value)| k.trace.field(value))
        }
        What::Exit { .. } | What::Warn(_) => None,
    };
    own.or_else(|| match name {
        // Hardware that acts on its own is on no CPU.
        "cpu" if record.ctx != Trace::NOBODY => Some(record.cpu.to_string()),
        "irq" => irq_of(record, k).map(|irq| irq.to_string()),
        _ => None,
    })
}

/// The interrupt that a record is about.
pub fn irq_of(record: &Record, k: &Kernel) -> Option<Irq> {
    match record.what {
        What::Tracepoint(t) => t.irq(),
        What::Enter { meta, args } => irq_of_call(meta, &args, k),
        What::Hardware(hardware) => irq_of_hardware(&hardware, k),
        What::Exit { .. } | What::Warn(_) => None,
    }
}

/// The interrupt that has a vector on a CPU, or an entry of a function's MSI-X table.
fn irq_of_hardware(hardware: &Hardware, k: &Kernel) -> Option<Irq> {
    match *hardware {
        Hardware::Irr { cpu, vector, .. }
        | Hardware::Isr { cpu, vector }
        | Hardware::Eoi { cpu, vector, .. } => match k.apic.vector_irq(cpu, vector.into()) {
            VectorIrq::Desc(irq) => Some(irq),
            _ => None,
        },
        Hardware::MsixEntry { dev, entry, .. } => irq_of_entry(k, dev, entry),
        Hardware::Mask { dev, entry, .. } | Hardware::Pending { dev, entry, .. } => {
            irq_of_vector(k, dev, entry.into())
        }
        _ => None,
    }
}

/// The interrupt of an entry of a function's MSI-X table.
fn irq_of_entry(k: &Kernel, dev: PciDevId, entry: u16) -> Option<Irq> {
    let mut of_dev = k.msi.descs.iter().map(|(_, desc)| desc).filter(|desc| desc.dev == dev);
    of_dev.find(|desc| desc.msi_index == u32::from(entry))?.irq
}

fn irq_of_call(meta: &FnMeta, args: &kstate::trace::Args, k: &Kernel) -> Option<Irq> {
    use kstate::sched::Slot as _;
    let types: Vec<(&str, &str)> = parameters(meta.name).into_iter().flatten().collect();
    let type_of = |name: &str| types.iter().find(|(n, _)| *n == name).map_or("", |(_, ty)| *ty);
    let mut dev = None;
    for (name, arg) in meta.arguments(args) {
        let word = match arg {
            Arg::IrqData(data) => return Some(data.irq),
            Arg::Word(word) => word,
        };
        let found = match (name, type_of(name)) {
            (_, "Irq") | ("irq" | "virq", "u32" | "") => u32::try_from(word).ok().map(Irq),
            (_, "Option<Irq>") => Option::<Irq>::from_slot(word),
            (_, "MsiDescId") => k.msi.descs.get(MsiDescId::from_slot(word)).and_then(|desc| desc.irq),
            // The same function has `nr` before it.
            (_, "DevId") => irq_of_dev_id(k, DevId::from_slot(word)),
            (_, "PciDevId") => {
                dev = Some(PciDevId::from_slot(word));
                None
            }
            ("nr", "u32") => dev.and_then(|dev| irq_of_vector(k, dev, u32::try_from(word).ok()?)),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The one interrupt that has an action with this `dev_id`.
fn irq_of_dev_id(k: &Kernel, dev_id: DevId) -> Option<Irq> {
    if dev_id == DevId::None {
        return None;
    }
    let has = |irq: &Irq| k.find_desc(*irq).is_some_and(|d| d.action.iter().any(|a| a.dev_id == dev_id));
    let mut found = k.for_each_irq().filter(has);
    found.next().filter(|_| found.next().is_none())
}

/// The interrupt of a function's vector `nr`, as `pci_irq_vector()` finds it.
fn irq_of_vector(k: &Kernel, dev: PciDevId, nr: u32) -> Option<Irq> {
    let mut of_dev = k.msi.descs.iter().map(|(_, desc)| desc).filter(|desc| desc.dev == dev);
    if k.pci.devs.get(dev.index())?.msix_enabled {
        let list = &k.pci_dev(dev).msi_list;
        if let Some(desc) = list.get(nr as usize).and_then(|id| k.msi.descs.get(*id)) {
            return desc.irq;
        }
        return of_dev.find(|desc| desc.msi_index == nr)?.irq;
    }
    let desc = of_dev.next()?;
    (nr < desc.nvec_used).then(|| desc.irq.map(|irq| Irq(irq.0 + nr)))?
}
