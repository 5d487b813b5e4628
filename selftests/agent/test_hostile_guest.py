#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring cp from a guest that lies: nothing is written anywhere but where it was asked to."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

from guest import KRING, Tap
from wire import ACCEPT, CLOSE, OPEN, Wire, message, parse

FILE, DIRECTORY, SYMLINK = 1, 2, 3


def info(name, kind, *more) -> bytes:
    return message((1, name), (2, kind), (3, 0o644), *more)


class Liar:
    """A guest that answers stat and list with what it was given, get with a few bytes."""

    def __init__(self, lists: dict, extents=((0, 4),), size=4):
        self.dir = tempfile.mkdtemp(prefix='kring-liar-')
        self.path = os.path.join(self.dir, 'guest')
        self.lists, self.extents, self.size = lists, extents, size
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        sock, _ = self.listener.accept()
        wire = Wire(sock, host=False)
        try:
            while True:
                kind, stream, _, payload = wire.step()
                if kind == OPEN:
                    fields = parse(payload)
                    self._answer(wire, stream, fields[1].decode(), parse(fields[2]))
        except (EOFError, OSError):
            sock.close()

    def _answer(self, wire, stream, service, request) -> None:
        name = request[1].decode()
        if service == 'stat':
            kind = DIRECTORY if name in self.lists else FILE
            wire.frame(ACCEPT, stream)
            result = message((1, info(name, kind, (6, self.size))))
        elif service == 'list':
            wire.frame(ACCEPT, stream)
            for entry in self.lists.get(name, ()):
                wire.control(stream, entry)
            result = b''
        else:
            wire.frame(ACCEPT, stream, message((1, info(name, FILE, (6, self.size)))))
            for offset, length in self.extents:
                wire.control(stream, message((1, offset), (2, length)))
            wire.data(stream, b'evil')
            wire.eof(stream)
            result = message((1, message((1, 4), (2, info(name, FILE, (6, self.size))))))
        wire.frame(CLOSE, stream, result)

    def copy(self, *args) -> subprocess.CompletedProcess:
        return subprocess.run([KRING, 'cp', '--socket', self.path, *args], timeout=30,
                              capture_output=True, check=False)

    def close(self) -> None:
        self.listener.close()
        shutil.rmtree(self.dir)


def check_names(tap, folder) -> None:
    target = os.path.join(folder, 'names')
    bad = (b'..', b'.', b'', b'../evil', b'/evil', b'a/b', b'a\0b', b'x' * 300)
    liar = Liar({'/src': [info(name, FILE, (6, 4)) for name in bad] +
                 [info(b'good', FILE, (6, 4)), info(b'..', DIRECTORY),
                  info(b'.', SYMLINK, (9, '/'))]})
    result = liar.copy('-r', ':/src', target)
    tap.equal(result.returncode, 1, 'names that lead elsewhere are a failure')
    tap.ok(result.stderr.count(b'whose name is none') == len(bad) + 2, 'each is said',
           result.stderr)
    tap.equal(os.listdir(target), ['good'], 'and the one good file is copied')
    tap.equal(sorted(os.listdir(folder)), ['names'], 'nothing is beside it')
    liar.close()


def check_symlinks(tap, folder) -> None:
    target, outside = os.path.join(folder, 'links'), os.path.join(folder, 'outside')
    os.mkdir(outside)
    with open(os.path.join(outside, 'x'), 'wb') as file:
        file.write(b'good')
    liar = Liar({'/src': [info(b'd', SYMLINK, (9, outside)), info(b'd', DIRECTORY),
                          info(b'f', SYMLINK, (9, outside + '/x')), info(b'f', FILE, (6, 4)),
                          info(b'g', SYMLINK, (9, outside + '/new')), info(b'g', FILE, (6, 4)),
                          info(b'none', SYMLINK)],
                 '/src/d': [info(b'x', FILE, (6, 4)), info(b'y', FILE, (6, 4))]})
    result = liar.copy('-r', ':/src', target)
    tap.equal(result.returncode, 1, 'a directory under the name of a symlink is refused')
    with open(os.path.join(outside, 'x'), 'rb') as file:
        tap.equal((os.listdir(outside), file.read()), (['x'], b'good'),
                  'nothing is written through symlinks')
    tap.ok(not os.path.islink(os.path.join(target, 'f')), 'a file replaces the symlink itself')
    liar.close()


def check_extents(tap, folder) -> None:
    for name, extents in (('more than the file has', ((0, 5),)), ('backwards', ((2, 2), (0, 2))),
                          ('far away', ((1 << 62, 4),)), ('none', ()),
                          ('too short', ((0, 3),)), ('endless', ((1, (1 << 64) - 1),))):
        target = os.path.join(folder, 'extents')
        liar = Liar({}, extents)
        liar.listener.settimeout(20)
        process = subprocess.Popen([KRING, 'cp', '--socket', liar.path, ':/x', target],
                                   stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            _, text = process.communicate(timeout=3)
            status = process.returncode
        except subprocess.TimeoutExpired:
            # Bytes that were never announced wait for ever, as any that do not come.
            process.kill()
            process.communicate()
            status, text = 1, b'waits'
        tap.ok(status == 1 and not os.path.exists(target), f'extents {name}: no file is made',
               text)
        tap.diag(text.decode(errors='replace').strip())
        liar.close()
    tap.equal([x for x in os.listdir(folder) if x.startswith('.kring')], [],
              'no temporary file is left')


def check_terminal(tap, folder) -> None:
    liar = Liar({'/src': [info(b'\x1b]0;evil\x07', 4)]})
    result = liar.copy('-r', ':/src', os.path.join(folder, 'terminal'))
    tap.ok(result.returncode == 1 and b'\x1b' not in result.stderr,
           'a name is no command for the terminal', result.stderr)
    liar.close()


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kring-hostile-') as folder:
        for check in (check_names, check_symlinks, check_extents, check_terminal):
            check(tap, folder)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
