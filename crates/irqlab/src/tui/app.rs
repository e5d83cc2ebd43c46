//! What keys and the mouse do.

use std::sync::{Arc, Mutex, PoisonError};

use debugger::{Reply, Session};
use kstate::apic::VectorIrq;
use kstate::{Irq, Kernel};
use ratatui::Frame;
use ratatui::crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::{Position, Rect, Size};

use super::draw::{self, Part};
use super::layout::Areas;
use crate::sh::write_saved;

/// Lines of what was printed that are remembered.
const REMEMBERED: usize = 10_000;

/// What the screen remembers beside the session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ui {
    /// What stands before the line.
    pub prompt: String,
    /// The line that is typed.
    pub input: String,
    /// Where in the line the next character goes, in bytes.
    pub at: usize,
    /// What is said while nothing is typed.
    pub note: String,
    /// What was typed and printed.
    pub printed: Vec<String>,
    /// What was printed is looked at.
    pub shows_output: bool,
    /// Lines that were scrolled.
    pub scroll: u16,
    /// The interrupt that was chosen.
    pub irq: Option<Irq>,
    /// The steps are listed in place of the calls.
    pub lists_steps: bool,
    /// What the function under the cursor is for takes the place of the interrupt.
    pub explains: bool,
    /// What is inside a call that is over is not shown.
    pub fold: bool,
    /// Columns by which the tree is moved to the left, beside what its depth asks for.
    pub left: u16,
    /// CPUs and columns by which the map is moved.
    pub map: (i16, i16),
    /// The help is open.
    pub help: bool,
    /// The words of the lab, for the help.
    pub words: String,
}

/// The program: a session, and a screen that shows it.
#[derive(Debug)]
pub struct App {
    session: Session,
    ui: Ui,
    /// The beginning of something that wants to be typed on.
    pending: String,
    history: Vec<String>,
    /// The line of the history that is shown, counted from the last; 0 is the line that is typed.
    past: usize,
    /// The mouse was pressed on the time bar.
    dragging: bool,
    over: bool,
    /// What is drawn while the session is at work.
    running: Option<Arc<Mutex<Ui>>>,
}

impl App {
    /// A screen for a session.
    pub fn new(mut session: Session) -> Self {
        let ui = Ui { words: session.line(":help").text, ..Ui::default() };
        let mut app = Self {
            session,
            ui,
            pending: String::new(),
            history: Vec::new(),
            past: 0,
            dragging: false,
            over: false,
            running: None,
        };
        app.ui.note = "type a command of the shell or a word of the lab".to_owned();
        app.prompt();
        app
    }

    /// Says what whoever draws while the session is at work gets to see of the screen's own.
    pub fn shows_while_running(&mut self, ui: Arc<Mutex<Ui>>) {
        self.running = Some(ui);
    }

    /// Types lines before anybody else does.
    pub fn begin(&mut self, lines: &[String], note: Option<String>) {
        if let Some(note) = note {
            self.print(&format!("# {note}"));
        }
        for line in lines {
            self.ui.input.clone_from(line);
            self.enter();
        }
        self.prompt();
    }

    /// Does a line; the screen stays alive meanwhile.
    fn work(&mut self, text: &str) -> Reply {
        if let Some(running) = &self.running {
            running.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.ui);
        }
        self.session.line(text)
    }

    /// The user has left.
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Draws the screen.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        draw::screen(frame, &self.session.view(), &self.ui);
    }

    fn prompt(&mut self) {
        self.ui.prompt = match (self.pending.is_empty(), self.session.is_busy()) {
            (false, _) => "> ".to_owned(),
            (true, true) => format!("(step {}) # ", self.session.step()),
            (true, false) => "# ".to_owned(),
        };
    }

    /// A key was pressed.
    pub fn key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        if self.ui.help {
            match key.code {
                KeyCode::Down | KeyCode::PageDown => self.ui.scroll = self.ui.scroll.saturating_add(1),
                KeyCode::Up | KeyCode::PageUp => self.ui.scroll = self.ui.scroll.saturating_sub(1),
                _ => (self.ui.help, self.ui.scroll) = (false, 0),
            }
            return;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let shift = key.modifiers.contains(KeyModifiers::SHIFT);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let empty = self.ui.input.is_empty();
        match key.code {
            KeyCode::Char('d') if control => self.over |= empty,
            KeyCode::Char('c') if control => {
                self.ui.note = if empty { "^D leaves".to_owned() } else { String::new() };
                self.pending.clear();
                self.clear();
            }
            KeyCode::Char('u') if control => self.clear(),
            KeyCode::Char('l') if control => self.ui.lists_steps = !self.ui.lists_steps,
            KeyCode::Char('f') if control => self.ui.fold = !self.ui.fold,
            KeyCode::Char('e') if control => self.ui.explains = !self.ui.explains,
            KeyCode::F(2) => self.ui.explains = !self.ui.explains,
            KeyCode::Left if shift => self.ui.left = self.ui.left.saturating_sub(8),
            KeyCode::Right if shift => self.ui.left = self.ui.left.saturating_add(8).min(400),
            KeyCode::Up if alt => self.ui.map.0 = self.ui.map.0.saturating_sub(1),
            KeyCode::Down if alt => self.ui.map.0 = self.ui.map.0.saturating_add(1),
            KeyCode::Left if alt => self.ui.map.1 = self.ui.map.1.saturating_sub(8),
            KeyCode::Right if alt => self.ui.map.1 = self.ui.map.1.saturating_add(8),
            KeyCode::Char('/') if empty => {
                ":find ".clone_into(&mut self.ui.input);
                self.ui.at = self.ui.input.len();
            }
            KeyCode::Char('n') if control => self.choose(1),
            KeyCode::Char('p') if control => self.choose(-1),
            KeyCode::Char('?') if empty => (self.ui.help, self.ui.scroll) = (true, 0),
            KeyCode::Char(_) if control || key.modifiers.contains(KeyModifiers::ALT) => {}
            KeyCode::Char(c) => self.insert(c),
            KeyCode::Backspace => self.backspace(),
            KeyCode::Delete if self.ui.at < self.ui.input.len() => {
                self.ui.input.remove(self.ui.at);
            }
            KeyCode::Enter => self.enter(),
            KeyCode::Tab if empty => {
                self.ui.shows_output = !self.ui.shows_output;
                self.ui.scroll = 0;
            }
            KeyCode::Tab => self.complete(),
            KeyCode::Esc => {
                self.ui.irq = None;
                (self.ui.left, self.ui.map) = (0, (0, 0));
                self.ui.note.clear();
                self.clear();
            }
            KeyCode::Up => self.recall(1),
            KeyCode::Down => self.recall(-1),
            KeyCode::Left if empty => self.backward(),
            KeyCode::Right if empty => self.forward(),
            KeyCode::Left => self.ui.at -= self.before().map_or(0, char::len_utf8),
            KeyCode::Right => {
                self.ui.at += self.ui.input[self.ui.at..].chars().next().map_or(0, char::len_utf8);
            }
            KeyCode::Home if !empty => self.ui.at = 0,
            KeyCode::End if !empty => self.ui.at = self.ui.input.len(),
            KeyCode::Home => self.goto(0),
            KeyCode::End => self.goto(self.session.view().end),
            KeyCode::PageUp => self.walk(":back"),
            KeyCode::PageDown => self.walk(":step"),
            KeyCode::F(1) => (self.ui.help, self.ui.scroll) = (true, 0),
            KeyCode::F(5) => self.walk(":continue"),
            KeyCode::F(8) => self.walk(":next"),
            KeyCode::F(9) => self.walk(":finish"),
            _ => {}
        }
        self.prompt();
    }

    /// Text was pasted: what has a line's end is a line.
    pub fn paste(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' | '\r' => self.enter(),
                c if c.is_control() => {}
                c => self.insert(c),
            }
        }
        self.prompt();
    }

    /// The mouse did something on a screen of this size.
    pub fn mouse(&mut self, mouse: MouseEvent, size: Size) {
        let screen = Rect::new(0, 0, size.width, size.height);
        let view = self.session.view();
        let Some(areas) = Areas::of(screen, draw::cpus(view.k), self.ui.shows_output) else { return };
        let place = Position { x: mouse.column, y: mouse.row };
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => {
                if areas.bar.contains(place) {
                    self.dragging = true;
                    let step = areas.step_at(place.x, view.end);
                    self.goto(step);
                } else if areas.calls.contains(place) {
                    if draw::lists_steps(&view, &self.ui) {
                        if let Some(step) = draw::step_at(&view, areas.calls, place.y) {
                            self.goto(step);
                        }
                    } else {
                        let line = draw::call_at(&view, &self.ui, areas.calls, place.y);
                        if let Some(record) = line.and_then(|line| view.calls[line].record) {
                            self.session.point(record);
                        }
                    }
                } else if areas.map.contains(place) {
                    let part = Part::of(areas.map, view.k, self.ui.irq.or(view.irq), self.ui.map);
                    self.ui.irq = part.at(areas.map, place).and_then(|(cpu, vector)| {
                        match view.k.apic.cpus.get(cpu.index())?.vector_irq.get(vector) {
                            VectorIrq::Desc(irq) => Some(irq),
                            VectorIrq::Unused | VectorIrq::Shutdown | VectorIrq::Retriggered => None,
                        }
                    });
                }
            }
            MouseEventKind::Drag(MouseButton::Left) if self.dragging => {
                let step = areas.step_at(place.x, view.end);
                self.goto(step);
            }
            MouseEventKind::Up(_) => self.dragging = false,
            MouseEventKind::ScrollUp if areas.output.contains(place) => {
                let most = u16::try_from(self.ui.printed.len()).unwrap_or(u16::MAX);
                self.ui.scroll = (self.ui.scroll + 1).min(most);
            }
            MouseEventKind::ScrollDown if areas.output.contains(place) => {
                self.ui.scroll = self.ui.scroll.saturating_sub(1);
            }
            MouseEventKind::ScrollUp => self.backward(),
            MouseEventKind::ScrollDown => self.forward(),
            _ => {}
        }
        self.prompt();
    }

    // The line.

    fn before(&self) -> Option<char> {
        self.ui.input[..self.ui.at].chars().next_back()
    }

    fn insert(&mut self, c: char) {
        self.ui.input.insert(self.ui.at, c);
        self.ui.at += c.len_utf8();
    }

    fn backspace(&mut self) {
        if let Some(c) = self.before() {
            self.ui.at -= c.len_utf8();
            self.ui.input.remove(self.ui.at);
        }
    }

    fn clear(&mut self) {
        self.ui.input.clear();
        (self.ui.at, self.past) = (0, 0);
    }

    fn recall(&mut self, by: isize) {
        let past = self.past.saturating_add_signed(by).min(self.history.len());
        let line = self.history.len().checked_sub(past).and_then(|at| self.history.get(at));
        self.ui.input = line.cloned().unwrap_or_default();
        (self.ui.at, self.past) = (self.ui.input.len(), past);
    }

    fn complete(&mut self) {
        let (start, words) = self.session.complete(&self.ui.input[..self.ui.at]);
        let Some(first) = words.first() else { return };
        let same = |word: &str| {
            let pairs = first.char_indices().zip(word.chars());
            pairs.take_while(|((_, a), b)| a == b).last().map_or(0, |((at, a), _)| at + a.len_utf8())
        };
        let common = words.iter().map(|word| same(word)).min().unwrap_or(0);
        let mut found = first[..common].to_owned();
        if words.len() == 1 && !found.ends_with(['/', '=']) {
            found.push(' ');
        }
        if words.len() > 1 && start + found.len() <= self.ui.at {
            self.print(&format!("{}\n", words.join("  ")));
            self.ui.shows_output = true;
            return;
        }
        self.ui.input.replace_range(start..self.ui.at, &found);
        self.ui.at = start + found.len();
    }

    fn print(&mut self, text: &str) {
        self.ui.printed.extend(text.lines().map(|line| line.replace('\t', "        ")));
        let gone = self.ui.printed.len().saturating_sub(REMEMBERED);
        self.ui.printed.drain(..gone);
        self.ui.scroll = 0;
    }

    fn enter(&mut self) {
        let line = core::mem::take(&mut self.ui.input);
        self.clear();
        self.ui.note.clear();
        if line.trim().is_empty() && self.pending.is_empty() {
            return;
        }
        if self.history.last() != Some(&line) {
            self.history.push(line.clone());
        }
        let prompt = if self.pending.is_empty() { "# " } else { "> " };
        self.print(&format!("{prompt}{line}"));
        self.pending.push_str(&line);
        self.pending.push('\n');
        let text = if self.pending.trim_start().starts_with(':') { &line } else { &self.pending };
        let text = text.clone();
        let before = self.session.step();
        let reply = self.work(&text);
        if reply.incomplete {
            return;
        }
        self.pending.clear();
        self.print(&reply.text);
        let said = !reply.text.is_empty();
        if let Some(saved) = reply.save {
            self.ui.note = write_saved(&saved).unwrap_or_else(|said| said);
            let note = self.ui.note.clone();
            self.print(&note);
        }
        self.over = reply.quit;
        let moved = self.session.step() != before || self.session.view().calls.iter().any(|c| c.here);
        let stands = self.session.is_busy() || line.trim_start().starts_with(':');
        self.ui.shows_output = said && !(moved && stands);
        if moved && stands {
            self.ui.note = reply.text.lines().next().unwrap_or("").to_owned();
        }
    }

    // Time.

    fn walk(&mut self, word: &str) {
        let text = self.work(word).text;
        self.moved(&text);
    }

    fn moved(&mut self, text: &str) {
        self.ui.note = text.lines().next().unwrap_or("").to_owned();
        self.ui.shows_output = false;
    }

    fn goto(&mut self, step: u64) {
        self.walk(&format!(":goto {step}"));
    }

    fn forward(&mut self) {
        match self.session.forward() {
            Ok(text) => {
                self.print(&text);
                self.moved(&text);
            }
            Err(text) => self.moved(&text),
        }
    }

    fn backward(&mut self) {
        let text = self.session.backward().err().unwrap_or_default();
        self.moved(&text);
    }

    /// The interrupt with the next or the last number.
    fn choose(&mut self, by: isize) {
        let view = self.session.view();
        let k: &Kernel = view.k;
        let all: Vec<Irq> = k.for_each_irq().filter(|irq| !k.desc(*irq).action.is_empty()).collect();
        let now = self.ui.irq.or(view.irq);
        let at = now.and_then(|irq| all.iter().position(|i| *i == irq));
        let next = match at {
            Some(at) => (at + all.len()).saturating_add_signed(by) % all.len().max(1),
            None => 0,
        };
        self.ui.irq = all.get(next).copied();
        self.ui.map = (0, 0);
    }
}
