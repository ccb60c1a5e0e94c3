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
#include "json/file.h"

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
	return list->ports == NULL ? 0 : json_array_size(list->ports);
}

/* Is @o about switch @name, and port @port (NULL: any)? */
static bool is_of(json_t *o, const char *name, const char *port)
{
	const char *text;

	return json_text(o, "switch", &text) && strcmp(text, name) == 0 &&
	       (port == NULL || (json_text(o, "port", &text) && strcmp(text, port) == 0));
}

void config_drop(struct switch_list *list, struct switch_config *c)
{
	size_t at = (size_t)(c - list->switches);

	for (size_t i = ports_count(list); i-- > 0;) {
		if (is_of(json_array_get(list->ports, i), c->name, NULL)) {
			json_array_remove(list->ports, i);
		}
	}
	memmove(c, c + 1, (list->count - at - 1) * sizeof(*c));
	list->count--;
}

void config_set_port(struct switch_list *list, const char *name, const char *port, json_t *options)
{
	for (size_t i = ports_count(list); i-- > 0;) {
		if (is_of(json_array_get(list->ports, i), name, port)) {
			json_array_remove(list->ports, i);
		}
	}
	if (options != NULL) {
		json_t *o = json_object();

		json_add_text(o, "switch", name);
		json_add_text(o, "port", port);
		json_add(o, "options", options);
		list->ports = list->ports != NULL ? list->ports : json_array();
		json_append(list->ports, o);
	}
}

void config_fini(struct switch_list *list)
{
	free(list->switches);
	json_decref(list->ports);
	*list = (struct switch_list){0};
}

static bool take_switches(json_t *o, struct switch_list *list, char *error, size_t size)
{
	json_t *switches = json_object_get(o, "switches");

	if (!json_is_array(switches) || json_array_size(switches) > SWITCHES_MAX) {
		snprintf(error, size, "expected {\"switches\": [...]} with at most %u switches",
			 SWITCHES_MAX);
		return false;
	}
	for (size_t i = 0; i < json_array_size(switches); i++) {
		struct switch_config c;

		if (!switch_config_parse(json_array_get(switches, i), &c, error, size)) {
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
static bool take_ports(json_t *o, struct switch_list *list, char *error, size_t size)
{
	json_t *ports = json_object_get(o, "ports");
	const char *name, *port;
	size_t n = 0;

	if (ports == NULL) {
		return true;
	}
	n = json_is_array(ports) ? json_array_size(ports) : SIZE_MAX;
	for (size_t i = 0; n <= PORTS_MAX && i < n; i++) {
		const json_t *p = json_array_get(ports, i);

		if (!json_is_object(p) || !json_text(p, "switch", &name) ||
		    !json_text(p, "port", &port) ||
		    !json_is_object(json_object_get(p, "options"))) {
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
	list->ports = json_incref(ports);
	return true;
}

bool config_load(const char *path, struct switch_list *ret, char *error, size_t size)
{
	struct switch_list list = {0};
	char why[400];
	size_t bytes = 0;
	char *text = NULL;
	int r = file_load(path, FILE_BYTES_MAX, &text, &bytes);

	if (r == -ENOENT || r == -ENOTDIR) {
		*ret = list;
		return true;
	}
	if (r < 0) {
		snprintf(error, size, "%s: %s", path,
			 r == -EFBIG ? "larger than 1 MiB, so not a list of switches"
				     : strerror(-r));
		return false;
	}
	json_t *o = message_parse(text, bytes);

	free(text);
	bool ok =
		take_switches(o, &list, why, sizeof(why)) && take_ports(o, &list, why, sizeof(why));

	json_decref(o);
	if (!ok) {
		config_fini(&list);
		snprintf(error, size, "%s: %s; correct the file, or remove it", path, why);
		return false;
	}
	*ret = list;
	return true;
}

static json_t *list_json(const struct switch_list *list)
{
	json_t *o = json_object(), *switches = json_array();

	for (unsigned i = 0; i < list->count; i++) {
		json_append(switches, switch_config_json(&list->switches[i]));
	}
	json_add(o, "switches", switches);
	if (ports_count(list) > 0) {
		json_add(o, "ports", json_incref(list->ports));
	}
	return o;
}

bool config_save(const char *path, const struct switch_list *list, char *error, size_t size)
{
	if (!paths_make_above(path, error, size)) {
		return false;
	}
	json_t *o = list_json(list);
	char *text = json_dumps(o, JSON_LOOK);

	CHECK(text != NULL);
	int r = file_replace(path, text, strlen(text), 0644, true);

	free(text);
	json_decref(o);
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
