//! What happened: function records and tracepoints. Records are data; text is made later.

use core::any::Any;
use core::fmt;
use core::hash::{Hash, Hasher};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::copied::clone_by_field;
use crate::irqdesc::Irqd;
use crate::kernel::Kernel;
use crate::sched::{Slot as _, TaskState};
use crate::shared::Shared;
use crate::tracing::{Kept, Mark};
use crate::{CpuId, CtxId, Irq, PciDevId};

mod contexts;
mod hardware;

pub use contexts::{Contexts, Table};
pub use hardware::{Field, HARDWARE, Hardware, MsiRegister, Reason, Source};

/// Name and C files of a kernel function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FnMeta {
    /// The C name.
    pub name: &'static str,
    /// The C files it is in, relative to the kernel tree: that of the oldest generation first, then
    /// those it moved to.
    pub files: &'static [&'static str],
    /// Its parameters, without the kernel.
    pub args: &'static [Param],
    /// It is no function of C's but a piece of its caller: nothing records it.
    pub part: bool,
}

/// A parameter of a kernel function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// It is a `struct irq_data`, which is recorded as an interrupt and a level.
    pub irq_data: bool,
    /// How people read it.
    pub shown: Shown,
}

/// How an argument is shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shown {
    /// As a number.
    Word,
    /// `struct irq_data`: the interrupt and the level.
    IrqData,
    /// A PCI function: its address.
    Function,
    /// `dev_id`: the device and which of its interrupts.
    DevId,
    /// `enum cpuhp_state`: its name.
    State,
    /// What a table holds: its place there.
    Key,
}

/// A recorded argument.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Arg {
    /// A number, an id or a flag.
    Word(u64),
    /// One level of an interrupt's data.
    IrqData(Irqd),
}

/// A number as C's `long`; of an interrupt's data the interrupt, and behind a dot the level, 0 being
/// the outermost.
impl fmt::Display for Arg {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Word(word) => write!(f, "{}", *word as i64),
            Self::IrqData(data) => write!(f, "{}.{}", data.irq, data.level),
        }
    }
}

impl FnMeta {
    /// The arguments of a call that were recorded, by name.
    pub fn arguments<'a>(&self, words: &'a Args) -> impl Iterator<Item = (&'static str, Arg)> + use<'a> {
        self.args.iter().enumerate().filter_map(|(n, param)| {
            let word = words.get(n)?;
            let arg = if param.irq_data { Arg::IrqData(Irqd::from_slot(word)) } else { Arg::Word(word) };
            Some((param.name, arg))
        })
    }
}

/// Whose stack a record belongs to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Actor {
    /// A task of the script.
    Task,
    /// A workqueue worker.
    Kworker,
    /// A CPU's hotplug thread.
    Cpuhp(CpuId),
    /// A CPU's stopper thread.
    Migration(CpuId),
    /// A CPU's idle task.
    Idle(CpuId),
    /// A softirq on a CPU.
    Softirq(CpuId),
    /// A device interrupt: the number, the action's name and the CPU.
    Irq {
        /// The number, unknown for a vector without a descriptor.
        irq: Option<Irq>,
        /// Name of the first action.
        name: Arc<str>,
        /// Where it was taken.
        cpu: CpuId,
    },
    /// The vector cleanup interrupt or timer on a CPU.
    Cleanup(CpuId),
    /// An interrupt's thread, by its name.
    IrqThread(String),
    /// Power-on, before there are tasks.
    Boot,
}

/// Up to this many arguments of a call are recorded.
pub const MAX_ARGS: usize = 4;

/// The first arguments of a call, where they are words.
// Bytes, so that they fit into the space beside the tag of `What`: a record is one line of the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Args {
    words: [[u8; 8]; MAX_ARGS],
    /// A bit for each argument that is a word.
    given: u8,
}

const _: () = assert!(size_of::<Record>() == 64);

impl Args {
    /// The arguments in their order; `None` where one is no word.
    #[inline]
    pub fn of<const N: usize>(args: [Option<u64>; N]) -> Self {
        let mut kept = Self::default();
        for (n, arg) in args.into_iter().enumerate() {
            if let Some(word) = arg {
                kept.set(n, word);
            }
        }
        kept
    }

    /// Arguments that all are words.
    pub fn of_words(words: &[u64]) -> Self {
        let mut kept = Self::default();
        words.iter().enumerate().for_each(|(n, word)| kept.set(n, *word));
        kept
    }

    #[inline]
    fn set(&mut self, n: usize, word: u64) {
        if let Some(kept) = self.words.get_mut(n) {
            *kept = word.to_ne_bytes();
            self.given |= 1 << n;
        }
    }

    /// An argument; `None` where it is no word, or none of the first.
    pub fn get(&self, n: usize) -> Option<u64> {
        let word = self.words.get(n)?;
        (self.given >> n & 1 != 0).then(|| u64::from_ne_bytes(*word))
    }
}

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A kernel function was entered, with its first arguments that are plain words.
    Enter {
        /// Which.
        meta: &'static FnMeta,
        /// Arguments.
        args: Args,
    },
    /// It was left.
    Exit {
        /// Which.
        meta: &'static FnMeta,
        /// The return value, where it is a word.
        ret: Option<u64>,
    },
    /// A tracepoint fired.
    Tracepoint(Tracepoint),
    /// A `WARN_ON` or `pr_warn` fired; the text is in the kernel log.
    Warn(&'static str),
    /// Hardware did something, or software did to a register of it. No capture has such a record.
    Hardware(Hardware),
}

/// One thing that happened, where and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Whose stack.
    pub ctx: CtxId,
    /// On which CPU.
    pub cpu: CpuId,
    /// Virtual time in nanoseconds.
    pub time: u64,
    /// What.
    pub what: What,
}

/// A recording context: one stack, and who it belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ctx {
    /// Who.
    pub actor: Actor,
    /// Well-known functions above the outermost recorded one, innermost first.
    pub roots: &'static [&'static str],
}

/// How much of a run is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Recorded {
    /// Nothing.
    #[default]
    Nothing,
    /// What the kernel does: functions, tracepoints, warnings.
    Kernel,
    /// That, and what hardware does.
    Hardware,
}

/// Whether the kernel is recorded.
impl From<bool> for Recorded {
    fn from(kernel: bool) -> Self {
        if kernel { Self::Kernel } else { Self::Nothing }
    }
}

/// The record of a run. It is no part of the machine's state: two machines that differ only in
/// what was recorded are equal.
#[derive(Debug, Default)]
pub struct Trace {
    /// Records are kept.
    pub on: bool,
    /// What hardware does is kept, too.
    pub hardware: bool,
    /// What happened, in order.
    pub records: Vec<Record>,
    /// Who the contexts are.
    pub ctxs: Shared<Contexts>,
    /// What the kernel calls the functions that records of hardware are about.
    pub devices: BTreeMap<PciDevId, String>,
    /// Those of them that no driver has given a name yet.
    pub unnamed: BTreeSet<PciDevId>,
    /// What was done to the tracer of /sys/kernel/tracing meanwhile.
    pub marks: Vec<Mark>,
    /// The tracer as it was when records were forgotten.
    pub kept: Option<Arc<Kept>>,
    /// How many of the records were over then: they are in `kept` already.
    pub kept_until: usize,
    /// Who looks at the machine whenever something is recorded.
    pub observer: Observed,
}

clone_by_field! {
    Trace { on, hardware, records, ctxs, devices, unnamed, marks, kept, kept_until, observer }
}

/// Looks at a machine while its functions run: right after each record, before anything else happens.
pub trait Observer: Any + fmt::Debug + Send + Sync {
    /// Something was recorded, and is the last of the records. The recorder may be moved out of the way, but has to be
    /// back on return; nothing else of the machine may change.
    fn recorded(&mut self, k: &mut Kernel);

    /// A tracepoint stayed silent, since its CPU is not online.
    fn silent(&mut self, k: &mut Kernel, tracepoint: Tracepoint) {
        let _ = (k, tracepoint);
    }
}

/// Perhaps an observer. It looks at one machine alone: copies of the machine have none.
#[derive(Debug, Default)]
pub struct Observed(Option<Box<dyn Observer>>);

impl Observed {
    /// Lets somebody look, in place of who looked before.
    pub fn begin(&mut self, observer: Box<dyn Observer>) {
        self.0 = Some(observer);
    }

    /// Ends the looking and gives back who looked, as what it is.
    pub fn end<T: Observer>(&mut self) -> Option<Box<T>> {
        let observer: Box<dyn Any> = self.0.take()?;
        observer.downcast().ok()
    }

    /// Somebody looks.
    pub const fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

impl Clone for Observed {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Trace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Trace {}
impl Hash for Trace {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Trace {
    /// The context of what hardware does on its own: on nobody's stack.
    pub const NOBODY: CtxId = CtxId(u32::MAX);

    /// Opens a context.
    pub fn open(&mut self, actor: Actor, roots: &'static [&'static str]) -> CtxId {
        self.ctxs.open(Ctx { actor, roots })
    }
}

impl Trace {
    /// Begins to record so much.
    pub fn record(&mut self, recorded: Recorded) {
        self.on = recorded != Recorded::Nothing;
        self.hardware = recorded == Recorded::Hardware;
    }

    /// Forgets what is over: of the calls that have returned nothing is left, nor of what happened in them.
    /// The calls that are open stay, since what comes next happens below them. Indices into the records
    /// mean nothing afterwards. What the tracer made of the records has to be in `kept` before, if it made anything.
    pub fn forget(&mut self) {
        let mut open: BTreeMap<CtxId, Vec<usize>> = BTreeMap::new();
        for (i, record) in self.records.iter().enumerate() {
            match record.what {
                What::Enter { .. } => open.entry(record.ctx).or_default().push(i),
                What::Exit { .. } => {
                    if let Some(calls) = open.get_mut(&record.ctx) {
                        calls.pop();
                    }
                }
                What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => {}
            }
        }
        let mut kept: Vec<usize> = open.into_values().flatten().collect();
        kept.sort_unstable();
        self.records = kept.into_iter().map(|i| self.records[i]).collect();
        self.kept_until = self.records.len();
    }

    /// Adds the contexts that records name, and those that the tracer's buffer names.
    pub fn named_contexts(&self, named: &mut BTreeSet<CtxId>) {
        for record in &self.records {
            named.insert(record.ctx);
            if let What::Hardware(Hardware::Wakeup { task, .. }) = record.what {
                named.insert(task);
            }
        }
        if let Some(kept) = &self.kept {
            named.extend(kept.stacks.keys());
            named.extend(kept.ring.contexts());
        }
    }
}

/// Records the entry of a function. `#[kfn]` calls it.
pub fn enter(k: &mut Kernel, meta: &'static FnMeta, args: &Args) {
    push(k, What::Enter { meta, args: *args });
}

/// Records the exit of a function. `#[kfn]` calls it.
pub fn exit(k: &mut Kernel, meta: &'static FnMeta, ret: Option<u64>) {
    push(k, What::Exit { meta, ret });
}

#[inline]
pub(crate) fn push(k: &mut Kernel, what: What) {
    let record = Record { ctx: k.cur.ctx, cpu: k.cur.cpu, time: k.events.now, what };
    k.trace.records.push(record);
    if k.trace.observer.is_some() {
        observe(k, |observer, k| observer.recorded(k));
    }
}

#[cold]
#[inline(never)]
fn observe(k: &mut Kernel, look: impl FnOnce(&mut dyn Observer, &mut Kernel)) {
    let Some(mut observer) = k.trace.observer.0.take() else { return };
    look(&mut *observer, k);
    k.trace.observer.0 = Some(observer);
}

impl Kernel {
    /// Fires a tracepoint. Like the real one it stays silent on a CPU that is not online
    /// (include/linux/tracepoint.h, `cpu_online(raw_smp_processor_id())`).
    #[inline]
    pub fn tp(&mut self, tracepoint: Tracepoint) {
        if self.trace.on {
            self.trace_event(tracepoint);
        }
    }

    #[inline(never)]
    fn trace_event(&mut self, tracepoint: Tracepoint) {
        if self.topo.online.contains(self.cur.cpu) {
            push(self, What::Tracepoint(tracepoint));
        } else {
            observe(self, |observer, k| observer.silent(k, tracepoint));
        }
    }

    /// The contexts in which something may yet be recorded.
    pub fn live_contexts(&self) -> impl Iterator<Item = CtxId> {
        let tasks = self.sched.tasks.iter().filter(|task| !matches!(task.state, TaskState::Done(_)));
        let hardirqs = self.sched.hardirqs.values().map(|hardirq| hardirq.ctx);
        tasks.map(|task| task.ctx).chain(hardirqs).chain([self.cur.ctx])
    }

    /// Switches to another recording context and CPU, and returns the one left behind.
    pub fn switch_to(&mut self, ctx: CtxId, cpu: CpuId) -> crate::kernel::Current {
        core::mem::replace(&mut self.cur, crate::kernel::Current { ctx, cpu, task: None })
    }
}

/// Finds out whether an argument is a word, by which of two traits applies.
#[derive(Debug)]
pub struct Probe<'a, T>(pub &'a T);

/// The argument is a word.
pub trait ByValue {
    /// The word.
    fn word(&self) -> Option<u64>;
}

/// The argument is something else.
pub trait NoValue {
    /// Nothing.
    fn word(&self) -> Option<u64>;
}

impl<T: crate::sched::Slot + Copy> ByValue for Probe<'_, T> {
    fn word(&self) -> Option<u64> {
        Some((*self.0).to_slot())
    }
}

impl<T> NoValue for &Probe<'_, T> {
    fn word(&self) -> Option<u64> {
        None
    }
}

/// The global counters that every `irq_matrix` tracepoint ends with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MatrixGlobal {
    /// `matrix->online_maps`.
    pub online_maps: u32,
    /// `matrix->global_available`.
    pub global_available: u32,
    /// `matrix->global_reserved`.
    pub global_reserved: u32,
    /// `matrix->total_allocated`.
    pub total_allocated: u32,
}

/// One CPU's counters, as `irq_matrix` tracepoints show them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MatrixCpu {
    /// The bit.
    pub bit: i32,
    /// The CPU.
    pub cpu: CpuId,
    /// `cm->online`.
    pub online: bool,
    /// `cm->available`.
    pub available: u32,
    /// `cm->allocated`.
    pub allocated: u32,
    /// `cm->managed`.
    pub managed: u32,
    /// The global counters.
    pub global: MatrixGlobal,
}

/// The tracepoints of the interrupt path (include/trace/events/irq.h, irq_matrix.h,
/// arch/x86/include/asm/trace/irq_vectors.h).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "variants and fields are the tracepoints' own names")]
pub enum Tracepoint {
    IrqMatrixOnline(MatrixGlobal),
    IrqMatrixOffline(MatrixGlobal),
    IrqMatrixReserve(MatrixGlobal),
    IrqMatrixRemoveReserved(MatrixGlobal),
    IrqMatrixAssignSystem { bit: i32, global: MatrixGlobal },
    IrqMatrixAllocReserved(MatrixCpu),
    IrqMatrixReserveManaged(MatrixCpu),
    IrqMatrixRemoveManaged(MatrixCpu),
    IrqMatrixAllocManaged(MatrixCpu),
    IrqMatrixAssign(MatrixCpu),
    IrqMatrixAlloc(MatrixCpu),
    IrqMatrixFree(MatrixCpu),
    VectorConfig { irq: Irq, vector: u32, cpu: CpuId, apicdest: u32 },
    VectorUpdate { irq: Irq, vector: u32, cpu: CpuId, prev_vector: u32, prev_cpu: CpuId },
    VectorClear { irq: Irq, vector: u32, cpu: CpuId, prev_vector: u32, prev_cpu: CpuId },
    VectorReserveManaged { irq: Irq, ret: i32 },
    VectorReserve { irq: Irq, ret: i32 },
    VectorAlloc { irq: Irq, vector: u32, reserved: bool, ret: i32 },
    VectorAllocManaged { irq: Irq, vector: u32, ret: i32 },
    VectorActivate { irq: Irq, is_managed: bool, can_reserve: bool, reserve: bool },
    VectorDeactivate { irq: Irq, is_managed: bool, can_reserve: bool, reserve: bool },
    VectorTeardown { irq: Irq, is_managed: bool, has_reserved: bool },
    VectorSetup { irq: Irq, is_legacy: bool, ret: i32 },
    VectorFreeMoved { irq: Irq, cpu: CpuId, vector: u32, is_managed: bool },
    IrqHandlerEntry { irq: Irq, name: ActionName },
    IrqHandlerExit { irq: Irq, handled: bool },
}

/// An action's name, short enough to be copied.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActionName {
    bytes: [u8; 32],
    len: u8,
}

impl ActionName {
    /// The first 32 bytes of `name`.
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; 32];
        let mut len = name.len().min(32);
        while !name.is_char_boundary(len) {
            len -= 1;
        }
        bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
        Self { bytes, len: len as u8 }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or("?")
    }
}

impl fmt::Debug for ActionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Tracepoint {
    /// The tracepoint's name.
    pub const fn name(&self) -> &'static str {
        use Tracepoint as T;
        match self {
            T::IrqMatrixOnline(_) => "irq_matrix_online",
            T::IrqMatrixOffline(_) => "irq_matrix_offline",
            T::IrqMatrixReserve(_) => "irq_matrix_reserve",
            T::IrqMatrixRemoveReserved(_) => "irq_matrix_remove_reserved",
            T::IrqMatrixAssignSystem { .. } => "irq_matrix_assign_system",
            T::IrqMatrixAllocReserved(_) => "irq_matrix_alloc_reserved",
            T::IrqMatrixReserveManaged(_) => "irq_matrix_reserve_managed",
            T::IrqMatrixRemoveManaged(_) => "irq_matrix_remove_managed",
            T::IrqMatrixAllocManaged(_) => "irq_matrix_alloc_managed",
            T::IrqMatrixAssign(_) => "irq_matrix_assign",
            T::IrqMatrixAlloc(_) => "irq_matrix_alloc",
            T::IrqMatrixFree(_) => "irq_matrix_free",
            T::VectorConfig { .. } => "vector_config",
            T::VectorUpdate { .. } => "vector_update",
            T::VectorClear { .. } => "vector_clear",
            T::VectorReserveManaged { .. } => "vector_reserve_managed",
            T::VectorReserve { .. } => "vector_reserve",
            T::VectorAlloc { .. } => "vector_alloc",
            T::VectorAllocManaged { .. } => "vector_alloc_managed",
            T::VectorActivate { .. } => "vector_activate",
            T::VectorDeactivate { .. } => "vector_deactivate",
            T::VectorTeardown { .. } => "vector_teardown",
            T::VectorSetup { .. } => "vector_setup",
            T::VectorFreeMoved { .. } => "vector_free_moved",
            T::IrqHandlerEntry { .. } => "irq_handler_entry",
            T::IrqHandlerExit { .. } => "irq_handler_exit",
        }
    }

    /// The interrupt it names, where it names one.
    pub const fn irq(&self) -> Option<Irq> {
        use Tracepoint as T;
        match *self {
            T::VectorConfig { irq, .. }
            | T::VectorUpdate { irq, .. }
            | T::VectorClear { irq, .. }
            | T::VectorReserveManaged { irq, .. }
            | T::VectorReserve { irq, .. }
            | T::VectorAlloc { irq, .. }
            | T::VectorAllocManaged { irq, .. }
            | T::VectorActivate { irq, .. }
            | T::VectorDeactivate { irq, .. }
            | T::VectorTeardown { irq, .. }
            | T::VectorSetup { irq, .. }
            | T::VectorFreeMoved { irq, .. }
            | T::IrqHandlerEntry { irq, .. }
            | T::IrqHandlerExit { irq, .. } => Some(irq),
            _ => None,
        }
    }
}

/// The value of a tracepoint's field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldValue {
    /// A number, or a flag as 0 or 1.
    Number(i64),
    /// Text.
    Text(ActionName),
}

impl Tracepoint {
    /// The fields of the tracepoint with this name as `format` lists them, in the order of its structure
    /// (TP_STRUCT__entry); `None` where no tracepoint has the name.
    pub fn fields_of(name: &str) -> Option<&'static [&'static str]> {
        Some(match name {
            "irq_matrix_online"
            | "irq_matrix_offline"
            | "irq_matrix_reserve"
            | "irq_matrix_remove_reserved" => {
                &["online_maps", "global_available", "global_reserved", "total_allocated"]
            }
            "irq_matrix_assign_system" => {
                &["bit", "online_maps", "global_available", "global_reserved", "total_allocated"]
            }
            "irq_matrix_alloc_reserved"
            | "irq_matrix_reserve_managed"
            | "irq_matrix_remove_managed"
            | "irq_matrix_alloc_managed"
            | "irq_matrix_assign"
            | "irq_matrix_alloc"
            | "irq_matrix_free" => &[
                "bit",
                "cpu",
                "online",
                "available",
                "allocated",
                "managed",
                "online_maps",
                "global_available",
                "global_reserved",
                "total_allocated",
            ],
            "vector_config" => &["irq", "vector", "cpu", "apicdest"],
            "vector_update" | "vector_clear" => &["irq", "vector", "cpu", "prev_vector", "prev_cpu"],
            "vector_reserve_managed" | "vector_reserve" => &["irq", "ret"],
            "vector_alloc" => &["irq", "vector", "reserved", "ret"],
            "vector_alloc_managed" => &["irq", "vector", "ret"],
            "vector_activate" | "vector_deactivate" => &["irq", "is_managed", "can_reserve", "reserve"],
            "vector_teardown" => &["irq", "is_managed", "has_reserved"],
            "vector_setup" => &["irq", "is_legacy", "ret"],
            "vector_free_moved" => &["irq", "cpu", "vector", "is_managed"],
            "irq_handler_entry" => &["irq", "name"],
            "irq_handler_exit" => &["irq", "ret"],
            _ => return None,
        })
    }

    /// The value of a field, by the name that `format` gives it.
    pub fn field(&self, name: &str) -> Option<FieldValue> {
        use Tracepoint as T;
        let number = |n: u32| Some(i64::from(n));
        let global = |g: &MatrixGlobal| match name {
            "online_maps" => number(g.online_maps),
            "global_available" => number(g.global_available),
            "global_reserved" => number(g.global_reserved),
            "total_allocated" => number(g.total_allocated),
            _ => None,
        };
        let value = match (self, name) {
            (T::IrqHandlerEntry { name: text, .. }, "name") => return Some(FieldValue::Text(*text)),
            (_, "irq") => number(self.irq()?.0),
            (
                T::IrqMatrixOnline(g)
                | T::IrqMatrixOffline(g)
                | T::IrqMatrixReserve(g)
                | T::IrqMatrixRemoveReserved(g),
                _,
            ) => global(g),
            (T::IrqMatrixAssignSystem { bit, .. }, "bit") => Some(i64::from(*bit)),
            (T::IrqMatrixAssignSystem { global: g, .. }, _) => global(g),
            (
                T::IrqMatrixAllocReserved(c)
                | T::IrqMatrixReserveManaged(c)
                | T::IrqMatrixRemoveManaged(c)
                | T::IrqMatrixAllocManaged(c)
                | T::IrqMatrixAssign(c)
                | T::IrqMatrixAlloc(c)
                | T::IrqMatrixFree(c),
                _,
            ) => match name {
                "bit" => Some(i64::from(c.bit)),
                "cpu" => number(c.cpu.0),
                "online" => Some(i64::from(c.online)),
                "available" => number(c.available),
                "allocated" => number(c.allocated),
                "managed" => number(c.managed),
                _ => global(&c.global),
            },
            (
                T::VectorConfig { vector, .. }
                | T::VectorUpdate { vector, .. }
                | T::VectorClear { vector, .. }
                | T::VectorAlloc { vector, .. }
                | T::VectorAllocManaged { vector, .. }
                | T::VectorFreeMoved { vector, .. },
                "vector",
            ) => number(*vector),
            (
                T::VectorConfig { cpu, .. }
                | T::VectorUpdate { cpu, .. }
                | T::VectorClear { cpu, .. }
                | T::VectorFreeMoved { cpu, .. },
                "cpu",
            ) => number(cpu.0),
            (T::VectorConfig { apicdest, .. }, "apicdest") => number(*apicdest),
            (T::VectorUpdate { prev_vector, .. } | T::VectorClear { prev_vector, .. }, "prev_vector") => {
                number(*prev_vector)
            }
            (T::VectorUpdate { prev_cpu, .. } | T::VectorClear { prev_cpu, .. }, "prev_cpu") => {
                number(prev_cpu.0)
            }
            (
                T::VectorReserveManaged { ret, .. }
                | T::VectorReserve { ret, .. }
                | T::VectorAlloc { ret, .. }
                | T::VectorAllocManaged { ret, .. }
                | T::VectorSetup { ret, .. },
                "ret",
            ) => Some(i64::from(*ret)),
            (T::IrqHandlerExit { handled, .. }, "ret") => Some(i64::from(*handled)),
            (T::VectorAlloc { reserved, .. }, "reserved") => Some(i64::from(*reserved)),
            (
                T::VectorActivate { is_managed, .. }
                | T::VectorDeactivate { is_managed, .. }
                | T::VectorTeardown { is_managed, .. }
                | T::VectorFreeMoved { is_managed, .. },
                "is_managed",
            ) => Some(i64::from(*is_managed)),
            (
                T::VectorActivate { can_reserve, .. } | T::VectorDeactivate { can_reserve, .. },
                "can_reserve",
            ) => Some(i64::from(*can_reserve)),
            (T::VectorActivate { reserve, .. } | T::VectorDeactivate { reserve, .. }, "reserve") => {
                Some(i64::from(*reserve))
            }
            (T::VectorTeardown { has_reserved, .. }, "has_reserved") => Some(i64::from(*has_reserved)),
            (T::VectorSetup { is_legacy, .. }, "is_legacy") => Some(i64::from(*is_legacy)),
            _ => None,
        };
        value.map(FieldValue::Number)
    }
}

/// `name: fields`, in the kernel's own format.
impl fmt::Display for Tracepoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Tracepoint as T;
        let name = self.name();
        let global = |f: &mut fmt::Formatter<'_>, g: &MatrixGlobal| {
            let MatrixGlobal { online_maps, global_available, global_reserved, total_allocated } = g;
            write!(
                f,
                "online_maps={online_maps} global_avl={global_available}, global_rsvd={global_reserved}, total_alloc={total_allocated}"
            )
        };
        write!(f, "{name}: ")?;
        match self {
            T::IrqMatrixOnline(g)
            | T::IrqMatrixOffline(g)
            | T::IrqMatrixReserve(g)
            | T::IrqMatrixRemoveReserved(g) => global(f, g),
            T::IrqMatrixAssignSystem { bit, global: g } => {
                write!(f, "bit={bit} ")?;
                global(f, g)
            }
            T::IrqMatrixAllocReserved(c)
            | T::IrqMatrixReserveManaged(c)
            | T::IrqMatrixRemoveManaged(c)
            | T::IrqMatrixAllocManaged(c)
            | T::IrqMatrixAssign(c)
            | T::IrqMatrixAlloc(c)
            | T::IrqMatrixFree(c) => {
                let MatrixCpu { bit, cpu, online, available, allocated, managed, global: g } = c;
                write!(
                    f,
                    "bit={bit} cpu={cpu} online={} avl={available} alloc={allocated} managed={managed} ",
                    u8::from(*online)
                )?;
                global(f, g)
            }
            T::VectorConfig { irq, vector, cpu, apicdest } => {
                write!(f, "irq={irq} vector={vector} cpu={cpu} apicdest=0x{apicdest:08x}")
            }
            T::VectorUpdate { irq, vector, cpu, prev_vector, prev_cpu }
            | T::VectorClear { irq, vector, cpu, prev_vector, prev_cpu } => {
                write!(f, "irq={irq} vector={vector} cpu={cpu} prev_vector={prev_vector} prev_cpu={prev_cpu}")
            }
            T::VectorReserveManaged { irq, ret } | T::VectorReserve { irq, ret } => {
                write!(f, "irq={irq} ret={ret}")
            }
            T::VectorAlloc { irq, vector, reserved, ret } => {
                write!(f, "irq={irq} vector={vector} reserved={} ret={ret}", u8::from(*reserved))
            }
            T::VectorAllocManaged { irq, vector, ret } => write!(f, "irq={irq} vector={vector} ret={ret}"),
            T::VectorActivate { irq, is_managed, can_reserve, reserve }
            | T::VectorDeactivate { irq, is_managed, can_reserve, reserve } => write!(
                f,
                "irq={irq} is_managed={} can_reserve={} reserve={}",
                u8::from(*is_managed),
                u8::from(*can_reserve),
                u8::from(*reserve)
            ),
            T::VectorTeardown { irq, is_managed, has_reserved } => {
                write!(
                    f,
                    "irq={irq} is_managed={} has_reserved={}",
                    u8::from(*is_managed),
                    u8::from(*has_reserved)
                )
            }
            T::VectorSetup { irq, is_legacy, ret } => {
                write!(f, "irq={irq} is_legacy={} ret={ret}", u8::from(*is_legacy))
            }
            T::VectorFreeMoved { irq, cpu, vector, is_managed } => {
                write!(f, "irq={irq} cpu={cpu} vector={vector} is_managed={}", u8::from(*is_managed))
            }
            T::IrqHandlerEntry { irq, name } => write!(f, "irq={irq} name={}", name.as_str()),
            T::IrqHandlerExit { irq, handled } => {
                write!(f, "irq={irq} ret={}", if *handled { "handled" } else { "unhandled" })
            }
        }
    }
}
