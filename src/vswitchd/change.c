// SPDX-License-Identifier: Apache-2.0
/* Switches that come and go: in the process and in the file, or in neither. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vswitchd/client.h"
#include "vswitchd/interface.h"
#include "vswitchd/written.h"
#include "json/json.h"

static int in_process(const struct switch_config *c, char *error, size_t size)
{
	int fds[VSWITCH_UPLINKS_MAX], r;
	json_t *request, *answer = NULL;

	if (!interface_open_all(c, true, fds, error, size)) {
		return -EINVAL;
	}
	request = vswitch_client_verb("create", NULL);
	json_add(request, "config", switch_config_json(c));
	r = vswitch_client_ask(true, request, fds, c->interface_count, &answer, error, size);
	for (unsigned i = 0; i < c->interface_count; i++) {
		close(fds[i]);
	}
	json_decref(answer);
	return r;
}

static int remove_in_process(const char *name, char *error, size_t size)
{
	json_t *answer = NULL;
	int r = vswitch_client_ask(false, vswitch_client_verb("remove", name), NULL, 0, &answer,
				   error, size);

	json_decref(answer);
	return r;
}

int switches_written_create(struct switches_written *w, const struct switch_config *c, char *error,
			    size_t size)
{
	char other[1200];
	int r;

	if (config_find(&w->list, c->name) != NULL) {
		snprintf(error, size,
			 "there is a switch '%s' already (%s); choose another name, or remove it "
			 "first",
			 c->name, w->path);
		return -EEXIST;
	}
	r = in_process(c, error, size);
	if (r < 0) {
		return r;
	}
	if (!config_add(&w->list, c)) {
		snprintf(error, size, "%s: has no room for another switch beside its %u", w->path,
			 w->list.count);
	} else if (switches_written_save(w, error, size)) {
		return 0;
	}
	/* What is not written down would be gone one day: better at once. */
	remove_in_process(c->name, other, sizeof(other));
	return -EIO;
}

int switches_written_remove(struct switches_written *w, const char *name, char *error, size_t size)
{
	struct switch_config *c = config_find(&w->list, name);
	int r;

	if (strcmp(name, SWITCH_DEFAULT) == 0) {
		snprintf(error, size, "the switch '%s' is always there", name);
		return -EPERM;
	}
	r = remove_in_process(name, error, size);
	/* Nobody there, or it does not know it: fine when it is only written down. */
	if (c != NULL && (r == -EHOSTDOWN || r == -ENOENT)) {
		r = 0;
	}
	if (r == -EHOSTDOWN) {
		snprintf(error, size, "there is no switch '%s'", name);
		return -ENOENT;
	}
	if (r < 0 || c == NULL) {
		return r;
	}
	config_drop(&w->list, c);
	return switches_written_save(w, error, size) ? 0 : -EIO;
}
