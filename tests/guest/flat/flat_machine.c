/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See flat_machine.h. Handlers never assert: they run on vCPU threads, from where cmocka can't be reached. */
#include "flat_machine.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/rcu.h"
#include "leave.h"
#include "vcpu/accel.h"

#define TIMEOUT_SECONDS 60

FLAT_GUEST(smp_start);

static const struct device_type flat_type = {.name = "flat-device", .size_bytes = sizeof(struct flat_device)};

/* --- the accelerator -------------------------------------------------------------------------------------------- */

static const char *flat_accel(void)
{
    const char *name = getenv("HEDDLE_TEST_ACCEL");

    return name && *name ? name : "kvm";
}

bool flat_accel_is_soft(void)
{
    return strcmp(flat_accel(), "soft") == 0;
}

bool flat_accel_has_irqchip(void)
{
    return strcmp(flat_accel(), "kvm") == 0;
}

const char *flat_accel_init(void)
{
    const char *name = flat_accel();

    if (flat_accel_is_soft()) {
        return name;
    }
    if (!flat_accel_has_irqchip() && strcmp(name, "kvm,kernel-irqchip=off") != 0) {
        fprintf(stderr, "HEDDLE_TEST_ACCEL=%s: there are kvm; kvm,kernel-irqchip=off; and soft\n", name);
        return NULL;
    }
    if (access("/dev/kvm", R_OK | W_OK) != 0) {
        fprintf(stderr, "SKIP: can't open /dev/kvm: %s\n", strerror(errno));
        return NULL;
    }
    return name;
}

bool flat_accel_is_full_speed(void)
{
    struct accel_probe probe = {0};

    accel_find(flat_accel_is_soft() ? "soft" : "kvm")->probe(&probe);
    if (!probe.full_speed) {
        fprintf(stderr, "SKIP: %s\n", probe.summary);
    }
    return probe.full_speed;
}

static void flat_skip(const char *feature)
{
    print_message("# skip: %s has no %s\n", flat_accel(), feature);
    skip();
}

/* --- handlers --------------------------------------------------------------------------------------------------- */

static void flat_log(struct flat_device *device, struct flat_access access)
{
    if (device->log_count < FLAT_LOG_MAX) {
        device->log[device->log_count++] = access;
    }
    for (unsigned i = 0; i < device->spin; i++) {
        hdl_cpu_relax();
    }
}

static enum access_result flat_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct flat_device *device = opaque;

    *value = 0x0102030405060700 + ++device->reads;
    flat_log(device, (struct flat_access){.size_bytes = size_bytes, .offset = offset});
    return ACCESS_OK;
}

static enum access_result flat_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    flat_log(opaque,
             (struct flat_access){.is_write = true, .size_bytes = size_bytes, .offset = offset, .value = value});
    return ACCESS_OK;
}

static const struct region_ops flat_ops = {
    .read = flat_read, .write = flat_write, .valid = {1, 8, true}, .impl = {1, 8, true}};

static enum access_result flat_lockless_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct flat_machine *machine = opaque;

    *value = atomic_fetch_add(&machine->lockless_reads, 1) + 1;
    return ACCESS_OK;
}

static const struct region_ops flat_lockless_ops = {.read = flat_lockless_read};

static enum access_result flat_done_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct flat_machine *machine = opaque;

    atomic_store(&machine->done_value, (unsigned)value);
    sem_post(&machine->done);
    return ACCESS_OK;
}

static const struct region_ops flat_done_ops = {.write = flat_done_write};

static bool flat_irq_pending(void *opaque, unsigned vcpu_index)
{
    struct flat_machine *machine = opaque;

    if (machine->lapics) {
        return lapic_is_pending(machine->lapics, vcpu_index);
    }
    return atomic_load(&machine->pending_vector) >= 0;
}

static int flat_irq_acknowledge(void *opaque, unsigned vcpu_index)
{
    struct flat_machine *machine = opaque;

    if (machine->lapics) {
        return lapic_acknowledge(machine->lapics, vcpu_index);
    }
    return atomic_exchange(&machine->pending_vector, -1);
}

/* --- local APICs ------------------------------------------------------------------------------------------------ */

static bool flat_msr_read(void *opaque, unsigned vcpu_index, uint32_t msr, uint64_t *value)
{
    return lapic_msr_read(((struct flat_machine *)opaque)->lapics, vcpu_index, msr, value);
}

static bool flat_msr_write(void *opaque, unsigned vcpu_index, uint32_t msr, uint64_t value)
{
    return lapic_msr_write(((struct flat_machine *)opaque)->lapics, vcpu_index, msr, value);
}

static uint8_t flat_get_tpr(void *opaque, unsigned vcpu_index)
{
    return lapic_get_tpr(((struct flat_machine *)opaque)->lapics, vcpu_index);
}

static void flat_set_tpr(void *opaque, unsigned vcpu_index, uint8_t tpr)
{
    lapic_set_tpr(((struct flat_machine *)opaque)->lapics, vcpu_index, tpr);
}

static void flat_init(void *opaque, unsigned vcpu_index)
{
    lapic_init_signal(((struct flat_machine *)opaque)->lapics, vcpu_index);
}

static uint32_t flat_cpu_apic_id(void *opaque, unsigned index)
{
    return index;
}

static void flat_cpu_interrupt(void *opaque, unsigned index)
{
    vcpu_interrupt(((struct flat_machine *)opaque)->cpus[index]);
}

static void flat_cpu_nmi(void *opaque, unsigned index)
{
    vcpu_nmi(((struct flat_machine *)opaque)->cpus[index]);
}

static void flat_cpu_init(void *opaque, unsigned index)
{
    vcpu_init_signal(((struct flat_machine *)opaque)->cpus[index]);
}

static void flat_cpu_sipi(void *opaque, unsigned index, uint8_t vector)
{
    vcpu_sipi(((struct flat_machine *)opaque)->cpus[index], vector);
}

static int flat_cpu_current(void *opaque)
{
    return vcpu_current() ? (int)vcpu_current()->index : -1;
}

static const struct lapic_cpu_ops flat_cpu_ops = {
    .apic_id = flat_cpu_apic_id,
    .interrupt = flat_cpu_interrupt,
    .nmi = flat_cpu_nmi,
    .init = flat_cpu_init,
    .sipi = flat_cpu_sipi,
    .current = flat_cpu_current,
};

static void flat_build_lapics(struct flat_machine *machine)
{
    machine->apic_loop = event_loop_create("apic", NULL);
    assert_non_null(machine->apic_loop);
    clock_init_host(&machine->clock);
    machine->isa = (struct isa_bus){.map = &machine->map, .mem_root = &machine->memory_root, .clock = &machine->clock};
    machine->lapics = (struct lapic_bus *)device_create(&lapic_bus_device_type, NULL, machine->apic_loop, NULL, NULL);
    assert_non_null(machine->lapics);
    machine->lapics->isa.isa = &machine->isa;
    machine->lapics->cpus = &flat_cpu_ops;
    machine->lapics->cpus_opaque = machine;
    machine->lapics->count = machine->cpu_count;
    assert_int_equal(device_realize(&machine->lapics->isa.device, NULL), 0);
    assert_int_equal(event_loop_start_thread(machine->apic_loop, NULL), 0);
}

static void flat_destroy_lapics(struct flat_machine *machine)
{
    struct device *device = &machine->lapics->isa.device;

    event_loop_stop_thread(machine->apic_loop);
    devices_unplug(machine->apic_loop, &device, 1);
    devices_put(machine->apic_loop, &device, 1);
    event_loop_destroy(machine->apic_loop);
    clock_destroy(&machine->clock);
}

static void flat_event(void *opaque, const struct vm_event *event)
{
    struct flat_machine *machine = opaque;

    if (machine->event_count < FLAT_EVENTS_MAX) {
        machine->events[machine->event_count++] = event->kind;
    }
    snprintf(machine->event_what, sizeof(machine->event_what), "%s", event->what);
    snprintf(machine->event_report, sizeof(machine->event_report), "%s", event->report ? event->report : "");
}

/* --- building --------------------------------------------------------------------------------------------------- */

static struct flat_device *flat_device_new(struct flat_machine *machine, const char *id)
{
    struct device *device = device_create(&flat_type, id, machine->loop, &machine->memory, NULL);

    assert_non_null(device);
    assert_int_equal(device_realize(device, NULL), 0);
    return container_of(device, struct flat_device, device);
}

static void flat_add(struct flat_machine *machine, struct region *root, uint64_t address, struct region *region)
{
    region_add(&machine->map, root, address, region, 0);
}

static void flat_add_buffered(struct flat_machine *machine, struct flat_device *device, uint64_t address)
{
    region_init_io(&device->region, "buffered", &device->device, &flat_ops, device, 0x800, REGION_COALESCED, NULL);
    region_init_io(&device->second_region, "plain", &device->device, &flat_ops, device, 0x800, 0, NULL);
    flat_add(machine, &machine->memory_root, address, &device->region);
    flat_add(machine, &machine->memory_root, address + 0x800, &device->second_region);
}

static void flat_coalescing(void *opaque, bool on)
{
    struct flat_machine *machine = opaque;

    machine->is_coalescing = on;
}

static void flat_build_devices(struct flat_machine *machine)
{
    machine->data = flat_device_new(machine, "data");
    machine->buffered = flat_device_new(machine, "buffered");
    machine->other = flat_device_new(machine, "other");
    machine->port = flat_device_new(machine, "port");
    region_init_io(&machine->data_port, "data port", &machine->data->device, &flat_ops, machine->data, 4, 0, NULL);
    region_init_io(&machine->mmio, "mmio", &machine->data->device, &flat_ops, machine->data, 0x1000, 0, NULL);
    region_init_io(&machine->event_port, "event port", &machine->data->device, &flat_ops, machine->data, 4, 0, NULL);
    region_init_io(&machine->event_mmio, "event mmio", &machine->data->device, &flat_ops, machine->data, 0x1000, 0,
                   NULL);
    region_init_io(&machine->done_port, "done port", &machine->port->device, &flat_done_ops, machine, 1, 0, NULL);
    region_init_io(&machine->lockless, "lockless", NULL, &flat_lockless_ops, machine, 0x1000, REGION_LOCKLESS, NULL);
    flat_add(machine, &machine->io_root, FLAT_PORT_DATA, &machine->data_port);
    flat_add(machine, &machine->io_root, FLAT_PORT_EVENT, &machine->event_port);
    flat_add(machine, &machine->io_root, FLAT_PORT_DONE, &machine->done_port);
    flat_add(machine, &machine->memory_root, FLAT_MMIO, &machine->mmio);
    flat_add(machine, &machine->memory_root, FLAT_LOCKLESS, &machine->lockless);
    flat_add(machine, &machine->memory_root, FLAT_EVENT, &machine->event_mmio);
    region_init_io(&machine->buffered->port_region, "buffered port", &machine->buffered->device, &flat_ops,
                   machine->buffered, 4, REGION_COALESCED, NULL);
    flat_add(machine, &machine->io_root, FLAT_PORT_QUEUE, &machine->buffered->port_region);
    flat_add_buffered(machine, machine->buffered, FLAT_BUFFERED);
    flat_add_buffered(machine, machine->other, FLAT_OTHER);
}

static void flat_build_memory(struct flat_machine *machine)
{
    memory_map_init(&machine->map);
    region_init_container(&machine->memory_root, "memory", 0);
    region_init_container(&machine->io_root, "io", 0x10000);
    address_space_init(&machine->memory, &machine->map, &machine->memory_root, "memory");
    address_space_init(&machine->io, &machine->map, &machine->io_root, "io");
    machine->block = ram_block_create("ram", FLAT_RAM_BYTES, 0, NULL);
    assert_non_null(machine->block);
    region_init_ram(&machine->ram, "ram", machine->block, 0, FLAT_RAM_BYTES, false);
    flat_add(machine, &machine->memory_root, 0, &machine->ram);
}

static void flat_build_vm(struct flat_machine *machine, enum vm_irqchip irqchip)
{
    const char *const names[] = {flat_accel_is_soft() ? "soft" : "kvm"};
    struct vm_config config = {.memory = &machine->memory,
                               .io = &machine->io,
                               .topology = {machine->cpu_count, 1, 1},
                               .irqchip = irqchip,
                               .loop = machine->loop,
                               .event = flat_event,
                               .event_opaque = machine,
                               .coalescing = flat_coalescing,
                               .coalescing_opaque = machine};
    struct error *err = NULL;

    assert_int_equal(cpu_model_init(&config.cpu, "host", NULL), 0);
    if (irqchip != VM_IRQCHIP_KERNEL) {
        config.interrupts = (struct vm_interrupt_source){
            .pending = flat_irq_pending, .acknowledge = flat_irq_acknowledge, .opaque = machine};
        if (machine->lapics) {
            config.interrupts.msr_read = flat_msr_read;
            config.interrupts.msr_write = flat_msr_write;
            config.interrupts.get_tpr = flat_get_tpr;
            config.interrupts.set_tpr = flat_set_tpr;
            config.interrupts.init = flat_init;
        }
    }
    machine->vm = vm_create(names, 1, &config, &err);
    if (!machine->vm) {
        fail_msg("%s", err->message);
    }
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        machine->cpus[i] = vcpu_create(machine->vm, i, &err);
        if (!machine->cpus[i]) {
            fail_msg("%s", err->message);
        }
    }
}

static struct flat_machine *flat_create_machine(enum vm_irqchip irqchip, unsigned cpus, bool lapics,
                                                const uint8_t *code, const uint8_t *code_end)
{
    struct flat_machine *machine = calloc(1, sizeof(*machine));

    assert_non_null(machine);
    machine->cpu_count = cpus;
    atomic_init(&machine->pending_vector, -1);
    sem_init(&machine->done, 0, 0);
    machine->loop = event_loop_create("flat", NULL);
    assert_non_null(machine->loop);
    flat_build_memory(machine);
    flat_build_devices(machine);
    memcpy(machine->block->host + FLAT_CODE, code, (size_t)(code_end - code));
    if (lapics) {
        flat_build_lapics(machine);
    }
    flat_build_vm(machine, irqchip);
    for (unsigned i = 0; i < cpus; i++) {
        flat_start_real(machine, i);
    }
    return machine;
}

struct flat_machine *flat_create(enum vm_irqchip irqchip, unsigned cpus, const uint8_t *code, const uint8_t *code_end)
{
    if (irqchip != VM_IRQCHIP_USER && !flat_accel_has_irqchip()) {
        flat_skip("interrupt controllers of its own");
    }
    return flat_create_machine(irqchip, cpus, false, code, code_end);
}

struct flat_machine *flat_create_kvm(const char *feature, const uint8_t *code, const uint8_t *code_end)
{
    if (flat_accel_is_soft()) {
        flat_skip(feature);
    }
    return flat_create_machine(VM_IRQCHIP_USER, 1, false, code, code_end);
}

struct flat_machine *flat_create_apic(unsigned cpus, const uint8_t *code, const uint8_t *code_end)
{
    return flat_create_machine(VM_IRQCHIP_USER, cpus, true, code, code_end);
}

struct flat_machine *flat_create_smp(unsigned cpus, const uint8_t *code, const uint8_t *code_end)
{
    struct flat_machine *machine = flat_create_machine(VM_IRQCHIP_USER, cpus, true, code, code_end);
    struct cpu_state state;

    memcpy(machine->block->host + FLAT_SMP_START, flat_smp_start, (size_t)(flat_smp_start_end - flat_smp_start));
    memcpy(machine->block->host + FLAT_SMP_CPUS, &cpus, sizeof(cpus));
    flat_start_long(machine, 0);
    assert_int_equal(vcpu_get_state(machine->cpus[0], &state, NULL), 0);
    state.rip = FLAT_SMP_START + 0x100;
    assert_int_equal(vcpu_set_state(machine->cpus[0], &state, NULL), 0);
    return machine;
}

/* --- taking apart ----------------------------------------------------------------------------------------------- */

void flat_destroy(struct flat_machine *machine)
{
    struct region *regions[] = {&machine->data_port,
                                &machine->mmio,
                                &machine->event_port,
                                &machine->event_mmio,
                                &machine->done_port,
                                &machine->lockless,
                                &machine->buffered->region,
                                &machine->buffered->second_region,
                                &machine->buffered->port_region,
                                &machine->other->region,
                                &machine->other->second_region,
                                &machine->ram};
    struct device *devices[] = {&machine->data->device, &machine->buffered->device, &machine->other->device,
                                &machine->port->device};

    if (!vm_is_paused(machine->vm)) {
        vm_pause(machine->vm);
    }
    if (machine->lapics) {
        flat_destroy_lapics(machine); /* first: their timers wake vCPUs */
    }
    vm_destroy(machine->vm);
    for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
        region_remove(&machine->map, regions[i]);
    }
    devices_unplug(machine->loop, devices, ARRAY_SIZE(devices));
    for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
        region_destroy(regions[i]);
    }
    devices_put(machine->loop, devices, ARRAY_SIZE(devices));
    address_space_destroy(&machine->io);
    address_space_destroy(&machine->memory);
    region_destroy(&machine->io_root);
    region_destroy(&machine->memory_root);
    memory_map_destroy(&machine->map);
    ram_block_put(machine->block);
    hdl_rcu_barrier();
    event_loop_destroy(machine->loop);
    sem_destroy(&machine->done);
    free(machine);
}

/* --- running ---------------------------------------------------------------------------------------------------- */

static void flat_set_state(struct flat_machine *machine, unsigned cpu, struct cpu_state *state)
{
    struct error *err = NULL;

    state->rip = FLAT_CODE;
    state->gpr[CPU_RSP] = FLAT_STACK - 0x100 * cpu;
    state->gpr[CPU_RBX] = 4 * cpu;
    state->activity = machine->lapics && cpu > 0 ? CPU_WAIT_FOR_SIPI : CPU_RUNNABLE;
    if (machine->lapics) {
        state->apic_base = (state->apic_base & 0xfff) | FLAT_APIC;
    }
    if (vcpu_set_state(machine->cpus[cpu], state, &err) < 0) {
        fail_msg("%s", err->message);
    }
}

void flat_start_real(struct flat_machine *machine, unsigned cpu)
{
    struct cpu_state state;

    cpu_state_reset(&state, cpu == 0);
    state.segment[CPU_CS] = cpu_segment_real(0, true);
    state.idt.limit = 0x3ff;
    flat_set_state(machine, cpu, &state);
}

void flat_start_long(struct flat_machine *machine, unsigned cpu)
{
    uint64_t *pml4 = (uint64_t *)(machine->block->host + 0x10000);
    uint64_t *pdpt = (uint64_t *)(machine->block->host + 0x11000);
    uint64_t *pd = (uint64_t *)(machine->block->host + 0x12000);
    struct cpu_state state;

    *pml4 = 0x11003;
    *pdpt = 0x12003;
    *pd = 0x83;
    cpu_state_reset(&state, cpu == 0);
    for (int i = 0; i <= CPU_GS; i++) {
        state.segment[i] = cpu_segment_flat_data(16);
    }
    state.segment[CPU_CS] = cpu_segment_flat_code(8, CPU_FLAT_64);
    state.cr0 = 0x80000031;
    state.cr3 = 0x10000;
    state.cr4 = 0x20;
    state.efer = 0x500;
    flat_set_state(machine, cpu, &state);
}

/* Where the vCPUs are, for whoever has to find out why a guest doesn't come to its end. */
static void flat_print_states(struct flat_machine *machine)
{
    static char text[4096];
    struct cpu_state state;

    vm_pause(machine->vm);
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        vcpu_get_state(machine->cpus[i], &state, NULL);
        cpu_state_format(&state, text, sizeof(text));
        print_message("vCPU %u, exits %lu, halted %d, nmi pending %d masked %d\n%s", i,
                      (unsigned long)atomic_load(&machine->cpus[i]->exits), machine->cpus[i]->halted,
                      state.events.nmi_pending, state.events.nmi_masked, text);
    }
}

unsigned flat_wait_done(struct flat_machine *machine)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += TIMEOUT_SECONDS;
    for (;;) {
        if (sem_timedwait(&machine->done, &deadline) == 0) {
            return atomic_load(&machine->done_value);
        }
        if (errno != EINTR) {
            flat_print_states(machine);
            fail_msg("the guest didn't come to its end (%u events, last: %s)", machine->event_count,
                     machine->event_what);
        }
    }
}

void flat_wait_events(struct flat_machine *machine, unsigned count)
{
    while (machine->event_count < count) {
        event_loop_poll(machine->loop, true);
    }
}

uint32_t flat_ram32(struct flat_machine *machine, uint32_t address)
{
    /* The guest may be writing it. */
    return __atomic_load_n((uint32_t *)(machine->block->host + address), __ATOMIC_RELAXED);
}
