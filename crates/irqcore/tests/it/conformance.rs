//! What mailing lists, commit messages and published dumps state about spreading interrupts over
//! CPUs and about the vector matrix, case by case. The facts are in tests/golden/conformance.jsonl.
//!
//! Cases of the same areas that need a whole machine are in crates/sim/tests/it/conformance.rs.

use irqcore::affinity::irq_create_affinity_masks;
use irqcore::group_cpus::group_cpus_evenly;
use irqcore::matrix::*;
use kstate::msi::IrqAffinity;
use kstate::semantics::{KernelVersion, Semantics};
use kstate::topology::CpuPlace;
use kstate::{CpuId, CpuMask, Errno, Kernel, NodeId};
use serde_json::Value;

const V5_4: &[KernelVersion] = &[KernelVersion::V5_4];
const V6_12: &[KernelVersion] = &[KernelVersion::V6_12];
const BOTH: &[KernelVersion] = &[KernelVersion::V5_4, KernelVersion::V6_12];

/// One row per case.
const CASES: &[(&str, fn(&str))] = &[
    // Spreading.
    ("SPR-01", |id| spread(id, BOTH, 0, alone)),
    ("SPR-02", |id| spread(id, V5_4, 0, alone)),
    ("SPR-02d", |id| spread(id, V6_12, 0, alone)),
    // That the CPUs of the device's node are chosen when such a vector starts up is BMQ-02's.
    ("SPR-03", |id| spread(id, BOTH, 8, |cpu| cpu % 36)),
    ("SPR-04", |id| spread(id, BOTH, 0, alone)),
    ("SPR-05", |id| spread(id, BOTH, 0, alone)),
    ("SPR-06", |id| spread(id, V5_4, 0, alone)),
    ("SPR-07", |id| spread(id, BOTH, 0, alone)),
    ("SPR-09", |id| spread(id, BOTH, 0, |cpu| cpu / 2)),
    ("TIE-01", |id| order_of_equal_nodes(id, 2)),
    ("TIE-02", |id| order_of_equal_nodes(id, 3)),
    ("TIE-03", |id| order_of_equal_nodes(id, 4)),
    ("TIE-04", |id| order_of_equal_nodes(id, 5)),
    ("TIE-05", |id| order_of_equal_nodes(id, 6)),
    ("TIE-06", |id| order_of_equal_nodes(id, 7)),
    ("TIE-08", |id| {
        for (version, field) in [(KernelVersion::V5_4, "old"), (KernelVersion::V6_12, "new")] {
            assert_eq!(
                singles(version, &["0-1", "2-3", "4-5"]),
                texts(&data(id)[field]),
                "{}",
                version.name()
            );
        }
    }),
    // The map of a tag set without vectors of its own is what groups of CPUs are.
    ("AFF-04", |_| {
        let mut k = machine(KernelVersion::V6_12, &["0-79", "80-159"], alone);
        let groups = group_cpus_evenly(&mut k, 2).expect("groups");
        assert_eq!(groups.iter().map(CpuMask::list).collect::<Vec<_>>(), ["0-79", "80-159"]);
    }),
    // Published tables of the matrix.
    ("MTX-04", |id| {
        each(BOTH, |version| {
            // Before: CPU 2 is there and has as much as CPU 18, to which its vectors will go.
            let mut rows = rows(id);
            rows.push((2, [192, 1, 1, 9], "33-41".to_owned()));
            rows.iter_mut().filter(|row| row.0 == 18).for_each(|row| row.1 = [192, 1, 1, 9]);
            rows.iter_mut().filter(|row| row.0 == 18).for_each(|row| "33-41".clone_into(&mut row.2));
            rows.sort();
            let mut k = matrix(version, 32, 236, "0-32,50,128,236-255");
            fill(&mut k, &rows);
            assert_eq!(table(&k), Table { online: 31, available: 5950, reserved: 0, total: 281, rows });
            // The interrupts move, the managed one is shut down, then the CPU leaves.
            for vector in 34..42 {
                assert_eq!(alloc(&mut k, "18"), Ok((CpuId(18), vector + 8)));
                irq_matrix_free(&mut k, CpuId(2), vector, false);
            }
            irq_matrix_free(&mut k, CpuId(2), 33, true);
            offline(&mut k, 2);
            check_table(&k, id, 30, 0);
        });
    }),
    ("MTX-07", |_| each(BOTH, mtx_07)),
    ("MTX-09", |_| {
        each(BOTH, |version| {
            let mut k = mtx_07(version);
            // The CPU's only vector is free again by the time it leaves.
            irq_matrix_free(&mut k, CpuId(167), 32, false);
            offline(&mut k, 167);
            assert_eq!(counters(&k), [167, 32812, 83, 254]);
        });
    }),
    ("MTX-10", |id| {
        each(BOTH, |version| {
            let mut k = matrix(version, 32, 236, "0-19,21,50,128,236,243-244,246-255");
            // Vectors that are left behind on a CPU that went.
            leave_behind(&mut k, 8, 10);
            fill(&mut k, &rows(id));
            reserve(&mut k, 6);
            check_table(&k, id, 8, 6);
            each_cpu_has(&k, 202);
            assert!(text(&k).contains("System: 36: 0-19,21,50,128,236,243-244,246-255\n"));
        });
    }),
    ("MTX-14", |id| {
        each(BOTH, |version| {
            let mut k = matrix(version, 12, 236, "0-31,50,128,236-255");
            fill(&mut k, &rows(id));
            reserve(&mut k, 7);
            check_table(&k, id, 12, 7);
            each_cpu_has(&k, 202);
        });
    }),
    ("MTX-17", |id| {
        each(BOTH, |version| {
            let mut k = matrix(version, 32, 235, "0-19,21,50,236,240-244,246-255");
            fill(&mut k, &rows(id));
            reserve(&mut k, 11);
            check_table(&k, id, 32, 11);
            each_cpu_has(&k, 202);
            assert!(text(&k).contains("System: 38: 0-19,21,50,236,240-244,246-255\n"));
        });
    }),
    ("MTX-11", |id| {
        each(BOTH, |version| {
            let mut k = matrix(version, 32, 236, "0-19,21,50,128,236,243-244,246-255");
            leave_behind(&mut k, 3, 141);
            fill(&mut k, &rows(id));
            check_table(&k, id, 7, 0);
            each_cpu_has(&k, 202);
            // No other CPU of the affinity is left.
            assert_eq!(alloc(&mut k, "2-3"), Err(Errno::ENOSPC));
        });
    }),
    // Rules.
    ("RUL-09", |_| {
        for (version, warned, left) in
            [(KernelVersion::V5_4, 0, [1, 169, 0, u32::MAX]), (KernelVersion::V6_12, 1, [1, 168, 0, 0])]
        {
            let mut k = matrix(version, 1, 200, "0-31");
            irq_matrix_free(&mut k, CpuId(0), 40, false);
            assert_eq!((k.warnings, counters(&k)), (warned, left), "{}", version.name());
        }
    }),
    ("RUL-10", |_| {
        for (version, expect) in [(KernelVersion::V5_4, Errno::ENOSPC), (KernelVersion::V6_12, Errno::EINVAL)]
        {
            let mut k = matrix(version, 2, 236, "0-31");
            let before = k.vector_matrix.clone();
            assert_eq!(alloc(&mut k, ""), Err(expect), "{}", version.name());
            assert_eq!(k.vector_matrix, before);
        }
    }),
    ("RUL-11", |_| {
        each(BOTH, |version| {
            let mut k = matrix(version, 16, 236, "0-31");
            // The lowest of equals goes first, so that 168 interrupts go round.
            for n in 0..168 {
                assert_eq!(alloc(&mut k, "0-15").map(|(cpu, _)| cpu.0), Ok(n % 16));
            }
            // The last eight have one less than the others.
            assert_eq!(alloc(&mut k, "3-9").map(|(cpu, _)| cpu.0), Ok(8));
            assert_eq!(alloc(&mut k, "0-7").map(|(cpu, _)| cpu.0), Ok(0));
        });
    }),
    ("RUL-15", |_| {
        each(BOTH, |version| {
            let mut k = matrix(version, 2, 34, "0-31");
            for expect in [(0, 32), (1, 32), (0, 33), (1, 33)] {
                assert_eq!(alloc(&mut k, "0-1").map(|(cpu, bit)| (cpu.0, bit)), Ok(expect));
            }
            let before = k.vector_matrix.clone();
            assert_eq!(alloc(&mut k, "0-1").map_err(Errno::code), Err(-28));
            assert_eq!(k.vector_matrix, before);
        });
    }),
];

#[test]
fn every_case_holds() {
    for (id, case) in CASES {
        println!("{id}");
        case(id);
    }
}

fn each<R>(versions: &[KernelVersion], mut case: impl FnMut(KernelVersion) -> R) {
    for &version in versions {
        println!("  {}", version.name());
        case(version);
    }
}

/// The `data` of a case.
fn data(id: &str) -> Value {
    let text = include_str!("../../../../tests/golden/conformance.jsonl");
    let cases = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is an object"));
    let case = cases.into_iter().find(|case| case["id"] == id).expect("a case of the file");
    case["data"].clone()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

fn numbers(list: &Value) -> Vec<u32> {
    list.as_array().expect("a list").iter().map(number).collect()
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).expect("a number")
}

fn mask(list: &str) -> CpuMask {
    CpuMask::parse_list(list, 1024).expect("a list of CPUs")
}

// ---- spreading ----

/// Every CPU is a core.
fn alone(cpu: u32) -> u32 {
    cpu
}

/// A machine with these nodes, all CPUs online.
fn machine(version: KernelVersion, nodes: &[&str], core: fn(u32) -> u32) -> Kernel {
    let nodes: Vec<CpuMask> = nodes.iter().map(|list| mask(list)).collect();
    let cpus: u32 = nodes.iter().map(CpuMask::weight).sum();
    let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
    k.topo.nr_cpu_ids = cpus;
    k.topo.nr_node_ids = nodes.len() as u32;
    let topo = &mut *k.topo;
    for all in [&mut topo.possible, &mut topo.present, &mut topo.online, &mut k.irq.default_affinity] {
        *all = CpuMask::first_n(cpus);
    }
    k.topo.siblings = vec![CpuMask::new(); cpus as usize];
    for cpu in (0..cpus).map(CpuId) {
        let node = nodes.iter().position(|node| node.contains(cpu)).expect("a node");
        k.topo.cpus.push(CpuPlace { node: NodeId(node as u32), core: core(cpu.0), ..CpuPlace::default() });
    }
    for cpu in (0..cpus).map(CpuId) {
        k.topo.set_cpu_sibling_map(cpu);
    }
    k
}

/// The masks of `vectors` vectors behind `pre` that are not spread.
fn masks(k: &mut Kernel, vectors: u32, pre: u32) -> Vec<String> {
    let mut affd = IrqAffinity { pre_vectors: pre, ..IrqAffinity::default() };
    let masks = irq_create_affinity_masks(k, vectors + pre, &mut affd).expect("masks");
    let (first, spread) = masks.split_at(pre as usize);
    assert!(first.iter().all(|desc| !desc.is_managed && desc.mask == k.irq.default_affinity));
    assert!(spread.iter().all(|desc| desc.is_managed));
    assert_eq!(k.warnings, 0);
    spread.iter().map(|desc| desc.mask.list()).collect()
}

/// Nodes, number of vectors and masks are the case's data.
fn spread(id: &str, versions: &[KernelVersion], pre: u32, core: fn(u32) -> u32) {
    let data = data(id);
    let nodes = texts(&data["nodes"]);
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    each(versions, |version| {
        let mut k = machine(version, &nodes, core);
        assert_eq!(masks(&mut k, number(&data["vectors"]), pre), texts(&data["masks"]));
    });
}

/// The masks when every CPU gets a vector.
fn singles(version: KernelVersion, nodes: &[&str]) -> Vec<String> {
    let mut k = machine(version, nodes, alone);
    let cpus = k.topo.nr_cpu_ids;
    masks(&mut k, cpus, 0)
}

/// Two CPUs a node: the order of the masks tells the order in which nodes were served.
fn order_of_equal_nodes(id: &str, nodes: u32) {
    let lists: Vec<String> = (0..nodes).map(|node| format!("{}-{}", 2 * node, 2 * node + 1)).collect();
    let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
    for (version, field) in [(KernelVersion::V5_4, "old"), (KernelVersion::V6_12, "new")] {
        let served = singles(version, &lists);
        let mut order: Vec<u32> = served.iter().map(|cpu| cpu.parse::<u32>().expect("one CPU") / 2).collect();
        order.dedup();
        assert_eq!(order, numbers(&data(id)[field]), "{}", version.name());
    }
}

// ---- the matrix ----

/// A CPU's line: its number, what is available, managed, managed and allocated, allocated, and the
/// vectors that are allocated.
type Row = (u32, [u32; 4], String);

/// What debugfs shows of the matrix.
#[derive(PartialEq, Eq, Debug)]
struct Table {
    online: u32,
    available: u32,
    reserved: u32,
    total: u32,
    rows: Vec<Row>,
}

/// An empty matrix from vector 32 to below `end`, with these system vectors, on CPUs that are not
/// online yet.
fn matrix(version: KernelVersion, cpus: u32, end: u32, system: &str) -> Kernel {
    let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
    k.topo.nr_cpu_ids = cpus;
    irq_alloc_matrix(&mut k, 256, 32, end).expect("a matrix");
    for vector in mask(system).iter() {
        irq_matrix_assign_system(&mut k, vector.0, false);
    }
    if cpus <= 16 {
        (0..cpus).for_each(|cpu| online(&mut k, cpu));
    }
    assert_eq!(k.warnings, 0);
    k
}

fn online(k: &mut Kernel, cpu: u32) {
    k.cur.cpu = CpuId(cpu);
    if !k.vector_matrix.maps[cpu as usize].online {
        irq_matrix_online(k);
        k.topo.online.set(CpuId(cpu));
    }
}

fn offline(k: &mut Kernel, cpu: u32) {
    k.cur.cpu = CpuId(cpu);
    irq_matrix_offline(k);
    k.topo.online.clear(CpuId(cpu));
}

fn alloc(k: &mut Kernel, cpus: &str) -> Result<(CpuId, u32), Errno> {
    let mut cpu = CpuId::default();
    let bit = irq_matrix_alloc(k, &mask(cpus), false, &mut cpu)?;
    Ok((cpu, bit))
}

fn reserve(k: &mut Kernel, times: u32) {
    (0..times).for_each(|_| irq_matrix_reserve(k));
}

/// Allocates vectors on a CPU that goes offline without giving them back.
fn leave_behind(k: &mut Kernel, cpu: u32, vectors: u32) {
    online(k, cpu);
    (0..vectors).for_each(|_| assert!(alloc(k, &cpu.to_string()).is_ok()));
    offline(k, cpu);
}

/// Brings the CPUs of the rows online and to what the rows say is allocated there, by operations
/// alone: what is missing in a list was allocated before and freed since.
fn fill(k: &mut Kernel, rows: &[Row]) {
    for (cpu, [_, managed, managed_allocated, _], vectors) in rows {
        let (cpu, vectors) = (CpuId(*cpu), mask(vectors));
        online(k, cpu.0);
        let mut first = None;
        if *managed_allocated == 1 {
            // The managed vector is the lowest of the list; what is below was taken at that time.
            let lowest = vectors.first().expect("a vector").0;
            let mut taken = 0;
            while taken < lowest {
                taken = alloc(k, &cpu.0.to_string()).expect("a vector").1;
            }
            irq_matrix_free(k, cpu, taken, false);
        }
        if *managed == 1 {
            irq_matrix_reserve_managed(k, &CpuMask::of(cpu)).expect("a vector to keep back");
        }
        if *managed_allocated == 1 {
            let mut target = CpuId::default();
            first =
                Some(irq_matrix_alloc_managed(k, &CpuMask::of(cpu), &mut target).expect("the one kept back"));
        }
        let last = vectors.iter().map(|vector| vector.0).last();
        while last.is_some_and(|last| !k.vector_matrix.maps[cpu.index()].alloc_map.test(last)) {
            alloc(k, &cpu.0.to_string()).expect("a vector");
        }
        let all: Vec<u32> = k.vector_matrix.maps[cpu.index()].alloc_map.iter().collect();
        for vector in all.into_iter().filter(|vector| !vectors.contains(CpuId(*vector))) {
            assert_ne!(Some(vector), first, "the managed vector is the lowest that was free");
            irq_matrix_free(k, cpu, vector, false);
        }
    }
}

fn text(k: &Kernel) -> String {
    let mut text = String::new();
    irq_matrix_debug_show(k, &mut text, 0);
    text
}

fn counters(k: &Kernel) -> [u32; 4] {
    let m = &k.vector_matrix;
    [m.online_maps, m.global_available, m.global_reserved, m.total_allocated]
}

/// Reads the table back from the text that debugfs shows.
fn table(k: &Kernel) -> Table {
    let text = text(k);
    let counter = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().parse().expect(name)
    };
    let rows = text.lines().skip_while(|line| !line.contains("| CPU |")).skip(1);
    Table {
        online: counter("Online bitmaps:"),
        available: counter("Global available:"),
        reserved: counter("Global reserved:"),
        total: counter("Total allocated:"),
        rows: rows
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let number = |at: usize| words[at].parse::<u32>().expect(line);
                (number(0), [1, 2, 3, 4].map(number), words.get(5).copied().unwrap_or_default().to_owned())
            })
            .collect(),
    }
}

/// The rows of a case.
fn rows(id: &str) -> Vec<Row> {
    let data = data(id);
    let rows = data["rows"].as_array().expect("rows").iter();
    rows.map(|row| {
        let vectors = row[5].as_str().unwrap_or_default().to_owned();
        (number(&row[0]), [1, 2, 3, 4].map(|at| number(&row[at])), vectors)
    })
    .collect()
}

/// The text is the case's table, and nothing was out of order on the way there.
fn check_table(k: &Kernel, id: &str, online: u32, reserved: u32) {
    let data = data(id);
    let (available, total) = (number(&data["available"]), number(&data["total"]));
    assert_eq!(table(k), Table { online, available, reserved, total, rows: rows(id) });
    assert_eq!(k.warnings, 0, "{:?}", k.log);
}

/// What is available, kept back and allocated adds up to the same on every CPU.
fn each_cpu_has(k: &Kernel, vectors: u32) {
    for (cpu, [available, managed, managed_allocated, allocated], _) in table(k).rows {
        assert_eq!(available + managed + allocated - managed_allocated, vectors, "CPU {cpu}");
    }
}

/// 168 CPUs, most of them with one or two vectors.
fn mtx_07(version: KernelVersion) -> Kernel {
    let system = "0-21,50,128,192,233-236,240-242,244,246-255";
    let mut k = matrix(version, 168, 236, system);
    (0..168).for_each(|cpu| online(&mut k, cpu));
    each_cpu_has(&k, 198);
    let of = |cpu| match cpu {
        0 => 18,
        166 | 167 => 1,
        1..=70 => 2,
        _ => 1,
    };
    for cpu in 0..168_u32 {
        (0..of(cpu)).for_each(|_| assert!(alloc(&mut k, &cpu.to_string()).is_ok()));
    }
    reserve(&mut k, 83);
    let table = table(&k);
    assert_eq!((table.online, table.available, table.reserved, table.total), (168, 33009, 83, 255));
    let expect = [(0, 180, 18, "32-49"), (1, 196, 2, "32-33"), (166, 197, 1, "32"), (167, 197, 1, "32")];
    for (cpu, available, allocated, vectors) in expect {
        assert_eq!(table.rows[cpu as usize], (cpu, [available, 0, 0, allocated], vectors.to_owned()));
    }
    assert!(text(&k).contains(&format!("System: 43: {system}\n")));
    k
}
