# An interrupt on CPU 1 that may also be on CPU 2, where every vector is taken. CPU 0 has plenty.
lab=/sys/kernel/debug/irqlab
default=/proc/irq/default_smp_affinity
irq=24
echo 2 > $default
echo 0000:00:04.0 > /sys/bus/pci/drivers/irqlab/bind
echo $irq > $lab/request_irq
echo 1-2 > /proc/irq/$irq/smp_affinity_list
echo $irq > $lab/raise
#: assert /proc/irq/$irq/effective_affinity_list == 1
echo 4 > $default
echo 0000:00:05.0 > /sys/bus/pci/drivers/irqlab/bind
echo 25-225 > $lab/request_irq
cat /sys/kernel/debug/irq/domains/VECTOR
#: assert /sys/kernel/debug/irq/domains/VECTOR contains "2 0 0 0 202"

echo 0 > /sys/devices/system/cpu/cpu1/online
cat /proc/irq/$irq/effective_affinity_list
#: assert /proc/irq/$irq/effective_affinity_list == 0
echo $irq > $lab/raise
#: assert /proc/interrupts contains "$irq: 1 0 PCI"
#: assert dmesg lacks "set affinity failed"
