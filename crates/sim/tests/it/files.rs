//! What each file takes, and what it answers, on both kernels.

use kstate::semantics::KernelVersion::{self, V5_4, V6_12, V7_3};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

const DEVICES: &str = r#"
[[pci]]
address = "0000:00:03.0"
model = "nvme"
io_queue_pairs_max = 1
msix_vectors = 2
intx_gsi = 23

[[pci]]
address = "0000:00:04.0"
model = "virtio-blk"
request_queues = 1
msix_vectors = 2
intx_gsi = 20
"#;

fn lab(version: KernelVersion, cpus: u32) -> Lab {
    let text = format!("kernel = \"{}\"\n[cpus]\npossible = {cpus}\n{DEVICES}", version.name());
    Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"))
}

/// Runs lines and returns what they print.
fn sh(lab: &mut Lab, text: &str) -> String {
    lab.terminal.clear();
    let script = Script::parse("script.sh", text).unwrap_or_else(|e| panic!("{e} in {text}"));
    lab.run_each(&script, |_| {}, |_, _| {});
    lab.terminal.join("\n")
}

/// The text of an error, without its place.
fn error(lab: &mut Lab, text: &str) -> String {
    let printed = sh(lab, text);
    printed.rsplit(": ").next().unwrap_or_default().to_owned()
}

const INVALID: &str = "Invalid argument";
const LARGE: &str = "Value too large for defined data type";
const RANGE: &str = "Numerical result out of range";

#[test]
fn a_cpu_takes_every_word_that_begins_like_a_boolean() {
    for (text, old, new) in [
        ("0abc", "0", "0"),
        ("00", "0", "0"),
        ("0x1", "0", "0"),
        ("No", "0", "0"),
        ("of", "0", "0"),
        ("f", INVALID, "0"),
        ("01", "0", "0"),
        (" 0", INVALID, INVALID),
        ("", INVALID, INVALID),
        ("o", INVALID, INVALID),
        ("2", INVALID, INVALID),
    ] {
        for (version, expected) in [(V5_4, old), (V6_12, new)] {
            let mut lab = lab(version, 2);
            let line = format!("echo '{text}' > /sys/devices/system/cpu/cpu1/online");
            let mut found = error(&mut lab, &line);
            if found.is_empty() {
                found = sh(&mut lab, "cat /sys/devices/system/cpu/cpu1/online");
            }
            assert_eq!(found, expected, "{text:?} on {}", version.name());
        }
    }
}

#[test]
fn masks_and_lists_are_those_of_the_kernel() {
    for (file, text, old, new) in [
        ("smp_affinity_list", "0-N", INVALID, "0-7"),
        ("smp_affinity_list", "all:1/2", INVALID, "0,2,4,6"),
        ("smp_affinity_list", "1,2 5", "1-2,5", "1-2,5"),
        // The newline of echo does not end a list behind a comma.
        ("smp_affinity_list", "1,", "1", "1"),
        // 5.4 chooses itself where no CPU of the list exists.
        ("smp_affinity_list", "8", "0-7", RANGE),
        ("smp_affinity_list", "64", RANGE, RANGE),
        ("smp_affinity_list", "1,64", RANGE, RANGE),
        ("smp_affinity", "3,", INVALID, "0-1"),
        ("smp_affinity", ",3", INVALID, "0-1"),
        ("smp_affinity", "0,3", "0-1", LARGE),
        ("smp_affinity", "0x3", INVALID, INVALID),
        ("smp_affinity", "1 2", INVALID, LARGE),
        ("smp_affinity", "103", "0-1", LARGE),
        ("smp_affinity", "", INVALID, INVALID),
    ] {
        for (version, expected) in [(V5_4, old), (V6_12, new)] {
            let mut lab = lab(version, 8);
            let mut found = error(&mut lab, &format!("echo '{text}' > /proc/irq/9/{file}"));
            if found.is_empty() {
                found = sh(&mut lab, "cat /proc/irq/9/smp_affinity_list");
            }
            assert_eq!(found, expected, "{text:?} to {file} on {}", version.name());
        }
    }
}

#[test]
fn a_large_machine_has_wide_masks() {
    for &version in KernelVersion::ALL {
        let mut lab = lab(version, 65);
        let list = "/proc/irq/9/smp_affinity_list";
        assert_eq!(sh(&mut lab, &format!("echo 64 > {list}\ncat {list}")), "64");
        assert_eq!(
            sh(&mut lab, &format!("echo 1,00000000,00000001 > /proc/irq/9/smp_affinity\ncat {list}")),
            "0,64"
        );
        assert_eq!(error(&mut lab, &format!("echo 65 > {list}")), RANGE);
        assert_eq!(error(&mut lab, "echo 2,00000000,00000000 > /proc/irq/9/smp_affinity"), LARGE);
        let default = "/proc/irq/default_smp_affinity";
        assert_eq!(
            sh(&mut lab, &format!("echo 1,0,0 > {default}\ncat {default}")),
            "1,00000000,00000000",
            "{}",
            version.name()
        );
    }
}

#[test]
fn a_function_is_bound_by_its_name_and_nothing_else() {
    const GONE: &str = "No such device";
    const BUSY: &str = "Device or resource busy";
    let bind = "/sys/bus/pci/drivers/nvme/bind";
    let unbind = "/sys/bus/pci/drivers/nvme/unbind";
    for (version, bound) in [(V5_4, GONE), (V6_12, BUSY)] {
        let mut lab = lab(version, 2);
        assert_eq!(error(&mut lab, &format!("echo 0000:00:03.0 > {bind}")), bound);
        // Not this driver's.
        assert_eq!(error(&mut lab, &format!("echo 0000:00:04.0 > {bind}")), GONE);
        for text in [" 0000:00:03.0", "0000:00:03.0 ", "00:03.0", ""] {
            assert_eq!(error(&mut lab, &format!("echo '{text}' > {unbind}")), GONE, "{text:?}");
        }
        assert_eq!(sh(&mut lab, &format!("echo 0000:00:03.0 > {unbind}")), "");
        assert_eq!(error(&mut lab, &format!("echo 0000:00:03.0 > {unbind}")), GONE);
        // The second comes while the first one probes.
        let twice = format!("echo 0000:00:03.0 > {bind} & echo 0000:00:03.0 > {bind} & wait");
        assert_eq!(error(&mut lab, &twice), bound);
    }
}

#[test]
fn an_interrupt_is_injected_by_the_beginning_of_a_word() {
    for &version in KernelVersion::ALL {
        let mut lab = lab(version, 2);
        let vda = lab
            .k
            .for_each_irq()
            .find(|&irq| lab.k.desc(irq).action.iter().any(|a| a.name.ends_with("req.0")));
        let irq = vda.expect("a queue's interrupt");
        let mut count = |text: &str| {
            let before = lab.k.desc(irq).kstat_irqs.sum();
            sh(&mut lab, &format!("echo '{text}' > /sys/kernel/debug/irq/irqs/{irq}\nsleep 1"));
            lab.k.desc(irq).kstat_irqs.sum() - before
        };
        assert_eq!(count("trigger"), 1, "{}", version.name());
        assert_eq!(count("triggers"), 1);
        // With the newline of echo it is no beginning.
        assert_eq!(count("trig"), 0);
    }
}

/// `lock_device_hotplug_sysfs()`: who comes second finds what the first one did.
#[test]
fn a_cpu_is_looked_at_under_the_lock() {
    let online = "/sys/devices/system/cpu/cpu1/online";
    for &version in KernelVersion::ALL {
        let mut lab = lab(version, 2);
        let twice = format!("echo 0 > {online} & echo 0 > {online} & wait\ncat {online}");
        assert_eq!(sh(&mut lab, &twice), "0", "{}", version.name());
        let back = format!("echo 1 > {online}\necho 0 > {online} & echo 1 > {online} & wait\ncat {online}");
        assert_eq!(sh(&mut lab, &back), "1", "{}", version.name());
    }
}

#[test]
fn a_digit_before_a_redirection_is_a_descriptor() {
    let mut lab = lab(V6_12, 2);
    // An empty line.
    assert_eq!(error(&mut lab, "echo 1>/proc/irq/9/smp_affinity"), INVALID);
    assert_eq!(sh(&mut lab, "echo 1 >/proc/irq/9/smp_affinity\ncat /proc/irq/9/smp_affinity"), "1");
    assert_eq!(sh(&mut lab, "echo '2'>/proc/irq/9/smp_affinity\ncat /proc/irq/9/smp_affinity"), "2");
    for text in [
        "echo 3>/proc/irq/9/smp_affinity",
        "echo hello 2>/tmp/errors",
        "echo hello 2>/dev/nullx",
        "echo 11>/dev/null",
    ] {
        let e = Script::parse("script.sh", text).expect_err("a descriptor");
        assert!(e.to_string().contains("redirects descriptor"), "{e}");
    }
    // What goes wrong is not printed, and is counted all the same.
    let before = lab.complaints;
    let lines = [
        "echo 9 > /proc/irq/1/node 2>/dev/null",
        "echo 9 2> /dev/null > /proc/irq/1/node",
        "cat /nowhere 2>/dev/null",
        "dd if=/dev/nowhere of=/dev/null bs=512 count=1 iflag=direct 2>/dev/null; echo here",
    ];
    for line in lines {
        assert_eq!(sh(&mut lab, line), if line.ends_with("here") { "here" } else { "" }, "{line}");
    }
    assert_eq!(lab.complaints, before + lines.len());
    assert_eq!(sh(&mut lab, "echo 2 2>/dev/null"), "2");
}

const CONTROL: &str = "/sys/devices/system/cpu/smt/control";

/// Four CPUs: two cores of two threads.
fn threads(version: KernelVersion, cmdline: &str) -> Lab {
    let text = format!(
        "kernel = \"{}\"\ncmdline = \"{cmdline}\"\n[cpus]\npossible = 4\ncores_per_socket = 2\nthreads_per_core = 2\n{DEVICES}",
        version.name()
    );
    Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"))
}

/// What the two files of smt and the online CPUs say.
fn smt(lab: &mut Lab) -> String {
    let text = format!(
        "cat {CONTROL}\ncat /sys/devices/system/cpu/smt/active\ncat /sys/devices/system/cpu/online\n"
    );
    sh(lab, &text).replace('\n', " ")
}

#[test]
fn second_threads_go_and_come() {
    for &version in KernelVersion::ALL {
        let mut lab = threads(version, "");
        let name = version.name();
        assert_eq!(smt(&mut lab), "on 1 0-3", "{name}");
        assert_eq!(sh(&mut lab, &format!("echo off > {CONTROL}")), "", "{name}");
        assert_eq!(smt(&mut lab), "off 0 0,2", "{name}");
        // cpu_up() does not let a second thread come meanwhile.
        let on = "echo 1 > /sys/devices/system/cpu/cpu1/online";
        assert_eq!(error(&mut lab, on), "Operation not permitted", "{name}");
        assert_eq!(sh(&mut lab, &format!("echo on > {CONTROL}")), "", "{name}");
        assert_eq!(smt(&mut lab), "on 1 0-3", "{name}");
        // With one core's second thread down there is still a core with two.
        assert_eq!(sh(&mut lab, "echo 0 > /sys/devices/system/cpu/cpu1/online"), "", "{name}");
        assert_eq!(smt(&mut lab), "on 1 0,2-3", "{name}");
        assert_eq!(sh(&mut lab, &format!("echo forceoff > {CONTROL}")), "", "{name}");
        assert_eq!(smt(&mut lab), "forceoff 0 0,2", "{name}");
        for word in ["on", "off", "forceoff"] {
            let printed = error(&mut lab, &format!("echo {word} > {CONTROL}"));
            assert_eq!(printed, "Operation not permitted", "{name}: {word}");
        }
        // 5.4 reads the word before it looks whether anything can be switched.
        let printed = error(&mut lab, &format!("echo nonsense > {CONTROL}"));
        let expected = if version == V5_4 { INVALID } else { "Operation not permitted" };
        assert_eq!(printed, expected, "{name}");
    }
}

#[test]
fn smt_control_takes_the_words_of_its_kernel() {
    for (text, old, new) in [
        ("on", "on 1 0-3", "on 1 0-3"),
        ("off", "off 0 0,2", "off 0 0,2"),
        ("OFF", INVALID, INVALID),
        (" off", INVALID, INVALID),
        ("off ", INVALID, INVALID),
        ("", INVALID, INVALID),
        ("notsupported", INVALID, INVALID),
        ("1", INVALID, "off 0 0,2"),
        ("2", INVALID, "on 1 0-3"),
        ("+1", INVALID, "off 0 0,2"),
        ("01", INVALID, "off 0 0,2"),
        ("3", INVALID, INVALID),
        ("0", INVALID, INVALID),
        ("-1", INVALID, INVALID),
        ("99999999999", INVALID, INVALID),
    ] {
        for &version in KernelVersion::ALL {
            let mut lab = threads(version, "");
            let mut found = error(&mut lab, &format!("echo '{text}' > {CONTROL}"));
            if found.is_empty() {
                found = smt(&mut lab);
            }
            let expected = if version == V5_4 { old } else { new };
            assert_eq!(found, expected, "{text:?} on {}", version.name());
        }
    }
}

#[test]
fn smt_control_follows_the_command_line_and_the_cpu() {
    for &version in KernelVersion::ALL {
        for (cmdline, shown) in [("nosmt", "off 0 0,2"), ("nosmt=force", "forceoff 0 0,2")] {
            let mut lab = threads(version, cmdline);
            assert_eq!(smt(&mut lab), shown, "{}: {cmdline}", version.name());
        }
        let mut lab = threads(version, "nosmt");
        assert_eq!(sh(&mut lab, &format!("echo on > {CONTROL}")), "");
        assert_eq!(smt(&mut lab), "on 1 0-3", "{}", version.name());
        let mut lab = self::lab(version, 2);
        assert_eq!(smt(&mut lab), "notsupported 0 0-1", "{}", version.name());
        assert_eq!(error(&mut lab, &format!("echo on > {CONTROL}")), "No such device");
        assert_eq!(error(&mut lab, "echo 1 > /sys/devices/system/cpu/smt/active"), "Permission denied");
    }
}

#[test]
fn a_thread_that_cannot_go_leaves_smt_half_off() {
    // cpuhp_smt_disable() gives up at the first CPU that does not go. From 6.6 on the number of threads that
    // was asked for stays.
    for &version in KernelVersion::ALL {
        let mut lab = threads(version, "");
        while lab.k.vector_matrix.maps[0].available > 0 || lab.k.vector_matrix.maps[2].available > 0 {
            let both: kstate::CpuMask = [0, 2].map(kstate::CpuId).into_iter().collect();
            let got = irqcore::matrix::irq_matrix_alloc(&mut lab.k, &both, false, &mut kstate::CpuId(0));
            got.expect("a vector");
        }
        // An interrupt that has to leave CPU 3 finds no vector, once CPU 1 is gone.
        assert_eq!(sh(&mut lab, "echo 3 > /proc/irq/9/smp_affinity_list"), "", "{}", version.name());
        let printed = sh(&mut lab, &format!("echo off > {CONTROL}"));
        let place = format!("{}: {printed}", version.name());
        assert!(printed.ends_with("No space left on device"), "{place}");
        let expected = if version == V5_4 { "on 1 0,2-3" } else { "1 1 0,2-3" };
        assert_eq!(smt(&mut lab), expected, "{place}");
    }
}

#[test]
fn sysfs_says_what_an_interrupt_is() {
    for &version in KernelVersion::ALL {
        let mut lab = lab(version, 2);
        for (file, text) in [("type", "edge"), ("wakeup", "disabled"), ("name", "edge")] {
            assert_eq!(sh(&mut lab, &format!("cat /sys/kernel/irq/24/{file}")), text, "{version:?}: {file}");
        }
        // The descriptor of a line that nobody has requested is there all the same.
        assert_eq!(sh(&mut lab, "cat /sys/kernel/irq/3/actions"), "", "{version:?}");
        let files = "actions\nchip_name\nhwirq\nname\nper_cpu_count\ntype\nwakeup";
        assert_eq!(sh(&mut lab, "ls /sys/kernel/irq/24"), files, "{version:?}");
        assert_eq!(error(&mut lab, "cat /sys/kernel/irq/24/node"), "No such file or directory");
        assert_eq!(error(&mut lab, "cat /sys/kernel/irq/4000/type"), "No such file or directory");
        // Counts and names are those of /proc/interrupts.
        let counts = sh(&mut lab, "cat /sys/kernel/irq/24/per_cpu_count");
        let table = sh(&mut lab, "cat /proc/interrupts");
        let row = table.lines().find_map(|line| line.trim_start().strip_prefix("24:")).expect("a row");
        let row: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(counts, row[..2].join(","), "{version:?}");
        let name = row.last().copied().unwrap_or_default();
        assert_eq!(sh(&mut lab, "cat /sys/kernel/irq/24/actions"), name, "{version:?}");
    }
}

/// register_irq_proc() of 6.12 gives a write bit to what can be moved; bus.c, core.c and debugfs.c say the rest.
#[test]
fn files_have_the_modes_of_their_kernel() {
    let bind = "/sys/bus/pci/drivers/nvme/bind";
    for (file, old, new) in [
        ("/proc/irq/default_smp_affinity", "644", "644"),
        // The timer: IRQF_NOBALANCING. The keyboard's. The cascade.
        ("/proc/irq/0/smp_affinity", "644", "444"),
        ("/proc/irq/1/smp_affinity_list", "644", "644"),
        ("/proc/irq/2/smp_affinity", "644", "444"),
        // The configuration vector of the disk, and a queue's, which the kernel manages.
        ("/proc/irq/24/smp_affinity", "644", "644"),
        ("/proc/irq/25/smp_affinity", "644", "444"),
        ("/proc/irq/25/smp_affinity_list", "644", "444"),
        ("/proc/irq/25/effective_affinity", "444", "444"),
        ("/proc/irq/25/spurious", "444", "444"),
        ("/proc/irq/25", "555", "555"),
        ("/proc/interrupts", "444", "444"),
        ("/sys/devices/system/cpu/cpu1/online", "644", "644"),
        ("/sys/devices/system/cpu/online", "444", "444"),
        ("/sys/devices/system/cpu/smt/control", "644", "644"),
        ("/sys/devices/system/cpu/smt/active", "444", "444"),
        (bind, "200", "200"),
        ("/sys/class/nvme/nvme0/reset_controller", "200", "200"),
        ("/sys/class/nvme/nvme0/state", "444", "444"),
        ("/sys/class/nvme/nvme0", "777", "777"),
        ("/sys/bus/pci/devices/0000:00:03.0/driver", "777", "777"),
        ("/sys/bus/pci/devices/0000:00:03.0/numa_node", "644", "644"),
        ("/sys/kernel/irq/25/actions", "444", "444"),
        ("/sys/module/nvme/parameters/write_queues", "644", "644"),
        ("/sys/devices/system/cpu/cpu1/cache/index2/shared_cpu_list", "444", "444"),
        ("/sys/kernel/debug", "700", "700"),
        ("/sys/kernel/debug/irq/irqs", "755", "755"),
        ("/sys/kernel/debug/irq/irqs/25", "644", "644"),
        ("/sys/kernel/debug/irq/domains/VECTOR", "444", "444"),
        ("/sys/kernel/debug/block/nvme0n1/hctx0/state", "400", "400"),
        ("/sys/kernel/tracing", "700", "700"),
        ("/sys/kernel/tracing/options", "755", "750"),
        ("/sys/kernel/tracing/events/irq_vectors", "755", "755"),
        ("/sys/kernel/tracing/events/irq_vectors/enable", "644", "640"),
        ("/sys/kernel/tracing/available_tracers", "444", "440"),
        ("/sys/kernel/tracing/trace_marker", "220", "220"),
        ("/sys/kernel/debug/tracing/set_ftrace_filter", "644", "640"),
    ] {
        for &version in KernelVersion::ALL {
            let mut lab = lab(version, 2);
            let expected = if version == V5_4 { old } else { new };
            assert_eq!(sh(&mut lab, &format!("stat -c %a {file}")), expected, "{file} on {}", version.name());
        }
    }
    let mut lab = lab(V6_12, 2);
    assert_eq!(
        sh(&mut lab, &format!("stat -c '%A %U:%g 100%% %n' {bind}")),
        format!("--w------- root:0 100% {bind}")
    );
    assert_eq!(
        sh(&mut lab, "ls -l /proc/irq/25/node"),
        "-r--r--r--    1 root     root             0 Jan  1 00:00 /proc/irq/25/node"
    );
    let listed = sh(&mut lab, "ls -l /proc/irq/25");
    assert!(
        listed.starts_with("-r--r--r--    1 root     root             0 Jan  1 00:00 affinity_hint\n"),
        "{listed}"
    );
    assert!(listed.contains("\ndr-xr-xr-x    2 root     root             0 Jan  1 00:00 "), "{listed}");
    assert_eq!(error(&mut lab, "stat -c %a /proc/irq/99/node"), "No such file or directory");
    // The mode is no lock for root: what decides is the file's own handler.
    assert_eq!(error(&mut lab, "echo 1 > /proc/irq/25/smp_affinity"), "Operation not permitted");
    for text in ["stat /proc", "stat -c %y /proc", "stat -c %", "ls -a /proc"] {
        Script::parse("script.sh", text).expect_err(text);
    }
}

/// The rows of the lower half of /proc/interrupts in which something can be missing.
const RARE: [&str; 4] = [" SPU:", " RTR:", " ERR:", " MIS:"];

fn rare_rows(lab: &mut Lab) -> Vec<String> {
    let text = sh(lab, "cat /proc/interrupts");
    let rows = text.lines().filter(|row| RARE.iter().any(|name| format!(" {row}").contains(name)));
    rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn rows_of_events_come_with_the_first_one() {
    // To CPU 1, with the vector of spurious interrupts or with that of the local APIC's errors.
    let message = |lab: &mut Lab, data: u32| {
        assert!(x86apic::hw::bus::msi_write(&mut lab.k, 0xfee0_1000, data, 0x18).is_ok());
        sh(lab, "sleep 1");
    };
    let mut lab = self::lab(V7_3, 2);
    assert_eq!(rare_rows(&mut lab), [""; 0]);
    message(&mut lab, 0xfe);
    assert_eq!(rare_rows(&mut lab), ["ERR: 0 1 PIC/APIC error interrupts"]);
    // The kernel does not end this vector, for which hardware sets no ISR bit. A message sets one: CPU 1 takes nothing
    // more.
    message(&mut lab, 0xff);
    let both = ["SPU: 0 1 Spurious interrupts", "ERR: 0 1 PIC/APIC error interrupts"];
    assert_eq!(rare_rows(&mut lab), both);
    // They stay when the CPU goes, of which then nothing is shown.
    sh(&mut lab, "echo 0 > /sys/devices/system/cpu/cpu1/online");
    assert_eq!(rare_rows(&mut lab), ["SPU: 0 Spurious interrupts", "ERR: 0 PIC/APIC error interrupts"]);
    let text = sh(&mut lab, "cat /proc/interrupts");
    assert!(text.trim_end().ends_with("ERR:          0  PIC/APIC error interrupts"), "{text}");

    let mut lab = self::lab(V6_12, 2);
    let all = ["SPU: 0 0 Spurious interrupts", "RTR: 0 0 APIC ICR read retries", "ERR: 0", "MIS: 0"];
    assert_eq!(rare_rows(&mut lab), all);
    message(&mut lab, 0xfe);
    message(&mut lab, 0xff);
    let counted = ["SPU: 0 1 Spurious interrupts", "RTR: 0 0 APIC ICR read retries", "ERR: 1", "MIS: 0"];
    assert_eq!(rare_rows(&mut lab), counted);
}

/// Asked of a real 6.12.117 and 7.3.4. /proc says that a file which is not there is not there; no other file system
/// makes one.
#[test]
fn a_node_can_be_written_and_new_files_cannot() {
    for &version in KernelVersion::ALL {
        let text = format!(
            "kernel = \"{}\"\n[cpus]\npossible = 4\nnodes = [\"0-1\", \"2-3\"]\n\
             [[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 4\nmsix_vectors = 5\n\
             [[pci]]\naddress = \"0000:00:05.0\"\nmodel = \"test\"\nmsix_vectors = 1\n",
            version.name()
        );
        let mut lab = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"));
        let dev = "/sys/bus/pci/devices/0000:00:05.0";
        for refused in ["2", "-2", "x", "", " 0"] {
            let line = format!("echo '{refused}' > {dev}/numa_node");
            assert_eq!(error(&mut lab, &line), "Invalid argument", "{refused:?}");
        }
        assert_eq!(sh(&mut lab, &format!("cat {dev}/local_cpus")), "f");
        sh(&mut lab, &format!("echo 0x1 > {dev}/numa_node"));
        assert_eq!(sh(&mut lab, &format!("cat {dev}/numa_node; cat {dev}/local_cpulist")), "1\n2-3");
        let said =
            "pci 0000:00:05.0: [Firmware Bug]: Overriding NUMA node to 1.  Contact your vendor for updates.";
        assert_eq!(lab.k.log.last().map(String::as_str), Some(said));
        // alloc_descs() takes the node where the driver has no masks, and irq_setup_affinity() its CPUs.
        sh(&mut lab, "echo 0000:00:05.0 > /sys/bus/pci/drivers/irqlab/bind");
        sh(&mut lab, "echo 29 > /sys/kernel/debug/irqlab/request_irq");
        assert_eq!(sh(&mut lab, "cat /proc/irq/29/smp_affinity_list"), "2-3", "{}", version.name());
        for file in ["/sys/kernel/tracing", "/sys/kernel/debug/irq/irqs", "/sys/class/nvme/nvme0", dev] {
            assert_eq!(error(&mut lab, &format!("echo 1 > {file}/nothing")), "Permission denied", "{file}");
        }
        for file in ["/proc", "/proc/irq/24", "/sys/kernel/tracing/nothing", "/sys/class/nvme/nvme9"] {
            assert_eq!(
                error(&mut lab, &format!("echo 1 > {file}/nothing")),
                "No such file or directory",
                "{file}"
            );
        }
    }
}

#[test]
fn sysfs_says_who_shares_a_package() {
    for &version in KernelVersion::ALL {
        let text = format!(
            "kernel = \"{}\"\n[cpus]\npossible = 8\nsockets = 2\ncores_per_socket = 2\nthreads_per_core = 2\n",
            version.name()
        );
        let mut lab = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"));
        sh(&mut lab, "echo 0 > /sys/devices/system/cpu/cpu6/online");
        let topology = "/sys/devices/system/cpu/cpu5/topology";
        for (file, expected) in [
            ("package_cpus_list", "4-5,7"),
            ("core_siblings_list", "4-5,7"),
            ("package_cpus", "b0"),
            ("core_siblings", "b0"),
            ("core_cpus_list", "4-5"),
        ] {
            assert_eq!(sh(&mut lab, &format!("cat {topology}/{file}")), expected, "{file}");
        }
    }
}

#[test]
fn sysfs_says_who_shares_an_l2() {
    let machine = |version: KernelVersion, l2: &str| {
        let text = format!("kernel = \"{}\"\n[cpus]\npossible = 6\n{l2}\n", version.name());
        Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"))
    };
    let topology = |lab: &mut Lab, cpu: u32, file: &str| {
        sh(lab, &format!("cat /sys/devices/system/cpu/cpu{cpu}/topology/{file}"))
    };
    let cache = |lab: &mut Lab, cpu: u32, file: &str| {
        sh(lab, &format!("cat /sys/devices/system/cpu/cpu{cpu}/cache/index2/{file}"))
    };
    for version in [V6_12, V7_3] {
        let mut lab = machine(version, "l2 = [\"0-3\", \"4-5\"]");
        assert_eq!(topology(&mut lab, 1, "cluster_cpus_list"), "0-3");
        assert_eq!(topology(&mut lab, 1, "cluster_cpus"), "0f");
        assert_eq!(topology(&mut lab, 1, "cluster_id"), "0");
        assert_eq!(topology(&mut lab, 5, "cluster_id"), "4");
        assert_eq!(cache(&mut lab, 5, "shared_cpu_list"), "4-5");
        assert_eq!(cache(&mut lab, 5, "shared_cpu_map"), "30");
        // A CPU that goes is in no mask, and has no files.
        sh(&mut lab, "echo 0 > /sys/devices/system/cpu/cpu2/online");
        assert_eq!(topology(&mut lab, 1, "cluster_cpus_list"), "0-1,3");
        assert_eq!(
            error(&mut lab, "cat /sys/devices/system/cpu/cpu2/cache/index2/level"),
            "No such file or directory"
        );
        // Without a word from CPUID the threads of a core share one.
        let mut lab = machine(version, "cores_per_socket = 3\nthreads_per_core = 2");
        assert_eq!(topology(&mut lab, 3, "cluster_cpus_list"), "2-3");
        assert_eq!(topology(&mut lab, 3, "cluster_id"), "65535");
        assert_eq!(cache(&mut lab, 3, "shared_cpu_list"), "3");
        assert!(sh(&mut lab, "ls /sys/devices/system/cpu/cpu3/topology").contains("cluster_id"));
    }
    let mut lab = machine(V5_4, "l2 = [\"0-3\", \"4-5\"]");
    let file = "cat /sys/devices/system/cpu/cpu1/topology/cluster_id";
    assert_eq!(error(&mut lab, file), "No such file or directory");
    assert_eq!(cache(&mut lab, 5, "shared_cpu_list"), "4-5");
    assert!(!sh(&mut lab, "ls /sys/devices/system/cpu/cpu3/topology").contains("cluster"));
}

#[test]
fn numbers_of_queues_are_read_again_at_a_reset() {
    let parameters = "/sys/module/nvme/parameters";
    for version in [V5_4, V6_12, V7_3] {
        let text = format!(
            "kernel = \"{}\"\ncmdline = \"nvme.write_queues=1\"\n[cpus]\npossible = 4\n[[pci]]\n\
             address = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 8\nmsix_vectors = 9\nintx_gsi = 23\n",
            version.name()
        );
        let mut lab = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"));
        let threaded = if version == V5_4 { "" } else { "use_threaded_interrupts\n" };
        let names = format!("io_queue_depth\npoll_queues\n{threaded}write_queues");
        assert_eq!(sh(&mut lab, &format!("ls {parameters}")), names);
        assert_eq!(sh(&mut lab, &format!("cat {parameters}/write_queues")), "1");
        let wrong = error(&mut lab, &format!("echo x > {parameters}/write_queues"));
        assert_eq!(wrong, "Invalid argument");
        // More than the machine has CPUs, which 5.4 does not look at; it makes no more queues than at the probe.
        let many = sh(&mut lab, &format!("echo 5 > {parameters}/write_queues"));
        assert_eq!(many.is_empty(), version == V5_4, "{many}");
        sh(&mut lab, &format!("echo 3 > {parameters}/write_queues"));
        sh(&mut lab, "echo 1 > /sys/class/nvme/nvme0/reset_controller\nsleep 1");
        let log = lab.k.log.join("\n");
        let (before, after) = if version == V5_4 { ("1/3/0", "3/1/0") } else { ("1/4/0", "3/2/0") };
        assert!(log.contains(&format!("{before} default/read/poll queues")), "{version:?}: {log}");
        assert!(log.contains(&format!("{after} default/read/poll queues")), "{version:?}: {log}");
        sh(&mut lab, &format!("echo 0 > {parameters}/write_queues"));
        sh(&mut lab, "echo 1 > /sys/class/nvme/nvme0/reset_controller\nsleep 1");
        sh(&mut lab, "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2 iflag=direct");
    }
}

#[test]
fn timeouts_and_ways_of_interrupts_are_parameters() {
    let words = "nvme_core.io_timeout=5 nvme.use_threaded_interrupts=2 virtio_blk.queue_depth=64";
    for version in [V5_4, V6_12, V7_3] {
        let text = format!("kernel = \"{}\"\ncmdline = \"{words}\"\n[cpus]\npossible = 2\n", version.name());
        let mut lab = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"));
        let core = "/sys/module/nvme_core/parameters";
        assert_eq!(sh(&mut lab, &format!("cat {core}/io_timeout; cat {core}/admin_timeout")), "5\n60");
        sh(&mut lab, &format!("echo 0x10 > {core}/io_timeout"));
        assert_eq!(sh(&mut lab, &format!("cat {core}/io_timeout")), "16");
        assert_eq!(error(&mut lab, &format!("echo 0 > {core}/io_timeout")), "Invalid argument");
        let blk = "/sys/module/virtio_blk/parameters";
        assert_eq!(sh(&mut lab, &format!("cat {blk}/queue_depth")), "64");
        assert_eq!(
            sh(&mut lab, &format!("stat -c %a {blk}/queue_depth; stat -c %a {core}/io_timeout")),
            "444\n644"
        );
        let threaded = "cat /sys/module/nvme/parameters/use_threaded_interrupts";
        if version == V5_4 {
            assert_eq!(error(&mut lab, threaded), "No such file or directory");
        } else {
            assert_eq!(sh(&mut lab, threaded), "2");
            let write = threaded.replace("cat", "echo 1 >");
            assert_eq!(error(&mut lab, &write), "Permission denied");
        }
    }
}

#[test]
fn cores_and_dies_have_the_numbers_of_apic_ids() {
    let ids = |version: KernelVersion, cpus: &str| {
        let text = format!("kernel = \"{}\"\n[cpus]\n{cpus}", version.name());
        let mut lab = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"));
        let cpus = lab.k.topo.online.iter().collect::<Vec<_>>();
        let file = |cpu, name| format!("/sys/devices/system/cpu/cpu{cpu}/topology/{name}");
        let read = |lab: &mut Lab, name| {
            let words: Vec<String> =
                cpus.iter().map(|&cpu| sh(lab, &format!("cat {}", file(cpu, name)))).collect();
            words.join(" ")
        };
        (read(&mut lab, "core_id"), read(&mut lab, "die_id"))
    };
    let is = |core: &str, die: &str| (core.to_owned(), die.to_owned());
    // Three cores have room for four, which shows in the IDs of the second package.
    let two = "possible = 6\nsockets = 2\n";
    assert_eq!(ids(V5_4, two), is("0 1 2 0 1 2", "0 0 0 0 0 0"));
    assert_eq!(ids(V7_3, two), is("0 1 2 0 1 2", "0 0 0 1 1 1"));
    // A part of a server's cores is switched off, and its threads are numbered behind all cores.
    let gaps = "possible = 6\nsiblings = [\"0,3\", \"1,4\", \"2,5\"]\napic_ids = [0, 4, 10, 1, 5, 11]\n";
    assert_eq!(ids(V6_12, gaps), is("0 2 5 0 2 5", "0 0 0 0 0 0"));
    // Threads were switched off by the firmware: their bit is in no ID.
    assert_eq!(ids(V6_12, "possible = 3\napic_ids = [0, 2, 6]\n"), is("0 1 3", "0 0 0"));
}

#[test]
fn nothing_to_print_is_no_write() {
    let mut lab = Lab::boot(&Machine::embedded(V6_12));
    let mask = "/proc/irq/9/smp_affinity";
    assert_eq!(error(&mut lab, &format!("echo '' > {mask}")), "Invalid argument");
    assert_eq!(sh(&mut lab, &format!("printf '' > {mask}")), "");
    assert_eq!(error(&mut lab, "printf '' > /sys/devices/system/cpu/possible"), "Permission denied");
}

#[test]
fn a_function_without_messages_gets_its_line() {
    for version in [V5_4, V6_12, V7_3] {
        let mut lab = Lab::boot(&Machine::embedded(version));
        let dev = "/sys/bus/pci/devices/0000:00:03.0";
        let driver = "/sys/bus/pci/drivers/nvme";
        assert_eq!(sh(&mut lab, &format!("cat {dev}/msi_bus; cat {dev}/enable")), "1\n1");
        assert_eq!(error(&mut lab, &format!("echo x > {dev}/msi_bus")), "Invalid argument");
        assert_eq!(error(&mut lab, &format!("echo 0 > {dev}/enable")), "Device or resource busy");
        // Who has messages keeps them.
        sh(&mut lab, &format!("echo 0 > {dev}/msi_bus"));
        assert_eq!(lab.k.log.last().unwrap(), "nvme 0000:00:03.0: MSI/MSI-X disallowed for future drivers");
        assert_eq!(sh(&mut lab, &format!("cat {dev}/msi_bus; ls {dev}/msi_irqs")).lines().count(), 10);
        let again =
            format!("echo 0000:00:03.0 > {driver}/unbind\necho 0000:00:03.0 > {driver}/bind\nsleep 1");
        sh(&mut lab, &again);
        assert_eq!(error(&mut lab, &format!("ls {dev}/msi_irqs")), "No such file or directory");
        assert!(sh(&mut lab, "cat /proc/interrupts").contains("fasteoi   nvme0q0, nvme0q1"), "{version:?}");
        sh(&mut lab, &format!("echo 0x1 > {dev}/msi_bus\n{again}"));
        assert_eq!(sh(&mut lab, &format!("ls {dev}/msi_irqs")).lines().count(), 9);
        // Without a driver the file counts its users.
        sh(&mut lab, &format!("echo 0000:00:03.0 > {driver}/unbind"));
        assert_eq!(error(&mut lab, &format!("echo 0 > {dev}/enable")), "Input/output error");
        sh(&mut lab, &format!("echo 1 > {dev}/enable\necho 1 > {dev}/enable"));
        assert_eq!(
            sh(&mut lab, &format!("cat {dev}/enable; echo 0 > {dev}/enable; cat {dev}/enable")),
            "2\n1"
        );
        let large = error(&mut lab, &format!("echo 18446744073709551616 > {dev}/enable"));
        let expect = if version == V5_4 { "Numerical result out of range" } else { "Invalid argument" };
        assert_eq!(large, expect, "{version:?}");
    }
}

#[test]
fn a_hardware_queue_has_a_folder_if_somebody_submits_to_it() {
    for version in [V5_4, V6_12, V7_3] {
        let mut lab = Lab::boot(&Machine::embedded(version));
        let queue = "/sys/block/nvme0n1/mq/3";
        assert_eq!(sh(&mut lab, &format!("cat {queue}/nr_tags; cat {queue}/nr_reserved_tags")), "1023\n0");
        let cpu = sh(&mut lab, &format!("cat {queue}/cpu_list"));
        let files = format!("cpu{cpu}\ncpu_list\nnr_reserved_tags\nnr_tags");
        assert_eq!(sh(&mut lab, &format!("ls {queue}")), files);
        assert_eq!(sh(&mut lab, &format!("ls {queue}/cpu{cpu}")), "");
        assert_eq!(error(&mut lab, &format!("ls {queue}/cpu7")), "No such file or directory");
        assert_eq!(error(&mut lab, &format!("echo 1 > {queue}/nr_tags")), "Permission denied");
        // A queue for polling that no CPU is left for (`nr_ctx` of struct blk_mq_hw_ctx).
        let q = lab.k.blk.disk(lab.k.blk.disk_by_name("nvme0n1").unwrap()).unwrap().queue;
        lab.k.blk.q_mut(q).queue_hw_ctx[3].nr_ctx = 0;
        assert_eq!(sh(&mut lab, "ls /sys/block/nvme0n1/mq"), "0\n1\n2\n4\n5\n6\n7");
        assert_eq!(error(&mut lab, &format!("cat {queue}/cpu_list")), "No such file or directory");
    }
}
