// SPDX-License-Identifier: Apache-2.0
/* Where disks go, and what the worker is told about them. Opening is in disks_open.c. */
#include "launch/disks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool same_bus(const struct launch_disk *a, const struct launch_disk *b)
{
	return (a->kind == LAUNCH_DISK_IDE) == (b->kind == LAUNCH_DISK_IDE);
}

/* Who has that place already; NULL: free. */
static const struct launch_disk *occupant(const struct launch_disks *all,
					  const struct launch_disk *d, uint32_t controller,
					  uint32_t lun)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct launch_disk *o = &all->disks[i];

		if (o != d && same_bus(o, d) && o->controller == controller && o->lun == lun) {
			return o;
		}
	}
	return NULL;
}

static bool place(const struct launch_disks *all, struct launch_disk *d, struct launch_error *error)
{
	bool ide = d->kind == LAUNCH_DISK_IDE;
	uint32_t controllers = ide ? LAUNCH_DISK_CHANNELS : LAUNCH_DISK_CONTROLLERS,
		 luns = ide ? LAUNCH_DISK_DRIVES : LAUNCH_DISK_LUNS;

	for (uint32_t c = 0; c < controllers; c++) {
		for (uint32_t l = 0; l < luns; l++) {
			if ((d->controller == LAUNCH_DISK_AUTO || d->controller == c) &&
			    (d->lun == LAUNCH_DISK_AUTO || d->lun == l) &&
			    occupant(all, d, c, l) == NULL) {
				d->controller = c;
				d->lun = l;
				return true;
			}
		}
	}
	return launch_refuse(error, "%s %s: no place is left; expected at most %u disks %s",
			     d->option, d->path, controllers * luns,
			     ide ? "on IDE" : "on SCSI controllers");
}

bool launch_disks_place(struct launch_disks *all, struct launch_error *error)
{
	for (size_t i = 0; i < all->count; i++) {
		struct launch_disk *d = &all->disks[i];
		const struct launch_disk *o = NULL;

		if (d->controller != LAUNCH_DISK_AUTO && d->lun != LAUNCH_DISK_AUTO) {
			o = occupant(all, d, d->controller, d->lun);
		}
		if (o != NULL) {
			return launch_refuse(
				error, "%s %s: %s %s has controller %u, lun %u already", d->option,
				d->path, o->option, o->path, d->controller, d->lun);
		}
	}
	for (size_t i = 0; i < all->count; i++) {
		if (!place(all, &all->disks[i], error)) {
			return false;
		}
	}
	return true;
}

/* ---- For the worker ---- */

static int disk_option(const struct launch_disk *d, char **ret)
{
	static const char *const kinds[] = {"scsi", "dvd", "ide"};

	return asprintf(ret, "--disk=%s:%u:%u:%s%s%s%s-:%llu:%llu:%s", kinds[d->kind],
			d->controller, d->lun, d->read_only ? "r" : "", d->raw ? "w" : "",
			d->temporary ? "t" : "", d->log ? "l" : "", (unsigned long long)d->iops,
			(unsigned long long)d->delay_ns, d->path);
}

static int file_option(const struct launch_disk_file *f, int number, char **ret)
{
	return asprintf(ret, "--file=%u:%d:%d:%zu:%s:%s", f->slot, number, f->writable,
			strlen(f->path), f->path, f->real);
}

bool launch_disks_option(const struct launch_disks *d, size_t index, bool by_index, char **ret_text)
{
	size_t n = index - d->count;
	int r;

	if (index < d->count) {
		r = disk_option(&d->disks[index], ret_text);
	} else if (n < d->file_count) {
		r = file_option(&d->files[n], by_index ? (int)n : d->files[n].fd, ret_text);
	} else {
		return false;
	}
	if (r < 0) {
		abort();
	}
	return true;
}

void launch_disks_fini(struct launch_disks *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->disks[i].path);
	}
	for (size_t i = 0; i < d->file_count; i++) {
		close(d->files[i].fd);
		free(d->files[i].path);
		free(d->files[i].real);
	}
	free(d->files);
	*d = (struct launch_disks){0};
}
