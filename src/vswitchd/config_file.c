// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/check.h"
#include "message.h"
#include "paths.h"
#include "vswitchd/config.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define PORTS_MAX (SWITCHES_MAX * VSWITCH_UPLINKS_MAX)

struct switch_config *config_find(const struct switch_list *list, const char *name)
{
	for (unsigned i = 0; i < list->count; i++) {
		if (strcmp(list->switches[i].name, name) == 0) {
			return &list->switches[i];
		}
	}
	return NULL;
}

bool config_add(struct switch_list *list, const struct switch_config *c)
{
	struct switch_config *more =
		list->count < SWITCHES_MAX
			? realloc(list->switches, (list->count + 1) * sizeof(*more))
			: NULL;

	if (more == NULL) {
		return false;
	}
	list->switches = more;
	list->switches[list->count++] = *c;
	return true;
}

static size_t ports_count(const struct switch_list *list)
{
	return list->ports == NULL ? 0 : json_object_array_length(list->ports);
}

/* Is @o about switch @name, and port @port (NULL: any)? */
static bool is_of(struct json_object *o, const char *name, const char *port)
{
	const char *text;

	return json_text(o, "switch", &text) && strcmp(text, name) == 0 &&
	       (port == NULL || (json_text(o, "port", &text) && strcmp(text, port) == 0));
}

void config_drop(struct switch_list *list, struct switch_config *c)
{
	size_t at = (size_t)(c - list->switches);

	for (size_t i = ports_count(list); i-- > 0;) {
		if (is_of(json_object_array_get_idx(list->ports, i), c->name, NULL)) {
			json_object_array_del_idx(list->ports, i, 1);
		}
	}
	memmove(c, c + 1, (list->count - at - 1) * sizeof(*c));
	list->count--;
}

void config_set_port(struct switch_list *list, const char *name, const char *port,
		     struct json_object *options)
{
	for (size_t i = ports_count(list); i-- > 0;) {
		if (is_of(json_object_array_get_idx(list->ports, i), name, port)) {
			json_object_array_del_idx(list->ports, i, 1);
		}
	}
	if (options != NULL) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "switch", json_object_new_string(name));
		json_object_object_add(o, "port", json_object_new_string(port));
		json_object_object_add(o, "options", options);
		list->ports = list->ports != NULL ? list->ports : json_object_new_array();
		json_object_array_add(list->ports, o);
	}
}

void config_fini(struct switch_list *list)
{
	free(list->switches);
	json_object_put(list->ports);
	*list = (struct switch_list){0};
}

/* The whole file, or NULL with errno (0: too long). */
static char *read_file(const char *path, size_t *ret_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text = fd < 0 ? NULL : malloc(FILE_BYTES_MAX + 1);
	size_t at = 0;
	ssize_t n = 1;

	while (text != NULL && at <= FILE_BYTES_MAX &&
	       (n = read(fd, text + at, FILE_BYTES_MAX + 1 - at)) > 0) {
		at += (size_t)n;
	}
	int saved = errno;

	if (fd >= 0) {
		close(fd);
	}
	errno = saved;
	if (text != NULL && (n < 0 || at > FILE_BYTES_MAX)) {
		free(text);
		errno = n < 0 ? saved : 0;
		return NULL;
	}
	*ret_bytes = at;
	return text;
}

static bool take_switches(struct json_object *o, struct switch_list *list, char *error, size_t size)
{
	struct json_object *switches;

	if (o == NULL || !json_object_object_get_ex(o, "switches", &switches) ||
	    !json_object_is_type(switches, json_type_array) ||
	    json_object_array_length(switches) > SWITCHES_MAX) {
		snprintf(error, size, "expected {\"switches\": [...]} with at most %u switches",
			 SWITCHES_MAX);
		return false;
	}
	for (size_t i = 0; i < json_object_array_length(switches); i++) {
		struct switch_config c;

		if (!switch_config_parse(json_object_array_get_idx(switches, i), &c, error, size)) {
			return false;
		}
		if (config_find(list, c.name) != NULL) {
			snprintf(error, size, "switch '%s' is there twice", c.name);
			return false;
		}
		if (!config_add(list, &c)) {
			snprintf(error, size, "out of memory");
			return false;
		}
	}
	return true;
}

/* What the options are is for the process to find out: it knows the ports. */
static bool take_ports(struct json_object *o, struct switch_list *list, char *error, size_t size)
{
	struct json_object *ports, *options;
	const char *name, *port;
	size_t n = 0;

	if (!json_object_object_get_ex(o, "ports", &ports)) {
		return true;
	}
	n = json_object_is_type(ports, json_type_array) ? json_object_array_length(ports)
							: SIZE_MAX;
	for (size_t i = 0; n <= PORTS_MAX && i < n; i++) {
		struct json_object *p = json_object_array_get_idx(ports, i);

		if (!json_object_is_type(p, json_type_object) || !json_text(p, "switch", &name) ||
		    !json_text(p, "port", &port) ||
		    !json_object_object_get_ex(p, "options", &options) ||
		    !json_object_is_type(options, json_type_object)) {
			n = SIZE_MAX;
		}
	}
	if (n > PORTS_MAX) {
		snprintf(error, size,
			 "ports: expected a list of at most %u of {\"switch\", \"port\", "
			 "\"options\"}",
			 PORTS_MAX);
		return false;
	}
	/* A copy: json_object_get is also a name of jansson, and programs use this library beside it. */
	list->ports = NULL;
	if (json_object_deep_copy(ports, &list->ports, NULL) < 0) {
		snprintf(error, size, "out of memory");
		return false;
	}
	return true;
}

bool config_load(const char *path, struct switch_list *ret, char *error, size_t size)
{
	struct switch_list list = {0};
	char why[400];
	size_t bytes;
	char *text = read_file(path, &bytes);

	if (text == NULL && (errno == ENOENT || errno == ENOTDIR)) {
		*ret = list;
		return true;
	}
	if (text == NULL) {
		snprintf(error, size, "%s: %s", path,
			 errno == 0 ? "larger than 1 MiB, so not a list of switches"
				    : strerror(errno));
		return false;
	}
	struct json_object *o = message_parse(text, bytes);

	/* A file that a person wrote ends with a line feed; the parser leaves white space behind. */
	while (o == NULL && bytes > 0 && (text[bytes - 1] == '\n' || text[bytes - 1] == ' ')) {
		o = message_parse(text, --bytes);
	}
	free(text);
	bool ok =
		take_switches(o, &list, why, sizeof(why)) && take_ports(o, &list, why, sizeof(why));

	json_object_put(o);
	if (!ok) {
		config_fini(&list);
		snprintf(error, size, "%s: %s; correct the file, or remove it", path, why);
		return false;
	}
	*ret = list;
	return true;
}

static struct json_object *list_json(const struct switch_list *list)
{
	struct json_object *o = json_object_new_object(), *switches = json_object_new_array();

	for (unsigned i = 0; i < list->count; i++) {
		json_object_array_add(switches, switch_config_json(&list->switches[i]));
	}
	json_object_object_add(o, "switches", switches);
	if (ports_count(list) > 0) {
		struct json_object *ports = NULL;

		CHECK(json_object_deep_copy(list->ports, &ports, NULL) == 0);
		json_object_object_add(o, "ports", ports);
	}
	return o;
}

static int write_out(int fd, const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		ssize_t n = write(fd, text, left);

		if (n < 0) {
			return -errno;
		}
		text += n;
		left -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int sync_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(folder, sizeof(folder), "%.*s",
		 slash == NULL	 ? 1
		 : slash == path ? 1
				 : (int)(slash - path),
		 slash == NULL ? "." : path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0) {
		close(fd);
	}
	return r;
}

bool config_save(const char *path, const struct switch_list *list, char *error, size_t size)
{
	struct json_object *o = list_json(list);
	const char *text = json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	char part[PATH_MAX];
	int n = snprintf(part, sizeof(part), "%s.new", path);
	int fd = -1, r = n < 0 || (size_t)n >= sizeof(part) ? -ENAMETOOLONG : 0;

	if (r == 0 && !paths_make_above(path, error, size)) {
		json_object_put(o);
		return false;
	}
	if (r == 0 && (fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0) {
		r = -errno;
	}
	if (r == 0 && (r = write_out(fd, text)) == 0 && rename(part, path) < 0) {
		r = -errno;
	}
	if (fd >= 0) {
		close(fd);
	}
	if (r == 0) {
		r = sync_folder(path);
	} else {
		unlink(part);
	}
	json_object_put(o);
	if (r < 0) {
		snprintf(error, size, "%s: cannot be written: %s", path, strerror(-r));
	}
	return r == 0;
}

int config_lock(const char *path, char *error, size_t size)
{
	char lock[PATH_MAX];

	if (!paths_make_above(path, error, size)) {
		return -1;
	}
	snprintf(lock, sizeof(lock), "%s.lock", path);
	int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		snprintf(error, size, "%s: %s", lock, strerror(errno));
		if (fd >= 0) {
			close(fd);
		}
		return -1;
	}
	return fd;
}
