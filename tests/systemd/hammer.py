"""hammer.py SOCKET STOP: four processes connect to SOCKET without a pause until the file STOP is there. Each connection waits
a second at most for a byte or the end."""

import os
import socket
import sys
import time


def main() -> None:
    path, stop = sys.argv[1:]
    children = [pid for pid in (os.fork() for _ in range(3)) if pid]
    while not os.path.exists(stop):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(path)
                client.send(b"x")
                client.recv(1)
            except OSError:
                time.sleep(0.005)  # refused: no processor time for nothing
    for pid in children:
        os.waitpid(pid, 0)


main()
