#!/usr/bin/env python3
"""Writes data/detail/html_entities.cpp: the named character references of HTML 5 (html.spec.whatwg.org, section 13.5)
with a closing semicolon, from the table in Python's standard library. Usage: scripts/html_entities.py > FILE"""
import html.entities

HEAD = """// Made by scripts/html_entities.py: the named character references of HTML 5, by their bytes. Each is its name without
// the semicolon, '=', its code points in hexadecimal joined by '+'.
#include "data/detail/html_entities.h"

namespace winnow::detail {

// clang-format off
const char* const kHtmlEntities ="""
entries = sorted(name[:-1] + "=" + "+".join(f"{ord(c):X}" for c in text)
                 for name, text in html.entities.html5.items() if name.endswith(";"))
print(HEAD)
line = ""
for entry in entries:
    if len(line) + len(entry) + 1 > 112:
        print(f'    "{line}"')
        line = ""
    line += entry + " "
print(f'    "{line}";')
print("// clang-format on\n\n}  // namespace winnow::detail")
