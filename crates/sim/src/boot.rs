//! From power-on to a shell: builds the hardware a machine file describes and brings the kernel up
//! on it.

use std::collections::BTreeSet;

use drivers::virtio::pci_common::VIRTIO_PCI_DRIVER;
use kcore::base::dd::{device_driver_attach, driver_allows_async_probing};
use kstate::apic::MpcIntsrc;
use kstate::hw::lapic::Lvt;
use kstate::hw::pci::{MsiCapability, PciFunction};
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IRQF_ONESHOT, IRQF_SHARED, IrqReturn, Irqd};
use kstate::irqdomain::{AllocType, IrqAllocInfo};
use kstate::list::List;
use kstate::oracle::Oracle;
use kstate::sched::TaskKind;
use kstate::semantics::Semantics;
use kstate::shared::Shared;
use kstate::trace::{Actor, Observer, Recorded};
use kstate::{CpuId, Errno, Irq, Kernel, PciDevId, TaskId};
use pcimsi::kernel::pci_driver::pci_bus_match;
use x86apic::kernel::io_apic::{IOAPIC_MAP_ALLOC, acpi_get_override_irq, mp_map_gsi_to_irq};

use crate::machine::{ApicMode, BoardLine, MAX_MSIX, Machine, PciDevice};
use crate::vfs::{self, Written};
use crate::{engine, params, topology};

mod order;

use order::{Turn, Turns};

/// `NUMA_NO_NODE`: the PC's firmware does not say which node its PCI bus belongs to.
const NO_NODE: i32 = -1;
/// How long drivers get to settle after their probe: far longer than any device takes.
const SETTLE: u64 = 2_000_000_000;
/// Where a function has its MSI capability: behind that of MSI-X.
const MSI_OFFSET: u16 = 0x50;
/// The interrupts of the ISA bus, which exist from the start.
const NR_IRQS_LEGACY: u32 = 16;
/// Requester ID of the IO-APIC: the firmware's DMAR table gives it a bus of its own.
const IOAPIC_SOURCE: u16 = 0xff00;

/// Builds a machine and boots it under `semantics`. `recorded` is recorded from power-on.
pub fn boot(machine: &Machine, semantics: Semantics, recorded: impl Into<Recorded>) -> Kernel {
    boot_each(machine, semantics, recorded, &mut |_| {})
}

/// As [`boot`]; `after` is called after every step of the engine.
///
/// On real hardware drivers probe in parallel, and who comes first is a race that the machine file
/// has the outcome of. Where it lists the messages of several NVMe controllers, turns of their drivers
/// are looked for that lead there. Otherwise orders are tried one after the other until one leads to what
/// `[[boot.vector]]` lists, drawn ones included in which controllers overtake each other; a machine file
/// without either takes the first.
pub fn boot_each(
    machine: &Machine,
    semantics: Semantics,
    recorded: impl Into<Recorded>,
    after: &mut impl FnMut(&Kernel),
) -> Kernel {
    boot_best(machine, semantics, recorded.into(), after).1
}

/// As [`boot`], with somebody who looks at the machine from power-on. In which order drivers probe is found out before, and
/// not looked at.
pub fn boot_observed(machine: &Machine, semantics: Semantics, observer: Box<dyn Observer>) -> Kernel {
    let none = &mut |_: &Kernel| {};
    let (order, _) = boot_best(machine, semantics.clone(), Recorded::Nothing, none);
    let mut k = power_on(machine, semantics);
    k.trace.observer.begin(observer);
    boot_in(k, machine, Recorded::Hardware, &order, none)
}

/// The order in which the drivers of a machine probe, found out once for several boots.
#[derive(Clone, Debug)]
pub struct Probing(Order);

/// Finds out in which order drivers probe; see [`boot_each`].
pub fn find_probing(machine: &Machine, semantics: Semantics) -> Probing {
    Probing(boot_best(machine, semantics, Recorded::Nothing, &mut |_: &Kernel| {}).0)
}

/// As [`boot_each`], in an order that was found out before, and with an oracle other than the quiet one.
pub fn boot_racing(
    machine: &Machine,
    semantics: Semantics,
    probing: &Probing,
    oracle: Oracle,
    after: &mut impl FnMut(&Kernel),
) -> Kernel {
    let mut k = power_on(machine, semantics);
    k.oracle = oracle;
    boot_in(k, machine, Recorded::Kernel, &probing.0, after)
}

/// Boots in the order that comes closest to what the machine file lists.
fn boot_best(
    machine: &Machine,
    semantics: Semantics,
    recorded: Recorded,
    after: &mut impl FnMut(&Kernel),
) -> (Order, Kernel) {
    if machine.pci.len() > 1
        && !machine.boot_interrupts.is_empty()
        && let Some(turns) = find_turns(machine, semantics.clone())
    {
        let order = Order::Turns(turns);
        let k = boot_in(power_on(machine, semantics), machine, recorded, &order, after);
        return (order, k);
    }
    let listed = (machine.boot_interrupts.len(), machine.boot_vectors.len(), machine.boot_vectors.len());
    let mut best: Option<((usize, usize, usize), Order, Kernel)> = None;
    // Whether this order leads to what the file lists, and how many may be drawn.
    let mut leads_there = |order: &Order| {
        let k = boot_in(power_on(machine, semantics.clone()), machine, recorded, order, after);
        let together =
            k.pci.devs.iter().filter_map(|d| d.driver).filter(|d| k.pci.drivers[d.index()].overlaps);
        let draws = if together.count() > 1 { DRAWS } else { 0 };
        let (named, placed) = likeness(&k, machine);
        let likeness = (order::listed(&k, machine), named, placed);
        if best.as_ref().is_none_or(|(found, ..)| likeness > *found) {
            best = Some((likeness, order.clone(), k));
        }
        (likeness == listed, draws)
    };
    let mut draws = 0;
    let mut found = false;
    for order in &ORDERS {
        (found, draws) = leads_there(order);
        if found {
            break;
        }
    }
    let _ = found || (0..draws).any(|seed| leads_there(&Order::Drawn(seed)).0);
    let (_, order, k) = best.expect("there is an order to try");
    (order, k)
}

/// In which order PCI drivers probe.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Order {
    /// One after the other.
    Fixed {
        /// A device settles before the next one is probed.
        settles: bool,
        /// Devices of a driver are probed from the highest address down.
        reversed: bool,
    },
    /// One after the other and each to its end, in the order of the numbers that the machine file lists: drivers that
    /// are modules are loaded in any order.
    Numbered,
    /// Controllers come up together, in an order that this seed decides from step to step.
    Drawn(u64),
    /// They come up together and take these turns.
    Turns(Vec<Turn>),
}

/// How many orders are drawn.
const DRAWS: u64 = 64;

const ORDERS: [Order; 5] = [
    Order::Fixed { settles: true, reversed: false },
    Order::Fixed { settles: false, reversed: false },
    Order::Fixed { settles: true, reversed: true },
    Order::Fixed { settles: false, reversed: true },
    Order::Numbered,
];

/// How many of the interrupts that the machine file lists have their name, and how many of those
/// their vector as well.
fn likeness(k: &Kernel, machine: &Machine) -> (usize, usize) {
    let named = machine.boot_vectors.iter().filter(|v| {
        let names = k.find_desc(v.irq).map(|desc| desc.action.iter().map(|a| &*a.name));
        names.is_some_and(|names| names.collect::<Vec<_>>().join(", ") == v.name)
    });
    let vector = |irq| x86apic::kernel::vector::irqd_cfg(k, irq).map(|cfg| cfg.vector);
    let placed = named.clone().filter(|v| vector(v.irq) == Some(v.vector)).count();
    (named.count(), placed)
}

/// Turns of the controllers' drivers that lead to what the machine file lists.
fn find_turns(machine: &Machine, semantics: Semantics) -> Option<Vec<Turn>> {
    let none = &mut |_: &Kernel| {};
    let mut k = before_drivers(power_on(machine, semantics), machine, Recorded::Nothing, none);
    let devs = add_functions(&mut k, machine, &ORDERS[0]);
    let turns = start_together(&mut k, &devs, none);
    order::find(k, turns, machine)
}

/// Everything that comes before the drivers of PCI functions.
fn before_drivers(
    mut k: Kernel,
    machine: &Machine,
    recorded: Recorded,
    after: &mut impl FnMut(&Kernel),
) -> Kernel {
    k.irq.boot_numbers = numbers_left(machine).into();
    k.trace.record(recorded);
    let ctx = k.trace.open(Actor::Boot, &[]);
    k.cur.ctx = ctx;

    kcore::cpu::boot_cpu_init(&mut k);
    params::parse_args(&mut k);
    kcore::cpu::smt::cpu_smt_set_num_threads(&mut k, machine.most_threads());
    if machine.smt_vulnerable == Some(true) && k.hotplug.mitigations_auto_nosmt {
        kcore::cpu::cpu_smt_disable(&mut k, false);
    }
    x86apic::kernel::start_kernel(&mut k);
    // Of an interrupt without a listed vector only the CPU is known.
    let placed: Vec<(CpuId, u32)> =
        k.apic.boot_placement.values().copied().filter(|(_, vector)| *vector != 0).collect();
    k.vector_matrix.set_aside = placed;
    let init = k.spawn(TaskKind::Task, CpuId(0), kcore::smp::smp_init().frame, &[]);
    engine::run_task(&mut k, init, after);
    settle(&mut k, after);

    drivers::init(&mut k);
    irqcore::proc::init_irq_proc(&mut k);
    if x86apic::kernel::dmar::init_dmars(&mut k).is_err() {
        k.pr_warn("DMAR: Initialization failed");
    }
    k.irq.boot_numbers = List::default();
    platform(&mut k, machine, Platform::Early, after);
    k
}

fn settle(k: &mut Kernel, after: &mut impl FnMut(&Kernel)) {
    let now = k.events.now;
    engine::run_until(k, now + SETTLE, after);
}

fn probe(k: &mut Kernel, dev: PciDevId) -> TaskId {
    k.spawn(TaskKind::Task, CpuId(0), device_driver_attach(dev).frame, &[])
}

/// Lets the driver of a function probe it, to the end of what the probe itself does. The numbers of virtio devices at lower
/// addresses that come later here are taken meanwhile: virtio-pci has registered all devices, in the order of their
/// addresses, before the module of any virtio driver is loaded.
fn probe_to_end(k: &mut Kernel, dev: PciDevId, after: &mut impl FnMut(&Kernel)) {
    let driver = pci_bus_match(k, dev);
    let is_virtio = driver.is_some_and(|drv| k.pci.drivers[drv.index()].name == VIRTIO_PCI_DRIVER.name);
    let before = (0..dev.0).filter(|&other| is_virtio && pci_bus_match(k, PciDevId(other)) == driver).count();
    let held: Vec<u32> =
        (0..before as u32).filter(|&number| k.virtio.virtio_index_ida.insert(number)).collect();
    let task = probe(k, dev);
    engine::run_task(k, task, after);
    for number in held {
        k.virtio.virtio_index_ida.remove(&number);
    }
}

/// The driver of a function brings it up beside others.
fn overlaps(k: &Kernel, dev: PciDevId) -> bool {
    pci_bus_match(k, dev).is_some_and(|drv| k.pci.drivers[drv.index()].overlaps)
}

/// Binds all functions but those that are brought up together, and starts the drivers of these: 5.4
/// probes them one after the other and leaves the rest to workers, 6.12 probes them at the same time.
fn start_together(k: &mut Kernel, devs: &[PciDevId], after: &mut impl FnMut(&Kernel)) -> Turns {
    for &dev in devs.iter().filter(|&&dev| !overlaps(k, dev)).collect::<Vec<_>>() {
        probe_to_end(k, dev, after);
        settle(k, after);
    }
    let together: Vec<PciDevId> = devs.iter().copied().filter(|&dev| overlaps(k, dev)).collect();
    let mut turns = Turns::new(k, together.clone());
    for (turn, &dev) in (0..).zip(&together) {
        let task = probe(k, dev);
        if driver_allows_async_probing(k, dev) {
            turns.own(k, turn);
        } else {
            turns.finish(k, turn, task, after);
        }
    }
    turns
}

fn boot_in(
    k: Kernel,
    machine: &Machine,
    recorded: Recorded,
    order: &Order,
    after: &mut impl FnMut(&Kernel),
) -> Kernel {
    let mut k = before_drivers(k, machine, recorded, after);
    let devs = add_functions(&mut k, machine, order);
    // The oracle that somebody else has given, while this one draws an order.
    let mut given = None;
    if let Order::Turns(list) = order {
        let mut turns = start_together(&mut k, &devs, after);
        for &turn in list {
            turns.take(&mut k, turn, after);
        }
    } else {
        for dev in devs {
            if let Order::Drawn(seed) = order
                && given.is_none()
                && overlaps(&k, dev)
            {
                given = Some(core::mem::replace(&mut k.oracle, Oracle::seeded(*seed)));
            }
            k.irq.boot_numbers = numbers_of(machine, &k, dev).into();
            // `PROBE_PREFER_ASYNCHRONOUS`: the next probe does not wait for this one.
            if matches!(order, Order::Drawn(_)) && driver_allows_async_probing(&k, dev) {
                probe(&mut k, dev);
                continue;
            }
            probe_to_end(&mut k, dev, after);
            if matches!(order, Order::Fixed { settles: true, .. } | Order::Numbered) {
                settle(&mut k, after);
            }
        }
    }
    settle(&mut k, after);
    k.irq.boot_numbers = List::default();
    if let Some(given) = given {
        k.oracle = given;
    }
    platform(&mut k, machine, Platform::Late, after);
    restore(&mut k, machine, after);
    k.boot_done();
    for cpu in machine.offline.iter() {
        let down = k.spawn(TaskKind::Task, CpuId(0), kcore::base::core::online_store(cpu, false).frame, &[]);
        if engine::run_task(&mut k, down, after) != Some(0) {
            k.pr_warn(format!("irqlab: CPU {cpu} stays online"));
        }
    }
    k
}

/// The interrupt numbers that the machine file lists for a function; for one without a list, and for everything
/// else, those that nobody has.
fn numbers_of(machine: &Machine, k: &Kernel, dev: PciDevId) -> Vec<u32> {
    let dev = k.pci_dev(dev);
    let listed = machine.pci.iter().find(|d| (d.segment, d.bdf) == (dev.domain_nr, dev.bdf));
    match listed.filter(|d| !d.irqs.is_empty()) {
        Some(device) => device.irqs.clone(),
        None => numbers_left(machine),
    }
}

/// The interrupt numbers that no function has listed; none where there are no lists.
fn numbers_left(machine: &Machine) -> Vec<u32> {
    let listed: BTreeSet<u32> = machine.pci.iter().flat_map(|d| d.irqs.iter().copied()).collect();
    let Some(last) = listed.last() else { return Vec::new() };
    (machine.first_msi()..=last + MAX_MSIX).filter(|irq| !listed.contains(irq)).collect()
}

/// Writes affinities as somebody has on the machine as found. Each of these interrupts has come since, so that a
/// move which waits for that is done, unless the machine file says that it stands on another CPU.
fn restore(k: &mut Kernel, machine: &Machine, after: &mut impl FnMut(&Kernel)) {
    if machine.found.affinity.is_empty() {
        return;
    }
    for (&irq, cpus) in &machine.found.affinity {
        let file = format!("/proc/irq/{irq}/smp_affinity_list");
        let list = format!("{}\n", cpus.list());
        if vfs::read(k, &file).as_ref() == Ok(&list) {
            continue;
        }
        if let Written::Now(Err(e)) = vfs::write(k, &file, &list) {
            k.pr_warn(format!("irqlab: the affinity of interrupt {irq} cannot be set: {e}"));
            continue;
        }
        // On one that stands elsewhere the move still waits.
        if machine.found.effective.get(&irq).is_none_or(|cpu| cpus.contains(*cpu)) {
            irqcore::migration::irq_move_irq(k, Irqd::top(Irq(irq)));
        }
    }
    settle(k, after);
}

/// The hardware after power-on, and what the firmware tells the kernel about it.
fn power_on(machine: &Machine, semantics: Semantics) -> Kernel {
    let mut k = Kernel {
        sem: semantics,
        saved_command_line: Shared::new(machine.cmdline.clone()),
        ..Kernel::default()
    };
    params::parse_early_param(&mut k);
    k.topo = Shared::new(topology::init_possible_cpus(&mut k, machine));
    pcimsi::init(&mut k);
    x86apic::hw::lapic::power_on(&mut k);
    x86apic::hw::ioapic::power_on(&mut k, 0, 0x20, x86apic::hw::ioapic::PINS, IOAPIC_SOURCE);
    x86apic::hw::pic::power_on(&mut k);
    // The firmware leaves the boot CPU in virtual wire mode: the 8259 on LINT0.
    x86apic::hw::lapic::soft_enable(&mut k, CpuId(0), 0xff);
    x86apic::hw::lapic::set_lvt(&mut k, CpuId(0), Lvt::Lint0, 0x8700);
    if machine.interrupt_remapping {
        x86apic::hw::vtd::power_on(&mut k, machine.apic == ApicMode::X2apic);
    }
    for isa in &machine.isa {
        // Trigger and polarity are those of the ISA bus.
        k.apic.madt_overrides.push(MpcIntsrc { srcbusirq: isa.irq, dstirq: isa.gsi, level_low: None });
    }
    k.apic.more_gsis = machine.more_gsis;
    let chosen = machine.found.affinity.iter().filter_map(|(&irq, cpus)| Some((irq, cpus.first()?)));
    let known = machine.found.effective.iter().map(|(&irq, &cpu)| (irq, cpu));
    k.apic.boot_placement.extend(chosen.chain(known).map(|(irq, cpu)| (irq, (cpu, 0))));
    for v in &machine.boot_vectors {
        k.apic.boot_placement.insert(v.irq.0, (v.cpu, v.vector));
    }
    k
}

/// Puts the functions on the bus, and lists those that are bound at boot in the order in which their
/// drivers probe, which is that of their registration.
fn add_functions(k: &mut Kernel, machine: &Machine, order: &Order) -> Vec<PciDevId> {
    let mut bound = Vec::new();
    for (at, device) in machine.pci.iter().enumerate() {
        let dev = add_function(k, device);
        let driver = pci_bus_match(k, dev).filter(|drv| k.pci.drivers[drv.index()].built_in);
        let listed = || {
            let numbers = machine.boot_interrupts.iter().filter(|i| i.device == at).map(|i| i.irq.0);
            // Who takes no messages is in nobody's way.
            (*order == Order::Numbered).then(|| numbers.min().unwrap_or(0))
        };
        let first = device.probe.or(device.irqs.first().copied()).or_else(listed);
        bound.extend(driver.map(|driver| (driver, dev, first)));
    }
    if matches!(order, Order::Fixed { reversed: true, .. }) {
        bound.reverse();
    }
    // Who has the lower numbers came first.
    bound.sort_by_key(|&(driver, _, first)| (first.unwrap_or(u32::MAX), driver));
    bound.into_iter().map(|(_, dev, _)| dev).collect()
}

fn add_function(k: &mut Kernel, device: &PciDevice) -> PciDevId {
    let dev = PciDevId(k.pci.devs.len() as u32);
    let mut function = PciFunction {
        segment: device.segment,
        bdf: device.bdf,
        interrupt_pin: u8::from(device.intx_gsi.is_some()),
        intx_input: device.intx_gsi.unwrap_or(0),
        // SeaBIOS gives the eight links of this chipset 10, 10, 11, 11 and again.
        intx_isa: device.intx_gsi.map_or(0, |gsi| [10, 10, 11, 11][(gsi % 4) as usize]),
        model: device.model,
        ..PciFunction::default()
    };
    if device.msix_vectors > 0 {
        // The machine file was checked: a table has at most 2048 entries.
        let (bar, offset) = device.model.msix_table;
        let fits = pcimsi::hw::config::add_msix(&mut function, 0x40, bar, offset, device.msix_vectors);
        debug_assert!(fits.is_some(), "an MSI-X table of {} entries", device.msix_vectors);
    }
    if device.msi_vectors > 0 {
        let capability = MsiCapability {
            offset: MSI_OFFSET,
            multiple_message_capable: device.msi_vectors.ilog2() as u8,
            address_64: true,
            maskable: device.msi_maskable,
            ..MsiCapability::default()
        };
        pcimsi::hw::config::add_msi(&mut function, capability);
    }
    (device.model.power_on)(k, dev, &mut function, &device.parameters);
    if let Some(board) = &device.board {
        drivers::profile::load(k, board);
        drivers::profile::hw::identify(&mut function, board.clone());
    }
    let dev = pcimsi::kernel::probe::pci_device_add(k, function);
    k.pci_dev_mut(dev).node = device.node.map_or(NO_NODE, |node| node.0 as i32);
    dev
}

/// When a platform device asks for its interrupt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Platform {
    /// Before PCI drivers probe.
    Early,
    /// After.
    Late,
}

/// A device on the board, as far as its interrupt goes.
pub(crate) struct PlatformDevice {
    pub(crate) irq: u32,
    pub(crate) name: &'static str,
    when: Platform,
    handler: &'static str,
    /// It asks for its interrupt once to try it out, before it asks to keep it.
    tries: bool,
}

/// In the order in which they ask.
pub(crate) const PLATFORM: [PlatformDevice; 5] = [
    PlatformDevice { irq: 9, name: "acpi", when: Platform::Early, handler: "acpi_irq", tries: false },
    // i8042_check_aux() requests the interrupt to see whether it arrives.
    PlatformDevice { irq: 12, name: "i8042", when: Platform::Late, handler: "i8042_interrupt", tries: true },
    PlatformDevice { irq: 1, name: "i8042", when: Platform::Late, handler: "i8042_interrupt", tries: false },
    PlatformDevice {
        irq: 4,
        name: "ttyS0",
        when: Platform::Late,
        handler: "serial8250_interrupt",
        tries: false,
    },
    // The second port is opened, closed and opened again before the first command runs.
    PlatformDevice {
        irq: 3,
        name: "ttyS1",
        when: Platform::Late,
        handler: "serial8250_interrupt",
        tries: true,
    },
];

/// Nobody types, and nothing is printed: these devices raise no interrupts.
fn idle_device(_k: &mut Kernel, _irq: Irq, _dev_id: DevId) -> IrqReturn {
    IrqReturn::Handled
}

/// Requests the interrupt of a pin for the devices that the machine file names.
fn request_line(k: &mut Kernel, line: &BoardLine) -> Result<(), Errno> {
    let firmware = acpi_get_override_irq(k, line.gsi).is_none_or(|(level, _)| level);
    let level = line.level.unwrap_or(firmware);
    let irq = if line.gsi < NR_IRQS_LEGACY && level == firmware {
        Irq(line.gsi)
    } else {
        let info = IrqAllocInfo {
            kind: AllocType::IoApic,
            node: NO_NODE,
            trigger_level: level,
            polarity_low: level,
            valid: true,
            ..IrqAllocInfo::default()
        };
        mp_map_gsi_to_irq(k, line.gsi, IOAPIC_MAP_ALLOC, Some(&info))?
    };
    let shared = if level || line.name.contains(", ") { IRQF_SHARED } else { 0 };
    for (nr, name) in (0..).zip(line.name.split(", ")) {
        let handler = Some(Handler { name: "irqlab_line_handler", call: idle_device });
        let (handler, thread_fn, flags) = if name == "acpi" && k.sem.acpi_irq_threaded {
            (None, handler, IRQF_SHARED | IRQF_ONESHOT)
        } else {
            (handler, None, shared)
        };
        let dev_id = DevId::Platform(nr << 8 | line.gsi);
        irqcore::manage::request_threaded_irq(k, irq, handler, thread_fn, flags, name, dev_id)?;
    }
    Ok(())
}

/// Requests the interrupts of the board's own devices: those that the machine file says stand
/// somewhere, or all but the second serial port where it says nothing.
///
/// One that gets none is there without: a serial port cannot be opened, which nobody says. The keyboard's
/// controller gives up with the first of its two, and does not free what it was refused
/// (`i8042_check_aux()`).
fn platform(k: &mut Kernel, machine: &Machine, when: Platform, after: &mut impl FnMut(&Kernel)) {
    if !machine.lines.is_empty() {
        for line in &machine.lines {
            let early = line.name == "acpi";
            if early == (when == Platform::Early)
                && let Err(e) = request_line(k, line)
            {
                k.pr_warn(format!("irqlab: {} does not get pin {}: {e}", line.name, line.gsi));
            }
        }
        return;
    }
    let mut failed = None;
    for device in PLATFORM.iter().filter(|d| d.when == when) {
        let listed = machine.boot_vectors.iter().any(|v| v.irq.0 == device.irq);
        let wanted = if machine.boot_vectors.is_empty() { device.irq != 3 } else { listed };
        if !wanted || failed == Some(device.name) {
            continue;
        }
        let (irq, dev_id) = (Irq(device.irq), DevId::Platform(device.irq));
        let request = |k: &mut Kernel| {
            let handler = Some(Handler { name: device.handler, call: idle_device });
            let threaded = device.name == "acpi" && k.sem.acpi_irq_threaded;
            let (handler, thread_fn, flags) = if threaded {
                (None, handler, IRQF_SHARED | IRQF_ONESHOT)
            } else {
                (handler, None, IRQF_SHARED)
            };
            irqcore::manage::request_threaded_irq(k, irq, handler, thread_fn, flags, device.name, dev_id)
        };
        let mut granted = request(k);
        if granted.is_ok() && device.tries {
            let free = k.spawn(TaskKind::Task, CpuId(0), irqcore::manage::free_irq(irq, dev_id).frame, &[]);
            engine::run_task(k, free, after);
            granted = request(k);
        }
        if granted.is_err() {
            failed = Some(device.name);
        }
    }
}
