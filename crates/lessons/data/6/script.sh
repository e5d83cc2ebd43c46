# CPU 2 goes, and a queue was for it alone.
echo 0 > /sys/devices/system/cpu/cpu2/online
