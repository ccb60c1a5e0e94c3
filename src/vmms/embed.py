#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py NAME INPUT OUTPUT: INPUT as a C array NAME, with its length NAME_bytes; JSON loses the space that only people need."""
import json
import sys

name, source, target = sys.argv[1:]
with open(source, encoding="utf-8") as f:
    data = json.dumps(json.load(f), separators=(",", ":")).encode()
rows = [", ".join("0x%02x" % b for b in data[i:i + 16]) for i in range(0, len(data), 16)]
with open(target, "w", encoding="utf-8") as f:
    f.write("#include <stddef.h>\n\nextern const char %s[];\nextern const size_t %s_bytes;\n" % (name, name))
    f.write("const char %s[] = {\n\t%s,\n};\nconst size_t %s_bytes = sizeof(%s);\n" % (name, ",\n\t".join(rows), name, name))
