//! What the machine's own files say at some records of a run, for the browser test of the page (web/test).
//!
//! `witness SEED COUNT` takes so many records of the embedded case at random and prints a line of JSON for each: the record,
//! and the texts of the files. The page is made of differences; this is made of copies of the machine, one for each
//! record, which are read as a user would read them.

use std::collections::BTreeMap;

use kstate::Kernel;
use kstate::semantics::Semantics;
use kstate::trace::Observer;
use rand::{RngExt as _, SeedableRng as _};
use sim::machine::Machine;
use sim::{boot, vfs};

/// Takes a copy of the machine at some records.
#[derive(Debug, Default)]
struct Camera {
    /// Records so far.
    seen: usize,
    /// Those that are wanted; without any all are only counted.
    wanted: Vec<usize>,
    taken: BTreeMap<usize, Kernel>,
}

impl Observer for Camera {
    fn recorded(&mut self, k: &mut Kernel) {
        if self.wanted.contains(&self.seen) {
            let trace = core::mem::take(&mut k.trace);
            self.taken.insert(self.seen, k.clone());
            k.trace = trace;
        }
        self.seen += 1;
    }
}

fn boot(machine: &Machine, wanted: Vec<usize>) -> Result<Camera, &'static str> {
    let camera = Box::new(Camera { wanted, ..Camera::default() });
    let mut k = boot::boot_observed(machine, Semantics::of(machine.kernel), camera);
    k.trace.observer.end::<Camera>().map(|camera| *camera).ok_or("the camera is gone")
}

/// What the files say, and the registers that no file has.
fn texts(k: &Kernel) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let irqs: Vec<String> = k.for_each_irq().map(|irq| irq.to_string()).collect();
    let mut files = vec!["/proc/interrupts".to_owned()];
    // Nobody can read it before there is a matrix.
    if !k.vector_matrix.maps.is_empty() {
        files.push("/sys/kernel/debug/irq/domains/VECTOR".to_owned());
    }
    files.extend(irqs.iter().map(|irq| format!("/sys/kernel/debug/irq/irqs/{irq}")));
    for file in files {
        if let Ok(text) = vfs::read(k, &file) {
            texts.insert(file, text);
        }
    }
    for (cpu, lapic) in k.hw.lapics.iter().enumerate() {
        texts.insert(format!("irr/{cpu}"), format!("{:?}", lapic.irr));
        texts.insert(format!("isr/{cpu}"), format!("{:?}", lapic.isr));
    }
    for (n, function) in k.hw.pci.iter().enumerate() {
        let table = function.msix.iter().flat_map(|msix| &msix.table);
        let rows = table.map(|entry| format!("{:#010x} {:#010x}", entry.address_lo, entry.data));
        texts.insert(format!("msix/{n}"), rows.collect::<Vec<_>>().join("\n"));
    }
    texts
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut args = std::env::args().skip(1);
    let seed = args.next().ok_or("expected SEED COUNT")?.parse()?;
    let count: usize = args.next().ok_or("expected COUNT")?.parse()?;
    let machine = Machine::parse("embedded.toml", Machine::EMBEDDED)?;
    let records = boot(&machine, Vec::new())?.seen;
    let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let wanted = (0..count).map(|_| chance.random_range(0..records)).collect();
    for (record, k) in boot(&machine, wanted)?.taken {
        println!("{}", serde_json::json!({ "record": record, "of": records, "texts": texts(&k) }));
    }
    Ok(())
}
