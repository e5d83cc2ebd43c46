# The reset allocates first and requests later; between the two lies phase one.
echo 1 > /sys/class/nvme/nvme0/reset_controller
