// SPDX-License-Identifier: Apache-2.0
/* Requests that change a running machine's disks and adapters, with what they hand over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "machine_parts.h"

/* ---- What is handed over ---- */

void machine_add_disk(struct launch_disks *all, const struct machine_disk *d)
{
	static const enum launch_disk_kind kinds[] = {
		[MACHINE_SCSI] = LAUNCH_DISK_SCSI,
		[MACHINE_DVD] = LAUNCH_DISK_DVD,
		[MACHINE_IDE] = LAUNCH_DISK_IDE,
	};
	char *path = strdup(d->path);

	CHECK(path != NULL && all->count < LAUNCH_DISKS_MAX);
	all->disks[all->count++] = (struct launch_disk){
		.kind = kinds[d->kind],
		.option = d->kind == MACHINE_DVD ? "DVD" : "disk",
		.path = path,
		.controller = d->number,
		.lun = d->location,
		.read_only = d->read_only || d->kind == MACHINE_DVD,
		.raw = d->raw,
		.temporary = d->temporary,
		.iops = d->iops,
	};
}

bool machine_add_adapter(struct launch_nets *all, const struct machine_adapter *a,
			 struct launch_error *error)
{
	if (!launch_nets_add(all, a->text, error)) {
		return false;
	}
	all->nets[all->count - 1].number = a->number;
	return true;
}

/* ---- Changes ---- */

static bool fill_disk(struct packet *p, const char *word, const struct launch_disks *disks,
		      uint64_t bytes, struct launch_error *error)
{
	char number[40];
	char *text;
	bool ok = packet_add_word(p, word, error);

	for (size_t i = 0; ok && launch_disks_option(disks, i, true, &text); i++) {
		ok = packet_add_word(p, text, error);
		free(text);
	}
	for (size_t i = 0; ok && i < disks->file_count; i++) {
		ok = packet_copy_fd(p, disks->files[i].fd, error);
	}
	snprintf(number, sizeof(number), "--bytes=%llu", (unsigned long long)bytes);
	return ok && packet_add_word(p, number, error);
}

struct packet *machine_disk_request(const char *word, const struct machine_disk *d, uint64_t bytes,
				    struct launch_error *error)
{
	struct launch_disks *disks = calloc(1, sizeof(*disks));
	struct packet *p = calloc(1, sizeof(*p));
	bool opens = strcmp(word, "attach") == 0 || strcmp(word, "medium") == 0;

	CHECK(disks != NULL && p != NULL);
	machine_add_disk(disks, d);
	bool ok = (!opens || launch_disks_open(disks, error)) &&
		  fill_disk(p, word, disks, bytes, error);

	launch_disks_fini(disks);
	free(disks);
	if (!ok) {
		packet_drop(p);
		return NULL;
	}
	return p;
}

static bool fill_adapter(struct packet *p, const char *word, const struct launch_nets *nets,
			 struct launch_error *error)
{
	int fds[PACKET_DESCRIPTORS_MAX];
	char *text;

	CHECK(launch_nets_option(nets, 0, true, &text));
	bool ok = packet_add_word(p, word, error) && packet_add_word(p, text, error);
	unsigned count = launch_nets_fds(nets, 0, fds, PACKET_DESCRIPTORS_MAX);

	free(text);
	for (unsigned i = 0; ok && i < count; i++) {
		ok = packet_copy_fd(p, fds[i], error);
	}
	return ok;
}

/* Without a cable there is nothing to hand over. */
static bool fill_number(struct packet *p, const char *word, unsigned number,
			struct launch_error *error)
{
	char text[32];

	snprintf(text, sizeof(text), "--number=%u", number);
	return packet_add_word(p, word, error) && packet_add_word(p, text, error);
}

static bool plug_and_fill(struct packet *p, const char *word, const char *name, uint64_t processors,
			  const struct machine_adapter *a, struct launch_error *error)
{
	struct launch_nets *nets = calloc(1, sizeof(*nets));

	CHECK(nets != NULL);
	bool ok = machine_add_adapter(nets, a, error) &&
		  launch_nets_plug(nets, name, wire_queues(processors), error) &&
		  fill_adapter(p, word, nets, error);

	launch_nets_fini(nets);
	free(nets);
	return ok;
}

static bool is_unplugged(const struct machine_adapter *a)
{
	size_t n = strlen(LAUNCH_NETS_NONE);

	return strncmp(a->text, LAUNCH_NETS_NONE, n) == 0 &&
	       (a->text[n] == '\0' || a->text[n] == ',');
}

struct packet *machine_adapter_request(const char *word, const char *name, uint64_t processors,
				       const struct machine_adapter *a, struct launch_error *error)
{
	struct packet *p = calloc(1, sizeof(*p));
	bool ok;

	CHECK(p != NULL);
	if (strcmp(word, "net-detach") == 0) {
		ok = fill_number(p, word, a->number, error);
	} else if (strcmp(word, "net-connect") == 0 && is_unplugged(a)) {
		ok = fill_number(p, "net-disconnect", a->number, error);
	} else {
		ok = plug_and_fill(p, word, name, processors, a, error);
	}
	if (!ok) {
		packet_drop(p);
		return NULL;
	}
	return p;
}
