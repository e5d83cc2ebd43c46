//! What is told of two runs.

use super::*;

fn run(parts: &[(&str, &str)]) -> Run {
    let part = |(file, text): &(&str, &str)| {
        let content = match *file {
            f if f.ends_with(".flow") => Content::Flow(record::formats::flow::parse(text).unwrap()),
            f if f.ends_with(".events") => Content::Events(record::formats::events::parse(text).unwrap()),
            _ => Content::State((*text).to_owned()),
        };
        Part { file: (*file).to_owned(), script: Vec::new(), content }
    };
    Run {
        name: "x".into(),
        version: KernelVersion::default(),
        parts: parts.iter().map(part).collect(),
        terminal: Vec::new(),
        log: Vec::new(),
    }
}

fn text(items: &[Item]) -> String {
    let all: Vec<String> = items.iter().map(one).collect();
    all.join(" ")
}

fn call(call: &Call) -> String {
    let below: Vec<String> = call.below.iter().map(self::call).collect();
    let times = if call.times > 1 { format!("*{}", call.times) } else { String::new() };
    if below.is_empty() {
        format!("{}{times}", call.name)
    } else {
        format!("{}{times}({})", call.name, below.join(" "))
    }
}

fn sign(side: Side) -> &'static str {
    if side == Side::Left { "-" } else { "+" }
}

fn one(item: &Item) -> String {
    match item {
        Item::Alike { calls, between: 0 } => calls.join(","),
        Item::Alike { calls, between } => calls.join(&format!(",{between},")),
        Item::Only { side, call: c } => format!("{}{}", sign(*side), call(c)),
        Item::Renamed { left, right } => format!("{left}|{right}"),
        Item::Moved { call, left, right } => format!("{call}@{left}|{right}"),
        Item::Numbers { tracepoint, fields } => {
            let all: Vec<String> = fields
                .iter()
                .flat_map(|f| {
                    f.changes.iter().map(|c| format!("{}:{}>{}*{}", f.name, c.left, c.right, c.times))
                })
                .collect();
            format!("@{tracepoint}[{}]", all.join(" "))
        }
        Item::Within { side, call, items } => format!("{}{call}{{{}}}", sign(*side), text(items)),
        Item::Repeated { times, items } => format!("{times}x({})", text(items)),
    }
}

fn check_flow(left: &str, right: &str, expect: &[&str]) {
    let report = compare(&run(&[("01-a.flow", left)]), &run(&[("01-a.flow", right)]));
    let got: Vec<String> = report
        .functions
        .iter()
        .flat_map(|f| {
            f.variants.iter().map(move |v| {
                let times: u32 = v.seen.iter().map(|s| s.times).sum();
                format!("{} {times}: {}", f.left, text(&v.items))
            })
        })
        .collect();
    assert_eq!(got, expect, "{left} {right}");
}

#[test]
fn equal_runs_do_not_differ() {
    let flow = "# task\na\n  b\n  @ t: x=1\n";
    let report = compare(&run(&[("01-a.flow", flow)]), &run(&[("01-a.flow", flow)]));
    assert!(report.is_empty());
    assert_eq!((report.recordings[0].left, report.recordings[0].alike), (3, 3));
}

#[test]
fn a_change_is_told_of_the_function_that_calls() {
    check_flow("# task\na\n  b\n    c\n", "# task\na\n  b\n    d\n    c\n", &["b 1: +d c"]);
    check_flow("# task\na\n  b\n    c\n    c\n    c\n", "# task\na\n  b\n", &["b 1: 3x(-c)"]);
}

#[test]
fn the_same_change_in_many_places_is_one() {
    check_flow(
        "# task\na\n  b\n    c\n  b\n    c\n    e\n  b\n    c\n",
        "# task\na\n  b\n    d\n    c\n  b\n    d\n    c\n    e\n  b\n    d\n    c\n",
        &["b 3: +d c"],
    );
}

#[test]
fn one_function_more_around_the_same_calls_is_no_removal() {
    check_flow(
        "# task\na\n  b\n  c\n    d\n",
        "# task\na\n  w\n    b\n    c\n      e\n      d\n",
        &["c 1: +e d", "a 1: +w{b,c}"],
    );
}

#[test]
fn known_new_names_are_the_same_step() {
    check_flow(
        "# task\nirq_do_set_affinity\n  msi_domain_set_affinity\n    x\n",
        "# task\nirq_do_set_affinity\n  msi_set_affinity\n    x\n",
        &["irq_do_set_affinity 1: msi_domain_set_affinity|msi_set_affinity"],
    );
}

#[test]
fn work_of_another_actor_is_moved() {
    check_flow("# task\na\n  b\n", "# kworker\na\n  b\n  c\n", &["a 1: b +c", "task 1: a@task|kworker"]);
}

#[test]
fn numbers_fold_over_interrupts() {
    check_flow(
        "# task\na\n  @ v: irq=1 vector=33\n  @ v: irq=2 vector=33\n",
        "# task\na\n  @ v: irq=1 vector=32\n  @ v: irq=2 vector=32\n",
        &["a 1: 2x(@v[vector:33>32*2])"],
    );
    check_flow(
        "# task\na\n  @ v: irq=1 vector=33\n",
        "# task\na\n  @ v: irq=2 vector=33\n  @ v: irq=1 vector=32\n",
        &["a 1: +@ v: irq=2 vector=33 @v[vector:33>32*1]"],
    );
}

#[test]
fn tracepoints_are_compared_with_their_stacks() {
    let left = "# task\n@ v: irq=1 x=1\n  a < b < c\n# task\n@ w: irq=1\n  a\n";
    let right = "# task\n@ v: irq=1 x=2\n  a < d < c\n";
    let report = compare(&run(&[("01-a.events", left)]), &run(&[("01-a.events", right)]));
    let [both, only] = report.events.as_slice() else { panic!("{:?}", report.events) };
    assert_eq!(both.stack_changes, [(Side::Left, "b".to_owned()), (Side::Right, "d".to_owned())]);
    assert_eq!(both.fields[0].changes, [Change { left: "1".into(), right: "2".into(), times: 1 }]);
    assert_eq!((only.only, only.example.as_str()), (Some(Side::Left), "w: irq=1"));
}

#[test]
fn states_fold_over_interrupts_and_states() {
    let state = |flag: &str, cpu: u32| {
        let irq = |n: u32| {
            format!(
                "=== /proc/irq/{n}/node\n{cpu}\n=== /sys/kernel/debug/irq/irqs/{n}\ndstate:   0x0\n{flag}"
            )
        };
        irq(8) + &irq(9)
    };
    let (a, b) = (state("", 0), state("            IRQD_X\n", 1));
    let files = |text: &'static str| run(&[("state-a.txt", text), ("state-b.txt", text)]);
    let report = compare(&files(a.leak()), &files(b.leak()));
    let [node, flag] = report.states.as_slice() else { panic!("{:?}", report.states) };
    assert_eq!((node.path.as_str(), node.line.as_str()), ("/proc/irq/N/node", ""));
    assert_eq!((flag.path.as_str(), flag.line.as_str()), ("/sys/kernel/debug/irq/irqs/N", "IRQD_X"));
    for diff in [node, flag] {
        let [change] = diff.changes.as_slice() else { panic!("{diff:?}") };
        assert_eq!((change.times, change.of.join(",")), (4, "8,9".to_owned()));
        assert_eq!(change.states, ["state-a.txt", "state-b.txt"]);
    }
}
