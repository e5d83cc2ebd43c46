//! What the crate offers to others, as a list that a person reviews when it changes: a line that goes or changes breaks the
//! tests of somebody else.

use std::fs;
use std::path::Path;

use quote::ToTokens;
use syn::{Fields, ImplItem, Item, Visibility};

/// The text of a part of the source, without the blanks between its tokens that nobody writes.
fn text(part: &impl ToTokens) -> String {
    let text = part.to_token_stream().to_string();
    let pairs = [
        (" ,", ","),
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        ("& ", "&"),
        (" :", ":"),
        ("[ ", "["),
        (" ]", "]"),
        (" !", "!"),
        ("{ ", "{"),
        (" }", "}"),
        ("' ", "'"),
    ];
    pairs.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

const fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn fields(fields: &Fields, all: bool) -> String {
    let shown = fields.iter().filter(|field| all || is_public(&field.vis));
    let shown: Vec<String> = shown
        .map(|field| match &field.ident {
            Some(name) => format!("{name}: {}", text(&field.ty)),
            None => text(&field.ty),
        })
        .collect();
    if shown.is_empty() { String::new() } else { format!(" {{ {} }}", shown.join(", ")) }
}

/// The lines of a file.
fn items(file: &syn::File, found: &mut Vec<String>) {
    for item in &file.items {
        match item {
            Item::Use(item) if is_public(&item.vis) => found.push(format!("use {}", text(&item.tree))),
            Item::Fn(item) if is_public(&item.vis) => found.push(text(&item.sig)),
            Item::Struct(item) if is_public(&item.vis) => {
                found.push(format!("struct {}{}", item.ident, fields(&item.fields, false)));
            }
            Item::Enum(item) if is_public(&item.vis) => {
                for variant in &item.variants {
                    let fields = fields(&variant.fields, true);
                    found.push(format!("enum {}::{}{fields}", item.ident, variant.ident));
                }
            }
            Item::Macro(item) if item.attrs.iter().any(|attr| attr.path().is_ident("macro_export")) => {
                found.push(format!("macro {}!", item.ident.as_ref().map(text).unwrap_or_default()));
            }
            Item::Impl(item) => {
                let name = text(&item.self_ty);
                if let Some((_, of, _)) = &item.trait_ {
                    found.push(format!("impl {} for {name}", text(of)));
                }
                for part in &item.items {
                    match part {
                        ImplItem::Fn(method) if is_public(&method.vis) => {
                            found.push(format!("{name}: {}", text(&method.sig)));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

#[test]
fn what_is_offered_changes_only_where_somebody_looked() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for entry in fs::read_dir(sources).expect("the sources") {
        let source = fs::read_to_string(entry.expect("a source").path()).expect("a text");
        items(&syn::parse_file(&source).expect("Rust"), &mut found);
    }
    found.sort();
    insta::assert_snapshot!(found.join("\n"));
}
