//! What a C file says: its functions, whom they call, what they log, where they warn.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use tree_sitter::{Node, Parser};

use crate::preprocess::Source;

/// A function of C.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its name.
    pub line: u32,
    /// Only its file sees it.
    pub is_static: bool,
    /// The source asks for it to be inlined.
    pub is_inline: bool,
    /// The condition that left it out, where one did.
    pub left_out: Option<String>,
    /// Names that it calls, in order of their first appearance, whatever they are.
    pub calls: Vec<String>,
    /// What it logs.
    pub logs: Vec<Log>,
    /// Where it warns.
    pub warns: Vec<Warn>,
}

/// A string that is logged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// The line of the call.
    pub line: u32,
    /// What logs it: `pr_info`, `dev_warn`, ...
    pub how: String,
    /// The format as C writes it, with the prefix of `pr_fmt`, without the line's end. In front of what
    /// logs for a device stands `%s %s: `, its driver and its name.
    pub format: String,
}

/// A place that warns, or ends the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warn {
    /// The line.
    pub line: u32,
    /// `WARN_ON`, `WARN_ON_ONCE`, `WARN`, `WARN_ONCE`, `BUG_ON`, `BUG`.
    pub how: String,
}

/// Words in front of a function that say nothing to the grammar of C.
const ATTRIBUTES: &[&str] = &[
    "__init",
    "__exit",
    "notrace",
    "noinstr",
    "asmlinkage",
    "__visible",
    "__ref",
    "__cpuinit",
    "__init_or_module",
    "__weak",
    "__maybe_unused",
    "__must_check",
    "__percpu",
    "__iomem",
    "__user",
    "__cold",
    "__meminit",
    "__sched",
    "__initdata",
    "__ro_after_init",
    "__read_mostly",
    "__refdata",
    "__initconst",
    "__cpuidle",
    "__hot",
    "__pure",
    "__attribute_const__",
    "__bitwise",
    "__rcu",
    "__deprecated",
    "__kprobes",
    "__used",
    "__latent_entropy",
    "__no_sanitize_address",
    "__net_init",
    "__cacheline_aligned_in_smp",
    "____cacheline_aligned_in_smp",
    "____cacheline_aligned",
    "__cacheline_aligned",
    "__packed",
    "__force",
    "__private",
    "__malloc",
    "noinline",
    "noinline_for_stack",
    "__noreturn",
    "__pci_ref",
    "__flatten",
    "__no_kcsan",
    "__no_profile",
    "__lockfunc",
    "__cpuidle",
    "__initdata_or_module",
    "__noclone",
    "__nocfi",
    "__randomize_layout",
    "__always_unused",
    "cpuhp_parallel_kernel",
    "__designated_init",
    "__head",
    "__aligned_largest",
    "__sysfs_attr",
    "__irq_entry",
    "__softirq_entry",
    "__entry_text",
];

/// The same, with arguments.
const ATTRIBUTES_WITH_ARGUMENTS: &[&str] = &[
    "__printf",
    "__releases",
    "__acquires",
    "__must_hold",
    "__cond_acquires",
    "__counted_by",
    "__aligned",
    "__section",
    "__nonnull",
    "__attribute__",
    "__alloc_size",
    "__realloc_size",
    "__guarded_by",
    "__no_context_analysis",
    "__context_unsafe",
];

/// Macros that define an entry of the interrupt table.
fn is_idtentry(word: &str) -> bool {
    word.starts_with("DEFINE_IDTENTRY") || word == "DEFINE_FREDENTRY"
}

/// Takes out what the grammar does not know. Lines keep their numbers.
fn plain(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < bytes.len() {
        let c = bytes[i] as char;
        if c == '"' || c == '\'' {
            let from = i;
            i += 1;
            while i < bytes.len() && bytes[i] != c as u8 && bytes[i] != b'\n' {
                i += 1 + usize::from(bytes[i] == b'\\');
            }
            i = (i + 1).min(bytes.len());
            out.push_str(text.get(from..i).unwrap_or_default());
            continue;
        }
        if !(c.is_ascii_alphanumeric() || c == '_') {
            let end = (i + 1..=bytes.len()).find(|&end| text.is_char_boundary(end)).unwrap_or(bytes.len());
            out.push_str(&text[i..end]);
            i = end;
            continue;
        }
        let from = i;
        while i < bytes.len() && (bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_') {
            i += 1;
        }
        let word = &text[from..i];
        if ATTRIBUTES.contains(&word) {
            continue;
        }
        if word == "__always_inline" || word == "__inline" {
            out.push_str("inline");
            continue;
        }
        let arguments = || {
            let mut end = i;
            while bytes.get(end).is_some_and(u8::is_ascii_whitespace) {
                end += 1;
            }
            (bytes.get(end) == Some(&b'(')).then(|| closing(bytes, end)).flatten().map(|close| (end, close))
        };
        if ATTRIBUTES_WITH_ARGUMENTS.contains(&word)
            && let Some((_, close)) = arguments()
        {
            out.extend(text[i..close].chars().filter(|c| *c == '\n'));
            i = close;
            continue;
        }
        // A macro that is a loop: `for_each_cpu(cpu, mask) statement`.
        if (word.contains("for_each") || word.starts_with("scoped_"))
            && out.trim_end().ends_with([';', '{', '}', ')', ':'])
            && let Some((_, close)) = arguments()
            && text[close..]
                .trim_start()
                .starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '{' | '*'))
        {
            let _ = write!(out, "for ({};;)", &text[from..close]);
            i = close;
            continue;
        }
        if is_idtentry(word)
            && let Some((open, close)) = arguments()
        {
            let name = text[open + 1..close - 1].split(',').next().unwrap_or_default().trim();
            let _ = write!(out, "void {name}(struct pt_regs *regs)");
            i = close;
            continue;
        }
        out.push_str(word);
    }
    out
}

/// The byte after the bracket that closes the one at `open`.
fn closing(bytes: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(i + 1);
        }
    }
    None
}

/// A parser for C.
///
/// # Panics
/// If the grammar and the library do not fit each other, which only a change of dependencies can bring.
#[must_use]
pub fn parser() -> Parser {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_c::LANGUAGE.into()).expect("the grammar fits the library");
    parser
}

/// Everything of a file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct File {
    /// Its functions, those that were left out included.
    pub functions: Vec<Function>,
    /// Function-like macros, by name, with their lines.
    pub macros: Vec<(String, u32)>,
    /// Names that are declared here.
    pub declared: BTreeSet<String>,
}

/// Reads a file.
#[must_use]
pub fn read(source: &Source, module: &str, parser: &mut Parser) -> File {
    let mut file = File { macros: source.macros.clone(), ..File::default() };
    let prefixes = Prefixes::of(&source.defines, module);
    read_text(&source.text, None, &prefixes, parser, &mut file);
    for (condition, text) in &source.left_out {
        read_text(text, Some(condition), &prefixes, parser, &mut file);
    }
    file.functions.sort_by(|a, b| (a.line, &a.name).cmp(&(b.line, &b.name)));
    file
}

fn read_text(
    text: &str,
    left_out: Option<&String>,
    prefixes: &Prefixes,
    parser: &mut Parser,
    file: &mut File,
) {
    let text = plain(text);
    let Some(tree) = parser.parse(&text, None) else { return };
    let reader = Reader { text: &text, prefixes };
    let mut nodes = vec![tree.root_node()];
    while let Some(node) = nodes.pop() {
        match node.kind() {
            "function_definition" => {
                if let Some(mut function) = reader.function(node) {
                    function.left_out = left_out.cloned();
                    file.functions.push(function);
                    continue;
                }
            }
            "function_declarator" => {
                if let Some(name) = reader.declared(node) {
                    file.declared.insert(name);
                }
            }
            _ => {}
        }
        let mut cursor = node.walk();
        nodes.extend(node.children(&mut cursor));
    }
}

/// What stands in front of every line that a file logs.
struct Prefixes {
    pr: String,
    dev: String,
}

impl Prefixes {
    fn of(defines: &BTreeMap<String, String>, module: &str) -> Self {
        let of = |name: &str| {
            let body = defines.get(name).map_or("", String::as_str);
            let body = body.replace("KBUILD_MODNAME", &format!("\"{module}\""));
            // `(fmt) "genirq: " fmt`
            body.split('"').skip(1).step_by(2).collect::<String>()
        };
        Self { pr: of("pr_fmt"), dev: of("dev_fmt") }
    }
}

struct Reader<'a> {
    text: &'a str,
    prefixes: &'a Prefixes,
}

/// What a call logs with: the index of the argument that is the format, and what stands in front.
enum Way {
    /// `pr_info()`.
    Pr(usize),
    /// `printk()`.
    Plain(usize),
    /// `dev_info()`.
    Dev(usize),
    /// `WARN()`.
    Warn,
    /// `BAD_RING()`.
    Ring,
    /// `panic()`.
    Panic,
}

const LEVELS: &[&str] = &["emerg", "alert", "crit", "err", "warn", "notice", "info", "warning", "cont"];

fn way(name: &str) -> Option<Way> {
    let base =
        ["_once", "_ratelimited", "_deferred"].iter().fold(name, |n, end| n.strip_suffix(end).unwrap_or(n));
    if let Some(level) = base.strip_prefix("pr_") {
        return LEVELS.contains(&level).then_some(if level == "cont" { Way::Plain(0) } else { Way::Pr(0) });
    }
    for family in ["dev_", "pci_"] {
        if let Some(level) = base.strip_prefix(family)
            && LEVELS.contains(&level)
        {
            return Some(Way::Dev(1));
        }
    }
    match base {
        // drivers/virtio/virtio_ring.c: dev_err() with the queue's name in front.
        "BAD_RING" => Some(Way::Ring),
        "dev_WARN" | "pci_WARN" => Some(Way::Dev(1)),
        "dev_WARN_ONCE" => Some(Way::Dev(2)),
        "printk" => Some(Way::Plain(0)),
        "dev_err_probe" => Some(Way::Dev(2)),
        "WARN" | "WARN_ONCE" => Some(Way::Warn),
        "panic" => Some(Way::Panic),
        _ => None,
    }
}

const WARNS: &[&str] =
    &["WARN_ON", "WARN_ON_ONCE", "WARN", "WARN_ONCE", "BUG_ON", "BUG", "dev_WARN", "dev_WARN_ONCE"];

impl Reader<'_> {
    fn of(&self, node: Node) -> &str {
        &self.text[node.byte_range()]
    }

    /// The name under a declarator, through pointers and brackets.
    fn declared(&self, node: Node) -> Option<String> {
        let inner = node.child_by_field_name("declarator")?;
        match inner.kind() {
            "identifier" => Some(self.of(inner).to_owned()),
            "parenthesized_declarator" => None,
            _ => self.declared(inner),
        }
    }

    fn function(&self, node: Node) -> Option<Function> {
        let mut declarator = node.child_by_field_name("declarator")?;
        while declarator.kind() != "function_declarator" {
            declarator = declarator.child_by_field_name("declarator")?;
        }
        let name = self.declared(declarator)?;
        let line = declarator.start_position().row as u32 + 1;
        let mut cursor = node.walk();
        let words: Vec<&str> = node
            .children(&mut cursor)
            .filter(|n| matches!(n.kind(), "storage_class_specifier" | "inline"))
            .map(|n| self.of(n))
            .collect();
        let mut function = Function {
            name,
            line,
            is_static: words.contains(&"static"),
            is_inline: words.contains(&"inline"),
            ..Function::default()
        };
        let body = node.child_by_field_name("body")?;
        // In the order of the text.
        let mut nodes = vec![body];
        while let Some(node) = nodes.pop() {
            if node.kind() == "call_expression" {
                self.call(node, &mut function);
            }
            let mut cursor = node.walk();
            let children: Vec<Node> = node.children(&mut cursor).collect();
            nodes.extend(children.into_iter().rev());
        }
        Some(function)
    }

    fn call(&self, node: Node, function: &mut Function) {
        let Some(callee) = node.child_by_field_name("function").filter(|n| n.kind() == "identifier") else {
            return;
        };
        let name = self.of(callee);
        if !function.calls.iter().any(|n| n == name) {
            function.calls.push(name.to_owned());
        }
        let line = node.start_position().row as u32 + 1;
        if WARNS.contains(&name) {
            function.warns.push(Warn { line, how: name.to_owned() });
        }
        let Some(way) = way(name) else { return };
        let Some(list) = node.child_by_field_name("arguments") else { return };
        let mut cursor = list.walk();
        let arguments: Vec<Node> = list.named_children(&mut cursor).collect();
        let (at, prefix) = match way {
            Way::Pr(at) => (at, self.prefixes.pr.clone()),
            Way::Plain(at) => (at, String::new()),
            Way::Dev(at) => (at, format!("%s %s: {}", self.prefixes.dev)),
            Way::Ring => (1, "%s %s: %s:".to_owned()),
            Way::Warn => (1, String::new()),
            Way::Panic => (0, "Kernel panic - not syncing: ".to_owned()),
        };
        let Some(&format) = arguments.get(at) else { return };
        let mut texts = Vec::new();
        // KERN_INFO "text" is one argument, for which the grammar has no word where a macro comes first.
        let mut nodes = vec![format];
        nodes.extend(arguments[at..].iter().skip(1).take_while(|n| {
            format.kind() == "ERROR" && matches!(n.kind(), "string_literal" | "concatenated_string")
        }));
        for node in nodes {
            self.strings(node, &mut texts);
        }
        for text in texts {
            let text = format!("{prefix}{text}");
            let format = text.strip_suffix("\\n").unwrap_or(&text).to_owned();
            function.logs.push(Log { line, how: name.to_owned(), format });
        }
    }

    /// The texts that an argument can be.
    fn strings(&self, node: Node, texts: &mut Vec<String>) {
        match node.kind() {
            "string_literal" => texts.push(self.literal(node)),
            "concatenated_string" => {
                let mut cursor = node.walk();
                let pieces = node.named_children(&mut cursor).map(|piece| match piece.kind() {
                    "string_literal" => self.literal(piece),
                    _ if self.of(piece).starts_with("KERN_") => String::new(),
                    _ => format!("%{{{}}}", self.of(piece)),
                });
                texts.push(pieces.collect());
            }
            "conditional_expression" => {
                for field in ["consequence", "alternative"] {
                    if let Some(branch) = node.child_by_field_name(field) {
                        self.strings(branch, texts);
                    }
                }
            }
            "parenthesized_expression" | "ERROR" => {
                let mut cursor = node.walk();
                for child in node.named_children(&mut cursor) {
                    self.strings(child, texts);
                }
            }
            _ => {}
        }
    }

    fn literal(&self, node: Node) -> String {
        let text = self.of(node);
        let text = text.trim_start_matches(|c| c != '"').trim_matches('"');
        // A literal that goes on in the next line.
        text.replace("\\\n", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::{Config, preprocess};

    #[test]
    fn a_file_is_read() {
        let text = r#"
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#define twice(x) ((x) + (x))
int declared_only(struct thing *thing);
static int __init one(struct thing *thing, int n)
{
	for_each_thing(thing)
		two(n);
	if (WARN_ON_ONCE(n < 0))
		return three(four, "no log");
	pr_warn_once("bad %d, "
		"very\n", n);
	dev_err(thing->dev, n ? "yes\n" : "no\n");
	printk(KERN_INFO "plain %s\n", "x");
	WARN(n, "two lines\n");
	return 0;
}

DEFINE_IDTENTRY_IRQ(entry)
{
	two(1);
}
#ifdef CONFIG_OFF
static inline struct thing *
left_out(void) { return NULL; }
#endif
"#;
        let mut config = Config::parse("OFF n", "v5.4").expect("a list");
        let source = preprocess(text, &mut config).expect("a file");
        let file = read(&source, "mod", &mut parser());
        let names: Vec<(&str, u32, bool)> =
            file.functions.iter().map(|f| (f.name.as_str(), f.line, f.is_static)).collect();
        assert_eq!(names, [("one", 5, true), ("entry", 19, false), ("left_out", 25, true)]);
        let one = &file.functions[0];
        for callee in ["for_each_thing", "two", "three"] {
            assert!(one.calls.iter().any(|c| c == callee), "{callee}: {:?}", one.calls);
        }
        let logs: Vec<(&str, u32, &str)> =
            one.logs.iter().map(|l| (l.how.as_str(), l.line, l.format.as_str())).collect();
        assert_eq!(
            logs,
            [
                ("pr_warn_once", 11, "mod: bad %d, very"),
                ("dev_err", 13, "%s %s: yes"),
                ("dev_err", 13, "%s %s: no"),
                ("printk", 14, "plain %s"),
                ("WARN", 15, "two lines"),
            ]
        );
        let warns: Vec<&str> = one.warns.iter().map(|w| w.how.as_str()).collect();
        assert_eq!(warns, ["WARN_ON_ONCE", "WARN"]);
        let left_out = &file.functions[2];
        assert_eq!(left_out.left_out.as_deref(), Some("defined(CONFIG_OFF)"));
        assert!(left_out.is_inline && file.declared.contains("declared_only"));
        assert_eq!(file.macros, [("pr_fmt".to_owned(), 2), ("twice".to_owned(), 3)]);
    }
}
