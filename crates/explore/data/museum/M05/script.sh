# A driver disables a managed interrupt; its CPU goes and comes back, and the device asks for it.
irq=26
lab=/sys/kernel/debug/irqlab
debug=/sys/kernel/debug/irq/irqs/$irq
echo $irq > $lab/disable_irq
#: assert $debug contains "ddepth: 1"
echo 0 > /sys/devices/system/cpu/cpu1/online
echo 1 > /sys/devices/system/cpu/cpu1/online
#: assert $debug contains "ddepth: 1"
#: assert $debug lacks IRQD_IRQ_STARTED
echo $irq > $lab/raise
#: assert /proc/interrupts contains "$irq: 0 0 PCI"
echo $irq > $lab/enable_irq
#: assert $debug contains "ddepth: 0"
#: assert $debug contains IRQD_IRQ_STARTED
#: assert dmesg lacks "Unbalanced enable for IRQ $irq"
