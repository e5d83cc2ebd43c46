//! Cores, packages and APIC IDs of the CPUs as lists: what a product of sockets, cores and threads cannot say.

use std::ops::Range;

use kstate::semantics::{KernelVersion, Semantics};
use kstate::topology::CpuPlace;
use kstate::{ApicId, CpuId, CpuMask};
use toml::Spanned;

use super::MachineError;
use super::file::Reporter;

/// The lists of a machine file, and the product that counts where there is none.
pub(super) struct Lists<'a> {
    pub possible: u32,
    pub siblings: Option<&'a [Spanned<String>]>,
    pub packages: Option<&'a [Spanned<String>]>,
    pub apic_ids: Option<&'a Spanned<Vec<u32>>>,
    pub cores_per_socket: u32,
    pub threads_per_core: u32,
    pub nodes: &'a [CpuMask],
    /// Whose lists these are.
    pub kernel: KernelVersion,
}

impl Lists<'_> {
    /// The place of every CPU, but for its node; none where the product says it all.
    pub(super) fn places(&self, report: &Reporter<'_>) -> Result<Vec<CpuPlace>, Box<MachineError>> {
        if self.siblings.is_none() && self.packages.is_none() && self.apic_ids.is_none() {
            return Ok(Vec::new());
        }
        let cores = match self.siblings {
            Some(lists) => self.split(report, "core", lists)?,
            None => self.by_number(self.threads_per_core),
        };
        let packages = match self.packages {
            Some(lists) => self.split(report, "package", lists)?,
            None => self.by_number(self.cores_per_socket * self.threads_per_core),
        };
        let of = |masks: &[CpuMask]| {
            let mut place = vec![0; self.possible as usize];
            for (number, mask) in (0u32..).zip(masks) {
                mask.iter().for_each(|cpu| place[cpu.index()] = number);
            }
            place
        };
        let (core, package) = (of(&cores), of(&packages));
        let node = of(self.nodes);
        for (mask, list) in cores.iter().zip(self.siblings.unwrap_or_default()) {
            let Some(first) = mask.first().map(CpuId::index) else { continue };
            let apart = |what: &[u32]| mask.iter().find(|cpu| what[cpu.index()] != what[first]);
            let found = apart(&package).map(|cpu| (cpu, "package")).or(apart(&node).map(|cpu| (cpu, "node")));
            if let Some((cpu, what)) = found {
                return Err(report.error(
                    list.span(),
                    format!("CPUs {first} and {cpu} are threads of a core and in two {what}s"),
                    format!("expected threads of one {what}"),
                ));
            }
        }
        let ids = match self.apic_ids {
            Some(ids) => self.checked_ids(report, ids)?,
            None => self.own_ids(&cores, &packages, &core),
        };
        let place = |cpu: usize| CpuPlace {
            socket: package[cpu],
            core: core[cpu],
            apic_id: ApicId(ids[cpu]),
            ..CpuPlace::default()
        };
        Ok((0..self.possible as usize).map(place).collect())
    }

    /// CPUs `size` by `size`, in the order of their numbers.
    fn by_number(&self, size: u32) -> Vec<CpuMask> {
        let size = size.max(1);
        let group = |n: u32| (n * size..((n + 1) * size).min(self.possible)).map(CpuId).collect();
        (0..self.possible.div_ceil(size)).map(group).collect()
    }

    /// The lists as masks. A CPU that none has is alone.
    fn split(
        &self,
        report: &Reporter<'_>,
        what: &str,
        lists: &[Spanned<String>],
    ) -> Result<Vec<CpuMask>, Box<MachineError>> {
        let (mut masks, seen) = disjoint(report, what, lists, self.possible, self.kernel)?;
        masks.extend(CpuMask::first_n(self.possible).andnot(&seen).iter().map(CpuMask::of));
        Ok(masks)
    }

    fn checked_ids(
        &self,
        report: &Reporter<'_>,
        ids: &Spanned<Vec<u32>>,
    ) -> Result<Vec<u32>, Box<MachineError>> {
        let list = ids.get_ref();
        let mistake = |found: String, expected: String| Err(report.error(ids.span(), found, expected));
        if list.len() != self.possible as usize {
            let found = format!("{} APIC IDs for {} CPUs", list.len(), self.possible);
            return mistake(found, "expected one for each possible CPU, in their order".to_owned());
        }
        let mut sorted = list.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return mistake(
                format!("two CPUs have APIC ID {}", pair[0]),
                "expected different ones".to_owned(),
            );
        }
        Ok(list.clone())
    }

    /// IDs as firmware gives them: threads and cores have as many bits as the largest number of them needs.
    fn own_ids(&self, cores: &[CpuMask], packages: &[CpuMask], core: &[u32]) -> Vec<u32> {
        let bits = |n: u32| n.max(1).next_power_of_two().trailing_zeros();
        let thread_bits = bits(cores.iter().map(CpuMask::weight).max().unwrap_or(1));
        let cores_of = |package: &CpuMask| {
            let mut seen: Vec<u32> = Vec::new();
            for cpu in package.iter() {
                if !seen.contains(&core[cpu.index()]) {
                    seen.push(core[cpu.index()]);
                }
            }
            seen
        };
        let listed: Vec<Vec<u32>> = packages.iter().map(cores_of).collect();
        let core_bits = bits(listed.iter().map(|cores| cores.len() as u32).max().unwrap_or(1));
        let mut ids = vec![0; self.possible as usize];
        for (package, package_cores) in (0u32..).zip(&listed) {
            for (number, &core) in (0u32..).zip(package_cores) {
                for (thread, cpu) in (0u32..).zip(cores[core as usize].iter()) {
                    ids[cpu.index()] = (package << core_bits | number) << thread_bits | thread;
                }
            }
        }
        ids
    }
}

/// `offline`: CPUs that somebody took down after boot.
pub(super) fn offline(
    report: &Reporter<'_>,
    list: Option<&Spanned<String>>,
    present: u32,
    kernel: KernelVersion,
) -> Result<CpuMask, Box<MachineError>> {
    let Some(list) = list else { return Ok(CpuMask::new()) };
    let mask = CpuMask::parse_list_of(&Semantics::of(kernel), list.get_ref(), present);
    match mask {
        Ok(mask) if !mask.contains(CpuId(0)) => Ok(mask),
        _ => Err(report.error(
            list.span(),
            format!("`{}` is no list of CPUs that can be offline", list.get_ref()),
            if present > 1 {
                format!("expected CPUs that are there and not the boot CPU, within 1 to {}", present - 1)
            } else {
                "expected no such line: the boot CPU stays".to_owned()
            },
        )),
    }
}

/// `ioapics`: the pins of each IO-APIC; the sum of those behind the first one.
pub(super) fn more_pins(
    report: &Reporter<'_>,
    ioapics: Option<&Spanned<Vec<u32>>>,
    first: u32,
) -> Result<u32, Box<MachineError>> {
    let Some(list) = ioapics else { return Ok(0) };
    let pins = list.get_ref();
    if pins.first() != Some(&first) || pins.len() > 128 || pins.iter().any(|n| !(1..=240).contains(n)) {
        return Err(report.error(
            list.span(),
            format!("IO-APICs with {pins:?} pins"),
            format!("expected the pins of up to 128 IO-APICs, 1 to 240 each, and {first} for the first one"),
        ));
    }
    Ok(pins[1..].iter().sum())
}

/// A list of interrupt numbers in their order, `"144,151-262"`.
pub(super) fn numbers(text: &str, most: usize) -> Option<Vec<u32>> {
    let range = |part: &str| -> Option<Range<u32>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last < 1 << 24).then_some(first..last + 1)
    };
    let mut all = Vec::new();
    for part in text.split(',') {
        let range = range(part.trim())?;
        if range.len() + all.len() > most {
            return None;
        }
        all.extend(range);
    }
    Some(all)
}

/// Lists of CPUs as masks, and all of them together. A CPU is in one list at most, of one `what`.
pub(super) fn disjoint(
    report: &Reporter<'_>,
    what: &str,
    lists: &[Spanned<String>],
    possible: u32,
    kernel: KernelVersion,
) -> Result<(Vec<CpuMask>, CpuMask), Box<MachineError>> {
    let semantics = Semantics::of(kernel);
    let mut masks = Vec::new();
    let mut seen = CpuMask::new();
    for list in lists {
        let mask = CpuMask::parse_list_of(&semantics, list.get_ref(), possible).map_err(|_| {
            report.error(
                list.span(),
                format!("`{}` is no list of this machine's CPUs", list.get_ref()),
                format!("expected ranges below {possible}, as in \"0-3,8\""),
            )
        })?;
        if let Some(twice) = mask.first_and(&seen) {
            return Err(report.error(
                list.span(),
                format!("CPU {twice} is in two {what}s"),
                format!("expected CPUs that no earlier {what} has"),
            ));
        }
        seen.or_assign(&mask);
        masks.push(mask);
    }
    Ok((masks, seen))
}
