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
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n2\ntopo.online = {0-7}\n");
    assert!(output.status.success());
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
