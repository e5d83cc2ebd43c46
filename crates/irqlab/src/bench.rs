//! `irqlab bench scale`: how time and memory grow with the machine.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use kstate::sched::TaskKind;
use kstate::semantics::{KernelVersion, Semantics};
use kstate::{CpuId, CpuMask, Kernel};
use sim::machine::{ApicMode, Machine, PciDevice};
use sim::{boot, engine};

use crate::input::Output;
use crate::input::kernel;

/// Options of `irqlab bench`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Boot machines of growing size, bind NVMe controllers, take half of the CPUs down and up
    Scale(Scale),
}

#[derive(clap::Args)]
struct Scale {
    /// Kernel to run
    #[arg(long, value_name = "VERSION", value_parser = kernel, default_value = "v5.4")]
    kernel: KernelVersion,
    /// Machines as CPUs:CONTROLLERS, smallest first
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = size,
        default_value = "64:1,256:4,1024:16,4096:16,4096:32,4096:64")]
    sizes: Vec<(u32, u32)>,
    /// Entries of each controller's MSI-X table, one of them for the admin queue
    #[arg(long, value_name = "N", default_value_t = 129, value_parser = clap::value_parser!(u32).range(2..=2048))]
    vectors: u32,
    /// Leave the CPUs as they are
    #[arg(long)]
    no_hotplug: bool,
}

/// Parses `4096:64`.
fn size(text: &str) -> Result<(u32, u32), String> {
    let expected = || "expected CPUS:CONTROLLERS, as in 4096:64".to_owned();
    let (cpus, controllers) = text.split_once(':').ok_or_else(expected)?;
    let cpus: u32 = cpus.parse().map_err(|_| expected())?;
    let controllers: u32 = controllers.parse().map_err(|_| expected())?;
    if !(2..=8192).contains(&cpus) || controllers > 255 {
        return Err("expected 2 to 8192 CPUs and at most 255 controllers".to_owned());
    }
    Ok((cpus, controllers))
}

/// CPUs of a node of the machines that are measured.
const NODE: u32 = 128;

/// A machine with x2APICs, remapped interrupts, and each controller on a bus of its own.
fn machine(kernel: KernelVersion, cpus: u32, controllers: u32, vectors: u32) -> Machine {
    let nodes = (0..cpus.div_ceil(NODE)).map(|node| {
        let first = node * NODE;
        CpuMask::first_n((first + NODE).min(cpus)).andnot(&CpuMask::first_n(first))
    });
    let pci = (1..=controllers).map(|bus| PciDevice {
        address: format!("0000:{bus:02x}:00.0"),
        bdf: (bus << 8) as u16,
        model: &drivers::nvme::hw::MODEL,
        parameters: vec![vectors - 1],
        msix_vectors: vectors,
        intx_gsi: Some(16 + bus % 8),
        ..PciDevice::default()
    });
    Machine {
        possible: cpus,
        present: cpus,
        sockets: 1,
        cores_per_socket: cpus,
        threads_per_core: 1,
        nodes: nodes.collect(),
        apic: ApicMode::X2apic,
        interrupt_remapping: true,
        isa: Vec::new(),
        pci: pci.collect(),
        boot_vectors: Vec::new(),
        boot_interrupts: Vec::new(),
        ..Machine::embedded(kernel)
    }
}

/// Takes the CPUs of the upper half down, one after the other, or brings them up again.
fn half(k: &mut Kernel, cpus: u32, up: bool) -> bool {
    (cpus / 2..cpus).map(CpuId).all(|id| {
        let call = if up { kcore::cpu::cpu_device_up(id) } else { kcore::cpu::cpu_device_down(id) };
        let task = k.spawn(TaskKind::Task, CpuId(0), call.frame, &[]);
        engine::run_task(k, task, &mut |_| {}) == Some(0)
    })
}

/// How many CPUs are stopped in all while the upper half goes down: all that are online, each time.
fn stops(cpus: u32) -> u32 {
    (cpus / 2 + 1..=cpus).sum()
}

/// A number from the system's account of this process, in MiB; `None` where there is none.
fn memory(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024)
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = run();
    (result, start.elapsed())
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let What::Scale(args) = &args.what;
    let semantics = Semantics::of(args.kernel);
    let mut out = Output::new();
    let (kernel, vectors) = (args.kernel.name(), args.vectors);
    out.line(format_args!("Linux {kernel}, {vectors} MSI-X vectors for each controller, tracing off"))?;
    out.line("times in ms; memory in MiB, of the machine when it is up, and the most so far")?;
    out.line("down: half of the CPUs, each of which stops all that are still online; up: the same ones")?;
    out.line(format_args!(
        "{:>5} {:>11} {:>10} {:>8} {:>8} {:>10} {:>8} {:>8} {:>10} {:>6} {:>6}",
        "CPUs",
        "controllers",
        "interrupts",
        "boot",
        "bind",
        "us per irq",
        "down",
        "up",
        "ns/stop",
        "memory",
        "peak"
    ))?;
    out.flush()?;
    for &(cpus, controllers) in &args.sizes {
        let whole = machine(args.kernel, cpus, controllers, args.vectors);
        let bare = Machine { pci: Vec::new(), ..whole.clone() };
        let (bare, boot) = timed(|| boot::boot(&bare, semantics.clone(), false));
        drop(bare);
        let (mut k, all) = timed(|| boot::boot(&whole, semantics.clone(), false));
        let bind = all.saturating_sub(boot);
        let irqs = k.for_each_irq().filter(|&irq| !k.desc(irq).action.is_empty()).count();
        let used = memory("VmRSS");
        let mut hotplug = [Duration::ZERO; 2];
        if !args.no_hotplug {
            for (time, up) in hotplug.iter_mut().zip([false, true]) {
                let (done, took) = timed(|| half(&mut k, cpus, up));
                if !done {
                    return Err(diagnostic::report!(
                        "half of {cpus} CPUs cannot go {}",
                        if up { "up" } else { "down" }
                    ));
                }
                *time = took;
            }
        }
        let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        let per = |time: Duration, n: u32| format!("{:.2}", time.as_secs_f64() * 1e6 / f64::from(n.max(1)));
        let mib = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        out.line(format_args!(
            "{cpus:>5} {controllers:>11} {irqs:>10} {:>8} {:>8} {:>10} {:>8} {:>8} {:>10} {:>6} {:>6}",
            ms(boot),
            ms(bind),
            per(bind, irqs as u32),
            ms(hotplug[0]),
            ms(hotplug[1]),
            per(hotplug[0] * 1000, stops(cpus)),
            mib(used),
            mib(memory("VmHWM")),
        ))?;
        out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_cpus_and_controllers() {
        assert_eq!(size("4096:64"), Ok((4096, 64)));
        for bad in ["", "4096", "0:1", "9000:1", "64:256", "a:b"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cpus_beyond_the_reach_of_8_bit_ids_get_interrupts_and_lose_them() {
        for &version in KernelVersion::ALL {
            let machine = machine(version, 300, 1, 129);
            let mut k = boot::boot(&machine, Semantics::of(version), false);
            assert_eq!(k.topo.online.weight(), 300);
            let beyond = |irq| k.desc(irq).irq_common_data.effective_affinity.first() > Some(CpuId(255));
            assert!(k.for_each_irq().any(beyond), "an interrupt on a CPU above 255");
            assert!(half(&mut k, 300, false) && half(&mut k, 300, true));
            assert_eq!(sim::invariants::check_invariants(&k), Ok(()));
            assert_eq!(k.warnings, 0, "{:?}", k.log);
        }
    }
}
