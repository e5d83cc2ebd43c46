# A reset takes all interrupts of the controller away and allocates them again.
echo 1 > /sys/class/nvme/nvme0/reset_controller
