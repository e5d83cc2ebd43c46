//! The text of an `.events` file: tracepoints with the stacks they fired on, or, for a boot, the
//! bare stream of tracepoints.

use std::borrow::Cow;

pub use super::flow::FormatError;
use crate::recording::StackedEvent;

/// Stands between a function and its caller.
const CALLED_BY: &str = " < ";

/// The text of events with stacks.
pub fn print(events: &[StackedEvent]) -> String {
    let mut text = String::new();
    for StackedEvent { actor, tracepoint, stack } in events {
        for part in ["# ", actor, "\n@ ", tracepoint, "\n"] {
            text.push_str(part);
        }
        for (i, name) in stack.iter().enumerate() {
            text.push_str(if i == 0 { "  " } else { CALLED_BY });
            text.push_str(name);
        }
        if !stack.is_empty() {
            text.push('\n');
        }
    }
    text
}

/// The events that `text` shows.
pub fn parse(text: &str) -> Result<Vec<StackedEvent>, FormatError> {
    let mut events = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((i, line)) = lines.next() {
        let fail = |line, problem| Err(FormatError { line, problem });
        let Some(actor) = line.strip_prefix("# ") else { return fail(i + 1, "no actor") };
        let Some(tracepoint) = lines.next().and_then(|(_, line)| line.strip_prefix("@ ")) else {
            return fail(i + 2, "no tracepoint below an actor");
        };
        let stack = lines
            .next_if(|(_, line)| line.starts_with("  "))
            .map(|(_, line)| line.trim_start().split(CALLED_BY).map(|f| Cow::Owned(f.to_owned())).collect())
            .unwrap_or_default();
        events.push(StackedEvent { actor: actor.to_owned(), tracepoint: tracepoint.to_owned(), stack });
    }
    Ok(events)
}

/// The text of a stream of tracepoints.
pub fn print_boot(tracepoints: &[String]) -> String {
    tracepoints.iter().flat_map(|t| ["@ ", t, "\n"]).collect()
}

/// The stream of tracepoints that `text` shows.
pub fn parse_boot(text: &str) -> Result<Vec<String>, FormatError> {
    text.lines()
        .enumerate()
        .map(|(i, line)| match line.strip_prefix("@ ") {
            Some(tracepoint) => Ok(tracepoint.to_owned()),
            None => Err(FormatError { line: i + 1, problem: "not a tracepoint" }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_parses_back() {
        let text = "# task\n@ t: x=1\n  a < b < c\n# irq cpu=3\n@ u: y=2\n# idle/5\n@ v: z=3\n  d\n";
        assert_eq!(print(&parse(text).unwrap()), text);
        let boot = "@ t: x=1\n@ u: y=2\n";
        assert_eq!(print_boot(&parse_boot(boot).unwrap()), boot);
    }

    #[test]
    fn lines_out_of_place_are_refused() {
        assert_eq!(parse("@ t\n").unwrap_err().line, 1);
        assert_eq!(parse("# task\n").unwrap_err().line, 2);
        assert_eq!(parse("# task\n@ t\n  a\n  b\n").unwrap_err().line, 4);
        assert_eq!(parse_boot("@ t\n# task\n").unwrap_err().line, 2);
    }
}
