#!/usr/bin/env python3
"""Takes out of recorded configurations what differs from run to run and from machine to machine.

usage: rewrite.py FROM TO

- An id of 64 hexadecimal digits becomes the id 0101…, the next one 0202…, in the order of the file; so do its first 12 and
  32 digits. UUIDs, times and process ids get one value each.
- Of the devices of the machine, which privileged containers get, the first eight stay.
- Of the names in a seccomp rule the first two stay, but in the `-default` files.
"""
import json
import pathlib
import re
import sys


def ids(text):
    names = {}
    for found in re.findall(r"\b[0-9a-f]{64}\b", text):
        names.setdefault(found, f"{len(names) + 1:02x}" * 32)
    for found, name in names.items():
        for length in (64, 32, 12):
            text = text.replace(found[:length], name[:length])
    for found in dict.fromkeys(re.findall(r"\b(?=[0-9]*[a-f])[0-9a-f]{12}\b", text)):
        if found not in {name[:12] for name in names.values()}:
            names[found] = f"{len(names) + 1:02x}" * 32
            text = text.replace(found, names[found][:12])
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "00000000-0000-4000-8000-000000000001", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "2026-01-02T03:04:05Z", text)
    return re.sub(r"/proc/\d+/", "/proc/4242/", text)


def shorten(config, name):
    linux = config["linux"]
    if linux.get("devices"):
        linux["devices"] = linux["devices"][:8]
    if linux.get("seccomp") and not name.endswith("-default"):
        for rule in linux["seccomp"]["syscalls"]:
            rule["names"] = rule["names"][:2]


def pretty(value, indent=0):
    short = json.dumps(value)
    if len(short) + indent < 118 or not isinstance(value, (dict, list)):
        return short
    inner = " " * (indent + 2)
    if isinstance(value, list):
        lines = [inner + pretty(item, indent + 2) for item in value]
        return "[\n" + ",\n".join(lines) + "\n" + " " * indent + "]"
    lines = [f"{inner}{json.dumps(key)}: {pretty(item, indent + 2)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"


source, target = map(pathlib.Path, sys.argv[1:])
for file in sorted(source.glob("*.json")):
    config = json.loads(ids(file.read_text()))
    shorten(config, file.stem)
    (target / file.name).write_text(pretty(config) + "\n")
