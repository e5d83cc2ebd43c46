//! JSON lines: one object per record. `docs/trace-schema.md` describes them.

use kstate::semantics::KernelVersion;
use kstate::trace::{Arg, Field, Trace, What};
use serde_json::{Map, Value, json};

use super::{Slice, fields};
use crate::recording::{HARDWARE, flow_label};

/// The version of the schema.
pub const SCHEMA: u32 = 1;

/// A number where it is one.
fn value(text: &str) -> Value {
    match text.strip_prefix("0x").map(|hex| u64::from_str_radix(hex, 16)) {
        Some(Ok(number)) => number.into(),
        _ => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
    }
}

/// A field of a record of hardware: registers as they are written, so that nobody has to convert them.
fn field_value(trace: &Trace, field: Field) -> Value {
    match field {
        Field::Number(number) => number.into(),
        Field::Bit(bit) => bit.into(),
        Field::Hex(..) | Field::Word(_) | Field::Device(_) | Field::Requester(_) | Field::Context(_) => {
            trace.field(field).into()
        }
    }
}

/// The text, a line per record after the line that says what it is.
pub fn print(slice: &Slice<'_>, version: KernelVersion, cpus: u32) -> String {
    print_numbered(slice, version, cpus, |n| n)
}

/// The same for a record of which something was left out: `number` says which record of the run one is.
pub fn print_numbered(
    slice: &Slice<'_>,
    version: KernelVersion,
    cpus: u32,
    number: impl Fn(usize) -> usize,
) -> String {
    let head = json!({"schema": "irqlab-trace", "version": SCHEMA, "kernel": version.name(), "cpus": cpus});
    let mut out = format!("{head}\n");
    let end = slice.records.end.min(slice.trace.records.len());
    for n in slice.records.start..end {
        let record = &slice.trace.records[n];
        let mut line = Map::new();
        line.insert("n".into(), number(n).into());
        line.insert("time".into(), record.time.into());
        if record.ctx == Trace::NOBODY {
            line.insert("cpu".into(), Value::Null);
            line.insert("context".into(), Value::Null);
            line.insert("actor".into(), HARDWARE.into());
        } else {
            line.insert("cpu".into(), record.cpu.0.into());
            line.insert("context".into(), record.ctx.0.into());
            line.insert("actor".into(), flow_label(slice.actor(record.ctx)).into());
        }
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
            What::Hardware(hardware) => {
                line.insert("is".into(), "hardware".into());
                line.insert("name".into(), hardware.name().into());
                let fields = hardware.fields().into_iter();
                let fields: Map<String, Value> =
                    fields.map(|(name, field)| (name.to_owned(), field_value(slice.trace, field))).collect();
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
