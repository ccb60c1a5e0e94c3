/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that comes from outside: request bodies, and files that people edit. */
#ifndef VMMS_BODY_H
#define VMMS_BODY_H

#include <jansson.h>
#include <stddef.h>

#define BODY_BYTES_MAX ((size_t)1 << 20)
#define BODY_DEPTH_MAX 32u

/* As json_parse, no deeper than BODY_DEPTH_MAX and no longer than BODY_BYTES_MAX. */
json_t *body_parse(const char *what, const char *text, size_t bytes, char *error, size_t size);

#endif
