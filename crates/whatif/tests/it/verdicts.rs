//! Each verdict on each kernel.

use kstate::semantics::{KernelVersion, Semantics};
use sim::script::Script;
use whatif::{Kind, Question};

use crate::common::{CARD, answer, machine, many, names, nvme, of, offline};

#[test]
fn a_queue_dies_with_its_last_cpu() {
    for &kernel in KernelVersion::ALL {
        let answer = answer(&machine(kernel, "possible = 4\nthreads_per_core = 2", &nvme(4)), &offline("3"));
        let dead: Vec<_> = answer.of(Kind::Dead).collect();
        let [dead] = dead[..] else { panic!("{kernel:?}: {answer:#?}") };
        assert_eq!(dead.affinity_after.list(), "3", "{kernel:?}");
        assert_eq!((dead.carried_before.list(), dead.carried_after.list()), ("3".into(), String::new()));
        let queue = dead.queue.as_ref().unwrap();
        assert_eq!(queue.disks, ["nvme0n1"]);
        assert_eq!(queue.hctx + 1, dead.message.unwrap());
        assert!(queue.after.is_empty(), "nobody submits: {kernel:?}");
        // 5.4 lets the last CPU of a queue go without a word to blk-mq.
        assert_eq!(queue.inactive, Semantics::of(kernel).hctx_drain, "{kernel:?}");
        assert!(answer.has_finding() && answer.refused.is_empty());
        assert_eq!(answer.after.online.list(), "0-2");
        // Three other queues, and what stood on CPU 3.
        assert_eq!(answer.same + answer.changes.len(), answer.before.interrupts, "{kernel:?}");
    }
}

#[test]
fn a_queue_of_several_cpus_carries_fewer() {
    for &kernel in KernelVersion::ALL {
        let answer = answer(&machine(kernel, "possible = 4\nthreads_per_core = 2", &nvme(2)), &offline("1"));
        let degraded: Vec<_> = answer.of(Kind::Degraded).collect();
        let [degraded] = degraded[..] else { panic!("{kernel:?}: {answer:#?}") };
        assert_eq!(
            (degraded.carried_before.list(), degraded.carried_after.list()),
            ("0-1".into(), "0".into())
        );
        assert_eq!(degraded.cpu_after, Some(0), "{kernel:?}");
        assert!(degraded.managed && degraded.finding);
        assert!(names(&answer, Kind::Dead).is_empty());
    }
}

#[test]
fn an_affinity_without_a_cpu_that_runs_is_given_up() {
    for &kernel in KernelVersion::ALL {
        let found = "[boot.affinity]\n\"24-26\" = \"3\"\n27 = \"1-2\"\n";
        let machine = machine(kernel, "possible = 4", &format!("{CARD}{found}"));
        let answer = answer(&machine, &offline("2-3"));
        let broken = names(&answer, Kind::Affinity);
        assert_eq!(broken, ["eno1-TxRx-0", "eno1-TxRx-1", "eno1-TxRx-2"], "{kernel:?}");
        let queue = of(&answer, "eno1-TxRx-0");
        assert_eq!((queue.cpu_before, queue.affinity_before.list()), (Some(3), "3".to_owned()));
        assert!(queue.cpu_after.is_some_and(|cpu| cpu < 2), "{queue:?}");
        assert!(!queue.managed && queue.finding && queue.queue.is_none());
        assert_eq!(queue.affinity_after.list(), "0-1");
        // Where a CPU of the affinity is left, nothing is lost.
        let moved = answer.changes.iter().find(|change| change.name == "eno1-TxRx-3");
        assert!(moved.is_none_or(|change| change.kind == Kind::Moved && !change.finding), "{moved:?}");
        assert!(answer.notes.iter().any(|note| note.contains("one of them")), "{:?}", answer.notes);
    }
}

#[test]
fn a_cpu_that_has_too_much_is_refused_with_the_line_of_the_log() {
    for &kernel in KernelVersion::ALL {
        let answer = answer(&machine(kernel, "possible = 2", &many(300)), &offline("1"));
        let [refused] = &answer.refused[..] else { panic!("{kernel:?}: {:?}", answer.refused) };
        assert_eq!((refused.cpu, refused.errno), (Some(1), Some("ENOSPC")), "{kernel:?}");
        assert_eq!(refused.step, "echo 0 > /sys/devices/system/cpu/cpu1/online");
        let said = refused.log.iter().find(|line| line.ends_with("Cannot disable CPU"));
        assert!(said.is_some_and(|line| line.starts_with("CPU 1 has ")), "{kernel:?}: {:?}", refused.log);
        assert_eq!(answer.after.online.list(), "0-1");
        assert!(answer.has_finding());
        // Nothing else happened.
        assert!(answer.changes.iter().all(|change| !change.finding), "{kernel:?}: {:#?}", answer.changes);
    }
}

#[test]
fn a_device_without_vectors_for_it_fails() {
    for &kernel in KernelVersion::ALL {
        let machine = machine(kernel, "possible = 2", &many(300));
        let add = "generic:vectors=200,actions=0-199: more-{}".to_owned();
        let failed = answer(&machine, &Question { add: vec![add], ..Question::default() });
        let [device] = &failed.failed[..] else { panic!("{kernel:?}: {failed:#?}") };
        assert!(device.added && device.driver == "generic");
        assert!(failed.boots && failed.has_finding());
        assert!(names(&failed, Kind::New).is_empty());
        let fits = answer(&machine, &Question { add: vec!["nvme:vectors=3".into()], ..Question::default() });
        assert!(fits.failed.is_empty() && !fits.has_finding(), "{kernel:?}: {:#?}", fits.changes);
        assert_eq!(names(&fits, Kind::New), ["nvme0q0", "nvme0q1", "nvme0q2"]);
    }
}

#[test]
fn a_cpu_that_comes_brings_its_queue_back() {
    for &kernel in KernelVersion::ALL {
        let machine = machine(kernel, "possible = 4\nthreads_per_core = 2\noffline = \"3\"", &nvme(4));
        let question = Question { online: Some("3".to_owned()), ..Question::default() };
        let answer = answer(&machine, &question);
        let revived: Vec<_> = answer.of(Kind::Revived).collect();
        let [revived] = revived[..] else { panic!("{kernel:?}: {answer:#?}") };
        assert_eq!((revived.cpu_before, revived.cpu_after), (None, Some(3)), "{kernel:?}");
        assert!(!answer.has_finding(), "{kernel:?}");
    }
}

#[test]
fn second_threads_go_by_the_file_and_by_the_command_line() {
    for &kernel in KernelVersion::ALL {
        for cpus in [
            "possible = 4\nthreads_per_core = 2",
            "possible = 4\nsiblings = [\"0,2\", \"1,3\"]\npackages = [\"0-3\"]",
        ] {
            let machine = machine(kernel, cpus, &nvme(4));
            let file = answer(&machine, &Question { smt_off: true, ..Question::default() });
            let boot = Question { cmdline: vec!["+nosmt".into()], ..Question::default() };
            let boot = answer(&machine, &boot);
            assert_eq!(names(&file, Kind::Dead).len(), 2, "{kernel:?} {cpus}");
            // 7.3 spreads otherwise where second threads have gone before the driver asks.
            assert_eq!(names(&boot, Kind::Dead).len(), 2, "{kernel:?} {cpus}");
            let left = if cpus.contains("siblings") { "0-1" } else { "0,2" };
            assert_eq!((file.after.online.list(), boot.after.online.list()), (left.into(), left.into()));
            assert!(boot.boots && !file.boots);
        }
    }
}

#[test]
fn drivers_count_cpus_again_at_another_boot_and_not_while_it_runs() {
    for &kernel in KernelVersion::ALL {
        for tables in [CARD.to_owned(), CARD.replace("msix_vectors", "vectors = 5\nmsix_vectors")] {
            let machine = machine(kernel, "possible = 4", &tables);
            let boot = Question { cmdline: vec!["+maxcpus=2".into()], ..Question::default() };
            let boot = answer(&machine, &boot);
            assert_eq!(boot.after.online.list(), "0-1", "{kernel:?}");
            assert_eq!(names(&boot, Kind::Gone).len(), 2, "{kernel:?}: {:#?}", boot.changes);
            let run = answer(&machine, &offline("2-3"));
            assert!(names(&run, Kind::Gone).is_empty(), "{kernel:?}");
        }
        // Nobody knows why it is six.
        let other = CARD.replace("msix_vectors", "vectors = 6\nmsix_vectors");
        let boot = Question { cmdline: vec!["+maxcpus=2".into()], ..Question::default() };
        let answer = answer(&machine(kernel, "possible = 4", &other), &boot);
        assert!(names(&answer, Kind::Gone).is_empty(), "{kernel:?}");
        assert!(answer.notes.iter().any(|note| note.contains("formula")), "{:?}", answer.notes);
    }
}

#[test]
fn a_function_is_unbound_or_left_out() {
    for &kernel in KernelVersion::ALL {
        let machine = machine(kernel, "possible = 2", &format!("{}{CARD}", nvme(2)));
        let remove = vec!["01:00.0".to_owned()];
        let unbound = answer(&machine, &Question { remove: remove.clone(), ..Question::default() });
        assert_eq!((unbound.removed, unbound.boots), (3, false), "{kernel:?}");
        assert_eq!(unbound.said, ["0000:01:00.0 is unbound from nvme"]);
        let cmdline = vec!["+noirqdebug".to_owned()];
        let left_out = answer(&machine, &Question { remove, cmdline, ..Question::default() });
        assert_eq!((left_out.removed, left_out.boots), (3, true), "{kernel:?}");
        assert!(left_out.said.contains(&"0000:01:00.0 is left out".to_owned()));
        // The numbers of the others stay.
        for answer in [&unbound, &left_out] {
            assert!(!answer.has_finding() && answer.failed.is_empty(), "{kernel:?}: {answer:#?}");
            assert_eq!(answer.after.interrupts, answer.before.interrupts - 3);
        }
    }
}

#[test]
fn isolated_cpus_lose_what_others_of_the_mask_can_have() {
    let kernel = KernelVersion::V6_12;
    let machine = machine(kernel, "possible = 4\nthreads_per_core = 2", &nvme(2));
    // Each of the two queues stands on one of its CPUs, which is isolated in one case or the other.
    let mut moved = 0;
    for (isolated, rest) in [("0,2", 1), ("1,3", 0)] {
        let cmdline = vec![format!("+isolcpus=managed_irq,{isolated}")];
        let answer = answer(&machine, &Question { cmdline, ..Question::default() });
        assert!(answer.changes.iter().all(|c| c.managed && c.kind == Kind::Moved), "{:#?}", answer.changes);
        assert!(answer.changes.iter().all(|c| c.cpu_after.is_some_and(|cpu| cpu % 2 == rest)));
        moved += answer.changes.len();
    }
    assert_eq!(moved, 2);
}

#[test]
fn a_kernel_moves_queues_for_a_reason() {
    let machine = machine(KernelVersion::V6_12, "possible = 4\nl2 = [\"0-1\", \"2-3\"]", &nvme(4));
    let question = Question { kernel: Some(KernelVersion::V7_3), ..Question::default() };
    let newer = answer(&machine, &question);
    let moved = names(&newer, Kind::Affinity);
    assert!(moved.iter().any(|name| name.starts_with("nvme0q")), "{:#?}", newer.changes);
    assert!(
        newer.changes.iter().all(|c| !c.managed || c.because == ["spread_by_cluster"]),
        "{:#?}",
        newer.changes
    );
    let cause = newer.causes.iter().find(|cause| cause.field == "spread_by_cluster").unwrap();
    assert_eq!((cause.left.as_str(), cause.right.as_str()), ("off", "on"));
    assert_eq!(cause.interrupts, newer.changes.iter().filter(|c| c.managed).count());
    assert_eq!(newer.kernels, ["v6.12", "v7.3"]);
    // The old kernel spreads these CPUs in the same way.
    let older = Question { kernel: Some(KernelVersion::V5_4), ..Question::default() };
    assert!(names(&answer(&machine, &older), Kind::Affinity).iter().all(|name| !name.starts_with("nvme0q")));
}

#[test]
fn a_script_is_done_and_what_fails_is_said() {
    for &kernel in KernelVersion::ALL {
        let machine = machine(kernel, "possible = 2", CARD);
        let text = "echo 1 > /proc/irq/24/smp_affinity_list\necho 0 > /sys/devices/system/cpu/cpu9/online\n\
                    i=7\necho 0 > /proc/irq/$i/none\n#: assert /proc/irq/24/smp_affinity_list == 0\n";
        let script = Some(Script::parse("s.sh", text).unwrap());
        let answer = answer(&machine, &Question { script, ..Question::default() });
        let failed: Vec<_> = answer.refused.iter().map(|r| (r.cpu, r.errno)).collect();
        assert_eq!(failed, [(Some(9), Some("ENOENT")), (None, Some("ENOENT")), (None, None)], "{kernel:?}");
        assert_eq!(of(&answer, "eno1-TxRx-0").affinity_after.list(), "1", "{kernel:?}");
        assert_eq!(answer.said, ["s.sh"]);
    }
}

#[test]
fn an_affinity_that_cannot_be_written_any_more_is_said() {
    let kernel = KernelVersion::V6_12;
    let machine =
        machine(kernel, "possible = 4", &format!("{CARD}[boot.affinity]\n24 = \"3\"\n28 = \"3\"\n"));
    let question = Question { cmdline: vec!["+maxcpus=2".into()], ..Question::default() };
    let answer = answer(&machine, &question);
    // The one that is not there any more and the one whose CPU is not.
    assert!(answer.notes.iter().any(|note| note.starts_with("2 affinities")), "{:?}", answer.notes);
}
