//! What a piece of a question names.

use drivers::profile::Profile;
use drivers::profile::table::PROFILES;
use explore::museum::{EXHIBITS, Exhibit};
use kstate::Errno;
use kstate::semantics::{Field, KernelVersion, Semantics, Value as FieldValue};
use kstate::trace::HARDWARE;
use record::functions::Functions;
use sim::params::{self, Meaning};

use crate::message::{self, Fit, Format, Formats};
use crate::source::{Source, places};
use crate::words::{self, Value, Word, kernels, texts};
use crate::{At, Decides, Entry, Kind, Note, Point, decides, names, observed};

/// The most answers of one kind to a question.
const MOST: usize = 6;
/// A question of so many words is looked at word by word, plain ones too.
const SHORT: usize = 4;

/// The tracepoints.
pub fn tracepoints() -> impl Iterator<Item = &'static str> {
    sim::tracefs::EVENTS.iter().flat_map(|(_, names)| names.iter().copied())
}

/// The errors that the model knows.
fn errors() -> impl Iterator<Item = Errno> {
    (1..1000).filter_map(Errno::from_number)
}

/// The answers to one line.
pub fn line(line: &str) -> Vec<Entry> {
    let question = trimmed(line);
    let whole = name(question);
    if !whole.is_empty() {
        return whole;
    }
    let cleaned = message::without_prefix(question);
    if cleaned != question {
        let whole = name(cleaned);
        if !whole.is_empty() {
            return whole;
        }
    }
    let warned = warning(cleaned);
    if !warned.is_empty() {
        return warned;
    }
    let error = error_in(question);
    let fits = Formats::get().fitting(cleaned);
    // What a shell says of an error is no line of the log, although some line may share words with it.
    let fits: Vec<Fit<'_>> = fits.into_iter().filter(|fit| error.is_none() || fit.of_format > 0.8).collect();
    let said = programs(cleaned);
    let sure = fits.iter().any(|fit| fit.of_format > 0.7 || fit.of_line > 0.9) || !said.is_empty();
    let mut found = said;
    found.extend(messages(&fits));
    let mut named = pieces(question, sure || error.is_some());
    if let Some(error) = error {
        let word = error.name();
        named.retain(|entry| entry.name != word);
        for file in named.iter_mut().filter(|entry| entry.kind == Kind::File) {
            if file.values.iter().any(|value| value.name == word) {
                file.values.retain(|value| value.name == word);
            }
        }
        named.sort_by_key(|entry| entry.kind != Kind::File);
        let at = named.iter().filter(|entry| entry.kind == Kind::File).count();
        named.splice(at..at, name(word));
        named.append(&mut found);
        return named;
    }
    found.append(&mut named);
    found
}

/// A name without what stands around it in a text.
fn trimmed(text: &str) -> &str {
    let text = text.trim().trim_matches(['"', '`', '\'', ',', ';', '?', '!']);
    text.strip_suffix("()").unwrap_or(text).trim()
}

/// Words in small letters with blanks between: `MSI-X` and `msi x` are one.
fn key(text: &str) -> String {
    let mut words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    for word in &mut words {
        if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us") {
            word.pop();
        }
    }
    words.join(" ")
}

/// Everything with this name.
pub fn name(asked: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let asked = trimmed(asked);
    if asked.is_empty() {
        return found;
    }
    functions_and_tracepoints(asked, &mut found);
    if let Some((flag, text)) = texts().flags.get_key_value(&asked.to_uppercase()) {
        found.push(flag_entry(flag, text));
    }
    if let Some(field) = Semantics::field(asked) {
        found.push(behaviour(field));
    }
    if let Some(exhibit) = Exhibit::find(asked) {
        found.push(self::exhibit(exhibit));
    }
    if let Some(profile) = PROFILES.into_iter().find(|p| p.driver.name.eq_ignore_ascii_case(asked)) {
        found.push(driver(profile));
    }
    let wanted = key(asked);
    let exact = |text: &String| {
        if asked.contains('=') { text.eq_ignore_ascii_case(asked) } else { key(text) == wanted }
    };
    let last = asked.trim_end_matches(['/', ':']).rsplit('/').next().unwrap_or_default();
    let literal = |word: &Word| word.names.iter().any(|name| name.rsplit('/').next() == Some(last));
    let better = words::words()
        .iter()
        .any(|(kind, word)| *kind == Kind::File && literal(word) && file_is(word, asked));
    for (kind, word) in words::words() {
        let is = match kind {
            Kind::Message | Kind::Program => false,
            Kind::File => file_is(word, asked) && (literal(word) || !better) || word.also.iter().any(exact),
            Kind::Field => field_is(word, asked),
            Kind::Parameter => {
                word.names.iter().any(|n| parameter_is(n, asked)) || word.also.iter().any(exact)
            }
            _ => word.names.iter().chain(&word.also).any(exact),
        };
        let value = matches!(kind, Kind::Parameter) && word.values.iter().any(|value| exact(&value.name));
        if is || value {
            found.push(entry(*kind, word));
        }
    }
    if let Some(error) = error_named(asked)
        && !found.iter().any(|entry| entry.kind == Kind::Error)
    {
        let word = words::words().iter().find(|(kind, w)| *kind == Kind::Error && w.names[0] == error.name());
        found.push(word.map_or_else(|| error_without_text(error), |(kind, word)| entry(*kind, word)));
    }
    if !found.iter().any(|entry| entry.kind == Kind::Parameter) {
        found.extend(other_parameter(asked));
    }
    found.truncate(2 * MOST);
    found
}

fn functions_and_tracepoints(asked: &str, found: &mut Vec<Entry>) {
    let known: Vec<KernelVersion> =
        KernelVersion::ALL.iter().copied().filter(|version| !places(*version, asked).is_empty()).collect();
    let is_tracepoint = tracepoints().any(|t| t == asked);
    if known.is_empty() && !is_tracepoint {
        return;
    }
    let labs = observed::all();
    if !known.is_empty() {
        let text = texts().functions.get(asked).map_or("", String::as_str);
        let mut entry = Entry::new(Kind::Function, asked, text);
        entry.kernels = names(&known);
        entry.notes = observed::function(asked, &labs);
        let logs: Vec<String> = Formats::get()
            .iter()
            .filter(|format| format.function == asked)
            .map(|format| shown(&format.text))
            .collect();
        for format in logs.into_iter().take(MOST) {
            entry.values.push(Point {
                name: "logs".to_owned(),
                kernels: names(KernelVersion::ALL),
                text: format,
                decides: Vec::new(),
            });
        }
        found.push(entry);
    }
    if is_tracepoint {
        let text = texts().tracepoints.get(asked).map_or("", String::as_str);
        let mut entry = Entry::new(Kind::Tracepoint, asked, text);
        entry.notes = observed::tracepoint(asked, &labs);
        entry.look = vec![format!("irqlab stacks --at {asked}")];
        found.push(entry);
    }
}

fn flag_entry(name: &str, text: &str) -> Entry {
    let mut entry = Entry::new(Kind::Flag, name, text);
    let field = if name.starts_with("IRQD_") { "dstate" } else { "istate" };
    entry.look = vec![format!("cat /sys/kernel/debug/irq/irqs/29"), ":print irq 29".to_owned()];
    entry.see = vec![field.to_owned()];
    entry
}

fn behaviour(field: &Field) -> Entry {
    let text = format!("{} Changed: {}.", field.doc, field.changed());
    let mut entry = Entry::new(Kind::Behaviour, field.name, text);
    for FieldValue { word, text, release, .. } in field.values {
        let of: Vec<KernelVersion> = field.kernels(word).collect();
        let (kernels, text) = match release {
            Some(release) => (names(KernelVersion::ALL), format!("{release}: {text}")),
            None => (names(&of), (*text).to_owned()),
        };
        entry.values.push(Point { name: (*word).to_owned(), kernels, text, decides: Vec::new() });
    }
    entry.decides = decides(&[field.function.trim_end_matches("()").to_owned()], KernelVersion::ALL);
    if entry.decides.is_empty() {
        // A macro, or a function of a file that the tables do not have.
        entry.text = format!("{} It is {} in {}.", entry.text, field.function, field.file);
    }
    entry.look = vec![format!("irqlab semantics {}", field.name)];
    entry
}

fn exhibit(exhibit: &Exhibit) -> Entry {
    let story = exhibit.story.replace("**", "");
    let mut entry = Entry::new(Kind::Exhibit, exhibit.id, format!("{}\n\n{story}", exhibit.title));
    let live: Vec<KernelVersion> = exhibit.live().collect();
    let of = if live.is_empty() { "no modelled kernel as it is".to_owned() } else { names(&live).join(", ") };
    entry.values.push(Point {
        name: "live on".to_owned(),
        kernels: entry.kernels.clone(),
        text: of,
        decides: Vec::new(),
    });
    entry.values.push(Point {
        name: "fixed in".to_owned(),
        kernels: entry.kernels.clone(),
        text: exhibit.fixed_in.clone(),
        decides: Vec::new(),
    });
    entry.look = vec![format!("irqlab museum {}", exhibit.id)];
    entry.see = exhibit.bug.keys().cloned().collect();
    entry
}

fn driver(profile: &Profile) -> Entry {
    let mut text = format!(
        "A driver of which irqlab knows the interrupts alone: how many messages it asks for, and what it calls them. It \
         takes {} at least.",
        if profile.min == 1 { "one message".to_owned() } else { format!("{} messages", profile.min) }
    );
    text.push_str(match profile.spread {
        Some(_) => " The kernel spreads them over the CPUs and manages them, so user space cannot move them.",
        None => " The kernel does not spread them, so user space can move them.",
    });
    if profile.hint.is_some() {
        text.push_str(" The driver leaves an affinity hint for them.");
    }
    let mut entry = Entry::new(Kind::Driver, profile.driver.name, text);
    let called: Vec<String> = profile.actions.iter().map(|action| action.name.to_owned()).collect();
    entry.values.push(Point {
        name: "named".to_owned(),
        kernels: entry.kernels.clone(),
        text: called.join(", "),
        decides: Vec::new(),
    });
    entry.see = ["managed", "affinity hint", "/proc/interrupts"].map(str::to_owned).to_vec();
    entry
}

fn point(value: &Value, all: &[KernelVersion]) -> Point {
    let of = kernels(&value.kernels, all);
    Point {
        name: value.name.clone(),
        kernels: names(&of),
        text: value.text.clone(),
        decides: decides(&value.decides, &of),
    }
}

/// The answer that a text of `data` makes.
pub fn entry(kind: Kind, word: &Word) -> Entry {
    let of = kernels(&word.kernels, KernelVersion::ALL);
    let mut entry = Entry::new(kind, word.names[0].clone(), word.text.clone());
    entry.kernels = names(&of);
    entry.values = word.values.iter().map(|value| point(value, &of)).collect();
    entry.decides = decides(&word.decides, &of);
    entry.look.clone_from(&word.look);
    entry.see.clone_from(&word.see);
    let recorded = HARDWARE.iter().find(|(name, _)| kind == Kind::Hardware && *name == word.names[0]);
    if let Some((name, fields)) = recorded {
        entry.values.push(Point {
            name: "fields".to_owned(),
            kernels: entry.kernels.clone(),
            text: fields.join(", "),
            decides: Vec::new(),
        });
        entry.look = vec![format!(":break {name}")];
    }
    if kind == Kind::Error {
        entry.values = error_of_files(&word.names[0]);
    }
    entry
}

/// What each file means by an error. Files that mean the same are one.
fn error_of_files(error: &str) -> Vec<Point> {
    let mut points: Vec<(Point, Vec<&str>)> = Vec::new();
    for (_, file) in words::words().iter().filter(|(kind, _)| *kind == Kind::File) {
        for value in file.values.iter().filter(|value| value.name == error) {
            let mut point = point(value, &kernels(&file.kernels, KernelVersion::ALL));
            point.name.clone_from(&file.names[0]);
            let same = |other: &Point| (&other.text, &other.kernels) == (&point.text, &point.kernels);
            match points.iter_mut().find(|(other, _)| same(other)) {
                Some((_, files)) => files.push(&file.names[0]),
                None => points.push((point, vec![&file.names[0]])),
            }
        }
    }
    points.sort_by_key(|(_, files)| files.len() > 1);
    let several = |(mut point, files): (Point, Vec<&str>)| {
        if files.len() > 1 {
            "several".clone_into(&mut point.name);
            point.text = format!("{} So it is with {}.", point.text, files.join(", "));
        }
        point
    };
    points.into_iter().map(several).collect()
}

/// A field of a tracepoint, by itself or behind the tracepoint's name.
fn field_is(word: &Word, asked: &str) -> bool {
    let (of, field) = asked.split_once('.').unwrap_or(("", asked));
    (of.is_empty() || tracepoints().any(|t| t == of))
        && word.names.iter().chain(&word.also).any(|n| n == field)
}

// ---- files ----

/// Whether a part of a path is one of a pattern: capitals stand for anything.
fn part_is(pattern: &str, part: &str) -> bool {
    let literal = pattern.trim_end_matches(|c: char| c.is_ascii_uppercase());
    if literal.len() == pattern.len() {
        return pattern.eq_ignore_ascii_case(part);
    }
    part.len() > literal.len()
        && part.get(..literal.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(literal))
        || part.eq_ignore_ascii_case(pattern)
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "...").collect()
}

/// The short path of a file whose path leads through /sys/devices/pci0000:00: by the class of what a driver made of the
/// function, or by the function's bus.
fn by_bus_or_class(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.strip_prefix("/sys/devices/pci")?.split('/').skip(1).collect();
    let short = |folder: &str, from: usize| Some(format!("{folder}/{}", parts.get(from..)?.join("/")));
    for (at, pair) in parts.windows(2).enumerate().rev() {
        match *pair {
            ["block", _] => return short("/sys/block", at + 1),
            ["net", _] => return short("/sys/class/net", at + 1),
            [ctrl, disk]
                if ctrl.starts_with("nvme") && ctrl.len() > 4 && disk.starts_with(&format!("{ctrl}n")) =>
            {
                return short("/sys/block", at + 1);
            }
            ["nvme", _] => return short("/sys/class/nvme", at + 1),
            _ => {}
        }
    }
    let function = |part: &&str| part.split(':').count() == 3 && part.contains('.');
    short("/sys/bus/pci/devices", parts.iter().rposition(function)?)
}

/// Whether a path that somebody typed is one of a file's, whole or from the end.
fn file_is(word: &Word, asked: &str) -> bool {
    if asked.contains(char::is_whitespace) {
        return false;
    }
    let asked = asked.trim_end_matches(':').replace("/sys/kernel/debug/tracing/", "/sys/kernel/tracing/");
    let asked = by_bus_or_class(&asked).unwrap_or(asked);
    let path = parts(&asked);
    let Some(last) = path.last() else { return false };
    word.names.iter().any(|name| {
        let pattern = parts(name);
        let alike = |n: usize| {
            pattern[pattern.len() - n..].iter().zip(&path[path.len() - n..]).all(|(p, part)| part_is(p, part))
        };
        let literal = pattern.last().is_some_and(|p| p.eq_ignore_ascii_case(last));
        let whole = pattern.len() == path.len() && asked.starts_with('/');
        // A long path by another way, as through /sys/devices/pci0000:00.
        let other = path.len() > pattern.len().min(5) && literal && pattern.len() > 2 && alike(2);
        if whole {
            alike(path.len())
        } else {
            other || path.len() <= pattern.len() && literal && alike(path.len())
        }
    })
}

// ---- errors ----

/// An error by its name or number.
fn error_named(asked: &str) -> Option<Errno> {
    let number = asked.strip_prefix("errno").unwrap_or(asked).trim().trim_start_matches(['=', '-', ' ']);
    let signed = asked.starts_with("errno") || asked.starts_with('-');
    errors().find(|error| {
        error.name().eq_ignore_ascii_case(asked.trim_start_matches('-'))
            || signed && number.parse() == Ok(*error as i32)
    })
}

/// The error that a text ends with, or names: as `strerror(3)` says it, or by name or number.
fn error_in(text: &str) -> Option<Errno> {
    let small = text.to_lowercase();
    let said = errors().find(|error| small.contains(&error.text().to_lowercase()));
    let token = || {
        let tokens = text.split(|c: char| c.is_whitespace() || "()[]:,;=".contains(c));
        tokens.filter(|token| token.len() > 1).find_map(|token| error_named(token.trim_end_matches('.')))
    };
    said.or_else(token)
}

fn error_without_text(error: Errno) -> Entry {
    let text = format!("Error {}: {}.", error as i32, error.text());
    let mut entry = Entry::new(Kind::Error, error.name(), text);
    entry.see = vec!["errno".to_owned()];
    entry
}

// ---- parameters ----

/// Whether a word of the command line is the parameter of this name. A dash is an underscore.
fn parameter_is(name: &str, asked: &str) -> bool {
    let param = |text: &str| {
        let (param, value) = text.split_once('=').map_or((text, ""), |(p, v)| (p, v));
        (param.replace('-', "_").to_lowercase(), value.to_owned())
    };
    let ((name, fixed), (asked, value)) = (param(name), param(asked));
    name == asked && (fixed.is_empty() || value.is_empty() || value.split(',').any(|v| v == fixed))
}

/// A word of the command line that has no text of its own.
fn other_parameter(asked: &str) -> Option<Entry> {
    if asked.contains(char::is_whitespace) {
        return None;
    }
    let (param, value) = asked.split_once('=').map_or((asked, None), |(param, value)| (param, Some(value)));
    let text = match params::meaning(param, value)? {
        Meaning::Modelled(_) => return None,
        Meaning::NoEffect => {
            "irqlab takes this word and changes nothing: no interrupt, CPU, queue or line of the \
                              log that it models depends on it."
                .to_owned()
        }
        Meaning::NotModelled(why) => format!(
            "This word changes things that irqlab models, and irqlab does not model the word: {why}. A machine file \
             with it is refused."
        ),
    };
    let mut entry = Entry::new(Kind::Parameter, param, text);
    entry.see = vec!["cmdline".to_owned()];
    Some(entry)
}

// ---- the log ----

/// A format as people read it.
fn shown(format: &str) -> String {
    format.replace("\\n", " ").replace("\\\"", "\"").replace("%s %s: ", "DRIVER DEVICE: ")
}

/// The text for a format: one of its own, or else the function's.
fn text_of(format: &Format) -> Option<&'static Word> {
    let small = format.text.to_lowercase();
    let is = |word: &Word| word.names.iter().any(|piece| small.contains(&piece.to_lowercase()));
    words::words().iter().find(|(kind, word)| *kind == Kind::Message && is(word)).map(|(_, word)| word)
}

fn messages(fits: &[Fit<'_>]) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for fit in fits {
        let word = text_of(fit.format);
        // Formats with one text are one answer, whichever of them fits.
        let alike: Vec<&Format> = match word {
            Some(word) => Formats::get().iter().filter(|format| text_of(format) == Some(word)).collect(),
            None => vec![fit.format],
        };
        let mut entry = match word {
            Some(word) => entry(Kind::Message, word),
            None => Entry::new(Kind::Message, "", function_says(&fit.format.function)),
        };
        if found.iter().any(|other| other.text == entry.text) {
            continue;
        }
        entry.name = shown(&fit.format.text);
        let mut versions: Vec<KernelVersion> =
            alike.iter().flat_map(|format| format.places.iter().map(|(version, ..)| *version)).collect();
        versions.sort();
        versions.dedup();
        entry.kernels = names(&versions);
        let mut logged: Vec<Point> = alike.iter().map(|format| logged(format)).collect();
        logged.sort_by_key(|point| point.text != logged_text(fit.format));
        entry.values.splice(0..0, logged);
        for format in alike.iter().rev() {
            let at = |(version, place, _): &(KernelVersion, crate::source::Place, String)| At {
                kernel: version.name(),
                file: place.file.clone(),
                line: Some(place.line),
            };
            let places = format.places.iter().map(at).collect();
            entry.decides.retain(|decides| decides.function != format.function);
            entry.decides.insert(0, Decides { function: format.function.clone(), places });
        }
        if word.is_none() {
            entry.see = vec![fit.format.function.clone()];
        }
        found.push(entry);
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// A format and how it is logged.
fn logged_text(format: &Format) -> String {
    let mut hows: Vec<&str> = format.places.iter().map(|(_, _, how)| how.as_str()).collect();
    hows.sort_unstable();
    hows.dedup();
    format!("{} ({}() with {})", shown(&format.text), format.function, hows.join(", "))
}

fn logged(format: &Format) -> Point {
    let mut versions: Vec<KernelVersion> = format.places.iter().map(|(version, ..)| *version).collect();
    versions.dedup();
    Point {
        name: "logged".to_owned(),
        kernels: names(&versions),
        text: logged_text(format),
        decides: Vec::new(),
    }
}

/// What there is to say of a line that has no text of its own.
fn function_says(function: &str) -> String {
    match texts().functions.get(function) {
        Some(text) => format!("The function that logs this line, {function}(): {text}"),
        None => format!("{function}() logs this line. There is no text about it here."),
    }
}

/// What other programs say, and lines of C files whose formats the tables do not have, by pieces of them.
fn programs(line: &str) -> Vec<Entry> {
    let small = key(line);
    let small: Vec<&str> = small.split(' ').filter(|word| word.parse::<u64>().is_err()).collect();
    let small = small.join(" ");
    let is = |word: &Word| word.names.iter().any(|piece| small.contains(&key(piece)));
    let mut found: Vec<&(Kind, Word)> = words::words()
        .iter()
        .filter(|(kind, word)| match kind {
            Kind::Program => is(word),
            Kind::Message => is(word) && !has_format(word),
            _ => false,
        })
        .collect();
    // Of two that begin alike the longer one is meant.
    let longest = |word: &Word| word.names.iter().map(String::len).max();
    found.sort_by_key(|(_, word)| core::cmp::Reverse(longest(word)));
    found.into_iter().map(|(kind, word)| entry(*kind, word)).take(1).collect()
}

/// Some kernel's source has a format with a piece of this line.
pub fn has_format(word: &Word) -> bool {
    let pieces: Vec<String> = word.names.iter().map(|name| name.to_lowercase()).collect();
    Formats::get().iter().any(|format| {
        let small = format.text.to_lowercase();
        pieces.iter().any(|piece| small.contains(piece))
    })
}

/// `WARNING: CPU: 3 PID: 1 at FILE:LINE FUNCTION+0x12/0x34`, `kernel BUG at FILE:LINE!`.
fn warning(line: &str) -> Vec<Entry> {
    if !line.contains("WARNING:") && !line.contains("kernel BUG at") {
        return Vec::new();
    }
    let Some((_, place)) = line.split_once(" at ") else { return Vec::new() };
    let mut tokens = place.split_whitespace();
    let file_line = tokens.next().unwrap_or_default().trim_end_matches(['!', ',']);
    let (file, number) = file_line.split_once(':').unwrap_or((file_line, ""));
    let number: Option<u32> = number.parse().ok();
    let function = tokens.next().and_then(|token| token.split(['+', '.']).next()).unwrap_or_default();
    let mut hit: Option<(String, String)> = None;
    let mut notes = Vec::new();
    for &version in KernelVersion::ALL {
        let all = Source::of(version).warnings.iter().filter(|w| w.place.file == file);
        let of: Vec<_> = all
            .filter(
                |w| if function.is_empty() { Some(w.place.line) == number } else { w.function == function },
            )
            .collect();
        if let Some(first) = of.first() {
            hit.get_or_insert_with(|| (first.function.clone(), first.how.clone()));
            let at: Vec<String> =
                of.iter().map(|w| format!("{} at {}:{}", w.how, file, w.place.line)).collect();
            notes.push(Note::new(version, at.join(", ")));
        }
    }
    let Some((function, _)) = hit else { return Vec::new() };
    let text = format!(
        "{function}() of {file} found something that it holds impossible. Lines of another kernel differ from those \
         below; the function says which check it was. {}",
        texts().functions.get(&function).map_or("", String::as_str)
    );
    let mut entry = Entry::new(Kind::Warning, format!("{file} {function}"), text);
    entry.notes = notes;
    entry.see = vec![function];
    vec![entry]
}

// ---- longer questions ----

/// What the words of a question name. If the question was understood as a whole, plain words say nothing more.
fn pieces(question: &str, understood: bool) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    let mut add = |entries: Vec<Entry>| {
        for entry in entries {
            if !found.iter().any(|other| (other.kind, &other.name) == (entry.kind, &entry.name)) {
                found.push(entry);
            }
        }
    };
    let tokens: Vec<&str> = question
        .split_whitespace()
        .flat_map(|token| token.split(['(', ')', ',', '>', '<', '"', '\'', '`', ';']))
        .map(|token| token.trim_matches([':', '.', '?', '!']))
        .filter(|token| !token.is_empty())
        .collect();
    let special = |token: &str| {
        let path = token.contains('/')
            && token.len() > 3
            && token.starts_with(|c: char| c == '/' || c.is_alphabetic());
        path || token.contains('_') || token.contains('=') && token.len() > 4
    };
    for token in tokens.iter().filter(|token| special(token)) {
        add(name(token));
    }
    if understood {
        return found;
    }
    // Notions of several words, and everything else in a short question.
    let whole = format!(" {} ", key(question));
    for (kind, word) in words::words().iter().filter(|(kind, _)| matches!(kind, Kind::Notion | Kind::Row)) {
        let has = |name: &String| name.contains(' ') && whole.contains(&format!(" {} ", key(name)));
        if word.names.iter().chain(&word.also).any(has) {
            add(vec![entry(*kind, word)]);
        }
    }
    if tokens.len() <= SHORT {
        for token in tokens.iter().filter(|token| token.len() > 2) {
            add(name(token));
        }
    }
    found.truncate(MOST);
    found
}

/// Every name that can be asked for.
pub fn all_names() -> Vec<String> {
    let functions =
        KernelVersion::ALL.iter().flat_map(|v| Functions::of(*v).iter().map(|f| f.name.to_owned()));
    let words = words::words().iter().filter(|(kind, _)| !matches!(kind, Kind::Message | Kind::Program));
    let words = words.flat_map(|(kind, word)| {
        let paths = word.names.iter().filter_map(|name| name.rsplit('/').next()).map(str::to_owned);
        let also = word.also.iter().filter(|name| !name.contains(' '));
        let full = word.names.iter().chain(also).cloned();
        let paths: Vec<String> = if *kind == Kind::File { paths.collect() } else { Vec::new() };
        full.chain(paths).collect::<Vec<_>>()
    });
    let mut all: Vec<String> = functions.chain(words).collect();
    all.extend(Semantics::fields().iter().map(|field| field.name.to_owned()));
    all.extend(texts().flags.keys().cloned());
    all.extend(tracepoints().map(str::to_owned));
    all.extend(EXHIBITS.iter().map(|exhibit| exhibit.id.to_owned()));
    all.extend(PROFILES.iter().map(|profile| profile.driver.name.to_owned()));
    all.extend(params::known().map(str::to_owned));
    all.extend(errors().map(|error| error.name().to_owned()));
    all.sort();
    all.dedup();
    all
}

/// Names that may have been meant, the closest first.
pub fn near(question: &str) -> Vec<String> {
    const NEAREST: usize = 5;
    let asked: String = trimmed(question).to_lowercase().chars().take(100).collect();
    let last = asked.rsplit('/').next().unwrap_or(&asked).to_owned();
    if last.is_empty() {
        return Vec::new();
    }
    let mut close: Vec<(usize, String)> = all_names()
        .into_iter()
        .filter_map(|name| {
            let small = name.to_lowercase();
            let contains = last.len() > 3 && small.contains(&last);
            let distance = strsim::levenshtein(&small, &last);
            (contains || distance <= last.len() / 3).then_some((if contains { 1 } else { distance }, name))
        })
        .collect();
    close.sort_by(|a, b| (a.0, a.1.len(), &a.1).cmp(&(b.0, b.1.len(), &b.1)));
    close.into_iter().take(NEAREST).map(|(_, name)| name).collect()
}
