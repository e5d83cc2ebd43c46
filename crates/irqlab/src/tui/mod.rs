//! `irqlab tui`: the machine on a whole screen.
//!
//! # Architecture
//! [`app::App`] holds a [`Session`](debugger::Session) and what the screen remembers
//! ([`app::Ui`]); keys and the mouse change these two. [`draw::screen`] draws from
//! [`View`](debugger::View) and `Ui` and from nothing else. This module has what touches the
//! terminal: it takes it over, reads events, and gives it back however the program ends.

use std::io::{self, IsTerminal as _, stdout};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use debugger::{Attendant, Session};
use diagnostic::Context as _;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event,
    KeyCode, KeyModifiers,
};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use crate::{sh, signals};

mod app;
mod draw;
mod layout;
#[cfg(test)]
mod tests;

use app::{App, Ui};

/// Options of `irqlab tui`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    start: sh::Start,
}

/// How long a screen on which nothing happens stays as it is.
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
    let sh::Begun { session, lines, note } = sh::session(&args.start)?;
    let interrupted = signals::interrupts()?;
    signals::end_at_once(restore)?;
    let taken = Taken::new().context(|| "cannot take the terminal".to_owned())?;
    let result = interact(session, &lines, note, &interrupted);
    drop(taken);
    result.context(|| "cannot draw on the terminal".to_owned())?;
    Ok(ExitCode::SUCCESS)
}

type Screen = Terminal<CrosstermBackend<io::Stdout>>;

/// Keeps the screen alive while the session is at work: it draws what there is, and Ctrl-C and Esc stop the machine.
struct Watchman {
    terminal: Arc<Mutex<Screen>>,
    ui: Arc<Mutex<Ui>>,
    interrupted: Arc<AtomicBool>,
    asked: Option<Instant>,
    since: Option<Instant>,
    drawn: Option<Instant>,
    /// How long the last picture took: drawing is not what the time is for.
    took: Duration,
}

/// A command that is over before that needs no picture of its own.
const SOON: Duration = Duration::from_millis(150);

impl Attendant for Watchman {
    fn goes_on(&mut self, session: &Session) -> bool {
        let now = Instant::now();
        if self.asked.is_none_or(|asked| now - asked > SOON) {
            (self.since, self.drawn) = (Some(now), None);
        }
        self.asked = Some(now);
        let waited = self.since.is_some_and(|since| now - since > SOON);
        let due = SOON.max(self.took * 4);
        if waited && self.drawn.is_none_or(|drawn| now - drawn > due) {
            while event::poll(Duration::ZERO).unwrap_or(false) {
                if let Ok(Event::Key(key)) = event::read() {
                    let control = key.modifiers.contains(KeyModifiers::CONTROL);
                    let stops = key.code == KeyCode::Esc || (control && key.code == KeyCode::Char('c'));
                    self.interrupted.fetch_or(stops, Ordering::Relaxed);
                }
            }
            let mut ui = lock(&self.ui);
            ui.note = format!("running: step {}; ^C stops the machine", session.step());
            let view = session.view();
            // What cannot be drawn now is drawn when the command is over, or told then.
            let _ = lock(&self.terminal).draw(|frame| draw::screen(frame, &view, &ui));
            self.took = now.elapsed();
            self.drawn = Some(Instant::now());
            self.asked = self.drawn;
        }
        !self.interrupted.swap(false, Ordering::Relaxed)
    }
}

/// What a picture that failed has left is as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn interact(
    mut session: Session,
    lines: &[String],
    note: Option<String>,
    interrupted: &Arc<AtomicBool>,
) -> io::Result<()> {
    let terminal = Arc::new(Mutex::new(Terminal::new(CrosstermBackend::new(stdout()))?));
    let ui = Arc::new(Mutex::new(Ui::default()));
    session.attend(Box::new(Watchman {
        terminal: Arc::clone(&terminal),
        ui: Arc::clone(&ui),
        interrupted: Arc::clone(interrupted),
        asked: None,
        since: None,
        drawn: None,
        took: Duration::ZERO,
    }));
    let mut app = App::new(session);
    app.shows_while_running(ui);
    app.begin(lines, note);
    while !app.is_over() {
        lock(&terminal).draw(|frame| app.draw(frame))?;
        if !event::poll(PATIENCE)? {
            continue;
        }
        let size = lock(&terminal).size()?;
        // What came while nothing ran stops nothing.
        interrupted.store(false, Ordering::Relaxed);
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
