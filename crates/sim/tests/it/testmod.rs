//! The lab's test module: its functions are bound and unbound, its files do what the kernel's
//! functions do, and mistakes are answered, with all invariants checked after every step.

use kstate::semantics::KernelVersion;
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

fn machine(kernel: KernelVersion, msix: u32, msi: u32) -> Machine {
    let text = format!(
        "kernel = \"{}\"
[cpus]
possible = 4
nodes = [\"0-1\", \"2-3\"]
[[pci]]
address = \"0000:00:03.0\"
model = \"nvme\"
io_queue_pairs_max = 4
msix_vectors = 6
intx_gsi = 23
[[pci]]
address = \"0000:00:05.0\"
model = \"test\"
msix_vectors = {msix}
msi_vectors = {msi}
intx_gsi = 20
",
        kernel.name()
    );
    Machine::parse("machine.toml", &text).expect("a machine")
}

fn run(machine: &Machine, script: &str) -> Lab {
    let mut lab = Lab::boot(machine);
    let script = Script::parse("script.sh", script).expect("a script");
    lab.run_each(&script, |k| assert_eq!(check_invariants(k), Ok(())), |_, _| {});
    lab
}

/// The script says what is to be true.
fn check(msix: u32, msi: u32, script: &str) {
    for &kernel in KernelVersion::ALL {
        let lab = run(&machine(kernel, msix, msi), script);
        assert_eq!(lab.failed, [], "{}", kernel.name());
        assert_eq!(lab.terminal, Vec::<String>::new(), "{}", kernel.name());
    }
}

#[test]
fn a_function_of_the_module_has_vectors_that_anybody_may_request() {
    check(
        8,
        0,
        "d=/sys/kernel/debug/irqlab
         echo 0000:00:05.0 > /sys/bus/pci/drivers/irqlab/bind
         echo 29-36 > $d/request_irq
         echo 29-36 > $d/raise
         #: assert /proc/interrupts contains irqlab
         echo 30 > $d/disable_irq
         #: assert /sys/kernel/debug/irq/irqs/30 contains \"ddepth: 1\"
         echo 30 > $d/raise
         #: assert /sys/kernel/debug/irq/irqs/30 contains IRQS_PENDING
         echo 30 > $d/enable_irq
         #: assert /sys/kernel/debug/irq/irqs/30 contains \"ddepth: 0\"
         #: assert /sys/kernel/debug/irq/irqs/30 lacks IRQS_PENDING
         echo 29-32 > $d/free_irq
         echo 0000:00:05.0 > /sys/bus/pci/drivers/irqlab/unbind
         #: assert /proc/interrupts lacks irqlab
         #: assert dmesg lacks WARNING
        ",
    );
}

#[test]
fn a_message_and_a_line_are_raised_as_the_device_would() {
    for (msix, msi, irq) in [(0, 1, 29), (0, 0, 20)] {
        let script = format!(
            "d=/sys/kernel/debug/irqlab
             echo 0000:00:05.0 > /sys/bus/pci/drivers/irqlab/bind
             echo 2 > /proc/irq/default_smp_affinity
             echo {irq} > $d/request_irq
             for i in 1 2 3; do echo {irq} > $d/raise; done
             #: assert /proc/interrupts contains \"{irq}: 0 3 0 0\"
             echo 0000:00:05.0 > /sys/bus/pci/drivers/irqlab/unbind
             #: assert /proc/interrupts lacks irqlab
            "
        );
        check(msix, msi, &script);
    }
}

#[test]
fn mistakes_are_answered_with_the_kernels_errors() {
    let dir = "/sys/kernel/debug/irqlab";
    for &kernel in KernelVersion::ALL {
        let script = format!(
            "echo 24 > {dir}/request_irq
             echo 999 > {dir}/raise
             echo 24- > {dir}/disable_irq
             echo -1 > {dir}/enable_irq
             echo 30-24 > {dir}/raise
             echo 24 > {dir}/free_irq
             echo 24 > {dir}/nmi
             cat {dir}/raise
             echo 4294967295 > {dir}/raise
             echo 0000:00:03.0 > /sys/bus/pci/drivers/irqlab/bind
             echo 28 > {dir}/request_irq
             ls {dir}
            "
        );
        let lab = run(&machine(kernel, 4, 0), &script);
        let said: Vec<&str> =
            lab.terminal.iter().map(|line| line.rsplit(": ").next().unwrap_or(line)).collect();
        let expected = [
            "Device or resource busy",
            "Invalid argument",
            "Invalid argument",
            "Invalid argument",
            "Invalid argument",
            "Invalid argument",
            "Permission denied",
            "Permission denied",
            "Invalid argument",
            "No such device",
            "Device or resource busy",
            "arm",
            "calm",
            "disable_irq",
            "enable_irq",
            "free_irq",
            "raise",
            "request_irq",
            "storm",
        ];
        assert_eq!(said, expected, "{}", kernel.name());
    }
}

#[test]
fn a_controller_storms_until_it_is_calm() {
    // The device behind the interrupt is a controller, which has events of its own, and is reset meanwhile.
    for kernel in KernelVersion::ALL {
        let d = "/sys/kernel/debug/irqlab";
        let storm = format!("echo 26 > {d}/storm\nsleep 0.01\n");
        let count = |script: &str| {
            let lab = run(&machine(*kernel, 2, 0), &format!("{script}cat /proc/interrupts\n"));
            let text = lab.terminal.join("\n");
            let row =
                text.lines().find(|line| line.trim_start().starts_with("26:")).expect("a row").to_owned();
            row.split_whitespace().skip(1).map_while(|n| n.parse::<u64>().ok()).sum::<u64>()
        };
        // One message in 10 us, for 10 ms and the milliseconds of the two commands.
        let first = count(&storm);
        assert!((1100..=1300).contains(&first), "{}: {first}", kernel.name());
        let calm = count(&format!("{storm}echo 26 > {d}/calm\nsleep 1\n"));
        assert!(calm < first + 150, "{}: {first} and {calm}", kernel.name());
        let reset = format!("{storm}echo 1 > /sys/class/nvme/nvme0/reset_controller\nsleep 0.01\n");
        // The interrupt that it has then is a new one.
        assert!(count(&reset) > 1000, "{}", kernel.name());
    }
}
