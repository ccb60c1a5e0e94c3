// SPDX-License-Identifier: Apache-2.0
#include "body.h"

#include <stdio.h>

#include "json/json.h"

json_t *body_parse(const char *what, const char *text, size_t bytes, char *error, size_t size)
{
	if (bytes > BODY_BYTES_MAX) {
		snprintf(error, size, "%s: %zu bytes; at most %zu go", what, bytes, BODY_BYTES_MAX);
		return NULL;
	}
	return json_parse(what, text, bytes, BODY_DEPTH_MAX, error, size);
}
