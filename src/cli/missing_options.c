/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of QEMU's options that heddle hasn't got. They are known so that people are told what is missing rather
 * than that they mistyped something; an argument that asks for nothing is taken. Constant.
 */
#include <string.h>

#include "cli/cli.h"

static const struct missing_option missing_options[] = {
    {"nic", "there are no network cards yet", "none"},
    {"net", "there are no network cards yet", "none"},
    {"netdev", "there are no network cards yet", NULL},
    {"vga", "there are no graphics cards yet", "none"},
    {"vnc", "there are no displays yet", "none"},
    {"spice", "there are no displays yet", NULL},
    {"curses", "there are no displays yet", NULL},
    {"full-screen", "there are no displays yet", NULL},
    {"parallel", "there are no parallel ports", "none"},
    {"usb", "there is no USB yet", NULL},
    {"usbdevice", "there is no USB yet", NULL},
    {"soundhw", "there are no sound cards yet", NULL},
    {"audio", "there are no sound cards yet", "none"},
    {"hda", "there are no IDE disks; a disk is given as -drive file=FILE", NULL},
    {"hdb", "there are no IDE disks; a disk is given as -drive file=FILE", NULL},
    {"hdc", "there are no IDE disks; a disk is given as -drive file=FILE", NULL},
    {"hdd", "there are no IDE disks; a disk is given as -drive file=FILE", NULL},
    {"cdrom", "there are no CD drives yet; a disk is given as -drive file=FILE,readonly=on", NULL},
    {"fda", "there are no floppy drives", NULL},
    {"fdb", "there are no floppy drives", NULL},
    {"snapshot", "temporary snapshots aren't supported yet", NULL},
    {"loadvm", "snapshots of machines aren't supported yet", NULL},
    {"incoming", "migration isn't supported yet", NULL},
    {"bios", "there is no firmware yet; -kernel boots a kernel directly", NULL},
    {"pflash", "there is no firmware yet; -kernel boots a kernel directly", NULL},
    {"option-rom", "there is no firmware yet; -kernel boots a kernel directly", NULL},
    {"acpitable", "other ACPI tables than heddle's can't be added yet", NULL},
    {"no-acpi", "a machine always has ACPI", NULL},
    {"no-hpet", "a machine always has an HPET", NULL},
    {"fsdev", "folders can't be shared with the guest yet", NULL},
    {"virtfs", "folders can't be shared with the guest yet", NULL},
    {"numa", "the guest's memory is one node; several aren't supported yet", NULL},
    {"mem-path", "use -object memory-backend-memfd,hugetlb=on and -machine memory-backend=", NULL},
    {"tpmdev", "there is no TPM yet", NULL},
    {"watchdog", "there are no watchdogs yet", NULL},
    {"gdb", "debuggers can't be attached yet", "none"},
    {"s", "debuggers can't be attached yet", NULL},
    {"icount", "counted instructions aren't supported", NULL},
    {"preconfig", "a machine can't be changed before it is made; -S stops before the guest runs", NULL},
    {"readconfig", "configuration files aren't supported", NULL},
    {"runas", "heddle doesn't change its user; start it as the right one", NULL},
    {"chroot", "heddle doesn't change its root; start it in the right one", NULL},
};

const struct missing_option *missing_option_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(missing_options); i++) {
        if (strcmp(missing_options[i].name, name) == 0) {
            return &missing_options[i];
        }
    }
    return NULL;
}
