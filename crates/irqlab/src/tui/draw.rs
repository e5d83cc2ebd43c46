//! The picture of a session: a function of what the session shows and what the screen remembers.

use debugger::{CallLine, LineKind, View, hierarchy};
use kstate::apic::MANAGED_IRQ_SHUTDOWN_VECTOR;
use kstate::hw::lapic::VectorReg;
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
const KEYS: &str = "? help ←→ call PgUp/PgDn step F5 run F8 over F9 out ^N irq Tab output ^D quit";

/// The keys, as the help explains them.
const HELP: &str = "\
← →         a call or tracepoint back, on (while nothing is typed)
PgUp PgDn   a step back, on              Home End   the first, the last step
F5 F8 F9    go on, over a call, out of the function
? F1        this
^N ^P Esc   the next, the last interrupt, the one under the cursor
Tab         complete the word; with nothing typed: the calls or what was printed
↑ ↓         lines typed before           ^C ^D      forget the line, leave
mouse       drag the time bar; click a call or a vector; turn the wheel

Map: . free  m kept for a managed interrupt  M its vector  A another vector
S the system's  * the interrupt's  o where it was before. Registers, vectors and
flags are those at the call under the cursor.
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
        calls(frame, areas.calls, view);
        interrupt(frame, areas.irq, view.k, irq, ui.irq.is_some());
        map(frame, areas.map, view.k, irq);
    }
    if areas.output.height > 0 {
        output(frame, areas.output, ui);
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
fn part_of(calls: &[CallLine], height: usize, width: usize, indent: usize) -> (usize, usize) {
    let here = calls.iter().position(|line| line.here).unwrap_or(calls.len().saturating_sub(1));
    let first = calls.len().saturating_sub(height).min(here);
    let deepest = calls.get(here).map_or(0, |line| line.depth * indent);
    (first, deepest.saturating_sub(width / 3))
}

/// The index of the call at a row of the panel.
pub fn call_at(view: &View<'_>, area: Rect, row: u16) -> Option<usize> {
    let row = usize::from(row.checked_sub(area.y + 1)?);
    let (first, _) = part_of(&view.calls, usize::from(area.height.saturating_sub(1)), 0, 0);
    (first + row < view.calls.len()).then_some(first + row)
}

fn calls(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
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
    if view.calls.is_empty() {
        let text = "No function is called in this step: ← goes to where one was, a command begins something.";
        frame.render_widget(Paragraph::new(Line::styled(text, DIM)).wrap(Wrap { trim: true }), inner);
        return;
    }
    let indent = if area.width < 60 { 1 } else { 2 };
    let (height, width) = (usize::from(inner.height), usize::from(inner.width));
    let (first, left) = part_of(&view.calls, height, width, indent);
    let lines = view.calls.iter().skip(first).take(height).map(|line| {
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
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}

fn interrupt(frame: &mut Frame<'_>, area: Rect, k: &Kernel, irq: Option<Irq>, chosen: bool) {
    let desc = irq.and_then(|irq| Some((irq, k.find_desc(irq)?)));
    let Some((irq, desc)) = desc else {
        let text = match irq {
            Some(irq) => format!("There is no irq {irq} here."),
            None => "None under the cursor; ^N shows one.".to_owned(),
        };
        let text = Paragraph::new(Line::styled(text, DIM)).block(panel(" Interrupt "));
        frame.render_widget(text.wrap(Wrap { trim: true }), area);
        return;
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
    let block = panel(&title);
    frame.render_widget(Paragraph::new(lines).block(block).wrap(Wrap { trim: false }), area);
}

/// The part of the map that is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    first_cpu: usize,
    cpus: usize,
    first_vector: u32,
    vectors: u32,
}

impl Part {
    /// The part that fits and shows an interrupt's vector.
    pub fn of(area: Rect, k: &Kernel, irq: Option<Irq>) -> Self {
        let apicd = irq.and_then(|irq| k.apic.apicd(irq)).filter(|apicd| apicd.vector != 0);
        let rows = usize::from(area.height.saturating_sub(2));
        let all = cpus(k);
        let cpu = apicd.map_or(0, |apicd| apicd.cpu.index());
        let matrix = &k.vector_matrix;
        let vectors = u32::from(area.width.saturating_sub(MARGIN)).min(matrix.matrix_bits);
        let mut first_vector = matrix.alloc_start.min(matrix.matrix_bits - vectors);
        if let Some(vector) = apicd.map(|apicd| apicd.vector).filter(|v| *v >= first_vector + vectors) {
            first_vector = (vector - vectors / 2).min(matrix.matrix_bits - vectors);
        }
        Self { first_cpu: window(all, rows, cpu), cpus: rows.min(all), first_vector, vectors }
    }

    /// The CPU and vector at a place of the screen.
    pub fn at(self, area: Rect, place: Position) -> Option<(CpuId, u32)> {
        let row = usize::from(place.y.checked_sub(area.y + 2)?);
        let column = u32::from(place.x.checked_sub(area.x + MARGIN)?);
        (row < self.cpus && column < self.vectors)
            .then(|| (CpuId((self.first_cpu + row) as u32), self.first_vector + column))
    }
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

fn map(frame: &mut Frame<'_>, area: Rect, k: &Kernel, irq: Option<Irq>) {
    let part = Part::of(area, k, irq);
    let matrix = &k.vector_matrix;
    let title = " CPUs and vectors: . free  m kept  M managed  A taken  S system  * this  o old ";
    let mut scale = format!("{:<width$}", "cpu irr    isr", width = usize::from(MARGIN));
    let mut vector = part.first_vector;
    while vector < part.first_vector + part.vectors {
        if vector.is_multiple_of(8) {
            let label = format!("{vector:<8}");
            scale.push_str(&label);
            vector += 8;
        } else {
            scale.push(' ');
            vector += 1;
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
        for vector in part.first_vector..part.first_vector + part.vectors {
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
    let text = (first..=last).map(|column| match column {
        _ if column == here => Span::styled("\u{25cf}", HERE),
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
