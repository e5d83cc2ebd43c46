# Interrupt 25 is the first queue's and 32 the last one's.
#: assert /proc/irq/25/smp_affinity_list == 0
#: assert /proc/irq/32/smp_affinity_list == 7
#: assert /sys/block/nvme0n1/mq/0/cpu_list == 0
