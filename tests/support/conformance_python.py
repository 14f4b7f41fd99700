"""The jobs of tests/e2e/conformance_test.py, for the worker of examples/clients/python_worker.py."""
import asyncio
import os
import pathlib

from python_worker import Worker

JOBS = pathlib.Path(__file__).with_name("conformance.sh")


async def main():
    await Worker({"conformance": ["bash", str(JOBS)]}, os.environ["CLUSTERD_SCHEDULER"],
                 os.environ["CLUSTERD_DATA_DIR"], os.environ["CLUSTERD_WORKER_NAME"]).serve()


asyncio.run(main())
