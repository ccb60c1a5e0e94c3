// SPDX-License-Identifier: Apache-2.0
#include "scene.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

_Noreturn void scene_fail(const struct scene *s, const char *what, const char *why)
{
	printf("Bail out! %s: %s: %s\n", s->scenario->name, what, why);
	fflush(stdout);
	exit(1);
}

void scene_event(struct scene *s, enum event_kind kind, uint64_t value)
{
	struct model *m = &s->model;

	if (s->lab.journal != NULL) {
		journal_add(s->lab.journal,
			    &(struct event){.kind = kind, .ref = (uint32_t)value, .bytes = value});
	} else if (kind == EVENT_GUEST_SETTLED) {
		model_settle(m);
	} else if (kind == EVENT_RESIZED) {
		m->size = m->next_size = value;
	}
}

void scene_open(struct scene *s, const char *path)
{
	const struct subject *subject = s->scenario->subject;
	char why[1024];

	if (subject->open(subject, &s->lab.host, path, true, &s->opened, why, sizeof(why)) != 0) {
		scene_fail(s, path, why);
	}
	s->disk = s->opened.handle;
	s->guest = (struct guest){.block = s->opened.block,
				  .context = &s->lab.context,
				  .history = &s->history,
				  .journal = s->lab.journal,
				  .model = &s->model,
				  .dice = {dice_roll(&s->dice)},
				  .sectors = s->opened.block->info.bytes / MODEL_SECTOR_BYTES,
				  .depth = s->scenario->depth != 0 ? s->scenario->depth : 4};
}

void scene_close(struct scene *s)
{
	guest_drain(&s->guest);
	int r = s->scenario->subject->close(&s->opened);

	s->disk = NULL;
	lab_drain(&s->lab);
	if (r != 0) {
		scene_fail(s, "closing", strerror(-r));
	}
	scene_event(s, EVENT_GUEST_SETTLED, 0);
}

void scene_use(struct scene *s, const char *path, const struct guest_mix *mix, unsigned ops)
{
	scene_open(s, path);
	guest_run(&s->guest, mix, ops);
	scene_close(s);
}

int scene_verify(struct scene *s, const struct replay *r, struct lab *lab, uint64_t turn,
		 char *ret_why, size_t size)
{
	struct verify v = {
		.subject = s->scenario->subject, .path = DISK, .model = r->model, .turn = turn};

	if (lab_find(lab, BASE) >= 0) {
		v.others[0] = BASE;
		v.others[1] = lab_find(lab, MIDDLE) >= 0 ? MIDDLE : NULL;
	}
	return verify_disk(&v, lab, ret_why, size);
}

/* ---- Running one ---- */

/* Keys of cuts that were tried. */
struct seen {
	uint64_t *keys; /* 0: free */
	size_t room;	/* a power of 2 */
	size_t count;
};

static bool see(struct seen *seen, uint64_t key);

static void grow_seen(struct seen *seen)
{
	struct seen larger = {.room = seen->room == 0 ? 4096 : 2 * seen->room};

	larger.keys = calloc(larger.room, sizeof(*larger.keys));
	CHECK(larger.keys != NULL);
	for (size_t i = 0; i < seen->room; i++) {
		if (seen->keys[i] != 0) {
			see(&larger, seen->keys[i]);
		}
	}
	free(seen->keys);
	*seen = larger;
}

/* True: for the first time. */
static bool see(struct seen *seen, uint64_t key)
{
	key = key == 0 ? 1 : key;
	if (2 * seen->count >= seen->room) {
		grow_seen(seen);
	}
	size_t i = key & (seen->room - 1);

	while (seen->keys[i] != 0 && seen->keys[i] != key) {
		i = (i + 1) & (seen->room - 1);
	}
	bool first = seen->keys[i] == 0;

	seen->keys[i] = key;
	seen->count += first;
	return first;
}

struct cutting {
	struct scene *scene;
	const struct scene_options *options;
	struct scene_result *result;
	struct replay replay;
	struct seen seen;
};

static const char *const cut_names[] = {"none of", "all of", "only the last of",
					"all but the first of", "some of"};

static void dump_files(const struct cutting *c, struct lab *lab)
{
	char path[512];

	for (unsigned i = 0; i < lab->file_count && c->options->dump != NULL; i++) {
		const char *name = strrchr(lab->files[i].path, '/');

		snprintf(path, sizeof(path), "%s/%s-%" PRIu32 "-%s", c->options->dump,
			 c->scene->scenario->name, c->replay.at - 1,
			 name != NULL ? name + 1 : "removed");
		if (!image_save(lab->files[i].image, path)) {
			printf("# cannot write %s\n", path);
		}
	}
}

static void try_cut(struct cutting *c, struct cut cut)
{
	struct scene *s = c->scene;
	uint64_t key = replay_key(&c->replay, cut);
	uint64_t turn = dice_mix(key);
	struct lab lab;
	char why[1536] = "";

	if (!see(&c->seen, key)) {
		return;
	}
	replay_cut(&c->replay, cut, turn, &lab);
	int r = s->scenario->verify(s, &c->replay, &lab, turn, why, sizeof(why));

	c->result->cuts++;
	lab_fini(&lab);
	c->result->failures += r != 0;
	if (r != 0 && !c->options->quiet) {
		printf("# %s --seed %" PRIu64 ": after event %" PRIu32
		       " with %s what was not flushed (cut seed %" PRIu64 "): %s\n",
		       s->scenario->name, c->options->seed, c->replay.at - 1, cut_names[cut.kind],
		       cut.seed, why);
		replay_cut(&c->replay, cut, turn, &lab);
		dump_files(c, &lab);
		lab_fini(&lab);
	}
}

static void cut_here(struct cutting *c)
{
	uint32_t at = c->replay.at;

	for (unsigned i = 0; i < c->options->variants; i++) {
		struct cut cut = {.kind = CUT_RANDOM, .seed = at + (uint64_t)i * 0x100000};

		if (i % 2 == 1) {
			cut.kind = (at + i / 2) % CUT_RANDOM;
		}
		try_cut(c, cut);
	}
}

static void cut_everywhere(struct cutting *c)
{
	unsigned every = c->scene->scenario->every != 0 ? c->scene->scenario->every : 1;
	unsigned place = 0;

	every *= c->options->every;
	while (replay_next(&c->replay) && c->result->failures < c->options->max_failures) {
		bool last = c->replay.at == c->replay.journal->count;

		if (last) {
			try_cut(c, (struct cut){.kind = CUT_ALL});
			try_cut(c, (struct cut){.kind = CUT_NONE});
		} else if (c->replay.worth_a_cut && place++ % every == 0) {
			cut_here(c);
		}
	}
}

static void play(struct scene *s, uint64_t seed)
{
	const struct scenario *sc = s->scenario;

	lab_init(&s->lab, dice_mix(seed));
	model_init(&s->model, &s->history, sc->create.bytes,
		   sc->largest_bytes != 0 ? sc->largest_bytes : sc->create.bytes);
	s->model.footer_shows = sc->create.format == VHD_VHD_FIXED;
	sc->prepare(s);
	lab_drain(&s->lab);
	lab_copy(&s->before, &s->lab, 0);
	s->lab.journal = &s->journal;
	s->lab.shuffle = true;
	sc->act(s);
	lab_drain(&s->lab);
	s->lab.journal = NULL;
	model_find_touched(&s->model);
}

void scene_run(const struct scenario *scenario, const struct scene_options *options,
	       struct scene_result *ret)
{
	struct scene s = {.scenario = scenario, .dice = {options->seed}};
	struct cutting c = {.scene = &s, .options = options, .result = ret};

	*ret = (struct scene_result){0};
	play(&s, options->seed);
	ret->events = s.journal.count;
	if (s.lab.violation[0] != 0) {
		printf("# %s --seed %" PRIu64 ": %s\n", scenario->name, options->seed,
		       s.lab.violation);
		ret->failures++;
	}
	replay_init(&c.replay, &s.before, &s.journal, &s.model);
	cut_everywhere(&c);
	replay_fini(&c.replay);
	free(c.seen.keys);
	journal_clear(&s.journal);
	model_fini(&s.model);
	history_clear(&s.history);
	lab_fini(&s.before);
	lab_fini(&s.lab);
}
