//! How far one can go, and what is left.

use kstate::semantics::{KernelVersion, Semantics};
use sim::machine::Machine;
use whatif::{Question, headroom};

use crate::common::{answer, machine, many, nvme, offline};

#[test]
fn a_search_goes_until_no_cpu_can() {
    for &kernel in KernelVersion::ALL {
        // 500 vectors need three CPUs.
        let machine = machine(kernel, "possible = 6", &many(500));
        let answer = answer(&machine, &Question { search: true, ..Question::default() });
        let search = answer.search.as_ref().unwrap();
        assert_eq!((&search.went[..], search.until_refused), (&[5, 4, 3][..], 3), "{kernel:?}");
        assert_eq!(search.left.list(), "0-2", "{kernel:?}");
        assert_eq!(
            search.refused.iter().map(|r| r.cpu).collect::<Vec<_>>(),
            [Some(2), Some(1)],
            "{kernel:?}"
        );
        assert!(search.refused.iter().all(|r| r.errno == Some("ENOSPC") && !r.log.is_empty()), "{kernel:?}");
        assert_eq!(answer.refused, search.refused);
        assert!(search.order.contains("greedy"));
        // What the headroom found out by trying is the same.
        let tried = self::answer(&machine, &Question { headroom: true, ..offline("5") });
        let more = tried.headroom.unwrap().cpus.unwrap();
        assert_eq!((&more.went[..], more.refused.len()), (&[4, 3][..], 1), "{kernel:?}");
        assert_eq!(more.refused[0].cpu, Some(2), "{kernel:?}");
    }
}

#[test]
fn a_search_without_a_limit_leaves_the_boot_cpu() {
    for &kernel in KernelVersion::ALL {
        let machine = machine(kernel, "possible = 4", &nvme(4));
        let answer = answer(&machine, &Question { search: true, ..Question::default() });
        let search = answer.search.as_ref().unwrap();
        assert_eq!((search.went.len(), search.left.list()), (3, "0".to_owned()), "{kernel:?}");
        assert!(search.refused.is_empty());
        assert_eq!(search.first_shutdown, Some(3), "{kernel:?}");
    }
}

#[test]
fn headroom_is_what_the_matrix_says() {
    for &kernel in KernelVersion::ALL {
        let machine: Machine = machine(kernel, "possible = 3", &format!("{}{}", nvme(3), many(90)));
        let mut k = sim::boot::boot(&machine, Semantics::of(kernel), false);
        let headroom = headroom::of(&mut k, false);
        let text = sim::vfs::read(&k, "/sys/kernel/debug/irq/domains/VECTOR").unwrap();
        let number = |name: &str| -> u32 {
            let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert_eq!(headroom.free, number("Global available:"), "{kernel:?}");
        assert_eq!(headroom.reserved, number("Global reserved:"), "{kernel:?}");
        let tightest = headroom.tightest.unwrap();
        assert_eq!(tightest.used + tightest.free, headroom.capacity);
        let least = k.topo.online.iter().map(|cpu| k.vector_matrix.maps[cpu.index()].available).min();
        assert_eq!(Some(tightest.free), least, "{kernel:?}");
        assert!(headroom.cpus.is_none());
        // So many more can be had, and not one more.
        let add = |n: u32| {
            let more = format!("generic:vectors={n},actions=0-{}: more-{{}}", n - 1);
            answer(&machine, &Question { add: vec![more], ..Question::default() })
        };
        let plain =
            self::answer(&machine, &Question { cmdline: vec!["+noirqdebug".into()], ..Question::default() });
        let most = plain.headroom.unwrap().free;
        assert!(!add(most).has_finding(), "{kernel:?}: {most}");
        assert_eq!(add(most).headroom.map(|left| left.free), Some(0), "{kernel:?}");
        // A device of the board, which comes last, goes without.
        assert!(add(most + 1).has_finding(), "{kernel:?}: {most}");
    }
}
