//! `irqlab diff`: two runs of one script that differ in kernel or semantics.

use std::path::PathBuf;
use std::process::ExitCode;

use compare::capture::Capture;
use compare::diff;
use compare::diff::text::{Detail, text};
use kstate::semantics::{KernelVersion, Semantics};
use sim::machine::Machine;
use sim::script::Script;
use sim::state::Sections;

use crate::exit::DIFFERS;
use crate::experiment::apply;
use crate::input::{OptionError, json, kernel, machine_file, print};
use crate::opening::{Changes, script_text};

/// Options of `irqlab diff`.
#[derive(clap::Args)]
pub struct Args {
    /// Capture folder whose machine and script to run, or a script (`-` for standard input)
    #[arg(value_name = "DIR|SCRIPT", conflicts_with = "script")]
    subject: Option<PathBuf>,
    /// Machine file (TOML) [default: the folder's, or the embedded machine]
    #[arg(long, value_name = "FILE", conflicts_with = "exhibit")]
    machine: Option<PathBuf>,
    /// Machine and script of an exhibit of the museum, such as M03
    #[arg(long, value_name = "ID")]
    exhibit: Option<String>,
    /// Script to run on both, `-` for standard input
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// Change one behaviour of both runs' kernels
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    #[arg(long = "kernel", hide = true)]
    one_kernel: Option<String>,
    /// Kernel of the first run [default: the oldest]
    #[arg(long, visible_alias = "from", value_name = KernelVersion::CHOICE, value_parser = kernel)]
    left: Option<KernelVersion>,
    /// Kernel of the second run [default: the next one that is modelled]
    #[arg(long, visible_alias = "to", value_name = KernelVersion::CHOICE, value_parser = kernel)]
    right: Option<KernelVersion>,
    /// Change one behaviour of the first run's kernel
    #[arg(long, value_name = "FIELD=VALUE")]
    left_set: Vec<String>,
    /// Change one behaviour of the second run's kernel
    #[arg(long, value_name = "FIELD=VALUE")]
    right_set: Vec<String>,
    /// Show everything: calls below what only one run has, and every pair of values
    #[arg(long)]
    full: bool,
    /// Write JSON for programs
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    if args.one_kernel.is_some() {
        let found = "two kernels are compared";
        return Err(OptionError::new("--kernel", found, "--from KERNEL and --to KERNEL").into());
    }
    let Subject { name, machine: machine_text, script, states } = subject(args)?;
    let machine_text = args.changes.apply(&name, machine_text)?;
    let machine = Machine::parse(&name, &machine_text)?;
    let (left, right) = kernels(args.left, args.right)?;
    // What both have comes first, so that a run's own change of the same field is a mistake that is named.
    for version in [left, right] {
        experiment("--set", version, &args.set)?;
    }
    let both = |own: &[String]| args.set.iter().chain(own).cloned().collect::<Vec<_>>();
    let left = experiment("--left-set", left, &both(&args.left_set))?;
    let right = experiment("--right-set", right, &both(&args.right_set))?;
    let report = diff::between(&machine, &script, left, right, |file| {
        states.iter().find(|(f, _)| f == file).map(|(_, s)| *s).unwrap_or_default()
    })?;
    if args.json {
        json(&report)?;
    } else {
        let detail = if args.full { Detail::FULL } else { Detail::SHORT };
        print(&text(&report, detail))?;
    }
    Ok(ExitCode::from(if report.is_empty() { 0 } else { DIFFERS }))
}

/// What is run on both kernels.
struct Subject {
    name: String,
    machine: String,
    script: Script,
    /// What the states of a capture show, by their files.
    states: Vec<(String, Sections)>,
}

/// What the options name.
fn subject(args: &Args) -> diagnostic::Result<Subject> {
    let capture = args.subject.as_deref().filter(|path| path.is_dir());
    if let Some(folder) = capture {
        if args.exhibit.is_some() || args.machine.is_some() {
            let option = if args.exhibit.is_some() { "--exhibit" } else { "--machine" };
            let found = format!("{} has a machine and a script", folder.display());
            return Err(OptionError::new(option, found, "a script in place of the folder").into());
        }
        let capture = Capture::read(folder)?;
        let states = capture
            .files
            .iter()
            .filter_map(|(planned, text)| Some((planned.file.clone(), Sections::of(text.as_deref()?))));
        return Ok(Subject {
            name: folder.join("machine.toml").display().to_string(),
            states: states.collect(),
            machine: capture.machine,
            script: capture.script,
        });
    }
    let exhibit = args.exhibit.as_deref().map(crate::museum::find).transpose()?;
    let (name, machine) = match exhibit {
        Some(exhibit) => (format!("{}/machine.toml", exhibit.id), exhibit.machine.to_owned()),
        None => machine_file(args.machine.as_deref())?,
    };
    let (script_name, script) = match (args.subject.as_ref().or(args.script.as_ref()), exhibit) {
        (Some(path), _) => script_text(path)?,
        (None, Some(exhibit)) => (format!("{}/script.sh", exhibit.id), exhibit.script.to_owned()),
        (None, None) => {
            return Err(diagnostic::report!(
                help = "expected a capture folder, a script, or --exhibit ID",
                "there is nothing to run on two kernels"
            ));
        }
    };
    Ok(Subject { name, machine, script: Script::parse(&script_name, &script)?, states: Vec::new() })
}

/// Which kernels to compare: a kernel with the one after it, unless said otherwise.
fn kernels(
    left: Option<KernelVersion>,
    right: Option<KernelVersion>,
) -> Result<(KernelVersion, KernelVersion), OptionError> {
    let left = left.unwrap_or(KernelVersion::ALL[0]);
    let newest = || {
        OptionError::new(
            "--right",
            format!("no modelled kernel is newer than {}", left.name()),
            "the kernel to compare with",
        )
    };
    Ok((left, right.or_else(|| left.next()).ok_or_else(newest)?))
}

/// A kernel with some behaviours changed, and what to call it.
pub fn experiment(
    option: &'static str,
    version: KernelVersion,
    set: &[String],
) -> diagnostic::Result<(String, Semantics)> {
    let mut semantics = Semantics::of(version);
    apply(option, &mut semantics, set)?;
    let name: Vec<&str> = [version.name()].into_iter().chain(set.iter().map(String::as_str)).collect();
    let note = if semantics.is_shipped() { "" } else { " (never shipped like this)" };
    Ok((name.join(" ") + note, semantics))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use compare::diff::Report;
    use compare::diff::attribution::Mark;

    use super::*;

    fn capture(case: &str) -> (Machine, Capture) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures").join(case);
        let capture = Capture::read(&folder).unwrap();
        (Machine::parse("machine.toml", &capture.machine).unwrap(), capture)
    }

    fn report(case: &str, left: &str, right: &str) -> Report {
        let (machine, capture) = capture(case);
        let run = |text: &str| {
            let mut words = text.split_whitespace().map(str::to_owned);
            let version = kernel(&words.next().unwrap()).unwrap();
            experiment("--set", version, &words.collect::<Vec<_>>()).unwrap()
        };
        diff::between(&machine, &capture.script, run(left), run(right), |_| Sections::default()).unwrap()
    }

    #[test]
    fn hotplug_between_the_kernels() {
        let report = report("v5.4/hotplug-8cpu", "v5.4", "v6.12");
        let text = anstream::adapter::strip_str(&text(&report, Detail::SHORT)).to_string();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../../tests/snapshots/v5.4");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_description(
            "kernels v5.4 and v6.12, machine and script of tests/captures/v5.4/hotplug-8cpu",
        );
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("diff-hotplug-8cpu", text));
        // What every place with a difference that a behaviour explains comes down to.
        let because = |at: &str, what: &str| {
            report.because(&BTreeSet::from([Mark { at: at.to_owned(), what: what.to_owned() }]))
        };
        let migrate = because("migrate_one_irq", "+irq_force_complete_move");
        assert_eq!(migrate, ["migrate_completes_move_first"]);
        assert_eq!(because("lapic_offline", "+__vector_cleanup"), ["vector_cleanup"]);
        assert_eq!(because("@ vector_config", "apicdest"), ["flat_apic"]);
        assert_eq!(because("/sys/kernel/debug/irq/irqs/N", "IRQD_LEVEL"), ["legacy_irqs_level"]);
        // All but the name of the start-up code, which is no behaviour.
        let explained: BTreeSet<Mark> = report.causes.iter().flat_map(|c| c.shows.clone()).collect();
        let rest: Vec<Mark> = report.marks().difference(&explained).cloned().collect();
        assert_eq!(rest, [Mark { at: "@ irq_matrix_online".into(), what: "-secondary_startup_64".into() }]);
    }

    #[test]
    fn a_kernel_is_compared_with_the_next() {
        use KernelVersion::{V5_4, V6_12};
        let of = |left, right| kernels(left, right).map_err(|e| e.to_string());
        assert_eq!(of(None, None), Ok((V5_4, V6_12)));
        assert_eq!(of(None, Some(V5_4)), Ok((V5_4, V5_4)));
        assert_eq!(of(Some(V6_12), Some(V5_4)), Ok((V6_12, V5_4)));
        let newest = KernelVersion::ALL.last().copied();
        assert!(of(newest, None).unwrap_err().contains("no modelled kernel is newer than"));
    }

    #[test]
    fn a_combination_that_never_shipped_says_so() {
        let name = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
            experiment("--left-set", KernelVersion::V5_4, &set).unwrap().0
        };
        assert_eq!(name(&[]), "v5.4");
        assert_eq!(name(&["hctx_drain=off"]), "v5.4 hctx_drain=off");
        assert_eq!(name(&["hctx_drain=on"]), "v5.4 hctx_drain=on (never shipped like this)");
    }

    #[test]
    fn a_kernel_does_not_differ_from_itself() {
        let report = report("v5.4/hotplug-8cpu", "v5.4", "v5.4");
        assert!(report.is_empty());
        assert!(text(&report, Detail::SHORT).contains("The two runs do the same."));
        assert_eq!(report.states_compared, 22);
    }

    #[test]
    fn one_behaviour_makes_the_difference_it_is_named_for() {
        let report = report("v5.4/hotplug-8cpu", "v5.4", "v5.4 cpuhp_skips_empty_states=true");
        assert!(report.states.is_empty());
        let causes: Vec<&str> = report.causes.iter().map(|c| c.field).collect();
        assert_eq!(causes, ["cpuhp_skips_empty_states"]);
    }
}
