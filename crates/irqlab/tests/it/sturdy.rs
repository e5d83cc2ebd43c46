//! What does not depend on the emulated machine: files and outputs that fail, inputs without an end, and
//! options beyond reason. Nothing of it is a panic, and nothing of the user's is lost.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("irqlab-sturdy-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn command(&self, line: &str) -> Command {
        let words = shlex::split(line).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
        command.args(&words).env("NO_COLOR", "1").current_dir(&self.0).stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs a line that is a mistake: its status is 2, and it says what is wrong.
    fn refused(&self, line: &str, expect: &[&str]) {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        for text in expect {
            assert!(said.contains(text), "{line}: {said}");
        }
        // The system's words for an error are enough; its number is nothing that a user knows.
        assert!(!said.contains("os error"), "{line}: {said}");
    }

    fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(path)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// What a shell feeds to `irqlab sh`, and what comes of it.
    fn session(&self, options: &str, input: &[u8]) -> (Option<i32>, String) {
        let mut child = self
            .command(&format!("sh {options}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input).unwrap();
        drop(stdin);
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (status.code(), text)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn capture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures/v5.4/nvme-8cpu").canonicalize().unwrap()
}

/// A command of each kind, short ones, and the exit status that it has.
fn commands() -> Vec<(String, i32)> {
    let capture = capture();
    let capture = capture.display();
    vec![
        (String::new(), 0),
        (format!("verify {capture}"), 0),
        (format!("verify -v {capture}"), 0),
        (format!("diff {capture} --right v5.4"), 0),
        (format!("diff {capture} --right v5.4 --right-set cpuhp_skips_empty_states=on"), 0),
        ("explain irq_startup".into(), 0),
        ("stacks --at irq_msi_compose_msg".into(), 0),
        ("semantics".into(), 0),
        ("semantics --json".into(), 0),
        ("museum".into(), 0),
        ("whatif --offline 7".into(), 1),
        ("whatif --online 7".into(), 2),
        ("whatif --cmdline +noirqdebug --json".into(), 0),
        ("whatif --offline 7 --explain 32".into(), 0),
        ("museum M01".into(), 0),
        ("museum M01 --export exported --force".into(), 0),
        ("bench scale --sizes 2:1".into(), 0),
        ("spread --cpus 8 --vectors 4".into(), 0),
        ("run --format story".into(), 0),
        ("run --format json".into(), 0),
        ("run --format perfetto".into(), 0),
        ("run --script script.sh".into(), 1),
        ("explore --exhibit M12 --runs 50".into(), 1),
        ("replay --exhibit M12 --kernel v5.4 --choices 2:1,3:2,5:3,11:1".into(), 1),
        ("sh".into(), 0),
        ("--help".into(), 0),
        ("run --script nothing".into(), 2),
    ]
}

fn prepared(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("script.sh", "echo a\n#: assert /proc/irq/29/smp_affinity_list == 7\n");
    folder
}

#[test]
fn a_full_output_is_an_answer() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let folder = prepared("full");
    for (line, _) in commands() {
        let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = folder.command(&line).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // A session that has no lines writes nothing, and clap itself prints its help.
        if !matches!(line.as_str(), "sh" | "--help" | "run --script nothing" | "whatif --online 7") {
            assert_eq!(output.status.code(), Some(2), "{line}: {said}");
            assert!(said.contains("cannot write the output"), "{line}: {said}");
        }
        assert!(!said.contains("panicked"), "{line}: {said}");
        // Nor does it matter that nothing can be said about it.
        let status = folder.command(&line).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), output.status.code(), "{line}");
    }
}

#[test]
fn who_does_not_read_on_changes_nothing() {
    let folder = prepared("gone");
    for (line, expect) in commands() {
        let mut child = folder.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(expect), "{line}: {said}");
        assert!(!said.contains("pipe"), "{line}: {said}");
    }
    let (status, _) = folder.session("", b"cat /proc/interrupts\n");
    assert_eq!(status, Some(0));
}

#[test]
fn a_mistake_may_be_at_any_column() {
    let folder = Folder::new("wide");
    for width in [65_520, 65_529, 65_530, 65_536, 200_000] {
        let wide = "x".repeat(width);
        folder.write("l.sh", &format!("echo {wide} &&\n"));
        folder.write("m.toml", &format!("kernel = \"v5.4\"\ncmdline = \"{wide}\" y\n"));
        folder.refused("run --script l.sh", &[&format!("l.sh:1:{}", width + 7), "`&&` is a condition"]);
        folder.refused("run --machine m.toml --script l.sh", &["m.toml:2:"]);
        let (status, text) = folder.session("", format!("echo {wide} &&\necho on\n").as_bytes());
        assert_eq!(status, Some(1), "{text}");
        assert!(
            text.contains(&format!("line 1, column {}: `&&`", width + 7)) && text.ends_with("on\n"),
            "{text}"
        );
    }
}

#[test]
fn what_is_there_stays_unless_it_was_said() {
    let folder = Folder::new("force");
    folder.write("script.sh", "#: state a\n#: state b\n");
    let script = "run --script script.sh";
    assert_eq!(folder.run(&format!("{script} --out out")).status.code(), Some(0));
    folder.refused(&format!("{script} --out out"), &["cannot write out: it is there already", "--force"]);
    let before = folder.read("out/state-a.txt");
    // Replaced, what is not recorded any more goes; what nobody recorded stays.
    folder.write("script.sh", "#: state b\n");
    assert_eq!(folder.run(&format!("{script} --out out --force")).status.code(), Some(0));
    assert_eq!(folder.names("out"), ["machine.toml", "script.sh", "state-b.txt"]);
    folder.write("out/notes", "mine");
    folder.refused(&format!("{script} --out out --force"), &["it holds `notes`, which would be lost"]);
    assert_eq!(folder.read("out/state-b.txt"), before);
    folder.write("story", "mine");
    folder.refused("run --format story --out story", &["cannot write story: it is there already", "--force"]);
    assert_eq!(folder.read("story"), "mine");
    assert_eq!(folder.run("run --format story --out story --force").status.code(), Some(0));
    assert!(folder.read("story").len() > 4);
    for option in ["", " --force"] {
        assert_eq!(folder.run(&format!("museum M01 --export m01{option}")).status.code(), Some(0));
    }
    folder.refused("museum M01 --export m01", &["cannot write m01: it is there already"]);
    folder.write("e.json", "mine");
    let explore = "explore --exhibit M12 --runs 5 --json e.json";
    folder.refused(explore, &["cannot write e.json: it is there already"]);
    assert_eq!(folder.read("e.json"), "mine");
    let (status, text) = folder.session("", b"echo 1\n:save story\n:save new\necho 2\n");
    assert!(status == Some(2) && text.contains("cannot write story: it is there already"), "{text}");
    assert!(text.contains("new does this session again") && text.ends_with("2\n"), "{text}");
    let (status, _) = folder.session("", b"echo 1\n:save --force new\n");
    assert_eq!((status, folder.read("new").matches("echo 1").count()), (Some(0), 1));
    // What stood beside was renamed or taken away.
    assert_eq!(folder.names(""), ["e.json", "m01", "new", "out", "script.sh", "story"]);
}

#[test]
fn a_link_is_followed_and_stays_one() {
    let folder = Folder::new("link");
    folder.write("script.sh", "#: state a\n");
    fs::create_dir(folder.0.join("real")).unwrap();
    std::os::unix::fs::symlink("real", folder.0.join("out")).unwrap();
    assert_eq!(folder.run("run --script script.sh --out out").status.code(), Some(0));
    assert!(folder.0.join("out").is_symlink());
    assert_eq!(folder.names("real"), ["machine.toml", "script.sh", "state-a.txt"]);
}

#[test]
fn a_folder_that_cannot_be_written_says_what_was_tried() {
    let folder = Folder::new("blocked");
    folder.write("script.sh", "#: state a\n");
    folder.write("file", "");
    folder.refused(
        "run --script script.sh --out file/x",
        &["cannot write file/x", "cause", "expected a folder"],
    );
    folder.refused(
        "run --format story --out nowhere/x",
        &["cannot write nowhere/x", "expected a file in a folder"],
    );
    folder
        .refused("verify nowhere", &["cannot read nowhere/machine.toml", "expected a file that can be read"]);
    assert_eq!(folder.names(""), ["file", "script.sh"]);
}

#[test]
fn the_remains_of_a_capture_do_not_pass() {
    let folder = Folder::new("half");
    let copy = |without: &dyn Fn(&str) -> bool| {
        let half = folder.0.join("half");
        let _ = fs::remove_dir_all(&half);
        fs::create_dir(&half).unwrap();
        for entry in fs::read_dir(capture()).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if !without(&name) {
                fs::copy(capture().join(&name), half.join(&name)).unwrap();
            }
        }
        let output = folder.run("verify half");
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(copy(&|_| false).0, Some(0));
    let row = |text: &str, file: &str, word: &str| {
        text.lines().any(|line| line.starts_with(file) && line.ends_with(word))
    };
    // state-reset.txt is not there: the reset leaves everything as it was.
    for file in [
        "02-bind-graph.flow",
        "05-bind-stacks.events",
        "state-bound.txt",
        "state-unbound.txt",
        "state-rebound.txt",
    ] {
        let (status, text) = copy(&|name| name == file);
        assert!(status == Some(1) && row(&text, file, "missing"), "{file}: {text}");
    }
    let (status, text) =
        copy(&|name| name.ends_with(".txt") || name.ends_with(".flow") || name.ends_with(".events"));
    assert!(status == Some(1) && row(&text, "state-boot.txt", "missing"), "{text}");
}

#[test]
fn an_input_without_an_end_is_refused() {
    if !Path::new("/dev/zero").exists() {
        return;
    }
    let folder = Folder::new("endless");
    for line in [
        "run --script /dev/zero",
        "run --machine /dev/full --script /dev/null",
        "explore /dev/zero",
        "explore --merge /dev/zero",
        "spread --batch /dev/zero",
        "matrix --replay /dev/zero",
        "sh --machine /dev/zero",
    ] {
        folder.refused(line, &["longer than 64 MiB"]);
    }
    let zero = fs::File::open("/dev/zero").unwrap();
    let output = folder.command("sh").stdin(zero).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    fs::create_dir(folder.0.join("c")).unwrap();
    folder.write("c/machine.toml", "");
    std::os::unix::fs::symlink("/dev/full", folder.0.join("c/script.sh")).unwrap();
    folder.refused("verify c", &["c/script.sh: it is longer than 64 MiB"]);
}

#[test]
fn options_beyond_reason_are_refused() {
    let folder = Folder::new("options");
    let explore = "explore --exhibit M12 --runs 3";
    folder.refused(&format!("{explore} --strategy pct --changes 2147483647"), &["--changes"]);
    folder.refused(&format!("{explore} --shard 1/1000000000"), &["N up to 1000000"]);
    let output = folder.run("explore --exhibit M12 --runs 3 --shard 2/1000000");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("without parts 1, 3-1000000 of 1000000\n"), "{text}");
}

#[test]
fn lists_of_cpus_are_read_as_the_kernel_reads_them() {
    let folder = Folder::new("lists");
    folder.write("ops", "online 0\nonline 1\nalloc all 0\n");
    let machine = "{\"nr_node_ids\":1,\"nodes\":[0,0],\"cores\":[0,1],\"present\":\"0-N\"}";
    let request = "{\"nvecs\":2,\"pre_vectors\":0,\"post_vectors\":0}";
    folder.write("batch", &format!("{{\"topology\":{machine},\"request\":{request}}}\n"));
    for line in [
        "spread --cpus 4 --present 0-N --nodes 'all:2/4;2-N'",
        "spread --batch batch",
        "matrix --replay ops --cpus 2",
    ] {
        for kernel in ["v6.12", "v7.3"] {
            let output = folder.run(&format!("{line} --kernel {kernel}"));
            assert_eq!(output.status.code(), Some(0), "{line} {}", String::from_utf8_lossy(&output.stderr));
        }
        folder.refused(&format!("{line} --kernel v5.4"), &["is no list of"]);
    }
}

#[test]
fn a_result_is_printed_although_its_file_cannot_be_written() {
    let folder = Folder::new("result");
    if !Path::new("/dev/full").exists() {
        return;
    }
    let output = folder.run("explore --exhibit M12 --runs 5 --json /dev/full");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("5 runs from seed 1"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write /dev/full"));
    // And the other way round.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = folder
        .command("explore --exhibit M12 --runs 5 --json e.json")
        .stdout(full)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!((status.code(), folder.read("e.json").is_empty()), (Some(2), false));
}

#[test]
fn counters_that_no_kernel_has_are_a_difference() {
    let folder = Folder::new("counters");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures/v5.4/boot-8cpu");
    fs::create_dir(folder.0.join("c")).unwrap();
    for entry in fs::read_dir(&from).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let mut bytes = fs::read(from.join(&name)).unwrap();
        if name.ends_with(".events") {
            let text = String::from_utf8(bytes).unwrap();
            let at = text.rfind("global_rsvd=").unwrap() + "global_rsvd=".len();
            let end = at + text[at..].find(|c: char| !c.is_ascii_digit()).unwrap();
            bytes = format!("{}-9223372036854775808{}", &text[..at], &text[end..]).into_bytes();
        }
        fs::write(folder.0.join("c").join(&name), bytes).unwrap();
    }
    let output = folder.run("verify c");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_line_that_is_no_text_does_not_end_a_session() {
    let folder = Folder::new("bytes");
    let (status, text) = folder.session("", b"echo a\n\xc3\xa4\xff\necho b\n");
    assert_eq!(status, Some(2));
    assert_eq!(text, "a\nline 2, column 2: this is no text; expected UTF-8\nb\n");
}

/// The seconds of CPU that a line takes, and its exit status.
fn measured(folder: &Folder, line: &str) -> (f64, Option<i32>) {
    let shell = format!(
        "{} {line} >output 2>&1; status=$?; times >times; exit $status",
        env!("CARGO_BIN_EXE_irqlab")
    );
    let status = Command::new("bash").args(["-c", &shell]).current_dir(&folder.0).status().unwrap();
    let times = folder.read("times");
    // The second line is the children's: user and system, as in `0m1.234s`.
    let user = times.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    let (minutes, seconds) = user.trim_end_matches('s').split_once('m').unwrap();
    (minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap(), status.code())
}

#[test]
fn a_difference_of_boots_takes_no_longer_than_reading_it() {
    let folder = Folder::new("boots");
    let boot = capture().with_file_name("boot-8cpu");
    let (seconds, status) = measured(&folder, &format!("diff {}", boot.display()));
    // With every event against every other by its text this was more than ten seconds without optimization.
    assert!(status == Some(1) && seconds < 4.0, "{seconds} s of CPU, status {status:?}");
}

const MSI: &str = "kernel = \"v5.4\"
[cpus]
possible = 2
[[pci]]
address = \"0000:00:03.0\"
model = \"nvme\"
io_queue_pairs_max = 1
msix_vectors = 2
intx_gsi = 23
";

/// A device that never stops; it is not recorded.
const STORM: &str = "d=/sys/kernel/debug/irqlab
echo 0000:00:05.0 > /sys/bus/pci/drivers/irqlab/bind
echo 26 > $d/request_irq
echo 26 > $d/storm
";

/// The device for it.
const TEST: &str = "[[pci]]
address = \"0000:00:05.0\"
model = \"test\"
msix_vectors = 1
intx_gsi = 20
";

#[test]
fn what_nobody_asks_for_is_not_kept() {
    let folder = Folder::new("storm");
    folder.write("m.toml", &format!("{MSI}{TEST}"));
    // A hundred thousand interrupts a second. Each of them with its calls takes some KiB, where it is kept.
    folder.write("storm.sh", &format!("{STORM}sleep 3\necho done\n"));
    let shell = format!(
        "ulimit -v 400000; exec {} run --machine m.toml --script storm.sh",
        env!("CARGO_BIN_EXE_irqlab")
    );
    let output = Command::new("bash").args(["-c", &shell]).current_dir(&folder.0).output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    assert!(output.status.code() == Some(0) && said.contains("done"), "{:?}: {said}", output.status);
}

#[test]
fn a_script_without_an_end_is_not_read_to_its_end() {
    let folder = Folder::new("endless");
    let shell = format!(
        "ulimit -v 1000000; yes 'echo a' | {} run -; exit ${{PIPESTATUS[1]}}",
        env!("CARGO_BIN_EXE_irqlab")
    );
    let output = Command::new("bash").args(["-c", &shell]).current_dir(&folder.0).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot read standard input: it is longer than 64 MiB"), "{said}");
    assert!(said.contains("expected a text that has an end"), "{said}");
}

#[test]
fn a_tracer_that_is_on_keeps_what_fits_into_its_buffer() {
    let folder = Folder::new("tracer");
    folder.write("m.toml", &format!("{MSI}{TEST}"));
    // As above, but the tracer of the machine is on: each interrupt with its calls goes into its buffer.
    let on = "echo 64 > /sys/kernel/tracing/buffer_size_kb\necho function_graph > /sys/kernel/tracing/current_tracer\n";
    folder.write("storm.sh", &format!("{on}{STORM}sleep 3\necho done\ncat /sys/kernel/tracing/trace\n"));
    for command in ["run --script storm.sh", "sh storm.sh </dev/null"] {
        let shell =
            format!("ulimit -v 700000; exec {} {command} --machine m.toml", env!("CARGO_BIN_EXE_irqlab"));
        let output = Command::new("bash").args(["-c", &shell]).current_dir(&folder.0).output().unwrap();
        let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
        let end = said.len().saturating_sub(2000);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", &said[end..]);
        assert!(said.contains("done") && said.contains("handle_irq_event"), "{command}: {}", &said[end..]);
        assert!(said.lines().count() < 4000, "{command}: {}", said.lines().count());
    }
}

#[test]
fn mistakes_name_no_types() {
    let folder = Folder::new("types");
    for (line, expect) in [
        ("possible = \"x\"", "this is the text \"x\"; expected a whole number from 0 to 4294967295"),
        ("possible = -1", "this is the number -1; expected a whole number from 0 to 4294967295"),
        ("possible = 4\nnodes = 3", "this is the number 3; expected a list in brackets, [ ]"),
        ("possible = 4\ninterrupt_remapping = 3", "this is the number 3; expected true or false"),
    ] {
        folder.write("m.toml", &format!("kernel = \"v5.4\"\n[cpus]\n{line}\n"));
        folder.refused("run --machine m.toml", &[expect, "m.toml:"]);
    }
    folder.refused("sh --cpus x", &["invalid value 'x' for '--cpus <N>': expected a whole number\n"]);
    folder.refused("sh --cpus 9999999", &["for '--cpus <N>': expected a whole number from 1 to 4096\n"]);
    folder
        .refused("run --irq x", &["invalid value 'x' for '--irq <N>': expected a whole number\n", "--help"]);
}

#[test]
fn a_search_without_jobs_says_so() {
    let folder = Folder::new("alone");
    folder.write("alone.sh", "echo 0 > /sys/devices/system/cpu/cpu3/online\n");
    folder.write("jobs.sh", "echo 0 > /sys/devices/system/cpu/cpu3/online &\nwait\n");
    let said = |script: &str| {
        let output = folder.run(&format!("explore {script} --runs 3"));
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said("alone.sh").contains("the script has no jobs"), "{}", said("alone.sh"));
    assert!(!said("jobs.sh").contains("has no jobs"), "{}", said("jobs.sh"));
}

#[test]
fn a_run_that_would_fill_the_memory_is_given_up() {
    let folder = Folder::new("given-up");
    let words = "a b c d e f g h";
    let deep: String = (0..9).map(|i| format!("for v{i} in {words}; do\n")).collect();
    folder.write("deep.sh", &format!("{deep}echo $v0\n{}", "done\n".repeat(9)));
    folder.refused("run --script deep.sh", &["deep.sh: line 10: given up after 4194304 lines", "expected"]);
}

#[test]
fn time_does_not_run_over() {
    let folder = Folder::new("time");
    for seconds in ["18446744073", "18446744073.709551615", "100000001"] {
        folder.write("long.sh", &format!("sleep {seconds}\n"));
        folder.refused("run --script long.sh", &["long.sh:1:7", "is not a time", "seconds up to 100000000"]);
    }
    // Many of them: 146 years is the end, and what is done there still ends.
    let words: Vec<String> = (0..64).map(|i| i.to_string()).collect();
    let script = format!(
        "for i in {}; do\nsleep 100000000\ndone\necho 1 > /sys/class/nvme/nvme0/reset_controller\nsleep 1\n\
         cat /sys/class/nvme/nvme0/state\n",
        words.join(" ")
    );
    folder.write("many.sh", &script);
    for kernel in ["v5.4", "v6.12"] {
        folder.write("m.toml", &MSI.replace("v5.4", kernel));
        let output = folder.run("run --machine m.toml --script many.sh");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("Value too large for defined data type") && text.ends_with("live\n"), "{text}");
    }
}
