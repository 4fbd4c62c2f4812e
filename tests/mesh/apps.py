#!/usr/bin/env python3
"""Small TCP programs that run inside pods.

  apps.py say PORT              answers each line with who asked: "10.77.1.2 said: ..."
  apps.py banner PORT           speaks first: a greeting, then the line it got back
  apps.py hash PORT             reads to the end of the request, answers its length and SHA-256
  apps.py early PORT            answers and ends its half first, then reads and judges the request
  apps.py hold PORT             answers one byte per byte, keeps connections open
  apps.py pour PORT             gets "SEED SIZE", answers that many bytes of the seed
  apps.py ask HOST PORT LINE    sends a line, prints the answer
  apps.py greet HOST PORT LINE  waits for the banner before it sends a line, prints both
  apps.py load HOST HASH_PORT EARLY_PORT COUNT CONCURRENCY SEED
                                random requests to `hash` and `early`; fails on any difference
"""
import asyncio
import hashlib
import random
import socket
import sys

LIMIT_SECONDS = 30


def plain(address):
    return address[7:] if address.startswith("::ffff:") else address


async def answer_say(reader, writer):
    peer = plain(writer.get_extra_info("peername")[0])
    while line := await reader.readline():
        print(f"{peer} said: {line.decode(errors='replace').rstrip()}", flush=True)
        writer.write(peer.encode() + b" said: " + line)
        await writer.drain()


async def answer_banner(reader, writer):
    peer = plain(writer.get_extra_info("peername")[0])
    writer.write(f"220 banner ready for {peer}\n".encode())
    await writer.drain()
    line = await reader.readline()
    writer.write(b"250 got " + line)


async def answer_hash(reader, writer):
    digest, count = hashlib.sha256(), 0
    while chunk := await reader.read(1 << 16):
        digest.update(chunk)
        count += len(chunk)
    # The request has ended; the answer flows on the half-closed connection.
    body = random.Random(count).randbytes(count % 70000)
    digest.update(body)
    writer.write(f"{count} {len(body)} {digest.hexdigest()}\n".encode() + body)


def seeded_bytes(seed, size):
    return random.Random(seed).randbytes(size)


async def answer_early(reader, writer):
    seed, size = map(int, (await reader.readline()).split())
    writer.write(seeded_bytes(seed, seed % 70000))
    writer.write_eof()
    # The client knows the whole answer before it sends the rest of its request.
    exact = await reader.read(-1) == seeded_bytes(seed + 1, size)
    print("exact" if exact else f"request {seed} of {size} bytes differs", flush=True)


async def answer_pour(reader, writer):
    seed, size = map(int, (await reader.readline()).split())
    writer.write(seeded_bytes(seed, size))


async def answer_hold(reader, writer):
    while chunk := await reader.read(4096):
        writer.write(chunk)
        await writer.drain()


async def serve(answer, port):
    async def connected(reader, writer):
        try:
            await answer(reader, writer)
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
    families = [s for s in dual_sockets(port)]
    servers = [await asyncio.start_server(connected, sock=s, backlog=4096) for s in families]
    print(f"listening on {port}", flush=True)
    await asyncio.gather(*(s.serve_forever() for s in servers))


def dual_sockets(port):
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        yield listener


def connect(host, port):
    return socket.create_connection((host, int(port)), timeout=LIMIT_SECONDS)


def ask(host, port, line):
    with connect(host, port) as connection, connection.makefile("rb") as reader:
        connection.sendall(line.encode() + b"\n")
        answer = reader.readline()
    print(answer.decode().rstrip())
    return 0 if answer else 1


def greet(host, port, line):
    with connect(host, port) as connection, connection.makefile("rb") as reader:
        print(reader.readline().decode().rstrip())
        connection.sendall(line.encode() + b"\n")
        print(reader.readline().decode().rstrip())
    return 0


def random_size(rng):
    return rng.choice((0, 1, rng.randrange(100), rng.randrange(5000), rng.randrange(120000)))


async def early_request(host, port, rng):
    """The server ends first; it prints whether what it got after that was right."""
    reader, writer = await asyncio.open_connection(host, port)
    seed, size = rng.randrange(1 << 32), random_size(rng)
    writer.write(f"{seed} {size}\n".encode())
    answer = await reader.read(-1)
    if answer != seeded_bytes(seed, seed % 70000):
        raise ValueError(f"got {len(answer)} bytes, other than the {seed % 70000} that were sent")
    writer.write(seeded_bytes(seed + 1, size))
    writer.write_eof()
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    return len(answer) + size


async def one_request(host, port, rng):
    reader, writer = await asyncio.open_connection(host, port)
    body = rng.randbytes(random_size(rng))
    writer.write(body)
    writer.write_eof()
    line = await reader.readline()
    count, length, digest = line.decode().split()
    rest = await reader.read(-1)
    writer.close()
    mine = hashlib.sha256(body + rest).hexdigest()
    if int(count) != len(body) or int(length) != len(rest) or digest != mine:
        raise ValueError(f"sent {len(body)} bytes, the server counted {count}; "
                         f"got {len(rest)} of {length} back; {digest} against {mine}")
    return len(body) + len(rest)


async def load(host, hash_port, early_port, count, concurrency, seed):
    rng, moved, failures = random.Random(seed), 0, []
    queue = iter(range(count))

    async def worker():
        nonlocal moved
        for number in queue:
            try:
                request = (early_request(host, early_port, rng) if number % 4 == 0
                           else one_request(host, hash_port, rng))
                size = await asyncio.wait_for(request, LIMIT_SECONDS)
                moved += size
            except Exception as error:  # counted and shown
                failures.append(f"request {number}: {type(error).__name__}: {error}")
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    print(f"{count - len(failures)} of {count} requests exact, {moved} bytes", flush=True)
    for failure in failures[:10]:
        print(failure)
    return 1 if failures else 0


def main(arguments):
    servers = {"say": answer_say, "banner": answer_banner, "hash": answer_hash,
               "early": answer_early, "hold": answer_hold, "pour": answer_pour}
    match arguments:
        case [name, port] if name in servers:
            asyncio.run(serve(servers[name], int(port)))
            return 0
        case ["ask", host, port, line]:
            return ask(host, port, line)
        case ["greet", host, port, line]:
            return greet(host, port, line)
        case ["load", host, *numbers, seed] if len(numbers) == 4:
            return asyncio.run(load(host, *map(int, numbers), seed))
    print(__doc__)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, KeyboardInterrupt) as error:
        print(f"{sys.argv[1]}: {error or 'stopped'}", file=sys.stderr)
        sys.exit(1)
