// SPDX-License-Identifier: Apache-2.0
/* Requests, kept for the next guest that needs them: nothing is allocated while the load stays as it is. */
#include "controller.h"

#include <stdlib.h>

#include "lib/check.h"

static bool grow(struct stor *s)
{
	struct stor_request *r;

	if (s->pool_size == s->pool_max) {
		return false;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		s->pool_max = s->pool_size;
		return false;
	}
	s->pool_size++;
	stor_pool_give(s, r);
	return true;
}

bool stor_pool_create(struct stor *s)
{
	s->pool_max = STOR_POOL_MAX;
	while (s->pool_size < STOR_POOL_FIRST) {
		if (!grow(s)) {
			return false;
		}
	}
	return true;
}

void stor_pool_destroy(struct stor *s)
{
	CHECK(s->pool_free == s->pool_size);
	while (s->pool != NULL) {
		struct stor_request *r = s->pool;

		s->pool = r->next;
		free(r);
	}
}

struct stor_request *stor_pool_take(struct stor *s)
{
	struct stor_request *r;

	if (s->pool == NULL && !grow(s)) {
		return NULL;
	}
	r = s->pool;
	s->pool = r->next;
	s->pool_free--;
	return r;
}

bool stor_pool_empty(const struct stor *s)
{
	return s->pool == NULL && s->pool_size == s->pool_max;
}

void stor_pool_give(struct stor *s, struct stor_request *r)
{
	r->next = s->pool;
	s->pool = r;
	s->pool_free++;
}
