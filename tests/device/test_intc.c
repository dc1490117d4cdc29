/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The board's interrupt controllers and interval timer, driven at their ports and wires. */
#include "rig.h"

#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/timer/i8254.h"

#define BASE  UINT64_C(0xfec00000)
#define LEVEL (1u << 15)
#define IRR   (1u << 14)
#define MASK  (1u << 16)

/* --- I/O APIC --------------------------------------------------------------------------------------------------- */

struct pins {
    unsigned calls;
    bool set[IOAPIC_PINS];
    struct msi_message message[IOAPIC_PINS];
};

/* The rig's target, that hears of level-triggered pins, too. */
struct target {
    struct msi_target target; /* first */
    unsigned sent;
    struct msi_message last;
    struct pins pins;
};

static int target_send(struct msi_target *target, struct msi_message message)
{
    struct target *to = (struct target *)target;

    to->sent++;
    to->last = message;
    return 0;
}

static int target_pin_set(struct msi_target *target, unsigned pin, const struct msi_message *message)
{
    struct pins *pins = &((struct target *)target)->pins;

    pins->calls++;
    pins->set[pin] = message;
    if (message) {
        pins->message[pin] = *message;
    }
    return 0;
}

static const struct msi_target_ops target_ops = {.send = target_send, .pin_set = target_pin_set};

static struct ioapic *ioapic_plug(struct rig *rig, struct target *target)
{
    struct ioapic *ioapic = rig_create(rig, &ioapic_device_type);

    *target = (struct target){.target.ops = &target_ops};
    rig->isa.msi = &target->target;
    ioapic->base = BASE;
    rig_realize(&ioapic->isa.device);
    return ioapic;
}

static uint32_t get(struct rig *rig, uint8_t index)
{
    rig_mmio_write(rig, BASE, 4, index);
    return (uint32_t)rig_mmio_read(rig, BASE + 0x10, 4);
}

static void put(struct rig *rig, uint8_t index, uint32_t value)
{
    rig_mmio_write(rig, BASE, 4, index);
    rig_mmio_write(rig, BASE + 0x10, 4, value);
}

static void put_entry(struct rig *rig, unsigned pin, uint32_t high, uint32_t low)
{
    put(rig, (uint8_t)(0x11 + 2 * pin), high);
    put(rig, (uint8_t)(0x10 + 2 * pin), low);
}

static uint32_t get_entry(struct rig *rig, unsigned pin)
{
    return get(rig, (uint8_t)(0x10 + 2 * pin));
}

static void set(struct irq_line line, bool level)
{
    irq_set(&line, level);
}

static void test_ioapic_registers(void **state)
{
    struct rig *rig = *state;
    struct target target;
    struct ioapic *ioapic = ioapic_plug(rig, &target);

    assert_int_equal(get(rig, 1), 0x170020);
    assert_int_equal(get_entry(rig, 0), MASK);
    put(rig, 0, 0x05000000);
    assert_int_equal(get(rig, 0), 0x05000000);
    put_entry(rig, 23, 0xffffffff, 0xffffffff);
    assert_int_equal(get_entry(rig, 23), 0x1afff); /* neither delivery status nor remote IRR nor what is reserved */
    assert_int_equal(get(rig, 0x3f), 0xff000000);
    put(rig, 0x40, 0);
    assert_int_equal(get(rig, 0x40), 0xffffffff);
    assert_int_equal(get(rig, 0xff), 0xffffffff);
    device_reset(&ioapic->isa.device);
    assert_int_equal(get_entry(rig, 23), MASK);
    assert_int_equal(get(rig, 0), 0);
    rig_remove(rig, &ioapic->isa.device);
}

static void test_ioapic_edge(void **state)
{
    struct rig *rig = *state;
    struct target target;
    struct ioapic *ioapic = ioapic_plug(rig, &target);
    struct irq_line line = ioapic_input(ioapic, 4);

    set(line, true); /* masked: lost */
    put_entry(rig, 4, 0x03000000, 0x31);
    assert_int_equal(target.sent, 0);
    set(line, true); /* no rise */
    assert_int_equal(target.sent, 0);
    set(line, false);
    set(line, true);
    assert_int_equal(target.sent, 1);
    assert_int_equal(target.last.address, 0xfee03000);
    assert_int_equal(target.last.data, 0x4031);
    assert_int_equal(get_entry(rig, 4), 0x31);
    irq_pulse(&line);
    assert_int_equal(target.sent, 1); /* it was high already */
    irq_pulse(&line);
    assert_int_equal(target.sent, 2);
    put_entry(rig, 4, 0x0f000000, 0x932); /* lowest priority, logical */
    irq_pulse(&line);
    assert_int_equal(target.last.address, 0xfee0f004);
    assert_int_equal(target.last.data, 0x4132);
    put_entry(rig, 4, 0, 0x700); /* ExtINT: not by this way */
    irq_pulse(&line);
    assert_int_equal(target.sent, 3);
    assert_int_equal(target.pins.calls, 0);
    rig_remove(rig, &ioapic->isa.device);
}

static void test_ioapic_level(void **state)
{
    struct rig *rig = *state;
    struct target target;
    struct ioapic *ioapic = ioapic_plug(rig, &target);
    struct irq_line line = ioapic_input(ioapic, 16);

    set(line, true);
    put_entry(rig, 16, 0x01000000, LEVEL | MASK | 0x41);
    assert_int_equal(target.sent, 0);
    assert_false(target.pins.set[16]);
    put_entry(rig, 16, 0x01000000, LEVEL | 0x41); /* was high while masked */
    assert_int_equal(target.sent, 1);
    assert_int_equal(target.last.data, 0xc041);
    assert_true(target.pins.set[16]);
    assert_int_equal(target.pins.message[16].data, 0xc041);
    assert_int_equal(target.pins.message[16].address, 0xfee01000);
    assert_int_equal(get_entry(rig, 16), LEVEL | IRR | 0x41);
    set(line, false);
    set(line, true); /* not served yet */
    assert_int_equal(target.sent, 1);
    ioapic_end_of_interrupt(ioapic, 0x42); /* another's */
    assert_int_equal(target.sent, 1);
    ioapic_end_of_interrupt(ioapic, 0x41); /* still high */
    assert_int_equal(target.sent, 2);
    set(line, false);
    ioapic_end_of_interrupt(ioapic, 0x41);
    assert_int_equal(target.sent, 2);
    assert_int_equal(get_entry(rig, 16), LEVEL | 0x41);
    set(line, true);
    assert_int_equal(target.sent, 3);
    rig_mmio_write(rig, BASE + 0x40, 4, 0x41); /* the EOI register */
    assert_int_equal(target.sent, 4);
    rig_remove(rig, &ioapic->isa.device);
}

static void test_ioapic_mask_in_service(void **state)
{
    struct rig *rig = *state;
    struct target target;
    struct ioapic *ioapic = ioapic_plug(rig, &target);
    struct irq_line line = ioapic_input(ioapic, 20);

    put_entry(rig, 20, 0, LEVEL | 0x50);
    set(line, true);
    put_entry(rig, 20, 0, LEVEL | MASK | 0x50);
    assert_int_equal(get_entry(rig, 20), LEVEL | MASK | IRR | 0x50);
    assert_true(target.pins.set[20]); /* its end must be heard */
    ioapic_end_of_interrupt(ioapic, 0x50);
    assert_int_equal(target.sent, 1);
    put_entry(rig, 20, 0, LEVEL | 0x50);
    assert_int_equal(target.sent, 2);
    put_entry(rig, 20, 0, MASK | 0x50); /* there as an edge and back: remote IRR is gone */
    put_entry(rig, 20, 0, LEVEL | MASK | 0x50);
    assert_int_equal(get_entry(rig, 20), LEVEL | MASK | 0x50);
    put_entry(rig, 20, 0, 0x50);
    assert_false(target.pins.set[20]);
    put_entry(rig, 20, 0, LEVEL | 0x51);
    assert_int_equal(target.sent, 3);
    device_reset(&ioapic->isa.device);
    assert_false(target.pins.set[20]);
    put_entry(rig, 20, 0, LEVEL | 0x52); /* a reset doesn't change wires */
    assert_int_equal(target.sent, 4);
    rig_remove(rig, &ioapic->isa.device);
}

/* --- 8259 ------------------------------------------------------------------------------------------------------- */

static void intr_set(void *opaque, unsigned pin, bool level)
{
    *(bool *)opaque = level;
}

static void pic_start(struct rig *rig, uint8_t icw4)
{
    rig_outb(rig, 0x20, 0x11);
    rig_outb(rig, 0x21, 0x30);
    rig_outb(rig, 0x21, 0x04);
    rig_outb(rig, 0x21, icw4);
    rig_outb(rig, 0xa0, 0x11);
    rig_outb(rig, 0xa1, 0x38);
    rig_outb(rig, 0xa1, 0x02);
    rig_outb(rig, 0xa1, icw4);
}

static struct i8259 *pic_plug(struct rig *rig, bool *intr, uint8_t icw4)
{
    struct i8259 *pic = rig_create(rig, &i8259_device_type);

    *intr = false;
    pic->output = (struct irq_line){.set = intr_set, .opaque = intr};
    rig_realize(&pic->isa.device);
    pic_start(rig, icw4);
    return pic;
}

static void test_pic_priorities(void **state)
{
    struct rig *rig = *state;
    bool intr;
    struct i8259 *pic = pic_plug(rig, &intr, 0x01);

    rig_outb(rig, 0x21, 0x10);
    assert_int_equal(rig_inb(rig, 0x21), 0x10);
    set(i8259_input(pic, 4), true);
    assert_false(intr); /* masked, but remembered */
    assert_int_equal(rig_inb(rig, 0x20), 0x10);
    rig_outb(rig, 0x21, 0x00);
    assert_true(intr);
    assert_true(i8259_is_pending(pic));
    assert_int_equal(i8259_acknowledge(pic), 0x34);
    assert_false(intr);
    assert_int_equal(i8259_acknowledge(pic), -1);
    rig_outb(rig, 0x20, 0x0b);
    assert_int_equal(rig_inb(rig, 0x20), 0x10); /* in service */
    set(i8259_input(pic, 5), true);
    assert_false(intr); /* less urgent */
    set(i8259_input(pic, 1), true);
    assert_true(intr); /* nests */
    assert_int_equal(i8259_acknowledge(pic), 0x31);
    rig_outb(rig, 0x20, 0x20);
    assert_int_equal(rig_inb(rig, 0x20), 0x10); /* the most urgent has ended */
    assert_false(intr);
    rig_outb(rig, 0x20, 0x64); /* specific */
    assert_true(intr);
    assert_int_equal(i8259_acknowledge(pic), 0x35);
    rig_outb(rig, 0x20, 0xa0); /* rotates: 5 is the least now */
    irq_pulse(&(struct irq_line){.set = i8259_input(pic, 0).set, .opaque = pic, .pin = 0});
    irq_pulse(&(struct irq_line){.set = i8259_input(pic, 0).set, .opaque = pic, .pin = 6});
    assert_int_equal(i8259_acknowledge(pic), 0x36);
    rig_outb(rig, 0x20, 0xc7); /* as at first */
    assert_int_equal(i8259_acknowledge(pic), 0x30);
    rig_remove(rig, &pic->isa.device);
}

static void test_pic_cascade(void **state)
{
    struct rig *rig = *state;
    bool intr;
    struct i8259 *pic = pic_plug(rig, &intr, 0x01);

    set(i8259_input(pic, 12), true);
    set(i8259_input(pic, 3), true);
    assert_int_equal(i8259_acknowledge(pic), 0x3c); /* the cascade is input 2, so before 3 */
    assert_false(intr);
    set(i8259_input(pic, 8), true);
    assert_false(intr); /* the first chip serves its input 2 */
    rig_outb(rig, 0xa0, 0x20);
    assert_false(intr);
    rig_outb(rig, 0x20, 0x20);
    assert_int_equal(i8259_acknowledge(pic), 0x38);
    rig_outb(rig, 0xa0, 0x20);
    rig_outb(rig, 0x20, 0x20);
    assert_int_equal(i8259_acknowledge(pic), 0x33);
    rig_outb(rig, 0x20, 0x20);
    set(i8259_input(pic, 2), true); /* no such wire */
    assert_false(intr);
    pic_start(rig, 0x11); /* special fully nested */
    set(i8259_input(pic, 12), false);
    set(i8259_input(pic, 8), false);
    set(i8259_input(pic, 12), true);
    assert_int_equal(i8259_acknowledge(pic), 0x3c);
    set(i8259_input(pic, 8), true);
    assert_true(intr);
    assert_int_equal(i8259_acknowledge(pic), 0x38);
    rig_remove(rig, &pic->isa.device);
}

static void test_pic_aeoi_poll_and_special_mask(void **state)
{
    struct rig *rig = *state;
    bool intr;
    struct i8259 *pic = pic_plug(rig, &intr, 0x03);

    set(i8259_input(pic, 5), true);
    set(i8259_input(pic, 6), true);
    assert_int_equal(i8259_acknowledge(pic), 0x35);
    assert_true(intr);         /* nothing is in service */
    rig_outb(rig, 0x20, 0x80); /* rotates by itself */
    assert_int_equal(i8259_acknowledge(pic), 0x36);
    set(i8259_input(pic, 6), false);
    set(i8259_input(pic, 6), true);
    set(i8259_input(pic, 7), true);
    assert_int_equal(i8259_acknowledge(pic), 0x37);
    rig_outb(rig, 0x20, 0x0c); /* poll */
    assert_int_equal(rig_inb(rig, 0x20), 0x86);
    assert_false(intr);
    rig_outb(rig, 0x20, 0x0c);
    assert_int_equal(rig_inb(rig, 0x20), 0);

    pic_start(rig, 0x01);
    irq_pulse(&(struct irq_line){.set = i8259_input(pic, 1).set, .opaque = pic, .pin = 1});
    assert_int_equal(i8259_acknowledge(pic), 0x31);
    set(i8259_input(pic, 4), true);
    rig_outb(rig, 0x21, 0x02);
    assert_false(intr);
    rig_outb(rig, 0x20, 0x68); /* what is masked holds nobody back */
    assert_true(intr);
    rig_remove(rig, &pic->isa.device);
}

static void test_pic_elcr(void **state)
{
    struct rig *rig = *state;
    bool intr;
    struct i8259 *pic = pic_plug(rig, &intr, 0x01);

    rig_outb(rig, 0x4d0, 0xff);
    rig_outb(rig, 0x4d1, 0xff);
    assert_int_equal(rig_inb(rig, 0x4d0), 0xf8);
    assert_int_equal(rig_inb(rig, 0x4d1), 0xde);
    set(i8259_input(pic, 9), true);
    set(i8259_input(pic, 9), false);
    assert_false(intr); /* a level that fell is no request */
    set(i8259_input(pic, 9), true);
    assert_int_equal(i8259_acknowledge(pic), 0x39);
    rig_outb(rig, 0xa0, 0x20);
    rig_outb(rig, 0x20, 0x20);
    assert_true(intr); /* still high */
    rig_outb(rig, 0x4d1, 0);
    assert_false(intr); /* no edge came */
    rig_outb(rig, 0x4d1, 0x02);
    assert_true(intr);
    device_reset(&pic->isa.device);
    assert_int_equal(rig_inb(rig, 0x4d1), 0);
    assert_false(intr);
    rig_remove(rig, &pic->isa.device);
}

/* --- 8254 ------------------------------------------------------------------------------------------------------- */

static struct i8254 *pit_plug(struct rig *rig)
{
    struct i8254 *pit = rig_create(rig, &i8254_device_type);

    rig_realize(&pit->isa.device);
    device_reset(&pit->isa.device);
    return pit;
}

static void pit_load(struct rig *rig, unsigned counter, uint8_t mode, uint16_t count)
{
    rig_outb(rig, 0x43, (uint8_t)(counter << 6 | 0x30 | mode << 1));
    rig_outb(rig, (uint16_t)(0x40 + counter), (uint8_t)count);
    rig_outb(rig, (uint16_t)(0x40 + counter), (uint8_t)(count >> 8));
}

static unsigned pit_latched(struct rig *rig, unsigned counter)
{
    unsigned low;

    rig_outb(rig, 0x43, (uint8_t)(counter << 6));
    low = rig_inb(rig, (uint16_t)(0x40 + counter));
    return low | (unsigned)rig_inb(rig, (uint16_t)(0x40 + counter)) << 8;
}

/* Just after so many ticks. */
static uint64_t ticks_ns(uint64_t ticks)
{
    return ticks * NS_PER_SEC / I8254_HZ + 1;
}

static void test_pit_one_shot(void **state)
{
    struct rig *rig = *state;
    struct i8254 *pit = pit_plug(rig);

    pit_load(rig, 0, 0, 11932); /* 10 ms */
    assert_false(rig->irqs[0].level);
    rig_advance_ns(rig, 9 * NS_PER_MS);
    assert_false(rig->irqs[0].level);
    rig_advance_ns(rig, 2 * NS_PER_MS);
    assert_true(rig->irqs[0].level);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_int_equal(rig->irqs[0].rises, 1);
    pit_load(rig, 0, 0, 100);
    assert_false(rig->irqs[0].level);
    rig_advance_ns(rig, NS_PER_MS);
    assert_int_equal(rig->irqs[0].rises, 2);
    rig_remove(rig, &pit->isa.device);
}

static void test_pit_periodic(void **state)
{
    struct rig *rig = *state;
    struct i8254 *pit = pit_plug(rig);

    for (uint8_t mode = 2; mode <= 3; mode++) {
        unsigned before;

        pit_load(rig, 0, mode, 11932);
        before = rig->irqs[0].rises;
        for (unsigned i = 0; i < 100; i++) {
            rig_advance_ns(rig, NS_PER_MS);
        }
        assert_in_range(rig->irqs[0].rises - before, 9, 10); /* 10.0002 ms each */
    }
    i8254_mask_irq(pit, true);
    assert_false(rig->irqs[0].level);
    rig->irqs[0].rises = 0;
    rig_advance_ns(rig, 20 * NS_PER_MS);
    assert_int_equal(rig->irqs[0].rises, 0);
    i8254_mask_irq(pit, false);
    pit_load(rig, 0, 2, 2); /* as fast as can be: the timer isn't driven mad */
    rig->irqs[0].rises = 0;
    for (unsigned i = 0; i < 1000; i++) {
        rig_advance_ns(rig, NS_PER_US);
    }
    assert_in_range(rig->irqs[0].rises, 5, 11);
    device_reset(&pit->isa.device);
    rig->irqs[0].rises = 0;
    rig_advance_ns(rig, NS_PER_SEC);
    assert_int_equal(rig->irqs[0].rises, 0);
    rig_remove(rig, &pit->isa.device);
}

static void test_pit_count(void **state)
{
    struct rig *rig = *state;
    struct i8254 *pit = pit_plug(rig);

    pit_load(rig, 0, 2, 1000);
    assert_int_equal(pit_latched(rig, 0), 1000);
    rig_advance_ns(rig, ticks_ns(400));
    rig_outb(rig, 0x43, 0x00); /* latched: stays while time goes by */
    rig_advance_ns(rig, ticks_ns(100));
    assert_int_equal(rig_inb(rig, 0x40), 600 & 0xff);
    assert_int_equal(rig_inb(rig, 0x40), 600 >> 8);
    assert_int_equal(pit_latched(rig, 0), 500);
    pit_load(rig, 0, 3, 1000); /* by twos */
    rig_advance_ns(rig, ticks_ns(100));
    assert_int_equal(pit_latched(rig, 0), 800);
    pit_load(rig, 0, 0, 10); /* goes on below zero */
    rig_advance_ns(rig, ticks_ns(12));
    assert_int_equal(pit_latched(rig, 0), 0xfffe);
    rig_outb(rig, 0x43, 0x15); /* counter 0, low byte, mode 2, BCD */
    rig_outb(rig, 0x40, 0x99);
    rig_advance_ns(rig, ticks_ns(10));
    assert_int_equal(rig_inb(rig, 0x40), 0x89);
    rig_remove(rig, &pit->isa.device);
}

static void test_pit_read_back(void **state)
{
    struct rig *rig = *state;
    struct i8254 *pit = pit_plug(rig);

    rig_outb(rig, 0x43, 0x30);
    rig_outb(rig, 0x43, 0xe2);                  /* status of counter 0 */
    assert_int_equal(rig_inb(rig, 0x40), 0x70); /* no count yet, OUT low */
    pit_load(rig, 0, 0, 1000);
    rig_advance_ns(rig, ticks_ns(100));
    rig_outb(rig, 0x43, 0xc2); /* both: status comes first */
    assert_int_equal(rig_inb(rig, 0x40), 0x30);
    assert_int_equal(rig_inb(rig, 0x40), 900 & 0xff);
    assert_int_equal(rig_inb(rig, 0x40), 900 >> 8);
    rig_advance_ns(rig, NS_PER_MS);
    rig_outb(rig, 0x43, 0xe2);
    assert_int_equal(rig_inb(rig, 0x40), 0xb0);
    rig_remove(rig, &pit->isa.device);
}

static void test_pit_gate_and_port61(void **state)
{
    struct rig *rig = *state;
    struct i8254 *pit = pit_plug(rig);
    uint8_t refresh;

    pit_load(rig, 2, 0, 1000);
    rig_advance_ns(rig, ticks_ns(5000));
    assert_int_equal(rig_inb(rig, 0x61) & 0x2f, 0); /* its gate is shut */
    assert_int_equal(pit_latched(rig, 2), 1000);
    rig_outb(rig, 0x61, 0x01);
    rig_advance_ns(rig, ticks_ns(400));
    rig_outb(rig, 0x61, 0x00);
    rig_advance_ns(rig, ticks_ns(5000));
    assert_int_equal(pit_latched(rig, 2), 600);
    rig_outb(rig, 0x61, 0x01);
    rig_advance_ns(rig, ticks_ns(700));
    assert_int_equal(rig_inb(rig, 0x61) & 0x2f, 0x21);
    refresh = rig_inb(rig, 0x61) & 0x10;
    rig_advance_ns(rig, 15085);
    assert_int_not_equal(rig_inb(rig, 0x61) & 0x10, refresh);

    rig_outb(rig, 0x61, 0x00);
    pit_load(rig, 2, 1, 1000); /* one-shot, by the gate */
    assert_int_equal(rig_inb(rig, 0x61) & 0x20, 0x20);
    rig_outb(rig, 0x61, 0x01);
    assert_int_equal(rig_inb(rig, 0x61) & 0x20, 0);
    rig_advance_ns(rig, ticks_ns(1001));
    assert_int_equal(rig_inb(rig, 0x61) & 0x20, 0x20);
    assert_int_equal(rig->irqs[0].rises, 0);
    rig_remove(rig, &pit->isa.device);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ioapic_registers),
        TEST(test_ioapic_edge),
        TEST(test_ioapic_level),
        TEST(test_ioapic_mask_in_service),
        TEST(test_pic_priorities),
        TEST(test_pic_cascade),
        TEST(test_pic_aeoi_poll_and_special_mask),
        TEST(test_pic_elcr),
        TEST(test_pit_one_shot),
        TEST(test_pit_periodic),
        TEST(test_pit_count),
        TEST(test_pit_read_back),
        TEST(test_pit_gate_and_port61),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
