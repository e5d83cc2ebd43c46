echo 0 > /sys/devices/system/cpu/cpu1/online
dmesg
