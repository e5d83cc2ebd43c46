# An administrator wants queue 1 on CPU 3. The admin queue may be moved, the others may not.
echo 3 > /proc/irq/24/smp_affinity_list
cat /proc/irq/24/smp_affinity_list
#: flow move
echo 3 > /proc/irq/25/smp_affinity_list
#: end
cat /proc/irq/25/smp_affinity_list
#: assert /sys/kernel/debug/irq/irqs/25 contains IRQD_AFFINITY_MANAGED
