#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Handlers of the EMU_HOT files must end in jumps: a real call of the next handler would let the host's stack grow with every instruction.
# usage: tail_test.sh LIBEMU.a
set -eu
objects='exec_alu exec_atomic exec_bit exec_branch exec_fused exec_mov exec_muldiv exec_shift exec_stack'
echo "1..1"
if ! command -v objdump >/dev/null; then
	echo "ok 1 - tail calls # SKIP no objdump"
	exit 0
fi
bad=0
seen=0
for object in $objects; do
	# An indirect call through an instruction is the sign; helpers are called directly.
	text=$(objdump -d --no-show-raw-insn "$1" | awk -v want="$object.c.o:" '/file format/ { on = index($0, want) > 0 } on')
	[ -n "$text" ] && seen=$((seen + 1))
	if echo "$text" | grep -Eq 'call +\*'; then
		echo "# $object: $(echo "$text" | grep -Ec 'call +\*') real calls of handlers"
		bad=1
	fi
done
if [ "$seen" -ne 9 ]; then
	echo "# found $seen of 9 objects in $1"
	bad=1
fi
[ "$bad" -eq 0 ] || { echo "not ok 1 - tail calls"; exit 1; }
echo "ok 1 - tail calls"
