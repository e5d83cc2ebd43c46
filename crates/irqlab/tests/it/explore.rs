//! `irqlab explore` and `irqlab replay`: findings and the lines that show them again, parts of a search
//! and what they come to together, mistakes.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Two CPUs, and a controller with one message that cannot be masked.
const MACHINE: &str = "[cpus]
possible = 2
[[pci]]
address = \"0000:00:03.0\"
model = \"nvme\"
io_queue_pairs_max = 1
msix_vectors = 0
msi_vectors = 1
msi_maskable = false
intx_gsi = 23
";

/// A message is torn: its address is written, the device sends, its data is written.
const SCRIPT: &str = "echo 1 > /proc/irq/24/smp_affinity_list
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=3 iflag=direct
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct &
dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct &
echo 0 > /proc/irq/24/smp_affinity_list &
wait
";

/// A device that never stops, and an interrupt that moves.
const STORM: &str = "d=/sys/kernel/debug/irqlab
echo 0000:00:03.0 > /sys/bus/pci/drivers/irqlab/bind
echo 24 > $d/request_irq
echo 24 > $d/storm
echo 0 > /proc/irq/24/smp_affinity_list &
wait
";

/// A folder with the two files, which goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, machine: &str, script: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("irqlab explore {name} {}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("pc.toml"), format!("kernel = \"v5.4\"\n{machine}")).unwrap();
        std::fs::write(folder.join("a race.sh"), script).unwrap();
        Self(folder)
    }

    fn command(&self, line: &str) -> Command {
        let words = shlex::split(line).unwrap();
        assert_eq!(words[0], "irqlab", "{line}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
        command.args(&words[1..]).env("NO_COLOR", "1").current_dir(&self.0);
        command
    }

    /// Runs a line in the folder: its exit status, and what it printed.
    fn run(&self, line: &str) -> (i32, String) {
        let Output { status, stdout, stderr } = self.command(line).output().unwrap();
        let said = if status.code() == Some(2) { &stderr } else { &stdout };
        (status.code().unwrap(), String::from_utf8_lossy(said).into_owned())
    }

    fn files(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            files.map(|f| f.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const EXPLORE: &str = "irqlab explore 'a race.sh' --machine pc.toml";

/// The lines to paste among what `explore` printed.
fn replay_lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| line.starts_with("irqlab replay ")).collect()
}

#[test]
fn what_is_found_is_seen_again_by_its_line() {
    let folder = Folder::new("line", MACHINE, SCRIPT);
    for strategy in ["random --runs 300", "pct --runs 300", "exhaustive"] {
        for kernel in ["v5.4", "v6.12"] {
            let line = format!("{EXPLORE} --strategy {strategy} --kernel {kernel}");
            let (status, text) = folder.run(&line);
            assert_eq!(status, 1, "{line}: {text}");
            assert!(text.contains("found: log: "), "{text}");
            for line in replay_lines(&text) {
                let (status, told) = folder.run(line);
                assert_eq!(status, 1, "{line}: {told}");
                assert!(told.contains("No irq handler for"), "{told}");
                assert!(told.lines().last().unwrap().starts_with("found after "), "{told}");
            }
            // The first write goes to the CPU that the message is already sent to with the new vector.
            let (status, text) = folder.run(&format!("{line} --set msi_affinity=staged-if-not-maskable"));
            assert_eq!(status, 0, "{text}");
            assert!(text.contains("\nnothing was found\n"), "{text}");
        }
    }
}

#[test]
fn a_replay_tells_every_move() {
    let folder = Folder::new("told", MACHINE, SCRIPT);
    let (_, text) = folder.run(&format!("{EXPLORE} --strategy exhaustive"));
    let line = replay_lines(&text)[0].to_owned();
    let (_, told) = folder.run(&line);
    insta::assert_snapshot!("replay", format!("{text}\n$ {line}\n{told}"));
    let (_, calls) = folder.run(&format!("{line} --calls"));
    for call in ["write_irq_affinity(", "@ vector_update: ", "pci_write_msi_msg("] {
        assert!(calls.contains(call), "{call}: {calls}");
    }
    let (status, quiet) = folder.run(&format!("{line} --quiet"));
    assert_eq!((status, quiet.lines().count()), (1, 1), "{quiet}");
    let (status, none) = folder.run("irqlab replay 'a race.sh' --machine pc.toml --quiet");
    assert_eq!(status, 0, "{none}");
    assert!(none.starts_with("nothing is wrong after "), "{none}");
}

#[test]
fn a_livelock_is_found_and_goes_round_again() {
    let machine = "[cpus]
possible = 2
[[pci]]
model = \"test\"
address = \"0000:00:03.0\"
msix_vectors = 1
intx_gsi = 23
";
    let folder = Folder::new("circle", machine, STORM);
    for strategy in ["random --findings 1", "exhaustive"] {
        let (status, text) = folder.run(&format!("{EXPLORE} --strategy {strategy}"));
        assert_eq!(status, 1, "{strategy}: {text}");
        assert!(text.contains("found: livelock: CPU 1 in its interrupt never ends"), "{text}");
        let (status, told) = folder.run(replay_lines(&text)[0]);
        assert_eq!(status, 1, "{told}");
        assert!(told.lines().last().unwrap().contains(": livelock: CPU 1 in its interrupt never ends"));
    }
    let (status, text) =
        folder.run(&format!("{EXPLORE} --strategy exhaustive --set edge_waits_for_old_cpu=on"));
    assert_eq!(status, 0, "{text}");
}

#[test]
fn parts_of_a_search_come_to_the_whole() {
    let folder = Folder::new("parts", MACHINE, SCRIPT);
    let search = format!("{EXPLORE} --runs 100 --seed 9");
    let (status, whole) = folder.run(&search);
    assert_eq!(status, 1, "{whole}");
    for part in 1..=3 {
        let (_, text) = folder.run(&format!("{search} --shard {part}/3 --json part{part}.json"));
        assert!(
            text.ends_with(&format!(
                "without parts {} of 3\n",
                match part {
                    1 => "2, 3",
                    2 => "1, 3",
                    _ => "1, 2",
                }
            )),
            "{text}"
        );
    }
    let (_, two) = folder.run("irqlab explore --merge part3.json part1.json");
    assert!(two.ends_with("; without parts 2 of 3\n"), "{two}");
    let (status, merged) =
        folder.run("irqlab explore --merge part3.json part1.json part2.json --json all.json");
    assert_eq!(status, 1);
    assert_eq!(merged, whole);
    let (_, again) = folder.run("irqlab explore --merge part2.json part1.json part3.json");
    assert_eq!(again, merged);
    let (_, again) = folder.run("irqlab explore --merge all.json");
    assert_eq!(again, merged);

    for (line, expect) in [
        (
            "irqlab explore --merge part1.json part1.json",
            "part1.json has part 1 of 3, which is there already",
        ),
        ("irqlab explore --merge part1.json other.json", "other.json is about something else: another seed"),
        ("irqlab explore --merge part1.json pc.toml", "pc.toml:1:1: "),
        ("irqlab explore --merge none.json", "cannot read none.json"),
        ("irqlab explore --merge part1.json --machine pc.toml", "cannot be used with"),
    ] {
        folder.run(&format!("{EXPLORE} --runs 100 --seed 8 --shard 2/3 --json other.json --force"));
        let (status, text) = folder.run(line);
        assert_eq!(status, 2, "{line}: {text}");
        assert!(text.contains(expect), "{line}: {text}");
    }
}

#[test]
fn coverage_of_parts_comes_to_that_of_the_whole() {
    let folder = Folder::new("coverage", MACHINE, SCRIPT);
    let search = format!("{EXPLORE} --runs 60 --coverage");
    let (status, whole) = folder.run(&format!("{search} --json whole.json"));
    assert_eq!(status, 1, "{whole}");
    let (_, plain) = folder.run(&format!("{EXPLORE} --runs 60"));
    let (found, coverage) = whole.split_once("coverage: ").expect("a summary");
    assert_eq!(found, plain, "what is found does not depend on who looks");
    assert!(coverage.starts_with(char::is_numeric), "{coverage}");
    assert!(coverage.lines().next().unwrap().contains(" modelled functions were entered, "), "{coverage}");
    // The script takes no CPU down, has no disk of virtio, and frees no interrupt.
    let virtio = coverage.split("drivers/block/virtio_blk.c: ").nth(1).expect("a file");
    assert!(virtio.starts_with("7 of 7 never entered:\n    "), "{virtio}");
    let chip =
        coverage.split("\nkernel/irq/chip.c: ").nth(1).expect("a file").split("\nkernel/").next().unwrap();
    assert!(chip.contains("handle_level_irq") && !chip.contains(" handle_edge_irq"), "{chip}");
    assert!(coverage.contains("\nsteps that were never taken:\n    "), "{coverage}");
    for part in 1..=3 {
        folder.run(&format!("{search} --shard {part}/3 --json part{part}.json"));
    }
    let merged = folder.run("irqlab explore --merge part2.json part3.json part1.json --json all.json");
    assert_eq!(merged, (1, whole));
    let read = |name: &str| std::fs::read_to_string(folder.0.join(name)).unwrap();
    assert_eq!(read("all.json"), read("whole.json"));
    assert!(read("all.json").contains("\"entered\": \"explored\""));
    // Fewer runs see no more.
    let (_, one) = folder.run("irqlab explore --merge part1.json");
    assert!(one.contains("\ncoverage: ") && one.contains("without parts 2, 3 of 3\n"), "{one}");
    folder.run(&format!("{EXPLORE} --runs 60 --shard 1/3 --json part1.json --force"));
    for (line, expect) in [
        ("irqlab explore --merge part1.json part2.json", "part2.json was searched with --coverage"),
        ("irqlab explore --merge part2.json part1.json", "part1.json was searched without --coverage"),
        ("irqlab explore --merge part2.json --coverage", "cannot be used with"),
    ] {
        let (status, text) = folder.run(line);
        assert!(status == 2 && text.contains(expect), "{line}: {text}");
    }
    // A sweep has seen what all its searches have. A behaviour of another kernel brings its functions along.
    let (_, swept) =
        folder.run(&format!("{EXPLORE} --sweep --runs 3 --coverage --kernel v5.4 --json sweep.json"));
    assert!(swept.contains("\ncoverage: "), "{swept}");
    let has = |name: &str| read(name).contains("\"lib/group_cpus.c\": {");
    assert_eq!((has("whole.json"), has("sweep.json")), (false, true));
}

#[test]
fn threads_make_no_difference_to_what_is_said() {
    let folder = Folder::new("jobs", MACHINE, SCRIPT);
    for search in [
        "--runs 200",
        "--strategy pct --runs 200",
        "--strategy exhaustive --states 3000",
        "--runs 200 --coverage",
        "--strategy exhaustive --states 3000 --coverage",
    ] {
        let said = [1, 3].map(|jobs| {
            let line = format!("{EXPLORE} {search} --jobs {jobs} --json jobs{jobs}.json --force");
            (folder.run(&line), std::fs::read_to_string(folder.0.join(format!("jobs{jobs}.json"))).unwrap())
        });
        assert_eq!(said[0], said[1], "{search}");
        assert!(said[0].0.1.contains("found: "), "{search}: {}", said[0].0.1);
    }
    let (status, text) = folder.run(&format!("{EXPLORE} --jobs 0"));
    assert!(status == 2 && text.contains("--jobs"), "{text}");
}

#[test]
fn a_sweep_is_one_table() {
    let folder = Folder::new("sweep", MACHINE, SCRIPT);
    let (status, text) = folder.run(&format!("{EXPLORE} --sweep --kernel v6.12 --runs 60 --json sweep.json"));
    assert_eq!(status, 1, "{text}");
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("kernel  change"), "{text}");
    let as_it_is = lines.next().unwrap();
    assert!(
        as_it_is.starts_with("v6.12   as it is ") && as_it_is.contains("No irq handler for N.N"),
        "{text}"
    );
    let fixed = lines.find(|line| line.contains("msi_affinity=staged-if-not-maskable")).expect("the fix");
    assert!(fixed.trim_end().ends_with(" nothing"), "{text}");
    assert!(text.contains(" other changes of one field find the same\n"), "{text}");
    let json = std::fs::read_to_string(folder.0.join("sweep.json")).unwrap();
    assert!(json.contains("\"set\": \"msi_affinity=staged-if-not-maskable\""), "{json}");
    for wrong in ["--set vector_cleanup=timer", "--shard 1/2"] {
        let (status, text) = folder.run(&format!("{EXPLORE} --sweep {wrong}"));
        assert!(status == 2 && text.contains("cannot be used with"), "{wrong}: {text}");
    }
}

#[test]
fn bounds_are_part_of_the_result() {
    let folder = Folder::new("bounds", MACHINE, SCRIPT);
    let fixed = "--set msi_affinity=staged-if-not-maskable --strategy exhaustive";
    let (status, text) = folder.run(&format!("{EXPLORE} {fixed} --states 100"));
    assert_eq!(status, 0);
    assert!(text.contains("\nbounded: 100 states, "), "{text}");
    assert!(
        text.contains("not all steps were tried, since 100 states and depth 10000 are the bound"),
        "{text}"
    );
    assert!(text.contains("% of all states, which are ") && text.contains(" by an estimate\n"), "{text}");
    let (_, text) = folder.run(&format!("{EXPLORE} {fixed} --depth 5 --json depth.json"));
    assert!(text.contains("\nbounded: ") && text.contains("depth 5;"), "{text}");
    assert!(text.contains("% or less of all states, which are "), "{text}");
    let json = std::fs::read_to_string(folder.0.join("depth.json")).unwrap();
    assert!(json.contains("\"at_least\": true"), "{json}");
    let (_, text) = folder.run(&format!("{EXPLORE} --runs 10 --depth 5"));
    assert!(
        text.ends_with("10 runs from seed 1, 50 steps, the longest run 5; 10 left unfinished\n"),
        "{text}"
    );
}

#[test]
fn a_signal_ends_a_search_with_what_was_covered() {
    // Ctrl-C, and what a scheduler sends.
    for (number, name, status) in [(2, "-INT", 130), (15, "-TERM", 143)] {
        stopped(number, name, status);
    }
}

fn stopped(number: u32, name: &str, status: i32) {
    let folder = Folder::new("stopped", MACHINE, SCRIPT);
    let fixed = "--set msi_affinity=staged-if-not-maskable --runs 1000000000 --json stopped.json";
    let mut command = folder.command(&format!("{EXPLORE} {fixed}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id().to_string();
    // Until it listens, Ctrl-C ends it like any program.
    let listens = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() >> (number - 1) & 1 == 1
    };
    while child.try_wait().unwrap().is_none() && !listens() {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(status));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nnothing was found\nstopped: "), "{text}");
    assert!(text.contains(" of 1000000000 runs from seed 1, "), "{text}");
    let (status, merged) = folder.run("irqlab explore --merge stopped.json");
    assert_eq!((status, merged), (130, text));
}

#[test]
fn mistakes_are_named_and_leave_nothing_behind() {
    let folder = Folder::new("mistakes", MACHINE, SCRIPT);
    let replay = "irqlab replay 'a race.sh' --machine pc.toml";
    for (line, expect) in [
        ("irqlab explore", "required"),
        ("irqlab replay", "required"),
        ("irqlab explore --exhibit M99", "there is no exhibit `M99`"),
        ("irqlab explore 'a race.sh' --exhibit M03", "cannot be used with"),
        ("irqlab explore nothing.sh", "cannot read nothing.sh"),
        ("irqlab explore pc.toml", "pc.toml"),
        (&format!("{EXPLORE} --shard 0/3"), "expected I/N with I from 1 to N"),
        (&format!("{EXPLORE} --shard 4/3"), "expected I/N with I from 1 to N"),
        (&format!("{EXPLORE} --shard 1/2 --strategy exhaustive"), "expected --strategy random or pct"),
        (&format!("{EXPLORE} --runs 0"), "--runs"),
        (&format!("{EXPLORE} --json ."), "cannot write ."),
        (&format!("{EXPLORE} --json nowhere/a.json"), "cannot write nowhere/a.json"),
        (&format!("{EXPLORE} --set msi=on"), "there is no field `msi`"),
        (&format!("{replay} --schedule 7"), "`7` is no choice"),
        (&format!("{replay} --schedule 7:1,3:1"), "`3:1` is no choice"),
        (&format!("{replay} --schedule 7:1000"), "choice 7:1000: at place 7 there is 0 to "),
        (&format!("{replay} --schedule 9999:1"), "choice 9999:1: the run has only "),
    ] {
        let (status, text) = folder.run(line);
        assert_eq!(status, 2, "{line}: {text}");
        assert!(text.contains(expect), "{line}: {text}");
    }
    assert_eq!(folder.files(), ["a race.sh", "pc.toml"]);
}

/// The blocks of a language in a document.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("\n```{language}\n");
    document.split(&begin).skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect()
}

#[test]
fn the_example_of_the_documentation_finds_what_it_says() {
    let document = include_str!("../../../../docs/explore.md");
    let script = *blocks(document, "sh").last().unwrap();
    let folder = Folder::new("example", "", script);
    std::fs::write(folder.0.join("pc.toml"), blocks(document, "toml").last().unwrap()).unwrap();
    for kernel in ["v5.4", "v6.12"] {
        let (status, text) = folder.run(&format!("{EXPLORE} --kernel {kernel} --runs 200"));
        assert_eq!(status, 1, "{kernel}: {text}");
        let found: Vec<&str> = text.lines().filter(|line| line.starts_with("found: ")).collect();
        assert_eq!(found.len(), 1, "{text}");
        assert!(found[0].ends_with("expected lacks \"IRQD_IRQ_MASKED\""), "{text}");
        let (status, told) = folder.run(replay_lines(&text)[0]);
        assert_eq!((status, told.matches("assertion failed").count()), (1, 2), "{told}");
    }
}
