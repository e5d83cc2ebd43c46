//! Registers and queues of an NVMe controller (NVM Express Base Specification 1.4, section 3.1).

use crate::PciDevId;
use crate::list::List;
use crate::sorted::SortedMap;

/// A submission queue entry, without the pointers to data: no data is modelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct NvmeCommand {
    /// Opcode (CDW0.OPC).
    pub opcode: u8,
    /// Fused operation and PRP or SGL (CDW0 bits 15:8).
    pub flags: u8,
    /// Command identifier (CDW0.CID).
    pub command_id: u16,
    /// Namespace.
    pub nsid: u32,
    /// Command specific.
    pub cdw10: u32,
    /// Command specific.
    pub cdw11: u32,
    /// Command specific.
    pub cdw12: u32,
}

/// A completion queue entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct NvmeCompletion {
    /// Command specific (DW0).
    pub result: u32,
    /// Submission queue head pointer.
    pub sq_head: u16,
    /// Submission queue identifier.
    pub sq_id: u16,
    /// Command identifier.
    pub command_id: u16,
    /// Status field and phase tag (bit 0).
    pub status: u16,
}

/// A submission queue as the controller knows it, and its memory.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct SubmissionQueue {
    /// Number of slots.
    pub size: u16,
    /// Its completion queue.
    pub cqid: u16,
    /// Head pointer.
    pub head: u16,
    /// Tail doorbell (SQyTDBL).
    pub tail: u16,
    /// Fetched commands that are not completed, oldest first.
    pub inflight: Vec<NvmeCommand>,
}

/// A completion queue as the controller knows it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct CompletionQueue {
    /// Number of slots.
    pub size: u16,
    /// Interrupt vector (CDW11.IV).
    pub vector: u16,
    /// Interrupts enabled (CDW11.IEN).
    pub irq_enabled: bool,
    /// Head doorbell (CQyHDBL).
    pub head: u16,
    /// Tail pointer.
    pub tail: u16,
    /// Phase tag of the next entry.
    pub phase: bool,
    /// Submission queues whose oldest command waits for a free slot, in order.
    pub waiting: List<u16>,
}

/// An NVMe controller.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct NvmeController {
    /// Its PCI function.
    pub dev: PciDevId,
    /// I/O queue pairs it supports.
    pub max_ioqpairs: u16,
    /// Controller capabilities (CAP).
    pub cap: u64,
    /// Version (VS).
    pub vs: u32,
    /// Interrupt mask (INTMS, INTMC).
    pub intms: u32,
    /// Controller configuration (CC).
    pub cc: u32,
    /// Controller status (CSTS).
    pub csts: u32,
    /// Admin queue attributes (AQA).
    pub aqa: u32,
    /// Admin submission queue base address (ASQ).
    pub asq: u64,
    /// Admin completion queue base address (ACQ).
    pub acq: u64,
    /// Interrupt status, one bit per vector: a completion queue has unread entries.
    pub irq_status: u32,
    /// Submission queues by identifier.
    pub sqs: SortedMap<u16, SubmissionQueue>,
    /// Completion queues by identifier.
    pub cqs: SortedMap<u16, CompletionQueue>,
    /// Host memory of submission queues: commands written and not fetched, by queue and slot.
    pub sq_mem: SortedMap<(u16, u16), NvmeCommand>,
    /// Host memory of completion queues: the last entry written to each slot not yet reused by
    /// the host, by queue and slot.
    pub cq_mem: SortedMap<(u16, u16), NvmeCompletion>,
    /// Commands not completed until an event occurs (Asynchronous Event Request).
    pub aer: Vec<NvmeCommand>,
    /// Shadow doorbells were configured (Doorbell Buffer Config).
    pub dbbuf: bool,
    /// Sectors of 512 bytes of namespace 1; 0 without a namespace.
    pub ns_sectors: u64,
    /// The first read of this sector is never completed.
    pub lost_sector: Option<u32>,
    /// Serial number.
    pub serial: String,
    /// Doorbell writes that named a queue that does not exist or a slot out of range.
    pub bad_doorbells: u32,
}
