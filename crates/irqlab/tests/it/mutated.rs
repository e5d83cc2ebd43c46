//! Inputs that are nearly right: every reader answers them, and none panics. The tests are built with
//! overflow checks. `IRQLAB_MUTANTS` says how many for each reader. What the program reads line by line is
//! tested in its modules: `spread`, `matrix` and `sh`.

use irqlab::Machine;
use sim::script::Script;

use crate::mutants::{Numbers, count, each, mutant};

#[test]
fn machines() {
    each(Machine::EMBEDDED, |text| match Machine::parse("m.toml", text) {
        Ok(_) => true,
        Err(e) => {
            assert!(diagnostic::Report::from(e).plain().contains("m.toml:"), "{text}");
            false
        }
    });
}

const SCRIPT: &str = "X=3\n#: flow off\nfor i in 1 $X; do echo 0 > /sys/devices/system/cpu/cpu$i/online; done\n\
    taskset -c 2 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct &\nwait\nsleep 0.5\n#: end\n\
    #: assert /proc/irq/24/smp_affinity_list == 0-7\ncat '/proc/interrupts' > /dev/null; ls /proc/irq\n#: state s\n";

#[test]
fn scripts() {
    each(SCRIPT, |text| match Script::parse("s.sh", text) {
        Ok(_) => true,
        Err(e) => {
            assert!(diagnostic::Report::from(e).plain().contains("s.sh:"), "{text}");
            false
        }
    });
}

#[test]
fn choices() {
    each("5:2,6:2,7:1,11:1", |text| text.parse::<::explore::Schedule>().is_ok());
}

#[test]
fn recordings() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures/v5.4/nvme-8cpu");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (flow, events, state) =
        (read("04-unbind-graph.flow"), read("05-bind-stacks.events"), read("state-unbound.txt"));
    let mut numbers = Numbers(7);
    // A piece of each, so that the changes meet every kind of line.
    let piece = |text: &str| text.lines().take(60).collect::<Vec<_>>().join("\n");
    let (flow, events, state) = (piece(&flow), piece(&events), piece(&state));
    for _ in 0..count() {
        let _ = compare::verify::compare_flow(&mutant(&flow, &mut numbers), &flow);
        let _ = compare::verify::compare_events(&mutant(&events, &mut numbers), &events);
        let _ = compare::verify::compare_boot_events(&mutant(&events, &mut numbers), &events);
        assert!(
            compare::verify::compare_state(&mutant(&state, &mut numbers), &state, true).lines_compared > 0
        );
    }
}
