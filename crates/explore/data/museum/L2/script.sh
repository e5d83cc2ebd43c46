# The controller is reset while CPU 3 is away, and CPU 0 reads.
echo 0 > /sys/devices/system/cpu/cpu3/online
echo 1 > /sys/class/nvme/nvme0/reset_controller
sleep 1
taskset -c 0 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct
#: assert dmesg lacks timeout
# Nothing is in order again when the CPU is back: only another reset spreads once more.
echo 1 > /sys/devices/system/cpu/cpu3/online
taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct
#: assert dmesg lacks timeout
