//! Work that several threads share. What comes of it does not depend on how many there are: results come back in the
//! order in which the work was given out.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Items of one thread's turn at the queue, so that the threads do not stand in line for it.
const TURN: usize = 4;

/// Work that nobody has taken yet.
struct Queue<T> {
    open: Mutex<Open<T>>,
    more: Condvar,
}

struct Open<T> {
    /// Each with its place among what was given out.
    items: VecDeque<(usize, T)>,
    closed: bool,
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self { open: Mutex::new(Open { items: VecDeque::new(), closed: false }), more: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Open<T>> {
        // A thread that panics takes the others with it; see `Death`.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, items: impl Iterator<Item = (usize, T)>) {
        self.lock().items.extend(items);
        self.more.notify_all();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.more.notify_all();
    }

    /// The next items; none where the queue is empty. A thread that `waits` gets none only once it is closed.
    fn take(&self, waits: bool) -> Vec<(usize, T)> {
        let mut open = self.lock();
        while waits && open.items.is_empty() && !open.closed {
            open = self.more.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
        let turn = open.items.len().min(TURN);
        open.items.drain(..turn).collect()
    }
}

/// Says that a thread panicked, so that nobody waits for its results.
struct Death<'a, R>(&'a Sender<Option<(usize, R)>>);

impl<R> Drop for Death<'_, R> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Whoever has left does not wait.
            let _ = self.0.send(None);
        }
    }
}

/// Closes the queue however its owner leaves.
struct Closing<'a, T>(&'a Queue<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Threads that wait for work, and the one that gives it out and works with them.
pub(super) struct Crew<'a, T, R, L> {
    queue: &'a Queue<T>,
    results: Receiver<Option<(usize, R)>>,
    work: &'a (dyn Fn(&mut L, T) -> R + Sync),
    /// What this thread works with.
    local: L,
    alone: bool,
}

impl<T, R, L> Crew<'_, T, R, L> {
    /// Does all of this, and returns the results in the same order.
    pub(super) fn all(&mut self, items: impl ExactSizeIterator<Item = T>) -> Vec<R> {
        if self.alone {
            return items.map(|item| (self.work)(&mut self.local, item)).collect();
        }
        let count = items.len();
        let mut results: Vec<Option<R>> = (0..count).map(|_| None).collect();
        self.queue.put(items.enumerate());
        let mut open = count;
        loop {
            let turn = self.queue.take(false);
            if turn.is_empty() {
                break;
            }
            for (at, item) in turn {
                results[at] = Some((self.work)(&mut self.local, item));
                open -= 1;
            }
        }
        while open > 0 {
            let Ok(Some((at, result))) = self.results.recv() else {
                panic!("a thread of the search has panicked, see above");
            };
            results[at] = Some(result);
            open -= 1;
        }
        results.into_iter().flatten().collect()
    }
}

/// Lets `lead` give out work that `jobs` threads do, this one among them. Each thread has something of its own to work with.
pub(super) fn crew<T: Send, R: Send, L: Default, X>(
    jobs: usize,
    work: impl Fn(&mut L, T) -> R + Sync,
    lead: impl FnOnce(&mut Crew<'_, T, R, L>) -> X,
) -> X {
    let queue = Queue::new();
    let (sender, results) = channel();
    let helpers = jobs.saturating_sub(1);
    let mut crew = Crew { queue: &queue, results, work: &work, local: L::default(), alone: helpers == 0 };
    std::thread::scope(|scope| {
        let closing = Closing(&queue);
        for _ in 0..helpers {
            let (sender, queue, work) = (sender.clone(), &queue, &work);
            scope.spawn(move || {
                let _death = Death(&sender);
                let mut local = L::default();
                loop {
                    let turn = queue.take(true);
                    if turn.is_empty() {
                        break;
                    }
                    for (at, item) in turn {
                        // Who has left does not need it any more.
                        let _ = sender.send(Some((at, work(&mut local, item))));
                    }
                }
            });
        }
        let result = lead(&mut crew);
        drop(closing);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whatever_the_number_of_threads() {
        for jobs in [0, 1, 2, 7] {
            let squares = crew(
                jobs,
                |(), n: u64| n * n,
                |crew| {
                    let mut all = Vec::new();
                    for round in [0..0, 0..1, 1..100] {
                        all.extend(crew.all(round.collect::<Vec<u64>>().into_iter()));
                    }
                    all
                },
            );
            assert_eq!(squares, (0..100).map(|n| n * n).collect::<Vec<u64>>(), "{jobs}");
        }
    }

    #[test]
    fn a_thread_that_panics_ends_the_search() {
        let ended = std::panic::catch_unwind(|| {
            crew(
                3,
                |(), n: u64| assert!(n != 50, "the model is broken"),
                |crew| crew.all((0..100).collect::<Vec<u64>>().into_iter()).len(),
            )
        });
        assert!(ended.is_err());
    }
}
