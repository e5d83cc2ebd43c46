//! Reads of disks that end, that go away, and that are longer than a request.

use std::sync::Arc;

use kstate::semantics::KernelVersion::{self, V5_4, V6_12};
use kstate::trace::What;
use kstate::{Kernel, VirtioId};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::{Script, Variables};
use sim::shell::{Bench, Progress, Shell};

const MACHINE: &str = r#"
[cpus]
possible = 4

[[pci]]
address = "0000:00:03.0"
model = "nvme"
io_queue_pairs_max = 4
msix_vectors = 5
intx_gsi = 23

[[pci]]
address = "0000:00:04.0"
model = "virtio-blk"
request_queues = 4
msix_vectors = 5
intx_gsi = 20
"#;

const DISKS: [(&str, &str); 2] = [
    ("/dev/nvme0n1", "echo 0000:00:03.0 > /sys/bus/pci/drivers/nvme/unbind"),
    ("/dev/vda", "echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/unbind"),
];

fn lab(version: KernelVersion) -> Lab {
    let text = format!("kernel = \"{}\"\n{MACHINE}", version.name());
    let machine = Machine::parse("machine.toml", &text).expect("a machine");
    Lab::boot_with(&machine, kstate::semantics::Semantics::of(version), true)
}

fn sh(lab: &mut Lab, text: &str) -> String {
    lab.terminal.clear();
    let script = Script::parse("script.sh", text).unwrap_or_else(|e| panic!("{e} in {text}"));
    lab.run_each(&script, |_| {}, |_, _| {});
    lab.terminal.join("\n")
}

/// How many requests the devices were given: entries of the controller's I/O queues, and calls of virtio-blk,
/// which gets one at a time.
fn requests(k: &Kernel) -> usize {
    let starts = ["virtio_queue_rq", "virtio_queue_rqs"];
    let entered = |what: &What| matches!(what, What::Enter { meta, .. } if starts.contains(&meta.name));
    let io = k.hw.nvme.iter().flat_map(|nvme| nvme.sqs.range(1..)).map(|(_, sq)| usize::from(sq.tail));
    io.sum::<usize>() + k.trace.records.iter().filter(|record| entered(&record.what)).count()
}

/// What a read prints, and how many requests it took.
fn read(lab: &mut Lab, disk: &str, options: &str) -> (String, usize) {
    let before = requests(&lab.k);
    let printed = sh(lab, &format!("taskset -c 2 dd if={disk} of=/dev/null {options} iflag=direct\n"));
    (printed, requests(&lab.k) - before)
}

#[test]
fn a_read_ends_with_the_disk() {
    // 64 MiB. blkdev_read_iter() cuts what is behind the end off; behind it there is nothing to read.
    for version in [V5_4, V6_12] {
        for (disk, _) in DISKS {
            let mut lab = lab(version);
            for (options, expected) in [
                ("bs=4k count=2 skip=16383", 1),
                ("bs=4k count=2 skip=16382", 2),
                ("bs=8k count=3 skip=8191", 1),
                ("bs=6k count=2 skip=10922", 1),
                ("bs=4k count=1 skip=16384", 0),
            ] {
                let (printed, requests) = read(&mut lab, disk, options);
                let place = format!("{options} of {disk} on {}", version.name());
                assert_eq!((printed.as_str(), requests), ("", expected), "{place}");
            }
            let (printed, _) = read(&mut lab, disk, "bs=4k count=1 skip=16385");
            assert!(printed.ends_with("cannot skip: Invalid argument"), "{printed}");
        }
    }
}

#[test]
fn a_long_read_is_split_by_the_limits_of_the_queue() {
    // MDTS of the controller is 512 KiB; the block layer takes 1280 KiB where the device does not care.
    for version in [V5_4, V6_12] {
        let mut lab = lab(version);
        for (disk, size, expected) in [
            ("/dev/nvme0n1", "4k", 1),
            ("/dev/nvme0n1", "512k", 1),
            ("/dev/nvme0n1", "513k", 2),
            ("/dev/nvme0n1", "1M", 2),
            ("/dev/nvme0n1", "4M", 8),
            ("/dev/vda", "1M", 1),
            ("/dev/vda", "1280k", 1),
            ("/dev/vda", "1281k", 2),
            ("/dev/vda", "4M", 4),
        ] {
            let (printed, requests) = read(&mut lab, disk, &format!("bs={size} count=1"));
            let place = format!("{size} of {disk} on {}", version.name());
            assert_eq!((printed.as_str(), requests), ("", expected), "{place}");
        }
    }
}

#[test]
fn a_disk_that_goes_fails_its_reader_or_ends() {
    // 5.4: the queue is dying, bio_io_error(). 6.12: __blk_mark_disk_dead() sets the capacity to 0.
    for (version, expected) in [(V5_4, ": Input/output error"), (V6_12, "")] {
        for (disk, unbind) in DISKS {
            let mut lab = lab(version);
            let script =
                format!("dd if={disk} of=/dev/null bs=4k count=16384 iflag=direct &\n{unbind}\nwait\n");
            let printed = sh(&mut lab, &script);
            let place = format!("{disk} on {}", version.name());
            assert!(printed.ends_with(expected) && printed.lines().count() <= 1, "{place}: {printed}");
            assert_eq!(printed.is_empty(), expected.is_empty(), "{place}: {printed}");
            // Nobody has it open any more, so that nothing is left of it.
            let k = &lab.k;
            assert!(k.blk.disks.iter().flatten().all(|d| !d.gone && d.openers == 0), "{place}");
            assert!(k.blk.requests.is_empty(), "{place}");
            let printed = sh(&mut lab, &format!("dd if={disk} of=/dev/null bs=4k count=1 iflag=direct\n"));
            assert!(printed.ends_with("No such file or directory"), "{place}: {printed}");
        }
    }
}

#[test]
fn who_reads_a_removed_disk_never_reads_the_next_one() {
    for version in [V5_4, V6_12] {
        let mut lab = lab(version);
        let script = "dd if=/dev/vda of=/dev/null bs=4k count=16384 iflag=direct &
            echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/unbind
            echo 0000:00:04.0 > /sys/bus/pci/drivers/virtio-pci/bind
            sleep 1\n";
        let printed = sh(&mut lab, script);
        assert_eq!(printed.contains("Input/output error"), version == V5_4, "{printed}");
        assert!(lab.k.blk.requests.is_empty(), "the first disk's reader is done");
        assert_eq!(read(&mut lab, "/dev/vda", "bs=4k count=1").1, 1);
    }
}

#[test]
fn a_disk_that_shrinks_under_a_reader() {
    // 5.4 gives an open file the new size when it looks at the disk again; 6.12 has one size. Both say so.
    for (version, change) in [
        (V5_4, "vda: detected capacity change from 67108864 to 1048576"),
        (V6_12, "vda: detected capacity change from 131072 to 2048"),
    ] {
        let mut lab = lab(version);
        let script = "dd if=/dev/vda of=/dev/null bs=4k count=16384 skip=100 iflag=direct\n";
        let script = Script::parse("script.sh", script).expect("a script");
        let mut steps = 0;
        let mut shell = Shell::new(Arc::new(script), Variables::default());
        loop {
            let mut bench = Bench { k: &mut lab.k, terminal: &mut lab.terminal };
            match shell.advance(&mut bench) {
                Progress::Idle => break,
                Progress::Stepped(_) => steps += 1,
                _ => {}
            }
            if steps == 20 {
                drivers::virtio_blk::hw::set_capacity(&mut lab.k, VirtioId(0), 2048);
                steps += 1;
            }
        }
        assert!(lab.k.log.contains(&change.to_owned()), "{:#?}", lab.k.log);
        assert_eq!(lab.terminal, [""; 0], "the read ends where the disk does");
        assert!(lab.k.blk.requests.is_empty());
    }
}
