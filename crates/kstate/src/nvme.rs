//! Driver state of NVMe controllers (drivers/nvme/host/nvme.h, drivers/nvme/host/pci.c).

use crate::blk::HCTX_MAX_TYPES;
use crate::copied::clone_by_field;
use crate::irqdesc::DevId;
use crate::named::by_name;
use crate::sched::{Mutex, WaitOn};
use crate::shared::Shared;
use crate::{DiskId, Kernel, NvmeId, PciDevId, QueueId, ReqId, TagSetId, WorkId};

/// `enum nvme_ctrl_state`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum NvmeCtrlState {
    /// Allocated.
    #[default]
    New,
    /// In use.
    Live,
    /// Being reset.
    Resetting,
    /// Being set up.
    Connecting,
    /// Being removed.
    Deleting,
    /// Being removed, and no I/O is started any more (6.12).
    DeletingNoio,
    /// Gone without having been asked.
    Dead,
}

impl NvmeCtrlState {
    /// What /sys/class/nvme/nvme0/state says.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Live => "live",
            Self::Resetting => "resetting",
            Self::Connecting => "connecting",
            Self::Deleting => "deleting",
            Self::DeletingNoio => "deleting (no IO)",
            Self::Dead => "dead",
        }
    }
}

/// `struct nvme_queue`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct NvmeQueue {
    /// Its number; 0 is the admin queue.
    pub qid: u16,
    /// Slots.
    pub q_depth: u32,
    /// Its vector among the device's.
    pub cq_vector: u16,
    /// Where the next command is written.
    pub sq_tail: u16,
    /// The tail that the device was told last.
    pub last_sq_tail: u16,
    /// Where the next completion is read.
    pub cq_head: u16,
    /// The head after the last interrupt (5.4).
    pub last_cq_head: u16,
    /// The phase tag of a valid completion.
    pub cq_phase: bool,
    /// `NVMEQ_ENABLED`.
    pub enabled: bool,
    /// `NVMEQ_DELETE_ERROR`.
    pub delete_error: bool,
    /// `NVMEQ_POLLED`: it has no interrupt.
    pub polled: bool,
    /// `delete_done`: the command that deletes it was completed.
    pub delete_done: bool,
}

/// `struct nvme_ns`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct NvmeNs {
    /// Namespace identifier.
    pub ns_id: u32,
    /// Its queue.
    pub queue: QueueId,
    /// Its disk.
    pub disk: DiskId,
    /// `NVME_NS_REMOVING`.
    pub removing: bool,
}

/// `struct nvme_ctrl_ops`: what a transport does for the core.
#[derive(Clone, Copy)]
pub struct NvmeCtrlOps {
    /// `name`.
    pub name: &'static str,
    /// `reg_read32`: the register at this offset. No transport that is modelled fails to read one.
    pub reg_read32: fn(&Kernel, NvmeId, u32) -> u32,
    /// `reg_write32`.
    pub reg_write32: fn(&mut Kernel, NvmeId, u32, u32),
    /// `reg_read64`.
    pub reg_read64: fn(&Kernel, NvmeId, u32) -> u64,
    /// `submit_async_event`: asks the controller to report its next event.
    pub submit_async_event: fn(&mut Kernel, NvmeId),
}

by_name! { NvmeCtrlOps }

/// `struct nvme_dev` and the `struct nvme_ctrl` in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct NvmeDev {
    /// The PCI function.
    pub dev: PciDevId,
    /// `ctrl.ops`, from `nvme_init_ctrl()` on.
    pub ops: Option<NvmeCtrlOps>,
    /// The driver is bound (`drvdata`, and the character device exists).
    pub bound: bool,
    /// The PCI function points to it; no longer once its removal has begun.
    pub drvdata: bool,
    /// The number in `nvme0`.
    pub instance: u32,
    /// All queues, the admin queue first.
    pub queues: Vec<NvmeQueue>,
    /// Queues with memory.
    pub queue_count: u32,
    /// Queues that can be used.
    pub online_queues: u32,
    /// The highest queue there may be.
    pub max_qid: u32,
    /// I/O queues by `HctxType`.
    pub io_queues: [u32; HCTX_MAX_TYPES],
    /// Interrupt vectors.
    pub num_vecs: u32,
    /// Slots of an I/O queue.
    pub q_depth: u32,
    /// Queues for writes that were asked for.
    pub nr_write_queues: u32,
    /// Queues for polling that were asked for.
    pub nr_poll_queues: u32,
    /// Somebody holds `shutdown_lock`.
    pub shutdown_lock: Mutex,
    /// The registers are mapped.
    pub bar: bool,
    /// The doorbell buffer exists.
    pub dbbuf: bool,
    /// The controller's state.
    pub state: NvmeCtrlState,
    /// CAP as read.
    pub cap: u64,
    /// VS as read.
    pub vs: u32,
    /// CC as written.
    pub ctrl_config: u32,
    /// `max_hw_sectors`: sectors of 512 bytes that one command transfers at most.
    pub max_hw_sectors: u32,
    /// `abort_limit`: how many more aborts the controller takes.
    pub abort_limit: i32,
    /// Optional admin commands.
    pub oacs: u16,
    /// Optional NVM commands.
    pub oncs: u16,
    /// Optional asynchronous events.
    pub oaes: u32,
    /// Controller attributes.
    pub ctratt: u32,
    /// It was identified before.
    pub identified: bool,
    /// The command effects log was read (6.12 keeps it across resets).
    pub effects: bool,
    /// The command set's limits cannot be read (6.12).
    pub skip_id_cns_cs: bool,
    /// The admin queue.
    pub admin_q: Option<QueueId>,
    /// Its tags.
    pub admin_tagset: Option<TagSetId>,
    /// Tags of the I/O queues.
    pub tagset: Option<TagSetId>,
    /// Namespaces, ascending.
    pub namespaces: Vec<NvmeNs>,
    /// `NVME_CTRL_STOPPED`: I/O queues are quiesced (6.12).
    pub stopped: bool,
    /// `NVME_CTRL_FROZEN` (6.12).
    pub frozen: bool,
    /// Serial number as identified.
    pub serial: String,
    /// `reset_work`.
    pub reset_work: WorkId,
    /// `scan_work`.
    pub scan_work: WorkId,
    /// `async_event_work`.
    pub async_event_work: WorkId,
    /// `remove_work`.
    pub remove_work: WorkId,
}

/// `struct quirk_entry`, drivers/nvme/host/pci.c of 7.3: what is asked of one kind of controller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct NvmeQuirkEntry {
    /// Vendor of the PCI function.
    pub vendor_id: u16,
    /// Its device.
    pub dev_id: u16,
    /// `NVME_QUIRK_*` that it has as well.
    pub enabled_quirks: u32,
    /// `NVME_QUIRK_*` that it has not, whatever else says so.
    pub disabled_quirks: u32,
}

/// drivers/nvme/host: driver state of NVMe controllers.
#[derive(PartialEq, Eq, Hash, Debug, Default)]
pub struct NvmeState {
    /// By `NvmeId`. An unbound controller's entry keeps its last contents with `bound` cleared, so
    /// that a task that still holds a reference finds it.
    pub devs: Vec<Shared<NvmeDev>>,
}

clone_by_field! {
    NvmeState { devs }
}

impl NvmeState {
    /// A controller that was probed at least once.
    pub fn dev(&self, id: NvmeId) -> &NvmeDev {
        &self.devs[id.index()]
    }
    /// A controller that was probed at least once, mutably.
    pub fn dev_mut(&mut self, id: NvmeId) -> &mut NvmeDev {
        &mut self.devs[id.index()]
    }
    /// The bound controller with this instance number.
    pub fn by_instance(&self, instance: u32) -> Option<NvmeId> {
        let i = self.devs.iter().position(|d| d.bound && d.instance == instance)?;
        Some(NvmeId(i as u32))
    }
}

impl NvmeDev {
    /// CAP.TO: how long the device may take to become ready, in ns. The register counts half seconds.
    pub fn ready_timeout(&self) -> u64 {
        ((self.cap >> 24 & 0xff) + 1) * 500_000_000
    }

    /// `ctrl->state_wq`: a change of the state, or of who holds `shutdown_lock`.
    pub fn state_wq(&self) -> WaitOn {
        WaitOn::Driver(self.dev, 0)
    }

    /// `nvmeq->delete_done`, of all queues: the end of a command that deletes one.
    pub fn delete_done(&self) -> WaitOn {
        WaitOn::Driver(self.dev, 1)
    }

    /// The request queues of all namespaces that are not being removed.
    pub fn ns_queues(&self) -> Vec<QueueId> {
        self.namespaces.iter().filter(|ns| !ns.removing).map(|ns| ns.queue).collect()
    }
}

impl NvmeId {
    /// `driver_data` of a controller's tag sets: the number of the controller, and which set it is.
    pub fn driver_data(self, admin: bool) -> u64 {
        u64::from(self.0) << 1 | u64::from(admin)
    }
}

impl Kernel {
    /// The controller behind a tag set (`set->driver_data`).
    pub fn nvme_of_set(&self, set: TagSetId) -> NvmeId {
        NvmeId((self.blk.set(set).driver_data >> 1) as u32)
    }
    /// The queue behind a hardware queue of the block layer (`hctx->driver_data`).
    pub fn nvmeq_of_hctx(&self, q: QueueId, hctx: u32) -> (NvmeId, u16) {
        let set = self.blk.q(q).tag_set;
        let admin = self.blk.set(set).driver_data & 1 != 0;
        (self.nvme_of_set(set), if admin { 0 } else { hctx as u16 + 1 })
    }
    /// The queue that a request was sent to.
    pub fn nvmeq_of_rq(&self, rq: ReqId) -> Option<(NvmeId, u16)> {
        let request = self.blk.requests.get(rq)?;
        Some(self.nvmeq_of_hctx(request.q, request.hctx))
    }
    /// The `dev_id` of a queue's interrupt, which in C is the queue's address.
    pub fn nvmeq_dev_id(&self, id: NvmeId, qid: u16) -> DevId {
        DevId::Driver(self.nvme.dev(id).dev, qid)
    }
}
