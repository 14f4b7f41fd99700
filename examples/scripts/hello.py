#!/usr/bin/env python3
"""Says where it runs and what it was given:  hello.py [ARGUMENT ...]"""
import os
import sys

print(f"hello from job {os.environ['CLUSTERD_JOB_ID']}, attempt {os.environ['CLUSTERD_ATTEMPT']}")
print(f"on worker {os.environ['CLUSTERD_WORKER_NAME']}, in {os.getcwd()}")
print("arguments:", sys.argv[1:])
