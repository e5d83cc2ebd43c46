# The disk's first interrupt is on CPU 1, and has been taken there. Now the CPU goes while the disk has
# something to say.
irq=24
rescan=/sys/class/nvme/nvme0/rescan_controller
echo 1 > /proc/irq/$irq/smp_affinity_list
echo 1 > $rescan; echo 1 > $rescan
#: assert /proc/irq/$irq/effective_affinity_list == 1
echo 0 > /sys/devices/system/cpu/cpu1/online &
echo 1 > $rescan &
wait
cat /proc/irq/$irq/effective_affinity_list
