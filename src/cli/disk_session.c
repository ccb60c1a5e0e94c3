// SPDX-License-Identifier: Apache-2.0
/* What every `virid disk` command needs: the library's host on this process, with locks, signals and messages. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "lib/bits.h"
#include "lib/check.h"

#define DISK_DEPTH 64

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = 1;
}

bool disk_interrupted(void)
{
	return interrupted != 0;
}

/* The library stops at a step's end, so that what it works on stays whole. A second signal does not hurry it. */
static void catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		sigaction(signals[i], &action, NULL);
	}
	/* A full file under RLIMIT_FSIZE is an error to report, not a reason to die in the middle. */
	action.sa_handler = SIG_IGN;
	sigaction(SIGXFSZ, &action, NULL);
}

static int open_file(void *ctx, const char *path, bool write, bool create,
		     struct storage_file **ret)
{
	struct disk_session *s = ctx;
	int r = s->below.open(s->below.ctx, path, write, create, ret);

	if (r == VHD_IN_USE) {
		int fd, pid = 0;

		if (backend_open(path, write ? BACKEND_WRITE : BACKEND_READ, &fd, &pid) == 0) {
			close(fd); /* let go meanwhile */
			pid = 0;
		}
		snprintf(s->busy_path, sizeof(s->busy_path), "%s", path);
		s->busy_pid = pid;
	}
	return r;
}

static int remove_file(void *ctx, const char *path)
{
	struct disk_session *s = ctx;

	return s->below.remove(s->below.ctx, path);
}

static int rename_file(void *ctx, const char *from, const char *to)
{
	struct disk_session *s = ctx;

	return s->below.rename(s->below.ctx, from, to);
}

static bool same_file(void *ctx, const char *a, const char *b)
{
	struct disk_session *s = ctx;

	return s->below.same_file(s->below.ctx, a, b);
}

static int real_path(void *ctx, const char *path, char *ret, size_t size)
{
	struct disk_session *s = ctx;

	return s->below.real_path(s->below.ctx, path, ret, size);
}

static void random_bytes(void *ctx, void *buf, size_t bytes)
{
	struct disk_session *s = ctx;

	s->below.random(s->below.ctx, buf, bytes);
}

static int64_t now_s(void *ctx)
{
	struct disk_session *s = ctx;

	return s->below.now_s(s->below.ctx);
}

bool disk_session_open(struct disk_session *s, bool json)
{
	*s = (struct disk_session){.json = json};
	int r = backend_create(DISK_DEPTH, &s->backend);

	if (r < 0) {
		complain("disk: cannot set up I/O: %s", strerror(-r));
		return false;
	}
	backend_vhd_host(s->backend, &s->below);
	s->host = (struct vhd_host){
		.context = s->below.context,
		.open = open_file,
		.remove = remove_file,
		.rename = rename_file,
		.same_file = same_file,
		.real_path = real_path,
		.random = random_bytes,
		.now_s = now_s,
		.ctx = s,
	};
	catch_signals();
	return true;
}

void disk_session_close(struct disk_session *s)
{
	backend_destroy(s->backend);
}

void disk_say(const struct disk_session *s, const char *text)
{
	complain("%s", text);
	if (s->json) {
		json_t *o = json_object();

		json_add_text(o, "error", text);
		disk_json_print(o);
	}
}

int disk_fail(struct disk_session *s, int status, const struct vhd_error *error)
{
	char text[DISK_PATH_MAX + 128];

	if (status != VHD_IN_USE || s->busy_path[0] == '\0') {
		snprintf(text, sizeof(text), "%s", error->text);
	} else if (s->busy_pid != 0) {
		snprintf(text, sizeof(text), "%s: in use by process %d; stop it first",
			 s->busy_path, s->busy_pid);
	} else {
		snprintf(text, sizeof(text), "%s: in use by another process; stop it first",
			 s->busy_path);
	}
	disk_say(s, text);
	return CLI_FAILED;
}

/*
 * What lies in a raw image is the guest's to choose: if it looks like a virtual disk, with a parent of the guest's choice, that is no reason to
 * follow it. So the name decides, and the content only among names of virtual disks.
 */
static bool is_raw(const char *path)
{
	struct stat st;
	enum vhd_format format;

	return (stat(path, &st) == 0 && S_ISBLK(st.st_mode)) ||
	       (disk_format_of_name(path, &format) && format == VHD_RAW);
}

struct vhd_disk *disk_open(struct disk_session *s, const char *path, uint32_t flags)
{
	struct vhd_error error = {{0}};
	struct vhd_disk *d;

	s->busy_path[0] = '\0';
	int r = vhd_open(&s->host, path, flags | (is_raw(path) ? VHD_OPEN_RAW : 0), &d, &error);

	if (r != 0) {
		disk_fail(s, r, &error);
		return NULL;
	}
	return d;
}

struct child_search {
	struct disk_session *session;
	const char *except;
	char found[DISK_PATH_MAX];
};

static bool on_child(void *ctx, const char *child)
{
	struct child_search *search = ctx;

	if (search->except != NULL && same_file(search->session, search->except, child)) {
		return true;
	}
	snprintf(search->found, sizeof(search->found), "%s", child);
	return false;
}

bool disk_refuse_parent(struct disk_session *s, const char *path, const char *except)
{
	struct child_search search = {.session = s, .except = except};
	struct vhd_error error = {{0}};
	int r = vhd_find_children(&s->host, path, &backend_directory, on_child, &search, &error);

	if (r != 0) {
		disk_fail(s, r, &error);
		return false;
	}
	if (search.found[0] == '\0') {
		return true;
	}
	snprintf(error.text, sizeof(error.text),
		 "%.200s: is the parent of %.200s, which a change would make useless; merge, move "
		 "or remove the child first",
		 path, search.found);
	disk_fail(s, VHD_NOT_POSSIBLE, &error);
	return false;
}

int disk_close_written(struct disk_session *s, struct vhd_disk *d, const char *path)
{
	int r = vhd_close(d);

	if (r == 0) {
		return CLI_OK;
	}
	struct vhd_error error;

	snprintf(error.text, sizeof(error.text), "%.300s: writing the rest at the end failed: %s",
		 path, r < 0 ? strerror(-r) : "the file is damaged");
	return disk_fail(s, r, &error);
}
