//! The machine's state as paths and values, made from what `{:#?}` prints: every field can be
//! printed, watched and compared without a line of code for it.

use core::fmt::Debug;

use kstate::{CpuId, Irq, Kernel};

/// A path such as `hw_irq_cfg.vector`, and the value's text.
pub type Leaf = (String, String);

/// An opened brace.
struct Scope {
    /// The path of what is inside.
    path: String,
    /// The name in front of it: a struct, variant or nothing.
    name: String,
    /// Values inside begin here.
    start: usize,
    /// Values without a name so far.
    count: usize,
    tuple: bool,
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Splits `name: value`; the name of a field, or a number that is a key.
fn named(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(": ")?;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain.then_some((name, value))
}

/// All values inside `value`, in the order of the fields.
pub fn flatten(value: &dyn Debug) -> Vec<Leaf> {
    let text = format!("{value:#?}");
    let mut out: Vec<Leaf> = Vec::new();
    let mut scopes: Vec<Scope> = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.starts_with(['}', ']', ')']) {
            let Some(scope) = scopes.pop() else { continue };
            // `): value`: what was closed is the key of what follows.
            if let Some((_, rest)) = line.split_once(": ") {
                let key: Vec<String> = out.drain(scope.start..).map(|(_, value)| value).collect();
                if let Some(parent) = scopes.last_mut() {
                    parent.count = parent.count.saturating_sub(1);
                }
                let key = key.join(" ");
                let key = if is_id(&scope.name) { key } else { wrapped(&scope.name, &key) };
                value_line(&mut out, &mut scopes, Some(&key), rest);
                continue;
            }
            // A number in a wrapper, or a variant with one value.
            let single = scope.tuple && out.len() == scope.start + 1 && out[scope.start].0 == scope.path;
            if single && !is_id(&scope.name) {
                let value = &mut out[scope.start].1;
                *value = wrapped(&scope.name, value);
            }
            continue;
        }
        match named(line) {
            Some((name, rest)) => value_line(&mut out, &mut scopes, Some(name), rest),
            None => value_line(&mut out, &mut scopes, None, line),
        }
    }
    out
}

/// A number with a name, or something that may not be there: it is its value.
fn is_id(name: &str) -> bool {
    name.is_empty() || name == "Some" || name.ends_with("Id") || name == "Irq"
}

/// What the kernel or people call a value that the program calls otherwise.
const SPOKEN: [(&str, &str); 13] = [
    ("None", "-"),
    ("[]", "-"),
    ("{}", "-"),
    ("Idle", "swapper"),
    ("InFlight", "MQ_RQ_IN_FLIGHT"),
    ("Complete", "MQ_RQ_COMPLETE"),
    ("Drv", "REQ_OP_DRV_IN"),
    ("Read", "REQ_OP_READ"),
    ("Write", "REQ_OP_WRITE"),
    ("Done", "ended"),
    ("IoApic", "mp_chip_data"),
    ("Apic", "apic_chip_data"),
    ("Boot", "boot"),
];

/// A word as people write it: `HandleEdgeIrq` is `handle_edge_irq`.
fn word(name: &str) -> String {
    if let Some((_, known)) = SPOKEN.iter().find(|(of, _)| *of == name) {
        return (*known).to_owned();
    }
    let camel = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.contains(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if !camel {
        return name.to_owned();
    }
    let mut out = String::new();
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// A value as people write it.
fn spoken(value: &str) -> String {
    // A set of CPUs is a list of them.
    if let Some(list) = value.strip_prefix('{').and_then(|v| v.strip_suffix('}'))
        && !list.is_empty()
    {
        return list.to_owned();
    }
    match value.split_once('(') {
        Some((name, inner)) if !value.starts_with('"') => {
            wrapped(name, &spoken(inner.strip_suffix(')').unwrap_or(inner)))
        }
        _ => word(value),
    }
}

/// A value with the name of its kind: `migration/4`, `until 6.028040000 s`.
fn wrapped(name: &str, value: &str) -> String {
    match (name, value.parse::<u64>()) {
        (name, _) if is_id(name) => value.to_owned(),
        // The threads of a CPU.
        ("Cpuhp" | "Migration" | "Idle", _) => format!("{}/{value}", word(name)),
        ("Until", Ok(time)) => format!("until {}.{:09} s", time / 1_000_000_000, time % 1_000_000_000),
        ("Waiting", _) => format!("waits {value}"),
        // What a free place is linked with is nobody's value.
        ("Free", _) => "free".to_owned(),
        // The lower half is the place in a table.
        ("CpuhpNode", Ok(key)) => format!("#{}", key as u32),
        _ => format!("{} {value}", word(name)),
    }
}

fn value_line(out: &mut Vec<Leaf>, scopes: &mut Vec<Scope>, name: Option<&str>, rest: &str) {
    let path = match (scopes.last_mut(), name) {
        (None, None) => String::new(),
        (None, Some(name)) => name.to_owned(),
        (Some(scope), Some(name)) => join(&scope.path, name),
        (Some(scope), None) => {
            let n = scope.count;
            scope.count += 1;
            if scope.tuple && n == 0 { scope.path.clone() } else { join(&scope.path, &n.to_string()) }
        }
    };
    let opened = rest.strip_suffix(['{', '[', '(']);
    match opened {
        // A string ends in a quote, whatever it holds.
        Some(before) if !rest.starts_with('"') => {
            let name = before.trim_end().to_owned();
            let tuple = rest.ends_with('(');
            scopes.push(Scope { path, name, start: out.len(), count: 0, tuple });
        }
        _ => {
            let value = rest.trim_end_matches(',');
            // What is not there has no value.
            out.push((path, spoken(value)));
        }
    }
}

/// The parts of the machine that a path can begin with, and their names.
pub fn roots(k: &Kernel) -> [(&'static str, &dyn Debug); 22] {
    let Kernel {
        sem,
        saved_command_line,
        params,
        housekeeping,
        topo,
        irq,
        vector_matrix,
        apic,
        remap,
        msi,
        pci,
        blk,
        nvme,
        virtio,
        hotplug,
        hw,
        sched,
        events,
        cur: _,
        log,
        warnings,
        // Places of the program, and no part of the machine.
        printk: _,
        tracing,
        trace: _,
        oracle,
    } = k;
    [
        ("sem", sem),
        ("cmdline", saved_command_line),
        ("params", params),
        ("housekeeping", housekeeping),
        ("topo", topo),
        ("irq", irq),
        ("vector_matrix", vector_matrix),
        ("apic", apic),
        ("remap", remap),
        ("msi", msi),
        ("pci", pci),
        ("blk", blk),
        ("nvme", nvme),
        ("virtio", virtio),
        ("hotplug", hotplug),
        ("hw", hw),
        ("sched", sched),
        ("events", events),
        ("log", log),
        ("warnings", warnings),
        ("tracing", tracing),
        ("oracle", oracle),
    ]
}

/// What a field belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Owner {
    Machine,
    Irq(Irq),
    Cpu(CpuId),
}

/// A field of the machine by name: `topo.online`, `apicd.hw_irq_cfg.vector of irq 31`,
/// `matrix.available of cpu 2`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Path {
    owner: Owner,
    path: String,
}

/// What an interrupt's fields are looked up in.
const OF_IRQ: &str = "`apicd.` (vector and CPU), `desc.` (descriptor) or `msi.` (message)";
/// What a CPU's fields are looked up in.
const OF_CPU: &str = "`lapic.`, `matrix.`, `apic.` or `place.`";

impl Path {
    /// Reads `FIELD`, `FIELD of irq N` or `FIELD of cpu N`.
    ///
    /// # Errors
    /// What is wrong with it, in one sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |n: &str| n.parse::<u32>().map_err(|_| format!("`{n}` is no number"));
        let (owner, path) = match words[..] {
            [path] => (Owner::Machine, path),
            [path, "of", "irq", n] => (Owner::Irq(Irq(number(n)?)), path),
            [path, "of", "cpu", n] => (Owner::Cpu(CpuId(number(n)?)), path),
            _ => return Err("expected FIELD, FIELD of irq N or FIELD of cpu N".to_owned()),
        };
        Ok(Self { owner, path: path.to_owned() })
    }

    /// All of an interrupt.
    pub fn irq(irq: Irq) -> Self {
        Self { owner: Owner::Irq(irq), path: String::new() }
    }

    /// All of a CPU.
    pub fn cpu(cpu: CpuId) -> Self {
        Self { owner: Owner::Cpu(cpu), path: String::new() }
    }

    /// The interrupt or CPU of the field is there, or the field is the machine's.
    pub fn owner_is_there(&self, k: &Kernel) -> bool {
        match self.owner {
            Owner::Machine => true,
            Owner::Irq(irq) => k.find_desc(irq).is_some(),
            Owner::Cpu(cpu) => k.topo.possible.contains(cpu),
        }
    }

    /// A number that differs when the value of the field does; it may differ too when only the value of another
    /// field of the same part does.
    pub fn fingerprint(&self, k: &Kernel) -> u64 {
        use core::fmt::Write as _;
        struct Hashing(std::hash::DefaultHasher);
        impl core::fmt::Write for Hashing {
            fn write_str(&mut self, s: &str) -> core::fmt::Result {
                std::hash::Hasher::write(&mut self.0, s.as_bytes());
                Ok(())
            }
        }
        let mut hashing = Hashing(std::hash::DefaultHasher::new());
        for (_, value) in self.wanted_roots(k) {
            // Writing into a hash cannot fail.
            let _ = write!(hashing, "{value:?};");
        }
        std::hash::Hasher::finish(&hashing.0)
    }

    /// What the path can lie in: all parts of an interrupt and a CPU unless it begins with the name of one.
    fn wanted_roots<'a>(&self, k: &'a Kernel) -> Vec<(&'static str, &'a dyn Debug)> {
        let first = self.path.split('.').next().unwrap_or("");
        let mut roots = self.roots(k);
        if self.owner == Owner::Machine || roots.iter().any(|(root, _)| *root == first) {
            roots.retain(|(root, _)| *root == first);
        }
        roots
    }

    /// What the path may be looked up in: name and value.
    fn roots<'a>(&self, k: &'a Kernel) -> Vec<(&'static str, &'a dyn Debug)> {
        let mut roots: Vec<(&'static str, &dyn Debug)> = Vec::new();
        match self.owner {
            Owner::Machine => roots.extend(self::roots(k)),
            Owner::Irq(irq) => {
                if let Some(apicd) = k.apic.apicd(irq) {
                    roots.push(("apicd", apicd));
                }
                if let Some(desc) = k.find_desc(irq) {
                    roots.push(("desc", desc));
                }
                if let Some((_, msi)) = k.msi.descs.iter().find(|(_, d)| d.irq == Some(irq)) {
                    roots.push(("msi", msi));
                }
            }
            Owner::Cpu(cpu) => {
                if let Some(lapic) = k.hw.lapics.get(cpu.index()) {
                    roots.push(("lapic", lapic));
                }
                if let Some(map) = k.vector_matrix.maps.get(cpu.index()) {
                    roots.push(("matrix", map));
                }
                if let Some(apic) = k.apic.cpus.get(cpu.index()) {
                    roots.push(("apic", apic));
                }
                if let Some(place) = k.topo.cpus.get(cpu.index()) {
                    roots.push(("place", place));
                }
            }
        }
        roots
    }

    /// The values at and below the path, by their paths.
    ///
    /// # Errors
    /// When there is nothing of this name now.
    pub fn values(&self, k: &Kernel) -> Result<Vec<Leaf>, String> {
        let below = |leaf: &Leaf, path: &str| {
            leaf.0.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut found = Vec::new();
        for (root, value) in self.wanted_roots(k) {
            let absolute = self.path.split('.').next() == Some(root);
            let wanted =
                if absolute || self.path.is_empty() { self.path.clone() } else { join(root, &self.path) };
            let leaves = flatten(value).into_iter().map(|(path, value)| (join(root, &path), value));
            found.extend(leaves.filter(|leaf| wanted.is_empty() || below(leaf, &wanted)));
        }
        if found.is_empty() {
            let where_to = match self.owner {
                Owner::Machine => {
                    let names: Vec<&str> = self::roots(k).iter().map(|(name, _)| *name).collect();
                    let near: Vec<&str> =
                        names.iter().copied().filter(|name| name.contains(self.path.as_str())).collect();
                    if near.is_empty() {
                        format!("a path that begins with {}", names.join(", "))
                    } else {
                        format!("perhaps {}", near.join(" or "))
                    }
                }
                Owner::Irq(_) => OF_IRQ.to_owned(),
                Owner::Cpu(_) => OF_CPU.to_owned(),
            };
            return Err(format!("there is no {self} now; expected {where_to}"));
        }
        Ok(found)
    }

    /// The values as one text; `-` when there are none.
    pub fn text(&self, k: &Kernel) -> String {
        match self.values(k).as_deref() {
            Ok([(_, value)]) => value.clone(),
            Ok(many) => {
                many.iter().map(|(path, value)| format!("{path}={value}")).collect::<Vec<_>>().join(" ")
            }
            Err(_) => "-".to_owned(),
        }
    }
}

impl core::fmt::Display for Path {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.path)?;
        match self.owner {
            Owner::Machine => Ok(()),
            Owner::Irq(irq) => write!(f, " of irq {irq}"),
            Owner::Cpu(cpu) => write!(f, " of cpu {cpu}"),
        }
    }
}

/// What changed from one state to the other: the path, and the value in each.
pub fn changes(left: &Kernel, right: &Kernel) -> Vec<(String, Option<String>, Option<String>)> {
    let mut out = Vec::new();
    for ((name, a), (_, b)) in roots(left).into_iter().zip(roots(right)) {
        let (a, b) = (flatten(a), flatten(b));
        if a == b {
            continue;
        }
        let old: std::collections::BTreeMap<&str, &str> =
            a.iter().map(|(p, v)| (p.as_str(), v.as_str())).collect();
        let new: std::collections::BTreeMap<&str, &str> =
            b.iter().map(|(p, v)| (p.as_str(), v.as_str())).collect();
        for (path, value) in &b {
            let before = old.get(path.as_str()).copied();
            if before != Some(value.as_str()) {
                out.push((join(name, path), before.map(str::to_owned), Some(value.clone())));
            }
        }
        let gone = a.iter().filter(|(path, _)| !new.contains_key(path.as_str()));
        out.extend(gone.map(|(path, value)| (join(name, path), Some(value.clone()), None)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_path() {
        let value = (
            kstate::sched::WaitOn::Until(5),
            kstate::apic::IrqCfg { dest_apicid: 1, vector: 2 },
            "a: {",
            vec![Some(Irq(1)), None],
            std::collections::BTreeMap::from([(Irq(7), vec![1])]),
        );
        let expect = [
            ("", "until 0.000000005 s"),
            ("1.dest_apicid", "1"),
            ("1.vector", "2"),
            ("2", "\"a: {\""),
            ("3.0", "1"),
            ("3.1", "-"),
            ("4.7.0", "1"),
        ];
        let expect: Vec<Leaf> = expect.iter().map(|(p, v)| ((*p).to_owned(), (*v).to_owned())).collect();
        assert_eq!(flatten(&value), expect);
    }
}
