#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The hypervisor core must be able to live without a C library: linked with the components below it, it needs hv/host.h, four memory
# functions and check_failed; it has no mutable globals; it stays small.
#   freestanding_test.sh HOST_H LIBHV [LIB ...]
set -eu

host_h=$1
shift
limit_bytes=$((256 * 1024))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
core=$work/core.o
hv=$1
shift
ld -r -o "$core" --whole-archive "$hv" --no-whole-archive "$@"

failed=0
report() { # number description problems
	if [ -z "$3" ]; then
		echo "ok $1 - $2"
	else
		echo "$3" | sed 's/^/# /'
		echo "not ok $1 - $2"
		failed=1
	fi
}

echo 1..3
{
	grep -oE '\bhv_host_[a-z_]+\(' "$host_h" | tr -d '('
	printf '%s\n' memcpy memmove memset memcmp check_failed _GLOBAL_OFFSET_TABLE_
} | sort -u >"$work/allowed"
nm -u "$core" | awk '{ print $2 }' | sort -u >"$work/wanted"
report 1 "no symbols outside hv/host.h" "$(comm -13 "$work/allowed" "$work/wanted")"

# Tables of constants that hold pointers lie in .data.rel.ro; only what could be written at run time counts.
report 2 "no mutable globals" "$(objdump -t "$core" |
	awk '$0 ~ /[ \t](\.data|\.bss|\.tdata|\.tbss|\*COM\*)[ \t]/ && $0 !~ / d  / { print $NF }')"

bytes=$(size -A "$core" | awk '$1 ~ /^\.(text|rodata|data|bss)/ { sum += $2 } END { print sum }')
echo "# text and data of the hypervisor core: $bytes bytes"
problem=
[ "$bytes" -le $limit_bytes ] || problem="$bytes bytes, at most $limit_bytes wanted"
report 3 "text and data under 256 KiB" "$problem"
exit $failed
