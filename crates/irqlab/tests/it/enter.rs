//! `irqlab enter`: a real shell, whose programs work on the machine. Where namespaces or FUSE are not, these tests say so
//! and skip.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use irqlab::{KernelVersion, Lab, Machine};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::guide::Folder;
use crate::readme::{blocks, check};

const IRQLAB: &str = env!("CARGO_BIN_EXE_irqlab");

/// There are namespaces and FUSE here; the program says itself where not.
fn can_enter(test: &str) -> bool {
    let output = Command::new(IRQLAB).args(["enter", "--", "true"]).output().expect("irqlab");
    let why = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return true;
    }
    let lacks = ["user namespace", "cannot mount", "namespace of processes", "in its place"];
    assert!(lacks.iter().any(|lack| why.contains(lack)), "{why}");
    eprintln!("skipped: {test}: {}", why.trim());
    false
}

/// A program, in a network of its own where that can be. irqbalance listens at an address that it makes of its process
/// number, and in new namespaces of processes these are alike: two of them in one network disturb each other.
fn alone(program: &str) -> Command {
    static ALONE: OnceLock<bool> = OnceLock::new();
    let alone = ALONE.get_or_init(|| {
        let tried = Command::new("unshare").args(["-rn", "true"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    });
    if !alone {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    let up = "ip link set lo up 2> /dev/null; exec \"$0\" \"$@\"";
    command.args(["-rn", "sh", "-c", up, program]);
    command
}

fn enter(options: &[&str], command: &[&str], folder: &Path) -> Output {
    let mut program = alone(IRQLAB);
    program.args(["enter", "--speed", "0"]).args(options).arg("--").args(command);
    program.current_dir(folder).env("LC_ALL", "C").env("NO_COLOR", "1").stdin(Stdio::null());
    program.output().expect("irqlab")
}

/// What a line of bash prints in the shell, with what it complains about.
fn bash(options: &[&str], line: &str) -> String {
    let output = enter(options, &["bash", "-c", line], &std::env::temp_dir());
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A state without the counts of interrupts, which no state is compared by (tests/captures/README.md, rule 1).
fn without_counts(state: &str) -> String {
    let mut interrupts = false;
    let line = |line: &str| {
        if let Some(path) = line.strip_prefix("=== ") {
            interrupts = path == "/proc/interrupts";
        }
        let words = line.split_whitespace().enumerate();
        let counted = interrupts
            && line.trim_start().split_once(':').is_some_and(|(irq, _)| irq.parse::<u32>().is_ok());
        if !counted {
            return if interrupts && line.contains(':') { String::new() } else { format!("{line}\n") };
        }
        let kept: Vec<&str> = words
            .skip_while(|(at, word)| *at == 0 || word.parse::<u64>().is_ok())
            .map(|(_, word)| word)
            .collect();
        format!("{} {}\n", line.split_whitespace().next().unwrap_or_default(), kept.join(" "))
    };
    state.lines().map(line).collect()
}

#[test]
fn the_paths_are_the_machines_and_the_rest_is_real() {
    if !can_enter("the_paths_are_the_machines_and_the_rest_is_real") {
        return;
    }
    let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    let kernel = ["--kernel", "6.12"];
    for path in [
        "/proc/interrupts",
        "/proc/irq/24/smp_affinity",
        "/sys/devices/system/cpu/online",
        "/sys/kernel/irq/25/actions",
    ] {
        assert_eq!(bash(&kernel, &format!("cat {path}")), lab.read(path).expect("a file"), "{path}");
    }
    assert_eq!(
        bash(&kernel, "id -u; nproc; echo $$; ls -d /proc/self/fd").lines().collect::<Vec<_>>()[..2],
        ["0", "8"]
    );
    let file = std::env::temp_dir().join(format!("irqlab-real-{}", std::process::id()));
    bash(&kernel, &format!("echo real > {}", file.display()));
    assert_eq!(fs::read_to_string(&file).expect("a real file"), "real\n");
    fs::remove_file(&file).expect("a file");
    // No disk of the real system is there, and devices that every program needs are.
    let names = bash(&kernel, "ls /dev; echo x > /dev/null; head -c 3 /dev/zero | wc -c; exec 3</dev/stdin");
    assert!(names.contains("nvme0n1\n") && names.contains("\n3\n") && !names.contains("annot"), "{names}");
    // The real system's mounts are as they were.
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("a list");
    assert!(!mounts.contains("irqlab"), "{mounts}");
}

#[test]
fn commands_of_the_lab_reach_the_machine() {
    if !can_enter("commands_of_the_lab_reach_the_machine") {
        return;
    }
    let count = "awk -v c=5 '/nvme0q6$/ { print $(c + 2) }' /proc/interrupts";
    let read = "taskset -c 5 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=3 skip=40 iflag=direct 2>/dev/null";
    let said = bash(&["--kernel", "6.12"], &format!("a=$({count}); {read}; b=$({count}); echo $((b - a))"));
    assert_eq!(said, "3\n");
    let start = Instant::now();
    let said = bash(&[], "sleep 1h; lab save | grep '^sleep'; dmesg | wc -l; lab explain EIO | head -n 1");
    assert!(said.contains("sleep 3600\n") && said.contains("EIO"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(60));
    let said = bash(
        &[],
        "echo 0 > /sys/devices/system/cpu/cpu3/online; taskset -c 3 true; echo $?; taskset 0x8 true; echo $?",
    );
    assert_eq!(said.matches("Invalid argument").count(), 2, "{said}");
    // A breakpoint stops the machine, whoever is at work, and the others go on.
    let said = bash(
        &[],
        "lab break take_cpu_down > /dev/null; echo 0 > /sys/devices/system/cpu/cpu3/online &\n\
         until lab bt | grep take_cpu_down; do /bin/sleep 0.01; done; cat /sys/devices/system/cpu/online\n\
         lab delete > /dev/null; lab continue > /dev/null; wait; cat /sys/devices/system/cpu/online; lab back 1000 | head -n 1",
    );
    assert!(said.contains("0-7\n0-2,4-7\n"), "{said}");
    let status = enter(&[], &["bash", "-c", "exit 7"], &std::env::temp_dir()).status;
    assert_eq!(status.code(), Some(7));
    assert_eq!(enter(&[], &["/none"], &std::env::temp_dir()).status.code(), Some(127));
}

#[test]
fn what_was_done_is_a_script_that_does_it_again() {
    if !can_enter("what_was_done_is_a_script_that_does_it_again") {
        return;
    }
    let folder = Folder::new("enter-again");
    let script = "for n in 1 2 3; do echo $n > /proc/irq/24/smp_affinity_list; done\n\
        printf 2 > /proc/irq/29/smp_affinity_list 2>/dev/null\n\
        taskset -c 5 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2 iflag=direct 2>/dev/null\n\
        echo 0 > /sys/devices/system/cpu/cpu5/online; sleep 2\n\
        lab state done\n";
    let output = enter(&["--kernel", "6.12", "--save", "again.sh"], &["bash", "-c", script], &folder.0);
    assert!(output.status.success(), "{output:?}");
    let saved = fs::read_to_string(folder.0.join("again.sh")).expect("the script");
    let again: String =
        saved.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    lab.run_script(&again).expect("a script");
    assert_eq!(fs::read_to_string(folder.0.join("state-done.txt")).expect("a state"), lab.state());
}

#[test]
fn jobs_of_a_shell_are_under_way_together() {
    if !can_enter("jobs_of_a_shell_are_under_way_together") {
        return;
    }
    // Three times five seconds pass at once, and 5.01 s later than before it is 5.01 s later.
    let now = "awk '/^cpu0 / { print $5 }' /proc/stat";
    let said = bash(
        &[],
        &format!("a=$({now}); for n in 1 2 3; do sleep 5 & done; wait; b=$({now}); echo $((b - a))"),
    );
    let ticks: u32 = said.trim().parse().unwrap_or_else(|e| panic!("{e}: {said}"));
    assert!((500..=502).contains(&ticks), "{said}");
    // A job that sleeps is overtaken, and comes when its time has come.
    let line = "(sleep 0.2; echo 5 > /proc/irq/24/smp_affinity_list) &\n\
                sleep 0.1; cat /proc/irq/24/smp_affinity_list; sleep 0.2; cat /proc/irq/24/smp_affinity_list; wait";
    assert_eq!(bash(&["--kernel", "6.12"], line), "0-7\n5\n");
    // What is read on one CPU while another one goes offline is read in between.
    let folder = Folder::new("enter-jobs");
    let script = "for cpu in 4 6; do\n\
            taskset -c $cpu dd if=/dev/nvme0n1 of=/dev/null bs=4k count=10 iflag=direct 2>/dev/null &\n\
        done\n\
        for cpu in 2 3; do echo 0 > /sys/devices/system/cpu/cpu$cpu/online & done\n\
        wait; sleep 1; lab state done; cat /proc/interrupts > interrupts; lab save saved.sh; lab save --force again.sh\n";
    for kernel in ["v5.4", "v6.12", "v7.3"] {
        let output = enter(&["--kernel", kernel], &["bash", "-c", script], &folder.0);
        let text = |name: &str| {
            fs::read_to_string(folder.0.join(name)).unwrap_or_else(|e| panic!("{name}: {e}: {output:?}"))
        };
        let (saved, state) = (text("saved.sh"), text("state-done.txt"));
        assert!(
            state.contains("=== /sys/devices/system/cpu/online\n0-1,4-7\n") || state.contains("0-1,4-7"),
            "{state}"
        );
        let jobs: Vec<&str> = saved.lines().filter(|line| line.ends_with(" &")).collect();
        assert_eq!(jobs.iter().filter(|line| line.contains("/online")).count(), 2, "{saved}");
        assert_eq!(jobs.iter().filter(|line| line.contains("dd if=")).count(), 20, "{saved}");
        // Both CPUs go, and one after the other: what was read meanwhile was read before the second one was gone.
        let first_read = saved.find("dd if=").expect("a read");
        let last_write = saved.rfind("/online").expect("a write");
        assert!(saved.lines().any(|line| line == "wait"), "{saved}");
        assert!(first_read < last_write || saved[first_read..].matches(" &").count() > 2, "{saved}");
        // The session does it again exactly, and a script of a shell leaves the same state.
        let mut sh = Command::new(IRQLAB);
        sh.args(["sh", "--script", "again.sh"]).current_dir(&folder.0).env("NO_COLOR", "1");
        let mut child = sh.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("irqlab");
        child.stdin.take().expect("its input").write_all(b"cat /proc/interrupts\n").expect("a line");
        let again = child.wait_with_output().expect("its end");
        let again = String::from_utf8_lossy(&again.stdout).into_owned();
        assert!(again.contains(&text("interrupts")), "{kernel}: {again}\n{}", text("interrupts"));
        let plain: String =
            saved.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        let mut lab = Lab::boot(
            &Machine::parse("m", &Machine::EMBEDDED.replacen("v5.4", kernel, 1)).expect("a machine"),
        );
        lab.run_script(&plain).expect("a script");
        assert_eq!(without_counts(&lab.state()), without_counts(&state), "{kernel}: {plain}");
        for name in ["saved.sh", "again.sh", "state-done.txt", "interrupts"] {
            fs::remove_file(folder.0.join(name)).expect("a file");
        }
    }
}

#[test]
fn what_the_machine_does_not_understand_is_told() {
    if !can_enter("what_the_machine_does_not_understand_is_told") {
        return;
    }
    // It says so to who asked, to who watches, and whenever it is asked.
    let said = bash(&[], "sleep 99999999999999999999; echo $?; lab refused");
    assert_eq!(said.matches("sleep 100000000000000000000: ").count(), 3, "{said}");
    assert!(said.contains("\n1\n") || said.starts_with("1\n"), "{said}");
}

/// The state that a script leaves in a bash that knows nothing of the lab, which reads lines of the recorder as comments.
fn state_of_plain_bash(machine: &Path, script: &str, folder: &Path) -> String {
    fs::write(folder.join("plain.sh"), script).expect("a script");
    let machine = machine.to_str().expect("a path");
    let output = enter(&[machine], &["bash", "-c", "bash plain.sh; exec lab state plain"], folder);
    let path = folder.join("state-plain.txt");
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{script}: {e}: {output:?}"))
}

/// The state that a script leaves in the shell and in `irqlab run`, where it is asked for by name.
fn same_states(machine: &Path, script: &str, what: &str) {
    let folder = Folder::new(&format!("enter-{}", what.replace(['/', ' '], "-")));
    fs::write(folder.0.join("script.sh"), script).expect("a script");
    let machine = machine.to_str().expect("a path");
    let output = enter(&[machine], &["lab", "run", "script.sh"], &folder.0);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains("assertion failed"), "{what}: {said}");
    let run = Command::new(IRQLAB)
        .args(["run", "--machine", machine, "--script", "script.sh", "--out", "run"])
        .current_dir(&folder.0)
        .output()
        .expect("irqlab");
    let files = fs::read_dir(folder.0.join("run")).unwrap_or_else(|e| panic!("{what}: {e}: {run:?}"));
    let mut states = 0;
    for file in files.flatten() {
        let name = file.file_name();
        if !name.to_string_lossy().starts_with("state-") {
            continue;
        }
        let expected = fs::read_to_string(file.path()).expect("a state");
        let found = fs::read_to_string(folder.0.join(&name))
            .unwrap_or_else(|e| panic!("{what}: {name:?}: {e}: {output:?}"));
        assert_eq!(without_counts(&found), without_counts(&expected), "{what} {name:?}");
        states += 1;
    }
    assert!(states > 0, "{what}: {output:?}");
}

#[test]
fn the_examples_of_the_docs_leave_the_same_state_in_bash() {
    if !can_enter("the_examples_of_the_docs_leave_the_same_state_in_bash") {
        return;
    }
    let docs = include_str!("../../../../docs/scripts.md");
    let examples: Vec<&str> =
        docs.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 7, "{}", examples.len());
    let folder = Folder::new("enter-docs");
    for kernel in ["v5.4", "v6.12", "v7.3"] {
        let machine = folder.0.join(format!("{kernel}.toml"));
        fs::write(&machine, Machine::EMBEDDED.replacen("v5.4", kernel, 1)).expect("a machine");
        for (n, example) in examples.iter().enumerate() {
            same_states(
                &machine,
                &format!("{example}\n#: state example\n"),
                &format!("example {n} {kernel}"),
            );
            let mut lab = Lab::boot(
                &Machine::parse("m", &Machine::EMBEDDED.replacen("v5.4", kernel, 1)).expect("a machine"),
            );
            lab.run_script(example).expect("an example");
            assert_eq!(
                without_counts(&state_of_plain_bash(&machine, example, &folder.0)),
                without_counts(&lab.state()),
                "example {n} {kernel}: {example}"
            );
        }
    }
}

/// Captures of a kernel, and a script of each runs in bash.
fn captures(kernel: &str) {
    if !can_enter(&format!("captures_of_{kernel}")) {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures").join(kernel);
    let mut compared = 0;
    let mut captures: Vec<PathBuf> =
        fs::read_dir(folder).expect("captures").flatten().map(|entry| entry.path()).collect();
    captures.sort();
    for capture in captures {
        let Ok(script) = fs::read_to_string(capture.join("script.sh")) else { continue };
        if !script.contains("#: state") {
            continue;
        }
        let name = capture.file_name().expect("a name").to_string_lossy().into_owned();
        same_states(&capture.join("machine.toml"), &script, &format!("{kernel} {name}"));
        compared += 1;
    }
    assert!(compared > 10, "{compared}");
}

#[test]
fn scripts_of_the_captures_of_5_4_leave_the_same_states_in_bash() {
    captures("v5.4");
}

#[test]
fn scripts_of_the_captures_of_6_12_leave_the_same_states_in_bash() {
    captures("v6.12");
}

#[test]
fn scripts_of_the_captures_of_7_3_leave_the_same_states_in_bash() {
    captures("v7.3");
}

/// Processes of the system whose command line has a word.
fn processes(word: &str) -> Vec<Pid> {
    let all = fs::read_dir("/proc").expect("processes").flatten();
    all.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        line.split('\0').any(|part| part == word).then(|| Pid::from_raw(pid))
    })
    .collect()
}

fn soon(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A shell with a program in it that runs for long, and whose number of seconds nobody else has.
fn long_shell(seconds: &str) -> Child {
    let line = format!("while :; do cat /proc/interrupts > /dev/null; done & /bin/sleep {seconds}; true");
    let mut command = alone(IRQLAB);
    command.args(["enter", "--", "bash", "-c", &line]).stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(Stdio::null()).spawn().expect("irqlab");
    soon("the program runs", || !processes(seconds).is_empty());
    child
}

#[test]
fn nothing_is_left_whoever_is_killed() {
    if !can_enter("nothing_is_left_whoever_is_killed") {
        return;
    }
    for (n, who) in ["enter", "enter-processes", "enter-shell", "bash", "sleep"].iter().enumerate() {
        let seconds = format!("98{}.{n}1", std::process::id());
        let mut emulator = long_shell(&seconds);
        let own = Pid::from_raw(emulator.id().cast_signed());
        let victim = match *who {
            "enter" => own,
            "sleep" => processes(&seconds)[0],
            who => {
                // Those of this shell have its command in their line, and bash only that.
                let of_shell = processes(&format!(
                    "while :; do cat /proc/interrupts > /dev/null; done & /bin/sleep {seconds}; true"
                ));
                let is = |pid: &&Pid| {
                    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                    let words = String::from_utf8_lossy(&line).into_owned();
                    if who == "bash" {
                        words.starts_with("bash")
                    } else {
                        words.split('\0').nth(1) == Some(who)
                    }
                };
                *of_shell.iter().find(is).unwrap_or_else(|| panic!("no {who}"))
            }
        };
        kill(victim, Signal::SIGKILL).expect("a signal");
        emulator.wait().expect("its end");
        soon("all processes end", || processes(&seconds).is_empty());
        let word = format!("while :; do cat /proc/interrupts > /dev/null; done & /bin/sleep {seconds}; true");
        soon("all shells end", || processes(&word).is_empty());
    }
    assert!(!fs::read_to_string("/proc/self/mountinfo").expect("a list").contains("irqlab"));
}

/// Processes of the system that have a word anywhere in their command line.
fn processes_with(word: &str) -> Vec<Pid> {
    let all = fs::read_dir("/proc").expect("processes").flatten();
    all.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(word).then(|| Pid::from_raw(pid))
    })
    .collect()
}

#[test]
fn nothing_is_left_at_whatever_moment_somebody_is_killed() {
    if !can_enter("nothing_is_left_at_whatever_moment_somebody_is_killed") {
        return;
    }
    for round in 0..20 {
        let word = format!("round-{}-{round}", std::process::id());
        // Writers that wait, readers, a reader of the disk, and a breakpoint now and then.
        let stop = if round % 3 == 0 { "lab break take_cpu_down > /dev/null;" } else { "" };
        let line = format!(
            ": {word}; {stop} while :; do\n\
                for c in 2 3; do echo 0 > /sys/devices/system/cpu/cpu$c/online & done; cat /proc/interrupts > /dev/null\n\
                dd if=/dev/nvme0n1 of=/dev/null bs=4k count=9 iflag=direct & sleep 1 & wait\n\
                for c in 2 3; do echo 1 > /sys/devices/system/cpu/cpu$c/online; done\n\
             done"
        );
        let mut command = alone(IRQLAB);
        command.args(["enter", "--", "bash", "-c", &line]).stdin(Stdio::null()).stdout(Stdio::null());
        let mut emulator = command.stderr(Stdio::null()).spawn().expect("irqlab");
        std::thread::sleep(Duration::from_millis(round * 41 % 600));
        let found = processes_with(&word);
        if let Some(victim) = found.get(round as usize % found.len().max(1)) {
            let _ = kill(*victim, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(round % 5));
        let _ = kill(Pid::from_raw(emulator.id().cast_signed()), Signal::SIGKILL);
        emulator.wait().expect("its end");
        soon(&format!("all end: {:?}", processes_with(&word)), || processes_with(&word).is_empty());
    }
    assert!(!fs::read_to_string("/proc/self/mountinfo").expect("a list").contains("irqlab"));
}

#[test]
fn mistakes_are_answered() {
    for (arguments, expected) in [
        (vec!["enter", "/none.toml"], "none.toml"),
        (vec!["enter", "--kernel", "9"], "expected"),
        (vec!["enter", "--machine", "a.toml", "b.toml"], "second machine"),
    ] {
        let output = Command::new(IRQLAB).args(&arguments).output().expect("irqlab");
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("user namespace") {
            continue;
        }
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

/// Runs a line of a shell as nobody, with a /dev/fuse that everybody may open where `open` says so; `None` where this
/// cannot be arranged.
fn as_nobody(test: &str, open: bool, line: &str) -> Option<Output> {
    let folder = std::env::temp_dir().join(format!("irqlab-{test}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    // The program may lie where nobody else may go.
    let copy = folder.join("irqlab");
    fs::copy(IRQLAB, &copy).expect("a copy");
    let mode = if open { "666" } else { "600" };
    let arrange = format!(
        "mknod fuse c 10 229 && chmod {mode} fuse && mount --bind fuse /dev/fuse && chmod 755 . irqlab && mkdir -m 777 dir && \
         setpriv --reuid=65534 --regid=65534 --clear-groups true || exit 99\n\
         exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c \"$0\""
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &arrange, line]).current_dir(&folder).env("NO_COLOR", "1");
    let output = command.stdin(Stdio::null()).output();
    let _ = fs::remove_dir_all(&folder);
    match output {
        Ok(output) if output.status.code() != Some(99) && !nix::unistd::geteuid().is_root() => {
            eprintln!("skipped: {test}: only root becomes nobody");
            None
        }
        Ok(output) if output.status.code() != Some(99) => Some(output),
        Ok(output) => {
            eprintln!("skipped: {test}: {}", String::from_utf8_lossy(&output.stderr).trim());
            None
        }
        Err(e) => {
            eprintln!("skipped: {test}: unshare: {e}");
            None
        }
    }
}

#[test]
fn nobody_needs_to_be_root() {
    if !can_enter("nobody_needs_to_be_root") {
        return;
    }
    let line = "./irqlab enter --kernel 6.12 -- bash -c 'id -u; echo 0 > /sys/devices/system/cpu/cpu3/online; \
                cat /sys/devices/system/cpu/online; taskset -c 5 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2 2> /dev/null; \
                echo 2 > /proc/irq/29/smp_affinity'";
    let Some(output) = as_nobody("nobody_needs_to_be_root", true, line) else { return };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if ["user namespace", "in its place"].iter().any(|lack| said.contains(lack)) {
        eprintln!("skipped: nobody_needs_to_be_root: {said}");
        return;
    }
    assert!(said.starts_with("0\n0-2,4-7\n") && said.contains("Operation not permitted"), "{said}");
    // What nobody may open is named.
    for command in ["./irqlab enter -- true", "./irqlab mount dir"] {
        let Some(output) = as_nobody("nobody_may_open_fuse", false, command) else { return };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert!(
            said.contains("/dev/fuse cannot be opened") && said.contains("chmod 666"),
            "{command}: {said}"
        );
    }
}

/// What docs/shell.md shows: sessions of a shell of the real system, each with the prompts behind it.
fn tour() -> Vec<(String, Vec<(String, Vec<String>)>)> {
    let guide = include_str!("../../../../docs/shell.md");
    let mut sessions: Vec<(String, Vec<(String, Vec<String>)>)> = Vec::new();
    for (_, text) in blocks(guide).iter().filter(|(language, _)| *language == "console") {
        for line in text.lines() {
            // What a session of `irqlab sh` prints can begin like a prompt.
            let is_sh = sessions.last().is_some_and(|(opened, _)| opened.starts_with("irqlab sh"));
            let prompt = if is_sh { "# :" } else { "# " };
            if let Some(command) = line.strip_prefix("$ ") {
                sessions.push((command.to_owned(), vec![(String::new(), Vec::new())]));
            } else if let (Some(command), Some((_, commands))) =
                (line.strip_prefix("# ").filter(|_| line.starts_with(prompt)), sessions.last_mut())
            {
                commands.push((command.to_owned(), Vec::new()));
            } else if let Some((_, shown)) = sessions.last_mut().and_then(|(_, commands)| commands.last_mut())
            {
                shown.push(line.to_owned());
            }
        }
    }
    sessions
}

/// What stands between the outputs of two commands.
const MARK: &str = "@@@";

#[test]
fn the_tour_is_as_it_says() {
    if !has("irqbalance") || !can_enter("the_tour_is_as_it_says") {
        return;
    }
    let folder = Folder::new("enter-tour");
    let program = Path::new(IRQLAB).parent().expect("a folder").display().to_string();
    let path = format!("{program}:{}", std::env::var("PATH").unwrap_or_default());
    let mut ran = 0;
    for (opened, commands) in tour() {
        let shown_first = &commands[0].1;
        if let Some(name) = opened.strip_prefix("cat ") {
            fs::write(folder.0.join(name), shown_first.join("\n") + "\n").expect("a file");
            continue;
        }
        let mut input = String::new();
        for (command, shown) in &commands[1..] {
            if let Some(name) = command.strip_prefix("cat ").filter(|name| name.ends_with(".sh")) {
                fs::write(folder.0.join(name), shown.join("\n") + "\n").expect("a file");
            }
            // Ctrl-C ends who waits at a breakpoint. Jobs of a shell without a terminal do not hear it.
            let line = match shown.last().map(String::as_str) {
                Some("^C") => format!(
                    "( {command} ) & waits=$!; until lab bt | grep -q take_cpu_down; do /bin/sleep 0.02; done; kill $waits; \
                     wait $waits 2> /dev/null; echo '^C'"
                ),
                _ => command.clone(),
            };
            let mark =
                if opened.starts_with("irqlab enter") { format!("echo {MARK}") } else { ":pwd".to_owned() };
            if command != "exit" {
                input.push_str(&format!("{line}\n{mark}\n"));
            }
        }
        // What the program says and what its shell prints are one text on a terminal.
        let mut sh = alone("sh");
        sh.args(["-c", &format!("exec {opened} 2>&1")]).current_dir(&folder.0).env("PATH", &path);
        sh.env("SHELL", "/bin/bash").env("NO_COLOR", "1").env("LC_ALL", "C");
        sh.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = sh.spawn().expect("a shell");
        let text = input.replacen("", "exec 2>&1\n", usize::from(opened.starts_with("irqlab enter")));
        child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("lines");
        let output = child.wait_with_output().expect("its end");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let mark = if opened.starts_with("irqlab enter") { format!("{MARK}\n") } else { "/\n".to_owned() };
        let mut parts = printed.split(&mark);
        for (n, (command, shown)) in commands[1..].iter().filter(|(command, _)| command != "exit").enumerate()
        {
            let mut part =
                parts.next().unwrap_or_else(|| panic!("`{command}` of `{opened}`: {printed}")).to_owned();
            // What is said at the beginning.
            let first = shown_first.join("\n");
            if n == 0 && !first.is_empty() {
                part = part
                    .strip_prefix(&format!("{first}\n"))
                    .unwrap_or_else(|| panic!("{printed}"))
                    .to_owned();
            } else if n == 0 && part.starts_with("Linux ") {
                part = part.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned());
            }
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            check(command, &shown, &part);
            ran += 1;
        }
    }
    assert!(ran >= 15, "{ran}");
}

// ---- programs of Linux distributions ----

/// A machine of so many CPUs: an NVMe controller, and a network card whose interrupts can be moved.
fn server(kernel: &str, cpus: u32) -> String {
    let apic = if cpus > 255 { "apic = \"x2apic\"\n" } else { "" };
    format!(
        "kernel = \"{kernel}\"\n[cpus]\npossible = {cpus}\n{apic}\
         [[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = {cpus}\nmsix_vectors = {}\n\
         [[pci]]\naddress = \"0000:00:04.0\"\nmodel = \"ixgbe\"\nname = \"eno1\"\nmsix_vectors = 9\n",
        cpus + 1
    )
}

/// A program is installed; where not, its test says that it skips.
fn has(program: &str) -> bool {
    let there = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("skipped: {program} is not installed");
    }
    there
}

/// Where each interrupt is.
const IRQS: &str = "for d in /proc/irq/[0-9]*; do echo ${d##*/} $(cat $d/smp_affinity_list) $(cat $d/effective_affinity_list); done";

#[test]
fn irqbalance_moves_what_can_be_moved() {
    if !has("irqbalance") || !can_enter("irqbalance_moves_what_can_be_moved") {
        return;
    }
    let folder = Folder::new("enter-irqbalance");
    for (kernel, errno) in [
        ("v5.4", "Input/output error"),
        ("v6.12", "Operation not permitted"),
        ("v7.3", "Operation not permitted"),
    ] {
        for cpus in [8, 32, 112] {
            let machine = folder.0.join(format!("{kernel}-{cpus}.toml"));
            fs::write(&machine, server(kernel, cpus)).expect("a machine");
            let line = format!(
                "irqbalance --oneshot --debug > log.txt 2>&1; echo status $?; {IRQS}; lab save saved.sh"
            );
            let output = enter(&[machine.to_str().expect("a path")], &["bash", "-c", &line], &folder.0);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.starts_with("status 0\n"), "{kernel} {cpus}: {output:?}");
            let log = fs::read_to_string(folder.0.join("log.txt")).expect("the log");
            for complaint in ["can't get from file", "No such file", "cannot open", "Unable to"] {
                assert!(!log.contains(complaint), "{kernel} {cpus}: {log}");
            }
            // It tried every interrupt of the controller, was told which cannot be moved, and gave these up.
            let saved = fs::read_to_string(folder.0.join("saved.sh")).expect("the script");
            let _ = fs::remove_file(folder.0.join("saved.sh"));
            let text = Lab::boot(&Machine::parse("m", &server(kernel, cpus)).expect("a machine"))
                .read("/proc/interrupts")
                .expect("a file");
            let irq = |name: &str| {
                let row =
                    text.lines().find(|row| row.ends_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
                row.split(':').next().expect("a number").trim().to_owned()
            };
            let wrote = |irq: &str| saved.contains(&format!("> /proc/irq/{irq}/smp_affinity"));
            let of_card = text
                .lines()
                .filter(|row| row.contains("eno1"))
                .filter_map(|row| row.trim().split(':').next());
            assert!(of_card.into_iter().any(wrote), "{kernel} {cpus}: {saved}\n{log}");
            // A queue's interrupt is where the kernel has put it.
            let row = format!("{} ", irq("nvme0q1"));
            let now = said.lines().find(|line| line.starts_with(&row)).expect("the interrupt").to_owned();
            let mut lab = Lab::boot(&Machine::parse("m", &server(kernel, cpus)).expect("a machine"));
            let list = lab.read(&format!("/proc/irq/{}/smp_affinity_list", irq("nvme0q1"))).expect("a file");
            assert_eq!(now.split(' ').nth(1), Some(list.trim()), "{kernel} {cpus}");
            // The script does the same, with the kernel's functions below each write that moves something.
            let script: String =
                saved.lines().filter(|l| !l.starts_with('#')).map(|l| format!("{l}\n")).collect();
            let printed = lab.run_script(&script).expect("a script");
            assert!(
                lab.stacks("irq_set_affinity_locked").contains("irq_set_affinity_locked"),
                "{kernel} {cpus}"
            );
            // What is managed was refused, each time somebody tried.
            let managed = text.lines().filter(|row| row.contains("nvme0q") && !row.ends_with("nvme0q0"));
            let managed: Vec<&str> = managed.filter_map(|row| row.trim().split(':').next()).collect();
            assert!(managed.len() >= 8, "{kernel} {cpus}: {text}");
            let tried = |irq: &&str| saved.matches(&format!("> /proc/irq/{irq}/smp_affinity\n")).count();
            let tried: usize = managed.iter().map(tried).sum();
            assert!(tried > 0, "{kernel} {cpus}: {saved}");
            let refused = printed.iter().filter(|line| line.contains(errno)).count();
            assert_eq!(refused, tried, "{kernel} {cpus}: {printed:?}");
        }
    }
}

#[test]
fn irqbalance_stays_for_a_minute_of_the_machine() {
    if !has("irqbalance") || !can_enter("irqbalance_stays_for_a_minute_of_the_machine") {
        return;
    }
    let folder = Folder::new("enter-irqbalanced");
    for kernel in ["v5.4", "v6.12", "v7.3"] {
        for cpus in [8, 32, 112] {
            let machine = folder.0.join("machine.toml");
            fs::write(&machine, server(kernel, cpus)).expect("a machine");
            // Eight looks at the machine, a second of this system and ten of the machine between them.
            let line = "irqbalance -f -t 1 > log.txt 2>&1 & for n in 1 2 3 4 5 6 7 8; do /bin/sleep 1.1;\n\
                        taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=20 skip=$n iflag=direct 2>/dev/null; done\n\
                        kill -0 $! && kill $!; wait; lab save saved.sh; head -c 200 /proc/stat";
            let mut program = alone(IRQLAB);
            program.args(["enter", "--speed", "10", "machine.toml", "--", "bash", "-c", line]);
            let output = program.current_dir(&folder.0).stdin(Stdio::null()).output().expect("irqlab");
            let saved =
                fs::read_to_string(folder.0.join("saved.sh")).unwrap_or_else(|e| panic!("{e}: {output:?}"));
            let _ = fs::remove_file(folder.0.join("saved.sh"));
            let slept: f64 =
                saved.lines().filter_map(|line| line.strip_prefix("sleep ")?.parse::<f64>().ok()).sum();
            assert!(slept > 60.0, "{kernel} {cpus}: {slept}");
            let log = fs::read_to_string(folder.0.join("log.txt")).expect("the log");
            for complaint in ["can't get from file", "No such file", "cannot open"] {
                assert!(!log.contains(complaint), "{kernel} {cpus}: {log}");
            }
            assert!(saved.contains("/smp_affinity"), "{kernel} {cpus}: {saved}\n{log}");
        }
    }
}

#[test]
fn tools_say_what_the_machine_file_says() {
    if !can_enter("tools_say_what_the_machine_file_says") {
        return;
    }
    let folder = Folder::new("enter-tools");
    let machine = "kernel = \"v7.3\"\n[cpus]\npossible = 12\npresent = 8\nnodes = [\"0,2,4,6,8,10\", \"1,3,5,7,9,11\"]\n\
        packages = [\"0,2,4,6\", \"1,3,5,7\"]\nsiblings = [\"0,4\", \"1,5\", \"2,6\", \"3,7\"]\noffline = \"7\"\n\
        [[pci]]\naddress = \"0000:02:00.0\"\nmodel = \"nvme\"\nnode = 1\nio_queue_pairs_max = 12\nmsix_vectors = 13\n";
    fs::write(folder.0.join("machine.toml"), machine).expect("a machine");
    let tool = |line: &str| {
        let output = enter(&["machine.toml"], &["sh", "-c", line], &folder.0);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    if has("lscpu") {
        let said = tool("lscpu");
        for (key, value) in [
            ("CPU(s)", "8"),
            ("On-line CPU(s) list", "0-6"),
            ("Thread(s) per core", "2"),
            ("Socket(s)", "2"),
            ("NUMA node1 CPU(s)", "1,3,5"),
        ] {
            let found = said.lines().find_map(|line| line.strip_prefix(&format!("{key}:")).map(str::trim));
            assert_eq!(found, Some(value), "{key}: {said}");
        }
    }
    if has("lsblk") {
        let said = tool("lsblk -b -n -o NAME,MAJ:MIN,RM,SIZE,RO,TYPE");
        let words: Vec<&str> = said.split_whitespace().collect();
        let sectors: u64 = tool("cat /sys/block/nvme0n1/size").trim().parse().expect("a number");
        assert_eq!(words, ["nvme0n1", "259:0", "0", &(sectors * 512).to_string(), "0", "disk"], "{said}");
    }
    if has("lspci") {
        let said = tool("lspci -n -D");
        assert!(
            said.contains("0000:02:00.0 0108: 1b36:0010") && said.contains("0000:00:00.0 0600: 8086:29c0"),
            "{said}"
        );
    }
    if has("lsirq") {
        let said = tool("lsirq -n -o IRQ,NAME");
        assert!(said.lines().any(|line| line.contains("nvme0q1")), "{said}");
    }
    if has("irqtop") {
        let said = tool("irqtop -b -n 1");
        assert!(said.contains("nvme0q0"), "{said}");
    }
    if has("lstopo-no-graphics") {
        let said = tool("lstopo-no-graphics --of console");
        assert_eq!(said.matches("PU L#").count(), 7, "{said}");
        assert!(said.matches("Package L#").count() == 2 && said.contains("nvme0n1"), "{said}");
    }
    if has("numactl") {
        let said = tool("numactl -H; true");
        assert!(said.contains("node 0 cpus: 0 2 4 6\n") && said.contains("node 1 cpus: 1 3 5\n"), "{said}");
    }
}

#[test]
fn a_tuning_script_meets_the_kernels_errors() {
    if !can_enter("a_tuning_script_meets_the_kernels_errors") {
        return;
    }
    // As people have it on their servers: each queue to a CPU of its own, in turn.
    let script = "cpu=0\n\
        for irq in $(grep -E 'nvme|eno1' /proc/interrupts | awk -F: '{ gsub(/ /, \"\", $1); print $1 }'); do\n\
            name=$(awk -v i=\"$irq:\" '$1 == i { print $NF }' /proc/interrupts)\n\
            if echo $cpu > /proc/irq/$irq/smp_affinity_list; then echo \"$name: $(cat /proc/irq/$irq/smp_affinity_list)\"; fi 2> /dev/null\n\
            [ $? = 0 ] || echo \"$name: refused\"\n\
            cpu=$(( (cpu + 1) % $(nproc) ))\n\
        done 2>&1\n";
    let folder = Folder::new("enter-tuning");
    for (kernel, error) in [
        ("v5.4", "Input/output error"),
        ("v6.12", "Operation not permitted"),
        ("v7.3", "Operation not permitted"),
    ] {
        fs::write(folder.0.join("machine.toml"), server(kernel, 8)).expect("a machine");
        fs::write(folder.0.join("tune.sh"), script.replace(" 2> /dev/null", "")).expect("a script");
        let output = enter(&["machine.toml"], &["bash", "tune.sh"], &folder.0);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.matches(error).count(), 8, "{kernel}: {said}");
        assert!(said.contains("nvme0q0: 0\n") && said.contains("eno1-TxRx-0: "), "{kernel}: {said}");
    }
}

#[test]
fn a_pending_move_is_completed_by_the_next_interrupt() {
    if !can_enter("a_pending_move_is_completed_by_the_next_interrupt") {
        return;
    }
    // On this machine a message can be moved only while the interrupt is being handled.
    for kernel in ["5.4", "6.12", "7.3"] {
        let line = "echo 5 > /proc/irq/24/smp_affinity_list; cat /proc/irq/24/effective_affinity_list\n\
                    echo 1 > /sys/class/nvme/nvme0/rescan_controller; sleep 1; cat /proc/irq/24/effective_affinity_list";
        let said = bash(&["--kernel", kernel], line);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{kernel}: {said}");
        assert_ne!(lines[0], "5", "{kernel}: {said}");
        assert_eq!(lines[1], "5", "{kernel}: {said}");
    }
}
