//! Programs give lines, and several of them are under way at once.

use debugger::{Saved, Served, Session, Ticket};
use kstate::Errno;
use kstate::semantics::KernelVersion;
use sim::lab::Lab;
use sim::machine::Machine;

fn session(version: KernelVersion) -> Session {
    Session::new(Lab::boot(&Machine::embedded(version)).k, "the embedded machine")
}

/// Serves until one of the commands is over, and says which ones are.
fn until_over(session: &mut Session, commands: &mut Vec<Ticket>) -> Vec<Ticket> {
    while session.serve(commands, 1000) == Served::Goes {}
    let (over, left) = commands.iter().copied().partition(|command| session.is_over(*command));
    *commands = left;
    over
}

fn now(session: &Session) -> u64 {
    session.kernel().events.now / 1_000_000
}

#[test]
fn each_line_takes_its_own_time() {
    for &version in KernelVersion::ALL {
        let mut session = session(version);
        let start = now(&session);
        let mut give = |line: &str| session.give(line).expect(line);
        let long = give("sleep 0.5");
        let wrong = give("echo x > /proc/irq/24/smp_affinity");
        let short = give("sleep 0.2");
        let mut left = vec![long, wrong, short];
        assert_eq!(until_over(&mut session, &mut left), [wrong]);
        assert_eq!((now(&session) - start, session.outcome(wrong).errno), (1, Some(Errno::EINVAL)));
        assert_eq!(until_over(&mut session, &mut left), [short]);
        assert_eq!((now(&session) - start, session.outcome(short).errno), (201, None));
        // One that comes later is in time nevertheless.
        let second = session.give("sleep 0.1").expect("a line");
        left.push(second);
        assert_eq!(until_over(&mut session, &mut left), [second]);
        assert_eq!(now(&session) - start, 302);
        assert!(session.is_held());
        assert_eq!(until_over(&mut session, &mut left), [long]);
        assert_eq!(now(&session) - start, 501);
        assert!(!session.is_held() && left.is_empty());
        // For a shell they are jobs, begun when they began.
        let script = session.script();
        let lines: Vec<&str> = script.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "sleep 0.5 &",
            "echo x > /proc/irq/24/smp_affinity &",
            "sleep 0.2 &",
            "sleep 0.2",
            "sleep 0.1 &",
            "wait",
        ];
        assert_eq!(lines, expected, "{script}");
    }
}

#[test]
fn an_assertion_is_about_the_moment_in_which_it_is_made() {
    let mut session = session(KernelVersion::V6_12);
    let offline = session.give("echo 0 > /sys/devices/system/cpu/cpu3/online").expect("a line");
    let early = session.give("#: assert /sys/devices/system/cpu/online == 0-7").expect("an assertion");
    let mut left = vec![offline, early];
    assert_eq!(until_over(&mut session, &mut left), [early]);
    assert_eq!(session.outcome(early).failed, "");
    until_over(&mut session, &mut left);
    let late = session.give("#: assert /sys/devices/system/cpu/online == 0-7").expect("an assertion");
    until_over(&mut session, &mut vec![late]);
    let failed = session.outcome(late).failed;
    assert!(failed.contains("0-2,4-7"), "{failed}");
    assert_eq!(session.outcome(late).failed, "", "it is told once");
}

#[test]
fn what_was_under_way_together_is_done_again_exactly() {
    const LINES: [&str; 8] = [
        "echo 0 > /sys/devices/system/cpu/cpu3/online",
        "echo 1 > /sys/devices/system/cpu/cpu3/online",
        "echo 0 > /sys/devices/system/cpu/cpu5/online",
        "taskset -c 2 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=3 iflag=direct",
        "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 skip=9 iflag=direct",
        "echo 1 > /sys/class/nvme/nvme0/reset_controller",
        "echo 2 > /proc/irq/24/smp_affinity_list",
        "sleep 0.003",
    ];
    for seed in 0..18 {
        let version = KernelVersion::ALL[seed % KernelVersion::ALL.len()];
        let mut state = seed as u64 * 0x9e37_79b9 + 1;
        let mut below = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let mut first = session(version);
        let mut left = Vec::new();
        for _ in 0..12 {
            for _ in 0..=below(3) {
                left.push(first.give(LINES[below(LINES.len())]).expect("a line"));
            }
            for _ in 0..below(4) {
                until_over(&mut first, &mut left);
            }
            // One can come in the middle of a command.
            first.serve(&[], below(9) as u64);
        }
        while !left.is_empty() {
            until_over(&mut first, &mut left);
        }
        let text = first.script();
        let saved = Saved::parse(&text).expect("a saved session").expect("one");
        let mut second = session(version);
        second.again_as(&saved).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert!(second.kernel() == first.kernel(), "seed {seed}:\n{text}");
        assert_eq!((second.step(), second.script()), (first.step(), text.clone()), "seed {seed}");
        // So it is for who goes back and comes again.
        let end = first.step();
        first.line(&format!(":goto {}", end / 3));
        first.line(":goto end");
        assert!(second.kernel() == first.kernel(), "seed {seed}:\n{text}");
        // And a shell understands it.
        sim::script::Script::parse("saved.sh", &text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
    }
}
