# The disk has twelve queues, and a vector for each: interrupts 25 to 36.
for irq in 25 26 27 28 29 30 31 32 33 34 35 36; do cat /proc/irq/$irq/smp_affinity_list; done
#: assert /proc/interrupts contains nvme0q12
#: assert dmesg contains "12/0/0 default/read/poll queues"
#: assert dmesg lacks WARNING
