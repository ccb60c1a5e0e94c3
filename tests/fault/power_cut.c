// SPDX-License-Identifier: Apache-2.0
/* Plays scenarios and cuts the power in them; one TAP line each. See README.md. */
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "scenarios.h"

static const struct scenario_list *const lists[] = {
	&scenarios_use, &scenarios_change, &scenarios_copy, &scenarios_recover, &scenarios_branch};

static size_t count_all(void)
{
	size_t n = 0;

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		n += lists[l]->count;
	}
	return n;
}

/* The scenario number @i of all, in the order of the lists. */
static const struct scenario *number(size_t i)
{
	size_t l = 0;

	while (i >= lists[l]->count) {
		i -= lists[l++]->count;
	}
	return &lists[l]->scenarios[i];
}

static const struct scenario *find(const char *name)
{
	for (size_t i = 0; i < count_all(); i++) {
		if (strcmp(number(i)->name, name) == 0) {
			return number(i);
		}
	}
	return NULL;
}

static void list_names(void)
{
	for (size_t i = 0; i < count_all(); i++) {
		puts(number(i)->name);
	}
}

/* Cuts of @scenario, or -1 when some failed. */
static int64_t run(const struct scenario *scenario, struct scene_options options, uint64_t seeds)
{
	struct scene_result result;
	uint64_t cuts = 0, events = 0;

	for (uint64_t i = 0; i < seeds; i++) {
		scene_run(scenario, &options, &result);
		cuts += result.cuts;
		events += result.events;
		if (result.failures != 0) {
			return -1;
		}
		options.seed++;
	}
	printf("# %s: %" PRIu64 " cuts in %" PRIu64 " events\n", scenario->name, cuts, events);
	return (int64_t)cuts;
}

struct settings {
	struct scene_options scene;
	uint64_t seeds;	   /* of each scenario, one after the other */
	uint64_t at_least; /* so many cuts, or the test fails */
};

static int usage(void)
{
	fprintf(stderr,
		"usage: power_cut [--seed N] [--seeds N] [--every N] [--variants N] "
		"[--failures N] [--at-least CUTS] [--dump FOLDER] [SCENARIO...] | --list\n");
	return 2;
}

/* False: something is not right. */
static bool read_option(int opt, struct settings *s)
{
	switch (opt) {
	case 's':
		s->scene.seed = strtoull(optarg, NULL, 10);
		return true;
	case 'n':
		s->seeds = strtoull(optarg, NULL, 10);
		return true;
	case 'e':
		s->scene.every = (unsigned)max_u64(1, strtoull(optarg, NULL, 10));
		return true;
	case 'v':
		s->scene.variants = (unsigned)strtoul(optarg, NULL, 10);
		return true;
	case 'f':
		s->scene.max_failures = (unsigned)strtoul(optarg, NULL, 10);
		return true;
	case 'a':
		s->at_least = strtoull(optarg, NULL, 10);
		return true;
	case 'd':
		s->scene.dump = optarg;
		return true;
	default:
		return false;
	}
}

/* Plays them all and prints TAP; the program's status. */
static int run_all(const struct scenario *const *scenarios, size_t count, const struct settings *s)
{
	uint64_t cuts = 0;
	bool failed = false;

	printf("1..%zu\n", count + 1);
	for (size_t i = 0; i < count; i++) {
		int64_t n = run(scenarios[i], s->scene, s->seeds);

		printf("%s %zu - %s\n", n >= 0 ? "ok" : "not ok", i + 1, scenarios[i]->name);
		fflush(stdout);
		failed |= n < 0;
		cuts += n > 0 ? (uint64_t)n : 0;
	}
	failed |= cuts < s->at_least;
	printf("%s %zu - %" PRIu64 " cuts, of %" PRIu64 " promised\n",
	       cuts < s->at_least ? "not ok" : "ok", count + 1, cuts, s->at_least);
	return failed;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {{"seed", required_argument, NULL, 's'},
						     {"seeds", required_argument, NULL, 'n'},
						     {"every", required_argument, NULL, 'e'},
						     {"variants", required_argument, NULL, 'v'},
						     {"failures", required_argument, NULL, 'f'},
						     {"dump", required_argument, NULL, 'd'},
						     {"at-least", required_argument, NULL, 'a'},
						     {"list", no_argument, NULL, 'l'},
						     {0}};
	struct settings s = {.scene = {.seed = 1, .variants = 2, .every = 1, .max_failures = 3},
			     .seeds = 1};
	const struct scenario *scenarios[256];
	size_t count = 0;
	int opt;

	/* Images come and go by the million pages: the heap keeps what it has. */
	mallopt(M_MMAP_THRESHOLD, INT32_MAX);
	mallopt(M_TRIM_THRESHOLD, INT32_MAX);
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (opt == 'l') {
			list_names();
			return 0;
		}
		if (!read_option(opt, &s)) {
			return usage();
		}
	}
	for (; optind < argc && count < ARRAY_LEN(scenarios); optind++) {
		scenarios[count] = find(argv[optind]);
		if (scenarios[count++] == NULL) {
			fprintf(stderr, "power_cut: there is no scenario \"%s\"; see --list\n",
				argv[optind]);
			return 2;
		}
	}
	for (size_t n = count == 0 ? count_all() : 0; count < n; count++) {
		scenarios[count] = number(count);
	}
	return run_all(scenarios, count, &s);
}
