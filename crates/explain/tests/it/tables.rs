//! The texts of functions, flags and tracepoints are complete and short.

use std::collections::{BTreeMap, BTreeSet};

use explain::{asked, words};
use kstate::semantics::KernelVersion;
use record::functions::Functions;

#[test]
fn every_function_in_scope_has_its_own_text() {
    let texts = words::texts();
    let known: BTreeSet<&str> = texts.functions.keys().map(String::as_str).collect();
    let mut scope = BTreeSet::new();
    for &version in KernelVersion::ALL {
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        for function in Functions::of(version).iter() {
            scope.insert(function.name);
            let text = texts.functions.get(function.name).map_or("", String::as_str);
            let other = owners.insert(text, function.name);
            assert_eq!(other, None, "{} has the same text", function.name);
        }
    }
    let missing: Vec<&&str> = scope.difference(&known).collect();
    assert!(missing.is_empty(), "without text: {missing:?}");
    let strange: Vec<&&str> = known.difference(&scope).collect();
    assert!(strange.is_empty(), "no such function: {strange:?}");
}

#[test]
fn no_text_is_there_twice() {
    let keys = |file: &str| {
        let lines = file.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
        lines.collect::<BTreeSet<String>>()
    };
    let (head, _) = include_str!("../../data/functions.toml").split_once("[flags]").unwrap();
    let more = keys(include_str!("../../data/functions-more.toml"));
    let both: Vec<String> = keys(head).intersection(&more).cloned().collect();
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn every_flag_and_tracepoint_has_its_text() {
    let texts = words::texts();
    let points: Vec<&str> = texts.tracepoints.keys().map(String::as_str).collect();
    assert_eq!(points, asked::tracepoints().collect::<Vec<_>>());
    let source = include_str!("../../../kstate/src/irqdesc.rs");
    let declared: BTreeSet<&str> = source
        .lines()
        .filter_map(|line| line.trim().split_once(" = "))
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("IRQD_") || name.starts_with("IRQS_"))
        .collect();
    let known: BTreeSet<&str> = texts.flags.keys().map(String::as_str).collect();
    assert_eq!(known, declared);
}

#[test]
fn texts_are_two_to_five_sentences() {
    let words::Texts { functions, flags, tracepoints } = words::texts();
    for (name, text) in functions.iter().chain(flags).chain(tracepoints) {
        assert!(text.ends_with('.') && text.len() < 600, "{name}: {text}");
        let sentences = format!("{text} ").matches(". ").count();
        assert!((2..=5).contains(&sentences), "{name}: {text}");
    }
}

#[test]
fn callers_and_callees_come_from_what_ran() {
    let text = |name: &str| {
        let found = explain::look_up(name);
        explain::text::print(&found.answers, explain::text::Styled::No)
    };
    let shown = text("migrate_one_irq");
    for part in
        ["called by irq_migrate_all_off_this_cpu", "kernel/irq/cpuhotplug.c:52", "irq_fixup_move_pending"]
    {
        assert!(shown.contains(part), "{shown}");
    }
    for (name, parts) in [
        ("irq_shutdown", &["clears    IRQD_IRQ_STARTED"][..]),
        ("mask_irq", &["sets      IRQD_IRQ_MASKED"]),
        ("handle_irq_event", &["sets      IRQD_IRQ_INPROGRESS", "clears    IRQD_IRQ_INPROGRESS"]),
        ("migrate_one_irq", &["IRQD_MANAGED_SHUTDOWN"]),
        ("do_IRQ", &["there is none in this kernel"]),
        ("vector_config", &["in apic_update_irq_cfg"]),
    ] {
        let shown = text(name);
        for part in parts {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }
}
