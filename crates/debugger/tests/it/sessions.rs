//! Sessions at the machine's shell, as they look.

use std::time::Instant;

use debugger::{Save, Session};
use kstate::semantics::KernelVersion;
use sim::lab::Lab;
use sim::machine::Machine;

fn session(version: KernelVersion) -> Session {
    Session::new(Lab::boot(&Machine::embedded(version)).k, "the embedded machine")
}

/// What a session looks like to who types it.
fn typed(session: &mut Session, lines: &str) -> String {
    let mut out = String::new();
    let mut pending = String::new();
    for line in lines.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        out.push_str(&format!("# {line}\n"));
        pending.push_str(line);
        pending.push('\n');
        let reply = session.line(&pending);
        if reply.incomplete {
            continue;
        }
        pending.clear();
        out.push_str(&reply.text);
        if let Some(Save { file, bytes, .. }) = reply.save {
            let text = String::from_utf8(bytes).unwrap();
            out.push_str(&format!("-> {file}\n{text}"));
        }
    }
    out
}

fn check(name: &str, version: KernelVersion, lines: &str) {
    insta::assert_snapshot!(name, typed(&mut session(version), lines));
}

#[test]
fn a_queue_goes_down_with_its_cpu() {
    check(
        "queue_down",
        KernelVersion::V5_4,
        "cat /proc/irq/29/smp_affinity_list
         :watch apicd.hw_irq_cfg.vector of irq 29
         :break irq_shutdown if desc == 29
         :break irq_shutdown if irq == 29
         :break
         echo 0 > /sys/devices/system/cpu/cpu4/online
         :where
         :print apicd of irq 29
         :back 1
         :continue
         :delete
         :continue
         cat /sys/devices/system/cpu/online
         :log",
    );
}

#[test]
fn a_reset_is_walked_through() {
    for &version in KernelVersion::ALL {
        check(
            &format!("reset_{}", version.name()),
            version,
            ":break irq_startup if irq == 31
             :break vector_config if irq == 31
             echo 1 > /sys/class/nvme/nvme0/reset_controller
             :next
             :next
             :finish
             :step
             :step 3
             :continue
             :delete 1
             :delete 2
             :continue
             cat /sys/class/nvme/nvme0/state",
        );
    }
}

#[test]
fn time_runs_backwards_and_differently() {
    check(
        "time",
        KernelVersion::V5_4,
        "X=5
         for i in 1 $X
         do
         echo 4 > /proc/irq/24/smp_affinity_list
         done
         :diff 0 3
         :goto 1
         :set vector_cleanup=timer
         :step
         :save session.sh
         :goto 99
         :back 99",
    );
}

#[test]
fn mistakes_are_answered_with_what_was_expected() {
    check(
        "mistakes",
        KernelVersion::V5_4,
        ":brk
         :break no_such
         :break irq_start
         :break irq_startup when x
         :break irq_startup if irq
         :watch nothing
         :watch vector of irq 999
         :print
         :print irq 999
         :print cpu 99
         :print task x
         :set x=1
         :set vector_cleanup=x
         :set vector_cleanup
         :delete 7
         :diff
         :save
         :step x
         :finish
         :continue
         echo $nothing
         rm /x
         :help",
    );
}

#[test]
fn the_tracer_shows_what_happened() {
    for &version in KernelVersion::ALL {
        check(
            &format!("trace_{}", version.name()),
            version,
            "echo 'irq_shutdown*' > /sys/kernel/tracing/set_ftrace_filter
             echo irq_matrix_free >> /sys/kernel/tracing/set_ftrace_filter
             cat /sys/kernel/tracing/set_ftrace_filter
             echo function_graph > /sys/kernel/tracing/current_tracer
             echo 1 > /sys/kernel/tracing/events/irq_vectors/enable
             cat /sys/kernel/tracing/events/enable
             echo 0 > /sys/devices/system/cpu/cpu7/online
             echo gone > /sys/kernel/tracing/trace_marker
             cat /sys/kernel/tracing/trace
             echo nop > /sys/kernel/tracing/current_tracer
             echo 1 > /sys/kernel/tracing/options/stacktrace
             echo 1 > /sys/devices/system/cpu/cpu7/online
             echo 0 > /sys/kernel/tracing/tracing_on
             cat /sys/kernel/tracing/trace
             echo > /sys/kernel/tracing/trace
             cat /sys/kernel/tracing/trace",
        );
    }
}

#[test]
fn completion_knows_words_paths_and_functions() {
    let session = session(KernelVersion::V5_4);
    let check = |line: &str, expect: &[&str]| {
        assert_eq!(session.complete(line).1, expect, "{line}");
    };
    check("ech", &["echo"]);
    check(":wh", &[":where"]);
    check("echo 1 > /sys/devi", &["/sys/devices/"]);
    check("cat /proc/int", &["/proc/interrupts"]);
    check(":break irq_matrix_reserve_m", &["irq_matrix_reserve_managed"]);
    check(":set vector_cl", &["vector_cleanup="]);
}

#[test]
fn a_session_that_is_saved_does_the_same_again() {
    let mut first = session(KernelVersion::V6_12);
    let lines = "echo 0 > /sys/devices/system/cpu/cpu2/online\nfor i in 3 4; do echo 0 > /sys/devices/system/cpu/cpu$i/online; done\n";
    typed(&mut first, lines);
    let text = String::from_utf8(first.line(":save x").save.unwrap().bytes).unwrap();
    let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    lab.run_each(&sim::script::Script::parse("x", &text).unwrap(), |_| {}, |_, _| {});
    assert!(lab.k == *first.kernel());
}

#[test]
fn going_back_and_forth_comes_to_the_same_state() {
    let mut session = session(KernelVersion::V5_4);
    typed(
        &mut session,
        "echo 1 > /sys/class/nvme/nvme0/reset_controller\ntaskset -c 2 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=200 iflag=direct",
    );
    let (end, there) = (session.step(), session.kernel().clone());
    for to in [end - 1, 5, end / 2, 0, end] {
        session.line(&format!(":goto {to}"));
        assert_eq!(session.step(), to);
    }
    assert!(*session.kernel() == there);
    assert_eq!(session.kernel().trace.ctxs, there.trace.ctxs);
    // Step by step along what was typed, what happens is recorded as it was.
    session.line(":goto 0");
    for to in 1..=end {
        session.line(":step");
        assert_eq!(session.step(), to);
    }
    assert!(*session.kernel() == there);
    assert_eq!(session.kernel().trace.records.len(), there.trace.records.len());
}

/// Prints how long going back takes; the bound is loose, since a test may run on a busy machine.
#[test]
fn going_back_is_quick_after_many_steps() {
    let mut session = session(KernelVersion::V5_4);
    session.line("dd if=/dev/nvme0n1 of=/dev/null bs=512 count=20000 iflag=direct");
    let end = session.step();
    assert!(end > 40_000, "{end}");
    for to in [end - 1, end / 2 + 63, 1] {
        let start = Instant::now();
        session.line(&format!(":goto {to}"));
        println!("to step {to} of {end}: {:?}", start.elapsed());
        assert!(start.elapsed().as_secs() < 5);
    }
}

#[test]
fn what_a_name_or_a_line_means_is_explained() {
    let mut session = session(KernelVersion::V6_12);
    for (line, parts) in [
        ("explain EPERM", &["EPERM  error", "write_irq_affinity()"][..]),
        (":explain smp_affinity", &["/proc/irq/N/smp_affinity  file", "EPERM", "managed"]),
        (":explain do_IRQ: 3.38 No irq handler for vector", &["M12", "arch/x86/kernel/irq.c"]),
        (":explain irq_startup", &["kernel/irq/chip.c"]),
        ("explain smp_afinity", &["nothing here is called `smp_afinity`; did you mean smp_affinity"]),
        (":explain", &["`explain` needs a name"]),
    ] {
        let reply = session.line(line);
        for part in parts {
            assert!(reply.text.contains(part), "{line}: {part} in {}", reply.text);
        }
        assert!(!reply.text.contains('\u{1b}'), "colours in {line}");
    }
    assert_eq!(session.step(), 0, "the machine stands still");
}

#[test]
fn a_session_takes_so_many_lines() {
    let mut session = session(KernelVersion::V5_4);
    session.take_at_most(2);
    let line = "echo 3 > /proc/irq/default_smp_affinity";
    assert!(!session.line(line).failed && !session.line(line).failed);
    let reply = session.line(line);
    assert!(reply.failed && reply.text.starts_with("a session holds 2 lines"), "{}", reply.text);
    assert!(session.give(line).is_err());
    // What reads still does, and going back makes room.
    assert_eq!(session.line("cat /proc/irq/default_smp_affinity").text, "03\n");
    session.line(":goto 0");
    assert!(!session.line(line).failed);
    // It is said before it happens.
    assert!(session.line(":help").text.contains("1000000 lines are taken"));
}

#[test]
fn an_endless_run_is_held_in_bounded_memory() {
    let t = "/sys/kernel/tracing";
    for version in [KernelVersion::V5_4, KernelVersion::V7_3] {
        let run = |most: usize, first: &str| {
            let mut session = session(version);
            session.hold_at_most(most);
            let lines = format!(
                "{first}
                 echo 25 > /sys/kernel/debug/irqlab/storm
                 sleep 0.05
                 echo here > {t}/trace_marker
                 sleep 0.05
                 taskset -c 3 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=3 iflag=direct"
            );
            typed(&mut session, &lines);
            session
        };
        let traced = format!(
            "echo 32 > {t}/buffer_size_kb
             echo 1 > {t}/events/irq/enable
             echo function_graph > {t}/current_tracer"
        );
        for first in [traced.as_str(), "echo 1 > /sys/class/nvme/nvme0/reset_controller"] {
            let (mut whole, mut few) = (run(usize::MAX, first), run(4000, first));
            let held = |session: &Session| {
                let trace = &session.kernel().trace;
                (
                    trace.records.len(),
                    trace.ctxs.held(),
                    trace.kept.as_ref().map_or(0, |kept| kept.ring.held()),
                )
            };
            let (all, kept) = (held(&whole), held(&few));
            assert!(all.0 > 200_000 && all.1 > 10_000, "{all:?}");
            assert!(kept.0 <= 4000 && kept.1 < 1500 && kept.2 < 3000, "{kept:?}");
            // What can be seen is the same, at the end, at a record of the last step, and at places of the past.
            let end = whole.step();
            assert_eq!(few.step(), end);
            let look = |session: &mut Session, to: u64| {
                session.line(&format!(":goto {to}"));
                let mut text = session.line(&format!("cat {t}/trace")).text;
                for _ in 0..3 {
                    session.line(":reverse-step");
                    text += &session.line(":bt").text;
                    text += &session.line(&format!("cat {t}/trace")).text;
                    text += &session.line("cat /proc/interrupts").text;
                }
                text
            };
            for to in [end, end - 1, end / 2, end / 2 + 1, end / 3, 5, end - 700, end / 4 * 3, end] {
                assert!(look(&mut whole, to) == look(&mut few, to), "{version:?}, at {to} of {end}");
            }
            assert!(held(&few).0 <= 4000 && held(&few).1 < 3000, "{:?}", held(&few));
            assert!(*whole.kernel() == *few.kernel());
        }
    }
}
