#!/usr/bin/env python3
"""One task of a word count:  count_words.py FOLDER

Of FOLDER's files, in the order of their names, task n counts the words of every m-th from the n-th
on, m being the number of tasks. It prints a word and its number in each line.
"""
import collections
import os
import pathlib
import re
import sys

index, count = int(os.environ["CLUSTERD_TASK_INDEX"]), int(os.environ["CLUSTERD_TASK_COUNT"])
files = sorted(path for path in pathlib.Path(sys.argv[1]).iterdir() if path.is_file())
words = collections.Counter()
for file in files[index - 1::count]:
    with open(file, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words.update(re.findall(r"\w+", line.lower()))
for word, number in words.items():
    print(word, number)
