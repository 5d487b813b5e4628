# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The uncompressed kernel out of a vmlinuz: without KVM, a guest that need not decompress its own
kernel boots in half the time. QEMU enters it at its PVH entry point (so there is no KASLR)."""

import lzma
import os
import re
import shutil
import struct
import subprocess
import tempfile
import zlib

# The note that holds the entry point: name size 4, type 18 (XEN_ELFNOTE_PHYS32_ENTRY), "Xen".
PVH_NOTE = re.compile(rb'\x04\0\0\0[\x04\x08]\0\0\0\x12\0\0\0Xen\0')


def unpacked(vmlinuz: str, target: str) -> str | None:
    """Writes `target` unless it is there and newer; None if this vmlinuz cannot be unpacked."""
    try:
        if os.path.getmtime(target) > os.path.getmtime(vmlinuz):
            return target
    except FileNotFoundError:
        pass
    with open(vmlinuz, 'rb') as file:
        kernel = _decompress(_payload(file.read()))
    if not kernel or kernel[:4] != b'\x7fELF' or not PVH_NOTE.search(kernel):
        return None
    os.makedirs(os.path.dirname(target), exist_ok=True)
    # Renamed when complete: another test may be looking for it at this moment.
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(target), delete=False) as file:
        file.write(kernel)
    os.rename(file.name, target)
    return target


def _payload(image: bytes) -> bytes:
    """See Documentation/x86/boot.rst: setup_sects, payload_offset and payload_length."""
    if image[0x202:0x206] != b'HdrS':
        return b''
    offset, length = struct.unpack_from('<II', image, 0x248)
    start = ((image[0x1f1] or 4) + 1) * 512 + offset
    return image[start:start + length]


def _decompress(payload: bytes) -> bytes | None:
    try:
        if payload[:6] == b'\xfd7zXZ\0':
            return lzma.LZMADecompressor().decompress(payload)
        if payload[:2] == b'\x1f\x8b':
            return zlib.decompressobj(31).decompress(payload)
        if payload[:4] == b'\x28\xb5\x2f\xfd' and shutil.which('zstd'):
            # Four bytes after the payload hold its unpacked size, which zstd takes for garbage.
            return subprocess.run(['zstd', '-dcq'], input=payload[:-4], capture_output=True).stdout
    except (lzma.LZMAError, zlib.error):
        pass
    return None
