//! /sys/kernel/tracing: what of the record is kept, by function, by depth and by the fields of an event.

use kstate::semantics::KernelVersion::{self, V5_4, V6_12};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

const T: &str = "/sys/kernel/tracing";
const OFF: &str = "echo 0 > /sys/devices/system/cpu/cpu4/online\n";

/// What a script prints, on the embedded machine.
fn printed(version: KernelVersion, script: &str) -> String {
    let mut lab = Lab::boot(&Machine::embedded(version));
    let script = script.replace("$t", T);
    lab.run(&Script::parse("sh", &script).unwrap(), |_| sim::state::Sections::default());
    lab.terminal.iter().map(|line| format!("{}\n", line.trim_end_matches('\n'))).collect()
}

/// The lines of the buffer that are no comments.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect()
}

#[test]
fn a_graph_begins_at_the_functions_that_are_set() {
    for &version in KernelVersion::ALL {
        let graph = |settings: &str| {
            let script = format!("echo function_graph > $t/current_tracer\n{settings}{OFF}cat $t/trace\n");
            printed(version, &script)
        };
        let text = graph("echo irq_shutdown > $t/set_graph_function\n");
        let calls: Vec<&str> = lines(&text).into_iter().filter_map(|l| l.split("|  ").nth(1)).collect();
        // Nothing stands left of it, and everything below it is there.
        let left: Vec<&&str> = calls.iter().filter(|c| !c.starts_with(' ') && c.contains("()")).collect();
        assert!(!left.is_empty() && left.iter().all(|c| c.starts_with("irq_shutdown()")), "{text}");
        assert!(calls.iter().any(|call| call.starts_with("  ") && call.contains("()")), "{text}");
        let text = graph("echo irq_shutdown > $t/set_graph_function\necho 1 > $t/max_graph_depth\n");
        let calls = lines(&text).into_iter().filter(|line| line.contains("()"));
        assert!(
            calls.clone().all(|call| call.ends_with("|  irq_shutdown();")) && calls.count() > 0,
            "{text}"
        );
        let text = graph("echo 2 > $t/max_graph_depth\n");
        let deepest =
            lines(&text).into_iter().filter_map(|l| l.split("|  ").nth(1)).filter(|c| c.contains("()"));
        assert!(deepest.clone().all(|c| !c.starts_with("    ")) && deepest.count() > 2, "{text}");
    }
}

#[test]
fn names_and_numbers_of_the_graph_are_read_as_the_kernel_reads_them() {
    let text = printed(
        V5_4,
        "cat $t/set_graph_function\necho 'irq_shut*' > $t/set_graph_function\ncat $t/set_graph_function\n\
         echo no_such_function > $t/set_graph_function\ncat $t/set_graph_function\n\
         cat $t/max_graph_depth\necho 7 > $t/max_graph_depth\ncat $t/max_graph_depth\n\
         echo x > $t/max_graph_depth\necho -1 > $t/max_graph_depth\ncat $t/max_graph_depth\n",
    );
    let expect = "#### all functions enabled ####\nirq_shutdown\nirq_shutdown_and_deactivate\n\
                  sh: line 4: write error: Invalid argument\n#### all functions enabled ####\n0\n7\n\
                  sh: line 9: write error: Invalid argument\nsh: line 10: write error: Invalid argument\n7\n";
    assert_eq!(text, expect);
}

/// The events that are kept with a filter of `vector_config`.
fn kept(filter: &str) -> Vec<String> {
    let script = format!(
        "echo 1 > $t/events/irq_vectors/vector_config/enable\n\
         echo '{filter}' > $t/events/irq_vectors/vector_config/filter\n\
         echo 1 > /sys/class/nvme/nvme0/reset_controller\nsleep 1\ncat $t/trace\n"
    );
    let text = printed(V5_4, &script);
    let events = lines(&text).into_iter().filter_map(|line| line.split("vector_config: ").nth(1));
    events.map(str::to_owned).collect()
}

#[test]
fn an_event_passes_if_its_filter_holds() {
    let all = kept("0");
    let picked = |filter: &str, holds: &dyn Fn(u32, u32, u32) -> bool| {
        let number = |text: &str, name: &str| -> u32 {
            let value = text.split(&format!("{name}=")).nth(1).unwrap().split(' ').next().unwrap();
            value.parse().unwrap()
        };
        let expect: Vec<String> = all
            .iter()
            .filter(|text| holds(number(text, "irq"), number(text, "vector"), number(text, "cpu")))
            .cloned()
            .collect();
        assert!(!expect.is_empty() && expect.len() < all.len(), "{filter} tells nothing apart: {all:?}");
        assert_eq!(kept(filter), expect, "{filter}");
    };
    picked("irq == 29", &|irq, _, _| irq == 29);
    picked("irq != 29", &|irq, _, _| irq != 29);
    picked("irq>=30", &|irq, _, _| irq >= 30);
    picked("irq < 0x1d", &|irq, _, _| irq < 29);
    picked("irq & 1", &|irq, _, _| irq & 1 != 0);
    picked("irq == 29 || irq == 30 && cpu == 4", &|irq, _, cpu| irq == 29 || irq == 30 && cpu == 4);
    picked("(irq == 29 || irq == 30) && vector != 239", &|irq, vector, _| {
        (irq == 29 || irq == 30) && vector != 239
    });
    picked("!(irq == 29 || irq == 30)", &|irq, _, _| !(irq == 29 || irq == 30));
    picked("!irq == 29 && cpu < 4", &|irq, _, cpu| irq != 29 && cpu < 4);
    // Fields that every event has: who, and where.
    assert_eq!(kept("comm ~ \"kworker*\"").len() + kept("comm != \"kworker/u16:1\"").len(), all.len());
    assert!(kept("COMM == \"nobody\"").is_empty());
    // An expression may end in an operator.
    picked("irq == 29 &&", &|irq, _, _| irq == 29);
}

#[test]
fn a_wrong_filter_is_answered_as_the_kernel_answers() {
    // trace_events_filter.c: the position is where the parser stood, and one more; the codes of calc_stack() are
    // returned as they are.
    let check = |filter: &str, errno: &str, shown: &str| {
        let file = "$t/events/irq_vectors/vector_config/filter";
        let text = printed(V6_12, &format!("echo '{filter}' > {file}\ncat {file}\n"));
        let expect = format!("sh: line 1: write error: {errno}\n{}", shown.trim_end());
        assert_eq!(text.trim_end(), expect, "{filter}");
    };
    check("irqq == 29", "Invalid argument", "irqq == 29\n     ^\nparse_error: Field not found\n\n");
    check("irq = 29", "Invalid argument", "irq = 29\n     ^\nparse_error: Invalid operator\n\n");
    check(
        "irq == x",
        "Invalid argument",
        "irq == x\n        ^\nparse_error: Invalid value (did you forget quotes)?\n\n",
    );
    check(
        "irq == \"29\"",
        "Invalid argument",
        "irq == \"29\"\n        ^\nparse_error: Expecting numeric field\n\n",
    );
    check(
        "irq ~ 29",
        "Invalid argument",
        "irq ~ 29\n       ^\nparse_error: Illegal operation for field type\n\n",
    );
    check("irq == -1", "Invalid argument", "irq == -1\n        ^\nparse_error: Illegal integer value\n\n");
    check("comm == 3", "Invalid argument", "comm == 3\n         ^\nparse_error: Expecting string field\n\n");
    check("(irq == 29", "No such file or directory", "(irq == 29\n^\nparse_error: Too many '('\n\n");
    check("irq == 29)", "Operation not permitted", "irq == 29)\n         ^\nparse_error: Too few '('\n\n");
    check(
        "comm == \"x",
        "No such process",
        "comm == \"x\n        ^\nparse_error: Missing matching quote\n\n",
    );
    check(
        "irq == 29 cpu == 4",
        "Operation not permitted",
        "irq == 29 cpu == 4\n          ^\nparse_error: Too many terms in predicate expression\n\n",
    );
    check("== 29", "Operation not permitted", "== 29\nError: (0)\n\n");
    check("!", "Invalid argument", "!\n ^\nparse_error: No filter found\n\n");
}

#[test]
fn the_filter_of_a_system_is_given_to_its_events() {
    let t = "$t/events/irq_vectors";
    let text = printed(
        V5_4,
        &format!(
            "cat {t}/vector_config/filter\necho 'vector == 33' > {t}/filter\ncat {t}/vector_config/filter\n\
             cat {t}/vector_reserve/filter\necho 0 > {t}/filter\ncat {t}/vector_reserve/filter\ncat {t}/filter\n"
        ),
    );
    let expect = "none\nvector == 33\nvector == 33\n^\n\
                  parse_error: Couldn't find or set field in one of a subsystem's events\nnone\n\
                  ### global filter ###\n";
    assert!(text.replace("\n\n", "\n").starts_with(expect), "{text}");
}

#[test]
fn a_format_says_how_an_event_lies_in_the_buffer() {
    let text = printed(
        V5_4,
        "cat $t/events/irq_vectors/vector_alloc/format\ncat $t/events/irq_vectors/vector_alloc/id\n",
    );
    let id = text.lines().last().unwrap();
    let expect = format!(
        "name: vector_alloc\nID: {id}\nformat:\n\
         \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
         \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
         \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
         \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
         \tfield:unsigned int irq;\toffset:8;\tsize:4;\tsigned:0;\n\
         \tfield:unsigned int vector;\toffset:12;\tsize:4;\tsigned:0;\n\
         \tfield:bool reserved;\toffset:16;\tsize:1;\tsigned:0;\n\
         \tfield:int ret;\toffset:20;\tsize:4;\tsigned:1;\n\n\
         print fmt: \"irq=%u vector=%u reserved=%d ret=%d\", REC->irq, REC->vector, REC->reserved, REC->ret\n{id}\n"
    );
    assert_eq!(text, expect);
    let fmt = |event: &str| {
        let text = printed(V5_4, &format!("cat $t/events/{event}/format\n"));
        text.lines().last().unwrap().to_owned()
    };
    assert_eq!(
        fmt("irq/irq_handler_exit"),
        "print fmt: \"irq=%d ret=%s\", REC->irq, REC->ret ? \"handled\" : \"unhandled\""
    );
    assert_eq!(
        fmt("irq_matrix/irq_matrix_online"),
        "print fmt: \"online_maps=%d global_avl=%u, global_rsvd=%u, total_alloc=%u\", REC->online_maps, \
         REC->global_available, REC->global_reserved, REC->total_allocated"
    );
    assert!(fmt("irq_matrix/irq_matrix_free").contains("managed=%u online_maps=%u global_avl=%u, "));
}

#[test]
fn what_is_read_from_the_pipe_is_gone() {
    let text = printed(
        V6_12,
        "echo 1 > $t/events/irq_vectors/enable\necho 1 > /sys/class/nvme/nvme0/reset_controller\nsleep 1\n\
         cat $t/trace_pipe\necho =\ncat $t/trace_pipe\necho =\ncat $t/trace\n",
    );
    let marks: Vec<usize> = text.lines().enumerate().filter(|(_, l)| *l == "=").map(|(at, _)| at).collect();
    assert_eq!(marks.len(), 2, "{text}");
    let all: Vec<&str> = text.lines().collect();
    assert!(marks[0] > 0 && all[..marks[0]].iter().all(|line| line.contains(": vector_")), "{text}");
    assert_eq!(marks[1], marks[0] + 1, "nothing is left: {text}");
    assert!(lines(&all[marks[1] + 1..].join("\n")).is_empty(), "{text}");
}

#[test]
fn the_buffer_has_the_size_that_is_written() {
    for &version in KernelVersion::ALL {
        let show = "cat $t/buffer_size_kb\ncat $t/buffer_total_size_kb\n";
        let text = |script: &str| printed(version, &format!("{script}{show}"));
        assert_eq!(text(""), "7 (expanded: 1408)\n56 (expanded: 11264)\n");
        assert_eq!(text("echo nop > $t/current_tracer\n"), "1408\n11264\n");
        assert_eq!(text("echo 1 > $t/events/irq/enable\n"), "1408\n11264\n");
        assert_eq!(text("echo 100 > $t/buffer_size_kb\necho function > $t/current_tracer\n"), "100\n800\n");
        let refused = |size: &str, why: &str| {
            let text = text(&format!("echo {size} > $t/buffer_size_kb\n"));
            assert!(text.contains(why) && text.ends_with("56 (expanded: 11264)\n"), "{size}: {text}");
        };
        refused("0", "Invalid argument");
        refused("x", "Invalid argument");
        refused("99999999", "Cannot allocate memory");
        refused("18446744073709551615", "Cannot allocate memory");
    }
}

#[test]
fn a_full_buffer_has_the_newest_entries_and_counts_all() {
    let reads = "taskset -c 2 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=300 iflag=direct\n\
                 taskset -c 3 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=10 iflag=direct\n";
    for &version in KernelVersion::ALL {
        let events = |size: u32, read: &str| {
            let script = format!(
                "echo {size} > $t/buffer_size_kb\necho 1 > $t/events/irq/enable\n{reads}cat $t/{read}\n"
            );
            printed(version, &script)
        };
        let (all, few) = (events(1408, "trace"), events(1, "trace"));
        let head = |text: &str| {
            let line = text.lines().find(|line| line.contains("entries-written: ")).unwrap().to_owned();
            let counts = line.split_whitespace().nth(2).unwrap();
            let (held, written) = counts.split_once('/').unwrap();
            (held.parse::<usize>().unwrap(), written.parse::<usize>().unwrap())
        };
        // An interrupt is two entries: 8 + 4 + 4 bytes and its name with the end, and 8 + 8, each behind a head of 4.
        assert_eq!(head(&all), (620, 620), "{all}");
        let of = |text: &str, cpu: &str| -> Vec<String> {
            lines(text).into_iter().filter(|line| line.contains(cpu)).map(ToOwned::to_owned).collect()
        };
        let entry = 28 + 20;
        // The second of two pages is being filled when the reads of CPU 2 end.
        let pages = 2 * (4080 / entry);
        let held = 300 - (300usize.div_ceil(4080 / entry) - 2) * (4080 / entry);
        assert!(held <= pages, "{held}");
        assert_eq!(head(&few), (2 * held + 20, 620), "{few}");
        let (old, new) = (of(&all, "[002]"), of(&few, "[002]"));
        assert_eq!(new[..], old[old.len() - 2 * held..]);
        assert_eq!(of(&few, "[003]"), of(&all, "[003]"));
        // A CPU whose entries begin later says so, where something was written over.
        assert!(
            few.contains("\n##### CPU 3 buffer started ####\n") && !few.contains("CPU 2 buffer"),
            "{few}"
        );
        assert!(!all.contains("buffer started"), "{all}");
        let pipe = events(1, "trace_pipe");
        let lost = format!("CPU:2 [LOST {} EVENTS]\n", 600 - 2 * held);
        assert!(pipe.starts_with(&lost) && pipe.matches("LOST").count() == 1, "{pipe}");
    }
}

/// Interrupts without end on the first queue of the controller, with calls in the buffer.
const STORM: &str = "echo 256 > $t/buffer_size_kb\necho function_graph > $t/current_tracer\n\
                     echo 25 > /sys/kernel/debug/irqlab/storm\nsleep 0.1\n";

#[test]
fn what_is_forgotten_is_in_the_buffer() {
    for &version in KernelVersion::ALL {
        let run = |most: Option<usize>| {
            let mut lab = Lab::boot(&Machine::embedded(version));
            if let Some(most) = most {
                lab.hold_at_most(most);
            }
            let script = format!("{STORM}echo here > $t/trace_marker\nsleep 0.001\ncat $t/trace\n");
            let script = Script::parse("sh", &script.replace("$t", T)).unwrap();
            lab.run(&script, |_| sim::state::Sections::default());
            lab
        };
        let (whole, few) = (run(None), run(Some(5000)));
        assert!(whole.terminal == few.terminal, "{version:?}");
        assert!(whole.terminal.concat().contains("/* here */"));
        // Ten thousand interrupts.
        assert!(whole.k.trace.records.len() > 200_000, "{}", whole.k.trace.records.len());
        assert!(few.k.trace.records.len() < 6000, "{}", few.k.trace.records.len());
        assert_eq!(few.k.trace.ctxs.opened(), whole.k.trace.ctxs.opened());
        let kept = few.k.trace.kept.as_ref().unwrap();
        // 256 KiB are some 3700 calls for the CPU that had them.
        assert!(kept.ring.held() < 2 * 8000, "{}", kept.ring.held());
        assert!(few.k.trace.ctxs.held() < 2000, "{}", few.k.trace.ctxs.held());
    }
}
