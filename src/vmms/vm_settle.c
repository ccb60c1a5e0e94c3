// SPDX-License-Identifier: Apache-2.0
#include "vm_settle.h"

#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "link.h"
#include "op_checkpoint.h"
#include "vmms.h"

#define LOOK_AGAIN_NS (UINT64_C(100) * 1000000)

/* "disk=", the place, a colon, and @path to the end. */
static bool is_line_of(const char *line, size_t line_bytes, const char *path)
{
	size_t n = strlen(path);

	return strncmp(line, "disk=", 5) == 0 && line_bytes > n + 6 &&
	       memcmp(line + line_bytes - n, path, n) == 0 && line[line_bytes - n - 1] == ':' &&
	       memchr(line, '/', line_bytes - n) == NULL;
}

bool vm_info_writes(const char *answer, const char *path, const char **ret_place, size_t *ret_bytes)
{
	for (const char *line = answer, *end; *line != '\0'; line = *end == '\0' ? end : end + 1) {
		end = strchrnul(line, '\n');
		if (is_line_of(line, (size_t)(end - line), path)) {
			*ret_place = line + 5;
			*ret_bytes = (size_t)(end - line) - strlen(path) - 6;
			return true;
		}
	}
	return false;
}

struct settling {
	struct job *job;
	void (*then)(struct vm *vm, struct job *j);
	void (*gone)(struct vm *vm);
	bool cancelled; /* merges were told to end */
};

bool vm_is_settled(const char *answer)
{
	return strstr(answer, "settled=0") == NULL;
}

static struct settling *take(struct vm *vm)
{
	struct settling *s = vm->settling;

	vm->settling = NULL;
	vm->on_end = NULL;
	return s;
}

static void on_end(struct vm *vm, const struct vm_end *end)
{
	struct settling *s = take(vm);
	struct job *j = s->job;

	if (s->gone != NULL) {
		s->gone(vm);
	}
	free(s);
	job_fail(j, API_FAILED, NULL, "%s ended meanwhile: %s%s%s", vm_name(vm), end->how,
		 end->message[0] == '\0' ? "" : ": ", end->message);
}

static void ask(void *ctx);

/* Merges take long, and are begun again. */
static void cancel_merges(struct vm *vm, const char *answer)
{
	const char *line = answer;

	while ((line = strstr(line, "disk=")) != NULL) {
		char kind[8], disk[64];
		unsigned number, location;

		line += 5;
		if (sscanf(line, "%7[a-z]%u:%u:", kind, &number, &location) == 3) {
			snprintf(disk, sizeof(disk), "--disk=%s:%u:%u:-:0:0:", kind, number,
				 location);
			link_ask_words(vm->worker.link, NULL, NULL, -1, "merge-cancel", disk, NULL);
		}
	}
}

static void on_info(void *ctx, const char *answer)
{
	struct vm *vm = ctx;
	struct settling *s = vm->settling;

	if (answer == NULL || s == NULL) {
		return; /* its end comes, or has come */
	}
	if (vm_is_settled(answer)) {
		checkpoint_recover(vm, answer);
		s = take(vm);
		struct settling done = *s;

		free(s);
		vm->info = answer;
		done.then(vm, done.job);
		vm->info = NULL;
		return;
	}
	if (!s->cancelled) {
		s->cancelled = true;
		cancel_merges(vm, answer);
	}
	vm->timer = (struct loop_timer){.fn = ask, .ctx = vm};
	loop_timer_set(vm->vmms->loop, &vm->timer, host_now_ns() + LOOK_AGAIN_NS);
}

static void ask(void *ctx)
{
	struct vm *vm = ctx;

	if (vm->settling != NULL && vm->worker.link != NULL) {
		link_ask_words(vm->worker.link, on_info, vm, -1, "info", NULL);
	}
}

void vm_settle(struct vm *vm, struct job *j, void (*then)(struct vm *vm, struct job *j),
	       void (*gone)(struct vm *vm))
{
	if (!vm_is_active(vm)) {
		checkpoint_recover(vm, NULL);
		then(vm, j);
		return;
	}
	struct settling *s = calloc(1, sizeof(*s));

	CHECK(s != NULL && vm->settling == NULL);
	*s = (struct settling){.job = j, .then = then, .gone = gone};
	vm->settling = s;
	vm->on_end = on_end;
	ask(vm);
}
