/* SPDX-License-Identifier: Apache-2.0 */
/* Inside disk_work.c and disk_merge.c: one piece of work on files of disks, with a backend of its own. Any thread; blocks. */
#ifndef VMMS_DISK_SESSION_H
#define VMMS_DISK_SESSION_H

#include "backend/backend.h"
#include "disk_work.h"

struct disk_session {
	struct disk_work *work;
	struct backend *backend;
	struct vhd_host host;
};

/* The work failed, for what the library says; for @path, and why. False. */
bool disk_session_fail(struct disk_session *s, int status, const struct vhd_error *error);
bool disk_session_refuse(struct disk_session *s, enum api_error code, const char *path,
			 const char *why);
/* NULL: it failed. */
struct vhd_disk *disk_session_open(struct disk_session *s, const char *path, uint32_t flags);
/* To its end; destroys @j. False: failed or cancelled. */
bool disk_session_run(struct disk_session *s, struct vhd_job *j);
/* What it is like is the work's result: with @chain, those below, too. */
bool disk_session_describe(struct disk_session *s, const char *path, bool chain);

/* ---- disk_merge.c ---- */

/* A disk that others are read through must not change below them; @except (NULL: nobody) may. False: it failed. */
bool disk_session_no_children(struct disk_session *s, const char *path, const char *except);
/* As the work says. */
bool disk_session_merge(struct disk_session *s);

#endif
