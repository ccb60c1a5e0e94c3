/* SPDX-License-Identifier: Apache-2.0 */
/* Files with one JSON object each, which are always whole. */
#ifndef VMMS_JSON_FILE_H
#define VMMS_JSON_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "json/file.h"

struct json_file_error {
	char text[1600]; /* one sentence that begins with the file's name */
};

enum json_file_result {
	JSON_FILE_OK,
	JSON_FILE_ABSENT,
	JSON_FILE_WRONG,   /* what is in it */
	JSON_FILE_TOO_NEW, /* a higher "format" than @format_max */
	JSON_FILE_FAILED,  /* the host: errno is in *ret_errno of save */
};

/* *ret is a new reference to an object whose "format" is 1 to @format_max. */
enum json_file_result json_file_load(const char *path, unsigned format_max, json_t **ret,
				     struct json_file_error *error);
/* The same for text that has been read; @name is the file's in messages. */
enum json_file_result json_file_parse(const char *name, const char *text, size_t bytes,
				      unsigned format_max, json_t **ret,
				      struct json_file_error *error);
/*
 * Replaces the file: beside it, flushed if @durable, renamed, directory flushed if @durable. 0, or -errno with a sentence; then the file is as it
 * was.
 */
int json_file_save(const char *path, const json_t *object, bool durable,
		   struct json_file_error *error);
/* The same for any bytes, with @mode. */
int json_file_replace(const char *path, const void *data, size_t bytes, unsigned mode, bool durable,
		      struct json_file_error *error);

#endif
