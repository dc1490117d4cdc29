/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run loop, exits, interrupts, kicks and pauses on the accelerator that $HEDDLE_TEST_ACCEL names, with guests of a
 * few instructions. For KVM, skipped where /dev/kvm can't be opened; it needs no hardware behind it.
 */
#include "flat_machine.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/thread.h"
#include "memory/dma.h"
#include "vcpu/accel.h"

static void check_write(const struct flat_access *access, unsigned size_bytes, uint32_t offset, uint64_t value)
{
    assert_true(access->is_write);
    assert_int_equal(access->size_bytes, size_bytes);
    assert_int_equal(access->offset, offset);
    assert_int_equal(access->value, value);
}

static void check_read(const struct flat_access *access, unsigned size_bytes, uint32_t offset)
{
    assert_false(access->is_write);
    assert_int_equal(access->size_bytes, size_bytes);
    assert_int_equal(access->offset, offset);
}

/* --- exits ------------------------------------------------------------------------------------------------------ */

static void test_pio(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, pio);
    const struct flat_access *log = machine->data->log;

    vm_resume(machine->vm);
    flat_wait_done(machine);
    assert_int_equal(machine->data->log_count, 6);
    check_write(&log[0], 1, 0, 0x11);
    check_write(&log[1], 2, 0, 0x2211);
    check_write(&log[2], 4, 0, 0x44332211);
    check_read(&log[3], 1, 0);
    check_read(&log[4], 2, 0);
    check_read(&log[5], 4, 0);
    assert_int_equal(flat_ram32(machine, 0x6000), 0x01);
    assert_int_equal(flat_ram32(machine, 0x6004), 0x0702);
    assert_int_equal(flat_ram32(machine, 0x6008), 0x05060703);
    flat_destroy(machine);
}

static void test_string_pio(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, string_pio);
    const uint16_t *words = (const uint16_t *)(machine->block->host + 0x4000);

    for (unsigned i = 0; i < 5000; i++) {
        machine->block->host[0x2000 + i] = (uint8_t)(i * 7);
    }
    vm_resume(machine->vm);
    flat_wait_done(machine);
    assert_int_equal(machine->data->log_count, 6500);
    for (unsigned i = 0; i < 5000; i++) {
        check_write(&machine->data->log[i], 1, 0, (uint8_t)(i * 7));
    }
    for (unsigned i = 0; i < 1500; i++) {
        check_read(&machine->data->log[5000 + i], 2, 0);
        assert_int_equal(words[i], (uint16_t)(0x0700 + i + 1));
    }
    flat_destroy(machine);
}

static void test_mmio(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, mmio);
    const struct flat_access *log = machine->data->log;

    vm_resume(machine->vm);
    flat_wait_done(machine);
    assert_int_equal(machine->data->log_count, 6);
    check_write(&log[0], 1, 0x10, 0x11);
    check_write(&log[1], 2, 0x20, 0x2211);
    check_write(&log[2], 4, 0x30, 0x44332211);
    check_read(&log[3], 1, 0x41);
    check_read(&log[4], 2, 0x42);
    check_read(&log[5], 4, 0x44);
    assert_int_equal(flat_ram32(machine, 0x6000), 0x01);
    assert_int_equal(flat_ram32(machine, 0x6004), 0x0702);
    assert_int_equal(flat_ram32(machine, 0x6008), 0x05060703);
    flat_destroy(machine);
}

static void test_mmio_of_8_bytes(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, mmio64);

    flat_start_long(machine, 0);
    vm_resume(machine->vm);
    flat_wait_done(machine);
    assert_int_equal(machine->data->log_count, 2);
    check_write(&machine->data->log[0], 8, 0x50, 0x8877665544332211);
    check_read(&machine->data->log[1], 8, 0x60);
    assert_int_equal(flat_ram32(machine, 0x6000), 0x05060701);
    assert_int_equal(flat_ram32(machine, 0x6004), 0x01020304);
    flat_destroy(machine);
}

/* The counter answers while somebody holds another device. */
static void test_lockless(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, lockless);

    device_lock(&machine->data->device);
    vm_resume(machine->vm);
    flat_wait_done(machine);
    device_unlock(&machine->data->device);
    assert_int_equal(flat_ram32(machine, 0x6000), 210);
    flat_destroy(machine);
}

static void test_triple_fault(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, triple_fault);

    vm_resume(machine->vm);
    flat_wait_events(machine, 1);
    assert_int_equal(machine->events[0], VM_EVENT_TRIPLE_FAULT);
    assert_non_null(strstr(machine->event_report, "RIP="));

    /* A reset machine runs again. */
    vm_pause(machine->vm);
    assert_int_equal(vm_reset(machine->vm, NULL), 0);
    memcpy(machine->block->host + FLAT_CODE, flat_pio, (size_t)(flat_pio_end - flat_pio));
    flat_start_real(machine, 0);
    vm_resume(machine->vm);
    flat_wait_done(machine);
    assert_int_equal(machine->data->log_count, 6);
    flat_destroy(machine);
}

/* What a CPU had to say before it was reset is said no more: nobody would reset the machine twice for one fault. */
static void test_triple_fault_and_a_reset_meanwhile(void **state)
{
    struct flat_machine *machine;

    /* A KVM without hardware behind it doesn't fault for the second time: it keeps an IDT's limit over a reset. */
    if (!flat_accel_is_full_speed()) {
        skip();
    }
    machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, triple_fault);
    vm_resume(machine->vm);
    while (atomic_load(&machine->cpus[0]->state) != VCPU_PARKED) {
        hdl_cpu_relax();
    }
    vm_pause(machine->vm);
    assert_int_equal(vm_reset(machine->vm, NULL), 0);
    while (event_loop_poll(machine->loop, false)) {
    }
    assert_int_equal(machine->event_count, 0);

    flat_start_real(machine, 0);
    vm_resume(machine->vm);
    flat_wait_events(machine, 1);
    assert_int_equal(machine->events[0], VM_EVENT_TRIPLE_FAULT);
    flat_destroy(machine);
}

static void test_failure_is_reported(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_KVM("instructions that can't be fetched", lost);

    vm_resume(machine->vm);
    flat_wait_events(machine, 1);
    assert_int_equal(machine->events[0], VM_EVENT_FAILED);
    assert_non_null(strstr(machine->event_what, "emulate"));
    assert_non_null(strstr(machine->event_report, "CS =e000"));
    assert_non_null(strstr(machine->event_report, "RIP=0000000000000123"));
    assert_non_null(strstr(machine->event_report, "Code="));
    /* Resuming alone doesn't set it going again. */
    vm_pause(machine->vm);
    vm_resume(machine->vm);
    vm_pause(machine->vm);
    assert_int_equal(atomic_load(&machine->cpus[0]->state), VCPU_PARKED);
    assert_int_equal(machine->event_count, 1);
    flat_destroy(machine);
}

static void nothing(struct vcpu *vcpu, void *opaque)
{
}

/* --- interrupts ------------------------------------------------------------------------------------------------- */

/* Raised with interrupts off, so that it has to wait for the window; then again into HLT. */
static void test_interrupt_and_halt(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, interrupts);

    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    for (int i = 0; i < 100; i++) {
        atomic_store(&machine->pending_vector, 0x21);
        vcpu_interrupt(machine->cpus[0]);
        assert_int_equal(flat_wait_done(machine), 0x21);
    }
    flat_destroy(machine);
}

static void test_interrupt_window(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, interrupts);

    /* Pending from the start: the guest writes 1 with interrupts off, and only then can take it. */
    atomic_store(&machine->pending_vector, 0x21);
    vm_resume(machine->vm);
    flat_wait_done(machine);
    flat_wait_done(machine);
    assert_int_equal(atomic_load(&machine->done_value), 0x21);
    flat_destroy(machine);
}

/*
 * Split: the local APIC is KVM's, the interrupt comes from outside, through its LINT0 (ExtINT). Each time into a guest
 * that runs, which the counter shows, or (the other guest) that halts inside KVM.
 */
static void test_extint_into_a_running_guest(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_SPLIT, 1, busy);

    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    for (int i = 0; i < 100; i++) {
        uint32_t before = flat_ram32(machine, FLAT_COUNTERS);

        while (flat_ram32(machine, FLAT_COUNTERS) == before) {
            sched_yield();
        }
        atomic_store(&machine->pending_vector, 0x21);
        vcpu_interrupt(machine->cpus[0]);
        assert_int_equal(flat_wait_done(machine), 0x21);
        assert_int_equal(atomic_load(&machine->pending_vector), -1);
    }
    flat_destroy(machine);
}

static void test_extint_into_a_halted_guest(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_SPLIT, 1, interrupts);

    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    for (int i = 0; i < 100; i++) {
        atomic_store(&machine->pending_vector, 0x21);
        vcpu_interrupt(machine->cpus[0]);
        assert_int_equal(flat_wait_done(machine), 0x21);
    }
    flat_destroy(machine);
}

static void test_nmi(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, interrupts);

    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    for (int i = 0; i < 20; i++) {
        vcpu_nmi(machine->cpus[0]);
        assert_int_equal(flat_wait_done(machine), 2);
    }
    flat_destroy(machine);
}

static uint32_t guest_word(struct flat_machine *machine, uint32_t address)
{
    uint32_t value;

    memcpy(&value, machine->block->host + address, sizeof(value));
    return value;
}

/* A CPU is started by another, once, and interrupted by it. */
static void test_apic_ipi(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_APIC(2, apic_ipi);
    struct cpu_state cpu;

    assert_int_equal(vcpu_get_state(machine->cpus[1], &cpu, NULL), 0);
    assert_int_equal(cpu.activity, CPU_WAIT_FOR_SIPI);
    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    vm_pause(machine->vm);
    assert_int_equal(guest_word(machine, 0x6000), 1);
    assert_int_equal(guest_word(machine, 0x6004), 100);
    assert_int_equal(vcpu_get_state(machine->cpus[1], &cpu, NULL), 0);
    assert_int_equal(cpu.segment[CPU_CS].base, FLAT_CODE);
    assert_int_equal(cpu.apic_base, FLAT_APIC | 0x800); /* INIT has left it */
    assert_int_equal(cpu.gpr[CPU_RDX], machine->cpus[1]->signature);
    flat_destroy(machine);
}

/* NMIs and interrupts don't start a CPU that waits. */
static void test_apic_waiting_cpu(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_APIC(2, apic_ipi);
    struct cpu_state cpu;

    vcpu_nmi(machine->cpus[1]);
    vcpu_interrupt(machine->cpus[1]);
    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    vcpu_init_signal(machine->cpus[1]);
    vcpu_run_on(machine->cpus[1], nothing, NULL); /* served by now */
    vcpu_nmi(machine->cpus[1]);
    assert_int_equal(vcpu_get_state(machine->cpus[1], &cpu, NULL), 0);
    assert_int_equal(cpu.activity, CPU_WAIT_FOR_SIPI);
    assert_int_equal(cpu.rip, 0xfff0);
    assert_int_equal(guest_word(machine, 0x6000), 1);
    flat_destroy(machine);
}

/* What was sent to a CPU before a reset doesn't reach it afterwards; a start-up message alone starts it. */
static void test_apic_reset(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_APIC(2, spin);
    struct cpu_state cpu;

    vcpu_sipi(machine->cpus[1], 0x10);
    vcpu_nmi(machine->cpus[1]);
    assert_int_equal(vcpu_reset(machine->cpus[1], NULL), 0);
    vm_resume(machine->vm);
    vcpu_run_on(machine->cpus[1], nothing, NULL);
    assert_int_equal(vcpu_get_state(machine->cpus[1], &cpu, NULL), 0);
    assert_int_equal(cpu.activity, CPU_WAIT_FOR_SIPI);
    assert_int_equal(cpu.rip, 0xfff0);
    vcpu_sipi(machine->cpus[1], FLAT_CODE >> 12);
    assert_int_equal(vcpu_get_state(machine->cpus[1], &cpu, NULL), 0);
    assert_int_equal(cpu.activity, CPU_RUNNABLE);
    assert_int_equal(cpu.segment[CPU_CS].selector, FLAT_CODE >> 4);
    flat_destroy(machine);
}

static void test_apic_tpr(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_APIC(1, apic_tpr);

    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 0x61);
    vm_pause(machine->vm);
    assert_int_equal(guest_word(machine, 0x6000), 0);
    assert_int_equal(guest_word(machine, 0x6004), 1);
    flat_destroy(machine);
}

/* An interrupt is taken at the one instruction at which it may be: a KVM that is emulated badly takes it later. */
static void test_apic_sti(void **state)
{
    struct flat_machine *machine;

    if (!flat_accel_is_full_speed()) {
        skip();
    }
    machine = FLAT_CREATE_APIC(1, apic_sti);

    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    vm_pause(machine->vm);
    assert_int_equal(guest_word(machine, 0x6000), 2);
    assert_int_equal(guest_word(machine, 0x6004), 1);
    assert_int_equal(guest_word(machine, 0x6008), 2);
    flat_destroy(machine);
}

static void test_apic_cr8(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_APIC(1, apic_cr8);
    struct cpu_state cpu;

    flat_start_long(machine, 0);
    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    vm_pause(machine->vm);
    assert_int_equal(guest_word(machine, 0x6000), 0x70);
    assert_int_equal(guest_word(machine, 0x6004), 3);
    assert_int_equal(guest_word(machine, 0x6008), 0x34);
    assert_int_equal(vcpu_get_state(machine->cpus[0], &cpu, NULL), 0);
    assert_int_equal(cpu.cr8, 3);
    cpu.cr8 = 9;
    assert_int_equal(vcpu_set_state(machine->cpus[0], &cpu, NULL), 0);
    assert_int_equal(lapic_get_tpr(machine->lapics, 0), 0x90);
    flat_destroy(machine);
}

/* Sleeps between the ticks: the loop's thread wakes it. */
static void test_apic_timer(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_APIC(1, apic_timer);
    uint64_t begin_ns = clock_now_ns(&machine->clock);

    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 0x61);
    assert_true(clock_now_ns(&machine->clock) - begin_ns >= 20 * NS_PER_MS);
    flat_destroy(machine);
}

static void test_irq_line_and_irqfd(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_KERNEL, 1, pic);
    struct irq_line line = vm_irq_line(machine->vm, 1);
    uint64_t one = 1;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    for (int i = 0; i < 20; i++) {
        irq_pulse(&line);
        assert_int_equal(flat_wait_done(machine), 0x21);
    }
    assert_int_equal(vm_irqfd_attach(machine->vm, 1, fd, -1), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
        assert_int_equal(flat_wait_done(machine), 0x21);
    }
    vm_irqfd_detach(machine->vm, 1, fd);
    close(fd);
    flat_destroy(machine);
}

/* A level: one interrupt a signal, and the end of each comes back; without a new signal there is no other. */
static void test_resampled_irqfd(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_KERNEL, 1, pic_level);
    uint64_t one = 1;
    uint64_t ended;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int resample_fd = eventfd(0, EFD_CLOEXEC);

    assert_int_equal(vm_irqfd_attach(machine->vm, 3, fd, resample_fd), 0);
    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
        flat_wait_done(machine);
        flat_wait_done(machine);
        assert_int_equal(atomic_load(&machine->done_value), 0x24);
        assert_int_equal(read(resample_fd, &ended, sizeof(ended)), sizeof(ended));
        assert_int_equal(ended, 1);
    }
    assert_int_equal(sem_trywait(&machine->done), -1);
    vm_irqfd_detach(machine->vm, 3, fd);
    close(resample_fd);
    close(fd);
    flat_destroy(machine);
}

static void test_msi_routes(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_KERNEL, 1, spin);
    struct msi_target *msi = vm_msi_target(machine->vm);
    struct msi_message message = {.address = 0xfee00000, .data = 0x41};
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int first = msi->ops->route_add(msi, message);
    int second = msi->ops->route_add(msi, message);

    assert_true(first >= 24);
    assert_true(second >= 24 && second != first);
    assert_int_equal(msi->ops->irqfd_attach(msi, first, fd), 0);
    message.data = 0x42;
    assert_int_equal(msi->ops->route_update(msi, first, message), 0);
    msi->ops->irqfd_detach(msi, first, fd);
    msi->ops->route_remove(msi, first);
    assert_int_equal(msi->ops->route_add(msi, message), first);
    assert_true(msi->ops->send(msi, message) <= 0);
    msi->ops->route_remove(msi, first);
    msi->ops->route_remove(msi, second);
    close(fd);
    flat_destroy(machine);
}

static uint64_t eventfd_count(int fd)
{
    uint64_t count = 0;

    return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void test_ioeventfd(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_KVM("ioeventfds", ioeventfd);
    int mmio_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int pio_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    region_add_ioeventfd(&machine->map, &machine->event_mmio, 0x10, 2, false, 0, mmio_fd);
    region_add_ioeventfd(&machine->map, &machine->event_port, 0, 2, true, 7, pio_fd);
    vm_resume(machine->vm);
    flat_wait_done(machine);
    assert_int_equal(eventfd_count(mmio_fd), 100);
    assert_int_equal(eventfd_count(pio_fd), 100);
    /* Only the value that doesn't match came out, and the done port. */
    assert_int_equal(machine->data->log_count, 1);
    check_write(&machine->data->log[0], 2, 0, 8);
    assert_true(atomic_load(&machine->cpus[0]->exits) < 10);
    vm_pause(machine->vm);
    region_remove_ioeventfd(&machine->map, &machine->event_mmio, 0x10, 2, false, 0, mmio_fd);
    region_remove_ioeventfd(&machine->map, &machine->event_port, 0, 2, true, 7, pio_fd);
    close(mmio_fd);
    close(pio_fd);
    flat_destroy(machine);
}

/* --- coalesced writes ------------------------------------------------------------------------------------------- */

static void check_buffered(const struct flat_device *device, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        check_write(&device->log[i], 4, 0x10, i);
    }
}

static void flat_lock_and_flush(struct flat_device *device)
{
    device_lock(&device->device);
    device_flush_writes(&device->device);
    device_unlock(&device->device);
}

static void test_coalesced_order(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_KVM("coalesced writes", coalesced);

    assert_non_null(atomic_load(&machine->buffered->device.write_buffer));
    vm_resume(machine->vm);
    flat_wait_done(machine);
    flat_wait_done(machine);
    flat_wait_done(machine);
    assert_int_equal(atomic_load(&machine->done_value), 3);
    /* All of a device's writes come before its read. The read of the other one didn't bring the last three out. */
    check_buffered(machine->buffered, 40);
    check_read(&machine->buffered->log[40], 4, 0);
    assert_int_equal(machine->buffered->log_count, 41);
    check_buffered(machine->other, 40);
    check_read(&machine->other->log[40], 4, 0);
    assert_int_equal(machine->other->log_count, 41);
    /* 80 writes and a handful of others left the guest fewer times than they were. */
    assert_true(atomic_load(&machine->cpus[0]->exits) < 20);

    vm_flush_coalesced(machine->vm);
    assert_int_equal(machine->buffered->log_count, 44);
    check_write(&machine->buffered->log[43], 4, 0x10, 102);
    flat_destroy(machine);
}

/* How many accesses the device has seen, while a vCPU may be adding more. */
static unsigned flat_log_count(struct flat_device *device)
{
    unsigned count;

    device_lock(&device->device);
    count = device->log_count;
    device_unlock(&device->device);
    return count;
}

/* As a debug console is used: many writes of a port and no reads; whoever else is accessed leaves them where they are.
 */
static void test_coalesced_ports(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_KVM("coalesced writes", coalesced_ports);
    struct flat_device *buffered = machine->buffered;

    assert_true(machine->is_coalescing);
    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    assert_int_equal(flat_log_count(machine->data), 2);
    assert_int_equal(flat_log_count(machine->other), 1);
    assert_int_equal(flat_log_count(buffered), 0);
    /* In and out of the data port, the other device's read, done: no write left the guest. */
    assert_true(atomic_load(&machine->cpus[0]->exits) <= 4);

    __atomic_store_n((uint32_t *)(machine->block->host + 0x6000), 1, __ATOMIC_RELEASE);
    assert_int_equal(flat_wait_done(machine), 2);
    assert_int_equal(buffered->log_count, 101);
    for (unsigned i = 0; i < 100; i++) {
        check_write(&buffered->log[i], 4, 0, i);
    }
    check_read(&buffered->log[100], 4, 0);
    flat_destroy(machine);
}

/* The machine is told when the last range goes, whose timer then ends, and when there is one again. */
static void test_coalescing_is_told(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_KVM("coalesced writes", coalesced);
    struct region *regions[] = {&machine->buffered->region, &machine->buffered->port_region, &machine->other->region};

    for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
        assert_true(machine->is_coalescing);
        region_set_enabled(&machine->map, regions[i], false);
    }
    assert_false(machine->is_coalescing);
    region_set_enabled(&machine->map, regions[1], true);
    assert_true(machine->is_coalescing);
    flat_destroy(machine);
}

static void test_coalesced_ring_full(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_KVM("coalesced writes", overflow);

    vm_resume(machine->vm);
    flat_wait_done(machine);
    check_buffered(machine->buffered, 300);
    assert_int_equal(machine->buffered->log_count, 301);
    flat_destroy(machine);
}

/* When its range goes, so do the writes that are still in the ring, and nothing else. */
static void test_coalesced_range_goes(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_KVM("coalesced writes", coalesced);

    vm_resume(machine->vm);
    flat_wait_done(machine);
    flat_wait_done(machine);
    flat_wait_done(machine);
    vm_pause(machine->vm);
    region_set_enabled(&machine->map, &machine->buffered->region, false);
    region_set_enabled(&machine->map, &machine->buffered->port_region, false);
    assert_null(atomic_load(&machine->buffered->device.write_buffer));
    flat_lock_and_flush(machine->buffered);
    assert_int_equal(machine->buffered->log_count, 41);
    assert_non_null(atomic_load(&machine->other->device.write_buffer));
    flat_destroy(machine);
}

/* --- at rest ----------------------------------------------------------------------------------------------------- */

/* A halted guest's vCPU sleeps in the kernel: a second of it costs less than 2 % of one. */
static void test_halted_costs_nothing(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 2, interrupts);
    const struct timespec second = {.tv_sec = 1};
    struct timespec before, after;
    uint64_t cost_ns;

    vm_resume(machine->vm);
    flat_wait_done(machine);
    flat_wait_done(machine);
    nanosleep(&second, NULL); /* until both have halted, surely */
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    nanosleep(&second, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    cost_ns =
        (uint64_t)(after.tv_sec - before.tv_sec) * NS_PER_SEC + (uint64_t)after.tv_nsec - (uint64_t)before.tv_nsec;
    print_message("# a second of two halted vCPUs: %lu us\n", (unsigned long)(cost_ns / 1000));
    assert_true(cost_ns < NS_PER_SEC / 50);
    flat_destroy(machine);
}

/* --- state ------------------------------------------------------------------------------------------------------ */

static void test_state_round_trip(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, spin);
    struct cpu_state before, after;

    assert_int_equal(vcpu_get_state(machine->cpus[0], &before, NULL), 0);
    assert_int_equal(before.rip, FLAT_CODE);
    assert_int_equal(before.segment[CPU_CS].limit, 0xffff);
    before.gpr[CPU_R12] = 0x123456789abcdef0;
    before.msr.lstar = 0xffffffff81000000;
    before.msr.kernel_gs_base = 0xffff888000000000;
    before.dr[1] = 0x1234;
    before.cr2 = 0x5678;
    assert_int_equal(vcpu_set_state(machine->cpus[0], &before, NULL), 0);
    assert_int_equal(vcpu_get_state(machine->cpus[0], &after, NULL), 0);
    before.msr.tsc = after.msr.tsc;
    before.msr.tsc_adjust = after.msr.tsc_adjust;
    assert_memory_equal(before.gpr, after.gpr, sizeof(before.gpr));
    assert_memory_equal(&before.msr, &after.msr, sizeof(before.msr));
    assert_int_equal(after.dr[1], 0x1234);
    assert_int_equal(after.cr2, 0x5678);
    assert_int_equal(after.efer, before.efer);
    assert_int_equal(after.activity, CPU_RUNNABLE);
    flat_destroy(machine);
}

/* The state that a pause shows is complete: the access before it is done. */
static void test_state_is_complete(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, dispatch);

    for (int i = 0; i < 200; i++) {
        struct cpu_state cpu;

        vm_resume(machine->vm);
        sched_yield();
        vm_pause(machine->vm);
        assert_int_equal(vcpu_get_state(machine->cpus[0], &cpu, NULL), 0);
        assert_int_equal(vcpu_set_state(machine->cpus[0], &cpu, NULL), 0);
    }
    /* Setting the state would have lost or repeated an access that was under way: reads and writes alternate 2 to 1. */
    for (unsigned i = 0; i < machine->data->log_count; i++) {
        assert_int_equal(machine->data->log[i].is_write, i % 3 == 2);
    }
    for (unsigned i = 2, n = 1; i < machine->data->log_count; i += 3, n++) {
        assert_int_equal(machine->data->log[i].value, n);
    }
    flat_destroy(machine);
}

/* --- kicks and pauses ------------------------------------------------------------------------------------------- */

#define KICKERS      3
#define KICK_ROUNDS  300
#define PAUSE_ROUNDS 150

struct kicker {
    pthread_t thread;
    struct flat_machine *machine;
    unsigned ran; /* under nobody's lock: the vCPU's thread writes it, the kicker reads it after the job */
};

static void kick_job(struct vcpu *vcpu, void *opaque)
{
    struct kicker *kicker = opaque;

    kicker->ran++;
}

/* A lost kick would leave the job undone while the guest spins for ever. */
static void *kick_thread(void *opaque)
{
    struct kicker *kicker = opaque;

    for (unsigned i = 0; i < KICK_ROUNDS; i++) {
        vcpu_run_on(kicker->machine->cpus[0], kick_job, kicker);
        vcpu_kick(kicker->machine->cpus[0]);
    }
    return NULL;
}

static void test_kick_storm(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, spin);
    struct kicker kickers[KICKERS] = {0};

    vm_resume(machine->vm);
    for (int i = 0; i < KICKERS; i++) {
        kickers[i].machine = machine;
        assert_int_equal(pthread_create(&kickers[i].thread, NULL, kick_thread, &kickers[i]), 0);
    }
    for (int i = 0; i < KICKERS; i++) {
        pthread_join(kickers[i].thread, NULL);
        assert_int_equal(kickers[i].ran, KICK_ROUNDS);
    }
    /* The guest got somewhere meanwhile, or does now. */
    while (flat_ram32(machine, FLAT_COUNTERS) == 0) {
        sched_yield();
    }
    flat_destroy(machine);
}

static void *pause_thread(void *opaque)
{
    struct flat_machine *machine = opaque;

    for (unsigned i = 0; i < PAUSE_ROUNDS; i++) {
        vm_pause(machine->vm);
        vm_resume(machine->vm);
    }
    return NULL;
}

static void check_stands_still(struct flat_machine *machine)
{
    uint32_t counters[FLAT_CPUS_MAX];

    for (unsigned i = 0; i < machine->cpu_count; i++) {
        assert_int_not_equal(atomic_load(&machine->cpus[i]->state), VCPU_RUNNING);
        counters[i] = flat_ram32(machine, FLAT_COUNTERS + 4 * i);
    }
    sched_yield();
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        assert_int_equal(flat_ram32(machine, FLAT_COUNTERS + 4 * i), counters[i]);
    }
}

/* All vCPUs contend for one device whose handlers take their time, while two threads pause and resume. */
static void pause_storm(unsigned cpus)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, cpus, dispatch);
    pthread_t other;

    machine->data->spin = 200;
    vm_resume(machine->vm);
    assert_int_equal(pthread_create(&other, NULL, pause_thread, machine), 0);
    for (unsigned i = 0; i < PAUSE_ROUNDS; i++) {
        vm_pause(machine->vm);
        check_stands_still(machine);
        vm_resume(machine->vm);
    }
    pthread_join(other, NULL);
    for (unsigned i = 0; i < cpus; i++) {
        while (flat_ram32(machine, FLAT_COUNTERS + 4 * i) == 0) {
            sched_yield();
        }
    }
    flat_destroy(machine);
}

static void test_pause_storm_2(void **state)
{
    pause_storm(2);
}

static void test_pause_storm_4(void **state)
{
    pause_storm(4);
}

/* Memory comes and goes under running vCPUs: slots are exchanged without stopping them. */
static void test_slots_change_while_running(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 2, dispatch);
    struct ram_block *block = ram_block_create("extra", 0x10000, 0, NULL);
    struct region extra;

    assert_non_null(block);
    region_init_ram(&extra, "extra", block, 0, 0x10000, false);
    vm_resume(machine->vm);
    for (int i = 0; i < 100; i++) {
        region_add(&machine->map, &machine->memory_root, 0x100000, &extra, 0);
        region_remove(&machine->map, &extra);
    }
    vm_pause(machine->vm);
    assert_int_equal(machine->event_count, 0);
    region_destroy(&extra);
    ram_block_put(block);
    flat_destroy(machine);
}

static void test_probe_is_consistent(void **state)
{
    const char *name = flat_accel_is_soft() ? "soft" : "kvm";
    struct accel_probe probe;

    accel_find(name)->probe(&probe);
    assert_true(probe.usable);
    assert_non_null(strstr(probe.summary, name));
    print_message("# %s\n", probe.summary);
}

/* test_flat [PATTERN]: only the tests whose names match. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe_is_consistent),
        cmocka_unit_test(test_pio),
        cmocka_unit_test(test_string_pio),
        cmocka_unit_test(test_mmio),
        cmocka_unit_test(test_mmio_of_8_bytes),
        cmocka_unit_test(test_lockless),
        cmocka_unit_test(test_interrupt_and_halt),
        cmocka_unit_test(test_interrupt_window),
        cmocka_unit_test(test_extint_into_a_running_guest),
        cmocka_unit_test(test_extint_into_a_halted_guest),
        cmocka_unit_test(test_nmi),
        cmocka_unit_test(test_apic_ipi),
        cmocka_unit_test(test_apic_waiting_cpu),
        cmocka_unit_test(test_apic_reset),
        cmocka_unit_test(test_apic_tpr),
        cmocka_unit_test(test_apic_sti),
        cmocka_unit_test(test_apic_cr8),
        cmocka_unit_test(test_apic_timer),
        cmocka_unit_test(test_irq_line_and_irqfd),
        cmocka_unit_test(test_resampled_irqfd),
        cmocka_unit_test(test_msi_routes),
        cmocka_unit_test(test_ioeventfd),
        cmocka_unit_test(test_coalesced_order),
        cmocka_unit_test(test_coalesced_ports),
        cmocka_unit_test(test_coalescing_is_told),
        cmocka_unit_test(test_coalesced_ring_full),
        cmocka_unit_test(test_coalesced_range_goes),
        cmocka_unit_test(test_halted_costs_nothing),
        cmocka_unit_test(test_state_round_trip),
        cmocka_unit_test(test_state_is_complete),
        cmocka_unit_test(test_kick_storm),
        cmocka_unit_test(test_pause_storm_2),
        cmocka_unit_test(test_pause_storm_4),
        cmocka_unit_test(test_slots_change_while_running),
        cmocka_unit_test(test_triple_fault),
        cmocka_unit_test(test_triple_fault_and_a_reset_meanwhile),
        cmocka_unit_test(test_failure_is_reported),
    };
    int failed;

    if (!flat_accel_init()) {
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed ? 1 : 0;
}
