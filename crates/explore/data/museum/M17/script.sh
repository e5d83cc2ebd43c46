# The interrupt is to be on CPU 2, of the other node, where all vectors are free.
echo 4 > /proc/irq/default_smp_affinity
echo 0000:00:04.0 > /sys/bus/pci/drivers/irqlab/bind
echo 24 > /sys/kernel/debug/irqlab/request_irq
cat /sys/kernel/debug/irq/domains/VECTOR
#: assert /proc/irq/24/effective_affinity_list == 2
#: assert /sys/kernel/debug/irq/irqs/24 lacks "Previous vector"
#: assert dmesg lacks "Affinity broken due to vector space exhaustion"
