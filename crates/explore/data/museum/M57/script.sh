# CPU 3 is the only one that the scheduler deals tasks to: it has to stay.
echo 0 > /sys/devices/system/cpu/cpu3/online
#: assert /sys/devices/system/cpu/online == 0-3
# An isolated one may go as long as it is there.
echo 0 > /sys/devices/system/cpu/cpu2/online
#: assert /sys/devices/system/cpu/online == 0-1,3
