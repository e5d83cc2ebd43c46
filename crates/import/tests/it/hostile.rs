//! Archives that nobody should trust: each ends in one sentence, and nothing is written anywhere.

use std::io::{self, Cursor, Read, Write as _};
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use import::tree::{SourceError, Tree};

const INTERRUPTS: &str = "           CPU0\n  1:   0  IO-APIC   1-edge      i8042\n";

fn header(path: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    // As bytes: the library refuses paths that lead out of the archive.
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// An archive of files and links.
fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for &(path, kind, text) in entries {
        let data = if kind.is_symlink() { "" } else { text };
        let mut header = header(path, kind, data.len() as u64);
        if kind.is_symlink() {
            header.set_link_name(text).expect("a link");
            header.set_cksum();
        }
        out.append(&header, data.as_bytes()).expect("memory");
    }
    out.into_inner().expect("memory")
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).expect("memory");
    out.finish().expect("memory")
}

fn read(bytes: Vec<u8>) -> Result<Tree, SourceError> {
    Tree::read_from("evil.tar", Cursor::new(bytes))
}

fn sentence(bytes: Vec<u8>) -> String {
    match read(bytes) {
        Ok(tree) => format!("{} files", tree.len()),
        Err(e) => e.to_string(),
    }
}

use tar::EntryType::{Char, Fifo, Link, Regular, Symlink};

#[test]
fn paths_that_lead_out_and_links_are_not_followed() {
    let tree = read(archive(&[
        ("proc/interrupts", Regular, INTERRUPTS),
        ("../../etc/passwd", Regular, "root"),
        ("proc/irq/1/../../../etc/shadow", Regular, "root"),
        ("/etc/passwd", Regular, "root"),
        ("proc/cmdline", Symlink, "/etc/passwd"),
        ("proc/version", Link, "/etc/passwd"),
        ("proc/cpuinfo", Fifo, ""),
        ("sys/devices/system/cpu/online", Char, ""),
    ]))
    .expect("an archive");
    assert_eq!(tree.len(), 2);
    assert_eq!((tree.link("proc/cmdline"), tree.text("proc/cmdline")), (Some("/etc/passwd"), None));
    let only_outside = archive(&[("../proc/interrupts", Regular, INTERRUPTS)]);
    assert!(sentence(only_outside).contains("has no /proc/interrupts"));
}

#[test]
fn links_of_a_folder_are_not_followed_either() {
    let root = std::env::temp_dir().join(format!("irqlab-import-{}", std::process::id()));
    let proc = root.join("proc");
    std::fs::create_dir_all(&proc).expect("a folder");
    std::fs::write(proc.join("interrupts"), INTERRUPTS).expect("a file");
    #[cfg(unix)]
    std::os::unix::fs::symlink("/dev/zero", proc.join("cpuinfo")).expect("a link");
    #[cfg(unix)]
    std::os::unix::fs::symlink("..", proc.join("irq")).expect("a link");
    let tree = Tree::read(&root);
    std::fs::remove_dir_all(&root).expect("the folder");
    let tree = tree.expect("a folder of files");
    assert_eq!((tree.text("proc/interrupts"), tree.text("proc/cpuinfo")), (Some(INTERRUPTS), None));
    assert!(
        Tree::read(&PathBuf::from("/does/not/exist")).unwrap_err().to_string().starts_with("cannot read")
    );
}

#[test]
fn what_is_cut_says_so() {
    let whole =
        archive(&[("proc/interrupts", Regular, &INTERRUPTS.repeat(400)), ("proc/version", Regular, "x")]);
    assert_eq!(sentence(whole.clone()), "2 files");
    let packed = gz(&whole);
    assert_eq!(sentence(packed.clone()), "2 files");
    for cut in [700, 2000, 10_000] {
        let text = sentence(whole[..cut].to_vec());
        assert!(text.starts_with("evil.tar is cut short or damaged"), "{cut}: {text}");
    }
    for cut in [20, packed.len() / 2, packed.len() - 9] {
        let text = sentence(packed[..cut].to_vec());
        assert!(text.starts_with("evil.tar is cut short or damaged"), "{cut}: {text}");
    }
    let mut bent = whole;
    bent[148..156].copy_from_slice(b"0000000\0");
    assert!(sentence(bent).starts_with("evil.tar is cut short or damaged"));
    for magic in [&b"\xfd7zXZ\0 not at all"[..], b"BZh9 neither"] {
        assert!(sentence(magic.to_vec()).starts_with("evil.tar is cut short or damaged"));
    }
}

/// So many zeros, which are never in memory.
fn zeros(count: u64) -> impl Read {
    io::repeat(0).take(count)
}

#[test]
fn a_gigabyte_of_zeros_ends_soon() {
    // A file of the machine that says it has a gigabyte, and has enough of it.
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(header("proc/interrupts", Regular, 1 << 30).as_bytes()).expect("memory");
    io::copy(&mut zeros(1 << 28), &mut out).expect("memory");
    let text = sentence(out.finish().expect("memory"));
    assert_eq!(
        text,
        "proc/interrupts in evil.tar has more than 134217728 bytes: this is not the archive of a machine"
    );
    // And nothing but zeros, packed.
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    io::copy(&mut zeros(1 << 28), &mut out).expect("memory");
    let text = sentence(out.finish().expect("memory"));
    assert!(text.starts_with("evil.tar has more than 134217728 bytes of text"), "{text}");
}

#[test]
fn a_hundred_thousand_files_are_read_or_left() {
    let mut out = tar::Builder::new(Vec::new());
    out.append(&header("proc/interrupts", Regular, INTERRUPTS.len() as u64), INTERRUPTS.as_bytes())
        .expect("memory");
    for n in 0..100_000 {
        let path = format!("proc/irq/{n}/smp_affinity_list");
        out.append(&header(&path, Regular, 2), &b"0\n"[..]).expect("memory");
        out.append(&header(&format!("var/log/{n}"), Regular, 0), io::empty()).expect("memory");
    }
    let tree = read(out.into_inner().expect("memory")).expect("an archive");
    assert_eq!(tree.len(), 100_001);
    let source = import::Source::of(&tree);
    let (imported, _) = source.import(&import::Options::default()).expect("a machine");
    assert!(source.check(&imported).agrees());
}

#[test]
fn what_is_no_source_is_named() {
    assert!(sentence(Vec::new()).contains("has no /proc/interrupts"));
    assert!(sentence(b"hello\n".to_vec()).contains("has no /proc/interrupts"));
    // Two machines in one must-gather.
    let node = gz(&archive(&[("proc/interrupts", Regular, INTERRUPTS)]));
    let mut out = tar::Builder::new(Vec::new());
    for name in ["nodes/a/sysinfo.tgz", "nodes/b/sysinfo.tgz"] {
        out.append(&header(name, Regular, node.len() as u64), &node[..]).expect("memory");
    }
    assert!(sentence(out.into_inner().expect("memory")).contains("second machine"));
}

#[test]
fn numbers_that_no_machine_has_are_refused() {
    let import = |interrupts: &str| {
        let tree = Tree::read_from("text", Cursor::new(interrupts.to_owned().into_bytes())).expect("a text");
        match import::Source::of(&tree).import(&import::Options::default()) {
            Ok(_) => "fine".to_owned(),
            Err(e) => e.to_string(),
        }
    };
    assert_eq!(import(INTERRUPTS), "fine");
    let head = "  CPU0\n";
    let huge = format!("{head} 4294967295: 0 PCI-MSIX-0000:00:03.0 0-edge x\n");
    assert!(import(&huge).starts_with("the files describe a machine that irqlab cannot have"));
    assert_eq!(import(&format!("{head} 30: 0 PCI-MSI 18446744073709551615-edge x\n")), "fine");
    assert_eq!(import("  CPU99999999\n"), "no file says which CPUs the machine has");
    assert!(import(&format!("{head} 1: 0 xen-pirq -ioapic-edge i8042\n")).contains("no local APIC"));
}

#[test]
fn what_is_packed_otherwise_is_named() {
    for (magic, what) in [
        (&b"\x28\xb5\x2f\xfd and so on"[..], "packed with zstd"),
        (b"PK\x03\x04", "a zip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"070701000", "a cpio archive"),
    ] {
        let error = read(magic.to_vec()).expect_err(what);
        assert_eq!(error.to_string(), format!("evil.tar is {what}, which is not read here"));
        let help = diagnostic::Diagnostic::help(&error).expect("what to do");
        assert!(help.starts_with("unpack it with `"), "{help}");
    }
}

#[test]
fn bombs_and_holes_end_as_soon_as_there_is_too_much() {
    // A sparse file: a map that says a gigabyte, of which nothing is stored.
    let mut header = tar::Header::new_gnu();
    header.set_path("proc/interrupts").expect("a path");
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(0);
    header.set_mode(0o644);
    let gnu = header.as_gnu_mut().expect("a GNU header");
    gnu.realsize[..12].copy_from_slice(b"10000000000\0");
    gnu.sparse[0].offset[..12].copy_from_slice(b"10000000000\0");
    gnu.sparse[0].numbytes[..12].copy_from_slice(b"00000000000\0");
    header.set_cksum();
    let mut out = header.as_bytes().to_vec();
    out.extend([0; 1024]);
    let text = sentence(out);
    assert!(text.starts_with("proc/interrupts in evil.tar has more than 134217728 bytes"), "{text}");
    // Archives in archives: only a node's is looked into, and only once.
    let mut inner = gz(&archive(&[("proc/interrupts", Regular, INTERRUPTS)]));
    for _ in 0..40 {
        let mut out = tar::Builder::new(Vec::new());
        out.append(&header_of("nodes/a/sysinfo.tgz", inner.len() as u64), &inner[..]).expect("memory");
        inner = gz(&out.into_inner().expect("memory"));
    }
    let text = sentence(inner);
    assert!(text.contains("archives in archives"), "{text}");
}

fn header_of(path: &str, size: u64) -> tar::Header {
    header(path, Regular, size)
}

#[test]
fn archives_that_are_nearly_right_are_answered() {
    let affinity = ("proc/irq/1/smp_affinity_list", Regular, "0\n");
    let whole =
        archive(&[("proc/interrupts", Regular, INTERRUPTS), affinity, ("proc/version", Symlink, "x")]);
    let packed = gz(&whole);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |n: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    };
    let (mut fine, mut refused) = (0, 0);
    for round in 0..600 {
        let mut bytes = if round % 2 == 0 { whole.clone() } else { packed.clone() };
        for _ in 0..=below(4) {
            let at = below(bytes.len());
            match below(3) {
                0 => bytes[at] = below(256) as u8,
                1 => bytes.truncate(at.max(1)),
                _ => bytes[at] ^= 1 << below(8),
            }
        }
        match read(bytes) {
            Ok(tree) => {
                let source = import::Source::of(&tree);
                let _ = source.import(&import::Options::default());
                fine += 1;
            }
            Err(e) => {
                assert!(!e.to_string().contains('\n'), "{e}");
                refused += 1;
            }
        }
    }
    assert!(fine > 50 && refused > 50, "{fine} {refused}");
}

#[test]
fn files_that_are_nearly_right_are_answered() {
    let texts = [
        (
            "proc/interrupts",
            "   CPU0 CPU1\n 30: 0 0 PCI-MSIX-0000:00:03.0 0-edge nvme0q0\n 31: 0 0 PCI-MSIX-0000:00:03.0 1-edge nvme0q1\n",
        ),
        ("sys/devices/system/cpu/possible", "0-3\n"),
        ("sys/devices/system/node/node1/cpulist", "2-3\n"),
        ("proc/irq/31/smp_affinity_list", "0-1\n"),
        ("sys/kernel/debug/irq/irqs/30", " Vector:    35\n Target:     1\n"),
        (
            "sys/kernel/debug/irq/domains/VECTOR",
            " | CPU | avl | man | mac | act | vectors\n 0 1 2 3 4 32-33\n",
        ),
        ("proc/cmdline", "isolcpus=managed_irq,1 nvme.write_queues=1\n"),
        ("lscpu", "Architecture: x86_64\nCPU(s): 4\nNUMA node(s): 1\nNUMA node0 CPU(s): 0-3\n"),
        ("sos_commands/pci/lspci_-nnvv", "00:03.0 x\n\tCapabilities: [c0] MSI-X: Enable+ Count=97 Masked-\n"),
        ("proc/cpuinfo", "processor\t: 1\napicid\t\t: 7\nflags\t: fpu lm x2apic\n"),
    ];
    let mut state = 7_u64;
    let mut below = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let pieces =
        ["0", "-1", "4294967295", "99999999999", "-", ",", ":", "\n", "0-8191", "\u{1f980}", "\0", "\""];
    let (mut machines, mut refusals) = (0, Vec::new());
    for _ in 0..1500 {
        let which = below(texts.len());
        let changed: Vec<(&str, String)> = texts
            .iter()
            .enumerate()
            .map(|(n, (path, text))| {
                let mut chars: Vec<char> = text.chars().collect();
                if n == which {
                    for _ in 0..=below(3) {
                        let at = below(chars.len() + 1);
                        let to = (at + below(6)).min(chars.len());
                        chars.splice(at..to, pieces[below(pieces.len())].chars());
                    }
                }
                (*path, chars.into_iter().collect())
            })
            .collect();
        let mut out = tar::Builder::new(Vec::new());
        for (path, text) in &changed {
            out.append(&header_of(path, text.len() as u64), text.as_bytes()).expect("memory");
        }
        let Ok(tree) = read(out.into_inner().expect("memory")) else { continue };
        let source = import::Source::of(&tree);
        match source.import(&import::Options::default()) {
            Ok((imported, _)) => {
                let _ = source.check(&imported);
                machines += 1;
            }
            Err(e) => refusals.push(e.to_string()),
        }
    }
    assert!(machines > 500, "{machines}: {:?}", refusals.iter().take(20).collect::<Vec<_>>());
}
