//! Every field of `Semantics` makes a difference that can be seen.
//!
//! A row boots a small machine twice, as one of the kernels and with the field set to its other
//! value, does the same on both and says what only one of them shows. Where a field matters only in
//! special circumstances, the row's preparation makes them.

use std::fmt::Write as _;

use irqcore::affinity::irq_create_affinity_masks;
use irqcore::irqdomain::__irq_domain_alloc_irqs;
use irqcore::manage::request_threaded_irq;
use irqcore::matrix::{irq_matrix_alloc, irq_matrix_free, irq_matrix_reserve};
use kstate::apic::MpcIntsrc;
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IrqReturn, Irqd};
use kstate::irqdomain::IrqAllocInfo;
use kstate::isolation::HkType;
use kstate::msi::IrqAffinity;
use kstate::nvme::NvmeCtrlState;
use kstate::oracle::Oracle;
use kstate::semantics::KernelVersion::{self, V5_4, V6_12, V7_3};
use kstate::semantics::Semantics;
use kstate::trace::What;
use kstate::{CpuId, CpuMask, DomainId, Irq, Kernel, NvmeId, PciDevId, VirtioId};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;
use sim::state::{self, Sections};

// ---- machines ----

/// A machine file, in parts.
#[derive(Clone, Copy)]
struct Pc {
    cmdline: &'static str,
    cpus: &'static str,
    devices: &'static [&'static str],
}

const CPUS_4: &str = "possible = 4\npresent = 4\ncores_per_socket = 4\n";
const CPUS_2: &str = "possible = 2\npresent = 2\ncores_per_socket = 2\n";
const REMAPPED: &str = "possible = 4\npresent = 4\ncores_per_socket = 4\ninterrupt_remapping = true\n";
const PLUGGABLE: &str = "possible = 4\npresent = 2\ncores_per_socket = 4\n";
const TWO_NODES: &str = "possible = 4\npresent = 4\ncores_per_socket = 4\nnodes = [\"0-1\", \"2-3\"]\n";
const THREADS: &str = "possible = 4\ncores_per_socket = 2\nthreads_per_core = 2\n";
const THREE_NODES: &str =
    "possible = 6\npresent = 4\ncores_per_socket = 6\nnodes = [\"0-1\", \"2-4\", \"5\"]\n";
const FOUR_NODES: &str =
    "possible = 8\npresent = 8\ncores_per_socket = 8\nnodes = [\"0-1\", \"2-3\", \"4-5\", \"6-7\"]\n";

const NVME: &str =
    "model = \"nvme\"\naddress = \"0000:00:03.0\"\nio_queue_pairs_max = 4\nmsix_vectors = 5\nintx_gsi = 23\n";
const NVME_LINELESS: &str =
    "model = \"nvme\"\naddress = \"0000:00:03.0\"\nio_queue_pairs_max = 4\nmsix_vectors = 5\n";
const NVME_2: &str =
    "model = \"nvme\"\naddress = \"0000:00:03.0\"\nio_queue_pairs_max = 2\nmsix_vectors = 3\nintx_gsi = 23\n";
const NVME_6: &str =
    "model = \"nvme\"\naddress = \"0000:00:03.0\"\nio_queue_pairs_max = 6\nmsix_vectors = 7\nintx_gsi = 23\n";
const DISK: &str = "model = \"virtio-blk\"\naddress = \"0000:00:04.0\"\nrequest_queues = 2\nmsix_vectors = 3\nintx_gsi = 20\n";
/// Its queues share a vector.
const SHARED_DISK: &str = "model = \"virtio-blk\"\naddress = \"0000:00:04.0\"\nrequest_queues = 2\nmsix_vectors = 2\nintx_gsi = 20\n";
const SINGLE_DISK: &str = "model = \"virtio-blk\"\naddress = \"0000:00:04.0\"\nrequest_queues = 1\nmsix_vectors = 2\nintx_gsi = 20\n";
/// It has a line only.
const LINE_DISK: &str = "model = \"virtio-blk\"\naddress = \"0000:00:04.0\"\nrequest_queues = 2\nmsix_vectors = 0\nintx_gsi = 20\n";

const PC: Pc = Pc { cmdline: "", cpus: CPUS_4, devices: &[NVME, DISK] };
const BARE: Pc = Pc { cmdline: "", cpus: CPUS_2, devices: &[] };
const IR: Pc = Pc { cpus: REMAPPED, ..PC };
/// Half of each interrupt's CPUs are isolated: 1 and 3.
const ISOLATED: Pc = Pc { cmdline: "isolcpus=managed_irq,domain,1,3", cpus: CPUS_4, devices: &[NVME_2] };

impl Pc {
    fn machine(&self, kernel: KernelVersion) -> Machine {
        let mut text =
            format!("kernel = \"{}\"\ncmdline = \"{}\"\n[cpus]\n{}", kernel.name(), self.cmdline, self.cpus);
        for device in self.devices {
            let _ = write!(text, "[[pci]]\n{device}");
        }
        Machine::parse("machine.toml", &text).expect("a machine")
    }
}

/// Interrupts with their names, of which the newest are in a small buffer.
const FULL_BUFFER: &str = "echo 1 > /proc/irq/24/smp_affinity
echo 24 > /sys/kernel/debug/irqlab/raise
echo 40 > /sys/kernel/tracing/buffer_size_kb
echo function_graph > /sys/kernel/tracing/current_tracer
for i in a b c d e f g h j k l m n o p q r s t u v w x y z; do
for j in 1 2 3 4; do
echo $i$j > /sys/kernel/tracing/trace_marker
echo 24 > /sys/kernel/debug/irqlab/raise
done
done
cat /sys/kernel/tracing/trace
";

// ---- what is seen ----

/// Where a difference shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Look {
    /// Entries of functions and tracepoints since power-on, one a line, with a line for whoever runs.
    Trace,
    /// /proc, debugfs and the MSI-X tables at the end.
    State,
    /// What the script and the row's preparation printed.
    Terminal,
    /// The kernel log.
    Log,
}

/// What one machine showed.
struct Seen {
    trace: String,
    state: String,
    terminal: String,
    log: String,
}

impl Seen {
    fn at(&self, look: Look) -> &str {
        match look {
            Look::Trace => &self.trace,
            Look::State => &self.state,
            Look::Terminal => &self.terminal,
            Look::Log => &self.log,
        }
    }
}

const EVERYTHING: Sections = Sections { topology: true, queues: true };

fn observe(row: &Row, semantics: Semantics) -> Seen {
    let mut lab = Lab::boot_with(&row.pc.machine(row.base), semantics, true);
    (row.prepare)(&mut lab);
    sh(&mut lab, row.script);
    let mut state = state::text(&mut lab.k, EVERYTHING);
    state.push_str(&state::msix_text(&lab.k));
    for (name, domain) in domain_files(&lab.k) {
        let _ = write!(state, "=== {name}\n{}", irqcore::debugfs::irq_domain_debug_show(&lab.k, domain));
    }
    Seen { trace: trace(&lab.k), state, terminal: lab.terminal.join("\n"), log: lab.k.log.join("\n") }
}

/// The files of debugfs' `domains/`: names and domains, and `default` for the default one.
fn domain_files(k: &Kernel) -> Vec<(String, DomainId)> {
    let named = k.irq.domains.iter().enumerate();
    let named = named.filter_map(|(i, d)| d.as_ref().map(|d| (d.name.clone(), DomainId(i as u32))));
    let default = k.irq.default_domain.map(|id| ("default".to_owned(), id));
    default.into_iter().chain(named).collect()
}

fn trace(k: &Kernel) -> String {
    let mut text = String::new();
    let mut running = None;
    for record in &k.trace.records {
        let line = match record.what {
            What::Enter { meta, .. } => meta.name.to_owned(),
            What::Exit { .. } => continue,
            What::Tracepoint(tracepoint) => format!("@ {tracepoint}"),
            What::Warn(warning) => format!("! {warning}"),
            What::Hardware(_) => continue,
        };
        if running.replace((record.ctx, record.cpu)) != Some((record.ctx, record.cpu)) {
            let _ = writeln!(text, "# {:?} on CPU {}", k.trace.ctxs[record.ctx].actor, record.cpu);
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

// ---- rows ----

struct Row {
    field: &'static str,
    base: KernelVersion,
    pc: Pc,
    /// Fields that both machines have set, without which the row's field does not matter.
    given: &'static [(&'static str, &'static str)],
    prepare: fn(&mut Lab),
    script: &'static str,
    /// Text that only the base shows, and text that only the other value shows; an empty one is not
    /// looked for.
    differs: &'static [(Look, &'static str, &'static str)],
}

const fn row(
    field: &'static str,
    base: KernelVersion,
    pc: Pc,
    script: &'static str,
    differs: &'static [(Look, &'static str, &'static str)],
) -> Row {
    Row { field, base, pc, given: &[], prepare: |_| {}, script, differs }
}

impl Row {
    const fn prepared(self, prepare: fn(&mut Lab)) -> Self {
        Self { prepare, ..self }
    }

    const fn given(self, given: &'static [(&'static str, &'static str)]) -> Self {
        Self { given, ..self }
    }
}

/// A value that a kernel does not have: another kernel's, or else another release's.
fn other(field: &str, base: KernelVersion) -> &'static str {
    let field = Semantics::named(field).expect("a field");
    let kernels = KernelVersion::ALL.iter().map(|version| field.of(*version));
    let releases = field.values.iter().map(|value| value.word);
    kernels.chain(releases).find(|word| *word != field.of(base)).expect("two values")
}

/// The lines around the first difference, for a row that does not hold.
fn where_they_part(a: &str, b: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.lines().collect(), b.lines().collect());
    let at = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let around = |lines: &[&str]| {
        lines[at.saturating_sub(2).min(lines.len())..(at + 6).min(lines.len())].join("\n    ")
    };
    format!("base:\n    {}\n  set:\n    {}", around(&a), around(&b))
}

fn check(row: &Row) -> Result<(), String> {
    let Row { field, base, .. } = row;
    let value = other(field, *base);
    let mut kernel = Semantics::of(*base);
    for (given, value) in row.given {
        kernel.set(given, value).expect("a value of the field");
    }
    let mut semantics = kernel.clone();
    semantics.set(field, value).expect("a value of the field");
    semantics.check().map_err(|e| format!("{field}={value} on {} is refused: {e}", base.name()))?;
    let (kernel, experiment) = (observe(row, kernel), observe(row, semantics));
    for &(look, only_base, only_set) in row.differs {
        let (a, b) = (kernel.at(look), experiment.at(look));
        for (what, text, there, elsewhere) in [("base", only_base, a, b), ("set", only_set, b, a)] {
            if !text.is_empty() && (!there.contains(text) || elsewhere.contains(text)) {
                return Err(format!(
                    "{field}={value} on {}: `{text}` is not only in the {look:?} of {what}\n  {}",
                    base.name(),
                    where_they_part(a, b)
                ));
            }
        }
    }
    if row.differs.iter().all(|(_, base, set)| base.is_empty() && set.is_empty()) {
        return Err(format!("{field}: the row says nothing"));
    }
    Ok(())
}

// ---- what rows are made of ----

/// Runs a script, and lets everything settle that it has set off.
fn sh(lab: &mut Lab, script: &str) {
    let script = Script::parse("script.sh", script).expect("a script");
    lab.run(&script, |_| EVERYTHING);
}

/// Lets everything happen that is due within a second.
fn settle(lab: &mut Lab) {
    sh(lab, "sleep 1\n");
}

fn print(lab: &mut Lab, text: impl core::fmt::Display) {
    lab.terminal.push(text.to_string());
}

/// The interrupt with this action.
fn irq_of(k: &Kernel, action: &str) -> Irq {
    let has = |irq: &Irq| k.desc(*irq).action.iter().any(|a| *a.name == *action);
    k.for_each_irq().find(has).unwrap_or_else(|| panic!("no {action}"))
}

/// Raises virtio0-config once: the host resizes the disk.
fn resize_disk(lab: &mut Lab) {
    let capacity = drivers::virtio_blk::hw::config(&lab.k.hw.virtio[0]).capacity + 8;
    drivers::virtio_blk::hw::set_capacity(&mut lab.k, VirtioId(0), capacity);
    settle(lab);
}

/// Takes vectors of a CPU away until `left` are available.
fn fill(k: &mut Kernel, cpu: CpuId, left: u32) {
    while k.vector_matrix.maps[cpu.index()].available > left {
        let vector = irq_matrix_alloc(k, &CpuMask::of(cpu), false, &mut CpuId::default());
        vector.expect("a CPU that says it has a vector");
    }
}

/// How often a function was entered.
fn calls(k: &Kernel, name: &str) -> usize {
    let entered = |what: &What| matches!(what, What::Enter { meta, .. } if meta.name == name);
    k.trace.records.iter().filter(|record| entered(&record.what)).count()
}

const UNBIND_NVME: &str = "echo 0000:00:03.0 > /sys/bus/pci/drivers/nvme/unbind\nsleep 1\n";
const REBIND_DISK: &str = "echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/unbind
sleep 1
echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/bind
sleep 2
";
const OFF_ON_1: &str =
    "echo 0 > /sys/devices/system/cpu/cpu1/online\necho 1 > /sys/devices/system/cpu/cpu1/online\n";
const OFF_3: &str = "echo 0 > /sys/devices/system/cpu/cpu3/online\nsleep 1\n";
const OFF_ON_3: &str = "echo 0 > /sys/devices/system/cpu/cpu3/online
sleep 1
echo 1 > /sys/devices/system/cpu/cpu3/online
sleep 1
";

fn nothing(_: &mut Kernel, _: Irq, _: DevId) -> IrqReturn {
    IrqReturn::Handled
}

/// A handler that wants to be threaded and forgets that its line has to stay masked meanwhile.
fn request_without_oneshot(lab: &mut Lab) {
    let handler = Handler { name: "nothing", call: nothing };
    let result =
        request_threaded_irq(&mut lab.k, Irq(5), None, Some(handler), 0, "tester", DevId::Platform(5));
    print(lab, format!("{result:?}"));
}

/// The device says that it is near node 0 and its interrupts may go to CPU 3 of node 1 only.
fn far_from_its_affinity(lab: &mut Lab) {
    sh(
        lab,
        "echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/unbind\nsleep 1\necho 8 > /proc/irq/default_smp_affinity\n",
    );
    lab.k.pci_dev_mut(PciDevId(0)).node = 0;
    sh(lab, "echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/bind\nsleep 1\n");
}

const SEMANTICS: &[Row] = &[
    row(
        "madt_absent_cpus_possible",
        V5_4,
        Pc { cpus: PLUGGABLE, ..BARE },
        "",
        &[(
            Look::State,
            "=== /sys/devices/system/cpu/possible\n0-3\n",
            "=== /sys/devices/system/cpu/possible\n0-1\n",
        )],
    ),
    row(
        "disableapic",
        V6_12,
        Pc { cmdline: "disableapic", ..BARE },
        "cat /proc/interrupts\n",
        &[(Look::Terminal, "XT-PIC", "IO-APIC"), (Look::Log, "", "parameters \"disableapic\", will be")],
    ),
    row(
        "mitigations_attack_vectors",
        V6_12,
        Pc { cmdline: "mitigations=auto,no_user_user", ..BARE },
        "",
        &[(Look::Log, "Unsupported mitigations=auto,no_user_user", "")],
    ),
    row(
        "acpi_irq_threaded",
        V5_4,
        BARE,
        "",
        &[(Look::State, "", "IRQS_ONESHOT"), (Look::Trace, "", "\nirq_thread\n")],
    ),
    row("first_system_vector", V5_4, BARE, "", &[(Look::State, "236-255\n", "235-255\n")]),
    row(
        "cluster_sysfs",
        V5_4,
        BARE,
        "cat /sys/devices/system/cpu/cpu1/topology/cluster_id\n",
        &[(Look::Terminal, "No such file or directory", "65535")],
    ),
    row("thermal_vector", V6_12, BARE, "", &[(Look::State, "Thermal event interrupts", "")]),
    row("kvm_vectors", V5_4, BARE, "", &[(Look::State, "Posted-interrupt notification event", "")]),
    row(
        "idt_fills_system_vectors",
        V5_4,
        BARE,
        "",
        &[(Look::State, "50,236-255\n", "50,236,240-242,246-248,251-255\n")],
    ),
    row("idt_has_control_protection", V5_4, BARE, "", &[(Look::State, ": 0-17,19,32", ": 0-17,19,21,32")]),
    // In 5.4 the remapping unit has its interrupt in any case.
    row("intel_iommu_default_on", V6_12, IR, "", &[(Look::State, "DMAR-MSI", "")]),
    row(
        "spread",
        V5_4,
        Pc { cpus: THREE_NODES, devices: &[NVME_2], ..PC },
        "",
        &[(
            // The second node has a CPU that is there and one that is not: 5.4 gives it to both queues.
            Look::State,
            "mq/0/cpu_list\n0, 1\n",
            "mq/0/cpu_list\n0, 1, 4\n",
        )],
    ),
    row(
        "sort_extracts_two",
        V5_4,
        Pc { cpus: FOUR_NODES, devices: &[NVME_6], ..PC },
        "",
        &[(Look::State, "node:     2\naffinity: 4-5\n", "node:     3\naffinity: 6-7\n")],
    ),
    row(
        "spread_by_cluster",
        V6_12,
        Pc { devices: &[NVME], ..PC },
        "",
        &[(Look::State, "mq/0/cpu_list\n0\n", "mq/0/cpu_list\n1\n")],
    ),
    row(
        "spread_reports_masks",
        V6_12,
        BARE,
        "",
        &[
            (Look::Terminal, ",1=1,2=,", ",1=1,2=0-1,"),
            (Look::Log, "at lib/group_cpus.c group_cpus_evenly", ""),
        ],
    )
    .prepared(|lab| {
        let mut affd = IrqAffinity::default();
        let masks = irq_create_affinity_masks(&mut lab.k, 4, &mut affd).expect("masks");
        let text = masks.iter().enumerate().map(|(i, desc)| format!(",{i}={}", desc.mask.list()));
        print(lab, text.collect::<String>());
    }),
    row(
        "map_hw_queues",
        V6_12,
        PC,
        "",
        &[
            (Look::Trace, "\nblk_mq_pci_map_queues\n", "\nblk_mq_map_hw_queues\n"),
            (Look::Trace, "\nblk_mq_virtio_map_queues\n", ""),
        ],
    ),
    row(
        "matrix_allocated_counts_managed",
        V5_4,
        Pc { cpus: CPUS_2, devices: &[NVME_2], ..PC },
        "echo 0 > /sys/devices/system/cpu/cpu1/online\n",
        &[
            (Look::Terminal, "No space left on device", ""),
            (Look::Log, "Cannot disable CPU", "CPU 1 is now offline"),
        ],
    )
    .prepared(|lab| {
        // CPU 0 has room for the interrupts of CPU 1 that have to move, and not for one more.
        let cpu1 = &lab.k.vector_matrix.maps[1];
        let to_move = cpu1.allocated - cpu1.managed_allocated;
        fill(&mut lab.k, CpuId(0), to_move);
    }),
    row(
        "matrix_reserve_compares_equal",
        V5_4,
        BARE,
        "",
        &[(Look::Log, "", "Interrupt reservation exceeds available resources")],
    )
    .prepared(|lab| {
        // Counters that were driven below zero, as a driver's mistakes can do.
        lab.k.vector_matrix.global_available = u32::MAX;
        lab.k.vector_matrix.global_reserved = u32::MAX;
        irq_matrix_reserve(&mut lab.k);
    }),
    row("matrix_alloc_refuses_empty_mask", V5_4, BARE, "", &[(Look::Terminal, "ENOSPC", "EINVAL")]).prepared(
        |lab| {
            let result = irq_matrix_alloc(&mut lab.k, &CpuMask::new(), false, &mut CpuId::default());
            print(lab, format!("{result:?}"));
        },
    ),
    row(
        "matrix_free_checks_bit",
        V5_4,
        BARE,
        "",
        &[
            (Look::Log, "", "WARNING: at kernel/irq/matrix.c irq_matrix_free"),
            (Look::Terminal, "1 allocated", "2 allocated"),
        ],
    )
    .prepared(|lab| {
        // A stray free of a CPU's vector.
        irq_matrix_free(&mut lab.k, CpuId(1), 0x40, false);
        let allocated = lab.k.vector_matrix.maps[1].allocated;
        print(lab, format!("{allocated} allocated"));
    }),
    row(
        "flat_apic",
        V5_4,
        PC,
        "",
        &[
            (Look::Trace, "\nflat_init_apic_ldr\n", ""),
            (Look::State, "addr_lo=0xfee08004", "addr_lo=0xfee03000"),
        ],
    ),
    row(
        "vector_cleanup",
        V5_4,
        PC,
        "echo 2 > /proc/irq/27/smp_affinity_list
         echo 1 > /sys/class/nvme/nvme0/rescan_controller
         sleep 1
         ",
        &[
            (Look::Trace, "\nsmp_irq_move_cleanup_interrupt\n", "\nvector_cleanup_callback\n"),
            (Look::State, "19,32,50,", "19,50,"),
        ],
    ),
    row(
        "activate_assigns_fixed",
        V5_4,
        BARE,
        "",
        &[(
            Look::Trace,
            "",
            "@ vector_activate: irq=0 is_managed=0 can_reserve=0 reserve=0\nassign_irq_vector_any_locked\n",
        )],
    ),
    row(
        "chip_data_update",
        V7_3,
        PC,
        UNBIND_NVME,
        &[
            (Look::Trace, "\nchip_data_update\n@ vector_update", "\napic_update_vector\n@ vector_update"),
            (Look::Trace, "\napic_free_vector\nirq_matrix_free\n", ""),
        ],
    ),
    row(
        "any_vector_node_last",
        V5_4,
        Pc { cpus: TWO_NODES, devices: &[SHARED_DISK], ..PC },
        "",
        &[(Look::Log, "Affinity broken due to vector space exhaustion", "")],
    )
    .prepared(far_from_its_affinity),
    row(
        "apic_affinity_needs_active",
        V5_4,
        IR,
        "echo 2 > /proc/irq/5/smp_affinity_list\n",
        &[
            (Look::Terminal, "", "write error: Input/output error"),
            (Look::Log, "", "WARNING: at arch/x86/kernel/apic/vector.c apic_set_affinity"),
        ],
    ),
    row("affinity_on_activate", V5_4, BARE, "", &[(Look::State, "", "IRQD_AFFINITY_ON_ACTIVATE")]),
    row(
        "warns_moved_managed",
        V6_12,
        ISOLATED,
        // The interrupt takes refuge on CPU 3, goes home when CPU 2 is back, and is raised there.
        "echo 0 > /sys/devices/system/cpu/cpu2/online
         sleep 1
         echo 1 > /sys/devices/system/cpu/cpu2/online
         sleep 1
         taskset -c 2 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=2 iflag=direct
         sleep 1
         ",
        &[(Look::Log, "", "WARNING: at arch/x86/kernel/apic/vector.c free_moved_vector")],
    ),
    row(
        "legacy_vectors_follow_ioapic",
        V5_4,
        Pc { cmdline: "noapic", ..BARE },
        "",
        &[(Look::State, "System: 41: 0-17,19,32,50,236-255", "48-63,236-255")],
    ),
    row("common_interrupt", V5_4, PC, "", &[(Look::Trace, "\ndo_IRQ\n", "\ncommon_interrupt\n")]),
    row(
        "legacy_irqs_level",
        V5_4,
        BARE,
        "",
        &[(Look::State, "dstate:   0x00030000", "dstate:   0x00032000")],
    ),
    row(
        "cpu0_hotplug",
        V5_4,
        Pc { cmdline: "cpu0_hotplug", ..PC },
        "echo 0 > /sys/devices/system/cpu/cpu0/online
         cat /sys/devices/system/cpu/online
         echo 1 > /sys/devices/system/cpu/cpu0/online
         ",
        &[(Look::Terminal, "1-3", "Permission denied"), (Look::Log, "CPU 0 is now offline", "")],
    ),
    row("isa_irq2_refused", V5_4, BARE, "", &[(Look::Terminal, "Ok(Irq(2))", "Err(EINVAL)")]).prepared(
        |lab| {
            // Firmware that leads pin 17 to IRQ 2.
            lab.k.apic.mp_irqs.push(MpcIntsrc { srcbusirq: 2, dstirq: 17, level_low: None });
            let alloc = x86apic::kernel::io_apic::IOAPIC_MAP_ALLOC;
            let result = x86apic::kernel::io_apic::mp_map_gsi_to_irq(&mut lab.k, 17, alloc, None);
            print(lab, format!("{result:?}"));
        },
    ),
    row(
        "ioapic_entry_from_msi",
        V6_12,
        IR,
        "",
        &[(Look::State, "", "IO-APIC-IR-0"), (Look::Trace, "\nfill_msi_msg\n", "")],
    ),
    row(
        "ioapic_move_keeps_masked",
        V5_4,
        Pc { cmdline: "threadirqs", cpus: CPUS_4, devices: &[LINE_DISK] },
        "echo 2 > /proc/irq/20/smp_affinity_list
         dd if=/dev/vda of=/dev/null bs=4k count=2 iflag=direct
         ",
        &[(
            Look::State,
            "  0          4          0   IO-APIC  20-fasteoi",
            "  0          3          0   IO-APIC  20-fasteoi",
        )],
    ),
    row(
        "chips_set_affinity_pre_startup",
        V5_4,
        PC,
        "",
        &[
            (Look::State, "flags:   0x10\n", "flags:   0x410\n"),
            (Look::Trace, "", "__irq_startup_managed\nirq_setup_affinity\n"),
        ],
    ),
    row(
        "alloc_descs_sets_affinity_set",
        V5_4,
        PC,
        "",
        &[(Look::State, "dstate:   0x01600200", "dstate:   0x01601200")],
    ),
    row("irqs_sysfs", V5_4, BARE, "", &[(Look::State, "istate:   0x00000000", "istate:   0x00004000")]),
    row("max_sparse_irqs", V5_4, BARE, "", &[(Look::Terminal, "Err(ENOMEM)", "Ok(")]).prepared(|lab| {
        let result = irqcore::irqdesc::__irq_alloc_descs(&mut lab.k, None, 0, 12_600, -1, None);
        print(lab, format!("{result:?}"));
    }),
    row(
        "irq_domain_instantiate",
        V5_4,
        BARE,
        "",
        &[(Look::Trace, "\n__irq_domain_add\n", "\nirq_domain_instantiate\n")],
    ),
    row("nr_irqs_private", V7_3, BARE, "", &[(Look::Trace, "\narch_probe_nr_irqs\nirq_get_nr_irqs\n", "")]),
    row("irq_domain_root_lock", V5_4, BARE, "", &[(Look::Trace, "", "\nirq_domain_alloc_irqs_locked\n")]),
    row(
        "irq_domain_frees_singly",
        V5_4,
        BARE,
        "",
        &[(Look::Terminal, "freed in 1 calls", "freed in 3 calls")],
    )
    .prepared(|lab| {
        // Three interrupts that were allocated at once.
        let domain = lab.k.apic.x86_vector_domain;
        let mut info = IrqAllocInfo::default();
        let base = __irq_domain_alloc_irqs(&mut lab.k, domain, None, 3, -1, &mut info, false, None);
        let before = calls(&lab.k, "x86_vector_free_irqs");
        irqcore::irqdomain::nowait::irq_domain_free_irqs(&mut lab.k, base.expect("interrupts"), 3);
        let freed = calls(&lab.k, "x86_vector_free_irqs") - before;
        print(lab, format!("freed in {freed} calls"));
    }),
    row(
        "irq_domain_name_allocated",
        V5_4,
        BARE,
        "",
        &[(Look::State, "flags:  0x00000041", "flags:  0x00000003")],
    ),
    row("debugfs_names_flags", V5_4, BARE, "", &[(Look::State, "", "IRQ_DOMAIN_FLAG_HIERARCHY")]),
    row(
        "domain_bus_fsl_mc_msi",
        V6_12,
        PC,
        "",
        &[(Look::State, "domain:  PCI-MSIX-0000:00:03.0-12\n", "domain:  PCI-MSIX-0000:00:03.0-11\n")],
    ),
    row(
        "debugfs_shows_message",
        V6_12,
        PC,
        "",
        &[(Look::State, "", "\n\n  address_hi: 0x00000000\n  address_lo: 0xfee")],
    ),
    row(
        "msi_domains",
        V5_4,
        PC,
        "",
        &[
            (Look::State, "domain:  PCI-MSI-3", "domain:  PCI-MSIX-0000:00:03.0-12"),
            (Look::Trace, "\nmsi_domain_alloc_irqs\n", "\nmsi_create_device_irq_domain\n"),
        ],
    ),
    row(
        "msi_affinity",
        V6_12,
        PC,
        "echo 1 > /proc/irq/25/smp_affinity_list
         echo 2 > /proc/irq/24/smp_affinity_list
         ",
        &[(Look::Trace, "\nmsi_set_affinity\n", "\nmsi_domain_set_affinity\n")],
    ),
    row(
        "msi_prepared_with_domain",
        V7_3,
        PC,
        UNBIND_NVME,
        &[
            (Look::Trace, "\npopulate_alloc_info\nmsi_check_reservation_mode\n", ""),
            (Look::Trace, "\nmsi_domain_ops_teardown\n", "\nx86_msi_prepare\nmsi_check_reservation_mode\n"),
        ],
    ),
    row(
        "msi_setup_split",
        V7_3,
        PC,
        "",
        &[(Look::Trace, "\n__msix_setup_interrupts\n", "\nmsix_setup_interrupts\nmsix_setup_msi_descs\n")],
    ),
    row(
        "pci_msi_startup_callbacks",
        V7_3,
        PC,
        UNBIND_NVME,
        &[
            (
                Look::Trace,
                "\npci_irq_startup_msix\ncond_startup_parent\n",
                "\nirq_enable\nunmask_irq\npci_irq_unmask_msix\n",
            ),
            (
                Look::Trace,
                "\npci_irq_shutdown_msix\ncond_shutdown_parent\n",
                "\nmask_irq\npci_irq_mask_msix\n",
            ),
        ],
    ),
    // The message goes around the remapping hardware.
    row(
        "compose_msi_msg_outermost",
        V6_12,
        IR,
        "",
        &[(Look::Log, "", "Blocked a compatibility format interrupt request")],
    ),
    row("ir_posted_flags", V5_4, IR, "", &[(Look::Trace, "", "\n__intel_ir_reconfigure_irte\n")]),
    row(
        "dmar_fault_hex",
        V5_4,
        IR,
        "",
        &[(Look::Log, "fault index 3fe [fault reason 34]", "fault index 0x3fe [fault reason 0x22]")],
    )
    .prepared(|lab| {
        // A function sends a message that names a remapping entry it does not have.
        assert!(x86apic::hw::bus::msi_write(&mut lab.k, 0xfee0_0010 | 0x3fe << 5, 0, 0x18).is_err());
        settle(lab);
    }),
    row(
        "dmar_fault_segment",
        V6_12,
        IR,
        "",
        &[(Look::Log, "Request device [00:03.0] fault", "Request device [0000:00:03.0] fault")],
    )
    .prepared(|lab| {
        assert!(x86apic::hw::bus::msi_write(&mut lab.k, 0xfee0_0010 | 0x3fe << 5, 0, 0x18).is_err());
        settle(lab);
    }),
    row("drhd_fault_per_node", V5_4, IR, "", &[(Look::State, "DMAR-MSI", "")]),
    row("irq_thread_ready", V6_12, BARE, "", &[(Look::Trace, "\nirq_thread_set_ready\n", "")]),
    row(
        "irqhandler_duration_check",
        V7_3,
        Pc { cmdline: "irqhandler.duration_warn_us=0", ..BARE },
        "",
        &[(Look::Log, "Invalid irqhandler.duration_warn_us setting, must be > 0", "")],
    ),
    row(
        "oneshot_error_names_device",
        V5_4,
        BARE,
        "",
        &[(Look::Log, "!ONESHOT for irq 5", "!ONESHOT for tester (irq 5)")],
    )
    .prepared(request_without_oneshot),
    row(
        "noirqdebug_marks_lines",
        V5_4,
        Pc { cmdline: "noirqdebug", ..PC },
        "",
        &[(Look::State, "status:   0x00002000", "status:   0x00202000")],
    ),
    row("free_irq_waits_for_threads", V5_4, PC, UNBIND_NVME, &[(Look::Trace, "", "\n__synchronize_irq\n")]),
    row(
        "note_interrupt_skips_clean",
        V6_12,
        PC,
        "cat /proc/irq/27/spurious\n",
        &[(Look::Terminal, "count 0\n", "")],
    ),
    row("resend_through_hierarchy", V5_4, PC, "", &[(Look::Trace, "", "\ntry_retrigger\n")]).prepared(
        |lab| {
            // The interrupt comes while it is disabled.
            let irq = irq_of(&lab.k, "virtio0-config");
            irqcore::manage::disable_irq_nosync(&mut lab.k, irq);
            resize_disk(lab);
            irqcore::manage::enable_irq(&mut lab.k, irq);
            settle(lab);
        },
    ),
    row(
        "forced_thread_calls_thread_fn",
        V7_3,
        Pc { cmdline: "threadirqs", ..PC },
        "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct\n",
        &[(Look::Trace, "\nirq_forced_thread_fn\nirq_thread_fn\n", "")],
    ),
    row(
        "oneshot_without_thread_warns",
        V7_3,
        BARE,
        "",
        &[(Look::Log, "WARNING: at kernel/irq/manage.c __setup_irq", "")],
    )
    .prepared(|lab| {
        let handler = Handler { name: "nothing", call: nothing };
        let flags = kstate::irqdesc::IRQF_ONESHOT;
        let result = request_threaded_irq(
            &mut lab.k,
            Irq(5),
            Some(handler),
            None,
            flags,
            "tester",
            DevId::Platform(5),
        );
        print(lab, format!("{result:?}"));
    }),
    row("move_deferred_by_chip", V7_3, IR, "", &[(Look::State, "IRQCHIP_MOVE_DEFERRED", "IRQD_MOVE_PCNTXT")]),
    row("irq_can_handle", V7_3, PC, "", &[(Look::Trace, "\nhandle_edge_irq\nirq_can_handle_pm\n", "")]),
    row(
        "set_affinity_wakes_thread",
        V5_4,
        Pc { cmdline: "nvme.use_threaded_interrupts=1", ..PC },
        "",
        &[(Look::Trace, "", "\nirq_wait_for_interrupt\nirq_thread_check_affinity\n")],
    ),
    row(
        "set_affinity_online_only",
        V5_4,
        Pc { cmdline: "maxcpus=3", ..IR },
        "",
        &[(Look::Terminal, "Err(ENOSPC)", "Err(EINVAL)")],
    )
    .prepared(|lab| {
        let irq = irq_of(&lab.k, "nvme0q0");
        let result = irqcore::manage::irq_set_affinity(&mut lab.k, irq, &CpuMask::of(CpuId(3)));
        print(lab, format!("{result:?}"));
    }),
    row(
        "set_affinity_deactivated",
        V6_12,
        BARE,
        "echo 1 > /proc/irq/5/smp_affinity_list\n",
        &[(Look::State, "", "IRQD_SETAFFINITY_PENDING")],
    ),
    row(
        "affinity_hint_inline",
        V5_4,
        PC,
        REBIND_DISK,
        &[(Look::Trace, "\nirq_set_affinity_hint\n", "\n__irq_apply_affinity_hint\n")],
    ),
    row(
        "housekeeping_managed_irq",
        V6_12,
        ISOLATED,
        "",
        &[(Look::State, "affinity: 2-3\neffectiv: 2\n", "affinity: 2-3\neffectiv: 3\n")],
    ),
    row(
        "housekeeping_kernel_noise",
        V6_12,
        Pc { cmdline: "isolcpus=nohz,1", ..BARE },
        "",
        &[(Look::Terminal, "unbound work: 0-1.", "unbound work: 0.")],
    )
    .given(&[("no_hz_full", "on")])
    .prepared(|lab| {
        let cpus = lab.k.housekeeping.mask(HkType::Wq).unwrap_or(&lab.k.topo.possible).list();
        print(lab, format!("unbound work: {cpus}."));
    }),
    row(
        "nohz_full_null",
        V6_12,
        BARE,
        "cat /sys/devices/system/cpu/nohz_full\necho end\n",
        &[(Look::Terminal, "(null)\nend", "")],
    )
    .given(&[("no_hz_full", "on")]),
    row(
        "die_id_counts_all",
        V5_4,
        Pc { cpus: "possible = 4\nsockets = 2\n", ..BARE },
        "cat /sys/devices/system/cpu/cpu2/topology/die_id\n",
        &[(Look::Terminal, "0", "1")],
    ),
    row(
        "housekeeping_leaves_one_cpu",
        V6_12,
        Pc { cmdline: "nohz_full=0-1 isolcpus=domain,2-3", cpus: CPUS_4, ..BARE },
        "cat /sys/devices/system/cpu/isolated\n",
        &[
            (Look::Terminal, "2-3", ""),
            (Look::Log, "", "neither in nohz_full= nor in isolcpus=domain, ignoring setting 2-3"),
        ],
    )
    .given(&[("no_hz_full", "on")]),
    row(
        "empty_affinity_reselects",
        V5_4,
        Pc { cmdline: "maxcpus=3", ..PC },
        "echo 3 > /proc/irq/27/smp_affinity_list\n",
        &[(Look::Terminal, "", "write error: Invalid argument")],
    ),
    row(
        "managed_affinity_eperm",
        V5_4,
        PC,
        "echo 0 > /proc/irq/28/smp_affinity_list\n",
        &[(Look::Terminal, "write error: Input/output error", "write error: Operation not permitted")],
    ),
    row(
        "cpumask_parse_nr_cpus",
        V5_4,
        PC,
        "echo 0,9 > /proc/irq/27/smp_affinity_list\n",
        &[(Look::Terminal, "", "write error: Numerical result out of range")],
    ),
    row(
        "housekeeping_mask_per_type",
        V5_4,
        Pc { cmdline: "isolcpus=1 nohz_full=0", ..BARE },
        "",
        &[(Look::Log, "nohz_full= must match isolcpus=", "Build with CONFIG_NO_HZ_FULL")],
    ),
    row(
        "isolcpus_skips_unknown_flags",
        V5_4,
        Pc { cmdline: "isolcpus=foo,1", ..BARE },
        "",
        &[(Look::Log, "isolcpus: Error, unknown flag", "isolcpus: Skipped unknown flag foo")],
    ),
    row(
        "no_hz_full",
        V6_12,
        Pc { cmdline: "nohz_full=1", ..BARE },
        "",
        &[(Look::Log, "Housekeeping: nohz unsupported. Build with CONFIG_NO_HZ_FULL", "")],
    ),
    row(
        "disable_cpu_apicid",
        V5_4,
        Pc { cmdline: "disable_cpu_apicid=1", ..BARE },
        "cat /sys/devices/system/cpu/present\n",
        &[(Look::Log, "APIC: Disabling requested cpu. Processor 1/0x1 ignored.", "")],
    ),
    row(
        "prints_unknown_bootoptions",
        V5_4,
        Pc { cmdline: "cpuhp.parallel=1 isolcpus=9", ..BARE },
        "",
        &[(Look::Log, "", "Unknown kernel command line parameters \"isolcpus=9\"")],
    ),
    row(
        "topology_counts_apics",
        V5_4,
        Pc { cmdline: "possible_cpus=3", ..BARE },
        "cat /sys/devices/system/cpu/possible\n",
        &[(Look::Terminal, "0-2", "0-1")],
    ),
    row(
        "intel_iommu_setup_handles",
        V6_12,
        Pc { cmdline: "intel_iommu=on,maybe", ..IR },
        "",
        &[(Look::Log, "DMAR: Unknown option - 'maybe'", "Unknown kernel command line parameters")],
    ),
    row(
        "cpulist_names_last",
        V5_4,
        PC,
        "echo N > /proc/irq/27/smp_affinity_list\n",
        &[(Look::Terminal, "write error: Invalid argument", "")],
    ),
    row(
        "bitmap_parse_reverse",
        V5_4,
        PC,
        "echo 3, > /proc/irq/default_smp_affinity\n",
        &[(Look::Terminal, "write error: Invalid argument", "")],
    ),
    row(
        "kstrtobool_true_false",
        V5_4,
        BARE,
        "echo false > /sys/devices/system/cpu/cpu1/online\n",
        &[(Look::Terminal, "write error: Invalid argument", "")],
    ),
    row(
        "proc_mode_follows_affinity",
        V5_4,
        BARE,
        "",
        &[(Look::Trace, "", "register_irq_proc\nirq_can_set_affinity_usr\n")],
    ),
    row(
        "proc_interrupts_needs_action",
        V5_4,
        BARE,
        "cat /proc/interrupts\n",
        &[(Look::Terminal, "\n  5: ", "")],
    )
    .prepared(|lab| {
        // A line that was counted before its driver left.
        lab.k.desc_mut(Irq(5)).kstat_irqs.increment(CpuId(0));
        lab.k.desc_mut(Irq(5)).tot_count = 1;
    }),
    row(
        "proc_interrupts_aligned",
        V6_12,
        PC,
        "cat /proc/interrupts\n",
        &[
            (
                Look::Terminal,
                "\n  9:          0          0          0          0   IO-APIC   9-fasteoi   acpi\n",
                "",
            ),
            (
                Look::Terminal,
                "",
                "\n   9:          0          0          0          0  IO-APIC                  9-fasteoi   acpi\n",
            ),
        ],
    ),
    row("irq_proc_valid", V6_12, PC, "", &[(Look::State, "", "status:   0x00400000\n")]),
    row(
        "arch_rows_when_counted",
        V6_12,
        BARE,
        "cat /proc/interrupts\n",
        &[(Look::Terminal, "SPU:", ""), (Look::Terminal, "ERR:          0\n", "")],
    ),
    row(
        "proc_hwirq_is_int",
        V5_4,
        PC,
        "cat /proc/interrupts\n",
        &[(Look::Terminal, "", " 8796093071361-edge")],
    )
    .prepared(|lab| {
        // The function is in PCI domain 0x10000, as those behind a VMD bridge are.
        let irq = irq_of(&lab.k, "nvme0q1");
        lab.k.irqd_mut(Irqd::top(irq)).hwirq |= 0x10000 << 27;
    }),
    row(
        "trace_shows_migrate_disable",
        V5_4,
        BARE,
        "cat /sys/kernel/tracing/trace\n",
        &[(Look::Terminal, "", "migrate-disable")],
    ),
    // The smaller an entry, the older the first interrupt that is still in the buffer.
    row("graph_entry_bytes", V6_12, PC, FULL_BUFFER, &[(Look::Terminal, "/* n1 */", "")]),
    row("graph_return_bytes", V5_4, PC, FULL_BUFFER, &[(Look::Terminal, "", "/* o1 */")]),
    row(
        "pci_store_einval",
        V5_4,
        PC,
        "echo 4294967296 > /sys/bus/pci/devices/0000:00:03.0/numa_node\n",
        &[(Look::Terminal, "Numerical result out of range", "Invalid argument")],
    ),
    row(
        "numa_node_store_skips_same",
        V6_12,
        PC,
        "echo -1 > /sys/bus/pci/devices/0000:00:03.0/numa_node\ndmesg\n",
        &[(Look::Terminal, "Overriding NUMA node to -1", "")],
    ),
    row(
        "tracefs_keeps_others_out",
        V5_4,
        BARE,
        "stat -c %a /sys/kernel/tracing/trace\n",
        &[(Look::Terminal, "644", "640")],
    ),
    row(
        "char_is_unsigned",
        V5_4,
        BARE,
        "cat /sys/kernel/tracing/events/irq/irq_handler_entry/format\n",
        &[(Look::Terminal, "name;\toffset:12;\tsize:4;\tsigned:1;", "name;\toffset:12;\tsize:4;\tsigned:0;")],
    ),
    row(
        "cpuhp_skips_empty_states",
        V5_4,
        PC,
        OFF_3,
        &[(
            Look::Trace,
            "\ncpuhp_up_callbacks\ncpuhp_invoke_callback\ncpuhp_invoke_callback\ncpuhp_invoke_callback\n",
            "\n__cpuhp_invoke_callback_range\n",
        )],
    ),
    row("cpuhp_split_startup", V5_4, PC, OFF_3, &[(Look::Trace, "\ndo_cpu_down\n", "")]),
    row("cpu_down_by_kworker", V6_12, PC, OFF_3, &[(Look::Trace, "\n__cpu_down_maps_locked\n", "")]),
    row(
        "housekeeping_check",
        V7_3,
        Pc { cmdline: "isolcpus=domain,0,2-3", ..PC },
        "echo 0 > /sys/devices/system/cpu/cpu1/online
         cat /sys/devices/system/cpu/online
         echo 0 > /sys/devices/system/cpu/cpu2/online
         ",
        &[(Look::Terminal, "0,2-3\nscript.sh: line 3: write error: Device or resource busy", "")],
    ),
    row(
        "energy_model",
        V7_3,
        Pc { cmdline: "isolcpus=domain,0,2-3", ..PC },
        "echo 0 > /sys/devices/system/cpu/cpu1/online
         cat /sys/devices/system/cpu/online
         ",
        &[(Look::Terminal, "0,2-3", "0-3"), (Look::Log, "", "Oops: general protection fault")],
    ),
    row(
        "dl_bw_discounts_server",
        V7_3,
        Pc { cmdline: "isolcpus=domain,1", ..PC },
        "echo 0 > /sys/devices/system/cpu/cpu1/online\ncat /sys/devices/system/cpu/online\n",
        &[(Look::Terminal, "0,2-3", "0-3")],
    ),
    row(
        "apic_disabled_before_fixup",
        V5_4,
        PC,
        OFF_3,
        &[(Look::Trace, "\napic_soft_disable\nclear_local_APIC\ncpu_disable_common\n", "")],
    ),
    row(
        "migrate_completes_move_first",
        V5_4,
        Pc { devices: &[DISK], ..PC },
        "",
        &[
            (Look::Log, "", "move in progress, old vector"),
            (Look::Terminal, "1 vectors are lost", "0 vectors are lost"),
        ],
    )
    .prepared(|lab| {
        // Moves to CPU 1, settles there, moves on to CPU 0; then CPU 1 goes before the first interrupt.
        let irq = irq_of(&lab.k, "virtio0-config");
        sh(lab, &format!("echo 1 > /proc/irq/{irq}/smp_affinity_list\n"));
        resize_disk(lab);
        resize_disk(lab);
        sh(lab, &format!("echo 0 > /proc/irq/{irq}/smp_affinity_list\n"));
        resize_disk(lab);
        sh(lab, "echo 0 > /sys/devices/system/cpu/cpu1/online\nsleep 1\n");
        resize_disk(lab);
        sh(lab, "echo 1 > /sys/devices/system/cpu/cpu1/online\nsleep 1\n");
        let map = lab.k.vector_matrix.maps[1].alloc_map;
        let lost = (0..256).filter(|&v| {
            map.test(v) && !matches!(lab.k.apic.vector_irq(CpuId(1), v), kstate::apic::VectorIrq::Desc(_))
        });
        let lost = lost.count();
        print(lab, format!("{lost} vectors are lost"));
    }),
    row(
        "migrate_breaks_affinity_on_enospc",
        V5_4,
        Pc { devices: &[DISK], ..PC },
        "",
        &[(Look::Log, "set affinity failed(-28)", "")],
    )
    .prepared(|lab| {
        // The other CPU of the affinity is full.
        let irq = irq_of(&lab.k, "virtio0-config");
        sh(lab, &format!("echo 3 > /proc/irq/{irq}/smp_affinity_list\n"));
        resize_disk(lab);
        resize_disk(lab);
        sh(lab, &format!("echo 2-3 > /proc/irq/{irq}/smp_affinity_list\n"));
        fill(&mut lab.k, CpuId(2), 0);
        sh(lab, OFF_3);
    }),
    row(
        "migrate_logs_broken_affinity",
        V5_4,
        Pc { devices: &[DISK], ..PC },
        OFF_3,
        &[(Look::Log, "no longer affine to CPU3", "")],
    )
    .prepared(|lab| {
        let irq = irq_of(&lab.k, "virtio0-config");
        sh(lab, &format!("echo 3 > /proc/irq/{irq}/smp_affinity_list\n"));
        resize_disk(lab);
    }),
    row(
        "restore_affinity_after_startup",
        V6_12,
        PC,
        OFF_ON_3,
        &[(Look::Trace, "\ncheck_irq_resend\nhk_should_isolate\n", "")],
    ),
    // It was suspended before its CPU went.
    row(
        "restore_affinity_skips_suspended",
        V6_12,
        PC,
        OFF_ON_3,
        &[(Look::Terminal, "starts 0 times", "starts 1 times")],
    )
    .prepared(|lab| {
        let irq = irq_of(&lab.k, "nvme0q4");
        sh(lab, OFF_3);
        lab.k.desc_mut(irq).istate |= kstate::irqdesc::IRQS_SUSPENDED;
        let before = calls(&lab.k, "__irq_startup");
        sh(lab, "echo 1 > /sys/devices/system/cpu/cpu3/online\nsleep 1\n");
        let starts = calls(&lab.k, "__irq_startup") - before;
        print(lab, format!("starts {starts} times"));
    }),
    row(
        "force_complete_move_by_chip",
        V7_3,
        PC,
        OFF_3,
        &[(Look::Trace, "\nirq_force_complete_move\napic_force_complete_move\n", "")],
    ),
    row(
        "blk_map",
        V5_4,
        Pc { devices: &[SHARED_DISK], ..PC },
        "",
        &[(Look::State, "mq/0/cpu_list\n0, 2\n", "mq/0/cpu_list\n0, 1\n")],
    ),
    row("hctx_drain", V5_4, PC, OFF_3, &[(Look::Trace, "", "\nblk_mq_hctx_notify_offline\n")]),
    row(
        "hctx_skips_isolated_cpus",
        V6_12,
        ISOLATED,
        "",
        &[(Look::State, "mq/0/cpu_list\n0\n", "mq/0/cpu_list\n0, 1\n")],
    ),
    row(
        "isolated_without_tick",
        V6_12,
        Pc { cmdline: "nohz_full=1,3", ..ISOLATED },
        "",
        &[(Look::State, "mq/0/cpu_list\n0\n", "mq/0/cpu_list\n0, 1\n")],
    )
    .given(&[("no_hz_full", "on")]),
    row(
        "complete_remote_first",
        V5_4,
        Pc { cpus: "possible = 1\npresent = 1\ncores_per_socket = 1\n", devices: &[SINGLE_DISK], ..PC },
        "",
        &[(Look::Terminal, "in a softirq", "on the spot")],
    )
    .prepared(|lab| {
        let script = "dd if=/dev/vda of=/dev/null bs=4k count=1 iflag=direct\n";
        let script = Script::parse("script.sh", script).expect("a script");
        let mut softirqs = 0;
        lab.run_each(&script, |k| softirqs += u32::from(!k.blk.softirq_pending.is_empty()), |_, _| {});
        print(lab, if softirqs > 0 { "in a softirq" } else { "on the spot" });
    }),
    row(
        "same_nr_hw_queues_remaps",
        V5_4,
        Pc { cmdline: "nvme.poll_queues=1", devices: &[NVME], ..PC },
        "",
        &[(Look::Terminal, "mapped 0 times", "mapped 1 times")],
    )
    .prepared(|lab| {
        let before = calls(&lab.k, "nvme_pci_map_queues");
        sh(lab, "echo 1 > /sys/class/nvme/nvme0/reset_controller\nsleep 2\n");
        let mapped = calls(&lab.k, "nvme_pci_map_queues") - before;
        print(lab, format!("mapped {mapped} times"));
    }),
    row(
        "bind_reports_errors",
        V5_4,
        PC,
        "echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/bind\n",
        &[(Look::Terminal, "write error: No such device", "write error: Device or resource busy")],
    ),
    row(
        "probe_on_housekeeping_cpu",
        V5_4,
        Pc { cmdline: "isolcpus=0", devices: &[DISK], ..PC },
        REBIND_DISK,
        &[(Look::Trace, "# Kworker on CPU 0\nlocal_pci_probe\n", "# Kworker on CPU 1\nlocal_pci_probe\n")],
    )
    .prepared(|lab| lab.k.pci_dev_mut(PciDevId(0)).node = 0),
    row(
        "pci_probe_wq",
        V7_3,
        Pc { devices: &[DISK], ..PC },
        REBIND_DISK,
        &[(Look::Trace, "\nlocal_pci_probe_callback\nlocal_pci_probe\n", "")],
    )
    .prepared(|lab| lab.k.pci_dev_mut(PciDevId(0)).node = 0),
    row("nvme_probe", V5_4, PC, "", &[(Look::Trace, "\nnvme_reset_work\n", "")]),
    row(
        "nvme_probe_failed_logs",
        V6_12,
        // Neither messages nor a line.
        Pc { cmdline: "pci=nomsi", devices: &[NVME_LINELESS], ..PC },
        "",
        &[(Look::Log, "", "nvme 0000:00:03.0: error -EINVAL: probe failed")],
    ),
    row(
        "nvme_special_queues_need_maps",
        V6_12,
        PC,
        "echo 2 > /sys/module/nvme/parameters/write_queues
echo 1 > /sys/class/nvme/nvme0/reset_controller
sleep 1
",
        &[(Look::Log, "nvme0: 2/2/0 default/read/poll queues", "")],
    ),
    row("nvme_live_from_connecting", V5_4, PC, "", &[(Look::Terminal, "live: true", "live: false")])
        .prepared(|lab| {
            // No driver tries this today: one that forgets to connect.
            let id = NvmeId(0);
            drivers::nvme::core::nvme_change_ctrl_state(&mut lab.k, id, NvmeCtrlState::Resetting);
            let live = drivers::nvme::core::nvme_change_ctrl_state(&mut lab.k, id, NvmeCtrlState::Live);
            print(lab, format!("live: {live}"));
        }),
    row(
        "nvme_ready_poll_ns",
        V5_4,
        PC,
        "",
        &[(Look::Terminal, "a reset takes 2 tenths of a second", "a reset takes 0 tenths of a second")],
    )
    .prepared(|lab| {
        // The device takes a while for everything; a reset waits for it twice.
        lab.k.oracle = Oracle::scripted(vec![1; 100]);
        let (started, mut live) = (lab.k.events.now, 0);
        let reset = "echo 1 > /sys/class/nvme/nvme0/reset_controller\n";
        let reset = Script::parse("script.sh", reset).expect("a script");
        let watch = |k: &Kernel| {
            if k.nvme.dev(NvmeId(0)).state != NvmeCtrlState::Live {
                live = k.events.now;
            }
        };
        lab.run_each(&reset, watch, |_, _| {});
        print(lab, format!("a reset takes {} tenths of a second", (live - started) / 100_000_000));
    }),
    row(
        "nvme_quirks_param",
        V6_12,
        Pc { cmdline: "nvme.quirks=1b36:0010:single_vector", ..PC },
        "cat /proc/interrupts\n",
        &[(Look::Terminal, "nvme0q2", "nvme0q0, nvme0q1")],
    ),
    row(
        "nvme_queue_params_checked",
        V5_4,
        Pc { cmdline: "nvme.write_queues=9", devices: &[NVME], ..PC },
        "",
        &[(Look::Log, "", "4/0/0 default/read/poll queues")],
    ),
    row("vring_event_triggered", V5_4, PC, "", &[(Look::Terminal, "called 1 times", "called 0 times")])
        .prepared(|lab| {
            // The driver wants no calls, and then asks for something.
            drivers::virtio::ring::virtqueue_disable_cb(&mut lab.k, VirtioId(0), 0);
            let before = calls(&lab.k, "virtblk_done");
            sh(lab, "taskset -c 0 dd if=/dev/vda of=/dev/null bs=4k count=1 iflag=direct\n");
            let called = calls(&lab.k, "virtblk_done") - before;
            print(lab, format!("called {called} times"));
        }),
    row(
        "virtio_features_128",
        V6_12,
        PC,
        "",
        &[(Look::Terminal, "the last words: 1, 1", "the last words: 3, 3")],
    )
    .prepared(|lab| {
        let device = &lab.k.hw.virtio[0];
        let (asked, told) = (device.device_feature_select, device.driver_feature_select);
        print(lab, format!("the last words: {asked}, {told}"));
    }),
    row("virtio_slow_path_queues", V5_4, PC, "", &[(Look::Trace, "", "\nvp_find_one_vq_msix\n")]),
    row(
        "virtio_needs_line",
        V5_4,
        Pc { devices: &[LINE_DISK], ..PC },
        "",
        &[(Look::Terminal, "tries a line 1 times", "tries a line 0 times")],
    )
    .prepared(|lab| {
        // The driver leaves and comes back after the function has lost its pin.
        let (unbind, bind) = REBIND_DISK.split_at(
            REBIND_DISK.find("echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/bind").expect("a bind"),
        );
        sh(lab, unbind);
        let before = calls(&lab.k, "vp_find_vqs_intx");
        let dev = lab.k.pci_dev_mut(PciDevId(0));
        (dev.pin, dev.irq, dev.irq_managed) = (0, 0, false);
        sh(lab, bind);
        let tries = calls(&lab.k, "vp_find_vqs_intx") - before;
        print(lab, format!("tries a line {tries} times"));
    }),
    row(
        "vp_interrupt_handles_any_isr",
        V5_4,
        Pc { devices: &[LINE_DISK], ..PC },
        "",
        &[(Look::Trace, "@ irq_handler_exit: irq=20 ret=unhandled", "")],
    )
    .prepared(resize_disk),
    row(
        "virtio_queue_rqs",
        V6_12,
        PC,
        "dd if=/dev/vda of=/dev/null bs=4k count=1 iflag=direct\n",
        &[(Look::Trace, "\nvirtio_queue_rqs\n", "\nvirtio_queue_rq\n")],
    ),
    row(
        "queues_counted_by_mask",
        V7_3,
        PC,
        "",
        &[(Look::Trace, "\nblk_mq_num_possible_queues\nblk_mq_num_queues\n", "")],
    ),
    row(
        "submit_bio_plugs",
        V6_12,
        PC,
        "dd if=/dev/vda of=/dev/null bs=4k count=1 iflag=direct\n",
        &[(Look::Trace, "\nvirtio_queue_rqs\n", "\nvirtio_queue_rq\n")],
    ),
    row(
        "single_queue_elevator",
        V5_4,
        Pc { devices: &[SINGLE_DISK], ..PC },
        "dd if=/dev/vda of=/dev/null bs=4k count=1 iflag=direct\n",
        &[(Look::Trace, "\nblk_mq_run_work_fn\nvirtio_queue_rq\n", "")],
    ),
    row(
        "virtblk_depth_stays",
        V5_4,
        Pc { devices: &[DISK], ..PC },
        "cat /sys/module/virtio_blk/parameters/queue_depth\n",
        &[(Look::Terminal, "256", "")],
    ),
    row(
        "bdev_keeps_size",
        V5_4,
        Pc { devices: &[NVME_2], ..PC },
        "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1000 iflag=direct &
echo 1 > /sys/class/nvme/nvme0/rescan_controller
echo 0000:00:03.0 > /sys/bus/pci/drivers/nvme/unbind
wait
",
        &[(Look::Terminal, "Input/output error", "")],
    ),
    row(
        "probe_failure_by_dev_err",
        V5_4,
        Pc { cpus: "possible = 1\n", devices: &[DISK], ..PC },
        "echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/bind\n",
        &[(
            Look::Log,
            "virtio_blk: probe of virtio0 failed with error -28",
            "virtio_blk virtio0: probe with driver virtio_blk failed with error -28",
        )],
    )
    .prepared(|lab| {
        sh(lab, "echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/unbind\n");
        fill(&mut lab.k, CpuId(0), 0);
    }),
    row(
        "nvme_quirk_bogus_nid",
        V6_12,
        Pc { devices: &[NVME_2], ..PC },
        "",
        &[(Look::Log, "nvme nvme0: Ignoring bogus Namespace Identifiers", "")],
    ),
    row(
        "smt_control_takes_numbers",
        V5_4,
        Pc { cpus: THREADS, ..BARE },
        "echo 1 > /sys/devices/system/cpu/smt/control\ncat /sys/devices/system/cpu/online\n",
        &[(Look::Terminal, "Invalid argument\n0-3", "0,2")],
    ),
    row(
        "smt_enable_needs_core",
        V6_12,
        Pc { cpus: THREADS, ..BARE },
        "echo off > /sys/devices/system/cpu/smt/control
echo 0 > /sys/devices/system/cpu/cpu2/online
echo on > /sys/devices/system/cpu/smt/control
cat /sys/devices/system/cpu/online
",
        &[(Look::Terminal, "0-3", "0-1")],
    ),
    row("announces_cpu_1", V5_4, BARE, OFF_ON_1, &[(Look::Log, "x86: Booting SMP configuration:", "")]),
    row(
        "apic_install_driver",
        V5_4,
        Pc { cpus: "possible = 9\n", ..BARE },
        "",
        &[(
            Look::Log,
            "Switched APIC routing to physical flat.",
            "APIC: Switched APIC routing to: physical flat",
        )],
    ),
    row(
        "fair_server",
        V6_12,
        Pc { cmdline: "isolcpus=domain,1", ..PC },
        "echo 0 > /sys/devices/system/cpu/cpu1/online\ncat /sys/devices/system/cpu/online\n",
        &[(Look::Terminal, "0-3", "0,2-3")],
    ),
    row(
        "rss_queues_by_cores",
        V5_4,
        Pc { devices: &["model = \"bnxt_en\"\naddress = \"0000:00:04.0\"\nmsix_vectors = 8\n"], ..PC },
        "cat /proc/interrupts\n",
        &[(Look::Terminal, "eth0-TxRx-3", "")],
    ),
    row(
        "virtblk_poll_queues",
        V5_4,
        Pc { cmdline: "virtio_blk.poll_queues=1", ..PC },
        "cat /proc/interrupts\n",
        &[(Look::Terminal, "virtio0-req.1", "")],
    ),
];

#[test]
fn every_field_can_be_seen() {
    let only = std::env::var("FIELD").ok();
    let rows = SEMANTICS.iter().filter(|row| only.as_deref().is_none_or(|field| field == row.field));
    let problems: Vec<String> = rows.filter_map(|row| check(row).err()).collect();
    assert!(
        problems.is_empty(),
        "{} of {} rows:\n{}",
        problems.len(),
        SEMANTICS.len(),
        problems.join("\n\n")
    );
}

/// Fields that an exhibit of the bug museum shows, which boots the machine that the bug needs. The
/// exhibit's own test is what proves it.
fn exhibited() -> impl Iterator<Item = &'static str> {
    explore::museum::EXHIBITS.iter().flat_map(|exhibit| exhibit.bug.keys().map(String::as_str))
}

#[test]
fn every_field_has_a_row_or_an_exhibit() {
    for field in Semantics::fields() {
        let row = SEMANTICS.iter().any(|row| row.field == field.name);
        assert!(row || exhibited().any(|name| name == field.name), "nothing shows {}", field.name);
    }
}

#[test]
fn rows_and_exhibits_name_fields() {
    for name in SEMANTICS.iter().map(|row| row.field).chain(exhibited()) {
        assert!(Semantics::named(name).is_ok(), "{name} is no field");
    }
    for (i, row) in SEMANTICS.iter().enumerate() {
        assert!(SEMANTICS[..i].iter().all(|r| r.field != row.field), "{} has two rows", row.field);
    }
}
