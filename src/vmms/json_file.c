// SPDX-License-Identifier: Apache-2.0
#include "json_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "body.h"
#include "vhd/vhd.h"

#define PATH_BYTES 4096

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

static ssize_t read_all(int fd, char *buf, size_t bytes)
{
	size_t at = 0;

	while (at < bytes) {
		ssize_t n = read(fd, buf + at, bytes - at);

		if (n < 0) {
			return -errno;
		}
		if (n == 0) {
			break;
		}
		at += (size_t)n;
	}
	return (ssize_t)at;
}

/* A regular file of a bounded size: what lies there may have been put there by anybody with rights to the folder. */
static int read_file(const char *path, char **ret, size_t *ret_bytes)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		return -errno;
	}
	int r = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;

	if (r == 0 && st.st_size > (off_t)BODY_BYTES_MAX) {
		r = -EFBIG;
	}
	char *text = r == 0 ? malloc((size_t)st.st_size + 1) : NULL;

	if (r == 0 && text == NULL) {
		r = -ENOMEM;
	}
	ssize_t n = r == 0 ? read_all(fd, text, (size_t)st.st_size) : r;

	close(fd);
	if (n < 0) {
		free(text);
		return (int)n;
	}
	*ret = text;
	*ret_bytes = (size_t)n;
	return 0;
}

enum json_file_result json_file_load(const char *path, unsigned format_max, json_t **ret,
				     struct json_file_error *error)
{
	char *text = NULL;
	size_t bytes = 0;
	int r = read_file(path, &text, &bytes);

	if (r < 0) {
		return failed(path, -r, error);
	}
	enum json_file_result result = json_file_parse(path, text, bytes, format_max, ret, error);

	free(text);
	return result;
}

/* ---- Replacing ---- */

int folder_flush(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	int r = fsync(fd) < 0 ? -errno : 0;

	close(fd);
	return r;
}

static int write_all(int fd, const char *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, data, bytes);

		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		if (n > 0) {
			data += n;
			bytes -= (size_t)n;
		}
	}
	return 0;
}

static int write_new(const char *path, const void *data, size_t bytes, unsigned mode, bool durable)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);

	if (fd < 0) {
		return -errno;
	}
	int r = write_all(fd, data, bytes);

	if (r == 0 && durable && fsync(fd) < 0) {
		r = -errno;
	}
	if (close(fd) < 0 && r == 0) {
		r = -errno; /* NFS says here that there is no room */
	}
	return r;
}

static int flush_folder_of(const char *path)
{
	char folder[PATH_BYTES];
	const char *slash = strrchr(path, '/');

	snprintf(folder, sizeof(folder), "%.*s", slash == NULL ? 1 : (int)(slash - path + 1),
		 slash == NULL ? "." : path);
	return folder_flush(folder);
}

int file_replace(const char *path, const void *data, size_t bytes, unsigned mode, bool durable,
		 struct json_file_error *error)
{
	char new_path[PATH_BYTES];
	int n = snprintf(new_path, sizeof(new_path), "%s.new", path);
	int r = n < 0 || (size_t)n >= sizeof(new_path)
			? -ENAMETOOLONG
			: write_new(new_path, data, bytes, mode, durable);

	if (r == 0 && rename(new_path, path) < 0) {
		r = -errno;
	}
	if (r == 0 && durable) {
		r = flush_folder_of(path);
	} else if (r != 0 && r != -ENAMETOOLONG) {
		unlink(new_path);
	}
	if (r != 0) {
		snprintf(error->text, sizeof(error->text), "%s: cannot be written: %s%s", path,
			 strerror(-r), r == -ENOENT ? "" : vhd_advice(r));
	}
	return r;
}

int json_file_save(const char *path, const json_t *object, bool durable,
		   struct json_file_error *error)
{
	char *text = json_dumps(object, JSON_INDENT(2));
	size_t n = text == NULL ? 0 : strlen(text);

	if (text == NULL) {
		snprintf(error->text, sizeof(error->text), "%s: out of memory", path);
		return -ENOMEM;
	}
	text[n] = '\n'; /* in the place of the NUL: what is written has a length */
	int r = file_replace(path, text, n + 1, 0600, durable, error);

	free(text);
	return r;
}
