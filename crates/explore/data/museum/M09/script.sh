# An isolated CPU goes and comes back, and somebody reads from it.
cpu1=/sys/devices/system/cpu/cpu1/online
queue=/sys/kernel/debug/block/nvme0n1/hctx1/state
echo 0 > $cpu1
#: assert $queue contains INACTIVE
echo 1 > $cpu1
#: assert $queue lacks INACTIVE
taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct &
sleep 10
#: assert /proc/interrupts contains "26: 0 1 0 PCI"
# Whoever still waits is freed: on another CPU the reader tries another queue.
echo 0 > $cpu1
wait
