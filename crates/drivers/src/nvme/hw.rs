//! An NVMe controller (NVM Express Base Specification 1.4), as far as a driver can tell.
//!
//! Registers are section 3.1, queues section 4, admin commands section 5, the NVM command set
//! section 6. Queue memory belongs to the host and holds live entries only.
//!
//! # What it doesn't implement
//! Data: a read or an Identify moves none, the host asks [`identify_ctrl`] for what it would have
//! found. Controller memory buffers, arbitration other than one queue after the other, several
//! namespaces, zoned namespaces, firmware, security, keep-alive timers.

use kstate::event::Event;
use kstate::hw::nvme::{CompletionQueue, NvmeCommand, NvmeCompletion, NvmeController, SubmissionQueue};
use kstate::hw::pci::{ASKS, Bar, DeviceModel, Parameter, PciFunction};
use kstate::oracle::Point;
use kstate::sched::Slot;
use kstate::shared::Shared;
use kstate::trace::Hardware;
use kstate::{Kernel, NvmeId, PciDevId};

/// Controller Capabilities, 3.1.1.
pub const CAP: u32 = 0x00;
/// Version, 3.1.2.
pub const VS: u32 = 0x08;
/// Interrupt Mask Set, 3.1.3.
pub const INTMS: u32 = 0x0c;
/// Interrupt Mask Clear, 3.1.4.
pub const INTMC: u32 = 0x10;
/// Controller Configuration, 3.1.5.
pub const CC: u32 = 0x14;
/// Controller Status, 3.1.6.
pub const CSTS: u32 = 0x1c;
/// Admin Queue Attributes, 3.1.8.
pub const AQA: u32 = 0x24;
/// Admin Submission Queue Base Address, 3.1.9.
pub const ASQ: u32 = 0x28;
/// Admin Completion Queue Base Address, 3.1.10.
pub const ACQ: u32 = 0x30;
/// The first doorbell, 3.1.24. The stride is four bytes (CAP.DSTRD is 0).
pub const DOORBELLS: u32 = 0x1000;

/// CC.EN.
pub const CC_EN: u32 = 1;
/// CC.SHN.
pub const CC_SHN: u32 = 3 << 14;
/// CC.SHN: normal shutdown.
pub const CC_SHN_NORMAL: u32 = 1 << 14;
/// CSTS.RDY.
pub const CSTS_RDY: u32 = 1;
/// CSTS.CFS.
pub const CSTS_CFS: u32 = 1 << 1;
/// CSTS.SHST.
pub const CSTS_SHST: u32 = 3 << 2;
/// CSTS.SHST: shutdown complete.
pub const CSTS_SHST_COMPLETE: u32 = 2 << 2;

/// CAP.MPSMIN: the smallest page is 4 KiB.
pub const PAGE_SHIFT: u32 = 12;

const CAP_MQES: u64 = 0x7ff;
const CAP_CQR: u64 = 1 << 16;
const CAP_TO: u64 = 0xf << 24;
const CAP_CSS_NVM: u64 = 1 << 37;
const CAP_CSS_CSI: u64 = 1 << 43;
const CAP_MPSMAX: u64 = 4 << 52;

/// Admin and I/O opcodes, 5 and 6.
pub mod opcode {
    /// Delete I/O Submission Queue.
    pub const DELETE_SQ: u8 = 0x00;
    /// Create I/O Submission Queue.
    pub const CREATE_SQ: u8 = 0x01;
    /// Get Log Page.
    pub const GET_LOG_PAGE: u8 = 0x02;
    /// Delete I/O Completion Queue.
    pub const DELETE_CQ: u8 = 0x04;
    /// Create I/O Completion Queue.
    pub const CREATE_CQ: u8 = 0x05;
    /// Identify.
    pub const IDENTIFY: u8 = 0x06;
    /// Abort.
    pub const ABORT: u8 = 0x08;
    /// Set Features.
    pub const SET_FEATURES: u8 = 0x09;
    /// Get Features.
    pub const GET_FEATURES: u8 = 0x0a;
    /// Asynchronous Event Request.
    pub const ASYNC_EVENT: u8 = 0x0c;
    /// Keep Alive.
    pub const KEEP_ALIVE: u8 = 0x18;
    /// Doorbell Buffer Config.
    pub const DBBUF: u8 = 0x7c;
    /// Flush.
    pub const FLUSH: u8 = 0x00;
    /// Write.
    pub const WRITE: u8 = 0x01;
    /// Read.
    pub const READ: u8 = 0x02;
}

/// Status field values (status code type and code), 4.6.1.
pub mod status {
    /// Done.
    pub const SUCCESS: u16 = 0x000;
    /// Invalid Command Opcode.
    pub const INVALID_OPCODE: u16 = 0x001;
    /// Invalid Field in Command.
    pub const INVALID_FIELD: u16 = 0x002;
    /// Invalid Namespace or Format.
    pub const INVALID_NS: u16 = 0x00b;
    /// LBA Out of Range.
    pub const LBA_RANGE: u16 = 0x080;
    /// Completion Queue Invalid.
    pub const CQ_INVALID: u16 = 0x100;
    /// Invalid Queue Identifier.
    pub const QID_INVALID: u16 = 0x101;
    /// Invalid Queue Size.
    pub const QUEUE_SIZE: u16 = 0x102;
    /// Asynchronous Event Request Limit Exceeded.
    pub const ASYNC_LIMIT: u16 = 0x105;
    /// Invalid Interrupt Vector.
    pub const INVALID_VECTOR: u16 = 0x108;
    /// Invalid Queue Deletion.
    pub const INVALID_QUEUE_DELETION: u16 = 0x10c;
    /// Do Not Retry.
    pub const DNR: u16 = 0x4000;
}

/// Identify Controller: OACS, Doorbell Buffer Config.
pub const OACS_DBBUF: u16 = 1 << 8;
/// Identify Controller: ONCS, Timestamp.
pub const ONCS_TIMESTAMP: u16 = 1 << 6;
/// Identify Controller: OAES, Namespace Attribute Notices.
pub const OAES_NS_ATTR: u32 = 1 << 8;
/// Identify Controller: LPA, Commands Supported and Effects log page.
pub const LPA_EFFECTS: u8 = 1 << 1;
/// Identify Controller: CTRATT, Extended LBA Formats.
pub const CTRATT_ELBAS: u32 = 1 << 15;

/// What the device answers to Identify Controller, as far as a driver here looks at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdentifyController {
    /// OACS.
    pub oacs: u16,
    /// ONCS.
    pub oncs: u16,
    /// OAES.
    pub oaes: u32,
    /// CTRATT.
    pub ctratt: u32,
    /// LPA.
    pub lpa: u8,
    /// NN: the highest namespace identifier.
    pub nn: u32,
    /// ACL: how many aborts may be outstanding, 0's based.
    pub acl: u8,
    /// MDTS: the longest transfer, as a power of two in units of the smallest page; never 0 here.
    pub mdts: u8,
}

/// AERL + 1: how many Asynchronous Event Requests may be outstanding.
const AER_LIMIT: usize = 4;
/// Nanoseconds an admin command takes.
pub const ADMIN_LATENCY: u64 = 20_000;
/// Nanoseconds an I/O command takes.
pub const IO_LATENCY: u64 = 50_000;
/// Nanoseconds a change of CC takes where the device does not answer at once.
pub const READY_LATENCY: u64 = 2_000_000;

/// Sectors of 512 bytes in namespace 1: 64 MiB.
const NS_SECTORS: u64 = 131_072;

/// The kind of device. Between two accesses of the host it may complete a command.
pub static MODEL: DeviceModel = DeviceModel {
    name: "nvme",
    parameters: &[
        Parameter { key: "io_queue_pairs_max", min: 1, max: 65535, default: None },
        Parameter { key: "lost_sector", min: 0, max: NO_SECTOR - 1, default: Some(NO_SECTOR) },
    ],
    msix_table: (0, 0x2000),
    power_on,
    event: |k, dev, word| event(k, id_of(k, dev), NvmeEvent::from_slot(word)),
    describe: |word| match NvmeEvent::from_slot(word) {
        NvmeEvent::Ready(true) => "becomes ready".to_owned(),
        NvmeEvent::Ready(false) => "is not ready any more".to_owned(),
        NvmeEvent::ShutdownComplete => "has shut down".to_owned(),
        NvmeEvent::Complete(queue) => format!("completes on queue {queue}"),
    },
    pending: Some(pending),
    act: Some(act),
    ..DeviceModel::INERT
};

/// What an NVMe controller does on its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NvmeEvent {
    /// CSTS.RDY follows CC.EN.
    Ready(bool),
    /// CSTS.SHST says that the shutdown is complete.
    ShutdownComplete,
    /// The oldest fetched command of this submission queue is done.
    Complete(u16),
}

impl Slot for NvmeEvent {
    fn to_slot(self) -> u64 {
        match self {
            Self::Complete(sqid) => u64::from(sqid),
            Self::Ready(ready) => 1 << 16 | u64::from(ready),
            Self::ShutdownComplete => 2 << 16,
        }
    }
    fn from_slot(slot: u64) -> Self {
        match slot >> 16 {
            0 => Self::Complete(slot as u16),
            1 => Self::Ready(slot & 1 != 0),
            _ => Self::ShutdownComplete,
        }
    }
}

/// The controller behind a function.
pub fn id_of(k: &Kernel, dev: PciDevId) -> NvmeId {
    NvmeId(k.hw.pci[dev.index()].unit)
}

/// Puts a controller behind a function: its registers and the MSI-X table behind base address
/// register 0.
fn power_on(k: &mut Kernel, dev: PciDevId, function: &mut PciFunction, parameters: &[u32]) {
    let id = NvmeId(k.hw.nvme.len() as u32);
    let io_queue_pairs_max = parameters.first().copied().unwrap_or(1);
    let serial = format!("irqlab-{id}");
    let mut controller = new_controller(dev, io_queue_pairs_max as u16, &serial, NS_SECTORS);
    controller.lost_sector = parameters.get(1).copied().filter(|sector| *sector != NO_SECTOR);
    k.hw.nvme.push(Shared::new(controller));
    (function.vendor_id, function.device_id, function.class_code) = (0x1b36, 0x0010, 0x01_0802);
    function.bars[0] = Bar::Registers;
    function.unit = id.0;
}

/// No sector, where the number of one would stand.
const NO_SECTOR: u32 = u32::MAX;

/// Whether the controller loses this command, as one with an error does: it never completes it. It does so once.
fn loses(c: &mut NvmeController, qid: u16, command: &NvmeCommand) -> bool {
    let Some(lost) = c.lost_sector else { return false };
    let first = u64::from(command.cdw10) | u64::from(command.cdw11) << 32;
    let sectors = first..=first.saturating_add(u64::from(command.cdw12 & 0xffff));
    let loses = qid != 0 && command.opcode == opcode::READ && sectors.contains(&u64::from(lost));
    if loses {
        c.lost_sector = None;
    }
    loses
}

/// The event of a controller.
fn due(k: &Kernel, id: NvmeId, what: NvmeEvent) -> Event {
    Event::Device(c(k, id).dev, what.to_slot())
}

/// The submission queues with a command that is not completed.
fn busy_queues(k: &Kernel, id: NvmeId) -> impl Iterator<Item = u16> {
    let busy = c(k, id).sqs.iter().filter(|(_, sq)| !sq.inflight.is_empty());
    busy.map(|(&qid, _)| qid)
}

fn pending(k: &Kernel, dev: PciDevId) -> bool {
    busy_queues(k, id_of(k, dev)).next().is_some()
}

fn act(k: &mut Kernel, dev: PciDevId) {
    let id = id_of(k, dev);
    let count = busy_queues(k, id).count() as u32;
    let n = k.oracle.choose(Point::Hardware, count);
    let Some(qid) = busy_queues(k, id).nth(n as usize) else { return };
    let due = due(k, id, NvmeEvent::Complete(qid));
    if k.events.take(&due) {
        complete(k, id, qid);
    }
}

/// A controller after power-on, behind the PCI function `dev`. `ns_sectors` is the size of
/// namespace 1 in units of 512 bytes, 0 for no namespace.
pub fn new_controller(dev: PciDevId, max_ioqpairs: u16, serial: &str, ns_sectors: u64) -> NvmeController {
    NvmeController {
        dev,
        max_ioqpairs,
        cap: CAP_MQES | CAP_CQR | CAP_TO | CAP_CSS_NVM | CAP_CSS_CSI | CAP_MPSMAX,
        vs: 0x0001_0400,
        ns_sectors,
        serial: serial.to_owned(),
        ..NvmeController::default()
    }
}

fn c(k: &Kernel, id: NvmeId) -> &NvmeController {
    &k.hw.nvme[id.index()]
}

fn m(k: &mut Kernel, id: NvmeId) -> &mut NvmeController {
    &mut k.hw.nvme[id.index()]
}

/// Reads a 32-bit register. Doorbells and unknown offsets read as zero.
pub fn read32(k: &Kernel, id: NvmeId, offset: u32) -> u32 {
    let c = c(k, id);
    match offset {
        CAP => c.cap as u32,
        0x04 => (c.cap >> 32) as u32,
        VS => c.vs,
        INTMS | INTMC => c.intms,
        CC => c.cc,
        CSTS => c.csts,
        AQA => c.aqa,
        ASQ => c.asq as u32,
        0x2c => (c.asq >> 32) as u32,
        ACQ => c.acq as u32,
        0x34 => (c.acq >> 32) as u32,
        _ => 0,
    }
}

/// Reads a 64-bit register.
pub fn read64(k: &Kernel, id: NvmeId, offset: u32) -> u64 {
    u64::from(read32(k, id, offset)) | u64::from(read32(k, id, offset + 4)) << 32
}

/// Writes a 32-bit register or a doorbell. Read-only ones stay as they are.
pub fn write32(k: &mut Kernel, id: NvmeId, offset: u32, value: u32) {
    let low = |old: u64| old & !0xffff_ffff | u64::from(value);
    let high = |old: u64| old & 0xffff_ffff | u64::from(value) << 32;
    match offset {
        INTMS => {
            m(k, id).intms |= value;
            update_pin(k, id);
        }
        INTMC => {
            m(k, id).intms &= !value;
            update_pin(k, id);
        }
        CC => write_cc(k, id, value),
        AQA => m(k, id).aqa = value & 0x0fff_0fff,
        ASQ => m(k, id).asq = low(c(k, id).asq) & !0xfff,
        0x2c => m(k, id).asq = high(c(k, id).asq),
        ACQ => m(k, id).acq = low(c(k, id).acq) & !0xfff,
        0x34 => m(k, id).acq = high(c(k, id).acq),
        DOORBELLS.. if offset.is_multiple_of(4) => {
            let n = (offset - DOORBELLS) / 4;
            let Ok(qid) = u16::try_from(n / 2) else { return };
            let completion = !n.is_multiple_of(2);
            k.hw(|k| Hardware::Doorbell { dev: c(k, id).dev, queue: qid, completion, value });
            if completion { cq_doorbell(k, id, qid, value) } else { sq_doorbell(k, id, qid, value) }
        }
        _ => {}
    }
}

/// Writes a 64-bit register, low half first.
pub fn write64(k: &mut Kernel, id: NvmeId, offset: u32, value: u64) {
    write32(k, id, offset, value as u32);
    write32(k, id, offset + 4, (value >> 32) as u32);
}

fn write_cc(k: &mut Kernel, id: NvmeId, value: u32) {
    let old = c(k, id).cc;
    let mpsmax = (c(k, id).cap >> 52 & 0xf) as u32;
    m(k, id).cc = value;
    if value >> 7 & 0xf > mpsmax {
        m(k, id).csts |= CSTS_CFS;
        return;
    }
    // A choice of 0 is a device that has done it before the host can look.
    let slow = k.oracle.choose(Point::Latency, 3);
    if (old ^ value) & CC_EN != 0 {
        if value & CC_EN == 0 {
            reset(k, id);
        } else if !admin_queues_are_valid(k, id) {
            m(k, id).csts |= CSTS_CFS;
            return;
        }
        let ready = NvmeEvent::Ready(value & CC_EN != 0);
        later(k, id, slow, ready);
    }
    if value & CC_SHN != 0 && old & CC_SHN == 0 {
        later(k, id, slow, NvmeEvent::ShutdownComplete);
    } else if value & CC_SHN == 0 {
        m(k, id).csts &= !CSTS_SHST;
    }
}

fn later(k: &mut Kernel, id: NvmeId, slow: u32, what: NvmeEvent) {
    if slow == 0 {
        event(k, id, what);
    } else {
        let due = due(k, id, what);
        k.events.push(u64::from(slow) * READY_LATENCY, due);
    }
}

fn admin_queues_are_valid(k: &Kernel, id: NvmeId) -> bool {
    let c = c(k, id);
    c.asq != 0 && c.acq != 0 && c.aqa & 0xfff != 0 && c.aqa >> 16 & 0xfff != 0
}

/// Controller Reset, 7.3.2: queues and their commands are gone, AQA, ASQ and ACQ stay.
fn reset(k: &mut Kernel, id: NvmeId) {
    let dev = c(k, id).dev;
    k.events.cancel_all(|e| matches!(e, Event::Device(of, word) if *of == dev && word & ASKS == 0));
    // Every field is named, so that a new one is decided about here.
    let NvmeController {
        dev: _,
        max_ioqpairs: _,
        cap: _,
        vs: _,
        intms,
        cc: _,
        csts,
        aqa: _,
        asq: _,
        acq: _,
        irq_status,
        sqs,
        cqs,
        sq_mem,
        cq_mem,
        aer,
        dbbuf,
        ns_sectors: _,
        serial: _,
        bad_doorbells: _,
        lost_sector: _,
    } = m(k, id);
    *intms = 0;
    *csts &= !CSTS_CFS;
    *irq_status = 0;
    sqs.clear();
    cqs.clear();
    sq_mem.clear();
    cq_mem.clear();
    aer.clear();
    *dbbuf = false;
    update_pin(k, id);
}

/// Something that the controller does on its own is due.
pub fn event(k: &mut Kernel, id: NvmeId, event: NvmeEvent) {
    match event {
        NvmeEvent::Ready(true) => {
            let aqa = c(k, id).aqa;
            let cq = CompletionQueue {
                size: (aqa >> 16 & 0xfff) as u16 + 1,
                irq_enabled: true,
                phase: true,
                ..CompletionQueue::default()
            };
            let sq = SubmissionQueue { size: (aqa & 0xfff) as u16 + 1, ..SubmissionQueue::default() };
            let c = m(k, id);
            c.cqs.insert(0, cq);
            c.sqs.insert(0, sq);
            c.csts |= CSTS_RDY;
        }
        NvmeEvent::Ready(false) => m(k, id).csts &= !CSTS_RDY,
        NvmeEvent::ShutdownComplete => {
            let c = m(k, id);
            c.csts = c.csts & !CSTS_SHST | CSTS_SHST_COMPLETE;
        }
        NvmeEvent::Complete(sqid) => complete(k, id, sqid),
    }
}

/// The host stores a command in a slot of a submission queue.
pub fn sq_write(k: &mut Kernel, id: NvmeId, qid: u16, slot: u16, command: NvmeCommand) {
    m(k, id).sq_mem.insert((qid, slot), command);
}

/// The host looks at a slot of a completion queue.
pub fn cq_read(k: &Kernel, id: NvmeId, qid: u16, slot: u16) -> Option<NvmeCompletion> {
    c(k, id).cq_mem.get(&(qid, slot)).copied()
}

/// The host has read a slot and will not look at it again before it is written.
pub fn cq_consume(k: &mut Kernel, id: NvmeId, qid: u16, slot: u16) {
    m(k, id).cq_mem.remove(&(qid, slot));
}

/// The host clears the memory of a completion queue.
pub fn cq_clear(k: &mut Kernel, id: NvmeId, qid: u16) {
    m(k, id).cq_mem.retain(|&(q, _), _| q != qid);
}

/// The offset of a submission queue's tail doorbell.
pub const fn sq_tail_doorbell(qid: u16) -> u32 {
    DOORBELLS + qid as u32 * 8
}

/// The offset of a completion queue's head doorbell.
pub const fn cq_head_doorbell(qid: u16) -> u32 {
    DOORBELLS + qid as u32 * 8 + 4
}

/// SQyTDBL: fetches what is new, one command after the other.
fn sq_doorbell(k: &mut Kernel, id: NvmeId, qid: u16, tail: u32) {
    let c = m(k, id);
    let Some(sq) = c.sqs.get_mut(&qid) else {
        c.bad_doorbells += 1;
        return;
    };
    if tail >= u32::from(sq.size) {
        c.bad_doorbells += 1;
        return;
    }
    sq.tail = tail as u16;
    let mut fetched = 0;
    while let Some(sq) = c.sqs.get_mut(&qid).filter(|sq| sq.head != sq.tail) {
        let command = c.sq_mem.remove(&(qid, sq.head)).unwrap_or_default();
        sq.head = (sq.head + 1) % sq.size;
        if loses(c, qid, &command) {
            continue;
        }
        let Some(sq) = c.sqs.get_mut(&qid) else { break };
        if qid == 0 && command.opcode == opcode::ASYNC_EVENT && c.aer.len() < AER_LIMIT {
            // Completed when an event occurs, which is never.
            c.aer.push(command);
            continue;
        }
        sq.inflight.push(command);
        fetched += 1;
    }
    let latency = if qid == 0 { ADMIN_LATENCY } else { IO_LATENCY };
    let due = due(k, id, NvmeEvent::Complete(qid));
    for _ in 0..fetched {
        let slow = u64::from(k.oracle.choose(Point::Latency, 4));
        k.events.push(latency * (1 + slow), due);
    }
}

/// CQyHDBL: frees slots; the pin goes down when nothing is left to read.
fn cq_doorbell(k: &mut Kernel, id: NvmeId, qid: u16, head: u32) {
    let c = m(k, id);
    let Some(cq) = c.cqs.get_mut(&qid) else {
        c.bad_doorbells += 1;
        return;
    };
    let size = u32::from(cq.size);
    let used = (u32::from(cq.tail) + size - u32::from(cq.head)) % size;
    if head >= size || (head + size - u32::from(cq.head)) % size > used {
        c.bad_doorbells += 1;
        return;
    }
    cq.head = head as u16;
    for sq in core::mem::take(&mut cq.waiting) {
        let due = due(k, id, NvmeEvent::Complete(sq));
        k.events.push(0, due);
    }
    update_pin(k, id);
}

/// The oldest fetched command of a submission queue is done, or waits for room.
fn complete(k: &mut Kernel, id: NvmeId, sqid: u16) {
    let c = m(k, id);
    let Some(sq) = c.sqs.get_mut(&sqid) else { return };
    let Some(&command) = sq.inflight.first() else { return };
    let cqid = sq.cqid;
    let Some(cq) = c.cqs.get_mut(&cqid) else { return };
    if (cq.tail + 1) % cq.size == cq.head {
        cq.waiting.push(sqid);
        return;
    }
    sq.inflight.remove(0);
    let (status, result) = if sqid == 0 { admin(k, id, &command) } else { (io(c, &command), 0) };
    post(k, id, sqid, cqid, &command, status, result);
}

fn post(k: &mut Kernel, id: NvmeId, sqid: u16, cqid: u16, command: &NvmeCommand, status: u16, result: u32) {
    let c = m(k, id);
    let sq_head = c.sqs.get(&sqid).map_or(0, |sq| sq.head);
    let Some(cq) = c.cqs.get_mut(&cqid) else { return };
    let status = if status == status::SUCCESS { 0 } else { status | status::DNR };
    let entry = NvmeCompletion {
        result,
        sq_head,
        sq_id: sqid,
        command_id: command.command_id,
        status: status << 1 | u16::from(cq.phase),
    };
    c.cq_mem.insert((cqid, cq.tail), entry);
    cq.tail += 1;
    if cq.tail == cq.size {
        cq.tail = 0;
        cq.phase = !cq.phase;
    }
    let (enabled, vector, dev) = (cq.irq_enabled, cq.vector, c.dev);
    let (queue, command) = (cqid, command.command_id);
    k.hw(|_| Hardware::Completion { dev, queue, command, status });
    if !enabled {
        return;
    }
    let function = &k.hw.pci[dev.index()];
    if function.msix.as_ref().is_some_and(|x| x.enable) {
        pcimsi::hw::msix_raise(k, dev, vector);
    } else if function.msi.as_ref().is_some_and(|x| x.enable) {
        pcimsi::hw::msi_raise(k, dev, u32::from(vector));
    } else {
        update_pin(k, id);
    }
}

/// Pin-based interrupts, 7.5.1: asserted while an unmasked vector has unread completions.
fn update_pin(k: &mut Kernel, id: NvmeId) {
    let c = m(k, id);
    c.irq_status = 0;
    for cq in c.cqs.values().filter(|cq| cq.irq_enabled && cq.head != cq.tail) {
        c.irq_status |= 1 << (cq.vector & 31);
    }
    let (level, dev) = (c.irq_status & !c.intms != 0, c.dev);
    let Some(function) = k.hw.pci.get(dev.index()) else { return };
    if function.msix.as_ref().is_some_and(|x| x.enable) || function.msi.as_ref().is_some_and(|x| x.enable) {
        return;
    }
    pcimsi::hw::intx_set(k, dev, level);
}

/// What Identify Controller answers.
pub fn identify_ctrl(k: &Kernel, id: NvmeId) -> IdentifyController {
    let _ = c(k, id);
    IdentifyController {
        oacs: OACS_DBBUF,
        oncs: ONCS_TIMESTAMP,
        oaes: OAES_NS_ATTR,
        ctratt: CTRATT_ELBAS,
        lpa: LPA_EFFECTS,
        nn: 256,
        acl: 3,
        mdts: 7,
    }
}

/// The first active namespace identifier above `nsid` (Identify, Active Namespace ID list).
pub fn next_namespace(k: &Kernel, id: NvmeId, nsid: u32) -> Option<u32> {
    (nsid == 0 && c(k, id).ns_sectors != 0).then_some(1)
}

/// NSZE of a namespace in sectors of 512 bytes; 0 when it is not active.
pub fn namespace_sectors(k: &Kernel, id: NvmeId, nsid: u32) -> u64 {
    if nsid == 1 { c(k, id).ns_sectors } else { 0 }
}

/// The interrupt vectors that a completion queue can name: entries of the MSI-X table, messages that
/// MSI was given, or the one pin (7.5).
fn vectors(function: &PciFunction) -> usize {
    match (&function.msix, &function.msi) {
        (Some(msix), _) if msix.enable => msix.table.len(),
        (_, Some(msi)) if msi.enable => 1 << msi.multiple_message_enable,
        _ => 1,
    }
}

fn admin(k: &mut Kernel, id: NvmeId, command: &NvmeCommand) -> (u16, u32) {
    let vectors = vectors(&k.hw.pci[c(k, id).dev.index()]);
    let c = m(k, id);
    let mqes = (c.cap & 0xffff) as u32;
    let (qid, size) = (command.cdw10 as u16, command.cdw10 >> 16);
    let size_is_valid = size != 0 && size <= mqes;
    let qid_is_free = |used: bool| qid != 0 && qid <= c.max_ioqpairs && !used;
    let status = match command.opcode {
        opcode::CREATE_CQ => {
            let vector = (command.cdw11 >> 16) as u16;
            if !qid_is_free(c.cqs.contains_key(&qid)) {
                status::QID_INVALID
            } else if !size_is_valid {
                status::QUEUE_SIZE
            } else if usize::from(vector) >= vectors {
                status::INVALID_VECTOR
            } else {
                let cq = CompletionQueue {
                    size: size as u16 + 1,
                    vector,
                    irq_enabled: command.cdw11 & 2 != 0,
                    phase: true,
                    ..CompletionQueue::default()
                };
                c.cqs.insert(qid, cq);
                status::SUCCESS
            }
        }
        opcode::CREATE_SQ => {
            let cqid = (command.cdw11 >> 16) as u16;
            if cqid == 0 || !c.cqs.contains_key(&cqid) {
                status::CQ_INVALID
            } else if !qid_is_free(c.sqs.contains_key(&qid)) {
                status::QID_INVALID
            } else if !size_is_valid {
                status::QUEUE_SIZE
            } else {
                let sq = SubmissionQueue { size: size as u16 + 1, cqid, ..SubmissionQueue::default() };
                c.sqs.insert(qid, sq);
                status::SUCCESS
            }
        }
        opcode::DELETE_SQ => {
            if qid == 0 || c.sqs.remove(&qid).is_none() {
                status::QID_INVALID
            } else {
                c.sq_mem.retain(|&(q, _), _| q != qid);
                for cq in c.cqs.values_mut() {
                    cq.waiting.retain(|&sq| sq != qid);
                }
                status::SUCCESS
            }
        }
        opcode::DELETE_CQ => {
            if qid == 0 || !c.cqs.contains_key(&qid) {
                status::QID_INVALID
            } else if c.sqs.values().any(|sq| sq.cqid == qid) {
                status::INVALID_QUEUE_DELETION
            } else {
                c.cqs.remove(&qid);
                status::SUCCESS
            }
        }
        opcode::IDENTIFY => match command.cdw10 & 0xff {
            1 | 2 | 6 => status::SUCCESS,
            0 | 3 | 5 if command.nsid == 1 && c.ns_sectors != 0 => status::SUCCESS,
            0 | 3 | 5 => status::INVALID_NS,
            _ => status::INVALID_FIELD,
        },
        // Number of Queues: what is supported, 0's based, in both halves.
        opcode::SET_FEATURES | opcode::GET_FEATURES if command.cdw10 & 0xff == 7 => {
            let n = u32::from(c.max_ioqpairs) - 1;
            return (status::SUCCESS, n << 16 | n);
        }
        // Bit 0: the command was not aborted; this device completes commands in any case.
        opcode::ABORT => return (status::SUCCESS, 1),
        opcode::DBBUF => {
            c.dbbuf = true;
            status::SUCCESS
        }
        opcode::ASYNC_EVENT => status::ASYNC_LIMIT,
        opcode::SET_FEATURES | opcode::GET_FEATURES | opcode::GET_LOG_PAGE | opcode::KEEP_ALIVE => {
            status::SUCCESS
        }
        _ => status::INVALID_OPCODE,
    };
    (status, 0)
}

fn io(c: &NvmeController, command: &NvmeCommand) -> u16 {
    if command.nsid != 1 || c.ns_sectors == 0 {
        return status::INVALID_NS;
    }
    let first = u64::from(command.cdw10) | u64::from(command.cdw11) << 32;
    let last = first.saturating_add(u64::from(command.cdw12 & 0xffff));
    match command.opcode {
        opcode::FLUSH => status::SUCCESS,
        opcode::READ | opcode::WRITE if last < c.ns_sectors => status::SUCCESS,
        opcode::READ | opcode::WRITE => status::LBA_RANGE,
        _ => status::INVALID_OPCODE,
    }
}
