//! Questions that cannot be asked, and how CPUs, words and devices are read.

use kstate::semantics::KernelVersion;
use sim::machine::Machine;
use whatif::{Question, ask, cmdline, cpus};

use crate::common::{CARD, machine, nvme};

fn small() -> Machine {
    let tables = format!("{}{CARD}", nvme(4));
    let cpus = "possible = 6\npresent = 4\nhypervisor = true\nthreads_per_core = 2\noffline = \"3\"\n\
                nodes = [\"0-1\", \"2-5\"]";
    machine(KernelVersion::V6_12, cpus, &tables)
}

#[track_caller]
fn refused(question: Question, expect: &str) {
    let e = ask(&small(), &question).expect_err(expect);
    assert_eq!(format!("{e}; expected {}", e.expected), expect);
}

#[test]
fn cpus_have_to_be_there_and_in_the_other_state() {
    let offline = |list: &str| Question { offline: Some(list.to_owned()), ..Question::default() };
    let online = |list: &str| Question { online: Some(list.to_owned()), ..Question::default() };
    refused(
        offline("6"),
        "--offline: there is no CPU 6; expected a list of CPUs from 0 to 5, as in 1-3,5, or node0 to node1",
    );
    refused(offline("4"), "--offline: CPU 4 is possible and not there; expected CPUs among 0-3");
    refused(offline("3"), "--offline: CPU 3 is offline already; expected CPUs that are online: 0-2");
    refused(
        offline("0"),
        "--offline: CPU 0 is the boot CPU, which this kernel does not let go; expected CPUs among 1-2",
    );
    refused(online("1"), "--online: CPU 1 is online already; expected CPUs that are offline: 3");
    for nothing in ["", ",", "x", "1-", "3-1", "node2", "node", "-1", "1;2"] {
        assert!(ask(&small(), &offline(nothing)).is_err(), "{nothing}");
    }
    let both = Question { online: Some("2-3".into()), ..offline("1-2") };
    refused(both, "--online: CPU 2 is in --offline as well; expected CPUs that --offline does not name");
}

#[test]
fn boot_cpus_go_where_the_kernel_lets_them() {
    let text = "kernel = \"v5.4\"\ncmdline = \"cpu0_hotplug\"\n[cpus]\npossible = 2\napic = \"xapic\"\n";
    let machine = Machine::parse("m.toml", text).unwrap();
    let answer = ask(&machine, &Question { offline: Some("0".into()), ..Question::default() });
    assert!(answer.is_ok_and(|answer| answer.after.online.list() == "1"));
}

#[test]
fn second_threads_have_to_be_on() {
    let off = || Question { smt_off: true, ..Question::default() };
    let expected = "expected a machine on which /sys/devices/system/cpu/smt/control says on";
    refused(
        Question { cmdline: vec!["+nosmt".into()], ..off() },
        &format!("--smt: SMT is off already; {expected}"),
    );
    refused(
        Question { offline: Some("1".into()), ..off() },
        "--offline: CPU 1 is offline already; expected CPUs that are online: 0,2",
    );
    let single = machine(KernelVersion::V6_12, "possible = 2", "");
    let e = ask(&single, &off()).unwrap_err();
    assert_eq!(e.found, "no core of this machine has a second thread");
}

#[test]
fn functions_have_to_be_there_once() {
    let remove = |list: &[&str]| Question {
        remove: list.iter().map(|text| (*text).to_owned()).collect(),
        ..Question::default()
    };
    refused(
        remove(&["0000:07:00.0"]),
        "--remove: there is no function 0000:07:00.0; expected 0000:01:00.0, 0000:02:00.0",
    );
    refused(
        remove(&["eth0"]),
        "--remove: `eth0` is no PCI address; expected segment:bus:device.function, as in 0000:00:03.0",
    );
    refused(
        remove(&["01:00.0", "0000:01:00.0"]),
        "--remove: a function is there twice; expected each function once",
    );
}

#[test]
fn devices_are_those_of_a_machine_file() {
    let add = |text: &str| Question { add: vec![text.to_owned()], ..Question::default() };
    let said = |text: &str| match ask(&small(), &add(text)) {
        Ok(answer) => answer.said.join("; "),
        Err(e) => format!("{e}; expected {}", e.expected),
    };
    assert!(said("floppy").starts_with("--add: `floppy`: unknown device `floppy`; expected nvme, "));
    assert_eq!(
        said("nvme:at=0000:02:00.0"),
        "--add: 0000:02:00.0 is a function of the machine already; expected an address that is free, or none for one \
         that irqlab chooses"
    );
    assert_eq!(
        said("nvme:node=2"),
        "--add: `nvme:node=2`: the node of a function is 2; expected a number from 0 to 1"
    );
    assert_eq!(said("nvme:node=1,node=0"), "--add: `node` is there twice; expected each key once");
    assert!(said("nvme:vectors").starts_with("--add: `vectors` sets nothing"));
    assert!(said("nvme:=3").starts_with("--add: `` is no key"));
    assert!(said("generic:colour=3").contains("unknown field `colour`"));
    assert!(said("generic:vectors=x").starts_with("--add: "));
    assert!(said("").starts_with("--add: "));
    for (text, messages) in [
        ("nvme", 7),
        ("nvme:vectors=4", 4),
        ("nvme:io_queue_pairs_max=2", 3),
        ("virtio-blk", 7),
        ("virtio-net:queue_pairs=2", 5),
        ("virtio-scsi:vectors=5", 5),
        ("generic:managed,pre=1,vectors=5,name=x", 5),
        ("csiostor:vectors=6,sets=2+2", 6),
        ("generic:vectors=4,actions=0: a;2-3: b{}", 3),
        // It counts CPUs that run, and CPU 3 went after the boot.
        ("megaraid_sas:at=0001:00:00.0", 5),
        ("test:msix_vectors=2", 0),
    ] {
        let answer = ask(&small(), &add(text)).unwrap_or_else(|e| panic!("{text}: {e}; {}", e.expected));
        let new = answer.changes.iter().filter(|c| c.device.is_some()).filter(|c| {
            c.kind == whatif::Kind::New
                && !["0000:01:00.0", "0000:02:00.0"].contains(&c.device.as_deref().unwrap_or_default())
        });
        assert_eq!(new.count(), messages, "{text}: {:#?}", answer.changes);
        assert!(answer.failed.is_empty(), "{text}: {:?}", answer.failed);
    }
}

#[test]
fn words_come_and_go() {
    let machine = Machine::parse(
        "m.toml",
        "kernel = \"v6.12\"\ncmdline = \"quiet isolcpus=managed_irq,1 nosmt\"\n[cpus]\npossible = 2\n",
    )
    .unwrap();
    let line = |changes: &[&str]| {
        let changes: Vec<String> = changes.iter().map(|text| (*text).to_owned()).collect();
        cmdline(&machine, &changes).unwrap_or_else(|e| format!("{e}; expected {}", e.expected))
    };
    assert_eq!(
        line(&["+threadirqs nohz_full=1"]),
        "quiet isolcpus=managed_irq,1 nosmt threadirqs nohz_full=1"
    );
    assert_eq!(line(&["-isolcpus", "-quiet", "+nosmt=force"]), "nosmt nosmt=force");
    assert_eq!(
        line(&["-threadirqs"]),
        "--cmdline: `threadirqs` is not there to go; expected a word of `quiet isolcpus=managed_irq,1 nosmt`"
    );
    assert!(line(&["threadirqs"]).starts_with("--cmdline: `threadirqs` neither adds nor takes away"));
    assert!(line(&["+"]).starts_with("--cmdline: `+` has no words"));
    assert_eq!(line(&["+isolcpuss=1"]), "--cmdline: unknown kernel parameter `isolcpuss`; expected isolcpus");
    assert!(line(&["+acpi=off"]).contains("is not modelled"));
    assert!(line(&["+mitigations=auto,nosmt"]).contains("depends on the CPUs"));
}

#[test]
fn a_node_is_its_cpus_that_are_there() {
    let machine = small();
    let list = |text: &str| cpus(&machine, "--offline", text).map(|mask| mask.list());
    assert_eq!(list("node1"), Ok("2-3".to_owned()));
    assert_eq!(list("node0,3"), Ok("0-1,3".to_owned()));
    assert_eq!(list("1, 3"), Ok("1,3".to_owned()));
    refused(
        Question { kernel: Some(KernelVersion::V6_12), ..Question::default() },
        "--kernel: the machine runs v6.12 already; expected another kernel",
    );
}
