// SPDX-License-Identifier: Apache-2.0
#include "audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json_file.h"
#include "lib/check.h"

static void old_path(const char *path, unsigned n, char ret[PATH_MAX])
{
	if (n == 0) {
		snprintf(ret, PATH_MAX, "%s", path);
	} else {
		snprintf(ret, PATH_MAX, "%s.%u", path, n);
	}
}

/* ---- Writing ---- */

static int open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

/* A line that was cut by a crash must not swallow the next one. */
static int end_last_line(int fd)
{
	struct stat st;
	char last = '\n';

	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	if (!S_ISREG(st.st_mode)) {
		return -EINVAL;
	}
	if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1) {
		return -EIO;
	}
	return last == '\n' ? 0 : file_write_all(fd, "\n", 1);
}

int audit_file_open(const char *path)
{
	int fd = open_file(path);

	if (fd < 0) {
		return fd;
	}
	int r = end_last_line(fd);

	close(fd);
	return r < 0 ? r : folder_flush_of(path);
}

/* The oldest goes, the others move up by one. */
static int rotate(const char *path)
{
	char from[PATH_MAX], to[PATH_MAX];

	for (unsigned n = AUDIT_OLD_FILES; n > 0; n--) {
		old_path(path, n - 1, from);
		old_path(path, n, to);
		if (rename(from, to) < 0 && errno != ENOENT) {
			return -errno;
		}
	}
	return 0;
}

int audit_file_append(const char *path, const char *text, size_t bytes)
{
	struct stat st;
	bool full = stat(path, &st) == 0 && (uint64_t)st.st_size + bytes > AUDIT_BYTES_MAX &&
		    st.st_size > 0;
	int r = full ? rotate(path) : 0;
	int fd = r < 0 ? r : open_file(path);

	if (fd < 0) {
		return fd;
	}
	/* also what an append that failed half-way has left */
	r = end_last_line(fd);
	if (r == 0) {
		r = file_write_all(fd, text, bytes);
	}
	if (r == 0 && fdatasync(fd) < 0) {
		r = -errno;
	}
	close(fd);
	return r == 0 && full ? folder_flush_of(path) : r;
}

/* ---- Reading ---- */

/* The newest entries that fit, as a ring. */
struct found {
	const struct audit_query *query;
	json_t *entries[AUDIT_ANSWER_MAX];
	unsigned next, count;
	bool more;
};

static bool is_text(const json_t *o, const char *name, const char *want)
{
	const char *is = json_string_value(json_object_get(o, name));

	return want[0] == '\0' || (is != NULL && strcmp(is, want) == 0);
}

static bool fits(const struct audit_query *q, const json_t *o)
{
	const char *time = json_string_value(json_object_get(o, "time"));

	/* all times are written alike, so that their texts sort as they do */
	return time != NULL && strcmp(time, q->since) >= 0 &&
	       (q->until[0] == '\0' || strcmp(time, q->until) < 0) && is_text(o, "vm", q->vm) &&
	       is_text(o, "who", q->who);
}

static void take_line(struct found *f, const char *line, size_t bytes)
{
	json_t *o = json_loadb(line, bytes, 0, NULL);

	if (o == NULL || !fits(f->query, o)) {
		json_decref(o);
		return;
	}
	if (f->count == f->query->limit) {
		json_decref(f->entries[f->next]);
		f->more = true;
	} else {
		f->count++;
	}
	f->entries[f->next] = o;
	f->next = (f->next + 1) % f->query->limit;
}

static void take_file(struct found *f, FILE *file)
{
	char *line = NULL;
	size_t capacity = 0;
	ssize_t n;

	while ((n = getline(&line, &capacity, file)) > 0) {
		if ((size_t)n <= AUDIT_LINE_BYTES_MAX + 1) {
			take_line(f, line, (size_t)n);
		}
	}
	free(line);
}

/* The entries of @f before those of @list, as many as the limit lets in. */
static void put_before(struct found *f, json_t *list)
{
	while (f->count > 0 && json_array_size(list) < f->query->limit) {
		unsigned last = (f->next + f->query->limit - 1) % f->query->limit;

		json_array_insert_new(list, 0, f->entries[last]);
		f->next = last;
		f->count--;
	}
	f->more |= f->count > 0;
	while (f->count > 0) {
		f->next = (f->next + f->query->limit - 1) % f->query->limit;
		json_decref(f->entries[f->next]);
		f->count--;
	}
}

json_t *audit_file_read(const char *path, const struct audit_query *q)
{
	struct found *f = calloc(1, sizeof(*f));
	json_t *list = json_array();

	CHECK(f != NULL && q->limit > 0 && q->limit <= AUDIT_ANSWER_MAX);
	f->query = q;
	for (unsigned n = 0; n <= AUDIT_OLD_FILES && !f->more; n++) {
		char name[PATH_MAX];
		FILE *file;

		old_path(path, n, name);
		file = fopen(name, "re");
		if (file != NULL) {
			f->next = f->count = 0;
			take_file(f, file);
			fclose(file);
			put_before(f, list);
		}
	}
	json_t *answer = json_pack("{s:o, s:b}", "entries", list, "truncated", f->more);

	free(f);
	return answer;
}
