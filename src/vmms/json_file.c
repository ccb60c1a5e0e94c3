// SPDX-License-Identifier: Apache-2.0
#include "json_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "vhd/vhd.h"
#include "json/json.h"

static enum json_file_result check_format(const char *name, json_t *o, unsigned format_max,
					  struct json_file_error *error)
{
	const json_t *format = json_object_get(o, "format");
	json_int_t n = json_integer_value(format);

	if (!json_is_integer(format) || n < 1) {
		snprintf(error->text, sizeof(error->text),
			 "%s: format: %s; expected a whole number from 1 to %u", name,
			 format == NULL ? "is missing" : "is not a format", format_max);
		return JSON_FILE_WRONG;
	}
	if (n > (json_int_t)format_max) {
		snprintf(error->text, sizeof(error->text),
			 "%s: format: %" JSON_INTEGER_FORMAT
			 "; this version knows up to %u: it was written by a newer one, which has "
			 "to be used",
			 name, n, format_max);
		return JSON_FILE_TOO_NEW;
	}
	return JSON_FILE_OK;
}

enum json_file_result json_file_parse(const char *name, const char *text, size_t bytes,
				      unsigned format_max, json_t **ret,
				      struct json_file_error *error)
{
	json_t *o = body_parse(name, text, bytes, error->text, sizeof(error->text));

	if (o == NULL) {
		return JSON_FILE_WRONG;
	}
	enum json_file_result r = check_format(name, o, format_max, error);

	if (r != JSON_FILE_OK) {
		json_decref(o);
		return r;
	}
	*ret = o;
	return JSON_FILE_OK;
}

static enum json_file_result failed(const char *path, int why, struct json_file_error *error)
{
	snprintf(error->text, sizeof(error->text), "%s: %s", path, strerror(why));
	return why == ENOENT ? JSON_FILE_ABSENT : JSON_FILE_FAILED;
}

enum json_file_result json_file_load(const char *path, unsigned format_max, json_t **ret,
				     struct json_file_error *error)
{
	char *text = NULL;
	size_t bytes = 0;
	int r = file_load(path, BODY_BYTES_MAX, &text, &bytes);

	if (r < 0) {
		return failed(path, -r, error);
	}
	enum json_file_result result = json_file_parse(path, text, bytes, format_max, ret, error);

	free(text);
	return result;
}

int json_file_replace(const char *path, const void *data, size_t bytes, unsigned mode, bool durable,
		      struct json_file_error *error)
{
	int r = file_replace(path, data, bytes, mode, durable);

	if (r != 0) {
		snprintf(error->text, sizeof(error->text), "%s: cannot be written: %s%s", path,
			 strerror(-r), r == -ENOENT ? "" : vhd_advice(r));
	}
	return r;
}

int json_file_save(const char *path, const json_t *object, bool durable,
		   struct json_file_error *error)
{
	char *text = json_dumps(object, JSON_LOOK);
	size_t n = text == NULL ? 0 : strlen(text);

	if (text == NULL) {
		snprintf(error->text, sizeof(error->text), "%s: out of memory", path);
		return -ENOMEM;
	}
	text[n] = '\n'; /* in the place of the NUL: what is written has a length */
	int r = json_file_replace(path, text, n + 1, 0600, durable, error);

	free(text);
	return r;
}
