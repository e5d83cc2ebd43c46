//! Every exhibit shows its bug on every kernel it is for, and does not show it without; kernels that
//! have the bug show it as they are, the others do not. All invariants hold after every step of each
//! run: a rule that a bug itself breaks says what a kernel with that bug keeps.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

use explore::Kind;
use explore::exhaustive::{Bounds, Explored, How, explore, explore_with};
use explore::museum::{
    Class, EXHIBITS, Exhibit, Outcome, describe, explore_line, replay_line, schedule_line,
};
use explore::random::{self, Plan, Strategy};
use kstate::semantics::KernelVersion::{self, V5_4, V6_12, V7_3};
use kstate::semantics::Semantics;
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

fn run(exhibit: &Exhibit, kernel: KernelVersion, semantics: &Semantics) -> Outcome {
    let what = format!("{} on {}", exhibit.id, describe(semantics));
    semantics.check().unwrap_or_else(|e| panic!("{what}: {e}"));
    exhibit.run(kernel, semantics.clone(), |k| {
        check_invariants(k).unwrap_or_else(|e| panic!("{what}: {e}"));
    })
}

/// The same for one that takes an interleaving: on every kernel it is found with the bug, again by its
/// choices alone, and without it nothing is.
fn check_race(exhibit: &Exhibit) {
    let Class::Race(search) = exhibit.class else { panic!("{} takes no interleaving", exhibit.id) };
    for kernel in exhibit.kernels() {
        let world = |semantics: &Semantics| {
            semantics.check().unwrap_or_else(|e| panic!("{}: {e}", exhibit.id));
            exhibit.world(kernel, semantics.clone())
        };
        let bug = exhibit.with_bug(kernel);
        let as_it_is = Semantics::of(kernel);
        assert_eq!(bug == as_it_is, exhibit.is_live(kernel), "{}: where is it live?", exhibit.id);
        let root = world(&bug);
        assert!(root.shell.failed.is_empty(), "{}: what is prepared fails", exhibit.id);
        let shown = search.of(&root);
        let mut text = format!("# {}\n{}", describe(&bug), shown.text());
        let found = shown.found.unwrap_or_else(|| panic!("{}: no bug on {}", exhibit.id, describe(&bug)));
        let mut again = found.finding.clone();
        again.schedule = found.finding.schedule.to_string().parse().expect("a schedule");
        let wrong = again.again(&root).map(|wrong| wrong.text);
        assert_eq!(wrong.as_ref(), Some(&found.finding.text), "{}: {}", exhibit.id, again.schedule);
        for fixed in exhibit.without_bug(kernel) {
            assert_ne!(fixed, bug, "{}: a fix that changes nothing", exhibit.id);
            let healthy = search.of(&world(&fixed));
            assert!(healthy.complete, "{}: on {}: {}", exhibit.id, describe(&fixed), healthy.text());
            let _ = write!(text, "\n# {}\n{}", describe(&fixed), healthy.text());
        }
        if bug != as_it_is {
            assert!(
                search.of(&world(&as_it_is)).complete,
                "{}: a bug on {}",
                exhibit.id,
                describe(&as_it_is)
            );
        }
        insta::assert_snapshot!(format!("{}_{}", exhibit.id, kernel.name()), text);
    }
}

/// Both outcomes on all its kernels, as they are reviewed.
fn check(exhibit: &Exhibit) {
    if let Class::Race(_) = exhibit.class {
        return check_race(exhibit);
    }
    for kernel in exhibit.kernels() {
        let bug = exhibit.with_bug(kernel);
        let as_it_is = Semantics::of(kernel);
        assert_eq!(bug == as_it_is, exhibit.is_live(kernel), "{}: where is it live?", exhibit.id);
        let shown = run(exhibit, kernel, &bug);
        assert!(!shown.failed.is_empty(), "{}: no bug on {}", exhibit.id, describe(&bug));
        let mut text = format!("# {}\n{}", describe(&bug), shown.text());
        for fixed in exhibit.without_bug(kernel) {
            assert_ne!(fixed, bug, "{}: a fix that changes nothing", exhibit.id);
            let healthy = run(exhibit, kernel, &fixed);
            assert!(
                healthy.failed.is_empty(),
                "{}: a bug on {}: {:?}",
                exhibit.id,
                describe(&fixed),
                healthy.failed
            );
            let _ = write!(text, "\n# {}\n{}", describe(&fixed), healthy.text());
        }
        if bug != as_it_is {
            let healthy = run(exhibit, kernel, &as_it_is);
            assert!(healthy.failed.is_empty(), "{}: a bug on {}", exhibit.id, describe(&as_it_is));
        }
        insta::assert_snapshot!(format!("{}_{}", exhibit.id, kernel.name()), text);
    }
}

macro_rules! exhibits {
    ($($test:ident $id:literal)+) => {
        $(#[test]
        fn $test() {
            check(Exhibit::find($id).expect("an exhibit"));
        })+

        #[test]
        fn every_exhibit_has_a_test() {
            let tested = [$($id),+];
            for exhibit in EXHIBITS.iter() {
                assert!(tested.contains(&exhibit.id), "{}", exhibit.id);
            }
        }
    };
}

exhibits! {
    l1_available_vectors_drift "L1"
    l2_a_reset_takes_an_interrupt_away "L2"
    l3_the_first_queue_is_another_cpus "L3"
    m01_an_interrupt_moves_once "M01"
    m02_cpu_0_has_4294967295_vectors "M02"
    m03_an_old_vector_is_lost "M03"
    m04_a_read_is_left_behind "M04"
    m05_disabling_is_forgotten "M05"
    m09_an_isolated_cpu_gets_no_request "M09"
    m11_a_message_is_noted_nowhere "M11"
    m12_a_message_is_torn "M12"
    m13_the_old_cpu_handles_for_ever "M13"
    m14_a_new_handler_is_wiped_out "M14"
    m15_managed_vectors_count "M15"
    m16_an_interrupt_stays_on_a_dead_cpu "M16"
    m17_the_affinity_is_broken_for_nothing "M17"
    m23_vectors_without_cpus "M23"
    m25_an_isolated_cpu_is_interrupted "M25"
    m29_a_cpu_a_read_and_a_reset "M29"
    m57_the_last_cpu_leaves "M57"
}

#[test]
fn what_was_drawn_is_all_there_is_to_find() {
    const STATES: usize = 50_000;
    // M11 has more states on 6.12 than a test should visit.
    for (id, kernel) in [("M11", V5_4), ("M12", V5_4), ("M12", V6_12), ("M14", V5_4), ("M14", V6_12)] {
        let exhibit = Exhibit::find(id).expect("an exhibit");
        let Class::Race(search) = exhibit.class else { panic!("{id} takes no interleaving") };
        let explored = |semantics: &Semantics| {
            let root = exhibit.world(kernel, semantics.clone());
            let bounds = Bounds { states: STATES, ..Bounds::default() };
            let explored = explore(&root, bounds, |_| ControlFlow::Continue(()));
            assert!(explored.is_complete(), "{id} on {}", describe(semantics));
            explored.findings.into_iter().map(|f| (f.kind, f.text)).collect::<Vec<_>>()
        };
        let bug = exhibit.with_bug(kernel);
        let drawn = search.of(&exhibit.world(kernel, bug.clone())).found.expect("a finding").finding;
        assert_eq!(explored(&bug), [(drawn.kind, drawn.text)], "{id} on {}", describe(&bug));
        for fixed in exhibit.without_bug(kernel) {
            assert_eq!(explored(&fixed), [], "{id} on {}", describe(&fixed));
        }
    }
}

/// Every exhibit, with the bug and without: a search that leaves out what shows nothing new finds what the whole search
/// finds, and comes to the same ends.
#[test]
fn reduced_searches_of_all_exhibits_find_the_same() {
    // M09, M11 and M29 have more states on some kernel than a test should visit.
    const REDUCED: usize = 6000;
    let mut skipped = BTreeSet::new();
    for exhibit in EXHIBITS.iter() {
        for kernel in exhibit.kernels() {
            let bug = exhibit.with_bug(kernel);
            for semantics in exhibit.without_bug(kernel).into_iter().take(1).chain([bug]) {
                let root = exhibit.world(kernel, semantics.clone());
                let search = |states, reduction| {
                    let bounds = Bounds { states, ..Bounds::default() };
                    explore_with(&root, bounds, How { jobs: 2, reduction }, |_| ControlFlow::Continue(()))
                };
                let few = search(REDUCED, true);
                if !few.is_complete() {
                    skipped.insert(exhibit.id);
                    continue;
                }
                let all = search(REDUCED * 10, false);
                let what = format!("{} on {}", exhibit.id, describe(&semantics));
                let kinds = |explored: &Explored| {
                    let plain = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
                    explored.findings.iter().map(|f| (f.kind, plain(&f.text))).collect::<BTreeSet<_>>()
                };
                assert!(all.is_complete(), "{what}");
                assert_eq!(few.ends, all.ends, "{what}");
                assert_eq!(kinds(&few), kinds(&all), "{what}");
                assert!(few.covered.transitions <= all.covered.transitions, "{what}");
            }
        }
    }
    assert_eq!(skipped, BTreeSet::from(["M09", "M11", "M29"]));
}

#[test]
fn exhibits_are_sorted_and_name_what_there_is() {
    assert!(EXHIBITS.is_sorted_by(|a, b| a.id < b.id));
    for exhibit in EXHIBITS.iter() {
        let Exhibit { id, title, fixed_in, story, .. } = exhibit;
        assert!(!title.ends_with('.') && title.len() < 80, "{id}: {title}");
        assert!(exhibit.kernels().any(|kernel| kernel == exhibit.kernel()), "{id}: no kernel to show it on");
        for part in ["**As users saw it.**", "**Root cause.**", "**Fix.**", "**What to look at.**"] {
            assert!(story.contains(part), "{id}: the story says nothing about {part}");
        }
        assert!(story.lines().all(|line| line.chars().count() <= 110), "{id}: a line is too long");
        let release = fixed_in.split(' ').next().unwrap();
        assert!(release == "no" || story.contains(release), "{id}: the story does not name {release}");
    }
    assert_eq!(Exhibit::find("m03").map(|e| e.id), Some("M03"));
    assert!(Exhibit::find("M99").is_none() && Exhibit::close_ids("M06").contains(&"M05"));
}

/// What an exhibit's kernel with the bug makes of another script or machine.
fn variant(id: &str, change: impl Fn(&str) -> String, machine: impl Fn(&str) -> String) -> Lab {
    let exhibit = Exhibit::find(id).expect("an exhibit");
    let script = Script::parse("script.sh", &change(exhibit.script)).expect("a script");
    let machine = Machine::parse("machine.toml", &machine(exhibit.machine)).expect("a machine");
    let mut lab = Lab::boot_with(&machine, exhibit.with_bug(machine.kernel), false);
    lab.run_each(&script, |k| assert_eq!(check_invariants(k), Ok(())), |_, _| {});
    lab
}

/// The text with one part replaced, which has to be there.
fn replaced(text: &str, part: &str, by: &str) -> String {
    assert_eq!(text.matches(part).count(), 1, "{part}");
    text.replace(part, by)
}

#[test]
fn stories_are_right_about_what_would_make_a_difference() {
    let same = |text: &str| text.to_owned();
    // M03: the interrupt comes before its old CPU goes.
    let exchanged = |script: &str| {
        let lines: Vec<&str> = script.lines().collect();
        let at = lines.iter().position(|line| line.trim() == "echo 0 > $cpu1").expect("CPU 1 goes");
        assert!(lines[at + 1].contains("taken on CPU 0"), "{}", lines[at + 1]);
        let mut lines = lines;
        lines.swap(at, at + 1);
        lines.join("\n") + "\n"
    };
    assert_eq!(variant("M03", exchanged, same).failed, []);
    // M04: the CPU comes back while the request is on its way, and unmasking sends the message.
    let back = |script: &str| {
        replaced(script, "\nwait\n", "\nsleep 5; echo 1 > /sys/devices/system/cpu/cpu1/online\nwait\n")
    };
    assert_eq!(variant("M04", back, same).failed, []);
    // M23: the small node comes first.
    let small_first =
        |machine: &str| replaced(machine, "nodes = [\"0-11\", \"12-15\"]", "nodes = [\"0-3\", \"4-15\"]");
    assert_eq!(variant("M23", same, small_first).failed, []);
    // L1: after 202 rounds nothing is available, and after one more everything there could ever be.
    for (rounds, available) in [(202, "0"), (203, "4294967295")] {
        let numbers: Vec<String> = (1..=rounds).map(|n: u32| n.to_string()).collect();
        let many = |script: &str| {
            let script = replaced(script, "in 1 2 3;", &format!("in {};", numbers.join(" ")));
            replaced(&script, "\"1 202 0 0 0\"", &format!("\"1 {available} 0 0 0\""))
        };
        assert_eq!(variant("L1", many, same).failed, [], "{rounds}");
    }
}

/// The lines that show an exhibit again.
fn lines(exhibit: &Exhibit, kernel: KernelVersion) -> Vec<String> {
    let bug = exhibit.with_bug(kernel);
    let Class::Race(search) = exhibit.class else {
        let folder = exhibit.id.to_lowercase();
        let export = format!("irqlab museum {} --export {folder}", exhibit.id);
        return vec![export, replay_line(&bug, &folder, "bug")];
    };
    let found = search.of(&exhibit.world(kernel, bug.clone())).found.expect("a finding");
    vec![explore_line(exhibit, &bug, search), schedule_line(exhibit, &bug, &found.finding.schedule)]
}

/// docs/museum.md: all stories.
fn document() -> String {
    let mut text = "# The bug museum\n\nThe museum shows bugs of real kernels. `irqlab museum` lists the exhibits, and `irqlab museum ID` shows one\nwith the bug and without. The stories are in crates/explore/data/museum;\n`UPDATE_DOCS=1 cargo test -p irqlab-explore --test it museum` writes this file from them.\n".to_owned();
    for exhibit in EXHIBITS.iter() {
        let Exhibit { id, title, class, fixed_in, story, .. } = exhibit;
        let live: Vec<&str> = exhibit.live().map(KernelVersion::name).collect();
        let live = match &live[..] {
            [] => "no modelled kernel".to_owned(),
            [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            one => one.concat(),
        };
        let _ = write!(
            text,
            "\n## {id}: {title}\n\nClass: {}. Live on: {live}. Fixed in: {fixed_in}.\n\n{story}",
            class.name()
        );
        let kernel = exhibit.kernel();
        let _ =
            writeln!(text, "\n| | |\n|---|---|\n| with the bug | {} |", describe(&exhibit.with_bug(kernel)));
        for fixed in exhibit.without_bug(kernel) {
            let _ = writeln!(text, "| without | {} |", describe(&fixed));
        }
        let _ = writeln!(text, "\n```sh\n{}\n```", lines(exhibit, kernel).join("\n"));
    }
    text
}

#[test]
fn the_document_has_every_story() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/museum.md");
    let document = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, document).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == document,
        "docs/museum.md is not up to date: run UPDATE_DOCS=1 cargo test -p irqlab-explore --test it museum"
    );
}
/// Tasks that wait in a circle are found where the circle closes, although one of them looks again and again. The
/// circle is named.
#[test]
fn the_circle_of_m29_is_named() {
    let exhibit = Exhibit::find("M29").expect("an exhibit");
    let Class::Race(search) = exhibit.class else { panic!("{} takes no interleaving", exhibit.id) };
    for kernel in exhibit.kernels() {
        let mut root = exhibit.world(kernel, exhibit.with_bug(kernel));
        let found = search.of(&root).found.expect("a circle");
        // It is said once, however often somebody looks.
        root.k.oracle = found.finding.schedule.oracle();
        let closed = (0..found.finding.depth).any(|_| root.advance().is_some() && root.check().is_some());
        assert!(closed && root.check().is_none());
        assert_eq!(found.finding.kind, Kind::Deadlock);
        let text = &found.finding.text;
        for part in [
            "msix_setup_interrupts) waits for the CPU hotplug lock; ",
            "blk_mq_hctx_notify_offline) waits for requests that are held back; ",
            "the circle: task ",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

/// Runs until the bug shows, over some seeds that were not chosen for it.
fn runs_to_find(exhibit: &Exhibit, kernel: KernelVersion, strategy: Strategy) -> u64 {
    const SEEDS: [u64; 3] = [1, 1_000_003, 77_777_777];
    let root = exhibit.world(kernel, exhibit.with_bug(kernel));
    let find = |seed| {
        let plan = Plan { strategy, seed, runs: 0..10_000, shard: 0, shards: 1, depth: 10_000, findings: 1 };
        let drawn = random::explore_with(&root, &plan, 2, |_| ControlFlow::Continue(()));
        let what = format!("{} on {}, seed {seed}", exhibit.id, kernel.name());
        drawn.findings.first().unwrap_or_else(|| panic!("{what}: nothing")).0 + 1
    };
    SEEDS.into_iter().map(find).sum()
}

/// The races that need a certain order are found from a cold seed, in no more runs than they took when this was written:
/// steps that are cut finer, or ones that show nothing, would need more.
#[test]
fn races_are_found_as_soon_as_ever() {
    const PCT: Strategy = Strategy::Priorities { changes: 3 };
    let mut much = String::new();
    for (id, kernel, uniform, pct) in [
        ("M12", V5_4, 11, 21),
        ("M12", V6_12, 27, 28),
        ("M12", V7_3, 27, 28),
        ("M14", V5_4, 49, 1529),
        ("M14", V6_12, 49, 1529),
        ("M14", V7_3, 49, 1529),
    ] {
        let exhibit = Exhibit::find(id).expect("an exhibit");
        for (strategy, most) in [(Strategy::Uniform, uniform), (PCT, pct)] {
            let runs = runs_to_find(exhibit, kernel, strategy);
            if runs > most {
                let _ = writeln!(much, "{id} on {}: {runs} runs of {strategy:?}, not {most}", kernel.name());
            }
        }
    }
    assert!(much.is_empty(), "{much}");
}
