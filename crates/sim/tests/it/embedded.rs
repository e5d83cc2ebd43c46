//! The embedded case: what the project's first documents say, and what must hold at every step.

use std::hash::{DefaultHasher, Hash, Hasher};

use kstate::irqdesc::{IRQD_AFFINITY_MANAGED, IRQD_MANAGED_SHUTDOWN};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::trace::What;
use kstate::{Irq, Kernel};
use record::stacks;
use sim::engine;
use sim::invariants::check_invariants;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;
use sim::state::Sections;

const SCRIPT: &str = "\
#: flow unbind
echo 0000:00:03.0 > /sys/bus/pci/drivers/nvme/unbind
sleep 2
#: end
#: events bind
echo 0000:00:03.0 > /sys/bus/pci/drivers/nvme/bind
sleep 6
#: end
echo 0 > /sys/devices/system/cpu/cpu3/online
taskset -c 5 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2 skip=40 iflag=direct
echo 1 > /sys/devices/system/cpu/cpu3/online
#: state end
";

fn hash(k: &Kernel) -> u64 {
    let mut hasher = DefaultHasher::new();
    k.hash(&mut hasher);
    hasher.finish()
}

fn script() -> Script {
    Script::parse("embedded.sh", SCRIPT).expect("a script")
}

/// `assert_snapshot!` into the workspace's folder of a kernel. The description says what was run on what.
fn snapshot(version: KernelVersion, machine: &str, script: &str, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("../../../../tests/snapshots/{}", version.name()));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(format!("kernel {}, {machine}, {script}", version.name()));
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// What snapshots call the machine of most tests.
const EMBEDDED: &str = "the embedded machine";

/// A step of the run, and what the machine's state hashed to after it.
fn hashes(version: KernelVersion) -> Vec<u64> {
    let mut hashes = Vec::new();
    let mut step = |k: &Kernel| {
        if let Err(broken) = check_invariants(k) {
            panic!("{} after {} steps: {broken}", version.name(), hashes.len());
        }
        hashes.push(hash(k));
    };
    let machine = Machine::embedded(version);
    let k = sim::boot::boot_each(&machine, Semantics::of(version), true, &mut step);
    let mut lab = Lab::on(k);
    lab.run_each(&script(), step, |_, _| {});
    assert_eq!(lab.terminal, [""; 0]);
    hashes
}

#[test]
fn invariants_hold_and_hashes_agree_after_every_step() {
    for &version in KernelVersion::ALL {
        let first = hashes(version);
        assert!(first.len() > 400, "{} steps", first.len());
        assert_eq!(first, hashes(version));
    }
}

#[test]
fn a_copied_state_goes_the_same_way() {
    let machine = Machine::embedded(KernelVersion::V5_4);
    let mut lab = Lab::boot(&machine);
    // The copy is taken in the middle of nvme_reset_work(): it is a task with frames on its stack.
    let unbind = Script::parse("unbind.sh", "echo 1 > /sys/class/nvme/nvme0/reset_controller").unwrap();
    let mut copy = None;
    let mut after = 0;
    lab.run_each(
        &unbind,
        |k| {
            if copy.is_none() && k.sched.tasks.iter().any(|t| t.frames.len() > 3) {
                copy = Some(k.clone());
            } else if copy.is_some() {
                after += 1;
            }
        },
        |_, _| {},
    );
    let mut copy = copy.expect("a moment in the middle of a reset");
    assert_ne!(copy, lab.k);
    let mut steps = 0;
    engine::run_until(&mut copy, lab.k.events.now, &mut |_| steps += 1);
    assert_eq!(steps, after);
    assert_eq!(copy, lab.k);
    assert_eq!(hash(&copy), hash(&lab.k));
}

/// The masks of a device's vectors in the notation of the note the project began with.
fn masks(k: &Kernel) -> String {
    let mut descs: Vec<_> = k.msi.descs.iter().map(|(_, d)| d).collect();
    descs.sort_by_key(|d| d.entry_nr);
    let line = |(i, d): (usize, &&kstate::msi::MsiDesc)| {
        let affinity = d.affinity.as_ref().and_then(|a| a.first());
        let mask = affinity.map_or_else(|| k.irq.default_affinity.list(), |a| a.mask.list());
        let managed = u8::from(affinity.is_some_and(|a| a.is_managed));
        let what = if i == 0 { "(admin)" } else { "(io)" };
        format!("{i} {what:<7} : masks[{i}].mask={mask}, is_managed={managed}\n")
    };
    descs.iter().enumerate().map(line).collect()
}

#[test]
fn nine_nvme_vectors_on_eight_cpus() {
    for &version in KernelVersion::ALL {
        let lab = Lab::boot(&Machine::embedded(version));
        snapshot(version, EMBEDDED, "boot only", "masks-nvme-9-vectors", &masks(&lab.k));
    }
}

#[test]
fn five_virtio_blk_vectors_on_eight_cpus() {
    for &version in KernelVersion::ALL {
        let text = format!(
            "kernel = \"{}\"\n[cpus]\npossible = 8\n[[pci]]\naddress = \"0000:00:04.0\"\n\
             model = \"virtio-blk\"\nrequest_queues = 4\nmsix_vectors = 5\nintx_gsi = 20\n",
            version.name()
        );
        let lab = Lab::boot(&Machine::parse("virtio.toml", &text).expect("a machine"));
        let machine = "8 CPUs and a virtio-blk disk with 4 queues";
        snapshot(version, machine, "boot only", "masks-virtio-blk-5-vectors", &masks(&lab.k));
    }
}

/// The function that composes a message, and frames that stand on its stack in this order when request_irq()
/// composes the message of an I/O queue. 5.4 composes it when it sets the affinity, which is the stack of the
/// note; the compiler had inlined what stands in between. 6.12 sets the affinity first and composes on activation.
const COMPOSED: [(KernelVersion, &str, &[&str]); 2] = [
    (
        KernelVersion::V5_4,
        "irq_msi_compose_msg",
        &[
            "irq_msi_compose_msg",
            "irq_chip_compose_msi_msg",
            "msi_domain_set_affinity",
            "irq_do_set_affinity",
            "irq_startup",
            "__setup_irq",
            "request_threaded_irq",
            "pci_request_irq",
            "queue_request_irq",
            "nvme_create_io_queues",
            "nvme_reset_work",
            "process_one_work",
            "worker_thread",
            "kthread",
        ],
    ),
    (
        KernelVersion::V6_12,
        "x86_vector_msi_compose_msg",
        &[
            "x86_vector_msi_compose_msg",
            "irq_chip_compose_msi_msg",
            "msi_domain_activate",
            "irq_domain_activate_irq",
            "__irq_startup_managed",
            "irq_startup",
            "__setup_irq",
            "request_threaded_irq",
            "pci_request_irq",
            "queue_request_irq",
            "nvme_create_io_queues",
            "nvme_probe",
        ],
    ),
];

#[test]
fn the_stacks_on_which_a_message_is_composed() {
    for (version, composer, frames) in COMPOSED {
        let lab = Lab::boot(&Machine::embedded(version));
        let found = stacks::reaching(&lab.k.trace, composer, lab.functions());
        let shows = |stack: &&stacks::Stack| {
            let mut rest = stack.frames.iter();
            frames.iter().all(|frame| rest.any(|f| f == frame))
        };
        let note = found.iter().find(shows).expect("request_irq() of an I/O queue composes a message");
        snapshot(version, EMBEDDED, "boot only", &format!("stack-{composer}"), &stacks::print(note));
    }
}

#[test]
fn every_writer_of_irq_cfg_is_apic_update_irq_cfg() {
    for &version in KernelVersion::ALL {
        let mut lab = Lab::boot(&Machine::embedded(version));
        lab.run(&script(), |_| Sections::default());
        let mut writers: Vec<String> = stacks::reaching(&lab.k.trace, "vector_config", lab.functions())
            .iter()
            .map(|s| s.frames.iter().take(2).map(|f| &**f).collect::<Vec<_>>().join(" < "))
            .collect();
        writers.sort();
        writers.dedup();
        let text = writers.join("\n");
        snapshot(version, EMBEDDED, "embedded.sh of this test", "writers-of-irq_cfg", &text);
        assert!(writers.iter().all(|w| w.starts_with("apic_update_irq_cfg")));
    }
}

#[test]
fn alloc_descs_marks_managed_interrupts() {
    let managed = IRQD_AFFINITY_MANAGED | IRQD_MANAGED_SHUTDOWN;
    for &version in KernelVersion::ALL {
        let mut k = Lab::boot(&Machine::embedded(version)).k;
        let affinity =
            kstate::msi::IrqAffinityDesc { mask: kstate::CpuMask::of(kstate::CpuId(3)), is_managed: true };
        let mark = k.trace.records.len();
        let irq = irqcore::irqdesc::__irq_alloc_descs(&mut k, None, 64, 1, -1, Some(&[affinity]))
            .expect("a number");
        assert_eq!(k.desc(irq).state() & managed, managed);
        let within = k.trace.records[mark..]
            .iter()
            .any(|r| matches!(r.what, What::Enter { meta, .. } if meta.name == "alloc_descs"));
        assert!(within, "alloc_descs() was called");
        // An unmanaged one has neither bit.
        let irq: Irq = irqcore::irqdesc::__irq_alloc_descs(&mut k, None, 64, 1, -1, None).expect("a number");
        assert_eq!(k.desc(irq).state() & managed, 0);
    }
}
