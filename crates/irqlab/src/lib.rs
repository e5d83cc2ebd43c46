//! A PC under Linux for tests: boot it, do something to it, and look at what its kernel did.
//!
//! ```
//! use irqlab::{KernelVersion, Lab, Machine};
//!
//! let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
//! lab.run_script("echo 0 > /sys/devices/system/cpu/cpu3/online").unwrap();
//! assert!(lab.flow().contains("irq_migrate_all_off_this_cpu"));
//! assert_eq!(lab.read("/sys/devices/system/cpu/online").unwrap(), "0-2,4-7\n");
//! ```
//!
//! What [`Lab::flow`], [`Lab::events`] and [`Lab::state`] return is text that is the same every time,
//! made for comparison: `insta::assert_snapshot!(lab.flow())`. Its format is that of the project's
//! captures of real kernels (tests/captures/README.md), the language of scripts is in
//! docs/scripts.md.
//!
//! The program `irqlab` is behind the feature `cli`. A crate that only tests turns it off:
//! `irqlab = { path = "..", default-features = false }`.
//!
//! # What it doesn't implement
//! Everything below the surface: the crates `sim` and `kstate` have the machine itself, which
//! [`Lab::kernel`] shows.

use core::fmt::Write as _;
use core::ops::Range;

pub use kstate::semantics::{KernelVersion, Semantics};
pub use kstate::{Errno, Kernel};
pub use sim::machine::{Machine, MachineError};
pub use sim::script::{Script, ScriptError};

use kstate::trace::Recorded;
use record::formats::{events, flow, hardware};
use record::{Options, Recording, stacks};
use sim::state::Sections;
use sim::{state, vfs};

/// A booted machine, and what was recorded while it ran the last script.
///
/// ```
/// use irqlab::{KernelVersion, Lab, Machine};
///
/// for &version in KernelVersion::ALL {
///     let mut lab = Lab::boot(&Machine::embedded(version));
///     let controller = "/sys/class/nvme/nvme0";
///     lab.run_script(&format!("echo 1 > {controller}/reset_controller")).unwrap();
///     assert!(lab.flow().starts_with("# "), "call trees, each under who ran it");
///     assert!(lab.events().contains("@ vector_"), "tracepoints, each with its stack");
///     assert_eq!(lab.read(&format!("{controller}/state")).as_deref(), Ok("live\n"));
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Lab {
    lab: sim::lab::Lab,
    /// What the last script left in the record.
    records: Range<usize>,
    options: Options,
}

impl Lab {
    /// Boots a machine under its own kernel.
    ///
    /// A machine is [`Machine::embedded`], or read from a file with [`Machine::parse`].
    pub fn boot(machine: &Machine) -> Self {
        Self::boot_with(machine, Semantics::of(machine.kernel))
    }

    /// Boots a machine under a kernel of which some behaviours were changed ([`Semantics::set`]).
    ///
    /// ```
    /// use irqlab::{KernelVersion, Lab, Machine, Semantics};
    ///
    /// let mut kernel = Semantics::of(KernelVersion::V5_4);
    /// kernel.set("vector_cleanup", "timer").unwrap();
    /// let lab = Lab::boot_with(&Machine::embedded(KernelVersion::V5_4), kernel);
    /// assert!(!lab.kernel().sem.is_shipped());
    /// ```
    pub fn boot_with(machine: &Machine, semantics: Semantics) -> Self {
        let lab = sim::lab::Lab::boot_with(machine, semantics, true);
        let records = 0..lab.k.trace.records.len();
        Self { lab, records, options: Options { io: true } }
    }

    /// Records what hardware does as well from here on: messages, vectors, EOIs, doorbells.
    pub fn record_hardware(&mut self) {
        self.lab.k.trace.record(Recorded::Hardware);
    }

    /// What hardware did during the last script, each record with the function that ran: empty unless
    /// [`Lab::record_hardware`] was called before.
    ///
    /// ```
    /// # use irqlab::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    /// lab.record_hardware();
    /// lab.run_script("taskset -c 4 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct").unwrap();
    /// let hardware = lab.hardware();
    /// assert!(hardware.contains("hw::message: from=nvme0 address=0xfee10004 data=0x4021 vector=33\n"));
    /// assert!(hardware.contains("hw::eoi: cpu=4 vector=33 broadcast=0  < apic_ack_irq\n"));
    /// ```
    pub fn hardware(&self) -> String {
        hardware::print(&self.lab.k.trace, self.records.clone(), self.lab.functions())
    }

    /// Runs a script, and records it. What its commands printed is returned, what went wrong among
    /// it, as on a terminal.
    ///
    /// ```
    /// # use irqlab::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// let printed = lab.run_script("for i in a b; do echo $i; done\necho 9 > /proc/irq/1/node").unwrap();
    /// assert_eq!(printed[..2], ["a", "b"]);
    /// assert!(printed[2].ends_with("write error: Input/output error"));
    /// ```
    ///
    /// # Errors
    /// A script that does not parse; nothing was done then.
    pub fn run_script(&mut self, text: &str) -> Result<Vec<String>, ScriptError> {
        let script = Script::parse("script", text)?;
        let start = self.lab.k.trace.records.len();
        let io = script.statements.iter().any(sim::script::Statement::reads_disk);
        self.lab.run_each(&script, |_| {}, |_, _| {});
        self.records = start..self.lab.k.trace.records.len();
        self.options = Options { io };
        Ok(core::mem::take(&mut self.lab.terminal))
    }

    /// The call trees of the last script, or of the boot before any, as the text of a `.flow` file.
    pub fn flow(&self) -> String {
        let functions = self.lab.functions();
        flow::print(&Recording::between(&self.lab.k.trace, self.records.clone(), functions, self.options))
    }

    /// The tracepoints of the last script with their stacks, as the text of an `.events` file.
    pub fn events(&self) -> String {
        events::print(&record::events(&self.lab.k.trace, self.records.clone(), self.lab.functions()))
    }

    /// The stacks on which a kernel function was called, or a tracepoint fired, during the last script, or
    /// during the boot before any: each with its actor and how often it came up, as `irqlab stacks` prints
    /// them. Empty if there is none.
    ///
    /// ```
    /// # use irqlab::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    /// lab.run_script("echo 0 > /sys/devices/system/cpu/cpu4/online").unwrap();
    /// let stacks = lab.stacks("irq_shutdown");
    /// assert!(stacks.starts_with("# migration, 1 time\n[4] irq_shutdown\n"), "{stacks}");
    /// assert_eq!(lab.stacks("nvme_reset_work"), "");
    /// ```
    pub fn stacks(&self, name: &str) -> String {
        let functions = self.lab.functions();
        let found = stacks::reaching_within(&self.lab.k.trace, self.records.clone(), name, functions);
        let mut text = String::new();
        for (i, stack) in found.iter().enumerate() {
            let gap = if i == 0 { "" } else { "\n" };
            let times = if stack.count == 1 { "time" } else { "times" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{gap}# {}, {} {times}", stack.actor, stack.count);
            text.push_str(&stacks::print(stack));
        }
        text
    }

    /// The vectors of every CPU now: how many are free, managed and in use, and which.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// ```
    /// # use irqlab::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// assert!(lab.vectors().unwrap().starts_with("name:   VECTOR\n"));
    /// ```
    pub fn vectors(&mut self) -> Result<String, Errno> {
        self.read("/sys/kernel/debug/irq/domains/VECTOR")
    }

    /// What /proc and debugfs say about interrupts, CPUs and vectors now.
    pub fn state(&mut self) -> String {
        state::text(&mut self.lab.k, Sections::default())
    }

    /// Reads a virtual file.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&mut self, path: &str) -> Result<String, Errno> {
        vfs::read(&self.lab.k, path)
    }

    /// The machine itself.
    pub fn kernel(&self) -> &Kernel {
        &self.lab.k
    }

    /// The machine itself, to go on with below this surface.
    pub fn into_kernel(self) -> Kernel {
        self.lab.k
    }
}

/// A machine from the text of a machine file.
///
/// ```
/// let error = irqlab::machine("[cpus]\npossible = 0").unwrap_err();
/// assert!(!error.to_string().is_empty());
/// ```
///
/// # Errors
/// What is wrong with the text, and where.
pub fn machine(text: &str) -> Result<Machine, Box<MachineError>> {
    Machine::parse("machine.toml", text)
}
