//! What is asked, and what is wrong with it.

use kstate::semantics::KernelVersion;
use kstate::{CpuId, CpuMask};
use sim::machine::Machine;
use sim::params::{self, Problem};
use sim::script::Script;
use thiserror::Error;

/// A question that cannot be asked of this machine.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{option}: {found}")]
pub struct Mistake {
    /// The option.
    pub option: &'static str,
    /// What is wrong.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl diagnostic::Diagnostic for Mistake {
    fn help(&self) -> Option<String> {
        Some(format!("expected {}", self.expected))
    }
}

impl Mistake {
    /// Says what is wrong with an option and what would be right.
    pub fn new(option: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { option, found: found.into(), expected: expected.into() }
    }
}

/// What is changed. What comes first here is done first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Question {
    /// The machine boots under another kernel.
    pub kernel: Option<KernelVersion>,
    /// It boots with these words of the command line, `+WORDS`, or without these, `-WORDS`.
    pub cmdline: Vec<String>,
    /// It boots with these devices, `NAME[:KEY=VALUE,...]`.
    pub add: Vec<String>,
    /// These functions are not there when it boots; where it is not booted anew, they are unbound.
    pub remove: Vec<String>,
    /// Second threads are switched off.
    pub smt_off: bool,
    /// CPUs that go, the lowest first: a list, or `nodeN`.
    pub offline: Option<String>,
    /// CPUs that come.
    pub online: Option<String>,
    /// What else is done.
    pub script: Option<Script>,
    /// CPUs go, the highest first, until none can.
    pub search: bool,
    /// CPUs are taken down on a copy to see how many more could go.
    pub headroom: bool,
}

impl Question {
    /// It is about another boot.
    pub fn boots(&self) -> bool {
        self.kernel.is_some() || !self.cmdline.is_empty() || !self.add.is_empty()
    }

    /// Nothing is changed.
    pub fn is_empty(&self) -> bool {
        !self.boots()
            && self.remove.is_empty()
            && !self.smt_off
            && self.offline.is_none()
            && self.online.is_none()
            && self.script.is_none()
            && !self.search
    }
}

/// Reads a list of CPUs; `nodeN` in it stands for the CPUs of a node. All of them are possible.
///
/// # Errors
/// A [`Mistake`] that names the option.
pub fn cpus(machine: &Machine, option: &'static str, text: &str) -> Result<CpuMask, Mistake> {
    let expected = || {
        let nodes = machine.nodes.len();
        format!(
            "a list of CPUs from 0 to {}, as in 1-3,5, or node0 to node{}",
            machine.possible - 1,
            nodes - 1
        )
    };
    let mut all = CpuMask::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if let Some(node) = part.strip_prefix("node") {
            let number = node.parse::<usize>().ok();
            let Some(mask) = number.and_then(|n| machine.nodes.get(n)) else {
                return Err(Mistake::new(option, format!("there is no node `{part}`"), expected()));
            };
            // What is not there cannot go.
            all.or_assign(&mask.and(&CpuMask::first_n(machine.present)));
            continue;
        }
        match CpuMask::parse_list(part, kstate::cpumask::MAX_CPUS) {
            Ok(mask) if !mask.is_empty() => all.or_assign(&mask),
            _ => return Err(Mistake::new(option, format!("`{part}` is no list of CPUs"), expected())),
        }
    }
    if all.is_empty() {
        return Err(Mistake::new(option, "no CPUs are named", expected()));
    }
    if let Some(cpu) = all.andnot(&CpuMask::first_n(machine.possible)).first() {
        return Err(Mistake::new(option, format!("there is no CPU {cpu}"), expected()));
    }
    Ok(all)
}

/// The command line with changes: `+WORDS` come last, `-WORDS` go. A word without value takes the words with one
/// along.
///
/// # Errors
/// A [`Mistake`] for words that the kernel or irqlab does not know, and for words that are not there to go.
pub fn cmdline(machine: &Machine, changes: &[String]) -> Result<String, Mistake> {
    const OPTION: &str = "--cmdline";
    const EXPECTED: &str = "+WORDS or -WORDS, as in '+isolcpus=managed_irq,domain,2-3'";
    let mut words: Vec<String> = params::args(&machine.cmdline)
        .into_iter()
        .map(|arg| machine.cmdline[arg.start..arg.end].to_owned())
        .collect();
    for change in changes {
        let (sign, text) = match (change.strip_prefix('+'), change.strip_prefix('-')) {
            (Some(text), _) => ('+', text),
            (_, Some(text)) => ('-', text),
            _ => {
                let found = format!("`{change}` neither adds nor takes away");
                return Err(Mistake::new(OPTION, found, EXPECTED));
            }
        };
        let args = params::args(text);
        if args.is_empty() {
            return Err(Mistake::new(OPTION, format!("`{change}` has no words"), EXPECTED));
        }
        for arg in args {
            let word = &text[arg.start..arg.end];
            if sign == '-' {
                let before = words.len();
                words.retain(|old| old != word && old.split('=').next() != Some(word));
                if words.len() == before {
                    let there = match words[..] {
                        [] => "+WORDS: the command line is empty".to_owned(),
                        _ => format!("a word of `{}`", words.join(" ")),
                    };
                    return Err(Mistake::new(OPTION, format!("`{word}` is not there to go"), there));
                }
                continue;
            }
            match params::check(&arg) {
                Ok(()) if params::wants_nosmt_if_vulnerable(&arg) && machine.smt_vulnerable.is_none() => {
                    return Err(Mistake::new(
                        OPTION,
                        format!("whether `{word}` switches SMT off depends on the CPUs"),
                        "smt_vulnerable = true or false under [cpus] of the machine file",
                    ));
                }
                Ok(()) => words.push(word.to_owned()),
                Err(Problem::NotModelled { why }) => {
                    let found = format!("the kernel parameter `{word}` is not modelled: {why}");
                    return Err(Mistake::new(OPTION, found, "other words"));
                }
                Err(Problem::Unknown { near }) => {
                    let expected = match near[..] {
                        [] => "a parameter of the kernel".to_owned(),
                        _ => near.join(" or "),
                    };
                    let found = format!("unknown kernel parameter `{}`", arg.param);
                    return Err(Mistake::new(OPTION, found, expected));
                }
            }
        }
    }
    Ok(words.join(" "))
}

/// CPUs that have to be in a state before something is done to them.
pub(crate) fn expect_online(
    option: &'static str,
    k: &kstate::Kernel,
    cpus: &CpuMask,
    online: bool,
) -> Result<(), Mistake> {
    let (is, wanted) = if online { ("offline", "online") } else { ("online", "offline") };
    for cpu in cpus.iter() {
        if !k.topo.present.contains(cpu) {
            let found = format!("CPU {cpu} is possible and not there");
            return Err(Mistake::new(option, found, format!("CPUs among {}", k.topo.present.list())));
        }
        if k.topo.is_online(cpu) != online {
            let there = if online { k.topo.online.clone() } else { k.topo.present.andnot(&k.topo.online) };
            let there = if there.is_empty() { "none is".to_owned() } else { there.list() };
            return Err(Mistake::new(
                option,
                format!("CPU {cpu} is {is} already"),
                format!("CPUs that are {wanted}: {there}"),
            ));
        }
        if !kcore::x86::topology::arch_register_cpu(k, cpu) {
            return Err(Mistake::new(
                option,
                format!("CPU {cpu} is the boot CPU, which this kernel does not let go"),
                format!("CPUs among {}", without(&k.topo.online, CpuId(0)).list()),
            ));
        }
    }
    Ok(())
}

fn without(mask: &CpuMask, cpu: CpuId) -> CpuMask {
    let mut rest = mask.clone();
    rest.clear(cpu);
    rest
}
