//! What of a recording a test looks at.

use kstate::Irq;
use record::filter::Nothing;

use crate::Mistake;

/// What of a recording is shown: the same as the options `--irq`, `--function`, `--depth`, `--actor` and `--args` of
/// `irqlab run` pick (docs/formats.md). Nothing of a kind means all of it; several of a kind add up.
///
/// ```
/// use irqlab_test::{Filter, KernelVersion, Lab, Machine};
///
/// let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
/// lab.run_script("echo 0 > /sys/devices/system/cpu/cpu4/online").unwrap();
/// let filter = Filter::new().irq(29).function("migrate_one_irq").args();
/// let flow = lab.flow_of(&filter).unwrap();
/// assert!(flow.starts_with("# migration\nmigrate_one_irq(irq=29)\n"), "{flow}");
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter(pub(crate) record::filter::Filter);

impl Filter {
    /// One that leaves out nothing.
    ///
    /// ```
    /// # use irqlab_test::{Filter, KernelVersion, Lab, Machine};
    /// # let lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// assert_eq!(lab.flow_of(&Filter::new()).unwrap(), lab.flow());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// What is about an interrupt: calls and tracepoints that name it, everything below them, its handler, and the
    /// calls around, which say why.
    ///
    /// ```
    /// # use irqlab_test::{Filter, KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// lab.run_script("echo 1 > /sys/class/nvme/nvme0/reset_controller").unwrap();
    /// let events = lab.events_of(&Filter::new().irq(29)).unwrap();
    /// assert!(events.contains("@ vector_config: irq=29 ") && !events.contains("irq=30 "), "{events}");
    /// ```
    #[must_use]
    pub fn irq(mut self, irq: u32) -> Self {
        self.0.irqs.push(Irq(irq));
        self
    }

    /// Calls of functions that a pattern fits, and everything below them. In it `*` stands for any letters and `?` for
    /// one.
    ///
    /// ```
    /// # use irqlab_test::{Filter, KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// lab.run_script("echo 0 > /sys/devices/system/cpu/cpu4/online").unwrap();
    /// let flow = lab.flow_of(&Filter::new().function("irq_shutdown*")).unwrap();
    /// assert!(flow.starts_with("# migration\nirq_shutdown_and_deactivate\n  irq_shutdown\n"), "{flow}");
    /// ```
    #[must_use]
    pub fn function(mut self, pattern: &str) -> Self {
        self.0.functions.push(pattern.to_owned());
        self
    }

    /// So many levels of calls at most, counted from the first that [`Filter::function`] picks or from the outermost: 0
    /// is 1.
    ///
    /// ```
    /// # use irqlab_test::{Filter, KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// lab.run_script("echo 0 > /sys/devices/system/cpu/cpu4/online").unwrap();
    /// let flow = lab.flow_of(&Filter::new().function("irq_shutdown").depth(1)).unwrap();
    /// assert_eq!(flow, "# migration\nirq_shutdown\n");
    /// ```
    #[must_use]
    pub fn depth(mut self, levels: usize) -> Self {
        self.0.depth = Some(levels.max(1));
        self
    }

    /// What actors did that a pattern fits: `kworker`, `cpuhp/*`, `irq 29*`, `hardware`.
    ///
    /// ```
    /// # use irqlab_test::{Filter, KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// lab.run_script("echo 0 > /sys/devices/system/cpu/cpu4/online").unwrap();
    /// let flow = lab.flow_of(&Filter::new().actor("migration*")).unwrap();
    /// assert!(flow.lines().filter(|line| line.starts_with("# ")).all(|line| line == "# migration"), "{flow}");
    /// ```
    #[must_use]
    pub fn actor(mut self, pattern: &str) -> Self {
        self.0.actors.push(pattern.to_owned());
        self
    }

    /// Calls are shown with their arguments.
    ///
    /// ```
    /// # use irqlab_test::{Filter, KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// lab.run_script("echo 0 > /sys/devices/system/cpu/cpu4/online").unwrap();
    /// assert!(lab.flow_of(&Filter::new().args()).unwrap().contains("take_cpu_down(cpu=4)"));
    /// ```
    #[must_use]
    pub fn args(mut self) -> Self {
        self.0.args = true;
        self
    }
}

/// What to say of a filter that can show nothing of a run.
pub(crate) fn mistake(nothing: &Nothing) -> Mistake {
    Mistake::new(nothing.to_string(), format!("expected {}", nothing.there))
}
