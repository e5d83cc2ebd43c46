//! Work that is left to a worker (include/linux/workqueue.h, kernel/workqueue.c).

use crate::named::by_name;
use crate::sched::Call;
use crate::{Kernel, TaskId, WorkId};

/// `work_func_t`: what a worker does. The name identifies it.
#[derive(Clone, Copy)]
pub struct WorkFunc {
    /// The C name.
    pub name: &'static str,
    /// The function, for the owner's number (in C the work is a part of its owner).
    pub call: fn(&Kernel, u32) -> Call<()>,
}

by_name! { WorkFunc }

/// `struct work_struct`. One piece of work never runs twice at a time.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct WorkStruct {
    /// What is to do.
    pub func: WorkFunc,
    /// For whom, in the owner's numbering.
    pub owner: u32,
    /// The worker that has it, while it is queued or runs.
    pub worker: Option<TaskId>,
    /// The worker has begun.
    pub running: bool,
    /// It was queued again since the worker has begun.
    pub again: bool,
}

/// `struct workqueue_struct`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkqueueStruct {
    /// Its name.
    pub name: &'static str,
    /// `WQ_UNBOUND`: its workers belong to no CPU.
    pub unbound: bool,
}

impl Kernel {
    /// A piece of work, which must exist.
    pub fn work(&self, work: WorkId) -> &WorkStruct {
        &self.sched.works[work.index()]
    }
    /// A piece of work, mutably.
    pub fn work_mut(&mut self, work: WorkId) -> &mut WorkStruct {
        &mut self.sched.works[work.index()]
    }
}
