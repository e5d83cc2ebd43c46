# Phase two begins where the driver requests its first interrupt.
echo 1 > /sys/class/nvme/nvme0/reset_controller
