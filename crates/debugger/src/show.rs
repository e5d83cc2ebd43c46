//! Shows a session: its position, stacks, calls, and parts of the machine.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use kstate::sched::TaskState;
use kstate::trace::{FnMeta, Record, Trace, What};
use kstate::{CpuId, CtxId, Irq, TaskId};

use super::Session;
use super::time::{Call, Place};
use crate::watch::{self, Path};
use record::filter::{Chooser, Levels};
use record::functions::Functions;
use record::{HARDWARE, event_label};
use sim::shell::Progress;
use sim::{steps, vfs};

/// Lines of an answer beyond which the rest is counted.
const MOST_LINES: usize = 60;

impl Session {
    /// The stack of a context right after a record, outermost first.
    pub(super) fn stack_at(&self, at: usize) -> Vec<Call> {
        let Some(record) = self.k.trace.records.get(at) else { return Vec::new() };
        let mut stack = self.stacks.get(&record.ctx).cloned().unwrap_or_default();
        for earlier in self.k.trace.records[self.base.min(at)..=at].iter().filter(|r| r.ctx == record.ctx) {
            match earlier.what {
                What::Enter { meta, args } => stack.push(Call { meta, args }),
                What::Exit { .. } => {
                    stack.pop();
                }
                What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => {}
            }
        }
        stack
    }

    /// The function that runs right after a record.
    pub(super) fn function_at(&self, at: usize) -> Option<&'static str> {
        self.stack_at(at).last().map(|call| call.meta.name)
    }

    /// The function that runs right before the first record of the step.
    pub(super) fn function_before(&self, at: usize) -> Option<&'static str> {
        let record = self.k.trace.records.get(at)?;
        self.stacks.get(&record.ctx)?.last().map(|call| call.meta.name)
    }

    /// Who the records of a context belong to.
    fn actor_of(&self, record: &Record) -> String {
        self.k.trace.ctxs.get(record.ctx).map(|c| event_label(&c.actor)).unwrap_or_default()
    }

    /// Where the session stands.
    pub(super) fn place(&self) -> String {
        let now = self.here().events.now as f64 / 1e9;
        let step = match self.cursor {
            Some(at) => format!("{}:{}", self.step, at - self.base + 1),
            None => self.step.to_string(),
        };
        let mut out = format!("step {step}, {now:.6} s: {}\n", self.doing());
        match self.cursor {
            Some(at) => self.show_cursor(&mut out, at),
            None => {
                if let Some(summary) = steps::summary(&self.k.trace, self.base) {
                    let _ = writeln!(out, "  {summary}");
                }
            }
        }
        out
    }

    /// What the last step was about.
    pub(super) fn doing(&self) -> String {
        match (&self.last, self.shell.is_some()) {
            (Some(Progress::Began(statement)), _) => {
                let text = self.shell.as_ref().map_or("", |shell| shell.script().source(statement.span));
                text.lines().next().unwrap_or("").to_owned()
            }
            (Some(Progress::Stepped(step)), _) => steps::describe(self.here(), step),
            (Some(Progress::Ended), _) => "the command is over".to_owned(),
            (_, true) => "in the middle of a command".to_owned(),
            _ => "the shell waits for a command".to_owned(),
        }
    }

    fn show_cursor(&self, out: &mut String, at: usize) {
        let Some(record) = self.k.trace.records.get(at) else { return };
        let what = match record.what {
            What::Enter { meta, args } => format!("{}({})", meta.name, self.k.arguments(meta, &args)),
            What::Exit { meta, ret: Some(ret) } => format!("{}() returns {}", meta.name, ret as i64),
            What::Exit { meta, ret: None } => format!("{}() returns", meta.name),
            What::Tracepoint(t) => t.to_string(),
            What::Warn(text) => format!("warning: {text}"),
            What::Hardware(hardware) => self.k.trace.hardware_text(&hardware),
        };
        let file = match record.what {
            What::Enter { meta, .. } => self.source_of(meta),
            _ => String::new(),
        };
        let _ = if record.ctx == Trace::NOBODY {
            writeln!(out, "  {what}  [{HARDWARE}]")
        } else {
            writeln!(out, "  {what}  [{}, cpu {}]{file}", self.actor_of(record), record.cpu)
        };
        let mut stack: Vec<&str> = self.stack_at(at).iter().rev().map(|call| call.meta.name).collect();
        if matches!(record.what, What::Enter { .. }) && !stack.is_empty() {
            stack.remove(0);
        }
        if !stack.is_empty() {
            let _ = writeln!(out, "  < {}", stack.join(" < "));
        }
    }

    fn source_of(&self, meta: &FnMeta) -> String {
        let functions = Functions::of(self.k.sem.version);
        match functions.get(meta.name) {
            Some(f) => format!(" {}:{}", f.file, f.line),
            None => format!(" {}", functions.file_of(meta)),
        }
    }

    /// The calls of the last step, indented; where the session stands in it, up to there.
    pub(super) fn flow(&self) -> String {
        let mut open: BTreeMap<CtxId, usize> =
            self.stacks.iter().map(|(ctx, stack)| (*ctx, stack.len())).collect();
        let until = self.cursor.map_or(self.k.trace.records.len(), |at| at + 1);
        if self.shown.shows_all() {
            let out = steps::flow(&self.k, self.base..until, &mut open, self.cursor);
            return if out.is_empty() { "the last step called nothing\n".to_owned() } else { out };
        }
        let mut chooser = Chooser::of(self.here());
        for (ctx, stack) in &self.stacks {
            for Call { meta, args } in stack {
                chooser.entered(&self.shown, *ctx, meta, args, Levels::All);
            }
        }
        let kept = chooser.choose(&self.shown, &self.k.trace, self.base..until, Levels::All);
        let shows = |at: usize| kept[at - self.base];
        let out = steps::flow_of(&self.k, self.base..until, &mut open, self.cursor, shows);
        if out.is_empty() { "nothing of the last step fits `:filter`\n".to_owned() } else { out }
    }

    /// The stack where the session stands, innermost first.
    pub(super) fn backtrace(&self) -> Result<String, String> {
        let last = self.k.trace.records.len().checked_sub(1).filter(|at| *at >= self.base);
        let at = self.cursor.or(last).ok_or("no function runs here: the last step called nothing")?;
        let record = self.k.trace.records[at];
        let stack = self.stack_at(at);
        let mut out = String::new();
        for (n, call) in stack.iter().rev().enumerate() {
            let _ = writeln!(
                out,
                "#{n:<3}{}({}) at{}",
                call.meta.name,
                self.k.arguments(call.meta, &call.args),
                self.source_of(call.meta)
            );
        }
        // What calls the outermost function and is not recorded.
        let roots = self.k.trace.ctxs.get(record.ctx).map_or(&[][..], |ctx| ctx.roots);
        for (n, root) in roots.iter().enumerate() {
            let _ = writeln!(out, "#{:<3}{root}()", stack.len() + n);
        }
        if out.is_empty() {
            out.push_str("every call has returned\n");
        }
        let _ = writeln!(out, "[{}, cpu {}]", self.actor_of(&record), record.cpu);
        Ok(out)
    }

    /// The task that runs where the session stands, and its stack: its frames are with who runs them.
    fn running(&self) -> Option<(usize, Vec<Call>)> {
        let task = self.here().cur.task.filter(|_| self.cursor.is_some())?;
        Some((task.index(), self.stack_at(self.cursor?)))
    }

    pub(super) fn where_all(&self) -> String {
        let mut out = self.place();
        let k = self.here();
        let running = self.running();
        let runs = |i: usize| running.as_ref().is_some_and(|(task, _)| *task == i);
        let alive = || {
            let tasks = k.sched.tasks.iter().enumerate();
            tasks
                .filter(|(i, t)| runs(*i) || (!matches!(t.state, TaskState::Done(_)) && !t.frames.is_empty()))
        };
        for cpu in k.topo.possible.iter() {
            if !k.topo.online.contains(cpu) {
                let _ = writeln!(out, "cpu {cpu}: offline");
                continue;
            }
            let pending = x86apic::hw::lapic::pending(k, cpu);
            let pending = pending.map_or_else(String::new, |vector| format!(", vector {vector} is pending"));
            let tasks: Vec<String> =
                alive().filter(|(_, t)| t.cpu == cpu).map(|(i, _)| format!("task {i}")).collect();
            let what = if tasks.is_empty() { "idle".to_owned() } else { tasks.join(", ") };
            let _ = writeln!(out, "cpu {cpu}: {what}{pending}");
        }
        for (i, task) in alive() {
            if let Some((_, stack)) = running.as_ref().filter(|(task, _)| *task == i) {
                let _ = writeln!(out, "{} on cpu {}, runs", k.task_name(TaskId(i as u32)), task.cpu);
                for call in stack.iter().rev() {
                    let arguments = self.k.arguments(call.meta, &call.args);
                    let _ = writeln!(out, "  {}({arguments})", call.meta.name);
                }
                continue;
            }
            let _ = writeln!(
                out,
                "{} on cpu {}, {}",
                k.task_name(TaskId(i as u32)),
                task.cpu,
                k.state_name(task.state)
            );
            for frame in task.frames.iter().rev().filter(|f| !f.code.meta.part) {
                let _ = writeln!(out, "  {frame}");
            }
        }
        out
    }

    pub(super) fn print(&mut self, rest: &str) -> Result<String, String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let number = |n: &str| n.parse::<u32>().map_err(|_| format!("`{n}` is no number"));
        let (mut out, leaves) = match words[..] {
            [] => return Err("`:print` what? expected irq N, cpu N, task N or a field".to_owned()),
            ["irq", n] => {
                let irq = Irq(number(n)?);
                let text = self.look(|k| vfs::read(k, &format!("/sys/kernel/debug/irq/irqs/{irq}")));
                let text = text.map_err(|_| format!("there is no irq {irq}"))?;
                let mut leaves = Path::irq(irq).values(self.here())?;
                // The descriptor is what debugfs prints.
                leaves.retain(|(path, _)| !path.starts_with("desc."));
                (text, leaves)
            }
            ["cpu", n] => {
                let cpu = CpuId(number(n)?);
                let k = self.here();
                if !k.topo.possible.contains(cpu) {
                    return Err(format!("there is no cpu {cpu}"));
                }
                let online = if k.topo.online.contains(cpu) { "online" } else { "offline" };
                let mut leaves = Path::cpu(cpu).values(k)?;
                leaves.retain(|(path, value)| {
                    !value.is_empty()
                        && (path.starts_with("matrix.")
                            || path.starts_with("lapic.")
                            || path.starts_with("place."))
                });
                (format!("cpu {cpu}: {online}\n"), leaves)
            }
            ["task", n] => {
                let n = number(n)?;
                let task = self.here().sched.tasks.get(n as usize);
                let task = task.ok_or_else(|| format!("there is no task {n}"))?;
                match self.running().filter(|(task, _)| *task == n as usize) {
                    Some((_, stack)) => (
                        format!("{} on cpu {}, runs\n", task.kind, task.cpu),
                        stack
                            .iter()
                            .rev()
                            .map(|call| (String::new(), format!("{}()", call.meta.name)))
                            .collect(),
                    ),
                    None => (
                        format!(
                            "{} on cpu {}, {}\n",
                            task.kind,
                            task.cpu,
                            self.here().state_name(task.state)
                        ),
                        task.frames
                            .iter()
                            .rev()
                            .filter(|f| !f.code.meta.part)
                            .map(|f| (String::new(), format!("{f}")))
                            .collect(),
                    ),
                }
            }
            _ => (String::new(), Path::parse(rest)?.values(self.here())?),
        };
        for (path, value) in leaves.iter().take(MOST_LINES) {
            let _ = match path.as_str() {
                "" => writeln!(out, "  {value}"),
                path => writeln!(out, "{path} = {value}"),
            };
        }
        if leaves.len() > MOST_LINES {
            let _ = writeln!(out, "and {} more", leaves.len() - MOST_LINES);
        }
        Ok(out)
    }

    pub(super) fn diff(&mut self, from: Place, to: Place) -> Result<String, String> {
        let here = (self.step, self.cursor.map(|at| at - self.base), self.last.clone());
        let left = self.state_at(from);
        let right = self.state_at(to);
        self.visit(here.0);
        self.stand(here.1.map(|record| self.base + record));
        self.last = here.2;
        let changes = watch::changes(&left, &right);
        let mut out = String::new();
        for (path, old, new) in changes.iter().take(MOST_LINES) {
            let _ = match (old, new) {
                (Some(old), Some(new)) => writeln!(out, "  {path}: {old} -> {new}"),
                (None, Some(new)) => writeln!(out, "+ {path}: {new}"),
                (Some(old), None) => writeln!(out, "- {path}: {old}"),
                (None, None) => Ok(()),
            };
        }
        if changes.len() > MOST_LINES {
            let _ = writeln!(out, "and {} more", changes.len() - MOST_LINES);
        }
        if changes.is_empty() {
            out.push_str("nothing changed\n");
        }
        Ok(out)
    }
}
