//! `--format svg` and `--format mermaid-sequence` as a program writes them: what they look like, that an XML parser takes
//! them, and that they say in words what they draw.

use std::path::PathBuf;
use std::process::{Command, Output};

use irqlab::KernelVersion;
use roxmltree::{Document, Node};

const READ: &str = "taskset -c 4 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct\n";
const OFF: &str = "echo 0 > /sys/devices/system/cpu/cpu4/online\n";
const RESET: &str = "echo 1 > /sys/class/nvme/nvme0/reset_controller\n";

/// A script in a folder, which goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, script: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("irqlab-pictures-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("script.sh"), script).unwrap();
        Self(folder)
    }

    fn output(&self, options: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
        command.args(options.split_whitespace()).env("NO_COLOR", "1").current_dir(&self.0).output().unwrap()
    }

    fn text(&self, options: &str) -> String {
        let output = self.output(options);
        assert!(output.status.success(), "{options}: {}", String::from_utf8_lossy(&output.stderr));
        let again = self.output(options);
        assert_eq!(output.stdout, again.stdout, "{options}: the same input makes the same bytes");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> &'a str {
    node.children()
        .find(|n| n.has_tag_name(("http://www.w3.org/2000/svg", name)))
        .and_then(|n| n.text())
        .unwrap_or("")
}

/// An SVG document that needs nothing from elsewhere and has a name: what it says in words.
fn words_of(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let root = document.root_element();
    assert!(root.has_tag_name(("http://www.w3.org/2000/svg", "svg")));
    assert_eq!(root.attribute("role"), Some("img"));
    assert!(!child(root, "title").is_empty() && child(root, "desc").len() > 20, "{}", child(root, "desc"));
    let ids: Vec<&str> = document.descendants().filter_map(|n| n.attribute("id")).collect();
    let labelled: Vec<&str> = root.attribute("aria-labelledby").unwrap().split(' ').collect();
    assert!(labelled.iter().all(|id| ids.contains(id)), "{labelled:?}");
    let style = child(root, "style");
    assert!(style.contains("prefers-color-scheme:dark") && !style.contains("@import"), "{style}");
    let (width, height) = size(root);
    let mut words = Vec::new();
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        assert!(!["script", "image", "use", "foreignObject", "a"].contains(&name), "a picture has no {name}");
        for attribute in node.attributes() {
            let value = attribute.value();
            assert!(!value.contains("url(") || value.starts_with("url(#"), "{value}");
            assert!(!attribute.name().contains("href") && !attribute.name().starts_with("on"), "{value}");
        }
        if name == "text" {
            let text = node.text().unwrap_or("");
            if let (Some(x), Some(y)) = (number(node, "x"), number(node, "y")) {
                // As wide as the widest of the usual fonts makes it.
                let long = text.chars().count() as f64 * 6.7;
                let (from, to) = match node.attribute("text-anchor") {
                    Some("end") => (x - long, x),
                    Some("middle") => (x - long / 2.0, x + long / 2.0),
                    _ => (x, x + long),
                };
                let inside = from >= -1.0 && to <= width + 1.0 && y >= 0.0 && y <= height;
                assert!(inside, "`{text}` at {x}, {y} is not within {width} by {height}");
            }
            words.push(text.to_owned());
        }
    }
    words
}

fn number(node: Node<'_, '_>, name: &str) -> Option<f64> {
    node.attribute(name)?.parse().ok()
}

fn size(root: Node<'_, '_>) -> (f64, f64) {
    (number(root, "width").unwrap(), number(root, "height").unwrap())
}

#[test]
fn pictures_look_as_they_were_reviewed() {
    let (read, off) = (Folder::new("read", READ), Folder::new("off", OFF));
    for (name, folder, options) in [
        ("lanes", &read, "run script.sh --format svg --hardware"),
        ("vectors", &off, "run script.sh --format svg --vectors"),
        ("domains", &off, "run script.sh --format svg --domains 29"),
    ] {
        let svg = folder.text(options);
        words_of(&svg);
        insta::assert_snapshot!(name, svg);
    }
}

#[test]
fn every_picture_of_every_kernel_says_in_words_what_it_draws() {
    let folder = Folder::new("kernels", OFF);
    for version in KernelVersion::ALL {
        let run = |options: &str| {
            let options = format!("run script.sh --kernel {} --format svg {options}", version.name());
            words_of(&folder.text(&options))
        };
        let lanes = run("--hardware");
        for word in ["task", "migration/4", "cpuhp/4", "nvme0"] {
            let has = lanes.iter().any(|text| text == word);
            assert!(has || word == "nvme0", "{}: {word} is not among {lanes:?}", version.name());
        }
        let vectors = run("--vectors");
        assert_eq!(vectors.iter().filter(|text| *text == "CPU 4 off").count(), 1);
        assert_eq!(vectors.iter().filter(|text| text.starts_with("CPU ")).count(), 8);
        // The queue of the CPU that is gone keeps its vector.
        assert!(vectors.iter().any(|text| text == "m"), "{vectors:?}");
        let domains = run("--domains 29");
        assert!(domains.iter().any(|text| text == "VECTOR"), "{domains:?}");
    }
}

#[test]
fn a_map_of_vectors_has_the_numbers_of_debugfs() {
    let folder = Folder::new("debugfs", &format!("{OFF}cat /sys/kernel/debug/irq/domains/VECTOR\n"));
    let text = folder.text("run script.sh");
    let words = words_of(&folder.text("run script.sh --format svg --vectors"));
    let of = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label)).expect(label);
        line.trim().to_owned()
    };
    let counted = format!(
        "online {}, available {}, reserved {}, allocated {}, of the system ",
        of("Online bitmaps:"),
        of("Global available:"),
        of("Global reserved:"),
        of("Total allocated:"),
    );
    assert!(words.iter().any(|word| word.starts_with(&counted)), "{counted} is not in {words:?}");
}

#[test]
fn a_long_record_makes_no_endless_picture() {
    let folder = Folder::new("long", RESET);
    for options in
        ["run --format svg --hardware", "run script.sh --format svg --hardware --cpus 64 --nvme 64"]
    {
        let svg = folder.text(options);
        words_of(&svg);
        assert!(svg.len() < 1_500_000, "{options}: {} bytes", svg.len());
    }
    let svg = folder.text("run script.sh --format svg --vectors --cpus 200 --nvme 20");
    let words = words_of(&svg);
    assert!(words.iter().filter(|word| word.starts_with("CPU")).count() < 200, "neighbours are folded");
}

#[test]
fn names_of_any_kind_stay_text() {
    let folder = Folder::new("names", "");
    std::fs::write(folder.0.join("<b>&\"x\".sh"), OFF).unwrap();
    let words = words_of(&folder.text("run <b>&\"x\".sh --format svg"));
    assert!(words[0].starts_with("<b>&\"x\".sh: Linux"), "{words:?}");
}

#[test]
fn a_replayed_matrix_is_drawn() {
    let folder = Folder::new("matrix", "");
    let ops = "online 0\nonline 1\nreserve_managed 0-1\nalloc_managed 0\nalloc 1 0\n";
    std::fs::write(folder.0.join("ops"), ops).unwrap();
    let words = words_of(&folder.text("matrix --replay ops --cpus 2 --format svg"));
    for word in ["CPU 0", "CPU 1", "M", "m", "A", "32"] {
        assert!(words.iter().any(|text| text == word), "{word} is not in {words:?}");
    }
    let sequence =
        "{\"cpus\":2,\"matrix_bits\":256,\"alloc_start\":32,\"alloc_end\":236,\"ops\":[\"online 0\"]}\n";
    std::fs::write(folder.0.join("one"), sequence).unwrap();
    words_of(&folder.text("matrix --replay one --format svg"));
    std::fs::write(folder.0.join("two"), format!("{sequence}{sequence}")).unwrap();
    let output = folder.output("matrix --replay two --format svg");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("two:2:1: this is a second sequence") && output.stdout.is_empty(), "{said}");
}

#[test]
fn what_no_picture_can_show_is_refused() {
    let folder = Folder::new("refused", OFF);
    for (options, expect) in [
        ("run script.sh --format svg --domains 4000", "no interrupt 4000"),
        ("run script.sh --format story --domains 29", "--format dot, mermaid or svg"),
        ("run script.sh --format dot --vectors", "--format svg"),
        ("run script.sh --format svg --vectors --domains 29", "cannot be used with"),
        ("matrix --replay script.sh --format svg --json", "cannot be used with"),
    ] {
        let output = folder.output(options);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{options}: {said}");
        assert!(said.contains(expect) && output.stdout.is_empty(), "{options}: {said}");
    }
}

/// Every line is one that Mermaid knows, everybody who acts was named, and loops are closed.
fn check_sequence(text: &str) -> usize {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("sequenceDiagram"));
    let (mut named, mut depth, mut arrows) = (Vec::new(), 0, 0);
    for line in lines {
        let line = line.trim();
        assert!(!line.contains(';') || line.contains("#59;"), "{line}");
        if let Some((who, name)) = line
            .strip_prefix("participant ")
            .or(line.strip_prefix("actor "))
            .and_then(|l| l.split_once(" as "))
        {
            assert!(arrows == 0 && !name.is_empty());
            named.push(who.to_owned());
        } else if line.starts_with("loop ") {
            depth += 1;
        } else if line == "end" {
            depth -= 1;
            assert!(depth >= 0);
        } else if let Some(note) = line.strip_prefix("Note over ") {
            assert!(note.contains("more arrows are left out"), "{note}");
        } else {
            let (who, text) = line.split_once(": ").unwrap_or_else(|| panic!("`{line}` is no arrow"));
            let (from, to) = who.split_once("->>").or(who.split_once("-x")).expect(line);
            assert!(named.iter().any(|n| n == from) && named.iter().any(|n| n == to), "{line}");
            assert!(!text.is_empty());
            arrows += 1;
        }
    }
    assert_eq!(depth, 0, "{text}");
    arrows
}

#[test]
fn a_sequence_is_short_and_tells_the_way_of_an_interrupt() {
    let (read, reset) = (Folder::new("seq-read", READ), Folder::new("seq-reset", RESET));
    for version in KernelVersion::ALL {
        let options = format!("run script.sh --kernel {} --format mermaid-sequence", version.name());
        let text = read.text(&options);
        check_sequence(&text);
        insta::assert_snapshot!(format!("sequence_{}", version.name()), text);
        let text = reset.text(&options);
        assert!(check_sequence(&text) <= 120, "{text}");
        let loops = text.lines().filter(|line| line.trim().starts_with("loop ")).count();
        assert!(loops > 5, "nine queues do the same: {text}");
        // Boot, and a machine with so many CPUs that they share a place.
        check_sequence(&reset.text(&format!("run --kernel {} --format mermaid-sequence", version.name())));
    }
    let text = reset.text("run script.sh --cpus 64 --nvme 64 --format mermaid-sequence");
    assert!(check_sequence(&text) <= 120 && text.contains("more arrows are left out"), "{text}");
    let each = "for i in 0 1 2 3 4 5 6 7; do taskset -c $i dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct; done\n";
    let text = Folder::new("seq-each", each).text("run script.sh --format mermaid-sequence");
    assert!(check_sequence(&text) <= 30 && text.contains(" as local APICs"), "{text}");
    assert!(text.contains("CPU 0\u{2026}7: takes vector"), "{text}");
}
