# An interrupt on CPU 1 that is freed and requested again while the device sends one more. Whatever came
# of that one: the next is for the new handler.
irq=24
lab=/sys/kernel/debug/irqlab
echo 0000:00:03.0 > /sys/bus/pci/drivers/irqlab/bind
echo $irq > $lab/request_irq
echo 1 > /proc/irq/$irq/smp_affinity_list
echo $irq > $lab/raise; echo $irq > $lab/raise; sleep 1
echo $irq > $lab/arm &           # in a moment
for file in free_irq request_irq; do echo $irq > $lab/$file; done &
wait
echo $irq > $lab/raise
cat /sys/kernel/debug/irq/domains/VECTOR
