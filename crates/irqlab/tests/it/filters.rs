//! Filters, the same wherever something recorded is printed; and options that open a machine, wherever one is.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const SCRIPT: &str = "\
#: flow down
echo 0 > /sys/devices/system/cpu/cpu4/online
#: end
#: events up
echo 1 > /sys/devices/system/cpu/cpu4/online
#: end
";

/// A folder with a script, which goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("irqlab-filters-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("script.sh"), SCRIPT).unwrap();
        Self(folder)
    }

    /// Runs a line, with something to read; the status, what it printed, and what it said.
    fn run(&self, line: &str, input: &str) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
        command.args(shlex::split(line).unwrap()).env("NO_COLOR", "1").current_dir(&self.0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who reads nothing may be gone.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn ok(&self, line: &str) -> String {
        let (status, text, said) = self.run(line, "");
        assert_eq!(status, Some(0), "{line}: {said}");
        text
    }

    fn refused(&self, line: &str, expect: &[&str]) {
        let (status, _, said) = self.run(line, "");
        assert_eq!(status, Some(2), "{line}: {said}");
        for text in expect {
            assert!(said.contains(text), "{line}: {said}");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_interrupt_is_followed_with_the_calls_around_it() {
    let folder = Folder::new("irq");
    let text = folder.ok("run script.sh --irq 29 --args");
    // Of 26 calls of migrate_one_irq() one is about it.
    let calls: Vec<&str> = text.lines().filter(|line| line.contains("migrate_one_irq(")).collect();
    assert_eq!(calls, ["      migrate_one_irq(irq=29)"], "{text}");
    assert!(text.contains("\ntake_cpu_down(cpu=4)\n  fixup_irqs()\n    irq_migrate_all_off_this_cpu()\n"));
    // Stacks stay whole, and nothing about others is there.
    assert!(text.contains("@ vector_config: irq=29 vector=33 cpu=4"), "{text}");
    assert!(text.contains(" < irq_startup(irq=29, resend="), "{text}");
    assert!(!text.contains("irq=30") && !text.contains("irq=28"), "{text}");
    let all = folder.ok("run script.sh");
    assert_eq!(all.lines().filter(|line| line.trim() == "migrate_one_irq").count(), 26, "{all}");
}

#[test]
fn functions_levels_and_actors_are_picked() {
    let folder = Folder::new("parts");
    let one = folder.ok("run script.sh --format flow --recording down --function irq_shutdown --depth 2");
    assert_eq!(one, "# migration\nirq_shutdown\n  __irq_disable\n");
    let tree = folder.ok("run script.sh --format flow --recording down --function irq_shutdown");
    assert!(tree.starts_with("# migration\nirq_shutdown\n  __irq_disable\n    mask_irq\n"), "{tree}");
    let top = folder.ok("run script.sh --format flow --recording down --depth 1");
    assert!(top.lines().all(|line| !line.starts_with(' ')), "{top}");
    let actor = folder.ok("run script.sh --format flow --actor 'cpuhp/*'");
    assert!(!actor.is_empty());
    assert!(actor.lines().filter(|line| line.starts_with("# ")).all(|line| line == "# cpuhp/4"), "{actor}");
    // Of stacks those count that a filter picks, and they stay whole.
    let stacks = folder.ok("stacks script.sh --at irq_shutdown --irq 29 --args");
    assert!(stacks.starts_with("# migration, 1 time\n[4] irq_shutdown(irq=29)\n"), "{stacks}");
    assert!(stacks.contains("] migrate_one_irq(irq=29)\n"), "{stacks}");
    assert!(folder.ok("stacks script.sh --at irq_shutdown --irq 30").contains("was not reached"));
}

#[test]
fn every_format_takes_the_filter_or_says_why_not() {
    let folder = Folder::new("formats");
    let formats = "story flow events ftrace ftrace-events stacks json dot mermaid";
    for format in formats.split_whitespace() {
        let line = format!("run script.sh --format {format}");
        let (all, one) = (folder.ok(&line), folder.ok(&format!("{line} --irq 29")));
        assert!(one.len() < all.len() && one.lines().count() > 2, "{format}: {} of {}", one.len(), all.len());
    }
    for format in ["story", "flow", "events", "ftrace", "stacks", "json"] {
        let text = folder.ok(&format!("run script.sh --format {format} --irq 29 --args"));
        assert!(text.contains("apic_update_irq_cfg"), "{format}");
        let shown = if format == "json" { "\"irq\":29" } else { "apic_update_irq_cfg(irqd=29.1, vector=" };
        assert!(text.contains(shown), "{format}: {text}");
    }
    let hardware = folder.ok("run script.sh --format hardware --irq 29");
    assert!(hardware.contains("hw::msix_entry: dev=nvme0 entry=5 register=data"), "{hardware}");
    assert!(!hardware.contains("entry=6"), "{hardware}");
    for format in ["hardware", "ftrace-events", "dot", "mermaid"] {
        folder.refused(&format!("run script.sh --format {format} --args"), &["--args", "shows no calls"]);
    }
    // A message on its way to a CPU belongs to the interrupt that has the vector there.
    let read =
        "#: flow read\ntaskset -c 4 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct\n#: end\n";
    std::fs::write(folder.0.join("read.sh"), read).unwrap();
    let path = folder.ok("run read.sh --format hardware --irq 29");
    for record in ["hw::message: from=nvme0", "hw::irr: cpu=4 vector=33", "hw::isr: cpu=4", "hw::eoi: cpu=4"]
    {
        assert!(path.contains(record), "{record}: {path}");
    }
    // What is left keeps its place in the run.
    let numbers = |text: &str| -> Vec<u64> {
        let of = |line: &str| line.split("\"n\":").nth(1)?.split(',').next()?.parse().ok();
        text.lines().filter_map(of).collect()
    };
    let all = numbers(&folder.ok("run script.sh --format json"));
    let some = numbers(&folder.ok("run script.sh --format json --function irq_shutdown"));
    assert!(!some.is_empty() && some.len() < all.len() && some.iter().all(|n| all.contains(n)));
}

#[test]
fn a_filter_that_can_show_nothing_is_a_mistake() {
    let folder = Folder::new("nothing");
    folder.refused(
        "run script.sh --format flow --function migrate_one_iqr",
        &["--function: no function of v5.4 is called `migrate_one_iqr`", "perhaps migrate_one_irq"],
    );
    folder.refused("run script.sh --irq 999", &["--irq: no interrupt 999 was ever there", "29, 30"]);
    folder.refused("run script.sh --actor nobody", &["--actor: `nobody`", "cpuhp/4"]);
    folder.refused("run script.sh --depth 0", &["--depth"]);
    folder.refused("stacks --at irq_startup --function vector_config", &["in which that tracepoint fires"]);
    folder.refused("replay script.sh --function nonsense_here", &["--function"]);
    folder.refused("sh --function nonsense_here", &["--function"]);
    folder.refused("run script.sh --irq 29 --out recorded", &["the files of a capture are whole"]);
    assert!(!folder.0.join("recorded").exists());
    // What is right and finds nothing is said, and is no mistake.
    let (status, text, said) = folder.run("run script.sh --format flow --function nvme_reset_work", "");
    assert_eq!((status, text.as_str()), (Some(0), ""));
    assert!(said.contains("nothing that was recorded fits"), "{said}");
}

#[test]
fn a_replay_and_a_session_take_the_same_filters() {
    let folder = Folder::new("replay");
    let text = folder.ok("replay script.sh --calls --irq 29 --actor migration");
    assert!(text.contains("migrate_one_irq(irq=29)") && !text.contains("irq=30"), "{text}");
    assert!(!text.contains("# cpuhp"), "{text}");
    let all = folder.ok("replay script.sh --calls");
    assert!(text.lines().count() < all.lines().count() / 4);
    let lines = "\
        :break irq_shutdown\n\
        echo 0 > /sys/devices/system/cpu/cpu4/online\n\
        :finish\n\
        :flow\n\
        :filter function irq_shutdown depth 2\n\
        :flow\n\
        :filter function no_such_function\n";
    let (status, text, _) = folder.run("sh --irq 29", lines);
    assert_eq!(status, Some(1), "the last line is a mistake: {text}");
    assert!(text.contains("migrate_one_irq(irq=29)") && !text.contains("migrate_one_irq(irq=30)"), "{text}");
    let (_, second) = text.split_once("of records is shown: function irq_shutdown depth 2\n").unwrap();
    assert!(second.contains("irq_shutdown(irq=29)") && second.contains("__irq_disable(irq=29"), "{second}");
    assert!(!second.contains("mask_irq"), "{second}");
    assert!(second.contains("no function of v5.4 is called `no_such_function`"), "{second}");
}

#[test]
fn what_a_session_recorded_is_written_in_every_format() {
    let folder = Folder::new("export");
    let lines = "\
        taskset -c 4 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct\n\
        :export a.json\n:export b.pftrace\n:export c.txt ftrace\n:export d.hardware\n:export e.flow\n\
        :export a.json\n:export x nonsense\n:export\n:export --force a.json story\n";
    let (status, text, _) = folder.run("sh", lines);
    assert_eq!(status, Some(2), "a file that is there is not replaced: {text}");
    let read = |name: &str| std::fs::read(folder.0.join(name)).unwrap();
    let text_of = |name: &str| String::from_utf8(read(name)).unwrap();
    assert!(text_of("c.txt").starts_with("# tracer: function_graph\n"));
    assert!(text_of("d.hardware").contains("hw::message: from=nvme0"));
    assert!(text_of("e.flow").contains("\nnvme_queue_rq\n"));
    assert!(!read("b.pftrace").is_empty());
    assert!(text_of("a.json").contains("nvme_queue_rq"), "--force replaced it with a story");
    for said in ["records as json", "records as perfetto", "`nonsense` is no format", "needs a file"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let (_, text, _) = folder.run("sh --hardware=off", ":export h.hardware\n:save s.sh\n");
    assert!(text.contains("keeps no records of hardware"), "{text}");
    // Nor does the session that is done again.
    let (_, text, _) = folder.run("sh s.sh", ":export h.hardware\n");
    assert!(text.contains("keeps no records of hardware"), "{text}");
}

#[test]
fn a_machine_is_opened_alike_by_every_command() {
    let folder = Folder::new("opening");
    std::fs::write(folder.0.join("cpus.sh"), "cat /sys/devices/system/cpu/possible\n").unwrap();
    assert_eq!(folder.ok("run cpus.sh --cpus 3"), "0-2\n");
    assert_eq!(folder.run("run - --cpus 3", "cat /sys/devices/system/cpu/possible\n").1, "0-2\n");
    assert_eq!(folder.run("sh cpus.sh --cpus 3", "").1, "0-2\n");
    assert!(folder.ok("state --cpus 3 --exhibit M03").contains("=== "));
    let state = folder.ok("state --script script.sh --cmdline maxcpus=4");
    assert!(state.contains("=== /proc/interrupts"), "{state}");
    assert!(folder.ok("stacks script.sh --at irq_shutdown --cpus 6").contains("migration"));
    assert!(folder.ok("--kernel v6.12 stacks script.sh --at irq_shutdown").contains("migration"));
    folder.refused("verify .", &["is no capture", "machine.toml and script.sh"]);
    folder.refused("verify script.sh", &["script.sh is no capture"]);
    let (_, text, said) = folder.run("spread --cpus 8 --nodes 0-3,4-7 --vectors 2", "");
    assert!(text.contains("in 1 node") && said.contains("--nodes '0-3;4-7'"), "{text}{said}");
    // Two kernels, one of the embedded machine and one of an exhibit.
    let (status, text, said) = folder.run("diff cpus.sh --cpus 3", "");
    assert!(matches!(status, Some(0 | 1)), "{said}");
    assert!(text.contains("v6.12"), "{text}");
    assert!(matches!(folder.run("diff --exhibit M03 --set hctx_drain=on", "").0, Some(0 | 1)));
    folder.refused("diff cpus.sh --kernel v5.4", &["--kernel", "--from KERNEL and --to KERNEL"]);
    folder.refused("diff", &["nothing to run on two kernels"]);
    folder.refused("diff cpus.sh --nvme 3 --set nonsense=1", &["--set", "nonsense"]);
    for option in ["--cpus 3", "--cmdline quiet", "--nvme 2", "--machine x", "--script x", "--exhibit M03"] {
        folder.refused(&format!("verify . {option}"), &[option.split(' ').next().unwrap(), "on one machine"]);
        folder.refused(&format!("museum M03 {option}"), &["has its machine", "irqlab run --exhibit"]);
    }
    folder.refused("museum M03 --set hctx_drain=on", &["--set", "irqlab run --exhibit"]);
}
