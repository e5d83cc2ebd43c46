//! The kernel command line: init/main.c and kernel/params.c of 5.4 and 6.12, and the words that this
//! kernel takes.
//!
//! The text is parsed twice at boot, as C does it: [`parse_early_param`] before CPUs are counted, and
//! [`parse_args`] when they are. Each word's own function is in the module of its C file and leaves
//! what it read in the kernel's state; nobody reads the text again.
//!
//! A word that changes nothing in this model is in [`words`]. One that does and is not modelled, and
//! one that no kernel knows, is a mistake in the machine file ([`check`]).

use drivers::nvme::pci as nvme;
use irqcore::{handle, irqdesc, manage, spurious};
use kcore::sched::isolation;
use kcore::{cpu, smp};
use kstate::kstrtox::{get_option, kstrtobool, kstrtoint, kstrtouint, simple_strtoull};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::{Errno, Kernel};
use x86apic::kernel::{apic, intel_iommu, io_apic, irq_remapping};

pub mod words;

/// What a parameter's function gets: the text behind the first `=`, if there is one.
type Value<'a> = Option<&'a str>;

/// When a word is read, and by what.
#[derive(Clone, Copy)]
enum Takes {
    /// `early_param()`: an error makes it a malformed option.
    Early(fn(&mut Kernel, Value<'_>) -> Result<(), Errno>),
    /// `__setup()`: a word that begins like this; the function gets what follows, and says whether it
    /// took it.
    Setup(fn(&mut Kernel, &str) -> bool),
    /// `module_param()` of what is built in.
    Module(fn(&mut Kernel, Value<'_>) -> Result<(), Errno>),
}

/// A word that this model knows the meaning of.
struct Word {
    /// As in the source: a `__setup()` has its `=`.
    name: &'static str,
    takes: Takes,
    /// The kernel has it.
    there: fn(&Semantics) -> bool,
    /// Why a value cannot be had here.
    refused: fn(Value<'_>) -> Option<String>,
}

impl Word {
    const fn new(name: &'static str, takes: Takes) -> Self {
        Self { name, takes, there: |_| true, refused: |_| None }
    }

    /// It is not in every kernel.
    const fn only(self, there: fn(&Semantics) -> bool) -> Self {
        Self { there, ..self }
    }

    /// Some values are not modelled.
    const fn without(self, refused: fn(Value<'_>) -> Option<String>) -> Self {
        Self { refused, ..self }
    }
}

const fn early(name: &'static str, f: fn(&mut Kernel, Value<'_>) -> Result<(), Errno>) -> Word {
    Word::new(name, Takes::Early(f))
}

const fn setup(name: &'static str, f: fn(&mut Kernel, &str) -> bool) -> Word {
    Word::new(name, Takes::Setup(f))
}

const fn module(name: &'static str, f: fn(&mut Kernel, Value<'_>) -> Result<(), Errno>) -> Word {
    Word::new(name, Takes::Module(f))
}

/// All of them.
static WORDS: &[Word] = &[
    // kernel/smp.c and the counting of CPUs.
    early("nosmp", smp::nosmp),
    early("nr_cpus", smp::nrcpus),
    early("maxcpus", smp::maxcpus),
    early("possible_cpus", setup_possible_cpus).without(no_cpus),
    early("disable_cpu_apicid", apic::apic_set_disabled_cpu_apicid).only(|sem| sem.disable_cpu_apicid),
    // kernel/cpu.c.
    early("nosmt", cpu::smt_cmdline_disable),
    early("mitigations", cpu::mitigations_parse_cmdline),
    early("cpuhp.parallel", cpu::parallel_bringup_parse_param).only(|sem| sem.cpuhp_split_startup),
    setup("cpu0_hotplug", enable_cpu0_hotplug).only(|sem| sem.cpu0_hotplug),
    // Isolation.
    setup("isolcpus=", isolation::housekeeping_isolcpus_setup).without(no_io_queue),
    setup("nohz_full=", isolation::housekeeping_nohz_full_setup),
    // APICs.
    early("noapic", io_apic::parse_noapic),
    early("nolapic", apic::setup_disableapic),
    early("disableapic", apic::setup_disableapic).only(|sem| sem.disableapic),
    early("apic", apic::apic_set_verbosity),
    early("nox2apic", apic::setup_nox2apic),
    early("nointremap", irq_remapping::setup_nointremap),
    early("intremap", irq_remapping::setup_irqremap).without(no_posted_msi),
    setup("intel_iommu=", intel_iommu::intel_iommu_setup),
    // kernel/irq.
    setup("irqaffinity=", irqdesc::irq_affinity_setup),
    early("threadirqs", manage::setup_forced_irqthreads),
    setup("irqhandler.duration_warn_us=", handle::irqhandler_duration_check_setup)
        .only(|sem| sem.irqhandler_duration_check),
    setup("noirqdebug", spurious::noirqdebug_setup),
    setup("irqfixup", spurious::irqfixup_setup),
    setup("irqpoll", spurious::irqpoll_setup),
    module("spurious.noirqdebug", |k, value| param_set_bool(&k.sem, value, &mut k.irq.noirqdebug)),
    // PCI and drivers.
    early("pci", pcimsi::kernel::pci_setup).without(words::pci),
    early("acpi", parse_acpi).without(words::acpi),
    module("rcupdate.rcu_expedited", |k, value| {
        k.params.rcu_expedited = kstrtoint(value.ok_or(Errno::EINVAL)?.as_bytes(), 0)?;
        Ok(())
    }),
    module("nvme.use_threaded_interrupts", |k, value| {
        let text = value.ok_or(Errno::EINVAL)?;
        k.params.nvme_use_threaded_interrupts = kstrtoint(text.as_bytes(), 0)?;
        Ok(())
    }),
    module("nvme.write_queues", |k, value| {
        k.params.nvme_write_queues = nvme::io_queue_count_set(k, value)?;
        Ok(())
    })
    .without(negative),
    module("nvme.poll_queues", |k, value| {
        k.params.nvme_poll_queues = nvme::io_queue_count_set(k, value)?;
        Ok(())
    })
    .without(negative),
    module("nvme.io_queue_depth", nvme::io_queue_depth_set),
    module("nvme.quirks", nvme::quirks_param_set)
        .only(|sem| sem.nvme_quirks_param)
        .without(words::nvme_quirks),
    module("nvme_core.admin_timeout", |k, value| param_set_uint(value, &mut k.params.nvme_admin_timeout))
        .without(no_time),
    module("nvme_core.io_timeout", |k, value| param_set_uint(value, &mut k.params.nvme_io_timeout))
        .without(no_time),
    module("virtio_blk.queue_depth", |k, value| param_set_uint(value, &mut k.params.virtblk_queue_depth)),
    module("virtio_blk.num_request_queues", |k, value| {
        param_set_uint(value, &mut k.params.virtblk_num_request_queues)
    })
    .only(|sem| sem.virtblk_poll_queues),
    module("virtio_blk.poll_queues", |k, value| param_set_uint(value, &mut k.params.virtblk_poll_queues))
        .only(|sem| sem.virtblk_poll_queues),
];

// ---- the files of what is built in ----

/// `module_param()` with a file in /sys/module.
pub struct ModuleParam {
    /// The module.
    pub module: &'static str,
    /// The parameter.
    pub name: &'static str,
    /// The file's permission bits.
    pub mode: u16,
    /// The word of the command line, which a write goes to.
    word: &'static str,
    show: fn(&Kernel) -> String,
    /// The kernels that have the file.
    there: fn(&Semantics) -> bool,
}

impl ModuleParam {
    const fn new(word: &'static str, module: &'static str, show: fn(&Kernel) -> String) -> Self {
        // A word is the module's name, a dot, and the parameter's.
        let (_, name) = word.split_at(module.len() + 1);
        Self { module, name, mode: 0o644, word, show, there: |_| true }
    }

    const fn read_only(self) -> Self {
        Self { mode: 0o444, ..self }
    }

    const fn only(self, there: fn(&Semantics) -> bool) -> Self {
        Self { there, ..self }
    }
}

/// 5.4 keeps numbers of queues as an int.
fn queues(k: &Kernel, value: u32) -> String {
    if k.sem.nvme_queue_params_checked { value.to_string() } else { (value as i32).to_string() }
}

/// Those that the model reads. A controller's next reset, or a driver's next probe, sees what was written.
static FILES: &[ModuleParam] = &[
    ModuleParam::new("nvme.io_queue_depth", "nvme", |k| queues(k, k.params.nvme_io_queue_depth)),
    ModuleParam::new("nvme.poll_queues", "nvme", |k| queues(k, k.params.nvme_poll_queues)),
    ModuleParam::new("nvme.use_threaded_interrupts", "nvme", |k| {
        k.params.nvme_use_threaded_interrupts.to_string()
    })
    .read_only()
    .only(|sem| sem.nvme_queue_params_checked),
    ModuleParam::new("nvme.write_queues", "nvme", |k| queues(k, k.params.nvme_write_queues)),
    ModuleParam::new("nvme_core.admin_timeout", "nvme_core", |k| k.params.nvme_admin_timeout.to_string()),
    ModuleParam::new("nvme_core.io_timeout", "nvme_core", |k| k.params.nvme_io_timeout.to_string()),
    ModuleParam::new("virtio_blk.num_request_queues", "virtio_blk", |k| {
        k.params.virtblk_num_request_queues.to_string()
    })
    .only(|sem| sem.virtblk_poll_queues),
    ModuleParam::new("virtio_blk.poll_queues", "virtio_blk", |k| k.params.virtblk_poll_queues.to_string())
        .only(|sem| sem.virtblk_poll_queues),
    ModuleParam::new("virtio_blk.queue_depth", "virtio_blk", |k| k.params.virtblk_queue_depth.to_string())
        .read_only(),
];

/// The files of a module below /sys/module/MODULE/parameters.
// DEVIATION: parameters that change nothing here have no files: those of power states, of host memory and of the
// controller's memory buffer, of retries and of multipath. `admin_timeout` and `io_timeout` take 1 to 1000000 seconds.
pub fn module_params(k: &Kernel, module: &str) -> impl Iterator<Item = &'static ModuleParam> {
    FILES.iter().filter(move |param| param.module == module && (param.there)(&k.sem))
}

/// The modules that have such files.
pub fn modules() -> impl Iterator<Item = &'static str> {
    let mut last = None;
    FILES.iter().map(|param| param.module).filter(move |module| last.replace(*module) != Some(*module))
}

impl ModuleParam {
    /// `param_attr_show()`.
    pub fn show(&self, k: &Kernel) -> String {
        (self.show)(k)
    }

    /// `param_attr_store()`.
    ///
    /// # Errors
    /// Those of the parameter's own function, and `EINVAL` for a time that is not modelled.
    pub fn store(&self, k: &mut Kernel, text: &str) -> Result<(), Errno> {
        if self.module == "nvme_core" && no_time(Some(text)).is_some() {
            return Err(Errno::EINVAL);
        }
        match WORDS.iter().find(|word| word.name == self.word).map(|word| word.takes) {
            Some(Takes::Module(set)) => set(k, Some(text)),
            _ => Err(Errno::ENOENT),
        }
    }
}

// ---- what has no other module ----

/// kernel/params.c.
fn param_set_uint(value: Value<'_>, param: &mut u32) -> Result<(), Errno> {
    *param = kstrtouint(value.ok_or(Errno::EINVAL)?.as_bytes(), 0)?;
    Ok(())
}

/// kernel/params.c. A word without a value is true.
fn param_set_bool(sem: &Semantics, value: Value<'_>, param: &mut bool) -> Result<(), Errno> {
    *param = kstrtobool(sem, value.unwrap_or("1").as_bytes())?;
    Ok(())
}

/// `_setup_possible_cpus()` (5.4), `setup_possible_cpus()` (6.12).
fn setup_possible_cpus(k: &mut Kernel, value: Value<'_>) -> Result<(), Errno> {
    let mut possible = k.params.possible_cpus.map_or(-1, |n| n as i32);
    get_option(value.unwrap_or_default().as_bytes(), &mut possible);
    k.params.possible_cpus = u32::try_from(possible).ok();
    Ok(())
}

/// arch/x86/kernel/topology.c of 5.4.
fn enable_cpu0_hotplug(k: &mut Kernel, _: &str) -> bool {
    k.params.cpu0_hotpluggable = true;
    true
}

/// `parse_acpi()`, arch/x86/kernel/acpi/boot.c, for the words that change nothing here.
fn parse_acpi(_: &mut Kernel, value: Value<'_>) -> Result<(), Errno> {
    match value {
        Some("force" | "strict" | "rsdt" | "copy_dsdt" | "nocmcff") => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

fn no_cpus(value: Value<'_>) -> Option<String> {
    let (n, _) = simple_strtoull(value?.as_bytes(), 0);
    (n == 0).then(|| "a kernel without possible CPUs does not boot".to_owned())
}

fn no_time(value: Value<'_>) -> Option<String> {
    let (n, _) = simple_strtoull(value?.as_bytes(), 0);
    (n == 0 || n > 1_000_000).then(|| "a timeout is modelled from 1 to 1000000 seconds".to_owned())
}

fn negative(value: Value<'_>) -> Option<String> {
    value?.starts_with('-').then(|| "a negative number of queues is not modelled".to_owned())
}

/// A flag that was proposed and disputed from 2025 on.
fn no_io_queue(value: Value<'_>) -> Option<String> {
    let flags = value?.split(',').take_while(|flag| flag.starts_with(|c: char| c.is_ascii_alphabetic()));
    let mut io_queue = flags.filter(|flag| *flag == "io_queue");
    io_queue.next().map(|_| "no released kernel has isolcpus=io_queue".to_owned())
}

fn no_posted_msi(value: Value<'_>) -> Option<String> {
    let posted = value?.split(',').any(|option| option.starts_with("posted_msi"));
    posted.then(|| "posted interrupts are not modelled".to_owned())
}

// ---- the words of a text ----

/// A word as `next_arg()` cuts it out of the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg {
    /// What stands before the first `=`.
    pub param: String,
    /// What stands behind it, without the quotes around it.
    pub value: Option<String>,
    /// Where it starts, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

impl Arg {
    fn value(&self) -> Value<'_> {
        self.value.as_deref()
    }

    /// `repair_env_string()`: the word as one text.
    fn text(&self) -> String {
        match &self.value {
            None => self.param.clone(),
            Some(value) => format!("{}={value}", self.param),
        }
    }
}

/// lib/ctype.c.
fn isspace(c: u8) -> bool {
    matches!(c, 9..=13 | 32)
}

/// The words of a command line, up to one that is `--` (lib/cmdline.c, `next_arg()`).
pub fn args(text: &str) -> Vec<Arg> {
    let bytes = text.as_bytes();
    let mut args = Vec::new();
    let mut at = 0;
    loop {
        while bytes.get(at).is_some_and(|&c| isspace(c)) {
            at += 1;
        }
        if at == bytes.len() {
            return args;
        }
        let start = at;
        let quoted = bytes[at] == b'"';
        let mut in_quote = quoted;
        let from = at + usize::from(quoted);
        let mut equals = None;
        let mut end = from;
        while end < bytes.len() && (in_quote || !isspace(bytes[end])) {
            match bytes[end] {
                // A `=` right at the beginning is none.
                b'=' if equals.is_none() && end > from => equals = Some(end),
                b'"' => in_quote = !in_quote,
                _ => {}
            }
            end += 1;
        }
        let closed = if quoted && end > from && bytes[end - 1] == b'"' { end - 1 } else { end };
        let (param, value) = match equals {
            None => (&text[from..closed], None),
            Some(equals) => {
                let value = &text[equals + 1..closed.max(equals + 1)];
                let value = match value.strip_prefix('"') {
                    Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
                    None => value,
                };
                (&text[from..equals], Some(value.to_owned()))
            }
        };
        if param == "--" && value.is_none() {
            return args;
        }
        args.push(Arg { param: param.to_owned(), value, start, end });
        at = end;
    }
}

/// `parameq()`: a dash is an underscore.
fn parameq(a: &str, b: &str) -> bool {
    a.len() == b.len() && parameqn(a, b)
}

/// `parameqn()`: `line` begins with `name`.
fn parameqn(line: &str, name: &str) -> bool {
    let dash = |c: u8| if c == b'-' { b'_' } else { c };
    line.len() >= name.len() && line.bytes().zip(name.bytes()).all(|(a, b)| dash(a) == dash(b))
}

// ---- boot ----

fn words_of(k: &Kernel) -> impl Iterator<Item = &'static Word> + use<> {
    let there: Vec<&'static Word> = WORDS.iter().filter(|word| (word.there)(&k.sem)).collect();
    there.into_iter()
}

/// `parse_early_param()`: what has to be known before anything is set up.
pub fn parse_early_param(k: &mut Kernel) {
    for arg in args(&k.saved_command_line.clone()) {
        for word in words_of(k) {
            let Takes::Early(take) = word.takes else { continue };
            if parameq(&arg.param, word.name) && take(k, arg.value()).is_err() {
                k.log.push(format!("Malformed early option '{}'", arg.param));
            }
        }
    }
}

/// `parse_args("Booting kernel")`: parameters of what is built in, and everything that is not early.
/// CPUs are counted, and the boot CPU runs.
pub fn parse_args(k: &mut Kernel) {
    let mut unknown: [Vec<String>; 2] = Default::default();
    for arg in args(&k.saved_command_line.clone()) {
        let module =
            words_of(k).find(|word| matches!(word.takes, Takes::Module(_)) && parameq(&arg.param, word.name));
        if let Some(Word { takes: Takes::Module(set), .. }) = module {
            if set(k, arg.value()).is_err() {
                let value = arg.value().unwrap_or_default();
                k.log.push(format!("Booting kernel: `{value}' invalid for parameter `{}'", arg.param));
            }
            continue;
        }
        if unknown_bootoption(k, &arg) {
            continue;
        }
        let [arguments, environment] = &mut unknown;
        match &arg.value {
            None => arguments.push(arg.text()),
            Some(_) => {
                // Of two with a name the second takes the place of the first.
                let name = format!("{}=", arg.param);
                match environment.iter_mut().find(|word| word.starts_with(&name)) {
                    Some(word) => *word = arg.text(),
                    None => environment.push(arg.text()),
                }
            }
        }
    }
    // Init gets them: arguments first, then what becomes its environment.
    let unknown = unknown.concat();
    if k.sem.prints_unknown_bootoptions && !unknown.is_empty() {
        k.log.push(format!(
            "Unknown kernel command line parameters \"{}\", will be passed to user space.",
            unknown.join(" ")
        ));
    }
}

/// `unknown_bootoption()`: says whether anybody takes the word.
fn unknown_bootoption(k: &mut Kernel, arg: &Arg) -> bool {
    let line = arg.text();
    // What boot loaders leave.
    if line.starts_with("BOOT_IMAGE=") || line.starts_with("kexec") {
        return true;
    }
    if obsolete_checksetup(k, &line) || words::no_effect(&arg.param) {
        return true;
    }
    // A parameter of a module that may be loaded later, or two that init has anyway.
    arg.param.contains('.') || matches!(arg.param.as_str(), "HOME" | "TERM")
}

/// `obsolete_checksetup()`: a `__setup()` whose name the word begins with.
fn obsolete_checksetup(k: &mut Kernel, line: &str) -> bool {
    let mut had_early_param = false;
    for word in words_of(k) {
        if !parameqn(line, word.name) {
            continue;
        }
        let rest = &line[word.name.len()..];
        match word.takes {
            Takes::Early(_) => had_early_param |= rest.is_empty() || rest.starts_with('='),
            Takes::Setup(take) if take(k, rest) => return true,
            Takes::Setup(_) | Takes::Module(_) => {}
        }
    }
    had_early_param
}

// ---- machine files ----

/// What is wrong with a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// It changes what this model shows, and is not modelled.
    NotModelled {
        /// Why.
        why: String,
    },
    /// No kernel knows it.
    Unknown {
        /// Known words that are like it.
        near: Vec<&'static str>,
    },
}

/// What is wrong with a word of a command line, whichever kernel runs.
///
/// # Errors
/// A [`Problem`].
pub fn check(arg: &Arg) -> Result<(), Problem> {
    let line = arg.text();
    if let Some(why) = words::not_modelled(&arg.param, arg.value()) {
        return Err(Problem::NotModelled { why: why.to_owned() });
    }
    if line.starts_with("BOOT_IMAGE=") || arg.param == "kexec" || words::no_effect(&arg.param) {
        return Ok(());
    }
    let known = WORDS.iter().find(|word| match word.name.strip_suffix('=') {
        Some(name) => parameq(&arg.param, name) && arg.value.is_some(),
        None => parameq(&arg.param, word.name),
    });
    match known {
        Some(word) => match (word.refused)(arg.value()) {
            Some(why) => Err(Problem::NotModelled { why }),
            None => Ok(()),
        },
        None => Err(Problem::Unknown { near: near(&arg.param) }),
    }
}

/// The model knows what a word means. Others are taken and change nothing.
pub fn counts(arg: &Arg) -> bool {
    WORDS.iter().any(|word| match word.name.strip_suffix('=') {
        Some(name) => parameq(&arg.param, name) && arg.value.is_some(),
        None => parameq(&arg.param, word.name),
    })
}

/// What this model makes of a word of the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// It is obeyed on these kernels; others do not have it.
    Modelled(Vec<KernelVersion>),
    /// It is taken and changes nothing that is modelled.
    NoEffect,
    /// It would change something, and is refused for this reason.
    NotModelled(String),
}

/// What this model makes of a word; `None` for one that is not known.
pub fn meaning(param: &str, value: Option<&str>) -> Option<Meaning> {
    let words = || WORDS.iter().filter(|word| parameq(param, word.name.trim_end_matches('=')));
    if let Some(why) = words().find_map(|word| (word.refused)(value)) {
        return Some(Meaning::NotModelled(why));
    }
    if words().next().is_some() {
        let there = |version: &KernelVersion| words().any(|word| (word.there)(&Semantics::of(*version)));
        return Some(Meaning::Modelled(KernelVersion::ALL.iter().copied().filter(there).collect()));
    }
    if let Some(why) = words::not_modelled(param, value) {
        return Some(Meaning::NotModelled(why.to_owned()));
    }
    words::no_effect(param).then_some(Meaning::NoEffect)
}

/// The names of all words that are known.
pub fn known() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|word| word.name.trim_end_matches('=')).chain(words::names())
}

/// Known words that are like `param`, the most likely first.
fn near(param: &str) -> Vec<&'static str> {
    let mut close: Vec<(usize, &'static str)> = known()
        .map(|name| (strsim::levenshtein(name, param), name))
        .filter(|(distance, _)| *distance <= (param.len() / 3).max(1))
        .collect();
    close.sort_unstable();
    close.dedup();
    close.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Whether a word asks for SMT to be switched off on CPUs that need it.
pub fn wants_nosmt_if_vulnerable(arg: &Arg) -> bool {
    parameq(&arg.param, "mitigations") && arg.value().is_some_and(|value| value.starts_with("auto,nosmt"))
}

#[cfg(test)]
mod tests;
