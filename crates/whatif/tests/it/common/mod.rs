//! Machines and questions.

use kstate::semantics::KernelVersion;
use sim::machine::Machine;
use whatif::{Answer, Change, Kind, Question, ask};

/// A disk with `queues` queues.
pub fn nvme(queues: u32) -> String {
    format!(
        "[[pci]]\naddress = \"0000:01:00.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = {queues}\nmsix_vectors = {}\n",
        queues + 1
    )
}

/// A network card that asks for a message for each CPU that runs, and one more.
pub const CARD: &str =
    "[[pci]]\naddress = \"0000:02:00.0\"\nmodel = \"ixgbe\"\nname = \"eno1\"\nmsix_vectors = 64\n";

/// A device with so many messages, all of them requested and none managed.
pub fn many(messages: u32) -> String {
    format!(
        "[[pci]]\naddress = \"0000:03:00.0\"\nmodel = \"generic\"\nmsix_vectors = {messages}\nvectors = {messages}\n\
         actions = [\"0-{}: many-{{}}\"]\n",
        messages - 1
    )
}

/// A machine of a kernel: lines of `[cpus]`, and tables.
pub fn machine(kernel: KernelVersion, cpus: &str, tables: &str) -> Machine {
    let text = format!("kernel = \"{}\"\n[cpus]\n{cpus}\n{tables}", kernel.name());
    Machine::parse("m.toml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

pub fn offline(list: &str) -> Question {
    Question { offline: Some(list.to_owned()), ..Question::default() }
}

pub fn answer(machine: &Machine, question: &Question) -> Answer {
    ask(machine, question).unwrap_or_else(|e| panic!("{e}; expected {}", e.expected))
}

/// The names of the interrupts of a kind.
pub fn names(answer: &Answer, kind: Kind) -> Vec<String> {
    answer.of(kind).map(|change| change.name.clone()).collect()
}

/// The change of an interrupt by its name.
pub fn of<'a>(answer: &'a Answer, name: &str) -> &'a Change {
    answer.changes.iter().find(|change| change.name == name).unwrap_or_else(|| panic!("{name}: {answer:#?}"))
}
