//! `irqlab tui`: the machine on a whole screen.
//!
//! # Architecture
//! [`app::App`] holds a [`Session`](debugger::Session) and what the screen remembers
//! ([`app::Ui`]); keys and the mouse change these two. [`draw::screen`] draws from
//! [`View`](debugger::View) and `Ui` and from nothing else. This module has what touches the
//! terminal: it takes it over, reads events, and gives it back however the program ends.

use std::io::{self, IsTerminal as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diagnostic::Context as _;
use irqlab::KernelVersion;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event,
};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use crate::input::kernel;
use crate::sh;

mod app;
mod draw;
mod layout;
#[cfg(test)]
mod tests;

use app::App;

/// Options of `irqlab tui`.
#[derive(clap::Args)]
pub struct Args {
    /// Kernel of the embedded machine, or instead of the machine file's
    #[arg(long, value_name = "VERSION", value_parser = kernel)]
    kernel: Option<KernelVersion>,
    /// Machine file instead of the embedded machine
    #[arg(long, value_name = "FILE")]
    machine: Option<PathBuf>,
}

/// How often it is looked whether the program was told to end.
const PATIENCE: Duration = Duration::from_millis(200);

/// Gives the terminal back.
fn restore() {
    // Whatever of this fails, the rest is still worth doing.
    let _ = execute!(stdout(), DisableBracketedPaste, DisableMouseCapture, LeaveAlternateScreen);
    let _ = execute!(stdout(), ratatui::crossterm::cursor::Show);
    let _ = disable_raw_mode();
}

/// The terminal is taken over for as long as this lives.
struct Taken;

impl Taken {
    fn new() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Else the message is lost with the screen it is printed on.
            restore();
            before(info);
        }));
        enable_raw_mode()?;
        let taken = Self;
        execute!(stdout(), EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        restore();
    }
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    for (is_terminal, what) in [(io::stdin().is_terminal(), "input"), (stdout().is_terminal(), "output")] {
        if !is_terminal {
            return Err(diagnostic::report!(
                help = "`irqlab sh` reads lines from wherever they come, `irqlab run` runs a script",
                "`irqlab tui` needs a terminal, and standard {what} is none"
            ));
        }
    }
    let session = sh::session(args.machine.as_deref(), args.kernel)?;
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&ended))
            .context(|| "cannot listen for signals".to_owned())?;
    }
    let taken = Taken::new().context(|| "cannot take the terminal".to_owned())?;
    let result = interact(&mut App::new(session), &ended);
    drop(taken);
    result.context(|| "cannot draw on the terminal".to_owned())?;
    Ok(ExitCode::SUCCESS)
}

fn interact(app: &mut App, ended: &AtomicBool) -> io::Result<()> {
    let mut terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
    while !app.is_over() && !ended.load(Ordering::Relaxed) {
        terminal.draw(|frame| app.draw(frame))?;
        if !event::poll(PATIENCE)? {
            continue;
        }
        let size = terminal.size()?;
        // What came meanwhile is done before the next picture: a mouse that is dragged sends more
        // than anybody sees.
        loop {
            match event::read()? {
                Event::Key(key) => app.key(key),
                Event::Mouse(mouse) => app.mouse(mouse, size),
                Event::Paste(text) => app.paste(&text),
                Event::Resize(..) | Event::FocusGained | Event::FocusLost => {}
            }
            if app.is_over() || !event::poll(Duration::ZERO)? {
                break;
            }
        }
    }
    Ok(())
}
