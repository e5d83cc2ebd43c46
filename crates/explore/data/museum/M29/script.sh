# CPU 1 reads a sector, and the controller loses the command. Then the controller is reset, and CPU 1 goes. All of
# it is over before nvme_timeout() looks after 30 seconds.
disk=/dev/nvme0n1
cpu1=/sys/devices/system/cpu/cpu1/online
for cpu in 1; do sleep 0.01; taskset -c $cpu dd if=$disk of=/dev/null bs=512 skip=64 count=1 iflag=direct; done &
for file in /sys/class/nvme/nvme0/reset_controller; do sleep 0.02; echo 1 > $file; done &
for file in $cpu1; do sleep 0.02; echo 0 > $file; done &
sleep 20
wait
#: assert $cpu1 == 0
