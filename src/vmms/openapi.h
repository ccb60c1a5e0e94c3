/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI 3 description of all routes, made from their tables and from the file of schemas (openapi_schemas.json). */
#ifndef VMMS_OPENAPI_H
#define VMMS_OPENAPI_H

#include <jansson.h>

#include "api.h"

/* A new reference. CHECKs that the file of schemas is JSON; a test looks whether it has what the tables name. */
json_t *openapi_document(const struct route_table *const *tables);

/* The file, as the build put it in. */
extern const char openapi_schemas[];
extern const size_t openapi_schemas_bytes;

#endif
