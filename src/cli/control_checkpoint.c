// SPDX-License-Identifier: Apache-2.0
/* `virid control ... checkpoint`: the new files of the disks. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "cli.h"
#include "control.h"

/* PLACE=PATH, PLACE as CONTROLLER:LUN or ideCHANNEL:DRIVE. */
struct new_file {
	bool ide;
	unsigned controller, lun;
	const char *path;
};

static bool parse(const char *text, struct new_file *ret)
{
	const char *at = text;
	int used = 0;

	*ret = (struct new_file){.ide = strncmp(text, "ide", 3) == 0};
	at += ret->ide ? 3 : strncmp(text, "scsi", 4) == 0 ? 4 : 0;
	if (sscanf(at, "%u:%u=%n", &ret->controller, &ret->lun, &used) != 2 || used == 0 ||
	    at[used] == '\0') {
		complain("'%s' says no disk; expected CONTROLLER:LUN=NEWFILE or "
			 "ideCHANNEL:DRIVE=NEWFILE",
			 text);
		return false;
	}
	ret->path = at + used;
	return true;
}

static bool describe(struct packet *p, const struct new_file *f, const char *real)
{
	const char *kind = f->ide ? "ide" : "scsi";
	unsigned slot = f->ide ? 4 + f->controller * 2 + f->lun : f->controller;
	char word[2 * PATH_MAX + 128];
	struct launch_error error;

	snprintf(word, sizeof(word), "--disk=%s:%u:%u:-:0:0:%s", kind, f->controller, f->lun, real);
	bool ok = packet_add_word(p, word, &error);

	snprintf(word, sizeof(word), "--file=%u:%u:1:%zu:%s:%s", slot, p->fd_count, strlen(real),
		 real, real);
	ok = ok && packet_add_word(p, word, &error);
	if (!ok) {
		complain("checkpoint: %s", error.text);
	}
	return ok;
}

/* Its name is to be there after a crash, as soon as the machine writes to it. */
static bool sync_folder(const char *real)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s", real);
	strrchr(folder, '/')[1] = '\0';
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (!ok) {
		complain("%s: %s", folder, strerror(errno));
	}
	if (fd >= 0) {
		close(fd);
	}
	return ok;
}

static bool add(struct packet *p, const char *text)
{
	struct launch_error error;
	struct new_file f;
	char real[PATH_MAX];
	int fd;

	if (!parse(text, &f)) {
		return false;
	}
	int r = backend_open(f.path, BACKEND_CREATE, &fd, NULL);

	if (r < 0) {
		complain("%s: %s; expected a name that no file has yet", f.path, strerror(-r));
		return false;
	}
	bool ok = realpath(f.path, real) != NULL && sync_folder(real) && describe(p, &f, real);

	ok = ok && packet_add_fd(p, fd, &error);
	if (!ok) {
		close(fd);
		unlink(f.path);
	}
	return ok;
}

bool control_checkpoint_begin(struct packet *p, char **operands, int count)
{
	for (int i = 0; i < count; i++) {
		if (!add(p, operands[i])) {
			control_checkpoint_end(p, operands, i, false);
			return false;
		}
	}
	return true;
}

void control_checkpoint_end(struct packet *p, char **operands, int count, bool used)
{
	struct new_file f;

	for (int i = 0; i < count; i++) {
		close(p->fds[p->fd_count - (unsigned)count + (unsigned)i]);
		if (!used && parse(operands[i], &f)) {
			unlink(f.path);
		}
	}
}
