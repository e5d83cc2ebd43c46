# The same three steps on every kernel: an affinity write, a CPU that goes, a reset meanwhile.
echo 5 > /proc/irq/24/smp_affinity_list
echo 0 > /sys/devices/system/cpu/cpu7/online
echo 1 > /sys/class/nvme/nvme0/reset_controller
