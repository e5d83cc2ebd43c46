//! Results as JUnit XML: a suite for each folder, a case for each file.

use std::fmt::Write as _;
use std::time::Duration;

use record::formats::xml::Escaped;

use super::{Check, Checked, Done};

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// The file.
pub fn text(all: &[Done]) -> String {
    let checks = |done: &Done| done.result.as_ref().map_or(1, |done| done.checks.len());
    let failures = |done: &Done| {
        done.result
            .as_ref()
            .map_or(0, |done| done.checks.iter().filter(|check| check.wrong.is_some()).count())
    };
    let skipped = |done: &Done| {
        done.result.as_ref().map_or(0, |done| done.checks.iter().filter(|check| check.not_taken).count())
    };
    let errors = |done: &Done| usize::from(done.result.is_err());
    let count = |of: &dyn Fn(&Done) -> usize| -> usize { all.iter().map(of).sum() };
    let time: Duration = all.iter().map(|done| done.took).sum();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<testsuites name=\"irqlab\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\">",
        count(&checks),
        count(&failures),
        count(&errors),
        count(&skipped),
        seconds(time)
    );
    for done in all {
        let folder = done.folder.display().to_string();
        let folder = Escaped(&folder);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{folder}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\">",
            checks(done),
            failures(done),
            errors(done),
            skipped(done),
            seconds(done.took)
        );
        match &done.result {
            Ok(checked @ Checked { checks, chance, .. }) => {
                if let Some(schedule) = checked.by_chance() {
                    let _ = writeln!(
                        out,
                        "    <properties>\n      <property name=\"schedule\" value=\"{}\"/>\n    </properties>",
                        Escaped(schedule)
                    );
                }
                for Check { name, wrong, not_taken, .. } in checks {
                    let _ = write!(out, "    <testcase classname=\"{folder}\" name=\"{}\"", Escaped(name));
                    let _ = match wrong {
                        None if *not_taken => {
                            writeln!(out, ">\n      <skipped message=\"not taken\"/>\n    </testcase>")
                        }
                        None => writeln!(out, "/>"),
                        Some(wrong) => writeln!(
                            out,
                            ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                            Escaped(&wrong.what),
                            Escaped(&wrong.detail)
                        ),
                    };
                }
                if !chance.is_empty() {
                    let said = chance.join("\n");
                    let _ = writeln!(out, "    <system-out>{}</system-out>", Escaped(&said));
                }
            }
            Err(report) => {
                let _ = writeln!(
                    out,
                    "    <testcase classname=\"{folder}\" name=\"test\">\n      <error message=\"{}\">{}</error>\n    </testcase>",
                    Escaped(&report.to_string()),
                    Escaped(&report.plain())
                );
            }
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}
