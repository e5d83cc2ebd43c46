#: flow down
echo 0 > /sys/devices/system/cpu/cpu2/online
#: end
#: flow up
echo 1 > /sys/devices/system/cpu/cpu2/online
#: end
