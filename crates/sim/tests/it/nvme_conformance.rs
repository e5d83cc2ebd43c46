//! What other projects and mailing lists state about NVMe and the block layer, on whole machines.
//! The case's id stands above its test. Those about registers alone are in crates/drivers/tests/it, in
//! nvme_registers.rs, those about virtio-blk's device in virtio_conformance.rs there.
//!
//! Without a test:
//! * OVM-NVME-13 is about another driver. Linux takes a controller whose queues have one entry and
//!   uses its admin queue only.
//! * BMQ-01 and BMQ-03 on 5.4: they name that kernel too, but 5.4.0 asks for no more vectors than
//!   CPUs and one (`nvme_setup_irqs()`), so that reads get 4 queues there.

use drivers::block::{blk_mq, blk_mq_sysfs};
use kstate::blk::{BlkMqOps, BlkStatus};
use kstate::{CpuMask, Kernel};
use sim::lab::Lab;
use sim::machine::Machine;

/// A machine of one socket and one thread a core, with the disks given as text.
fn machine(kernel: &str, cmdline: &str, cpus: u32, nodes: &[&str], pci: &str) -> Machine {
    let text = format!(
        "kernel = \"{kernel}\"\ncmdline = \"{cmdline}\"\n[cpus]\npossible = {cpus}\npresent = {cpus}\n\
         sockets = {}\ncores_per_socket = {}\nnodes = {nodes:?}\n{pci}",
        nodes.len(),
        cpus as usize / nodes.len(),
    );
    Machine::parse("test", &text).expect("a valid machine")
}

fn nvme(queues: u32) -> String {
    let vectors = queues + 1;
    format!(
        "[[pci]]\naddress = \"0000:00:03.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = {queues}\n\
         msix_vectors = {vectors}\nintx_gsi = 23\n"
    )
}

fn virtio(queues: u32) -> String {
    let vectors = queues + 1;
    format!(
        "[[pci]]\naddress = \"0000:00:04.0\"\nmodel = \"virtio-blk\"\nrequest_queues = {queues}\n\
         msix_vectors = {vectors}\nintx_gsi = 20\n"
    )
}

fn boot(machine: &Machine) -> Kernel {
    let k = Lab::boot_with(machine, kstate::semantics::Semantics::of(machine.kernel), false).k;
    assert_eq!(drivers::check_invariants(&k), Ok(()));
    k
}

/// The CPUs of every hardware queue of a disk.
fn queues(k: &Kernel, disk: &str) -> Vec<String> {
    (0..).map_while(|q| blk_mq_sysfs::blk_mq_hw_sysfs_show(k, disk, q, "cpu_list")).collect()
}

fn log_has(k: &Kernel, line: &str) -> bool {
    k.log.iter().any(|l| l == line)
}

/// The action's affinity and effective affinity.
fn affinity(k: &Kernel, action: &str) -> (String, String) {
    let irq = k.for_each_irq().find(|&irq| k.desc(irq).action.iter().any(|a| *a.name == *action));
    let common = &k.desc(irq.expect("an action of this name")).irq_common_data;
    (common.affinity.list(), common.effective_affinity.list())
}

// BMQ-01, BMQ-03.
#[test]
fn write_and_poll_queues_share_the_vectors() {
    let m = machine("v6.12", "nvme.write_queues=4 nvme.poll_queues=4", 8, &["0-3", "4-7"], &nvme(16));
    let k = boot(&m);
    assert!(log_has(&k, "nvme nvme0: 4/8/4 default/read/poll queues"), "{:#?}", k.log);
    assert_eq!(k.nvme.devs[0].num_vecs, 13);
    let polled: Vec<u16> = k.nvme.devs[0].queues.iter().filter(|q| q.polled).map(|q| q.qid).collect();
    assert_eq!(polled, [13, 14, 15, 16]);
    // The default set's CPUs, as the case lists them.
    assert_eq!(queues(&k, "nvme0n1")[..4], ["4, 5", "6, 7", "0, 1", "2, 3"]);
}

// BMQ-02.
#[test]
fn the_admin_vector_stays_on_the_device_s_node() {
    // 5.4's driver gives a device without a node the first one.
    let k = boot(&machine("v5.4", "", 8, &["0-3", "4-7"], &nvme(16)));
    assert_eq!(affinity(&k, "nvme0q0").0, "0-3");
}

// BMQ-07, BMQ-09, CH-07.
#[test]
fn a_disk_has_the_queues_it_was_given() {
    let spread: [(u32, &[&str]); 3] = [
        (2, &["0, 1, 2, 3", "4, 5, 6, 7"]),
        (4, &["0, 1", "2, 3", "4, 5", "6, 7"]),
        (8, &["0", "1", "2", "3", "4", "5", "6", "7"]),
    ];
    for kernel in ["v5.4", "v6.12"] {
        for (n, expect) in spread {
            let k = boot(&machine(kernel, "", 8, &["0-7"], &virtio(n)));
            assert_eq!(queues(&k, "vda"), expect, "{kernel}, {n} queues");
        }
    }
}

// BMQ-08.
#[test]
fn irqaffinity_moves_the_admin_vector_only() {
    for kernel in ["v5.4", "v6.12"] {
        let k = boot(&machine(kernel, "irqaffinity=0", 8, &["0-7"], &nvme(8)));
        assert_eq!(affinity(&k, "nvme0q0").0, "0", "{kernel}");
        for i in 0..8 {
            let one = i.to_string();
            assert_eq!(affinity(&k, &format!("nvme0q{}", i + 1)), (one.clone(), one), "{kernel}");
        }
    }
}

// BMQ-12.
#[test]
fn more_write_queues_than_cpus_are_refused_since_5_6() {
    for (kernel, expect) in [("v5.4", "7/1/0"), ("v6.12", "8/0/0")] {
        let k = boot(&machine(kernel, "nvme.write_queues=9", 8, &["0-7"], &nvme(8)));
        assert!(log_has(&k, &format!("nvme nvme0: {expect} default/read/poll queues")), "{kernel}");
    }
}

fn nothing(_k: &mut Kernel, _q: kstate::QueueId, _hctx: u32, _rq: kstate::ReqId, _last: bool) -> BlkStatus {
    BlkStatus::IoErr
}

/// The CPUs of every queue of a tag set whose driver leaves the map to the block layer.
fn map(kernel: &str, cpus: u32, nodes: &[&str], queues: u32) -> Vec<String> {
    let mut k = boot(&machine(kernel, "", cpus, nodes, ""));
    let ops = BlkMqOps {
        name: "test",
        queue_rq: nothing,
        complete: |_, _| {},
        map_queues: None,
        init_hctx: None,
        exit_hctx: None,
        poll: None,
        queue_rqs: None,
        timeout: None,
    };
    let set = blk_mq::blk_mq_alloc_tag_set(&mut k, ops, 0, queues, 1, 64, 0, 0).expect("a tag set");
    let q = blk_mq::blk_mq_init_queue(&mut k, set);
    k.blk.q(q).queue_hw_ctx.iter().map(|h| h.cpumask.list()).collect()
}

// AFF-04, with 80 CPUs instead of 160.
#[test]
fn grouping_never_mixes_nodes() {
    assert_eq!(map("v6.12", 80, &["0-39", "40-79"], 2), ["0-39", "40-79"]);
    let sequential: CpuMask = (0..80).step_by(2).fold(CpuMask::new(), |mut mask, cpu| {
        mask.set(kstate::CpuId(cpu));
        mask
    });
    assert_eq!(map("v5.4", 80, &["0-39", "40-79"], 2)[0], sequential.list());
}

// BMQ-10, with this driver in place of that one: the spread begins with the second node, because
// vectors come before it that are not spread.
#[test]
fn older_kernels_start_the_spread_where_the_first_vectors_end() {
    let nodes = ["0-15", "16-31", "32-47", "48-63"];
    let k = boot(&machine("v5.4", "", 64, &nodes, &nvme(16)));
    let expect: Vec<String> = (0..16)
        .map(|q| {
            let first = (q * 4 + 16) % 64;
            format!("{first}, {}, {}, {}", first + 1, first + 2, first + 3)
        })
        .collect();
    assert_eq!(queues(&k, "nvme0n1"), expect);
}
