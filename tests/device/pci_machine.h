/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine for tests of PCI devices: RAM, a host bridge, an event loop that the test polls, and interrupts that are
 * written down. The test plays the processor: there is no guest.
 */
#ifndef HDL_TESTS_DEVICE_PCI_MACHINE_H
#define HDL_TESTS_DEVICE_PCI_MACHINE_H

#include "event/event_loop.h"
#include "hw/pci/pci_host.h"

#define MACHINE_RAM_BYTES  (UINT64_C(8) << 20) /* at 0 */
#define MACHINE_HIGH_RAM   (UINT64_C(1) << 32) /* MACHINE_HIGH_BYTES of another block */
#define MACHINE_HIGH_BYTES (UINT64_C(1) << 20)
#define MACHINE_ECAM       UINT64_C(0xb0000000)
#define MACHINE_PCI_FIRST  UINT64_C(0xe0000000)
#define MACHINE_PCI_LAST   UINT64_C(0xefffffff)

#define MACHINE_ROUTES   64
#define MACHINE_MESSAGES 4096

/* An interrupt controller that only remembers. Locks itself. */
struct test_msi {
    struct msi_target target;
    struct hdl_mutex lock;
    bool with_routes; /* irqfds work: set before use */
    struct msi_message routes[MACHINE_ROUTES];
    bool route_used[MACHINE_ROUTES];
    int route_fd[MACHINE_ROUTES]; /* -1: none */
    struct msi_message last;
    unsigned calls; /* messages sent by call */
    unsigned sent;  /* those, and the ones by eventfd, which are counted when asked */
};

struct pci_machine {
    struct memory_map map;
    struct region memory_root, io_root, pci_memory;
    struct region ram_region, high_region;
    struct address_space memory, io;
    struct ram_block *ram, *high;
    struct pci_host host;
    struct test_msi msi;
    _Atomic bool pirq[PCI_PIRQ_COUNT]; /* levels */
    _Atomic unsigned reset_writes;     /* to 0xcf9 */
    struct event_loop *loop;
    struct device *bridge;
    uint64_t next_gpa; /* bump allocator of the test's */
};

void pci_machine_init(struct pci_machine *machine, bool msi_routes);
/* All devices are removed (pci_machine_remove). */
void pci_machine_destroy(struct pci_machine *machine);

/* Creates, attaches and realizes. `loop`: the machine's if NULL. Asserts success. */
struct device *pci_machine_add(struct pci_machine *machine, const struct device_type *type, struct event_loop *loop);
/* As a hot-unplug would: unplugs, polls the loop until it is gone, waits a grace period, drops the reference. */
void pci_machine_remove(struct pci_machine *machine, struct device *device);
/* BARs as firmware would. */
void pci_machine_assign(struct pci_machine *machine);
/* How many ioeventfds the accelerator would have in memory now. */
unsigned pci_machine_ioeventfds(struct pci_machine *machine);
/* Handles all that is ready. */
void pci_machine_poll(struct pci_machine *machine);

/* The processor's accesses. */
uint64_t machine_read(struct pci_machine *machine, uint64_t gpa, unsigned size_bytes);
void machine_write(struct pci_machine *machine, uint64_t gpa, unsigned size_bytes, uint64_t value);
uint64_t machine_in(struct pci_machine *machine, uint16_t port, unsigned size_bytes);
void machine_out(struct pci_machine *machine, uint16_t port, unsigned size_bytes, uint64_t value);
/* Config space of bus 0, by ECAM. */
uint32_t machine_config_read(struct pci_machine *machine, unsigned devfn, unsigned offset, unsigned size_bytes);
void machine_config_write(struct pci_machine *machine, unsigned devfn, unsigned offset, unsigned size_bytes,
                          uint32_t value);
/* Offset of a capability, after the one at `after` (0: the first); 0: none. */
unsigned machine_capability(struct pci_machine *machine, unsigned devfn, uint8_t id, unsigned after);

/* RAM: len_bytes zeroed bytes at an aligned address; and where the test sees them. */
uint64_t machine_alloc(struct pci_machine *machine, uint64_t len_bytes, uint64_t align);
void *machine_host(struct pci_machine *machine, uint64_t gpa);

/* Messages so far, by call and by eventfd. */
unsigned test_msi_count(struct test_msi *msi);

#endif
