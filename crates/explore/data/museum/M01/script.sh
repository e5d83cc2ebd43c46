# Moves an interrupt three times. Each move needs an interrupt to begin with, on the old CPU, and
# one to end with, on the new.
irq=24
debug=/sys/kernel/debug/irq/irqs/$irq
for cpu in 0 1 2; do
    echo $cpu > /proc/irq/$irq/smp_affinity_list
    for i in 1 2 3; do echo trigger > $debug; done
    sleep 0.1
    cat /proc/irq/$irq/effective_affinity_list
    #: assert /proc/irq/$irq/effective_affinity_list == $cpu
done
#: assert $debug lacks IRQD_SETAFFINITY_PENDING
#: assert $debug contains "move_in_progress: 0"
