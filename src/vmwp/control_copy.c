// SPDX-License-Identifier: Apache-2.0
/* `copy`: a file of the asker's for the guest, through its file copy component. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control_connection.h"
#include "control_ic.h"
#include "ic.h"

#define STATUS_EXISTS 0x80070050u
#define STATUS_DISK_FULL 0x80070070u

struct copy {
	struct connection *connection;
	int fd;
	int error; /* of reading */
};

static void copy_free(struct copy *c)
{
	close(c->fd);
	free(c);
}

/* 6 KiB at a time, which the host has read ahead mostly: on the loop thread. */
static int read_part(void *ctx, uint64_t offset, void *buf, uint32_t bytes)
{
	struct copy *c = ctx;
	ssize_t n = pread(c->fd, buf, bytes, (off_t)offset);

	c->error = n < 0 ? -errno : (uint32_t)n != bytes ? -ENODATA : 0;
	return c->error != 0 ? c->error : (int)n;
}

static const char *why_not(const struct copy *c, uint32_t status)
{
	if (c->error == -ENODATA) {
		return "the file became shorter while it was copied";
	}
	if (c->error != 0) {
		return strerror(-c->error);
	}
	switch (status) {
	case STATUS_EXISTS:
		return "the guest has a file of that name already";
	case STATUS_DISK_FULL:
		return "the guest's disk is full";
	default:
		return NULL;
	}
}

static void copied(void *ctx, enum vsp_ic_result result, uint32_t status)
{
	struct copy *c = ctx;
	const char *why = result == VSP_IC_REFUSED ? why_not(c, status) : NULL;

	if (why != NULL) {
		control_done(c->connection, why);
	} else {
		control_ic_answered(c->connection, result, status);
	}
	copy_free(c);
}

/* The folder with its last separator: Linux's daemon makes the folders that end with one. NULL: no folder, or no name. */
static char *split(char *path, char **ret_name)
{
	char *slash = strrchr(path, '/'), *back = strrchr(path, '\\');
	char *last = back > slash ? back : slash;

	if (last == NULL || last[1] == '\0') {
		return NULL;
	}
	*ret_name = strdup(last + 1);
	last[1] = '\0';
	return *ret_name != NULL ? path : NULL;
}

static const char *start(struct connection *connection, char *path, bool overwrite, int fd)
{
	struct copy *c;
	char *name = NULL, *folder;
	struct stat st;
	int r = -ENOMEM;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		return "it is not a regular file";
	}
	folder = split(path, &name);
	c = calloc(1, sizeof(*c));
	if (c != NULL && folder != NULL) {
		const struct vsp_ic_copy copy = {.folder = folder,
						 .name = name,
						 .overwrite = overwrite,
						 .create_path = true,
						 .bytes = (uint64_t)st.st_size,
						 .read = read_part,
						 .ctx = c};
		const struct vsp_ic_done done = {.fn = copied, .ctx = c};

		*c = (struct copy){.connection = connection, .fd = fd};
		r = vsp_ic_copy(ic_components(connection->worker), &copy, done);
	}
	free(name);
	if (r != 0) {
		free(c);
	}
	return folder == NULL ? "the guest's path needs a folder and a name"
			      : ic_why(VSP_IC_FCOPY, r);
}

/* PATH in the guest, perhaps --overwrite; the file. */
static bool copy(struct connection *c, const struct control_request *q)
{
	char *path = control_option(q, NULL);

	if (path == NULL) {
		return control_refuse(c, "the request is malformed");
	}
	if (!control_running(c)) {
		return false;
	}
	const char *why = start(c, path, control_has(q, "--overwrite"), q->fds[0]);

	c->busy = why == NULL;
	return why == NULL || control_refuse(c, why);
}

const struct control_word control_copy_words[] = {
	{"copy", 1, copy},
	{NULL},
};
