#!/bin/sh
# Gathers what `irqlab import` reads of a machine into a tar archive on standard output:
#
#     sh collect.sh > machine.tar
#
# With a folder as its argument it reads the /proc and /sys in there. It reads and writes nothing else. No names of hosts, serial numbers or addresses of networks are taken.
# Without root, sizes of MSI-X tables and vectors are missing.
set -u
LC_ALL=C
export LC_ALL
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

root=
if [ $# -gt 0 ]; then
    root=$(cd "$1" && pwd -P) || exit 1
fi

# Copies files of /proc and /sys, which have no length before they are read, with their modes.
take() {
    for file in "$@"; do
        file=${file#"$root"}
        [ -f "$root$file" ] && [ -r "$root$file" ] || continue
        mkdir -p "$work${file%/*}" || exit 1
        cat "$root$file" > "$work$file" 2>/dev/null || { rm -f "$work$file"; continue; }
        [ -w "$root$file" ] || chmod a-w "$work$file"
        case $(ls -l "$root$file") in -r--r--r--*) chmod 444 "$work$file" ;; esac
    done
}

take /proc/interrupts /proc/version /proc/cpuinfo
# Of the command line only what says how CPUs and interrupts are used.
mkdir -p "$work/proc"
tr ' ' '\n' < "$root/proc/cmdline" | grep -E '^(BOOT_IMAGE|nosmp|nr_cpus|maxcpus|possible_cpus|nosmt|mitigations|isolcpus|nohz_full|noapic|nolapic|apic|nox2apic|nointremap|intremap|intel_iommu|irqaffinity|threadirqs|noirqdebug|irqpoll|pci|nvme[a-z_]*\.[a-z_]*|virtio_blk\.[a-z_]*)(=|$)' \
    | tr '\n' ' ' > "$work/proc/cmdline"
take /proc/irq/default_smp_affinity
for irq in "$root"/proc/irq/[0-9]*; do
    take "$irq/smp_affinity" "$irq/smp_affinity_list" "$irq/effective_affinity_list" "$irq/affinity_hint" "$irq/node"
done
for irq in "$root"/sys/kernel/irq/[0-9]*; do
    take "$irq/actions" "$irq/chip_name" "$irq/hwirq" "$irq/name" "$irq/type"
done
cpu=$root/sys/devices/system/cpu
take /sys/module/nvme/parameters/write_queues /sys/module/nvme/parameters/poll_queues \
    /sys/module/nvme/parameters/use_threaded_interrupts
take "$cpu/possible" "$cpu/present" "$cpu/online" "$cpu/offline"
for one in "$cpu"/cpu[0-9]*; do
    take "$one"/topology/thread_siblings_list "$one"/topology/core_cpus_list "$one"/topology/physical_package_id \
        "$one"/topology/die_cpus_list "$one"/topology/package_cpus_list "$one"/topology/core_siblings_list "$one"/cache/index2/shared_cpu_list
done
node=$root/sys/devices/system/node
take "$node/possible" "$node/online"
for one in "$node"/node[0-9]*; do
    take "$one/cpulist"
done
for link in "$root"/sys/bus/pci/devices/*; do
    device=$(readlink -f "$link") || continue
    at=$work${device#"$root"}
    take "$device/class" "$device/vendor" "$device/device" "$device/numa_node" "$device/irq" "$device"/msi_irqs/*
    # Only root sees the capabilities behind the first 64 bytes, and serial numbers are behind the first 256.
    if [ -r "$device/config" ]; then
        mkdir -p "$at"
        dd if="$device/config" of="$at/config" bs=256 count=1 2>/dev/null
    fi
    if [ -L "$device/driver" ]; then
        mkdir -p "$at"
        ln -s "$(readlink "$device/driver")" "$at/driver"
    fi
    # How many queues drivers made, and the drivers of the virtio bus.
    take "$device"/nvme/nvme*/queue_count "$device"/virtio*/block/*/mq/*/cpu_list \
        "$device"/virtio*/net/*/queues/rx-*/rps_cpus
    for virtio in "$device"/virtio*; do
        [ -L "$virtio/driver" ] || continue
        mkdir -p "$at/${virtio##*/}"
        ln -s "$(readlink "$virtio/driver")" "$at/${virtio##*/}/driver"
    done
done
# What NVMe controllers grant, where nvme-cli is there. It reads.
if [ -z "$root" ] && command -v nvme > /dev/null && [ "$(id -u)" = 0 ]; then
    mkdir -p "$work/sos_commands/nvme/feature-7"
    for one in /sys/class/nvme/nvme[0-9]*; do
        name=${one##*/}
        [ -e "$one" ] && nvme get-feature "/dev/$name" -f 7 > "$work/sos_commands/nvme/feature-7/$name" 2> /dev/null
    done
fi
debug=$root/sys/kernel/debug/irq
if [ -r "$debug/irqs" ]; then
    take "$debug"/irqs/[0-9]* "$debug/domains/VECTOR"
else
    echo 'collect.sh: /sys/kernel/debug/irq cannot be read: vectors are missing (root, CONFIG_GENERIC_IRQ_DEBUGFS)' >&2
fi
[ "$(id -u)" = 0 ] || echo 'collect.sh: not root: the sizes of MSI-X tables are missing' >&2
cd "$work" && tar cf - *
