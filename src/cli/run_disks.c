// SPDX-License-Identifier: Apache-2.0
/* --disk, --dvd and --ide: what they say and where the disks go. Opening is in run_disks_open.c. */
#include "run_disks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define IDE_CHANNELS 2u
#define IDE_DRIVES 2u

static const char *const option_names[] = {"--disk", "--dvd", "--ide"};

/* Cuts the next piece off *@rest: up to a single comma; a double one stands for itself. */
static char *next_piece(char **rest)
{
	char *start = *rest, *to = start, *from = start;

	if (start == NULL) {
		return NULL;
	}
	*rest = NULL;
	for (; *from != '\0'; from++) {
		if (*from == ',') {
			if (from[1] != ',') {
				*rest = from + 1;
				break;
			}
			from++;
		}
		*to++ = *from;
	}
	*to = '\0';
	return start;
}

static bool set_number(const struct run_disk *d, const char *key, const char *value, uint32_t limit,
		       uint32_t *ret)
{
	uint64_t n;

	if (!parse_count(value, &n) || n >= limit) {
		complain("%s %s: %s=%s; expected a number from 0 to %u", d->option, d->path, key,
			 value, limit - 1);
		return false;
	}
	*ret = (uint32_t)n;
	return true;
}

/* What an option behind the file's name may be. */
enum word { RO, RAW, TEMPORARY, LOG, IOPS, DELAY, CONTROLLER, LUN, CHANNEL, DRIVE, WORDS };

static const char *const word_names[] = {
	"ro",	      "raw", "temporary", "log",   "iops", "delay",
	"controller", "lun", "channel",	  "drive", NULL,
};

static bool is_flag(enum word w)
{
	return w <= LOG;
}

static bool is_allowed(const struct run_disk *d, enum word w)
{
	switch (d->kind) {
	case RUN_DISK_SCSI:
		return w < CHANNEL;
	case RUN_DISK_IDE:
		return w < CONTROLLER || w >= CHANNEL;
	case RUN_DISK_DVD:
		return w == CONTROLLER || w == LUN;
	}
	return false;
}

static bool set_word(struct run_disk *d, enum word w, const char *value)
{
	const char *key = word_names[w];

	switch (w) {
	case RO:
		d->read_only = true;
		return true;
	case RAW:
		d->raw = true;
		return true;
	case TEMPORARY:
		d->temporary = true;
		return true;
	case LOG:
		d->log = true;
		return true;
	case IOPS:
		if (parse_count(value, &d->iops) && d->iops > 0) {
			return true;
		}
		complain("%s %s: iops=%s; expected a number above 0", d->option, d->path, value);
		return false;
	case DELAY:
		if (parse_duration_ns(value, &d->delay_ns)) {
			return true;
		}
		complain("%s %s: delay=%s; expected a time such as 5ms", d->option, d->path, value);
		return false;
	case CONTROLLER:
		return set_number(d, key, value, RUN_DISK_CONTROLLERS, &d->controller);
	case LUN:
		return set_number(d, key, value, RUN_DISK_LUNS, &d->lun);
	case CHANNEL:
		return set_number(d, key, value, IDE_CHANNELS, &d->controller);
	case DRIVE:
		return set_number(d, key, value, IDE_DRIVES, &d->lun);
	case WORDS:
		break;
	}
	return false;
}

/* "ro, raw, ... or lun=N"; @names: those words without their values, for guesses. */
static void list_words(const struct run_disk *d, char text[128], const char *names[WORDS + 1])
{
	size_t used = 0, count = 0;

	for (enum word w = RO; w < WORDS; w++) {
		if (is_allowed(d, w)) {
			names[count] = word_names[w];
			used += (size_t)snprintf(text + used, 128 - used, "%s%s%s",
						 count++ == 0 ? "" : ", ", word_names[w],
						 is_flag(w)   ? ""
						 : w == DELAY ? "=TIME"
							      : "=N");
		}
	}
	names[count] = NULL;
}

static bool refuse_word(const struct run_disk *d, const char *word)
{
	const char *names[WORDS + 1];
	char list[128], meant[CLI_GUESS_BYTES];

	list_words(d, list, names);
	complain("%s %s: '%s' is not known%s; expected %s", d->option, d->path, word,
		 guess(word, names, meant), list);
	return false;
}

static bool set_piece(struct run_disk *d, char *piece)
{
	char *value = strchr(piece, '=');

	if (value != NULL) {
		*value++ = '\0';
	}
	for (enum word w = RO; w < WORDS; w++) {
		if (!is_allowed(d, w) || strcmp(piece, word_names[w]) != 0) {
			continue;
		}
		if (is_flag(w) != (value == NULL)) {
			complain("%s %s: '%s' %s", d->option, d->path, piece,
				 is_flag(w) ? "takes no value" : "needs a value, as in lun=1");
			return false;
		}
		return set_word(d, w, value);
	}
	return refuse_word(d, piece);
}

bool run_disks_add(struct run_disks *all, enum run_disk_kind kind, const char *arg)
{
	struct run_disk d = {.kind = kind,
			     .option = all->option != NULL ? all->option : option_names[kind],
			     .controller = RUN_DISK_AUTO,
			     .lun = RUN_DISK_AUTO,
			     .read_only = kind == RUN_DISK_DVD};
	char *copy = strdup(arg), *rest = copy, *piece;
	bool ok = true;

	if (copy == NULL || all->count == RUN_DISKS_MAX) {
		complain("%s: too many disks; expected at most %u", d.option, RUN_DISKS_MAX);
		free(copy);
		return false;
	}
	d.path = next_piece(&rest);
	while (ok && (piece = next_piece(&rest)) != NULL) {
		ok = set_piece(&d, piece);
	}
	if (ok && d.path[0] == '\0' && kind != RUN_DISK_DVD) {
		complain("%s: the file's name is missing", d.option);
		ok = false;
	}
	if (!ok) {
		free(copy);
		return false;
	}
	all->disks[all->count++] = d;
	return true;
}

/* ---- Places ---- */

static bool same_bus(const struct run_disk *a, const struct run_disk *b)
{
	return (a->kind == RUN_DISK_IDE) == (b->kind == RUN_DISK_IDE);
}

/* Who has that place already; NULL: free. */
static const struct run_disk *occupant(const struct run_disks *all, const struct run_disk *d,
				       uint32_t controller, uint32_t lun)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct run_disk *o = &all->disks[i];

		if (o != d && same_bus(o, d) && o->controller == controller && o->lun == lun) {
			return o;
		}
	}
	return NULL;
}

static bool place(const struct run_disks *all, struct run_disk *d)
{
	bool ide = d->kind == RUN_DISK_IDE;
	uint32_t controllers = ide ? IDE_CHANNELS : RUN_DISK_CONTROLLERS,
		 luns = ide ? IDE_DRIVES : RUN_DISK_LUNS;

	for (uint32_t c = 0; c < controllers; c++) {
		for (uint32_t l = 0; l < luns; l++) {
			if ((d->controller == RUN_DISK_AUTO || d->controller == c) &&
			    (d->lun == RUN_DISK_AUTO || d->lun == l) &&
			    occupant(all, d, c, l) == NULL) {
				d->controller = c;
				d->lun = l;
				return true;
			}
		}
	}
	complain("%s %s: no place is left; expected at most %u disks %s", d->option, d->path,
		 controllers * luns, ide ? "on IDE" : "on SCSI controllers");
	return false;
}

bool run_disks_place(struct run_disks *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct run_disk *d = &all->disks[i];
		const struct run_disk *o = NULL;

		if (d->controller != RUN_DISK_AUTO && d->lun != RUN_DISK_AUTO) {
			o = occupant(all, d, d->controller, d->lun);
		}
		if (o != NULL) {
			complain("%s %s: %s %s has controller %u, lun %u already", d->option,
				 d->path, o->option, o->path, d->controller, d->lun);
			return false;
		}
	}
	for (size_t i = 0; i < all->count; i++) {
		if (!place(all, &all->disks[i])) {
			return false;
		}
	}
	return true;
}

/* ---- For the worker ---- */

static int disk_option(const struct run_disk *d, char **ret)
{
	static const char *const kinds[] = {"scsi", "dvd", "ide"};

	return asprintf(ret, "--disk=%s:%u:%u:%s%s%s%s-:%llu:%llu:%s", kinds[d->kind],
			d->controller, d->lun, d->read_only ? "r" : "", d->raw ? "w" : "",
			d->temporary ? "t" : "", d->log ? "l" : "", (unsigned long long)d->iops,
			(unsigned long long)d->delay_ns, d->path);
}

static int file_option(const struct run_disk_file *f, int number, char **ret)
{
	return asprintf(ret, "--file=%u:%d:%d:%zu:%s:%s", f->slot, number, f->writable,
			strlen(f->path), f->path, f->real);
}

bool run_disks_option(const struct run_disks *d, size_t index, bool by_index, char **ret_text)
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

void run_disks_fini(struct run_disks *d)
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
	*d = (struct run_disks){0};
}
