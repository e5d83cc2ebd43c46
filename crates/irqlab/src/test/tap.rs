//! Results in the Test Anything Protocol, version 14: a test point for each file.

use super::{Checked, Done};

/// The first line.
pub const VERSION: &str = "TAP version 14";

/// A description: `#` begins a directive there.
fn description(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#")
}

/// The points of a test, numbered on from `number`.
pub fn points(done: &Done, number: &mut usize) -> String {
    let mut out = String::new();
    let mut point = |ok: bool, name: &str, not_taken: bool, message: Option<(&str, &str)>| {
        *number += 1;
        let not = if ok { "" } else { "not " };
        let skip = if not_taken { " # SKIP not taken" } else { "" };
        out.push_str(&format!("{not}ok {number} - {}{skip}\n", description(name)));
        if let Some((what, detail)) = message {
            // A text of JSON is one of YAML.
            let message = serde_json::to_string(what).unwrap_or_default();
            out.push_str(&format!("  ---\n  message: {message}\n"));
            if !detail.is_empty() {
                out.push_str("  diff: |\n");
                detail.lines().for_each(|line| out.push_str(&format!("    {line}\n")));
            }
            out.push_str("  ...\n");
        }
    };
    let folder = done.folder.display();
    match &done.result {
        Ok(Checked { checks, .. }) => {
            for check in checks {
                let name = format!("{folder}/{}", check.name);
                let message = check.wrong.as_ref().map(|wrong| (wrong.what.as_str(), wrong.detail.as_str()));
                point(check.wrong.is_none(), &name, check.not_taken, message);
            }
        }
        Err(report) => point(false, &folder.to_string(), false, Some((&report.to_string(), &report.plain()))),
    }
    // A line that begins so is a comment.
    for line in done.result.iter().flat_map(|done| &done.chance) {
        out.push_str(&format!("# {folder}: {line}\n"));
    }
    out
}
