# The boards that QEMU emulates, one function each. Sourced after lib.sh.
# board NAME sets: qemu (the program), machine (its options), arch (Debian's), cross (ours), kernel
# (package), dtb (file of the kernel package, or empty), modules (loaded before
# the root can be mounted), carried (modules on the card, with all that modprobe
# wants), disk (the card's device, up to the number of a partition), append (kernel
# command line), net (QEMU options of the network card), folder (of its image).
# ROOT=ro in the environment makes and boots a card whose root is never written to.

boards="pi-zero pi-1 pi-2 pi-3 virt"

board() {
    name=$1 qemu=qemu-system-arm dtb="" cross=armv6 carried=""
    # What reaches card and net, where Debian's kernels have it as modules.
    modules="vfat nls_cp437 nls_ascii usbnet cdc_ether"
    disk=/dev/mmcblk0p
    net="-device usb-net,netdev=n0"
    case $name in
    pi-zero)
        machine="-M raspi0" modules="ext4 $modules"
        arch=armel kernel=linux-image-rpi dtb=bcm2835-rpi-zero.dtb
        ;;
    pi-1)
        machine="-M raspi1ap" modules="ext4 $modules"
        arch=armel kernel=linux-image-rpi dtb=bcm2835-rpi-a-plus.dtb
        ;;
    pi-2)
        machine="-M raspi2b"
        modules="ext4 bcm2835 sdhci_iproc phy_generic dwc2 bcm2835_wdt $modules"
        arch=armhf kernel=linux-image-armmp dtb=bcm2836-rpi-2-b.dtb
        ;;
    pi-3)
        # 64 bits. The device tree of the compute module: that of the board gives the one UART
        # that QEMU shows on stdio to a Bluetooth chip.
        qemu=qemu-system-aarch64 cross=aarch64
        machine="-M raspi3b"
        modules="ext4 sdhci_iproc bcm2835 phy_generic dwc2 bcm2835_wdt $modules"
        arch=arm64 kernel=linux-image-arm64 dtb=broadcom/bcm2837-rpi-cm3-io3.dtb
        ;;
    virt)
        # This kernel reaches no PCI above 4 GiB.
        machine="-M virt,highmem=off -cpu cortex-a7 -smp 2 -m 512"
        arch=armhf kernel=linux-image-armmp
        modules="ext4 vfat nls_cp437 nls_ascii virtio_mmio virtio_blk virtio_net virtio_input softdog"
        carried="overlay xhci_pci ftdi_sio dummy_hcd libcomposite usb_f_acm cdc_acm"
        disk=/dev/vda
        net="-device virtio-net-device,netdev=n0"
        ;;
    *) die "$name: no such board; one of $boards" ;;
    esac
    mode=${ROOT:-rw}
    case $mode in
    rw) folder=$name ;;
    ro) folder=$name-ro ;;
    *) die "ROOT=$mode: rw or ro" ;;
    esac
    # The emulated power block lacks registers, and the clock of I2C is a division by
    # zero: without this the kernel oopses at the one and complains of the other.
    append="console=ttyAMA0,115200 $mode panic=5 loglevel=4 net.ifnames=0"
    append+=" initcall_blacklist=bcm2835_power_driver_init,bcm2835_i2c_driver_init"
    # QEMU's Pi is reset the moment its watchdog is started.
    [ "$name" = virt ] || append+=" ettan.watchdog=off"
}
