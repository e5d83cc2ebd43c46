//! Records of hardware: what the embedded machine's hardware does, with remapping, with a level-triggered pin, behind
//! masks; and that everything else is recorded as without them.

use kstate::hw::pci::MsiCapability;
use kstate::semantics::{KernelVersion, Semantics};
use kstate::trace::{HARDWARE, Recorded, What};
use kstate::{Kernel, PciDevId};
use record::formats::hardware;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;
use sim::state::Sections;

const READ: &str = "taskset -c 4 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct\n";
const MOVE: &str =
    "echo 2 > /proc/irq/24/smp_affinity_list\necho 1 > /sys/class/nvme/nvme0/reset_controller\nsleep 1\n";

fn machine(version: KernelVersion, change: &str) -> Machine {
    let key = change.split(" = ").next().unwrap_or_default();
    let lines = Machine::EMBEDDED.lines();
    // The line with the same key is replaced.
    let lines = lines.map(|line| if !key.is_empty() && line.starts_with(key) { change } else { line });
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    assert_eq!(text != Machine::EMBEDDED, !change.is_empty());
    let mut machine = Machine::parse("machine.toml", &text).expect("a machine");
    machine.kernel = version;
    machine
}

fn booted(machine: &Machine) -> Lab {
    Lab::boot_with(machine, Semantics::of(machine.kernel), Recorded::Hardware)
}

/// What hardware does during a script.
fn during(lab: &mut Lab, script: &str) -> String {
    let start = lab.k.trace.records.len();
    lab.run_each(&Script::parse("script.sh", script).expect("a script"), |_| {}, |_, _| {});
    hardware::print(&lab.k.trace, start..lab.k.trace.records.len(), lab.functions())
}

fn snapshot(version: KernelVersion, name: &str, machine: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("../../../../tests/snapshots/{}", version.name()));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(format!("kernel {}, {machine}", version.name()));
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn a_read_of_the_embedded_machine() {
    for &version in KernelVersion::ALL {
        let mut lab = booted(&machine(version, ""));
        let read = during(&mut lab, READ);
        let off = during(&mut lab, "echo 0 > /sys/devices/system/cpu/cpu4/online\nsleep 1\n");
        let on = during(&mut lab, "echo 1 > /sys/devices/system/cpu/cpu4/online\nsleep 1\n");
        let text = format!("{read}\nCPU 4 goes offline\n{off}\nCPU 4 comes back\n{on}");
        snapshot(version, "hardware_embedded", "the embedded machine, a read on CPU 4", &text);
    }
}

#[test]
fn a_read_with_interrupt_remapping() {
    for &version in KernelVersion::ALL {
        let mut lab = booted(&machine(version, "interrupt_remapping = true"));
        let text = during(&mut lab, READ);
        assert!(text.contains("hw::irte: "), "{text}");
        snapshot(version, "hardware_remapped", "interrupt remapping, a read on CPU 4", &text);
    }
}

#[test]
fn a_read_with_a_level_triggered_pin() {
    for &version in KernelVersion::ALL {
        let mut lab = booted(&machine(version, "cmdline = \"pci=nomsi\""));
        let text = during(&mut lab, READ);
        for name in
            ["hw::intx", "hw::ioapic_line", "hw::remote_irr", "hw::message: from=ioapic", "broadcast=1"]
        {
            assert!(text.contains(name), "{name}: {text}");
        }
        snapshot(version, "hardware_level", "pci=nomsi, a read on CPU 4", &text);
    }
}

fn since(k: &Kernel, start: usize) -> Vec<String> {
    let records = k.trace.records[start..].iter();
    let texts = records.filter_map(|record| match record.what {
        What::Hardware(hardware) => Some(k.trace.hardware_text(&hardware)),
        _ => None,
    });
    texts.collect()
}

#[test]
fn a_message_waits_behind_a_mask() {
    let Lab { mut k, .. } = booted(&machine(KernelVersion::V5_4, ""));
    let dev = PciDevId(0);
    let start = k.trace.records.len();
    pcimsi::hw::msix::table_write(&mut k, dev, 5 * 16 + 12, 4, 1);
    pcimsi::hw::msix_raise(&mut k, dev, 5);
    // What is pending already is one message in the end.
    pcimsi::hw::msix_raise(&mut k, dev, 5);
    pcimsi::hw::msix::table_write(&mut k, dev, 5 * 16 + 12, 4, 0);
    assert_eq!(
        since(&k, start),
        [
            "hw::msix_entry: dev=nvme0 entry=5 register=mask value=0x00000001",
            "hw::mask: dev=nvme0 entry=5 masked=1",
            "hw::pending: dev=nvme0 entry=5 pending=1",
            "hw::msix_entry: dev=nvme0 entry=5 register=mask value=0x00000000",
            "hw::mask: dev=nvme0 entry=5 masked=0",
            "hw::pending: dev=nvme0 entry=5 pending=0",
            "hw::message: from=nvme0 address=0xfee10004 data=0x4021 vector=33",
            "hw::irr: cpu=4 vector=33 level=0 again=0",
        ]
    );
}

#[test]
fn an_msi_waits_behind_its_mask_and_needs_the_bus() {
    let Lab { mut k, .. } = booted(&machine(KernelVersion::V5_4, ""));
    let dev = PciDevId(0);
    k.hw.pci[dev.index()].msix = None;
    k.hw.pci[dev.index()].msi = Some(MsiCapability {
        offset: 0x50,
        multiple_message_capable: 1,
        maskable: true,
        enable: true,
        multiple_message_enable: 1,
        address_lo: 0xfee0_1004,
        data: 0x40,
        ..MsiCapability::default()
    });
    let start = k.trace.records.len();
    let mask = |k: &mut Kernel, bits| pcimsi::hw::config_write(k, dev, 0x5c, 4, bits);
    mask(&mut k, 0b10);
    pcimsi::hw::msi_raise(&mut k, dev, 1);
    mask(&mut k, 0);
    pcimsi::hw::config_write(&mut k, dev, pcimsi::hw::COMMAND, 2, 0);
    pcimsi::hw::msi_raise(&mut k, dev, 0);
    assert_eq!(
        since(&k, start),
        [
            "hw::msi: dev=nvme0 register=mask value=0x00000002",
            "hw::mask: dev=nvme0 entry=1 masked=1",
            "hw::pending: dev=nvme0 entry=1 pending=1",
            "hw::msi: dev=nvme0 register=mask value=0x00000000",
            "hw::mask: dev=nvme0 entry=1 masked=0",
            "hw::pending: dev=nvme0 entry=1 pending=0",
            "hw::message: from=nvme0 address=0xfee01004 data=0x0041 vector=65",
            "hw::irr: cpu=0 vector=65 level=0 again=0",
            "hw::blocked: from=nvme0 reason=no_bus_master",
        ]
    );
}

#[test]
fn everything_else_is_recorded_as_without_them() {
    let script = format!(
        "#: boot-events boot\n#: flow read\n{READ}#: end\n#: events off\necho 0 > /sys/devices/system/cpu/cpu4/online\n\
         sleep 1\n#: end\n#: flow move\n{MOVE}#: end\n#: state end\n"
    );
    let script = Script::parse("script.sh", &script).expect("a script");
    for &version in KernelVersion::ALL {
        let machine = machine(version, "");
        let mut without = Lab::boot_with(&machine, Semantics::of(version), true);
        let expect = without.run(&script, |_| Sections::default());
        let mut with = booted(&machine);
        let got = with.run(&script, |_| Sections::default());
        let (hardware, got): (Vec<_>, Vec<_>) = got.into_iter().partition(|o| o.name.ends_with(".hardware"));
        assert_eq!(got, expect, "{}", version.name());
        let names: Vec<&str> = hardware.iter().map(|output| output.name.as_str()).collect();
        assert_eq!(names, ["01-boot.hardware", "02-read.hardware", "03-off.hardware", "04-move.hardware"]);
        assert!(hardware.iter().all(|output| output.text.contains("hw::")), "{hardware:?}");
        assert_eq!(with.k, without.k, "the machines are the same");
        let kernels = |lab: &Lab| -> Vec<What> {
            let records = lab.k.trace.records.iter().map(|record| record.what);
            records.filter(|what| !matches!(what, What::Hardware(_))).collect()
        };
        assert_eq!(kernels(&with), kernels(&without));
    }
}

#[test]
fn a_record_has_the_fields_that_are_listed() {
    let mut seen = 0;
    for change in ["", "interrupt_remapping = true", "cmdline = \"pci=nomsi\""] {
        let lab = booted(&machine(KernelVersion::V5_4, change));
        for record in &lab.k.trace.records {
            let What::Hardware(hardware) = record.what else { continue };
            let (_, listed) =
                HARDWARE.iter().find(|(name, _)| *name == hardware.name()).expect("a listed record");
            for (name, _) in hardware.fields() {
                assert!(listed.contains(&name), "{}: {name}", hardware.name());
            }
            seen += 1;
        }
    }
    assert!(seen > 1000, "{seen}");
}
