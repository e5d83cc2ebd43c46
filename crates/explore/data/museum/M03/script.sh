# Each round moves an interrupt from CPU 1 to CPU 0 and takes CPU 1 down before the interrupt comes
# again. In the end one vector of CPU 1 is in use, that of its queue.
irq=24
debug=/sys/kernel/debug/irq/irqs/$irq
cpu1=/sys/devices/system/cpu/cpu1/online
for round in 1 2 3; do
    echo 1 > /proc/irq/$irq/smp_affinity_list
    echo trigger > $debug; echo trigger > $debug; sleep 0.1
    echo 0 > /proc/irq/$irq/smp_affinity_list
    echo trigger > $debug        # taken on CPU 1: moves to CPU 0, and CPU 1 still has the old vector
    echo 0 > $cpu1
    echo trigger > $debug        # taken on CPU 0: the old vector may go, but its CPU is not there
    echo 1 > $cpu1
done
cat /sys/kernel/debug/irq/domains/VECTOR
#: assert /sys/kernel/debug/irq/domains/VECTOR contains "1 201 1 1 1"
