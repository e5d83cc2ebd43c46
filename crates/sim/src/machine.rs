//! Machine files: what a PC is made of, in TOML.
//!
//! The format is that of `machine.toml` beside every capture. Every mistake in a file is answered
//! with its place and with what was expected there.

use diagnostic::{Diagnostic, Place};
use drivers::profile::Board;
use kstate::hw::pci::DeviceModel;
use kstate::semantics::KernelVersion;
use kstate::{ApicId, CpuId, CpuMask, NodeId, topology};

mod board;
mod boot;
mod cpus;
mod file;

pub use boot::{BootInterrupt, BootVector, Found, is_device_vector};
pub use file::parse_bdf;

/// The largest MSI-X table (PCI Express 7.7.2: the size field has 11 bits).
pub const MAX_MSIX: u32 = 2048;
/// What is wrong with a machine file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct MachineError {
    message: String,
    place: Place,
    help: Option<String>,
}

impl Diagnostic for MachineError {
    fn help(&self) -> Option<String> {
        self.help.clone()
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }
}

/// How the local APICs work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApicMode {
    /// 8-bit ids, memory-mapped registers.
    Xapic,
    /// 32-bit ids, MSRs.
    X2apic,
}

/// A PCI function of the machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PciDevice {
    /// `0000:00:03.0`.
    pub address: String,
    /// The PCI segment.
    pub segment: u32,
    /// Bus, device and function as one number.
    pub bdf: u16,
    /// What it is.
    pub model: &'static DeviceModel,
    /// The values of the model's own keys, in their order.
    pub parameters: Vec<u32>,
    /// The NUMA node that the firmware says it is near to.
    pub node: Option<NodeId>,
    /// Entries of its MSI-X table; 0 for no MSI-X.
    pub msix_vectors: u32,
    /// Messages that its MSI capability asks for, a power of two; 0 for no MSI.
    pub msi_vectors: u32,
    /// The MSI capability has mask bits.
    pub msi_maskable: bool,
    /// The IO-APIC pin its INTx line is wired to; `None` for a function without one.
    pub intx_gsi: Option<u32>,
    /// The numbers that its messages had on the machine as found, in the order in which the driver took them;
    /// none where the next free ones are as good.
    pub irqs: Vec<u32>,
    /// Where it stands in the order of probing, if that is not where its first interrupt number puts it.
    pub probe: Option<u32>,
    /// What its driver does with its interrupts, where nothing else of it is modelled.
    pub board: Option<Board>,
}

/// What the firmware says about an ISA interrupt (ACPI 6.3, 5.2.12.5): it is on another pin than
/// that of its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IsaOverride {
    /// The interrupt.
    pub irq: u32,
    /// The pin of the IO-APIC, one of those above the ISA interrupts' own.
    pub gsi: u32,
}

/// A device of the board, as far as its interrupt goes: a pin of the first IO-APIC and what has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoardLine {
    /// The pin.
    pub gsi: u32,
    /// What its drivers call it, with a comma and a space between several names.
    pub name: String,
    /// Level or edge; `None` for what the firmware says.
    pub level: Option<bool>,
}

/// A machine, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// The kernel that runs on it.
    pub kernel: KernelVersion,
    /// Its command line.
    pub cmdline: String,
    /// Number of possible CPUs.
    pub possible: u32,
    /// Number of CPUs that are plugged in: the lowest ones.
    pub present: u32,
    /// Packages.
    pub sockets: u32,
    /// Cores in each.
    pub cores_per_socket: u32,
    /// Threads in each core.
    pub threads_per_core: u32,
    /// CPUs of each NUMA node.
    pub nodes: Vec<CpuMask>,
    /// CPUs of each L2 cache; none where the threads of each core share one.
    pub l2: Vec<CpuMask>,
    /// How the local APICs work.
    pub apic: ApicMode,
    /// VT-d remaps interrupts.
    pub interrupt_remapping: bool,
    /// The machine is the guest of a hypervisor that kernels know (KVM, Hyper-V, VMware, Xen), instead of
    /// bare metal or QEMU alone: what its firmware says of CPUs that are not there is then believed.
    pub hypervisor: bool,
    /// The CPUs have bugs for which `mitigations=auto,nosmt` switches SMT off.
    pub smt_vulnerable: Option<bool>,
    /// ISA interrupts that the firmware puts on other pins.
    pub isa: Vec<IsaOverride>,
    /// The PCI functions.
    pub pci: Vec<PciDevice>,
    /// Where non-managed interrupts stand after boot.
    pub boot_vectors: Vec<BootVector>,
    /// Where messages stand after boot, as far as the file says so.
    pub boot_interrupts: Vec<BootInterrupt>,
    /// Packages, cores and APIC IDs by CPU where lists give them, and none where the numbers above do. A node
    /// here is not the CPU's.
    pub places: Vec<topology::CpuPlace>,
    /// CPUs that somebody took down after boot.
    pub offline: CpuMask,
    /// Pins of the IO-APICs behind the first one. Nothing is wired to them.
    pub more_gsis: u32,
    /// The board's own devices, in place of a PC's.
    pub lines: Vec<BoardLine>,
    /// What somebody has done to the interrupts since boot, and what came of it.
    pub found: Found,
}

impl Machine {
    /// Reads a machine file. `name` is what error messages call it.
    ///
    /// # Errors
    /// A [`MachineError`] with the place of the first mistake and what was expected there.
    pub fn parse(name: &str, text: &str) -> Result<Self, Box<MachineError>> {
        file::read(name, text)
    }

    /// Adds the messages that a second file lists (`boot.toml` of a capture): where they stood after boot.
    ///
    /// # Errors
    /// As [`Machine::parse`].
    pub fn with_boot(self, name: &str, text: &str) -> Result<Self, Box<MachineError>> {
        let boot_interrupts = file::read_boot(&self, name, text)?;
        Ok(Self { boot_interrupts, ..self })
    }

    /// The file of [`Machine::embedded`].
    pub const EMBEDDED: &'static str = include_str!("../data/embedded.toml");

    /// The machine of the embedded story: 8 CPUs and an NVMe controller with 9 vectors.
    pub fn embedded(kernel: KernelVersion) -> Self {
        let mut machine =
            Self::parse("embedded.toml", Self::EMBEDDED).expect("the embedded machine is checked by a test");
        machine.kernel = kernel;
        machine
    }

    /// Threads of the core that has the most of them.
    pub fn most_threads(&self) -> u32 {
        let mut cores: Vec<u32> = self.places.iter().map(|place| place.core).collect();
        cores.sort_unstable();
        let most = cores.chunk_by(|a, b| a == b).map(<[u32]>::len).max();
        most.map_or(self.threads_per_core, |threads| threads as u32)
    }

    /// The lowest number of an interrupt that is no pin's.
    pub fn first_msi(&self) -> u32 {
        file::IOAPIC_PINS + self.more_gsis
    }

    /// The place of a CPU that the machine has, by its number.
    pub fn place(&self, cpu: u32) -> topology::CpuPlace {
        let core = cpu / self.threads_per_core % self.cores_per_socket;
        let socket = cpu / (self.threads_per_core * self.cores_per_socket);
        // The firmware lists no APIC ID for a CPU that is absent, and without one nobody knows its node: the
        // kernel deals such CPUs out in turn (`numa_init_array()`).
        let node = if cpu < self.present {
            self.nodes.iter().position(|n| n.contains(CpuId(cpu))).unwrap_or(0)
        } else {
            cpu as usize % self.nodes.len()
        };
        let l2 = self.l2.iter().position(|l2| l2.contains(CpuId(cpu))).map(|l2| l2 as u32);
        if let Some(place) = self.places.get(cpu as usize) {
            return topology::CpuPlace { node: NodeId(node as u32), l2, ..place.clone() };
        }
        topology::CpuPlace {
            node: NodeId(node as u32),
            socket,
            core: socket * self.cores_per_socket + core,
            l2,
            apic_id: apic_id(cpu, self.cores_per_socket, self.threads_per_core),
        }
    }
}

/// The APIC ID of a CPU: threads and cores have as many bits as the largest number of them needs.
fn apic_id(cpu: u32, cores_per_socket: u32, threads_per_core: u32) -> ApicId {
    let bits = |n: u32| n.next_power_of_two().trailing_zeros();
    let (thread_bits, core_bits) = (bits(threads_per_core), bits(cores_per_socket));
    let thread = cpu % threads_per_core;
    let core = cpu / threads_per_core % cores_per_socket;
    let socket = cpu / (threads_per_core * cores_per_socket);
    ApicId((socket << core_bits | core) << thread_bits | thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        match Machine::parse("m.toml", text) {
            Ok(_) => "fine".to_owned(),
            Err(e) => {
                let (line, _) = e.place.line_and_column();
                format!("{line}: {e}: {}", e.place.label())
            }
        }
    }

    #[test]
    fn the_embedded_machine_is_a_machine() {
        let machine = Machine::embedded(KernelVersion::V5_4);
        assert_eq!((machine.possible, machine.pci.len()), (8, 1));
    }

    #[test]
    fn impossible_machines_are_refused_by_name() {
        let cpus = |n: &str| format!("kernel = \"v5.4\"\n[cpus]\npossible = {n}\n");
        assert_eq!(check(&cpus("8")), "fine");
        assert_eq!(
            check(&cpus("0")),
            "3: the number of possible CPUs is 0: expected a number from 1 to 8192"
        );
        assert_eq!(
            check(&cpus("9000")),
            "3: the number of possible CPUs is 9000: expected a number from 1 to 8192"
        );
        assert_eq!(
            check(&cpus("300")),
            "3: 300 CPUs with 8-bit APIC IDs: expected at most 255, or apic = \"x2apic\" with interrupt_remapping = true"
        );
        assert_eq!(
            check("kernel = \"v2.4\"\n[cpus]\npossible = 1\n"),
            "1: unknown kernel `v2.4`: expected v5.4, v6.12 or v7.3"
        );
        assert_eq!(
            check("kernel = \"6.12.11\"\n[cpus]\npossible = 1\n"),
            "1: unknown kernel `6.12.11`: expected v5.4, v6.12 or v7.3; v6.12 is the nearest"
        );
        let pci = |msix: u32, address: &str| {
            format!(
                "{}[[pci]]\naddress = \"{address}\"\nmodel = \"nvme\"\nio_queue_pairs_max = 1\nmsix_vectors = {msix}\nintx_gsi = 20\n",
                cpus("8")
            )
        };
        assert_eq!(check(&pci(2048, "0000:00:03.0")), "fine");
        assert_eq!(
            check(&pci(2049, "0000:00:03.0")),
            "8: the size of an MSI-X table is 2049: expected a number from 0 to 2048"
        );
        assert_eq!(
            check(&pci(9, "3.0")),
            "5: `3.0` is no PCI address: expected domain:bus:device.function, as in 0000:00:03.0"
        );
    }

    #[test]
    fn an_msi_capability_is_one_that_a_function_can_have() {
        let pci = |lines: &str| {
            check(&format!(
                "kernel = \"v5.4\"\n[cpus]\npossible = 2\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 1\nmsix_vectors = 0\nintx_gsi = 20\n{lines}\n"
            ))
        };
        assert_eq!(pci("msi_vectors = 1\nmsi_maskable = false"), "fine");
        assert_eq!(pci("msi_vectors = 32"), "fine");
        assert_eq!(
            pci("msi_vectors = 3"),
            "10: an MSI capability that asks for 3 messages: expected 0, or a power of two up to 32"
        );
        assert_eq!(
            pci("msi_maskable = true"),
            "10: mask bits without an MSI capability: expected msi_vectors = N as well"
        );
        let disk = "kernel = \"v5.4\"\n[cpus]\npossible = 2\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"virtio-blk\"\nrequest_queues = 1\nmsix_vectors = 0\nintx_gsi = 20\nmsi_vectors = 1\n";
        assert_eq!(
            check(disk),
            "10: a virtio-blk with an MSI capability: expected 0: its driver uses MSI-X or the line"
        );
    }

    #[test]
    fn a_function_is_near_a_node_that_there_is() {
        let text = |node: u32| {
            format!(
                "kernel = \"v5.4\"\n[cpus]\npossible = 2\nnodes = [\"0\", \"1\"]\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"test\"\nmsix_vectors = 4\nintx_gsi = 20\nnode = {node}\n"
            )
        };
        assert_eq!(check(&text(1)), "fine");
        assert_eq!(check(&text(2)), "10: the node of a function is 2: expected a number from 0 to 1");
        let foreign = text(0).replace("node = 0", "request_queues = 4");
        assert_eq!(
            check(&foreign),
            "10: this is no machine file: unknown field `request_queues`, expected one of `address`, `model`, `node`, `msix_vectors`, `msi_vectors`, `msi_maskable`, `intx_gsi`, `irqs`, `probe`"
        );
        let unknown = text(0).replace("\"test\"", "\"floppy\"");
        let found = check(&unknown);
        assert!(found.starts_with("7: unknown device `floppy`: expected nvme, virtio-blk"), "{found}");
        assert!(found.ends_with(" or generic"), "{found}");
    }

    #[test]
    fn an_l2_cache_is_one_that_a_machine_can_have() {
        let cpus = |lines: &str| format!("kernel = \"v5.4\"\n[cpus]\npossible = 8\n{lines}\n");
        assert_eq!(check(&cpus("l2 = [\"0-3\", \"4-7\"]")), "fine");
        assert_eq!(
            check(&cpus("l2 = [\"0-3\", \"3-7\"]")),
            "4: CPU 3 is in two L2s: expected CPUs that no earlier L2 has"
        );
        assert_eq!(
            check(&cpus("l2 = [\"0-3\"]")),
            "2: CPU 4 is in no L2: expected every possible CPU in one of `l2`"
        );
        assert_eq!(
            check(&cpus("sockets = 2\nl2 = [\"0-2\", \"3-7\"]")),
            "5: CPUs 3 and 4 share an L2 and are in two sockets: expected CPUs of one socket"
        );
        assert_eq!(
            check(&cpus("nodes = [\"0-3\", \"4-7\"]\nl2 = [\"0-7\"]")),
            "5: CPUs 0 and 4 share an L2 and are in two nodes: expected CPUs of one node"
        );
        assert_eq!(
            check(&cpus("threads_per_core = 2\nl2 = [\"0-2\", \"3-7\"]")),
            "5: CPUs 2 and 3 are threads of a core and have two L2s: expected all threads of a core in one of `l2`"
        );
    }

    #[test]
    fn a_cpu_without_l2_of_its_own_shares_that_of_its_core() {
        let machine = |l2: &str| {
            let text = format!("kernel = \"v5.4\"\n[cpus]\npossible = 4\nthreads_per_core = 2\n{l2}\n");
            let mut topo = topology::Topology { siblings: vec![CpuMask::new(); 4], ..Default::default() };
            let machine = Machine::parse("m.toml", &text).unwrap();
            topo.cpus = (0..4).map(|cpu| machine.place(cpu)).collect();
            (0..4).map(CpuId).for_each(|cpu| topo.set_cpu_sibling_map(cpu));
            topo
        };
        let clusters = |topo: &topology::Topology| {
            let lists = (0..4).map(|cpu| topo.topology_cluster_cpumask(CpuId(cpu)).unwrap().list());
            lists.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(clusters(&machine("")), "0-1 0-1 2-3 2-3");
        let mut topo = machine("l2 = [\"0-3\"]");
        assert_eq!(clusters(&topo), "0-3 0-3 0-3 0-3");
        topo.remove_siblinginfo(CpuId(1));
        assert_eq!(clusters(&topo), "0,2-3  0,2-3 0,2-3");
        assert_eq!(topo.siblings[0].list(), "0");
        topo.set_cpu_sibling_map(CpuId(1));
        assert_eq!(topo, machine("l2 = [\"0-3\"]"));
    }

    #[test]
    fn an_isa_interrupt_has_one_pin_for_itself() {
        let isa = |lines: &str| {
            check(&format!(
                "kernel = \"v5.4\"\n[cpus]\npossible = 2\n{lines}\n[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = 1\nmsix_vectors = 0\nintx_gsi = 20\n"
            ))
        };
        assert_eq!(isa("[[isa]]\nirq = 2\ngsi = 16"), "fine");
        assert_eq!(
            isa("[[isa]]\nirq = 0\ngsi = 16"),
            "5: an ISA interrupt is 0: expected a number from 1 to 15"
        );
        assert_eq!(
            isa("[[isa]]\nirq = 2\ngsi = 4"),
            "6: the pin of an ISA interrupt is 4: expected a number from 16 to 23"
        );
        assert_eq!(
            isa("[[isa]]\nirq = 2\ngsi = 16\n[[isa]]\nirq = 2\ngsi = 17"),
            "8: ISA interrupt 2 is there twice: expected an interrupt that has no other pin"
        );
        assert_eq!(
            isa("[[isa]]\nirq = 2\ngsi = 20"),
            "12: pin 20 is an ISA interrupt's: expected a pin that is not listed under [[isa]]"
        );
    }

    #[test]
    fn apic_ids_are_those_that_a_message_can_name() {
        let cpus = |lines: &str| check(&format!("kernel = \"v6.12\"\n[cpus]\n{lines}\n"));
        let wide = "apic = \"x2apic\"\ninterrupt_remapping = true";
        assert_eq!(cpus("possible = 255"), "fine");
        assert_eq!(cpus(&format!("possible = 257\n{wide}")), "fine");
        let expected = "expected at most 255, or apic = \"x2apic\" with interrupt_remapping = true";
        assert_eq!(
            cpus("possible = 257\napic = \"x2apic\""),
            format!("3: 257 CPUs with 8-bit APIC IDs: {expected}")
        );
        let sparse = "possible = 125\nsockets = 5\nthreads_per_core = 5";
        assert_eq!(
            cpus(sparse),
            "4: CPU 100 has APIC ID 256, which no interrupt message can name: expected IDs up to 254 with the \
             room for cores and threads, or apic = \"x2apic\" with interrupt_remapping = true"
        );
        assert_eq!(cpus(&format!("{sparse}\n{wide}")), "fine");
        assert!(cpus(&format!("{sparse}\napic = \"x2apic\"")).contains("CPU 100 has APIC ID"));
        assert!(cpus(&format!("{sparse}\ninterrupt_remapping = true")).contains("CPU 100 has APIC ID"));
        // What is not plugged in is not addressed.
        assert_eq!(cpus(&format!("{sparse}\npresent = 80")), "fine");
    }

    #[test]
    fn the_nodes_of_absent_cpus_are_dealt_out_in_turn() {
        let text =
            "kernel = \"v5.4\"\n[cpus]\npossible = 8\npresent = 3\nnodes = [\"0-1\", \"2\", \"3-7\"]\n";
        let machine = Machine::parse("m.toml", text).unwrap();
        let nodes: Vec<u32> = (0..8).map(|cpu| machine.place(cpu).node.0).collect();
        assert_eq!(nodes, [0, 0, 1, 0, 1, 2, 0, 1]);
    }

    #[test]
    fn threads_are_counted_in_lists_too() {
        let threads = |lines: &str| {
            let text = format!("kernel = \"v5.4\"\n[cpus]\npossible = 6\n{lines}\n");
            Machine::parse("m.toml", &text).unwrap().most_threads()
        };
        assert_eq!(threads(""), 1);
        assert_eq!(threads("threads_per_core = 3"), 3);
        assert_eq!(threads("siblings = [\"0,3\", \"1,4\"]"), 2);
    }

    #[test]
    fn apic_ids_leave_room_for_threads_and_cores() {
        let text = "kernel = \"v5.4\"\n[cpus]\npossible = 12\npresent = 12\nsockets = 2\ncores_per_socket = 3\nthreads_per_core = 2\n";
        let machine = Machine::parse("m.toml", text).unwrap();
        let ids: Vec<u32> = (0..12).map(|cpu| machine.place(cpu).apic_id.0).collect();
        assert_eq!(ids, [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]);
    }
}
