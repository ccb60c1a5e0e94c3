/* SPDX-License-Identifier: Apache-2.0 */
/* Small files that are always whole. What is an int is 0 or -errno. Any thread; blocks for the disk. */
#ifndef JSON_FILE_H
#define JSON_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* All of a regular file of at most @bytes_max (-EFBIG); anything else is -EINVAL. *ret is malloced, and not NULL for an empty file. */
int file_load(const char *path, size_t bytes_max, char **ret, size_t *ret_bytes);
int file_write_all(int fd, const char *data, size_t bytes);
/* Writes @path.new beside it, flushed if @durable, and renames; the folder is flushed if @durable. When it fails the file is as it was. */
int file_replace(const char *path, const void *data, size_t bytes, unsigned mode, bool durable);
/* Makes what was renamed or removed in @folder durable, or in the folder that @path lies in. */
int folder_flush(const char *folder);
int folder_flush_of(const char *path);
/*
 * Makes @folder, for this user alone, in a place that is everybody's (/tmp): somebody else may have been there first. False: it is there and is not so,
 * or cannot be made; @error is a sentence.
 */
bool folder_own(const char *folder, char *error, size_t size);

#endif
