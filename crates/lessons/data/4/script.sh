# CPU 3 reads one block. The disk answers with a message.
taskset -c 3 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct
