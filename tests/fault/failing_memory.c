// SPDX-License-Identifier: Apache-2.0
/* What the linker calls in place of the C library's allocations (--wrap). The laboratory's own are not among them: see meson.build. */
#include <stdlib.h>
#include <string.h>

#include "failing.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
char *__wrap_strdup(const char *s);

/* What the linker wraps has no other way to know. */
static struct failing_memory memory;

struct failing_memory *failing_memory(void)
{
	return &memory;
}

static bool fails(void)
{
	if (!memory.armed) {
		return false;
	}
	memory.calls++;
	return memory.fail_at != 0 && (memory.calls == memory.fail_at ||
				       (memory.fail_on && memory.calls > memory.fail_at));
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return fails() ? NULL : __real_calloc(n, bytes);
}

void *__wrap_realloc(void *p, size_t bytes)
{
	return fails() ? NULL : __real_realloc(p, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}
