#!/usr/bin/env python3
"""Sends NetFlow v9 datagrams of 30 flows at a rate, and says at the end how many flows were sent.

    ci/v9-load.py PORT FLOWS_PER_S SECONDS [FLOWS] [SOURCE_ADDRESS]

It ends after SECONDS, after FLOWS (0: no matter how many), or when it is told to (SIGTERM)."""
import signal
import socket
import struct
import sys
import time

port, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
most = int(sys.argv[4]) if len(sys.argv) > 4 else 0
source = sys.argv[5] if len(sys.argv) > 5 else "127.0.0.1"

FIELDS = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (2, 4), (1, 4), (22, 4), (21, 4)]
UPTIME = 1_000_000
template = struct.pack("!HH", 256, len(FIELDS)) + b"".join(struct.pack("!HH", *f) for f in FIELDS)
template = struct.pack("!HH", 0, 4 + len(template)) + template


def records(count, first):
    body = b"".join(
        struct.pack("!IIHHBIIII", 0x0A000000 + first + n, 0x0A000001, 1024 + n, 80, 6, 3, 120, UPTIME - 1500, UPTIME - 1000)
        for n in range(count)
    )
    body += b"\0" * (-len(body) % 4)
    return struct.pack("!HH", 256, 4 + len(body)) + body


# Several bodies, so that compression has something to do.
bodies = [records(30, 1000 * n) for n in range(64)]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
sock.bind((source, 0))
sock.connect(("127.0.0.1", port))
running = True


def stop(*_):
    global running
    running = False


signal.signal(signal.SIGTERM, stop)
sent = sequence = refused = 0
print("begins", file=sys.stderr, flush=True)
begin = time.monotonic()
while running:
    elapsed = time.monotonic() - begin
    if elapsed >= seconds or (most and sent >= most):
        break
    due = int(elapsed * rate / 30) + 1 - sequence
    if due <= 0:
        time.sleep(0.0005)
        continue
    for _ in range(min(due, 50)):
        count = min(30, most - sent) if most else 30
        if count <= 0:
            break
        body = bodies[sequence % 64] if count == 30 else records(count, 0)
        sets, parts = (template + body, count + 1) if sequence % 20 == 0 else (body, count)
        header = struct.pack("!HHIIII", 9, parts, UPTIME, int(time.time()), sequence, 7)
        try:
            sock.send(header + sets)
            sent += count
        except OSError:  # Nobody listens any more.
            refused += count
        sequence += 1
print(f"{sent} flows sent in {time.monotonic() - begin:.1f} s, {refused} refused")
