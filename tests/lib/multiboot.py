# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels of a few instructions, for guests that need no assembler."""
import struct

LOAD_ADDRESS = 0x100000


def multiboot(code):
    """A Multiboot 1 image without ELF: header with addresses (Multiboot Specification 0.6.96, 3.1), then the code."""
    flags = 1 << 16
    header = struct.pack("<8I", 0x1badb002, flags, (-0x1badb002 - flags) & 0xffffffff, LOAD_ADDRESS, LOAD_ADDRESS, 0, 0,
                         LOAD_ADDRESS + 32)
    return header + code
