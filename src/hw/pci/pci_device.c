/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PCI function: its config space, its interrupt pin, and its coming and going. BARs are in pci_bar.c, MSI-X in
 * msix.c.
 *
 * The guest's config accesses arrive as accesses to the function's own region, with the device lock held. The guest
 * can set only the bits in wmask and clear only those in w1c; what it writes to BARs and the command register is acted
 * upon from the shadow, after it was masked.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "hw/pci/pci_internal.h"

uint16_t pci_config_get16(const struct pci_device *pci, unsigned offset)
{
    return (uint16_t)(pci->config[offset] | pci->config[offset + 1] << 8);
}

uint32_t pci_config_get32(const struct pci_device *pci, unsigned offset)
{
    return pci_config_get16(pci, offset) | (uint32_t)pci_config_get16(pci, offset + 2) << 16;
}

static void pci_bytes_set(uint8_t *bytes, uint32_t value, unsigned len_bytes)
{
    for (unsigned i = 0; i < len_bytes; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

void pci_config_set16(struct pci_device *pci, unsigned offset, uint16_t value)
{
    pci_bytes_set(&pci->config[offset], value, 2);
}

void pci_config_set32(struct pci_device *pci, unsigned offset, uint32_t value)
{
    pci_bytes_set(&pci->config[offset], value, 4);
}

bool pci_device_is_master(const struct pci_device *pci)
{
    return pci_config_get16(pci, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

/* --- interrupt pin ---------------------------------------------------------------------------------------------- */

/*
 * The pin is a level that a register access ends, wired to other devices' pins: it is set by call, which is one system
 * call and no lock in KVM's case. A resampled irqfd would keep it up until the guest's end of interrupt, however early
 * its driver read the status register; that suits those who learn of nothing but the end (a device in another process).
 */
static void pci_intx_update(struct pci_device *pci)
{
    uint16_t command = pci_config_get16(pci, PCI_COMMAND);
    uint16_t status = pci_config_get16(pci, PCI_STATUS) & ~PCI_STATUS_INTERRUPT;
    bool wire =
        pci->exposed && pci->intx && pci->intx_level && !(command & PCI_COMMAND_INTX_DISABLE) && !msix_is_enabled(pci);

    pci_config_set16(pci, PCI_STATUS, status | (pci->intx_level ? PCI_STATUS_INTERRUPT : 0));
    if (wire != pci->intx_wire) {
        pci->intx_wire = wire;
        pci_pirq_set(pci->intx, wire);
    }
}

void pci_intx_set(struct pci_device *pci, bool level)
{
    device_assert_locked(&pci->device);
    pci->intx_level = level;
    pci_intx_update(pci);
}

/* --- config space ----------------------------------------------------------------------------------------------- */

static bool pci_ranges_meet(unsigned a, unsigned a_len, unsigned b, unsigned b_len)
{
    return a < b + b_len && b < a + a_len;
}

void pci_config_changed(struct pci_device *pci, unsigned offset, unsigned len_bytes)
{
    bool command = pci_ranges_meet(offset, len_bytes, PCI_COMMAND, 2);

    if (command || pci_ranges_meet(offset, len_bytes, PCI_BAR0, 4 * PCI_BAR_COUNT)) {
        pci_bars_update(pci);
    }
    if (pci->secondary) {
        pci_bridge_update(pci_bridge_of(pci));
        pci_bridge_control_changed(pci_bridge_of(pci));
    }
    msix_config_changed(pci);
    pci_intx_update(pci);
    if (pci->config_write) {
        pci->config_write(pci, offset, len_bytes);
    }
}

/* The shadow, but for the one bit that depends on who else is there. */
static uint8_t pci_config_byte(const struct pci_device *pci, unsigned offset)
{
    uint8_t byte = pci->config[offset];

    if (offset == PCI_HEADER_TYPE && (pci->multifunction || pci_bus_slot_is_shared(pci->bus, pci_slot(pci->devfn)))) {
        byte |= PCI_HEADER_MULTIFUNCTION;
    }
    return byte;
}

static enum access_result pci_config_region_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct pci_device *pci = opaque;

    *value = 0;
    if (offset < PCI_CONFIG_SIZE) {
        if (pci->config_read) {
            pci->config_read(pci, (unsigned)offset, size_bytes);
        }
        for (unsigned i = 0; i < size_bytes; i++) {
            *value |= (uint64_t)pci_config_byte(pci, (unsigned)offset + i) << (8 * i);
        }
    }
    trace(PCI_CONFIG, "%s: config read %#x/%u: %#x", pci->device.id, (unsigned)offset, size_bytes, (unsigned)*value);
    return ACCESS_OK;
}

static enum access_result pci_config_region_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct pci_device *pci = opaque;

    trace(PCI_CONFIG, "%s: config write %#x/%u: %#x", pci->device.id, (unsigned)offset, size_bytes, (unsigned)value);
    if (offset >= PCI_CONFIG_SIZE) {
        return ACCESS_OK;
    }
    for (unsigned i = 0; i < size_bytes; i++) {
        uint8_t written = (uint8_t)(value >> (8 * i));
        uint8_t *byte = &pci->config[offset + i];
        uint8_t mask = pci->wmask[offset + i];

        *byte = (uint8_t)((*byte & ~mask) | (written & mask));
        *byte &= (uint8_t) ~(written & pci->w1c[offset + i]);
    }
    pci_config_changed(pci, (unsigned)offset, size_bytes);
    if (pci->wants_wait) {
        pci->wants_wait = false;
        return ACCESS_WAIT;
    }
    return ACCESS_OK;
}

static void pci_config_region_wait(void *opaque)
{
    struct pci_device *pci = opaque;

    if (pci->secondary) {
        pci_bridge_wait(pci_bridge_of(pci));
    }
    if (pci->config_wait) {
        pci->config_wait(pci);
    }
}

/* Aligned accesses of at most 4 bytes: none crosses the end of what has contents. */
static const struct region_ops pci_config_ops = {
    .read = pci_config_region_read,
    .write = pci_config_region_write,
    .wait = pci_config_region_wait,
    .valid = {.min = 1, .max = 8, .unaligned = true},
    .impl = {.min = 1, .max = 4},
};

int pci_capability_add(struct pci_device *pci, uint8_t id, unsigned len_bytes)
{
    unsigned offset = pci->next_capability;

    if (len_bytes < 2 || len_bytes > PCI_CONFIG_SIZE - offset) {
        return -ENOSPC;
    }
    pci->next_capability = ALIGN_UP(offset + len_bytes, 4);
    pci->config[offset] = id;
    pci->config[offset + 1] = pci->config[PCI_CAPABILITIES];
    pci->config[PCI_CAPABILITIES] = (uint8_t)offset;
    pci_config_set16(pci, PCI_STATUS, pci_config_get16(pci, PCI_STATUS) | PCI_STATUS_CAPABILITIES);
    return (int)offset;
}

/* One lane at the lowest speed, whose partner says the same: nobody wonders why it isn't faster. */
int pcie_capability_add(struct pci_device *pci, enum pcie_type type)
{
    int capability = pci_capability_add(pci, PCI_CAPABILITY_EXPRESS, PCIE_CAPABILITY_SIZE);
    unsigned at = (unsigned)capability;

    if (capability < 0) {
        return capability;
    }
    pci_config_set16(pci, at + PCIE_CAPABILITIES, (uint16_t)(PCIE_CAPABILITIES_VERSION | type << 4));
    pci_config_set32(pci, at + PCIE_DEVICE_CAPABILITIES, PCIE_DEVICE_ROLE_BASED_ERRORS);
    pci_config_set16(pci, at + PCIE_DEVICE_CONTROL, PCIE_DEVICE_CONTROL_DEFAULT);
    pci_bytes_set(&pci->wmask[at + PCIE_DEVICE_CONTROL], PCIE_DEVICE_CONTROL_WRITABLE, 2);
    pci_bytes_set(&pci->w1c[at + PCIE_DEVICE_STATUS], PCIE_DEVICE_STATUS_ERRORS, 2);
    pci_config_set32(pci, at + PCIE_LINK_CAPABILITIES, PCIE_LINK_SPEED_2_5 | PCIE_LINK_WIDTH_1);
    pci_bytes_set(&pci->wmask[at + PCIE_LINK_CONTROL],
                  PCIE_LINK_CONTROL_ASPM | PCIE_LINK_CONTROL_COMMON_CLOCK | PCIE_LINK_CONTROL_EXTENDED_SYNC, 2);
    pci_config_set16(pci, at + PCIE_LINK_STATUS, PCIE_LINK_SPEED_2_5 | PCIE_LINK_WIDTH_1);
    pci_config_set32(pci, at + PCIE_LINK_CAPABILITIES2, PCIE_LINK2_SPEEDS_2_5);
    pci_config_set16(pci, at + PCIE_LINK_CONTROL2, PCIE_LINK_SPEED_2_5);
    return capability;
}

/* --- coming and going -------------------------------------------------------------------------------------------- */

static void pci_device_detach(struct pci_device *pci)
{
    if (pci->bus && pci->bus->bridge) {
        device_put(&pci->bus->bridge->pci.device);
    }
    pci->bus = NULL;
}

void pci_device_attach(struct pci_device *pci, struct pci_bus *bus)
{
    pci_device_detach(pci);
    pci->bus = bus;
    if (bus->bridge) {
        device_get(&bus->bridge->pci.device);
    }
}

/* A bridge passes its functions' pins on as its own, moved by their slots (PCI-to-PCI Bridge 1.2, 9.1). */
unsigned pci_device_pirq(const struct pci_device *pci, unsigned pin)
{
    while (pci->bus->bridge) {
        pin = (pci_slot(pci->devfn) + pin) % PCI_PIRQ_COUNT;
        pci = &pci->bus->bridge->pci;
    }
    return pci_pirq(pci_slot(pci->devfn), pin);
}

static void pci_header_fill(struct pci_device *pci, const struct pci_identity *identity)
{
    pci_config_set16(pci, PCI_VENDOR, identity->vendor);
    pci_config_set16(pci, PCI_DEVICE, identity->device);
    if (identity->is_bridge) {
        pci_bridge_header_fill(pci);
    } else {
        pci_config_set16(pci, PCI_SUBSYSTEM_VENDOR, identity->subsystem_vendor);
        pci_config_set16(pci, PCI_SUBSYSTEM, identity->subsystem);
    }
    pci->config[PCI_REVISION] = identity->revision;
    pci_bytes_set(&pci->config[PCI_CLASS], identity->class_code, 3);
    pci_bytes_set(
        &pci->wmask[PCI_COMMAND],
        PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE, 2);
    pci->wmask[PCI_CACHE_LINE] = 0xff;
    pci->wmask[PCI_INTERRUPT_LINE] = 0xff;
    pci->config[PCI_INTERRUPT_PIN] = identity->interrupt_pin ? 1 : 0;
}

int pci_device_init(struct pci_device *pci, const struct pci_identity *identity, struct error **err)
{
    int ret;

    if (!pci->bus) {
        return error_set(err, -EINVAL, "device '%s': no PCI bus to put it on", pci->device.id);
    }
    ret = pci_bus_take_slot(pci->bus, pci, err);
    if (ret < 0) {
        return ret;
    }
    if (identity->interrupt_pin) {
        pci->intx = &pci->bus->root->pirq[pci_device_pirq(pci, 0)];
    }
    pci_header_fill(pci, identity);
    pci->next_capability = PCI_HEADER_END;
    region_init_io(&pci->config_region, "pci-function-config", &pci->device, &pci_config_ops, pci, 4096, 0, NULL);
    /* The first capability, for which there is always room. */
    if (pci->bus->is_express && !identity->is_bridge) {
        (void)pcie_capability_add(pci, PCIE_ENDPOINT);
    }
    return 0;
}

void pci_device_expose(struct pci_device *pci)
{
    device_lock(&pci->device);
    memcpy(pci->reset_config, pci->config, sizeof(pci->config));
    pci->exposed = true;
    region_add(pci->bus->map, pci->bus->config, (uint64_t)pci->devfn << 12, &pci->config_region, 0);
    device_unlock(&pci->device);
}

/* Whoever comes next under the lock sees `exposed`: no BAR is mapped, and no interrupt sent, after this. */
void pci_device_hide(struct pci_device *pci)
{
    if (!pci->bus) {
        return;
    }
    device_lock(&pci->device);
    if (pci->exposed) {
        pci->exposed = false;
        memory_transaction_begin(pci->bus->map);
        region_remove(pci->bus->map, &pci->config_region);
        pci_bars_unmap(pci);
        if (pci->secondary) {
            pci_bridge_close(pci_bridge_of(pci));
        }
        memory_transaction_commit(pci->bus->map);
        msix_config_changed(pci);
        pci_intx_update(pci);
    }
    device_unlock(&pci->device);
    pci_bus_leave_slot(pci->bus, pci);
}

void pci_device_release(struct pci_device *pci)
{
    pci_device_hide(pci);
    msix_destroy(pci);
    pci_device_detach(pci);
}

void pci_device_reset(struct pci_device *pci)
{
    device_assert_locked(&pci->device);
    if (!pci->exposed) {
        return;
    }
    memcpy(pci->config, pci->reset_config, sizeof(pci->config));
    pci_bars_update(pci);
    if (pci->secondary) {
        pci_bridge_update(pci_bridge_of(pci));
        pci_bridge_control_changed(pci_bridge_of(pci));
    }
    msix_reset(pci);
    pci_intx_set(pci, false);
}
