# CPU 1 has 20 vectors, 12 of them managed: they will be shut down. CPU 0 keeps 12 for the other 8.
echo 1 > /proc/irq/default_smp_affinity
echo 0000:00:05.0 > /sys/bus/pci/drivers/irqlab/bind
echo 60-228 > /sys/kernel/debug/irqlab/request_irq
cat /sys/kernel/debug/irq/domains/VECTOR
echo 0 > /sys/devices/system/cpu/cpu1/online
#: assert /sys/devices/system/cpu/online == 0
#: assert dmesg lacks "Cannot disable CPU"
