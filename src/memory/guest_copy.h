/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copying to and from guest RAM, which guests (and other devices' DMA) change meanwhile; for who has a mapping of it
 * (dma.h) and reads or writes what both sides interpret. Any thread, no lock. Every guest byte is accessed by relaxed
 * atomics: an aligned 1, 2, 4 or 8 bytes as one access, so that a guest's word is never seen torn; longer copies in
 * aligned words and single bytes at the ends.
 */
#ifndef HDL_MEMORY_GUEST_COPY_H
#define HDL_MEMORY_GUEST_COPY_H

#include <stdint.h>

void guest_copy_from(void *buffer, uint8_t *guest, uint64_t len_bytes);
void guest_copy_to(uint8_t *guest, const void *buffer, uint64_t len_bytes);

#endif
