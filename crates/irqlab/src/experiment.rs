//! Which kernel runs, and which of its behaviours are changed.

use kstate::semantics::{KernelVersion, Semantics};

use crate::input::OptionError;
use crate::input::kernel;

/// The option that changes a behaviour.
const SET: &str = "--set";

/// Options that choose a kernel and change what it does.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Experiment {
    /// Kernel to run [default: the machine file's, or v5.4]
    #[arg(long, value_name = KernelVersion::CHOICE, value_parser = kernel)]
    pub kernel: Option<KernelVersion>,
    /// Change one behaviour of it; may be repeated (`irqlab semantics` lists them)
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub set: Vec<String>,
}

impl Experiment {
    /// What is to run: the kernel that was chosen, or `default`, with the changes.
    ///
    /// # Errors
    /// For a change that is none, and for changes that contradict each other.
    pub fn semantics(&self, default: KernelVersion) -> Result<Semantics, OptionError> {
        let mut semantics = Semantics::of(self.kernel.unwrap_or(default));
        apply(SET, &mut semantics, &self.set)?;
        Ok(semantics)
    }

    /// What is to be said about it; `None` for a kernel as it is.
    pub fn note(&self, semantics: &Semantics) -> Option<String> {
        (!self.set.is_empty()).then(|| describe(semantics))
    }
}

/// Changes `semantics` as `FIELD=VALUE` say, each given with `option`.
///
/// # Errors
/// For a change that is none, and for changes that contradict each other.
pub fn apply(option: &'static str, semantics: &mut Semantics, set: &[String]) -> Result<(), OptionError> {
    let mut done: Vec<&str> = Vec::new();
    for text in set {
        let Some((name, value)) = text.split_once('=') else {
            return Err(OptionError::new(
                option,
                format!("`{text}` sets nothing"),
                "FIELD=VALUE, as in vector_cleanup=timer",
            ));
        };
        let (name, value) = (name.trim(), value.trim());
        semantics.set(name, value).map_err(|e| OptionError::new(option, e.to_string(), e.expected()))?;
        if done.contains(&name) {
            return Err(OptionError::new(
                option,
                format!("`{name}` is set twice"),
                "one value for each field",
            ));
        }
        done.push(name);
    }
    semantics.check().map_err(|reason| OptionError::new(option, reason, "values that go together"))
}

/// What runs, in a line.
fn describe(semantics: &Semantics) -> String {
    let base = semantics.version;
    let changed: Vec<String> = semantics
        .differences(base)
        .iter()
        .map(|field| {
            let value = semantics.get(field.name).unwrap_or_default();
            let release = field.release_of(&value).map(|r| format!(" ({r})")).unwrap_or_default();
            format!("{}={value}{release} instead of {}", field.name, field.of(base))
        })
        .collect();
    if changed.is_empty() {
        return format!("{} as it is: it has these values in any case", base.name());
    }
    let like = KernelVersion::ALL.iter().find(|version| semantics.differences(**version).is_empty());
    let shipped = match like {
        Some(version) => format!("this is what {} does", version.name()),
        None => "this combination never shipped".to_owned(),
    };
    format!("experiment: {} with {}; {shipped}", base.name(), changed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(set: &[&str], expect: &str) {
        let set = set.iter().map(|s| (*s).to_owned()).collect();
        let experiment = Experiment { kernel: None, set };
        let text = match experiment.semantics(KernelVersion::V5_4) {
            Ok(semantics) => experiment.note(&semantics).unwrap_or_default(),
            Err(e) => format!("{e}; expected {}", e.expected),
        };
        assert_eq!(text, expect);
    }

    #[test]
    fn a_kernel_as_it_is_needs_no_note() {
        check(&[], "");
        check(&["vector_cleanup=ipi"], "v5.4 as it is: it has these values in any case");
    }

    #[test]
    fn an_experiment_is_called_one() {
        check(
            &["vector_cleanup=timer", "hctx_drain=true"],
            "experiment: v5.4 with vector_cleanup=timer instead of ipi, hctx_drain=on instead of off; \
             this combination never shipped",
        );
    }

    #[test]
    fn what_only_another_release_does_is_dated() {
        check(
            &["irq_regs_lose_vector=on"],
            "experiment: v5.4 with irq_regs_lose_vector=on (5.8 (633260fa143)) instead of off; \
             this combination never shipped",
        );
    }

    #[test]
    fn what_makes_a_kernel_another_one_says_so() {
        let all = Semantics::fields()
            .iter()
            .map(|f| format!("{}={}", f.name, f.of(KernelVersion::V6_12)))
            .collect();
        let experiment = Experiment { kernel: Some(KernelVersion::V5_4), set: all };
        let semantics = experiment.semantics(KernelVersion::V6_12).unwrap();
        assert!(experiment.note(&semantics).unwrap().ends_with("; this is what v6.12 does"));
    }

    #[test]
    fn mistakes_name_the_field_and_what_was_expected() {
        check(
            &["vector_cleanup"],
            "--set: `vector_cleanup` sets nothing; expected FIELD=VALUE, as in vector_cleanup=timer",
        );
        check(
            &["vector_cleanup=never"],
            "--set: `vector_cleanup` has no value `never`; expected ipi or timer",
        );
        check(
            &["vector_clenup=ipi"],
            "--set: there is no field `vector_clenup`; expected a field, perhaps vector_cleanup",
        );
        check(
            &["hctx_drain=on", "hctx_drain=off"],
            "--set: `hctx_drain` is set twice; expected one value for each field",
        );
    }
}
