// SPDX-License-Identifier: Apache-2.0
#include "api_error.h"

#include <errno.h>

#include "json/json.h"

struct word {
	unsigned status;
	const char *code;
};

static const struct word words[] = {
	[API_INVALID] = {400, "invalid"},
	[API_DENIED] = {403, "denied"},
	[API_NOT_FOUND] = {404, "not-found"},
	[API_AMBIGUOUS] = {409, "ambiguous"},
	[API_CONFLICT] = {409, "conflict"},
	[API_WRONG_STATE] = {409, "wrong-state"},
	[API_EXISTS] = {409, "exists"},
	[API_BUSY] = {409, "busy"},
	[API_TOO_NEW] = {409, "too-new"},
	[API_NO_SPACE] = {507, "no-space"},
	[API_NOT_SUPPORTED] = {501, "not-supported"},
	[API_FAILED] = {500, "failed"},
	[API_NO_MEMORY] = {507, "no-memory"},
	[API_NO_PROCESSORS] = {507, "no-processors"},
};

const char *api_error_code(enum api_error error)
{
	return words[error].code;
}

unsigned api_error_status(enum api_error error)
{
	return words[error].status;
}

enum api_error api_error_of_errno(int error)
{
	return error == ENOSPC || error == EDQUOT ? API_NO_SPACE : API_FAILED;
}

json_t *api_error_json(const char *code, const char *message)
{
	json_t *o = json_object();

	json_add_text(o, "code", code);
	json_add_text(o, "message", message);
	return o;
}
