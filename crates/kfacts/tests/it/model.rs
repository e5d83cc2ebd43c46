//! The model as syn reads it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::visit::Visit;

use crate::tables::root;

/// A function of Rust.
#[derive(Clone, Debug, Default)]
pub struct Function {
    pub name: String,
    /// Its Rust file.
    pub at: String,
    /// The C files that its attribute names; empty without one.
    pub files: Vec<String>,
    /// It is a piece of another function.
    pub part: bool,
    /// Every identifier of its body.
    pub words: BTreeSet<String>,
    /// What it says: the method and the text, with `{}` where something is filled in.
    pub says: Vec<(String, String)>,
    /// Every text that `fn` logs could have: the strings of its body.
    pub texts: Vec<String>,
    /// Other C files can call it: `pub` or `pub(crate)`.
    pub public: bool,
    /// What is said of it as a deviation.
    pub deviates: String,
}

const SAYS: [&str; 10] = [
    "pr_warn",
    "pr_warn_once",
    "pr_warn_ratelimited",
    "warn",
    "warn_once",
    "warn_text",
    "warn_once_text",
    "bug",
    "dev_info",
    "push",
];

/// Where the model is simpler on purpose, as `docs/deviations.md` lists it: a source, what in it, and why.
struct Deviation {
    at: String,
    /// `name()`, a type, a module, or nothing for the whole source.
    about: String,
    reason: String,
}

impl Deviation {
    /// It is about this function, or about the module that the function is in.
    fn concerns(&self, function: &Function) -> bool {
        if let Some(name) = self.about.strip_suffix("()") {
            return self.at == function.at && name == function.name;
        }
        if self.about.is_empty() {
            return self.at == function.at;
        }
        let folder = self.at.rsplit_once('/').map_or("", |(folder, _)| folder);
        let module = format!("{folder}/{}", self.about);
        function.at.strip_prefix(&module).is_some_and(|rest| rest.starts_with(['/', '.']))
    }
}

/// The list of deviations, which `tidy.rs` keeps up to date with the sources.
fn deviations() -> Vec<Deviation> {
    let path = root().join("docs/deviations.md");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut at = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(source) = line.strip_prefix("## ") {
            source.clone_into(&mut at);
        } else if let Some(item) = line.strip_prefix("- ") {
            let named = item.strip_prefix('`').and_then(|item| item.split_once("`: "));
            let (about, reason) = named.unwrap_or(("", item));
            found.push(Deviation { at: at.clone(), about: about.to_owned(), reason: reason.to_owned() });
        }
    }
    assert!(found.len() > 40, "{} deviations are not the list", found.len());
    found
}

/// All functions of the crates that hold kernel code.
pub fn functions() -> Vec<Function> {
    let mut found = Vec::new();
    for krate in ["irqcore", "x86apic", "pcimsi", "kcore", "drivers"] {
        read(&root().join("crates").join(krate).join("src"), &mut found);
    }
    assert!(found.len() > 1000, "{} functions are not the model", found.len());
    let deviations = deviations();
    for function in &mut found {
        let about = deviations.iter().filter(|deviation| deviation.concerns(function));
        function.deviates = about.map(|deviation| deviation.reason.as_str()).collect();
    }
    found
}

fn read(folder: &Path, found: &mut Vec<Function>) {
    let mut entries: Vec<_> = fs::read_dir(folder).expect("a folder").flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            read(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).expect("a text");
            let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let at = path.strip_prefix(root()).expect("below the root").display().to_string();
            let mut reader = Reader { at, found };
            reader.visit_file(&file);
        }
    }
}

struct Reader<'a> {
    at: String,
    found: &'a mut Vec<Function>,
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let test = module.attrs.iter().any(|a| a.path().is_ident("cfg"));
        if !test {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let mut function = Function {
            name: item.sig.ident.to_string(),
            at: self.at.clone(),
            public: match &item.vis {
                syn::Visibility::Public(_) => true,
                syn::Visibility::Restricted(to) => to.path.is_ident("crate"),
                syn::Visibility::Inherited => false,
            },
            ..Function::default()
        };
        for attribute in &item.attrs {
            let traced = ["kfn", "kframe", "kirq"].iter().any(|name| attribute.path().is_ident(name));
            if let (true, syn::Meta::List(list)) = (traced, &attribute.meta) {
                for token in list.tokens.clone() {
                    match token {
                        TokenTree::Literal(l) => {
                            function.files.push(l.to_string().trim_matches('"').to_owned());
                        }
                        TokenTree::Ident(word) => function.part |= word == "part",
                        _ => {}
                    }
                }
            }
        }
        words(item.block.to_token_stream(), &mut function, None);
        self.found.push(function);
    }
}

/// Collects identifiers, and the texts within the arguments of what logs.
fn words(tokens: TokenStream, function: &mut Function, says: Option<&str>) {
    let mut last = String::new();
    let mut before = String::new();
    for token in tokens {
        match token {
            TokenTree::Ident(word) => {
                before = core::mem::replace(&mut last, word.to_string());
                function.words.insert(last.clone());
            }
            TokenTree::Group(group) => {
                let logs = SAYS.contains(&last.as_str()) && (last != "push" || before == "log");
                let inner = if logs { Some(last.clone()) } else { says.map(str::to_owned) };
                words(group.stream(), function, inner.as_deref());
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                // A warning's text may be handed on before it is said.
                let warns = text.starts_with("\"WARNING: at ") || text.starts_with("\"kernel BUG at ");
                let says = says.or(warns.then_some(""));
                if text.starts_with('"') {
                    let text = joined(&text[1..text.len() - 1]).replace("\\\"", "\"").replace("\\n", "\n");
                    if let Some(how) = says {
                        function.says.push((how.to_owned(), text.clone()));
                    }
                    function.texts.push(text);
                }
            }
            TokenTree::Punct(_) => {}
        }
    }
}

/// A string without the ends of its lines in the source.
fn joined(text: &str) -> String {
    let mut parts = text.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start())
}
