//! `irqlab tui` as a program, in a terminal: a pseudo-terminal whose output another terminal
//! emulator turns into a screen.

use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rexpect::process::{PtyProcess, Signal, WaitStatus};

const PATIENCE: Duration = Duration::from_secs(30);

fn has_pty() -> bool {
    let there = std::fs::File::options().read(true).write(true).open("/dev/ptmx").is_ok();
    if !there {
        println!("skipped: there are no pseudo-terminals here");
    }
    there
}

/// A person at a terminal.
struct Person {
    process: PtyProcess,
    keyboard: std::fs::File,
    output: Receiver<Vec<u8>>,
    terminal: vt100::Parser,
}

impl Person {
    /// At the screen of `irqlab tui`.
    fn at(rows: u16, cols: u16, options: &str) -> Self {
        Self::running(rows, cols, &format!("tui {options}"))
    }

    fn running(rows: u16, cols: u16, arguments: &str) -> Self {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_irqlab");
        // The size of a new pseudo-terminal is nothing.
        let line = format!("stty rows {rows} cols {cols} echo; exec '{program}' {arguments}");
        command.args(["-c", &line]).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        let process = PtyProcess::new(command).unwrap();
        let mut screen = process.get_file_handle().unwrap();
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keyboard = process.get_file_handle().unwrap();
        let size = |n| NonZero::new(n).unwrap();
        Self { process, keyboard, output, terminal: vt100::Parser::new(size(rows), size(cols), 0) }
    }

    fn screen(&self) -> String {
        let rows = self.terminal.screen().rows(0, self.terminal.screen().size().1.get());
        rows.map(|row| row.trim_end().to_owned() + "\n").collect()
    }

    /// Waits until something is on the screen and nothing more is drawn for a moment.
    #[track_caller]
    fn sees(&mut self, what: &str) {
        let start = Instant::now();
        loop {
            match self.output.recv_timeout(Duration::from_millis(100)) {
                Ok(bytes) => self.terminal.process(&bytes),
                Err(_) if self.screen().contains(what) => return,
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
            assert!(start.elapsed() < PATIENCE, "no `{what}` on\n{}", self.screen());
        }
    }

    /// Waits until something is on a screen that may change all the time.
    #[track_caller]
    fn shows(&mut self, what: &str) {
        let start = Instant::now();
        while !self.screen().contains(what) {
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(20)) {
                self.terminal.process(&bytes);
            }
            assert!(start.elapsed() < PATIENCE, "no `{what}` on\n{}", self.screen());
        }
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// The program ends with this status and leaves the terminal as it was.
    #[track_caller]
    fn leaves(&mut self, expect: i32) {
        let status = self.process.wait().unwrap();
        assert!(matches!(status, WaitStatus::Exited(_, code) if code == expect), "{status:?}");
        // What it wrote last may still be on its way.
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(300)) {
            self.terminal.process(&bytes);
        }
        let screen = self.terminal.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        let settings = Command::new("stty").arg("-a").stdin(self.keyboard.try_clone().unwrap()).output();
        let settings = String::from_utf8(settings.unwrap().stdout).unwrap();
        let has = |word: &str| settings.split([' ', ';', '\n']).any(|w| w == word);
        assert!(has("icanon") && has("echo") && has("isig") && has("opost"), "{settings}");
    }
}

#[test]
fn a_person_watches_a_queue_go_down() {
    if !has_pty() {
        return;
    }
    for (version, rows, cols) in [("v5.4", 24, 80), ("v6.12", 40, 120)] {
        let mut person = Person::at(rows, cols, &format!("--kernel {version}"));
        person.sees("type a command");
        person.types(":watch apicd.hw_irq_cfg.vector of irq 29\r");
        person.sees("watch 1 on");
        person.types("echo 0 > /sys/devices/system/cpu/cpu4/onl\t\r");
        person.sees("watch 1: ");
        person.sees("apic_update_irq_cfg");
        insta::assert_snapshot!(format!("watch_{version}"), person.screen());
        // On by two calls, to the beginning of time with the mouse, and to its end with a key.
        let screen = person.screen();
        let words: Vec<&str> = screen.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "records").unwrap();
        let (shown, all): (u32, u32) = (words[at - 3].parse().unwrap(), words[at - 1].parse().unwrap());
        person.types("\x1b[C\x1b[C");
        person.sees(&format!("{} of {all} records", shown + 2));
        let row = rows - 2;
        person.types(&format!("\x1b[<0;2;{row}M\x1b[<0;2;{row}m"));
        person.sees("step 0 of");
        person.types("\x1b[F");
        person.sees("(step ");
        person.types(":delete\r\x1b[15~");
        person.sees("the command is over");
        person.types(":quit\r");
        person.leaves(0);
    }
}

#[test]
fn the_terminal_is_given_back_when_the_program_is_told_to_end() {
    if !has_pty() {
        return;
    }
    let mut person = Person::at(24, 80, "");
    person.sees("type a command");
    person.types("\x04");
    person.leaves(0);
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let mut person = Person::at(24, 80, "");
        person.sees("type a command");
        person.process.signal(signal).unwrap();
        person.leaves(128 + signal as i32);
    }
}

#[test]
fn a_long_command_leaves_the_screen_alive_and_can_be_stopped() {
    if !has_pty() {
        return;
    }
    for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGHUP)] {
        let mut person = Person::at(24, 80, "");
        person.sees("type a command");
        person.types(
            "for i in 1 2 3 4 5 6 7 8 9; do dd if=/dev/nvme0n1 of=/dev/null bs=512 count=100000 iflag=direct; done\r",
        );
        person.shows("^C stops the machine");
        if let Some(signal) = signal {
            person.process.signal(signal).unwrap();
            person.leaves(128 + signal as i32);
            continue;
        }
        person.types("\x03");
        person.sees("interrupted at step");
        // It is a stop like others: what there is can be looked at, and the session goes on.
        person.types(":bt\r");
        person.sees("[");
        person.types("\x04");
        person.leaves(0);
    }
}

/// F2: the shell at a prompt, and in the middle of a command.
#[test]
fn the_shell_ends_at_once_when_it_is_told_to() {
    if !has_pty() {
        return;
    }
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        for busy in [false, true] {
            let mut person = Person::running(24, 80, "sh --history /dev/null/nowhere");
            person.sees("Ctrl-D leaves");
            if busy {
                person.types("for i in 1 2 3 4 5 6 7 8 9; do dd if=/dev/nvme0n1 of=/dev/null bs=512 count=100000 iflag=direct; done\r");
                person.shows("Ctrl-C stops the machine");
            }
            let start = Instant::now();
            person.process.signal(signal).unwrap();
            person.leaves(128 + signal as i32);
            // `leaves()` looks for a moment whether something more is written.
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{signal}, busy: {busy}: {:?}",
                start.elapsed()
            );
        }
    }
}

#[test]
fn without_a_terminal_there_is_a_message_and_status_2() {
    let output = Command::new(env!("CARGO_BIN_EXE_irqlab"))
        .arg("tui")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("needs a terminal"), "{said}");
    let output = Command::new(env!("CARGO_BIN_EXE_irqlab"))
        .args(["tui", "--machine", "no-such-file.toml"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
