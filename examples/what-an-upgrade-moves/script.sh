for irq in 25 26 27 28; do
    cat /proc/irq/$irq/smp_affinity_list
done
