//! Drivers of which only the interrupts count: how many messages each asks for, whether the kernel spreads
//! them, what it calls them and where it would like to have them.
//!
//! What is known of a driver is a [`Profile`], a row of [`table::PROFILES`]. A function with one goes through
//! `pci_alloc_irq_vectors_affinity()` or `pci_alloc_irq_vectors()` and `request_irq()` like any other. What the
//! machine file says of one function beyond that is its [`Board`].
//!
//! # What it doesn't implement
//! Everything else that these drivers do. A handler does nothing: /proc/interrupts counts.

pub mod hw;
// DEVIATION: a driver of 5.4 or of 7.3 may count otherwise; only the number of default RSS queues and what a
// hint does follow the kernel. Vectors for virtual machines (VMDq, SR-IOV), for RDMA and for polled queues are
// not asked for, and firmware limits are those of the MSI-X table. `vectors` in a machine file says otherwise.
// Drivers that allocate messages one by one later (mlx5, ice, bnxt) take all of them in their probe.
pub mod table;

use core::fmt;
use core::hash::{Hash, Hasher};

use irqcore::cpumask::cpumask_local_spread;
use kfn::kframe;
use kstate::data::Data;
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IRQF_SHARED, IrqReturn};
use kstate::msi::{CalcSets, IRQ_AFFINITY_MAX_SETS, IrqAffinity};
use kstate::pci::{PciDeviceId, PciDriver, ProbeType};
use kstate::{CpuId, CpuMask, Errno, Irq, Kernel, PciDevId};
use pcimsi::kernel::pci_driver::pci_register_driver;
use pcimsi::kernel::{
    PCI_IRQ_AFFINITY, PCI_IRQ_ALL_TYPES, PCI_IRQ_MSI, PCI_IRQ_MSIX, pci_alloc_irq_vectors,
    pci_alloc_irq_vectors_affinity, pci_disable_device, pci_enable_device, pci_free_irq_vectors,
    pci_irq_vector, pci_set_master,
};

use crate::net_core::dev::netif_get_num_default_rss_queues;

/// A number that a driver counts its messages by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Number {
    /// The driver's own.
    Fixed(u32),
    /// `num_possible_cpus()`.
    Possible,
    /// `num_present_cpus()`.
    Present,
    /// `num_online_cpus()` when the driver is bound.
    Online,
    /// `netif_get_num_default_rss_queues()`.
    DefaultRss,
}

/// How many messages a driver asks for: `min(times * count, most) + plus`. It gets no more than the function
/// has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vectors {
    /// What it counts.
    pub count: Number,
    /// Messages for each.
    pub times: u32,
    /// The most of them.
    pub most: u32,
    /// Messages beside them.
    pub plus: u32,
}

/// How the spread messages are divided.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sets {
    /// One set with all of them.
    One,
    /// So many sets of the same size; what is left over is not spread. One set where there are fewer messages
    /// than sets.
    Equal(u32),
    /// Sets of these sizes, 0 for no set. The last one has the rest.
    Sizes([u16; IRQ_AFFINITY_MAX_SETS]),
}

/// Messages that the kernel spreads over the CPUs and manages (`struct irq_affinity`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Spread {
    /// Messages in front that it leaves alone.
    pub pre: u32,
    /// Messages at the end that it leaves alone.
    pub post: u32,
    /// How the others are divided.
    pub sets: Sets,
}

/// A message of a function by its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Counted from the first one, which is 0.
    Front(u32),
    /// Counted from the end: the last one is 1.
    Back(u32),
}

/// How many messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Len {
    /// So many.
    Count(u32),
    /// All that follow but the last ones.
    Rest {
        /// How many are left.
        leave: u32,
    },
}

/// Messages that a driver requests together. Those that no entry has are allocated and not requested.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Actions {
    /// The first of them.
    pub first: Place,
    /// How many.
    pub len: Len,
    /// What the driver calls them, see [`action_name`].
    pub name: &'static str,
}

/// The CPU of an affinity hint. `i` is the message's number behind the first one with a hint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cpu {
    /// `cpumask_local_spread(i, node)`: near the function first.
    Local,
    /// `cpumask_local_spread(i, -1)`: the i-th that is online.
    Nth,
    /// CPU `i` if it is online, and no CPU otherwise.
    Index,
    /// `i` modulo the number of CPUs that are online, or of half of the messages where these are fewer (gve).
    IndexOfHalf,
    /// The first online CPU for the first message, and for each other one its number, less one, modulo the
    /// number of CPUs that are online (ena).
    Management,
}

/// The hint that a driver leaves for user space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hint {
    /// Which CPU.
    pub cpu: Cpu,
    /// It sets the affinity as well (`irq_set_affinity_and_hint()`). Where the kernel has
    /// `irq_set_affinity_hint()` only, every hint does.
    pub sets: bool,
    /// The first message with one.
    pub first: u32,
    /// So many at the end have none.
    pub leave: u32,
}

/// What `{name}` stands for where the machine file gives no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Instance {
    /// A network interface: `eth0` and so on.
    Net,
    /// The number of a SCSI host.
    ScsiHost,
    /// A number among the functions of this driver.
    Own,
}

/// A driver, as far as its interrupts go. The driver's name identifies it.
pub struct Profile {
    /// What it gives to the bus. Its name is the machine file's word for such a function.
    pub driver: PciDriver,
    /// Vendor and device of a function that it takes.
    pub id: (u16, u16),
    /// Class code of that function.
    pub class: u32,
    /// What its functions are counted among.
    pub instance: Instance,
    /// What the kernel spreads; `None` for nothing: the messages are not managed.
    pub spread: Option<Spread>,
    /// What it asks for.
    pub vectors: Vectors,
    /// The fewest messages that it takes.
    pub min: u32,
    /// The hints that it leaves.
    pub hint: Option<Hint>,
    /// What it requests, in this order.
    pub actions: &'static [Actions],
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.driver.name == other.driver.name
    }
}
impl Eq for Profile {}
impl Hash for Profile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.driver.name.hash(state);
    }
}
impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.driver.name)
    }
}

/// The profile of a driver.
pub fn find(name: &str) -> Option<&'static Profile> {
    table::PROFILES.into_iter().find(|profile| profile.driver.name == name)
}

/// What a driver gives to the bus.
const fn driver(name: &'static str, id_table: &'static [PciDeviceId]) -> PciDriver {
    PciDriver {
        name,
        id_table,
        probe: |_, dev| profile_probe(dev),
        remove: |_, dev| profile_remove(dev),
        shutdown: None,
        reset_prepare: None,
        probe_type: |_| ProbeType::Default,
        built_in: true,
        overlaps: false,
    }
}

/// Messages that are requested under one name, in a machine file.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Named {
    /// The first of them.
    pub first: u32,
    /// The last of them.
    pub last: u32,
    /// What they are called, see [`action_name`]. Several handlers of one message have a comma and a space
    /// between their names.
    pub name: String,
}

/// A function: its driver, and what is known of it beyond that.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Board {
    /// The driver.
    pub profile: &'static Profile,
    /// What `{name}` stands for.
    pub name: Option<String>,
    /// How many messages its driver asks for, in place of the formula.
    pub vectors: Option<u32>,
    /// What the kernel spreads, in place of what the driver says; `Some(None)` for nothing.
    pub spread: Option<Option<Spread>>,
    /// What is requested, in place of what the driver requests.
    pub actions: Option<Vec<Named>>,
}

impl Board {
    /// A function of which nothing is known but its driver.
    pub fn new(profile: &'static Profile) -> Self {
        Self { profile, name: None, vectors: None, spread: None, actions: None }
    }

    /// What the kernel spreads.
    pub fn spread(&self) -> Option<Spread> {
        self.spread.unwrap_or(self.profile.spread)
    }

    /// How many messages the driver asks for.
    pub fn vectors(&self, k: &Kernel) -> u32 {
        if let Some(vectors) = self.vectors {
            return vectors;
        }
        let Vectors { count, times, most, plus } = self.profile.vectors;
        let count = match count {
            Number::Fixed(n) => n,
            Number::Possible => k.topo.possible.weight(),
            Number::Present => k.topo.present.weight(),
            Number::Online => k.topo.online.weight(),
            Number::DefaultRss => netif_get_num_default_rss_queues(k),
        };
        count.saturating_mul(times).min(most).saturating_add(plus)
    }

    /// The messages that are requested, of `got` that were granted, in this order: first, last, and what they
    /// are called.
    fn actions(&self, got: u32) -> Vec<(u32, u32, &str)> {
        if let Some(named) = &self.actions {
            return named
                .iter()
                .map(|n| (n.first, n.last.min(got.saturating_sub(1)), n.name.as_str()))
                .collect();
        }
        let range = |a: &Actions| {
            let first = match a.first {
                Place::Front(n) => n,
                Place::Back(n) => got.saturating_sub(n),
            };
            let end = match a.len {
                Len::Count(n) => first.saturating_add(n).min(got),
                Len::Rest { leave } => got.saturating_sub(leave),
            };
            // Where a single message is all there is, it is the first one of the list that has it.
            (first < end).then(|| (first, end - 1, a.name))
        };
        self.profile.actions.iter().filter_map(range).collect()
    }
}

/// The name of message number `n` of those that are requested together. `{}` stands for `n`, `{5}` for
/// `n + 5`, `{pci}` for the function's address, `{bus}` for its bus, device and function with colons between,
/// and `{name}` for the name of the interface or the number of the host. Anything else is as written.
pub fn action_name(template: &str, n: u32, name: &str, pci: &str) -> String {
    let mut out = String::with_capacity(template.len() + 8);
    let mut rest = template;
    while let Some((before, tail)) = rest.split_once('{') {
        out.push_str(before);
        let Some((word, behind)) = tail.split_once('}') else {
            out.push('{');
            rest = tail;
            continue;
        };
        match word {
            "" => out.push_str(&n.to_string()),
            "name" => out.push_str(name),
            "pci" => out.push_str(pci),
            "bus" => out.push_str(&pci.split_once(':').map_or(pci, |(_, bus)| bus).replace('.', ":")),
            word => match word.parse::<u32>() {
                Ok(from) => out.push_str(&from.saturating_add(n).to_string()),
                Err(_) => {
                    out.push('{');
                    rest = tail;
                    continue;
                }
            },
        }
        rest = behind;
    }
    out + rest
}

/// Puts a function behind its driver, which is loaded unless it is there already.
pub fn load(k: &mut Kernel, board: &Board) {
    let driver = &board.profile.driver;
    if !k.pci.drivers.contains(&driver) {
        pci_register_driver(k, driver);
    }
}

/// What a driver keeps of a function.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Bound {
    /// Its number among those of its kind.
    instance: u32,
    /// The messages that it has.
    vectors: u32,
    /// What it requested: the interrupt and which of its handlers.
    requested: Vec<(Irq, DevId)>,
}

/// The network interface of a function that is bound to a driver of one.
pub fn interface_name(k: &Kernel, dev: PciDevId) -> Option<String> {
    let bound = k.pci_dev(dev).drvdata.get::<Bound>()?;
    let board = hw::board(k, dev)?;
    if board.profile.instance != Instance::Net {
        return None;
    }
    Some(board.name.clone().unwrap_or_else(|| format!("eth{}", bound.instance)))
}

/// Binds a function: takes its messages and requests those that have a name.
// DEVIATION: no profile follows CPUs that come and go. Real network drivers rebuild their queues when somebody
// asks for it, and some set affinities again; here they stay as written.
#[kframe("irqlab")]
fn profile_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    if hw::board(k, dev).is_none() {
        return Err(Errno::ENODEV);
    }
    pci_enable_device(k, dev)?;
    pci_set_master(k, dev);
    let got: Result<u32, Errno> = call!(allocate(dev));
    let up: Result<(), Errno> = got.and_then(|vectors| set_up(k, dev, vectors));
    if up.is_err() {
        call!(tear_down(dev));
    }
    up
}

/// Lets a function go.
#[kframe("irqlab")]
fn profile_remove(k: &mut Kernel, dev: PciDevId) {
    let _ = &k;
    call!(tear_down(dev));
}

/// Gives back what [`set_up`] took, the last interrupt first.
#[kframe("irqlab", part)]
fn tear_down(k: &mut Kernel, dev: PciDevId) {
    loop {
        let irq: Option<Irq> = last_requested(k, dev);
        if irq.is_none() {
            break;
        }
        let dev_id: DevId = take_last(k, dev);
        call!(irqcore::manage::free_irq(irq.unwrap_or_default(), dev_id));
    }
    k.pci_dev_mut(dev).drvdata = Data::default();
    call!(pci_free_irq_vectors(dev));
    call!(pci_disable_device(dev));
}

/// The interrupt that was requested last.
fn last_requested(k: &Kernel, dev: PciDevId) -> Option<Irq> {
    k.pci_dev(dev).drvdata.get::<Bound>()?.requested.last().map(|(irq, _)| *irq)
}

/// Forgets the interrupt that was requested last, and takes back its hint: it is going to be freed.
fn take_last(k: &mut Kernel, dev: PciDevId) -> DevId {
    let last = k.pci_dev_mut(dev).drvdata.get_mut::<Bound>().and_then(|bound| bound.requested.pop());
    let (irq, dev_id) = last.unwrap_or_default();
    if k.find_desc(irq).is_some_and(|desc| desc.affinity_hint.is_some()) {
        // An interrupt that exists takes its hint back.
        let _ = apply_hint(k, irq, None, false);
    }
    dev_id
}

/// Requests those of the `got` messages of a function that have a name.
fn set_up(k: &mut Kernel, dev: PciDevId, got: u32) -> Result<(), Errno> {
    let Some(board) = hw::board(k, dev).cloned() else { return Err(Errno::ENODEV) };
    let instance = free_instance(k, board.profile.instance, board.profile);
    k.pci_dev_mut(dev).drvdata = Data::new(Bound { instance, vectors: got, requested: Vec::new() });
    let name = match (&board.name, board.profile.instance) {
        (Some(name), _) => name.clone(),
        (None, Instance::Net) => format!("eth{instance}"),
        (None, _) => instance.to_string(),
    };
    let pci = k.pci_dev(dev).name();
    for (first, last, template) in board.actions(got) {
        for index in first..=last {
            let irq = pci_irq_vector(k, dev, index)?;
            let line = !pcimsi::kernel::pci::pci_dev_msi_enabled(k, dev);
            let names = action_name(template, index - first, &name, &pci);
            let flags = if line || names.contains(", ") { IRQF_SHARED } else { 0 };
            for (nr, action) in names.split(", ").enumerate() {
                // A function has at most 2048 messages: the bits above tell its handlers apart.
                let dev_id = DevId::Driver(dev, index as u16 | (nr as u16 & 0x1f) << 11);
                irqcore::manage::request_irq(k, irq, HANDLER, flags, action, dev_id)?;
                if let Some(bound) = k.pci_dev_mut(dev).drvdata.get_mut::<Bound>() {
                    bound.requested.push((irq, dev_id));
                }
            }
            leave_hint(k, dev, &board, got, index, irq);
        }
    }
    Ok(())
}

const HANDLER: Handler = Handler { name: "irqlab_profile_handler", call: handled };

/// The handler does nothing: /proc/interrupts counts.
fn handled(_k: &mut Kernel, _irq: Irq, _dev_id: DevId) -> IrqReturn {
    IrqReturn::Handled
}

/// Takes the messages of a function.
#[kframe("irqlab", part)]
fn allocate(k: &mut Kernel, dev: PciDevId) -> Result<u32, Errno> {
    let Some(board) = hw::board(k, dev).cloned() else { return Err(Errno::ENODEV) };
    let want: u32 = board.vectors(k).max(1);
    let min: u32 = board.profile.min.min(want);
    let affd = board.spread().map(spread_as);
    if let Some(affd) = affd {
        // irq_calc_affinity_vectors() gives nothing to a driver that takes no spread message.
        min = min.max(affd.pre_vectors + affd.post_vectors).max(1);
        k.pci_dev_mut(dev).msi_setup().affd = affd;
    }
    let spread: bool = affd.is_some();
    if !spread {
        return call!(pci_alloc_irq_vectors(k, dev, min, want, PCI_IRQ_ALL_TYPES));
    }
    let flags: u32 = PCI_IRQ_MSIX | PCI_IRQ_MSI | PCI_IRQ_AFFINITY;
    let got: Result<u32, Errno> = call!(pci_alloc_irq_vectors_affinity(dev, min, want.max(min), flags, true));
    if got.is_err() {
        // Storage drivers make do with one message, or the line.
        got = call!(pci_alloc_irq_vectors(k, dev, 1, 1, PCI_IRQ_ALL_TYPES));
    }
    got
}

/// How a function's messages are spread, as its driver tells the kernel.
fn spread_as(spread: Spread) -> IrqAffinity {
    let Spread { pre, post, sets } = spread;
    let (calc_sets, priv_data) = match sets {
        Sets::One => (None, 0),
        Sets::Equal(n) => (Some(EQUAL_SETS), u64::from(n)),
        Sets::Sizes(sizes) => {
            (Some(SIZED_SETS), sizes.iter().rev().fold(0, |bits, &n| bits << 16 | u64::from(n)))
        }
    };
    IrqAffinity { pre_vectors: pre, post_vectors: post, calc_sets, priv_data, ..IrqAffinity::default() }
}

const EQUAL_SETS: CalcSets = CalcSets { name: "irqlab_equal_sets", call: equal_sets };
const SIZED_SETS: CalcSets = CalcSets { name: "irqlab_sized_sets", call: sized_sets };

/// `calc_sets` of a driver with sets of the same size.
fn equal_sets(_k: &mut Kernel, affd: &mut IrqAffinity, affvecs: u32) {
    if affvecs == 0 {
        return;
    }
    let sets = (affd.priv_data as u32).clamp(1, IRQ_AFFINITY_MAX_SETS as u32);
    if affvecs < sets {
        (affd.nr_sets, affd.set_size[0]) = (1, affvecs);
        return;
    }
    affd.nr_sets = sets;
    affd.set_size[..sets as usize].fill(affvecs / sets);
}

/// `calc_sets` of a function whose sets are listed: each is as large as listed while there are messages, and
/// the last one has the rest.
fn sized_sets(_k: &mut Kernel, affd: &mut IrqAffinity, affvecs: u32) {
    let sizes = (0..IRQ_AFFINITY_MAX_SETS).map(|i| (affd.priv_data >> (16 * i)) as u32 & 0xffff);
    let sizes: Vec<u32> = sizes.take_while(|&size| size != 0).collect();
    let mut left = affvecs;
    affd.nr_sets = 0;
    for (i, &size) in sizes.iter().enumerate() {
        let size = if i + 1 == sizes.len() { left } else { size.min(left) };
        if size == 0 {
            break;
        }
        affd.set_size[i] = size;
        affd.nr_sets += 1;
        left -= size;
    }
}

/// The lowest number that no function of the same kind has.
fn free_instance(k: &Kernel, kind: Instance, profile: &Profile) -> u32 {
    let same = |dev: PciDevId| {
        hw::board(k, dev).is_some_and(|other| match kind {
            Instance::Own => other.profile == profile,
            kind => other.profile.instance == kind,
        })
    };
    let devs = (0..k.pci.devs.len() as u32).map(PciDevId).filter(|&dev| same(dev));
    let mut taken: Vec<u32> =
        devs.filter_map(|dev| Some(k.pci_dev(dev).drvdata.get::<Bound>()?.instance)).collect();
    taken.sort_unstable();
    (0..).zip(&taken).find(|(n, taken)| n != *taken).map_or(taken.len() as u32, |(n, _)| n)
}

/// Leaves the driver's hint for a message, where it has one.
fn leave_hint(k: &mut Kernel, dev: PciDevId, board: &Board, got: u32, index: u32, irq: Irq) {
    let Some(Hint { cpu, sets, first, leave }) = board.profile.hint else { return };
    if !(first..got.saturating_sub(leave)).contains(&index) {
        return;
    }
    let i = index - first;
    let online = k.topo.online.weight().max(1);
    let node = k.pci_dev(dev).node;
    let mask = match cpu {
        Cpu::Local => CpuMask::of(cpumask_local_spread(k, i, node)),
        Cpu::Nth => CpuMask::of(cpumask_local_spread(k, i, -1)),
        Cpu::Index if k.topo.is_online(CpuId(i)) => CpuMask::of(CpuId(i)),
        Cpu::Index => CpuMask::new(),
        Cpu::IndexOfHalf => CpuMask::of(CpuId(i % online.min((got - 1) / 2).max(1))),
        Cpu::Management => match index.checked_sub(1) {
            None => CpuMask::of(k.topo.online.first().unwrap_or_default()),
            Some(queue) => CpuMask::of(CpuId(queue % online)),
        },
    };
    // The result is ignored as in C.
    let _ = apply_hint(k, irq, Some(&mask), sets);
}

/// `irq_update_affinity_hint()`, or `irq_set_affinity_and_hint()` with `sets`. A kernel without them has
/// `irq_set_affinity_hint()`, which sets the affinity.
fn apply_hint(k: &mut Kernel, irq: Irq, mask: Option<&CpuMask>, sets: bool) -> Result<(), Errno> {
    if k.sem.affinity_hint_inline {
        return irqcore::manage::__irq_apply_affinity_hint(k, irq, mask, sets);
    }
    irqcore::manage::irq_set_affinity_hint(k, irq, mask)
}
