/* SPDX-License-Identifier: Apache-2.0 */
/* The file in which a report is kept. */
#ifndef ENGINES_CACHE_H
#define ENGINES_CACHE_H

#include "engines/engines.h"

/*
 * A report from @text (@bytes, no terminator needed) that was measured under @key. False, and nothing is changed: the text is not
 * a whole file of this version, or has another key.
 */
bool engines_cache_parse(const char *text, size_t bytes, uint64_t key,
			 struct engines_report *ret_report);
/* The text of @r, which may be kept (WORKS or LACKS); its length. */
size_t engines_cache_format(const struct engines_report *r, uint64_t key,
			    char text[ENGINES_FILE_BYTES_MAX]);

/* Both: a file or a folder that is not ours alone (owner, rights, symbolic link) is as none. */
bool engines_cache_read(const char *path, uint64_t key, struct engines_report *ret_report);
/* Makes folders that are missing; whole or not at all. -errno. */
int engines_cache_write(const char *path, uint64_t key, const struct engines_report *r);

/* Of everything that a measurement depends on: kernel, processor with its microcode, KVM's parameters, our version. */
uint64_t engines_host_key(void);

#endif
