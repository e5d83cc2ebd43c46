//! The NVMe controller, driven through its registers and queues without a kernel above it.

use drivers::nvme::hw::{self, NvmeEvent, opcode, status};
use kstate::event::Event;
use kstate::hw::nvme::NvmeCommand;
use kstate::hw::pci::PciFunction;
use kstate::sched::Slot;
use kstate::{Kernel, NvmeId, PciDevId};

const ID: NvmeId = NvmeId(0);
const DEV: PciDevId = PciDevId(0);

/// A controller with eight queue pairs and an MSI-X table of nine masked entries, powered on.
fn controller() -> Kernel {
    let mut k = Kernel::default();
    let mut function = PciFunction { interrupt_pin: 1, model: &hw::MODEL, ..PciFunction::default() };
    assert_eq!(pcimsi::hw::config::add_msix(&mut function, 0x40, 0, 0x2000, 9), Some(()));
    function.msix.as_mut().expect("the table").enable = true;
    k.hw.pci.push(kstate::shared::Shared::new(function));
    k.hw.nvme.push(kstate::shared::Shared::new(hw::new_controller(DEV, 8, "test", 2048)));
    k
}

/// Lets everything happen that is due.
fn settle(k: &mut Kernel) {
    while let Some(event) = k.events.pop() {
        if let Event::Device(dev, word) = event {
            pcimsi::hw::device_event(k, dev, word);
        }
    }
}

/// A controller with admin queues of four slots, enabled.
fn enabled() -> Kernel {
    let mut k = controller();
    hw::write32(&mut k, ID, hw::AQA, 0x3_0003);
    hw::write64(&mut k, ID, hw::ASQ, 0x2000);
    hw::write64(&mut k, ID, hw::ACQ, 0x1000);
    hw::write32(&mut k, ID, hw::CC, hw::CC_EN);
    assert_eq!(hw::read32(&k, ID, hw::CSTS), hw::CSTS_RDY);
    k
}

/// The host's side of one queue pair.
#[derive(Default)]
struct Host {
    qid: u16,
    size: u16,
    tail: u16,
    head: u16,
}

impl Host {
    fn admin() -> Self {
        Self { size: 4, ..Self::default() }
    }

    /// Writes a command and rings the doorbell.
    fn submit(&mut self, k: &mut Kernel, command: NvmeCommand) {
        hw::sq_write(k, ID, self.qid, self.tail, command);
        self.tail = (self.tail + 1) % self.size;
        hw::write32(k, ID, hw::sq_tail_doorbell(self.qid), u32::from(self.tail));
    }

    /// Takes the completion at the head, which must be there.
    fn reap(&mut self, k: &mut Kernel) -> (u16, u32) {
        let entry = hw::cq_read(k, ID, self.qid, self.head).expect("a completion");
        hw::cq_consume(k, ID, self.qid, self.head);
        self.head = (self.head + 1) % self.size;
        hw::write32(k, ID, hw::cq_head_doorbell(self.qid), u32::from(self.head));
        (entry.status >> 1 & !status::DNR, entry.result)
    }

    /// One command from the doorbell to its completion.
    fn run(&mut self, k: &mut Kernel, opcode: u8, cdw10: u32, cdw11: u32) -> (u16, u32) {
        self.submit(k, NvmeCommand { opcode, nsid: 1, cdw10, cdw11, ..NvmeCommand::default() });
        settle(k);
        self.reap(k)
    }
}

/// Entries whose message waits because they are masked.
fn pending(k: &mut Kernel) -> Vec<u16> {
    let msix = k.hw.pci[0].msix.as_mut().expect("the table");
    let found = (0..9).filter(|&n| msix.pba[0] >> n & 1 == 1).collect();
    msix.pba[0] = 0;
    found
}

#[test]
fn registers_hold_what_the_specification_lets_them_hold() {
    // offset, written, read back
    let table: [(u32, u32, u32); 8] = [
        (hw::CAP, 0, 0x0f01_07ff),
        (hw::VS, 0xffff_ffff, 0x0001_0400),
        (hw::AQA, 0xffff_ffff, 0x0fff_0fff),
        (hw::ASQ, 0x1fff, 0x1000),
        (hw::ACQ, 0x2345, 0x2000),
        (hw::CSTS, 0xffff_ffff, 0),
        (hw::INTMS, 0x5, 0x5),
        (0xffc, 7, 0),
    ];
    for (offset, written, expect) in table {
        let mut k = controller();
        hw::write32(&mut k, ID, offset, written);
        assert_eq!(hw::read32(&k, ID, offset), expect, "offset {offset:#x}");
    }
}

#[test]
fn a_controller_without_admin_queues_fails_to_start() {
    let mut k = controller();
    hw::write32(&mut k, ID, hw::CC, hw::CC_EN);
    assert_eq!(hw::read32(&k, ID, hw::CSTS), hw::CSTS_CFS);
}

#[test]
fn a_reset_forgets_queues_and_keeps_the_admin_addresses() {
    let mut k = enabled();
    let mut host = Host::admin();
    assert_eq!(host.run(&mut k, opcode::CREATE_CQ, 1 | 3 << 16, 1).0, status::SUCCESS);
    host.submit(&mut k, NvmeCommand { opcode: opcode::IDENTIFY, cdw10: 1, ..NvmeCommand::default() });
    hw::write32(&mut k, ID, hw::CC, 0);
    settle(&mut k);
    let c = &k.hw.nvme[0];
    assert!(c.sqs.is_empty() && c.cqs.is_empty() && c.cq_mem.is_empty());
    assert_eq!((c.csts, c.aqa, c.asq, c.acq), (0, 0x3_0003, 0x2000, 0x1000));
}

#[test]
fn a_shutdown_completes_and_leaves_the_controller_enabled() {
    let mut k = enabled();
    hw::write32(&mut k, ID, hw::CC, hw::CC_EN | hw::CC_SHN_NORMAL);
    settle(&mut k);
    assert_eq!(hw::read32(&k, ID, hw::CSTS), hw::CSTS_RDY | hw::CSTS_SHST_COMPLETE);
}

#[test]
fn admin_commands_answer_with_the_statuses_of_the_specification() {
    // opcode, cdw10, cdw11, status, result
    let table = [
        (opcode::IDENTIFY, 1, 0, status::SUCCESS, 0),
        (opcode::IDENTIFY, 0x77, 0, status::INVALID_FIELD, 0),
        (opcode::SET_FEATURES, 7, 0x001f_001f, status::SUCCESS, 0x0007_0007),
        (opcode::CREATE_CQ, 1 | 3 << 16, 1 << 16 | 3, status::SUCCESS, 0),
        (opcode::CREATE_CQ, 1 | 3 << 16, 3, status::QID_INVALID, 0),
        (opcode::CREATE_CQ, 9 | 3 << 16, 3, status::QID_INVALID, 0),
        (opcode::CREATE_CQ, 2, 3, status::QUEUE_SIZE, 0),
        (opcode::CREATE_CQ, 2 | 3 << 16, 9 << 16 | 3, status::INVALID_VECTOR, 0),
        (opcode::CREATE_SQ, 2 | 3 << 16, 2 << 16 | 1, status::CQ_INVALID, 0),
        (opcode::CREATE_SQ, 1 | 3 << 16, 1 << 16 | 1, status::SUCCESS, 0),
        (opcode::DELETE_CQ, 1, 0, status::INVALID_QUEUE_DELETION, 0),
        (opcode::DELETE_SQ, 1, 0, status::SUCCESS, 0),
        (opcode::DELETE_CQ, 1, 0, status::SUCCESS, 0),
        (opcode::DELETE_CQ, 0, 0, status::QID_INVALID, 0),
        (opcode::ABORT, 1, 0, status::SUCCESS, 1),
        (0xee, 0, 0, status::INVALID_OPCODE, 0),
    ];
    let mut k = enabled();
    let mut host = Host::admin();
    for (opcode, cdw10, cdw11, status, result) in table {
        assert_eq!(host.run(&mut k, opcode, cdw10, cdw11), (status, result), "{opcode:#x} {cdw10:#x}");
    }
    assert_eq!(k.hw.nvme[0].bad_doorbells, 0);
}

#[test]
fn an_event_request_waits_and_the_fifth_is_one_too_many() {
    let mut k = enabled();
    let mut host = Host::admin();
    for _ in 0..4 {
        host.submit(&mut k, NvmeCommand { opcode: opcode::ASYNC_EVENT, ..NvmeCommand::default() });
    }
    settle(&mut k);
    assert!(hw::cq_read(&k, ID, 0, 0).is_none());
    assert_eq!(host.run(&mut k, opcode::ASYNC_EVENT, 0, 0).0, status::ASYNC_LIMIT);
}

#[test]
fn a_read_behind_the_end_is_refused() {
    let mut k = enabled();
    let mut admin = Host::admin();
    admin.run(&mut k, opcode::CREATE_CQ, 1 | 3 << 16, 1 << 16 | 3);
    admin.run(&mut k, opcode::CREATE_SQ, 1 | 3 << 16, 1 << 16 | 1);
    pending(&mut k);
    let mut io = Host { qid: 1, size: 4, ..Host::default() };
    for (lba, expect) in [(0, status::SUCCESS), (2047, status::SUCCESS), (2048, status::LBA_RANGE)] {
        assert_eq!(io.run(&mut k, opcode::READ, lba, 0).0, expect, "block {lba}");
        assert_eq!(pending(&mut k), [1]);
    }
}

#[test]
fn a_pin_is_asserted_until_the_head_catches_up() {
    let mut k = enabled();
    k.hw.pci[0].msix.as_mut().expect("the table").enable = false;
    let mut host = Host::admin();
    let asserted = |k: &Kernel| k.hw.pci[0].interrupt_status;
    host.submit(&mut k, NvmeCommand { opcode: opcode::IDENTIFY, cdw10: 1, ..NvmeCommand::default() });
    assert!(!asserted(&k));
    settle(&mut k);
    assert!(asserted(&k));
    hw::write32(&mut k, ID, hw::INTMS, 1);
    assert!(!asserted(&k));
    hw::write32(&mut k, ID, hw::INTMC, 1);
    assert!(asserted(&k));
    host.reap(&mut k);
    assert!(!asserted(&k));
}

#[test]
fn a_slow_device_is_ready_later() {
    let mut k = controller();
    k.oracle = kstate::oracle::Oracle::scripted(vec![2]);
    hw::write32(&mut k, ID, hw::AQA, 0x3_0003);
    hw::write64(&mut k, ID, hw::ASQ, 0x2000);
    hw::write64(&mut k, ID, hw::ACQ, 0x1000);
    hw::write32(&mut k, ID, hw::CC, hw::CC_EN);
    assert_eq!(hw::read32(&k, ID, hw::CSTS), 0);
    assert_eq!(
        k.events.iter().next(),
        Some((2 * hw::READY_LATENCY, &Event::Device(DEV, NvmeEvent::Ready(true).to_slot())))
    );
    settle(&mut k);
    assert_eq!(hw::read32(&k, ID, hw::CSTS), hw::CSTS_RDY);
}

// What other projects' tests say about a controller; the case's id stands above its test.
// The machine-level cases are in conformance.rs.

// OVM-NVME-01 (CAP and VS are that project's own choice), QT-01.
#[test]
fn capabilities_and_addresses_read_back() {
    let mut k = controller();
    let cap = hw::read64(&k, ID, hw::CAP);
    assert_eq!((cap & 0xffff, cap >> 52 & 0xf), (0x7ff, 4));
    assert_eq!(hw::read64(&k, ID, hw::ACQ), 0);
    hw::write64(&mut k, ID, hw::ACQ, 0x1000);
    assert_eq!(hw::read64(&k, ID, hw::ACQ), 0x1000);
}

// OVM-NVME-02.
#[test]
fn a_page_size_that_is_not_supported_is_fatal() {
    let mut k = controller();
    hw::write32(&mut k, ID, hw::CC, 0x380);
    assert_eq!(hw::read32(&k, ID, hw::CSTS) & hw::CSTS_CFS, hw::CSTS_CFS);
}

// OVM-NVME-03.
#[test]
fn a_valid_configuration_enables() {
    let k = enabled();
    assert_eq!(hw::read32(&k, ID, hw::CC) & hw::CC_EN, hw::CC_EN);
    assert_eq!(hw::read32(&k, ID, hw::CSTS) & hw::CSTS_CFS, 0);
}

// OVM-NVME-06.
#[test]
fn creating_io_queues_interrupts_through_the_admin_vector() {
    let mut k = enabled();
    let mut host = Host::admin();
    assert_eq!(host.run(&mut k, opcode::CREATE_CQ, 1 | 3 << 16, 1 << 16 | 3).0, status::SUCCESS);
    assert_eq!(pending(&mut k), [0]);
    assert_eq!(host.run(&mut k, opcode::CREATE_SQ, 1 | 3 << 16, 1 << 16 | 1).0, status::SUCCESS);
    assert_eq!(pending(&mut k), [0]);
}

// OVM-NVME-10.
#[test]
fn a_queue_with_completions_that_wait_for_room_can_be_deleted() {
    let mut k = enabled();
    let mut admin = Host::admin();
    admin.run(&mut k, opcode::CREATE_CQ, 1 | 1 << 16, 1 << 16 | 3);
    admin.run(&mut k, opcode::CREATE_SQ, 1 | 7 << 16, 1 << 16 | 1);
    pending(&mut k);
    let mut io = Host { qid: 1, size: 8, ..Host::default() };
    for _ in 0..4 {
        io.submit(&mut k, NvmeCommand { opcode: opcode::READ, nsid: 99, ..NvmeCommand::default() });
    }
    settle(&mut k);
    assert_eq!(pending(&mut k), [1]);
    assert_eq!(k.hw.nvme[0].sqs[&1].inflight.len(), 3);
    assert_eq!(admin.run(&mut k, opcode::DELETE_SQ, 1, 0).0, status::SUCCESS);
    assert_eq!(pending(&mut k), [0]);
}

// PRO-NVME-02. A queue of more than 64 Ki entries has no encoding; the largest one stands for it.
#[test]
fn a_queue_has_at_least_two_entries_and_at_most_mqes() {
    for (entries, expect) in
        [(1024, status::SUCCESS), (0x1_0000, status::QUEUE_SIZE), (1, status::QUEUE_SIZE)]
    {
        let mut k = enabled();
        let size: u32 = entries - 1;
        assert_eq!(Host::admin().run(&mut k, opcode::CREATE_CQ, 1 | size << 16, 3).0, expect, "{entries}");
    }
}

// PRO-NVME-03, without its full queue: this controller fetches when the doorbell rings, so that a
// queue is never full when the host looks.
#[test]
fn a_tail_outside_of_the_queue_is_ignored() {
    let mut k = enabled();
    let mut host = Host::admin();
    for _ in 0..3 {
        host.submit(&mut k, NvmeCommand { opcode: opcode::IDENTIFY, cdw10: 1, ..NvmeCommand::default() });
    }
    assert_eq!(k.hw.nvme[0].bad_doorbells, 0);
    hw::write32(&mut k, ID, hw::sq_tail_doorbell(0), 4);
    assert_eq!((k.hw.nvme[0].bad_doorbells, k.hw.nvme[0].sqs[&0].tail), (1, 3));
}

// PRO-NVME-05.
#[test]
fn a_completion_waits_until_its_queue_has_room() {
    let mut k = enabled();
    let mut admin = Host::admin();
    admin.run(&mut k, opcode::CREATE_CQ, 1 | 1 << 16, 1 << 16 | 3);
    admin.run(&mut k, opcode::CREATE_SQ, 1 | 3 << 16, 1 << 16 | 1);
    let mut io = Host { qid: 1, size: 4, ..Host::default() };
    for _ in 0..3 {
        io.submit(&mut k, NvmeCommand { opcode: opcode::READ, nsid: 1, ..NvmeCommand::default() });
    }
    io.size = 2;
    for left in [2, 1, 0] {
        settle(&mut k);
        assert_eq!(k.hw.nvme[0].sqs[&1].inflight.len(), left);
        assert_eq!(io.reap(&mut k).0, status::SUCCESS);
    }
}
