// SPDX-License-Identifier: Apache-2.0
#include "locator.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/text.h"

static bool is_separator(char c)
{
	return c == '\\' || c == '/';
}

/*
 * True for what only Windows can resolve: drives, \\?\ and \\.\ names, shares. A single leading separator is a path of this
 * host, as vhd_locator_make writes them.
 */
static bool is_windows_only(const char *s)
{
	bool letter = (s[0] >= 'a' && s[0] <= 'z') || (s[0] >= 'A' && s[0] <= 'Z');

	return (letter && s[1] == ':') || (is_separator(s[0]) && is_separator(s[1]));
}

/* A path under construction: absolute, "/" once between components; "" is the root. */
struct path {
	char *text;
	size_t used;
};

static void drop_last(struct path *p)
{
	while (p->used > 0 && p->text[--p->used] != '/') {
	}
	p->text[p->used] = '\0';
}

static bool append(struct path *p, const char *component, size_t length)
{
	if (length >= VHD_PATH_BYTES - p->used - 1) {
		return false;
	}
	p->text[p->used] = '/';
	memcpy(p->text + p->used + 1, component, length);
	p->used += length + 1;
	p->text[p->used] = '\0';
	return true;
}

/* Walks along @s, with separators of either kind, as Windows does: ".." takes the last name away whatever it was. */
static bool walk(struct path *p, const char *s)
{
	while (*s != '\0') {
		size_t length = strcspn(s, "\\/");

		if (length == 2 && memcmp(s, "..", 2) == 0) {
			drop_last(p);
		} else if (length != 0 && !(length == 1 && s[0] == '.') && !append(p, s, length)) {
			return false;
		}
		s += length;
		s += *s != '\0';
	}
	return true;
}

/* @first, then @second from there; @second may be NULL. */
static bool join(const char *first, const char *second, char ret[VHD_PATH_BYTES])
{
	struct path p = {.text = ret};

	ret[0] = '\0';
	return walk(&p, first) && (second == NULL || walk(&p, second)) && p.used != 0;
}

static const char *last_name(const char *s)
{
	const char *name = s;

	for (; *s != '\0'; s++) {
		name = is_separator(*s) ? s + 1 : name;
	}
	return name;
}

static bool place_relative(const char *child_dir, const char *recorded, char ret[VHD_PATH_BYTES])
{
	return recorded[0] != '\0' && !is_separator(recorded[0]) && !is_windows_only(recorded) &&
	       join(child_dir, recorded, ret);
}

static bool place_absolute(const char *recorded, char ret[VHD_PATH_BYTES])
{
	return is_separator(recorded[0]) && !is_windows_only(recorded) && join(recorded, NULL, ret);
}

static bool place_beside(const char *child_dir, const char *recorded, char ret[VHD_PATH_BYTES])
{
	const char *name = last_name(recorded);

	return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       join(child_dir, name, ret);
}

bool vhd_locator_place(const struct vhd_locator *l, const char *child_dir, unsigned index,
		       char ret[VHD_PATH_BYTES])
{
	switch (index) {
	case 0:
		return place_relative(child_dir, l->relative, ret);
	case 1:
		return place_absolute(l->volume, ret);
	case 2:
		return place_absolute(l->absolute, ret);
	case 3:
		return place_beside(child_dir, l->name, ret);
	case 4:
		return place_beside(child_dir, l->absolute, ret);
	case 5:
		return place_beside(child_dir, l->volume, ret);
	default:
		return false;
	}
}

/* How much of both paths is the same directory: the length up to where their components part. */
static size_t common_directory(const char *dir, const char *file)
{
	size_t common = 0;

	for (size_t i = 0;; i++) {
		bool dir_ends = dir[i] == '/' || dir[i] == '\0';

		if (dir_ends && file[i] == '/') {
			common = i;
		}
		if (dir[i] == '\0' || dir[i] != file[i]) {
			return common;
		}
	}
}

static void to_backslashes(char *s)
{
	for (; *s != '\0'; s++) {
		*s = *s == '/' ? '\\' : *s;
	}
}

/* False: too long. */
static bool make_relative(const char *child_dir, const char *parent, char *ret, size_t size)
{
	size_t common = common_directory(child_dir, parent), used = 0;

	ret[0] = '\0';
	for (const char *up = child_dir + common; *up != '\0'; up++) {
		if (*up != '/' || up[1] == '\0') {
			continue;
		}
		if (used + 4 > size) {
			return false;
		}
		memcpy(ret + used, "..\\", 4);
		used += 3;
	}
	int n = snprintf(ret + used, size - used, "%s%s", used == 0 ? ".\\" : "",
			 parent + common + 1);

	to_backslashes(ret);
	return n >= 0 && (size_t)n < size - used;
}

int vhd_locator_make(const char *child_dir, const char *parent, struct vhd_locator *ret,
		     struct vhd_error *error)
{
	if (strchr(parent, '\\') != NULL) {
		return vhd_fail(
			error, VHD_INVALID_ARGUMENT,
			"%s: a parent's path with a backslash cannot be recorded; rename it",
			parent);
	}
	memset(ret, 0, sizeof(*ret));
	if (!text_copy(ret->absolute, sizeof(ret->absolute), parent) ||
	    !text_copy(ret->name, sizeof(ret->name), last_name(parent)) ||
	    !make_relative(child_dir, parent, ret->relative, sizeof(ret->relative))) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT, "%s: the parent's path is too long",
				parent);
	}
	to_backslashes(ret->absolute);
	return 0;
}

int vhd_real_directory(const struct vhd_host *host, const char *path, bool follow,
		       char ret[VHD_PATH_BYTES], struct vhd_error *error)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
	int err;

	if (follow) {
		err = host->real_path(host->ctx, path, ret, VHD_PATH_BYTES);
		if (err == 0 && (slash = strrchr(ret, '/')) != NULL) {
			ret[slash == ret ? 1 : slash - ret] = '\0';
		}
		return err == 0 ? 0 : vhd_fail_errno(error, err, path, "cannot find its directory");
	}
	if (length + 2 > VHD_PATH_BYTES) {
		return vhd_fail_errno(error, -ENAMETOOLONG, path, "cannot find its directory");
	}
	char dir[VHD_PATH_BYTES];

	memcpy(dir, path, length);
	memcpy(dir + length, ".", 2);
	err = host->real_path(host->ctx, dir, ret, VHD_PATH_BYTES);
	return err == 0 ? 0 : vhd_fail_errno(error, err, path, "cannot find its directory");
}
