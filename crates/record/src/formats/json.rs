//! JSON lines: one object per record. `docs/trace-schema.md` describes them.

use kstate::semantics::KernelVersion;
use kstate::trace::{Arg, What};
use serde_json::{Map, Value, json};

use super::{Slice, fields};
use crate::recording::flow_label;

/// The version of the schema.
pub const SCHEMA: u32 = 1;

/// A number where it is one.
fn value(text: &str) -> Value {
    match text.strip_prefix("0x").map(|hex| u64::from_str_radix(hex, 16)) {
        Some(Ok(number)) => number.into(),
        _ => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
    }
}

/// The text, a line per record after the line that says what it is.
pub fn print(slice: &Slice<'_>, version: KernelVersion, cpus: u32) -> String {
    let head = json!({"schema": "irqlab-trace", "version": SCHEMA, "kernel": version.name(), "cpus": cpus});
    let mut out = format!("{head}\n");
    let end = slice.records.end.min(slice.trace.records.len());
    for n in slice.records.start..end {
        let record = &slice.trace.records[n];
        let mut line = Map::new();
        line.insert("n".into(), n.into());
        line.insert("time".into(), record.time.into());
        line.insert("cpu".into(), record.cpu.0.into());
        line.insert("context".into(), record.ctx.0.into());
        line.insert("actor".into(), flow_label(slice.actor(record.ctx)).into());
        match record.what {
            What::Enter { meta, args } => {
                line.insert("is".into(), "enter".into());
                line.insert("function".into(), meta.name.into());
                line.insert("file".into(), slice.functions.file_of(meta).into());
                line.insert("traceable".into(), slice.functions.shown(meta.name).is_some().into());
                let value = |arg| match arg {
                    Arg::Word(word) => word.into(),
                    Arg::IrqData(data) => json!({ "irq": data.irq.0, "level": data.level }),
                };
                let args: Map<String, Value> =
                    meta.arguments(&args).map(|(name, arg)| (name.to_owned(), value(arg))).collect();
                line.insert("args".into(), args.into());
            }
            What::Exit { meta, ret } => {
                line.insert("is".into(), "exit".into());
                line.insert("function".into(), meta.name.into());
                line.insert("ret".into(), ret.map(|r| r as i64).into());
            }
            What::Tracepoint(tracepoint) => {
                line.insert("is".into(), "tracepoint".into());
                line.insert("name".into(), tracepoint.name().into());
                let text = tracepoint.to_string();
                let fields: Map<String, Value> =
                    fields(&text).map(|(name, text)| (name.to_owned(), value(text))).collect();
                line.insert("fields".into(), fields.into());
            }
            What::Warn(text) => {
                line.insert("is".into(), "warning".into());
                line.insert("text".into(), text.into());
            }
        }
        out.push_str(&Value::Object(line).to_string());
        out.push('\n');
    }
    out
}
