# Each round the disk's vectors are reserved while CPU 1 is there and given back while it is not. In
# the end no vector of CPU 1 is in use, and all 202 are available.
driver=/sys/bus/pci/drivers/nvme
cpu1=/sys/devices/system/cpu/cpu1/online
echo 0000:00:03.0 > $driver/unbind
for round in 1 2 3; do
    echo 0000:00:03.0 > $driver/bind
    sleep 1
    echo 0 > $cpu1
    echo 0000:00:03.0 > $driver/unbind
    echo 1 > $cpu1
done
cat /sys/kernel/debug/irq/domains/VECTOR
#: assert /sys/kernel/debug/irq/domains/VECTOR contains "1 202 0 0 0"
