/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine for guests of a few instructions: 640 KiB of RAM, a device that logs, one that answers without a lock, two
 * whose writes are coalesced (the first one's port, too), and a port that tells the test that a guest has come
 * somewhere.
 *
 * The test's thread owns it. What a handler writes is read under the same device's lock, or after the done port.
 */
#ifndef HDL_TESTS_FLAT_MACHINE_H
#define HDL_TESTS_FLAT_MACHINE_H

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/device.h"
#include "event/event_loop.h"
#include "hw/intc/lapic.h"
#include "memory/address_space.h"
#include "memory/dispatch.h"
#include "vcpu/vcpu.h"
#include "vcpu/vm.h"

#define FLAT_RAM_BYTES  0xa0000
#define FLAT_CODE       0x1000
#define FLAT_STACK      0x8000
#define FLAT_SMP_START  0x9000
#define FLAT_SMP_CPUS   0x6000
#define FLAT_PORT_DONE  0x500
#define FLAT_PORT_DATA  0x510
#define FLAT_PORT_EVENT 0x520
#define FLAT_PORT_QUEUE 0x530
#define FLAT_MMIO       0xd0000
#define FLAT_LOCKLESS   0xd1000
#define FLAT_BUFFERED   0xd2000
#define FLAT_OTHER      0xd3000
#define FLAT_EVENT      0xd4000
#define FLAT_APIC       0xd5000
#define FLAT_COUNTERS   0x7000
#define FLAT_LOG_MAX    16384
#define FLAT_EVENTS_MAX 8
#define FLAT_CPUS_MAX   4

struct flat_access {
    bool is_write;
    uint8_t size_bytes;
    uint16_t region; /* FLAT_... >> 4 or a port */
    uint32_t offset;
    uint64_t value;
};

/* A device with a log. Its reads answer 0x1000000000000 + the number of reads so far, repeated in each half. */
struct flat_device {
    struct device device;
    struct region region, second_region, port_region;
    struct flat_access log[FLAT_LOG_MAX];
    unsigned log_count, reads;
    unsigned spin; /* how long its handlers take */
};

struct flat_machine {
    struct event_loop *loop;
    struct memory_map map;
    struct region memory_root, io_root, ram;
    struct address_space memory, io;
    struct ram_block *block;
    struct flat_device *data, *buffered, *other, *port;
    struct region data_port, event_port, done_port, mmio, lockless, event_mmio;
    _Atomic uint64_t lockless_reads;
    sem_t done;
    _Atomic unsigned done_value;
    struct vm *vm;
    struct vcpu *cpus[FLAT_CPUS_MAX];
    unsigned cpu_count;
    enum vm_event_kind events[FLAT_EVENTS_MAX];
    char event_what[192], event_report[4096];
    unsigned event_count;
    _Atomic int pending_vector; /* of the interrupt source; -1: none */
    _Atomic unsigned end_of_interrupts;
    bool is_coalescing;       /* what the accelerator said last, under the map's lock */
    struct lapic_bus *lapics; /* NULL: pending_vector is all there is */
    struct event_loop *apic_loop;
    struct clock clock;
    struct isa_bus isa;
};

/* Guests in guests.S. Other files' tests declare theirs. */
#define FLAT_GUEST(name) extern const uint8_t flat_##name[], flat_##name##_end[]
FLAT_GUEST(pio);
FLAT_GUEST(string_pio);
FLAT_GUEST(mmio);
FLAT_GUEST(mmio64);
FLAT_GUEST(lockless);
FLAT_GUEST(interrupts);
FLAT_GUEST(busy);
FLAT_GUEST(pic);
FLAT_GUEST(pic_level);
FLAT_GUEST(ioeventfd);
FLAT_GUEST(spin);
FLAT_GUEST(dispatch);
FLAT_GUEST(coalesced);
FLAT_GUEST(coalesced_ports);
FLAT_GUEST(overflow);
FLAT_GUEST(triple_fault);
FLAT_GUEST(lost);
FLAT_GUEST(apic_ipi);
FLAT_GUEST(apic_tpr);
FLAT_GUEST(apic_sti);
FLAT_GUEST(apic_timer);
FLAT_GUEST(apic_cr8);

/*
 * What $HEDDLE_TEST_ACCEL asks for, as -accel does: "kvm" (the default), "kvm,kernel-irqchip=off" or "soft". NULL: it
 * is none of these, or can't be used here, which has been said on stderr.
 */
const char *flat_accel_init(void);
bool flat_accel_is_soft(void);
/* Whether all instructions can be used: false of a KVM with no hardware behind it, which is said on stderr. */
bool flat_accel_is_full_speed(void);
/* Whether the accelerator has interrupt controllers for guests, and they aren't off. */
bool flat_accel_has_irqchip(void);

/*
 * A paused machine with the guest's code in place and cpus vCPUs about to run it. Skips the running test if it asks for
 * the accelerator's interrupt controllers and there are none.
 */
struct flat_machine *flat_create(enum vm_irqchip irqchip, unsigned cpus, const uint8_t *code, const uint8_t *code_end);
#define FLAT_CREATE(irqchip, cpus, name) flat_create((irqchip), (cpus), flat_##name, flat_##name##_end)
/* A USER machine for a test of what only KVM has; with another accelerator it is skipped. */
struct flat_machine *flat_create_kvm(const char *feature, const uint8_t *code, const uint8_t *code_end);
#define FLAT_CREATE_KVM(feature, name) flat_create_kvm((feature), flat_##name, flat_##name##_end)
/* A USER machine with local APICs at FLAT_APIC; all CPUs but the first wait for a start-up message. */
struct flat_machine *flat_create_apic(unsigned cpus, const uint8_t *code, const uint8_t *code_end);
#define FLAT_CREATE_APIC(cpus, name) flat_create_apic((cpus), flat_##name, flat_##name##_end)
/* The same, about to enter a guest of smp_guests.S by way of smp_start, all CPUs in 64-bit mode. */
struct flat_machine *flat_create_smp(unsigned cpus, const uint8_t *code, const uint8_t *code_end);
#define FLAT_CREATE_SMP(cpus, name) flat_create_smp((cpus), flat_smp_##name, flat_smp_##name##_end)
void flat_destroy(struct flat_machine *machine);
/* Puts a vCPU to the start of the code in real mode; %bx is 4 times its number. */
void flat_start_real(struct flat_machine *machine, unsigned cpu);
/* The same in 64-bit mode, the first 2 MiB mapped one to one. */
void flat_start_long(struct flat_machine *machine, unsigned cpu);
/* Waits for the next write to the done port and returns its value. Fails the test after a long time. */
unsigned flat_wait_done(struct flat_machine *machine);
/* Handles the loop's events until the machine has had `count` of them. */
void flat_wait_events(struct flat_machine *machine, unsigned count);
uint32_t flat_ram32(struct flat_machine *machine, uint32_t address);

#endif
