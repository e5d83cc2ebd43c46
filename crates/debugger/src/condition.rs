//! The condition of a breakpoint: comparisons, joined by `&&` and `||`.

use core::fmt;

use kstate::Kernel;
use kstate::trace::Record;

use crate::fields;
use crate::watch::{self, Path};
use record::filter::fits;

/// A comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// The value is a pattern.
    Like,
}

/// All of them as they are written; one that begins like another stands before it.
const OPS: [(&str, Op); 8] = [
    ("==", Op::Eq),
    ("!=", Op::Ne),
    ("<=", Op::Le),
    (">=", Op::Ge),
    ("<", Op::Lt),
    (">", Op::Gt),
    ("~", Op::Like),
    ("=", Op::Eq),
];

fn number(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(hex) => i128::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

impl Op {
    fn holds(self, left: &str, right: &str) -> bool {
        let order = match (number(left), number(right)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => left.cmp(right),
        };
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
            Self::Like => fits(right, left),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OPS.iter().find(|(_, op)| op == self).map_or("", |(text, _)| text))
    }
}

/// What is compared.
#[derive(Clone, Debug)]
enum Subject {
    /// Something of the record.
    Record(String),
    /// Something of the machine, as it is at the record.
    Machine(Path),
}

/// `FIELD OP VALUE`.
#[derive(Clone, Debug)]
struct Comparison {
    subject: Subject,
    op: Op,
    value: String,
}

/// Comparisons: one of the groups holds if all in it do.
#[derive(Clone, Debug)]
pub(crate) struct Condition(Vec<Vec<Comparison>>);

impl Condition {
    /// Reads a condition for functions and tracepoints with these names.
    ///
    /// # Errors
    /// What is wrong with it; a field that none of them has is an error that lists what they have.
    pub(crate) fn parse(text: &str, of: &[&str], k: &Kernel) -> Result<Self, String> {
        let group = |text: &str| text.split("&&").map(|part| comparison(part, of, k)).collect();
        text.split("||").map(group).collect::<Result<_, String>>().map(Self)
    }

    /// Whether it holds at a record.
    pub(crate) fn holds(&self, record: &Record, k: &Kernel) -> bool {
        let one = |c: &Comparison| {
            let value = match &c.subject {
                Subject::Record(name) => fields::value(record, k, name),
                Subject::Machine(path) => Some(path.text(k)),
            };
            // A function without this field is not what was meant.
            value.is_some_and(|value| c.op.holds(&value, &c.value))
        };
        self.0.iter().any(|group| group.iter().all(one))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, group) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { " || " } else { "" })?;
            for (i, Comparison { subject, op, value }) in group.iter().enumerate() {
                f.write_str(if i > 0 { " && " } else { "" })?;
                match subject {
                    Subject::Record(name) => f.write_str(name)?,
                    Subject::Machine(path) => write!(f, "{path}")?,
                }
                write!(f, " {op} {value}")?;
            }
        }
        Ok(())
    }
}

fn comparison(text: &str, of: &[&str], k: &Kernel) -> Result<Comparison, String> {
    let text = text.trim();
    let first = text.char_indices().find_map(|(at, _)| {
        let (sign, op) = OPS.iter().find(|(sign, _)| text[at..].starts_with(sign))?;
        Some((at, *sign, *op))
    });
    let Some((at, sign, op)) = first else {
        return Err(format!("`{text}` compares nothing; expected FIELD == VALUE, or != < <= > >= ~"));
    };
    let (field, value) = (text[..at].trim(), text[at + sign.len()..].trim());
    let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    if field.is_empty() {
        return Err("a condition begins with a field; expected FIELD OP VALUE".to_owned());
    }
    if value.is_empty() || value.contains(char::is_whitespace) {
        return Err(format!("`{text}` does not end with one value; expected FIELD OP VALUE"));
    }
    let known: Vec<Option<Vec<&'static str>>> = of.iter().map(|name| fields::names(name)).collect();
    let has = |names: &[&'static str]| names.contains(&fields::formal(field));
    let subject = if known.iter().flatten().any(|names| has(names)) {
        // What is recorded of a call is a number; of a tracepoint one field is text.
        let word = field == "name" || fields::is_word(of, field);
        if !word && op != Op::Like && number(value).is_none() {
            return Err(format!("`{value}` is no number, and `{field}` is one; expected `{field} {op} 29`"));
        }
        Subject::Record(field.to_owned())
    } else {
        Subject::Machine(machine(field, of, &known, k)?)
    };
    Ok(Comparison { subject, op, value: value.to_owned() })
}

/// A field of the machine.
fn machine(
    field: &str,
    of: &[&str],
    known: &[Option<Vec<&'static str>>],
    k: &Kernel,
) -> Result<Path, String> {
    let mut names: Vec<&str> = known.iter().flatten().flatten().copied().collect();
    let first = names.clone();
    let mut at = 0;
    names.retain(|name| {
        at += 1;
        !first[..at - 1].contains(name)
    });
    let whose = match of {
        [one] => format!("`{one}`"),
        _ => "none of these".to_owned(),
    };
    let refused = || {
        let (verb, has) = if of.len() == 1 { ("has no", "it has") } else { ("has a", "they have") };
        format!(
            "{whose} {verb} field `{field}`; {has} {}; a field of the machine is one such as \
             `apicd.hw_irq_cfg.vector of irq 29`",
            names.join(", ")
        )
    };
    let path = Path::parse(field).map_err(|_| refused())?;
    let root = field.split(['.', ' ']).next().unwrap_or("");
    if !field.contains(' ') && !watch::roots(k).iter().any(|(name, _)| *name == root) {
        return Err(refused());
    }
    // What belongs to an interrupt or CPU that is not there yet can come.
    match path.values(k) {
        // A part of the machine is nothing to compare.
        Ok(values) if values.len() > 1 && !field.contains('.') => Err(refused()),
        Err(e) if path.owner_is_there(k) => Err(e),
        _ => Ok(path),
    }
}
