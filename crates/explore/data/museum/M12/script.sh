# The disk's interrupt is on CPU 1, and has been taken there. Then it is told to go to CPU 0 while two
# reads are on their way: the one's interrupt moves it, the other's comes in the middle of that.
irq=24
read="dd if=/dev/nvme0n1 of=/dev/null bs=4k iflag=direct"
echo 1 > /proc/irq/$irq/smp_affinity_list
$read count=3
$read count=1 &
$read count=1 &
echo 0 > /proc/irq/$irq/smp_affinity_list &
wait
