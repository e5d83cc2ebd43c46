//! Functions of kernel modules have the kernel's names.
//!
//! `tests/facts` has the names of all functions and macros of each kernel's sources. A function of the model
//! that has none of them is a name of our own, which nobody finds who knows the kernel.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The crates with kernel modules.
const CRATES: [&str; 5] = ["irqcore", "x86apic", "kcore", "pcimsi", "drivers"];
/// One function of a crate in so many may have a name of our own. It is private to its C file, and short.
const ONE_IN: usize = 10;
/// How many lines a short function has at most.
const SHORT: usize = 30;

/// Functions that make what in C is a variable of the same name, with its C file. The facts have no variables.
const TABLES: [(&str, &str); 19] = [
    ("cpuhp_hp_states", "kernel/cpu.c"),
    ("dmar_msi_parent_ops", "drivers/iommu/intel/irq_remapping.c"),
    ("dummy_irq_chip", "kernel/irq/dummychip.c"),
    ("i8259A_chip", "arch/x86/kernel/i8259.c"),
    ("idt_table", "arch/x86/kernel/idt.c"),
    ("intel_ir_chip", "drivers/iommu/intel/irq_remapping.c"),
    ("intel_ir_domain_ops", "drivers/iommu/intel/irq_remapping.c"),
    ("ioapic_chip", "arch/x86/kernel/apic/io_apic.c"),
    ("irq_stat", "arch/x86/kernel/irq.c"),
    ("lapic_controller", "arch/x86/kernel/apic/vector.c"),
    ("msi_domain_ops", "kernel/irq/msi.c"),
    ("no_irq_chip", "kernel/irq/dummychip.c"),
    ("pci_msi_domain_info", "arch/x86/kernel/apic/msi.c"),
    ("pci_msi_template", "drivers/pci/msi/irqdomain.c"),
    ("pci_msix_template", "drivers/pci/msi/irqdomain.c"),
    ("system_vectors", "arch/x86/kernel/idt.c"),
    ("vector_irq", "arch/x86/kernel/irqinit.c"),
    ("virtio_mq_ops", "drivers/block/virtio_blk.c"),
    ("wq_unbound_cpumask", "kernel/workqueue.c"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of all functions and macros of every kernel.
fn kernel_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root().join("tests/facts")).expect("the facts") {
        let path = entry.expect("a readable folder").path();
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if file.starts_with("names-") && file.ends_with(".txt.gz") {
            let mut text = String::new();
            let packed = File::open(&path).expect("a readable file");
            flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("a packed text");
            names.extend(text.lines().map(str::to_owned));
        }
    }
    assert!(names.len() > 10_000, "{} names", names.len());
    names
}

/// The sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Kernel code: no hardware, no claims of our own about the state, no tests, and no drivers that no kernel has: the
/// test module's, and the one that stands for every driver of which only the interrupts count.
fn is_kernel_module(path: &Path) -> bool {
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // What lies above the project has names of its own.
    let inside = path.strip_prefix(root()).unwrap_or(path);
    let folders: Vec<_> = inside.iter().filter_map(|part| part.to_str()).collect();
    let ours = folders.windows(3).any(|part| matches!(part, ["drivers", "src", "test" | "profile"]));
    !["hw.rs", "invariants.rs", "tests.rs"].contains(&file) && !folders.contains(&"hw") && !ours
}

/// A function at the outermost level of a module.
struct Function {
    name: String,
    /// Other C files can call it.
    public: bool,
    lines: usize,
}

/// The functions of a source. Unit tests stand at the end of it.
fn functions(text: &str) -> Vec<Function> {
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let (visibility, rest) = match line.split_once("fn ") {
            Some((before, rest)) if before.is_empty() || before.starts_with("pub") || before == "const " => {
                (before, rest)
            }
            _ => continue,
        };
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let end =
            lines[i..].iter().position(|line| *line == "}" || !line.starts_with(' ') && line.ends_with("{}"));
        // Where a C file is several modules, they see each other's: `pub(super)`, `pub(in ..)`.
        let public = visibility.starts_with("pub ") || visibility.starts_with("pub(crate)");
        // Claims of our own about the state, where they stand beside what they are about.
        if name != "check_invariants" {
            found.push(Function { name, public, lines: end.map_or(1, |end| end + 1) });
        }
    }
    found
}

#[test]
fn functions_have_the_kernels_names() {
    let names = kernel_names();
    let mut tables: BTreeSet<&str> = TABLES.iter().map(|(name, _)| *name).collect();
    for krate in CRATES {
        let mut paths = Vec::new();
        sources(&root().join("crates").join(krate).join("src"), &mut paths);
        let (mut all, mut own) = (0, Vec::new());
        for path in paths.iter().filter(|path| is_kernel_module(path)) {
            let text = fs::read_to_string(path).expect("a text");
            for function in functions(&text) {
                all += 1;
                let is_table = TABLES.iter().any(|(name, _)| *name == function.name);
                tables.remove(function.name.as_str());
                if is_table || names.contains(&function.name) {
                    continue;
                }
                let place = path.strip_prefix(root()).expect("below the root").display();
                let at = format!("{place}: {}", function.name);
                assert!(!function.public, "{at}() is no name of the kernel's and is public");
                let lines = function.lines;
                assert!(lines <= SHORT, "{at}() is no name of the kernel's and has {lines} lines");
                own.push(at);
            }
        }
        assert!(all > 50, "{krate} has {all} functions");
        assert!(
            own.len() * ONE_IN <= all,
            "of {all} functions of {krate} {} have no name of the kernel's, more than one in {ONE_IN}:\n{}",
            own.len(),
            own.join("\n")
        );
    }
    assert!(tables.is_empty(), "no function has these names any more: {tables:?}");
}

#[test]
fn functions_are_found_with_their_length() {
    let text = "pub fn a() {}\n\n/// B.\npub(crate) const fn b(\n    x: u8,\n) -> u8 {\n    x\n}\nimpl C {\n    fn c() {}\n}\n\
                fn d() {\n}\n#[cfg(test)]\nmod tests {\nfn e() {}\n}\n";
    let found: Vec<_> = functions(text).into_iter().map(|f| (f.name, f.public, f.lines)).collect();
    assert_eq!(found, [("a".to_owned(), true, 1), ("b".to_owned(), true, 5), ("d".to_owned(), false, 2)]);
}
