# The disk's interrupt is told to go from CPU 1 to CPU 0 while two reads are on their way.
irq=24
read="dd if=/dev/nvme0n1 of=/dev/null bs=4k iflag=direct"
echo 1 > /proc/irq/$irq/smp_affinity_list
$read count=3
$read count=1 &
$read count=1 &
echo 0 > /proc/irq/$irq/smp_affinity_list &
wait
#: assert dmesg lacks "No irq handler for vector"
