//! What the signals of a terminal do to a session.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use diagnostic::Context as _;
use nix::sys::termios::{SetArg, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// What a terminal is told so that it marks no more what is pasted.
const END_BRACKETED_PASTE: &[u8] = b"\x1b[?2004l";

/// How soon after a signal the program is over.
const SOON: Duration = Duration::from_millis(20);

/// A flag that is set at every interrupt, which ends nothing.
///
/// # Errors
/// When nobody can listen for signals.
pub fn interrupts() -> diagnostic::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&interrupted)).context(cannot_listen)?;
    Ok(interrupted)
}

fn cannot_listen() -> String {
    "cannot listen for signals".to_owned()
}

/// Ends the program at TERM and HUP whatever it is doing, after the terminal was given back.
///
/// # Errors
/// When nobody can listen for signals.
pub fn end_at_once(restore: impl Fn() + Send + 'static) -> diagnostic::Result<()> {
    let ended = Arc::new(AtomicUsize::new(0));
    for signal in [SIGTERM, SIGHUP] {
        let number = usize::try_from(signal).unwrap_or_default();
        signal_hook::flag::register_usize(signal, Arc::clone(&ended), number).context(cannot_listen)?;
    }
    // A handler may do next to nothing, so that somebody else looks whether it was called.
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(SOON);
            match ended.load(Ordering::Relaxed) {
                0 => {}
                signal => {
                    restore();
                    // As a shell tells it.
                    std::process::exit(128 + i32::try_from(signal).unwrap_or_default());
                }
            }
        }
    });
    Ok(())
}

/// Gives the terminal back as it is now.
pub fn terminal_restorer() -> impl Fn() + Send + 'static {
    let now = tcgetattr(io::stdin()).ok().map(std::sync::Mutex::new);
    move || {
        // Who edits lines asks that what is pasted is marked. The other thread may hold what buffers standard output.
        if io::stdout().is_terminal() {
            let _ = nix::unistd::write(io::stdout(), END_BRACKETED_PASTE);
        }
        if let Some(Ok(termios)) = now.as_ref().map(|now| now.lock()) {
            // There may be no terminal any more.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &termios);
        }
    }
}
