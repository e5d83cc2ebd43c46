//! Rows of /proc/interrupts that real servers, guests and old kernels have, in the forms in which they show them.

use crate::machines::files;

/// What import makes of a text and files beside it: the account, or why there is no machine.
fn account(interrupts: &str, more: &[(&str, &str)]) -> String {
    let tree = crate::machines::tree(interrupts, more);
    match import::Source::of(&tree).import(&import::Options::default()) {
        Ok((imported, report)) => format!("{}\n{report}", imported.text),
        Err(e) => e.to_string(),
    }
}

/// Rows of a machine with two CPUs.
fn rows(rows: &[&str]) -> String {
    let lines = rows.iter().map(|row| {
        let (irq, rest) = row.split_once(' ').expect("a number and the rest");
        format!("{irq:>4}:          1          2  {rest}\n")
    });
    "           CPU0       CPU1\n".to_owned() + &lines.collect::<String>()
}

/// Every row comes back out of the machine that is made of them, with number, chip, hardware number and names.
#[track_caller]
fn all_come_back(text: &str, more: &[(&str, &str)]) -> import::Imported {
    let (source, imported) = files(text, more);
    let check = source.check(&imported);
    let rows = check.kinds.iter().find(|kind| kind.what.starts_with("/proc/interrupts")).expect("rows");
    assert!(check.agrees() && rows.lines == rows.same, "{check}\n{}", imported.text);
    imported
}

#[test]
fn names_of_servers_are_taken_over() {
    let text = rows(&[
        "0 IR-IO-APIC    2-edge      timer",
        "8 IR-IO-APIC    8-edge      rtc0",
        "9 IR-IO-APIC    9-fasteoi   acpi",
        "16 IR-IO-APIC   16-fasteoi   i801_smbus, idma64.0, ehci_hcd:usb1",
        "24 DMAR-MSI    0-edge      dmar0",
        "26 IR-PCI-MSI-0000:00:01.0    0-edge      PCIe PME, aerdrv, pciehp",
        "27 IR-PCI-MSI-0000:60:00.2    0-edge      AMD-Vi",
        "28 IR-PCI-MSI-0000:00:14.0    0-edge      xhci_hcd",
        "29 IR-PCI-MSI-0000:00:17.0    0-edge      ahci[0000:00:17.0]",
        "30 IR-PCI-MSI-0000:00:16.0    0-edge      mei_me",
        "31 IR-PCI-MSIX-0000:01:00.0    0-edge      mlx5_async0@pci:0000:01:00.0",
        "32 IR-PCI-MSIX-0000:01:00.0    1-edge      mlx5_comp0@pci:0000:01:00.0",
        "33 IR-PCI-MSIX-0000:01:00.0    2-edge      mlx5_comp1@pci:0000:01:00.0",
        "34 IR-PCI-MSIX-0000:02:00.0    0-edge      eth0-TxRx-0",
        "35 IR-PCI-MSIX-0000:02:00.0    1-edge      eth0-TxRx-1",
        "36 IR-PCI-MSIX-0000:02:00.0    2-edge      eth0",
        "37 IR-PCI-MSIX-0000:03:00.0    0-edge      i40e-0000:03:00.0:misc",
        "38 IR-PCI-MSIX-0000:03:00.0    1-edge      i40e-eth1-TxRx-0",
        "39 IR-PCI-MSIX-0000:03:00.0    2-edge      i40e-eth1-TxRx-1",
        "40 IR-PCI-MSIX-0000:04:00.0    0-edge      mpt3sas0-msix0",
        "41 IR-PCI-MSIX-0000:04:00.0    1-edge      mpt3sas0-msix1",
        "42 IR-PCI-MSIX-0000:05:00.0    0-edge      megasas0-msix0",
        "43 IR-PCI-MSIX-0000:05:00.0    1-edge      megasas0-msix1",
        "44 IR-PCI-MSIX-0000:05:00.0    2-edge      megasas0-msix2",
        "45 IR-PCI-MSIX-0000:06:00.0    0-edge      nvme0q0",
        "46 IR-PCI-MSIX-0000:06:00.0    1-edge      nvme0q1",
        "47 IR-PCI-MSIX-0000:06:00.0    2-edge      nvme0q2",
        "48 IR-PCI-MSIX-0000:07:00.0    3-edge      vfio-msix[3](0000:07:00.0)",
    ]);
    let imported = all_come_back(&text, &[("proc/version", "Linux version 6.8.0-31-generic (x) #31\n")]);
    assert_eq!(imported.machine.kernel.name(), "v6.12");
    assert!(account(&text, &[]).contains("VT-d remaps interrupts: this machine has AMD-Vi"));
    // NVMe's two queues, two of the HBA's messages and two of the controller's.
    assert_eq!(imported.managed.iter().copied().collect::<Vec<_>>(), [40, 41, 43, 44, 46, 47]);
}

#[test]
fn kernels_between_the_modelled_ones_are_named() {
    let row = |chip: &str, release: &str| {
        let text = rows(&[&format!("30 {chip} 0-edge      eth0")]);
        account(&text, &[("proc/version", &format!("Linux version {release} (x) #1\n"))])
    };
    for (chip, release, kernel) in [
        ("PCI-MSI", "4.18.0-553.el8_10.x86_64", "v5.4"),
        ("PCI-MSI", "5.4.0-97-generic", "v5.4"),
        ("PCI-MSI", "5.15.0-105-generic", "v5.4"),
        ("IR-PCI-MSIX-0000:01:00.0", "5.14.0-427.el9_4.x86_64", "v6.12"),
        ("IR-PCI-MSIX-0000:01:00.0", "6.8.0-31-generic", "v6.12"),
        ("PCI-MSIX-0000:01:00.0", "6.17.1", "v6.12"),
        ("PCI-MSIX-0000:01:00.0", "7.3.4-1-amd64", "v7.3"),
    ] {
        let said = row(chip, release);
        assert!(said.contains(&format!("kernel = \"{kernel}\"")), "{release}: {said}");
        assert!(said.contains(&format!("kernel {kernel}")) && said.contains(release), "{release}: {said}");
    }
}

#[test]
fn what_has_no_vector_of_a_local_apic_is_left_out_with_its_reason() {
    let vmd = account(
        &rows(&[
            "30 IR-PCI-MSIX-0000:64:00.5    0-edge      vmd0",
            "31 VMD-MSI 98568192-edge      nvme0q0",
            "32 VMD-MSI 98568193-edge      nvme0q1",
        ]),
        &[],
    );
    assert!(vmd.contains("2 interrupts of VMD-MSI (31 nvme0q0, 32 nvme0q1): they come through"), "{vmd}");
    let azure = account(
        &rows(&[
            "9 IO-APIC    9-fasteoi   acpi",
            "24 Hyper-V PCIe MSI 4194304-edge      mlx5_async0@pci:b1e2:00:02.0",
            "25 Hyper-V PCIe MSI 4194305-edge      mlx5_comp0@pci:b1e2:00:02.0",
        ]),
        &[],
    );
    assert!(azure.contains("2 interrupts of Hyper-V PCIe MSI"), "{azure}");
    assert!(azure.contains("which functions they are of is not in their rows"), "{azure}");
    // One without an IO-APIC has nothing that is known here.
    let bare = account(&rows(&["24 Hyper-V PCIe MSI 4194304-edge      nvme0q0"]), &[]);
    assert!(bare.contains("Hyper-V PCIe MSI's: no local APIC brings them"), "{bare}");
    let others = account(
        &rows(&[
            "25 HPET-MSI    2-edge      hpet2",
            "55 IO-APIC    1-fasteoi   ccp-1",
            "56 PCI-MSI 1048576-edge      ccp-2",
        ]),
        &[],
    );
    assert!(others.contains("1 interrupt of HPET-MSI (25 hpet2): no such chip is modelled"), "{others}");
    assert!(
        others.contains("1 interrupt of IO-APIC (55 ccp-1): their pins are of other IO-APICs"),
        "{others}"
    );
}

#[test]
fn other_machines_are_refused_by_name() {
    for (row, name) in [
        ("11 GICv3  27 Level     arch_timer", "GICv3"),
        ("50 ITS-PCI-MSI-0000:01:00.0    0-edge      nvme0q0", "ITS-PCI-MSI-0000:01:00.0"),
        ("16 XIVE 16 Edge      IPI-0", "XIVE"),
        ("8 xen-pirq    -ioapic-edge  rtc0", "xen"),
        ("1 xen-dyn    -event     xenbus", "xen"),
    ] {
        let said = account(&rows(&[row]), &[]);
        assert!(said.contains(&format!("{name}'s: no local APIC brings them")), "{row}: {said}");
    }
    let one = rows(&["9 IO-APIC    9-fasteoi   acpi"]);
    for (file, text, name) in [
        ("lscpu", "Architecture:        aarch64\nCPU(s):  2\n", "aarch64"),
        ("sos_commands/processor/lscpu", "Architecture:          i686\nCPU(s):  2\n", "i686"),
        ("proc/version", "Linux version 5.10.0-28-686-pae (x) #1\n", "a 32-bit PC"),
        ("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vme de pse apic pae\n", "a 32-bit PC"),
        ("proc/cpuinfo", "processor\t: 0\nfdiv_bug\t: no\nflags\t\t: fpu lm\n", "a 32-bit PC"),
        ("proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\n", "an ARM machine"),
        ("proc/cpuinfo", "processor  : 0\narch       : IA-64\narchrev    : 0\n", "an IA-64 machine"),
        ("proc/cpuinfo", "vendor_id       : IBM/S390\n# processors    : 20\n", "an s390 machine"),
    ] {
        let said = account(&one, &[(file, text)]);
        assert_eq!(said, format!("this machine is {name}: irqlab has x86-64 alone"), "{file}");
    }
}

#[test]
fn lscpu_stands_in_for_sys() {
    let lscpu = "Architecture:            x86_64\nCPU(s):                  4\nOn-line CPU(s) list:     0-3\n\
        Thread(s) per core:      2\nCore(s) per socket:      2\nSocket(s):               1\nHypervisor vendor:       KVM\n\
        NUMA node(s):            2\nNUMA node0 CPU(s):       0,2\nNUMA node1 CPU(s):       1,3\n\
        Flags:                   fpu apic lm x2apic\n";
    let (_, imported) = files(&rows(&["9 IO-APIC    9-fasteoi   acpi"]), &[("lscpu", lscpu)]);
    let machine = &imported.machine;
    assert_eq!((machine.possible, machine.hypervisor, machine.nodes.len()), (4, true, 2));
    assert_eq!(machine.place(0).core, machine.place(2).core, "{}", imported.text);
}

#[test]
fn topologies_of_servers_are_taken_over() {
    // A part with six performance cores of two threads and four cores that share an L2; CPU 3 is offline.
    let mut more: Vec<(String, String)> = vec![
        ("sys/devices/system/cpu/possible".to_owned(), "0-19\n".to_owned()),
        ("sys/devices/system/cpu/present".to_owned(), "0-15\n".to_owned()),
        ("sys/devices/system/cpu/online".to_owned(), "0-2,4-15\n".to_owned()),
        ("sys/devices/system/node/node0/cpulist".to_owned(), "0-2,4-15\n".to_owned()),
        // Memory without CPUs.
        ("sys/devices/system/node/node2/cpulist".to_owned(), "\n".to_owned()),
    ];
    for cpu in (0..16).filter(|cpu| *cpu != 3) {
        let pair = format!("{}-{}", cpu & !1, cpu | 1);
        let (core, l2) = match cpu {
            2 => ("2".to_owned(), "2".to_owned()),
            0..12 => (pair.clone(), pair),
            _ => (cpu.to_string(), "12-15".to_owned()),
        };
        let folder = format!("sys/devices/system/cpu/cpu{cpu}");
        more.push((format!("{folder}/topology/thread_siblings_list"), core + "\n"));
        more.push((format!("{folder}/topology/core_siblings_list"), "0-2,4-15\n".to_owned()));
        more.push((format!("{folder}/cache/index2/shared_cpu_list"), l2 + "\n"));
    }
    // IDs leave room, as these parts do.
    let id = |cpu: u32| if cpu < 12 { cpu / 2 * 8 + cpu % 2 } else { 48 + (cpu - 12) * 2 };
    let cpuinfo: String = (0..16)
        .filter(|cpu| *cpu != 3)
        .map(|cpu| {
            format!("processor\t: {cpu}\napicid\t\t: {}\nflags\t\t: fpu lm x2apic hypervisor\n\n", id(cpu))
        })
        .collect();
    more.push(("proc/cpuinfo".to_owned(), cpuinfo));
    let more: Vec<(&str, &str)> = more.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let head: String = (0..16).filter(|cpu| *cpu != 3).map(|cpu| format!("  CPU{cpu}")).collect();
    let zeros = "  0".repeat(15);
    let (source, imported) = files(&format!("{head}\n  9:{zeros}  IO-APIC    9-fasteoi   acpi\n"), &more);
    let machine = &imported.machine;
    assert_eq!((machine.possible, machine.present, machine.offline.list()), (20, 16, "3".to_owned()));
    assert_eq!(machine.nodes.len(), 3);
    assert_eq!(machine.nodes[2].list(), "");
    assert_eq!(machine.place(2).core, machine.place(3).core, "{}", imported.text);
    assert_eq!((machine.place(1).apic_id.0, machine.place(13).apic_id.0), (1, 50));
    let l2: Vec<String> = machine.l2.iter().map(kstate::CpuMask::list).collect();
    assert!(l2.contains(&"12-15".to_owned()) && l2.contains(&"2-3".to_owned()), "{l2:?}");
    assert!(source.check(&imported).agrees());
}
