//! Over random scripts on random machines: a message that is not blocked sets a bit in IRR, a vector that is taken had
//! its bit, an EOI ends a vector that was taken, and what the records say of IRR and ISR is what is in the registers.

use std::collections::BTreeSet;

use explore::generate::Experiment;
use kstate::oracle::Oracle;
use kstate::semantics::Semantics;
use kstate::trace::{Hardware, Recorded, What};
use kstate::{CpuId, Kernel};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

/// What records of hardware say so far.
#[derive(Default)]
struct Believed {
    irr: BTreeSet<(CpuId, u8)>,
    isr: BTreeSet<(CpuId, u8)>,
    remote_irr: BTreeSet<u8>,
    /// A message is on the bus, and nothing has come of it.
    on_the_bus: bool,
    messages: usize,
    blocked: usize,
    taken: usize,
}

impl Believed {
    fn see(&mut self, hardware: &Hardware) -> Result<(), String> {
        let claim = |holds: bool, text: &str| if holds { Ok(()) } else { Err(text.to_owned()) };
        match *hardware {
            Hardware::Message { .. } => {
                claim(!self.on_the_bus, "nothing came of the message before")?;
                self.on_the_bus = true;
                self.messages += 1;
            }
            Hardware::Blocked { .. } => {
                self.on_the_bus = false;
                self.blocked += 1;
            }
            Hardware::Irr { cpu, vector, again, .. } => {
                self.on_the_bus = false;
                claim(self.irr.insert((cpu, vector)) != again, "the bit was not as it says")?;
            }
            Hardware::Accept { .. } => self.on_the_bus = false,
            Hardware::Isr { cpu, vector } => {
                claim(self.irr.remove(&(cpu, vector)), "it had no bit in IRR")?;
                claim(self.isr.insert((cpu, vector)), "it was in service already")?;
                self.taken += 1;
            }
            Hardware::Eoi { cpu, vector, .. } => {
                let highest = self.isr.range((cpu, 0)..=(cpu, u8::MAX)).next_back().copied();
                claim(highest == Some((cpu, vector)), "it is not the highest in service")?;
                self.isr.remove(&(cpu, vector));
            }
            Hardware::LapicReset { cpu } => {
                self.irr.retain(|(of, _)| *of != cpu);
                self.isr.retain(|(of, _)| *of != cpu);
            }
            Hardware::RemoteIrr { pin, set: true } => {
                claim(self.remote_irr.insert(pin), "remote IRR was set already")?;
            }
            Hardware::RemoteIrr { pin, set: false } => {
                claim(self.remote_irr.remove(&pin), "remote IRR was clear")?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What is believed is what is in the registers.
    fn agrees(&self, k: &Kernel) -> Result<(), String> {
        for (cpu, lapic) in k.hw.lapics.iter().enumerate() {
            let cpu = CpuId(cpu as u32);
            for vector in 0..=u8::MAX {
                let believed = (self.irr.contains(&(cpu, vector)), self.isr.contains(&(cpu, vector)));
                let is = (lapic.irr.test(vector), lapic.isr.test(vector));
                if believed != is {
                    return Err(format!(
                        "CPU {cpu}, vector {vector}: IRR and ISR are {is:?}, not {believed:?}"
                    ));
                }
            }
        }
        for (pin, rte) in k.hw.ioapic.redirection.iter().enumerate() {
            let set = rte & kstate::hw::ioapic::RTE_REMOTE_IRR != 0;
            if set != self.remote_irr.contains(&(pin as u8)) {
                return Err(format!("remote IRR of pin {pin} is {set}"));
            }
        }
        if self.on_the_bus { Err("nothing came of the last message".to_owned()) } else { Ok(()) }
    }
}

fn check(e: &Experiment) -> Result<Believed, String> {
    let machine = Machine::parse("machine.toml", &e.machine).map_err(|e| e.to_string())?;
    let script = Script::parse("script.sh", &e.script).map_err(|e| e.to_string())?;
    let mut lab = Lab::boot_with(&machine, Semantics::of(machine.kernel), Recorded::Hardware);
    if let Some(seed) = e.oracle {
        let oracle = Oracle::seeded(seed);
        lab.k.oracle = if seed & 2 == 0 { oracle } else { oracle.interleaving() };
    }
    lab.run_each(&script, |_| {}, |_, _| {});
    let mut believed = Believed::default();
    for record in &lab.k.trace.records {
        if let What::Hardware(hardware) = record.what {
            let text = || lab.k.trace.hardware_text(&hardware);
            believed.see(&hardware).map_err(|wrong| format!("{}: {wrong}", text()))?;
        }
    }
    believed.agrees(&lab.k)?;
    Ok(believed)
}

#[test]
fn messages_become_requests_and_requests_are_taken_and_ended() {
    let (mut messages, mut blocked, mut taken) = (0, 0, 0);
    for seed in 0..400 {
        let e = Experiment::new(seed);
        let believed =
            check(&e).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}\n{}\n{}", e.machine, e.script));
        messages += believed.messages;
        blocked += believed.blocked;
        taken += believed.taken;
    }
    assert!(messages > 10_000 && taken > 10_000, "{messages} messages, {blocked} blocked, {taken} taken");
}
