//! How the fields of tracepoints lie in the buffer (`TP_STRUCT__entry` of include/trace/events/irq.h, irq_matrix.h and
//! asm/trace/irq_vectors.h), as far as filters ask.

/// A field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    /// Bytes.
    pub(super) size: u8,
    /// Numbers below zero can be in it.
    pub(super) signed: bool,
    /// It is text.
    pub(super) text: bool,
}

/// The layout of a field of an event.
pub(super) fn layout(event: &str, field: &str) -> Layout {
    let (size, signed, text) = match field {
        "name" => (4, false, true),
        "bit" | "ret" => (4, true, false),
        "irq" if event.starts_with("irq_handler_") => (4, true, false),
        "online" | "reserved" | "is_managed" | "can_reserve" | "reserve" | "has_reserved" | "is_legacy" => {
            (1, false, false)
        }
        _ => (4, false, false),
    };
    Layout { size, signed, text }
}
