//! What a request and a session may use.

use core::time::Duration;

/// Bytes of a request's body. A script or a machine file is much smaller.
pub const BODY: usize = 256 << 10;
/// Connections at a time; the next one waits.
pub const CONNECTIONS: usize = 64;
/// How long the head of a request may take, and its body.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// Sessions at a time. One more, and the one that was used least recently is closed.
pub const SESSIONS: usize = 16;
/// How long a line may run; it is interrupted then, with what it did so far.
pub const LINE_TIME: Duration = Duration::from_secs(5);
/// How long a machine may take to boot, and a page to be made, before the client is told that it takes too long.
pub const WORK_TIME: Duration = Duration::from_secs(60);
/// Records of a session.
pub const RECORDS: usize = 100_000;
/// Steps of a session.
pub const STEPS: u64 = 200_000;
/// Bytes that a line may print.
pub const PRINTED: usize = 1 << 20;
/// Weight of a machine that is opened: its CPUs and the messages that its devices may send. Memory grows with both.
pub const WEIGHT: usize = 1024;
/// Weight of all machines that are open. One more, and those that were used least recently are closed.
pub const WEIGHTS: usize = 2048;
/// Bytes that `:save` and `:export` give to a browser.
pub const SAVED: usize = 16 << 20;
/// States of the past that a session keeps. What goes back runs from the one before.
pub const STATES: usize = 12;
/// Resident memory of the whole server in MiB, whatever its clients do. A test fills it.
pub const MEMORY_MIB: usize = 1024;
