//! What somebody types from habit: an administrator of Linux machines, somebody who knows gdb, somebody new.

use debugger::Session;
use kstate::semantics::KernelVersion;
use kstate::trace::Recorded;
use sim::lab::Lab;
use sim::machine::Machine;

fn session(version: KernelVersion) -> Session {
    Session::new(Lab::boot(&Machine::embedded(version)).k, "the embedded machine")
}

fn session_with(version: KernelVersion, hardware: bool) -> Session {
    let mut k = Lab::boot(&Machine::embedded(version)).k;
    k.trace.record(if hardware { Recorded::Hardware } else { Recorded::Kernel });
    Session::new(k, "the embedded machine")
}

/// What a line comes to.
enum Comes<'a> {
    /// It works, and this is in what it prints.
    To(&'a str),
    /// It works and prints nothing.
    ToNothing,
    /// It is not here, and this is said to do the same.
    Instead(&'a str),
}
use Comes::{Instead, To, ToNothing};

/// Seventy-one lines of an administrator who looks at the interrupts of a machine.
const ADMIN: [(&str, Comes<'_>); 71] = [
    ("uname -r", To("5.4")),
    ("nproc", To("8")),
    ("pwd", To("/")),
    ("cat /proc/cmdline", ToNothing),
    ("cat /proc/interrupts", To("nvme0q0")),
    ("cat /proc/interrupts | grep nvme", To("nvme0q8")),
    ("grep nvme /proc/interrupts", To("nvme0q1")),
    ("grep -c nvme /proc/interrupts", To("9")),
    ("grep -i NVME0Q5 /proc/interrupts", To("nvme0q5")),
    ("grep -E 'nvme0q[12]$' /proc/interrupts", To("nvme0q2")),
    ("cat /proc/interrupts | grep nvme | wc -l", To("9")),
    ("cat /proc/interrupts | head -3", To("CPU0")),
    ("cat /proc/interrupts | head -n 1", To("CPU7")),
    ("head -1 /proc/interrupts", To("CPU0")),
    ("tail -n 3 /proc/interrupts", To(":")),
    ("cat /proc/interrupts | grep nvme0q0 | cut -d: -f1", To("24")),
    ("grep nvme /proc/interrupts | sort -k2 -rn | head -2", To("nvme")),
    ("less /proc/interrupts", To("nvme0q0")),
    ("ls /proc/irq", To("default_smp_affinity")),
    ("ls /proc/irq/29/", To("effective_affinity_list")),
    ("ls", To("proc")),
    ("ls -1 /proc/irq/24", To("smp_affinity")),
    ("ls -l /proc/irq/24", To("smp_affinity")),
    ("ls -l /proc/irq/2*", To("effective_affinity")),
    ("cat /proc/irq/29/smp_affinity", To("10")),
    ("cat /proc/irq/29/smp_affinity_list", To("4")),
    ("cat /proc/irq/29/effective_affinity_list", To("4")),
    ("cat /proc/irq/24/smp_affinity /proc/irq/24/smp_affinity_list", To("0-7")),
    ("cat /proc/irq/*/smp_affinity_list", To("0-7")),
    ("cat /proc/irq/2{4,5}/smp_affinity_list", To("0-7")),
    ("cat /proc/irq/{24..26}/effective_affinity_list", To("1")),
    ("grep . /proc/irq/*/smp_affinity_list", To("/proc/irq/29/smp_affinity_list:4")),
    ("grep -r . /proc/irq/29", To("/proc/irq/29/smp_affinity_list:4")),
    ("grep -H . /proc/irq/24/node", To("/proc/irq/24/node:")),
    ("ls -d /proc/irq/2*", To("/proc/irq/29")),
    ("echo /sys/class/nvme/*", To("/sys/class/nvme/nvme0")),
    ("cd /proc/irq/24", ToNothing),
    ("pwd", To("/proc/irq/24")),
    ("cat smp_affinity_list", To("0-7")),
    ("echo 3 > smp_affinity_list", ToNothing),
    ("cat smp_affinity_list", To("3")),
    ("cd ..", ToNothing),
    ("cat 24/smp_affinity_list && cat 29/smp_affinity_list", To("3\n4")),
    ("cd", ToNothing),
    ("sudo cat /proc/irq/24/smp_affinity_list", To("3")),
    ("echo ff | sudo tee /proc/irq/24/smp_affinity", ToNothing),
    ("cat /proc/irq/24/smp_affinity_list", To("0-7")),
    ("cat < /proc/irq/24/smp_affinity_list", To("0-7")),
    ("wc -l < /proc/irq/24/smp_affinity_list", To("1")),
    ("cat /sys/kernel/debug/irq/irqs/29", To("handle_edge_irq")),
    ("cat /sys/kernel/debug/irq/domains/VECTOR | head -20", To("name:")),
    ("cat /sys/devices/system/cpu/online", To("0-7")),
    ("cat /sys/devices/system/cpu/{possible,present,online}", To("0-7")),
    ("echo 0 > /sys/devices/system/cpu/cpu4/online", ToNothing),
    ("cat /sys/devices/system/cpu/offline", To("4")),
    ("dmesg | tail -2", To("CPU")),
    ("dmesg | grep -i cpu | tail -1", To("4")),
    ("echo 1 > /sys/devices/system/cpu/cpu4/online", ToNothing),
    ("cat /proc/irq/99/smp_affinity 2>/dev/null | wc -l", To("0")),
    ("cat /sys/class/nvme/nvme0/state", To("live")),
    ("dd if=/dev/nvme0n1 of=/dev/null bs=4k count=8 iflag=direct", ToNothing),
    ("watch -n1 cat /proc/interrupts", Instead(":watch FIELD")),
    ("lspci", Instead("/sys/bus/pci/devices")),
    ("lscpu", Instead("/sys/devices/system/cpu/online")),
    ("nvme list", Instead("/sys/block")),
    ("systemctl stop irqbalance", Instead("smp_affinity_list")),
    ("chcpu -d 4", Instead("echo 0 > /sys/devices/system/cpu/cpuN/online")),
    ("trace-cmd record -e irq_vectors", Instead("/sys/kernel/tracing")),
    ("top", Instead(":where")),
    ("awk '{print $1}' /proc/interrupts", Instead("cut")),
    ("vim /etc/default/grub", Instead("echo VALUE > FILE")),
];

#[test]
fn what_an_administrator_types_works_or_is_answered() {
    let mut session = session(KernelVersion::V5_4);
    for (line, comes) in ADMIN {
        let reply = session.line(line);
        match comes {
            To(what) => {
                assert!(!reply.failed && reply.text.contains(what), "{line}: {}", reply.text);
            }
            ToNothing => assert!(!reply.failed && reply.text.trim().is_empty(), "{line}: {}", reply.text),
            Instead(what) => {
                assert!(reply.failed && reply.text.contains(what), "{line}: {}", reply.text);
                assert!(!reply.text.contains('^'), "{line} is answered as a mistake: {}", reply.text);
            }
        }
    }
}

#[test]
fn what_somebody_who_knows_gdb_types_works() {
    let mut session = session(KernelVersion::V5_4);
    let mut check = |line: &str, what: &str| {
        let reply = session.line(line);
        assert!(!reply.failed && reply.text.contains(what), "{line}: {}", reply.text);
        reply.text
    };
    check("help", ":reverse-continue");
    check("?", ":goto");
    check("b pci_free_irq", "breakpoint 1 at pci_free_irq");
    let first = check("echo 1 > /sys/class/nvme/nvme0/reset_controller", "breakpoint 1: step");
    check("bt", "#0  pci_free_irq(dev=0000:00:03.0, nr=8");
    check("bt", "#1  nvme_suspend_queue(");
    check("info breakpoints", "1 break pci_free_irq, hit once");
    check("info irq 32", "handle_edge_irq");
    // F1: what comes later does not show.
    for queue in 0..=8 {
        check("cat /proc/interrupts", &format!("nvme0q{queue}"));
    }
    check("print apicd.vector of irq 25", "apicd.vector = 33");
    check("s", "step");
    check("n", "step");
    let second = check("c", "nr=7");
    check("cat /proc/interrupts", "nvme0q7");
    assert!(!session.line("grep nvme0q8 /proc/interrupts").text.contains("nvme0q8"));
    let mut check = |line: &str, what: &str| {
        let reply = session.line(line);
        assert!(!reply.failed && reply.text.contains(what), "{line}: {}", reply.text);
        reply.text
    };
    assert_eq!(check("rc", "nr=8"), first, "back to the stop before");
    assert_eq!(check("c", "nr=7"), second);
    check("finish", "pci_free_irq() returns");
    check("rs", "step");
    check(":goto start", "step 0");
    check(":rc", "the session begins here");
    check(":goto end", "step");
    check("delete", "");
    check("c", "");
    check(":goto 6.0125s", "step");
    assert!(session.line("exit").quit && session.line("quit").quit && session.line("q").quit);
}

#[test]
fn a_breakpoint_that_cannot_stop_is_refused_and_one_that_passes_is_told() {
    let mut session = session(KernelVersion::V5_4);
    let mut check = |line: &str, failed: bool, what: &str| {
        let reply = session.line(line);
        assert!(reply.failed == failed && reply.text.contains(what), "{line}: {}", reply.text);
    };
    check(":break vector_config if foo == 29", true, "has no field `foo`; it has irq, vector, cpu, apicdest");
    check(
        ":break irq_startup if bar == 1 && irq == 2",
        true,
        "has no field `bar`; it has irq, resend, force",
    );
    check(":break irq_startup if irq == x", true, "`x` is no number");
    check(":break irq_matrix_* if irq == 2", true, "has a field `irq`; they have");
    check(":break vector_config if apicd.nonsense of irq 29 == 1", true, "there is no");
    check(":break irq_matrix_* if avl < 10", false, "(");
    check(":delete", false, "");
    // The argument is an irq_data, and on CPU 4 the tracepoint is silent.
    check(":break apic_update_irq_cfg if irq == 29 && vector == 239", false, "breakpoint 2");
    check(":break vector_config if irq == 29", false, "breakpoint 3");
    check("echo 0 > /sys/devices/system/cpu/cpu4/online", false, "breakpoint 2: step");
    check(":continue", false, "breakpoint 3 was passed: vector_config: irq=29 vector=239");
    check("echo 1 > /sys/devices/system/cpu/cpu4/online", false, "irq=29");
    check(":delete", false, "");
    check(":continue", false, "");
    // Told once.
    check(":break vector_config if irq == 29", false, "breakpoint 4");
    check("echo 0 > /sys/devices/system/cpu/cpu4/online", false, "was passed");
    check(":delete 4", false, "");
    // Either side of an or, and a machine's field as it is at the call.
    check(":break pci_free_irq if irq == 31 || irq == 25", false, "breakpoint 5");
    check(":break migrate_one_irq if apicd.vector of irq 31 == 0", false, "breakpoint 6");
    check("echo 1 > /sys/class/nvme/nvme0/reset_controller", false, "nr=7");
    check(":c", false, "nr=1");
    check(":ignore 5 1", false, "5 is passed 1 times");
    check(":break", false, "hit 2 times, passes 1 more");
}

#[test]
fn the_way_of_an_interrupt_is_all_that_its_filter_shows() {
    for &version in KernelVersion::ALL {
        let mut session = session_with(version, true);
        session.line("taskset -c 4 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct");
        // The interrupt of the queue that serves CPU 4.
        let irq = if version == KernelVersion::V7_3 { 27 } else { 29 };
        let filter = session.line(&format!(":filter irq {irq}")).text;
        assert!(filter.contains(&format!("steps of irq {irq} are listed")), "{filter}");
        let mut shown = String::new();
        for step in 1..=session.end() {
            session.line(&format!(":goto {step}"));
            shown += &session.line(":flow").text;
        }
        for way in ["hw::message", "hw::irr", "hw::isr", "handle_edge_irq", "nvme_irq", "hw::eoi"] {
            assert!(shown.contains(way), "{version:?}: no {way} in\n{shown}");
        }
        // What the command did before is not about the interrupt.
        assert!(!shown.contains("blk_mq_get_tag"), "{shown}");
    }
}

#[test]
fn what_is_almost_right_is_answered_with_what_was_meant() {
    let mut session = session(KernelVersion::V6_12);
    let mut says = |line: &str, what: &str| {
        let reply = session.line(line);
        assert!(reply.failed && reply.text.contains(what), "{line}: {}", reply.text);
    };
    says(":print matrix", "perhaps vector_matrix");
    says(":watch nonsense", "a path that begins with sem");
    says(":back", "at step 0, which is less than 1 to go back");
    says(":diplay", "did you mean");
    says(":break vector_config if foo == 29", "irq");
    says(":export x nonsense", "expected one of story, flow");
    says(":export", "needs a file");
    says(":export x flow --irq 25", "takes a file and a format, not `--irq`");
    let [file_last, format_last] = [":export flow x", ":export x flow"].map(|line| session.line(line).save);
    assert_eq!(file_last.as_ref().map(|save| save.file.as_str()), Some("x"));
    assert_eq!(file_last, format_last);
}

#[test]
fn steps_are_listed_filtered_and_searched() {
    let mut session = session(KernelVersion::V5_4);
    session.line(":break irq_shutdown if irq == 29");
    session.line("echo 0 > /sys/devices/system/cpu/cpu4/online");
    let list = session.line(":steps").text;
    assert!(list.lines().any(|line| line.starts_with('>') && line.contains("* migration, cpu 4")), "{list}");
    session.line(":filter cpu 4");
    let of_cpu = session.line(":steps 500").text;
    assert!(of_cpu.lines().count() > 1 && of_cpu.lines().all(|line| line.contains("cpu 4")), "{of_cpu}");
    session.line(":filter irq 29");
    let of_irq = session.line(":steps 500").text;
    assert!(!of_irq.is_empty() && of_irq.lines().count() < list.lines().count(), "{of_irq}");
    assert!(session.line(":filter x").failed && session.line(":steps x").failed);
    session.line(":delete");
    session.line(":continue");
    session.line(":goto start");
    let found = session.line(":find vector=239").text;
    assert!(found.contains("apic_update_irq_cfg(irqd=29.1, vector=239"), "{found}");
    let here = session.step();
    let none = session.line(":find no_such_thing");
    assert!(none.failed && session.step() == here, "{}", none.text);
    // What happens differently is listed differently.
    let before = session.line(":steps 500").text;
    session.line(":set vector_cleanup=timer");
    assert!(session.line(":steps 500").text.lines().count() <= before.lines().count());
}

/// Numbers from a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

#[test]
fn a_session_that_is_saved_is_done_again() {
    const LINES: [&str; 21] = [
        "c=4",
        "echo ${c} > /proc/irq/24/smp_affinity_list",
        "echo 0 > /sys/devices/system/cpu/cpu3/online",
        "echo 1 > /sys/devices/system/cpu/cpu3/online",
        "echo 1 > /sys/class/nvme/nvme0/reset_controller",
        "for i in 1 2; do echo $i > /proc/irq/24/smp_affinity_list; done",
        "X=4; echo $X > /proc/irq/24/smp_affinity_list",
        "sleep 1",
        "taskset -c 2 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=3 iflag=direct",
        ":set vector_cleanup=timer",
        ":set migrate_completes_move_first=on",
        ":break irq_startup if irq == 28",
        ":continue",
        ":delete",
        ":back 3",
        ":step 5",
        ":watch apicd.hw_irq_cfg.vector of irq 29",
        ":into",
        ":ignore 1 2",
        ":filter irq 29 function irq_* depth 3 actor kworker",
        "cd /proc/irq",
    ];
    for seed in 0..36 {
        let version = KernelVersion::ALL[seed % KernelVersion::ALL.len()];
        let mut numbers = Numbers(seed as u64);
        let hardware = seed % 2 == 0;
        let text =
            |session: &mut Session| String::from_utf8(session.line(":save x").save.unwrap().bytes).unwrap();
        let mut first = session_with(version, hardware);
        for _ in 0..8 {
            first.line(LINES[numbers.below(LINES.len())]);
        }
        if seed % 3 == 0 {
            first.line(":goto end");
        }
        let save = text(&mut first);
        let saved = debugger::Saved::parse(&save).unwrap().unwrap();
        assert_eq!(saved.origin.kernel, version.name());
        assert_eq!(saved.origin.no_hardware, !hardware);
        let mut second = session_with(version, hardware);
        second.again_as(&saved).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{save}"));
        assert!(second.kernel() == first.kernel(), "seed {seed}:\n{save}");
        assert_eq!(second.step(), first.step());
        // What stops it and what it shows are as they were; what was hit is counted anew.
        for line in [":log", ":pwd", ":flow"] {
            let shown = |session: &mut Session| session.line(line).text.replace('*', " ");
            assert_eq!(shown(&mut second), shown(&mut first), "seed {seed}: {line}\n{save}");
        }
        assert_eq!(text(&mut second), save, "seed {seed}");
    }
}
