# The first time everything leaves CPU 0 for good; the second time there is nothing left to move.
cpu0=/sys/devices/system/cpu/cpu0/online
echo 0 > $cpu0
#: assert /sys/devices/system/cpu/online == 1-3
echo 1 > $cpu0
cat /sys/kernel/debug/irq/domains/VECTOR
#: assert /sys/kernel/debug/irq/domains/VECTOR lacks 4294967295
echo 0 > $cpu0
#: assert /sys/devices/system/cpu/online == 1-3
#: assert dmesg lacks "Cannot disable CPU"
