"""The jobs of tests/e2e/conformance_test.py, for the worker of examples/clients/python_worker.py."""
import os
import time

from python_worker import Worker


def conformance(args, _input, write, stop):
    if args[0] == "echo":
        write("".join(f"{text}\n" for text in args[1:]).encode())
    elif args[0] == "fail":
        raise RuntimeError("as it was told")
    elif args[0] == "tick":
        for _ in range(int(args[2])):
            with open(args[1], "a", encoding="ascii") as file:
                file.write(f"tick {time.time()}\n")
            write(b"tick\n")
            if stop.wait(0.05):
                return
    elif args[0] == "lines":
        for first in range(1, int(args[1]) + 1, 10):
            last = min(first + 9, int(args[1]))
            write("".join(f"line {n}\n" for n in range(first, last + 1)).encode())


Worker({"conformance": conformance}, os.environ["CLUSTERD_SCHEDULER"], os.environ["CLUSTERD_DATA_DIR"],
       os.environ["CLUSTERD_WORKER_NAME"]).serve()
