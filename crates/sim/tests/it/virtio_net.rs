//! A network device of virtio: its interrupts, which are not managed and follow hints, under both kernels,
//! with all invariants checked after every step.

use kstate::semantics::KernelVersion;
use kstate::{Irq, Kernel};
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// A machine with 5 CPUs.
fn machine(kernel: KernelVersion, pairs: u32, vectors: u32) -> Machine {
    let kernel = kernel.name();
    let text = format!(
        "kernel = \"{kernel}\"
[cpus]
possible = 5
[[pci]]
address = \"0000:00:04.0\"
model = \"virtio-net\"
queue_pairs = {pairs}
msix_vectors = {vectors}
intx_gsi = 20
"
    );
    Machine::parse("machine.toml", &text).expect("a machine")
}

/// Runs a command, and what it leads to, to the end.
fn run(lab: &mut Lab, command: &str) {
    let script = Script::parse("script.sh", &format!("{command}\nsleep 1\n")).expect("a script");
    let said = lab.terminal.len();
    lab.run_each(&script, |k| assert_eq!(check_invariants(k), Ok(())), |_, _| {});
    assert_eq!(lab.terminal[said..], [] as [String; 0], "{command}");
}

/// The interrupts of the device with their names, by number.
fn interrupts(k: &Kernel) -> Vec<(Irq, String)> {
    let named = k.for_each_irq().filter_map(|irq| Some((irq, k.desc(irq).action.first()?.name.to_string())));
    named.filter(|(_, name)| name.starts_with("virtio")).collect()
}

/// What a file below /proc/irq says for each interrupt but the first, which is for the configuration.
fn each(lab: &Lab, file: &str) -> Vec<String> {
    let file = irqcore::proc::FILES.iter().find(|f| f.name == file).expect("a file");
    let irqs = interrupts(&lab.k);
    irqs.iter().skip(1).map(|(irq, _)| (file.show)(&lab.k, lab.k.desc(*irq)).trim().to_owned()).collect()
}

/// How often an interrupt was taken.
fn taken(k: &Kernel, irq: Irq) -> u32 {
    k.desc(irq).kstat_irqs.sum()
}

#[test]
fn every_queue_but_the_control_queue_has_an_interrupt_and_a_hint() {
    for kernel in KernelVersion::ALL {
        let lab = Lab::boot(&machine(*kernel, 2, 5));
        let names: Vec<String> = interrupts(&lab.k).into_iter().map(|(_, name)| name).collect();
        let expect = ["config", "input.0", "output.0", "input.1", "output.1"];
        assert_eq!(names, expect.map(|name| format!("virtio0-{name}")), "{kernel:?}");
        // Five CPUs for two pairs: the first gets one more.
        let hints = ["07", "07", "18", "18"];
        assert_eq!(each(&lab, "affinity_hint"), hints, "{kernel:?}");
        // A hint of these releases is an order too.
        assert_eq!(each(&lab, "smp_affinity"), hints, "{kernel:?}");
        let managed =
            lab.k.for_each_irq().filter(|irq| lab.k.desc(*irq).has(kstate::irqdesc::IRQD_AFFINITY_MANAGED));
        assert_eq!(managed.count(), 0, "{kernel:?}");
    }
}

#[test]
fn a_packet_interrupts_through_the_vector_of_its_queue() {
    for kernel in KernelVersion::ALL {
        let mut lab = Lab::boot(&machine(*kernel, 2, 5));
        let irqs = interrupts(&lab.k);
        let (input, output) = (irqs[3].0, irqs[4].0);
        for n in 1..=300 {
            run(&mut lab, &format!("echo {input} > /sys/kernel/debug/irqlab/raise"));
            assert_eq!((taken(&lab.k, input), taken(&lab.k, output)), (n, 0), "{kernel:?}");
            // A packet that was handled counts as such: nobody would disable this interrupt.
            assert_eq!(lab.k.desc(input).irqs_unhandled, 0, "{kernel:?}");
        }
        // Buffers that were used are replaced.
        assert!(lab.k.virtio.vq(kstate::VirtioId(0), 2).is_some_and(|vq| vq.num_free <= 33), "{kernel:?}");
    }
}

#[test]
fn hints_follow_the_cpus_that_are_online() {
    for kernel in KernelVersion::ALL {
        let mut lab = Lab::boot(&machine(*kernel, 2, 5));
        run(&mut lab, "echo 0 > /sys/devices/system/cpu/cpu1/online");
        assert_eq!(each(&lab, "affinity_hint"), ["05", "05", "18", "18"], "{kernel:?}");
        run(&mut lab, "echo 0 > /sys/devices/system/cpu/cpu4/online");
        assert_eq!(each(&lab, "affinity_hint"), ["05", "05", "08", "08"], "{kernel:?}");
        run(&mut lab, "echo 1 > /sys/devices/system/cpu/cpu1/online");
        assert_eq!(each(&lab, "smp_affinity"), ["03", "03", "0c", "0c"], "{kernel:?}");
    }
}

#[test]
fn queues_share_what_vectors_there_are() {
    for kernel in KernelVersion::ALL {
        let mut lab = Lab::boot(&machine(*kernel, 2, 3));
        let names: Vec<String> = interrupts(&lab.k).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["virtio0-config", "virtio0-virtqueues"], "{kernel:?}");
        let irq = interrupts(&lab.k)[1].0;
        run(&mut lab, &format!("echo {irq} > /sys/kernel/debug/irqlab/raise"));
        assert_eq!((taken(&lab.k, irq), lab.k.desc(irq).irqs_unhandled), (1, 0), "{kernel:?}");
        let lab = Lab::boot(&machine(*kernel, 2, 0));
        let names: Vec<String> = interrupts(&lab.k).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["virtio0"], "{kernel:?}");
    }
}

#[test]
fn unbinding_gives_everything_back() {
    for kernel in KernelVersion::ALL {
        let mut lab = Lab::boot(&machine(*kernel, 3, 7));
        let before = (interrupts(&lab.k), lab.k.vector_matrix.global_available);
        run(&mut lab, "echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/unbind");
        assert_eq!(interrupts(&lab.k), [], "{kernel:?}");
        assert!(lab.k.hw.virtio[0].memory == Default::default(), "{kernel:?}");
        // Nobody hears of a CPU any more.
        run(&mut lab, "echo 0 > /sys/devices/system/cpu/cpu1/online");
        run(&mut lab, "echo 1 > /sys/devices/system/cpu/cpu1/online");
        run(&mut lab, "echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/bind");
        assert_eq!((interrupts(&lab.k), lab.k.vector_matrix.global_available), before, "{kernel:?}");
    }
}

/// virtio-pci registers all devices before a driver's module is loaded: the numbers go by addresses, whoever has its
/// interrupts first.
#[test]
fn numbers_go_by_addresses_and_not_by_modules() {
    for kernel in KernelVersion::ALL {
        let mut text = format!(
            "kernel = \"{}\"\n[cpus]\npossible = 2\n\
             [[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 1\nmsix_vectors = 2\nintx_gsi = 23\n\
             [[pci]]\naddress = \"0000:00:04.0\"\nmodel = \"virtio-blk\"\nrequest_queues = 1\nmsix_vectors = 2\nintx_gsi = 20\n\
             [[pci]]\naddress = \"0000:00:05.0\"\nmodel = \"virtio-net\"\nqueue_pairs = 1\nmsix_vectors = 0\nintx_gsi = 21\n",
            kernel.name()
        );
        // The controller's interrupts come first, then those of the disk; the network device has its line alone.
        let first = if *kernel == KernelVersion::V5_4 { 33 } else { 32 };
        let listed = [
            (24, "nvme0q0", 3, 0, 0, first + 1),
            (25, "nvme0q1", 3, 1, 1, first + 1),
            (26, "virtio0-config", 4, 0, 1, first + 3),
            (27, "virtio0-req.0", 4, 1, 0, first),
        ];
        for (irq, name, slot, index, cpu, vector) in listed {
            let managed = index == 1;
            text += &format!(
                "[[boot.interrupt]]\nirq = {irq}\nname = \"{name}\"\ndevice = \"0000:00:0{slot}.0\"\nindex = {index}\n\
                 cpu = {cpu}\nvector = {vector}\nmanaged = {managed}\n"
            );
        }
        let lab = Lab::boot(&Machine::parse("machine.toml", &text).expect("a machine"));
        let expect = [(21, "virtio1"), (26, "virtio0-config"), (27, "virtio0-req.0")];
        let expect = expect.map(|(irq, name)| (Irq(irq), name.to_owned()));
        assert_eq!(interrupts(&lab.k), expect, "{kernel:?}");
    }
}
