//! Shows a session: its position, stacks, calls, and parts of the machine.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use kstate::sched::TaskState;
use kstate::trace::{FnMeta, What};
use kstate::{CpuId, CtxId, Irq};

use super::Session;
use crate::watch::{self, Path};
use record::event_label;
use record::functions::Functions;
use sim::shell::Progress;
use sim::{steps, vfs};

/// Lines of an answer beyond which the rest is counted.
const MOST_LINES: usize = 60;

impl Session {
    /// The stack of a context right after a record, outermost first.
    pub(super) fn stack_at(&self, at: usize) -> Vec<&'static FnMeta> {
        let Some(record) = self.k.trace.records.get(at) else { return Vec::new() };
        let mut stack = self.stacks.get(&record.ctx).cloned().unwrap_or_default();
        for earlier in self.k.trace.records[self.base.min(at)..=at].iter().filter(|r| r.ctx == record.ctx) {
            match earlier.what {
                What::Enter { meta, .. } => stack.push(meta),
                What::Exit { .. } => {
                    stack.pop();
                }
                What::Tracepoint(_) | What::Warn(_) => {}
            }
        }
        stack
    }

    /// The function that runs right after a record.
    pub(super) fn function_at(&self, at: usize) -> Option<&'static str> {
        self.stack_at(at).last().map(|meta| meta.name)
    }

    /// Where the session stands.
    pub(super) fn place(&self) -> String {
        let now = self.k.events.now as f64 / 1e9;
        let mut out = format!("step {}, {now:.6} s: {}\n", self.step, self.doing());
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
            (Some(Progress::Stepped(step)), _) => steps::describe(&self.k, step),
            (Some(Progress::Ended), _) => "the command is over".to_owned(),
            (_, true) => "in the middle of a command".to_owned(),
            _ => "the shell waits for a command".to_owned(),
        }
    }

    fn show_cursor(&self, out: &mut String, at: usize) {
        let Some(record) = self.k.trace.records.get(at) else { return };
        let what = match record.what {
            What::Enter { meta, args } => format!("{}({})", meta.name, steps::arguments(meta, &args)),
            What::Exit { meta, ret: Some(ret) } => format!("{}() returns {}", meta.name, ret as i64),
            What::Exit { meta, ret: None } => format!("{}() returns", meta.name),
            What::Tracepoint(t) => t.to_string(),
            What::Warn(text) => format!("warning: {text}"),
        };
        let file = match record.what {
            What::Enter { meta, .. } => self.source_of(meta),
            _ => String::new(),
        };
        let actor =
            self.k.trace.ctxs.get(record.ctx.index()).map(|c| event_label(&c.actor)).unwrap_or_default();
        let _ = writeln!(out, "  {what}  [{actor}, cpu {}]{file}", record.cpu);
        let mut stack: Vec<&str> = self.stack_at(at).iter().rev().map(|meta| meta.name).collect();
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

    /// The calls of the last step, indented.
    pub(super) fn flow(&self) -> String {
        let mut open: BTreeMap<CtxId, usize> =
            self.stacks.iter().map(|(ctx, stack)| (*ctx, stack.len())).collect();
        let out = steps::flow(&self.k.trace, self.base, &mut open, self.cursor);
        if out.is_empty() { "the last step called nothing\n".to_owned() } else { out }
    }

    pub(super) fn where_all(&self) -> String {
        let mut out = self.place();
        let alive = || {
            let tasks = self.k.sched.tasks.iter().enumerate();
            tasks.filter(|(_, t)| !matches!(t.state, TaskState::Done(_)) && !t.frames.is_empty())
        };
        for cpu in self.k.topo.possible.iter() {
            if !self.k.topo.online.contains(cpu) {
                let _ = writeln!(out, "cpu {cpu}: offline");
                continue;
            }
            let pending = x86apic::hw::lapic::pending(&self.k, cpu);
            let pending = pending.map_or_else(String::new, |vector| format!(", vector {vector} is pending"));
            let tasks: Vec<String> =
                alive().filter(|(_, t)| t.cpu == cpu).map(|(i, _)| format!("task {i}")).collect();
            let what = if tasks.is_empty() { "idle".to_owned() } else { tasks.join(", ") };
            let _ = writeln!(out, "cpu {cpu}: {what}{pending}");
        }
        for (i, task) in alive() {
            let _ = writeln!(out, "task {i}, {:?} on cpu {}, {:?}", task.kind, task.cpu, task.state);
            for frame in task.frames.iter().rev().filter(|f| !f.code.meta.part) {
                let _ = writeln!(out, "  {frame:?}");
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
                let text = vfs::read(&mut self.k, &format!("/sys/kernel/debug/irq/irqs/{irq}"));
                let text = text.map_err(|_| format!("there is no irq {irq}"))?;
                let mut leaves = Path::irq(irq).values(&self.k)?;
                // The descriptor is what debugfs prints.
                leaves.retain(|(path, _)| !path.starts_with("desc."));
                (text, leaves)
            }
            ["cpu", n] => {
                let cpu = CpuId(number(n)?);
                if !self.k.topo.possible.contains(cpu) {
                    return Err(format!("there is no cpu {cpu}"));
                }
                let online = if self.k.topo.online.contains(cpu) { "online" } else { "offline" };
                let mut leaves = Path::cpu(cpu).values(&self.k)?;
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
                let task =
                    self.k.sched.tasks.get(n as usize).ok_or_else(|| format!("there is no task {n}"))?;
                (
                    format!("{:?} on cpu {}, {:?}\n", task.kind, task.cpu, task.state),
                    task.frames
                        .iter()
                        .rev()
                        .filter(|f| !f.code.meta.part)
                        .map(|f| (String::new(), format!("{f:?}")))
                        .collect(),
                )
            }
            _ => (String::new(), Path::parse(rest)?.values(&self.k)?),
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

    pub(super) fn diff(&mut self, from: u64, to: u64) -> Result<String, String> {
        for n in [from, to] {
            if n > self.end {
                return Err(format!("the session went as far as step {}", self.end));
            }
        }
        let here = (self.step, self.cursor, self.last.clone());
        let left = self.state_at(from);
        let right = self.state_at(to);
        self.visit(here.0);
        (self.cursor, self.last) = (here.1, here.2);
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
