// SPDX-License-Identifier: Apache-2.0
/* Foreign text: what is taken is an object that is no deeper than it may be, and the same again when it is written and read. */
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

#define DEPTH_MAX 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_again(const json_t *o)
{
	char *line = json_line(o), error[256];
	json_t *again = json_parse("x", line, strlen(line), DEPTH_MAX, error, sizeof(error));

	if (again == NULL || !json_equal(again, o)) {
		abort();
	}
	json_decref(again);
	free(line);
}

/* Text of any bytes becomes JSON. */
static void check_text(const char *text)
{
	json_t *o = json_object();

	json_add_text(o, "x", text);
	check_again(o);
	json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char error[256] = "", *text = malloc(bytes + 1);

	memcpy(text, data, bytes);
	text[bytes] = '\0';
	json_t *o = json_parse("x", text, bytes, DEPTH_MAX, error, sizeof(error));

	if (o != NULL) {
		check_again(o);
	} else if (strncmp(error, "x: line ", 8) != 0) {
		abort();
	}
	check_text(text);
	json_decref(o);
	free(text);
	return 0;
}
