//! The answers of the kernels' own C to random questions (tests/golden), for all kernels.

use std::io::Read as _;

use flate2::read::GzDecoder;
use irqcore::affinity::{irq_calc_affinity_vectors, irq_create_affinity_masks};
use irqcore::matrix::*;
use kstate::msi::{CalcSets, IRQ_AFFINITY_MAX_SETS, IrqAffinity};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::topology::CpuPlace;
use kstate::{CpuId, CpuMask, Errno, Kernel, NodeId};
use serde_json::{Value, json};

fn golden(name: &str) -> Vec<Value> {
    let path = format!("{}/../../tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::File::open(&path).expect(&path);
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect(&path);
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).expect("a 32-bit number")
}

fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().expect("a list").iter().map(number).collect()
}

fn machine(version: KernelVersion, topology: &Value) -> Kernel {
    let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
    let (nodes, cores) = (numbers(&topology["nodes"]), numbers(&topology["cores"]));
    let cpus = nodes.len() as u32;
    k.topo.nr_cpu_ids = cpus;
    k.topo.nr_node_ids = number(&topology["nr_node_ids"]);
    k.topo.possible = CpuMask::first_n(cpus);
    k.topo.present = CpuMask::parse_list(topology["present"].as_str().unwrap(), cpus).unwrap();
    // CPUs that are present and not online when the driver asks.
    let offline = topology["offline"].as_str().map(|list| CpuMask::parse_list(list, cpus).unwrap());
    k.topo.online = k.topo.present.andnot(&offline.unwrap_or_default());
    k.irq.default_affinity = k.topo.possible.clone();
    k.topo.siblings = vec![CpuMask::new(); nodes.len()];
    let clusters = topology.get("clusters").map(numbers);
    for (cpu, (&node, &core)) in nodes.iter().zip(&cores).enumerate() {
        let l2 = clusters.as_ref().map(|clusters| clusters[cpu]);
        k.topo.cpus.push(CpuPlace { node: NodeId(node), core, l2, ..CpuPlace::default() });
    }
    for cpu in k.topo.online.clone().iter() {
        k.topo.set_cpu_sibling_map(cpu);
    }
    k
}

fn affinity(request: &Value) -> IrqAffinity {
    IrqAffinity {
        pre_vectors: number(&request["pre_vectors"]),
        post_vectors: number(&request["post_vectors"]),
        ..IrqAffinity::default()
    }
}

const KEEP_SETS: CalcSets = CalcSets { name: "keep_sets", call: keep_sets };

/// A `calc_sets` callback for requests whose sets are given beforehand: it leaves them alone.
fn keep_sets(_: &mut Kernel, _: &mut IrqAffinity, _: u32) {}

fn spread(version: KernelVersion, case: &Value) -> Value {
    let mut k = machine(version, &case["topology"]);
    let request = &case["request"];
    let mut affd = affinity(request);
    let sets = numbers(&request["sets"]);
    if !sets.is_empty() {
        affd.nr_sets = sets.len() as u32;
        for (size, set) in affd.set_size.iter_mut().zip(sets.iter().take(IRQ_AFFINITY_MAX_SETS)) {
            *size = *set;
        }
        affd.calc_sets = Some(KEEP_SETS);
    }
    let masks = irq_create_affinity_masks(&mut k, number(&request["nvecs"]), &mut affd);
    let warned = k.warnings > 0;
    let masks =
        masks.map(|masks| masks.iter().map(|d| json!([d.mask.list(), d.is_managed])).collect::<Vec<_>>());
    let mut answer = json!({ "masks": masks, "warned": warned });
    if let Some(calc) = case.get("calc") {
        let mut affd = affinity(calc);
        affd.calc_sets = (calc["calc_sets"] == true).then_some(KEEP_SETS);
        let (minvec, maxvec) = (number(&calc["minvec"]), number(&calc["maxvec"]));
        answer["calc_vectors"] = json!(irq_calc_affinity_vectors(&mut k, minvec, maxvec, &affd));
    }
    answer
}

/// Asks the kernels of a file, and no others may have answered there.
fn check_spread(cases: &[Value], kernels: &[KernelVersion]) {
    for (line, case) in cases.iter().enumerate() {
        let answers = case["expect"].as_object().expect("answers");
        assert_eq!(answers.len(), kernels.len(), "line {}", line + 1);
        for &version in kernels {
            assert_eq!(
                spread(version, case),
                answers[version.name()],
                "{} line {}",
                version.name(),
                line + 1
            );
        }
    }
}

#[test]
fn interrupts_are_spread_as_the_kernels_spread_them() {
    let cases = golden("spread.jsonl.gz");
    // golden/README.md says 1500; the file has one more, well-formed and different from the others.
    assert_eq!(cases.len(), 1501);
    check_spread(&cases, &[KernelVersion::V5_4, KernelVersion::V6_12]);
}

#[test]
fn interrupts_are_spread_over_clusters_as_the_kernel_spreads_them() {
    let cases = golden("spread-v7.3.jsonl.gz");
    assert_eq!(cases.len(), 1200);
    check_spread(&cases, &[KernelVersion::V7_3]);
}

/// Does one operation. Answers what it returned, the CPU it chose, and the CPU to show.
fn operate(k: &mut Kernel, op: &str) -> (i64, i64, CpuId) {
    let cpus = k.topo.nr_cpu_ids;
    let words: Vec<_> = op.split(' ').collect();
    let cpu = |i: usize| CpuId(words[i].parse().expect(op));
    let bit = |i: usize| words[i].parse::<u32>().expect(op);
    let mask = |i: usize| CpuMask::parse_list(words[i], cpus).expect(op);
    let code = |ret: Result<u32, Errno>| ret.map_or_else(|e| i64::from(e.code()), i64::from);
    let chosen = |ret: Result<u32, Errno>, mapped: CpuId| match ret {
        Ok(bit) => (i64::from(bit), i64::from(mapped.0), mapped),
        // golden/README.md promises the first CPU of the mask; the recorder showed CPU 0 here.
        Err(e) => (i64::from(e.code()), -1, CpuId(0)),
    };
    let mut mapped = CpuId(0);
    match words[0] {
        "system" => {
            k.cur.cpu = cpu(1);
            irq_matrix_assign_system(k, bit(2), words[3] == "1");
            (0, -1, cpu(1))
        }
        "online" => {
            k.cur.cpu = cpu(1);
            irq_matrix_online(k);
            (0, -1, cpu(1))
        }
        "offline" => {
            k.cur.cpu = cpu(1);
            irq_matrix_offline(k);
            (0, -1, cpu(1))
        }
        "reserve_managed" => {
            let ret = irq_matrix_reserve_managed(k, &mask(1)).map(|()| 0);
            (code(ret), -1, mask(1).first().unwrap_or_default())
        }
        "remove_managed" => {
            irq_matrix_remove_managed(k, &mask(1));
            (0, -1, mask(1).first().unwrap_or_default())
        }
        "alloc_managed" => {
            let ret = irq_matrix_alloc_managed(k, &mask(1), &mut mapped);
            chosen(ret, mapped)
        }
        "alloc" => {
            let ret = irq_matrix_alloc(k, &mask(1), words[2] == "1", &mut mapped);
            chosen(ret, mapped)
        }
        "free" => {
            irq_matrix_free(k, cpu(1), bit(2), words[3] == "1");
            (0, -1, cpu(1))
        }
        "reserve" => {
            irq_matrix_reserve(k);
            (0, -1, CpuId(0))
        }
        "remove_reserved" => {
            irq_matrix_remove_reserved(k);
            (0, -1, CpuId(0))
        }
        "available" => {
            k.cur.cpu = cpu(1);
            // The recorder kept what C returned as an int.
            (i64::from(irq_matrix_available(k, words[2] == "1") as i32), -1, cpu(1))
        }
        "allocated" => {
            k.cur.cpu = cpu(1);
            (i64::from(irq_matrix_allocated(k) as i32), -1, cpu(1))
        }
        _ => panic!("an operation that golden/README.md does not name: {op}"),
    }
}

#[test]
fn the_matrix_counts_as_the_kernels_count() {
    let cases = golden("matrix.jsonl.gz");
    assert_eq!(cases.len(), 120);
    for (line, case) in cases.iter().enumerate() {
        // 7.3's kernel/irq/matrix.c was not asked.
        for version in [KernelVersion::V5_4, KernelVersion::V6_12] {
            let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
            k.topo.nr_cpu_ids = number(&case["cpus"]);
            let bits = ["matrix_bits", "alloc_start", "alloc_end"].map(|f| number(&case[f]));
            irq_alloc_matrix(&mut k, bits[0], bits[1], bits[2]).unwrap();
            let expect = &case["expect"];
            let expect = expect.get(version.name()).or_else(|| expect.get("v5.4,v6.12"));
            let expect = expect.and_then(Value::as_array).expect("answers");
            let ops = case["ops"].as_array().unwrap();
            assert_eq!(ops.len(), expect.len());
            for (i, (op, expect)) in ops.iter().zip(expect).enumerate() {
                let op = op.as_str().unwrap();
                let before = k.warnings;
                let (ret, cpu, shown) = operate(&mut k, op);
                let (m, cm) = (&k.vector_matrix, &k.vector_matrix.maps[shown.index()]);
                let got = json!({
                    "ret": ret,
                    "cpu": cpu,
                    "warned": k.warnings - before,
                    "global_available": m.global_available,
                    "global_reserved": m.global_reserved,
                    "total_allocated": m.total_allocated,
                    "online_maps": m.online_maps,
                    "map": {
                        "cpu": shown.0,
                        "available": cm.available,
                        "allocated": cm.allocated,
                        "managed": cm.managed,
                        "managed_allocated": cm.managed_allocated,
                        "online": cm.online,
                    },
                });
                assert_eq!(&got, expect, "{} line {} operation {i}: {op}", version.name(), line + 1);
            }
        }
    }
}
