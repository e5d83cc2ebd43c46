//! Jobs in the background, and assertions, on the embedded machine.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use kstate::semantics::KernelVersion;
use sim::engine;
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::{Failure, Relation, Script, Variables};
use sim::shell::{ActorId, Bench, Progress, Shell};

const CPU: &str = "/sys/devices/system/cpu";

fn script(text: &str) -> Script {
    Script::parse("script.sh", text).unwrap_or_else(|e| panic!("{e} in {text}"))
}

fn run(version: KernelVersion, text: &str) -> Lab {
    let mut lab = Lab::boot(&Machine::embedded(version));
    lab.run_each(&script(text), |k| assert_eq!(check_invariants(k), Ok(()), "{text}"), |_, _| {});
    lab
}

#[test]
fn reads_go_on_while_a_cpu_goes() {
    for &version in KernelVersion::ALL {
        let text = format!(
            "disk=/dev/nvme0n1
             taskset -c 5 dd if=$disk of=/dev/null bs=4k count=40 iflag=direct &
             taskset -c 6 dd if=$disk of=/dev/null bs=4k count=40 iflag=direct &
             echo 0 > {CPU}/cpu5/online
             #: assert {CPU}/online == 0-4,6-7
             wait
             echo the end"
        );
        let mut lab = Lab::boot(&Machine::embedded(version));
        let mut together = 0;
        let count = |k: &kstate::Kernel| {
            assert_eq!(check_invariants(k), Ok(()));
            let alive = |t: &&kstate::shared::Shared<kstate::sched::Task>| {
                t.kind == kstate::sched::TaskKind::Task
                    && !matches!(t.state, kstate::sched::TaskState::Done(_))
            };
            together = together.max(k.sched.tasks.iter().filter(alive).count());
        };
        lab.run_each(&script(&text), count, |_, _| {});
        assert_eq!(together, 3);
        assert_eq!(lab.terminal, ["the end"]);
        assert_eq!(lab.failed, []);
    }
}

#[test]
fn a_script_is_over_when_its_jobs_are() {
    let lab = run(KernelVersion::V5_4, "for i in 1 2; do sleep 1; echo $i; done & sleep 1.5; echo main");
    assert_eq!(lab.terminal, ["1", "main", "2"]);
    // Without a job that is still running, waiting takes no longer than a command.
    let lab = run(KernelVersion::V5_4, "wait; echo main");
    assert_eq!(lab.terminal, ["main"]);
}

#[test]
fn a_job_waits_for_its_own_jobs_and_has_its_own_variables() {
    let lab = run(
        KernelVersion::V5_4,
        "i=main
         sleep 9 &
         for i in 1 2; do
             for j in a b; do sleep $i; echo $i$j; done &
             wait
             echo $i
         done &
         sleep 5.5
         echo $i
         wait
         echo over",
    );
    assert_eq!(lab.terminal, ["1a", "1b", "1", "2a", "main", "2b", "2", "over"]);
}

#[test]
fn a_job_says_what_goes_wrong_with_its_line() {
    let lab = run(KernelVersion::V6_12, "wait\necho 9 > /proc/irq/1/node & cat /nothing &\n");
    assert_eq!(
        lab.terminal,
        [
            "script.sh: line 2: write error: Input/output error",
            "script.sh: line 2: cat: /nothing: No such file or directory"
        ]
    );
}

#[test]
fn an_assertion_that_fails_is_kept_and_the_script_goes_on() {
    let lab = run(
        KernelVersion::V5_4,
        &format!(
            "for cpu in 6 7; do
             #: assert {CPU}/cpu$cpu/online == $cpu
             done
             #: assert /proc/interrupts contains \"CPU0   CPU1\"
             #: assert /proc/interrupts lacks nvme0q1
             #: assert /nothing != 1
             #: assert {CPU} == 1
             #: assert dmesg != \"\"
             echo the end"
        ),
    );
    assert_eq!(
        lab.failed[0],
        Failure {
            line: 2,
            path: format!("{CPU}/cpu6/online"),
            relation: Relation::Equal,
            value: "6".into(),
            found: Ok("1".into())
        }
    );
    assert_eq!(lab.failed.len() + 1, lab.terminal.len());
    insta::assert_snapshot!(lab.terminal.join("\n"));
}

/// Runs a script by the questions a shell answers, with `choose` among the actors that are ready.
fn act(text: &str, impatient: bool, choose: impl Fn(&[ActorId]) -> usize) -> (Lab, Shell) {
    let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    let mut shell = Shell::new(Arc::new(script(text)), Variables::default());
    while !shell.done() {
        let ready: Vec<ActorId> = shell.ready(&lab.k, impatient).collect();
        let mut bench = Bench { k: &mut lab.k, terminal: &mut lab.terminal };
        if !ready.is_empty() {
            let progress = shell.act(&mut bench, ready[choose(&ready)]);
            assert!(!matches!(progress, Progress::Stepped(_)));
        } else {
            let limit = shell.limit(impatient);
            if engine::step(&mut lab.k, limit.unwrap_or(u64::MAX)).is_none() {
                lab.k.events.now = lab.k.events.now.max(limit.unwrap());
            }
        }
    }
    (lab, shell)
}

#[test]
fn the_order_of_actors_is_a_choice() {
    let text = "for i in 1 2; do echo $i; done & for i in a b; do echo $i; done & echo main";
    let order =
        |impatient, choose: fn(&[ActorId]) -> usize| act(text, impatient, choose).0.terminal.join(" ");
    assert_eq!(order(false, |_| 0), "main 1 a 2 b");
    assert_eq!(order(false, |ready| ready.len() - 1), "1 a main b 2");
    assert_eq!(order(true, |_| 0), "main 1 2 a b");
    assert_eq!(order(true, |ready| ready.len() - 1), "1 2 a b main");
    // Impatience skips no sleep.
    let (lab, _) = act("sleep 1 & echo a; sleep 2; echo b", true, |_| 0);
    assert!(lab.k.events.now >= 2_000_000_000);
}

#[test]
fn a_shell_is_where_it_stands() {
    let hash = |shell: &Shell| {
        let mut hasher = DefaultHasher::new();
        shell.hash(&mut hasher);
        hasher.finish()
    };
    let mut k = Lab::boot(&Machine::embedded(KernelVersion::V5_4)).k;
    let mut bench = Bench { k: &mut k, terminal: &mut Vec::new() };
    let script = Arc::new(script("for i in 1 2; do dd if=/dev/nvme0n1 of=/dev/null count=1 & done; wait"));
    let mut shell = Shell::new(Arc::clone(&script), Variables::default());
    let mut seen = vec![(shell.clone(), hash(&shell))];
    while !shell.done() {
        let next = shell.ready(bench.k, false).next();
        if let Some(actor) = next {
            shell.act(&mut bench, actor);
            assert!(seen.iter().all(|(other, h)| *other != shell && *h != hash(&shell)));
            seen.push((shell.clone(), hash(&shell)));
            continue;
        }
        // The machine's steps are not the shell's.
        let limit = shell.limit(false);
        if engine::step(bench.k, limit.unwrap_or(u64::MAX)).is_none() {
            bench.k.events.now = limit.unwrap();
        }
        assert_eq!(seen.last(), Some(&(shell.clone(), hash(&shell))));
    }
    assert!(seen.len() > 8);
    assert_eq!(shell.waits_for_task(ActorId::MAIN), None);
}
