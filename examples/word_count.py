#!/usr/bin/env python3
"""Counts the words of a folder of text on all machines of a cluster:

    word_count.py FOLDER [TASKS]

Starts an array of TASKS tasks of scripts/count_words.py, each of which counts the words of its share
of the files, and adds up what they print. FOLDER must be there on every worker, under that name.
Prints the ten most frequent words.
"""
import collections
import sys

from clusterd_client import Clusterd


def main():
    folder, tasks = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 4
    cluster = Clusterd()
    array = cluster.start({
        "name": "word-count", "path": "count_words.py", "command": "python3", "args": [folder],
        "array": {"from": 1, "to": tasks},
        "retry": {"max_attempts": 3, "on": ["LOSS"]}})
    if cluster.wait(array)["state"] != "SUCCEEDED":
        sys.exit(f"not all tasks have succeeded: clusterd job tasks {array}")
    words = collections.Counter()
    for task in cluster.tasks(array):
        output = b"".join(cluster.follow(task["job_id"])).decode()
        for line in output.splitlines():
            word, number = line.split()
            words[word] += int(number)
    for word, number in sorted(words.items(), key=lambda entry: (-entry[1], entry[0]))[:10]:
        print(f"{number:8d}  {word}")


if __name__ == "__main__":
    main()
