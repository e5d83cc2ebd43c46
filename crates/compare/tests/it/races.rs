//! The search for the run that a capture is: what it may choose, what it must not hide, and that it ends.

use compare::capture::Capture;
use compare::verify::races::{self, BOUNDS, Bounds, Chance, Searched};
use compare::verify::{self, Run};
use kstate::oracle::{Oracle, Point};
use kstate::semantics::{KernelVersion, Semantics};
use sim::boot;
use sim::lab::Lab;

use crate::common;

fn run(capture: &Capture) -> Run {
    verify::run(capture).unwrap_or_else(|e| panic!("{e}"))
}

/// The captures that are not the quiet run.
const RACES: [(&str, &str); 4] = [
    ("v5.4", "fuzz/small-threadirqs"),
    ("v6.12", "fuzz/small-threadirqs"),
    ("v7.3", "fuzz/small-threadirqs"),
    ("v7.3", "fuzz/small-isolated-offline"),
];

#[test]
fn two_completions_before_one_interrupt_are_found() {
    for version in KernelVersion::ALL {
        let Run { report, lab, .. } = run(&common::capture(version.name(), "fuzz/small-threadirqs"));
        assert!(report.passed(), "{}", report.diff());
        let [Chance { place, answer: 1, of: 2, file, text }] = &report.chances[..] else {
            panic!("{:?}", report.chances)
        };
        assert_eq!(file, "04-unbind.flow");
        assert_eq!(
            text,
            "nvme0 completes on queue 0 at its usual time, and before CPU 0 takes irq 27 nvme0q0 in handle_edge_irq()"
        );
        assert_eq!(report.schedule(), format!("{place}:1"));
        let Some(Searched { runs, whole: true, .. }) = report.searched else {
            panic!("{:?}", report.searched)
        };
        assert!((2..=BOUNDS.runs).contains(&runs), "{runs}");
        assert!(lab.k.oracle.is_racing());
    }
}

#[test]
fn the_cpu_of_an_unbound_worker_is_found() {
    let Run { report, .. } = run(&common::capture("v7.3", "fuzz/small-isolated-offline"));
    assert!(report.passed(), "{}", report.diff());
    let [Chance { answer: 1, of: 2, file, text, .. }] = &report.chances[..] else {
        panic!("{:?}", report.chances)
    };
    assert_eq!(file, "state-boot.txt");
    // CPU 1 is isolated, and there is no other.
    assert_eq!(text, "select_task_rq_fair() puts the worker of nvme_scan_work() on CPU 2 and not on CPU 0");
}

/// What `RACES` differ in without a choice is what the tests of the rules see.
#[test]
fn the_quiet_run_still_differs() {
    for (kernel, case) in RACES {
        let capture = common::capture(kernel, case);
        let (_, outputs) = capture.run().unwrap_or_else(|e| panic!("{e}"));
        let report = verify::verify(&capture, &outputs);
        assert!((1..=11).contains(&report.differences()), "{}", report.table());
        assert!(report.chances.is_empty() && report.searched.is_none() && report.chance().is_empty());
    }
}

/// A search begins with the quiet run, and only two kinds of choices are made in it.
#[test]
fn a_run_without_choices_is_the_quiet_one() {
    let mut kinds = Vec::new();
    for version in KernelVersion::ALL {
        for case in common::cases(version.name()) {
            let capture = common::capture(version.name(), &case);
            let machine = capture.machine().unwrap_or_else(|e| panic!("{e}"));
            let semantics = Semantics::of(*version);
            let (lab, quiet) = capture.run_with(&machine, semantics.clone());
            let probing = boot::find_probing(&machine, semantics.clone());
            let oracle = Oracle::racing(Vec::new());
            let mut racing = Lab::on(boot::boot_racing(&machine, semantics, &probing, oracle, &mut |_| {}));
            let outputs = racing.run(&capture.script, |file| capture.sections(file));
            assert!(outputs == quiet, "{} {case}", version.name());
            assert_eq!((&racing.terminal, &racing.k.log), (&lab.terminal, &lab.k.log));
            assert!(racing.k.oracle.raced.is_empty());
            kinds.extend(racing.k.oracle.log.iter().map(|choice| choice.point));
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, [Point::Hardware, Point::Device, Point::Worker]);
}

/// Other oracles are asked what they were asked before.
#[test]
fn nobody_else_makes_these_choices() {
    for mut oracle in [Oracle::default(), Oracle::scripted(vec![1; 9]), Oracle::seeded(1).interleaving()] {
        for point in [Point::Device, Point::Worker] {
            assert_eq!(oracle.choose(point, 2), 0);
        }
        oracle.race("nothing".to_owned());
        assert!(oracle.log.is_empty() && oracle.raced.is_empty() && !oracle.is_racing());
    }
    let mut oracle = Oracle::racing(vec![1; 9]);
    for (point, answer) in [
        (Point::Schedule, 0),
        (Point::Latency, 0),
        (Point::Hardware, 1),
        (Point::Device, 1),
        (Point::Worker, 1),
    ] {
        assert_eq!(oracle.choose(point, 2), answer, "{point:?}");
    }
    assert_eq!(oracle.log.len(), 3);
}

/// Behaviours in which the kernels differ, changed one at a time: where that shows in a capture that is the quiet run, no choice
/// hides it. In one that is not, no other choices than its own do.
#[test]
fn a_changed_behaviour_still_differs() {
    let mut shown = 0;
    for (kernel, case) in [("v6.12", "fuzz/small-threadirqs"), ("v6.12", "fuzz/small-pending-off")] {
        let capture = common::capture(kernel, case);
        let machine = capture.machine().unwrap_or_else(|e| panic!("{e}"));
        let own = Semantics::of(machine.kernel);
        let texts = |run: &Run| -> Vec<String> {
            run.report.chances.iter().map(|chance| chance.text.clone()).collect()
        };
        let right = texts(&verify::run_with(&capture, &machine, own.clone()));
        for field in own.differences(KernelVersion::V5_4) {
            let value = Semantics::of(KernelVersion::V5_4).get(field.name).unwrap_or_default();
            let mut changed = own.clone();
            if changed.set(field.name, &value).is_err() || changed.check().is_err() {
                continue;
            }
            let run = verify::run_with(&capture, &machine, changed.clone());
            let name = format!("{kernel} {case} {}={value}", field.name);
            if run.report.passed() {
                assert_eq!(texts(&run), right, "{name}");
                continue;
            }
            shown += 1;
            assert!(run.report.chances.is_empty(), "{name}");
            let (_, outputs) = capture.run_with(&machine, changed);
            assert_eq!(run.report.rows, verify::verify(&capture, &outputs).rows, "{name}");
        }
    }
    assert!(shown > 20, "{shown}");
}

/// A file of a capture with one change, which must happen.
fn changed(capture: &Capture, file: &str, change: impl Fn(&str) -> String) -> Capture {
    let mut capture = capture.clone();
    let found = capture.files.iter_mut().find(|(planned, _)| planned.file == file);
    let Some((_, Some(text))) = found else { panic!("no {file}") };
    let new = change(text);
    assert_ne!(new, *text, "{file}");
    *text = new;
    capture
}

#[test]
fn a_changed_capture_still_differs() {
    let threads = common::capture("v6.12", "fuzz/small-threadirqs");
    let worker = common::capture("v7.3", "fuzz/small-isolated-offline");
    let plain = common::capture("v6.12", "fuzz/small-pending-off");
    let (flow, end) = ("04-unbind.flow", "state-bound.txt");
    let after = plain.files.last().map(|(planned, _)| planned.file.clone()).unwrap_or_default();
    let target = |cpu: u32, other: u32| {
        move |text: &str| {
            text.replacen(&format!("   Target:     {cpu}\n"), &format!("   Target:     {other}\n"), 1)
        }
    };
    for (what, capture) in [
        (
            "a call more",
            changed(&threads, flow, |text| text.replacen("  nvme_irq\n", "  nvme_irq\n  nvme_irq\n", 1)),
        ),
        (
            "a call less",
            changed(&threads, flow, |text| text.replacen("# softirq\nnvme_del_queue_end\n", "", 1)),
        ),
        ("another CPU", changed(&threads, flow, |text| text.replace("nvme0q0 cpu=0", "nvme0q0 cpu=1"))),
        (
            "another vector",
            changed(&threads, end, |text| text.replacen("   Vector:    34\n", "   Vector:    36\n", 1)),
        ),
        ("another CPU", changed(&threads, end, target(0, 1))),
        (
            "another order",
            changed(&threads, flow, |text| {
                text.replacen(
                    "  nvme_irq\n  irq_finalize_oneshot\n",
                    "  irq_finalize_oneshot\n  nvme_irq\n",
                    1,
                )
            }),
        ),
        (
            "another vector",
            changed(&worker, "state-boot.txt", |text| {
                text.replacen("   Vector:    33\n", "   Vector:    35\n", 1)
            }),
        ),
        ("another CPU", changed(&worker, "state-off1.txt", target(0, 2))),
        ("another CPU", changed(&plain, &after, target(0, 1))),
    ] {
        let Run { report, lab, .. } = run(&capture);
        assert!(!report.passed() && report.chances.is_empty(), "{what}: {}", report.table());
        assert!(lab.k.oracle.is_quiet(), "{what}");
        let (_, outputs) = capture.run().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(report.rows, verify::verify(&capture, &outputs).rows, "{what}");
        let Some(Searched { runs, .. }) = report.searched else { panic!("{what}: no search") };
        assert!((1..=BOUNDS.runs).contains(&runs), "{what}: {runs}");
        assert_eq!(report.chance().len(), 1, "{what}");
    }
}

/// What no run can mend is not searched for.
#[test]
fn a_file_that_is_missing_is_no_race() {
    let mut capture = common::capture("v6.12", "fuzz/small-threadirqs");
    for (planned, text) in &mut capture.files {
        if planned.file == "04-unbind.flow" {
            *text = None;
        }
    }
    let Run { report, .. } = run(&capture);
    assert!(!report.passed() && report.searched.is_none() && report.chance().is_empty());
}

/// A search that finds nothing comes to its end, or to the first of its bounds.
#[test]
fn a_search_ends() {
    let capture = common::capture("v6.12", "fuzz/small-threadirqs");
    let capture = changed(&capture, "state-bound.txt", |text| text.replacen("ddepth:   0", "ddepth:   1", 1));
    let machine = capture.machine().unwrap_or_else(|e| panic!("{e}"));
    let own = Semantics::of(machine.kernel);
    let (_, outputs) = capture.run_with(&machine, own.clone());
    let quiet = verify::verify(&capture, &outputs);
    let search = |bounds: Bounds| {
        let (found, searched) = races::search(&capture, &machine, &own, &quiet, bounds);
        assert!(found.is_none());
        searched.unwrap_or_else(|| panic!("no search"))
    };
    let whole = search(BOUNDS);
    assert!(whole.whole && whole.runs > 10 && whole.records > 20_000, "{whole:?}");
    let by_runs = search(Bounds { runs: 7, ..BOUNDS });
    assert_eq!((by_runs.runs, by_runs.whole), (7, false));
    let half = whole.records / 2;
    let by_records = search(Bounds { records: half, ..BOUNDS });
    assert!(
        by_records.records >= half && by_records.runs < whole.runs && !by_records.whole,
        "{by_records:?}"
    );
    // One choice is right for the unbinding, and no second one for the rest.
    let by_choices = search(Bounds { choices: 1, ..BOUNDS });
    assert!(by_choices.runs < whole.runs && !by_choices.whole, "{by_choices:?}");
}

/// What the model makes with choices drawn at random is found again from the record alone, with as many choices or fewer.
#[test]
fn what_choices_make_is_found_again() {
    for (kernel, case, several) in
        [("v5.4", "fuzz/small-threadirqs", true), ("v7.3", "fuzz/small-isolated-offline", false)]
    {
        let capture = common::capture(kernel, case);
        let machine = capture.machine().unwrap_or_else(|e| panic!("{e}"));
        let own = Semantics::of(machine.kernel);
        let probing = boot::find_probing(&machine, own.clone());
        let made = |answers: &[u32]| {
            let oracle = Oracle::racing(answers.to_vec());
            let mut lab = Lab::on(boot::boot_racing(&machine, own.clone(), &probing, oracle, &mut |_| {}));
            let outputs = lab.run(&capture.script, |file| capture.sections(file));
            (outputs, lab.k.oracle.log)
        };
        let (_, log) = made(&[]);
        let mut random = 1u64;
        let mut below = |n: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % n
        };
        let mut found = Vec::new();
        for drawn in (1..=4).flat_map(|drawn| [drawn; 6]) {
            let mut answers = vec![0; log.len()];
            for _ in 0..drawn {
                let place = below(log.len());
                answers[place] = 1 + below(log[place].of as usize - 1) as u32;
            }
            let (outputs, _) = made(&answers);
            let mut other = capture.clone();
            for (planned, text) in other.files.iter_mut().filter(|(_, text)| text.is_some()) {
                let output = outputs.iter().find(|output| output.name == planned.file);
                *text = output.map(|output| output.text.clone());
            }
            let Run { report, .. } = run(&other);
            assert!(report.passed(), "{kernel} {case} {answers:?}: {}", report.diff());
            assert!(report.chances.len() <= drawn, "{kernel} {case} {answers:?}: {}", report.schedule());
            found.push(report.chances.len());
        }
        // Not every choice shows.
        assert!(found.contains(&0) && found.contains(&1), "{found:?}");
        assert_eq!(found.iter().any(|&n| n > 1), several, "{found:?}");
    }
}
