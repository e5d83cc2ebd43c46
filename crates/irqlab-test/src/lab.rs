//! A booted machine, and what was recorded while it ran the last script.

use core::fmt::Write as _;
use core::ops::Range;

use explore::World;
use kstate::semantics::Semantics;
use kstate::trace::Recorded;
use kstate::{Errno, Kernel};
use record::filter::Levels;
use record::formats::{Export, Format};
use record::{Options, name_of, stacks, with_arguments};
use sim::machine::Machine;
use sim::script::{Failure, Script, Statement};
use sim::state::{self, Sections};
use sim::vfs;

use crate::explore::{Bound, Explored, explore};
use crate::{Filter, Mistake, diff, filter};

/// A booted machine, and what was recorded while it ran the last script.
///
/// ```
/// use irqlab_test::{KernelVersion, Lab, Machine};
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
    /// The machine and the scripts that ran on it, for the head of a snapshot.
    machine: String,
    scripts: Vec<String>,
}

/// What a machine is, in a line.
fn describe(machine: &Machine) -> String {
    let cpus = if machine.possible == machine.present {
        format!("{} CPUs", machine.possible)
    } else {
        format!("{} of {} CPUs", machine.present, machine.possible)
    };
    let nodes =
        if machine.nodes.len() > 1 { format!(" in {} nodes", machine.nodes.len()) } else { String::new() };
    let functions =
        machine.pci.iter().map(|function| format!(", {} {}", function.model.name, function.address));
    let cmdline = if machine.cmdline.is_empty() { String::new() } else { format!(", `{}`", machine.cmdline) };
    cpus + &nodes + &functions.collect::<String>() + &cmdline
}

impl Lab {
    /// Boots a machine under its own kernel.
    ///
    /// A machine is [`Machine::embedded`], or made of a machine file with [`crate::machine`].
    ///
    /// ```
    /// use irqlab_test::{Lab, machine};
    ///
    /// let lab = Lab::boot(&machine("kernel = \"v7.3\"\n[cpus]\npossible = 4").unwrap());
    /// assert!(lab.flow().starts_with("# boot\n"), "what is recorded is the boot, before any script");
    /// ```
    pub fn boot(machine: &Machine) -> Self {
        Self::boot_with(machine, Semantics::of(machine.kernel))
    }

    /// Boots a machine under a kernel of which some behaviours were changed ([`crate::kernel_with`]).
    ///
    /// ```
    /// use irqlab_test::{KernelVersion, Lab, Machine, kernel_with};
    ///
    /// let kernel = kernel_with(KernelVersion::V5_4, &["vector_cleanup=timer"]).unwrap();
    /// let lab = Lab::boot_with(&Machine::embedded(KernelVersion::V5_4), kernel);
    /// assert!(!lab.kernel().sem.is_shipped());
    /// ```
    pub fn boot_with(machine: &Machine, semantics: Semantics) -> Self {
        let lab = sim::lab::Lab::boot_with(machine, semantics, true);
        let records = 0..lab.k.trace.records.len();
        let machine = describe(machine);
        Self { lab, records, options: Options { io: true }, machine, scripts: Vec::new() }
    }

    /// Records what hardware does as well from here on: messages, vectors, EOIs, doorbells.
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    /// let read = "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct";
    /// lab.run_script(read).unwrap();
    /// assert_eq!(lab.hardware(), "");
    /// lab.record_hardware();
    /// lab.run_script(read).unwrap();
    /// assert!(lab.hardware().contains("hw::doorbell"));
    /// ```
    pub fn record_hardware(&mut self) {
        self.lab.k.trace.record(Recorded::Hardware);
    }

    /// What hardware did during the last script, each record with the function that ran: empty unless
    /// [`Lab::record_hardware`] was called before.
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    /// lab.record_hardware();
    /// lab.run_script("taskset -c 4 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct").unwrap();
    /// let hardware = lab.hardware();
    /// assert!(hardware.contains("hw::message: from=nvme0 address=0xfee10004 data=0x4021 vector=33\n"));
    /// assert!(hardware.contains("hw::eoi: cpu=4 vector=33 broadcast=0  < apic_ack_irq\n"));
    /// ```
    pub fn hardware(&self) -> String {
        self.shown(Format::Hardware)
    }

    /// The same, as far as a filter shows it.
    ///
    /// ```
    /// # use irqlab_test::{Filter, KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    /// lab.record_hardware();
    /// lab.run_script("for c in 4 5; do taskset -c $c dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct; done")
    ///     .unwrap();
    /// let hardware = lab.hardware_of(&Filter::new().irq(29)).unwrap();
    /// assert!(hardware.contains("hw::isr: cpu=4 vector=33") && !hardware.contains("cpu=5"), "{hardware}");
    /// ```
    ///
    /// # Errors
    /// A filter that can show nothing of this run, and one that wants arguments of calls, of which there are none.
    pub fn hardware_of(&self, filter: &Filter) -> Result<String, Mistake> {
        self.picked(Format::Hardware, filter)
    }

    /// What the last script left in the record, in a format.
    fn shown(&self, format: Format) -> String {
        // What shows all fits every run and every format.
        self.picked(format, &Filter::new()).unwrap_or_default()
    }

    fn picked(&self, format: Format, filter: &Filter) -> Result<String, Mistake> {
        let k = &self.lab.k;
        filter.0.check(k, self.lab.functions()).map_err(|nothing| filter::mistake(&nothing))?;
        let export = Export {
            k,
            records: self.records.clone(),
            options: self.options,
            filter: &filter.0,
            domains: None,
            vectors: false,
            clock: None,
            title: "",
        };
        let unfit =
            |e: record::formats::Unfit| Mistake::new(e.to_string(), format!("expected {}", e.expected));
        let bytes = export.write(format).map_err(unfit)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Runs a script, and records it. What its commands printed is returned, what went wrong among
    /// it, as on a terminal. Whether its assertions held says [`Lab::failed`].
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// let printed = lab.run_script("for i in a b; do echo $i; done\necho 9 > /proc/irq/1/node").unwrap();
    /// assert_eq!(printed[..2], ["a", "b"]);
    /// assert!(printed[2].ends_with("write error: Input/output error"));
    /// ```
    ///
    /// # Errors
    /// A script that does not parse; nothing was done then. One that fills the memory and was not run to its end.
    pub fn run_script(&mut self, text: &str) -> Result<Vec<String>, Mistake> {
        let script = Script::parse("script", text)?;
        let start = self.lab.k.trace.records.len();
        let io = script.statements.iter().any(Statement::reads_disk);
        self.lab.failed.clear();
        self.lab.run_each(&script, |_| {}, |_, _| {});
        self.records = start..self.lab.k.trace.records.len();
        self.options = Options { io };
        self.scripts.push(text.trim().to_owned());
        let printed = core::mem::take(&mut self.lab.terminal);
        match self.lab.given_up.take() {
            Some(why) => Err(Mistake::new(why, "expected a script in which less happens")),
            None => Ok(printed),
        }
    }

    /// The assertions (`#: assert`) of the last script that did not hold.
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// lab.run_script("#: assert /sys/devices/system/cpu/online == 0-3").unwrap();
    /// let failed: Vec<String> = lab.failed().iter().map(ToString::to_string).collect();
    /// assert_eq!(
    ///     failed,
    ///     ["line 1: assertion failed: /sys/devices/system/cpu/online is \"0-7\", expected == \"0-3\""]
    /// );
    /// ```
    pub fn failed(&self) -> &[Failure] {
        &self.lab.failed
    }

    /// The call trees of the last script, or of the boot before any, as the text of a `.flow` file.
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    /// lab.run_script("echo 0-3 > /proc/irq/24/smp_affinity_list").unwrap();
    /// assert!(lab.flow().starts_with("# task\nirq_can_set_affinity_usr\n"), "{}", lab.flow());
    /// ```
    pub fn flow(&self) -> String {
        self.shown(Format::Flow)
    }

    /// The same, as far as a filter shows it.
    ///
    /// ```
    /// # use irqlab_test::{Filter, KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    /// lab.run_script("echo 0 > /sys/devices/system/cpu/cpu4/online").unwrap();
    /// // What becomes of interrupt 29, which only CPU 4 may take, and who calls that.
    /// let flow = lab.flow_of(&Filter::new().irq(29).actor("migration").depth(5).args()).unwrap();
    /// assert!(flow.contains("      migrate_one_irq(irq=29)\n        irq_force_complete_move(irq=29)\n"), "{flow}");
    ///
    /// let mistake = lab.flow_of(&Filter::new().function("migrate_one_irk")).unwrap_err();
    /// assert!(mistake.to_string().contains("perhaps migrate_one_irq"), "{mistake}");
    /// ```
    ///
    /// # Errors
    /// A filter that can show nothing of this run: an interrupt that never was there, a function that the kernel does not
    /// have, an actor that did nothing.
    pub fn flow_of(&self, filter: &Filter) -> Result<String, Mistake> {
        self.picked(Format::Flow, filter)
    }

    /// The tracepoints of the last script with their stacks, as the text of an `.events` file.
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    /// lab.run_script("echo 1 > /sys/class/nvme/nvme0/reset_controller").unwrap();
    /// assert!(lab.events().contains("@ vector_config: irq=24"), "{}", lab.events());
    /// ```
    pub fn events(&self) -> String {
        self.shown(Format::Events)
    }

    /// The same, as far as a filter shows it. Stacks stay whole.
    ///
    /// ```
    /// # use irqlab_test::{Filter, KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    /// lab.run_script("echo 0 > /sys/devices/system/cpu/cpu4/online").unwrap();
    /// let events = lab.events_of(&Filter::new().function("irq_shutdown")).unwrap();
    /// assert!(events.lines().filter(|line| line.starts_with("# ")).all(|line| line == "# migration"), "{events}");
    /// ```
    ///
    /// # Errors
    /// Those of [`Lab::flow_of`].
    pub fn events_of(&self, filter: &Filter) -> Result<String, Mistake> {
        self.picked(Format::Events, filter)
    }

    /// The stacks on which a kernel function was called, or a tracepoint fired, during the last script, or
    /// during the boot before any: each with its actor and how often it came up, as `irqlab stacks` prints
    /// them. Empty if there is none.
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    /// lab.run_script("echo 0 > /sys/devices/system/cpu/cpu4/online").unwrap();
    /// let stacks = lab.stacks("irq_shutdown");
    /// assert!(stacks.starts_with("# migration, 1 time\n[4] irq_shutdown\n"), "{stacks}");
    /// assert_eq!(lab.stacks("nvme_reset_work"), "");
    /// ```
    pub fn stacks(&self, name: &str) -> String {
        self.stacks_of(name, &Filter::new()).unwrap_or_default()
    }

    /// The same, as far as a filter shows it. With arguments, stacks differ by them.
    ///
    /// ```
    /// # use irqlab_test::{Filter, KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    /// lab.run_script("echo 0 > /sys/devices/system/cpu/cpu4/online").unwrap();
    /// let stacks = lab.stacks_of("irq_shutdown", &Filter::new().irq(29).args()).unwrap();
    /// assert!(stacks.starts_with("# migration, 1 time\n[4] irq_shutdown(irq=29)\n"), "{stacks}");
    /// assert_eq!(lab.stacks_of("irq_shutdown", &Filter::new().irq(30)).unwrap(), "");
    /// ```
    ///
    /// # Errors
    /// Those of [`Lab::flow_of`].
    pub fn stacks_of(&self, name: &str, filter: &Filter) -> Result<String, Mistake> {
        let (k, functions) = (&self.lab.k, self.lab.functions());
        filter.0.check(k, functions).map_err(|nothing| filter::mistake(&nothing))?;
        let kept = filter.0.chosen(&k.trace, self.records.clone(), Levels::Traced(functions));
        let with_args = with_arguments(k);
        let call: &record::CallText<'_> = if filter.0.args { &with_args } else { &name_of };
        let counts = |at: usize| kept[at - self.records.start];
        let found = stacks::reaching_with(&k.trace, self.records.clone(), name, functions, call, &counts);
        let mut text = String::new();
        for (i, stack) in found.iter().enumerate() {
            let gap = if i == 0 { "" } else { "\n" };
            let times = if stack.count == 1 { "time" } else { "times" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{gap}# {}, {} {times}", stack.actor, stack.count);
            text.push_str(&stacks::print(stack));
        }
        Ok(text)
    }

    /// The vectors of every CPU now: how many are free, managed and in use, and which.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// assert!(lab.vectors().unwrap().starts_with("name:   VECTOR\n"));
    /// ```
    pub fn vectors(&mut self) -> Result<String, Errno> {
        self.read("/sys/kernel/debug/irq/domains/VECTOR")
    }

    /// What /proc and debugfs say about interrupts, CPUs and vectors now.
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// assert!(lab.state().contains("/proc/interrupts"));
    /// ```
    pub fn state(&mut self) -> String {
        state::text(&mut self.lab.k, Sections::default())
    }

    /// Reads a virtual file.
    ///
    /// ```
    /// # use irqlab_test::{Errno, KernelVersion, Lab, Machine};
    /// # let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// assert_eq!(lab.read("/proc/irq/29/effective_affinity_list").as_deref(), Ok("4\n"));
    /// assert_eq!(lab.read("/proc/irq/999/node"), Err(Errno::ENOENT));
    /// ```
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&mut self, path: &str) -> Result<String, Errno> {
        vfs::read(&self.lab.k, path)
    }

    /// Tries many interleavings of a script from here: its jobs, CPUs, interrupts and devices take turns. The lab itself
    /// stays as it is.
    ///
    /// ```
    /// # use irqlab_test::{Bound, KernelVersion, Lab, Machine};
    /// let lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// let script = "echo 0 > /sys/devices/system/cpu/cpu5/online & cat /proc/interrupts > /dev/null &\nwait";
    /// let explored = lab.explore(script, Bound::runs(10)).unwrap();
    /// assert_eq!(explored.to_string(), "nothing found in 10 runs from seed 1\n");
    /// ```
    ///
    /// # Errors
    /// A script that does not parse.
    pub fn explore(&self, script: &str, bound: Bound) -> Result<Explored, Mistake> {
        let script = Script::parse("script", script)?;
        let mut lab = self.lab.clone();
        lab.failed.clear();
        lab.k.trace.record(Recorded::Nothing);
        Ok(explore(&World::new(lab, &script), bound))
    }

    /// Kernel, machine and scripts in a line, for the head of a snapshot.
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// lab.run_script("cat /sys/devices/system/cpu/online\nsleep 1").unwrap();
    /// assert_eq!(
    ///     lab.description(),
    ///     "kernel v6.12; machine: 8 CPUs, nvme 0000:00:03.0; script: cat /sys/devices/system/cpu/online; sleep 1"
    /// );
    /// ```
    pub fn description(&self) -> String {
        let lines = self.scripts.iter().flat_map(|script| script.lines()).map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        let script = if lines.is_empty() { "none".to_owned() } else { lines.join("; ") };
        let kernel = diff::name(&self.lab.k.sem);
        format!("kernel {kernel}; machine: {}; script: {script}", self.machine)
    }

    /// The machine itself.
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// let lab = Lab::boot(&Machine::embedded(KernelVersion::V6_12));
    /// assert_eq!(lab.kernel().sem.version, KernelVersion::V6_12);
    /// ```
    pub fn kernel(&self) -> &Kernel {
        &self.lab.k
    }

    /// The machine itself, to go on with below this surface.
    ///
    /// ```
    /// # use irqlab_test::{KernelVersion, Lab, Machine};
    /// let k = Lab::boot(&Machine::embedded(KernelVersion::V6_12)).into_kernel();
    /// assert!(k.events.now > 0);
    /// ```
    pub fn into_kernel(self) -> Kernel {
        self.lab.k
    }
}
