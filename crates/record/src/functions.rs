//! The kernel functions in scope, and which of them the tracer of each kernel can see.
//!
//! The tables are facts about the kernels: name, C file, line, and whether ftrace lists the function. A function that ftrace
//! does not list was inlined, was not built, or is in code that is never traced.

use std::sync::OnceLock;

use kstate::semantics::KernelVersion;
use kstate::trace::FnMeta;

/// A function in scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Function {
    /// The C name.
    pub name: &'static str,
    /// The C file, relative to this kernel's tree.
    pub file: &'static str,
    /// The line of its definition.
    pub line: u32,
    /// The tracer sees it.
    pub traceable: bool,
}

impl Function {
    /// `kernel/cpu.c` carries the hotplug states and is of interest only for what it calls.
    pub fn is_plumbing(&self) -> bool {
        self.file == "kernel/cpu.c"
    }
}

/// The functions in scope of one kernel.
#[derive(Debug)]
pub struct Functions {
    by_name: Vec<Function>,
    roots: Vec<&'static str>,
}

/// Functions out of scope that stack dumps of all kernels show all the same, because they say what
/// kind of context it is.
const ROOTS: &[&str] = &[
    "cpu_stopper_thread",
    "kthread",
    "local_pci_probe",
    "pci_device_probe",
    "pci_device_remove",
    "process_one_work",
    "smpboot_thread_fn",
    "start_secondary",
    "virtio_dev_probe",
    "virtio_dev_remove",
    "worker_thread",
    "write_irq_affinity",
];

/// Traceable, and taken by the task of every CPU hotplug (`takedown_cpu()`, `bringup_cpu()`), yet
/// never shown in a recording: like kernel/cpu.c itself the lock is plumbing. `init_vq()` of
/// virtio-blk stands in stack dumps of all kernels and in no call tree: what it calls is listed
/// under its caller.
const NEVER_SHOWN: &[&str] = &["init_vq", "irq_lock_sparse", "irq_unlock_sparse"];

/// What is known of a kernel's functions.
struct Source {
    /// The table's text.
    table: &'static str,
    /// What its start-up assembly ends in, where stack dumps show that.
    startup: Option<&'static str>,
}

const fn source(version: KernelVersion) -> Source {
    match version {
        KernelVersion::V5_4 => Source {
            table: include_str!("../data/functions-v5.4.tsv"),
            startup: Some("secondary_startup_64"),
        },
        // That path ends in `common_startup_64`, which no stack dump shows.
        KernelVersion::V6_12 => Source { table: include_str!("../data/functions-v6.12.tsv"), startup: None },
        KernelVersion::V7_3 => Source { table: include_str!("../data/functions-v7.3.tsv"), startup: None },
    }
}

impl Functions {
    /// The table of a kernel, parsed at first use.
    pub fn of(version: KernelVersion) -> &'static Self {
        static TABLES: [OnceLock<Functions>; KernelVersion::ALL.len()] =
            [const { OnceLock::new() }; KernelVersion::ALL.len()];
        TABLES[version as usize].get_or_init(|| Self::parse(source(version)))
    }

    /// What the tracer of any kernel sees, for comparing runs of kernels that never shipped: a behaviour
    /// brings its functions along.
    pub fn of_any() -> &'static Self {
        static ANY: OnceLock<Functions> = OnceLock::new();
        ANY.get_or_init(|| {
            let tables = || KernelVersion::ALL.iter().map(|version| Self::of(*version));
            let traceable = tables().flat_map(Self::iter).filter(|f| f.traceable).copied();
            let mut by_name: Vec<Function> = traceable.collect();
            // Stable: a function that several know stands where the oldest of them has it.
            by_name.sort_by_key(|f| f.name);
            by_name.dedup_by_key(|f| f.name);
            let mut roots: Vec<&str> = tables().flat_map(|table| table.roots.iter().copied()).collect();
            roots.sort_unstable();
            roots.dedup();
            Self { by_name, roots }
        })
    }

    // A line that does not parse is left out; a test counts the lines.
    fn parse(Source { table, startup }: Source) -> Self {
        let mut by_name: Vec<Function> = table
            .lines()
            .skip(1)
            .filter_map(|line| {
                let mut fields = line.split('\t');
                Some(Function {
                    name: fields.next()?,
                    file: fields.next()?,
                    line: fields.next()?.parse().ok()?,
                    traceable: fields.next()? == "yes",
                })
            })
            .collect();
        by_name.sort_unstable_by_key(|f| f.name);
        let mut roots: Vec<&str> = ROOTS.iter().copied().chain(startup).collect();
        roots.sort_unstable();
        Self { by_name, roots }
    }

    /// The function in scope with this name.
    pub fn get(&self, name: &str) -> Option<&Function> {
        let at = self.by_name.binary_search_by_key(&name, |f| f.name).ok()?;
        self.by_name.get(at)
    }

    /// Which of a function's C files it is in in this kernel; the oldest generation's for a function out
    /// of scope.
    pub fn file_of(&self, meta: &FnMeta) -> &'static str {
        let listed = self.get(meta.name).map(|function| function.file);
        listed.filter(|file| meta.files.contains(file)).unwrap_or(meta.files[0])
    }

    /// The function, if a call tree shows it.
    pub fn shown(&self, name: &str) -> Option<&Function> {
        self.get(name).filter(|f| f.traceable && !NEVER_SHOWN.contains(&f.name))
    }

    /// Whether a stack dump is cut down to this function and others like it.
    ///
    /// A real stack also holds functions that the tracer does not list, as long as they were not
    /// inlined; but every function in scope that is on the way to a tracepoint and not traceable
    /// is an inlined one, so the rule is the same as for call trees, with the well-known roots and
    /// the functions added that only call trees leave out.
    pub fn in_stacks(&self, name: &str) -> bool {
        self.get(name).is_some_and(|f| f.traceable) || self.roots.binary_search(&name).is_ok()
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Function> {
        self.by_name.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_any_kernel_are_seen_once() {
        let any = Functions::of_any();
        for &version in KernelVersion::ALL {
            for function in Functions::of(version).iter().filter(|f| f.traceable) {
                assert!(any.shown(function.name).is_some() || NEVER_SHOWN.contains(&function.name));
            }
        }
        for pair in any.by_name.windows(2) {
            assert_ne!(pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn every_line_of_the_tables_is_a_function() {
        for &version in KernelVersion::ALL {
            let functions = Functions::of(version);
            assert_eq!(functions.iter().count(), source(version).table.lines().count() - 1);
            for pair in functions.by_name.windows(2) {
                assert!(pair[0].name < pair[1].name, "{} is listed twice", pair[1].name);
            }
            assert!(functions.roots.is_sorted());
        }
    }

    #[test]
    fn what_a_kernel_does_not_trace_is_not_shown() {
        let check = |version, name, shown: bool, in_stacks: bool| {
            let functions = Functions::of(version);
            assert_eq!(functions.shown(name).is_some(), shown, "{name}");
            assert_eq!(functions.in_stacks(name), in_stacks, "{name}");
        };
        check(KernelVersion::V5_4, "do_IRQ", true, true);
        check(KernelVersion::V6_12, "do_IRQ", false, false);
        check(KernelVersion::V5_4, "msi_mask", false, false);
        check(KernelVersion::V5_4, "worker_thread", false, true);
        check(KernelVersion::V5_4, "secondary_startup_64", false, true);
        check(KernelVersion::V6_12, "secondary_startup_64", false, false);
        check(KernelVersion::V6_12, "irq_lock_sparse", false, true);
        check(KernelVersion::V5_4, "init_vq", false, true);
        check(KernelVersion::V6_12, "no_such_function", false, false);
    }
}

/// Functions of a table by the address of what a record names. A run calls few functions many times, and finding one by
/// its name takes some ten comparisons.
#[derive(Debug)]
pub struct Finder<'a> {
    functions: &'a Functions,
    find: fn(&'a Functions, &str) -> Option<&'a Function>,
    known: Vec<Option<(&'static FnMeta, Option<&'a Function>)>>,
}

impl<'a> Finder<'a> {
    const SLOTS: usize = 512;

    /// One that knows what `find` finds.
    pub fn new(functions: &'a Functions, find: fn(&'a Functions, &str) -> Option<&'a Function>) -> Self {
        Self { functions, find, known: vec![None; Self::SLOTS] }
    }

    /// The function, where there is one.
    pub fn get(&mut self, meta: &'static FnMeta) -> Option<&'a Function> {
        let slot = &mut self.known[core::ptr::from_ref(meta).addr() / size_of::<FnMeta>() % Self::SLOTS];
        match slot {
            Some((known, function)) if core::ptr::eq(*known, meta) => *function,
            _ => slot.insert((meta, (self.find)(self.functions, meta.name))).1,
        }
    }
}
