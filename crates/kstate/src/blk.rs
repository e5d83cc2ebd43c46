//! Queues, tags, requests and queue maps of the block layer (include/linux/blk-mq.h, blkdev.h).

use crate::arena::Arena;
use crate::copied::clone_by_field;
use crate::event::EventKey;
use crate::hw::nvme::NvmeCommand;
use crate::list::List;
use crate::named::by_name;
use crate::sched::Call;
use crate::shared::Shared;
use crate::sorted::SortedMap;
use crate::{CpuId, CpuMask, Kernel, ReqId, TaskId};

pub use crate::ids::{DiskId, QueueId, TagSetId};

/// `HCTX_MAX_TYPES`: kinds of hardware queues a tag set can map.
pub const HCTX_MAX_TYPES: usize = 3;

/// `enum hctx_type`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum HctxType {
    /// All I/O that has no queues of its own kind.
    #[default]
    Default,
    /// Reads only.
    Read,
    /// Polled I/O.
    Poll,
}

impl HctxType {
    /// All kinds, in the order of their maps.
    pub const ALL: [Self; HCTX_MAX_TYPES] = [Self::Default, Self::Read, Self::Poll];
}

/// `blk_status_t`, as far as a driver's `queue_rq` or a completion uses it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum BlkStatus {
    /// Done, or taken by the device.
    #[default]
    Ok,
    /// Try again when a request of this queue has completed.
    DevResource,
    /// Try again later.
    Resource,
    /// Failed.
    IoErr,
}

/// `struct blk_mq_ops`: what a driver gives to the block layer. The C field names are kept.
#[derive(Clone, Copy)]
pub struct BlkMqOps {
    /// Name of the C table, which identifies it.
    pub name: &'static str,
    /// Gives a request to the device: queue, index of the hardware queue, request, and whether
    /// the doorbell has to be rung now.
    pub queue_rq: fn(&mut Kernel, QueueId, u32, ReqId, bool) -> BlkStatus,
    /// Ends a request whose completion the device has reported.
    pub complete: fn(&mut Kernel, ReqId),
    /// Fills `TagSet::map`; without it all types use `blk_mq_map_queues`.
    pub map_queues: Option<fn(&mut Kernel, TagSetId)>,
    /// A hardware queue comes into being.
    pub init_hctx: Option<fn(&mut Kernel, QueueId, u32)>,
    /// A hardware queue goes away.
    pub exit_hctx: Option<fn(&mut Kernel, QueueId, u32)>,
    /// Looks for completions without an interrupt; how many were found.
    pub poll: Option<fn(&mut Kernel, QueueId, u32) -> u32>,
    /// Gives a list of requests to the device at once, when a plug is flushed (5.16 and later).
    /// Those it does not take are returned.
    pub queue_rqs: Option<fn(&mut Kernel, &[ReqId]) -> Vec<ReqId>>,
    /// A request was not completed in time. The frame's value is true when the request has been
    /// dealt with (`BLK_EH_DONE`), false when it gets more time (`BLK_EH_RESET_TIMER`).
    pub timeout: Option<fn(ReqId) -> Call<bool>>,
}

by_name! { BlkMqOps }

/// A request's `end_io` callback, with its C name.
#[derive(Clone, Copy)]
pub struct EndIo {
    /// The C name.
    pub name: &'static str,
    /// The callback. The request still exists when it runs and is freed by it.
    pub call: fn(&mut Kernel, ReqId),
}

by_name! { EndIo }

/// `struct blk_mq_queue_map`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct QueueMap {
    /// Hardware queue of every possible CPU, by number.
    pub mq_map: List<u32>,
    /// How many hardware queues this map has.
    pub nr_queues: u32,
    /// Its first hardware queue.
    pub queue_offset: u32,
}

/// `struct blk_mq_tags`: the requests of one hardware queue that hold a tag.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tags {
    /// `nr_tags`.
    pub nr_tags: u32,
    /// `nr_reserved_tags`: the lowest ones.
    pub nr_reserved_tags: u32,
    /// `rqs`: holders by tag.
    pub rqs: SortedMap<u32, ReqId>,
}

impl Tags {
    /// The lowest free tag; `None` when all are taken.
    pub fn lowest_free(&self, reserved: bool) -> Option<u32> {
        let range = if reserved { 0..self.nr_reserved_tags } else { self.nr_reserved_tags..self.nr_tags };
        let mut next = range.start;
        for &tag in self.rqs.range(range.clone()).map(|(tag, _)| tag) {
            if tag != next {
                break;
            }
            next += 1;
        }
        (next < range.end).then_some(next)
    }
}

/// `struct blk_mq_tag_set`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TagSet {
    /// The driver's table.
    pub ops: BlkMqOps,
    /// `driver_data`: what the driver of `ops` finds its device by.
    pub driver_data: u64,
    /// Maps from CPU to hardware queue, by `HctxType`.
    pub map: [QueueMap; HCTX_MAX_TYPES],
    /// How many of the maps are used.
    pub nr_maps: u32,
    /// Hardware queues.
    pub nr_hw_queues: u32,
    /// Tags of each hardware queue.
    pub queue_depth: u32,
    /// Of which reserved.
    pub reserved_tags: u32,
    /// Nanoseconds until `BlkMqOps::timeout` is called for a request; 0 for never.
    pub timeout: u64,
    /// By hardware queue.
    pub tags: Vec<Tags>,
    /// The request queues that share it.
    pub tag_list: Vec<QueueId>,
}

/// `struct blk_mq_hw_ctx`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct HwCtx {
    /// Its number.
    pub queue_num: u32,
    /// Its kind.
    pub ty: HctxType,
    /// The CPUs that submit to it.
    pub cpumask: CpuMask,
    /// The same with the isolated CPUs, which submit to it too: what a walk over `mq_map` finds.
    pub mapped_cpus: CpuMask,
    /// Number of software queues mapped to it.
    pub nr_ctx: u32,
    /// `BLK_MQ_S_INACTIVE`: the last CPU of `cpumask` goes or is gone, no new tags are given out
    /// (5.8 and later).
    pub inactive: bool,
    /// A worker is going to run it (`run_work`).
    pub run_work: bool,
    /// Requests the driver refused for lack of room, in order.
    pub dispatch: Vec<ReqId>,
}

/// `struct request_queue`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct RequestQueue {
    /// The tag set.
    pub tag_set: TagSetId,
    /// Hardware queues.
    pub queue_hw_ctx: Vec<HwCtx>,
    /// `mq_freeze_depth`: no request can enter while it is not 0.
    pub mq_freeze_depth: u32,
    /// `q_usage_counter`: requests that have entered.
    pub q_usage_counter: u32,
    /// `QUEUE_FLAG_QUIESCED`: nothing is given to the driver.
    pub quiesced: bool,
    /// `QUEUE_FLAG_DYING`: requests that want to enter fail.
    pub dying: bool,
    /// `elevator`: an I/O scheduler holds requests until a worker takes them.
    pub elevator: bool,
    /// `limits.max_sectors`: a request has no more sectors of 512 bytes than this; 0 before a driver said so.
    pub max_sectors: u32,
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ReqOp {
    /// `REQ_OP_READ`.
    #[default]
    Read,
    /// `REQ_OP_WRITE`.
    Write,
    /// `REQ_OP_DRV_IN` or `REQ_OP_DRV_OUT`: the driver's own command.
    Drv,
}

impl crate::sched::Slot for ReqOp {
    fn to_slot(self) -> u64 {
        self as u64
    }
    fn from_slot(slot: u64) -> Self {
        match slot {
            0 => Self::Read,
            1 => Self::Write,
            _ => Self::Drv,
        }
    }
}

/// `enum mq_rq_state`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum RqState {
    /// Not started.
    #[default]
    Idle,
    /// With the device.
    InFlight,
    /// The device is done, the owner does not know yet.
    Complete,
}

/// `struct request`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Request {
    /// Its queue.
    pub q: QueueId,
    /// Its hardware queue (`mq_hctx->queue_num`).
    pub hctx: u32,
    /// Its tag.
    pub tag: u32,
    /// The CPU that submitted it (`mq_ctx->cpu`).
    pub cpu: CpuId,
    /// What it asks for.
    pub op: ReqOp,
    /// First sector, in units of 512 bytes.
    pub sector: u64,
    /// Number of sectors.
    pub nr_sectors: u32,
    /// `REQ_HIPRI` or `REQ_POLLED`: completed by polling.
    pub polled: bool,
    /// Where it is.
    pub state: RqState,
    /// `end_io` ran: the waiter may read the result.
    pub done: bool,
    /// The pending timeout.
    pub timer: Option<EventKey>,
    /// Who is told; without it the waiter is woken.
    pub end_io: Option<EndIo>,
    /// Who waits for it (`rq->end_io_data`).
    pub waiter: Option<TaskId>,
    /// The request that the same reader made next.
    pub next: Option<ReqId>,
    /// A queue of the driver that the callback needs (`end_io_data`).
    pub end_io_data: u64,
    /// The driver has asked the device to abort it.
    pub aborted: bool,
    /// How often the driver has tried again.
    pub retries: u8,
    /// The device's status; 0 is success.
    pub status: u16,
    /// The device's result.
    pub result: u64,
    /// The driver's command, for a passthrough request of NVMe.
    pub cmd: NvmeCommand,
}

/// `struct gendisk`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Gendisk {
    /// `disk_name`.
    pub disk_name: String,
    /// The queue.
    pub queue: QueueId,
    /// Size in sectors of 512 bytes.
    pub capacity: u64,
    /// `bd_openers`: how many have it open.
    pub openers: u32,
    /// What the opened file says of its size (`i_size` of `bd_inode`), in sectors of 512 bytes. 6.12 has one
    /// number for both.
    pub bd_size: u64,
    /// `del_gendisk()` took its name away. It stays for those who have it open.
    pub gone: bool,
    /// `major`: the number of its driver, or that of all drivers without one.
    pub major: u32,
    /// `first_minor`: its own number.
    pub first_minor: u32,
    /// `minors`: how many numbers are kept for it and its partitions, 0 where each gets one when it is found.
    pub minors: u32,
}

/// Puts `value` where something was freed, or behind everything. Where that is.
pub fn fill_slot<T>(slots: &mut Vec<Option<Shared<T>>>, value: T) -> u32 {
    let at = slots.iter().position(Option::is_none).unwrap_or(slots.len());
    if at == slots.len() {
        slots.push(None);
    }
    slots[at] = Some(Shared::new(value));
    at as u32
}

/// All of block/.
#[derive(PartialEq, Eq, Hash, Debug, Default)]
pub struct Blk {
    /// Tag sets; a freed one stays as `None`.
    pub tag_sets: Vec<Option<Shared<TagSet>>>,
    /// Request queues; a freed one stays as `None`.
    pub queues: Vec<Option<Shared<RequestQueue>>>,
    /// Disks; a removed one that nobody has open stays as `None`.
    pub disks: Vec<Option<Shared<Gendisk>>>,
    /// All requests that hold a tag, and those whose owner has not read the result yet.
    pub requests: Shared<Arena<ReqId, Request>>,
    /// `blk_cpu_done`, by CPU: completed requests whose `complete` callback is to run there.
    pub blk_cpu_done: Vec<Vec<ReqId>>,
    /// CPUs with `BLOCK_SOFTIRQ` raised.
    pub softirq_pending: CpuMask,
}

clone_by_field! {
    Blk { tag_sets, queues, disks, requests, blk_cpu_done, softirq_pending }
}

impl Blk {
    /// CPUs with block softirqs to run, ascending.
    #[inline]
    pub fn softirq_cpus(&self) -> impl Iterator<Item = CpuId> + '_ {
        self.softirq_pending.iter()
    }
    /// The disk with this name.
    pub fn disk_by_name(&self, name: &str) -> Option<DiskId> {
        self.disks
            .iter()
            .position(|d| d.as_ref().is_some_and(|d| d.disk_name == name && !d.gone))
            .map(|i| DiskId(i as u32))
    }
    /// The disk, unless it was removed and nobody has it open.
    pub fn disk(&self, disk: DiskId) -> Option<&Gendisk> {
        self.disks.get(disk.index())?.as_deref()
    }
    /// The same, mutably.
    pub fn disk_mut(&mut self, disk: DiskId) -> Option<&mut Gendisk> {
        self.disks.get_mut(disk.index())?.as_deref_mut()
    }
    /// The request queue, unless it was freed.
    pub fn find_q(&self, q: QueueId) -> Option<&RequestQueue> {
        self.queues.get(q.index())?.as_deref()
    }
    /// The request queue, which must exist.
    pub fn q(&self, q: QueueId) -> &RequestQueue {
        self.queues[q.index()].as_deref().expect("a request queue that was freed")
    }
    /// The request queue, mutably.
    pub fn q_mut(&mut self, q: QueueId) -> &mut RequestQueue {
        self.queues[q.index()].as_deref_mut().expect("a request queue that was freed")
    }
    /// The tag set, which must exist.
    pub fn set(&self, set: TagSetId) -> &TagSet {
        self.tag_sets[set.index()].as_deref().expect("a tag set that was freed")
    }
    /// The tag set, mutably.
    pub fn set_mut(&mut self, set: TagSetId) -> &mut TagSet {
        self.tag_sets[set.index()].as_deref_mut().expect("a tag set that was freed")
    }
    /// `queuedata`: what the driver knows a queue by. Here it is what it knows the queue's tag set by.
    pub fn queuedata(&self, q: QueueId) -> u64 {
        self.set(self.q(q).tag_set).driver_data
    }
    /// The driver's table of a queue.
    pub fn ops(&self, q: QueueId) -> BlkMqOps {
        self.set(self.q(q).tag_set).ops
    }
}
