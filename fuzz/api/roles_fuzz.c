// SPDX-License-Identifier: Apache-2.0
/* roles.json of any content: refused with words, or taken; what was taken can be shown, and nobody without a role gets rights. */
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "roles.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct identity nobody = {.name = "nobody"};
	struct caller caller;
	struct roles *r;
	char error[1024] = "";

	CHECK(roles_create(NULL, &r, error, sizeof(error)) == 0);
	if (roles_parse(r, "roles.json", (const char *)data, bytes, error, sizeof(error))) {
		json_t *j = roles_json(r);

		CHECK(json_is_array(json_object_get(j, "roles")));
		json_decref(j);
	} else {
		CHECK(error[0] != '\0');
	}
	roles_caller(r, &nobody, &caller);
	CHECK(!caller_is_known(&caller) && !caller_may(&caller, NULL, RIGHT_READ));
	caller_fini(&caller);
	roles_destroy(r);
	return 0;
}
