//! What is true at a station.
//!
//! A truth is `SUBJECT OP VALUE`, with the operators of assertions in scripts. The subject is a virtual file; `stack`, the
//! functions around the station; `calls`, the functions that its step has called so far; `actor`, who runs; `cpu`, where;
//! `map CPU COLUMN`, a cell of the table of vectors; or a command in double quotes, which is tried on a copy of
//! the machine: what it prints is compared.

use debugger::Session;
use sim::vfs;

use crate::walk::Stand;

/// Every run of blanks is one blank.
pub fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a truth holds at a station, or what is wrong with it.
pub fn holds(truth: &str, stand: &Stand) -> Result<bool, String> {
    let (subject, rest) = subject(truth)?;
    let (op, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let value = plain(value.trim().trim_matches('"'));
    let seen = seen(&subject, stand)?;
    Ok(match op {
        "==" => seen == value,
        "!=" => seen != value,
        "contains" => seen.contains(&value),
        "lacks" => !seen.contains(&value),
        _ => return Err(format!("`{truth}`: `{op}` compares nothing; expected ==, !=, contains or lacks")),
    })
}

/// What a truth is about, and the rest of it.
fn subject(truth: &str) -> Result<(String, &str), String> {
    let short = || format!("`{truth}` says nothing; expected SUBJECT OP VALUE");
    if let Some(quoted) = truth.strip_prefix('"') {
        let (command, rest) = quoted.split_once('"').ok_or_else(short)?;
        return Ok((format!("\"{command}"), rest.trim()));
    }
    let words = if truth.starts_with("map ") { 3 } else { 1 };
    let end = truth.match_indices(' ').nth(words - 1).ok_or_else(short)?.0;
    Ok((truth[..end].to_owned(), truth[end..].trim()))
}

/// What can be seen of a subject, with single blanks.
fn seen(subject: &str, stand: &Stand) -> Result<String, String> {
    if let Some(command) = subject.strip_prefix('"') {
        let mut session = Session::new(stand.k.clone(), "copy");
        return Ok(plain(&session.line(command).text));
    }
    let text = match subject {
        "stack" => stand.stack.join(" "),
        "calls" => stand.calls.join(" "),
        "actor" => stand.actor.clone(),
        "cpu" => stand.cpu.clone(),
        _ if subject.starts_with("map ") => map(subject, stand)?,
        _ => read(subject, stand)?,
    };
    Ok(plain(&text))
}

/// A virtual file at a station. Nothing is in a file that is not there.
fn read(path: &str, stand: &Stand) -> Result<String, String> {
    if !path.starts_with('/') {
        return Err(format!("there is no subject `{path}`"));
    }
    Ok(vfs::read(&stand.k, path).unwrap_or_default())
}

/// A cell of the table in the vector domain's file.
fn map(subject: &str, stand: &Stand) -> Result<String, String> {
    let wrong = || format!("`{subject}` is in no line of the map");
    let mut words = subject.split(' ').skip(1);
    let (cpu, column) = (words.next().ok_or_else(wrong)?, words.next().ok_or_else(wrong)?);
    let file = read("/sys/kernel/debug/irq/domains/VECTOR", stand)?;
    let mut lines = file.lines().skip_while(|line| !line.contains("CPU"));
    let head = lines.next().ok_or_else(wrong)?;
    // The head has a bar where the lines have a blank.
    let at = head.split(['|', ' ']).filter(|word| !word.is_empty()).position(|word| word == column);
    let line = lines.find(|line| line.split_whitespace().next() == Some(cpu)).ok_or_else(wrong)?;
    line.split_whitespace().nth(at.ok_or_else(wrong)?).map(str::to_owned).ok_or_else(wrong)
}

/// What a question reads: a file, or what stands behind a label in it, or a field of the station's record.
pub fn value(file: &str, field: Option<&str>, stand: &Stand) -> Result<String, String> {
    let missing = |label: &str| format!("{file} has no `{label}`");
    if file == "record" {
        let label = field.ok_or("a record has several fields; expected `field`")?;
        let mut words = stand.record.split(' ').filter_map(|word| word.split_once('='));
        return words
            .find(|(name, _)| *name == label)
            .map(|(_, value)| value.to_owned())
            .ok_or_else(|| missing(label));
    }
    let text = read(file, stand)?;
    match field {
        None => Ok(plain(&text)),
        Some(label) => text
            .lines()
            .find_map(|line| line.trim().strip_prefix(label))
            .map(plain)
            .ok_or_else(|| missing(label)),
    }
}
