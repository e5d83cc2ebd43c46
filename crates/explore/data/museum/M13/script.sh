# The interrupt is on CPU 1 and is told to go to CPU 0, which it does when it comes the next time. Then it
# comes again and again, as soon as the device is free to send it.
irq=24
lab=/sys/kernel/debug/irqlab
echo 0000:00:03.0 > /sys/bus/pci/drivers/irqlab/bind
echo $irq > $lab/request_irq
echo 1 > /proc/irq/$irq/smp_affinity_list
echo $irq > $lab/raise; echo $irq > $lab/raise
echo 0 > /proc/irq/$irq/smp_affinity_list
#: assert /proc/irq/$irq/effective_affinity_list == 1
echo $irq > $lab/storm &
wait
cat /proc/irq/$irq/effective_affinity_list
