# The interrupt is on CPU 1, from a device that asks for it again as soon as it is free to, and is told to
# go to CPU 0.
irq=24
lab=/sys/kernel/debug/irqlab
echo 0000:00:03.0 > /sys/bus/pci/drivers/irqlab/bind
echo $irq > $lab/request_irq
echo 1 > /proc/irq/$irq/smp_affinity_list
echo $irq > $lab/raise; echo $irq > $lab/raise
echo $irq > $lab/storm
echo 0 > /proc/irq/$irq/smp_affinity_list &
wait
cat /proc/irq/$irq/effective_affinity_list
