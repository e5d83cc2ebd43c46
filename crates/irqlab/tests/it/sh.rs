//! `irqlab sh` as a program: at a terminal, and fed with lines.

use std::io::Write as _;
use std::process::{Command, Stdio};

use rexpect::session::spawn_command;

const TIMEOUT_MS: u64 = 20_000;

fn irqlab() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
    command.arg("sh").env("TERM", "dumb").env("NO_COLOR", "1");
    command
}

fn has_pty() -> bool {
    std::fs::File::options().read(true).write(true).open("/dev/ptmx").is_ok()
}

#[test]
fn lines_come_from_a_pipe_as_well() {
    let mut child =
        irqlab().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let input = "for i in 1 2\ndo\necho $i\ndone\n:print topo.online\n:quit\necho never\n";
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n2\ntopo.online = 0-7\n");
    assert!(output.status.success());
}

/// The status of a session that reads these lines, and what it printed.
fn piped(options: &[&str], lines: &str) -> (Option<i32>, String) {
    let mut child = irqlab()
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

#[test]
fn the_status_of_a_pipe_says_whether_every_line_worked() {
    let cpu0 = "echo 0 > /sys/devices/system/cpu/cpu4/online\n";
    for (lines, expect) in [
        ("echo hello\n", 0),
        ("grep nvme /proc/interrupts | wc -l\n", 0),
        ("nonsense\necho hello\n", 1),
        (":nonsense\n", 1),
        ("echo 9 > /proc/irq/1/node\n", 1),
        ("cat /nowhere\n", 1),
        ("#: assert /sys/devices/system/cpu/online == 0-3,5-7\n", 1),
        ("lspci\n", 1),
        ("exit\nnonsense\n", 0),
    ] {
        let (status, text) = piped(&[], lines);
        assert_eq!(status, Some(expect), "{lines}{text}");
    }
    let held = format!("{cpu0}#: assert /sys/devices/system/cpu/online == 0-3,5-7\n");
    assert_eq!(piped(&[], &held), (Some(0), String::new()));
}

#[test]
fn a_machine_is_opened_as_the_options_say() {
    let check = |options: &[&str], lines: &str, what: &str| {
        let (status, text) = piped(options, lines);
        assert!(status == Some(0) && text.contains(what), "{options:?} {lines}: {text}");
    };
    check(&["--kernel", "6.12"], "uname -r", "6.12");
    check(&["--cpus", "16"], "cat /sys/devices/system/cpu/online", "0-15");
    check(&["--nvme", "2"], "grep -c nvme /proc/interrupts", "3");
    check(&["--cmdline", "irqaffinity=1"], "cat /proc/irq/default_smp_affinity", "03");
    check(&["--set", "vector_cleanup=timer"], ":set", "vector_cleanup=timer");
    check(&["-c", "echo one", "-c", "echo two"], "echo three", "one\ntwo\nthree");
    // The exhibit's script is typed first, and shows the bug.
    let (status, text) = piped(&["--exhibit", "M03"], ":version");
    assert!(status == Some(1) && text.contains("assertion failed") && text.contains("M03"), "{text}");
    let (status, text) = piped(&["--cpus", "0"], "");
    assert!(status == Some(2) && text.contains("--cpus"), "{text}");
    let (status, text) = piped(&["--cmdline", "irqaffinity=1", "--exhibit", "M99"], "");
    assert!(status == Some(2) && text.contains("there is no exhibit"), "{text}");
}

/// F4: what `:save` wrote does the session again, with its machine, its kernel and what was set.
#[test]
fn a_saved_session_is_opened_again() {
    let folder = std::env::temp_dir().join(format!("irqlab-saved-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("saved.sh");
    let name = file.to_str().unwrap();
    let lines = format!(
        "echo 0 > /sys/devices/system/cpu/cpu3/online\n:set migrate_completes_move_first=on\necho 3 > \
         /proc/irq/24/smp_affinity_list\n:save {name}\n:log\n:set\ncat /proc/interrupts\n"
    );
    let (status, first) =
        piped(&["--kernel", "v5.4", "--cpus", "6", "--set", "vector_cleanup=timer"], &lines);
    assert_eq!(status, Some(0), "{first}");
    let (status, second) = piped(&["--script", name], ":log\n:set\ncat /proc/interrupts\n");
    assert_eq!(status, Some(0), "{second}");
    let again = second.split_once('\n').filter(|(note, _)| note.starts_with("# experiment: ")).unwrap().1;
    assert_eq!(first.split_once("does this session again\n").unwrap().1, again);
    assert!(second.contains("migrate_completes_move_first=on") && second.contains("vector_cleanup=timer"));
    // A script cannot do it, and says so.
    let output = Command::new(env!("CARGO_BIN_EXE_irqlab")).args(["run", name]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`:set` was typed"));
    let _ = std::fs::remove_dir_all(folder);
}

/// F4: the same with any options, on every kernel. What was typed, what stops the session, where it stands, what it shows and
/// what it has recorded is as it was, and only the file's name is given.
#[test]
fn sessions_with_any_options_are_done_again() {
    const OPTIONS: [&[&str]; 14] = [
        &["--hardware=off"],
        &["--hardware=off"],
        &["--hardware=on"],
        &["--cpus", "6"],
        &["--nvme", "3"],
        &["--cmdline", "irqaffinity=1 isolcpus=managed_irq,5"],
        &["--set", "vector_cleanup=timer"],
        &["--set", "migrate_completes_move_first=on"],
        &["--irq", "24"],
        &["--function", "irq_*", "--depth", "2"],
        &["--actor", "*"],
        &["--args"],
        &["--irq", "24", "--args"],
        &["--exhibit", "M05"],
    ];
    const LINES: [&str; 16] = [
        "echo 0 > /sys/devices/system/cpu/cpu3/online",
        "echo 1 > /sys/devices/system/cpu/cpu3/online",
        "echo 1 > /sys/class/nvme/nvme0/reset_controller",
        "echo 2 > /proc/irq/24/smp_affinity_list",
        "taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2 iflag=direct",
        "cd /proc/irq/27",
        ":set hctx_drain=on",
        ":break irq_shutdown",
        ":break vector_config if irq == 27",
        ":break hw::message if vector >= 33",
        ":watch apicd.hw_irq_cfg.vector of irq 27",
        ":continue",
        ":into",
        ":back 2",
        ":delete 1",
        ":filter function nvme_* depth 4 args on",
    ];
    let folder = std::env::temp_dir().join(format!("irqlab-any-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut number = 2u64;
    let mut below = move |n: usize| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) as usize % n
    };
    for seed in 0..24 {
        let kernel = ["v5.4", "v6.12", "v7.3"][seed % 3];
        let mut options = vec!["--kernel", kernel];
        // A kind of option is given once, and an exhibit has its machine.
        for _ in 0..3 {
            let drawn = OPTIONS[below(OPTIONS.len())];
            if !options.contains(&drawn[0])
                && !options.iter().any(|o| o.starts_with("--hardware") && drawn[0].starts_with("--hardware"))
            {
                options.extend(drawn);
            }
        }
        let file = |name: &str| folder.join(format!("{seed}-{name}")).display().to_string();
        let probe = |export: &str| {
            format!(
                ":export {export} json\n:log\n:set\n:pwd\n:where\n:flow\ncat /proc/interrupts\n:print irq 27\n"
            )
        };
        let mut lines: Vec<&str> = (0..6).map(|_| LINES[below(LINES.len())]).collect();
        let save = format!(":save {}", file("saved.sh"));
        lines.push(&save);
        let (first, second) = (file("first.json"), file("second.json"));
        let (_, text) = piped(&options, &format!("{}\n{}", lines.join("\n"), probe(&first)));
        let of = format!("{options:?} {lines:?}");
        let shown = text.split_once(" does this session again\n").unwrap_or_else(|| panic!("{of}: {text}")).1;
        let (_, again) = piped(
            &["--script", &file("saved.sh")],
            &format!(":save {}\n{}", file("again.sh"), probe(&second)),
        );
        let again =
            again.split_once(" does this session again\n").unwrap_or_else(|| panic!("{of}: {again}")).1;
        // What was hit is counted anew, and each export names its file.
        let plain = |text: &str| text.replace("second.json", "first.json").replace('*', " ");
        assert_eq!(plain(again), plain(shown), "{of}");
        assert!(
            std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap(),
            "{of}: the records differ"
        );
        let has_hardware = std::fs::read_to_string(&first).unwrap().contains("\"hw::");
        assert!(!(has_hardware && options.contains(&"--hardware=off")), "{of}");
        let session = |name: &str| {
            let text = std::fs::read_to_string(file(name)).unwrap();
            // The head names the machine as it was opened.
            text.split_once('\n').unwrap().1.to_owned()
        };
        assert_eq!(session("again.sh"), session("saved.sh"), "{of}");
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// F2: Ctrl-C stops the machine, and the session goes on.
#[test]
fn a_long_command_is_interrupted_and_the_session_goes_on() -> Result<(), rexpect::error::Error> {
    if !has_pty() {
        println!("skipped: there are no pseudo-terminals here");
        return Ok(());
    }
    let mut command = irqlab();
    command.env("TERM", "xterm").args(["--history", "/dev/null/nowhere"]);
    let mut person = spawn_command(command, Some(TIMEOUT_MS))?;
    person.exp_string("Ctrl-D leaves")?;
    person.send_line(
        "for i in 1 2 3 4 5 6 7 8 9; do dd if=/dev/nvme0n1 of=/dev/null bs=512 count=100000 iflag=direct; done",
    )?;
    person.exp_string("Ctrl-C stops the machine")?;
    person.send_control('c')?;
    person.exp_string("interrupted at step")?;
    person.exp_string(") # ")?;
    person.send_line("cat /sys/devices/system/cpu/online")?;
    person.exp_string("0-7")?;
    person.send_line("exit")?;
    person.exp_eof()?;
    Ok(())
}

#[test]
fn an_input_that_ends_inside_a_loop_is_a_mistake() {
    let mut child =
        irqlab().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"for i in 1 2\ndo\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ends in the middle of a loop"));
}

#[test]
fn a_person_at_a_terminal_stops_looks_and_goes_back() -> Result<(), rexpect::error::Error> {
    if !has_pty() {
        println!("skipped: there are no pseudo-terminals here");
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("irqlab-sh-{}", std::process::id()));
    let history = folder.join("history");
    let mut command = irqlab();
    command.env("TERM", "xterm").arg("--history").arg(&history);
    let mut person = spawn_command(command, Some(TIMEOUT_MS))?;
    person.exp_string(":help lists the words")?;
    person.send_line(":break irq_shutdown")?;
    person.exp_string("breakpoint 1 at irq_shutdown")?;
    // A tab completes the path.
    person.send("echo 0 > /sys/devices/system/cpu/cpu7/on\t")?;
    person.flush()?;
    person.exp_string("online")?;
    person.send_line("")?;
    person.exp_string("breakpoint 1: step")?;
    person.exp_string(") # ")?;
    person.send_line(":where")?;
    person.exp_string("cpu 7: ")?;
    person.exp_string(") # ")?;
    person.send_line(":back 2")?;
    person.exp_string(", waits")?;
    person.exp_string(") # ")?;
    person.send_line(":delete")?;
    person.exp_string(") # ")?;
    person.send_line(":continue")?;
    person.exp_string("K# ")?;
    person.send_line("cat /sys/devices/system/cpu/online")?;
    person.exp_string("0-6")?;
    person.send_line(":quit")?;
    person.exp_eof()?;
    let remembered = std::fs::read_to_string(&history).unwrap_or_default();
    assert!(remembered.contains(":break irq_shutdown"), "{remembered}");
    let _ = std::fs::remove_dir_all(folder);
    Ok(())
}

#[test]
fn lines_typed_while_a_command_runs_are_done_after_it() -> Result<(), rexpect::error::Error> {
    if !has_pty() {
        println!("skipped: there are no pseudo-terminals here");
        return Ok(());
    }
    let mut command = irqlab();
    command.env("TERM", "xterm").args(["--history", "/dev/null/nowhere"]);
    let mut person = spawn_command(command, Some(TIMEOUT_MS))?;
    person.exp_string(":help lists the words")?;
    // All at once, so that the first is still running when the others arrive.
    person.send("echo 1 > /sys/class/nvme/nvme0/reset_controller\recho $((\recho two\rfor i in a b\rdo\recho x$i\rdone\r")?;
    person.flush()?;
    for printed in ["\ntwo", "\nxa", "\nxb"] {
        person.exp_string(printed)?;
    }
    person.send_line(":quit")?;
    person.exp_string("cannot write /dev/null/nowhere")?;
    person.exp_eof()?;
    Ok(())
}
