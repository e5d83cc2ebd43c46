//! Inputs that are nearly right: every reader answers them, and none panics. The tests are built with
//! overflow checks. `IRQLAB_MUTANTS` says how many for each reader.

use std::io::Write as _;
use std::process::{Command, Stdio};

use irqlab::{Machine, Script};

/// A sequence of numbers that is the same every time (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }
}

/// What is put in: what readers look for, numbers at their bounds, and characters of several bytes.
const PIECES: [&str; 28] = [
    "0",
    "-1",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "9223372036854775808",
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "=",
    "\n",
    ",",
    ":",
    "-",
    "/",
    "$",
    "&",
    ">",
    "#:",
    "\0",
    "ä",
    "\u{1f980}",
    "\u{202e}",
    " ",
];

/// A text with a few changes: pieces put in, taken out, doubled, or moved.
fn mutant(text: &str, numbers: &mut Numbers) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(chars.len() + 1);
        let to = (at + numbers.below(12)).min(chars.len());
        match numbers.below(4) {
            0 => drop(chars.splice(at..at, PIECES[numbers.below(PIECES.len())].chars())),
            1 => drop(chars.splice(at..to, PIECES[numbers.below(PIECES.len())].chars())),
            2 => drop(chars.drain(at..to)),
            _ => {
                let piece = chars[at..to].to_vec();
                let place = numbers.below(chars.len() + 1);
                chars.splice(place..place, piece);
            }
        }
    }
    chars.into_iter().collect()
}

fn count() -> usize {
    std::env::var("IRQLAB_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000)
}

/// Hands mutants of a text to a reader, and sees that some are refused and some are not.
fn each(text: &str, mut read: impl FnMut(&str) -> bool) {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let fine = (0..count()).filter(|_| read(&mutant(text, &mut numbers))).count();
    assert!(0 < fine && fine < count(), "{fine} of {} were right", count());
}

#[test]
fn machines() {
    each(Machine::EMBEDDED, |text| match Machine::parse("m.toml", text) {
        Ok(_) => true,
        Err(e) => {
            assert!(diagnostic::Report::from(e).plain().contains("m.toml:"), "{text}");
            false
        }
    });
}

const SCRIPT: &str = "X=3\n#: flow off\nfor i in 1 $X; do echo 0 > /sys/devices/system/cpu/cpu$i/online; done\n\
    taskset -c 2 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct &\nwait\nsleep 0.5\n#: end\n\
    #: assert /proc/irq/24/smp_affinity_list == 0-7\ncat '/proc/interrupts' > /dev/null; ls /proc/irq\n#: state s\n";

#[test]
fn scripts() {
    each(SCRIPT, |text| match Script::parse("s.sh", text) {
        Ok(_) => true,
        Err(e) => {
            assert!(diagnostic::Report::from(e).plain().contains("s.sh:"), "{text}");
            false
        }
    });
}

#[test]
fn choices() {
    each("5:2,6:2,7:1,11:1", |text| text.parse::<::explore::Schedule>().is_ok());
}

#[test]
fn recordings() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures/v5.4/nvme-8cpu");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (flow, events, state) =
        (read("04-unbind-graph.flow"), read("05-bind-stacks.events"), read("state-unbound.txt"));
    let mut numbers = Numbers(7);
    for _ in 0..count() / 50 {
        let _ = compare::verify::compare_flow(&mutant(&flow, &mut numbers), &flow);
        let _ = compare::verify::compare_events(&mutant(&events, &mut numbers), &events);
        let _ = compare::verify::compare_boot_events(&mutant(&events, &mut numbers), &events);
        assert!(
            compare::verify::compare_state(&mutant(&state, &mut numbers), &state, true).lines_compared > 0
        );
    }
}

/// Runs the program with a text as its input; a panic is exit status 101.
fn status(arguments: &[&str], input: &str) -> Option<i32> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_irqlab"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It may have seen enough before the end.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait().unwrap().code()
}

#[test]
fn lines_of_commands() {
    let mut numbers = Numbers(11);
    let batch = "{\"topology\":{\"cpus\":\"0-7\",\"present\":\"0-7\",\"nodes\":[\"0-7\"]},\
                 \"request\":{\"nvecs\":4,\"pre_vectors\":1,\"post_vectors\":0,\"sets\":[3]}}\n";
    let matrix = "online 0\nonline 1\nreserve\nalloc 0-1\nmanaged 0-1\nfree 0 33\noffline 1\n";
    let session = ":step\n:break vector_alloc if irq == 29\necho 0 > /sys/devices/system/cpu/cpu3/online\n\
                   :continue\n:watch apicd.hw_irq_cfg.vector of irq 29\n:goto 3\n:print irq 29\n:diff 1 2\n";
    for _ in 0..count() / 200 {
        for (arguments, text) in [
            (&["spread", "--batch", "-"][..], batch),
            (&["matrix", "--replay", "-"][..], matrix),
            (&["sh"][..], session),
        ] {
            let text = mutant(text, &mut numbers);
            assert!(matches!(status(arguments, &text), Some(0..=2)), "{arguments:?}: {text:?}");
        }
    }
}
