// SPDX-License-Identifier: Apache-2.0
/* What --disk, --dvd and --ide say. */
#include "run_disks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

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

static bool set_number(const struct launch_disk *d, const char *key, const char *value,
		       uint32_t limit, uint32_t *ret)
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

static bool is_allowed(const struct launch_disk *d, enum word w)
{
	switch (d->kind) {
	case LAUNCH_DISK_SCSI:
		return w < CHANNEL;
	case LAUNCH_DISK_IDE:
		return w < CONTROLLER || w >= CHANNEL;
	case LAUNCH_DISK_DVD:
		return w == CONTROLLER || w == LUN;
	}
	return false;
}

static bool set_word(struct launch_disk *d, enum word w, const char *value)
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
		return set_number(d, key, value, LAUNCH_DISK_CONTROLLERS, &d->controller);
	case LUN:
		return set_number(d, key, value, LAUNCH_DISK_LUNS, &d->lun);
	case CHANNEL:
		return set_number(d, key, value, LAUNCH_DISK_CHANNELS, &d->controller);
	case DRIVE:
		return set_number(d, key, value, LAUNCH_DISK_DRIVES, &d->lun);
	case WORDS:
		break;
	}
	return false;
}

/* "ro, raw, ... or lun=N"; @names: those words without their values, for guesses. */
static void list_words(const struct launch_disk *d, char text[128], const char *names[WORDS + 1])
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

static bool refuse_word(const struct launch_disk *d, const char *word)
{
	const char *names[WORDS + 1];
	char list[128], meant[CLI_GUESS_BYTES];

	list_words(d, list, names);
	complain("%s %s: '%s' is not known%s; expected %s", d->option, d->path, word,
		 guess(word, names, meant), list);
	return false;
}

static bool set_piece(struct launch_disk *d, char *piece)
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

bool run_disks_add(struct launch_disks *all, enum launch_disk_kind kind, const char *option,
		   const char *arg)
{
	struct launch_disk d = {.kind = kind,
				.option = option,
				.controller = LAUNCH_DISK_AUTO,
				.lun = LAUNCH_DISK_AUTO,
				.read_only = kind == LAUNCH_DISK_DVD};
	char *copy = strdup(arg), *rest = copy, *piece;
	bool ok = true;

	if (copy == NULL || all->count == LAUNCH_DISKS_MAX) {
		complain("%s: too many disks; expected at most %u", d.option, LAUNCH_DISKS_MAX);
		free(copy);
		return false;
	}
	d.path = next_piece(&rest);
	while (ok && (piece = next_piece(&rest)) != NULL) {
		ok = set_piece(&d, piece);
	}
	if (ok && d.path[0] == '\0' && kind != LAUNCH_DISK_DVD) {
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
