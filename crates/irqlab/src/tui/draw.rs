//! The picture of a session: a function of what the session shows and what the screen remembers.

use core::fmt::Write as _;

use debugger::{CallLine, LineKind, StepKind, StepNote, View, hierarchy};
use kstate::apic::MANAGED_IRQ_SHUTDOWN_VECTOR;
use kstate::hw::lapic::VectorReg;
use kstate::semantics::KernelVersion;
use kstate::{CpuId, Irq, Kernel};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};

use super::app::Ui;
use super::layout::{Areas, MARGIN, SMALLEST, bar_ends, window};

const DIM: Style = Style::new().fg(Color::DarkGray);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const HERE: Style = Style::new().fg(Color::Black).bg(Color::Yellow);
const HEAD: Style = Style::new().fg(Color::Cyan);
const EVENT: Style = Style::new().fg(Color::Green);
const WARNING: Style = Style::new().fg(Color::Red);

/// The keys, as the last row shows them.
const KEYS: &str = "? help ←→ call PgUp/Dn step ^L list ^E explain / find F5 run ^N irq Tab output";

/// The keys, as the help explains them.
const HELP: &str = "\
← →         a call or tracepoint back, on (while nothing is typed)
PgUp PgDn   a step back, on              Home End   the first, the last step
F5 F8 F9    go on, over a call, out of the function     ? F1   this
^L ^F       list the steps in place of the calls; fold calls that are over
/           find a call or tracepoint    :filter irq N, cpu N lists such steps
shift ← →   the rest of what is cut      alt ← → ↑ ↓ moves the map
^N ^P Esc   the next, the last interrupt, the one under the cursor
^E F2       what is under the cursor explained, in place of the interrupt
Tab         complete the word; with nothing typed: the calls or what was printed
↑ ↓         lines typed before           ^C ^D      forget the line, leave
mouse       drag the time bar; click a call or a vector; turn the wheel

Map: . free  m reserved for a managed interrupt  M its vector  A another vector
S the system's  * the interrupt's  o where it was before  ┊ free on all CPUs
Time: ▁ to █ calls of tasks and of interrupts, ┬ a line was typed, ◆ a stop
Registers, vectors and flags are those at the call under the cursor.
";

/// Draws everything.
pub fn screen(frame: &mut Frame<'_>, view: &View<'_>, ui: &Ui) {
    let screen = frame.area();
    let Some(areas) = Areas::of(screen, cpus(view.k), ui.shows_output) else {
        let (width, height) = SMALLEST;
        let text = format!("the window is too small: {width} columns and {height} rows are needed");
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), screen);
        return;
    };
    let irq = ui.irq.or(view.irq);
    header(frame, areas.header, view);
    if areas.calls.height > 0 {
        if lists_steps(view, ui) {
            steps(frame, areas.calls, view);
        } else {
            calls(frame, areas.calls, view, ui);
        }
        right(frame, areas.irq, view, irq, ui);
        map(frame, areas.map, view.k, irq, ui.map);
    }
    if areas.output.height > 0 {
        output(frame, areas.output, ui);
    }
    if areas.lanes.height > 0 {
        lanes(frame, &areas, view);
    }
    bar(frame, &areas, view);
    input(frame, areas.input, ui);
    frame.render_widget(Paragraph::new(Line::styled(KEYS, DIM)), areas.keys);
    if ui.help {
        let area = Rect { y: screen.y + 1, height: screen.height - 4, ..screen };
        frame.render_widget(Clear, area);
        let title = panel(" Keys and words; any key closes this ");
        let text = format!("{HELP}\n{}", ui.words);
        let text = Paragraph::new(text).wrap(Wrap { trim: false });
        frame.render_widget(text.block(title).scroll((ui.scroll, 0)), area);
    }
}

/// Rows of the map.
pub fn cpus(k: &Kernel) -> usize {
    k.topo.possible.iter().count()
}

fn panel(title: &str) -> Block<'_> {
    Block::new().borders(Borders::TOP).border_style(DIM).title(Span::styled(title, BOLD))
}

fn header(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let now = view.k.events.now as f64 / 1e9;
    let (shown, all) = view.progress;
    let part = if shown < all { format!(", {shown} of {all} records") } else { String::new() };
    let line = Line::from(vec![
        Span::styled(format!("Linux {}", view.k.sem.version.name()), BOLD),
        Span::raw(format!(", {}  ", view.name)),
        Span::styled(format!("step {} of {}{part}", view.step, view.end), HEAD),
        Span::raw(format!("  {now:.6} s  {}", view.doing)),
    ]);
    frame.render_widget(Paragraph::new(line), area);
}

/// The part of the tree that is shown: the first line, and how far it is moved to the left.
fn part_of(calls: &[&CallLine], height: usize, width: usize, indent: usize) -> (usize, usize) {
    let here = calls.iter().position(|line| line.here).unwrap_or(calls.len().saturating_sub(1));
    let first = calls.len().saturating_sub(height).min(here);
    let deepest = calls.get(here).map_or(0, |line| line.depth * indent);
    (first, deepest.saturating_sub(width / 3))
}

/// The lines of the tree that are shown, by their index: all, or without what is inside a call that is over.
fn lines_of(view: &View<'_>, ui: &Ui) -> Vec<usize> {
    let mut shown = Vec::new();
    let mut over: Option<usize> = None;
    for (at, line) in view.calls.iter().enumerate() {
        let inside = over.is_some_and(|depth| line.depth > depth && line.kind != LineKind::Head);
        if ui.fold && inside && !line.here {
            continue;
        }
        over = (line.kind == LineKind::Call && line.over).then_some(line.depth);
        shown.push(at);
    }
    shown
}

/// The index of the call at a row of the panel.
pub fn call_at(view: &View<'_>, ui: &Ui, area: Rect, row: u16) -> Option<usize> {
    let row = usize::from(row.checked_sub(area.y + 1)?);
    let shown = lines_of(view, ui);
    let calls: Vec<&CallLine> = shown.iter().map(|at| &view.calls[*at]).collect();
    let (first, _) = part_of(&calls, usize::from(area.height.saturating_sub(1)), 0, 0);
    shown.get(first + row).copied()
}

/// The steps stand in place of the calls: somebody wants it so, or there are none.
pub fn lists_steps(view: &View<'_>, ui: &Ui) -> bool {
    ui.lists_steps || view.calls.is_empty()
}

/// The steps that fit into the panel, around the one where the session stands.
fn listed<'a>(view: &View<'a>, height: usize) -> Vec<&'a StepNote> {
    let shown: Vec<&StepNote> =
        view.steps.iter().filter(|note| view.filter.is_none_or(|filter| filter.shows(note))).collect();
    let here = shown.partition_point(|note| note.step <= view.step);
    let last = (here + height / 2).max(height).min(shown.len());
    shown[last.saturating_sub(height)..last].to_vec()
}

/// The step at a row of the list.
pub fn step_at(view: &View<'_>, area: Rect, row: u16) -> Option<u64> {
    let row = usize::from(row.checked_sub(area.y + 1)?);
    listed(view, usize::from(area.height.saturating_sub(1))).get(row).map(|note| note.step)
}

/// What somebody sees first.
const FIRST: &str = "\
Nothing was typed yet. For a beginning:

echo 1 > /sys/class/nvme/nvme0/reset_controller
echo 0 > /sys/devices/system/cpu/cpu4/online
cat /proc/interrupts | grep nvme
:break vector_config if irq == 29

Then ← and → go from call to call, PgUp and PgDn from step to step, and ? tells the rest.";

fn steps(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let title = match view.filter {
        Some(filter) => format!(" Steps of {filter} "),
        None => " Steps ".to_owned(),
    };
    let block = panel(&title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let notes = listed(view, usize::from(inner.height));
    if notes.is_empty() {
        let text = if view.steps.is_empty() { FIRST } else { "No such step is known; :filter lists all." };
        frame.render_widget(Paragraph::new(text).style(DIM).wrap(Wrap { trim: true }), inner);
        return;
    }
    let lines = notes.iter().map(|note| {
        let style = match note.kind {
            _ if note.step == view.step => HERE,
            _ if note.stopped => WARNING,
            StepKind::Shell => BOLD,
            StepKind::Interrupt | StepKind::Softirq => EVENT,
            StepKind::Task => Style::new(),
            StepKind::Event => DIM,
        };
        let here = if note.step == view.step { ">" } else { " " };
        Line::styled(format!("{here}{note}"), style)
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}

/// Eight heights of a column.
const HEIGHTS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

fn lanes(frame: &mut Frame<'_>, areas: &Areas, view: &View<'_>) {
    let (first, last) = bar_ends(areas.bar);
    let columns = usize::from(last - first) + 1;
    let mut calls = [vec![0u32; columns], vec![0u32; columns]];
    let mut stopped = vec![false; columns];
    for note in view.steps {
        let column = usize::from(areas.column_of(note.step, view.end) - first).min(columns - 1);
        let lane = usize::from(matches!(note.kind, StepKind::Interrupt | StepKind::Softirq));
        // A step without a call is seen as well.
        if matches!(note.kind, StepKind::Task | StepKind::Interrupt | StepKind::Softirq) {
            calls[lane][column] = calls[lane][column].saturating_add(note.calls.max(1));
        }
        stopped[column] |= note.stopped;
    }
    for (lane, (name, style)) in [("t", HEAD), ("i", EVENT)].into_iter().enumerate() {
        let most = calls[lane].iter().copied().max().unwrap_or(0).max(2);
        let mut spans = vec![Span::styled(name, DIM)];
        for (column, calls) in calls[lane].iter().enumerate() {
            // By magnitudes: a reset has thousands of calls beside an interrupt's ten.
            let height = (f64::from(*calls).ln() / f64::from(most).ln() * 7.0).clamp(0.0, 7.0) as usize;
            spans.push(match calls {
                0 => Span::raw(" "),
                _ if stopped[column] && lane == 0 => Span::styled(HEIGHTS[height], WARNING),
                _ => Span::styled(HEIGHTS[height], style),
            });
        }
        let row = Rect { y: areas.lanes.y + lane as u16, height: 1, ..areas.lanes };
        frame.render_widget(Paragraph::new(Line::from(spans)), row);
    }
}

fn calls(frame: &mut Frame<'_>, area: Rect, view: &View<'_>, ui: &Ui) {
    let title = match &view.source {
        Some(source) => {
            let line = source.line.map_or_else(String::new, |line| format!(":{line}"));
            format!(" {}{line} {}() ", source.file, source.function)
        }
        None => " Calls ".to_owned(),
    };
    let block = panel(&title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let indent = if area.width < 60 { 1 } else { 2 };
    let (height, width) = (usize::from(inner.height), usize::from(inner.width));
    let shown: Vec<&CallLine> = lines_of(view, ui).into_iter().map(|at| &view.calls[at]).collect();
    let (first, left) = part_of(&shown, height, width, indent);
    let lines = shown.iter().skip(first).take(height).map(|line| {
        let space = (line.depth * indent).saturating_sub(left);
        let (sign, style) = match line.kind {
            LineKind::Head => ("# ", HEAD),
            LineKind::Before => ("", DIM),
            LineKind::Call => ("", Style::new()),
            LineKind::Tracepoint => ("@ ", EVENT),
            LineKind::Hardware => ("* ", EVENT),
            LineKind::Warning => ("warning: ", WARNING),
        };
        let returned = match line.returned {
            Some(value) if value != 0 || line.here => format!(" = {value}"),
            None if line.here && line.over => " returns".to_owned(),
            _ => String::new(),
        };
        let mark = if line.here { ">" } else { " " };
        let text = format!("{mark}{:space$}{sign}{}{returned}", "", line.text);
        Line::styled(text, if line.here { HERE } else { style })
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).scroll((0, ui.left)), inner);
}

/// Rows that lines take, broken at words as the screen breaks them.
fn rows(lines: &[Line<'_>], width: u16) -> u16 {
    let width = usize::from(width).max(1);
    let rows_of = |line: &Line<'_>| {
        let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
        let (mut rows, mut column) = (1, 0);
        for word in text.split(' ') {
            let len = Span::raw(word).width();
            let gap = usize::from(column > 0);
            if column + gap + len > width && column > 0 {
                rows += 1;
                column = 0;
            }
            let start = if column > 0 { column + 1 } else { 0 };
            // A word that is longer than a row is broken.
            rows += (start + len).saturating_sub(1) / width;
            column = if start + len > width { (start + len - 1) % width + 1 } else { start + len };
        }
        rows
    };
    u16::try_from(lines.iter().map(rows_of).sum::<usize>()).unwrap_or(u16::MAX)
}

/// Rows below which a text is not begun.
const FEW: u16 = 4;

/// The interrupt, and below it what the function under the cursor is for, as far as there is room.
fn right(frame: &mut Frame<'_>, area: Rect, view: &View<'_>, irq: Option<Irq>, ui: &Ui) {
    if ui.explains {
        explained(frame, area, view);
        return;
    }
    let (title, lines) = interrupt(view.k, irq, ui.irq.is_some());
    let needed = rows(&lines, area.width) + 1;
    let left = area.height.saturating_sub(needed);
    let above = if left >= FEW && view.subject.is_some() { needed } else { area.height };
    let upper = Rect { height: above, ..area };
    let text = Paragraph::new(lines).block(panel(&title)).wrap(Wrap { trim: false });
    frame.render_widget(text, upper);
    if above < area.height {
        explained(frame, Rect { y: area.y + above, height: area.height - above, ..area }, view);
    }
}

/// What the function, tracepoint or record of hardware under the cursor is.
fn explained(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let Some(subject) = view.subject else {
        let text = Paragraph::new(Line::styled("Nothing is under the cursor.", DIM));
        frame.render_widget(text.block(panel(" What it is ")).wrap(Wrap { trim: true }), area);
        return;
    };
    let found = explain::look_up(subject);
    let entry = found.answers.iter().find(|entry| entry.name == subject).or(found.answers.first());
    let mut lines = Vec::new();
    match entry.filter(|entry| !entry.text.is_empty()) {
        Some(entry) => {
            lines.extend(entry.text.lines().map(|line| Line::raw(line.to_owned())));
            if entry.kernels.len() < KernelVersion::ALL.len() {
                lines.push(Line::styled(format!("in {}", entry.kernels.join(", ")), DIM));
            }
        }
        None => lines.push(Line::styled("No text is written for it.", DIM)),
    }
    let more = rows(&lines, area.width) + 1 > area.height;
    let title = if more { format!(" {subject} (:explain has all of it) ") } else { format!(" {subject} ") };
    let text = Paragraph::new(lines).block(panel(&title)).wrap(Wrap { trim: true });
    frame.render_widget(text, area);
}

/// The panel of an interrupt: its title and its lines.
fn interrupt(k: &Kernel, irq: Option<Irq>, chosen: bool) -> (String, Vec<Line<'static>>) {
    let desc = irq.and_then(|irq| Some((irq, k.find_desc(irq)?)));
    let Some((irq, desc)) = desc else {
        let text = match irq {
            Some(irq) => format!("There is no irq {irq} here."),
            None => "None under the cursor; ^N shows one.".to_owned(),
        };
        return (" Interrupt ".to_owned(), vec![Line::styled(text, DIM)]);
    };
    let names: Vec<&str> = desc.action.iter().map(|action| &*action.name).collect();
    let chosen = if chosen { " (chosen)" } else { "" };
    let title = format!(" irq {irq} {}{chosen} ", names.join(" "));
    let mut lines = vec![Line::raw(format!("{}(), depth {}", desc.handle_irq.name(), desc.depth))];
    if let Some(apicd) = k.apic.apicd(irq) {
        let told = apicd.hw_irq_cfg;
        lines.push(Line::from(match apicd.vector {
            0 => vec![Span::styled("no vector", WARNING)],
            vector => vec![Span::styled(format!("vector {vector} on cpu {}", apicd.cpu), EVENT)],
        }));
        let shutdown = if told.vector == MANAGED_IRQ_SHUTDOWN_VECTOR { ", the shutdown vector" } else { "" };
        lines.push(Line::raw(format!("hardware: {} to 0x{:x}{shutdown}", told.vector, told.dest_apicid)));
        if apicd.prev_vector != 0 {
            let text = format!("moving from {} on cpu {}", apicd.prev_vector, apicd.prev_cpu);
            lines.push(Line::styled(text, WARNING));
        }
    }
    let or_none = |list: String| if list.is_empty() { "none".to_owned() } else { list };
    let common = &desc.irq_common_data;
    let (affinity, effective) = (common.affinity.list(), common.effective_affinity.list());
    lines.push(Line::raw(format!("affinity {}, effective {}", or_none(affinity), or_none(effective))));
    for (depth, (domain, hwirq, chip)) in hierarchy(k, irq).into_iter().enumerate() {
        let sign = if depth == 0 { String::new() } else { format!("{:w$}\u{2514} ", "", w = depth - 1) };
        lines.push(Line::from(vec![
            Span::styled(format!("{sign}{domain}"), HEAD),
            Span::raw(format!(" 0x{hwirq:x} {chip}")),
        ]));
    }
    let flags = explain::flags::flag_names(k, irq);
    let flags: Vec<&str> = flags.iter().map(|name| name.strip_prefix("IRQD_").unwrap_or(name)).collect();
    lines.push(Line::from(vec![Span::styled("IRQD_ ", BOLD), Span::raw(flags.join(" "))]));
    (title, lines)
}

/// The part of the map that is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    first_cpu: usize,
    cpus: usize,
    /// The vectors of the columns; none where some are left out that are free on all CPUs.
    columns: Vec<Option<u32>>,
}

/// So many free vectors in a row need no column each.
const SQUEEZED: usize = 6;

impl Part {
    /// The part that fits and shows an interrupt's vector, moved by so many CPUs and columns.
    pub fn of(area: Rect, k: &Kernel, irq: Option<Irq>, moved: (i16, i16)) -> Self {
        let apicd = irq.and_then(|irq| k.apic.apicd(irq)).filter(|apicd| apicd.vector != 0);
        let rows = usize::from(area.height.saturating_sub(2));
        let all = cpus(k);
        let cpu = apicd.map_or(0, |apicd| apicd.cpu.index());
        let first_cpu = window(all, rows, cpu).saturating_add_signed(moved.0.into());
        let first_cpu = first_cpu.min(all.saturating_sub(rows));
        let width = usize::from(area.width.saturating_sub(MARGIN));
        let mut columns = columns(k, width);
        let place = apicd.and_then(|apicd| columns.iter().position(|c| *c == Some(apicd.vector)));
        let first = match place {
            Some(place) if place >= width => place - width / 2,
            _ => 0,
        };
        let first = first.saturating_add_signed(moved.1.into()).min(columns.len().saturating_sub(width));
        columns.drain(..first);
        columns.truncate(width);
        Self { first_cpu, cpus: rows.min(all), columns }
    }

    /// The CPU and vector at a place of the screen.
    pub fn at(&self, area: Rect, place: Position) -> Option<(CpuId, u32)> {
        let row = usize::from(place.y.checked_sub(area.y + 2)?);
        let column = usize::from(place.x.checked_sub(area.x + MARGIN)?);
        let vector = self.columns.get(column).copied().flatten()?;
        (row < self.cpus).then(|| (CpuId((self.first_cpu + row) as u32), vector))
    }
}

/// The vectors in their order. Where all of them do not fit, those are left out that are free on all CPUs.
fn columns(k: &Kernel, width: usize) -> Vec<Option<u32>> {
    let matrix = &k.vector_matrix;
    let all = matrix.alloc_start.min(matrix.matrix_bits)..matrix.matrix_bits;
    if all.len() <= width {
        return all.map(Some).collect();
    }
    let used = |vector: u32| {
        matrix.system_map.test(vector)
            || matrix.maps.iter().any(|cm| cm.alloc_map.test(vector) || cm.managed_map.test(vector))
    };
    let mut columns = Vec::new();
    let mut free: Vec<Option<u32>> = Vec::new();
    let squeeze = |columns: &mut Vec<Option<u32>>, free: &mut Vec<Option<u32>>| {
        if free.len() >= SQUEEZED {
            // The first shows what comes next, and the rest is a mark.
            free.truncate(2);
            free.push(None);
        }
        columns.append(free);
    };
    for vector in all {
        if used(vector) {
            squeeze(&mut columns, &mut free);
            columns.push(Some(vector));
        } else {
            free.push(Some(vector));
        }
    }
    squeeze(&mut columns, &mut free);
    columns
}

/// A register's vectors, as far as they fit.
fn vectors(register: &VectorReg, width: usize) -> String {
    let list: Vec<String> = register.iter().map(|vector| vector.to_string()).collect();
    let text = list.join(",");
    match text.len() {
        0 => "-".to_owned(),
        len if len <= width => text,
        _ => format!("{}+", &text[..width - 1]),
    }
}

fn map(frame: &mut Frame<'_>, area: Rect, k: &Kernel, irq: Option<Irq>, moved: (i16, i16)) {
    let part = Part::of(area, k, irq, moved);
    let matrix = &k.vector_matrix;
    let title = " CPUs and vectors: . free m reserved M managed A taken S system * this o old ";
    let mut scale = format!("{:<width$}", "cpu irr    isr", width = usize::from(MARGIN));
    let margin = scale.len();
    for (column, vector) in part.columns.iter().enumerate() {
        let Some(vector) = vector else { continue };
        // A number where it can be read: at every eighth vector, and behind a gap.
        let behind_gap = column > 0 && part.columns[column - 1].is_none();
        let free = scale.len() <= margin + column;
        if free && (vector.is_multiple_of(8) || behind_gap) {
            scale.push_str(&" ".repeat(margin + column - scale.len()));
            let _ = write!(scale, "{vector} ");
        }
    }
    let apicd = irq.and_then(|irq| k.apic.apicd(irq));
    let mut lines = vec![Line::styled(scale, DIM)];
    for cpu in k.topo.possible.iter().skip(part.first_cpu).take(part.cpus) {
        let online = k.topo.online.contains(cpu);
        let registers = k.hw.lapics.get(cpu.index());
        let (irr, isr) =
            registers.map_or_else(Default::default, |r| (vectors(&r.irr, 6), vectors(&r.isr, 6)));
        let (irr, isr) = if online { (irr, isr) } else { ("offline".to_owned(), String::new()) };
        let busy = online && (irr != "-" || isr != "-");
        let mut spans = vec![
            Span::styled(format!("{cpu:>3} "), if online { BOLD } else { DIM }),
            Span::styled(format!("{irr:<7}{isr:<7} "), if busy { WARNING } else { DIM }),
        ];
        let Some(cm) = matrix.maps.get(cpu.index()) else { continue };
        for vector in &part.columns {
            let Some(vector) = *vector else {
                spans.push(Span::styled("\u{250a}", DIM));
                continue;
            };
            let is = |at: u32, on: CpuId| at != 0 && at == vector && on == cpu;
            let this = apicd.is_some_and(|apicd| is(apicd.vector, apicd.cpu));
            let old = apicd.is_some_and(|apicd| is(apicd.prev_vector, apicd.prev_cpu));
            let (sign, style) = match (cm.alloc_map.test(vector), cm.managed_map.test(vector)) {
                _ if this => ("*", HERE),
                _ if old => ("o", WARNING),
                _ if matrix.system_map.test(vector) => ("S", DIM),
                (true, true) => ("M", EVENT),
                (true, false) => ("A", HEAD),
                (false, true) => ("m", DIM),
                (false, false) => (".", DIM),
            };
            spans.push(Span::styled(sign, style));
        }
        lines.push(Line::from(spans));
    }
    frame.render_widget(Paragraph::new(lines).block(panel(title)), area);
}

fn output(frame: &mut Frame<'_>, area: Rect, ui: &Ui) {
    let block = panel(" Printed ");
    let inner = block.inner(area);
    let (height, width) = (usize::from(inner.height), usize::from(inner.width).max(1));
    let last = ui.printed.len().saturating_sub(usize::from(ui.scroll));
    let mut lines: Vec<Line<'_>> = Vec::new();
    // As a terminal does it: what is too long goes on in the next row.
    for line in &ui.printed[last.saturating_sub(height)..last] {
        let style = if line.starts_with("# ") { BOLD } else { Style::new() };
        let letters: Vec<char> = line.chars().collect();
        lines.extend(letters.chunks(width).map(|part| Line::styled(part.iter().collect::<String>(), style)));
        if letters.is_empty() {
            lines.push(Line::default());
        }
    }
    lines.drain(..lines.len().saturating_sub(height));
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn bar(frame: &mut Frame<'_>, areas: &Areas, view: &View<'_>) {
    let (first, last) = bar_ends(areas.bar);
    let here = areas.column_of(view.step, view.end);
    let typed: Vec<u16> = view.typed.iter().map(|(at, _)| areas.column_of(*at, view.end)).collect();
    let stops: Vec<u16> =
        view.steps.iter().filter(|note| note.stopped).map(|n| areas.column_of(n.step, view.end)).collect();
    let text = (first..=last).map(|column| match column {
        _ if column == here => Span::styled("\u{25cf}", HERE),
        _ if stops.contains(&column) => Span::styled("\u{25c6}", WARNING),
        _ if typed.contains(&column) => Span::styled("\u{252c}", BOLD),
        _ if column < here => Span::styled("\u{2501}", HEAD),
        _ => Span::styled("\u{2500}", DIM),
    });
    let mut spans = vec![Span::raw("[")];
    spans.extend(text);
    spans.push(Span::raw("]"));
    frame.render_widget(Paragraph::new(Line::from(spans)), areas.bar);
}

fn input(frame: &mut Frame<'_>, area: Rect, ui: &Ui) {
    let before = format!("{}{}", ui.prompt, &ui.input[..ui.at]);
    let width = usize::from(area.width);
    let column = Span::raw(&before).width();
    // The end of a long line is what is being typed.
    let left = (column + 1).saturating_sub(width);
    let mut spans = vec![Span::styled(&*ui.prompt, BOLD), Span::raw(&*ui.input)];
    if ui.input.is_empty() {
        spans.push(Span::styled(&*ui.note, DIM));
    }
    let left = u16::try_from(left).unwrap_or(u16::MAX);
    frame.render_widget(Paragraph::new(Line::from(spans)).scroll((0, left)), area);
    frame.set_cursor_position(Position { x: area.x + (column as u16).saturating_sub(left), y: area.y });
}
