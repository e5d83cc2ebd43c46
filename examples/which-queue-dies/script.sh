# Half of the CPUs go, from the last one on.
for cpu in 7 6 5 4; do
    echo 0 > /sys/devices/system/cpu/cpu$cpu/online
done
#: state half
for irq in 26 30 35; do
    cat /proc/irq/$irq/smp_affinity_list
done
# Queue 5 of the first disk is shut down, and starts again when a CPU of its affinity comes back.
#: assert /sys/kernel/debug/irq/irqs/29 contains IRQD_MANAGED_SHUTDOWN
#: events back
echo 1 > /sys/devices/system/cpu/cpu4/online
#: end
#: assert /sys/kernel/debug/irq/irqs/29 lacks IRQD_MANAGED_SHUTDOWN
