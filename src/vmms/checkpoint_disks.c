// SPDX-License-Identifier: Apache-2.0
#include "checkpoint_disks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_error.h"
#include "backend/backend.h"
#include "checkpoint_files.h"
#include "config.h"
#include "disk_make.h"
#include "lib/check.h"
#include "plan.h"

#define SCSI_CONTROLLERS 4u /* slots of IDE drives come behind theirs */

void checkpoint_disks_take(const struct vm *vm, const json_t *configuration,
			   struct checkpoint_disks *ret)
{
	const json_t *all = json_object_get(configuration, "disks");

	*ret = (struct checkpoint_disks){
		.disks = calloc(json_array_size(all) + 1, sizeof(*ret->disks))};
	CHECK(ret->disks != NULL);
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *disk = json_array_get(all, i);
		const char *path = json_string_value(json_object_get(disk, "path"));
		const char *controller = json_string_value(json_object_get(disk, "controller"));
		struct checkpoint_disk *d = &ret->disks[ret->count];

		if (!checkpoint_disk_takes_part(disk)) {
			continue;
		}
		*d = (struct checkpoint_disk){
			.ide = controller != NULL && strcmp(controller, "ide") == 0,
			.number = (unsigned)json_integer_value(json_object_get(disk, "number")),
			.location = (unsigned)json_integer_value(json_object_get(disk, "location")),
			.old_path = strdup(path),
			.new_path = checkpoint_new_path(path),
			.fd = -1,
		};
		CHECK(d->old_path != NULL);
		d->old_absolute = plan_path(vm, d->old_path);
		d->new_absolute = plan_path(vm, d->new_path);
		ret->count++;
	}
}

void checkpoint_disks_fini(struct checkpoint_disks *d)
{
	for (size_t i = 0; i < d->count; i++) {
		struct checkpoint_disk *k = &d->disks[i];

		if (k->fd >= 0) {
			close(k->fd);
		}
		free(k->old_path);
		free(k->new_path);
		free(k->old_absolute);
		free(k->new_absolute);
	}
	free(d->disks);
	*d = (struct checkpoint_disks){0};
}

json_t *checkpoint_disks_json(const struct checkpoint_disks *d)
{
	json_t *list = json_array();

	CHECK(list != NULL);
	for (size_t i = 0; i < d->count; i++) {
		json_array_append_new(list, json_pack("{s:s, s:s}", "old", d->disks[i].old_path,
						      "new", d->disks[i].new_path));
	}
	return list;
}

void checkpoint_disks_switch(const struct checkpoint_disks *d, json_t *configuration)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct checkpoint_disk *k = &d->disks[i];

		checkpoint_files_add(configuration, k->old_path, NULL, false);
		checkpoint_files_add(configuration, k->new_path, k->old_path, true);
		checkpoint_disks_rename(configuration, k->old_path, k->new_path);
	}
}

/* ---- On a thread ---- */

void checkpoint_disks_remove(struct checkpoint_disks *d)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->disks[i].fd >= 0) {
			close(d->disks[i].fd);
			d->disks[i].fd = -1;
		}
		unlink(d->disks[i].new_absolute);
	}
}

static bool fail(struct checkpoint_failure *ret, const char *path, int why)
{
	ret->code = api_error_of_errno(-why);
	snprintf(ret->text, sizeof(ret->text), "%.1000s: %s", path, strerror(-why));
	return false;
}

bool checkpoint_disks_open(struct checkpoint_disks *d, struct checkpoint_failure *ret)
{
	for (size_t i = 0; i < d->count; i++) {
		int r = backend_open(d->disks[i].new_absolute, BACKEND_CREATE, &d->disks[i].fd,
				     NULL);

		if (r < 0) {
			fail(ret, d->disks[i].new_absolute, r);
			checkpoint_disks_remove(d);
			return false;
		}
	}
	return true;
}

bool checkpoint_disks_make(struct checkpoint_disks *d, struct job *job,
			   struct checkpoint_failure *ret)
{
	struct disk_make_error error;

	for (size_t i = 0; i < d->count; i++) {
		if (!disk_make(d->disks[i].new_absolute, 0, d->disks[i].old_absolute, job,
			       &error)) {
			ret->code = error.code;
			snprintf(ret->text, sizeof(ret->text), "%s", error.text);
			checkpoint_disks_remove(d);
			return false;
		}
	}
	return true;
}

/* ---- The request ---- */

static bool add_disk(struct packet *p, const struct checkpoint_disk *d, unsigned index,
		     struct launch_error *error)
{
	unsigned slot = d->ide ? SCSI_CONTROLLERS + d->number * 2 + d->location : d->number;
	char *disk, *file;
	bool ok;

	CHECK(asprintf(&disk, "--disk=%s:%u:%u:-:0:0:%s", d->ide ? "ide" : "scsi", d->number,
		       d->location, d->new_absolute) > 0);
	CHECK(asprintf(&file, "--file=%u:%u:1:%zu:%s:%s", slot, index, strlen(d->new_absolute),
		       d->new_absolute, d->new_absolute) > 0);
	ok = packet_add_word(p, disk, error) && packet_add_word(p, file, error) &&
	     packet_copy_fd(p, d->fd, error);
	free(disk);
	free(file);
	return ok;
}

struct packet *checkpoint_disks_request(const struct checkpoint_disks *d, int state_fd,
					struct checkpoint_failure *ret)
{
	struct packet *p = calloc(1, sizeof(*p));
	struct launch_error error = {{0}};
	unsigned first = state_fd >= 0;

	CHECK(p != NULL);
	bool ok = packet_add_word(p, "checkpoint", &error);

	if (ok && state_fd >= 0) {
		ok = packet_copy_fd(p, state_fd, &error);
	} else if (ok) {
		ok = packet_add_word(p, "--no-memory", &error);
	}
	for (size_t i = 0; i < d->count && ok; i++) {
		ok = add_disk(p, &d->disks[i], first + (unsigned)i, &error);
	}
	if (!ok) {
		ret->code = API_FAILED;
		snprintf(ret->text, sizeof(ret->text), "%s", error.text);
		packet_drop(p);
		return NULL;
	}
	return p;
}
