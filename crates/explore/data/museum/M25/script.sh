# Interrupt 26 is the second queue's, which serves the CPUs 2 and 3. CPU 3 is isolated.
target=/proc/irq/26/effective_affinity_list
cpu2=/sys/devices/system/cpu/cpu2/online
#: assert $target == 2
# While CPU 2 is away there is only the isolated one.
echo 0 > $cpu2
#: assert $target == 3
# It goes back when CPU 2 is there again, with the next interrupt.
echo 1 > $cpu2
taskset -c 3 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct
#: assert $target == 2
