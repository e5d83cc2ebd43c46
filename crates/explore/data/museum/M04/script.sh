# CPU 1 reads, one block after the other, so that one is always on its way. Then CPU 1 goes.
taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=200 iflag=direct &
sleep 0.002
echo 0 > /sys/devices/system/cpu/cpu1/online
#: assert /sys/devices/system/cpu/cpu1/online == 0
wait
#: assert dmesg lacks timeout
