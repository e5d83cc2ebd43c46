//! Filters of events (kernel/trace/trace_events_filter.c): which expressions they are, and what a wrong one is answered with.
//!
//! # What it doesn't implement
//! The fields `common_type`, `common_flags` and `common_preempt_count`, and `CPUS{}`, `.ustring` and `.function` of newer
//! kernels, which are answered as 5.4 does.

use kstate::Errno;
use kstate::kstrtox::{kstrtoll, kstrtoull};
use kstate::trace::{FieldValue, Record, Trace, Tracepoint};

use super::format;
use super::glob;
use record::formats::ftrace::task;

/// `err_text[]`: what is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Problem {
    /// Nothing has a name for it; a number stands in the file.
    Unnamed,
    InvalidOp,
    TooManyOpen,
    TooManyClose,
    MissingQuote,
    OperandTooLong,
    ExpectString,
    ExpectDigit,
    IllegalFieldOp,
    FieldNotFound,
    IllegalIntval,
    BadSubsysFilter,
    TooManyPreds,
    InvalidValue,
    NoFilter,
}

impl Problem {
    const fn text(self) -> &'static str {
        match self {
            Self::Unnamed => "",
            Self::InvalidOp => "Invalid operator",
            Self::TooManyOpen => "Too many '('",
            Self::TooManyClose => "Too few '('",
            Self::MissingQuote => "Missing matching quote",
            Self::OperandTooLong => "Operand too long",
            Self::ExpectString => "Expecting string field",
            Self::ExpectDigit => "Expecting numeric field",
            Self::IllegalFieldOp => "Illegal operation for field type",
            Self::FieldNotFound => "Field not found",
            Self::IllegalIntval => "Illegal integer value",
            Self::BadSubsysFilter => "Couldn't find or set field in one of a subsystem's events",
            Self::TooManyPreds => "Too many terms in predicate expression",
            Self::InvalidValue => "Invalid value (did you forget quotes)?",
            Self::NoFilter => "No filter found",
        }
    }
}

/// A mistake in a filter: what, where, and the error that the write returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mistake {
    pub(super) problem: Problem,
    at: usize,
    pub(super) errno: Errno,
}

/// A comparison's sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Glob,
    Ne,
    Eq,
    Le,
    Lt,
    Ge,
    Gt,
    Band,
}

/// `ops[]`, in its order: `<=` comes before `<`.
const OPS: [(&str, Op); 8] = [
    ("~", Op::Glob),
    ("!=", Op::Ne),
    ("==", Op::Eq),
    ("<=", Op::Le),
    ("<", Op::Lt),
    (">=", Op::Ge),
    (">", Op::Gt),
    ("&", Op::Band),
];

/// The longest text (`MAX_FILTER_STR_VAL`), and the longest number (`num_buf[]`) with its end.
const MAX_TEXT: usize = 256;
const MAX_NUMBER: usize = 24;

/// Fields that every event has beside its own (`trace_generic_fields[]`, `trace_common_fields[]`).
const GENERIC: [&str; 5] = ["cpu", "CPU", "comm", "COMM", "common_pid"];

/// What is compared with.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Value {
    Number(i128),
    Text(String),
}

/// `struct filter_pred`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Pred {
    field: String,
    /// The field is the event's own, not one that all have.
    own: bool,
    op: Op,
    value: Value,
    /// Bytes of the field, to which the value is cut.
    size: u8,
    signed: bool,
}

/// An expression.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Expr {
    Pred(Pred),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
}

/// A filter that was understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Filter(Expr);

/// A word of an expression.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Open,
    Close,
    Not,
    And,
    Or,
    Pred(Pred),
}

const fn mistake(problem: Problem, at: usize, errno: Errno) -> Mistake {
    Mistake { problem, at, errno }
}

fn is_space(byte: u8) -> bool {
    // isspace(): vertical tab among them.
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// `calc_stack()`: parentheses and quotes have their counterparts. Its own codes are what the write returns. How many
/// predicates there are is returned.
fn calc_stack(text: &[u8]) -> Result<usize, Mistake> {
    let at = |i: usize| text.get(i).copied().unwrap_or(0);
    let (mut open, mut quote, mut last_quote) = (1usize, 0u8, 0);
    let (mut preds, mut is_pred) = (0, false);
    let mut i = 0;
    while i < text.len() {
        let byte = text[i];
        i += 1;
        if is_space(byte) {
            continue;
        }
        if quote != 0 {
            if byte == quote {
                quote = 0;
            }
            continue;
        }
        match byte {
            b'\'' | b'"' => (quote, last_quote) = (byte, i - 1),
            b'|' | b'&' if at(i) == byte => {
                is_pred = false;
                continue;
            }
            b'(' => {
                is_pred = false;
                open += 1;
                continue;
            }
            b')' => {
                is_pred = false;
                if open == 1 {
                    // TOO_MANY_CLOSE is -1.
                    return Err(mistake(Problem::TooManyClose, i - 1, Errno::EPERM));
                }
                open -= 1;
                continue;
            }
            _ => {}
        }
        if !is_pred {
            preds += 1;
            is_pred = true;
        }
    }
    if quote != 0 {
        // MISSING_QUOTE is -3.
        return Err(mistake(Problem::MissingQuote, last_quote, Errno::ESRCH));
    }
    if open != 1 {
        let (mut level, mut quote, mut found) = (open, 0u8, 0);
        for i in (1..text.len()).rev() {
            let byte = text[i];
            if quote != 0 {
                if byte == quote {
                    quote = 0;
                }
                continue;
            }
            match byte {
                b'(' if level == open => {
                    found = i;
                    break;
                }
                b'(' => level -= 1,
                b')' => level += 1,
                b'\'' | b'"' => quote = byte,
                _ => {}
            }
        }
        // TOO_MANY_OPEN is -2.
        return Err(mistake(Problem::TooManyOpen, found, Errno::ENOENT));
    }
    Ok(preds)
}

/// `parse_pred()`: the comparison at the beginning of a text, and how long it is. `pos` is where the text is.
fn parse_pred(event: &str, text: &[u8], pos: usize) -> Result<(Pred, usize), Mistake> {
    let at = |i: usize| text.get(i).copied().unwrap_or(0);
    let wrong = |problem, at| Err(mistake(problem, at, Errno::EINVAL));
    let skip = |mut i: usize| {
        while is_space(at(i)) {
            i += 1;
        }
        i
    };
    let start = skip(0);
    let mut i = start;
    while at(i).is_ascii_alphanumeric() || at(i) == b'_' {
        i += 1;
    }
    if i == start {
        // The function returns -1 here and names no problem.
        return Err(mistake(Problem::Unnamed, 0, Errno::EPERM));
    }
    let field = String::from_utf8_lossy(&text[start..i]).into_owned();
    let own = Tracepoint::fields_of(event).is_some_and(|fields| fields.contains(&field.as_str()));
    if !own && !GENERIC.contains(&field.as_str()) {
        return wrong(Problem::FieldNotFound, pos + i);
    }
    let layout = if own {
        format::layout(event, &field)
    } else {
        let text = field.eq_ignore_ascii_case("comm");
        format::Layout { size: 4, signed: true, text }
    };
    i = skip(i);
    let Some((sign, op)) =
        OPS.iter().find(|(sign, _)| text[i.min(text.len())..].starts_with(sign.as_bytes()))
    else {
        return wrong(Problem::InvalidOp, pos + i);
    };
    i = skip(i + sign.len());
    let begin = i;
    let value = match at(i) {
        quote @ (b'\'' | b'"') => {
            if !matches!(op, Op::Ne | Op::Glob | Op::Eq) {
                return wrong(Problem::IllegalFieldOp, pos + i);
            }
            if !layout.text {
                return wrong(Problem::ExpectDigit, pos + i);
            }
            i += 1;
            while at(i) != 0 && at(i) != quote {
                i += 1;
            }
            if at(i) == 0 {
                return wrong(Problem::MissingQuote, pos + i);
            }
            let inner = &text[begin + 1..i];
            if inner.len() >= MAX_TEXT {
                return wrong(Problem::OperandTooLong, pos + i);
            }
            i += 1;
            Value::Text(String::from_utf8_lossy(inner).into_owned())
        }
        first if first.is_ascii_digit() || first == b'-' => {
            if layout.text {
                return wrong(Problem::ExpectString, pos + i);
            }
            if *op == Op::Glob {
                return wrong(Problem::IllegalFieldOp, pos + i);
            }
            i += usize::from(first == b'-');
            while at(i).is_ascii_alphanumeric() {
                i += 1;
            }
            let digits = &text[begin..i];
            if digits.len() >= MAX_NUMBER {
                return wrong(Problem::OperandTooLong, pos + i);
            }
            let number = if layout.signed {
                kstrtoll(digits, 0).map(i128::from)
            } else {
                kstrtoull(digits, 0).map(i128::from)
            };
            match number {
                Ok(number) => Value::Number(number),
                Err(_) => return wrong(Problem::IllegalIntval, pos + begin),
            }
        }
        _ => return wrong(Problem::InvalidValue, pos + i),
    };
    let pred = Pred { field, own, op: *op, value, size: layout.size, signed: layout.signed };
    Ok((pred, i))
}

/// `predicate_parse()`: the words of an expression.
fn words(event: &str, text: &[u8], most: usize) -> Result<Vec<Token>, Mistake> {
    let at = |i: usize| text.get(i).copied().unwrap_or(0);
    let mut words = Vec::new();
    // Open parentheses, each with what is pending in it: `&&` and `||`.
    let mut top: Vec<(bool, bool)> = vec![(false, false)];
    let (mut ptr, mut preds) = (0, 0);
    'expression: while at(ptr) != 0 {
        let next = ptr;
        ptr += 1;
        match at(next) {
            byte if is_space(byte) => continue,
            b'(' => {
                top.push((false, false));
                words.push(Token::Open);
                continue;
            }
            b'!' if !matches!(at(next + 1), b'=' | b'~') => {
                words.push(Token::Not);
                continue;
            }
            _ => {}
        }
        // Two more than were counted have room.
        if preds >= most + 2 {
            return Err(mistake(Problem::TooManyPreds, next, Errno::ENOMEM));
        }
        let (pred, len) = parse_pred(event, &text[next..], ptr)?;
        words.push(Token::Pred(pred));
        preds += 1;
        ptr = next + len;
        loop {
            let next = ptr;
            ptr += 1;
            let byte = at(next);
            if is_space(byte) {
                continue;
            }
            match byte {
                b')' | 0 => {}
                b'&' | b'|' if at(next + 1) == byte => ptr += 1,
                // -1, whatever stands there.
                _ => return Err(mistake(Problem::TooManyPreds, next, Errno::EPERM)),
            }
            let deepest = top.len() == 1;
            let Some((and, or)) = top.last_mut() else { break 'expression };
            *and = false;
            match byte {
                b'&' => {
                    *and = true;
                    words.push(Token::And);
                    continue 'expression;
                }
                b'|' => {
                    *or = true;
                    words.push(Token::Or);
                    continue 'expression;
                }
                0 => {
                    *or = false;
                    break 'expression;
                }
                _ if deepest => return Err(mistake(Problem::TooManyClose, ptr, Errno::EPERM)),
                _ => {
                    top.pop();
                    words.push(Token::Close);
                }
            }
        }
    }
    if top.len() != 1 {
        return Err(mistake(Problem::TooManyOpen, ptr, Errno::EPERM));
    }
    if preds == 0 {
        return Err(mistake(Problem::NoFilter, ptr, Errno::EINVAL));
    }
    // An expression may end in `&&` or `||`, but for `a || b &&`, of which the program would go backwards.
    if let Some((true, true)) = top.first() {
        return Err(mistake(Problem::Unnamed, 0, Errno::EINVAL));
    }
    Ok(words)
}

/// Makes an expression of its words; `||` binds least.
struct Reader {
    words: std::iter::Peekable<std::vec::IntoIter<Token>>,
}

impl Reader {
    fn or(&mut self) -> Option<Expr> {
        let mut left = self.and()?;
        while self.words.next_if_eq(&Token::Or).is_some() {
            match self.and() {
                Some(right) => left = Expr::Or(Box::new(left), Box::new(right)),
                None => break,
            }
        }
        Some(left)
    }

    fn and(&mut self) -> Option<Expr> {
        let mut left = self.not()?;
        while self.words.next_if_eq(&Token::And).is_some() {
            match self.not() {
                Some(right) => left = Expr::And(Box::new(left), Box::new(right)),
                None => break,
            }
        }
        Some(left)
    }

    fn not(&mut self) -> Option<Expr> {
        match self.words.next()? {
            Token::Not => Some(Expr::Not(Box::new(self.not()?))),
            Token::Open => {
                let inner = self.or();
                self.words.next_if_eq(&Token::Close);
                inner
            }
            Token::Pred(pred) => Some(Expr::Pred(pred)),
            Token::Close | Token::And | Token::Or => None,
        }
    }
}

/// `process_preds()`.
pub(super) fn parse(event: &str, text: &str) -> Result<Filter, Mistake> {
    let nothing = mistake(Problem::Unnamed, 0, Errno::EINVAL);
    let preds = calc_stack(text.as_bytes())?;
    if preds == 0 {
        return Err(nothing);
    }
    let words = words(event, text.as_bytes(), preds)?;
    Reader { words: words.into_iter().peekable() }.or().map(Filter).ok_or(nothing)
}

/// `append_filter_err()`: what the file has of a wrong filter.
pub(super) fn with_mistake(text: &str, mistake: &Mistake) -> String {
    if mistake.problem == Problem::Unnamed {
        return format!("{text}\nError: (0)\n");
    }
    let at = mistake.at.min(text.len());
    // Places are one off in the kernel, too.
    let width = if at == 0 { 0 } else { at + 1 };
    format!("{text}\n{:>width$}\nparse_error: {}\n", "^", mistake.problem.text())
}

impl Mistake {
    /// One of the events of a system does not take the filter.
    pub(super) const fn of_system(self) -> Self {
        Self { problem: Problem::BadSubsysFilter, at: 0, errno: self.errno }
    }
}

impl Pred {
    fn holds(&self, trace: &Trace, record: &Record, tracepoint: &Tracepoint) -> bool {
        let value = if self.own {
            tracepoint.field(&self.field)
        } else {
            let (comm, pid) = task(trace, Some(record.ctx));
            match self.field.as_str() {
                "common_pid" => Some(FieldValue::Number(pid.into())),
                "cpu" | "CPU" => Some(FieldValue::Number(record.cpu.0.into())),
                _ => return self.text_holds(&comm),
            }
        };
        match value {
            Some(FieldValue::Text(text)) => self.text_holds(text.as_str()),
            Some(FieldValue::Number(number)) => self.number_holds(number),
            None => false,
        }
    }

    fn text_holds(&self, text: &str) -> bool {
        let Value::Text(wanted) = &self.value else { return false };
        match self.op {
            Op::Glob => match wanted.strip_prefix('!') {
                Some(wanted) => !glob(wanted, text),
                None => glob(wanted, text),
            },
            Op::Ne => wanted != text,
            _ => wanted == text,
        }
    }

    fn number_holds(&self, number: i64) -> bool {
        let Value::Number(wanted) = self.value else { return false };
        let cut = |n: i128| match (self.size, self.signed) {
            (1, _) => i128::from(n as u8),
            (_, true) => i128::from(n as i32),
            (_, false) => i128::from(n as u32),
        };
        let (is, wanted) = (cut(number.into()), cut(wanted));
        match self.op {
            Op::Ne => is != wanted,
            Op::Le => is <= wanted,
            Op::Lt => is < wanted,
            Op::Ge => is >= wanted,
            Op::Gt => is > wanted,
            Op::Band => is & wanted != 0,
            Op::Eq | Op::Glob => is == wanted,
        }
    }
}

impl Expr {
    fn holds(&self, trace: &Trace, record: &Record, tracepoint: &Tracepoint) -> bool {
        let holds = |expr: &Self| expr.holds(trace, record, tracepoint);
        match self {
            Self::Pred(pred) => pred.holds(trace, record, tracepoint),
            Self::Not(inner) => !holds(inner),
            Self::And(left, right) => holds(left) && holds(right),
            Self::Or(left, right) => holds(left) || holds(right),
        }
    }
}

impl Filter {
    /// An event passes.
    pub(super) fn passes(&self, trace: &Trace, record: &Record, tracepoint: &Tracepoint) -> bool {
        self.0.holds(trace, record, tracepoint)
    }
}
