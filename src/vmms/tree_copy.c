// SPDX-License-Identifier: Apache-2.0
#include "tree_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "job.h"
#include "json_file.h"
#include "lib/bits.h"

#define STEP_BYTES ((size_t)8 << 20)

static bool failed(struct tree_copy *t, const char *path, int why)
{
	t->result = -why;
	snprintf(t->error, sizeof(t->error), "%.1000s: %s", path, strerror(why));
	return false;
}

static bool stopped(struct tree_copy *t)
{
	if (t->job == NULL) {
		return false;
	}
	if (job_is_cancelling(t->job)) {
		t->result = -ECANCELED;
		snprintf(t->error, sizeof(t->error), "it was cancelled");
		return true;
	}
	job_progress(t->job,
		     t->total_bytes == 0 || t->done_bytes > t->total_bytes
			     ? 0
			     : (unsigned)(t->done_bytes * 99 / t->total_bytes),
		     "copying");
	return false;
}

/* ---- One file ---- */

/* From @at to @end, where there is data. */
static bool copy_data(struct tree_copy *t, int from, int to, off_t at, off_t end, const char *name)
{
	while (at < end) {
		size_t left = (size_t)(end - at);
		off_t in = at, out = at;

		if (stopped(t)) {
			return false;
		}
		ssize_t n = copy_file_range(from, &in, to, &out,
					    left < STEP_BYTES ? left : STEP_BYTES, 0);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return failed(t, name, n < 0 ? errno : EIO);
		}
		at += n;
		t->done_bytes += (uint64_t)n;
	}
	return true;
}

static bool copy_extents(struct tree_copy *t, int from, int to, off_t size, const char *name)
{
	off_t end;

	for (off_t at = lseek(from, 0, SEEK_DATA); at >= 0 && at < size;
	     at = lseek(from, end, SEEK_DATA)) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0) {
			return failed(t, name, errno);
		}
		if (!copy_data(t, from, to, at, end < size ? end : size, name)) {
			return false;
		}
	}
	return true;
}

static bool copy_contents(struct tree_copy *t, int from, int to, const char *from_name,
			  const char *to_name)
{
	struct stat st;

	if (fstat(from, &st) < 0) {
		return failed(t, from_name, errno);
	}
	if (!S_ISREG(st.st_mode)) {
		return failed(t, from_name, EINVAL);
	}
	if (ioctl(to, FICLONE, from) == 0) {
		t->done_bytes += (uint64_t)st.st_blocks * 512;
	} else if (ftruncate(to, st.st_size) < 0) {
		return failed(t, to_name, errno);
	} else if (!copy_extents(t, from, to, st.st_size, to_name)) {
		return false;
	}
	return fsync(to) == 0 || failed(t, to_name, errno);
}

bool tree_copy_file(struct tree_copy *t, const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (in < 0) {
		return failed(t, from, errno);
	}
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = out >= 0 ? copy_contents(t, in, out, from, to) : failed(t, to, errno);

	close(in);
	if (out >= 0 && close(out) < 0 && ok) {
		ok = failed(t, to, errno);
	}
	return ok;
}

uint64_t tree_copy_file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_blocks * 512 : 0;
}

/* ---- A VM's folder: two files and two folders of files ---- */

static const char *const vm_files[] = {"vm.json", "saved.vmrs"};
static const char *const vm_folders[] = {"disks", "checkpoints"};

static bool is_half_done(const char *name)
{
	const char *dot = strrchr(name, '.');

	return name[0] == '.' || strstr(name, ".part-") != NULL ||
	       (dot != NULL && strcmp(dot, ".new") == 0);
}

static bool copy_folder(struct tree_copy *t, const char *from, const char *to)
{
	char source[PATH_MAX], target[PATH_MAX];
	DIR *d = opendir(from);
	bool ok = true;

	if (mkdir(to, 0700) < 0) {
		ok = failed(t, to, errno);
	}
	for (const struct dirent *e = d == NULL ? NULL : readdir(d); ok && e != NULL;
	     e = readdir(d)) {
		if (is_half_done(e->d_name)) {
			continue;
		}
		if (snprintf(source, sizeof(source), "%s/%s", from, e->d_name) >=
			    (int)sizeof(source) ||
		    snprintf(target, sizeof(target), "%s/%s", to, e->d_name) >=
			    (int)sizeof(target)) {
			ok = failed(t, from, ENAMETOOLONG);
		} else {
			ok = tree_copy_file(t, source, target);
		}
	}
	if (d != NULL) {
		closedir(d);
	}
	int r = ok ? folder_flush(to) : 0;

	return ok && (r == 0 || failed(t, to, -r));
}

bool tree_copy_vm(struct tree_copy *t, const char *from, const char *to)
{
	char source[PATH_MAX], target[PATH_MAX];
	bool ok = true;

	for (size_t i = 0; ok && i < ARRAY_LEN(vm_folders); i++) {
		snprintf(source, sizeof(source), "%.4000s/%s", from, vm_folders[i]);
		snprintf(target, sizeof(target), "%.4000s/%s", to, vm_folders[i]);
		ok = copy_folder(t, source, target);
	}
	for (size_t i = 0; ok && i < ARRAY_LEN(vm_files); i++) {
		snprintf(source, sizeof(source), "%.4000s/%s", from, vm_files[i]);
		snprintf(target, sizeof(target), "%.4000s/%s", to, vm_files[i]);
		ok = access(source, F_OK) != 0 || tree_copy_file(t, source, target);
	}
	int r = ok ? folder_flush(to) : 0;

	return ok && (r == 0 || failed(t, to, -r));
}

static uint64_t folder_bytes(const char *folder)
{
	char path[PATH_MAX];
	DIR *d = opendir(folder);
	uint64_t bytes = 0;

	for (const struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d)) {
		if (snprintf(path, sizeof(path), "%s/%s", folder, e->d_name) < (int)sizeof(path)) {
			bytes += tree_copy_file_bytes(path);
		}
	}
	if (d != NULL) {
		closedir(d);
	}
	return bytes;
}

uint64_t tree_copy_bytes(const char *from)
{
	char path[PATH_MAX];
	uint64_t bytes = 0;

	for (size_t i = 0; i < ARRAY_LEN(vm_folders); i++) {
		snprintf(path, sizeof(path), "%.4000s/%s", from, vm_folders[i]);
		bytes += folder_bytes(path);
	}
	for (size_t i = 0; i < ARRAY_LEN(vm_files); i++) {
		snprintf(path, sizeof(path), "%.4000s/%s", from, vm_files[i]);
		bytes += tree_copy_file_bytes(path);
	}
	return bytes;
}
