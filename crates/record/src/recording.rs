//! Makes recordings from the record of a run: call trees, and tracepoints with stacks.
//!
//! The rules are those of `tests/captures/README.md`. A [`Trace`] has everything that every context did. A recording is the
//! part between two marks, reduced to the functions in scope, and without what is left to chance on a real machine.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use kstate::trace::{Actor, Args, Ctx, FnMeta, Record, Table, Trace, Tracepoint, What};
use kstate::{CtxId, Kernel};

use crate::functions::{Finder, Functions};

/// What a recording is asked to show.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Options {
    /// Show what the I/O path does on its own: outermost `queue_rq` calls, and the interrupts of
    /// I/O queues.
    ///
    /// When a driver binds or resets, the block layer reads the partition table at a moment of its
    /// own choosing, and completes by interrupt or by polling; nothing of that belongs to what the
    /// script did. It does belong when the script itself reads: so a recording has this set when a
    /// `dd` stands between its marks, wherever the recording is kept and whatever it is called.
    pub io: bool,
}

/// What a call is shown as.
pub type CallText<'a> = dyn Fn(&FnMeta, &Args) -> Cow<'static, str> + 'a;

/// A call as captures have it: the function's name.
pub fn name_of(meta: &FnMeta, _: &Args) -> Cow<'static, str> {
    Cow::Borrowed(meta.name)
}

/// A call with its arguments, by the names that a machine has for them.
pub fn with_arguments(k: &Kernel) -> impl Fn(&FnMeta, &Args) -> Cow<'static, str> {
    |meta, args| Cow::Owned(format!("{}({})", meta.name, k.arguments(meta, args)))
}

/// One line of a call tree.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Entry {
    /// A call.
    Call(Cow<'static, str>),
    /// A tracepoint that fired inside the call above, `name: fields`.
    Tracepoint(String),
}

/// One line of a call tree, and how deep it stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Line {
    /// Number of calls around it.
    pub depth: usize,
    /// What happened.
    pub entry: Entry,
}

/// One outermost call of one actor with everything below it, in preorder.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tree {
    /// Who ran it, as recordings name it.
    pub actor: String,
    /// The first line has depth 0, every other one at most one more than the line above it. More
    /// than one has depth 0 where a function that is not shown called them.
    pub lines: Vec<Line>,
}

impl Tree {
    /// The outermost function.
    pub fn root(&self) -> Option<&str> {
        match self.lines.first()?.entry {
            Entry::Call(ref name) => Some(name),
            Entry::Tracepoint(_) => None,
        }
    }
}

/// The call trees between two marks, by time of entry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recording {
    /// In order of entry.
    pub trees: Vec<Tree>,
}

/// A tracepoint with the stack it fired on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StackedEvent {
    /// Who was running, as recordings name it.
    pub actor: String,
    /// `name: fields`.
    pub tracepoint: String,
    /// Innermost first.
    pub stack: Vec<Cow<'static, str>>,
}

/// How many characters of a task's name the tracer prints (`print_graph_proc()`).
const TRACER_CHARS: usize = 7;

/// Who acts where hardware does on its own, on nobody's stack.
pub const HARDWARE: &str = "hardware";

/// An actor's name in a call tree.
pub fn flow_label(actor: &Actor) -> String {
    match actor {
        Actor::Task => "task".into(),
        Actor::Kworker => "kworker".into(),
        Actor::Cpuhp(cpu) => format!("cpuhp/{cpu}"),
        Actor::Migration(_) => "migration".into(),
        Actor::Idle(_) => "idle".into(),
        Actor::Softirq(_) => "softirq".into(),
        Actor::Irq { irq: Some(irq), name, cpu } if !name.is_empty() => {
            format!("irq {irq} {name} cpu={cpu}")
        }
        Actor::Irq { irq: Some(irq), name: _, cpu } => format!("irq {irq} cpu={cpu}"),
        Actor::Irq { irq: None, name: _, cpu } => format!("irq cpu={cpu}"),
        Actor::Cleanup(cpu) => format!("cleanup cpu={cpu}"),
        Actor::IrqThread(name) => name.chars().take(TRACER_CHARS).collect(),
        Actor::Boot => "boot".into(),
    }
}

/// An actor's name above a tracepoint. A stack dump knows the CPU of an idle task, but not which
/// interrupt it is in.
pub fn event_label(actor: &Actor) -> String {
    match actor {
        Actor::Idle(cpu) => format!("idle/{cpu}"),
        Actor::Irq { irq: _, name: _, cpu } => format!("irq cpu={cpu}"),
        Actor::Task
        | Actor::Kworker
        | Actor::Cpuhp(_)
        | Actor::Migration(_)
        | Actor::Softirq(_)
        | Actor::Cleanup(_)
        | Actor::IrqThread(_)
        | Actor::Boot => flow_label(actor),
    }
}

/// Serial ports, keyboard, ACPI and timer interrupt whenever they like.
fn is_background(actor: &Actor) -> bool {
    match actor {
        Actor::Irq { name, .. } => name.starts_with("ttyS") || matches!(&**name, "i8042" | "acpi" | "timer"),
        _ => false,
    }
}

/// The name of an action that serves I/O queues: `nvme0q1` and up (queue 0 is the admin queue),
/// `virtio0-req.1` and so on, or `virtio0-virtqueues` where the queues share one vector.
fn is_io_queue(name: &str) -> bool {
    if let Some((controller, queue)) = name.strip_prefix("nvme").and_then(|rest| rest.split_once('q')) {
        return is_number(controller) && is_number(queue) && queue.bytes().any(|b| b != b'0');
    }
    name.strip_prefix("virtio")
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(disk, queue)| is_number(disk) && queue != "config")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A tree while it is put together.
struct Draft {
    ctx: CtxId,
    /// The function of the first line.
    root: Option<&'static str>,
    lines: Vec<Line>,
    /// By line: a function of kernel/cpu.c.
    plumbing: Vec<bool>,
    handled: bool,
    unhandled: bool,
    closed: bool,
}

/// What is open in one context.
#[derive(Default)]
struct Open {
    /// By open call, outermost first: whether trees show it.
    calls: Vec<bool>,
    /// Open calls that are shown and were entered before the recording began.
    before: usize,
    /// Open calls that are shown and belong to the draft.
    depth: usize,
    draft: Option<usize>,
    /// Number of open calls above a hidden function whose callees make one tree.
    bracket: Option<usize>,
}

/// Outermost functions of kernel/irq that no recording shows still hold a tree together: the tracer
/// follows the whole directory, and what it leaves out is only not printed. So a write to a file of
/// /proc/irq is one tree with as many outermost lines as kernel/irq/proc.c made calls.
fn is_bracket(file: &str) -> bool {
    file.starts_with("kernel/irq/")
}

/// The thread of an interrupt never ends: what it is in the middle of is in the file as far as it came.
fn is_irq_thread(trace: &Trace, ctx: CtxId) -> bool {
    matches!(trace.ctxs.get(ctx), Some(Ctx { actor: Actor::IrqThread(_), .. }))
}

impl Open {
    fn close(&mut self) -> Option<bool> {
        let shown = self.calls.pop()?;
        if shown && self.depth == 0 {
            self.before = self.before.saturating_sub(1);
        }
        Some(shown)
    }
}

impl Recording {
    /// What happened between two marks, which are indices into `trace.records`.
    pub fn between(trace: &Trace, marks: Range<usize>, functions: &Functions, options: Options) -> Self {
        Self::between_with(trace, marks, functions, options, &name_of)
    }

    /// The same, with calls shown as `text` says.
    pub fn between_with(
        trace: &Trace,
        marks: Range<usize>,
        functions: &Functions,
        options: Options,
        text: &CallText<'_>,
    ) -> Self {
        let (before, records) = split(trace, marks);
        let mut tracer = Finder::new(functions, Functions::shown);
        let mut open: Table<Open> = trace.ctxs.table();
        for record in before {
            let Some(open) = open.get_mut(record.ctx) else { continue };
            match record.what {
                What::Enter { meta, .. } => {
                    let shown = tracer.get(meta).is_some();
                    open.calls.push(shown);
                    open.before += usize::from(shown);
                    // What a thread that sleeps in its loop calls next stands at the top.
                    if is_irq_thread(trace, record.ctx) {
                        open.before = 0;
                    }
                }
                What::Exit { .. } => {
                    open.close();
                }
                What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => {}
            }
        }

        let mut drafts: Vec<Draft> = Vec::new();
        for record in records {
            let Some(open) = open.get_mut(record.ctx) else { continue };
            match record.what {
                What::Enter { meta, ref args } => {
                    let function = tracer.get(meta);
                    open.calls.push(function.is_some());
                    let Some(function) = function else {
                        if open.bracket.is_none()
                            && open.draft.is_none()
                            && is_bracket(functions.file_of(meta))
                        {
                            open.bracket = Some(open.calls.len() - 1);
                        }
                        continue;
                    };
                    if open.before > 0 {
                        // Kept in balance with `close`, which cannot tell the two kinds apart.
                        open.before += 1;
                        continue;
                    }
                    let at = *open.draft.get_or_insert_with(|| {
                        drafts.push(Draft {
                            ctx: record.ctx,
                            root: Some(function.name),
                            lines: Vec::new(),
                            plumbing: Vec::new(),
                            handled: false,
                            unhandled: false,
                            closed: false,
                        });
                        drafts.len() - 1
                    });
                    let entry = Entry::Call(text(meta, args));
                    drafts[at].lines.push(Line { depth: open.depth, entry });
                    drafts[at].plumbing.push(function.is_plumbing());
                    open.depth += 1;
                }
                What::Exit { meta, .. } => match open.close() {
                    Some(false) if open.bracket == Some(open.calls.len()) => {
                        open.bracket = None;
                        if let Some(at) = open.draft.take() {
                            drafts[at].closed = true;
                        }
                    }
                    Some(true) if open.depth > 0 => {
                        open.depth -= 1;
                        if open.depth == 0
                            && open.bracket.is_none()
                            && let Some(at) = open.draft.take()
                        {
                            drafts[at].closed = true;
                        }
                    }
                    Some(_) => {}
                    // Entered before anything was recorded: what looked outermost was not.
                    None if tracer.get(meta).is_some() => {
                        for draft in drafts.iter_mut().filter(|d| d.ctx == record.ctx) {
                            draft.closed = false;
                        }
                    }
                    None => {}
                },
                What::Tracepoint(tracepoint) => {
                    let Some(draft) = open.draft.and_then(|at| drafts.get_mut(at)) else { continue };
                    if let Tracepoint::IrqHandlerExit { handled, .. } = tracepoint {
                        draft.handled |= handled;
                        draft.unhandled |= !handled;
                    }
                    let entry = Entry::Tracepoint(tracepoint.to_string());
                    draft.lines.push(Line { depth: open.depth, entry });
                    draft.plumbing.push(false);
                }
                What::Warn(_) | What::Hardware(_) => {}
            }
        }

        let mut seen: HashSet<Tree> = HashSet::new();
        let trees = drafts
            .into_iter()
            .filter(|draft| draft.closed || is_irq_thread(trace, draft.ctx))
            .filter_map(|draft| {
                let actor = &trace.ctxs.get(draft.ctx)?.actor;
                if is_background(actor) {
                    return None;
                }
                let idle_poll = draft.unhandled && !draft.handled;
                let lines = without_plumbing(draft.lines, &draft.plumbing);
                let tree = Tree { actor: flow_label(actor), lines };
                match actor {
                    Actor::Irq { name, .. } => {
                        let wanted = !idle_poll && (options.io || !is_io_queue(name));
                        // A new CPU makes a new label, so that a move always shows.
                        if !wanted || !seen.insert(tree.clone()) {
                            return None;
                        }
                    }
                    _ if !options.io
                        && draft
                            .root
                            .is_some_and(|root| matches!(root, "nvme_queue_rq" | "virtio_queue_rq")) =>
                    {
                        return None;
                    }
                    _ => {}
                }
                (!tree.lines.is_empty()).then_some(tree)
            })
            .collect();
        Self { trees }
    }
}

/// Drops the functions of kernel/cpu.c that have nothing but their like below them.
fn without_plumbing(lines: Vec<Line>, plumbing: &[bool]) -> Vec<Line> {
    let mut keep = vec![false; lines.len()];
    // Depth of the calls that still wait for their line: everything above a kept line is kept.
    let mut wanted: Option<usize> = None;
    for (i, line) in lines.iter().enumerate().rev() {
        let is_parent = wanted.is_some_and(|depth| line.depth < depth);
        keep[i] = !plumbing[i] || is_parent;
        if keep[i] {
            wanted = Some(line.depth);
        }
    }
    lines.into_iter().zip(keep).filter_map(|(line, keep)| keep.then_some(line)).collect()
}

fn split(trace: &Trace, marks: Range<usize>) -> (&[Record], &[Record]) {
    let end = marks.end.min(trace.records.len());
    let start = marks.start.min(end);
    (&trace.records[..start], &trace.records[start..end])
}

/// The tracepoints between two marks, each with its stack.
///
/// Of the interrupt tracepoints only those of vectors and of the matrix are asked for: entry and
/// exit of every handler would drown them.
pub fn events(trace: &Trace, marks: Range<usize>, functions: &Functions) -> Vec<StackedEvent> {
    events_with(trace, marks, functions, &name_of)
}

/// The same, with calls shown as `text` says.
pub fn events_with(
    trace: &Trace,
    marks: Range<usize>,
    functions: &Functions,
    text: &CallText<'_>,
) -> Vec<StackedEvent> {
    let (before, records) = split(trace, marks);
    let mut stacks: Table<Vec<(&'static FnMeta, Args)>> = trace.ctxs.table();
    let mut step = |record: &Record, events: Option<&mut Vec<StackedEvent>>| {
        let Some(stack) = stacks.get_mut(record.ctx) else { return };
        match record.what {
            What::Enter { meta, args } => stack.push((meta, args)),
            What::Exit { .. } => {
                stack.pop();
            }
            What::Tracepoint(tracepoint) => {
                let (Some(events), Some(ctx)) = (events, trace.ctxs.get(record.ctx)) else { return };
                if is_handler_event(&tracepoint) || is_background(&ctx.actor) {
                    return;
                }
                let calls = stack.iter().rev().filter(|(meta, _)| functions.in_stacks(meta.name));
                let roots = ctx.roots.iter().filter(|name| functions.in_stacks(name));
                events.push(StackedEvent {
                    actor: event_label(&ctx.actor),
                    tracepoint: tracepoint.to_string(),
                    stack: calls
                        .map(|(meta, args)| text(meta, args))
                        .chain(roots.map(|name| Cow::Borrowed(*name)))
                        .collect(),
                });
            }
            What::Warn(_) | What::Hardware(_) => {}
        }
    };
    for record in before {
        step(record, None);
    }
    let mut events = Vec::new();
    for record in records {
        step(record, Some(&mut events));
    }
    events
}

/// The tracepoints between two marks as they come, for the event stream of a boot.
pub fn boot_events(trace: &Trace, marks: Range<usize>) -> Vec<String> {
    let (_, records) = split(trace, marks);
    records
        .iter()
        .filter_map(|record| match record.what {
            What::Tracepoint(tracepoint) if !is_handler_event(&tracepoint) => Some(tracepoint.to_string()),
            _ => None,
        })
        .collect()
}

fn is_handler_event(tracepoint: &Tracepoint) -> bool {
    matches!(tracepoint, Tracepoint::IrqHandlerEntry { .. } | Tracepoint::IrqHandlerExit { .. })
}

#[cfg(test)]
mod tests {
    use kstate::semantics::KernelVersion;
    use kstate::trace::{ActionName, Args, FnMeta};
    use kstate::{CpuId, Irq};

    use super::*;

    // Names are leaked: a FnMeta is static in real code.
    fn meta(name: &'static str) -> &'static FnMeta {
        Box::leak(Box::new(FnMeta { name, files: &[""], args: &[], part: false }))
    }

    /// `a(` enters, `)` leaves the innermost call, `!` fires a tracepoint, `+` and `-` are a
    /// handler's exit with and without success, `|` is a mark; a leading `N:` names the context.
    fn trace(actors: &[Actor], script: &'static str) -> (Trace, Range<usize>) {
        let mut trace = Trace { on: true, ..Trace::default() };
        for actor in actors {
            trace.open(actor.clone(), &["kthread", "ret_from_fork"]);
        }
        let mut marks = Vec::new();
        let mut stacks: Vec<Vec<&'static str>> = vec![Vec::new(); actors.len()];
        for word in script.split_whitespace() {
            if word == "|" {
                marks.push(trace.records.len());
                continue;
            }
            let (ctx, word) = word.split_once(':').unwrap_or(("0", word));
            let at: usize = ctx.parse().unwrap();
            let irq = Irq(29);
            let what = match word {
                ")" => What::Exit { meta: meta(stacks[at].pop().unwrap_or("nvme_probe")), ret: None },
                "!" => What::Tracepoint(Tracepoint::VectorReserve { irq, ret: 0 }),
                "+" | "-" => What::Tracepoint(Tracepoint::IrqHandlerExit { irq, handled: word == "+" }),
                "e" => {
                    What::Tracepoint(Tracepoint::IrqHandlerEntry { irq, name: ActionName::new("nvme0q0") })
                }
                name => {
                    let name = name.strip_suffix('(').unwrap();
                    stacks[at].push(name);
                    What::Enter { meta: meta(name), args: Args::default() }
                }
            };
            trace.records.push(Record { ctx: CtxId(at as u32), cpu: CpuId(0), time: 0, what });
        }
        let marks = marks.first().copied().unwrap_or(0)..marks.get(1).copied().unwrap_or(usize::MAX);
        (trace, marks)
    }

    fn check_flow(actors: &[Actor], script: &'static str, io: bool, expect: &str) {
        let (trace, marks) = trace(actors, script);
        let functions = Functions::of(KernelVersion::V5_4);
        let recording = Recording::between(&trace, marks, functions, Options { io });
        assert_eq!(crate::formats::flow::print(&recording), expect, "{script}");
    }

    const TASK: &[Actor] = &[Actor::Task];

    fn irq(name: &str) -> Vec<Actor> {
        vec![Actor::Irq { irq: Some(Irq(29)), name: name.into(), cpu: CpuId(3) }]
    }

    #[test]
    fn children_of_hidden_functions_stand_under_the_nearest_shown_ancestor() {
        check_flow(
            TASK,
            "nvme_probe( hidden( nvme_dev_map( ) ! ) ) ! pci_device_probe( nvme_remove( ) )",
            false,
            "# task\nnvme_probe\n  nvme_dev_map\n  @ vector_reserve: irq=29 ret=0\n# task\nnvme_remove\n",
        );
    }

    #[test]
    fn trees_that_cross_a_mark_are_dropped() {
        check_flow(
            &[Actor::Task, Actor::Kworker],
            "nvme_probe( 1:hidden( | nvme_dev_map( ) ) nvme_remove( ) 1:nvme_dev_map( 1:) nvme_probe( nvme_dev_map( ) |",
            false,
            "# task\nnvme_remove\n# kworker\nnvme_dev_map\n",
        );
        // The record itself begins in the middle of a call.
        check_flow(TASK, "nvme_dev_map( ) ) nvme_remove( )", false, "# task\nnvme_remove\n");
    }

    #[test]
    fn what_the_thread_of_an_interrupt_calls_stands_at_the_top() {
        check_flow(
            &[Actor::IrqThread("irq/9-acpi".into())],
            "irq_thread( irq_wait_for_interrupt( | irq_thread_check_affinity( ) ) irq_thread_fn( nvme_irq( ) ) \
             irq_wait_for_interrupt( irq_thread_check_affinity( ) | ) )",
            false,
            "# irq/9-a\nirq_thread_check_affinity\n# irq/9-a\nirq_thread_fn\n  nvme_irq\n\
             # irq/9-a\nirq_wait_for_interrupt\n  irq_thread_check_affinity\n",
        );
    }

    #[test]
    fn trees_stand_in_the_order_of_their_entry() {
        check_flow(
            &[Actor::Task, Actor::Kworker],
            "nvme_probe( 1:nvme_reset_work( 1:) )",
            false,
            "# task\nnvme_probe\n# kworker\nnvme_reset_work\n",
        );
    }

    #[test]
    fn hotplug_plumbing_shows_only_above_something() {
        check_flow(
            &[Actor::Cpuhp(CpuId(3))],
            "cpuhp_thread_fun( cpuhp_invoke_callback( ) ) cpuhp_thread_fun( cpuhp_invoke_callback( ) \
             cpuhp_invoke_callback( irq_affinity_online_cpu( ) cpus_read_lock( ) ) cpus_read_lock( ) )",
            false,
            "# cpuhp/3\ncpuhp_thread_fun\n  cpuhp_invoke_callback\n    irq_affinity_online_cpu\n",
        );
        check_flow(TASK, "takedown_cpu( irq_lock_sparse( ) irq_unlock_sparse( ) )", false, "");
    }

    #[test]
    fn an_interrupt_is_listed_when_it_differs_and_did_something() {
        check_flow(
            &irq("nvme0q0"),
            "do_IRQ( nvme_irq( ) - ) do_IRQ( nvme_irq( ) + ) do_IRQ( nvme_irq( ) + ) do_IRQ( + )",
            false,
            "# irq 29 nvme0q0 cpu=3\ndo_IRQ\n  nvme_irq\n  @ irq_handler_exit: irq=29 ret=handled\n\
             # irq 29 nvme0q0 cpu=3\ndo_IRQ\n  @ irq_handler_exit: irq=29 ret=handled\n",
        );
        for name in ["ttyS0", "i8042", "acpi", "timer"] {
            check_flow(&irq(name), "do_IRQ( + )", true, "");
        }
    }

    #[test]
    fn the_io_path_shows_only_where_the_script_reads() {
        for name in ["nvme0q1", "nvme0q10", "virtio0-req.0", "virtio0-virtqueues"] {
            check_flow(&irq(name), "do_IRQ( )", false, "");
            check_flow(&irq(name), "do_IRQ( )", true, &format!("# irq 29 {name} cpu=3\ndo_IRQ\n"));
        }
        check_flow(&irq("virtio0-config"), "do_IRQ( )", false, "# irq 29 virtio0-config cpu=3\ndo_IRQ\n");
        let reads = "nvme_queue_rq( nvme_submit_cmd( ) ) virtio_queue_rq( ) nvme_dev_add( nvme_queue_rq( ) )";
        check_flow(TASK, reads, false, "# task\nnvme_dev_add\n  nvme_queue_rq\n");
        check_flow(
            TASK,
            reads,
            true,
            "# task\nnvme_queue_rq\n  nvme_submit_cmd\n# task\nvirtio_queue_rq\n# task\nnvme_dev_add\n  nvme_queue_rq\n",
        );
    }

    #[test]
    fn stacks_are_innermost_first_and_end_in_well_known_roots() {
        let (trace, marks) =
            trace(&[Actor::Idle(CpuId(5))], "nvme_probe( | hidden( pci_irq_get_affinity( e ! + ) |");
        let events = events(&trace, marks, Functions::of(KernelVersion::V5_4));
        assert_eq!(
            crate::formats::events::print(&events),
            "# idle/5\n@ vector_reserve: irq=29 ret=0\n  pci_irq_get_affinity < nvme_probe < kthread\n"
        );
    }
}
