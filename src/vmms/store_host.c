// SPDX-License-Identifier: Apache-2.0
/* host.json: settings of the host. */
#include <stdio.h>

#include "lib/check.h"
#include "store.h"
#include "vmms.h"

#define HOST_FORMAT 1u

bool store_load_host(struct vmms *v, char *error, size_t size)
{
	struct json_file_error wrong;
	char path[VM_PATH_BYTES];

	snprintf(path, sizeof(path), "%s/host.json", v->state);
	enum json_file_result r = json_file_load(path, HOST_FORMAT, &v->host, &wrong);

	if (r == JSON_FILE_ABSENT) {
		v->host = json_pack("{s:i}", "format", (int)HOST_FORMAT);
		CHECK(v->host != NULL);
		return true;
	}
	if (r != JSON_FILE_OK) {
		snprintf(error, size, "%s", wrong.text);
	}
	return r == JSON_FILE_OK;
}

const json_t *store_host(const struct vmms *v)
{
	return v->host;
}

int store_set_host(struct vmms *v, const json_t *patch, struct json_file_error *error)
{
	char path[VM_PATH_BYTES];
	json_t *host = json_deep_copy(v->host);

	CHECK(host != NULL);
	for (void *i = json_object_iter((json_t *)(uintptr_t)patch); i != NULL;
	     i = json_object_iter_next((json_t *)(uintptr_t)patch, i)) {
		if (json_is_null(json_object_iter_value(i))) {
			json_object_del(host, json_object_iter_key(i));
		} else {
			json_object_set_new(host, json_object_iter_key(i),
					    json_deep_copy(json_object_iter_value(i)));
		}
	}
	json_object_set_new(host, "format", json_integer(HOST_FORMAT));
	snprintf(path, sizeof(path), "%s/host.json", v->state);
	int r = json_file_save(path, host, true, error);

	if (r < 0) {
		json_decref(host);
		return r;
	}
	json_decref(v->host);
	v->host = host;
	return 0;
}
