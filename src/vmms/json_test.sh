#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# jansson and json-c, which the service links both, both have json_object_get and json_object_iter_next, and every call goes to jansson's: an object file that
# uses json-c must not call these two.
#   json_test.sh ARCHIVE...
set -eu

echo 1..2
nm -A -u "$@" 2>/dev/null | awk '{ print $1, $NF }' >"${TMPDIR:-/tmp}/virid-json.$$"
trap 'rm -f "${TMPDIR:-/tmp}/virid-json.$$"' EXIT
users=$(awk '$2 ~ /^json_object_(object_add|object_get_ex|new_|to_json|put$|array_)|^json_tokener_/ { print $1 }' "${TMPDIR:-/tmp}/virid-json.$$" | sort -u)
[ -n "$users" ] || echo "not ok 1 - some object files use json-c"
[ -z "$users" ] || echo "ok 1 - some object files use json-c"
wrong=$(awk '$2 == "json_object_get" || $2 == "json_object_iter_next" { print $1 }' "${TMPDIR:-/tmp}/virid-json.$$" | sort -u |
	grep -Fx -e "$users" || true)
if [ -n "$wrong" ]; then
	echo "$wrong" | sed 's/^/# /'
	echo "not ok 2 - none of them calls what jansson has, too"
else
	echo "ok 2 - none of them calls what jansson has, too"
fi
